/* The task that keeps the library of functions loaded. */
#include "coordinator/task_functions.h"

#include "common/library.h"
#include "tests/coordinator/world.h"
#include "tests/support/fcall.h"

static struct ms_test_redis *server;

struct keeping {
    struct world w;
    struct ms_functions *functions;
};

static void keeping_init(struct keeping *k)
{
    ms_test_cmd(server, "FUNCTION FLUSH");
    world_init(&k->w, server);
    k->functions = ms_functions_new(&k->w.duty);
}

static void keeping_done(struct keeping *k)
{
    ms_tasks_free(k->w.duty.tasks);
    ms_functions_free(k->functions);
    world_done(&k->w);
}

static void run(struct keeping *k)
{
    ms_tasks_start(k->w.duty.tasks);
    run_once(&k->w, "functions");
}

/* As if another leader began. */
static void next_term(struct keeping *k)
{
    ms_tasks_stop(k->w.duty.tasks);
    k->w.term.epoch++;
    run(k);
}

static const char *loaded(void)
{
    return ms_test_text(server, "FCALL muster_version 0");
}

static bool is_ours(void)
{
    return strstr(loaded(), ms_library.build) != NULL;
}

/* A library of another release or build, which says so. */
static void load_other(int64_t version, const char *build)
{
    char *text = ms_xasprintf(
        "#!lua name=muster\n"
        "redis.register_function{function_name='muster_version', "
        "callback=function() return '{\"version\":%lld,\"build\":\"%s\"}' end, "
        "flags={'no-writes'}}\n",
        (long long)version, build);

    CHECK_STR(ms_test_text(server, "FUNCTION LOAD REPLACE %s", text), "muster");
    free(text);
}

#define OTHER "0123456789012345678901234567890123456789"

static TEST(test_it_is_loaded_when_a_term_begins)
{
    struct keeping k;

    keeping_init(&k);
    run(&k);
    CHECK(is_ours());
    CHECK_STR(last_error(&k.w, "functions"), "");
    keeping_done(&k);
}

static TEST(test_it_comes_back_when_it_was_flushed)
{
    struct keeping k;

    keeping_init(&k);
    run(&k);
    ms_test_cmd(server, "FUNCTION FLUSH");
    run_once(&k.w, "functions");
    CHECK(is_ours());
    keeping_done(&k);
}

static TEST(test_an_older_release_is_replaced)
{
    struct keeping k;

    keeping_init(&k);
    run(&k);
    load_other(ms_library.version - 1, OTHER);
    run_once(&k.w, "functions");
    CHECK(is_ours());
    keeping_done(&k);
}

/* In a rolling deployment an older coordinator may lead once more. */
static TEST(test_a_newer_release_stays)
{
    struct keeping k;

    keeping_init(&k);
    load_other(ms_library.version + 1, OTHER);
    run(&k);
    next_term(&k);
    CHECK(!is_ours());
    CHECK_STR(last_error(&k.w, "functions"), "");
    keeping_done(&k);
}

/* Two fleets with two builds on one Redis: they must not replace each other's
 * for ever. */
static TEST(test_another_build_is_replaced_once_a_term)
{
    struct keeping k;

    keeping_init(&k);
    load_other(ms_library.version, OTHER);
    run(&k);
    CHECK(is_ours());
    load_other(ms_library.version, OTHER);
    run_once(&k.w, "functions");
    CHECK(!is_ours());
    next_term(&k);
    CHECK(is_ours());
    keeping_done(&k);
}

static TEST(test_ours_is_not_loaded_again)
{
    struct keeping k;

    keeping_init(&k);
    run(&k);
    ms_test_cmd(server, "CONFIG RESETSTAT");
    run_once(&k.w, "functions");
    CHECK(strstr(ms_test_text(server, "INFO commandstats"),
                 "cmdstat_function|load") == NULL);
    keeping_done(&k);
}

/* Nobody but foreign clients needs it, so the leader goes on. */
static TEST(test_a_redis_that_forbids_it_is_no_failure)
{
    struct keeping k;

    keeping_init(&k);
    ms_test_cmd(server, "ACL SETUSER default -function");
    run(&k);
    CHECK_STR(last_error(&k.w, "functions"), "");
    CHECK_CONTAINS(loaded(), "Function not found");
    ms_test_cmd(server, "ACL SETUSER default -fcall_ro");
    run_once(&k.w, "functions");
    CHECK_STR(last_error(&k.w, "functions"), "");
    ms_test_cmd(server, "ACL SETUSER default +function +fcall_ro");
    run_once(&k.w, "functions");
    CHECK(is_ours());
    keeping_done(&k);
}

/* Somebody else's library has our name: it is theirs. */
static TEST(test_a_foreign_library_is_left_alone)
{
    struct keeping k;

    keeping_init(&k);
    load_other(ms_library.version, "short");
    run(&k);
    CHECK_CONTAINS(loaded(), "short");
    CHECK_STR(last_error(&k.w, "functions"), "");
    keeping_done(&k);
}

/* That passes: it is tried again, and shown until then. */
static TEST(test_a_full_redis_is_tried_again)
{
    struct keeping k;

    keeping_init(&k);
    ms_test_cmd(server, "CONFIG SET maxmemory 1");
    run(&k);
    CHECK_CONTAINS(last_error(&k.w, "functions"), "OOM");
    ms_test_cmd(server, "CONFIG SET maxmemory 0");
    run_once(&k.w, "functions");
    CHECK(is_ours());
    CHECK_STR(last_error(&k.w, "functions"), "");
    keeping_done(&k);
}

static TEST(test_nothing_is_loaded_once_the_trust_has_run_out)
{
    struct keeping k;

    keeping_init(&k);
    k.w.term.trusted_until_ms = 0;
    run(&k);
    CHECK_CONTAINS(loaded(), "Function not found");
    keeping_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_it_is_loaded_when_a_term_begins),
        RUN(test_it_comes_back_when_it_was_flushed),
        RUN(test_an_older_release_is_replaced),
        RUN(test_a_newer_release_stays),
        RUN(test_another_build_is_replaced_once_a_term),
        RUN(test_ours_is_not_loaded_again),
        RUN(test_a_redis_that_forbids_it_is_no_failure),
        RUN(test_a_foreign_library_is_left_alone),
        RUN(test_a_full_redis_is_tried_again),
        RUN(test_nothing_is_loaded_once_the_trust_has_run_out),
    };
    int failed;

    server = ms_test_redis_start(NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_test_redis_stop(server);
    return failed;
}

/*
 * The producers of examples/producers, each run against a real fleet: a
 * coordinator that loads the functions, a worker that runs what comes.  A
 * language that is not at hand is passed by, and said so.
 */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/library.h"
#include "tests/support/fcall.h"
#include "tests/support/fleet.h"
#include "tests/support/proxy.h"

#define SOURCE MS_TEST_SOURCE_DIR "/examples/producers/"
#define Q      "ms:{t/q}:"
#define N_JOBS 5 /* that each producer enqueues; it asks six times */

static const struct language {
    const char *probe[4], *argv[4];
} languages[] = {
    {{"python3", "--version"}, {"python3", SOURCE "python/producer.py"}},
    {{"node", "--version"}, {"node", SOURCE "node/producer.js"}},
    {{"go", "version"}, {"go", "run", SOURCE "go/producer.go"}},
};

static struct ms_test_fleet *fleet;
static struct ms_proc *coordinator, *worker;

static bool is_loaded(void)
{
    return strstr(ms_test_text(fleet->redis, "FCALL muster_version 0"),
                  ms_library.build) != NULL;
}

static int setup(void **state)
{
    fleet = ms_test_fleet_new(
        NULL, "worker: { queues: [q], concurrency: 4, http: \"off\" }\n"
              "coordinator: { http: \"off\" }\n"
              "queues: [ { name: q, max_workers: 4 } ]\n");
    coordinator = ms_test_coordinator(fleet);
    worker = ms_test_worker(fleet);
    WAIT_FOR(20000, is_loaded());
    return 0;
}

static int teardown(void **state)
{
    ms_proc_free(worker);
    ms_proc_free(coordinator);
    ms_test_fleet_free(fleet);
    return 0;
}

static bool is_at_hand(const struct language *language)
{
    if (ms_proc_run(language->probe, NULL, NULL, NULL) == 0)
        return true;
    print_message("%s is not at hand: its producer was not run\n",
                  language->probe[0]);
    return false;
}

static struct ms_proc *produce(const struct language *language, const char *url)
{
    const char *argv[8] = {NULL};
    char *home = ms_xasprintf("HOME=%s", ms_test_dir());
    char *cache = ms_xasprintf("GOCACHE=%s/go", ms_test_dir());
    const char *const env[] = {home, cache, "CGO_ENABLED=0", NULL};
    struct ms_proc *proc;
    size_t n = 0;

    for (; language->argv[n] != NULL; n++)
        argv[n] = language->argv[n];
    argv[n++] = url;
    argv[n++] = "t";
    argv[n] = "q";
    proc = ms_proc_start(argv, env);
    free(cache);
    free(home);
    return proc;
}

/* How often `part` stands in `text`. */
static int count(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        n++;
    return n;
}

static bool turn(struct ev_loop *loop)
{
    ev_run(loop, EVRUN_NOWAIT);
    return true;
}

/* All ran, and nothing ran that was not asked for. */
static void check_jobs(struct ms_proc *proc)
{
    const char *out = ms_proc_stdout(proc);

    CHECK_INT(count(out, "\"id\""), ==, N_JOBS + 1);
    CHECK_INT(count(out, "true"), ==, 1); /* deduplicated */
    CHECK_CONTAINS(ms_proc_stderr(proc), "refused: INVALID priority: '10'");
    WAIT_FOR(30000, ms_test_num(fleet->redis, "ZCARD " Q "done") == N_JOBS);
    CHECK_INT(ms_test_num(fleet->redis, "HGET " Q "stats enqueued"), ==,
              N_JOBS);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD " Q "dead"), ==, 0);
    CHECK_CONTAINS(ms_test_text(fleet->redis,
                                "HGET " Q "job:invoice:4711 result"),
                   "4711");
}

static void check_producer(const struct language *language)
{
    struct ms_proc *proc;

    if (!is_at_hand(language))
        return;
    proc = produce(language, ms_test_redis_url(fleet->redis));
    WAIT_FOR(120000, ms_proc_wait(proc, 0) >= 0);
    if (ms_proc_wait(proc, 0) != 0)
        fail_msg("%s: %s", language->argv[0], ms_proc_stderr(proc));
    check_jobs(proc);
    ms_proc_free(proc);
}

/* Twice its connection breaks behind a call that was carried out. */
static void check_lost_answers(const struct language *language)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct ms_test_proxy *proxy = ms_test_proxy_new(loop, fleet->redis);
    struct ms_proc *proc;

    if (is_at_hand(language)) {
        ms_test_proxy_lose_reply(proxy, "muster_enqueue");
        proc = produce(language, ms_test_proxy_url(proxy));
        WAIT_FOR(120000, turn(loop) && ms_test_proxy_cuts(proxy) == 1);
        ms_test_proxy_lose_reply(proxy, "invoice:4711");
        WAIT_FOR(120000, turn(loop) && ms_proc_wait(proc, 0) >= 0);
        CHECK_INT(ms_test_proxy_cuts(proxy), ==, 2);
        check_jobs(proc);
        ms_proc_free(proc);
    }
    ms_test_proxy_free(proxy);
    ev_loop_destroy(loop);
}

static TEST(test_the_python_producer)
{
    check_producer(&languages[0]);
}

static TEST(test_the_python_producer_loses_answers)
{
    check_lost_answers(&languages[0]);
}

static TEST(test_the_node_producer)
{
    check_producer(&languages[1]);
}

static TEST(test_the_node_producer_loses_answers)
{
    check_lost_answers(&languages[1]);
}

static TEST(test_the_go_producer)
{
    check_producer(&languages[2]);
}

static TEST(test_the_go_producer_loses_answers)
{
    check_lost_answers(&languages[2]);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = ms_xcalloc(1, 1 << 17);

    CHECK(file != NULL);
    CHECK(fread(text, 1, (1 << 17) - 1, file) > 0);
    fclose(file);
    return text;
}

/* What the page shows is what was run. */
static TEST(test_the_page_shows_the_files)
{
    char *page = read_file(MS_TEST_SOURCE_DIR "/docs/producers.md");

    for (size_t i = 0; i < MS_COUNT_OF(languages); i++) {
        const char *const *argv = languages[i].argv;
        char *text = read_file(argv[i == 2 ? 2 : 1]);

        CHECK(strstr(page, text) != NULL);
        free(text);
    }
    free(page);
}

/* ---- what others than we may send ---- */

/* Nobody looked at it before the worker did. */
static TEST(test_a_payload_that_is_no_json_ends_its_job)
{
    FCALL(fleet->redis, "enqueue", Q "cfg", "noop.echo", "{\"a\" 1}", "id",
          "a");
    WAIT_FOR(20000, ms_test_num(fleet->redis, "ZCARD " Q "dead") == 1);
    CHECK_CONTAINS(ms_test_text(fleet->redis, "HGET " Q "job:a error"),
                   "payload");
}

/* It sleeps for an hour, and renewals come every ten seconds. */
static TEST(test_a_cancel_by_a_function_stops_a_running_job)
{
    FCALL(fleet->redis, "enqueue", Q "cfg", "noop.sleep", "{\"ms\":3600000}",
          "id", "a");
    WAIT_FOR(20000, ms_test_num(fleet->redis, "ZCARD " Q "leases") == 1);
    CHECK_CONTAINS(FCALL(fleet->redis, "cancel", Q "cfg", "a"), "requested");
    WAIT_FOR(20000, ms_test_num(fleet->redis, "ZCARD " Q "dead") == 1);
    CHECK_CONTAINS(ms_test_text(fleet->redis, "HGET " Q "job:a error"),
                   "cancelled");
}

/* A Redis that lost all it had but its data. */
static TEST(test_the_library_comes_back)
{
    ms_test_cmd(fleet->redis, "FUNCTION FLUSH");
    CHECK_CONTAINS(ms_test_text(fleet->redis, "FCALL muster_version 0"),
                   "Function not found");
    WAIT_FOR(60000, is_loaded());
}

#define FLEET(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_the_page_shows_the_files),
        FLEET(test_the_python_producer),
        FLEET(test_the_python_producer_loses_answers),
        FLEET(test_the_node_producer),
        FLEET(test_the_node_producer_loses_answers),
        FLEET(test_the_go_producer),
        FLEET(test_the_go_producer_loses_answers),
        FLEET(test_a_payload_that_is_no_json_ends_its_job),
        FLEET(test_a_cancel_by_a_function_stops_a_running_job),
        FLEET(test_the_library_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* C plug-ins: what is loaded and what is refused, and what their handlers can
 * do, through real slots. */
#include "tests/worker/fixture_slots.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "worker/plugin.h"

#define PLUGINS MS_TEST_BIN_DIR "/plugins/"

/* A folder with these plug-ins, NULL behind the last. */
static char *folder_of(const char *const *names)
{
    static int count;
    char *dir = ms_xasprintf("%s/handlers%d", ms_test_dir(), count++);

    CHECK_INT(mkdir(dir, 0700), ==, 0);
    for (; *names != NULL; names++) {
        char *from = ms_xasprintf(PLUGINS "%s", *names);
        char *to = ms_xasprintf("%s/%s", dir, *names);

        CHECK_INT(symlink(from, to), ==, 0);
        free(from);
        free(to);
    }
    return dir;
}

/* ---- what is loaded ---- */

static struct ms_routes *probe(const char *const *names, struct ms_error *error)
{
    struct ms_routes *routes = ms_routes_new();
    char *dir = folder_of(names);

    error->text[0] = '\0';
    ms_plugins_probe(dir, routes, error);
    free(dir);
    return routes;
}

static void check_refused(const char *name, const char *why)
{
    const char *const names[] = {name, NULL};
    struct ms_error error;

    ms_routes_free(probe(names, &error));
    CHECK_CONTAINS(error.text, name);
    CHECK_CONTAINS(error.text, why);
    CHECK_CONTAINS(error.text, "worker.handlers_dir: ");
}

static TEST(test_a_probe_tells_the_kinds_and_loads_nothing)
{
    struct ms_error error;
    struct ms_routes *routes =
        probe((const char *const[]){"tricks.so", NULL}, &error);
    const struct ms_route *route = ms_routes_find(routes, "c.steps");
    char maps[1 << 16];

    CHECK_STR(error.text, "");
    CHECK_STR(route->from, "tricks.so");
    CHECK(route->resumes);
    CHECK(route->plugin == NULL);
    CHECK(!ms_routes_find(routes, "c.echo")->resumes);
    CHECK_STR(ms_routes_find(routes, "c.any.thing")->pattern, "c.any.*");
    CHECK_CONTAINS(ms_routes_kinds(routes), ",c.any.*,");
    read_proc(getpid(), "maps", maps, sizeof(maps));
    CHECK(strstr(maps, "tricks.so") == NULL);
    ms_routes_free(routes);
}

static TEST(test_what_is_no_plug_in_is_refused_by_name)
{
    check_refused("other_abi.so",
                  "built for version 2 of muster/handler.h, this worker has "
                  "version 1");
    check_refused("newer_api.so", "built for a newer worker");
    check_refused("no_symbol.so", "no symbol muster_plugin");
    check_refused("no_kinds.so", "has no handlers");
    check_refused("bad_kind.so", "'no such kind'");
    check_refused("no_function.so", "kind 'c.nothing' has no function");
    check_refused("missing.so", "cannot be loaded: ");
}

/* The worker would go down with it, and come up to do so again. */
static TEST(test_a_crash_at_load_ends_the_probe_alone)
{
    check_refused("crash_at_load.so",
                  "ended the program that loaded it (exit status 42)");
}

static TEST(test_a_kind_of_two_plug_ins_is_refused)
{
    struct ms_error error;

    ms_routes_free(
        probe((const char *const[]){"one_more.so", "tricks.so", NULL}, &error));
    CHECK_CONTAINS(error.text,
                   "kind 'c.echo' has two handlers: one_more.so and "
                   "tricks.so");
}

static TEST(test_a_folder_that_is_not_there_is_named)
{
    struct ms_routes *routes = ms_routes_new();
    struct ms_error error;

    CHECK_INT(ms_plugins_probe("/nowhere", routes, &error), !=, MS_OK);
    CHECK_STR(error.text, "worker.handlers_dir: cannot read '/nowhere': No "
                          "such file or directory");
    ms_routes_free(routes);
}

/* ---- what handlers can do ---- */

static char *conf_text(void)
{
    char *dir = folder_of((const char *const[]){"tricks.so", NULL});
    char *conf = ms_xasprintf("fleet: t\nworker: { handlers_dir: %s }\n", dir);

    free(dir);
    return conf;
}

static struct pool *plugin_pool(void)
{
    char *conf = conf_text();
    struct pool *pool = pool_new(1, conf);

    free(conf);
    return pool;
}

static struct job *run_once(const char *kind, const char *payload)
{
    struct pool *pool = plugin_pool();
    struct job *job = job_run(pool, kind, payload);

    pool_free(pool);
    return job;
}

static void check_done(const char *kind, const char *payload,
                       const char *result)
{
    struct job *job = run_once(kind, payload);

    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_STR(result_of(job), result);
    job_free(job);
}

static TEST(test_a_result_can_be_json)
{
    check_done("c.echo", "{\"a\":[1,2.5,null]}", "{\"a\":[1,2.5,null]}");
    check_done("c.any.thing", "", "\"any\"");
}

static TEST(test_the_context_says_what_the_job_is)
{
    struct pool *pool = plugin_pool();
    struct job *job = job_new("c.job", "[1]");
    char *want =
        ms_xasprintf("[\"%s\",\"q\",\"c.job\",2,77,2,null]", job->held.id);

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(result_of(job), want);
    free(want);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_payload_in_json_comes_as_it_was_written)
{
    struct pool *pool = plugin_pool();
    struct job *job = job_new("c.outcome", "");

    job->held.json = true;
    job->held.payload.data = ms_xstrdup("2 ");
    job->held.payload.len = 2;
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->ending.error, "outcome 2 ");
    CHECK_INT(job->ending.outcome, ==, MS_DEAD);
    job_free(job);
    pool_free(pool);
}

static TEST(test_it_returns_an_outcome)
{
    const enum ms_outcome outcomes[] = {MS_DONE,      MS_FAILED,
                                        MS_DEAD,      MS_THROTTLED,
                                        MS_CANCELLED, MS_RELEASED};

    for (int i = 0; i < 7; i++) {
        char *payload = ms_xasprintf("%d", i);
        struct job *job = run_once("c.outcome", payload);

        CHECK_INT(job->ending.outcome, ==, i < 6 ? outcomes[i] : MS_FAILED);
        if (i == 1)
            CHECK_STR(job->ending.error, "outcome 1");
        if (i == 3)
            CHECK_INT(job->ending.delay_ms, ==, 1500);
        if (i == 6)
            CHECK_STR(job->ending.error, "the handler returned 6");
        free(payload);
        job_free(job);
    }
}

static TEST(test_checkpoints_move_the_cursor)
{
    struct pool *pool = plugin_pool();
    struct job *job = job_new("c.steps", "");

    job->held.cursor = (struct ms_bytes){ms_xstrdup("\x04"), 1};
    job->held.seq = 4;
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_INT(job->checkpoints, ==, 6);
    CHECK_INT(job->checkpoint.seq, ==, 10);
    CHECK_INT(job->checkpoint.cursor.data[0], ==, 10);
    job_free(job);
    pool_free(pool);
}

/* A file that grows while it is read is more than done. */
static TEST(test_progress_is_a_part_of_one)
{
    const struct {
        const char *said;
        double progress;
    } cases[] = {{"\"0.25\"", 0.25}, {"\"7\"", 1}, {"\"nan\"", -1}};

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct job *job = run_once("c.progress", cases[i].said);

        CHECK_INT(job->ending.outcome, ==, MS_DONE);
        CHECK(job->checkpoint.progress == cases[i].progress);
        job_free(job);
    }
}

static TEST(test_what_is_no_json_is_refused)
{
    struct job *job = run_once("c.bad_json", "");

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_CONTAINS(job->ending.error, "cursor: offset 0: ");
    CHECK_INT(job->checkpoints, ==, 0);
    job_free(job);
}

static void check_stop(const char *kind, enum ms_stop reason,
                       enum ms_outcome outcome)
{
    struct pool *pool = plugin_pool();
    struct job *job = job_new(kind, "");

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'c'));
    ms_slots_stop(pool->slots, &job->held, reason);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, outcome);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_stop_is_heard)
{
    check_stop("c.wait", MS_STOP_CANCEL, MS_CANCELLED);
    check_stop("c.wait", MS_STOP_DRAIN, MS_RELEASED);
}

/* ---- what goes wrong ---- */

/* The job fails with `why`, and the next one runs in a new slot. */
static void check_harmless(const char *kind, const char *why)
{
    struct pool *pool = plugin_pool();
    struct job *job = job_new(kind, ""), *next;

    job->held.timeout_ms = 500;
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_CONTAINS(job->ending.error, why);
    next = job_run(pool, "c.echo", "1");
    CHECK_INT(next->ending.outcome, ==, MS_DONE);
    job_free(next);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_crash_fails_its_own_job)
{
    check_harmless("c.crash", "slot died: signal 11");
    check_harmless("c.exit", "slot died: exit status 0");
}

static TEST(test_a_handler_that_hangs_and_ignores_term_times_out)
{
    check_harmless("c.hang", "timed out after 500 ms");
}

static TEST(test_garbage_on_the_channel_fails_its_own_job)
{
    check_harmless("c.garbage", "slot killed: it sent a frame of an impossible "
                                "length");
    check_harmless("c.close", "slot died");
}

static TEST(test_what_a_handler_forked_dies_with_the_slot)
{
    struct pool *pool = plugin_pool();
    struct job *job = job_run(pool, "c.fork", "");

    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    WAIT_FOR(10000, count_procs("86398", NULL) == 1);
    pool_free(pool);
    WAIT_FOR(10000, count_procs("86398", NULL) == 0);
    job_free(job);
}

/* ---- floods and leaks ---- */

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

/* Twenty megabytes on standard error, and as much without a line's end on
 * standard output, are a hundred lines in the log. */
static TEST(test_a_flood_of_output_fills_no_log)
{
    char *path = ms_test_file("log", "", 0), *text;
    int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    struct pool *pool;
    struct job *job;
    off_t size;

    ms_log_to(fd);
    pool = plugin_pool();
    job = job_run(pool, "c.flood", "100000");
    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    pool_free(pool);
    ms_log_to(2);
    size = lseek(fd, 0, SEEK_END);
    CHECK_INT(size, <, 4 << 20);
    text = ms_xcalloc(1, (size_t)size + 1);
    CHECK_INT(pread(fd, text, (size_t)size, 0), ==, size);
    CHECK_CONTAINS(text, "event=output slot=0 job=J");
    CHECK_CONTAINS(text, "event=output_dropped slot=0 lines=");
    CHECK_INT(count_of(text, "event=output "), <, 100000 / 2);
    free(text);
    close(fd);
    free(path);
    job_free(job);
}

/* It leaked in a job that is done: the slot goes, the job stays done. */
static TEST(test_a_slot_that_has_grown_is_replaced)
{
    char *dir = folder_of((const char *const[]){"tricks.so", NULL});
    char *conf = ms_xasprintf(
        "fleet: t\nworker: { handlers_dir: %s, slot_memory: 16MiB }\n", dir);
    struct pool *pool;
    struct job *job;
    pid_t before;

    free(dir);
    pool = pool_new(1, conf);
    job_free(job_run(pool, "c.leak", "1"));
    before = slot_pid(pool, 0);
    do { /* it looks now and then */
        job = job_new("c.leak", "32");
        while (!has(job, 'e')) { /* the one behind it may come back unbegun */
            memset(job->told, 0, sizeof(job->told));
            RUN_UNTIL(pool, ms_slots_run(pool->slots, &job->held));
            RUN_UNTIL(pool, has(job, 'e') || has(job, 'r'));
        }
        CHECK_STR(job->ending.error, "");
        CHECK_INT(job->ending.outcome, ==, MS_DONE);
        job_free(job);
    } while (slot_pid(pool, 0) == before);
    free(conf);
    pool_free(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_probe_tells_the_kinds_and_loads_nothing),
        RUN(test_what_is_no_plug_in_is_refused_by_name),
        RUN(test_a_crash_at_load_ends_the_probe_alone),
        RUN(test_a_kind_of_two_plug_ins_is_refused),
        RUN(test_a_folder_that_is_not_there_is_named),
        RUN(test_a_result_can_be_json),
        RUN(test_the_context_says_what_the_job_is),
        RUN(test_a_payload_in_json_comes_as_it_was_written),
        RUN(test_it_returns_an_outcome),
        RUN(test_checkpoints_move_the_cursor),
        RUN(test_progress_is_a_part_of_one),
        RUN(test_what_is_no_json_is_refused),
        RUN(test_a_stop_is_heard),
        RUN(test_a_crash_fails_its_own_job),
        RUN(test_a_handler_that_hangs_and_ignores_term_times_out),
        RUN(test_garbage_on_the_channel_fails_its_own_job),
        RUN(test_what_a_handler_forked_dies_with_the_slot),
        RUN(test_a_flood_of_output_fills_no_log),
        RUN(test_a_slot_that_has_grown_is_replaced),
    };

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * C plug-ins on a whole worker: the example is built as its own page says and
 * run; a worker with a plug-in that it cannot use does not start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/support/fleet.h"

#define Q       "ms:{t/q}:"
#define PLUGINS MS_TEST_BIN_DIR "/plugins/"
#define EXAMPLE MS_TEST_SOURCE_DIR "/examples/plugin"

static struct ms_test_fleet *fleet;

static const char *field(const char *id, const char *name)
{
    return ms_test_text(fleet->redis, "HGET " Q "job:%s %s", id, name);
}

static void wait_for(const char *id, const char *state)
{
    WAIT_FOR(60000, strcmp(field(id, "state"), "done") == 0 ||
                        strcmp(field(id, "state"), "dead") == 0);
    if (strcmp(field(id, "state"), state) != 0)
        print_error("%s: %s\n", id, field(id, "error"));
    CHECK_STR(field(id, "state"), state);
}

static void enqueue(const char *id, const char *kind, const char *payload)
{
    CHECK_INT(ms_test_ctl(fleet, "job enqueue %s %s --queue q --id %s", kind,
                          payload, id),
              ==, 0);
}

/* A folder of the test's own, and what shell command `format` puts there. */
static char *folder_made_by(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static char *folder_made_by(const char *format, ...)
{
    static int count;
    char *dir = ms_xasprintf("%s/plugins%d", ms_test_dir(), count++);
    char command[4096];
    char *whole;
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    whole = ms_xasprintf("mkdir -p '%s' && cd '%s' && { %s; } >log 2>&1", dir,
                         dir, command);
    CHECK_INT(system(whole), ==, 0);
    free(whole);
    return dir;
}

static void begin(char *dir)
{
    char *yaml =
        ms_xasprintf("worker: { queues: [q], concurrency: 2, claim_ttl: 1s,\n"
                     "  http: \"off\", handlers_dir: '%s' }\n"
                     "kinds: [{ prefix: noop., timeout: 1234ms }]\n"
                     "queues: [{ name: q, max_workers: 4, max_attempts: 2,\n"
                     "  backoff: { enabled: false } }]\n",
                     dir);

    fleet = ms_test_fleet_new(NULL, yaml);
    free(yaml);
    free(dir);
}

static TEST(test_the_example_is_built_and_run)
{
    char *path = ms_test_file("data", "abc", 3), *payload;
    struct ms_proc *worker;

    begin(folder_made_by("cmake -S " EXAMPLE " -B build -G Ninja && "
                         "cmake --build build && cp build/digest.so ."));
    worker = ms_test_worker(fleet);
    payload = ms_xasprintf("{\"path\":\"%s\"}", path);
    enqueue("sum", "digest.file", payload);
    wait_for("sum", "done");
    CHECK_INT(ms_test_ctl(fleet, "job show sum --queue q --json"), ==, 0);
    CHECK_STR(ms_test_ctl_field("bytes"), "3");
    CHECK_STR(ms_test_ctl_field("sum"), "294");
    wait_for("sum-told", "done");
    CHECK_STR(field("sum-told", "timeout_ms"), "1234"); /* its kind's */
    enqueue("none", "digest.file", "{\"path\":\"/no/such\"}");
    wait_for("none", "dead");
    CHECK_CONTAINS(field("none", "error"), "cannot open '/no/such'");
    enqueue("bare", "digest.politely", "{}");
    wait_for("bare", "dead"); /* nobody made the limit */
    CHECK_CONTAINS(field("bare", "error"), "digests");
    CHECK_STR(field("bare", "attempts"), "2");
    ms_test_text(fleet->redis, "HSET ms:{t}:limit:digests capacity 5 "
                               "refill_per_second 1000");
    enqueue("polite", "digest.politely", payload);
    wait_for("polite", "done");
    free(payload);
    free(path);
    ms_proc_free(worker);
    ms_test_fleet_free(fleet);
}

/* The handler's id makes a repeated run harmless; a limit makes it wait. */
static TEST(test_a_handler_enqueues_and_keeps_to_limits)
{
    struct ms_proc *worker;

    begin(folder_made_by("cp " PLUGINS "tricks.so ."));
    worker = ms_test_worker(fleet);
    ms_test_text(fleet->redis,
                 "HSET ms:{t}:limit:few capacity 2 refill_per_second 1000");
    enqueue("one", "c.enqueue", "{\"n\":1}");
    wait_for("one", "done");
    wait_for("child-1", "done");
    enqueue("two", "c.enqueue", "{\"n\":2}");
    wait_for("two", "done");
    CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "stats enqueued"), "3");
    enqueue("tokens", "c.acquire", "{}");
    wait_for("tokens", "done");
    ms_proc_free(worker);
    ms_test_fleet_free(fleet);
}

/* Left out in silence its jobs would wait, and nobody would know why. */
static TEST(test_a_plug_in_that_cannot_be_used_keeps_the_worker_from_starting)
{
    struct ms_proc *worker;
    const char *argv[] = {"muster-worker", "--config", NULL, NULL};

    begin(folder_made_by("cp " PLUGINS "other_abi.so ."));
    argv[2] = fleet->conf;
    worker = ms_proc_start(argv, NULL);
    CHECK_INT(ms_proc_wait(worker, 60000), ==, 2);
    CHECK_CONTAINS(ms_proc_stderr(worker), "'other_abi.so' was built for");
    ms_proc_free(worker);
    ms_test_fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_the_example_is_built_and_run),
        RUN(test_a_handler_enqueues_and_keeps_to_limits),
        RUN(test_a_plug_in_that_cannot_be_used_keeps_the_worker_from_starting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

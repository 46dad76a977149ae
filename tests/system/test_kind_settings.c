/* What `kinds:` says, with producers and with workers. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fcall.h"
#include "tests/support/fleet.h"

#define CONF                                                                 \
    "worker: { queues: [q, mail], concurrency: 2, http: \"off\" }\n"         \
    "queues: [ { name: q, max_workers: 2, max_attempts: 7,\n"                \
    "  backoff: { enabled: false } } ]\n"                                    \
    "kinds:\n"                                                               \
    "  - { prefix: \"mail.\", queue: mail, max_attempts: 3, timeout: 9s }\n" \
    "  - { prefix: \"mail.bulk\", queue: bulk }\n"                           \
    "  - { prefix: \"noop.sl\", max_attempts: 2, timeout: 100ms }\n"

static struct ms_test_fleet *fleet;

static int setup(void **state)
{
    fleet = ms_test_fleet_new(NULL, CONF);
    return 0;
}

static int teardown(void **state)
{
    ms_test_fleet_free(fleet);
    return 0;
}

static const char *field(const char *queue, const char *id, const char *name)
{
    return ms_test_text(fleet->redis, "HGET ms:{t/%s}:job:%s %s", queue, id,
                        name);
}

static TEST(test_a_job_goes_where_its_kind_says)
{
    CHECK_INT(ms_test_ctl(fleet, "job enqueue mail.send --id a"), ==, 0);
    CHECK_STR(field("mail", "a", "max_attempts"), "3");
    CHECK_STR(field("mail", "a", "timeout_ms"), "9000");
    CHECK_INT(ms_test_ctl(fleet, "job enqueue other --id b"), ==, 0);
    CHECK_STR(field("default", "b", "kind"), "other");
    CHECK_STR(field("default", "b", "max_attempts"), "(nil)");
}

/* The longest start alone: nothing is put together of several. */
static TEST(test_the_longest_start_counts)
{
    CHECK_INT(ms_test_ctl(fleet, "job enqueue mail.bulk.x --id a"), ==, 0);
    CHECK_STR(field("bulk", "a", "kind"), "mail.bulk.x");
    CHECK_STR(field("bulk", "a", "max_attempts"), "(nil)");
}

static TEST(test_what_the_job_says_comes_first)
{
    CHECK_INT(ms_test_ctl(fleet, "job enqueue mail.send --id a --queue q "
                                 "--max-attempts 9 --timeout 5s"),
              ==, 0);
    CHECK_STR(field("q", "a", "max_attempts"), "9");
    CHECK_STR(field("q", "a", "timeout_ms"), "5000");
}

static TEST(test_lines_of_a_batch_too)
{
    static const char lines[] =
        "{\"kind\":\"mail.send\",\"id\":\"a\"}\n"
        "{\"kind\":\"mail.send\",\"id\":\"b\",\"queue\":\"q\","
        "\"max_attempts\":1}\n"
        "{\"kind\":\"other\",\"id\":\"c\"}\n";
    char *path = ms_test_file("batch.ndjson", lines, sizeof(lines) - 1);

    CHECK_INT(ms_test_ctl(fleet, "job enqueue --batch %s", path), ==, 0);
    CHECK_STR(field("mail", "a", "max_attempts"), "3");
    CHECK_STR(field("q", "b", "max_attempts"), "1");
    CHECK_STR(field("q", "b", "timeout_ms"), "9000");
    CHECK_STR(field("default", "c", "kind"), "other");
    free(path);
}

/* A producer that knows no configuration: the worker's counts, before the
 * queue's. */
static TEST(test_a_worker_goes_by_its_own)
{
    struct ms_proc *worker = ms_test_worker(fleet);

    ms_fcall_load(fleet->redis);
    FCALL(fleet->redis, "enqueue", "ms:{t/q}:cfg", "noop.sleep",
          "{\"ms\":3600000}", "id", "a");
    WAIT_FOR(60000, strcmp(field("q", "a", "state"), "dead") == 0);
    CHECK_STR(field("q", "a", "attempts"), "2");
    CHECK_CONTAINS(field("q", "a", "error"), "time");
    FCALL(fleet->redis, "enqueue", "ms:{t/q}:cfg", "noop.sleep",
          "{\"ms\":3600000}", "id", "b", "max_attempts", "1");
    WAIT_FOR(60000, strcmp(field("q", "b", "state"), "dead") == 0);
    CHECK_STR(field("q", "b", "attempts"), "1");
    ms_proc_signal(worker, SIGTERM);
    CHECK_INT(ms_proc_wait(worker, 60000), ==, 0);
    ms_proc_free(worker);
}

#define FLEET(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLEET(test_a_job_goes_where_its_kind_says),
        FLEET(test_the_longest_start_counts),
        FLEET(test_what_the_job_says_comes_first),
        FLEET(test_lines_of_a_batch_too),
        FLEET(test_a_worker_goes_by_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The examples under examples/pools/ on a whole worker: each language shows
 * each way in which a job can go.  One that is not at hand is skipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/support/fleet.h"

#define Q   "ms:{t/q}:"
#define DIR MS_TEST_SOURCE_DIR "/examples/pools/"

#define CONF                                                                 \
    "worker: { queues: [q], concurrency: 1, claim_ttl: 1s, grace: 20s,\n"    \
    "  http: \"off\" }\n"                                                    \
    "queues: [{ name: q, max_workers: 4, max_attempts: 2,\n"                 \
    "  backoff: { enabled: false } }]\n"                                     \
    "pools:\n"                                                               \
    "  - { kinds: [\"py.\"], argv: [python3, " DIR "python/handlers.py] }\n" \
    "  - { kinds: [\"js.\"], argv: [node, " DIR "node/handlers.js] }\n"      \
    "  - { kinds: [\"sh.\"], argv: [sh, " DIR "shell/handlers.sh] }\n"

/* A limit that the kind `busy` names drains when its handler says for how long
 * its target is busy. */
#define LIMITED                                                     \
    "limits: [{ scope: api, capacity: 5, refill_per_second: 5 }]\n" \
    "kinds:\n"                                                      \
    "  - { prefix: py.busy, limit: api }\n"                         \
    "  - { prefix: js.busy, limit: api }\n"                         \
    "  - { prefix: sh.busy, limit: api }\n"

static struct ms_test_fleet *fleet;

static const char *field(const char *id, const char *name)
{
    return ms_test_text(fleet->redis, "HGET " Q "job:%s %s", id, name);
}

static bool is_state(const char *id, const char *state)
{
    return strcmp(field(id, "state"), state) == 0;
}

/* Job `id` of kind LANGUAGE.NAME. */
static void enqueue(const char *id, const char *language, const char *name,
                    const char *payload)
{
    CHECK_INT(ms_test_ctl(fleet, "job enqueue %s.%s %s --queue q --id %s",
                          language, name, payload, id),
              ==, 0);
}

static void wait_for(const char *id, const char *state)
{
    WAIT_FOR(60000, is_state(id, "done") || is_state(id, "dead"));
    if (!is_state(id, state))
        print_error("%s: %s\n", id, field(id, "error"));
    CHECK_STR(field(id, "state"), state);
}

static void check_result(const char *id, const char *key, const char *value)
{
    wait_for(id, "done");
    CHECK_INT(ms_test_ctl(fleet, "job show %s --queue q --json", id), ==, 0);
    CHECK_STR(ms_test_ctl_field(key), value);
}

/* It is asked to stop while it counts; what comes next has a new program. */
static void check_cancel(const char *language)
{
    enqueue("long", language, "count", "{\"to\":100000,\"pause_ms\":100}");
    WAIT_FOR(60000, atoll(field("long", "seq")) > 0);
    CHECK_INT(ms_test_ctl(fleet, "job cancel long --queue q"), ==, 0);
    wait_for("long", "dead");
    CHECK_CONTAINS(field("long", "error"), "cancelled");
    enqueue("after", language, "hello", "{\"name\":\"Bob\"}");
    check_result("after", "hello", "Bob");
}

static void check_language(const char *language, const char *program)
{
    char *find = ms_xasprintf("command -v %s >/dev/null", program);
    int code = system(find);
    struct ms_proc *worker;

    free(find);
    if (code != 0) {
        print_message("no %s here\n", program);
        skip();
    }
    fleet = ms_test_fleet_new(NULL, CONF LIMITED);
    worker = ms_test_worker(fleet);
    enqueue("hi", language, "hello", "{\"name\":\"Ada\"}");
    check_result("hi", "hello", "Ada");
    enqueue("fail", language, "fail", "{}");
    wait_for("fail", "dead");
    CHECK_CONTAINS(field("fail", "error"), "this never works");
    CHECK_STR(field("fail", "attempts"), "2");
    enqueue("refuse", language, "refuse", "{}");
    wait_for("refuse", "dead");
    CHECK_CONTAINS(field("refuse", "error"), "no such customer");
    CHECK_STR(field("refuse", "attempts"), "1");
    enqueue("resume", language, "count", "{\"to\":5,\"fail_at\":3}");
    check_result("resume", "from", "3");
    CHECK_STR(field("resume", "seq"), "5");
    check_cancel(language);
    enqueue("busy", language, "busy", "{}");
    WAIT_FOR(60000, strcmp(field("busy", "error"), "429 from the API") == 0);
    CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "stats throttled"), "1");
    WAIT_FOR(60000,
             strcmp(ms_test_text(fleet->redis, "HGET ms:{t}:limit:api drained"),
                    "1") == 0);
    ms_proc_free(worker);
    ms_test_fleet_free(fleet);
}

static TEST(test_the_example_in_python)
{
    check_language("py", "python3");
}

static TEST(test_the_example_for_node)
{
    check_language("js", "node");
}

static TEST(test_the_example_in_shell)
{
    check_language("sh", "sh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_the_example_in_python),
        RUN(test_the_example_for_node),
        RUN(test_the_example_in_shell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

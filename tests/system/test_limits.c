/* Rate limits with whole workers and musterctl, as an operator meets them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/enqueue.h"
#include "common/ulid.h"
#include "tests/support/fleet.h"

#define Q "ms:{t/q}:"
#define S "ms:{t}:limit:s"

#define YAML(limit)                                                        \
    "worker: { queues: [q], concurrency: 4, grace: 20s, http: \"off\" }\n" \
    "coordinator: { http: \"off\" }\n"                                     \
    "queues: [{ name: q, max_workers: 8 }]\n"                              \
    "kinds: [{ prefix: noop.echo, limit: s }]\n" limit

static struct ms_test_fleet *fleet;

static int finish(void **state)
{
    ms_test_fleet_free(fleet);
    fleet = NULL;
    return 0;
}

static void enqueue(int n, const char *kind)
{
    for (int i = 0; i < n; i++) {
        char id[MS_ULID_LEN + 1], token[MS_ULID_LEN + 1];
        struct ms_new_job job = {.id = id,
                                 .kind = kind,
                                 .payload = "{\"ms\":1}",
                                 .payload_len = 8,
                                 .json = true,
                                 .priority = MS_PRIORITY_DEFAULT};
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_ulid_new(id);
        ms_ulid_new(token);
        CHECK_INT(ms_enqueue_build(&cmd, "t", "q", token, &job, 1, 1 << 20,
                                   NULL),
                  ==, MS_OK);
        ms_test_run(fleet->redis, &cmd);
    }
}

static int64_t number(const char *key, const char *field)
{
    const char *text = ms_test_text(fleet->redis, "HGET %s %s", key, field);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

static int64_t done(void)
{
    return ms_test_num(fleet->redis, "ZCARD " Q "done");
}

/* Tokens taken and not returned. */
static int64_t out(void)
{
    return number(S, "acquired") - number(S, "returned");
}

static int64_t redis_now_ms(void)
{
    const struct ms_reply *reply = ms_test_cmd(fleet->redis, "TIME");

    return atoll(reply->items[0].str) * 1000 +
           atoll(reply->items[1].str) / 1000;
}

static void stop(struct ms_proc *proc)
{
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    ms_proc_free(proc);
}

/* However slow this machine is: what was done by a moment may not exceed what
 * the bucket held and what came until then. */
static TEST(test_two_pods_together_keep_to_one_limit)
{
    struct ms_proc *first, *second;
    int64_t began_ms;

    fleet = ms_test_fleet_new(
        NULL, YAML("limits: [{ scope: s, capacity: 5, refill_per_second: "
                   "20 }]\n"));
    first = ms_test_worker(fleet);
    second = ms_test_worker(fleet);
    began_ms = redis_now_ms();
    enqueue(60, "noop.echo");
    while (done() < 60) {
        int64_t so_far = done();
        int64_t passed_ms = redis_now_ms() - began_ms;

        CHECK_INT(so_far, <=, 5 + 20 * passed_ms / 1000 + 1);
        WAIT_FOR(60000, done() > so_far);
    }
    CHECK_INT(out(), ==, 60);
    CHECK_INT(number(Q "stats", "failed"), ==, 0);
    CHECK_INT(number(Q "stats", "done"), ==, 60);
    stop(first);
    stop(second);
}

static TEST(test_jobs_without_a_limit_pass_those_that_wait)
{
    struct ms_proc *worker;

    fleet = ms_test_fleet_new(
        NULL, YAML("limits: [{ scope: s, capacity: 1, refill_per_second: "
                   "0.0001 }]\n"));
    worker = ms_test_worker(fleet);
    enqueue(50, "noop.echo");
    enqueue(20, "noop.sleep");
    WAIT_FOR(60000, done() == 21);
    CHECK_INT(out(), ==, 1);
    stop(worker);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD " Q "leases"), ==, 0);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD " Q "dead"), ==, 0);
    CHECK_INT(out(), ==, 1);
}

static TEST(test_a_limit_is_changed_live)
{
    struct ms_proc *worker;

    fleet = ms_test_fleet_new(
        NULL,
        YAML("limits: [{ scope: s, capacity: 1, refill_per_second: 0 }]\n"));
    worker = ms_test_worker(fleet);
    enqueue(20, "noop.echo");
    WAIT_FOR(60000, done() == 1 && number(S, "refused") > 0);
    CHECK_INT(ms_test_ctl(fleet, "--json limit set s capacity=100 tokens=100"),
              ==, 0);
    CHECK_STR(ms_test_ctl_field("capacity"), "100");
    WAIT_FOR(60000, done() == 20);
    CHECK_INT(out(), ==, 20);
    stop(worker);
}

static TEST(test_a_drained_limit_lets_nothing_start)
{
    struct ms_proc *worker;

    fleet = ms_test_fleet_new(
        NULL,
        YAML("limits: [{ scope: s, capacity: 50, refill_per_second: 50 }]\n"));
    CHECK_INT(ms_test_ctl(fleet, "limit set s capacity=50 "
                                 "refill_per_second=50"),
              ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "--json limit drain s --for 1h"), ==, 0);
    worker = ms_test_worker(fleet);
    enqueue(5, "noop.echo");
    WAIT_FOR(60000, number(S, "refused") > 0);
    WAIT_FOR(60000, ms_test_num(fleet->redis, "ZCARD " Q "leases") == 0);
    CHECK_INT(done(), ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "limit set s tokens=50"), ==, 0);
    WAIT_FOR(60000, done() == 5);
    stop(worker);
}

#define THROTTLED                                             \
    "{\"line\":\"\\\"status\\\":\\\"throttled\\\",\\\"retry_" \
    "after_s\\\":3600\"}"

/* A pool's program was told by its target to come back later. */
static TEST(test_a_pool_that_is_throttled_drains_its_scope)
{
    struct ms_proc *worker;

    fleet = ms_test_fleet_new(
        NULL, "worker: { queues: [q], http: \"off\" }\n"
              "limits: [{ scope: s, capacity: 50, refill_per_second: 50 }]\n"
              "pools: [{ kinds: [\"p.\"], limit: s,\n"
              "  argv: [\"" MS_TEST_BIN_DIR "/pool_child\"] }]\n");
    worker = ms_test_worker(fleet);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue p.say %s --queue q", THROTTLED),
              ==, 0);
    WAIT_FOR(60000, number(S, "drained") == 1);
    CHECK_INT(number(S, "blocked_until_ms"), >, redis_now_ms() + 3000000);
    WAIT_FOR(60000, number(Q "stats", "throttled") == 1);
    stop(worker);
}

/* A worker that is told to stop waits for no tokens. */
static TEST(test_a_stop_does_not_wait_for_tokens)
{
    struct ms_proc *worker;

    fleet = ms_test_fleet_new(
        NULL, YAML("limits: [{ scope: s, capacity: 1, refill_per_second: "
                   "1.1 }]\n"));
    worker = ms_test_worker(fleet);
    enqueue(10, "noop.echo");
    WAIT_FOR(60000, number(S, "waited") > 0);
    stop(worker);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD " Q "leases"), ==, 0);
    CHECK_INT(out(), ==, done());
}

/* ---- what is not there ---- */

static TEST(test_a_missing_limit_is_told_and_the_jobs_wait)
{
    struct ms_proc *worker;

    fleet = ms_test_fleet_new(NULL, YAML(""));
    worker = ms_test_worker(fleet);
    enqueue(3, "noop.echo");
    WAIT_FOR(60000, strstr(ms_proc_stderr(worker), "event=no_limit") != NULL);
    CHECK_CONTAINS(ms_proc_stderr(worker), "scope=s");
    CHECK_INT(done(), ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "limit set s capacity=9 refill_per_second=9"),
              ==, 0);
    WAIT_FOR(60000, done() == 3);
    stop(worker);
}

static TEST(test_check_config_knows_the_limits)
{
    char *text = NULL;
    const char *argv[] = {"muster-worker", "--check-config", "--config", NULL,
                          NULL};

    fleet = ms_test_fleet_new(
        NULL,
        YAML("limits: [{ scope: x, capacity: 1, refill_per_second: 1 }]\n"));
    argv[3] = fleet->conf;
    CHECK_INT(ms_proc_run(argv, NULL, NULL, &text), ==, 2);
    CHECK_CONTAINS(text, "limit 's' is not among the limits");
    free(text);
}

/* ---- musterctl ---- */

static TEST(test_musterctl_shows_takes_and_forgets)
{
    fleet = ms_test_fleet_new(NULL, "");
    CHECK_INT(ms_test_ctl(fleet, "--json limit list"), ==, 0);
    CHECK_STR(ms_test_ctl_stdout(), "[]\n");
    CHECK_INT(ms_test_ctl(fleet, "limit set a capacity=2 refill_per_second=0"),
              ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "--json limit acquire a --n 2"), ==, 0);
    CHECK_STR(ms_test_ctl_field("acquired"), "true");
    CHECK_STR(ms_test_ctl_field("wait_ms"), "0");
    CHECK_INT(ms_test_ctl(fleet, "--json limit acquire a --wait 1h"), ==, 1);
    CHECK_STR(ms_test_ctl_field("acquired"), "false");
    CHECK_STR(ms_test_ctl_field("wait_ms"), "null");
    CHECK_INT(ms_test_ctl(fleet, "--json limit show a"), ==, 0);
    CHECK_STR(ms_test_ctl_field("scope"), "a");
    CHECK_STR(ms_test_ctl_field("tokens"), "0");
    CHECK_STR(ms_test_ctl_field("acquired"), "2");
    CHECK_STR(ms_test_ctl_field("refused"), "1");
    CHECK_STR(ms_test_ctl_field("blocked_until_ms"), "null");
    CHECK_INT(ms_test_ctl(fleet, "limit list"), ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "REFILL/S");
    CHECK_INT(ms_test_ctl(fleet, "--json limit rm a"), ==, 0);
    CHECK_STR(ms_test_ctl_field("result"), "removed");
    CHECK_INT(ms_test_ctl(fleet, "limit rm a"), ==, 1);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "there is no limit 'a'");
}

static TEST(test_musterctl_waits_for_tokens)
{
    fleet = ms_test_fleet_new(NULL, "");
    ms_test_ctl(fleet, "limit set a capacity=1 refill_per_second=0.3 tokens=0");
    CHECK_INT(ms_test_ctl(fleet, "limit acquire a"), ==, 1);
    CHECK_INT(ms_test_ctl(fleet, "--json limit acquire a --wait 30s"), ==, 0);
    CHECK_STR(ms_test_ctl_field("acquired"), "true");
}

/* Ctrl-C gives back what was reserved. */
static TEST(test_musterctl_that_is_interrupted_takes_nothing)
{
    struct ms_proc *proc;

    fleet = ms_test_fleet_new(NULL, "");
    ms_test_ctl(fleet, "limit set s capacity=1 refill_per_second=0.001 "
                       "tokens=0");
    proc = ms_proc_start((const char *const[]){"musterctl", "--config",
                                               fleet->conf, "limit", "acquire",
                                               "s", "--wait", "1h", NULL},
                         NULL);
    WAIT_FOR(60000, number(S, "acquired") == 1);
    ms_proc_signal(proc, SIGINT);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 130);
    ms_proc_free(proc);
    CHECK_INT(number(S, "returned"), ==, 1);
}

static TEST(test_musterctl_refuses_what_makes_no_sense)
{
    static const struct {
        const char *words;
        int code;
        const char *why;
    } cases[] = {
        {"limit show a", 1, "there is no limit 'a'"},
        {"limit acquire a", 1, "there is no limit 'a'"},
        {"limit drain a", 1, "there is no limit 'a'"},
        {"limit set a capacity=5", 2, "needs capacity and refill_per_second"},
        {"limit set a capacity=0 refill_per_second=1", 2, "capacity: must be"},
        {"limit set a capacity=1 refill_per_second=-1", 2,
         "refill_per_second: '-1'"},
        {"limit set a speed=1", 2, "'speed' is not capacity"},
        {"limit set a capacity", 2, "'capacity' is not key=value"},
        {"limit set a{b capacity=1 refill_per_second=1", 2, "scope 'a{b'"},
        {"limit acquire a --n 0", 2, "--n"},
        {"limit acquire a --wait soon", 2, "--wait"},
    };

    fleet = ms_test_fleet_new(NULL, "");
    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        CHECK_INT(ms_test_ctl(fleet, "%s", cases[i].words), ==, cases[i].code);
        CHECK_CONTAINS(ms_test_ctl_stderr(), cases[i].why);
    }
    CHECK_INT(ms_test_num(fleet->redis, "EXISTS ms:{t}:limits ms:{t}:limit:a"),
              ==, 0);
    ms_test_ctl(fleet, "limit set a capacity=5 refill_per_second=1");
    CHECK_INT(ms_test_ctl(fleet, "limit acquire a --n 6"), ==, 2);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "holds 5 tokens");
    CHECK_INT(ms_test_ctl(fleet, "limit set a tokens=6"), ==, 2);
}

#define LIMITS(name) cmocka_unit_test_teardown(name, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIMITS(test_two_pods_together_keep_to_one_limit),
        LIMITS(test_jobs_without_a_limit_pass_those_that_wait),
        LIMITS(test_a_limit_is_changed_live),
        LIMITS(test_a_drained_limit_lets_nothing_start),
        LIMITS(test_a_pool_that_is_throttled_drains_its_scope),
        LIMITS(test_a_stop_does_not_wait_for_tokens),
        LIMITS(test_a_missing_limit_is_told_and_the_jobs_wait),
        LIMITS(test_check_config_knows_the_limits),
        LIMITS(test_musterctl_shows_takes_and_forgets),
        LIMITS(test_musterctl_waits_for_tokens),
        LIMITS(test_musterctl_that_is_interrupted_takes_nothing),
        LIMITS(test_musterctl_refuses_what_makes_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

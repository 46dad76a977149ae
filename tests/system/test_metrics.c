/* musterctl metrics: what workers counted and the leader made lines of. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fleet.h"

#define Q "ms:{t/q}:"

static struct ms_test_fleet *fleet;

static void begin(void)
{
    fleet = ms_test_fleet_new(
        NULL, "worker: { queues: [q], concurrency: 4, http: \"off\" }\n"
              "queues:\n  - { name: q, max_workers: 4, retain_done_max: 3 }\n");
}

static void finish(void)
{
    ms_test_fleet_free(fleet);
}

/* The sum of a field over all minutes that wait for the leader. */
static int64_t counted(const char *field)
{
    const struct ms_reply *all =
        ms_test_cmd(fleet->redis, "SMEMBERS %s", Q "minutes");
    size_t n = all->n_items < 8 ? all->n_items : 8;
    long long minutes[8];
    int64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        minutes[i] = atoll(ms_reply_str(ms_reply_at(all, i), "0"));
    for (size_t i = 0; i < n; i++) {
        const char *text =
            ms_test_text(fleet->redis, "HGET " Q "minute:%lld %s", minutes[i],
                         field);

        sum += strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
    }
    return sum;
}

/* Makes what was counted in this minute, or the last one, a few minutes old, in
 * place of waiting for the minute's end. */
static void age_minutes(void)
{
    const struct ms_reply *all =
        ms_test_cmd(fleet->redis, "SMEMBERS %s", Q "minutes");
    size_t n = all->n_items < 8 ? all->n_items : 8;
    long long minutes[8];

    for (size_t i = 0; i < n; i++)
        minutes[i] = atoll(ms_reply_str(ms_reply_at(all, i), "0"));
    for (size_t i = 0; i < n; i++) {
        ms_test_text(fleet->redis, "RENAME " Q "minute:%lld " Q "minute:%lld",
                     minutes[i], minutes[i] - 5);
        ms_test_text(fleet->redis, "SREM " Q "minutes %lld", minutes[i]);
        ms_test_text(fleet->redis, "SADD " Q "minutes %lld", minutes[i] - 5);
    }
}

static int64_t field(const char *name)
{
    return atoll(ms_test_ctl_field(name));
}

static TEST(test_a_minute_s_jobs_are_shown_with_their_times)
{
    struct ms_proc *worker, *coordinator;

    begin();
    worker = ms_test_worker(fleet);
    for (int i = 0; i < 5; i++)
        CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q"), ==,
                  0);
    WAIT_FOR(20000, counted("done") == 5);
    ms_proc_free(worker);
    age_minutes();
    coordinator = ms_test_coordinator(fleet);
    WAIT_FOR(20000, ms_test_ctl(fleet, "metrics --queue q --json") == 0 &&
                        field("done") == 5);
    CHECK_INT(field("run_p50_us"), >, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "\"minutes\":[{\"at_ms\":");
    CHECK_INT(ms_test_ctl(fleet, "metrics --queue q"), ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "PICKUP P50");
    CHECK_CONTAINS(ms_test_ctl_stdout(), "totals since ever");
    CHECK_INT(ms_test_ctl(fleet, "metrics"), ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "QUEUE");
    CHECK_INT(ms_test_ctl(fleet, "metrics --last 1m --json"), ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "\"name\":\"q\"");
    ms_proc_free(coordinator);
    finish();
}

/* Retention is by count here: three of five are kept. */
static TEST(test_what_retention_deleted_is_in_the_totals)
{
    struct ms_proc *worker, *coordinator;

    begin();
    worker = ms_test_worker(fleet);
    coordinator = ms_test_coordinator(fleet);
    for (int i = 0; i < 5; i++)
        CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q"), ==,
                  0);
    WAIT_FOR(60000, ms_test_ctl(fleet, "metrics --queue q --json") == 0 &&
                        field("retained_done") == 2);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD " Q "done"), ==, 3);
    ms_proc_free(coordinator);
    ms_proc_free(worker);
    finish();
}

static TEST(test_misuse_is_told)
{
    begin();
    CHECK_INT(ms_test_ctl(fleet, "metrics --last 31d"), ==, 2);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "30d");
    CHECK_INT(ms_test_ctl(fleet, "metrics --last 1s"), ==, 2);
    CHECK_INT(ms_test_ctl(fleet, "metrics --queue a/b"), ==, 2);
    CHECK_INT(ms_test_ctl(fleet, "metrics --queue nobody"), ==, 1);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "no queue");
    CHECK_INT(ms_test_ctl(fleet, "metrics"), ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "(none)");
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_minute_s_jobs_are_shown_with_their_times),
        RUN(test_what_retention_deleted_is_in_the_totals),
        RUN(test_misuse_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

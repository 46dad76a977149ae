/* What a running fleet tells about itself: events and the minute's counts. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fleet.h"

#define Q "ms:{t/q}:"

static struct ms_test_fleet *fleet;

static void begin(void)
{
    fleet = ms_test_fleet_new(NULL, "worker: { queues: [q], concurrency: 4, "
                                    "http: \"off\" }\n"
                                    "queues:\n  - { name: q, max_workers: 4, "
                                    "max_attempts: 1 }\n");
}

static void finish(void)
{
    ms_test_fleet_free(fleet);
}

static int64_t stat_of(const char *name)
{
    const char *text = ms_test_text(fleet->redis, "HGET " Q "stats %s", name);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

/* How many events have this value in this field, and the last one's detail. */
static char last_detail[512];
static int64_t events_of(const char *field, const char *value)
{
    const struct ms_reply *all =
        ms_test_cmd(fleet->redis, "XRANGE %s - +", Q "events");
    int64_t n = 0;

    for (size_t i = 0; i < all->n_items; i++) {
        const struct ms_reply *fields = ms_reply_at(ms_reply_at(all, i), 1);

        if (!ms_reply_is(ms_reply_field(fields, field), value))
            continue;
        n++;
        snprintf(last_detail, sizeof(last_detail), "%s",
                 ms_reply_str(ms_reply_field(fields, "detail"), ""));
    }
    return n;
}

/* The sum of a field over all minutes that were counted. */
static int64_t counted(const char *field)
{
    const struct ms_reply *all =
        ms_test_cmd(fleet->redis, "SMEMBERS %s", Q "minutes");
    long long minutes[8];
    size_t n = all->n_items < 8 ? all->n_items : 8;
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

static TEST(test_each_of_a_few_jobs_has_its_events)
{
    struct ms_proc *worker;

    begin();
    worker = ms_test_worker(fleet);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q --id A"),
              ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue cmd.exec {\"argv\":[\"rm\"]} "
                                 "--queue q --id B"),
              ==, 0);
    WAIT_FOR(20000, events_of("id", "A") == 2);
    WAIT_FOR(20000, events_of("id", "B") == 2);
    CHECK_INT(events_of("type", "dead"), ==, 1);
    CHECK_CONTAINS(last_detail, "allow");
    CHECK_INT(events_of("type", "started"), ==, 2);
    CHECK_STR(last_detail, "attempt 1");
    CHECK_INT(events_of("pod", ms_test_pod_id(worker)), ==, 4);
    ms_proc_free(worker);
    finish();
}

/* Nobody reads thousands of events a second; counts are whole all the same, and
 * nothing is left untold at a stop. */
static TEST(test_a_flood_is_summed_up_and_told_before_the_end)
{
    struct ms_proc *worker;
    struct ms_buf lines = MS_BUF_INIT;
    char *path;

    begin();
    for (int i = 0; i < 3000; i++)
        ms_buf_adds(&lines, "{\"kind\":\"noop.echo\",\"queue\":\"q\"}\n");
    path = ms_test_file("flood.ndjson", lines.data, lines.len);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue --batch %s", path), ==, 0);
    worker = ms_test_worker(fleet);
    WAIT_FOR(30000, stat_of("done") == 3000);
    ms_proc_signal(worker, SIGTERM);
    CHECK_INT(ms_proc_wait(worker, 20000), ==, 0);
    CHECK_INT(counted("done"), ==, 3000);
    CHECK_INT(events_of("type", "done"), <, 3000);
    CHECK_INT(events_of("type", "summary"), >=, 1);
    CHECK_CONTAINS(last_detail, "done=");
    ms_proc_free(worker);
    free(path);
    ms_buf_done(&lines);
    finish();
}

static TEST(test_reports_go_on_after_a_restart_of_redis)
{
    struct ms_proc *worker;

    begin();
    ms_test_cmd(fleet->redis, "CONFIG SET appendonly yes");
    WAIT_FOR(20000, strstr(ms_test_text(fleet->redis, "INFO persistence"),
                           "aof_rewrite_in_progress:0") != NULL);
    worker = ms_test_worker(fleet);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q --id A"),
              ==, 0);
    WAIT_FOR(20000, counted("done") == 1);
    ms_test_redis_down(fleet->redis, SIGKILL);
    ms_test_redis_up(fleet->redis);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q --id B"),
              ==, 0);
    WAIT_FOR(30000, events_of("id", "B") == 2);
    ms_proc_free(worker);
    finish();
}

static TEST(test_a_new_leader_is_an_event_of_the_fleet)
{
    struct ms_proc *coordinator;

    begin();
    coordinator = ms_test_coordinator(fleet);
    CHECK_CONTAINS(ms_test_text(fleet->redis, "HGET ms:{t}:leader id"), "01");
    CHECK_INT(ms_test_num(fleet->redis, "XLEN ms:{t}:events"), ==, 1);
    ms_proc_signal(coordinator, SIGTERM);
    CHECK_INT(ms_proc_wait(coordinator, 20000), ==, 0);
    CHECK_INT(ms_test_num(fleet->redis, "XLEN ms:{t}:events"), ==, 2);
    ms_proc_free(coordinator);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_each_of_a_few_jobs_has_its_events),
        RUN(test_a_flood_is_summed_up_and_told_before_the_end),
        RUN(test_reports_go_on_after_a_restart_of_redis),
        RUN(test_a_new_leader_is_an_event_of_the_fleet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

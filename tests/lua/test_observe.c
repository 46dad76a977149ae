/* What pods report, and the lines that the leader makes of it. */
#include <stdio.h>
#include <stdlib.h>

#include "common/histogram.h"
#include "common/observe.h"
#include "tests/support/core.h"

#define MINUTE_MS 60000

static void observe(struct ms_core *core, const char *pod, int64_t number,
                    const struct ms_event *events, size_t n_events,
                    const struct ms_minute_count *counts, size_t n_counts)
{
    struct ms_tenant who = {"m", "q", pod};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_observe_build(&cmd, &who, number, events, n_events, counts, n_counts);
    CHECK_INT(ms_observe_parse(ms_test_run(core->redis, &cmd), NULL), ==,
              MS_OK);
}

static void count(struct ms_core *core, int64_t number, const char *field,
                  int64_t n)
{
    struct ms_minute_count one = {.n = n};

    snprintf(one.field, sizeof(one.field), "%s", field);
    observe(core, "p1", number, NULL, 0, &one, 1);
}

static int64_t this_minute(struct ms_core *core)
{
    return ms_core_now(core) / MINUTE_MS;
}

/* No minute ends in the middle of a test. */
static int setup(void **state)
{
    int rc = ms_core_setup(state);
    struct ms_core *core = *state;

    WAIT_FOR(20000, ms_core_now(core) % MINUTE_MS < MINUTE_MS - 5000);
    return rc;
}

/* What was counted in the only minute happened `ago` minutes ago instead. */
static void let_pass(struct ms_core *core, int64_t ago)
{
    int64_t from = ms_test_num(core->redis, "SPOP %s", K("minutes"));
    int64_t to = this_minute(core) - ago;

    ms_test_cmd(core->redis, "RENAME " K("minute:%lld") " " K("minute:%lld"),
                (long long)from, (long long)to);
    ms_test_cmd(core->redis, "SADD " K("minutes") " %lld", (long long)to);
}

static enum ms_err roll(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_roll_build(&cmd, "m", "q", core->epoch);
    return ms_tidy_parse(ms_test_run(core->redis, &cmd), &core->tidy,
                         &core->error);
}

/* The line of so many minutes ago; all zero where there is none. */
static struct ms_minute_line line_of(struct ms_core *core, int64_t minute)
{
    struct ms_minute_line line = {0};
    char name[32];

    snprintf(name, sizeof(name), "%lld", (long long)minute);
    ms_minute_line_parse(name,
                         ms_test_text(core->redis, "HGET " K("roll:%lld") " %s",
                                      (long long)minute / 60, name),
                         &line);
    return line;
}

static const char *event_field(struct ms_core *core, const char *name)
{
    const struct ms_reply *reply =
        ms_test_cmd(core->redis, "XREVRANGE %s + - COUNT 1", K("events"));

    return ms_reply_str(ms_reply_field(ms_reply_at(ms_reply_at(reply, 0), 1),
                                       name),
                        "");
}

/* ---- what pods tell ---- */

static TEST(test_an_event_has_its_time_and_its_pod)
{
    struct ms_core *core = *state;
    struct ms_event event = {"failed", "J1", "mail.send", "no such host", 5000};
    int64_t now = ms_core_now(core);

    observe(core, "p1", 1, &event, 1, NULL, 0);
    CHECK_STR(event_field(core, "type"), "failed");
    CHECK_STR(event_field(core, "id"), "J1");
    CHECK_STR(event_field(core, "kind"), "mail.send");
    CHECK_STR(event_field(core, "pod"), "p1");
    CHECK_STR(event_field(core, "detail"), "no such host");
    CHECK_INT(atoll(event_field(core, "at_ms")), >=, now - 5000);
    CHECK_INT(atoll(event_field(core, "at_ms")), <=, ms_core_now(core) - 5000);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("minutes")), ==, 0);
}

static TEST(test_counts_add_up_in_the_minute)
{
    struct ms_core *core = *state;
    int64_t sum = 0;

    count(core, 1, "done", 3);
    count(core, 2, "done", 4);
    for (int64_t m = this_minute(core) - 1; m <= this_minute(core); m++)
        sum += atoll(ms_test_text(core->redis, "HGET " K("minute:%lld") " done",
                                  (long long)m));
    CHECK_INT(sum, ==, 7);
}

/* The answer of the first was lost. */
static TEST(test_a_repeated_report_counts_once)
{
    struct ms_core *core = *state;
    struct ms_event event = {"done", "J1", "k", "", 0};

    for (int i = 0; i < 3; i++)
        observe(core, "p1", 1, &event, 1, NULL, 0);
    CHECK_INT(ms_test_num(core->redis, "XLEN %s", K("events")), ==, 1);
    observe(core, "p2", 1, &event, 1, NULL, 0);
    observe(core, "p1", 2, &event, 1, NULL, 0);
    CHECK_INT(ms_test_num(core->redis, "XLEN %s", K("events")), ==, 3);
}

static TEST(test_a_dead_job_is_told_by_the_script_with_its_pod)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "J1");
    ms_core_finish(core, "p1", "J1", ms_core_claim_one(core, "p1", "J1"),
                   MS_FINISH_DEAD);
    CHECK_STR(event_field(core, "type"), "dead");
    CHECK_STR(event_field(core, "pod"), "p1");
}

/* ---- lines ---- */

static TEST(test_a_minute_that_goes_on_is_left_alone)
{
    struct ms_core *core = *state;

    count(core, 1, "done", 3);
    CHECK_INT(roll(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "SCARD %s", K("minutes")), ==, 1);
}

static TEST(test_a_finished_minute_becomes_a_line)
{
    struct ms_core *core = *state;
    int64_t minute;

    count(core, 1, "done", 90);
    count(core, 2, "failed", 7);
    count(core, 3, "throttled", 2);
    count(core, 4, "released", 1);
    let_pass(core, 3);
    minute = this_minute(core) - 3;
    CHECK_INT(roll(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 1);
    CHECK_INT(line_of(core, minute).done, ==, 90);
    CHECK_INT(line_of(core, minute).failed, ==, 7);
    CHECK_INT(line_of(core, minute).throttled, ==, 2);
    CHECK_INT(line_of(core, minute).released, ==, 1);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("minutes")), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "TTL " K("roll:%lld"),
                          (long long)minute / 60),
              >, 30 * 86400);
    CHECK_INT(roll(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
}

/* What stands still has a line as well, as long as something is there. */
static TEST(test_the_newest_minute_has_the_totals_growth_and_the_sizes)
{
    struct ms_core *core = *state;
    struct ms_minute_line line = {0};

    ms_core_enqueue_many(core, "j", NULL, 5);
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 2);
    CHECK_INT(roll(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 1);
    line =
        line_of(core, ms_test_num(core->redis, "HGET %s minute", K("rolled")));
    CHECK_INT(line.enqueued, ==, 5);
    CHECK_INT(line.ready, ==, 3);
    CHECK_INT(line.running, ==, 2);
    CHECK_INT(roll(core), ==, MS_OK); /* the same minute: once */
    CHECK_INT(core->tidy.n, ==, 0);
}

static TEST(test_an_idle_queue_has_no_lines)
{
    struct ms_core *core = *state;

    CHECK_INT(roll(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "DBSIZE"), <=, 4);
}

/* After hours without a leader it goes in steps. */
static TEST(test_many_minutes_go_in_steps)
{
    struct ms_core *core = *state;
    int64_t minute = this_minute(core);

    for (int i = 0; i < 50; i++) {
        ms_test_cmd(core->redis, "SADD " K("minutes") " %lld",
                    (long long)minute - 60 + i);
        ms_test_cmd(core->redis, "HSET " K("minute:%lld") " done %d",
                    (long long)minute - 60 + i, i + 1);
    }
    CHECK_INT(roll(core), ==, MS_OK);
    CHECK(core->tidy.more);
    CHECK_INT(core->tidy.n, ==, 20);
    CHECK_INT(roll(core), ==, MS_OK);
    CHECK(core->tidy.more);
    CHECK_INT(roll(core), ==, MS_OK);
    CHECK(!core->tidy.more);
    for (int i = 0; i < 50; i++)
        CHECK_INT(line_of(core, minute - 60 + i).done, ==, i + 1);
}

/* A fleet without a leader: what its pods told has expired meanwhile. */
static TEST(test_minutes_whose_counts_are_gone_have_no_line)
{
    struct ms_core *core = *state;
    int64_t now = this_minute(core), n_lines = 0;
    int steps = 0;

    for (int i = 0; i < 500; i++)
        ms_test_cmd(core->redis, "SADD " K("minutes") " %lld",
                    (long long)now - 200 - i);
    count(core, 1, "done", 3);
    do {
        CHECK_INT(roll(core), ==, MS_OK);
        n_lines += core->tidy.n;
    } while (core->tidy.more && ++steps < 10);
    CHECK_INT(steps, <, 10);
    CHECK_INT(n_lines, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "SCARD %s", K("minutes")), ==, 1);
}

static TEST(test_an_older_leader_rolls_nothing)
{
    struct ms_core *core = *state;

    core->epoch = 5;
    CHECK_INT(roll(core), ==, MS_OK);
    count(core, 1, "done", 1);
    let_pass(core, 2);
    core->epoch = 4;
    CHECK_INT(roll(core), ==, MS_ESTALE);
    CHECK_INT(ms_test_num(core->redis, "SCARD %s", K("minutes")), ==, 1);
}

/* ---- percentiles ---- */

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return left < right ? -1 : left > right;
}

static void check_near(int64_t measured, int64_t exact)
{
    int64_t slack = exact / 16 + 1;

    CHECK_INT(measured, >=, exact - slack);
    CHECK_INT(measured, <=, exact + slack);
}

/* Against the values themselves, sorted. */
static TEST(test_percentiles_are_off_by_a_sixteenth_at_most)
{
    struct ms_core *core = *state;
    static struct ms_minute_count counts[MS_HISTOGRAM_BUCKETS];
    static struct ms_histogram histogram;
    static int64_t values[1000];
    size_t n = 0;
    struct ms_minute_line line;

    srandom((unsigned)ms_test_seed());
    for (int i = 0; i < 1000; i++) {
        values[i] = random() >> (random() % 31);
        ms_histogram_add(&histogram, values[i]);
    }
    for (int i = 0; i < MS_HISTOGRAM_BUCKETS; i++)
        if (histogram.counts[i] > 0) {
            snprintf(counts[n].field, sizeof(counts[n].field), "r%d", i);
            counts[n++].n = histogram.counts[i];
        }
    observe(core, "p1", 1, NULL, 0, counts, n);
    let_pass(core, 2);
    CHECK_INT(roll(core), ==, MS_OK);
    line = line_of(core, this_minute(core) - 2);
    qsort(values, 1000, sizeof(values[0]), compare);
    check_near(line.ran.p50_us, values[499]);
    check_near(line.ran.p95_us, values[949]);
    check_near(line.ran.p99_us, values[989]);
    CHECK_INT(line.waited.p50_us, ==, 0);
}

/* ---- a line's text ---- */

static TEST(test_a_line_of_another_shape_is_none)
{
    struct ms_minute_line line;

    CHECK(ms_minute_line_parse("7", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
                               &line));
    CHECK_INT(line.minute, ==, 7);
    CHECK_INT(line.done, ==, 1);
    CHECK_INT(line.running, ==, 10);
    CHECK_INT(line.ran.p99_us, ==, 16);
    CHECK(!ms_minute_line_parse("7", "1 2 3", &line));
    CHECK(!ms_minute_line_parse("7",
                                "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
                                &line));
    CHECK(!ms_minute_line_parse("x", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
                                &line));
    CHECK(!ms_minute_line_parse("7", "(nil)", &line));
}

#define IN_A_MINUTE(name) \
    cmocka_unit_test_setup_teardown(name, setup, ms_core_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_MINUTE(test_an_event_has_its_time_and_its_pod),
        IN_A_MINUTE(test_counts_add_up_in_the_minute),
        IN_A_MINUTE(test_a_repeated_report_counts_once),
        IN_A_MINUTE(test_a_dead_job_is_told_by_the_script_with_its_pod),
        IN_A_MINUTE(test_a_minute_that_goes_on_is_left_alone),
        IN_A_MINUTE(test_a_finished_minute_becomes_a_line),
        IN_A_MINUTE(test_the_newest_minute_has_the_totals_growth_and_the_sizes),
        IN_A_MINUTE(test_an_idle_queue_has_no_lines),
        IN_A_MINUTE(test_many_minutes_go_in_steps),
        IN_A_MINUTE(test_minutes_whose_counts_are_gone_have_no_line),
        IN_A_MINUTE(test_an_older_leader_rolls_nothing),
        IN_A_MINUTE(test_percentiles_are_off_by_a_sixteenth_at_most),
        IN_A_MINUTE(test_a_line_of_another_shape_is_none),
    };

    return RUN_CORE(tests);
}

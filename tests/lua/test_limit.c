/* Token buckets.  Time passes by moving what the bucket remembers of it into
 * the past, so that nothing here waits; rates are such that the milliseconds
 * in between refill nothing that is looked at. */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/limit.h"

#define LIMIT F("limit:s")

static struct ms_error why;

/* ---- the operations ---- */

static enum ms_err set_if(struct ms_core *core, bool only_absent,
                          const char *const *pairs, size_t n)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_set_build(&cmd, "m", "s", only_absent, pairs, n);
    return ms_limit_status_parse(ms_test_run(core->redis, &cmd), "s", &why);
}

#define SET(core, ...)                                      \
    set_if(core, false, (const char *const[]){__VA_ARGS__}, \
           MS_COUNT_OF(((const char *const[]){__VA_ARGS__})) / 2)

static void make(struct ms_core *core, const char *capacity, const char *rate)
{
    CHECK_INT(SET(core, "capacity", capacity, "refill_per_second", rate), ==,
              MS_OK);
}

static enum ms_err acquire_as(struct ms_core *core, int64_t n, int64_t units,
                              int64_t max_wait_ms, struct ms_acquired *out)
{
    const struct ms_acquire ask = {.fleet = "m",
                                   .scope = "s",
                                   .n = n,
                                   .units = units,
                                   .max_wait_ms = max_wait_ms};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_acquire_build(&cmd, &ask);
    return ms_acquire_parse(ms_test_run(core->redis, &cmd), "s", out, &why);
}

static struct ms_acquired acquire(struct ms_core *core, int64_t n,
                                  int64_t units, int64_t max_wait_ms)
{
    struct ms_acquired got;

    CHECK_INT(acquire_as(core, n, units, max_wait_ms, &got), ==, MS_OK);
    return got;
}

static enum ms_err give_back(struct ms_core *core, int64_t n, int64_t drained)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_return_build(&cmd, "m", "s", n, drained);
    return ms_limit_status_parse(ms_test_run(core->redis, &cmd), "s", &why);
}

static enum ms_err drain(struct ms_core *core, int64_t for_ms)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_drain_build(&cmd, "m", "s", for_ms);
    return ms_limit_status_parse(ms_test_run(core->redis, &cmd), "s", &why);
}

static bool still_holds(struct ms_core *core, int64_t drained)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_drained_build(&cmd, "m", "s");
    return ms_limit_drained_is(ms_test_run(core->redis, &cmd), drained);
}

static struct ms_limit_info info(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_limit_info got;

    ms_limit_info_build(&cmd, "m", "s");
    CHECK_INT(ms_limit_info_parse(ms_test_run(core->redis, &cmd), "s", &got,
                                  &why),
              ==, MS_OK);
    return got;
}

/* So many milliseconds pass for the bucket. */
static void pass(struct ms_core *core, int64_t ms)
{
    ms_test_text(core->redis, "HINCRBY %s at_ms %lld", LIMIT, -(long long)ms);
}

/* ---- taking ---- */

static TEST(test_a_new_bucket_is_full_and_gives_no_more_than_it_holds)
{
    struct ms_core *core = *state;
    struct ms_acquired got;

    make(core, "3", "0");
    got = acquire(core, 1, 5, 0);
    CHECK_INT(got.n_units, ==, 3);
    CHECK_INT(got.waits_ms[2], ==, 0);
    CHECK_INT(got.next_ms, ==, MS_LIMIT_NEVER);
    got = acquire(core, 1, 5, 60000);
    CHECK_INT(got.n_units, ==, 0);
    CHECK_INT(got.next_ms, ==, MS_LIMIT_NEVER);
    CHECK_STR(ms_test_text(core->redis, "HGET %s tokens", LIMIT), "0");
}

static TEST(test_a_unit_is_given_whole_or_not_at_all)
{
    struct ms_core *core = *state;

    make(core, "10", "0");
    CHECK_INT(acquire(core, 4, 9, 0).n_units, ==, 2);
    CHECK_INT(acquire(core, 4, 1, 0).n_units, ==, 0);
    CHECK_INT(acquire(core, 2, 1, 0).n_units, ==, 1);
    CHECK_STR(ms_test_text(core->redis, "HGET %s tokens", LIMIT), "0");
}

static TEST(test_more_than_the_bucket_ever_holds_is_refused)
{
    struct ms_core *core = *state;
    struct ms_acquired got;

    make(core, "10", "1");
    CHECK_INT(acquire_as(core, 11, 1, 0, &got), ==, MS_EINVAL);
    CHECK_CONTAINS(why.text, "limit 's' holds 10 tokens");
    CHECK_STR(ms_test_text(core->redis, "HGET %s tokens", LIMIT), "10");
}

static TEST(test_no_limit_no_tokens_and_nothing_is_stored)
{
    struct ms_core *core = *state;
    struct ms_acquired got;

    CHECK_INT(acquire_as(core, 1, 1, 0, &got), ==, MS_ENOENT);
    CHECK_STR(why.text, "there is no limit 's'");
    CHECK_INT(drain(core, 1000), ==, MS_ENOENT);
    CHECK_INT(give_back(core, 1, 0), ==, MS_ENOENT);
    CHECK(!still_holds(core, 0));
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", LIMIT), ==, 0);
}

/* ---- reserving ---- */

static TEST(test_what_is_to_come_is_promised_in_turn)
{
    struct ms_core *core = *state;
    struct ms_acquired got;

    make(core, "1", "0.001"); /* one in a thousand seconds */
    got = acquire(core, 1, 3, 2500000);
    CHECK_INT(got.n_units, ==, 3);
    CHECK_INT(got.waits_ms[0], ==, 0);
    CHECK_INT(got.waits_ms[1], ==, 1000000);
    CHECK_INT(got.waits_ms[2], ==, 2000000);
    CHECK_INT(got.next_ms, ==, 0);
    got = acquire(core, 1, 1, 2500000);
    CHECK_INT(got.n_units, ==, 0);
    CHECK_INT(got.next_ms, >, 2500000);
    CHECK_INT(got.next_ms, <=, 3000000);
    CHECK(info(core).tokens < -1.99);
}

/* Who was not given anything took nothing, so others are served. */
static TEST(test_a_wait_that_is_too_long_takes_nothing)
{
    struct ms_core *core = *state;

    make(core, "2", "0.001");
    acquire(core, 1, 1, 0);
    CHECK_INT(acquire(core, 2, 1, 999000).n_units, ==, 0);
    CHECK_INT(acquire(core, 1, 1, 0).n_units, ==, 1);
    CHECK_INT(info(core).refused, ==, 1);
}

static TEST(test_what_was_reserved_comes_back)
{
    struct ms_core *core = *state;
    struct ms_acquired got;

    make(core, "1", "0.001");
    acquire(core, 1, 1, 0);
    got = acquire(core, 1, 1, 1000000);
    CHECK_INT(got.n_units, ==, 1);
    CHECK_INT(give_back(core, 1, got.drained), ==, MS_OK);
    CHECK_INT(acquire(core, 1, 1, 1000000).n_units, ==, 1);
    CHECK_INT(info(core).returned, ==, 1);
}

static TEST(test_no_more_comes_back_than_the_bucket_holds)
{
    struct ms_core *core = *state;

    make(core, "3", "0");
    CHECK_INT(give_back(core, 5, 0), ==, MS_OK);
    CHECK_INT(acquire(core, 1, 9, 0).n_units, ==, 3);
}

/* ---- the refill ---- */

static TEST(test_a_bucket_is_refilled_up_to_its_capacity)
{
    struct ms_core *core = *state;

    make(core, "5", "0.01");
    acquire(core, 5, 1, 0);
    pass(core, 200000);
    CHECK_INT(acquire(core, 1, 9, 0).n_units, ==, 2);
    pass(core, 100000000);
    CHECK_INT(acquire(core, 1, 9, 0).n_units, ==, 5);
}

/* A third of a token a second has no end as a fraction of two: sums of it in
 * floating point would drift.  Time here goes in odd steps, and what is given
 * in all must be what was there and what came, to the last billionth. */
static TEST(test_nothing_drifts_over_many_odd_steps)
{
    struct ms_core *core = *state;
    int64_t given = 0, start_ms, passed_ms = 0, end_ms;
    const char *tokens;
    double left;

    make(core, "1000", "0.333333");
    acquire(core, 1000, 1, 0);
    start_ms = ms_test_num(core->redis, "HGET %s at_ms", LIMIT);
    for (int i = 0; i < 1000; i++) {
        int64_t step_ms = 1 + i * 7919 % 9973;

        pass(core, step_ms);
        passed_ms += step_ms;
        given += (int64_t)acquire(core, 1, 256, 0).n_units;
    }
    end_ms = ms_test_num(core->redis, "HGET %s at_ms", LIMIT);
    tokens = ms_test_text(core->redis, "HGET %s tokens", LIMIT);
    left = strtod(tokens, NULL);
    passed_ms += end_ms - start_ms; /* real time came on top */
    CHECK_INT(given * 1000000000 + (int64_t)(left * 1e9 + 0.5), ==,
              passed_ms * 333333);
}

/* N callers over a time get what the bucket held and rate times that time, and
 * not one more, whoever asks when. */
static TEST(test_callers_in_all_get_capacity_and_rate_times_time)
{
    struct ms_core *core = *state;
    int64_t given = 0;

    make(core, "7", "0.005"); /* in 200 s one; these calls take no second */
    for (int second = 0; second < 6000; second += 50) {
        for (int caller = 0; caller < 3; caller++)
            given += (int64_t)acquire(core, 1, 1, 0).n_units;
        pass(core, 50000);
    }
    given += (int64_t)acquire(core, 1, 9, 0).n_units;
    CHECK_INT(given, ==, 7 + 6000 / 200);
}

/* A failover to a server whose clock is behind must not stop the refill until
 * that clock has caught up. */
static TEST(test_a_clock_that_was_set_back_stops_no_refill)
{
    struct ms_core *core = *state;

    make(core, "1", "0.001");
    acquire(core, 1, 1, 0);
    pass(core, -3600000); /* the bucket was filled an hour from now */
    CHECK_INT(acquire(core, 1, 1, 1000000).n_units, ==, 1);
}

/* ---- draining ---- */

static TEST(test_a_drain_empties_blocks_and_then_refills_from_nothing)
{
    struct ms_core *core = *state;
    struct ms_acquired got;

    make(core, "5", "0.01");
    CHECK_INT(drain(core, 3000000), ==, MS_OK);
    got = acquire(core, 1, 1, 0);
    CHECK_INT(got.n_units, ==, 0);
    CHECK_INT(got.next_ms, >, 3000000);
    CHECK_INT(got.next_ms, <=, 3100000);
    CHECK_INT(info(core).blocked_until_ms, >, ms_core_now(core) + 2900000);
    CHECK_INT(info(core).drained, ==, 1);
    /* The block is over, and a hundred seconds more. */
    ms_test_text(core->redis, "HINCRBY %s blocked_until_ms -3100000", LIMIT);
    pass(core, 3100000);
    CHECK_INT(acquire(core, 1, 9, 0).n_units, ==, 1);
    CHECK_INT(info(core).blocked_until_ms, ==, 0);
}

static TEST(test_a_drain_never_shortens_another)
{
    struct ms_core *core = *state;
    int64_t until_ms;

    make(core, "5", "1");
    drain(core, 60000);
    until_ms = info(core).blocked_until_ms;
    CHECK_INT(drain(core, 1000), ==, MS_OK);
    CHECK_INT(info(core).blocked_until_ms, ==, until_ms);
    CHECK_INT(acquire(core, 1, 1, 30000).n_units, ==, 0);
}

/* Who waits for a token is told nothing; so it looks before it begins. */
static TEST(test_a_drain_voids_what_was_reserved)
{
    struct ms_core *core = *state;
    struct ms_acquired got;

    make(core, "1", "0.001");
    acquire(core, 1, 1, 0);
    got = acquire(core, 1, 1, 1000000);
    CHECK(still_holds(core, got.drained));
    drain(core, 0);
    CHECK(!still_holds(core, got.drained));
    CHECK_INT(give_back(core, 1, got.drained), ==, MS_ESTALE);
    /* The debt has gone with it: the next is the first again. */
    got = acquire(core, 1, 1, 1000000);
    CHECK_INT(got.n_units, ==, 1);
    CHECK_INT(got.waits_ms[0], <=, 1000000);
}

/* ---- changing ---- */

static TEST(test_a_change_counts_from_now_on)
{
    struct ms_core *core = *state;

    make(core, "100", "0.01");
    acquire(core, 100, 1, 0);
    pass(core, 200000);
    CHECK_INT(SET(core, "refill_per_second", "0.05"), ==, MS_OK);
    CHECK_INT(acquire(core, 1, 99, 0).n_units, ==, 2); /* at the old rate */
    pass(core, 200000);
    CHECK_INT(acquire(core, 1, 99, 0).n_units, ==, 10);
    CHECK_STR(ms_test_text(core->redis, "HGET %s capacity", LIMIT), "100");
}

static TEST(test_a_smaller_bucket_spills_and_a_larger_one_fills_slowly)
{
    struct ms_core *core = *state;

    make(core, "100", "0");
    CHECK_INT(SET(core, "capacity", "10"), ==, MS_OK);
    CHECK(info(core).tokens == 10);
    CHECK_INT(SET(core, "capacity", "50"), ==, MS_OK);
    CHECK(info(core).tokens == 10);
}

/* The way out of a block, and out of a budget that is used up. */
static TEST(test_setting_tokens_ends_a_block)
{
    struct ms_core *core = *state;

    make(core, "10", "0");
    drain(core, 3600000);
    CHECK_INT(SET(core, "tokens", "4"), ==, MS_OK);
    CHECK_INT(info(core).blocked_until_ms, ==, 0);
    CHECK_INT(acquire(core, 1, 9, 0).n_units, ==, 4);
    CHECK_INT(SET(core, "tokens", "11"), ==, MS_EINVAL);
    CHECK_CONTAINS(why.text, "holds 10 tokens");
}

static TEST(test_a_new_limit_needs_both_settings)
{
    struct ms_core *core = *state;

    CHECK_INT(SET(core, "capacity", "5"), ==, MS_EINVAL);
    CHECK_CONTAINS(why.text, "needs capacity and refill_per_second");
    CHECK_INT(SET(core, "refill_per_second", "5"), ==, MS_EINVAL);
    CHECK_INT(SET(core, "tokens", "5"), ==, MS_EINVAL);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", LIMIT, F("limits")), ==,
              0);
}

static TEST(test_a_seed_leaves_alone_what_is_there)
{
    struct ms_core *core = *state;
    const char *const seed[] = {"capacity", "5", "refill_per_second", "2"};

    CHECK_INT(set_if(core, true, seed, 2), ==, MS_OK);
    CHECK(info(core).capacity == 5);
    CHECK_STR(ms_test_text(core->redis, "SISMEMBER %s s", F("limits")), "1");
    SET(core, "capacity", "9", "tokens", "1");
    CHECK_INT(set_if(core, true, seed, 2), ==, MS_OK);
    CHECK(info(core).capacity == 9);
    CHECK(info(core).refill_per_second == 2);
    CHECK(info(core).tokens < 9); /* not filled up either */
}

static TEST(test_a_removed_limit_has_gone)
{
    struct ms_core *core = *state;
    struct ms_cmd cmd = MS_CMD_INIT;

    make(core, "5", "1");
    ms_limit_remove_build(&cmd, "m", "s");
    CHECK_INT(ms_limit_status_parse(ms_test_run(core->redis, &cmd), "s", NULL),
              ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", LIMIT, F("limits")), ==,
              0);
    ms_limit_remove_build(&cmd, "m", "s");
    CHECK_INT(ms_limit_status_parse(ms_test_run(core->redis, &cmd), "s", NULL),
              ==, MS_ENOENT);
}

/* Somebody wrote there with redis-cli. */
static TEST(test_what_is_no_number_is_named_and_nothing_is_given)
{
    static const struct {
        const char *field, *text;
    } cases[] = {
        {"capacity", "many"},         {"capacity", "0.5"},
        {"capacity", "-3"},           {"capacity", "99999999"},
        {"refill_per_second", "1e3"}, {"refill_per_second", "-1"},
    };
    struct ms_core *core = *state;
    struct ms_acquired got;

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        make(core, "5", "1");
        ms_test_text(core->redis, "HSET %s %s %s", LIMIT, cases[i].field,
                     cases[i].text);
        CHECK_INT(acquire_as(core, 1, 1, 0, &got), ==, MS_EINVAL);
        CHECK_CONTAINS(why.text, cases[i].field);
        CHECK_INT(drain(core, 5), ==, MS_EINVAL);
        CHECK_INT(give_back(core, 1, 0), ==, MS_EINVAL);
        CHECK_INT(SET(core, "capacity", "5", "refill_per_second", "1"), ==,
                  MS_OK); /* mends it */
    }
}

static TEST(test_a_bare_hset_counts)
{
    struct ms_core *core = *state;

    make(core, "5", "0");
    ms_test_text(core->redis, "HSET %s tokens 2.5", LIMIT);
    CHECK_INT(acquire(core, 1, 9, 0).n_units, ==, 2);
    CHECK_STR(ms_test_text(core->redis, "HGET %s tokens", LIMIT), "0.5");
}

/* ---- what it counts and costs ---- */

static TEST(test_counts_tell_what_happened)
{
    struct ms_core *core = *state;
    struct ms_limit_info got;

    make(core, "4", "0.001");
    acquire(core, 2, 2, 0);
    acquire(core, 1, 1, 1000000);
    acquire(core, 1, 1, 0);
    give_back(core, 1, 0);
    drain(core, 0);
    got = info(core);
    CHECK_INT(got.acquired, ==, 5);
    CHECK_INT(got.waited, ==, 1);
    CHECK_INT(got.refused, ==, 1);
    CHECK_INT(got.returned, ==, 1);
    CHECK_INT(got.drained, ==, 1);
}

/* Those who wait come back in their time, not in a tight loop, and not so late
 * that a limit which was raised meanwhile is not used. */
static TEST(test_when_to_come_back)
{
    struct ms_acquired got = {.next_ms = 3000};

    CHECK_INT(ms_acquire_again_ms(&got, 1000), ==, 2500);
    got.next_ms = 1001;
    CHECK_INT(ms_acquire_again_ms(&got, 1000), ==, 501);
    got.next_ms = 1;
    CHECK_INT(ms_acquire_again_ms(&got, 0), ==, 20);
    got.next_ms = 3600000;
    CHECK_INT(ms_acquire_again_ms(&got, 1000), ==, 5000);
    got.next_ms = MS_LIMIT_NEVER;
    CHECK_INT(ms_acquire_again_ms(&got, 1000), ==, 5000);
}

/* Jobs that run must go on when Redis is full. */
static TEST(test_limits_work_on_at_maxmemory)
{
    struct ms_core *core = *state;

    make(core, "4", "0");
    ms_test_text(core->redis, "CONFIG SET maxmemory 1");
    CHECK_INT(acquire(core, 1, 1, 0).n_units, ==, 1);
    CHECK_INT(give_back(core, 1, 0), ==, MS_OK);
    CHECK_INT(drain(core, 10), ==, MS_OK);
    ms_test_text(core->redis, "CONFIG SET maxmemory 0");
}

static TEST(test_a_count_that_is_none_begins_anew)
{
    struct ms_core *core = *state;

    make(core, "1", "0");
    acquire(core, 1, 1, 0);
    ms_test_cmd(core->redis, "HSET %s refused x acquired y", LIMIT);
    CHECK_INT(acquire(core, 1, 1, 0).n_units, ==, 0);
    CHECK_INT(info(core).refused, ==, 1);
    CHECK_INT(info(core).acquired, ==, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_new_bucket_is_full_and_gives_no_more_than_it_holds),
        CORE(test_a_unit_is_given_whole_or_not_at_all),
        CORE(test_a_count_that_is_none_begins_anew),
        CORE(test_more_than_the_bucket_ever_holds_is_refused),
        CORE(test_no_limit_no_tokens_and_nothing_is_stored),
        CORE(test_what_is_to_come_is_promised_in_turn),
        CORE(test_a_wait_that_is_too_long_takes_nothing),
        CORE(test_what_was_reserved_comes_back),
        CORE(test_no_more_comes_back_than_the_bucket_holds),
        CORE(test_a_bucket_is_refilled_up_to_its_capacity),
        CORE(test_nothing_drifts_over_many_odd_steps),
        CORE(test_callers_in_all_get_capacity_and_rate_times_time),
        CORE(test_a_clock_that_was_set_back_stops_no_refill),
        CORE(test_a_drain_empties_blocks_and_then_refills_from_nothing),
        CORE(test_a_drain_never_shortens_another),
        CORE(test_a_drain_voids_what_was_reserved),
        CORE(test_a_change_counts_from_now_on),
        CORE(test_a_smaller_bucket_spills_and_a_larger_one_fills_slowly),
        CORE(test_setting_tokens_ends_a_block),
        CORE(test_a_new_limit_needs_both_settings),
        CORE(test_a_seed_leaves_alone_what_is_there),
        CORE(test_a_removed_limit_has_gone),
        CORE(test_what_is_no_number_is_named_and_nothing_is_given),
        CORE(test_a_bare_hset_counts),
        CORE(test_counts_tell_what_happened),
        CORE(test_when_to_come_back),
        CORE(test_limits_work_on_at_maxmemory),
    };

    return RUN_CORE(tests);
}

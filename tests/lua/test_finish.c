#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

/* Enqueues "a" and claims it as p1; returns the fence. */
static int64_t lent(struct ms_core *core)
{
    ENQUEUE(core, .id = "a");
    return ms_core_claim_one(core, "p1", "a");
}

/* A call that is repeated, and all that it may not change. */
static void check_repeat(struct ms_core *core, int64_t fence,
                         enum ms_finish_kind kind, enum ms_finish_status want)
{
    char state[16];
    int64_t due = ms_core_number(core, "a", "due_ms");
    int64_t failed = ms_core_stat(core, "failed");
    int64_t done = ms_core_stat(core, "done");
    int64_t dead = ms_core_stat(core, "dead");

    snprintf(state, sizeof(state), "%s", ms_core_state(core, "a"));
    CHECK_INT(ms_core_finish(core, "p1", "a", fence, kind), ==, want);
    CHECK_STR(ms_core_state(core, "a"), state);
    CHECK_INT(ms_core_number(core, "a", "due_ms"), ==, due);
    CHECK_INT(ms_core_stat(core, "failed"), ==, failed);
    CHECK_INT(ms_core_stat(core, "done"), ==, done);
    CHECK_INT(ms_core_stat(core, "dead"), ==, dead);
    CHECK_INT(ms_core_stat(core, "stale"), ==, 0);
}

/* ---- done ---- */

static TEST(test_done_is_kept_with_its_result)
{
    struct ms_core *core = *state;
    static const char result[] = "\xa5he\0lo";
    struct ms_finish finish = {
        "a", lent(core), MS_FINISH_DONE, result, sizeof(result), 0, NO_MOVE, 0};
    const struct ms_reply *reply;

    CHECK_INT(ms_core_finish_with(core, "p1", &finish), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "done");
    CHECK_INT(ms_core_number(core, "a", "finished_ms"), >, 1700000000000);
    CHECK_INT(ms_core_stat(core, "done"), ==, 1);
    CHECK_INT(ms_core_info(core).running, ==, 0);
    reply = ms_test_cmd(core->redis, "HGET %s result", K("job:a"));
    CHECK_INT(reply->len, ==, sizeof(result));
    CHECK(memcmp(reply->str, result, sizeof(result)) == 0);
    check_repeat(core, finish.fence, MS_FINISH_DONE, MS_FINISH_OK);
}

static TEST(test_done_leaves_nothing_where_none_is_kept)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_set(core, "retain_done_max", 0);
    fence = lent(core);
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_INT(ms_core_stat(core, "done"), ==, 1);
    CHECK_INT(ms_core_info(core).running, ==, 0);
    check_repeat(core, fence, MS_FINISH_DONE, MS_FINISH_GONE);
}

static TEST(test_done_leaves_nothing_where_the_age_is_zero)
{
    struct ms_core *core = *state;

    ms_core_set(core, "retain_done_ms", 0);
    DONE(core, "p1", "a", lent(core));
    CHECK_STR(ms_core_state(core, "a"), "gone");
}

static TEST(test_a_batch_tells_the_exceptions_alone)
{
    struct ms_core *core = *state;
    struct ms_finish jobs[5];
    enum ms_finish_status out[5];
    char ids[5][16];

    ms_core_enqueue_many(core, "j", NULL, 5);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 5);
    for (int i = 0; i < 5; i++) {
        snprintf(ids[i], sizeof(ids[i]), "j%d", i);
        jobs[i] = (struct ms_finish){
            ids[i], core->jobs[i].fence, MS_FINISH_DONE, "", 0, 0, NO_MOVE, 0};
    }
    jobs[1].fence--;
    jobs[3].id = "nowhere";
    jobs[4].kind = MS_FINISH_FAILED;
    ms_core_finish_all(core, "p1", jobs, 5, 0, out);
    CHECK_INT(out[0], ==, MS_FINISH_OK);
    CHECK_INT(out[1], ==, MS_FINISH_STALE);
    CHECK_INT(out[2], ==, MS_FINISH_OK);
    CHECK_INT(out[3], ==, MS_FINISH_GONE);
    CHECK_INT(out[4], ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "j1"), "running");
    CHECK_STR(ms_core_state(core, "j3"), "running");
    CHECK_STR(ms_core_state(core, "j4"), "scheduled");
    CHECK_INT(ms_core_stat(core, "done"), ==, 2);
    CHECK_INT(ms_core_stat(core, "stale"), ==, 1);
}

static TEST(test_a_job_named_twice_in_a_call_ends_once)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    struct ms_finish one = {"a", fence, MS_FINISH_DONE, "", 0, 0, NO_MOVE, 0};
    struct ms_finish jobs[3] = {one, one, one};
    enum ms_finish_status out[3];

    jobs[2].kind = MS_FINISH_FAILED;
    ms_core_finish_all(core, "p1", jobs, 3, 0, out);
    CHECK_INT(out[2], ==, MS_FINISH_OK);
    CHECK_INT(ms_core_stat(core, "done"), ==, 1);
    CHECK_INT(ms_core_stat(core, "failed"), ==, 0);
}

static TEST(test_finish_and_claim_travel_together)
{
    struct ms_core *core = *state;
    struct ms_finish finish = {"a", lent(core), MS_FINISH_DONE, "",
                               0,   0,          NO_MOVE,        0};
    enum ms_finish_status status;

    ms_core_set(core, "max_workers", 1);
    ms_core_enqueue_many(core, "j", NULL, 3);
    CHECK_INT(ms_core_finish_all(core, "p1", &finish, 1, 2, &status), ==, 1);
    CHECK_INT(status, ==, MS_FINISH_OK);
    CHECK_STR(core->jobs[0].id, "j0");
    CHECK_INT(core->answer.more, ==, 1);
    CHECK_INT(core->answer.max_workers, ==, 1);
}

static TEST(test_a_finish_without_a_claim_answers_no_claim)
{
    struct ms_core *core = *state;

    DONE(core, "p1", "a", lent(core));
    CHECK_INT(core->answer.now_ms, ==, 0);
    CHECK_INT(core->answer.n_jobs, ==, 0);
}

/* ---- refusals ---- */

static TEST(test_an_old_fence_changes_nothing_and_is_counted)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    for (int kind = MS_FINISH_DONE; kind <= MS_FINISH_THROTTLED; kind++)
        CHECK_INT(ms_core_finish(core, "p1", "a", fence - 1,
                                 (enum ms_finish_kind)kind),
                  ==, MS_FINISH_STALE);
    CHECK_INT(ms_core_stat(core, "stale"), ==, 5);
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_INT(ms_core_info(core).running, ==, 1);
}

/* After a failover to a lagging replica two pods can hold the same number. */
static TEST(test_another_pod_with_the_same_fence_is_refused)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    CHECK_INT(DONE(core, "p2", "a", fence), ==, MS_FINISH_STALE);
    CHECK_INT(ms_core_renew(core, "p2", "a", fence), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_release(core, "p2", "a", fence, 0), ==, MS_FINISH_STALE);
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_INT(DONE(core, "p2", "a", fence), ==, MS_FINISH_STALE);
}

static TEST(test_whoever_lost_its_job_to_another_pod_is_refused)
{
    struct ms_core *core = *state;
    int64_t old = lent(core);
    int64_t fence;

    ms_core_end_lease(core, "a", 1);
    fence = ms_core_claim_one(core, "p2", "a");
    CHECK_INT(fence, >, old);
    CHECK_INT(DONE(core, "p1", "a", old), ==, MS_FINISH_STALE);
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_STALE);
    CHECK_INT(DONE(core, "p2", "a", fence), ==, MS_FINISH_OK);
}

static TEST(test_a_job_cancelled_meanwhile_stays_dead)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    ms_core_cancel(core, "a");
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_STALE);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static TEST(test_an_unknown_job_is_gone)
{
    struct ms_core *core = *state;

    CHECK_INT(DONE(core, "p1", "a", 1), ==, MS_FINISH_GONE);
    CHECK_INT(ms_core_stat(core, "stale"), ==, 0);
}

/* ---- late, but nobody else has claimed it ---- */

static TEST(test_done_is_accepted_after_the_lease_was_taken_back)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "done");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    CHECK_INT(ms_core_claim(core, "p2", 1), ==, 0);
    check_repeat(core, fence, MS_FINISH_DONE, MS_FINISH_OK);
}

/* The claim counts after all, the crash does not. */
static TEST(test_a_late_failure_costs_an_attempt_and_no_crash)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 1);
    CHECK_INT(FAIL(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 1);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    check_repeat(core, fence, MS_FINISH_FAILED, MS_FINISH_OK);
}

static TEST(test_done_is_accepted_while_the_job_is_parked)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    core->kinds = ",other,";
    CHECK_INT(ms_core_claim(core, "p2", 1), ==, 0);
    CHECK_INT(ms_core_info(core).parked, ==, 1);
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_INT(ms_core_info(core).parked, ==, 0);
}

/* ---- failed, dead, cancelled ---- */

static TEST(test_failed_waits_half_to_all_of_its_backoff)
{
    struct ms_core *core = *state;
    int64_t base = 5000;
    int64_t delay;

    ENQUEUE(core, .id = "a");
    for (int k = 1; k <= 4; k++, base *= 2) {
        int64_t fence = ms_core_claim_one(core, "p1", "a");

        CHECK_INT(core->jobs[0].attempt, ==, k);
        delay = -ms_core_now(core);
        CHECK_INT(FAIL(core, "p1", "a", fence), ==, MS_FINISH_OK);
        delay += ms_core_number(core, "a", "due_ms");
        CHECK_INT(delay, >=, base / 2);
        CHECK_INT(delay, <, base + 1000); /* a slow machine's clock */
        CHECK_STR(ms_core_field(core, "a", "error"), "it broke");
        check_repeat(core, fence, MS_FINISH_FAILED, MS_FINISH_OK);
        ms_core_run_now(core, "a");
    }
    CHECK_INT(ms_core_stat(core, "failed"), ==, 4);
}

static TEST(test_the_backoff_has_a_most)
{
    struct ms_core *core = *state;
    int64_t delay;

    ms_core_set(core, "backoff_base_ms", 100000);
    ms_core_set(core, "backoff_max_ms", 1000);
    delay = -ms_core_now(core);
    FAIL(core, "p1", "a", lent(core));
    delay += ms_core_number(core, "a", "due_ms");
    CHECK_INT(delay, <, 50000);
}

static TEST(test_what_failed_together_does_not_come_back_together)
{
    struct ms_core *core = *state;
    int64_t low = INT64_MAX;
    int64_t high = 0;

    ms_core_set(core, "backoff_base_ms", 1000000);
    ms_core_enqueue_many(core, "j", NULL, 20);
    for (int i = 0; i < 20; i++) {
        ms_core_claim(core, "p1", 1);
        FAIL(core, "p1", core->jobs[0].id, core->jobs[0].fence);
    }
    low = ms_test_num(core->redis, "ZCOUNT %s -inf %lld", K("scheduled"),
                      (long long)ms_core_now(core) + 750000);
    high = 20 - low;
    CHECK_INT(low, >, 0);
    CHECK_INT(high, >, 0);
}

static TEST(test_failed_is_ready_at_once_with_backoff_off)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_set(core, "backoff_enabled", 0);
    CHECK_INT(FAIL(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
    check_repeat(core, fence, MS_FINISH_FAILED, MS_FINISH_OK);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_claim_one(core, "p2", "a"), >, fence);
    CHECK_INT(core->jobs[0].attempt, ==, 2);
}

static TEST(test_failed_is_dead_when_its_attempts_are_used_up)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_set(core, "max_attempts", 2);
    fence = lent(core);
    FAIL(core, "p1", "a", fence);
    ms_core_run_now(core, "a");
    fence = ms_core_claim_one(core, "p1", "a");
    CHECK_INT(FAIL(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(ms_core_field(core, "a", "error"), "it broke");
    CHECK_INT(ms_core_stat(core, "failed"), ==, 2);
    CHECK_INT(ms_core_stat(core, "dead"), ==, 1);
    check_repeat(core, fence, MS_FINISH_FAILED, MS_FINISH_OK);
}

static TEST(test_a_jobs_own_max_attempts_counts)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .max_attempts = 1);
    FAIL(core, "p1", "a", ms_core_claim_one(core, "p1", "a"));
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static enum ms_finish_status fail_with(struct ms_core *core, int64_t fence,
                                       int64_t of_kind)
{
    const struct ms_finish finish = {.id = "a",
                                     .fence = fence,
                                     .kind = MS_FINISH_FAILED,
                                     .text = "no",
                                     .text_len = 2,
                                     .move = NO_MOVE,
                                     .max_attempts = of_kind};

    return ms_core_finish_with(core, "p1", &finish);
}

/* What the worker's configuration says of a kind stands between the job and
 * its queue. */
static TEST(test_the_kinds_max_attempts_counts_before_the_queues)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_attempts", 1);
    CHECK_INT(fail_with(core, lent(core), 2), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    ms_core_run_now(core, "a");
    fail_with(core, ms_core_claim_one(core, "p1", "a"), 2);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    ms_core_retry(core, "a");
    fail_with(core, ms_core_claim_one(core, "p1", "a"), 0);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static TEST(test_the_jobs_max_attempts_counts_before_the_kinds)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .max_attempts = 1);
    fail_with(core, ms_core_claim_one(core, "p1", "a"), 9);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static TEST(test_the_last_ten_errors_are_kept)
{
    struct ms_core *core = *state;
    char text[32];
    const char *errors;

    ms_core_set(core, "max_attempts", 100);
    ms_core_set(core, "backoff_enabled", 0);
    ENQUEUE(core, .id = "a");
    for (int i = 1; i <= 12; i++) {
        struct ms_finish finish = {"a",
                                   ms_core_claim_one(core, "p1", "a"),
                                   MS_FINISH_FAILED,
                                   text,
                                   0,
                                   0,
                                   NO_MOVE,
                                   0};

        finish.text_len =
            (size_t)snprintf(text, sizeof(text), "no \"%02d\"\n", i);
        ms_core_finish_with(core, "p1", &finish);
    }
    errors = ms_core_field(core, "a", "errors");
    CHECK(strstr(errors, "no \\\"02\\\"") == NULL);
    CHECK_CONTAINS(errors, "no \\\"03\\\"\\n");
    CHECK_CONTAINS(errors, "no \\\"12\\\"\\n");
    CHECK_CONTAINS(errors, "\"attempt\":12");
    CHECK_CONTAINS(errors, "\"at_ms\":1");
    CHECK(strstr(errors, "e+") == NULL); /* all digits */
}

static TEST(test_an_error_may_hold_any_bytes)
{
    struct ms_core *core = *state;
    static const char text[] = "\0\xff\x01 \\u0000 {]";
    struct ms_finish finish = {"a",          lent(core), MS_FINISH_DEAD, text,
                               sizeof(text), 0,          NO_MOVE,        0};

    CHECK_INT(ms_core_finish_with(core, "p1", &finish), ==, MS_FINISH_OK);
    ms_core_retry(core, "a");
    finish.fence = ms_core_claim_one(core, "p1", "a");
    CHECK_INT(ms_core_finish_with(core, "p1", &finish), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static TEST(test_dead_is_dead_at_once)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    CHECK_INT(ms_core_finish(core, "p1", "a", fence, MS_FINISH_DEAD), ==,
              MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_INT(ms_core_stat(core, "failed"), ==, 0);
    check_repeat(core, fence, MS_FINISH_DEAD, MS_FINISH_OK);
    CHECK_INT(ms_test_num(core->redis, "XLEN %s", K("events")), ==, 1);
}

static TEST(test_cancelled_is_dead_with_its_reason)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    CHECK_INT(ms_core_cancel(core, "a"), ==, MS_CANCEL_REQUESTED);
    CHECK_INT(ms_core_finish(core, "p1", "a", fence, MS_FINISH_CANCELLED), ==,
              MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(ms_core_field(core, "a", "error"), "cancelled by user");
    CHECK_INT(ms_core_stat(core, "cancelled"), ==, 1);
    check_repeat(core, fence, MS_FINISH_CANCELLED, MS_FINISH_OK);
}

static TEST(test_a_failure_of_a_cancelled_job_is_not_tried_again)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_cancel(core, "a");
    FAIL(core, "p1", "a", fence);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(ms_core_field(core, "a", "error"), "cancelled by user");
}

static TEST(test_a_job_that_had_finished_stays_done)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_cancel(core, "a");
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "done");
}

/* The answer was lost, somebody pressed retry, the pod repeats its call. */
static TEST(test_a_repeated_finish_does_not_end_the_retried_job)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_finish(core, "p1", "a", fence, MS_FINISH_DEAD);
    CHECK_INT(ms_core_retry(core, "a"), ==, MS_OK);
    CHECK_INT(ms_core_finish(core, "p1", "a", fence, MS_FINISH_DEAD), ==,
              MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
}

/* ---- throttled ---- */

static int64_t throttle(struct ms_core *core)
{
    int64_t before;

    ms_core_run_now(core, "a");
    ms_test_cmd(core->redis, "HSET %s throttled_until_ms %lld", K("meta"),
                (long long)ms_core_now(core) - 1000);
    ms_core_claim_one(core, "p1", "a");
    before = ms_core_now(core);
    CHECK_INT(ms_core_finish(core, "p1", "a", core->jobs[0].fence,
                             MS_FINISH_THROTTLED),
              ==, MS_FINISH_OK);
    return ms_core_info(core).throttled_until_ms - before;
}

static TEST(test_a_throttle_cools_the_queue_and_costs_nothing)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    int64_t now = ms_core_now(core);
    struct ms_queue_info info;

    ENQUEUE(core, .id = "b");
    CHECK_INT(ms_core_finish(core, "p1", "a", fence, MS_FINISH_THROTTLED), ==,
              MS_FINISH_OK);
    info = ms_core_info(core);
    CHECK_INT(info.throttled_until_ms, >=, now + 5000);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_INT(ms_core_number(core, "a", "due_ms"), ==, info.throttled_until_ms);
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
    CHECK_INT(ms_core_stat(core, "throttled"), ==, 1);
    CHECK_INT(ms_core_stat(core, "failed"), ==, 0);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_COOLING);
    check_repeat(core, fence, MS_FINISH_THROTTLED, MS_FINISH_OK);
}

/* Attempts, crashes and throttles are three counts: who is told "too much" all
 * day has not failed once. */
static TEST(test_throttles_are_counted_with_the_job)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    for (int i = 1; i <= 3; i++) {
        ms_core_finish(core, "p1", "a", fence, MS_FINISH_THROTTLED);
        CHECK_INT(ms_core_number(core, "a", "throttles"), ==, i);
        CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
        ms_test_cmd(core->redis, "HDEL %s throttled_until_ms", K("meta"));
        ms_core_run_now(core, "a");
        fence = ms_core_claim_one(core, "p1", "a");
    }
    ms_core_finish(core, "p1", "a", fence, MS_FINISH_DEAD);
    CHECK_INT(ms_core_number(core, "a", "throttles"), ==, 3);
    ms_core_retry(core, "a");
    CHECK_STR(ms_core_field(core, "a", "throttles"), "");
}

static TEST(test_only_the_first_throttle_of_a_window_counts)
{
    struct ms_core *core = *state;
    struct ms_finish jobs[2];
    enum ms_finish_status out[2];
    int64_t until;

    ms_core_enqueue_many(core, "j", NULL, 3);
    ms_core_claim(core, "p1", 3);
    for (int i = 0; i < 2; i++)
        jobs[i] = (struct ms_finish){i == 0 ? "j0" : "j1",
                                     core->jobs[i].fence,
                                     MS_FINISH_THROTTLED,
                                     "429",
                                     3,
                                     0,
                                     NO_MOVE,
                                     0};
    ms_core_finish_all(core, "p1", jobs, 2, 0, out);
    until = ms_core_info(core).throttled_until_ms;
    ms_core_finish(core, "p1", "j2", core->jobs[2].fence, MS_FINISH_THROTTLED);
    CHECK_INT(ms_core_info(core).throttled_until_ms, ==, until);
    CHECK_INT(ms_test_num(core->redis, "HGET %s throttles", K("meta")), ==, 1);
    CHECK_INT(ms_core_stat(core, "throttled"), ==, 3);
}

static TEST(test_windows_double_until_two_quiet_minutes)
{
    struct ms_core *core = *state;
    int64_t base = 5000;

    ENQUEUE(core, .id = "a", .delay_ms = 90000);
    for (int i = 0; i < 4; i++, base *= 2) {
        int64_t window = throttle(core);

        CHECK_INT(window, >=, base);
        CHECK_INT(window, <, base + 1000);
    }
    ms_core_run_now(core, "a");
    ms_test_cmd(core->redis, "HSET %s throttled_until_ms %lld", K("meta"),
                (long long)ms_core_now(core) - 121000);
    ms_core_claim_one(core, "p1", "a");
    ms_core_finish(core, "p1", "a", core->jobs[0].fence, MS_FINISH_THROTTLED);
    CHECK_INT(ms_core_info(core).throttled_until_ms, <,
              ms_core_now(core) + 6000);
}

static TEST(test_windows_have_the_backoffs_most)
{
    struct ms_core *core = *state;

    ms_core_set(core, "backoff_max_ms", 7000);
    ENQUEUE(core, .id = "a", .delay_ms = 90000);
    CHECK_INT(throttle(core), <, 6000);
    CHECK_INT(throttle(core), <, 8000);
    CHECK_INT(throttle(core), <, 8000);
}

static TEST(test_a_window_is_flat_with_backoff_off)
{
    struct ms_core *core = *state;

    ms_core_set(core, "backoff_enabled", 0);
    ENQUEUE(core, .id = "a", .delay_ms = 90000);
    for (int i = 0; i < 3; i++)
        CHECK_INT(throttle(core) / 1000, ==, 60);
}

static TEST(test_the_queue_runs_on_when_its_window_has_ended)
{
    struct ms_core *core = *state;

    FAIL(core, "p1", "a", lent(core));
    CHECK_INT(ms_core_info(core).throttled_until_ms, ==, 0);
    ms_test_cmd(core->redis, "HSET %s throttled_until_ms 5", K("meta"));
    CHECK_INT(ms_core_info(core).throttled_until_ms, ==, 0);
}

/* ---- moves in a finish ---- */

static TEST(test_a_moved_cursor_starts_the_counts_anew)
{
    struct ms_core *core = *state;
    struct ms_finish finish = {"a", 0, MS_FINISH_FAILED, "no",
                               2,   0, NO_MOVE,          0};

    ms_core_set(core, "max_attempts", 2);
    ENQUEUE(core, .id = "a");
    FAIL(core, "p1", "a", ms_core_claim_one(core, "p1", "a"));
    ms_core_run_now(core, "a");
    finish.fence = ms_core_claim_one(core, "p1", "a");
    CHECK_INT(core->jobs[0].attempt, ==, 2);
    finish.move = (struct ms_lease_move){.seq = 1,
                                         .cursor = "here",
                                         .cursor_len = 4,
                                         .progress = 0.5};
    CHECK_INT(ms_core_finish_with(core, "p1", &finish), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "scheduled"); /* its first since */
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 1);
    CHECK_STR(ms_core_field(core, "a", "cursor"), "here");
    CHECK_STR(ms_core_field(core, "a", "progress"), "0.5000");
    check_repeat(core, finish.fence, MS_FINISH_FAILED, MS_FINISH_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_done_is_kept_with_its_result),
        CORE(test_done_leaves_nothing_where_none_is_kept),
        CORE(test_done_leaves_nothing_where_the_age_is_zero),
        CORE(test_a_batch_tells_the_exceptions_alone),
        CORE(test_a_job_named_twice_in_a_call_ends_once),
        CORE(test_finish_and_claim_travel_together),
        CORE(test_a_finish_without_a_claim_answers_no_claim),
        CORE(test_an_old_fence_changes_nothing_and_is_counted),
        CORE(test_another_pod_with_the_same_fence_is_refused),
        CORE(test_whoever_lost_its_job_to_another_pod_is_refused),
        CORE(test_a_job_cancelled_meanwhile_stays_dead),
        CORE(test_an_unknown_job_is_gone),
        CORE(test_done_is_accepted_after_the_lease_was_taken_back),
        CORE(test_a_late_failure_costs_an_attempt_and_no_crash),
        CORE(test_done_is_accepted_while_the_job_is_parked),
        CORE(test_failed_waits_half_to_all_of_its_backoff),
        CORE(test_the_backoff_has_a_most),
        CORE(test_what_failed_together_does_not_come_back_together),
        CORE(test_failed_is_ready_at_once_with_backoff_off),
        CORE(test_failed_is_dead_when_its_attempts_are_used_up),
        CORE(test_a_jobs_own_max_attempts_counts),
        CORE(test_the_kinds_max_attempts_counts_before_the_queues),
        CORE(test_the_jobs_max_attempts_counts_before_the_kinds),
        CORE(test_the_last_ten_errors_are_kept),
        CORE(test_an_error_may_hold_any_bytes),
        CORE(test_dead_is_dead_at_once),
        CORE(test_cancelled_is_dead_with_its_reason),
        CORE(test_a_failure_of_a_cancelled_job_is_not_tried_again),
        CORE(test_a_job_that_had_finished_stays_done),
        CORE(test_a_repeated_finish_does_not_end_the_retried_job),
        CORE(test_a_throttle_cools_the_queue_and_costs_nothing),
        CORE(test_throttles_are_counted_with_the_job),
        CORE(test_only_the_first_throttle_of_a_window_counts),
        CORE(test_windows_double_until_two_quiet_minutes),
        CORE(test_windows_have_the_backoffs_most),
        CORE(test_a_window_is_flat_with_backoff_off),
        CORE(test_the_queue_runs_on_when_its_window_has_ended),
        CORE(test_a_moved_cursor_starts_the_counts_anew),
    };

    return RUN_CORE(tests);
}

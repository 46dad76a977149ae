#include "tests/support/core.h"

#include <stdio.h>

static int64_t lent(struct ms_core *core)
{
    ENQUEUE(core, .id = "a");
    return ms_core_claim_one(core, "p1", "a");
}

/* As if the queue had last been heard of `ms_ago`. */
static void fall_silent(struct ms_core *core, int64_t ms_ago)
{
    ms_test_cmd(core->redis, "HSET %s seen_ms %lld", K("meta"),
                (long long)ms_core_now(core) - ms_ago);
}

static int64_t quiet_end(struct ms_core *core)
{
    return ms_reply_int(ms_test_cmd(core->redis, "HGET %s quiet_end_ms",
                                    K("meta")),
                        0);
}

/* ---- ended leases ---- */

static TEST(test_an_ended_lease_costs_a_crash_and_no_attempt)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 1);
    CHECK_INT(core->tidy.n_dead, ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 1);
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
    CHECK_INT(ms_core_stat(core, "crashed"), ==, 1);
    CHECK_INT(ms_core_stat(core, "reclaimed"), ==, 1);
    CHECK_INT(ms_core_claim_one(core, "p2", "a"), >, fence);
    CHECK_INT(core->jobs[0].attempt, ==, 1);
}

static TEST(test_a_lease_that_runs_is_left_alone)
{
    struct ms_core *core = *state;

    lent(core);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_INT(core->tidy.next_due_ms, >, 0);
}

/* Workers keep the fleet moving with no coordinator at all. */
static TEST(test_a_claim_takes_ended_leases_back)
{
    struct ms_core *core = *state;
    char id[32];

    ms_core_enqueue_many(core, "j", NULL, 25);
    ms_core_claim(core, "p1", 25);
    for (int i = 0; i < 25; i++) {
        snprintf(id, sizeof(id), "j%d", i);
        ms_core_end_lease(core, id, 1);
    }
    CHECK_INT(ms_core_claim(core, "p2", 100), ==, 10); /* a bounded step */
    CHECK_INT(core->answer.next_due_ms, <=, core->answer.now_ms);
    CHECK_INT(ms_core_claim(core, "p2", 100), ==, 10);
    CHECK_INT(ms_core_claim(core, "p2", 100), ==, 5);
}

static TEST(test_taken_back_jobs_go_ahead_of_the_others)
{
    struct ms_core *core = *state;

    lent(core);
    ENQUEUE(core, .id = "b");
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    ms_core_claim_one(core, "p2", "a");
}

static TEST(test_a_reap_takes_fifty_and_says_more)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 80);
    ms_core_claim(core, "p1", 80);
    for (int i = 0; i < 80; i++)
        ms_core_end_lease(core, core->jobs[i].id, 1);
    ms_core_reap(core, NULL);
    CHECK_INT(core->tidy.n, ==, 50);
    CHECK(core->tidy.more);
    ms_core_reap(core, NULL);
    CHECK_INT(core->tidy.n, ==, 30);
    CHECK(!core->tidy.more);
}

static TEST(test_a_lease_without_a_record_is_dropped)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "ZADD %s 5 lost", K("leases"));
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_INT(ms_core_info(core).running, ==, 0);
    CHECK_INT(ms_core_stat(core, "reclaimed"), ==, 0);
}

static TEST(test_a_job_to_be_cancelled_is_dead_when_it_is_taken_back)
{
    struct ms_core *core = *state;

    lent(core);
    ms_core_cancel(core, "a");
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    CHECK_INT(core->tidy.n_dead, ==, 1);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(ms_core_field(core, "a", "error"), "cancelled by user");
}

static TEST(test_a_reap_promotes_due_jobs)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .delay_ms = 60000);
    ms_test_cmd(core->redis, "ZADD %s 5 a", K("scheduled"));
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    ms_core_reap(core, NULL);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
}

static TEST(test_an_older_leader_is_refused)
{
    struct ms_core *core = *state;

    lent(core);
    core->epoch = 7;
    CHECK_INT(ms_core_stamp(core), ==, MS_OK);
    core->epoch = 6;
    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_stamp(core), ==, MS_ESTALE);
    CHECK_INT(ms_core_reap(core, "p1"), ==, MS_ESTALE);
    CHECK_INT(ms_core_unpark(core, EVERYTHING), ==, MS_ESTALE);
    CHECK_INT(ms_core_retain(core), ==, MS_ESTALE);
    CHECK_STR(ms_core_state(core, "a"), "running");
    core->epoch = ((int64_t)1 << 53) - 1;
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_STR(ms_test_text(core->redis, "HGET %s epoch", K("meta")),
              "9007199254740991");
}

/* ---- poison ---- */

static void crash(struct ms_core *core)
{
    ms_core_claim_one(core, "p1", "a");
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
}

static TEST(test_three_crashes_quarantine_a_job)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .payload = "deadly", .payload_len = 6,
            .unique = "u");
    crash(core);
    crash(core);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    crash(core);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_CONTAINS(ms_core_field(core, "a", "error"), "poison");
    CHECK_STR(ms_core_field(core, "a", "payload"), "deadly");
    CHECK_INT(core->tidy.n_dead, ==, 1);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("unique:u")), ==, 0);
}

static TEST(test_the_crash_limit_is_the_queues)
{
    struct ms_core *core = *state;

    ms_core_set(core, "crash_limit", 1);
    ENQUEUE(core, .id = "a");
    crash(core);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    ms_core_set(core, "crash_limit", 0); /* none */
    ms_core_retry(core, "a");
    for (int i = 0; i < 6; i++)
        crash(core);
    CHECK_STR(ms_core_state(core, "a"), "ready");
}

static TEST(test_progress_in_between_is_no_poison)
{
    struct ms_core *core = *state;
    struct ms_lease_move move = {.progress = -1};

    ENQUEUE(core, .id = "a");
    for (int i = 1; i <= 5; i++) {
        int64_t fence = ms_core_claim_one(core, "p1", "a");

        move.seq = i;
        ms_core_renew_move(core, "p1", "a", fence, &move);
        ms_core_end_lease(core, "a", 1);
        ms_core_reap(core, NULL);
        CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 1);
    }
    CHECK_STR(ms_core_state(core, "a"), "ready");
}

static TEST(test_a_retried_poison_starts_anew)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    for (int i = 0; i < 3; i++)
        crash(core);
    ms_core_retry(core, "a");
    crash(core);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 1);
}

/* ---- after an outage nobody is punished ---- */

static TEST(test_after_a_silence_reclaim_waits_a_ttl)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 20000);
    fall_silent(core, TTL);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_INT(ms_core_claim(core, "p2", 1), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_OK);
}

static TEST(test_what_is_taken_after_a_silence_costs_no_crash)
{
    struct ms_core *core = *state;

    lent(core);
    ENQUEUE(core, .id = "b");
    ms_core_claim_one(core, "p1", "b");
    ms_core_end_lease(core, "a", TTL + 5000);
    ms_core_end_lease(core, "b", 1); /* it ended after the outage */
    ms_test_cmd(core->redis, "HSET %s quiet_end_ms %lld", K("meta"),
                (long long)ms_core_now(core) - TTL - 1000);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 2);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 0);
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
    CHECK_INT(ms_core_number(core, "b", "crashes"), ==, 1);
    CHECK_INT(ms_core_stat(core, "reclaimed"), ==, 2);
    CHECK_INT(ms_core_stat(core, "crashed"), ==, 1);
}

static TEST(test_a_queue_that_is_heard_of_has_no_outage)
{
    struct ms_core *core = *state;

    lent(core);
    fall_silent(core, TTL / 3 + 1000);
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    CHECK_INT(core->tidy.n, ==, 1);
    CHECK_INT(quiet_end(core), ==, 0);
}

/* Pods renew every third; the note of when must be fine enough for that. */
static TEST(test_short_leases_are_heard_of_too)
{
    struct ms_core *core = *state;
    int64_t fence;
    int64_t seen;

    core->ttl_ms = 1000;
    fence = lent(core);
    for (int i = 0; i < 4; i++) {
        seen = ms_core_now(core) - 333;
        ms_test_cmd(core->redis, "HSET %s seen_ms %lld", K("meta"),
                    (long long)seen);
        ms_core_renew(core, "p1", "a", fence);
        CHECK_INT(ms_test_num(core->redis, "HGET %s seen_ms", K("meta")), >,
                  seen);
    }
    CHECK_INT(quiet_end(core), ==, 0);
}

static TEST(test_a_clock_set_back_does_not_stop_reclaim)
{
    struct ms_core *core = *state;
    int64_t hour = 3600000;

    lent(core);
    ms_test_cmd(core->redis, "HSET %s seen_ms %lld quiet_end_ms %lld",
                K("meta"), (long long)ms_core_now(core) + hour,
                (long long)ms_core_now(core) + hour);
    ms_core_reap(core, NULL);
    CHECK_INT(quiet_end(core), <=, ms_core_now(core));
}

/* ---- pods that are gone ---- */

static TEST(test_a_gone_pods_jobs_are_taken_at_once)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 3);
    ms_core_claim(core, "p1", 2);
    ms_core_claim(core, "p2", 1);
    CHECK_INT(ms_core_reap(core, "p1"), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 2);
    CHECK_STR(ms_core_state(core, "j0"), "ready");
    CHECK_INT(ms_core_number(core, "j0", "crashes"), ==, 1);
    CHECK_STR(ms_core_state(core, "j2"), "running");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("held:p1")), ==, 0);
}

static TEST(test_a_gone_pods_jobs_are_taken_in_steps)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 70);
    ms_core_claim(core, "p1", 70);
    ms_core_reap(core, "p1");
    CHECK_INT(core->tidy.n, ==, 50);
    CHECK(core->tidy.more);
    ms_core_reap(core, "p1");
    CHECK_INT(core->tidy.n, ==, 20);
    CHECK(!core->tidy.more);
    ms_core_reap(core, "p1");
    CHECK_INT(core->tidy.n, ==, 0);
}

/* A failover to a lagging replica can leave an id in an old pod's set. */
static TEST(test_a_job_that_another_pod_runs_is_not_taken)
{
    struct ms_core *core = *state;

    lent(core);
    ms_test_cmd(core->redis, "SADD %s a", K("held:p0"));
    ms_core_reap(core, "p0");
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("held:p0")), ==, 0);
}

static TEST(test_a_pod_that_seems_gone_after_an_outage_is_not_charged)
{
    struct ms_core *core = *state;

    lent(core);
    fall_silent(core, TTL);
    ms_core_reap(core, "p1");
    CHECK_INT(core->tidy.n, ==, 1);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 0);
}

static TEST(test_a_chunk_taken_back_is_ready_in_the_tally)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    ms_core_spawn(core, "p", 0, 1);
    for (int i = 0; i < 3; i++) {
        ms_core_claim_one(core, "p1", "p.0");
        CHECK_INT(ms_core_tally(core, "p").running, ==, 1);
        ms_core_reap(core, "p1");
        CHECK_INT(ms_core_tally(core, "p").running, ==, 0);
        CHECK_INT(ms_core_tally(core, "p").ready, ==, i < 2);
    }
    CHECK_INT(ms_core_tally(core, "p").dead, ==, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_an_ended_lease_costs_a_crash_and_no_attempt),
        CORE(test_a_lease_that_runs_is_left_alone),
        CORE(test_a_claim_takes_ended_leases_back),
        CORE(test_taken_back_jobs_go_ahead_of_the_others),
        CORE(test_a_reap_takes_fifty_and_says_more),
        CORE(test_a_lease_without_a_record_is_dropped),
        CORE(test_a_job_to_be_cancelled_is_dead_when_it_is_taken_back),
        CORE(test_a_reap_promotes_due_jobs),
        CORE(test_an_older_leader_is_refused),
        CORE(test_three_crashes_quarantine_a_job),
        CORE(test_the_crash_limit_is_the_queues),
        CORE(test_progress_in_between_is_no_poison),
        CORE(test_a_retried_poison_starts_anew),
        CORE(test_after_a_silence_reclaim_waits_a_ttl),
        CORE(test_what_is_taken_after_a_silence_costs_no_crash),
        CORE(test_a_queue_that_is_heard_of_has_no_outage),
        CORE(test_short_leases_are_heard_of_too),
        CORE(test_a_clock_set_back_does_not_stop_reclaim),
        CORE(test_a_gone_pods_jobs_are_taken_at_once),
        CORE(test_a_gone_pods_jobs_are_taken_in_steps),
        CORE(test_a_job_that_another_pod_runs_is_not_taken),
        CORE(test_a_pod_that_seems_gone_after_an_outage_is_not_charged),
        CORE(test_a_chunk_taken_back_is_ready_in_the_tally),
    };

    return RUN_CORE(tests);
}

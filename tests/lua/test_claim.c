#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

static const char *wake_len(struct ms_core *core)
{
    return ms_test_text(core->redis, "LLEN %s", K("wake"));
}

/* ---- what is lent ---- */

static TEST(test_a_claim_of_nothing_answers_nothing)
{
    struct ms_core *core = *state;

    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_OK);
    CHECK_INT(core->answer.more, ==, 0);
    CHECK_INT(core->answer.next_due_ms, ==, 0);
    CHECK_INT(core->answer.max_workers, ==, 1000);
    CHECK_INT(core->answer.now_ms, >, 1700000000000);
}

static TEST(test_a_lent_job_has_lease_fence_and_pod)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a", .timeout_ms = 77000);
    fence = ms_core_claim_one(core, "p1", "a");
    CHECK_INT(fence, ==, core->answer.now_ms);
    CHECK_INT(core->jobs[0].attempt, ==, 1);
    CHECK_INT(core->jobs[0].timeout_ms, ==, 77000);
    CHECK_INT(core->jobs[0].n_fields, ==, 4); /* as before the claim */
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_STR(ms_core_field(core, "a", "pod"), "p1");
    CHECK_INT(ms_core_number(core, "a", "fence"), ==, fence);
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 1);
    CHECK_INT(ms_core_number(core, "a", "started_ms"), ==, core->answer.now_ms);
    CHECK_INT(ms_test_num(core->redis, "ZSCORE %s a", K("leases")), ==,
              core->answer.now_ms + TTL);
    CHECK_INT(ms_test_num(core->redis, "SISMEMBER %s a", K("held:p1")), ==, 1);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
}

static TEST(test_the_timeout_is_the_queues_unless_the_job_has_one)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ENQUEUE(core, .id = "b");
    ms_core_claim(core, "p1", 1);
    CHECK_INT(core->jobs[0].timeout_ms, ==, 600000);
    ms_core_set(core, "timeout_ms", 5000);
    ms_core_claim(core, "p1", 1);
    CHECK_INT(core->jobs[0].timeout_ms, ==, 5000);
}

/* Redis's clock may have been set back, or another node's be behind. */
static TEST(test_the_fence_only_grows)
{
    struct ms_core *core = *state;
    int64_t last = ((int64_t)1 << 53) - 3;

    ENQUEUE(core, .id = "a");
    ms_test_cmd(core->redis, "HSET %s fence %lld", K("job:a"), (long long)last);
    CHECK_INT(ms_core_claim_one(core, "p1", "a"), ==, last + 1);
    CHECK_INT(ms_core_number(core, "a", "fence"), ==, last + 1);
    CHECK_INT(ms_core_renew(core, "p1", "a", last + 1), ==, MS_RENEW_OK);
    CHECK_INT(ms_core_renew(core, "p1", "a", last), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_release(core, "p1", "a", last + 1, 0), ==, MS_FINISH_OK);
    CHECK_INT(ms_core_claim_one(core, "p1", "a"), ==, last + 2);
    CHECK_INT(DONE(core, "p1", "a", last + 2), ==, MS_FINISH_OK);
}

static TEST(test_two_claims_in_one_millisecond_have_two_fences)
{
    struct ms_core *core = *state;
    int64_t first;

    ENQUEUE(core, .id = "a");
    first = ms_core_claim_one(core, "p1", "a");
    ms_test_cmd(core->redis, "HSET %s fence %lld", K("job:a"),
                (long long)first + 5000);
    ms_core_release(core, "p1", "a", first + 5000, 0);
    CHECK_INT(ms_core_claim_one(core, "p2", "a"), ==, first + 5001);
}

static TEST(test_a_claim_lends_at_most_256)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 300);
    CHECK_INT(ms_core_claim(core, "p1", 256), ==, 256);
    CHECK_INT(ms_core_claim(core, "p1", 256), ==, 44);
    CHECK_INT(core->answer.more, ==, 0);
}

/* ---- order ---- */

static TEST(test_higher_priority_comes_first)
{
    struct ms_core *core = *state;
    static const char *const want[] = {"p0", "p1", "p5", "p5b", "p9"};

    ENQUEUE(core, .id = "p9", .priority = 9);
    ENQUEUE(core, .id = "p5");
    ENQUEUE(core, .id = "p1", .priority = 1);
    ENQUEUE(core, .id = "p5b");
    ENQUEUE(core, .id = "p0", .priority = 0);
    CHECK_INT(ms_core_claim(core, "p1", 3), ==, 3);
    for (int i = 0; i < 3; i++)
        CHECK_STR(core->jobs[i].id, want[i]);
    CHECK_INT(ms_core_claim(core, "p1", 3), ==, 2);
    for (int i = 0; i < 2; i++)
        CHECK_STR(core->jobs[i].id, want[3 + i]);
}

/* Claims all, `limit` a time, and writes the ids' first letters. */
static void claim_letters(struct ms_core *core, int limit, char *out)
{
    size_t n = 0;

    while (ms_core_claim(core, "p1", limit) > 0)
        for (size_t i = 0; i < core->answer.n_jobs; i++)
            out[n++] = core->jobs[i].id[0];
    out[n] = '\0';
}

static TEST(test_groups_take_turns_one_job_a_claim)
{
    struct ms_core *core = *state;
    char letters[32];

    ms_core_enqueue_many(core, "a", "ga", 5);
    ms_core_enqueue_many(core, "b", "gb", 2);
    ms_core_enqueue_many(core, "c", NULL, 3);
    claim_letters(core, 1, letters);
    CHECK_STR(letters, "abcabcacaa");
}

static TEST(test_groups_take_turns_within_a_claim)
{
    struct ms_core *core = *state;
    char letters[32];

    ms_core_enqueue_many(core, "a", "ga", 5);
    ms_core_enqueue_many(core, "b", "gb", 2);
    ms_core_enqueue_many(core, "c", NULL, 3);
    claim_letters(core, 64, letters);
    CHECK_STR(letters, "abcabcacaa");
}

/* Whose turn it was is remembered from claim to claim, whatever their size. */
static TEST(test_turns_go_on_over_claims_of_any_size)
{
    struct ms_core *core = *state;
    char letters[32];

    for (int limit = 2; limit <= 7; limit++) {
        ms_core_enqueue_many(core, "a", "ga", 6);
        ms_core_enqueue_many(core, "b", "gb", 6);
        ms_core_enqueue_many(core, "c", "gc", 6);
        claim_letters(core, limit, letters);
        CHECK_STR(letters, "abcabcabcabcabcabc");
        ms_core_setup(state);
    }
}

/* The small tenant does not wait for the big one's backlog. */
static TEST(test_a_small_group_passes_through_a_backlog)
{
    struct ms_core *core = *state;
    int claims = 0;
    int small = 0;

    ms_core_enqueue_many(core, "big", "big", 100000);
    ms_core_enqueue_many(core, "small", "small", 10);
    for (; small < 10; claims++) {
        ms_core_claim(core, "p1", 4);
        for (int i = 0; i < 4; i++)
            small += core->jobs[i].id[0] == 's';
    }
    CHECK_INT(claims, ==, 5);             /* every other job was its */
    ms_test_cmd(core->redis, "FLUSHALL"); /* nothing to walk through */
}

static TEST(test_more_groups_than_the_limit_all_get_their_turn)
{
    struct ms_core *core = *state;
    int turns[40] = {0};
    char group[16];
    char prefix[16];

    for (int i = 0; i < 40; i++) {
        snprintf(group, sizeof(group), "g%d", i);
        snprintf(prefix, sizeof(prefix), "%d-", i);
        ms_core_enqueue_many(core, prefix, group, 3);
    }
    for (int i = 0; i < 8; i++) {
        CHECK_INT(ms_core_claim(core, "p1", 10), ==, 10);
        ms_core_check(core);
        for (int k = 0; k < 10; k++)
            turns[atoi(core->jobs[k].id)]++;
    }
    for (int i = 0; i < 40; i++)
        CHECK_INT(turns[i], ==, 2);
}

/* ---- ids that lead nowhere ---- */

static TEST(test_ids_of_cancelled_jobs_are_skipped)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 5);
    ms_core_cancel(core, "j0");
    ms_core_cancel(core, "j2");
    ms_core_delete(core, "j3");
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 2);
    CHECK_STR(core->jobs[0].id, "j1");
    CHECK_STR(core->jobs[1].id, "j4");
    CHECK_INT(core->answer.more, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", K("ring:5"),
                          K("ready:5:-")),
              ==, 0);
}

static TEST(test_a_long_run_of_dead_ids_is_stepped_over_in_bounds)
{
    struct ms_core *core = *state;
    char id[16];
    int claims = 0;

    ms_core_enqueue_many(core, "j", NULL, 400);
    for (int i = 0; i < 399; i++) {
        snprintf(id, sizeof(id), "j%d", i);
        ms_core_delete(core, id);
    }
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    while (ms_core_claim(core, "p1", 1) == 0) {
        CHECK_INT(core->answer.more, ==, 1);
        CHECK_STR(wake_len(core), "1"); /* somebody goes on */
        ms_test_cmd(core->redis, "DEL %s", K("wake"));
        claims++;
    }
    CHECK_INT(claims, >=, 5);
    CHECK_INT(claims, <=, 8);
    CHECK_STR(core->jobs[0].id, "j399");
}

static TEST(test_an_id_that_stands_twice_is_lent_once)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ms_core_cancel(core, "a");
    ms_core_retry(core, "a");
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("ready:5:-")), ==, 2);
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 1);
    CHECK_INT(ms_core_claim(core, "p2", 10), ==, 0);
}

/* Its id was enqueued anew elsewhere; the old entry is not its turn. */
static TEST(test_an_id_counts_in_its_own_list_alone)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .priority = 0, .group = "g");
    ms_core_delete(core, "a");
    ENQUEUE(core, .id = "b");
    ENQUEUE(core, .id = "a", .priority = 5, .group = "h");
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 1);
    CHECK_STR(core->jobs[0].id, "b");
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 1);
    CHECK_STR(core->jobs[0].id, "a");
}

/* Groups at the front that have nothing to run must not send a claim on to a
 * lower priority. */
static TEST(test_groups_without_jobs_hide_no_higher_priority)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "low", .priority = 9);
    ENQUEUE(core, .id = "a", .group = "g");
    ENQUEUE(core, .id = "b", .group = "h", .kind = "other");
    ENQUEUE(core, .id = "c", .group = "i");
    ms_core_cancel(core, "a");
    core->kinds = ",k,";
    ms_core_claim_one(core, "p1", "c");
    ms_core_claim_one(core, "p1", "low");
}

static TEST(test_nobody_has_a_second_turn_before_groups_further_behind)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "g", "g", 3);
    ENQUEUE(core, .id = "a", .group = "h");
    ENQUEUE(core, .id = "b", .group = "i");
    ms_core_cancel(core, "a");
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 2);
    CHECK_STR(core->jobs[0].id, "g0");
    CHECK_STR(core->jobs[1].id, "b");
}

static TEST(test_expired_jobs_end_as_dead_when_their_turn_comes)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .expires_at_ms = 1000, .unique = "u");
    ENQUEUE(core, .id = "b", .expires_in_ms = 60000);
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 1);
    CHECK_STR(core->jobs[0].id, "b");
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_CONTAINS(ms_core_field(core, "a", "error"), "expired");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("unique:u")), ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
}

/* A drain must not cost a job its life. */
static TEST(test_what_was_begun_in_time_does_not_expire)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a", .expires_in_ms = 60000);
    fence = ms_core_claim_one(core, "p1", "a");
    ms_core_release(core, "p1", "a", fence, 0);
    ms_test_cmd(core->redis, "HSET %s expires_ms 1000", K("job:a"));
    ms_core_claim_one(core, "p1", "a");
}

/* A count that drifted would wake pods for ever. */
static TEST(test_a_count_of_jobs_that_are_not_there_is_mended)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "HSET %s - 3 k 3", K("depth"));
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_INT(core->answer.more, ==, 0);
    CHECK_STR(wake_len(core), "0");
}

/* ---- cap, pause, cool-down ---- */

static TEST(test_no_claim_lifts_running_over_max_workers)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_workers", 3);
    ms_core_enqueue_many(core, "j", NULL, 10);
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 2);
    CHECK_INT(ms_core_claim(core, "p2", 2), ==, 1);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_OK);
    CHECK_INT(core->answer.more, ==, 1);
    CHECK_INT(ms_core_claim(core, "p3", 2), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_FULL);
    CHECK_INT(core->answer.max_workers, ==, 3);
    CHECK_INT(ms_core_info(core).running, ==, 3);
}

static TEST(test_a_queue_that_nobody_configured_runs_one)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "DEL %s", K("cfg"));
    ms_core_enqueue_many(core, "j", NULL, 3);
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 1);
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_FULL);
}

static TEST(test_a_lowered_cap_kills_nobody_and_lends_nothing)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 10);
    ms_core_claim(core, "p1", 5);
    ms_core_set(core, "max_workers", 2);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_FULL);
    CHECK_INT(ms_core_info(core).running, ==, 5);
    ms_core_set(core, "max_workers", 10);
}

static TEST(test_a_paused_queue_lends_nothing)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ms_core_pause(core, true);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_PAUSED);
    CHECK_INT(core->answer.more, ==, 1);
    ms_core_pause(core, false);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 1);
}

static TEST(test_a_cooling_queue_says_until_when)
{
    struct ms_core *core = *state;
    int64_t until = ms_core_now(core) + 45000;

    ENQUEUE(core, .id = "a");
    ms_test_cmd(core->redis, "HSET %s throttled_until_ms %lld", K("meta"),
                (long long)until);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_COOLING);
    CHECK_INT(core->answer.next_due_ms, ==, until);
    ms_test_cmd(core->redis, "HSET %s throttled_until_ms %lld", K("meta"),
                (long long)until - 50000);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 1);
}

/* ---- group_max ---- */

static TEST(test_a_group_at_its_max_is_passed_by)
{
    struct ms_core *core = *state;
    char letters[32];
    int64_t fence;

    ms_core_set(core, "group_max", 2);
    ms_core_enqueue_many(core, "a", "ga", 5);
    ms_core_enqueue_many(core, "b", "gb", 3);
    ms_core_enqueue_many(core, "n", NULL, 4);
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 1);
    fence = core->jobs[0].fence;
    CHECK_STR(core->jobs[0].id, "a0");
    claim_letters(core, 10, letters);
    CHECK_STR(letters, "bnabnnn");
    CHECK_INT(ms_core_depth(core, "-"), ==, 4);
    CHECK_INT(core->answer.more, ==, 0); /* nothing that may run now */
    CHECK_STR(wake_len(core), "0");
    DONE(core, "p1", "a0", fence);
    CHECK_STR(wake_len(core), "1");
    ms_core_claim_one(core, "p1", "a2");
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
}

static TEST(test_the_groups_max_counts_over_all_priorities)
{
    struct ms_core *core = *state;

    ms_core_set(core, "group_max", 1);
    ENQUEUE(core, .id = "a", .group = "g", .priority = 7);
    ENQUEUE(core, .id = "b", .group = "g", .priority = 2);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 1);
    CHECK_STR(core->jobs[0].id, "b");
}

static TEST(test_blocked_groups_hide_nobody)
{
    struct ms_core *core = *state;
    char group[16];
    char id[32];

    ms_core_set(core, "group_max", 1);
    for (int i = 0; i < 150; i++) {
        snprintf(group, sizeof(group), "g%d", i);
        ENQUEUE(core, .id = group, .group = group);
        ms_core_claim(core, "p1", 1);
    }
    for (int i = 0; i < 150; i++) {
        snprintf(group, sizeof(group), "g%d", i);
        snprintf(id, sizeof(id), "again%d", i);
        ENQUEUE(core, .id = id, .group = group);
    }
    CHECK_INT(ms_core_claim(core, "p2", 1), ==, 0);
    CHECK_INT(core->answer.more, ==, 0);
    ENQUEUE(core, .id = "free");
    ms_core_claim_one(core, "p2", "free");
}

static TEST(test_every_way_out_makes_room_in_the_group)
{
    struct ms_core *core = *state;
    struct ms_lease_move none = NO_MOVE;
    int64_t fence;

    ms_core_set(core, "group_max", 1);
    ms_core_set(core, "backoff_enabled", 0);
    ENQUEUE(core, .id = "a", .group = "g");
    FAIL(core, "p1", "a", ms_core_claim_one(core, "p1", "a"));
    ms_core_release(core, "p1", "a", ms_core_claim_one(core, "p1", "a"), 0);
    fence = ms_core_claim_one(core, "p1", "a");
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    CHECK_INT(ms_core_renew_move(core, "p1", "a", fence, &none), ==,
              MS_RENEW_OK);
    ms_core_end_lease(core, "a", 1);
    fence = ms_core_claim_one(core, "p1", "a");
    ENQUEUE(core, .id = "b", .group = "g");
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    ms_core_finish(core, "p1", "a", fence, MS_FINISH_DEAD);
    DONE(core, "p1", "b", ms_core_claim_one(core, "p1", "b"));
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("running")), ==, 0);
}

/* Blocked by what the same claim took at a higher priority. */
static TEST(test_groups_filled_by_this_claim_hide_nobody)
{
    struct ms_core *core = *state;

    ms_core_set(core, "group_max", 1);
    ENQUEUE(core, .id = "g1", .group = "g", .priority = 1);
    ENQUEUE(core, .id = "g5", .group = "g");
    ENQUEUE(core, .id = "a");
    ENQUEUE(core, .id = "z", .priority = 9);
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 2);
    CHECK_STR(core->jobs[0].id, "g1");
    CHECK_STR(core->jobs[1].id, "a");
}

static TEST(test_a_renewal_does_not_lift_a_group_over_its_max)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_set(core, "group_max", 1);
    ENQUEUE(core, .id = "a", .group = "g");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    ENQUEUE(core, .id = "b", .group = "g", .priority = 0);
    ms_core_claim_one(core, "p2", "b");
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
}

/* ---- due jobs ---- */

static TEST(test_due_jobs_are_promoted_on_the_way)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .delay_ms = 60000, .priority = 2);
    ENQUEUE(core, .id = "b", .delay_ms = 90000);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    CHECK_INT(core->answer.next_due_ms, ==,
              ms_core_number(core, "a", "due_ms"));
    ms_test_cmd(core->redis, "ZADD %s 5 a", K("scheduled"));
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 1);
    CHECK_STR(core->jobs[0].id, "a");
    CHECK_INT(ms_core_number(core, "a", "ready_ms"), ==, core->answer.now_ms);
    CHECK_STR(ms_core_field(core, "a", "due_ms"), "");
    CHECK_INT(core->answer.next_due_ms, <=,
              ms_core_number(core, "b", "due_ms"));
}

static TEST(test_due_ids_without_a_record_are_dropped)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ms_test_cmd(core->redis, "ZADD %s 1 lost 1 a", K("scheduled"));
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("scheduled")), ==, 0);
}

static TEST(test_while_there_are_leases_nobody_stays_away_long)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ms_core_claim(core, "p1", 1);
    CHECK_INT(core->answer.next_due_ms, ==, core->answer.now_ms + TTL / 3);
}

/* ---- parking ---- */

static TEST(test_kinds_that_the_pod_cannot_run_step_aside)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .kind = "mail.send");
    ENQUEUE(core, .id = "b", .kind = "py.run");
    ENQUEUE(core, .id = "c", .kind = "noop");
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    core->kinds = ",noop,py.*,";
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 2);
    CHECK_STR(core->jobs[0].id, "b");
    CHECK_STR(core->jobs[1].id, "c");
    CHECK_INT(core->answer.more, ==, 0);
    CHECK_INT(ms_core_info(core).parked, ==, 1);
    CHECK_INT(ms_core_info(core).ready, ==, 1);
    CHECK_STR(wake_len(core), "16"); /* who can run it: all are asked */
}

static TEST(test_a_name_that_only_begins_alike_is_not_handled)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .kind = "noop.echo");
    ENQUEUE(core, .id = "b", .kind = "p");
    core->kinds = ",noop,py.*,noop.echo2,";
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_INT(ms_core_info(core).parked, ==, 2);
}

static TEST(test_parked_jobs_come_back_first_to_a_pod_that_runs_them)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .kind = "x");
    ENQUEUE(core, .id = "b", .kind = "x");
    core->kinds = ",k,";
    ms_core_claim(core, "p1", 10);
    ENQUEUE(core, .id = "c");
    core->kinds = ",k,x,";
    CHECK_INT(ms_core_claim(core, "p2", 10), ==, 3);
    CHECK_STR(core->jobs[0].id, "a");
    CHECK_STR(core->jobs[1].id, "b");
    CHECK_STR(core->jobs[2].id, "c");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s %s", K("parked"),
                          K("parked_kinds"), K("parked:x")),
              ==, 0);
}

static TEST(test_a_parked_job_that_was_cancelled_does_not_come_back)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .kind = "x");
    core->kinds = ",k,";
    ms_core_claim(core, "p1", 10);
    CHECK_INT(ms_core_cancel(core, "a"), ==, MS_CANCEL_CANCELLED);
    core->kinds = EVERYTHING;
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

/* ---- wake tokens ---- */

/* 256 payloads of a MiB would be a reply of 256 MiB. */
static TEST(test_a_claim_of_large_payloads_stops_in_time)
{
    struct ms_core *core = *state;
    size_t len = 1 << 20;
    char *payload = ms_xmalloc(len);

    memset(payload, 'x', len);
    for (int i = 0; i < 12; i++)
        ENQUEUE(core, .id = (char[]){'j', (char)('a' + i), '\0'},
                .payload = payload, .payload_len = len);
    CHECK_INT(ms_core_claim(core, "p1", 256), ==, 8);
    CHECK(core->answer.more);
    CHECK_INT(ms_core_claim(core, "p1", 256), ==, 4);
    CHECK(!core->answer.more);
    free(payload);
}

static TEST(test_a_claim_that_leaves_work_wakes_the_next)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 3);
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    ms_core_claim(core, "p1", 1);
    CHECK_STR(wake_len(core), "1");
    ms_core_claim(core, "p1", 2); /* nothing is left to look at */
    CHECK_STR(wake_len(core), "0");
}

static TEST(test_a_full_queue_wakes_nobody_until_there_is_room)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_set(core, "max_workers", 1);
    ms_core_enqueue_many(core, "j", NULL, 3);
    fence = ms_core_claim_one(core, "p1", "j0");
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    ms_core_claim(core, "p2", 1);
    CHECK_STR(wake_len(core), "0");
    DONE(core, "p1", "j0", fence);
    CHECK_STR(wake_len(core), "1");
}

/* A slot is free again, though no job came back. */
static TEST(test_a_running_job_that_ends_as_dead_wakes_the_next)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_set(core, "max_workers", 1);
    ms_core_enqueue_many(core, "j", NULL, 3);
    fence = ms_core_claim_one(core, "p1", "j0");
    ms_core_cancel(core, "j0");
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    ms_core_release(core, "p1", "j0", fence, 0);
    CHECK_STR(wake_len(core), "1");
    ms_core_claim_one(core, "p1", "j1");
    ms_core_cancel(core, "j1");
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    ms_core_end_lease(core, "j1", 1);
    ms_core_reap(core, NULL);
    CHECK_STR(wake_len(core), "1");
}

static TEST(test_a_raised_cap_of_groups_wakes_a_pod)
{
    struct ms_core *core = *state;

    ms_core_set(core, "group_max", 1);
    ms_core_enqueue_many(core, "j", "g", 2);
    ms_core_claim_one(core, "p1", "j0");
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    ms_core_set(core, "group_max", 0);
    CHECK_STR(wake_len(core), "1");
    ms_core_set(core, "group_max", 2);
    CHECK_STR(wake_len(core), "1");
}

static TEST(test_claims_by_many_pods_never_pass_the_cap)
{
    struct ms_core *core = *state;
    char pod[8];

    srand48((long)ms_test_seed());
    ms_core_set(core, "max_workers", 17);
    ms_core_enqueue_many(core, "j", NULL, 500);
    for (int i = 0; i < 200; i++) {
        snprintf(pod, sizeof(pod), "p%ld", lrand48() % 9);
        ms_core_claim(core, pod, (int)(lrand48() % 12) + 1);
        CHECK_INT(ms_core_info(core).running, <=, 17);
        for (size_t k = 0; k < core->answer.n_jobs; k++)
            if (lrand48() % 10 > 0)
                DONE(core, pod, core->jobs[k].id, core->jobs[k].fence);
    }
    CHECK_INT(ms_core_info(core).running, ==, 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_claim_of_nothing_answers_nothing),
        CORE(test_a_lent_job_has_lease_fence_and_pod),
        CORE(test_the_timeout_is_the_queues_unless_the_job_has_one),
        CORE(test_the_fence_only_grows),
        CORE(test_two_claims_in_one_millisecond_have_two_fences),
        CORE(test_a_claim_lends_at_most_256),
        CORE(test_higher_priority_comes_first),
        CORE(test_groups_take_turns_one_job_a_claim),
        CORE(test_groups_take_turns_within_a_claim),
        CORE(test_turns_go_on_over_claims_of_any_size),
        CORE(test_a_small_group_passes_through_a_backlog),
        CORE(test_more_groups_than_the_limit_all_get_their_turn),
        CORE(test_ids_of_cancelled_jobs_are_skipped),
        CORE(test_a_long_run_of_dead_ids_is_stepped_over_in_bounds),
        CORE(test_an_id_that_stands_twice_is_lent_once),
        CORE(test_an_id_counts_in_its_own_list_alone),
        CORE(test_groups_without_jobs_hide_no_higher_priority),
        CORE(test_nobody_has_a_second_turn_before_groups_further_behind),
        CORE(test_expired_jobs_end_as_dead_when_their_turn_comes),
        CORE(test_what_was_begun_in_time_does_not_expire),
        CORE(test_a_count_of_jobs_that_are_not_there_is_mended),
        CORE(test_no_claim_lifts_running_over_max_workers),
        CORE(test_a_queue_that_nobody_configured_runs_one),
        CORE(test_a_lowered_cap_kills_nobody_and_lends_nothing),
        CORE(test_a_paused_queue_lends_nothing),
        CORE(test_a_cooling_queue_says_until_when),
        CORE(test_a_group_at_its_max_is_passed_by),
        CORE(test_the_groups_max_counts_over_all_priorities),
        CORE(test_blocked_groups_hide_nobody),
        CORE(test_every_way_out_makes_room_in_the_group),
        CORE(test_groups_filled_by_this_claim_hide_nobody),
        CORE(test_a_renewal_does_not_lift_a_group_over_its_max),
        CORE(test_due_jobs_are_promoted_on_the_way),
        CORE(test_due_ids_without_a_record_are_dropped),
        CORE(test_while_there_are_leases_nobody_stays_away_long),
        CORE(test_kinds_that_the_pod_cannot_run_step_aside),
        CORE(test_a_name_that_only_begins_alike_is_not_handled),
        CORE(test_parked_jobs_come_back_first_to_a_pod_that_runs_them),
        CORE(test_a_parked_job_that_was_cancelled_does_not_come_back),
        CORE(test_a_claim_of_large_payloads_stops_in_time),
        CORE(test_a_claim_that_leaves_work_wakes_the_next),
        CORE(test_a_full_queue_wakes_nobody_until_there_is_room),
        CORE(test_a_running_job_that_ends_as_dead_wakes_the_next),
        CORE(test_a_raised_cap_of_groups_wakes_a_pod),
        CORE(test_claims_by_many_pods_never_pass_the_cap),
    };

    return RUN_CORE(tests);
}

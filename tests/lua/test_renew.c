#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t lent(struct ms_core *core)
{
    ENQUEUE(core, .id = "a");
    return ms_core_claim_one(core, "p1", "a");
}

static int64_t lease_end(struct ms_core *core, const char *id)
{
    return ms_test_num(core->redis, "ZSCORE %s %s", K("leases"), id);
}

/* A chunk "p.0" of parent "p", running at p1; returns its fence. */
static int64_t lent_chunk(struct ms_core *core)
{
    ENQUEUE(core, .id = "p", .parent = true);
    CHECK_INT(ms_core_spawn(core, "p", 0, 1), ==, MS_OK);
    return ms_core_claim_one(core, "p1", "p.0");
}

static TEST(test_a_renewal_moves_the_end_of_the_lease)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_OK);
    CHECK_INT(lease_end(core, "a"), >=, fence + TTL);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "a"), "running");
}

static TEST(test_an_old_fence_is_lost_and_counted)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    int64_t end;

    ms_core_end_lease(core, "a", -500);
    end = lease_end(core, "a");
    CHECK_INT(ms_core_renew(core, "p1", "a", fence - 1), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_renew(core, "p2", "a", fence), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_renew(core, "p1", "nowhere", fence), ==, MS_RENEW_LOST);
    CHECK_INT(lease_end(core, "a"), ==, end);
    CHECK_INT(ms_core_stat(core, "stale"), ==, 3);
}

static TEST(test_an_ended_job_is_lost)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    DONE(core, "p1", "a", fence);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
    CHECK_STR(ms_core_state(core, "a"), "done");
    CHECK_INT(ms_core_info(core).running, ==, 0);
}

/* After a lost connection a pod renews all that it has not heard of, what it
 * finished too. */
static TEST(test_a_job_that_the_pod_ended_itself_is_no_stale_write)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a");
    fence = ms_core_claim_one(core, "p1", "a");
    DONE(core, "p1", "a", fence);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_stat(core, "stale"), ==, 0);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence - 1), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_stat(core, "stale"), ==, 1);
}

static TEST(test_a_released_job_is_lost)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_release(core, "p1", "a", fence, 0);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
    CHECK_STR(ms_core_state(core, "a"), "ready");
}

static TEST(test_a_cancelled_job_is_told_and_kept)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_cancel(core, "a");
    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_CANCEL);
    CHECK_INT(lease_end(core, "a"), >=, fence + TTL);
}

/* ---- after the lease was taken back ---- */

static TEST(test_a_lease_taken_back_is_given_again_while_nobody_has_it)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 1);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_OK);
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 0);
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 1);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    CHECK_INT(ms_core_claim(core, "p2", 1), ==, 0); /* its id is dropped */
    ms_core_check(core);
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
}

/* Only a crash that was counted is given back. */
static TEST(test_coming_back_after_an_outage_forgets_no_earlier_crash)
{
    struct ms_core *core = *state;
    int64_t fence;

    lent(core);
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    fence = ms_core_claim_one(core, "p1", "a");
    ms_test_cmd(core->redis, "HSET %s quiet_end_ms %lld", K("meta"),
                (long long)ms_core_now(core));
    ms_core_reap(core, "p1");
    CHECK_INT(core->tidy.n, ==, 1);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_OK);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 1);
}

static TEST(test_a_lease_that_someone_else_has_is_lost)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    ms_core_claim_one(core, "p2", "a");
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
    CHECK_STR(ms_core_field(core, "a", "pod"), "p2");
}

static TEST(test_a_renewal_does_not_lift_running_over_the_cap)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_set(core, "max_workers", 1);
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    ENQUEUE(core, .id = "b", .priority = 0);
    ms_core_claim_one(core, "p2", "b");
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_info(core).running, ==, 1);
    DONE(core, "p2", "b", core->jobs[0].fence);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_OK);
}

static TEST(test_only_as_many_come_back_as_have_room)
{
    struct ms_core *core = *state;
    struct ms_renewal jobs[4];
    enum ms_renew_status out[4];
    char ids[4][16];
    int ok = 0;

    ms_core_enqueue_many(core, "j", NULL, 4);
    ms_core_claim(core, "p1", 4);
    for (int i = 0; i < 4; i++) {
        snprintf(ids[i], sizeof(ids[i]), "j%d", i);
        jobs[i] = (struct ms_renewal){ids[i], core->jobs[i].fence, NO_MOVE};
        ms_core_end_lease(core, ids[i], 1);
    }
    ms_core_reap(core, NULL);
    ms_core_set(core, "max_workers", 3);
    ms_core_renew_all(core, "p1", jobs, 4, out);
    for (int i = 0; i < 4; i++)
        ok += out[i] == MS_RENEW_OK;
    CHECK_INT(ok, ==, 3);
    CHECK_INT(out[3], ==, MS_RENEW_LOST);
    CHECK_INT(ms_core_info(core).running, ==, 3);
}

static TEST(test_running_jobs_are_renewed_over_a_lowered_cap)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ENQUEUE(core, .id = "b");
    ms_core_claim(core, "p1", 1);
    ms_core_set(core, "max_workers", 1);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_OK);
    ms_core_set(core, "max_workers", 2);
}

static TEST(test_a_parked_job_comes_back_to_who_had_it)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_end_lease(core, "a", 1);
    core->kinds = ",other,";
    ms_core_claim(core, "p2", 1);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_OK);
    CHECK_INT(ms_core_info(core).parked, ==, 0);
}

/* ---- leases that the call does not mention ---- */

/* The answer of a claim was lost: the pod does not know what it has. */
static TEST(test_unmentioned_leases_are_named)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    struct ms_renewal job = {"a", fence, NO_MOVE};
    enum ms_renew_status status;

    ENQUEUE(core, .id = "b");
    ms_core_claim(core, "p1", 1);
    ENQUEUE(core, .id = "c");
    ms_core_claim(core, "p2", 1);
    ms_core_renew_all(core, "p1", &job, 1, &status);
    CHECK_INT(status, ==, MS_RENEW_OK);
    CHECK_INT(core->n_unmentioned, ==, 1);
    CHECK_STR(core->unmentioned[0].id, "b");
    CHECK_INT(ms_core_release(core, "p1", "b", core->unmentioned[0].fence, 0),
              ==, MS_FINISH_OK);
    ms_core_renew_all(core, "p1", &job, 1, &status);
    CHECK_INT(core->n_unmentioned, ==, 0);
}

static TEST(test_a_pod_that_knows_nothing_hears_all_it_has)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 5);
    ms_core_claim(core, "p1", 5);
    ms_core_renew_all(core, "p1", NULL, 0, NULL);
    CHECK_INT(core->n_unmentioned, ==, 5);
}

static TEST(test_a_part_of_the_jobs_names_nothing)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 2);
    ms_core_claim(core, "p1", 2);
    ms_core_renew(core, "p1", "j0", core->jobs[0].fence);
    CHECK_INT(core->n_unmentioned, ==, 0);
}

static TEST(test_a_held_id_without_a_lease_is_dropped)
{
    struct ms_core *core = *state;

    lent(core);
    ms_test_cmd(core->redis, "SADD %s lost", K("held:p1"));
    ms_core_renew_all(core, "p1", NULL, 0, NULL);
    CHECK_INT(core->n_unmentioned, ==, 1);
    CHECK_STR(core->unmentioned[0].id, "a");
}

/* ---- moves ---- */

static TEST(test_a_move_is_kept_with_the_job)
{
    struct ms_core *core = *state;
    static const char cursor[] = "\x81\xa1\0\xff";
    int64_t fence = lent(core);
    struct ms_lease_move move = {.seq = 3,
                                 .cursor = cursor,
                                 .cursor_len = sizeof(cursor),
                                 .progress = 0.25};
    const struct ms_reply *reply;

    CHECK_INT(ms_core_renew_move(core, "p1", "a", fence, &move), ==,
              MS_RENEW_OK);
    CHECK_INT(ms_core_number(core, "a", "seq"), ==, 3);
    CHECK_STR(ms_core_field(core, "a", "progress"), "0.2500");
    reply = ms_test_cmd(core->redis, "HGET %s cursor", K("job:a"));
    CHECK_INT(reply->len, ==, sizeof(cursor));
    CHECK(memcmp(reply->str, cursor, sizeof(cursor)) == 0);
}

static TEST(test_seq_never_goes_back)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    struct ms_lease_move move = {.seq = 5,
                                 .cursor = "five",
                                 .cursor_len = 4,
                                 .progress = -1};

    ms_core_renew_move(core, "p1", "a", fence, &move);
    move.cursor = "four";
    move.seq = 4;
    CHECK_INT(ms_core_renew_move(core, "p1", "a", fence, &move), ==,
              MS_RENEW_OK);
    CHECK_STR(ms_core_field(core, "a", "cursor"), "five");
    move.seq = 5;
    ms_core_renew_move(core, "p1", "a", fence, &move);
    CHECK_STR(ms_core_field(core, "a", "cursor"), "five");
}

static TEST(test_progress_alone_moves_no_cursor)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    struct ms_lease_move move = {.progress = 0.9};

    ms_test_cmd(core->redis, "HSET %s crashes 2", K("job:a"));
    ms_core_renew_move(core, "p1", "a", fence, &move);
    CHECK_STR(ms_core_field(core, "a", "progress"), "0.9000");
    CHECK_STR(ms_core_field(core, "a", "seq"), "");
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 2);
}

static TEST(test_a_moved_cursor_forgets_crashes_and_attempts)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    struct ms_lease_move move = {.seq = 1, .progress = -1};

    ms_test_cmd(core->redis, "HSET %s crashes 2 attempts 4", K("job:a"));
    ms_core_renew_move(core, "p1", "a", fence, &move);
    CHECK_STR(ms_core_field(core, "a", "crashes"), "");
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 1);
}

static TEST(test_a_stale_move_changes_nothing)
{
    struct ms_core *core = *state;
    int64_t fence = lent_chunk(core);
    struct ms_lease_sum sum = {"docs", 5};
    struct ms_lease_reject reject = {7, "bad"};
    struct ms_lease_move move = {.seq = 1,
                                 .progress = 0.5,
                                 .sums = &sum,
                                 .n_sums = 1,
                                 .rejects = &reject,
                                 .n_rejects = 1};

    CHECK_INT(ms_core_renew_move(core, "p1", "p.0", fence - 1, &move), ==,
              MS_RENEW_LOST);
    CHECK_INT(ms_core_renew_move(core, "p2", "p.0", fence, &move), ==,
              MS_RENEW_LOST);
    CHECK_STR(ms_core_field(core, "p.0", "seq"), "");
    CHECK_STR(ms_core_field(core, "p.0", "progress"), "");
    CHECK_INT(ms_core_tally(core, "p").docs, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("rejects:p")), ==, 0);
}

static TEST(test_sums_go_to_the_parent_by_their_difference)
{
    struct ms_core *core = *state;
    int64_t fence = lent_chunk(core);
    int64_t big = (int64_t)1 << 52;
    struct ms_lease_sum sums[] = {{"docs", 5}, {"bytes", 210}, {"c3", 65535}};
    struct ms_lease_move move = {.seq = 1,
                                 .progress = -1,
                                 .sums = sums,
                                 .n_sums = 3};

    ms_core_renew_move(core, "p1", "p.0", fence, &move);
    CHECK_INT(ms_core_tally(core, "p").docs, ==, 5);
    ms_core_renew_move(core, "p1", "p.0", fence, &move); /* repeated */
    CHECK_INT(ms_core_tally(core, "p").docs, ==, 5);
    sums[0].value = 12;
    sums[1].value = big;
    sums[2].value = 1;
    move.seq = 2;
    ms_core_renew_move(core, "p1", "p.0", fence, &move);
    CHECK_INT(ms_core_tally(core, "p").docs, ==, 12);
    CHECK_INT(ms_core_tally(core, "p").bytes, ==, big);
    CHECK_INT(ms_core_tally(core, "p").c[3], ==, 1);
}

static TEST(test_sums_go_on_where_the_next_pod_resumes)
{
    struct ms_core *core = *state;
    int64_t fence = lent_chunk(core);
    struct ms_lease_sum sum = {"docs", 5};
    struct ms_lease_move move = {.seq = 1,
                                 .progress = -1,
                                 .sums = &sum,
                                 .n_sums = 1};
    struct ms_finish finish = {"p.0", 0, MS_FINISH_DONE, "", 0, 0, NO_MOVE, 0};

    ms_core_renew_move(core, "p1", "p.0", fence, &move);
    ms_core_end_lease(core, "p.0", 1);
    finish.fence = ms_core_claim_one(core, "p2", "p.0");
    sum.value = 8;
    move.seq = 2;
    finish.move = move;
    CHECK_INT(ms_core_finish_with(core, "p2", &finish), ==, MS_FINISH_OK);
    CHECK_INT(ms_core_tally(core, "p").docs, ==, 8);
    CHECK_INT(ms_core_finish_with(core, "p2", &finish), ==, MS_FINISH_GONE);
    CHECK_INT(ms_core_tally(core, "p").docs, ==, 8);
}

static TEST(test_a_job_named_twice_in_a_call_is_counted_once)
{
    struct ms_core *core = *state;
    int64_t fence = lent_chunk(core);
    struct ms_lease_sum sum = {"docs", 5};
    struct ms_renewal one = {"p.0",
                             fence,
                             {.seq = 1, .sums = &sum, .n_sums = 1}};
    struct ms_renewal jobs[] = {one, one};
    enum ms_renew_status out[2];

    ms_core_renew_all(core, "p1", jobs, 2, out);
    CHECK_INT(out[0], ==, MS_RENEW_OK);
    CHECK_INT(out[1], ==, MS_RENEW_OK);
    CHECK_INT(ms_core_tally(core, "p").docs, ==, 5);
}

static TEST(test_rejects_are_kept_by_offset_once)
{
    struct ms_core *core = *state;
    int64_t fence = lent_chunk(core);
    struct ms_lease_reject rejects[] = {{90, "not UTF-8"},
                                        {7, "no id: {\"a\" 1}"}};
    struct ms_lease_move move = {.seq = 1,
                                 .progress = -1,
                                 .rejects = rejects,
                                 .n_rejects = 2};
    const struct ms_reply *reply;

    ms_core_renew_move(core, "p1", "p.0", fence, &move);
    ms_core_renew_move(core, "p1", "p.0", fence, &move);
    reply = ms_test_cmd(core->redis, "ZRANGE %s 0 -1", K("rejects:p"));
    CHECK_INT(reply->n_items, ==, 2);
    CHECK_STR(reply->items[0].str, "7 0 no id: {\"a\" 1}");
    CHECK_STR(reply->items[1].str, "90 0 not UTF-8");
}

/* A reason is text from a dump: it may not forge a second reject. */
static TEST(test_a_line_end_in_a_reason_makes_no_second_reject)
{
    struct ms_core *core = *state;
    int64_t fence = lent_chunk(core);
    struct ms_lease_reject reject = {7, "bad\n9 forged\n"};
    struct ms_lease_move move = {.seq = 1,
                                 .progress = -1,
                                 .rejects = &reject,
                                 .n_rejects = 1};

    ms_core_renew_move(core, "p1", "p.0", fence, &move);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("rejects:p")), ==, 1);
    CHECK_STR(ms_test_text(core->redis, "ZSCORE %s %s", K("rejects:p"),
                           "7 0 bad 9 forged "),
              "7");
}

static TEST(test_a_thousand_rejects_are_kept)
{
    struct ms_core *core = *state;
    int64_t fence = lent_chunk(core);
    struct ms_lease_reject rejects[600];
    struct ms_lease_move move = {.progress = -1, .rejects = rejects};

    move.n_rejects = 600;
    for (int64_t i = 0; i < 2; i++) {
        for (int64_t k = 0; k < 600; k++)
            rejects[k] = (struct ms_lease_reject){600 * i + k, "bad"};
        move.seq = i + 1;
        ms_core_renew_move(core, "p1", "p.0", fence, &move);
    }
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("rejects:p")), ==, 1000);
    CHECK_STR(ms_test_text(core->redis, "ZSCORE %s %s", K("rejects:p"),
                           "999 0 bad"),
              "999");
}

static TEST(test_a_job_without_a_parent_keeps_its_sums)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    struct ms_lease_sum sum = {"docs", 5};
    struct ms_lease_move move = {.seq = 1,
                                 .progress = -1,
                                 .sums = &sum,
                                 .n_sums = 1};

    ms_core_renew_move(core, "p1", "a", fence, &move);
    CHECK_STR(ms_core_field(core, "a", "sums"), "docs=5 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_renewal_moves_the_end_of_the_lease),
        CORE(test_an_old_fence_is_lost_and_counted),
        CORE(test_an_ended_job_is_lost),
        CORE(test_a_job_that_the_pod_ended_itself_is_no_stale_write),
        CORE(test_a_released_job_is_lost),
        CORE(test_a_cancelled_job_is_told_and_kept),
        CORE(test_a_lease_taken_back_is_given_again_while_nobody_has_it),
        CORE(test_coming_back_after_an_outage_forgets_no_earlier_crash),
        CORE(test_a_lease_that_someone_else_has_is_lost),
        CORE(test_a_renewal_does_not_lift_running_over_the_cap),
        CORE(test_only_as_many_come_back_as_have_room),
        CORE(test_running_jobs_are_renewed_over_a_lowered_cap),
        CORE(test_a_parked_job_comes_back_to_who_had_it),
        CORE(test_unmentioned_leases_are_named),
        CORE(test_a_pod_that_knows_nothing_hears_all_it_has),
        CORE(test_a_part_of_the_jobs_names_nothing),
        CORE(test_a_held_id_without_a_lease_is_dropped),
        CORE(test_a_move_is_kept_with_the_job),
        CORE(test_seq_never_goes_back),
        CORE(test_progress_alone_moves_no_cursor),
        CORE(test_a_moved_cursor_forgets_crashes_and_attempts),
        CORE(test_a_stale_move_changes_nothing),
        CORE(test_sums_go_to_the_parent_by_their_difference),
        CORE(test_sums_go_on_where_the_next_pod_resumes),
        CORE(test_a_job_named_twice_in_a_call_is_counted_once),
        CORE(test_rejects_are_kept_by_offset_once),
        CORE(test_a_line_end_in_a_reason_makes_no_second_reject),
        CORE(test_a_thousand_rejects_are_kept),
        CORE(test_a_job_without_a_parent_keeps_its_sums),
    };

    return RUN_CORE(tests);
}

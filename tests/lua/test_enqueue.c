#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/ulid.h"

static TEST(test_a_plain_job_keeps_nothing_but_what_differs)
{
    struct ms_core *core = *state;

    CHECK_INT(ENQUEUE(core, .id = "a", .payload = "p", .payload_len = 1), ==,
              1);
    CHECK_INT(ms_test_num(core->redis, "HLEN %s", K("job:a")), ==, 3);
    CHECK_STR(ms_core_field(core, "a", "kind"), "k");
    CHECK_STR(ms_core_field(core, "a", "payload"), "p");
    CHECK_INT(ms_core_number(core, "a", "created_ms"), >, 1700000000000);
    CHECK_STR(ms_test_text(core->redis, "LINDEX %s 0", K("ready:5:-")), "a");
    CHECK_STR(ms_test_text(core->redis, "LINDEX %s 0", K("ring:5")), "-");
    CHECK_INT(ms_core_depth(core, "k"), ==, 1);
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
}

static TEST(test_every_option_is_kept_with_the_job)
{
    struct ms_core *core = *state;
    int64_t now = ms_core_now(core);

    ENQUEUE(core, .id = "a", .own_id = true, .json = true, .priority = 0,
            .group = "g", .delay_ms = 60000, .expires_in_ms = 120000,
            .unique = "u", .max_attempts = 7, .timeout_ms = 9000);
    CHECK_STR(ms_core_field(core, "a", "enc"), "json");
    CHECK_STR(ms_core_field(core, "a", "own"), "1");
    CHECK_STR(ms_core_field(core, "a", "priority"), "0");
    CHECK_STR(ms_core_field(core, "a", "group"), "g");
    CHECK_STR(ms_core_field(core, "a", "state"), "scheduled");
    CHECK_STR(ms_core_field(core, "a", "unique"), "u");
    CHECK_INT(ms_core_number(core, "a", "max_attempts"), ==, 7);
    CHECK_INT(ms_core_number(core, "a", "timeout_ms"), ==, 9000);
    CHECK_INT(ms_core_number(core, "a", "due_ms"), >=, now + 60000);
    CHECK_INT(ms_core_number(core, "a", "expires_ms"), >=, now + 120000);
}

static TEST(test_payload_may_hold_any_bytes)
{
    struct ms_core *core = *state;
    static const char payload[] = "\0\xff\r\n{}\0 \x80";
    const struct ms_reply *reply;

    ENQUEUE(core, .id = "a", .payload = payload,
            .payload_len = sizeof(payload));
    reply = ms_test_cmd(core->redis, "HGET %s payload", K("job:a"));
    CHECK_INT(reply->len, ==, sizeof(payload));
    CHECK(memcmp(reply->str, payload, sizeof(payload)) == 0);
}

static TEST(test_a_delay_that_is_over_is_ready_at_once)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .at_ms = 1000);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_STR(ms_core_field(core, "a", "due_ms"), "");
}

static TEST(test_at_is_kept_to_the_millisecond)
{
    struct ms_core *core = *state;
    int64_t at = ((int64_t)1 << 53) - 1;

    ENQUEUE(core, .id = "a", .at_ms = at);
    CHECK_INT(ms_core_number(core, "a", "due_ms"), ==, at);
    CHECK_INT(ms_test_num(core->redis, "ZSCORE %s a", K("scheduled")), ==, at);
}

static TEST(test_a_sooner_due_time_wakes_and_a_later_does_not)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .delay_ms = 60000);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
    ENQUEUE(core, .id = "b", .delay_ms = 90000);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
    ENQUEUE(core, .id = "c", .delay_ms = 30000);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 2);
}

static TEST(test_wake_tokens_are_capped)
{
    struct ms_core *core = *state;
    char id[16];

    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "j%d", i);
        ENQUEUE(core, .id = id);
    }
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 16);
}

/* A producer whose connection broke cannot know whether its call arrived. */
static TEST(test_a_repeated_call_gets_the_first_answer)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {NEW_JOB(.id = "a"), NEW_JOB(.id = "b"),
                                      NEW_JOB(.id = "a")};

    CHECK_INT(ms_core_enqueue_all(core, "T1", jobs, 3), ==, 2);
    CHECK_STR(core->dedup, "a");
    ms_core_claim(core, "p1", 10);
    CHECK_INT(ms_core_enqueue_all(core, "T1", jobs, 3), ==, 2);
    CHECK_STR(core->dedup, "a");
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 2);
    CHECK_INT(ms_core_stat(core, "deduplicated"), ==, 1);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("token:T1")), >, 590000);
}

/* Its jobs may have ended and gone by then. */
static TEST(test_a_repeated_call_brings_nothing_back_that_ended)
{
    struct ms_core *core = *state;
    const struct ms_new_job job = NEW_JOB(.id = "a");
    int64_t fence;

    ms_core_set(core, "retain_done_max", 0);
    ms_core_enqueue_all(core, "T1", &job, 1);
    fence = ms_core_claim_one(core, "p1", "a");
    DONE(core, "p1", "a", fence);
    CHECK_INT(ms_core_enqueue_all(core, "T1", &job, 1), ==, 1);
    CHECK_STR(ms_core_state(core, "a"), "gone");
}

static TEST(test_an_id_that_lives_is_deduplicated)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .own_id = true);
    CHECK_INT(ENQUEUE(core, .id = "a", .own_id = true), ==, 0);
    CHECK_STR(core->dedup, "a");
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
}

static TEST(test_own_ids_are_remembered_after_their_record)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .own_id = true);
    CHECK_INT(ms_core_delete(core, "a"), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_INT(ENQUEUE(core, .id = "a", .own_id = true), ==, 0);
    CHECK_STR(core->dedup, "a");
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("gone:a")), >, 590000);
    ms_test_cmd(core->redis, "DEL %s", K("gone:a"));
    CHECK_INT(ENQUEUE(core, .id = "a", .own_id = true), ==, 1);
}

static TEST(test_own_ids_are_remembered_when_done_is_not_kept)
{
    struct ms_core *core = *state;

    ms_core_set(core, "retain_done_max", 0);
    ENQUEUE(core, .id = "a", .own_id = true);
    DONE(core, "p1", "a", ms_core_claim_one(core, "p1", "a"));
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_INT(ENQUEUE(core, .id = "a", .own_id = true), ==, 0);
}

static TEST(test_max_length_refuses_a_call_as_a_whole)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {NEW_JOB(.id = "c"), NEW_JOB(.id = "d")};

    ms_core_set(core, "max_length", 3);
    ENQUEUE(core, .id = "a");
    ENQUEUE(core, .id = "b", .delay_ms = 60000);
    CHECK_INT(ms_core_enqueue_all(core, "T1", jobs, 2), ==, -1);
    CHECK_CONTAINS(core->error.text, "max_length");
    CHECK_STR(ms_core_state(core, "c"), "gone");
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 1), ==, 1);
    CHECK_INT(ENQUEUE(core, .id = "a"), ==, 0); /* adds nothing */
    ms_core_claim(core, "p1", 1);
    CHECK_INT(ms_core_enqueue_all(core, "T1", jobs + 1, 1), ==, 1);
}

/* ---- when_full: drop_oldest ---- */

static void drop_oldest(struct ms_core *core, int64_t max_length)
{
    ms_core_set(core, "max_length", max_length);
    ms_test_cmd(core->redis, "HSET %s when_full drop_oldest", K("cfg"));
}

static TEST(test_the_oldest_make_room_where_the_queue_says_so)
{
    struct ms_core *core = *state;

    drop_oldest(core, 3);
    ms_core_enqueue_many(core, "j", NULL, 3);
    ms_core_enqueue_many(core, "n", NULL, 2);
    CHECK_STR(ms_core_state(core, "j0"), "dead");
    CHECK_STR(ms_core_state(core, "j1"), "dead");
    CHECK_STR(ms_core_state(core, "j2"), "ready");
    CHECK_CONTAINS(ms_core_field(core, "j0", "error"), "dropped");
    CHECK_INT(ms_core_stat(core, "dropped"), ==, 2);
    CHECK_INT(ms_core_depth(core, "-"), ==, 3);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("ready:5:-")), ==, 3);
}

static TEST(test_the_least_important_make_room_first)
{
    struct ms_core *core = *state;

    drop_oldest(core, 3);
    ENQUEUE(core, .id = "high", .priority = 0);
    ENQUEUE(core, .id = "old", .group = "g", .priority = 7);
    ENQUEUE(core, .id = "young", .group = "h", .priority = 7);
    ms_test_cmd(core->redis, "HSET %s created_ms 5", K("job:old"));
    ENQUEUE(core, .id = "new", .priority = 7);
    CHECK_STR(ms_core_state(core, "old"), "dead");
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("ring:7")), ==, 2);
    ENQUEUE(core, .id = "newer", .priority = 0);
    CHECK_STR(ms_core_state(core, "high"), "ready");
}

static TEST(test_only_ready_jobs_that_stand_alone_make_room)
{
    struct ms_core *core = *state;

    drop_oldest(core, 3);
    ENQUEUE(core, .id = "later", .delay_ms = 60000);
    ENQUEUE(core, .id = "p", .parent = true);
    ms_core_spawn(core, "p", 0, 2);
    CHECK_INT(ENQUEUE(core, .id = "a"), ==, -1);
    ms_core_set(core, "max_length", 4);
    CHECK_INT(ENQUEUE(core, .id = "a"), ==, 1);
    CHECK_INT(ENQUEUE(core, .id = "b"), ==, 1);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(ms_core_state(core, "later"), "scheduled");
    CHECK_INT(ms_core_tally(core, "p").ready, ==, 2);
}

/* Its answer names "a": that must not be what is dropped. */
static TEST(test_who_stands_for_a_new_job_is_not_dropped)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {NEW_JOB(.id = "n", .unique = "u"),
                                      NEW_JOB(.id = "m")};

    drop_oldest(core, 2);
    ENQUEUE(core, .id = "a", .unique = "u");
    ENQUEUE(core, .id = "b");
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 2), ==, 1);
    CHECK_STR(core->dedup, "a");
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_STR(ms_core_state(core, "b"), "dead");
}

static TEST(test_ids_that_lead_nowhere_do_not_keep_a_queue_full)
{
    struct ms_core *core = *state;

    drop_oldest(core, 2);
    for (int i = 0; i < 3; i++) {
        ENQUEUE(core, .id = "a");
        ms_core_delete(core, "a");
    }
    ms_core_enqueue_many(core, "j", NULL, 2);
    ms_core_enqueue_many(core, "n", NULL, 2);
    CHECK_STR(ms_core_state(core, "j1"), "dead");
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 2);
}

/* Many groups of one job each beside one of many: what is looked at of the
 * short lists is too little to make room for a large call. */
static TEST(test_a_long_list_makes_room_beside_many_short_ones)
{
    struct ms_core *core = *state;

    for (int i = 0; i < 40; i++) {
        char prefix[16];

        snprintf(prefix, sizeof(prefix), "g%d-", i);
        ms_core_enqueue_many(core, prefix, prefix, 1);
    }
    ms_core_enqueue_many(core, "j", NULL, 1000);
    drop_oldest(core, 1040);
    ms_core_enqueue_many(core, "n", NULL, 500);
    CHECK_INT(ms_core_stat(core, "dropped"), ==, 500);
    CHECK_STR(ms_core_state(core, "g39-0"), "dead"); /* they were the oldest */
    CHECK_STR(ms_core_state(core, "j459"), "dead");
    CHECK_STR(ms_core_state(core, "j460"), "ready");
}

/* The look is bounded: what it finds in vain must not be in the way again. */
static TEST(test_a_long_run_of_dead_ids_is_worked_off)
{
    struct ms_core *core = *state;
    const struct ms_new_job job = NEW_JOB(.id = "n");

    ms_core_enqueue_many(core, "j", NULL, 1500);
    ENQUEUE(core, .id = "old");
    drop_oldest(core, 1);
    for (int i = 0; i < 1500; i++) {
        char id[16];

        snprintf(id, sizeof(id), "j%d", i);
        ms_core_cancel(core, id);
    }
    for (int i = 0; i < 3; i++)
        CHECK_INT(ms_core_enqueue_all(core, NULL, &job, 1), ==, -1);
    CHECK_STR(ms_core_state(core, "old"), "ready");
    CHECK_INT(ms_core_enqueue_all(core, NULL, &job, 1), ==, 1);
    CHECK_STR(ms_core_state(core, "old"), "dead");
}

/* Far too many after the bound was lowered: each call drops its share, and
 * Redis is not held up with all of them at once. */
static TEST(test_a_lowered_bound_is_reached_in_steps)
{
    struct ms_core *core = *state;
    int64_t dropped;

    ms_core_enqueue_many(core, "j", NULL, 1000);
    drop_oldest(core, 10);
    CHECK_INT(ENQUEUE(core, .id = "a"), ==, 1);
    dropped = ms_core_stat(core, "dropped");
    CHECK_INT(dropped, >, 1);
    CHECK_INT(dropped, <=, 200);
    for (int i = 0; i < 20 && ms_core_depth(core, "-") > 10; i++) {
        char id[16];

        snprintf(id, sizeof(id), "b%d", i);
        CHECK_INT(ENQUEUE(core, .id = id), ==, 1);
    }
    CHECK_INT(ms_core_depth(core, "-"), ==, 10);
}

/* It adds nothing, so that there is room for it. */
static TEST(test_a_repetition_needs_no_room)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .own_id = true);
    ENQUEUE(core, .id = "b");
    ms_core_set(core, "max_length", 1);
    CHECK_INT(ENQUEUE(core, .id = "a", .own_id = true), ==, 0);
    CHECK_INT(ENQUEUE(core, .id = "c"), ==, -1);
}

/* A job that was parked leaves no second id behind that counts as ready. */
static TEST(test_what_is_parked_makes_room_as_such)
{
    struct ms_core *core = *state;

    ms_core_set(core, "backoff_enabled", 0);
    ENQUEUE(core, .id = "a", .kind = "x");
    FAIL(core, "p1", "a", ms_core_claim_one(core, "p1", "a"));
    core->kinds = ",k,";
    ms_core_claim(core, "p2", 1);
    CHECK_INT(ms_core_info(core).parked, ==, 1);
    ms_test_cmd(core->redis, "RPUSH %s a", K("ready:5:-"));
    ms_test_cmd(core->redis, "RPUSH %s -", K("ring:5"));
    drop_oldest(core, 1);
    CHECK_INT(ENQUEUE(core, .id = "b"), ==, 1);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
}

static TEST(test_a_call_that_can_never_fit_is_refused)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {NEW_JOB(.id = "a"), NEW_JOB(.id = "b")};

    drop_oldest(core, 1);
    ENQUEUE(core, .id = "old");
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 2), ==, -1);
    CHECK_STR(ms_core_state(core, "old"), "ready");
}

static TEST(test_parked_jobs_count_against_max_length)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_length", 1);
    ENQUEUE(core, .id = "a", .kind = "x");
    core->kinds = ",k,";
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_INT(ENQUEUE(core, .id = "b"), ==, -1);
}

static TEST(test_a_parent_waits_and_is_never_claimed)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .parent = true, .delay_ms = 5);
    CHECK_STR(ms_core_state(core, "a"), "waiting");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_INT(ms_core_info(core).waiting, ==, 1);
}

/* ---- by the leader ---- */

static enum ms_err enqueue_by(struct ms_core *core, int64_t epoch,
                              const char *token, const char *id)
{
    const struct ms_new_job job = NEW_JOB(.id = id);
    struct ms_cmd cmd = MS_CMD_INIT;

    CHECK_INT(ms_enqueue_build(&cmd, "m", "q", token, &job, 1, 100, NULL), ==,
              MS_OK);
    ms_enqueue_by_leader(&cmd, epoch);
    return ms_enqueue_parse(ms_test_run(core->redis, &cmd), 1, NULL, NULL,
                            &core->error);
}

static TEST(test_a_leader_enqueues_under_its_epoch)
{
    struct ms_core *core = *state;

    CHECK_INT(enqueue_by(core, 7, "T1", "a"), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(enqueue_by(core, 7, "T2", "b"), ==, MS_OK);
    CHECK_STR(ms_test_text(core->redis, "HGET %s epoch", K("meta")), "7");
}

/* It was frozen meanwhile: even what it repeats is no answer for it. */
static TEST(test_an_old_leader_enqueues_nothing)
{
    struct ms_core *core = *state;

    CHECK_INT(enqueue_by(core, 7, "T1", "a"), ==, MS_OK);
    core->epoch = 8;
    CHECK_INT(ms_core_stamp(core), ==, MS_OK);
    CHECK_INT(enqueue_by(core, 7, "T2", "b"), ==, MS_ESTALE);
    CHECK_STR(ms_core_state(core, "b"), "gone");
    CHECK_INT(enqueue_by(core, 7, "T1", "a"), ==, MS_ESTALE);
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 1);
    CHECK_INT(enqueue_by(core, 8, "T2", "b"), ==, MS_OK);
    CHECK_INT(ENQUEUE(core, .id = "c"), ==, 1); /* a producer shows none */
}

static TEST(test_full_batch_keeps_its_order)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, MS_ENQUEUE_MAX);
    CHECK_INT(ms_core_claim(core, "p1", 256), ==, 256);
    CHECK_STR(core->jobs[0].id, "j0");
    CHECK_STR(core->jobs[255].id, "j255");
    CHECK_INT(core->answer.more, ==, 1);
}

static void fill_memory(struct ms_core *core)
{
    ms_test_cmd(core->redis, "CONFIG SET maxmemory-policy noeviction");
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 1");
}

static const struct ms_reply *try_enqueue(struct ms_core *core)
{
    const struct ms_new_job job = NEW_JOB(.id = "late");
    struct ms_cmd cmd = MS_CMD_INIT;

    CHECK_INT(ms_enqueue_build(&cmd, "m", "q", "T9", &job, 1, 100, NULL), ==,
              MS_OK);
    return ms_test_run(core->redis, &cmd);
}

/* Refused before it begins: nothing half done, nothing lost unseen. */
static TEST(test_enqueue_is_refused_at_maxmemory)
{
    struct ms_core *core = *state;
    const struct ms_reply *reply;

    ENQUEUE(core, .id = "a");
    fill_memory(core);
    reply = try_enqueue(core);
    CHECK_INT(reply->type, ==, MS_REPLY_ERROR);
    CHECK_INT(ms_reply_classify(reply->str), ==, MS_EFULL);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("job:late")), ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
}

/* A full Redis must be able to become empty again. */
static TEST(test_the_work_goes_on_at_maxmemory)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_enqueue_many(core, "j", NULL, 5);
    ENQUEUE(core, .id = "late1", .delay_ms = 60000);
    fill_memory(core);
    fence = ms_core_claim_one(core, "p1", "j0");
    CHECK_INT(ms_core_renew(core, "p1", "j0", fence), ==, MS_RENEW_OK);
    CHECK_INT(DONE(core, "p1", "j0", fence), ==, MS_FINISH_OK);
    fence = ms_core_claim_one(core, "p1", "j1");
    CHECK_INT(FAIL(core, "p1", "j1", fence), ==, MS_FINISH_OK);
    fence = ms_core_claim_one(core, "p1", "j2");
    CHECK_INT(ms_core_release(core, "p1", "j2", fence, 0), ==, MS_FINISH_OK);
    fence = ms_core_claim_one(core, "p1", "j2");
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 0");
    ms_core_end_lease(core, "j2", 1);
    fill_memory(core);
    CHECK_INT(ms_core_reap(core, "p1"), ==, MS_OK);
    CHECK_INT(ms_core_cancel(core, "j3"), ==, MS_CANCEL_CANCELLED);
    CHECK_INT(ms_core_run_now(core, "late1"), ==, MS_OK);
    CHECK_INT(ms_core_retry(core, "j3"), ==, MS_OK);
    CHECK_INT(ms_core_delete(core, "j3"), ==, MS_OK);
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_INT(ms_core_bulk(core, "delete", "ready", NULL), ==, 3);
}

/* Long after its job was forgotten; another slot or schedule is another. */
static TEST(test_a_slot_of_a_schedule_is_enqueued_once)
{
    struct ms_core *core = *state;

    CHECK_INT(ENQUEUE(core, .id = "s1", .schedule = "a", .slot_ms = 5000), ==,
              1);
    CHECK_STR(ms_test_text(core->redis, "HGET %s a", K("fired")), "5000");
    CHECK_INT(ms_core_delete(core, "s1"), ==, MS_OK);
    CHECK_INT(ENQUEUE(core, .id = "s1", .schedule = "a", .slot_ms = 5000), ==,
              0);
    CHECK_STR(core->dedup, "s1");
    CHECK_STR(ms_core_state(core, "s1"), "gone");
    CHECK_INT(ENQUEUE(core, .id = "s2", .schedule = "b", .slot_ms = 5000), ==,
              1);
    CHECK_INT(ENQUEUE(core, .id = "s3", .schedule = "a", .slot_ms = 6000), ==,
              1);
    /* clocks that were set back must not silence a schedule */
    CHECK_INT(ENQUEUE(core, .id = "s4", .schedule = "a", .slot_ms = 4000), ==,
              1);
}

/* What was refused was not fired. */
static TEST(test_a_slot_that_a_full_queue_refused_can_come_again)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "j");
    ms_core_set(core, "max_length", 1);
    CHECK_INT(ENQUEUE(core, .id = "s1", .schedule = "a", .slot_ms = 5000), ==,
              -1);
    ms_core_set(core, "max_length", 0);
    CHECK_INT(ENQUEUE(core, .id = "s1", .schedule = "a", .slot_ms = 5000), ==,
              1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_slot_of_a_schedule_is_enqueued_once),
        CORE(test_a_slot_that_a_full_queue_refused_can_come_again),
        CORE(test_a_plain_job_keeps_nothing_but_what_differs),
        CORE(test_every_option_is_kept_with_the_job),
        CORE(test_payload_may_hold_any_bytes),
        CORE(test_a_delay_that_is_over_is_ready_at_once),
        CORE(test_at_is_kept_to_the_millisecond),
        CORE(test_a_sooner_due_time_wakes_and_a_later_does_not),
        CORE(test_wake_tokens_are_capped),
        CORE(test_a_repeated_call_gets_the_first_answer),
        CORE(test_a_repeated_call_brings_nothing_back_that_ended),
        CORE(test_an_id_that_lives_is_deduplicated),
        CORE(test_own_ids_are_remembered_after_their_record),
        CORE(test_own_ids_are_remembered_when_done_is_not_kept),
        CORE(test_max_length_refuses_a_call_as_a_whole),
        CORE(test_the_oldest_make_room_where_the_queue_says_so),
        CORE(test_the_least_important_make_room_first),
        CORE(test_only_ready_jobs_that_stand_alone_make_room),
        CORE(test_who_stands_for_a_new_job_is_not_dropped),
        CORE(test_ids_that_lead_nowhere_do_not_keep_a_queue_full),
        CORE(test_a_long_list_makes_room_beside_many_short_ones),
        CORE(test_a_long_run_of_dead_ids_is_worked_off),
        CORE(test_a_call_that_can_never_fit_is_refused),
        CORE(test_a_lowered_bound_is_reached_in_steps),
        CORE(test_a_repetition_needs_no_room),
        CORE(test_what_is_parked_makes_room_as_such),
        CORE(test_parked_jobs_count_against_max_length),
        CORE(test_a_parent_waits_and_is_never_claimed),
        CORE(test_a_leader_enqueues_under_its_epoch),
        CORE(test_an_old_leader_enqueues_nothing),
        CORE(test_full_batch_keeps_its_order),
        CORE(test_enqueue_is_refused_at_maxmemory),
        CORE(test_the_work_goes_on_at_maxmemory),
    };

    return RUN_CORE(tests);
}

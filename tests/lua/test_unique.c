/*
 * Unique keys: who holds one, when it is free again, and what a new job with
 * the same key does to the holder (lua/_unique.lua).
 */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#define NOBODY "(nil)"

static const char *holder(struct ms_core *core)
{
    return ms_test_text(core->redis, "GET %s", K("unique:u"));
}

static TEST(test_a_unique_key_names_its_holder)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "one of a kind");
    CHECK_INT(ENQUEUE(core, .id = "b", .unique = "one of a kind"), ==, 0);
    CHECK_STR(core->dedup, "a");
    CHECK_STR(ms_core_state(core, "b"), "gone");
}

static TEST(test_a_unique_key_twice_in_one_call_counts_once)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {NEW_JOB(.id = "a", .unique = "u"),
                                      NEW_JOB(.id = "b", .unique = "u")};

    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 2), ==, 1);
    CHECK_STR(core->dedup, "a");
}

/* A key left behind by a lost delete must not block for ever. */
static TEST(test_a_unique_key_of_a_lost_job_holds_nobody_up)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "SET %s lost", K("unique:u"));
    CHECK_INT(ENQUEUE(core, .id = "a", .unique = "u"), ==, 1);
    CHECK_STR(holder(core), "a");
}

static TEST(test_a_key_that_names_a_job_without_it_holds_nobody_up)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "other");
    ms_test_cmd(core->redis, "SET %s other", K("unique:u"));
    CHECK_INT(ENQUEUE(core, .id = "a", .unique = "u"), ==, 1);
    CHECK_STR(holder(core), "a");
}

/* ---- free again, by every way out, and by its own job alone ---- */

typedef void end_fn(struct ms_core *core);

static void enqueue_a(struct ms_core *core)
{
    CHECK_INT(ENQUEUE(core, .id = "a", .unique = "u", .max_attempts = 1), ==,
              1);
}

/* Ends "a" twice: as the holder, and when the key names another by then (its
 * time was over, say). */
static void check_released_by(struct ms_core *core, end_fn *end)
{
    enqueue_a(core);
    end(core);
    CHECK_STR(holder(core), NOBODY);
    CHECK_INT(ENQUEUE(core, .id = "next", .unique = "u"), ==, 1);
    ms_core_delete(core, "next");
    ms_core_delete(core, "a");

    enqueue_a(core);
    ms_test_cmd(core->redis, "SET %s b", K("unique:u"));
    end(core);
    CHECK_STR(holder(core), "b");
    ms_test_cmd(core->redis, "DEL %s", K("unique:u"));
}

static void finish_as(struct ms_core *core, enum ms_finish_kind kind)
{
    int64_t fence = ms_core_claim_one(core, "p1", "a");

    CHECK_INT(ms_core_finish(core, "p1", "a", fence, kind), ==, MS_FINISH_OK);
}

static void end_done(struct ms_core *core)
{
    finish_as(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "a"), "done");
}

static TEST(test_done_frees_the_key)
{
    check_released_by(*state, end_done);
}

static void end_unkept(struct ms_core *core)
{
    finish_as(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "a"), "gone");
}

static TEST(test_done_that_is_not_kept_frees_the_key)
{
    ms_core_set(*state, "retain_done_max", 0);
    check_released_by(*state, end_unkept);
}

static void end_dead(struct ms_core *core)
{
    finish_as(core, MS_FINISH_DEAD);
}

static TEST(test_dead_frees_the_key)
{
    check_released_by(*state, end_dead);
}

static void end_failed(struct ms_core *core)
{
    finish_as(core, MS_FINISH_FAILED);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static TEST(test_the_last_failure_frees_the_key)
{
    check_released_by(*state, end_failed);
}

static void end_cancelled(struct ms_core *core)
{
    finish_as(core, MS_FINISH_CANCELLED);
}

static TEST(test_a_cancel_that_was_obeyed_frees_the_key)
{
    check_released_by(*state, end_cancelled);
}

static void end_cancelled_waiting(struct ms_core *core)
{
    CHECK_INT(ms_core_cancel(core, "a"), ==, MS_CANCEL_CANCELLED);
}

static TEST(test_a_cancel_before_the_start_frees_the_key)
{
    check_released_by(*state, end_cancelled_waiting);
}

static void end_cancelled_on_release(struct ms_core *core)
{
    int64_t fence = ms_core_claim_one(core, "p1", "a");

    ms_core_cancel(core, "a");
    ms_core_release(core, "p1", "a", fence, 0);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static TEST(test_a_drain_of_a_cancelled_job_frees_the_key)
{
    check_released_by(*state, end_cancelled_on_release);
}

static void end_bulk_cancelled(struct ms_core *core)
{
    CHECK_INT(ms_core_bulk(core, "cancel", "ready", NULL), ==, 1);
}

static TEST(test_a_bulk_cancel_frees_the_key)
{
    check_released_by(*state, end_bulk_cancelled);
}

static void end_expired(struct ms_core *core)
{
    ms_test_cmd(core->redis, "HSET %s expires_ms 5", K("job:a"));
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

static TEST(test_expiry_frees_the_key)
{
    check_released_by(*state, end_expired);
}

static void end_deleted(struct ms_core *core)
{
    CHECK_INT(ms_core_delete(core, "a"), ==, MS_OK);
}

static TEST(test_a_delete_frees_the_key)
{
    check_released_by(*state, end_deleted);
}

static void end_purged(struct ms_core *core)
{
    CHECK_INT(ms_core_bulk(core, "delete", "ready", NULL), ==, 1);
}

static TEST(test_a_purge_frees_the_key)
{
    check_released_by(*state, end_purged);
}

static void end_dropped(struct ms_core *core)
{
    ms_core_set(core, "max_length", 1);
    ms_test_cmd(core->redis, "HSET %s when_full drop_oldest", K("cfg"));
    CHECK_INT(ENQUEUE(core, .id = "full"), ==, 1);
    CHECK_CONTAINS(ms_core_field(core, "a", "error"), "dropped");
    ms_core_delete(core, "full");
}

static TEST(test_a_drop_for_room_frees_the_key)
{
    check_released_by(*state, end_dropped);
}

static void end_poisoned(struct ms_core *core)
{
    ms_core_set(core, "crash_limit", 1);
    ms_core_claim_one(core, "p1", "a");
    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_CONTAINS(ms_core_field(core, "a", "error"), "poison");
}

static TEST(test_poison_frees_the_key)
{
    check_released_by(*state, end_poisoned);
}

static void end_unhandled(struct ms_core *core)
{
    core->kinds = ",other,";
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    ms_test_cmd(core->redis, "ZADD %s 5 a", K("parked"));
    CHECK_INT(ms_core_unpark(core, ",other,"), ==, MS_OK);
    CHECK_CONTAINS(ms_core_field(core, "a", "error"), "no handler");
}

static TEST(test_a_kind_without_a_handler_frees_the_key)
{
    check_released_by(*state, end_unhandled);
}

static void end_concluded(struct ms_core *core)
{
    CHECK_INT(ms_core_conclude(core, "a", false, "its chunks are dead"), ==,
              MS_OK);
}

static TEST(test_the_end_of_a_parent_frees_the_key)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u", .parent = true);
    end_concluded(core);
    CHECK_STR(holder(core), NOBODY);
}

/* Retention takes what ended long ago: the key is another's by then, or was
 * taken again by a retry that lost the race for it. */
static TEST(test_retention_leaves_the_key_to_whom_it_names)
{
    struct ms_core *core = *state;

    enqueue_a(core);
    end_done(core);
    ENQUEUE(core, .id = "b", .unique = "u");
    ms_test_cmd(core->redis, "ZADD %s 5 a", K("done"));
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(holder(core), "b");
}

static TEST(test_retention_frees_a_key_that_was_left)
{
    struct ms_core *core = *state;

    enqueue_a(core);
    end_done(core);
    ms_test_cmd(core->redis, "SET %s a", K("unique:u"));
    ms_test_cmd(core->redis, "ZADD %s 5 a", K("done"));
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_STR(holder(core), NOBODY);
}

static void end_replaced(struct ms_core *core)
{
    CHECK_INT(ENQUEUE(core, .id = "c", .unique = "u",
                      .unique_mode = MS_UNIQUE_REPLACE),
              ==, 1);
}

static TEST(test_a_replaced_job_leaves_the_key_to_the_new_one)
{
    struct ms_core *core = *state;

    enqueue_a(core);
    end_replaced(core);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(holder(core), "c");
}

/* ---- the key's time ---- */

static TEST(test_a_key_is_free_when_its_time_is_over)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u", .unique_ttl_ms = 50000);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u")), >, 40000);
    ms_test_cmd(core->redis, "PEXPIRE %s 0", K("unique:u"));
    CHECK_INT(ENQUEUE(core, .id = "b", .unique = "u"), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u")), ==, -1);
    ms_core_cancel(core, "a");
    CHECK_STR(holder(core), "b");
}

/* It is no time that the key is kept after the job's end. */
static TEST(test_the_end_frees_a_key_before_its_time)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u", .unique_ttl_ms = 50000);
    end_done(core);
    CHECK_INT(ENQUEUE(core, .id = "b", .unique = "u"), ==, 1);
}

static TEST(test_a_retry_takes_the_key_for_its_time_again)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u", .unique_ttl_ms = 50000);
    end_dead(core);
    CHECK_INT(ms_core_retry(core, "a"), ==, MS_OK);
    CHECK_STR(holder(core), "a");
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u")), >, 40000);
    ms_core_cancel(core, "a");
    CHECK_INT(ms_core_bulk(core, "retry", "dead", NULL), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u")), >, 40000);
}

static TEST(test_a_retry_does_not_take_the_key_from_another)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u");
    end_dead(core);
    ENQUEUE(core, .id = "b", .unique = "u", .unique_ttl_ms = 50000);
    CHECK_INT(ms_core_retry(core, "a"), ==, MS_OK);
    CHECK_STR(holder(core), "b");
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u")), >, 40000);
}

/* ---- replace ---- */

#define REPLACE(core, ...) \
    ENQUEUE(core, .unique = "u", .unique_mode = MS_UNIQUE_REPLACE, __VA_ARGS__)

static void check_replaced(struct ms_core *core)
{
    CHECK_INT(REPLACE(core, .id = "b", .payload = "new", .payload_len = 3), ==,
              1);
    CHECK_STR(core->dedup, "");
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(holder(core), "b");
    CHECK_INT(ms_core_stat(core, "replaced"), ==, 1);
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 2);
    CHECK_INT(ms_core_stat(core, "deduplicated"), ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
    core->kinds = EVERYTHING;
    ms_core_claim_one(core, "p1", "b");
}

static TEST(test_replace_takes_the_place_of_a_ready_job)
{
    ENQUEUE(*state, .id = "a", .unique = "u");
    check_replaced(*state);
}

static TEST(test_replace_takes_the_place_of_a_scheduled_job)
{
    ENQUEUE(*state, .id = "a", .unique = "u", .delay_ms = 60000);
    check_replaced(*state);
}

static TEST(test_replace_takes_the_place_of_a_parked_job)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u");
    core->kinds = ",other,";
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("parked")), ==, 1);
    check_replaced(core);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", K("parked"),
                          K("parked_kinds")),
              ==, 0);
}

static TEST(test_replace_of_nobody_is_an_enqueue)
{
    struct ms_core *core = *state;

    CHECK_INT(REPLACE(core, .id = "a"), ==, 1);
    CHECK_STR(holder(core), "a");
    CHECK_INT(ms_core_stat(core, "replaced"), ==, 0);
}

/* It is at work; what it does cannot be taken back. */
static TEST(test_no_mode_touches_a_holder_that_runs)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a", .unique = "u", .payload = "old", .payload_len = 3);
    fence = ms_core_claim_one(core, "p1", "a");
    for (int mode = MS_UNIQUE_REFUSE; mode <= MS_UNIQUE_DEBOUNCE; mode++) {
        CHECK_INT(ENQUEUE(core, .id = "b", .unique = "u",
                          .unique_mode = (enum ms_unique_mode)mode),
                  ==, 0);
        CHECK_STR(core->dedup, "a");
        CHECK_STR(ms_core_field(core, "a", "payload"), "old");
    }
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
}

static TEST(test_no_mode_touches_a_parent_under_way)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .unique = "u", .parent = true);
    ms_core_spawn(core, "p", 0, 2);
    CHECK_INT(REPLACE(core, .id = "b"), ==, 0);
    CHECK_STR(core->dedup, "p");
    CHECK_STR(ms_core_state(core, "p"), "waiting");
}

/* The pod whose lease had ended is late: it must not end the new job. */
static TEST(test_the_late_pod_of_a_replaced_job_hears_that_it_is_gone)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a", .unique = "u");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(REPLACE(core, .id = "b"), ==, 1);
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_GONE);
    CHECK_STR(ms_core_state(core, "b"), "ready");
}

/* The ordinary path of a delete: a repeated enqueue adds it no more. */
static TEST(test_a_replaced_id_of_a_users_is_remembered)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .own_id = true, .unique = "u");
    CHECK_INT(REPLACE(core, .id = "b"), ==, 1);
    CHECK_INT(REPLACE(core, .id = "a", .own_id = true), ==, 0);
    CHECK_STR(core->dedup, "a");
    CHECK_STR(holder(core), "b");
}

static TEST(test_the_last_of_a_call_replaces_those_before)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {
        NEW_JOB(.id = "b", .own_id = true, .unique = "u",
                .unique_mode = MS_UNIQUE_REPLACE),
        NEW_JOB(.id = "x"),
        NEW_JOB(.id = "c", .unique = "u", .unique_mode = MS_UNIQUE_REPLACE),
    };

    ENQUEUE(core, .id = "a", .unique = "u");
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 3), ==, 3);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(ms_core_state(core, "b"), "gone");
    CHECK_STR(holder(core), "c");
    CHECK_INT(ms_core_stat(core, "replaced"), ==, 2);
    CHECK_INT(ms_core_depth(core, "-"), ==, 2);
    CHECK_INT(ENQUEUE(core, .id = "b", .own_id = true), ==, 0);
}

static TEST(test_a_replacing_job_needs_no_room_of_its_own)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_length", 2);
    ENQUEUE(core, .id = "a", .unique = "u");
    ENQUEUE(core, .id = "x");
    CHECK_INT(REPLACE(core, .id = "b"), ==, 1);
    CHECK_INT(ENQUEUE(core, .id = "y"), ==, -1);
}

/* Neither refused with half of it done, nor dropped and replaced at once. */
static TEST(test_who_gives_way_is_not_dropped_for_room_too)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {
        NEW_JOB(.id = "b", .unique = "u", .unique_mode = MS_UNIQUE_REPLACE),
        NEW_JOB(.id = "c"),
    };

    ms_core_set(core, "max_length", 2);
    ENQUEUE(core, .id = "a", .unique = "u");
    ENQUEUE(core, .id = "x");
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 2), ==, -1);
    CHECK_STR(holder(core), "a");
    CHECK_STR(ms_core_state(core, "a"), "ready");
    ms_test_cmd(core->redis, "HSET %s when_full drop_oldest", K("cfg"));
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 2), ==, 2);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(ms_core_state(core, "x"), "dead");
}

/* ---- debounce ---- */

#define DEBOUNCE(core, ...) \
    ENQUEUE(core, .unique = "u", .unique_mode = MS_UNIQUE_DEBOUNCE, __VA_ARGS__)

static TEST(test_each_push_moves_a_debounced_job_on)
{
    struct ms_core *core = *state;
    int64_t first;

    CHECK_INT(DEBOUNCE(core, .id = "a", .delay_ms = 30000, .payload = "1",
                       .payload_len = 1),
              ==, 1);
    first = ms_core_number(core, "a", "due_ms");
    CHECK_INT(DEBOUNCE(core, .id = "b", .delay_ms = 60000, .payload = "2",
                       .payload_len = 1),
              ==, 0);
    CHECK_STR(core->dedup, "a");
    CHECK_STR(ms_core_state(core, "b"), "gone");
    CHECK_STR(ms_core_field(core, "a", "payload"), "2");
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_INT(ms_core_number(core, "a", "due_ms"), >=, first + 30000);
    CHECK_INT(ms_test_num(core->redis, "ZSCORE %s a", K("scheduled")), ==,
              ms_core_number(core, "a", "due_ms"));
    CHECK_INT(ms_core_stat(core, "deduplicated"), ==, 1);
}

static TEST(test_a_ready_job_can_be_debounced_into_the_future)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u");
    CHECK_INT(DEBOUNCE(core, .id = "b", .delay_ms = 60000), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_INT(ms_core_run_now(core, "a"), ==, MS_OK);
    ms_core_claim_one(core, "p1", "a");
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
}

static TEST(test_a_push_without_a_delay_is_due_at_once)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u", .delay_ms = 60000);
    CHECK_INT(DEBOUNCE(core, .id = "b"), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_STR(ms_core_field(core, "a", "due_ms"), "");
    ms_core_claim_one(core, "p1", "a");
}

/* Who pushes without a delay again and again must not be last for ever, nor
 * leave an id in the list each time. */
static TEST(test_a_ready_job_that_stays_ready_keeps_its_turn)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u");
    ENQUEUE(core, .id = "x");
    CHECK_INT(DEBOUNCE(core, .id = "b", .kind = "other"), ==, 0);
    CHECK_INT(DEBOUNCE(core, .id = "c", .kind = "other"), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("ready:5:-")), ==, 2);
    CHECK_INT(ms_core_depth(core, "other"), ==, 1);
    CHECK_INT(ms_core_depth(core, "k"), ==, 1);
    ms_core_claim_one(core, "p1", "a");
}

static TEST(test_a_parked_job_is_debounced_where_it_is)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .kind = "x", .unique = "u");
    core->kinds = ",k,";
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_INT(DEBOUNCE(core, .id = "b", .kind = "x"), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("parked")), ==, 1);
    CHECK_INT(DEBOUNCE(core, .id = "c", .kind = "k"), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("parked")), ==, 0);
    ms_core_claim_one(core, "p1", "a");
}

static TEST(test_a_parked_job_can_be_debounced_into_the_future)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .kind = "x", .unique = "u");
    core->kinds = ",k,";
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_INT(DEBOUNCE(core, .id = "b", .kind = "x", .delay_ms = 60000), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("parked")), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
}

/* Where it waits and who it is stay; what it is to do is the new job's. */
static TEST(test_a_debounced_job_takes_what_belongs_to_the_payload)
{
    struct ms_core *core = *state;
    int64_t created;

    ENQUEUE(core, .id = "a", .own_id = true, .unique = "u", .group = "g",
            .priority = 2, .delay_ms = 60000, .max_attempts = 9,
            .timeout_ms = 1000, .expires_in_ms = 70000);
    ms_test_cmd(core->redis, "HSET %s created_ms 77", K("job:a"));
    created = ms_core_number(core, "a", "created_ms");
    CHECK_INT(DEBOUNCE(core, .id = "b", .kind = "other", .json = true,
                       .group = "h", .priority = 7, .delay_ms = 60000,
                       .max_attempts = 3),
              ==, 0);
    CHECK_STR(ms_core_field(core, "a", "kind"), "other");
    CHECK_STR(ms_core_field(core, "a", "enc"), "json");
    CHECK_INT(ms_core_number(core, "a", "max_attempts"), ==, 3);
    CHECK_STR(ms_core_field(core, "a", "timeout_ms"), "");
    CHECK_STR(ms_core_field(core, "a", "expires_ms"), "");
    CHECK_STR(ms_core_field(core, "a", "group"), "g");
    CHECK_INT(ms_core_number(core, "a", "priority"), ==, 2);
    CHECK_STR(ms_core_field(core, "a", "own"), "1");
    CHECK_INT(ms_core_number(core, "a", "created_ms"), ==, created);
    CHECK_STR(holder(core), "a");
}

/* A new payload is a new life: failures and the cursor were the old one's. */
static TEST(test_a_failed_job_that_is_debounced_begins_anew)
{
    struct ms_core *core = *state;
    const struct ms_lease_move move = {.seq = 3,
                                       .cursor = "c",
                                       .cursor_len = 1,
                                       .progress = 0.5};
    int64_t fence;

    ENQUEUE(core, .id = "a", .unique = "u");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_core_renew_move(core, "p1", "a", fence, &move);
    FAIL(core, "p1", "a", fence);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_INT(DEBOUNCE(core, .id = "b", .delay_ms = 60000), ==, 0);
    CHECK_STR(ms_core_field(core, "a", "attempts"), "");
    CHECK_STR(ms_core_field(core, "a", "errors"), "");
    CHECK_STR(ms_core_field(core, "a", "cursor"), "");
    CHECK_STR(ms_core_field(core, "a", "seq"), "");
    CHECK_INT(FAIL(core, "p1", "a", fence), ==, MS_FINISH_OK); /* repeated */
    CHECK_STR(ms_core_field(core, "a", "errors"), "");
    CHECK_INT(ms_core_run_now(core, "a"), ==, MS_OK);
    CHECK_INT(ms_core_claim_one(core, "p2", "a"), >, fence);
    CHECK_INT(core->jobs[0].attempt, ==, 1);
}

/* It worked on the old payload: its done is not the new one's. */
static TEST(test_the_late_pod_of_a_debounced_job_is_refused)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a", .unique = "u");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_core_end_lease(core, "a", 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_INT(DEBOUNCE(core, .id = "b"), ==, 0);
    CHECK_INT(ms_core_renew(core, "p1", "a", fence), ==, MS_RENEW_LOST);
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_STALE);
    CHECK_INT(ms_core_claim_one(core, "p1", "a"), >, fence);
}

static TEST(test_the_last_of_a_call_debounces_those_before)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {
        NEW_JOB(.id = "a", .unique = "u", .priority = 1, .payload = "1",
                .payload_len = 1),
        NEW_JOB(.id = "b", .unique = "u", .payload = "2", .payload_len = 1,
                .unique_mode = MS_UNIQUE_DEBOUNCE),
        NEW_JOB(.id = "c", .unique = "u", .payload = "3", .payload_len = 1,
                .unique_mode = MS_UNIQUE_DEBOUNCE, .delay_ms = 60000),
    };

    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 3), ==, 1);
    CHECK_STR(core->dedup, "a");
    CHECK_STR(ms_core_field(core, "a", "payload"), "3");
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_INT(ms_core_number(core, "a", "priority"), ==, 1);
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs + 1, 1), ==, 0);
    CHECK_STR(ms_core_field(core, "a", "payload"), "2");
    CHECK_STR(ms_core_state(core, "a"), "ready");
}

/* In turn, as if each had come in a call of its own. */
static TEST(test_the_modes_of_one_call_follow_one_another)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {
        NEW_JOB(.id = "b", .unique = "u", .unique_mode = MS_UNIQUE_DEBOUNCE),
        NEW_JOB(.id = "c", .unique = "u", .unique_mode = MS_UNIQUE_REPLACE),
        NEW_JOB(.id = "d", .unique = "u"),
        NEW_JOB(.id = "e", .unique = "u", .kind = "last",
                .unique_mode = MS_UNIQUE_DEBOUNCE),
    };

    ENQUEUE(core, .id = "a", .unique = "u");
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 4), ==, 1);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(holder(core), "c");
    CHECK_STR(ms_core_field(core, "c", "kind"), "last");
    CHECK_INT(ms_core_depth(core, "last"), ==, 1);
}

static TEST(test_a_debounce_takes_the_new_time_of_the_key)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u", .unique_ttl_ms = 5000);
    CHECK_INT(DEBOUNCE(core, .id = "b", .unique_ttl_ms = 90000), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u")), >, 50000);
    CHECK_INT(DEBOUNCE(core, .id = "b"), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u")), ==, -1);
}

/* A push whose answer was lost must not move the job on once more. */
static TEST(test_a_repeated_push_changes_nothing)
{
    struct ms_core *core = *state;
    const struct ms_new_job push =
        NEW_JOB(.id = "b", .unique = "u", .delay_ms = 60000, .payload = "1",
                .payload_len = 1, .unique_mode = MS_UNIQUE_DEBOUNCE);

    ENQUEUE(core, .id = "a", .unique = "u");
    CHECK_INT(ms_core_enqueue_all(core, "T1", &push, 1), ==, 0);
    DEBOUNCE(core, .id = "c", .payload = "2", .payload_len = 1);
    CHECK_INT(ms_core_enqueue_all(core, "T1", &push, 1), ==, 0);
    CHECK_STR(core->dedup, "a");
    CHECK_STR(ms_core_field(core, "a", "payload"), "2");
}

/* Told that the id stands for it, its job would be lost. */
static TEST(test_an_id_that_gave_way_in_a_call_is_free_in_it)
{
    struct ms_core *core = *state;
    const struct ms_new_job jobs[] = {NEW_JOB(.id = "b", .unique = "u",
                                              .unique_mode = MS_UNIQUE_REPLACE),
                                      NEW_JOB(.id = "a", .priority = 1),
                                      NEW_JOB(.id = "c", .unique = "u",
                                              .unique_mode = MS_UNIQUE_REPLACE),
                                      NEW_JOB(.id = "b", .priority = 2)};

    ENQUEUE(core, .id = "a", .unique = "u");
    CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, 4), ==, 4);
    CHECK_INT(ms_core_claim(core, "p1", 9), ==, 3);
    CHECK_STR(core->jobs[0].id, "a");
    CHECK_STR(core->jobs[1].id, "b");
    CHECK_STR(core->jobs[2].id, "c");
}

/* It has begun, but not with this payload. */
static TEST(test_a_debounced_job_expires_although_it_ran_before)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a", .unique = "u");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_core_release(core, "p1", "a", fence, 0);
    ENQUEUE(core, .id = "b", .unique = "u", .unique_mode = MS_UNIQUE_DEBOUNCE,
            .expires_at_ms = 1000);
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "dead");
}

/* It had expired where it stands, so that nobody would have run it. */
static TEST(test_a_job_that_lives_again_by_a_debounce_wakes_a_pod)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u", .expires_at_ms = 1000);
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
    ENQUEUE(core, .id = "b", .unique = "u", .unique_mode = MS_UNIQUE_DEBOUNCE);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
    ms_core_claim_one(core, "p1", "a");
}

static TEST(test_a_debounce_adds_nothing_to_a_full_queue)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_length", 1);
    ENQUEUE(core, .id = "a", .unique = "u");
    CHECK_INT(DEBOUNCE(core, .id = "b", .delay_ms = 60000), ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_unique_key_names_its_holder),
        CORE(test_a_unique_key_twice_in_one_call_counts_once),
        CORE(test_a_unique_key_of_a_lost_job_holds_nobody_up),
        CORE(test_a_key_that_names_a_job_without_it_holds_nobody_up),
        CORE(test_done_frees_the_key),
        CORE(test_done_that_is_not_kept_frees_the_key),
        CORE(test_dead_frees_the_key),
        CORE(test_the_last_failure_frees_the_key),
        CORE(test_a_cancel_that_was_obeyed_frees_the_key),
        CORE(test_a_cancel_before_the_start_frees_the_key),
        CORE(test_a_drain_of_a_cancelled_job_frees_the_key),
        CORE(test_a_bulk_cancel_frees_the_key),
        CORE(test_expiry_frees_the_key),
        CORE(test_a_delete_frees_the_key),
        CORE(test_a_purge_frees_the_key),
        CORE(test_a_drop_for_room_frees_the_key),
        CORE(test_poison_frees_the_key),
        CORE(test_a_kind_without_a_handler_frees_the_key),
        CORE(test_the_end_of_a_parent_frees_the_key),
        CORE(test_retention_leaves_the_key_to_whom_it_names),
        CORE(test_retention_frees_a_key_that_was_left),
        CORE(test_a_replaced_job_leaves_the_key_to_the_new_one),
        CORE(test_a_key_is_free_when_its_time_is_over),
        CORE(test_the_end_frees_a_key_before_its_time),
        CORE(test_a_retry_takes_the_key_for_its_time_again),
        CORE(test_a_retry_does_not_take_the_key_from_another),
        CORE(test_replace_takes_the_place_of_a_ready_job),
        CORE(test_replace_takes_the_place_of_a_scheduled_job),
        CORE(test_replace_takes_the_place_of_a_parked_job),
        CORE(test_replace_of_nobody_is_an_enqueue),
        CORE(test_no_mode_touches_a_holder_that_runs),
        CORE(test_no_mode_touches_a_parent_under_way),
        CORE(test_the_late_pod_of_a_replaced_job_hears_that_it_is_gone),
        CORE(test_a_replaced_id_of_a_users_is_remembered),
        CORE(test_the_last_of_a_call_replaces_those_before),
        CORE(test_a_replacing_job_needs_no_room_of_its_own),
        CORE(test_who_gives_way_is_not_dropped_for_room_too),
        CORE(test_each_push_moves_a_debounced_job_on),
        CORE(test_a_ready_job_can_be_debounced_into_the_future),
        CORE(test_a_push_without_a_delay_is_due_at_once),
        CORE(test_a_ready_job_that_stays_ready_keeps_its_turn),
        CORE(test_a_parked_job_is_debounced_where_it_is),
        CORE(test_a_parked_job_can_be_debounced_into_the_future),
        CORE(test_a_debounced_job_takes_what_belongs_to_the_payload),
        CORE(test_a_failed_job_that_is_debounced_begins_anew),
        CORE(test_the_late_pod_of_a_debounced_job_is_refused),
        CORE(test_the_last_of_a_call_debounces_those_before),
        CORE(test_the_modes_of_one_call_follow_one_another),
        CORE(test_a_debounce_takes_the_new_time_of_the_key),
        CORE(test_a_repeated_push_changes_nothing),
        CORE(test_an_id_that_gave_way_in_a_call_is_free_in_it),
        CORE(test_a_debounced_job_expires_although_it_ran_before),
        CORE(test_a_job_that_lives_again_by_a_debounce_wakes_a_pod),
        CORE(test_a_debounce_adds_nothing_to_a_full_queue),
    };

    return RUN_CORE(tests);
}

#include "tests/support/core.h"

#include <stdio.h>

#include "common/status.h"

static int64_t lent(struct ms_core *core)
{
    ENQUEUE(core, .id = "a");
    return ms_core_claim_one(core, "p1", "a");
}

static void wake_nobody(struct ms_core *core)
{
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
}

static int64_t woken(struct ms_core *core)
{
    return ms_test_num(core->redis, "LLEN %s", K("wake"));
}

/* ---- cancel ---- */

static TEST(test_cancel_ends_what_has_not_begun)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ENQUEUE(core, .id = "b", .delay_ms = 60000);
    CHECK_INT(ms_core_cancel(core, "a"), ==, MS_CANCEL_CANCELLED);
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_CANCELLED);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_STR(ms_core_field(core, "a", "error"), "cancelled by user");
    CHECK_INT(ms_core_stat(core, "cancelled"), ==, 2);
    CHECK_INT(ms_core_info(core).scheduled, ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
}

static TEST(test_cancel_tells_the_pod_of_a_running_job)
{
    struct ms_core *core = *state;

    lent(core);
    CHECK_INT(ms_core_cancel(core, "a"), ==, MS_CANCEL_REQUESTED);
    CHECK_STR(core->dedup, "p1"); /* whose inbox to tell */
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_STR(ms_core_field(core, "a", "cancel_requested"), "1");
    CHECK_INT(ms_core_cancel(core, "a"), ==, MS_CANCEL_REQUESTED);
}

static TEST(test_cancel_of_a_parent_is_the_leaders)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    CHECK_INT(ms_core_cancel(core, "p"), ==, MS_CANCEL_REQUESTED);
    CHECK_STR(core->dedup, "");
    CHECK_STR(ms_core_state(core, "p"), "waiting");
}

static TEST(test_cancel_comes_too_late_or_to_nothing)
{
    struct ms_core *core = *state;

    DONE(core, "p1", "a", lent(core));
    CHECK_INT(ms_core_cancel(core, "a"), ==, MS_CANCEL_FINISHED);
    CHECK_STR(ms_core_state(core, "a"), "done");
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_UNKNOWN);
    CHECK_INT(ms_core_stat(core, "cancelled"), ==, 0);
}

static TEST(test_cancel_names_its_actor_in_the_events)
{
    struct ms_core *core = *state;
    const struct ms_reply *event;

    ENQUEUE(core, .id = "a");
    ms_core_cancel(core, "a");
    event = ms_reply_at(ms_test_cmd(core->redis, "XREVRANGE %s + - COUNT 1",
                                    K("events")),
                        0);
    event = ms_reply_at(event, 1);
    CHECK_STR(ms_reply_str(ms_reply_field(event, "type"), ""), "cancelled");
    CHECK_STR(ms_reply_str(ms_reply_field(event, "id"), ""), "a");
    CHECK_STR(ms_reply_str(ms_reply_field(event, "kind"), ""), "k");
    CHECK_STR(ms_reply_str(ms_reply_field(event, "actor"), ""), "tester");
    CHECK_INT(ms_reply_int(ms_reply_field(event, "at_ms"), 0), >,
              1700000000000);
}

/* ---- retry ---- */

static TEST(test_retry_starts_a_dead_job_anew)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .max_attempts = 1, .priority = 3, .group = "g",
            .expires_in_ms = 60000);
    FAIL(core, "p1", "a", ms_core_claim_one(core, "p1", "a"));
    wake_nobody(core);
    CHECK_INT(ms_core_retry(core, "a"), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
    CHECK_STR(ms_core_field(core, "a", "error"), "");
    CHECK_STR(ms_core_field(core, "a", "finished_ms"), "");
    CHECK_STR(ms_core_field(core, "a", "expires_ms"), "");
    CHECK_CONTAINS(ms_core_field(core, "a", "errors"), "it broke");
    CHECK_INT(woken(core), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("ready:3:g")), ==, 1);
    ms_core_claim_one(core, "p1", "a");
    CHECK_INT(core->jobs[0].attempt, ==, 1);
}

static TEST(test_retry_goes_on_from_the_cursor)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    struct ms_lease_move move = {.seq = 2,
                                 .cursor = "here",
                                 .cursor_len = 4,
                                 .progress = -1};

    ms_core_renew_move(core, "p1", "a", fence, &move);
    ms_core_finish(core, "p1", "a", fence, MS_FINISH_DEAD);
    ms_core_retry(core, "a");
    CHECK_STR(ms_core_field(core, "a", "cursor"), "here");
    CHECK_INT(ms_core_number(core, "a", "seq"), ==, 2);
}

static TEST(test_retry_may_bring_another_payload)
{
    struct ms_core *core = *state;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_core_finish(core, "p1", "a", lent(core), MS_FINISH_DEAD);
    ms_retry_build(&cmd, "m", "q", "a", "new\0one", 7);
    CHECK_INT(ms_job_status_parse(ms_test_run(core->redis, &cmd), "a", NULL),
              ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "HSTRLEN %s payload", K("job:a")), ==,
              7);
}

static TEST(test_retry_is_for_ended_jobs)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    CHECK_INT(ms_core_retry(core, "a"), ==, MS_ESTATE);
    CHECK_CONTAINS(core->error.text, "running");
    DONE(core, "p1", "a", fence);
    CHECK_INT(ms_core_retry(core, "a"), ==, MS_OK);
    CHECK_INT(ms_core_retry(core, "a"), ==, MS_ESTATE);
    CHECK_INT(ms_core_retry(core, "b"), ==, MS_ENOENT);
    ENQUEUE(core, .id = "c", .delay_ms = 60000);
    CHECK_INT(ms_core_retry(core, "c"), ==, MS_ESTATE);
    ENQUEUE(core, .id = "p", .parent = true);
    CHECK_INT(ms_core_retry(core, "p"), ==, MS_ESTATE);
}

static TEST(test_retry_takes_a_free_unique_key_again)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u");
    ms_core_cancel(core, "a");
    ms_core_retry(core, "a");
    CHECK_INT(ENQUEUE(core, .id = "b", .unique = "u"), ==, 0);
    ms_core_cancel(core, "a");
    CHECK_INT(ENQUEUE(core, .id = "b", .unique = "u"), ==, 1);
    ms_core_retry(core, "a"); /* b has it now, and keeps it */
    CHECK_STR(ms_test_text(core->redis, "GET %s", K("unique:u")), "b");
}

static TEST(test_a_chunk_is_retried_through_its_parent)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    ms_core_spawn(core, "p", 0, 1);
    ms_core_cancel(core, "p.0");
    CHECK_INT(ms_core_retry(core, "p.0"), ==, MS_ESTATE);
    CHECK_CONTAINS(core->error.text, "chunk");
    CHECK_INT(ms_core_tally(core, "p").dead, ==, 1);
}

/* ---- run now ---- */

static TEST(test_run_now_makes_a_scheduled_job_ready)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "b");
    ENQUEUE(core, .id = "a", .delay_ms = 60000);
    wake_nobody(core);
    CHECK_INT(ms_core_run_now(core, "a"), ==, MS_OK);
    CHECK_INT(woken(core), ==, 1);
    CHECK_STR(ms_core_field(core, "a", "due_ms"), "");
    ms_core_claim_one(core, "p1", "a"); /* ahead of the others */
    CHECK_INT(ms_core_run_now(core, "a"), ==, MS_ESTATE);
    CHECK_INT(ms_core_run_now(core, "b"), ==, MS_ESTATE);
    CHECK_INT(ms_core_run_now(core, "c"), ==, MS_ENOENT);
}

/* ---- delete ---- */

static TEST(test_delete_leaves_nothing_of_a_job)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ENQUEUE(core, .id = "b", .delay_ms = 60000);
    ENQUEUE(core, .id = "c");
    ENQUEUE(core, .id = "d");
    ms_core_cancel(core, "c");
    DONE(core, "p1", "a", ms_core_claim_one(core, "p1", "a"));
    for (char id[] = "a"; id[0] <= 'd'; id[0]++) {
        CHECK_INT(ms_core_delete(core, id), ==, MS_OK);
        CHECK_STR(ms_core_state(core, id), "gone");
    }
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s %s", K("done"), K("dead"),
                          K("scheduled")),
              ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    CHECK_INT(ms_core_delete(core, "a"), ==, MS_ENOENT);
}

static TEST(test_delete_spares_what_runs_or_waits)
{
    struct ms_core *core = *state;

    lent(core);
    CHECK_INT(ms_core_delete(core, "a"), ==, MS_ESTATE);
    CHECK_CONTAINS(core->error.text, "running");
    ENQUEUE(core, .id = "p", .parent = true);
    CHECK_INT(ms_core_delete(core, "p"), ==, MS_ESTATE);
    ms_core_spawn(core, "p", 0, 1);
    CHECK_INT(ms_core_delete(core, "p.0"), ==, MS_ESTATE);
    CHECK_CONTAINS(core->error.text, "chunk");
}

/* ---- bulk ---- */

static TEST(test_bulk_deletes_a_state_in_slices)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "a", "ga", 700);
    ms_core_enqueue_many(core, "b", "gb", 3);
    ENQUEUE(core, .id = "z", .priority = 0);
    ENQUEUE(core, .id = "later", .delay_ms = 60000);
    ENQUEUE(core, .id = "other", .kind = "x", .group = "gb");
    CHECK_INT(ms_core_bulk(core, "delete", "ready", "k"), ==, 704);
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
    CHECK_STR(ms_core_state(core, "other"), "ready");
    CHECK_INT(ms_core_bulk(core, "delete", "ready", NULL), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s %s", K("ring:5"),
                          K("ready:5:ga"), K("ready:5:gb")),
              ==, 0);
    CHECK_INT(ms_core_bulk(core, "delete", "scheduled", NULL), ==, 1);
}

static TEST(test_bulk_cancels_and_retries)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 600);
    ENQUEUE(core, .id = "x1", .kind = "x", .delay_ms = 60000);
    ENQUEUE(core, .id = "k1", .delay_ms = 60000);
    CHECK_INT(ms_core_bulk(core, "cancel", "ready", NULL), ==, 600);
    CHECK_INT(ms_core_bulk(core, "cancel", "scheduled", "x"), ==, 1);
    CHECK_STR(ms_core_state(core, "k1"), "scheduled");
    CHECK_INT(ms_core_info(core).dead, ==, 601);
    CHECK_INT(ms_core_bulk(core, "retry", "dead", "k"), ==, 600);
    CHECK_INT(ms_core_depth(core, "k"), ==, 600);
    CHECK_INT(ms_core_bulk(core, "delete", "dead", NULL), ==, 1);
}

static TEST(test_bulk_does_a_job_once_that_stands_twice)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ENQUEUE(core, .id = "b", .kind = "x");
    ms_core_cancel(core, "a");
    ms_core_retry(core, "a");
    CHECK_INT(ms_core_bulk(core, "cancel", "ready", "k"), ==, 1);
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
}

static TEST(test_bulk_refuses_what_makes_no_sense)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    CHECK_INT(ms_core_bulk(core, "retry", "ready", NULL), ==, -1);
    CHECK_INT(ms_core_bulk(core, "cancel", "dead", NULL), ==, -1);
    CHECK_INT(ms_core_bulk(core, "delete", "running", NULL), ==, -1);
    CHECK_INT(ms_core_bulk(core, "delete", "waiting", NULL), ==, -1);
    CHECK_INT(ms_core_bulk(core, "explode", "ready", NULL), ==, -1);
    CHECK_STR(ms_core_state(core, "a"), "ready");
}

/* Chunks of a parent that lives stay; an ended parent takes its own along. */
static TEST(test_bulk_deletes_ended_parents_with_their_chunks)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    ENQUEUE(core, .id = "r", .parent = true);
    ms_core_spawn(core, "p", 0, 3);
    ms_core_spawn(core, "r", 0, 2);
    CHECK_INT(ms_core_bulk(core, "cancel", "ready", NULL), ==, 5);
    CHECK_INT(ms_core_bulk(core, "delete", "dead", NULL), ==, 0);
    CHECK_INT(ms_core_bulk(core, "retry", "dead", NULL), ==, 0);
    ENQUEUE(core, .id = "a"); /* ends before p: a parent ends the slice */
    ms_core_cancel(core, "a");
    CHECK_INT(ms_core_conclude(core, "p", false, "no"), ==, MS_OK);
    CHECK_INT(ms_core_bulk(core, "delete", "dead", NULL), ==, 2);
    CHECK_STR(ms_core_state(core, "p"), "gone");
    CHECK_STR(ms_core_state(core, "p.1"), "gone");
    CHECK_STR(ms_core_state(core, "r.1"), "dead");
}

/* ---- queues ---- */

static TEST(test_configure_seeds_only_what_is_absent)
{
    struct ms_core *core = *state;
    static const char *const pairs[] = {"max_workers", "7", "timeout_ms",
                                        "9000"};
    const struct ms_reply *all;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_configure_build(&cmd, "m", "q", true, pairs, 2);
    CHECK_INT(ms_configure_parse(ms_test_run(core->redis, &cmd), &all, NULL),
              ==, MS_OK);
    CHECK_INT(ms_reply_int(ms_reply_field(all, "max_workers"), 0), ==, 1000);
    CHECK_INT(ms_reply_int(ms_reply_field(all, "timeout_ms"), 0), ==, 9000);
    CHECK_INT(woken(core), ==, 0);
}

static TEST(test_a_raised_cap_wakes_and_a_lowered_does_not)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_workers", 5);
    CHECK_INT(woken(core), ==, 0);
    ms_core_set(core, "max_workers", 6);
    CHECK_INT(woken(core), ==, 1);
}

static TEST(test_resume_wakes)
{
    struct ms_core *core = *state;

    ms_core_pause(core, true);
    CHECK(ms_core_info(core).paused);
    CHECK_INT(woken(core), ==, 0);
    ms_core_pause(core, false);
    CHECK(!ms_core_info(core).paused);
    CHECK_INT(woken(core), ==, 1);
}

static TEST(test_queue_info_counts_every_place)
{
    struct ms_core *core = *state;
    struct ms_queue_info info;
    int64_t oldest;

    ENQUEUE(core, .id = "run");
    ms_core_claim(core, "p1", 1);
    ENQUEUE(core, .id = "x", .kind = "x");
    core->kinds = ",k,";
    ms_core_claim(core, "p1", 1);
    ENQUEUE(core, .id = "r1");
    oldest = ms_core_number(core, "r1", "created_ms");
    ENQUEUE(core, .id = "r2", .priority = 0);
    ENQUEUE(core, .id = "later", .delay_ms = 60000);
    ENQUEUE(core, .id = "due", .delay_ms = 60000);
    ms_test_cmd(core->redis, "ZADD %s 5 due", K("scheduled"));
    ENQUEUE(core, .id = "p", .parent = true);
    ENQUEUE(core, .id = "dead");
    ms_core_cancel(core, "dead");
    info = ms_core_info(core);
    CHECK_INT(info.running, ==, 1);
    CHECK_INT(info.parked, ==, 1);
    CHECK_INT(info.ready, ==, 3);
    CHECK_INT(info.scheduled, ==, 2);
    CHECK_INT(info.due, ==, 1);
    CHECK_INT(info.waiting, ==, 1);
    CHECK_INT(info.done, ==, 0);
    CHECK_INT(info.dead, ==, 1);
    CHECK_INT(info.max_workers, ==, 1000);
    CHECK_INT(info.oldest_ready_ms, ==, oldest);
    CHECK_INT(info.now_ms, >=, oldest);
}

static TEST(test_queue_info_of_an_unknown_queue_is_empty)
{
    struct ms_core *core = *state;
    struct ms_queue_info info;

    ms_test_cmd(core->redis, "FLUSHALL");
    info = ms_core_info(core);
    CHECK_INT(info.max_workers, ==, 1);
    CHECK_INT(info.ready, ==, 0);
    CHECK_INT(info.oldest_ready_ms, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "DBSIZE"), ==, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_cancel_ends_what_has_not_begun),
        CORE(test_cancel_tells_the_pod_of_a_running_job),
        CORE(test_cancel_of_a_parent_is_the_leaders),
        CORE(test_cancel_comes_too_late_or_to_nothing),
        CORE(test_cancel_names_its_actor_in_the_events),
        CORE(test_retry_starts_a_dead_job_anew),
        CORE(test_retry_goes_on_from_the_cursor),
        CORE(test_retry_may_bring_another_payload),
        CORE(test_retry_is_for_ended_jobs),
        CORE(test_retry_takes_a_free_unique_key_again),
        CORE(test_a_chunk_is_retried_through_its_parent),
        CORE(test_run_now_makes_a_scheduled_job_ready),
        CORE(test_delete_leaves_nothing_of_a_job),
        CORE(test_delete_spares_what_runs_or_waits),
        CORE(test_bulk_deletes_a_state_in_slices),
        CORE(test_bulk_cancels_and_retries),
        CORE(test_bulk_does_a_job_once_that_stands_twice),
        CORE(test_bulk_refuses_what_makes_no_sense),
        CORE(test_bulk_deletes_ended_parents_with_their_chunks),
        CORE(test_configure_seeds_only_what_is_absent),
        CORE(test_a_raised_cap_wakes_and_a_lowered_does_not),
        CORE(test_resume_wakes),
        CORE(test_queue_info_counts_every_place),
        CORE(test_queue_info_of_an_unknown_queue_is_empty),
    };

    return RUN_CORE(tests);
}

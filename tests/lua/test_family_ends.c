/*
 * Every way out of a job's life, taken by the last child of a batch: the batch
 * ends in that very call, and its callbacks are there once.  No leader has a
 * hand in it unless the way out is the leader's.
 */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ms_new_job complete = {.kind = "cb.complete",
                                           .priority = 5,
                                           .payload = "c",
                                           .payload_len = 1};
static const struct ms_new_job success = {.kind = "cb.success", .priority = 5};
static const struct ms_new_job failure = {.kind = "cb.failure", .priority = 5};

static bool has_sibling; /* the batch has a second child, for much later */

/* A batch "b" of one child with all its callbacks. */
static void one_child(struct ms_core *core, struct ms_new_job child)
{
    struct ms_family family =
        FAMILY(.on_complete = &complete, .on_success = &success,
               .on_failure = &failure);
    struct ms_new_job jobs[] = {child,
                                NEW_JOB(.kind = "later", .delay_ms = 900000,
                                        .priority = 0)};

    CHECK_INT(ms_core_family(core, &family, 0, jobs, has_sibling ? 2 : 1, true),
              ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    CHECK_STR(ms_core_state(core, "b:complete"), "gone");
}

/* Each brings the child b.0 to its end. */

static void end_done(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    DONE(core, "p1", "b.0", ms_core_claim_one(core, "p1", "b.0"));
}

static void end_dead_at_once(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    ms_core_finish(core, "p1", "b.0", ms_core_claim_one(core, "p1", "b.0"),
                   MS_FINISH_DEAD);
}

static void end_failed_out(struct ms_core *core)
{
    one_child(core, NEW_JOB(.max_attempts = 1));
    FAIL(core, "p1", "b.0", ms_core_claim_one(core, "p1", "b.0"));
}

static void end_cancelled_by_its_handler(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    ms_core_finish(core, "p1", "b.0", ms_core_claim_one(core, "p1", "b.0"),
                   MS_FINISH_CANCELLED);
}

static void end_late_and_reclaimed_meanwhile(struct ms_core *core)
{
    int64_t fence;

    one_child(core, NEW_JOB());
    fence = ms_core_claim_one(core, "p1", "b.0");
    ms_core_end_lease(core, "b.0", 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b.0"), "ready");
    DONE(core, "p1", "b.0", fence);
}

static void end_expired(struct ms_core *core)
{
    one_child(core, NEW_JOB(.expires_at_ms = 1));
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
}

static void end_poisoned_at_a_claim(struct ms_core *core)
{
    ms_core_set(core, "crash_limit", 1);
    one_child(core, NEW_JOB());
    ms_core_claim_one(core, "p1", "b.0");
    ms_core_end_lease(core, "b.0", 1);
    ms_core_claim(core, "p2", 5);
}

static void end_poisoned_by_reap(struct ms_core *core)
{
    ms_core_set(core, "crash_limit", 1);
    one_child(core, NEW_JOB());
    ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(ms_core_reap(core, "p1"), ==, MS_OK);
}

static void park_it(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    core->kinds = ",other,";
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("parked")), ==, 1);
}

static void end_without_a_handler(struct ms_core *core)
{
    park_it(core);
    ms_test_cmd(core->redis, "ZADD %s 1 b.0", K("parked"));
    CHECK_INT(ms_core_unpark(core, ",other,"), ==, MS_OK);
}

static void end_cancelled_when_ready(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    CHECK_INT(ms_core_cancel(core, "b.0"), ==, MS_CANCEL_CANCELLED);
}

static void end_cancelled_when_scheduled(struct ms_core *core)
{
    one_child(core, NEW_JOB(.delay_ms = 60000));
    CHECK_INT(ms_core_cancel(core, "b.0"), ==, MS_CANCEL_CANCELLED);
}

static void end_cancelled_when_parked(struct ms_core *core)
{
    park_it(core);
    CHECK_INT(ms_core_cancel(core, "b.0"), ==, MS_CANCEL_CANCELLED);
}

static void cancel_it_running(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(ms_core_cancel(core, "b.0"), ==, MS_CANCEL_REQUESTED);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
}

static void end_cancelled_and_released(struct ms_core *core)
{
    cancel_it_running(core);
    ms_core_release(core, "p1", "b.0", ms_core_number(core, "b.0", "fence"), 0);
}

static void end_cancelled_and_lost(struct ms_core *core)
{
    cancel_it_running(core);
    CHECK_INT(ms_core_reap(core, "p1"), ==, MS_OK);
}

static void end_deleted_when_ready(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    CHECK_INT(ms_core_delete(core, "b.0"), ==, MS_OK);
}

static void end_deleted_when_scheduled(struct ms_core *core)
{
    one_child(core, NEW_JOB(.delay_ms = 60000));
    CHECK_INT(ms_core_delete(core, "b.0"), ==, MS_OK);
}

static void end_deleted_when_parked(struct ms_core *core)
{
    park_it(core);
    CHECK_INT(ms_core_delete(core, "b.0"), ==, MS_OK);
}

static void end_by_bulk_cancel(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    CHECK_INT(ms_core_bulk(core, "cancel", "ready", "k"), ==, 1);
}

static void end_by_bulk_cancel_of_scheduled(struct ms_core *core)
{
    one_child(core, NEW_JOB(.delay_ms = 60000));
    CHECK_INT(ms_core_bulk(core, "cancel", "scheduled", "k"), ==, 1);
}

static void end_by_bulk_delete(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    CHECK_INT(ms_core_bulk(core, "delete", "ready", "k"), ==, 1);
}

static void end_by_bulk_delete_of_parked(struct ms_core *core)
{
    park_it(core);
    CHECK_INT(ms_core_bulk(core, "delete", "parked", NULL), ==, 1);
}

static void end_dropped(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    ms_core_set(core, "max_length", has_sibling ? 2 : 1);
    ms_test_cmd(core->redis, "HSET %s when_full drop_oldest", K("cfg"));
    CHECK_INT(ENQUEUE(core, .id = "new", .priority = 4), ==, 1);
}

static void end_with_its_parent(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_CANCELLED);
}

static void end_stopped_at_its_pod(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_REQUESTED);
    CHECK_INT(ms_core_renew(core, "p1", "b.0",
                            ms_core_number(core, "b.0", "fence")),
              ==, MS_RENEW_CANCEL);
    ms_core_finish(core, "p1", "b.0", ms_core_number(core, "b.0", "fence"),
                   MS_FINISH_CANCELLED);
}

/* The batch is being stopped while its child is at a pod. */
static int64_t running_and_stopped(struct ms_core *core)
{
    int64_t fence;

    one_child(core, NEW_JOB());
    fence = ms_core_claim_one(core, "p1", "b.0");
    ms_core_cancel(core, "b");
    /* As where nobody has come to tell the child yet. */
    ms_test_cmd(core->redis, "HDEL %s cancel_requested", K("job:b.0"));
    return fence;
}

static void end_stopped_and_released(struct ms_core *core)
{
    ms_core_release(core, "p1", "b.0", running_and_stopped(core), 0);
}

static void end_stopped_and_failed(struct ms_core *core)
{
    FAIL(core, "p1", "b.0", running_and_stopped(core));
}

static void end_stopped_and_throttled(struct ms_core *core)
{
    ms_core_finish(core, "p1", "b.0", running_and_stopped(core),
                   MS_FINISH_THROTTLED);
}

static void end_stopped_and_lost(struct ms_core *core)
{
    running_and_stopped(core);
    CHECK_INT(ms_core_reap(core, "p1"), ==, MS_OK);
}

static void end_stopped_at_a_claim(struct ms_core *core)
{
    one_child(core, NEW_JOB());
    ms_test_cmd(core->redis, "HSET %s stopping 1", K("tally:b"));
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
}

static void end_stopped_by_the_leader(struct ms_core *core)
{
    one_child(core, NEW_JOB(.delay_ms = 60000));
    ms_test_cmd(core->redis, "HSET %s stopping 1", K("tally:b"));
    ms_test_cmd(core->redis, "SADD %s b", K("sweeps"));
    CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 1);
    CHECK(!core->tidy.more);
}

static const struct way {
    const char *name;
    void (*take)(struct ms_core *core);
    bool ends_done;
    const char *error; /* of the parent; NULL: of a failed child */
} ways[] = {
    {"done", end_done, true, ""},
    {"dead", end_dead_at_once, false, NULL},
    {"failed out", end_failed_out, false, NULL},
    {"cancelled by its handler", end_cancelled_by_its_handler, false, NULL},
    {"late", end_late_and_reclaimed_meanwhile, true, ""},
    {"expired", end_expired, false, NULL},
    {"poison at a claim", end_poisoned_at_a_claim, false, NULL},
    {"poison by reap", end_poisoned_by_reap, false, NULL},
    {"no handler", end_without_a_handler, false, NULL},
    {"cancelled ready", end_cancelled_when_ready, false, NULL},
    {"cancelled scheduled", end_cancelled_when_scheduled, false, NULL},
    {"cancelled parked", end_cancelled_when_parked, false, NULL},
    {"cancelled, released", end_cancelled_and_released, false, NULL},
    {"cancelled, lost", end_cancelled_and_lost, false, NULL},
    {"deleted ready", end_deleted_when_ready, true, ""},
    {"deleted scheduled", end_deleted_when_scheduled, true, ""},
    {"deleted parked", end_deleted_when_parked, true, ""},
    {"bulk cancel", end_by_bulk_cancel, false, NULL},
    {"bulk cancel later", end_by_bulk_cancel_of_scheduled, false, NULL},
    {"bulk delete", end_by_bulk_delete, true, ""},
    {"bulk delete parked", end_by_bulk_delete_of_parked, true, ""},
    {"dropped", end_dropped, false, NULL},
    {"with its parent", end_with_its_parent, false, "cancelled by user"},
    {"stopped", end_stopped_at_its_pod, false, "cancelled by user"},
    {"stopped, released", end_stopped_and_released, false, "cancelled by user"},
    {"stopped, failed", end_stopped_and_failed, false, "cancelled by user"},
    {"stopped, throttled", end_stopped_and_throttled, false,
     "cancelled by user"},
    {"stopped, lost", end_stopped_and_lost, false, "cancelled by user"},
    {"stopped at a claim", end_stopped_at_a_claim, false,
     "0 of 1 children failed, 1 were stopped"},
    {"stopped by the leader", end_stopped_by_the_leader, false,
     "0 of 1 children failed, 1 were stopped"},
};

static int64_t events_of(struct ms_core *core, const char *id)
{
    const struct ms_reply *all =
        ms_test_cmd(core->redis, "XRANGE %s - +", K("events"));
    int64_t n = 0;

    for (size_t i = 0; i < all->n_items; i++) {
        const struct ms_reply *fields = ms_reply_at(&all->items[i], 1);

        n += ms_reply_is(ms_reply_field(fields, "id"), id) &&
             !ms_reply_is(ms_reply_field(fields, "type"), "cancelled");
    }
    return n;
}

static void check_end(struct ms_core *core, const struct way *way)
{
    CHECK_STR(ms_core_state(core, "b"), way->ends_done ? "done" : "dead");
    CHECK_STR(ms_core_field(core, "b", "error"),
              way->error != NULL ? way->error : "1 of 1 children failed");
    CHECK_STR(ms_core_field(core, "b", "phase"),
              way->ends_done ? "done" : "dead");
    CHECK_INT(events_of(core, "b"), ==, 1);
    CHECK_STR(ms_core_state(core, "b:complete"), "ready");
    CHECK_STR(ms_core_field(core, "b:complete", "payload"), "c");
    CHECK_STR(ms_core_field(core, "b:complete", "callback_of"), "b");
    CHECK_STR(ms_core_state(core, "b:success"),
              way->ends_done ? "ready" : "gone");
    CHECK_STR(ms_core_state(core, "b:failure"),
              way->ends_done ? "gone" : "ready");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("job:b:complete:2")), ==,
              0);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), >, 0);
}

static TEST(test_every_way_out_of_the_last_child_ends_its_batch)
{
    struct ms_core *core = *state;

    for (size_t i = 0; i < MS_COUNT_OF(ways); i++) {
        print_message("  %s\n", ways[i].name);
        ms_core_setup(state);
        ways[i].take(core);
        check_end(core, &ways[i]);
        ms_core_check(core);
    }
}

/* The same ways with a second child that has not begun: nothing ends, nothing
 * is called back. */
static TEST(test_no_way_out_ends_a_batch_before_its_last_child)
{
    struct ms_core *core = *state;

    has_sibling = true;
    for (size_t i = 0; i < MS_COUNT_OF(ways); i++) {
        const struct way *way = &ways[i];

        if (way->error != NULL && way->error[0] != '\0')
            continue; /* there the whole batch is stopped */
        print_message("  %s\n", way->name);
        ms_core_setup(state);
        way->take(core);
        CHECK_STR(ms_core_state(core, "b"), "waiting");
        CHECK_INT(ms_core_tally(core, "b").ready, ==, 1);
        CHECK_STR(ms_core_state(core, "b:complete"), "gone");
        ms_core_check(core);
        CHECK_INT(ms_core_cancel(core, "b.1"), ==, MS_CANCEL_CANCELLED);
        CHECK_STR(ms_core_state(core, "b"), "dead");
        ms_core_check(core);
    }
    has_sibling = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_every_way_out_of_the_last_child_ends_its_batch),
        CORE(test_no_way_out_ends_a_batch_before_its_last_child),
    };

    return RUN_CORE(tests);
}

/* Batches: made in pieces, sealed, ended, stopped, retried, deleted. */
#include "tests/support/core.h"

#include <stdio.h>

#include "common/val.h"

static const struct ms_new_job after = {.kind = "after", .priority = 5};

/* Where all children are: "ready running done dead". */
static const char *places(struct ms_core *core)
{
    static char text[64];
    struct ms_tally tally = ms_core_tally(core, "b");

    snprintf(text, sizeof(text), "%d %d %d %d", (int)tally.ready,
             (int)tally.running, (int)tally.done, (int)tally.dead);
    return text;
}

/* A field of msgpack as JSON text. */
static const char *json_of(struct ms_core *core, const char *id,
                           const char *field)
{
    static struct ms_buf text = MS_BUF_INIT;
    const struct ms_reply *bytes =
        ms_test_cmd(core->redis, "HGET %s%s %s", K("job:"), id, field);
    struct ms_val val = {0};
    struct ms_json json;

    CHECK_INT(bytes->type, ==, MS_REPLY_STR);
    CHECK_INT(ms_val_from_msgpack(bytes->str, bytes->len, &val, NULL), ==,
              MS_OK);
    ms_buf_clear(&text);
    json = ms_json_on(&text);
    ms_json_val(&json, &val.root);
    ms_val_done(&val);
    return ms_buf_str(&text);
}

static enum ms_err add(struct ms_core *core, int64_t first, size_t n, bool seal)
{
    struct ms_family family = FAMILY(.on_complete = &after);
    struct ms_new_job jobs[MS_FAMILY_MAX] = {NEW_JOB()};

    for (size_t i = 0; i < n; i++)
        jobs[i] = NEW_JOB(.payload = "x", .payload_len = 1);
    return ms_core_family(core, &family, first, jobs, n, seal);
}

/* Claims one and ends it.  A claim may have to step over what was deleted. */
static void end_one(struct ms_core *core, enum ms_finish_kind kind)
{
    if (ms_core_claim(core, "p1", 1) == 0)
        CHECK_INT(ms_core_claim(core, "p1", 1), ==, 1);
    CHECK_INT(ms_core_finish(core, "p1", core->jobs[0].id, core->jobs[0].fence,
                             kind),
              ==, MS_FINISH_OK);
}

/* ---- adding ---- */

static TEST(test_children_have_what_was_asked_for)
{
    struct ms_core *core = *state;
    struct ms_family family = FAMILY();
    struct ms_new_job jobs[] = {
        NEW_JOB(.payload = "one", .payload_len = 3),
        NEW_JOB(.kind = "other", .payload = "{}", .payload_len = 2,
                .json = true, .priority = 2, .group = "g", .max_attempts = 3,
                .timeout_ms = 7000, .delay_ms = 60000, .expires_in_ms = 90000),
    };

    CHECK_INT(ms_core_family(core, &family, 0, jobs, 2, false), ==, MS_OK);
    CHECK_INT(core->family.planned, ==, 2);
    CHECK_INT(core->family.added, ==, 2);
    CHECK_STR(core->family.state, "waiting");
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    CHECK_STR(ms_core_field(core, "b", "phase"), "open");
    CHECK_STR(ms_core_field(core, "b", "batch"), "continue");
    CHECK_STR(ms_core_field(core, "b.0", "kind"), "k");
    CHECK_STR(ms_core_field(core, "b.0", "payload"), "one");
    CHECK_STR(ms_core_field(core, "b.0", "parent"), "b");
    CHECK_STR(ms_core_field(core, "b.0", "group"), "b");
    CHECK_STR(ms_core_state(core, "b.1"), "scheduled");
    CHECK_STR(ms_core_field(core, "b.1", "kind"), "other");
    CHECK_STR(ms_core_field(core, "b.1", "enc"), "json");
    CHECK_STR(ms_core_field(core, "b.1", "priority"), "2");
    CHECK_STR(ms_core_field(core, "b.1", "group"), "g");
    CHECK_STR(ms_core_field(core, "b.1", "max_attempts"), "3");
    CHECK_STR(ms_core_field(core, "b.1", "timeout_ms"), "7000");
    CHECK_INT(ms_core_number(core, "b.1", "due_ms"), >, ms_core_now(core));
    CHECK_INT(ms_core_number(core, "b.1", "expires_ms"), >, ms_core_now(core));
    CHECK_STR(places(core), "2 0 0 0");
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 2);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
}

/* The answer was lost, and the producer asks again. */
static TEST(test_a_repeated_call_adds_nothing_twice)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 3, false), ==, MS_OK);
    CHECK_INT(add(core, 0, 3, false), ==, MS_OK);
    CHECK(!core->family.ahead);
    CHECK_INT(core->family.added, ==, 0);
    CHECK_INT(core->family.planned, ==, 3);
    CHECK_INT(add(core, 3, 2, true), ==, MS_OK);
    CHECK_INT(add(core, 3, 2, true), ==, MS_OK);
    CHECK_INT(core->family.added, ==, 0);
    CHECK_STR(places(core), "5 0 0 0");
    for (int i = 0; i < 5; i++)
        end_one(core, MS_FINISH_DONE);
    CHECK_INT(add(core, 3, 2, true), ==, MS_OK); /* ended meanwhile */
    CHECK_STR(core->family.state, "done");
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 5 + 1);
}

/* The one that did not seal arrived, the one that does names the same. */
static TEST(test_a_repetition_can_seal)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 1, false), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    CHECK_INT(add(core, 0, 1, true), ==, MS_OK);
    CHECK_INT(core->family.added, ==, 0);
    CHECK_STR(core->family.state, "done");
    CHECK_STR(ms_core_state(core, "b:complete"), "ready");
}

/* Two producers, or one that was killed: the batch says where to go on. */
static TEST(test_a_wrong_number_is_told_the_right_one)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 3, false), ==, MS_OK);
    CHECK_INT(add(core, 0, 2, false), ==, MS_OK);
    CHECK(core->family.ahead);
    CHECK(!core->family.sealed);
    CHECK_INT(core->family.planned, ==, 3);
    CHECK_INT(add(core, 4, 2, false), ==, MS_OK);
    CHECK(core->family.ahead);
    CHECK_INT(add(core, 3, 1, true), ==, MS_OK);
    CHECK(!core->family.ahead);
    CHECK_INT(add(core, 4, 1, false), ==, MS_OK);
    CHECK(core->family.ahead);
    CHECK(core->family.sealed);
    CHECK_STR(places(core), "4 0 0 0");
}

static TEST(test_what_is_no_open_batch_takes_no_children)
{
    struct ms_core *core = *state;
    struct ms_family missing = FAMILY(.exists = true);
    struct ms_new_job job = NEW_JOB();

    CHECK_INT(ms_core_family(core, &missing, 0, &job, 1, false), ==, MS_ENOENT);
    ENQUEUE(core, .id = "b", .own_id = true);
    CHECK_INT(add(core, 0, 1, false), ==, MS_EEXIST);
    ms_core_delete(core, "b");
    CHECK_INT(add(core, 0, 1, false), ==, MS_EEXIST); /* remembered */
    CHECK_CONTAINS(core->error.text, "whose record has gone");
    ms_test_cmd(core->redis, "DEL %s", K("gone:b"));
    CHECK_INT(add(core, 0, 1, false), ==, MS_OK);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 1);
    ms_core_cancel(core, "b");
    CHECK_INT(add(core, 1, 1, false), ==, MS_ESTATE);
    CHECK_CONTAINS(core->error.text, "stopping");
    DONE(core, "p1", "b.0", core->jobs[0].fence);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_INT(add(core, 1, 1, false), ==, MS_ESTATE);
}

static TEST(test_max_length_refuses_children_as_a_whole)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_length", 3);
    CHECK_INT(add(core, 0, 4, true), ==, MS_EFULL);
    CHECK_STR(ms_core_state(core, "b"), "gone");
    CHECK_INT(add(core, 0, 2, false), ==, MS_OK);
    CHECK_INT(add(core, 2, 2, true), ==, MS_EFULL);
    CHECK_STR(places(core), "2 0 0 0");
    end_one(core, MS_FINISH_DONE);
    CHECK_INT(add(core, 2, 2, true), ==, MS_OK);
    CHECK_STR(places(core), "3 0 1 0");
}

static TEST(test_children_are_refused_at_maxmemory_and_endings_are_not)
{
    struct ms_core *core = *state;
    struct ms_family family = FAMILY(.exists = true);
    struct ms_new_job job = NEW_JOB();
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *reply;

    CHECK_INT(add(core, 0, 1, false), ==, MS_OK);
    CHECK_INT(add(core, 0, 1, true), ==, MS_OK);
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 1");
    CHECK_INT(ms_family_build(&cmd, &family, 1, &job, 1, true, 100, NULL), ==,
              MS_OK);
    reply = ms_test_run(core->redis, &cmd);
    CHECK_INT(reply->type, ==, MS_REPLY_ERROR);
    CHECK_INT(ms_reply_classify(reply->str), ==, MS_EFULL);
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "done");
    CHECK_STR(ms_core_state(core, "b:complete"), "ready");
}

/* ---- ending ---- */

static TEST(test_an_open_batch_waits_for_more)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 1, false), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    CHECK_INT(add(core, 1, 0, true), ==, MS_OK);
    CHECK_STR(core->family.state, "done");
}

static TEST(test_an_empty_batch_ends_when_it_is_sealed)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 0, false), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    CHECK_INT(add(core, 0, 0, true), ==, MS_OK);
    CHECK_STR(core->family.state, "done");
    CHECK_STR(json_of(core, "b", "result"),
              "{\"deleted\":0,\"done\":0,\"children\":0}");
    CHECK_STR(ms_core_state(core, "b:complete"), "ready");
    CHECK_INT(add(core, 0, 0, true), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b:complete:2"), "gone");
}

static TEST(test_a_callback_without_a_payload_is_told_the_counts)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 3, true), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    end_one(core, MS_FINISH_DEAD);
    CHECK_INT(ms_core_delete(core, "b.2"), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_STR(ms_core_field(core, "b", "error"), "1 of 3 children failed");
    for (const char *const *part =
             (const char *const[]){"\"parent\":\"b\"", "\"outcome\":\"dead\"",
                                   "\"children\":3", "\"done\":1", "\"dead\":1",
                                   "\"failed\":1", "\"stopped\":0",
                                   "\"deleted\":1", NULL};
         *part != NULL; part++)
        CHECK_CONTAINS(json_of(core, "b:complete", "payload"), *part);
}

static TEST(test_a_callback_has_the_options_it_was_given)
{
    struct ms_core *core = *state;
    struct ms_new_job callback =
        NEW_JOB(.kind = "cb", .payload = "{}", .payload_len = 2, .json = true,
                .priority = 0, .group = "g", .max_attempts = 2,
                .timeout_ms = 1000);
    struct ms_family family = FAMILY(.on_success = &callback);
    struct ms_new_job child = NEW_JOB();

    CHECK_INT(ms_core_family(core, &family, 0, &child, 1, true), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_field(core, "b:success", "payload"), "{}");
    CHECK_STR(ms_core_field(core, "b:success", "enc"), "json");
    CHECK_STR(ms_core_field(core, "b:success", "priority"), "0");
    CHECK_STR(ms_core_field(core, "b:success", "group"), "g");
    CHECK_STR(ms_core_field(core, "b:success", "max_attempts"), "2");
    CHECK_STR(ms_core_field(core, "b:success", "timeout_ms"), "1000");
    CHECK_STR(ms_core_field(core, "b:success", "parent"), "");
    ms_core_claim_one(core, "p1", "b:success");
}

/* A finish whose answer was lost is sent again. */
static TEST(test_a_repeated_finish_calls_back_once)
{
    struct ms_core *core = *state;
    int64_t fence;

    CHECK_INT(add(core, 0, 1, true), ==, MS_OK);
    fence = ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(DONE(core, "p1", "b.0", fence), ==, MS_FINISH_OK);
    CHECK_INT(DONE(core, "p1", "b.0", fence), ==, MS_FINISH_OK);
    CHECK_INT(ms_core_depth(core, "after"), ==, 1);
    CHECK_INT(ms_core_stat(core, "done"), ==, 2); /* the child, the batch */
}

/* Somebody has enqueued a job of that name. */
static TEST(test_a_taken_name_does_not_swallow_a_callback)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "b:complete", .kind = "mine", .own_id = true);
    CHECK_INT(add(core, 0, 0, true), ==, MS_OK);
    CHECK_STR(ms_core_field(core, "b:complete", "kind"), "mine");
    CHECK_STR(ms_core_field(core, "b:complete:2", "kind"), "after");
}

/* In one call: the last two children, and the claim that finds the callback
 * later. */
static TEST(test_two_last_children_in_one_call_end_it_once)
{
    struct ms_core *core = *state;
    struct ms_finish ends[2];
    enum ms_finish_status out[2];

    CHECK_INT(add(core, 0, 2, true), ==, MS_OK);
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 2);
    for (int i = 0; i < 2; i++)
        ends[i] = (struct ms_finish){i == 0 ? "b.0" : "b.1",
                                     core->jobs[i].fence,
                                     i == 0 ? MS_FINISH_DONE : MS_FINISH_DEAD,
                                     "no",
                                     2,
                                     0,
                                     NO_MOVE,
                                     0};
    ms_core_finish_all(core, "p1", ends, 2, 0, out);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_INT(ms_core_depth(core, "after"), ==, 1);
    CHECK_STR(ms_core_state(core, "b.0"), "done"); /* and can be read */
    CHECK_STR(ms_core_state(core, "b.1"), "dead");
}

/* ---- fail fast ---- */

static TEST(test_fail_fast_lends_no_further_child)
{
    struct ms_core *core = *state;
    struct ms_finish end = {.id = "b.0",
                            .kind = MS_FINISH_DEAD,
                            .move = NO_MOVE};
    enum ms_finish_status out;
    int64_t fence;

    ms_core_batch(core, 10, true);
    end.fence = ms_core_claim_one(core, "p1", "b.0");
    fence = ms_core_claim_one(core, "p2", "b.1");
    /* The claim of that same call meets the others. */
    CHECK_INT(ms_core_finish_all(core, "p1", &end, 1, 5, &out), ==, 0);
    CHECK_STR(ms_core_field(core, "b.2", "error"), "cancelled with its parent");
    CHECK_INT(ms_core_renew(core, "p2", "b.1", fence), ==, MS_RENEW_CANCEL);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    DONE(core, "p2", "b.1", fence); /* it was faster */
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_STR(ms_core_field(core, "b", "error"),
              "1 of 10 children failed, 8 were stopped");
    CHECK_STR(places(core), "0 0 1 9");
}

/* Those that are due in an hour are the leader's to stop. */
static TEST(test_the_leader_stops_scheduled_children_in_steps)
{
    struct ms_core *core = *state;
    struct ms_family family = FAMILY(.fail_fast = true);
    struct ms_new_job jobs[MS_FAMILY_MAX];

    for (int i = 0; i < MS_FAMILY_MAX; i++)
        jobs[i] = NEW_JOB(.delay_ms = i == 0 ? 0 : 3600000);
    CHECK_INT(ms_core_family(core, &family, 0, jobs, MS_FAMILY_MAX, false), ==,
              MS_OK);
    CHECK_INT(ms_core_family(core, &family, MS_FAMILY_MAX, jobs + 1, 1, true),
              ==, MS_OK);
    end_one(core, MS_FINISH_DEAD);
    CHECK_STR(places(core), "500 0 0 1");
    CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK(core->tidy.more);
    CHECK_INT(core->tidy.n, ==, 49);
    while (core->tidy.more)
        CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
}

static TEST(test_an_older_leader_sweeps_nothing)
{
    struct ms_core *core = *state;

    core->epoch = 5;
    CHECK_INT(ms_core_stamp(core), ==, MS_OK);
    core->epoch = 4;
    CHECK_INT(ms_core_sweep(core), ==, MS_ESTALE);
}

/* ---- cancel ---- */

static TEST(test_cancel_stops_ready_and_scheduled_children_at_once)
{
    struct ms_core *core = *state;
    struct ms_family family = FAMILY(.on_complete = &after);
    struct ms_new_job jobs[] = {NEW_JOB(), NEW_JOB(),
                                NEW_JOB(.delay_ms = 3600000)};

    CHECK_INT(ms_core_family(core, &family, 0, jobs, 3, true), ==, MS_OK);
    ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_REQUESTED);
    CHECK_STR(places(core), "0 1 0 2");
    CHECK_STR(ms_core_field(core, "b.2", "error"), "cancelled with its parent");
    CHECK_STR(ms_core_state(core, "b:complete"), "gone");
    ms_core_finish(core, "p1", "b.0", core->jobs[0].fence, MS_FINISH_CANCELLED);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_STR(ms_core_field(core, "b", "error"), "cancelled by user");
    CHECK_STR(ms_core_state(core, "b:complete"), "ready");
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_FINISHED);
}

static TEST(test_cancel_of_many_leaves_the_rest_to_the_leader)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 1000, false);
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_REQUESTED);
    CHECK_STR(places(core), "950 0 0 50");
    CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_STR(places(core), "900 0 0 100");
    while (core->tidy.more)
        CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_STR(ms_core_field(core, "b", "error"), "cancelled by user");
}

/* No leader at all: claims end what they meet. */
static TEST(test_claims_end_the_children_of_a_cancelled_batch)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 600, false);
    ENQUEUE(core, .id = "plain");
    ms_core_cancel(core, "b");
    for (int i = 0; i < 50; i++)
        ms_core_claim(core, "p1", 10);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_STR(ms_core_state(core, "plain"), "running");
}

/* Whoever finished first stands. */
static TEST(test_a_batch_whose_children_are_all_done_stays_done)
{
    struct ms_core *core = *state;
    int64_t fence;

    CHECK_INT(add(core, 0, 1, true), ==, MS_OK);
    fence = ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_REQUESTED);
    ms_test_cmd(core->redis, "HDEL %s cancel_requested", K("job:b.0"));
    DONE(core, "p1", "b.0", fence);
    CHECK_STR(ms_core_state(core, "b"), "done");
}

static TEST(test_an_open_batch_can_be_cancelled)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 2, false), ==, MS_OK);
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_CANCELLED);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_STR(ms_core_state(core, "b:complete"), "ready");
}

/* ---- retry, delete, retention ---- */

static TEST(test_a_retried_batch_runs_its_dead_children_again)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 3, true), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    end_one(core, MS_FINISH_DEAD);
    end_one(core, MS_FINISH_DEAD);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_INT(ms_core_retry(core, "b.1"), ==, MS_ESTATE); /* with its batch */
    ms_core_delete(core, "b:complete");
    CHECK_INT(ms_core_retry(core, "b"), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    CHECK_STR(ms_core_field(core, "b", "phase"), "sealed");
    CHECK_STR(places(core), "2 0 1 0");
    end_one(core, MS_FINISH_DONE);
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "done");
    CHECK_STR(ms_core_field(core, "b", "error"), "");
    CHECK_STR(ms_core_state(core, "b:complete"), "ready");
    CHECK_INT(ms_core_retry(core, "b"), ==, MS_ESTATE); /* nothing to do */
}

static TEST(test_a_retry_calls_back_again)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 1, true), ==, MS_OK);
    end_one(core, MS_FINISH_DEAD);
    end_one(core, MS_FINISH_DONE); /* the callback */
    ms_core_retry(core, "b");
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b:complete"), "done");
    CHECK_STR(ms_core_state(core, "b:complete:2"), "ready");
}

static TEST(test_a_batch_of_many_is_revived_in_steps)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 900, false);
    ms_core_cancel(core, "b");
    while (strcmp(ms_core_state(core, "b"), "dead") != 0)
        CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_INT(ms_core_retry(core, "b"), ==, MS_OK);
    CHECK_STR(places(core), "50 0 0 850");
    /* All that were revived end before the sweep goes on: not the batch. */
    for (int i = 0; i < 50; i++)
        end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_STR(places(core), "50 0 50 800");
    while (core->tidy.more)
        CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_STR(places(core), "850 0 50 0");
    CHECK_STR(ms_core_field(core, "b", "phase"), "sealed");
}

static TEST(test_a_cancel_ends_a_revival)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 900, false);
    ms_core_cancel(core, "b");
    while (strcmp(ms_core_state(core, "b"), "dead") != 0)
        CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_INT(ms_core_retry(core, "b"), ==, MS_OK);
    CHECK_INT(ms_core_cancel(core, "b"), ==, MS_CANCEL_CANCELLED);
    CHECK_STR(places(core), "0 0 0 900");
    CHECK_STR(ms_core_state(core, "b"), "dead");
}

static TEST(test_a_dead_child_can_be_retried_while_its_batch_waits)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 2, true), ==, MS_OK);
    end_one(core, MS_FINISH_DEAD);
    CHECK_INT(ms_core_retry(core, "b.0"), ==, MS_OK);
    CHECK_STR(places(core), "2 0 0 0");
    end_one(core, MS_FINISH_DONE);
    CHECK_INT(ms_core_retry(core, "b.1"), ==, MS_ESTATE); /* it is done */
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "done");
}

/* Then it is as if it had never been asked for. */
static TEST(test_a_deleted_dead_child_does_not_fail_its_batch)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 2, true), ==, MS_OK);
    end_one(core, MS_FINISH_DEAD);
    CHECK_INT(ms_core_delete(core, "b.0"), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "done");
    CHECK_STR(json_of(core, "b", "result"),
              "{\"deleted\":1,\"done\":1,\"children\":2}");
}

static TEST(test_a_deleted_batch_takes_its_children_along)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 900, false);
    CHECK_INT(ms_core_delete(core, "b"), ==, MS_ESTATE); /* cancel first */
    for (int i = 0; i < 300; i++)
        end_one(core, MS_FINISH_DONE);
    ms_core_cancel(core, "b");
    while (strcmp(ms_core_state(core, "b"), "dead") != 0)
        CHECK_INT(ms_core_sweep(core), ==, MS_OK);
    CHECK_INT(ms_core_delete(core, "b"), ==, MS_EBUSY);
    CHECK_INT(ms_core_delete(core, "b"), ==, MS_EBUSY);
    CHECK_INT(ms_core_delete(core, "b"), ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s %s %s %s %s", K("tally:b"),
                          K("bits:b"), K("job:b"), K("job:b.0"), K("done"),
                          K("dead")),
              ==, 0);
}

/* Results can be read for as long as the queue keeps them. */
static TEST(test_retention_treats_children_as_any_job)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 3, true), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    end_one(core, MS_FINISH_DEAD);
    ms_core_set(core, "retain_done_max", 0);
    ms_core_set(core, "retain_dead_ms", 0);
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b.0"), "gone");
    CHECK_STR(ms_core_state(core, "b.1"), "dead"); /* its batch still waits */
    CHECK_STR(places(core), "1 0 1 1");
    CHECK_INT(ms_core_delete(core, "b.1"), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    CHECK_STR(ms_core_state(core, "b"), "done");
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b"), "gone");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("tally:b")), ==, 0);
}

/* The batch goes first where the queue keeps dead jobs longer. */
static TEST(test_an_id_can_be_used_anew_over_the_children_of_the_old_one)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 2, true), ==, MS_OK);
    end_one(core, MS_FINISH_DONE);
    end_one(core, MS_FINISH_DONE);
    ms_test_cmd(core->redis, "ZADD %s 1 b", K("done"));
    ms_core_set(core, "retain_done_max", 2); /* b goes, b.0 and b.1 stay */
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b"), "gone");
    CHECK_STR(ms_core_state(core, "b.0"), "done");
    CHECK_INT(ms_core_retry(core, "b.0"), ==, MS_ESTATE); /* alone: no more */
    ms_test_cmd(core->redis, "DEL %s", K("gone:b"));
    CHECK_INT(add(core, 0, 2, true), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "b.0"), "ready");
    CHECK_STR(places(core), "2 0 0 0");
}

/* Sums are an import's; a handler's must not reach into the tally. */
static TEST(test_a_childs_sums_leave_the_tally_alone)
{
    struct ms_core *core = *state;
    const struct ms_lease_sum sums[] = {{"ready", 7}, {"docs", 5}};
    struct ms_lease_move move = {.seq = 1,
                                 .cursor = "c",
                                 .cursor_len = 1,
                                 .progress = -1,
                                 .sums = sums,
                                 .n_sums = 2};
    int64_t fence;

    CHECK_INT(add(core, 0, 1, true), ==, MS_OK);
    fence = ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(ms_core_renew_move(core, "p1", "b.0", fence, &move), ==,
              MS_RENEW_OK);
    CHECK_STR(places(core), "0 1 0 0");
    CHECK_INT(ms_core_tally(core, "b").docs, ==, 0);
}

/* An import's chunks are no batch's children. */
static TEST(test_a_throttled_child_cools_its_queue)
{
    struct ms_core *core = *state;

    CHECK_INT(add(core, 0, 2, true), ==, MS_OK);
    end_one(core, MS_FINISH_THROTTLED);
    CHECK_STR(places(core), "2 0 0 0");
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_INT(core->answer.status, ==, MS_CLAIM_COOLING);
}

/* The count of the children that went with it must not bring its tally back. */
static TEST(test_a_bulk_delete_of_children_and_batch_leaves_nothing)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 3, true);
    end_one(core, MS_FINISH_DEAD);
    ms_core_sweep(core);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    ms_test_cmd(core->redis, "ZADD %s 1 b.0 1 b.1 1 b.2", K("dead"));
    CHECK_INT(ms_core_bulk(core, "delete", "dead", NULL), ==, 4);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s %s %s", K("job:b"),
                          K("tally:b"), K("bits:b"), K("job:b.0")),
              ==, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_children_have_what_was_asked_for),
        CORE(test_a_repeated_call_adds_nothing_twice),
        CORE(test_a_repetition_can_seal),
        CORE(test_a_wrong_number_is_told_the_right_one),
        CORE(test_what_is_no_open_batch_takes_no_children),
        CORE(test_max_length_refuses_children_as_a_whole),
        CORE(test_children_are_refused_at_maxmemory_and_endings_are_not),
        CORE(test_an_open_batch_waits_for_more),
        CORE(test_an_empty_batch_ends_when_it_is_sealed),
        CORE(test_a_callback_without_a_payload_is_told_the_counts),
        CORE(test_a_callback_has_the_options_it_was_given),
        CORE(test_a_repeated_finish_calls_back_once),
        CORE(test_a_taken_name_does_not_swallow_a_callback),
        CORE(test_two_last_children_in_one_call_end_it_once),
        CORE(test_fail_fast_lends_no_further_child),
        CORE(test_the_leader_stops_scheduled_children_in_steps),
        CORE(test_an_older_leader_sweeps_nothing),
        CORE(test_cancel_stops_ready_and_scheduled_children_at_once),
        CORE(test_cancel_of_many_leaves_the_rest_to_the_leader),
        CORE(test_claims_end_the_children_of_a_cancelled_batch),
        CORE(test_a_batch_whose_children_are_all_done_stays_done),
        CORE(test_an_open_batch_can_be_cancelled),
        CORE(test_a_retried_batch_runs_its_dead_children_again),
        CORE(test_a_retry_calls_back_again),
        CORE(test_a_batch_of_many_is_revived_in_steps),
        CORE(test_a_cancel_ends_a_revival),
        CORE(test_a_dead_child_can_be_retried_while_its_batch_waits),
        CORE(test_a_deleted_dead_child_does_not_fail_its_batch),
        CORE(test_a_deleted_batch_takes_its_children_along),
        CORE(test_retention_treats_children_as_any_job),
        CORE(test_an_id_can_be_used_anew_over_the_children_of_the_old_one),
        CORE(test_a_childs_sums_leave_the_tally_alone),
        CORE(test_a_throttled_child_cools_its_queue),
        CORE(test_a_bulk_delete_of_children_and_batch_leaves_nothing),
    };

    return RUN_CORE(tests);
}

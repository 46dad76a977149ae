/*
 * What somebody's hand made of a record: one such key must not keep the others
 * of a batch from being claimed, renewed or finished.
 */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

/* Puts a string where a job's hash was. */
static void spoil(struct ms_core *core, const char *key)
{
    ms_test_cmd(core->redis, "SET %s spoilt", key);
}

/* The invariants know hashes alone. */
static void tidy_up(struct ms_core *core)
{
    ms_test_cmd(core->redis, "FLUSHALL");
}

static TEST(test_a_claim_steps_over_a_key_of_another_type)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 3);
    spoil(core, K("job:j0"));
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 2);
    CHECK_STR(core->jobs[0].id, "j1");
    CHECK_STR(ms_test_text(core->redis, "GET %s", K("job:j0")), "spoilt");
    tidy_up(core);
}

static void lend_three(struct ms_core *core)
{
    ms_core_enqueue_many(core, "j", NULL, 3);
    CHECK_INT(ms_core_claim(core, "p1", 3), ==, 3);
    spoil(core, K("job:j1"));
}

static TEST(test_a_renewal_loses_that_job_alone)
{
    struct ms_core *core = *state;
    struct ms_renewal jobs[3];
    enum ms_renew_status out[3] = {MS_RENEW_OK, MS_RENEW_OK, MS_RENEW_OK};

    lend_three(core);
    for (int i = 0; i < 3; i++)
        jobs[i] =
            (struct ms_renewal){core->jobs[i].id, core->jobs[i].fence, NO_MOVE};
    ms_core_renew_all(core, "p1", jobs, 3, out);
    CHECK_INT(out[0], ==, MS_RENEW_OK);
    CHECK_INT(out[1], ==, MS_RENEW_LOST);
    CHECK_INT(out[2], ==, MS_RENEW_OK);
    tidy_up(core);
}

static TEST(test_a_finish_commits_the_others)
{
    struct ms_core *core = *state;
    struct ms_finish jobs[3];
    enum ms_finish_status out[3];
    char ids[3][8];

    lend_three(core);
    for (int i = 0; i < 3; i++) {
        snprintf(ids[i], sizeof(ids[i]), "j%d", i);
        jobs[i] = (struct ms_finish){.id = ids[i],
                                     .fence = core->jobs[i].fence,
                                     .kind = i == 2 ? MS_FINISH_FAILED
                                                    : MS_FINISH_DONE,
                                     .text = "",
                                     .move = NO_MOVE};
    }
    ms_core_finish_all(core, "p1", jobs, 3, 1, out);
    CHECK_INT(out[0], ==, MS_FINISH_OK);
    CHECK_INT(out[1], ==, MS_FINISH_GONE);
    CHECK_INT(out[2], ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "j0"), "done");
    CHECK_STR(ms_core_state(core, "j2"), "scheduled");
    tidy_up(core);
}

static TEST(test_a_release_of_it_is_gone)
{
    struct ms_core *core = *state;

    lend_three(core);
    CHECK_INT(ms_core_release(core, "p1", "j1", 5, 0), ==, MS_FINISH_GONE);
    tidy_up(core);
}

static TEST(test_a_reap_goes_on_past_it)
{
    struct ms_core *core = *state;

    lend_three(core);
    ENQUEUE(core, .id = "later", .delay_ms = 60000);
    ENQUEUE(core, .id = "due", .delay_ms = 60000);
    spoil(core, K("job:later"));
    ms_test_cmd(core->redis, "ZADD %s 5 later 6 due", K("scheduled"));
    for (int i = 0; i < 3; i++)
        ms_core_end_lease(core, core->jobs[i].id, 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "j0"), "ready");
    CHECK_STR(ms_core_state(core, "j2"), "ready");
    CHECK_STR(ms_core_state(core, "due"), "ready");
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("leases")), ==, 0);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("scheduled")), ==, 0);
    tidy_up(core);
}

static TEST(test_what_looks_and_what_tidies_goes_on)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 3);
    ms_core_set(core, "retain_done_ms", 1);
    DONE(core, "p1", "j0", ms_core_claim_one(core, "p1", "j0"));
    spoil(core, K("job:j0"));
    spoil(core, K("job:j1"));
    ms_test_cmd(core->redis, "ZADD %s 5 j0", K("done"));
    CHECK_INT(ms_core_info(core).ready, ==, 2);
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", K("done")), ==, 0);
    CHECK_INT(ms_core_bulk(core, "delete", "ready", NULL), ==, 1);
    CHECK_INT(ms_core_cancel(core, "j1"), ==, MS_CANCEL_UNKNOWN);
    CHECK_INT(ms_core_delete(core, "j1"), ==, MS_ENOENT);
    tidy_up(core);
}

static TEST(test_it_holds_no_unique_key)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .unique = "u");
    spoil(core, K("job:a"));
    CHECK_INT(ENQUEUE(core, .id = "b", .unique = "u"), ==, 1);
    CHECK_INT(ENQUEUE(core, .id = "a"), ==, 0); /* the id is taken */
    tidy_up(core);
}

/* Not to be seen is not the same as not to be: nothing may be dropped. */
static TEST(test_a_missing_permission_is_an_error_and_drops_nothing)
{
    struct ms_core *core = *state;
    const struct ms_tenant who = {"m", "q", "p1"};
    const struct ms_claim_ask ask = {5, 30000, EVERYTHING};
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *reply;
    int type;

    ms_core_enqueue_many(core, "j", NULL, 3);
    ms_test_cmd(core->redis, "ACL SETUSER default -hgetall");
    ms_claim_build(&cmd, &who, &ask);
    reply = ms_test_run(core->redis, &cmd);
    type = reply->type;
    ms_test_cmd(core->redis, "ACL SETUSER default +hgetall");
    CHECK_INT(type, ==, MS_REPLY_ERROR);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 3);
}

static TEST(test_numbers_that_are_none_stop_no_claim)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 2);
    ms_test_cmd(core->redis,
                "HSET %s fence x attempts y expires_ms z timeout_ms w",
                K("job:j0"));
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 2);
    CHECK_INT(core->jobs[0].attempt, ==, 1);
    CHECK_INT(DONE(core, "p1", "j0", core->jobs[0].fence), ==, MS_FINISH_OK);
}

static TEST(test_a_spoilt_list_of_errors_begins_anew)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_test_cmd(core->redis, "HSET %s errors {", K("job:a"));
    CHECK_INT(FAIL(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_CONTAINS(ms_core_field(core, "a", "errors"), "it broke");
    ms_core_run_now(core, "a");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_test_cmd(core->redis, "HSET %s errors 5", K("job:a"));
    CHECK_INT(FAIL(core, "p1", "a", fence), ==, MS_FINISH_OK);
}

/* ---- what belongs to a job ---- */

/* The batch's other children lose their parent, and nobody else anything. */
static TEST(test_a_tally_of_another_type_stops_no_others)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_batch(core, 2, false);
    ENQUEUE(core, .id = "a", .priority = 9);
    spoil(core, K("tally:b"));
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 3);
    for (int i = 0; i < 3; i++) {
        fence = core->jobs[i].fence;
        CHECK_INT(DONE(core, "p1", core->jobs[i].id, fence), ==, MS_FINISH_OK);
    }
    CHECK_STR(ms_core_state(core, "a"), "done");
    ms_test_cmd(core->redis, "FLUSHALL");
}

static TEST(test_a_unique_key_of_another_type_stops_no_finish)
{
    struct ms_core *core = *state;
    int64_t fence;

    ENQUEUE(core, .id = "a", .unique = "u");
    fence = ms_core_claim_one(core, "p1", "a");
    ms_test_cmd(core->redis, "DEL %s", K("unique:u"));
    ms_test_cmd(core->redis, "RPUSH %s x", K("unique:u"));
    CHECK_INT(DONE(core, "p1", "a", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "done");
    ms_test_cmd(core->redis, "DEL %s", K("unique:u"));
}

static TEST(test_a_spoilt_callback_keeps_no_batch_from_its_end)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_batch(core, 1, false);
    ms_test_cmd(core->redis, "HSET %s on_complete \x93 on_success x",
                K("job:b"));
    fence = ms_core_claim_one(core, "p1", "b.0");
    CHECK_INT(DONE(core, "p1", "b.0", fence), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "b"), "done");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_claim_steps_over_a_key_of_another_type),
        CORE(test_a_renewal_loses_that_job_alone),
        CORE(test_a_finish_commits_the_others),
        CORE(test_a_release_of_it_is_gone),
        CORE(test_a_reap_goes_on_past_it),
        CORE(test_what_looks_and_what_tidies_goes_on),
        CORE(test_it_holds_no_unique_key),
        CORE(test_a_missing_permission_is_an_error_and_drops_nothing),
        CORE(test_numbers_that_are_none_stop_no_claim),
        CORE(test_a_spoilt_list_of_errors_begins_anew),
        CORE(test_a_tally_of_another_type_stops_no_others),
        CORE(test_a_unique_key_of_another_type_stops_no_finish),
        CORE(test_a_spoilt_callback_keeps_no_batch_from_its_end),
    };

    return RUN_CORE(tests);
}

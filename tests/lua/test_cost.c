/*
 * What operations cost, in Redis commands (INFO commandstats, those from
 * inside scripts included): figures that do not depend on the machine.  Who
 * makes one of them grow should know it, and say why.
 */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH  64
#define A_STEP 1100 /* of any script at its default batch */
#define A_CALL \
    24 /* measured: 22 to 23 beside the jobs, whatever their number */

/* All commands since CONFIG RESETSTAT but for our own. */
static int64_t calls(struct ms_core *core)
{
    const char *text = ms_test_cmd(core->redis, "INFO commandstats")->str;
    int64_t n = 0;

    for (const char *at = text; (at = strstr(at, "cmdstat_")) != NULL; at++) {
        bool is_ours = strncmp(at + 8, "info", 4) == 0 ||
                       strncmp(at + 8, "config", 6) == 0 ||
                       strncmp(at + 8, "script", 6) == 0;

        if (!is_ours)
            n += atoll(strstr(at, "calls=") + 6);
    }
    return n;
}

static void reset(struct ms_core *core)
{
    ms_test_cmd(core->redis, "CONFIG RESETSTAT");
}

static void name_all(struct ms_core *core, struct ms_finish *jobs,
                     char ids[][160])
{
    for (int i = 0; i < BATCH; i++) {
        snprintf(ids[i], 160, "%s", core->jobs[i].id);
        jobs[i] = (struct ms_finish){
            ids[i], core->jobs[i].fence, MS_FINISH_DONE, "", 0, 0, NO_MOVE, 0};
    }
}

/* Commands of one finish of 64 with the claim of the next 64. */
static int64_t cost_of_a_round(struct ms_core *core)
{
    struct ms_finish jobs[BATCH];
    enum ms_finish_status out[BATCH];
    char ids[BATCH][160];

    CHECK_INT(ms_core_claim(core, "p1", BATCH), ==, BATCH);
    for (int i = 0; i < 2; i++) { /* the second time nothing is loaded */
        name_all(core, jobs, ids);
        reset(core);
        CHECK_INT(ms_core_finish_all(core, "p1", jobs, BATCH, BATCH, out), ==,
                  BATCH);
    }
    return calls(core);
}

/* 3.4 a job, three of them its own: HMGET of the finish, HGETALL and HSET of
 * the claim. */
static TEST(test_finish_and_claim_cost_three_commands_a_job)
{
    struct ms_core *core = *state;

    ms_core_set(core, "retain_done_max", 0);
    ms_core_enqueue_many(core, "j", NULL, 500);
    CHECK_INT(cost_of_a_round(core), <=, 3 * BATCH + A_CALL);
}

static TEST(test_a_kept_job_costs_one_command_more)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "j", NULL, 500);
    CHECK_INT(cost_of_a_round(core), <=, 4 * BATCH + A_CALL);
}

/* A child's: its record is read whole, the bit is set, the result kept; what
 * its batch costs is the call's, not the child's. */
static TEST(test_a_child_of_a_batch_costs_six_commands)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 500, false);
    CHECK_INT(cost_of_a_round(core), <=, 6 * BATCH + A_CALL + 10);
}

/* Claim and finish do not feel the backlog. */
static TEST(test_the_cost_is_the_same_at_any_backlog)
{
    struct ms_core *core = *state;
    int64_t few;

    ms_core_set(core, "retain_done_max", 0);
    ms_core_enqueue_many(core, "j", NULL, 500);
    few = cost_of_a_round(core);
    ms_core_setup(state);
    ms_core_set(core, "retain_done_max", 0);
    ms_core_enqueue_many(core, "j", NULL, 20000);
    CHECK_INT(cost_of_a_round(core), <=, few + 2); /* a token, seen_ms */
    ms_test_cmd(core->redis, "FLUSHALL");          /* nothing to walk through */
}

static TEST(test_an_enqueue_costs_two_commands_a_job)
{
    struct ms_core *core = *state;

    ms_core_enqueue_many(core, "a", NULL, BATCH);
    reset(core);
    ms_core_enqueue_many(core, "b", NULL, BATCH);
    CHECK_INT(calls(core), <=, 2 * BATCH + 15);
}

/* An idle pod asks again and again. */
static TEST(test_a_claim_of_nothing_costs_14_commands)
{
    struct ms_core *core = *state;

    ms_core_claim(core, "p1", BATCH);
    reset(core);
    ms_core_claim(core, "p1", BATCH);
    CHECK_INT(calls(core), <=, 14);
}

static TEST(test_a_renewal_costs_one_command_a_job)
{
    struct ms_core *core = *state;
    struct ms_renewal jobs[BATCH];
    enum ms_renew_status out[BATCH];

    ms_core_enqueue_many(core, "j", NULL, BATCH);
    ms_core_claim(core, "p1", BATCH);
    for (int i = 0; i < BATCH; i++)
        jobs[i] =
            (struct ms_renewal){core->jobs[i].id, core->jobs[i].fence, NO_MOVE};
    ms_core_renew_all(core, "p1", jobs, BATCH, out);
    reset(core);
    ms_core_renew_all(core, "p1", jobs, BATCH, out);
    CHECK_INT(calls(core), <=, BATCH + 7);
}

/* ---- every script, with few and with many jobs waiting ---- */

enum { COSTS_MAX = 40 };

struct costs {
    const char *what[COSTS_MAX];
    int64_t calls[COSTS_MAX];
    size_t n;
};

/* Commands since the last call. */
static void note(struct ms_core *core, struct costs *costs, const char *what)
{
    ms_assert(costs->n < COSTS_MAX);
    costs->what[costs->n] = what;
    costs->calls[costs->n++] = calls(core);
    reset(core);
}

static void finish_lent(struct ms_core *core, enum ms_finish_kind kind)
{
    struct ms_finish jobs[MS_CLAIM_BATCH];
    enum ms_finish_status out[MS_CLAIM_BATCH];
    static char ids[MS_CLAIM_BATCH][160];
    size_t n = core->answer.n_jobs;

    for (size_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%s", core->jobs[i].id);
        jobs[i] = (struct ms_finish){.id = ids[i],
                                     .fence = core->jobs[i].fence,
                                     .kind = kind,
                                     .text = "",
                                     .move = NO_MOVE};
    }
    ms_core_finish_all(core, "p1", jobs, n, 0, out);
}

static void cost_of_pods(struct ms_core *core, struct costs *costs)
{
    static const struct {
        const char *what;
        enum ms_finish_kind kind;
    } ends[] = {{"finish, done", MS_FINISH_DONE},
                {"finish, dead", MS_FINISH_DEAD},
                {"finish, failed", MS_FINISH_FAILED},
                {"finish, throttled", MS_FINISH_THROTTLED}};
    struct ms_core_job lent;

    for (size_t i = 0; i < MS_COUNT_OF(ends); i++) {
        reset(core);
        CHECK_INT(ms_core_claim(core, "p1", MS_CLAIM_BATCH), ==,
                  MS_CLAIM_BATCH);
        note(core, costs, "claim");
        finish_lent(core, ends[i].kind);
        note(core, costs, ends[i].what);
    }
    ms_test_cmd(core->redis, "HDEL %s throttled_until_ms", K("meta"));
    ms_core_claim(core, "p1", MS_CLAIM_BATCH);
    lent = core->jobs[0];
    reset(core);
    ms_core_release(core, "p1", lent.id, lent.fence, 0);
    note(core, costs, "release");
    ms_core_reap(core, "p1");
    note(core, costs, "reap");
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    note(core, costs, "reap of nothing");
}

static void cost_of_producers(struct ms_core *core, struct costs *costs)
{
    reset(core);
    ms_core_enqueue_many(core, "e", NULL, MS_ENQUEUE_BATCH);
    note(core, costs, "enqueue");
    ENQUEUE(core, .id = "l", .delay_ms = 3600000);
    note(core, costs, "enqueue, delayed");
    ENQUEUE(core, .id = "u1", .unique = "u");
    note(core, costs, "enqueue, unique");
    ENQUEUE(core, .id = "u2", .unique = "u", .unique_mode = MS_UNIQUE_REPLACE);
    note(core, costs, "enqueue, replacing");
    ENQUEUE(core, .id = "u3", .unique = "u", .unique_mode = MS_UNIQUE_DEBOUNCE,
            .delay_ms = 3600000);
    note(core, costs, "enqueue, debouncing");
    ms_core_set(core, "max_length",
                ms_core_depth(core, "-") +
                    ms_test_num(core->redis, "ZCARD %s", K("scheduled")));
    ms_test_cmd(core->redis, "HSET %s when_full drop_oldest", K("cfg"));
    reset(core);
    ms_core_enqueue_many(core, "d", NULL, MS_ENQUEUE_BATCH);
    note(core, costs, "enqueue, dropping");
}

static void cost_of_operators(struct ms_core *core, struct costs *costs)
{
    ms_core_info(core);
    note(core, costs, "queue_info");
    ms_core_cancel(core, "j1000");
    note(core, costs, "cancel");
    ms_core_retry(core, "j1000");
    note(core, costs, "retry");
    ms_core_run_now(core, "l");
    note(core, costs, "run_now");
    ms_core_delete(core, "j1000");
    note(core, costs, "delete");
    ms_core_unpark(core, EVERYTHING);
    note(core, costs, "unpark");
    ms_core_retain(core);
    note(core, costs, "retain");
    ENQUEUE(core, .id = "p", .parent = true);
    reset(core);
    ms_core_spawn(core, "p", 0, 200);
    note(core, costs, "spawn");
    ms_core_children(core, "p", false, 0, &(enum ms_err){MS_OK});
    note(core, costs, "children");
}

/* One slice each: the rest of the queue is not of interest. */
static void cost_of_bulk(struct ms_core *core, struct costs *costs)
{
    static const char *const steps[][2] = {{"cancel", "ready"},
                                           {"retry", "dead"},
                                           {"delete", "done"},
                                           {"delete", "ready"}};

    for (size_t i = 0; i < MS_COUNT_OF(steps); i++) {
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_bulk_build(&cmd, "m", "q", steps[i][0], steps[i][1], NULL, "");
        CHECK(
            ms_reply_is(ms_reply_at(ms_test_run(core->redis, &cmd), 0), "ok"));
        note(core, costs, "bulk");
    }
}

static void costs_at(void **state, size_t backlog, struct costs *out)
{
    struct ms_core *core = *state;

    ms_core_setup(state);
    ms_test_cmd(core->redis, "HSET %s max_attempts 1000", K("cfg"));
    ms_core_enqueue_many(core, "j", NULL, backlog);
    ms_core_claim(core, "warm", 1); /* ttl_ms and the like are written once */
    cost_of_pods(core, out);
    cost_of_producers(core, out);
    cost_of_operators(core, out);
    cost_of_bulk(core, out);
    ms_test_cmd(core->redis, "FLUSHALL"); /* nothing to walk through */
}

/* Nothing feels the backlog, and no call of any script at its default batch
 * runs more commands than a few milliseconds have room for. */
static TEST(test_no_script_costs_more_with_many_waiting)
{
    struct costs loading = {.n = 0}, few = {.n = 0}, many = {.n = 0};

    costs_at(state, 1500, &loading); /* of scripts, once each */
    costs_at(state, 1500, &few);
    costs_at(state, 10000, &many);
    CHECK_INT(few.n, ==, many.n);
    for (size_t i = 0; i < few.n; i++) {
        /* A wake-up token, a clock that is noted now and then, other jobs in
         * the same number. */
        int64_t most = few.calls[i] + 3 + few.calls[i] / 50;

        if (many.calls[i] > most || many.calls[i] > A_STEP)
            fail_msg("%s: %lld commands with 10000 waiting, %lld with 1500",
                     few.what[i], (long long)many.calls[i],
                     (long long)few.calls[i]);
    }
}

/* The measure of the memory: at most 400 bytes with listpacks of 1,024. */
static TEST(test_a_queued_job_of_100_bytes_takes_less_than_400)
{
    struct ms_core *core = *state;
    static const char payload[100] = "x";
    int64_t before;
    char id[32];

    ms_test_cmd(core->redis, "CONFIG SET hash-max-listpack-value 1024");
    before = atoll(
        strstr(ms_test_cmd(core->redis, "INFO memory")->str, "used_memory:") +
        12);
    for (int i = 0; i < 2000; i++) {
        snprintf(id, sizeof(id), "01ARZ3NDEKTSV4RRFFQ6%06d", i);
        ENQUEUE(core, .id = id, .kind = "mail.send", .payload = payload,
                .payload_len = sizeof(payload));
    }
    ms_test_cmd(core->redis, "EVAL %s 0",
                "for _, k in ipairs(redis.call('KEYS', '*token*')) do "
                "redis.call('DEL', k) end"); /* they go by themselves */
    CHECK_INT(atoll(strstr(ms_test_cmd(core->redis, "INFO memory")->str,
                           "used_memory:") +
                    12) -
                  before,
              <, 2000 * 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_finish_and_claim_cost_three_commands_a_job),
        CORE(test_a_kept_job_costs_one_command_more),
        CORE(test_a_child_of_a_batch_costs_six_commands),
        CORE(test_the_cost_is_the_same_at_any_backlog),
        CORE(test_an_enqueue_costs_two_commands_a_job),
        CORE(test_a_claim_of_nothing_costs_14_commands),
        CORE(test_a_renewal_costs_one_command_a_job),
        CORE(test_no_script_costs_more_with_many_waiting),
        CORE(test_a_queued_job_of_100_bytes_takes_less_than_400),
    };

    return RUN_CORE(tests);
}

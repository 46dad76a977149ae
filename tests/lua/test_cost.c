/*
 * What operations cost, in Redis commands (INFO commandstats, those from
 * inside scripts included): figures that do not depend on the machine.  Who
 * makes one of them grow should know it, and say why.
 */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH 64
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
        CORE(test_a_queued_job_of_100_bytes_takes_less_than_400),
    };

    return RUN_CORE(tests);
}

/*
 * Fairness: a group that dumps 100,000 jobs must not make a group that adds
 * ten of them wait.  Counted in claims and in jobs, never in time.
 */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#define FLOOD 100000
#define FEW   10
#define BATCH 16 /* jobs of one claim */

/* The invariants are not walked through behind each test: that takes long. */
static int flood(void **state, size_t n)
{
    ms_core_setup(state);
    ms_core_enqueue_many(*state, "flood", "flood", n);
    return 0;
}

static int flood_setup(void **state)
{
    return flood(state, FLOOD);
}

/* Where more of the same would show nothing. */
static int stream_setup(void **state)
{
    return flood(state, FLOOD / 40);
}

static int fair_teardown(void **state)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "FLUSHALL");
    return 0;
}

#define FLOODED(name) \
    cmocka_unit_test_setup_teardown(name, flood_setup, fair_teardown)
#define STREAMED(name) \
    cmocka_unit_test_setup_teardown(name, stream_setup, fair_teardown)

static bool is_small(const char *id)
{
    return strncmp(id, "small", 5) == 0;
}

/* Claims `batch` jobs a round and finishes them, until the ten are through;
 * returns how many rounds it took, and counts the others' jobs before the last
 * of the ten. */
static int rounds_until_through(struct ms_core *core, int batch,
                                int *out_others)
{
    int rounds = 0;
    int found = 0;

    *out_others = 0;
    while (found < FEW) {
        struct ms_finish jobs[MS_CLAIM_MAX];
        enum ms_finish_status out[MS_CLAIM_MAX];
        char ids[MS_CLAIM_MAX][160];
        int n = ms_core_claim(core, "p1", batch);

        CHECK_INT(n, >, 0);
        for (int i = 0; i < n; i++) {
            found += is_small(core->jobs[i].id);
            *out_others += found < FEW && !is_small(core->jobs[i].id);
            snprintf(ids[i], sizeof(ids[i]), "%s", core->jobs[i].id);
            jobs[i] = (struct ms_finish){.id = ids[i],
                                         .fence = core->jobs[i].fence,
                                         .kind = MS_FINISH_DONE,
                                         .text = "",
                                         .move = NO_MOVE};
        }
        ms_core_finish_all(core, "p1", jobs, (size_t)n, 0, out);
        CHECK_INT(++rounds, <, 1000);
    }
    return rounds;
}

/* Two groups take turns: the ten and ten of the flood, and no more. */
static TEST(test_a_small_group_passes_through_a_flood)
{
    struct ms_core *core = *state;
    int others;

    ms_core_claim(core, "p1", 50); /* under way already */
    ms_core_enqueue_many(core, "small", "small", FEW);
    CHECK_INT(rounds_until_through(core, BATCH, &others), <=,
              2 * FEW / BATCH + 1);
    CHECK_INT(others, <=, FEW + 1);
}

/* One job a claim: every second one is the small group's. */
static TEST(test_single_slots_take_turns_too)
{
    struct ms_core *core = *state;
    int others;

    ms_core_enqueue_many(core, "small", "small", FEW);
    CHECK_INT(rounds_until_through(core, 1, &others), <=, 2 * FEW + 1);
}

/* Jobs of no group are a group as any. */
static TEST(test_jobs_of_no_group_pass_through_a_flood)
{
    struct ms_core *core = *state;
    int others;

    ms_core_enqueue_many(core, "small", NULL, FEW);
    CHECK_INT(rounds_until_through(core, BATCH, &others), <=,
              2 * FEW / BATCH + 1);
}

/* A tenant cannot flood with groups either further than one turn each. */
static TEST(test_many_groups_delay_by_one_turn_each)
{
    struct ms_core *core = *state;
    int others;

    for (int i = 0; i < 200; i++) {
        char group[16];

        snprintf(group, sizeof(group), "g%d-", i);
        ms_core_enqueue_many(core, group, group, 20);
    }
    ms_core_enqueue_many(core, "small", "small", FEW);
    rounds_until_through(core, MS_CLAIM_BATCH, &others);
    CHECK_INT(others, <=, 201 * FEW + MS_CLAIM_BATCH);
}

/* What is more important comes before the flood, the same importance in turn,
 * and the flood's own high priority helps it within that priority alone. */
static TEST(test_priorities_come_before_turns)
{
    struct ms_core *core = *state;
    int others;

    for (int i = 0; i < FEW; i++) {
        char id[16];

        snprintf(id, sizeof(id), "small%d", i);
        ENQUEUE(core, .id = id, .group = "small", .priority = 4);
    }
    CHECK_INT(rounds_until_through(core, BATCH, &others), ==, 1);
    CHECK_INT(others, ==, 0);
}

static TEST(test_a_flood_of_the_same_priority_takes_turns)
{
    struct ms_core *core = *state;
    int others;

    for (int i = 0; i < 1000; i++) {
        char id[16];

        snprintf(id, sizeof(id), "high%d", i);
        ENQUEUE(core, .id = id, .group = "flood", .priority = 1);
    }
    for (int i = 0; i < FEW; i++) {
        char id[16];

        snprintf(id, sizeof(id), "small%d", i);
        ENQUEUE(core, .id = id, .group = "small", .priority = 1);
    }
    CHECK_INT(rounds_until_through(core, BATCH, &others), <=,
              2 * FEW / BATCH + 1);
}

/* At its cap the flood waits, and all room there is goes to the others. */
static TEST(test_a_capped_flood_leaves_the_room_to_others)
{
    struct ms_core *core = *state;
    int others;

    ms_core_set(core, "group_max", 5);
    CHECK_INT(ms_core_claim(core, "p2", BATCH), ==, 5); /* long ones */
    CHECK_INT(ms_core_claim(core, "p1", BATCH), ==, 0);
    ms_core_enqueue_many(core, "small", "small", FEW);
    CHECK_INT(rounds_until_through(core, BATCH, &others), ==, 2);
    CHECK_INT(others, ==, 0);
}

/* The cap holds within a claim too: five of each, not sixteen of the flood. */
static TEST(test_a_cap_is_kept_within_one_claim)
{
    struct ms_core *core = *state;
    int small = 0;

    ms_core_set(core, "group_max", 5);
    ms_core_enqueue_many(core, "small", "small", FEW);
    CHECK_INT(ms_core_claim(core, "p1", BATCH), ==, 10);
    for (int i = 0; i < 10; i++)
        small += is_small(core->jobs[i].id);
    CHECK_INT(small, ==, 5);
}

/* What fails at once goes behind the others of its group, not before them. */
static TEST(test_a_flood_that_fails_at_once_takes_no_more_turns)
{
    struct ms_core *core = *state;
    int small = 0;

    ms_core_set(core, "backoff_enabled", 0);
    ms_core_enqueue_many(core, "small", "small", FEW);
    for (int i = 0; i < 2 * FEW + 1; i++) {
        CHECK_INT(ms_core_claim(core, "p1", 1), ==, 1);
        small += is_small(core->jobs[0].id);
        ms_core_finish(core, "p1", core->jobs[0].id, core->jobs[0].fence,
                       is_small(core->jobs[0].id) ? MS_FINISH_DONE
                                                  : MS_FINISH_FAILED);
    }
    CHECK_INT(small, ==, FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOODED(test_a_small_group_passes_through_a_flood),
        STREAMED(test_single_slots_take_turns_too),
        STREAMED(test_jobs_of_no_group_pass_through_a_flood),
        STREAMED(test_many_groups_delay_by_one_turn_each),
        STREAMED(test_priorities_come_before_turns),
        STREAMED(test_a_flood_of_the_same_priority_takes_turns),
        FLOODED(test_a_capped_flood_leaves_the_room_to_others),
        STREAMED(test_a_cap_is_kept_within_one_claim),
        STREAMED(test_a_flood_that_fails_at_once_takes_no_more_turns),
    };

    return RUN_CORE(tests);
}

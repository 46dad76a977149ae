/* Which kinds are short, and how many of them may stand in a row. */
#include "tests/support/support.h"

#include <stdio.h>

#include "worker/lane.h"
#include "worker/pace.h"

static void ran(struct ms_pace_kind *kind, int times, int64_t run_us)
{
    for (int i = 0; i < times; i++)
        ms_pace_ran(kind, run_us);
}

static TEST(test_an_unknown_kind_is_taken_for_a_long_one)
{
    struct ms_pace *pace = ms_pace_new();
    struct ms_pace_kind *kind = ms_pace_find(pace, "a");

    CHECK_INT(ms_pace_depth(NULL), ==, 1);
    CHECK_INT(ms_pace_depth(kind), ==, 1);
    ran(kind, 2, 10); /* chance, for all we know */
    CHECK_INT(ms_pace_depth(kind), ==, 1);
    ms_pace_free(pace);
}

static TEST(test_a_kind_of_microseconds_is_queued_deep)
{
    struct ms_pace *pace = ms_pace_new();
    struct ms_pace_kind *kind = ms_pace_find(pace, "a");

    ran(kind, 10, 3);
    CHECK_INT(ms_pace_depth(kind), ==, MS_LANE_CELLS);
    ms_pace_free(pace);
}

/* What waits in a row must begin within milliseconds. */
static TEST(test_the_depth_follows_the_run_time)
{
    struct ms_pace *pace = ms_pace_new();
    struct ms_pace_kind *kind = ms_pace_find(pace, "a");

    ran(kind, 100, 1000);
    CHECK_INT(ms_pace_depth(kind), >=, 2);
    CHECK_INT(ms_pace_depth(kind), <=, 6);
    ran(kind, 100, 3000);
    CHECK_INT(ms_pace_depth(kind), ==, 1);
    ms_pace_free(pace);
}

static TEST(test_one_long_run_ends_the_trust)
{
    struct ms_pace *pace = ms_pace_new();
    struct ms_pace_kind *kind = ms_pace_find(pace, "a");

    ran(kind, 100, 5);
    ran(kind, 1, 2 * MS_PACE_LONG_US);
    CHECK_INT(ms_pace_depth(kind), ==, 1);
    ran(kind, 100, 5); /* and it can be earned again */
    CHECK_INT(ms_pace_depth(kind), ==, MS_LANE_CELLS);
    ms_pace_free(pace);
}

static TEST(test_kinds_are_told_apart)
{
    struct ms_pace *pace = ms_pace_new();
    struct ms_pace_kind *a = ms_pace_find(pace, "a");

    ran(a, 5, 5);
    CHECK(ms_pace_find(pace, "a") == a);
    CHECK(ms_pace_find(pace, "b") != a);
    CHECK_INT(ms_pace_depth(ms_pace_find(pace, "b")), ==, 1);
    ms_pace_free(pace);
}

/* A prefix handler may see a new kind with every job: memory is bounded. */
static TEST(test_too_many_kinds_are_not_remembered)
{
    struct ms_pace *pace = ms_pace_new();
    struct ms_pace_kind *kind = NULL;
    char name[32];
    int n = 0;

    do {
        snprintf(name, sizeof(name), "kind.%d", n++);
        kind = ms_pace_find(pace, name);
    } while (kind != NULL && n < 100000);
    CHECK(kind == NULL);
    CHECK_INT(n, >, 100);
    ms_pace_ran(kind, 5);
    CHECK(ms_pace_find(pace, "kind.0") != NULL);
    ms_pace_free(pace);
    ms_pace_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_an_unknown_kind_is_taken_for_a_long_one),
        RUN(test_a_kind_of_microseconds_is_queued_deep),
        RUN(test_the_depth_follows_the_run_time),
        RUN(test_one_long_run_ends_the_trust),
        RUN(test_kinds_are_told_apart),
        RUN(test_too_many_kinds_are_not_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/support/support.h"

#include "common/backoff.h"

static TEST(test_delay_doubles_within_its_jitter)
{
    struct ms_backoff backoff = MS_BACKOFF_INIT(100, 30000, .seed = 1);
    int full = 100;

    for (int i = 0; i < 8; i++, full *= 2) {
        int delay = ms_backoff_next_ms(&backoff);

        CHECK_INT(delay, >=, full / 2);
        CHECK_INT(delay, <=, full);
    }
}

static TEST(test_delay_stays_at_its_cap_for_ever)
{
    struct ms_backoff backoff =
        MS_BACKOFF_INIT(100, 5000, .seed = ms_test_seed());

    for (int i = 0; i < 10; i++)
        ms_backoff_next_ms(&backoff);
    for (int i = 0; i < 1000; i++) {
        int delay = ms_backoff_next_ms(&backoff);

        CHECK_INT(delay, >=, 2500);
        CHECK_INT(delay, <=, 5000);
    }
}

static TEST(test_reset_starts_at_the_base)
{
    struct ms_backoff backoff = MS_BACKOFF_INIT(100, 30000, .seed = 3);

    for (int i = 0; i < 6; i++)
        ms_backoff_next_ms(&backoff);
    ms_backoff_reset(&backoff);
    CHECK_INT(ms_backoff_next_ms(&backoff), <=, 100);
}

/* A fleet that lost Redis must not come back in the same second. */
static TEST(test_backoff_spreads_delays_of_two_workers)
{
    struct ms_backoff a = MS_BACKOFF_INIT(100, 30000, .seed = 1);
    struct ms_backoff b = MS_BACKOFF_INIT(100, 30000, .seed = 2);

    CHECK_INT(ms_backoff_next_ms(&a), !=, ms_backoff_next_ms(&b));
}

static TEST(test_same_seed_gives_the_same_delays)
{
    struct ms_backoff a = MS_BACKOFF_INIT(100, 30000, .seed = 7);
    struct ms_backoff b = MS_BACKOFF_INIT(100, 30000, .seed = 7);

    for (int i = 0; i < 20; i++)
        CHECK_INT(ms_backoff_next_ms(&a), ==, ms_backoff_next_ms(&b));
}

static TEST(test_without_a_seed_two_differ)
{
    struct ms_backoff a = MS_BACKOFF_INIT(1000000, 2000000);
    struct ms_backoff b = MS_BACKOFF_INIT(1000000, 2000000);

    CHECK(ms_backoff_random(&a) != ms_backoff_random(&b));
}

static TEST(test_random_covers_its_range)
{
    struct ms_backoff backoff = MS_BACKOFF_INIT(1, 1, .seed = 5);
    int low = 0;
    int high = 0;

    for (int i = 0; i < 1000; i++) {
        double r = ms_backoff_random(&backoff);

        CHECK(r >= 0 && r < 1);
        low += r < 0.1;
        high += r >= 0.9;
    }
    CHECK_INT(low, >, 50);
    CHECK_INT(high, >, 50);
}

/* A base above the cap is cut, not doubled past it. */
static TEST(test_cap_holds_below_the_base)
{
    struct ms_backoff backoff = MS_BACKOFF_INIT(1000, 10, .seed = 1);

    CHECK_INT(ms_backoff_next_ms(&backoff), <=, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_delay_doubles_within_its_jitter),
        RUN(test_delay_stays_at_its_cap_for_ever),
        RUN(test_reset_starts_at_the_base),
        RUN(test_backoff_spreads_delays_of_two_workers),
        RUN(test_same_seed_gives_the_same_delays),
        RUN(test_without_a_seed_two_differ),
        RUN(test_random_covers_its_range),
        RUN(test_cap_holds_below_the_base),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

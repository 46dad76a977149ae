#include "common/histogram.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/support.h"

static TEST(test_small_values_have_a_bucket_each)
{
    for (int64_t value = 0; value < 16; value++)
        CHECK_INT(ms_histogram_bucket(value), ==, value);
    CHECK_INT(ms_histogram_bucket(-5), ==, 0);
}

static TEST(test_a_power_of_two_is_cut_into_eight)
{
    CHECK_INT(ms_histogram_bucket(16), ==, 16);
    CHECK_INT(ms_histogram_bucket(17), ==, 16);
    CHECK_INT(ms_histogram_bucket(18), ==, 17);
    CHECK_INT(ms_histogram_bucket(31), ==, 23);
    CHECK_INT(ms_histogram_bucket(32), ==, 24);
}

static TEST(test_what_is_beyond_counts_in_the_last_bucket)
{
    CHECK_INT(ms_histogram_bucket((INT64_C(1) << 43) - 1), ==,
              MS_HISTOGRAM_BUCKETS - 1);
    CHECK_INT(ms_histogram_bucket(INT64_MAX), ==, MS_HISTOGRAM_BUCKETS - 1);
}

/* Larger values never have smaller buckets, and two values of one bucket differ
 * by less than an eighth. */
static TEST(test_buckets_keep_the_order_and_their_width)
{
    srandom((unsigned)ms_test_seed());
    for (int i = 0; i < 100000; i++) {
        int64_t a = ((int64_t)random() << 11) >> (random() % 40);
        int64_t b = a + (random() % 3 == 0 ? a / 8 + 1 : 1);
        int first = ms_histogram_bucket(a), second = ms_histogram_bucket(b);

        CHECK_INT(first, <=, second);
        if (b >= 16 && b - a > a / 8)
            CHECK_INT(first, <, second);
    }
}

static TEST(test_a_histogram_counts)
{
    static struct ms_histogram histogram;

    ms_histogram_add(&histogram, 3);
    ms_histogram_add(&histogram, 3);
    ms_histogram_add(&histogram, 1000);
    CHECK_INT(histogram.total, ==, 3);
    CHECK_INT(histogram.counts[3], ==, 2);
    CHECK_INT(histogram.counts[ms_histogram_bucket(1000)], ==, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_small_values_have_a_bucket_each),
        RUN(test_a_power_of_two_is_cut_into_eight),
        RUN(test_what_is_beyond_counts_in_the_last_bucket),
        RUN(test_buckets_keep_the_order_and_their_width),
        RUN(test_a_histogram_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

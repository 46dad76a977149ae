#include "common/ulid.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/name.h"
#include "tests/support/support.h"

static TEST(test_format_follows_the_specification)
{
    static const uint8_t zeros[10];
    static const uint8_t ones[10] = {255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255};
    static const uint8_t last = 0x1f;
    uint8_t low[10] = {0};
    char id[MS_ULID_LEN + 1];

    ms_ulid_format(0, zeros, id);
    CHECK_STR(id, "00000000000000000000000000");
    ms_ulid_format(((int64_t)1 << 48) - 1, ones, id);
    CHECK_STR(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    ms_ulid_format(1469918176385, zeros, id); /* the specification's example */
    CHECK_STR(id, "01ARYZ6S410000000000000000");
    low[9] = last;
    ms_ulid_format(0, low, id);
    CHECK_STR(id, "0000000000000000000000000Z");
    low[4] = last; /* the last five bits of the first half */
    ms_ulid_format(0, low, id);
    CHECK_STR(id, "00000000000000000Z0000000Z");
}

static TEST(test_ids_sort_by_time)
{
    static const uint8_t ones[10] = {255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255};
    static const uint8_t zeros[10];
    char earlier[MS_ULID_LEN + 1];
    char later[MS_ULID_LEN + 1];

    ms_ulid_format(1700000000000, ones, earlier);
    ms_ulid_format(1700000000001, zeros, later);
    CHECK(strcmp(earlier, later) < 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* More than one filling of the pool of random bytes. */
static TEST(test_many_ids_differ)
{
    enum { MANY = 5000 };
    char(*ids)[MS_ULID_LEN + 1] = ms_xcalloc(MANY, MS_ULID_LEN + 1);

    for (int i = 0; i < MANY; i++)
        ms_ulid_new(ids[i]);
    qsort(ids, MANY, MS_ULID_LEN + 1, compare);
    for (int i = 1; i < MANY; i++)
        CHECK(strcmp(ids[i - 1], ids[i]) != 0);
    free(ids);
}

static TEST(test_id_is_a_users_job_id)
{
    char id[MS_ULID_LEN + 1];

    ms_ulid_new(id);
    CHECK_INT(strlen(id), ==, MS_ULID_LEN);
    CHECK(ms_job_id_is_users(id));
    CHECK(ms_name_is_valid(id));
}

static TEST(test_clocks_go_on_and_agree)
{
    int64_t us = ms_clock_mono_us();
    int64_t ms = ms_clock_mono_ms();

    CHECK_INT(ms, >=, us / 1000);
    CHECK_INT(ms_clock_mono_us(), >=, us);
    CHECK_INT(ms_clock_wall_ms(), >, 1700000000000); /* it is past 2023 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_format_follows_the_specification),
        RUN(test_ids_sort_by_time),
        RUN(test_many_ids_differ),
        RUN(test_id_is_a_users_job_id),
        RUN(test_clocks_go_on_and_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/units.h"
#include "tests/support/support.h"

static void check_no_duration(const char *text, const char *why)
{
    int64_t ms = -7;
    struct ms_error error = {""};

    if (ms_duration_parse(text, &ms, &error) != MS_EINVAL)
        print_error("'%s'\n", text);
    CHECK_INT(ms_duration_parse(text, &ms, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, why);
    CHECK_INT(ms, ==, -7);
}

static TEST(test_a_duration_without_a_unit_is_refused)
{
    check_no_duration("30", "'30' needs a unit");
    check_no_duration("0", "needs a unit");
    check_no_duration("1h30", "needs a unit");
}

static TEST(test_what_is_no_duration_is_refused)
{
    static const char *const bad[] = {
        "",     "s",     "-1s",  "+1s",  " 1s",  "1s ",   "1 s",
        "1.5h", "1x",    "1S",   "1sec", "1min", "30m1h", "1s1s",
        "1h1h", "1ms1s", "ms",   "1s,",  "1w1w", "0x1s",  "1_0s",
        "\xff", "1\xff", "1m\n", "1sms",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++)
        check_no_duration(bad[i], "is not a duration");
}

static TEST(test_a_duration_beyond_a_century_is_refused)
{
    int64_t ms;

    check_no_duration("36526d", "is over 100 years");
    check_no_duration("36525d1ms", "is over 100 years");
    check_no_duration("999999999999999999w", "is over 100 years");
    check_no_duration("9999999999999999999s", "is not a duration");
    CHECK_INT(ms_duration_parse("36525d", &ms, NULL), ==, MS_OK);
    CHECK_INT(ms, ==, INT64_C(3155760000000));
}

static TEST(test_durations_are_read_in_every_unit_and_joined)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0s", 0},         {"0ms", 0},
        {"1ms", 1},        {"500ms", 500},
        {"30s", 30000},    {"2m", 120000},
        {"1h", 3600000},   {"7d", 604800000},
        {"1w", 604800000}, {"1h30m", 5400000},
        {"1m1ms", 60001},  {"90s", 90000},
        {"007s", 7000},    {"1w1d1h1m1s1ms", 694861001},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        int64_t ms;

        CHECK_INT(ms_duration_parse(cases[i].text, &ms, NULL), ==, MS_OK);
        CHECK_INT(ms, ==, cases[i].ms);
    }
}

static TEST(test_what_is_no_size_is_refused)
{
    static const char *const bad[] = {
        "",     "KiB",   "-1",     "+1",
        " 1",   "1 KiB", "1.5MiB", "1kib",
        "1K",   "1M",    "1KiBs",  "1KiB1B",
        "0x10", "1\xff", "1b",     "9999999999999999999",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        int64_t bytes = -7;
        struct ms_error error = {""};

        CHECK_INT(ms_size_parse(bad[i], &bytes, &error), ==, MS_EINVAL);
        CHECK_CONTAINS(error.text, "is not a size");
        CHECK_INT(bytes, ==, -7);
    }
}

/* Sizes travel through Lua, whose numbers are doubles. */
static TEST(test_a_size_beyond_what_a_double_counts_is_refused)
{
    struct ms_error error;
    int64_t bytes;

    CHECK_INT(ms_size_parse("9007199254740993", &bytes, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "'9007199254740993' is over 8 PiB");
    CHECK_INT(ms_size_parse("9000000TiB", &bytes, NULL), ==, MS_EINVAL);
    CHECK_INT(ms_size_parse("9007199254740992", &bytes, NULL), ==, MS_OK);
    CHECK_INT(bytes, ==, INT64_C(9007199254740992));
}

static TEST(test_sizes_are_read_in_every_unit)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0},
        {"268435456", 268435456},
        {"7B", 7},
        {"2KB", 2000},
        {"2KiB", 2048},
        {"3MB", 3000000},
        {"16MiB", 16777216},
        {"1GB", 1000000000},
        {"1GiB", 1073741824},
        {"1TB", INT64_C(1000000000000)},
        {"1TiB", INT64_C(1099511627776)},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        int64_t bytes;

        CHECK_INT(ms_size_parse(cases[i].text, &bytes, NULL), ==, MS_OK);
        CHECK_INT(bytes, ==, cases[i].bytes);
    }
}

/* What is shown can be typed in again, and means the same. */
static TEST(test_a_formatted_duration_reads_back)
{
    static const struct {
        int64_t ms;
        const char *want;
    } cases[] = {
        {0, "0s"},
        {1, "1ms"},
        {1500, "1s500ms"},
        {90000, "1m30s"},
        {3600000, "1h"},
        {604800000, "7d"},
        {86399999, "23h59m59s999ms"},
        {INT64_C(2592000000), "30d"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char text[64];
        int64_t ms;

        CHECK_STR(ms_duration_format(cases[i].ms, text, sizeof(text)),
                  cases[i].want);
        CHECK_INT(ms_duration_parse(text, &ms, NULL), ==, MS_OK);
        CHECK_INT(ms, ==, cases[i].ms);
    }
}

static TEST(test_sizes_are_shown_for_people)
{
    static const struct {
        int64_t bytes;
        const char *want;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {13002342, "12.4 MiB"},
        {1048575, "1.0 MiB"},
        {INT64_C(1) << 50, "1.0 PiB"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char text[32];

        CHECK_STR(ms_size_format(cases[i].bytes, text, sizeof(text)),
                  cases[i].want);
    }
}

static TEST(test_a_small_buffer_cuts_and_nothing_more)
{
    char text[4] = "xyz";

    CHECK_STR(ms_duration_format(5400000, text, sizeof(text)), "1h3");
    CHECK_STR(ms_size_format(1536, text, sizeof(text)), "1.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_duration_without_a_unit_is_refused),
        RUN(test_what_is_no_duration_is_refused),
        RUN(test_a_duration_beyond_a_century_is_refused),
        RUN(test_durations_are_read_in_every_unit_and_joined),
        RUN(test_what_is_no_size_is_refused),
        RUN(test_a_size_beyond_what_a_double_counts_is_refused),
        RUN(test_sizes_are_read_in_every_unit),
        RUN(test_a_formatted_duration_reads_back),
        RUN(test_sizes_are_shown_for_people),
        RUN(test_a_small_buffer_cuts_and_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

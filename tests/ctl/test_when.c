#include "common/mem.h"
#include "ctl/when.h"
#include "tests/support/support.h"

static TEST(test_what_is_no_time_is_refused)
{
    static const char *const bad[] = {
        "",
        "tomorrow",
        "-5",
        "0",
        "12x",
        " 12",
        "2026-01-31",
        "2026-01-31T12:30:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:30:61Z",
        "2026-01-31T12:30:00.Z",
        "2026-01-31T12:30:00ZZ",
        "2026-01-31T12:30:00+1:00",
        "2026-01-31T12:30:00+24:00",
        "26-01-31T12:30:00Z",
        "1969-01-31T12:30:00Z",
        "99999999999999999999",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        int64_t ms = -7;
        struct ms_error error = {""};

        if (ms_when_parse(bad[i], &ms, &error) == MS_OK)
            print_error("'%s'\n", bad[i]);
        CHECK_INT(ms_when_parse(bad[i], &ms, &error), ==, MS_EINVAL);
        CHECK_CONTAINS(error.text, "is no time");
        CHECK_INT(ms, ==, -7);
    }
}

static TEST(test_times_are_read)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1769862645000", 1769862645000},
        {"2026-01-31T12:30:45Z", 1769862645000},
        {"2026-01-31t12:30:45z", 1769862645000},
        {"2026-01-31 12:30:45.250Z", 1769862645250},
        {"2026-01-31T12:30:45.2509999Z", 1769862645250},
        {"2026-01-31T13:30:45+01:00", 1769862645000},
        {"2026-01-31T07:00:45-05:30", 1769862645000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"1970-01-01T00:00:01Z", 1000},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        int64_t ms = 0;

        CHECK_INT(ms_when_parse(cases[i].text, &ms, NULL), ==, MS_OK);
        CHECK_INT(ms, ==, cases[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_what_is_no_time_is_refused),
        RUN(test_times_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Cron lines: what they mean, and when they fire. */
#include "common/cron.h"
#include "common/zone.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* "2026-03-29T01:30:00Z" */
static int64_t utc(const char *text)
{
    struct tm tm = {0};

    CHECK(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) != NULL);
    return (int64_t)timegm(&tm) * 1000;
}

static const char *show(int64_t ms)
{
    static char text[32];
    time_t at = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&at, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return text;
}

static struct ms_cron parsed(const char *line)
{
    struct ms_cron cron = {0};
    struct ms_error error = {""};

    if (ms_cron_parse(line, &cron, &error) != MS_OK)
        print_error("%s: %s\n", line, error.text);
    CHECK_STR(error.text, "");
    return cron;
}

/* The line fires at exactly these times after `from`, one after another;
 * `times` ends with NULL. */
static void check_fires(const char *line, const char *zone, const char *from,
                        const char *const *times)
{
    struct ms_cron cron = parsed(line);
    int64_t at = utc(from);

    for (; *times != NULL; times++) {
        CHECK_INT(ms_cron_next(&cron, zone, at, &at, NULL), ==, MS_OK);
        CHECK_STR(show(at), *times);
    }
}
#define FIRES(line, zone, from, ...)    \
    check_fires((line), (zone), (from), \
                (const char *const[]){__VA_ARGS__, NULL})

static void check_refused(const char *line, const char *why)
{
    struct ms_cron cron;
    struct ms_error error = {""};

    if (ms_cron_parse(line, &cron, &error) != MS_EINVAL)
        print_error("'%s' was taken\n", line);
    CHECK_INT(ms_cron_parse(line, &cron, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, why);
}

/* ---- what is no line ---- */

static TEST(test_a_line_of_other_than_five_fields_is_refused)
{
    check_refused("", "five fields");
    check_refused("   ", "five fields");
    check_refused("* * * *", "has 4");
    check_refused("0 0 * * * *", "has 6"); /* with seconds */
    check_refused("0 3 * * * /bin/true", "has 6");
}

static TEST(test_a_bad_field_is_named)
{
    check_refused("60 * * * *", "minute '60'");
    check_refused("* 24 * * *", "hour '24'");
    check_refused("* * 0 * *", "day-of-month '0'");
    check_refused("* * 32 * *", "day-of-month '32'");
    check_refused("* * * 0 *", "month '0'");
    check_refused("* * * 13 *", "month '13'");
    check_refused("* * * * 8", "day-of-week '8'");
    check_refused("mon * * * *", "minute 'mon'"); /* has no names */
    check_refused("* * * mon *", "month 'mon'");  /* has others */
    check_refused("* * * * jan", "day-of-week 'jan'");
    check_refused("* * * * monday", "day-of-week 'monday'");
    check_refused("* * * ja *", "month 'ja'");
}

static TEST(test_what_is_no_field_is_refused)
{
    static const char *const bad[] = {
        "-1",       "1-",  "-",    "1,",    ",1",    "1,,2", "/5",
        "*/",       "*/0", "*/-1", "*/x",   "1-5/",  "5-1",  "1-2-3",
        "*5",       "**",  "1.5",  "?",     "L",     "15W",  "1#2",
        "0x1",      "+1",  "*/61", "5a",    "1/2/3", "a",    "\xff",
        "99999999", "*-5", "1-60", "*/60x", "1\n2",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        char line[64];

        snprintf(line, sizeof(line), "%s * * * *", bad[i]);
        check_refused(line, "minute '");
    }
}

/* What a person meant by "every 90 minutes" it would not do. */
static TEST(test_a_step_beyond_its_field_is_refused)
{
    check_refused("*/90 * * * *", "step is longer");
    check_refused("0 */25 * * *", "step is longer");
    parsed("*/60 * * * *");
}

static TEST(test_a_line_that_never_fires_is_refused)
{
    check_refused("0 0 30 2 *", "day-of-month '30': this line never fires");
    check_refused("0 0 31 4,6,9,11 *", "never fires");
    check_refused("0 0 30,31 feb *", "never fires");
    check_refused("0 0 31 2 */2", "never fires");
    parsed("0 0 29 2 *");
    parsed("0 0 31 2 mon"); /* its Mondays */
    parsed("0 0 31 2,3 *");
}

static TEST(test_what_is_no_name_is_refused)
{
    check_refused("@reboot", "'@reboot' is not one of @hourly");
    check_refused("@", "is not one of");
    check_refused("@hourly 5", "is not one of");
    check_refused("@every", "is not one of");
    check_refused("@every 1h 5m", "is not one of");
    check_refused("@every soon", "@every: 'soon' is not a duration");
    check_refused("@every 90", "needs a unit");
    check_refused("@every 0s", "whole seconds");
    check_refused("@every 500ms", "whole seconds");
    check_refused("@every 1500ms", "whole seconds");
}

static TEST(test_a_very_long_line_is_refused)
{
    char line[1024];

    memset(line, '1', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    check_refused(line, "at most 255 bytes");
}

/* ---- what lines mean ---- */

static void check_same(const char *a, const char *b)
{
    struct ms_cron first = parsed(a), second = parsed(b);

    if (memcmp(&first, &second, sizeof(first)) != 0)
        print_error("'%s' is not '%s'\n", a, b);
    CHECK(memcmp(&first, &second, sizeof(first)) == 0);
}

static TEST(test_names_stand_for_lines)
{
    check_same("@hourly", "0 * * * *");
    check_same("@daily", "0 0 * * *");
    check_same("@midnight", "@daily");
    check_same("@weekly", "0 0 * * sun");
    check_same("@monthly", "0 0 1 * *");
    check_same("@yearly", "0 0 1 1 *");
    check_same("@annually", "@YEARLY");
    check_same("@Every 60s", "@every 1m");
}

static TEST(test_names_of_days_and_months_in_any_case)
{
    check_same("0 0 1 JAN,feb,Mar *", "0 0 1 1-3 *");
    check_same("0 0 1 dEc *", "0 0 1 12 *");
    check_same("0 0 * * Mon-FRI", "0 0 * * 1-5");
    check_same("0 0 * * sun", "0 0 * * 7");
    check_same("0 0 * * 7", "0 0 * * 0");
    check_same("0 0 * * sat-sun", "0 0 * * 6,0");
    check_same("0 0 * * 5-7", "0 0 * * 0,5,6");
    check_same("0 0 * * mon-sun", "0 0 * * 0-6");
}

static TEST(test_lists_ranges_and_steps)
{
    check_same("*/15 * * * *", "0,15,30,45 * * * *");
    check_same("5/20 * * * *", "5,25,45 * * * *");
    check_same("10-20/5,40 * * * *", "10,15,20,40 * * * *");
    check_same("  0\t8-18/2  * * *  ", "0 8,10,12,14,16,18 * * *");
    check_same("1-1 1 1 1 1", "1 1 1 1 1");
}

/* ---- plain calendars ---- */

static TEST(test_every_minute_and_the_second_it_begins)
{
    FIRES("* * * * *", "UTC", "2026-11-21T11:59:59Z", "2026-11-21T12:00:00Z",
          "2026-11-21T12:01:00Z");
}

static TEST(test_the_next_time_is_later_by_the_millisecond)
{
    struct ms_cron cron = parsed("0 12 * * *");
    int64_t noon = utc("2026-11-21T12:00:00Z"), at;

    CHECK_INT(ms_cron_next(&cron, "UTC", noon - 1, &at, NULL), ==, MS_OK);
    CHECK_INT(at, ==, noon);
    CHECK_INT(ms_cron_next(&cron, "UTC", noon, &at, NULL), ==, MS_OK);
    CHECK_INT(at, ==, noon + 86400000);
    CHECK_INT(ms_cron_next(&cron, "UTC", noon + 1, &at, NULL), ==, MS_OK);
    CHECK_INT(at, ==, noon + 86400000);
}

static TEST(test_the_ends_of_months)
{
    FIRES("30 4 31 * *", "UTC", "2026-01-31T04:30:00Z", "2026-03-31T04:30:00Z",
          "2026-05-31T04:30:00Z", "2026-07-31T04:30:00Z",
          "2026-08-31T04:30:00Z", "2026-10-31T04:30:00Z",
          "2026-12-31T04:30:00Z", "2027-01-31T04:30:00Z");
    FIRES("59 23 28-31 * *", "UTC", "2026-02-27T00:00:00Z",
          "2026-02-28T23:59:00Z", "2026-03-28T23:59:00Z");
}

static TEST(test_the_end_of_a_year)
{
    FIRES("0 0 1 1 *", "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z",
          "2028-01-01T00:00:00Z");
    FIRES("*/30 * * * *", "UTC", "2026-12-31T23:30:00Z",
          "2027-01-01T00:00:00Z");
    /* it is another year in Tokyo already */
    FIRES("@yearly", "Asia/Tokyo", "2026-12-31T12:00:00Z",
          "2026-12-31T15:00:00Z");
}

static TEST(test_leap_days)
{
    FIRES("0 12 29 2 *", "UTC", "2023-03-01T00:00:00Z", "2024-02-29T12:00:00Z",
          "2028-02-29T12:00:00Z");
    FIRES("0 12 29 2 *", "Europe/Berlin", "2024-02-29T11:00:00Z",
          "2028-02-29T11:00:00Z");
    /* 2100 is none, 2400 is */
    FIRES("0 12 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T12:00:00Z");
    FIRES("0 12 29 2 *", "UTC", "2396-03-01T00:00:00Z", "2400-02-29T12:00:00Z");
    FIRES("0 0 28 2 *", "UTC", "2028-02-28T00:00:00Z", "2029-02-28T00:00:00Z");
    FIRES("0 0 * 2 *", "UTC", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z",
          "2029-02-01T00:00:00Z");
}

/* With one day field that begins with "*" both must match. */
static TEST(test_a_leap_day_on_one_weekday)
{
    FIRES("0 0 29 2 */6", "UTC", "2026-01-01T00:00:00Z", "2032-02-29T00:00:00Z",
          "2048-02-29T00:00:00Z"); /* Sunday, Saturday */
    FIRES("0 0 29 2 *", "UTC", "2048-02-29T00:00:00Z", "2052-02-29T00:00:00Z");
}

/* As Vixie cron has it: the 13th, and each Friday too. */
static TEST(test_either_day_field_will_do)
{
    FIRES("0 0 13 * fri", "UTC", "2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z",
          "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z",
          "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z",
          "2026-12-13T00:00:00Z");
    FIRES("0 0 */10 * mon", "UTC", "2026-11-01T00:00:00Z",
          "2026-12-21T00:00:00Z"); /* 1st, 11th, 21st or 31st, and a Monday */
}

static TEST(test_weekdays_are_the_right_ones)
{
    FIRES("0 9 * * mon", "UTC", "2026-11-21T12:00:00Z", "2026-11-23T09:00:00Z");
    FIRES("0 9 * * sun", "UTC", "2026-11-21T12:00:00Z", "2026-11-22T09:00:00Z");
    FIRES("0 9 * * 7", "UTC", "2000-02-27T12:00:00Z", "2000-03-05T09:00:00Z");
    FIRES("0 9 * * thu", "UTC", "1970-01-01T00:00:00Z", "1970-01-01T09:00:00Z");
}

/* ---- @every ---- */

/* Whatever the zone, and whoever asks when. */
static TEST(test_a_period_counts_from_the_epoch)
{
    FIRES("@every 90s", "UTC", "2026-11-21T12:00:00Z", "2026-11-21T12:01:30Z",
          "2026-11-21T12:03:00Z");
    FIRES("@every 90s", "UTC", "2026-11-21T12:02:17Z", "2026-11-21T12:03:00Z");
    FIRES("@every 1h", "Australia/Lord_Howe", "2026-11-21T12:00:00Z",
          "2026-11-21T13:00:00Z");
    FIRES("@every 7d", "UTC", "1970-01-01T00:00:00Z", "1970-01-08T00:00:00Z");
    FIRES("@every 1s", "UTC", "2026-11-21T12:00:00Z", "2026-11-21T12:00:01Z");
}

/* ---- daylight saving ---- */

/* 29 March 2026: 02:00 CET is 03:00 CEST, which is 01:00 UTC. */
static TEST(test_berlin_in_spring)
{
    FIRES("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
          "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", /* after the gap */
          "2026-03-30T00:30:00Z");
    FIRES("0 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
          "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z");
    FIRES("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
          "2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z");
    FIRES("59 1 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
          "2026-03-29T00:59:00Z", "2026-03-29T23:59:00Z");
}

/* Many skipped times, and one that is there, are one firing. */
static TEST(test_times_in_one_gap_fire_once)
{
    FIRES("*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
          "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z");
    FIRES("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
          "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z");
    FIRES("30 1-3 * * *", "Europe/Berlin", "2026-03-28T22:00:00Z",
          "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z",
          "2026-03-29T01:30:00Z", "2026-03-29T23:30:00Z");
}

/* 25 October 2026: 03:00 CEST is 02:00 CET, which is 01:00 UTC. */
static TEST(test_berlin_in_autumn)
{
    FIRES("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
          "2026-10-25T00:30:00Z", /* the first of two */
          "2026-10-26T01:30:00Z");
    FIRES("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z",
          "2026-10-26T01:30:00Z");
    FIRES("0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
          "2026-10-25T02:00:00Z");
    FIRES("*/20 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
          "2026-10-25T00:00:00Z", "2026-10-25T00:20:00Z",
          "2026-10-25T00:40:00Z", "2026-10-26T01:00:00Z");
    FIRES("0 2 25 10 *", "Europe/Berlin", "2026-10-25T01:30:00Z",
          "2027-10-25T00:00:00Z");
}

/* 8 March 2026: 02:00 EST is 03:00 EDT, which is 07:00 UTC. */
static TEST(test_new_york_in_spring)
{
    FIRES("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z",
          "2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z",
          "2026-03-09T06:30:00Z");
    FIRES("30 1 * * *", "America/New_York", "2026-03-08T00:00:00Z",
          "2026-03-08T06:30:00Z", "2026-03-09T05:30:00Z");
}

/* 1 November 2026: 02:00 EDT is 01:00 EST, which is 06:00 UTC. */
static TEST(test_new_york_in_autumn)
{
    FIRES("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z",
          "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z");
    FIRES("30 1 * * sun", "America/New_York", "2026-11-01T05:30:00Z",
          "2026-11-08T06:30:00Z");
    FIRES("0 2 * * *", "America/New_York", "2026-10-31T12:00:00Z",
          "2026-11-01T07:00:00Z");
}

/* A quarter of an hour stays one. */
static TEST(test_lines_of_every_hour_go_by_elapsed_time)
{
    FIRES("*/15 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z",
          "2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z",
          "2026-03-29T01:15:00Z");
    FIRES("30 * * * *", "Europe/Berlin", "2026-03-28T23:40:00Z",
          "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z");
    FIRES("30 * * * *", "Europe/Berlin", "2026-10-24T23:40:00Z",
          "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z",
          "2026-10-25T02:30:00Z");
    FIRES("*/15 * * * *", "America/New_York", "2026-11-01T05:30:00Z",
          "2026-11-01T05:45:00Z", "2026-11-01T06:00:00Z",
          "2026-11-01T06:15:00Z");
    FIRES("0 * * * *", "America/New_York", "2026-03-08T05:30:00Z",
          "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z",
          "2026-03-08T08:00:00Z");
    FIRES("0 */1 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z",
          "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
}

/* Half an hour: 4 October 2026 02:00 is 02:30, 5 April 2026 02:00 is 01:30. */
static TEST(test_lord_howe)
{
    FIRES("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
          "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z");
    FIRES("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
          "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z");
    FIRES("*/30 * * * *", "Australia/Lord_Howe", "2026-04-04T14:20:00Z",
          "2026-04-04T14:30:00Z", "2026-04-04T15:00:00Z",
          "2026-04-04T15:30:00Z");
}

/* The clocks of Santiago go back at midnight, to the day before. */
static TEST(test_midnight_itself_may_be_skipped_or_come_twice)
{
    FIRES("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z",
          "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z");
    FIRES("30 23 * * *", "America/Santiago", "2026-04-04T12:00:00Z",
          "2026-04-05T02:30:00Z", "2026-04-06T03:30:00Z");
    FIRES("30 * 4 4 *", "America/Santiago", "2026-04-05T02:45:00Z",
          "2026-04-05T03:30:00Z"); /* that day's last hour, again */
}

/* Samoa had no 30 December 2011. */
static TEST(test_a_skipped_day)
{
    FIRES("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z",
          "2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z",
          "2011-12-30T22:00:00Z");
}

/* Beyond the last year that the files list, by the rule at their end. */
static TEST(test_daylight_saving_goes_on_for_ever)
{
    FIRES("0 12 * * *", "Europe/Berlin", "2099-07-01T00:00:00Z",
          "2099-07-01T10:00:00Z");
    FIRES("30 2 25 3 *", "Europe/Berlin", "2096-01-01T00:00:00Z",
          "2096-03-25T01:00:00Z"); /* a last Sunday in March */
}

static TEST(test_an_unknown_zone_is_an_error)
{
    static const char *const bad[] = {
        "",
        "Europe/Nowhere",
        "europe/berlin!",
        "/etc/localtime",
        "../passwd",
        "Europe",
        "Europe/",
        "CET-1CEST",
        ":UTC",
        "Europe//Berlin",
        "zone.tab",
        "Europe/Berlin\n",
        "tzdata.zi",
        "Europe/../Europe",
        "Mars/Phobos",
        "localtime",
        "right/Europe/Berlin",
    };
    struct ms_cron cron = parsed("* * * * *");
    int64_t at = -7;

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        struct ms_error error = {""};

        CHECK_INT(ms_cron_next(&cron, bad[i], 0, &at, &error), ==, MS_EINVAL);
        CHECK_CONTAINS(error.text, "is not known here");
    }
    CHECK_INT(at, ==, -7);
}

/* Logs and others go on in the zone that the process was started in. */
static TEST(test_the_zone_of_the_process_is_put_back)
{
    struct ms_cron cron = parsed("0 3 * * *");
    time_t at = (time_t)(utc("2026-07-01T12:00:00Z") / 1000);
    int64_t next;
    struct tm tm;

    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    ms_cron_next(&cron, "Europe/Berlin", 0, &next, NULL);
    CHECK_STR(getenv("TZ"), "Asia/Tokyo");
    CHECK_INT(localtime_r(&at, &tm)->tm_hour, ==, 21);
    unsetenv("TZ");
    tzset();
    ms_cron_next(&cron, "Europe/Berlin", 0, &next, NULL);
    CHECK(getenv("TZ") == NULL);
    ms_cron_next(&cron, "Europe/Nowhere", 0, &next, NULL);
    CHECK(getenv("TZ") == NULL);
}

/* ---- many ---- */

struct seen {
    int64_t times[8];
    size_t n;
};

static bool collect(int64_t at_ms, void *arg)
{
    struct seen *seen = arg;

    seen->times[seen->n++] = at_ms;
    return seen->n < 8;
}

static TEST(test_each_tells_the_times_of_a_span)
{
    struct ms_cron cron = parsed("*/20 * * * *");
    int64_t from = utc("2026-11-21T12:00:00Z"), n;
    struct seen seen = {.n = 0};

    CHECK_INT(ms_cron_each(&cron, "UTC", from, from + 3600000, 100, collect,
                           &seen, &n, NULL),
              ==, MS_OK);
    CHECK_INT(n, ==, 3);
    CHECK_INT(seen.times[0], ==, from + 1200000);
    CHECK_INT(seen.times[2], ==, from + 3600000);
    seen.n = 0;
    ms_cron_each(&cron, "UTC", from, INT64_MAX, 2, collect, &seen, &n, NULL);
    CHECK_INT(n, ==, 2);
    seen.n = 0;
    ms_cron_each(&cron, "UTC", from, INT64_MAX, 100, collect, &seen, &n, NULL);
    CHECK_INT(n, ==, 8);
    CHECK_INT(ms_cron_each(&cron, "Nowhere", from, from, 1, collect, &seen, &n,
                           NULL),
              ==, MS_EINVAL);
}

/* ---- against brute force ---- */

static uint64_t dice_state;

static unsigned dice(unsigned n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice_state >> 33) % n;
}

/* One field: often "*", else a value, range, step or list. */
static void random_field(char *out, size_t size, int min, int max)
{
    int a = min + (int)dice((unsigned)(max - min + 1));
    int b = a + (int)dice((unsigned)(max - a + 1));

    switch (dice(7)) {
    case 0:
        snprintf(out, size, "%d", a);
        break;
    case 1:
        snprintf(out, size, "%d-%d", a, b);
        break;
    case 2:
        snprintf(out, size, "*/%u", 1 + dice((unsigned)(max - min + 1)));
        break;
    case 3:
        snprintf(out, size, "%d,%d", b, a);
        break;
    default:
        snprintf(out, size, "*");
    }
}

static bool random_line(char *out, size_t size)
{
    char f[5][32];
    struct ms_cron cron;

    random_field(f[0], sizeof(f[0]), 0, 59);
    random_field(f[1], sizeof(f[1]), 0, 23);
    random_field(f[2], sizeof(f[2]), 1, 31);
    random_field(f[3], sizeof(f[3]), 1, 12);
    random_field(f[4], sizeof(f[4]), 0, 7);
    snprintf(out, size, "%s %s %s %s %s", f[0], f[1], f[2], f[3], f[4]);
    return ms_cron_parse(out, &cron, NULL) == MS_OK;
}

/* Another calendar than the code's own. */
static bool civil_matches(const struct ms_cron *cron, int64_t civil_s)
{
    time_t at = (time_t)civil_s;
    struct tm tm;
    bool day, weekday;

    gmtime_r(&at, &tm);
    day = cron->days >> tm.tm_mday & 1;
    weekday = cron->weekdays >> tm.tm_wday & 1;
    return (cron->minutes >> tm.tm_min & 1) &&
           (cron->hours >> tm.tm_hour & 1) &&
           (cron->months >> (tm.tm_mon + 1) & 1) &&
           (cron->any_day || cron->any_weekday ? day && weekday
                                               : day || weekday);
}

/* Walks real minutes as a cron daemon that is awake all the time would, with
 * the highest wall clock seen so far in mind.  INT64_MAX: none until the end.
 */
static int64_t brute_next(const struct ms_cron *cron,
                          const struct ms_zone *zone, int64_t after_s,
                          int64_t end_s)
{
    int64_t t = after_s - 26 * 3600;
    int64_t highest = t + ms_zone_offset_s(zone, t);

    for (t += 60; t <= end_s; t += 60) {
        int64_t civil = t + ms_zone_offset_s(zone, t);
        bool fires = false;

        if (cron->hours == 0xffffff)
            fires = civil_matches(cron, civil);
        else
            for (int64_t c = highest + 60; c <= civil && !fires; c += 60)
                fires = civil_matches(cron, c);
        if (fires && t > after_s)
            return t * 1000;
        if (civil > highest)
            highest = civil;
    }
    return INT64_MAX;
}

/* Near the changes of the clocks, where the bugs are. */
static int64_t random_minute(const struct ms_zone *zone)
{
    int64_t from = 946684800 + (int64_t)dice(40 * 366) * 86400;
    int64_t change = ms_zone_change_s(zone, from, from + 200 * 86400);

    if (change > from + 200 * 86400 || dice(3) == 0)
        return from + (int64_t)dice(1440) * 60;
    return change / 60 * 60 + ((int64_t)dice(3 * 1440) - 2 * 1440) * 60;
}

/* Whatever is taken has a next time. */
static TEST(test_random_text_is_refused_or_fires)
{
    static const char alphabet[] = "0123459*/,-@ \tmonjaFRIevry?\xff";
    char line[40];

    dice_state = ms_test_seed();
    for (int round = 0; round < 20000; round++) {
        size_t len = dice(sizeof(line) - 1);
        struct ms_cron cron;
        int64_t at = 0;

        for (size_t i = 0; i < len; i++)
            line[i] = dice(3) == 0 ? (i % 2 ? ' ' : '*')
                                   : alphabet[dice(sizeof(alphabet) - 1)];
        line[len] = '\0';
        if (ms_cron_parse(line, &cron, NULL) == MS_OK)
            CHECK_INT(ms_cron_next(&cron, "UTC", 0, &at, NULL), ==, MS_OK);
    }
}

static TEST(test_next_is_what_a_daemon_that_never_sleeps_would_do)
{
    static const char *const zones[] = {
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "America/St_Johns",
        "Pacific/Chatham",
    };
    char line[200];

    dice_state = ms_test_seed();
    for (int round = 0; round < 600; round++) {
        const char *name = zones[dice(MS_COUNT_OF(zones))];
        struct ms_cron cron;
        struct ms_zone zone;
        int64_t after, end, want, got;

        if (!random_line(line, sizeof(line)))
            continue;
        cron = parsed(line);
        CHECK_INT(ms_zone_enter(&zone, name, NULL), ==, MS_OK);
        after = random_minute(&zone);
        end = after + 4 * 86400;
        want = brute_next(&cron, &zone, after, end);
        ms_zone_leave(&zone);
        if (ms_cron_next(&cron, name, after * 1000, &got, NULL) != MS_OK)
            got = INT64_MAX;
        CHECK_INT(got, >, after * 1000);
        if (want != INT64_MAX ? got != want : got <= end * 1000) {
            print_error("'%s' in %s after %s: ", line, name,
                        show(after * 1000));
            print_error("%s, not ", show(got));
            print_error("%s\n", show(want));
        }
        CHECK(want != INT64_MAX ? got == want : got > end * 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_line_of_other_than_five_fields_is_refused),
        RUN(test_a_bad_field_is_named),
        RUN(test_what_is_no_field_is_refused),
        RUN(test_a_step_beyond_its_field_is_refused),
        RUN(test_a_line_that_never_fires_is_refused),
        RUN(test_what_is_no_name_is_refused),
        RUN(test_a_very_long_line_is_refused),
        RUN(test_names_stand_for_lines),
        RUN(test_names_of_days_and_months_in_any_case),
        RUN(test_lists_ranges_and_steps),
        RUN(test_every_minute_and_the_second_it_begins),
        RUN(test_the_next_time_is_later_by_the_millisecond),
        RUN(test_the_ends_of_months),
        RUN(test_the_end_of_a_year),
        RUN(test_leap_days),
        RUN(test_a_leap_day_on_one_weekday),
        RUN(test_either_day_field_will_do),
        RUN(test_weekdays_are_the_right_ones),
        RUN(test_a_period_counts_from_the_epoch),
        RUN(test_berlin_in_spring),
        RUN(test_times_in_one_gap_fire_once),
        RUN(test_berlin_in_autumn),
        RUN(test_new_york_in_spring),
        RUN(test_new_york_in_autumn),
        RUN(test_lines_of_every_hour_go_by_elapsed_time),
        RUN(test_lord_howe),
        RUN(test_midnight_itself_may_be_skipped_or_come_twice),
        RUN(test_a_skipped_day),
        RUN(test_daylight_saving_goes_on_for_ever),
        RUN(test_an_unknown_zone_is_an_error),
        RUN(test_the_zone_of_the_process_is_put_back),
        RUN(test_each_tells_the_times_of_a_span),
        RUN(test_random_text_is_refused_or_fires),
        RUN(test_next_is_what_a_daemon_that_never_sleeps_would_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The search for the next time of a line.
 *
 * It walks civil minutes (what the wall clock shows) day by day, and asks the
 * zone for the instant of what it finds.  Two walks, because daylight saving
 * means two things:
 *
 *     line names hours      civil times in order -> first instant of each, or
 *                           the end of the gap it lies in
 *     line has every hour   instants in order, the offset as it stands at each
 */
#include "common/cron.h"
#include "common/mem.h"
#include "common/zone.h"

#define DAY_S     86400
#define ALL_HOURS 0xffffffu
#define YEARS_MAX 60 /* 29 February on one weekday: at most 40 years apart */
#define NO_TIME   INT64_MIN

static bool has(uint64_t bits, int64_t n)
{
    return bits >> n & 1;
}

static int64_t div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* ---- the calendar ---- */

struct date {
    int64_t year;
    int month, day;
};

/* Days since 1970-01-01, by eras of 400 years that begin on 1 March. */
static int64_t day_number(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2), era = div_floor(y, 400);
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           719468;
}

static struct date date_of(int64_t number)
{
    int64_t z = number + 719468, era = div_floor(z, 146097);
    int64_t of_era = z - era * 146097;
    int64_t year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t m = (5 * of_year + 2) / 153;
    int month = (int)(m < 10 ? m + 3 : m - 9);

    return (struct date){.year = year + era * 400 + (month <= 2),
                         .month = month,
                         .day = (int)(of_year - (153 * m + 2) / 5 + 1)};
}

/* ---- civil times ---- */

static bool day_matches(const struct ms_cron *cron, int64_t number,
                        const struct date *date)
{
    int64_t weekday = number + 4 - 7 * div_floor(number + 4, 7);
    bool day = has(cron->days, date->day);
    bool of_week = has(cron->weekdays, weekday);

    return cron->any_day || cron->any_weekday ? day && of_week : day || of_week;
}

/* The first matching second of a day at or after `second`, or NO_TIME. */
static int64_t time_of_day(const struct ms_cron *cron, int64_t second)
{
    int64_t minute = (second + 59) / 60;

    for (int64_t hour = minute / 60; hour < 24; hour++) {
        if (!has(cron->hours, hour))
            continue;
        for (int64_t m = hour == minute / 60 ? minute % 60 : 0; m < 60; m++)
            if (has(cron->minutes, m))
                return hour * 3600 + m * 60;
    }
    return NO_TIME;
}

/* The first matching civil time at or after `civil_s`, or NO_TIME. */
static int64_t civil_next(const struct ms_cron *cron, int64_t civil_s)
{
    int64_t number = div_floor(civil_s, DAY_S);
    int64_t last = number + YEARS_MAX * 366;
    int64_t second = civil_s - number * DAY_S;

    while (number <= last) {
        struct date date = date_of(number);
        int64_t found = NO_TIME;

        if (!has(cron->months, date.month)) {
            number = day_number(date.year + (date.month == 12),
                                date.month % 12 + 1, 1);
            second = 0;
            continue;
        }
        if (day_matches(cron, number, &date))
            found = time_of_day(cron, second);
        if (found != NO_TIME)
            return number * DAY_S + found;
        number++;
        second = 0;
    }
    return NO_TIME;
}

/* ---- instants ---- */

/* Instants grow with civil times, so the first that is late enough will do. */
static int64_t next_of_named_hours(const struct ms_cron *cron,
                                   const struct ms_zone *zone, int64_t after_s)
{
    int64_t civil = after_s + ms_zone_offset_s(zone, after_s);
    int64_t found;

    do {
        civil = civil_next(cron, civil + 1);
        if (civil == NO_TIME)
            return NO_TIME;
        ms_zone_instant_s(zone, civil, &found);
    } while (found <= after_s);
    return found;
}

/* Only the next change of the clocks can bring back civil times that have
 * passed, and it does so within the length of its jump. */
static int64_t next_of_every_hour(const struct ms_cron *cron,
                                  const struct ms_zone *zone, int64_t after_s)
{
    int64_t horizon = after_s + MS_ZONE_JUMP_MAX_S;
    int64_t change = ms_zone_change_s(zone, after_s, horizon);
    int64_t offset = ms_zone_offset_s(zone, after_s);
    int64_t civil = civil_next(cron, after_s + offset + 1);
    int64_t found = civil - offset;

    if (civil != NO_TIME && found < change && found <= horizon)
        return found;
    if (change <= horizon) {
        offset = ms_zone_offset_s(zone, change);
        civil = civil_next(cron, change + offset);
        if (civil != NO_TIME && civil - offset <= horizon)
            return civil - offset;
    }
    while (civil != NO_TIME && !ms_zone_instant_s(zone, civil, &found))
        civil = civil_next(cron, civil + 1);
    return civil == NO_TIME ? NO_TIME : found;
}

/* In the zone that was entered. */
static int64_t next_ms(const struct ms_cron *cron, const struct ms_zone *zone,
                       int64_t after_ms)
{
    int64_t after_s = div_floor(after_ms, 1000), found;

    if (cron->every_ms > 0)
        return (div_floor(after_ms, cron->every_ms) + 1) * cron->every_ms;
    found = cron->hours == ALL_HOURS ? next_of_every_hour(cron, zone, after_s)
                                     : next_of_named_hours(cron, zone, after_s);
    return found == NO_TIME ? NO_TIME : found * 1000;
}

enum ms_err ms_cron_next(const struct ms_cron *cron, const char *zone,
                         int64_t after_ms, int64_t *out_ms,
                         struct ms_error *error)
{
    struct ms_zone entered;
    int64_t found;
    enum ms_err err = ms_zone_enter(&entered, zone, error);

    if (err != MS_OK)
        return err;
    found = next_ms(cron, &entered, after_ms);
    ms_zone_leave(&entered);
    if (found == NO_TIME)
        return ms_error_set(error, MS_ENOENT,
                            "this line does not fire in the next %d years",
                            YEARS_MAX);
    *out_ms = found;
    return MS_OK;
}

enum ms_err ms_cron_each(const struct ms_cron *cron, const char *zone,
                         int64_t after_ms, int64_t until_ms, int64_t max,
                         ms_cron_fn *fn, void *arg, int64_t *out_n,
                         struct ms_error *error)
{
    struct ms_zone entered;
    int64_t at = after_ms;
    enum ms_err err = ms_zone_enter(&entered, zone, error);

    if (err != MS_OK)
        return err;
    *out_n = 0;
    while (*out_n < max) {
        at = next_ms(cron, &entered, at);
        if (at == NO_TIME || at > until_ms)
            break;
        ++*out_n;
        if (!fn(at, arg))
            break;
    }
    ms_zone_leave(&entered);
    return MS_OK;
}

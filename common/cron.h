/*
 * cron: when a schedule's line fires.
 *
 *     minute  hour  day-of-month  month    day-of-week
 *     0-59    0-23  1-31          1-12     0-7 (0 and 7: Sunday)
 *                                 jan-dec  sun-sat (in any case)
 *
 * A field is a list ("1,15") of values, ranges ("mon-fri") and steps ("*"
 * "/15", "8-18/2"; "5/20" is 5, 25, 45).  Where both day fields are restricted
 * (do not begin with "*"), a day that either of them names will do, as in Vixie
 * cron.
 * "@hourly" and its kin are such lines.  "@every 90s" fires at the multiples of
 * its period since 1970-01-01 00:00 UTC, whatever the zone: so its slots are
 * the same for every leader, and setting it again moves none of them.
 *
 * Daylight saving: a line that names hours fires at these times of the wall
 * clock; a time that is skipped fires at the first instant after the gap, one
 * that comes twice fires at its first.  A line whose hour field leaves no hour
 * out fires by elapsed time: each minute that really passes is looked at, so a
 * quarter of an hour is one on such days too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define MS_CRON_LINE_MAX 255

struct ms_cron {
    int64_t every_ms; /* of "@every"; else 0, and bit n stands for value n: */
    uint64_t minutes;
    uint32_t hours, days;
    uint16_t months;
    uint8_t weekdays;          /* Sunday is 0 alone */
    bool any_day, any_weekday; /* that field begins with "*" */
};

/* MS_EINVAL names the field and what is wrong with it; also for a line that
 * never fires (30 February). */
enum ms_err ms_cron_parse(const char *line, struct ms_cron *out_cron,
                          struct ms_error *error);

/* The first time after `after_ms` (ms since the epoch), in an IANA zone.
 * MS_EINVAL for an unknown zone; MS_ENOENT where there is none in the next 60
 * years. */
enum ms_err ms_cron_next(const struct ms_cron *cron, const char *zone,
                         int64_t after_ms, int64_t *out_ms,
                         struct ms_error *error);

/* Times in (after_ms, until_ms], in their order, until there are no more, `max`
 * have been told, or the function says false.  Errors as above, but for
 * MS_ENOENT.  *out_n: how many it was called with. */
typedef bool ms_cron_fn(int64_t at_ms, void *arg);
enum ms_err ms_cron_each(const struct ms_cron *cron, const char *zone,
                         int64_t after_ms, int64_t until_ms, int64_t max,
                         ms_cron_fn *fn, void *arg, int64_t *out_n,
                         struct ms_error *error);

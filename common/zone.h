/*
 * zone: time zones by their IANA names, with daylight saving.
 *
 * The C library reads the system's tz files (package tzdata), rules beyond the
 * last listed year included, and sees an update of them without a restart.  Its
 * one zone is that of the process, so a zone is entered, asked and left again
 * within one function, and nothing else runs meanwhile: there are no threads in
 * muster.  UTC needs neither library nor files.
 *
 * A *civil* time is what a clock on the wall shows, as seconds since
 * 1970-01-01 00:00 of that same wall clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define MS_ZONE_NAME_MAX 64

struct ms_zone {
    bool utc;
    char *before; /* TZ until now; NULL: it was not set */
};

/* MS_EINVAL for a name that the system's tz files do not have. */
enum ms_err ms_zone_check(const char *name, struct ms_error *error);

/* Makes `name` the zone of the process until ms_zone_leave(), which must
 * follow; MS_EINVAL as above, and then nothing is to be left. */
enum ms_err ms_zone_enter(struct ms_zone *zone, const char *name,
                          struct ms_error *error);
void ms_zone_leave(struct ms_zone *zone);

/* How far wall clocks are ahead of UTC at this instant, in seconds. */
int64_t ms_zone_offset_s(const struct ms_zone *zone, int64_t at_s);

/* The first instant in (from_s, to_s] with another offset than `from_s` has, or
 * `to_s` + 1 where the ends of that span have the same. */
int64_t ms_zone_change_s(const struct ms_zone *zone, int64_t from_s,
                         int64_t to_s);

/* The first instant at which wall clocks show `civil_s`.  Where they skip that
 * time, false, and the first instant after the gap. */
bool ms_zone_instant_s(const struct ms_zone *zone, int64_t civil_s,
                       int64_t *out_s);

/* No wall clock jumps by more (Samoa left out a whole day in 2011). */
#define MS_ZONE_JUMP_MAX_S (25 * 3600)

/*
 * pace: how long jobs of each kind take, and so how many may wait in a row.
 *
 * A slot whose jobs take microseconds idles for most of the time that a
 * message takes; a few jobs queued behind each other keep it busy.  But what
 * waits behind a long job could run elsewhere.  So only kinds that are known
 * to be short are queued, and only what they will start within milliseconds.
 */
#pragma once

#include <stdint.h>

#define MS_PACE_SHORT_US 2000  /* a kind below is short */
#define MS_PACE_AHEAD_US 5000  /* what may wait in a row */
#define MS_PACE_LONG_US  20000 /* a job above holds up those behind it */

struct ms_pace;
struct ms_pace_kind;

struct ms_pace *ms_pace_new(void);
void ms_pace_free(struct ms_pace *pace); /* takes NULL */

/* What is known of a kind; owned by `pace`.  NULL: there are too many kinds
 * to know this one, too. */
struct ms_pace_kind *ms_pace_find(struct ms_pace *pace, const char *kind);

/* A job of the kind ran this long.  Takes NULL. */
void ms_pace_ran(struct ms_pace_kind *kind, int64_t run_us);

/* How many jobs of the kind one slot may hold, the running one included: 1 for
 * a kind that is long, unknown, or NULL. */
int ms_pace_depth(const struct ms_pace_kind *kind);

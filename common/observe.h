/*
 * observe: what is kept for people to look at: events, and a line of figures a
 * minute for each queue (lua/observe.lua, lua/roll.lua).
 *
 * Pods tell about once a second, off the way of the jobs; the leader's roll
 * makes lines of what they told.  A line stays for 31 days.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/lease.h"
#include "common/reply.h"

#define MS_OBSERVE_EVENTS_MAX 250 /* a call */

struct ms_event {
    const char *type; /* started done failed throttled released summary */
    const char *id, *kind, *detail; /* "" for none */
    int64_t age_ms;                 /* how long ago it happened */
};

/* What is added to a field of this minute's counts. */
struct ms_minute_count {
    char field[16]; /* done failed throttled released; p<bucket> and r<bucket>
                       of the waiting and run times (common/histogram.h), in
                       microseconds */
    int64_t n;
};

/* `number` is the call's own: one that is not above the last one of this pod
 * and queue was told already, and counts no second time. */
void ms_observe_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                      int64_t number, const struct ms_event *events,
                      size_t n_events, const struct ms_minute_count *counts,
                      size_t n_counts);
enum ms_err ms_observe_parse(const struct ms_reply *reply,
                             struct ms_error *error);

/* ---- a minute's line ---- */

struct ms_minute_times {
    int64_t p50_us, p95_us, p99_us;
};

struct ms_minute_line {
    int64_t minute; /* since the epoch */
    int64_t done, failed, dead, throttled, cancelled, released, crashed;
    int64_t enqueued;
    int64_t ready, running; /* as they stood when the line was made */
    struct ms_minute_times waited, ran;
};

/* The lines of one hour (since the epoch): field minute, value line. */
void ms_minute_lines_build(struct ms_cmd *cmd, const char *fleet,
                           const char *queue, int64_t hour);

/* Reads one line; false for one of another shape. */
bool ms_minute_line_parse(const char *minute, const char *text,
                          struct ms_minute_line *out_line);

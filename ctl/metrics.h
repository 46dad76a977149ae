/*
 * metrics: what the leader's roll has kept of a queue, minute by minute
 * (common/observe.h), over a span of time.
 *
 * A minute without any job has no line.  The newest line is of the last minute
 * that is over, and comes some seconds after its end.
 */
#pragma once

#include "common/observe.h"
#include "ctl/client.h"

#define MS_METRICS_LAST_MAX_MS ((int64_t)30 * 86400 * 1000)

/* The lines of one queue, oldest first, and their sums. */
struct ms_metrics {
    struct ms_minute_line *lines;
    size_t n;
    /* Counts added up; of the times the worst minute's; `minute`, `ready` and
     * `running` are the newest line's. */
    struct ms_minute_line sum;
};

/* Reads the lines of minutes from..to (both included, since the epoch).  A line
 * that is none is left out.  On success free with ms_metrics_done(). */
enum ms_err ms_metrics_read(struct ms_client *client, const char *queue,
                            int64_t from, int64_t to,
                            struct ms_metrics *out_metrics,
                            struct ms_error *error);
void ms_metrics_done(struct ms_metrics *metrics);

/* Adds one line, for whoever makes metrics by hand; lines come in any order
 * until ms_metrics_close() sorts and sums them. */
void ms_metrics_add(struct ms_metrics *metrics,
                    const struct ms_minute_line *line);
void ms_metrics_close(struct ms_metrics *metrics);

/* Writes an object: {"name", the sum's fields, "totals": {}, "minutes": []}.
 * `stats` is the HGETALL of the queue's totals since ever, which `totals` has
 * whole, those that are missing as 0. */
void ms_metrics_to_json(const struct ms_metrics *metrics, const char *queue,
                        const struct ms_reply *stats, struct ms_json *json);

/*
 * meter: what the benchmarks share.  They measure muster and a raw Redis
 * reference in the same run, and print both and their ratio; a machine's
 * own speed then matters less.  Nothing here asserts a time.
 */
#pragma once

#include <stdint.h>

#include "tests/support/support.h"

/* ---- what Redis says of itself ---- */

/* CPU time of the server's process in us, user and system. */
double ms_meter_cpu_us(struct ms_test_redis *server);
/* CPU time of its thread alone in us, exact and at once (Linux schedstat);
 * INFO is not asked, so that the asking costs the server nothing. */
double ms_meter_thread_us(const struct ms_test_redis *server);
/* What the last command took inside the server, in us of time: SLOWLOG, which
 * must log everything (CONFIG SET slowlog-log-slower-than 0). */
double ms_meter_last_us(struct ms_test_redis *server);
int64_t ms_meter_memory(struct ms_test_redis *server); /* used_memory */
/* Calls of all commands, those from inside scripts too; of one command. */
int64_t ms_meter_calls(struct ms_test_redis *server);
int64_t ms_meter_calls_of(struct ms_test_redis *server, const char *command);

/* ---- a raw client ---- */

/* Builds request `i` of a run. */
typedef void ms_meter_build_fn(struct ms_cmd *cmd, int64_t i, void *arg);

/* Sends n requests over one connection, `depth` at a time, each batch when the
 * one before has been answered. */
void ms_meter_pipeline(struct ms_test_redis *server, int64_t n, int depth,
                       ms_meter_build_fn *build, void *arg);

/* ---- MONITOR: when Redis ran what, in us by its clock ---- */

struct ms_monitor;
struct ms_monitor *ms_monitor_start(struct ms_test_redis *server);
void ms_monitor_stop(struct ms_monitor *monitor); /* takes NULL */
/* Reads on until a command whose line holds `part`, and returns when it ran;
 * -1 when none came for timeout_ms. */
int64_t ms_monitor_wait(struct ms_monitor *monitor, const char *part,
                        int timeout_ms);

/* ---- results ---- */

struct ms_samples {
    double *values;
    size_t n, cap;
};
void ms_samples_add(struct ms_samples *samples, double value);
/* part: 0.5 for the median.  Sorts. */
double ms_samples_at(struct ms_samples *samples, double part);
void ms_samples_done(struct ms_samples *samples);

/* One line: what, muster's figure, the reference's, muster / reference. */
void ms_meter_head(const char *title);
void ms_meter_line(const char *what, const char *unit, double muster,
                   double reference);
/* One without a reference. */
void ms_meter_alone(const char *what, const char *unit, double muster);

/*
 * wait: until a job has ended.
 *
 * Asks gently, 50 ms apart at first and 500 ms later, for the state alone.
 */
#pragma once

#include "common/job.h"
#include "ctl/ctl.h"

/* Reads --timeout; "none" is -1, no limit. */
enum ms_err ms_wait_timeout(const struct ms_ctl *ctl, int64_t fallback_ms,
                            int64_t *out_ms, struct ms_error *error);

/* Called once a round; `last`: the wait is over, and the job is printed
 * next. */
typedef enum ms_err ms_wait_fn(void *arg, bool last, struct ms_error *error);

/* Waits, prints the job, and sets the exit code: 0 done, 4 dead, 5 not ended
 * in time (the job is printed as it stands).  Ctrl-C: exit code 130 and nothing
 * printed.  MS_ENOENT: no such job, or its record went meanwhile. */
enum ms_err ms_wait_job(struct ms_ctl *ctl, const char *queue, const char *id,
                        int64_t timeout_ms, ms_wait_fn *round, void *arg,
                        struct ms_error *error);

/* Prints one job. */
enum ms_err ms_wait_print_job(const struct ms_ctl *ctl,
                              const struct ms_job *job, struct ms_error *error);

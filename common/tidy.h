/*
 * tidy: the leader's bounded steps over one queue: reap, unpark, sweep, retain,
 * roll.
 *
 * Each shows the leader's epoch (MS_ESTALE: a newer leader was here) and says
 * whether there is more to do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/reply.h"

/* Stamps the epoch on a queue, before a leader's first duty there. */
void ms_stamp_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    int64_t epoch);

/* Takes back expired leases, and every lease of `gone_pod` (NULL: none); also
 * moves due jobs to ready.  At most 100 a call. */
void ms_reap_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                   int64_t epoch, const char *gone_pod);

/* Wakes the queue's pods where a parked job's kind is in `kinds` (all that the
 * live ones can run): their claims move it back.  Jobs whose kind has not been
 * there for ten minutes end as dead, "no handler", at most 100 a call. */
void ms_unpark_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch, const char *kinds);

/* Goes on stopping or reviving the children of batches that ask for it, at most
 * 50 a call. */
void ms_sweep_batches_build(struct ms_cmd *cmd, const char *fleet,
                            const char *queue, int64_t epoch);

/* Deletes done and dead jobs past the queue's retention by age and by count,
 * at most 500 a call. */
void ms_retain_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch);

/* Makes lines of the minutes that have finished, for 31 days; at most 20 a
 * call.  See common/observe.h. */
void ms_roll_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                   int64_t epoch);

struct ms_tidy_answer {
    bool more;
    int64_t n;           /* reaped, kinds to unpark, deleted, lines */
    int64_t n_dead;      /* of them: poisoned; no handler; deleted dead */
    int64_t next_due_ms; /* reap: the next end of a lease or due job; 0 */
};
enum ms_err ms_tidy_parse(const struct ms_reply *reply,
                          struct ms_tidy_answer *out_answer,
                          struct ms_error *error);

/*
 * chore: a periodic task that calls one bounded script for every queue, over
 * and over until there is no more to do.
 *
 *     IDLE --start--> LOOKING (at the view) --> SWEEPING --> IDLE
 */
#pragma once

#include "coordinator/duty.h"

struct ms_chore;

struct ms_chore_def {
    const char *name; /* of the task */
    int64_t interval_ms;
    int calls_max; /* a queue and run; the rest waits for the next */
    /* Builds the call; answered as ms_tidy_parse() reads it. */
    void (*build)(struct ms_cmd *cmd, const char *fleet, const char *queue,
                  int64_t epoch);
    const char *event; /* logged for a queue in which something was done */
};

/* retain: deletes done and dead jobs past their queue's retention. */
extern const struct ms_chore_def ms_chore_retain;
/* batches: goes on stopping or reviving the children of batches. */
extern const struct ms_chore_def ms_chore_batches;
/* roll: makes a line of figures of each finished minute. */
extern const struct ms_chore_def ms_chore_roll;

/* Adds the task to the duty's registry.  Free after the registry. */
struct ms_chore *ms_chore_new(const struct ms_duty *duty,
                              const struct ms_chore_def *def);
void ms_chore_free(struct ms_chore *chore); /* takes NULL */

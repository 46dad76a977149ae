/*
 * import_run: moves one import forward, step by step, for the leader.
 *
 *   IDLE --look--> READING --what ms_import_decide() says--> IDLE (wait)
 *     ^               ^ |
 *     |  failed       | +--> PLANNING   a child looks at the source
 *     '--- any ---    | +--> LOADING    the dataset's record
 *                     | +--> ACTING     a script: spawn, phase, children,
 *                     | |               conclude; the shards' close
 *                     | +--> ASKING     why it ends as dead
 *                     '-'    each then reads again, until there is no more
 *
 * Nothing is remembered that matters: a run can be thrown away in any state
 * and begun anew by somebody else.  What it keeps is for speed: line ends that
 * the planner found ahead.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_import_run;

/* The run has looked, done what there was to do, and is idle: MS_OK, or why it
 * could not; MS_ENOENT: the parent waits no more, forget the run (it may be
 * freed from inside). */
typedef void ms_import_run_fn(struct ms_import_run *run, enum ms_err err,
                              const char *text, void *arg);

/* `planners`: children that all runs together have; borrowed.  A run that
 * finds MS_IMPORT_PLANNERS_MAX of them looks again later. */
#define MS_IMPORT_PLANNERS_MAX 8
struct ms_import_run *ms_import_run_new(const struct ms_duty *duty,
                                        const char *queue, const char *id,
                                        int *planners, ms_import_run_fn *fn,
                                        void *arg);
void ms_import_run_free(struct ms_import_run *run); /* takes NULL */

/* Looks, unless it is at it already; and by itself again in `again_ms`, as
 * long as it succeeds. */
void ms_import_run_look(struct ms_import_run *run, int64_t max_workers,
                        int64_t again_ms);

const char *ms_import_run_queue(const struct ms_import_run *run);
const char *ms_import_run_id(const struct ms_import_run *run);

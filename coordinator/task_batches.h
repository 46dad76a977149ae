/*
 * task_batches: goes on stopping or reviving the children of batches, in the
 * bounded steps of lua/sweep.lua.
 *
 *     IDLE --start--> LOOKING (at the view) --> SWEEPING --> IDLE
 *
 * Batches end without it.  It only spares the children of a stopped batch that
 * are due much later the wait for a claim that ends them.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_batches;

/* Adds the task "batches" to the duty's registry.  Free after the registry. */
struct ms_batches *ms_batches_new(const struct ms_duty *duty);
void ms_batches_free(struct ms_batches *batches); /* takes NULL */

/*
 * task_plan: finds parents that wait, and moves those that are imports.
 *
 *   IDLE -> LOOKING (at the view) -> LISTING (pages of `waiting`) -> IDLE
 *
 * Each import has a run of its own (import_run.h), which goes on between the
 * ticks; a tick only finds new ones and wakes those that stopped at an error.
 * What a run could not do is the task's last error.  Parents of other kinds are
 * left alone.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_plan;

/* Adds the task "plan" to the duty's registry.  Free after the registry. */
struct ms_plan *ms_plan_new(const struct ms_duty *duty);
void ms_plan_free(struct ms_plan *plan); /* takes NULL */

/* A term has ended: the runs go. */
void ms_plan_reset(struct ms_plan *plan);

/*
 * task_retain: deletes done and dead jobs past their queue's retention.
 *
 *     IDLE --start--> LOOKING (at the view) --> SWEEPING --> IDLE
 */
#pragma once

#include "coordinator/duty.h"

struct ms_retain;

/* Adds the task "retain" to the duty's registry.  Free after the registry. */
struct ms_retain *ms_retain_new(const struct ms_duty *duty);
void ms_retain_free(struct ms_retain *retain); /* takes NULL */

/*
 * task_reap: takes back what nobody holds any more.
 *
 *   IDLE -> LOOKING -> REAPING -> BURYING -> UNPARKING -> IDLE
 *
 * Expired leases of every queue, whatever their jobs' kind; all leases of pods
 * that have missed six beats, after which the pod's own records go; and, every
 * few runs, parked jobs for whose kind a pod has come.  All of it in bounded
 * steps.  A pod is buried only when nothing of it is left in any queue, and
 * only if it has not beaten since: one that was merely frozen comes back as it
 * is, its old leases fenced off.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_reap;

/* Adds the task "reap" to the duty's registry.  Free after the registry. */
struct ms_reap *ms_reap_new(const struct ms_duty *duty);
void ms_reap_free(struct ms_reap *reap); /* takes NULL */

/*
 * task_rebalance: shares the queues' slots out over the pods.
 *
 *   IDLE -> LOOKING (at the view) -> READING (what is assigned)
 *                                       '-> WRITING (what differs) -> IDLE
 *
 * Every 5 s, and at once when a pod joins, leaves or drains, or a max_workers
 * changes: while we lead, a watch reads each queue's members and cap twice a
 * second and pokes the task when they are not what they were.  Pods whose
 * share has changed find "slots" in their inbox.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_rebalancer;

/* Adds the task "rebalance" to the duty's registry.  Free after the
 * registry. */
struct ms_rebalancer *ms_rebalancer_new(const struct ms_duty *duty);
void ms_rebalancer_free(struct ms_rebalancer *rebalancer); /* takes NULL */

/*
 * rebalance: who gets how many slots of which queue.  Arithmetic alone: no
 * Redis, no clock, no memory of its own between calls.
 *
 * A queue's max_workers is split evenly over the pods that declared it, what
 * does not divide goes to the lowest ids.  Where that fits into every pod's
 * concurrency it is the answer, and since a fair share only falls when a pod
 * joins and only grows when one leaves, no slot moves without need.
 *
 * Where it does not fit, queues take turns for what there is, so that none
 * starves and no slot stays unused that a queue could have; then as much as
 * can be of the current assignment is kept, and slots move only where that
 * makes a queue's split fairer.
 *
 * Where there are even fewer slots than queues, some get none.  The caller then
 * raises `turn` from run to run, and each queue has a slot in its time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS_QUEUE_SLOTS_MAX 64 /* of one queue on one pod */

/* Pods in ascending order of their ids.  A matrix has a row of `n_pods` for
 * each queue. */
struct ms_rebalance {
    size_t n_queues, n_pods;
    const int64_t *max_workers; /* a queue */
    const int64_t *concurrency; /* a pod */
    const bool *declared;       /* matrix */
    const int64_t *current;     /* matrix; what was assigned until now */
    size_t turn;                /* any number: which queue is served first */
};

/* Fills the matrix `out_slots`.  Returns how many queues that pods serve and
 * that may run jobs got no slot at all. */
size_t ms_rebalance(const struct ms_rebalance *in, int64_t *out_slots);

/*
 * sweep: one bounded script, called over and over until there is no more to
 * do, for many items (queues, or pods of queues) side by side.
 *
 * An item that fails is left alone until the next sweep, and the others go on;
 * one that never comes to an end is left after `calls_max`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/tidy.h"
#include "coordinator/gate.h"

struct ms_sweep;

struct ms_sweep_item {
    char *queue;
    char *what; /* the caller's: a pod's id, a list of kinds; NULL: none */
};

/* Builds the next call for an item. */
typedef void ms_sweep_build_fn(struct ms_cmd *cmd,
                               const struct ms_sweep_item *item, void *arg);
/* An item has come to its end; `n` and `n_dead` are the sums of its calls.
 * May be NULL. */
typedef void ms_sweep_item_fn(const struct ms_sweep_item *item, enum ms_err err,
                              const struct ms_tidy_answer *sum, void *arg);
/* All have; `err` and `text` of the first that failed. */
typedef void ms_sweep_done_fn(enum ms_err err, const char *text, void *arg);

struct ms_sweep_options {
    const char *mod; /* for the log */
    int calls_max;   /* an item */
    ms_sweep_build_fn *build;
    ms_sweep_item_fn *ended;
    ms_sweep_done_fn *done;
    void *arg;
};

/* Borrows the gate.  Add items, then run: `done` comes from the loop. */
struct ms_sweep *ms_sweep_new(struct ev_loop *loop, struct ms_gate *gate,
                              const struct ms_sweep_options *options);
/* Takes NULL.  The caller cancels the gate first. */
void ms_sweep_free(struct ms_sweep *sweep);

/* Copies `queue`; takes `what`. */
void ms_sweep_add(struct ms_sweep *sweep, const char *queue, char *what);
void ms_sweep_run(struct ms_sweep *sweep);

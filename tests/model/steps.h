/*
 * steps: what can happen to a queue.  Each does it in Redis, then in the
 * model, and compares the answers.
 */
#pragma once

#include "tests/model/world.h"

/* Producers. */
void step_enqueue(struct world *w);
void step_repeat_call(struct world *w);
/* Pods. */
void step_claim(struct world *w);
void step_finish(struct world *w);
void step_renew(struct world *w);
void step_release(struct world *w);
/* Time, and who is gone. */
void step_time(struct world *w);
void step_reap(struct world *w);
/* Operators. */
void step_cancel(struct world *w);
void step_retry(struct world *w);
void step_run_now(struct world *w);
void step_delete(struct world *w);
void step_bulk(struct world *w);
void step_pause(struct world *w);
void step_configure(struct world *w);
/* The leader. */
void step_unpark(struct world *w);
void step_retain(struct world *w);
void step_parent(struct world *w);
void step_spawn(struct world *w);
void step_phase(struct world *w);
void step_conclude(struct world *w);
void step_children(struct world *w);
/* Batches. */
void step_family(struct world *w);
void step_sweep(struct world *w);

/* Shared. */
int any_job(struct world *w);
int any_pod(struct world *w);
void set_number(struct world *w, const char *field, int64_t *to, int64_t value);
/* Claims, and learns what was lent. */
void claim_as(struct world *w, int pod, int limit, const char *kinds);

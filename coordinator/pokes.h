/*
 * pokes: runs of periodic tasks that operators ask for (`musterctl task run`).
 *
 * Whoever wants a task to run adds its name to the set ms:{F}:pokes; the leader
 * takes names out every half second and pokes those tasks.  A name taken by a
 * leader that dies then is lost: the operator, who waits for the run, sees so.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_pokes;

/* Copies `duty`. */
struct ms_pokes *ms_pokes_new(const struct ms_duty *duty);
void ms_pokes_free(struct ms_pokes *pokes); /* takes NULL */

/* A term begins; a term ends.  Both may be called in any state. */
void ms_pokes_start(struct ms_pokes *pokes);
void ms_pokes_stop(struct ms_pokes *pokes);

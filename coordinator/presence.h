/*
 * presence: which pods' connections Redis sees.
 *
 * A pod that was killed misses its beats for half a minute before it counts as
 * gone; but its connections close in the same moment, and each carries the
 * pod's id as its name.  While it runs, this reads CLIENT LIST a few times a
 * second and says that a pod has gone when it was seen there and then was not
 * for a while (a pod that merely connects again is back sooner).  That may be
 * wrong, and is safe all the same: the fence keeps such a pod from changing
 * anything that was given away.
 *
 * After a connection of our own was lost nobody has been seen: Redis was away,
 * and everybody comes back in their own time.  Where CLIENT LIST is forbidden
 * the beats alone decide.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "common/redis.h"
#include "coordinator/leader.h"

struct ms_presence;

/* Another pod has gone. */
typedef void ms_presence_fn(void *arg);

/* Borrows all; `fn` is called from the loop. */
struct ms_presence *ms_presence_new(struct ev_loop *loop,
                                    struct ms_redis *redis,
                                    const struct ms_term *term,
                                    ms_presence_fn *fn, void *arg);
void ms_presence_free(struct ms_presence *presence); /* takes NULL */

/* With a term, from its start to its end. */
void ms_presence_start(struct ms_presence *presence);
void ms_presence_stop(struct ms_presence *presence);

/* Was it seen, and is it no more? */
bool ms_presence_is_gone(const struct ms_presence *presence, const char *pod);

/* Reads one CLIENT LIST at the time `now_ms`; for tests.  True when a pod has
 * gone that had not before. */
bool ms_presence_read(struct ms_presence *presence, const char *list,
                      int64_t now_ms);

/*
 * gate: the only door by which a duty sends to Redis.
 *
 * Each duty has one.  It lets a request pass only while the leader's term is
 * trusted, at the moment of sending, so that a process that was frozen in the
 * middle of a duty does nothing more in the leader's name; and it knows all
 * that is under way, so that a duty is stopped by one call.
 */
#pragma once

#include <ev.h>
#include <stddef.h>

#include "common/redis.h"
#include "coordinator/leader.h"

struct ms_gate;

/* Borrows all three. */
struct ms_gate *ms_gate_new(struct ev_loop *loop, struct ms_redis *redis,
                            const struct ms_term *term);
void ms_gate_free(struct ms_gate *gate); /* takes NULL; cancels */

/* As ms_redis_send() with the connection's deadline.  MS_ESTALE, from the next
 * turn of the loop, where the term is not trusted. */
void ms_gate_send(struct ms_gate *gate, struct ms_cmd *cmd, ms_reply_fn *fn,
                  void *arg);

/* No callback of this gate will be called. */
void ms_gate_cancel(struct ms_gate *gate);

/* Requests not called back yet. */
size_t ms_gate_pending(const struct ms_gate *gate);

/* The epoch that the requests show. */
int64_t ms_gate_epoch(const struct ms_gate *gate);

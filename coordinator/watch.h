/*
 * watch: notices that pods, drains, caps or waiting parents have changed,
 * cheaply.
 *
 * While it runs it reads, four times a second, the members of each queue, its
 * max_workers and its newest parent, and calls back when a hash over all of it
 * has changed.  With very many queues it looks less often.
 */
#pragma once

#include <ev.h>

#include "common/redis.h"
#include "coordinator/leader.h"

struct ms_watch;
typedef void ms_watch_fn(void *arg);

/* Borrows all; `fn` is called from the loop. */
struct ms_watch *ms_watch_new(struct ev_loop *loop, struct ms_redis *redis,
                              const char *fleet, const struct ms_term *term,
                              ms_watch_fn *fn, void *arg);
void ms_watch_free(struct ms_watch *watch); /* takes NULL */

/* Both may be called in any state. */
void ms_watch_start(struct ms_watch *watch);
void ms_watch_stop(struct ms_watch *watch);

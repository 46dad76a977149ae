/*
 * wake: the connection on which an idle pod waits.
 *
 * One BLPOP on the pod's inbox and on the wake lists of the queues that could
 * start a job now.  A queue that becomes free while a BLPOP without it is
 * blocked gets it unblocked; a token that arrives for a queue that is full by
 * then is put back for another pod.
 *
 *     DOWN --up--> NAMING (CLIENT ID) --> BLOCKED --token, message, end--+
 *      ^                                     ^ (after a second: refused) |
 *      '------------- connection lost        '------ the next BLPOP -----'
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "common/redis.h"

struct ms_wake;

struct ms_wake_events {
    /* A token of this queue: look.  False: it cannot claim now, and the token
     * goes back. */
    bool (*token)(size_t queue, void *arg);
    /* Can this queue start a job now? */
    bool (*is_waiting)(size_t queue, void *arg);
    /* A message of the inbox. */
    void (*message)(const char *text, void *arg);
    /* The connection answered: the pod hears Redis. */
    void (*heard)(void *arg);
};

struct ms_wake_options {
    const struct ms_redis_options *redis;
    struct ms_redis *main; /* borrowed: unblocks, puts tokens back */
    const char *fleet, *pod;
    char *const *queues; /* NULL-terminated, borrowed */
    int block_ms;        /* how long to wait in one go, at most; 0: 10 s */
    const struct ms_wake_events *events;
    void *arg;
};

enum ms_err ms_wake_new(struct ev_loop *loop,
                        const struct ms_wake_options *options,
                        struct ms_wake **out_wake, struct ms_error *error);
void ms_wake_free(struct ms_wake *wake); /* takes NULL */
void ms_wake_start(struct ms_wake *wake);

/* Which queues wait may have changed.  Cheap when nothing did. */
void ms_wake_step(struct ms_wake *wake);

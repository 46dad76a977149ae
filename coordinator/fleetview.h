/*
 * fleetview: what the leader knows of queues and pods, read anew when a task
 * asks for it.
 *
 *           refresh                 all read               all read
 *    IDLE ----------> LISTING ------------------> READING ----------> IDLE
 *      ^                 |  queues, pods, time      new pods and queues (all,
 *      '-----------------'  failed                  if asked), stamps
 *
 * A queue's name appears here before the leader has done anything to it; it
 * is *stamped* once its own record of the newest leader shows our epoch, and
 * until then no duty may touch it.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/redis.h"
#include "coordinator/leader.h"
#include "coordinator/presence.h"

struct ms_view;

struct ms_view_queue {
    struct ms_view *view;
    char *name;
    int64_t max_workers;
    int64_t ttl_ms;  /* of the leases there; 0: nobody has claimed yet */
    int64_t stamped; /* the epoch that we stamped it with; 0: none */
    bool read;       /* max_workers is the queue's */
    bool kept;       /* while a new list is made */
};

struct ms_view_pod {
    struct ms_view *view;
    char *id;
    int64_t heartbeat_ms;
    bool kept; /* while a new list is made */
    bool live; /* it has beaten lately */
    bool read; /* what follows is known; false when its record has gone */
    bool draining;
    int64_t concurrency;
    char **queues; /* NULL-terminated */
    char *kinds;   /* ",noop.echo,py.*," */
};

/* Borrows `fleet` and the term.  A pod is live for `gone_after_ms` after its
 * heartbeat, by Redis's clock. */
struct ms_view *ms_view_new(struct ev_loop *loop, struct ms_redis *redis,
                            const char *fleet, const struct ms_term *term,
                            int64_t gone_after_ms);
void ms_view_free(struct ms_view *view); /* takes NULL */

/* Pods that it says are gone are not live; NULL: the beats alone decide. */
void ms_view_set_presence(struct ms_view *view,
                          const struct ms_presence *presence);

/* Forgets everything, and who waits: a term has ended. */
void ms_view_reset(struct ms_view *view);

/* Reads lists, what is new, and, if `all`, every pod and every setting again.
 * One round serves all who asked before it began.  `fn` is called from the
 * loop: MS_OK, or why the lists could not be read (then the view is as it was);
 * a pod or queue that could not be read is as it was, too. */
typedef void ms_view_fn(enum ms_err err, void *arg);
void ms_view_refresh(struct ms_view *view, bool all, ms_view_fn *fn, void *arg);
/* Drops callbacks with this `arg`. */
void ms_view_forget(struct ms_view *view, void *arg);

/* In ascending order of names and ids; good until the next refresh begins. */
size_t ms_view_n_queues(const struct ms_view *view);
const struct ms_view_queue *ms_view_queue_at(const struct ms_view *view,
                                             size_t i);
size_t ms_view_n_pods(const struct ms_view *view);
const struct ms_view_pod *ms_view_pod_at(const struct ms_view *view, size_t i);

/* May duties touch it?  Read, and stamped with the term's epoch. */
bool ms_view_queue_is_ready(const struct ms_view_queue *queue);

/* NULL where there is none of that name. */
const struct ms_view_queue *ms_view_find_queue(const struct ms_view *view,
                                               const char *name);

/* Did the pod declare this queue? */
bool ms_view_pod_serves(const struct ms_view_pod *pod, const char *queue);

/* The kinds that live pods of a queue can run, as unpark wants them; NULL when
 * it has no live pod.  Returns a new string. */
char *ms_view_kinds_of(const struct ms_view *view, const char *queue);

/* Redis's clock at the last listing. */
int64_t ms_view_now_ms(const struct ms_view *view);

/*
 * station: the pod's side of one queue: what it holds there, and all that it
 * says to it.
 *
 *     (nothing) --claim--> claimed --slot--> running --ended--> ended
 *                             |                 |                 |
 *                             |                 |     finish call, with the
 *                             '--- release -----+       next claim in it
 *
 * One call (finish and claim together) is under way at a time, one renewal and
 * one release beside it.  What comes in meanwhile travels together in the
 * next; with none under way it goes at once.  So batches grow with the load
 * by themselves, and an idle queue has no delay.
 *
 * A call that failed for want of Redis is sent again, unchanged in meaning:
 * scripts answer ok to a finish that took effect before.  A claim whose answer
 * was lost is found by the next renewal, which names the leases that it did
 * not mention; those go back at no cost.
 *
 * `hungry` says that a claim may find something: a token came, the last claim
 * left jobs behind, the fallback poll is due, the connection is new.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/lease.h"
#include "common/redis.h"
#include "worker/held.h"
#include "worker/slots.h"

/* What all stations of a pod share; owned by the worker, outlives them. */
struct ms_station_env {
    struct ev_loop *loop;
    struct ms_redis *redis;
    struct ms_slots *slots;
    const char *fleet, *pod;
    const struct ms_conf *conf; /* what it says of kinds; NULL: nothing */
    const char *kinds;          /* what the slots can run */
    int64_t ttl_ms;
    bool draining;
    int reserved;     /* slots for jobs that claims under way may bring, and
                         for those that wait for a token */
    int64_t heard_ms; /* monotonic: last answer to a claim or a wait */
    /* An answer came: capacity, hunger or an empty station while draining.  The
     * worker steps all stations then, each of them first in its turn, since
     * what one has not used another may be waiting for. */
    void (*changed)(void *arg);
    void *arg;
};

struct ms_station *ms_station_new(struct ms_station_env *env,
                                  const char *queue);
/* Forgets calls under way; frees the jobs.  Slots must be gone by then. */
void ms_station_free(struct ms_station *station);
const char *ms_station_queue(const struct ms_station *station);

/* What the heartbeat learnt: this pod's share (-1: none assigned), live pods of
 * the queue; and the cap, from the seed's answer. */
void ms_station_set_share(struct ms_station *station, int64_t assigned,
                          int64_t pods);
void ms_station_set_cap(struct ms_station *station, int64_t max_workers);

/* The queue's settings may have changed: reads the cap, and looks again. */
void ms_station_configured(struct ms_station *station);

/* A message or a change says: look again. */
void ms_station_wake(struct ms_station *station);

/* A token says so.  False: nobody of this pod looks at once, so that it should
 * go to another; this one looks as soon as it has room. */
bool ms_station_take_token(struct ms_station *station);

/* The connection is up, for the first time or again: renews everything first,
 * then goes on.  Before the first time nothing happens by itself. */
void ms_station_reconnected(struct ms_station *station);

/* Sends what can be sent now.  Cheap when there is nothing. */
void ms_station_step(struct ms_station *station);

/* Has it nothing to look for, and would like to hear of something?  Then the
 * worker waits for the queue's tokens.  A full pod does so as well, once: else
 * a queue whose jobs come while others keep the slots busy would be found by
 * the poll alone. */
bool ms_station_is_waiting(const struct ms_station *station);

/* Free slots of its share; what a claim may fill besides what runs ahead. */
int ms_station_room(const struct ms_station *station);

/* ---- events of its jobs, from slots ---- */
void ms_station_on_started(struct ms_held *held);
void ms_station_on_checkpoint(struct ms_held *held,
                              struct ms_checkpoint *checkpoint);
void ms_station_on_ended(struct ms_held *held, struct ms_ending *ending);
void ms_station_on_returned(struct ms_held *held);

/* ---- stopping ---- */

/* Somebody cancelled this job, or this parent and so its children; nothing
 * happens if none is here. */
void ms_station_cancel(struct ms_station *station, const char *id);

/* Drains: what has not begun goes back, handlers that can resume are asked
 * to. */
void ms_station_drain(struct ms_station *station);

/* The grace is over: every job that is left goes back. */
void ms_station_give_up(struct ms_station *station);

/* Nothing held, nothing under way, no claim of which that is unknown, and all
 * is told that Redis could be told. */
bool ms_station_is_empty(const struct ms_station *station);

/* Jobs held, and jobs ended whose outcome is not committed yet. */
int ms_station_held(const struct ms_station *station);

/*
 * slots: the pod's child processes, and which job runs in which.
 *
 * Handlers may block, leak or crash.  They do so in a child (slot.h), and the
 * worker's loop keeps renewing leases meanwhile.  Children are spawned on
 * demand, stay warm between jobs, and are replaced when they die.
 *
 * A job is given to a slot that is idle; a job of a kind that takes less than
 * about two milliseconds (measured) may also be queued behind another in the
 * same slot, so that no-op jobs stream.  What is queued can be taken back: a
 * word in memory shared with the child (lane.h) says which jobs it has begun,
 * and which it may not begin any more.  When a job turns out to be long, those
 * behind it come back through `returned` and go to other slots.
 */
#pragma once

#include <ev.h>

#include "common/buf.h"
#include "common/conf.h"
#include "worker/held.h"
#include "worker/routes.h"

struct ms_slots;

/* None is called from inside a call into slots, but from the loop. */
struct ms_slots_events {
    /* The job began in its child (started_us is set). */
    void (*started)(struct ms_held *held, void *arg);
    /* Takes what the checkpoint holds. */
    void (*checkpoint)(struct ms_held *held, struct ms_checkpoint *checkpoint,
                       void *arg);
    /* The job ended; takes what `ending` holds.  It left its slot. */
    void (*ended)(struct ms_held *held, struct ms_ending *ending, void *arg);
    /* It never ran; it is the caller's to place again.  May follow started(),
     * when the child was slower than the order to stop, or died just then. */
    void (*returned)(struct ms_held *held, void *arg);
    /* Several of the above may have come; capacity may have changed.  Called
     * once after each batch of events: the place to claim and finish. */
    void (*settled)(void *arg);
};

struct ms_slots_options {
    const struct ms_conf *conf; /* borrowed while slots lives */
    const char *conf_path;      /* children read the same file; NULL: none */
    const struct ms_routes *routes; /* borrowed; NULL: what is built in */
    const char *pod_id;
    int concurrency;
    const struct ms_slots_events *events;
    void *arg;
    int64_t stop_grace_ms; /* between stop, TERM and KILL; 0: 5000 */
};

/* `loop` must be the default loop, which alone reaps children; this process
 * becomes the one that inherits (and reaps) the orphans of its slots. */
struct ms_slots *ms_slots_new(struct ev_loop *loop,
                              const struct ms_slots_options *options);

/* Kills every child and its programs; no event comes any more.  Takes NULL; not
 * from inside an event. */
void ms_slots_free(struct ms_slots *slots);

/* The kinds that children of this pod can run, as the claim script wants
 * them: ",noop.echo,cmd.exec,py.*,": a star stands for a prefix. */
const char *ms_slots_kinds(const struct ms_slots *slots);

/* Slots that run nothing. */
int ms_slots_idle(const struct ms_slots *slots);

/* How many jobs of short kinds could be queued now behind others; 0 unless
 * the kinds that ran last are all short. */
int ms_slots_room_ahead(const struct ms_slots *slots);

/* Does a job of this kind take so little that it may be queued? */
bool ms_slots_is_short(const struct ms_slots *slots, const char *kind);

/* Gives the job to an idle slot, or queues it behind short ones.  Borrows it
 * until ended() or returned().  False, and nothing happened: no room. */
bool ms_slots_run(struct ms_slots *slots, struct ms_held *held);

/* Asks a job that ms_slots_run() accepted to stop.  Queued: returned().  Begun:
 * its handler is told; when it has not ended 5 s later, its program and slot
 * get TERM, then KILL.  ended() comes in any case, with the outcome that the
 * handler gave (a handler that finished first stays done), CANCELLED or
 * RELEASED otherwise.  A DRAIN is told only to handlers that resume, and kills
 * nobody: how long the others may run on is the worker's grace. */
void ms_slots_stop(struct ms_slots *slots, struct ms_held *held,
                   enum ms_stop reason);

/* A checkpoint of this job was committed up to `seq`; its child may have been
 * waiting to run further ahead. */
void ms_slots_committed(struct ms_slots *slots, struct ms_held *held,
                        int64_t seq);

/* For the pod's record: a JSON array, one object a child: {"slot", "pid",
 * "state", "job", "queue", "kind", "started_ms"}. */
void ms_slots_describe(const struct ms_slots *slots, struct ms_buf *out);
int ms_slots_busy(const struct ms_slots *slots);

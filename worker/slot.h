/*
 * slot: the worker's side of one child process that runs jobs.
 *
 *     EMPTY --give--> STARTING --ready--> UP --died--> EMPTY
 *       ^                |
 *       '---- COOLING <--' died before it was ready
 *
 * Jobs stand in a queue; the first one (the head) is running or about to.
 * What can go wrong with the head:
 *
 *     stop wanted ---.
 *     timed out -----+--> TOLD --5 s--> TERM --5 s--> KILL
 *
 * and whatever happens, each job given is answered once: ended, or returned.
 */
#pragma once

#include <ev.h>

#include "common/val.h"
#include "worker/pace.h"
#include "worker/slots.h"

struct ms_slot;

/* What all slots of a pool share. */
struct ms_slot_pool {
    struct ev_loop *loop;
    struct ms_slots_options options;
    struct ms_pace *pace;
    struct ms_held **returned; /* to be given back in the next turn */
    size_t n_returned, room_returned;
    bool settle; /* something was told, or capacity has changed */
};

/* The next turn gives the job back to the owner of the pool. */
void ms_slot_return_later(struct ms_slot_pool *pool, struct ms_held *held);

/* Borrows the pool.  No process until the first job. */
struct ms_slot *ms_slot_new(struct ms_slot_pool *pool, int number);
/* Kills the child; forgets its jobs.  Takes NULL. */
void ms_slot_free(struct ms_slot *slot);

/* ---- what it could take ---- */
bool ms_slot_is_idle(const struct ms_slot *slot); /* and may be given a job */
bool ms_slot_is_warm(const struct ms_slot *slot); /* has a child that is up */
int ms_slot_jobs(const struct ms_slot *slot);
/* The kind of the job that it was given last; NULL: none or unknown. */
const struct ms_pace_kind *ms_slot_last_kind(const struct ms_slot *slot);
/* How many more jobs of this (short) kind it could take behind others, or, if
 * idle, behind one. */
int ms_slot_room(const struct ms_slot *slot, const struct ms_pace_kind *kind);

/* ---- what it does ---- */

/* Queues the job, starting a child if need be.  False, and nothing happened:
 * no child could be started. */
bool ms_slot_give(struct ms_slot *slot, struct ms_held *held,
                  struct ms_pace_kind *kind);
void ms_slot_stop_job(struct ms_slot *slot, struct ms_held *held,
                      enum ms_stop reason);
void ms_slot_committed(struct ms_slot *slot, struct ms_held *held, int64_t seq);

/* Once a turn: tells that the head has begun, sends what was collected. */
void ms_slot_turn(struct ms_slot *slot);

void ms_slot_describe(const struct ms_slot *slot, struct ms_json *json);

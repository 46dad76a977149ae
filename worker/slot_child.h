/*
 * slot_child: the child's side of a slot: takes jobs from the worker's
 * channel, runs their handlers one after the other, answers.
 *
 *     HELLO --build and configuration fit--> READY
 *     READY --JOB--> (lane: begin) --> handler --> END --> READY
 *     any --channel closed--> the job's program is killed, exit
 *
 * One thread; the handler may block it.  While a handler runs the channel is
 * looked at only through its context (handler.h): jobs that came meanwhile are
 * set aside, STOP and COMMITTED are for the running job.
 *
 * Descriptors: 0 /dev/null, 1 and 2 a pipe to the worker (output.h), 3 the
 * channel, 4 the lane (closed once mapped), 5 the worker's standard error, for
 * our own log.
 */
#pragma once

#include <sys/types.h>

#include "worker/frame.h"
#include "worker/guard.h"
#include "worker/handler.h"
#include "worker/lane.h"
#include "worker/memory.h"
#include "worker/message.h"
#include "worker/routes.h"

#define MS_SLOT_CHANNEL_FD 3
#define MS_SLOT_LANE_FD    4
#define MS_SLOT_LOG_FD     5

/* The exit code of one that has grown too much, between two jobs. */
#define MS_SLOT_EXIT_MEMORY 4

/* `muster-worker --slot`: main() of the child.  Returns the exit code when it
 * was not started by a worker, or not by one of this build; else ends with the
 * channel. */
int ms_slot_main(int argc, char **argv);

/* ---- between slot_child.c and ctx.c ---- */

struct ms_pool_child; /* pool.c */

struct ms_ctx {
    struct ms_slot_child *child;
    uint64_t number;
    const struct ms_held *job;
    const struct ms_route *route;
    struct ms_val payload;
    enum ms_stop stop;
    bool resumes; /* the handler that runs wants to hear of a drain */
    struct ms_ending ending; /* its result points into `result` */
    struct ms_buf result;
    struct ms_buf uncommitted; /* int64_t each: seqs of checkpoints */
    int64_t seq;               /* of the newest checkpoint */
    int64_t progress_at_ms;    /* when it was last told */
};

struct ms_slot_child {
    struct ms_frames frames;
    struct ms_lane lane;
    struct ms_guard guard;
    struct ms_reader jobs, control;
    struct ms_buf waiting; /* JOB frames set aside, in order */
    size_t waiting_at;
    struct ms_conf *conf;
    struct ms_routes *routes;
    struct ms_memory memory;
    struct ms_pool_child *pools; /* as many as conf has; NULL: none yet */
    char *pod;
    struct ev_loop *loop; /* NULL until a handler wants it, as is redis */
    ev_io watcher;
    struct ms_redis *redis;
    struct ms_ctx ctx;
};

/* Reads the channel once and takes in every frame; with `wait` blocks until
 * something comes.  Does not return when the worker is gone. */
void ms_slot_child_pump(struct ms_slot_child *child, bool wait);
/* Sends everything, reading meanwhile. */
void ms_slot_child_send(struct ms_slot_child *child);

/* ---- for handlers that run a program ---- */

/* The program is the leader of its process group `group`, which is killed
 * with the slot.  Once `group` has ended and before it is reaped: 0. */
void ms_ctx_set_program(struct ms_ctx *ctx, pid_t group);

/* By which route the job came here: several kinds share one handler. */
const struct ms_route *ms_ctx_route(const struct ms_ctx *ctx);

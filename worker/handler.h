/*
 * handler: the code that does a job, seen from inside its slot.
 *
 * Runs in a child process and may block.  One job at a time.  The context is
 * its only way out; all that it gives is good until the handler returns.
 */
#pragma once

#include <ev.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/enqueue.h"
#include "common/log.h"
#include "common/redis.h"
#include "worker/held.h"

struct ms_ctx;

typedef enum ms_outcome ms_handler_fn(struct ms_ctx *ctx);

struct ms_handler {
    const char *kind; /* exact, or a start with a star behind */
    ms_handler_fn *run;
    bool resumes; /* goes on from its cursor: a drain hands it back at once;
                     others run on and may end within the grace */
};

/* The built-in handlers, `kind` NULL behind the last (handlers.c). */
extern const struct ms_handler ms_handlers[];

/* ---- what the job is ---- */
const struct ms_held *ms_ctx_job(const struct ms_ctx *ctx);
const msgpack_object *ms_ctx_payload(const struct ms_ctx *ctx);
const struct ms_conf *ms_ctx_conf(const struct ms_ctx *ctx);
const char *ms_ctx_pod(const struct ms_ctx *ctx);

/* ---- what the handler tells ---- */

/* All numbers in `checkpoint` are since the job began.  Copies.  Blocks while
 * more than `max_ahead` checkpoints wait to be committed (0: never), so that
 * what a crash makes read again stays bounded. */
void ms_ctx_checkpoint(struct ms_ctx *ctx,
                       const struct ms_checkpoint *checkpoint, int max_ahead);
void ms_ctx_progress(struct ms_ctx *ctx, double part);

/* Each sets what goes with the outcome that the handler then returns. */
void ms_ctx_set_result(struct ms_ctx *ctx, const void *msgpack, size_t len);
void ms_ctx_set_error(struct ms_ctx *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ms_ctx_set_delay(struct ms_ctx *ctx, int64_t delay_ms);

/* ---- what it must watch ---- */

/* Looks at the channel without blocking.  A handler that takes long asks often
 * and returns MS_CANCELLED (CANCEL, LOST) or, when it can resume, MS_RELEASED
 * (DRAIN).  For one that does not, slots has TERM and KILL. */
enum ms_stop ms_ctx_stop_wanted(struct ms_ctx *ctx);

/* The channel's descriptor, to wait on it beside others: readable means that
 * ms_ctx_stop_wanted() may have changed. */
int ms_ctx_fd(const struct ms_ctx *ctx);

/* The same as a one-shot wait: returns early when a stop is wanted. */
enum ms_stop ms_ctx_sleep(struct ms_ctx *ctx, int64_t ms);

/* ---- rate limits (common/limit.h) ---- */

/* Takes `n` tokens of a scope, waiting for them as long as it takes; the job's
 * time-out stands still meanwhile.  MS_OK: they are the job's.  MS_ECANCELLED:
 * a stop is wanted (ms_ctx_stop_wanted() says which) and nothing was taken.
 * MS_ENOENT: there is no such limit.  MS_EINVAL: a bad name, or more than the
 * bucket ever holds.  While Redis is away it waits, too.  But for MS_OK and
 * MS_ECANCELLED the job's error is set, so that a handler may just fail. */
enum ms_err ms_ctx_acquire(struct ms_ctx *ctx, const char *scope, int64_t n);

/* The scope's target said "too much, come back in `retry_after_ms`": nobody in
 * the fleet gets a token before.  The same errors; MS_EDOWN and the like where
 * Redis could not be told. */
enum ms_err ms_ctx_drain(struct ms_ctx *ctx, const char *scope,
                         int64_t retry_after_ms);

/* ---- new jobs (common/enqueue.h) ---- */

/* Enqueues one over the slot's own connection; `id` NULL: a fresh one.  What
 * the job leaves open its kind says; `queue` NULL: its kind's, else the queue
 * of the running job.  `out_id` has room for MS_JOB_ID_MAX and NUL and takes
 * the id that stands for it.  Whether it is in is unknown after MS_EDOWN and
 * MS_ETIMEOUT: an id of the handler's own choice makes it safe to repeat.  The
 * job's error is set. */
enum ms_err ms_ctx_enqueue(struct ms_ctx *ctx, const char *queue,
                           const struct ms_new_job *job, char *out_id);

/* A line in the worker's log, with the job's id. */
void ms_ctx_log(struct ms_ctx *ctx, enum ms_log_level level, const char *format,
                va_list args);

/* This slot's own loop and Redis connection (made on first use, kept warm).
 * The loop also watches the channel, so that a handler that runs the loop
 * sees a stop.  NULL with an error set where Redis cannot be reached. */
struct ev_loop *ms_ctx_loop(struct ms_ctx *ctx);
struct ms_redis *ms_ctx_redis(struct ms_ctx *ctx);

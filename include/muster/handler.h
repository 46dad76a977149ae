/*
 * muster/handler.h: handlers in C (or C++), as plug-ins of muster-worker.
 *
 *     #include <muster/handler.h>
 *
 *     static int greet(struct muster_ctx *ctx)
 *     {
 *         muster_log(ctx, MUSTER_INFO, "attempt %d", (int)ctx->attempt);
 *         muster_result_json(ctx, "{\"hello\":\"world\"}");
 *         return MUSTER_DONE;
 *     }
 *     MUSTER_HANDLER("c.greet", greet, 0)
 *
 *     cc -shared -fPIC -o greet.so greet.c
 *
 * The worker loads every *.so of the folder worker.handlers_dir, in the order
 * of their names.  Nothing of muster is linked: all that a handler can do comes
 * through its context.
 *
 * A handler runs in a child process of the worker (a slot), one job at a time,
 * and may block.  When it crashes, hangs or leaks, that is this job's matter:
 * the job fails, the slot is replaced.  Global variables live as long as the
 * slot, so connections may be kept from job to job.
 *
 * A job may run twice (after a crash, say); its outcome is committed once.
 * Guard what leaves the system by `fence`, which grows with each run.
 *
 * This header is the whole contract.  MUSTER_ABI goes up when something in it
 * changes its meaning: a plug-in of another version is refused at start.  What
 * is only added goes to the end of muster_api; a plug-in that knows more of it
 * than the worker is refused as well, one that knows less runs on.
 */
#ifndef MUSTER_HANDLER_H
#define MUSTER_HANDLER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MUSTER_ABI 1

/* What a handler returns.  After MUSTER_FAILED the job runs again, as long as
 * it has attempts left. */
enum muster_outcome {
    MUSTER_DONE = 0,
    MUSTER_FAILED = 1,
    MUSTER_DEAD = 2,      /* no further attempt can help */
    MUSTER_THROTTLED = 3, /* the target said "too much": muster_retry_after() */
    MUSTER_CANCELLED = 4, /* it was asked to stop, and did */
    MUSTER_RELEASED = 5   /* handed back at no cost, to go on at its cursor */
};

/* Why a handler should stop, as muster_cancelled() says. */
enum muster_stop {
    MUSTER_GO_ON = 0,
    MUSTER_CANCEL = 1, /* somebody cancelled the job, or it took too long */
    MUSTER_DRAIN = 2,  /* the pod is leaving; only for MUSTER_RESUMES */
    MUSTER_LOST = 3    /* the job is another pod's by now */
};

/* What the functions below return. */
enum muster_err {
    MUSTER_OK = 0,
    MUSTER_EINVAL = 1, /* a wrong argument; the job's error says which */
    MUSTER_ENOENT = 2, /* no such limit */
    MUSTER_ESTOP = 3,  /* a stop is wanted */
    MUSTER_EDOWN = 4,  /* Redis could not be reached */
    MUSTER_EFULL = 5,  /* the queue is full */
    MUSTER_EFAILED = 6 /* anything else; the job's error says what */
};

enum muster_level { MUSTER_DEBUG, MUSTER_INFO, MUSTER_WARN, MUSTER_ERROR };

/* Flags of a handler. */
#define MUSTER_RESUMES                                        \
    1u /* goes on from its cursor: when the pod leaves, it is \
          told (MUSTER_DRAIN), stops and is handed back */

struct muster_api;

/* One run of a job.  All that it holds is good until the handler returns. */
struct muster_ctx {
    const struct muster_api *api;
    const char *id, *queue, *kind;
    int64_t attempt;     /* from 1 */
    int64_t fence;       /* grows with each run of the job */
    const void *payload; /* msgpack */
    size_t payload_len;
    const void *cursor; /* msgpack: where a former run came to; NULL: none */
    size_t cursor_len;
};

/* A job to enqueue.  Begin with MUSTER_JOB(kind, payload). */
struct muster_job {
    size_t size; /* of this struct, as the plug-in knows it */
    const char *kind;
    const char *payload_json; /* NULL: {} */
    const char *id;    /* NULL: a fresh one.  The same id again is no second
                          job: choose it by this job's, and a repeated run
                          does not enqueue twice */
    const char *queue; /* NULL: its kind's in the worker's configuration, else
                          the one that this job is in */
    const char *group; /* NULL: none, as is the unique key */
    const char *unique;
    int priority;                     /* 0 (first) to 9 */
    int64_t delay_ms, expires_in_ms;  /* 0: none */
    int64_t max_attempts, timeout_ms; /* 0: its kind's or queue's */
};
#ifdef __cplusplus
#define MUSTER_JOB(kind, payload_json)                                       \
    {                                                                        \
        sizeof(struct muster_job), (kind), (payload_json), 0, 0, 0, 0, 5, 0, \
            0, 0, 0                                                          \
    }
#else
#define MUSTER_JOB(kind_, payload_json_)                    \
    (struct muster_job)                                     \
    {                                                       \
        .size = sizeof(struct muster_job), .kind = (kind_), \
        .payload_json = (payload_json_), .priority = 5      \
    }
#endif

#define MUSTER_ID_SIZE 129 /* a job's id and its NUL */

/* ---- what a handler can do ---- */

struct muster_api {
    size_t size;
    const char *(*payload_json)(struct muster_ctx *ctx);
    const char *(*cursor_json)(struct muster_ctx *ctx);
    int (*checkpoint)(struct muster_ctx *ctx, const char *cursor_json,
                      double progress);
    int (*checkpoint_msgpack)(struct muster_ctx *ctx, const void *cursor,
                              size_t len, double progress);
    void (*progress)(struct muster_ctx *ctx, double part);
    int (*cancelled)(struct muster_ctx *ctx);
    int (*sleep_ms)(struct muster_ctx *ctx, int64_t ms);
    int (*acquire)(struct muster_ctx *ctx, const char *scope, int64_t tokens);
    int (*drain)(struct muster_ctx *ctx, const char *scope,
                 int64_t retry_after_ms);
    int (*enqueue)(struct muster_ctx *ctx, const struct muster_job *job,
                   char *out_id);
    void (*log)(struct muster_ctx *ctx, int level, const char *format,
                va_list args);
    int (*result_json)(struct muster_ctx *ctx, const char *json);
    int (*result_msgpack)(struct muster_ctx *ctx, const void *bytes,
                          size_t len);
    void (*error)(struct muster_ctx *ctx, const char *format, va_list args);
    void (*retry_after)(struct muster_ctx *ctx, int64_t ms);
};

/* The payload as JSON text. */
static inline const char *muster_payload_json(struct muster_ctx *ctx)
{
    return ctx->api->payload_json(ctx);
}

/* Where a former run came to, as JSON text; NULL: this is the first. */
static inline const char *muster_cursor_json(struct muster_ctx *ctx)
{
    return ctx->api->cursor_json(ctx);
}

/* What lies before `cursor` is safely done: the next run, if there is one, is
 * to begin there.  Committed under the fence with the next renewal; a cursor
 * that moves puts off the time-out.  progress: 0 to 1, below 0: not told. */
static inline int muster_checkpoint(struct muster_ctx *ctx,
                                    const char *cursor_json, double progress)
{
    return ctx->api->checkpoint(ctx, cursor_json, progress);
}

static inline int muster_checkpoint_msgpack(struct muster_ctx *ctx,
                                            const void *cursor, size_t len,
                                            double progress)
{
    return ctx->api->checkpoint_msgpack(ctx, cursor, len, progress);
}

/* 0 to 1; cheap, told ten times a second at most. */
static inline void muster_progress(struct muster_ctx *ctx, double part)
{
    ctx->api->progress(ctx, part);
}

/* An enum muster_stop.  A handler that takes long asks often, and returns
 * MUSTER_CANCELLED, or MUSTER_RELEASED for MUSTER_DRAIN.  One that does not is
 * ended by TERM five seconds later, then KILL. */
static inline int muster_cancelled(struct muster_ctx *ctx)
{
    return ctx->api->cancelled(ctx);
}

/* Waits; ends early when a stop is wanted, which it returns. */
static inline int muster_sleep(struct muster_ctx *ctx, int64_t ms)
{
    return ctx->api->sleep_ms(ctx, ms);
}

/* Takes tokens of a rate limit, waiting for them as long as it takes; the
 * job's time-out stands still meanwhile.  MUSTER_ESTOP: a stop is wanted, and
 * nothing was taken. */
static inline int muster_acquire(struct muster_ctx *ctx, const char *scope,
                                 int64_t tokens)
{
    return ctx->api->acquire(ctx, scope, tokens);
}

/* The target said "too much": nobody in the fleet gets a token before. */
static inline int muster_drain(struct muster_ctx *ctx, const char *scope,
                               int64_t retry_after_ms)
{
    return ctx->api->drain(ctx, scope, retry_after_ms);
}

/* Enqueues a job.  out_id: MUSTER_ID_SIZE bytes for the id of the job that
 * stands for it (an older one where the id or unique key was taken), or NULL.
 */
static inline int muster_enqueue(struct muster_ctx *ctx,
                                 const struct muster_job *job, char *out_id)
{
    return ctx->api->enqueue(ctx, job, out_id);
}

#if defined(__GNUC__)
#define MUSTER_PRINTF(n) __attribute__((format(printf, n, n + 1), unused))
#else
#define MUSTER_PRINTF(n)
#endif

/* A line in the worker's log, with the job's id. */
MUSTER_PRINTF(3)
static inline void muster_log(struct muster_ctx *ctx, int level,
                              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    ctx->api->log(ctx, level, format, args);
    va_end(args);
}

/* What goes with MUSTER_DONE: kept with the job. */
static inline int muster_result_json(struct muster_ctx *ctx, const char *json)
{
    return ctx->api->result_json(ctx, json);
}

static inline int muster_result_msgpack(struct muster_ctx *ctx,
                                        const void *bytes, size_t len)
{
    return ctx->api->result_msgpack(ctx, bytes, len);
}

/* What goes with the other outcomes: why. */
MUSTER_PRINTF(2)
static inline void muster_error(struct muster_ctx *ctx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    ctx->api->error(ctx, format, args);
    va_end(args);
}

/* With MUSTER_THROTTLED: a hint, for the rate scope. */
static inline void muster_retry_after(struct muster_ctx *ctx, int64_t ms)
{
    ctx->api->retry_after(ctx, ms);
}

/* ---- how a plug-in says what it has ---- */

typedef int muster_fn(struct muster_ctx *ctx);

struct muster_kind {
    const char *kind; /* exact, or the start of kinds: "mail." or "mail*" */
    muster_fn *run;
    unsigned flags;
};

/* The one symbol that a plug-in exports, `muster_plugin`. */
struct muster_plugin {
    uint32_t abi;      /* first, for ever */
    uint32_t api_size; /* of the muster_api that it was built with */
    const struct muster_kind *const *first, *const *end;
};

#define MUSTER_JOIN_(a, b) a##b
#define MUSTER_JOIN(a, b)  MUSTER_JOIN_(a, b)

/* Registers a handler, at file scope, as often as you like in any file. */
#define MUSTER_HANDLER(kind, fn, flags)                                    \
    static const struct muster_kind MUSTER_JOIN(muster_kind_,              \
                                                __LINE__) = {(kind), (fn), \
                                                             (flags)};     \
    static const struct muster_kind *const MUSTER_JOIN(muster_kind_ref_,   \
                                                       __LINE__)           \
        __attribute__((used, section("muster_kinds"))) =                   \
            &MUSTER_JOIN(muster_kind_, __LINE__);

#ifndef MUSTER_HOST
/* The linker gathers what the macro made; these are its two ends. */
extern const struct muster_kind *const __start_muster_kinds[]
    __attribute__((weak, visibility("hidden")));
extern const struct muster_kind *const __stop_muster_kinds[]
    __attribute__((weak, visibility("hidden")));

/* Weak: one of all files that include this header stands. */
extern const struct muster_plugin muster_plugin;
__attribute__((weak, visibility("default")))
const struct muster_plugin muster_plugin = {MUSTER_ABI,
                                            (uint32_t)sizeof(struct muster_api),
                                            __start_muster_kinds,
                                            __stop_muster_kinds};
#endif

#ifdef __cplusplus
}
#endif
#endif

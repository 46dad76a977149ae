/* What a plug-in's handler can do, include/muster/handler.h, by handler.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUSTER_HOST
#include "common/log.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/val.h"
#include "include/muster/handler.h"
#include "worker/frame.h"
#include "worker/handlers.h"
#include "worker/slot_child.h"

/* As large as a result may be: what goes to the worker is one frame. */
#define CURSOR_MAX (MS_FRAME_MAX / 2)

/* One run of a job in a plug-in. */
struct call {
    struct muster_ctx pub; /* first: what the plug-in holds is this */
    struct ms_ctx *ctx;
    struct ms_buf payload; /* where it came as JSON */
    struct ms_buf payload_json, cursor_json;
};

static struct ms_ctx *ctx_of(struct muster_ctx *pub)
{
    return ((struct call *)pub)->ctx;
}

static int err_of(enum ms_err err)
{
    switch (err) {
    case MS_OK:
        return MUSTER_OK;
    case MS_EINVAL:
        return MUSTER_EINVAL;
    case MS_ENOENT:
        return MUSTER_ENOENT;
    case MS_ECANCELLED:
        return MUSTER_ESTOP;
    case MS_EDOWN:
    case MS_ETIMEOUT:
    case MS_ELOADING:
        return MUSTER_EDOWN;
    case MS_EFULL:
        return MUSTER_EFULL;
    default:
        return MUSTER_EFAILED;
    }
}

static int stop_of(enum ms_stop stop)
{
    switch (stop) {
    case MS_STOP_NONE:
        break;
    case MS_STOP_CANCEL:
        return MUSTER_CANCEL;
    case MS_STOP_DRAIN:
        return MUSTER_DRAIN;
    case MS_STOP_LOST:
        return MUSTER_LOST;
    }
    return MUSTER_GO_ON;
}

/* ---- what the job is ---- */

static const char *call_payload_json(struct muster_ctx *pub)
{
    struct call *call = (struct call *)pub;
    const struct ms_held *job = ms_ctx_job(call->ctx);

    if (call->payload_json.len > 0)
        return ms_buf_str(&call->payload_json);
    if (job->json && job->payload.len > 0)
        ms_buf_add(&call->payload_json, job->payload.data, job->payload.len);
    else
        ms_val_to_json(ms_ctx_payload(call->ctx), &call->payload_json);
    return ms_buf_str(&call->payload_json);
}

static const char *call_cursor_json(struct muster_ctx *pub)
{
    struct call *call = (struct call *)pub;
    struct ms_val val = {.zone = NULL};

    if (pub->cursor == NULL)
        return NULL;
    if (call->cursor_json.len == 0 &&
        ms_val_from_msgpack(pub->cursor, pub->cursor_len, &val, NULL) == MS_OK)
        ms_val_to_json(&val.root, &call->cursor_json);
    ms_val_done(&val);
    return ms_buf_str(&call->cursor_json);
}

/* ---- what it tells ---- */

/* JSON text as msgpack; what is wrong with it is the job's error. */
static int from_json(struct ms_ctx *ctx, const char *what, const char *json,
                     struct ms_buf *out)
{
    struct ms_val val;
    struct ms_error error;

    if (json == NULL) {
        ms_ctx_set_error(ctx, "%s: no text", what);
        return MUSTER_EINVAL;
    }
    if (ms_val_from_json(json, strlen(json), &val, &error) != MS_OK) {
        ms_ctx_set_error(ctx, "%s: %s", what, error.text);
        return MUSTER_EINVAL;
    }
    ms_val_to_msgpack(&val.root, out);
    ms_val_done(&val);
    return MUSTER_OK;
}

/* From others: checked, for it is read again by all kinds of programs. */
static int check_msgpack(struct ms_ctx *ctx, const char *what,
                         const void *bytes, size_t len)
{
    struct ms_val val;
    struct ms_error error;

    if (ms_val_from_msgpack(bytes, len, &val, &error) != MS_OK) {
        ms_ctx_set_error(ctx, "%s: %s", what, error.text);
        return MUSTER_EINVAL;
    }
    ms_val_done(&val);
    return MUSTER_OK;
}

/* 0 to 1; -1: not told, as is what is no number. */
static double part_of(double progress)
{
    if (!(progress >= 0))
        return -1;
    return progress > 1 ? 1 : progress;
}

static int call_checkpoint_msgpack(struct muster_ctx *pub, const void *cursor,
                                   size_t len, double progress)
{
    struct ms_ctx *ctx = ctx_of(pub);
    struct ms_checkpoint checkpoint = {.seq = ctx->seq + 1,
                                       .cursor = {(char *)cursor, len},
                                       .progress = part_of(progress)};

    if (len > CURSOR_MAX) {
        ms_ctx_set_error(ctx, "cursor: %zu bytes", len);
        return MUSTER_EINVAL;
    }
    if (check_msgpack(ctx, "cursor", cursor, len) != MUSTER_OK)
        return MUSTER_EINVAL;
    ms_ctx_checkpoint(ctx, &checkpoint, 0);
    return MUSTER_OK;
}

static int call_checkpoint(struct muster_ctx *pub, const char *cursor_json,
                           double progress)
{
    struct ms_buf cursor = MS_BUF_INIT;
    int err = from_json(ctx_of(pub), "cursor", cursor_json, &cursor);

    if (err == MUSTER_OK)
        err = call_checkpoint_msgpack(pub, cursor.data, cursor.len, progress);
    ms_buf_done(&cursor);
    return err;
}

static void call_progress(struct muster_ctx *pub, double part)
{
    if (!isnan(part))
        ms_ctx_progress(ctx_of(pub), fmax(part_of(part), 0));
}

static int call_result_msgpack(struct muster_ctx *pub, const void *bytes,
                               size_t len)
{
    int err = check_msgpack(ctx_of(pub), "result", bytes, len);

    if (err == MUSTER_OK)
        ms_ctx_set_result(ctx_of(pub), bytes, len);
    return err;
}

static int call_result_json(struct muster_ctx *pub, const char *json)
{
    struct ms_buf result = MS_BUF_INIT;
    int err = from_json(ctx_of(pub), "result", json, &result);

    if (err == MUSTER_OK)
        ms_ctx_set_result(ctx_of(pub), result.data, result.len);
    ms_buf_done(&result);
    return err;
}

static void call_error(struct muster_ctx *pub, const char *format, va_list args)
{
    struct ms_buf text = MS_BUF_INIT;

    ms_buf_addv(&text, format, args);
    ms_ctx_set_error(ctx_of(pub), "%s", ms_buf_str(&text));
    ms_buf_done(&text);
}

static void call_retry_after(struct muster_ctx *pub, int64_t ms)
{
    ms_ctx_set_delay(ctx_of(pub), ms);
}

static void call_log(struct muster_ctx *pub, int level, const char *format,
                     va_list args)
{
    static const enum ms_log_level levels[] = {MS_DEBUG, MS_INFO, MS_WARN,
                                               MS_ERROR};

    if (level < MUSTER_DEBUG || level > MUSTER_ERROR)
        level = MUSTER_INFO;
    if (ms_log_is_on(levels[level]))
        ms_ctx_log(ctx_of(pub), levels[level], format, args);
}

/* ---- what it watches, and does ---- */

static int call_cancelled(struct muster_ctx *pub)
{
    return stop_of(ms_ctx_stop_wanted(ctx_of(pub)));
}

static int call_sleep(struct muster_ctx *pub, int64_t ms)
{
    return stop_of(ms_ctx_sleep(ctx_of(pub), ms));
}

static int call_acquire(struct muster_ctx *pub, const char *scope,
                        int64_t tokens)
{
    return err_of(ms_ctx_acquire(ctx_of(pub), scope, tokens));
}

static int call_drain(struct muster_ctx *pub, const char *scope,
                      int64_t retry_after_ms)
{
    return err_of(ms_ctx_drain(ctx_of(pub), scope, retry_after_ms));
}

static int call_enqueue(struct muster_ctx *pub, const struct muster_job *job,
                        char *out_id)
{
    struct ms_buf payload = MS_BUF_INIT;
    struct ms_new_job new = {
        .id = job->id,
        .own_id = job->id != NULL,
        .kind = job->kind,
        .priority = job->priority,
        .group = job->group,
        .unique = job->unique,
        .delay_ms = job->delay_ms,
        .expires_in_ms = job->expires_in_ms,
        .max_attempts = job->max_attempts,
        .timeout_ms = job->timeout_ms,
    };
    char id[MS_JOB_ID_MAX + 1];
    int err = from_json(ctx_of(pub), "payload",
                        job->payload_json == NULL ? "{}" : job->payload_json,
                        &payload);

    new.payload = payload.data;
    new.payload_len = payload.len;
    if (err == MUSTER_OK && job->kind == NULL) {
        ms_ctx_set_error(ctx_of(pub), "enqueue: a job has a kind");
        err = MUSTER_EINVAL;
    }
    if (err == MUSTER_OK)
        err = err_of(ms_ctx_enqueue(ctx_of(pub), job->queue, &new, id));
    if (err == MUSTER_OK && out_id != NULL)
        memcpy(out_id, id, sizeof(id));
    ms_buf_done(&payload);
    return err;
}

/* ---- the call ---- */

static const struct muster_api api = {
    .size = sizeof(api),
    .payload_json = call_payload_json,
    .cursor_json = call_cursor_json,
    .checkpoint = call_checkpoint,
    .checkpoint_msgpack = call_checkpoint_msgpack,
    .progress = call_progress,
    .cancelled = call_cancelled,
    .sleep_ms = call_sleep,
    .acquire = call_acquire,
    .drain = call_drain,
    .enqueue = call_enqueue,
    .log = call_log,
    .result_json = call_result_json,
    .result_msgpack = call_result_msgpack,
    .error = call_error,
    .retry_after = call_retry_after,
};

static void call_init(struct call *call, struct ms_ctx *ctx)
{
    const struct ms_held *job = ms_ctx_job(ctx);

    *call = (struct call){.ctx = ctx,
                          .payload = MS_BUF_INIT,
                          .payload_json = MS_BUF_INIT,
                          .cursor_json = MS_BUF_INIT};
    ms_val_to_msgpack(ms_ctx_payload(ctx), &call->payload);
    call->pub = (struct muster_ctx){
        .api = &api,
        .id = job->id,
        .queue = job->queue,
        .kind = job->kind,
        .attempt = job->attempt,
        .fence = job->fence,
        .payload = call->payload.data,
        .payload_len = call->payload.len,
        .cursor = job->cursor.len > 0 ? job->cursor.data : NULL,
        .cursor_len = job->cursor.len,
    };
}

enum ms_outcome ms_handle_plugin(struct ms_ctx *ctx)
{
    static const enum ms_outcome outcomes[] = {
        [MUSTER_DONE] = MS_DONE,           [MUSTER_FAILED] = MS_FAILED,
        [MUSTER_DEAD] = MS_DEAD,           [MUSTER_THROTTLED] = MS_THROTTLED,
        [MUSTER_CANCELLED] = MS_CANCELLED, [MUSTER_RELEASED] = MS_RELEASED};
    struct call call;
    int outcome;

    call_init(&call, ctx);
    outcome = ms_ctx_route(ctx)->plugin->run(&call.pub);
    ms_buf_done(&call.payload);
    ms_buf_done(&call.payload_json);
    ms_buf_done(&call.cursor_json);
    if (outcome < 0 || outcome >= (int)MS_COUNT_OF(outcomes)) {
        ms_ctx_set_error(ctx, "the handler returned %d", outcome);
        return MS_FAILED;
    }
    return outcomes[outcome];
}

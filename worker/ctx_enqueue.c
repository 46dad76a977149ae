/* The part of handler.h that makes new jobs. */
#include <stdio.h>
#include <string.h>

#include "common/name.h"
#include "common/ulid.h"
#include "worker/slot_child.h"

/* A call whose connection broke is repeated under its token. */
#define TRIES        3
#define RETRY_MS     200
#define UNKNOWN(err) ((err) == MS_EDOWN || (err) == MS_ETIMEOUT)

struct enqueue {
    struct ms_ctx *ctx;
    const char *queue;
    const struct ms_new_job *job;
    char token[MS_ULID_LEN + 1];
    char *out_id;
    struct ms_error error;
};

static void on_enqueued(size_t i, enum ms_enqueue_status status, const char *id,
                        void *arg)
{
    struct enqueue *e = arg;

    snprintf(e->out_id, MS_JOB_ID_MAX + 1, "%s", id == NULL ? e->job->id : id);
}

static enum ms_err call(struct enqueue *e, struct ms_cmd *cmd,
                        struct ms_reply **out_reply)
{
    struct ms_redis *redis = ms_ctx_redis(e->ctx);

    if (redis != NULL)
        return ms_redis_call(redis, cmd, 0, out_reply, &e->error);
    ms_cmd_done(cmd);
    return ms_error_set(&e->error, MS_EDOWN, "%s", e->ctx->ending.error);
}

/* The fleet is to know the queue; its own is known. */
static enum ms_err name_queue(struct enqueue *e)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    if (strcmp(e->queue, e->ctx->job->queue) == 0)
        return MS_OK;
    ms_enqueue_register_build(&cmd, e->ctx->child->conf->fleet, e->queue);
    err = call(e, &cmd, &reply);
    ms_reply_free(reply);
    return err;
}

static enum ms_err try_once(struct enqueue *e)
{
    const struct ms_conf *conf = e->ctx->child->conf;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err =
        ms_enqueue_build(&cmd, conf->fleet, e->queue, e->token, e->job, 1,
                         conf->max_payload_bytes, &e->error);

    if (err == MS_OK)
        err = name_queue(e);
    if (err == MS_OK)
        err = call(e, &cmd, &reply);
    if (err == MS_OK)
        err = ms_enqueue_parse(reply, 1, on_enqueued, e, &e->error);
    ms_cmd_done(&cmd);
    ms_reply_free(reply);
    return err;
}

/* What the job leaves open, its kind says. */
static void apply_rule(struct enqueue *e, struct ms_new_job *job)
{
    const struct ms_kind_conf *rule =
        job->kind == NULL ? NULL : ms_conf_kind(e->ctx->child->conf, job->kind);

    if (e->queue == NULL && rule != NULL)
        e->queue = rule->queue;
    if (e->queue == NULL)
        e->queue = e->ctx->job->queue;
    if (rule == NULL)
        return;
    if (job->max_attempts == 0 && rule->max_attempts > 0)
        job->max_attempts = rule->max_attempts;
    if (job->timeout_ms == 0 && rule->timeout_ms > 0)
        job->timeout_ms = rule->timeout_ms;
}

enum ms_err ms_ctx_enqueue(struct ms_ctx *ctx, const char *queue,
                           const struct ms_new_job *job, char *out_id)
{
    struct ms_new_job whole = *job;
    struct enqueue e = {.ctx = ctx,
                        .queue = queue,
                        .job = &whole,
                        .out_id = out_id};
    char id[MS_ULID_LEN + 1];
    enum ms_err err = MS_EDOWN;

    ms_ulid_new(e.token);
    ms_ulid_new(id);
    if (whole.id == NULL)
        whole.id = id;
    apply_rule(&e, &whole);
    for (int i = 0; i < TRIES && UNKNOWN(err); i++) {
        if (i > 0 && ms_ctx_sleep(ctx, RETRY_MS) != MS_STOP_NONE)
            break;
        err = try_once(&e);
    }
    if (err != MS_OK)
        ms_ctx_set_error(ctx, "enqueue: %s", e.error.text);
    return err;
}

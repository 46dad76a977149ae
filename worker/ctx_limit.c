/* The part of handler.h that is about rate limits. */
#include <string.h>

#include "common/limit.h"
#include "common/name.h"
#include "worker/slot_child.h"

/* How far ahead a token is reserved.  Who waits longer asks again: a limit may
 * be changed meanwhile. */
#define MAX_WAIT_MS 10000
/* Between tries while Redis is away. */
#define RETRY_MS 500

struct acquire {
    struct ms_ctx *ctx;
    struct ms_acquire ask;
    struct ms_acquired got;
    struct ms_error error;
};

/* From the first call on: Redis may take a while to come back, and that is not
 * the job's time either. */
static void set_clock(struct ms_ctx *ctx, bool stopped)
{
    ms_message_put_clock(&ctx->child->frames.out, ctx->number, stopped);
    ms_slot_child_send(ctx->child);
}

/* True: a stop is wanted. */
static bool pass(struct acquire *a, int64_t ms)
{
    return ms_ctx_sleep(a->ctx, ms) != MS_STOP_NONE;
}

/* Takes the cmd.  MS_EDOWN where there is no connection, as for one that
 * breaks. */
static enum ms_err call(struct acquire *a, struct ms_cmd *cmd,
                        struct ms_reply **out_reply)
{
    struct ms_redis *redis = ms_ctx_redis(a->ctx);

    if (redis == NULL) {
        ms_cmd_done(cmd);
        ms_error_set(&a->error, MS_EDOWN, "%s", a->ctx->ending.error);
        a->ctx->ending.error[0] = '\0'; /* it is tried again */
        return MS_EDOWN;
    }
    return ms_redis_call(redis, cmd, 0, out_reply, &a->error);
}

static enum ms_err ask(struct acquire *a)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_acquire_build(&cmd, &a->ask);
    err = call(a, &cmd, &reply);
    if (err == MS_OK)
        err = ms_acquire_parse(reply, a->ask.scope, &a->got, &a->error);
    ms_reply_free(reply);
    return err;
}

/* MS_EBUSY where a drain has voided what we waited for. */
static enum ms_err confirm(struct acquire *a)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_limit_drained_build(&cmd, a->ask.fleet, a->ask.scope);
    err = call(a, &cmd, &reply);
    if (err == MS_OK && !ms_limit_drained_is(reply, a->got.drained))
        err = MS_EBUSY;
    ms_reply_free(reply);
    return err;
}

/* Once: if that is lost, so is a token, for the time that its refill takes. */
static void give_back(struct acquire *a)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;

    ms_limit_return_build(&cmd, a->ask.fleet, a->ask.scope, a->ask.n,
                          a->got.drained);
    call(a, &cmd, &reply);
    ms_reply_free(reply);
}

/* Waits until the reservation's time has come. */
static enum ms_err wait_reserved(struct acquire *a)
{
    if (!pass(a, a->got.waits_ms[0]))
        return a->got.waits_ms[0] > 0 ? confirm(a) : MS_OK;
    give_back(a);
    return MS_ECANCELLED;
}

/* Will it pass by itself? */
static bool will_pass(enum ms_err err)
{
    return err == MS_EDOWN || err == MS_ETIMEOUT || err == MS_ELOADING ||
           err == MS_EREADONLY || err == MS_EBUSY || err == MS_EFULL;
}

/* One round; MS_EBUSY and the like: go on. */
static enum ms_err try_once(struct acquire *a)
{
    enum ms_err err = ask(a);

    if (err == MS_OK && a->got.n_units > 0)
        return wait_reserved(a);
    if (err != MS_OK && !will_pass(err))
        return err;
    if (pass(a, err == MS_OK ? ms_acquire_again_ms(&a->got, a->ask.max_wait_ms)
                             : RETRY_MS))
        return MS_ECANCELLED;
    return MS_EBUSY;
}

static enum ms_err check(const char *scope, int64_t n, struct ms_error *error)
{
    if (scope == NULL)
        return ms_error_set(error, MS_EINVAL, "a scope is wanted");
    if (n < 1)
        return ms_error_set(error, MS_EINVAL, "acquire: %lld tokens of '%s'",
                            (long long)n, scope);
    return ms_name_check("scope", scope, error);
}

enum ms_err ms_ctx_acquire(struct ms_ctx *ctx, const char *scope, int64_t n)
{
    struct acquire a = {.ctx = ctx,
                        .ask = {.fleet = ctx->child->conf->fleet,
                                .scope = scope,
                                .n = n,
                                .units = 1,
                                .max_wait_ms = MAX_WAIT_MS}};
    enum ms_err err = check(scope, n, &a.error);

    if (err == MS_OK && ms_ctx_stop_wanted(ctx) != MS_STOP_NONE)
        return MS_ECANCELLED;
    if (err == MS_OK) {
        set_clock(ctx, true);
        while (will_pass(err = try_once(&a)))
            ;
        set_clock(ctx, false);
    }
    if (err != MS_OK && err != MS_ECANCELLED)
        ms_ctx_set_error(ctx, "%s", a.error.text);
    return err;
}

enum ms_err ms_ctx_drain(struct ms_ctx *ctx, const char *scope,
                         int64_t retry_after_ms)
{
    struct acquire a = {.ctx = ctx};
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err = check(scope, 1, &a.error);

    if (err == MS_OK) {
        ms_limit_drain_build(&cmd, ctx->child->conf->fleet, scope,
                             retry_after_ms);
        set_clock(ctx, true);
        err = call(&a, &cmd, &reply);
        set_clock(ctx, false);
    }
    if (err == MS_OK)
        err = ms_limit_status_parse(reply, scope, &a.error);
    ms_reply_free(reply);
    if (err != MS_OK)
        ms_ctx_set_error(ctx, "%s", a.error.text);
    return err;
}

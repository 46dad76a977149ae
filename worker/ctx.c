/* The context of handler.h: what a handler can see and do. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "worker/slot_child.h"
#include "worker/text.h"

/* Progress alone is told this often at most. */
#define PROGRESS_EVERY_MS 100

const struct ms_held *ms_ctx_job(const struct ms_ctx *ctx)
{
    return ctx->job;
}

const msgpack_object *ms_ctx_payload(const struct ms_ctx *ctx)
{
    return &ctx->payload.root;
}

const struct ms_conf *ms_ctx_conf(const struct ms_ctx *ctx)
{
    return ctx->child->conf;
}

const char *ms_ctx_pod(const struct ms_ctx *ctx)
{
    return ctx->child->pod;
}

/* ---- telling ---- */

static size_t uncommitted(const struct ms_ctx *ctx)
{
    return ctx->uncommitted.len / sizeof(int64_t);
}

void ms_ctx_checkpoint(struct ms_ctx *ctx,
                       const struct ms_checkpoint *checkpoint, int max_ahead)
{
    ms_message_put_checkpoint(&ctx->child->frames.out, ctx->number, checkpoint);
    if (checkpoint->seq > ctx->seq) {
        ctx->seq = checkpoint->seq;
        ms_buf_add(&ctx->uncommitted, &ctx->seq, sizeof(ctx->seq));
    }
    ms_slot_child_send(ctx->child);
    while (max_ahead > 0 && uncommitted(ctx) > (size_t)max_ahead &&
           ctx->stop == MS_STOP_NONE)
        ms_slot_child_pump(ctx->child, true);
}

void ms_ctx_progress(struct ms_ctx *ctx, double part)
{
    struct ms_checkpoint checkpoint = {.seq = ctx->seq, .progress = part};
    int64_t now_ms = ms_clock_mono_ms();

    if (now_ms - ctx->progress_at_ms < PROGRESS_EVERY_MS)
        return;
    ctx->progress_at_ms = now_ms;
    ms_ctx_checkpoint(ctx, &checkpoint, 0);
}

void ms_ctx_set_result(struct ms_ctx *ctx, const void *msgpack, size_t len)
{
    ms_buf_clear(&ctx->result);
    ms_buf_add(&ctx->result, msgpack, len);
}

void ms_ctx_set_error(struct ms_ctx *ctx, const char *format, ...)
{
    char *text = ctx->ending.error;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(ctx->ending.error), format, args);
    va_end(args);
    ms_text_scrub(text, strlen(text));
}

void ms_ctx_set_delay(struct ms_ctx *ctx, int64_t delay_ms)
{
    ctx->ending.delay_ms = delay_ms > 0 ? delay_ms : 0;
}

/* ---- watching ---- */

enum ms_stop ms_ctx_stop_wanted(struct ms_ctx *ctx)
{
    ms_slot_child_pump(ctx->child, false);
    return ctx->stop;
}

int ms_ctx_fd(const struct ms_ctx *ctx)
{
    return ctx->child->frames.fd;
}

enum ms_stop ms_ctx_sleep(struct ms_ctx *ctx, int64_t ms)
{
    int64_t end_ms = ms_clock_mono_ms() + ms;

    for (;;) {
        struct pollfd channel = {ms_ctx_fd(ctx), POLLIN, 0};
        enum ms_stop stop = ms_ctx_stop_wanted(ctx);
        int64_t left = end_ms - ms_clock_mono_ms();

        if (stop != MS_STOP_NONE || left <= 0)
            return stop;
        poll(&channel, 1, left > 60000 ? 60000 : (int)left);
    }
}

void ms_ctx_set_program(struct ms_ctx *ctx, pid_t group)
{
    ms_lane_set_program(&ctx->child->lane, group);
}

/* By way of standard error, where a flood is held back (output.h). */
void ms_ctx_log(struct ms_ctx *ctx, enum ms_log_level level, const char *format,
                va_list args)
{
    static const int marks[] = {7, 6, 4, 3};
    char text[1000];
    int at = snprintf(text, sizeof(text), "<%d>", marks[level]);

    vsnprintf(text + at, sizeof(text) - (size_t)at - 1, format, args);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    strcat(text, "\n"); /* one write a line */
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        text[0] = '\0'; /* a log that cannot be written has nowhere to say so */
}

const struct ms_route *ms_ctx_route(const struct ms_ctx *ctx)
{
    return ctx->route;
}

/* ---- this slot's own loop and connection ---- */

static void on_channel(struct ev_loop *loop, ev_io *watcher, int revents)
{
    ms_slot_child_pump(watcher->data, false);
}

/* The default loop, since names are resolved in a child of it. */
struct ev_loop *ms_ctx_loop(struct ms_ctx *ctx)
{
    struct ms_slot_child *child = ctx->child;

    if (child->loop == NULL) {
        child->loop = ev_default_loop(EVFLAG_AUTO);
        ev_io_init(&child->watcher, on_channel, child->frames.fd, EV_READ);
        child->watcher.data = child;
        ev_io_start(child->loop, &child->watcher);
        ev_unref(child->loop); /* it alone keeps no ev_run() going */
    }
    return child->loop;
}

static enum ms_err connect_redis(struct ms_slot_child *child,
                                 struct ms_error *error)
{
    const struct ms_conf *conf = child->conf;
    char *name = ms_xasprintf("muster-slot:%s", child->pod);
    const struct ms_redis_options options = {
        .url = conf->redis_url,
        .client_name = name,
        .connect_timeout_ms = (int)conf->redis_connect_timeout_ms,
        .command_timeout_ms = (int)conf->redis_command_timeout_ms};
    enum ms_err err = MS_OK;

    if (child->redis == NULL) {
        err = ms_redis_new(child->loop, &options, &child->redis, error);
        if (err == MS_OK)
            ms_redis_start(child->redis);
    }
    free(name);
    if (err != MS_OK)
        return err;
    return ms_redis_wait_up(child->redis, 2 * options.connect_timeout_ms,
                            error);
}

struct ms_redis *ms_ctx_redis(struct ms_ctx *ctx)
{
    struct ms_slot_child *child = ctx->child;
    struct ms_error error;

    /* Nobody ran the loop since the last job: hear what happened since. */
    ev_run(ms_ctx_loop(ctx), EVRUN_NOWAIT);
    if (child->redis != NULL && ms_redis_is_up(child->redis))
        return child->redis;
    if (connect_redis(child, &error) != MS_OK) {
        ms_ctx_set_error(ctx, "redis: %s", error.text);
        return NULL;
    }
    return child->redis;
}

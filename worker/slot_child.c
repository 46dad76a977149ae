#include "worker/slot_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/build.h"
#include "worker/plugin.h"
#include "worker/pool.h"
#include "worker/text.h"

/* Buffers above are given back after the job that needed them. */
#define KEEP_SIZE (256 * 1024)

/* ---- the channel ---- */

/* The worker is gone or cannot be understood: nobody waits for an answer. */
static void leave(struct ms_slot_child *child, int code)
    __attribute__((noreturn));

static void leave(struct ms_slot_child *child, int code)
{
    ms_lane_kill_all(&child->lane);
    _exit(code);
}

static void leave_broken(struct ms_slot_child *child, const char *why)
    __attribute__((noreturn));

static void leave_broken(struct ms_slot_child *child, const char *why)
{
    char quoted[256];

    ms_log(MS_ERROR, "slot", "broken_channel", "error=%s",
           ms_log_quote(why, quoted, sizeof(quoted)));
    leave(child, 3);
}

static void set_aside(struct ms_slot_child *child, const char *body, size_t len)
{
    ms_buf_add(&child->waiting, &len, sizeof(len));
    ms_buf_add(&child->waiting, body, len);
}

static void forget_committed(struct ms_ctx *ctx, int64_t seq)
{
    size_t n = ctx->uncommitted.len / sizeof(seq), done = 0;
    const int64_t *seqs = (const void *)ctx->uncommitted.data;

    while (done < n && seqs[done] <= seq)
        done++;
    ms_buf_consume(&ctx->uncommitted, done * sizeof(seq));
}

/* STOP and COMMITTED.  Of a job that has ended meanwhile they mean nothing. */
static void take_control(struct ms_slot_child *child, const char *body,
                         size_t len)
{
    struct ms_message *message;
    struct ms_error error;

    if (ms_message_read(&child->control, body, len, &message, &error) != MS_OK)
        leave_broken(child, error.text);
    if (child->ctx.job == NULL || message->number != child->ctx.number)
        return;
    if (message->type == MS_MSG_STOP &&
        (message->stop != MS_STOP_DRAIN || child->ctx.resumes))
        child->ctx.stop = message->stop;
    else if (message->type == MS_MSG_COMMITTED)
        forget_committed(&child->ctx, message->seq);
}

void ms_slot_child_pump(struct ms_slot_child *child, bool wait)
{
    enum ms_err err = ms_frames_fill(&child->frames, wait);
    struct ms_error error;
    const char *body;
    size_t len;

    if (err == MS_EDOWN)
        leave(child, 0);
    if (err != MS_OK)
        return;
    while ((err = ms_frames_next(&child->frames, &body, &len, &error)) ==
           MS_OK) {
        if (ms_message_peek(body, len) == MS_MSG_JOB)
            set_aside(child, body, len);
        else
            take_control(child, body, len);
    }
    if (err == MS_EPROTO)
        leave_broken(child, error.text);
}

void ms_slot_child_send(struct ms_slot_child *child)
{
    enum ms_err err;

    while ((err = ms_frames_flush(&child->frames)) == MS_EBUSY) {
        struct pollfd both = {child->frames.fd, POLLIN | POLLOUT, 0};

        if (poll(&both, 1, -1) > 0 && (both.revents & ~POLLOUT) != 0)
            ms_slot_child_pump(child, false);
    }
    if (err == MS_EDOWN)
        leave(child, 0);
}

/* ---- one job ---- */

static enum ms_err read_payload(const struct ms_held *job,
                                struct ms_val *out_payload,
                                struct ms_error *error)
{
    if (job->payload.len == 0) {
        *out_payload = (struct ms_val){.zone = NULL}; /* null */
        return MS_OK;
    }
    if (job->json)
        return ms_val_from_json(job->payload.data, job->payload.len,
                                out_payload, error);
    return ms_val_from_msgpack(job->payload.data, job->payload.len, out_payload,
                               error);
}

static enum ms_outcome run_handler(struct ms_ctx *ctx)
{
    const struct ms_route *route =
        ms_routes_find(ctx->child->routes, ctx->job->kind);
    struct ms_error error;
    enum ms_outcome outcome;

    if (route == NULL) {
        ms_ctx_set_error(ctx, "no handler for kind '%s'", ctx->job->kind);
        return MS_RELEASED; /* another pod may have one */
    }
    if (read_payload(ctx->job, &ctx->payload, &error) != MS_OK) {
        ms_ctx_set_error(ctx, "payload: %s", error.text);
        return MS_DEAD;
    }
    ctx->route = route;
    ctx->resumes = route->resumes;
    outcome = route->run(ctx);
    if (outcome < MS_DONE || outcome > MS_RELEASED) {
        ms_ctx_set_error(ctx, "the handler returned %d", (int)outcome);
        return MS_FAILED;
    }
    return outcome;
}

static void finish_ending(struct ms_ctx *ctx, enum ms_outcome outcome)
{
    struct ms_ending *ending = &ctx->ending;

    ending->outcome = outcome;
    if (outcome == MS_DONE && ctx->result.len > MS_FRAME_MAX / 2) {
        ms_ctx_set_error(ctx, "a result of %zu bytes", ctx->result.len);
        ending->outcome = MS_FAILED;
    }
    if (ending->outcome == MS_DONE && ctx->result.len > 0) {
        ending->result.data = ctx->result.data;
        ending->result.len = ctx->result.len;
    }
}

static void keep_small(struct ms_buf *buf)
{
    if (buf->cap > KEEP_SIZE)
        ms_buf_done(buf);
    ms_buf_clear(buf);
}

static void ctx_start(struct ms_ctx *ctx, const struct ms_message *message)
{
    ctx->number = message->number;
    ctx->job = &message->job;
    ctx->seq = message->job.seq;
    ctx->stop = MS_STOP_NONE;
    ctx->resumes = false;
    ctx->progress_at_ms = 0;
    ctx->ending.result = (struct ms_bytes){NULL, 0};
    ctx->ending.error[0] = '\0';
    ctx->ending.delay_ms = 0;
}

static void ctx_done(struct ms_ctx *ctx)
{
    ctx->job = NULL;
    if (ctx->payload.zone != NULL)
        ms_val_done(&ctx->payload);
    keep_small(&ctx->result);
    ms_buf_clear(&ctx->uncommitted);
    if (ms_lane_program(&ctx->child->lane) != 0) {
        ms_lane_kill_program(&ctx->child->lane, SIGKILL);
        ms_lane_set_program(&ctx->child->lane, 0);
    }
}

static void run_job(struct ms_slot_child *child, const char *body, size_t len)
{
    struct ms_ctx *ctx = &child->ctx;
    struct ms_message *message;
    struct ms_error error;
    int64_t begun_us;

    if (ms_message_read(&child->jobs, body, len, &message, &error) != MS_OK)
        leave_broken(child, error.text);
    if (!ms_lane_begin(&child->lane, message->number))
        return; /* taken back while it waited here */
    ctx_start(ctx, message);
    begun_us = ms_clock_mono_us();
    finish_ending(ctx, run_handler(ctx));
    ms_message_put_end(&child->frames.out, ctx->number, &ctx->ending,
                       ms_clock_mono_us() - begun_us);
    ctx_done(ctx);
    keep_small(&child->jobs.texts);
    ms_slot_child_send(child);
    if (ms_memory_has_grown(&child->memory, 0,
                            child->conf->worker_slot_memory_bytes))
        leave(child, MS_SLOT_EXIT_MEMORY); /* jobs not begun go elsewhere */
}

/* Runs the first of the jobs set aside; false: there is none.  The frame is
 * copied by the reader, so the buffer may grow while the job runs. */
static bool run_next(struct ms_slot_child *child)
{
    const char *at = child->waiting.data + child->waiting_at;
    size_t len;

    if (child->waiting_at == child->waiting.len) {
        child->waiting_at = 0;
        keep_small(&child->waiting);
        return false;
    }
    memcpy(&len, at, sizeof(len));
    child->waiting_at += sizeof(len) + len;
    run_job(child, at + sizeof(len), len);
    return true;
}

/* ---- the start ---- */

static enum ms_err load_conf(struct ms_slot_child *child,
                             const struct ms_hello *hello,
                             struct ms_error *error)
{
    /* The worker may have these from its own command line. */
    const struct ms_conf_flags flags = {.config = hello->conf_path,
                                        .redis = hello->redis_url,
                                        .fleet = hello->fleet};
    enum ms_err err = ms_conf_load(&flags, environ, &child->conf, error);

    if (err != MS_OK)
        return err;
    ms_log_configure(child->conf->log_level, child->conf->log_json);
    child->routes = ms_routes_new();
    err = ms_routes_add_pools(child->routes, child->conf, error);
    if (err == MS_OK && child->conf->worker_handlers_dir != NULL)
        err = ms_plugins_load(child->conf->worker_handlers_dir, child->routes,
                              error);
    return err;
}

static enum ms_err take_hello(struct ms_slot_child *child, const char *body,
                              size_t len, struct ms_error *error)
{
    struct ms_message *message;
    enum ms_err err =
        ms_message_read(&child->control, body, len, &message, error);

    if (err != MS_OK)
        return err;
    if (message->type != MS_MSG_HELLO)
        return ms_error_set(error, MS_EPROTO, "no hello from the worker");
    if (strcmp(message->hello.build, ms_build_id()) != 0)
        return ms_error_set(error, MS_EPROTO,
                            "the worker is build %s, this program is %s: "
                            "restart the worker",
                            message->hello.build, ms_build_id());
    child->pod = ms_xstrdup(message->hello.pod);
    return load_conf(child, &message->hello, error);
}

static enum ms_err greet(struct ms_slot_child *child, struct ms_error *error)
{
    const char *body;
    size_t len;
    enum ms_err err;

    while ((err = ms_frames_next(&child->frames, &body, &len, error)) ==
           MS_EBUSY)
        if (ms_frames_fill(&child->frames, true) == MS_EDOWN)
            leave(child, 0);
    if (err == MS_OK)
        err = take_hello(child, body, len, error);
    if (err == MS_OK) /* from here on it is warm */
        ms_memory_has_grown(&child->memory, 0,
                            child->conf->worker_slot_memory_bytes);
    if (err == MS_OK)
        ms_message_put_ready(&child->frames.out, ms_build_id());
    else
        ms_message_put_refused(&child->frames.out, error->text);
    return err;
}

/* Jobs that came in one read with the hello. */
static void take_rest(struct ms_slot_child *child)
{
    const char *body;
    size_t len;
    struct ms_error error;
    enum ms_err err;

    while ((err = ms_frames_next(&child->frames, &body, &len, &error)) ==
           MS_OK) {
        if (ms_message_peek(body, len) == MS_MSG_JOB)
            set_aside(child, body, len);
    }
    if (err == MS_EPROTO)
        leave_broken(child, error.text);
}

static bool is_channel(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           type == SOCK_STREAM;
}

static void child_init(struct ms_slot_child *child)
{
    *child = (struct ms_slot_child){.guard = MS_GUARD_INIT, .lane = {NULL, -1}};
    child->ctx.child = child;
    ms_frames_init(&child->frames, MS_SLOT_CHANNEL_FD);
    ms_reader_init(&child->jobs);
    ms_reader_init(&child->control);
    fcntl(MS_SLOT_LOG_FD, F_SETFD, FD_CLOEXEC);
    ms_log_to(MS_SLOT_LOG_FD);
    signal(SIGPIPE, SIG_IGN); /* a program that does not read its input */
}

int ms_slot_main(int argc, char **argv)
{
    struct ms_slot_child *child;
    struct ms_error error;
    enum ms_err err;

    (void)argc;
    if (!is_channel(MS_SLOT_CHANNEL_FD)) {
        fprintf(stderr, "%s: --slot is what a worker starts, not a person\n",
                argv[0]);
        return 2;
    }
    child = ms_xmalloc(sizeof(*child)); /* lives as long as the process */
    child_init(child);
    err = ms_lane_map(MS_SLOT_LANE_FD, &child->lane, &error);
    if (err == MS_OK)
        err = greet(child, &error);
    else
        ms_message_put_refused(&child->frames.out, error.text);
    ms_slot_child_send(child);
    if (err != MS_OK)
        return 2;
    take_rest(child);
    for (;;)
        if (!run_next(child)) {
            ms_pools_wait(child);
            ms_slot_child_pump(child, true);
        }
}

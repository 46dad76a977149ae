#include "worker/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "worker/launch.h"

enum {
    LOOK_MS = 50,            /* for its end, where there are no pidfds */
    LEFT_OVER_MAX = 1 << 20, /* what we still read once it has ended */
    READ_SIZE = 16 * 1024
};

/* A program under way. */
struct run {
    struct ms_ctx *ctx;
    const struct ms_program *program;
    struct ms_program_end *end;
    struct ms_launched run;
    size_t in_at;
    int64_t deadline_ms, kill_ms; /* kill_ms 0: TERM was not sent */
};

/* ---- while it runs ---- */

/* Returns how much came; closes the pipe at its end. */
static size_t drain_once(struct run *run)
{
    char bytes[READ_SIZE];
    ssize_t n = read(run->run.out, bytes, sizeof(bytes));

    if (n > 0) {
        ms_tail_add(&run->end->tail, bytes, (size_t)n);
        return (size_t)n;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        ms_launched_shut(&run->run.out);
    return 0;
}

static void feed_once(struct run *run)
{
    const struct ms_program *program = run->program;
    ssize_t n = write(run->run.in, program->in + run->in_at,
                      program->in_len - run->in_at);

    if (n > 0)
        run->in_at += (size_t)n;
    if (run->in_at == program->in_len ||
        (n < 0 && errno != EAGAIN && errno != EINTR))
        /* All is read, or it does not want it. */
        ms_launched_shut(&run->run.in);
}

static void send_term(struct run *run, int64_t now_ms)
{
    ms_launched_term(&run->run);
    run->kill_ms = now_ms + MS_PROGRAM_KILL_MS;
}

/* Says when to look again at the latest. */
static int64_t check_limits(struct run *run)
{
    int64_t now_ms = ms_clock_mono_ms();
    enum ms_stop stop = ms_ctx_stop_wanted(run->ctx);

    if (run->kill_ms != 0) {
        if (now_ms >= run->kill_ms)
            kill(-run->run.pid, SIGKILL);
        return now_ms >= run->kill_ms ? now_ms + LOOK_MS : run->kill_ms;
    }
    if (stop == MS_STOP_NONE && now_ms < run->deadline_ms)
        return run->deadline_ms;
    run->end->stop = stop;
    run->end->timed_out = stop == MS_STOP_NONE;
    send_term(run, now_ms);
    return run->kill_ms;
}

static void wait_for_something(struct run *run, int64_t until_ms)
{
    int64_t left = until_ms - ms_clock_mono_ms();
    struct pollfd fds[] = {{ms_ctx_fd(run->ctx), POLLIN, 0},
                           {run->run.out, POLLIN, 0},
                           {run->run.in, POLLOUT, 0},
                           {run->run.pidfd, POLLIN, 0}};

    if (left > 60000)
        left = 60000;
    if (run->run.pidfd < 0 && left > LOOK_MS)
        left = LOOK_MS;
    if (poll(fds, MS_COUNT_OF(fds), left < 0 ? 0 : (int)left) <= 0)
        return;
    if (fds[1].revents != 0)
        drain_once(run);
    if (fds[2].revents != 0)
        feed_once(run);
}

/* ---- its end ---- */

static void reap(struct run *run)
{
    size_t left = LEFT_OVER_MAX;
    size_t n = 1;

    run->end->status = ms_launched_reap(run->ctx->child, -1, &run->run);
    /* What it wrote last.  Somebody who left the group may hold the pipe and
     * write on: there is an end to that. */
    while (run->run.out >= 0 && n > 0 && n <= left) {
        left -= n;
        n = drain_once(run);
    }
    ms_launched_close(&run->run);
}

enum ms_err ms_program_run(struct ms_ctx *ctx, const struct ms_program *program,
                           struct ms_program_end *out_end,
                           struct ms_error *error)
{
    struct run run = {.ctx = ctx,
                      .program = program,
                      .end = out_end,
                      .run = MS_LAUNCHED_NONE};
    const struct ms_launch launch = {.argv = program->argv,
                                     .env = program->env,
                                     .cwd_fd = program->cwd_fd,
                                     .with_in = program->in != NULL,
                                     .standing = -1};
    enum ms_err err;

    *out_end = (struct ms_program_end){.stop = MS_STOP_NONE};
    err = ms_launch(ctx->child, &launch, &run.run, error);
    if (err != MS_OK)
        return err;
    run.deadline_ms = ms_clock_mono_ms() + program->timeout_ms;
    while (!ms_launched_has_ended(&run.run))
        wait_for_something(&run, check_limits(&run));
    reap(&run);
    return MS_OK;
}

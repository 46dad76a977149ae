#include "worker/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "worker/child.h"
#include "worker/slot_child.h"

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
    pid_t pid;
    int pidfd;   /* -1: this kernel has none */
    int in, out; /* our ends; -1: closed */
    size_t in_at;
    int64_t deadline_ms, kill_ms; /* kill_ms 0: TERM was not sent */
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- start ---- */

struct pipes {
    int in[2], out[2], failed[2];
};

static void pipes_close(struct pipes *pipes)
{
    for (int i = 0; i < 2; i++) {
        shut(&pipes->in[i]);
        shut(&pipes->out[i]);
        shut(&pipes->failed[i]);
    }
}

static bool pipes_open(struct pipes *pipes, bool with_in)
{
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    return (!with_in || pipe2(pipes->in, O_CLOEXEC) == 0) &&
           pipe2(pipes->out, O_CLOEXEC) == 0 &&
           pipe2(pipes->failed, O_CLOEXEC) == 0;
}

/* In the child.  Descriptor 3 closes at exec; before, it takes the reason why
 * that did not happen. */
static void become(const struct ms_program *program, const struct pipes *pipes,
                   pid_t slot) __attribute__((noreturn));

static void become(const struct ms_program *program, const struct pipes *pipes,
                   pid_t slot)
{
    const int fds[] = {pipes->in[0], pipes->out[1], pipes->out[1],
                       pipes->failed[1]};
    int why;

    setpgid(0, 0);
    ms_child_settle(slot);
    if ((program->cwd_fd < 0 || fchdir(program->cwd_fd) == 0) &&
        ms_child_set_fds(fds, MS_COUNT_OF(fds)) &&
        fcntl(3, F_SETFD, FD_CLOEXEC) == 0)
        execvpe(program->argv[0], program->argv, program->env);
    why = errno;
    if (write(3, &why, sizeof(why)) < 0)
        _exit(126);
    _exit(127);
}

/* 0 once the program runs, else the errno that kept it from it. */
static int why_not_started(const struct pipes *pipes)
{
    int why = 0;
    ssize_t n;

    do
        n = read(pipes->failed[0], &why, sizeof(why));
    while (n < 0 && errno == EINTR);
    return n == sizeof(why) ? why : 0;
}

static int fork_program(struct run *run, struct pipes *pipes)
{
    pid_t slot = getpid();
    int why;

    run->pid = ms_child_fork();
    if (run->pid < 0)
        return errno;
    if (run->pid == 0)
        become(run->program, pipes, slot);
    setpgid(run->pid, run->pid); /* whoever of us two comes first */
    ms_ctx_set_program(run->ctx, run->pid);
    shut(&pipes->in[0]);
    shut(&pipes->out[1]);
    shut(&pipes->failed[1]);
    why = why_not_started(pipes);
    if (why != 0) {
        ms_ctx_set_program(run->ctx, 0);
        waitpid(run->pid, NULL, 0);
    }
    return why;
}

static enum ms_err start(struct run *run, struct ms_error *error)
{
    struct pipes pipes;
    int why = 0;

    ms_ctx_guard_program(run->ctx);
    if (!pipes_open(&pipes, run->program->in != NULL))
        why = errno;
    else
        why = fork_program(run, &pipes);
    if (why == 0) {
        run->in = pipes.in[1];
        run->out = pipes.out[0];
        pipes.in[1] = pipes.out[0] = -1; /* they are the run's now */
        if (run->in >= 0)
            fcntl(run->in, F_SETFL, O_NONBLOCK);
        fcntl(run->out, F_SETFL, O_NONBLOCK);
        run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    }
    pipes_close(&pipes);
    if (why != 0)
        return ms_error_set(error, MS_EIO, "cannot start '%s': %s",
                            run->program->argv[0], strerror(why));
    return MS_OK;
}

/* ---- while it runs ---- */

/* Returns how much came; closes the pipe at its end. */
static size_t drain_once(struct run *run)
{
    char bytes[READ_SIZE];
    ssize_t n = read(run->out, bytes, sizeof(bytes));

    if (n > 0) {
        ms_tail_add(&run->end->tail, bytes, (size_t)n);
        return (size_t)n;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        shut(&run->out);
    return 0;
}

static void feed_once(struct run *run)
{
    const struct ms_program *program = run->program;
    ssize_t n =
        write(run->in, program->in + run->in_at, program->in_len - run->in_at);

    if (n > 0)
        run->in_at += (size_t)n;
    if (run->in_at == program->in_len ||
        (n < 0 && errno != EAGAIN && errno != EINTR))
        shut(&run->in); /* all is read, or it does not want it */
}

static bool has_ended(const struct run *run)
{
    siginfo_t info = {.si_pid = 0};

    /* Not reaped yet: its number must stay its own until the group is gone. */
    return waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
               0 &&
           info.si_pid == run->pid;
}

static void send_term(struct run *run, int64_t now_ms)
{
    kill(-run->pid, SIGTERM);
    kill(-run->pid, SIGCONT); /* one that was stopped must hear it too */
    run->kill_ms = now_ms + MS_PROGRAM_KILL_MS;
}

/* Says when to look again at the latest. */
static int64_t check_limits(struct run *run)
{
    int64_t now_ms = ms_clock_mono_ms();
    enum ms_stop stop = ms_ctx_stop_wanted(run->ctx);

    if (run->kill_ms != 0) {
        if (now_ms >= run->kill_ms)
            kill(-run->pid, SIGKILL);
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
                           {run->out, POLLIN, 0},
                           {run->in, POLLOUT, 0},
                           {run->pidfd, POLLIN, 0}};

    if (left > 60000)
        left = 60000;
    if (run->pidfd < 0 && left > LOOK_MS)
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

    kill(-run->pid, SIGKILL); /* whatever it left behind */
    ms_ctx_set_program(run->ctx, 0);
    while (waitpid(run->pid, &run->end->status, 0) < 0 && errno == EINTR)
        ;
    /* What it wrote last.  Somebody who left the group may hold the pipe and
     * write on: there is an end to that. */
    while (run->out >= 0 && n > 0 && n <= left) {
        left -= n;
        n = drain_once(run);
    }
    shut(&run->in);
    shut(&run->out);
    shut(&run->pidfd);
}

enum ms_err ms_program_run(struct ms_ctx *ctx, const struct ms_program *program,
                           struct ms_program_end *out_end,
                           struct ms_error *error)
{
    struct run run = {.ctx = ctx,
                      .program = program,
                      .end = out_end,
                      .pidfd = -1,
                      .in = -1,
                      .out = -1};
    enum ms_err err;

    *out_end = (struct ms_program_end){.stop = MS_STOP_NONE};
    err = start(&run, error);
    if (err != MS_OK)
        return err;
    run.deadline_ms = ms_clock_mono_ms() + program->timeout_ms;
    while (!has_ended(&run))
        wait_for_something(&run, check_limits(&run));
    reap(&run);
    return MS_OK;
}

#include "worker/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/child.h"

void ms_launched_shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- start ---- */

struct pipes {
    int in[2], out[2], err[2], failed[2];
};

static void pipes_close(struct pipes *pipes)
{
    for (int i = 0; i < 2; i++) {
        ms_launched_shut(&pipes->in[i]);
        ms_launched_shut(&pipes->out[i]);
        ms_launched_shut(&pipes->err[i]);
        ms_launched_shut(&pipes->failed[i]);
    }
}

static bool pipes_open(struct pipes *pipes, const struct ms_launch *launch)
{
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    return (!launch->with_in || pipe2(pipes->in, O_CLOEXEC) == 0) &&
           (!launch->with_err || pipe2(pipes->err, O_CLOEXEC) == 0) &&
           pipe2(pipes->out, O_CLOEXEC) == 0 &&
           pipe2(pipes->failed, O_CLOEXEC) == 0;
}

/* In the child.  Descriptor 3 closes at exec; before, it takes the reason why
 * that did not happen. */
static void become(const struct ms_launch *launch, const struct pipes *pipes,
                   pid_t slot) __attribute__((noreturn));

static void become(const struct ms_launch *launch, const struct pipes *pipes,
                   pid_t slot)
{
    const int fds[] = {pipes->in[0], pipes->out[1],
                       launch->with_err ? pipes->err[1] : pipes->out[1],
                       pipes->failed[1]};
    int why;

    setpgid(0, 0);
    ms_child_settle(slot);
    if ((launch->cwd_fd < 0 || fchdir(launch->cwd_fd) == 0) &&
        ms_child_set_fds(fds, MS_COUNT_OF(fds)) &&
        fcntl(3, F_SETFD, FD_CLOEXEC) == 0)
        execvpe(launch->argv[0], launch->argv, launch->env);
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

static void name_in_lane(struct ms_slot_child *child, int standing, pid_t group)
{
    if (standing < 0)
        ms_lane_set_program(&child->lane, group);
    else
        ms_lane_set_standing(&child->lane, standing, group);
}

static int fork_program(struct ms_slot_child *child,
                        const struct ms_launch *launch, struct pipes *pipes,
                        pid_t *out_pid)
{
    pid_t slot = getpid(), pid = ms_child_fork();
    int why;

    if (pid < 0)
        return errno;
    if (pid == 0)
        become(launch, pipes, slot);
    setpgid(pid, pid); /* whoever of us two comes first */
    name_in_lane(child, launch->standing, pid);
    ms_launched_shut(&pipes->in[0]);
    ms_launched_shut(&pipes->out[1]);
    ms_launched_shut(&pipes->err[1]);
    ms_launched_shut(&pipes->failed[1]);
    why = why_not_started(pipes);
    if (why != 0) {
        name_in_lane(child, launch->standing, 0);
        waitpid(pid, NULL, 0);
    }
    *out_pid = pid;
    return why;
}

/* Takes our end of a pipe. */
static int take_end(int *end)
{
    int fd = *end;

    *end = -1;
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

enum ms_err ms_launch(struct ms_slot_child *child,
                      const struct ms_launch *launch,
                      struct ms_launched *out_run, struct ms_error *error)
{
    struct pipes pipes;
    pid_t pid = 0;
    int why = 0;

    ms_guard_start(&child->guard, &child->lane);
    if (!pipes_open(&pipes, launch))
        why = errno;
    else
        why = fork_program(child, launch, &pipes, &pid);
    if (why == 0)
        *out_run = (struct ms_launched){
            .pid = pid,
            .pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
            .in = take_end(&pipes.in[1]),
            .out = take_end(&pipes.out[0]),
            .err = take_end(&pipes.err[0]),
        };
    pipes_close(&pipes);
    if (why != 0)
        return ms_error_set(error, MS_EIO, "cannot start '%s': %s",
                            launch->argv[0], strerror(why));
    return MS_OK;
}

/* ---- its end ---- */

bool ms_launched_has_ended(const struct ms_launched *run)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
               0 &&
           info.si_pid == run->pid;
}

void ms_launched_term(const struct ms_launched *run)
{
    kill(-run->pid, SIGTERM);
    kill(-run->pid, SIGCONT);
}

int ms_launched_reap(struct ms_slot_child *child, int standing,
                     struct ms_launched *run)
{
    int status = 0;

    kill(-run->pid, SIGKILL); /* whatever it left behind */
    name_in_lane(child, standing, 0);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    run->pid = 0;
    return status;
}

void ms_launched_close(struct ms_launched *run)
{
    ms_launched_shut(&run->in);
    ms_launched_shut(&run->out);
    ms_launched_shut(&run->err);
    ms_launched_shut(&run->pidfd);
}

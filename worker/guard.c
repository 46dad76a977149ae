#include "worker/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker/child.h"

static void guard_main(pid_t slot, int fd, const struct ms_lane *lane)
    __attribute__((noreturn));

/* All signals stay blocked: a TERM for the slot is none of its business.  The
 * slot is told and not asked for: our parent may be process 1 by now, and -1
 * is everybody. */
static void guard_main(pid_t slot, int fd, const struct ms_lane *lane)
{
    char byte;
    ssize_t n;

    setpgid(0, 0);
    prctl(PR_SET_NAME, "muster-guard");
    ms_child_set_fds((const int[]){fd}, 1);
    do
        n = read(0, &byte, 1);
    while (n > 0 || (n < 0 && errno == EINTR));
    ms_lane_kill_all(lane);
    kill(-slot, SIGKILL); /* it leads a group of its own, see spawn.c */
    _exit(0);
}

enum ms_err ms_guard_start(struct ms_guard *guard, const struct ms_lane *lane)
{
    pid_t slot = getpid(), pid;
    int ends[2];

    if (guard->fd >= 0)
        return MS_OK;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return MS_EIO;
    pid = ms_child_fork();
    if (pid == 0)
        guard_main(slot, ends[0], lane);
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return MS_EIO;
    }
    guard->fd = ends[1];
    return MS_OK;
}

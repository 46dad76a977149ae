#include "worker/spawn.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/child.h"
#include "worker/slot_child.h"

/* In the child.  The paths were worked out before the fork. */
static void become_slot(pid_t worker, const int *fds, char *const *argv,
                        char *const *env) __attribute__((noreturn));

static void become_slot(pid_t worker, const int *fds, char *const *argv,
                        char *const *env)
{
    const struct rlimit no_core = {0, 0};

    ms_child_settle(worker);
    setsid();
    setrlimit(RLIMIT_CORE, &no_core); /* it would hold payloads */
    if (ms_child_set_fds(fds, MS_SLOT_LANE_FD + 1)) {
        execve("/proc/self/exe", argv, env);
        execve(argv[0], argv, env); /* valgrind cannot do the former */
    }
    _exit(127);
}

enum ms_err ms_spawn_slot(int number, int channel_fd, int lane_fd,
                          pid_t *out_pid, struct ms_error *error)
{
    const int fds[] = {-1, STDOUT_FILENO, STDERR_FILENO, channel_fd, lane_fd};
    char path[PATH_MAX] = "muster-worker";
    char name[16];
    char *argv[] = {path, (char[]){"--slot"}, name, NULL};
    char **env = ms_child_env_new(true);
    pid_t worker = getpid(), pid;

    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
        snprintf(path, sizeof(path), "muster-worker");
    snprintf(name, sizeof(name), "%d", number);
    pid = ms_child_fork();
    if (pid == 0)
        become_slot(worker, fds, argv, env);
    ms_child_env_free(env);
    if (pid < 0)
        return ms_error_set(error, MS_EIO, "cannot start a slot: %s",
                            strerror(errno));
    *out_pid = pid;
    return MS_OK;
}

#include "tests/support/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

#define CHILDREN_MAX 256

static pid_t living[CHILDREN_MAX];

static void remember(pid_t pid)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        if (living[i] == 0) {
            living[i] = pid;
            return;
        }
    }
    ms_assert(!"too many children");
}

static void forget(pid_t pid)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (living[i] == pid)
            living[i] = 0;
}

static void redirect(const char *path, int fd)
{
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (file < 0 || dup2(file, fd) < 0)
        _exit(127);
}

static void run_child(const char *const *argv, const char *const *env,
                      const char *stdout_path, const char *stderr_path,
                      pid_t parent)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we asked to be told */
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    redirect("/dev/null", STDIN_FILENO);
    redirect(stdout_path, STDOUT_FILENO);
    redirect(stderr_path, STDERR_FILENO);
    for (; env != NULL && *env != NULL; env++)
        putenv((char *)*env);
    execvp(argv[0], (char *const *)argv);
    dprintf(STDERR_FILENO, "cannot execute %s\n", argv[0]);
    _exit(127);
}

pid_t ms_child_start(const char *const *argv, const char *const *env,
                     const char *stdout_path, const char *stderr_path)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    ms_assert(pid >= 0);
    if (pid == 0) {
        setpgid(0, 0);
        run_child(argv, env, stdout_path, stderr_path, parent);
    }
    setpgid(pid, pid); /* both sides, so that neither has to wait */
    remember(pid);
    return pid;
}

static bool has_ended(pid_t pid, int *out_code)
{
    int status;
    pid_t got = waitpid(pid, &status, WNOHANG);

    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    if (got < 0)
        *out_code = 255;
    else if (WIFSIGNALED(status))
        *out_code = 128 + WTERMSIG(status);
    else
        *out_code = WEXITSTATUS(status);
    forget(pid);
    return true;
}

int ms_child_wait(pid_t pid, int timeout_ms)
{
    const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
    int64_t end = ms_clock_mono_ms() + timeout_ms;
    int code;

    while (!has_ended(pid, &code)) {
        if (ms_clock_mono_ms() >= end)
            return -1;
        nanosleep(&pause, NULL);
    }
    return code;
}

void ms_child_end(pid_t pid)
{
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL); /* where setpgid() had no time yet */
    ms_child_wait(pid, 10000);
}

void ms_children_kill(void)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (living[i] != 0)
            ms_child_end(living[i]);
}

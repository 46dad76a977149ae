#include "ctl/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"

static void on_exit_status(struct ev_loop *loop, ev_child *watcher, int events)
{
    struct ms_daemon *child = watcher->data;

    child->running = false;
    child->status = watcher->rstatus;
    ev_child_stop(loop, watcher);
    ev_break(loop, EVBREAK_ONE); /* whoever waits should look */
}

/* What the child does between fork and exec; never returns.  Says errno
 * through `report` when the program cannot be started. */
static void child_become(pid_t parent, int log_fd, int report,
                         const char *const *argv,
                         const char *const *environment, int death_signal)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;
    int code;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent) /* it died before we could ask */
        _exit(0);
    dup2(null_fd, STDIN_FILENO);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execvpe(argv[0], (char *const *)argv, (char *const *)environment);
    code = errno;
    (void)!write(report, &code, sizeof(code));
    _exit(127);
}

/* Forks; *out_errno is what exec said, 0 when it went well. */
static enum ms_err child_fork(struct ms_daemon *child, int log_fd,
                              const char *const *argv,
                              const char *const *environment, int death_signal,
                              int *out_errno)
{
    pid_t self = getpid();
    int report[2];

    *out_errno = 0;
    if (pipe2(report, O_CLOEXEC) != 0)
        return MS_EIO;
    child->pid = fork();
    if (child->pid == 0)
        child_become(self, log_fd, report[1], argv, environment, death_signal);
    close(report[1]);
    if (child->pid > 0 && read(report[0], out_errno, sizeof(*out_errno)) <= 0)
        *out_errno = 0;
    close(report[0]);
    return child->pid > 0 ? MS_OK : MS_EIO;
}

enum ms_err ms_daemon_start(struct ms_daemon *child, struct ev_loop *loop,
                            const char *name, const char *log,
                            const char *const *argv,
                            const char *const *environment, int death_signal,
                            struct ms_error *error)
{
    int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int code;
    enum ms_err err;

    memset(child, 0, sizeof(*child));
    if (log_fd < 0)
        return ms_error_set(error, MS_EIO, "cannot write '%s': %s", log,
                            strerror(errno));
    err = child_fork(child, log_fd, argv, environment, death_signal, &code);
    close(log_fd);
    if (err != MS_OK)
        return ms_error_set(error, err, "cannot start %s: %s", argv[0],
                            strerror(errno));
    child->name = ms_xstrdup(name);
    child->log = ms_xstrdup(log);
    child->loop = loop;
    child->running = true;
    ev_child_init(&child->watcher, on_exit_status, child->pid, 0);
    child->watcher.data = child;
    ev_child_start(loop, &child->watcher);
    if (code != 0)
        return ms_error_set(error, code == ENOENT ? MS_ENOENT : MS_EIO,
                            "cannot start %s: %s", argv[0], strerror(code));
    return MS_OK;
}

void ms_daemon_signal(const struct ms_daemon *child, int signal)
{
    if (child->running)
        kill(child->pid, signal);
}

const char *ms_daemon_end(const struct ms_daemon *child, char *out, size_t size)
{
    if (WIFSIGNALED(child->status))
        snprintf(out, size, "was killed by signal %d", WTERMSIG(child->status));
    else
        snprintf(out, size, "exited with %d", WEXITSTATUS(child->status));
    return out;
}

void ms_daemon_done(struct ms_daemon *child)
{
    if (child->running)
        ev_child_stop(child->loop, &child->watcher);
    free(child->name);
    free(child->log);
    memset(child, 0, sizeof(*child));
}

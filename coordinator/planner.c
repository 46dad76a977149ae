#include "coordinator/planner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"
#include "coordinator/planner_wire.h"

#define TIMEOUT_MS 60000

struct ms_planner {
    struct ev_loop *loop;
    ms_planner_fn *fn;
    void *arg;
    pid_t pid; /* 0: none, or reaped */
    int fd;    /* our end of the socketpair, -1: none */
    struct ms_buf request, answer;
    ev_io io;
    ev_timer timer;
    ev_child child;
    enum ms_err failed; /* could not be started: told from the loop */
    struct ms_error error;
};

/*
 * Only the default loop can watch children, and it reaps all of them.  In
 * another loop (tests) the child is killed, if need be, and waited for here.
 */
static void end_child(struct ms_planner *p)
{
    if (p->pid == 0)
        return;
    kill(p->pid, SIGKILL);
    if (ev_is_default_loop(p->loop))
        ev_child_stop(p->loop, &p->child);
    else
        waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

void ms_planner_cancel(struct ms_planner *p)
{
    if (p == NULL)
        return;
    end_child(p);
    ev_io_stop(p->loop, &p->io);
    ev_timer_stop(p->loop, &p->timer);
    if (p->fd >= 0)
        close(p->fd);
    ms_buf_done(&p->request);
    ms_buf_done(&p->answer);
    free(p);
}

/* The one place that calls back; the planner is gone afterwards. */
static void finish(struct ms_planner *p, enum ms_err err)
{
    struct ms_planner_answer answer = {.ends = NULL};
    struct ms_error error = p->error;
    ms_planner_fn *fn = p->fn;
    void *arg = p->arg;

    if (err == MS_OK)
        err = ms_planner_unpack_answer(&p->answer, &answer, &error);
    ms_planner_cancel(p);
    fn(err, err == MS_OK ? &answer : NULL, err == MS_OK ? "" : error.text, arg);
    ms_planner_answer_done(&answer);
}

static void watch(struct ms_planner *p, int events)
{
    ev_io_stop(p->loop, &p->io);
    ev_io_set(&p->io, p->fd, events);
    ev_io_start(p->loop, &p->io);
}

static void ask(struct ms_planner *p)
{
    ssize_t put = send(p->fd, p->request.data, p->request.len, MSG_NOSIGNAL);

    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (put < 0) {
        watch(p, EV_READ); /* its end of file will tell */
        return;
    }
    ms_buf_consume(&p->request, (size_t)put);
    if (p->request.len > 0)
        return;
    shutdown(p->fd, SHUT_WR);
    watch(p, EV_READ);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct ms_planner *p = io->data;
    ssize_t got;

    if (events & EV_WRITE) {
        ask(p);
        return;
    }
    got = recv(p->fd, ms_buf_reserve(&p->answer, 4096), 4096, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0) {
        p->answer.len += (size_t)got;
        if (p->answer.len <= MS_PLANNER_DOCUMENT_MAX)
            return;
        ms_buf_clear(&p->answer);
    }
    finish(p, MS_OK); /* or whatever the answer says */
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_planner *p = timer->data;

    if (p->failed != MS_OK)
        finish(p, p->failed);
    else
        finish(p, ms_error_set(&p->error, MS_ETIMEOUT,
                               "the planner did not answer in time"));
}

/* Its end of file, which comes too, tells the rest. */
static void on_child(struct ev_loop *loop, ev_child *child, int events)
{
    struct ms_planner *p = child->data;

    ev_child_stop(loop, child);
    p->pid = 0;
}

/* In the child, where only what is safe after fork() may be called.  Valgrind
 * cannot execute /proc/self/exe, so the real path is a second try. */
static void become_planner(int channel, const char *real_path, pid_t parent)
{
    char name[] = "muster-coordinator", flag[] = "--plan";
    char *argv[] = {name, flag, NULL};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setsid(); /* signals meant for the daemon's group are not for us */
    if (dup2(channel, STDIN_FILENO) < 0 || dup2(channel, STDOUT_FILENO) < 0)
        _exit(1);
    close_range(3, ~0U, 0);
    execv("/proc/self/exe", argv);
    execv(real_path, argv);
    _exit(1);
}

static enum ms_err spawn(struct ms_planner *p, struct ms_error *error)
{
    char real_path[4096];
    ssize_t len = readlink("/proc/self/exe", real_path, sizeof(real_path) - 1);
    pid_t parent = getpid(), pid;
    int pair[2];

    real_path[len > 0 ? len : 0] = '\0';
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return ms_error_set(error, MS_EIO, "cannot start the planner: %s",
                            strerror(errno));
    pid = fork();
    if (pid == 0)
        become_planner(pair[1], real_path, parent);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return ms_error_set(error, MS_EIO, "cannot start the planner: %s",
                            strerror(errno));
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    p->fd = pair[0];
    p->pid = pid;
    return MS_OK;
}

static void start_timer(struct ms_planner *p, int timeout_ms)
{
    ev_now_update(p->loop); /* the loop's idea of now may be old */
    ev_timer_set(&p->timer, timeout_ms / 1000.0, 0);
    ev_timer_start(p->loop, &p->timer);
}

struct ms_planner *ms_planner_start(struct ev_loop *loop,
                                    const struct ms_planner_request *request,
                                    ms_planner_fn *fn, void *arg)
{
    struct ms_planner *p = ms_xcalloc(1, sizeof(*p));

    p->loop = loop;
    p->fn = fn;
    p->arg = arg;
    p->fd = -1;
    ev_init(&p->io, on_io);
    ev_init(&p->timer, on_timer);
    p->io.data = p->timer.data = p->child.data = p;
    p->failed = spawn(p, &p->error);
    if (p->failed != MS_OK) {
        start_timer(p, 0);
        return p;
    }
    if (ev_is_default_loop(loop)) {
        ev_child_init(&p->child, on_child, p->pid, 0);
        p->child.data = p;
        ev_child_start(loop, &p->child);
    }
    ms_planner_pack_request(request, &p->request);
    watch(p, EV_WRITE);
    start_timer(p, request->timeout_ms == 0 ? TIMEOUT_MS : request->timeout_ms);
    return p;
}

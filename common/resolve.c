#include "common/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"

#define CHILD_LIFE_S 30

/* What the child writes, in one piece: smaller than a pipe's atomic write. */
struct answer {
    size_t n;
    char why[128]; /* "" unless n is 0 */
    struct ms_address addresses[MS_RESOLVE_MAX];
};

_Static_assert(sizeof(struct answer) <= 4096, "one atomic write");

struct ms_resolve {
    struct ev_loop *loop;
    ev_io reading;
    struct answer answer;
    size_t got;
    ms_resolve_fn *fn;
    void *arg;
};

/* Addresses come in the order that the host's policy prefers. */
static void look_up(const char *host, int port, int flags, struct answer *out)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8];
    int rc;

    snprintf(service, sizeof(service), "%d", port);
    rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) {
        snprintf(out->why, sizeof(out->why), "%s",
                 rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return;
    }
    for (const struct addrinfo *at = list;
         at != NULL && out->n < MS_RESOLVE_MAX; at = at->ai_next) {
        struct ms_address *address = &out->addresses[out->n++];

        address->len = at->ai_addrlen;
        memcpy(&address->to, at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(list);
}

bool ms_resolve_numeric(const char *host, int port,
                        struct ms_address *out_address)
{
    struct answer answer = {0};

    look_up(host, port, AI_NUMERICHOST, &answer);
    if (answer.n > 0)
        *out_address = answer.addresses[0];
    return answer.n > 0;
}

/* The child must hold nothing of ours open: a peer waits for the end of a
 * connection that we close. */
static void become_nobody(int *fd)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(CHILD_LIFE_S);
    if (*fd != 3)
        dup2(*fd, 3);
    *fd = 3;
    close_range(4, ~0u, 0);
}

static void run_child(int fd, const char *host, int port)
{
    struct answer answer = {0};

    become_nobody(&fd);
    look_up(host, port, 0, &answer);
    if (write(fd, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
        _exit(1);
    _exit(0);
}

static void finish(struct ms_resolve *r)
{
    ev_io_stop(r->loop, &r->reading);
    if (r->got < sizeof(r->answer)) {
        r->answer.n = 0;
        strcpy(r->answer.why, "the resolving process died");
    }
    r->fn(r->answer.n > 0 ? MS_OK : MS_EDOWN, r->answer.addresses, r->answer.n,
          r->answer.why, r->arg); /* `r` may be gone now */
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ms_resolve *r = watcher->data;
    ssize_t n = read(watcher->fd, (char *)&r->answer + r->got,
                     sizeof(r->answer) - r->got);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        r->got += (size_t)n;
    if (n <= 0 || r->got == sizeof(r->answer))
        finish(r);
}

/* Forks twice and reaps the one in the middle, which exits at once. */
static bool fork_away(const int ends[2], const char *host, int port)
{
    pid_t middle = fork();
    int status = 0;

    if (middle < 0)
        return false;
    if (middle == 0) {
        pid_t child = fork();

        if (child == 0)
            run_child(ends[1], host, port);
        _exit(child < 0);
    }
    while (waitpid(middle, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0;
}

enum ms_err ms_resolve_start(struct ev_loop *loop, const char *host, int port,
                             ms_resolve_fn *fn, void *arg,
                             struct ms_resolve **out_resolve,
                             struct ms_error *error)
{
    struct ms_resolve *r;
    int ends[2];
    bool ok;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return ms_error_set(error, MS_EIO, "cannot make a pipe: %s",
                            strerror(errno));
    ok = fork_away(ends, host, port);
    close(ends[1]);
    if (!ok) {
        close(ends[0]);
        return ms_error_set(error, MS_EIO, "cannot start a process: %s",
                            strerror(errno));
    }
    r = ms_xcalloc(1, sizeof(*r));
    r->loop = loop;
    r->fn = fn;
    r->arg = arg;
    ev_io_init(&r->reading, on_readable, ends[0], EV_READ);
    r->reading.data = r;
    ev_io_start(loop, &r->reading);
    *out_resolve = r;
    return MS_OK;
}

void ms_resolve_free(struct ms_resolve *resolve)
{
    if (resolve == NULL)
        return;
    ev_io_stop(resolve->loop, &resolve->reading);
    close(resolve->reading.fd);
    free(resolve);
}

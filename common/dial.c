#include "common/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/resolve.h"

struct ms_dial {
    struct ev_loop *loop;
    char *path;
    char *host;
    int port;
    int64_t end_ms; /* of the whole, on the monotonic clock */
    ms_dial_fn *fn;
    void *arg;
    struct ms_resolve *resolve;
    struct ms_address addresses[MS_RESOLVE_MAX];
    size_t n_addresses;
    size_t at; /* the one being tried */
    int fd;    /* of that, or -1 */
    ev_io connecting;
    ev_timer timer; /* the start; then the end of resolving or of one try */
    struct ms_error why; /* of the last failure */
};

static void finish(struct ms_dial *dial)
{
    int fd = dial->fd;

    dial->fd = -1;
    ev_io_stop(dial->loop, &dial->connecting);
    ev_timer_stop(dial->loop, &dial->timer);
    ms_resolve_free(dial->resolve);
    dial->resolve = NULL;
    dial->fn(fd, fd >= 0 ? "" : dial->why.text, dial->arg);
}

static void set_timer(struct ms_dial *dial, int64_t after_ms)
{
    ev_timer_stop(dial->loop, &dial->timer);
    ev_now_update(dial->loop);
    ev_timer_set(&dial->timer, (double)(after_ms > 0 ? after_ms : 1) / 1000.0,
                 0.);
    ev_timer_start(dial->loop, &dial->timer);
}

static void describe(struct ms_dial *dial, const char *what)
{
    if (dial->path != NULL)
        ms_error_set(&dial->why, MS_EDOWN, "cannot connect to %s: %s",
                     dial->path, what);
    else
        ms_error_set(&dial->why, MS_EDOWN, "cannot connect to %s:%d: %s",
                     dial->host, dial->port, what);
}

/* False when it failed at once. */
static bool open_socket(struct ms_dial *dial, const struct ms_address *address)
{
    int on = 1;
    int fd = socket(address->to.ss_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;
    dial->fd = fd;
    if (address->to.ss_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    return connect(fd, (const struct sockaddr *)&address->to, address->len) ==
               0 ||
           errno == EINPROGRESS;
}

static void close_socket(struct ms_dial *dial)
{
    ev_io_stop(dial->loop, &dial->connecting);
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}

/* Tries addresses from `at` on until one is at least under way. */
static void try_next(struct ms_dial *dial)
{
    for (; dial->at < dial->n_addresses; dial->at++) {
        int64_t left_ms = dial->end_ms - ms_clock_mono_ms();

        if (open_socket(dial, &dial->addresses[dial->at])) {
            ev_io_set(&dial->connecting, dial->fd, EV_WRITE);
            ev_io_start(dial->loop, &dial->connecting);
            set_timer(dial, left_ms / (int64_t)(dial->n_addresses - dial->at));
            return;
        }
        describe(dial, strerror(errno));
        close_socket(dial);
    }
    finish(dial);
}

/* A try on a free port of this host may be given that very port as its own
 * end, and TCP then connects it to itself.  It would answer what we send. */
static bool is_own_end(int fd)
{
    struct sockaddr_storage here = {0};
    struct sockaddr_storage there = {0};
    socklen_t here_len = sizeof(here);
    socklen_t there_len = sizeof(there);

    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 &&
           here.ss_family != AF_UNIX && here_len == there_len &&
           memcmp(&here, &there, here_len) == 0;
}

static void on_connecting(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ms_dial *dial = watcher->data;
    int failed = 0;
    socklen_t len = sizeof(failed);

    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0)
        failed = errno;
    if (failed == 0 && is_own_end(dial->fd))
        failed = ECONNREFUSED;
    if (failed == 0) {
        finish(dial);
        return;
    }
    describe(dial, strerror(failed));
    close_socket(dial);
    dial->at++;
    try_next(dial);
}

static void on_resolved(enum ms_err err, const struct ms_address *addresses,
                        size_t n, const char *why, void *arg)
{
    struct ms_dial *dial = arg;

    if (err != MS_OK)
        ms_error_set(&dial->why, err, "cannot resolve '%s': %s", dial->host,
                     why);
    else
        memcpy(dial->addresses, addresses, n * sizeof(*addresses));
    dial->n_addresses = n;
    ms_resolve_free(dial->resolve); /* and what it lent us */
    dial->resolve = NULL;
    try_next(dial);
}

static void use_path(struct ms_dial *dial)
{
    struct sockaddr_un *to = (struct sockaddr_un *)&dial->addresses[0].to;

    if (strlen(dial->path) >= sizeof(to->sun_path)) {
        describe(dial, "the path is too long for a socket");
        return;
    }
    to->sun_family = AF_UNIX;
    strcpy(to->sun_path, dial->path);
    dial->addresses[0].len = sizeof(*to);
    dial->n_addresses = 1;
}

static void begin(struct ms_dial *dial)
{
    if (dial->path != NULL) {
        use_path(dial);
    } else if (ms_resolve_numeric(dial->host, dial->port,
                                  &dial->addresses[0])) {
        dial->n_addresses = 1;
    } else if (ms_resolve_start(dial->loop, dial->host, dial->port, on_resolved,
                                dial, &dial->resolve, &dial->why) == MS_OK) {
        set_timer(dial, dial->end_ms - ms_clock_mono_ms());
        return;
    }
    try_next(dial);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct ms_dial *dial = watcher->data;

    if (dial->resolve != NULL) {
        ms_error_set(&dial->why, MS_EDOWN, "cannot resolve '%s': no answer",
                     dial->host);
        finish(dial);
    } else if (dial->fd >= 0) {
        describe(dial, strerror(ETIMEDOUT));
        close_socket(dial);
        dial->at++;
        try_next(dial);
    } else {
        begin(dial);
    }
}

struct ms_dial *ms_dial_start(struct ev_loop *loop, const struct ms_dial_to *to,
                              int timeout_ms, ms_dial_fn *fn, void *arg)
{
    struct ms_dial *dial = ms_xcalloc(1, sizeof(*dial));

    dial->loop = loop;
    dial->path = to->path == NULL ? NULL : ms_xstrdup(to->path);
    dial->host = to->host == NULL ? NULL : ms_xstrdup(to->host);
    dial->port = to->port;
    dial->end_ms = ms_clock_mono_ms() + timeout_ms;
    dial->fn = fn;
    dial->arg = arg;
    dial->fd = -1;
    ev_init(&dial->connecting, on_connecting);
    dial->connecting.data = dial;
    /* From the loop's next turn: a refused Unix socket fails at once, and the
     * callback must not come from in here. */
    ev_timer_init(&dial->timer, on_timer, 0., 0.);
    dial->timer.data = dial;
    ev_timer_start(loop, &dial->timer);
    return dial;
}

void ms_dial_free(struct ms_dial *dial)
{
    if (dial == NULL)
        return;
    ms_resolve_free(dial->resolve);
    ev_timer_stop(dial->loop, &dial->timer);
    close_socket(dial);
    free(dial->path);
    free(dial->host);
    free(dial);
}

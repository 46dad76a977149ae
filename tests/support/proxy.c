/*
 *     client <--> wire.client | proxy | wire.server <--> Redis
 *
 * To know when a request was carried out, a mark (an ECHO) is sent behind it:
 * when its reply is there, so is the one that is to be lost.
 */
#include "tests/support/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"

#define MARK       "*2\r\n$4\r\nECHO\r\n$8\r\nproxycut\r\n"
#define MARK_REPLY "$8\r\nproxycut\r\n"

struct wire {
    struct ms_test_proxy *proxy;
    struct wire *next;
    ev_io client, server;
    struct ms_buf kept; /* replies before the mark, or requests held */
    bool is_cutting, is_held;
    bool is_gone; /* the client left while requests are held */
};

struct ms_test_proxy {
    struct ev_loop *loop;
    char *url, *target;
    ev_io listening;
    struct wire *wires;
    const char *lose, *hold;
    int cuts;
};

static void name_socket(struct sockaddr_un *out, const char *path)
{
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    ms_assert(strlen(path) < sizeof(out->sun_path));
    strcpy(out->sun_path, path);
}

static void wire_close(struct wire *wire)
{
    struct wire **at = &wire->proxy->wires;

    while (*at != wire)
        at = &(*at)->next;
    *at = wire->next;
    ev_io_stop(wire->proxy->loop, &wire->client);
    ev_io_stop(wire->proxy->loop, &wire->server);
    close(wire->client.fd);
    close(wire->server.fd);
    ms_buf_done(&wire->kept);
    free(wire);
}

/* The sockets are blocking for writes: what a test sends fits. */
static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* gone; the reading side sees that */
        bytes += n;
        len -= (size_t)n;
    }
}

static bool holds(const char *bytes, ssize_t n, const char *text)
{
    return text != NULL && memmem(bytes, (size_t)n, text, strlen(text)) != NULL;
}

static void on_request(struct ev_loop *loop, ev_io *watcher, int events)
{
    static char bytes[1 << 20];
    struct wire *wire = watcher->data;
    struct ms_test_proxy *proxy = wire->proxy;
    ssize_t n = recv(watcher->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 && wire->is_held) {
        ev_io_stop(loop, watcher);
        wire->is_gone = true;
        return;
    }
    if (n <= 0) {
        wire_close(wire);
        return;
    }
    if (holds(bytes, n, proxy->hold)) {
        proxy->hold = NULL;
        proxy->cuts++;
        wire->is_held = true;
    }
    if (wire->is_held) {
        ms_buf_add(&wire->kept, bytes, (size_t)n);
        return;
    }
    write_all(wire->server.fd, bytes, (size_t)n);
    if (!wire->is_cutting && holds(bytes, n, proxy->lose)) {
        wire->is_cutting = true;
        write_all(wire->server.fd, MARK, strlen(MARK));
    }
}

/* A script that was not known yet has not been carried out: later, then. */
static void pass_kept(struct wire *wire, size_t len)
{
    write_all(wire->client.fd, wire->kept.data, len);
    ms_buf_consume(&wire->kept, len + strlen(MARK_REPLY));
    write_all(wire->client.fd, wire->kept.data, wire->kept.len);
    ms_buf_clear(&wire->kept);
    wire->is_cutting = false;
}

static void on_reply(struct ev_loop *loop, ev_io *watcher, int events)
{
    static char bytes[1 << 20];
    struct wire *wire = watcher->data;
    ssize_t n = recv(watcher->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    const char *mark;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        wire_close(wire);
        return;
    }
    if (!wire->is_cutting) {
        write_all(wire->client.fd, bytes, (size_t)n);
        return;
    }
    ms_buf_add(&wire->kept, bytes, (size_t)n);
    mark = strstr(ms_buf_str(&wire->kept), MARK_REPLY);
    if (mark == NULL)
        return;
    if (strstr(wire->kept.data, "-NOSCRIPT") != NULL) {
        pass_kept(wire, (size_t)(mark - wire->kept.data));
        return;
    }
    wire->proxy->lose = NULL;
    wire->proxy->cuts++;
    wire_close(wire);
}

static void on_connection(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ms_test_proxy *proxy = watcher->data;
    struct sockaddr_un name;
    struct wire *wire;
    int client = accept4(watcher->fd, NULL, NULL, SOCK_CLOEXEC);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name_socket(&name, proxy->target);
    if (client < 0 || server < 0 ||
        connect(server, (struct sockaddr *)&name, sizeof(name)) != 0) {
        close(client);
        close(server); /* Redis is away: so are we */
        return;
    }
    wire = ms_xcalloc(1, sizeof(*wire));
    wire->proxy = proxy;
    wire->next = proxy->wires;
    proxy->wires = wire;
    ev_io_init(&wire->client, on_request, client, EV_READ);
    ev_io_init(&wire->server, on_reply, server, EV_READ);
    wire->client.data = wire->server.data = wire;
    ev_io_start(loop, &wire->client);
    ev_io_start(loop, &wire->server);
}

struct ms_test_proxy *ms_test_proxy_new(struct ev_loop *loop,
                                        const struct ms_test_redis *server)
{
    struct ms_test_proxy *proxy = ms_xcalloc(1, sizeof(*proxy));
    static int number;
    struct sockaddr_un name;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    proxy->loop = loop;
    proxy->target = ms_xstrdup(ms_test_redis_url(server) + strlen("unix://"));
    proxy->url =
        ms_xasprintf("unix://%s/proxy-%d.sock", ms_test_dir(), ++number);
    name_socket(&name, proxy->url + strlen("unix://"));
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&name, sizeof(name)), ==, 0);
    CHECK_INT(listen(fd, 64), ==, 0);
    ev_io_init(&proxy->listening, on_connection, fd, EV_READ);
    proxy->listening.data = proxy;
    ev_io_start(loop, &proxy->listening);
    return proxy;
}

void ms_test_proxy_free(struct ms_test_proxy *proxy)
{
    if (proxy == NULL)
        return;
    while (proxy->wires != NULL)
        wire_close(proxy->wires);
    ev_io_stop(proxy->loop, &proxy->listening);
    close(proxy->listening.fd);
    unlink(proxy->url + strlen("unix://"));
    free(proxy->target);
    free(proxy->url);
    free(proxy);
}

const char *ms_test_proxy_url(const struct ms_test_proxy *proxy)
{
    return proxy->url;
}

void ms_test_proxy_lose_reply(struct ms_test_proxy *proxy, const char *text)
{
    proxy->lose = text;
}

void ms_test_proxy_hold_request(struct ms_test_proxy *proxy, const char *text)
{
    proxy->hold = text;
}

void ms_test_proxy_deliver(struct ms_test_proxy *proxy)
{
    for (struct wire *wire = proxy->wires, *next; wire != NULL; wire = next) {
        next = wire->next;
        if (!wire->is_held)
            continue;
        write_all(wire->server.fd, wire->kept.data, wire->kept.len);
        ms_buf_clear(&wire->kept);
        wire->is_held = false;
        if (wire->is_gone)
            wire_close(wire); /* Redis reads what was sent before the end */
    }
}

int ms_test_proxy_cuts(const struct ms_test_proxy *proxy)
{
    return proxy->cuts;
}

#include "common/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"

struct ms_http {
    struct ev_loop *loop;
    struct MHD_Daemon *daemon;
    ms_http_fn *fn;
    void *arg;
    char address[128];
    int socket;
    ev_io io;
    ev_timer timer;
};

/* ---- requests ---- */

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    static const int seen;
    struct ms_http *http = arg;
    struct ms_http_answer answer = {.content_type =
                                        "text/plain; charset=utf-8"};
    struct MHD_Response *response;
    enum MHD_Result result;
    int status;

    /* The first call comes with the headers alone; a body is read and
     * dropped. */
    if (*request == NULL) {
        *request = (void *)&seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    status = http->fn(method, url, &answer, http->arg);
    response =
        MHD_create_response_from_buffer(answer.body.len, answer.body.data,
                                        MHD_RESPMEM_MUST_COPY);
    ms_buf_done(&answer.body);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            answer.content_type);
    result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the loop ---- */

static void pump(struct ms_http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    MHD_run(http->daemon);
    ev_timer_stop(http->loop, &http->timer);
    if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES) {
        ev_timer_set(&http->timer, (double)wait_ms / 1000., 0.);
        ev_timer_start(http->loop, &http->timer);
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    pump(io->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    pump(timer->data);
}

/* ---- listening ---- */

/* "host:port", "[v6]:port"; only numbers and "localhost", so that no resolver
 * is asked in the loop. */
static enum ms_err parse_address(const char *address, char *host, size_t size,
                                 char *port, size_t port_size,
                                 struct ms_error *error)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);

    if (colon == NULL || len == 0 || len >= size ||
        strlen(colon + 1) >= port_size || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        atol(colon + 1) > 65535)
        return ms_error_set(error, MS_EINVAL, "'%s' is not host:port", address);
    snprintf(port, port_size, "%s", colon + 1);
    if (address[0] == '[' && address[len - 1] == ']')
        snprintf(host, size, "%.*s", (int)len - 2, address + 1);
    else
        snprintf(host, size, "%.*s", (int)len, address);
    if (strcmp(host, "localhost") == 0)
        snprintf(host, size, "127.0.0.1");
    return MS_OK;
}

static enum ms_err bind_socket(const char *address, int *out_socket,
                               struct ms_error *error)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *found = NULL;
    char host[100], port[8];
    const int on = 1;
    enum ms_err err =
        parse_address(address, host, sizeof(host), port, sizeof(port), error);
    int fd;

    if (err != MS_OK)
        return err;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return ms_error_set(error, MS_EINVAL,
                            "'%s': the host must be an IP address", address);
    fd =
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
        listen(fd, 64) != 0) {
        err = ms_error_set(error, MS_EIO, "cannot listen on %s: %s", address,
                           strerror(errno));
        if (fd >= 0)
            close(fd);
    } else {
        *out_socket = fd;
    }
    freeaddrinfo(found);
    return err;
}

static void note_address(struct ms_http *http)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char host[100], port[8];

    if (getsockname(http->socket, (struct sockaddr *)&bound, &len) != 0 ||
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    snprintf(http->address, sizeof(http->address),
             strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

static enum ms_err start_daemon(struct ms_http *http, struct ms_error *error)
{
    const union MHD_DaemonInfo *info;

    http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request,
                                    http, MHD_OPTION_LISTEN_SOCKET,
                                    http->socket, MHD_OPTION_CONNECTION_LIMIT,
                                    256u, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                    (size_t)16384, MHD_OPTION_END);
    if (http->daemon == NULL)
        return ms_error_set(error, MS_EIO, "the HTTP server did not start");
    http->socket = -1; /* the daemon closes it from now on */
    info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return ms_error_set(error, MS_EIO, "the HTTP server has no epoll");
    ev_io_init(&http->io, on_io, info->epoll_fd, EV_READ);
    http->io.data = http;
    ev_io_start(http->loop, &http->io);
    return MS_OK;
}

enum ms_err ms_http_new(struct ev_loop *loop, const char *address,
                        ms_http_fn *fn, void *arg, struct ms_http **out_http,
                        struct ms_error *error)
{
    struct ms_http *http = ms_xcalloc(1, sizeof(*http));
    enum ms_err err;

    http->loop = loop;
    http->fn = fn;
    http->arg = arg;
    http->socket = -1;
    ev_init(&http->io, on_io);
    ev_init(&http->timer, on_timer);
    http->timer.data = http;
    err = bind_socket(address, &http->socket, error);
    if (err != MS_OK)
        goto out;
    note_address(http);
    err = start_daemon(http, error);
    if (err != MS_OK)
        goto out;
    *out_http = http;
    http = NULL; /* it is the caller's now */
out:
    ms_http_free(http);
    return err;
}

void ms_http_free(struct ms_http *http)
{
    if (http == NULL)
        return;
    ev_io_stop(http->loop, &http->io);
    ev_timer_stop(http->loop, &http->timer);
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    if (http->socket >= 0)
        close(http->socket);
    free(http);
}

const char *ms_http_address(const struct ms_http *http)
{
    return http->address;
}

#include "common/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/token.h"

struct ms_http {
    struct ev_loop *loop;
    struct MHD_Daemon *daemon;
    ms_http_fn *fn;
    void *arg;
    char address[MS_ADDRESS_MAX];
    int socket;
    bool guarded; /* who asks must show a token */
    char *token, *readonly_token;
    ev_io io;
    ev_timer timer;
};

/* ---- requests ---- */

static bool is_probe(const char *path)
{
    return strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0;
}

static bool is_allowed(const struct ms_http *http, const char *path,
                       const char *authorization)
{
    if (is_probe(path) || !http->guarded)
        return true;
    return (http->token != NULL &&
            ms_token_matches(http->token, authorization)) ||
           (http->readonly_token != NULL &&
            ms_token_matches(http->readonly_token, authorization));
}

static int refuse(struct ms_http_answer *answer, int status, const char *code,
                  const char *message)
{
    struct ms_json json = ms_json_on(&answer->body);

    answer->content_type = "application/json";
    ms_json_open(&json, '{');
    ms_json_key(&json, "error");
    ms_json_open(&json, '{');
    ms_json_key(&json, "code");
    ms_json_str(&json, code);
    ms_json_key(&json, "message");
    ms_json_str(&json, message);
    ms_json_close(&json);
    ms_json_close(&json);
    return status;
}

static int answer_request(const struct ms_http *http, const char *method,
                          const char *path, const char *authorization,
                          struct ms_http_answer *answer)
{
    if (!is_allowed(http, path, authorization))
        return refuse(answer, MHD_HTTP_UNAUTHORIZED, "unauthorized",
                      "this needs a bearer token");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                      "only GET and HEAD are answered");
    return http->fn(method, path, answer, http->arg);
}

/* Takes the answer's body. */
static enum MHD_Result send_answer(struct MHD_Connection *connection,
                                   int status, struct ms_http_answer *answer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.data,
                                        MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result;

    ms_buf_done(&answer->body);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            answer->content_type);
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                "Bearer");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

/* The library calls once with the headers, then with each piece of a body,
 * then once more; a body is dropped. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    static const int seen;
    struct ms_http_answer answer = {.content_type =
                                        "text/plain; charset=utf-8"};
    const char *authorization;
    int status;

    if (*request == NULL) {
        *request = (void *)&seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                MHD_HTTP_HEADER_AUTHORIZATION);
    status = answer_request(arg, method, url, authorization, &answer);
    return send_answer(connection, status, &answer);
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

static enum ms_err bind_socket(struct ms_http *http, const char *text,
                               struct ms_error *error)
{
    struct ms_address address;
    const int on = 1;
    enum ms_err err = ms_address_parse(text, &address, error);
    int fd;

    if (err != MS_OK)
        return err;
    fd = socket(address.sock.ss_family,
                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    http->socket = fd;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 ||
        bind(fd, (struct sockaddr *)&address.sock, address.len) != 0 ||
        listen(fd, 64) != 0)
        return ms_error_set(error, MS_EIO, "cannot listen on %s: %s", text,
                            strerror(errno));
    /* Which port was it? */
    address.len = sizeof(address.sock);
    ms_assert(getsockname(fd, (struct sockaddr *)&address.sock, &address.len) ==
              0);
    ms_address_format(&address, http->address);
    http->guarded = !ms_address_is_loopback(&address);
    return MS_OK;
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
    err = bind_socket(http, address, error);
    if (err != MS_OK)
        goto out;
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
    free(http->token);
    free(http->readonly_token);
    free(http);
}

static enum ms_err load_token(struct ms_http *http, const char *path,
                              char **token, struct ms_error *error)
{
    char *text;
    enum ms_err err;

    if (path == NULL)
        return MS_OK;
    err = ms_token_read(path, &text, error);
    if (err != MS_OK)
        return err;
    free(*token);
    *token = text;
    http->guarded = true;
    return MS_OK;
}

enum ms_err ms_http_load_tokens(struct ms_http *http, const char *token_file,
                                const char *readonly_token_file,
                                struct ms_error *error)
{
    enum ms_err err = load_token(http, token_file, &http->token, error);

    if (err == MS_OK)
        err =
            load_token(http, readonly_token_file, &http->readonly_token, error);
    return err;
}

const char *ms_http_address(const struct ms_http *http)
{
    return http->address;
}

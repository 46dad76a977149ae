/*
 * http: a small HTTP server on the daemon's own loop (libmicrohttpd run by its
 * epoll descriptor, no threads).
 *
 * Handlers answer at once from memory and never block.
 */
#pragma once

#include <ev.h>

#include "common/buf.h"
#include "common/err.h"

struct ms_http;

/* One GET or HEAD (whose body is not sent; others are answered 405 without
 * asking).  `path` is without the query.  `body` is the answer to fill;
 * `content_type` starts as "text/plain; charset=utf-8".  Returns the HTTP
 * status. */
struct ms_http_answer {
    struct ms_buf body;
    const char *content_type;
};
typedef int ms_http_fn(const char *method, const char *path,
                       struct ms_http_answer *answer, void *arg);

/* Listens on "host:port"; port 0 takes a free one.  MS_EINVAL for an address
 * that cannot be read, MS_EIO where it cannot be bound. */
enum ms_err ms_http_new(struct ev_loop *loop, const char *address,
                        ms_http_fn *fn, void *arg, struct ms_http **out_http,
                        struct ms_error *error);
void ms_http_free(struct ms_http *http); /* takes NULL */

/* Reads http.token_file and http.readonly_token_file; each may be NULL.  From
 * then on every path but /healthz and /readyz is answered 401 unless the
 * request carries one of the tokens.  A server beyond loopback does that from
 * the start, and lets nobody in until it has a token.  MS_EIO or MS_EINVAL for
 * a file that cannot be used. */
enum ms_err ms_http_load_tokens(struct ms_http *http, const char *token_file,
                                const char *readonly_token_file,
                                struct ms_error *error);

/* "host:port" as bound, for the pod's record; owned by the server. */
const char *ms_http_address(const struct ms_http *http);

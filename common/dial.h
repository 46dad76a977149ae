/*
 * dial: a connected stream socket, without blocking.
 *
 * Takes a Unix socket's path or a host and port; a name is resolved in a child
 * process (resolve.h), and its addresses are tried one after the other, each
 * with its part of the time.
 *
 *     RESOLVING --addresses--> CONNECTING --ok--> done(fd)
 *         |                     |      ^
 *         |                     failed, next address
 *         '---- done(-1) <------' failed, the last
 */
#pragma once

#include <ev.h>

#include "common/err.h"

struct ms_dial;

struct ms_dial_to {
    const char *path; /* a Unix socket; NULL: host and port */
    const char *host;
    int port;
};

/* Called once, never from inside ms_dial_start().  `fd` is non-blocking,
 * close-on-exec, with TCP_NODELAY, and now the caller's; -1 when it failed,
 * with the reason in `why`, which is the dial's.  It may free the dial. */
typedef void ms_dial_fn(int fd, const char *why, void *arg);

/* Copies `to`.  Returns a new one, for ms_dial_free() in any case. */
struct ms_dial *ms_dial_start(struct ev_loop *loop, const struct ms_dial_to *to,
                              int timeout_ms, ms_dial_fn *fn, void *arg);

/* Takes NULL; forgets the callback and closes what is half open. */
void ms_dial_free(struct ms_dial *dial);

/*
 * resolve: a host name to addresses, in a child process.
 *
 * getaddrinfo() blocks for as long as a name server likes, and nothing may
 * block a daemon's loop.  The child is a grandchild in truth, so that nobody
 * here has to reap it and a loop that reaps its own children never sees it.
 * It ends by itself, after 30 s at the latest.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/err.h"

#define MS_RESOLVE_MAX 16

struct ms_address {
    socklen_t len;
    struct sockaddr_storage to;
};

struct ms_resolve;

/* Called once, never from inside ms_resolve_start(); `addresses` are good
 * until it returns.  MS_EDOWN with a text in `why` for an unknown name.  It
 * may free the resolve. */
typedef void ms_resolve_fn(enum ms_err err, const struct ms_address *addresses,
                           size_t n, const char *why, void *arg);

/* Is `host` an address in digits?  Then *out_address is it; never blocks. */
bool ms_resolve_numeric(const char *host, int port,
                        struct ms_address *out_address);

/* Returns a new one, for ms_resolve_free() in any case.  MS_EIO where no
 * process can be started. */
enum ms_err ms_resolve_start(struct ev_loop *loop, const char *host, int port,
                             ms_resolve_fn *fn, void *arg,
                             struct ms_resolve **out_resolve,
                             struct ms_error *error);

/* Takes NULL; forgets the callback. */
void ms_resolve_free(struct ms_resolve *resolve);

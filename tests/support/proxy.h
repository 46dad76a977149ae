/*
 * proxy: a wire between a client and a Redis, which the test can cut where it
 * hurts most: behind a request and before its reply.
 *
 * It listens on a Unix socket and runs on a loop of the test's.  A cut closes
 * the connection that asked; others and new ones go on.
 */
#pragma once

#include <ev.h>

#include "tests/support/support.h"

struct ms_test_proxy;

/* Forwards to the Redis of this fixture. */
struct ms_test_proxy *ms_test_proxy_new(struct ev_loop *loop,
                                        const struct ms_test_redis *server);
void ms_test_proxy_free(struct ms_test_proxy *proxy); /* takes NULL */
const char *ms_test_proxy_url(const struct ms_test_proxy *proxy);

/* The next request that holds `text` (a script's hash, an id) is forwarded and
 * carried out, but its connection is closed before the reply comes through.
 * Borrows `text` until then.  NULL: none is cut. */
void ms_test_proxy_lose_reply(struct ms_test_proxy *proxy, const char *text);

/* From the next request that holds `text`, what this connection sends is held
 * back, as on a wire that is stuck; it goes to Redis with
 * ms_test_proxy_deliver(), whether or not the client still waits. */
void ms_test_proxy_hold_request(struct ms_test_proxy *proxy, const char *text);
void ms_test_proxy_deliver(struct ms_test_proxy *proxy);

/* How many replies were lost, and requests held. */
int ms_test_proxy_cuts(const struct ms_test_proxy *proxy);

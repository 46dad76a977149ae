/*
 * redis: one connection that keeps itself up.  redis.c is the only user of
 * hiredis.
 *
 * Asynchronous on libev; every request gets exactly one callback, never from
 * inside the call that made it: with a reply, with the class of Redis's error
 * (the reply then holds its text), with MS_ETIMEOUT at its deadline, or with
 * MS_EDOWN when the connection is or goes away.  What MS_EDOWN and
 * MS_ETIMEOUT mean for the operation is the caller's to think about: it may
 * or may not have happened.
 *
 *     DOWN --timer--> CONNECTING --ok--> HELLO (AUTH, SELECT, SETNAME) --> UP
 *      ^                  |                |                               |
 *      '---- jittered ----'--- failed -----'------- broken, timed out -----'
 *
 * Replies come in the order of the requests, but for a script that the server
 * did not know: it is loaded and sent again, and takes its place then.
 * A request that reaches its deadline breaks the connection, because a Redis
 * that answers nothing answers what follows no better.
 *
 * Names are resolved in a child process, never in the loop.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/reply.h"

struct ms_redis;
struct ms_request;

struct ms_redis_options {
    const char *url;         /* checked by ms_redis_url_parse() */
    const char *client_name; /* for CLIENT SETNAME; NULL: none */
    int connect_timeout_ms;  /* 0: 2000 */
    int command_timeout_ms;  /* default deadline of a request; 0: 5000 */
    int retry_max_ms; /* between tries to connect; 0: 5000.  Who holds leases
                         must be back well within their TTL */
    uint64_t seed;    /* of the jitter; 0: random */
};

/* `reply` is never NULL (a NIL one with MS_EDOWN and MS_ETIMEOUT), and the
 * connection's; it lasts until the callback returns.  The callback may send,
 * cancel, and free the connection. */
typedef void ms_reply_fn(enum ms_err err, const struct ms_reply *reply,
                         void *arg);

/* Called at each change of up, and when the very first try fails; `err` and
 * `why` say why it is down (MS_OK and "" when up).  Requests under way were
 * called back before. */
typedef void ms_redis_state_fn(bool up, enum ms_err err, const char *why,
                               void *arg);

/* MS_EINVAL for a URL that cannot be used (MS_ENOTSUP: rediss:// without TLS
 * in this build, sentinel and cluster until they are built).  Copies the
 * options.  Nothing is connected until ms_redis_start(). */
enum ms_err ms_redis_new(struct ev_loop *loop,
                         const struct ms_redis_options *options,
                         struct ms_redis **out_redis, struct ms_error *error);

/* Takes NULL.  Forgets all pending requests without calling them back, closes
 * the connection at once. */
void ms_redis_free(struct ms_redis *redis);

/* Connects, and connects again for ever, 50 ms to retry_max_ms apart with
 * jitter. */
void ms_redis_start(struct ms_redis *redis);

/* One observer; set before the start. */
void ms_redis_on_state(struct ms_redis *redis, ms_redis_state_fn *fn,
                       void *arg);
bool ms_redis_is_up(const struct ms_redis *redis);

/* Why the last try or connection ended, as the state callback would say it:
 * MS_OK while up, or before anything failed. */
enum ms_err ms_redis_why(const struct ms_redis *redis, const char **out_text);

/* How many tries and connections have failed. */
uint64_t ms_redis_failures(const struct ms_redis *redis);

struct ev_loop *ms_redis_loop(const struct ms_redis *redis);

/* How often the connection was made again after it had been up; for
 * metrics. */
uint64_t ms_redis_reconnects(const struct ms_redis *redis);

/* Sends, and takes what `cmd` holds (it is empty afterwards).  timeout_ms 0:
 * the connection's default; give a BLPOP its own plus slack.  While the
 * connection is not up the callback gets MS_EDOWN from the next turn of the
 * loop.  The handle lives until the callback or ms_redis_cancel(); most
 * callers need not keep it. */
struct ms_request *ms_redis_send(struct ms_redis *redis, struct ms_cmd *cmd,
                                 int timeout_ms, ms_reply_fn *fn, void *arg);

/* The callback will not be called.  The request may still take effect. */
void ms_redis_cancel(struct ms_request *request);

/* For programs that have nothing else to do (musterctl, slots, tests): starts
 * it, and runs the loop until up, or until timeout_ms are over; then the error
 * says why the last try failed, and has its class (MS_ETIMEOUT where none had
 * ended).  A wrong password or database ends the wait at once.  Not for
 * callbacks. */
enum ms_err ms_redis_wait_up(struct ms_redis *redis, int timeout_ms,
                             struct ms_error *error);

/* The same for one request: runs the loop until it is answered.  On MS_OK
 * *out_reply is a new reply for ms_reply_free().  Takes the cmd.  Does not wait
 * for a connection.  Not for callbacks. */
enum ms_err ms_redis_call(struct ms_redis *redis, struct ms_cmd *cmd,
                          int timeout_ms, struct ms_reply **out_reply,
                          struct ms_error *error);

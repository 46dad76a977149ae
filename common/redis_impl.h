/*
 * redis_impl: what redis.c and redis_request.c share; for nobody else.
 *
 * redis.c has the connection: the socket, the parsing, the states.
 * redis_request.c has the requests: their order, deadlines and scripts.
 *
 * Requests that were sent wait in `sent` for their replies, in order.  What
 * cannot be sent waits in `refused` for the loop's next turn.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/arena.h"
#include "common/backoff.h"
#include "common/dial.h"
#include "common/redis.h"
#include "common/redis_url.h"

enum ms_redis_state { STOPPED, DOWN, CONNECTING, HELLO, UP };

enum ms_request_kind {
    USERS,
    GREETING, /* AUTH, SELECT, SETNAME, PING */
    LOAD      /* SCRIPT LOAD */
};

struct ms_request {
    TAILQ_ENTRY(ms_request) link;
    struct ms_redis *redis;
    enum ms_request_kind kind;
    bool is_sent; /* in `sent`, else in `refused` */
    bool has_expired;
    int tries;         /* of a script that the server did not know */
    uint64_t turn;     /* of the loop, when it was refused */
    int64_t end_ms;    /* deadline, monotonic */
    struct ms_cmd cmd; /* scripts: kept for sending again */
    const char *what;  /* GREETING: the command's name */
    const struct ms_script *script;    /* LOAD: which */
    TAILQ_ENTRY(ms_request) load_link; /* LOAD: in `loading` */
    ms_reply_fn *fn;                   /* NULL: cancelled */
    void *arg;
};

TAILQ_HEAD(ms_requests, ms_request);

struct ms_redis {
    struct ev_loop *loop;
    struct ms_redis_url url;
    char *client_name;
    int connect_timeout_ms;
    int command_timeout_ms;

    enum ms_redis_state state;
    int told; /* the state the observer knows: -1 none yet, 0 down, 1 up */
    ms_redis_state_fn *state_fn;
    void *state_arg;
    enum ms_err why_err; /* why the last try or connection ended */
    struct ms_error why;
    struct ms_backoff backoff;
    int64_t up_since_ms;
    uint64_t ups;
    uint64_t failures;

    struct ms_dial *dial;
    int fd;                     /* -1: none */
    struct redisReader *reader; /* of hiredis; NULL: no connection */
    struct ms_arena arena;      /* of the reply being read */
    struct ms_buf out;
    size_t out_at; /* written up to here */

    struct ms_requests sent;
    struct ms_requests refused;
    struct ms_requests loading; /* those of `sent` that load a script */
    uint64_t turn;              /* of the loop, as `refused` counts them */
    int64_t deadline_ms;        /* when the timer fires; no later than any
                                 * request's end */
    const struct ms_script *load_failed_of; /* by the last SCRIPT LOAD */
    struct ms_error load_failed;

    ev_io reading;
    ev_io writing;
    ev_prepare flushing;
    ev_timer connect_timer; /* DOWN: the next try; then: the try's end */
    ev_timer deadline_timer;
    ev_timer refused_timer;

    int busy;   /* inside a watcher's callback, which may call the user's */
    bool freed; /* by a callback; the memory goes when busy is 0 again */
};

/* ---- redis.c ---- */

/* Around all that may call the user back, who may free the connection; its
 * memory then goes when the outermost is left. */
void ms_redis_enter(struct ms_redis *redis);
void ms_redis_leave(struct ms_redis *redis);

/* Reads and dispatches what the socket holds.  Afterwards there may be no
 * connection any more. */
void ms_redis_read(struct ms_redis *redis);

/* Ends the connection, or the try to make one, and plans the next; `what` may
 * be "".  Calls back all that was sent. */
void ms_redis_break(struct ms_redis *redis, enum ms_err err, const char *what,
                    const char *why);

/* ---- redis_request.c ---- */

void ms_requests_init(struct ms_redis *redis);
/* Without calling back. */
void ms_requests_forget(struct ms_redis *redis);

/* Calls back all that was sent: MS_ETIMEOUT where the deadline was the
 * reason, else MS_EDOWN. */
void ms_requests_fail(struct ms_redis *redis);

/* Returns a new request that takes `cmd`, in no list yet. */
struct ms_request *ms_request_new(struct ms_redis *redis,
                                  enum ms_request_kind kind, struct ms_cmd *cmd,
                                  int timeout_ms);
void ms_request_free(struct ms_request *request);

/* Encodes it behind what is there already, to wait for its reply. */
void ms_request_queue(struct ms_redis *redis, struct ms_request *request);

/* Take the request, which has left `sent`, with its reply. */
void ms_request_answered(struct ms_redis *redis, struct ms_request *request,
                         const struct ms_reply *reply);
void ms_request_loaded(struct ms_redis *redis, struct ms_request *request,
                       const struct ms_reply *reply);

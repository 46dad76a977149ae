/*
 * hiredis is used for what it does best, to parse replies; the socket, the
 * order of requests and the time-outs are ours.  Its asynchronous side was
 * tried first and given up: it frees its context behind the caller's back,
 * calls back from inside redisAsyncFree(), resolves names in the loop, leaves
 * its sockets open to programs that we execute, and has no time-outs before
 * 1.0.  Parsed values go straight into an arena in our own form.
 *
 * Requests that were sent wait in `sent` for their replies, in order.  What
 * cannot be sent waits in `refused` for the loop's next turn.  What is sent in
 * one turn of the loop goes out in one write, right before the loop sleeps.
 */
#include "common/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/dial.h"
#include "common/mem.h"
#include "common/redis_url.h"

#define RETRY_BASE_MS 50
#define RETRY_MAX_MS  5000
/* A connection that held for so long was a good one: the next try is soon. */
#define STABLE_MS    5000
#define READ_SIZE    ((size_t)64 * 1024)
#define KEEP_SIZE    ((size_t)1024 * 1024)
#define ITEMS_MAX    ((size_t)64 * 1024 * 1024)
#define SCRIPT_TRIES 3

enum state { STOPPED, DOWN, CONNECTING, HELLO, UP };

enum kind {
    USERS,
    GREETING, /* AUTH, SELECT, SETNAME, PING */
    LOAD      /* SCRIPT LOAD */
};

struct ms_request {
    TAILQ_ENTRY(ms_request) link;
    struct ms_redis *redis;
    enum kind kind;
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

TAILQ_HEAD(requests, ms_request);

struct ms_redis {
    struct ev_loop *loop;
    struct ms_redis_url url;
    char *client_name;
    int connect_timeout_ms;
    int command_timeout_ms;

    enum state state;
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
    int fd; /* -1: none */
    redisReader *reader;
    struct ms_arena arena; /* of the reply being read */
    struct ms_buf out;
    size_t out_at; /* written up to here */

    struct requests sent;
    struct requests refused;
    struct requests loading; /* those of `sent` that load a script */
    uint64_t turn;           /* of the loop, as `refused` counts them */
    int64_t deadline_ms;     /* when the timer fires; no later than any
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

static void retry_later(struct ms_redis *redis);
static void read_in(struct ms_redis *redis);

static const struct ms_reply nil_reply = {.type = MS_REPLY_NIL};

/* ---- replies into the arena, as hiredis's reader finds them ---- */

static struct ms_reply *new_node(const redisReadTask *task)
{
    struct ms_arena *arena = task->privdata;
    struct ms_reply *node;

    if (task->parent == NULL) {
        node = ms_arena_alloc(arena, sizeof(*node));
    } else {
        const struct ms_reply *parent = task->parent->obj;

        node = (struct ms_reply *)&parent->items[task->idx];
    }
    *node = nil_reply;
    return node;
}

static void *make_string(const redisReadTask *task, char *text, size_t len)
{
    struct ms_reply *node = new_node(task);
    char *copy = ms_arena_alloc(task->privdata, len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    node->type =
        task->type == REDIS_REPLY_ERROR ? MS_REPLY_ERROR : MS_REPLY_STR;
    node->str = copy;
    node->len = len;
    return node;
}

/* The items' memory is ours, so that filling it in later is sound. */
static void *make_items(const redisReadTask *task, size_t n)
{
    struct ms_reply *node;

    if (n > ITEMS_MAX)
        return NULL; /* "out of memory" for the reader, and the end */
    node = new_node(task);
    node->type = MS_REPLY_ARRAY;
    node->n_items = n;
    if (n > 0)
        node->items = ms_arena_alloc(task->privdata, n * sizeof(*node));
    return node;
}

#if HIREDIS_MAJOR >= 1
static void *make_array(const redisReadTask *task, size_t n)
{
    return make_items(task, n);
}
#else
static void *make_array(const redisReadTask *task, int n)
{
    return make_items(task, (size_t)n);
}
#endif

static void *make_integer(const redisReadTask *task, long long number)
{
    struct ms_reply *node = new_node(task);

    node->type = MS_REPLY_INT;
    node->num = number;
    return node;
}

static void *make_nil(const redisReadTask *task)
{
    return new_node(task);
}

static void free_nothing(void *node)
{
}

/* hiredis takes it without const in some versions, but never writes to it. */
static redisReplyObjectFunctions into_arena = {
    .createString = make_string,
    .createArray = make_array,
    .createInteger = make_integer,
    .createNil = make_nil,
    .freeObject = free_nothing,
};

/* ---- being called back, and freed, from inside ---- */

static void enter(struct ms_redis *redis)
{
    redis->busy++;
}

static void leave(struct ms_redis *redis)
{
    if (--redis->busy > 0 || !redis->freed)
        return;
    ms_arena_done(&redis->arena);
    free(redis);
}

static void free_request(struct ms_request *request)
{
    ms_cmd_done(&request->cmd);
    free(request);
}

/* Calls back, unless cancelled.  Afterwards the connection may be freed. */
static void finish(struct ms_request *request, enum ms_err err,
                   const struct ms_reply *reply)
{
    ms_reply_fn *fn = request->fn;
    void *arg = request->arg;

    free_request(request);
    if (fn != NULL)
        fn(err, reply, arg);
}

static void tell(struct ms_redis *redis)
{
    int now = redis->state == UP;

    if (redis->told == now)
        return;
    redis->told = now;
    if (redis->state_fn != NULL)
        redis->state_fn(now, now ? MS_OK : redis->why_err,
                        now ? "" : redis->why.text, redis->state_arg);
}

/* ---- the end of a connection ---- */

static void hang_up(struct ms_redis *redis)
{
    ms_dial_free(redis->dial);
    redis->dial = NULL;
    ev_io_stop(redis->loop, &redis->reading);
    ev_io_stop(redis->loop, &redis->writing);
    ev_prepare_stop(redis->loop, &redis->flushing);
    ev_timer_stop(redis->loop, &redis->connect_timer);
    ev_timer_stop(redis->loop, &redis->deadline_timer);
    if (redis->fd >= 0)
        close(redis->fd);
    redis->fd = -1;
    if (redis->reader != NULL)
        redisReaderFree(redis->reader);
    redis->reader = NULL;
    ms_buf_done(&redis->out);
    redis->out_at = 0;
    redis->load_failed_of = NULL;
}

/* New requests of the callbacks go to `refused`, so this comes to an end. */
static void fail_sent(struct ms_redis *redis)
{
    struct ms_request *request;

    TAILQ_INIT(&redis->loading);
    while ((request = TAILQ_FIRST(&redis->sent)) != NULL) {
        TAILQ_REMOVE(&redis->sent, request, link);
        finish(request, request->has_expired ? MS_ETIMEOUT : MS_EDOWN,
               &nil_reply);
        if (redis->freed)
            return;
    }
}

/* Ends the connection, or the try to make one, and plans the next.  Only for
 * watchers' callbacks: it calls back. */
static void break_off(struct ms_redis *redis, enum ms_err err, const char *what,
                      const char *why)
{
    bool was_stable = redis->state == UP &&
                      ms_clock_mono_ms() - redis->up_since_ms >= STABLE_MS;

    redis->failures++;
    redis->why_err = err;
    ms_error_set(&redis->why, err, "%s%s%s", what, what[0] == '\0' ? "" : ": ",
                 why);
    hang_up(redis);
    redis->state = DOWN;
    if (was_stable)
        ms_backoff_reset(&redis->backoff);
    retry_later(redis);
    fail_sent(redis);
    if (!redis->freed)
        tell(redis);
}

/* ---- sending ---- */

/* A server that turns us away says why before it closes. */
static void on_write_failed(struct ms_redis *redis, int number)
{
    read_in(redis);
    if (redis->reader != NULL)
        break_off(redis, MS_EDOWN, "write", strerror(number));
}

static void write_out(struct ms_redis *redis)
{
    while (redis->out_at < redis->out.len) {
        ssize_t n = send(redis->fd, redis->out.data + redis->out_at,
                         redis->out.len - redis->out_at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            ev_io_start(redis->loop, &redis->writing);
            return;
        }
        if (n < 0) {
            on_write_failed(redis, errno);
            return;
        }
        redis->out_at += (size_t)n;
    }
    ev_io_stop(redis->loop, &redis->writing);
    redis->out_at = 0;
    if (redis->out.cap > KEEP_SIZE)
        ms_buf_done(&redis->out);
    else
        ms_buf_clear(&redis->out);
}

static void on_flush(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct ms_redis *redis = watcher->data;

    enter(redis);
    ev_prepare_stop(loop, watcher);
    if (!ev_is_active(&redis->writing)) /* else the socket is full */
        write_out(redis);
    leave(redis);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ms_redis *redis = watcher->data;

    enter(redis);
    write_out(redis);
    leave(redis);
}

/* One timer serves all requests: it fires no later than the first deadline.
 * The request that set it has mostly been answered by then, and the timer is
 * set to the first deadline of those still waiting; so thousands of requests
 * a second cost a walk through the list every few seconds. */
static void arm_deadline(struct ms_redis *redis, int64_t end_ms)
{
    int64_t after_ms;

    if (ev_is_active(&redis->deadline_timer) && redis->deadline_ms <= end_ms)
        return;
    after_ms = end_ms - ms_clock_mono_ms();
    ev_timer_stop(redis->loop, &redis->deadline_timer);
    redis->deadline_ms = end_ms;
    ev_timer_set(&redis->deadline_timer,
                 (double)(after_ms < 0 ? 0 : after_ms + 1) / 1000.0, 0.);
    ev_timer_start(redis->loop, &redis->deadline_timer);
}

/* Encodes behind what is there already and waits for the reply. */
static void queue(struct ms_redis *redis, struct ms_request *request)
{
    request->is_sent = true;
    TAILQ_INSERT_TAIL(&redis->sent, request, link);
    if (redis->out_at > 0 && redis->out_at >= redis->out.len / 2) {
        ms_buf_consume(&redis->out, redis->out_at);
        redis->out_at = 0;
    }
    ms_cmd_encode(&request->cmd, &redis->out);
    if (request->cmd.script == NULL)
        ms_cmd_done(&request->cmd);
    ev_prepare_start(redis->loop, &redis->flushing);
    arm_deadline(redis, request->end_ms);
}

static struct ms_request *new_request(struct ms_redis *redis, enum kind kind,
                                      struct ms_cmd *cmd, int timeout_ms)
{
    struct ms_request *request = ms_xcalloc(1, sizeof(*request));

    request->redis = redis;
    request->kind = kind;
    request->cmd = *cmd;
    *cmd = (struct ms_cmd)MS_CMD_INIT;
    request->end_ms = ms_clock_mono_ms() + timeout_ms;
    return request;
}

/* Answers what was refused before this turn; what its callbacks send gets its
 * answer in the next one, or a hasty retry would never let the loop sleep. */
static void on_refused(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct ms_redis *redis = watcher->data;
    uint64_t turn = redis->turn++;
    struct ms_request *request;

    enter(redis);
    while (!redis->freed && (request = TAILQ_FIRST(&redis->refused)) != NULL &&
           request->turn <= turn) {
        TAILQ_REMOVE(&redis->refused, request, link);
        finish(request, MS_EDOWN, &nil_reply);
    }
    if (!redis->freed && !TAILQ_EMPTY(&redis->refused))
        ev_timer_start(loop, watcher);
    leave(redis);
}

static void refuse(struct ms_redis *redis, struct ms_request *request)
{
    ms_cmd_done(&request->cmd);
    request->turn = redis->turn;
    TAILQ_INSERT_TAIL(&redis->refused, request, link);
    ev_timer_start(redis->loop, &redis->refused_timer);
}

/* ---- greeting ---- */

static void greet(struct ms_redis *redis, const char *what, const char *arg,
                  const char *arg2)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_request *request;

    if (strcmp(what, "CLIENT SETNAME") == 0)
        ms_cmd_plain(&cmd, "CLIENT", "SETNAME", arg, NULL);
    else
        ms_cmd_plain(&cmd, what, arg, arg2, NULL);
    /* connect_timer ends it, long before the deadline would. */
    request = new_request(redis, GREETING, &cmd, INT_MAX / 2);
    request->what = what;
    queue(redis, request);
}

/* All at once; the PING behind them is refused by a server that still reads
 * its data, or whose master is away. */
static void greet_all(struct ms_redis *redis)
{
    const struct ms_redis_url *url = &redis->url;
    char db[16];

    if (url->user != NULL)
        greet(redis, "AUTH", url->user, url->password);
    else if (url->password != NULL)
        greet(redis, "AUTH", url->password, NULL);
    if (url->db != 0) {
        snprintf(db, sizeof(db), "%d", url->db);
        greet(redis, "SELECT", db, NULL);
    }
    if (redis->client_name != NULL)
        greet(redis, "CLIENT SETNAME", redis->client_name, NULL);
    greet(redis, "PING", NULL, NULL);
}

/* A wrong password has several texts, "ERR AUTH <password> called without any
 * password configured" among them, so the command decides. */
static enum ms_err greeting_class(const char *what, const char *text)
{
    enum ms_err err = ms_reply_classify(text);

    if (err == MS_ESCRIPT && strcmp(what, "AUTH") == 0)
        return MS_EAUTH;
    if (err == MS_ESCRIPT && strcmp(what, "SELECT") == 0)
        return MS_EINVAL;
    return err;
}

static void on_greeted(struct ms_redis *redis, struct ms_request *request,
                       const struct ms_reply *reply)
{
    const char *what = request->what;

    free_request(request);
    if (reply->type == MS_REPLY_ERROR) {
        break_off(redis, greeting_class(what, reply->str), what, reply->str);
        return;
    }
    if (!TAILQ_EMPTY(&redis->sent))
        return;
    ev_timer_stop(redis->loop, &redis->connect_timer);
    redis->state = UP;
    redis->up_since_ms = ms_clock_mono_ms();
    redis->ups++;
    tell(redis);
}

/* ---- replies ---- */

static bool is_loading(const struct ms_redis *redis,
                       const struct ms_script *script)
{
    const struct ms_request *request;

    TAILQ_FOREACH(request, &redis->loading, load_link)
    if (request->script == script)
        return true;
    return false;
}

static void load_script(struct ms_redis *redis, const struct ms_script *script)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_request *request;

    ms_cmd_plain(&cmd, "SCRIPT", "LOAD", NULL);
    ms_cmd_arg(&cmd, script->text, script->len);
    request = new_request(redis, LOAD, &cmd, redis->command_timeout_ms);
    request->script = script;
    TAILQ_INSERT_TAIL(&redis->loading, request, load_link);
    queue(redis, request);
}

/* Many calls of a script may be under way when the first of them learns that
 * the server does not know it: it is loaded once, and each is sent again
 * behind that, in their order. */
static void send_again(struct ms_redis *redis, struct ms_request *request)
{
    request->tries++;
    if (!is_loading(redis, request->cmd.script))
        load_script(redis, request->cmd.script);
    queue(redis, request);
}

static void on_loaded(struct ms_redis *redis, struct ms_request *request,
                      const struct ms_reply *reply)
{
    redis->load_failed_of = NULL;
    if (reply->type == MS_REPLY_ERROR) {
        redis->load_failed_of = request->script;
        ms_error_set(&redis->load_failed, MS_ESCRIPT, "%s", reply->str);
    }
    TAILQ_REMOVE(&redis->loading, request, load_link);
    free_request(request);
}

static bool is_noscript(const struct ms_reply *reply)
{
    return reply->type == MS_REPLY_ERROR &&
           strncmp(reply->str, "NOSCRIPT", 8) == 0;
}

/* True when the request goes on.  Where loading was refused, *reply becomes
 * the true reason. */
static bool go_on_without_script(struct ms_redis *redis,
                                 struct ms_request *request,
                                 struct ms_reply *reply)
{
    if (request->tries > 0 && redis->load_failed_of == request->cmd.script) {
        reply->str = redis->load_failed.text;
        reply->len = strlen(reply->str);
        return false;
    }
    if (request->tries == SCRIPT_TRIES)
        return false;
    send_again(redis, request);
    return true;
}

static void on_answered(struct ms_redis *redis, struct ms_request *request,
                        const struct ms_reply *reply)
{
    struct ms_reply shown = *reply;
    enum ms_err err = MS_OK;

    if (is_noscript(reply) && request->cmd.script != NULL &&
        go_on_without_script(redis, request, &shown))
        return;
    if (shown.type == MS_REPLY_ERROR)
        err = ms_reply_classify(shown.str);
    finish(request, err, &shown);
    if (err == MS_EREADONLY && redis->reader != NULL)
        break_off(redis, err, "", "connected to a replica");
}

static void dispatch(struct ms_redis *redis, const struct ms_reply *reply)
{
    struct ms_request *request = TAILQ_FIRST(&redis->sent);

    if (request == NULL) {
        break_off(redis, MS_EDOWN, "unexpected reply",
                  reply->type == MS_REPLY_ERROR ? reply->str : "no request");
        return;
    }
    TAILQ_REMOVE(&redis->sent, request, link);
    switch (request->kind) {
    case USERS:
        on_answered(redis, request, reply);
        break;
    case GREETING:
        on_greeted(redis, request, reply);
        break;
    case LOAD:
        on_loaded(redis, request, reply);
        break;
    }
}

/* A callback may end the connection; then there is no reader any more. */
static void dispatch_all(struct ms_redis *redis)
{
    void *reply;

    while (redis->reader != NULL) {
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            break_off(redis, MS_EDOWN, "broken reply", redis->reader->errstr);
            return;
        }
        if (reply == NULL)
            return;
        dispatch(redis, reply);
        if (redis->reader != NULL)
            ms_arena_reset(&redis->arena);
    }
}

/* Reads what is there, but not for ever: others have a right to the loop. */
static void read_in(struct ms_redis *redis)
{
    char bytes[READ_SIZE];
    ssize_t n = sizeof(bytes);

    for (int i = 0; i < 16 && n == sizeof(bytes) && redis->reader != NULL;
         i++) {
        n = recv(redis->fd, bytes, sizeof(bytes), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            break_off(redis, MS_EDOWN, "",
                      n == 0 ? "Redis closed the connection" : strerror(errno));
            return;
        }
        if (redisReaderFeed(redis->reader, bytes, (size_t)n) != REDIS_OK) {
            break_off(redis, MS_EDOWN, "reply", redis->reader->errstr);
            return;
        }
        dispatch_all(redis);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ms_redis *redis = watcher->data;

    enter(redis);
    read_in(redis);
    leave(redis);
}

static bool mark_expired(struct ms_redis *redis, int64_t *out_next_ms)
{
    int64_t now_ms = ms_clock_mono_ms();
    int64_t next_ms = INT64_MAX;
    bool any = false;
    struct ms_request *request;

    TAILQ_FOREACH(request, &redis->sent, link)
    {
        request->has_expired = request->end_ms <= now_ms;
        any = any || request->has_expired;
        if (request->end_ms < next_ms)
            next_ms = request->end_ms;
    }
    *out_next_ms = next_ms;
    return any;
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct ms_redis *redis = watcher->data;
    int64_t next_ms;

    enter(redis);
    read_in(redis); /* we may be the ones who slept, not Redis */
    if (redis->reader != NULL) {
        if (mark_expired(redis, &next_ms))
            break_off(redis, MS_ETIMEOUT, "", "no answer in time");
        else if (next_ms != INT64_MAX)
            arm_deadline(redis, next_ms);
    }
    leave(redis);
}

/* ---- connecting ---- */

static void start_reading(struct ms_redis *redis, int fd)
{
    redis->fd = fd;
    redis->reader = redisReaderCreateWithFunctions(&into_arena);
    if (redis->reader == NULL)
        abort(); /* out of memory */
    redis->reader->privdata = &redis->arena;
    redis->reader->maxbuf = KEEP_SIZE;
    ms_arena_reset(&redis->arena);
    ev_io_set(&redis->reading, fd, EV_READ);
    ev_io_start(redis->loop, &redis->reading);
    ev_io_set(&redis->writing, fd, EV_WRITE);
}

static void on_dialed(int fd, const char *why, void *arg)
{
    struct ms_redis *redis = arg;

    enter(redis);
    if (fd < 0) {
        break_off(redis, MS_EDOWN, "", why); /* frees the dial, `why` too */
    } else {
        ms_dial_free(redis->dial);
        redis->dial = NULL;
        redis->state = HELLO;
        start_reading(redis, fd);
        greet_all(redis);
    }
    leave(redis);
}

static void set_connect_timer(struct ms_redis *redis, int after_ms)
{
    ev_timer_stop(redis->loop, &redis->connect_timer);
    ev_now_update(redis->loop);
    ev_timer_set(&redis->connect_timer, after_ms / 1000.0, 0.);
    ev_timer_start(redis->loop, &redis->connect_timer);
}

static void dial(struct ms_redis *redis)
{
    const struct ms_redis_url *url = &redis->url;
    struct ms_dial_to to = {.path = url->path};

    if (url->n_hosts > 0) {
        to.host = url->hosts[0].host;
        to.port = url->hosts[0].port;
    }
    redis->state = CONNECTING;
    redis->dial = ms_dial_start(redis->loop, &to, redis->connect_timeout_ms,
                                on_dialed, redis);
    /* The dial has its own end within this time, and a better reason. */
    set_connect_timer(redis, redis->connect_timeout_ms + 100);
}

static void retry_later(struct ms_redis *redis)
{
    set_connect_timer(redis, ms_backoff_next_ms(&redis->backoff));
}

static void on_connect_timer(struct ev_loop *loop, ev_timer *watcher,
                             int events)
{
    struct ms_redis *redis = watcher->data;

    enter(redis);
    if (redis->state == DOWN)
        dial(redis);
    else
        break_off(redis, MS_EDOWN, "", "Redis did not greet back in time");
    leave(redis);
}

/* ---- the public side ---- */

static enum ms_err check_options(const struct ms_redis_options *options,
                                 const struct ms_redis_url *url,
                                 struct ms_error *error)
{
    static const char *const missing[] = {
        [MS_REDIS_TLS] = "rediss:// needs TLS, which this build does not have",
        [MS_REDIS_SENTINEL] = "redis-sentinel:// is not supported yet",
        [MS_REDIS_CLUSTER] = "redis-cluster:// is not supported yet",
    };
    const char *name = options->client_name;

    if (url->scheme < MS_COUNT_OF(missing) && missing[url->scheme] != NULL)
        return ms_error_set(error, MS_ENOTSUP, "redis url: %s",
                            missing[url->scheme]);
    for (; name != NULL && *name != '\0'; name++)
        if (*name < '!' || *name > '~')
            return ms_error_set(error, MS_EINVAL,
                                "a Redis client's name has no spaces and "
                                "nothing but ASCII");
    return MS_OK;
}

static void init_watchers(struct ms_redis *redis)
{
    ev_init(&redis->reading, on_readable);
    ev_init(&redis->writing, on_writable);
    ev_prepare_init(&redis->flushing, on_flush);
    ev_timer_init(&redis->connect_timer, on_connect_timer, 0., 0.);
    ev_timer_init(&redis->deadline_timer, on_deadline, 0., 0.);
    ev_timer_init(&redis->refused_timer, on_refused, 0., 0.);
    redis->reading.data = redis;
    redis->writing.data = redis;
    redis->flushing.data = redis;
    redis->connect_timer.data = redis;
    redis->deadline_timer.data = redis;
    redis->refused_timer.data = redis;
}

enum ms_err ms_redis_new(struct ev_loop *loop,
                         const struct ms_redis_options *options,
                         struct ms_redis **out_redis, struct ms_error *error)
{
    struct ms_redis_url url;
    struct ms_redis *redis;
    enum ms_err err = ms_redis_url_parse(options->url, &url, error);

    if (err != MS_OK)
        return err;
    err = check_options(options, &url, error);
    if (err != MS_OK) {
        ms_redis_url_done(&url);
        return err;
    }
    redis = ms_xcalloc(1, sizeof(*redis));
    redis->loop = loop;
    redis->url = url;
    redis->client_name =
        options->client_name == NULL ? NULL : ms_xstrdup(options->client_name);
    redis->connect_timeout_ms =
        options->connect_timeout_ms > 0 ? options->connect_timeout_ms : 2000;
    redis->command_timeout_ms =
        options->command_timeout_ms > 0 ? options->command_timeout_ms : 5000;
    redis->backoff =
        (struct ms_backoff)MS_BACKOFF_INIT(RETRY_BASE_MS, RETRY_MAX_MS,
                                           .seed = options->seed);
    redis->told = -1;
    redis->fd = -1;
    TAILQ_INIT(&redis->sent);
    TAILQ_INIT(&redis->refused);
    TAILQ_INIT(&redis->loading);
    init_watchers(redis);
    *out_redis = redis;
    return MS_OK;
}

static void forget(struct requests *list)
{
    struct ms_request *request;

    while ((request = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, request, link);
        free_request(request);
    }
}

void ms_redis_free(struct ms_redis *redis)
{
    if (redis == NULL)
        return;
    ms_assert(!redis->freed);
    hang_up(redis);
    ev_timer_stop(redis->loop, &redis->refused_timer);
    forget(&redis->sent);
    forget(&redis->refused);
    ms_redis_url_done(&redis->url);
    free(redis->client_name);
    redis->freed = true;
    enter(redis);
    leave(redis); /* the memory goes now, or when the callback returns */
}

void ms_redis_start(struct ms_redis *redis)
{
    if (redis->state == STOPPED)
        dial(redis);
}

void ms_redis_on_state(struct ms_redis *redis, ms_redis_state_fn *fn, void *arg)
{
    redis->state_fn = fn;
    redis->state_arg = arg;
}

bool ms_redis_is_up(const struct ms_redis *redis)
{
    return redis->state == UP;
}

uint64_t ms_redis_reconnects(const struct ms_redis *redis)
{
    return redis->ups > 0 ? redis->ups - 1 : 0;
}

uint64_t ms_redis_failures(const struct ms_redis *redis)
{
    return redis->failures;
}

struct ev_loop *ms_redis_loop(const struct ms_redis *redis)
{
    return redis->loop;
}

enum ms_err ms_redis_why(const struct ms_redis *redis, const char **out_text)
{
    if (out_text != NULL)
        *out_text = redis->why.text;
    return redis->state == UP ? MS_OK : redis->why_err;
}

struct ms_request *ms_redis_send(struct ms_redis *redis, struct ms_cmd *cmd,
                                 int timeout_ms, ms_reply_fn *fn, void *arg)
{
    struct ms_request *request =
        new_request(redis, USERS, cmd,
                    timeout_ms > 0 ? timeout_ms : redis->command_timeout_ms);

    request->fn = fn;
    request->arg = arg;
    if (redis->state == UP)
        queue(redis, request);
    else
        refuse(redis, request);
    return request;
}

/* A request that was sent stays in line, so that its reply finds a taker. */
void ms_redis_cancel(struct ms_request *request)
{
    if (request->is_sent) {
        request->fn = NULL;
        ms_cmd_done(&request->cmd); /* and is not sent again */
        return;
    }
    TAILQ_REMOVE(&request->redis->refused, request, link);
    free_request(request);
}

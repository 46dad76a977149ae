/*
 * hiredis is used for what it does best, to parse replies, which go straight
 * into an arena in our own form.  Its asynchronous side is not used: it frees
 * its context behind the caller's back, calls back from inside
 * redisAsyncFree(), resolves names in the loop, leaves its sockets open to
 * programs that we execute, and has no time-outs before 1.0.  With a socket of
 * our own none of that needs a work-around.
 *
 * What is sent in one turn of the loop goes out in one write, right before the
 * loop sleeps.
 */
#include "common/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/redis_impl.h"

#define RETRY_BASE_MS 50
#define RETRY_MAX_MS  5000
/* A connection that held for so long was a good one: the next try is soon. */
#define STABLE_MS 5000
#define READ_SIZE ((size_t)64 * 1024)
#define KEEP_SIZE ((size_t)1024 * 1024)
#define ITEMS_MAX ((size_t)64 * 1024 * 1024)

static void retry_later(struct ms_redis *redis);

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
    *node = (struct ms_reply){.type = MS_REPLY_NIL};
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

void ms_redis_enter(struct ms_redis *redis)
{
    redis->busy++;
}

void ms_redis_leave(struct ms_redis *redis)
{
    if (--redis->busy > 0 || !redis->freed)
        return;
    ms_arena_done(&redis->arena);
    free(redis);
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

void ms_redis_break(struct ms_redis *redis, enum ms_err err, const char *what,
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
    ms_requests_fail(redis);
    if (!redis->freed)
        tell(redis);
}

/* ---- sending ---- */

/* A server that turns us away says why before it closes. */
static void on_write_failed(struct ms_redis *redis, int number)
{
    ms_redis_read(redis);
    if (redis->reader != NULL)
        ms_redis_break(redis, MS_EDOWN, "write", strerror(number));
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

    ms_redis_enter(redis);
    ev_prepare_stop(loop, watcher);
    if (!ev_is_active(&redis->writing)) /* else the socket is full */
        write_out(redis);
    ms_redis_leave(redis);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ms_redis *redis = watcher->data;

    ms_redis_enter(redis);
    write_out(redis);
    ms_redis_leave(redis);
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
    request = ms_request_new(redis, GREETING, &cmd, INT_MAX / 2);
    request->what = what;
    ms_request_queue(redis, request);
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

    ms_request_free(request);
    if (reply->type == MS_REPLY_ERROR) {
        ms_redis_break(redis, greeting_class(what, reply->str), what,
                       reply->str);
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

static void dispatch(struct ms_redis *redis, const struct ms_reply *reply)
{
    struct ms_request *request = TAILQ_FIRST(&redis->sent);

    if (request == NULL) {
        ms_redis_break(redis, MS_EDOWN, "unexpected reply",
                       reply->type == MS_REPLY_ERROR ? reply->str
                                                     : "no request");
        return;
    }
    TAILQ_REMOVE(&redis->sent, request, link);
    switch (request->kind) {
    case USERS:
        ms_request_answered(redis, request, reply);
        break;
    case GREETING:
        on_greeted(redis, request, reply);
        break;
    case LOAD:
        ms_request_loaded(redis, request, reply);
        break;
    }
}

/* A callback may end the connection; then there is no reader any more. */
static void dispatch_all(struct ms_redis *redis)
{
    void *reply;

    while (redis->reader != NULL) {
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            ms_redis_break(redis, MS_EDOWN, "broken reply",
                           redis->reader->errstr);
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
void ms_redis_read(struct ms_redis *redis)
{
    char bytes[READ_SIZE];
    ssize_t n = sizeof(bytes);

    for (int i = 0; i < 16 && n == sizeof(bytes) && redis->reader != NULL;
         i++) {
        n = recv(redis->fd, bytes, sizeof(bytes), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            ms_redis_break(redis, MS_EDOWN, "",
                           n == 0 ? "Redis closed the connection"
                                  : strerror(errno));
            return;
        }
        if (redisReaderFeed(redis->reader, bytes, (size_t)n) != REDIS_OK) {
            ms_redis_break(redis, MS_EDOWN, "reply", redis->reader->errstr);
            return;
        }
        dispatch_all(redis);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ms_redis *redis = watcher->data;

    ms_redis_enter(redis);
    ms_redis_read(redis);
    ms_redis_leave(redis);
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

    ms_redis_enter(redis);
    if (fd < 0) { /* this frees the dial, which holds `why`, at its end */
        ms_redis_break(redis, MS_EDOWN, "", why);
    } else {
        ms_dial_free(redis->dial);
        redis->dial = NULL;
        redis->state = HELLO;
        start_reading(redis, fd);
        greet_all(redis);
    }
    ms_redis_leave(redis);
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

    ms_redis_enter(redis);
    if (redis->state == DOWN)
        dial(redis);
    else
        ms_redis_break(redis, MS_EDOWN, "", "Redis did not greet back in time");
    ms_redis_leave(redis);
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
    redis->reading.data = redis;
    redis->writing.data = redis;
    redis->flushing.data = redis;
    redis->connect_timer.data = redis;
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
        (struct ms_backoff)MS_BACKOFF_INIT(RETRY_BASE_MS,
                                           options->retry_max_ms > 0
                                               ? options->retry_max_ms
                                               : RETRY_MAX_MS,
                                           .seed = options->seed);
    redis->told = -1;
    redis->fd = -1;
    ms_requests_init(redis);
    init_watchers(redis);
    *out_redis = redis;
    return MS_OK;
}

void ms_redis_free(struct ms_redis *redis)
{
    if (redis == NULL)
        return;
    ms_assert(!redis->freed);
    hang_up(redis);
    ms_requests_forget(redis);
    ms_redis_url_done(&redis->url);
    free(redis->client_name);
    redis->freed = true;
    ms_redis_enter(redis);
    ms_redis_leave(
        redis); /* the memory goes now, or when the callback returns */
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

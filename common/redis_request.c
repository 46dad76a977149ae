/*
 * The requests of a connection: their order, deadlines and scripts.
 *
 *     send --up--> sent --reply--> callback
 *      |            |  ^
 *      |            |  '-- NOSCRIPT: again, behind a SCRIPT LOAD
 *      |            '--broken, timed out--> callback(MS_EDOWN, MS_ETIMEOUT)
 *      '--down--> refused --next turn--> callback(MS_EDOWN)
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/redis_impl.h"

#define SCRIPT_TRIES 3

static const struct ms_reply nil_reply = {.type = MS_REPLY_NIL};

void ms_request_free(struct ms_request *request)
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

    ms_request_free(request);
    if (fn != NULL)
        fn(err, reply, arg);
}

/* New requests of the callbacks go to `refused`, so this comes to an end. */
void ms_requests_fail(struct ms_redis *redis)
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
void ms_request_queue(struct ms_redis *redis, struct ms_request *request)
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

struct ms_request *ms_request_new(struct ms_redis *redis,
                                  enum ms_request_kind kind, struct ms_cmd *cmd,
                                  int timeout_ms)
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

    ms_redis_enter(redis);
    while (!redis->freed && (request = TAILQ_FIRST(&redis->refused)) != NULL &&
           request->turn <= turn) {
        TAILQ_REMOVE(&redis->refused, request, link);
        finish(request, MS_EDOWN, &nil_reply);
    }
    if (!redis->freed && !TAILQ_EMPTY(&redis->refused))
        ev_timer_start(loop, watcher);
    ms_redis_leave(redis);
}

static void refuse(struct ms_redis *redis, struct ms_request *request)
{
    ms_cmd_done(&request->cmd);
    request->turn = redis->turn;
    TAILQ_INSERT_TAIL(&redis->refused, request, link);
    ev_timer_start(redis->loop, &redis->refused_timer);
}

static bool is_loading(const struct ms_redis *redis,
                       const struct ms_script *script)
{
    const struct ms_request *request;

    TAILQ_FOREACH (request, &redis->loading, load_link)
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
    request = ms_request_new(redis, LOAD, &cmd, redis->command_timeout_ms);
    request->script = script;
    TAILQ_INSERT_TAIL(&redis->loading, request, load_link);
    ms_request_queue(redis, request);
}

/* Many calls of a script may be under way when the first of them learns that
 * the server does not know it: it is loaded once, and each is sent again
 * behind that, in their order. */
static void send_again(struct ms_redis *redis, struct ms_request *request)
{
    request->tries++;
    if (!is_loading(redis, request->cmd.script))
        load_script(redis, request->cmd.script);
    ms_request_queue(redis, request);
}

void ms_request_loaded(struct ms_redis *redis, struct ms_request *request,
                       const struct ms_reply *reply)
{
    redis->load_failed_of = NULL;
    if (reply->type == MS_REPLY_ERROR) {
        redis->load_failed_of = request->script;
        ms_error_set(&redis->load_failed, MS_ESCRIPT, "%s", reply->str);
    }
    TAILQ_REMOVE(&redis->loading, request, load_link);
    ms_request_free(request);
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

void ms_request_answered(struct ms_redis *redis, struct ms_request *request,
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
        ms_redis_break(redis, err, "", "connected to a replica");
}

static bool mark_expired(struct ms_redis *redis, int64_t *out_next_ms)
{
    int64_t now_ms = ms_clock_mono_ms();
    int64_t next_ms = INT64_MAX;
    bool any = false;
    struct ms_request *request;

    TAILQ_FOREACH (request, &redis->sent, link) {
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

    ms_redis_enter(redis);
    ms_redis_read(redis); /* we may be the ones who slept, not Redis */
    if (redis->reader != NULL) {
        if (mark_expired(redis, &next_ms))
            ms_redis_break(redis, MS_ETIMEOUT, "", "no answer in time");
        else if (next_ms != INT64_MAX)
            arm_deadline(redis, next_ms);
    }
    ms_redis_leave(redis);
}

static void forget(struct ms_requests *list)
{
    struct ms_request *request;

    while ((request = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, request, link);
        ms_request_free(request);
    }
}

void ms_requests_forget(struct ms_redis *redis)
{
    ev_timer_stop(redis->loop, &redis->deadline_timer);
    ev_timer_stop(redis->loop, &redis->refused_timer);
    forget(&redis->sent);
    forget(&redis->refused);
}

void ms_requests_init(struct ms_redis *redis)
{
    TAILQ_INIT(&redis->sent);
    TAILQ_INIT(&redis->refused);
    TAILQ_INIT(&redis->loading);
    ev_timer_init(&redis->deadline_timer, on_deadline, 0., 0.);
    ev_timer_init(&redis->refused_timer, on_refused, 0., 0.);
    redis->deadline_timer.data = redis;
    redis->refused_timer.data = redis;
}

struct ms_request *ms_redis_send(struct ms_redis *redis, struct ms_cmd *cmd,
                                 int timeout_ms, ms_reply_fn *fn, void *arg)
{
    struct ms_request *request =
        ms_request_new(redis, USERS, cmd,
                       timeout_ms > 0 ? timeout_ms : redis->command_timeout_ms);

    request->fn = fn;
    request->arg = arg;
    if (redis->state == UP)
        ms_request_queue(redis, request);
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
    ms_request_free(request);
}

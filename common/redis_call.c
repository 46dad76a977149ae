/* The waiting side of redis.h, on nothing but its other functions. */
#include "common/redis.h"

#include "common/clock.h"

/* Only to wake the loop; who waits looks at the clock himself. */
static void on_wake(struct ev_loop *loop, ev_timer *watcher, int events)
{
}

/* Has a try failed since, for a reason that the next one will meet too? */
static bool is_hopeless(const struct ms_redis *redis, uint64_t failures_before)
{
    enum ms_err err = ms_redis_why(redis, NULL);

    return ms_redis_failures(redis) > failures_before &&
           (err == MS_EAUTH || err == MS_EINVAL);
}

enum ms_err ms_redis_wait_up(struct ms_redis *redis, int timeout_ms,
                             struct ms_error *error)
{
    struct ev_loop *loop = ms_redis_loop(redis);
    int64_t end_ms = ms_clock_mono_ms() + timeout_ms;
    uint64_t failures = ms_redis_failures(redis);
    const char *why;
    enum ms_err err;
    ev_timer wake;

    ms_redis_start(redis);
    ev_now_update(loop);
    ev_timer_init(&wake, on_wake, timeout_ms / 1000.0 + 0.001, 0.001);
    ev_timer_start(loop, &wake);
    while (!ms_redis_is_up(redis) && !is_hopeless(redis, failures) &&
           ms_clock_mono_ms() < end_ms)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &wake);
    if (ms_redis_is_up(redis))
        return MS_OK;
    err = ms_redis_why(redis, &why);
    if (err == MS_OK)
        return ms_error_set(error, MS_ETIMEOUT,
                            "Redis: no connection within %d ms", timeout_ms);
    return ms_error_set(error, err, "Redis: %s", why);
}

struct call {
    bool is_done;
    enum ms_err err;
    struct ms_reply *reply;
};

static void on_reply(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct call *call = arg;

    call->is_done = true;
    call->err = err;
    call->reply = ms_reply_copy(reply);
}

/* What Redis said, or why there is no connection. */
static enum ms_err say_why(const struct ms_redis *redis,
                           const struct call *call, struct ms_error *error)
{
    const char *why;

    if (call->reply->type == MS_REPLY_ERROR)
        return ms_error_set(error, call->err, "Redis: %s", call->reply->str);
    ms_redis_why(redis, &why);
    return ms_error_set(error, call->err, "Redis: %s",
                        why[0] == '\0' ? "no connection" : why);
}

enum ms_err ms_redis_call(struct ms_redis *redis, struct ms_cmd *cmd,
                          int timeout_ms, struct ms_reply **out_reply,
                          struct ms_error *error)
{
    struct call call = {0};

    ms_redis_send(redis, cmd, timeout_ms, on_reply, &call);
    while (!call.is_done)
        ev_run(ms_redis_loop(redis), EVRUN_ONCE);
    if (call.err == MS_OK) {
        *out_reply = call.reply;
        return MS_OK;
    }
    say_why(redis, &call, error);
    ms_reply_free(call.reply);
    return call.err;
}

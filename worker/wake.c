#include "worker/wake.h"

#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"

/* A blocked BLPOP costs nothing; it ends now and then so that a connection
 * that died unnoticed is found. */
#define BLOCK_MS 10000
#define SLACK_MS 5000
/* Between two that Redis refused: no reason to ask it as fast as it answers. */
#define REFUSED_S 1.

struct ms_wake {
    struct ms_redis *redis, *main;
    const char *fleet, *pod;
    char *const *queues;
    size_t n_queues;
    struct ms_wake_events events;
    void *arg;
    long long client_id;
    struct ms_request *naming, *blocked;
    bool *covered; /* by the BLPOP that is blocked */
    struct ms_request *unblocking;
    ev_timer retry;   /* of an unblock that came too early */
    ev_timer refused; /* pause before the next BLPOP */
    int block_ms;
    struct ev_loop *loop;
};

static void forget_unblock(struct ms_wake *wake)
{
    ev_timer_stop(wake->loop, &wake->retry);
    if (wake->unblocking != NULL)
        ms_redis_cancel(wake->unblocking);
    wake->unblocking = NULL;
}

/* ---- BLPOP ---- */

static void put_back(struct ms_wake *wake, size_t queue)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_cmd_plain(&cmd, "RPUSH",
                 ms_key_queue(key, wake->fleet, wake->queues[queue], "wake"),
                 "1", NULL);
    ms_redis_send(wake->main, &cmd, 0, NULL, NULL);
}

static void take(struct ms_wake *wake, const char *key, const char *value)
{
    char name[MS_KEY_MAX];

    for (size_t i = 0; i < wake->n_queues; i++) {
        ms_key_queue(name, wake->fleet, wake->queues[i], "wake");
        if (strcmp(key, name) != 0)
            continue;
        if (!wake->events.token(i, wake->arg))
            put_back(wake, i);
        return;
    }
    wake->events.message(value, wake->arg);
}

static void on_popped(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_wake *wake = arg;
    char text[256];

    wake->blocked = NULL;
    forget_unblock(wake);
    if (err == MS_EDOWN || err == MS_ETIMEOUT)
        return; /* on_state() goes on when it is up again */
    if (err != MS_OK) {
        ms_log(MS_WARN, "wake", "refused", "err=%s why=%s", ms_err_name(err),
               ms_log_quote(ms_reply_error(reply), text, sizeof(text)));
        ev_timer_set(&wake->refused, REFUSED_S, 0.);
        ev_timer_start(wake->loop, &wake->refused);
        return;
    }
    wake->events.heard(wake->arg);
    if (reply->type == MS_REPLY_ARRAY)
        take(wake, ms_reply_str(ms_reply_at(reply, 0), ""),
             ms_reply_str(ms_reply_at(reply, 1), ""));
    ms_wake_step(wake);
}

static void block(struct ms_wake *wake)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_cmd_plain(&cmd, "BLPOP",
                 ms_key_fleet(key, wake->fleet, "pod:%s:inbox", wake->pod),
                 NULL);
    for (size_t i = 0; i < wake->n_queues; i++) {
        wake->covered[i] = wake->events.is_waiting(i, wake->arg);
        if (wake->covered[i])
            ms_cmd_args(&cmd, ms_key_queue(key, wake->fleet, wake->queues[i],
                                           "wake"));
    }
    ms_cmd_argf(&cmd, "%.3f", wake->block_ms / 1000.);
    wake->blocked = ms_redis_send(wake->redis, &cmd, wake->block_ms + SLACK_MS,
                                  on_popped, wake);
}

static bool misses_one(const struct ms_wake *wake)
{
    for (size_t i = 0; i < wake->n_queues; i++)
        if (!wake->covered[i] && wake->events.is_waiting(i, wake->arg))
            return true;
    return false;
}

/* The two connections race: the BLPOP may not have arrived yet. */
static void on_unblocked(enum ms_err err, const struct ms_reply *reply,
                         void *arg)
{
    struct ms_wake *wake = arg;

    wake->unblocking = NULL;
    if (err == MS_OK && ms_reply_int(reply, 0) == 0 && wake->blocked != NULL) {
        ev_timer_set(&wake->retry, 0.001, 0.);
        ev_timer_start(wake->loop, &wake->retry);
    }
}

static void unblock(struct ms_wake *wake)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "CLIENT", "UNBLOCK", NULL);
    ms_cmd_argi(&cmd, wake->client_id);
    wake->unblocking = ms_redis_send(wake->main, &cmd, 0, on_unblocked, wake);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    ms_wake_step(timer->data);
}

void ms_wake_step(struct ms_wake *wake)
{
    if (!ms_redis_is_up(wake->redis) || wake->naming != NULL ||
        ev_is_active(&wake->refused))
        return;
    if (wake->blocked == NULL)
        block(wake);
    else if (wake->unblocking == NULL && !ev_is_active(&wake->retry) &&
             ms_redis_is_up(wake->main) && misses_one(wake))
        unblock(wake);
}

/* ---- connection ---- */

static void on_named(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_wake *wake = arg;

    wake->naming = NULL;
    if (err == MS_EDOWN || err == MS_ETIMEOUT)
        return;
    wake->client_id = ms_reply_int(reply, 0); /* 0: nothing to unblock */
    ms_wake_step(wake);
}

static void on_state(bool up, enum ms_err err, const char *why, void *arg)
{
    struct ms_wake *wake = arg;
    struct ms_cmd cmd = MS_CMD_INIT;

    if (!up)
        return; /* the main connection's owner logs for both */
    forget_unblock(wake);
    ms_cmd_plain(&cmd, "CLIENT", "ID", NULL);
    wake->naming = ms_redis_send(wake->redis, &cmd, 0, on_named, wake);
}

/* ---- life ---- */

enum ms_err ms_wake_new(struct ev_loop *loop,
                        const struct ms_wake_options *options,
                        struct ms_wake **out_wake, struct ms_error *error)
{
    struct ms_wake *wake = ms_xcalloc(1, sizeof(*wake));
    enum ms_err err;

    wake->loop = loop;
    ev_init(&wake->retry, on_retry);
    ev_init(&wake->refused, on_retry);
    wake->retry.data = wake->refused.data = wake;
    wake->block_ms = options->block_ms > 0 ? options->block_ms : BLOCK_MS;
    err = ms_redis_new(loop, options->redis, &wake->redis, error);
    if (err != MS_OK) {
        ms_wake_free(wake);
        return err;
    }
    wake->main = options->main;
    wake->fleet = options->fleet;
    wake->pod = options->pod;
    wake->queues = options->queues;
    while (wake->queues[wake->n_queues] != NULL)
        wake->n_queues++;
    wake->covered = ms_xcalloc(wake->n_queues, sizeof(*wake->covered));
    wake->events = *options->events;
    wake->arg = options->arg;
    ms_redis_on_state(wake->redis, on_state, wake);
    *out_wake = wake;
    return MS_OK;
}

void ms_wake_start(struct ms_wake *wake)
{
    ms_redis_start(wake->redis);
}

void ms_wake_free(struct ms_wake *wake)
{
    if (wake == NULL)
        return;
    forget_unblock(wake);
    ev_timer_stop(wake->loop, &wake->refused);
    ms_redis_free(wake->redis);
    free(wake->covered);
    free(wake);
}

#include "coordinator/watch.h"

#include <stdlib.h>
#include <xxhash.h>

#include "common/keys.h"
#include "common/mem.h"
#include "coordinator/gate.h"

#define EVERY_MS 250
/* So many queues, so many pauses of this length: a fleet of hundreds must not
 * cost Redis thousands of commands a second for the sake of looking. */
#define A_QUEUE_MS 20

struct ms_watch {
    struct ev_loop *loop;
    struct ms_gate *gate;
    const char *fleet;
    ms_watch_fn *fn;
    void *arg;
    bool running;
    ev_timer timer;
    uint64_t print, last_print;
    bool has_print, failed;
    size_t n_queues;
    uint64_t n_answers; /* of this round: they keep the order of questions */
};

/* Members come in the order of their heartbeats: a sum does not see it. */
static void print_add(struct ms_watch *watch, const struct ms_reply *reply)
{
    if (reply->type == MS_REPLY_STR)
        watch->print +=
            XXH3_64bits_withSeed(reply->str, reply->len, watch->n_answers);
    for (size_t i = 0; i < reply->n_items; i++)
        print_add(watch, ms_reply_at(reply, i));
}

static void watch_arm(struct ms_watch *watch)
{
    double ms = EVERY_MS;

    if ((double)watch->n_queues * A_QUEUE_MS > ms)
        ms = (double)watch->n_queues * A_QUEUE_MS;
    ev_timer_set(&watch->timer, ms / 1000, 0);
    ev_timer_start(watch->loop, &watch->timer);
}

static void round_end(struct ms_watch *watch)
{
    bool first = !watch->has_print;

    watch_arm(watch);
    if (watch->failed || (!first && watch->print == watch->last_print))
        return;
    watch->has_print = true;
    watch->last_print = watch->print;
    if (!first)
        watch->fn(watch->arg);
}

static void on_answer(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_watch *watch = arg;

    watch->n_answers++;
    if (err != MS_OK)
        watch->failed = true;
    else
        print_add(watch, reply);
    if (ms_gate_pending(watch->gate) == 0)
        round_end(watch);
}

static void ask(struct ms_watch *watch, const char *queue)
{
    char key[MS_KEY_MAX];
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "ZRANGE",
                 ms_key_fleet(key, watch->fleet, "members:%s", queue), "0",
                 "-1", NULL);
    ms_gate_send(watch->gate, &cmd, on_answer, watch);
    ms_cmd_plain(&cmd, "HGET", ms_key_queue(key, watch->fleet, queue, "cfg"),
                 "max_workers", NULL);
    ms_gate_send(watch->gate, &cmd, on_answer, watch);
    ms_cmd_plain(&cmd, "ZREVRANGE",
                 ms_key_queue(key, watch->fleet, queue, "waiting"), "0", "0",
                 NULL);
    ms_gate_send(watch->gate, &cmd, on_answer, watch);
}

static void on_queues(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_watch *watch = arg;

    watch->failed = err != MS_OK;
    watch->n_queues = err == MS_OK ? reply->n_items : 0;
    for (size_t i = 0; i < watch->n_queues; i++)
        ask(watch, ms_reply_str(ms_reply_at(reply, i), ""));
    if (watch->n_queues == 0)
        round_end(watch);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_watch *watch = timer->data;
    char key[MS_KEY_MAX];
    struct ms_cmd cmd = MS_CMD_INIT;

    watch->print = watch->n_answers = 0;
    ms_cmd_plain(&cmd, "SMEMBERS", ms_key_fleet(key, watch->fleet, "queues"),
                 NULL);
    ms_gate_send(watch->gate, &cmd, on_queues, watch);
}

struct ms_watch *ms_watch_new(struct ev_loop *loop, struct ms_redis *redis,
                              const char *fleet, const struct ms_term *term,
                              ms_watch_fn *fn, void *arg)
{
    struct ms_watch *watch = ms_xcalloc(1, sizeof(*watch));

    watch->loop = loop;
    watch->gate = ms_gate_new(loop, redis, term);
    watch->fleet = fleet;
    watch->fn = fn;
    watch->arg = arg;
    ev_timer_init(&watch->timer, on_timer, 0, 0);
    watch->timer.data = watch;
    return watch;
}

void ms_watch_free(struct ms_watch *watch)
{
    if (watch == NULL)
        return;
    ms_watch_stop(watch);
    ms_gate_free(watch->gate);
    free(watch);
}

void ms_watch_start(struct ms_watch *watch)
{
    if (watch->running)
        return;
    watch->running = true;
    watch->has_print = false;
    watch_arm(watch);
}

void ms_watch_stop(struct ms_watch *watch)
{
    watch->running = false;
    ev_timer_stop(watch->loop, &watch->timer);
    ms_gate_cancel(watch->gate);
}

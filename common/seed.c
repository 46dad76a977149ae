#include "common/seed.h"

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/admin.h"
#include "common/enqueue.h"
#include "common/fleet.h"
#include "common/limit.h"
#include "common/mem.h"
#include "common/schedule.h"

#define AGAIN_S     0.5
#define MAX_PAYLOAD (1024 * 1024) /* what the functions take for granted */

struct ms_seed {
    struct ms_seed_options options;
    struct ms_request *request;
    ev_timer again;
    const char **queues;
    size_t n_queues, at; /* behind the queues come limits, then schedules */
};

/* ---- the pairs of one queue ---- */

struct pairs {
    char *words[64];
    size_t n;
};

static void add_pair(const char *field, const char *value, void *arg)
{
    struct pairs *pairs = arg;

    ms_assert(pairs->n + 2 <= MS_COUNT_OF(pairs->words));
    pairs->words[pairs->n++] = ms_xstrdup(field);
    pairs->words[pairs->n++] = ms_xstrdup(value);
}

static const struct ms_queue_conf *find_conf(const struct ms_seed *seed,
                                             const char *queue)
{
    const struct ms_conf *conf = seed->options.conf;

    for (size_t i = 0; i < conf->n_queues; i++)
        if (strcmp(conf->queues[i].name, queue) == 0)
            return &conf->queues[i];
    return NULL;
}

/* The functions know no configuration: their bound is with the queue. */
static void add_max_payload(const struct ms_seed *seed, struct pairs *pairs)
{
    char bytes[32];

    if (seed->options.conf->max_payload_bytes == MAX_PAYLOAD)
        return;
    snprintf(bytes, sizeof(bytes), "%" PRId64,
             seed->options.conf->max_payload_bytes);
    add_pair("max_payload", bytes, pairs);
}

/* ---- flow ---- */

/* Redis reads its data, runs a long script, cannot write to its disk: no reason
 * to give up. */
static bool will_pass(enum ms_err err)
{
    return err == MS_EBUSY || err == MS_ELOADING || err == MS_EREADONLY ||
           err == MS_EFULL || err == MS_EMOVED;
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    ms_seed_start(timer->data);
}

static void seed_fail(struct ms_seed *seed, enum ms_err err,
                      const struct ms_reply *reply, struct ms_error *error)
{
    if (err == MS_EDOWN || err == MS_ETIMEOUT)
        return; /* the owner starts it again when the connection is back */
    if (reply->type == MS_REPLY_ERROR)
        ms_error_set(error, err, "%s", ms_reply_error(reply));
    if (will_pass(err)) {
        ev_timer_again(ms_redis_loop(seed->options.redis), &seed->again);
        return;
    }
    seed->options.done(err, error, seed->options.arg);
}

static void seed_next(struct ms_seed *seed);

static void on_configured(enum ms_err err, const struct ms_reply *reply,
                          void *arg)
{
    struct ms_seed *seed = arg;
    const struct ms_reply *pairs = NULL;
    struct ms_error error = {""};

    seed->request = NULL;
    if (err == MS_OK)
        err = ms_configure_parse(reply, &pairs, &error);
    if (err != MS_OK) {
        seed_fail(seed, err, reply, &error);
        return;
    }
    if (seed->options.cap != NULL)
        seed->options.cap(seed->at,
                          ms_reply_int(ms_reply_field(pairs, "max_workers"), 1),
                          seed->options.arg);
    seed->at++;
    seed_next(seed);
}

static void on_limit_set(enum ms_err err, const struct ms_reply *reply,
                         void *arg)
{
    struct ms_seed *seed = arg;
    const struct ms_conf *conf = seed->options.conf;
    struct ms_error error = {""};

    seed->request = NULL;
    if (err == MS_OK)
        err =
            ms_limit_status_parse(reply,
                                  conf->limits[seed->at - seed->n_queues].scope,
                                  &error);
    if (err != MS_OK) {
        seed_fail(seed, err, reply, &error);
        return;
    }
    seed->at++;
    seed_next(seed);
}

static void seed_limit(struct ms_seed *seed)
{
    const struct ms_conf *conf = seed->options.conf;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_seed_build(&cmd, conf->fleet,
                        &conf->limits[seed->at - seed->n_queues]);
    seed->request =
        ms_redis_send(seed->options.redis, &cmd, 0, on_limit_set, seed);
}

static const struct ms_schedule_conf *schedule_at(const struct ms_seed *seed)
{
    const struct ms_conf *conf = seed->options.conf;

    return &conf->schedules[seed->at - seed->n_queues - conf->n_limits];
}

static void on_schedule_set(enum ms_err err, const struct ms_reply *reply,
                            void *arg)
{
    struct ms_seed *seed = arg;
    struct ms_error error = {""};

    seed->request = NULL;
    if (err == MS_OK)
        err = ms_schedule_status_parse(reply, schedule_at(seed)->name, &error);
    if (err != MS_OK) {
        seed_fail(seed, err, reply, &error);
        return;
    }
    seed->at++;
    seed_next(seed);
}

/* The leader works out when it fires. */
static void seed_schedule(struct ms_seed *seed)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_seed_build(&cmd, seed->options.conf->fleet, schedule_at(seed));
    seed->request =
        ms_redis_send(seed->options.redis, &cmd, 0, on_schedule_set, seed);
}

static void seed_queue(struct ms_seed *seed)
{
    const char *fleet = seed->options.conf->fleet;
    const struct ms_queue_conf *conf;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct pairs pairs = {.n = 0};

    conf = find_conf(seed, seed->queues[seed->at]);
    if (conf != NULL)
        ms_queue_conf_each(conf, add_pair, &pairs);
    add_max_payload(seed, &pairs);
    ms_enqueue_register_build(&cmd, fleet, seed->queues[seed->at]);
    ms_redis_send(seed->options.redis, &cmd, 0, NULL, NULL);
    ms_configure_build(&cmd, fleet, seed->queues[seed->at], true,
                       (const char *const *)pairs.words, pairs.n / 2);
    for (size_t i = 0; i < pairs.n; i++)
        free(pairs.words[i]);
    seed->request =
        ms_redis_send(seed->options.redis, &cmd, 0, on_configured, seed);
}

static void seed_next(struct ms_seed *seed)
{
    const struct ms_conf *conf = seed->options.conf;
    size_t entry = seed->at - seed->n_queues;

    if (seed->at < seed->n_queues)
        seed_queue(seed);
    else if (entry < conf->n_limits)
        seed_limit(seed);
    else if (entry < conf->n_limits + conf->n_schedules)
        seed_schedule(seed);
    else
        seed->options.done(MS_OK, NULL, seed->options.arg);
}

static void on_schema(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_seed *seed = arg;
    struct ms_error error = {""};

    seed->request = NULL;
    if (err == MS_OK)
        err = ms_schema_parse(reply, &error);
    if (err == MS_OK)
        seed_next(seed);
    else
        seed_fail(seed, err, reply, &error);
}

void ms_seed_start(struct ms_seed *seed)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    if (seed->request != NULL)
        ms_redis_cancel(seed->request);
    ev_timer_stop(ms_redis_loop(seed->options.redis), &seed->again);
    seed->at = 0;
    ms_schema_build(&cmd, seed->options.conf->fleet);
    seed->request =
        ms_redis_send(seed->options.redis, &cmd, 0, on_schema, seed);
}

/* ---- life ---- */

struct ms_seed *ms_seed_new(const struct ms_seed_options *options)
{
    struct ms_seed *seed = ms_xcalloc(1, sizeof(*seed));
    const struct ms_conf *conf = options->conf;

    seed->options = *options;
    ev_timer_init(&seed->again, on_again, 0., AGAIN_S);
    seed->again.data = seed;
    if (options->queues != NULL)
        while (options->queues[seed->n_queues] != NULL)
            seed->n_queues++;
    else
        seed->n_queues = conf->n_queues;
    seed->queues = ms_xcalloc(seed->n_queues, sizeof(char *));
    for (size_t i = 0; i < seed->n_queues; i++)
        seed->queues[i] =
            options->queues != NULL ? options->queues[i] : conf->queues[i].name;
    return seed;
}

void ms_seed_free(struct ms_seed *seed)
{
    if (seed == NULL)
        return;
    if (seed->request != NULL)
        ms_redis_cancel(seed->request);
    ev_timer_stop(ms_redis_loop(seed->options.redis), &seed->again);
    free(seed->queues);
    free(seed);
}

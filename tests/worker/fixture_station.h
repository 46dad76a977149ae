/*
 * fixture_station: a station on a real Redis, with slots that the test plays:
 * it sees what was given to them and says when and how a job ends.  Between
 * the two is a proxy, so that answers can get lost.
 */
#pragma once

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/admin.h"
#include "common/enqueue.h"
#include "common/ulid.h"
#include "tests/support/proxy.h"
#include "tests/support/support.h"
#include "worker/station.h"

#define UNUSED __attribute__((unused))

#define POD "01POD"
#define Q   "ms:{f/q}:"

/* ---- slots, played ---- */

static struct ms_held *given[600];
static int n_given, capacity, ahead;
static bool is_short; /* what the jobs' kind is known for */
static struct ms_held *stopped;
static enum ms_stop stop_reason;
static int64_t committed_seq;

int ms_slots_idle(const struct ms_slots *slots)
{
    return capacity > n_given ? capacity - n_given : 0;
}

int ms_slots_room_ahead(const struct ms_slots *slots)
{
    return ahead;
}

bool ms_slots_is_short(const struct ms_slots *slots, const char *kind)
{
    return is_short;
}

bool ms_slots_run(struct ms_slots *slots, struct ms_held *held)
{
    if (n_given >= capacity + ahead)
        return false;
    given[n_given++] = held;
    return true;
}

void ms_slots_stop(struct ms_slots *slots, struct ms_held *held,
                   enum ms_stop reason)
{
    stopped = held;
    stop_reason = reason;
}

void ms_slots_committed(struct ms_slots *slots, struct ms_held *held,
                        int64_t seq)
{
    committed_seq = seq;
}

static void ungive(struct ms_held *held)
{
    for (int i = 0; i < n_given; i++)
        if (given[i] == held)
            given[i] = given[--n_given];
}

/* ---- the bench ---- */

static struct ms_test_redis *server;
static struct ms_test_proxy *proxy;
static struct ev_loop *loop;
static struct ms_station_env env;
static struct ms_station *station;

/* As the worker does. */
static void on_changed(void *arg)
{
    if (station != NULL)
        ms_station_step(station);
}

static void on_redis_state(bool up, enum ms_err err, const char *why, void *arg)
{
    if (up && station != NULL)
        ms_station_reconnected(station);
}

static int connect_env(void)
{
    const struct ms_redis_options options = {
        .url = ms_test_proxy_url(proxy),
        .command_timeout_ms = 1000,
        .retry_max_ms = 100,
    };

    CHECK_INT(ms_redis_new(loop, &options, &env.redis, NULL), ==, MS_OK);
    ms_redis_on_state(env.redis, on_redis_state, NULL);
    ms_redis_start(env.redis);
    return ms_redis_wait_up(env.redis, 10000, NULL);
}

static int setup_with(const char *const *redis_args, int64_t ttl_ms)
{
    server = ms_test_redis_start(redis_args);
    loop = ev_loop_new(0);
    proxy = ms_test_proxy_new(loop, server);
    env = (struct ms_station_env){
        .loop = loop,
        .fleet = "f",
        .pod = POD,
        .kinds = ",noop.echo,",
        .ttl_ms = ttl_ms,
        .changed = on_changed,
    };
    station = NULL;
    CHECK_INT(connect_env(), ==, MS_OK);
    n_given = ahead = 0;
    capacity = 4;
    is_short = false;
    stopped = NULL;
    committed_seq = 0;
    ms_test_text(server, "HSET %scfg max_workers 100", Q);
    station = ms_station_new(&env, "q");
    ms_station_set_cap(station, 100);
    ms_station_set_share(station, 100, 1);
    return 0;
}

static UNUSED int setup(void **state)
{
    return setup_with(NULL, 30000);
}

static int teardown(void **state)
{
    ms_station_free(station);
    ms_redis_free(env.redis);
    ms_test_proxy_free(proxy);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    return 0;
}

#define RUN_UNTIL(cond) WAIT_FOR(10000, (ev_run(loop, EVRUN_NOWAIT), (cond)))

static UNUSED void enqueue(int n)
{
    for (int i = 0; i < n; i++) {
        struct ms_new_job job = {.kind = "noop.echo",
                                 .payload = "\xc0",
                                 .payload_len = 1,
                                 .priority = MS_PRIORITY_DEFAULT};
        struct ms_cmd cmd = MS_CMD_INIT;
        char id[MS_ULID_LEN + 1], token[MS_ULID_LEN + 1];

        ms_ulid_new(id);
        ms_ulid_new(token);
        job.id = id;
        CHECK_INT(ms_enqueue_build(&cmd, "f", "q", token, &job, 1, 1 << 20,
                                   NULL),
                  ==, MS_OK);
        ms_test_run(server, &cmd);
    }
}

static UNUSED void end(struct ms_held *held, enum ms_outcome outcome)
{
    struct ms_ending ending = {.outcome = outcome};

    ungive(held);
    ms_station_on_ended(held, &ending);
    ms_station_step(station);
}

static UNUSED int64_t running(void)
{
    return ms_test_num(server, "ZCARD %sleases", Q);
}

static UNUSED int64_t stat_of(const char *name)
{
    const char *text = ms_test_text(server, "HGET %sstats %s", Q, name);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

/* Somebody else claims whatever this pod holds. */
static UNUSED void lose_all(void)
{
    const struct ms_reply *ids = ms_test_cmd(server, "SMEMBERS " Q "held:" POD);
    char id[8][MS_ULID_LEN + 1];
    size_t n = ids->n_items;

    CHECK_INT(n, <=, MS_COUNT_OF(id));
    for (size_t i = 0; i < n; i++)
        snprintf(id[i], sizeof(id[i]), "%s", ids->items[i].str);
    for (size_t i = 0; i < n; i++)
        ms_test_text(server, "HSET %sjob:%s pod other", Q, id[i]);
}

#define BENCHED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/*
 * probe: a connection under test and what it told us, for tests/redis/.
 */
#pragma once

#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>

struct probe {
    struct ev_loop *loop;
    struct ms_redis *redis;
    int n_up;
    int n_down;
    enum ms_err last_err; /* of the last change of state */
    char last_why[512];
};

/* What came back for one request. */
struct got {
    int n;
    enum ms_err err;
    struct ms_reply *reply;
};

/* Runs the loop until `cond`, which is about what its callbacks did. */
#define RUN_UNTIL(probe, cond) \
    WAIT_FOR(20000, (ev_run((probe)->loop, EVRUN_NOWAIT), (cond)))

static inline void probe_on_state(bool up, enum ms_err err, const char *why,
                                  void *arg)
{
    struct probe *probe = arg;

    probe->n_up += up;
    probe->n_down += !up;
    probe->last_err = err;
    snprintf(probe->last_why, sizeof(probe->last_why), "%s", why);
}

static inline void probe_init_with(struct probe *probe,
                                   const struct ms_redis_options *options)
{
    struct ms_error error;

    memset(probe, 0, sizeof(*probe));
    probe->loop = ev_loop_new(EVFLAG_AUTO);
    if (ms_redis_new(probe->loop, options, &probe->redis, &error) != MS_OK)
        fail_msg("%s", error.text);
    ms_redis_on_state(probe->redis, probe_on_state, probe);
    ms_redis_start(probe->redis);
}

static inline void probe_init(struct probe *probe, const char *url)
{
    const struct ms_redis_options options = {.url = url,
                                             .connect_timeout_ms = 10000,
                                             .command_timeout_ms = 20000};

    probe_init_with(probe, &options);
}

/* The same, and waits until it is up. */
static inline void probe_up(struct probe *probe, const char *url)
{
    probe_init(probe, url);
    RUN_UNTIL(probe, probe->n_up == 1);
}

static inline void probe_done(struct probe *probe)
{
    ms_redis_free(probe->redis);
    ev_loop_destroy(probe->loop);
}

static inline void got_done(struct got *got)
{
    ms_reply_free(got->reply);
    memset(got, 0, sizeof(*got));
}

static inline void got_it(enum ms_err err, const struct ms_reply *reply,
                          void *arg)
{
    struct got *got = arg;

    got->n++;
    got->err = err;
    ms_reply_free(got->reply);
    got->reply = ms_reply_copy(reply);
}

/* Sends up to four words; `got` must live until the answer. */
static inline struct ms_request *probe_send(struct probe *probe,
                                            struct got *got, int timeout_ms,
                                            const char *a, const char *b,
                                            const char *c, const char *d)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    memset(got, 0, sizeof(*got));
    ms_cmd_plain(&cmd, a, b, c, d, NULL);
    return ms_redis_send(probe->redis, &cmd, timeout_ms, got_it, got);
}

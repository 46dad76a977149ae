/*
 * world: a leader's duties on a real Redis, without an election.
 *
 * The term is the test's own: it may end it, or give it another epoch.
 */
#pragma once

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/enqueue.h"
#include "common/fleet.h"
#include "common/lease.h"
#include "common/ulid.h"
#include "common/val.h"
#include "coordinator/duty.h"
#include "tests/support/support.h"

#define GONE_AFTER_MS 30000

struct world {
    struct ms_test_redis *server;
    struct ev_loop *loop;
    struct ms_redis *redis;
    struct ms_term term;
    struct ms_duty duty;
};

/* One more leader on the same Redis, by way of `url`, on a loop made before. */
static inline void world_join(struct world *w, struct ms_test_redis *server,
                              struct ev_loop *loop, const char *url,
                              int64_t epoch)
{
    struct ms_redis_options redis = {.url = url};
    struct ms_tasks_options tasks;

    memset(w, 0, sizeof(*w));
    w->server = server;
    w->loop = loop;
    w->term = (struct ms_term){.leads = true,
                               .epoch = epoch,
                               .trusted_until_ms = INT64_MAX};
    CHECK_INT(ms_redis_new(w->loop, &redis, &w->redis, NULL), ==, MS_OK);
    ms_redis_start(w->redis);
    CHECK_INT(ms_redis_wait_up(w->redis, 10000, NULL), ==, MS_OK);
    tasks = (struct ms_tasks_options){.loop = w->loop};
    w->duty = (struct ms_duty){.loop = w->loop,
                               .redis = w->redis,
                               .fleet = "main",
                               .term = &w->term};
    w->duty.view =
        ms_view_new(w->loop, w->redis, "main", &w->term, GONE_AFTER_MS);
    w->duty.tasks = ms_tasks_new(&tasks);
}

static inline void world_init(struct world *w, struct ms_test_redis *server)
{
    ms_test_cmd(server, "FLUSHALL");
    world_join(w, server, ev_loop_new(EVFLAG_AUTO), ms_test_redis_url(server),
               1000);
}

/* The duties that use it are freed between the registry and this. */
static inline void world_done(struct world *w)
{
    ms_view_free(w->duty.view);
    ms_redis_free(w->redis);
    ev_loop_destroy(w->loop);
}

static inline bool spin(struct world *w)
{
    ev_run(w->loop, EVRUN_NOWAIT);
    return true;
}

static inline int64_t runs_of(struct world *w, const char *task)
{
    return ms_tasks_find(w->duty.tasks, task)->run_count;
}

/* Waits until one whole run that began after now is over. */
static inline void run_once(struct world *w, const char *task)
{
    int64_t runs = runs_of(w, task);

    if (ms_tasks_find(w->duty.tasks, task)->running)
        runs++;
    ms_tasks_poke(w->duty.tasks, task);
    WAIT_FOR(20000, spin(w) && runs_of(w, task) > runs &&
                        !ms_tasks_find(w->duty.tasks, task)->running);
}

static inline const char *last_error(struct world *w, const char *task)
{
    return ms_tasks_find(w->duty.tasks, task)->last_error;
}

/* ---- queues, pods, jobs ---- */

static inline void add_queue(struct world *w, const char *queue)
{
    ms_test_cmd(w->server, "SADD ms:{main}:queues %s", queue);
}

static inline void beat_with(struct world *w, const char *pod,
                             const char *queues, const char *concurrency,
                             const char *draining, const char *kinds)
{
    char *list = ms_xstrdup(queues), *rest = list;
    const char *names[8] = {NULL};
    const char *const fields[] = {"queues",    queues,     "concurrency",
                                  concurrency, "draining", draining,
                                  "kinds",     kinds};
    struct ms_beat beat = {.fleet = "main",
                           .pod = pod,
                           .queues = names,
                           .fields = fields,
                           .n_fields = 4,
                           .gone_after_ms = GONE_AFTER_MS};
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t n = 0;

    while (rest != NULL)
        names[n++] = strsep(&rest, ",");
    ms_beat_build(&cmd, &beat);
    CHECK(ms_reply_is(ms_reply_at(ms_test_run(w->server, &cmd), 0), "ok"));
    free(list);
}

static inline void beat(struct world *w, const char *pod, const char *queues)
{
    beat_with(w, pod, queues, "8", "0", ",noop.echo,dump.chunk,");
}

static inline void enqueue(struct world *w, const char *queue, const char *id,
                           const char *kind, const void *payload, size_t len,
                           bool parent)
{
    struct ms_new_job job = {.id = id,
                             .kind = kind,
                             .payload = payload,
                             .payload_len = len,
                             .priority = MS_PRIORITY_DEFAULT,
                             .parent = parent};
    struct ms_cmd cmd = MS_CMD_INIT;
    char token[MS_ULID_LEN + 1];

    ms_ulid_new(token);
    CHECK_INT(ms_enqueue_build(&cmd, "main", queue, token, &job, 1, 1 << 20,
                               NULL),
              ==, MS_OK);
    CHECK(ms_reply_is(ms_reply_at(ms_test_run(w->server, &cmd), 0), "ok"));
    add_queue(w, queue);
}

/* Claims up to `limit` jobs for a pod; the answer is that of `fn`'s calls. */
static inline int64_t claim(struct world *w, const char *queue, const char *pod,
                            int limit, int64_t ttl_ms, ms_claimed_fn *fn,
                            void *arg)
{
    struct ms_tenant who = {"main", queue, pod};
    struct ms_claim_ask ask = {.limit = limit,
                               .ttl_ms = ttl_ms,
                               .kinds = ",noop.echo,dump.chunk,"};
    struct ms_claim_answer answer = {0};
    struct ms_reply *reply;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_claim_build(&cmd, &who, &ask);
    reply = ms_reply_copy(ms_test_run(w->server, &cmd));
    CHECK_INT(ms_claim_parse(reply, &answer, fn, arg, NULL), ==, MS_OK);
    ms_reply_free(reply);
    return (int64_t)answer.n_jobs;
}

static inline void ignore_job(const struct ms_claimed *job, void *arg)
{
}

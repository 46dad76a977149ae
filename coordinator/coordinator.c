#include "coordinator/coordinator.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/seed.h"
#include "coordinator/chore.h"
#include "coordinator/duty.h"
#include "coordinator/health.h"
#include "coordinator/pokes.h"
#include "coordinator/task_cron.h"
#include "coordinator/task_functions.h"
#include "coordinator/task_note.h"
#include "coordinator/task_plan.h"
#include "coordinator/task_reap.h"
#include "coordinator/task_rebalance.h"

#define BEATS          6 /* that a pod may miss */
#define SEED_AGAIN_SEC 1.0

enum state { STARTING, SERVING, STOPPING, STOPPED };

static const char *const state_names[] = {"starting", "serving", "stopping",
                                          "stopped"};

struct ms_coordinator {
    struct ev_loop *loop;
    const struct ms_conf *conf;
    enum state state;
    struct ms_redis *redis;
    struct ms_seed *seed;
    ev_timer seed_again;
    struct ms_leader *leader;
    struct ms_duty duty; /* what the duties are made with */
    struct ms_presence *presence;
    struct ms_task_note *note;
    struct ms_rebalancer *rebalancer;
    struct ms_reap *reap;
    struct ms_chore *retain, *batches, *roll;
    struct ms_functions *functions;
    struct ms_plan *plan;
    struct ms_cron_task *cron;
    struct ms_pokes *pokes;
    struct ms_http *http;
    struct ms_health health;
    enum ms_err outcome;
    struct ms_error why;
};

static void coordinator_set_state(struct ms_coordinator *c, enum state state)
{
    ms_assert(state > c->state);
    ms_log(MS_INFO, "coordinator", state_names[state], "id=%s fleet=%s",
           ms_leader_id(c->leader), c->conf->fleet);
    c->state = state;
}

/* ---- terms ---- */

static void on_term(bool leads, int64_t epoch, void *arg)
{
    struct ms_coordinator *c = arg;

    ms_view_reset(c->duty.view);
    if (leads) {
        ms_task_note_adopt(c->note, c->duty.tasks);
        ms_tasks_start(c->duty.tasks);
        ms_presence_start(c->presence);
        ms_pokes_start(c->pokes);
        return;
    }
    ms_presence_stop(c->presence);
    ms_pokes_stop(c->pokes);
    ms_tasks_stop(c->duty.tasks);
    ms_plan_reset(c->plan);
    ms_task_note_reset(c->note);
}

/* ---- stopping ---- */

static void coordinator_fail(struct ms_coordinator *c, enum ms_err err,
                             const struct ms_error *why)
{
    c->outcome = err;
    c->why = *why;
    ev_break(c->loop, EVBREAK_ALL);
}

static void on_resigned(void *arg)
{
    struct ms_coordinator *c = arg;

    coordinator_set_state(c, STOPPED);
    ev_break(c->loop, EVBREAK_ALL);
}

void ms_coordinator_stop(struct ms_coordinator *c)
{
    if (c->state != SERVING) {
        ev_break(c->loop, EVBREAK_ALL);
        return;
    }
    coordinator_set_state(c, STOPPING);
    ms_leader_resign(c->leader, on_resigned, c);
}

/* ---- starting ---- */

/* Redis may still be loading, or full: that passes; these do not. */
static bool is_final(enum ms_err err)
{
    return err == MS_ESCHEMA || err == MS_EAUTH || err == MS_ESCRIPT ||
           err == MS_EPROTO;
}

static void on_seeded(enum ms_err err, const struct ms_error *why, void *arg)
{
    struct ms_coordinator *c = arg;
    char text[256];

    if (err != MS_OK && is_final(err)) {
        coordinator_fail(c, err, why);
    } else if (err != MS_OK) {
        ms_log(MS_WARN, "coordinator", "seed_failed", "err=%s why=%s",
               ms_err_name(err), ms_log_quote(why->text, text, sizeof(text)));
        ev_timer_set(&c->seed_again, SEED_AGAIN_SEC, 0);
        ev_timer_start(c->loop, &c->seed_again);
    } else {
        c->health.schema_ok = true;
        if (c->state == STARTING) {
            coordinator_set_state(c, SERVING);
            ms_leader_start(c->leader);
        }
    }
}

static void on_seed_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_coordinator *c = timer->data;

    if (ms_redis_is_up(c->redis))
        ms_seed_start(c->seed);
}

/* The layout is looked at again each time: the Redis that came back may be
 * another one. */
static void on_redis_state(bool up, enum ms_err err, const char *why, void *arg)
{
    struct ms_coordinator *c = arg;
    char text[256];

    if (up) {
        ms_log(MS_INFO, "coordinator", "redis_up", "fleet=%s", c->conf->fleet);
        ms_seed_start(c->seed);
        return;
    }
    c->health.schema_ok = false;
    ms_log(MS_WARN, "coordinator", "redis_down", "err=%s why=%s",
           ms_err_name(err), ms_log_quote(why, text, sizeof(text)));
}

static enum ms_err make_redis(struct ms_coordinator *c, struct ms_error *error)
{
    const struct ms_redis_options options = {
        .url = c->conf->redis_url,
        .client_name = "muster-coordinator",
        .connect_timeout_ms = (int)c->conf->redis_connect_timeout_ms,
        .command_timeout_ms = (int)c->conf->redis_command_timeout_ms,
    };
    struct ms_seed_options seed = {.conf = c->conf,
                                   .done = on_seeded,
                                   .arg = c};
    enum ms_err err = ms_redis_new(c->loop, &options, &c->redis, error);

    if (err != MS_OK)
        return err;
    seed.redis = c->redis;
    ms_redis_on_state(c->redis, on_redis_state, c);
    c->seed = ms_seed_new(&seed);
    return MS_OK;
}

static enum ms_err make_http(struct ms_coordinator *c, struct ms_error *error)
{
    if (strcmp(c->conf->coordinator_http, "off") == 0)
        return MS_OK;
    return ms_http_new(c->loop, c->conf->coordinator_http, ms_health_answer,
                       &c->health, &c->http, error);
}

static void make_leader(struct ms_coordinator *c)
{
    char host[HOST_NAME_MAX + 1] = "", url[256] = "";
    struct ms_leader_options options = {.fleet = c->conf->fleet,
                                        .host = host,
                                        .url = url,
                                        .ttl_ms =
                                            c->conf->coordinator_lease_ttl_ms,
                                        .on_change = on_term,
                                        .arg = c};

    gethostname(host, sizeof(host) - 1);
    if (c->http != NULL)
        snprintf(url, sizeof(url), "http://%s", ms_http_address(c->http));
    c->leader = ms_leader_new(c->loop, c->redis, &options);
}

static void on_pod_gone(void *arg)
{
    struct ms_coordinator *c = arg;

    ms_tasks_poke(c->duty.tasks, "reap");
}

/* Tasks run in the order of their adding when a term begins. */
static void make_duties(struct ms_coordinator *c)
{
    struct ms_tasks_options options = {.loop = c->loop,
                                       .note = ms_task_note_write};

    c->duty = (struct ms_duty){.loop = c->loop,
                               .redis = c->redis,
                               .fleet = c->conf->fleet,
                               .term = ms_leader_term(c->leader)};
    c->duty.view = ms_view_new(c->loop, c->redis, c->conf->fleet, c->duty.term,
                               BEATS * c->conf->worker_heartbeat_ms);
    c->presence =
        ms_presence_new(c->loop, c->redis, c->duty.term, on_pod_gone, c);
    ms_view_set_presence(c->duty.view, c->presence);
    c->note = ms_task_note_new(&c->duty);
    options.arg = c->note;
    c->duty.tasks = ms_tasks_new(&options);
    c->rebalancer = ms_rebalancer_new(&c->duty);
    c->reap = ms_reap_new(&c->duty);
    c->cron = ms_cron_task_new(&c->duty, c->conf);
    c->plan = ms_plan_new(&c->duty);
    c->retain = ms_chore_new(&c->duty, &ms_chore_retain);
    c->roll = ms_chore_new(&c->duty, &ms_chore_roll);
    c->pokes = ms_pokes_new(&c->duty);
    c->batches = ms_chore_new(&c->duty, &ms_chore_batches);
    c->functions = ms_functions_new(&c->duty);
    c->health = (struct ms_health){.redis = c->redis,
                                   .term = c->duty.term,
                                   .tasks = c->duty.tasks};
}

enum ms_err ms_coordinator_new(struct ev_loop *loop, const struct ms_conf *conf,
                               struct ms_coordinator **out_coordinator,
                               struct ms_error *error)
{
    struct ms_coordinator *c = ms_xcalloc(1, sizeof(*c));
    enum ms_err err;

    c->loop = loop;
    c->conf = conf;
    ev_timer_init(&c->seed_again, on_seed_again, 0, 0);
    c->seed_again.data = c;
    err = make_redis(c, error);
    if (err != MS_OK)
        goto out;
    err = make_http(c, error);
    if (err != MS_OK)
        goto out;
    make_leader(c);
    make_duties(c);
    *out_coordinator = c;
    c = NULL; /* it is the caller's now */
out:
    ms_coordinator_free(c);
    return err;
}

void ms_coordinator_free(struct ms_coordinator *c)
{
    if (c == NULL)
        return;
    ev_timer_stop(c->loop, &c->seed_again);
    ms_http_free(c->http);
    ms_tasks_free(c->duty.tasks);
    ms_rebalancer_free(c->rebalancer);
    ms_reap_free(c->reap);
    ms_plan_free(c->plan);
    ms_cron_task_free(c->cron);
    ms_pokes_free(c->pokes);
    ms_chore_free(c->batches);
    ms_chore_free(c->retain);
    ms_chore_free(c->roll);
    ms_functions_free(c->functions);
    ms_task_note_free(c->note);
    ms_view_free(c->duty.view);
    ms_presence_free(c->presence);
    ms_leader_free(c->leader);
    ms_seed_free(c->seed);
    ms_redis_free(c->redis);
    free(c);
}

void ms_coordinator_start(struct ms_coordinator *c)
{
    ms_log(MS_INFO, "coordinator", "starting", "id=%s fleet=%s http=%s",
           ms_leader_id(c->leader), c->conf->fleet,
           c->http == NULL ? "off" : ms_http_address(c->http));
    ms_redis_start(c->redis);
}

enum ms_err ms_coordinator_outcome(const struct ms_coordinator *c,
                                   struct ms_error *error)
{
    if (c->outcome != MS_OK)
        ms_error_set(error, c->outcome, "%s", c->why.text);
    return c->outcome;
}

#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/admin.h"
#include "common/clock.h"
#include "common/enqueue.h"
#include "common/fleet.h"
#include "common/http.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/seed.h"
#include "common/ulid.h"
#include "worker/plugin.h"
#include "worker/pod.h"
#include "worker/station.h"
#include "worker/wake.h"

#define LAST_WORDS_S 2. /* for Redis to hear what goes back after the grace */

enum worker_state {
    WORKER_STARTING,
    WORKER_WORKING,
    WORKER_DRAINING,
    WORKER_LEAVING,
    WORKER_STOPPED
};

struct ms_worker {
    struct ev_loop *loop;
    const struct ms_conf *conf;
    enum worker_state state;
    char id[MS_ULID_LEN + 1];
    char client_name[64];
    struct ms_redis *redis;
    struct ms_routes *routes;
    struct ms_slots *slots;
    struct ms_pod *pod;
    struct ms_wake *wake;
    struct ms_http *http;
    struct ms_seed *seed;
    struct ms_station_env env;
    struct ms_station **stations;
    size_t n_stations;
    size_t turn;   /* which station goes first: they share the slots */
    bool settling; /* inside a walk over the stations */
    ev_timer grace;
    enum ms_err outcome;
    struct ms_error why;
};

static const char *const state_names[] = {
    [WORKER_STARTING] = "starting", [WORKER_WORKING] = "working",
    [WORKER_DRAINING] = "draining", [WORKER_LEAVING] = "leaving",
    [WORKER_STOPPED] = "stopped",
};

static void worker_set_state(struct ms_worker *w, enum worker_state state)
{
    ms_assert(state > w->state);
    ms_log(MS_INFO, "worker", state_names[state], "pod=%s label=%s", w->id,
           ms_pod_label(w->pod));
    w->state = state;
}

/* ---- stopping ---- */

static void on_left(void *arg)
{
    struct ms_worker *w = arg;

    worker_set_state(w, WORKER_STOPPED);
    ev_break(w->loop, EVBREAK_ALL);
}

static void leave(struct ms_worker *w)
{
    ev_timer_stop(w->loop, &w->grace);
    worker_set_state(w, WORKER_LEAVING);
    ms_pod_leave(w->pod, on_left, w);
}

static bool is_empty(const struct ms_worker *w)
{
    for (size_t i = 0; i < w->n_stations; i++)
        if (!ms_station_is_empty(w->stations[i]))
            return false;
    return true;
}

static void worker_fail(struct ms_worker *w, enum ms_err err,
                        const struct ms_error *why)
{
    w->outcome = err;
    w->why = *why;
    ev_break(w->loop, EVBREAK_ALL);
}

/* The grace is over: what still runs is killed and goes back at no cost; then
 * two seconds more for Redis to hear of it. */
static void on_grace(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_worker *w = timer->data;
    int held = 0;

    if (w->slots == NULL) {
        leave(w);
        return;
    }
    for (size_t i = 0; i < w->n_stations; i++)
        held += ms_station_held(w->stations[i]);
    ms_log(MS_WARN, "worker", "grace_over", "pod=%s held=%d", w->id, held);
    ms_pod_set_slots(w->pod, NULL);
    w->env.kinds = "";
    ms_slots_free(w->slots);
    w->slots = w->env.slots = NULL;
    for (size_t i = 0; i < w->n_stations; i++)
        ms_station_give_up(w->stations[i]);
    ev_timer_stop(loop, timer); /* it was not due, after a second TERM */
    ev_timer_set(timer, LAST_WORDS_S, 0.);
    ev_timer_start(loop, timer);
    if (is_empty(w))
        leave(w);
}

static void drain(struct ms_worker *w)
{
    worker_set_state(w, WORKER_DRAINING);
    w->env.draining = true;
    ms_pod_set_draining(w->pod);
    ev_timer_set(&w->grace, (double)w->conf->worker_grace_ms / 1000., 0.);
    ev_timer_start(w->loop, &w->grace);
    for (size_t i = 0; i < w->n_stations; i++)
        ms_station_drain(w->stations[i]);
    if (is_empty(w))
        leave(w);
}

void ms_worker_stop(struct ms_worker *w)
{
    if (w->state == WORKER_STARTING)
        ev_break(w->loop, EVBREAK_ALL);
    else if (w->state == WORKER_WORKING)
        drain(w);
    else if (w->state == WORKER_DRAINING)
        ev_feed_event(w->loop, &w->grace, EV_TIMER);
}

/* ---- stations ---- */

/* One queue's finish may make room for another's claim. */
static void step_all(struct ms_worker *w)
{
    if (w->settling)
        return;
    w->settling = true;
    for (size_t i = 0; i < w->n_stations; i++)
        ms_station_step(w->stations[(w->turn + i) % w->n_stations]);
    w->turn++;
    w->settling = false;
    if (w->state == WORKER_DRAINING && is_empty(w))
        leave(w);
    if (w->state == WORKER_WORKING)
        ms_wake_step(w->wake);
}

static void on_changed(void *arg)
{
    step_all(arg);
}

static void on_job_started(struct ms_held *held, void *arg)
{
    ms_station_on_started(held);
}

static void on_job_checkpoint(struct ms_held *held,
                              struct ms_checkpoint *checkpoint, void *arg)
{
    ms_station_on_checkpoint(held, checkpoint);
}

static void on_job_ended(struct ms_held *held, struct ms_ending *ending,
                         void *arg)
{
    ms_station_on_ended(held, ending);
}

static void on_job_returned(struct ms_held *held, void *arg)
{
    ms_station_on_returned(held);
}

static void on_jobs_settled(void *arg)
{
    step_all(arg);
}

static const struct ms_slots_events slots_events = {
    .started = on_job_started,
    .checkpoint = on_job_checkpoint,
    .ended = on_job_ended,
    .returned = on_job_returned,
    .settled = on_jobs_settled,
};

static void on_share(size_t queue, int64_t assigned, int64_t pods, void *arg)
{
    struct ms_worker *w = arg;

    ms_station_set_share(w->stations[queue], assigned, pods);
    on_changed(w);
}

/* ---- waking ---- */

static bool on_token(size_t queue, void *arg)
{
    struct ms_worker *w = arg;

    return ms_station_take_token(w->stations[queue]);
}

static bool is_waiting(size_t queue, void *arg)
{
    struct ms_worker *w = arg;

    return w->state == WORKER_WORKING &&
           ms_station_is_waiting(w->stations[queue]);
}

static struct ms_station *find_station(struct ms_worker *w, const char *queue)
{
    for (size_t i = 0; i < w->n_stations; i++)
        if (strcmp(ms_station_queue(w->stations[i]), queue) == 0)
            return w->stations[i];
    return NULL;
}

static void on_message(const char *text, void *arg)
{
    struct ms_worker *w = arg;
    char queue[128], id[160];
    struct ms_station *station;

    ms_log(MS_DEBUG, "worker", "message", "text=\"%s\"", text);
    if (strcmp(text, "slots") == 0) {
        ms_pod_beat(w->pod);
    } else if (strcmp(text, "drain") == 0) {
        if (w->state == WORKER_WORKING)
            drain(w);
    } else if (sscanf(text, "cancel %127s %159s", queue, id) == 2) {
        station = find_station(w, queue);
        if (station != NULL)
            ms_station_cancel(station, id);
    } else if (sscanf(text, "queue %127s", queue) == 1) {
        station = find_station(w, queue);
        if (station != NULL)
            ms_station_configured(station);
    } else {
        ms_log(MS_WARN, "worker", "unknown_message", "text=\"%s\"", text);
    }
}

static void on_heard(void *arg)
{
    struct ms_worker *w = arg;

    w->env.heard_ms = ms_clock_mono_ms();
}

static const struct ms_wake_events wake_events = {
    .token = on_token,
    .is_waiting = is_waiting,
    .message = on_message,
    .heard = on_heard,
};

/* ---- health ---- */

/* Not ready once it has not managed a claim or a wait for three renewals. */
static bool is_ready(const struct ms_worker *w)
{
    return w->state == WORKER_WORKING && ms_redis_is_up(w->redis) &&
           ms_clock_mono_ms() - w->env.heard_ms <= w->env.ttl_ms;
}

static int on_http(const char *method, const char *path,
                   struct ms_http_answer *answer, void *arg)
{
    struct ms_worker *w = arg;

    if (strcmp(path, "/healthz") == 0) {
        ms_buf_adds(&answer->body, "ok\n");
        return 200;
    }
    if (strcmp(path, "/readyz") == 0) {
        bool ready = is_ready(w);

        ms_buf_addf(&answer->body, "%s\n", ready ? "ready" : "not claiming");
        return ready ? 200 : 503;
    }
    ms_buf_adds(&answer->body, "not found\n");
    return 404;
}

/* ---- starting ---- */

static void on_cap(size_t queue, int64_t max_workers, void *arg)
{
    struct ms_worker *w = arg;

    ms_station_set_cap(w->stations[queue], max_workers);
}

static void on_seeded(enum ms_err err, const struct ms_error *why, void *arg)
{
    struct ms_worker *w = arg;

    if (err != MS_OK) {
        worker_fail(w, err, why);
        return;
    }
    if (w->state != WORKER_STARTING)
        return;
    worker_set_state(w, WORKER_WORKING);
    ms_wake_start(w->wake);
    ms_pod_start(w->pod);
    for (size_t i = 0; i < w->n_stations; i++)
        ms_station_reconnected(w->stations[i]);
}

static void on_redis_state(bool up, enum ms_err err, const char *why, void *arg)
{
    struct ms_worker *w = arg;
    char text[256];

    if (!up) {
        ms_log(MS_WARN, "worker", "redis_down", "err=%s why=%s",
               ms_err_name(err), ms_log_quote(why, text, sizeof(text)));
        return;
    }
    ms_log(MS_INFO, "worker", "redis_up", "pod=%s", w->id);
    if (w->state == WORKER_STARTING) {
        ms_seed_start(w->seed);
        return;
    }
    for (size_t i = 0; i < w->n_stations; i++)
        ms_station_reconnected(w->stations[i]);
    ms_pod_beat(w->pod);
    on_changed(w);
}

static void make_env(struct ms_worker *w)
{
    w->env = (struct ms_station_env){
        .loop = w->loop,
        .redis = w->redis,
        .slots = w->slots,
        .kinds = ms_slots_kinds(w->slots),
        .fleet = w->conf->fleet,
        .conf = w->conf,
        .pod = w->id,
        .ttl_ms = w->conf->worker_claim_ttl_ms,
        .changed = on_changed,
        .arg = w,
    };
}

static void make_parts(struct ms_worker *w, const char *conf_path)
{
    const struct ms_slots_options slots = {
        .conf = w->conf,
        .conf_path = conf_path,
        .routes = w->routes,
        .pod_id = w->id,
        .concurrency = (int)w->conf->worker_concurrency,
        .events = &slots_events,
        .arg = w,
    };
    const struct ms_pod_options pod = {
        .conf = w->conf,
        .redis = w->redis,
        .id = w->id,
        .share = on_share,
        .arg = w,
    };
    const struct ms_seed_options seed = {
        .conf = w->conf,
        .redis = w->redis,
        .queues = w->conf->worker_queues,
        .cap = on_cap,
        .done = on_seeded,
        .arg = w,
    };

    w->slots = ms_slots_new(w->loop, &slots);
    w->pod = ms_pod_new(w->loop, &pod);
    ms_pod_set_slots(w->pod, w->slots);
    w->seed = ms_seed_new(&seed);
    make_env(w);
    while (w->conf->worker_queues[w->n_stations] != NULL)
        w->n_stations++;
    w->stations = ms_xcalloc(w->n_stations, sizeof(struct ms_station *));
    for (size_t i = 0; i < w->n_stations; i++)
        w->stations[i] = ms_station_new(&w->env, w->conf->worker_queues[i]);
}

/* Back within a quarter of the TTL: after an outage others wait one TTL before
 * they take what was not renewed. */
static int retry_max_ms(const struct ms_conf *conf)
{
    int64_t quarter = conf->worker_claim_ttl_ms / 4;

    return (int)(quarter < 5000 ? quarter : 5000);
}

/* An idle pod hears Redis at least every third of the TTL, or it would not
 * count as ready. */
static int block_ms(const struct ms_conf *conf)
{
    int64_t third = conf->worker_claim_ttl_ms / 3;

    return (int)(third < 10000 ? third : 10000);
}

static enum ms_err make_connections(struct ms_worker *w, struct ms_error *error)
{
    const struct ms_redis_options redis = {
        .url = w->conf->redis_url,
        .client_name = w->client_name,
        .connect_timeout_ms = (int)w->conf->redis_connect_timeout_ms,
        .command_timeout_ms = (int)w->conf->redis_command_timeout_ms,
        .retry_max_ms = retry_max_ms(w->conf),
    };
    struct ms_wake_options wake = {
        .redis = &redis,
        .fleet = w->conf->fleet,
        .pod = w->id,
        .queues = w->conf->worker_queues,
        .events = &wake_events,
        .block_ms = block_ms(w->conf),
        .arg = w,
    };
    enum ms_err err = ms_redis_new(w->loop, &redis, &w->redis, error);

    if (err != MS_OK)
        return err;
    wake.main = w->redis;
    ms_redis_on_state(w->redis, on_redis_state, w);
    return ms_wake_new(w->loop, &wake, &w->wake, error);
}

/* All handlers that the configuration names: built in, pools, plug-ins. */
static enum ms_err make_routes(const struct ms_conf *conf,
                               struct ms_routes **out_routes,
                               struct ms_error *error)
{
    struct ms_routes *routes = ms_routes_new();
    enum ms_err err = ms_routes_add_pools(routes, conf, error);

    if (err == MS_OK && conf->worker_handlers_dir != NULL)
        err = ms_plugins_probe(conf->worker_handlers_dir, routes, error);
    if (err == MS_OK)
        *out_routes = routes;
    else
        ms_routes_free(routes);
    return err;
}

enum ms_err ms_worker_check_handlers(const struct ms_conf *conf,
                                     struct ms_error *error)
{
    struct ms_routes *routes = NULL;
    enum ms_err err = make_routes(conf, &routes, error);

    ms_routes_free(routes);
    return err;
}

enum ms_err ms_worker_new(struct ev_loop *loop, const struct ms_conf *conf,
                          const char *conf_path, struct ms_worker **out_worker,
                          struct ms_error *error)
{
    struct ms_worker *w = ms_xcalloc(1, sizeof(*w));
    enum ms_err err;

    w->loop = loop;
    w->conf = conf;
    ev_init(&w->grace, on_grace);
    w->grace.data = w;
    ms_ulid_new(w->id);
    snprintf(w->client_name, sizeof(w->client_name), "%s%s",
             MS_POD_CLIENT_PREFIX, w->id);
    err = make_routes(conf, &w->routes, error);
    if (err == MS_OK)
        err = make_connections(w, error);
    if (err != MS_OK)
        goto out;
    make_parts(w, conf_path);
    if (strcmp(conf->worker_http, "off") != 0) {
        err = ms_http_new(loop, conf->worker_http, on_http, w, &w->http, error);
        if (err == MS_OK)
            err = ms_http_load_tokens(w->http, conf->http_token_file,
                                      conf->http_readonly_token_file, error);
        if (err != MS_OK)
            goto out;
        ms_pod_set_http(w->pod, ms_http_address(w->http));
    }
    *out_worker = w;
    w = NULL; /* it is the caller's now */
out:
    ms_worker_free(w);
    return err;
}

void ms_worker_free(struct ms_worker *w)
{
    if (w == NULL)
        return;
    ev_timer_stop(w->loop, &w->grace);
    ms_http_free(w->http);
    ms_wake_free(w->wake);
    ms_seed_free(w->seed);
    ms_slots_free(w->slots);
    ms_routes_free(w->routes);
    for (size_t i = 0; i < w->n_stations; i++)
        ms_station_free(w->stations[i]);
    free(w->stations);
    ms_pod_free(w->pod);
    ms_redis_free(w->redis);
    free(w);
}

void ms_worker_start(struct ms_worker *w)
{
    ms_log(MS_INFO, "worker", "starting", "pod=%s fleet=%s http=%s", w->id,
           w->conf->fleet, w->http == NULL ? "off" : ms_http_address(w->http));
    ms_redis_start(w->redis);
}

enum ms_err ms_worker_outcome(const struct ms_worker *w, struct ms_error *error)
{
    if (w->outcome != MS_OK)
        ms_error_set(error, w->outcome, "%s", w->why.text);
    return w->outcome;
}

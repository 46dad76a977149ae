#include "ctl/dev.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "ctl/daemon.h"
#include "ctl/dev_files.h"
#include "ctl/view.h"

#define START_TIMEOUT_MS 60000 /* a large append-only file loads slowly */
#define TICK_MS          50
#define WORKER_STOP_MS   40000 /* their grace, and some */
#define STOP_MS          20000

struct dev {
    struct ms_ctl *ctl;
    const struct ms_dev_options *options;
    struct ev_loop *loop;
    ev_signal sigint, sigterm;
    bool stopping;
    char *dir, *config, *url;
    char *http; /* the leader's URL, once known */
    int lock_fd;
    struct ms_daemon redis, coordinator;
    struct ms_daemon *workers;
    bool *mourned; /* a worker: its end was told */
    bool coordinator_mourned;
    struct ms_error *error;
};

/* ---- waiting ---- */

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct dev *dev = watcher->data;

    dev->stopping = true;
    ev_break(loop, EVBREAK_ONE);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    ev_break(loop, EVBREAK_ONE);
}

/* Runs the loop for at most so long; signals and ended children return
 * early. */
static void dev_sleep(struct dev *dev, int ms)
{
    ev_timer timer;

    ev_timer_init(&timer, on_tick, ms / 1000.0, 0);
    ev_now_update(dev->loop);
    ev_timer_start(dev->loop, &timer);
    ev_run(dev->loop, 0);
    ev_timer_stop(dev->loop, &timer);
}

/* ---- starting ---- */

/* The environment of daemons: ours, with what `extra` says in front. */
static const char **environment_make(const char *const *extra, size_t n_extra)
{
    size_t n = 0;
    const char **all;

    while (environ[n] != NULL)
        n++;
    all = ms_xcalloc(n + n_extra + 1, sizeof(*all));
    memcpy(all, extra, n_extra * sizeof(*all));
    n = n_extra;
    for (char **at = environ; *at != NULL; at++) {
        bool hidden = false;

        for (size_t i = 0; i < n_extra; i++)
            hidden |= strncmp(*at, extra[i], strcspn(extra[i], "=") + 1) == 0;
        if (!hidden)
            all[n++] = *at;
    }
    return all;
}

static enum ms_err redis_start(struct dev *dev)
{
    int port =
        dev->options->port != 0 ? (int)dev->options->port : ms_dev_free_port();
    char *log = ms_xasprintf("%s/redis.log", dev->dir);
    char *port_text = ms_xasprintf("%d", port);
    const char *argv[] = {"redis-server",
                          "--port",
                          port_text,
                          "--bind",
                          "127.0.0.1",
                          "--dir",
                          dev->dir,
                          "--appendonly",
                          "yes",
                          "--save",
                          "",
                          "--maxmemory-policy",
                          "noeviction",
                          "--hash-max-listpack-value",
                          "1024",
                          "--daemonize",
                          "no",
                          NULL};
    enum ms_err err =
        ms_daemon_start(&dev->redis, dev->loop, "redis-server", log, argv,
                        (const char *const *)environ, SIGTERM, dev->error);

    dev->url = ms_xasprintf("redis://127.0.0.1:%d", port);
    free(port_text);
    free(log);
    return err;
}

/* Starts one of our daemons with the fleet's configuration. */
static enum ms_err daemon_start(struct dev *dev, struct ms_daemon *child,
                                const char *program, const char *name)
{
    char *path = ms_dev_program(program);
    char *log = ms_xasprintf("%s/%s.log", dev->dir, name);
    const char *argv[] = {
        path,     "--config", dev->config,           "--redis",
        dev->url, "--fleet",  dev->ctl->conf->fleet, NULL};
    struct ms_buf queues = MS_BUF_INIT;
    const char *extra[] = {"MUSTER_WORKER__HTTP=127.0.0.1:0",
                           "MUSTER_COORDINATOR__HTTP=127.0.0.1:0", NULL};
    const char **environment;
    enum ms_err err;

    ms_buf_adds(&queues, "MUSTER_QUEUES=");
    for (size_t i = 0; dev->options->queues[i] != NULL; i++)
        ms_buf_addf(&queues, "%s%s", i > 0 ? "," : "", dev->options->queues[i]);
    ms_buf_str(&queues);
    extra[2] = queues.data;
    environment = environment_make(extra, MS_COUNT_OF(extra));
    err = ms_daemon_start(child, dev->loop, name, log, argv, environment,
                          SIGKILL, dev->error);
    free(environment);
    ms_buf_done(&queues);
    free(log);
    free(path);
    return err;
}

static enum ms_err fleet_start(struct dev *dev)
{
    enum ms_err err = daemon_start(dev, &dev->coordinator, "muster-coordinator",
                                   "coordinator");

    for (int64_t i = 0; i < dev->options->n_workers && err == MS_OK; i++) {
        char name[32];

        snprintf(name, sizeof(name), "worker-%lld", (long long)i + 1);
        err = daemon_start(dev, &dev->workers[i], "muster-worker", name);
    }
    return err;
}

/* ---- what must not end while starting ---- */

static enum ms_err ended_error(struct dev *dev, const struct ms_daemon *child)
{
    char how[64];
    char *tail = ms_dev_tail(child->log, 4);

    ms_error_set(dev->error, MS_ECRASHED, "%s %s (%s):\n%.300s", child->name,
                 ms_daemon_end(child, how, sizeof(how)), child->log, tail);
    free(tail);
    return MS_ECRASHED;
}

static bool has_ended(const struct ms_daemon *child)
{
    return child->pid != 0 && !child->running;
}

static enum ms_err children_check(struct dev *dev)
{
    if (has_ended(&dev->redis))
        return ended_error(dev, &dev->redis);
    if (has_ended(&dev->coordinator))
        return ended_error(dev, &dev->coordinator);
    for (int64_t i = 0; i < dev->options->n_workers; i++)
        if (has_ended(&dev->workers[i]))
            return ended_error(dev, &dev->workers[i]);
    return MS_OK;
}

/* Redis refuses connections at first, and then loads its data. */
static enum ms_err redis_wait(struct dev *dev)
{
    int64_t end = ms_clock_mono_ms() + START_TIMEOUT_MS;
    struct ms_error why = {""};

    free(dev->ctl->conf->redis_url);
    dev->ctl->conf->redis_url = ms_xstrdup(dev->url);
    while (!dev->stopping && ms_clock_mono_ms() < end) {
        enum ms_err err = children_check(dev);

        if (err != MS_OK)
            return err;
        if (dev->ctl->client == NULL &&
            ms_client_open(dev->ctl->conf, &dev->ctl->client, &why) != MS_OK)
            dev->ctl->client = NULL;
        if (dev->ctl->client != NULL) {
            err = ms_client_check_schema(dev->ctl->client, true, &why);
            if (err == MS_OK)
                return MS_OK;
            if (err == MS_ESCHEMA)
                return ms_error_set(dev->error, err, "%s", why.text);
        }
        dev_sleep(dev, TICK_MS);
    }
    return dev->stopping
               ? MS_OK
               : ms_error_set(dev->error, MS_ETIMEOUT,
                              "Redis does not come up: %.300s", why.text);
}

/* ---- is the fleet there? ---- */

/* Records of an earlier run may still be in Redis, so leader and pods count
 * only with the pid of one of our children. */
static bool leader_is_ours(struct dev *dev, const struct ms_val *leader)
{
    if (leader->root.type != MSGPACK_OBJECT_MAP ||
        ms_val_int(&leader->root, "pid", 0) != dev->coordinator.pid)
        return false;
    free(dev->http);
    dev->http = ms_val_strdup(&leader->root, "url");
    return true;
}

static bool pods_are_ours(struct dev *dev, const struct ms_val *pods)
{
    int64_t found = 0;

    for (int64_t i = 0; i < dev->options->n_workers; i++)
        for (uint32_t j = 0; j < pods->root.via.array.size; j++)
            found += ms_val_int(&pods->root.via.array.ptr[j], "pid", 0) ==
                     dev->workers[i].pid;
    return found >= dev->options->n_workers;
}

static bool fleet_is_up(struct dev *dev)
{
    struct ms_buf leader_text = MS_BUF_INIT, pods_text = MS_BUF_INIT;
    struct ms_json leader_json = ms_json_on(&leader_text);
    struct ms_json pods_json = ms_json_on(&pods_text);
    struct ms_val leader = {0}, pods = {0};
    struct ms_error why;
    bool up = false;

    ms_json_open(&pods_json, '[');
    if (ms_view_leader(dev->ctl->client, &leader_json, &why) == MS_OK &&
        ms_view_pods(dev->ctl->client, NULL, &pods_json, &why) == MS_OK) {
        ms_json_close(&pods_json);
        up = ms_val_from_json(leader_text.data, leader_text.len, &leader,
                              NULL) == MS_OK &&
             ms_val_from_json(pods_text.data, pods_text.len, &pods, NULL) ==
                 MS_OK &&
             leader_is_ours(dev, &leader) && pods_are_ours(dev, &pods);
    }
    ms_val_done(&leader);
    ms_val_done(&pods);
    ms_buf_done(&leader_text);
    ms_buf_done(&pods_text);
    return up;
}

static enum ms_err fleet_wait(struct dev *dev)
{
    int64_t end = ms_clock_mono_ms() + START_TIMEOUT_MS;

    while (!dev->stopping) {
        enum ms_err err = children_check(dev);

        if (err != MS_OK)
            return err;
        if (fleet_is_up(dev))
            return MS_OK;
        if (ms_clock_mono_ms() > end)
            return ms_error_set(dev->error, MS_ETIMEOUT,
                                "the fleet does not come up; look into '%s'",
                                dev->dir);
        dev_sleep(dev, TICK_MS);
    }
    return MS_OK;
}

static enum ms_err ready_tell(struct dev *dev)
{
    int64_t n = dev->options->n_workers;
    pid_t *pids = ms_xcalloc((size_t)n + 1, sizeof(*pids));
    struct ms_dev_facts facts = {.redis = dev->url,
                                 .http = dev->http,
                                 .redis_pid = dev->redis.pid,
                                 .coordinator_pid = dev->coordinator.pid,
                                 .worker_pids = pids,
                                 .n_workers = (size_t)n};
    enum ms_err err;

    for (int64_t i = 0; i < n; i++)
        pids[i] = dev->workers[i].pid;
    err = ms_dev_write_json(dev->dir, &facts, dev->error);
    if (err == MS_OK) {
        printf("ready redis=%s http=%s\n", dev->url,
               dev->http != NULL ? dev->http : "");
        fflush(stdout);
    }
    free(pids);
    return err;
}

/* ---- running ---- */

static void mourn(const struct ms_daemon *child, bool *told)
{
    char how[64];

    if (!has_ended(child) || *told)
        return;
    *told = true;
    ms_ctl_warn("%s (pid %d) %s; it is not started again", child->name,
                (int)child->pid, ms_daemon_end(child, how, sizeof(how)));
}

static enum ms_err dev_watch(struct dev *dev)
{
    while (!dev->stopping) {
        if (has_ended(&dev->redis))
            return ended_error(dev, &dev->redis);
        mourn(&dev->coordinator, &dev->coordinator_mourned);
        for (int64_t i = 0; i < dev->options->n_workers; i++)
            mourn(&dev->workers[i], &dev->mourned[i]);
        dev_sleep(dev, 60000);
    }
    return MS_OK;
}

/* ---- stopping ---- */

/* TERM, and KILL to those that are still there after `ms`. */
static void children_stop(struct dev *dev, struct ms_daemon *children,
                          int64_t n, int64_t ms)
{
    int64_t end = ms_clock_mono_ms() + ms;
    bool killed = false;

    for (int64_t i = 0; i < n; i++)
        ms_daemon_signal(&children[i], SIGTERM);
    for (;;) {
        int64_t left = 0;

        for (int64_t i = 0; i < n; i++)
            left += children[i].running;
        if (left == 0)
            return;
        for (int64_t i = 0; i < n && ms_clock_mono_ms() > end && !killed; i++)
            ms_daemon_signal(&children[i], SIGKILL);
        killed = ms_clock_mono_ms() > end;
        dev_sleep(dev, 100);
    }
}

/* Redis last: what the others hand back must still reach it.  Its own TERM
 * writes everything to the append-only file. */
static void dev_stop(struct dev *dev)
{
    children_stop(dev, dev->workers, dev->options->n_workers, WORKER_STOP_MS);
    children_stop(dev, &dev->coordinator, 1, STOP_MS);
    ms_client_close(dev->ctl->client);
    dev->ctl->client = NULL;
    children_stop(dev, &dev->redis, 1, STOP_MS);
    if (dev->dir != NULL)
        ms_dev_remove_json(dev->dir);
}

static void dev_done(struct dev *dev)
{
    ms_daemon_done(&dev->redis);
    ms_daemon_done(&dev->coordinator);
    for (int64_t i = 0; i < dev->options->n_workers; i++)
        ms_daemon_done(&dev->workers[i]);
    ev_signal_stop(dev->loop, &dev->sigint);
    ev_signal_stop(dev->loop, &dev->sigterm);
    free(dev->workers);
    free(dev->mourned);
    free(dev->dir);
    free(dev->config);
    free(dev->url);
    free(dev->http);
    if (dev->lock_fd >= 0)
        close(dev->lock_fd);
}

static void dev_init(struct dev *dev)
{
    dev->loop = ev_default_loop(0);
    dev->lock_fd = -1;
    dev->workers =
        ms_xcalloc((size_t)dev->options->n_workers + 1, sizeof(*dev->workers));
    dev->mourned =
        ms_xcalloc((size_t)dev->options->n_workers + 1, sizeof(bool));
    ev_signal_init(&dev->sigint, on_signal, SIGINT);
    ev_signal_init(&dev->sigterm, on_signal, SIGTERM);
    dev->sigint.data = dev;
    dev->sigterm.data = dev;
    ev_signal_start(dev->loop, &dev->sigint);
    ev_signal_start(dev->loop, &dev->sigterm);
}

/* The configuration of the daemons: the user's, or one that we write. */
static enum ms_err config_make(struct dev *dev)
{
    const char *given = dev->ctl->line->config != NULL
                            ? dev->ctl->line->config
                            : getenv("MUSTER_CONFIG");

    if (given == NULL)
        return ms_dev_write_conf(dev->dir, dev->ctl->conf->fleet,
                                 dev->options->queues, &dev->config,
                                 dev->error);
    dev->config = ms_xstrdup(given);
    return MS_OK;
}

enum ms_err ms_dev_run(struct ms_ctl *ctl, const struct ms_dev_options *options,
                       struct ms_error *error)
{
    struct dev dev = {.ctl = ctl, .options = options, .error = error};
    enum ms_err err;

    dev_init(&dev);
    err = ms_dev_folder(options->dir, &dev.dir, &dev.lock_fd, error);
    if (err == MS_OK) {
        ms_dev_remove_json(dev.dir);
        err = config_make(&dev);
    }
    if (err == MS_OK)
        err = redis_start(&dev);
    if (err == MS_OK)
        err = redis_wait(&dev);
    if (err == MS_OK && !dev.stopping)
        err = fleet_start(&dev);
    if (err == MS_OK && !dev.stopping)
        err = fleet_wait(&dev);
    if (err == MS_OK && !dev.stopping)
        err = ready_tell(&dev);
    if (err == MS_OK)
        err = dev_watch(&dev);
    dev_stop(&dev);
    dev_done(&dev);
    return err;
}

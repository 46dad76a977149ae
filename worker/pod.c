#include "worker/pod.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fleet.h"
#include "common/log.h"
#include "common/mem.h"
#include "muster_version.h"

#define GONE_AFTER_BEATS 6

struct ms_pod {
    struct ev_loop *loop;
    struct ms_pod_options options;
    const struct ms_slots *slots;
    const char *http;
    char *label, *queues; /* queues joined by commas */
    char host[256];
    size_t n_queues;
    bool draining, again;
    int64_t started_ms; /* this host's clock; only shown */
    struct ms_request *beat, *leave;
    void (*left)(void *arg);
    void *left_arg;
    ev_timer timer;
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    ms_pod_beat(timer->data);
}

static char *join(char *const *words, size_t *out_n)
{
    struct ms_buf text = MS_BUF_INIT;
    size_t n = 0;
    char *joined;

    for (; words[n] != NULL; n++)
        ms_buf_addf(&text, "%s%s", n > 0 ? "," : "", words[n]);
    joined = ms_xstrdup(ms_buf_str(&text));
    ms_buf_done(&text);
    *out_n = n;
    return joined;
}

struct ms_pod *ms_pod_new(struct ev_loop *loop,
                          const struct ms_pod_options *options)
{
    struct ms_pod *pod = ms_xcalloc(1, sizeof(*pod));

    pod->loop = loop;
    pod->options = *options;
    pod->http = "";
    pod->label = ms_conf_worker_label(options->conf, options->id);
    pod->queues = join(options->conf->worker_queues, &pod->n_queues);
    if (gethostname(pod->host, sizeof(pod->host) - 1) != 0)
        snprintf(pod->host, sizeof(pod->host), "?");
    pod->started_ms = ms_clock_wall_ms();
    ev_init(&pod->timer, on_timer);
    pod->timer.data = pod;
    pod->timer.repeat = (double)options->conf->worker_heartbeat_ms / 1000.;
    return pod;
}

void ms_pod_free(struct ms_pod *pod)
{
    if (pod == NULL)
        return;
    ev_timer_stop(pod->loop, &pod->timer);
    if (pod->beat != NULL)
        ms_redis_cancel(pod->beat);
    if (pod->leave != NULL)
        ms_redis_cancel(pod->leave);
    free(pod->label);
    free(pod->queues);
    free(pod);
}

void ms_pod_set_slots(struct ms_pod *pod, const struct ms_slots *slots)
{
    pod->slots = slots;
}

void ms_pod_set_http(struct ms_pod *pod, const char *address)
{
    pod->http = address;
}

void ms_pod_set_draining(struct ms_pod *pod)
{
    pod->draining = true;
    ms_pod_beat(pod);
}

const char *ms_pod_label(const struct ms_pod *pod)
{
    return pod->label == NULL ? pod->options.id : pod->label;
}

void ms_pod_start(struct ms_pod *pod)
{
    ev_timer_again(pod->loop, &pod->timer);
    ms_pod_beat(pod);
}

/* ---- beat ---- */

static void on_share(size_t queue, int64_t assigned, int64_t pods, void *arg)
{
    struct ms_pod *pod = arg;

    pod->options.share(queue, assigned, pods, pod->options.arg);
}

static void on_beaten(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_pod *pod = arg;
    struct ms_error error = {""};
    int64_t now_ms;
    char text[256];

    pod->beat = NULL;
    if (err == MS_OK)
        err =
            ms_beat_parse(reply, pod->n_queues, on_share, pod, &now_ms, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err != MS_OK && err != MS_EDOWN)
        ms_log(MS_WARN, "pod", "beat_failed", "err=%s why=%s", ms_err_name(err),
               ms_log_quote(error.text, text, sizeof(text)));
    if (pod->again) {
        pod->again = false;
        ms_pod_beat(pod);
    }
}

static void format_numbers(const struct ms_pod *pod, char (*out)[24])
{
    snprintf(out[0], 24, "%d", (int)getpid());
    snprintf(out[1], 24, "%lld",
             (long long)pod->options.conf->worker_concurrency);
    snprintf(out[2], 24, "%d", ms_slots_busy(pod->slots));
    snprintf(out[3], 24, "%lld", (long long)pod->started_ms);
}

void ms_pod_beat(struct ms_pod *pod)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_buf slots = MS_BUF_INIT;
    char numbers[4][24];

    if (pod->beat != NULL) {
        pod->again = true;
        return;
    }
    if (!ms_redis_is_up(pod->options.redis) || pod->slots == NULL)
        return;
    format_numbers(pod, numbers);
    ms_slots_describe(pod->slots, &slots);
    const char *const fields[] = {
        "label",       ms_pod_label(pod),
        "host",        pod->host,
        "pid",         numbers[0],
        "version",     MUSTER_VERSION,
        "queues",      pod->queues,
        "concurrency", numbers[1],
        "busy",        numbers[2],
        "started_ms",  numbers[3],
        "slots",       ms_buf_str(&slots),
        "http",        pod->http,
        "draining",    pod->draining ? "1" : "0",
        "kinds",       ms_slots_kinds(pod->slots),
    };
    const struct ms_beat beat = {
        .fleet = pod->options.conf->fleet,
        .pod = pod->options.id,
        .queues = (const char *const *)pod->options.conf->worker_queues,
        .fields = fields,
        .n_fields = MS_COUNT_OF(fields) / 2,
        .gone_after_ms =
            GONE_AFTER_BEATS * pod->options.conf->worker_heartbeat_ms,
    };

    ms_beat_build(&cmd, &beat);
    ms_buf_done(&slots);
    pod->beat = ms_redis_send(pod->options.redis, &cmd, 0, on_beaten, pod);
}

/* ---- leave ---- */

static void on_left(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_pod *pod = arg;

    pod->leave = NULL;
    if (err != MS_OK)
        ms_log(MS_WARN, "pod", "leave_failed", "err=%s", ms_err_name(err));
    pod->left(pod->left_arg);
}

void ms_pod_leave(struct ms_pod *pod, void (*done)(void *arg), void *arg)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ev_timer_stop(pod->loop, &pod->timer);
    if (pod->beat != NULL)
        ms_redis_cancel(pod->beat);
    pod->beat = NULL;
    pod->left = done;
    pod->left_arg = arg;
    ms_leave_build(&cmd, pod->options.conf->fleet, pod->options.id,
                   (const char *const *)pod->options.conf->worker_queues);
    pod->leave = ms_redis_send(pod->options.redis, &cmd, 2000, on_left, pod);
}

/* metrics: counts and times a minute, and totals */
#include <stdio.h>
#include <stdlib.h>

#include "common/keys.h"
#include "common/name.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/metrics.h"
#include "ctl/view.h"

#define LAST_MS 3600000

#define COUNTS                                                                \
    {"enqueued", "ENQUEUED", MS_SHOW_PLAIN}, {"done", "DONE", MS_SHOW_PLAIN}, \
        {"failed", "FAILED", MS_SHOW_PLAIN}, {"dead", "DEAD", MS_SHOW_PLAIN}, \
        {"throttled", "THROTTLED", MS_SHOW_PLAIN},                            \
        {"crashed", "CRASHED", MS_SHOW_PLAIN},                                \
        {"ready", "READY", MS_SHOW_PLAIN},                                    \
    {                                                                         \
        "running", "RUNNING", MS_SHOW_PLAIN                                   \
    }
#define TIMES                                        \
    {"pickup_p50_us", "PICKUP P50", MS_SHOW_MICROS}, \
        {"pickup_p99_us", "P99", MS_SHOW_MICROS},    \
        {"run_p50_us", "RUN P50", MS_SHOW_MICROS},   \
    {                                                \
        "run_p99_us", "P99", MS_SHOW_MICROS          \
    }

static const struct ms_column queue_columns[] = {
    {"name", "QUEUE", MS_SHOW_PLAIN},
    COUNTS,
    TIMES,
    {NULL, NULL, MS_SHOW_PLAIN},
};
static const struct ms_column minute_columns[] = {
    {"at_ms", "MINUTE", MS_SHOW_TIME},
    COUNTS,
    TIMES,
    {NULL, NULL, MS_SHOW_PLAIN},
};

/* Minutes since the epoch, both included. */
struct span {
    int64_t from, to;
};

static enum ms_err span_read(struct ms_ctl *ctl, int64_t last_ms,
                             struct span *out, struct ms_error *error)
{
    int64_t now_ms;
    enum ms_err err = ms_client_now(ctl->client, &now_ms, error);

    if (err != MS_OK)
        return err;
    out->to = now_ms / 60000;
    out->from = (now_ms - last_ms) / 60000;
    return MS_OK;
}

static enum ms_err queue_write(struct ms_ctl *ctl, const char *queue,
                               const struct span *span, struct ms_json *json,
                               struct ms_error *error)
{
    struct ms_metrics metrics = {0};
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *stats = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err = ms_metrics_read(ctl->client, queue, span->from, span->to,
                                      &metrics, error);

    if (err != MS_OK)
        return err;
    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_queue(key, ms_client_fleet(ctl->client), queue,
                              "stats"),
                 NULL);
    err = ms_client_ask(ctl->client, &cmd, &stats, error);
    if (err == MS_OK)
        ms_metrics_to_json(&metrics, queue, stats, json);
    ms_reply_free(stats);
    ms_metrics_done(&metrics);
    return err;
}

static enum ms_err names_read(struct ms_ctl *ctl, const char *queue,
                              struct ms_names *names, struct ms_error *error)
{
    struct ms_names all = {0};
    enum ms_err err = ms_view_queue_names(ctl->client, &all, error);

    if (err == MS_OK && queue != NULL && !ms_names_has(&all, queue))
        err = ms_error_set(error, MS_ENOENT, "no queue '%s'", queue);
    if (err == MS_OK)
        *names = all;
    else
        ms_names_done(&all);
    return err;
}

/* The document; with `queue` of that one alone. */
static enum ms_err doc_write(struct ms_ctl *ctl, const char *queue,
                             int64_t last_ms, struct ms_json *json,
                             struct ms_error *error)
{
    struct ms_names names = {0};
    struct span span = {0};
    enum ms_err err = names_read(ctl, queue, &names, error);

    if (err == MS_OK)
        err = span_read(ctl, last_ms, &span, error);
    if (err == MS_OK) {
        ms_json_open(json, '{');
        ms_json_key(json, "from_ms");
        ms_json_int(json, span.from * 60000);
        ms_json_key(json, "to_ms");
        ms_json_int(json, span.to * 60000);
        ms_json_key(json, "queues");
        ms_json_open(json, '[');
    }
    if (err == MS_OK && queue != NULL)
        err = queue_write(ctl, queue, &span, json, error);
    for (size_t i = 0; i < names.n && err == MS_OK && queue == NULL; i++)
        err = queue_write(ctl, names.items[i], &span, json, error);
    if (err == MS_OK) {
        ms_json_close(json);
        ms_json_close(json);
    }
    ms_names_done(&names);
    return err;
}

/* One queue: its minutes and totals.  All: a row each, over the whole time. */
static void doc_tell(const msgpack_object *doc, bool one)
{
    const msgpack_object *queues = ms_val_get(doc, "queues");
    struct ms_buf out = MS_BUF_INIT;

    if (one) {
        const msgpack_object *queue = &queues->via.array.ptr[0];

        ms_output_table(minute_columns, ms_val_get(queue, "minutes"), &out);
        ms_buf_adds(&out, "\ntotals since ever\n");
        ms_output_pairs(ms_val_get(queue, "totals"), &out);
    } else {
        ms_output_table(queue_columns, queues, &out);
        ms_buf_adds(&out, "(times: those of the worst minute; --queue shows "
                          "each minute)\n");
    }
    fputs(ms_buf_str(&out), stdout);
    ms_buf_done(&out);
}

static enum ms_err doc_print(struct ms_ctl *ctl, const char *queue,
                             int64_t last_ms, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_val val = {0};
    enum ms_err err = doc_write(ctl, queue, last_ms, &json, error);

    if (err == MS_OK && ctl->line->json)
        ms_ctl_print(ctl, &out, NULL);
    else if (err == MS_OK)
        err = ms_val_from_json(out.data, out.len, &val, error);
    if (err == MS_OK && !ctl->line->json)
        doc_tell(&val.root, queue != NULL);
    ms_val_done(&val);
    ms_buf_done(&out);
    return err;
}

static enum ms_err metrics(struct ms_ctl *ctl, struct ms_error *error)
{
    const char *queue = ms_cli_get(ctl->line, "queue");
    int64_t last_ms = LAST_MS;
    enum ms_err err = ms_cli_duration(ctl->line, "last", &last_ms, error);

    if (err == MS_OK && (last_ms < 60000 || last_ms > MS_METRICS_LAST_MAX_MS))
        err = ms_error_set(error, MS_EINVAL, "--last: from 1m to 30d");
    if (err == MS_OK && queue != NULL)
        err = ms_name_check("queue", queue, error);
    if (err == MS_OK)
        err = ms_ctl_connect(ctl, false, error);
    return err == MS_OK ? doc_print(ctl, queue, last_ms, error) : err;
}

static const struct ms_option metrics_options[] = {
    {"queue", "QUEUE", "this queue alone, minute by minute"},
    {"last", "TIME", "how far back (1h), at most 30d"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_metrics[] = {
    {"metrics", NULL, "", 0, 0, "counts and times a minute, and totals",
     metrics_options, metrics},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

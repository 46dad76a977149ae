#include "ctl/metrics.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"

#define HOURS 48 /* asked for together */

/* ---- reading ---- */

void ms_metrics_add(struct ms_metrics *metrics,
                    const struct ms_minute_line *line)
{
    metrics->lines =
        ms_xrealloc(metrics->lines, (metrics->n + 1) * sizeof(*metrics->lines));
    metrics->lines[metrics->n++] = *line;
}

void ms_metrics_done(struct ms_metrics *metrics)
{
    free(metrics->lines);
    *metrics = (struct ms_metrics){0};
}

static int compare_lines(const void *a, const void *b)
{
    int64_t x = ((const struct ms_minute_line *)a)->minute;
    int64_t y = ((const struct ms_minute_line *)b)->minute;

    return (x > y) - (x < y);
}

static void worst(int64_t *into, int64_t value)
{
    if (value > *into)
        *into = value;
}

static void worst_times(struct ms_minute_times *into,
                        const struct ms_minute_times *times)
{
    worst(&into->p50_us, times->p50_us);
    worst(&into->p95_us, times->p95_us);
    worst(&into->p99_us, times->p99_us);
}

static void sum_add(struct ms_minute_line *sum,
                    const struct ms_minute_line *line)
{
    sum->minute = line->minute;
    sum->done += line->done;
    sum->failed += line->failed;
    sum->dead += line->dead;
    sum->throttled += line->throttled;
    sum->cancelled += line->cancelled;
    sum->released += line->released;
    sum->crashed += line->crashed;
    sum->enqueued += line->enqueued;
    sum->ready = line->ready;
    sum->running = line->running;
    worst_times(&sum->waited, &line->waited);
    worst_times(&sum->ran, &line->ran);
}

void ms_metrics_close(struct ms_metrics *metrics)
{
    if (metrics->n > 1)
        qsort(metrics->lines, metrics->n, sizeof(*metrics->lines),
              compare_lines);
    metrics->sum = (struct ms_minute_line){0};
    for (size_t i = 0; i < metrics->n; i++)
        sum_add(&metrics->sum, &metrics->lines[i]);
}

static void hour_read(const struct ms_reply *pairs, int64_t from, int64_t to,
                      struct ms_metrics *out)
{
    for (size_t i = 0; i + 1 < pairs->n_items; i += 2) {
        struct ms_minute_line line;

        if (ms_minute_line_parse(ms_reply_str(ms_reply_at(pairs, i), ""),
                                 ms_reply_str(ms_reply_at(pairs, i + 1), ""),
                                 &line) &&
            line.minute >= from && line.minute <= to)
            ms_metrics_add(out, &line);
    }
}

static enum ms_err hours_read(struct ms_client *client, const char *queue,
                              int64_t hour, size_t n, int64_t from, int64_t to,
                              struct ms_metrics *out, struct ms_error *error)
{
    struct ms_cmd cmds[HOURS] = {MS_CMD_INIT};
    struct ms_reply *replies[HOURS] = {NULL};
    enum ms_err err;

    for (size_t i = 0; i < n; i++)
        ms_minute_lines_build(&cmds[i], ms_client_fleet(client), queue,
                              hour + (int64_t)i);
    err = ms_client_ask_all(client, cmds, n, replies, error);
    for (size_t i = 0; i < n && err == MS_OK; i++)
        hour_read(replies[i], from, to, out);
    ms_client_free_all(replies, n);
    return err;
}

enum ms_err ms_metrics_read(struct ms_client *client, const char *queue,
                            int64_t from, int64_t to,
                            struct ms_metrics *out_metrics,
                            struct ms_error *error)
{
    struct ms_metrics metrics = {0};
    int64_t last = to / 60;
    enum ms_err err = MS_OK;

    for (int64_t hour = from / 60; hour <= last && err == MS_OK;
         hour += HOURS) {
        int64_t left = last - hour + 1;

        err = hours_read(client, queue, hour,
                         (size_t)(left < HOURS ? left : HOURS), from, to,
                         &metrics, error);
    }
    if (err != MS_OK) {
        ms_metrics_done(&metrics);
        return err;
    }
    ms_metrics_close(&metrics);
    *out_metrics = metrics;
    return MS_OK;
}

/* ---- JSON ---- */

static void key_int(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    ms_json_int(json, value);
}

static void line_fields(const struct ms_minute_line *line, struct ms_json *json)
{
    key_int(json, "enqueued", line->enqueued);
    key_int(json, "done", line->done);
    key_int(json, "failed", line->failed);
    key_int(json, "dead", line->dead);
    key_int(json, "throttled", line->throttled);
    key_int(json, "cancelled", line->cancelled);
    key_int(json, "released", line->released);
    key_int(json, "crashed", line->crashed);
    key_int(json, "ready", line->ready);
    key_int(json, "running", line->running);
    key_int(json, "pickup_p50_us", line->waited.p50_us);
    key_int(json, "pickup_p95_us", line->waited.p95_us);
    key_int(json, "pickup_p99_us", line->waited.p99_us);
    key_int(json, "run_p50_us", line->ran.p50_us);
    key_int(json, "run_p95_us", line->ran.p95_us);
    key_int(json, "run_p99_us", line->ran.p99_us);
}

static void totals_write(const struct ms_reply *stats, struct ms_json *json)
{
    static const char *const names[] = {
        "enqueued",      "deduplicated",  "done",      "failed",
        "dead",          "throttled",     "cancelled", "crashed",
        "released",      "reclaimed",     "stale",     "dropped",
        "retained_done", "retained_dead", "replaced"};

    ms_json_key(json, "totals");
    ms_json_open(json, '{');
    for (size_t i = 0; i < MS_COUNT_OF(names); i++)
        key_int(json, names[i],
                ms_reply_int(ms_reply_field(stats, names[i]), 0));
    ms_json_close(json);
}

void ms_metrics_to_json(const struct ms_metrics *metrics, const char *queue,
                        const struct ms_reply *stats, struct ms_json *json)
{
    ms_json_open(json, '{');
    ms_json_key(json, "name");
    ms_json_str(json, queue);
    line_fields(&metrics->sum, json);
    totals_write(stats, json);
    ms_json_key(json, "minutes");
    ms_json_open(json, '[');
    for (size_t i = 0; i < metrics->n; i++) {
        ms_json_open(json, '{');
        key_int(json, "at_ms", metrics->lines[i].minute * 60000);
        line_fields(&metrics->lines[i], json);
        ms_json_close(json);
    }
    ms_json_close(json);
    ms_json_close(json);
}

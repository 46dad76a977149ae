#include "ctl/schedules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cron.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/zone.h"
#include "ctl/view.h"

#define PAGE 100

/* ---- reading ---- */

static void read_build(struct ms_client *client, const char *name,
                       struct ms_cmd *cmd)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HGETALL",
                 ms_key_fleet(key, ms_client_fleet(client), "cron:%s", name),
                 NULL);
}

enum ms_err ms_schedules_read(struct ms_client *client, const char *name,
                              struct ms_schedule *out_schedule,
                              struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    read_build(client, name, &cmd);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_schedule_parse(name, reply, out_schedule, error);
    ms_reply_free(reply);
    return err;
}

/* ---- writing ---- */

static void text(struct ms_json *json, const char *key, const char *value)
{
    ms_json_key(json, key);
    ms_json_str(json, value);
}

static void number(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    ms_json_int(json, value);
}

static void time_or_null(struct ms_json *json, const char *key, int64_t ms)
{
    ms_json_key(json, key);
    if (ms != 0)
        ms_json_int(json, ms);
    else
        ms_json_null(json);
}

static void pending_write(const struct ms_schedule *s, struct ms_json *json)
{
    ms_json_key(json, "pending");
    if (s->pending_id == NULL) {
        ms_json_null(json);
        return;
    }
    ms_json_open(json, '{');
    text(json, "id", s->pending_id);
    text(json, "queue", s->pending_queue);
    time_or_null(json, "slot_ms", s->pending_slot_ms);
    ms_json_close(json);
}

void ms_schedules_write(const struct ms_schedule *s, struct ms_json *json)
{
    text(json, "name", s->def.name);
    text(json, "cron", s->def.cron);
    text(json, "tz", s->def.tz);
    text(json, "kind", s->def.kind);
    text(json, "queue", s->def.queue);
    ms_json_key(json, "payload");
    ms_json_raw(json, s->def.payload, strlen(s->def.payload));
    text(json, "misfire", s->def.misfire);
    text(json, "overlap", s->def.overlap);
    ms_json_key(json, "enabled");
    ms_json_bool(json, s->def.enabled == 1);
    time_or_null(json, "next_ms", s->next_ms);
    pending_write(s, json);
    time_or_null(json, "last_slot_ms", s->last_slot_ms);
    time_or_null(json, "last_fired_ms", s->last_fired_ms);
    text(json, "last_id", s->last_id);
    number(json, "fired", s->fired);
    number(json, "skipped", s->skipped);
    number(json, "missed", s->missed);
    time_or_null(json, "trigger_ms", s->trigger_ms);
    text(json, "trigger_id", s->trigger_id);
    text(json, "last_error", s->last_error);
}

static void one_write(const char *name, const struct ms_reply *pairs,
                      struct ms_json *json)
{
    struct ms_schedule schedule;
    struct ms_error error = {""};
    enum ms_err err = ms_schedule_parse(name, pairs, &schedule, &error);

    if (err == MS_ENOENT)
        return; /* removed meanwhile */
    ms_json_open(json, '{');
    if (err == MS_OK) {
        ms_schedules_write(&schedule, json);
        ms_schedule_done(&schedule);
    } else {
        text(json, "name", name);
        text(json, "last_error", error.text);
    }
    ms_json_close(json);
}

static enum ms_err page_write(struct ms_client *client, char *const *names,
                              size_t n, struct ms_json *json,
                              struct ms_error *error)
{
    struct ms_cmd cmds[PAGE] = {MS_CMD_INIT};
    struct ms_reply *replies[PAGE];
    enum ms_err err;

    for (size_t i = 0; i < n; i++)
        read_build(client, names[i], &cmds[i]);
    err = ms_client_ask_all(client, cmds, n, replies, error);
    if (err != MS_OK)
        return err;
    for (size_t i = 0; i < n; i++)
        one_write(names[i], replies[i], json);
    ms_client_free_all(replies, n);
    return MS_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum ms_err names_read(struct ms_client *client,
                              struct ms_names *out_names,
                              struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err;

    ms_cmd_plain(&cmd, "ZRANGE",
                 ms_key_fleet(key, ms_client_fleet(client), "crons"), "0", "-1",
                 NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    out_names->items = ms_xcalloc(reply->n_items + 1, sizeof(char *));
    for (size_t i = 0; i < reply->n_items; i++)
        out_names->items[out_names->n++] =
            ms_xstrdup(ms_reply_str(ms_reply_at(reply, i), ""));
    qsort(out_names->items, out_names->n, sizeof(char *), by_name);
    ms_reply_free(reply);
    return MS_OK;
}

enum ms_err ms_schedules_write_all(struct ms_client *client,
                                   struct ms_json *json, struct ms_error *error)
{
    struct ms_names names = {0};
    enum ms_err err = names_read(client, &names, error);

    for (size_t i = 0; i < names.n && err == MS_OK; i += PAGE)
        err = page_write(client, names.items + i,
                         names.n - i < PAGE ? names.n - i : PAGE, json, error);
    ms_names_done(&names);
    return err;
}

/* ---- times ---- */

struct times {
    int64_t at[1000];
    size_t n;
};

static bool times_add(int64_t at_ms, void *arg)
{
    struct times *times = arg;

    times->at[times->n++] = at_ms;
    return times->n < MS_COUNT_OF(times->at);
}

/* "2026-03-29 03:00:00 +02:00" */
static void local_write(const struct ms_zone *zone, int64_t at_ms,
                        struct ms_json *json)
{
    int64_t offset = ms_zone_offset_s(zone, at_ms / 1000);
    time_t civil = (time_t)(at_ms / 1000 + offset);
    int minutes = (int)(offset < 0 ? -offset : offset) / 60;
    char clock[32], both[48];
    struct tm tm;

    gmtime_r(&civil, &tm);
    strftime(clock, sizeof(clock), "%a %Y-%m-%d %H:%M:%S", &tm);
    snprintf(both, sizeof(both), "%s %c%02d:%02d", clock,
             offset < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
    text(json, "local", both);
}

enum ms_err ms_schedules_write_times(const char *line, const char *zone,
                                     int64_t after_ms, int64_t n,
                                     struct ms_json *json,
                                     struct ms_error *error)
{
    struct times times = {.n = 0};
    struct ms_cron cron;
    struct ms_zone entered;
    int64_t told;
    enum ms_err err = ms_cron_parse(line, &cron, error);

    if (err == MS_OK)
        err = ms_cron_each(&cron, zone, after_ms, INT64_MAX, n, times_add,
                           &times, &told, error);
    if (err == MS_OK)
        err = ms_zone_enter(&entered, zone, error);
    if (err != MS_OK)
        return err;
    for (size_t i = 0; i < times.n; i++) {
        ms_json_open(json, '{');
        time_or_null(json, "at_ms", times.at[i]);
        local_write(&entered, times.at[i], json);
        ms_json_close(json);
    }
    ms_zone_leave(&entered);
    return MS_OK;
}

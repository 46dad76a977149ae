#include "ctl/overview.h"

#include <math.h>
#include <stdlib.h>

#include "common/keys.h"
#include "common/mem.h"
#include "ctl/dump.h"
#include "ctl/list.h"
#include "ctl/view.h"

#define SLICE       100
#define IMPORTS_MAX 10

static enum ms_err queues_write(struct ms_client *client, struct ms_json *json,
                                struct ms_error *error)
{
    struct ms_names names = {0};
    enum ms_err err = ms_view_queue_names(client, &names, error);

    ms_json_key(json, "queues");
    ms_json_open(json, '[');
    if (err == MS_OK)
        err = ms_view_queues(client, &names, json, error);
    ms_json_close(json);
    ms_names_done(&names);
    return err;
}

static enum ms_err pods_write(struct ms_client *client, struct ms_json *json,
                              struct ms_error *error)
{
    enum ms_err err;

    ms_json_key(json, "pods");
    ms_json_open(json, '[');
    err = ms_view_pods(client, NULL, json, error);
    ms_json_close(json);
    return err;
}

static enum ms_err leader_write(struct ms_client *client, struct ms_json *json,
                                struct ms_error *error)
{
    ms_json_key(json, "leader");
    return ms_view_leader(client, json, error);
}

enum ms_err ms_overview_status(struct ms_client *client, struct ms_json *json,
                               struct ms_error *error)
{
    enum ms_err err;

    ms_json_open(json, '{');
    err = queues_write(client, json, error);
    if (err == MS_OK)
        err = pods_write(client, json, error);
    if (err == MS_OK)
        err = leader_write(client, json, error);
    if (err != MS_OK)
        return err;
    ms_json_key(json, "drift"); /* reconcile will fill it */
    ms_json_open(json, '[');
    ms_json_close(json);
    ms_json_close(json);
    return MS_OK;
}

/* ---- queues with totals ---- */

static void queue_write(const char *name, const struct ms_queue_info *info,
                        const struct ms_reply *totals, struct ms_json *json)
{
    static const char *const names[] = {"enqueued_total", "done_total",
                                        "failed_total", "dead_total"};

    ms_json_open(json, '{');
    ms_view_queue_fields(name, info, json);
    for (size_t i = 0; i < MS_COUNT_OF(names); i++) {
        ms_json_key(json, names[i]);
        ms_json_int(json, ms_reply_int(ms_reply_at(totals, i), 0));
    }
    ms_json_close(json);
}

/* Totals and sizes of some queues, two requests each. */
static enum ms_err slice_write(struct ms_client *client, char *const *names,
                               size_t n, struct ms_json *json,
                               struct ms_error *error)
{
    struct ms_cmd cmds[2 * SLICE] = {MS_CMD_INIT};
    struct ms_reply *replies[2 * SLICE] = {NULL};
    struct ms_queue_info info;
    char key[MS_KEY_MAX];
    enum ms_err err;

    for (size_t i = 0; i < n; i++) {
        ms_queue_info_build(&cmds[2 * i], ms_client_fleet(client), names[i]);
        ms_cmd_plain(&cmds[2 * i + 1], "HMGET",
                     ms_key_queue(key, ms_client_fleet(client), names[i],
                                  "stats"),
                     "enqueued", "done", "failed", "dead", NULL);
    }
    err = ms_client_ask_all(client, cmds, 2 * n, replies, error);
    for (size_t i = 0; i < n && err == MS_OK; i++) {
        err = ms_queue_info_parse(replies[2 * i], &info, error);
        if (err == MS_OK)
            queue_write(names[i], &info, replies[2 * i + 1], json);
    }
    ms_client_free_all(replies, 2 * n);
    return err;
}

static enum ms_err totals_write(struct ms_client *client,
                                const struct ms_names *names,
                                struct ms_json *json, struct ms_error *error)
{
    enum ms_err err = MS_OK;

    ms_json_key(json, "queues");
    ms_json_open(json, '[');
    for (size_t at = 0; at < names->n && err == MS_OK; at += SLICE) {
        size_t left = names->n - at;

        err = slice_write(client, names->items + at,
                          left < SLICE ? left : SLICE, json, error);
    }
    ms_json_close(json);
    return err;
}

/* ---- imports ---- */

static void on_import(const struct ms_job *job, void *arg)
{
    struct ms_names *ids = arg;

    ids->items = ms_xrealloc(ids->items, (ids->n + 1) * sizeof(*ids->items));
    ids->items[ids->n++] = ms_xstrdup(job->id);
}

static void int_or_null(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    if (value >= 0)
        ms_json_int(json, value);
    else
        ms_json_null(json);
}

static void import_write(const struct ms_job *job, const char *queue,
                         const struct ms_dump_facts *facts,
                         struct ms_json *json)
{
    double rate = ms_dump_rate(facts);
    int64_t eta = ms_dump_eta_ms(facts);

    ms_json_open(json, '{');
    ms_json_key(json, "id");
    ms_json_str(json, job->id);
    ms_json_key(json, "queue");
    ms_json_str(json, queue);
    ms_json_key(json, "phase");
    ms_json_str(json, job->phase);
    int_or_null(json, "size", facts->size);
    int_or_null(json, "bytes", facts->tally.bytes);
    int_or_null(json, "docs", facts->tally.docs);
    int_or_null(json, "rate", rate < 0 ? -1 : llround(rate));
    int_or_null(json, "eta_s", eta < 0 ? -1 : (eta + 999) / 1000);
    ms_json_key(json, "stalled");
    ms_json_bool(json, ms_dump_is_stalled(facts));
    ms_json_close(json);
}

/* One that went since it was listed is left out. */
static enum ms_err import_read(struct ms_client *client, const char *queue,
                               const char *id, struct ms_json *json,
                               struct ms_error *error)
{
    struct ms_dump_facts facts;
    struct ms_job *job = NULL;
    enum ms_err err = ms_dump_read(client, queue, id, &job, &facts, error);

    if (err == MS_OK)
        import_write(job, queue, &facts, json);
    ms_job_free(job);
    return err == MS_ENOENT || err == MS_EINVAL ? MS_OK : err;
}

static enum ms_err queue_imports(struct ms_client *client, const char *queue,
                                 int64_t *room, struct ms_json *json,
                                 struct ms_error *error)
{
    struct ms_list_ask ask = {.queue = queue,
                              .state = "waiting",
                              .kind = "dump.import",
                              .limit = *room};
    struct ms_names ids = {0};
    char *next = NULL;
    enum ms_err err = ms_list_page(client, &ask, on_import, &ids, &next, error);

    for (size_t i = 0; i < ids.n && err == MS_OK; i++, (*room)--)
        err = import_read(client, queue, ids.items[i], json, error);
    ms_names_done(&ids);
    free(next);
    return err;
}

/* Parents wait: how many each queue has tells where imports may be. */
static enum ms_err waiting_count(struct ms_client *client,
                                 const struct ms_names *names, size_t at,
                                 size_t n, int64_t *out_counts,
                                 struct ms_error *error)
{
    struct ms_cmd cmds[SLICE] = {MS_CMD_INIT};
    struct ms_reply *replies[SLICE] = {NULL};
    char key[MS_KEY_MAX];
    enum ms_err err;

    for (size_t i = 0; i < n; i++)
        ms_cmd_plain(&cmds[i], "ZCARD",
                     ms_key_queue(key, ms_client_fleet(client),
                                  names->items[at + i], "waiting"),
                     NULL);
    err = ms_client_ask_all(client, cmds, n, replies, error);
    for (size_t i = 0; i < n && err == MS_OK; i++)
        out_counts[i] = ms_reply_int(replies[i], 0);
    ms_client_free_all(replies, n);
    return err;
}

static enum ms_err imports_write(struct ms_client *client,
                                 const struct ms_names *names,
                                 struct ms_json *json, struct ms_error *error)
{
    int64_t room = IMPORTS_MAX, counts[SLICE];
    enum ms_err err = MS_OK;

    ms_json_key(json, "imports");
    ms_json_open(json, '[');
    for (size_t at = 0; at < names->n && err == MS_OK; at += SLICE) {
        size_t n = names->n - at < SLICE ? names->n - at : SLICE;

        err = waiting_count(client, names, at, n, counts, error);
        for (size_t i = 0; i < n && err == MS_OK && room > 0; i++)
            if (counts[i] > 0)
                err = queue_imports(client, names->items[at + i], &room, json,
                                    error);
    }
    ms_json_close(json);
    return err;
}

enum ms_err ms_overview_top(struct ms_client *client, struct ms_json *json,
                            struct ms_error *error)
{
    struct ms_names names = {0};
    int64_t now_ms = 0;
    enum ms_err err = ms_client_now(client, &now_ms, error);

    if (err == MS_OK)
        err = ms_view_queue_names(client, &names, error);
    if (err != MS_OK)
        return err;
    ms_json_open(json, '{');
    ms_json_key(json, "fleet");
    ms_json_str(json, ms_client_fleet(client));
    ms_json_key(json, "at_ms");
    ms_json_int(json, now_ms);
    err = totals_write(client, &names, json, error);
    if (err == MS_OK)
        err = pods_write(client, json, error);
    if (err == MS_OK)
        err = leader_write(client, json, error);
    if (err == MS_OK)
        err = imports_write(client, &names, json, error);
    ms_json_close(json);
    ms_names_done(&names);
    return err;
}

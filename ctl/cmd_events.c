/* events: what happened in the fleet, page by page or as it happens */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/tail.h"

#define WAIT_MS  500 /* how late Ctrl-C may be noticed */
#define AGAIN_MS 200 /* between tries while Redis is away */

static const struct ms_column columns[] = {
    {"at_ms", "TIME", MS_SHOW_TIME},   {"type", "TYPE", MS_SHOW_PLAIN},
    {"queue", "QUEUE", MS_SHOW_PLAIN}, {"id", "ID", MS_SHOW_PLAIN},
    {"kind", "KIND", MS_SHOW_PLAIN},   {"pod", "POD", MS_SHOW_PLAIN},
    {"actor", "ACTOR", MS_SHOW_PLAIN}, {"detail", "DETAIL", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static enum ms_err ask_read(struct ms_ctl *ctl, struct ms_events_ask *out_ask,
                            struct ms_error *error)
{
    *out_ask =
        (struct ms_events_ask){.queue = ms_cli_get(ctl->line, "queue"),
                               .type = ms_cli_get(ctl->line, "type"),
                               .cursor = ms_cli_get(ctl->line, "cursor")};
    if (out_ask->queue != NULL &&
        ms_name_check("queue", out_ask->queue, error) != MS_OK)
        return MS_EINVAL;
    if (out_ask->type != NULL &&
        ms_name_check("type", out_ask->type, error) != MS_OK)
        return MS_EINVAL;
    return ms_ctl_limit(ctl, &out_ask->limit, error);
}

/* ---- a page ---- */

static void on_row(const struct ms_event_row *row, void *arg)
{
    ms_event_to_json(row, arg);
}

static enum ms_err page_print(struct ms_ctl *ctl,
                              const struct ms_events_ask *ask,
                              struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    char *next = NULL;
    enum ms_err err;

    ms_json_open(&json, '{');
    ms_json_key(&json, "items");
    ms_json_open(&json, '[');
    err = ms_events_page(ctl->client, ask, on_row, &json, &next, error);
    ms_json_close(&json);
    ms_json_key(&json, "next");
    ms_json_str(&json, next);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, columns);
    free(next);
    ms_buf_done(&out);
    return err;
}

/* ---- following ---- */

struct follow {
    struct ms_ctl *ctl;
    const struct ms_events_ask *ask;
    struct ms_tail *tail;
    struct ms_event_list before; /* with --limit: the last ones, newest first */
    bool is_away;
};

/* "2026-01-31 12:30:00 UTC  dead  mail  id  kind  pod  -  why" */
static void line_tell(const struct ms_buf *json, struct ms_buf *out)
{
    static const int width[] = {23, 10, 12, 26, 16, 26, 8, 0};
    struct ms_val val = {0};

    if (ms_val_from_json(json->data, json->len, &val, NULL) != MS_OK)
        return;
    for (size_t i = 0; columns[i].key != NULL; i++) {
        size_t at = out->len;

        ms_output_cell(ms_val_get(&val.root, columns[i].key), columns[i].show,
                       out);
        if (columns[i + 1].key == NULL)
            break;
        ms_buf_addf(out, "%*s  ",
                    out->len - at < (size_t)width[i]
                        ? width[i] - (int)(out->len - at)
                        : 0,
                    "");
    }
    ms_val_done(&val);
}

static void line_print(const struct ms_event_row *row, void *arg)
{
    const struct follow *follow = arg;
    const char *type = follow->ask->type;
    struct ms_buf text = MS_BUF_INIT, line = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&text);

    if (type != NULL && !ms_reply_is(ms_reply_field(row->fields, "type"), type))
        return;
    ms_event_to_json(row, &json);
    if (follow->ctl->line->json)
        ms_buf_add(&line, text.data, text.len);
    else
        line_tell(&text, &line);
    ms_buf_addc(&line, '\n');
    fwrite(line.data, 1, line.len, stdout);
    ms_buf_done(&line);
    ms_buf_done(&text);
}

/* The tail begins before the page is read, so what comes between is the
 * tail's. */
static void before_keep(const struct ms_event_row *row, void *arg)
{
    struct follow *follow = arg;
    struct ms_event_list *list = &follow->before;

    if (!ms_tail_is_past(follow->tail, row))
        return;
    list->rows = ms_xrealloc(list->rows, (list->n + 1) * sizeof(*list->rows));
    list->rows[list->n] = *row;
    list->rows[list->n].queue = ms_xstrdup(row->queue);
    list->rows[list->n++].fields = ms_reply_copy(row->fields);
}

static void before_done(struct ms_event_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free((char *)list->rows[i].queue);
    ms_event_list_done(list);
}

static enum ms_err before_print(struct follow *follow, struct ms_error *error)
{
    char *next = NULL;
    enum ms_err err = ms_events_page(follow->ctl->client, follow->ask,
                                     before_keep, follow, &next, error);

    for (size_t i = follow->before.n; i > 0 && err == MS_OK; i--)
        line_print(&follow->before.rows[i - 1], follow);
    before_done(&follow->before);
    free(next);
    return err;
}

/* Says once that Redis is away, and once that it is back. */
static void away_tell(struct follow *follow, enum ms_err err,
                      const struct ms_error *why)
{
    if (err != MS_OK && !follow->is_away)
        ms_ctl_warn("%.300s; waiting for it", why->text);
    if (err == MS_OK && follow->is_away)
        ms_ctl_warn("Redis is back");
    follow->is_away = err != MS_OK;
}

static enum ms_err follow_run(struct follow *follow, struct ms_error *error)
{
    struct ms_client *client = follow->ctl->client;
    enum ms_err err = MS_OK;

    /* A reader that has gone ends it, where SIGPIPE has not. */
    while (fflush(stdout) == 0 && !ferror(stdout) &&
           !ms_client_sleep(client, err == MS_OK ? 0 : AGAIN_MS)) {
        err = ms_tail_read(follow->tail, WAIT_MS, line_print, follow, error);
        if (err != MS_OK && !ms_client_is_passing(err))
            return err;
        away_tell(follow, err, error);
    }
    return MS_OK;
}

static enum ms_err follow(struct ms_ctl *ctl, const struct ms_events_ask *ask,
                          struct ms_error *error)
{
    struct follow follow = {.ctl = ctl, .ask = ask};
    enum ms_err err;

    if (ask->cursor != NULL)
        return ms_error_set(error, MS_EINVAL,
                            "--cursor and --follow exclude each other");
    ms_client_sleep(ctl->client, 0); /* from now on signals end it gently */
    err = ms_tail_new(ctl->client, ask->queue, &follow.tail, error);
    if (err == MS_OK && ms_cli_has(ctl->line, "limit"))
        err = before_print(&follow, error);
    if (err == MS_OK)
        err = follow_run(&follow, error);
    ms_tail_free(follow.tail);
    return err;
}

static enum ms_err events(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_events_ask ask;
    enum ms_err err = ask_read(ctl, &ask, error);

    if (err == MS_OK)
        err = ms_ctl_connect(ctl, false, error);
    if (err != MS_OK)
        return err;
    return ms_cli_has(ctl->line, "follow") ? follow(ctl, &ask, error)
                                           : page_print(ctl, &ask, error);
}

static const struct ms_option events_options[] = {
    {"queue", "QUEUE", "only this queue's"},
    {"type", "TYPE", "only these: dead, done, leader ..."},
    {"follow", NULL, "print what happens from now on, one a line"},
    {"limit", "N", "how many (50); with --follow: so many of the last first"},
    {"cursor", "CURSOR", "go on where a page ended"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_events[] = {
    {"events", NULL, "", 0, 0, "what happened in the fleet, newest first",
     events_options, events},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

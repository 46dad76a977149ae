#include "ctl/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"

/* Streams whose requests go out together. */
#define SLICE 100
/* Events looked at for one page, as a multiple of its size: bounds a page
 * whose type hardly ever comes. */
#define LOOK_MAX 20

/* ---- ids ---- */

static bool number_read(const char **text, const char *end, uint64_t *out)
{
    const char *at = *text;
    uint64_t n = 0;

    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (at == *text)
        return false;
    *text = at;
    *out = n;
    return true;
}

bool ms_stream_id_parse(const char *text, size_t len,
                        struct ms_stream_id *out_id)
{
    const char *end = text + len;
    struct ms_stream_id id;

    if (!number_read(&text, end, &id.ms) || text == end || *text != '-')
        return false;
    text++;
    if (!number_read(&text, end, &id.seq) || text != end)
        return false;
    *out_id = id;
    return true;
}

const char *ms_stream_id_format(struct ms_stream_id id, char *out)
{
    snprintf(out, MS_STREAM_ID_MAX, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
    return out;
}

int ms_stream_id_compare(struct ms_stream_id a, struct ms_stream_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

int ms_event_compare(const struct ms_event_row *a, const struct ms_event_row *b)
{
    int order = ms_stream_id_compare(a->id, b->id);

    return order != 0 ? order : strcmp(a->queue, b->queue);
}

/* ---- one event ---- */

static void str_from(struct ms_json *json, const struct ms_reply *pairs,
                     const char *field)
{
    const struct ms_reply *text = ms_reply_field(pairs, field);

    ms_json_key(json, field);
    if (text->type == MS_REPLY_STR && text->len > 0)
        ms_json_strn(json, text->str, text->len);
    else
        ms_json_null(json);
}

void ms_event_to_json(const struct ms_event_row *row, struct ms_json *json)
{
    int64_t at_ms =
        ms_reply_int(ms_reply_field(row->fields, "at_ms"), (int64_t)row->id.ms);

    ms_json_open(json, '{');
    ms_json_key(json, "at_ms");
    ms_json_int(json, at_ms);
    str_from(json, row->fields, "type");
    ms_json_key(json, "queue");
    ms_json_str(json, row->queue[0] != '\0' ? row->queue : NULL);
    str_from(json, row->fields, "id");
    str_from(json, row->fields, "kind");
    str_from(json, row->fields, "pod");
    str_from(json, row->fields, "actor");
    str_from(json, row->fields, "detail");
    ms_json_close(json);
}

const char *ms_event_key(char *out, const char *fleet, const char *queue)
{
    if (queue[0] == '\0')
        return ms_key_fleet(out, fleet, "events");
    return ms_key_queue(out, fleet, queue, "events");
}

enum ms_err ms_event_streams(struct ms_client *client, const char *queue,
                             struct ms_names *out_streams,
                             struct ms_error *error)
{
    struct ms_names names = {0};
    enum ms_err err;

    if (queue != NULL) {
        out_streams->items = ms_xcalloc(1, sizeof(char *));
        out_streams->items[out_streams->n++] = ms_xstrdup(queue);
        return MS_OK;
    }
    err = ms_view_queue_names(client, &names, error);
    if (err != MS_OK)
        return err;
    names.items =
        ms_xrealloc(names.items, (names.n + 1) * sizeof(*names.items));
    names.items[names.n++] = ms_xstrdup("");
    *out_streams = names;
    return MS_OK;
}

/* ---- lists ---- */

void ms_event_list_add(struct ms_event_list *list, const char *queue,
                       const struct ms_reply *entries)
{
    if (entries->n_items == 0)
        return;
    list->rows = ms_xrealloc(list->rows, (list->n + entries->n_items) *
                                             sizeof(*list->rows));
    for (size_t i = 0; i < entries->n_items; i++) {
        const struct ms_reply *entry = ms_reply_at(entries, i);
        const struct ms_reply *id = ms_reply_at(entry, 0);
        struct ms_event_row row = {.queue = queue};

        if (id->type != MS_REPLY_STR ||
            !ms_stream_id_parse(id->str, id->len, &row.id))
            continue;
        row.fields = ms_reply_copy(ms_reply_at(entry, 1));
        list->rows[list->n++] = row;
    }
}

static int compare_rows(const void *a, const void *b)
{
    return ms_event_compare(a, b);
}

void ms_event_list_sort(struct ms_event_list *list)
{
    if (list->n > 1)
        qsort(list->rows, list->n, sizeof(*list->rows), compare_rows);
}

void ms_event_list_cut(struct ms_event_list *list, size_t n)
{
    while (list->n > n)
        ms_reply_free((struct ms_reply *)list->rows[--list->n].fields);
}

void ms_event_list_done(struct ms_event_list *list)
{
    ms_event_list_cut(list, 0);
    free(list->rows);
    *list = (struct ms_event_list){0};
}

/* ---- pages ---- */

/* Behind which event the page begins; `queue` NULL: at the newest. */
struct place {
    struct ms_stream_id id;
    const char *queue;
};

struct page {
    struct ms_client *client;
    const struct ms_events_ask *ask;
    struct ms_names streams;
    struct place place;
    struct ms_event_list list; /* newest first, once it is fetched */
    int64_t room, looks;
    ms_event_fn *fn;
    void *arg;
    struct ms_error *error;
};

/* "<id>@<queue>", "@" alone behind it for the fleet's. */
static enum ms_err cursor_read(struct page *page)
{
    const char *cursor = page->ask->cursor;
    const char *at = cursor == NULL ? NULL : strchr(cursor, '@');

    if (cursor == NULL)
        return MS_OK;
    if (at == NULL ||
        !ms_stream_id_parse(cursor, (size_t)(at - cursor), &page->place.id) ||
        (at[1] != '\0' && !ms_name_is_valid(at + 1)))
        return ms_error_set(page->error, MS_EINVAL,
                            "'%.100s' is no cursor of this list", cursor);
    page->place.queue = at + 1;
    return MS_OK;
}

/* The newest entries of a stream that come behind the place. */
static void range_build(const struct page *page, const char *queue,
                        int64_t want, struct ms_cmd *cmd)
{
    char key[MS_KEY_MAX], id[MS_STREAM_ID_MAX];

    ms_event_key(key, ms_client_fleet(page->client), queue);
    ms_cmd_plain(cmd, "XREVRANGE", key, NULL);
    if (page->place.queue == NULL)
        ms_cmd_args(cmd, "+");
    else
        /* Of equal ids the queue decides what is behind. */
        ms_cmd_argf(cmd, "%s%s",
                    strcmp(queue, page->place.queue) < 0 ? "" : "(",
                    ms_stream_id_format(page->place.id, id));
    ms_cmd_args(cmd, "-");
    ms_cmd_args(cmd, "COUNT");
    ms_cmd_argi(cmd, want);
}

static void list_reverse(struct ms_event_list *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        struct ms_event_row row = list->rows[i];

        list->rows[i] = list->rows[list->n - 1 - i];
        list->rows[list->n - 1 - i] = row;
    }
}

/* Merges some streams into the list, of which only the first `want` stay. */
static enum ms_err slice_fetch(struct page *page, size_t from, size_t n,
                               int64_t want)
{
    struct ms_cmd cmds[SLICE] = {MS_CMD_INIT};
    struct ms_reply *replies[SLICE] = {NULL};
    char *const *names = page->streams.items + from;
    enum ms_err err;

    for (size_t i = 0; i < n; i++)
        range_build(page, names[i], want, &cmds[i]);
    err = ms_client_ask_all(page->client, cmds, n, replies, page->error);
    if (err != MS_OK)
        return err;
    for (size_t i = 0; i < n; i++)
        ms_event_list_add(&page->list, names[i], replies[i]);
    ms_client_free_all(replies, n);
    ms_event_list_sort(&page->list);
    list_reverse(&page->list);
    ms_event_list_cut(&page->list, (size_t)want);
    return MS_OK;
}

static enum ms_err page_fetch(struct page *page, int64_t want)
{
    enum ms_err err = MS_OK;

    ms_event_list_cut(&page->list, 0);
    for (size_t at = 0; at < page->streams.n && err == MS_OK; at += SLICE) {
        size_t left = page->streams.n - at;

        err = slice_fetch(page, at, left < SLICE ? left : SLICE, want);
    }
    return err;
}

static void row_show(struct page *page, const struct ms_event_row *row)
{
    const char *type = page->ask->type;

    page->looks++;
    page->place = (struct place){row->id, row->queue};
    if (type != NULL && !ms_reply_is(ms_reply_field(row->fields, "type"), type))
        return;
    page->fn(row, page->arg);
    page->room--;
}

/* Shows what fits; one event more than is wanted tells whether the list goes
 * on.  *out_more: it does; *out_full: the page ends here. */
static enum ms_err page_step(struct page *page, bool *out_more, bool *out_full)
{
    int64_t want = page->ask->limit;
    enum ms_err err = page_fetch(page, want + 1);
    size_t i = 0;

    if (err != MS_OK)
        return err;
    for (; i < page->list.n && (int64_t)i < want && page->room > 0; i++)
        row_show(page, &page->list.rows[i]);
    *out_more = i < page->list.n;
    *out_full = page->room == 0 || page->looks >= LOOK_MAX * want;
    return MS_OK;
}

static char *next_format(const struct place *place)
{
    char id[MS_STREAM_ID_MAX];

    return ms_xasprintf("%s@%s", ms_stream_id_format(place->id, id),
                        place->queue);
}

enum ms_err ms_events_page(struct ms_client *client,
                           const struct ms_events_ask *ask, ms_event_fn *fn,
                           void *arg, char **out_next, struct ms_error *error)
{
    struct page page = {.client = client,
                        .ask = ask,
                        .room = ask->limit,
                        .fn = fn,
                        .arg = arg,
                        .error = error};
    bool more = true, full = false;
    enum ms_err err = MS_OK;

    if (ask->queue != NULL)
        err = ms_name_check("queue", ask->queue, error);
    if (err == MS_OK)
        err = cursor_read(&page);
    if (err == MS_OK)
        err = ms_event_streams(client, ask->queue, &page.streams, error);
    while (err == MS_OK && more && !full)
        err = page_step(&page, &more, &full);
    if (err == MS_OK)
        *out_next = more ? next_format(&page.place) : NULL;
    ms_event_list_done(&page.list);
    ms_names_done(&page.streams);
    return err;
}

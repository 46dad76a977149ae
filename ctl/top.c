#include "ctl/top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "ctl/output.h"

#define JOBS_SHOWN 3 /* of a pod's slots */
#define ROWS_MIN   3 /* of each table, however small the screen is */

static const struct ms_column queue_columns[] = {
    {"name", "QUEUE", MS_SHOW_PLAIN},
    {"ready", "READY", MS_SHOW_PLAIN},
    {"scheduled", "SCHEDULED", MS_SHOW_PLAIN},
    {"running", "RUNNING", MS_SHOW_PLAIN},
    {"max_workers", "MAX", MS_SHOW_PLAIN},
    {"dead", "DEAD", MS_SHOW_PLAIN},
    {"in", "IN/S", MS_SHOW_PLAIN},
    {"out", "DONE/S", MS_SHOW_PLAIN},
    {"failed", "FAILED/S", MS_SHOW_PLAIN},
    {"oldest", "OLDEST", MS_SHOW_SPAN},
    {"state", "STATE", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};
static const struct ms_column pod_columns[] = {
    {"name", "POD", MS_SHOW_PLAIN},      {"busy", "BUSY", MS_SHOW_PLAIN},
    {"slots", "SLOTS", MS_SHOW_PLAIN},   {"state", "STATE", MS_SHOW_PLAIN},
    {"queues", "QUEUES", MS_SHOW_PLAIN}, {"jobs", "JOBS", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};
static const struct ms_column import_columns[] = {
    {"id", "IMPORT", MS_SHOW_PLAIN},   {"queue", "QUEUE", MS_SHOW_PLAIN},
    {"state", "STATE", MS_SHOW_PLAIN}, {"percent", "%", MS_SHOW_PLAIN},
    {"bytes", "READ", MS_SHOW_SIZE},   {"size", "OF", MS_SHOW_SIZE},
    {"docs", "DOCS", MS_SHOW_PLAIN},   {"rate", "DOCS/S", MS_SHOW_PLAIN},
    {"left_ms", "LEFT", MS_SHOW_SPAN}, {NULL, NULL, MS_SHOW_PLAIN},
};

void ms_top_done(struct ms_top *top)
{
    ms_val_done(&top->doc);
    ms_val_done(&top->before);
}

enum ms_err ms_top_take(struct ms_top *top, const struct ms_buf *json,
                        struct ms_error *error)
{
    struct ms_val doc = {0};
    enum ms_err err = ms_val_from_json(json->data, json->len, &doc, error);

    if (err != MS_OK)
        return err;
    ms_val_done(&top->before);
    top->before = top->doc;
    top->doc = doc;
    return MS_OK;
}

/* ---- reading documents ---- */

static const msgpack_object *array_of(const msgpack_object *map,
                                      const char *key)
{
    static const msgpack_object none = {.type = MSGPACK_OBJECT_ARRAY};
    const msgpack_object *array =
        map->type == MSGPACK_OBJECT_MAP ? ms_val_get(map, key) : NULL;

    return array != NULL && array->type == MSGPACK_OBJECT_ARRAY ? array : &none;
}

static const msgpack_object *named(const msgpack_object *array,
                                   const msgpack_object *name)
{
    for (uint32_t i = 0; i < array->via.array.size; i++) {
        const msgpack_object *item = &array->via.array.ptr[i];
        const msgpack_object *own = ms_val_get(item, "name");

        if (own != NULL && name != NULL && msgpack_object_equal(*own, *name))
            return item;
    }
    return NULL;
}

double ms_top_rate(const struct ms_top *top, const msgpack_object *queue,
                   const char *total)
{
    const msgpack_object *before =
        named(array_of(&top->before.root, "queues"), ms_val_get(queue, "name"));
    int64_t spent, grown;

    if (before == NULL)
        return -1;
    spent = ms_val_int(&top->doc.root, "at_ms", 0) -
            ms_val_int(&top->before.root, "at_ms", 0);
    grown = ms_val_int(queue, total, 0) - ms_val_int(before, total, 0);
    if (spent <= 0 || grown < 0)
        return -1;
    return (double)grown * 1000. / (double)spent;
}

/* ---- rows ---- */

static void value_from(struct ms_json *json, const char *key,
                       const msgpack_object *map, const char *from)
{
    const msgpack_object *val = ms_val_get(map, from);

    ms_json_key(json, key);
    if (val != NULL)
        ms_json_val(json, val);
    else
        ms_json_null(json);
}

static void rate_field(struct ms_json *json, const char *key, double rate)
{
    ms_json_key(json, key);
    if (rate < 0)
        ms_json_null(json);
    else if (rate >= 10)
        ms_json_int(json, llround(rate));
    else
        ms_json_double(json, round(rate * 10) / 10);
}

static const char *queue_state(const msgpack_object *queue, int64_t now_ms)
{
    if (ms_val_bool(queue, "paused", false))
        return "paused";
    if (ms_val_int(queue, "throttled_until_ms", 0) > now_ms)
        return "throttled";
    return "";
}

static void queue_row(const struct ms_top *top, const msgpack_object *queue,
                      struct ms_json *json)
{
    int64_t now_ms = ms_val_int(&top->doc.root, "at_ms", 0);
    int64_t oldest = ms_val_int(queue, "oldest_ready_ms", 0);

    value_from(json, "name", queue, "name");
    value_from(json, "ready", queue, "ready");
    value_from(json, "scheduled", queue, "scheduled");
    value_from(json, "running", queue, "running");
    value_from(json, "max_workers", queue, "max_workers");
    value_from(json, "dead", queue, "dead");
    rate_field(json, "in", ms_top_rate(top, queue, "enqueued_total"));
    rate_field(json, "out", ms_top_rate(top, queue, "done_total"));
    rate_field(json, "failed", ms_top_rate(top, queue, "failed_total"));
    ms_json_key(json, "oldest");
    if (oldest > 0 && oldest <= now_ms) /* whole seconds are enough here */
        ms_json_int(json, (now_ms - oldest) / 1000 * 1000);
    else
        ms_json_null(json);
    ms_json_key(json, "state");
    ms_json_str(json, queue_state(queue, now_ms));
}

/* "dump.chunk A.3, noop.sleep B, +2" */
static void jobs_field(const msgpack_object *slots, struct ms_json *json)
{
    struct ms_buf text = MS_BUF_INIT;
    int n = 0;

    for (uint32_t i = 0; i < slots->via.array.size; i++) {
        const msgpack_object *slot = &slots->via.array.ptr[i];
        char *job = ms_val_strdup(slot, "job");
        char *kind = ms_val_strdup(slot, "kind");

        if (job != NULL && n++ < JOBS_SHOWN)
            ms_buf_addf(&text, "%s%s %s", n > 1 ? ", " : "",
                        kind == NULL ? "?" : kind, job);
        free(job);
        free(kind);
    }
    if (n > JOBS_SHOWN)
        ms_buf_addf(&text, ", +%d", n - JOBS_SHOWN);
    ms_json_key(json, "jobs");
    ms_json_strn(json, text.data, text.len);
    ms_buf_done(&text);
}

static void pod_row(const struct ms_top *top, const msgpack_object *pod,
                    struct ms_json *json)
{
    const msgpack_object *label = ms_val_get(pod, "label");

    value_from(json, "name", pod,
               label != NULL && label->type == MSGPACK_OBJECT_STR ? "label"
                                                                  : "id");
    value_from(json, "busy", pod, "busy");
    value_from(json, "slots", pod, "concurrency");
    ms_json_key(json, "state");
    ms_json_str(json, ms_val_bool(pod, "draining", false) ? "drains" : "");
    value_from(json, "queues", pod, "queues");
    jobs_field(array_of(pod, "slots"), json);
}

static void import_row(const struct ms_top *top, const msgpack_object *import,
                       struct ms_json *json)
{
    int64_t size = ms_val_int(import, "size", 0);
    int64_t left_s = ms_val_int(import, "eta_s", -1);

    value_from(json, "id", import, "id");
    value_from(json, "queue", import, "queue");
    if (ms_val_bool(import, "stalled", false)) {
        ms_json_key(json, "state");
        ms_json_str(json, "stalled");
    } else {
        value_from(json, "state", import, "phase");
    }
    ms_json_key(json, "percent");
    if (size > 0)
        ms_json_int(json, (int64_t)((double)ms_val_int(import, "bytes", 0) *
                                    100. / (double)size));
    else
        ms_json_null(json);
    value_from(json, "bytes", import, "bytes");
    value_from(json, "size", import, "size");
    value_from(json, "docs", import, "docs");
    value_from(json, "rate", import, "rate");
    ms_json_key(json, "left_ms");
    if (left_s >= 0)
        ms_json_int(json, left_s * 1000);
    else
        ms_json_null(json);
}

/* ---- sections ---- */

typedef void row_fn(const struct ms_top *top, const msgpack_object *item,
                    struct ms_json *json);

struct section {
    const char *key; /* in the document */
    const struct ms_column *columns;
    row_fn *row;
    const char *busy[2]; /* what puts an item before others; or NULL */
    const msgpack_object **items;
    size_t n, shown;
};

static int64_t busyness(const struct section *section, size_t i)
{
    int64_t sum = 0;

    for (size_t b = 0; b < 2 && section->busy[b] != NULL; b++)
        sum += ms_val_int(section->items[i], section->busy[b], 0);
    return sum;
}

/* The `n` busiest first, in their order by name otherwise: what is shown must
 * not jump about. */
static void busiest_first(struct section *section, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const msgpack_object *item;
        size_t best = i;

        for (size_t j = i + 1; j < section->n; j++)
            if (busyness(section, j) > busyness(section, best))
                best = j;
        item = section->items[best];
        memmove(&section->items[i + 1], &section->items[i],
                (best - i) * sizeof(*section->items));
        section->items[i] = item;
    }
}

static void section_begin(struct section *section, const msgpack_object *doc)
{
    const msgpack_object *array = array_of(doc, section->key);

    section->n = section->shown = array->via.array.size;
    section->items = ms_xcalloc(section->n + 1, sizeof(*section->items));
    for (size_t i = 0; i < section->n; i++)
        section->items[i] = &array->via.array.ptr[i];
}

/* Lines that a section takes: its table, what is left out, an empty line. */
static size_t section_lines(const struct section *section)
{
    return section->shown + 2 + (section->shown < section->n);
}

/* Shortens the longest table until all fit, or all are as short as may be. */
static void sections_fit(struct section *sections, size_t n, size_t room)
{
    for (;;) {
        struct section *longest = NULL;
        size_t lines = 0;

        for (size_t i = 0; i < n; i++) {
            lines += section_lines(&sections[i]);
            if (sections[i].shown > ROWS_MIN &&
                (longest == NULL || sections[i].shown > longest->shown))
                longest = &sections[i];
        }
        if (lines <= room || longest == NULL)
            return;
        longest->shown--;
    }
}

static void section_draw(const struct ms_top *top, struct section *section,
                         struct ms_buf *out)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&text);
    struct ms_val rows = {0};

    if (section->shown < section->n)
        busiest_first(section, section->shown);
    ms_json_open(&json, '[');
    for (size_t i = 0; i < section->shown; i++) {
        ms_json_open(&json, '{');
        section->row(top, section->items[i], &json);
        ms_json_close(&json);
    }
    ms_json_close(&json);
    if (section->n == 0)
        ms_buf_addf(out, "no %s\n", section->key);
    else if (ms_val_from_json(text.data, text.len, &rows, NULL) == MS_OK)
        ms_output_table(section->columns, &rows.root, out);
    if (section->shown < section->n)
        ms_buf_addf(out, "... and %zu more\n", section->n - section->shown);
    ms_val_done(&rows);
    ms_buf_done(&text);
}

/* ---- the screen ---- */

static void head_draw(const msgpack_object *doc, const char *note,
                      struct ms_buf *out)
{
    const msgpack_object *leader = ms_val_get(doc, "leader");

    ms_buf_adds(out, "fleet ");
    ms_output_cell(ms_val_get(doc, "fleet"), MS_SHOW_PLAIN, out);
    ms_buf_adds(out, "  ");
    ms_output_cell(ms_val_get(doc, "at_ms"), MS_SHOW_TIME, out);
    if (note != NULL) {
        ms_buf_addf(out, "  %s\n", note);
        return;
    }
    if (leader == NULL || leader->type != MSGPACK_OBJECT_MAP) {
        ms_buf_adds(out, "  no leader\n");
        return;
    }
    ms_buf_adds(out, "  leader ");
    ms_output_cell(ms_val_get(leader, "id"), MS_SHOW_PLAIN, out);
    ms_buf_adds(out, " on ");
    ms_output_cell(ms_val_get(leader, "host"), MS_SHOW_PLAIN, out);
    ms_buf_addc(out, '\n');
}

/* Bytes of the line that fill at most `width` columns. */
static size_t line_fit(const char *line, size_t len, int width)
{
    int columns = 0;

    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)line[i] & 0xc0) != 0x80 && ++columns > width)
            return i;
    }
    return len;
}

static void cut(const struct ms_buf *text, int width, int height,
                struct ms_buf *out)
{
    const char *at = text->data, *end = text->data + text->len;

    for (int n = 0; at < end && (height == 0 || n < height); n++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((next == NULL ? end : next) - at);

        ms_buf_add(out, at, width == 0 ? len : line_fit(at, len, width));
        ms_buf_addc(out, '\n');
        at += len + 1;
    }
}

void ms_top_draw(const struct ms_top *top, int width, int height,
                 const char *note, struct ms_buf *out)
{
    struct section sections[] = {
        {.key = "queues",
         .columns = queue_columns,
         .row = queue_row,
         .busy = {"running", "ready"}},
        {.key = "pods",
         .columns = pod_columns,
         .row = pod_row,
         .busy = {"busy", NULL}},
        {.key = "imports",
         .columns = import_columns,
         .row = import_row,
         .busy = {NULL, NULL}},
    };
    struct ms_buf text = MS_BUF_INIT;

    if (top->doc.root.type != MSGPACK_OBJECT_MAP) {
        ms_buf_addf(&text, "%s\n", note == NULL ? "" : note);
        cut(&text, width, height, out);
        ms_buf_done(&text);
        return;
    }
    head_draw(&top->doc.root, note, &text);
    for (size_t i = 0; i < MS_COUNT_OF(sections); i++)
        section_begin(&sections[i], &top->doc.root);
    if (height > 0)
        sections_fit(sections, MS_COUNT_OF(sections), (size_t)height - 1);
    for (size_t i = 0; i < MS_COUNT_OF(sections); i++) {
        ms_buf_addc(&text, '\n');
        section_draw(top, &sections[i], &text);
        free(sections[i].items);
    }
    cut(&text, width, height, out);
    ms_buf_done(&text);
}

#include "ctl/output.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/units.h"

/* Is this a control character: below a space, DEL, or C1 (which terminals obey
 * as well, and which UTF-8 writes as c2 80 to c2 9f)? */
static bool is_control(const char *text, size_t left)
{
    unsigned char c = (unsigned char)text[0];
    unsigned char next = left > 1 ? (unsigned char)text[1] : 0;

    return c < 32 || c == 127 || (c == 0xc2 && next >= 0x80 && next <= 0x9f);
}

/* Others' texts must not steer the terminal. */
static void add_safe(struct ms_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool control = is_control(text + i, len - i);

        if (control && (unsigned char)text[i] == 0xc2)
            i++;
        ms_buf_addc(out, control ? '?' : text[i]);
    }
}

static bool is_int(const msgpack_object *val)
{
    return val->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
           val->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
}

static bool is_number(const msgpack_object *val)
{
    return is_int(val) || val->type == MSGPACK_OBJECT_FLOAT64 ||
           val->type == MSGPACK_OBJECT_FLOAT32;
}

static void add_time(struct ms_buf *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[40];

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
    ms_buf_adds(out, text);
}

/* An array of strings is a list of words to people: "default,dump". */
static bool is_words(const msgpack_object *val)
{
    if (val->type != MSGPACK_OBJECT_ARRAY)
        return false;
    for (uint32_t i = 0; i < val->via.array.size; i++)
        if (val->via.array.ptr[i].type != MSGPACK_OBJECT_STR)
            return false;
    return val->via.array.size > 0;
}

static void add_words(struct ms_buf *out, const msgpack_object *val)
{
    for (uint32_t i = 0; i < val->via.array.size; i++) {
        const msgpack_object_str *word = &val->via.array.ptr[i].via.str;

        ms_buf_adds(out, i > 0 ? "," : "");
        add_safe(out, word->ptr, word->size);
    }
}

static void add_plain(struct ms_buf *out, const msgpack_object *val)
{
    struct ms_buf json = MS_BUF_INIT;

    if (val->type == MSGPACK_OBJECT_STR) {
        add_safe(out, val->via.str.ptr, val->via.str.size);
        return;
    }
    if (is_words(val)) {
        add_words(out, val);
        return;
    }
    ms_val_to_json(val, &json);
    add_safe(out, json.data, json.len);
    ms_buf_done(&json);
}

static void add_micros(struct ms_buf *out, int64_t us)
{
    if (us < 1000)
        ms_buf_addf(out, "%lldus", (long long)us);
    else if (us < 999950) /* which would be 1000.0ms */
        ms_buf_addf(out, "%.1fms", (double)us / 1e3);
    else
        ms_buf_addf(out, "%.1fs", (double)us / 1e6);
}

void ms_output_cell(const msgpack_object *val, enum ms_show show,
                    struct ms_buf *out)
{
    char text[64];

    if (val == NULL || val->type == MSGPACK_OBJECT_NIL) {
        ms_buf_addc(out, '-');
        return;
    }
    if (show == MS_SHOW_PLAIN || !is_int(val)) {
        add_plain(out, val);
        return;
    }
    if (show == MS_SHOW_TIME)
        add_time(out, val->via.i64);
    else if (show == MS_SHOW_MICROS)
        add_micros(out, val->via.i64);
    else if (show == MS_SHOW_SIZE)
        ms_buf_adds(out, ms_size_format(val->via.i64, text, sizeof(text)));
    else
        ms_buf_adds(out, ms_duration_format(val->via.i64, text, sizeof(text)));
}

/* ---- tables ---- */

/* All cells of a table as text, row by row, the titles first. */
struct grid {
    struct ms_buf *cells;
    bool *right; /* a column: are all its values numbers? */
    size_t *width;
    size_t n_columns, n_rows;
};

/* Columns on the screen: bytes that do not continue a character. */
static size_t text_width(const struct ms_buf *text)
{
    size_t width = 0;

    for (size_t i = 0; i < text->len; i++)
        width += ((unsigned char)text->data[i] & 0xc0) != 0x80;
    return width;
}

static void grid_add(struct grid *grid, size_t row, size_t column,
                     const msgpack_object *val, enum ms_show show)
{
    struct ms_buf *cell = &grid->cells[row * grid->n_columns + column];
    size_t width;

    ms_output_cell(val, show, cell);
    width = text_width(cell);
    if (width > grid->width[column])
        grid->width[column] = width;
    if (val != NULL && val->type != MSGPACK_OBJECT_NIL && !is_number(val))
        grid->right[column] = false;
}

static void grid_titles(struct grid *grid, const struct ms_column *columns)
{
    for (size_t c = 0; c < grid->n_columns; c++) {
        ms_buf_adds(&grid->cells[c], columns[c].title);
        grid->width[c] = strlen(columns[c].title);
        grid->right[c] = columns[c].show != MS_SHOW_TIME;
    }
}

static void grid_write(struct grid *grid, struct ms_buf *out)
{
    for (size_t r = 0; r < grid->n_rows; r++) {
        for (size_t c = 0; c < grid->n_columns; c++) {
            struct ms_buf *cell = &grid->cells[r * grid->n_columns + c];
            int pad = (int)(grid->width[c] - text_width(cell));
            bool last = c + 1 == grid->n_columns;

            if (grid->right[c])
                ms_buf_addf(out, "%*s%s", pad, "", ms_buf_str(cell));
            else
                ms_buf_addf(out, "%s%*s", ms_buf_str(cell), last ? 0 : pad, "");
            ms_buf_adds(out, last ? "\n" : "  ");
        }
    }
}

static void grid_done(struct grid *grid)
{
    for (size_t i = 0; i < grid->n_rows * grid->n_columns; i++)
        ms_buf_done(&grid->cells[i]);
    free(grid->cells);
    free(grid->right);
    free(grid->width);
}

void ms_output_table(const struct ms_column *columns,
                     const msgpack_object *rows, struct ms_buf *out)
{
    struct grid grid = {.n_rows = rows->via.array.size + 1};

    if (rows->via.array.size == 0) {
        ms_buf_adds(out, "(none)\n");
        return;
    }
    while (columns[grid.n_columns].key != NULL)
        grid.n_columns++;
    grid.cells =
        ms_xcalloc(grid.n_rows * grid.n_columns, sizeof(struct ms_buf));
    grid.right = ms_xcalloc(grid.n_columns, sizeof(bool));
    grid.width = ms_xcalloc(grid.n_columns, sizeof(size_t));
    grid_titles(&grid, columns);
    for (size_t r = 1; r < grid.n_rows; r++)
        for (size_t c = 0; c < grid.n_columns; c++)
            grid_add(&grid, r, c,
                     ms_val_get(&rows->via.array.ptr[r - 1], columns[c].key),
                     columns[c].show);
    grid_write(&grid, out);
    grid_done(&grid);
}

/* ---- pairs ---- */

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t end_len = strlen(end);

    return len >= end_len && strncmp(text + len - end_len, end, end_len) == 0;
}

/* What the name of a field says about its value. */
static enum ms_show show_of(const char *key, size_t len)
{
    if (ends_with(key, len, "interval_ms") ||
        ends_with(key, len, "timeout_ms") || ends_with(key, len, "base_ms") ||
        ends_with(key, len, "max_ms") || ends_with(key, len, "done_ms") ||
        ends_with(key, len, "dead_ms") || ends_with(key, len, "wait_ms"))
        return MS_SHOW_SPAN;
    return ends_with(key, len, "_ms") ? MS_SHOW_TIME : MS_SHOW_PLAIN;
}

static void pair_write(const msgpack_object_kv *pair, struct ms_buf *out)
{
    const msgpack_object_str *key = &pair->key.via.str;
    size_t at = out->len;

    add_safe(out, key->ptr, key->size);
    ms_buf_addf(out, "%*s",
                out->len - at < 20 ? (int)(20 - (out->len - at)) : 2, "");
    ms_output_cell(&pair->val, show_of(key->ptr, key->size), out);
    ms_buf_addc(out, '\n');
}

static bool is_nothing(const msgpack_object *val)
{
    return val->type == MSGPACK_OBJECT_NIL ||
           (val->type == MSGPACK_OBJECT_ARRAY && val->via.array.size == 0);
}

void ms_output_pairs(const msgpack_object *map, struct ms_buf *out)
{
    for (uint32_t i = 0; i < map->via.map.size; i++)
        if (!is_nothing(&map->via.map.ptr[i].val))
            pair_write(&map->via.map.ptr[i], out);
}

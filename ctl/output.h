/*
 * output: a JSON document as people read it: tables and lists of pairs.
 *
 * Pure: documents in, text out.  What came from users (payloads, errors) may
 * hold anything, so control characters are shown as '?'.
 */
#pragma once

#include "common/buf.h"
#include "common/val.h"

/* How a cell is written.  Null is always "-". */
enum ms_show {
    MS_SHOW_PLAIN, /* strings bare, the rest as JSON */
    MS_SHOW_TIME,  /* ms since the epoch -> 2026-01-31 12:30:00 UTC */
    MS_SHOW_SIZE,  /* bytes -> 12.4 MiB */
    MS_SHOW_SPAN,  /* ms -> 1m30s */
    MS_SHOW_MICROS /* microseconds -> 850us, 12.3ms, 4.2s */
};

/* One column of a table; `key` NULL behind the last. */
struct ms_column {
    const char *key, *title;
    enum ms_show show;
};

/* Appends one table, numbers to the right; "(none)" where it has no rows. */
void ms_output_table(const struct ms_column *columns,
                     const msgpack_object *rows, struct ms_buf *out);

/* Appends "name  value" lines, without what is null or an empty array.  Keys
 * that end in _ms are times, but for intervals and the like, which are spans.
 */
void ms_output_pairs(const msgpack_object *map, struct ms_buf *out);

/* Appends one value as `show` wants it. */
void ms_output_cell(const msgpack_object *val, enum ms_show show,
                    struct ms_buf *out);

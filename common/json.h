/*
 * json: a JSON writer for replies and tables: no tree, one pass.
 *
 *     struct ms_json json = ms_json_on(&buf);
 *     ms_json_open(&json, '{');
 *     ms_json_key(&json, "id");   ms_json_str(&json, id);
 *     ms_json_close(&json);
 *
 * Commas and escapes are its business.  What it writes is always UTF-8: bad
 * bytes become U+FFFD.
 */
#pragma once

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define MS_JSON_DEPTH 16
struct ms_json {
    struct ms_buf *out;
    int depth;
    char kind[MS_JSON_DEPTH]; /* '{' or '[' */
    bool first[MS_JSON_DEPTH];
    bool after_key;
};

/* Borrows `out` and appends to it. */
struct ms_json ms_json_on(struct ms_buf *out);

/* `kind` is '{' or '['; at most MS_JSON_DEPTH deep. */
void ms_json_open(struct ms_json *json, char kind);
void ms_json_close(struct ms_json *json);
void ms_json_key(struct ms_json *json, const char *key);

/* One value each, in an array, behind a key, or alone. */
void ms_json_null(struct ms_json *json);
void ms_json_bool(struct ms_json *json, bool value);
void ms_json_int(struct ms_json *json, int64_t value);
void ms_json_double(struct ms_json *json, double value);  /* NaN: null */
void ms_json_str(struct ms_json *json, const char *text); /* NULL: null */
void ms_json_strn(struct ms_json *json, const char *text, size_t len);
void ms_json_val(struct ms_json *json, const msgpack_object *val);
/* Bytes that are one JSON document already. */
void ms_json_raw(struct ms_json *json, const char *text, size_t len);

/* The pieces, for writers of trees: a string with its quotes; the shortest
 * number that reads back the same, with ".0" where it would look like an
 * integer, null where JSON has no word for it. */
void ms_json_add_str(struct ms_buf *out, const char *text, size_t len);
void ms_json_add_double(struct ms_buf *out, double value);

/*
 * val: JSON-like values, kept as msgpack objects.
 *
 * Payloads and results are JSON on the command line and msgpack in Redis.  One
 * tree serves both: a `msgpack_object` in a zone.  JSON is read strictly (one
 * document, UTF-8 checked, no comments) and written compactly.  An integer
 * beyond 64 bits is an error, not a rounded double.
 */
#pragma once

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

/* A tree and the zone that owns it.  A zeroed struct is the value null. */
struct ms_val {
    msgpack_object root;
    msgpack_zone *zone;
};

void ms_val_done(struct ms_val *val);

/* MS_EINVAL with "line L, column C: ..." or "offset N: ...".  At most 64
 * levels deep. */
enum ms_err ms_val_from_json(const char *text, size_t len,
                             struct ms_val *out_val, struct ms_error *error);

/* MS_EPROTO unless the bytes are exactly one object. */
enum ms_err ms_val_from_msgpack(const void *bytes, size_t len,
                                struct ms_val *out_val, struct ms_error *error);

/* Appends.  Strings and binaries that are not UTF-8 have their bad bytes
 * replaced by U+FFFD in JSON; ext types become null. */
void ms_val_to_json(const msgpack_object *val, struct ms_buf *out);
void ms_val_to_json_pretty(const msgpack_object *val, struct ms_buf *out);
void ms_val_to_msgpack(const msgpack_object *val, struct ms_buf *out);

/* Reading a map.  Each returns NULL, or the fallback, where the key is missing
 * or of another type; strings are not NUL-terminated, ms_val_strdup() returns
 * a new one that is. */
const msgpack_object *ms_val_get(const msgpack_object *map, const char *key);
int64_t ms_val_int(const msgpack_object *map, const char *key,
                   int64_t fallback);
double ms_val_double(const msgpack_object *map, const char *key,
                     double fallback);
bool ms_val_bool(const msgpack_object *map, const char *key, bool fallback);
char *ms_val_strdup(const msgpack_object *map, const char *key);
bool ms_val_is_str(const msgpack_object *val, const char *text);

/*
 * A JSON writer for replies and tables: no tree, one pass.
 *
 *     struct ms_json json = ms_json_on(&buf);
 *     ms_json_open(&json, '{');
 *     ms_json_key(&json, "id");   ms_json_str(&json, id);
 *     ms_json_close(&json);
 *
 * Commas and escapes are its business.
 */
#define MS_JSON_DEPTH 16
struct ms_json {
    struct ms_buf *out;
    int depth;
    char kind[MS_JSON_DEPTH]; /* '{' or '[' */
    bool first[MS_JSON_DEPTH];
    bool after_key;
};

struct ms_json ms_json_on(struct ms_buf *out);
void ms_json_open(struct ms_json *json, char kind);
void ms_json_close(struct ms_json *json);
void ms_json_key(struct ms_json *json, const char *key);
void ms_json_null(struct ms_json *json);
void ms_json_bool(struct ms_json *json, bool value);
void ms_json_int(struct ms_json *json, int64_t value);
void ms_json_double(struct ms_json *json, double value);  /* NaN: null */
void ms_json_str(struct ms_json *json, const char *text); /* NULL: null */
void ms_json_strn(struct ms_json *json, const char *text, size_t len);
void ms_json_val(struct ms_json *json, const msgpack_object *val);
/* Bytes that are one JSON document already. */
void ms_json_raw(struct ms_json *json, const char *text, size_t len);

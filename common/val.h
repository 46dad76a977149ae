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
#include "common/json.h"

/* A tree and the zone that owns it.  A zeroed struct is the value null. */
struct ms_val {
    msgpack_object root;
    msgpack_zone *zone;
};

/* Frees the tree and leaves null. */
void ms_val_done(struct ms_val *val);

/* Deepest nesting of arrays and maps that is read, from either form. */
#define MS_VAL_DEPTH 64

/* MS_EINVAL with "line L, column C: ..." (columns count bytes) for text that
 * is not exactly one document.  Of two equal keys the last stands. */
enum ms_err ms_val_from_json(const char *text, size_t len,
                             struct ms_val *out_val, struct ms_error *error);

/* MS_EPROTO with "offset N: ..." unless the bytes are exactly one object.  The
 * bytes are copied. */
enum ms_err ms_val_from_msgpack(const void *bytes, size_t len,
                                struct ms_val *out_val, struct ms_error *error);

/* Appends.  Strings and binaries that are not UTF-8 have their bad bytes
 * replaced by U+FFFD in JSON; ext types become null.  The pretty form takes a
 * line a value, indented by two spaces. */
void ms_val_to_json(const msgpack_object *val, struct ms_buf *out);
void ms_val_to_json_pretty(const msgpack_object *val, struct ms_buf *out);
void ms_val_to_msgpack(const msgpack_object *val, struct ms_buf *out);

/* For what is written without a tree: a packer that appends to `out`, which
 * must outlive it.  Nothing of it needs freeing. */
void ms_val_packer_init(msgpack_packer *packer, struct ms_buf *out);

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

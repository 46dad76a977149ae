/*
 * reply: a Redis reply as a tree that parsers can walk without Redis.
 *
 * The connection makes one for each answer and owns it until the callback
 * returns; tests make their own on the stack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum ms_reply_type {
    MS_REPLY_NIL,
    MS_REPLY_INT,
    MS_REPLY_STR, /* bulk and status alike */
    MS_REPLY_ERROR,
    MS_REPLY_ARRAY
};

struct ms_reply {
    enum ms_reply_type type;
    int64_t num;     /* INT */
    const char *str; /* STR, ERROR; a NUL stands behind `len` bytes */
    size_t len;
    const struct ms_reply *items; /* ARRAY */
    size_t n_items;
};

/* Item `i` of an array; a NIL reply where there is none, never NULL. */
const struct ms_reply *ms_reply_at(const struct ms_reply *reply, size_t i);

/* The text of a STR, else `fallback`. */
const char *ms_reply_str(const struct ms_reply *reply, const char *fallback);

/* The text of an ERROR, else "": why a request failed, for people. */
const char *ms_reply_error(const struct ms_reply *reply);

/* An INT, or a STR that is a whole decimal number; else `fallback`. */
int64_t ms_reply_int(const struct ms_reply *reply, int64_t fallback);

/* Is this a STR equal to `word`? */
bool ms_reply_is(const struct ms_reply *reply, const char *word);

/* The value behind `field` in a flat array of pairs (HGETALL), else a NIL
 * reply. */
const struct ms_reply *ms_reply_field(const struct ms_reply *pairs,
                                      const char *field);

/* Returns a new deep copy; free with ms_reply_free(), which takes NULL. */
struct ms_reply *ms_reply_copy(const struct ms_reply *reply);
void ms_reply_free(struct ms_reply *reply);

/* The class of an error reply's text, by its first word:
 *
 *     OOM MISCONF                   MS_EFULL
 *     LOADING MASTERDOWN            MS_ELOADING
 *     READONLY                      MS_EREADONLY
 *     BUSY NOREPLICAS               MS_EBUSY ("max number of clients" too)
 *     NOAUTH WRONGPASS NOPERM       MS_EAUTH
 *     MOVED ASK TRYAGAIN            MS_EMOVED
 *     CLUSTERDOWN                   MS_EDOWN
 *     all others                    MS_ESCRIPT */
enum ms_err ms_reply_classify(const char *error_text);

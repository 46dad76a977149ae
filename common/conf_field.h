/*
 * conf_field: one option of the configuration: what it is called, of what
 * type it is, what it may be, and where in a struct its value goes.
 *
 * Tables of these (conf_table.c) are all that the readers of the file
 * (conf_yaml.c) and of the environment (conf.c) know about options.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum ms_field_type {
    /* Scalars, kept as a string; null is NULL. */
    MS_FIELD_TEXT,
    MS_FIELD_NAME,    /* common/name.h */
    MS_FIELD_ADDRESS, /* "host:port" or "off" */
    MS_FIELD_URL,     /* of a Redis */
    MS_FIELD_WORD,    /* one of `words` */
    MS_FIELD_LABEL,   /* up to 64 printable characters, no space */
    MS_FIELD_CRON,    /* a line that fires: cron.h */
    MS_FIELD_ZONE,    /* a time zone: zone.h */
    MS_FIELD_JSON,    /* any value, kept as JSON text */
    MS_FIELD_MISFIRE, /* skip, once or catch-up K */
    /* Scalars, kept as an int64_t; null is -1. */
    MS_FIELD_COUNT,
    MS_FIELD_DURATION,
    MS_FIELD_SIZE,
    MS_FIELD_FLAG, /* true or false, as 1 or 0 */
    /* Scalars, kept otherwise; never null. */
    MS_FIELD_BOOL,   /* a bool */
    MS_FIELD_SECOND, /* a bool: is it the second of `words`? */
    MS_FIELD_LEVEL,  /* an enum: which of `words` it is */
    MS_FIELD_DOUBLE, /* a double */
    /* The rest. */
    MS_FIELD_NAMES, /* a list of names, as a NULL-terminated char ** */
    MS_FIELD_KINDS, /* likewise; a star may stand behind: conf.h */
    MS_FIELD_TEXTS, /* a list of strings, likewise */
    MS_FIELD_PAIRS, /* a map of strings, likewise, as "NAME=value" */
    MS_FIELD_MAP,   /* a map with `fields`, inside of the same struct */
    MS_FIELD_MAPS,  /* a list of maps: an array of structs and its length */
    MS_FIELD_ANYS   /* a list of anything */
};

#define MS_CATCH_UP_MAX 1000 /* K of MISFIRE */

#define MS_FIELD_NOWHERE SIZE_MAX

struct ms_field {
    const char *name; /* NULL ends a table */
    enum ms_field_type type;
    size_t at;            /* offset, or MS_FIELD_NOWHERE: checked alone */
    const char *fallback; /* as the file would have it; NULL: null */
    int64_t min, max;     /* max 0: none */
    bool required;        /* in a list's map; a list: not empty */
    bool unique;          /* in a list's map: the value stands once */
    const char *words;    /* "debug|info|warn" */
    const struct ms_field *fields; /* MAP, MAPS */
    size_t n_at, size;             /* MAPS: offset of the length; element */
    const char *stored;            /* a queue's setting: its name in Redis */
};

/* All of a struct that a table describes: set to its defaults (the struct is
 * zeroed before), and freed. */
void ms_fields_init(const struct ms_field *fields, void *base);
void ms_fields_done(const struct ms_field *fields, void *base);

/* NULL where the table has none of that name. */
const struct ms_field *ms_field_find(const struct ms_field *fields,
                                     const char *name, size_t len);
bool ms_field_is_scalar(const struct ms_field *field);

/* Reads a scalar and stores it, where it belongs anywhere.  `text` NULL is
 * null.  MS_EINVAL says what is wrong with the value. */
enum ms_err ms_field_set(const struct ms_field *field, const char *text,
                         void *base, struct ms_error *error);

/* The value of a COUNT, DURATION, SIZE or FLAG, -1 for none; of a string. */
int64_t ms_field_num(const struct ms_field *field, const void *base);
const char *ms_field_text(const struct ms_field *field, const void *base);

/* Lists of strings end with NULL.  A new one is empty; ms_strings_add() puts a
 * copy behind the last and returns the list, which may have moved.
 * ms_strings_free() takes NULL. */
char **ms_strings_new(void);
char **ms_strings_add(char **list, const char *text);
bool ms_strings_have(char *const *list, const char *text);
void ms_strings_free(char **list);

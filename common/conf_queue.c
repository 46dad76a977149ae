/*
 * A queue's settings on their way to Redis: the fields of ms_queue_table that
 * have a name there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/conf_table.h"
#include "common/mem.h"

/* False: the setting was not said. */
static bool show(const struct ms_field *field, const void *queue, char *out,
                 size_t size)
{
    if (field->type == MS_FIELD_WORD) {
        const char *word = ms_field_text(field, queue);

        if (word != NULL)
            snprintf(out, size, "%s", word);
        return word != NULL;
    }
    if (ms_field_num(field, queue) < 0)
        return false;
    snprintf(out, size, "%" PRId64, ms_field_num(field, queue));
    return true;
}

static void each(const struct ms_field *fields, const void *queue,
                 ms_queue_field_fn *fn, void *arg)
{
    char value[64];

    for (; fields->name != NULL; fields++) {
        if (fields->type == MS_FIELD_MAP)
            each(fields->fields, queue, fn, arg);
        else if (fields->stored != NULL &&
                 show(fields, queue, value, sizeof(value)))
            fn(fields->stored, value, arg);
    }
}

void ms_queue_conf_each(const struct ms_queue_conf *queue,
                        ms_queue_field_fn *fn, void *arg)
{
    each(ms_queue_table, queue, fn, arg);
}

/* "max_workers", or "backoff.base". */
static const struct ms_field *find(const char *key)
{
    const char *dot = strchr(key, '.');
    const struct ms_field *fields = ms_queue_table;
    const struct ms_field *field;

    if (dot != NULL) {
        field = ms_field_find(fields, key, (size_t)(dot - key));
        if (field == NULL || field->type != MS_FIELD_MAP)
            return NULL;
        fields = field->fields;
        key = dot + 1;
    }
    field = ms_field_find(fields, key, strlen(key));
    return field != NULL && field->stored != NULL ? field : NULL;
}

static void names_add(struct ms_buf *out, const struct ms_field *fields,
                      const char *above)
{
    for (; fields->name != NULL; fields++) {
        if (fields->type == MS_FIELD_MAP)
            names_add(out, fields->fields, fields->name);
        else if (fields->stored != NULL)
            ms_buf_addf(out, "%s%s%s%s", out->len > 0 ? " " : "", above,
                        above[0] != '\0' ? "." : "", fields->name);
    }
}

static enum ms_err unknown(const char *key, struct ms_error *error)
{
    struct ms_buf names = MS_BUF_INIT;

    names_add(&names, ms_queue_table, "");
    ms_error_set(error, MS_EINVAL, "no setting is called '%.60s': %.400s", key,
                 ms_buf_str(&names));
    ms_buf_done(&names);
    return MS_EINVAL;
}

enum ms_err ms_queue_conf_parse(const char *key, const char *text,
                                char *out_field, size_t field_size,
                                char *out_value, size_t value_size,
                                struct ms_error *error)
{
    const struct ms_field *field = find(key);
    struct ms_queue_conf queue = {.name = NULL};
    struct ms_error why;
    enum ms_err err;

    if (field == NULL)
        return unknown(key, error);
    err = ms_field_set(field, text, &queue, &why);
    if (err != MS_OK)
        return ms_error_set(error, MS_EINVAL, "%s: %s", key, why.text);
    snprintf(out_field, field_size, "%s", field->stored);
    ms_assert(show(field, &queue, out_value, value_size));
    ms_fields_done(ms_queue_table, &queue);
    return MS_OK;
}

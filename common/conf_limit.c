/* Limits in the configuration: their values on the way to Redis. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/conf_table.h"
#include "common/mem.h"

const char *ms_limit_format(double tokens, char *out, size_t size)
{
    int len = snprintf(out, size, "%.6f", tokens);

    ms_assert(len > 0 && (size_t)len < size);
    while (out[len - 1] == '0')
        out[--len] = '\0';
    if (out[len - 1] == '.')
        out[len - 1] = '\0';
    return out;
}

enum ms_err ms_limit_conf_parse(const char *key, const char *text,
                                char *out_value, size_t size,
                                struct ms_error *error)
{
    const struct ms_field *field =
        ms_field_find(ms_limit_settings, key, strlen(key));
    struct ms_limit_conf limit = {.scope = NULL};
    struct ms_error why;
    enum ms_err err;

    if (field == NULL)
        return ms_error_set(error, MS_EINVAL,
                            "'%.60s' is not capacity, refill_per_second or "
                            "tokens",
                            key);
    err = ms_field_set(field, text, &limit, &why);
    if (err != MS_OK)
        return ms_error_set(error, MS_EINVAL, "%s: %s", key, why.text);
    if (field->type == MS_FIELD_COUNT)
        snprintf(out_value, size, "%" PRId64, limit.capacity);
    else
        ms_limit_format(limit.refill_per_second, out_value, size);
    return MS_OK;
}

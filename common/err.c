#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
    [MS_OK] = "ok",
    [MS_EINVAL] = "invalid",
    [MS_EIO] = "io",
    [MS_ENOENT] = "not_found",
    [MS_EEXIST] = "exists",
    [MS_ESTATE] = "wrong_state",
    [MS_EBUSY] = "busy",
    [MS_ETIMEOUT] = "timeout",
    [MS_EDOWN] = "down",
    [MS_ELOADING] = "loading",
    [MS_EREADONLY] = "readonly",
    [MS_EFULL] = "full",
    [MS_EAUTH] = "auth",
    [MS_EMOVED] = "moved",
    [MS_ESCRIPT] = "script",
    [MS_EPROTO] = "protocol",
    [MS_ESTALE] = "stale",
    [MS_ECRASHED] = "crashed",
    [MS_ECANCELLED] = "cancelled",
    [MS_ESCHEMA] = "schema",
    [MS_ENOTSUP] = "not_supported",
};

const char *ms_err_name(enum ms_err err)
{
    if ((size_t)err >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[err];
}

enum ms_err ms_error_set(struct ms_error *error, enum ms_err err,
                         const char *format, ...)
{
    va_list args;

    if (error == NULL)
        return err;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return err;
}

#include "common/status.h"

#include <string.h>

#include "common/mem.h"

static const struct {
    const char *word;
    enum ms_err err;
    const char *text;
} table[] = {
    {"ok", MS_OK, ""},
    {"unknown", MS_ENOENT, "there is none"},
    {"epoch", MS_ESTALE, "a newer leader was here"},
    {"stale", MS_ESTALE, "it belongs to someone else now"},
    {"full", MS_EFULL, "full"},
    {"again", MS_EBUSY, "done in part, call again"},
    {"changed", MS_EBUSY, "it has changed meanwhile"},
    {"state", MS_ESTATE, "not in this state"},
    {"planned", MS_ESTATE, "planned further already"},
    {"chunks", MS_ESTATE, "chunks are not ended yet"},
    {"alive", MS_ESTATE, "it lives"},
    {"broken", MS_EINVAL, "what stands in this field is no number"},
    {"incomplete", MS_EINVAL, "a new one needs this field"},
    {"gone", MS_EEXIST, "its id was a job's whose record has gone"},
    {"taken", MS_EEXIST, "its id is a job's that is no batch"},
    {"verb", MS_ESTATE, "not possible for jobs of this state"},
};

enum ms_err ms_status_parse(const struct ms_reply *reply, const char *what,
                            struct ms_error *error)
{
    const struct ms_reply *first = ms_reply_at(reply, 0);
    const struct ms_reply *more = ms_reply_at(reply, 1);

    for (size_t i = 0; i < MS_COUNT_OF(table); i++) {
        if (!ms_reply_is(first, table[i].word))
            continue;
        if (table[i].err == MS_OK)
            return MS_OK;
        return ms_error_set(error, table[i].err, "%s: %s%s%s%s", what,
                            table[i].text,
                            more->type == MS_REPLY_STR ? " (" : "",
                            ms_reply_str(more, ""),
                            more->type == MS_REPLY_STR ? ")" : "");
    }
    return ms_error_set(error, MS_EPROTO, "%s: an answer of unknown shape",
                        what);
}

enum ms_err ms_status_parse_numbers(const struct ms_reply *reply,
                                    const char *what, int64_t *const *numbers,
                                    size_t n, struct ms_error *error)
{
    enum ms_err err = ms_status_parse(reply, what, error);

    if (err != MS_OK)
        return err;
    for (size_t i = 1; i <= n; i++)
        if (ms_reply_at(reply, i)->type != MS_REPLY_INT)
            return ms_error_set(error, MS_EPROTO,
                                "%s: item %zu of the answer is no number", what,
                                i);
    for (size_t i = 1; i <= n; i++)
        *numbers[i - 1] = ms_reply_at(reply, i)->num;
    return MS_OK;
}

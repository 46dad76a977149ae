#include "common/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/status.h"
#include "scripts.h"

/* How long to stay away from a limit, at least and at most. */
#define AGAIN_MIN_MS 20
#define AGAIN_MAX_MS 5000

static void start(struct ms_cmd *cmd, const struct ms_script *script,
                  const char *fleet, const char *scope)
{
    ms_cmd_script(cmd, script);
    ms_cmd_keyf(cmd, "ms:{%s}:limit:%s", fleet, scope);
}

/* ---- acquire ---- */

void ms_acquire_build(struct ms_cmd *cmd, const struct ms_acquire *ask)
{
    start(cmd, &ms_script_limit_acquire, ask->fleet, ask->scope);
    ms_cmd_argi(cmd, ask->n);
    ms_cmd_argi(cmd, ask->units);
    ms_cmd_argi(cmd, ask->max_wait_ms);
}

static enum ms_err parse_waits(const struct ms_reply *reply,
                               struct ms_acquired *answer,
                               struct ms_error *error)
{
    const struct ms_reply *waits = ms_reply_at(reply, 2);

    if (ms_reply_at(reply, 1)->type != MS_REPLY_INT ||
        ms_reply_at(reply, 3)->type != MS_REPLY_INT ||
        waits->type != MS_REPLY_ARRAY || waits->n_items > MS_LIMIT_UNITS_MAX)
        return ms_error_set(error, MS_EPROTO,
                            "limit_acquire: an answer of unknown shape");
    answer->drained = ms_reply_at(reply, 1)->num;
    answer->next_ms = ms_reply_at(reply, 3)->num;
    answer->n_units = waits->n_items;
    for (size_t i = 0; i < waits->n_items; i++)
        answer->waits_ms[i] = ms_reply_int(ms_reply_at(waits, i), 0);
    return MS_OK;
}

enum ms_err ms_acquire_parse(const struct ms_reply *reply, const char *scope,
                             struct ms_acquired *out_answer,
                             struct ms_error *error)
{
    const struct ms_reply *word = ms_reply_at(reply, 0);

    if (ms_reply_is(word, "ok") || ms_reply_is(word, "wait"))
        return parse_waits(reply, out_answer, error);
    if (ms_reply_is(word, "over"))
        return ms_error_set(error, MS_EINVAL,
                            "limit '%s' holds %lld tokens, fewer than were "
                            "asked for at once",
                            scope, (long long)ms_reply_at(reply, 1)->num);
    return ms_limit_status_parse(reply, scope, error);
}

int64_t ms_acquire_again_ms(const struct ms_acquired *answer,
                            int64_t max_wait_ms)
{
    int64_t again_ms = answer->next_ms - max_wait_ms / 2;

    if (answer->next_ms < 0 || again_ms > AGAIN_MAX_MS)
        return AGAIN_MAX_MS;
    return again_ms < AGAIN_MIN_MS ? AGAIN_MIN_MS : again_ms;
}

void ms_limit_drained_build(struct ms_cmd *cmd, const char *fleet,
                            const char *scope)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HMGET", ms_key_fleet(key, fleet, "limit:%s", scope),
                 "capacity", "drained", NULL);
}

bool ms_limit_drained_is(const struct ms_reply *reply, int64_t drained)
{
    return ms_reply_at(reply, 0)->type == MS_REPLY_STR &&
           ms_reply_int(ms_reply_at(reply, 1), 0) == drained;
}

/* ---- the rest ---- */

void ms_limit_return_build(struct ms_cmd *cmd, const char *fleet,
                           const char *scope, int64_t n, int64_t drained)
{
    start(cmd, &ms_script_limit_return, fleet, scope);
    ms_cmd_argi(cmd, n);
    ms_cmd_argi(cmd, drained);
}

void ms_limit_drain_build(struct ms_cmd *cmd, const char *fleet,
                          const char *scope, int64_t for_ms)
{
    start(cmd, &ms_script_limit_drain, fleet, scope);
    ms_cmd_argi(cmd, for_ms > 0 ? for_ms : 0);
}

static void start_indexed(struct ms_cmd *cmd, const struct ms_script *script,
                          const char *fleet, const char *scope)
{
    start(cmd, script, fleet, scope);
    ms_cmd_keyf(cmd, "ms:{%s}:limits", fleet);
    ms_cmd_args(cmd, scope);
}

void ms_limit_set_build(struct ms_cmd *cmd, const char *fleet,
                        const char *scope, bool only_absent,
                        const char *const *pairs, size_t n_pairs)
{
    start_indexed(cmd, &ms_script_limit_set, fleet, scope);
    ms_cmd_argi(cmd, only_absent);
    for (size_t i = 0; i < 2 * n_pairs; i++)
        ms_cmd_args(cmd, pairs[i]);
}

void ms_limit_seed_build(struct ms_cmd *cmd, const char *fleet,
                         const struct ms_limit_conf *limit)
{
    char capacity[64], refill[64];
    const char *const pairs[] = {"capacity", capacity, "refill_per_second",
                                 refill};

    snprintf(capacity, sizeof(capacity), "%lld", (long long)limit->capacity);
    ms_limit_format(limit->refill_per_second, refill, sizeof(refill));
    ms_limit_set_build(cmd, fleet, limit->scope, true, pairs,
                       MS_COUNT_OF(pairs) / 2);
}

void ms_limit_remove_build(struct ms_cmd *cmd, const char *fleet,
                           const char *scope)
{
    start_indexed(cmd, &ms_script_limit_remove, fleet, scope);
}

enum ms_err ms_limit_status_parse(const struct ms_reply *reply,
                                  const char *scope, struct ms_error *error)
{
    const struct ms_reply *word = ms_reply_at(reply, 0);
    const struct ms_reply *more = ms_reply_at(reply, 1);
    struct ms_error why;
    enum ms_err err = ms_status_parse(reply, "limit", &why);

    if (err == MS_OK)
        return MS_OK;
    if (err == MS_ENOENT)
        return ms_error_set(error, err, "there is no limit '%s'", scope);
    if (ms_reply_is(word, "broken"))
        return ms_error_set(error, err, "limit '%s': its %s is no such number",
                            scope, ms_reply_str(more, "?"));
    if (ms_reply_is(word, "incomplete"))
        return ms_error_set(error, err,
                            "limit '%s' is new: it needs capacity and "
                            "refill_per_second",
                            scope);
    if (ms_reply_is(word, "over"))
        return ms_error_set(error, MS_EINVAL, "limit '%s' holds %lld tokens",
                            scope, (long long)more->num);
    return ms_error_set(error, err, "%s", why.text);
}

/* ---- info ---- */

void ms_limit_info_build(struct ms_cmd *cmd, const char *fleet,
                         const char *scope)
{
    start(cmd, &ms_script_limit_info, fleet, scope);
}

enum ms_err ms_limit_info_parse(const struct ms_reply *reply, const char *scope,
                                struct ms_limit_info *out_info,
                                struct ms_error *error)
{
    struct ms_limit_info info;
    double *const texts[] = {&info.capacity, &info.refill_per_second,
                             &info.tokens};
    int64_t *const numbers[] = {&info.blocked_until_ms, &info.acquired,
                                &info.waited,           &info.refused,
                                &info.returned,         &info.drained};
    enum ms_err err = ms_limit_status_parse(reply, scope, error);

    if (err != MS_OK)
        return err;
    for (size_t i = 0; i < MS_COUNT_OF(texts); i++)
        *texts[i] = strtod(ms_reply_str(ms_reply_at(reply, 1 + i), ""), NULL);
    for (size_t i = 0; i < MS_COUNT_OF(numbers); i++) {
        const struct ms_reply *item = ms_reply_at(reply, 4 + i);

        if (item->type != MS_REPLY_INT)
            return ms_error_set(error, MS_EPROTO,
                                "limit_info: item %zu is no number", 4 + i);
        *numbers[i] = item->num;
    }
    *out_info = info;
    return MS_OK;
}

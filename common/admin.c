#include "common/admin.h"

#include <stdio.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/status.h"
#include "scripts.h"

static void start(struct ms_cmd *cmd, const struct ms_script *script,
                  const char *fleet, const char *queue, const char *id)
{
    ms_cmd_script(cmd, script);
    ms_keys_of_queue(cmd, fleet, queue);
    if (id != NULL)
        ms_keys_add_job(cmd, fleet, queue, id);
}

/* ---- one job ---- */

static const char *const cancel_words[] = {
    [MS_CANCEL_CANCELLED] = "cancelled",
    [MS_CANCEL_REQUESTED] = "requested",
    [MS_CANCEL_FINISHED] = "finished",
    [MS_CANCEL_UNKNOWN] = "unknown",
};

void ms_cancel_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *id, const char *actor)
{
    start(cmd, &ms_script_cancel, fleet, queue, id);
    ms_cmd_args(cmd, actor);
}

enum ms_err ms_cancel_parse(const struct ms_reply *reply,
                            enum ms_cancel_result *out_result, char *out_pod,
                            struct ms_error *error)
{
    const struct ms_reply *word = ms_reply_at(reply, 0);

    for (size_t i = 0; i < MS_COUNT_OF(cancel_words); i++) {
        if (!ms_reply_is(word, cancel_words[i]))
            continue;
        *out_result = (enum ms_cancel_result)i;
        snprintf(out_pod, MS_KEY_MAX, "%s",
                 ms_reply_str(ms_reply_at(reply, 1), ""));
        return MS_OK;
    }
    return ms_error_set(error, MS_EPROTO, "cancel: an answer of unknown shape");
}

const char *ms_cancel_result_name(enum ms_cancel_result result)
{
    return cancel_words[result];
}

void ms_retry_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    const char *id, const void *payload, size_t payload_len)
{
    start(cmd, &ms_script_retry, fleet, queue, id);
    ms_cmd_argi(cmd, payload != NULL);
    ms_cmd_arg(cmd, payload, payload == NULL ? 0 : payload_len);
}

void ms_run_now_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                      const char *id)
{
    start(cmd, &ms_script_run_now, fleet, queue, id);
}

void ms_delete_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *id)
{
    start(cmd, &ms_script_delete, fleet, queue, id);
}

enum ms_err ms_job_status_parse(const struct ms_reply *reply, const char *id,
                                struct ms_error *error)
{
    const char *state = ms_reply_str(ms_reply_at(reply, 1), "");
    enum ms_err err = ms_status_parse(reply, id, error);

    if (err == MS_ENOENT)
        return ms_error_set(error, err, "there is no job '%s'", id);
    if (err == MS_ESTATE && strcmp(state, "chunk") == 0)
        return ms_error_set(error, err,
                            "'%s' is a chunk: act on its parent instead", id);
    if (err == MS_ESTATE)
        return ms_error_set(error, err, "job '%s' is %s", id, state);
    return err;
}

/* ---- many jobs ---- */

void ms_bulk_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                   const char *verb, const char *state, const char *kind,
                   const char *cursor)
{
    start(cmd, &ms_script_bulk, fleet, queue, NULL);
    ms_cmd_args(cmd, verb);
    ms_cmd_args(cmd, state);
    ms_cmd_args(cmd, kind == NULL ? "" : kind);
    ms_cmd_args(cmd, cursor);
}

enum ms_err ms_bulk_parse(const struct ms_reply *reply, int64_t *out_n,
                          char *out_next, struct ms_error *error)
{
    const struct ms_reply *next = ms_reply_at(reply, 2);
    enum ms_err err = ms_status_parse(reply, "bulk", error);

    if (err != MS_OK)
        return err;
    if (next->type != MS_REPLY_STR || next->len >= 64)
        return ms_error_set(error, MS_EPROTO, "bulk: an answer without cursor");
    err = ms_status_parse_numbers(reply, "bulk", &out_n, 1, error);
    if (err == MS_OK)
        memcpy(out_next, next->str, next->len + 1);
    return err;
}

/* ---- a queue ---- */

void ms_pause_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    bool paused)
{
    start(cmd, &ms_script_pause, fleet, queue, NULL);
    ms_cmd_argi(cmd, paused);
}

void ms_configure_build(struct ms_cmd *cmd, const char *fleet,
                        const char *queue, bool only_absent,
                        const char *const *pairs, size_t n_pairs)
{
    start(cmd, &ms_script_configure, fleet, queue, NULL);
    ms_cmd_argi(cmd, only_absent);
    for (size_t i = 0; i < 2 * n_pairs; i++)
        ms_cmd_args(cmd, pairs[i]);
}

enum ms_err ms_configure_parse(const struct ms_reply *reply,
                               const struct ms_reply **out_pairs,
                               struct ms_error *error)
{
    enum ms_err err = ms_status_parse(reply, "configure", error);

    if (err != MS_OK)
        return err;
    if (ms_reply_at(reply, 1)->type != MS_REPLY_ARRAY)
        return ms_error_set(error, MS_EPROTO,
                            "configure: an answer without settings");
    *out_pairs = ms_reply_at(reply, 1);
    return MS_OK;
}

void ms_queue_info_build(struct ms_cmd *cmd, const char *fleet,
                         const char *queue)
{
    start(cmd, &ms_script_queue_info, fleet, queue, NULL);
}

enum ms_err ms_queue_info_parse(const struct ms_reply *reply,
                                struct ms_queue_info *out_info,
                                struct ms_error *error)
{
    struct ms_queue_info info;
    int64_t paused;
    int64_t *const numbers[] = {
        &paused,
        &info.max_workers,
        &info.ready,
        &info.scheduled,
        &info.running,
        &info.waiting,
        &info.done,
        &info.dead,
        &info.parked,
        &info.oldest_ready_ms,
        &info.throttled_until_ms,
        &info.due,
        &info.now_ms,
    };
    enum ms_err err = ms_status_parse_numbers(reply, "queue_info", numbers,
                                              MS_COUNT_OF(numbers), error);

    if (err != MS_OK)
        return err;
    info.paused = paused != 0;
    *out_info = info;
    return MS_OK;
}

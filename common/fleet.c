#include "common/fleet.h"

#include <stdio.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/status.h"
#include "scripts.h"

/* ---- schema ---- */

void ms_schema_build(struct ms_cmd *cmd, const char *fleet)
{
    ms_cmd_script(cmd, &ms_script_schema);
    ms_cmd_keyf(cmd, "ms:{%s}:schema", fleet);
    ms_cmd_args(cmd, MS_SCHEMA);
}

enum ms_err ms_schema_parse(const struct ms_reply *reply,
                            struct ms_error *error)
{
    if (reply->type == MS_REPLY_NIL || ms_reply_is(reply, MS_SCHEMA))
        return MS_OK;
    if (reply->type != MS_REPLY_STR)
        return ms_error_set(error, MS_EPROTO,
                            "schema: an answer of unknown shape");
    return ms_error_set(error, MS_ESCHEMA,
                        "this fleet's keys have layout '%s', this program "
                        "knows '%s' only: use a muster of the fleet's version",
                        ms_reply_str(reply, "?"), MS_SCHEMA);
}

/* ---- leader ---- */

void ms_lead_build(struct ms_cmd *cmd, const struct ms_lead *lead)
{
    ms_cmd_script(cmd, &ms_script_lead);
    ms_cmd_keyf(cmd, "ms:{%s}:leader", lead->fleet);
    ms_cmd_keyf(cmd, "ms:{%s}:epoch", lead->fleet);
    ms_cmd_keyf(cmd, "ms:{%s}:events", lead->fleet);
    ms_cmd_args(cmd, lead->id);
    ms_cmd_argi(cmd, lead->ttl_ms);
    ms_cmd_args(cmd, lead->host);
    ms_cmd_argi(cmd, lead->pid);
    ms_cmd_args(cmd, lead->url);
}

enum ms_err ms_lead_parse(const struct ms_reply *reply,
                          struct ms_lead_answer *out_answer,
                          struct ms_error *error)
{
    const struct ms_reply *word = ms_reply_at(reply, 0);

    if ((!ms_reply_is(word, "leader") && !ms_reply_is(word, "standby")) ||
        ms_reply_int(ms_reply_at(reply, 1), -1) < ms_reply_is(word, "leader"))
        return ms_error_set(error, MS_EPROTO,
                            "lead: an answer of unknown shape");
    out_answer->leads = ms_reply_is(word, "leader");
    out_answer->epoch = ms_reply_int(ms_reply_at(reply, 1), 0);
    snprintf(out_answer->leader, sizeof(out_answer->leader), "%s",
             ms_reply_str(ms_reply_at(reply, 2), ""));
    out_answer->left_ms = ms_reply_int(ms_reply_at(reply, 3), 0);
    return MS_OK;
}

void ms_resign_build(struct ms_cmd *cmd, const char *fleet, const char *id)
{
    ms_cmd_script(cmd, &ms_script_resign);
    ms_cmd_keyf(cmd, "ms:{%s}:leader", fleet);
    ms_cmd_keyf(cmd, "ms:{%s}:events", fleet);
    ms_cmd_args(cmd, id);
}

/* ---- pods ---- */

static void add_pod_keys(struct ms_cmd *cmd, const char *fleet, const char *pod)
{
    ms_cmd_keyf(cmd, "ms:{%s}:pods", fleet);
    ms_cmd_keyf(cmd, "ms:{%s}:pod:%s", fleet, pod);
    ms_cmd_keyf(cmd, "ms:{%s}:pod:%s:inbox", fleet, pod);
}

static void add_share_keys(struct ms_cmd *cmd, const char *fleet,
                           const char *const *queues)
{
    for (; *queues != NULL; queues++) {
        ms_cmd_keyf(cmd, "ms:{%s}:members:%s", fleet, *queues);
        ms_cmd_keyf(cmd, "ms:{%s}:slots:%s", fleet, *queues);
    }
}

static bool is_draining(const struct ms_beat *beat)
{
    for (size_t i = 0; i < beat->n_fields; i++)
        if (strcmp(beat->fields[2 * i], "draining") == 0)
            return strcmp(beat->fields[2 * i + 1], "1") == 0;
    return false;
}

void ms_beat_build(struct ms_cmd *cmd, const struct ms_beat *beat)
{
    ms_cmd_script(cmd, &ms_script_beat);
    add_pod_keys(cmd, beat->fleet, beat->pod);
    ms_cmd_keyf(cmd, "ms:{%s}:leader", beat->fleet);
    add_share_keys(cmd, beat->fleet, beat->queues);
    ms_cmd_args(cmd, beat->pod);
    ms_cmd_argi(cmd, beat->gone_after_ms);
    ms_cmd_argi(cmd, is_draining(beat));
    for (size_t i = 0; i < 2 * beat->n_fields; i++)
        ms_cmd_args(cmd, beat->fields[i]);
}

enum ms_err ms_beat_parse(const struct ms_reply *reply, size_t n_queues,
                          ms_share_fn *fn, void *arg, int64_t *out_now_ms,
                          struct ms_error *error)
{
    const struct ms_reply *shares = ms_reply_at(reply, 2);
    enum ms_err err = ms_status_parse(reply, "beat", error);

    if (err != MS_OK)
        return err;
    if (shares->type != MS_REPLY_ARRAY || shares->n_items != 2 * n_queues)
        return ms_error_set(error, MS_EPROTO, "beat: %zu shares, not %zu",
                            shares->n_items / 2, n_queues);
    for (size_t i = 0; i < n_queues; i++)
        fn(i, ms_reply_int(ms_reply_at(shares, 2 * i), -1),
           ms_reply_int(ms_reply_at(shares, 2 * i + 1), 0), arg);
    *out_now_ms = ms_reply_int(ms_reply_at(reply, 1), 0);
    return MS_OK;
}

static void build_leave(struct ms_cmd *cmd, const char *fleet, const char *pod,
                        const char *const *queues, int64_t epoch,
                        int64_t heartbeat_ms)
{
    ms_cmd_script(cmd, &ms_script_leave);
    add_pod_keys(cmd, fleet, pod);
    ms_cmd_keyf(cmd, "ms:{%s}:epoch", fleet);
    add_share_keys(cmd, fleet, queues);
    ms_cmd_args(cmd, pod);
    ms_cmd_argi(cmd, epoch);
    ms_cmd_argi(cmd, heartbeat_ms);
}

void ms_leave_build(struct ms_cmd *cmd, const char *fleet, const char *pod,
                    const char *const *queues)
{
    build_leave(cmd, fleet, pod, queues, 0, 0);
}

void ms_bury_build(struct ms_cmd *cmd, const char *fleet, const char *pod,
                   const char *const *queues, int64_t epoch,
                   int64_t heartbeat_ms)
{
    build_leave(cmd, fleet, pod, queues, epoch, heartbeat_ms);
}

void ms_inbox_build(struct ms_cmd *cmd, const char *fleet, const char *pod,
                    const char *message)
{
    ms_cmd_script(cmd, &ms_script_inbox);
    ms_cmd_keyf(cmd, "ms:{%s}:pod:%s", fleet, pod);
    ms_cmd_keyf(cmd, "ms:{%s}:pod:%s:inbox", fleet, pod);
    ms_cmd_args(cmd, message);
}

/* ---- what the leader writes ---- */

void ms_assign_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch, const char *const *pods,
                     const int64_t *slots, size_t n)
{
    ms_cmd_script(cmd, &ms_script_assign);
    ms_cmd_keyf(cmd, "ms:{%s}:epoch", fleet);
    ms_cmd_keyf(cmd, "ms:{%s}:slots:%s", fleet, queue);
    ms_cmd_argi(cmd, epoch);
    for (size_t i = 0; i < n; i++) {
        ms_cmd_args(cmd, pods[i]);
        ms_cmd_argi(cmd, slots[i]);
    }
}

void ms_task_note_build(struct ms_cmd *cmd, const char *fleet, const char *task,
                        int64_t epoch, const char *const *pairs, size_t n_pairs)
{
    ms_cmd_script(cmd, &ms_script_task_note);
    ms_cmd_keyf(cmd, "ms:{%s}:epoch", fleet);
    ms_cmd_keyf(cmd, "ms:{%s}:task:%s", fleet, task);
    ms_cmd_argi(cmd, epoch);
    for (size_t i = 0; i < 2 * n_pairs; i++)
        ms_cmd_args(cmd, pairs[i]);
}

enum ms_err ms_fleet_status_parse(const struct ms_reply *reply,
                                  struct ms_error *error)
{
    return ms_status_parse(reply, "fleet", error);
}

#include "common/tidy.h"

#include "common/keys.h"
#include "common/status.h"
#include "scripts.h"

static void start(struct ms_cmd *cmd, const struct ms_script *script,
                  const char *fleet, const char *queue)
{
    ms_cmd_script(cmd, script);
    ms_keys_of_queue(cmd, fleet, queue);
}

void ms_stamp_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    int64_t epoch)
{
    start(cmd, &ms_script_stamp, fleet, queue);
    ms_cmd_argi(cmd, epoch);
}

void ms_reap_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                   int64_t epoch, const char *gone_pod)
{
    start(cmd, &ms_script_reap, fleet, queue);
    if (gone_pod != NULL)
        ms_cmd_keyf(cmd, "ms:{%s/%s}:held:%s", fleet, queue, gone_pod);
    ms_cmd_argi(cmd, epoch);
}

void ms_unpark_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch, const char *kinds)
{
    start(cmd, &ms_script_unpark, fleet, queue);
    ms_cmd_argi(cmd, epoch);
    ms_cmd_args(cmd, kinds);
}

void ms_retain_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch)
{
    start(cmd, &ms_script_retain, fleet, queue);
    ms_cmd_argi(cmd, epoch);
}

enum ms_err ms_tidy_parse(const struct ms_reply *reply,
                          struct ms_tidy_answer *out_answer,
                          struct ms_error *error)
{
    enum ms_err err = ms_status_parse(reply, "tidy", error);

    if (err != MS_OK)
        return err;
    out_answer->more = ms_reply_int(ms_reply_at(reply, 1), 0) != 0;
    out_answer->n = ms_reply_int(ms_reply_at(reply, 2), 0);
    out_answer->n_dead = ms_reply_int(ms_reply_at(reply, 3), 0);
    out_answer->next_due_ms = ms_reply_int(ms_reply_at(reply, 4), 0);
    return MS_OK;
}

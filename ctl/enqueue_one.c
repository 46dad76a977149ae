#include "ctl/enqueue_one.h"

#include <stdio.h>

#include "common/ulid.h"

static void on_enqueued(size_t i, enum ms_enqueue_status status, const char *id,
                        void *arg)
{
    struct ms_enqueued *done = arg;

    if (id != NULL)
        snprintf(done->id, sizeof(done->id), "%s", id);
    done->deduplicated = status == MS_DEDUPLICATED;
}

enum ms_err ms_enqueue_one(struct ms_client *client, const char *queue,
                           const struct ms_new_job *job, int64_t max_payload,
                           struct ms_enqueued *out_done, struct ms_error *error)
{
    const char *fleet = ms_client_fleet(client);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char token[MS_ULID_LEN + 1];
    enum ms_err err;

    ms_enqueue_register_build(&cmd, fleet, queue);
    err = ms_client_ask(client, &cmd, &reply, error);
    ms_reply_free(reply);
    reply = NULL;
    ms_ulid_new(token);
    snprintf(out_done->id, sizeof(out_done->id), "%s", job->id);
    if (err == MS_OK)
        err = ms_enqueue_build(&cmd, fleet, queue, token, job, 1, max_payload,
                               error);
    if (err == MS_OK)
        err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_enqueue_parse(reply, 1, on_enqueued, out_done, error);
    ms_cmd_done(&cmd);
    ms_reply_free(reply);
    return err;
}

#include "ctl/cancel.h"

#include <stdio.h>

#include "common/fleet.h"
#include "common/keys.h"
#include "common/name.h"
#include "ctl/view.h"

/* The pod would hear of it with its next renewal anyway, so a message that
 * cannot be sent is no failure. */
static void pod_tell(struct ms_client *client, const char *pod,
                     const char *queue, const char *id)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char message[MS_NAME_MAX + MS_JOB_ID_MAX + 16];

    snprintf(message, sizeof(message), "cancel %s %s", queue, id);
    ms_inbox_build(&cmd, ms_client_fleet(client), pod, message);
    (void)ms_client_ask(client, &cmd, &reply, NULL);
    ms_reply_free(reply);
}

/* Which pods run its children is not known here; each one looks. */
static void pods_tell(struct ms_client *client, const char *queue,
                      const char *id)
{
    char message[MS_NAME_MAX + MS_JOB_ID_MAX + 16];

    snprintf(message, sizeof(message), "cancel %s %s", queue, id);
    (void)ms_view_tell_queue(client, queue, message, NULL);
}

enum ms_err ms_cancel_job(struct ms_client *client, const char *queue,
                          const char *id, enum ms_cancel_result *out_result,
                          struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char pod[MS_KEY_MAX] = "";
    enum ms_err err;

    ms_cancel_build(&cmd, ms_client_fleet(client), queue, id, "musterctl");
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_cancel_parse(reply, out_result, pod, error);
    ms_reply_free(reply);
    if (err == MS_OK && pod[0] != '\0')
        pod_tell(client, pod, queue, id);
    else if (err == MS_OK && *out_result == MS_CANCEL_REQUESTED)
        pods_tell(client, queue, id);
    return err;
}

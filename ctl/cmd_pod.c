/* pod list | show | drain */
#include <stdlib.h>

#include "common/fleet.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/status.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/view.h"

static const struct ms_column pod_columns[] = {
    {"id", "POD", MS_SHOW_PLAIN},
    {"label", "LABEL", MS_SHOW_PLAIN},
    {"host", "HOST", MS_SHOW_PLAIN},
    {"pid", "PID", MS_SHOW_PLAIN},
    {"version", "VERSION", MS_SHOW_PLAIN},
    {"queues", "QUEUES", MS_SHOW_PLAIN},
    {"busy", "BUSY", MS_SHOW_PLAIN},
    {"concurrency", "CONCURRENCY", MS_SHOW_PLAIN},
    {"draining", "DRAINING", MS_SHOW_PLAIN},
    {"heartbeat_ms", "HEARTBEAT", MS_SHOW_TIME},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static enum ms_err pod_list(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    ms_json_open(&json, '[');
    if (err == MS_OK)
        err = ms_view_pods(ctl->client, NULL, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, pod_columns);
    ms_buf_done(&out);
    return err;
}

/* Connects and reads the one pod of that id or label into `out_val`. */
static enum ms_err pod_find(struct ms_ctl *ctl, bool writes,
                            struct ms_val *out_val, struct ms_error *error)
{
    const char *id = ctl->line->args[0];
    struct ms_buf text = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&text);
    enum ms_err err = ms_ctl_connect(ctl, writes, error);

    ms_json_open(&json, '[');
    if (err == MS_OK)
        err = ms_view_pods(ctl->client, id, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        err = ms_val_from_json(text.data, text.len, out_val, error);
    ms_buf_done(&text);
    if (err != MS_OK)
        return err;
    if (out_val->root.via.array.size == 1)
        return MS_OK;
    err = out_val->root.via.array.size == 0
              ? ms_error_set(error, MS_ENOENT, "no live pod '%s'", id)
              : ms_error_set(error, MS_EINVAL,
                             "several pods are labelled '%s': name one by its "
                             "id",
                             id);
    ms_val_done(out_val);
    return err;
}

static enum ms_err pod_show(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_val val = {0};
    enum ms_err err = pod_find(ctl, false, &val, error);

    if (err != MS_OK)
        return err;
    ms_val_to_json(&val.root.via.array.ptr[0], &out);
    ms_ctl_print(ctl, &out, NULL);
    ms_val_done(&val);
    return MS_OK;
}

static enum ms_err drain_send(struct ms_ctl *ctl, const char *id,
                              struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_inbox_build(&cmd, ms_client_fleet(ctl->client), id, "drain");
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_status_parse(reply, "the pod's inbox", error);
    ms_reply_free(reply);
    if (err == MS_OK)
        ms_ctl_print_result(ctl, "id", id, "draining");
    return err;
}

static enum ms_err pod_drain(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_val val = {0};
    char *id;
    enum ms_err err = pod_find(ctl, true, &val, error);

    if (err != MS_OK)
        return err;
    id = ms_val_strdup(&val.root.via.array.ptr[0], "id");
    err = drain_send(ctl, id, error);
    free(id);
    ms_val_done(&val);
    return err;
}

const struct ms_command ms_commands_pod[] = {
    {"pod", "list", "", 0, 0, "all live pods", NULL, pod_list},
    {"pod", "show", "ID", 1, 1, "one pod and its slots (id or label)", NULL,
     pod_show},
    {"pod", "drain", "ID", 1, 1,
     "let a pod hand back its jobs and take no more", NULL, pod_drain},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

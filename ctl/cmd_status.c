/* status, doctor */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/doctor.h"
#include "ctl/overview.h"

/* ---- for people ---- */

static const struct ms_column queue_columns[] = {
    {"name", "QUEUE", MS_SHOW_PLAIN},
    {"paused", "PAUSED", MS_SHOW_PLAIN},
    {"ready", "READY", MS_SHOW_PLAIN},
    {"scheduled", "SCHEDULED", MS_SHOW_PLAIN},
    {"running", "RUNNING", MS_SHOW_PLAIN},
    {"max_workers", "MAX", MS_SHOW_PLAIN},
    {"waiting", "WAITING", MS_SHOW_PLAIN},
    {"done", "DONE", MS_SHOW_PLAIN},
    {"dead", "DEAD", MS_SHOW_PLAIN},
    {"oldest_ready_ms", "OLDEST READY", MS_SHOW_TIME},
    {NULL, NULL, MS_SHOW_PLAIN},
};
static const struct ms_column pod_columns[] = {
    {"id", "POD", MS_SHOW_PLAIN},
    {"label", "LABEL", MS_SHOW_PLAIN},
    {"queues", "QUEUES", MS_SHOW_PLAIN},
    {"busy", "BUSY", MS_SHOW_PLAIN},
    {"concurrency", "CONCURRENCY", MS_SHOW_PLAIN},
    {"draining", "DRAINING", MS_SHOW_PLAIN},
    {"heartbeat_ms", "HEARTBEAT", MS_SHOW_TIME},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static void leader_tell(const msgpack_object *leader, struct ms_buf *out)
{
    ms_buf_adds(out, "leader   ");
    if (leader == NULL || leader->type != MSGPACK_OBJECT_MAP) {
        ms_buf_adds(out, "none\n");
        return;
    }
    ms_output_cell(ms_val_get(leader, "id"), MS_SHOW_PLAIN, out);
    ms_buf_adds(out, " on ");
    ms_output_cell(ms_val_get(leader, "host"), MS_SHOW_PLAIN, out);
    ms_buf_adds(out, ", epoch ");
    ms_output_cell(ms_val_get(leader, "epoch"), MS_SHOW_PLAIN, out);
    ms_buf_adds(out, ", since ");
    ms_output_cell(ms_val_get(leader, "since_ms"), MS_SHOW_TIME, out);
    ms_buf_addc(out, '\n');
}

static int64_t backlog(const msgpack_object *queues)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < queues->via.array.size; i++)
        sum += ms_val_int(&queues->via.array.ptr[i], "ready", 0) +
               ms_val_int(&queues->via.array.ptr[i], "due", 0);
    return sum;
}

static void status_tell(const msgpack_object *status)
{
    const msgpack_object *queues = ms_val_get(status, "queues");
    struct ms_buf out = MS_BUF_INIT;

    leader_tell(ms_val_get(status, "leader"), &out);
    ms_buf_addf(&out, "backlog  %lld\n\n", (long long)backlog(queues));
    ms_output_table(queue_columns, queues, &out);
    ms_buf_addc(&out, '\n');
    ms_output_table(pod_columns, ms_val_get(status, "pods"), &out);
    fputs(ms_buf_str(&out), stdout);
    ms_buf_done(&out);
}

static enum ms_err status(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_val val = {0};
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    if (err == MS_OK)
        err = ms_overview_status(ctl->client, &json, error);
    if (err == MS_OK && ctl->line->json)
        ms_ctl_print(ctl, &out, NULL);
    else if (err == MS_OK)
        err = ms_val_from_json(out.data, out.len, &val, error);
    if (err == MS_OK && !ctl->line->json)
        status_tell(&val.root);
    ms_val_done(&val);
    ms_buf_done(&out);
    return err;
}

/* ---- doctor ---- */

static const struct ms_column check_columns[] = {
    {"check", "CHECK", MS_SHOW_PLAIN},   {"status", "STATUS", MS_SHOW_PLAIN},
    {"detail", "DETAIL", MS_SHOW_PLAIN}, {"advice", "ADVICE", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static enum ms_err doctor(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    bool healthy = true;
    enum ms_err err = ms_client_open(ctl->conf, &ctl->client, error);

    if (err != MS_OK)
        return err;
    ms_json_open(&json, '[');
    ms_doctor_run(ctl->client, &json, &healthy);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, check_columns);
    ctl->exit_code = healthy ? MS_EXIT_OK : MS_EXIT_FAILED;
    return MS_OK;
}

const struct ms_command ms_commands_status[] = {
    {"status", NULL, "", 0, 0, "queues, pods, leader and backlog", NULL,
     status},
    {"doctor", NULL, "", 0, 0, "check Redis and the fleet, and say what to do",
     NULL, doctor},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

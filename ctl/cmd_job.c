/* job show | wait | list | children | cancel | retry | run-now | delete */
#include <stdlib.h>
#include <string.h>

#include "common/admin.h"
#include "common/clock.h"
#include "common/name.h"
#include "ctl/cancel.h"
#include "ctl/children.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/list.h"
#include "ctl/view.h"
#include "ctl/wait.h"

/* Connects and finds the job's queue, a new string. */
static enum ms_err job_open(struct ms_ctl *ctl, bool writes, char **out_queue,
                            struct ms_error *error)
{
    enum ms_err err = ms_ctl_connect(ctl, writes, error);

    if (err != MS_OK)
        return err;
    return ms_view_find_job(ctl->client, ms_cli_get(ctl->line, "queue"),
                            ctl->line->args[0], out_queue, error);
}

static enum ms_err job_show(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_job *job = NULL;
    char *queue = NULL;
    enum ms_err err = job_open(ctl, false, &queue, error);

    if (err == MS_OK)
        err = ms_view_job(ctl->client, queue, ctl->line->args[0], &job, error);
    if (err == MS_OK)
        err = ms_wait_print_job(ctl, job, error);
    ms_job_free(job);
    free(queue);
    return err;
}

static enum ms_err job_wait(struct ms_ctl *ctl, struct ms_error *error)
{
    int64_t timeout_ms = 0;
    char *queue = NULL;
    enum ms_err err = ms_wait_timeout(ctl, 50000, &timeout_ms, error);

    if (err == MS_OK)
        err = job_open(ctl, false, &queue, error);
    if (err == MS_OK)
        err = ms_wait_job(ctl, queue, ctl->line->args[0], timeout_ms, NULL,
                          NULL, error);
    free(queue);
    return err;
}

/* ---- list ---- */

static const struct ms_column job_columns[] = {
    {"id", "ID", MS_SHOW_PLAIN},
    {"kind", "KIND", MS_SHOW_PLAIN},
    {"state", "STATE", MS_SHOW_PLAIN},
    {"priority", "PRIORITY", MS_SHOW_PLAIN},
    {"attempts", "ATTEMPTS", MS_SHOW_PLAIN},
    {"created_ms", "CREATED", MS_SHOW_TIME},
    {"due_ms", "DUE", MS_SHOW_TIME},
    {"error", "ERROR", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static void on_listed(const struct ms_job *job, void *arg)
{
    ms_job_to_json(job, arg);
}

static enum ms_err job_list(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_list_ask ask = {
        .queue = ms_cli_get(ctl->line, "queue"),
        .state = ms_cli_get(ctl->line, "state"),
        .kind = ms_cli_get(ctl->line, "kind"),
        .cursor = ms_cli_get(ctl->line, "cursor"),
    };
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    char *next = NULL;
    enum ms_err err;

    if (ask.queue == NULL)
        return ms_error_set(error, MS_EINVAL, "--queue is needed");
    err = ms_ctl_limit(ctl, &ask.limit, error);
    if (err == MS_OK)
        err = ms_ctl_connect(ctl, false, error);
    if (err != MS_OK)
        return err;
    ms_json_open(&json, '{');
    ms_json_key(&json, "items");
    ms_json_open(&json, '[');
    err = ms_list_page(ctl->client, &ask, on_listed, &json, &next, error);
    ms_json_close(&json);
    ms_json_key(&json, "next");
    ms_json_str(&json, next);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, job_columns);
    ms_buf_done(&out);
    free(next);
    return err;
}

/* Those of a batch or an import, by their number. */
static enum ms_err job_children(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_job *job = NULL;
    char *queue = NULL;
    int64_t from = 0, limit;
    enum ms_err err = ms_ctl_limit(ctl, &limit, error);

    if (err == MS_OK)
        err = ms_cli_int(ctl->line, "cursor", 0, INT64_MAX / 2, &from, error);
    if (err == MS_OK)
        err = job_open(ctl, false, &queue, error);
    if (err == MS_OK)
        err = ms_view_job(ctl->client, queue, ctl->line->args[0], &job, error);
    if (err == MS_OK && job->phase == NULL && job->plan.data == NULL)
        err =
            ms_error_set(error, MS_ESTATE, "job '%s' has no children", job->id);
    if (err == MS_OK)
        err = ms_children_page(ctl->client, job, from, limit, &json, error);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, job_columns);
    ms_buf_done(&out);
    ms_job_free(job);
    free(queue);
    return err;
}

/* ---- acting on one job ---- */

/* An id that is in no queue is an answer here, not a failure to ask. */
static enum ms_err job_cancel(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_cancel_result result = MS_CANCEL_UNKNOWN;
    const char *id = ctl->line->args[0];
    char *queue = NULL;
    enum ms_err err = job_open(ctl, true, &queue, error);

    if (err == MS_OK)
        err = ms_cancel_job(ctl->client, queue, id, &result, error);
    free(queue);
    if (err != MS_OK && err != MS_ENOENT)
        return err;
    ms_ctl_print_result(ctl, "id", id, ms_cancel_result_name(result));
    if (result == MS_CANCEL_UNKNOWN)
        ctl->exit_code = MS_EXIT_FAILED;
    return MS_OK;
}

typedef void status_build_fn(struct ms_cmd *cmd, const char *fleet,
                             const char *queue, const char *id);

static void retry_build(struct ms_cmd *cmd, const char *fleet,
                        const char *queue, const char *id)
{
    ms_retry_build(cmd, fleet, queue, id, NULL, 0);
}

/* Runs a script that answers a status word.  A parent's many chunks are
 * deleted step by step (MS_EBUSY: call again). */
static enum ms_err status_run(struct ms_ctl *ctl, status_build_fn *build,
                              const char *past, struct ms_error *error)
{
    const char *id = ctl->line->args[0];
    char *queue = NULL;
    enum ms_err err = job_open(ctl, true, &queue, error);

    while (err == MS_OK) {
        struct ms_cmd cmd = MS_CMD_INIT;
        struct ms_reply *reply = NULL;

        build(&cmd, ms_client_fleet(ctl->client), queue, id);
        err = ms_client_call(ctl->client, &cmd, &reply, error);
        if (err == MS_OK)
            err = ms_job_status_parse(reply, id, error);
        ms_reply_free(reply);
        if (err != MS_EBUSY)
            break;
        err = MS_OK;
    }
    if (err == MS_OK)
        ms_ctl_print_result(ctl, "id", id, past);
    free(queue);
    return err;
}

static enum ms_err job_retry(struct ms_ctl *ctl, struct ms_error *error)
{
    return status_run(ctl, retry_build, "retried", error);
}

static enum ms_err job_run_now(struct ms_ctl *ctl, struct ms_error *error)
{
    return status_run(ctl, ms_run_now_build, "ready", error);
}

static enum ms_err job_delete(struct ms_ctl *ctl, struct ms_error *error)
{
    return status_run(ctl, ms_delete_build, "deleted", error);
}

static const struct ms_option queue_option[] = {
    {"queue", "Q", "its queue (default: the one that holds the id)"},
    {NULL, NULL, NULL},
};
static const struct ms_option wait_options[] = {
    {"queue", "Q", "its queue (default: the one that holds the id)"},
    {"timeout", "D", "how long (default 50s; \"none\": for ever)"},
    {NULL, NULL, NULL},
};
static const struct ms_option list_options[] = {
    {"queue", "Q", "the queue (needed)"},
    {"state", "S", "scheduled, ready, running, waiting, done or dead"},
    {"kind", "K", "only jobs of this kind"},
    {"limit", "N", "jobs a page, 1 to 1000 (default 50)"},
    {"cursor", "C", "go on where the last page ended"},
    {NULL, NULL, NULL},
};
static const struct ms_option children_options[] = {
    {"queue", "Q", "its queue (default: the one that holds the id)"},
    {"limit", "N", "children a page, 1 to 1000 (default 50)"},
    {"cursor", "C", "go on where the last page ended"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_job[] = {
    {"job", "show", "ID", 1, 1, "one job", queue_option, job_show},
    {"job", "wait", "ID", 1, 1, "wait until a job has ended, then show it",
     wait_options, job_wait},
    {"job", "list", "", 0, 0, "the jobs of a queue, page by page", list_options,
     job_list},
    {"job", "children", "ID", 1, 1, "the children of a batch, page by page",
     children_options, job_children},
    {"job", "cancel", "ID", 1, 1, "end a job, running or not", queue_option,
     job_cancel},
    {"job", "retry", "ID", 1, 1, "make an ended job ready again", queue_option,
     job_retry},
    {"job", "run-now", "ID", 1, 1, "make a scheduled job ready at once",
     queue_option, job_run_now},
    {"job", "delete", "ID", 1, 1, "remove a job that does not run",
     queue_option, job_delete},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

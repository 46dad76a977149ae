/* dump import | show | chunks | rejects | retry | cancel */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/admin.h"
#include "common/keys.h"
#include "common/parent.h"
#include "common/ulid.h"
#include "ctl/cancel.h"
#include "ctl/children.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/dump.h"
#include "ctl/dump_import.h"
#include "ctl/enqueue_one.h"
#include "ctl/kinds.h"
#include "ctl/view.h"
#include "ctl/wait.h"
#include "ctl/watch.h"

/* ---- import ---- */

static enum ms_err import_enqueue(struct ms_ctl *ctl,
                                  const struct ms_import *import,
                                  struct ms_enqueued *out_done,
                                  struct ms_error *error)
{
    struct ms_buf payload = MS_BUF_INIT;
    struct ms_dataset map;
    char id[MS_ULID_LEN + 1];
    struct ms_new_job job = {.id = id,
                             .kind = "dump.import",
                             .priority = MS_PRIORITY_DEFAULT,
                             .parent = true};
    enum ms_err err = ms_import_open(ctl, import, &map, error);

    if (err != MS_OK)
        return err;
    ms_ulid_new(id);
    ms_import_payload(ctl, import, &map, &payload);
    job.payload = payload.data;
    job.payload_len = payload.len;
    err = ms_enqueue_one(ctl->client, import->queue, &job,
                         ctl->conf->max_payload_bytes, out_done, error);
    ms_buf_done(&payload);
    return err;
}

/* Is there a key, or a field of it?  False when Redis does not answer. */
static bool exists(struct ms_client *client, const char *key, const char *field)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    bool found;

    ms_cmd_plain(&cmd, field != NULL ? "HEXISTS" : "EXISTS", key, field, NULL);
    found = ms_client_ask(client, &cmd, &reply, NULL) == MS_OK &&
            ms_reply_int(reply, 0) == 1;
    ms_reply_free(reply);
    return found;
}

static bool has_seed(const struct ms_conf *conf, const char *queue)
{
    for (size_t i = 0; i < conf->n_queues; i++)
        if (strcmp(conf->queues[i].name, queue) == 0)
            return true;
    return false;
}

/* Things that would make it wait, or crawl, without a word. */
static void import_warn(struct ms_ctl *ctl, const char *queue)
{
    const char *fleet = ms_client_fleet(ctl->client);
    struct ms_kinds kinds = {0};
    char key[MS_KEY_MAX];

    if (!exists(ctl->client, ms_key_fleet(key, fleet, "leader"), NULL))
        ms_ctl_warn("warning: no coordinator leads now; the import waits for "
                    "one");
    ms_kinds_warn(&kinds, ctl->client, queue, "dump.chunk");
    ms_kinds_done(&kinds);
    if (!has_seed(ctl->conf, queue) &&
        !exists(ctl->client, ms_key_queue(key, fleet, queue, "cfg"),
                "max_workers"))
        ms_ctl_warn("warning: queue '%s' has no max_workers, so one chunk "
                    "runs at a time: musterctl queue set %s max_workers=16",
                    queue, queue);
}

static void import_print(const struct ms_ctl *ctl, const char *id,
                         const char *queue)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "id");
    ms_json_str(&json, id);
    ms_json_key(&json, "queue");
    ms_json_str(&json, queue);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

/* With --json the job is the one document that is printed. */
static enum ms_err import_wait(struct ms_ctl *ctl, const char *id,
                               const char *queue, struct ms_error *error)
{
    struct ms_watch *watch = ms_watch_new(ctl, queue, id);
    int64_t timeout_ms = 0;
    enum ms_err err;

    if (!ctl->line->json)
        import_print(ctl, id, queue);
    err = ms_wait_timeout(ctl, -1, &timeout_ms, error);
    if (err == MS_OK)
        err = ms_wait_job(ctl, queue, id, timeout_ms, ms_watch_round, watch,
                          error);
    ms_watch_free(watch);
    if (ctl->exit_code == MS_EXIT_SIGINT)
        ms_ctl_warn("the import goes on; look at it with: musterctl dump show "
                    "%s",
                    id);
    return err;
}

static enum ms_err dump_import(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_import import;
    struct ms_enqueued done;
    int64_t timeout_ms;
    enum ms_err err = ms_wait_timeout(ctl, -1, &timeout_ms, error);

    if (err != MS_OK)
        return err;
    err = ms_import_read(ctl, &import, error);
    if (err == MS_OK)
        err = ms_ctl_connect(ctl, true, error);
    if (err == MS_OK)
        err = import_enqueue(ctl, &import, &done, error);
    if (err == MS_OK) {
        import_warn(ctl, import.queue);
        if (ms_cli_has(ctl->line, "wait"))
            err = import_wait(ctl, done.id, import.queue, error);
        else
            import_print(ctl, done.id, import.queue);
    }
    ms_import_done(&import);
    return err;
}

/* ---- looking ---- */

/* Connects and reads the import that the command line names. */
static enum ms_err dump_open(struct ms_ctl *ctl, bool writes,
                             struct ms_job **out_job,
                             struct ms_dump_facts *out_facts,
                             struct ms_error *error)
{
    const char *id = ctl->line->args[0];
    char *queue = NULL;
    enum ms_err err = ms_ctl_connect(ctl, writes, error);

    if (err == MS_OK)
        err = ms_view_find_job(ctl->client, ms_cli_get(ctl->line, "queue"), id,
                               &queue, error);
    if (err == MS_OK)
        err = ms_dump_read(ctl->client, queue, id, out_job, out_facts, error);
    free(queue);
    return err;
}

static enum ms_err dump_show(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_dump_facts facts;
    struct ms_job *job = NULL;
    enum ms_err err = dump_open(ctl, false, &job, &facts, error);

    if (err == MS_OK)
        err = ms_dump_to_json(ctl->client, job, &facts, &json, error);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, NULL);
    ms_buf_done(&out);
    ms_job_free(job);
    return err;
}

static const struct ms_column chunk_columns[] = {
    {"chunk", "CHUNK", MS_SHOW_PLAIN},
    {"state", "STATE", MS_SHOW_PLAIN},
    {"attempts", "ATTEMPTS", MS_SHOW_PLAIN},
    {"pod", "POD", MS_SHOW_PLAIN},
    {"progress", "PROGRESS", MS_SHOW_PLAIN},
    {"error", "ERROR", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static enum ms_err dump_chunks(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_dump_facts facts;
    struct ms_job *job = NULL;
    int64_t from = 0, limit;
    enum ms_err err = ms_ctl_limit(ctl, &limit, error);

    if (err == MS_OK)
        err = ms_cli_int(ctl->line, "cursor", 0, INT64_MAX / 2, &from, error);
    if (err == MS_OK)
        err = dump_open(ctl, false, &job, &facts, error);
    if (err == MS_OK)
        err = ms_children_page(ctl->client, job, from, limit, &json, error);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, chunk_columns);
    ms_buf_done(&out);
    ms_job_free(job);
    return err;
}

/* ---- rejects ---- */

static const struct ms_column reject_columns[] = {
    {"chunk", "CHUNK", MS_SHOW_PLAIN},
    {"offset", "OFFSET", MS_SHOW_PLAIN},
    {"reason", "REASON", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

/* "<offset> <chunk> <reason>" */
static void reject_write(const char *member, struct ms_json *json)
{
    char *end;
    long long offset = strtoll(member, &end, 10);
    long long chunk = strtoll(end, &end, 10);

    ms_json_open(json, '{');
    ms_json_key(json, "chunk");
    ms_json_int(json, chunk);
    ms_json_key(json, "offset");
    ms_json_int(json, offset);
    ms_json_key(json, "reason");
    ms_json_str(json, *end == ' ' ? end + 1 : end);
    ms_json_close(json);
}

static enum ms_err dump_rejects(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_dump_facts facts;
    struct ms_job *job = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err = dump_open(ctl, false, &job, &facts, error);

    if (err != MS_OK)
        return err;
    ms_key_queue(key, ms_client_fleet(ctl->client), job->queue, "rejects:%s",
                 job->id);
    ms_cmd_plain(&cmd, "ZRANGE", key, "0", "-1", NULL);
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    if (err == MS_OK) {
        ms_json_open(&json, '[');
        for (size_t i = 0; i < reply->n_items; i++)
            reject_write(ms_reply_str(ms_reply_at(reply, i), ""), &json);
        ms_json_close(&json);
        ms_ctl_print(ctl, &out, reject_columns);
    }
    ms_reply_free(reply);
    ms_job_free(job);
    return err;
}

/* ---- acting ---- */

static enum ms_err dump_retry(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf payload = MS_BUF_INIT;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_dump_facts facts;
    struct ms_job *job = NULL;
    int64_t max_errors = 0;
    bool change = ms_cli_has(ctl->line, "max-errors");
    enum ms_err err = ms_import_max_errors(ctl->line, &max_errors, error);

    if (err == MS_OK)
        err = dump_open(ctl, true, &job, &facts, error);
    if (err == MS_OK && change)
        err = ms_import_repay(&job->payload, max_errors, &payload, error);
    if (err != MS_OK)
        goto out;
    ms_retry_build(&cmd, ms_client_fleet(ctl->client), job->queue, job->id,
                   change ? payload.data : NULL, payload.len);
    err = ms_client_call(ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_job_status_parse(reply, job->id, error);
    if (err == MS_OK)
        ms_ctl_print_result(ctl, "id", job->id, "retried");
out:
    ms_reply_free(reply);
    ms_job_free(job);
    ms_buf_done(&payload);
    return err;
}

static enum ms_err dump_cancel(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_cancel_result result = MS_CANCEL_UNKNOWN;
    struct ms_dump_facts facts;
    struct ms_job *job = NULL;
    enum ms_err err = dump_open(ctl, true, &job, &facts, error);

    if (err == MS_OK)
        err = ms_cancel_job(ctl->client, job->queue, job->id, &result, error);
    ms_job_free(job);
    if (err != MS_OK && err != MS_ENOENT)
        return err;
    ms_ctl_print_result(ctl, "id", ctl->line->args[0],
                        ms_cancel_result_name(result));
    if (result == MS_CANCEL_UNKNOWN)
        ctl->exit_code = MS_EXIT_FAILED;
    return MS_OK;
}

static const struct ms_option import_options[] = {
    {"dataset", "NAME", "where to (default: the file's name up to a dot)"},
    {"shards", "N", "of a new dataset (default 4)"},
    {"id-field", "NAME", "a document's id (default: the dataset's, or \"id\")"},
    {"chunk-size", "SIZE", "4KiB or more (default 256MiB)"},
    {"max-errors", "N", "bad lines to bear, or \"unlimited\" (default 0)"},
    {"queue", "Q", "the queue (default \"dump\")"},
    {"wait", NULL, "show progress until the end, then the job"},
    {"timeout", "D", "of --wait (default: none)"},
    {NULL, NULL, NULL},
};
static const struct ms_option queue_option[] = {
    {"queue", "Q", "its queue (default: the one that holds the id)"},
    {NULL, NULL, NULL},
};
static const struct ms_option page_options[] = {
    {"queue", "Q", "its queue (default: the one that holds the id)"},
    {"limit", "N", "chunks a page, 1 to 1000 (default 50)"},
    {"cursor", "C", "go on where the last page ended"},
    {NULL, NULL, NULL},
};
static const struct ms_option retry_options[] = {
    {"queue", "Q", "its queue (default: the one that holds the id)"},
    {"max-errors", "N", "bad lines to bear from now on, or \"unlimited\""},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_dump[] = {
    {"dump", "import", "SOURCE", 1, 1,
     "read a file of JSON lines into a dataset", import_options, dump_import},
    {"dump", "show", "ID", 1, 1, "one import and how far it has come",
     queue_option, dump_show},
    {"dump", "chunks", "ID", 1, 1, "an import's chunks, page by page",
     page_options, dump_chunks},
    {"dump", "rejects", "ID", 1, 1, "the bad lines, at most 1,000",
     queue_option, dump_rejects},
    {"dump", "retry", "ID", 1, 1, "resume an import that ended dead",
     retry_options, dump_retry},
    {"dump", "cancel", "ID", 1, 1, "stop an import", queue_option, dump_cancel},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

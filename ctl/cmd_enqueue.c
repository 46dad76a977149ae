/* job enqueue, one job or a batch */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/enqueue.h"
#include "common/mem.h"
#include "ctl/batch.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/enqueue_one.h"
#include "ctl/family.h"
#include "ctl/kinds.h"
#include "ctl/spec.h"
#include "ctl/wait.h"

/* Options that a batch's lines say themselves. */
static const char *const job_fields[] = {
    "id",         "priority",    "delay", "at",           "expires", "unique",
    "unique-ttl", "unique-mode", "group", "max-attempts", "timeout"};

/* The kernel takes no argument of more than 128 KiB, a job does.  Reads no more
 * than it takes to see that it is too long. */
static enum ms_err stdin_read(const struct ms_conf *conf, struct ms_buf *out,
                              struct ms_error *error)
{
    size_t most = 8 * (size_t)conf->max_payload_bytes + 65536, got;

    do {
        got = fread(ms_buf_reserve(out, 65536), 1, 65536, stdin);
        out->len += got;
    } while (got > 0 && out->len <= most);
    if (ferror(stdin))
        return ms_error_set(error, MS_EIO, "cannot read the payload: %s",
                            strerror(errno));
    if (out->len > most)
        return ms_error_set(error, MS_EINVAL,
                            "the payload is longer than max_payload (%lld)",
                            (long long)conf->max_payload_bytes);
    return MS_OK;
}

static enum ms_err payload_read(const struct ms_ctl *ctl, struct ms_buf *out,
                                struct ms_error *error)
{
    const struct ms_cli *line = ctl->line;

    if (line->n_args > 1 && strcmp(line->args[1], "-") == 0)
        return stdin_read(ctl->conf, out, error);
    ms_buf_adds(out, line->n_args > 1 ? line->args[1] : "{}");
    return MS_OK;
}

static enum ms_err spec_read(const struct ms_ctl *ctl, struct ms_spec *spec,
                             struct ms_error *error)
{
    const struct ms_cli *line = ctl->line;
    struct ms_buf payload = MS_BUF_INIT;
    enum ms_err err = payload_read(ctl, &payload, error);

    if (err == MS_OK)
        err = ms_spec_begin(spec, line->args[0], payload.data, payload.len,
                            error);
    ms_buf_done(&payload);

    for (size_t i = 0; i < MS_COUNT_OF(job_fields) && err == MS_OK; i++) {
        const char *text = ms_cli_get(line, job_fields[i]);

        if (text != NULL)
            err = ms_spec_set(spec, job_fields[i], text, error);
    }
    if (err == MS_OK)
        err = ms_spec_finish(spec, ctl->conf, ms_cli_get(line, "queue"), error);
    return err;
}

static void enqueued_print(struct ms_ctl *ctl, const struct ms_spec *spec,
                           const struct ms_enqueued *done)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    if (!ctl->line->json) {
        printf("%s in queue %s%s\n", done->id, spec->queue,
               done->deduplicated ? " (it was there already)" : "");
        return;
    }
    ms_json_open(&json, '{');
    ms_json_key(&json, "id");
    ms_json_str(&json, done->id);
    ms_json_key(&json, "queue");
    ms_json_str(&json, spec->queue);
    ms_json_key(&json, "deduplicated");
    ms_json_bool(&json, done->deduplicated);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

static enum ms_err enqueue_single(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_spec spec = {0};
    struct ms_enqueued done;
    enum ms_err err = spec_read(ctl, &spec, error);

    if (err == MS_OK)
        err = ms_ctl_connect(ctl, true, error);
    if (err == MS_OK)
        err = ms_enqueue_one(ctl->client, spec.queue, &spec.job,
                             ctl->conf->max_payload_bytes, &done, error);
    if (err == MS_OK) {
        struct ms_kinds kinds = {0};

        ms_kinds_warn(&kinds, ctl->client, spec.queue, spec.kind);
        ms_kinds_done(&kinds);
        enqueued_print(ctl, &spec, &done);
    }
    ms_spec_done(&spec);
    return err;
}

/* ---- a batch ---- */

static void batch_print(struct ms_ctl *ctl,
                        const struct ms_batch_result *result)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "enqueued");
    ms_json_int(&json, result->enqueued);
    ms_json_key(&json, "deduplicated");
    ms_json_int(&json, result->deduplicated);
    if (result->failed_line != 0) {
        ms_json_key(&json, "failed_line");
        ms_json_int(&json, result->failed_line);
    }
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

static enum ms_err batch_options_check(const struct ms_cli *line,
                                       struct ms_error *error)
{
    if (line->n_args > 0)
        return ms_error_set(error, MS_EINVAL,
                            "with --batch, each line names its kind");
    for (size_t i = 0; i < MS_COUNT_OF(job_fields); i++)
        if (ms_cli_has(line, job_fields[i]) &&
            !(ms_cli_has(line, "parent") && strcmp(job_fields[i], "id") == 0))
            return ms_error_set(error, MS_EINVAL,
                                "with --batch, each line says its own %s",
                                job_fields[i]);
    if (ms_cli_has(line, "queue"))
        return ms_name_check("queue", ms_cli_get(line, "queue"), error);
    return MS_OK;
}

static enum ms_err enqueue_file(struct ms_ctl *ctl, FILE *file,
                                struct ms_error *error)
{
    struct ms_batch_result result;
    enum ms_err err =
        ms_batch_run(ctl, file, ms_cli_get(ctl->line, "queue"), &result, error);

    batch_print(ctl, &result);
    if (err != MS_OK && result.in_lines.len > 0)
        ms_ctl_warn("these lines are in: %s", ms_buf_str(&result.in_lines));
    else if (err != MS_OK)
        ms_ctl_warn("no line is in");
    ms_buf_done(&result.in_lines);
    return err;
}

static void family_print(struct ms_ctl *ctl,
                         const struct ms_family_result *result)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "id");
    ms_json_str(&json, result->id);
    ms_json_key(&json, "queue");
    ms_json_str(&json, result->queue);
    ms_json_key(&json, "enqueued");
    ms_json_int(&json, result->enqueued);
    ms_json_key(&json, "deduplicated");
    ms_json_int(&json, result->deduplicated);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

/* A batch with a parent; with --wait the ended parent is what is printed. */
static enum ms_err enqueue_family(struct ms_ctl *ctl, FILE *file,
                                  struct ms_error *error)
{
    struct ms_family_result result;
    bool waits = ms_cli_has(ctl->line, "wait");
    enum ms_err err = ms_family_run(ctl, file, &result, error);

    if (result.enqueued + result.deduplicated > 0 || err == MS_OK)
        if (err != MS_OK || !waits)
            family_print(ctl, &result);
    if (err == MS_OK && waits)
        err = ms_wait_job(ctl, result.queue, result.id, -1, NULL, NULL, error);
    ms_family_result_done(&result);
    return err;
}

static enum ms_err enqueue_batch(struct ms_ctl *ctl, struct ms_error *error)
{
    const char *path = ms_cli_get(ctl->line, "batch");
    bool standard = strcmp(path, "-") == 0;
    enum ms_err err = batch_options_check(ctl->line, error);
    FILE *file;

    if (err != MS_OK)
        return err;
    file = standard ? stdin : fopen(path, "re");
    if (file == NULL)
        return ms_error_set(error, MS_EIO, "cannot open '%s': %s", path,
                            strerror(errno));
    err = ms_ctl_connect(ctl, true, error);
    if (err == MS_OK)
        err = ms_cli_has(ctl->line, "parent") ? enqueue_family(ctl, file, error)
                                              : enqueue_file(ctl, file, error);
    if (!standard)
        fclose(file);
    return err;
}

/* Options that speak of a batch's parent. */
static const char *const parent_options[] = {"on-complete", "on-success",
                                             "on-failure", "policy", "wait"};

static enum ms_err parent_options_check(const struct ms_cli *line,
                                        struct ms_error *error)
{
    if (ms_cli_has(line, "parent") && !ms_cli_has(line, "batch"))
        return ms_error_set(error, MS_EINVAL,
                            "--parent needs --batch FILE, its children");
    for (size_t i = 0; i < MS_COUNT_OF(parent_options); i++)
        if (ms_cli_has(line, parent_options[i]) && !ms_cli_has(line, "parent"))
            return ms_error_set(error, MS_EINVAL,
                                "--%s needs --batch FILE and --parent KIND",
                                parent_options[i]);
    return MS_OK;
}

static enum ms_err job_enqueue(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = parent_options_check(ctl->line, error);

    if (err != MS_OK)
        return err;
    if (ms_cli_has(ctl->line, "batch"))
        return enqueue_batch(ctl, error);
    if (ctl->line->n_args == 0)
        return ms_error_set(error, MS_EINVAL, "missing argument: KIND");
    return enqueue_single(ctl, error);
}

static const struct ms_option enqueue_options[] = {
    {"queue", "Q", "the queue (default: the kind's, else \"default\")"},
    {"id", "ID", "its id (default: a fresh one)"},
    {"priority", "N", "0 (first) to 9, default 5"},
    {"delay", "D", "not before so long from now (30s, 5m)"},
    {"at", "TIME", "not before (2026-01-31T12:30:00Z, or ms)"},
    {"expires", "D", "dead if not begun by then (duration or time)"},
    {"unique", "KEY", "only one job with this key at a time"},
    {"unique-ttl", "D", "the key is free again after this at the latest"},
    {"unique-mode", "M",
     "who holds the key and waits: refuse (it stays), replace (it goes), "
     "debounce (it takes this payload and delay)"},
    {"group", "G", "fair-share group"},
    {"max-attempts", "N", "instead of the queue's"},
    {"timeout", "D", "instead of the queue's"},
    {"batch", "FILE",
     "many jobs, one JSON object a line (\"-\": standard "
     "input)"},
    {"parent", "KIND",
     "they are children of a parent of this name, which ends with the last of "
     "them (--id: its id)"},
    {"on-complete", "KIND[=PAYLOAD]", "a job for when the parent has ended"},
    {"on-success", "KIND[=PAYLOAD]", "a job for when it is done"},
    {"on-failure", "KIND[=PAYLOAD]", "a job for when it is dead"},
    {"policy", "P",
     "when a child is dead: continue (default), or fail-fast: stop the others"},
    {"wait", NULL, "wait until the parent has ended, then show it"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_enqueue[] = {
    {"job", "enqueue", "KIND [PAYLOAD]", 0, 2,
     "add a job (the payload is JSON; \"-\": standard input), or many with "
     "--batch",
     enqueue_options, job_enqueue},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

#include "common/job.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* ---- reading ---- */

static char *text_of(const struct ms_reply *pairs, const char *field)
{
    const struct ms_reply *value = ms_reply_field(pairs, field);

    return value->type == MS_REPLY_STR ? ms_xstrndup(value->str, value->len)
                                       : NULL;
}

static struct ms_bytes bytes_of(const struct ms_reply *pairs, const char *field)
{
    const struct ms_reply *value = ms_reply_field(pairs, field);
    struct ms_bytes bytes = {NULL, 0};

    if (value->type == MS_REPLY_STR) {
        bytes.data = ms_xstrndup(value->str, value->len);
        bytes.len = value->len;
    }
    return bytes;
}

static void read_numbers(struct ms_job *job, const struct ms_reply *pairs)
{
    const struct {
        const char *name;
        int64_t *number;
        int64_t fallback;
    } fields[] = {
        {"seq", &job->seq, 0},
        {"attempts", &job->attempts, 0},
        {"max_attempts", &job->max_attempts, 0},
        {"crashes", &job->crashes, 0},
        {"throttles", &job->throttles, 0},
        {"fence", &job->fence, 0},
        {"chunk", &job->chunk, -1},
        {"created_ms", &job->created_ms, 0},
        {"ready_ms", &job->ready_ms, 0},
        {"started_ms", &job->started_ms, 0},
        {"finished_ms", &job->finished_ms, 0},
        {"due_ms", &job->due_ms, 0},
        {"expires_ms", &job->expires_ms, 0},
        {"timeout_ms", &job->timeout_ms, 0},
    };

    for (size_t i = 0; i < MS_COUNT_OF(fields); i++)
        *fields[i].number = ms_reply_int(ms_reply_field(pairs, fields[i].name),
                                         fields[i].fallback);
    if (job->ready_ms == 0 && strcmp(job->state, "scheduled") != 0)
        job->ready_ms = job->created_ms;
    job->priority = (int)ms_reply_int(ms_reply_field(pairs, "priority"),
                                      MS_PRIORITY_DEFAULT);
    job->cancel_requested =
        ms_reply_int(ms_reply_field(pairs, "cancel_requested"), 0) != 0;
}

/* -1 for none, and for what is no share of 1. */
static double read_progress(const struct ms_reply *pairs)
{
    const char *text = ms_reply_str(ms_reply_field(pairs, "progress"), "");
    char *end;
    double progress = strtod(text, &end);

    if (end == text || *end != '\0' || !(progress >= 0 && progress <= 1))
        return -1;
    return progress;
}

static void read_texts(struct ms_job *job, const struct ms_reply *pairs)
{
    job->kind = text_of(pairs, "kind");
    job->state = text_of(pairs, "state");
    if (job->state == NULL)
        job->state = ms_xstrdup("ready");
    job->json = ms_reply_is(ms_reply_field(pairs, "enc"), "json");
    job->payload = bytes_of(pairs, "payload");
    job->result = bytes_of(pairs, "result");
    job->cursor = bytes_of(pairs, "cursor");
    job->plan = bytes_of(pairs, "plan");
    job->pod = text_of(pairs, "pod");
    job->parent = text_of(pairs, "parent");
    job->group = text_of(pairs, "group");
    job->unique = text_of(pairs, "unique");
    job->error = text_of(pairs, "error");
    job->errors = text_of(pairs, "errors");
    job->phase = text_of(pairs, "phase");
    job->batch = text_of(pairs, "batch");
    job->callback_of = text_of(pairs, "callback_of");
    job->progress = read_progress(pairs);
}

enum ms_err ms_job_parse(const char *queue, const char *id,
                         const struct ms_reply *pairs, struct ms_job **out_job,
                         struct ms_error *error)
{
    struct ms_job *job;

    if (pairs->type != MS_REPLY_ARRAY || pairs->n_items % 2 != 0)
        return ms_error_set(error, MS_EPROTO, "job '%s': no hash", id);
    if (pairs->n_items == 0)
        return ms_error_set(error, MS_ENOENT, "there is no job '%s'", id);
    if (ms_reply_field(pairs, "kind")->type != MS_REPLY_STR)
        return ms_error_set(error, MS_EPROTO, "job '%s' has no kind", id);
    job = ms_xcalloc(1, sizeof(*job));
    job->id = ms_xstrdup(id);
    job->queue = ms_xstrdup(queue);
    read_texts(job, pairs);
    read_numbers(job, pairs);
    *out_job = job;
    return MS_OK;
}

void ms_job_free(struct ms_job *job)
{
    if (job == NULL)
        return;
    free(job->id);
    free(job->queue);
    free(job->kind);
    free(job->state);
    free(job->payload.data);
    free(job->result.data);
    free(job->cursor.data);
    free(job->plan.data);
    free(job->pod);
    free(job->parent);
    free(job->group);
    free(job->unique);
    free(job->error);
    free(job->errors);
    free(job->phase);
    free(job->batch);
    free(job->callback_of);
    free(job);
}

/* ---- writing ---- */

/* Bytes that cannot be read as what they claim to be are shown as null: one
 * broken record must not hide a list. */
static void add_bytes(const struct ms_bytes *bytes, bool json,
                      struct ms_buf *out)
{
    struct ms_val val = {0};
    enum ms_err err = MS_ENOENT;

    if (bytes->data != NULL && json)
        err = ms_val_from_json(bytes->data, bytes->len, &val, NULL);
    else if (bytes->data != NULL)
        err = ms_val_from_msgpack(bytes->data, bytes->len, &val, NULL);
    if (err == MS_OK)
        ms_val_to_json(&val.root, out);
    else
        ms_buf_adds(out, "null");
    ms_val_done(&val);
}

void ms_job_bytes_to_json(const struct ms_job *job,
                          const struct ms_bytes *bytes, struct ms_buf *out)
{
    add_bytes(bytes, job->json && bytes != &job->cursor, out);
}

static void add_text(struct ms_json *json, const char *key, const char *text)
{
    ms_json_key(json, key);
    ms_json_str(json, text);
}

static void add_int(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    ms_json_int(json, value);
}

/* A time, or what is known only when it is not 0. */
static void add_known(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    if (value == 0)
        ms_json_null(json);
    else
        ms_json_int(json, value);
}

static void add_json(struct ms_json *json, const char *key,
                     const struct ms_job *job, const struct ms_bytes *bytes)
{
    struct ms_buf text = MS_BUF_INIT;

    ms_job_bytes_to_json(job, bytes, &text);
    ms_json_key(json, key);
    ms_json_raw(json, text.data, text.len);
    ms_buf_done(&text);
}

/* An array in any case: what a hand put there must not break the document. */
static void add_errors(struct ms_json *json, const struct ms_job *job)
{
    struct ms_val val = {0};

    ms_json_key(json, "errors");
    if (job->errors != NULL)
        ms_val_from_json(job->errors, strlen(job->errors), &val, NULL);
    if (val.root.type == MSGPACK_OBJECT_ARRAY)
        ms_json_val(json, &val.root);
    else
        ms_json_raw(json, "[]", 2);
    ms_val_done(&val);
}

static void add_life(struct ms_json *json, const struct ms_job *job)
{
    add_int(json, "attempts", job->attempts);
    add_known(json, "max_attempts", job->max_attempts);
    add_int(json, "crashes", job->crashes);
    add_int(json, "throttles", job->throttles);
    add_known(json, "fence", job->fence);
    add_text(json, "pod", job->pod);
    add_known(json, "created_ms", job->created_ms);
    add_known(json, "ready_ms", job->ready_ms);
    add_known(json, "started_ms", job->started_ms);
    add_known(json, "finished_ms", job->finished_ms);
    add_known(json, "due_ms", job->due_ms);
    add_known(json, "expires_ms", job->expires_ms);
    ms_json_key(json, "progress");
    if (job->progress < 0)
        ms_json_null(json);
    else
        ms_json_double(json, job->progress);
    add_json(json, "cursor", job, &job->cursor);
}

static void add_family(struct ms_json *json, const struct ms_job *job)
{
    add_text(json, "parent", job->parent);
    ms_json_key(json, "chunk");
    if (job->chunk < 0)
        ms_json_null(json);
    else
        ms_json_int(json, job->chunk);
    ms_json_key(json, "chunks"); /* who knows the tally shows a parent's */
    ms_json_null(json);
    add_text(json, "callback_of", job->callback_of);
    add_text(json, "group", job->group);
    add_text(json, "unique", job->unique);
}

void ms_job_to_json(const struct ms_job *job, struct ms_json *json)
{
    ms_json_open(json, '{');
    add_text(json, "id", job->id);
    add_text(json, "kind", job->kind);
    add_text(json, "queue", job->queue);
    add_text(json, "state", job->state);
    add_int(json, "priority", job->priority);
    add_json(json, "payload", job, &job->payload);
    add_life(json, job);
    add_family(json, job);
    add_text(json, "error", job->error);
    add_errors(json, job);
    add_json(json, "result", job, &job->result);
    ms_json_key(json, "cancel_requested");
    ms_json_bool(json, job->cancel_requested);
    add_known(json, "timeout_ms", job->timeout_ms);
    ms_json_close(json);
}

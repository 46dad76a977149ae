#include "ctl/dump.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "ctl/view.h"

#define IMPORT_KIND   "dump.import"
#define RUNNING_SHOWN 256 /* of the queue's running jobs, those looked at */

/* ---- reading ---- */

/* The integer at map.key of a msgpack document; -1: there is none. */
static int64_t bytes_int(const struct ms_bytes *bytes, const char *map,
                         const char *key)
{
    struct ms_val val = {0};
    const msgpack_object *inner;
    int64_t number = -1;

    if (bytes->data == NULL ||
        ms_val_from_msgpack(bytes->data, bytes->len, &val, NULL) != MS_OK)
        return -1;
    inner = ms_val_get(&val.root, map);
    if (inner != NULL && inner->type == MSGPACK_OBJECT_MAP)
        number = ms_val_int(inner, key, -1);
    ms_val_done(&val);
    return number;
}

static int64_t source_size(const struct ms_job *job)
{
    return bytes_int(&job->plan, "manifest", "size");
}

/* *out_moved_ms, where not NULL: when a chunk's cursor moved last. */
static enum ms_err tally_read(struct ms_client *client,
                              const struct ms_job *job,
                              struct ms_tally *out_tally, int64_t *out_moved_ms,
                              struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_tally_build(&cmd, ms_client_fleet(client), job->queue, job->id);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_tally_parse(reply, out_tally, error);
    if (err == MS_OK && out_moved_ms != NULL)
        *out_moved_ms = ms_reply_int(ms_reply_field(reply, "moved_ms"), 0);
    ms_reply_free(reply);
    return err;
}

static enum ms_err facts_read(struct ms_client *client,
                              const struct ms_job *job,
                              struct ms_dump_facts *out, struct ms_error *error)
{
    enum ms_err err = ms_client_now(client, &out->now_ms, error);

    if (err == MS_OK)
        err = tally_read(client, job, &out->tally, &out->moved_ms, error);
    out->state = job->state;
    out->size = source_size(job);
    out->started_ms = job->started_ms != 0 ? job->started_ms : job->created_ms;
    out->ended_ms = job->finished_ms;
    return err;
}

enum ms_err ms_dump_read(struct ms_client *client, const char *queue,
                         const char *id, struct ms_job **out_job,
                         struct ms_dump_facts *out_facts,
                         struct ms_error *error)
{
    struct ms_job *job = NULL;
    enum ms_err err = ms_view_job(client, queue, id, &job, error);

    if (err != MS_OK)
        return err;
    memset(out_facts, 0, sizeof(*out_facts));
    if (strcmp(job->kind, IMPORT_KIND) != 0)
        err = ms_error_set(error, MS_EINVAL, "'%s' is no import but a '%s'", id,
                           job->kind);
    else
        err = facts_read(client, job, out_facts, error);
    if (err != MS_OK) {
        ms_job_free(job);
        return err;
    }
    *out_job = job;
    return MS_OK;
}

/* ---- what follows from the facts ---- */

static bool has_ended(const struct ms_dump_facts *facts)
{
    return strcmp(facts->state, "done") == 0 ||
           strcmp(facts->state, "dead") == 0;
}

static int64_t elapsed_ms(const struct ms_dump_facts *facts)
{
    int64_t end = has_ended(facts) && facts->ended_ms != 0 ? facts->ended_ms
                                                           : facts->now_ms;

    return facts->started_ms == 0 ? 0 : end - facts->started_ms;
}

double ms_dump_rate(const struct ms_dump_facts *facts)
{
    int64_t elapsed = elapsed_ms(facts);

    if (elapsed <= 0)
        return -1;
    return (double)facts->tally.docs * 1000.0 / (double)elapsed;
}

int64_t ms_dump_eta_ms(const struct ms_dump_facts *facts)
{
    int64_t left = facts->size - facts->tally.bytes;

    if (has_ended(facts))
        return 0;
    if (facts->size < 0 || facts->tally.bytes <= 0 || elapsed_ms(facts) <= 0)
        return -1;
    if (left <= 0)
        return 0;
    return (int64_t)((double)left * (double)elapsed_ms(facts) /
                     (double)facts->tally.bytes);
}

bool ms_dump_is_stalled(const struct ms_dump_facts *facts)
{
    int64_t since = facts->moved_ms > facts->started_ms ? facts->moved_ms
                                                        : facts->started_ms;

    return !has_ended(facts) && since != 0 &&
           facts->now_ms - since > MS_DUMP_STALLED_MS;
}

/* ---- JSON ---- */

static void key_int(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    if (value >= 0)
        ms_json_int(json, value);
    else
        ms_json_null(json);
}

/* The job's own fields, but for `chunks`, which follows. */
static void job_fields(const struct ms_job *job, struct ms_json *json)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_json inner = ms_json_on(&text);
    struct ms_val val = {0};

    ms_job_to_json(job, &inner);
    if (ms_val_from_json(text.data, text.len, &val, NULL) == MS_OK &&
        val.root.type == MSGPACK_OBJECT_MAP) {
        for (uint32_t i = 0; i < val.root.via.map.size; i++) {
            const msgpack_object_kv *pair = &val.root.via.map.ptr[i];
            char *key =
                ms_xstrndup(pair->key.via.str.ptr, pair->key.via.str.size);

            if (strcmp(key, "chunks") != 0) {
                ms_json_key(json, key);
                ms_json_val(json, &pair->val);
            }
            free(key);
        }
    }
    ms_val_done(&val);
    ms_buf_done(&text);
}

static void source_field(const struct ms_job *job, struct ms_json *json)
{
    struct ms_val val = {0};
    char *source = NULL;

    if (ms_val_from_msgpack(job->payload.data, job->payload.len, &val, NULL) ==
        MS_OK)
        source = ms_val_strdup(&val.root, "source");
    ms_json_key(json, "source");
    ms_json_str(json, source);
    free(source);
    ms_val_done(&val);
}

static void chunks_field(const struct ms_tally *tally, bool batch,
                         struct ms_json *json)
{
    ms_json_key(json, "chunks");
    ms_json_open(json, '{');
    key_int(json, "planned", tally->planned);
    key_int(json, "ready", tally->ready);
    key_int(json, "running", tally->running);
    key_int(json, "done", tally->done);
    key_int(json, "dead", tally->dead);
    if (batch)
        key_int(json, "deleted", tally->deleted);
    ms_json_close(json);
}

static void import_fields(const struct ms_job *job,
                          const struct ms_dump_facts *facts,
                          struct ms_json *json)
{
    const struct ms_tally *tally = &facts->tally;
    int64_t eta = ms_dump_eta_ms(facts);

    source_field(job, json);
    key_int(json, "size", facts->size);
    key_int(json, "bytes", tally->bytes);
    key_int(json, "docs", tally->docs);
    key_int(json, "lines", tally->lines);
    key_int(json, "rejected", tally->rejected);
    ms_json_key(json, "rate");
    if (ms_dump_rate(facts) < 0)
        ms_json_null(json);
    else
        ms_json_double(json, round(ms_dump_rate(facts) * 10) / 10);
    key_int(json, "eta_s", eta < 0 ? -1 : (eta + 999) / 1000);
    ms_json_key(json, "stalled");
    ms_json_bool(json, ms_dump_is_stalled(facts));
    ms_json_key(json, "phase");
    ms_json_str(json, job->phase);
    chunks_field(tally, false, json);
}

/* One running chunk: who runs it and where it has come to. */
static void running_write(const struct ms_job *chunk, struct ms_json *json)
{
    struct ms_buf cursor = MS_BUF_INIT;

    ms_json_open(json, '{');
    ms_json_key(json, "chunk");
    ms_json_int(json, chunk->chunk);
    ms_json_key(json, "pod");
    ms_json_str(json, chunk->pod);
    ms_json_key(json, "attempts");
    ms_json_int(json, chunk->attempts);
    ms_json_key(json, "cursor");
    ms_job_bytes_to_json(chunk, &chunk->cursor, &cursor);
    ms_json_raw(json, cursor.data, cursor.len);
    ms_json_close(json);
    ms_buf_done(&cursor);
}

/* Of the queue's running jobs those that are chunks of this import: their
 * number is bounded by max_workers, unlike that of the chunks. */
static enum ms_err running_ids(struct ms_client *client, const char *queue,
                               struct ms_reply **out_ids,
                               struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_key_queue(key, ms_client_fleet(client), queue, "leases");
    ms_cmd_plain(&cmd, "ZRANGE", key, "0", NULL);
    ms_cmd_argi(&cmd, RUNNING_SHOWN - 1);
    return ms_client_ask(client, &cmd, out_ids, error);
}

static bool is_chunk_of(const char *id, const char *parent)
{
    size_t len = strlen(parent);

    return strncmp(id, parent, len) == 0 && id[len] == '.';
}

static enum ms_err running_fields(struct ms_client *client,
                                  const struct ms_job *job,
                                  struct ms_json *json, struct ms_error *error)
{
    struct ms_reply *ids = NULL;
    enum ms_err err = running_ids(client, job->queue, &ids, error);

    ms_json_key(json, "running");
    ms_json_open(json, '[');
    for (size_t i = 0; err == MS_OK && i < ids->n_items; i++) {
        const char *id = ms_reply_str(ms_reply_at(ids, i), "");
        struct ms_job *chunk = NULL;
        struct ms_error why;

        if (!is_chunk_of(id, job->id) ||
            ms_view_job(client, job->queue, id, &chunk, &why) != MS_OK)
            continue; /* another's, or it ended just now */
        running_write(chunk, json);
        ms_job_free(chunk);
    }
    ms_json_close(json);
    ms_reply_free(ids);
    return err;
}

enum ms_err ms_dump_job_to_json(struct ms_client *client,
                                const struct ms_job *job, struct ms_json *json,
                                struct ms_error *error)
{
    struct ms_tally tally = {0};
    enum ms_err err = MS_OK;

    if (strcmp(job->kind, IMPORT_KIND) != 0 && job->batch == NULL) {
        ms_job_to_json(job, json);
        return MS_OK;
    }
    err = tally_read(client, job, &tally, NULL, error);
    if (err != MS_OK)
        return err;
    ms_json_open(json, '{');
    job_fields(job, json);
    if (job->batch != NULL) {
        ms_json_key(json, "policy");
        ms_json_str(json, job->batch);
        ms_json_key(json, "phase");
        ms_json_str(json, job->phase);
    }
    chunks_field(&tally, job->batch != NULL, json);
    ms_json_close(json);
    return MS_OK;
}

enum ms_err ms_dump_to_json(struct ms_client *client, const struct ms_job *job,
                            const struct ms_dump_facts *facts,
                            struct ms_json *json, struct ms_error *error)
{
    enum ms_err err;

    ms_json_open(json, '{');
    job_fields(job, json);
    import_fields(job, facts, json);
    err = running_fields(client, job, json, error);
    ms_json_close(json);
    return err;
}

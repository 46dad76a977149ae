#include "common/dataset.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "common/mem.h"
#include "scripts.h"

enum ms_err ms_dataset_check(int64_t shards, const char *id_field,
                             struct ms_error *error)
{
    size_t len = strlen(id_field);

    if (shards < 1 || shards > MS_DATASET_SHARDS_MAX)
        return ms_error_set(error, MS_EINVAL,
                            "a dataset has 1 to %d shards, not %" PRId64,
                            MS_DATASET_SHARDS_MAX, shards);
    if (len < 1 || len > MS_DATASET_FIELD_MAX)
        return ms_error_set(error, MS_EINVAL,
                            "the id field's name has 1 to %d bytes",
                            MS_DATASET_FIELD_MAX);
    return MS_OK;
}

int64_t ms_dataset_shard_of(const struct ms_dataset *dataset, const void *id,
                            size_t id_len)
{
    if (dataset->shards == 1)
        return 0;
    return (int64_t)(XXH3_64bits(id, id_len) % (uint64_t)dataset->shards);
}

const char *ms_dataset_key(char *out, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard,
                           const char *tail)
{
    int len =
        snprintf(out, MS_KEY_MAX, "ms:{%s/ds/%s/%" PRId64 ".%" PRId64 "}:%s",
                 fleet, dataset->name, dataset->gen, shard, tail);

    ms_assert(len > 0 && len < MS_KEY_MAX);
    return out;
}

/* Starts a script of one shard: KEYS meta and docs, the epoch. */
static void begin(struct ms_cmd *cmd, const struct ms_script *script,
                  const char *fleet, const struct ms_dataset *dataset,
                  int64_t shard)
{
    char key[MS_KEY_MAX];

    ms_cmd_script(cmd, script);
    ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, "meta"));
    ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, "docs"));
    ms_cmd_argi(cmd, dataset->epoch);
}

static void key_of_fence(struct ms_cmd *cmd, const char *fleet,
                         const struct ms_dataset *dataset, int64_t shard,
                         const char *import)
{
    char key[MS_KEY_MAX], tail[MS_JOB_ID_MAX + 16];

    snprintf(tail, sizeof(tail), "fence:%s", import);
    ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, tail));
}

/* What the status words of all ds_ scripts mean. */
static enum ms_err status(const struct ms_reply *reply, struct ms_error *error)
{
    const struct ms_reply *word = ms_reply_at(reply, 0);
    int64_t number = ms_reply_int(ms_reply_at(reply, 1), 0);

    if (ms_reply_is(word, "ok"))
        return MS_OK;
    if (ms_reply_is(word, "moved"))
        return ms_error_set(error, MS_EMOVED,
                            "the dataset's map has moved to epoch %" PRId64,
                            number);
    if (ms_reply_is(word, "stale"))
        return ms_error_set(error, MS_ESTALE, "%" PRId64 " was here before us",
                            number);
    if (ms_reply_is(word, "unknown"))
        return ms_error_set(error, MS_ENOENT, "there is no such dataset");
    if (ms_reply_is(word, "closed"))
        return ms_error_set(error, MS_ESTATE, "the import has ended");
    if (ms_reply_is(word, "too_large"))
        return ms_error_set(error, MS_EINVAL,
                            "the batch is larger than %" PRId64 " documents",
                            number);
    return ms_error_set(error, MS_EPROTO, "a dataset's script answered '%s'",
                        ms_reply_str(word, "?"));
}

/* ---- the map ---- */

void ms_dataset_load_build(struct ms_cmd *cmd, const char *fleet,
                           const char *name)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HGETALL", ms_key_fleet(key, fleet, "dataset:%s", name),
                 NULL);
}

static void copy_field(char *out, size_t size, const struct ms_reply *pairs,
                       const char *field)
{
    snprintf(out, size, "%s", ms_reply_str(ms_reply_field(pairs, field), ""));
}

enum ms_err ms_dataset_load_parse(const char *name,
                                  const struct ms_reply *reply,
                                  struct ms_dataset *out_dataset,
                                  struct ms_error *error)
{
    struct ms_dataset d = {.shards = 0};

    if (reply->type == MS_REPLY_ARRAY && reply->n_items == 0)
        return ms_error_set(error, MS_ENOENT, "there is no dataset '%s'", name);
    snprintf(d.name, sizeof(d.name), "%s", name);
    copy_field(d.state, sizeof(d.state), reply, "state");
    copy_field(d.id_field, sizeof(d.id_field), reply, "id_field");
    d.shards = ms_reply_int(ms_reply_field(reply, "shards"), 0);
    d.gen = ms_reply_int(ms_reply_field(reply, "gen"), 0);
    d.epoch = ms_reply_int(ms_reply_field(reply, "epoch"), -1);
    d.created_ms = ms_reply_int(ms_reply_field(reply, "created_ms"), 0);
    if (ms_dataset_check(d.shards, d.id_field, NULL) != MS_OK || d.gen < 1 ||
        d.epoch < 0)
        return ms_error_set(error, MS_EPROTO,
                            "what describes dataset '%s' cannot be read", name);
    *out_dataset = d;
    return MS_OK;
}

void ms_dataset_stamp_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard)
{
    char key[MS_KEY_MAX];

    ms_cmd_script(cmd, &ms_script_ds_open);
    ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, "meta"));
    ms_cmd_argi(cmd, dataset->epoch);
}

enum ms_err ms_dataset_stamp_parse(const struct ms_reply *reply,
                                   struct ms_error *error)
{
    return status(reply, error);
}

void ms_dataset_describe_build(struct ms_cmd *cmd, const char *fleet,
                               const struct ms_dataset *dataset, bool create)
{
    char key[MS_KEY_MAX];

    ms_cmd_script(cmd, &ms_script_ds_describe);
    ms_cmd_key(cmd, ms_key_fleet(key, fleet, "dataset:%s", dataset->name));
    ms_cmd_key(cmd, ms_key_fleet(key, fleet, "datasets"));
    ms_cmd_args(cmd, dataset->name);
    ms_cmd_argi(cmd, dataset->epoch);
    ms_cmd_argi(cmd, dataset->shards);
    ms_cmd_argi(cmd, dataset->gen);
    ms_cmd_args(cmd, dataset->id_field);
    ms_cmd_argi(cmd, create);
}

enum ms_err ms_dataset_describe_parse(const struct ms_reply *reply,
                                      bool *out_created, struct ms_error *error)
{
    enum ms_err err;

    if (ms_reply_is(ms_reply_at(reply, 0), "differs"))
        return ms_error_set(error, MS_EEXIST,
                            "the dataset is there with %s shards, generation "
                            "%s, id field '%s'",
                            ms_reply_str(ms_reply_at(reply, 1), "?"),
                            ms_reply_str(ms_reply_at(reply, 2), "?"),
                            ms_reply_str(ms_reply_at(reply, 3), "?"));
    err = status(reply, error);
    if (err == MS_OK)
        *out_created = ms_reply_int(ms_reply_at(reply, 1), 0) == 1;
    return err;
}

void ms_dataset_names_build(struct ms_cmd *cmd, const char *fleet)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "SMEMBERS", ms_key_fleet(key, fleet, "datasets"), NULL);
}

/* ---- documents ---- */

void ms_dataset_put_build(struct ms_cmd *cmd, const char *fleet,
                          const struct ms_dataset *dataset, int64_t shard,
                          const struct ms_dataset_writer *writer)
{
    static const struct ms_dataset_writer nobody = {"", 0, 0};
    char key[MS_KEY_MAX];

    if (writer == NULL)
        writer = &nobody;
    ms_cmd_script(cmd, &ms_script_ds_put);
    ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, "meta"));
    ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, "docs"));
    key_of_fence(cmd, fleet, dataset, shard, writer->import);
    ms_cmd_argi(cmd, dataset->epoch);
    ms_cmd_args(cmd, writer->import);
    ms_cmd_argi(cmd, writer->chunk);
    ms_cmd_argi(cmd, writer->fence);
}

void ms_dataset_put_add(struct ms_cmd *cmd, const void *id, size_t id_len,
                        const void *doc, size_t doc_len)
{
    ms_cmd_arg(cmd, id, id_len);
    ms_cmd_arg(cmd, doc, doc_len);
}

enum ms_err ms_dataset_put_parse(const struct ms_reply *reply, int64_t *out_new,
                                 struct ms_error *error)
{
    return ms_dataset_number_parse(reply, out_new, error);
}

void ms_dataset_watch_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset,
                            const char *import)
{
    char key[MS_KEY_MAX];
    int64_t shard;

    ms_cmd_plain(cmd, "WATCH", NULL);
    for (shard = 0; shard < dataset->shards; shard++) {
        ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, "meta"));
        key_of_fence(cmd, fleet, dataset, shard, import);
    }
}

void ms_dataset_meta_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HMGET",
                 ms_dataset_key(key, fleet, dataset, shard, "meta"), "epoch",
                 "state", NULL);
}

void ms_dataset_fence_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard,
                            const struct ms_dataset_writer *writer)
{
    ms_cmd_plain(cmd, "HMGET", NULL);
    key_of_fence(cmd, fleet, dataset, shard, writer->import);
    ms_cmd_args(cmd, "closed");
    ms_cmd_argi(cmd, writer->chunk);
}

bool ms_dataset_guard_allows(const struct ms_dataset *dataset,
                             const struct ms_dataset_writer *writer,
                             const struct ms_reply *meta,
                             const struct ms_reply *fence)
{
    return meta->n_items == 2 && fence->n_items == 2 &&
           ms_reply_int(ms_reply_at(meta, 0), -1) == dataset->epoch &&
           ms_reply_is(ms_reply_at(meta, 1), "open") &&
           ms_reply_at(fence, 0)->type == MS_REPLY_NIL &&
           ms_reply_int(ms_reply_at(fence, 1), -1) == writer->fence;
}

void ms_dataset_hset_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HSET",
                 ms_dataset_key(key, fleet, dataset, shard, "docs"), NULL);
}

/* "EXECABORT Transaction discarded because of: OOM command not allowed ..." */
static enum ms_err exec_refused(const char *text, struct ms_error *error)
{
    const char *why = strstr(text, "because of: ");
    enum ms_err err = ms_reply_classify(text);

    if (strncmp(text, "EXECABORT", 9) == 0 && why != NULL)
        err = ms_reply_classify(why + strlen("because of: "));
    return ms_error_set(error, err, "%s", text);
}

enum ms_err ms_dataset_exec_parse(const struct ms_reply *reply, size_t n_sets,
                                  bool *out_written, struct ms_error *error)
{
    size_t i;

    if (reply->type == MS_REPLY_ERROR)
        return exec_refused(reply->str, error);
    if (reply->type == MS_REPLY_NIL) {
        *out_written = false;
        return MS_OK;
    }
    if (reply->type != MS_REPLY_ARRAY || reply->n_items != n_sets)
        return ms_error_set(error, MS_EPROTO, "EXEC answered something else");
    for (i = 0; i < n_sets; i++) {
        const struct ms_reply *set = ms_reply_at(reply, i);

        if (set->type == MS_REPLY_ERROR)
            return exec_refused(set->str, error);
        if (set->type != MS_REPLY_INT)
            return ms_error_set(error, MS_EPROTO,
                                "HSET answered something else");
    }
    *out_written = true;
    return MS_OK;
}

void ms_dataset_get_build(struct ms_cmd *cmd, const char *fleet,
                          const struct ms_dataset *dataset, int64_t shard)
{
    begin(cmd, &ms_script_ds_get, fleet, dataset, shard);
}

enum ms_err ms_dataset_get_parse(const struct ms_reply *reply,
                                 const struct ms_reply **out_docs,
                                 struct ms_error *error)
{
    enum ms_err err = status(reply, error);

    if (err == MS_OK)
        *out_docs = ms_reply_at(reply, 1);
    return err;
}

void ms_dataset_del_build(struct ms_cmd *cmd, const char *fleet,
                          const struct ms_dataset *dataset, int64_t shard)
{
    begin(cmd, &ms_script_ds_del, fleet, dataset, shard);
}

void ms_dataset_count_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard)
{
    begin(cmd, &ms_script_ds_count, fleet, dataset, shard);
}

enum ms_err ms_dataset_number_parse(const struct ms_reply *reply,
                                    int64_t *out_n, struct ms_error *error)
{
    enum ms_err err = status(reply, error);

    if (err == MS_OK)
        *out_n = ms_reply_int(ms_reply_at(reply, 1), 0);
    return err;
}

void ms_dataset_scan_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard,
                           const char *cursor, int64_t count)
{
    begin(cmd, &ms_script_ds_scan, fleet, dataset, shard);
    ms_cmd_args(cmd, cursor);
    ms_cmd_argi(cmd, count);
}

enum ms_err ms_dataset_scan_parse(const struct ms_reply *reply,
                                  const char **out_cursor,
                                  const struct ms_reply **out_pairs,
                                  struct ms_error *error)
{
    enum ms_err err = status(reply, error);

    if (err != MS_OK)
        return err;
    *out_cursor = ms_reply_str(ms_reply_at(reply, 1), "0");
    *out_pairs = ms_reply_at(reply, 2);
    return MS_OK;
}

/* ---- ends ---- */

void ms_dataset_close_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard,
                            const char *import, enum ms_dataset_close how)
{
    static const char *const words[] = {
        [MS_CLOSE_DONE] = "done",
        [MS_CLOSE_DEAD] = "dead",
        [MS_CLOSE_REOPEN] = "reopen",
    };
    char key[MS_KEY_MAX];

    ms_cmd_script(cmd, &ms_script_ds_close);
    ms_cmd_key(cmd, ms_dataset_key(key, fleet, dataset, shard, "meta"));
    key_of_fence(cmd, fleet, dataset, shard, import);
    ms_cmd_argi(cmd, dataset->epoch);
    ms_cmd_args(cmd, words[how]);
}

void ms_dataset_forget_build(struct ms_cmd *cmd, const char *fleet,
                             const char *name)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "DEL", ms_key_fleet(key, fleet, "dataset:%s", name),
                 NULL);
}

void ms_dataset_forget_name_build(struct ms_cmd *cmd, const char *fleet,
                                  const char *name)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "SREM", ms_key_fleet(key, fleet, "datasets"), name, NULL);
}

void ms_dataset_unlink_build(struct ms_cmd *cmd, const char *fleet,
                             const struct ms_dataset *dataset, int64_t shard)
{
    char meta[MS_KEY_MAX], docs[MS_KEY_MAX];

    ms_cmd_plain(cmd, "UNLINK",
                 ms_dataset_key(meta, fleet, dataset, shard, "meta"),
                 ms_dataset_key(docs, fleet, dataset, shard, "docs"), NULL);
}

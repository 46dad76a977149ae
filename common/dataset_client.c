#include "common/dataset_client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/doc.h"
#include "common/mem.h"

#define MOVED_FOR_MS 10000
#define SCAN_COUNT   200

static enum ms_err call(const struct ms_dataset_client *c, struct ms_cmd *cmd,
                        struct ms_reply **out_reply, struct ms_error *error)
{
    return ms_redis_call(c->redis, cmd, 0, out_reply, error);
}

enum ms_err ms_dataset_load(const struct ms_dataset_client *c,
                            struct ms_dataset *out_map, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err = ms_name_check("dataset", c->name, error);

    if (err != MS_OK)
        return err;
    ms_dataset_load_build(&cmd, c->fleet, c->name);
    err = call(c, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_dataset_load_parse(c->name, reply, out_map, error);
    ms_reply_free(reply);
    return err;
}

static int compare_items(const void *a, const void *b)
{
    const struct ms_reply *const *x = a, *const *y = b;

    return strcmp(ms_reply_str(*x, ""), ms_reply_str(*y, ""));
}

enum ms_err ms_dataset_list(struct ms_redis *redis, const char *fleet,
                            ms_dataset_name_fn *fn, void *arg,
                            struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    const struct ms_reply **sorted;
    enum ms_err err;
    size_t i;

    ms_dataset_names_build(&cmd, fleet);
    err = ms_redis_call(redis, &cmd, 0, &reply, error);
    if (err != MS_OK)
        return err;
    sorted = ms_xcalloc(reply->n_items, sizeof(struct ms_reply *));
    for (i = 0; i < reply->n_items; i++)
        sorted[i] = &reply->items[i];
    qsort(sorted, reply->n_items, sizeof(struct ms_reply *), compare_items);
    for (i = 0; i < reply->n_items; i++)
        fn(ms_reply_str(sorted[i], ""), arg);
    free(sorted);
    ms_reply_free(reply);
    return MS_OK;
}

/*
 * Something done with a map, again with a newer one while it answers
 * MS_EMOVED: a leader may be stamping the shards.
 */
typedef enum ms_err attempt_fn(const struct ms_dataset_client *c,
                               const struct ms_dataset *map, void *arg,
                               struct ms_error *error);

static enum ms_err with_map(const struct ms_dataset_client *c,
                            attempt_fn *attempt, void *arg,
                            struct ms_error *error)
{
    int64_t until = ms_clock_mono_ms() + MOVED_FOR_MS;
    struct ms_dataset map;
    enum ms_err err;

    for (;;) {
        err = ms_dataset_load(c, &map, error);
        if (err == MS_OK)
            err = attempt(c, &map, arg, error);
        if (err != MS_EMOVED || ms_clock_mono_ms() >= until)
            return err;
        usleep(20000);
    }
}

/* One call to one shard whose answer is a number. */
static enum ms_err call_number(const struct ms_dataset_client *c,
                               struct ms_cmd *cmd, int64_t *out_n,
                               struct ms_error *error)
{
    struct ms_reply *reply = NULL;
    enum ms_err err = call(c, cmd, &reply, error);

    if (err == MS_OK)
        err = ms_dataset_number_parse(reply, out_n, error);
    ms_reply_free(reply);
    return err;
}

static enum ms_err try_count(const struct ms_dataset_client *c,
                             const struct ms_dataset *map, void *arg,
                             struct ms_error *error)
{
    int64_t *sum = arg, shard, n;

    *sum = 0;
    for (shard = 0; shard < map->shards; shard++) {
        struct ms_cmd cmd = MS_CMD_INIT;
        enum ms_err err;

        ms_dataset_count_build(&cmd, c->fleet, map, shard);
        err = call_number(c, &cmd, &n, error);
        if (err != MS_OK)
            return err;
        *sum += n;
    }
    return MS_OK;
}

enum ms_err ms_dataset_count(const struct ms_dataset_client *c, int64_t *out_n,
                             struct ms_error *error)
{
    int64_t sum;
    enum ms_err err = with_map(c, try_count, &sum, error);

    if (err == MS_OK)
        *out_n = sum;
    return err;
}

/* One document that is got, put or deleted. */
struct one {
    const void *id;
    size_t id_len;
    const void *line;
    size_t line_len;
    int64_t n;
    struct ms_bytes got;
};

static enum ms_err try_get(const struct ms_dataset_client *c,
                           const struct ms_dataset *map, void *arg,
                           struct ms_error *error)
{
    struct one *one = arg;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    const struct ms_reply *docs, *doc;
    enum ms_err err;

    ms_dataset_get_build(&cmd, c->fleet, map,
                         ms_dataset_shard_of(map, one->id, one->id_len));
    ms_cmd_arg(&cmd, one->id, one->id_len);
    err = call(c, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_dataset_get_parse(reply, &docs, error);
    if (err == MS_OK) {
        doc = ms_reply_at(docs, 0);
        if (doc->type != MS_REPLY_STR) {
            err = ms_error_set(error, MS_ENOENT,
                               "dataset '%s' has no such document", c->name);
        } else {
            one->got.data = ms_xstrndup(doc->str, doc->len);
            one->got.len = doc->len;
        }
    }
    ms_reply_free(reply);
    return err;
}

enum ms_err ms_dataset_get(const struct ms_dataset_client *c, const void *id,
                           size_t id_len, struct ms_bytes *out_doc,
                           struct ms_error *error)
{
    struct one one = {.id = id, .id_len = id_len};
    enum ms_err err = with_map(c, try_get, &one, error);

    if (err == MS_OK)
        *out_doc = one.got;
    return err;
}

static enum ms_err try_put(const struct ms_dataset_client *c,
                           const struct ms_dataset *map, void *arg,
                           struct ms_error *error)
{
    struct one *one = arg;
    struct ms_doc_reader *reader = ms_doc_reader_new(map->id_field);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_doc doc;
    enum ms_err err = MS_OK;

    switch (ms_doc_read(reader, one->line, one->line_len, &doc)) {
    case MS_DOC_EMPTY:
        err = ms_error_set(error, MS_EINVAL, "the document is empty");
        break;
    case MS_DOC_REJECT:
        err = ms_error_set(error, MS_EINVAL, "%s", doc.reason);
        break;
    case MS_DOC_OK:
        ms_dataset_put_build(&cmd, c->fleet, map,
                             ms_dataset_shard_of(map, doc.id, doc.id_len),
                             NULL);
        ms_dataset_put_add(&cmd, doc.id, doc.id_len, doc.bytes, doc.len);
        err = call_number(c, &cmd, &one->n, error);
    }
    ms_doc_reader_free(reader);
    return err;
}

enum ms_err ms_dataset_put(const struct ms_dataset_client *c, const void *doc,
                           size_t len, bool *out_new, struct ms_error *error)
{
    struct one one = {.line = doc, .line_len = len};
    enum ms_err err;

    /* A document is a line of each later export. */
    if (len > 0 && memchr(doc, '\n', len - 1) != NULL)
        return ms_error_set(error, MS_EINVAL, "the document is not one line");
    err = with_map(c, try_put, &one, error);
    if (err == MS_OK)
        *out_new = one.n == 1;
    return err;
}

static enum ms_err try_delete(const struct ms_dataset_client *c,
                              const struct ms_dataset *map, void *arg,
                              struct ms_error *error)
{
    struct one *one = arg;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_del_build(&cmd, c->fleet, map,
                         ms_dataset_shard_of(map, one->id, one->id_len));
    ms_cmd_arg(&cmd, one->id, one->id_len);
    return call_number(c, &cmd, &one->n, error);
}

enum ms_err ms_dataset_delete(const struct ms_dataset_client *c, const void *id,
                              size_t id_len, bool *out_deleted,
                              struct ms_error *error)
{
    struct one one = {.id = id, .id_len = id_len};
    enum ms_err err = with_map(c, try_delete, &one, error);

    if (err == MS_OK)
        *out_deleted = one.n == 1;
    return err;
}

/* ---- drop ---- */

static enum ms_err call_plain(const struct ms_dataset_client *c,
                              struct ms_cmd *cmd, struct ms_error *error)
{
    struct ms_reply *reply = NULL;
    enum ms_err err = call(c, cmd, &reply, error);

    ms_reply_free(reply);
    return err;
}

static enum ms_err unlink_shards(const struct ms_dataset_client *c,
                                 const struct ms_dataset *map,
                                 struct ms_error *error)
{
    enum ms_err err = MS_OK;
    int64_t shard;

    for (shard = 0; err == MS_OK && shard < map->shards; shard++) {
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_dataset_unlink_build(&cmd, c->fleet, map, shard);
        err = call_plain(c, &cmd, error);
    }
    return err;
}

/* The descriptor goes last but for a second look at the shards, so that a drop
 * that broke off can be repeated. */
enum ms_err ms_dataset_drop(const struct ms_dataset_client *c,
                            struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_dataset map;
    enum ms_err err = ms_dataset_load(c, &map, error);

    if (err != MS_OK)
        return err;
    err = unlink_shards(c, &map, error);
    if (err != MS_OK)
        return err;
    ms_dataset_forget_build(&cmd, c->fleet, c->name);
    err = call_plain(c, &cmd, error);
    if (err != MS_OK)
        return err;
    ms_dataset_forget_name_build(&cmd, c->fleet, c->name);
    err = call_plain(c, &cmd, error);
    if (err != MS_OK)
        return err;
    return unlink_shards(c, &map, error);
}

/* ---- export ---- */

#define RUN_ID_LEN 40

/* The id that a server process gives itself at its start. */
static enum ms_err read_run_id(const struct ms_dataset_client *c,
                               char out_id[RUN_ID_LEN + 1],
                               struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    const char *at;
    enum ms_err err;

    ms_cmd_plain(&cmd, "INFO", "server", NULL);
    err = call(c, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    at = strstr(ms_reply_str(reply, ""), "run_id:");
    if (at == NULL || strlen(at) < 7 + RUN_ID_LEN) {
        err = ms_error_set(error, MS_EPROTO, "Redis tells no run_id");
    } else {
        memcpy(out_id, at + 7, RUN_ID_LEN);
        out_id[RUN_ID_LEN] = '\0';
    }
    ms_reply_free(reply);
    return err;
}

struct export
{
    ms_dataset_doc_fn *fn;
    void *arg;
    char cursor[32];
};

static enum ms_err scan_slice(const struct ms_dataset_client *c,
                              const struct ms_dataset *map, int64_t shard,
                              struct export *x, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    const struct ms_reply *pairs;
    const char *cursor;
    enum ms_err err;
    size_t i;

    ms_dataset_scan_build(&cmd, c->fleet, map, shard, x->cursor, SCAN_COUNT);
    err = call(c, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_dataset_scan_parse(reply, &cursor, &pairs, error);
    if (err == MS_OK && strlen(cursor) >= sizeof(x->cursor))
        err = ms_error_set(error, MS_EPROTO, "a cursor is too long");
    if (err == MS_OK) {
        memcpy(x->cursor, cursor, strlen(cursor) + 1);
        for (i = 0; err == MS_OK && i + 1 < pairs->n_items; i += 2)
            err =
                x->fn(pairs->items[i].str, pairs->items[i].len,
                      pairs->items[i + 1].str, pairs->items[i + 1].len, x->arg);
    }
    ms_reply_free(reply);
    return err;
}

/* A cursor belongs to one server process: resumed in another it misses
 * documents without a word. */
static enum ms_err scan_shard(const struct ms_dataset_client *c,
                              const struct ms_dataset *map, int64_t shard,
                              struct export *x, struct ms_error *error)
{
    char before[RUN_ID_LEN + 1], after[RUN_ID_LEN + 1];
    enum ms_err err = read_run_id(c, before, error);

    memcpy(x->cursor, "0", 2);
    do {
        if (err == MS_OK)
            err = scan_slice(c, map, shard, x, error);
    } while (err == MS_OK && strcmp(x->cursor, "0") != 0);
    if (err == MS_OK)
        err = read_run_id(c, after, error);
    if (err == MS_OK && strcmp(before, after) != 0)
        err = ms_error_set(error, MS_ECANCELLED,
                           "Redis restarted during the export: run it again");
    return err;
}

enum ms_err ms_dataset_export(const struct ms_dataset_client *c,
                              ms_dataset_doc_fn *fn, void *arg,
                              struct ms_error *error)
{
    struct export x = {.fn = fn, .arg = arg};
    struct ms_dataset map;
    int64_t shard;
    enum ms_err err = ms_dataset_load(c, &map, error);

    for (shard = 0; err == MS_OK && shard < map.shards; shard++)
        err = scan_shard(c, &map, shard, &x, error);
    if (err == MS_EMOVED)
        err = ms_error_set(error, MS_ECANCELLED,
                           "the dataset moved during the export: run it again");
    return err;
}

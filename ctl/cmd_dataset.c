/* dataset list | show | count | get | put | delete | export | drop */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/dataset_client.h"
#include "common/mem.h"
#include "common/name.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"

/* Connects and points `out` at the dataset that the command line names. */
static enum ms_err dataset_open(struct ms_ctl *ctl, bool writes,
                                struct ms_dataset_client *out,
                                struct ms_error *error)
{
    enum ms_err err = ms_name_check("dataset", ctl->line->args[0], error);

    if (err == MS_OK)
        err = ms_ctl_connect(ctl, writes, error);
    if (err == MS_OK)
        *out = (struct ms_dataset_client){ms_client_redis(ctl->client),
                                          ms_client_fleet(ctl->client),
                                          ctl->line->args[0]};
    return err;
}

/* ---- list, show, count ---- */

static const struct ms_column dataset_columns[] = {
    {"name", "DATASET", MS_SHOW_PLAIN},
    {"shards", "SHARDS", MS_SHOW_PLAIN},
    {"count", "DOCUMENTS", MS_SHOW_PLAIN},
    {"state", "STATE", MS_SHOW_PLAIN},
    {"id_field", "ID FIELD", MS_SHOW_PLAIN},
    {"created_ms", "CREATED", MS_SHOW_TIME},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static void key_int(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    ms_json_int(json, value);
}

static void key_str(struct ms_json *json, const char *key, const char *text)
{
    ms_json_key(json, key);
    ms_json_str(json, text);
}

static enum ms_err dataset_write(const struct ms_dataset_client *client,
                                 struct ms_json *json, struct ms_error *error)
{
    struct ms_dataset map;
    int64_t count = 0;
    enum ms_err err = ms_dataset_load(client, &map, error);

    if (err == MS_OK)
        err = ms_dataset_count(client, &count, error);
    if (err != MS_OK)
        return err;
    ms_json_open(json, '{');
    key_str(json, "name", map.name);
    key_int(json, "shards", map.shards);
    key_int(json, "gen", map.gen);
    key_int(json, "epoch", map.epoch);
    key_str(json, "state", map.state);
    key_str(json, "id_field", map.id_field);
    key_int(json, "created_ms", map.created_ms);
    key_int(json, "count", count);
    ms_json_close(json);
    return MS_OK;
}

struct names {
    char **items;
    size_t n;
};

static void on_name(const char *name, void *arg)
{
    struct names *names = arg;

    names->items = ms_xrealloc(names->items, (names->n + 1) * sizeof(char *));
    names->items[names->n++] = ms_xstrdup(name);
}

/* One that is dropped meanwhile is left out. */
static enum ms_err datasets_write(struct ms_ctl *ctl, const struct names *names,
                                  struct ms_json *json, struct ms_error *error)
{
    for (size_t i = 0; i < names->n; i++) {
        struct ms_dataset_client one = {ms_client_redis(ctl->client),
                                        ms_client_fleet(ctl->client),
                                        names->items[i]};
        enum ms_err err = dataset_write(&one, json, error);

        if (err != MS_OK && err != MS_ENOENT)
            return err;
    }
    return MS_OK;
}

static enum ms_err dataset_list(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct names names = {0};
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    if (err == MS_OK)
        err = ms_dataset_list(ms_client_redis(ctl->client),
                              ms_client_fleet(ctl->client), on_name, &names,
                              error);
    ms_json_open(&json, '[');
    if (err == MS_OK)
        err = datasets_write(ctl, &names, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, dataset_columns);
    for (size_t i = 0; i < names.n; i++)
        free(names.items[i]);
    free(names.items);
    ms_buf_done(&out);
    return err;
}

static enum ms_err dataset_show(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_dataset_client client;
    enum ms_err err = dataset_open(ctl, false, &client, error);

    if (err == MS_OK)
        err = dataset_write(&client, &json, error);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, NULL);
    ms_buf_done(&out);
    return err;
}

static enum ms_err dataset_count(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_dataset_client client;
    int64_t count = 0;
    enum ms_err err = dataset_open(ctl, false, &client, error);

    if (err == MS_OK)
        err = ms_dataset_count(&client, &count, error);
    if (err != MS_OK)
        return err;
    ms_json_open(&json, '{');
    key_str(&json, "name", client.name);
    key_int(&json, "count", count);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
    return MS_OK;
}

/* ---- documents ---- */

static enum ms_err dataset_get(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_dataset_client client;
    struct ms_bytes doc = {0};
    const char *id = ctl->line->args[1];
    enum ms_err err = dataset_open(ctl, false, &client, error);

    if (err == MS_OK)
        err = ms_dataset_get(&client, id, strlen(id), &doc, error);
    if (err != MS_OK)
        return err;
    fwrite(doc.data, 1, doc.len, stdout); /* it is a JSON document itself */
    fputc('\n', stdout);
    free(doc.data);
    return MS_OK;
}

static enum ms_err stdin_read(struct ms_buf *out, struct ms_error *error)
{
    for (;;) {
        char *room = ms_buf_reserve(out, 65536);
        ssize_t got = read(STDIN_FILENO, room, 65536);

        if (got == 0)
            return MS_OK;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ms_error_set(error, MS_EIO, "cannot read the document: %s",
                                strerror(errno));
        out->len += (size_t)got;
        if (out->len > MS_DATASET_BATCH_BYTES)
            return ms_error_set(error, MS_EINVAL,
                                "the document is longer than 4 MiB");
    }
}

/* As a number or a string, both as they are written: 7 and "7" are one id. */
static bool is_id(const msgpack_object *val, const char *id)
{
    char number[32];

    if (val == NULL)
        return false;
    if (val->type == MSGPACK_OBJECT_STR)
        return ms_val_is_str(val, id);
    if (val->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        snprintf(number, sizeof(number), "%llu",
                 (unsigned long long)val->via.u64);
    else if (val->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        snprintf(number, sizeof(number), "%lld", (long long)val->via.i64);
    else
        return false;
    return strcmp(number, id) == 0;
}

/* The id on the command line must be the document's: else the wrong one would
 * be written over. */
static enum ms_err id_check(const struct ms_dataset_client *client,
                            const char *id, const struct ms_buf *doc,
                            struct ms_error *error)
{
    struct ms_dataset map;
    struct ms_val val = {0};
    enum ms_err err = ms_dataset_load(client, &map, error);

    if (err == MS_OK)
        err = ms_val_from_json(doc->data, doc->len, &val, error);
    if (err == MS_OK && (val.root.type != MSGPACK_OBJECT_MAP ||
                         !is_id(ms_val_get(&val.root, map.id_field), id)))
        err = ms_error_set(error, MS_EINVAL,
                           "the document is no object whose '%s' is '%s'",
                           map.id_field, id);
    ms_val_done(&val);
    return err;
}

static void doc_trim(struct ms_buf *doc)
{
    while (doc->len > 0 && strchr(" \t\r\n", doc->data[doc->len - 1]) != NULL)
        doc->len--;
}

static enum ms_err dataset_put(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf doc = MS_BUF_INIT;
    struct ms_dataset_client client;
    const struct ms_cli *line = ctl->line;
    bool created = false;
    enum ms_err err = MS_OK;

    if (line->n_args > 2 && strcmp(line->args[2], "-") != 0)
        ms_buf_adds(&doc, line->args[2]);
    else
        err = stdin_read(&doc, error);
    doc_trim(&doc);
    if (err == MS_OK)
        err = dataset_open(ctl, true, &client, error);
    if (err == MS_OK)
        err = id_check(&client, line->args[1], &doc, error);
    if (err == MS_OK)
        err = ms_dataset_put(&client, doc.data, doc.len, &created, error);
    if (err == MS_OK)
        ms_ctl_print_result(ctl, "id", line->args[1],
                            created ? "created" : "replaced");
    ms_buf_done(&doc);
    return err;
}

static enum ms_err dataset_delete(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_dataset_client client;
    const char *id = ctl->line->args[1];
    bool deleted = false;
    enum ms_err err = dataset_open(ctl, true, &client, error);

    if (err == MS_OK)
        err = ms_dataset_delete(&client, id, strlen(id), &deleted, error);
    if (err != MS_OK)
        return err;
    ms_ctl_print_result(ctl, "id", id, deleted ? "deleted" : "unknown");
    if (!deleted)
        ctl->exit_code = MS_EXIT_FAILED;
    return MS_OK;
}

/* ---- export, drop ---- */

struct export
{
    FILE *to;
    int64_t docs, bytes;
    struct ms_error *error;
};

static enum ms_err on_doc(const char *id, size_t id_len, const char *doc,
                          size_t len, void *arg)
{
    struct export *export = arg;

    if (fwrite(doc, 1, len, export->to) != len ||
        fputc('\n', export->to) == EOF)
        return ms_error_set(export->error, MS_EIO, "cannot write: %s",
                            strerror(errno));
    export->docs++;
    export->bytes += (int64_t)len + 1;
    return MS_OK;
}

static void export_print(const struct ms_ctl *ctl, const struct export *export,
                         const char *path)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    key_str(&json, "name", ctl->line->args[0]);
    key_int(&json, "docs", export->docs);
    key_int(&json, "bytes", export->bytes);
    key_str(&json, "file", path);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

/* Written beside the target and moved there when whole: half an export must
 * not look like one. */
static enum ms_err export_file(struct ms_ctl *ctl,
                               const struct ms_dataset_client *client,
                               const char *path, struct ms_error *error)
{
    char *part = ms_xasprintf("%s.part", path);
    struct export export = {.to = fopen(part, "we"), .error = error};
    enum ms_err err;

    if (export.to == NULL) {
        err = ms_error_set(error, MS_EIO, "cannot write '%s': %s", part,
                           strerror(errno));
        goto out;
    }
    err = ms_dataset_export(client, on_doc, &export, error);
    if (err == MS_OK &&
        (fflush(export.to) != 0 || fsync(fileno(export.to)) != 0))
        err = ms_error_set(error, MS_EIO, "cannot write '%s': %s", part,
                           strerror(errno));
    fclose(export.to);
    if (err == MS_OK && rename(part, path) != 0)
        err = ms_error_set(error, MS_EIO, "cannot write '%s': %s", path,
                           strerror(errno));
    if (err == MS_OK)
        export_print(ctl, &export, path);
    else
        unlink(part);
out:
    free(part);
    return err;
}

static enum ms_err dataset_export(struct ms_ctl *ctl, struct ms_error *error)
{
    struct export export = {.to = stdout, .error = error};
    const char *path = ms_cli_get(ctl->line, "to");
    struct ms_dataset_client client;
    enum ms_err err = dataset_open(ctl, false, &client, error);

    if (err != MS_OK)
        return err;
    if (path != NULL && strcmp(path, "-") != 0)
        return export_file(ctl, &client, path, error);
    return ms_dataset_export(&client, on_doc, &export, error);
}

static enum ms_err dataset_drop(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_dataset_client client;
    enum ms_err err = dataset_open(ctl, true, &client, error);

    if (err == MS_OK)
        err = ms_dataset_drop(&client, error);
    if (err == MS_OK)
        ms_ctl_print_result(ctl, "name", client.name, "dropped");
    return err;
}

static const struct ms_option export_options[] = {
    {"to", "FILE", "write there instead of standard output"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_dataset[] = {
    {"dataset", "list", "", 0, 0, "all datasets", NULL, dataset_list},
    {"dataset", "show", "NAME", 1, 1, "one dataset", NULL, dataset_show},
    {"dataset", "count", "NAME", 1, 1, "how many documents it holds", NULL,
     dataset_count},
    {"dataset", "get", "NAME ID", 2, 2, "print a document as it came", NULL,
     dataset_get},
    {"dataset", "put", "NAME ID [JSON]", 2, 3,
     "write a document (\"-\" or none: standard input)", NULL, dataset_put},
    {"dataset", "delete", "NAME ID", 2, 2, "delete a document", NULL,
     dataset_delete},
    {"dataset", "export", "NAME", 1, 1, "write all documents, one a line",
     export_options, dataset_export},
    {"dataset", "drop", "NAME", 1, 1, "delete a dataset", NULL, dataset_drop},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

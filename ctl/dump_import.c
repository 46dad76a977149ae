#include "ctl/dump_import.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/dataset_client.h"
#include "common/dataset_open.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/val.h"

#define CHUNK_MIN 4096

void ms_import_done(struct ms_import *import)
{
    free(import->source);
    import->source = NULL;
}

bool ms_import_name(const char *path, char out_name[MS_NAME_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t n = 0;

    while (*base != '\0' && *base != '.' && !isalnum((unsigned char)*base))
        base++;
    for (; *base != '\0' && *base != '.' && n < MS_NAME_MAX; base++) {
        bool fits =
            isalnum((unsigned char)*base) || strchr("_~-", *base) != NULL;

        out_name[n++] = fits ? *base : '-';
    }
    out_name[n] = '\0';
    return ms_name_is_valid(out_name);
}

/* The pods open the file by this name, whatever their working folder. */
static enum ms_err source_read(const char *text, struct ms_import *import,
                               struct ms_error *error)
{
    struct stat st;
    enum ms_err err = MS_OK;
    int fd;

    import->source = realpath(text, NULL);
    if (import->source == NULL)
        return ms_error_set(error, errno == ENOENT ? MS_ENOENT : MS_EIO,
                            "cannot open '%s': %s", text, strerror(errno));
    fd = open(import->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ms_error_set(error, MS_EIO, "cannot open '%s': %s",
                            import->source, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        err = ms_error_set(error, MS_EINVAL, "'%s' is no regular file",
                           import->source);
    close(fd);
    return err;
}

static enum ms_err dataset_read(const struct ms_cli *line,
                                struct ms_import *import,
                                struct ms_error *error)
{
    const char *name = ms_cli_get(line, "dataset");
    enum ms_err err;

    if (name == NULL && !ms_import_name(import->source, import->dataset))
        return ms_error_set(error, MS_EINVAL,
                            "no dataset can be named after '%s': say "
                            "--dataset",
                            import->source);
    if (name == NULL)
        return MS_OK;
    err = ms_name_check("dataset", name, error);
    if (err == MS_OK)
        strcpy(import->dataset, name);
    return err;
}

enum ms_err ms_import_max_errors(const struct ms_cli *line, int64_t *out,
                                 struct ms_error *error)
{
    const char *text = ms_cli_get(line, "max-errors");

    if (text != NULL && strcmp(text, "unlimited") == 0) {
        *out = -1;
        return MS_OK;
    }
    return ms_cli_int(line, "max-errors", 0, INT64_MAX / 2, out, error);
}

static enum ms_err sizes_read(const struct ms_ctl *ctl,
                              struct ms_import *import, struct ms_error *error)
{
    enum ms_err err = ms_cli_int(ctl->line, "shards", 1, MS_DATASET_SHARDS_MAX,
                                 &import->shards, error);

    import->chunk_size = ctl->conf->dump_chunk_size_bytes;
    if (err == MS_OK)
        err = ms_cli_size(ctl->line, "chunk-size", &import->chunk_size, error);
    if (err == MS_OK && import->chunk_size < CHUNK_MIN)
        err = ms_error_set(error, MS_EINVAL,
                           "a chunk has 4 KiB or more, not %lld bytes",
                           (long long)import->chunk_size);
    if (err == MS_OK)
        err = ms_import_max_errors(ctl->line, &import->max_errors, error);
    return err;
}

enum ms_err ms_import_read(const struct ms_ctl *ctl, struct ms_import *import,
                           struct ms_error *error)
{
    const struct ms_cli *line = ctl->line;
    enum ms_err err;

    memset(import, 0, sizeof(*import));
    import->queue = ms_cli_get(line, "queue");
    if (import->queue == NULL)
        import->queue = "dump";
    import->id_field = ms_cli_get(line, "id-field");
    err = ms_name_check("queue", import->queue, error);
    if (err == MS_OK)
        err = sizes_read(ctl, import, error);
    if (err == MS_OK && import->id_field != NULL)
        err = ms_dataset_check(MS_DATASET_SHARDS, import->id_field, error);
    if (err == MS_OK)
        err = source_read(line->args[0], import, error);
    if (err == MS_OK)
        err = dataset_read(line, import, error);
    return err;
}

/* ---- the dataset ---- */

static enum ms_err map_check(const struct ms_import *import,
                             const struct ms_dataset *map,
                             struct ms_error *error)
{
    if (import->shards != 0 && import->shards != map->shards)
        return ms_error_set(error, MS_EEXIST,
                            "dataset '%s' has %lld shards, not %lld", map->name,
                            (long long)map->shards, (long long)import->shards);
    if (import->id_field != NULL &&
        strcmp(import->id_field, map->id_field) != 0)
        return ms_error_set(error, MS_EEXIST,
                            "dataset '%s' has its ids in '%s', not '%s'",
                            map->name, map->id_field, import->id_field);
    return MS_OK;
}

/* The last leader's epoch: one that comes later stamps the shards anew. */
static enum ms_err epoch_ask(struct ms_client *client, int64_t *out_epoch,
                             struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err;

    ms_cmd_plain(&cmd, "GET",
                 ms_key_fleet(key, ms_client_fleet(client), "epoch"), NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK)
        *out_epoch = ms_reply_int(reply, 1);
    ms_reply_free(reply);
    return err;
}

struct opening {
    struct ev_loop *loop;
    struct ms_dataset *map;
    struct ms_error *error;
    enum ms_err err;
    bool ended;
};

static void on_opened(enum ms_err err, const struct ms_dataset *map,
                      const char *why, void *arg)
{
    struct opening *opening = arg;

    opening->err = err;
    opening->ended = true;
    if (err == MS_OK)
        *opening->map = *map;
    else
        ms_error_set(opening->error, err, "%s", why);
    ev_break(opening->loop, EVBREAK_ONE);
}

static enum ms_err dataset_make(struct ms_ctl *ctl,
                                const struct ms_import *import,
                                struct ms_dataset *out_map,
                                struct ms_error *error)
{
    struct opening opening = {.loop = ms_client_loop(ctl->client),
                              .map = out_map,
                              .error = error};
    struct ms_dataset_spec spec = {.fleet = ms_client_fleet(ctl->client),
                                   .name = import->dataset,
                                   .shards = import->shards,
                                   .id_field = import->id_field};
    enum ms_err err = epoch_ask(ctl->client, &spec.epoch, error);

    if (err != MS_OK)
        return err;
    ms_dataset_open_start(ms_client_redis(ctl->client), &spec, on_opened,
                          &opening);
    while (!opening.ended)
        ev_run(opening.loop, 0);
    return opening.err;
}

enum ms_err ms_import_open(struct ms_ctl *ctl, const struct ms_import *import,
                           struct ms_dataset *out_map, struct ms_error *error)
{
    struct ms_dataset_client client = {ms_client_redis(ctl->client),
                                       ms_client_fleet(ctl->client),
                                       import->dataset};
    enum ms_err err = ms_dataset_load(&client, out_map, error);

    if (err == MS_OK)
        return map_check(import, out_map, error);
    if (err != MS_ENOENT)
        return err;
    return dataset_make(ctl, import, out_map, error);
}

/* ---- the payload ---- */

static void pack_text(msgpack_packer *to, const char *text)
{
    msgpack_pack_str(to, strlen(text));
    msgpack_pack_str_body(to, text, strlen(text));
}

static void pack_pair_int(msgpack_packer *to, const char *key, int64_t value)
{
    pack_text(to, key);
    msgpack_pack_int64(to, value);
}

static void pack_pair_text(msgpack_packer *to, const char *key,
                           const char *text)
{
    pack_text(to, key);
    pack_text(to, text);
}

void ms_import_payload(const struct ms_ctl *ctl, const struct ms_import *import,
                       const struct ms_dataset *map, struct ms_buf *out)
{
    const struct ms_conf *conf = ctl->conf;
    msgpack_packer to;

    ms_val_packer_init(&to, out);
    msgpack_pack_map(&to, 11);
    pack_pair_text(&to, "source", import->source);
    pack_pair_text(&to, "dataset", import->dataset);
    pack_pair_int(&to, "shards", map->shards);
    pack_pair_int(&to, "gen", map->gen);
    pack_pair_int(&to, "epoch", map->epoch);
    pack_pair_text(&to, "id_field", map->id_field);
    pack_pair_int(&to, "chunk_size", import->chunk_size);
    pack_pair_int(&to, "max_errors", import->max_errors);
    pack_pair_int(&to, "max_line_bytes", conf->dump_max_line_bytes);
    pack_pair_int(&to, "batch_docs", conf->dump_batch_docs);
    pack_pair_int(&to, "batch_bytes", conf->dump_batch_bytes);
}

enum ms_err ms_import_repay(const struct ms_bytes *payload, int64_t max_errors,
                            struct ms_buf *out, struct ms_error *error)
{
    struct ms_val val = {0};
    msgpack_packer to;
    enum ms_err err =
        ms_val_from_msgpack(payload->data, payload->len, &val, error);

    if (err == MS_OK && val.root.type != MSGPACK_OBJECT_MAP)
        err = ms_error_set(error, MS_EPROTO, "the payload is no import's");
    if (err == MS_OK) {
        uint32_t n = val.root.via.map.size;
        bool has = ms_val_get(&val.root, "max_errors") != NULL;

        ms_val_packer_init(&to, out);
        msgpack_pack_map(&to, has ? n : n + 1);
        for (uint32_t i = 0; i < n; i++) {
            const msgpack_object_kv *pair = &val.root.via.map.ptr[i];

            if (ms_val_is_str(&pair->key, "max_errors"))
                continue;
            msgpack_pack_object(&to, pair->key);
            msgpack_pack_object(&to, pair->val);
        }
        pack_pair_int(&to, "max_errors", max_errors);
    }
    ms_val_done(&val);
    return err;
}

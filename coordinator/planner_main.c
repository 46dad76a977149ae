/* The child's half of planner.h, and how both halves write to each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/val.h"
#include "coordinator/cutter.h"
#include "coordinator/planner_wire.h"

static void pack_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str(pk, strlen(text));
    msgpack_pack_str_body(pk, text, strlen(text));
}

static void pack_number(msgpack_packer *pk, const char *key, int64_t number)
{
    pack_text(pk, key);
    msgpack_pack_int64(pk, number);
}

void ms_planner_pack_request(const struct ms_planner_request *request,
                             struct ms_buf *out)
{
    msgpack_packer pk;

    ms_val_packer_init(&pk, out);
    msgpack_pack_map(&pk, 6);
    pack_number(&pk, "op", request->op);
    pack_number(&pk, "chunk_size", request->chunk_size);
    pack_number(&pk, "from", request->from);
    pack_number(&pk, "count", (int64_t)request->count);
    pack_text(&pk, "path");
    pack_text(&pk, request->path == NULL ? "" : request->path);
    pack_text(&pk, "manifest");
    if (request->manifest == NULL)
        msgpack_pack_nil(&pk);
    else
        ms_manifest_pack(request->manifest, &pk);
}

static void pack_answer(enum ms_err err, const struct ms_error *error,
                        const struct ms_planner_answer *answer,
                        struct ms_buf *out)
{
    msgpack_packer pk;
    size_t i;

    ms_val_packer_init(&pk, out);
    msgpack_pack_map(&pk, 5);
    pack_number(&pk, "err", err);
    pack_text(&pk, "why");
    pack_text(&pk, err == MS_OK ? "" : error->text);
    pack_number(&pk, "complete", answer->complete);
    pack_text(&pk, "manifest");
    if (answer->manifest.path == NULL)
        msgpack_pack_nil(&pk);
    else
        ms_manifest_pack(&answer->manifest, &pk);
    pack_text(&pk, "ends");
    msgpack_pack_array(&pk, answer->n_ends);
    for (i = 0; i < answer->n_ends; i++)
        msgpack_pack_int64(&pk, answer->ends[i]);
}

void ms_planner_answer_done(struct ms_planner_answer *answer)
{
    ms_manifest_done(&answer->manifest);
    free(answer->ends);
    *answer = (struct ms_planner_answer){.ends = NULL};
}

static enum ms_err unpack_ends(const msgpack_object *ends,
                               struct ms_planner_answer *answer)
{
    const msgpack_object *items;
    uint32_t i;

    if (ends == NULL || ends->type != MSGPACK_OBJECT_ARRAY)
        return MS_EPROTO;
    items = ends->via.array.ptr;
    answer->ends = ms_xcalloc(ends->via.array.size, sizeof(int64_t));
    for (i = 0; i < ends->via.array.size; i++) {
        if (items[i].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
            return MS_EPROTO;
        answer->ends[answer->n_ends++] = (int64_t)items[i].via.u64;
    }
    return MS_OK;
}

enum ms_err ms_planner_unpack_answer(const struct ms_buf *in,
                                     struct ms_planner_answer *out_answer,
                                     struct ms_error *error)
{
    struct ms_planner_answer answer = {.ends = NULL};
    struct ms_val val = {.zone = NULL};
    const msgpack_object *manifest;
    enum ms_err err;
    char *why = NULL;

    err = ms_val_from_msgpack(in->data, in->len, &val, NULL);
    if (err != MS_OK)
        return ms_error_set(error, MS_ECRASHED,
                            "the planner died before it answered");
    why = ms_val_strdup(&val.root, "why");
    err = (enum ms_err)ms_val_int(&val.root, "err", MS_EPROTO);
    if (err != MS_OK) {
        ms_error_set(error, err, "%s", why == NULL ? "no answer" : why);
        goto out;
    }
    answer.complete = ms_val_int(&val.root, "complete", 0) != 0;
    err = unpack_ends(ms_val_get(&val.root, "ends"), &answer);
    manifest = ms_val_get(&val.root, "manifest");
    if (err == MS_OK && manifest != NULL &&
        manifest->type == MSGPACK_OBJECT_MAP)
        err = ms_manifest_unpack(manifest, &answer.manifest, NULL);
    if (err != MS_OK) {
        ms_error_set(error, err, "the planner's answer cannot be read");
        goto out;
    }
    *out_answer = answer;
    answer = (struct ms_planner_answer){.ends = NULL};
out:
    ms_planner_answer_done(&answer);
    free(why);
    ms_val_done(&val);
    return err;
}

/* ---- the child ---- */

static enum ms_err do_manifest(const msgpack_object *request,
                               struct ms_planner_answer *answer,
                               struct ms_error *error)
{
    char *path = ms_val_strdup(request, "path");
    enum ms_err err;

    if (path == NULL)
        return ms_error_set(error, MS_EPROTO, "no path");
    err = ms_manifest_of_file(path, ms_val_int(request, "chunk_size", 0),
                              &answer->manifest, error);
    free(path);
    return err;
}

static enum ms_err do_cut(const msgpack_object *request,
                          const struct ms_manifest *manifest, int fd,
                          struct ms_planner_answer *answer,
                          struct ms_error *error)
{
    int64_t from = ms_val_int(request, "from", -1);
    int64_t count = ms_val_int(request, "count", -1);
    enum ms_err err;

    if (from < 0 || from > manifest->size || count < 0 ||
        count > MS_PLANNER_CUTS_MAX)
        return ms_error_set(error, MS_EPROTO, "cannot cut there");
    answer->ends = ms_xcalloc((size_t)count, sizeof(int64_t));
    err = ms_cutter_cut(fd, manifest->size, manifest->chunk_size, from,
                        (size_t)count, answer->ends, &answer->n_ends, error);
    if (err != MS_OK)
        return err;
    if (answer->n_ends > 0)
        from = answer->ends[answer->n_ends - 1];
    answer->complete = from == manifest->size;
    /* What was read while somebody wrote is no base for chunks. */
    return ms_manifest_check(manifest, fd, error);
}

static enum ms_err do_source(const msgpack_object *request,
                             struct ms_planner_answer *answer,
                             struct ms_error *error)
{
    struct ms_manifest manifest = {.path = NULL};
    const msgpack_object *map = ms_val_get(request, "manifest");
    enum ms_err err;
    int fd;

    if (map == NULL)
        return ms_error_set(error, MS_EPROTO, "no manifest");
    err = ms_manifest_unpack(map, &manifest, error);
    if (err != MS_OK)
        return err;
    err = ms_manifest_open(&manifest, &fd, error);
    if (err == MS_OK) {
        if (ms_val_int(request, "op", -1) == MS_PLANNER_CUT)
            err = do_cut(request, &manifest, fd, answer, error);
        close(fd);
    }
    ms_manifest_done(&manifest);
    return err;
}

static enum ms_err do_request(const struct ms_buf *in,
                              struct ms_planner_answer *answer,
                              struct ms_error *error)
{
    struct ms_val val = {.zone = NULL};
    enum ms_err err = ms_val_from_msgpack(in->data, in->len, &val, error);

    if (err != MS_OK)
        return err;
    switch (ms_val_int(&val.root, "op", -1)) {
    case MS_PLANNER_MANIFEST:
        err = do_manifest(&val.root, answer, error);
        break;
    case MS_PLANNER_CUT:
    case MS_PLANNER_CHECK:
        err = do_source(&val.root, answer, error);
        break;
    default:
        err = ms_error_set(error, MS_EPROTO, "no such request");
    }
    ms_val_done(&val);
    return err;
}

static bool read_all(struct ms_buf *in)
{
    ssize_t got;

    do {
        got = read(STDIN_FILENO, ms_buf_reserve(in, 4096), 4096);
        if (got > 0)
            in->len += (size_t)got;
    } while ((got > 0 && in->len < MS_PLANNER_DOCUMENT_MAX) ||
             (got < 0 && errno == EINTR));
    return got == 0;
}

static bool write_all(const struct ms_buf *out)
{
    size_t at = 0;
    ssize_t put;

    while (at < out->len) {
        put = write(STDOUT_FILENO, out->data + at, out->len - at);
        if (put < 0 && errno != EINTR)
            return false;
        at += put > 0 ? (size_t)put : 0;
    }
    return true;
}

int ms_planner_main(void)
{
    struct ms_buf in = MS_BUF_INIT, out = MS_BUF_INIT;
    struct ms_planner_answer answer = {.ends = NULL};
    struct ms_error error = {""};
    enum ms_err err;
    bool ok = read_all(&in);

    if (ok) {
        err = do_request(&in, &answer, &error);
        if (err != MS_OK)
            ms_planner_answer_done(&answer);
        pack_answer(err, &error, &answer, &out);
        ok = write_all(&out);
    }
    ms_planner_answer_done(&answer);
    ms_buf_done(&in);
    ms_buf_done(&out);
    return ok ? 0 : 1;
}

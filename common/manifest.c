#include "common/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/val.h"

void ms_manifest_done(struct ms_manifest *manifest)
{
    free(manifest->path);
    *manifest = (struct ms_manifest){NULL, 0, 0, 0};
}

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static enum ms_err cannot_open(const char *path, struct ms_error *error)
{
    return ms_error_set(error, errno == ENOENT ? MS_ENOENT : MS_EIO,
                        "cannot open '%s': %s", path, strerror(errno));
}

/* O_NONBLOCK, so that a FIFO is refused and not waited for. */
static enum ms_err open_source(const char *path, int *out_fd,
                               struct stat *out_stat, struct ms_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum ms_err err;

    if (fd < 0)
        return cannot_open(path, error);
    if (fstat(fd, out_stat) != 0) {
        err = cannot_open(path, error);
        goto fail;
    }
    if (!S_ISREG(out_stat->st_mode)) {
        err =
            ms_error_set(error, MS_EINVAL, "'%s' is not a regular file", path);
        goto fail;
    }
    *out_fd = fd;
    return MS_OK;
fail:
    close(fd);
    return err;
}

enum ms_err ms_manifest_of_file(const char *path, int64_t chunk_size,
                                struct ms_manifest *out_manifest,
                                struct ms_error *error)
{
    struct stat st;
    enum ms_err err;
    int fd = -1;

    if (chunk_size < 1)
        return ms_error_set(error, MS_EINVAL, "chunk size %lld is below 1",
                            (long long)chunk_size);
    err = open_source(path, &fd, &st, error);
    if (err != MS_OK)
        return err;
    close(fd);
    out_manifest->path = ms_xstrdup(path);
    out_manifest->size = st.st_size;
    out_manifest->mtime_ns = mtime_ns(&st);
    out_manifest->chunk_size = chunk_size;
    return MS_OK;
}

static enum ms_err compare(const struct ms_manifest *then, int64_t size,
                           int64_t time_ns, struct ms_error *error)
{
    if (size != then->size)
        return ms_error_set(error, MS_ESTALE,
                            "the source changed: '%s' has %lld bytes, not %lld",
                            then->path, (long long)size, (long long)then->size);
    if (time_ns != then->mtime_ns)
        return ms_error_set(error, MS_ESTALE,
                            "the source changed: '%s' was written to",
                            then->path);
    return MS_OK;
}

enum ms_err ms_manifest_compare(const struct ms_manifest *then,
                                const struct ms_manifest *now,
                                struct ms_error *error)
{
    if (strcmp(then->path, now->path) != 0)
        return ms_error_set(error, MS_ESTALE,
                            "the source changed: '%s' is not '%s'", now->path,
                            then->path);
    return compare(then, now->size, now->mtime_ns, error);
}

enum ms_err ms_manifest_open(const struct ms_manifest *manifest, int *out_fd,
                             struct ms_error *error)
{
    struct stat st;
    enum ms_err err;
    int fd = -1;

    err = open_source(manifest->path, &fd, &st, error);
    if (err != MS_OK)
        return err;
    err = compare(manifest, st.st_size, mtime_ns(&st), error);
    if (err != MS_OK)
        close(fd);
    else
        *out_fd = fd;
    return err;
}

/* The path is looked at too: a file that was replaced by a rename stays as it
 * was behind our descriptor. */
enum ms_err ms_manifest_check(const struct ms_manifest *manifest, int fd,
                              struct ms_error *error)
{
    struct stat st;
    enum ms_err err;

    if (fstat(fd, &st) != 0)
        return cannot_open(manifest->path, error);
    err = compare(manifest, st.st_size, mtime_ns(&st), error);
    if (err != MS_OK)
        return err;
    if (stat(manifest->path, &st) != 0)
        return ms_error_set(error, MS_ESTALE, "the source changed: '%s': %s",
                            manifest->path, strerror(errno));
    return compare(manifest, st.st_size, mtime_ns(&st), error);
}

static void pack_key(msgpack_packer *to, const char *key)
{
    msgpack_pack_str(to, strlen(key));
    msgpack_pack_str_body(to, key, strlen(key));
}

void ms_manifest_pack(const struct ms_manifest *manifest, msgpack_packer *to)
{
    msgpack_pack_map(to, 4);
    pack_key(to, "path");
    pack_key(to, manifest->path);
    pack_key(to, "size");
    msgpack_pack_int64(to, manifest->size);
    pack_key(to, "mtime_ns");
    msgpack_pack_int64(to, manifest->mtime_ns);
    pack_key(to, "chunk_size");
    msgpack_pack_int64(to, manifest->chunk_size);
}

enum ms_err ms_manifest_unpack(const msgpack_object *map,
                               struct ms_manifest *out_manifest,
                               struct ms_error *error)
{
    struct ms_manifest m = {
        .path = ms_val_strdup(map, "path"),
        .size = ms_val_int(map, "size", -1),
        .mtime_ns = ms_val_int(map, "mtime_ns", INT64_MIN),
        .chunk_size = ms_val_int(map, "chunk_size", -1),
    };

    if (m.path == NULL || m.size < 0 || m.mtime_ns == INT64_MIN ||
        m.chunk_size < 1) {
        ms_manifest_done(&m);
        return ms_error_set(error, MS_EPROTO, "this is no manifest");
    }
    *out_manifest = m;
    return MS_OK;
}

/*
 * manifest: what a dump's source was when its import was planned.
 *
 * Fixed once by the planner and shown to every chunk: a pod that sees another
 * size or another time of change reads another file and must not import it.
 * The inode is not part of it, so that pods may see the same file over
 * different mounts.
 */
#pragma once

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct ms_manifest {
    char *path;
    int64_t size;
    int64_t mtime_ns; /* since the epoch */
    int64_t chunk_size;
};

/* Frees the path; a zeroed manifest is empty. */
void ms_manifest_done(struct ms_manifest *manifest);

/* Looks at the file.  MS_ENOENT: it is not there; MS_EINVAL: it is no regular
 * file, or chunk_size is below 1; MS_EIO: it cannot be opened.  On success the
 * caller frees the manifest.  Touches the disk, so it may block. */
enum ms_err ms_manifest_of_file(const char *path, int64_t chunk_size,
                                struct ms_manifest *out_manifest,
                                struct ms_error *error);

/* Opens the source for reading and checks it: the descriptor is the caller's.
 * MS_ESTALE: "the source changed: ..."; otherwise as above. */
enum ms_err ms_manifest_open(const struct ms_manifest *manifest, int *out_fd,
                             struct ms_error *error);

/* Is the file behind `fd`, and what stands at the path now, still the source?
 * MS_ESTALE: it changed, or is gone. */
enum ms_err ms_manifest_check(const struct ms_manifest *manifest, int fd,
                              struct ms_error *error);

/* MS_OK when both tell of the same bytes; MS_ESTALE says what differs. */
enum ms_err ms_manifest_compare(const struct ms_manifest *then,
                                const struct ms_manifest *now,
                                struct ms_error *error);

/* A msgpack map {"path", "size", "mtime_ns", "chunk_size"}: appends it to a
 * packer, and reads it back (MS_EPROTO for anything else; on success the
 * caller frees the manifest). */
void ms_manifest_pack(const struct ms_manifest *manifest, msgpack_packer *to);
enum ms_err ms_manifest_unpack(const msgpack_object *map,
                               struct ms_manifest *out_manifest,
                               struct ms_error *error);

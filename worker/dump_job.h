/*
 * dump_job: what a chunk of an import is told, and what it tells back.
 *
 * Pure: payload and cursor come in, checkpoints go out, and nothing here reads
 * the source or talks to Redis.
 *
 * The payload is the map that the plan task writes: {"source", "manifest":
 * {"size", "mtime_ns"}, "start", "end", "dataset", "shards", "gen", "epoch",
 * "id_field", "import", "max_line_bytes", "batch_docs", "batch_bytes"}.
 * The cursor is {"seq", "offset", "read"}: all before `offset` is in the
 * dataset, and up to `read` the source had been read by then.
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"
#include "common/dataset.h"
#include "common/doc.h"
#include "common/manifest.h"
#include "worker/held.h"

struct ms_dump_job {
    struct ms_manifest manifest;
    int64_t start, end; /* bytes of the source, line starts */
    struct ms_dataset map;
    struct ms_dataset_writer writer; /* `import` is the job's */
    char *import;
    size_t max_line, batch_docs, batch_bytes;
};

/* What has been seen of the chunk up to `offset`, over all attempts. */
struct ms_dump_tally {
    int64_t offset, docs, lines, rejected, empty;
    struct ms_checksum sum;
};

/* MS_EINVAL names what is wrong with the payload.  On success free with
 * ms_dump_job_done(). */
enum ms_err ms_dump_job_read(const msgpack_object *payload,
                             const struct ms_held *held,
                             struct ms_dump_job *out_job,
                             struct ms_error *error);
void ms_dump_job_done(struct ms_dump_job *job);

/* Where a former attempt came to, or the chunk's start.  *out_reread: bytes
 * read more than once by now. */
void ms_dump_job_resume(const struct ms_dump_job *job,
                        const struct ms_held *held,
                        struct ms_dump_tally *out_tally, int64_t *out_reread);

/* Fills `out` but for its rejects: the sums `docs bytes lines rejected empty
 * read reread c0 c1 c2 c3` and the cursor, whose bytes are in `cursor` (which
 * is emptied first and must live as long as `out`). */
void ms_dump_job_report(const struct ms_dump_job *job, int64_t seq,
                        const struct ms_dump_tally *tally, int64_t reread,
                        int64_t read_to, struct ms_buf *cursor,
                        struct ms_checkpoint *out);

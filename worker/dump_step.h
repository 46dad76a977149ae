/*
 * dump_step: the lines of a chunk that are written and acknowledged together.
 *
 * Holds one batch of documents a shard.  It is full when one batch is (200
 * documents or 256 KiB by default), so that with many shards a batch is still
 * worth its call.  Sending it is dump_writer's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dataset.h"
#include "common/doc.h"
#include "worker/dump_job.h"

struct ms_dump_batch {
    struct ms_cmd docs; /* arguments alone: id, document, ... */
    size_t n_docs, bytes;
};

struct ms_dump_step {
    struct ms_dump_tally upto; /* the chunk's, with this step's lines */
    struct ms_reject *rejects;
    size_t n_rejects;
    struct ms_dump_batch *batches; /* one a shard */
    int64_t *used;                 /* the shards that have documents */
    int64_t n_used;
    size_t bytes; /* of all batches */
    /* private */
    const struct ms_dataset *map;
    size_t max_docs, max_bytes;
    bool is_full;
};

/* Borrows the map while documents are added.  max_docs and max_bytes are those
 * of a batch.  Free with ms_dump_step_free(), which takes NULL. */
struct ms_dump_step *ms_dump_step_new(const struct ms_dataset *map,
                                      size_t max_docs, size_t max_bytes);
void ms_dump_step_free(struct ms_dump_step *step);

/* Copies the document into its shard's batch.  False, and nothing happened:
 * it does not fit beside the others and begins the next step (a document
 * larger than a batch goes alone). */
bool ms_dump_step_add_doc(struct ms_dump_step *step, const struct ms_doc *doc);
void ms_dump_step_add_reject(struct ms_dump_step *step, int64_t offset,
                             const char *reason);

/* Is it time to send, having read so many bytes for it? */
bool ms_dump_step_is_full(const struct ms_dump_step *step, int64_t bytes);

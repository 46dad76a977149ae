/*
 * dump_step: the lines of a chunk that are written and acknowledged together.
 *
 * Holds one batch a shard while it is filled; then they go out, and it waits
 * for all answers.  It is full when one batch is (200 documents or 256 KiB by
 * default), so that with many shards a batch is still worth its call.
 *
 *     (filling) --send--> SENT --all answered--> acked, or failed
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dataset.h"
#include "common/doc.h"
#include "common/redis.h"
#include "worker/dump_job.h"

/* All borrowed while the step lives. */
struct ms_dump_step_options {
    struct ms_redis *redis;
    const char *fleet;
    const struct ms_dataset *map;
    const struct ms_dataset_writer *writer;
    size_t max_docs, max_bytes; /* of a batch */
};

struct ms_dump_batch;

struct ms_dump_step {
    struct ms_dump_tally upto; /* the chunk's, with this step's lines */
    struct ms_reject *rejects;
    size_t n_rejects;
    /* private */
    struct ms_dump_step_options options;
    struct ms_dump_batch *batches; /* one a shard */
    int64_t *used;                 /* the shards that have documents */
    int64_t n_used;
    bool is_full, is_sent;
    int64_t under_way;
    enum ms_err err; /* the first failure */
    struct ms_error error;
};

/* Frees with ms_dump_step_free(), which forgets answers still to come (they
 * may take effect all the same) and takes NULL. */
struct ms_dump_step *
ms_dump_step_new(const struct ms_dump_step_options *options);
void ms_dump_step_free(struct ms_dump_step *step);

/* Copies the document into its shard's request.  False, and nothing happened:
 * it does not fit beside the others and begins the next step (a document
 * larger than a batch goes alone). */
bool ms_dump_step_add_doc(struct ms_dump_step *step, const struct ms_doc *doc);
void ms_dump_step_add_reject(struct ms_dump_step *step, int64_t offset,
                             const char *reason);

/* Is it time to send, having read so many bytes for it? */
bool ms_dump_step_is_full(const struct ms_dump_step *step, int64_t bytes);

/* Sends all batches.  A step without documents is acknowledged at once. */
void ms_dump_step_send(struct ms_dump_step *step);

bool ms_dump_step_is_acked(const struct ms_dump_step *step);

/* MS_OK unless an answer was a failure; see ms_dataset_put_parse(). */
enum ms_err ms_dump_step_failed(const struct ms_dump_step *step,
                                struct ms_error *out_why);

#include "worker/dump_step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* A step over more bytes than this would make a crash cost too much. */
#define STEP_BYTES   ((int64_t)1024 * 1024)
#define STEP_REJECTS 200

/* Few batches get their room at once, because growing copies. */
#define ROOMY_SHARDS     16
#define ROOM_FOR_LENGTHS ((size_t)8 * 1024)

struct ms_dump_step *ms_dump_step_new(const struct ms_dataset *map,
                                      size_t max_docs, size_t max_bytes)
{
    struct ms_dump_step *step = ms_xcalloc(1, sizeof(*step));

    step->map = map;
    step->max_docs = max_docs;
    step->max_bytes = max_bytes;
    step->batches = ms_xcalloc((size_t)map->shards, sizeof(*step->batches));
    step->used = ms_xcalloc((size_t)map->shards, sizeof(*step->used));
    return step;
}

void ms_dump_step_free(struct ms_dump_step *step)
{
    int64_t i;

    if (step == NULL)
        return;
    for (i = 0; i < step->n_used; i++)
        ms_cmd_done(&step->batches[step->used[i]].docs);
    free(step->batches);
    free(step->used);
    free(step->rejects);
    free(step);
}

static void begin_batch(struct ms_dump_step *step, int64_t shard)
{
    step->used[step->n_used++] = shard;
    if (step->map->shards <= ROOMY_SHARDS)
        ms_buf_reserve(&step->batches[shard].docs.body,
                       step->max_bytes + ROOM_FOR_LENGTHS);
}

bool ms_dump_step_add_doc(struct ms_dump_step *step, const struct ms_doc *doc)
{
    int64_t shard = ms_dataset_shard_of(step->map, doc->id, doc->id_len);
    struct ms_dump_batch *batch = &step->batches[shard];
    size_t bytes = doc->id_len + doc->len;

    if (batch->n_docs > 0 && batch->bytes + bytes > step->max_bytes)
        return false;
    if (batch->n_docs == 0)
        begin_batch(step, shard);
    ms_dataset_put_add(&batch->docs, doc->id, doc->id_len, doc->bytes,
                       doc->len);
    batch->n_docs++;
    batch->bytes += bytes;
    step->bytes += bytes;
    if (batch->n_docs >= step->max_docs || batch->bytes >= step->max_bytes)
        step->is_full = true;
    return true;
}

void ms_dump_step_add_reject(struct ms_dump_step *step, int64_t offset,
                             const char *reason)
{
    struct ms_reject *reject;

    if (step->rejects == NULL)
        step->rejects = ms_xcalloc(STEP_REJECTS, sizeof(*step->rejects));
    ms_assert(step->n_rejects < STEP_REJECTS);
    reject = &step->rejects[step->n_rejects++];
    reject->offset = offset;
    snprintf(reject->reason, sizeof(reject->reason), "%s", reason);
}

bool ms_dump_step_is_full(const struct ms_dump_step *step, int64_t bytes)
{
    return step->is_full || bytes >= STEP_BYTES ||
           step->n_rejects >= STEP_REJECTS;
}

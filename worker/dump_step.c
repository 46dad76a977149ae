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

struct ms_dump_batch {
    struct ms_dump_step *step;
    struct ms_cmd cmd;
    size_t n_docs, bytes;
    struct ms_request *request; /* NULL: not under way */
};

struct ms_dump_step *
ms_dump_step_new(const struct ms_dump_step_options *options)
{
    struct ms_dump_step *step = ms_xcalloc(1, sizeof(*step));
    size_t shards = (size_t)options->map->shards;

    step->options = *options;
    step->batches = ms_xcalloc(shards, sizeof(*step->batches));
    step->used = ms_xcalloc(shards, sizeof(*step->used));
    return step;
}

void ms_dump_step_free(struct ms_dump_step *step)
{
    int64_t i;

    if (step == NULL)
        return;
    for (i = 0; i < step->n_used; i++) {
        struct ms_dump_batch *batch = &step->batches[step->used[i]];

        if (batch->request != NULL)
            ms_redis_cancel(batch->request);
        ms_cmd_done(&batch->cmd);
    }
    free(step->batches);
    free(step->used);
    free(step->rejects);
    free(step);
}

static void begin_batch(struct ms_dump_step *step, int64_t shard)
{
    const struct ms_dump_step_options *o = &step->options;
    struct ms_dump_batch *batch = &step->batches[shard];

    batch->step = step;
    step->used[step->n_used++] = shard;
    ms_dataset_put_build(&batch->cmd, o->fleet, o->map, shard, o->writer);
    if (o->map->shards <= ROOMY_SHARDS)
        ms_buf_reserve(&batch->cmd.body, o->max_bytes + ROOM_FOR_LENGTHS);
}

bool ms_dump_step_add_doc(struct ms_dump_step *step, const struct ms_doc *doc)
{
    const struct ms_dump_step_options *o = &step->options;
    int64_t shard = ms_dataset_shard_of(o->map, doc->id, doc->id_len);
    struct ms_dump_batch *batch = &step->batches[shard];
    size_t bytes = doc->id_len + doc->len;

    if (batch->n_docs > 0 && batch->bytes + bytes > o->max_bytes)
        return false;
    if (batch->n_docs == 0)
        begin_batch(step, shard);
    ms_dataset_put_add(&batch->cmd, doc->id, doc->id_len, doc->bytes, doc->len);
    batch->n_docs++;
    batch->bytes += bytes;
    if (batch->n_docs >= o->max_docs || batch->bytes >= o->max_bytes)
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

static void on_answered(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_dump_batch *batch = arg;
    struct ms_dump_step *step = batch->step;
    struct ms_error error = {""};
    int64_t n_new;

    batch->request = NULL;
    step->under_way--;
    if (err == MS_OK)
        err = ms_dataset_put_parse(reply, &n_new, &error);
    else
        ms_error_set(&error, err, "%s",
                     reply->type == MS_REPLY_ERROR ? reply->str
                                                   : ms_err_name(err));
    if (err != MS_OK && step->err == MS_OK) {
        step->err = err;
        step->error = error;
    }
}

void ms_dump_step_send(struct ms_dump_step *step)
{
    int64_t i;

    step->is_sent = true;
    step->under_way = step->n_used;
    for (i = 0; i < step->n_used; i++) {
        struct ms_dump_batch *batch = &step->batches[step->used[i]];

        batch->request = ms_redis_send(step->options.redis, &batch->cmd, 0,
                                       on_answered, batch);
    }
}

bool ms_dump_step_is_acked(const struct ms_dump_step *step)
{
    return step->is_sent && step->under_way == 0 && step->err == MS_OK;
}

enum ms_err ms_dump_step_failed(const struct ms_dump_step *step,
                                struct ms_error *out_why)
{
    if (step->err != MS_OK)
        *out_why = step->error;
    return step->err;
}

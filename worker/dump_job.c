#include "worker/dump_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/val.h"

#define MAX_LINE    (16 * 1024 * 1024)
#define BATCH_DOCS  200
#define BATCH_BYTES (256 * 1024)

void ms_dump_job_done(struct ms_dump_job *job)
{
    ms_manifest_done(&job->manifest);
    free(job->import);
    job->import = NULL;
}

/* Copies a text of the payload; false where it is missing or too long. */
static bool copy_text(const msgpack_object *map, const char *key, char *out,
                      size_t size)
{
    char *text = ms_val_strdup(map, key);
    bool fits = text != NULL && strlen(text) < size;

    if (fits)
        memcpy(out, text, strlen(text) + 1);
    free(text);
    return fits;
}

static int64_t within(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void read_limits(const msgpack_object *payload, struct ms_dump_job *job)
{
    job->max_line =
        (size_t)within(ms_val_int(payload, "max_line_bytes", MAX_LINE), 1,
                       INT32_MAX);
    job->batch_docs =
        (size_t)within(ms_val_int(payload, "batch_docs", BATCH_DOCS), 1,
                       MS_DATASET_BATCH_DOCS);
    job->batch_bytes =
        (size_t)within(ms_val_int(payload, "batch_bytes", BATCH_BYTES), 1,
                       (int64_t)MS_DATASET_BATCH_BYTES);
}

static bool read_source(const msgpack_object *payload, struct ms_dump_job *job)
{
    const msgpack_object *manifest = ms_val_get(payload, "manifest");

    job->manifest.path = ms_val_strdup(payload, "source");
    job->manifest.chunk_size = 1; /* of no use here */
    if (job->manifest.path == NULL || manifest == NULL)
        return false;
    job->manifest.size = ms_val_int(manifest, "size", -1);
    job->manifest.mtime_ns = ms_val_int(manifest, "mtime_ns", INT64_MIN);
    job->start = ms_val_int(payload, "start", -1);
    job->end = ms_val_int(payload, "end", -1);
    return job->manifest.mtime_ns != INT64_MIN && job->start >= 0 &&
           job->end >= job->start && job->end <= job->manifest.size;
}

static bool read_target(const msgpack_object *payload, struct ms_dump_job *job)
{
    struct ms_dataset *map = &job->map;

    map->shards = ms_val_int(payload, "shards", 0);
    map->gen = ms_val_int(payload, "gen", 0);
    map->epoch = ms_val_int(payload, "epoch", -1);
    return copy_text(payload, "dataset", map->name, sizeof(map->name)) &&
           copy_text(payload, "id_field", map->id_field,
                     sizeof(map->id_field)) &&
           ms_name_is_valid(map->name) && map->gen >= 1 && map->epoch >= 0 &&
           ms_dataset_check(map->shards, map->id_field, NULL) == MS_OK;
}

enum ms_err ms_dump_job_read(const msgpack_object *payload,
                             const struct ms_held *held,
                             struct ms_dump_job *out_job,
                             struct ms_error *error)
{
    struct ms_dump_job job = {.start = 0};
    enum ms_err err = MS_OK;

    job.import = ms_val_strdup(payload, "import");
    if (!read_source(payload, &job))
        err = ms_error_set(error, MS_EINVAL,
                           "payload: source, manifest, start or end is wrong");
    else if (!read_target(payload, &job))
        err = ms_error_set(error, MS_EINVAL,
                           "payload: dataset, shards, gen, epoch or id_field "
                           "is wrong");
    else if (job.import == NULL || !ms_job_id_is_valid(job.import))
        err = ms_error_set(error, MS_EINVAL, "payload: import is wrong");
    if (err != MS_OK) {
        ms_dump_job_done(&job);
        return err;
    }
    read_limits(payload, &job);
    job.writer = (struct ms_dataset_writer){.import = job.import,
                                            .chunk = held->chunk,
                                            .fence = held->fence};
    *out_job = job;
    return MS_OK;
}

/* ---- resume ---- */

static int64_t sum_of(const struct ms_held *held, const char *name)
{
    size_t i;

    for (i = 0; i < held->n_sums; i++)
        if (strcmp(held->sums[i].name, name) == 0)
            return held->sums[i].value;
    return 0;
}

void ms_dump_job_resume(const struct ms_dump_job *job,
                        const struct ms_held *held,
                        struct ms_dump_tally *out_tally, int64_t *out_reread)
{
    static const char *const lanes[] = {"c0", "c1", "c2", "c3"};
    struct ms_dump_tally tally = {.offset = job->start};
    struct ms_val cursor = {.zone = NULL};
    int64_t offset, read, reread = sum_of(held, "reread");
    int i;

    if (held->cursor.data != NULL)
        ms_val_from_msgpack(held->cursor.data, held->cursor.len, &cursor, NULL);
    offset = ms_val_int(&cursor.root, "offset", -1);
    read = ms_val_int(&cursor.root, "read", offset);
    ms_val_done(&cursor);
    /* A cursor from elsewhere begins the chunk anew: sums are since the job
     * began, so the parent's take back what they counted before. */
    if (offset >= job->start && offset <= job->end) {
        tally.offset = offset;
        tally.docs = sum_of(held, "docs");
        tally.lines = sum_of(held, "lines");
        tally.rejected = sum_of(held, "rejected");
        tally.empty = sum_of(held, "empty");
        for (i = 0; i < 4; i++)
            tally.sum.lanes[i] = sum_of(held, lanes[i]);
        reread += within(read, offset, job->end) - offset;
    }
    *out_tally = tally;
    *out_reread = reread;
}

/* ---- report ---- */

static void pack_cursor(int64_t seq, int64_t offset, int64_t read,
                        struct ms_buf *out)
{
    const struct {
        const char *key;
        int64_t value;
    } fields[] = {{"seq", seq}, {"offset", offset}, {"read", read}};
    msgpack_packer pk;
    size_t i;

    ms_buf_clear(out);
    ms_val_packer_init(&pk, out);
    msgpack_pack_map(&pk, MS_COUNT_OF(fields));
    for (i = 0; i < MS_COUNT_OF(fields); i++) {
        msgpack_pack_str(&pk, strlen(fields[i].key));
        msgpack_pack_str_body(&pk, fields[i].key, strlen(fields[i].key));
        msgpack_pack_int64(&pk, fields[i].value);
    }
}

void ms_dump_job_report(const struct ms_dump_job *job, int64_t seq,
                        const struct ms_dump_tally *tally, int64_t reread,
                        int64_t read_to, struct ms_buf *cursor,
                        struct ms_checkpoint *out)
{
    int64_t bytes = tally->offset - job->start, size = job->end - job->start;
    const struct ms_sum sums[] = {
        {"docs", tally->docs},       {"bytes", bytes},
        {"lines", tally->lines},     {"rejected", tally->rejected},
        {"empty", tally->empty},     {"read", bytes + reread},
        {"reread", reread},          {"c0", tally->sum.lanes[0]},
        {"c1", tally->sum.lanes[1]}, {"c2", tally->sum.lanes[2]},
        {"c3", tally->sum.lanes[3]},
    };

    _Static_assert(MS_COUNT_OF(sums) <= MS_SUMS_MAX, "all sums fit");
    *out = (struct ms_checkpoint){.seq = seq};
    pack_cursor(seq, tally->offset, read_to, cursor);
    out->cursor.data = cursor->data;
    out->cursor.len = cursor->len;
    out->progress = size == 0 ? 1 : (double)bytes / (double)size;
    memcpy(out->sums, sums, sizeof(sums));
    out->n_sums = MS_COUNT_OF(sums);
}

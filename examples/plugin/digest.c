/*
 * An example of a plug-in: sums up the bytes of a file, in steps.
 *
 *     musterctl job enqueue digest.file '{"path": "/etc/services"}'
 *
 * It shows a cursor, progress, a stop, a rate limit, a follow-up job and what a
 * handler says when things go wrong.  A real one would read its payload with a
 * JSON library of its choice; this one finds its one word by hand.
 */
#include <errno.h>
#include <muster/handler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 65536

struct digest {
    char path[1024];
    long at, size; /* bytes done, bytes in all */
    unsigned long sum;
};

/* The word behind "path".  0: there is none. */
static int read_payload(struct muster_ctx *ctx, struct digest *digest)
{
    const char *at = strstr(muster_payload_json(ctx), "\"path\"");

    return at != NULL &&
           sscanf(at, "\"path\" : \"%1023[^\"\\]\"", digest->path) == 1;
}

/* Where a former run came to: "[at, sum]". */
static void read_cursor(struct muster_ctx *ctx, struct digest *digest)
{
    const char *cursor = muster_cursor_json(ctx);

    if (cursor == NULL ||
        sscanf(cursor, "[%ld,%lu]", &digest->at, &digest->sum) != 2)
        digest->at = digest->sum = 0;
}

static int sum_up(struct muster_ctx *ctx, struct digest *digest, FILE *file)
{
    unsigned char bytes[STEP];
    char cursor[64];
    size_t n;

    while ((n = fread(bytes, 1, STEP, file)) > 0) {
        for (size_t i = 0; i < n; i++)
            digest->sum += bytes[i];
        digest->at += (long)n;
        /* What lies before is done: nobody has to read it again. */
        snprintf(cursor, sizeof(cursor), "[%ld,%lu]", digest->at, digest->sum);
        muster_checkpoint(ctx, cursor,
                          (double)digest->at / (double)digest->size);
        switch (muster_cancelled(ctx)) {
        case MUSTER_GO_ON:
            break;
        case MUSTER_DRAIN:
            return MUSTER_RELEASED; /* another pod goes on from the cursor */
        default:
            return MUSTER_CANCELLED;
        }
    }
    return ferror(file) ? MUSTER_FAILED : MUSTER_DONE;
}

/* Once, however often this job runs: the id is made of its own. */
static int tell(struct muster_ctx *ctx, const struct digest *digest)
{
    char id[MUSTER_ID_SIZE], payload[128];
    struct muster_job job;

    snprintf(id, sizeof(id), "%.100s-told", ctx->id);
    snprintf(payload, sizeof(payload), "{\"sum\":%lu}", digest->sum);
    job = MUSTER_JOB("noop.echo", payload);
    job.id = id;
    return muster_enqueue(ctx, &job, NULL);
}

static int digest_file(struct muster_ctx *ctx)
{
    struct digest digest;
    char result[128];
    int outcome;
    FILE *file;

    if (!read_payload(ctx, &digest)) {
        muster_error(ctx, "payload.path is missing");
        return MUSTER_DEAD;
    }
    file = fopen(digest.path, "rb");
    if (file == NULL) {
        outcome = errno == ENOENT ? MUSTER_DEAD : MUSTER_FAILED;
        muster_error(ctx, "cannot open '%s': %s", digest.path, strerror(errno));
        return outcome;
    }
    fseek(file, 0, SEEK_END);
    digest.size = ftell(file);
    read_cursor(ctx, &digest);
    fseek(file, digest.at, SEEK_SET);
    outcome = sum_up(ctx, &digest, file);
    fclose(file);
    if (outcome != MUSTER_DONE)
        return outcome;
    muster_log(ctx, MUSTER_INFO, "%ld bytes", digest.at);
    if (tell(ctx, &digest) != MUSTER_OK)
        return MUSTER_FAILED; /* the job's error says why */
    snprintf(result, sizeof(result), "{\"bytes\":%ld,\"sum\":%lu}", digest.at,
             digest.sum);
    muster_result_json(ctx, result);
    return MUSTER_DONE;
}
MUSTER_HANDLER("digest.file", digest_file, MUSTER_RESUMES)

/* One token of the limit "digests" a job, and word from a busy target. */
static int digest_politely(struct muster_ctx *ctx)
{
    int err = muster_acquire(ctx, "digests", 1);

    if (err == MUSTER_ESTOP)
        return MUSTER_CANCELLED;
    if (err != MUSTER_OK)
        return MUSTER_FAILED;
    if (strstr(muster_payload_json(ctx), "busy") != NULL) {
        muster_drain(ctx, "digests", 1000);
        muster_error(ctx, "the target is busy");
        return MUSTER_FAILED;
    }
    return digest_file(ctx);
}
MUSTER_HANDLER("digest.politely", digest_politely, 0)

/*
 * job: one job's record, as the hash ms:{F/Q}:job:<id> keeps it.
 *
 * Fields at their default are not stored; reading puts the defaults back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/reply.h"
#include "common/val.h"

#define MS_PRIORITY_DEFAULT 5

/* Bytes that may hold anything; `data` has a NUL behind it. */
struct ms_bytes {
    char *data; /* NULL: there is none */
    size_t len;
};

/* Times are ms since the epoch by Redis's clock, 0 where there is none. */
struct ms_job {
    char *id, *queue, *kind;
    char *state; /* scheduled ready running waiting done dead */
    int priority;
    bool json; /* payload and result are JSON, else msgpack */
    struct ms_bytes payload, result, cursor;
    int64_t seq;                             /* of the cursor; 0: none yet */
    int64_t attempts, max_attempts, crashes; /* max_attempts 0: the queue's */
    int64_t throttles;
    int64_t fence;
    char *pod, *parent, *group, *unique, *error;
    char *errors;  /* a JSON array, or NULL */
    int64_t chunk; /* -1: no chunk */
    int64_t created_ms, ready_ms, started_ms, finished_ms, due_ms, expires_ms;
    int64_t timeout_ms; /* 0: the queue's */
    double progress;    /* -1: not told */
    bool cancel_requested;
    /* Parents: what plan keeps on the record (docs/redis.md, "Parents"). */
    char *phase;
    struct ms_bytes plan;
    char *batch;       /* a batch's policy: "continue", "fail_fast" */
    char *callback_of; /* the batch whose callback it is */
};

/* Reads a flat array of pairs (HGETALL).  MS_ENOENT for an empty one, MS_EPROTO
 * for one that is no job.  On success the caller frees with ms_job_free(). */
enum ms_err ms_job_parse(const char *queue, const char *id,
                         const struct ms_reply *pairs, struct ms_job **out_job,
                         struct ms_error *error);
void ms_job_free(struct ms_job *job); /* takes NULL */

/* Writes the JSON object of docs/jobs.md ("a job"); payload and result as JSON.
 */
void ms_job_to_json(const struct ms_job *job, struct ms_json *json);

/* Payload or result as JSON text, whatever it is kept as; "null" where there
 * is none. */
void ms_job_bytes_to_json(const struct ms_job *job,
                          const struct ms_bytes *bytes, struct ms_buf *out);

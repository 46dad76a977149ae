/*
 * enqueue: puts jobs into a queue (lua/enqueue.lua).
 *
 * A call can be repeated after a broken connection: its token is remembered
 * for ten minutes, and the repeated call gets the first one's answer.  Ids that
 * users chose are remembered for ten minutes after their record has gone.
 *
 * Whoever enqueues into a queue for the first time also adds its name to
 * ms:{F}:queues (another hash tag): ms_enqueue_register_build(), before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/job.h"
#include "common/reply.h"

#define MS_ENQUEUE_MAX   500 /* jobs a call */
#define MS_ENQUEUE_BATCH 50  /* what is kind to the others that wait */

/* What becomes of a new job whose unique key another job holds.  A holder that
 * runs stands in every mode: the new job is deduplicated. */
enum ms_unique_mode {
    MS_UNIQUE_REFUSE,  /* deduplicated */
    MS_UNIQUE_REPLACE, /* a holder that waits is deleted and gives way */
    /* A holder that waits stays who it is (id, priority, group) and is to do
     * what the new job says (kind, payload, due time, limits), which is
     * deduplicated: each push moves it on. */
    MS_UNIQUE_DEBOUNCE
};

/* "refuse", "replace", "debounce"; MS_EINVAL for another word. */
enum ms_err ms_unique_mode_parse(const char *text,
                                 enum ms_unique_mode *out_mode,
                                 struct ms_error *error);

/* A zeroed struct with `id` and `kind` is a plain job, but for `priority`:
 * set MS_PRIORITY_DEFAULT.  Everything is borrowed while building. */
struct ms_new_job {
    const char *id; /* a fresh ULID, or what the user chose */
    bool own_id;    /* the user chose it: remembered */
    const char *kind;
    const void *payload;
    size_t payload_len;
    bool json; /* the payload is JSON text, not msgpack */
    int priority;
    const char *group;     /* NULL: none */
    int64_t delay_ms;      /* from now, by Redis's clock */
    int64_t at_ms;         /* since the epoch; 0: no */
    int64_t expires_in_ms; /* 0: never */
    int64_t expires_at_ms; /* 0: never */
    const char *unique;    /* NULL: none */
    enum ms_unique_mode unique_mode;
    int64_t unique_ttl_ms; /* 0: while the job lives */
    int64_t max_attempts;  /* 0: the queue's */
    int64_t timeout_ms;    /* 0: the queue's */
    /* Of the leader's calls alone: the job is that of a schedule's slot, which
     * is enqueued once, however long ago.  NULL: none. */
    const char *schedule;
    int64_t slot_ms;
    bool parent; /* goes straight into waiting; the coordinator plans it */
};

/* What any job must fulfil, but for its id; `i` is named in the error, from 0.
 * MS_EINVAL. */
enum ms_err ms_new_job_check(size_t i, const struct ms_new_job *job,
                             int64_t max_payload, struct ms_error *error);

/* Appends its options as the scripts take them: nothing, or a msgpack map. */
void ms_new_job_pack_options(const struct ms_new_job *job, struct ms_buf *out);

enum ms_enqueue_status { MS_ENQUEUED, MS_DEDUPLICATED };

/* Names, ids and sizes are checked here: MS_EINVAL says which job and field.
 * `token` is a ULID made for this call and kept for its repetition. */
enum ms_err ms_enqueue_build(struct ms_cmd *cmd, const char *fleet,
                             const char *queue, const char *token,
                             const struct ms_new_job *jobs, size_t n_jobs,
                             int64_t max_payload, struct ms_error *error);

/* Shows a leader's epoch in a request that ms_enqueue_build() has built: it is
 * refused where the queue has seen a newer one.  What acts for the leader (the
 * schedules) needs it, a producer does not. */
void ms_enqueue_by_leader(struct ms_cmd *cmd, int64_t epoch);

/* Called once a job, in their order; `id` is NULL for an enqueued one, else the
 * id that stands for it (its own, or the holder of its unique key), and lasts
 * as long as the reply. */
typedef void ms_enqueued_fn(size_t i, enum ms_enqueue_status status,
                            const char *id, void *arg);

/* MS_EFULL where the queue is at max_length, MS_ESTALE where it has seen a
 * newer epoch (nothing was enqueued). */
enum ms_err ms_enqueue_parse(const struct ms_reply *reply, size_t n_jobs,
                             ms_enqueued_fn *fn, void *arg,
                             struct ms_error *error);

/* SADD of the queue's name. */
void ms_enqueue_register_build(struct ms_cmd *cmd, const char *fleet,
                               const char *queue);

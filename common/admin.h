/*
 * admin: what operators do to jobs and queues, one script each.
 *
 * Every builder makes one request; every answer begins with a status word.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/reply.h"

/* ---- one job ---- */

enum ms_cancel_result {
    MS_CANCEL_CANCELLED, /* it is dead now, "cancelled by user" */
    MS_CANCEL_REQUESTED, /* its pod (or the leader, for a parent) is told */
    MS_CANCEL_FINISHED,  /* it had ended */
    MS_CANCEL_UNKNOWN
};
void ms_cancel_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *id, const char *actor);
/* `out_pod` (of MS_KEY_MAX) gets the running pod's id, "" for none: push
 * "cancel QUEUE ID" to its inbox, and it stops at once. */
enum ms_err ms_cancel_parse(const struct ms_reply *reply,
                            enum ms_cancel_result *out_result, char *out_pod,
                            struct ms_error *error);
const char *ms_cancel_result_name(enum ms_cancel_result result);

/* Dead (or done) -> ready, attempts and crashes anew; a parent: -> waiting,
 * the leader revives its chunks.  `payload` NULL keeps the payload.  MS_ENOENT,
 * MS_ESTATE for a job that has not ended. */
void ms_retry_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    const char *id, const void *payload, size_t payload_len);

/* Scheduled -> ready at once. */
void ms_run_now_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                      const char *id);

/* The record goes, with all that belongs to it.  MS_ESTATE while running, or a
 * parent that waits: cancel first.  MS_EBUSY: a parent's chunks were deleted
 * in part; call again. */
void ms_delete_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *id);

/* Reads the status word of retry, run_now and delete. */
enum ms_err ms_job_status_parse(const struct ms_reply *reply, const char *id,
                                struct ms_error *error);

/* ---- many jobs, a slice a call ---- */

/* What a bulk slice does to the jobs of one state ("ready" "scheduled" "dead"
 * "done"): "delete", "retry" (dead), "cancel" (ready, scheduled).  `kind` NULL:
 * any.  At most 500 a call; call again while more. */
void ms_bulk_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                   const char *verb, const char *state, const char *kind,
                   const char *cursor);
/* `out_next` (64 bytes) is the cursor of the next call, "" at the end. */
enum ms_err ms_bulk_parse(const struct ms_reply *reply, int64_t *out_n,
                          char *out_next, struct ms_error *error);

/* ---- a queue ---- */

void ms_pause_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    bool paused);
/* Writes settings; `only_absent` is a seed.  Pairs are Redis fields as
 * ms_queue_conf_parse() gives them.  The answer is the whole hash
 * (ms_configure_parse()); a raised cap wakes pods.  After a change push
 * "queue QUEUE" to the inboxes of the pods that declared it. */
void ms_configure_build(struct ms_cmd *cmd, const char *fleet,
                        const char *queue, bool only_absent,
                        const char *const *pairs, size_t n_pairs);
/* *out_pairs points into the reply: HGETALL of cfg. */
enum ms_err ms_configure_parse(const struct ms_reply *reply,
                               const struct ms_reply **out_pairs,
                               struct ms_error *error);

struct ms_queue_info {
    bool paused;
    int64_t max_workers, ready, scheduled, running, waiting, done, dead;
    int64_t parked;                              /* counted in ready as well */
    int64_t oldest_ready_ms, throttled_until_ms; /* 0: none */
    int64_t due;                                 /* scheduled and due already */
    int64_t now_ms;                              /* Redis's clock */
};
void ms_queue_info_build(struct ms_cmd *cmd, const char *fleet,
                         const char *queue);
enum ms_err ms_queue_info_parse(const struct ms_reply *reply,
                                struct ms_queue_info *out_info,
                                struct ms_error *error);

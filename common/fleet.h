/*
 * fleet: what is kept under {F}: the leader, pods, shares, tasks, the schema.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/reply.h"

/* The key layout that this build knows. */
#define MS_SCHEMA "1"

/* Writes the schema where there is none and answers what stands there. */
void ms_schema_build(struct ms_cmd *cmd, const char *fleet);
/* MS_ESCHEMA unless it is MS_SCHEMA. */
enum ms_err ms_schema_parse(const struct ms_reply *reply,
                            struct ms_error *error);

/* ---- leader ---- */

struct ms_lead {
    const char *fleet;
    const char *id;         /* this coordinator's ULID, fresh at each start */
    const char *host, *url; /* url: of its HTTP server, "" for none */
    int64_t pid, ttl_ms;
};
struct ms_lead_answer {
    bool leads;
    int64_t epoch;   /* of the leader that there is */
    char leader[64]; /* its id */
    int64_t left_ms; /* of its lease */
};
/* Takes the lease if it is free, renews it if it is ours. */
void ms_lead_build(struct ms_cmd *cmd, const struct ms_lead *lead);
enum ms_err ms_lead_parse(const struct ms_reply *reply,
                          struct ms_lead_answer *out_answer,
                          struct ms_error *error);
/* Gives the lease back, if it is still ours. */
void ms_resign_build(struct ms_cmd *cmd, const char *fleet, const char *id);

/* ---- pods ---- */

#define MS_POD_INBOX_MAX 64 /* as lua/inbox.lua has it */

/* Every connection of a pod is named by this and the pod's id (more may
 * follow): the leader sees in CLIENT LIST when a pod has died. */
#define MS_POD_CLIENT_PREFIX "muster-pod-"

/* `fields` are pairs of the pod's hash: label host pid version queues
 * concurrency slots busy draining started_ms http kinds. */
struct ms_beat {
    const char *fleet, *pod;
    const char *const *queues; /* NULL-terminated */
    const char *const *fields;
    size_t n_fields;       /* pairs */
    int64_t gone_after_ms; /* six beats: the records' expiry */
};
void ms_beat_build(struct ms_cmd *cmd, const struct ms_beat *beat);
/* Called once a queue, in their order. `assigned` -1: the leader has assigned
 * nothing to this pod yet, or there is none (its share is then
 * ceil(max_workers / pods)); 0 and more: this pod's share.  `pods`: live pods that declared the queue and do not
 * drain. */
typedef void ms_share_fn(size_t queue, int64_t assigned, int64_t pods,
                         void *arg);
enum ms_err ms_beat_parse(const struct ms_reply *reply, size_t n_queues,
                          ms_share_fn *fn, void *arg, int64_t *out_now_ms,
                          struct ms_error *error);
/* The pod leaves: its records, shares and inbox go. */
void ms_leave_build(struct ms_cmd *cmd, const char *fleet, const char *pod,
                    const char *const *queues);

/* A message to a pod's inbox (dropped when it holds MS_POD_INBOX_MAX):
 * "slots", "queue Q", "cancel Q ID", "drain". */
void ms_inbox_build(struct ms_cmd *cmd, const char *fleet, const char *pod,
                    const char *message);

/* ---- what the leader writes ---- */

/* Replaces ms:{F}:slots:<Q>.  MS_ESTALE where a newer epoch exists. */
void ms_assign_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch, const char *const *pods,
                     const int64_t *slots, size_t n);
/* Sets fields of ms:{F}:task:<name>; the same refusal. */
void ms_task_note_build(struct ms_cmd *cmd, const char *fleet, const char *task,
                        int64_t epoch, const char *const *pairs,
                        size_t n_pairs);
/* Removes a pod that is gone, unless its heartbeat has moved since
 * `heartbeat_ms`; the same refusal. */
void ms_bury_build(struct ms_cmd *cmd, const char *fleet, const char *pod,
                   const char *const *queues, int64_t epoch,
                   int64_t heartbeat_ms);
/* Status word of assign, task_note and bury. */
enum ms_err ms_fleet_status_parse(const struct ms_reply *reply,
                                  struct ms_error *error);

/*
 * schedule: a job by the clock, as the hash ms:{F}:cron:<name> keeps it, and
 * what is asked of the scripts about it.
 *
 * The time of a firing is its *slot*.  `next_ms` is the next slot that nobody
 * has taken; whoever leads takes it by compare-and-set, so that
 *
 *            cron_fire: next_ms moves on         enqueue, then cron_clear
 *     IDLE -------------------------------> PENDING ---------------------> IDLE
 *       |    pending_slot_ms, _id, _queue       |
 *       '--- cron_fire without a slot ---.      '- the next leader repeats it:
 *            (skipped, missed: counted)  v         the same id, so one job
 *                                      IDLE
 *
 * A slot's job has an id made of name and slot.  The zset ms:{F}:crons has
 * every schedule by the time it wants to be looked at: its pending slot, else
 * next_ms, else (disabled) infinity.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/conf.h"
#include "common/enqueue.h"
#include "common/err.h"
#include "common/name.h"
#include "common/reply.h"

/* Times are ms since the epoch by Redis's clock, 0 where there is none; texts
 * are NULL where there is none. */
struct ms_schedule {
    struct ms_schedule_conf def;
    int64_t version; /* goes up whenever the definition is written */
    int64_t next_ms; /* 0: the leader works it out */
    int64_t pending_slot_ms, last_slot_ms, last_fired_ms, trigger_ms;
    char *pending_id, *pending_queue;
    char *last_id, *last_queue;       /* the last slot's job */
    char *trigger_id, *trigger_queue; /* the last job triggered by hand */
    char *last_error;
    int64_t fired, skipped, missed;
};

/* Reads a flat array of pairs (HGETALL).  MS_ENOENT for an empty one, MS_EPROTO
 * for one that is no schedule (a field is missing or bad; the text names it).
 * On success the caller frees what it holds. */
enum ms_err ms_schedule_parse(const char *name, const struct ms_reply *pairs,
                              struct ms_schedule *out_schedule,
                              struct ms_error *error);
void ms_schedule_done(struct ms_schedule *schedule);

/* ---- definitions ---- */

/* All defaults; free with ms_schedule_conf_done(). */
void ms_schedule_conf_init(struct ms_schedule_conf *def, const char *name);
void ms_schedule_conf_done(struct ms_schedule_conf *def);
/* Copies; the target is overwritten, not freed. */
void ms_schedule_conf_copy(struct ms_schedule_conf *to,
                           const struct ms_schedule_conf *from);

/* Sets one field ("cron", "tz", ...) from text; MS_EINVAL names it. */
enum ms_err ms_schedule_conf_set(struct ms_schedule_conf *def, const char *key,
                                 const char *text, struct ms_error *error);

/* Puts in the kind's queue where none is said, and checks what only the whole
 * can say: MS_EINVAL for a name outside the grammar, a missing field, or a
 * payload over conf->max_payload_bytes (as msgpack, which is what the job
 * gets). */
enum ms_err ms_schedule_conf_finish(struct ms_schedule_conf *def,
                                    const struct ms_conf *conf,
                                    struct ms_error *error);

/* The first slot after `after_ms`. */
enum ms_err ms_schedule_next(const struct ms_schedule_conf *def,
                             int64_t after_ms, int64_t *out_ms,
                             struct ms_error *error);

/* ---- what is due ---- */

/* A slot that is later than this is missed: time enough for another leader. */
#define MS_SCHEDULE_LATE_MS 60000
/* At most so many slots are looked at in one step. */
#define MS_SCHEDULE_STEP 10000

struct ms_schedule_due {
    int64_t slot_ms; /* to fire now; 0: none */
    int64_t next_ms; /* what is to become of next_ms */
    int64_t missed;  /* slots that are passed over for good */
};

/* What the policy makes of the slots from next_ms to now:
 *
 *     skip        the newest, if it is not late; the rest is missed
 *     once        the newest stands for all
 *     catch-up K  the newest K, and one that is not late; oldest first, one
 *                 a step
 *
 * Nothing due, or not enabled: slot and missed are 0.  A long absence takes
 * several steps. */
enum ms_err ms_schedule_due(const struct ms_schedule *schedule, int64_t now_ms,
                            struct ms_schedule_due *out_due,
                            struct ms_error *error);

/* "cron:NAME:20261121T120000Z"; '~', which ids do not have, becomes ':', which
 * names do not have. */
void ms_schedule_job_id(const char *name, int64_t slot_ms,
                        char out_id[MS_JOB_ID_MAX + 1]);
/* "cron:NAME:ULID", of a trigger. */
void ms_schedule_trigger_id(const char *name, char out_id[MS_JOB_ID_MAX + 1]);

/* The job of a definition: its payload as msgpack, appended to `payload`, and
 * what conf says of its kind.  *out_job borrows from all four; MS_EINVAL for a
 * payload that is no JSON. */
enum ms_err ms_schedule_job(const struct ms_schedule_conf *def,
                            const struct ms_conf *conf, const char *id,
                            struct ms_buf *payload, struct ms_new_job *out_job,
                            struct ms_error *error);

/* ---- what operators and seeds ask ---- */

/* Writes a definition, unless the schedule's version is no longer `version` (0:
 * there is none): MS_EBUSY, read it again.  next_ms 0: the leader works it
 * out. */
void ms_schedule_set_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_schedule_conf *def, int64_t version,
                           int64_t next_ms);
/* Writes what is absent, field by field. */
void ms_schedule_seed_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_schedule_conf *def);
void ms_schedule_rm_build(struct ms_cmd *cmd, const char *fleet,
                          const char *name);
/* Notes that the job `id` is about to be enqueued into `queue`. */
void ms_schedule_trigger_build(struct ms_cmd *cmd, const char *fleet,
                               const char *name, const char *id,
                               const char *queue);

/* ---- what the leader asks ---- */

/* Names that want to be looked at, at most `limit`. */
void ms_schedule_look_build(struct ms_cmd *cmd, const char *fleet, int limit);
/* *out_names points into the reply; *out_next_ms: when the next one wants to,
 * 0: none does. */
enum ms_err ms_schedule_look_parse(const struct ms_reply *reply,
                                   int64_t *out_now_ms, int64_t *out_next_ms,
                                   const struct ms_reply **out_names,
                                   struct ms_error *error);

/* Takes due->slot_ms (0: none) for the job `id` and moves next_ms on, if
 * version, next_ms and epoch are what the caller believes; `skipped` is
 * counted. */
void ms_schedule_fire_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_schedule *schedule,
                            const struct ms_schedule_due *due, const char *id,
                            bool skipped, int64_t epoch);
/* The job is enqueued. */
void ms_schedule_clear_build(struct ms_cmd *cmd, const char *fleet,
                             const char *name, const char *pending_id,
                             int64_t epoch);
/* It could not be done: look again `again_ms` from now.  A name without a
 * schedule leaves the zset. */
void ms_schedule_note_build(struct ms_cmd *cmd, const char *fleet,
                            const char *name, const char *text,
                            int64_t again_ms, int64_t epoch);

/* The status word of all of them but look: MS_ENOENT, MS_ESTALE (a newer
 * leader), MS_EBUSY (it has changed since). */
enum ms_err ms_schedule_status_parse(const struct ms_reply *reply,
                                     const char *name, struct ms_error *error);

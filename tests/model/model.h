/*
 * model: what a queue is, in plain C structures, beside which the real scripts
 * are run.
 *
 * It follows what DESIGN, docs/redis.md, docs/jobs.md and the headers of the
 * scripts say, one function an operation.  Each function answers what the
 * script must answer and changes the model as Redis must have changed.  Where
 * the contract leaves a choice (the jitter of a backoff, which of two equally
 * old jobs is dropped, how far a claim looked past what it cannot run), the
 * model notes what is allowed, and takes over what it sees
 * (world_adopt.c).
 *
 * The universe is small, so that names collide: eight plain jobs, two imports
 * with up to six chunks each, a batch with as many children and its callbacks,
 * three pods, five kinds, two groups, two unique keys.  Jobs, kinds, groups,
 * keys and pods are indexes; NONE is no such.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define N_PLAIN   8
#define N_IMPORTS 2
#define N_PARENTS (N_IMPORTS + 1)
#define BATCH     N_IMPORTS /* the last parent is a batch */
#define N_CHUNKS  6
#define N_LIVES   6 /* of the batch: it is retried less often than that */
#define N_FAMILY  (N_PLAIN + N_PARENTS * (1 + N_CHUNKS))
#define N_JOBS    (N_FAMILY + 3 * N_LIVES) /* the last are callbacks */
#define N_PODS    3
#define N_KINDS   5               /* the last: of the batch itself */
#define N_GROUPS  (2 + N_PARENTS) /* a parent is its chunks' group */
#define N_UNIQUES 2
#define N_TOKENS  2
#define NONE      (-1)

#define MODEL_TTL         30000  /* of all leases */
#define MODEL_REMEMBER_MS 600000 /* tokens, and ids that users chose */

enum place { READY, PARKED, SCHEDULED, RUNNING, WAITING, DONE, DEAD };

struct mjob {
    bool exists;
    enum place place;
    int kind, group, unique, pod, priority;
    bool own, cancel_requested;
    int64_t attempts, crashes, throttles;
    int64_t max_attempts;        /* 0: the queue's */
    int64_t fence, settled, seq; /* 0: none */
    int64_t created, ready_ms, started, finished, expires;
    int64_t ended_at; /* its score in done or dead; retention may move it on */
    int64_t due_lo, due_hi; /* SCHEDULED: allowed at least and most */
    int64_t lease_end;      /* RUNNING */
    int64_t parked_ms;      /* PARKED; 0: not known */
    bool is_loose;   /* world_adopt.c: it may have been stopped instead */
    bool took_crash; /* the last taking back cost a crash */
    int n_errors;
    char error[80];    /* "" for none */
    const char *phase; /* of a parent; NULL: none */
    bool has_plan;
    int64_t docs; /* of the last move's sums */
    int64_t unique_ttl_ms;
    /* Ready jobs of one group run in this order; what came together has one
     * number.  `is_sure` is false while a list holds the id more than once. */
    int64_t order;
    bool is_sure;
};

enum total {
    S_ENQUEUED,
    S_DEDUPLICATED,
    S_DONE,
    S_FAILED,
    S_DEAD,
    S_THROTTLED,
    S_CANCELLED,
    S_CRASHED,
    S_RELEASED,
    S_RECLAIMED,
    S_STALE,
    S_RETAINED_DONE,
    S_RETAINED_DEAD,
    S_DROPPED,
    S_REPLACED,
    N_STATS
};
extern const char *const model_stats[N_STATS];

struct msettings {
    bool paused, backoff, drop_oldest;
    int64_t cap, group_max, crash_limit, max_attempts, backoff_base,
        backoff_max, retain_done_ms, retain_dead_ms, retain_done_max,
        max_length;
};

enum callback { ON_SUCCESS, ON_FAILURE, ON_COMPLETE, N_CALLBACKS };

struct mparent {
    bool is_stopping; /* none of its children runs any more */
    int64_t planned, n_dead, n_deleted, n_stopped;
    /* Of the batch. */
    bool is_sealed, is_reviving, has_ended, fail_fast, is_swept;
    bool calls[N_CALLBACKS];
    bool is_done[N_CHUNKS];
    int64_t docs;
    uint64_t rejects[N_CHUNKS]; /* offsets, a bit each */
};

struct model {
    int64_t now;
    struct msettings set;
    struct mjob jobs[N_JOBS];
    struct mparent parents[N_PARENTS];
    struct {
        int job;       /* NONE: free */
        int64_t until; /* 0: for ever */
    } locks[N_UNIQUES];
    int64_t handled_until[N_KINDS]; /* a pod that runs it was there */
    int64_t gone_until[N_JOBS];     /* a chosen id is remembered; 0: no */
    struct {
        int64_t until; /* 0: not known */
        int n_enqueued;
        char dedup[16];
    } tokens[N_TOKENS];
    int64_t seen, heard_at; /* as noted, and in truth; 0: never */
    int64_t quiet_end, throttled_until, throttles, epoch;
    int64_t stats[N_STATS];
    int64_t front, back; /* the next numbers of `order` */
    /* The last claim asked with these kinds: what it met and cannot run is
     * parked, what has expired is dead, what it can run was taken out again.
     * NULL: no claim since the last comparison. */
    const char *looked;
    char wrong[300]; /* the first thing that was not as it must be */
};

void model_init(struct model *m);
/* Notes the first mistake; later ones are its echo. */
void model_wrong(struct model *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- names ---- */

const char *model_id(int job); /* good until eight calls later */
int model_job_of(const char *id);
int model_parent_of(int job); /* of a child: its number; else NONE */
int model_chunk_of(int job);  /* its number; else NONE */
bool model_is_parent(int job);
int model_parent_job(int parent);
int model_parent_number(int job); /* of a parent's own job; else NONE */
/* Is it a child of a batch that is there?  Chunks of imports are not. */
bool model_is_of_batch(const struct model *m, int job);
extern const char *const model_kinds[N_KINDS];
extern const char *const model_groups[N_GROUPS];
extern const char *const model_uniques[N_UNIQUES];
extern const char *const model_pods[N_PODS];
const char *model_state_name(enum place place); /* as in the record */

/* ---- looking ---- */

int model_count(const struct model *m, enum place place);
int model_running_of(const struct model *m, int group);
int model_pod_of(const struct model *m, int pod); /* how many it runs */
bool model_handles(const char *kinds, int kind);
bool model_is_expired(const struct model *m, const struct mjob *j);
/* A child whose parent stops its children. */
bool model_is_stopping(const struct model *m, int job);
bool model_has_group_room(const struct model *m, int group);
/* Has a pod that runs all kinds something to do now, if only to end what has
 * expired? */
bool model_is_claimable(const struct model *m);

/* ---- what the operations are made of ---- */

void model_count_stat(struct model *m, enum total total, int64_t n);
void model_make_ready(struct model *m, int job, bool at_front);
void model_end_dead(struct model *m, int job, const char *why);
void model_end_stopped(struct model *m, int job);
void model_forget(struct model *m, int job);
void model_release_unique(struct model *m, int job);
void model_pass_time(struct model *m, int64_t now);
void model_hear(struct model *m);
void model_promote(struct model *m);
/* Takes ended leases back; returns how many, and how many of them died. */
int model_reclaim_expired(struct model *m, int *out_n_dead);

/* ---- enqueue ---- */

enum unique_mode { REFUSE, REPLACE, DEBOUNCE };
struct menqueue {
    enum unique_mode mode;
    int job, kind, group, unique, priority;
    bool own, parent;
    int64_t delay_ms, at_ms, expires_in_ms, expires_at_ms, unique_ttl_ms,
        max_attempts;
};
/* Which jobs were dropped to make room is told by `dropped`, n_dropped < 0:
 * the queue said that it is full.  Returns the number of enqueued jobs, -1 for
 * full; `out_dedup` gets the last id that stood for one. */
int model_enqueue(struct model *m, int token, const struct menqueue *jobs,
                  size_t n, const int *dropped, int n_dropped, char *out_dedup);

/* ---- pods ---- */

struct mmove {
    int64_t seq; /* 0: no move */
    int64_t docs;
    int reject; /* offset 0 to 63, NONE: none */
};
enum standing { GONE, STALE, SETTLED, RUN };
enum standing model_standing(const struct model *m, int job, int pod,
                             int64_t fence);

enum outcome { O_DONE, O_FAILED, O_DEAD, O_CANCELLED, O_THROTTLED };
/* Returns the standing before; only RUN changed anything. */
enum standing model_finish(struct model *m, int job, int pod, int64_t fence,
                           enum outcome outcome, const char *text,
                           int64_t delay_ms, int64_t of_kind,
                           const struct mmove *move);
enum standing model_release(struct model *m, int job, int pod, int64_t fence,
                            int64_t delay_ms, const char *why,
                            const struct mmove *move);
enum renewed { RENEWED, RENEWED_CANCEL, RENEWED_LOST };
/* Jobs of one call in their order. */
enum renewed model_renew(struct model *m, int job, int pod, int64_t fence,
                         const struct mmove *move);

enum mclaim_status { C_OK, C_PAUSED, C_COOLING, C_FULL };
struct mclaim {
    int pod, limit;
    const char *kinds;
    enum mclaim_status status; /* from here on: what was answered */
    bool more;
    int64_t now, next_due, cap;
    int n;
    struct {
        int job;
        int64_t fence, attempt;
    } jobs[64];
};
/* Checks an answer against what the queue holds, and lends what it lends. */
void model_claim(struct model *m, const struct mclaim *claim);
/* What is left to check once it is seen which jobs were parked. */
void model_claim_settled(struct model *m, const struct mclaim *claim);

/* ---- operators; each returns the status word that must be answered ---- */

const char *model_cancel(struct model *m, int job, int *out_pod);
const char *model_retry(struct model *m, int job);
const char *model_run_now(struct model *m, int job);
const char *model_delete(struct model *m, int job);
/* How many it changes; -1 where the verb is not for this state. */
int model_bulk(struct model *m, const char *verb, enum place place, int kind);

/* ---- the leader ---- */

/* Adds children to the batch, which it makes; the words of the answer, and how
 * many were added. */
const char *model_family(struct model *m, int64_t first,
                         const struct menqueue *children, int n, bool seal,
                         bool fail_fast, const bool *calls, int *out_n);
/* Ends the batch where its last child has ended, as every script does in its
 * last step. */
void model_settle(struct model *m);
/* Goes on stopping or reviving, for the leader; how many it changed. */
int model_sweep(struct model *m);

/* False where a newer leader was seen. */
bool model_epoch(struct model *m, int64_t epoch);
void model_reap(struct model *m, int gone_pod, int *out_n, int *out_n_dead);
void model_unpark(struct model *m, const char *kinds, int *out_n,
                  int *out_n_dead);
/* Ended jobs past their age; `gone` says what else went (too many). */
void model_retain(struct model *m, const bool *gone, int *out_n,
                  int *out_n_dead);
const char *model_spawn(struct model *m, int parent, int64_t first, int n);
const char *model_phase(struct model *m, int parent, const char *phase,
                        const char *why);
const char *model_conclude(struct model *m, int parent, bool done,
                           const char *text);
const char *model_children(struct model *m, int parent, bool revive, int from,
                           int *out_n);

/*
 * lease: what a worker says to a queue: claim, renew, finish, release.
 *
 * Requests are built and answers read by pure functions; each is one script.
 * Every write shows fence and pod, and the script refuses what is stale.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/job.h"
#include "common/reply.h"

#define MS_CLAIM_MAX   256 /* jobs a call */
#define MS_CLAIM_BATCH 128 /* what a pod asks for and ends at most in one */

/* Who asks. */
struct ms_tenant {
    const char *fleet, *queue, *pod;
};

/* ---- claim ---- */

struct ms_claim_ask {
    int limit; /* 0 in a finish: no claim */
    int64_t ttl_ms;
    const char *kinds; /* ",noop.echo,py.*,": what this pod can run */
};

enum ms_claim_status {
    MS_CLAIM_OK, /* maybe no jobs */
    MS_CLAIM_PAUSED,
    MS_CLAIM_COOLING, /* throttled until next_due_ms */
    MS_CLAIM_FULL     /* running is at max_workers */
};

struct ms_claim_answer {
    enum ms_claim_status status;
    bool more;           /* ready jobs were left behind */
    int64_t now_ms;      /* Redis's clock */
    int64_t next_due_ms; /* when to look again at the latest; 0: no such */
    int64_t max_workers; /* of the queue, as it stands */
    size_t n_jobs;
};

/* One claimed job; all of it points into the reply. */
struct ms_claimed {
    const char *id;
    int64_t fence, attempt;
    int64_t timeout_ms;            /* the queue's default put in */
    const struct ms_reply *fields; /* the record's pairs before the claim */
};
typedef void ms_claimed_fn(const struct ms_claimed *job, void *arg);

void ms_claim_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                    const struct ms_claim_ask *ask);
/* Checks the whole reply first, then calls `fn` once a job. */
enum ms_err ms_claim_parse(const struct ms_reply *reply,
                           struct ms_claim_answer *out_answer,
                           ms_claimed_fn *fn, void *arg,
                           struct ms_error *error);

/* ---- renew ---- */

/* A cumulative sum by name, and a bad line; see docs/redis.md, "Parents". */
struct ms_lease_sum {
    const char *name;
    int64_t value;
};
struct ms_lease_reject {
    int64_t offset;
    const char *reason;
};

/* What moves with a renewal or a finish.  seq 0: no cursor. */
struct ms_lease_move {
    int64_t seq;
    const void *cursor;
    size_t cursor_len;
    double progress; /* below 0: not told */
    const struct ms_lease_sum *sums;
    size_t n_sums;
    const struct ms_lease_reject *rejects;
    size_t n_rejects;
};

struct ms_renewal {
    const char *id;
    int64_t fence;
    struct ms_lease_move move;
};

/* `complete` says that these are all the jobs that the pod knows of in this
 * queue: only then the answer names those that it did not mention. */
void ms_renew_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                    int64_t ttl_ms, bool complete,
                    const struct ms_renewal *jobs, size_t n_jobs);

enum ms_renew_status { MS_RENEW_OK, MS_RENEW_CANCEL, MS_RENEW_LOST };
typedef void ms_renewed_fn(size_t i, enum ms_renew_status status, void *arg);
/* A lease of this pod that the call did not mention. */
typedef void ms_unmentioned_fn(const char *id, int64_t fence, void *arg);

/* Each of the parsers below checks the whole reply before its first call back:
 * MS_EPROTO where it has not the shape that the script's header gives it. */
enum ms_err ms_renew_parse(const struct ms_reply *reply, size_t n_jobs,
                           ms_renewed_fn *renewed,
                           ms_unmentioned_fn *unmentioned, void *arg,
                           struct ms_error *error);

/* ---- finish, with the next claim in the same script ---- */

enum ms_finish_kind {
    MS_FINISH_DONE,
    MS_FINISH_FAILED,
    MS_FINISH_DEAD,
    MS_FINISH_CANCELLED,
    MS_FINISH_THROTTLED
};

struct ms_finish {
    const char *id;
    int64_t fence;
    enum ms_finish_kind kind;
    const void *text; /* DONE: the result as msgpack; else: the error */
    size_t text_len;
    int64_t delay_ms; /* THROTTLED: a hint; else 0 */
    struct ms_lease_move move;
    /* FAILED: what the worker's configuration says of the kind (kinds:), for a
     * job that does not say it itself; 0: the queue's. */
    int64_t max_attempts;
};

void ms_finish_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                     const struct ms_finish *jobs, size_t n_jobs,
                     const struct ms_claim_ask *ask);

/* OK: took effect, now or in an earlier call of the same content.  GONE: no
 * such record (it ended and was not kept, or was deleted).  STALE: refused. */
enum ms_finish_status { MS_FINISH_OK, MS_FINISH_GONE, MS_FINISH_STALE };
typedef void ms_finished_fn(size_t i, enum ms_finish_status status, void *arg);

enum ms_err ms_finish_parse(const struct ms_reply *reply, size_t n_jobs,
                            ms_finished_fn *finished,
                            struct ms_claim_answer *out_answer,
                            ms_claimed_fn *claimed, void *arg,
                            struct ms_error *error);

/* ---- release: back into the queue at no cost ---- */

struct ms_release {
    const char *id;
    int64_t fence;
    int64_t delay_ms; /* 0: ready at once, ahead of the others */
    const char *why;  /* kept as the job's error; "" for none */
    struct ms_lease_move move;
};

void ms_release_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                      const struct ms_release *jobs, size_t n_jobs);
enum ms_err ms_release_parse(const struct ms_reply *reply, size_t n_jobs,
                             ms_finished_fn *released, void *arg,
                             struct ms_error *error);

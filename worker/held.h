/*
 * held: one job that this pod holds a lease on.
 *
 *     CLAIMED --slot free--> RUNNING --ended--> ENDED --committed--> (freed)
 *        |                      |                 |
 *        '------- lost ---------+------ lost -----'
 *
 * Made by fetch from a claim's answer, run by slots, kept alive by renew,
 * ended by finish.  A job that Redis says is lost stays here, marked, until
 * its handler has stopped; but for "done" nothing is written for it any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/job.h"

struct ms_station; /* the pod's side of one queue, worker/station.h */

enum ms_held_state { MS_HELD_CLAIMED, MS_HELD_RUNNING, MS_HELD_ENDED };

/* Where a claimed job stands that needs a token of a rate scope (tokens.c). */
enum ms_token {
    MS_TOKEN_WANTED,
    MS_TOKEN_ASKED,
    MS_TOKEN_RESERVED,
    MS_TOKEN_CONFIRMING,
    MS_TOKEN_HAS
};

struct ms_scope; /* a station's side of a rate scope */

/* Why a running handler should stop. */
enum ms_stop {
    MS_STOP_NONE,
    MS_STOP_CANCEL, /* somebody cancelled the job */
    MS_STOP_DRAIN,  /* the pod is leaving: hand back what can resume */
    MS_STOP_LOST    /* the lease is somebody else's now */
};

/* A running sum that a chunk adds to its parent: since the job began, over all
 * of its attempts.  The script adds the difference to what it saw last. */
struct ms_sum {
    char name[16]; /* docs bytes lines rejected empty ... */
    int64_t value;
};
#define MS_SUMS_MAX 12

struct ms_reject {
    int64_t offset; /* in the source's bytes */
    char reason[120];
};

/* What a handler reports on the way.  `seq` only grows; what is reported
 * together is committed together, under the job's fence. */
struct ms_checkpoint {
    int64_t seq;
    struct ms_bytes cursor; /* msgpack; NULL data: progress alone */
    double progress;        /* 0 to 1; below 0: not told */
    struct ms_sum sums[MS_SUMS_MAX];
    size_t n_sums;
    struct ms_reject *rejects; /* new since the last checkpoint */
    size_t n_rejects;
};

enum ms_outcome {
    MS_DONE,
    MS_FAILED,
    MS_DEAD,
    MS_THROTTLED,
    MS_CANCELLED,
    MS_RELEASED /* handed back at no cost, resumes at its cursor */
};

/* How a job ended in its slot. */
struct ms_ending {
    enum ms_outcome outcome;
    struct ms_bytes result; /* DONE: msgpack, NULL data for none */
    char error[512];        /* other outcomes: why, valid UTF-8 */
    int64_t delay_ms;       /* RELEASED, THROTTLED: not before then */
    bool crashed;           /* the slot died (counts as a failure) */
};

struct ms_held {
    struct ms_held *prev, *next; /* in the list of its state, by station */
    struct ms_station *station;
    enum ms_held_state state;
    bool lost, cancelled; /* the handler is to stop, or not to begin */
    bool rewound;         /* to go back as it stands in Redis (rewind.c) */
    char *id, *kind, *queue;
    struct ms_bytes payload;
    bool json; /* how the payload is encoded */
    int64_t attempt, fence, timeout_ms;
    struct ms_bytes cursor; /* where a former attempt came to */
    int64_t seq;
    struct ms_sum sums[MS_SUMS_MAX]; /* what was committed with that cursor */
    size_t n_sums;
    char *parent;
    int64_t chunk;
    int64_t waited_ms; /* from ready to the claim, by Redis's clock */
    /* This host's monotonic clock; ended_us 0: it did not run. */
    int64_t claimed_us, started_us, ended_us;
    struct ms_checkpoint pending;   /* reported, not yet sent to Redis */
    struct ms_checkpoint sending;   /* under way with a renewal */
    bool has_pending, is_sending;
    struct ms_ending ending; /* in ENDED */
    struct ms_scope *scope;  /* NULL: it starts without a token */
    enum ms_token token;
    int64_t token_us; /* RESERVED: when its token is there */
    int64_t drained;  /* what its token or reservation holds for */
    int refusals;     /* errors that its request met alone */
    void *slot;       /* in RUNNING: the slot's */
};

/* Frees what the job owns; takes NULL.  It must be in no list. */
void ms_held_free(struct ms_held *held);

void ms_checkpoint_done(struct ms_checkpoint *checkpoint);

/* Merges a newer checkpoint into an older one that was not sent yet: the newer
 * cursor, progress and sums stand, rejects are joined.  Takes what `newer`
 * holds. */
void ms_checkpoint_merge(struct ms_checkpoint *into,
                         struct ms_checkpoint *newer);

/* About the bytes that a request with this checkpoint, or with how the job
 * ended, has to carry. */
size_t ms_checkpoint_size(const struct ms_checkpoint *checkpoint);
size_t ms_held_size(const struct ms_held *held);

/* How a handler ends that stopped because it was asked to: RELEASED for a
 * drain, CANCELLED otherwise. */
enum ms_outcome ms_stop_outcome(enum ms_stop reason);

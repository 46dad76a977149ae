/*
 * station_internal: the inside of a station, shared by its files: station.c
 * (what it holds), call.c (claim and finish), keep.c (renew and release),
 * tokens.c (rate limits), rewind.c (after a lost connection).
 */
#pragma once

#include "worker/joblist.h"
#include "worker/report.h"
#include "worker/station.h"

struct renew_walk;

/* How many whole renewals must be answered after a claim's answer was lost. The
 * first one may overtake the claim, where Redis slept on an old connection and
 * woke to both of them; the last one goes out before the lease would end. */
#define MS_STATION_SUSPICIONS 3

/* A request carries about so many bytes of results and cursors, and one job
 * whatever its size: what takes seconds to send would run into its time-out
 * again and again, and Redis has others to serve. */
#define MS_STATION_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* So often a job is sent alone and refused with an error, before it is given
 * up. */
#define MS_STATION_TRIES 5

struct ms_station {
    struct ms_station_env *env;
    char *queue;
    int64_t assigned, pods, max_workers;

    struct ms_joblist waiting; /* claimed, no token of its scope yet */
    struct ms_joblist claimed; /* no slot yet */
    struct ms_joblist running;
    struct ms_joblist ended;   /* outcome to be committed */
    struct ms_joblist sent;    /* outcome in the call under way */
    struct ms_joblist back;    /* to be released */
    struct ms_joblist leaving; /* in the release under way */

    bool hungry;
    bool at_cap;     /* the last claim met the cap: a finish makes room */
    int empty_looks; /* claims in a row that found nothing but said more */

    struct ms_report *report;

    struct ms_request *call; /* claim and finish */
    int finish_max;          /* jobs in one; falls when Redis answers errors */
    bool claim_apart;        /* outcomes go without a claim in their call */
    int release_max;
    int asked; /* jobs that it asked for; 0: no claim in it */
    struct ms_request *renew;
    struct renew_walk *walk; /* what it is about; freed with it */
    struct ms_request *release;
    struct ms_request *settings; /* the cap is being read */
    bool renew_all;              /* the next renewal is of everything */
    int suspicious; /* a claim's answer was lost: ask so often, what we hold */

    struct ms_scope *scopes; /* rate scopes that jobs had so far */
    struct ms_buf kinds;     /* of a claim that leaves some out */

    ev_timer tokens; /* the next reservation, or the end of a dry time */
    ev_timer poll;   /* fallback look, or the next due moment */
    ev_timer keep;   /* a third of the TTL */
    ev_timer again;  /* after a failure that is not a lost connection */
    ev_timer spare;  /* what has found no slot by then goes back */
};

/* What the move of one job in a request points into, while it is built. */
struct ms_move_parts {
    struct ms_lease_sum sums[MS_SUMS_MAX];
    struct ms_lease_reject *rejects; /* NULL, or for free() */
};

struct ms_tenant ms_station_tenant(const struct ms_station *station);

/* The move of a job as the scripts want it; `out_sums` and `out_rejects` have
 * room for MS_SUMS_MAX and for what the checkpoint holds; the latter is new
 * memory for free(). */
struct ms_lease_move ms_station_move(const struct ms_checkpoint *checkpoint,
                                     struct ms_lease_sum *out_sums,
                                     struct ms_lease_reject **out_rejects);

/* Something failed that a reconnect does not mend: step again in a while. */
void ms_station_again(struct ms_station *station);

/* Takes jobs off a list for a request, at most `max`, within
 * MS_STATION_BYTES_MAX. */
void ms_station_load(struct ms_joblist *from, struct ms_joblist *to, int max);

/* A request with the jobs of `sent` was refused with an error, which one of
 * them may be the reason for: they go back to `list`, and fewer of them are
 * sent next time.  A job that is refused alone goes behind the others, and is
 * given up in the end: its lease ends by itself. */
void ms_station_unload(struct ms_station *station, struct ms_joblist *sent,
                       struct ms_joblist *list, enum ms_err err, int *max);

/* Finds a job in any list but those that left; NULL: unknown. */
struct ms_held *ms_station_find(const struct ms_station *station,
                                const char *id);

/* The lease of this job is somebody else's: nothing is written for it any
 * more. */
void ms_station_lose(struct ms_station *station, struct ms_held *held);

/* What has no slot yet is to be released. */
void ms_station_hand_back(struct ms_station *station);

/* Takes a job that has not begun out of where it waits; its token goes back. */
void ms_station_unclaim(struct ms_station *station, struct ms_held *held);

/* A job that runs here no more, or never did, is to be released. */
void ms_station_send_back(struct ms_station *station, struct ms_held *held);

/* Gives claimed jobs to slots, as far as there is room. */
void ms_station_place(struct ms_station *station);

/* Jobs of this queue that a claim may ask for now. */
int ms_station_want(const struct ms_station *station);

/* ---- call.c ---- */
void ms_station_call(struct ms_station *station);
/* When to look again, by Redis's clock, after a claim's answer. */
void ms_station_schedule_poll(struct ms_station *station,
                              const struct ms_claim_answer *answer);

/* ---- tokens.c ---- */
void ms_station_tokens_init(struct ms_station *station);
void ms_station_tokens_done(struct ms_station *station);

/* Takes a claimed job in: behind the others that may start, or to wait for a
 * token where its kind has a limit. */
void ms_station_admit(struct ms_station *station, struct ms_held *held);
/* Asks for tokens, lets jobs start whose time has come.  Cheap when there is
 * nothing. */
void ms_station_tokens(struct ms_station *station);
/* The job does not begin: its token is to be returned, if it has one. */
void ms_station_forgo(struct ms_held *held);
/* Takes a job out of `waiting`. */
void ms_station_leave_waiting(struct ms_station *station, struct ms_held *held);
/* Is an answer under way that may bring tokens, or are some to be returned? */
bool ms_station_is_asking(const struct ms_station *station);
/* What a claim may bring: not the kinds whose scope is dry. */
const char *ms_station_kinds(struct ms_station *station);
/* The job ended: if its target said when to come back, its scope is drained. */
void ms_station_throttled(struct ms_station *station,
                          const struct ms_held *held);

/* ---- keep.c ---- */
void ms_station_renew(struct ms_station *station);
/* What a renewal under way carries is to be sent again with the next call. */
void ms_station_take_back(struct ms_held *held);
void ms_station_forget_renew(struct ms_station *station);
void ms_station_release(struct ms_station *station);

/* ---- rewind.c ---- */

/* The connection was lost, and with it perhaps the last writes: chunks go back
 * with the cursor that Redis has. */
void ms_station_rewind(struct ms_station *station);
/* The same for one that ends only now: done is not done. */
void ms_station_unend(struct ms_held *held);

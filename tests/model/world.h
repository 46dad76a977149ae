/*
 * world: the scripts on a real Redis and the model, side by side.
 *
 * A step is an operation and a seed; all that it does follows from the seed
 * and from what the world holds, so that a sequence can be repeated, and
 * repeated without some of its steps.  After each step everything that Redis
 * holds is compared with the model.
 */
#pragma once

#include "tests/model/model.h"
#include "tests/support/core.h"

/* What a pod believes it has; some of it is out of date, as in life. */
struct belief {
    int job;
    int64_t fence;
};

#define BELIEFS_MAX 32

struct world {
    struct ms_core *core;
    struct model m;
    struct belief known[N_PODS][BELIEFS_MAX];
    size_t n_known[N_PODS];
    int64_t seq;    /* the newest number of a cursor */
    int64_t epoch;  /* of the newest leader */
    uint64_t rng;   /* of the step */
    char line[400]; /* what the step does, for people */
    /* The claim of this step, whose last checks wait for the comparison. */
    struct mclaim claim;
    bool has_claim;
    bool was_claimable; /* before the step */
    bool time_passed;   /* by the step: nothing pushes a token then */
    size_t n_tokens;    /* for wake-ups that the step pushed */
};

/* An empty Redis and an empty model. */
void world_begin(struct world *w, struct ms_core *core, int64_t now_ms);

/* One step; false where model and scripts differ (w->m.wrong). */
struct step {
    size_t op; /* index into the table of steps.c */
    uint64_t seed;
};
bool world_step(struct world *w, const struct step *step);
/* A step by chance, drawn from *rng; the first `n_first` of a sequence draw
 * settings. */
struct step world_draw(uint64_t *rng, bool is_first);

/* Ends all that is left, as a fleet would do; false where something stays
 * behind. */
bool world_drain(struct world *w);

/* ---- for the steps ---- */

uint64_t rng_next(uint64_t *rng);
unsigned below(struct world *w, unsigned n);
bool one_in(struct world *w, unsigned n);
void say(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Differences of answers. */
void expect_int(struct world *w, const char *what, int64_t is, int64_t should);
void expect_str(struct world *w, const char *what, const char *is,
                const char *should);
/* Compares a status: "ok" is MS_OK, "unknown" MS_ENOENT, all others that the
 * model knows MS_ESTATE. */
void expect_status(struct world *w, const char *what, enum ms_err is,
                   const char *should);

/* Takes over what the contract leaves open, and compares all else. */
void world_compare(struct world *w);
/* Jobs that are ready in the model, and dead; returns how many. */
int world_find_dropped(struct world *w, int *out);
/* Which jobs of the model have no record now. */
void world_find_gone(struct world *w, bool *out);

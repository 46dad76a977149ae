/*
 * world_view: the queue as dump.lua shows it, sorted by what the keys mean.
 *
 * Everything points into the last reply and lasts until the next command.
 * Where there is no such key there is an empty reply.
 */
#pragma once

#include "tests/model/world.h"

struct world_view {
    const struct ms_reply *jobs[N_JOBS];
    const struct ms_reply *gone[N_JOBS];
    const struct ms_reply *locks[N_UNIQUES];
    const struct ms_reply *held[N_PODS];
    const struct ms_reply *rings[10];
    const struct ms_reply *lists[10][N_GROUPS + 1]; /* the last: no group */
    const struct ms_reply *by_kind[N_KINDS];        /* parked */
    const struct ms_reply *tally[N_PARENTS];
    const struct ms_reply *bits[N_PARENTS];
    const struct ms_reply *rejects[N_PARENTS];
    const struct ms_reply *cfg, *stats, *meta, *depth, *scheduled, *leases,
        *waiting, *done, *dead, *parked, *parked_kinds, *wake, *running;
};

/* Asks Redis; false (and w->m.wrong) where it cannot. */
bool world_look(struct world *w, struct world_view *out);

/* The score of a member of a sorted set that is shown with its scores; -1
 * where it is not there. */
int64_t world_score(const struct ms_reply *zset, const char *member);
/* How often a list or a set names it. */
int world_times(const struct ms_reply *list, const char *member);
/* A field of a hash, which may not be there. */
int64_t world_number(const struct ms_reply *pairs, const char *field,
                     int64_t fallback);
const char *world_text(const struct ms_reply *pairs, const char *field);
bool world_has(const struct ms_reply *key);

/* Takes over what the contract leaves open (world_adopt.c). */
void world_adopt(struct model *m, const struct world_view *v);

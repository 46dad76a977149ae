/*
 * limit: token buckets by scope, shared by the whole fleet.
 *
 * A scope names what must not be asked too often (an API, a mail server). Its
 * bucket holds `capacity` tokens and is refilled at `refill_per_second`, by
 * Redis's clock, in whole billionths of a token: nothing drifts.  One call
 * takes tokens or reserves those to come:
 *
 *     acquire --tokens there--------------> begin
 *        |  `---within max_wait: reserved---> wait --`drained` as it was-->
 * begin |                                     |  `--drained since--> acquire |
 * `--does not begin--> return
 *        '--not within max_wait: nothing taken, come back in next_ms
 *
 * A drain (the target said "too much") empties the bucket and stops its refill
 * for a while; it voids what was reserved, so who has waited looks at the
 * field `drained` before it begins.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/reply.h"

#define MS_LIMIT_UNITS_MAX 256 /* of one acquire */
#define MS_LIMIT_NEVER     (-1)

/* ---- acquire ---- */

struct ms_acquire {
    const char *fleet, *scope;
    int64_t n;           /* tokens of one unit */
    int64_t units;       /* most units, 1 to MS_LIMIT_UNITS_MAX */
    int64_t max_wait_ms; /* 0: only what is there */
};

struct ms_acquired {
    size_t n_units;                       /* given; 0: nothing was taken */
    int64_t waits_ms[MS_LIMIT_UNITS_MAX]; /* never falling */
    int64_t drained;                      /* what the reservation holds for */
    /* Until the first unit that was not given would be there; 0: all were;
     * MS_LIMIT_NEVER: not by itself. */
    int64_t next_ms;
};

void ms_acquire_build(struct ms_cmd *cmd, const struct ms_acquire *ask);

/* MS_ENOENT: no such limit.  MS_EINVAL: `n` is more than the bucket holds, or
 * somebody wrote a setting that is no number. */
enum ms_err ms_acquire_parse(const struct ms_reply *reply, const char *scope,
                             struct ms_acquired *out_answer,
                             struct ms_error *error);

/* When to try again after an acquire with this max_wait was not given all: when
 * about half of max_wait could be reserved, so that many can be taken at once
 * and no token is left lying; soon enough to see a limit that was changed. */
int64_t ms_acquire_again_ms(const struct ms_acquired *answer,
                            int64_t max_wait_ms);

/* Reads what `drained` is now, for who has waited. */
void ms_limit_drained_build(struct ms_cmd *cmd, const char *fleet,
                            const char *scope);

/* Does the reservation still hold?  Also false where the limit has gone. */
bool ms_limit_drained_is(const struct ms_reply *reply, int64_t drained);

/* ---- the rest: each answered by a status, ms_limit_status_parse() ---- */

/* Gives tokens back; MS_ESTALE where a drain has forgotten them. */
void ms_limit_return_build(struct ms_cmd *cmd, const char *fleet,
                           const char *scope, int64_t n, int64_t drained);

/* Blocks for at most a day. */
void ms_limit_drain_build(struct ms_cmd *cmd, const char *fleet,
                          const char *scope, int64_t for_ms);

/* `pairs` are n times field and value as ms_limit_conf_parse() makes them;
 * `only_absent`: a seed.  MS_EINVAL: a new limit needs capacity and
 * refill_per_second. */
void ms_limit_set_build(struct ms_cmd *cmd, const char *fleet,
                        const char *scope, bool only_absent,
                        const char *const *pairs, size_t n_pairs);

/* A limit as the configuration declares it, for a starting daemon. */
void ms_limit_seed_build(struct ms_cmd *cmd, const char *fleet,
                         const struct ms_limit_conf *limit);

void ms_limit_remove_build(struct ms_cmd *cmd, const char *fleet,
                           const char *scope);

enum ms_err ms_limit_status_parse(const struct ms_reply *reply,
                                  const char *scope, struct ms_error *error);

/* ---- info ---- */

struct ms_limit_info {
    double capacity, refill_per_second;
    double tokens;            /* now; below zero: reserved */
    int64_t blocked_until_ms; /* 0: not blocked */
    /* Since it was made: tokens taken, units that waited for theirs, calls that
     * were given nothing, tokens given back, drains. */
    int64_t acquired, waited, refused, returned, drained;
};
void ms_limit_info_build(struct ms_cmd *cmd, const char *fleet,
                         const char *scope);
enum ms_err ms_limit_info_parse(const struct ms_reply *reply, const char *scope,
                                struct ms_limit_info *out_info,
                                struct ms_error *error);

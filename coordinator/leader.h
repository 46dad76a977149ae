/*
 * leader: the lease that makes one coordinator the leader, and its term.
 *
 *             start                     ours
 *   STOPPED --------> ASKING ------------------------> LEADING
 *      ^               ^  |                             |   |
 *      |         timer |  | somebody else's, or failed  |   | renewals failed
 *      |               |  v                             |   | until the trust
 *      |              STANDBY <-------------------------'   | ran out, or the
 *      |                 |              somebody else's     | epoch moved
 *      |                 '<---------------------------------'
 *      '--- resigned --- RESIGNING <---- resign, from any state
 *
 * The lease ends by Redis's clock, so a leader trusts itself only until
 * `attempt started + TTL - margin` by its own monotonic clock: it stops before
 * Redis lets anybody else begin, however late the answer came.  A process that
 * was frozen finds its trust gone before it sends anything, because whoever
 * sends for the leader asks ms_term_is_trusted() first; and what was under way
 * at that moment shows an epoch that the scripts refuse.
 *
 * A standby asks when the lease it saw ends, and every second at the least, so
 * that a leader that resigned is replaced at once.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/fleet.h"
#include "common/redis.h"

/* What a duty has to know of the leadership it acts for. */
struct ms_term {
    bool leads;
    int64_t epoch;
    int64_t trusted_until_ms; /* by ms_clock_mono_ms() */
};

/* May anything be sent in the leader's name, now? */
bool ms_term_is_trusted(const struct ms_term *term);

struct ms_leader;

/* Called at each beginning and end of a term. */
typedef void ms_leader_fn(bool leads, int64_t epoch, void *arg);

struct ms_leader_options {
    const char *fleet;
    const char *host, *url; /* shown to operators; url "" for none */
    int64_t ttl_ms;
    ms_leader_fn *on_change;
    void *arg;
};

/* Copies the options; borrows the connection. */
struct ms_leader *ms_leader_new(struct ev_loop *loop, struct ms_redis *redis,
                                const struct ms_leader_options *options);
void ms_leader_free(struct ms_leader *leader); /* takes NULL; no callback */

/* Begins to ask; once. */
void ms_leader_start(struct ms_leader *leader);

/* Ends the term (on_change is called, from inside), gives the lease back and
 * calls `done` when Redis has it, or cannot be told.  Never asks again. */
void ms_leader_resign(struct ms_leader *leader, void (*done)(void *arg),
                      void *arg);

/* Lives as long as the leader. */
const struct ms_term *ms_leader_term(const struct ms_leader *leader);
const char *ms_leader_id(const struct ms_leader *leader);

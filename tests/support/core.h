/*
 * core: one queue on a Redis of the test's own, driven through the typed
 * operations, as workers, producers and the leader do it.
 *
 * The queue is "q" of fleet "m"; K("leases") is the full name of one of its
 * keys, F("pods") of one of the fleet's.  Answers are copied, so that they
 * outlive the next call.  Whatever is not expected to fail fails the test.
 */
#pragma once

#include "common/admin.h"
#include "common/enqueue.h"
#include "common/family.h"
#include "common/fleet.h"
#include "common/lease.h"
#include "common/parent.h"
#include "common/tidy.h"
#include "tests/support/support.h"

#define K(tail)    "ms:{m/q}:" tail
#define F(tail)    "ms:{m}:" tail
#define EVERYTHING ",*," /* the kinds of a pod that runs all */
#define TTL        30000

struct ms_core_job {
    char id[160];
    int64_t fence, attempt, timeout_ms;
    size_t n_fields;
};

struct ms_core {
    struct ms_test_redis *redis;
    struct ms_claim_answer answer; /* of the last claim */
    struct ms_core_job jobs[MS_CLAIM_MAX];
    const char *kinds; /* of the claims; EVERYTHING at first */
    int64_t ttl_ms;    /* of claims and renewals; TTL at first */
    int64_t epoch;     /* of the leader's calls; 1 at first */
    struct ms_error error;
    /* Of the last renewal: leases that it did not mention. */
    struct ms_core_job unmentioned[64];
    size_t n_unmentioned;
    struct ms_tidy_answer tidy;
    char dedup[160]; /* of the last enqueue: the last id that stood for one */
    struct ms_family_answer family; /* of the last ms_core_family() */
    int64_t n_changed;
    /* Set `notes` for tests that go on where others fail: what was wrong with
     * a call is written to `broken` then, the first of it. */
    bool notes;
    char broken[300];
};

/* Group and test fixtures of cmocka: *state is a struct ms_core.  Each test
 * begins with an empty Redis and max_workers 1000, and ends with
 * ms_core_check(). */
int ms_core_group_setup(void **state);
int ms_core_group_teardown(void **state);
int ms_core_setup(void **state);
int ms_core_teardown(void **state);
#define CORE(name) \
    cmocka_unit_test_setup_teardown(name, ms_core_setup, ms_core_teardown)
#define RUN_CORE(tests) \
    cmocka_run_group_tests(tests, ms_core_group_setup, ms_core_group_teardown)

/* Walks all of Redis and fails the test where an invariant is broken
 * (tests/support/invariants.lua). */
void ms_core_check(struct ms_core *core);
/* The same, but prints what is broken and answers false. */
bool ms_core_is_sound(struct ms_core *core);

/* ---- producers ---- */

/* A job of kind "k" and default priority; what is named overrides. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define NEW_JOB(...) \
    ((struct ms_new_job){.kind = "k", .priority = 5, __VA_ARGS__})

/* Returns how many were enqueued; -1 where the queue is full. */
int ms_core_enqueue_all(struct ms_core *core, const char *token,
                        const struct ms_new_job *jobs, size_t n);
#define ENQUEUE(core, ...)            \
    ms_core_enqueue_all((core), NULL, \
                        (const struct ms_new_job[]){NEW_JOB(__VA_ARGS__)}, 1)
/* `n` jobs "<prefix><i>" from 0, of a group or NULL. */
void ms_core_enqueue_many(struct ms_core *core, const char *prefix,
                          const char *group, size_t n);

/* A batch of `n` children "k" from number `first` on, made if it is not there;
 * what is named overrides.  The answer goes to core->family. */
#define FAMILY(...)                      \
    ((struct ms_family){.fleet = "m",    \
                        .queue = "q",    \
                        .id = "b",       \
                        .own_id = true,  \
                        .kind = "batch", \
                        __VA_ARGS__})
enum ms_err ms_core_family(struct ms_core *core, const struct ms_family *family,
                           int64_t first, const struct ms_new_job *children,
                           size_t n, bool seal);
/* The batch "b" with `n` plain children, sealed. */
void ms_core_batch(struct ms_core *core, size_t n, bool fail_fast);

/* ---- pods ---- */

/* Returns how many jobs were lent; see core->jobs and core->answer. */
int ms_core_claim(struct ms_core *core, const char *pod, int limit);
/* Claims one job, which must be `id`; returns its fence. */
int64_t ms_core_claim_one(struct ms_core *core, const char *pod,
                          const char *id);

enum ms_finish_status ms_core_finish(struct ms_core *core, const char *pod,
                                     const char *id, int64_t fence,
                                     enum ms_finish_kind kind);
enum ms_finish_status ms_core_finish_with(struct ms_core *core, const char *pod,
                                          const struct ms_finish *finish);
/* All in one call, with a claim of up to `limit`; statuses go to `out`. */
int ms_core_finish_all(struct ms_core *core, const char *pod,
                       const struct ms_finish *jobs, size_t n, int limit,
                       enum ms_finish_status *out);
#define DONE(core, pod, id, fence) \
    ms_core_finish((core), (pod), (id), (fence), MS_FINISH_DONE)
#define FAIL(core, pod, id, fence) \
    ms_core_finish((core), (pod), (id), (fence), MS_FINISH_FAILED)

enum ms_renew_status ms_core_renew(struct ms_core *core, const char *pod,
                                   const char *id, int64_t fence);
enum ms_renew_status ms_core_renew_move(struct ms_core *core, const char *pod,
                                        const char *id, int64_t fence,
                                        const struct ms_lease_move *move);
/* Says that the pod knows of these jobs and no others. */
void ms_core_renew_all(struct ms_core *core, const char *pod,
                       const struct ms_renewal *jobs, size_t n,
                       enum ms_renew_status *out);

enum ms_finish_status ms_core_release(struct ms_core *core, const char *pod,
                                      const char *id, int64_t fence,
                                      int64_t delay_ms);
enum ms_finish_status ms_core_release_with(struct ms_core *core,
                                           const char *pod,
                                           const struct ms_release *release);
#define NO_MOVE ((struct ms_lease_move){.progress = -1})

/* Moves the end of the lease to `ms_ago` before now, by Redis's clock. */
void ms_core_end_lease(struct ms_core *core, const char *id, int64_t ms_ago);

/* ---- operators ---- */

enum ms_cancel_result ms_core_cancel(struct ms_core *core, const char *id);
enum ms_err ms_core_retry(struct ms_core *core, const char *id);
enum ms_err ms_core_run_now(struct ms_core *core, const char *id);
enum ms_err ms_core_delete(struct ms_core *core, const char *id);
/* All slices; how many were changed in all, or -1 where refused. */
int64_t ms_core_bulk(struct ms_core *core, const char *verb, const char *state,
                     const char *kind);
void ms_core_set(struct ms_core *core, const char *field, int64_t value);
void ms_core_pause(struct ms_core *core, bool paused);
struct ms_queue_info ms_core_info(struct ms_core *core);

/* ---- the leader ---- */

/* Each returns the class of its answer; numbers go to core->tidy. */
enum ms_err ms_core_reap(struct ms_core *core, const char *gone_pod);
enum ms_err ms_core_unpark(struct ms_core *core, const char *kinds);
enum ms_err ms_core_retain(struct ms_core *core);
enum ms_err ms_core_sweep(struct ms_core *core);
enum ms_err ms_core_stamp(struct ms_core *core);

enum ms_err ms_core_spawn(struct ms_core *core, const char *parent,
                          int64_t first, size_t n);
enum ms_err ms_core_phase(struct ms_core *core, const char *parent,
                          const char *phase, const char *why);
enum ms_err ms_core_conclude(struct ms_core *core, const char *parent,
                             bool done, const char *text);
/* One step from `from`; returns where to go on, -1 at the end; the number of
 * changed chunks goes to core->n_changed. */
int64_t ms_core_children(struct ms_core *core, const char *parent, bool revive,
                         int64_t from, enum ms_err *out_err);
struct ms_tally ms_core_tally(struct ms_core *core, const char *parent);

/* ---- looking ---- */

/* A field of a job; "" where there is none.  Good until the next call. */
const char *ms_core_field(struct ms_core *core, const char *id,
                          const char *field);
int64_t ms_core_number(struct ms_core *core, const char *id, const char *field);
/* "gone" where there is no record. */
const char *ms_core_state(struct ms_core *core, const char *id);
int64_t ms_core_stat(struct ms_core *core, const char *name);
/* Number of ready jobs by the depth hash; kind "-" for all. */
int64_t ms_core_depth(struct ms_core *core, const char *kind);
int64_t ms_core_now(struct ms_core *core);

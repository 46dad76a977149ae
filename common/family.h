/*
 * family: a batch of jobs with a parent, which ends with the last of them.
 *
 *   first call             more calls              the last one seals
 *   makes the parent --->  children 500 a call --> "no more will come"
 *
 *   open --seal--> sealed --last child has ended--> done: none is dead
 *     '---------------'                             dead: the others
 *        children run all the while                 and its callbacks are ready
 *
 * The parent is a job in `waiting` that nobody claims.  Its children are jobs
 * of the same queue, ids `<parent>.<n>` from 0, of any kind, with options of
 * their own but for ids and unique keys; their group is the parent's id unless
 * they name one.  Whatever script ends the last child ends the parent and
 * enqueues its callbacks (lua/_flush.lua): no leader is needed, and nothing can
 * come between.
 *
 * A call can be repeated: it names the number of its first child, and what is
 * in already is not added twice.  A producer that died half-way leaves an open
 * batch: it shows as waiting, can be cancelled, and whoever asks is told where
 * to go on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/enqueue.h"
#include "common/err.h"
#include "common/reply.h"

#define MS_FAMILY_MAX    MS_ENQUEUE_MAX /* children a call */
#define MS_FAMILY_ID_MAX 100 /* bytes; children's and callbacks' are longer */

/* Everything is borrowed while building.  Of callbacks only kind, payload,
 * json, priority, group, max_attempts and timeout_ms count; one without a
 * payload gets {"parent", "outcome", "children", "done", "dead", "failed",
 * "stopped", "deleted"}.  Their ids are `<parent>:complete`, `:success` and
 * `:failure`, with `:2` and so on where that is taken or the batch was
 * retried. */
struct ms_family {
    const char *fleet, *queue;
    const char *id;   /* a fresh ULID, or what the user chose */
    bool own_id;      /* the user chose it: remembered */
    bool exists;      /* it was made before; what follows does not count */
    const char *kind; /* what it is called; not run, and no "dump.*" */
    const void *payload;
    size_t payload_len;
    bool json;
    bool fail_fast; /* the first dead child stops the others */
    const struct ms_new_job *on_complete; /* whatever the outcome; or NULL */
    const struct ms_new_job *on_success, *on_failure;
};

/* Makes the parent unless it is there, adds children from number `first` on,
 * and seals it (`seal`).  MS_EINVAL names what is wrong, and which child. */
enum ms_err ms_family_build(struct ms_cmd *cmd, const struct ms_family *family,
                            int64_t first, const struct ms_new_job *children,
                            size_t n_children, bool seal, int64_t max_payload,
                            struct ms_error *error);

struct ms_family_answer {
    bool ahead;      /* nothing was added: others came further, go on there */
    int64_t planned; /* how many children it has */
    int64_t added;   /* by this call; 0 where it was a repetition */
    bool sealed;     /* with `ahead` */
    char state[16];  /* "waiting"; "done" or "dead" where it has ended */
};

/* MS_EFULL: the queue's max_length has no room, nothing was added; MS_ESTATE:
 * it has ended or is being stopped; MS_ENOENT; MS_EEXIST: the id is no batch's,
 * or a chosen id whose record has gone. */
enum ms_err ms_family_parse(const struct ms_reply *reply,
                            struct ms_family_answer *out_answer,
                            struct ms_error *error);

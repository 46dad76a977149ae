/*
 * parent: big jobs and the chunks they are cut into.
 *
 * A parent waits in ms:{F/Q}:waiting and is never claimed.  Its chunks are jobs
 * of the same queue, ids `<parent>.<n>` from 0, one group.  The tally hash
 * ms:{F/Q}:tally:<parent> counts each chunk in one place (ready, running,
 * done, dead), holds `planned` and the sums that chunks reported; a done chunk
 * leaves only its bit in ms:{F/Q}:bits:<parent>.
 *
 * Scripts for the leader show its epoch: MS_ESTALE when the queue has seen a
 * newer one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/reply.h"

#define MS_SPAWN_MAX 200 /* chunks a call */

struct ms_chunk_new {
    const void *payload; /* msgpack */
    size_t payload_len;
};

struct ms_spawn {
    const char *fleet, *queue, *parent;
    int64_t epoch;
    int64_t first;    /* refused (MS_ESTATE) unless equal to `planned` */
    const char *kind; /* of the chunks: "dump.chunk" */
    const void *plan; /* the parent's new plan, msgpack */
    size_t plan_len;
    const struct ms_chunk_new *chunks; /* may be none: only the plan moves */
    size_t n_chunks;
};
void ms_spawn_build(struct ms_cmd *cmd, const struct ms_spawn *spawn);
/* MS_ESTATE: another planner was here, or the parent waits no more; MS_ENOENT;
 * MS_ESTALE. */
enum ms_err ms_spawn_parse(const struct ms_reply *reply, int64_t *out_planned,
                           struct ms_error *error);

/* Moves the parent's phase and keeps why ("" for none). */
void ms_phase_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    const char *parent, int64_t epoch, const char *phase,
                    const char *why);

/* Ends a waiting parent none of whose chunks is ready or running: done with
 * a result (msgpack), or dead with an error. */
void ms_conclude_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                       const char *parent, int64_t epoch, bool done,
                       const void *text, size_t text_len);

/* Cancels (`revive` false) or makes ready again (true: those that are dead)
 * the chunks from number `from` on, a bounded step.  *out_next: where the next
 * step begins, -1 at the end. */
void ms_children_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                       const char *parent, int64_t epoch, bool revive,
                       int64_t from);
enum ms_err ms_children_parse(const struct ms_reply *reply, int64_t *out_next,
                              int64_t *out_n, struct ms_error *error);

/* Status word of phase and conclude. */
enum ms_err ms_parent_status_parse(const struct ms_reply *reply,
                                   struct ms_error *error);

/* The tally: a plain HGETALL, read by ms_tally_parse(). */
struct ms_tally {
    int64_t planned, ready, running, done, dead;
    int64_t deleted; /* of a batch: children that went before they ended */
    int64_t docs, bytes, lines, rejected, empty, read, reread;
    int64_t c[4]; /* lanes of the checksum, see ms_tally_checksum() */
};
void ms_tally_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    const char *parent);
enum ms_err ms_tally_parse(const struct ms_reply *reply,
                           struct ms_tally *out_tally, struct ms_error *error);
uint64_t ms_tally_checksum(const struct ms_tally *tally);

/* The children from number `from` on, `limit` at most.  `fields` are the pairs
 * of its record, NULL where there is none: a done chunk, of which only the bit
 * is left, or a batch's child that was deleted or whose retention is over. */
void ms_chunks_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *parent, int64_t from, int64_t limit);
typedef void ms_chunk_fn(int64_t n, const struct ms_reply *fields, void *arg);
enum ms_err ms_chunks_parse(const struct ms_reply *reply, ms_chunk_fn *fn,
                            void *arg, int64_t *out_next,
                            struct ms_error *error);

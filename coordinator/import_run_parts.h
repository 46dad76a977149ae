/*
 * import_run_parts: what the files of import_run share, and nobody else.
 *
 * import_run.c reads and decides; import_spawn.c asks planners and makes
 * chunks; import_end.c stops, revives and ends.  Every step, however it ends,
 * ends in ms_import_run_step_end() or ms_import_run_look_end().
 */
#pragma once

#include <ev.h>

#include "coordinator/gate.h"
#include "coordinator/import.h"
#include "coordinator/import_run.h"
#include "coordinator/planner.h"

enum ms_import_run_state { IDLE, READING, PLANNING, LOADING, ACTING, ASKING };

struct ms_import_run {
    struct ms_duty duty;
    struct ms_gate *gate;
    char *queue, *id;
    ms_import_run_fn *fn;
    void *arg;
    int64_t max_workers, again_ms;
    int64_t pace_ms; /* between looks now, again_ms at most */
    ev_timer again;
    enum ms_import_run_state state;
    int rounds; /* steps since the look began */

    /* What the last reading found. */
    struct ms_job *job;
    struct ms_import_order order;
    struct ms_import_plan plan;
    bool has_order, has_plan;
    struct ms_import_facts facts;
    int64_t now_ms, first_open;
    int64_t doubted_ms, probed_ms; /* when a pod said so; when we looked */
    struct ms_import_decision decision;

    /* Requests that end a step together: so many are out, and how the first
     * of them failed. */
    int64_t out;
    enum ms_err err;
    struct ms_error error;

    /* What the planner found ahead of the plan. */
    struct ms_planner *planner;
    int *planners; /* of all runs */
    int64_t *ends, ends_from;
    size_t n_ends, ends_used;
    bool ends_complete;
    int tries;

    bool told;                 /* running chunks know that they must stop */
    struct ms_dataset dataset; /* as its record says now */
    enum ms_dataset_close how; /* why the shards are told */
    int64_t children_from;     /* next number of the chunks to move */
    int64_t to_tell, dead_chunk;
    struct ms_buf why; /* the error of an import that dies */
};

void ms_import_run_set_state(struct ms_import_run *run,
                             enum ms_import_run_state state);

/* After a step: looks what there is now.  A step that was refused because
 * somebody else did it (MS_ESTATE) says the same. */
void ms_import_run_step_end(struct ms_import_run *run, enum ms_err err,
                            const struct ms_error *error);

/* Nothing more to do for now, or a failure.  May free the run. */
void ms_import_run_look_end(struct ms_import_run *run, enum ms_err err,
                            const char *text);

/* Keeps the first failure of several requests. */
void ms_import_run_note_failure(struct ms_import_run *run, enum ms_err err,
                                const struct ms_error *error);

/* Sets the text of a request that failed; returns `err`. */
enum ms_err ms_import_run_reply_error(enum ms_err err,
                                      const struct ms_reply *reply,
                                      struct ms_error *error);

/* ---- steps; each ends as said above ---- */

/* To another phase; `why` is kept on the record, "" for none. */
void ms_import_run_move(struct ms_import_run *run, const char *phase,
                        const char *why);

/* The end: a result, or an error. */
void ms_import_run_conclude(struct ms_import_run *run, bool done,
                            const struct ms_buf *text);

/* Looks at the source for the first time, in between, or for the last. */
void ms_import_run_manifest(struct ms_import_run *run);
void ms_import_run_probe(struct ms_import_run *run);
void ms_import_run_check(struct ms_import_run *run);

/* As many chunks as were decided. */
void ms_import_run_spawn(struct ms_import_run *run);

/* Forgets line ends that were found ahead; kills the planner. */
void ms_import_run_ends_clear(struct ms_import_run *run);
void ms_import_run_planner_cancel(struct ms_import_run *run);

/* Tells every shard, and then goes on: DONE concludes, DEAD concludes with
 * what was explained, REOPEN revives the chunks. */
void ms_import_run_close(struct ms_import_run *run, enum ms_dataset_close how);

/* Stops or revives the chunks from `children_from` on. */
void ms_import_run_move_chunks(struct ms_import_run *run);

/* Finds out why, unless `why` says it, and ends as dead. */
void ms_import_run_bury(struct ms_import_run *run, const char *why);

/*
 * import: what a parent of kind dump.import is, and what has to happen next.
 *
 *  (none) --manifest--> running --all planned, all ended--> checking --> done
 *                        |   |                                 |
 *           cancelling <-'   '--> failing (max_errors, source) '-----> dead
 *           (children stopped)    (children stopped)                    |
 *  running <---------- reviving (dead chunks made ready again) <- retry '
 *
 * Everything here is pure.  Each state stands in Redis, in the parent's
 * `phase`, `plan` and tally, and ms_import_decide() looks at nothing else, so
 * that the next leader goes on where this one was killed, between any two
 * steps.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/dataset.h"
#include "common/job.h"
#include "common/manifest.h"
#include "common/parent.h"

#define MS_IMPORT_KIND       "dump.import"
#define MS_IMPORT_CHUNK_KIND "dump.chunk"

/* ---- what was ordered: the parent's payload ---- */

struct ms_import_order {
    char *source, *dataset, *id_field;
    int64_t shards, gen, epoch; /* gen 0: the dataset's own record counts */
    int64_t chunk_size, max_line_bytes, batch_docs, batch_bytes;
    int64_t max_errors; /* -1: unlimited */
};

/* MS_EINVAL names the field.  On success free with ms_import_order_done(). */
enum ms_err ms_import_order_parse(const struct ms_job *job,
                                  struct ms_import_order *out_order,
                                  struct ms_error *error);
void ms_import_order_done(struct ms_import_order *order);

/* ---- what is planned: the parent's plan ---- */

struct ms_import_plan {
    struct ms_manifest manifest;
    int64_t next;         /* where the next chunk begins */
    bool complete;        /* the last chunk exists */
    int64_t chunks_total; /* an estimate until complete */
};

/* MS_EPROTO.  On success free with ms_import_plan_done(). */
enum ms_err ms_import_plan_parse(const struct ms_bytes *bytes,
                                 struct ms_import_plan *out_plan,
                                 struct ms_error *error);
void ms_import_plan_done(struct ms_import_plan *plan);

/* Appends the plan as msgpack. */
void ms_import_plan_pack(const struct ms_import_plan *plan, struct ms_buf *out);

/* Appends the payload of the chunk from `start` to `end`. */
void ms_import_chunk_pack(const struct ms_import_order *order,
                          const struct ms_import_plan *plan, const char *parent,
                          int64_t start, int64_t end, struct ms_buf *out);

/* ---- what comes next ---- */

struct ms_import_facts {
    const char *phase; /* "" for a fresh parent */
    bool cancel_requested;
    bool has_plan, complete;
    int64_t size; /* of the source; with a plan */
    int64_t max_errors, max_workers;
    struct ms_tally tally;
    bool told;    /* running chunks have been told to stop; may be forgotten */
    bool doubted; /* a pod says that it cannot read the source as planned */
};

enum ms_import_step {
    MS_IMPORT_WAIT,     /* for chunks */
    MS_IMPORT_MANIFEST, /* look at the source */
    MS_IMPORT_SPAWN,    /* `n` more chunks */
    MS_IMPORT_PHASE,    /* move to `phase`, because of `why` */
    MS_IMPORT_STOP,     /* the chunks that have not ended */
    MS_IMPORT_REVIVE,   /* the chunks that are dead; then running */
    MS_IMPORT_PROBE,    /* is the source the same still?  else failing */
    MS_IMPORT_CHECK,    /* is the source the same still?  then done */
    MS_IMPORT_BURY      /* end as dead; `why`, "" where the record knows */
};

struct ms_import_decision {
    enum ms_import_step step;
    int64_t n;
    const char *phase;
    char why[256];
};

void ms_import_decide(const struct ms_import_facts *facts,
                      struct ms_import_decision *out_decision);

/* How many chunks may be ready or running: so that a parent of a million
 * chunks costs no more memory than one of a thousand. */
int64_t ms_import_window(int64_t max_workers);

/* Do the sums of all chunks cover the source?  MS_ESTATE says what is
 * missing. */
enum ms_err ms_import_coverage(const struct ms_tally *tally, int64_t size,
                               struct ms_error *error);

/* Appends the result of a done import as msgpack. */
void ms_import_result_pack(const struct ms_tally *tally, int64_t took_ms,
                           struct ms_buf *out);

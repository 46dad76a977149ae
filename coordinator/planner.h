/*
 * planner: looks at an import's source in a child process, because a disk, and
 * a network disk more so, may keep a reader waiting for minutes.
 *
 * The child is this same binary (`muster-coordinator --plan`, not for people).
 * One question, one child, one answer: it reads a msgpack map from its standard
 * input to the end, writes one to its standard output, and exits.
 *
 *     ASKING --all written--> WAITING --end of file--> (callback, freed)
 *        '---------- 60 s over, child gone ----------------^
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/manifest.h"

#define MS_PLANNER_CUTS_MAX 4096 /* ends in one answer */

enum ms_planner_op {
    MS_PLANNER_MANIFEST, /* path, chunk_size -> manifest */
    MS_PLANNER_CUT,      /* manifest, from, count -> ends, complete */
    MS_PLANNER_CHECK     /* manifest -> MS_OK: it is still the same */
};

/* Borrowed for the length of ms_planner_start(). */
struct ms_planner_request {
    enum ms_planner_op op;
    const char *path;
    int64_t chunk_size;
    const struct ms_manifest *manifest;
    int64_t from;   /* where the first chunk begins */
    size_t count;   /* chunks at most, up to MS_PLANNER_CUTS_MAX */
    int timeout_ms; /* 0: 60 s */
};

/* The planner's; good until the callback returns. */
struct ms_planner_answer {
    struct ms_manifest manifest;
    int64_t *ends; /* see coordinator/cutter.h */
    size_t n_ends;
    bool complete; /* the last end is that of the source */
};

/*
 * Called once, from the loop, never from inside ms_planner_start(); the planner
 * is gone afterwards.  `answer` is NULL unless MS_OK.  Else `why` is a text for
 * people: MS_ESTALE "the source changed: ...", MS_ENOENT "cannot open 'x': No
 * such file or directory", MS_EINVAL (no regular file), MS_EIO, MS_ETIMEOUT,
 * MS_ECRASHED (the child died).
 */
struct ms_planner;
typedef void ms_planner_fn(enum ms_err err,
                           const struct ms_planner_answer *answer,
                           const char *why, void *arg);

struct ms_planner *ms_planner_start(struct ev_loop *loop,
                                    const struct ms_planner_request *request,
                                    ms_planner_fn *fn, void *arg);

/* Kills the child and forgets the callback.  Takes NULL. */
void ms_planner_cancel(struct ms_planner *planner);

/* All of the child: answers what stands on standard input.  Returns the exit
 * code.  main() calls it for the flag --plan. */
int ms_planner_main(void);

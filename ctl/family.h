/*
 * family: a batch with a parent, from a file of JSON lines.
 *
 *     check every line --> add 500 children a call --> seal with the last
 *
 * A bad line anywhere means that nothing is enqueued: the file is read to its
 * end before the first call (what cannot be read twice is kept in a temporary
 * file meanwhile).  When a call fails for good, the batch stays open, and the
 * same command with the batch's id goes on where it stopped.
 */
#pragma once

#include <stdio.h>

#include "ctl/ctl.h"

struct ms_family_result {
    char *id, *queue;               /* NULL where not even that is known */
    int64_t enqueued, deduplicated; /* children; that were in before */
    bool ended;                     /* it is over already */
};

/* Reads the command line's options (--parent, --id, --queue, --policy, --on-*)
 * and `file`.  The result is written in any case; free with
 * ms_family_result_done().  MS_EINVAL "line N: ...": nothing was enqueued. */
enum ms_err ms_family_run(struct ms_ctl *ctl, FILE *file,
                          struct ms_family_result *out_result,
                          struct ms_error *error);
void ms_family_result_done(struct ms_family_result *result);

/*
 * batch: many jobs from a file of JSON lines, fast and without loss.
 *
 *     read lines --some, a call and queue--> calls --together--> Redis
 *
 * Calls of one window travel together.  Each carries a token that is kept when
 * it has to be sent again, so that a broken connection enqueues nothing twice.
 * A file is looked through first, so that one bad line keeps all of it out.
 * What cannot be read twice (a pipe) goes in while it is read, by the window:
 * there a bad line ends the reading, and the result tells what is in.
 */
#pragma once

#include <stdio.h>

#include "ctl/ctl.h"

struct ms_batch_result {
    int64_t enqueued, deduplicated;
    int64_t
        failed_line; /* the bad line, else the first that is not in; 0: none */
    struct ms_buf in_lines; /* after a failure: "1-500 502", or empty */
};

/* Reads `file` to its end.  `queue` NULL: each line's own, or its kind's.  The
 * result is written in any case; free in_lines with ms_buf_done().  MS_EINVAL
 * "line N: ..." for a bad line. */
enum ms_err ms_batch_run(struct ms_ctl *ctl, FILE *file, const char *queue,
                         struct ms_batch_result *out_result,
                         struct ms_error *error);

/*
 * batch: many jobs from a file of JSON lines, fast and without loss.
 *
 *     read lines --500 a call and queue--> calls --together--> Redis
 *
 * Calls of one window travel together.  Each carries a token that is kept when
 * it has to be sent again, so that a broken connection enqueues nothing twice.
 * The first bad line ends the reading; what stands before it goes in, nothing
 * of it or behind it.
 */
#pragma once

#include <stdio.h>

#include "ctl/ctl.h"

struct ms_batch_result {
    int64_t enqueued, deduplicated;
    int64_t failed_line;    /* first line that is not in; 0: all are */
    struct ms_buf in_lines; /* after a failure: "1-500 502", or empty */
};

/* Reads `file` to its end.  `queue` NULL: each line's own, or its kind's.  The
 * result is written in any case; free in_lines with ms_buf_done().  MS_EINVAL
 * "line N: ..." for a bad line. */
enum ms_err ms_batch_run(struct ms_ctl *ctl, FILE *file, const char *queue,
                         struct ms_batch_result *out_result,
                         struct ms_error *error);

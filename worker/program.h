/*
 * program: runs one program for a job, in a process group of its own.
 *
 *     start --> running --exit--> the rest of its group is killed, reaped
 *                  |
 *                  '-- time-out or stop: TERM to the group, KILL 5 s later
 *
 * Its output is drained all the while, and its end kept; the channel to the
 * worker is watched.  It holds none of our descriptors, and dies with the
 * slot, together with its group.  What leaves the group (a daemon) is beyond
 * us, and the container's business.
 */
#pragma once

#include "common/err.h"
#include "worker/handler.h"
#include "worker/text.h"

#define MS_PROGRAM_KILL_MS 5000

struct ms_program {
    char *const *argv; /* argv[0] without a slash is looked up in our PATH */
    char *const *env;
    int cwd_fd;     /* -1: ours */
    const char *in; /* its standard input; NULL: /dev/null */
    size_t in_len;
    int64_t timeout_ms;
};

struct ms_program_end {
    int status;        /* as wait() gives it */
    bool timed_out;    /* stopped by us, for that reason */
    enum ms_stop stop; /* stopped by us, because of this */
    struct ms_tail tail;
};

/* Blocks until the program has ended.  MS_EIO with "cannot start 'x': ..."
 * when it never ran. */
enum ms_err ms_program_run(struct ms_ctx *ctx, const struct ms_program *program,
                           struct ms_program_end *out_end,
                           struct ms_error *error);

/*
 * output: what a slot and its programs write to standard output and error, as
 * lines of the worker's log.
 *
 * Whoever writes must be able to write as much as it likes without filling the
 * log or holding up the worker: at most 100 lines a second come through, cut at
 * 1,000 bytes; what is beyond is counted, and the count is told.  Read are at
 * most some 10 MiB a second; a writer that is faster waits for its pipe, which
 * is its own job's loss.
 *
 * A line may begin with its level as "<3>" (error), "<4>" (warning), "<6>"
 * (info) or "<7>" (debug), as programs write for systemd.
 */
#pragma once

#include <ev.h>

struct ms_output;

/* Says which job runs there now; NULL: none. */
typedef const char *ms_output_job_fn(void *arg);

/* Free with ms_output_free(), which takes NULL. */
struct ms_output *ms_output_new(struct ev_loop *loop, int slot,
                                ms_output_job_fn *job, void *arg);
void ms_output_free(struct ms_output *output);

/* Reads from this pipe's end, which it takes, from now on. */
void ms_output_open(struct ms_output *output, int fd);

/* Takes what is there now: before a job that wrote it is over. */
void ms_output_drain(struct ms_output *output);

/* The writer is gone: the rest, what was dropped, and no more.  Takes a closed
 * one, too. */
void ms_output_close(struct ms_output *output);

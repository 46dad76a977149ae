/*
 * message: what a worker and its children say to each other, one a frame.
 *
 *     worker -> child                        child -> worker
 *     HELLO      build, pod, configuration   READY       build
 *                                            REFUSED     why it cannot start
 *     JOB        number, the job             CHECKPOINT  number, cursor, ...
 *     STOP       number, reason              END         number, outcome, ...
 *     COMMITTED  number, seq                 CLOCK       number, stopped
 *
 * Each is one msgpack array of a fixed length whose first item is the type:
 * both sides are the same build (HELLO sees to it), so nothing is named and
 * nothing is optional.  Jobs of one child are numbered from 1 upwards and run
 * in that order; lane.h uses the same numbers.
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "worker/held.h"

enum ms_message_type {
    MS_MSG_HELLO,
    MS_MSG_READY,
    MS_MSG_REFUSED,
    MS_MSG_JOB,
    MS_MSG_STOP,
    MS_MSG_COMMITTED,
    MS_MSG_CHECKPOINT,
    MS_MSG_CLOCK,
    MS_MSG_END
};

struct ms_hello {
    const char *build; /* build.h */
    const char *pod;
    const char *conf_path; /* NULL: none */
    const char *redis_url;
    const char *fleet;
};

/* ---- writing: each appends one frame ---- */

void ms_message_put_hello(struct ms_buf *out, const struct ms_hello *hello);
void ms_message_put_ready(struct ms_buf *out, const char *build);
void ms_message_put_refused(struct ms_buf *out, const char *why);
void ms_message_put_job(struct ms_buf *out, uint64_t number,
                        const struct ms_held *held);
void ms_message_put_stop(struct ms_buf *out, uint64_t number,
                         enum ms_stop reason);
void ms_message_put_committed(struct ms_buf *out, uint64_t number, int64_t seq);
void ms_message_put_checkpoint(struct ms_buf *out, uint64_t number,
                               const struct ms_checkpoint *checkpoint);
/* The job's time-out stands still, or goes on: its handler waits for what it
 * has no say over. */
void ms_message_put_clock(struct ms_buf *out, uint64_t number, bool stopped);
/* run_us: how long the handler took. */
void ms_message_put_end(struct ms_buf *out, uint64_t number,
                        const struct ms_ending *ending, int64_t run_us);

/* ---- reading ---- */

struct ms_message {
    enum ms_message_type type;
    uint64_t number;
    union {
        struct ms_hello hello;
        const char *text;   /* READY: the build, REFUSED: why */
        struct ms_held job; /* not for ms_held_free(): the reader's memory */
        enum ms_stop stop;
        bool stopped; /* CLOCK */
        int64_t seq;
        struct ms_checkpoint checkpoint; /* the caller's, to be freed */
        struct {
            struct ms_ending ending; /* its result is the caller's */
            int64_t run_us;
        } end;
    };
};

/* Keeps its memory from one message to the next.  Strings of a message that
 * are not the caller's are the reader's, good until it reads again. */
struct ms_reader {
    struct ms_buf texts;
    struct ms_message message;
};

void ms_reader_init(struct ms_reader *reader);
void ms_reader_done(struct ms_reader *reader);

/* The type of a frame, without reading it; -1: none. */
int ms_message_peek(const char *body, size_t len);

/* MS_EPROTO for anything that the functions above do not write.  On MS_OK the
 * message is the reader's, but for what is marked as the caller's. */
enum ms_err ms_message_read(struct ms_reader *reader, const char *body,
                            size_t len, struct ms_message **out_message,
                            struct ms_error *error);

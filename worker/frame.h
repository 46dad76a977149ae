/*
 * frame: messages with a length in front, over a socket between two processes.
 *
 *     | length, 4 bytes, big-endian | body, 1 byte to MS_FRAME_MAX |
 *
 * Nothing here blocks unless asked to.  Reading takes what has come and hands
 * out the whole frames in it, several a read; writing collects frames and
 * sends them together, so that a turn of the loop costs one system call each
 * way however many jobs it carries.  What a frame says is message.h's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

/* Beyond any payload that a queue takes; a length above is a broken peer. */
#define MS_FRAME_MAX (64u << 20)

struct ms_frames {
    int fd;            /* a stream socket, owned */
    struct ms_buf in;  /* received, handed out up to in_at */
    struct ms_buf out; /* to send, sent up to out_at */
    size_t in_at, out_at;
};

/* Takes the socket.  ms_frames_done() closes it; a zeroed struct whose fd is
 * -1 is a closed channel and may be given to it too. */
void ms_frames_init(struct ms_frames *frames, int fd);
void ms_frames_done(struct ms_frames *frames);

/* Begins a frame at the end of `out` and returns where; the caller appends
 * the body and closes it, which writes the length. */
size_t ms_frame_open(struct ms_buf *out);
void ms_frame_close(struct ms_buf *out, size_t at);

/* Sends what `out` holds, without blocking.  MS_EBUSY: some is left; MS_EDOWN:
 * the peer is gone. */
enum ms_err ms_frames_flush(struct ms_frames *frames);
/* How many bytes wait to be sent. */
size_t ms_frames_backlog(const struct ms_frames *frames);

/* Reads once; with `wait` it blocks until something comes.  MS_EBUSY: nothing
 * there; MS_EDOWN: the peer has closed or is gone.  Frames handed out before
 * are no longer good. */
enum ms_err ms_frames_fill(struct ms_frames *frames, bool wait);

/* The next whole frame of what was read; it points into the buffer and is good
 * until the next fill.  MS_EBUSY: no whole frame yet; MS_EPROTO: a length that
 * no frame can have. */
enum ms_err ms_frames_next(struct ms_frames *frames, const char **out_body,
                           size_t *out_len, struct ms_error *error);

/* Has a frame begun that did not come in whole? */
bool ms_frames_is_partial(const struct ms_frames *frames);

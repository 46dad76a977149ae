#include "worker/frame.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"

enum {
    HEADER = 4,
    READ_SIZE = 16 * 1024,
    KEEP_SIZE = 64 * 1024 /* a larger buffer is given back once empty */
};

void ms_frames_init(struct ms_frames *frames, int fd)
{
    *frames = (struct ms_frames){.fd = fd};
}

void ms_frames_done(struct ms_frames *frames)
{
    if (frames->fd >= 0)
        close(frames->fd);
    frames->fd = -1;
    ms_buf_done(&frames->in);
    ms_buf_done(&frames->out);
    frames->in_at = frames->out_at = 0;
}

size_t ms_frame_open(struct ms_buf *out)
{
    size_t at = out->len;

    ms_buf_reserve(out, HEADER);
    out->len += HEADER;
    return at;
}

void ms_frame_close(struct ms_buf *out, size_t at)
{
    size_t len = out->len - at - HEADER;
    unsigned char *header = (unsigned char *)out->data + at;

    ms_assert(len > 0 && len <= MS_FRAME_MAX);
    header[0] = (unsigned char)(len >> 24);
    header[1] = (unsigned char)(len >> 16);
    header[2] = (unsigned char)(len >> 8);
    header[3] = (unsigned char)len;
}

/* Starts over at the front of an empty buffer, so that nothing is moved. */
static void rewind_empty(struct ms_buf *buf, size_t *at)
{
    if (*at < buf->len)
        return;
    *at = 0;
    ms_buf_clear(buf);
    if (buf->cap > KEEP_SIZE)
        ms_buf_done(buf);
}

size_t ms_frames_backlog(const struct ms_frames *frames)
{
    return frames->out.len - frames->out_at;
}

enum ms_err ms_frames_flush(struct ms_frames *frames)
{
    while (ms_frames_backlog(frames) > 0) {
        ssize_t n =
            send(frames->fd, frames->out.data + frames->out_at,
                 ms_frames_backlog(frames), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0)
            frames->out_at += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return MS_EBUSY;
        else if (errno != EINTR)
            return MS_EDOWN;
    }
    rewind_empty(&frames->out, &frames->out_at);
    return MS_OK;
}

static uint32_t length_at(const char *header)
{
    const unsigned char *p = (const unsigned char *)header;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

/* How much the next read may bring: the rest of a large frame at once. */
static size_t read_size(const struct ms_frames *frames)
{
    size_t have = frames->in.len - frames->in_at;
    size_t len;

    if (have < HEADER)
        return READ_SIZE;
    len = length_at(frames->in.data + frames->in_at);
    if (len > MS_FRAME_MAX || HEADER + len < have + READ_SIZE)
        return READ_SIZE;
    return HEADER + len - have;
}

enum ms_err ms_frames_fill(struct ms_frames *frames, bool wait)
{
    size_t room;
    char *at;
    ssize_t n;

    rewind_empty(&frames->in, &frames->in_at);
    if (frames->in_at > 0) {
        ms_buf_consume(&frames->in, frames->in_at);
        frames->in_at = 0;
    }
    room = read_size(frames);
    at = ms_buf_reserve(&frames->in, room);
    do
        n = recv(frames->fd, at, room, wait ? 0 : MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        frames->in.len += (size_t)n;
        return MS_OK;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return MS_EBUSY;
    return MS_EDOWN;
}

enum ms_err ms_frames_next(struct ms_frames *frames, const char **out_body,
                           size_t *out_len, struct ms_error *error)
{
    size_t have = frames->in.len - frames->in_at;
    const char *frame = frames->in.data + frames->in_at;
    size_t len;

    if (have < HEADER)
        return MS_EBUSY;
    len = length_at(frame);
    if (len == 0 || len > MS_FRAME_MAX)
        return ms_error_set(error, MS_EPROTO, "a frame of %zu bytes", len);
    if (have < HEADER + len)
        return MS_EBUSY;
    frames->in_at += HEADER + len;
    *out_body = frame + HEADER;
    *out_len = len;
    return MS_OK;
}

bool ms_frames_is_partial(const struct ms_frames *frames)
{
    return frames->in_at < frames->in.len;
}

#include "common/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define BLOCK ((size_t)256 * 1024)

/*
 *   buf: |....given out....|##### unread #####|      free      |
 *        0                 begin              end              cap
 *                          ^ `offset` in the file
 */
struct ms_lines {
    int fd;
    int64_t stop;   /* end of the range */
    int64_t offset; /* of buf[begin] */
    size_t max_line;
    char *buf;
    size_t begin, end, cap;
    size_t seen; /* bytes from `begin` that hold no LF */
};

struct ms_lines *ms_lines_new(int fd, int64_t start, int64_t end,
                              size_t max_line)
{
    struct ms_lines *l = ms_xcalloc(1, sizeof(*l));

    l->fd = fd;
    l->offset = start;
    l->stop = end;
    l->max_line = max_line;
    l->cap = BLOCK;
    if (end - start < (int64_t)BLOCK)
        l->cap = end > start ? (size_t)(end - start) : 1;
    l->buf = ms_xmalloc(l->cap);
    return l;
}

void ms_lines_free(struct ms_lines *l)
{
    if (l == NULL)
        return;
    free(l->buf);
    free(l);
}

int64_t ms_lines_offset(const struct ms_lines *l)
{
    return l->offset;
}

int64_t ms_lines_read_to(const struct ms_lines *l)
{
    return l->offset + (int64_t)(l->end - l->begin);
}

static void pass_over(struct ms_lines *l, size_t len)
{
    l->begin += len;
    l->offset += (int64_t)len;
    l->seen = 0;
}

/* Makes room behind `end`: moves what is unread to the front, and grows when
 * that is the whole buffer. */
static void make_room(struct ms_lines *l)
{
    if (l->begin > 0) {
        memmove(l->buf, l->buf + l->begin, l->end - l->begin);
        l->end -= l->begin;
        l->begin = 0;
    }
    if (l->end < l->cap)
        return;
    l->cap *= 2;
    l->buf = ms_xrealloc(l->buf, l->cap);
}

/* Reads once.  The caller has checked that the range goes on. */
static enum ms_err fill(struct ms_lines *l, struct ms_error *error)
{
    int64_t at = ms_lines_read_to(l);
    size_t want;
    ssize_t got;

    make_room(l);
    want = l->cap - l->end;
    if (want > BLOCK)
        want = BLOCK;
    if ((int64_t)want > l->stop - at)
        want = (size_t)(l->stop - at);
    do
        got = pread(l->fd, l->buf + l->end, want, at);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return ms_error_set(error, MS_EIO, "cannot read: %s", strerror(errno));
    if (got == 0)
        return ms_error_set(error, MS_ESTALE, "the file ends at byte %lld",
                            (long long)at);
    l->end += (size_t)got;
    return MS_OK;
}

/* Looks for the line's LF, reading on as needed.  *out_end is where it stands
 * behind `begin`, or the number of bytes left where the range ends without
 * one, or more than max_line + 2 for a line that is too long whatever comes. */
static enum ms_err find_end(struct ms_lines *l, size_t *out_end,
                            struct ms_error *error)
{
    enum ms_err err;
    const char *lf;

    for (;;) {
        lf = memchr(l->buf + l->begin + l->seen, '\n',
                    l->end - l->begin - l->seen);
        if (lf != NULL) {
            *out_end = (size_t)(lf - (l->buf + l->begin));
            return MS_OK;
        }
        l->seen = l->end - l->begin;
        if (l->seen > l->max_line + 2 || ms_lines_read_to(l) >= l->stop) {
            *out_end = l->seen;
            return MS_OK;
        }
        err = fill(l, error);
        if (err != MS_OK)
            return err;
    }
}

/* Drops bytes up to and with the LF, or the end of the range. */
static enum ms_err skip_line(struct ms_lines *l, struct ms_error *error)
{
    enum ms_err err;
    const char *lf;

    for (;;) {
        lf = memchr(l->buf + l->begin, '\n', l->end - l->begin);
        if (lf != NULL) {
            pass_over(l, (size_t)(lf - (l->buf + l->begin)) + 1);
            return MS_OK;
        }
        pass_over(l, l->end - l->begin);
        if (l->offset >= l->stop)
            return MS_OK;
        err = fill(l, error);
        if (err != MS_OK)
            return err;
    }
}

/* Passes over a byte order mark at the very start of the file. */
static enum ms_err skip_mark(struct ms_lines *l, struct ms_error *error)
{
    enum ms_err err;

    if (l->offset != 0)
        return MS_OK;
    while (l->end - l->begin < 3 && ms_lines_read_to(l) < l->stop) {
        err = fill(l, error);
        if (err != MS_OK)
            return err;
    }
    if (l->end - l->begin >= 3 &&
        memcmp(l->buf + l->begin, "\xEF\xBB\xBF", 3) == 0)
        pass_over(l, 3);
    return MS_OK;
}

enum ms_err ms_lines_next(struct ms_lines *l, struct ms_line *out_line,
                          bool *out_found, struct ms_error *error)
{
    struct ms_line line = {NULL, 0, 0, false};
    enum ms_err err = skip_mark(l, error);
    size_t end;
    bool has_lf;

    if (err != MS_OK)
        return err;
    if (l->offset >= l->stop) {
        *out_found = false;
        return MS_OK;
    }
    line.offset = l->offset;
    err = find_end(l, &end, error);
    if (err != MS_OK)
        return err;
    line.bytes = l->buf + l->begin;
    has_lf = l->begin + end < l->end;
    line.len = has_lf && end > 0 && line.bytes[end - 1] == '\r' ? end - 1 : end;
    line.too_long = line.len > l->max_line;
    if (line.too_long) {
        line.bytes = NULL;
        err = skip_line(l, error);
        if (err != MS_OK)
            return err;
    } else {
        pass_over(l, has_lf ? end + 1 : end);
    }
    *out_line = line;
    *out_found = true;
    return MS_OK;
}

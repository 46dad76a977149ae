#include "coordinator/cutter.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

/* Lines are short: the first look is small, those after it larger. */
#define FIRST_LOOK 4096
#define LOOK       65536

static enum ms_err look(int fd, int64_t at, char *buf, size_t len,
                        size_t *out_got, struct ms_error *error)
{
    ssize_t got;

    do
        got = pread(fd, buf, len, at);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return ms_error_set(error, MS_EIO, "cannot read: %s", strerror(errno));
    if (got == 0)
        return ms_error_set(error, MS_ESTALE,
                            "the source changed: it ends at byte %lld",
                            (long long)at);
    *out_got = (size_t)got;
    return MS_OK;
}

/* The first line start at or after `cut`: behind the first LF from the byte
 * before it on. */
static enum ms_err line_start(int fd, int64_t size, int64_t cut,
                              int64_t *out_start, struct ms_error *error)
{
    char buf[LOOK];
    int64_t at = cut - 1;
    size_t want = FIRST_LOOK, got = 0;
    const char *lf;
    enum ms_err err;

    while (at < size) {
        if ((int64_t)want > size - at)
            want = (size_t)(size - at);
        err = look(fd, at, buf, want, &got, error);
        if (err != MS_OK)
            return err;
        lf = memchr(buf, '\n', got);
        if (lf != NULL) {
            *out_start = at + (lf - buf) + 1;
            return MS_OK;
        }
        at += (int64_t)got;
        want = LOOK;
    }
    *out_start = size;
    return MS_OK;
}

enum ms_err ms_cutter_cut(int fd, int64_t size, int64_t chunk_size,
                          int64_t from, size_t count, int64_t *out_ends,
                          size_t *out_n, struct ms_error *error)
{
    int64_t start = from;
    size_t n = 0;
    enum ms_err err;

    ms_assert(chunk_size > 0 && from >= 0 && from <= size);
    for (; n < count && start < size; n++) {
        /* Compared so, because start + chunk_size may be past 2^63. */
        int64_t to_cut = chunk_size - start % chunk_size;
        int64_t end = size;

        if (to_cut < size - start) {
            err = line_start(fd, size, start + to_cut, &end, error);
            if (err != MS_OK)
                return err;
        }
        out_ends[n] = start = end;
    }
    *out_n = n;
    return MS_OK;
}

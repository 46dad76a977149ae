/*
 * buf: a growing run of bytes, read from the front and written at the back.
 *
 * `data` may be NULL while `len` is 0.  A zeroed struct is an empty buffer.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct ms_buf {
    char *data;
    size_t len;
    size_t cap;
};

#define MS_BUF_INIT \
    {               \
        NULL, 0, 0  \
    }

/* Frees the bytes and leaves an empty buffer, ready for use again. */
void ms_buf_done(struct ms_buf *buf);

/* Makes room for `more` bytes behind the end and returns where they start;
 * the caller then adds what it wrote to `len`. */
char *ms_buf_reserve(struct ms_buf *buf, size_t more);

/* Each appends; ms_buf_addf() writes no NUL that counts. */
void ms_buf_add(struct ms_buf *buf, const void *bytes, size_t len);
void ms_buf_adds(struct ms_buf *buf, const char *text);
void ms_buf_addc(struct ms_buf *buf, char c);
void ms_buf_addf(struct ms_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ms_buf_addv(struct ms_buf *buf, const char *format, va_list args);

/* Drops `len` bytes from the front. */
void ms_buf_consume(struct ms_buf *buf, size_t len);

/* Empties it and keeps the memory. */
void ms_buf_clear(struct ms_buf *buf);

/* The bytes as a C string (a NUL is put behind them, outside `len`). */
const char *ms_buf_str(struct ms_buf *buf);

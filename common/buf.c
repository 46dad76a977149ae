#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void ms_buf_done(struct ms_buf *buf)
{
    free(buf->data);
    *buf = (struct ms_buf)MS_BUF_INIT;
}

char *ms_buf_reserve(struct ms_buf *buf, size_t more)
{
    size_t cap = buf->cap == 0 ? 64 : buf->cap;

    while (cap - buf->len < more)
        cap *= 2;
    if (cap != buf->cap) {
        buf->data = ms_xrealloc(buf->data, cap);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void ms_buf_add(struct ms_buf *buf, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(ms_buf_reserve(buf, len), bytes, len);
    buf->len += len;
}

void ms_buf_adds(struct ms_buf *buf, const char *text)
{
    ms_buf_add(buf, text, strlen(text));
}

void ms_buf_addc(struct ms_buf *buf, char c)
{
    ms_buf_add(buf, &c, 1);
}

void ms_buf_addv(struct ms_buf *buf, const char *format, va_list args)
{
    va_list again;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    ms_assert(len >= 0);
    vsnprintf(ms_buf_reserve(buf, (size_t)len + 1), (size_t)len + 1, format,
              again);
    buf->len += (size_t)len;
    va_end(again);
}

void ms_buf_addf(struct ms_buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    ms_buf_addv(buf, format, args);
    va_end(args);
}

void ms_buf_consume(struct ms_buf *buf, size_t len)
{
    ms_assert(len <= buf->len);
    buf->len -= len;
    if (buf->len > 0)
        memmove(buf->data, buf->data + len, buf->len);
}

void ms_buf_clear(struct ms_buf *buf)
{
    buf->len = 0;
}

const char *ms_buf_str(struct ms_buf *buf)
{
    *ms_buf_reserve(buf, 1) = '\0';
    return buf->data;
}

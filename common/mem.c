#include "common/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *ptr)
{
    if (ptr == NULL) {
        fputs("muster: out of memory\n", stderr);
        abort();
    }
    return ptr;
}

void *ms_xmalloc(size_t size)
{
    return check(malloc(size == 0 ? 1 : size));
}

void *ms_xcalloc(size_t count, size_t size)
{
    return check(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *ms_xrealloc(void *ptr, size_t size)
{
    return check(realloc(ptr, size == 0 ? 1 : size));
}

char *ms_xstrdup(const char *text)
{
    return check(strdup(text));
}

char *ms_xstrndup(const char *text, size_t len)
{
    char *copy = ms_xmalloc(len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *ms_xasprintf(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    return check(len < 0 ? NULL : text);
}

void ms_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "muster: %s:%d: assertion failed: %s\n", file, line, cond);
    abort();
}

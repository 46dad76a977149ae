/*
 * mem: allocation that cannot fail, and the assertion that stays on.
 *
 * Out of memory aborts: leases expire and the jobs run elsewhere, so a crash
 * is safe, and a half-working daemon is not.
 */
#pragma once

#include <stddef.h>

/* Each returns new memory, or aborts.  ms_xcalloc() is zeroed. */
void *ms_xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *ms_xcalloc(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull));
void *ms_xrealloc(void *ptr, size_t size);
char *ms_xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *ms_xstrndup(const char *text, size_t len)
    __attribute__((malloc, returns_nonnull));

/* Returns a new formatted string. */
char *ms_xasprintf(const char *format, ...)
    __attribute__((format(printf, 1, 2), returns_nonnull));

/* For our own mistakes; bad input is an error, never an assertion. */
#define ms_assert(cond) \
    ((cond) ? (void)0 : ms_assert_failed(#cond, __FILE__, __LINE__))

/* Prints where and aborts. */
void ms_assert_failed(const char *cond, const char *file, int line)
    __attribute__((noreturn));

#define MS_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

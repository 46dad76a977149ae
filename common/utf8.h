/*
 * utf8: which bytes are UTF-8, by the strict reading.
 *
 * Overlong forms, surrogates and anything beyond U+10FFFF are not: they must
 * not reach Redis, where another language's reader would choke on them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length of the character that starts at `text`, 1 to 4; 0 where the bytes
 * (at most `left`, at least 1) do not begin with one. */
size_t ms_utf8_char(const char *text, size_t left);

/* How many bytes from the start are good; `len` when all are. */
size_t ms_utf8_span(const char *text, size_t len);
bool ms_utf8_is_valid(const char *text, size_t len);

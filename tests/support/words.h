/*
 * words: a command written as one format string.
 *
 * Words are split at spaces of the format, never of what it stands for:
 * ("SET %s %b", "a key", bytes, len) has three words.
 */
#pragma once

#include <stdarg.h>

#include "common/cmd.h"

/* Knows %s %c %% %d %i %u %x with h, l, ll, z, j, and %f %g; %b takes (const
 * void *, size_t). */
void ms_words_add(struct ms_cmd *cmd, const char *format, va_list args);

/*
 * text: what a program wrote, made fit for a record.
 */
#pragma once

#include <stddef.h>

/* Turns `len` bytes into valid UTF-8 without NUL: each bad byte becomes '?',
 * also of a character that was cut at the end.  In place; returns `len`. */
size_t ms_text_scrub(char *text, size_t len);

/* The last bytes of a stream, however long it is. */
struct ms_tail {
    char bytes[512];
    size_t len;
};
#define MS_TAIL_SHOWN 256

void ms_tail_add(struct ms_tail *tail, const char *bytes, size_t len);

/* Its last MS_TAIL_SHOWN bytes or a little less: whole characters of valid
 * UTF-8, without line ends behind.  The text is the tail's. */
const char *ms_tail_text(struct ms_tail *tail);

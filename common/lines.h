/*
 * lines: a byte range of a file, line by line, in bounded memory.
 *
 * The range must begin at a line's start (the cutter sees to that).  A line
 * ends in LF or CRLF; the last of the file may end without.  A byte order mark
 * at offset 0 of the file is no part of its first line, and a file that holds
 * nothing else has no line.
 *
 * The buffer grows to the longest line it meets, but never past max_line: of a
 * longer line the bytes are passed over, and it is told as `too_long`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct ms_line {
    const char *bytes; /* without the line end; good until the next call */
    size_t len;
    int64_t offset; /* of its first byte, in the file */
    bool too_long;  /* longer than max_line: `bytes` is NULL */
};

struct ms_lines;

/* Reads [start, end) of `fd`, which it borrows and reads with pread() alone.
 * Free with ms_lines_free(), which takes NULL. */
struct ms_lines *ms_lines_new(int fd, int64_t start, int64_t end,
                              size_t max_line);
void ms_lines_free(struct ms_lines *lines);

/* *out_found is false at the end of the range.  MS_EIO: the file cannot be
 * read; MS_ESTALE: it is shorter than the range says. */
enum ms_err ms_lines_next(struct ms_lines *lines, struct ms_line *out_line,
                          bool *out_found, struct ms_error *error);

/* Where the next line begins: everything before was passed over or given out,
 * line ends and byte order mark included. */
int64_t ms_lines_offset(const struct ms_lines *lines);

/* How far the file was read. */
int64_t ms_lines_read_to(const struct ms_lines *lines);

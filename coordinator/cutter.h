/*
 * cutter: where a dump is cut into chunks.
 *
 * Chunks end at the starts of lines.  The nominal cuts are the multiples of
 * chunk_size; the real one is the first line start at or after it.  A line
 * longer than a chunk makes one longer chunk, and the nominal cuts that it
 * swallows make none.  So each end follows from the one before and from the
 * file alone, whoever asks, and only bytes around the cuts are read.
 *
 *     nominal       |             |             |
 *     lines   ....\n....\n..........\n.....................................\n
 *     ends               ^           ^                                       ^
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Writes the ends of up to `count` chunks, the first of which begins at `from`
 * (0, or an end given before); fewer only when the last is `size`.  None when
 * `from` is the size.  Blocks on the disk.  MS_EIO; MS_ESTALE when the file is
 * shorter than `size`. */
enum ms_err ms_cutter_cut(int fd, int64_t size, int64_t chunk_size,
                          int64_t from, size_t count, int64_t *out_ends,
                          size_t *out_n, struct ms_error *error);

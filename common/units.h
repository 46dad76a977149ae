/*
 * units: durations and sizes as people write them.
 *
 * Durations need a unit, because 30 could be anything: ms s m h d w, also
 * joined ("1h30m").  Sizes may be plain bytes or carry B KB MB GB TB (powers
 * of 1000) or KiB MiB GiB TiB (powers of 1024).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* MS_EINVAL with a text that names the value; nothing negative, nothing over
 * 100 years or 2^53 bytes. */
enum ms_err ms_duration_parse(const char *text, int64_t *out_ms,
                              struct ms_error *error);
enum ms_err ms_size_parse(const char *text, int64_t *out_bytes,
                          struct ms_error *error);

/* The exact form that reads back: 90000 is "1m30s", in units of a day or less.
 * Returns `out`. */
const char *ms_duration_format(int64_t ms, char *out, size_t size);

/* For people: "12.4 MiB".  Returns `out`. */
const char *ms_size_format(int64_t bytes, char *out, size_t size);

/*
 * ulid: ids that sort by time and need no coordination.
 *
 * 26 characters of Crockford's base 32: 48 bits of milliseconds, 80 random
 * bits (https://github.com/ulid/spec).  Job ids and pod ids are ULIDs.
 */
#pragma once

#include <stdint.h>

#define MS_ULID_LEN 26

/* Writes a fresh id and a NUL.  Random bits come from getrandom(). */
void ms_ulid_new(char out_id[MS_ULID_LEN + 1]);

/* The same from given parts; for tests. */
void ms_ulid_format(int64_t time_ms, const uint8_t random[10],
                    char out_id[MS_ULID_LEN + 1]);

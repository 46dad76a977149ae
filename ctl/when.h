/*
 * when: points in time as people write them.
 */
#pragma once

#include <stdint.h>

#include "common/err.h"

/* RFC 3339 ("2026-01-31T12:30:00Z", "2026-01-31 13:30:00.250+01:00") or ms
 * since the epoch.  MS_EINVAL names the text. */
enum ms_err ms_when_parse(const char *text, int64_t *out_ms,
                          struct ms_error *error);

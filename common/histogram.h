/*
 * histogram: how often values of each size came, in buckets that widen with
 * the value, so that microseconds and days fit into a few hundred counts.
 *
 * Values below 16 have a bucket each; above, each power of two is cut into
 * eight.  Who takes the middle of a bucket for its values is off by a sixteenth
 * (6.25 %) at most.  lua/_histogram.lua knows the same buckets.
 */
#pragma once

#include <stdint.h>

#define MS_HISTOGRAM_BUCKETS 328 /* the last one ends at 2^43 - 1 */

/* Zeroed: empty. */
struct ms_histogram {
    uint32_t counts[MS_HISTOGRAM_BUCKETS];
    uint32_t total;
};

/* Values below 0 count as 0, those beyond the last bucket as its own. */
int ms_histogram_bucket(int64_t value);

void ms_histogram_add(struct ms_histogram *histogram, int64_t value);

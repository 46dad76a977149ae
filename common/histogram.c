#include "common/histogram.h"

#define EXACT    16 /* values with a bucket of their own */
#define EXACT_E  4  /* 2^EXACT_E is EXACT */
#define PER_BITS 3  /* 2^PER_BITS buckets a power of two */

int ms_histogram_bucket(int64_t value)
{
    int exponent, within, bucket;

    if (value < EXACT)
        return value < 0 ? 0 : (int)value;
    exponent = 63 - __builtin_clzll((uint64_t)value);
    within = (int)(value >> (exponent - PER_BITS)) & ((1 << PER_BITS) - 1);
    bucket = EXACT + ((exponent - EXACT_E) << PER_BITS) + within;
    return bucket < MS_HISTOGRAM_BUCKETS ? bucket : MS_HISTOGRAM_BUCKETS - 1;
}

void ms_histogram_add(struct ms_histogram *histogram, int64_t value)
{
    histogram->counts[ms_histogram_bucket(value)]++;
    histogram->total++;
}

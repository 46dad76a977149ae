/*
 * backoff: how long to wait before the next try.
 *
 * The delay doubles from base_ms to max_ms and is then taken times a random
 * 0.5 to 1: a fleet that lost its Redis in one moment must not come back in
 * one moment, or it would take it down again.
 *
 *     struct ms_backoff retry = MS_BACKOFF_INIT(50, 5000, .seed = 0);
 *     ms_backoff_next_ms(&retry);   25..50, then 50..100, 100..200 ...
 *     ms_backoff_reset(&retry);     it worked
 */
#pragma once

#include <stdint.h>

struct ms_backoff {
    int base_ms; /* 1 or more */
    int max_ms;
    uint64_t seed; /* of the jitter; 0: random, drawn at the first use */
    int tries;     /* since the start or the last reset */
};

/* MS_BACKOFF_INIT(base_ms, max_ms, .seed = 1); the seed may be left out. */
#define MS_BACKOFF_INIT(base, max, ...)                   \
    {                                                     \
        .base_ms = (base), .max_ms = (max), ##__VA_ARGS__ \
    }

/* The next delay, and counts the try. */
int ms_backoff_next_ms(struct ms_backoff *backoff);

/* Starts at base_ms again; the jitter goes on from where it is. */
void ms_backoff_reset(struct ms_backoff *backoff);

/* A random number from 0 to below 1, from the same seed; for other timers
 * that must not fire in step. */
double ms_backoff_random(struct ms_backoff *backoff);

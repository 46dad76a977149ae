/*
 * clock: this host's clocks.  They pace our own timers and stamp our logs;
 * no lease, delay or lock is decided by them (Redis's clock does that).
 */
#pragma once

#include <stdint.h>

/* Milliseconds that never go back; the start is arbitrary. */
int64_t ms_clock_mono_ms(void);
int64_t ms_clock_mono_us(void);

/* Milliseconds since the epoch by this host. */
int64_t ms_clock_wall_ms(void);

/*
 * clock: a Redis whose time the test moves by hand.
 *
 * Scripts take the time from Redis, and keys expire by it, so time passes in
 * a test by moving the server's clock, not by sleeping.  The scripts are the
 * shipped ones, byte for byte: a small library loaded into redis-server
 * (support/preload/redis_clock.c) answers in place of the system's clock.
 */
#pragma once

#include <stdint.h>

struct ms_test_redis;

/* ms_test_redis_start() with a clock that stands at `now_ms`.  One a test
 * program. */
struct ms_test_redis *ms_test_clock_start_redis(int64_t now_ms);

/* Moves it, forward or back. */
void ms_test_clock_set(int64_t now_ms);

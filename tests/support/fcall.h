/*
 * fcall: muster's functions as any client of Redis calls them.
 */
#pragma once

#include "common/job.h"
#include "tests/support/support.h"

/* Loads this build's library into the Redis. */
void ms_fcall_load(struct ms_test_redis *redis);

/* One call: "muster_" and `name`, one key (NULL: none), then `n` arguments. */
const struct ms_reply *ms_fcall_args(struct ms_test_redis *redis,
                                     const char *name, const char *key,
                                     const struct ms_bytes *args, size_t n);

/* The same with texts, and the answer as text: a document, or an error. */
const char *ms_fcall_texts(struct ms_test_redis *redis, const char *name,
                           const char *key, const char *const *args);
#define FCALL(redis, name, key, ...)       \
    ms_fcall_texts((redis), (name), (key), \
                   (const char *const[]){__VA_ARGS__, NULL})

/*
 * seed: what a starting daemon does before anything else.
 *
 * It checks that the fleet's key layout is one it knows, makes the queues it
 * works with known, and writes the settings and schedules that the
 * configuration has and Redis has not, field by field: what an operator changed
 * stays.
 *
 *     IDLE --start--> SCHEMA --known--> SEEDING (queue by queue, then limits,
 *       ^                |                  |    then schedules) --> IDLE, done
 *       '--- lost connection: start again when it is back ---'
 *
 * What Redis refuses for the time being (it is busy, full, a replica) is tried
 * again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/redis.h"

struct ms_seed;

struct ms_seed_options {
    const struct ms_conf *conf; /* borrowed */
    struct ms_redis *redis;     /* borrowed */
    char *const *queues; /* to make known, NULL-terminated; NULL: those that
                            the configuration has settings for */
    /* Queue number `queue` has this cap now; may be NULL. */
    void (*cap)(size_t queue, int64_t max_workers, void *arg);
    /* MS_OK, or MS_ESCHEMA and the like: the daemon must not go on.  Not
     * called for a lost connection, nor for what will pass. */
    void (*done)(enum ms_err err, const struct ms_error *why, void *arg);
    void *arg;
};

struct ms_seed *ms_seed_new(const struct ms_seed_options *options);
void ms_seed_free(struct ms_seed *seed); /* takes NULL */

/* Begins; again from the start if it is under way. */
void ms_seed_start(struct ms_seed *seed);

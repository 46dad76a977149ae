/*
 * keys: the names of everything muster keeps in Redis, in one place.
 *
 * docs/redis.md is the map.  {F} and {F/Q} are hash tags: what one script
 * touches always shares one, so that the same scripts run on Redis Cluster.
 */
#pragma once

#include "common/cmd.h"

#define MS_KEY_MAX 512

/* "ms:{F}:<tail>" and "ms:{F/Q}:<tail>", formatted; each returns `out`, which
 * has room for MS_KEY_MAX. */
const char *ms_key_fleet(char *out, const char *fleet, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *ms_key_queue(char *out, const char *fleet, const char *queue,
                         const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The keys that every script of a queue begins with, in the order that
 * lua/_queue.lua names them. */
void ms_keys_of_queue(struct ms_cmd *cmd, const char *fleet, const char *queue);

/* One more KEYS entry: "ms:{F/Q}:job:<id>". */
void ms_keys_add_job(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *id);

/*
 * dataset_open: makes a dataset, or stamps one with a newer epoch.
 *
 * Every shard is stamped first and the descriptor is written last.  So a map
 * that can be loaded is good on all shards, and a flow that broke off is
 * simply begun again: until its end nobody sees anything new, but for callers
 * with the old epoch, who load the map again and wait.
 *
 *     LOADING --map, or none--> STAMPING --all shards--> DESCRIBING --> done
 */
#pragma once

#include <stdbool.h>

#include "common/dataset.h"
#include "common/redis.h"

/* What is asked for; borrowed for the length of ms_dataset_open_start(). */
struct ms_dataset_spec {
    const char *fleet, *name;
    int64_t epoch;        /* the leader's; never below the dataset's */
    int64_t shards;       /* 0: as it is, MS_DATASET_SHARDS for a new one */
    const char *id_field; /* NULL: as it is, "id" for a new one */
    bool only_existing;   /* MS_ENOENT rather than a new dataset */
};

/*
 * Called once, from the loop, never from inside ms_dataset_open_start(); the
 * flow is gone afterwards.  `map` is NULL unless MS_OK and good until the
 * callback returns.  Else `why` is a text for people: MS_EEXIST: it is there
 * with other shards or another id field; MS_ESTALE: a newer leader was here;
 * MS_EINVAL: the spec is wrong; or what the connection says.
 */
struct ms_dataset_open;
typedef void ms_dataset_open_fn(enum ms_err err, const struct ms_dataset *map,
                                const char *why, void *arg);

struct ms_dataset_open *
ms_dataset_open_start(struct ms_redis *redis,
                      const struct ms_dataset_spec *spec,
                      ms_dataset_open_fn *fn, void *arg);

/* Forgets the callback; shards may stay stamped.  Takes NULL. */
void ms_dataset_open_cancel(struct ms_dataset_open *open);

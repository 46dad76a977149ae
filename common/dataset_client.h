/*
 * dataset_client: what musterctl does with datasets, one blocking call each.
 *
 * Runs the connection's loop until the answer is there, so it is for programs
 * that have nothing else to do.  When the map has moved it is loaded again
 * and the call repeated, for ten seconds at most.
 *
 * All return what the connection says (MS_EDOWN, MS_ETIMEOUT, ...) beside what
 * is named here, with a text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/dataset.h"
#include "common/job.h"
#include "common/redis.h"

/* Borrows all three strings and the connection. */
struct ms_dataset_client {
    struct ms_redis *redis;
    const char *fleet;
    const char *name;
};

/* The map.  MS_ENOENT: there is no such dataset (of all calls here). */
enum ms_err ms_dataset_load(const struct ms_dataset_client *client,
                            struct ms_dataset *out_map, struct ms_error *error);

/* Calls `fn` with each name, sorted. */
typedef void ms_dataset_name_fn(const char *name, void *arg);
enum ms_err ms_dataset_list(struct ms_redis *redis, const char *fleet,
                            ms_dataset_name_fn *fn, void *arg,
                            struct ms_error *error);

enum ms_err ms_dataset_count(const struct ms_dataset_client *client,
                             int64_t *out_n, struct ms_error *error);

/* A new copy of the document's bytes, for free().  MS_ENOENT too where there is
 * none (the text says which of both). */
enum ms_err ms_dataset_get(const struct ms_dataset_client *client,
                           const void *id, size_t id_len,
                           struct ms_bytes *out_doc, struct ms_error *error);

/* Writes one document: one line as a dump may have it; its id is found by the
 * dataset's id field.  MS_EINVAL says why it is no document. */
enum ms_err ms_dataset_put(const struct ms_dataset_client *client,
                           const void *doc, size_t len, bool *out_new,
                           struct ms_error *error);

enum ms_err ms_dataset_delete(const struct ms_dataset_client *client,
                              const void *id, size_t id_len, bool *out_deleted,
                              struct ms_error *error);

/* Forgets the dataset and frees its documents in the background. */
enum ms_err ms_dataset_drop(const struct ms_dataset_client *client,
                            struct ms_error *error);

/* Calls `fn` with every document, in any order; what it returns other than
 * MS_OK ends the walk.  MS_ECANCELLED: Redis restarted or the map moved under
 * way, so that documents may be missing: what was written is to be thrown
 * away.  A document that is deleted or written meanwhile may or may not show;
 * deletions may make others show twice. */
typedef enum ms_err ms_dataset_doc_fn(const char *id, size_t id_len,
                                      const char *doc, size_t len, void *arg);
enum ms_err ms_dataset_export(const struct ms_dataset_client *client,
                              ms_dataset_doc_fn *fn, void *arg,
                              struct ms_error *error);

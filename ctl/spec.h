/*
 * spec: a job as a user describes it, on the command line or as a JSON line of
 * a batch; checked, routed, ready to be enqueued.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/enqueue.h"
#include "common/ulid.h"

struct ms_spec {
    struct ms_new_job job; /* points to what follows */
    char *queue, *kind, *own_id, *group, *unique;
    struct ms_buf payload;
    char fresh_id[MS_ULID_LEN + 1];
};

void ms_spec_done(struct ms_spec *spec);

/* Sets one field by its name in a batch's lines ("priority", "unique_ttl", also
 * with '-').  Durations carry units.  MS_EINVAL names the field, or says that
 * there is none of that name. */
enum ms_err ms_spec_set(struct ms_spec *spec, const char *field,
                        const char *text, struct ms_error *error);

/* Starts a spec; the payload is JSON text.  Free with ms_spec_done(), also
 * after an error. */
enum ms_err ms_spec_begin(struct ms_spec *spec, const char *kind,
                          const char *payload, size_t payload_len,
                          struct ms_error *error);

/* Reads one line of a batch: an object with "kind" and maybe "payload" (any
 * value; default {}) and fields as above; whole numbers are ms where a
 * duration or time is wanted.  Free as above. */
enum ms_err ms_spec_from_json(struct ms_spec *spec, const char *text,
                              size_t len, struct ms_error *error);

/* Chooses the queue (its own, else `queue`, else by conf's kinds, else
 * "default"), fills in what the kind's rule says, makes an id, and checks every
 * field, so that the enqueue itself has nothing to refuse. */
enum ms_err ms_spec_finish(struct ms_spec *spec, const struct ms_conf *conf,
                           const char *queue, struct ms_error *error);

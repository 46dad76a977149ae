/*
 * bulk: one verb on all jobs of a state, slice by slice.
 */
#pragma once

#include "ctl/client.h"

/* Runs ms_bulk_build() to its end.  `kind` NULL: any.  *out_n: how many jobs it
 * was done to; also written on an error, for what was done before. */
enum ms_err ms_bulk_run(struct ms_client *client, const char *queue,
                        const char *verb, const char *state, const char *kind,
                        int64_t *out_n, struct ms_error *error);

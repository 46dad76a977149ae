/*
 * overview: the whole fleet in one document, as `status` prints it and `top`
 * draws it.
 */
#pragma once

#include "common/json.h"
#include "ctl/client.h"

/* Writes {"queues", "pods", "leader", "drift"}. */
enum ms_err ms_overview_status(struct ms_client *client, struct ms_json *json,
                               struct ms_error *error);

/* Writes {"fleet", "at_ms", "queues", "pods", "leader", "imports"}: each queue
 * with its totals (`enqueued_total done_total failed_total dead_total`), from
 * which rates follow; imports that run, the first ten, as {"id", "queue",
 * "phase", "size", "bytes", "docs", "rate", "eta_s", "stalled"}.  `at_ms` is
 * Redis's clock. */
enum ms_err ms_overview_top(struct ms_client *client, struct ms_json *json,
                            struct ms_error *error);

/*
 * children: a page of a parent's children, an import's chunks or a batch's
 * jobs.
 */
#pragma once

#include "common/job.h"
#include "ctl/client.h"

/* Writes {"items": [jobs in the order of their number], "next"}: those from
 * number `from` on, of `limit` numbers at most.  A done chunk, of which only a
 * bit is left, is shown as such; a batch's child whose record has gone is left
 * out. */
enum ms_err ms_children_page(struct ms_client *client,
                             const struct ms_job *parent, int64_t from,
                             int64_t limit, struct ms_json *json,
                             struct ms_error *error);

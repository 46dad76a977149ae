/*
 * coordinator: one coordinator process: its connection, its HTTP server, the
 * lease, and the duties of a leader.
 *
 *     STARTING --Redis up, schema known, seeds written--> SERVING
 *         |                                                  |
 *         +--- another layout, no permission: failed         | TERM, INT
 *         '---------------- TERM, INT ---------------.       v
 *                                    STOPPED <--resigned-- STOPPING
 *
 * SERVING is both leading and standing by: the duties run while the term
 * lasts, and only then.
 */
#pragma once

#include <ev.h>

#include "common/conf.h"

struct ms_coordinator;

/* Borrows conf.  MS_EINVAL, MS_ENOTSUP for a URL or address that cannot be
 * used, MS_EIO where the HTTP address is taken. */
enum ms_err ms_coordinator_new(struct ev_loop *loop, const struct ms_conf *conf,
                               struct ms_coordinator **out_coordinator,
                               struct ms_error *error);
void ms_coordinator_free(struct ms_coordinator *coordinator); /* takes NULL */

/* Connects and serves.  When it has stopped it breaks the loop. */
void ms_coordinator_start(struct ms_coordinator *coordinator);

/* TERM, INT: resigns, then breaks the loop; a second call does not wait. */
void ms_coordinator_stop(struct ms_coordinator *coordinator);

/* MS_OK after a clean stop; else why it could not serve. */
enum ms_err ms_coordinator_outcome(const struct ms_coordinator *coordinator,
                                   struct ms_error *error);

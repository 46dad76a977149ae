/*
 * worker: one pod: its connections, stations, slots and the way it starts and
 * stops.
 *
 *     STARTING --schema, seeds--> WORKING --TERM, INT, drain--> DRAINING
 *         |                                                        |
 *         '--- another layout: failed            all ended, or grace over
 *                                                                  v
 *                                           STOPPED <--leave-- LEAVING
 *
 * DRAINING claims nothing, hands back at once what has not begun and what can
 * resume, and waits for the rest; when the grace is over it kills what runs
 * and releases it at no cost.
 */
#pragma once

#include <ev.h>

#include "common/conf.h"

struct ms_worker;

/* Can it run what the configuration says?  Loads the plug-ins in a child, and
 * finds kinds that two sources claim.  MS_EINVAL names them. */
enum ms_err ms_worker_check_handlers(const struct ms_conf *conf,
                                     struct ms_error *error);

/* Borrows conf and conf_path (what children read; NULL: no file). */
enum ms_err ms_worker_new(struct ev_loop *loop, const struct ms_conf *conf,
                          const char *conf_path, struct ms_worker **out_worker,
                          struct ms_error *error);
void ms_worker_free(struct ms_worker *worker); /* takes NULL */

/* Connects and works.  When it has stopped it breaks the loop. */
void ms_worker_start(struct ms_worker *worker);

/* TERM, INT.  A second call ends the grace at once. */
void ms_worker_stop(struct ms_worker *worker);

/* MS_OK after a clean stop; else why it could not work. */
enum ms_err ms_worker_outcome(const struct ms_worker *worker,
                              struct ms_error *error);

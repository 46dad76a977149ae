/*
 * dev: an embedded fleet in the foreground: a Redis, a coordinator, workers.
 *
 *     REDIS --answers--> FLEET --leader and pods are ours--> READY
 *       |                  |                                   | signal
 *       '----- a child ended ------------.                     v
 *                                        '--> workers, coordinator, Redis
 *                                             are stopped, in that order
 *
 * A worker or coordinator that ends later is told and not started again: what
 * a fleet does then is what people use `dev` to look at.
 */
#pragma once

#include "ctl/ctl.h"

struct ms_dev_options {
    const char *dir;
    int64_t n_workers;
    char **queues; /* what the workers serve, NULL behind the last */
    int64_t port;  /* 0: a free one */
};

/* Runs until SIGINT or SIGTERM, then stops everything and returns MS_OK.  An
 * error tells what ended, with the last lines of its log. */
enum ms_err ms_dev_run(struct ms_ctl *ctl, const struct ms_dev_options *options,
                       struct ms_error *error);

/*
 * watch: shows an import's progress on standard error while it is waited for:
 * a bar on a terminal, a plain line now and then elsewhere.
 */
#pragma once

#include "ctl/ctl.h"

struct ms_watch;

/* Borrows all; free with ms_watch_free(), which ends the bar's line. */
struct ms_watch *ms_watch_new(struct ms_ctl *ctl, const char *queue,
                              const char *id);
void ms_watch_free(struct ms_watch *watch);

/* One look; a ms_wait_fn. */
enum ms_err ms_watch_round(void *arg, bool last, struct ms_error *error);

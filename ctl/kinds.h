/*
 * kinds: does a live pod of the queue run this kind of job?
 *
 * A job whose kind nobody runs is accepted all the same (its pods may be on
 * their way), with a warning, because it may just as well be misspelt.
 */
#pragma once

#include "ctl/client.h"

/* What one command has looked up and warned about already; zeroed to start.
 * Looks at 50 pairs of queue and kind, no more. */
struct ms_kinds {
    char **seen;
    size_t n;
};
void ms_kinds_done(struct ms_kinds *kinds);

/* Warns on standard error, once a pair.  A Redis that does not answer is no
 * reason to fail: the job is in. */
void ms_kinds_warn(struct ms_kinds *kinds, struct ms_client *client,
                   const char *queue, const char *kind);

/* Is `kind` in ",noop.echo,py.*,"? */
bool ms_kinds_match(const char *list, const char *kind);

/*
 * tail: follows the streams of events as they grow.
 *
 * It knows of each stream how far it has read, and always asks for what comes
 * behind that: a connection that breaks between two rounds costs nothing, no
 * event comes twice and none is left out.  A queue that is new is read from its
 * first event on.
 */
#pragma once

#include "ctl/events.h"

struct ms_tail;

/* Stands at the end of each stream there is.  `queue` NULL: the fleet's and
 * every queue's.  Borrows both; free with ms_tail_free(), which takes NULL. */
enum ms_err ms_tail_new(struct ms_client *client, const char *queue,
                        struct ms_tail **out_tail, struct ms_error *error);
void ms_tail_free(struct ms_tail *tail);

/* Has this event been there when the tail began?  Then it will not tell it. */
bool ms_tail_is_past(const struct ms_tail *tail,
                     const struct ms_event_row *row);

/* One round: waits up to wait_ms for events and calls `fn` once for each, in
 * their order as far as they have come.  MS_EDOWN and what else passes may be
 * followed by another round. */
enum ms_err ms_tail_read(struct ms_tail *tail, int wait_ms, ms_event_fn *fn,
                         void *arg, struct ms_error *error);

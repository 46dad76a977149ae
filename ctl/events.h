/*
 * events: the streams of events of the fleet and of its queues, read as one.
 *
 * Each queue has a stream of its own, as all that a script touches shares one
 * hash tag; the fleet's holds what belongs to no queue.  Ids of streams are
 * made of Redis's clock, so entries of all streams fall into one order: by id,
 * then by queue, the fleet's first.  That is the order of writing: pods tell
 * what happened about a second later, so `at_ms` may step back in it.
 */
#pragma once

#include "common/reply.h"
#include "ctl/client.h"
#include "ctl/view.h"

/* The id of an entry, "<ms>-<seq>". */
struct ms_stream_id {
    uint64_t ms, seq;
};
#define MS_STREAM_ID_MAX 48

/* Reads exactly an id; false for anything else. */
bool ms_stream_id_parse(const char *text, size_t len,
                        struct ms_stream_id *out_id);
/* Returns `out`, which has room for MS_STREAM_ID_MAX. */
const char *ms_stream_id_format(struct ms_stream_id id, char *out);
/* Below, equal to, or above 0, as with strcmp(). */
int ms_stream_id_compare(struct ms_stream_id a, struct ms_stream_id b);

/* One event.  `queue` is "" for the fleet's. */
struct ms_event_row {
    struct ms_stream_id id;
    const char *queue;
    const struct ms_reply *fields; /* flat pairs */
};

/* Below, equal to, or above 0, in the order above. */
int ms_event_compare(const struct ms_event_row *a,
                     const struct ms_event_row *b);

/* Writes the object {"at_ms", "type", "queue", "id", "kind", "pod", "actor",
 * "detail"}; what is empty or missing is null. */
void ms_event_to_json(const struct ms_event_row *row, struct ms_json *json);

/* The key of a stream; `queue` "" for the fleet's.  Returns `out`, which has
 * room for MS_KEY_MAX. */
const char *ms_event_key(char *out, const char *fleet, const char *queue);

/* The streams to be read: of `queue` alone, or, where that is NULL, the fleet's
 * ("") and those of all queues.  For ms_names_done(). */
enum ms_err ms_event_streams(struct ms_client *client, const char *queue,
                             struct ms_names *out_streams,
                             struct ms_error *error);

struct ms_events_ask {
    const char *queue;  /* NULL: the fleet's and every queue's */
    const char *type;   /* NULL: any */
    const char *cursor; /* NULL: from the newest */
    int64_t limit;
};

/* Called once an event; it lasts for the call. */
typedef void ms_event_fn(const struct ms_event_row *row, void *arg);

/* One page, newest first.  Costs O(page) a stream.  A cursor names the last
 * event looked at, so new ones move no page.  With `type` a page may hold fewer
 * than `limit` although more follow.  *out_next is a new string, NULL at the
 * end.  MS_EINVAL for what is no cursor. */
enum ms_err ms_events_page(struct ms_client *client,
                           const struct ms_events_ask *ask, ms_event_fn *fn,
                           void *arg, char **out_next, struct ms_error *error);

/* ---- what is kept of answers ---- */

/* Events that outlive the replies they came in; zeroed: none. */
struct ms_event_list {
    struct ms_event_row *rows; /* `fields` are copies */
    size_t n;
};

/* Appends the entries of a stream's answer (XRANGE and its kin), as copies;
 * what is no entry is skipped.  `queue` is borrowed. */
void ms_event_list_add(struct ms_event_list *list, const char *queue,
                       const struct ms_reply *entries);
void ms_event_list_sort(struct ms_event_list *list); /* oldest first */
/* Forgets the rows from `n` on. */
void ms_event_list_cut(struct ms_event_list *list, size_t n);
void ms_event_list_done(struct ms_event_list *list);

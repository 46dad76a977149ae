/*
 * top: the fleet as a screen of text.
 *
 * Pure: documents (ctl/overview.h) in, lines out.  It remembers the last two
 * documents, as rates are what totals grew by between them.
 */
#pragma once

#include "common/buf.h"
#include "common/val.h"

/* Zeroed: has seen nothing. */
struct ms_top {
    struct ms_val doc, before;
};
void ms_top_done(struct ms_top *top);

/* Reads the next document.  MS_EINVAL for what is none. */
enum ms_err ms_top_take(struct ms_top *top, const struct ms_buf *json,
                        struct ms_error *error);

/* Appends at most `height` lines of at most `width` columns, each with a line
 * end; 0: as many as there are.  What does not fit is counted: the busiest
 * queues and pods come first.  `note` (NULL: none) takes the first line's
 * place: why nothing moves. */
void ms_top_draw(const struct ms_top *top, int width, int height,
                 const char *note, struct ms_buf *out);

/* What a queue's total grew by, per second, between the two documents; below 0:
 * not known yet. */
double ms_top_rate(const struct ms_top *top, const msgpack_object *queue,
                   const char *total);

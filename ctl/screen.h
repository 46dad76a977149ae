/*
 * screen: the whole terminal, for as long as it is open.
 *
 * The alternate screen, without a cursor and without echo; what was there
 * before comes back when it is closed.  Keys and signals are looked for while
 * waiting, and while requests are waited for on the same loop: none of them
 * ends the program by itself, so that the terminal is always put right.
 */
#pragma once

#include <ev.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct ms_screen;

/* MS_EINVAL where standard output is no terminal, or one that cannot do this
 * (TERM is not set, or "dumb").  `loop` must be the default loop. */
enum ms_err ms_screen_open(struct ev_loop *loop, struct ms_screen **out_screen,
                           struct ms_error *error);
void ms_screen_close(struct ms_screen *screen); /* takes NULL */

/* In columns and lines, as they are now; 80 and 24 where nobody knows. */
void ms_screen_size(const struct ms_screen *screen, int *out_width,
                    int *out_height);

/* Shows this text (lines that end in '\n', no wider than the screen) in place
 * of what was there. */
void ms_screen_show(struct ms_screen *screen, const struct ms_buf *text);

enum ms_screen_event {
    MS_SCREEN_TIME,    /* the time is over */
    MS_SCREEN_RESIZED, /* draw again */
    MS_SCREEN_QUIT     /* q, Ctrl-C, Ctrl-D, Ctrl-\, TERM, HUP, or no terminal
                          any more */
};

/* Waits at most so long; events that came earlier are told at once. */
enum ms_screen_event ms_screen_wait(struct ms_screen *screen, int64_t ms);

/*
 * spawn: a child of this same program, `PROGRAM --slot NUMBER`, with the
 * channel and the lane that we share with it.
 *
 * By /proc/self/exe, so that the child is this very build even when the file
 * was replaced since.  It is in a session of its own, holds nothing else of
 * ours, leaves no core file, and gets SIGKILL when this process dies.
 */
#pragma once

#include <sys/types.h>

#include "common/err.h"
#include "worker/frame.h"
#include "worker/lane.h"

struct ms_spawned {
    pid_t pid; /* 0: no child */
    struct ms_frames frames;
    struct ms_lane lane;
    int output; /* what it writes to standard output and error; -1: taken */
};

void ms_spawn_init(struct ms_spawned *child); /* no child yet */

/* Does not wait for the child to do anything.  On failure `child` is as it
 * was. */
enum ms_err ms_spawn_slot(int number, struct ms_spawned *child,
                          struct ms_error *error);

/* To the child, the program that it runs, and what that has started. */
void ms_spawn_kill(struct ms_spawned *child, int signal);

/* All that it may have left: its programs, and what a handler has forked.  For
 * a child that is dead or to be so. */
void ms_spawn_kill_rest(struct ms_spawned *child);

/* Closes what we share; the process is not touched. */
void ms_spawn_close(struct ms_spawned *child);

/* Kills it, and waits half a second at most for that to be done. */
void ms_spawn_end(struct ms_spawned *child);

/*
 * guard: a process that does nothing but outlive its slot for a moment.
 *
 * A program that a job runs gets SIGKILL when its slot dies, but what the
 * program itself has started (a shell's commands) does not, and a slot that
 * was killed can do nothing about it any more.  The guard waits on a pipe
 * whose other end the slot holds.  When it closes, for whatever reason, the
 * guard kills the process groups that the lane names, and exits.
 *
 * Forked at a slot's first program, then kept; a few pages of memory.
 */
#pragma once

#include "worker/lane.h"

struct ms_guard {
    int fd; /* the slot's end; -1: no guard yet */
};

#define MS_GUARD_INIT \
    {                 \
        -1            \
    }

/* Does nothing when there is one.  MS_EIO when no process can be made; the
 * program may run all the same, less guarded. */
enum ms_err ms_guard_start(struct ms_guard *guard, const struct ms_lane *lane);

/*
 * spawn: starts one child of this same program, `PROGRAM --slot NUMBER`.
 *
 * By /proc/self/exe, so that the child is this very build even when the file
 * was replaced since.
 */
#pragma once

#include <sys/types.h>

#include "common/err.h"

/* Both descriptors are handed down (slot_child.h says where to) and stay the
 * caller's.  The child is in a session of its own, holds nothing else of ours,
 * leaves no core file, and gets SIGKILL when this process dies. */
enum ms_err ms_spawn_slot(int number, int channel_fd, int lane_fd,
                          pid_t *out_pid, struct ms_error *error);

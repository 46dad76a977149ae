/*
 * launch: starts a program in a process group of its own, with pipes to it.
 *
 * It holds none of our descriptors, dies with the slot, and is named in the
 * lane from its first moment, so that its group can be killed by whoever
 * outlives the slot.  Used for one job (program.h) and for pools (pool.h).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "worker/slot_child.h"

struct ms_launch {
    char *const *argv; /* argv[0] without a slash is looked up in our PATH */
    char *const *env;
    int cwd_fd;    /* -1: ours */
    bool with_in;  /* a pipe to its standard input; else /dev/null */
    bool with_err; /* standard error has a pipe of its own */
    int standing;  /* its place among the lane's standing programs; -1: it is
                      the job's program */
};

/* A program that was started: all descriptors are ours, non-blocking, and -1
 * where there is none. */
struct ms_launched {
    pid_t pid; /* also its group; not reaped but by ms_launched_end().  0: no
                  program */
    int pidfd; /* -1: this kernel has none */
    int in, out, err;
};

#define MS_LAUNCHED_NONE  \
    {                     \
        0, -1, -1, -1, -1 \
    }

/* Returns when the program runs.  MS_EIO with "cannot start 'x': ..." when it
 * never did. */
enum ms_err ms_launch(struct ms_slot_child *child,
                      const struct ms_launch *launch,
                      struct ms_launched *out_run, struct ms_error *error);

/* Has it ended?  It is left to be reaped: its number must stay its own until
 * the group is gone. */
bool ms_launched_has_ended(const struct ms_launched *run);

/* TERM to the whole group, and CONT: one that was stopped must hear it too. */
void ms_launched_term(const struct ms_launched *run);

/* Kills what is left of the group, forgets it in the lane, reaps the leader,
 * and returns its status as wait() gives it.  Its pipes stay: whoever wants
 * reads what it wrote last, then closes them. */
int ms_launched_reap(struct ms_slot_child *child, int standing,
                     struct ms_launched *run);
void ms_launched_close(struct ms_launched *run);

/* Closes one of its descriptors, if it is open, and makes it -1. */
void ms_launched_shut(int *fd);

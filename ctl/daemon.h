/*
 * daemon: a process that `musterctl dev` starts and outlives.
 *
 * It runs in a group of its own, so that Ctrl-C reaches musterctl alone and the
 * order of stopping is kept, and dies with musterctl however that ends.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

struct ms_daemon {
    char *name; /* "worker-1", for messages */
    char *log;  /* path: what it writes to both outputs is appended here */
    pid_t pid;  /* 0: never started */
    bool running;
    int status; /* as waitpid() has it, once it has ended */
    ev_child watcher;
    struct ev_loop *loop;
};

/* Starts argv, looked up in PATH where it has no slash.  `environment` is all
 * of the child's.  `death_signal` is sent to it when musterctl dies.  Must be
 * the default loop.  MS_EIO; MS_ENOENT where there is no such program. */
enum ms_err ms_daemon_start(struct ms_daemon *daemon, struct ev_loop *loop,
                            const char *name, const char *log,
                            const char *const *argv,
                            const char *const *environment, int death_signal,
                            struct ms_error *error);

/* Does nothing once it has ended. */
void ms_daemon_signal(const struct ms_daemon *daemon, int signal);

/* "exited with 1", "was killed by signal 9"; returns `out`. */
const char *ms_daemon_end(const struct ms_daemon *daemon, char *out,
                          size_t size);

/* Frees the names; the process must have ended or be left to die with us. */
void ms_daemon_done(struct ms_daemon *daemon);

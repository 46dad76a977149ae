/*
 * dev_files: the folder of `musterctl dev`: its lock, its configuration, what
 * tells others where the fleet is.
 */
#pragma once

#include <sys/types.h>

#include "common/conf.h"
#include "common/err.h"

/* Makes the folder, takes its lock (held while *out_fd is open), and answers
 * its absolute path, a new string.  MS_EBUSY: another musterctl dev has it. */
enum ms_err ms_dev_folder(const char *dir, char **out_path, int *out_fd,
                          struct ms_error *error);

/* Writes DIR/muster.yaml for these queues (names that were checked): `dump`
 * may use 16 slots in all, every other 4.  Returns its path, a new string. */
enum ms_err ms_dev_write_conf(const char *dir, const char *fleet,
                              char *const *queues, char **out_path,
                              struct ms_error *error);

/* What DIR/dev.json says. */
struct ms_dev_facts {
    const char *redis, *http; /* URLs */
    pid_t redis_pid, coordinator_pid;
    const pid_t *worker_pids;
    size_t n_workers;
};
enum ms_err ms_dev_write_json(const char *dir, const struct ms_dev_facts *facts,
                              struct ms_error *error);
void ms_dev_remove_json(const char *dir);

/* A port of 127.0.0.1 that is free now; 0 where there is none. */
int ms_dev_free_port(void);

/* The program's path: beside this executable, else the bare name for PATH.  A
 * new string. */
char *ms_dev_program(const char *name);

/* Up to `lines` last lines of a file, a new string, maybe empty. */
char *ms_dev_tail(const char *path, int lines);

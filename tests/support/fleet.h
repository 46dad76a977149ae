/*
 * fleet: real processes on a Redis of the test's own, as an operator runs
 * them: muster-worker, muster-coordinator, and musterctl to look at them.
 */
#pragma once

#include "tests/support/support.h"

struct ms_test_fleet {
    struct ms_test_redis *redis;
    char *conf; /* path of the configuration that all of them read */
};

/* A Redis (with `redis_args`, may be NULL) and a configuration file made of the
 * fixture's part (Redis, fleet "t", http off) and `yaml` behind it. */
struct ms_test_fleet *ms_test_fleet_new(const char *const *redis_args,
                                        const char *yaml);
void ms_test_fleet_free(struct ms_test_fleet *fleet); /* takes NULL */

/* Each starts one and waits until it works: a pod that beats, a coordinator
 * that leads or stands by.  Free with ms_proc_free(). */
struct ms_proc *ms_test_worker(struct ms_test_fleet *fleet);
struct ms_proc *ms_test_coordinator(struct ms_test_fleet *fleet);

/* Runs musterctl with the words of the format, split at spaces; returns its
 * exit code.  The output is kept until the next call. */
int ms_test_ctl(struct ms_test_fleet *fleet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *ms_test_ctl_stdout(void);
const char *ms_test_ctl_stderr(void);

/* The text of field "name" in the last output's JSON, as it stands there
 * (strings without quotes); "" where there is none. */
const char *ms_test_ctl_field(const char *name);

/* The pod id of a worker's process, by its log; good until the next call. */
const char *ms_test_pod_id(struct ms_proc *worker);

/* Children of a process, as /proc says; returns how many. */
int ms_test_children(pid_t parent, pid_t *out_pids, int max);
/* Does this process exist, and not as a zombie? */
bool ms_test_alive(pid_t pid);

/*
 * child: what a process does between fork() and exec(), so that nothing of
 * ours leaks into it and it never outlives us.
 *
 * Used for slots (by the worker) and for programs (by a slot).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Like fork(), with all signals blocked in the child until ms_child_settle():
 * a handler of ours that ran there would act on what both share. */
pid_t ms_child_fork(void);

/* In the child: signals back to their defaults, none blocked, and SIGKILL for
 * it when `parent` (its own, as it was before the fork) dies.  Exits when that
 * has happened already.  Lasts through exec(). */
void ms_child_settle(pid_t parent);

/* Closes every descriptor from `fd` on. */
void ms_child_close_from(int fd);

/* Puts descriptors where the program wants them: fds[i] becomes i; -1 stands
 * for /dev/null.  All others are closed.  False with errno set. */
bool ms_child_set_fds(const int *fds, int n);

/* Returns a new environment of ours, reduced to what a stranger may see: PATH,
 * HOME, the locale, the time zone and the like.  With `own` also MUSTER_* and
 * what certificates and sanitizers need, for our own programs.  Free with
 * ms_child_env_free(). */
char **ms_child_env_new(bool own);

/* Sets one "NAME=value" in it, replacing that name's former value. */
void ms_child_env_set(char ***env, const char *name, const char *value);
void ms_child_env_free(char **env); /* takes NULL */

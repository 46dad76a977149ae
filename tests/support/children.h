/*
 * children: every process that the tests start dies with the test program.
 *
 * PR_SET_PDEATHSIG covers a test program that is killed; the list here covers
 * one that ends with processes still running, after a failed check.
 */
#pragma once

#include <sys/types.h>

/* Forks and executes argv (looked up in PATH) in a process group of its own,
 * with its standard output and error in these files and "NAME=value" strings
 * of `env` added.  Returns the pid; a program that cannot be executed exits
 * with 127. */
pid_t ms_child_start(const char *const *argv, const char *const *env,
                     const char *stdout_path, const char *stderr_path);

/* Waits up to timeout_ms for the end of `pid`: its exit code, 128 + signal, or
 * -1 while it runs on.  255 where the default loop of this process has reaped
 * it first.  To be called once after the end. */
int ms_child_wait(pid_t pid, int timeout_ms);

/* Kills the whole group of `pid` and reaps it. */
void ms_child_end(pid_t pid);

/* Kills all that still run. */
void ms_children_kill(void);

/*
 * memory: has a process grown too much since it was warm?
 *
 * A handler that leaks is not stopped in the middle; its process is replaced
 * between two jobs.  What one job may take is the container's business: slots
 * are the first that the kernel kills when memory is short (spawn.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Zeroed at the start of the process. */
struct ms_memory {
    int64_t base; /* bytes, when it was first looked at */
    int64_t looked_ms;
};

/* Resident bytes; `pid` 0: ourselves.  -1: unknown. */
int64_t ms_memory_of(pid_t pid);

/* Has it grown by more than `limit` bytes (0: never) since the first call?
 * Looks ten times a second at most, so that jobs of microseconds pay nothing:
 * what it says otherwise is no. */
bool ms_memory_has_grown(struct ms_memory *memory, pid_t pid, int64_t limit);

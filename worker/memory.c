#include "worker/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"

#define LOOK_EVERY_MS 100

int64_t ms_memory_of(pid_t pid)
{
    char path[64], text[128];
    long long resident;
    ssize_t n;
    int fd;

    if (pid == 0)
        snprintf(path, sizeof(path), "/proc/self/statm");
    else
        snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%*s %lld", &resident) != 1)
        return -1;
    return resident * sysconf(_SC_PAGESIZE);
}

bool ms_memory_has_grown(struct ms_memory *memory, pid_t pid, int64_t limit)
{
    int64_t now_ms = ms_clock_mono_ms(), bytes;

    if (limit <= 0 ||
        (memory->base > 0 && now_ms - memory->looked_ms < LOOK_EVERY_MS))
        return false;
    memory->looked_ms = now_ms;
    bytes = ms_memory_of(pid);
    if (memory->base <= 0)
        memory->base = bytes;
    return memory->base > 0 && bytes - memory->base > limit;
}

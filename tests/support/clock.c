#include "tests/support/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/support.h"

static volatile int64_t *shown_ms;

static void map_clock(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page;

    ms_assert(fd >= 0);
    page = mmap(NULL, sizeof(*shown_ms), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                0);
    ms_assert(page != MAP_FAILED);
    close(fd);
    shown_ms = page;
}

struct ms_test_redis *ms_test_clock_start_redis(int64_t now_ms)
{
    struct ms_test_redis *server;
    char *path = ms_test_file("clock", &now_ms, sizeof(now_ms));

    ms_assert(shown_ms == NULL);
    map_clock(path);
    setenv("MUSTER_TEST_CLOCK", path, 1);
    setenv("LD_PRELOAD", MS_TEST_REDIS_CLOCK, 1);
    server = ms_test_redis_start(NULL);
    unsetenv("LD_PRELOAD"); /* other programs have the world's */
    unsetenv("MUSTER_TEST_CLOCK");
    free(path);
    return server;
}

void ms_test_clock_set(int64_t now_ms)
{
    ms_assert(shown_ms != NULL);
    *shown_ms = now_ms;
}

/*
 * redis_clock: loaded into a test's redis-server by LD_PRELOAD, so that the
 * server's clock stands still and moves only when the test moves it
 * (tests/support/clock.h).
 *
 * Redis asks gettimeofday() for TIME and for the expiry of keys.  What it
 * measures with CLOCK_MONOTONIC (its own timers) goes on as ever.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static const volatile int64_t *shown_ms;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("MUSTER_TEST_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    const void *page;

    if (fd < 0)
        abort(); /* better than a test that believes in a clock it has not */
    page = mmap(NULL, sizeof(*shown_ms), PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        abort();
    close(fd);
    shown_ms = page;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    int64_t now = shown_ms == NULL ? 0 : *shown_ms;

    (void)tz;
    tv->tv_sec = now / 1000;
    tv->tv_usec = now % 1000 * 1000;
    return 0;
}

#include "tests/support/support.h"

#include <time.h>

#include "common/clock.h"

int64_t ms_wait_deadline(int timeout_ms)
{
    return ms_clock_mono_ms() + timeout_ms;
}

void ms_wait_tick(int64_t deadline, const char *what, const char *file,
                  int line)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

    if (ms_clock_mono_ms() > deadline) {
        print_error("%s:%d: waited in vain for: %s\n", file, line, what);
        _fail(file, line);
    }
    nanosleep(&pause, NULL);
}

#include "common/backoff.h"

#include <sys/random.h>

#include "common/mem.h"

/* splitmix64: one word of state, and good enough to spread timers. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z;

    *state += 0x9e3779b97f4a7c15u;
    z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double ms_backoff_random(struct ms_backoff *backoff)
{
    while (backoff->seed == 0)
        ms_assert(getrandom(&backoff->seed, sizeof(backoff->seed), 0) ==
                  (ssize_t)sizeof(backoff->seed));
    return (double)(next_random(&backoff->seed) >> 11) * 0x1.0p-53;
}

int ms_backoff_next_ms(struct ms_backoff *backoff)
{
    int64_t delay = backoff->base_ms;

    ms_assert(backoff->base_ms > 0);
    for (int i = 0; i < backoff->tries && delay < backoff->max_ms; i++)
        delay *= 2;
    if (delay > backoff->max_ms)
        delay = backoff->max_ms;
    else
        backoff->tries++; /* not beyond the cap, so it cannot overflow */
    return (int)((double)delay * (0.5 + ms_backoff_random(backoff) / 2));
}

void ms_backoff_reset(struct ms_backoff *backoff)
{
    backoff->tries = 0;
}

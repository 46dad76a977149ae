#include "common/ulid.h"

#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/mem.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void ms_ulid_format(int64_t time_ms, const uint8_t random[10],
                    char out_id[MS_ULID_LEN + 1])
{
    uint64_t high = 0;
    uint64_t low = 0;

    for (int i = 9; i >= 0; i--) {
        out_id[i] = alphabet[time_ms & 31];
        time_ms >>= 5;
    }
    for (int i = 0; i < 5; i++) {
        high = high << 8 | random[i];
        low = low << 8 | random[i + 5];
    }
    for (int i = 7; i >= 0; i--) {
        out_id[10 + i] = alphabet[high & 31];
        out_id[18 + i] = alphabet[low & 31];
        high >>= 5;
        low >>= 5;
    }
    out_id[MS_ULID_LEN] = '\0';
}

/* One system call fills many ids: enqueues of 100,000 jobs make one each. */
static void random_bytes(uint8_t out[10])
{
    static uint8_t pool[200];
    static size_t left;

    if (left == 0) {
        ms_assert(getrandom(pool, sizeof(pool), 0) == (ssize_t)sizeof(pool));
        left = sizeof(pool);
    }
    memcpy(out, pool + sizeof(pool) - left, 10);
    left -= 10;
}

void ms_ulid_new(char out_id[MS_ULID_LEN + 1])
{
    uint8_t random[10];

    random_bytes(random);
    ms_ulid_format(ms_clock_wall_ms(), random, out_id);
}

#include "tests/support/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* _fail() marks the test as failed and leaves it by longjmp. */

void ms_check(bool ok, const char *what, const char *file, int line)
{
    if (!ok) {
        print_error("%s:%d: not true: %s\n", file, line, what);
        _fail(file, line);
    }
}

void ms_check_int_failed(const char *what, int64_t a, int64_t b,
                         const char *file, int line)
{
    print_error("%s:%d: not true: %s: %" PRId64 " against %" PRId64 "\n", file,
                line, what, a, b);
    _fail(file, line);
}

static const char *shown(const char *text)
{
    return text == NULL ? "NULL" : text;
}

void ms_check_str(const char *a, const char *b, const char *what,
                  const char *file, int line)
{
    if (a == NULL && b == NULL)
        return;
    if (a != NULL && b != NULL && strcmp(a, b) == 0)
        return;
    print_error("%s:%d: %s is\n  \"%s\", not\n  \"%s\"\n", file, line, what,
                shown(a), shown(b));
    _fail(file, line);
}

void ms_check_contains(const char *text, const char *part, const char *what,
                       const char *file, int line)
{
    if (text != NULL && strstr(text, part) != NULL)
        return;
    print_error("%s:%d: %s is\n  \"%s\", without\n  \"%s\"\n", file, line, what,
                shown(text), part);
    _fail(file, line);
}

uint64_t ms_test_seed(void)
{
    static uint64_t seed;
    const char *given = getenv("MUSTER_TEST_SEED");

    if (seed != 0)
        return seed;
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    else
        ms_assert(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    seed = seed == 0 ? 1 : seed;
    fprintf(stderr, "MUSTER_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

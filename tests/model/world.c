#include "tests/model/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "tests/support/clock.h"

/* splitmix64: any seed is a good one. */
uint64_t rng_next(uint64_t *rng)
{
    uint64_t x = *rng += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

unsigned below(struct world *w, unsigned n)
{
    return (unsigned)(rng_next(&w->rng) % n);
}

bool one_in(struct world *w, unsigned n)
{
    return below(w, n) == 0;
}

void say(struct world *w, const char *format, ...)
{
    size_t len = strlen(w->line);
    va_list args;

    va_start(args, format);
    vsnprintf(w->line + len, sizeof(w->line) - len, format, args);
    va_end(args);
}

void expect_int(struct world *w, const char *what, int64_t is, int64_t should)
{
    if (is != should)
        model_wrong(&w->m, "%s answered %lld, not %lld", what, (long long)is,
                    (long long)should);
}

void expect_str(struct world *w, const char *what, const char *is,
                const char *should)
{
    if (strcmp(is, should) != 0)
        model_wrong(&w->m, "%s answered '%s', not '%s'", what, is, should);
}

void expect_status(struct world *w, const char *what, enum ms_err is,
                   const char *should)
{
    enum ms_err err = MS_ESTATE;

    if (strcmp(should, "ok") == 0)
        err = MS_OK;
    else if (strcmp(should, "unknown") == 0)
        err = MS_ENOENT;
    else if (strcmp(should, "epoch") == 0)
        err = MS_ESTALE;
    if (is != err)
        model_wrong(&w->m, "%s answered %s, not '%s'", what, ms_err_name(is),
                    should);
}

void world_begin(struct world *w, struct ms_core *core, int64_t now_ms)
{
    memset(w, 0, sizeof(*w));
    w->core = core;
    core->notes = true;
    w->m.now = now_ms;
    w->epoch = 1;
    ms_test_clock_set(now_ms);
    model_init(&w->m);
}

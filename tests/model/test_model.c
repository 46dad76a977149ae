/*
 * Random sequences of all operations of the job core, against the scripts on a
 * real Redis and a model of a queue side by side (model.h).  After each step
 * the answers, and everything that Redis holds, are compared.
 *
 * MUSTER_TEST_SEED=n repeats a run, MUSTER_TEST_SEQUENCES=n makes it longer or
 * shorter.  A sequence that fails is made as short as it can be and printed.
 */
#include "tests/model/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/support/clock.h"

#ifdef __SANITIZE_ADDRESS__
#define SEQUENCES 1000
#else
#define SEQUENCES 2000
#endif
#define STEPS_MIN 30
#define STEPS_MAX 60
#define SETTINGS  3 /* steps at the beginning that draw settings */
#define BEGIN_MS  INT64_C(1700000000000)
/* A machine that is far slower than ours does fewer. */
#define ENOUGH_MS 120000

struct sequence {
    struct step steps[STEPS_MAX];
    size_t n;
};

static struct sequence draw(uint64_t seed)
{
    struct sequence s;
    uint64_t rng = seed;

    s.n = STEPS_MIN + rng_next(&rng) % (STEPS_MAX - STEPS_MIN + 1);
    for (size_t i = 0; i < s.n; i++)
        s.steps[i] = world_draw(&rng, i < SETTINGS);
    return s;
}

static void begin(struct world *w, void **state)
{
    ms_core_setup(state);
    world_begin(w, *state, BEGIN_MS);
}

/* Runs it; the number of steps that went well, n + 1 where it came to its
 * end. */
static size_t run(const struct sequence *s, void **state, struct world *w,
                  bool prints)
{
    begin(w, state);
    for (size_t i = 0; i < s->n; i++) {
        bool is_well = world_step(w, &s->steps[i]);

        if (prints)
            print_error("%3zu. %s\n", i + 1, w->line);
        if (!is_well)
            return i;
    }
    if (world_drain(w))
        return s->n + 1;
    if (prints)
        print_error("  . drain: %s\n", w->line);
    return s->n;
}

/* Leaves away what it can while the sequence fails, whatever way: first long
 * runs of steps, then single ones. */
static void shrink(struct sequence *s, void **state)
{
    static struct world w;
    size_t failed = run(s, state, &w, false);

    s->n = failed < s->n ? failed + 1 : s->n;
    for (size_t len = s->n / 2; len > 0; len /= 2) {
        for (size_t at = 0; at + len <= s->n;) {
            struct sequence less = *s;

            less.n -= len;
            memmove(&less.steps[at], &s->steps[at + len],
                    (s->n - at - len) * sizeof(s->steps[0]));
            failed = run(&less, state, &w, false);
            if (failed > less.n) {
                at += len;
                continue;
            }
            less.n = failed < less.n ? failed + 1 : less.n;
            *s = less;
        }
    }
}

static int64_t n_sequences(void)
{
    const char *text = getenv("MUSTER_TEST_SEQUENCES");

    return text == NULL ? SEQUENCES : atoll(text);
}

static TEST(test_scripts_do_what_the_model_does)
{
    static struct world w;
    uint64_t seed = ms_test_seed();
    int64_t end_ms = ms_clock_mono_ms() + ENOUGH_MS;
    int64_t n = n_sequences();

    for (int64_t i = 0; i < n; i++) {
        struct sequence s = draw(seed + (uint64_t)i);

        if (run(&s, state, &w, false) <= s.n) {
            shrink(&s, state);
            print_error("shortest sequence that fails:\n");
            run(&s, state, &w, true);
            fail_msg("%s (MUSTER_TEST_SEED=%llu MUSTER_TEST_SEQUENCES=1)",
                     w.m.wrong, (unsigned long long)(seed + (uint64_t)i));
        }
        if (getenv("MUSTER_TEST_SEQUENCES") == NULL &&
            ms_clock_mono_ms() > end_ms) {
            print_message("%lld sequences were enough for this machine\n",
                          (long long)i + 1);
            break;
        }
    }
}

static int setup(void **state)
{
    struct ms_core *core = ms_xcalloc(1, sizeof(*core));

    core->redis = ms_test_clock_start_redis(BEGIN_MS);
    *state = core;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts_do_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, setup, ms_core_group_teardown);
}

/*
 * Random sequences of all operations of the job core, by several pods, a
 * leader and an operator.  After each step all of Redis is walked
 * (invariants.lua).  MUSTER_TEST_SEED=n repeats a run.
 */
#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#define SEQUENCES 200
#define STEPS     60
#define N_IDS     12
#define N_PARENTS 2
#define N_PODS    3
#define KNOWN_MAX 64

/* What a pod believes it has; some of it is out of date, as in life. */
struct belief {
    char id[160];
    int64_t fence;
};

struct world {
    struct ms_core *core;
    struct belief known[N_PODS][KNOWN_MAX];
    size_t n_known[N_PODS];
    int64_t seq;
    int64_t cap;
    char log[STEPS][64];
    int step;
};

static unsigned below(unsigned n)
{
    return (unsigned)(lrand48() % (long)n);
}

static const char *any_pod(unsigned *out_i)
{
    static const char *const names[N_PODS] = {"p0", "p1", "p2"};

    *out_i = below(N_PODS);
    return names[*out_i];
}

static const char *any_id(void)
{
    static char id[32];

    if (below(4) == 0)
        snprintf(id, sizeof(id), "P%u.%u", below(N_PARENTS), below(9));
    else if (below(6) == 0)
        snprintf(id, sizeof(id), "P%u", below(N_PARENTS));
    else
        snprintf(id, sizeof(id), "j%u", below(N_IDS));
    return id;
}

static void learn(struct world *w, unsigned pod)
{
    for (size_t i = 0; i < w->core->answer.n_jobs; i++) {
        size_t at =
            w->n_known[pod] < KNOWN_MAX ? w->n_known[pod]++ : below(KNOWN_MAX);
        struct belief *b = &w->known[pod][at];

        snprintf(b->id, sizeof(b->id), "%s", w->core->jobs[i].id);
        b->fence = w->core->jobs[i].fence;
    }
}

/* Something this pod was lent once, or a guess. */
static struct belief believe(struct world *w, unsigned pod)
{
    struct belief guess = {"", 1700000000000};

    if (w->n_known[pod] > 0 && below(8) > 0)
        return w->known[pod][below((unsigned)w->n_known[pod])];
    snprintf(guess.id, sizeof(guess.id), "%s", any_id());
    return guess;
}

static struct ms_lease_move any_move(struct world *w)
{
    static struct ms_lease_sum sums[2] = {{"docs", 0}, {"bytes", 0}};
    static struct ms_lease_reject reject;

    if (below(2) == 0)
        return NO_MOVE;
    sums[0].value = below(100);
    sums[1].value = below(1000);
    reject = (struct ms_lease_reject){below(1000), "bad"};
    return (struct ms_lease_move){.seq = below(3) == 0 ? 1 : ++w->seq,
                                  .cursor = "c",
                                  .cursor_len = 1,
                                  .progress = 0.5,
                                  .sums = sums,
                                  .n_sums = 2,
                                  .rejects = &reject,
                                  .n_rejects = below(2)};
}

/* ---- steps ---- */

static void step_enqueue(struct world *w)
{
    static const char *const kinds[] = {"k", "x", "y"};
    static const char *const groups[] = {NULL, "g", "h"};
    static const char *const uniques[] = {NULL, NULL, "u", "v"};
    struct ms_new_job jobs[3];
    char ids[3][8];
    size_t n = below(3) + 1;

    for (size_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof(ids[i]), "j%u", below(N_IDS));
        jobs[i] = NEW_JOB(.id = ids[i], .own_id = below(4) == 0,
                          .kind = kinds[below(3)], .group = groups[below(3)],
                          .unique = uniques[below(4)],
                          .priority = (int)below(3) * 4 + 1,
                          .delay_ms = below(4) == 0 ? 60000 : 0,
                          .max_attempts = below(3));
        if (below(12) == 0)
            jobs[i].expires_at_ms = 1;
    }
    if (below(5) == 0) /* the same call again and again */
        ms_core_enqueue_all(w->core, "T1", &NEW_JOB(.id = "j0"), 1);
    else
        ms_core_enqueue_all(w->core, NULL, jobs, n);
}

static void step_parent(struct world *w)
{
    enum ms_err err;
    char id[8];

    snprintf(id, sizeof(id), "P%u", below(N_PARENTS));
    switch (below(6)) {
    case 0:
        ENQUEUE(w->core, .id = id, .parent = true);
        break;
    case 1:
    case 2:
        ms_core_spawn(w->core, id, ms_core_tally(w->core, id).planned,
                      below(3));
        break;
    case 3:
        ms_core_children(w->core, id, below(2) == 0, below(3), &err);
        break;
    case 4:
        ms_core_phase(w->core, id, "running", "");
        break;
    default:
        ms_core_conclude(w->core, id, below(2) == 0, "end");
    }
}

static void step_claim(struct world *w)
{
    static const char *const kinds[] = {EVERYTHING, ",k,chunk,", ",x*,"};
    unsigned i;
    const char *pod = any_pod(&i);

    w->core->kinds = kinds[below(3)];
    ms_core_claim(w->core, pod, (int)below(5) + 1);
    learn(w, i);
}

static void step_finish(struct world *w)
{
    unsigned i;
    const char *pod = any_pod(&i);
    struct ms_finish jobs[3];
    enum ms_finish_status out[3];
    struct belief of[3];
    size_t n = below(3) + 1;

    for (size_t k = 0; k < n; k++) {
        of[k] = believe(w, i);
        jobs[k] = (struct ms_finish){of[k].id,
                                     of[k].fence,
                                     (enum ms_finish_kind)below(5),
                                     "text",
                                     4,
                                     below(2) * 1000,
                                     any_move(w),
                                     0};
    }
    ms_core_finish_all(w->core, pod, jobs, n, (int)below(3), out);
    learn(w, i);
}

static void step_renew(struct world *w)
{
    unsigned i;
    const char *pod = any_pod(&i);
    struct ms_renewal jobs[3];
    enum ms_renew_status out[3];
    struct belief of[3];
    size_t n = below(4);

    for (size_t k = 0; k < n; k++) {
        of[k] = believe(w, i);
        jobs[k] = (struct ms_renewal){of[k].id, of[k].fence, any_move(w)};
    }
    ms_core_renew_all(w->core, pod, jobs, n, out);
}

static void step_release(struct world *w)
{
    unsigned i;
    const char *pod = any_pod(&i);
    struct belief of = believe(w, i);
    struct ms_release release = {of.id, of.fence, below(2) * 5000, "why",
                                 any_move(w)};

    ms_core_release_with(w->core, pod, &release);
}

/* Leases end, due times and quiet times come, pods go. */
static void step_time(struct world *w)
{
    const char *now_ago = below(2) == 0 ? "1" : "2";
    unsigned i;

    ms_test_cmd(w->core->redis, "EVAL %s 2 %s %s %s",
                "for _, k in ipairs(KEYS) do "
                "local id = redis.call('ZRANDMEMBER', k) "
                "if id then redis.call('ZADD', k, ARGV[1], id) end end",
                K("leases"), K("scheduled"), now_ago);
    if (below(3) == 0)
        ms_test_cmd(w->core->redis, "HSET %s seen_ms 5", K("meta"));
    else
        ms_test_cmd(w->core->redis, "HDEL %s quiet_end_ms throttled_until_ms",
                    K("meta"));
    ms_core_reap(w->core, below(3) == 0 ? any_pod(&i) : NULL);
}

static void step_operator(struct world *w)
{
    switch (below(5)) {
    case 0:
        ms_core_cancel(w->core, any_id());
        break;
    case 1:
        ms_core_retry(w->core, any_id());
        break;
    case 2:
        ms_core_run_now(w->core, any_id());
        break;
    case 3:
        ms_core_delete(w->core, any_id());
        break;
    default:
        ms_core_pause(w->core, below(3) == 0);
    }
}

static void step_many(struct world *w)
{
    static const char *const verbs[] = {"delete", "cancel", "retry"};
    static const char *const states[] = {"ready", "scheduled", "parked", "done",
                                         "dead"};

    ms_core_bulk(w->core, verbs[below(3)], states[below(5)],
                 below(2) == 0 ? "k" : NULL);
}

static void step_tidy(struct world *w)
{
    switch (below(4)) {
    case 0:
        ms_test_cmd(w->core->redis, "EVAL %s 1 %s",
                    "local id = redis.call('ZRANDMEMBER', KEYS[1]) "
                    "if id then redis.call('ZADD', KEYS[1], 1, id) end",
                    K("parked"));
        ms_core_unpark(w->core, below(2) == 0 ? EVERYTHING : ",k,");
        break;
    case 1:
        ms_core_set(w->core, "retain_done_max", below(3));
        ms_core_retain(w->core);
        break;
    case 2:
        ms_core_set(w->core, "backoff_enabled", below(2));
        break;
    default:
        w->cap += below(2); /* never lowered: running would be over it */
        ms_core_set(w->core, "max_workers", w->cap);
    }
}

static const struct {
    const char *name;
    void (*run)(struct world *w);
    unsigned weight;
} kinds_of_step[] = {
    {"enqueue", step_enqueue, 6}, {"claim", step_claim, 8},
    {"finish", step_finish, 8},   {"renew", step_renew, 4},
    {"release", step_release, 3}, {"time", step_time, 5},
    {"parent", step_parent, 5},   {"operator", step_operator, 5},
    {"many", step_many, 1},       {"tidy", step_tidy, 3},
};

static void take_step(struct world *w)
{
    unsigned total = 0;
    unsigned pick;
    size_t i = 0;

    for (size_t k = 0; k < MS_COUNT_OF(kinds_of_step); k++)
        total += kinds_of_step[k].weight;
    pick = below(total);
    while (pick >= kinds_of_step[i].weight)
        pick -= kinds_of_step[i++].weight;
    snprintf(w->log[w->step], sizeof(w->log[0]), "%s", kinds_of_step[i].name);
    kinds_of_step[i].run(w);
    w->core->kinds = EVERYTHING;
}

static void run_sequence(void **state, long seed)
{
    static struct world w;

    ms_core_setup(state);
    memset(&w, 0, sizeof(w));
    w.core = *state;
    w.cap = 4;
    srand48(seed);
    ms_core_set(w.core, "max_workers", w.cap);
    ms_core_set(w.core, "group_max", below(3));
    if (below(3) == 0) {
        ms_core_set(w.core, "max_length", 8);
        ms_test_cmd(w.core->redis, "HSET %s when_full drop_oldest", K("cfg"));
    }
    for (w.step = 0; w.step < STEPS; w.step++) {
        take_step(&w);
        if (!ms_core_is_sound(w.core)) {
            for (int i = 0; i <= w.step; i++)
                print_error("%s ", w.log[i]);
            fail_msg("sequence of seed %ld broke at step %d", seed, w.step);
        }
    }
}

static TEST(test_nothing_is_lost_or_counted_twice_whatever_happens)
{
    long seed = (long)(ms_test_seed() & 0x7fffffff);

    for (int i = 0; i < SEQUENCES; i++)
        run_sequence(state, seed + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_nothing_is_lost_or_counted_twice_whatever_happens),
    };

    return RUN_CORE(tests);
}

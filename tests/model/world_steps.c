#include "tests/model/steps.h"

#include "tests/support/clock.h"

static const struct {
    void (*run)(struct world *w);
    unsigned weight;
} ops[] = {
    {step_enqueue, 12}, {step_repeat_call, 2}, {step_claim, 14},
    {step_finish, 14},  {step_renew, 8},       {step_release, 5},
    {step_time, 10},    {step_reap, 5},        {step_cancel, 4},
    {step_retry, 3},    {step_run_now, 2},     {step_delete, 3},
    {step_bulk, 3},     {step_pause, 2},       {step_configure, 5},
    {step_unpark, 2},   {step_retain, 2},      {step_parent, 3},
    {step_spawn, 5},    {step_phase, 1},       {step_conclude, 3},
    {step_children, 3}, {step_family, 6},      {step_sweep, 2},
};
#define OP_CONFIGURE 14

struct step world_draw(uint64_t *rng, bool is_first)
{
    unsigned total = 0;
    unsigned pick;
    size_t at = 0;

    for (size_t i = 0; i < MS_COUNT_OF(ops); i++)
        total += ops[i].weight;
    pick = (unsigned)(rng_next(rng) % total);
    while (pick >= ops[at].weight)
        pick -= ops[at++].weight;
    return (struct step){is_first ? OP_CONFIGURE : at, rng_next(rng)};
}

static void begin_step(struct world *w)
{
    w->line[0] = '\0';
    w->has_claim = w->time_passed = false;
    w->n_tokens = 0;
    w->was_claimable = model_is_claimable(&w->m);
    w->core->broken[0] = '\0';
}

static bool end_step(struct world *w)
{
    if (w->core->broken[0] != '\0')
        model_wrong(&w->m, "%s", w->core->broken);
    world_compare(w);
    return w->m.wrong[0] == '\0';
}

bool world_step(struct world *w, const struct step *step)
{
    w->rng = step->seed;
    begin_step(w);
    ops[step->op].run(w);
    return end_step(w);
}

static void pass(struct world *w, int64_t ms)
{
    say(w, "%lld ms pass, ", (long long)ms);
    ms_test_clock_set(w->m.now + ms);
    model_pass_time(&w->m, w->m.now + ms);
}

static void free_caps(struct world *w)
{
    set_number(w, "max_workers", &w->m.set.cap, 1000);
    set_number(w, "group_max", &w->m.set.group_max, 0);
    ms_core_pause(w->core, false);
    w->m.set.paused = false;
}

/* Everything that waits for its time has it now. */
static int64_t last_due(const struct world *w)
{
    int64_t last = w->m.now;

    if (w->m.throttled_until > last)
        last = w->m.throttled_until;
    for (int i = 0; i < N_JOBS; i++) {
        const struct mjob *j = &w->m.jobs[i];

        if (j->exists && j->place == SCHEDULED && j->due_hi > last)
            last = j->due_hi;
    }
    return last;
}

/* A pod that runs all comes for as long as it is told to, and twice more, as
 * reclaim waits where the time that passed looks like an outage. */
bool world_drain(struct world *w)
{
    begin_step(w);
    free_caps(w);
    pass(w, last_due(w) - w->m.now + 1);
    w->time_passed = true;
    if (!end_step(w))
        return false;
    for (int i = 0; i < 40; i++) {
        begin_step(w);
        claim_as(w, 0, 16, EVERYTHING);
        if (!end_step(w))
            return false;
        if (w->claim.n == 0 && !w->claim.more && w->n_tokens == 0)
            break;
    }
    if (model_count(&w->m, READY) + model_count(&w->m, PARKED) +
            model_count(&w->m, SCHEDULED) >
        0)
        model_wrong(&w->m, "a job is left that nobody can claim");
    return w->m.wrong[0] == '\0';
}

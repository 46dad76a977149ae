#include "tests/model/steps.h"

/* Now and then the leader is one that was replaced. */
static bool lead(struct world *w)
{
    if (one_in(w, 20))
        w->epoch++;
    w->core->epoch = one_in(w, 20) ? w->epoch - 1 : w->epoch;
    say(w, "leader %lld: ", (long long)w->core->epoch);
    return model_epoch(&w->m, w->core->epoch);
}

static void check_tidy(struct world *w, const char *name, enum ms_err is, int n,
                       int n_dead)
{
    say(w, " -> %s %lld, %lld dead", ms_err_name(is),
        (long long)w->core->tidy.n, (long long)w->core->tidy.n_dead);
    expect_status(w, name, is, "ok");
    expect_int(w, name, w->core->tidy.n, n);
    expect_int(w, name, w->core->tidy.n_dead, n_dead);
}

void step_reap(struct world *w)
{
    int pod = one_in(w, 4) ? any_pod(w) : NONE;
    bool is_leader = lead(w);
    enum ms_err is =
        ms_core_reap(w->core, pod == NONE ? NULL : model_pods[pod]);
    int stopped[N_JOBS]; /* with one that died in the same step */
    int n;
    int n_dead;

    say(w, "reap %s", pod == NONE ? "" : model_pods[pod]);
    if (!is_leader) {
        expect_status(w, "reap", is, "epoch");
        return;
    }
    model_reap(&w->m, pod, &n, &n_dead);
    n_dead += world_find_dropped(w, stopped);
    check_tidy(w, "reap", is, n, n_dead);
}

void step_unpark(struct world *w)
{
    static const char *const kinds[] = {EVERYTHING, ",k,", ",y,chunk,"};
    const char *of = kinds[below(w, MS_COUNT_OF(kinds))];
    bool is_leader = lead(w);
    enum ms_err is = ms_core_unpark(w->core, of);
    int n;
    int n_dead;

    say(w, "unpark %s", of);
    if (!is_leader) {
        expect_status(w, "unpark", is, "epoch");
        return;
    }
    model_unpark(&w->m, of, &n, &n_dead);
    check_tidy(w, "unpark", is, n, n_dead);
}

void step_retain(struct world *w)
{
    bool is_leader = lead(w);
    enum ms_err is = ms_core_retain(w->core);
    bool gone[N_JOBS] = {false};
    int n;
    int n_dead;

    say(w, "retain");
    if (!is_leader) {
        expect_status(w, "retain", is, "epoch");
        return;
    }
    world_find_gone(w, gone);
    model_retain(&w->m, gone, &n, &n_dead);
    check_tidy(w, "retain", is, n, n_dead);
}

/* ---- parents ---- */

static const char *parent_id(int parent)
{
    return model_id(model_parent_job(parent));
}

void step_spawn(struct world *w)
{
    int parent = (int)below(w, N_IMPORTS);
    bool is_leader = lead(w);
    int64_t planned = w->m.parents[parent].planned;
    int64_t first = one_in(w, 8) ? planned + 1 : planned;
    int n = (int)below(w, 3);
    enum ms_err is;

    if (n > N_CHUNKS - planned)
        n = (int)(N_CHUNKS - planned);
    is = ms_core_spawn(w->core, parent_id(parent), first, (size_t)n);
    say(w, "spawn %d of %s from %lld -> %s", n, parent_id(parent),
        (long long)first, ms_err_name(is));
    expect_status(w, "spawn", is,
                  is_leader ? model_spawn(&w->m, parent, first, n) : "epoch");
}

void step_phase(struct world *w)
{
    int parent = (int)below(w, N_IMPORTS);
    bool is_leader = lead(w);
    const char *why = one_in(w, 2) ? "why" : "";
    enum ms_err is = ms_core_phase(w->core, parent_id(parent), "running", why);

    say(w, "phase of %s -> %s", parent_id(parent), ms_err_name(is));
    expect_status(w, "phase", is,
                  is_leader ? model_phase(&w->m, parent, "running", why)
                            : "epoch");
}

void step_conclude(struct world *w)
{
    int parent = (int)below(w, N_IMPORTS);
    bool is_leader = lead(w);
    bool done = one_in(w, 2);
    enum ms_err is = ms_core_conclude(w->core, parent_id(parent), done, "end");

    say(w, "conclude %s %s -> %s", parent_id(parent), done ? "done" : "dead",
        ms_err_name(is));
    expect_status(w, "conclude", is,
                  is_leader ? model_conclude(&w->m, parent, done, "end")
                            : "epoch");
}

void step_children(struct world *w)
{
    int parent = (int)below(w, N_IMPORTS);
    bool is_leader = lead(w);
    bool revive = one_in(w, 2);
    int from = (int)below(w, 3);
    enum ms_err is;
    int n = 0;

    ms_core_children(w->core, parent_id(parent), revive, from, &is);
    say(w, "%s chunks of %s from %d -> %s", revive ? "revive" : "stop",
        parent_id(parent), from, ms_err_name(is));
    expect_status(w, "children", is,
                  is_leader ? model_children(&w->m, parent, revive, from, &n)
                            : "epoch");
    if (is == MS_OK)
        expect_int(w, "children", w->core->n_changed, n);
}

#include "tests/model/steps.h"

#include "common/family.h"

static struct menqueue any_child(struct world *w)
{
    return (struct menqueue){
        .kind = (int)below(w, 3),
        .group = one_in(w, 3) ? (int)below(w, 2) : NONE,
        .unique = NONE,
        .priority = one_in(w, 3) ? 1 : 5,
        .max_attempts = 1 + below(w, 3),
        .delay_ms = one_in(w, 5) ? 9000 : 0,
        .expires_in_ms = one_in(w, 8) ? 5000 : 0,
    };
}

static struct ms_new_job as_child(const struct menqueue *ask)
{
    return NEW_JOB(.kind = model_kinds[ask->kind],
                   .group =
                       ask->group == NONE ? NULL : model_groups[ask->group],
                   .priority = ask->priority, .max_attempts = ask->max_attempts,
                   .delay_ms = ask->delay_ms,
                   .expires_in_ms = ask->expires_in_ms);
}

static void expect_family(struct world *w, enum ms_err is, const char *should,
                          int n_added)
{
    const struct ms_family_answer *a = &w->core->family;
    bool is_ahead = is == MS_OK && a->ahead;

    say(w, " -> %s%s", ms_err_name(is), is_ahead ? ", ahead" : "");
    if (strcmp(should, "gone") == 0)
        expect_int(w, "add_children", is, MS_EEXIST);
    else if (strcmp(should, "full") == 0)
        expect_int(w, "add_children", is, MS_EFULL);
    else if (strcmp(should, "planned") == 0)
        expect_int(w, "add_children", is_ahead, true);
    else
        expect_status(w, "add_children", is, should);
    if (is != MS_OK || is_ahead)
        return;
    expect_int(w, "add_children", a->added, n_added);
    expect_int(w, "add_children", a->planned, w->m.parents[BATCH].planned);
    expect_str(w, "add_children", a->state,
               model_state_name(w->m.jobs[model_parent_job(BATCH)].place));
}

/* Adds up to three children; now and then a call that was made before. */
void step_family(struct world *w)
{
    static const struct ms_new_job then = {.kind = "k", .priority = 5};
    const bool calls[N_CALLBACKS] = {one_in(w, 2), one_in(w, 2), one_in(w, 2)};
    struct ms_family family = FAMILY(.id = model_id(model_parent_job(BATCH)));
    struct menqueue asks[3];
    struct ms_new_job jobs[3];
    int64_t planned = w->m.parents[BATCH].planned;
    int n = (int)below(w, 4);
    int64_t first = one_in(w, 6) && planned >= n ? planned - n : planned;
    bool seal = one_in(w, 3);
    enum ms_err is;
    const char *should;
    int n_added;

    if (n > N_CHUNKS - planned)
        n = (int)(N_CHUNKS - planned);
    for (int i = 0; i < n; i++) {
        asks[i] = any_child(w);
        jobs[i] = as_child(&asks[i]);
    }
    family.fail_fast = one_in(w, 2);
    family.on_success = calls[ON_SUCCESS] ? &then : NULL;
    family.on_failure = calls[ON_FAILURE] ? &then : NULL;
    family.on_complete = calls[ON_COMPLETE] ? &then : NULL;
    is = ms_core_family(w->core, &family, first, jobs, (size_t)n, seal);
    say(w, "add %d children from %lld%s%s", n, (long long)first,
        seal ? ", seal" : "", family.fail_fast ? " (fail_fast)" : "");
    for (int i = 0; i < n; i++)
        say(w, " kind=%s p=%d delay=%lld", model_kinds[asks[i].kind],
            asks[i].priority, (long long)asks[i].delay_ms);
    should = model_family(&w->m, first, asks, n, seal, family.fail_fast, calls,
                          &n_added);
    expect_family(w, is, should, n_added);
}

void step_sweep(struct world *w)
{
    enum ms_err is;

    w->core->epoch = w->epoch;
    is = ms_core_sweep(w->core);
    say(w, "sweep -> %s %lld", ms_err_name(is), (long long)w->core->tidy.n);
    if (!model_epoch(&w->m, w->epoch)) {
        expect_status(w, "sweep", is, "epoch");
        return;
    }
    expect_status(w, "sweep", is, "ok");
    expect_int(w, "sweep", w->core->tidy.n, model_sweep(&w->m));
}

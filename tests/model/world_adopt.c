#include "tests/model/world_view.h"

/* ---- what the contract leaves open ---- */

static void adopt_unparked(struct model *m, int job)
{
    if (!model_handles(m->looked, m->jobs[job].kind))
        model_wrong(m, "%s was taken out of parked and cannot run",
                    model_id(job));
    model_make_ready(m, job, true);
}

/* What a claim did to a job that it did not lend. */
static void adopt_looked(struct model *m, const struct world_view *v, int job)
{
    struct mjob *j = &m->jobs[job];
    bool is_parked = world_score(v->parked, model_id(job)) >= 0;

    if (strncmp(world_text(v->jobs[job], "error"), "expired", 7) == 0 &&
        model_is_expired(m, j)) {
        model_end_dead(m, job, "expired before it was started");
    } else if (j->place == PARKED && !is_parked) {
        adopt_unparked(m, job);
    } else if (j->place == READY && is_parked) {
        if (model_handles(m->looked, j->kind))
            model_wrong(m, "%s was parked and could run", model_id(job));
        j->place = PARKED;
        j->parked_ms = m->now;
    }
}

static void adopt_due(struct model *m, const struct world_view *v, int job)
{
    struct mjob *j = &m->jobs[job];
    int64_t due = world_number(v->jobs[job], "due_ms", -1);

    if (due < j->due_lo || due > j->due_hi)
        model_wrong(m, "%s is due at %lld, not between %lld and %lld",
                    model_id(job), (long long)due, (long long)j->due_lo,
                    (long long)j->due_hi);
    j->due_lo = j->due_hi = due;
}

/* When a queue was heard is noted to the second. */
static void adopt_seen(struct model *m, const struct world_view *v)
{
    int64_t seen = world_number(v->meta, "seen_ms", 0);

    if (m->heard_at > 0 && (seen < m->heard_at - 1000 || seen > m->heard_at))
        model_wrong(m, "seen_ms is %lld, and it was heard at %lld",
                    (long long)seen, (long long)m->heard_at);
    m->seen = seen;
}

/* A child whose batch is being stopped ends when somebody meets it.  Of several
 * that one script takes back, those before the first dead one may have come
 * back, or ended in their own way. */
static void adopt_stopped(struct model *m, const struct world_view *v, int job)
{
    struct mjob *j = &m->jobs[job];
    bool is_loose = j->is_loose;

    j->is_loose = false;
    if (!model_is_stopping(m, job) || strcmp(world_text(v->jobs[job], "error"),
                                             "cancelled with its parent") != 0)
        return;
    if (j->place == READY) {
        model_end_stopped(m, job);
        j->ready_ms = world_number(v->jobs[job], "ready_ms", 0);
    } else if (is_loose && j->place == DEAD) {
        m->parents[BATCH].n_stopped++;
        m->stats[S_CANCELLED] -= strcmp(j->error, "cancelled by user") == 0;
        strcpy(j->error, "cancelled with its parent");
    }
}

void world_adopt(struct model *m, const struct world_view *v)
{
    m->front--;
    for (int i = 0; i < N_JOBS; i++) {
        struct mjob *j = &m->jobs[i];

        if (!j->exists)
            continue;
        if (m->looked != NULL && (j->place == READY || j->place == PARKED))
            adopt_looked(m, v, i);
        else if (j->place == SCHEDULED)
            adopt_due(m, v, i);
    }
    for (int i = 0; i < N_JOBS; i++)
        if (m->jobs[i].exists)
            adopt_stopped(m, v, i);
    m->front--;
    m->looked = NULL;
    adopt_seen(m, v);
}

/* ---- what steps ask ---- */

int world_find_dropped(struct world *w, int *out)
{
    struct world_view v;
    int n = 0;

    if (!world_look(w, &v))
        return 0;
    for (int i = 0; i < N_JOBS; i++)
        if (w->m.jobs[i].exists && w->m.jobs[i].place == READY &&
            strcmp(world_text(v.jobs[i], "state"), "dead") == 0)
            out[n++] = i;
    return n;
}

void world_find_gone(struct world *w, bool *out)
{
    struct world_view v;

    if (!world_look(w, &v))
        return;
    for (int i = 0; i < N_JOBS; i++)
        out[i] = w->m.jobs[i].exists && !world_has(v.jobs[i]);
}

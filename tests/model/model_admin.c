#include "tests/model/model.h"

#include <stdio.h>
#include <string.h>

static bool has_ended(const struct mjob *j)
{
    return j->place == DONE || j->place == DEAD;
}

static void cancel_waiting(struct model *m, int job)
{
    model_count_stat(m, S_CANCELLED, 1);
    model_end_dead(m, job, "cancelled by user");
}

/* Those that run are only told. */
static bool stop(struct model *m, int job)
{
    struct mjob *j = &m->jobs[job];

    if (!j->exists || has_ended(j))
        return false;
    if (j->place == RUNNING)
        j->cancel_requested = true;
    else
        model_end_stopped(m, job);
    return true;
}

/* None of a parent's children is lent any more.  The batch's are stopped at
 * once, an import's by its leader. */
static const char *cancel_parent(struct model *m, int parent)
{
    struct mparent *p = &m->parents[parent];
    int at = model_parent_job(parent);

    m->jobs[at].cancel_requested = true;
    p->is_stopping = true;
    p->is_reviving = false;
    if (parent != BATCH)
        return "requested";
    p->is_swept = false; /* the whole pass is one step here */
    for (int i = at + 1; i <= at + N_CHUNKS; i++)
        stop(m, i);
    model_settle(m);
    return m->jobs[at].place == WAITING ? "requested" : "cancelled";
}

const char *model_cancel(struct model *m, int job, int *out_pod)
{
    struct mjob *j = &m->jobs[job];

    *out_pod = NONE;
    if (!j->exists)
        return "unknown";
    if (has_ended(j))
        return "finished";
    if (j->place == WAITING)
        return cancel_parent(m, model_parent_number(job));
    if (j->place == RUNNING) {
        j->cancel_requested = true;
        *out_pod = j->pod;
        return "requested";
    }
    cancel_waiting(m, job);
    return "cancelled";
}

/* Attempts and crashes are forgotten, cursor and errors are kept; what the
 * last pod may still say of the old life counts as said. */
static void begin_again(struct model *m, int job)
{
    struct mjob *j = &m->jobs[job];

    if (model_parent_of(job) != NONE)
        m->parents[model_parent_of(job)].n_dead--;
    j->attempts = j->crashes = j->throttles = j->finished = j->expires = 0;
    j->cancel_requested = j->took_crash = false;
    j->error[0] = '\0';
    if (j->fence > 0)
        j->settled = j->fence;
    j->ready_ms = m->now;
    model_make_ready(m, job, false);
}

static bool revive(struct model *m, int job)
{
    if (!m->jobs[job].exists || m->jobs[job].place != DEAD)
        return false;
    begin_again(m, job);
    return true;
}

/* A batch cannot end before all its dead children have been looked at. */
static void wait_again(struct model *m, int parent, int64_t ready_ms)
{
    struct mparent *p = &m->parents[parent];
    struct mjob *j = &m->jobs[model_parent_job(parent)];

    j->place = WAITING;
    j->ready_ms = ready_ms;
    j->phase = parent == BATCH || j->has_plan ? "reviving" : "";
    p->is_stopping = p->has_ended = false;
    p->n_stopped = 0;
    p->is_reviving = p->is_swept = parent == BATCH;
}

static void again(struct model *m, int job)
{
    struct mjob *j = &m->jobs[job];
    int64_t ready_ms = j->ready_ms;

    begin_again(m, job);
    if (j->unique != NONE && m->locks[j->unique].job == NONE) {
        m->locks[j->unique].job = job;
        m->locks[j->unique].until =
            j->unique_ttl_ms > 0 ? m->now + j->unique_ttl_ms : 0;
    }
    if (model_is_parent(job))
        wait_again(m, model_parent_number(job), ready_ms);
}

/* A child alone only while its batch waits, and is not being stopped. */
static bool may_again(const struct model *m, int job)
{
    const struct mparent *p = &m->parents[BATCH];

    if (model_parent_of(job) == NONE)
        return job != model_parent_job(BATCH) || m->jobs[job].place == DEAD;
    return model_is_of_batch(m, job) && m->jobs[job].place == DEAD &&
           !p->is_stopping && !p->has_ended;
}

int model_sweep(struct model *m)
{
    struct mparent *p = &m->parents[BATCH];
    int at = model_parent_job(BATCH);
    int n = 0;

    if (!p->is_swept)
        return 0;
    p->is_swept = false;
    for (int i = at + 1; i <= at + N_CHUNKS; i++)
        n += p->is_stopping ? stop(m, i) : p->is_reviving && revive(m, i);
    if (p->is_reviving)
        m->jobs[at].phase = p->is_sealed ? "sealed" : "open";
    p->is_reviving = false;
    m->back++;
    return n;
}

const char *model_retry(struct model *m, int job)
{
    struct mjob *j = &m->jobs[job];

    if (!j->exists)
        return "unknown";
    if (!has_ended(j) || !may_again(m, job))
        return "state";
    again(m, job);
    m->back++;
    if (model_parent_number(job) == BATCH)
        model_sweep(m);
    return "ok";
}

const char *model_run_now(struct model *m, int job)
{
    struct mjob *j = &m->jobs[job];

    if (!j->exists)
        return "unknown";
    if (j->place != SCHEDULED)
        return "state";
    m->front--;
    j->ready_ms = m->now;
    model_make_ready(m, job, true);
    return "ok";
}

static bool may_go(const struct model *m, int job)
{
    int parent = model_parent_of(job);

    return m->jobs[job].place != RUNNING && m->jobs[job].place != WAITING &&
           (parent == NONE || parent == BATCH);
}

/* A done child has done its part, with a record or without; with a parent its
 * children go. */
static void delete (struct model *m, int job)
{
    struct mparent *p = &m->parents[BATCH];

    if (model_is_of_batch(m, job) && m->jobs[job].place != DONE) {
        p->n_dead -= m->jobs[job].place == DEAD;
        p->n_deleted++;
    }
    model_forget(m, job);
    for (int i = 1; model_is_parent(job) && i <= N_CHUNKS; i++)
        m->jobs[job + i].exists = false;
}

const char *model_delete(struct model *m, int job)
{
    if (!m->jobs[job].exists)
        return "unknown";
    if (!may_go(m, job))
        return "state"; /* a chunk's import always lives */
    delete (m, job);
    return "ok";
}

static bool is_meant(const struct model *m, const char *verb, int job)
{
    if (strcmp(verb, "cancel") == 0)
        return true;
    return strcmp(verb, "delete") == 0 ? may_go(m, job) : may_again(m, job);
}

/* Those that ended first go first: a unique key is theirs. */
static int first_of(const struct model *m, const bool *is_left)
{
    int first = NONE;

    for (int i = 0; i < N_JOBS; i++)
        if (is_left[i] &&
            (first == NONE || m->jobs[i].ended_at < m->jobs[first].ended_at ||
             (m->jobs[i].ended_at == m->jobs[first].ended_at &&
              strcmp(model_id(i), model_id(first)) < 0)))
            first = i;
    return first;
}

int model_bulk(struct model *m, const char *verb, enum place place, int kind)
{
    bool is_retry = strcmp(verb, "retry") == 0;
    bool is_delete = strcmp(verb, "delete") == 0;
    bool is_left[N_JOBS] = {false};
    int n = 0;

    if (!is_delete && is_retry != (place == DONE || place == DEAD))
        return -1;
    for (int i = 0; i < N_JOBS; i++)
        is_left[i] = m->jobs[i].exists && m->jobs[i].place == place &&
                     (kind == NONE || m->jobs[i].kind == kind) &&
                     is_meant(m, verb, i);
    for (int i; (i = first_of(m, is_left)) != NONE;) {
        is_left[i] = false;
        if (!m->jobs[i].exists)
            continue; /* it went with its parent */
        n++;
        if (is_delete)
            delete (m, i);
        else if (is_retry)
            again(m, i);
        else
            cancel_waiting(m, i);
    }
    m->back++; /* what was retried together comes in any order */
    return n;
}

/* ---- the leader ---- */

bool model_epoch(struct model *m, int64_t epoch)
{
    if (epoch < m->epoch)
        return false;
    m->epoch = epoch;
    return true;
}

/* Kinds that somebody can run are left for ten minutes; jobs of the others that
 * waited as long are dead. */
void model_unpark(struct model *m, const char *kinds, int *out_n,
                  int *out_n_dead)
{
    char why[80];
    bool is_handled[N_KINDS] = {false};

    *out_n = *out_n_dead = 0;
    for (int i = 0; i < N_JOBS; i++) {
        struct mjob *j = &m->jobs[i];

        if (!j->exists || j->place != PARKED)
            continue;
        if (model_handles(kinds, j->kind)) {
            *out_n += !is_handled[j->kind];
            is_handled[j->kind] = true;
            m->handled_until[j->kind] = m->now + 600000;
        } else if (m->handled_until[j->kind] == 0 &&
                   j->parked_ms <= m->now - 600000) {
            snprintf(why, sizeof(why),
                     "no handler: no pod of this queue runs the kind '%s'",
                     model_kinds[j->kind]);
            model_end_dead(m, i, why);
            ++*out_n_dead;
        }
    }
}

static bool is_old(const struct model *m, const struct mjob *j)
{
    int64_t keep =
        j->place == DONE ? m->set.retain_done_ms : m->set.retain_dead_ms;

    return j->ended_at <= m->now - keep;
}

/* Of the done only retain_done_max stay, the youngest. */
static void check_surplus(struct model *m, const bool *gone)
{
    int n = 0, n_old = 0, n_gone = 0;
    int64_t over;

    for (int i = 0; i < N_JOBS; i++) {
        const struct mjob *j = &m->jobs[i];

        if (!j->exists || j->place != DONE)
            continue;
        n++;
        n_old += is_old(m, j);
        n_gone += gone[i];
        for (int k = 0; k < N_JOBS; k++)
            if (!gone[i] && gone[k] && m->jobs[k].exists &&
                m->jobs[k].place == DONE && m->jobs[k].ended_at > j->ended_at)
                model_wrong(m, "%s went before %s", model_id(k), model_id(i));
    }
    over = n - m->set.retain_done_max;
    if (n_gone != (over > n_old ? over : n_old))
        model_wrong(m, "%d done went, %lld too many and %d too old", n_gone,
                    (long long)over, n_old);
}

/* A chunk stays as long as its import, a dead child while its batch waits: they
 * are looked at again later. */
static bool must_stay(const struct model *m, int job)
{
    int parent = model_parent_of(job);

    if (parent == NONE || !m->jobs[model_parent_job(parent)].exists)
        return false;
    return parent != BATCH ||
           (!m->parents[BATCH].has_ended && m->jobs[job].place == DEAD);
}

void model_retain(struct model *m, const bool *gone, int *out_n,
                  int *out_n_dead)
{
    bool stays[N_JOBS];

    *out_n = *out_n_dead = 0;
    check_surplus(m, gone);
    for (int i = 0; i < N_JOBS; i++)
        stays[i] = must_stay(m, i);
    for (int i = 0; i < N_JOBS; i++) {
        struct mjob *j = &m->jobs[i];
        bool is_dead = j->place == DEAD;

        if (!j->exists || !has_ended(j) || (is_dead ? !is_old(m, j) : !gone[i]))
            continue;
        if (stays[i]) {
            j->ended_at = m->now;
            continue;
        }
        ++*out_n;
        *out_n_dead += is_dead;
        model_count_stat(m, is_dead ? S_RETAINED_DEAD : S_RETAINED_DONE, 1);
        if (model_is_parent(i) && model_parent_number(i) != BATCH)
            delete (m, i);
        else
            model_forget(m, i);
    }
}

static const char *not_waiting(const struct model *m, int parent)
{
    const struct mjob *p = &m->jobs[model_parent_job(parent)];

    if (!p->exists)
        return "unknown";
    return p->place == WAITING ? NULL : "state";
}

const char *model_spawn(struct model *m, int parent, int64_t first, int n)
{
    int at = model_parent_job(parent);
    struct mjob *p = &m->jobs[at];
    struct mparent *t = &m->parents[parent];

    if (not_waiting(m, parent) != NULL)
        return not_waiting(m, parent);
    if (p->cancel_requested)
        return "state";
    if (t->planned != first)
        return "planned";
    for (int i = 0; i < n; i++) {
        int job = at + 1 + (int)t->planned++;

        m->jobs[job] = (struct mjob){
            .exists = true,
            .kind = 3,
            .group = 2 + parent,
            .unique = NONE,
            .priority = p->priority,
            .max_attempts = p->max_attempts,
            .pod = NONE,
            .created = m->now,
        };
        model_make_ready(m, job, false);
        m->back++;
    }
    p->has_plan = true;
    model_count_stat(m, S_ENQUEUED, n);
    return "ok";
}

const char *model_phase(struct model *m, int parent, const char *phase,
                        const char *why)
{
    struct mjob *p = &m->jobs[model_parent_job(parent)];

    if (not_waiting(m, parent) != NULL)
        return not_waiting(m, parent);
    p->phase = phase;
    strcpy(p->error, why);
    return "ok";
}

const char *model_conclude(struct model *m, int parent, bool done,
                           const char *text)
{
    int at = model_parent_job(parent);
    struct mjob *p = &m->jobs[at];

    if (not_waiting(m, parent) != NULL)
        return not_waiting(m, parent);
    for (int i = 1; i <= N_CHUNKS; i++)
        if (m->jobs[at + i].exists && m->jobs[at + i].place != DEAD)
            return "chunks";
    if (done) {
        p->place = DONE;
        p->finished = p->ended_at = m->now;
        p->error[0] = '\0';
        p->phase = "done";
        model_count_stat(m, S_DONE, 1);
        model_release_unique(m, at);
    } else {
        p->phase = "dead";
        model_count_stat(m, S_CANCELLED, p->cancel_requested);
        model_end_dead(m, at, text);
    }
    p->cancel_requested = false;
    return "ok";
}

const char *model_children(struct model *m, int parent, bool is_revive,
                           int from, int *out_n)
{
    int at = model_parent_job(parent) + 1;

    *out_n = 0;
    if (not_waiting(m, parent) != NULL)
        return not_waiting(m, parent);
    for (int i = at + from; i < at + N_CHUNKS; i++)
        *out_n += is_revive ? revive(m, i) : stop(m, i);
    m->back++;
    return "ok";
}

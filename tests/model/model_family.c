#include "tests/model/model.h"

#include <stdio.h>
#include <string.h>

static void add_child(struct model *m, const struct menqueue *ask)
{
    int at = model_parent_job(BATCH);
    int job = at + 1 + (int)m->parents[BATCH].planned++;
    int64_t due = ask->at_ms > 0 ? ask->at_ms : m->now + ask->delay_ms;

    m->jobs[job] = (struct mjob){
        .exists = true,
        .kind = ask->kind,
        .group = ask->group == NONE ? 2 + BATCH : ask->group,
        .unique = NONE,
        .priority = ask->priority,
        .max_attempts = ask->max_attempts,
        .pod = NONE,
        .created = m->now,
        .expires = ask->expires_in_ms > 0 ? m->now + ask->expires_in_ms : 0,
    };
    if (due > m->now) {
        m->jobs[job].place = SCHEDULED;
        m->jobs[job].due_lo = m->jobs[job].due_hi = due;
        return;
    }
    model_make_ready(m, job, false);
    m->back++;
}

static void make_batch(struct model *m, bool fail_fast, const bool *calls)
{
    struct mparent *p = &m->parents[BATCH];

    m->jobs[model_parent_job(BATCH)] = (struct mjob){
        .exists = true,
        .place = WAITING,
        .kind = N_KINDS - 1,
        .group = NONE,
        .unique = NONE,
        .priority = 5,
        .own = true,
        .pod = NONE,
        .created = m->now,
        .phase = "open",
    };
    memset(p, 0, sizeof(*p));
    p->fail_fast = fail_fast;
    memcpy(p->calls, calls, sizeof(p->calls));
}

static bool has_room(const struct model *m, int n)
{
    int length = model_count(m, READY) + model_count(m, SCHEDULED) +
                 model_count(m, PARKED);

    return m->set.max_length == 0 || n == 0 || length + n <= m->set.max_length;
}

/* A call that is repeated adds nothing: NULL where it is to be carried out. */
static const char *answer_of(const struct model *m, int64_t *first, int *n,
                             bool seal)
{
    const struct mjob *j = &m->jobs[model_parent_job(BATCH)];
    const struct mparent *p = &m->parents[BATCH];

    if (*n > 0 && *first + *n == p->planned) {
        *first = p->planned;
        *n = 0;
        if (p->is_sealed || !seal)
            return "ok";
    } else if (*n == 0 && seal && p->is_sealed && *first == p->planned) {
        return "ok";
    }
    if (*first != p->planned || p->is_sealed)
        return "planned";
    if (j->place != WAITING || p->is_stopping)
        return "state";
    return has_room(m, *n) ? NULL : "full";
}

const char *model_family(struct model *m, int64_t first,
                         const struct menqueue *children, int n, bool seal,
                         bool fail_fast, const bool *calls, int *out_n)
{
    int at = model_parent_job(BATCH);
    bool is_new = !m->jobs[at].exists;
    const char *answer;

    *out_n = 0;
    if (is_new && m->gone_until[at] > 0)
        return "gone";
    if (is_new && first != 0)
        return "planned";
    answer = is_new ? has_room(m, n) ? NULL : "full"
                    : answer_of(m, &first, &n, seal);
    if (answer != NULL)
        return answer;
    if (is_new)
        make_batch(m, fail_fast, calls);
    for (int i = 0; i < n; i++)
        add_child(m, &children[i]);
    model_count_stat(m, S_ENQUEUED, n);
    *out_n = n;
    if (seal) {
        m->parents[BATCH].is_sealed = true;
        m->jobs[at].phase = "sealed";
        model_settle(m);
    }
    return "ok";
}

/* ---- the end ---- */

static bool has_open(const struct model *m)
{
    int at = model_parent_job(BATCH);

    for (int i = at + 1; i <= at + m->parents[BATCH].planned; i++)
        if (m->jobs[i].exists && m->jobs[i].place != DONE &&
            m->jobs[i].place != DEAD)
            return true;
    return false;
}

static int count_done(const struct mparent *p)
{
    int n = 0;

    for (int i = 0; i < N_CHUNKS; i++)
        n += p->is_done[i];
    return n;
}

/* The first name that is free. */
static void call_back(struct model *m, enum callback which)
{
    int job = N_FAMILY + (int)which * N_LIVES;

    if (!m->parents[BATCH].calls[which])
        return;
    while (m->jobs[job].exists)
        job++;
    m->jobs[job] = (struct mjob){
        .exists = true,
        .group = NONE,
        .unique = NONE,
        .priority = 5,
        .pod = NONE,
        .created = m->now,
    };
    model_make_ready(m, job, false);
    m->back++;
    model_count_stat(m, S_ENQUEUED, 1);
}

static void end_dead(struct model *m)
{
    struct mparent *p = &m->parents[BATCH];
    struct mjob *j = &m->jobs[model_parent_job(BATCH)];
    int64_t stopped = p->n_stopped < p->n_dead ? p->n_stopped : p->n_dead;
    char why[80];
    int len = snprintf(why, sizeof(why), "%lld of %lld children failed",
                       (long long)(p->n_dead - stopped), (long long)p->planned);

    if (stopped > 0)
        snprintf(why + len, sizeof(why) - (size_t)len, ", %lld were stopped",
                 (long long)stopped);
    model_count_stat(m, S_CANCELLED, j->cancel_requested);
    model_end_dead(m, model_parent_job(BATCH),
                   j->cancel_requested ? "cancelled by user" : why);
    j->phase = "dead";
}

void model_settle(struct model *m)
{
    struct mparent *p = &m->parents[BATCH];
    struct mjob *j = &m->jobs[model_parent_job(BATCH)];
    bool is_done;

    if (!j->exists || j->place != WAITING || p->is_reviving || has_open(m) ||
        !(p->is_sealed || p->is_stopping))
        return;
    is_done = p->is_sealed && (count_done(p) == p->planned ||
                               (p->n_dead == 0 && !j->cancel_requested));
    p->has_ended = true;
    p->is_swept = false;
    if (is_done) {
        j->place = DONE;
        j->finished = j->ended_at = m->now;
        j->error[0] = '\0';
        j->phase = "done";
        model_count_stat(m, S_DONE, 1);
    } else {
        end_dead(m);
    }
    j->cancel_requested = false;
    call_back(m, is_done ? ON_SUCCESS : ON_FAILURE);
    call_back(m, ON_COMPLETE);
}

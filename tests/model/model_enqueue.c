#include "tests/model/model.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

#define CALL_MAX 8

/* Who holds a unique key while a call is read: a job of the queue, or a new one
 * of this call; `next` is the new job that a debounced holder becomes. */
struct holder {
    bool is_known, waits;
    int job, of_call, next;
};

/* What a call will do, decided before anything changes. */
struct plan {
    const struct menqueue *asks;
    struct holder holders[N_UNIQUES];
    bool is_new[CALL_MAX], is_dropped[CALL_MAX];
    enum { HERE, AWAY, AWAY_OWN } way[N_JOBS]; /* which gave way to others */
    bool spared[N_JOBS]; /* they stand for a job of the call, or give way */
    int replaced[CALL_MAX];
    int n_replaced, n_new, n_dropped, n_dedup;
    char dedup[16];
};

static bool waits(const struct mjob *j)
{
    return j->place == READY || j->place == SCHEDULED || j->place == PARKED;
}

static bool is_taken(const struct model *m, const struct plan *p, size_t i)
{
    int job = p->asks[i].job;

    if (p->asks[i].own && (p->way[job] == AWAY_OWN || m->gone_until[job] > 0))
        return true;
    if (p->way[job] != HERE)
        return false;
    for (size_t k = 0; k < i; k++)
        if (p->is_new[k] && p->asks[k].job == job)
            return true;
    return m->jobs[job].exists;
}

static void take_key(struct plan *p, size_t i)
{
    p->holders[p->asks[i].unique] =
        (struct holder){true, !p->asks[i].parent, NONE, (int)i, NONE};
}

/* The job that stands for a new one by its unique key; NONE where it is to be
 * added. */
static int meet(const struct model *m, struct plan *p, size_t i)
{
    const struct menqueue *ask = &p->asks[i];
    struct holder *h = &p->holders[ask->unique];
    int lock = m->locks[ask->unique].job;

    if (!h->is_known && lock != NONE)
        *h = (struct holder){true, waits(&m->jobs[lock]), lock, NONE, NONE};
    if (!h->is_known) {
        take_key(p, i);
        return NONE;
    }
    if (ask->mode == REPLACE && h->waits) {
        if (h->job != NONE) {
            p->replaced[p->n_replaced++] = h->job;
            p->way[h->job] = m->jobs[h->job].own ? AWAY_OWN : AWAY;
        } else {
            p->is_dropped[h->of_call] = ++p->n_dropped > 0;
            p->way[p->asks[h->of_call].job] =
                p->asks[h->of_call].own ? AWAY_OWN : AWAY;
        }
        take_key(p, i);
        return NONE;
    }
    if (ask->mode == DEBOUNCE && h->waits && !ask->parent)
        h->next = (int)i;
    return h->job != NONE ? h->job : p->asks[h->of_call].job;
}

static struct plan plan_call(const struct model *m, const struct menqueue *asks,
                             size_t n)
{
    struct plan p = {.asks = asks};

    ms_assert(n <= CALL_MAX);
    for (size_t i = 0; i < n; i++) {
        int same = NONE;

        if (is_taken(m, &p, i))
            same = asks[i].job;
        else if (asks[i].unique != NONE)
            same = meet(m, &p, i);
        p.is_new[i] = same == NONE;
        p.n_new += same == NONE;
        if (same == NONE) {
            p.way[asks[i].job] = HERE;
            continue;
        }
        p.n_dedup++;
        p.spared[same] = true;
        strcpy(p.dedup, model_id(same));
    }
    for (int i = 0; i < p.n_replaced; i++)
        p.spared[p.replaced[i]] = true;
    return p;
}

static int64_t due_of(const struct model *m, const struct menqueue *ask)
{
    return ask->at_ms > 0 ? ask->at_ms : m->now + ask->delay_ms;
}

static int64_t expiry_of(const struct model *m, const struct menqueue *ask)
{
    if (ask->expires_at_ms > 0)
        return ask->expires_at_ms;
    return ask->expires_in_ms > 0 ? m->now + ask->expires_in_ms : 0;
}

static void hold_key(struct model *m, int job, const struct menqueue *ask)
{
    m->locks[ask->unique].job = job;
    m->locks[ask->unique].until =
        ask->unique_ttl_ms > 0 ? m->now + ask->unique_ttl_ms : 0;
}

static void put(struct model *m, const struct menqueue *ask)
{
    struct mjob *j = &m->jobs[ask->job];
    int64_t due = due_of(m, ask);

    *j = (struct mjob){
        .exists = true,
        .kind = ask->kind,
        .group = ask->group,
        .unique = ask->unique,
        .priority = ask->priority,
        .own = ask->own,
        .max_attempts = ask->max_attempts,
        .unique_ttl_ms = ask->unique == NONE ? 0 : ask->unique_ttl_ms,
        .pod = NONE,
        .created = m->now,
        .ready_ms = 0,
        .expires = expiry_of(m, ask),
    };
    if (ask->unique != NONE)
        hold_key(m, ask->job, ask);
    if (ask->parent) {
        j->place = WAITING;
    } else if (due > m->now) {
        j->place = SCHEDULED;
        j->due_lo = j->due_hi = due;
    } else {
        model_make_ready(m, ask->job, false);
        m->back++; /* jobs of one call keep their order */
    }
}

static int64_t since(const struct mjob *j)
{
    return j->ready_ms > 0 ? j->ready_ms : j->created;
}

/* The last priority first, the oldest of it first. */
static bool goes_before(const struct mjob *a, const struct mjob *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return since(a) < since(b);
}

static bool is_droppable(const struct model *m, int job, const bool *spared)
{
    return m->jobs[job].exists && m->jobs[job].place == READY &&
           (model_parent_of(job) == NONE || model_is_of_batch(m, job)) &&
           !spared[job];
}

static void drop(struct model *m, const int *dropped, int n, const bool *spared)
{
    bool goes[N_JOBS] = {false};

    for (int i = 0; i < n; i++) {
        if (!is_droppable(m, dropped[i], spared))
            model_wrong(m, "%s was dropped", model_id(dropped[i]));
        goes[dropped[i]] = true;
    }
    for (int a = 0; a < N_JOBS; a++)
        for (int b = 0; b < N_JOBS; b++)
            if (!goes[a] && goes[b] && is_droppable(m, a, spared) &&
                goes_before(&m->jobs[a], &m->jobs[b]))
                model_wrong(m, "%s was dropped before %s", model_id(b),
                            model_id(a));
    for (int i = 0; i < n; i++)
        model_end_dead(m, dropped[i], "dropped: the queue was full");
    model_count_stat(m, S_DROPPED, n);
}

/* False where there is no room for what is new and none can be made. */
static bool make_room(struct model *m, const struct plan *p, const int *dropped,
                      int n_dropped)
{
    int n_new = p->n_new - p->n_dropped;
    int length = model_count(m, READY) + model_count(m, SCHEDULED) +
                 model_count(m, PARKED) - p->n_replaced;
    int64_t over = length + n_new - m->set.max_length;
    int n_can = 0;

    /* What adds nothing needs no room. */
    if (m->set.max_length == 0 || over <= 0 || n_new == p->n_replaced) {
        if (n_dropped > 0)
            model_wrong(m, "%d dropped from a queue with room", n_dropped);
        return true;
    }
    for (int i = 0; i < N_JOBS; i++)
        n_can += is_droppable(m, i, p->spared);
    if (!m->set.drop_oldest || n_new > m->set.max_length || n_can < over)
        return false;
    if (n_dropped != over)
        model_wrong(m, "%d dropped to make room for %lld", n_dropped,
                    (long long)over);
    drop(m, dropped, n_dropped, p->spared);
    return true;
}

/* Its place: due by the new delay; else it keeps its turn, or is ready at the
 * end if it had none. */
static void move_on(struct model *m, int job, const struct menqueue *ask,
                    bool is_same_kind)
{
    struct mjob *j = &m->jobs[job];
    int64_t due = due_of(m, ask);

    if (due > m->now) {
        j->place = SCHEDULED;
        j->due_lo = j->due_hi = due;
    } else if (j->place == SCHEDULED || (j->place == PARKED && !is_same_kind)) {
        j->ready_ms = m->now;
        model_make_ready(m, job, false);
    }
}

/* It keeps id, group, priority and place; failures and cursor of the old
 * payload are forgotten, and a pod whose lease on it had ended has no say. */
static void debounce(struct model *m, int job, const struct menqueue *ask)
{
    struct mjob *j = &m->jobs[job];
    bool is_same_kind = j->kind == ask->kind;

    j->kind = ask->kind;
    j->attempts = j->crashes = j->throttles = 0;
    j->started = j->seq = j->docs = 0;
    j->n_errors = 0;
    j->error[0] = '\0';
    j->took_crash = false;
    j->max_attempts = ask->max_attempts;
    j->expires = expiry_of(m, ask);
    j->unique_ttl_ms = ask->unique_ttl_ms;
    if (j->settled != j->fence)
        j->pod = NONE;
    hold_key(m, job, ask);
    move_on(m, job, ask, is_same_kind);
}

/* Of a job that gave way in its own call only the id is remembered. */
static void put_new(struct model *m, const struct plan *p, size_t i)
{
    const struct menqueue *ask = &p->asks[i];
    const struct holder *h = &p->holders[ask->unique == NONE ? 0 : ask->unique];
    struct menqueue merged = *ask;

    if (p->is_dropped[i]) {
        if (ask->own)
            m->gone_until[ask->job] = m->now + MODEL_REMEMBER_MS;
        return;
    }
    if (ask->unique != NONE && h->of_call == (int)i && h->next != NONE) {
        merged = p->asks[h->next];
        merged.job = ask->job;
        merged.own = ask->own;
        merged.priority = ask->priority;
        merged.group = ask->group;
    }
    put(m, &merged);
}

static void carry_out(struct model *m, const struct plan *p, size_t n)
{
    for (int i = 0; i < p->n_replaced; i++)
        model_forget(m, p->replaced[i]);
    for (int u = 0; u < N_UNIQUES; u++) {
        const struct holder *h = &p->holders[u];

        if (h->is_known && h->job != NONE && h->next != NONE)
            debounce(m, h->job, &p->asks[h->next]);
    }
    m->back++;
    for (size_t i = 0; i < n; i++)
        if (p->is_new[i])
            put_new(m, p, i);
    model_count_stat(m, S_REPLACED, p->n_replaced + p->n_dropped);
    model_count_stat(m, S_ENQUEUED, p->n_new);
    model_count_stat(m, S_DEDUPLICATED, p->n_dedup);
}

int model_enqueue(struct model *m, int token, const struct menqueue *jobs,
                  size_t n, const int *dropped, int n_dropped, char *out_dedup)
{
    struct plan p;

    out_dedup[0] = '\0';
    if (token != NONE && m->tokens[token].until > 0) {
        strcpy(out_dedup, m->tokens[token].dedup);
        return m->tokens[token].n_enqueued;
    }
    p = plan_call(m, jobs, n);
    if (!make_room(m, &p, dropped, n_dropped))
        return -1;
    carry_out(m, &p, n);
    strcpy(out_dedup, p.dedup);
    if (token != NONE) {
        m->tokens[token].until = m->now + MODEL_REMEMBER_MS;
        m->tokens[token].n_enqueued = p.n_new;
        strcpy(m->tokens[token].dedup, out_dedup);
    }
    return p.n_new;
}

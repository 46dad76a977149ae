#include "tests/model/model.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

/* Which id stands for this job already; NULL for none. */
static const char *same_as(const struct model *m, const struct menqueue *ask,
                           const struct menqueue *before, size_t n_before,
                           const bool *is_new)
{
    if (m->jobs[ask->job].exists || (ask->own && m->gone_until[ask->job] > 0))
        return model_id(ask->job);
    for (size_t i = 0; i < n_before; i++)
        if (is_new[i] && before[i].job == ask->job)
            return model_id(ask->job);
    for (size_t i = 0; i < n_before; i++)
        if (is_new[i] && ask->unique != NONE && before[i].unique == ask->unique)
            return model_id(before[i].job);
    if (ask->unique != NONE && m->locks[ask->unique].job != NONE)
        return model_id(m->locks[ask->unique].job);
    return NULL;
}

static void put(struct model *m, const struct menqueue *ask)
{
    struct mjob *j = &m->jobs[ask->job];
    int64_t due = ask->at_ms > 0 ? ask->at_ms : m->now + ask->delay_ms;

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
        .expires = ask->expires_at_ms > 0   ? ask->expires_at_ms
                   : ask->expires_in_ms > 0 ? m->now + ask->expires_in_ms
                                            : 0,
    };
    if (ask->unique != NONE) {
        m->locks[ask->unique].job = ask->job;
        m->locks[ask->unique].until =
            ask->unique_ttl_ms > 0 ? m->now + ask->unique_ttl_ms : 0;
    }
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
           model_parent_of(job) == NONE && !spared[job];
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

/* False where there is no room for `n_new` more and none can be made. */
static bool make_room(struct model *m, int n_new, const bool *spared,
                      const int *dropped, int n_dropped)
{
    int length = model_count(m, READY) + model_count(m, SCHEDULED) +
                 model_count(m, PARKED);
    int64_t over = length + n_new - m->set.max_length;
    int n_can = 0;

    if (m->set.max_length == 0 || over <= 0) {
        if (n_dropped > 0)
            model_wrong(m, "%d dropped from a queue with room", n_dropped);
        return true;
    }
    for (int i = 0; i < N_JOBS; i++)
        n_can += is_droppable(m, i, spared);
    if (!m->set.drop_oldest || n_new > m->set.max_length || n_can < over)
        return false;
    if (n_dropped != over)
        model_wrong(m, "%d dropped to make room for %lld", n_dropped,
                    (long long)over);
    drop(m, dropped, n_dropped, spared);
    return true;
}

int model_enqueue(struct model *m, int token, const struct menqueue *jobs,
                  size_t n, const int *dropped, int n_dropped, char *out_dedup)
{
    bool is_new[8];
    bool spared[N_JOBS] = {false};
    int n_new = 0;

    out_dedup[0] = '\0';
    if (token != NONE && m->tokens[token].until > 0) {
        strcpy(out_dedup, m->tokens[token].dedup);
        return m->tokens[token].n_enqueued;
    }
    ms_assert(n <= MS_COUNT_OF(is_new));
    for (size_t i = 0; i < n; i++) {
        const char *same = same_as(m, &jobs[i], jobs, i, is_new);

        is_new[i] = same == NULL;
        n_new += is_new[i];
        if (same != NULL) {
            strcpy(out_dedup, same);
            spared[model_job_of(same)] = true;
        }
    }
    if (!make_room(m, n_new, spared, dropped, n_dropped)) {
        out_dedup[0] = '\0';
        return -1;
    }
    for (size_t i = 0; i < n; i++)
        if (is_new[i])
            put(m, &jobs[i]);
    model_count_stat(m, S_ENQUEUED, n_new);
    model_count_stat(m, S_DEDUPLICATED, (int64_t)n - n_new);
    if (token != NONE) {
        m->tokens[token].until = m->now + MODEL_REMEMBER_MS;
        m->tokens[token].n_enqueued = n_new;
        strcpy(m->tokens[token].dedup, out_dedup);
    }
    return n_new;
}

#include "tests/model/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

const char *const model_stats[N_STATS] = {
    "enqueued",  "deduplicated",  "done",          "failed",   "dead",
    "throttled", "cancelled",     "crashed",       "released", "reclaimed",
    "stale",     "retained_done", "retained_dead", "dropped",  "replaced"};
const char *const model_kinds[N_KINDS] = {"k", "x", "y", "chunk", "batch"};
const char *const model_groups[N_GROUPS] = {"g", "h", "P0", "P1", "P2"};
const char *const model_uniques[N_UNIQUES] = {"u", "v"};
const char *const model_pods[N_PODS] = {"p0", "p1", "p2"};

void model_init(struct model *m)
{
    int64_t now = m->now;

    memset(m, 0, sizeof(*m));
    m->now = now;
    m->back = 1;
    m->front = -1;
    for (int i = 0; i < N_UNIQUES; i++)
        m->locks[i].job = NONE;
    m->set = (struct msettings){
        .backoff = true,
        .cap = 1000,
        .crash_limit = 3,
        .max_attempts = 5,
        .backoff_base = 5000,
        .backoff_max = 1800000,
        .retain_done_ms = 604800000,
        .retain_dead_ms = 2592000000,
        .retain_done_max = 10000,
    };
}

void model_wrong(struct model *m, const char *format, ...)
{
    va_list args;

    if (m->wrong[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(m->wrong, sizeof(m->wrong), format, args);
    va_end(args);
}

/* ---- names ---- */

bool model_is_parent(int job)
{
    return job >= N_PLAIN && job < N_FAMILY &&
           (job - N_PLAIN) % (1 + N_CHUNKS) == 0;
}

int model_parent_job(int parent)
{
    return N_PLAIN + parent * (1 + N_CHUNKS);
}

int model_parent_number(int job)
{
    return model_is_parent(job) ? (job - N_PLAIN) / (1 + N_CHUNKS) : NONE;
}

int model_parent_of(int job)
{
    if (job < N_PLAIN || job >= N_FAMILY || model_is_parent(job))
        return NONE;
    return (job - N_PLAIN) / (1 + N_CHUNKS);
}

bool model_is_of_batch(const struct model *m, int job)
{
    return model_parent_of(job) == BATCH &&
           m->jobs[model_parent_job(BATCH)].exists;
}

int model_chunk_of(int job)
{
    return model_parent_of(job) == NONE ? NONE
                                        : (job - N_PLAIN) % (1 + N_CHUNKS) - 1;
}

/* "P2:complete", and "P2:complete:2" of its next life. */
static void name_callback(int number, char *out, size_t size)
{
    static const char *const names[N_CALLBACKS] = {"success", "failure",
                                                   "complete"};
    int life = number % N_LIVES;

    if (life == 0)
        snprintf(out, size, "P%d:%s", BATCH, names[number / N_LIVES]);
    else
        snprintf(out, size, "P%d:%s:%d", BATCH, names[number / N_LIVES],
                 life + 1);
}

const char *model_id(int job)
{
    static char names[N_JOBS][24];
    char *name = names[job];

    if (name[0] != '\0')
        return name;
    if (job < N_PLAIN)
        snprintf(name, sizeof(names[0]), "j%d", job);
    else if (job >= N_FAMILY)
        name_callback(job - N_FAMILY, name, sizeof(names[0]));
    else if (model_is_parent(job))
        snprintf(name, sizeof(names[0]), "P%d", model_parent_number(job));
    else
        snprintf(name, sizeof(names[0]), "P%d.%d", model_parent_of(job),
                 model_chunk_of(job));
    return name;
}

int model_job_of(const char *id)
{
    for (int i = 0; i < N_JOBS; i++)
        if (strcmp(model_id(i), id) == 0)
            return i;
    return NONE;
}

const char *model_state_name(enum place place)
{
    static const char *const names[] = {"",        "",        "scheduled",
                                        "running", "waiting", "done",
                                        "dead"};

    return names[place];
}

/* ---- looking ---- */

int model_count(const struct model *m, enum place place)
{
    int n = 0;

    for (int i = 0; i < N_JOBS; i++)
        n += m->jobs[i].exists && m->jobs[i].place == place;
    return n;
}

int model_running_of(const struct model *m, int group)
{
    int n = 0;

    for (int i = 0; i < N_JOBS; i++)
        n += m->jobs[i].exists && m->jobs[i].place == RUNNING &&
             m->jobs[i].group == group;
    return n;
}

int model_pod_of(const struct model *m, int pod)
{
    int n = 0;

    for (int i = 0; i < N_JOBS; i++)
        n += m->jobs[i].exists && m->jobs[i].place == RUNNING &&
             m->jobs[i].pod == pod;
    return n;
}

/* ",k,chunk," names kinds, ",x*," prefixes. */
bool model_handles(const char *kinds, int kind)
{
    const char *name = model_kinds[kind];

    for (const char *at = kinds + 1; *at != '\0'; at = strchr(at, ',') + 1) {
        size_t len = strcspn(at, ",");

        if (at[len - 1] == '*'
                ? strncmp(at, name, len - 1) == 0
                : len == strlen(name) && strncmp(at, name, len) == 0)
            return true;
    }
    return false;
}

/* A job that was begun in time may run again later. */
bool model_is_expired(const struct model *m, const struct mjob *j)
{
    return j->expires > 0 && j->expires <= m->now && j->started == 0;
}

bool model_is_stopping(const struct model *m, int job)
{
    int parent = model_parent_of(job);

    return parent != NONE && m->parents[parent].is_stopping;
}

bool model_has_group_room(const struct model *m, int group)
{
    return group == NONE || m->set.group_max == 0 ||
           model_running_of(m, group) < m->set.group_max;
}

bool model_is_claimable(const struct model *m)
{
    if (m->set.paused || m->throttled_until > m->now ||
        model_count(m, RUNNING) >= m->set.cap)
        return false;
    for (int i = 0; i < N_JOBS; i++) {
        const struct mjob *j = &m->jobs[i];

        if (j->exists && j->place == READY && model_has_group_room(m, j->group))
            return true;
    }
    return false;
}

/* ---- what the operations are made of ---- */

void model_count_stat(struct model *m, enum total total, int64_t n)
{
    m->stats[total] += n;
}

/* The caller moves m->front or m->back once for what comes together. */
void model_make_ready(struct model *m, int job, bool at_front)
{
    struct mjob *j = &m->jobs[job];

    j->place = READY;
    j->order = at_front ? m->front : m->back;
}

void model_release_unique(struct model *m, int job)
{
    int unique = m->jobs[job].unique;

    if (unique != NONE && m->locks[unique].job == job)
        m->locks[unique].job = NONE;
}

/* The first dead child of a batch that fails fast stops the others. */
static void count_dead(struct mparent *p)
{
    p->n_dead++;
    if (!p->fail_fast || p->is_stopping)
        return;
    p->is_stopping = p->is_swept = true;
    p->is_reviving = false;
}

void model_end_dead(struct model *m, int job, const char *why)
{
    struct mjob *j = &m->jobs[job];
    int parent = model_parent_of(job);

    j->place = DEAD;
    j->finished = j->ended_at = m->now;
    snprintf(j->error, sizeof(j->error), "%s", why);
    model_count_stat(m, S_DEAD, 1);
    model_release_unique(m, job);
    if (parent != NONE && m->jobs[model_parent_job(parent)].exists)
        count_dead(&m->parents[parent]);
}

void model_end_stopped(struct model *m, int job)
{
    int parent = model_parent_of(job);

    ms_assert(parent != NONE);
    m->parents[parent].n_stopped++;
    model_end_dead(m, job, "cancelled with its parent");
}

/* What belongs to a parent goes with it, but for its children. */
void model_forget(struct model *m, int job)
{
    int parent = model_parent_number(job);

    model_release_unique(m, job);
    if (m->jobs[job].own)
        m->gone_until[job] = m->now + MODEL_REMEMBER_MS;
    m->jobs[job].exists = false;
    if (parent != NONE)
        memset(&m->parents[parent], 0, sizeof(m->parents[0]));
}

/* Redis forgets a key when its end is in the past, not at that moment. */
void model_pass_time(struct model *m, int64_t now)
{
    m->now = now;
    for (int i = 0; i < N_UNIQUES; i++)
        if (m->locks[i].until > 0 && m->locks[i].until < now)
            m->locks[i].job = NONE;
    for (int i = 0; i < N_JOBS; i++)
        if (m->gone_until[i] < now)
            m->gone_until[i] = 0;
    for (int i = 0; i < N_KINDS; i++)
        if (m->handled_until[i] < now)
            m->handled_until[i] = 0;
    for (int i = 0; i < N_TOKENS; i++)
        if (m->tokens[i].until < now)
            m->tokens[i].until = 0;
}

/* A silence of more than half a lease is an outage; a clock that was set back
 * must not make anybody wait for the old time. */
void model_hear(struct model *m)
{
    int64_t silence = m->seen == 0 ? 0 : m->now - m->seen;

    if (silence > MODEL_TTL / 2 || (silence < 0 && m->quiet_end > m->now))
        m->quiet_end = m->now;
    m->heard_at = m->now;
}

static bool is_due(const struct model *m, int job)
{
    const struct mjob *j = &m->jobs[job];

    return j->exists && j->place == SCHEDULED && j->due_lo <= m->now;
}

/* Those that are due together go by their time. */
void model_promote(struct model *m)
{
    int64_t rank[N_JOBS] = {0};

    for (int i = 0; i < N_JOBS; i++)
        for (int k = 0; k < N_JOBS; k++)
            if (is_due(m, i) && is_due(m, k))
                rank[i] += m->jobs[k].due_lo < m->jobs[i].due_lo;
    for (int i = 0; i < N_JOBS; i++) {
        if (!is_due(m, i))
            continue;
        model_make_ready(m, i, false);
        m->jobs[i].order += rank[i];
        m->jobs[i].ready_ms = m->now;
    }
    m->back += N_JOBS;
}

/* Several are taken back in any order: whether a batch that fails fast stops
 * them too, once one of them is dead, is left to world_adopt.c. */
static bool take_back(struct model *m, int job, bool costs_crash,
                      bool was_stopping)
{
    struct mjob *j = &m->jobs[job];
    char why[80];

    j->is_loose = !was_stopping && model_parent_of(job) == BATCH;
    j->attempts = j->attempts > 0 ? j->attempts - 1 : 0;
    j->took_crash = costs_crash;
    j->crashes += costs_crash;
    model_count_stat(m, S_CRASHED, costs_crash);
    model_count_stat(m, S_RECLAIMED, 1);
    if (model_is_stopping(m, job) &&
        (was_stopping || model_parent_of(job) != BATCH)) {
        model_end_stopped(m, job);
        return true;
    }
    if (j->cancel_requested) {
        model_count_stat(m, S_CANCELLED, 1);
        model_end_dead(m, job, "cancelled by user");
        return true;
    }
    if (costs_crash && m->set.crash_limit > 0 &&
        j->crashes >= m->set.crash_limit) {
        snprintf(why, sizeof(why), "poison: %lld leases ended without progress",
                 (long long)j->crashes);
        model_end_dead(m, job, why);
        return true;
    }
    j->ready_ms = m->now;
    model_make_ready(m, job, true);
    return false;
}

/* Those whose lease ended in an outage go first, and at no cost. */
int model_reclaim_expired(struct model *m, int *out_n_dead)
{
    bool was_stopping = m->parents[BATCH].is_stopping;
    int n = 0;

    *out_n_dead = 0;
    if (m->now < m->quiet_end + MODEL_TTL)
        return 0;
    for (int costs = 0; costs <= 1; costs++) {
        m->front--;
        for (int i = 0; i < N_JOBS; i++) {
            struct mjob *j = &m->jobs[i];

            if (!j->exists || j->place != RUNNING || j->lease_end > m->now ||
                (j->lease_end > m->quiet_end) != costs)
                continue;
            n++;
            *out_n_dead += take_back(m, i, costs, was_stopping);
        }
    }
    return n;
}

void model_reap(struct model *m, int gone_pod, int *out_n, int *out_n_dead)
{
    bool was_stopping = m->parents[BATCH].is_stopping;
    bool costs;

    model_hear(m);
    costs = m->now >= m->quiet_end + MODEL_TTL;
    *out_n = model_reclaim_expired(m, out_n_dead);
    m->front--;
    for (int i = 0; gone_pod != NONE && i < N_JOBS; i++) {
        struct mjob *j = &m->jobs[i];

        if (!j->exists || j->place != RUNNING || j->pod != gone_pod)
            continue;
        ++*out_n;
        *out_n_dead += take_back(m, i, costs, was_stopping);
    }
    model_promote(m);
}

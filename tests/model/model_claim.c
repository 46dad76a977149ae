#include "tests/model/model.h"

#include "common/mem.h"

static bool is_runnable(const struct model *m, const struct mclaim *claim,
                        int job)
{
    const struct mjob *j = &m->jobs[job];

    return j->exists && (j->place == READY || j->place == PARKED) &&
           model_handles(claim->kinds, j->kind) && !model_is_expired(m, j) &&
           !model_is_stopping(m, job);
}

static bool stays_behind(const struct model *m, const struct mclaim *claim,
                         int job)
{
    return m->jobs[job].place == READY && is_runnable(m, claim, job) &&
           model_has_group_room(m, m->jobs[job].group);
}

static void check_status(struct model *m, const struct mclaim *claim)
{
    int64_t room = m->set.cap - model_count(m, RUNNING);
    enum mclaim_status status = C_OK;

    if (m->set.paused)
        status = C_PAUSED;
    else if (m->throttled_until > m->now)
        status = C_COOLING;
    else if (room <= 0)
        status = C_FULL;
    if (claim->status != status)
        model_wrong(m, "claim answered status %d, not %d", (int)claim->status,
                    (int)status);
    if (claim->n > 0 && (status != C_OK || claim->n > room))
        model_wrong(m, "claim lent %d jobs at status %d with room %lld",
                    claim->n, (int)status, (long long)room);
    if (claim->n > claim->limit)
        model_wrong(m, "claim lent more than the limit");
    if (claim->now != m->now || claim->cap != m->set.cap)
        model_wrong(m, "claim told another time or cap");
}

/* Lends one job of the answer, if it may be lent. */
static void lend(struct model *m, const struct mclaim *claim, int i)
{
    int job = claim->jobs[i].job;
    struct mjob *j = &m->jobs[job];
    int64_t fence = j->fence >= m->now ? j->fence + 1 : m->now;

    if (!is_runnable(m, claim, job))
        model_wrong(m, "%s was lent and cannot be", model_id(job));
    if (!model_has_group_room(m, j->group))
        model_wrong(m, "%s was lent over group_max", model_id(job));
    j->place = RUNNING;
    j->fence = fence;
    j->attempts++;
    j->pod = claim->pod;
    j->started = m->now;
    j->lease_end = m->now + MODEL_TTL;
    if (claim->jobs[i].fence != fence || claim->jobs[i].attempt != j->attempts)
        model_wrong(m,
                    "%s was lent with fence %lld and attempt %lld, not "
                    "%lld and %lld",
                    model_id(job), (long long)claim->jobs[i].fence,
                    (long long)claim->jobs[i].attempt, (long long)fence,
                    (long long)j->attempts);
}

/* Of one group and priority the first goes first; ids that a list holds twice
 * may run early. */
static bool is_behind(const struct mjob *before, const struct mjob *j)
{
    return before->group == j->group && before->priority == j->priority &&
           before->is_sure && j->is_sure && before->order > j->order;
}

static void check_order(struct model *m, const struct mclaim *claim,
                        const struct model *was)
{
    for (int i = 0; i < claim->n; i++) {
        const struct mjob *lent = &was->jobs[claim->jobs[i].job];

        for (int k = i + 1; k < claim->n; k++) {
            const struct mjob *next = &was->jobs[claim->jobs[k].job];

            if (lent->priority > next->priority)
                model_wrong(m, "%s was lent before %s of higher priority",
                            model_id(claim->jobs[i].job),
                            model_id(claim->jobs[k].job));
            if (lent->place == READY && next->place == READY &&
                is_behind(lent, next))
                model_wrong(m, "%s was lent before %s, which was there first",
                            model_id(claim->jobs[i].job),
                            model_id(claim->jobs[k].job));
        }
        for (int k = 0; k < N_JOBS; k++) {
            if (!stays_behind(m, claim, k))
                continue;
            if (m->jobs[k].priority < lent->priority)
                model_wrong(m, "%s was lent and %s of higher priority not",
                            model_id(claim->jobs[i].job), model_id(k));
            if (lent->place == READY && is_behind(lent, &was->jobs[k]))
                model_wrong(m, "%s was lent and %s, which was there first, not",
                            model_id(claim->jobs[i].job), model_id(k));
        }
    }
}

static int lent_of(const struct model *m, const struct mclaim *claim, int group,
                   int priority)
{
    int n = 0;

    for (int i = 0; i < claim->n; i++) {
        const struct mjob *j = &m->jobs[claim->jobs[i].job];

        n += j->group == group && j->priority == priority;
    }
    return n;
}

/* No group gets two turns more than one that could have had them. */
static void check_turns(struct model *m, const struct mclaim *claim)
{
    for (int k = 0; k < N_JOBS; k++) {
        const struct mjob *j = &m->jobs[k];
        int n;

        if (!stays_behind(m, claim, k))
            continue;
        n = lent_of(m, claim, j->group, j->priority);
        for (int g = NONE; g < N_GROUPS; g++)
            if (lent_of(m, claim, g, j->priority) > n + 1)
                model_wrong(m, "group %d had %d turns, that of %s had %d", g,
                            lent_of(m, claim, g, j->priority), model_id(k), n);
    }
}

/* "more" brings a pod back at once: never in vain while nothing is ready, and
 * always where it could have more. */
static void check_more(struct model *m, const struct mclaim *claim)
{
    int n_ready = model_count(m, READY);

    if (claim->more && n_ready == 0)
        model_wrong(m, "claim says more and nothing is ready");
    if (claim->more)
        return;
    if (claim->status != C_OK) {
        if (n_ready > 0)
            model_wrong(m, "claim did not say more of a %s queue",
                        claim->status == C_FULL ? "full" : "stopped");
        return;
    }
    for (int i = 0; i < N_JOBS; i++)
        if (stays_behind(m, claim, i) && claim->n < claim->limit)
            model_wrong(m, "claim left %s behind and did not say more",
                        model_id(i));
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a == 0 || b < a ? b : a;
}

/* Nobody sleeps past the next thing that happens, and nobody is woken for the
 * past. */
static void check_next_due(struct model *m, const struct mclaim *claim)
{
    int64_t most = 0;

    for (int i = 0; i < N_JOBS; i++) {
        const struct mjob *j = &m->jobs[i];
        int64_t at = j->lease_end > m->quiet_end + MODEL_TTL
                         ? j->lease_end
                         : m->quiet_end + MODEL_TTL;

        if (j->exists && j->place == SCHEDULED)
            most = earliest(most, j->due_hi);
        else if (j->exists && j->place == RUNNING)
            most = earliest(most, at);
    }
    if (m->throttled_until > m->now)
        most = earliest(most, m->throttled_until);
    if ((most == 0) != (claim->next_due == 0) ||
        (most > 0 && claim->next_due > most) ||
        (claim->next_due > 0 && claim->next_due <= m->now))
        model_wrong(m, "claim says next_due %lld, not %lld (now %lld)",
                    (long long)claim->next_due, (long long)most,
                    (long long)m->now);
}

void model_claim(struct model *m, const struct mclaim *claim)
{
    struct model was;
    int n_dead;

    model_hear(m);
    model_reclaim_expired(m, &n_dead);
    model_promote(m);
    check_status(m, claim);
    was = *m;
    for (int i = 0; i < claim->n; i++)
        lend(m, claim, i);
    check_order(m, claim, &was);
    check_turns(m, claim);
    check_next_due(m, claim);
    if (claim->status == C_OK)
        m->looked = claim->kinds; /* check_more() once this is settled */
}

void model_claim_settled(struct model *m, const struct mclaim *claim)
{
    check_more(m, claim);
}

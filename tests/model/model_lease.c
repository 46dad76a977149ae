#include "tests/model/model.h"

#include <stdio.h>

enum standing model_standing(const struct model *m, int job, int pod,
                             int64_t fence)
{
    const struct mjob *j = &m->jobs[job];

    if (!j->exists)
        return GONE;
    if (j->pod != pod || j->fence != fence)
        return STALE;
    if (j->place == RUNNING)
        return RUN;
    if (j->settled == fence || j->place == DONE)
        return SETTLED;
    /* Taken back, and nobody else has claimed it. */
    return j->place == READY || j->place == PARKED ? RUN : STALE;
}

/* Its pod spoke before anybody else claimed it: the claim counts after all,
 * and a crash that was counted does not. */
static void come_back(struct mjob *j)
{
    j->attempts++;
    if (j->took_crash)
        j->crashes--;
    j->took_crash = false;
}

static void take_out(struct mjob *j)
{
    if (j->place != RUNNING)
        come_back(j);
}

/* A number that was seen before changes nothing; a cursor that moved starts
 * attempts and crashes anew. */
static void apply_move(struct model *m, int job, const struct mmove *move)
{
    struct mjob *j = &m->jobs[job];
    int parent = model_parent_of(job);

    if (move->seq <= j->seq)
        return;
    j->seq = move->seq;
    j->attempts = 1;
    j->crashes = 0;
    if (parent != NONE && parent != BATCH) { /* sums are an import's */
        m->parents[parent].docs += move->docs - j->docs;
        if (move->reject != NONE)
            m->parents[parent].rejects[model_chunk_of(job)] |= UINT64_C(1)
                                                               << move->reject;
    }
    j->docs = move->docs;
}

static void end_done(struct model *m, int job)
{
    struct mjob *j = &m->jobs[job];
    int parent = model_parent_of(job);

    model_count_stat(m, S_DONE, 1);
    j->place = DONE;
    j->finished = j->ended_at = m->now;
    model_release_unique(m, job);
    if (parent != NONE)
        m->parents[parent].is_done[model_chunk_of(job)] = true;
    if (parent != NONE && parent != BATCH) {
        j->exists = false; /* its bit tells enough */
    } else if (m->set.retain_done_ms == 0 || m->set.retain_done_max == 0) {
        model_forget(m, job);
    }
}

static void schedule(struct mjob *j, int64_t lo, int64_t hi)
{
    j->place = SCHEDULED;
    j->due_lo = lo;
    j->due_hi = hi;
}

static int64_t backoff(int64_t base, int64_t doublings, int64_t most)
{
    while (doublings-- > 0 && base < most)
        base *= 2;
    return base < most ? base : most;
}

static void end_failed(struct model *m, int job, const char *text,
                       int64_t of_kind)
{
    struct mjob *j = &m->jobs[job];
    int64_t most = j->max_attempts > 0 ? j->max_attempts
                   : of_kind > 0       ? of_kind
                                       : m->set.max_attempts;
    int64_t delay;

    model_count_stat(m, S_FAILED, 1);
    j->n_errors += j->n_errors < 10;
    if (j->attempts >= most) {
        model_end_dead(m, job, text);
    } else if (!m->set.backoff) {
        j->ready_ms = m->now;
        model_make_ready(m, job, false);
        m->back++;
    } else {
        delay =
            backoff(m->set.backoff_base, j->attempts - 1, m->set.backoff_max);
        schedule(j, m->now + delay / 2, m->now + delay);
    }
}

/* The first throttle of a window lengthens the next one; two quiet minutes
 * behind its end forget the past. */
static int64_t cool_down(struct model *m)
{
    int64_t delay = 60000;

    if (m->throttled_until > m->now)
        return m->throttled_until;
    if (m->now - m->throttled_until > 120000)
        m->throttles = 0;
    if (m->set.backoff)
        delay = backoff(m->set.backoff_base, m->throttles, m->set.backoff_max);
    m->throttles++;
    m->throttled_until = m->now + delay;
    return m->throttled_until;
}

static void end_throttled(struct model *m, int job, int64_t delay_ms)
{
    struct mjob *j = &m->jobs[job];
    int64_t at;

    model_count_stat(m, S_THROTTLED, 1);
    j->attempts -= j->attempts > 0;
    j->throttles++;
    if (model_parent_of(job) == NONE || model_parent_of(job) == BATCH)
        at = cool_down(m);
    else
        at = m->now + (delay_ms > 0 ? delay_ms : m->set.backoff_base);
    schedule(j, at, at);
}

enum standing model_finish(struct model *m, int job, int pod, int64_t fence,
                           enum outcome outcome, const char *text,
                           int64_t delay_ms, int64_t of_kind,
                           const struct mmove *move)
{
    struct mjob *j = &m->jobs[job];
    enum standing standing = model_standing(m, job, pod, fence);

    model_count_stat(m, S_STALE, standing == STALE);
    if (standing != RUN)
        return standing;
    take_out(j);
    apply_move(m, job, move);
    if (outcome == O_DONE) { /* it wins over a late cancel */
        end_done(m, job);
        return RUN;
    }
    j->settled = fence;
    if (outcome == O_CANCELLED || j->cancel_requested) {
        model_count_stat(m, S_CANCELLED, 1);
        if (model_is_stopping(m, job))
            model_end_stopped(m, job);
        else
            model_end_dead(m, job, "cancelled by user");
        return RUN;
    }
    snprintf(j->error, sizeof(j->error), "%s", text);
    if (outcome == O_DEAD) {
        j->n_errors += j->n_errors < 10;
        model_end_dead(m, job, text);
    } else if (model_is_stopping(m, job)) {
        model_count_stat(m, S_FAILED, outcome == O_FAILED);
        j->n_errors += outcome == O_FAILED && j->n_errors < 10;
        model_end_stopped(m, job);
    } else if (outcome == O_THROTTLED) {
        end_throttled(m, job, delay_ms);
    } else {
        end_failed(m, job, text, of_kind);
    }
    return RUN;
}

enum standing model_release(struct model *m, int job, int pod, int64_t fence,
                            int64_t delay_ms, const char *why,
                            const struct mmove *move)
{
    struct mjob *j = &m->jobs[job];
    enum standing standing = model_standing(m, job, pod, fence);

    model_count_stat(m, S_STALE, standing == STALE);
    if (standing != RUN)
        return standing;
    take_out(j);
    apply_move(m, job, move);
    j->settled = fence;
    if (model_is_stopping(m, job)) {
        model_end_stopped(m, job);
        return RUN;
    }
    if (j->cancel_requested) {
        model_count_stat(m, S_CANCELLED, 1);
        model_end_dead(m, job, "cancelled by user");
        return RUN;
    }
    model_count_stat(m, S_RELEASED, 1);
    j->attempts -= j->attempts > 0;
    if (why[0] != '\0')
        snprintf(j->error, sizeof(j->error), "%s", why);
    if (delay_ms > 0) {
        schedule(j, m->now + delay_ms, m->now + delay_ms);
        return RUN;
    }
    j->ready_ms = m->now;
    m->front--;
    model_make_ready(m, job, true);
    return RUN;
}

/* A job that was taken back runs again only where the caps have room. */
enum renewed model_renew(struct model *m, int job, int pod, int64_t fence,
                         const struct mmove *move)
{
    struct mjob *j = &m->jobs[job];
    enum standing standing = model_standing(m, job, pod, fence);
    bool has_room =
        j->place == RUNNING || (model_count(m, RUNNING) < m->set.cap &&
                                model_has_group_room(m, j->group));

    if (standing != RUN || !has_room) {
        model_count_stat(m, S_STALE, standing != SETTLED);
        return RENEWED_LOST;
    }
    take_out(j);
    j->place = RUNNING;
    j->lease_end = m->now + MODEL_TTL;
    apply_move(m, job, move);
    return j->cancel_requested || model_is_stopping(m, job) ? RENEWED_CANCEL
                                                            : RENEWED;
}

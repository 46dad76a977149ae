#include "tests/model/world_view.h"

#include <stdio.h>

/* ---- one job ---- */

static void check_number(struct world *w, const struct world_view *v, int job,
                         const char *field, int64_t fallback, int64_t should)
{
    int64_t is = world_number(v->jobs[job], field, fallback);

    if (is != should)
        model_wrong(&w->m, "%s of %s is %lld, not %lld", field, model_id(job),
                    (long long)is, (long long)should);
}

static void check_text(struct world *w, const struct world_view *v, int job,
                       const char *field, const char *should)
{
    const char *is = world_text(v->jobs[job], field);

    if (strcmp(is, should) != 0)
        model_wrong(&w->m, "%s of %s is '%s', not '%s'", field, model_id(job),
                    is, should);
}

static int n_errors(const char *errors)
{
    int n = 0;

    while ((errors = strstr(errors, "\"at_ms\"")) != NULL) {
        errors++;
        n++;
    }
    return n;
}

static void check_numbers(struct world *w, const struct world_view *v, int job)
{
    const struct mjob *j = &w->m.jobs[job];
    bool has_ended = j->place == DONE || j->place == DEAD;
    const struct {
        const char *field;
        int64_t fallback, should;
    } numbers[] = {
        {"priority", 5, j->priority},
        {"own", 0, j->own},
        {"attempts", 0, j->attempts},
        {"crashes", 0, j->crashes},
        {"throttles", 0, j->throttles},
        {"max_attempts", 0, j->max_attempts},
        {"fence", 0, j->fence},
        {"settled", 0, j->settled},
        {"seq", 0, j->seq},
        {"created_ms", 0, j->created},
        {"ready_ms", 0, j->ready_ms},
        {"started_ms", 0, j->started},
        {"expires_ms", 0, j->expires},
        {"finished_ms", 0, has_ended ? j->finished : 0},
        {"chunk", -1, model_chunk_of(job)},
    };

    for (size_t i = 0; i < MS_COUNT_OF(numbers); i++)
        check_number(w, v, job, numbers[i].field, numbers[i].fallback,
                     numbers[i].should);
    if (!has_ended)
        check_number(w, v, job, "cancel_requested", 0, j->cancel_requested);
}

static void check_job(struct world *w, const struct world_view *v, int job)
{
    const struct mjob *j = &w->m.jobs[job];
    int parent = model_parent_of(job);
    char sums[32];

    if (world_has(v->jobs[job]) != j->exists) {
        model_wrong(&w->m, "%s %s", model_id(job),
                    j->exists ? "is gone" : "is there still");
        return;
    }
    if (!j->exists)
        return;
    check_text(w, v, job, "state", model_state_name(j->place));
    check_text(w, v, job, "kind", model_kinds[j->kind]);
    check_text(w, v, job, "group",
               j->group == NONE ? "" : model_groups[j->group]);
    check_text(w, v, job, "unique",
               j->unique == NONE ? "" : model_uniques[j->unique]);
    check_text(w, v, job, "pod", j->pod == NONE ? "" : model_pods[j->pod]);
    check_text(w, v, job, "parent",
               parent == NONE ? "" : model_id(model_parent_job(parent)));
    check_text(w, v, job, "error", j->error);
    snprintf(sums, sizeof(sums), "docs=%lld ", (long long)j->docs);
    check_text(w, v, job, "sums", j->seq > 0 ? sums : "");
    check_text(w, v, job, "phase", j->phase == NULL ? "" : j->phase);
    check_numbers(w, v, job);
    if (n_errors(world_text(v->jobs[job], "errors")) != j->n_errors)
        model_wrong(&w->m, "%s has not %d errors", model_id(job), j->n_errors);
}

/* ---- places ---- */

/* The set holds the jobs of one place and nothing else; `score` tells what
 * stands beside each, NULL: anything. */
static void check_zset(struct world *w, const char *name,
                       const struct ms_reply *zset, enum place place,
                       int64_t (*score)(const struct mjob *j))
{
    if (zset->n_items / 2 != (size_t)model_count(&w->m, place))
        model_wrong(&w->m, "%s holds %zu jobs, not %d", name, zset->n_items / 2,
                    model_count(&w->m, place));
    for (int i = 0; i < N_JOBS; i++) {
        const struct mjob *j = &w->m.jobs[i];
        int64_t is;

        if (!j->exists || j->place != place)
            continue;
        is = world_score(zset, model_id(i));
        if (is == -1)
            model_wrong(&w->m, "%s does not hold %s", name, model_id(i));
        else if (score != NULL && is != score(j))
            model_wrong(&w->m, "%s holds %s at %lld, not at %lld", name,
                        model_id(i), (long long)is, (long long)score(j));
    }
}

static int64_t due_of(const struct mjob *j)
{
    return j->due_lo;
}

static int64_t lease_of(const struct mjob *j)
{
    return j->lease_end;
}

static int64_t end_of(const struct mjob *j)
{
    return j->ended_at;
}

static int64_t parked_of(const struct mjob *j)
{
    return j->parked_ms;
}

static void check_parked(struct world *w, const struct world_view *v)
{
    size_t n = 0;
    size_t n_kinds = 0;

    check_zset(w, "parked", v->parked, PARKED, parked_of);
    for (int kind = 0; kind < N_KINDS; kind++) {
        n += v->by_kind[kind]->n_items / 2;
        n_kinds += world_has(v->by_kind[kind]);
        if (world_times(v->parked_kinds, model_kinds[kind]) !=
            world_has(v->by_kind[kind]))
            model_wrong(&w->m, "parked_kinds and parked:%s differ",
                        model_kinds[kind]);
    }
    for (int i = 0; i < N_JOBS; i++)
        if (w->m.jobs[i].exists && w->m.jobs[i].place == PARKED &&
            world_score(v->by_kind[w->m.jobs[i].kind], model_id(i)) < 0)
            model_wrong(&w->m, "%s is not parked by its kind", model_id(i));
    if (n != v->parked->n_items / 2 || n_kinds != v->parked_kinds->n_items)
        model_wrong(&w->m, "parked holds %zu jobs, by kind %zu",
                    v->parked->n_items / 2, n);
}

static void check_held(struct world *w, const struct world_view *v)
{
    for (int pod = 0; pod < N_PODS; pod++)
        if (v->held[pod]->n_items != (size_t)model_pod_of(&w->m, pod))
            model_wrong(&w->m, "%s holds %zu jobs, not %d", model_pods[pod],
                        v->held[pod]->n_items, model_pod_of(&w->m, pod));
    for (int i = 0; i < N_JOBS; i++)
        if (w->m.jobs[i].exists && w->m.jobs[i].place == RUNNING &&
            world_times(v->held[w->m.jobs[i].pod], model_id(i)) != 1)
            model_wrong(&w->m, "%s is not held by its pod", model_id(i));
    for (int g = 0; g < N_GROUPS; g++)
        if (world_number(v->running, model_groups[g], 0) !=
            model_running_of(&w->m, g))
            model_wrong(&w->m, "of group %s %lld run, they say, not %d",
                        model_groups[g],
                        (long long)world_number(v->running, model_groups[g], 0),
                        model_running_of(&w->m, g));
}

static void check_lists(struct world *w, const struct world_view *v)
{
    for (int p = 0; p <= 9; p++)
        for (int g = 0; g <= N_GROUPS; g++) {
            const char *name = g == N_GROUPS ? "-" : model_groups[g];

            if (world_times(v->rings[p], name) != world_has(v->lists[p][g]))
                model_wrong(&w->m, "ring:%d and ready:%d:%s differ", p, p,
                            name);
        }
    for (int i = 0; i < N_JOBS; i++) {
        struct mjob *j = &w->m.jobs[i];
        int group = j->group == NONE ? N_GROUPS : j->group;
        int n;

        if (!j->exists)
            continue;
        n = world_times(v->lists[j->priority][group], model_id(i));
        j->is_sure = n == (j->place == READY);
        if (n == 0 && j->place == READY)
            model_wrong(&w->m, "%s is in no list", model_id(i));
    }
}

static void check_depth(struct world *w, const struct world_view *v)
{
    int by_kind[N_KINDS] = {0};

    for (int i = 0; i < N_JOBS; i++)
        by_kind[w->m.jobs[i].kind] +=
            w->m.jobs[i].exists && w->m.jobs[i].place == READY;
    for (int kind = 0; kind < N_KINDS; kind++)
        if (world_number(v->depth, model_kinds[kind], 0) != by_kind[kind])
            model_wrong(&w->m, "depth of kind %s is %lld, not %d",
                        model_kinds[kind],
                        (long long)world_number(v->depth, model_kinds[kind], 0),
                        by_kind[kind]);
    if (world_number(v->depth, "-", 0) != model_count(&w->m, READY))
        model_wrong(&w->m, "depth is %lld, not %d",
                    (long long)world_number(v->depth, "-", 0),
                    model_count(&w->m, READY));
}

/* ---- what belongs to a parent ---- */

static void check_rejects(struct world *w, const struct world_view *v,
                          int parent)
{
    int n = 0;

    for (int c = 0; c < N_CHUNKS; c++)
        n += __builtin_popcountll(w->m.parents[parent].rejects[c]);
    if ((size_t)n != v->rejects[parent]->n_items / 2)
        model_wrong(&w->m, "P%d has %zu rejects, not %d", parent,
                    v->rejects[parent]->n_items / 2, n);
}

static void check_bits(struct world *w, const struct world_view *v, int parent)
{
    const struct ms_reply *bits = ms_reply_at(v->bits[parent], 0);
    int byte = bits->len > 0 ? (unsigned char)bits->str[0] : 0;

    for (int c = 0; c < N_CHUNKS; c++)
        if (((byte >> (7 - c)) & 1) != w->m.parents[parent].is_done[c])
            model_wrong(&w->m, "the bit of P%d.%d is wrong", parent, c);
}

static void check_batch(struct world *w, const struct world_view *v)
{
    const struct mparent *p = &w->m.parents[BATCH];
    const struct {
        const char *field;
        int64_t should;
    } numbers[] = {{"deleted", p->n_deleted},
                   {"stopped", p->n_stopped},
                   {"sealed", p->is_sealed},
                   {"stopping", p->is_stopping},
                   {"reviving", p->is_reviving},
                   {"ended", p->has_ended},
                   {"swept_to", 0}};

    for (size_t i = 0; i < MS_COUNT_OF(numbers); i++)
        if (world_number(v->tally[BATCH], numbers[i].field, 0) !=
            numbers[i].should)
            model_wrong(&w->m, "tally of the batch: %s is %lld, not %lld",
                        numbers[i].field,
                        (long long)world_number(v->tally[BATCH],
                                                numbers[i].field, 0),
                        (long long)numbers[i].should);
}

static void check_tally(struct world *w, const struct world_view *v, int parent)
{
    static const char *const places[] = {"ready", "running", "done", "dead"};
    const struct mparent *p = &w->m.parents[parent];
    int at = model_parent_job(parent);
    int should[4] = {0};

    if (!w->m.jobs[at].exists) {
        if (world_has(v->tally[parent]) || world_has(v->bits[parent]) ||
            world_has(v->rejects[parent]))
            model_wrong(&w->m, "what belongs to P%d has outlived it", parent);
        return;
    }
    for (int c = 0; c < N_CHUNKS; c++) {
        const struct mjob *j = &w->m.jobs[at + 1 + c];

        should[2] += p->is_done[c];
        if (j->exists)
            should[j->place == RUNNING ? 1 : 0] +=
                j->place != DEAD && j->place != DONE;
    }
    should[3] = (int)p->n_dead;
    for (int i = 0; i < 4; i++)
        if (world_number(v->tally[parent], places[i], 0) != should[i])
            model_wrong(&w->m, "tally of P%d has %lld %s, not %d", parent,
                        (long long)world_number(v->tally[parent], places[i], 0),
                        places[i], should[i]);
    if (world_number(v->tally[parent], "planned", 0) != p->planned ||
        world_number(v->tally[parent], "docs", 0) != p->docs)
        model_wrong(&w->m, "tally of P%d: planned or docs is wrong", parent);
    if (parent == BATCH)
        check_batch(w, v);
    check_bits(w, v, parent);
    check_rejects(w, v, parent);
}

/* ---- names that are taken ---- */

static void check_locks(struct world *w, const struct world_view *v)
{
    for (int u = 0; u < N_UNIQUES; u++) {
        int job = w->m.locks[u].job;
        const char *is = ms_reply_str(ms_reply_at(v->locks[u], 0), "");
        int64_t left = ms_reply_int(ms_reply_at(v->locks[u], 1), -1);
        const char *should = job == NONE ? "" : model_id(job);

        if (strcmp(is, should) != 0)
            model_wrong(&w->m, "unique key %s is held by '%s', not '%s'",
                        model_uniques[u], is, should);
        if (job != NONE &&
            left !=
                (w->m.locks[u].until > 0 ? w->m.locks[u].until - w->m.now : -1))
            model_wrong(&w->m, "unique key %s has %lld ms left",
                        model_uniques[u], (long long)left);
    }
    for (int i = 0; i < N_JOBS; i++)
        if (world_has(v->gone[i]) != (w->m.gone_until[i] > 0))
            model_wrong(&w->m, "the id %s is %sremembered", model_id(i),
                        world_has(v->gone[i]) ? "" : "not ");
}

static void check_totals(struct world *w, const struct world_view *v)
{
    const struct {
        const char *field;
        int64_t should;
    } metas[] = {{"quiet_end_ms", w->m.quiet_end},
                 {"throttled_until_ms", w->m.throttled_until},
                 {"throttles", w->m.throttles},
                 {"epoch", w->m.epoch}};

    for (int i = 0; i < N_STATS; i++)
        if (world_number(v->stats, model_stats[i], 0) != w->m.stats[i])
            model_wrong(&w->m, "%s is %lld in all, not %lld", model_stats[i],
                        (long long)world_number(v->stats, model_stats[i], 0),
                        (long long)w->m.stats[i]);
    for (size_t i = 0; i < MS_COUNT_OF(metas); i++)
        if (world_number(v->meta, metas[i].field, 0) != metas[i].should)
            model_wrong(&w->m, "%s is %lld, not %lld", metas[i].field,
                        (long long)world_number(v->meta, metas[i].field, 0),
                        (long long)metas[i].should);
}

/* Whatever makes work claimable pushes a token, or tells the pod that asks. */
static void check_wake(struct world *w, const struct world_view *v)
{
    bool told = w->has_claim && w->claim.more;

    if (v->wake->n_items > 16)
        model_wrong(&w->m, "%zu wake-up tokens", v->wake->n_items);
    if (!w->was_claimable && model_is_claimable(&w->m) && !w->time_passed &&
        !told && w->n_tokens == 0)
        model_wrong(&w->m, "there is work now, and nobody was woken");
}

void world_compare(struct world *w)
{
    struct world_view v;

    if (w->m.wrong[0] != '\0' || !world_look(w, &v))
        return;
    world_adopt(&w->m, &v);
    if (w->has_claim)
        model_claim_settled(&w->m, &w->claim);
    model_settle(&w->m);
    for (int i = 0; i < N_JOBS; i++)
        check_job(w, &v, i);
    check_zset(w, "scheduled", v.scheduled, SCHEDULED, due_of);
    check_zset(w, "leases", v.leases, RUNNING, lease_of);
    check_zset(w, "waiting", v.waiting, WAITING, NULL);
    check_zset(w, "done", v.done, DONE, end_of);
    check_zset(w, "dead", v.dead, DEAD, end_of);
    check_parked(w, &v);
    check_held(w, &v);
    check_lists(w, &v);
    check_depth(w, &v);
    for (int i = 0; i < N_PARENTS; i++)
        check_tally(w, &v, i);
    check_locks(w, &v);
    check_totals(w, &v);
    check_wake(w, &v);
}

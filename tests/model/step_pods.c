#include "tests/model/steps.h"

#include "tests/support/clock.h"

int any_pod(struct world *w)
{
    return (int)below(w, N_PODS);
}

/* A job that was taken back from this pod, and that nobody else has yet. */
static const struct belief *taken_back(const struct world *w, int pod)
{
    for (size_t i = w->n_known[pod]; i-- > 0;) {
        const struct belief *b = &w->known[pod][i];

        if (model_standing(&w->m, b->job, pod, b->fence) == RUN &&
            w->m.jobs[b->job].place != RUNNING)
            return b;
    }
    return NULL;
}

static int who_comes_back(struct world *w)
{
    int pod = any_pod(w);

    for (int i = 0; i < N_PODS && taken_back(w, pod) == NULL; i++)
        pod = (pod + 1) % N_PODS;
    return pod;
}

/* Something this pod was lent once, most often the newest; or a guess. */
static struct belief believe(struct world *w, int pod)
{
    const struct belief *back_again = taken_back(w, pod);
    size_t n = w->n_known[pod];
    unsigned back;

    if (back_again != NULL && !one_in(w, 3))
        return *back_again;

    if (n == 0 || one_in(w, 16))
        return (struct belief){any_job(w), w->m.now};
    back = one_in(w, 3) ? below(w, (unsigned)n) : below(w, n < 3 ? n : 3);
    return w->known[pod][n - 1 - back];
}

static void learn(struct world *w, int pod)
{
    for (size_t i = 0; i < w->core->answer.n_jobs; i++) {
        struct belief *known = w->known[pod];

        if (w->n_known[pod] == BELIEFS_MAX)
            memmove(known, known + 1, --w->n_known[pod] * sizeof(*known));
        known[w->n_known[pod]++] =
            (struct belief){model_job_of(w->core->jobs[i].id),
                            w->core->jobs[i].fence};
    }
}

/* ---- claim ---- */

static const char *any_kinds(struct world *w)
{
    static const char *const kinds[] = {EVERYTHING, EVERYTHING, ",k,chunk,",
                                        ",x*,", ",k,y,chunk,"};

    return kinds[below(w, MS_COUNT_OF(kinds))];
}

static void note_claim(struct world *w, int pod, int limit, const char *kinds)
{
    const struct ms_claim_answer *a = &w->core->answer;

    w->has_claim = true;
    w->claim = (struct mclaim){.pod = pod,
                               .limit = limit,
                               .kinds = kinds,
                               .status = (enum mclaim_status)a->status,
                               .more = a->more,
                               .now = a->now_ms,
                               .next_due = a->next_due_ms,
                               .cap = a->max_workers,
                               .n = (int)a->n_jobs};
    say(w, " ->");
    for (int i = 0; i < w->claim.n && i < 64; i++) {
        const struct ms_core_job *job = &w->core->jobs[i];
        int at = model_job_of(job->id);

        if (at == NONE) {
            model_wrong(&w->m, "claim lent '%s'", job->id);
            at = 0;
        }
        w->claim.jobs[i].job = at;
        w->claim.jobs[i].fence = job->fence;
        w->claim.jobs[i].attempt = job->attempt;
        say(w, " %s", job->id);
    }
    say(w, "%s", w->claim.more ? " (more)" : "");
    learn(w, pod);
    model_claim(&w->m, &w->claim);
}

void claim_as(struct world *w, int pod, int limit, const char *kinds)
{
    say(w, "%s claims %d of %s", model_pods[pod], limit, kinds);
    w->core->kinds = kinds;
    ms_core_claim(w->core, model_pods[pod], limit);
    note_claim(w, pod, limit, kinds);
}

void step_claim(struct world *w)
{
    int pod = any_pod(w);
    int limit = (int)below(w, 4) + 1;

    claim_as(w, pod, limit, any_kinds(w));
}

/* ---- finish, renew, release ---- */

/* Most often none; else a new one, or one that was told before. */
static struct mmove any_move(struct world *w, int job)
{
    int64_t told = w->m.jobs[job].seq;
    struct mmove move = {0, below(w, 100),
                         one_in(w, 3) ? (int)below(w, 64) : NONE};

    if (!one_in(w, 3))
        return (struct mmove){0, 0, NONE};
    if (told > 0 && one_in(w, 2))
        move.seq = told > 1 && one_in(w, 3) ? told - 1 : told;
    else
        move.seq = ++w->seq;
    return move;
}

struct told_move {
    struct ms_lease_sum sum;
    struct ms_lease_reject reject;
};

static struct ms_lease_move as_move(const struct mmove *move,
                                    struct told_move *told)
{
    if (move->seq == 0)
        return NO_MOVE;
    told->sum = (struct ms_lease_sum){"docs", move->docs};
    told->reject = (struct ms_lease_reject){move->reject, "bad"};
    return (struct ms_lease_move){.seq = move->seq,
                                  .cursor = "c",
                                  .cursor_len = 1,
                                  .progress = -1,
                                  .sums = &told->sum,
                                  .n_sums = 1,
                                  .rejects = &told->reject,
                                  .n_rejects = move->reject != NONE};
}

static void say_believed(struct world *w, const struct belief *b,
                         const struct mmove *move)
{
    say(w, " %s@%lld", model_id(b->job), (long long)(b->fence - w->m.now));
    if (move->seq > 0)
        say(w, " seq=%lld docs=%lld", (long long)move->seq,
            (long long)move->docs);
}

static bool is_named(const struct belief *of, size_t n, int job)
{
    for (size_t i = 0; i < n; i++)
        if (of[i].job == job)
            return true;
    return false;
}

static void expect_standing(struct world *w, int job, enum ms_finish_status is,
                            enum standing standing)
{
    static const char *const words[] = {"ok", "gone", "stale"};
    static const enum ms_finish_status as[] = {[GONE] = MS_FINISH_GONE,
                                               [STALE] = MS_FINISH_STALE,
                                               [SETTLED] = MS_FINISH_OK,
                                               [RUN] = MS_FINISH_OK};

    say(w, " %s", words[is]);
    if (is != as[standing])
        model_wrong(&w->m, "%s is told %s, not %s", model_id(job), words[is],
                    words[as[standing]]);
}

void step_finish(struct world *w)
{
    static const char *const names[] = {"done", "failed", "dead", "cancelled",
                                        "throttled"};
    int pod = any_pod(w);
    int limit = one_in(w, 2) ? 0 : (int)below(w, 4);
    const char *kinds = any_kinds(w);
    struct ms_finish jobs[3];
    enum ms_finish_status is[3] = {MS_FINISH_OK, MS_FINISH_OK, MS_FINISH_OK};
    struct belief of[3];
    struct mmove moves[3];
    struct told_move told[3];
    char ids[3][16];
    size_t n = below(w, 3) + 1;

    say(w, "%s finishes", model_pods[pod]);
    for (size_t i = 0; i < n; i++) {
        enum ms_finish_kind kind =
            one_in(w, 2) ? MS_FINISH_DONE : (enum ms_finish_kind)below(w, 5);

        of[i] = believe(w, pod);
        moves[i] = any_move(w, of[i].job);
        strcpy(ids[i], model_id(of[i].job));
        say_believed(w, &of[i], &moves[i]);
        say(w, " %s", names[kind]);
        jobs[i] = (struct ms_finish){
            .id = ids[i],
            .fence = of[i].fence,
            .kind = kind,
            .text = "text",
            .text_len = 4,
            .delay_ms = one_in(w, 2) ? 7000 : 0,
            .move = as_move(&moves[i], &told[i]),
            .max_attempts = below(w, 3),
        };
    }
    w->core->kinds = kinds;
    ms_core_finish_all(w->core, model_pods[pod], jobs, n, limit, is);
    say(w, " ->");
    for (size_t i = 0; i < n; i++)
        if (!is_named(of, i, of[i].job)) /* twice: the first stands */
            expect_standing(w, of[i].job, is[i],
                            model_finish(&w->m, of[i].job, pod, of[i].fence,
                                         (enum outcome)jobs[i].kind, "text",
                                         jobs[i].delay_ms, jobs[i].max_attempts,
                                         &moves[i]));
    if (limit > 0) {
        say(w, ", claims %d of %s", limit, kinds);
        note_claim(w, pod, limit, kinds);
    } else {
        model_hear(&w->m);
    }
}

/* The second list: leases that the call did not mention. */
static void check_unmentioned(struct world *w, int pod, const struct belief *of,
                              size_t n)
{
    size_t n_should = 0;

    for (int i = 0; i < N_JOBS; i++) {
        const struct mjob *j = &w->m.jobs[i];

        n_should += j->exists && j->place == RUNNING && j->pod == pod &&
                    !is_named(of, n, i);
    }
    expect_int(w, "renew's unmentioned", (int64_t)w->core->n_unmentioned,
               (int64_t)n_should);
    for (size_t i = 0; i < w->core->n_unmentioned; i++) {
        int job = model_job_of(w->core->unmentioned[i].id);

        if (job == NONE || w->m.jobs[job].pod != pod ||
            w->core->unmentioned[i].fence != w->m.jobs[job].fence)
            model_wrong(&w->m, "renew names %s", w->core->unmentioned[i].id);
    }
}

void step_renew(struct world *w)
{
    static const char *const words[] = {"ok", "cancel", "lost"};
    int pod = who_comes_back(w);
    struct ms_renewal jobs[3];
    enum ms_renew_status is[3] = {MS_RENEW_OK, MS_RENEW_OK, MS_RENEW_OK};
    struct belief of[3];
    struct mmove moves[3];
    struct told_move told[3];
    char ids[3][16];
    size_t n = below(w, 4);

    say(w, "%s renews", model_pods[pod]);
    for (size_t i = 0; i < n; i++) {
        of[i] = believe(w, pod);
        moves[i] = any_move(w, of[i].job);
        strcpy(ids[i], model_id(of[i].job));
        say_believed(w, &of[i], &moves[i]);
        jobs[i] = (struct ms_renewal){ids[i], of[i].fence,
                                      as_move(&moves[i], &told[i])};
    }
    ms_core_renew_all(w->core, model_pods[pod], jobs, n, is);
    model_hear(&w->m);
    say(w, " ->");
    for (size_t i = 0; i < n; i++) {
        if (is_named(of, i, of[i].job))
            continue;
        say(w, " %s", words[is[i]]);
        expect_str(
            w, "renew", words[is[i]],
            words[model_renew(&w->m, of[i].job, pod, of[i].fence, &moves[i])]);
    }
    check_unmentioned(w, pod, of, n);
}

void step_release(struct world *w)
{
    int pod = any_pod(w);
    struct belief of = believe(w, pod);
    struct mmove move = any_move(w, of.job);
    struct told_move told;
    struct ms_release release = {model_id(of.job), of.fence,
                                 one_in(w, 3) ? 5000 : 0,
                                 one_in(w, 2) ? "why" : "",
                                 as_move(&move, &told)};

    say(w, "%s releases", model_pods[pod]);
    say_believed(w, &of, &move);
    say(w, " delay=%lld ->", (long long)release.delay_ms);
    model_hear(&w->m);
    expect_standing(w, of.job,
                    ms_core_release_with(w->core, model_pods[pod], &release),
                    model_release(&w->m, of.job, pod, of.fence,
                                  release.delay_ms, release.why, &move));
}

/* ---- time ---- */

/* What has expired is gone for good when somebody asks for it: a clock that is
 * set back brings back only what nobody asked for. */
static void ask_for_all(struct world *w)
{
    for (int i = 0; i < N_JOBS; i++)
        ms_test_cmd(w->core->redis, "EXISTS " K("gone:%s"), model_id(i));
    for (int i = 0; i < N_KINDS; i++)
        ms_test_cmd(w->core->redis, "EXISTS " K("handled:%s"), model_kinds[i]);
    for (int i = 0; i < N_UNIQUES; i++)
        ms_test_cmd(w->core->redis, "EXISTS " K("unique:%s"), model_uniques[i]);
    ms_test_cmd(w->core->redis, "EXISTS %s %s", K("token:T0"), K("token:T1"));
}

void step_time(struct world *w)
{
    static const int64_t steps[] = {1,     20,     999,    1000,  4000,  5000,
                                    9000,  10000,  14000,  16000, 30000, 31000,
                                    60000, 121000, 599000, 600001};
    int64_t ms = steps[below(w, one_in(w, 3) ? MS_COUNT_OF(steps) : 10)];

    if (one_in(w, 40)) { /* someone set Redis's clock back */
        ms = -ms;
        ask_for_all(w);
    } else if (one_in(w, 60)) {
        ms = INT64_C(2592000000); /* 30 days */
    }
    say(w, "%lld ms pass", (long long)ms);
    ms_test_clock_set(w->m.now + ms);
    model_pass_time(&w->m, w->m.now + ms);
    w->time_passed = true;
}

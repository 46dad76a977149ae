/* keep: how a station keeps its leases (renew) and hands jobs back
 * (release). */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "worker/station_internal.h"

struct ms_lease_move ms_station_move(const struct ms_checkpoint *checkpoint,
                                     struct ms_lease_sum *out_sums,
                                     struct ms_lease_reject **out_rejects)
{
    struct ms_lease_reject *rejects =
        ms_xcalloc(checkpoint->n_rejects, sizeof(*rejects));

    for (size_t i = 0; i < checkpoint->n_sums; i++)
        out_sums[i] = (struct ms_lease_sum){checkpoint->sums[i].name,
                                            checkpoint->sums[i].value};
    for (size_t i = 0; i < checkpoint->n_rejects; i++)
        rejects[i] = (struct ms_lease_reject){checkpoint->rejects[i].offset,
                                              checkpoint->rejects[i].reason};
    *out_rejects = rejects;
    return (struct ms_lease_move){
        .seq = checkpoint->cursor.data == NULL ? 0 : checkpoint->seq,
        .cursor = checkpoint->cursor.data,
        .cursor_len = checkpoint->cursor.len,
        .progress = checkpoint->progress,
        .sums = out_sums,
        .n_sums = checkpoint->n_sums,
        .rejects = rejects,
        .n_rejects = checkpoint->n_rejects,
    };
}

/* ---- renew ---- */

/* A renewal that did not arrive: what it carried goes with the next. */
void ms_station_take_back(struct ms_held *held)
{
    if (!held->is_sending)
        return;
    if (held->has_pending)
        ms_checkpoint_merge(&held->sending, &held->pending);
    held->pending = held->sending;
    memset(&held->sending, 0, sizeof(held->sending));
    held->has_pending = true;
    held->is_sending = false;
}

/* The jobs of a renewal under way can end and be freed meanwhile, so they are
 * looked up again by id. */
struct renewed_job {
    char *id;
    int64_t fence, seq;
};

struct renew_walk {
    struct ms_station *station;
    struct renewed_job *jobs;
    size_t n_jobs;
    bool complete;
};

static struct ms_held *find_renewed(struct renew_walk *walk, size_t i)
{
    struct ms_held *held = ms_station_find(walk->station, walk->jobs[i].id);

    return held != NULL && held->fence == walk->jobs[i].fence ? held : NULL;
}

static void on_renewed_job(size_t i, enum ms_renew_status status, void *arg)
{
    struct renew_walk *walk = arg;
    struct ms_station *st = walk->station;
    struct ms_held *held = find_renewed(walk, i);
    bool sent;

    if (held == NULL)
        return;
    sent = held->is_sending;
    if (sent) {
        ms_checkpoint_done(&held->sending);
        held->is_sending = false;
    }
    if (held->state == MS_HELD_ENDED)
        return; /* its finish was faster, or will be refused */
    if (status == MS_RENEW_LOST) {
        ms_station_lose(st, held);
        return;
    }
    if (sent && held->state == MS_HELD_RUNNING)
        ms_slots_committed(st->env->slots, held, walk->jobs[i].seq);
    if (status == MS_RENEW_CANCEL)
        ms_station_cancel(st, held->id);
}

/* A claim whose answer was lost: nobody runs it, so it goes back. */
static void on_unmentioned(const char *id, int64_t fence, void *arg)
{
    struct renew_walk *walk = arg;
    struct ms_station *st = walk->station;
    struct ms_held *held;

    if (ms_station_find(st, id) != NULL)
        return;
    ms_log(MS_INFO, "station", "unmentioned", "queue=%s job=%s", st->queue, id);
    held = ms_xcalloc(1, sizeof(*held));
    held->station = st;
    held->state = MS_HELD_ENDED;
    held->id = ms_xstrdup(id);
    held->fence = fence;
    held->ending.outcome = MS_RELEASED;
    ms_joblist_push(&st->back, held);
}

static void walk_free(struct renew_walk *walk)
{
    for (size_t i = 0; i < walk->n_jobs; i++)
        free(walk->jobs[i].id);
    free(walk->jobs);
    free(walk);
}

static void renew_failed(struct renew_walk *walk, enum ms_err err,
                         const char *why)
{
    struct ms_station *st = walk->station;
    char text[256];

    for (size_t i = 0; i < walk->n_jobs; i++) {
        struct ms_held *held = find_renewed(walk, i);

        if (held != NULL)
            ms_station_take_back(held);
    }
    st->renew_all = true;
    if (err == MS_EDOWN)
        return;
    ms_log(MS_WARN, "station", "renew_failed", "queue=%s err=%s why=%s",
           st->queue, ms_err_name(err), ms_log_quote(why, text, sizeof(text)));
    ms_station_again(st);
}

static bool has_news(const struct ms_station *st)
{
    for (struct ms_held *held = st->running.first; held; held = held->next)
        if (held->has_pending && !held->lost)
            return true;
    return false;
}

static void on_renewed(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct renew_walk *walk = arg;
    struct ms_station *st = walk->station;
    struct ms_error error = {""};

    st->renew = NULL;
    st->walk = NULL;
    if (err == MS_OK)
        err = ms_renew_parse(reply, walk->n_jobs, on_renewed_job,
                             on_unmentioned, walk, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err != MS_OK)
        renew_failed(walk, err, error.text);
    else if (walk->complete && st->suspicious > 0)
        st->suspicious--;
    walk_free(walk);
    if (err == MS_OK && has_news(st))
        ms_station_renew(st);
    st->env->changed(st->env->arg);
}

static bool is_to_renew(const struct ms_held *held, bool all)
{
    return !held->lost && (all || held->has_pending);
}

static size_t count_to_renew(const struct ms_joblist *list, bool all)
{
    size_t n = 0;

    for (struct ms_held *held = list->first; held; held = held->next)
        n += is_to_renew(held, all);
    return n;
}

struct renew_request {
    struct ms_renewal *jobs;
    struct ms_lease_sum (*sums)[MS_SUMS_MAX];
    struct ms_lease_reject **rejects;
    size_t n, bytes;
};

static void add_renewal(struct renew_request *request, struct ms_held *held,
                        struct renew_walk *walk)
{
    struct ms_renewal *job = &request->jobs[request->n];

    job->id = held->id;
    job->fence = held->fence;
    job->move.progress = -1;
    /* One that ended takes its last checkpoint along with its finish; what is
     * too much goes with the next renewal. */
    if (held->has_pending && held->state == MS_HELD_RUNNING &&
        request->bytes < MS_STATION_BYTES_MAX) {
        request->bytes += ms_checkpoint_size(&held->pending);
        held->sending = held->pending;
        memset(&held->pending, 0, sizeof(held->pending));
        held->has_pending = false;
        held->is_sending = true;
        job->move = ms_station_move(&held->sending, request->sums[request->n],
                                    &request->rejects[request->n]);
    }
    walk->jobs[walk->n_jobs++] =
        (struct renewed_job){ms_xstrdup(held->id), held->fence,
                             held->sending.seq};
    request->n++;
}

static void add_list(struct renew_request *request,
                     const struct ms_joblist *list, bool all,
                     struct renew_walk *walk)
{
    for (struct ms_held *held = list->first; held; held = held->next)
        if (is_to_renew(held, all))
            add_renewal(request, held, walk);
}

static void send_renew(struct ms_station *st, bool all, size_t n)
{
    struct ms_tenant who = ms_station_tenant(st);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct renew_walk *walk = ms_xcalloc(1, sizeof(*walk));
    struct renew_request request = {
        .jobs = ms_xcalloc(n, sizeof(*request.jobs)),
        .sums = ms_xcalloc(n, sizeof(*request.sums)),
        .rejects = ms_xcalloc(n, sizeof(*request.rejects)),
    };

    walk->station = st;
    walk->complete = all;
    walk->jobs = ms_xcalloc(n, sizeof(*walk->jobs));
    add_list(&request, &st->running, all, walk);
    if (all) {
        add_list(&request, &st->claimed, all, walk);
        add_list(&request, &st->waiting, all, walk);
        add_list(&request, &st->ended, all, walk);
        add_list(&request, &st->back, all, walk);
    }
    ms_renew_build(&cmd, &who, st->env->ttl_ms, all, request.jobs, request.n);
    for (size_t i = 0; i < request.n; i++)
        free(request.rejects[i]);
    free(request.rejects);
    free(request.sums);
    free(request.jobs);
    st->walk = walk;
    st->renew = ms_redis_send(st->env->redis, &cmd, 0, on_renewed, walk);
}

void ms_station_renew(struct ms_station *st)
{
    bool all = st->renew_all;
    size_t n;

    if (st->renew != NULL || !ms_redis_is_up(st->env->redis) ||
        ev_is_active(&st->again))
        return;
    n = count_to_renew(&st->running, all);
    if (all)
        n += count_to_renew(&st->claimed, all) +
             count_to_renew(&st->waiting, all) +
             count_to_renew(&st->ended, all) + count_to_renew(&st->back, all);
    if (all)
        st->renew_all = false;
    /* With nothing held there is nothing to keep, but a claim whose answer
     * was lost is found only by asking. */
    if (n == 0 && !(all && st->suspicious > 0))
        return;
    send_renew(st, all, n);
}

void ms_station_forget_renew(struct ms_station *st)
{
    if (st->renew == NULL)
        return;
    ms_redis_cancel(st->renew);
    st->renew = NULL;
    walk_free(st->walk);
    st->walk = NULL;
}

/* ---- release ---- */

static void on_released_job(size_t i, enum ms_finish_status status, void *arg)
{
    struct ms_station *st = arg;
    struct ms_held *held = ms_joblist_pop(&st->leaving);

    ms_assert(held != NULL);
    if (status == MS_FINISH_OK)
        ms_report_ended(st->report, held);
    ms_held_free(held);
}

static void on_released(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_station *st = arg;
    struct ms_error error = {""};
    char text[256];

    st->release = NULL;
    if (err == MS_OK)
        err = ms_release_parse(reply, (size_t)st->leaving.n, on_released_job,
                               st, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err != MS_OK) {
        ms_station_unload(st, &st->leaving, &st->back, err, &st->release_max);
        if (err != MS_EDOWN) {
            ms_log(MS_WARN, "station", "release_failed",
                   "queue=%s err=%s why=%s", st->queue, ms_err_name(err),
                   ms_log_quote(error.text, text, sizeof(text)));
            ms_station_again(st);
        }
    } else if (st->release_max < MS_CLAIM_BATCH) {
        st->release_max *= 2;
    }
    st->env->changed(st->env->arg);
}

void ms_station_release(struct ms_station *st)
{
    struct ms_tenant who = ms_station_tenant(st);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_release *jobs;
    struct ms_move_parts *parts;
    size_t n = 0;

    if (st->release != NULL || st->back.n == 0 ||
        !ms_redis_is_up(st->env->redis))
        return;
    ms_station_load(&st->back, &st->leaving, st->release_max);
    jobs = ms_xcalloc((size_t)st->leaving.n, sizeof(*jobs));
    parts = ms_xcalloc((size_t)st->leaving.n, sizeof(*parts));
    for (struct ms_held *held = st->leaving.first; held; held = held->next) {
        ms_station_take_back(held);
        jobs[n] = (struct ms_release){
            .id = held->id,
            .fence = held->fence,
            .delay_ms = held->ending.delay_ms,
            .why = held->ending.error,
            .move.progress = -1,
        };
        if (held->has_pending)
            jobs[n].move = ms_station_move(&held->pending, parts[n].sums,
                                           &parts[n].rejects);
        n++;
    }
    ms_release_build(&cmd, &who, jobs, n);
    for (size_t i = 0; i < n; i++)
        free(parts[i].rejects);
    free(parts);
    free(jobs);
    st->release = ms_redis_send(st->env->redis, &cmd, 0, on_released, st);
}

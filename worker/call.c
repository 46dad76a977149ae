/* call: a station's conversation of claim and finish, one call at a time. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/station_internal.h"

/* ---- a claimed job ---- */

static struct ms_bytes copy_bytes(const struct ms_reply *reply)
{
    struct ms_bytes bytes = {NULL, 0};

    if (reply->type == MS_REPLY_STR) {
        bytes.data = ms_xstrndup(reply->str, reply->len);
        bytes.len = reply->len;
    }
    return bytes;
}

/* "docs=5 bytes=210", as _move.lua keeps it. */
static size_t parse_sums(const char *text, struct ms_sum *out_sums)
{
    size_t n = 0;
    int used;

    while (n < MS_SUMS_MAX &&
           sscanf(text, "%15[^=]=%" SCNd64 " %n", out_sums[n].name,
                  &out_sums[n].value, &used) == 2) {
        text += used;
        n++;
    }
    return n;
}

/* What `kinds:` says; NULL: nothing. */
static const struct ms_kind_conf *rule_of(const struct ms_station *st,
                                          const char *kind)
{
    const struct ms_conf *conf = st->env->conf;

    return conf == NULL ? NULL : ms_conf_kind(conf, kind);
}

/* The job's own, else its kind's, else the queue's, which the claim put in. */
static int64_t timeout_of(const struct ms_station *st, const char *kind,
                          const struct ms_claimed *claimed)
{
    const struct ms_kind_conf *rule = rule_of(st, kind);
    int64_t own =
        ms_reply_int(ms_reply_field(claimed->fields, "timeout_ms"), 0);

    if (own > 0 || rule == NULL || rule->timeout_ms <= 0)
        return claimed->timeout_ms;
    return rule->timeout_ms;
}

/* A fence is the moment of its claim by Redis's clock, or a little more. */
static int64_t waited_of(const struct ms_claimed *claimed)
{
    int64_t created =
        ms_reply_int(ms_reply_field(claimed->fields, "created_ms"), 0);
    int64_t ready =
        ms_reply_int(ms_reply_field(claimed->fields, "ready_ms"), created);

    return ready > 0 && ready < claimed->fence ? claimed->fence - ready : 0;
}

static struct ms_held *make_held(struct ms_station *st,
                                 const struct ms_claimed *claimed)
{
    const struct ms_reply *fields = claimed->fields;
    const struct ms_reply *parent = ms_reply_field(fields, "parent");
    struct ms_held *held = ms_xcalloc(1, sizeof(*held));

    held->station = st;
    held->id = ms_xstrdup(claimed->id);
    held->queue = ms_xstrdup(st->queue);
    held->kind = ms_xstrdup(ms_reply_str(ms_reply_field(fields, "kind"), ""));
    held->payload = copy_bytes(ms_reply_field(fields, "payload"));
    held->json = ms_reply_is(ms_reply_field(fields, "enc"), "json");
    held->attempt = claimed->attempt;
    held->fence = claimed->fence;
    held->timeout_ms = timeout_of(st, held->kind, claimed);
    held->cursor = copy_bytes(ms_reply_field(fields, "cursor"));
    held->seq = ms_reply_int(ms_reply_field(fields, "seq"), 0);
    held->n_sums = parse_sums(ms_reply_str(ms_reply_field(fields, "sums"), ""),
                              held->sums);
    if (parent->type == MS_REPLY_STR)
        held->parent = ms_xstrdup(parent->str);
    held->chunk = ms_reply_int(ms_reply_field(fields, "chunk"), -1);
    held->waited_ms = waited_of(claimed);
    held->claimed_us = ms_clock_mono_us();
    return held;
}

static void on_claimed_job(const struct ms_claimed *claimed, void *arg)
{
    struct ms_station *st = arg;

    ms_station_admit(st, make_held(st, claimed));
}

static void take_answer(struct ms_station *st,
                        const struct ms_claim_answer *answer)
{
    st->max_workers = answer->max_workers;
    st->at_cap = answer->status == MS_CLAIM_FULL;
    st->env->heard_ms = ms_clock_mono_ms();
    if (answer->n_jobs > 0)
        st->empty_looks = 0;
    /* A claim that found nothing but stale ids is repeated a few times. */
    st->hungry = answer->more && answer->status == MS_CLAIM_OK &&
                 (answer->n_jobs > 0 || ++st->empty_looks < 10);
    ms_station_schedule_poll(st, answer);
    if (st->env->draining)
        ms_station_hand_back(st);
    else
        ms_station_place(st);
}

/* ---- how a call failed ---- */

/* An error may be the claim's: before a job is blamed, the outcomes go without
 * it. */
static void unload(struct ms_station *st, enum ms_err err, bool claimed)
{
    ms_station_unload(st, &st->sent, &st->ended, claimed ? MS_EBUSY : err,
                      &st->finish_max);
    if (err != MS_EDOWN && err != MS_ETIMEOUT)
        st->claim_apart = true;
}

static void call_failed(struct ms_station *st, enum ms_err err, const char *why,
                        bool claimed)
{
    char text[256];

    if (st->sent.n > 0)
        unload(st, err, claimed);
    if (claimed)
        st->suspicious = MS_STATION_SUSPICIONS;
    st->hungry = true;
    if (err == MS_EDOWN)
        return; /* the connection's return goes on from here */
    ms_log(MS_WARN, "station", "call_failed", "queue=%s err=%s why=%s",
           st->queue, ms_err_name(err), ms_log_quote(why, text, sizeof(text)));
    ms_station_again(st);
}

/* ---- claim alone ---- */

static void on_claimed(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_station *st = arg;
    struct ms_claim_answer answer;
    struct ms_error error = {""};

    st->call = NULL;
    st->env->reserved -= st->asked;
    if (err == MS_OK)
        err = ms_claim_parse(reply, &answer, on_claimed_job, st, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err == MS_OK)
        take_answer(st, &answer);
    else
        call_failed(st, err, error.text, true);
    st->env->changed(st->env->arg);
}

static void send_claim(struct ms_station *st, const struct ms_claim_ask *ask)
{
    struct ms_tenant who = ms_station_tenant(st);
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_claim_build(&cmd, &who, ask);
    st->call = ms_redis_send(st->env->redis, &cmd, 0, on_claimed, st);
}

/* ---- finish, with a claim in it ---- */

static void on_finished_job(size_t i, enum ms_finish_status status, void *arg)
{
    struct ms_station *st = arg;
    struct ms_held *held = ms_joblist_pop(&st->sent);

    ms_assert(held != NULL);
    if (status != MS_FINISH_OK && !held->lost)
        ms_log(MS_WARN, "station", "finish_refused",
               "queue=%s job=%s fence=%lld status=%s", st->queue, held->id,
               (long long)held->fence,
               status == MS_FINISH_GONE ? "gone" : "stale");
    if (status == MS_FINISH_OK)
        ms_report_ended(st->report, held);
    ms_held_free(held);
}

static void call_went_well(struct ms_station *st)
{
    st->claim_apart = false;
    st->finish_max = 2 * st->finish_max < MS_CLAIM_BATCH ? 2 * st->finish_max
                                                         : MS_CLAIM_BATCH;
}

static void on_finished(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_station *st = arg;
    struct ms_claim_answer answer;
    struct ms_error error = {""};
    int asked = st->asked;

    st->call = NULL;
    st->env->reserved -= asked;
    if (err == MS_OK)
        err = ms_finish_parse(reply, (size_t)st->sent.n, on_finished_job,
                              &answer, on_claimed_job, st, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err != MS_OK)
        call_failed(st, err, error.text, asked > 0);
    else
        call_went_well(st);
    if (err == MS_OK && asked > 0)
        take_answer(st, &answer);
    st->env->changed(st->env->arg);
}

static enum ms_finish_kind finish_kind(enum ms_outcome outcome)
{
    switch (outcome) {
    case MS_DONE:
        return MS_FINISH_DONE;
    case MS_DEAD:
        return MS_FINISH_DEAD;
    case MS_CANCELLED:
        return MS_FINISH_CANCELLED;
    case MS_THROTTLED:
        return MS_FINISH_THROTTLED;
    case MS_FAILED:
    case MS_RELEASED:
        break;
    }
    return MS_FINISH_FAILED;
}

static void describe_finish(const struct ms_station *st, struct ms_held *held,
                            struct ms_move_parts *parts, struct ms_finish *out)
{
    const struct ms_ending *ending = &held->ending;
    const struct ms_kind_conf *rule = rule_of(st, held->kind);
    bool done = ending->outcome == MS_DONE;

    /* What no renewal has committed for sure goes along: sums are absolute and
     * bad lines are kept by their offset, so twice does no harm. */
    ms_station_take_back(held);
    out->id = held->id;
    out->fence = held->fence;
    out->kind = finish_kind(ending->outcome);
    out->text = done ? ending->result.data : ending->error;
    out->text_len = done ? ending->result.len : strlen(ending->error);
    out->delay_ms = ending->delay_ms;
    if (out->kind == MS_FINISH_FAILED && rule != NULL && rule->max_attempts > 0)
        out->max_attempts = rule->max_attempts;
    out->move.progress = -1;
    if (held->has_pending)
        out->move =
            ms_station_move(&held->pending, parts->sums, &parts->rejects);
}

static void send_finish(struct ms_station *st, const struct ms_claim_ask *ask)
{
    struct ms_tenant who = ms_station_tenant(st);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_finish *jobs;
    struct ms_move_parts *parts;
    size_t n = 0;

    ms_station_load(&st->ended, &st->sent, st->finish_max);
    jobs = ms_xcalloc((size_t)st->sent.n, sizeof(*jobs));
    parts = ms_xcalloc((size_t)st->sent.n, sizeof(*parts));
    for (struct ms_held *held = st->sent.first; held; held = held->next, n++)
        describe_finish(st, held, &parts[n], &jobs[n]);
    ms_finish_build(&cmd, &who, jobs, n, ask);
    for (size_t i = 0; i < n; i++)
        free(parts[i].rejects);
    free(parts);
    free(jobs);
    st->call = ms_redis_send(st->env->redis, &cmd, 0, on_finished, st);
}

void ms_station_call(struct ms_station *st)
{
    struct ms_claim_ask ask = {
        .ttl_ms = st->env->ttl_ms,
        .kinds = st->env->kinds,
    };

    if (st->call != NULL)
        return;
    if (st->hungry && !(st->claim_apart && st->ended.n > 0))
        ask.limit = ms_station_want(st);
    if (st->ended.n == 0 && ask.limit == 0)
        return;
    if (ask.limit > 0)
        ask.kinds = ms_station_kinds(st);
    st->asked = ask.limit;
    st->env->reserved += ask.limit;
    if (st->ended.n > 0)
        send_finish(st, &ask);
    else
        send_claim(st, &ask);
}

/*
 * tokens: the jobs of a station that may start only with a token of their rate
 * scope.
 *
 *     claimed --> WANTED --ask--> ASKED --there--> HAS --> to a slot
 *                   ^  |            | `--soon--> RESERVED --due--> CONFIRMING
 *                   |  |            |                                |    |
 *                   |  `--dry--.    `--not soon--.      drained since|    |
 *                   `----------|-----------------|-------------------'    |
 *                              v                 v                  HAS <-'
 *                            released, due when the scope gives again
 *
 * The station asks, not the slot: a job that waits blocks no child, its
 * time-out does not run, and a cancel, a drain or a lost lease finds it as any
 * other claimed job.  One call asks for all that came together.  Only what
 * begins within WAIT_MS waits here; the rest goes back at no cost, so that a
 * slow scope holds up nobody else's jobs.
 *
 * A scope that gave less than was asked for is dry until it gives again.  The
 * kinds that were seen under it are left out of claims as long, which parks
 * their jobs: else each claim would take the same ones, only to hand them
 * back.  So what a backlog of limited jobs costs does not grow with it.
 *
 * A token whose job does not begin here is returned.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/limit.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/station_internal.h"

/* A job holds its slot's place for so long at most. */
#define WAIT_MS 1000
/* A limit that does not exist, or Redis's error: look again then. */
#define TROUBLE_MS 5000
/* Kinds that a claim may leave out, a scope. */
#define KINDS_MAX     64
#define WARN_EVERY_US (60 * 1000000LL)

struct ms_scope {
    struct ms_scope *next;
    struct ms_station *station;
    char *name;
    struct ms_request *request;  /* acquire or confirm, one at a time */
    struct ms_request *draining; /* of the newest drain */
    struct ms_buf kinds;         /* "!mail.send,!mail.bulk," */
    int n_kinds;
    int64_t dry_until_us, warned_us;
    int64_t drained;  /* of the newest reservations */
    int64_t n_return; /* tokens to be returned, taken at that `drained` */
};

/* ---- scopes ---- */

/* A handful at most: as many as the configuration has. */
static struct ms_scope *find_scope(struct ms_station *st, const char *name)
{
    struct ms_scope *scope = st->scopes;

    while (scope != NULL && strcmp(scope->name, name) != 0)
        scope = scope->next;
    if (scope != NULL)
        return scope;
    scope = ms_xcalloc(1, sizeof(*scope));
    scope->station = st;
    scope->name = ms_xstrdup(name);
    scope->next = st->scopes;
    st->scopes = scope;
    return scope;
}

static void learn_kind(struct ms_scope *scope, const char *kind)
{
    char *mark = ms_xasprintf("!%s,", kind);

    if (scope->n_kinds < KINDS_MAX &&
        (scope->n_kinds == 0 ||
         strstr(ms_buf_str(&scope->kinds), mark) == NULL)) {
        ms_buf_adds(&scope->kinds, mark);
        scope->n_kinds++;
    }
    free(mark);
}

void ms_station_admit(struct ms_station *st, struct ms_held *held)
{
    const struct ms_conf *conf = st->env->conf;
    const char *scope = conf == NULL ? NULL : ms_conf_limit(conf, held->kind);

    if (scope == NULL) {
        ms_joblist_push(&st->claimed, held);
        return;
    }
    held->scope = find_scope(st, scope);
    held->token = MS_TOKEN_WANTED;
    ms_joblist_push(&st->waiting, held);
    st->env->reserved++; /* its slot */
}

void ms_station_leave_waiting(struct ms_station *st, struct ms_held *held)
{
    ms_joblist_remove(&st->waiting, held);
    st->env->reserved--;
}

const char *ms_station_kinds(struct ms_station *st)
{
    int64_t now_us = ms_clock_mono_us();
    bool dry = false;

    ms_buf_clear(&st->kinds);
    for (struct ms_scope *s = st->scopes; s != NULL; s = s->next) {
        if (s->dry_until_us <= now_us || s->n_kinds == 0)
            continue;
        if (!dry)
            ms_buf_adds(&st->kinds, st->env->kinds);
        ms_buf_add(&st->kinds, s->kinds.data, s->kinds.len);
        dry = true;
    }
    return dry ? ms_buf_str(&st->kinds) : st->env->kinds;
}

/* ---- where a job goes from here ---- */

static void let_start(struct ms_station *st, struct ms_held *held)
{
    ms_station_leave_waiting(st, held);
    held->token = MS_TOKEN_HAS;
    held->claimed_us = ms_clock_mono_us(); /* its search for a slot begins */
    ms_joblist_push(&st->claimed, held);
}

static void refuse(struct ms_station *st, struct ms_held *held)
{
    int64_t left_us = held->scope->dry_until_us - ms_clock_mono_us();

    ms_station_leave_waiting(st, held);
    held->token = MS_TOKEN_WANTED;
    held->ending.delay_ms = left_us > 0 ? left_us / 1000 + 1 : 1;
    ms_station_send_back(st, held);
}

static struct ms_held *first_of(const struct ms_scope *scope,
                                struct ms_held *from, enum ms_token token)
{
    while (from != NULL && (from->scope != scope || from->token != token))
        from = from->next;
    return from;
}

/* All jobs of one scope and state, while what stands behind may change. */
#define EACH_JOB(held, scope, state)                                  \
    for (struct ms_held *held =                                       \
             first_of(scope, (scope)->station->waiting.first, state), \
                        *next_##held;                                 \
         held != NULL &&                                              \
         (next_##held = first_of(scope, held->next, state), true);    \
         held = next_##held)

static int64_t count(const struct ms_scope *scope, enum ms_token token)
{
    int64_t n = 0;

    EACH_JOB (held, scope, token)
        n++;
    return n;
}

/* ---- returning ---- */

static void note_drained(struct ms_scope *scope, int64_t drained)
{
    if (drained != scope->drained)
        scope->n_return = 0; /* a drain has forgotten them */
    scope->drained = drained;
}

void ms_station_forgo(struct ms_held *held)
{
    if (held->scope == NULL)
        return;
    if (held->token >= MS_TOKEN_RESERVED &&
        held->drained == held->scope->drained)
        held->scope->n_return++;
    held->token = MS_TOKEN_WANTED;
}

/* Once: a token that is lost on the way comes again with the refill. */
static void return_tokens(struct ms_scope *scope)
{
    const struct ms_station_env *env = scope->station->env;
    struct ms_cmd cmd = MS_CMD_INIT;

    if (scope->n_return == 0)
        return;
    ms_limit_return_build(&cmd, env->fleet, scope->name, scope->n_return,
                          scope->drained);
    ms_redis_send(env->redis, &cmd, 0, NULL, NULL);
    scope->n_return = 0;
}

/* ---- asking ---- */

static void set_dry(struct ms_scope *scope, int64_t ms)
{
    scope->dry_until_us = ms_clock_mono_us() + ms * 1000;
}

static void trouble(struct ms_scope *scope, enum ms_err err, const char *why)
{
    struct ms_station *st = scope->station;
    int64_t now_us = ms_clock_mono_us();
    char text[256];

    set_dry(scope, TROUBLE_MS);
    if (scope->warned_us != 0 && now_us - scope->warned_us < WARN_EVERY_US)
        return;
    scope->warned_us = now_us;
    ms_log(MS_WARN, "station", err == MS_ENOENT ? "no_limit" : "limit_failed",
           "queue=%s scope=%s err=%s why=%s next=jobs_wait", st->queue,
           scope->name, ms_err_name(err),
           ms_log_quote(why, text, sizeof(text)));
}

/* In the order in which they were claimed. */
static void hand_out(struct ms_scope *scope, const struct ms_acquired *got)
{
    struct ms_station *st = scope->station;
    int64_t now_us = ms_clock_mono_us();
    size_t i = 0;

    note_drained(scope, got->drained);
    if (got->next_ms != 0)
        set_dry(scope, ms_acquire_again_ms(got, WAIT_MS));
    EACH_JOB (held, scope, MS_TOKEN_ASKED) {
        held->drained = got->drained;
        if (i >= got->n_units) {
            refuse(st, held);
        } else if (got->waits_ms[i] == 0) {
            let_start(st, held);
        } else {
            held->token = MS_TOKEN_RESERVED;
            held->token_us = now_us + got->waits_ms[i] * 1000;
        }
        i++;
    }
    if (got->n_units > i) /* of jobs that went away meanwhile */
        scope->n_return += (int64_t)(got->n_units - i);
}

static void on_acquired(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_scope *scope = arg;
    struct ms_station *st = scope->station;
    struct ms_acquired got;
    struct ms_error error = {""};

    scope->request = NULL;
    if (err == MS_OK)
        err = ms_acquire_parse(reply, scope->name, &got, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err == MS_OK) {
        hand_out(scope, &got);
    } else if (err == MS_EDOWN || err == MS_ETIMEOUT) {
        EACH_JOB (held, scope, MS_TOKEN_ASKED)
            held->token = MS_TOKEN_WANTED; /* asked again */
    } else {
        trouble(scope, err, error.text);
        EACH_JOB (held, scope, MS_TOKEN_ASKED)
            refuse(st, held);
    }
    st->env->changed(st->env->arg);
}

static void ask(struct ms_scope *scope, int64_t n)
{
    const struct ms_station_env *env = scope->station->env;
    const struct ms_acquire request = {.fleet = env->fleet,
                                       .scope = scope->name,
                                       .n = 1,
                                       .units = n,
                                       .max_wait_ms = WAIT_MS};
    struct ms_cmd cmd = MS_CMD_INIT;

    EACH_JOB (held, scope, MS_TOKEN_WANTED)
        if (n-- > 0)
            held->token = MS_TOKEN_ASKED;
    ms_acquire_build(&cmd, &request);
    scope->request = ms_redis_send(env->redis, &cmd, 0, on_acquired, scope);
}

static void on_confirmed(enum ms_err err, const struct ms_reply *reply,
                         void *arg)
{
    struct ms_scope *scope = arg;
    struct ms_station *st = scope->station;

    scope->request = NULL;
    EACH_JOB (held, scope, MS_TOKEN_CONFIRMING) {
        if (err != MS_OK)
            held->token = MS_TOKEN_RESERVED; /* still due */
        else if (ms_limit_drained_is(reply, held->drained))
            let_start(st, held);
        else
            held->token = MS_TOKEN_WANTED;
    }
    if (err != MS_OK && err != MS_EDOWN)
        ms_station_again(st);
    st->env->changed(st->env->arg);
}

/* A drain may have come while they waited.  True: it is being asked. */
static bool confirm_due(struct ms_scope *scope)
{
    const struct ms_station_env *env = scope->station->env;
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t now_us = ms_clock_mono_us();
    bool due = false;

    EACH_JOB (held, scope, MS_TOKEN_RESERVED) {
        if (held->token_us > now_us)
            continue;
        held->token = MS_TOKEN_CONFIRMING;
        due = true;
    }
    if (!due)
        return false;
    ms_limit_drained_build(&cmd, env->fleet, scope->name);
    scope->request = ms_redis_send(env->redis, &cmd, 0, on_confirmed, scope);
    return true;
}

/* ---- what comes next ---- */

static void scope_step(struct ms_scope *scope)
{
    struct ms_station *st = scope->station;
    int64_t n = count(scope, MS_TOKEN_WANTED);

    return_tokens(scope);
    if (scope->request != NULL || confirm_due(scope) || n == 0)
        return;
    EACH_JOB (held, scope, MS_TOKEN_WANTED)
        learn_kind(scope, held->kind);
    if (ms_clock_mono_us() >= scope->dry_until_us) {
        ask(scope, n < MS_LIMIT_UNITS_MAX ? n : MS_LIMIT_UNITS_MAX);
        return;
    }
    EACH_JOB (held, scope, MS_TOKEN_WANTED)
        refuse(st, held);
}

/* The next moment that one of a scope's jobs, or its kinds, wait for; 0: none.
 * The end of a dry time stays due until on_tokens() has taken it: a step that
 * comes right before it must not take its timer away. */
static int64_t due_us(const struct ms_scope *scope)
{
    int64_t at_us = scope->dry_until_us;

    if (scope->request != NULL)
        return at_us;
    EACH_JOB (held, scope, MS_TOKEN_RESERVED)
        if (at_us == 0 || held->token_us < at_us)
            at_us = held->token_us;
    return at_us;
}

static void set_timer(struct ms_station *st)
{
    int64_t now_us = ms_clock_mono_us(), first_us = 0;

    for (struct ms_scope *s = st->scopes; s != NULL; s = s->next) {
        int64_t at_us = due_us(s);

        if (at_us != 0 && (first_us == 0 || at_us < first_us))
            first_us = at_us;
    }
    ev_timer_stop(st->env->loop, &st->tokens);
    if (first_us == 0)
        return;
    ev_now_update(st->env->loop);
    ev_timer_set(&st->tokens,
                 first_us > now_us ? (double)(first_us - now_us) / 1e6 + 1e-4
                                   : 1e-4,
                 0.);
    ev_timer_start(st->env->loop, &st->tokens);
}

void ms_station_tokens(struct ms_station *st)
{
    if (st->scopes == NULL)
        return;
    for (struct ms_scope *s = st->scopes; s != NULL; s = s->next)
        scope_step(s);
    set_timer(st);
}

/* A scope that was dry may give again: its kinds are worth a claim. */
static void on_tokens(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_station *st = timer->data;
    int64_t now_us = ms_clock_mono_us();

    for (struct ms_scope *s = st->scopes; s != NULL; s = s->next) {
        if (s->dry_until_us == 0 || s->dry_until_us > now_us)
            continue;
        s->dry_until_us = 0;
        st->hungry = true;
        st->empty_looks = 0;
    }
    ms_station_step(st);
}

/* ---- the target said "too much" ---- */

static void on_drained(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_scope *scope = arg;
    struct ms_error error = {""};
    char text[256];

    scope->draining = NULL;
    if (err == MS_OK)
        err = ms_limit_status_parse(reply, scope->name, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err != MS_OK)
        ms_log(MS_WARN, "station", "drain_failed", "scope=%s err=%s why=%s",
               scope->name, ms_err_name(err),
               ms_log_quote(error.text, text, sizeof(text)));
}

bool ms_station_is_asking(const struct ms_station *st)
{
    bool is_up = ms_redis_is_up(st->env->redis);

    for (const struct ms_scope *s = st->scopes; s != NULL; s = s->next)
        if (s->request != NULL || s->draining != NULL ||
            (s->n_return > 0 && is_up))
            return true;
    return false;
}

void ms_station_throttled(struct ms_station *st, const struct ms_held *held)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    if (held->scope == NULL || held->ending.outcome != MS_THROTTLED ||
        held->ending.delay_ms <= 0)
        return;
    ms_limit_drain_build(&cmd, st->env->fleet, held->scope->name,
                         held->ending.delay_ms);
    if (held->scope->draining != NULL)
        ms_redis_cancel(held->scope->draining); /* of its answer alone */
    held->scope->draining =
        ms_redis_send(st->env->redis, &cmd, 0, on_drained, held->scope);
}

/* ---- life ---- */

void ms_station_tokens_init(struct ms_station *st)
{
    ev_init(&st->tokens, on_tokens);
    st->tokens.data = st;
}

void ms_station_tokens_done(struct ms_station *st)
{
    struct ms_scope *scope;

    ev_timer_stop(st->env->loop, &st->tokens);
    while ((scope = st->scopes) != NULL) {
        st->scopes = scope->next;
        if (scope->request != NULL)
            ms_redis_cancel(scope->request);
        if (scope->draining != NULL)
            ms_redis_cancel(scope->draining);
        ms_buf_done(&scope->kinds);
        free(scope->name);
        free(scope);
    }
    st->env->reserved -= st->waiting.n;
    ms_joblist_clear(&st->waiting);
    ms_buf_done(&st->kinds);
}

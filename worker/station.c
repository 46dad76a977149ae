#include "worker/station_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/val.h"

#define POLL_S 5.0
/* A job that was claimed ahead and turns out to have no slot is better off with
 * a pod that has one; a slot that is being started takes it at once. */
#define SPARE_S 0.05

static void on_spare(struct ev_loop *loop, ev_timer *timer, int events);

/* Spreads the polls of many pods over time. */
static double jittered(double seconds)
{
    return seconds * (0.9 + 0.2 * (double)random() / (double)RAND_MAX);
}

/* ---- timers ---- */

static void on_poll(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_station *st = timer->data;

    st->hungry = true;
    timer->repeat = jittered(POLL_S);
    ev_timer_again(loop, timer);
    ms_station_step(st);
}

static void on_keep(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_station *st = timer->data;

    st->renew_all = true;
    ms_station_renew(st);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_station *st = timer->data;

    ms_station_renew(st); /* what handlers told meanwhile */
    ms_station_step(st);
}

void ms_station_again(struct ms_station *st)
{
    if (ev_is_active(&st->again))
        return;
    ev_timer_set(&st->again, jittered(0.5), 0.);
    ev_timer_start(st->env->loop, &st->again);
}

void ms_station_schedule_poll(struct ms_station *st,
                              const struct ms_claim_answer *answer)
{
    double wait = jittered(POLL_S);

    if (answer->next_due_ms > 0) {
        double due =
            (double)(answer->next_due_ms - answer->now_ms) / 1000. + 0.001;

        if (due < 0.005)
            due = 0.005;
        if (due < wait)
            wait = due;
    }
    st->poll.repeat = wait;
    ev_timer_again(st->env->loop, &st->poll);
}

/* ---- life ---- */

static void make_report(struct ms_station *st)
{
    struct ms_tenant who = ms_station_tenant(st);

    st->report = ms_report_new(st->env->loop, st->env->redis, &who,
                               st->env->changed, st->env->arg);
}

struct ms_station *ms_station_new(struct ms_station_env *env, const char *queue)
{
    struct ms_station *st = ms_xcalloc(1, sizeof(*st));
    double third = (double)env->ttl_ms / 3000.;

    st->env = env;
    st->queue = ms_xstrdup(queue);
    st->assigned = -1;
    st->max_workers = 1;
    st->finish_max = st->release_max = MS_CLAIM_BATCH;
    ev_init(&st->poll, on_poll);
    ev_init(&st->keep, on_keep);
    ev_init(&st->again, on_again);
    ev_init(&st->spare, on_spare);
    ms_station_tokens_init(st);
    st->poll.data = st->keep.data = st->again.data = st->spare.data = st;
    st->keep.repeat = third;
    make_report(st);
    return st;
}

void ms_station_free(struct ms_station *st)
{
    if (st == NULL)
        return;
    ev_timer_stop(st->env->loop, &st->poll);
    ev_timer_stop(st->env->loop, &st->keep);
    ev_timer_stop(st->env->loop, &st->again);
    ev_timer_stop(st->env->loop, &st->spare);
    if (st->call != NULL)
        ms_redis_cancel(st->call);
    ms_station_forget_renew(st);
    if (st->release != NULL)
        ms_redis_cancel(st->release);
    if (st->settings != NULL)
        ms_redis_cancel(st->settings);
    ms_station_tokens_done(st);
    ms_joblist_clear(&st->claimed);
    ms_joblist_clear(&st->running);
    ms_joblist_clear(&st->ended);
    ms_joblist_clear(&st->sent);
    ms_joblist_clear(&st->back);
    ms_joblist_clear(&st->leaving);
    ms_report_free(st->report);
    free(st->queue);
    free(st);
}

const char *ms_station_queue(const struct ms_station *st)
{
    return st->queue;
}

struct ms_tenant ms_station_tenant(const struct ms_station *st)
{
    return (struct ms_tenant){st->env->fleet, st->queue, st->env->pod};
}

/* ---- how much it may claim ---- */

/* A pod without an assignment takes an even part of the cap, but never none:
 * its claims are how it would learn that the cap was raised. */
static int64_t share_of(const struct ms_station *st)
{
    int64_t pods = st->pods < 1 ? 1 : st->pods;
    int64_t even = (st->max_workers + pods - 1) / pods;

    if (st->assigned >= 0)
        return st->assigned;
    return even < 1 ? 1 : even;
}

int ms_station_room(const struct ms_station *st)
{
    int64_t room = share_of(st) - st->running.n - st->claimed.n - st->waiting.n;
    int idle = ms_slots_idle(st->env->slots) - st->env->reserved;

    if (room > idle)
        room = idle;
    return room < 0 ? 0 : (int)room;
}

int ms_station_want(const struct ms_station *st)
{
    int want;

    if (st->env->draining || !ms_redis_is_up(st->env->redis))
        return 0;
    want = ms_station_room(st);
    /* Ahead of the slots, only of what starts within milliseconds. */
    if (share_of(st) > 0) {
        int ahead = ms_slots_room_ahead(st->env->slots) - st->claimed.n -
                    st->env->reserved;

        want = ahead > want ? ahead : want;
    }
    return want > MS_CLAIM_BATCH ? MS_CLAIM_BATCH : want;
}

bool ms_station_is_waiting(const struct ms_station *st)
{
    return !st->hungry && st->call == NULL && share_of(st) > 0 &&
           !st->env->draining && ms_redis_is_up(st->env->redis);
}

void ms_station_set_share(struct ms_station *st, int64_t assigned, int64_t pods)
{
    int64_t before = share_of(st);

    st->assigned = assigned;
    st->pods = pods;
    if (share_of(st) != before)
        ms_log(MS_INFO, "station", "share", "queue=%s slots=%lld pods=%lld",
               st->queue, (long long)share_of(st), (long long)pods);
    if (share_of(st) > before)
        ms_station_wake(st);
}

void ms_station_set_cap(struct ms_station *st, int64_t max_workers)
{
    st->max_workers = max_workers;
}

static void on_settings(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_station *st = arg;

    st->settings = NULL;
    if (err == MS_OK) /* a queue that nobody configured has one */
        st->max_workers = ms_reply_int(reply, 1);
    ms_station_wake(st);
}

void ms_station_configured(struct ms_station *st)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    if (st->settings != NULL)
        ms_redis_cancel(st->settings);
    ms_cmd_plain(&cmd, "HGET",
                 ms_key_queue(key, st->env->fleet, st->queue, "cfg"),
                 "max_workers", NULL);
    st->settings = ms_redis_send(st->env->redis, &cmd, 0, on_settings, st);
}

void ms_station_wake(struct ms_station *st)
{
    st->hungry = true;
    st->empty_looks = 0;
    ms_station_step(st);
}

bool ms_station_take_token(struct ms_station *st)
{
    if (!ms_station_is_waiting(st))
        return false;
    ms_station_wake(st);
    return st->call != NULL && st->asked > 0;
}

void ms_station_step(struct ms_station *st)
{
    if (!st->env->draining)
        ms_station_place(st);
    if (!ms_redis_is_up(st->env->redis) || ev_is_active(&st->again))
        return;
    if (st->renew_all)
        ms_station_renew(st);
    ms_station_tokens(st);
    ms_station_release(st);
    ms_station_call(st);
    if (st->env->draining && ms_station_held(st) == 0)
        ms_report_flush(st->report);
}

void ms_station_reconnected(struct ms_station *st)
{
    ev_timer_stop(st->env->loop, &st->again);
    if (!ev_is_active(&st->keep))
        ev_timer_again(st->env->loop, &st->keep);
    st->poll.repeat = jittered(POLL_S);
    ev_timer_again(st->env->loop, &st->poll);
    st->renew_all = true;
    st->hungry = true;
    ms_report_flush(st->report);
    ms_station_rewind(st);
    ms_station_step(st);
}

/* ---- jobs in requests ---- */

void ms_station_load(struct ms_joblist *from, struct ms_joblist *to, int max)
{
    size_t bytes = 0;

    while (from->first != NULL && to->n < max) {
        bytes += ms_held_size(from->first);
        if (to->n > 0 && bytes > MS_STATION_BYTES_MAX)
            return;
        ms_joblist_push(to, ms_joblist_pop(from));
    }
}

/* Not the connection's fault, nor Redis's for the time being. */
static bool is_about_the_request(enum ms_err err)
{
    return err == MS_ESCRIPT || err == MS_EPROTO;
}

static void give_up(struct ms_station *st, struct ms_held *held)
{
    ms_log(MS_ERROR, "station", "given_up",
           "queue=%s job=%s fence=%lld tries=%d", st->queue, held->id,
           (long long)held->fence, held->refusals);
    ms_held_free(held);
}

void ms_station_unload(struct ms_station *st, struct ms_joblist *sent,
                       struct ms_joblist *list, enum ms_err err, int *max)
{
    struct ms_held *held;

    if (is_about_the_request(err) && sent->n == 1) {
        held = ms_joblist_pop(sent);
        if (++held->refusals >= MS_STATION_TRIES)
            give_up(st, held);
        else
            ms_joblist_push(list, held);
        return;
    }
    if (is_about_the_request(err) && sent->n > 1)
        *max = sent->n / 2;
    while ((held = sent->last) != NULL) {
        ms_joblist_remove(sent, held);
        ms_joblist_push_front(list, held);
    }
}

/* ---- jobs ---- */

struct ms_held *ms_station_find(const struct ms_station *st, const char *id)
{
    const struct ms_joblist *const lists[] = {
        &st->running, &st->claimed, &st->waiting, &st->ended,
        &st->sent,    &st->back,    &st->leaving,
    };

    for (size_t i = 0; i < MS_COUNT_OF(lists); i++) {
        struct ms_held *held = ms_joblist_find(lists[i], id);

        if (held != NULL)
            return held;
    }
    return NULL;
}

/* What runs long keeps to the share, also where it was claimed ahead. */
static bool may_start(const struct ms_station *st, const struct ms_held *held)
{
    return st->running.n < share_of(st) ||
           ms_slots_is_short(st->env->slots, held->kind);
}

void ms_station_place(struct ms_station *st)
{
    struct ms_held *held;

    while ((held = st->claimed.first) != NULL && may_start(st, held) &&
           ms_slots_run(st->env->slots, held)) {
        ms_joblist_remove(&st->claimed, held);
        held->state = MS_HELD_RUNNING;
        ms_joblist_push(&st->running, held);
    }
    if (st->claimed.n == 0) {
        ev_timer_stop(st->env->loop, &st->spare);
    } else if (!ev_is_active(&st->spare)) {
        ev_timer_set(&st->spare, SPARE_S, 0.);
        ev_timer_start(st->env->loop, &st->spare);
    }
}

void ms_station_lose(struct ms_station *st, struct ms_held *held)
{
    if (held->lost)
        return;
    held->lost = true;
    ms_log(MS_WARN, "station", "lost", "queue=%s job=%s fence=%lld", st->queue,
           held->id, (long long)held->fence);
    if (held->state == MS_HELD_RUNNING) {
        ms_slots_stop(st->env->slots, held, MS_STOP_LOST);
        return;
    }
    if (held->state == MS_HELD_CLAIMED) {
        ms_station_unclaim(st, held);
        ms_held_free(held);
    }
    /* ENDED: what was sent for it will be refused and counted. */
}

void ms_station_on_started(struct ms_held *held)
{
    ms_report_started(held->station->report, held);
}

void ms_station_on_checkpoint(struct ms_held *held,
                              struct ms_checkpoint *checkpoint)
{
    if (held->rewound)
        return; /* the caller frees it */
    if (held->has_pending) {
        ms_checkpoint_merge(&held->pending, checkpoint);
    } else {
        held->pending = *checkpoint;
        memset(checkpoint, 0, sizeof(*checkpoint));
        held->has_pending = true;
    }
    if (!held->lost)
        ms_station_renew(held->station);
}

/* Where a job goes that has ended.  Of a lost one only what was done is told:
 * if nobody has claimed it since, that spares a second run.  How it ends
 * otherwise is what our own stop made of it, and "cancelled" would be believed
 * where the lease had merely ended. */
static void sort_ended(struct ms_station *st, struct ms_held *held)
{
    if (held->lost && held->ending.outcome != MS_DONE)
        ms_held_free(held);
    else if (held->ending.outcome == MS_RELEASED)
        ms_joblist_push(&st->back, held);
    else
        ms_joblist_push(&st->ended, held);
}

/* Slots speak msgpack; a job's result is kept the way its payload is. */
static void result_to_json(struct ms_bytes *result)
{
    struct ms_val val = {0};
    struct ms_buf text = MS_BUF_INIT;

    if (ms_val_from_msgpack(result->data, result->len, &val, NULL) == MS_OK)
        ms_val_to_json(&val.root, &text);
    ms_val_done(&val);
    ms_buf_str(&text);
    free(result->data);
    *result = (struct ms_bytes){text.data, text.len};
}

void ms_station_on_ended(struct ms_held *held, struct ms_ending *ending)
{
    struct ms_station *st = held->station;

    ms_joblist_remove(&st->running, held);
    held->ending = *ending;
    memset(ending, 0, sizeof(*ending));
    held->state = MS_HELD_ENDED;
    held->ended_us = ms_clock_mono_us();
    if (held->json && held->ending.result.data != NULL)
        result_to_json(&held->ending.result);
    if (held->lost)
        ms_log(MS_INFO, "station", "lost_stopped", "queue=%s job=%s", st->queue,
               held->id);
    if (held->rewound)
        ms_station_unend(held);
    ms_station_throttled(st, held);
    sort_ended(st, held);
    if (st->at_cap)
        st->hungry = true;
}

void ms_station_unclaim(struct ms_station *st, struct ms_held *held)
{
    if (held->scope != NULL && held->token != MS_TOKEN_HAS)
        ms_station_leave_waiting(st, held);
    else
        ms_joblist_remove(&st->claimed, held);
    ms_station_forgo(held);
}

void ms_station_send_back(struct ms_station *st, struct ms_held *held)
{
    held->state = MS_HELD_ENDED;
    held->ending.outcome = MS_RELEASED;
    sort_ended(st, held);
}

static void on_spare(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_station *st = timer->data;
    struct ms_held *held;
    int64_t before_us = ms_clock_mono_us() - (int64_t)(SPARE_S * 1e6);

    ms_station_place(st);
    while ((held = st->claimed.first) != NULL &&
           held->claimed_us <= before_us) {
        ms_station_unclaim(st, held);
        ms_station_send_back(st, held);
        st->hungry = true; /* for when there is room */
    }
    ms_station_step(st);
}

/* It was cancelled before it began. */
static void end_cancelled(struct ms_station *st, struct ms_held *held)
{
    held->state = MS_HELD_ENDED;
    held->ending.outcome = MS_CANCELLED;
    ms_joblist_push(&st->ended, held);
}

void ms_station_on_returned(struct ms_held *held)
{
    struct ms_station *st = held->station;

    ms_joblist_remove(&st->running, held);
    held->state = MS_HELD_CLAIMED;
    if (!held->lost && !held->cancelled && !held->rewound &&
        !st->env->draining) {
        ms_joblist_push_front(&st->claimed, held); /* placed by the next step */
        return;
    }
    ms_station_forgo(held);
    if (held->lost)
        ms_held_free(held);
    else if (held->cancelled)
        end_cancelled(st, held);
    else
        ms_station_send_back(st, held);
}

/* ---- stopping ---- */

static void cancel_one(struct ms_station *st, struct ms_held *held)
{
    if (held->state == MS_HELD_ENDED)
        return;
    held->cancelled = true; /* slots may return it instead of stopping it */
    if (held->state == MS_HELD_RUNNING) {
        ms_slots_stop(st->env->slots, held, MS_STOP_CANCEL);
        return;
    }
    ms_station_unclaim(st, held);
    end_cancelled(st, held);
}

static void cancel_children(struct ms_station *st, struct ms_joblist *list,
                            const char *parent)
{
    struct ms_held *next;

    for (struct ms_held *held = list->first; held != NULL; held = next) {
        next = held->next;
        if (held->parent != NULL && strcmp(held->parent, parent) == 0)
            cancel_one(st, held);
    }
}

void ms_station_cancel(struct ms_station *st, const char *id)
{
    struct ms_held *held = ms_station_find(st, id);
    int n_ended = st->ended.n;

    if (held != NULL) {
        cancel_one(st, held);
    } else {
        cancel_children(st, &st->running, id);
        cancel_children(st, &st->claimed, id);
        cancel_children(st, &st->waiting, id);
    }
    if (st->ended.n != n_ended)
        ms_station_step(st);
}

void ms_station_hand_back(struct ms_station *st)
{
    struct ms_held *held;

    while ((held = st->claimed.first) != NULL ||
           (held = st->waiting.first) != NULL) {
        ms_station_unclaim(st, held);
        ms_station_send_back(st, held);
    }
}

void ms_station_drain(struct ms_station *st)
{
    ms_station_hand_back(st);
    if (st->suspicious > 0)
        st->renew_all = true; /* what it does not know would stay behind */
    for (struct ms_held *held = st->running.first, *next; held != NULL;
         held = next) {
        next = held->next;
        ms_slots_stop(st->env->slots, held, MS_STOP_DRAIN);
    }
    ms_station_step(st);
}

void ms_station_give_up(struct ms_station *st)
{
    struct ms_held *held;

    ms_station_hand_back(st);
    while ((held = ms_joblist_pop(&st->running)) != NULL) {
        held->slot = NULL; /* slots is gone, and its children with it */
        ms_station_send_back(st, held);
    }
    ms_station_step(st);
}

bool ms_station_is_empty(const struct ms_station *st)
{
    return ms_station_held(st) == 0 && st->call == NULL &&
           st->release == NULL && !ms_station_is_asking(st) &&
           st->suspicious < MS_STATION_SUSPICIONS && /* asked, and answered */
           /* What people read is no reason to wait for Redis. */
           (ms_report_is_empty(st->report) || !ms_redis_is_up(st->env->redis));
}

int ms_station_held(const struct ms_station *st)
{
    return st->claimed.n + st->waiting.n + st->running.n + st->ended.n +
           st->sent.n + st->back.n + st->leaving.n;
}

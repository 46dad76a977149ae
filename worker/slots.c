#include "worker/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/mem.h"
#include "worker/frame.h"
#include "worker/slot.h"

/* Beyond this a payload cannot be put into a frame with the rest. */
#define PAYLOAD_MAX (MS_FRAME_MAX - 65536)

struct ms_slots {
    struct ms_slot_pool pool;
    struct ms_slot **slots;
    int n;
    struct ms_routes *own_routes; /* where the options brought none */
    ev_check after;               /* at the end of a turn: tell, send */
    ev_prepare before; /* before the loop sleeps: the same for late comers */
    ev_idle again;     /* keeps it from sleeping */
    char *pod_id, *conf_path;
};

/* ---- the turn of the loop ---- */

static void refuse(struct ms_slot_pool *pool, struct ms_held *held)
{
    struct ms_ending ending = {.outcome = MS_DEAD};

    snprintf(ending.error, sizeof(ending.error),
             "payload: %zu bytes are more than a slot takes",
             held->payload.len);
    pool->options.events->ended(held, &ending, pool->options.arg);
}

/* The list may grow while it is worked off. */
static void tell_returned(struct ms_slots *slots)
{
    struct ms_slot_pool *pool = &slots->pool;

    for (size_t i = 0; i < pool->n_returned; i++) {
        struct ms_held *held = pool->returned[i];

        pool->settle = true;
        if (held->payload.len > PAYLOAD_MAX)
            refuse(pool, held);
        else
            pool->options.events->returned(held, pool->options.arg);
    }
    pool->n_returned = 0;
}

static bool turn_once(struct ms_slots *slots)
{
    tell_returned(slots);
    for (int i = 0; i < slots->n; i++)
        ms_slot_turn(slots->slots[i]);
    if (!slots->pool.settle)
        return false;
    slots->pool.settle = false;
    slots->pool.options.events->settled(slots->pool.options.arg);
    return true;
}

/* Last of all that happened in this turn, so that what others placed in it is
 * sent in one go.  settled() may place more, which is sent at once as well;
 * an owner that never settles gets its next try in the next turn. */
static void turn(struct ms_slots *slots)
{
    for (int i = 0; i < 4; i++) {
        if (!turn_once(slots)) {
            ev_idle_stop(slots->pool.loop, &slots->again);
            return;
        }
    }
    ev_idle_start(slots->pool.loop, &slots->again);
}

static void on_after(struct ev_loop *loop, ev_check *watcher, int revents)
{
    turn(watcher->data);
}

static void on_before(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
    turn(watcher->data);
}

static void on_again(struct ev_loop *loop, ev_idle *watcher, int revents)
{
    ev_idle_stop(loop, watcher);
}

static void start_watchers(struct ms_slots *slots)
{
    struct ev_loop *loop = slots->pool.loop;

    ev_check_init(&slots->after, on_after);
    ev_prepare_init(&slots->before, on_before);
    ev_idle_init(&slots->again, on_again);
    ev_set_priority(&slots->after, EV_MINPRI);
    ev_set_priority(&slots->before, EV_MINPRI);
    slots->after.data = slots->before.data = slots;
    ev_check_start(loop, &slots->after);
    ev_prepare_start(loop, &slots->before);
    ev_unref(loop); /* neither keeps the loop going */
    ev_unref(loop);
}

static void stop_watchers(struct ms_slots *slots)
{
    struct ev_loop *loop = slots->pool.loop;

    ev_ref(loop);
    ev_ref(loop);
    ev_check_stop(loop, &slots->after);
    ev_prepare_stop(loop, &slots->before);
    ev_idle_stop(loop, &slots->again);
}

/* ---- life ---- */

struct ms_slots *ms_slots_new(struct ev_loop *loop,
                              const struct ms_slots_options *options)
{
    struct ms_slots *slots = ms_xcalloc(1, sizeof(*slots));
    struct ms_slots_options *own = &slots->pool.options;

    ms_assert(options->concurrency > 0);
    /* Orphans of a slot come to us and are reaped, also where process 1 is no
     * init. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    slots->pool.loop = loop;
    slots->pool.pace = ms_pace_new();
    *own = *options;
    own->pod_id = slots->pod_id = ms_xstrdup(options->pod_id);
    if (options->conf_path != NULL)
        own->conf_path = slots->conf_path = ms_xstrdup(options->conf_path);
    slots->n = options->concurrency;
    slots->slots = ms_xcalloc((size_t)slots->n, sizeof(*slots->slots));
    for (int i = 0; i < slots->n; i++)
        slots->slots[i] = ms_slot_new(&slots->pool, i);
    if (own->routes == NULL)
        own->routes = slots->own_routes = ms_routes_new();
    start_watchers(slots);
    return slots;
}

void ms_slots_free(struct ms_slots *slots)
{
    if (slots == NULL)
        return;
    stop_watchers(slots);
    for (int i = 0; i < slots->n; i++)
        ms_slot_free(slots->slots[i]);
    free(slots->slots);
    ms_routes_free(slots->own_routes);
    ms_pace_free(slots->pool.pace);
    free(slots->pool.returned);
    free(slots->pod_id);
    free(slots->conf_path);
    free(slots);
}

/* ---- what there is ---- */

const char *ms_slots_kinds(const struct ms_slots *slots)
{
    return ms_routes_kinds(slots->pool.options.routes);
}

int ms_slots_idle(const struct ms_slots *slots)
{
    int idle = 0;

    for (int i = 0; i < slots->n; i++)
        idle += ms_slot_is_idle(slots->slots[i]);
    return idle;
}

int ms_slots_busy(const struct ms_slots *slots)
{
    int busy = 0;

    for (int i = 0; i < slots->n; i++)
        busy += ms_slot_jobs(slots->slots[i]) > 0;
    return busy;
}

int ms_slots_room_ahead(const struct ms_slots *slots)
{
    int room = 0;

    for (int i = 0; i < slots->n; i++) {
        const struct ms_pace_kind *kind = ms_slot_last_kind(slots->slots[i]);

        if (!ms_slot_is_warm(slots->slots[i]))
            continue;
        if (ms_pace_depth(kind) == 1)
            return 0;
        room += ms_slot_room(slots->slots[i], kind);
    }
    return room;
}

void ms_slots_describe(const struct ms_slots *slots, struct ms_buf *out)
{
    struct ms_json json = ms_json_on(out);

    ms_json_open(&json, '[');
    for (int i = 0; i < slots->n; i++)
        if (ms_slot_is_warm(slots->slots[i]) ||
            ms_slot_jobs(slots->slots[i]) > 0)
            ms_slot_describe(slots->slots[i], &json);
    ms_json_close(&json);
}

/* ---- placing ---- */

/* A child that is up, else a place for one. */
static bool give_to_idle(struct ms_slots *slots, struct ms_held *held,
                         struct ms_pace_kind *kind)
{
    for (int warm = 1; warm >= 0; warm--)
        for (int i = 0; i < slots->n; i++)
            if (ms_slot_is_idle(slots->slots[i]) &&
                ms_slot_is_warm(slots->slots[i]) == (warm == 1) &&
                ms_slot_give(slots->slots[i], held, kind))
                return true;
    return false;
}

/* Behind the fewest others. */
static bool queue_behind(struct ms_slots *slots, struct ms_held *held,
                         struct ms_pace_kind *kind)
{
    struct ms_slot *best = NULL;

    if (ms_pace_depth(kind) == 1)
        return false;
    for (int i = 0; i < slots->n; i++) {
        struct ms_slot *slot = slots->slots[i];

        if (ms_slot_jobs(slot) > 0 && ms_slot_room(slot, kind) > 0 &&
            (best == NULL || ms_slot_jobs(slot) < ms_slot_jobs(best)))
            best = slot;
    }
    return best != NULL && ms_slot_give(best, held, kind);
}

bool ms_slots_is_short(const struct ms_slots *slots, const char *kind)
{
    return ms_pace_depth(ms_pace_find(slots->pool.pace, kind)) > 1;
}

bool ms_slots_run(struct ms_slots *slots, struct ms_held *held)
{
    struct ms_pace_kind *kind = ms_pace_find(slots->pool.pace, held->kind);

    ms_assert(held->slot == NULL);
    if (held->payload.len > PAYLOAD_MAX) {
        ms_slot_return_later(&slots->pool, held);
        return true;
    }
    return give_to_idle(slots, held, kind) || queue_behind(slots, held, kind);
}

void ms_slots_stop(struct ms_slots *slots, struct ms_held *held,
                   enum ms_stop reason)
{
    if (held->slot != NULL) /* else it is on its way back already */
        ms_slot_stop_job(held->slot, held, reason);
}

void ms_slots_committed(struct ms_slots *slots, struct ms_held *held,
                        int64_t seq)
{
    if (held->slot != NULL)
        ms_slot_committed(held->slot, held, seq);
}

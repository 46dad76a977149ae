/*
 * rewind: what a station does about chunks when Redis comes back.
 *
 * A Redis that restarts after a power cut, or a replica that takes over, may
 * have lost its last writes, those that it had acknowledged too.  A chunk's
 * handler has told us how far it came by what was acknowledged: to commit that
 * now would move the cursor past documents that are not there any more, and
 * nobody would miss them.  The cursor in Redis is as old as the documents in
 * Redis.  So after a lost connection chunks go back as they stand there, and
 * whoever claims them next, mostly this pod, goes on from that cursor.  What
 * that reads again is bounded by what may be under way.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "worker/station_internal.h"

static bool is_chunk(const struct ms_held *held)
{
    return held->parent != NULL;
}

static void forget_move(struct ms_held *held)
{
    ms_station_take_back(held);
    if (!held->has_pending)
        return;
    ms_checkpoint_done(&held->pending);
    memset(&held->pending, 0, sizeof(held->pending));
    held->has_pending = false;
}

void ms_station_unend(struct ms_held *held)
{
    forget_move(held);
    if (held->ending.outcome != MS_DONE)
        return;
    free(held->ending.result.data);
    held->ending.result = (struct ms_bytes){NULL, 0};
    held->ending.outcome = MS_RELEASED;
}

/* The handler is asked to stop; until it has, what it says is not taken. */
static int rewind_running(struct ms_station *st)
{
    int n = 0;

    for (struct ms_held *held = st->running.first; held; held = held->next) {
        if (!is_chunk(held) || held->lost)
            continue;
        forget_move(held);
        held->rewound = true;
        ms_slots_stop(st->env->slots, held, MS_STOP_DRAIN);
        n++;
    }
    return n;
}

/* Their cursors came with the claim. */
static int rewind_claimed(struct ms_station *st, const struct ms_joblist *list)
{
    int n = 0;

    for (struct ms_held *held = list->first, *next; held; held = next) {
        next = held->next;
        if (!is_chunk(held))
            continue;
        ms_station_unclaim(st, held);
        held->state = MS_HELD_ENDED;
        held->ending.outcome = MS_RELEASED;
        ms_joblist_push(&st->back, held);
        n++;
    }
    return n;
}

/* One that was done and whose finish did not get through; or did, and then
 * the release finds it gone.  How others failed stands. */
static int rewind_ended(struct ms_station *st)
{
    int n = 0;

    for (struct ms_held *held = st->ended.first, *next; held; held = next) {
        next = held->next;
        if (!is_chunk(held))
            continue;
        ms_station_unend(held);
        if (held->ending.outcome != MS_RELEASED)
            continue;
        ms_joblist_remove(&st->ended, held);
        if (held->lost) { /* of which only "done" is told */
            ms_held_free(held);
            continue;
        }
        ms_joblist_push(&st->back, held);
        n++;
    }
    return n;
}

void ms_station_rewind(struct ms_station *st)
{
    int n = rewind_running(st) + rewind_claimed(st, &st->claimed) +
            rewind_claimed(st, &st->waiting) + rewind_ended(st);

    for (struct ms_held *held = st->back.first; held; held = held->next)
        if (is_chunk(held))
            forget_move(held);
    if (n > 0)
        ms_log(MS_INFO, "station", "rewound", "queue=%s chunks=%d", st->queue,
               n);
}

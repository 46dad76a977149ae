#include "coordinator/rebalance.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* An assignment under construction. */
struct fill {
    const struct ms_rebalance *in;
    int64_t *slots; /* matrix */
    int64_t *free;  /* a pod: concurrency that is left */
    int64_t *total; /* a queue */
    size_t *order;  /* queues, by who is served first */
};

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t *cell(const struct fill *f, size_t queue, size_t pod)
{
    return &f->slots[queue * f->in->n_pods + pod];
}

static bool is_declared(const struct ms_rebalance *in, size_t queue, size_t pod)
{
    return in->declared[queue * in->n_pods + pod];
}

/* ---- where there is room for all ---- */

static int64_t room_of(const struct ms_rebalance *in, size_t queue, size_t pod,
                       int64_t used)
{
    if (!is_declared(in, queue, pod))
        return 0;
    return at_most(MS_QUEUE_SLOTS_MAX, in->concurrency[pod]) - used;
}

/* Raises the level of all pods that have room together, the lowest ids one
 * further at the end. */
static void split_evenly(const struct ms_rebalance *in, size_t queue,
                         int64_t *row)
{
    int64_t left = in->max_workers[queue];

    while (left > 0) {
        int64_t open = 0, each;

        for (size_t p = 0; p < in->n_pods; p++)
            open += room_of(in, queue, p, row[p]) > 0;
        if (open == 0)
            return;
        each = left / open > 0 ? left / open : 1;
        for (size_t p = 0; p < in->n_pods && left > 0; p++) {
            int64_t room = room_of(in, queue, p, row[p]);

            if (room <= 0)
                continue;
            row[p] += at_most(each, room);
            left -= at_most(each, room);
        }
    }
}

static bool split_all(const struct ms_rebalance *in, int64_t *slots)
{
    bool fits = true;

    memset(slots, 0, in->n_queues * in->n_pods * sizeof(*slots));
    for (size_t q = 0; q < in->n_queues; q++)
        split_evenly(in, q, slots + q * in->n_pods);
    for (size_t p = 0; p < in->n_pods && fits; p++) {
        int64_t used = 0;

        for (size_t q = 0; q < in->n_queues; q++)
            used += slots[q * in->n_pods + p];
        fits = used <= in->concurrency[p];
    }
    return fits;
}

/* ---- where there is not ---- */

/* Whether it could use a slot. */
static bool is_open(const struct ms_rebalance *in, size_t queue)
{
    for (size_t p = 0; p < in->n_pods && in->max_workers[queue] > 0; p++)
        if (is_declared(in, queue, p) && in->concurrency[p] > 0)
            return true;
    return false;
}

/* Turns go round those that could use a slot: a turn of others would give
 * their neighbour two. */
static void order_queues(const struct ms_rebalance *in, size_t *order)
{
    size_t n_open = 0, nth = 0, at = 0;

    for (size_t q = 0; q < in->n_queues; q++)
        n_open += is_open(in, q);
    at = n_open;
    for (size_t q = 0; q < in->n_queues; q++) {
        if (is_open(in, q))
            order[(nth++ + n_open - in->turn % n_open) % n_open] = q;
        else
            order[at++] = q;
    }
}

static void fill_init(struct fill *f, const struct ms_rebalance *in,
                      int64_t *slots)
{
    f->in = in;
    f->slots = slots;
    f->free = ms_xcalloc(in->n_pods, sizeof(*f->free));
    f->total = ms_xcalloc(in->n_queues, sizeof(*f->total));
    f->order = ms_xcalloc(in->n_queues, sizeof(*f->order));
    order_queues(in, f->order);
    memset(slots, 0, in->n_queues * in->n_pods * sizeof(*slots));
    for (size_t p = 0; p < in->n_pods; p++)
        f->free[p] = in->concurrency[p];
}

static void fill_done(struct fill *f)
{
    free(f->free);
    free(f->total);
    free(f->order);
}

static void fill_add(struct fill *f, size_t queue, size_t pod, int64_t n)
{
    *cell(f, queue, pod) += n;
    f->total[queue] += n;
    f->free[pod] -= n;
}

static bool can_take(const struct fill *f, size_t queue, size_t pod)
{
    return is_declared(f->in, queue, pod) &&
           *cell(f, queue, pod) < MS_QUEUE_SLOTS_MAX;
}

/* The way by which a queue without a free pod gets a slot all the same: it
 * takes one from another queue, which finds itself a place elsewhere. */
struct path {
    ptrdiff_t *by;   /* a pod: the queue that would take a slot there, or -1 */
    ptrdiff_t *from; /* a queue: the pod where it would give one up, or -1 */
    size_t *next;    /* queues still to look at */
    size_t n, seen;
};

static void path_init(struct path *path, const struct ms_rebalance *in)
{
    path->by = ms_xmalloc(in->n_pods * sizeof(*path->by));
    path->from = ms_xmalloc(in->n_queues * sizeof(*path->from));
    path->next = ms_xmalloc(in->n_queues * sizeof(*path->next));
    path->n = path->seen = 0;
    for (size_t p = 0; p < in->n_pods; p++)
        path->by[p] = -1;
    for (size_t q = 0; q < in->n_queues; q++)
        path->from[q] = -1;
}

static void path_done(struct path *path)
{
    free(path->by);
    free(path->from);
    free(path->next);
}

/* Notes the queues that hold slots on a full pod, for they could leave it. */
static void path_enter(struct path *path, const struct fill *f, size_t start,
                       size_t pod)
{
    for (size_t q = 0; q < f->in->n_queues; q++) {
        if (q == start || path->from[q] >= 0 || *cell(f, q, pod) == 0)
            continue;
        path->from[q] = (ptrdiff_t)pod;
        path->next[path->n++] = q;
    }
}

/* Breadth first, so that as few slots as possible move.  Returns the pod with
 * room at the end of the way, or -1. */
static ptrdiff_t path_find(struct path *path, const struct fill *f,
                           size_t start)
{
    path->next[path->n++] = start;
    while (path->seen < path->n) {
        size_t q = path->next[path->seen++];

        for (size_t p = 0; p < f->in->n_pods; p++) {
            if (path->by[p] >= 0 || !can_take(f, q, p))
                continue;
            path->by[p] = (ptrdiff_t)q;
            if (f->free[p] > 0)
                return (ptrdiff_t)p;
            path_enter(path, f, start, p);
        }
    }
    return -1;
}

static bool fill_by_moving(struct fill *f, size_t queue)
{
    struct path path;
    ptrdiff_t pod;
    bool found;

    path_init(&path, f->in);
    pod = path_find(&path, f, queue);
    found = pod >= 0;
    while (pod >= 0) {
        size_t q = (size_t)path.by[pod];

        fill_add(f, q, (size_t)pod, 1);
        pod = q == queue ? -1 : path.from[q];
        if (pod >= 0)
            fill_add(f, q, (size_t)pod, -1);
    }
    path_done(&path);
    return found;
}

/* One more slot for a queue: on the pod with room where it has the fewest. */
static bool fill_one(struct fill *f, size_t queue)
{
    ptrdiff_t best = -1;

    for (size_t p = 0; p < f->in->n_pods; p++)
        if (f->free[p] > 0 && can_take(f, queue, p) &&
            (best < 0 || *cell(f, queue, p) < *cell(f, queue, (size_t)best)))
            best = (ptrdiff_t)p;
    if (best < 0)
        return fill_by_moving(f, queue);
    fill_add(f, queue, (size_t)best, 1);
    return true;
}

/* Queues take turns until each has its goal or cannot get more; who cannot now
 * never can again, because a turn frees nothing. */
static void fill_in_turns(struct fill *f, const int64_t *goal)
{
    size_t n = f->in->n_queues, open = n;
    bool *shut = ms_xcalloc(n, sizeof(*shut));

    while (open > 0) {
        for (size_t i = 0; i < n; i++) {
            size_t q = f->order[i];

            if (shut[q])
                continue;
            shut[q] = f->total[q] >= goal[q] || !fill_one(f, q);
            open -= shut[q];
        }
    }
    free(shut);
}

/* Takes slots of a queue where it has most, from the highest ids first. */
static void trim_queue(struct fill *f, size_t queue, int64_t goal)
{
    while (f->total[queue] > goal) {
        size_t most = 0;

        for (size_t p = 1; p < f->in->n_pods; p++)
            if (*cell(f, queue, p) >= *cell(f, queue, most))
                most = p;
        fill_add(f, queue, most, -1);
    }
}

static void trim_pod(struct fill *f, size_t pod)
{
    while (f->free[pod] < 0) {
        size_t most = 0;

        for (size_t q = 1; q < f->in->n_queues; q++)
            if (*cell(f, q, pod) >= *cell(f, most, pod))
                most = q;
        fill_add(f, most, pod, -1);
    }
}

/* What of the current assignment can stay, given the queues' goals. */
static void fill_from_current(struct fill *f, const int64_t *goal)
{
    const struct ms_rebalance *in = f->in;

    for (size_t q = 0; q < in->n_queues; q++)
        for (size_t p = 0; p < in->n_pods; p++) {
            int64_t n = in->current[q * in->n_pods + p];

            if (n > 0 && is_declared(in, q, p))
                fill_add(f, q, p, at_most(n, MS_QUEUE_SLOTS_MAX));
        }
    for (size_t q = 0; q < in->n_queues; q++)
        trim_queue(f, q, goal[q]);
    for (size_t p = 0; p < in->n_pods; p++)
        trim_pod(f, p);
}

/* Moves one slot from where the queue has most to where it has fewest, if the
 * two differ by two or more: each move makes the sum of squares smaller, so
 * this ends. */
static bool level_queue(struct fill *f, size_t queue)
{
    ptrdiff_t most = -1, fewest = -1;

    for (size_t p = 0; p < f->in->n_pods; p++) {
        int64_t n = *cell(f, queue, p);

        if (n > 0 && (most < 0 || n >= *cell(f, queue, (size_t)most)))
            most = (ptrdiff_t)p;
        if (f->free[p] > 0 && can_take(f, queue, p) &&
            (fewest < 0 || n < *cell(f, queue, (size_t)fewest)))
            fewest = (ptrdiff_t)p;
    }
    if (most < 0 || fewest < 0 ||
        *cell(f, queue, (size_t)most) < *cell(f, queue, (size_t)fewest) + 2)
        return false;
    fill_add(f, queue, (size_t)most, -1);
    fill_add(f, queue, (size_t)fewest, 1);
    return true;
}

static void level_all(struct fill *f)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (size_t q = 0; q < f->in->n_queues; q++)
            moved = level_queue(f, q) || moved;
    }
}

/* First how much each queue gets in all: that does not depend on where.  Then
 * where, beginning with what there is. */
static void share_scarce(const struct ms_rebalance *in, int64_t *slots)
{
    struct fill want, f;

    fill_init(&want, in, slots);
    fill_in_turns(&want, in->max_workers);
    fill_init(&f, in, slots);
    fill_from_current(&f, want.total);
    fill_in_turns(&f, want.total);
    level_all(&f);
    fill_done(&want);
    fill_done(&f);
}

static size_t count_empty(const struct ms_rebalance *in, const int64_t *slots)
{
    size_t n = 0;

    for (size_t q = 0; q < in->n_queues; q++) {
        int64_t total = 0;

        for (size_t p = 0; p < in->n_pods; p++)
            total += slots[q * in->n_pods + p];
        n += total == 0 && is_open(in, q);
    }
    return n;
}

size_t ms_rebalance(const struct ms_rebalance *in, int64_t *out_slots)
{
    if (in->n_queues == 0 || in->n_pods == 0)
        return 0;
    if (!split_all(in, out_slots))
        share_scarce(in, out_slots);
    return count_empty(in, out_slots);
}

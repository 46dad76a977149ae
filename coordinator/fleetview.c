#include "coordinator/fleetview.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/fleet.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/tidy.h"
#include "coordinator/gate.h"

enum state { IDLE, LISTING, READING };

static const char *const state_names[] = {"idle", "listing", "reading"};

struct waiter {
    ms_view_fn *fn;
    void *arg;
    bool all;
    bool served; /* by the round under way */
};

struct ms_view {
    struct ms_gate *gate;
    const char *fleet;
    const struct ms_presence *presence; /* NULL: none */
    int64_t gone_after_ms, now_ms;

    enum state state;
    bool all;        /* this round reads everything */
    enum ms_err err; /* of this round */

    struct ms_view_queue **queues;
    size_t n_queues;
    struct ms_view_pod **pods;
    size_t n_pods;

    struct waiter *waiters;
    size_t n_waiters;
};

static void view_set_state(struct ms_view *view, enum state state)
{
    ms_assert(state == IDLE || state == (enum state)(view->state + 1));
    ms_log(MS_DEBUG, "view", "state", "from=%s to=%s", state_names[view->state],
           state_names[state]);
    view->state = state;
}

/* ---- queues and pods ---- */

static void queue_free(struct ms_view_queue *queue)
{
    if (queue == NULL)
        return;
    free(queue->name);
    free(queue);
}

static void names_free(char **names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

static void pod_free(struct ms_view_pod *pod)
{
    if (pod == NULL)
        return;
    free(pod->id);
    names_free(pod->queues);
    free(pod->kinds);
    free(pod);
}

static struct ms_view_queue *queue_new(struct ms_view *view, const char *name)
{
    struct ms_view_queue *queue = ms_xcalloc(1, sizeof(*queue));

    queue->view = view;
    queue->name = ms_xstrdup(name);
    queue->max_workers = 1;
    return queue;
}

static struct ms_view_pod *pod_new(struct ms_view *view, const char *id)
{
    struct ms_view_pod *pod = ms_xcalloc(1, sizeof(*pod));

    pod->view = view;
    pod->id = ms_xstrdup(id);
    pod->queues = ms_xcalloc(1, sizeof(*pod->queues));
    pod->kinds = ms_xstrdup("");
    return pod;
}

static int by_queue_name(const void *a, const void *b)
{
    const struct ms_view_queue *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static int by_pod_id(const void *a, const void *b)
{
    const struct ms_view_pod *const *x = a, *const *y = b;

    return strcmp((*x)->id, (*y)->id);
}

/* All but those that were taken along into a new list. */
static void queues_free(struct ms_view *view)
{
    for (size_t i = 0; i < view->n_queues; i++) {
        if (!view->queues[i]->kept)
            queue_free(view->queues[i]);
        else
            view->queues[i]->kept = false;
    }
    free(view->queues);
    view->queues = NULL;
    view->n_queues = 0;
}

/* All but those that were taken along into a new list. */
static void pods_free(struct ms_view *view)
{
    for (size_t i = 0; i < view->n_pods; i++) {
        if (!view->pods[i]->kept)
            pod_free(view->pods[i]);
        else
            view->pods[i]->kept = false;
    }
    free(view->pods);
    view->pods = NULL;
    view->n_pods = 0;
}

/* Where a name stands in the sorted list of entries; NULL: nowhere. */
static struct ms_view_queue **queue_slot(const struct ms_view *view,
                                         const char *name)
{
    struct ms_view_queue key = {.name = (char *)name}, *k = &key;

    if (view->n_queues == 0)
        return NULL;
    return bsearch(&k, view->queues, view->n_queues, sizeof(k), by_queue_name);
}

static struct ms_view_pod **pod_slot(const struct ms_view *view, const char *id)
{
    struct ms_view_pod key = {.id = (char *)id}, *k = &key;

    if (view->n_pods == 0)
        return NULL;
    return bsearch(&k, view->pods, view->n_pods, sizeof(k), by_pod_id);
}

/* ---- waiters ---- */

static void serve_one(struct ms_view *view, size_t i, enum ms_err err)
{
    struct waiter waiter = view->waiters[i];

    view->n_waiters--;
    memmove(view->waiters + i, view->waiters + i + 1,
            (view->n_waiters - i) * sizeof(waiter));
    waiter.fn(err, waiter.arg);
}

static void round_begin(struct ms_view *view);

/* A callback may ask again, or make others forget: look from the start each
 * time. */
static void round_end(struct ms_view *view)
{
    enum ms_err err = view->err;
    size_t i = 0;

    view_set_state(view, IDLE);
    while (i < view->n_waiters) {
        if (view->waiters[i].served) {
            serve_one(view, i, err);
            i = 0;
        } else {
            i++;
        }
    }
    if (view->n_waiters > 0 && view->state == IDLE)
        round_begin(view);
}

static void round_step(struct ms_view *view);

/* ---- reading: pods, settings, stamps ---- */

static void note_failure(struct ms_view *view, enum ms_err err,
                         const char *what, const char *name)
{
    ms_log(MS_WARN, "view", "read_failed", "%s=%s err=%s", what, name,
           ms_err_name(err));
}

static char **split(const char *text)
{
    size_t n = 1, i = 0;
    char **names;

    for (const char *c = text; *c != '\0'; c++)
        n += *c == ',';
    names = ms_xcalloc(n + 1, sizeof(*names));
    while (*text != '\0') {
        size_t len = strcspn(text, ",");

        if (len > 0)
            names[i++] = ms_xstrndup(text, len);
        text += len + (text[len] == ',');
    }
    return names;
}

static void pod_read(struct ms_view_pod *pod, const struct ms_reply *pairs)
{
    pod->draining = ms_reply_int(ms_reply_field(pairs, "draining"), 0) != 0;
    pod->concurrency = ms_reply_int(ms_reply_field(pairs, "concurrency"), 0);
    if (pod->concurrency < 0)
        pod->concurrency = 0;
    names_free(pod->queues);
    pod->queues = split(ms_reply_str(ms_reply_field(pairs, "queues"), ""));
    free(pod->kinds);
    pod->kinds = ms_xstrdup(ms_reply_str(ms_reply_field(pairs, "kinds"), ""));
    pod->read = true;
}

static void on_pod(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_view_pod *pod = arg;

    if (err != MS_OK)
        note_failure(pod->view, err, "pod", pod->id);
    else if (reply->n_items == 0)
        pod->read = false;
    else
        pod_read(pod, reply);
    round_step(pod->view);
}

static void on_max_workers(enum ms_err err, const struct ms_reply *reply,
                           void *arg)
{
    struct ms_view_queue *queue = arg;

    if (err != MS_OK) {
        note_failure(queue->view, err, "queue", queue->name);
    } else {
        queue->max_workers = ms_reply_int(reply, 1);
        if (queue->max_workers < 0)
            queue->max_workers = 0;
        queue->read = true;
    }
    round_step(queue->view);
}

static void on_ttl(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_view_queue *queue = arg;

    if (err == MS_OK)
        queue->ttl_ms = ms_reply_int(reply, 0);
    else
        note_failure(queue->view, err, "queue", queue->name);
    round_step(queue->view);
}

static void on_stamped(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_view_queue *queue = arg;
    struct ms_view *view = queue->view;

    if (err == MS_OK)
        err = ms_fleet_status_parse(reply, NULL);
    if (err == MS_OK)
        queue->stamped = ms_gate_epoch(view->gate);
    else
        note_failure(view, err, "queue", queue->name);
    if (err == MS_ESTALE)
        view->err = err; /* a newer leader was there: nothing here is ours */
    round_step(view);
}

static void read_pod(struct ms_view *view, struct ms_view_pod *pod)
{
    char key[MS_KEY_MAX];
    struct ms_cmd cmd = MS_CMD_INIT;

    if (pod->read && !view->all)
        return;
    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_fleet(key, view->fleet, "pod:%s", pod->id), NULL);
    ms_gate_send(view->gate, &cmd, on_pod, pod);
}

static void read_queue(struct ms_view *view, struct ms_view_queue *queue)
{
    char key[MS_KEY_MAX];
    struct ms_cmd cmd = MS_CMD_INIT;

    if (!queue->read || view->all) {
        ms_cmd_plain(&cmd, "HGET",
                     ms_key_queue(key, view->fleet, queue->name, "cfg"),
                     "max_workers", NULL);
        ms_gate_send(view->gate, &cmd, on_max_workers, queue);
        ms_cmd_plain(&cmd, "HGET",
                     ms_key_queue(key, view->fleet, queue->name, "meta"),
                     "ttl_ms", NULL);
        ms_gate_send(view->gate, &cmd, on_ttl, queue);
    }
    if (queue->stamped != ms_gate_epoch(view->gate)) {
        ms_stamp_build(&cmd, view->fleet, queue->name,
                       ms_gate_epoch(view->gate));
        ms_gate_send(view->gate, &cmd, on_stamped, queue);
    }
}

static void reading_start(struct ms_view *view)
{
    view_set_state(view, READING);
    for (size_t i = 0; i < view->n_pods; i++)
        read_pod(view, view->pods[i]);
    for (size_t i = 0; i < view->n_queues; i++)
        read_queue(view, view->queues[i]);
}

/* ---- listing ---- */

static void on_time(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_view *view = arg;

    if (err != MS_OK)
        view->err = err;
    else
        view->now_ms = ms_reply_int(ms_reply_at(reply, 0), 0) * 1000 +
                       ms_reply_int(ms_reply_at(reply, 1), 0) / 1000;
    round_step(view);
}

/* Takes what is known of a queue along into the new list. */
static void take_queues(struct ms_view *view, const struct ms_reply *reply)
{
    struct ms_view_queue **queues = ms_xcalloc(reply->n_items, sizeof(*queues));
    size_t n = 0;

    for (size_t i = 0; i < reply->n_items; i++) {
        const char *name = ms_reply_str(ms_reply_at(reply, i), "");
        struct ms_view_queue **old = queue_slot(view, name);

        queues[n] = old != NULL ? *old : queue_new(view, name);
        queues[n++]->kept = old != NULL;
    }
    queues_free(view);
    qsort(queues, n, sizeof(*queues), by_queue_name);
    view->queues = queues;
    view->n_queues = n;
}

static void on_queues(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_view *view = arg;

    if (err != MS_OK)
        view->err = err;
    else
        take_queues(view, reply);
    round_step(view);
}

static bool is_live(const struct ms_view *view, const struct ms_view_pod *pod)
{
    return pod->heartbeat_ms + view->gone_after_ms > view->now_ms &&
           (view->presence == NULL ||
            !ms_presence_is_gone(view->presence, pod->id));
}

/* ZRANGE WITHSCORES: id, score, id, score. */
static void take_pods(struct ms_view *view, const struct ms_reply *reply)
{
    struct ms_view_pod **pods = ms_xcalloc(reply->n_items / 2, sizeof(*pods));
    size_t n = 0;

    for (size_t i = 0; i + 1 < reply->n_items; i += 2) {
        const char *id = ms_reply_str(ms_reply_at(reply, i), "");
        struct ms_view_pod **old = pod_slot(view, id);

        pods[n] = old != NULL ? *old : pod_new(view, id);
        pods[n]->kept = old != NULL;
        pods[n]->heartbeat_ms = ms_reply_int(ms_reply_at(reply, i + 1), 0);
        n++;
    }
    pods_free(view);
    qsort(pods, n, sizeof(*pods), by_pod_id);
    view->pods = pods;
    view->n_pods = n;
    for (size_t i = 0; i < n; i++)
        pods[i]->live = is_live(view, pods[i]);
}

static void on_pods(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_view *view = arg;

    if (err != MS_OK)
        view->err = err;
    else if (view->err == MS_OK) /* without the time nobody is live */
        take_pods(view, reply);
    round_step(view);
}

static void round_begin(struct ms_view *view)
{
    char key[MS_KEY_MAX];
    struct ms_cmd cmd = MS_CMD_INIT;

    view_set_state(view, LISTING);
    view->err = MS_OK;
    view->all = false;
    for (size_t i = 0; i < view->n_waiters; i++) {
        view->waiters[i].served = true;
        view->all = view->all || view->waiters[i].all;
    }
    ms_cmd_plain(&cmd, "TIME", NULL);
    ms_gate_send(view->gate, &cmd, on_time, view);
    ms_cmd_plain(&cmd, "SMEMBERS", ms_key_fleet(key, view->fleet, "queues"),
                 NULL);
    ms_gate_send(view->gate, &cmd, on_queues, view);
    ms_cmd_plain(&cmd, "ZRANGE", ms_key_fleet(key, view->fleet, "pods"), "0",
                 "-1", "WITHSCORES", NULL);
    ms_gate_send(view->gate, &cmd, on_pods, view);
}

/* The one place that decides what comes next. */
static void round_step(struct ms_view *view)
{
    if (ms_gate_pending(view->gate) > 0)
        return;
    if (view->state == LISTING && view->err == MS_OK)
        reading_start(view);
    if (ms_gate_pending(view->gate) == 0)
        round_end(view);
}

/* ---- for the tasks ---- */

struct ms_view *ms_view_new(struct ev_loop *loop, struct ms_redis *redis,
                            const char *fleet, const struct ms_term *term,
                            int64_t gone_after_ms)
{
    struct ms_view *view = ms_xcalloc(1, sizeof(*view));

    view->gate = ms_gate_new(loop, redis, term);
    view->fleet = fleet;
    view->gone_after_ms = gone_after_ms;
    return view;
}

void ms_view_set_presence(struct ms_view *view,
                          const struct ms_presence *presence)
{
    view->presence = presence;
}

void ms_view_reset(struct ms_view *view)
{
    ms_gate_cancel(view->gate);
    view->state = IDLE;
    view->n_waiters = 0;
    queues_free(view);
    pods_free(view);
}

void ms_view_free(struct ms_view *view)
{
    if (view == NULL)
        return;
    ms_view_reset(view);
    ms_gate_free(view->gate);
    free(view->waiters);
    free(view);
}

void ms_view_refresh(struct ms_view *view, bool all, ms_view_fn *fn, void *arg)
{
    size_t n = view->n_waiters;

    view->waiters =
        ms_xrealloc(view->waiters, (n + 1) * sizeof(*view->waiters));
    view->waiters[n] = (struct waiter){.fn = fn, .arg = arg, .all = all};
    view->n_waiters++;
    if (view->state == IDLE)
        round_begin(view);
}

void ms_view_forget(struct ms_view *view, void *arg)
{
    size_t n = 0;

    for (size_t i = 0; i < view->n_waiters; i++)
        if (view->waiters[i].arg != arg)
            view->waiters[n++] = view->waiters[i];
    view->n_waiters = n;
}

size_t ms_view_n_queues(const struct ms_view *view)
{
    return view->n_queues;
}

const struct ms_view_queue *ms_view_queue_at(const struct ms_view *view,
                                             size_t i)
{
    return view->queues[i];
}

size_t ms_view_n_pods(const struct ms_view *view)
{
    return view->n_pods;
}

const struct ms_view_pod *ms_view_pod_at(const struct ms_view *view, size_t i)
{
    return view->pods[i];
}

bool ms_view_queue_is_ready(const struct ms_view_queue *queue)
{
    return queue->read && queue->stamped == ms_gate_epoch(queue->view->gate);
}

const struct ms_view_queue *ms_view_find_queue(const struct ms_view *view,
                                               const char *name)
{
    struct ms_view_queue **slot = queue_slot(view, name);

    return slot == NULL ? NULL : *slot;
}

bool ms_view_pod_serves(const struct ms_view_pod *pod, const char *queue)
{
    for (char **name = pod->queues; *name != NULL; name++)
        if (strcmp(*name, queue) == 0)
            return true;
    return false;
}

/* ",a,b," and ",b,c," make ",a,b,b,c,": unpark asks only whether a kind is
 * in it.  Pods of one build have the same kinds, and are not repeated. */
char *ms_view_kinds_of(const struct ms_view *view, const char *queue)
{
    struct ms_buf all = MS_BUF_INIT;
    bool any = false;

    for (size_t i = 0; i < view->n_pods; i++) {
        const struct ms_view_pod *pod = view->pods[i];

        if (!pod->live || !pod->read || !ms_view_pod_serves(pod, queue))
            continue;
        any = true;
        if (pod->kinds[0] == '\0' ||
            (all.len > 0 && strstr(ms_buf_str(&all), pod->kinds) != NULL))
            continue;
        if (all.len > 0)
            all.len--; /* one comma between two */
        ms_buf_adds(&all, pod->kinds);
    }
    if (!any) {
        ms_buf_done(&all);
        return NULL;
    }
    ms_buf_str(&all);
    return all.data;
}

int64_t ms_view_now_ms(const struct ms_view *view)
{
    return view->now_ms;
}

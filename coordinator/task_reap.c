#include "coordinator/task_reap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/sweep.h"

#define CALLS_MAX    20 /* of 100 jobs, a queue and tick */
#define UNPARK_EVERY 5  /* runs */
#define INTERVAL_MS  1000
#define SOON_MS      50  /* never look again sooner, */
#define DUE_MS       250 /* nor for due jobs alone: claims take those too */

enum state { IDLE, LOOKING, REAPING, BURYING, UNPARKING };

static const char *const state_names[] = {"idle", "looking", "reaping",
                                          "burying", "unparking"};

/* A pod that has missed its beats. */
struct gone {
    char *id;
    int64_t heartbeat_ms;
    char **queues; /* NULL-terminated */
    bool left;     /* some of its leases are still there */
};

struct ms_reap {
    struct ms_duty duty;
    struct ms_gate *gate;
    struct ms_task *task;
    struct ms_sweep *sweep;
    enum state state;
    struct gone *gone;
    size_t n_gone, n_buried;
    int64_t look_in_ms; /* at the latest, from the answers of this run */
    ev_timer look;
    int64_t runs;
    enum ms_err err;
    char text[160];
};

static void reap_set_state(struct ms_reap *reap, enum state state)
{
    ms_assert(state == IDLE || state == (enum state)(reap->state + 1));
    if (ms_log_is_on(MS_DEBUG) && state > LOOKING)
        ms_log(MS_DEBUG, "reap", "state", "from=%s to=%s",
               state_names[reap->state], state_names[state]);
    reap->state = state;
}

static void gone_clear(struct ms_reap *reap)
{
    for (size_t i = 0; i < reap->n_gone; i++) {
        struct gone *gone = &reap->gone[i];

        for (size_t q = 0; gone->queues[q] != NULL; q++)
            free(gone->queues[q]);
        free(gone->queues);
        free(gone->id);
    }
    free(reap->gone);
    reap->gone = NULL;
    reap->n_gone = 0;
}

static void reap_stop(void *arg)
{
    struct ms_reap *reap = arg;

    ev_timer_stop(reap->duty.loop, &reap->look);
    ms_view_forget(reap->duty.view, reap);
    ms_gate_cancel(reap->gate);
    ms_sweep_free(reap->sweep);
    reap->sweep = NULL;
    gone_clear(reap);
    reap_set_state(reap, IDLE);
}

/* The first failure is what the task tells; it goes on all the same. */
static void reap_note(struct ms_reap *reap, enum ms_err err, const char *text)
{
    if (err == MS_OK || reap->err != MS_OK)
        return;
    reap->err = err;
    snprintf(reap->text, sizeof(reap->text), "%s", text);
}

static void reap_step(struct ms_reap *reap);

static void on_swept(enum ms_err err, const char *text, void *arg)
{
    struct ms_reap *reap = arg;

    reap_note(reap, err, text);
    ms_sweep_free(reap->sweep);
    reap->sweep = NULL;
    reap_step(reap);
}

/* ---- reaping ---- */

/* The queues where a pod may hold leases: what it declared, or all there are
 * when its record went before it was read. */
static char **queues_of(const struct ms_view *view,
                        const struct ms_view_pod *pod)
{
    size_t n_all = ms_view_n_queues(view), n = 0;
    char **queues = ms_xcalloc(n_all + 1, sizeof(*queues));

    for (size_t i = 0; i < n_all; i++) {
        const struct ms_view_queue *queue = ms_view_queue_at(view, i);

        if (!pod->read || ms_view_pod_serves(pod, queue->name))
            queues[n++] = ms_xstrdup(queue->name);
    }
    return queues;
}

static void gone_add(struct ms_reap *reap, const struct ms_view_pod *pod)
{
    const struct ms_view *view = reap->duty.view;
    struct gone *gone;

    reap->gone =
        ms_xrealloc(reap->gone, (reap->n_gone + 1) * sizeof(*reap->gone));
    gone = &reap->gone[reap->n_gone++];
    *gone = (struct gone){.id = ms_xstrdup(pod->id),
                          .heartbeat_ms = pod->heartbeat_ms,
                          .queues = queues_of(view, pod)};
    for (char **name = gone->queues; *name != NULL; name++) {
        if (ms_view_queue_is_ready(ms_view_find_queue(view, *name)))
            ms_sweep_add(reap->sweep, *name, ms_xstrdup(pod->id));
        else
            gone->left = true;
    }
}

static void build_reap(struct ms_cmd *cmd, const struct ms_sweep_item *item,
                       void *arg)
{
    struct ms_reap *reap = arg;

    ms_reap_build(cmd, reap->duty.fleet, item->queue, reap->duty.term->epoch,
                  item->what);
}

static void look_by(struct ms_reap *reap, int64_t in_ms)
{
    if (in_ms < reap->look_in_ms)
        reap->look_in_ms = in_ms;
}

/* While there are leases the queue must hear from somebody several times a
 * TTL, or it takes the silence for an outage: where all pods have died, that
 * is us.  And what is due soon is not left for a second. */
static void note_next(struct ms_reap *reap, const char *name,
                      int64_t next_due_ms)
{
    const struct ms_view_queue *queue =
        ms_view_find_queue(reap->duty.view, name);
    int64_t in_ms = next_due_ms - ms_view_now_ms(reap->duty.view);

    if (next_due_ms <= 0)
        return;
    look_by(reap, in_ms > DUE_MS ? in_ms : DUE_MS);
    if (queue != NULL && queue->ttl_ms > 0)
        look_by(reap,
                queue->ttl_ms / 4 > SOON_MS ? queue->ttl_ms / 4 : SOON_MS);
}

static void on_reaped(const struct ms_sweep_item *item, enum ms_err err,
                      const struct ms_tidy_answer *sum, void *arg)
{
    struct ms_reap *reap = arg;

    if (sum->n > 0)
        ms_log(MS_INFO, "reap", "reaped",
               "queue=%s jobs=%lld poisoned=%lld pod=%s actor=system:reap",
               item->queue, (long long)sum->n, (long long)sum->n_dead,
               item->what != NULL ? item->what : "-");
    if (err == MS_OK)
        note_next(reap, item->queue, sum->next_due_ms);
    for (size_t i = 0; item->what != NULL && i < reap->n_gone; i++)
        if (strcmp(reap->gone[i].id, item->what) == 0)
            reap->gone[i].left =
                reap->gone[i].left || err != MS_OK || sum->more;
}

static void reaping_start(struct ms_reap *reap)
{
    const struct ms_view *view = reap->duty.view;
    struct ms_sweep_options options = {.mod = "reap",
                                       .calls_max = CALLS_MAX,
                                       .build = build_reap,
                                       .ended = on_reaped,
                                       .done = on_swept,
                                       .arg = reap};

    reap_set_state(reap, REAPING);
    reap->sweep = ms_sweep_new(reap->duty.loop, reap->gate, &options);
    for (size_t i = 0; i < ms_view_n_queues(view); i++)
        if (ms_view_queue_is_ready(ms_view_queue_at(view, i)))
            ms_sweep_add(reap->sweep, ms_view_queue_at(view, i)->name, NULL);
    for (size_t i = 0; i < ms_view_n_pods(view); i++)
        if (!ms_view_pod_at(view, i)->live)
            gone_add(reap, ms_view_pod_at(view, i));
    ms_sweep_run(reap->sweep);
}

/* ---- burying ---- */

static void on_buried(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_reap *reap = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_fleet_status_parse(reply, &error);
    if (err == MS_OK)
        reap->n_buried++;
    else if (err != MS_ESTATE) /* it has beaten again */
        reap_note(reap, err, error.text);
    if (ms_gate_pending(reap->gate) == 0)
        reap_step(reap);
}

static void burying_start(struct ms_reap *reap)
{
    reap_set_state(reap, BURYING);
    reap->n_buried = 0;
    for (size_t i = 0; i < reap->n_gone; i++) {
        struct gone *gone = &reap->gone[i];
        struct ms_cmd cmd = MS_CMD_INIT;

        if (gone->left)
            continue;
        ms_log(MS_WARN, "reap", "pod_gone", "pod=%s actor=system:reap",
               gone->id);
        ms_bury_build(&cmd, reap->duty.fleet, gone->id,
                      (const char *const *)gone->queues, reap->duty.term->epoch,
                      gone->heartbeat_ms);
        ms_gate_send(reap->gate, &cmd, on_buried, reap);
    }
    if (ms_gate_pending(reap->gate) == 0)
        reap_step(reap);
}

/* ---- unparking ---- */

static void build_unpark(struct ms_cmd *cmd, const struct ms_sweep_item *item,
                         void *arg)
{
    struct ms_reap *reap = arg;

    ms_unpark_build(cmd, reap->duty.fleet, item->queue, reap->duty.term->epoch,
                    item->what);
}

static void on_unparked(const struct ms_sweep_item *item, enum ms_err err,
                        const struct ms_tidy_answer *sum, void *arg)
{
    if (sum->n_dead > 0)
        ms_log(MS_WARN, "reap", "no_handler",
               "queue=%s jobs=%lld actor=system:reap", item->queue,
               (long long)sum->n_dead);
}

/* A queue without live pods is left alone: nobody can say what the next pod
 * will handle. */
static void unparking_start(struct ms_reap *reap)
{
    const struct ms_view *view = reap->duty.view;
    struct ms_sweep_options options = {.mod = "reap",
                                       .calls_max = CALLS_MAX,
                                       .build = build_unpark,
                                       .ended = on_unparked,
                                       .done = on_swept,
                                       .arg = reap};

    reap_set_state(reap, UNPARKING);
    reap->sweep = ms_sweep_new(reap->duty.loop, reap->gate, &options);
    for (size_t i = 0; i < ms_view_n_queues(view); i++) {
        const struct ms_view_queue *queue = ms_view_queue_at(view, i);
        char *kinds = ms_view_kinds_of(view, queue->name);

        if (kinds != NULL && ms_view_queue_is_ready(queue))
            ms_sweep_add(reap->sweep, queue->name, kinds);
        else
            free(kinds);
    }
    ms_sweep_run(reap->sweep);
}

/* ---- the flow ---- */

static void reap_end(struct ms_reap *reap)
{
    bool buried = reap->n_buried > 0;

    reap_stop(reap);
    if (reap->look_in_ms < INTERVAL_MS) {
        ev_timer_set(&reap->look, (double)reap->look_in_ms / 1000, 0);
        ev_timer_start(reap->duty.loop, &reap->look);
    }
    if (buried)
        ms_tasks_poke(reap->duty.tasks, "rebalance");
    ms_task_finish(reap->task, reap->err, reap->text);
}

/* The one place that decides what comes next. */
static void reap_step(struct ms_reap *reap)
{
    switch (reap->state) {
    case LOOKING:
        reaping_start(reap);
        break;
    case REAPING:
        burying_start(reap);
        break;
    case BURYING:
        if (reap->runs++ % UNPARK_EVERY == 0)
            unparking_start(reap);
        else
            reap_end(reap);
        break;
    case UNPARKING:
    case IDLE:
        reap_end(reap);
        break;
    }
}

static void on_view(enum ms_err err, void *arg)
{
    struct ms_reap *reap = arg;

    reap_note(reap, err, "cannot read the fleet");
    if (err != MS_OK)
        reap_end(reap);
    else
        reap_step(reap);
}

static void reap_start(struct ms_task *task, void *arg)
{
    struct ms_reap *reap = arg;

    reap->task = task;
    reap->err = MS_OK;
    reap->text[0] = '\0';
    reap->n_buried = 0;
    reap->look_in_ms = INTERVAL_MS;
    ev_timer_stop(reap->duty.loop, &reap->look);
    reap_set_state(reap, LOOKING);
    ms_view_refresh(reap->duty.view, false, on_view, reap);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_reap *reap = timer->data;

    ms_tasks_poke(reap->duty.tasks, "reap");
}

struct ms_reap *ms_reap_new(const struct ms_duty *duty)
{
    struct ms_reap *reap = ms_xcalloc(1, sizeof(*reap));
    struct ms_task_def def = {.name = "reap",
                              .interval_ms = INTERVAL_MS,
                              .deadline_ms = 60000,
                              .start = reap_start,
                              .stop = reap_stop,
                              .arg = reap};

    reap->duty = *duty;
    ev_timer_init(&reap->look, on_look, 0, 0);
    reap->look.data = reap;
    reap->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ms_tasks_add(duty->tasks, &def);
    return reap;
}

void ms_reap_free(struct ms_reap *reap)
{
    if (reap == NULL)
        return;
    reap_stop(reap);
    ms_gate_free(reap->gate);
    free(reap);
}

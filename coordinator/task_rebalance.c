#include "coordinator/task_rebalance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/gate.h"
#include "coordinator/rebalance.h"
#include "coordinator/watch.h"

#define NOT_ASSIGNED (-1)

enum state { IDLE, LOOKING, READING, WRITING };

static const char *const state_names[] = {"idle", "looking", "reading",
                                          "writing"};

/* One queue's row. */
struct row {
    struct ms_rebalancer *owner;
    char *name;
    size_t index;
    size_t n_declared; /* pods */
    bool known;        /* what is assigned has been read */
    bool strangers;    /* pods that should have no share any more */
};

struct ms_rebalancer {
    struct ms_duty duty;
    struct ms_gate *gate;
    struct ms_watch *watch;
    struct ms_task *task;
    enum state state;
    enum ms_err err;
    char text[160];

    /* What this run works on; the view may move on meanwhile. */
    struct row *rows;
    char **pods;
    size_t n_queues, n_pods;
    int64_t *max_workers, *concurrency, *current, *slots;
    bool *declared;

    char **warned; /* queues without pods that were told of */
    size_t n_warned;
    size_t turn; /* raised while queues outnumber slots */
    bool told_turns;
};

static void rebalancer_set_state(struct ms_rebalancer *r, enum state state)
{
    ms_assert(state == IDLE || state == (enum state)(r->state + 1));
    ms_log(MS_DEBUG, "rebalance", "state", "from=%s to=%s",
           state_names[r->state], state_names[state]);
    r->state = state;
}

static void plan_clear(struct ms_rebalancer *r)
{
    for (size_t i = 0; i < r->n_queues; i++)
        free(r->rows[i].name);
    for (size_t i = 0; i < r->n_pods; i++)
        free(r->pods[i]);
    free(r->rows);
    free(r->pods);
    free(r->max_workers);
    free(r->concurrency);
    free(r->current);
    free(r->slots);
    free(r->declared);
    r->rows = NULL;
    r->pods = NULL;
    r->max_workers = r->concurrency = r->current = r->slots = NULL;
    r->declared = NULL;
    r->n_queues = r->n_pods = 0;
}

static void rebalancer_stop(void *arg)
{
    struct ms_rebalancer *r = arg;

    ms_view_forget(r->duty.view, r);
    ms_gate_cancel(r->gate);
    plan_clear(r);
    rebalancer_set_state(r, IDLE);
}

static void rebalancer_end(struct ms_rebalancer *r)
{
    rebalancer_stop(r);
    ms_task_finish(r->task, r->err, r->text);
}

static void note_failure(struct ms_rebalancer *r, enum ms_err err,
                         const char *queue, const char *why)
{
    if (err == MS_OK || r->err != MS_OK)
        return;
    r->err = err;
    snprintf(r->text, sizeof(r->text), "queue '%s': %s", queue,
             why[0] != '\0' ? why : ms_err_name(err));
}

static size_t at(const struct ms_rebalancer *r, size_t queue, size_t pod)
{
    return queue * r->n_pods + pod;
}

/* ---- looking: queues and pods that count ---- */

static void take_pods(struct ms_rebalancer *r)
{
    size_t n = ms_view_n_pods(r->duty.view);

    r->pods = ms_xcalloc(n, sizeof(*r->pods));
    r->concurrency = ms_xcalloc(n, sizeof(*r->concurrency));
    for (size_t i = 0; i < n; i++) {
        const struct ms_view_pod *pod = ms_view_pod_at(r->duty.view, i);

        if (!pod->live || !pod->read || pod->draining)
            continue;
        r->concurrency[r->n_pods] = pod->concurrency;
        r->pods[r->n_pods++] = ms_xstrdup(pod->id);
    }
}

static void take_queues(struct ms_rebalancer *r)
{
    size_t n = ms_view_n_queues(r->duty.view);

    r->rows = ms_xcalloc(n, sizeof(*r->rows));
    r->max_workers = ms_xcalloc(n, sizeof(*r->max_workers));
    for (size_t i = 0; i < n; i++) {
        const struct ms_view_queue *queue = ms_view_queue_at(r->duty.view, i);

        if (!queue->read)
            continue;
        r->max_workers[r->n_queues] = queue->max_workers;
        r->rows[r->n_queues] = (struct row){.owner = r,
                                            .name = ms_xstrdup(queue->name),
                                            .index = r->n_queues};
        r->n_queues++;
    }
}

/* A row for each queue, in the pods' order. */
static void take_declarations(struct ms_rebalancer *r)
{
    size_t cells = r->n_queues * r->n_pods, p = 0;

    r->declared = ms_xcalloc(cells, sizeof(*r->declared));
    r->current = ms_xcalloc(cells, sizeof(*r->current));
    r->slots = ms_xcalloc(cells, sizeof(*r->slots));
    for (size_t i = 0; p < r->n_pods; i++) {
        const struct ms_view_pod *pod = ms_view_pod_at(r->duty.view, i);

        if (strcmp(pod->id, r->pods[p]) != 0)
            continue;
        for (size_t q = 0; q < r->n_queues; q++) {
            bool declared = ms_view_pod_serves(pod, r->rows[q].name);

            r->declared[at(r, q, p)] = declared;
            r->current[at(r, q, p)] = NOT_ASSIGNED;
            r->rows[q].n_declared += declared;
        }
        p++;
    }
}

/* Once for each queue and time without pods. */
static void warn_of_orphans(struct ms_rebalancer *r)
{
    for (size_t q = 0; q < r->n_queues; q++) {
        const char *name = r->rows[q].name;
        size_t i = 0;

        while (i < r->n_warned && strcmp(r->warned[i], name) != 0)
            i++;
        if (r->rows[q].n_declared > 0 && i < r->n_warned) {
            free(r->warned[i]);
            r->warned[i] = r->warned[--r->n_warned];
        } else if (r->rows[q].n_declared == 0 && i == r->n_warned) {
            r->warned = ms_xrealloc(r->warned, (i + 1) * sizeof(*r->warned));
            r->warned[r->n_warned++] = ms_xstrdup(name);
            ms_log(MS_WARN, "rebalance", "queue_without_pods", "queue=%s",
                   name);
        }
    }
}

/* ---- reading: what is assigned ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void row_read(struct row *row, const struct ms_reply *pairs)
{
    struct ms_rebalancer *r = row->owner;

    row->known = true;
    for (size_t i = 0; i + 1 < pairs->n_items; i += 2) {
        const char *id = ms_reply_str(ms_reply_at(pairs, i), "");
        char **found = NULL;

        if (r->n_pods > 0)
            found = bsearch(&id, r->pods, r->n_pods, sizeof(*r->pods), by_text);
        if (found == NULL ||
            !r->declared[at(r, row->index, (size_t)(found - r->pods))])
            row->strangers = true;
        else
            r->current[at(r, row->index, (size_t)(found - r->pods))] =
                ms_reply_int(ms_reply_at(pairs, i + 1), NOT_ASSIGNED);
    }
}

static void rebalancer_step(struct ms_rebalancer *r);

static void on_slots(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct row *row = arg;

    if (err == MS_OK)
        row_read(row, reply);
    note_failure(row->owner, err, row->name, "");
    rebalancer_step(row->owner);
}

static void reading_start(struct ms_rebalancer *r)
{
    rebalancer_set_state(r, READING);
    take_pods(r);
    take_queues(r);
    take_declarations(r);
    warn_of_orphans(r);
    for (size_t q = 0; q < r->n_queues; q++) {
        char key[MS_KEY_MAX];
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_cmd_plain(&cmd, "HGETALL",
                     ms_key_fleet(key, r->duty.fleet, "slots:%s",
                                  r->rows[q].name),
                     NULL);
        ms_gate_send(r->gate, &cmd, on_slots, &r->rows[q]);
    }
}

/* ---- writing: what differs ---- */

static void on_written(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct row *row = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_fleet_status_parse(reply, &error);
    note_failure(row->owner, err, row->name, error.text);
    rebalancer_step(row->owner);
}

static void on_told(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    rebalancer_step(arg); /* a pod that was not told sees it when it beats */
}

static bool row_differs(const struct ms_rebalancer *r, const struct row *row)
{
    if (row->strangers)
        return true;
    for (size_t p = 0; p < r->n_pods; p++)
        if (r->declared[at(r, row->index, p)] &&
            r->current[at(r, row->index, p)] != r->slots[at(r, row->index, p)])
            return true;
    return false;
}

static void row_write(struct ms_rebalancer *r, struct row *row)
{
    const char **pods = ms_xcalloc(r->n_pods, sizeof(*pods));
    int64_t *slots = ms_xcalloc(r->n_pods, sizeof(*slots)), total = 0;
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t n = 0;

    for (size_t p = 0; p < r->n_pods; p++) {
        if (!r->declared[at(r, row->index, p)])
            continue;
        pods[n] = r->pods[p];
        slots[n] = r->slots[at(r, row->index, p)];
        total += slots[n++];
    }
    ms_log(MS_INFO, "rebalance", "assigned",
           "queue=%s max_workers=%lld slots=%lld pods=%zu "
           "actor=system:rebalance",
           row->name, (long long)r->max_workers[row->index], (long long)total,
           n);
    ms_assign_build(&cmd, r->duty.fleet, row->name, r->duty.term->epoch, pods,
                    slots, n);
    ms_gate_send(r->gate, &cmd, on_written, row);
    free(pods);
    free(slots);
}

static void tell_pod(struct ms_rebalancer *r, size_t pod)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_inbox_build(&cmd, r->duty.fleet, r->pods[pod], "slots");
    ms_gate_send(r->gate, &cmd, on_told, r);
}

static bool pod_changed(const struct ms_rebalancer *r, size_t pod)
{
    for (size_t q = 0; q < r->n_queues; q++)
        if (r->rows[q].known && r->declared[at(r, q, pod)] &&
            r->current[at(r, q, pod)] != r->slots[at(r, q, pod)])
            return true;
    return false;
}

/* A queue that got nothing is first next time; told once. */
static void take_turns(struct ms_rebalancer *r, size_t n_empty)
{
    if (n_empty > 0)
        r->turn++;
    if (n_empty > 0 && !r->told_turns)
        ms_log(MS_WARN, "rebalance", "queues_take_turns",
               "queues=%zu without_slots=%zu interval_s=5 "
               "hint=\"raise worker.concurrency or start more workers\"",
               r->n_queues, n_empty);
    r->told_turns = n_empty > 0;
}

static void writing_start(struct ms_rebalancer *r)
{
    struct ms_rebalance in = {.n_queues = r->n_queues,
                              .n_pods = r->n_pods,
                              .max_workers = r->max_workers,
                              .concurrency = r->concurrency,
                              .declared = r->declared,
                              .current = r->current,
                              .turn = r->turn};

    rebalancer_set_state(r, WRITING);
    take_turns(r, ms_rebalance(&in, r->slots));
    for (size_t q = 0; q < r->n_queues; q++)
        if (r->rows[q].known && row_differs(r, &r->rows[q]))
            row_write(r, &r->rows[q]);
    for (size_t p = 0; p < r->n_pods; p++) /* behind the writes */
        if (pod_changed(r, p))
            tell_pod(r, p);
}

/* ---- the flow ---- */

/* The one place that decides what comes next. */
static void rebalancer_step(struct ms_rebalancer *r)
{
    if (ms_gate_pending(r->gate) > 0)
        return;
    if (r->state == LOOKING)
        reading_start(r);
    if (r->state == READING && ms_gate_pending(r->gate) == 0)
        writing_start(r);
    if (r->state == WRITING && ms_gate_pending(r->gate) == 0)
        rebalancer_end(r);
}

static void on_view(enum ms_err err, void *arg)
{
    struct ms_rebalancer *r = arg;

    if (err == MS_OK) {
        rebalancer_step(r);
        return;
    }
    r->err = err;
    snprintf(r->text, sizeof(r->text), "cannot read the fleet");
    rebalancer_end(r);
}

static void on_fleet_changed(void *arg)
{
    struct ms_rebalancer *r = arg;

    ms_tasks_poke(r->duty.tasks, "rebalance");
    ms_tasks_poke(r->duty.tasks, "plan"); /* an import may have come */
}

static void rebalancer_start(struct ms_task *task, void *arg)
{
    struct ms_rebalancer *r = arg;

    r->task = task;
    r->err = MS_OK;
    r->text[0] = '\0';
    rebalancer_set_state(r, LOOKING);
    ms_watch_start(r->watch); /* runs on; it sends only while we lead */
    ms_view_refresh(r->duty.view, true, on_view, r);
}

struct ms_rebalancer *ms_rebalancer_new(const struct ms_duty *duty)
{
    struct ms_rebalancer *r = ms_xcalloc(1, sizeof(*r));
    struct ms_task_def def = {.name = "rebalance",
                              .interval_ms = 5000,
                              .deadline_ms = 30000,
                              .start = rebalancer_start,
                              .stop = rebalancer_stop,
                              .arg = r};

    r->duty = *duty;
    r->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    r->watch = ms_watch_new(duty->loop, duty->redis, duty->fleet, duty->term,
                            on_fleet_changed, r);
    ms_tasks_add(duty->tasks, &def);
    return r;
}

void ms_rebalancer_free(struct ms_rebalancer *r)
{
    if (r == NULL)
        return;
    rebalancer_stop(r);
    ms_watch_free(r->watch);
    ms_gate_free(r->gate);
    for (size_t i = 0; i < r->n_warned; i++)
        free(r->warned[i]);
    free(r->warned);
    free(r);
}

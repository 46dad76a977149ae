#include "coordinator/task_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/gate.h"
#include "coordinator/import.h"
#include "coordinator/import_run.h"

#define PAGE     500
#define RUNS_MAX 1024 /* imports side by side; more wait for their turn */
#define AGAIN_MS 200  /* between two looks at an import, while they are few */
#define FEW      16

enum state { IDLE, LOOKING, LISTING };

/* A queue being listed. */
struct list {
    struct ms_plan *plan;
    char *queue;
    int64_t max_workers, from;
};

/* A parent whose kind is being asked for. */
struct probe {
    struct list *list;
    char *id;
    struct probe *next;
};

/* Ids of parents that are nobody's import, sorted; "queue/id". */
struct others {
    char **items;
    size_t n, cap;
};

struct ms_plan {
    struct ms_duty duty;
    struct ms_gate *gate;
    struct ms_task *task;
    enum state state;
    struct list **lists;
    size_t n_lists;
    struct probe *probes;
    struct ms_import_run **runs;
    size_t n_runs;
    struct others others; /* of the last listing: need not be asked again */
    struct others listed; /* of the one under way */
    int planners;         /* children that the runs have */
    enum ms_err err;      /* the first since the last tick */
    char text[256];
};

static void plan_set_state(struct ms_plan *plan, enum state state)
{
    ms_assert(state == IDLE || state == (enum state)(plan->state + 1));
    plan->state = state;
}

/* ---- batches, which are not ours ---- */

static void others_clear(struct others *others)
{
    for (size_t i = 0; i < others->n; i++)
        free(others->items[i]);
    free(others->items);
    *others = (struct others){0};
}

/* Takes the name. */
static void others_add(struct others *others, char *name)
{
    if (others->n == others->cap) {
        others->cap = others->cap * 2 + 64;
        others->items =
            ms_xrealloc(others->items, others->cap * sizeof(*others->items));
    }
    others->items[others->n++] = name;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool others_have(const struct others *others, const char *name)
{
    return others->n > 0 &&
           bsearch(&name, others->items, others->n, sizeof(*others->items),
                   compare_names) != NULL;
}

/* What the listing that ends now saw is what the next one knows. */
static void others_turn(struct ms_plan *plan)
{
    others_clear(&plan->others);
    plan->others = plan->listed;
    plan->listed = (struct others){0};
    if (plan->others.n > 0)
        qsort(plan->others.items, plan->others.n, sizeof(*plan->others.items),
              compare_names);
}

static void lists_clear(struct ms_plan *plan)
{
    for (size_t i = 0; i < plan->n_lists; i++) {
        free(plan->lists[i]->queue);
        free(plan->lists[i]);
    }
    free(plan->lists);
    plan->lists = NULL;
    plan->n_lists = 0;
    while (plan->probes != NULL) {
        struct probe *probe = plan->probes;

        plan->probes = probe->next;
        free(probe->id);
        free(probe);
    }
}

/* The runs go on: only the listing stops. */
static void plan_stop(void *arg)
{
    struct ms_plan *plan = arg;

    ms_view_forget(plan->duty.view, plan);
    ms_gate_cancel(plan->gate);
    others_clear(&plan->listed);
    lists_clear(plan);
    plan_set_state(plan, IDLE);
}

static void note_failure(struct ms_plan *plan, enum ms_err err,
                         const char *what, const char *why)
{
    if (err == MS_OK || plan->err != MS_OK)
        return;
    plan->err = err;
    snprintf(plan->text, sizeof(plan->text), "%s: %s", what,
             why[0] != '\0' ? why : ms_err_name(err));
}

static void plan_end(struct ms_plan *plan)
{
    enum ms_err err = plan->err;

    others_turn(plan);
    plan_stop(plan);
    plan->err = MS_OK;
    ms_task_finish(plan->task, err, plan->text);
}

/* ---- runs ---- */

static size_t run_find(const struct ms_plan *plan, const char *queue,
                       const char *id)
{
    size_t i = 0;

    while (i < plan->n_runs &&
           (strcmp(ms_import_run_id(plan->runs[i]), id) != 0 ||
            strcmp(ms_import_run_queue(plan->runs[i]), queue) != 0))
        i++;
    return i;
}

static void on_run(struct ms_import_run *run, enum ms_err err, const char *text,
                   void *arg)
{
    struct ms_plan *plan = arg;
    size_t i;

    if (err == MS_OK)
        return;
    if (err != MS_ENOENT) { /* the next tick looks again */
        note_failure(plan, err, ms_import_run_id(run), text);
        return;
    }
    i = run_find(plan, ms_import_run_queue(run), ms_import_run_id(run));
    plan->runs[i] = plan->runs[--plan->n_runs];
    ms_import_run_free(run);
}

static void run_look(struct ms_plan *plan, struct ms_import_run *run,
                     const struct list *list)
{
    ms_import_run_look(run, list->max_workers,
                       AGAIN_MS * (1 + (int64_t)plan->n_runs / FEW));
}

static void run_add(struct ms_plan *plan, const struct list *list,
                    const char *id)
{
    struct ms_import_run *run =
        ms_import_run_new(&plan->duty, list->queue, id, &plan->planners, on_run,
                          plan);

    plan->runs =
        ms_xrealloc(plan->runs, (plan->n_runs + 1) * sizeof(*plan->runs));
    plan->runs[plan->n_runs++] = run;
    run_look(plan, run, list);
}

/* ---- listing ---- */

static void plan_step(struct ms_plan *plan)
{
    if (ms_gate_pending(plan->gate) == 0)
        plan_end(plan);
}

static void on_kind(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct probe *probe = arg;
    struct ms_plan *plan = probe->list->plan;

    note_failure(plan, err, probe->id, "");
    if (err == MS_OK && ms_reply_is(reply, MS_IMPORT_KIND) &&
        plan->n_runs < RUNS_MAX)
        run_add(plan, probe->list, probe->id);
    else if (err == MS_OK && !ms_reply_is(reply, MS_IMPORT_KIND))
        others_add(&plan->listed,
                   ms_xasprintf("%s/%s", probe->list->queue, probe->id));
    plan_step(plan);
}

static void parent_found(struct list *list, const char *id)
{
    struct ms_plan *plan = list->plan;
    size_t i = run_find(plan, list->queue, id);
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];
    struct probe *probe;
    char *name;

    if (i < plan->n_runs) {
        run_look(plan, plan->runs[i], list);
        return;
    }
    name = ms_xasprintf("%s/%s", list->queue, id);
    if (others_have(&plan->others, name)) {
        others_add(&plan->listed, name);
        return;
    }
    free(name);
    probe = ms_xcalloc(1, sizeof(*probe));
    probe->list = list;
    probe->id = ms_xstrdup(id);
    probe->next = plan->probes;
    plan->probes = probe;
    ms_cmd_plain(&cmd, "HGET",
                 ms_key_queue(key, plan->duty.fleet, list->queue, "job:%s", id),
                 "kind", NULL);
    ms_gate_send(plan->gate, &cmd, on_kind, probe);
}

static void page_start(struct list *list);

static void on_page(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct list *list = arg;

    note_failure(list->plan, err, list->queue, "");
    for (size_t i = 0; err == MS_OK && i < reply->n_items; i++)
        parent_found(list, ms_reply_str(ms_reply_at(reply, i), ""));
    if (err == MS_OK && reply->n_items == PAGE)
        page_start(list);
    plan_step(list->plan);
}

static void page_start(struct list *list)
{
    struct ms_plan *plan = list->plan;
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_cmd_args(&cmd, "ZRANGE");
    ms_cmd_args(&cmd,
                ms_key_queue(key, plan->duty.fleet, list->queue, "waiting"));
    ms_cmd_argi(&cmd, list->from);
    list->from += PAGE;
    ms_cmd_argi(&cmd, list->from - 1);
    ms_gate_send(plan->gate, &cmd, on_page, list);
}

static void on_view(enum ms_err err, void *arg)
{
    struct ms_plan *plan = arg;
    const struct ms_view *view = plan->duty.view;

    note_failure(plan, err, "cannot read the fleet", "");
    plan_set_state(plan, LISTING);
    plan->lists = ms_xcalloc(ms_view_n_queues(view), sizeof(*plan->lists));
    for (size_t i = 0; err == MS_OK && i < ms_view_n_queues(view); i++) {
        const struct ms_view_queue *queue = ms_view_queue_at(view, i);
        struct list *list;

        if (!ms_view_queue_is_ready(queue))
            continue;
        list = ms_xcalloc(1, sizeof(*list));
        list->plan = plan;
        list->queue = ms_xstrdup(queue->name);
        list->max_workers = queue->max_workers;
        plan->lists[plan->n_lists++] = list;
        page_start(list);
    }
    plan_step(plan);
}

static void plan_start(struct ms_task *task, void *arg)
{
    struct ms_plan *plan = arg;

    plan->task = task;
    plan_set_state(plan, LOOKING);
    ms_view_refresh(plan->duty.view, false, on_view, plan);
}

struct ms_plan *ms_plan_new(const struct ms_duty *duty)
{
    struct ms_plan *plan = ms_xcalloc(1, sizeof(*plan));
    struct ms_task_def def = {.name = "plan",
                              .interval_ms = 1000,
                              .deadline_ms = 60000,
                              .start = plan_start,
                              .stop = plan_stop,
                              .arg = plan};

    plan->duty = *duty;
    plan->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ms_tasks_add(duty->tasks, &def);
    return plan;
}

void ms_plan_reset(struct ms_plan *plan)
{
    plan_stop(plan);
    others_clear(&plan->others);
    while (plan->n_runs > 0)
        ms_import_run_free(plan->runs[--plan->n_runs]);
}

void ms_plan_free(struct ms_plan *plan)
{
    if (plan == NULL)
        return;
    ms_plan_reset(plan);
    free(plan->runs);
    ms_gate_free(plan->gate);
    free(plan);
}

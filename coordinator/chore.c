#include "coordinator/chore.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "coordinator/sweep.h"

const struct ms_chore_def ms_chore_retain = {.name = "retain",
                                             .interval_ms = 5000,
                                             .calls_max = 20, /* of 500 jobs */
                                             .build = ms_retain_build,
                                             .event = "deleted"};
const struct ms_chore_def ms_chore_batches = {.name = "batches",
                                              .interval_ms = 1000,
                                              .calls_max = 200, /* of 100 */
                                              .build = ms_sweep_batches_build,
                                              .event = "swept"};
const struct ms_chore_def ms_chore_roll = {.name = "roll",
                                           .interval_ms = 15000,
                                           .calls_max = 10, /* of 20 minutes */
                                           .build = ms_roll_build,
                                           .event = "rolled"};

struct ms_chore {
    struct ms_duty duty;
    const struct ms_chore_def *def;
    struct ms_gate *gate;
    struct ms_task *task;
    struct ms_sweep *sweep;
};

static void chore_stop(void *arg)
{
    struct ms_chore *chore = arg;

    ms_view_forget(chore->duty.view, chore);
    ms_gate_cancel(chore->gate);
    ms_sweep_free(chore->sweep);
    chore->sweep = NULL;
}

static void build(struct ms_cmd *cmd, const struct ms_sweep_item *item,
                  void *arg)
{
    struct ms_chore *chore = arg;

    chore->def->build(cmd, chore->duty.fleet, item->queue,
                      chore->duty.term->epoch);
}

static void on_queue_ended(const struct ms_sweep_item *item, enum ms_err err,
                           const struct ms_tidy_answer *sum, void *arg)
{
    const struct ms_chore *chore = arg;

    if (sum->n > 0)
        ms_log(MS_INFO, chore->def->name, chore->def->event,
               "queue=%s n=%lld dead=%lld actor=system:%s", item->queue,
               (long long)sum->n, (long long)sum->n_dead, chore->def->name);
}

static void on_swept(enum ms_err err, const char *text, void *arg)
{
    struct ms_chore *chore = arg;

    ms_task_finish(chore->task, err, text);
    chore_stop(chore); /* the text was the sweep's */
}

static void on_view(enum ms_err err, void *arg)
{
    struct ms_chore *chore = arg;
    struct ms_sweep_options options = {.mod = chore->def->name,
                                       .calls_max = chore->def->calls_max,
                                       .build = build,
                                       .ended = on_queue_ended,
                                       .done = on_swept,
                                       .arg = chore};

    if (err != MS_OK) {
        ms_task_finish(chore->task, err, "cannot read the fleet");
        return;
    }
    chore->sweep = ms_sweep_new(chore->duty.loop, chore->gate, &options);
    for (size_t i = 0; i < ms_view_n_queues(chore->duty.view); i++) {
        const struct ms_view_queue *queue =
            ms_view_queue_at(chore->duty.view, i);

        if (ms_view_queue_is_ready(queue))
            ms_sweep_add(chore->sweep, queue->name, NULL);
    }
    ms_sweep_run(chore->sweep);
}

static void chore_start(struct ms_task *task, void *arg)
{
    struct ms_chore *chore = arg;

    chore->task = task;
    ms_view_refresh(chore->duty.view, false, on_view, chore);
}

struct ms_chore *ms_chore_new(const struct ms_duty *duty,
                              const struct ms_chore_def *def)
{
    struct ms_chore *chore = ms_xcalloc(1, sizeof(*chore));
    struct ms_task_def task = {.name = def->name,
                               .interval_ms = def->interval_ms,
                               .deadline_ms = 60000,
                               .start = chore_start,
                               .stop = chore_stop,
                               .arg = chore};

    chore->duty = *duty;
    chore->def = def;
    chore->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ms_tasks_add(duty->tasks, &task);
    return chore;
}

void ms_chore_free(struct ms_chore *chore)
{
    if (chore == NULL)
        return;
    chore_stop(chore);
    ms_gate_free(chore->gate);
    free(chore);
}

#include "coordinator/task_batches.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "coordinator/sweep.h"

#define CALLS_MAX 20 /* of 400 children, a queue and tick */

struct ms_batches {
    struct ms_duty duty;
    struct ms_gate *gate;
    struct ms_task *task;
    struct ms_sweep *sweep;
};

static void batches_stop(void *arg)
{
    struct ms_batches *batches = arg;

    ms_view_forget(batches->duty.view, batches);
    ms_gate_cancel(batches->gate);
    ms_sweep_free(batches->sweep);
    batches->sweep = NULL;
}

static void build(struct ms_cmd *cmd, const struct ms_sweep_item *item,
                  void *arg)
{
    struct ms_batches *batches = arg;

    ms_sweep_batches_build(cmd, batches->duty.fleet, item->queue,
                           batches->duty.term->epoch);
}

static void on_queue_ended(const struct ms_sweep_item *item, enum ms_err err,
                           const struct ms_tidy_answer *sum, void *arg)
{
    if (sum->n > 0)
        ms_log(MS_INFO, "batches", "swept",
               "queue=%s children=%lld actor=system:batches", item->queue,
               (long long)sum->n);
}

static void on_swept(enum ms_err err, const char *text, void *arg)
{
    struct ms_batches *batches = arg;

    ms_task_finish(batches->task, err, text);
    batches_stop(batches); /* the text was the sweep's */
}

static void on_view(enum ms_err err, void *arg)
{
    struct ms_batches *batches = arg;
    struct ms_sweep_options options = {.mod = "batches",
                                       .calls_max = CALLS_MAX,
                                       .build = build,
                                       .ended = on_queue_ended,
                                       .done = on_swept,
                                       .arg = batches};

    if (err != MS_OK) {
        ms_task_finish(batches->task, err, "cannot read the fleet");
        return;
    }
    batches->sweep = ms_sweep_new(batches->duty.loop, batches->gate, &options);
    for (size_t i = 0; i < ms_view_n_queues(batches->duty.view); i++) {
        const struct ms_view_queue *queue =
            ms_view_queue_at(batches->duty.view, i);

        if (ms_view_queue_is_ready(queue))
            ms_sweep_add(batches->sweep, queue->name, NULL);
    }
    ms_sweep_run(batches->sweep);
}

static void batches_start(struct ms_task *task, void *arg)
{
    struct ms_batches *batches = arg;

    batches->task = task;
    ms_view_refresh(batches->duty.view, false, on_view, batches);
}

struct ms_batches *ms_batches_new(const struct ms_duty *duty)
{
    struct ms_batches *batches = ms_xcalloc(1, sizeof(*batches));
    struct ms_task_def def = {.name = "batches",
                              .interval_ms = 1000,
                              .deadline_ms = 60000,
                              .start = batches_start,
                              .stop = batches_stop,
                              .arg = batches};

    batches->duty = *duty;
    batches->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ms_tasks_add(duty->tasks, &def);
    return batches;
}

void ms_batches_free(struct ms_batches *batches)
{
    if (batches == NULL)
        return;
    batches_stop(batches);
    ms_gate_free(batches->gate);
    free(batches);
}

#include "coordinator/task_retain.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "coordinator/sweep.h"

#define CALLS_MAX 20 /* of 500 jobs, a queue and tick */

struct ms_retain {
    struct ms_duty duty;
    struct ms_gate *gate;
    struct ms_task *task;
    struct ms_sweep *sweep;
};

static void retain_stop(void *arg)
{
    struct ms_retain *retain = arg;

    ms_view_forget(retain->duty.view, retain);
    ms_gate_cancel(retain->gate);
    ms_sweep_free(retain->sweep);
    retain->sweep = NULL;
}

static void build(struct ms_cmd *cmd, const struct ms_sweep_item *item,
                  void *arg)
{
    struct ms_retain *retain = arg;

    ms_retain_build(cmd, retain->duty.fleet, item->queue,
                    retain->duty.term->epoch);
}

static void on_queue_ended(const struct ms_sweep_item *item, enum ms_err err,
                           const struct ms_tidy_answer *sum, void *arg)
{
    if (sum->n > 0)
        ms_log(MS_INFO, "retain", "deleted",
               "queue=%s jobs=%lld dead=%lld actor=system:retain", item->queue,
               (long long)sum->n, (long long)sum->n_dead);
}

static void on_swept(enum ms_err err, const char *text, void *arg)
{
    struct ms_retain *retain = arg;

    ms_task_finish(retain->task, err, text);
    retain_stop(retain); /* the text was the sweep's */
}

static void on_view(enum ms_err err, void *arg)
{
    struct ms_retain *retain = arg;
    struct ms_sweep_options options = {.mod = "retain",
                                       .calls_max = CALLS_MAX,
                                       .build = build,
                                       .ended = on_queue_ended,
                                       .done = on_swept,
                                       .arg = retain};

    if (err != MS_OK) {
        ms_task_finish(retain->task, err, "cannot read the fleet");
        return;
    }
    retain->sweep = ms_sweep_new(retain->duty.loop, retain->gate, &options);
    for (size_t i = 0; i < ms_view_n_queues(retain->duty.view); i++) {
        const struct ms_view_queue *queue =
            ms_view_queue_at(retain->duty.view, i);

        if (ms_view_queue_is_ready(queue))
            ms_sweep_add(retain->sweep, queue->name, NULL);
    }
    ms_sweep_run(retain->sweep);
}

static void retain_start(struct ms_task *task, void *arg)
{
    struct ms_retain *retain = arg;

    retain->task = task;
    ms_view_refresh(retain->duty.view, false, on_view, retain);
}

struct ms_retain *ms_retain_new(const struct ms_duty *duty)
{
    struct ms_retain *retain = ms_xcalloc(1, sizeof(*retain));
    struct ms_task_def def = {.name = "retain",
                              .interval_ms = 5000,
                              .deadline_ms = 60000,
                              .start = retain_start,
                              .stop = retain_stop,
                              .arg = retain};

    retain->duty = *duty;
    retain->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ms_tasks_add(duty->tasks, &def);
    return retain;
}

void ms_retain_free(struct ms_retain *retain)
{
    if (retain == NULL)
        return;
    retain_stop(retain);
    ms_gate_free(retain->gate);
    free(retain);
}

#include "coordinator/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#define NOTE_EVERY_MS 1000 /* at most, for one task */
#define LONG_RUN_MS   500  /* before that a run is not worth a word */
#define ERROR_MAX     256

struct ms_task {
    struct ms_tasks *tasks;
    struct ms_task *next;
    struct ms_task_def def;
    bool running, poked;
    int64_t next_ms;                      /* when to run next; monotonic */
    int64_t began_ms;                     /* the run under way; monotonic */
    int64_t noted_ms;                     /* monotonic */
    bool dirty;                           /* changed since it was noted */
    int64_t last_run_ms, last_success_ms; /* since the epoch */
    int64_t run_count, term_runs;         /* of all time, and of this term */
    char last_error[ERROR_MAX];
};

struct ms_tasks {
    struct ms_tasks_options options;
    struct ms_task *first, **last; /* in the order of their adding */
    struct ms_task_record record;  /* the answer of ms_tasks_find() */
    bool started;
    bool stepping; /* a task that finishes inside its start arms no timer */
    unsigned short seed[3];
    ev_timer timer;
};

static int64_t mono_ms(const struct ms_tasks *tasks)
{
    return tasks->options.mono_ms != NULL
               ? tasks->options.mono_ms(tasks->options.arg)
               : ms_clock_mono_ms();
}

static int64_t wall_ms(const struct ms_tasks *tasks)
{
    return tasks->options.wall_ms != NULL
               ? tasks->options.wall_ms(tasks->options.arg)
               : ms_clock_wall_ms();
}

/* A tenth early or late, so that tasks of one interval drift apart. */
static int64_t jittered(struct ms_tasks *tasks, int64_t ms)
{
    return (int64_t)((double)ms * (0.9 + 0.2 * erand48(tasks->seed)));
}

/* ---- records ---- */

/* The scheduler itself stands still, or a stop did not help: generous, because
 * the answer to it is a restart. */
static bool is_overdue(const struct ms_task *task, int64_t now)
{
    int64_t since =
        task->running ? task->began_ms + task->def.deadline_ms : task->next_ms;
    int64_t slack = 2 * task->def.interval_ms;

    return task->tasks->started &&
           now > since + (slack < 10000 ? 10000 : slack);
}

static void record_of(const struct ms_task *task, struct ms_task_record *out)
{
    const struct ms_tasks *tasks = task->tasks;
    int64_t now = mono_ms(tasks);

    *out = (struct ms_task_record){
        .name = task->def.name,
        .interval_ms = task->def.interval_ms,
        .next_run_ms =
            tasks->started ? wall_ms(tasks) + task->next_ms - now : 0,
        .last_run_ms = task->last_run_ms,
        .last_success_ms = task->last_success_ms,
        .run_count = task->run_count,
        .running = task->running,
        .overdue = is_overdue(task, now),
        .last_error = task->last_error,
    };
}

/* A task that runs often is noted once a second, and between its runs: one
 * that is always seen running tells nothing. */
static int64_t note_due_ms(const struct ms_task *task)
{
    int64_t due = task->noted_ms + NOTE_EVERY_MS;
    int64_t is_long = task->began_ms + LONG_RUN_MS;

    return task->running && due < is_long ? is_long : due;
}

static void note_if_due(struct ms_task *task, int64_t now)
{
    struct ms_tasks *tasks = task->tasks;
    struct ms_task_record record;

    if (!task->dirty || now < note_due_ms(task))
        return;
    task->dirty = false;
    task->noted_ms = now;
    if (tasks->options.note == NULL)
        return;
    record_of(task, &record);
    tasks->options.note(&record, tasks->options.arg);
}

/* ---- runs ---- */

static void task_begin(struct ms_task *task, int64_t now)
{
    task->running = true;
    task->poked = false;
    task->dirty = true;
    task->began_ms = now;
    task->last_run_ms = wall_ms(task->tasks);
    task->run_count++;
    task->term_runs++;
    task->next_ms = now + jittered(task->tasks, task->def.interval_ms);
    task->def.start(task, task->def.arg);
}

/* Once for each new reason: a task that runs every second would fill the log
 * with one outage. */
static void task_failed(struct ms_task *task, enum ms_err err, const char *why)
{
    char quoted[ERROR_MAX];
    bool told = strncmp(task->last_error, why, ERROR_MAX - 1) == 0;

    snprintf(task->last_error, sizeof(task->last_error), "%s", why);
    ms_log(told ? MS_DEBUG : MS_WARN, "task", "failed", "task=%s err=%s why=%s",
           task->def.name, ms_err_name(err),
           ms_log_quote(task->last_error, quoted, sizeof(quoted)));
}

static void task_end(struct ms_task *task, enum ms_err err, const char *text)
{
    task->running = false;
    task->dirty = true;
    if (task->poked)
        task->next_ms = mono_ms(task->tasks);
    if (err != MS_OK) {
        task_failed(task, err,
                    text != NULL && text[0] != '\0' ? text : ms_err_name(err));
        return;
    }
    if (task->last_error[0] != '\0')
        ms_log(MS_INFO, "task", "recovered", "task=%s", task->def.name);
    task->last_success_ms = wall_ms(task->tasks);
    task->last_error[0] = '\0';
}

static void task_expire(struct ms_task *task)
{
    char text[64];

    task->def.stop(task->def.arg);
    snprintf(text, sizeof(text), "stopped after %lld ms",
             (long long)task->def.deadline_ms);
    task_end(task, MS_ETIMEOUT, text);
}

static void task_step(struct ms_task *task, int64_t now)
{
    if (task->running && now >= task->began_ms + task->def.deadline_ms)
        task_expire(task);
    if (!task->running && now >= task->next_ms)
        task_begin(task, now);
    note_if_due(task, now);
}

static int64_t task_wakes_ms(const struct ms_task *task)
{
    int64_t wakes =
        task->running ? task->began_ms + task->def.deadline_ms : task->next_ms;

    return task->dirty && note_due_ms(task) < wakes ? note_due_ms(task) : wakes;
}

int64_t ms_tasks_step(struct ms_tasks *tasks)
{
    int64_t now = mono_ms(tasks), wakes = now + 60000;

    if (!tasks->started)
        return 60000;
    tasks->stepping = true;
    for (struct ms_task *task = tasks->first; task != NULL && tasks->started;
         task = task->next)
        task_step(task, now);
    tasks->stepping = false;
    for (struct ms_task *task = tasks->first; task != NULL; task = task->next)
        if (task_wakes_ms(task) < wakes)
            wakes = task_wakes_ms(task);
    return wakes > now ? wakes - now : 0;
}

/* ---- the loop ---- */

static void tasks_arm(struct ms_tasks *tasks, int64_t in_ms)
{
    if (tasks->options.loop == NULL)
        return;
    ev_timer_stop(tasks->options.loop, &tasks->timer);
    ev_now_update(tasks->options.loop);
    ev_timer_set(&tasks->timer, (double)in_ms / 1000, 0);
    ev_timer_start(tasks->options.loop, &tasks->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_tasks *tasks = timer->data;
    int64_t in_ms = ms_tasks_step(tasks);

    if (tasks->started)
        tasks_arm(tasks, in_ms);
}

struct ms_tasks *ms_tasks_new(const struct ms_tasks_options *options)
{
    struct ms_tasks *tasks = ms_xcalloc(1, sizeof(*tasks));
    uint64_t seed = options->seed != 0
                        ? options->seed
                        : (uint64_t)ms_clock_mono_us() ^ (uint64_t)getpid();

    tasks->options = *options;
    tasks->last = &tasks->first;
    memcpy(tasks->seed, &seed, sizeof(tasks->seed));
    ev_timer_init(&tasks->timer, on_timer, 0, 0);
    tasks->timer.data = tasks;
    return tasks;
}

void ms_tasks_free(struct ms_tasks *tasks)
{
    if (tasks == NULL)
        return;
    ms_tasks_stop(tasks);
    while (tasks->first != NULL) {
        struct ms_task *task = tasks->first;

        tasks->first = task->next;
        free(task);
    }
    free(tasks);
}

void ms_tasks_add(struct ms_tasks *tasks, const struct ms_task_def *def)
{
    struct ms_task *task = ms_xcalloc(1, sizeof(*task));

    ms_assert(!tasks->started && def->interval_ms > 0 && def->deadline_ms > 0);
    task->tasks = tasks;
    task->def = *def;
    *tasks->last = task;
    tasks->last = &task->next;
}

void ms_tasks_start(struct ms_tasks *tasks)
{
    int64_t now = mono_ms(tasks);

    ms_assert(!tasks->started);
    tasks->started = true;
    for (struct ms_task *task = tasks->first; task != NULL; task = task->next) {
        task->next_ms = now;
        task->term_runs = 0;
        task->noted_ms = now - NOTE_EVERY_MS;
    }
    tasks_arm(tasks, 0);
}

void ms_tasks_stop(struct ms_tasks *tasks)
{
    tasks->started = false;
    if (tasks->options.loop != NULL)
        ev_timer_stop(tasks->options.loop, &tasks->timer);
    for (struct ms_task *task = tasks->first; task != NULL; task = task->next) {
        if (task->running)
            task->def.stop(task->def.arg);
        task->running = task->poked = task->dirty = false;
    }
}

static struct ms_task *find(const struct ms_tasks *tasks, const char *name)
{
    struct ms_task *task = tasks->first;

    while (task != NULL && strcmp(task->def.name, name) != 0)
        task = task->next;
    return task;
}

bool ms_tasks_poke(struct ms_tasks *tasks, const char *name)
{
    struct ms_task *task = find(tasks, name);

    if (task == NULL || !tasks->started)
        return false;
    task->poked = true;
    if (!task->running) {
        task->next_ms = mono_ms(tasks);
        tasks_arm(tasks, 0);
    }
    return true;
}

void ms_task_finish(struct ms_task *task, enum ms_err err, const char *text)
{
    ms_assert(task->running);
    task_end(task, err, text);
    if (!task->tasks->stepping)
        tasks_arm(task->tasks, 0);
}

void ms_tasks_adopt(struct ms_tasks *tasks, const struct ms_task_record *record)
{
    struct ms_task *task = find(tasks, record->name);

    if (task == NULL)
        return;
    if (task->run_count < record->run_count + task->term_runs)
        task->run_count = record->run_count + task->term_runs;
    if (task->last_run_ms == 0)
        task->last_run_ms = record->last_run_ms;
    if (task->last_success_ms == 0)
        task->last_success_ms = record->last_success_ms;
}

const struct ms_task_record *ms_tasks_find(struct ms_tasks *tasks,
                                           const char *name)
{
    struct ms_task *task = find(tasks, name);

    if (task == NULL)
        return NULL;
    record_of(task, &tasks->record);
    return &tasks->record;
}

void ms_tasks_each(struct ms_tasks *tasks, ms_task_note_fn *fn, void *arg)
{
    struct ms_task_record record;

    for (struct ms_task *task = tasks->first; task != NULL; task = task->next) {
        record_of(task, &record);
        fn(&record, arg);
    }
}

const char *ms_tasks_overdue(struct ms_tasks *tasks)
{
    int64_t now = mono_ms(tasks);

    for (struct ms_task *task = tasks->first; task != NULL; task = task->next)
        if (is_overdue(task, now))
            return task->def.name;
    return NULL;
}

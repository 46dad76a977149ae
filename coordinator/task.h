/*
 * task: the registry of the leader's periodic tasks, its one form of duty.
 *
 *             due, or poked                      finish
 *   WAITING ------------------> RUNNING ----------------------> WAITING
 *      ^                           |  deadline: stopped, failed    ^
 *      |                           '-------------------------------'
 *      '-- start of a term (first run at once)       end of a term: stopped
 *
 * Tasks are asynchronous: `start` sets something going and returns, the task
 * says ms_task_finish() when it is through, whatever came of it.  A task that
 * fails, hangs or is slow delays no other; it is stopped at its deadline and
 * tried again at its next time.
 *
 * The registry has no clock of its own, so that tests can move one.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct ms_tasks;
struct ms_task;

/* Begins a run.  May call ms_task_finish() before it returns. */
typedef void ms_task_start_fn(struct ms_task *task, void *arg);
/* Ends a run without a word: no ms_task_finish() may follow. */
typedef void ms_task_stop_fn(void *arg);

struct ms_task_def {
    const char *name; /* borrowed */
    int64_t interval_ms, deadline_ms;
    ms_task_start_fn *start;
    ms_task_stop_fn *stop;
    void *arg;
};

/* What operators see.  Times are ms since the epoch, 0 for never. */
struct ms_task_record {
    const char *name;
    int64_t interval_ms, next_run_ms, last_run_ms, last_success_ms;
    int64_t run_count;
    bool running, overdue;
    const char *last_error; /* "" when the last run succeeded */
};
typedef void ms_task_note_fn(const struct ms_task_record *record, void *arg);

struct ms_tasks_options {
    struct ev_loop *loop;          /* NULL: somebody calls ms_tasks_step() */
    int64_t (*mono_ms)(void *arg); /* NULL: ms_clock_mono_ms() */
    int64_t (*wall_ms)(void *arg); /* NULL: ms_clock_wall_ms() */
    ms_task_note_fn *note;         /* a record has changed; NULL: nobody asks */
    void *arg;                     /* of all three */
    uint64_t seed;                 /* of the jitter; 0: random */
};

struct ms_tasks *ms_tasks_new(const struct ms_tasks_options *options);
/* Takes NULL; stops what runs. */
void ms_tasks_free(struct ms_tasks *tasks);

/* Before the first start.  Copies the definition. */
void ms_tasks_add(struct ms_tasks *tasks, const struct ms_task_def *def);

/* A term begins: every task runs at once.  A term ends: what runs is
 * stopped.  Both may be called again and again. */
void ms_tasks_start(struct ms_tasks *tasks);
void ms_tasks_stop(struct ms_tasks *tasks);

/* Runs a task now, or again as soon as its present run ends; any number of
 * pokes until then are one.  False for an unknown name, or between terms. */
bool ms_tasks_poke(struct ms_tasks *tasks, const char *name);

/* Says how a run ended; `text` may be NULL with MS_OK. */
void ms_task_finish(struct ms_task *task, enum ms_err err, const char *text);

/* What an earlier leader noted until this term, so that counts go on. */
void ms_tasks_adopt(struct ms_tasks *tasks,
                    const struct ms_task_record *record);

/* Does what is due and answers how long that lasts, in ms: for tests. */
int64_t ms_tasks_step(struct ms_tasks *tasks);

/* NULL for an unknown name; the record is good until the next call. */
const struct ms_task_record *ms_tasks_find(struct ms_tasks *tasks,
                                           const char *name);
void ms_tasks_each(struct ms_tasks *tasks, ms_task_note_fn *fn, void *arg);

/* The first task that should have run and has not, NULL when all is well or
 * nobody leads: a supervisor had better restart us. */
const char *ms_tasks_overdue(struct ms_tasks *tasks);

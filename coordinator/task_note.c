#include "coordinator/task_note.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/fleet.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/gate.h"

#define TASKS_MAX 32

/* One task's record being read. */
struct question {
    struct ms_tasks *tasks;
    const char *name; /* the registry's */
};

struct ms_task_note {
    struct ms_duty duty;
    struct ms_gate *gate;
    struct question questions[TASKS_MAX];
    size_t n_questions;
};

struct ms_task_note *ms_task_note_new(const struct ms_duty *duty)
{
    struct ms_task_note *note = ms_xcalloc(1, sizeof(*note));

    note->duty = *duty;
    note->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    return note;
}

void ms_task_note_reset(struct ms_task_note *note)
{
    ms_gate_cancel(note->gate);
    note->n_questions = 0;
}

void ms_task_note_free(struct ms_task_note *note)
{
    if (note == NULL)
        return;
    ms_gate_free(note->gate);
    free(note);
}

/* ---- reading ---- */

static int64_t number(const struct ms_reply *pairs, const char *field)
{
    return ms_reply_int(ms_reply_field(pairs, field), 0);
}

static void on_record(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct question *question = arg;
    struct ms_task_record record = {
        .name = question->name,
    };

    if (err != MS_OK)
        return; /* counts begin anew; nothing hangs on them */
    record.run_count = number(reply, "run_count");
    record.last_run_ms = number(reply, "last_run_ms");
    record.last_success_ms = number(reply, "last_success_ms");
    ms_tasks_adopt(question->tasks, &record);
}

struct adoption {
    struct ms_task_note *note;
    struct ms_tasks *tasks;
};

static void ask(const struct ms_task_record *record, void *arg)
{
    struct adoption *adoption = arg;
    struct ms_task_note *note = adoption->note;
    struct question *question = &note->questions[note->n_questions++];
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_assert(note->n_questions <= TASKS_MAX);
    *question =
        (struct question){.tasks = adoption->tasks, .name = record->name};
    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_fleet(key, note->duty.fleet, "task:%s", record->name),
                 NULL);
    ms_gate_send(note->gate, &cmd, on_record, question);
}

void ms_task_note_adopt(struct ms_task_note *note, struct ms_tasks *tasks)
{
    struct adoption adoption = {.note = note, .tasks = tasks};

    ms_task_note_reset(note);
    ms_tasks_each(tasks, ask, &adoption);
}

/* ---- writing ---- */

static void on_written(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    if (err == MS_OK)
        err = ms_fleet_status_parse(reply, NULL);
    if (err != MS_OK)
        ms_log(MS_DEBUG, "task", "note_failed", "err=%s", ms_err_name(err));
}

void ms_task_note_write(const struct ms_task_record *record, void *arg)
{
    struct ms_task_note *note = arg;
    char numbers[6][24];
    const char *const pairs[] = {
        "name",        record->name, "interval_ms",     numbers[0],
        "next_run_ms", numbers[1],   "running",         numbers[2],
        "last_run_ms", numbers[3],   "last_success_ms", numbers[4],
        "run_count",   numbers[5],   "last_error",      record->last_error,
    };
    const int64_t values[] = {record->interval_ms,     record->next_run_ms,
                              record->running,         record->last_run_ms,
                              record->last_success_ms, record->run_count};
    struct ms_cmd cmd = MS_CMD_INIT;

    for (size_t i = 0; i < MS_COUNT_OF(values); i++)
        snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)values[i]);
    ms_task_note_build(&cmd, note->duty.fleet, record->name,
                       note->duty.term->epoch, pairs, MS_COUNT_OF(pairs) / 2);
    ms_gate_send(note->gate, &cmd, on_written, note);
}

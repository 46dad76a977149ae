/*
 * task_note: writes the tasks' records to Redis, where `task list` reads them,
 * and takes over the counts of the leader before.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_task_note;

/* `duty->tasks` may be NULL: the registry is made with the note. */
struct ms_task_note *ms_task_note_new(const struct ms_duty *duty);
void ms_task_note_free(struct ms_task_note *note); /* takes NULL */

/* A term begins: reads what was noted of each task and gives it to the
 * registry.  Before the first write, which comes behind it on the wire. */
void ms_task_note_adopt(struct ms_task_note *note, struct ms_tasks *tasks);

/* An ms_task_note_fn: writes one record.  `arg` is the note. */
void ms_task_note_write(const struct ms_task_record *record, void *arg);

/* A term has ended: nothing is adopted any more. */
void ms_task_note_reset(struct ms_task_note *note);

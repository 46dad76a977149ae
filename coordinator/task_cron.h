/*
 * task_cron: fires schedules (common/schedule.h), one job a slot, whatever
 * happens to leaders.
 *
 * Every second, and when the next slot is due, it asks which schedules want to
 * be looked at, and carries each through on its own:
 *
 *     READING --pending--------------------------------.
 *        | due                                         v
 *        v         in flight?          taken       REGISTERING -> ENQUEUEING
 *     CHECKING -----------------> TAKING ------------> ^             |
 *                                   |                             CLEARING
 *                                   '--- nothing to fire ---> ENDED <'
 *     any failure: NOTING (looked at again in a few seconds) --> ENDED
 *
 * A leader that died behind TAKING left the slot pending: its follower begins
 * there, and the job's id, made of name and slot, makes the second enqueue
 * none.  One that was frozen there shows an old epoch, which the queue refuses:
 * its follower has shown the new one with its own enqueue.
 */
#pragma once

#include "common/conf.h"
#include "coordinator/duty.h"

struct ms_cron_task;

/* Adds the task "cron" to the registry.  Copies `duty`; borrows the
 * configuration (what it says of kinds, and max_payload). */
struct ms_cron_task *ms_cron_task_new(const struct ms_duty *duty,
                                      const struct ms_conf *conf);
void ms_cron_task_free(struct ms_cron_task *cron); /* takes NULL */

/*
 * report: what a pod tells about one queue besides the jobs' own outcomes:
 * events, and counts for the minute's metrics.
 *
 *     EMPTY --something happened--> COLLECTING --a second--> SENDING --+
 *       ^                               ^                       |     |
 *       '------- nothing since ---------+---- more came --------'     |
 *                                       '---- lost: again, same number'
 *
 * It is never on the way of a job: who notes something pays a few counts in
 * memory.  At tens of thousands of jobs a second nobody reads each event, so
 * of each second's only the first are told one by one, and the rest in one
 * summary.  A crash loses what was not sent yet: a second's worth.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/lease.h"
#include "common/redis.h"
#include "worker/held.h"

/* Events told one by one, a call: of starts and successes, and of the rest. */
#define MS_REPORT_PLAIN_MAX   100
#define MS_REPORT_TROUBLE_MAX 100

struct ms_report;

/* Borrows all; `changed` is called when there is nothing left to send. */
struct ms_report *ms_report_new(struct ev_loop *loop, struct ms_redis *redis,
                                const struct ms_tenant *who,
                                void (*changed)(void *arg), void *arg);
void ms_report_free(struct ms_report *report); /* takes NULL; tells no more */

/* A job has begun in its slot (started_us is set). */
void ms_report_started(struct ms_report *report, const struct ms_held *held);

/* Its outcome is committed: `outcome` of `held`'s ending. */
void ms_report_ended(struct ms_report *report, const struct ms_held *held);

/* Sends what there is now; it is up again, or the pod leaves. */
void ms_report_flush(struct ms_report *report);

/* Nothing to tell and nothing under way. */
bool ms_report_is_empty(const struct ms_report *report);

/*
 * head: the job that a slot runs now, and what its time brings.
 *
 *     NONE --stop wanted, timed out--> TOLD --grace--> TERM --grace--> KILL
 *
 * No processes here and no clocks: who has them asks when something is due,
 * and what it is then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/held.h"

#define MS_HEAD_NEVER INT64_MAX

enum ms_head_stage {
    MS_HEAD_NONE,
    MS_HEAD_TOLD, /* the handler was asked to stop */
    MS_HEAD_TERM,
    MS_HEAD_KILL
};

/* Zeroed: a job of which nothing is known yet. */
struct ms_head {
    bool has_begun; /* times count from then on */
    bool is_long;   /* nothing is queued behind it any more */
    bool timed_out;
    enum ms_stop stop;
    enum ms_head_stage stage;
    int64_t stage_us;             /* when the stage began */
    int64_t begun_us, timeout_us; /* timeout_us 0: none */
    int64_t moved_us;             /* when it began, or its cursor moved */
    int64_t stopped_us;           /* since then its time-out stands still; 0 */
    int64_t seq;
    size_t uncommitted; /* bytes of its checkpoints */
};

/* What the slot around it looks like. */
struct ms_head_slot {
    bool others_wait; /* jobs are queued behind it */
    bool is_paused;   /* we do not read what it says: its time stands still */
    bool has_program; /* that program gets a KILL of its own, before the slot */
    int64_t grace_us;
};

enum ms_head_act {
    MS_HEAD_WAIT,       /* nothing is due */
    MS_HEAD_STEP_ASIDE, /* it is long: those behind it go elsewhere */
    MS_HEAD_TIME_OUT,   /* ask the handler to stop */
    MS_HEAD_SEND_TERM,
    MS_HEAD_SEND_KILL
};

void ms_head_begin(struct ms_head *head, const struct ms_held *held,
                   int64_t now_us);

/* A checkpoint came: a cursor that moves puts off the time-out. */
void ms_head_move(struct ms_head *head, int64_t seq, int64_t now_us);

/* Stops its time-out, or lets it go on: what it waited counts for nothing.
 * Saying either twice does no harm. */
void ms_head_clock(struct ms_head *head, bool stopped, int64_t now_us);

/* The handler is told to stop.  A second reason does not put off TERM. */
void ms_head_tell(struct ms_head *head, int64_t now_us);

/* When to ask again; MS_HEAD_NEVER: not by itself. */
int64_t ms_head_due_us(const struct ms_head *head,
                       const struct ms_head_slot *slot);

/* What is due, and notes that it was done (but for TIME_OUT, which is followed
 * by ms_head_tell()). */
enum ms_head_act ms_head_next(struct ms_head *head,
                              const struct ms_head_slot *slot, int64_t now_us);

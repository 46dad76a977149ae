#include "worker/head.h"

#include "worker/pace.h"

/* What a slot takes to say that its program was killed. */
#define PROGRAM_GRACE_US 1000000LL

void ms_head_begin(struct ms_head *head, const struct ms_held *held,
                   int64_t now_us)
{
    head->has_begun = true;
    head->begun_us = head->moved_us = now_us;
    head->timeout_us = held->timeout_ms > 0 ? held->timeout_ms * 1000 : 0;
    head->seq = held->seq;
}

void ms_head_move(struct ms_head *head, int64_t seq, int64_t now_us)
{
    if (seq <= head->seq)
        return;
    head->seq = seq;
    head->moved_us = now_us;
}

void ms_head_clock(struct ms_head *head, bool stopped, int64_t now_us)
{
    if (!stopped && head->stopped_us != 0) {
        head->moved_us += now_us - head->stopped_us;
        if (head->moved_us > now_us)
            head->moved_us = now_us; /* the cursor moved meanwhile */
        head->stopped_us = 0;
    } else if (stopped && head->stopped_us == 0) {
        head->stopped_us = now_us;
    }
}

static void set_stage(struct ms_head *head, enum ms_head_stage stage,
                      int64_t now_us)
{
    head->stage = stage;
    head->stage_us = now_us;
}

void ms_head_tell(struct ms_head *head, int64_t now_us)
{
    if (head->stage == MS_HEAD_NONE)
        set_stage(head, MS_HEAD_TOLD, now_us);
}

/* When the next stage begins. */
static int64_t stage_due_us(const struct ms_head *head,
                            const struct ms_head_slot *slot)
{
    if (head->stage == MS_HEAD_KILL)
        return MS_HEAD_NEVER;
    if (head->stage == MS_HEAD_TOLD && slot->has_program)
        return head->stage_us + slot->grace_us + PROGRAM_GRACE_US;
    return head->stage_us + slot->grace_us;
}

static int64_t long_due_us(const struct ms_head *head,
                           const struct ms_head_slot *slot)
{
    if (head->is_long || !slot->others_wait)
        return MS_HEAD_NEVER;
    return head->begun_us + MS_PACE_LONG_US;
}

static int64_t timeout_due_us(const struct ms_head *head,
                              const struct ms_head_slot *slot)
{
    if (head->timeout_us == 0 || slot->is_paused || head->stopped_us != 0)
        return MS_HEAD_NEVER;
    return head->moved_us + head->timeout_us;
}

int64_t ms_head_due_us(const struct ms_head *head,
                       const struct ms_head_slot *slot)
{
    int64_t long_us, timeout_us;

    if (!head->has_begun)
        return MS_HEAD_NEVER;
    if (head->stage != MS_HEAD_NONE)
        return stage_due_us(head, slot);
    long_us = long_due_us(head, slot);
    timeout_us = timeout_due_us(head, slot);
    return long_us < timeout_us ? long_us : timeout_us;
}

enum ms_head_act ms_head_next(struct ms_head *head,
                              const struct ms_head_slot *slot, int64_t now_us)
{
    if (now_us < ms_head_due_us(head, slot))
        return MS_HEAD_WAIT;
    switch (head->stage) {
    case MS_HEAD_NONE:
        if (now_us >= timeout_due_us(head, slot)) {
            head->timed_out = true;
            return MS_HEAD_TIME_OUT;
        }
        head->is_long = true;
        return MS_HEAD_STEP_ASIDE;
    case MS_HEAD_TOLD:
        set_stage(head, MS_HEAD_TERM, now_us);
        return MS_HEAD_SEND_TERM;
    case MS_HEAD_TERM:
        set_stage(head, MS_HEAD_KILL, now_us);
        return MS_HEAD_SEND_KILL;
    case MS_HEAD_KILL:
        break;
    }
    return MS_HEAD_WAIT;
}

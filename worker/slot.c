#include "worker/slot.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/build.h"
#include "worker/head.h"
#include "worker/message.h"
#include "worker/output.h"
#include "worker/slot_child.h"
#include "worker/spawn.h"

#define START_US      (30 * 1000000LL) /* for a child to say READY */
#define STOP_GRACE_US (5 * 1000000LL)
#define COOL_MIN_US   100000LL
#define COOL_MAX_US   5000000LL
#define NEVER         MS_HEAD_NEVER

/* Payloads above go alone: nothing is queued behind so much. */
#define BACKLOG_MAX (1024 * 1024)
/* What a child may report before some of it was committed. */
#define UNCOMMITTED_MAX (4 * 1024 * 1024)

enum slot_state { SLOT_EMPTY, SLOT_STARTING, SLOT_UP, SLOT_COOLING };

struct place {
    struct ms_held *held;
    struct ms_pace_kind *kind;
    uint64_t number;
    enum ms_stop stop; /* wanted before we knew that it is the head */
};

struct ms_slot {
    struct ms_slot_pool *pool;
    int number;
    enum slot_state state;
    struct ms_spawned child;
    struct ms_reader reader;
    struct ms_output *output;
    ev_io readable, writable;
    ev_child exited;
    ev_timer timer;
    int64_t timer_us; /* when it is set for; NEVER: it is not */
    struct place queue[MS_LANE_CELLS];
    int n;
    uint64_t last_number;
    const struct ms_pace_kind *last_kind;
    struct ms_head head;
    int64_t since_us; /* of STARTING, or the end of COOLING */
    int failures;     /* starts in a row that came to nothing */
    char killed[300]; /* why we killed it; "": we did not */
};

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents);
static void on_writable(struct ev_loop *loop, ev_io *watcher, int revents);
static void on_exit_of_child(struct ev_loop *loop, ev_child *w, int revents);
static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents);

/* ---- life ---- */

static void slot_set_state(struct ms_slot *slot, enum slot_state state)
{
    static const char *const names[] = {"empty", "starting", "up", "cooling"};

    ms_log(MS_DEBUG, "slot", "state", "slot=%d from=%s to=%s pid=%d",
           slot->number, names[slot->state], names[state],
           (int)slot->child.pid);
    slot->state = state;
}

/* Whose output it is that comes now. */
static const char *output_job(void *arg)
{
    const struct ms_slot *slot = arg;

    return slot->n > 0 && slot->head.has_begun ? slot->queue[0].held->id : NULL;
}

struct ms_slot *ms_slot_new(struct ms_slot_pool *pool, int number)
{
    struct ms_slot *slot = ms_xcalloc(1, sizeof(*slot));

    slot->pool = pool;
    slot->number = number;
    slot->timer_us = NEVER;
    ms_spawn_init(&slot->child);
    ms_reader_init(&slot->reader);
    ev_init(&slot->readable, on_readable);
    ev_init(&slot->writable, on_writable);
    ev_init(&slot->exited, on_exit_of_child);
    ev_init(&slot->timer, on_timer);
    slot->readable.data = slot->writable.data = slot;
    slot->exited.data = slot->timer.data = slot;
    slot->output = ms_output_new(pool->loop, number, output_job, slot);
    return slot;
}

/* Everything of the child but its watcher, which waits for its end. */
static void close_channel(struct ms_slot *slot)
{
    ev_io_stop(slot->pool->loop, &slot->readable);
    ev_io_stop(slot->pool->loop, &slot->writable);
    ms_spawn_close(&slot->child);
}

void ms_slot_free(struct ms_slot *slot)
{
    if (slot == NULL)
        return;
    ev_child_stop(slot->pool->loop, &slot->exited);
    ev_timer_stop(slot->pool->loop, &slot->timer);
    ms_spawn_end(&slot->child);
    ms_output_free(slot->output);
    close_channel(slot);
    for (int i = 0; i < slot->n; i++)
        slot->queue[i].held->slot = NULL;
    ms_reader_done(&slot->reader);
    free(slot);
}

/* We kill it for a reason of ours; its end comes through on_exit_of_child. */
static void kill_for(struct ms_slot *slot, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void kill_for(struct ms_slot *slot, const char *format, ...)
{
    char quoted[256];
    va_list args;

    if (slot->killed[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(slot->killed, sizeof(slot->killed), format, args);
    va_end(args);
    ms_log(MS_ERROR, "slot", "killed", "slot=%d pid=%d reason=%s", slot->number,
           (int)slot->child.pid,
           ms_log_quote(slot->killed, quoted, sizeof(quoted)));
    ms_spawn_kill(&slot->child, SIGKILL);
    ev_io_stop(slot->pool->loop, &slot->readable);
}

static void put_hello(struct ms_slot *slot)
{
    const struct ms_slots_options *options = &slot->pool->options;
    const struct ms_hello hello = {.build = ms_build_id(),
                                   .pod = options->pod_id,
                                   .conf_path = options->conf_path,
                                   .redis_url = options->conf->redis_url,
                                   .fleet = options->conf->fleet};

    ms_message_put_hello(&slot->child.frames.out, &hello);
}

static void cool_down(struct ms_slot *slot)
{
    int64_t us = COOL_MIN_US << (slot->failures < 6 ? slot->failures : 6);

    slot->failures++;
    slot->since_us = ms_clock_mono_us() + (us < COOL_MAX_US ? us : COOL_MAX_US);
    slot_set_state(slot, SLOT_COOLING);
}

static enum ms_err start_child(struct ms_slot *slot, struct ms_error *error)
{
    struct ev_loop *loop = slot->pool->loop;
    enum ms_err err = ms_spawn_slot(slot->number, &slot->child, error);

    if (err != MS_OK)
        return err;
    slot->since_us = ms_clock_mono_us();
    ev_io_set(&slot->readable, slot->child.frames.fd, EV_READ);
    ev_io_set(&slot->writable, slot->child.frames.fd, EV_WRITE);
    ev_child_set(&slot->exited, slot->child.pid, 0);
    ms_output_open(slot->output, slot->child.output);
    slot->child.output = -1; /* it is the output's now */
    ev_io_start(loop, &slot->readable);
    ev_child_start(loop, &slot->exited);
    put_hello(slot);
    slot_set_state(slot, SLOT_STARTING);
    return MS_OK;
}

/* ---- the timer: one for all that has a time ---- */

static struct ms_head_slot around_head(const struct ms_slot *slot)
{
    int64_t grace_ms = slot->pool->options.stop_grace_ms;

    return (struct ms_head_slot){.others_wait = slot->n > 1,
                                 .is_paused = !ev_is_active(&slot->readable),
                                 .has_program =
                                     ms_lane_program(&slot->child.lane) != 0,
                                 .grace_us = grace_ms > 0 ? grace_ms * 1000
                                                          : STOP_GRACE_US};
}

static int64_t slot_due_us(const struct ms_slot *slot)
{
    struct ms_head_slot around;

    if (slot->state == SLOT_STARTING)
        return slot->killed[0] == '\0' ? slot->since_us + START_US : NEVER;
    if (slot->state == SLOT_COOLING)
        return slot->since_us;
    if (slot->n == 0)
        return NEVER;
    around = around_head(slot);
    return ms_head_due_us(&slot->head, &around);
}

/* A timer that is set for earlier is left alone: jobs of microseconds come and
 * go without touching it, and when it fires it looks again. */
static void set_timer(struct ms_slot *slot)
{
    int64_t due_us = slot_due_us(slot), in_us;

    if (due_us >= slot->timer_us)
        return;
    in_us = due_us - ms_clock_mono_us();
    ev_timer_stop(slot->pool->loop, &slot->timer);
    ev_now_update(slot->pool->loop);
    ev_timer_set(&slot->timer, in_us > 0 ? (double)in_us / 1e6 : 0, 0);
    ev_timer_start(slot->pool->loop, &slot->timer);
    slot->timer_us = due_us;
}

/* ---- the queue ---- */

void ms_slot_return_later(struct ms_slot_pool *pool, struct ms_held *held)
{
    if (pool->n_returned == pool->room_returned) {
        pool->room_returned = 2 * pool->room_returned + 16;
        pool->returned =
            ms_xrealloc(pool->returned,
                        pool->room_returned * sizeof(*pool->returned));
    }
    held->slot = NULL;
    pool->returned[pool->n_returned++] = held;
}

/* Takes place `i` out; the next job, if it was the first, becomes the head. */
static struct ms_held *queue_take(struct ms_slot *slot, int i)
{
    struct ms_held *held = slot->queue[i].held;

    slot->n--;
    memmove(&slot->queue[i], &slot->queue[i + 1],
            (size_t)(slot->n - i) * sizeof(slot->queue[0]));
    if (i == 0)
        slot->head = (struct ms_head){.stop = MS_STOP_NONE};
    held->slot = NULL;
    return held;
}

/* Takes back what the child has not begun of those behind the head. */
static void revoke_behind(struct ms_slot *slot)
{
    int i = 1;

    while (i < slot->n) {
        if (ms_lane_revoke(&slot->child.lane, slot->queue[i].number))
            ms_slot_return_later(slot->pool, queue_take(slot, i));
        else
            i++;
    }
}

/* A dead child begins nothing, whatever it wrote into the lane: all come back
 * but the head, if that was begun. */
static void return_unbegun(struct ms_slot *slot)
{
    bool begun = slot->n > 0 &&
                 !ms_lane_revoke(&slot->child.lane, slot->queue[0].number);

    while (slot->n > begun)
        ms_slot_return_later(slot->pool, queue_take(slot, begun));
}

static bool is_head(const struct ms_slot *slot, uint64_t number)
{
    return slot->n > 0 && slot->queue[0].number == number;
}

static void tell_stop(struct ms_slot *slot, enum ms_stop reason)
{
    ms_message_put_stop(&slot->child.frames.out, slot->queue[0].number, reason);
    /* A drain only asks; how long it waits is the worker's grace. */
    if (reason != MS_STOP_DRAIN)
        ms_head_tell(&slot->head, ms_clock_mono_us());
    /* A flood is read on: the answer is at its end. */
    if (slot->killed[0] == '\0')
        ev_io_start(slot->pool->loop, &slot->readable);
    revoke_behind(slot);
}

static void stop_head(struct ms_slot *slot, enum ms_stop reason)
{
    if (slot->head.stop == reason)
        return;
    slot->head.stop = reason;
    tell_stop(slot, reason);
}

static void tell_started(struct ms_slot *slot, int64_t started_us)
{
    struct ms_held *held = slot->queue[0].held;

    held->started_us = started_us;
    ms_head_begin(&slot->head, held, started_us);
    slot->pool->settle = true;
    if (slot->queue[0].stop != MS_STOP_NONE)
        stop_head(slot, slot->queue[0].stop);
    slot->pool->options.events->started(held, slot->pool->options.arg);
}

/* What the handler says stands, unless we stopped it for its time. */
static void end_head(struct ms_slot *slot, struct ms_ending *ending)
{
    bool timed_out = slot->head.timed_out;
    struct ms_held *held = queue_take(slot, 0);

    if (timed_out && ending->outcome != MS_DONE) {
        free(ending->result.data);
        *ending = (struct ms_ending){.outcome = MS_FAILED};
        snprintf(ending->error, sizeof(ending->error),
                 "timed out after %lld ms", (long long)held->timeout_ms);
    }
    if (slot->state == SLOT_UP && slot->killed[0] == '\0')
        ev_io_start(slot->pool->loop, &slot->readable); /* was it flooding? */
    slot->pool->settle = true;
    slot->pool->options.events->ended(held, ending, slot->pool->options.arg);
}

/* ---- what the child says ---- */

static void take_ready(struct ms_slot *slot, const struct ms_message *message)
{
    if (slot->state != SLOT_STARTING) {
        kill_for(slot, "sent a second greeting");
    } else if (message->type == MS_MSG_REFUSED) {
        kill_for(slot, "%s", message->text);
    } else if (strcmp(message->text, ms_build_id()) != 0) {
        kill_for(slot, "is build %s, not %s", message->text, ms_build_id());
    } else {
        slot->failures = 0;
        slot_set_state(slot, SLOT_UP);
    }
}

static void take_checkpoint(struct ms_slot *slot, struct ms_message *message)
{
    struct ms_checkpoint *checkpoint = &message->checkpoint;
    struct ms_head *head = &slot->head;

    if (!head->has_begun)
        tell_started(slot, ms_clock_mono_us());
    ms_head_move(head, checkpoint->seq, ms_clock_mono_us());
    head->uncommitted += checkpoint->cursor.len +
                         checkpoint->n_rejects * sizeof(*checkpoint->rejects);
    if (head->uncommitted > UNCOMMITTED_MAX && head->stage == MS_HEAD_NONE)
        ev_io_stop(slot->pool->loop, &slot->readable);
    slot->pool->settle = true;
    slot->pool->options.events->checkpoint(slot->queue[0].held, checkpoint,
                                           slot->pool->options.arg);
}

static void take_clock(struct ms_slot *slot, const struct ms_message *message)
{
    if (!slot->head.has_begun)
        tell_started(slot, ms_clock_mono_us());
    ms_head_clock(&slot->head, message->stopped, ms_clock_mono_us());
}

static void take_end(struct ms_slot *slot, struct ms_message *message)
{
    if (!slot->head.has_begun)
        tell_started(slot, ms_clock_mono_us() - message->end.run_us);
    ms_pace_ran(slot->queue[0].kind, message->end.run_us);
    if (message->end.run_us >= MS_PACE_LONG_US) /* those of microseconds are
                                                   not asked so often */
        ms_output_drain(slot->output);
    end_head(slot, &message->end.ending);
    if (slot->n > 0 && !slot->head.has_begun)
        tell_started(slot, ms_clock_mono_us()); /* the child moved on */
}

/* The child cannot be followed any more; the message may hold memory. */
static void drop_message(struct ms_slot *slot, struct ms_message *message)
{
    if (message->type == MS_MSG_CHECKPOINT)
        ms_checkpoint_done(&message->checkpoint);
    else if (message->type == MS_MSG_END)
        free(message->end.ending.result.data);
    kill_for(slot, "sent a frame about a job that it does not run");
}

static void take_frame(struct ms_slot *slot, const char *body, size_t len)
{
    struct ms_message *message;
    struct ms_error error;

    if (ms_message_read(&slot->reader, body, len, &message, &error) != MS_OK) {
        kill_for(slot, "sent %s", error.text);
    } else if (message->type == MS_MSG_READY ||
               message->type == MS_MSG_REFUSED) {
        take_ready(slot, message);
    } else if (slot->state != SLOT_UP || !is_head(slot, message->number) ||
               !ms_lane_has_begun(&slot->child.lane, message->number)) {
        drop_message(slot, message);
    } else if (message->type == MS_MSG_CHECKPOINT) {
        take_checkpoint(slot, message);
    } else if (message->type == MS_MSG_CLOCK) {
        take_clock(slot, message);
    } else if (message->type == MS_MSG_END) {
        take_end(slot, message);
    } else {
        kill_for(slot, "sent a frame that is the worker's to send");
    }
}

/* False: nothing more to read now. */
static bool read_once(struct ms_slot *slot)
{
    const char *body;
    size_t len;
    struct ms_error error;
    enum ms_err err = ms_frames_fill(&slot->child.frames, false);

    if (err == MS_EDOWN) {
        /* Its end comes with its status.  One that closed its channel and
         * lives on is of no use; for one that is dying this comes too late
         * to change what it dies of. */
        ev_io_stop(slot->pool->loop, &slot->readable);
        ms_spawn_kill(&slot->child, SIGKILL);
    }
    if (err != MS_OK)
        return false;
    while (slot->killed[0] == '\0' &&
           (err = ms_frames_next(&slot->child.frames, &body, &len, &error)) ==
               MS_OK)
        take_frame(slot, body, len);
    if (err == MS_EPROTO)
        kill_for(slot, "sent a frame of an impossible length");
    return slot->killed[0] == '\0';
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct ms_slot *slot = watcher->data;

    read_once(slot); /* once: the other children want to be heard, too */
    set_timer(slot);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct ms_slot *slot = watcher->data;

    if (ms_frames_flush(&slot->child.frames) != MS_EBUSY)
        ev_io_stop(loop, &slot->writable);
}

/* ---- its end ---- */

static bool is_memory(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == MS_SLOT_EXIT_MEMORY;
}

static void explain(const struct ms_slot *slot, int status, char *out,
                    size_t size)
{
    if (slot->killed[0] != '\0')
        snprintf(out, size, "slot killed: it %s", slot->killed);
    else if (ms_frames_is_partial(&slot->child.frames))
        snprintf(out, size, "slot died: inside a frame");
    else if (WIFSIGNALED(status))
        snprintf(out, size, "slot died: signal %d", WTERMSIG(status));
    else
        snprintf(out, size, "slot died: exit status %d", WEXITSTATUS(status));
}

/* The job that ran when the child died. */
static void end_with_child(struct ms_slot *slot, const char *why)
{
    struct ms_ending ending = {.outcome = MS_FAILED};
    bool we_killed_it = slot->head.stage != MS_HEAD_NONE;

    if (we_killed_it && !slot->head.timed_out) {
        ending.outcome = ms_stop_outcome(slot->head.stop);
        snprintf(ending.error, sizeof(ending.error), "stopped");
    } else {
        ending.crashed = !slot->head.timed_out;
        snprintf(ending.error, sizeof(ending.error), "%s", why);
    }
    if (!slot->head.has_begun)
        tell_started(slot, ms_clock_mono_us());
    end_head(slot, &ending);
}

static void bury(struct ms_slot *slot, int status)
{
    char why[400], quoted[500];
    bool was_up = slot->state == SLOT_UP;

    ms_output_close(slot->output);
    explain(slot, status, why, sizeof(why));
    ms_log(is_memory(status) ? MS_INFO : MS_WARN, "slot",
           is_memory(status) ? "grown" : "died",
           "slot=%d pid=%d reason=%s jobs=%d", slot->number,
           (int)slot->child.pid, ms_log_quote(why, quoted, sizeof(quoted)),
           slot->n);
    ms_spawn_kill_rest(&slot->child);
    slot->child.pid = 0;
    slot->killed[0] = '\0';
    return_unbegun(slot);
    slot_set_state(slot, SLOT_EMPTY);
    if (slot->n == 1)
        end_with_child(slot, why);
    close_channel(slot);
    if (!was_up)
        cool_down(slot);
    slot->pool->settle = true;
}

static void on_exit_of_child(struct ev_loop *loop, ev_child *w, int revents)
{
    struct ms_slot *slot = w->data;

    ev_child_stop(loop, w);
    while (slot->killed[0] == '\0' && read_once(slot))
        ; /* what it said last */
    bury(slot, w->rstatus);
    set_timer(slot);
}

/* ---- stopping ---- */

static void on_head_due(struct ms_slot *slot)
{
    struct ms_head_slot around = around_head(slot);

    switch (ms_head_next(&slot->head, &around, ms_clock_mono_us())) {
    case MS_HEAD_WAIT:
        break;
    case MS_HEAD_STEP_ASIDE:
        revoke_behind(slot);
        break;
    case MS_HEAD_TIME_OUT:
        tell_stop(slot, MS_STOP_CANCEL);
        break;
    case MS_HEAD_SEND_TERM:
        ms_spawn_kill(&slot->child, SIGTERM);
        break;
    case MS_HEAD_SEND_KILL:
        ms_spawn_kill(&slot->child, SIGKILL);
        break;
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct ms_slot *slot = watcher->data;

    slot->timer_us = NEVER;
    if (ms_clock_mono_us() >= slot_due_us(slot)) {
        if (slot->state == SLOT_STARTING)
            kill_for(slot, "did not start in time");
        else if (slot->state == SLOT_COOLING)
            slot_set_state(slot, SLOT_EMPTY);
        else
            on_head_due(slot);
        slot->pool->settle = true;
    }
    set_timer(slot);
}

void ms_slot_stop_job(struct ms_slot *slot, struct ms_held *held,
                      enum ms_stop reason)
{
    int i = 0;

    while (i < slot->n && slot->queue[i].held != held)
        i++;
    ms_assert(i < slot->n);
    if (ms_lane_revoke(&slot->child.lane, slot->queue[i].number)) {
        ms_slot_return_later(slot->pool, queue_take(slot, i));
        return;
    }
    if (i == 0 && slot->head.has_begun)
        stop_head(slot, reason);
    else /* begun, and what the child said of that is still to be read */
        slot->queue[i].stop = reason;
    set_timer(slot);
}

/* ---- giving ---- */

bool ms_slot_is_idle(const struct ms_slot *slot)
{
    return slot->n == 0 && slot->killed[0] == '\0' &&
           slot->state != SLOT_COOLING;
}

bool ms_slot_is_warm(const struct ms_slot *slot)
{
    return slot->state == SLOT_UP;
}

int ms_slot_jobs(const struct ms_slot *slot)
{
    return slot->n;
}

const struct ms_pace_kind *ms_slot_last_kind(const struct ms_slot *slot)
{
    return slot->last_kind;
}

int ms_slot_room(const struct ms_slot *slot, const struct ms_pace_kind *kind)
{
    int depth = ms_pace_depth(kind), used = slot->n == 0 ? 1 : slot->n;
    uint64_t next = slot->last_number + 1;

    if (slot->state != SLOT_UP || slot->killed[0] != '\0' ||
        slot->head.is_long || slot->head.stage != MS_HEAD_NONE ||
        ms_frames_backlog(&slot->child.frames) > BACKLOG_MAX)
        return 0;
    if (slot->n > 0) {
        int head_depth = ms_pace_depth(slot->queue[0].kind);

        if (head_depth < depth)
            depth = head_depth;
        /* Its cell must not be one that is still in use. */
        if (next - slot->queue[0].number >= MS_LANE_CELLS)
            return 0;
    }
    return depth > used ? depth - used : 0;
}

bool ms_slot_give(struct ms_slot *slot, struct ms_held *held,
                  struct ms_pace_kind *kind)
{
    struct ms_error error;
    char quoted[300];

    if (slot->state == SLOT_EMPTY && start_child(slot, &error) != MS_OK) {
        ms_log(MS_ERROR, "slot", "start_failed", "slot=%d error=%s",
               slot->number, ms_log_quote(error.text, quoted, sizeof(quoted)));
        cool_down(slot);
        set_timer(slot);
        return false;
    }
    ms_assert(slot->n < MS_LANE_CELLS);
    slot->last_number++;
    slot->last_kind = kind;
    slot->queue[slot->n++] =
        (struct place){held, kind, slot->last_number, MS_STOP_NONE};
    held->slot = slot;
    ms_lane_post(&slot->child.lane, slot->last_number);
    ms_message_put_job(&slot->child.frames.out, slot->last_number, held);
    set_timer(slot);
    return true;
}

void ms_slot_committed(struct ms_slot *slot, struct ms_held *held, int64_t seq)
{
    if (slot->state != SLOT_UP || slot->queue[0].held != held ||
        slot->killed[0] != '\0')
        return;
    ms_message_put_committed(&slot->child.frames.out, slot->queue[0].number,
                             seq);
    slot->head.uncommitted = 0;
    if (!ev_is_active(&slot->readable)) {
        slot->head.moved_us = ms_clock_mono_us(); /* it was we who waited */
        ev_io_start(slot->pool->loop, &slot->readable);
        set_timer(slot);
    }
}

void ms_slot_turn(struct ms_slot *slot)
{
    if (slot->child.pid == 0)
        return;
    if (slot->state == SLOT_UP && slot->n > 0 && !slot->head.has_begun) {
        tell_started(slot, ms_clock_mono_us());
        set_timer(slot);
    }
    if (ms_frames_backlog(&slot->child.frames) > 0 &&
        ms_frames_flush(&slot->child.frames) == MS_EBUSY)
        ev_io_start(slot->pool->loop, &slot->writable);
}

void ms_slot_describe(const struct ms_slot *slot, struct ms_json *json)
{
    static const char *const states[] = {"empty", "starting", "idle",
                                         "cooling"};
    const struct ms_held *held = slot->n > 0 ? slot->queue[0].held : NULL;
    int64_t ago_us = 0;

    ms_json_open(json, '{');
    ms_json_key(json, "slot");
    ms_json_int(json, slot->number);
    ms_json_key(json, "pid");
    ms_json_int(json, slot->child.pid);
    ms_json_key(json, "state");
    ms_json_str(json, slot->state == SLOT_UP && held != NULL
                          ? "busy"
                          : states[slot->state]);
    ms_json_key(json, "job");
    ms_json_str(json, held == NULL ? NULL : held->id);
    ms_json_key(json, "queue");
    ms_json_str(json, held == NULL ? NULL : held->queue);
    ms_json_key(json, "kind");
    ms_json_str(json, held == NULL ? NULL : held->kind);
    ms_json_key(json, "started_ms");
    if (held != NULL && slot->head.has_begun) {
        ago_us = ms_clock_mono_us() - held->started_us;
        ms_json_int(json, ms_clock_wall_ms() - ago_us / 1000);
    } else {
        ms_json_null(json);
    }
    ms_json_close(json);
}

#include "coordinator/task_cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/enqueue.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/schedule.h"
#include "common/ulid.h"
#include "coordinator/gate.h"

#define INTERVAL_MS 1000
#define SOON_MS     5
#define LOOK_MAX    50    /* schedules a run */
#define CHANGED_MS  100   /* until it is read again */
#define AGAIN_MS    3000  /* after a failure that may pass: a full queue */
#define BROKEN_MS   30000 /* after one that somebody has to mend */

enum state {
    READING,
    CHECKING,
    TAKING,
    REGISTERING,
    ENQUEUEING,
    CLEARING,
    NOTING,
    ENDED
};

static const char *const state_names[] = {"reading",    "checking",
                                          "taking",     "registering",
                                          "enqueueing", "clearing",
                                          "noting",     "ended"};

/* One schedule that wants to be looked at, in one run. */
struct item {
    struct ms_cron_task *cron;
    enum state state;
    char *name;
    char *said; /* why it failed the last time; NULL: it did not */
    bool has_schedule;
    struct ms_schedule schedule;
    struct ms_schedule_due due;
    size_t n_checks; /* answers still to come */
    bool in_flight;  /* an earlier job has not ended */
    char id[MS_JOB_ID_MAX + 1];
    int64_t slot_ms;
    const char *queue; /* of the pending slot */
};

struct ms_cron_task {
    struct ms_duty duty;
    const struct ms_conf *conf;
    struct ms_gate *gate;
    struct ms_task *task;
    struct item items[LOOK_MAX];
    size_t n_items, n_ended;
    int64_t now_ms, next_ms; /* of the last look */
    bool more;               /* look again at once */
    ev_timer look;
    enum ms_err err; /* the first failure of this run */
    char text[256];
};

static void item_set_state(struct item *item, enum state state)
{
    ms_assert(item->state != ENDED && state > READING);
    if (ms_log_is_on(MS_DEBUG))
        ms_log(MS_DEBUG, "cron", "state", "schedule=%s from=%s to=%s",
               item->name, state_names[item->state], state_names[state]);
    item->state = state;
}

/* ---- runs ---- */

static void cron_stop(void *arg)
{
    struct ms_cron_task *cron = arg;

    ev_timer_stop(cron->duty.loop, &cron->look);
    ms_gate_cancel(cron->gate);
    for (size_t i = 0; i < cron->n_items; i++) {
        struct item *item = &cron->items[i];

        free(item->name);
        free(item->said);
        if (item->has_schedule)
            ms_schedule_done(&item->schedule);
    }
    cron->n_items = 0;
}

/* The next slot is not left for a second. */
static void look_arm(struct ms_cron_task *cron)
{
    int64_t in_ms = cron->next_ms - cron->now_ms;

    if (cron->more || in_ms < SOON_MS)
        in_ms = SOON_MS;
    if (!cron->more && (cron->next_ms == 0 || in_ms > 2 * INTERVAL_MS))
        return;
    ev_timer_set(&cron->look, (double)in_ms / 1000, 0);
    ev_timer_start(cron->duty.loop, &cron->look);
}

static void cron_end(struct ms_cron_task *cron)
{
    cron_stop(cron);
    look_arm(cron);
    ms_task_finish(cron->task, cron->err, cron->text);
}

static void cron_note(struct ms_cron_task *cron, enum ms_err err,
                      const char *name, const char *text)
{
    if (cron->err != MS_OK)
        return;
    cron->err = err;
    snprintf(cron->text, sizeof(cron->text), "%s%s%s", name,
             name[0] == '\0' ? "" : ": ",
             text[0] != '\0' ? text : ms_err_name(err));
}

static void item_end(struct item *item)
{
    struct ms_cron_task *cron = item->cron;

    item_set_state(item, ENDED);
    if (++cron->n_ended == cron->n_items)
        cron_end(cron);
}

/* It will want to be looked at again then. */
static void item_wants(struct item *item, int64_t at_ms)
{
    struct ms_cron_task *cron = item->cron;

    if (at_ms <= cron->now_ms)
        cron->more = true;
    else if (cron->next_ms == 0 || at_ms < cron->next_ms)
        cron->next_ms = at_ms;
}

/* ---- failures ---- */

static void on_noted(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    item_end(arg);
}

/* The connection's failures are nobody's fault, and cannot be noted now. */
static bool is_the_schedules(enum ms_err err)
{
    return err != MS_EDOWN && err != MS_ETIMEOUT && err != MS_ESTALE &&
           err != MS_ELOADING && err != MS_EREADONLY;
}

static int64_t again_ms(enum ms_err err)
{
    return err == MS_EFULL || err == MS_EAUTH ? AGAIN_MS : BROKEN_MS;
}

/* Once for each new reason. */
static void item_complain(const struct item *item, enum ms_err err,
                          const char *text)
{
    bool told = item->said != NULL && strcmp(item->said, text) == 0;
    char quoted[256];

    ms_log(told ? MS_DEBUG : MS_WARN, "cron", "failed",
           "schedule=%s err=%s why=%s retry_ms=%lld", item->name,
           ms_err_name(err), ms_log_quote(text, quoted, sizeof(quoted)),
           (long long)again_ms(err));
}

/* A schedule's own failure is told in its hash and is none of the task's. */
static void item_fail(struct item *item, enum ms_err err, const char *text)
{
    struct ms_cron_task *cron = item->cron;
    struct ms_cmd cmd = MS_CMD_INIT;

    if (err == MS_EBUSY) { /* somebody has changed it: read it again */
        item_wants(item, cron->now_ms + CHANGED_MS);
        item_end(item);
        return;
    }
    if (!is_the_schedules(err)) {
        cron_note(cron, err, item->name, text);
        item_end(item);
        return;
    }
    item_complain(item, err, text);
    item_set_state(item, NOTING);
    ms_schedule_note_build(&cmd, cron->duty.fleet, item->name, text,
                           again_ms(err), cron->duty.term->epoch);
    ms_gate_send(cron->gate, &cmd, on_noted, item);
}

/* True: the answer was ok.  Else the item has failed. */
static bool item_answered(struct item *item, enum ms_err err,
                          const struct ms_reply *reply)
{
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_schedule_status_parse(reply, item->name, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (err != MS_OK)
        item_fail(item, err, error.text);
    return err == MS_OK;
}

/* ---- a pending slot: enqueue, clear ---- */

static void on_cleared(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct item *item = arg;

    if (!item_answered(item, err, reply))
        return;
    item_wants(item, item->schedule.next_ms);
    item_end(item);
}

static void clear(struct item *item)
{
    struct ms_cron_task *cron = item->cron;
    struct ms_cmd cmd = MS_CMD_INIT;

    item_set_state(item, CLEARING);
    ms_schedule_clear_build(&cmd, cron->duty.fleet, item->name, item->id,
                            cron->duty.term->epoch);
    ms_gate_send(cron->gate, &cmd, on_cleared, item);
}

static void on_each(size_t i, enum ms_enqueue_status status, const char *id,
                    void *arg)
{
    *(bool *)arg = status == MS_DEDUPLICATED;
}

static void on_enqueued(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct item *item = arg;
    struct ms_error error = {""};
    bool repeated = false;

    if (err != MS_OK)
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    else
        err = ms_enqueue_parse(reply, 1, on_each, &repeated, &error);
    if (err != MS_OK) {
        item_fail(item, err, error.text);
        return;
    }
    ms_log(MS_INFO, "cron", "fired",
           "schedule=%s slot_ms=%lld job=%s queue=%s repeated=%d "
           "actor=system:cron",
           item->name, (long long)item->slot_ms, item->id, item->queue,
           repeated);
    clear(item);
}

static void enqueue(struct item *item)
{
    struct ms_cron_task *cron = item->cron;
    struct ms_buf payload = MS_BUF_INIT;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_error error = {""};
    struct ms_new_job job;
    char token[MS_ULID_LEN + 1];
    enum ms_err err = ms_schedule_job(&item->schedule.def, cron->conf, item->id,
                                      &payload, &job, &error);

    item_set_state(item, ENQUEUEING);
    ms_ulid_new(token);
    job.schedule = item->name;
    job.slot_ms = item->slot_ms;
    if (err == MS_OK)
        err = ms_enqueue_build(&cmd, cron->duty.fleet, item->queue, token, &job,
                               1, cron->conf->max_payload_bytes, &error);
    ms_buf_done(&payload);
    if (err != MS_OK) {
        item_fail(item, err, error.text);
        return;
    }
    ms_enqueue_by_leader(&cmd, cron->duty.term->epoch);
    ms_gate_send(cron->gate, &cmd, on_enqueued, item);
}

static void on_registered(enum ms_err err, const struct ms_reply *reply,
                          void *arg)
{
    if (err == MS_OK)
        enqueue(arg);
    else
        item_fail(arg, err, ms_reply_error(reply));
}

/* The queue may be new, and one that nobody knows of is tended by nobody. */
static void pending_start(struct item *item, const char *id, int64_t slot_ms,
                          const char *queue)
{
    struct ms_cron_task *cron = item->cron;
    struct ms_cmd cmd = MS_CMD_INIT;

    if (id != item->id)
        snprintf(item->id, sizeof(item->id), "%s", id);
    item->slot_ms = slot_ms;
    item->queue = queue;
    item_set_state(item, REGISTERING);
    ms_enqueue_register_build(&cmd, cron->duty.fleet, queue);
    ms_gate_send(cron->gate, &cmd, on_registered, item);
}

/* ---- taking a slot ---- */

static bool is_skipped(const struct item *item)
{
    return item->in_flight && item->due.slot_ms != 0;
}

static void on_taken(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct item *item = arg;

    if (!item_answered(item, err, reply))
        return;
    if (item->due.missed > 0)
        ms_log(MS_WARN, "cron", "missed",
               "schedule=%s slots=%lld misfire=\"%s\" actor=system:cron",
               item->name, (long long)item->due.missed,
               item->schedule.def.misfire);
    if (is_skipped(item))
        ms_log(MS_INFO, "cron", "skipped",
               "schedule=%s slot_ms=%lld why=in_flight actor=system:cron",
               item->name, (long long)item->due.slot_ms);
    item->schedule.next_ms = item->due.next_ms;
    if (item->due.slot_ms != 0 && !is_skipped(item)) {
        pending_start(item, item->id, item->due.slot_ms,
                      item->schedule.def.queue);
        return;
    }
    item_wants(item, item->due.next_ms);
    item_end(item);
}

static void take(struct item *item)
{
    struct ms_cron_task *cron = item->cron;
    struct ms_cmd cmd = MS_CMD_INIT;

    item_set_state(item, TAKING);
    ms_schedule_job_id(item->name, item->due.slot_ms, item->id);
    ms_schedule_fire_build(&cmd, cron->duty.fleet, &item->schedule, &item->due,
                           item->id, is_skipped(item), cron->duty.term->epoch);
    ms_gate_send(cron->gate, &cmd, on_taken, item);
}

/* ---- is an earlier job in flight? ---- */

static void on_checked(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct item *item = arg;
    const struct ms_reply *state = ms_reply_at(reply, 1);

    if (item->state != CHECKING)
        return; /* the other answer was a failure */
    if (err != MS_OK) {
        item_fail(item, err, ms_reply_error(reply));
        return;
    }
    if (ms_reply_at(reply, 0)->type == MS_REPLY_STR &&
        !ms_reply_is(state, "done") && !ms_reply_is(state, "dead"))
        item->in_flight = true;
    if (--item->n_checks == 0)
        take(item);
}

static void check(struct item *item, const char *id, const char *queue)
{
    struct ms_cron_task *cron = item->cron;
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    if (id == NULL || queue == NULL)
        return;
    item->n_checks++;
    ms_cmd_plain(&cmd, "HMGET",
                 ms_key_queue(key, cron->duty.fleet, queue, "job:%s", id),
                 "kind", "state", NULL);
    ms_gate_send(cron->gate, &cmd, on_checked, item);
}

/* What the operator triggered counts as well. */
static void checking_start(struct item *item)
{
    const struct ms_schedule *s = &item->schedule;

    item_set_state(item, CHECKING);
    if (item->due.slot_ms != 0 && strcmp(s->def.overlap, "skip") == 0) {
        check(item, s->last_id, s->last_queue);
        check(item, s->trigger_id, s->trigger_queue);
    }
    if (item->n_checks == 0)
        take(item);
}

/* ---- reading ---- */

static void on_record(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct item *item = arg;
    const struct ms_schedule *s = &item->schedule;
    struct ms_error error = {""};
    const char *said;

    if (err != MS_OK) {
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    } else {
        said = ms_reply_str(ms_reply_field(reply, "last_error"), NULL);
        item->said = said == NULL ? NULL : ms_xstrdup(said);
        err = ms_schedule_parse(item->name, reply, &item->schedule, &error);
    }
    item->has_schedule = err == MS_OK;
    if (err == MS_OK && s->pending_id != NULL && s->pending_queue != NULL) {
        pending_start(item, s->pending_id, s->pending_slot_ms,
                      s->pending_queue);
        return;
    }
    if (err == MS_OK)
        err = ms_schedule_due(s, item->cron->now_ms, &item->due, &error);
    if (err != MS_OK)
        item_fail(item, err, error.text);
    else
        checking_start(item);
}

static void item_read(struct item *item)
{
    struct ms_cron_task *cron = item->cron;
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_fleet(key, cron->duty.fleet, "cron:%s", item->name),
                 NULL);
    ms_gate_send(cron->gate, &cmd, on_record, item);
}

/* ---- looking ---- */

static void items_start(struct ms_cron_task *cron, const struct ms_reply *names)
{
    size_t n = names->n_items < LOOK_MAX ? names->n_items : LOOK_MAX;

    cron->more = n == LOOK_MAX;
    cron->n_items = n;
    for (size_t i = 0; i < n; i++)
        cron->items[i] =
            (struct item){.cron = cron,
                          .name = ms_xstrdup(
                              ms_reply_str(ms_reply_at(names, i), ""))};
    for (size_t i = 0; i < n; i++)
        item_read(&cron->items[i]);
    if (n == 0)
        cron_end(cron);
}

static void on_looked(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_cron_task *cron = arg;
    const struct ms_reply *names = NULL;
    struct ms_error error = {""};

    if (err != MS_OK)
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    else
        err = ms_schedule_look_parse(reply, &cron->now_ms, &cron->next_ms,
                                     &names, &error);
    if (err == MS_OK) {
        items_start(cron, names);
        return;
    }
    cron_note(cron, err, "", error.text);
    cron_end(cron);
}

static void cron_start(struct ms_task *task, void *arg)
{
    struct ms_cron_task *cron = arg;
    struct ms_cmd cmd = MS_CMD_INIT;

    ev_timer_stop(cron->duty.loop, &cron->look);
    cron->task = task;
    cron->err = MS_OK;
    cron->text[0] = '\0';
    cron->more = false;
    cron->n_items = cron->n_ended = 0;
    cron->next_ms = 0;
    ms_schedule_look_build(&cmd, cron->duty.fleet, LOOK_MAX);
    ms_gate_send(cron->gate, &cmd, on_looked, cron);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_cron_task *cron = timer->data;

    ms_tasks_poke(cron->duty.tasks, "cron");
}

/* ---- life ---- */

struct ms_cron_task *ms_cron_task_new(const struct ms_duty *duty,
                                      const struct ms_conf *conf)
{
    struct ms_cron_task *cron = ms_xcalloc(1, sizeof(*cron));
    struct ms_task_def def = {.name = "cron",
                              .interval_ms = INTERVAL_MS,
                              .deadline_ms = 30000,
                              .start = cron_start,
                              .stop = cron_stop,
                              .arg = cron};

    cron->duty = *duty;
    cron->conf = conf;
    cron->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ev_timer_init(&cron->look, on_look, 0, 0);
    cron->look.data = cron;
    ms_tasks_add(duty->tasks, &def);
    return cron;
}

void ms_cron_task_free(struct ms_cron_task *cron)
{
    if (cron == NULL)
        return;
    cron_stop(cron);
    ms_gate_free(cron->gate);
    free(cron);
}

#include "coordinator/sweep.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"

/* So many calls are under way at most: others share the connection. */
#define WIDTH 32

struct item {
    struct ms_sweep *sweep;
    struct ms_sweep_item item;
    struct ms_tidy_answer sum;
    int calls;
};

struct ms_sweep {
    struct ev_loop *loop;
    struct ms_gate *gate;
    struct ms_sweep_options options;
    struct item **items;
    size_t n_items, next, running;
    enum ms_err err;
    char text[640];
    ev_timer done; /* with nothing to do, done comes from the loop as well */
};

static void on_done(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_sweep *sweep = timer->data;

    sweep->options.done(sweep->err, sweep->text, sweep->options.arg);
}

struct ms_sweep *ms_sweep_new(struct ev_loop *loop, struct ms_gate *gate,
                              const struct ms_sweep_options *options)
{
    struct ms_sweep *sweep = ms_xcalloc(1, sizeof(*sweep));

    sweep->loop = loop;
    sweep->gate = gate;
    sweep->options = *options;
    ev_timer_init(&sweep->done, on_done, 0, 0);
    sweep->done.data = sweep;
    return sweep;
}

void ms_sweep_free(struct ms_sweep *sweep)
{
    if (sweep == NULL)
        return;
    ev_timer_stop(sweep->loop, &sweep->done);
    for (size_t i = 0; i < sweep->n_items; i++) {
        free(sweep->items[i]->item.queue);
        free(sweep->items[i]->item.what);
        free(sweep->items[i]);
    }
    free(sweep->items);
    free(sweep);
}

void ms_sweep_add(struct ms_sweep *sweep, const char *queue, char *what)
{
    struct item *item = ms_xcalloc(1, sizeof(*item));

    item->sweep = sweep;
    item->item.queue = ms_xstrdup(queue);
    item->item.what = what;
    sweep->items =
        ms_xrealloc(sweep->items, (sweep->n_items + 1) * sizeof(*sweep->items));
    sweep->items[sweep->n_items++] = item;
}

static void on_answer(enum ms_err err, const struct ms_reply *reply, void *arg);

static void item_call(struct item *item)
{
    struct ms_sweep *sweep = item->sweep;
    struct ms_cmd cmd = MS_CMD_INIT;

    item->calls++;
    sweep->options.build(&cmd, &item->item, sweep->options.arg);
    ms_gate_send(sweep->gate, &cmd, on_answer, item);
}

static void sweep_step(struct ms_sweep *sweep)
{
    while (sweep->next < sweep->n_items && sweep->running < WIDTH) {
        sweep->running++;
        item_call(sweep->items[sweep->next++]);
    }
    if (sweep->running == 0)
        ev_timer_start(sweep->loop, &sweep->done);
}

static void note_failure(struct item *item, enum ms_err err, const char *why)
{
    struct ms_sweep *sweep = item->sweep;
    char quoted[160];

    ms_log(MS_WARN, sweep->options.mod, "failed", "queue=%s err=%s why=%s",
           item->item.queue, ms_err_name(err),
           ms_log_quote(why, quoted, sizeof(quoted)));
    if (sweep->err != MS_OK)
        return;
    sweep->err = err;
    snprintf(sweep->text, sizeof(sweep->text), "queue '%s': %s",
             item->item.queue, why[0] != '\0' ? why : ms_err_name(err));
}

static void item_end(struct item *item, enum ms_err err, const char *why)
{
    struct ms_sweep *sweep = item->sweep;

    if (err != MS_OK)
        note_failure(item, err, why);
    if (sweep->options.ended != NULL)
        sweep->options.ended(&item->item, err, &item->sum, sweep->options.arg);
    sweep->running--;
    sweep_step(sweep);
}

static void on_answer(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct item *item = arg;
    struct ms_tidy_answer answer = {0};
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_tidy_parse(reply, &answer, &error);
    else if (reply != NULL && reply->type == MS_REPLY_ERROR)
        snprintf(error.text, sizeof(error.text), "%s", reply->str);
    item->sum.n += answer.n;
    item->sum.n_dead += answer.n_dead;
    item->sum.more = answer.more;
    item->sum.next_due_ms = answer.next_due_ms;
    if (err == MS_OK && answer.more &&
        item->calls < item->sweep->options.calls_max)
        item_call(item);
    else
        item_end(item, err, error.text);
}

void ms_sweep_run(struct ms_sweep *sweep)
{
    sweep_step(sweep);
}

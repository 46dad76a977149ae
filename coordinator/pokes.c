#include "coordinator/pokes.h"

#include <stdlib.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/gate.h"

#define EVERY_S 0.5
#define MOST    "16" /* names a time */

struct ms_pokes {
    struct ms_duty duty;
    struct ms_gate *gate;
    ev_timer timer;
};

static void pokes_arm(struct ms_pokes *pokes)
{
    ev_timer_set(&pokes->timer, EVERY_S, 0);
    ev_timer_start(pokes->duty.loop, &pokes->timer);
}

static void on_names(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_pokes *pokes = arg;

    for (size_t i = 0; err == MS_OK && i < reply->n_items; i++) {
        const char *name = ms_reply_str(ms_reply_at(reply, i), "");
        bool known = ms_tasks_poke(pokes->duty.tasks, name);
        char quoted[128];

        ms_log(MS_INFO, "task", known ? "poked" : "unknown",
               "task=%s actor=operator",
               ms_log_quote(name, quoted, sizeof(quoted)));
    }
    pokes_arm(pokes);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_pokes *pokes = timer->data;
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_cmd_plain(&cmd, "SPOP", ms_key_fleet(key, pokes->duty.fleet, "pokes"),
                 MOST, NULL);
    ms_gate_send(pokes->gate, &cmd, on_names, pokes);
}

struct ms_pokes *ms_pokes_new(const struct ms_duty *duty)
{
    struct ms_pokes *pokes = ms_xcalloc(1, sizeof(*pokes));

    pokes->duty = *duty;
    pokes->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ev_timer_init(&pokes->timer, on_timer, 0, 0);
    pokes->timer.data = pokes;
    return pokes;
}

void ms_pokes_free(struct ms_pokes *pokes)
{
    if (pokes == NULL)
        return;
    ms_pokes_stop(pokes);
    ms_gate_free(pokes->gate);
    free(pokes);
}

void ms_pokes_start(struct ms_pokes *pokes)
{
    ms_pokes_stop(pokes);
    pokes_arm(pokes);
}

void ms_pokes_stop(struct ms_pokes *pokes)
{
    ev_timer_stop(pokes->duty.loop, &pokes->timer);
    ms_gate_cancel(pokes->gate);
}

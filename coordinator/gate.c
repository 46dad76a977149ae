#include "coordinator/gate.h"

#include <stdlib.h>

#include "common/mem.h"

/* One request, in the list of those under way. */
struct pass {
    struct ms_gate *gate;
    struct pass *next, **link;
    struct ms_request *request; /* NULL: refused, to be told so */
    ms_reply_fn *fn;
    void *arg;
};

struct ms_gate {
    struct ev_loop *loop;
    struct ms_redis *redis;
    const struct ms_term *term;
    struct pass *passes;
    size_t n;
    ev_timer refuse;
};

static void pass_unlink(struct pass *pass)
{
    *pass->link = pass->next;
    if (pass->next != NULL)
        pass->next->link = pass->link;
    pass->gate->n--;
}

static struct pass *pass_new(struct ms_gate *gate, ms_reply_fn *fn, void *arg)
{
    struct pass *pass = ms_xcalloc(1, sizeof(*pass));

    pass->gate = gate;
    pass->fn = fn;
    pass->arg = arg;
    pass->next = gate->passes;
    pass->link = &gate->passes;
    if (pass->next != NULL)
        pass->next->link = &pass->next;
    gate->passes = pass;
    gate->n++;
    return pass;
}

static void pass_end(struct pass *pass, enum ms_err err,
                     const struct ms_reply *reply)
{
    ms_reply_fn *fn = pass->fn;
    void *arg = pass->arg;

    pass_unlink(pass);
    free(pass);
    fn(err, reply, arg);
}

static void on_reply(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    pass_end(arg, err, reply);
}

/* The oldest: it stands last. */
static struct pass *find_refused(const struct ms_gate *gate)
{
    struct pass *found = NULL;

    for (struct pass *pass = gate->passes; pass != NULL; pass = pass->next)
        if (pass->request == NULL)
            found = pass;
    return found;
}

/* One a turn: its callback may cancel, or even free, this gate. */
static void on_refuse(struct ev_loop *loop, ev_timer *timer, int events)
{
    static const struct ms_reply nil = {.type = MS_REPLY_NIL};
    struct ms_gate *gate = timer->data;
    struct pass *pass = find_refused(gate);

    if (pass == NULL)
        return;
    ev_timer_start(gate->loop, &gate->refuse);
    pass_end(pass, MS_ESTALE, &nil);
}

struct ms_gate *ms_gate_new(struct ev_loop *loop, struct ms_redis *redis,
                            const struct ms_term *term)
{
    struct ms_gate *gate = ms_xcalloc(1, sizeof(*gate));

    gate->loop = loop;
    gate->redis = redis;
    gate->term = term;
    ev_timer_init(&gate->refuse, on_refuse, 0, 0);
    gate->refuse.data = gate;
    return gate;
}

void ms_gate_free(struct ms_gate *gate)
{
    if (gate == NULL)
        return;
    ms_gate_cancel(gate);
    free(gate);
}

void ms_gate_send(struct ms_gate *gate, struct ms_cmd *cmd, ms_reply_fn *fn,
                  void *arg)
{
    struct pass *pass = pass_new(gate, fn, arg);

    if (ms_term_is_trusted(gate->term)) {
        pass->request = ms_redis_send(gate->redis, cmd, 0, on_reply, pass);
        return;
    }
    ms_cmd_done(cmd);
    ev_timer_start(gate->loop, &gate->refuse);
}

void ms_gate_cancel(struct ms_gate *gate)
{
    ev_timer_stop(gate->loop, &gate->refuse);
    while (gate->passes != NULL) {
        struct pass *pass = gate->passes;

        if (pass->request != NULL)
            ms_redis_cancel(pass->request);
        pass_unlink(pass);
        free(pass);
    }
}

size_t ms_gate_pending(const struct ms_gate *gate)
{
    return gate->n;
}

int64_t ms_gate_epoch(const struct ms_gate *gate)
{
    return gate->term->epoch;
}

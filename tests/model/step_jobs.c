#include "tests/model/steps.h"

static const char *name_or_none(const char *const *names, int at)
{
    return at == NONE ? NULL : names[at];
}

static struct ms_new_job as_new_job(const struct menqueue *ask, char *id)
{
    strcpy(id, model_id(ask->job));
    return (struct ms_new_job){
        .id = id,
        .own_id = ask->own,
        .kind = model_kinds[ask->kind],
        .priority = ask->priority,
        .group = name_or_none(model_groups, ask->group),
        .unique = name_or_none(model_uniques, ask->unique),
        .delay_ms = ask->delay_ms,
        .at_ms = ask->at_ms,
        .expires_in_ms = ask->expires_in_ms,
        .expires_at_ms = ask->expires_at_ms,
        .unique_ttl_ms = ask->unique_ttl_ms,
        .unique_mode = (enum ms_unique_mode)ask->mode,
        .max_attempts = ask->max_attempts,
        .parent = ask->parent,
    };
}

static void say_job(struct world *w, const struct menqueue *ask)
{
    static const char *const modes[] = {"", " (replace)", " (debounce)"};

    say(w, " %s kind=%s p=%d", model_id(ask->job), model_kinds[ask->kind],
        ask->priority);
    if (ask->group != NONE)
        say(w, " group=%s", model_groups[ask->group]);
    if (ask->unique != NONE)
        say(w, " unique=%s%s ttl=%lld", model_uniques[ask->unique],
            modes[ask->mode], (long long)ask->unique_ttl_ms);
    if (ask->own)
        say(w, " own");
    if (ask->parent)
        say(w, " parent");
    if (ask->delay_ms > 0)
        say(w, " delay=%lld", (long long)ask->delay_ms);
    if (ask->at_ms > 0)
        say(w, " at=now%+lld", (long long)(ask->at_ms - w->m.now));
    if (ask->expires_in_ms > 0)
        say(w, " expires_in=%lld", (long long)ask->expires_in_ms);
    if (ask->expires_at_ms > 0)
        say(w, " expires=now%+lld", (long long)(ask->expires_at_ms - w->m.now));
    if (ask->max_attempts > 0)
        say(w, " attempts=%lld", (long long)ask->max_attempts);
}

/* As in a script: which were dropped is seen, not known. */
static void enqueue(struct world *w, int token, const struct menqueue *asks,
                    size_t n)
{
    static const char *const tokens[N_TOKENS] = {"T0", "T1"};
    struct ms_new_job jobs[4];
    char ids[4][16];
    char dedup[16];
    int dropped[N_JOBS];
    int n_dropped = 0;
    int is;
    int should;

    say(w, "enqueue%s%s:", token == NONE ? "" : " ",
        token == NONE ? "" : tokens[token]);
    for (size_t i = 0; i < n; i++) {
        jobs[i] = as_new_job(&asks[i], ids[i]);
        say_job(w, &asks[i]);
    }
    is = ms_core_enqueue_all(w->core, name_or_none(tokens, token), jobs, n);
    if (w->m.set.max_length > 0)
        n_dropped = world_find_dropped(w, dropped);
    should = model_enqueue(&w->m, token, asks, n, dropped, n_dropped, dedup);
    expect_int(w, "enqueue", is, should);
    expect_str(w, "enqueue", w->core->dedup, dedup);
    say(w, " -> %d", is);
}

static struct menqueue plain_job(int job)
{
    return (struct menqueue){.job = job,
                             .group = NONE,
                             .unique = NONE,
                             .priority = 5};
}

static struct menqueue any_new_job(struct world *w)
{
    struct menqueue ask = plain_job((int)below(w, N_PLAIN));

    ask.kind = (int)below(w, 3);
    ask.group = (int)below(w, 3) - 1;
    ask.unique = one_in(w, 2) ? (int)below(w, N_UNIQUES) : NONE;
    ask.priority = (int)below(w, 3) * 4 + 1;
    ask.own = one_in(w, 4);
    ask.max_attempts = below(w, 3);
    if (one_in(w, 4))
        ask.delay_ms = 1000 * (1 + below(w, 60));
    else if (one_in(w, 6))
        ask.at_ms = w->m.now - 5000 + below(w, 40) * 1000;
    if (one_in(w, 8))
        ask.expires_in_ms = 1 + below(w, 60) * 1000;
    else if (one_in(w, 16))
        ask.expires_at_ms = w->m.now - 5 + below(w, 10);
    if (ask.unique != NONE && one_in(w, 3))
        ask.unique_ttl_ms = 1000 * (1 + below(w, 60));
    if (ask.unique != NONE)
        ask.mode = (enum unique_mode)below(w, 3);
    return ask;
}

void step_enqueue(struct world *w)
{
    struct menqueue asks[3];
    size_t n = below(w, 3) + 1;

    for (size_t i = 0; i < n; i++)
        asks[i] = any_new_job(w);
    enqueue(w, NONE, asks, n);
}

/* The same call again and again, as after broken connections. */
void step_repeat_call(struct world *w)
{
    struct menqueue asks[2] = {plain_job(0), plain_job(1)};
    int token = (int)below(w, N_TOKENS);

    asks[0].unique = token == 0 ? 0 : NONE;
    asks[1].own = token == 1;
    enqueue(w, token, asks, token == 0 ? 1 : 2);
}

void step_parent(struct world *w)
{
    struct menqueue ask = plain_job(model_parent_job((int)below(w, N_IMPORTS)));

    ask.parent = true;
    ask.own = one_in(w, 2);
    ask.unique = one_in(w, 4) ? (int)below(w, N_UNIQUES) : NONE;
    ask.priority = one_in(w, 2) ? 5 : 1;
    enqueue(w, NONE, &ask, 1);
}

/* ---- operators ---- */

int any_job(struct world *w)
{
    int job = (int)below(w, N_JOBS);

    /* Most often one that is there. */
    for (int i = 0; i < 6 && !w->m.jobs[job].exists; i++)
        job = (int)below(w, N_JOBS);
    return job;
}

void step_cancel(struct world *w)
{
    static const char *const words[] = {"cancelled", "requested", "finished",
                                        "unknown"};
    int job = any_job(w);
    enum ms_cancel_result is = ms_core_cancel(w->core, model_id(job));
    int pod;

    say(w, "cancel %s -> %s", model_id(job), words[is]);
    expect_str(w, "cancel", words[is], model_cancel(&w->m, job, &pod));
    if (is == MS_CANCEL_REQUESTED)
        expect_str(w, "cancel's pod", w->core->dedup,
                   pod == NONE ? "" : model_pods[pod]);
}

static void one_job(struct world *w, const char *name,
                    enum ms_err (*run)(struct ms_core *core, const char *id),
                    const char *(*model)(struct model *m, int job))
{
    int job = any_job(w);
    enum ms_err is = run(w->core, model_id(job));

    say(w, "%s %s -> %s", name, model_id(job), ms_err_name(is));
    expect_status(w, name, is, model(&w->m, job));
}

void step_retry(struct world *w)
{
    one_job(w, "retry", ms_core_retry, model_retry);
}

void step_run_now(struct world *w)
{
    one_job(w, "run_now", ms_core_run_now, model_run_now);
}

void step_delete(struct world *w)
{
    one_job(w, "delete", ms_core_delete, model_delete);
}

/* The slice that ends the last child of a batch makes its callbacks ready, and
 * a later slice of the same command may meet them. */
static int meet_callbacks(struct world *w, bool is_delete)
{
    bool gone[N_JOBS] = {false};
    int dead[N_JOBS];
    int n_dead;
    int pod;
    int n = 0;

    model_settle(&w->m);
    world_find_gone(w, gone);
    n_dead = world_find_dropped(w, dead);
    for (int i = N_FAMILY; i < N_JOBS; i++)
        if (is_delete && gone[i] && strcmp(model_delete(&w->m, i), "ok") == 0)
            n++;
    for (int i = 0; i < n_dead; i++)
        if (!is_delete && dead[i] >= N_FAMILY &&
            strcmp(model_cancel(&w->m, dead[i], &pod), "cancelled") == 0)
            n++;
    return n;
}

void step_bulk(struct world *w)
{
    static const struct {
        const char *name;
        enum place place;
    } states[] = {{"ready", READY},
                  {"scheduled", SCHEDULED},
                  {"parked", PARKED},
                  {"done", DONE},
                  {"dead", DEAD}};
    static const char *const verbs[] = {"delete", "cancel", "retry"};
    size_t state = below(w, MS_COUNT_OF(states));
    const char *verb = verbs[below(w, 3)];
    int kind = one_in(w, 2) ? NONE : (int)below(w, N_KINDS);
    int64_t is = ms_core_bulk(w->core, verb, states[state].name,
                              name_or_none(model_kinds, kind));
    int should;

    say(w, "%s all %s of kind %s -> %lld", verb, states[state].name,
        kind == NONE ? "*" : model_kinds[kind], (long long)is);
    should = model_bulk(&w->m, verb, states[state].place, kind);
    if (states[state].place == READY && should > 0)
        should += meet_callbacks(w, strcmp(verb, "delete") == 0);
    expect_int(w, "bulk", is, should);
}

void step_pause(struct world *w)
{
    bool is_on = one_in(w, 3);

    say(w, "%s", is_on ? "pause" : "resume");
    ms_core_pause(w->core, is_on);
    w->m.set.paused = is_on;
}

void set_number(struct world *w, const char *field, int64_t *to, int64_t value)
{
    say(w, "set %s=%lld", field, (long long)value);
    ms_core_set(w->core, field, value);
    *to = value;
}

void step_configure(struct world *w)
{
    struct msettings *set = &w->m.set;
    int64_t flag = below(w, 2);
    unsigned n_running = (unsigned)model_count(&w->m, RUNNING);

    switch (below(w, 9)) {
    case 0:
    case 1:
        /* Often as many as run: then there is no room to come back to. */
        set_number(w, "max_workers", &set->cap,
                   n_running > 0 && one_in(w, 2) ? n_running : 1 + below(w, 6));
        break;
    case 2:
        set_number(w, "group_max", &set->group_max, below(w, 3));
        break;
    case 3:
        set_number(w, "crash_limit", &set->crash_limit, below(w, 4));
        break;
    case 4:
        set_number(w, "max_attempts", &set->max_attempts, 1 + below(w, 4));
        break;
    case 5:
        set_number(w, "backoff_enabled", &flag, flag);
        set->backoff = flag == 1;
        break;
    case 6:
        set_number(w, "retain_done_max", &set->retain_done_max, below(w, 4));
        break;
    case 7:
        set_number(w, "max_length", &set->max_length,
                   one_in(w, 3) ? 0 : 4 + below(w, 5));
        break;
    default:
        say(w, "set when_full=%s", flag ? "drop_oldest" : "refuse");
        ms_test_cmd(w->core->redis, "HSET %s when_full %s", K("cfg"),
                    flag ? "drop_oldest" : "refuse");
        set->drop_oldest = flag == 1;
    }
}

/* job retry-all | delete-all | cancel-all */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "ctl/bulk.h"
#include "ctl/cancel.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/list.h"

/* What may be said to jobs of which states, and what it is called then. */
struct verb {
    const char *name, *past;
    const char *const *states; /* all by default, NULL behind the last */
};

/* What could still become ready or running is stopped first. */
static const char *const cancel_states[] = {"waiting", "scheduled", "ready",
                                            "running", NULL};
static const char *const delete_states[] = {"dead", "done", "ready",
                                            "scheduled", NULL};
static const char *const retry_states[] = {"dead", NULL};

static const struct verb verb_cancel = {"cancel", "cancelled", cancel_states};
static const struct verb verb_delete = {"delete", "deleted", delete_states};
static const struct verb verb_retry = {"retry", "retried", retry_states};

struct run {
    struct ms_client *client;
    const struct verb *verb;
    const char *queue, *kind;
    int64_t n;
};

/* Ids of one page. */
struct ids {
    char *items[100];
    size_t n;
};

static void on_listed(const struct ms_job *job, void *arg)
{
    struct ids *ids = arg;

    ids->items[ids->n++] = ms_xstrdup(job->id);
}

static enum ms_err ids_cancel(struct run *run, struct ids *ids,
                              struct ms_error *error)
{
    enum ms_err err = MS_OK;

    for (size_t i = 0; i < ids->n && err == MS_OK; i++) {
        enum ms_cancel_result result;

        err = ms_cancel_job(run->client, run->queue, ids->items[i], &result,
                            error);
        if (err == MS_OK &&
            (result == MS_CANCEL_CANCELLED || result == MS_CANCEL_REQUESTED))
            run->n++;
    }
    for (size_t i = 0; i < ids->n; i++)
        free(ids->items[i]);
    return err;
}

/* Jobs that a slice's script must not end by itself, because somebody works on
 * them: running ones and parents.  One by one. */
static enum ms_err live_cancel(struct run *run, const char *state,
                               struct ms_error *error)
{
    char *cursor = NULL;
    enum ms_err err;

    do {
        struct ids ids = {.n = 0};
        struct ms_list_ask ask = {run->queue, state, run->kind, cursor,
                                  MS_COUNT_OF(ids.items)};
        char *next = NULL;

        err = ms_list_page(run->client, &ask, on_listed, &ids, &next, error);
        if (err == MS_OK)
            err = ids_cancel(run, &ids, error);
        free(cursor);
        cursor = next;
    } while (err == MS_OK && cursor != NULL);
    free(cursor);
    return err;
}

static enum ms_err state_run(struct run *run, const char *state,
                             struct ms_error *error)
{
    if (run->verb == &verb_cancel &&
        (strcmp(state, "running") == 0 || strcmp(state, "waiting") == 0))
        return live_cancel(run, state, error);
    /* Parked jobs are ready too, kept elsewhere. */
    if (strcmp(state, "ready") == 0) {
        enum ms_err err = ms_bulk_run(run->client, run->queue, run->verb->name,
                                      "parked", run->kind, &run->n, error);

        if (err != MS_OK)
            return err;
    }
    return ms_bulk_run(run->client, run->queue, run->verb->name, state,
                       run->kind, &run->n, error);
}

static void run_print(struct ms_ctl *ctl, const struct run *run)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "queue");
    ms_json_str(&json, run->queue);
    ms_json_key(&json, run->verb->past);
    ms_json_int(&json, run->n);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

static enum ms_err state_check(const struct verb *verb, const char *state,
                               struct ms_error *error)
{
    for (size_t i = 0; verb->states[i] != NULL; i++)
        if (strcmp(verb->states[i], state) == 0)
            return MS_OK;
    return ms_error_set(error, MS_EINVAL, "%s-all does not work on '%s' jobs",
                        verb->name, state);
}

/* `fallback` NULL: all states of the verb, where --state does not say one. */
static enum ms_err verb_run(struct ms_ctl *ctl, const struct verb *verb,
                            const char *fallback, struct ms_error *error)
{
    struct run run = {.verb = verb,
                      .queue = ms_cli_get(ctl->line, "queue"),
                      .kind = ms_cli_get(ctl->line, "kind")};
    const char *state = ms_cli_get(ctl->line, "state");
    enum ms_err err;

    if (run.queue == NULL)
        return ms_error_set(error, MS_EINVAL, "--queue is needed");
    if (state == NULL)
        state = fallback;
    err = ms_name_check("queue", run.queue, error);
    if (err == MS_OK && state != NULL)
        err = state_check(verb, state, error);
    if (err == MS_OK)
        err = ms_ctl_connect(ctl, true, error);
    run.client = ctl->client;
    for (size_t i = 0; verb->states[i] != NULL && err == MS_OK; i++)
        if (state == NULL || strcmp(state, verb->states[i]) == 0)
            err = state_run(&run, verb->states[i], error);
    if (err == MS_OK)
        run_print(ctl, &run);
    return err;
}

static enum ms_err retry_all(struct ms_ctl *ctl, struct ms_error *error)
{
    return verb_run(ctl, &verb_retry, NULL, error);
}

static enum ms_err delete_all(struct ms_ctl *ctl, struct ms_error *error)
{
    return verb_run(ctl, &verb_delete, "dead", error);
}

static enum ms_err cancel_all(struct ms_ctl *ctl, struct ms_error *error)
{
    return verb_run(ctl, &verb_cancel, NULL, error);
}

static const struct ms_option retry_options[] = {
    {"queue", "Q", "the queue (needed)"},
    {"state", "S", "dead (the only one)"},
    {"kind", "K", "only jobs of this kind"},
    {NULL, NULL, NULL},
};
static const struct ms_option delete_options[] = {
    {"queue", "Q", "the queue (needed)"},
    {"state", "S", "dead (default), done, ready or scheduled"},
    {"kind", "K", "only jobs of this kind"},
    {NULL, NULL, NULL},
};
static const struct ms_option cancel_options[] = {
    {"queue", "Q", "the queue (needed)"},
    {"state", "S", "ready, scheduled, waiting or running (default: all four)"},
    {"kind", "K", "only jobs of this kind"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_bulk[] = {
    {"job", "retry-all", "", 0, 0, "make all dead jobs of a queue ready again",
     retry_options, retry_all},
    {"job", "delete-all", "", 0, 0, "delete all jobs of a state",
     delete_options, delete_all},
    {"job", "cancel-all", "", 0, 0, "cancel all jobs that have not ended",
     cancel_options, cancel_all},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

/* task list | show | run: the coordinator's periodic tasks, as it notes them */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"

/* How much later than announced a run may begin before it is overdue: one more
 * interval, and some for a loaded machine. */
#define OVERDUE_SLACK_MS 5000

/* Tasks are few and their names are known, so no keyspace is searched. */
static const char *const task_names[] = {
    "batches",    "certs",       "cron",          "functions",
    "gc-orphans", "gc-schedule", "health",        "plan",
    "reap",       "rebalance",   "reconcile",     "retain",
    "roll",       "scrub",       "sweep-uploads", "telemetry"};

static const struct ms_column task_columns[] = {
    {"name", "TASK", MS_SHOW_PLAIN},
    {"interval_ms", "EVERY", MS_SHOW_SPAN},
    {"running", "RUNNING", MS_SHOW_PLAIN},
    {"overdue", "OVERDUE", MS_SHOW_PLAIN},
    {"run_count", "RUNS", MS_SHOW_PLAIN},
    {"last_run_ms", "LAST RUN", MS_SHOW_TIME},
    {"last_success_ms", "LAST SUCCESS", MS_SHOW_TIME},
    {"last_error", "LAST ERROR", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static void int_from(struct ms_json *json, const struct ms_reply *pairs,
                     const char *field)
{
    int64_t value = ms_reply_int(ms_reply_field(pairs, field), 0);

    ms_json_key(json, field);
    if (value != 0)
        ms_json_int(json, value);
    else
        ms_json_null(json);
}

static bool is_overdue(const struct ms_reply *pairs, int64_t now_ms)
{
    int64_t next = ms_reply_int(ms_reply_field(pairs, "next_run_ms"), 0);
    int64_t interval = ms_reply_int(ms_reply_field(pairs, "interval_ms"), 0);

    return next != 0 && now_ms > next + interval + OVERDUE_SLACK_MS;
}

static void task_write(const char *name, const struct ms_reply *pairs,
                       int64_t now_ms, struct ms_json *json)
{
    const char *last_error =
        ms_reply_str(ms_reply_field(pairs, "last_error"), "");

    ms_json_open(json, '{');
    ms_json_key(json, "name");
    ms_json_str(json, name);
    int_from(json, pairs, "interval_ms");
    int_from(json, pairs, "next_run_ms");
    ms_json_key(json, "running");
    ms_json_bool(json, ms_reply_is(ms_reply_field(pairs, "running"), "1"));
    int_from(json, pairs, "last_run_ms");
    int_from(json, pairs, "last_success_ms");
    ms_json_key(json, "last_error");
    ms_json_str(json, last_error[0] != '\0' ? last_error : NULL);
    ms_json_key(json, "run_count");
    ms_json_int(json, ms_reply_int(ms_reply_field(pairs, "run_count"), 0));
    ms_json_key(json, "overdue");
    ms_json_bool(json, is_overdue(pairs, now_ms));
    ms_json_close(json);
}

/* Writes those of `names` that have run or are announced; *out_n: how many. */
static enum ms_err tasks_write(struct ms_ctl *ctl, const char *const *names,
                               size_t n, struct ms_json *json, size_t *out_n,
                               struct ms_error *error)
{
    struct ms_cmd cmds[MS_COUNT_OF(task_names)] = {MS_CMD_INIT};
    struct ms_reply *replies[MS_COUNT_OF(task_names)];
    int64_t now_ms;
    enum ms_err err = ms_client_now(ctl->client, &now_ms, error);

    if (err != MS_OK)
        return err;
    for (size_t i = 0; i < n; i++) {
        char key[MS_KEY_MAX];

        ms_key_fleet(key, ms_client_fleet(ctl->client), "task:%s", names[i]);
        ms_cmd_plain(&cmds[i], "HGETALL", key, NULL);
    }
    err = ms_client_ask_all(ctl->client, cmds, n, replies, error);
    if (err != MS_OK)
        return err;
    *out_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (replies[i]->n_items == 0)
            continue;
        task_write(names[i], replies[i], now_ms, json);
        (*out_n)++;
    }
    ms_client_free_all(replies, n);
    return MS_OK;
}

static enum ms_err task_list(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    size_t n = 0;
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    ms_json_open(&json, '[');
    if (err == MS_OK)
        err = tasks_write(ctl, task_names, MS_COUNT_OF(task_names), &json, &n,
                          error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, task_columns);
    ms_buf_done(&out);
    return err;
}

static enum ms_err task_print(struct ms_ctl *ctl, struct ms_error *error)
{
    const char *name = ctl->line->args[0];
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    size_t n = 0;
    enum ms_err err = tasks_write(ctl, &name, 1, &json, &n, error);

    if (err == MS_OK && n == 0)
        err = ms_error_set(error, MS_ENOENT, "no task '%s'", name);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, NULL);
    ms_buf_done(&out);
    return err;
}

static enum ms_err task_show(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = ms_name_check("task", ctl->line->args[0], error);

    if (err == MS_OK)
        err = ms_ctl_connect(ctl, false, error);
    return err == MS_OK ? task_print(ctl, error) : err;
}

/* ---- run ---- */

#define RUN_WAIT_MS  15000 /* a leader may have to be found first */
#define RUN_PAUSE_MS 100

struct runs {
    int64_t begun, ended; /* -1: nobody has ever announced the task */
};

static enum ms_err runs_ask(struct ms_client *client, const char *name,
                            struct runs *out_runs, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err;

    ms_cmd_plain(&cmd, "HMGET",
                 ms_key_fleet(key, ms_client_fleet(client), "task:%s", name),
                 "run_count", "running", NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK) {
        out_runs->begun = ms_reply_int(ms_reply_at(reply, 0), -1);
        out_runs->ended =
            out_runs->begun - ms_reply_is(ms_reply_at(reply, 1), "1");
    }
    ms_reply_free(reply);
    return err;
}

static enum ms_err poke(struct ms_client *client, const char *verb,
                        const char *name, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err;

    ms_cmd_plain(&cmd, verb,
                 ms_key_fleet(key, ms_client_fleet(client), "pokes"), name,
                 NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    ms_reply_free(reply);
    return err;
}

/* Until the leader has noted the end of a run that began since, or a signal
 * came, which sets the exit code. */
static enum ms_err run_wait(struct ms_ctl *ctl, const char *name,
                            const struct runs *before, struct ms_error *error)
{
    int64_t end = ms_clock_mono_ms() + RUN_WAIT_MS;
    struct runs runs = *before;

    while (ms_clock_mono_ms() < end) {
        enum ms_err err = runs_ask(ctl->client, name, &runs, error);

        if (err != MS_OK || runs.ended > before->begun)
            return err;
        if (ms_client_sleep(ctl->client, RUN_PAUSE_MS)) {
            ctl->exit_code = MS_EXIT_SIGINT;
            return poke(ctl->client, "SREM", name, error);
        }
    }
    poke(ctl->client, "SREM", name, NULL);
    return ms_error_set(error, MS_ETIMEOUT,
                        "no leader ran '%s' within %d s: does a coordinator "
                        "run? (musterctl status)",
                        name, RUN_WAIT_MS / 1000);
}

static enum ms_err task_run(struct ms_ctl *ctl, struct ms_error *error)
{
    const char *name = ctl->line->args[0];
    struct runs before = {-1, -1};
    enum ms_err err = ms_name_check("task", name, error);

    if (err == MS_OK)
        err = ms_ctl_connect(ctl, true, error);
    if (err == MS_OK)
        err = runs_ask(ctl->client, name, &before, error);
    if (err == MS_OK && before.begun < 0)
        err = ms_error_set(error, MS_ENOENT, "no task '%s'", name);
    if (err == MS_OK) {
        ms_client_sleep(ctl->client, 0); /* from now on Ctrl-C ends no more */
        err = poke(ctl->client, "SADD", name, error);
    }
    if (err == MS_OK)
        err = run_wait(ctl, name, &before, error);
    if (err != MS_OK || ctl->exit_code != MS_EXIT_OK)
        return err;
    return task_print(ctl, error);
}

const struct ms_command ms_commands_task[] = {
    {"task", "list", "", 0, 0, "the coordinator's periodic tasks", NULL,
     task_list},
    {"task", "show", "NAME", 1, 1, "one task", NULL, task_show},
    {"task", "run", "NAME", 1, 1, "have the leader run one now", NULL,
     task_run},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

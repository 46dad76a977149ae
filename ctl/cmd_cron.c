/* cron list | show | set | rm | enable | disable | trigger | next */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/schedule.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/enqueue_one.h"
#include "ctl/kinds.h"
#include "ctl/schedules.h"
#include "ctl/when.h"

#define TRIES    5 /* of a change, while others change it too */
#define UPCOMING 5

static const struct ms_column cron_columns[] = {
    {"name", "SCHEDULE", MS_SHOW_PLAIN},
    {"cron", "CRON", MS_SHOW_PLAIN},
    {"tz", "ZONE", MS_SHOW_PLAIN},
    {"kind", "KIND", MS_SHOW_PLAIN},
    {"queue", "QUEUE", MS_SHOW_PLAIN},
    {"enabled", "ENABLED", MS_SHOW_PLAIN},
    {"next_ms", "NEXT", MS_SHOW_TIME},
    {"last_slot_ms", "LAST", MS_SHOW_TIME},
    {"fired", "FIRED", MS_SHOW_PLAIN},
    {"skipped", "SKIPPED", MS_SHOW_PLAIN},
    {"missed", "MISSED", MS_SHOW_PLAIN},
    {"last_error", "LAST ERROR", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static enum ms_err cron_list(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    ms_json_open(&json, '[');
    if (err == MS_OK)
        err = ms_schedules_write_all(ctl->client, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, cron_columns);
    ms_buf_done(&out);
    return err;
}

/* Connects, once the name is one. */
static enum ms_err cron_open(struct ms_ctl *ctl, bool writes,
                             struct ms_error *error)
{
    enum ms_err err = ms_name_check("schedule", ctl->line->args[0], error);

    return err == MS_OK ? ms_ctl_connect(ctl, writes, error) : err;
}

static enum ms_err upcoming_write(const struct ms_schedule *schedule,
                                  struct ms_json *json, struct ms_error *error)
{
    enum ms_err err = MS_OK;

    ms_json_key(json, "upcoming");
    ms_json_open(json, '[');
    if (schedule->def.enabled == 1 && schedule->next_ms > 0)
        err = ms_schedules_write_times(schedule->def.cron, schedule->def.tz,
                                       schedule->next_ms - 1, UPCOMING, json,
                                       error);
    ms_json_close(json);
    return err;
}

/* Prints the schedule as it stands, with its next few times. */
static enum ms_err cron_print(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_schedule schedule;
    enum ms_err err =
        ms_schedules_read(ctl->client, ctl->line->args[0], &schedule, error);

    if (err != MS_OK)
        return err;
    ms_json_open(&json, '{');
    ms_schedules_write(&schedule, &json);
    err = upcoming_write(&schedule, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, NULL);
    ms_buf_done(&out);
    ms_schedule_done(&schedule);
    return err;
}

static enum ms_err cron_show(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = cron_open(ctl, false, error);

    return err == MS_OK ? cron_print(ctl, error) : err;
}

/* ---- set, enable, disable ---- */

static const char *const fields[] = {"cron",    "tz",      "kind",
                                     "queue",   "payload", "misfire",
                                     "overlap", "enabled"};

static enum ms_err word_apply(struct ms_schedule_conf *def, const char *word,
                              struct ms_error *error)
{
    const char *equals = strchr(word, '=');
    char *key;
    enum ms_err err;

    if (equals == NULL || equals == word)
        return ms_error_set(error, MS_EINVAL, "'%.100s' is not key=value",
                            word);
    key = ms_xstrndup(word, (size_t)(equals - word));
    err = ms_schedule_conf_set(def, key, equals + 1, error);
    free(key);
    return err;
}

/* key=value words, and options of the same names. */
static enum ms_err line_apply(struct ms_schedule_conf *def,
                              const struct ms_cli *line, struct ms_error *error)
{
    enum ms_err err = MS_OK;

    for (int i = 1; i < line->n_args && err == MS_OK; i++)
        err = word_apply(def, line->args[i], error);
    for (size_t i = 0; i < MS_COUNT_OF(fields) && err == MS_OK; i++)
        if (ms_cli_has(line, fields[i]))
            err = ms_schedule_conf_set(def, fields[i],
                                       ms_cli_get(line, fields[i]), error);
    return err;
}

/* Changes a definition as a command wants it. */
typedef enum ms_err change_fn(struct ms_schedule_conf *def,
                              const struct ms_cli *line,
                              struct ms_error *error);

static enum ms_err enable_apply(struct ms_schedule_conf *def,
                                const struct ms_cli *line,
                                struct ms_error *error)
{
    def->enabled = 1;
    return MS_OK;
}

static enum ms_err disable_apply(struct ms_schedule_conf *def,
                                 const struct ms_cli *line,
                                 struct ms_error *error)
{
    def->enabled = 0;
    return MS_OK;
}

/* Its next time stays where neither line nor zone changes, so that what is due
 * is not lost by a new payload; a slot that was taken never comes again. */
static enum ms_err next_decide(struct ms_client *client,
                               const struct ms_schedule *before,
                               const struct ms_schedule_conf *def,
                               int64_t *out_next_ms, struct ms_error *error)
{
    int64_t now;
    enum ms_err err = MS_OK;

    *out_next_ms = 0;
    if (def->enabled != 1)
        return MS_OK;
    if (before != NULL && before->def.enabled == 1 &&
        strcmp(before->def.cron, def->cron) == 0 &&
        strcmp(before->def.tz, def->tz) == 0) {
        *out_next_ms = before->next_ms;
        return MS_OK;
    }
    err = ms_client_now(client, &now, error);
    if (err == MS_OK && before != NULL && before->last_slot_ms > now)
        now = before->last_slot_ms;
    return err == MS_OK ? ms_schedule_next(def, now, out_next_ms, error) : err;
}

/* Everything is checked before anything is written.  MS_EBUSY: somebody else
 * has changed it meanwhile, or we have, and the answer was lost. */
static enum ms_err change_try(struct ms_ctl *ctl, change_fn *change,
                              bool create, struct ms_error *error)
{
    const char *name = ctl->line->args[0];
    struct ms_schedule before = {.version = 0};
    struct ms_schedule_conf def;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    int64_t next_ms = 0;
    enum ms_err err = ms_schedules_read(ctl->client, name, &before, error);
    bool is_new = err == MS_ENOENT && create;

    if (err != MS_OK && !is_new)
        return err;
    if (is_new)
        ms_schedule_conf_init(&def, name);
    else
        ms_schedule_conf_copy(&def, &before.def);
    err = change(&def, ctl->line, error);
    if (err == MS_OK)
        err = ms_schedule_conf_finish(&def, ctl->conf, error);
    if (err == MS_OK)
        err = next_decide(ctl->client, is_new ? NULL : &before, &def, &next_ms,
                          error);
    if (err == MS_OK) {
        ms_schedule_set_build(&cmd, ms_client_fleet(ctl->client), &def,
                              before.version, next_ms);
        err = ms_client_ask(ctl->client, &cmd, &reply, error);
    }
    if (err == MS_OK)
        err = ms_schedule_status_parse(reply, name, error);
    ms_reply_free(reply);
    ms_schedule_conf_done(&def);
    ms_schedule_done(&before);
    return err;
}

static enum ms_err change_run(struct ms_ctl *ctl, change_fn *change,
                              bool create, struct ms_error *error)
{
    enum ms_err err = cron_open(ctl, true, error);

    if (err != MS_OK)
        return err;
    for (int i = 0; i < TRIES; i++) {
        err = change_try(ctl, change, create, error);
        if (err != MS_EBUSY)
            break;
    }
    return err;
}

static void kind_warn(struct ms_ctl *ctl)
{
    struct ms_schedule schedule;
    struct ms_kinds kinds = {0};

    if (ms_schedules_read(ctl->client, ctl->line->args[0], &schedule, NULL) !=
        MS_OK)
        return;
    ms_kinds_warn(&kinds, ctl->client, schedule.def.queue, schedule.def.kind);
    ms_kinds_done(&kinds);
    ms_schedule_done(&schedule);
}

static enum ms_err cron_set(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = change_run(ctl, line_apply, true, error);

    if (err != MS_OK)
        return err;
    kind_warn(ctl);
    return cron_print(ctl, error);
}

static enum ms_err cron_enable(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = change_run(ctl, enable_apply, false, error);

    return err == MS_OK ? cron_print(ctl, error) : err;
}

static enum ms_err cron_disable(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = change_run(ctl, disable_apply, false, error);

    return err == MS_OK ? cron_print(ctl, error) : err;
}

/* ---- rm ---- */

static enum ms_err cron_rm(struct ms_ctl *ctl, struct ms_error *error)
{
    const char *name = ctl->line->args[0];
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err = cron_open(ctl, true, error);

    if (err != MS_OK)
        return err;
    ms_schedule_rm_build(&cmd, ms_client_fleet(ctl->client), name);
    err = ms_client_call(ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_schedule_status_parse(reply, name, error);
    ms_reply_free(reply);
    if (err == MS_OK)
        ms_ctl_print_result(ctl, "name", name, "removed");
    return err;
}

/* ---- trigger ---- */

/* The note first: whoever dies between the two leaves a job that never was. */
static enum ms_err trigger_note(struct ms_ctl *ctl,
                                const struct ms_schedule_conf *def,
                                const char *id, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_schedule_trigger_build(&cmd, ms_client_fleet(ctl->client), def->name, id,
                              def->queue);
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_schedule_status_parse(reply, def->name, error);
    ms_reply_free(reply);
    return err;
}

static void trigger_print(struct ms_ctl *ctl,
                          const struct ms_schedule_conf *def, const char *id)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "name");
    ms_json_str(&json, def->name);
    ms_json_key(&json, "id");
    ms_json_str(&json, id);
    ms_json_key(&json, "queue");
    ms_json_str(&json, def->queue);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

static enum ms_err trigger_run(struct ms_ctl *ctl,
                               const struct ms_schedule_conf *def,
                               struct ms_error *error)
{
    struct ms_buf payload = MS_BUF_INIT;
    struct ms_kinds kinds = {0};
    struct ms_enqueued done;
    struct ms_new_job job;
    char id[MS_JOB_ID_MAX + 1];
    enum ms_err err;

    ms_schedule_trigger_id(def->name, id);
    err = ms_schedule_job(def, ctl->conf, id, &payload, &job, error);
    if (err == MS_OK)
        err = trigger_note(ctl, def, id, error);
    if (err == MS_OK)
        err = ms_enqueue_one(ctl->client, def->queue, &job,
                             ctl->conf->max_payload_bytes, &done, error);
    if (err == MS_OK) {
        ms_kinds_warn(&kinds, ctl->client, def->queue, def->kind);
        ms_kinds_done(&kinds);
        trigger_print(ctl, def, id);
    }
    ms_buf_done(&payload);
    return err;
}

static enum ms_err cron_trigger(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_schedule schedule;
    enum ms_err err = cron_open(ctl, true, error);

    if (err == MS_OK)
        err = ms_schedules_read(ctl->client, ctl->line->args[0], &schedule,
                                error);
    if (err != MS_OK)
        return err;
    err = trigger_run(ctl, &schedule.def, error);
    ms_schedule_done(&schedule);
    return err;
}

/* ---- next ---- */

static const struct ms_column time_columns[] = {
    {"at_ms", "AT", MS_SHOW_TIME},
    {"local", "LOCAL", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

/* Needs no Redis: it is this host's clock that "from now" means here. */
static enum ms_err cron_next(struct ms_ctl *ctl, struct ms_error *error)
{
    const struct ms_cli *line = ctl->line;
    const char *zone = ms_cli_get(line, "tz");
    const char *after = ms_cli_get(line, "after");
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    int64_t n = UPCOMING, after_ms = ms_clock_wall_ms();
    enum ms_err err = ms_cli_int(line, "n", 1, 1000, &n, error);

    if (err == MS_OK && after != NULL)
        err = ms_when_parse(after, &after_ms, error);
    ms_json_open(&json, '[');
    if (err == MS_OK)
        err =
            ms_schedules_write_times(line->args[0], zone == NULL ? "UTC" : zone,
                                     after_ms, n, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, time_columns);
    ms_buf_done(&out);
    return err;
}

static const struct ms_option set_options[] = {
    {"cron", "LINE", "when (\"0 3 * * mon-fri\", @daily, \"@every 90s\")"},
    {"tz", "ZONE", "whose wall clock (Europe/Berlin; default UTC)"},
    {"kind", "KIND", "of its jobs"},
    {"queue", "Q", "of its jobs (default: the kind's, else \"default\")"},
    {"payload", "JSON", "of its jobs (default {})"},
    {"misfire", "HOW", "skip, once (default) or \"catch-up K\""},
    {"overlap", "HOW", "skip (default) or allow"},
    {"enabled", "BOOL", "true (default) or false"},
    {NULL, NULL, NULL},
};

static const struct ms_option next_options[] = {
    {"tz", "ZONE", "whose wall clock (default UTC)"},
    {"n", "N", "how many times (default 5)"},
    {"after", "TIME", "instead of now (2026-01-31T12:30:00Z, or ms)"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_cron[] = {
    {"cron", "list", "", 0, 0, "all schedules", NULL, cron_list},
    {"cron", "show", "NAME", 1, 1, "one schedule and its next times", NULL,
     cron_show},
    {"cron", "set", "NAME [key=value ...]", 1, -1,
     "add a schedule, or change what is named of one (keys as the options)",
     set_options, cron_set},
    {"cron", "rm", "NAME", 1, 1, "remove a schedule; its jobs stay", NULL,
     cron_rm},
    {"cron", "enable", "NAME", 1, 1, "let it fire from now on", NULL,
     cron_enable},
    {"cron", "disable", "NAME", 1, 1, "keep it from firing", NULL,
     cron_disable},
    {"cron", "trigger", "NAME", 1, 1, "enqueue its job once, now", NULL,
     cron_trigger},
    {"cron", "next", "LINE", 1, 1, "when a cron line fires", next_options,
     cron_next},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

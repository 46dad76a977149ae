/* queue list | show | set | pause | resume | purge */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/admin.h"
#include "common/enqueue.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"
#include "ctl/bulk.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/view.h"

static const struct ms_column queue_columns[] = {
    {"name", "QUEUE", MS_SHOW_PLAIN},
    {"paused", "PAUSED", MS_SHOW_PLAIN},
    {"max_workers", "MAX_WORKERS", MS_SHOW_PLAIN},
    {"ready", "READY", MS_SHOW_PLAIN},
    {"scheduled", "SCHEDULED", MS_SHOW_PLAIN},
    {"running", "RUNNING", MS_SHOW_PLAIN},
    {"waiting", "WAITING", MS_SHOW_PLAIN},
    {"done", "DONE", MS_SHOW_PLAIN},
    {"dead", "DEAD", MS_SHOW_PLAIN},
    {"oldest_ready_ms", "OLDEST READY", MS_SHOW_TIME},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static enum ms_err queue_list(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_names names = {0};
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    if (err != MS_OK)
        return err;
    err = ms_view_queue_names(ctl->client, &names, error);
    if (err != MS_OK)
        return err;
    ms_json_open(&json, '[');
    err = ms_view_queues(ctl->client, &names, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, queue_columns);
    ms_buf_done(&out);
    ms_names_done(&names);
    return err;
}

/* Connects and looks whether the queue was ever used. */
static enum ms_err queue_open(struct ms_ctl *ctl, bool writes, bool *out_known,
                              struct ms_error *error)
{
    struct ms_names names = {0};
    enum ms_err err = ms_name_check("queue", ctl->line->args[0], error);

    if (err == MS_OK)
        err = ms_ctl_connect(ctl, writes, error);
    if (err == MS_OK)
        err = ms_view_queue_names(ctl->client, &names, error);
    if (err == MS_OK)
        *out_known = ms_names_has(&names, ctl->line->args[0]);
    ms_names_done(&names);
    return err;
}

static enum ms_err queue_open_known(struct ms_ctl *ctl, bool writes,
                                    struct ms_error *error)
{
    bool known = false;
    enum ms_err err = queue_open(ctl, writes, &known, error);

    if (err == MS_OK && !known)
        err =
            ms_error_set(error, MS_ENOENT, "no queue '%s'", ctl->line->args[0]);
    return err;
}

/* A queue may be set up or paused before anybody uses it; since it may also
 * be a slip of the finger, say so. */
static enum ms_err queue_open_or_add(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    bool known = false;
    enum ms_err err = queue_open(ctl, true, &known, error);

    if (err != MS_OK || known)
        return err;
    ms_enqueue_register_build(&cmd, ms_client_fleet(ctl->client),
                              ctl->line->args[0]);
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    ms_reply_free(reply);
    if (err == MS_OK)
        ms_ctl_warn("queue '%s' is new", ctl->line->args[0]);
    return err;
}

/* Settings as kept, defaults put in: what counts for this queue. */
static const struct {
    const char *field, *fallback;
} settings[] = {
    {"max_workers", "1"},
    {"max_attempts", "5"},
    {"timeout_ms", "600000"},
    {"backoff_enabled", "1"},
    {"backoff_base_ms", "5000"},
    {"backoff_max_ms", "1800000"},
    {"retain_done_ms", "604800000"},
    {"retain_dead_ms", "2592000000"},
    {"retain_done_max", "10000"},
    {"max_length", "0"},
    {"when_full", "refuse"},
    {"group_max", "0"},
    {"crash_limit", "3"},
};

static void settings_write(const struct ms_reply *pairs, struct ms_json *json)
{
    for (size_t i = 0; i < MS_COUNT_OF(settings); i++) {
        const char *text =
            ms_reply_str(ms_reply_field(pairs, settings[i].field),
                         settings[i].fallback);
        char *end;
        long long number = strtoll(text, &end, 10);

        ms_json_key(json, settings[i].field);
        if (*text != '\0' && *end == '\0')
            ms_json_int(json, number);
        else
            ms_json_str(json, text);
    }
}

/* Prints the queue with its settings. */
static enum ms_err queue_print(struct ms_ctl *ctl, struct ms_error *error)
{
    const char *queue = ctl->line->args[0];
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_queue_info info;
    char key[MS_KEY_MAX];
    enum ms_err err = ms_view_queue_info(ctl->client, queue, &info, error);

    if (err != MS_OK)
        return err;
    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_queue(key, ms_client_fleet(ctl->client), queue, "cfg"),
                 NULL);
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    ms_json_open(&json, '{');
    ms_view_queue_fields(queue, &info, &json);
    ms_json_key(&json, "settings");
    ms_json_open(&json, '{');
    settings_write(reply, &json);
    ms_json_close(&json);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
    ms_reply_free(reply);
    return MS_OK;
}

static enum ms_err queue_show(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = queue_open_known(ctl, false, error);

    return err == MS_OK ? queue_print(ctl, error) : err;
}

/* ---- set ---- */

/* Reads key=value words into pairs of Redis fields, new strings. */
static enum ms_err pairs_read(const struct ms_cli *line, char **pairs,
                              size_t *out_n, struct ms_error *error)
{
    *out_n = 0;
    for (int i = 1; i < line->n_args; i++) {
        const char *word = line->args[i];
        const char *equals = strchr(word, '=');
        char key[64], field[64], value[64];
        enum ms_err err;

        if (equals == NULL || equals == word ||
            (size_t)(equals - word) >= sizeof(key))
            return ms_error_set(error, MS_EINVAL, "'%s' is not key=value",
                                word);
        memcpy(key, word, (size_t)(equals - word));
        key[equals - word] = '\0';
        err = ms_queue_conf_parse(key, equals + 1, field, sizeof(field), value,
                                  sizeof(value), error);
        if (err != MS_OK)
            return err;
        pairs[(*out_n)++] = ms_xstrdup(field);
        pairs[(*out_n)++] = ms_xstrdup(value);
    }
    return MS_OK;
}

static enum ms_err settings_send(struct ms_ctl *ctl, char **pairs, size_t n,
                                 struct ms_error *error)
{
    const char *queue = ctl->line->args[0];
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    const struct ms_reply *all;
    char message[MS_NAME_MAX + 16];
    enum ms_err err;

    ms_configure_build(&cmd, ms_client_fleet(ctl->client), queue, false,
                       (const char *const *)pairs, n / 2);
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_configure_parse(reply, &all, error);
    ms_reply_free(reply);
    if (err != MS_OK)
        return err;
    snprintf(message, sizeof(message), "queue %s", queue);
    return ms_view_tell_queue(ctl->client, queue, message, error);
}

static enum ms_err queue_set(struct ms_ctl *ctl, struct ms_error *error)
{
    char **pairs = ms_xcalloc(2 * (size_t)ctl->line->n_args, sizeof(char *));
    size_t n = 0;
    enum ms_err err = pairs_read(ctl->line, pairs, &n, error);

    if (err == MS_OK)
        err = queue_open_or_add(ctl, error);
    if (err == MS_OK)
        err = settings_send(ctl, pairs, n, error);
    if (err == MS_OK)
        err = queue_print(ctl, error);
    for (size_t i = 0; i < n; i++)
        free(pairs[i]);
    free(pairs);
    return err;
}

/* ---- pause, resume ---- */

static enum ms_err pause_send(struct ms_ctl *ctl, bool paused,
                              struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err = queue_open_or_add(ctl, error);

    if (err != MS_OK)
        return err;
    ms_pause_build(&cmd, ms_client_fleet(ctl->client), ctl->line->args[0],
                   paused);
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    ms_reply_free(reply);
    return err == MS_OK ? queue_print(ctl, error) : err;
}

static enum ms_err queue_pause(struct ms_ctl *ctl, struct ms_error *error)
{
    return pause_send(ctl, true, error);
}

static enum ms_err queue_resume(struct ms_ctl *ctl, struct ms_error *error)
{
    return pause_send(ctl, false, error);
}

/* ---- purge ---- */

/* What falls due meanwhile, or finds a pod, is then found in the next. */
static const char *const purged[] = {"scheduled", "parked", "ready"};

static void purge_print(struct ms_ctl *ctl, const int64_t *counts)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "name");
    ms_json_str(&json, ctl->line->args[0]);
    ms_json_key(&json, "deleted");
    ms_json_int(&json, counts[0] + counts[1] + counts[2]);
    for (size_t i = 0; i < MS_COUNT_OF(purged); i++) {
        ms_json_key(&json, purged[i]);
        ms_json_int(&json, counts[i]);
    }
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

static enum ms_err queue_purge(struct ms_ctl *ctl, struct ms_error *error)
{
    int64_t counts[MS_COUNT_OF(purged)] = {0};
    enum ms_err err = queue_open_known(ctl, true, error);

    for (size_t i = 0; i < MS_COUNT_OF(purged) && err == MS_OK; i++)
        err = ms_bulk_run(ctl->client, ctl->line->args[0], "delete", purged[i],
                          NULL, &counts[i], error);
    if (err == MS_OK)
        purge_print(ctl, counts);
    return err;
}

const struct ms_command ms_commands_queue[] = {
    {"queue", "list", "", 0, 0, "all queues with their counts", NULL,
     queue_list},
    {"queue", "show", "QUEUE", 1, 1, "one queue, its counts and settings", NULL,
     queue_show},
    {"queue", "set", "QUEUE key=value ...", 2, -1,
     "change settings (max_workers=8 backoff.base=1s; keys as in the file)",
     NULL, queue_set},
    {"queue", "pause", "QUEUE", 1, 1, "stop claims; what runs goes on", NULL,
     queue_pause},
    {"queue", "resume", "QUEUE", 1, 1, "let claims go on", NULL, queue_resume},
    {"queue", "purge", "QUEUE", 1, 1,
     "delete every job that waits (ready and scheduled)", NULL, queue_purge},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

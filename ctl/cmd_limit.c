/* limit list | show | set | acquire | drain | rm */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/limit.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/units.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/view.h"

#define DRAIN_MS 60000 /* as long as a queue cools down without backoff */

static const struct ms_column limit_columns[] = {
    {"scope", "SCOPE", MS_SHOW_PLAIN},
    {"capacity", "CAPACITY", MS_SHOW_PLAIN},
    {"refill_per_second", "REFILL/S", MS_SHOW_PLAIN},
    {"tokens", "TOKENS", MS_SHOW_PLAIN},
    {"blocked_until_ms", "BLOCKED UNTIL", MS_SHOW_TIME},
    {"acquired", "ACQUIRED", MS_SHOW_PLAIN},
    {"waited", "WAITED", MS_SHOW_PLAIN},
    {"refused", "REFUSED", MS_SHOW_PLAIN},
    {"returned", "RETURNED", MS_SHOW_PLAIN},
    {"drained", "DRAINED", MS_SHOW_PLAIN},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static const char *scope_of(const struct ms_ctl *ctl)
{
    return ctl->line->args[0];
}

static enum ms_err limit_open(struct ms_ctl *ctl, bool writes,
                              struct ms_error *error)
{
    enum ms_err err = ms_name_check("scope", scope_of(ctl), error);

    return err == MS_OK ? ms_ctl_connect(ctl, writes, error) : err;
}

/* ---- list and show ---- */

static void tokens_write(const char *key, double tokens, struct ms_json *json)
{
    ms_json_key(json, key);
    if (tokens == (double)(int64_t)tokens)
        ms_json_int(json, (int64_t)tokens);
    else
        ms_json_double(json, tokens);
}

static void limit_write(const char *scope, const struct ms_limit_info *info,
                        struct ms_json *json)
{
    const struct {
        const char *key;
        int64_t value;
    } counts[] = {
        {"acquired", info->acquired}, {"waited", info->waited},
        {"refused", info->refused},   {"returned", info->returned},
        {"drained", info->drained},
    };

    ms_json_open(json, '{');
    ms_json_key(json, "scope");
    ms_json_str(json, scope);
    tokens_write("capacity", info->capacity, json);
    tokens_write("refill_per_second", info->refill_per_second, json);
    tokens_write("tokens", info->tokens, json);
    ms_json_key(json, "blocked_until_ms");
    if (info->blocked_until_ms != 0)
        ms_json_int(json, info->blocked_until_ms);
    else
        ms_json_null(json);
    for (size_t i = 0; i < MS_COUNT_OF(counts); i++) {
        ms_json_key(json, counts[i].key);
        ms_json_int(json, counts[i].value);
    }
    ms_json_close(json);
}

/* One that was removed since its name was read is left out; one that cannot be
 * read is named, and the others are shown. */
static void list_one(const char *scope, const struct ms_reply *reply,
                     struct ms_json *json)
{
    struct ms_limit_info info;
    struct ms_error why;
    enum ms_err err = ms_limit_info_parse(reply, scope, &info, &why);

    if (err == MS_OK)
        limit_write(scope, &info, json);
    else if (err != MS_ENOENT)
        ms_ctl_warn("%s", why.text);
}

static enum ms_err list_all(struct ms_ctl *ctl, const struct ms_names *names,
                            struct ms_json *json, struct ms_error *error)
{
    struct ms_cmd *cmds = ms_xcalloc(names->n + 1, sizeof(*cmds));
    struct ms_reply **replies = ms_xcalloc(names->n + 1, sizeof(*replies));
    enum ms_err err;

    for (size_t i = 0; i < names->n; i++)
        ms_limit_info_build(&cmds[i], ms_client_fleet(ctl->client),
                            names->items[i]);
    err = ms_client_ask_all(ctl->client, cmds, names->n, replies, error);
    for (size_t i = 0; i < names->n && err == MS_OK; i++)
        list_one(names->items[i], replies[i], json);
    ms_client_free_all(replies, names->n);
    free(replies);
    free(cmds);
    return err;
}

static enum ms_err limit_list(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_names names = {0};
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    char key[MS_KEY_MAX];
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    if (err == MS_OK)
        err = ms_view_set(ctl->client,
                          ms_key_fleet(key, ms_client_fleet(ctl->client),
                                       "limits"),
                          &names, error);
    ms_json_open(&json, '[');
    if (err == MS_OK)
        err = list_all(ctl, &names, &json, error);
    ms_json_close(&json);
    if (err == MS_OK)
        ms_ctl_print(ctl, &out, limit_columns);
    ms_buf_done(&out);
    ms_names_done(&names);
    return err;
}

static enum ms_err limit_print(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_limit_info info;
    enum ms_err err;

    ms_limit_info_build(&cmd, ms_client_fleet(ctl->client), scope_of(ctl));
    err = ms_client_ask(ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_limit_info_parse(reply, scope_of(ctl), &info, error);
    ms_reply_free(reply);
    if (err != MS_OK)
        return err;
    limit_write(scope_of(ctl), &info, &json);
    ms_ctl_print(ctl, &out, NULL);
    ms_buf_done(&out);
    return MS_OK;
}

static enum ms_err limit_show(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = limit_open(ctl, false, error);

    return err == MS_OK ? limit_print(ctl, error) : err;
}

/* ---- set, drain, rm: one script, one status ---- */

/* Takes the cmd. */
static enum ms_err tell(struct ms_ctl *ctl, struct ms_cmd *cmd,
                        struct ms_error *error)
{
    struct ms_reply *reply = NULL;
    enum ms_err err = ms_client_ask(ctl->client, cmd, &reply, error);

    if (err == MS_OK)
        err = ms_limit_status_parse(reply, scope_of(ctl), error);
    ms_reply_free(reply);
    return err;
}

/* Reads a key=value word into a pair of new strings. */
static enum ms_err pair_read(const char *word, char **out_pair,
                             struct ms_error *error)
{
    const char *equals = strchr(word, '=');
    char key[64], value[64];
    enum ms_err err;

    if (equals == NULL || equals == word ||
        (size_t)(equals - word) >= sizeof(key))
        return ms_error_set(error, MS_EINVAL, "'%s' is not key=value", word);
    memcpy(key, word, (size_t)(equals - word));
    key[equals - word] = '\0';
    err = ms_limit_conf_parse(key, equals + 1, value, sizeof(value), error);
    if (err != MS_OK)
        return err;
    out_pair[0] = ms_xstrdup(key);
    out_pair[1] = ms_xstrdup(value);
    return MS_OK;
}

static enum ms_err limit_set(struct ms_ctl *ctl, struct ms_error *error)
{
    size_t most = (size_t)ctl->line->n_args, n = 0;
    char **pairs = ms_xcalloc(2 * most, sizeof(char *));
    struct ms_cmd cmd = MS_CMD_INIT;
    enum ms_err err = MS_OK;

    for (size_t i = 1; i < most && err == MS_OK; i++) {
        err = pair_read(ctl->line->args[i], &pairs[2 * n], error);
        n += err == MS_OK;
    }
    if (err == MS_OK)
        err = limit_open(ctl, true, error);
    if (err == MS_OK) {
        ms_limit_set_build(&cmd, ms_client_fleet(ctl->client), scope_of(ctl),
                           false, (const char *const *)pairs, n);
        err = tell(ctl, &cmd, error);
    }
    for (size_t i = 0; i < 2 * n; i++)
        free(pairs[i]);
    free(pairs);
    return err == MS_OK ? limit_print(ctl, error) : err;
}

static enum ms_err limit_drain(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t for_ms = DRAIN_MS;
    enum ms_err err = ms_cli_duration(ctl->line, "for", &for_ms, error);

    if (err == MS_OK)
        err = limit_open(ctl, true, error);
    if (err != MS_OK)
        return err;
    ms_limit_drain_build(&cmd, ms_client_fleet(ctl->client), scope_of(ctl),
                         for_ms);
    err = tell(ctl, &cmd, error);
    return err == MS_OK ? limit_print(ctl, error) : err;
}

static enum ms_err limit_rm(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    enum ms_err err = limit_open(ctl, true, error);

    if (err != MS_OK)
        return err;
    ms_limit_remove_build(&cmd, ms_client_fleet(ctl->client), scope_of(ctl));
    err = tell(ctl, &cmd, error);
    if (err == MS_OK)
        ms_ctl_print_result(ctl, "scope", scope_of(ctl), "removed");
    return err;
}

/* ---- acquire ---- */

struct acquire {
    struct ms_ctl *ctl;
    int64_t n, wait_ms;
    int64_t began_ms;
    int64_t waited_ms;      /* for reservations, void ones too */
    struct ms_acquired got; /* of the last try */
};

static int64_t left_ms(const struct acquire *a)
{
    int64_t left = a->wait_ms - (ms_clock_mono_ms() - a->began_ms);

    return left > 0 ? left : 0;
}

/* Not said twice: a call whose answer was lost may have taken tokens. */
static enum ms_err acquire_try(struct acquire *a, struct ms_error *error)
{
    const struct ms_acquire ask = {.fleet = ms_client_fleet(a->ctl->client),
                                   .scope = scope_of(a->ctl),
                                   .n = a->n,
                                   .units = 1,
                                   .max_wait_ms = left_ms(a)};
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_acquire_build(&cmd, &ask);
    err = ms_client_call(a->ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_acquire_parse(reply, ask.scope, &a->got, error);
    ms_reply_free(reply);
    return err;
}

/* Once, too: what is lost comes again with the refill. */
static void acquire_return(struct acquire *a)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;

    ms_limit_return_build(&cmd, ms_client_fleet(a->ctl->client),
                          scope_of(a->ctl), a->n, a->got.drained);
    ms_client_call(a->ctl->client, &cmd, &reply, NULL);
    ms_reply_free(reply);
}

/* Waits for what was reserved; *out_holds: it is ours: no drain came, nor did a
 * signal, which sets the exit code. */
static enum ms_err acquire_wait(struct acquire *a, bool *out_holds,
                                struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    *out_holds = true;
    if (a->got.waits_ms[0] == 0)
        return MS_OK;
    if (ms_client_sleep(a->ctl->client, a->got.waits_ms[0])) {
        acquire_return(a);
        a->ctl->exit_code = MS_EXIT_SIGINT;
        *out_holds = false;
        return MS_OK;
    }
    a->waited_ms += a->got.waits_ms[0];
    ms_limit_drained_build(&cmd, ms_client_fleet(a->ctl->client),
                           scope_of(a->ctl));
    err = ms_client_ask(a->ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        *out_holds = ms_limit_drained_is(reply, a->got.drained);
    ms_reply_free(reply);
    return err;
}

static void acquire_print(struct acquire *a, bool acquired)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "scope");
    ms_json_str(&json, scope_of(a->ctl));
    ms_json_key(&json, "acquired");
    ms_json_bool(&json, acquired);
    ms_json_key(&json, "wait_ms");
    if (acquired)
        ms_json_int(&json, a->waited_ms);
    else if (a->got.next_ms >= 0)
        ms_json_int(&json, a->got.next_ms);
    else
        ms_json_null(&json);
    ms_json_close(&json);
    ms_ctl_print(a->ctl, &out, NULL);
    ms_buf_done(&out);
    if (!acquired)
        a->ctl->exit_code = MS_EXIT_FAILED;
}

static enum ms_err limit_acquire(struct ms_ctl *ctl, struct ms_error *error)
{
    struct acquire a = {.ctl = ctl, .n = 1};
    bool holds = false;
    enum ms_err err = ms_cli_int(ctl->line, "n", 1, 1000000, &a.n, error);

    if (err == MS_OK)
        err = ms_cli_duration(ctl->line, "wait", &a.wait_ms, error);
    if (err == MS_OK)
        err = limit_open(ctl, true, error);
    if (err == MS_OK)
        ms_client_sleep(ctl->client, 0); /* from now on Ctrl-C ends no more */
    a.began_ms = ms_clock_mono_ms();
    while (err == MS_OK && !holds && ctl->exit_code == MS_EXIT_OK) {
        err = acquire_try(&a, error);
        if (err != MS_OK || a.got.n_units == 0)
            break;
        err = acquire_wait(&a, &holds, error);
    }
    if (err == MS_OK && ctl->exit_code == MS_EXIT_OK)
        acquire_print(&a, holds);
    return err;
}

static const struct ms_option acquire_options[] = {
    {"n", "N", "tokens at once (1)"},
    {"wait", "DURATION", "how long to wait for them (0s)"},
    {NULL, NULL, NULL},
};

static const struct ms_option drain_options[] = {
    {"for", "DURATION", "no refill for so long (60s)"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_limit[] = {
    {"limit", "list", "", 0, 0, "all rate limits and their tokens", NULL,
     limit_list},
    {"limit", "show", "SCOPE", 1, 1, "one rate limit", NULL, limit_show},
    {"limit", "set", "SCOPE key=value ...", 2, -1,
     "make or change one: capacity, refill_per_second, tokens", NULL,
     limit_set},
    {"limit", "acquire", "SCOPE", 1, 1,
     "take tokens; exit 1 if they are not there in time", acquire_options,
     limit_acquire},
    {"limit", "drain", "SCOPE", 1, 1,
     "empty the bucket: the target said \"too much\"", drain_options,
     limit_drain},
    {"limit", "rm", "SCOPE", 1, 1, "forget one", NULL, limit_rm},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

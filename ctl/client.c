#include "ctl/client.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fleet.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/redis.h"
#include "common/redis_url.h"

#define TRIES 5

struct ms_client {
    struct ev_loop *loop;
    struct ms_redis *redis;
    const struct ms_conf *conf;
    ev_timer timer; /* of ms_client_sleep() */
    ev_signal sigint, sigterm;
    bool watches_signals, interrupted;
};

/* One request of a round. */
struct answer {
    struct round *round;
    enum ms_err err;
    struct ms_reply *reply;
    struct ms_error why;
};

/* Requests that were sent together. */
struct round {
    struct ev_loop *loop;
    size_t pending;
};

static enum ms_err client_wait_up(struct ms_client *client,
                                  struct ms_error *error)
{
    struct ms_error why = {""};
    char url[300];
    int timeout_ms = (int)client->conf->redis_connect_timeout_ms;
    enum ms_err err = ms_redis_wait_up(client->redis, timeout_ms, &why);

    if (err == MS_OK)
        return MS_OK;
    return ms_error_set(error, err, "cannot use the Redis at %s: %.200s",
                        ms_redis_url_redact(client->conf->redis_url, url,
                                            sizeof(url)),
                        why.text);
}

enum ms_err ms_client_open(const struct ms_conf *conf,
                           struct ms_client **out_client,
                           struct ms_error *error)
{
    struct ms_client *client = ms_xcalloc(1, sizeof(*client));
    struct ms_redis_options options = {
        .url = conf->redis_url,
        .client_name = "muster:ctl",
        .connect_timeout_ms = (int)conf->redis_connect_timeout_ms,
        .command_timeout_ms = (int)conf->redis_command_timeout_ms,
    };
    enum ms_err err;

    client->conf = conf;
    client->loop = ev_default_loop(0);
    err = ms_redis_new(client->loop, &options, &client->redis, error);
    if (err == MS_OK) {
        ms_redis_start(client->redis);
        err = client_wait_up(client, error);
    }
    if (err != MS_OK) {
        ms_client_close(client);
        return err;
    }
    *out_client = client;
    return MS_OK;
}

void ms_client_close(struct ms_client *client)
{
    if (client == NULL)
        return;
    ms_redis_free(client->redis);
    if (client->watches_signals) {
        ev_signal_stop(client->loop, &client->sigint);
        ev_signal_stop(client->loop, &client->sigterm);
        ev_timer_stop(client->loop, &client->timer);
    }
    free(client);
}

const char *ms_client_fleet(const struct ms_client *client)
{
    return client->conf->fleet;
}

struct ms_redis *ms_client_redis(const struct ms_client *client)
{
    return client->redis;
}

struct ev_loop *ms_client_loop(const struct ms_client *client)
{
    return client->loop;
}

int64_t ms_client_gone_after_ms(const struct ms_client *client)
{
    return 6 * client->conf->worker_heartbeat_ms;
}

/* ---- calls ---- */

static void on_answer(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct answer *answer = arg;

    answer->err = err;
    if (err == MS_OK)
        answer->reply = ms_reply_copy(reply);
    else
        ms_error_set(&answer->why, err, "%s",
                     reply != NULL && reply->type == MS_REPLY_ERROR
                         ? reply->str
                         : ms_err_name(err));
    if (--answer->round->pending == 0)
        ev_break(answer->round->loop, EVBREAK_ONE);
}

static void cmd_copy(const struct ms_cmd *from, struct ms_cmd *to)
{
    *to = *from;
    to->body = (struct ms_buf)MS_BUF_INIT;
    ms_buf_add(&to->body, from->body.data, from->body.len);
}

/* Sends what has no reply yet and waits for all of it. */
static void round_run(struct ms_client *client, const struct ms_cmd *cmds,
                      size_t n, struct answer *answers)
{
    struct round round = {client->loop, 0};

    for (size_t i = 0; i < n; i++) {
        struct ms_cmd copy;

        if (answers[i].reply != NULL)
            continue;
        answers[i].round = &round;
        round.pending++;
        cmd_copy(&cmds[i], &copy);
        ms_redis_send(client->redis, &copy, 0, on_answer, &answers[i]);
    }
    while (round.pending > 0)
        ev_run(client->loop, 0);
}

bool ms_client_is_passing(enum ms_err err)
{
    return err == MS_EDOWN || err == MS_ETIMEOUT || err == MS_ELOADING ||
           err == MS_EBUSY;
}

/* The first error of a round; *out_passing: every error is a passing one. */
static enum ms_err round_error(const struct answer *answers, size_t n,
                               bool *out_passing, struct ms_error *error)
{
    enum ms_err first = MS_OK;

    *out_passing = true;
    for (size_t i = 0; i < n; i++) {
        if (answers[i].err == MS_OK)
            continue;
        if (first == MS_OK || !ms_client_is_passing(answers[i].err)) {
            first = answers[i].err;
            ms_error_set(error, first, "Redis: %.400s", answers[i].why.text);
        }
        *out_passing = *out_passing && ms_client_is_passing(answers[i].err);
    }
    return first;
}

static enum ms_err client_rounds(struct ms_client *client, struct ms_cmd *cmds,
                                 size_t n, int tries,
                                 struct ms_reply **out_replies,
                                 enum ms_err *out_errs, struct ms_error *error)
{
    struct answer *answers = ms_xcalloc(n + 1, sizeof(*answers));
    enum ms_err err = MS_OK;

    for (int i = 0; i < tries; i++) {
        bool passing;

        round_run(client, cmds, n, answers);
        err = round_error(answers, n, &passing, error);
        if (err == MS_OK || !passing || i + 1 == tries)
            break;
        ev_sleep(0.05 * (1 << i));
        err = client_wait_up(client, error);
        if (err != MS_OK)
            break;
    }
    for (size_t i = 0; i < n; i++) {
        ms_cmd_done(&cmds[i]);
        out_replies[i] = answers[i].reply;
        if (out_errs != NULL)
            out_errs[i] = answers[i].reply != NULL ? MS_OK : answers[i].err;
    }
    free(answers);
    return err;
}

enum ms_err ms_client_call(struct ms_client *client, struct ms_cmd *cmd,
                           struct ms_reply **out_reply, struct ms_error *error)
{
    struct ms_error why = {""};
    enum ms_err err = client_rounds(client, cmd, 1, 1, out_reply, NULL, &why);

    if (err == MS_OK)
        return MS_OK;
    return ms_error_set(error, err, "%.400s%s", why.text,
                        err == MS_EDOWN || err == MS_ETIMEOUT
                            ? "; it may or may not have happened"
                            : "");
}

enum ms_err ms_client_ask(struct ms_client *client, struct ms_cmd *cmd,
                          struct ms_reply **out_reply, struct ms_error *error)
{
    return client_rounds(client, cmd, 1, TRIES, out_reply, NULL, error);
}

enum ms_err ms_client_ask_all(struct ms_client *client, struct ms_cmd *cmds,
                              size_t n, struct ms_reply **out_replies,
                              struct ms_error *error)
{
    enum ms_err err =
        client_rounds(client, cmds, n, TRIES, out_replies, NULL, error);

    if (err != MS_OK)
        ms_client_free_all(out_replies, n);
    return err;
}

enum ms_err ms_client_try_all(struct ms_client *client, struct ms_cmd *cmds,
                              size_t n, struct ms_reply **out_replies,
                              enum ms_err *out_errs, struct ms_error *error)
{
    return client_rounds(client, cmds, n, TRIES, out_replies, out_errs, error);
}

void ms_client_free_all(struct ms_reply **replies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ms_reply_free(replies[i]);
        replies[i] = NULL;
    }
}

/* ---- small calls ---- */

enum ms_err ms_client_check_schema(struct ms_client *client, bool stamp,
                                   struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err;

    if (stamp)
        ms_schema_build(&cmd, client->conf->fleet);
    else
        ms_cmd_plain(&cmd, "GET",
                     ms_key_fleet(key, client->conf->fleet, "schema"), NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    if (stamp)
        err = ms_schema_parse(reply, error);
    else if (reply->type != MS_REPLY_NIL && !ms_reply_is(reply, MS_SCHEMA))
        err = ms_error_set(error, MS_ESCHEMA,
                           "fleet '%s' has key layout %s; this musterctl "
                           "knows " MS_SCHEMA,
                           client->conf->fleet, ms_reply_str(reply, "?"));
    ms_reply_free(reply);
    return err;
}

enum ms_err ms_client_now(struct ms_client *client, int64_t *out_ms,
                          struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_cmd_plain(&cmd, "TIME", NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    *out_ms = ms_reply_int(ms_reply_at(reply, 0), 0) * 1000 +
              ms_reply_int(ms_reply_at(reply, 1), 0) / 1000;
    ms_reply_free(reply);
    return MS_OK;
}

/* ---- sleeping ---- */

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    ev_break(loop, EVBREAK_ONE);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct ms_client *client = watcher->data;

    client->interrupted = true;
    ev_break(loop, EVBREAK_ONE);
}

static void signals_watch(struct ms_client *client)
{
    if (client->watches_signals)
        return;
    client->watches_signals = true;
    ev_timer_init(&client->timer, on_timer, 0, 0);
    ev_signal_init(&client->sigint, on_signal, SIGINT);
    ev_signal_init(&client->sigterm, on_signal, SIGTERM);
    client->sigint.data = client;
    client->sigterm.data = client;
    ev_signal_start(client->loop, &client->sigint);
    ev_signal_start(client->loop, &client->sigterm);
}

bool ms_client_sleep(struct ms_client *client, int64_t ms)
{
    int64_t end = ms_clock_mono_ms() + ms;

    signals_watch(client);
    while (!client->interrupted && ms_clock_mono_ms() < end) {
        ev_now_update(client->loop);
        ev_timer_set(&client->timer,
                     (double)(end - ms_clock_mono_ms()) / 1000.0, 0);
        ev_timer_start(client->loop, &client->timer);
        ev_run(client->loop, 0);
        ev_timer_stop(client->loop, &client->timer);
    }
    return client->interrupted;
}

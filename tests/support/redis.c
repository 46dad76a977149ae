#include "tests/support/support.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/clock.h"
#include "tests/support/children.h"
#include "tests/support/words.h"

#define ANSWER_MS 60000 /* far more than any test needs; never a measure */
#define WORDS_MAX 64

struct ms_test_redis {
    char *dir;
    char *url;
    char *log_path;
    char *words[WORDS_MAX]; /* its command line, NULL-terminated */
    size_t n_words;
    pid_t pid; /* 0 while down */
    struct ev_loop *loop;
    struct ms_redis *redis; /* NULL while down */
    struct ms_reply *reply; /* of the last command */
    struct ms_buf text;
};

static void add_word(struct ms_test_redis *server, const char *word)
{
    ms_assert(server->n_words + 1 < WORDS_MAX);
    server->words[server->n_words++] = ms_xstrdup(word);
}

/* Later arguments win, so `extra` may say otherwise. */
static void build_words(struct ms_test_redis *server, const char *const *extra)
{
    static const char *const base[] = {
        "redis-server", "--port", "0",           "--save", "",
        "--appendonly", "no",     "--daemonize", "no"};

    for (size_t i = 0; i < MS_COUNT_OF(base); i++)
        add_word(server, base[i]);
    add_word(server, "--dir");
    add_word(server, server->dir);
    add_word(server, "--unixsocket");
    server->words[server->n_words++] =
        ms_xasprintf("%s/redis.sock", server->dir);
    for (; extra != NULL && *extra != NULL; extra++)
        add_word(server, *extra);
}

/* With the password of the command line, so that the fixture can log in. */
static char *build_url(const struct ms_test_redis *server)
{
    for (size_t i = 0; i + 1 < server->n_words; i++)
        if (strcmp(server->words[i], "--requirepass") == 0)
            return ms_xasprintf("unix://:%s@%s/redis.sock",
                                server->words[i + 1], server->dir);
    return ms_xasprintf("unix://%s/redis.sock", server->dir);
}

struct ms_test_redis *ms_test_redis_start(const char *const *extra)
{
    static int number;
    struct ms_test_redis *server = ms_xcalloc(1, sizeof(*server));

    server->dir = ms_xasprintf("%s/r%d", ms_test_dir(), ++number);
    ms_assert(mkdir(server->dir, 0700) == 0);
    server->log_path = ms_xasprintf("%s/log", server->dir);
    build_words(server, extra);
    server->url = build_url(server);
    server->loop = ev_loop_new(EVFLAG_AUTO);
    ms_test_redis_up(server);
    return server;
}

static void fail_to_start(struct ms_test_redis *server, const char *why)
{
    char line[256];
    FILE *log = fopen(server->log_path, "re");

    while (log != NULL && fgets(line, sizeof(line), log) != NULL)
        print_error("redis-server: %s", line);
    print_error("the test's Redis did not start: %s\n", why);
    fail();
}

void ms_test_redis_up(struct ms_test_redis *server)
{
    const struct ms_redis_options options = {.url = server->url,
                                             .client_name = "test-fixture",
                                             .command_timeout_ms = ANSWER_MS};
    int64_t end_ms = ms_clock_mono_ms() + ANSWER_MS;
    struct ms_error error = {""};

    ms_assert(server->pid == 0);
    server->pid = ms_child_start((const char *const *)server->words, NULL,
                                 server->log_path, server->log_path);
    if (ms_redis_new(server->loop, &options, &server->redis, &error) != MS_OK)
        fail_to_start(server, error.text);
    while (ms_redis_wait_up(server->redis, 1000, &error) != MS_OK)
        if (ms_child_wait(server->pid, 0) >= 0 || ms_clock_mono_ms() > end_ms)
            fail_to_start(server, error.text);
}

void ms_test_redis_down(struct ms_test_redis *server, int signal)
{
    ms_redis_free(server->redis);
    server->redis = NULL;
    if (server->pid == 0)
        return;
    kill(server->pid, signal);
    kill(server->pid, SIGCONT); /* should a test have stopped it */
    if (ms_child_wait(server->pid, ANSWER_MS) < 0)
        ms_child_end(server->pid);
    server->pid = 0;
}

void ms_test_redis_stop(struct ms_test_redis *server)
{
    if (server == NULL)
        return;
    ms_test_redis_down(server, SIGKILL);
    ev_loop_destroy(server->loop);
    ms_reply_free(server->reply);
    ms_buf_done(&server->text);
    for (size_t i = 0; i < server->n_words; i++)
        free(server->words[i]);
    free(server->dir);
    free(server->url);
    free(server->log_path);
    free(server);
}

pid_t ms_test_redis_pid(const struct ms_test_redis *server)
{
    return server->pid;
}

const char *ms_test_redis_url(const struct ms_test_redis *server)
{
    return server->url;
}

struct answer {
    bool is_done;
    enum ms_err err;
    struct ms_reply *reply;
};

static void on_reply(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct answer *answer = arg;

    answer->is_done = true;
    answer->err = err;
    answer->reply = ms_reply_copy(reply);
}

/* Not ms_redis_call(): here an error reply is a reply. */
const struct ms_reply *ms_test_run(struct ms_test_redis *server,
                                   struct ms_cmd *cmd)
{
    struct answer answer = {0};
    struct ms_error error = {""};

    ms_assert(server->redis != NULL);
    ev_run(server->loop, EVRUN_NOWAIT); /* a test may have killed clients */
    if (ms_redis_wait_up(server->redis, ANSWER_MS, &error) != MS_OK)
        fail_msg("the test's Redis is away: %s", error.text);
    ms_redis_send(server->redis, cmd, 0, on_reply, &answer);
    while (!answer.is_done)
        ev_run(server->loop, EVRUN_ONCE);
    ms_reply_free(server->reply);
    server->reply = answer.reply;
    if (answer.err != MS_OK && server->reply->type != MS_REPLY_ERROR)
        fail_msg("the test's Redis did not answer: %s",
                 ms_err_name(answer.err));
    return server->reply;
}

static const struct ms_reply *run_words(struct ms_test_redis *server,
                                        const char *format, va_list args)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_words_add(&cmd, format, args);
    return ms_test_run(server, &cmd);
}

const struct ms_reply *ms_test_cmd(struct ms_test_redis *server,
                                   const char *format, ...)
{
    const struct ms_reply *reply;
    va_list args;

    va_start(args, format);
    reply = run_words(server, format, args);
    va_end(args);
    return reply;
}

static const char *as_text(struct ms_test_redis *server,
                           const struct ms_reply *reply)
{
    ms_buf_clear(&server->text);
    switch (reply->type) {
    case MS_REPLY_NIL:
        return "(nil)";
    case MS_REPLY_ARRAY:
        return "(array)";
    case MS_REPLY_INT:
        ms_buf_addf(&server->text, "%lld", (long long)reply->num);
        return ms_buf_str(&server->text);
    default:
        return reply->str;
    }
}

const char *ms_test_text(struct ms_test_redis *server, const char *format, ...)
{
    const struct ms_reply *reply;
    va_list args;

    va_start(args, format);
    reply = run_words(server, format, args);
    va_end(args);
    return as_text(server, reply);
}

int64_t ms_test_num(struct ms_test_redis *server, const char *format, ...)
{
    const struct ms_reply *reply;
    int64_t number;
    va_list args;

    va_start(args, format);
    reply = run_words(server, format, args);
    va_end(args);
    number = ms_reply_int(reply, INT64_MIN);
    if (number == INT64_MIN)
        fail_msg("'%s' answered '%s', not a number", format,
                 as_text(server, reply));
    return number;
}

/* What happens to the requests of one connection. */
#include "tests/redis/probe.h"

#include <unistd.h>

#include "scripts.h"

static struct ms_test_redis *server;
static struct probe probe; /* up at the start of each test */

static int start_server(void **state)
{
    const char *const extra[] = {"--enable-debug-command", "yes", NULL};

    server = ms_test_redis_start(extra);
    return 0;
}

static int stop_server(void **state)
{
    ms_test_redis_stop(server);
    return 0;
}

static int connect_probe(void **state)
{
    ms_test_cmd(server, "FLUSHALL");
    probe_up(&probe, ms_test_redis_url(server));
    return 0;
}

static int drop_probe(void **state)
{
    probe_done(&probe);
    return 0;
}

/* ---- replies ---- */

static struct got run(const char *a, const char *b, const char *c,
                      const char *d)
{
    struct got got;

    probe_send(&probe, &got, 0, a, b, c, d);
    RUN_UNTIL(&probe, got.n == 1);
    return got;
}

static TEST(test_replies_of_every_type)
{
    struct got got = run("EVAL",
                         "return {1, 'two', {3, {}, false}, "
                         "redis.status_reply('FINE'), -9007199254740993, "
                         "redis.error_reply('ERR inner'), ''}",
                         "0", NULL);
    const struct ms_reply *r = got.reply;

    CHECK_INT(got.err, ==, MS_OK);
    CHECK_INT(r->n_items, ==, 7);
    CHECK_INT(ms_reply_at(r, 0)->num, ==, 1);
    CHECK_STR(ms_reply_at(r, 1)->str, "two");
    CHECK_INT(ms_reply_at(ms_reply_at(r, 2), 0)->num, ==, 3);
    CHECK_INT(ms_reply_at(ms_reply_at(r, 2), 1)->type, ==, MS_REPLY_ARRAY);
    CHECK_INT(ms_reply_at(ms_reply_at(r, 2), 1)->n_items, ==, 0);
    CHECK_INT(ms_reply_at(ms_reply_at(r, 2), 2)->type, ==, MS_REPLY_NIL);
    CHECK(ms_reply_is(ms_reply_at(r, 3), "FINE"));
    CHECK_INT(ms_reply_at(r, 4)->type, ==, MS_REPLY_INT);
    CHECK_INT(ms_reply_at(r, 5)->type, ==, MS_REPLY_ERROR);
    CHECK_CONTAINS(ms_reply_at(r, 5)->str, "inner");
    CHECK_STR(ms_reply_at(r, 6)->str, "");
    got_done(&got);
}

static TEST(test_nil_is_a_reply)
{
    struct got got = run("GET", "nothing", NULL, NULL);

    CHECK_INT(got.err, ==, MS_OK);
    CHECK_INT(got.reply->type, ==, MS_REPLY_NIL);
    got_done(&got);
}

static TEST(test_bytes_survive_both_ways)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct got got = {0};

    ms_cmd_plain(&cmd, "ECHO", NULL);
    ms_cmd_arg(&cmd, "a\0\r\n\xff", 5);
    ms_redis_send(probe.redis, &cmd, 0, got_it, &got);
    CHECK(cmd.body.data == NULL && cmd.n_args == 0); /* taken */
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.reply->len, ==, 5);
    CHECK(memcmp(got.reply->str, "a\0\r\n\xff", 6) == 0);
    got_done(&got);
}

static TEST(test_large_requests_and_replies)
{
    size_t len = 24 * 1024 * 1024;
    char *bytes = ms_xmalloc(len);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct got got = {0};

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 31 + i / 4096);
    ms_cmd_plain(&cmd, "ECHO", NULL);
    ms_cmd_arg(&cmd, bytes, len);
    ms_redis_send(probe.redis, &cmd, 0, got_it, &got);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.reply->len, ==, len);
    CHECK(memcmp(got.reply->str, bytes, len) == 0);
    free(bytes);
    got_done(&got);
}

static TEST(test_long_arrays)
{
    struct got got = run("EVAL",
                         "local t = {} for i = 1, 200000 do t[i] = {i, 'x' .. "
                         "i} end return t",
                         "0", NULL);

    CHECK_INT(got.reply->n_items, ==, 200000);
    for (int i = 0; i < 200000; i++)
        CHECK_INT(ms_reply_at(ms_reply_at(got.reply, (size_t)i), 0)->num, ==,
                  i + 1);
    CHECK_STR(ms_reply_at(ms_reply_at(got.reply, 199999), 1)->str, "x200000");
    got_done(&got);
}

struct count {
    int64_t next;
    bool in_order;
};

static void count_reply(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct count *count = arg;

    if (err != MS_OK || ms_reply_int(reply, -1) != count->next)
        count->in_order = false;
    count->next++;
}

/* Far more than a socket holds, so that both sides have to take turns. */
static TEST(test_replies_come_in_the_order_of_requests)
{
    struct count count = {0, true};

    for (int i = 0; i < 50000; i++) {
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_cmd_plain(&cmd, "ECHO", NULL);
        ms_cmd_argi(&cmd, i);
        ms_redis_send(probe.redis, &cmd, 0, count_reply, &count);
    }
    RUN_UNTIL(&probe, count.next == 50000);
    CHECK(count.in_order);
}

/* ---- errors ---- */

static TEST(test_error_reply_has_its_class_and_text)
{
    struct got got = run("NONSENSE", NULL, NULL, NULL);

    CHECK_INT(got.err, ==, MS_ESCRIPT);
    CHECK_INT(got.reply->type, ==, MS_REPLY_ERROR);
    CHECK_CONTAINS(got.reply->str, "unknown command");
    CHECK(ms_redis_is_up(probe.redis));
    got_done(&got);
}

static TEST(test_full_redis_is_full_for_commands_and_scripts)
{
    struct got plain;
    struct got script;

    ms_test_cmd(server, "CONFIG SET maxmemory 1");
    plain = run("SET", "a", "b", NULL);
    script = run("EVAL", "return redis.call('SET', KEYS[1], 'b')", "1", "a");
    ms_test_cmd(server, "CONFIG SET maxmemory 0");
    CHECK_INT(plain.err, ==, MS_EFULL);
    CHECK_INT(script.err, ==, MS_EFULL);
    CHECK_CONTAINS(script.reply->str, "OOM");
    got_done(&plain);
    got_done(&script);
}

static TEST(test_missing_permission_is_an_auth_error)
{
    struct got got;

    ms_test_cmd(server, "ACL SETUSER default -echo");
    got = run("ECHO", "x", NULL, NULL);
    ms_test_cmd(server, "ACL SETUSER default +echo");
    CHECK_INT(got.err, ==, MS_EAUTH);
    got_done(&got);
}

/* ---- scripts ---- */

static void send_ping(struct got *got)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    memset(got, 0, sizeof(*got));
    ms_cmd_script(&cmd, &ms_script_ping);
    ms_redis_send(probe.redis, &cmd, 0, got_it, got);
}

/* How often Redis was asked to load a script since CONFIG RESETSTAT. */
static int loads(void)
{
    const char *text = ms_test_text(server, "INFO commandstats");
    const char *at = strstr(text, "cmdstat_script|load:calls=");

    return at == NULL ? 0 : atoi(strchr(at, '=') + 1);
}

static TEST(test_unknown_script_is_loaded_once_for_all)
{
    struct got gots[20];

    ms_test_cmd(server, "SCRIPT FLUSH");
    ms_test_cmd(server, "CONFIG RESETSTAT");
    for (size_t i = 0; i < MS_COUNT_OF(gots); i++)
        send_ping(&gots[i]);
    RUN_UNTIL(&probe, gots[MS_COUNT_OF(gots) - 1].n == 1);
    for (size_t i = 0; i < MS_COUNT_OF(gots); i++) {
        CHECK_INT(gots[i].err, ==, MS_OK);
        CHECK(ms_reply_is(ms_reply_at(gots[i].reply, 0), "ok"));
        got_done(&gots[i]);
    }
    CHECK_INT(loads(), ==, 1);
}

/* A failover or SCRIPT FLUSH loses the scripts while we are connected. */
static TEST(test_flushed_script_is_loaded_again)
{
    struct got got;

    for (int i = 0; i < 3; i++) {
        send_ping(&got);
        RUN_UNTIL(&probe, got.n == 1);
        CHECK_INT(got.err, ==, MS_OK);
        got_done(&got);
        ms_test_cmd(server, "SCRIPT FLUSH");
    }
}

static void send_script(const struct ms_script *script, struct got *got)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    memset(got, 0, sizeof(*got));
    ms_cmd_script(&cmd, script);
    ms_redis_send(probe.redis, &cmd, 0, got_it, got);
}

/* "NOSCRIPT" would say nothing; the author of the script needs the line. */
static TEST(test_script_that_does_not_compile_says_where)
{
    const struct ms_script broken = {"broken",
                                     "1234567890123456789012345678901234567890",
                                     "return (", 8};
    struct got got;

    send_script(&broken, &got);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.err, ==, MS_ESCRIPT);
    CHECK_CONTAINS(got.reply->str, "compiling script");
    got_done(&got);
    send_ping(&got); /* and others go on */
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.err, ==, MS_OK);
    got_done(&got);
}

/* A hash that is not the text's would be loaded and missed for ever. */
static TEST(test_script_with_a_wrong_hash_ends_as_an_error)
{
    const struct ms_script wrong = {"wrong",
                                    "1234567890123456789012345678901234567890",
                                    "return 1", 8};
    struct got got;

    send_script(&wrong, &got);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.err, ==, MS_ESCRIPT);
    CHECK_CONTAINS(got.reply->str, "NOSCRIPT");
    got_done(&got);
}

static TEST(test_forbidden_load_is_an_auth_error)
{
    struct got got;

    ms_test_cmd(server, "SCRIPT FLUSH");
    ms_test_cmd(server, "ACL SETUSER default -script|load");
    send_ping(&got);
    RUN_UNTIL(&probe, got.n == 1);
    ms_test_cmd(server, "ACL SETUSER default +script|load");
    CHECK_INT(got.err, ==, MS_EAUTH);
    got_done(&got);
    send_ping(&got); /* once it is allowed, it works again */
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.err, ==, MS_OK);
    got_done(&got);
}

/* ---- when the callback comes ---- */

static TEST(test_no_callback_from_inside_send)
{
    struct got up;
    struct got down;

    probe_send(&probe, &up, 0, "PING", NULL, NULL, NULL);
    CHECK_INT(up.n, ==, 0);
    RUN_UNTIL(&probe, up.n == 1);
    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, probe.n_down == 1);
    probe_send(&probe, &down, 0, "PING", NULL, NULL, NULL);
    CHECK_INT(down.n, ==, 0);
    RUN_UNTIL(&probe, down.n == 1);
    CHECK_INT(down.err, ==, MS_EDOWN);
    CHECK_INT(down.reply->type, ==, MS_REPLY_NIL);
    got_done(&up);
    got_done(&down);
}

struct hasty {
    struct ms_redis *redis;
    int n;
};

static void send_at_once(enum ms_err err, const struct ms_reply *reply,
                         void *arg)
{
    struct hasty *hasty = arg;
    struct ms_cmd cmd = MS_CMD_INIT;

    hasty->n++;
    if (err == MS_OK)
        return;
    ms_cmd_plain(&cmd, "PING", NULL);
    ms_redis_send(hasty->redis, &cmd, 0, send_at_once, hasty);
}

/* Code that retries without a pause must not keep the loop from connecting. */
static TEST(test_hasty_retry_does_not_starve_the_connection)
{
    struct hasty hasty = {probe.redis, 0};

    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, probe.n_down == 1);
    send_at_once(MS_EDOWN, NULL, &hasty);
    RUN_UNTIL(&probe, probe.n_up == 2);
    CHECK_INT(hasty.n, >=, 2);
}

static void send_more(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct got *got = arg;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "ECHO", "second", NULL);
    ms_redis_send(probe.redis, &cmd, 0, got_it, got);
}

static TEST(test_callback_may_send)
{
    struct got got = {0};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "ECHO", "first", NULL);
    ms_redis_send(probe.redis, &cmd, 0, send_more, &got);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_STR(got.reply->str, "second");
    got_done(&got);
}

/* ---- deadlines ---- */

/* Replies of a blocked Redis never come; neither do those behind it. */
static TEST(test_deadline_fails_one_and_breaks_the_rest)
{
    struct got late;
    struct got behind;

    probe_send(&probe, &late, 50, "BLPOP", "nothing", "0", NULL);
    probe_send(&probe, &behind, 0, "PING", NULL, NULL, NULL);
    RUN_UNTIL(&probe, behind.n == 1);
    CHECK_INT(late.n, ==, 1);
    CHECK_INT(late.err, ==, MS_ETIMEOUT);
    CHECK_INT(behind.err, ==, MS_EDOWN);
    CHECK_INT(probe.n_down, ==, 1);
    CHECK_INT(probe.last_err, ==, MS_ETIMEOUT);
    RUN_UNTIL(&probe, probe.n_up == 2);
    got_done(&late);
    got_done(&behind);
}

/* One timer serves all: a later request's earlier end must move it. */
static TEST(test_earlier_deadline_of_a_later_request_counts)
{
    struct got patient;
    struct got hurried;

    probe_send(&probe, &patient, 1000000, "BLPOP", "nothing", "0", NULL);
    probe_send(&probe, &hurried, 50, "PING", NULL, NULL, NULL);
    RUN_UNTIL(&probe, hurried.n == 1);
    CHECK_INT(hurried.err, ==, MS_ETIMEOUT);
    CHECK_INT(patient.err, ==, MS_EDOWN);
    got_done(&patient);
    got_done(&hurried);
}

/* The timer that an answered request has set must not end another. */
static TEST(test_answered_requests_leave_no_deadline_behind)
{
    struct got quick;
    struct got slow;

    probe_send(&probe, &quick, 1000, "PING", NULL, NULL, NULL);
    RUN_UNTIL(&probe, quick.n == 1);
    CHECK_INT(quick.err, ==, MS_OK);
    probe_send(&probe, &slow, 20000, "BLPOP", "nothing", "1.2", NULL);
    RUN_UNTIL(&probe, slow.n == 1);
    CHECK_INT(slow.err, ==, MS_OK);
    CHECK_INT(probe.n_down, ==, 0);
    got_done(&quick);
    got_done(&slow);
}

/* A worker that was frozen (SIGSTOP, a paused machine) finds its deadlines
 * over and the answers there: those count. */
static TEST(test_answer_that_waits_in_the_socket_beats_the_deadline)
{
    struct got got;

    probe_send(&probe, &got, 30, "PING", NULL, NULL, NULL);
    ev_run(probe.loop, EVRUN_NOWAIT); /* out it goes */
    ms_test_num(server, "EXISTS x");  /* behind it, so the answer is there */
    usleep(60 * 1000);                /* what is tested is to be late */
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.err, ==, MS_OK);
    CHECK_INT(probe.n_down, ==, 0);
    got_done(&got);
}

static TEST(test_sleeping_redis_times_out_and_comes_back)
{
    struct got got;

    probe_send(&probe, &got, 50, "DEBUG", "SLEEP", "0.3", NULL);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.err, ==, MS_ETIMEOUT);
    RUN_UNTIL(&probe, probe.n_up == 2);
    CHECK_INT(ms_redis_reconnects(probe.redis), ==, 1);
    got_done(&got);
}

/* ---- cancelling ---- */

static TEST(test_cancelled_request_is_not_called_back)
{
    struct got first;
    struct got second;
    struct ms_request *request =
        probe_send(&probe, &first, 0, "ECHO", "first", NULL, NULL);

    probe_send(&probe, &second, 0, "ECHO", "second", NULL, NULL);
    ms_redis_cancel(request);
    RUN_UNTIL(&probe, second.n == 1);
    CHECK_INT(first.n, ==, 0);
    CHECK_STR(second.reply->str, "second");
    got_done(&second);
}

static TEST(test_cancelled_script_is_not_sent_again)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct got got = {0};
    struct got after;

    ms_test_cmd(server, "SCRIPT FLUSH");
    ms_test_cmd(server, "CONFIG RESETSTAT");
    ms_cmd_script(&cmd, &ms_script_ping);
    ms_redis_cancel(ms_redis_send(probe.redis, &cmd, 0, got_it, &got));
    after = run("PING", NULL, NULL, NULL);
    CHECK_INT(got.n, ==, 0);
    CHECK_INT(loads(), ==, 0);
    got_done(&after);
}

static TEST(test_cancelled_while_down_is_not_called_back)
{
    struct got one;
    struct got two;
    struct ms_request *request;

    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, probe.n_down == 1);
    request = probe_send(&probe, &one, 0, "PING", NULL, NULL, NULL);
    probe_send(&probe, &two, 0, "PING", NULL, NULL, NULL);
    ms_redis_cancel(request);
    RUN_UNTIL(&probe, two.n == 1);
    CHECK_INT(one.n, ==, 0);
    got_done(&two);
}

static void cancel_other(enum ms_err err, const struct ms_reply *reply,
                         void *arg)
{
    struct ms_request **other = arg;

    ms_redis_cancel(*other);
    *other = NULL;
}

/* While the connection goes down it calls back one by one; a callback may
 * cancel those that come behind it. */
static TEST(test_callback_cancels_the_next_when_all_fail)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_request *other;
    struct got got;
    struct got last;

    ms_cmd_plain(&cmd, "BLPOP", "nothing", "0", NULL);
    ms_redis_send(probe.redis, &cmd, 0, cancel_other, &other);
    other = probe_send(&probe, &got, 0, "PING", NULL, NULL, NULL);
    probe_send(&probe, &last, 0, "PING", NULL, NULL, NULL);
    RUN_UNTIL(&probe,
              strstr(ms_test_text(server, "CLIENT LIST"), "cmd=blpop") != NULL);
    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, last.n == 1);
    CHECK(other == NULL);
    CHECK_INT(got.n, ==, 0);
    got_done(&last);
}

/* ---- freeing ---- */

static void free_probe(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    int *calls = arg;

    ++*calls;
    ms_redis_free(probe.redis);
    probe.redis = NULL;
    if (reply->type == MS_REPLY_STR) /* it outlives the connection */
        CHECK_STR(reply->str, "x");
}

static void send_n_that_free(int n, int *calls)
{
    for (int i = 0; i < n; i++) {
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_cmd_plain(&cmd, "ECHO", "x", NULL);
        ms_redis_send(probe.redis, &cmd, 0, free_probe, calls);
    }
}

static TEST(test_freed_in_a_reply_forgets_the_rest)
{
    int calls = 0;

    send_n_that_free(10, &calls);
    RUN_UNTIL(&probe, probe.redis == NULL);
    CHECK_INT(calls, ==, 1);
}

static TEST(test_freed_while_requests_fail_forgets_the_rest)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int calls = 0;

    ms_cmd_plain(&cmd, "BLPOP", "nothing", "0", NULL);
    ms_redis_send(probe.redis, &cmd, 0, free_probe, &calls);
    send_n_that_free(5, &calls);
    RUN_UNTIL(&probe,
              strstr(ms_test_text(server, "CLIENT LIST"), "cmd=blpop") != NULL);
    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, probe.redis == NULL);
    CHECK_INT(calls, ==, 1);
    CHECK_INT(probe.n_down, ==, 0);
}

static TEST(test_freed_in_a_refusal_forgets_the_rest)
{
    int calls = 0;

    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, probe.n_down == 1);
    send_n_that_free(5, &calls);
    RUN_UNTIL(&probe, probe.redis == NULL);
    CHECK_INT(calls, ==, 1);
}

static TEST(test_free_forgets_all_without_a_call)
{
    struct got got;

    for (int i = 0; i < 5; i++)
        probe_send(&probe, &got, 0, "PING", NULL, NULL, NULL);
    ms_redis_free(probe.redis);
    probe.redis = NULL;
    ev_run(probe.loop, EVRUN_NOWAIT);
    CHECK_INT(got.n, ==, 0);
}

/* ---- the waiting side ---- */

static TEST(test_call_returns_the_reply)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;

    ms_cmd_plain(&cmd, "ECHO", "hello", NULL);
    CHECK_INT(ms_redis_call(probe.redis, &cmd, 0, &reply, NULL), ==, MS_OK);
    CHECK_STR(reply->str, "hello");
    ms_reply_free(reply);
}

static TEST(test_call_says_what_redis_said)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_error error;

    ms_cmd_plain(&cmd, "NONSENSE", NULL);
    CHECK_INT(ms_redis_call(probe.redis, &cmd, 0, &reply, &error), ==,
              MS_ESCRIPT);
    CHECK_CONTAINS(error.text, "unknown command");
    CHECK(reply == NULL);
}

static TEST(test_call_says_why_there_is_no_answer)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_error error;

    ms_cmd_plain(&cmd, "BLPOP", "nothing", "0", NULL);
    CHECK_INT(ms_redis_call(probe.redis, &cmd, 50, &reply, &error), ==,
              MS_ETIMEOUT);
    CHECK_CONTAINS(error.text, "no answer");
    ms_cmd_plain(&cmd, "PING", NULL);
    CHECK_INT(ms_redis_call(probe.redis, &cmd, 50, &reply, &error), ==,
              MS_EDOWN);
    CHECK(error.text[0] != '\0');
    CHECK(reply == NULL);
}

#define RUN_UP(name) \
    cmocka_unit_test_setup_teardown(name, connect_probe, drop_probe)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_UP(test_replies_of_every_type),
        RUN_UP(test_nil_is_a_reply),
        RUN_UP(test_bytes_survive_both_ways),
        RUN_UP(test_large_requests_and_replies),
        RUN_UP(test_long_arrays),
        RUN_UP(test_replies_come_in_the_order_of_requests),
        RUN_UP(test_error_reply_has_its_class_and_text),
        RUN_UP(test_full_redis_is_full_for_commands_and_scripts),
        RUN_UP(test_missing_permission_is_an_auth_error),
        RUN_UP(test_unknown_script_is_loaded_once_for_all),
        RUN_UP(test_flushed_script_is_loaded_again),
        RUN_UP(test_script_that_does_not_compile_says_where),
        RUN_UP(test_script_with_a_wrong_hash_ends_as_an_error),
        RUN_UP(test_forbidden_load_is_an_auth_error),
        RUN_UP(test_no_callback_from_inside_send),
        RUN_UP(test_hasty_retry_does_not_starve_the_connection),
        RUN_UP(test_callback_may_send),
        RUN_UP(test_deadline_fails_one_and_breaks_the_rest),
        RUN_UP(test_earlier_deadline_of_a_later_request_counts),
        RUN_UP(test_answered_requests_leave_no_deadline_behind),
        RUN_UP(test_answer_that_waits_in_the_socket_beats_the_deadline),
        RUN_UP(test_sleeping_redis_times_out_and_comes_back),
        RUN_UP(test_cancelled_request_is_not_called_back),
        RUN_UP(test_cancelled_script_is_not_sent_again),
        RUN_UP(test_cancelled_while_down_is_not_called_back),
        RUN_UP(test_callback_cancels_the_next_when_all_fail),
        RUN_UP(test_freed_in_a_reply_forgets_the_rest),
        RUN_UP(test_freed_while_requests_fail_forgets_the_rest),
        RUN_UP(test_freed_in_a_refusal_forgets_the_rest),
        RUN_UP(test_free_forgets_all_without_a_call),
        RUN_UP(test_call_returns_the_reply),
        RUN_UP(test_call_says_what_redis_said),
        RUN_UP(test_call_says_why_there_is_no_answer),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}

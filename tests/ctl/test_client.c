#include "ctl/client.h"
#include "tests/ctl/client_fixture.h"

#include <signal.h>
#include <unistd.h>

static void incr(struct ms_cmd *cmd, const char *key)
{
    *cmd = (struct ms_cmd)MS_CMD_INIT;
    ms_cmd_plain(cmd, "INCR", key, NULL);
}

static TEST(test_a_call_answers_or_says_what_redis_said)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_reply *reply = NULL;
    struct ms_error error = {""};
    struct ms_cmd cmd;

    incr(&cmd, "x{t}");
    CHECK_INT(ms_client_call(client, &cmd, &reply, NULL), ==, MS_OK);
    CHECK_INT(reply->num, ==, 1);
    ms_reply_free(reply);
    reply = NULL;
    ms_test_text(core->redis, "SET x{t} word");
    incr(&cmd, "x{t}");
    CHECK_INT(ms_client_ask(client, &cmd, &reply, &error), ==, MS_ESCRIPT);
    CHECK_CONTAINS(error.text, "not an integer");
    CHECK(reply == NULL);
    ms_client_close(client);
    ms_test_text(core->redis, "DEL x{t}");
}

/* What may be said twice is said again on a new connection. */
static TEST(test_a_question_survives_a_broken_connection)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_reply *reply = NULL;
    struct ms_cmd cmd;

    for (int i = 1; i <= 3; i++) {
        ms_test_text(core->redis, "CLIENT KILL TYPE normal SKIPME yes");
        incr(&cmd, "x{t}");
        CHECK_INT(ms_client_ask(client, &cmd, &reply, NULL), ==, MS_OK);
        CHECK_INT(reply->num, >=, i);
        ms_reply_free(reply);
        reply = NULL;
    }
    ms_client_close(client);
    ms_test_text(core->redis, "DEL x{t}");
}

/* What may not is left to the user, with a warning that it may have been
 * done. */
static TEST(test_an_order_is_not_repeated)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_reply *reply = NULL;
    struct ms_error error = {""};
    struct ms_cmd cmd;
    enum ms_err err;

    ms_test_text(core->redis, "CLIENT KILL TYPE normal SKIPME yes");
    incr(&cmd, "x{t}");
    err = ms_client_call(client, &cmd, &reply, &error);
    CHECK_INT(err, ==, MS_EDOWN);
    CHECK_CONTAINS(error.text, "may or may not");
    CHECK(ms_test_num(core->redis, "EXISTS x{t}") == 0);
    ms_client_close(client);
}

static TEST(test_many_answers_come_in_the_order_of_their_questions)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_cmd cmds[50];
    struct ms_reply *replies[50];

    for (int i = 0; i < 50; i++)
        incr(&cmds[i], "x{t}");
    CHECK_INT(ms_client_ask_all(client, cmds, 50, replies, NULL), ==, MS_OK);
    for (int i = 0; i < 50; i++)
        CHECK_INT(replies[i]->num, ==, i + 1);
    ms_client_free_all(replies, 50);
    CHECK_INT(ms_client_ask_all(client, cmds, 0, replies, NULL), ==, MS_OK);
    ms_client_close(client);
    ms_test_text(core->redis, "DEL x{t}");
}

/* One bad question among good ones: all or nothing for ask_all, each by itself
 * for try_all. */
static TEST(test_one_error_among_many)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_cmd cmds[3];
    struct ms_reply *replies[3];
    enum ms_err errs[3];
    struct ms_error error = {""};

    ms_test_text(core->redis, "SET bad{t} word");
    incr(&cmds[0], "x{t}");
    incr(&cmds[1], "bad{t}");
    incr(&cmds[2], "x{t}");
    CHECK_INT(ms_client_try_all(client, cmds, 3, replies, errs, &error), ==,
              MS_ESCRIPT);
    CHECK_CONTAINS(error.text, "not an integer");
    CHECK_INT(errs[0], ==, MS_OK);
    CHECK_INT(errs[1], ==, MS_ESCRIPT);
    CHECK_INT(replies[2]->num, ==, 2);
    CHECK(replies[1] == NULL);
    ms_client_free_all(replies, 3);
    incr(&cmds[0], "x{t}");
    incr(&cmds[1], "bad{t}");
    CHECK_INT(ms_client_ask_all(client, cmds, 2, replies, &error), ==,
              MS_ESCRIPT);
    CHECK(replies[0] == NULL && replies[1] == NULL);
    ms_client_close(client);
    ms_test_text(core->redis, "DEL x{t} bad{t}");
}

static TEST(test_a_redis_that_restarts_is_waited_for)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_reply *reply = NULL;
    struct ms_cmd cmd;

    ms_test_redis_down(core->redis, SIGKILL);
    ms_test_redis_up(core->redis);
    incr(&cmd, "x{t}");
    CHECK_INT(ms_client_ask(client, &cmd, &reply, NULL), ==, MS_OK);
    ms_reply_free(reply);
    ms_client_close(client);
    ms_test_text(core->redis, "DEL x{t}");
}

static TEST(test_a_redis_that_is_gone_is_an_error)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = NULL;
    struct ms_error error = {""};

    conf.redis_connect_timeout_ms = 300;
    ms_test_redis_down(core->redis, SIGKILL);
    CHECK(ms_client_open(&conf, &client, &error) != MS_OK);
    CHECK_CONTAINS(error.text, "cannot use the Redis at unix://");
    CHECK(client == NULL);
    ms_test_redis_up(core->redis);
}

static TEST(test_the_layout_is_stamped_once_and_checked)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_error error = {""};

    ms_test_text(core->redis, "DEL " F("schema"));
    CHECK_INT(ms_client_check_schema(client, false, NULL), ==, MS_OK);
    CHECK_STR(ms_test_text(core->redis, "GET " F("schema")), "(nil)");
    CHECK_INT(ms_client_check_schema(client, true, NULL), ==, MS_OK);
    CHECK_STR(ms_test_text(core->redis, "GET " F("schema")), MS_SCHEMA);
    ms_test_text(core->redis, "SET " F("schema") " 0");
    CHECK_INT(ms_client_check_schema(client, false, &error), ==, MS_ESCHEMA);
    CHECK_CONTAINS(error.text, "key layout 0");
    CHECK_INT(ms_client_check_schema(client, true, NULL), ==, MS_ESCHEMA);
    CHECK_STR(ms_test_text(core->redis, "GET " F("schema")), "0");
    ms_test_text(core->redis, "DEL " F("schema"));
    ms_client_close(client);
}

static TEST(test_now_is_the_clock_of_redis)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    int64_t before = ms_core_now(core), now = 0;

    CHECK_INT(ms_client_now(client, &now, NULL), ==, MS_OK);
    CHECK_INT(now, >=, before);
    CHECK_INT(now, <=, ms_core_now(core));
    ms_client_close(client);
}

/* The signal is remembered, so that one between two sleeps is not lost. */
static TEST(test_a_signal_ends_a_sleep_and_is_remembered)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);

    CHECK(!ms_client_sleep(client, 1));
    kill(getpid(), SIGINT);
    CHECK(ms_client_sleep(client, 60000));
    CHECK(ms_client_sleep(client, 60000));
    ms_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_call_answers_or_says_what_redis_said),
        CORE(test_a_question_survives_a_broken_connection),
        CORE(test_an_order_is_not_repeated),
        CORE(test_many_answers_come_in_the_order_of_their_questions),
        CORE(test_one_error_among_many),
        CORE(test_a_redis_that_restarts_is_waited_for),
        CORE(test_a_redis_that_is_gone_is_an_error),
        CORE(test_the_layout_is_stamped_once_and_checked),
        CORE(test_now_is_the_clock_of_redis),
        CORE(test_a_signal_ends_a_sleep_and_is_remembered),
    };

    return RUN_CORE(tests);
}

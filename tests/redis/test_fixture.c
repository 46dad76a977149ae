/* The Redis of the tests, and the commands written as one format. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "scripts.h"
#include "tests/redis/probe.h"
#include "tests/support/words.h"

static struct ms_test_redis *server;

static int start_server(void **state)
{
    server = ms_test_redis_start(NULL);
    return 0;
}

static int stop_server(void **state)
{
    ms_test_redis_stop(server);
    return 0;
}

/* The arguments as "[a][b]". */
static const char *words(const char *format, ...)
{
    static char text[512];
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t used = 0;
    va_list args;

    va_start(args, format);
    ms_words_add(&cmd, format, args);
    va_end(args);
    text[0] = '\0';
    for (size_t i = 0; i < cmd.n_args; i++) {
        size_t len = 0;
        const char *at = ms_cmd_peek(&cmd, i, &len);

        used += (size_t)snprintf(text + used, sizeof(text) - used, "[%.*s]",
                                 (int)len, at);
    }
    ms_cmd_done(&cmd);
    return text;
}

static TEST(test_words_are_split_in_the_format_alone)
{
    CHECK_STR(words("GET  key "), "[GET][key]");
    CHECK_STR(words("SET %s x%sy", "a b", "c d"), "[SET][a b][xc dy]");
    CHECK_STR(words("SET %s", ""), "[SET][]");
    CHECK_STR(words(""), "");
}

static TEST(test_words_know_the_usual_conversions)
{
    CHECK_STR(words("%d %u %ld %zu %" PRId64 " %" PRIu64, -1, 4294967295u,
                    -5000000000L, (size_t)7, INT64_MIN, UINT64_MAX),
              "[-1][4294967295][-5000000000][7][-9223372036854775808]"
              "[18446744073709551615]");
    CHECK_STR(words("%c%%%05d %x %.2f", 'a', 42, 255, 0.5),
              "[a%00042][ff][0.50]");
    CHECK_STR(words("%b %s", "abc", (size_t)2, "next"), "[ab][next]");
}

static TEST(test_commands_answer_in_each_form)
{
    CHECK_STR(ms_test_text(server, "SET %s %d", "a key", 5), "OK");
    CHECK_INT(ms_test_num(server, "GET %s", "a key"), ==, 5);
    CHECK_STR(ms_test_text(server, "INCR %s", "a key"), "6");
    CHECK_STR(ms_test_text(server, "GET nothing"), "(nil)");
    CHECK_CONTAINS(ms_test_text(server, "NONSENSE"), "ERR unknown command");
    CHECK_INT(ms_test_cmd(server, "KEYS *")->n_items, ==, 1);
    CHECK_INT(ms_test_cmd(server, "NONSENSE")->type, ==, MS_REPLY_ERROR);
}

static TEST(test_commands_take_bytes)
{
    ms_test_cmd(server, "SET bytes %b", "a\0b", (size_t)3);
    CHECK_INT(ms_test_num(server, "STRLEN bytes"), ==, 3);
}

static TEST(test_scripts_are_loaded_when_needed)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_test_cmd(server, "SCRIPT FLUSH");
    ms_cmd_script(&cmd, &ms_script_ping);
    CHECK(ms_reply_is(ms_reply_at(ms_test_run(server, &cmd), 0), "ok"));
}

static TEST(test_commands_survive_the_loss_of_the_connection)
{
    struct probe probe;
    struct got got;

    probe_up(&probe, ms_test_redis_url(server));
    probe_send(&probe, &got, 0, "CLIENT", "KILL", "TYPE", "normal");
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.reply->num, ==, 1);
    got_done(&got);
    probe_done(&probe);
    CHECK_STR(ms_test_text(server, "PING"), "PONG");
}

static TEST(test_restart_keeps_what_is_on_disk)
{
    const char *const extra[] = {"--appendonly", "yes", "--appendfsync",
                                 "always", NULL};
    struct ms_test_redis *kept = ms_test_redis_start(extra);
    pid_t before = ms_test_redis_pid(kept);

    ms_test_cmd(kept, "SET a b");
    ms_test_redis_down(kept, SIGKILL);
    ms_test_redis_up(kept);
    CHECK_STR(ms_test_text(kept, "GET a"), "b");
    CHECK_INT(ms_test_redis_pid(kept), !=, before);
    ms_test_redis_stop(kept);
}

static TEST(test_two_servers_are_apart)
{
    struct ms_test_redis *other = ms_test_redis_start(NULL);

    ms_test_cmd(server, "SET mine 1");
    CHECK_STR(ms_test_text(other, "GET mine"), "(nil)");
    CHECK(strcmp(ms_test_redis_url(server), ms_test_redis_url(other)) != 0);
    ms_test_redis_stop(other);
    ms_test_redis_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_words_are_split_in_the_format_alone),
        RUN(test_words_know_the_usual_conversions),
        RUN(test_commands_answer_in_each_form),
        RUN(test_commands_take_bytes),
        RUN(test_scripts_are_loaded_when_needed),
        RUN(test_commands_survive_the_loss_of_the_connection),
        RUN(test_restart_keeps_what_is_on_disk),
        RUN(test_two_servers_are_apart),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}

/* The waiting connection on a real Redis. */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/support.h"
#include "worker/wake.h"

static struct ms_test_redis *server;
static struct ev_loop *loop;
static struct ms_redis *redis;
static struct ms_wake *wake;
static char queue_a[] = "a", queue_b[] = "b";
static char *queues[] = {queue_a, queue_b, NULL};
static bool waiting[2], takes;
static int tokens[2];
static char message[64];

static bool on_token(size_t queue, void *arg)
{
    if (takes)
        tokens[queue]++;
    return takes;
}

static bool is_waiting(size_t queue, void *arg)
{
    return waiting[queue];
}

static void on_message(const char *text, void *arg)
{
    snprintf(message, sizeof(message), "%s", text);
}

static void on_heard(void *arg)
{
}

static const struct ms_wake_events events = {on_token, is_waiting, on_message,
                                             on_heard};

static int setup(void **state)
{
    struct ms_redis_options options = {0};
    struct ms_wake_options wake_options = {.redis = &options,
                                           .fleet = "f",
                                           .pod = "P",
                                           .queues = queues,
                                           .events = &events};

    server = ms_test_redis_start(NULL);
    loop = ev_loop_new(0);
    options.url = ms_test_redis_url(server);
    CHECK_INT(ms_redis_new(loop, &options, &redis, NULL), ==, MS_OK);
    ms_redis_start(redis);
    CHECK_INT(ms_redis_wait_up(redis, 10000, NULL), ==, MS_OK);
    wake_options.main = redis;
    CHECK_INT(ms_wake_new(loop, &wake_options, &wake, NULL), ==, MS_OK);
    waiting[0] = takes = true;
    waiting[1] = false;
    tokens[0] = tokens[1] = 0;
    message[0] = '\0';
    ms_wake_start(wake);
    return 0;
}

static int teardown(void **state)
{
    ms_wake_free(wake);
    ms_redis_free(redis);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    return 0;
}

#define RUN_UNTIL(cond) WAIT_FOR(10000, (ev_run(loop, EVRUN_NOWAIT), (cond)))

static int64_t blocked(void)
{
    const char *info = ms_test_text(server, "INFO clients");
    const char *line = strstr(info, "blocked_clients:");

    return line == NULL ? -1 : atoi(line + strlen("blocked_clients:"));
}

static TEST(test_a_token_wakes_its_queue)
{
    ms_test_text(server, "RPUSH ms:{f/a}:wake 1");
    RUN_UNTIL(tokens[0] == 1);
    ms_test_text(server, "RPUSH ms:{f/a}:wake 1");
    RUN_UNTIL(tokens[0] == 2);
    CHECK_INT(tokens[1], ==, 0);
}

/* Another pod may be idle: a token must not end with one that is full. */
static TEST(test_a_token_for_a_full_queue_goes_back)
{
    RUN_UNTIL(blocked() == 1);
    takes = waiting[0] = false;
    ms_test_text(server, "RPUSH ms:{f/a}:wake 1");
    RUN_UNTIL(blocked() == 1 && ms_test_num(server, "LLEN ms:{f/a}:wake") == 1);
    CHECK_INT(tokens[0], ==, 0);
}

/* A queue that becomes free must not wait for the end of an old BLPOP. */
static TEST(test_a_queue_that_becomes_free_is_waited_for)
{
    RUN_UNTIL(blocked() == 1);
    waiting[1] = true;
    ms_wake_step(wake);
    ms_test_text(server, "RPUSH ms:{f/b}:wake 1");
    RUN_UNTIL(tokens[1] == 1);
}

static TEST(test_messages_of_the_inbox_arrive)
{
    ms_test_cmd(server, "RPUSH ms:{f}:pod:P:inbox %b", "cancel a J1", 11);
    RUN_UNTIL(message[0] != '\0');
    CHECK_STR(message, "cancel a J1");
}

static TEST(test_waits_again_after_its_connection_was_killed)
{
    RUN_UNTIL(blocked() == 1);
    ms_test_text(server, "CLIENT KILL TYPE normal SKIPME yes");
    ms_test_text(server, "RPUSH ms:{f/a}:wake 1");
    RUN_UNTIL(tokens[0] == 1);
}

static int64_t calls_of(const char *command)
{
    const char *at = strstr(ms_test_text(server, "INFO commandstats"), command);

    return at == NULL ? 0 : atoll(at + strlen(command));
}

/* As fast as Redis can refuse would keep both of them busy for nothing. */
static TEST(test_a_refused_wait_is_not_repeated_at_once)
{
    ms_test_text(server, "SET ms:{f/a}:wake spoilt");
    RUN_UNTIL(calls_of("cmdstat_blpop:calls=") > 0);
    for (int i = 0; i < 100; i++) {
        ms_wake_step(wake); /* as the worker does at each change */
        RUN_UNTIL(tokens[0] == 0);
    }
    CHECK_INT(calls_of("cmdstat_blpop:calls="), <=, 3);
    ms_test_text(server, "DEL ms:{f/a}:wake");
    ms_test_text(server, "RPUSH ms:{f/a}:wake 1");
    RUN_UNTIL(tokens[0] == 1);
}

#define BENCHED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCHED(test_a_token_wakes_its_queue),
        BENCHED(test_a_token_for_a_full_queue_goes_back),
        BENCHED(test_a_queue_that_becomes_free_is_waited_for),
        BENCHED(test_messages_of_the_inbox_arrive),
        BENCHED(test_waits_again_after_its_connection_was_killed),
        BENCHED(test_a_refused_wait_is_not_repeated_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

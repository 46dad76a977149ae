/* Who is there, by Redis's list of clients: from texts, with a clock that the
 * tests move, and once from a real Redis. */
#include <stdlib.h>

#include "common/fleet.h"
#include "coordinator/presence.h"
#include "tests/support/support.h"

#define A "01ARZ3NDEKTSV4RRFFQ69G5FA1"
#define B "01ARZ3NDEKTSV4RRFFQ69G5FB2"
#define LINE(name) \
    "id=3 addr=/tmp/s:0 fd=8 name=" name " age=1 idle=0 cmd=blpop\n"
#define POD(id) LINE("muster-pod-" id)

static struct ms_test_redis *server;
static struct ev_loop *loop;
static struct ms_redis *redis;
static struct ms_term term = {.leads = true,
                              .epoch = 1,
                              .trusted_until_ms = INT64_MAX};
static int told;

static void on_gone(void *arg)
{
    told++;
}

static struct ms_presence *fresh(void)
{
    told = 0;
    return ms_presence_new(loop, redis, &term, on_gone, NULL);
}

static TEST(test_a_pod_that_was_never_seen_is_not_gone)
{
    struct ms_presence *p = fresh();

    CHECK(!ms_presence_read(p, POD(A), 0));
    CHECK(!ms_presence_read(p, POD(A), 10000));
    CHECK(!ms_presence_is_gone(p, A));
    CHECK(!ms_presence_is_gone(p, B));
    CHECK(!ms_presence_is_gone(p, ""));
    ms_presence_free(p);
}

static TEST(test_a_pod_not_seen_for_a_while_is_gone_once)
{
    struct ms_presence *p = fresh();

    ms_presence_read(p, POD(A) POD(B), 0);
    CHECK(!ms_presence_read(p, POD(B), 1000));
    CHECK(!ms_presence_is_gone(p, A));
    CHECK(ms_presence_read(p, POD(B), 1300));
    CHECK(ms_presence_is_gone(p, A));
    CHECK(!ms_presence_is_gone(p, B));
    CHECK(!ms_presence_read(p, POD(B), 1700)); /* no news */
    CHECK(ms_presence_is_gone(p, A));
    ms_presence_free(p);
}

/* One of its connections is enough; and so is a new one. */
static TEST(test_a_pod_that_connects_again_is_there)
{
    struct ms_presence *p = fresh();

    ms_presence_read(p, POD(A) POD(A), 0);
    ms_presence_read(p, "", 1000);
    CHECK(!ms_presence_read(p, POD(A), 1400));
    CHECK(!ms_presence_is_gone(p, A));
    CHECK(ms_presence_read(p, "", 3000));
    ms_presence_read(p, POD(A), 3400);
    CHECK(!ms_presence_is_gone(p, A)); /* it had been */
    ms_presence_free(p);
}

static TEST(test_more_may_follow_the_id_and_rubbish_is_skipped)
{
    struct ms_presence *p = fresh();

    ms_presence_read(p,
                     LINE("muster-pod-" A "-wake") LINE("redis-cli")
                         LINE("muster-coordinator") LINE("muster-pod-"),
                     0);
    ms_presence_read(p, " name=muster-pod-01A", 1);
    CHECK(ms_presence_read(p, "", 5000));
    CHECK(ms_presence_is_gone(p, A));
    ms_presence_free(p);
}

static TEST(test_a_new_term_has_seen_nobody)
{
    struct ms_presence *p = fresh();

    ms_presence_read(p, POD(A), 0);
    ms_presence_read(p, "", 5000);
    ms_presence_stop(p);
    ms_presence_start(p);
    CHECK(!ms_presence_is_gone(p, A));
    ms_presence_free(p);
}

/* How often Redis has answered CLIENT LIST. */
static int64_t lists_read(void)
{
    const char *text =
        strstr(ms_test_text(server, "INFO commandstats"), "client|list:calls=");

    return text == NULL ? 0 : strtoll(strchr(text, '=') + 1, NULL, 10);
}

static bool spin(void)
{
    ev_run(loop, EVRUN_NOWAIT);
    return true;
}

static struct ms_redis *connect_as_pod(void)
{
    struct ms_redis_options options = {.url = ms_test_redis_url(server),
                                       .client_name = MS_POD_CLIENT_PREFIX A};
    struct ms_redis *pod;

    CHECK_INT(ms_redis_new(loop, &options, &pod, NULL), ==, MS_OK);
    ms_redis_start(pod);
    CHECK_INT(ms_redis_wait_up(pod, 10000, NULL), ==, MS_OK);
    return pod;
}

static bool client_list_has_pod(void)
{
    return strstr(ms_test_text(server, "CLIENT LIST"), A) != NULL;
}

static TEST(test_a_closed_connection_shows)
{
    struct ms_presence *p = fresh();
    struct ms_redis *pod = connect_as_pod();
    int64_t before;

    CHECK(client_list_has_pod());
    before = lists_read();
    ms_presence_start(p);
    WAIT_FOR(10000, spin() && lists_read() >= before + 2);
    CHECK(!ms_presence_is_gone(p, A));
    CHECK_INT(told, ==, 0);
    ms_redis_free(pod);
    WAIT_FOR(10000, spin() && ms_presence_is_gone(p, A));
    CHECK_INT(told, ==, 1);
    ms_presence_free(p);
}

/* All connections are lost at once, and no pod is to blame. */
static TEST(test_a_restart_of_redis_makes_nobody_gone)
{
    struct ms_presence *p = fresh();
    struct ms_redis *pod = connect_as_pod();
    int64_t before = lists_read();

    ms_presence_start(p);
    WAIT_FOR(10000, spin() && lists_read() >= before + 2);
    ms_test_redis_down(server, 9);
    ms_redis_free(pod); /* it does not come back */
    ms_test_redis_up(server);
    WAIT_FOR(30000, spin() && ms_redis_is_up(redis));
    before = lists_read();
    WAIT_FOR(20000, spin() && lists_read() >= before + 5); /* > 1.2 s */
    CHECK(!ms_presence_is_gone(p, A));
    CHECK_INT(told, ==, 0);
    ms_presence_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_pod_that_was_never_seen_is_not_gone),
        RUN(test_a_pod_not_seen_for_a_while_is_gone_once),
        RUN(test_a_pod_that_connects_again_is_there),
        RUN(test_more_may_follow_the_id_and_rubbish_is_skipped),
        RUN(test_a_new_term_has_seen_nobody),
        RUN(test_a_closed_connection_shows),
        RUN(test_a_restart_of_redis_makes_nobody_gone),
    };
    struct ms_redis_options options;
    int failed;

    server = ms_test_redis_start(NULL);
    loop = ev_loop_new(EVFLAG_AUTO);
    options = (struct ms_redis_options){.url = ms_test_redis_url(server)};
    CHECK_INT(ms_redis_new(loop, &options, &redis, NULL), ==, MS_OK);
    ms_redis_start(redis);
    CHECK_INT(ms_redis_wait_up(redis, 10000, NULL), ==, MS_OK);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_redis_free(redis);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    return failed;
}

/* The heartbeat on a real Redis, with slots that the test plays. */
#include <ev.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/support/proxy.h"
#include "tests/support/support.h"
#include "worker/pod.h"

#include "scripts.h"

#define POD     "01HZY0000000000000000PODAB"
#define POD_KEY "ms:{f}:pod:" POD

/* ---- slots, played ---- */

static int busy;

int ms_slots_busy(const struct ms_slots *slots)
{
    return busy;
}

const char *ms_slots_kinds(const struct ms_slots *slots)
{
    return ",noop.echo,";
}

void ms_slots_describe(const struct ms_slots *slots, struct ms_buf *out)
{
    ms_buf_adds(out, "[]");
}

/* ---- the bench ---- */

static struct ms_test_redis *server;
static struct ms_test_proxy *proxy;
static struct ev_loop *loop;
static struct ms_redis *redis;
static struct ms_conf *conf;
static struct ms_pod *pod;
static int64_t assigned[2], pods[2];
static int n_shares, n_left;

static void on_share(size_t queue, int64_t a, int64_t p, void *arg)
{
    CHECK_INT(queue, <, 2);
    assigned[queue] = a;
    pods[queue] = p;
    n_shares++;
}

static void on_left(void *arg)
{
    n_left++;
}

#define RUN_UNTIL(cond) WAIT_FOR(10000, (ev_run(loop, EVRUN_NOWAIT), (cond)))

static void load_conf(char *const *environment)
{
    static const char yaml[] = "fleet: f\n"
                               "worker: { queues: [q, r], concurrency: 3, "
                               "heartbeat: 1s }\n";
    char *path = ms_test_file("pod.yaml", yaml, strlen(yaml));
    const struct ms_conf_flags flags = {.config = path};

    CHECK_INT(ms_conf_load(&flags, environment, &conf, NULL), ==, MS_OK);
    free(path);
}

static int setup_with(char *const *environment)
{
    struct ms_redis_options options = {.command_timeout_ms = 1000,
                                       .retry_max_ms = 100};

    server = ms_test_redis_start(NULL);
    loop = ev_loop_new(0);
    proxy = ms_test_proxy_new(loop, server);
    options.url = ms_test_proxy_url(proxy);
    CHECK_INT(ms_redis_new(loop, &options, &redis, NULL), ==, MS_OK);
    ms_redis_start(redis);
    CHECK_INT(ms_redis_wait_up(redis, 10000, NULL), ==, MS_OK);
    load_conf(environment);
    const struct ms_pod_options pod_options = {.conf = conf,
                                               .redis = redis,
                                               .id = POD,
                                               .share = on_share};

    pod = ms_pod_new(loop, &pod_options);
    ms_pod_set_slots(pod, (struct ms_slots *)server); /* never looked into */
    ms_pod_set_http(pod, "127.0.0.1:1");
    n_shares = n_left = busy = 0;
    return 0;
}

static int setup(void **state)
{
    char *const none[] = {NULL};

    return setup_with(none);
}

static int teardown(void **state)
{
    ms_pod_free(pod);
    pod = NULL;
    ms_conf_free(conf);
    ms_redis_free(redis);
    ms_test_proxy_free(proxy);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    return 0;
}

static const char *field(const char *name)
{
    return ms_test_text(server, "HGET " POD_KEY " %s", name);
}

static int64_t beats(void)
{
    const char *at = strstr(ms_test_text(server, "INFO commandstats"),
                            "cmdstat_evalsha:calls=");

    return at == NULL ? 0 : atoll(strchr(at, '=') + 1);
}

/* ---- tests ---- */

static TEST(test_a_beat_tells_what_the_pod_is)
{
    busy = 2;
    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 2);
    CHECK_STR(field("label"), POD);
    CHECK_STR(field("queues"), "q,r");
    CHECK_STR(field("concurrency"), "3");
    CHECK_STR(field("busy"), "2");
    CHECK_STR(field("slots"), "[]");
    CHECK_STR(field("kinds"), ",noop.echo,");
    CHECK_STR(field("http"), "127.0.0.1:1");
    CHECK_STR(field("draining"), "0");
    CHECK(atoll(field("started_ms")) > 1700000000000);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{f}:members:q"), ==, 1);
}

/* Four hex digits of the pod's id stand in for a name. */
static TEST(test_a_label_is_made_of_prefix_and_id)
{
    static char prefix[] = "MUSTER_WORKER_PREFIX=blue";
    char *const environment[] = {prefix, NULL};

    teardown(NULL);
    setup_with(environment);
    CHECK_CONTAINS(ms_pod_label(pod), "blue-worker-");
    CHECK_INT(strlen(ms_pod_label(pod)), ==, strlen("blue-worker-") + 4);
    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 2);
    CHECK_STR(field("label"), ms_pod_label(pod));
}

static TEST(test_a_beat_brings_the_shares)
{
    ms_test_text(server, "HSET ms:{f}:leader id L");
    ms_test_text(server, "HSET ms:{f}:slots:r %s 5", POD);
    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 2);
    CHECK_INT(assigned[0], ==, -1);
    CHECK_INT(pods[0], ==, 1);
    CHECK_INT(assigned[1], ==, 5);
}

static TEST(test_it_beats_by_itself)
{
    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 6);
}

/* What changed while a beat was under way is told by one more, however often it
 * was asked for. */
static TEST(test_beats_under_way_are_followed_by_one)
{
    int64_t before;

    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 2);
    before = beats();
    for (int i = 0; i < 10; i++)
        ms_pod_beat(pod);
    busy = 1; /* the first of them has been written already */
    RUN_UNTIL(n_shares == 6);
    CHECK_STR(field("busy"), "1");
    CHECK_INT(beats() - before, <=, 3); /* with one of its own, maybe */
}

static TEST(test_a_draining_pod_is_no_member)
{
    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 2);
    ms_pod_set_draining(pod);
    RUN_UNTIL(ms_test_num(server, "ZCARD ms:{f}:members:q") == 0);
    CHECK_STR(field("draining"), "1");
}

/* Refused or lost: the next one is on time all the same. */
static TEST(test_a_beat_that_failed_is_followed_by_others)
{
    ms_test_text(server, "SET ms:{f}:pods spoilt");
    ms_pod_start(pod);
    RUN_UNTIL(beats() >= 2);
    CHECK_INT(n_shares, ==, 0);
    ms_test_text(server, "DEL ms:{f}:pods");
    RUN_UNTIL(n_shares >= 2);
    ms_test_proxy_lose_reply(proxy, ms_script_beat.sha1);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    n_shares = 0;
    RUN_UNTIL(n_shares >= 2);
}

static TEST(test_without_slots_it_is_silent)
{
    int64_t before = beats();

    ms_pod_set_slots(pod, NULL);
    ms_pod_start(pod);
    for (int i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(beats(), ==, before);
}

static TEST(test_leaving_takes_everything_away)
{
    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 2);
    ms_test_text(server, "RPUSH " POD_KEY ":inbox slots");
    ms_test_text(server, "HSET ms:{f}:slots:q %s 1", POD);
    ms_pod_beat(pod); /* one that is under way brings nothing back */
    ms_pod_leave(pod, on_left, NULL);
    RUN_UNTIL(n_left == 1);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
}

static TEST(test_leaving_ends_without_redis)
{
    ms_pod_start(pod);
    RUN_UNTIL(n_shares == 2);
    ms_test_redis_down(server, SIGKILL);
    RUN_UNTIL(!ms_redis_is_up(redis));
    ms_pod_leave(pod, on_left, NULL);
    RUN_UNTIL(n_left == 1);
    ms_test_redis_up(server);
}

static TEST(test_it_can_be_freed_under_way)
{
    ms_pod_start(pod);
    ms_pod_leave(pod, on_left, NULL);
    ms_pod_free(pod);
    pod = NULL;
    for (int i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(n_left + n_shares, ==, 0);
}

#define BENCHED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCHED(test_a_beat_tells_what_the_pod_is),
        BENCHED(test_a_label_is_made_of_prefix_and_id),
        BENCHED(test_a_beat_brings_the_shares),
        BENCHED(test_it_beats_by_itself),
        BENCHED(test_beats_under_way_are_followed_by_one),
        BENCHED(test_a_draining_pod_is_no_member),
        BENCHED(test_a_beat_that_failed_is_followed_by_others),
        BENCHED(test_without_slots_it_is_silent),
        BENCHED(test_leaving_takes_everything_away),
        BENCHED(test_leaving_ends_without_redis),
        BENCHED(test_it_can_be_freed_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

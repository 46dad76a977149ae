/*
 * A rolling deployment: pods of an old and of a new version side by side, in
 * one queue, while jobs of old and new kinds come in.  The old version has
 * handlers for v1.* alone, the new one for v1.* and v2.*.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/fcall.h"
#include "tests/support/fleet.h"

#define Q "ms:{t/q}:"

/* v2.hold runs until it is stopped; all else is done at once. */
static const char handlers[] =
    "while read -r line; do\n"
    "  id=${line#*\\\"id\\\":\\\"}\n"
    "  id=${id%%\\\"*}\n"
    "  case $line in *v2.hold*) sleep 1000 ;; esac\n"
    "  printf '{\"id\":\"%s\",\"status\":\"ok\",\"result\":1}\\n' \"$id\"\n"
    "done\n";

#define CONF                                                             \
    "worker: { queues: [q], concurrency: 2, http: \"off\", grace: 20s, " \
    "heartbeat: 1s }\n"                                                  \
    "coordinator: { http: \"off\" }\n"                                   \
    "queues: [ { name: q, max_workers: 16 } ]\n"

static struct ms_test_fleet *fleet;
static struct ms_proc *coordinator;
static char *script, *new_conf;

static int setup(void **state)
{
    struct ms_buf text = MS_BUF_INIT;

    script = ms_test_file("handlers.sh", handlers, sizeof(handlers) - 1);
    ms_buf_addf(&text, CONF "pools: [ { kinds: [v1.], argv: [sh, %s] } ]\n",
                script);
    ms_buf_addc(&text, '\0');
    fleet = ms_test_fleet_new(NULL, text.data);
    ms_buf_clear(&text);
    ms_buf_addf(&text,
                "fleet: t\nredis: { url: %s }\n" CONF
                "pools: [ { kinds: [v1., v2.], argv: [sh, %s] } ]\n",
                ms_test_redis_url(fleet->redis), script);
    new_conf = ms_test_file("new.yaml", text.data, text.len);
    ms_buf_done(&text);
    coordinator = ms_test_coordinator(fleet);
    ms_fcall_load(fleet->redis);
    return 0;
}

static int teardown(void **state)
{
    ms_proc_free(coordinator);
    ms_test_fleet_free(fleet);
    free(new_conf);
    free(script);
    return 0;
}

static struct ms_proc *old_pod(void)
{
    return ms_test_worker(fleet);
}

static struct ms_proc *new_pod(void)
{
    const char *const argv[] = {"muster-worker", "--config", new_conf, NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);

    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=working") != NULL);
    return proc;
}

static void stop(struct ms_proc *proc)
{
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 60000), ==, 0);
    ms_proc_free(proc);
}

/* Jobs "<kind>-<from>" up to `to`, which is not in. */
static void enqueue(const char *kind, int from, int to)
{
    for (int i = from; i < to; i++) {
        char id[32];

        snprintf(id, sizeof(id), "%s-%d", kind, i);
        CHECK_CONTAINS(FCALL(fleet->redis, "enqueue", Q "cfg", kind, "{}", "id",
                             id),
                       "false");
    }
}

static int64_t count(const char *place)
{
    return ms_test_num(fleet->redis, "ZCARD " Q "%s", place);
}

static int64_t stat_of(const char *name)
{
    const char *text = ms_test_text(fleet->redis, "HGET " Q "stats %s", name);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

/* Did only this pod run the jobs of the kind? */
static void check_pods(const char *kind, int n, struct ms_proc *pod)
{
    for (int i = 0; i < n; i++)
        CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "job:%s-%d pod", kind,
                               i),
                  ms_test_pod_id(pod));
}

static TEST(test_a_new_kind_waits_for_the_first_new_pod)
{
    struct ms_proc *old = old_pod(), *new;

    enqueue("v2.mail", 0, 20);
    enqueue("v1.mail", 0, 20);
    WAIT_FOR(60000, count("parked") == 20 && count("done") == 20);
    new = new_pod();
    WAIT_FOR(60000, count("done") == 40);
    check_pods("v1.mail", 20, old);
    check_pods("v2.mail", 20, new);
    CHECK_INT(stat_of("dead"), ==, 0);
    CHECK_INT(count("parked"), ==, 0);
    /* it waited at no cost to itself */
    CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "job:v2.mail-0 attempts"),
              "1");
    stop(old);
    stop(new);
}

static TEST(test_old_pods_never_run_what_they_cannot)
{
    struct ms_proc *old = old_pod(), *new = new_pod();

    for (int i = 0; i < 100; i++) {
        enqueue("v2.mail", i, i + 1);
        enqueue("v1.mail", i, i + 1);
    }
    WAIT_FOR(60000, count("done") == 200);
    check_pods("v2.mail", 100, new);
    CHECK_INT(stat_of("dead") + stat_of("failed") + stat_of("released"), ==, 0);
    stop(old);
    stop(new);
}

/* Parking is two of them a job; a heartbeat is a few. */
static int64_t zadds(void)
{
    const char *at = strstr(ms_test_text(fleet->redis, "INFO commandstats"),
                            "cmdstat_zadd:calls=");

    return at == NULL ? 0 : atoll(strchr(at, '=') + 1);
}

/* Longer than the leader takes to look at what is parked. */
static bool is_quiet_for_a_while(void)
{
    int64_t before = zadds(), end = ms_wait_deadline(7000);

    while (ms_wait_deadline(0) < end)
        usleep(50000);
    return zadds() - before < 200;
}

/* The new pod is full, the old one idle, and many wait: nobody may claim and
 * park them over and over. */
static TEST(test_what_waits_for_a_full_pod_is_left_alone)
{
    struct ms_proc *old = old_pod(), *new = new_pod();

    enqueue("v2.hold", 0, 2);
    WAIT_FOR(60000, count("leases") == 2);
    enqueue("v2.mail", 0, 500);
    WAIT_FOR(60000, count("parked") == 500);
    WAIT_FOR(60000, is_quiet_for_a_while());
    CHECK_INT(count("parked"), ==, 500);
    FCALL(fleet->redis, "cancel", Q "cfg", "v2.hold-0");
    WAIT_FOR(60000, count("done") == 500);
    CHECK_INT(stat_of("dead"), ==, 1);
    FCALL(fleet->redis, "cancel", Q "cfg", "v2.hold-1");
    stop(old);
    stop(new);
}

/* Three pods of the old version, replaced one by one while jobs of both come
 * in: none is lost, none is dead, none is punished. */
static TEST(test_pods_are_replaced_one_by_one)
{
    struct ms_proc *pods[3];
    int n = 0;

    for (int i = 0; i < 3; i++)
        pods[i] = old_pod();
    for (int i = 0; i < 3; i++) {
        struct ms_proc *fresh;

        enqueue("v1.mail", n, n + 40);
        enqueue("v2.mail", n, n + 40);
        fresh = new_pod();
        n += 40;
        enqueue("v1.mail", n, n + 40);
        enqueue("v2.mail", n, n + 40);
        n += 40;
        stop(pods[i]);
        pods[i] = fresh;
    }
    WAIT_FOR(60000, count("done") == 2 * n);
    CHECK_INT(stat_of("enqueued"), ==, 2 * n);
    CHECK_INT(stat_of("done"), ==, 2 * n);
    CHECK_INT(stat_of("dead") + stat_of("failed") + stat_of("crashed"), ==, 0);
    CHECK_INT(count("parked") + count("leases"), ==, 0);
    for (int i = 0; i < 3; i++)
        stop(pods[i]);
}

/* The deployment was called off. */
static TEST(test_a_kind_that_nobody_brings_ends_as_dead)
{
    struct ms_proc *old = old_pod();

    enqueue("v2.mail", 0, 2);
    WAIT_FOR(60000, count("parked") == 2);
    ms_test_cmd(fleet->redis, "ZADD " Q "parked XX 5 v2.mail-0"); /* 1970 */
    WAIT_FOR(60000, count("dead") == 1);
    CHECK_CONTAINS(ms_test_text(fleet->redis, "HGET " Q "job:v2.mail-0 error"),
                   "no handler");
    CHECK_INT(count("parked"), ==, 1);
    stop(old);
}

/* What was dead for want of a handler is not lost either. */
static TEST(test_what_died_without_a_handler_can_be_retried)
{
    struct ms_proc *old = old_pod(), *new;

    enqueue("v2.mail", 0, 1);
    WAIT_FOR(60000, count("parked") == 1);
    ms_test_cmd(fleet->redis, "ZADD " Q "parked XX 5 v2.mail-0");
    WAIT_FOR(60000, count("dead") == 1);
    new = new_pod();
    CHECK_CONTAINS(FCALL(fleet->redis, "retry", Q "cfg", "v2.mail-0"), "ok");
    WAIT_FOR(60000, count("done") == 1);
    stop(old);
    stop(new);
}

#define FLEET(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLEET(test_a_new_kind_waits_for_the_first_new_pod),
        FLEET(test_old_pods_never_run_what_they_cannot),
        FLEET(test_what_waits_for_a_full_pod_is_left_alone),
        FLEET(test_pods_are_replaced_one_by_one),
        FLEET(test_a_kind_that_nobody_brings_ends_as_dead),
        FLEET(test_what_died_without_a_handler_can_be_retried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Whole workers on a real Redis: how they start and stop, what they tell, how
 * soon they hear of things, and what they cost while there is nothing to do.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/enqueue.h"
#include "common/ulid.h"
#include "tests/support/fleet.h"

#define Q "ms:{t/q}:"

/* A lease of an hour: renewals come every twenty minutes, so that what is seen
 * in a test was not told by one. */
#define SLOW                                                                 \
    "worker: { queues: [q], concurrency: 4, claim_ttl: 1h, grace: 20s, "     \
    "heartbeat: 1s,\n"                                                       \
    "  http: \"127.0.0.1:0\" }\n"                                            \
    "coordinator: { http: \"off\", lease_ttl: 2s }\n"                        \
    "queues:\n  - { name: q, max_workers: 4 }\n  - { name: r, max_workers: " \
    "4 }\n"

static struct ms_test_fleet *fleet;

static void begin(const char *const *redis_args, const char *yaml)
{
    fleet = ms_test_fleet_new(redis_args, yaml);
}

static void finish(void)
{
    ms_test_fleet_free(fleet);
    fleet = NULL;
}

/* `id` NULL: any. */
static void enqueue_to(const char *queue, const char *id, const char *kind,
                       const char *payload)
{
    char fresh[MS_ULID_LEN + 1];
    struct ms_new_job job = {.id = id != NULL ? id : fresh,
                             .kind = kind,
                             .payload = payload,
                             .payload_len = strlen(payload),
                             .json = true,
                             .priority = MS_PRIORITY_DEFAULT};
    struct ms_cmd cmd = MS_CMD_INIT;
    char token[MS_ULID_LEN + 1];

    ms_ulid_new(token);
    ms_ulid_new(fresh);
    CHECK_INT(ms_enqueue_build(&cmd, "t", queue, token, &job, 1, 2 << 20, NULL),
              ==, MS_OK);
    CHECK_INT(ms_test_run(fleet->redis, &cmd)->type, ==, MS_REPLY_ARRAY);
}

static void enqueue(const char *id, const char *kind, const char *payload)
{
    enqueue_to("q", id, kind, payload);
}

static const char *field(const char *id, const char *name)
{
    return ms_test_text(fleet->redis, "HGET " Q "job:%s %s", id, name);
}

static bool is_state(const char *id, const char *state)
{
    return strcmp(field(id, "state"), state) == 0;
}

static int64_t stat_in(const char *queue, const char *name)
{
    const char *text =
        ms_test_text(fleet->redis, "HGET ms:{t/%s}:stats %s", queue, name);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

static int64_t stat_of(const char *name)
{
    return stat_in("q", name);
}

static int64_t running(void)
{
    return ms_test_num(fleet->redis, "ZCARD " Q "leases");
}

static struct ms_proc *worker_with(const char *const *env)
{
    const char *const argv[] = {"muster-worker", "--config", fleet->conf, NULL};
    struct ms_proc *proc = ms_proc_start(argv, env);

    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=working") != NULL);
    return proc;
}

static void stop(struct ms_proc *proc)
{
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    ms_proc_free(proc);
}

/* ---- it refuses to start ---- */

/* Runs a worker on this file to its end; returns the exit code. */
static int run_with(const char *yaml, char **out_stderr)
{
    char *path = ms_test_file("worker.yaml", yaml, strlen(yaml));
    const char *const argv[] = {"muster-worker", "--config", path, NULL};
    int code = ms_proc_run(argv, NULL, NULL, out_stderr);

    free(path);
    return code;
}

static TEST(test_a_mistake_in_the_file_is_named_by_its_line)
{
    char *text;

    CHECK_INT(run_with("fleet: t\nworker:\n  queues: [q]\n  concurrenzy: 3\n",
                       &text),
              ==, 2);
    CHECK_CONTAINS(text, "worker.yaml:4: ");
    CHECK_CONTAINS(text, "concurrenzy");
    free(text);
}

/* What the start would refuse is found before it. */
static TEST(test_check_config_finds_kinds_of_two_pools)
{
    static const char yaml[] = "fleet: t\nworker: { queues: [q] }\npools:\n"
                               "  - { kinds: [a.x], argv: [true] }\n"
                               "  - { kinds: [a.x], argv: [true] }\n";
    char *path = ms_test_file("pools.yaml", yaml, strlen(yaml)), *text = NULL;
    const char *argv[] = {"muster-worker", "--config", path, "--check-config",
                          NULL};

    CHECK_INT(ms_proc_run(argv, NULL, NULL, &text), ==, 2);
    CHECK_CONTAINS(text, "a.x");
    free(text);
    free(path);
}

static TEST(test_a_worker_without_queues_refuses)
{
    char *text;

    CHECK_INT(run_with("fleet: t\n", &text), ==, 2);
    CHECK_CONTAINS(text, "MUSTER_QUEUES");
    free(text);
}

static TEST(test_a_redis_url_that_is_not_built_in_is_refused)
{
    char *text;

    CHECK_INT(run_with("redis: { url: \"redis-cluster://a:1,b:2\" }\n"
                       "worker: { queues: [q] }\n",
                       &text),
              ==, 2);
    CHECK_CONTAINS(text, "redis-cluster");
    free(text);
}

static TEST(test_an_address_that_is_taken_is_an_error)
{
    char *text, yaml[256];
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(bind(fd, (struct sockaddr *)&name, size), ==, 0);
    CHECK_INT(listen(fd, 1), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&name, &size), ==, 0);
    snprintf(yaml, sizeof(yaml),
             "worker: { queues: [q], http: \"127.0.0.1:%d\" }\n",
             ntohs(name.sin_port));
    CHECK_INT(run_with(yaml, &text), ==, 1);
    CHECK_CONTAINS(text, "127.0.0.1");
    free(text);
    close(fd);
}

static TEST(test_another_key_layout_is_refused)
{
    const char *argv[] = {"muster-worker", "--config", NULL, NULL};
    char *text;

    begin(NULL, SLOW);
    argv[2] = fleet->conf;
    ms_test_text(fleet->redis, "SET ms:{t}:schema 2");
    CHECK_INT(ms_proc_run(argv, NULL, NULL, &text), ==, 1);
    CHECK_CONTAINS(text, "layout '2'");
    CHECK_INT(ms_test_num(fleet->redis, "EXISTS ms:{t}:pods"), ==, 0);
    free(text);
    finish();
}

/* ---- what it says of itself ---- */

static const char *pod_field(struct ms_proc *proc, const char *name)
{
    return ms_test_text(fleet->redis, "HGET ms:{t}:pod:%s %s",
                        ms_test_pod_id(proc), name);
}

static TEST(test_the_environment_names_queues_slots_and_the_pod)
{
    static const char *const env[] = {"MUSTER_QUEUES= r , q,, r ",
                                      "MUSTER_CONCURRENCY=3",
                                      "MUSTER_WORKER_PREFIX=blue",
                                      "MUSTER_WORKER_VERSION=1.2",
                                      "MUSTER_WORKER_ID=a7",
                                      "MUSTER_WORKER__HTTP=off",
                                      NULL};
    struct ms_proc *proc;

    begin(NULL, SLOW);
    proc = worker_with(env);
    WAIT_FOR(20000, strcmp(pod_field(proc, "queues"), "r,q") == 0);
    CHECK_STR(pod_field(proc, "concurrency"), "3");
    CHECK_STR(pod_field(proc, "label"), "blue-worker-1.2-a7");
    CHECK_STR(pod_field(proc, "http"), "");
    CHECK_STR(pod_field(proc, "draining"), "0");
    CHECK_INT(atoi(pod_field(proc, "pid")), ==, ms_proc_pid(proc));
    enqueue_to("r", "J1", "noop.echo", "1");
    WAIT_FOR(20000, stat_in("r", "done") == 1);
    stop(proc);
    finish();
}

static TEST(test_without_a_prefix_the_label_is_the_pod_s_id)
{
    struct ms_proc *proc;

    begin(NULL, SLOW);
    proc = ms_test_worker(fleet);
    WAIT_FOR(20000,
             strcmp(pod_field(proc, "label"), ms_test_pod_id(proc)) == 0);
    CHECK_CONTAINS(pod_field(proc, "http"), "127.0.0.1:");
    CHECK_CONTAINS(pod_field(proc, "kinds"), ",noop.echo,");
    stop(proc);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD ms:{t}:pods"), ==, 0);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD ms:{t}:members:q"), ==, 0);
    finish();
}

/* What has not begun in its slot goes back at once in a drain. */
static bool has_begun(struct ms_proc *proc)
{
    const char *at = strstr(pod_field(proc, "slots"), "\"started_ms\":");

    return at != NULL && at[strlen("\"started_ms\":")] != 'n';
}

/* ---- health ---- */

/* The status of a GET at the worker's address; 0: no answer. */
static int http_get(struct ms_proc *proc, const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *http = strstr(ms_proc_stderr(proc), "http=127.0.0.1:");
    char request[128], answer[256] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;

    CHECK(http != NULL);
    address.sin_port = htons((uint16_t)atoi(strchr(http, ':') + 1));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        write(fd, request, strlen(request)) > 0 &&
        read(fd, answer, sizeof(answer) - 1) > 0)
        sscanf(answer, "HTTP/1.1 %d", &status);
    close(fd);
    return status;
}

static TEST(test_ready_while_it_hears_redis)
{
    static const char *const aof[] = {"--appendonly", "yes", NULL};
    struct ms_proc *proc;

    begin(aof, SLOW);
    proc = ms_test_worker(fleet);
    CHECK_INT(http_get(proc, "/healthz"), ==, 200);
    CHECK_INT(http_get(proc, "/nothing"), ==, 404);
    WAIT_FOR(20000, http_get(proc, "/readyz") == 200);
    ms_test_redis_down(fleet->redis, SIGKILL);
    WAIT_FOR(20000, http_get(proc, "/readyz") == 503);
    CHECK_INT(http_get(proc, "/healthz"), ==, 200);
    ms_test_redis_up(fleet->redis);
    WAIT_FOR(20000, http_get(proc, "/readyz") == 200);
    stop(proc);
    finish();
}

/* Two probes in a row would see a pod that comes and goes. */
static TEST(test_an_idle_pod_with_short_leases_stays_ready)
{
    struct ms_proc *proc;
    int64_t end;

    begin(NULL, "worker: { queues: [q], claim_ttl: 1s, http: \"127.0.0.1:0\" "
                "}\n");
    proc = ms_test_worker(fleet);
    WAIT_FOR(20000, http_get(proc, "/readyz") == 200);
    end = ms_wait_deadline(4000); /* four times what it may be silent */
    while (ms_wait_deadline(0) < end) {
        CHECK_INT(http_get(proc, "/readyz"), ==, 200);
        usleep(20000);
    }
    stop(proc);
    finish();
}

static TEST(test_not_ready_while_it_drains)
{
    struct ms_proc *proc;

    begin(NULL, SLOW);
    proc = ms_test_worker(fleet);
    WAIT_FOR(20000, http_get(proc, "/readyz") == 200);
    enqueue("J1", "noop.sleep", "{\"ms\":3000}");
    WAIT_FOR(20000, has_begun(proc));
    ms_proc_signal(proc, SIGTERM);
    WAIT_FOR(20000, http_get(proc, "/readyz") == 503);
    CHECK_INT(http_get(proc, "/healthz"), ==, 200);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    CHECK(is_state("J1", "done"));
    ms_proc_free(proc);
    finish();
}

/* ---- it stops ---- */

static TEST(test_int_stops_it_as_term_does)
{
    struct ms_proc *proc;

    begin(NULL, SLOW);
    proc = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":3000}");
    WAIT_FOR(20000, has_begun(proc));
    ms_proc_signal(proc, SIGINT);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    CHECK(is_state("J1", "done"));
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD ms:{t}:pods"), ==, 0);
    ms_proc_free(proc);
    finish();
}

#define ENDLESS                                                         \
    "worker: { queues: [q], claim_ttl: 1h, grace: 1h, heartbeat: 1s,\n" \
    "  http: off }\n"                                                   \
    "queues:\n  - { name: q, max_workers: 4 }\n"

/* The grace is an hour: whatever ends it, it is not over. */
static TEST(test_a_second_term_ends_the_grace)
{
    struct ms_proc *proc;

    begin(NULL, ENDLESS);
    proc = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":1000000}");
    WAIT_FOR(20000, has_begun(proc));
    ms_proc_signal(proc, SIGTERM);
    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=draining") != NULL);
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    CHECK_STR(field("J1", "state"), "(nil)"); /* ready */
    CHECK_STR(field("J1", "attempts"), "0");
    ms_proc_free(proc);
    finish();
}

static TEST(test_a_second_term_ends_the_grace_without_redis)
{
    struct ms_proc *proc;

    begin(NULL, ENDLESS);
    proc = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":1000000}");
    WAIT_FOR(20000, has_begun(proc));
    ms_test_redis_down(fleet->redis, SIGKILL);
    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=redis_down") != NULL);
    ms_proc_signal(proc, SIGTERM);
    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=draining") != NULL);
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    ms_test_redis_up(fleet->redis);
    ms_proc_free(proc);
    finish();
}

static TEST(test_term_before_redis_is_there)
{
    const char *argv[] = {"muster-worker", "--config", NULL, NULL};
    struct ms_proc *proc;

    begin(NULL, SLOW);
    ms_test_redis_down(fleet->redis, SIGKILL);
    argv[2] = fleet->conf;
    proc = ms_proc_start(argv, NULL);
    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=redis_down") != NULL);
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    ms_test_redis_up(fleet->redis);
    ms_proc_free(proc);
    finish();
}

static TEST(test_pod_drain_stops_it)
{
    struct ms_proc *proc;

    begin(NULL, SLOW);
    proc = ms_test_worker(fleet);
    WAIT_FOR(20000,
             ms_test_ctl(fleet, "pod drain %s", ms_test_pod_id(proc)) == 0);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    ms_proc_free(proc);
    finish();
}

/* ---- how soon it hears ---- */

/* By the poll alone (5 s) it would take a quarter of an hour. */
static TEST(test_jobs_of_an_idle_fleet_do_not_wait_for_the_poll)
{
    struct ms_proc *a, *b;
    int64_t end = ms_wait_deadline(90000);

    begin(NULL, SLOW);
    a = ms_test_worker(fleet);
    b = ms_test_worker(fleet);
    for (int i = 1; i <= 200; i++) {
        char id[16];

        snprintf(id, sizeof(id), "J%d", i);
        enqueue(id, "noop.echo", "1");
        WAIT_FOR(60000, stat_of("done") == i);
        CHECK_INT(ms_wait_deadline(0), <, end);
    }
    stop(a);
    stop(b);
    finish();
}

static TEST(test_a_cancel_reaches_a_running_job)
{
    struct ms_proc *proc;

    begin(NULL, SLOW);
    proc = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":1000000}");
    WAIT_FOR(20000, has_begun(proc));
    CHECK_INT(ms_test_ctl(fleet, "job cancel J1 --json"), ==, 0);
    CHECK_STR(ms_test_ctl_field("result"), "requested");
    WAIT_FOR(20000, is_state("J1", "dead"));
    CHECK_STR(field("J1", "error"), "cancelled by user");
    stop(proc);
    finish();
}

/* Without a coordinator; the pod's share of one is used up by a long job, so
 * that no claim would tell it. */
static TEST(test_a_raised_cap_reaches_a_busy_pod)
{
    struct ms_proc *proc;

    begin(NULL, ENDLESS);
    ms_test_text(fleet->redis, "HSET " Q "cfg max_workers 1");
    proc = ms_test_worker(fleet);
    for (int i = 0; i < 4; i++)
        enqueue((const char *[]){"J0", "J1", "J2", "J3"}[i], "noop.sleep",
                "{\"ms\":1000000}");
    WAIT_FOR(20000, running() == 1);
    CHECK_INT(ms_test_ctl(fleet, "queue set q max_workers=3"), ==, 0);
    WAIT_FOR(20000, running() == 3);
    ms_proc_signal(proc, SIGKILL);
    ms_proc_free(proc);
    finish();
}

static TEST(test_a_paused_queue_rests_until_it_is_resumed)
{
    struct ms_proc *proc;

    begin(NULL, SLOW);
    proc = ms_test_worker(fleet);
    CHECK_INT(ms_test_ctl(fleet, "queue pause q"), ==, 0);
    for (int i = 0; i < 20; i++)
        enqueue(NULL, "noop.echo", "1");
    enqueue_to("r", "R", "noop.echo", "1"); /* it may be nobody's */
    CHECK_INT(stat_of("done"), ==, 0);
    CHECK_INT(running(), ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "queue resume q"), ==, 0);
    WAIT_FOR(20000, stat_of("done") == 20);
    stop(proc);
    finish();
}

/* ---- sharing ---- */

/* One slot, and the first queue always has more. */
static TEST(test_queues_of_a_pod_take_turns)
{
    static const char *const env[] = {"MUSTER_QUEUES=q,r",
                                      "MUSTER_CONCURRENCY=1", NULL};
    struct ms_proc *proc;

    begin(NULL, SLOW);
    for (int i = 0; i < 400; i++)
        enqueue(NULL, "noop.sleep", "{\"ms\":10}");
    proc = worker_with(env);
    WAIT_FOR(20000, stat_of("done") > 5);
    for (int i = 1; i <= 10; i++) {
        enqueue_to("r", NULL, "noop.sleep", "{\"ms\":10}");
        WAIT_FOR(20000, stat_in("r", "done") == i);
    }
    /* With four seconds of q's jobs, not one of r's waited for a poll. */
    CHECK_INT(stat_of("done"), <, 400);
    ms_proc_signal(proc, SIGKILL);
    ms_proc_free(proc);
    finish();
}

static TEST(test_two_workers_and_a_cap_of_one)
{
    struct ms_proc *a, *b;
    int64_t most = 0;

    begin(NULL, SLOW);
    ms_test_text(fleet->redis, "HSET " Q "cfg max_workers 1");
    a = ms_test_worker(fleet);
    b = ms_test_worker(fleet);
    for (int i = 0; i < 100; i++)
        enqueue(NULL, "noop.sleep", "{\"ms\":5}");
    while (stat_of("done") < 100) {
        int64_t now = running();

        most = now > most ? now : most;
    }
    CHECK_INT(most, ==, 1);
    stop(a);
    stop(b);
    finish();
}

static TEST(test_a_payload_of_a_mebibyte_comes_back)
{
    struct ms_proc *proc;
    size_t len = (1 << 20) - 16;
    char *payload = ms_xcalloc(1, len + 3);

    begin(NULL, SLOW);
    proc = ms_test_worker(fleet);
    memset(payload + 1, 'x', len);
    payload[0] = payload[len + 1] = '"';
    enqueue("J1", "noop.echo", payload);
    WAIT_FOR(30000, is_state("J1", "done"));
    CHECK_INT(ms_test_num(fleet->redis, "HSTRLEN " Q "job:J1 result"), >=,
              (int64_t)len);
    free(payload);
    stop(proc);
    finish();
}

/* ---- what it costs while there is nothing to do ---- */

static int64_t calls_of(const char *command)
{
    char key[64];
    const char *at;

    snprintf(key, sizeof(key), "cmdstat_%s:calls=", command);
    at = strstr(ms_test_text(fleet->redis, "INFO commandstats"), key);
    return at == NULL ? 0 : atoll(at + strlen(key));
}

static int64_t all_calls(void)
{
    return calls_of("evalsha") + calls_of("blpop") +
           calls_of("client|unblock") + calls_of("rpush");
}

/* In a second two pods send a heartbeat and a look or two; what spins sends
 * thousands, and goes on.  What was begun before (tokens of the enqueues, a
 * slow machine's late answers) may end first. */
static bool is_quiet_for_a_second(void)
{
    int64_t before = all_calls(), end = ms_wait_deadline(1000);

    while (ms_wait_deadline(0) < end)
        usleep(50000);
    return all_calls() - before < 30;
}

static void check_quiet(void)
{
    WAIT_FOR(20000, is_quiet_for_a_second());
}

static struct ms_proc *idle_a, *idle_b;

static void begin_idle(int64_t cap)
{
    begin(NULL, "worker: { queues: [q, r], concurrency: 4, http: off }\n");
    ms_test_text(fleet->redis, "HSET " Q "cfg max_workers %lld",
                 (long long)cap);
    idle_a = ms_test_worker(fleet);
    idle_b = ms_test_worker(fleet);
}

static void end_idle(void)
{
    ms_proc_signal(idle_a, SIGKILL);
    ms_proc_signal(idle_b, SIGKILL);
    ms_proc_free(idle_a);
    ms_proc_free(idle_b);
    finish();
}

static void enqueue_sleepers(int n)
{
    for (int i = 0; i < n; i++)
        enqueue(NULL, "noop.sleep", "{\"ms\":1000000}");
}

static TEST(test_an_idle_fleet_is_quiet)
{
    begin_idle(4);
    check_quiet();
    end_idle();
}

static TEST(test_a_fleet_at_the_cap_is_quiet)
{
    begin_idle(2);
    enqueue_sleepers(10);
    WAIT_FOR(20000, running() == 2);
    check_quiet();
    end_idle();
}

static TEST(test_full_pods_are_quiet)
{
    begin_idle(100);
    enqueue_sleepers(20);
    WAIT_FOR(20000, running() == 8);
    check_quiet();
    end_idle();
}

static TEST(test_a_paused_queue_with_jobs_is_quiet)
{
    begin_idle(4);
    CHECK_INT(ms_test_ctl(fleet, "queue pause q"), ==, 0);
    enqueue_sleepers(20);
    check_quiet();
    CHECK_INT(running(), ==, 0);
    end_idle();
}

static TEST(test_a_queue_of_jobs_that_nobody_handles_is_quiet)
{
    begin_idle(4);
    for (int i = 0; i < 20; i++)
        enqueue(NULL, "who.knows", "1");
    WAIT_FOR(20000, ms_test_num(fleet->redis, "ZCARD " Q "parked") == 20);
    check_quiet();
    end_idle();
}

static TEST(test_a_cooling_queue_is_quiet)
{
    begin_idle(4);
    ms_test_text(fleet->redis,
                 "HSET " Q "meta throttled_until_ms 99999999999999");
    enqueue_sleepers(20);
    check_quiet();
    CHECK_INT(running(), ==, 0);
    end_idle();
}

static TEST(test_a_cap_of_none_is_quiet)
{
    begin_idle(0);
    enqueue_sleepers(20);
    check_quiet();
    CHECK_INT(running(), ==, 0);
    end_idle();
}

/* ---- under fire ---- */

static bool is_all_done(int64_t n)
{
    return stat_of("done") == n && running() == 0;
}

/* Connections die at any moment, scripts are forgotten, Redis stops answering
 * for a while: each job is done once, and none is punished. */
static TEST(test_every_job_is_done_once_whatever_becomes_of_connections)
{
    struct ms_proc *a, *b;
    int64_t n = 0;

    srandom((unsigned)ms_test_seed());
    begin(NULL, "worker: { queues: [q], concurrency: 4, http: off }\n"
                "queues:\n  - { name: q, max_workers: 8, retain_done_max: 0 "
                "}\n");
    a = ms_test_worker(fleet);
    b = ms_test_worker(fleet);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 20; i++, n++)
            enqueue(NULL, i % 4 == 0 ? "noop.sleep" : "noop.echo",
                    "{\"ms\":3}");
        switch (random() % 6) {
        case 0:
            ms_test_text(fleet->redis, "SCRIPT FLUSH");
            break;
        case 1:
            ms_test_text(fleet->redis, "CLIENT PAUSE 100 ALL");
            break;
        case 2:
            ms_proc_signal(a, SIGSTOP);
            usleep(30000);
            ms_proc_signal(a, SIGCONT);
            break;
        default:
            ms_test_text(fleet->redis, "CLIENT KILL TYPE normal SKIPME yes");
        }
        usleep((useconds_t)(random() % 30000));
    }
    WAIT_FOR(60000, is_all_done(n));
    CHECK_INT(stat_of("enqueued"), ==, n);
    CHECK_INT(stat_of("crashed"), ==, 0);
    CHECK_INT(stat_of("failed"), ==, 0);
    CHECK_INT(stat_of("dead"), ==, 0);
    stop(a);
    stop(b);
    CHECK_INT(atoi(ms_test_text(fleet->redis, "HGET " Q "depth -")), ==, 0);
    finish();
}

/* With every write on disk nothing is lost, and nothing done twice. */
static TEST(test_every_job_is_done_once_though_redis_is_killed)
{
    static const char *const aof[] = {"--appendonly", "yes", "--appendfsync",
                                      "always", NULL};
    struct ms_proc *a, *b;
    int64_t n = 0;

    begin(aof, "worker: { queues: [q], concurrency: 4, http: off }\n"
               "queues:\n  - { name: q, max_workers: 8 }\n");
    a = ms_test_worker(fleet);
    b = ms_test_worker(fleet);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 200; i++, n++)
            enqueue(NULL, i % 10 == 0 ? "noop.sleep" : "noop.echo",
                    "{\"ms\":20}");
        ms_test_redis_down(fleet->redis, round % 2 == 0 ? SIGKILL : SIGTERM);
        ms_test_redis_up(fleet->redis);
    }
    WAIT_FOR(60000, is_all_done(n));
    CHECK_INT(stat_of("crashed"), ==, 0);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD " Q "done"), ==, n);
    stop(a);
    stop(b);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_mistake_in_the_file_is_named_by_its_line),
        RUN(test_check_config_finds_kinds_of_two_pools),
        RUN(test_a_worker_without_queues_refuses),
        RUN(test_a_redis_url_that_is_not_built_in_is_refused),
        RUN(test_an_address_that_is_taken_is_an_error),
        RUN(test_another_key_layout_is_refused),
        RUN(test_the_environment_names_queues_slots_and_the_pod),
        RUN(test_without_a_prefix_the_label_is_the_pod_s_id),
        RUN(test_ready_while_it_hears_redis),
        RUN(test_an_idle_pod_with_short_leases_stays_ready),
        RUN(test_not_ready_while_it_drains),
        RUN(test_int_stops_it_as_term_does),
        RUN(test_a_second_term_ends_the_grace),
        RUN(test_a_second_term_ends_the_grace_without_redis),
        RUN(test_term_before_redis_is_there),
        RUN(test_pod_drain_stops_it),
        RUN(test_jobs_of_an_idle_fleet_do_not_wait_for_the_poll),
        RUN(test_a_cancel_reaches_a_running_job),
        RUN(test_a_raised_cap_reaches_a_busy_pod),
        RUN(test_a_paused_queue_rests_until_it_is_resumed),
        RUN(test_queues_of_a_pod_take_turns),
        RUN(test_two_workers_and_a_cap_of_one),
        RUN(test_a_payload_of_a_mebibyte_comes_back),
        RUN(test_an_idle_fleet_is_quiet),
        RUN(test_a_fleet_at_the_cap_is_quiet),
        RUN(test_full_pods_are_quiet),
        RUN(test_a_paused_queue_with_jobs_is_quiet),
        RUN(test_a_queue_of_jobs_that_nobody_handles_is_quiet),
        RUN(test_a_cooling_queue_is_quiet),
        RUN(test_a_cap_of_none_is_quiet),
        RUN(test_every_job_is_done_once_whatever_becomes_of_connections),
        RUN(test_every_job_is_done_once_though_redis_is_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whole coordinators on a real Redis, with real signals. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/enqueue.h"
#include "common/ulid.h"
#include "common/val.h"
#include "tests/support/support.h"

static struct ms_test_redis *server;

/* `setting` is one further "NAME=value". */
static struct ms_proc *start_with(const char *ttl, const char *setting)
{
    const char *const argv[] = {"muster-coordinator", "--redis",
                                ms_test_redis_url(server), NULL};
    char lease[64];
    const char *const env[] = {lease, "MUSTER_COORDINATOR__HTTP=127.0.0.1:0",
                               "MUSTER_LOG__LEVEL=info", setting, NULL};

    snprintf(lease, sizeof(lease), "MUSTER_COORDINATOR__LEASE_TTL=%s", ttl);
    return ms_proc_start(argv, env);
}

static struct ms_proc *start(const char *ttl)
{
    return start_with(ttl, NULL);
}

static int setup(void **state)
{
    ms_test_cmd(server, "FLUSHALL");
    return 0;
}

static pid_t leader_pid(void)
{
    const char *text = ms_test_text(server, "HGET ms:{main}:leader pid");

    return strcmp(text, "(nil)") == 0 ? 0 : (pid_t)atoi(text);
}

static int64_t epoch(void)
{
    const char *text = ms_test_text(server, "GET ms:{main}:epoch");

    return strcmp(text, "(nil)") == 0 ? 0 : strtoll(text, NULL, 10);
}

/* Two coordinators, of which the first leads. */
struct pair {
    struct ms_proc *leader, *standby;
    int64_t epoch;
};

static void pair_start(struct pair *pair, const char *ttl)
{
    pair->leader = start(ttl);
    WAIT_FOR(20000, leader_pid() == ms_proc_pid(pair->leader));
    pair->standby = start(ttl);
    WAIT_FOR(20000, strstr(ms_proc_stderr(pair->standby), "event=serving"));
    pair->epoch = epoch();
}

static void pair_stop(struct pair *pair)
{
    ms_proc_free(pair->leader);
    ms_proc_free(pair->standby);
}

static bool standby_leads(const struct pair *pair)
{
    return leader_pid() == ms_proc_pid(pair->standby) && epoch() > pair->epoch;
}

static TEST(test_a_standby_leads_after_a_kill)
{
    struct pair pair;

    pair_start(&pair, "2s");
    ms_proc_signal(pair.leader, SIGKILL);
    WAIT_FOR(20000, standby_leads(&pair));
    /* and does its duties */
    WAIT_FOR(20000, ms_test_num(server, "HGET ms:{main/default}:meta epoch") ==
                        epoch());
    pair_stop(&pair);
}

static TEST(test_a_frozen_leader_is_replaced_and_stays_so)
{
    struct pair pair;

    pair_start(&pair, "2s");
    ms_proc_signal(pair.leader, SIGSTOP);
    WAIT_FOR(20000, standby_leads(&pair));
    ms_proc_signal(pair.leader, SIGCONT);
    WAIT_FOR(20000, strstr(ms_proc_stderr(pair.leader), "event=term_ended"));
    CHECK_INT(leader_pid(), ==, ms_proc_pid(pair.standby));
    CHECK_INT(ms_test_num(server, "HGET ms:{main}:leader epoch"), ==, epoch());
    /* it goes on as a standby */
    ms_proc_signal(pair.standby, SIGTERM);
    CHECK_INT(ms_proc_wait(pair.standby, 20000), ==, 0);
    WAIT_FOR(20000, leader_pid() == ms_proc_pid(pair.leader));
    pair_stop(&pair);
}

/* With a lease of an hour it can only be the resignation. */
static TEST(test_term_exits_cleanly_and_hands_over_at_once)
{
    struct pair pair;

    pair_start(&pair, "1h");
    ms_proc_signal(pair.leader, SIGTERM);
    CHECK_INT(ms_proc_wait(pair.leader, 20000), ==, 0);
    WAIT_FOR(20000, standby_leads(&pair));
    ms_proc_signal(pair.standby, SIGINT);
    CHECK_INT(ms_proc_wait(pair.standby, 20000), ==, 0);
    CHECK_INT(leader_pid(), ==, 0);
    pair_stop(&pair);
}

static TEST(test_a_frozen_leaders_lost_lease_survives_term)
{
    struct pair pair;

    pair_start(&pair, "1s");
    ms_proc_signal(pair.leader, SIGSTOP);
    WAIT_FOR(20000, standby_leads(&pair));
    ms_proc_signal(pair.leader, SIGTERM); /* waits for the CONT */
    ms_proc_signal(pair.leader, SIGCONT);
    CHECK_INT(ms_proc_wait(pair.leader, 20000), ==, 0);
    CHECK_INT(leader_pid(), ==, ms_proc_pid(pair.standby));
    pair_stop(&pair);
}

/* ---- starting ---- */

static TEST(test_another_key_layout_is_refused)
{
    struct ms_proc *proc;

    ms_test_cmd(server, "SET ms:{main}:schema 99");
    proc = start("2s");
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 1);
    CHECK_CONTAINS(ms_proc_stderr(proc), "'99'");
    CHECK_INT(leader_pid(), ==, 0);
    CHECK_STR(ms_test_text(server, "GET ms:{main}:schema"), "99");
    ms_proc_free(proc);
}

static TEST(test_a_bad_setting_is_misuse)
{
    struct ms_proc *proc = start("10ms");

    CHECK_INT(ms_proc_wait(proc, 20000), ==, 2);
    CHECK_CONTAINS(ms_proc_stderr(proc), "MUSTER_COORDINATOR__LEASE_TTL");
    ms_proc_free(proc);
}

static TEST(test_check_config_needs_no_redis)
{
    const char *const argv[] = {"muster-coordinator", "--check-config",
                                "--redis", "unix:///nowhere/redis.sock", NULL};

    CHECK_INT(ms_proc_run(argv, NULL, NULL, NULL), ==, 0);
}

static TEST(test_seeds_are_written_and_an_operators_value_stays)
{
    char *path = ms_test_file(
        "seeds.yaml",
        "queues: [{name: mail, max_workers: 7, max_attempts: 2}]\n", 56);
    char *setting = ms_xasprintf("MUSTER_CONFIG=%s", path);
    struct ms_proc *proc;

    ms_test_cmd(server, "HSET ms:{main/mail}:cfg max_workers 3");
    proc = start_with("2s", setting);
    WAIT_FOR(20000, leader_pid() == ms_proc_pid(proc));
    CHECK_INT(ms_test_num(server, "HGET ms:{main/mail}:cfg max_workers"), ==,
              3);
    CHECK_INT(ms_test_num(server, "HGET ms:{main/mail}:cfg max_attempts"), ==,
              2);
    CHECK_INT(ms_test_num(server, "SISMEMBER ms:{main}:queues mail"), ==, 1);
    CHECK_STR(ms_test_text(server, "GET ms:{main}:schema"), "1");
    ms_proc_free(proc);
    free(setting);
    free(path);
}

/* ---- Redis comes and goes ---- */

static TEST(test_redis_may_come_later_and_go)
{
    struct ms_proc *proc;

    ms_test_redis_down(server, SIGKILL);
    proc = start("2s");
    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=starting"));
    ms_test_redis_up(server);
    WAIT_FOR(30000, leader_pid() == ms_proc_pid(proc));
    ms_test_redis_down(server, SIGKILL);
    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=term_ended"));
    ms_test_redis_up(server);
    WAIT_FOR(30000, leader_pid() == ms_proc_pid(proc));
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 0);
    ms_proc_free(proc);
}

static TEST(test_term_works_without_redis)
{
    struct ms_proc *proc = start("2s");

    WAIT_FOR(20000, leader_pid() == ms_proc_pid(proc));
    ms_test_redis_down(server, SIGKILL);
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 0);
    ms_test_redis_up(server);
    ms_proc_free(proc);
}

/* ---- HTTP ---- */

/* The status of a GET at the leader's address; 0: no answer. */
static int http_get(const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *url = ms_test_text(server, "HGET ms:{main}:leader url");
    char request[128], answer[256] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;

    address.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
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

static TEST(test_probes_answer)
{
    struct ms_proc *proc = start("2s");

    WAIT_FOR(20000, leader_pid() == ms_proc_pid(proc));
    CHECK_INT(http_get("/healthz"), ==, 200);
    CHECK_INT(http_get("/readyz"), ==, 200);
    CHECK_INT(http_get("/nothing"), ==, 404);
    ms_proc_free(proc);
}

/* ---- duties ---- */

static TEST(test_tasks_are_noted_and_counts_go_on)
{
    struct pair pair;
    int64_t runs;

    pair_start(&pair, "1h");
    WAIT_FOR(20000, ms_test_num(server, "EXISTS ms:{main}:task:reap") == 1 &&
                        ms_test_num(server, "HGET ms:{main}:task:reap "
                                            "run_count") >= 2);
    CHECK_STR(ms_test_text(server, "HGET ms:{main}:task:reap name"), "reap");
    ms_proc_signal(pair.leader, SIGTERM);
    CHECK_INT(ms_proc_wait(pair.leader, 20000), ==, 0);
    runs = ms_test_num(server, "HGET ms:{main}:task:reap run_count");
    WAIT_FOR(20000,
             ms_test_num(server, "HGET ms:{main}:task:reap run_count") > runs);
    pair_stop(&pair);
}

static struct ms_proc *start_worker(void)
{
    const char *const argv[] = {"muster-worker", "--redis",
                                ms_test_redis_url(server), NULL};
    const char *const env[] = {"MUSTER_QUEUES=default",
                               "MUSTER_WORKER__HTTP=off", NULL};

    return ms_proc_start(argv, env);
}

static const char *pod_of_job(void)
{
    return ms_test_text(server, "HGET ms:{main/default}:job:j1 pod");
}

static void enqueue_sleep(void)
{
    struct ms_new_job job = {.id = "j1",
                             .kind = "noop.sleep",
                             .payload = "\x81\xa2ms\xce\x00\x0f\x00\x00",
                             .payload_len = 9,
                             .priority = MS_PRIORITY_DEFAULT};
    struct ms_cmd cmd = MS_CMD_INIT;
    char token[MS_ULID_LEN + 1];

    ms_ulid_new(token);
    CHECK_INT(ms_enqueue_build(&cmd, "main", "default", token, &job, 1, 1 << 20,
                               NULL),
              ==, MS_OK);
    ms_test_run(server, &cmd);
}

/* The lease lasts 30 s, and so do six beats: only the closed connections can
 * tell within the time that is waited for here. */
static TEST(test_a_killed_workers_job_runs_elsewhere_long_before_its_lease_ends)
{
    struct ms_proc *coordinator = start("2s"), *first = start_worker(), *second;
    char pod[64];

    WAIT_FOR(20000, ms_test_num(server, "ZCARD ms:{main}:pods") == 1);
    enqueue_sleep();
    WAIT_FOR(20000, strcmp(pod_of_job(), "(nil)") != 0);
    snprintf(pod, sizeof(pod), "%s", pod_of_job());
    second = start_worker();
    WAIT_FOR(20000, ms_test_num(server, "HLEN ms:{main}:slots:default") == 2);
    ms_proc_signal(first, SIGKILL);
    WAIT_FOR(15000, strcmp(pod_of_job(), "(nil)") != 0 &&
                        strcmp(pod_of_job(), pod) != 0);
    CHECK_INT(ms_test_num(server, "HGET ms:{main/default}:job:j1 crashes"), ==,
              1);
    WAIT_FOR(15000, ms_test_num(server, "ZCARD ms:{main}:pods") == 1);
    ms_proc_free(first);
    ms_proc_free(second);
    ms_proc_free(coordinator);
}

/* The child that looks at the source is this same binary. */
static TEST(test_an_import_of_a_missing_file_is_dead)
{
    struct ms_proc *proc = start("2s");
    const char *json = "{\"source\":\"/nowhere/x\",\"dataset\":\"d\"}";
    struct ms_val val;
    struct ms_buf packed = MS_BUF_INIT;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_new_job job = {.id = "imp",
                             .kind = "dump.import",
                             .priority = MS_PRIORITY_DEFAULT,
                             .parent = true};
    char token[MS_ULID_LEN + 1];

    CHECK_INT(ms_val_from_json(json, strlen(json), &val, NULL), ==, MS_OK);
    ms_val_to_msgpack(&val.root, &packed);
    job.payload = packed.data;
    job.payload_len = packed.len;
    ms_ulid_new(token);
    CHECK_INT(ms_enqueue_build(&cmd, "main", "dump", token, &job, 1, 1 << 20,
                               NULL),
              ==, MS_OK);
    ms_test_run(server, &cmd);
    ms_test_cmd(server, "SADD ms:{main}:queues dump");
    WAIT_FOR(20000, strcmp(ms_test_text(server, "HGET ms:{main/dump}:job:imp "
                                                "state"),
                           "dead") == 0);
    CHECK_CONTAINS(ms_test_text(server, "HGET ms:{main/dump}:job:imp error"),
                   "cannot open");
    ms_val_done(&val);
    ms_buf_done(&packed);
    ms_proc_free(proc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_standby_leads_after_a_kill, setup),
        cmocka_unit_test_setup(test_a_frozen_leader_is_replaced_and_stays_so,
                               setup),
        cmocka_unit_test_setup(test_term_exits_cleanly_and_hands_over_at_once,
                               setup),
        cmocka_unit_test_setup(test_a_frozen_leaders_lost_lease_survives_term,
                               setup),
        cmocka_unit_test_setup(test_another_key_layout_is_refused, setup),
        cmocka_unit_test_setup(test_a_bad_setting_is_misuse, setup),
        cmocka_unit_test_setup(test_check_config_needs_no_redis, setup),
        cmocka_unit_test_setup(
            test_seeds_are_written_and_an_operators_value_stays, setup),
        cmocka_unit_test_setup(test_redis_may_come_later_and_go, setup),
        cmocka_unit_test_setup(test_term_works_without_redis, setup),
        cmocka_unit_test_setup(test_probes_answer, setup),
        cmocka_unit_test_setup(test_tasks_are_noted_and_counts_go_on, setup),
        cmocka_unit_test_setup(
            test_a_killed_workers_job_runs_elsewhere_long_before_its_lease_ends,
            setup),
        cmocka_unit_test_setup(test_an_import_of_a_missing_file_is_dead, setup),
    };
    int failed;

    server = ms_test_redis_start(NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_test_redis_stop(server);
    return failed;
}

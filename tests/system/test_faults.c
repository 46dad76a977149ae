/*
 * What breaks, and what must happen then: real workers, real signals, a real
 * Redis.  docs/guarantees.md names these tests.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/fleet.h"

#define Q "ms:{t/q}:"
#define CONF                                                                \
    "worker: { queues: [q], concurrency: 4, claim_ttl: 2s, heartbeat: 1s, " \
    "grace: 2s, http: \"off\" }\n"                                          \
    "coordinator: { http: \"off\", lease_ttl: 2s }\n"                       \
    "queues:\n  - { name: q, max_workers: 4 }\n"                            \
    "exec: { allow: [sleep, ls, sh] }\n"

static const char *const aof[] = {"--appendonly", "yes", NULL};
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

static const char *field(const char *id, const char *name)
{
    return ms_test_text(fleet->redis, "HGET " Q "job:%s %s", id, name);
}

static bool is_state(const char *id, const char *state)
{
    return strcmp(field(id, "state"), state) == 0;
}

static int64_t stat_of(const char *name)
{
    const char *text = ms_test_text(fleet->redis, "HGET " Q "stats %s", name);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

static void enqueue(const char *id, const char *kind, const char *payload)
{
    CHECK_INT(ms_test_ctl(fleet, "job enqueue %s %s --queue q --id %s", kind,
                          payload, id),
              ==, 0);
}

static void wait_ms(int ms)
{
    int64_t end = ms_wait_deadline(ms);

    /* Time itself is the condition here: leases must end. */
    while (ms_wait_deadline(0) < end)
        usleep(10000);
}

/* Every process below this one. */
static int descendants(pid_t top, pid_t *out, int max)
{
    int n = ms_test_children(top, out, max);

    for (int i = 0; i < n; i++)
        n += ms_test_children(out[i], out + n, max - n);
    return n;
}

/* How many of them run the program of that name. */
static int programs(pid_t top, const char *name)
{
    pid_t pids[64];
    int n = descendants(top, pids, 64), found = 0;

    for (int i = 0; i < n; i++) {
        char path[64], comm[32] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/comm", (int)pids[i]);
        file = fopen(path, "re");
        if (file == NULL)
            continue; /* it has just ended */
        if (fscanf(file, "%31s", comm) == 1 && strcmp(comm, name) == 0)
            found++;
        fclose(file);
    }
    return found;
}

static TEST(test_kill_9_of_a_worker_leaves_no_slot_and_no_program)
{
    struct ms_proc *worker;
    pid_t pids[64];
    int n;

    begin(NULL, CONF);
    worker = ms_test_worker(fleet);
    enqueue("J1", "cmd.exec", "{\"argv\":[\"sleep\",\"1000\"]}");
    WAIT_FOR(20000, is_state("J1", "running"));
    WAIT_FOR(20000, programs(ms_proc_pid(worker), "sleep") == 1);
    n = descendants(ms_proc_pid(worker), pids, 64);
    kill(ms_proc_pid(worker), SIGKILL);
    for (int i = 0; i < n; i++)
        WAIT_FOR(20000, !ms_test_alive(pids[i]));
    ms_proc_free(worker);
    finish();
}

/* An inherited connection would eat wake-up tokens, and show a stranger an
 * authenticated Redis. */
static TEST(test_a_program_holds_no_descriptor_of_ours)
{
    struct ms_proc *worker;

    begin(NULL, CONF);
    worker = ms_test_worker(fleet);
    enqueue("J1", "cmd.exec", "{\"argv\":[\"ls\",\"/proc/self/fd\"]}");
    WAIT_FOR(20000, is_state("J1", "done"));
    CHECK_INT(ms_test_ctl(fleet, "job show J1 --json"), ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(),
                   "\"output\":\"0\\n1\\n2\\n3\""); /* 3 is ls's own */
    ms_proc_free(worker);
    finish();
}

static TEST(test_a_killed_worker_s_job_runs_elsewhere)
{
    struct ms_proc *first, *second;

    begin(NULL, CONF);
    first = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":3000}");
    WAIT_FOR(20000, is_state("J1", "running"));
    kill(ms_proc_pid(first), SIGKILL);
    second = ms_test_worker(fleet);
    WAIT_FOR(30000, is_state("J1", "done"));
    CHECK_INT(stat_of("done"), ==, 1);
    CHECK_INT(stat_of("crashed"), ==, 1);
    CHECK_STR(field("J1", "pod"), ms_test_pod_id(second));
    ms_proc_free(first);
    ms_proc_free(second);
    finish();
}

/* STOP past the lease, then CONT: what the frozen pod still says is refused,
 * and counted. */
static TEST(test_a_frozen_worker_changes_nothing_any_more)
{
    struct ms_proc *frozen, *other;
    char *fence;

    begin(NULL, CONF);
    frozen = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":5000}");
    WAIT_FOR(20000, is_state("J1", "running"));
    ms_proc_signal(frozen, SIGSTOP);
    other = ms_test_worker(fleet);
    WAIT_FOR(30000, strcmp(field("J1", "pod"), ms_test_pod_id(other)) == 0);
    fence = ms_xstrdup(field("J1", "fence"));
    ms_proc_signal(frozen, SIGCONT);
    WAIT_FOR(20000, stat_of("stale") >= 1);
    CHECK_STR(field("J1", "fence"), fence);
    WAIT_FOR(30000, is_state("J1", "done"));
    CHECK_INT(stat_of("done"), ==, 1);
    CHECK_STR(field("J1", "fence"), fence);
    free(fence);
    ms_proc_free(frozen);
    ms_proc_free(other);
    finish();
}

/* Healthy workers cannot renew while Redis is away: nobody is punished. */
static TEST(test_redis_away_for_longer_than_the_leases)
{
    struct ms_proc *a, *b;
    char *fence;

    begin(aof, CONF);
    a = ms_test_worker(fleet);
    b = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":9000}");
    WAIT_FOR(20000, is_state("J1", "running"));
    fence = ms_xstrdup(field("J1", "fence"));
    ms_test_redis_down(fleet->redis, SIGTERM);
    wait_ms(4500);
    ms_test_redis_up(fleet->redis);
    WAIT_FOR(40000, is_state("J1", "done"));
    CHECK_STR(field("J1", "fence"), fence);
    CHECK_STR(field("J1", "attempts"), "1");
    CHECK_INT(stat_of("crashed"), ==, 0);
    CHECK_INT(stat_of("reclaimed"), ==, 0);
    free(fence);
    ms_proc_free(a);
    ms_proc_free(b);
    finish();
}

static TEST(test_goes_on_after_script_flush_and_client_kill)
{
    struct ms_proc *worker;

    begin(NULL, CONF);
    worker = ms_test_worker(fleet);
    enqueue("J1", "noop.echo", "1");
    WAIT_FOR(20000, is_state("J1", "done"));
    ms_test_text(fleet->redis, "SCRIPT FLUSH");
    enqueue("J2", "noop.echo", "1");
    WAIT_FOR(20000, is_state("J2", "done"));
    ms_test_text(fleet->redis, "CLIENT KILL TYPE normal SKIPME yes");
    enqueue("J3", "noop.echo", "1");
    WAIT_FOR(20000, is_state("J3", "done"));
    CHECK_INT(stat_of("done"), ==, 3);
    CHECK_INT(ms_proc_wait(worker, 0), ==, -1);
    ms_proc_free(worker);
    finish();
}

static TEST(test_goes_on_after_a_restart_of_redis)
{
    struct ms_proc *worker, *coordinator;

    begin(aof, CONF);
    worker = ms_test_worker(fleet);
    coordinator = ms_test_coordinator(fleet);
    enqueue("J1", "noop.echo", "1");
    WAIT_FOR(20000, is_state("J1", "done"));
    ms_test_redis_down(fleet->redis, SIGKILL);
    ms_test_redis_up(fleet->redis);
    enqueue("J2", "noop.echo", "1");
    WAIT_FOR(30000, is_state("J2", "done"));
    WAIT_FOR(30000, ms_test_num(fleet->redis, "EXISTS ms:{t}:leader") == 1);
    CHECK_INT(ms_proc_wait(worker, 0), ==, -1);
    CHECK_INT(ms_proc_wait(coordinator, 0), ==, -1);
    ms_proc_free(worker);
    ms_proc_free(coordinator);
    finish();
}

/* By decree, not by filling: the buffers of clients come and go, and an enqueue
 * slips in through a gap of a few kilobytes. */
static void redis_is_full(bool full)
{
    CHECK_STR(ms_test_text(fleet->redis, "CONFIG SET maxmemory %d", full),
              "OK");
}

static TEST(test_a_full_redis_refuses_enqueues_and_lets_jobs_finish)
{
    struct ms_proc *worker;

    begin(NULL, CONF);
    worker = ms_test_worker(fleet);
    enqueue("J1", "noop.sleep", "{\"ms\":4000}");
    WAIT_FOR(20000, is_state("J1", "running"));
    redis_is_full(true);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q"), ==, 1);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "maxmemory");
    WAIT_FOR(30000, is_state("J1", "done"));
    redis_is_full(false);
    enqueue("J2", "noop.echo", "1");
    WAIT_FOR(20000, is_state("J2", "done"));
    ms_proc_free(worker);
    finish();
}

static TEST(test_term_hands_back_what_does_not_end_in_the_grace)
{
    struct ms_proc *worker;

    begin(NULL, CONF);
    worker = ms_test_worker(fleet);
    enqueue("J1", "cmd.exec", "{\"argv\":[\"sleep\",\"60\"]}");
    enqueue("J2", "cmd.exec", "{\"argv\":[\"sleep\",\"1\"]}");
    /* Both have begun; a job that a slot has not begun would go back. */
    WAIT_FOR(20000, programs(ms_proc_pid(worker), "sleep") == 2);
    ms_proc_signal(worker, SIGTERM);
    CHECK_INT(ms_proc_wait(worker, 20000), ==, 0);
    CHECK(is_state("J2", "done"));
    CHECK_STR(field("J1", "state"), "(nil)"); /* ready */
    CHECK_STR(field("J1", "attempts"), "0");
    CHECK_INT(stat_of("crashed"), ==, 0);
    CHECK_INT(ms_test_num(fleet->redis, "ZCARD ms:{t}:pods"), ==, 0);
    ms_proc_free(worker);
    finish();
}

/* Sampled in Redis while pods come and go, not inferred. */
static TEST(test_running_never_exceeds_max_workers)
{
    struct ms_proc *coordinator, *pods[4] = {0};
    int64_t most = 0;

    begin(NULL, "worker: { queues: [q], concurrency: 8, claim_ttl: 2s, "
                "heartbeat: 1s, grace: 1s, http: \"off\" }\n"
                "coordinator: { http: \"off\", lease_ttl: 2s }\n"
                "queues:\n  - { name: q, max_workers: 5 }\n");
    coordinator = ms_test_coordinator(fleet);
    for (int i = 0; i < 150; i++)
        ms_test_ctl(fleet, "job enqueue noop.sleep {\"ms\":100} --queue q");
    for (int round = 0; stat_of("done") < 150; round++) {
        int64_t end = ms_wait_deadline(300);
        struct ms_proc **pod = &pods[round % 4];

        if (*pod == NULL) {
            *pod = ms_test_worker(fleet);
        } else {
            ms_proc_signal(*pod, round % 8 < 4 ? SIGKILL : SIGTERM);
            ms_proc_wait(*pod, 10000);
            ms_proc_free(*pod);
            *pod = NULL;
        }
        while (ms_wait_deadline(0) < end) {
            int64_t now = ms_test_num(fleet->redis, "ZCARD " Q "leases");

            most = now > most ? now : most;
        }
        CHECK_INT(most, <=, 5);
        CHECK_INT(round, <, 300);
    }
    CHECK_INT(most, >=, 2);
    for (int i = 0; i < 4; i++)
        ms_proc_free(pods[i]);
    ms_proc_free(coordinator);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_kill_9_of_a_worker_leaves_no_slot_and_no_program),
        RUN(test_a_program_holds_no_descriptor_of_ours),
        RUN(test_a_killed_worker_s_job_runs_elsewhere),
        RUN(test_a_frozen_worker_changes_nothing_any_more),
        RUN(test_redis_away_for_longer_than_the_leases),
        RUN(test_goes_on_after_script_flush_and_client_kill),
        RUN(test_goes_on_after_a_restart_of_redis),
        RUN(test_a_full_redis_refuses_enqueues_and_lets_jobs_finish),
        RUN(test_term_hands_back_what_does_not_end_in_the_grace),
        RUN(test_running_never_exceeds_max_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

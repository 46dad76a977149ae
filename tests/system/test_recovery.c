/*
 * How soon, and how gently, the work of a pod goes on elsewhere: at default
 * time-outs, so that neither the end of a lease (30 s) nor six missed beats can
 * be what the tests wait for.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/support/fleet.h"

#define Q      "ms:{t/q}:"
#define N_JOBS 20

static struct ms_test_fleet *fleet;
static struct ms_proc *coordinator;

static void begin(void)
{
    fleet =
        ms_test_fleet_new(NULL, "worker: { queues: [q], concurrency: 24, "
                                "http: \"off\", grace: 2s }\n"
                                "coordinator: { http: \"off\" }\n"
                                "queues:\n  - { name: q, max_workers: 48 }\n");
    coordinator = ms_test_coordinator(fleet);
}

static void finish(void)
{
    ms_proc_free(coordinator);
    ms_test_fleet_free(fleet);
}

static int64_t held_by(const char *pod)
{
    return ms_test_num(fleet->redis, "SCARD " Q "held:%s", pod);
}

static int64_t stat_of(const char *name)
{
    const char *text = ms_test_text(fleet->redis, "HGET " Q "stats %s", name);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

static int64_t lists_read(void)
{
    const char *at = strstr(ms_test_text(fleet->redis, "INFO commandstats"),
                            "cmdstat_client|list:calls=");

    return at == NULL ? 0 : atoll(strchr(at, '=') + 1);
}

static void enqueue_sleepers(void)
{
    for (int i = 0; i < N_JOBS; i++)
        CHECK_INT(ms_test_ctl(fleet,
                              "job enqueue noop.sleep {\"ms\":1000000} "
                              "--queue q --id J%d",
                              i),
                  ==, 0);
}

/* The aim is two seconds on an idle machine; what it took is printed, as a
 * machine's load is no reason to fail. */
static TEST(test_twenty_jobs_of_a_killed_worker_run_again_at_once)
{
    struct ms_proc *first, *second;
    char a[64], b[64];
    int64_t killed_ms;

    begin();
    first = ms_test_worker(fleet);
    snprintf(a, sizeof(a), "%s", ms_test_pod_id(first));
    enqueue_sleepers();
    WAIT_FOR(20000, held_by(a) == N_JOBS);
    second = ms_test_worker(fleet);
    snprintf(b, sizeof(b), "%s", ms_test_pod_id(second));
    WAIT_FOR(20000, ms_test_num(fleet->redis, "HLEN ms:{t}:slots:q") == 2);
    killed_ms = ms_clock_mono_ms();
    ms_proc_signal(first, SIGKILL);
    WAIT_FOR(25000, held_by(b) == N_JOBS);
    print_message("%d jobs run again after %lld ms\n", N_JOBS,
                  (long long)(ms_clock_mono_ms() - killed_ms));
    CHECK_INT(stat_of("crashed"), ==, N_JOBS);
    ms_proc_free(first);
    ms_proc_free(second);
    finish();
}

/* Its connections are closed again and again; each time it is back before the
 * leader takes it for gone. */
static TEST(test_a_pod_that_only_reconnects_keeps_its_jobs)
{
    struct ms_proc *first, *second;
    char pod[64], fence[32];

    begin();
    first = ms_test_worker(fleet);
    snprintf(pod, sizeof(pod), "%s", ms_test_pod_id(first));
    enqueue_sleepers();
    WAIT_FOR(20000, held_by(pod) == N_JOBS);
    second = ms_test_worker(fleet);
    snprintf(fence, sizeof(fence), "%s",
             ms_test_text(fleet->redis, "HGET " Q "job:J7 fence"));
    for (int i = 0; i < 3; i++) {
        int64_t before = lists_read();

        ms_test_text(fleet->redis, "CLIENT KILL TYPE normal SKIPME yes");
        WAIT_FOR(20000, lists_read() >= before + 12); /* 3 s of looking */
    }
    CHECK_INT(held_by(pod), ==, N_JOBS);
    CHECK_INT(stat_of("crashed"), ==, 0);
    CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "job:J7 fence"), fence);
    ms_proc_free(first);
    ms_proc_free(second);
    finish();
}

/* From outside, and as gently as TERM: no attempt, no crash. */
static TEST(test_pod_drain_gives_back_what_runs_on)
{
    struct ms_proc *first, *second;
    char pod[64];

    begin();
    first = ms_test_worker(fleet);
    snprintf(pod, sizeof(pod), "%s", ms_test_pod_id(first));
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.sleep {\"ms\":500} "
                                 "--queue q --id SHORT"),
              ==, 0);
    enqueue_sleepers();
    WAIT_FOR(20000, held_by(pod) >= N_JOBS);
    second = ms_test_worker(fleet);
    CHECK_INT(ms_test_ctl(fleet, "pod drain %s", pod), ==, 0);
    CHECK_INT(ms_proc_wait(first, 20000), ==, 0);
    WAIT_FOR(20000, held_by(ms_test_pod_id(second)) == N_JOBS);
    CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "job:SHORT state"), "done");
    CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "job:J7 attempts"), "1");
    CHECK_INT(stat_of("crashed"), ==, 0);
    CHECK_INT(stat_of("failed"), ==, 0);
    CHECK_INT(stat_of("released"), >=, N_JOBS);
    ms_proc_free(first);
    ms_proc_free(second);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_twenty_jobs_of_a_killed_worker_run_again_at_once),
        RUN(test_a_pod_that_only_reconnects_keeps_its_jobs),
        RUN(test_pod_drain_gives_back_what_runs_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

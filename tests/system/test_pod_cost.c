/*
 * What a pod costs that has nothing to do: a thousand of them must be bearable
 * for one Redis, and many for one host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/support/fleet.h"

/* All that bears on the cost stands at its default. */
#define CONF                                                   \
    "worker: { queues: [q], concurrency: 8, http: \"off\" }\n" \
    "queues:\n  - { name: q, max_workers: 8 }\n"
#define LOOK_MS      10000
#define PSS_MAX_KIB  (12 * 1024)
#define COMMANDS_MAX 1.5 /* a second */
#ifdef __SANITIZE_ADDRESS__
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

static struct ms_test_fleet *fleet;
static struct ms_proc *worker;

static int begin(void **state)
{
    fleet = ms_test_fleet_new(NULL, CONF);
    worker = ms_test_worker(fleet);
    return 0;
}

static int finish(void **state)
{
    ms_proc_free(worker);
    ms_test_fleet_free(fleet);
    return 0;
}

/* What clients sent, as MONITOR tells: not what scripts did by themselves. */
static int count_commands(const char *text)
{
    int n = 0;

    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        const char *end = strchr(++at, '\n');
        size_t len = end == NULL ? strlen(at) : (size_t)(end - at);

        if (memmem(at, len, " [0 ", 4) != NULL &&
            memmem(at, len, " lua] ", 6) == NULL)
            n++;
    }
    return n;
}

static TEST(test_an_idle_pod_sends_about_a_command_a_second)
{
    const char *argv[] = {"redis-cli", "-s",
                          ms_test_redis_url(fleet->redis) + strlen("unix://"),
                          "monitor", NULL};
    struct ms_proc *monitor;
    int64_t begun;
    int n;

    /* It has settled: two beats, and its first looks found nothing. */
    WAIT_FOR(20000, ms_test_num(fleet->redis, "ZCARD ms:{t}:pods") == 1);
    monitor = ms_proc_start(argv, NULL);
    WAIT_FOR(20000, strstr(ms_proc_stdout(monitor), "OK") != NULL);
    begun = ms_clock_mono_ms();
    while (ms_clock_mono_ms() - begun < LOOK_MS) /* time is the measure */
        usleep(50000);
    n = count_commands(ms_proc_stdout(monitor));
    print_message("%d commands in %d s\n", n, LOOK_MS / 1000);
    CHECK_INT(n, >, 0); /* it does beat */
    CHECK(n <= COMMANDS_MAX * LOOK_MS / 1000);
    ms_proc_free(monitor);
}

/* Memory that a process has for itself, and its part of what it shares. */
static int64_t pss_kib(pid_t pid)
{
    char path[64], line[256];
    long long kib = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return -1;
    while (kib < 0 && fgets(line, sizeof(line), file) != NULL)
        sscanf(line, "Pss: %lld kB", &kib);
    fclose(file);
    return kib;
}

static TEST(test_a_pod_with_eight_warm_slots_is_small)
{
    pid_t slots[32];
    int64_t kib;
    int n;

    if (IS_SANITIZED || pss_kib(getpid()) < 0)
        skip();
    /* Long enough that each takes a slot of its own. */
    for (int i = 0; i < 8; i++)
        CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.sleep {\"ms\":1500} "
                                     "--queue q"),
                  ==, 0);
    WAIT_FOR(20000, ms_test_num(fleet->redis, "ZCARD ms:{t/q}:done") == 8);
    n = ms_test_children(ms_proc_pid(worker), slots, 32);
    CHECK_INT(n, ==, 8);
    kib = pss_kib(ms_proc_pid(worker));
    for (int i = 0; i < n; i++)
        kib += pss_kib(slots[i]);
    print_message("%lld KiB for a worker and %d slots\n", (long long)kib, n);
    CHECK_INT(kib, >, 0);
    CHECK_INT(kib, <=, PSS_MAX_KIB);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_an_idle_pod_sends_about_a_command_a_second),
        EACH(test_a_pod_with_eight_warm_slots_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

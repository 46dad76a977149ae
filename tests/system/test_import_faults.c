/*
 * What breaks in the middle of an import, and that its result is exact all the
 * same: every document once, byte for byte, and sums that add up.
 *
 * Each test proves that it struck in the middle: the import had not ended when
 * the blow fell.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/dump.h"

/* Small batches, so that an import is long enough to be struck. */
#define SLOW "dump_import: { batch_docs: 5 }\n"
#define CONF_OF(workers)                                                      \
    "worker: { queues: [dump], concurrency: 2, claim_ttl: 2s, heartbeat: 1s," \
    " grace: 30s, http: \"off\" }\n"                                          \
    "coordinator: { http: \"off\", lease_ttl: 2s }\n"                         \
    "queues:\n  - { name: dump, max_workers: " #workers " }\n"
#define CONF  CONF_OF(4)
#define PODS  3
#define CHUNK 4096
#define MIB   ((int64_t)1024 * 1024)
/* What a chunk's handler may have read beyond its cursor: what is under way,
 * and a read buffer. */
#define AHEAD (4 * MIB + 256 * 1024)

static const char *const aof[] = {"--appendonly", "yes", "--appendfsync",
                                  "always", NULL};
static struct ms_test_fleet *fleet;
static struct ms_proc *coordinators[2], *workers[PODS];

static void begin(const char *const *redis_args, const char *yaml, int n_pods)
{
    fleet = ms_test_fleet_new(redis_args, yaml);
    coordinators[0] = ms_test_coordinator(fleet);
    for (int i = 0; i < n_pods; i++)
        workers[i] = ms_test_worker(fleet);
}

static int finish(void **state)
{
    for (size_t i = 0; i < MS_COUNT_OF(workers); i++) {
        ms_proc_free(workers[i]);
        workers[i] = NULL;
    }
    for (size_t i = 0; i < MS_COUNT_OF(coordinators); i++) {
        ms_proc_free(coordinators[i]);
        coordinators[i] = NULL;
    }
    ms_test_fleet_free(fleet);
    fleet = NULL;
    return 0;
}

static void wait_ms(int ms)
{
    int64_t end = ms_wait_deadline(ms);

    /* Time itself is the condition here: leases must end. */
    while (ms_wait_deadline(0) < end)
        usleep(10000);
}

/* How much of the source is in the dataset, in percent. */
static int64_t percent(const struct ms_dump *dump)
{
    return ms_dump_tally(dump, fleet, "bytes") * 100 / (int64_t)dump->bytes.len;
}

/* Waits until at least `low` percent is there; the blow that follows must not
 * come too late to be one. */
static void wait_for_percent(const struct ms_dump *dump, int64_t low)
{
    WAIT_FOR(60000, percent(dump) >= low);
    CHECK_INT(percent(dump), <, 80);
}

static void all_are_alive(void)
{
    for (size_t i = 0; i < MS_COUNT_OF(workers); i++)
        CHECK(workers[i] == NULL || ms_proc_wait(workers[i], 0) == -1);
    for (size_t i = 0; i < MS_COUNT_OF(coordinators); i++)
        CHECK(coordinators[i] == NULL ||
              ms_proc_wait(coordinators[i], 0) == -1);
}

/* Some MiB in chunks of 4 KiB. */
static void import_small_chunks(struct ms_dump *dump, const char *name,
                                int n_docs)
{
    ms_dump_init(dump, name);
    ms_dump_many(dump, n_docs, 150);
    ms_dump_import(dump, fleet, "--chunk-size 4KiB");
}

/* ---- processes ---- */

static struct ms_proc **leader(void)
{
    pid_t pid = (pid_t)ms_test_num(fleet->redis, "HGET ms:{t}:leader pid");

    for (size_t i = 0; i < MS_COUNT_OF(coordinators); i++)
        if (ms_proc_pid(coordinators[i]) == pid)
            return &coordinators[i];
    fail_msg("nobody leads");
    return NULL;
}

static void strike(struct ms_proc *proc)
{
    ms_proc_signal(proc, SIGKILL);
    CHECK_INT(ms_proc_wait(proc, 10000), ==, 128 + SIGKILL);
    ms_proc_free(proc);
}

static TEST(test_killed_workers_and_leaders_leave_no_trace_in_the_result)
{
    struct ms_dump dump;

    begin(NULL, CONF SLOW, 2);
    coordinators[1] = ms_test_coordinator(fleet);
    import_small_chunks(&dump, "killed", 80000);
    for (int round = 0; round < 3; round++) {
        struct ms_proc **led;

        wait_for_percent(&dump, 20 + 13 * round);
        led = leader();
        strike(workers[round % 2]);
        strike(*led);
        CHECK(ms_dump_is(&dump, fleet, "waiting"));
        workers[round % 2] = ms_test_worker(fleet);
        *led = ms_test_coordinator(fleet);
        WAIT_FOR(30000, ms_test_num(fleet->redis, "EXISTS ms:{t}:leader"));
    }
    ms_dump_check_done(&dump, fleet);
    CHECK_INT(ms_dump_stat(fleet, "failed"), ==, 0);
    all_are_alive();
    ms_dump_done(&dump);
}

static void signal_all(const pid_t *pids, int n, int signal)
{
    for (int i = 0; i < n; i++)
        kill(pids[i], signal);
}

/* In what MONITOR has seen: batches that showed this fence, while nobody else
 * had anything to write.  None may have written. */
static int refused_batches(struct ms_proc *monitor, const char *fence)
{
    char *quoted = ms_xasprintf("\" \"%s\" \"", fence);
    char *text = ms_xstrdup(ms_proc_stdout(monitor)), *rest = NULL;
    int n = 0;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, ":docs\"") == NULL)
            continue;
        CHECK(strstr(line, "\"HSET\"") == NULL);
        n += strstr(line, quoted) != NULL;
    }
    free(text);
    free(quoted);
    return n;
}

static struct ms_proc *monitor_start(void)
{
    const char *argv[] = {"redis-cli", "-s",
                          ms_test_redis_url(fleet->redis) + strlen("unix://"),
                          "monitor", NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);

    WAIT_FOR(20000, strstr(ms_proc_stdout(proc), "OK") != NULL);
    return proc;
}

/* The slots wake up before their worker, so nobody tells them that they have
 * lost the chunk: the shard does. */
static TEST(test_a_frozen_worker_writes_nothing_late)
{
    struct ms_dump dump;
    struct ms_proc *monitor;
    char old_fence[32];
    pid_t slots[16];
    int n;

    begin(NULL, CONF_OF(1) SLOW, 1);
    ms_dump_init(&dump, "frozen");
    ms_dump_many(&dump, 60000, 150);
    ms_dump_import(&dump, fleet, "--chunk-size 4MiB --shards 1");
    WAIT_FOR(60000, ms_dump_tally(&dump, fleet, "docs") > 0);
    n = ms_test_children(ms_proc_pid(workers[0]), slots, 16);
    signal_all(slots, n, SIGSTOP);
    ms_proc_signal(workers[0], SIGSTOP);
    CHECK_INT(ms_dump_tally(&dump, fleet, "bytes"), <, 3 * MIB);
    CHECK_INT(ms_dump_tally(&dump, fleet, "running"), ==, 1);
    snprintf(old_fence, sizeof(old_fence), "%s",
             ms_dump_chunk_field(&dump, fleet, 0, "fence"));

    workers[1] = ms_test_worker(fleet);
    WAIT_FOR(30000, strcmp(ms_dump_chunk_field(&dump, fleet, 0, "pod"),
                           ms_test_pod_id(workers[1])) == 0);
    /* The import must not end meanwhile: then all batches are refused. */
    CHECK_INT(ms_test_ctl(fleet, "queue pause dump"), ==, 0);
    WAIT_FOR(30000, ms_dump_tally(&dump, fleet, "done") > 0 &&
                        ms_dump_tally(&dump, fleet, "running") == 0);
    CHECK_INT(ms_dump_tally(&dump, fleet, "ready"), >, 0);
    CHECK_INT(ms_dump_stat(fleet, "stale"), ==, 0);

    monitor = monitor_start();
    signal_all(slots, n, SIGCONT);
    WAIT_FOR(30000, refused_batches(monitor, old_fence) > 0);
    ms_proc_signal(workers[0], SIGCONT);
    WAIT_FOR(30000, ms_dump_stat(fleet, "stale") > 0);
    CHECK_INT(refused_batches(monitor, old_fence), >, 0);
    ms_proc_free(monitor);
    CHECK_INT(ms_test_ctl(fleet, "queue resume dump"), ==, 0);
    ms_dump_check_done(&dump, fleet);
    all_are_alive();
    ms_dump_done(&dump);
}

/* ---- Redis ---- */

static TEST(test_a_full_redis_makes_an_import_wait)
{
    struct ms_dump dump;
    int64_t bytes;

    begin(NULL, CONF SLOW, 2);
    import_small_chunks(&dump, "full", 40000);
    wait_for_percent(&dump, 20);
    ms_test_text(fleet->redis, "CONFIG SET maxmemory 1");
    wait_ms(500); /* what was under way is reported */
    bytes = ms_dump_tally(&dump, fleet, "bytes");
    wait_ms(3000); /* longer than a lease */
    CHECK_INT(ms_dump_tally(&dump, fleet, "bytes"), ==, bytes);
    CHECK(ms_dump_is(&dump, fleet, "waiting"));
    ms_test_text(fleet->redis, "CONFIG SET maxmemory 0");
    ms_dump_check_done(&dump, fleet);
    CHECK_INT(ms_dump_stat(fleet, "crashed"), ==, 0);
    CHECK_INT(ms_dump_stat(fleet, "failed"), ==, 0);
    all_are_alive();
    ms_dump_done(&dump);
}

static TEST(test_redis_restarts_in_the_middle)
{
    struct ms_dump dump;

    begin(aof, CONF SLOW, 2);
    import_small_chunks(&dump, "restarts", 40000);
    wait_for_percent(&dump, 20);
    ms_test_redis_down(fleet->redis, SIGTERM);
    ms_test_redis_up(fleet->redis);
    CHECK(ms_dump_is(&dump, fleet, "waiting"));
    wait_for_percent(&dump, 45);
    ms_test_redis_down(fleet->redis, SIGKILL);
    wait_ms(2500); /* longer than a lease */
    ms_test_redis_up(fleet->redis);
    CHECK(ms_dump_is(&dump, fleet, "waiting"));
    ms_dump_check_done(&dump, fleet);
    CHECK_INT(ms_dump_stat(fleet, "crashed"), ==, 0);
    CHECK_INT(ms_dump_stat(fleet, "failed"), ==, 0);
    all_are_alive();
    ms_dump_done(&dump);
}

static TEST(test_scripts_and_connections_are_lost_in_the_middle)
{
    struct ms_dump dump;

    begin(NULL, CONF SLOW, 2);
    import_small_chunks(&dump, "flushed", 40000);
    for (int round = 0; round < 4; round++) {
        wait_for_percent(&dump, 20 + 13 * round);
        ms_test_text(fleet->redis, round % 2 == 0
                                       ? "SCRIPT FLUSH"
                                       : "CLIENT KILL TYPE normal SKIPME yes");
        CHECK(ms_dump_is(&dump, fleet, "waiting"));
    }
    ms_dump_check_done(&dump, fleet);
    CHECK_INT(ms_dump_stat(fleet, "crashed"), ==, 0);
    CHECK_INT(ms_dump_stat(fleet, "failed"), ==, 0);
    all_are_alive();
    ms_dump_done(&dump);
}

/* A power cut, or a replica that takes over and lags: the last writes are
 * gone, those that were acknowledged too. */
static TEST(test_a_redis_that_lost_its_last_writes_gets_them_again)
{
    struct ms_dump dump;

    begin(NULL, CONF SLOW, 2);
    ms_dump_init(&dump, "rolled-back");
    ms_dump_many(&dump, 60000, 150);
    ms_dump_import(&dump, fleet, "--chunk-size 2MiB");
    wait_for_percent(&dump, 20);
    ms_test_text(fleet->redis, "SAVE");
    wait_for_percent(&dump, 45);
    for (int i = 0; i < 2; i++) /* so that it stands still to be looked at */
        ms_proc_signal(workers[i], SIGSTOP);
    ms_test_redis_down(fleet->redis, SIGKILL);
    ms_test_redis_up(fleet->redis);
    CHECK_INT(percent(&dump), <, 45);
    for (int i = 0; i < 2; i++)
        ms_proc_signal(workers[i], SIGCONT);
    ms_dump_check_done(&dump, fleet);
    all_are_alive();
    ms_dump_done(&dump);
}

/* ---- cursors ---- */

/* Two chunks of 16 MiB, both running and beyond 6 MiB together. */
static void import_two_chunks(struct ms_dump *dump, const char *name)
{
    ms_dump_init(dump, name);
    ms_dump_many(dump, 66000, 400);
    CHECK_INT(dump->bytes.len, >, 17 * MIB);
    CHECK_INT(dump->bytes.len, <, 32 * MIB);
    ms_dump_import(dump, fleet, "--chunk-size 16MiB");
    WAIT_FOR(60000, ms_dump_tally(dump, fleet, "bytes") > 6 * MIB);
}

static void all_read_is_accounted_for(const struct ms_dump *dump)
{
    CHECK_INT(ms_dump_tally(dump, fleet, "read"), ==,
              (int64_t)dump->bytes.len + ms_dump_tally(dump, fleet, "reread"));
    CHECK_INT(ms_dump_show_num(dump, fleet, "result.reread"), ==,
              ms_dump_tally(dump, fleet, "reread"));
}

static TEST(test_term_hands_chunks_back_at_their_cursor)
{
    struct ms_dump dump;

    begin(NULL, CONF, 1);
    import_two_chunks(&dump, "term");
    ms_proc_signal(workers[0], SIGTERM);
    CHECK_INT(ms_proc_wait(workers[0], 15000), ==, 0); /* grace: 30 s */
    CHECK(ms_dump_is(&dump, fleet, "waiting"));
    CHECK_INT(ms_dump_tally(&dump, fleet, "ready"), >, 0);
    CHECK_INT(ms_dump_tally(&dump, fleet, "running"), ==, 0);
    for (int n = 0; n < 2; n++)
        if (ms_dump_chunk_field(&dump, fleet, n, "kind")[0] == 'd')
            CHECK_STR(ms_dump_chunk_field(&dump, fleet, n, "attempts"), "0");
    CHECK_INT(ms_dump_stat(fleet, "released"), >, 0);
    workers[1] = ms_test_worker(fleet);
    ms_dump_check_done(&dump, fleet);
    CHECK_INT(ms_dump_stat(fleet, "crashed"), ==, 0);
    CHECK_INT(ms_dump_stat(fleet, "failed"), ==, 0);
    all_read_is_accounted_for(&dump);
    CHECK_INT(ms_dump_tally(&dump, fleet, "reread"), <=,
              AHEAD * ms_dump_stat(fleet, "released"));
    ms_dump_done(&dump);
}

static TEST(test_a_chunk_taken_over_resumes_at_its_cursor)
{
    struct ms_dump dump;

    begin(NULL, CONF, 1);
    import_two_chunks(&dump, "resumed");
    strike(workers[0]);
    workers[0] = NULL;
    CHECK(ms_dump_is(&dump, fleet, "waiting"));
    CHECK_INT(ms_dump_tally(&dump, fleet, "running"), >, 0);
    workers[1] = ms_test_worker(fleet);
    ms_dump_check_done(&dump, fleet);
    CHECK_INT(ms_dump_stat(fleet, "reclaimed"), >, 0);
    all_read_is_accounted_for(&dump);
    CHECK_INT(ms_dump_tally(&dump, fleet, "reread"), >, 0);
    CHECK_INT(ms_dump_tally(&dump, fleet, "reread"), <=,
              AHEAD * ms_dump_stat(fleet, "reclaimed"));
    ms_dump_done(&dump);
}

#define EACH(name) cmocka_unit_test_teardown(name, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_killed_workers_and_leaders_leave_no_trace_in_the_result),
        EACH(test_a_frozen_worker_writes_nothing_late),
        EACH(test_a_full_redis_makes_an_import_wait),
        EACH(test_redis_restarts_in_the_middle),
        EACH(test_scripts_and_connections_are_lost_in_the_middle),
        EACH(test_a_redis_that_lost_its_last_writes_gets_them_again),
        EACH(test_term_hands_chunks_back_at_their_cursor),
        EACH(test_a_chunk_taken_over_resumes_at_its_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A fleet of pods that can run different kinds, as it is during an upgrade:
 * what one of them cannot run waits for one that can.
 *
 * The pod that knows more is this program itself, as a worker ("--pod CONF")
 * and as its slots ("--slot"), with a table of handlers of its own.
 */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/enqueue.h"
#include "common/ulid.h"
#include "tests/support/fleet.h"
#include "worker/handler.h"
#include "worker/slot_child.h"
#include "worker/worker.h"

#define Q "ms:{t/q}:"

static enum ms_outcome handle_odd(struct ms_ctx *ctx)
{
    return MS_DONE;
}

const struct ms_handler ms_handlers[] = {
    {"odd.one", handle_odd, false},
    {NULL, NULL, false},
};

/* ---- this program as a pod ---- */

static void on_term(struct ev_loop *loop, ev_signal *watcher, int events)
{
    ms_worker_stop(watcher->data);
}

static int run_pod(const char *path)
{
    const struct ms_conf_flags flags = {.config = path};
    struct ev_loop *loop = ev_default_loop(0);
    struct ms_conf *conf;
    struct ms_worker *worker;
    ev_signal term;

    if (ms_conf_load(&flags, environ, &conf, NULL) != MS_OK ||
        ms_worker_new(loop, conf, path, &worker, NULL) != MS_OK)
        return 1;
    ev_signal_init(&term, on_term, SIGTERM);
    term.data = worker;
    ev_signal_start(loop, &term);
    ms_worker_start(worker);
    ev_run(loop, 0);
    ms_worker_free(worker);
    ms_conf_free(conf);
    return 0;
}

/* ---- the tests ---- */

static struct ms_test_fleet *fleet;
static char self[4096];

static struct ms_proc *start_odd_pod(void)
{
    const char *const argv[] = {self, "--pod", fleet->conf, NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);

    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=working") != NULL);
    return proc;
}

static void enqueue(const char *id, const char *kind)
{
    struct ms_new_job job = {.id = id,
                             .kind = kind,
                             .payload = "\xc0",
                             .payload_len = 1,
                             .priority = MS_PRIORITY_DEFAULT};
    struct ms_cmd cmd = MS_CMD_INIT;
    char token[MS_ULID_LEN + 1];

    ms_ulid_new(token);
    CHECK_INT(ms_enqueue_build(&cmd, "t", "q", token, &job, 1, 1 << 20, NULL),
              ==, MS_OK);
    ms_test_run(fleet->redis, &cmd);
}

static bool is_done(const char *id)
{
    return strcmp(ms_test_text(fleet->redis, "HGET " Q "job:%s state", id),
                  "done") == 0;
}

static int64_t parked(void)
{
    return ms_test_num(fleet->redis, "ZCARD " Q "parked");
}

static void stop(struct ms_proc *proc)
{
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 0);
    ms_proc_free(proc);
}

#define CONF                                                          \
    "worker: { queues: [q], concurrency: 2, http: off, grace: 2s }\n" \
    "queues:\n  - { name: q, max_workers: 4 }\n"

static TEST(test_a_parked_job_wakes_when_a_pod_comes_that_runs_it)
{
    struct ms_proc *plain, *odd;

    fleet = ms_test_fleet_new(NULL, CONF);
    plain = ms_test_worker(fleet);
    enqueue("J1", "odd.one");
    enqueue("J2", "noop.echo");
    WAIT_FOR(20000, is_done("J2")); /* it does not stand in the way */
    WAIT_FOR(20000, parked() == 1);
    odd = start_odd_pod();
    WAIT_FOR(20000, is_done("J1"));
    CHECK_INT(parked(), ==, 0);
    CHECK_STR(ms_test_text(fleet->redis, "HGET " Q "job:J1 attempts"), "1");
    stop(odd);
    stop(plain);
    ms_test_fleet_free(fleet);
}

/* Whoever looks first parks it, and wakes another. */
static TEST(test_each_job_finds_the_pod_that_runs_it)
{
    struct ms_proc *plain, *odd;

    fleet = ms_test_fleet_new(NULL, CONF);
    plain = ms_test_worker(fleet);
    odd = start_odd_pod();
    for (int i = 0; i < 40; i++) {
        char id[8];

        snprintf(id, sizeof(id), "J%d", i);
        enqueue(id, i % 2 == 0 ? "odd.one" : "noop.echo");
    }
    WAIT_FOR(40000, ms_test_num(fleet->redis, "ZCARD " Q "done") == 40);
    stop(odd);
    stop(plain);
    ms_test_fleet_free(fleet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_parked_job_wakes_when_a_pod_comes_that_runs_it),
        RUN(test_each_job_finds_the_pod_that_runs_it),
    };
    ssize_t len;

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    if (argc > 2 && strcmp(argv[1], "--pod") == 0)
        return run_pod(argv[2]);
    len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    ms_assert(len > 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

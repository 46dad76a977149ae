/*
 * bench_pickup: how long a job waits on an idle fleet until its handler runs.
 *
 *     bench_pickup [JOBS]        1000 unless said otherwise
 *
 * Both sides take the same two stamps of the same clock: before the request
 * is sent, and where the work would begin (ours: in the handler, in a slot of
 * a real worker process; the reference: in a process that had waited in
 * BLMOVE).  The stamps meet in shared memory, so that nothing but the
 * hand-over itself is in the way (MONITOR slows a script by each command in
 * it).  One job at a time, with a pause between.
 */
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/enqueue.h"
#include "common/ulid.h"
#include "common/val.h"
#include "tests/bench/meter.h"
#include "worker/handler.h"
#include "worker/slot_child.h"
#include "worker/worker.h"

#define QUEUE "bench"

struct stamp {
    _Atomic int64_t at_us; /* 0: not begun yet */
};

/* ---- the stamp ---- */

static struct stamp *stamp_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *map;

    ms_assert(fd >= 0 && ftruncate(fd, sizeof(struct stamp)) == 0);
    map = mmap(NULL, sizeof(struct stamp), PROT_READ | PROT_WRITE, MAP_SHARED,
               fd, 0);
    ms_assert(map != MAP_FAILED);
    close(fd);
    return map;
}

static void stamp_set(struct stamp *stamp)
{
    atomic_store(&stamp->at_us, ms_clock_mono_us());
}

/* From `since_us` to the stamp. */
static double stamp_wait(struct stamp *stamp, int64_t since_us)
{
    int64_t at_us;

    while ((at_us = atomic_exchange(&stamp->at_us, 0)) == 0)
        usleep(100);
    return (double)(at_us - since_us);
}

/* ---- the handler, in a slot ---- */

static enum ms_outcome handle_stamp(struct ms_ctx *ctx)
{
    static struct stamp *stamp;

    if (stamp == NULL) {
        char *path = ms_val_strdup(ms_ctx_payload(ctx), "path");

        stamp = stamp_open(path);
        free(path);
    }
    stamp_set(stamp);
    return MS_DONE;
}

const struct ms_handler ms_handlers[] = {
    {"bench.stamp", handle_stamp, false},
    {NULL, NULL, false},
};

/* ---- muster's side ---- */

static void worker_run(const char *url)
{
    const struct ms_conf_flags flags = {.redis = url};
    static char queues[] = "MUSTER_QUEUES=" QUEUE,
                http[] = "MUSTER_WORKER__HTTP=off",
                slots[] = "MUSTER_CONCURRENCY=1";
    char *const environment[] = {queues, http, slots, NULL};
    struct ev_loop *loop = ev_default_loop(0);
    struct ms_conf *conf = NULL;
    struct ms_worker *worker = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ms_assert(ms_conf_load(&flags, environment, &conf, NULL) == MS_OK);
    ms_log_configure(MS_WARN, false);
    ms_assert(ms_worker_new(loop, conf, NULL, &worker, NULL) == MS_OK);
    ms_worker_start(worker);
    ev_run(loop, 0);
    _exit(0);
}

static void build_job(struct ms_cmd *cmd, const struct ms_buf *payload)
{
    char id[MS_ULID_LEN + 1], token[MS_ULID_LEN + 1];
    const struct ms_new_job job = {.id = id,
                                   .kind = "bench.stamp",
                                   .payload = payload->data,
                                   .payload_len = payload->len,
                                   .priority = MS_PRIORITY_DEFAULT};

    ms_ulid_new(id);
    ms_ulid_new(token);
    ms_assert(ms_enqueue_build(cmd, "main", QUEUE, token, &job, 1, 1 << 20,
                               NULL) == MS_OK);
}

static void measure_ours(struct ms_test_redis *server, struct stamp *stamp,
                         const char *path, int n, struct ms_samples *out)
{
    struct ms_buf json = MS_BUF_INIT, payload = MS_BUF_INIT;
    struct ms_val val = {0};

    ms_buf_addf(&json, "{\"path\":\"%s\"}", path);
    ms_assert(ms_val_from_json(json.data, json.len, &val, NULL) == MS_OK);
    ms_val_to_msgpack(&val.root, &payload);
    for (int i = -10; i < n; i++) { /* the first spawn and warm the slot */
        struct ms_cmd cmd = MS_CMD_INIT;
        int64_t before_us;
        double waited;

        build_job(&cmd, &payload);
        usleep(2000);
        before_us = ms_clock_mono_us();
        ms_test_run(server, &cmd);
        waited = stamp_wait(stamp, before_us);
        if (i >= 0)
            ms_samples_add(out, waited);
    }
    ms_val_done(&val);
    ms_buf_done(&payload);
    ms_buf_done(&json);
}

/* ---- the reference ---- */

static void taker_run(const char *url, struct stamp *stamp)
{
    const struct ms_redis_options options = {.url = url};
    struct ms_redis *redis = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ms_assert(ms_redis_new(ev_loop_new(0), &options, &redis, NULL) == MS_OK);
    ms_assert(ms_redis_wait_up(redis, 10000, NULL) == MS_OK);
    for (;;) {
        struct ms_cmd cmd = MS_CMD_INIT;
        struct ms_reply *reply = NULL;

        ms_cmd_plain(&cmd, "BLMOVE", "hand", "hand.work", "RIGHT", "LEFT", "0",
                     NULL);
        if (ms_redis_call(redis, &cmd, 600000, &reply, NULL) != MS_OK)
            _exit(1);
        stamp_set(stamp);
        ms_reply_free(reply);
    }
}

static void measure_raw(struct ms_test_redis *server, struct stamp *stamp,
                        int n, struct ms_samples *out)
{
    for (int i = -10; i < n; i++) {
        struct ms_cmd cmd = MS_CMD_INIT;
        int64_t before_us;
        double waited;

        ms_cmd_plain(&cmd, "LPUSH", "hand", "x", NULL);
        usleep(2000);
        before_us = ms_clock_mono_us();
        ms_test_run(server, &cmd);
        waited = stamp_wait(stamp, before_us);
        if (i >= 0)
            ms_samples_add(out, waited);
    }
}

/* ---- both ---- */

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static pid_t start(struct ms_test_redis *server, struct stamp *stamp, bool ours)
{
    pid_t pid = fork();

    ms_assert(pid >= 0);
    if (pid == 0 && ours)
        worker_run(ms_test_redis_url(server));
    if (pid == 0)
        taker_run(ms_test_redis_url(server), stamp);
    return pid;
}

static void print(struct ms_samples *ours, struct ms_samples *raw)
{
    static const struct {
        const char *name;
        double part;
    } parts[] = {{"enqueued to handler, p50", 0.5},
                 {"enqueued to handler, p90", 0.9},
                 {"enqueued to handler, p99", 0.99}};

    ms_meter_head("one job on an idle fleet");
    for (size_t i = 0; i < MS_COUNT_OF(parts); i++)
        ms_meter_line(parts[i].name, "us", ms_samples_at(ours, parts[i].part),
                      ms_samples_at(raw, parts[i].part));
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 1000;
    struct ms_samples ours = {0}, raw = {0};
    struct ms_test_redis *server;
    struct stamp *stamp;
    char *path;
    pid_t pid;

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    server = ms_test_redis_start(NULL);
    path = ms_xasprintf("%s/stamp", ms_test_dir());
    stamp = stamp_open(path);
    ms_test_text(server, "HSET ms:{main/" QUEUE "}:cfg max_workers 4");
    pid = start(server, stamp, true);
    measure_ours(server, stamp, path, n, &ours);
    stop(pid);
    pid = start(server, stamp, false);
    measure_raw(server, stamp, n, &raw);
    stop(pid);
    print(&ours, &raw);
    ms_samples_done(&ours);
    ms_samples_done(&raw);
    free(path);
    ms_test_redis_stop(server);
    return 0;
}

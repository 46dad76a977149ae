/*
 * bench_jobs: what a job costs, beside what bare lists in the same Redis cost.
 *
 *     bench_jobs [JOBS]        100000 unless said otherwise
 *
 * The reference is the reliable queue that one builds by hand: LPUSH to
 * enqueue, LMOVE to a list of what is being worked on, LREM when done;
 * pipelined as deep as muster's calls are long.  muster's jobs are real ones,
 * noop.echo through the slots of one worker, and nothing done is kept.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/enqueue.h"
#include "common/ulid.h"
#include "scripts.h"
#include "tests/bench/meter.h"

#define QUEUE       "bench"
#define STATS       "ms:{main/" QUEUE "}:stats"
#define BATCH       64 /* jobs a claim */
#define PAYLOAD_LEN 100
#define PICKUPS     500

static const char *const listpack_args[] = {"--hash-max-listpack-value", "1024",
                                            NULL};

/* ---- muster's side ---- */

/* A msgpack string of PAYLOAD_LEN bytes in all. */
static const char *payload(void)
{
    static char bytes[PAYLOAD_LEN];

    memset(bytes, 'x', sizeof(bytes));
    bytes[0] = (char)0xd9; /* str 8 */
    bytes[1] = PAYLOAD_LEN - 2;
    return bytes;
}

static void enqueue(struct ms_test_redis *server, size_t n)
{
    static char ids[MS_ENQUEUE_MAX][MS_ULID_LEN + 1];
    struct ms_new_job jobs[MS_ENQUEUE_MAX];
    char token[MS_ULID_LEN + 1];
    struct ms_cmd cmd = MS_CMD_INIT;

    for (size_t i = 0; i < n; i++) {
        ms_ulid_new(ids[i]);
        jobs[i] = (struct ms_new_job){.id = ids[i],
                                      .kind = "noop.echo",
                                      .payload = payload(),
                                      .payload_len = PAYLOAD_LEN,
                                      .priority = MS_PRIORITY_DEFAULT};
    }
    ms_ulid_new(token);
    ms_assert(ms_enqueue_build(&cmd, "main", QUEUE, token, jobs, n, 1 << 20,
                               NULL) == MS_OK);
    ms_assert(ms_test_run(server, &cmd)->type != MS_REPLY_ERROR);
}

static void enqueue_all(struct ms_test_redis *server, int64_t n)
{
    for (int64_t i = 0; i < n; i += MS_ENQUEUE_MAX)
        enqueue(server,
                (size_t)(n - i < MS_ENQUEUE_MAX ? n - i : MS_ENQUEUE_MAX));
}

/* What is done is kept nowhere, and the queue may use the whole worker. */
static void configure(struct ms_test_redis *server)
{
    ms_test_cmd(server, "SADD ms:{main}:queues " QUEUE);
    ms_test_cmd(server, "HSET ms:{main/" QUEUE "}:cfg max_workers 10000 "
                        "retain_done_max 0");
}

static struct ms_proc *worker_start(struct ms_test_redis *server,
                                    const char *concurrency)
{
    char *slots = ms_xasprintf("MUSTER_CONCURRENCY=%s", concurrency);
    char *url = ms_xasprintf("MUSTER_REDIS_URL=%s", ms_test_redis_url(server));
    const char *argv[] = {"muster-worker", NULL};
    const char *env[] = {url, slots, "MUSTER_QUEUES=" QUEUE,
                         "MUSTER_WORKER__HTTP=off", NULL};
    struct ms_proc *worker = ms_proc_start(argv, env);

    WAIT_FOR(30000, ms_test_num(server, "ZCARD ms:{main}:pods") == 1);
    free(slots);
    free(url);
    return worker;
}

static void worker_stop(struct ms_proc *worker)
{
    ms_proc_signal(worker, SIGTERM);
    ms_proc_wait(worker, 60000);
    ms_proc_free(worker);
}

static int64_t done(struct ms_test_redis *server)
{
    const char *text = ms_test_text(server, "HGET " STATS " done");

    return strtoll(text, NULL, 10); /* "(nil)" is 0 */
}

/* ---- the reference ---- */

static void raw_value(char out[PAYLOAD_LEN + 1], int64_t i)
{
    snprintf(out, PAYLOAD_LEN + 1, "%0*lld", PAYLOAD_LEN, (long long)i);
}

static void build_push(struct ms_cmd *cmd, int64_t i, void *arg)
{
    char value[PAYLOAD_LEN + 1];

    raw_value(value, i);
    ms_cmd_plain(cmd, "LPUSH", "raw", value, NULL);
}

/* A batch of takes, then a batch of their acks, and so on. */
static void build_drain(struct ms_cmd *cmd, int64_t i, void *arg)
{
    int64_t batch = i / BATCH;
    char value[PAYLOAD_LEN + 1];

    if (batch % 2 == 0) {
        ms_cmd_plain(cmd, "LMOVE", "raw", "taken", "RIGHT", "LEFT", NULL);
        return;
    }
    raw_value(value, batch / 2 * BATCH + i % BATCH);
    ms_cmd_plain(cmd, "LREM", "taken", "-1", value, NULL);
}

/* ---- throughput and Redis's work ---- */

/* What a stretch of work took. */
struct stretch {
    double seconds, cpu_us;
    int64_t calls, scripts;
};

static struct stretch stretch_begin(struct ms_test_redis *server)
{
    return (struct stretch){.cpu_us = ms_meter_cpu_us(server),
                            .calls = ms_meter_calls(server),
                            .scripts = ms_meter_calls_of(server, "evalsha"),
                            .seconds = (double)ms_clock_mono_us() / 1e6};
}

static struct stretch stretch_end(struct ms_test_redis *server,
                                  const struct stretch *begin)
{
    double now = (double)ms_clock_mono_us() / 1e6;

    return (struct stretch){.cpu_us = ms_meter_cpu_us(server) - begin->cpu_us,
                            .calls = ms_meter_calls(server) - begin->calls,
                            .scripts = ms_meter_calls_of(server, "evalsha") -
                                       begin->scripts,
                            .seconds = now - begin->seconds};
}

static void print_rates(const char *what, int64_t n, const struct stretch *ours,
                        const struct stretch *raw)
{
    double jobs = (double)n;

    ms_meter_head(what);
    ms_meter_line("jobs a second", "1/s", jobs / ours->seconds,
                  jobs / raw->seconds);
    ms_meter_line("Redis CPU per 1,000 jobs", "ms", ours->cpu_us / jobs,
                  raw->cpu_us / jobs);
}

static void measure_enqueue(struct ms_test_redis *server, int64_t n)
{
    struct stretch ours = stretch_begin(server), raw;

    enqueue_all(server, n);
    ours = stretch_end(server, &ours);
    raw = stretch_begin(server);
    ms_meter_pipeline(server, n, MS_ENQUEUE_MAX, build_push, NULL);
    raw = stretch_end(server, &raw);
    print_rates("enqueue, 500 a call", n, &ours, &raw);
}

static struct stretch drain(struct ms_test_redis *server, int64_t n)
{
    struct stretch begin = stretch_begin(server);
    int64_t before = done(server);
    struct ms_proc *worker = worker_start(server, "8");
    struct stretch all;

    WAIT_FOR(600000, done(server) - before == n);
    all = stretch_end(server, &begin);
    worker_stop(worker);
    return all;
}

/* The worker starts with a full queue; its start is in the time, and the
 * waiting bench's own look, 200 times a second, in the CPU. */
static void measure_drain(struct ms_test_redis *server, int64_t n)
{
    struct stretch ours = drain(server, n), raw = stretch_begin(server);

    ms_meter_pipeline(server, 2 * n, BATCH, build_drain, NULL);
    raw = stretch_end(server, &raw);
    ms_assert(ms_test_num(server, "LLEN taken") == 0);
    print_rates("drain by one worker of 8 slots", n, &ours, &raw);
    ms_meter_line("Redis commands per job", "in scripts too",
                  (double)ours.calls / (double)n,
                  (double)raw.calls / (double)n);
    ms_meter_alone("calls of scripts per 1,000 jobs", "",
                   1000.0 * (double)ours.scripts / (double)n);
}

/* Both at once: the queue is filled while the worker empties it. */
static void measure_stream(struct ms_test_redis *server, int64_t n)
{
    struct ms_proc *worker = worker_start(server, "8");
    struct stretch ours = stretch_begin(server), raw;
    int64_t before = done(server);

    enqueue_all(server, n);
    WAIT_FOR(600000, done(server) - before == n);
    ours = stretch_end(server, &ours);
    worker_stop(worker);
    raw = stretch_begin(server);
    ms_meter_pipeline(server, n, MS_ENQUEUE_MAX, build_push, NULL);
    ms_meter_pipeline(server, 2 * n, BATCH, build_drain, NULL);
    raw = stretch_end(server, &raw);
    print_rates("enqueue and drain together", n, &ours, &raw);
}

/* ---- pick-up on an idle fleet ---- */

/* From the enqueue to the claim, and to the finish: between the two lie the
 * way to a slot and back, and the handler. */
static void pickup_ours(struct ms_test_redis *server,
                        struct ms_samples *to_claim,
                        struct ms_samples *to_finish)
{
    struct ms_proc *worker = worker_start(server, "1");
    struct ms_monitor *monitor = ms_monitor_start(server);
    int64_t before = done(server);

    for (int i = 0; i < PICKUPS; i++) {
        int64_t pushed, claimed, finished;

        enqueue(server, 1);
        pushed = ms_monitor_wait(monitor, ms_script_enqueue.sha1, 10000);
        claimed = ms_monitor_wait(monitor, ms_script_claim.sha1, 10000);
        finished = ms_monitor_wait(monitor, ms_script_finish.sha1, 10000);
        ms_assert(pushed >= 0 && claimed >= 0 && finished >= 0);
        ms_samples_add(to_claim, (double)(claimed - pushed));
        ms_samples_add(to_finish, (double)(finished - pushed));
        WAIT_FOR(10000, done(server) - before == i + 1);
    }
    ms_monitor_stop(monitor);
    worker_stop(worker);
}

static void taker_say(struct ms_redis *redis, const char *const *words)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;

    for (; *words != NULL; words++)
        ms_cmd_args(&cmd, *words);
    if (ms_redis_call(redis, &cmd, 600000, &reply, NULL) != MS_OK)
        _exit(1);
    ms_reply_free(reply);
}

/* Takes, says that it begins, acknowledges, for ever. */
static void taker_run(const char *url)
{
    static const char *const take[] = {"BLMOVE", "hand", "hand.work", "RIGHT",
                                       "LEFT",   "0",    NULL};
    static const char *const begin[] = {"SET", "hand.begun", "1", NULL};
    static const char *const ack[] = {"LREM", "hand.work", "-1", "x", NULL};
    const struct ms_redis_options options = {.url = url};
    struct ms_redis *redis = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ms_redis_new(ev_loop_new(EVFLAG_AUTO), &options, &redis, NULL) !=
            MS_OK ||
        ms_redis_wait_up(redis, 10000, NULL) != MS_OK)
        _exit(1);
    for (;;) {
        taker_say(redis, take);
        taker_say(redis, begin);
        taker_say(redis, ack);
    }
}

/* The same of a bare hand-over to a process that waits in BLMOVE. */
static void pickup_raw(struct ms_test_redis *server, struct ms_samples *to_take,
                       struct ms_samples *to_ack)
{
    struct ms_monitor *monitor = ms_monitor_start(server);
    pid_t taker = fork();

    ms_assert(taker >= 0);
    if (taker == 0)
        taker_run(ms_test_redis_url(server));
    for (int i = 0; i < PICKUPS; i++) {
        int64_t pushed, taken, acked;

        ms_assert(ms_monitor_wait(monitor, "\"BLMOVE\"", 10000) >= 0);
        ms_test_cmd(server, "LPUSH hand x");
        pushed = ms_monitor_wait(monitor, "\"LPUSH\" \"hand\"", 10000);
        taken = ms_monitor_wait(monitor, "\"SET\" \"hand.begun\"", 10000);
        acked = ms_monitor_wait(monitor, "\"LREM\" \"hand.work\"", 10000);
        ms_assert(pushed >= 0 && taken >= 0 && acked >= 0);
        ms_samples_add(to_take, (double)(taken - pushed));
        ms_samples_add(to_ack, (double)(acked - pushed));
    }
    kill(taker, SIGKILL);
    waitpid(taker, NULL, 0);
    ms_monitor_stop(monitor);
}

static void measure_pickup(struct ms_test_redis *server)
{
    struct ms_samples ours[2] = {{0}}, raw[2] = {{0}};

    pickup_ours(server, &ours[0], &ours[1]);
    pickup_raw(server, &raw[0], &raw[1]);
    ms_meter_head("one job on an idle fleet");
    ms_meter_line("enqueued to claimed, p50", "us",
                  ms_samples_at(&ours[0], 0.5), ms_samples_at(&raw[0], 0.5));
    ms_meter_line("enqueued to claimed, p99", "us",
                  ms_samples_at(&ours[0], 0.99), ms_samples_at(&raw[0], 0.99));
    ms_meter_line("enqueued to finished, p50", "us",
                  ms_samples_at(&ours[1], 0.5), ms_samples_at(&raw[1], 0.5));
    ms_meter_line("enqueued to finished, p99", "us",
                  ms_samples_at(&ours[1], 0.99), ms_samples_at(&raw[1], 0.99));
    for (int i = 0; i < 2; i++) {
        ms_samples_done(&ours[i]);
        ms_samples_done(&raw[i]);
    }
}

/* ---- memory ---- */

static void measure_memory(const char *what, const char *const *args, int64_t n)
{
    struct ms_test_redis *server = ms_test_redis_start(args);
    int64_t start, ours, raw;

    configure(server);
    start = ms_meter_memory(server);
    enqueue_all(server, n);
    ours = ms_meter_memory(server) - start;
    start = ms_meter_memory(server);
    ms_meter_pipeline(server, n, MS_ENQUEUE_MAX, build_push, NULL);
    raw = ms_meter_memory(server) - start;
    ms_meter_line(what, "bytes", (double)ours / (double)n,
                  (double)raw / (double)n);
    ms_test_redis_stop(server);
}

int main(int argc, char **argv)
{
    int64_t n = argc > 1 ? strtoll(argv[1], NULL, 10) : 100000;
    struct ms_test_redis *server;

    if (n < 1) {
        fprintf(stderr, "usage: bench_jobs [JOBS]\n");
        return 2;
    }
    n = (n + BATCH - 1) / BATCH * BATCH;
    printf("%lld jobs of %d bytes\n", (long long)n, PAYLOAD_LEN);
    server = ms_test_redis_start(listpack_args);
    configure(server);
    measure_enqueue(server, n);
    measure_drain(server, n);
    measure_stream(server, n);
    measure_pickup(server);
    ms_test_redis_stop(server);
    ms_meter_head("memory of a queued job");
    measure_memory("hash-max-listpack-value 1024", listpack_args, n);
    measure_memory("hash-max-listpack-value 64", NULL, n);
    return 0;
}

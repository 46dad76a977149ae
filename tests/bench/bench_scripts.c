/*
 * bench_scripts: what the scripts cost Redis, in ms of its CPU per 1,000
 * jobs, and what a queued job costs in bytes.
 *
 *     bench_scripts [jobs [batch]]        20000 jobs; batches of 1, 8 and 64
 *
 * Redis's own CPU is measured (INFO cpu), so that the client's speed and the
 * machine's other load matter little.  The reference is what every queue with
 * leases pays: take an id, lend it (ZADD), give it back (ZREM), in a pipeline.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/enqueue.h"
#include "common/keys.h"
#include "common/lease.h"
#include "common/ulid.h"
#include "tests/bench/meter.h"
#include "tests/support/core.h"

#define PAYLOAD_LEN 100
#define CAP         "1000000"

static double cpu_ms(struct ms_test_redis *redis)
{
    return ms_meter_cpu_us(redis) / 1000;
}

static void report(const char *what, int batch, double ms, int n)
{
    printf("%-28s batch %3d  %7.2f ms per 1,000 jobs\n", what, batch,
           ms * 1000 / n);
    fflush(stdout);
}

static void fill(struct ms_test_redis *redis, int n, int batch)
{
    static char payload[PAYLOAD_LEN];
    static char ids[MS_ENQUEUE_MAX][MS_ULID_LEN + 1];
    struct ms_new_job jobs[MS_ENQUEUE_MAX];
    char token[MS_ULID_LEN + 1];

    memset(payload, 'x', sizeof(payload));
    for (int i = 0; i < n; i += batch) {
        struct ms_cmd cmd = MS_CMD_INIT;

        for (int k = 0; k < batch; k++) {
            ms_ulid_new(ids[k]);
            jobs[k] = NEW_JOB(.id = ids[k], .kind = "noop.echo",
                              .payload = payload, .payload_len = PAYLOAD_LEN);
        }
        ms_ulid_new(token);
        ms_enqueue_build(&cmd, "m", "q", token, jobs, (size_t)batch, 1000,
                         NULL);
        CHECK(ms_reply_is(ms_reply_at(ms_test_run(redis, &cmd), 0), "ok"));
    }
}

/* All jobs that are lent now, in the order of their claims. */
struct lent {
    struct {
        char id[MS_ULID_LEN + 1];
        int64_t fence;
    } * jobs;
    size_t from, to;
};

static void on_claimed(const struct ms_claimed *job, void *arg)
{
    struct lent *lent = arg;

    snprintf(lent->jobs[lent->to].id, MS_ULID_LEN + 1, "%.26s", job->id);
    lent->jobs[lent->to++].fence = job->fence;
}

static void on_finished(size_t i, enum ms_finish_status status, void *arg)
{
    CHECK_INT(status, ==, MS_FINISH_OK);
    ((struct lent *)arg)->from++;
}

static const struct ms_tenant who = {"m", "q", "01BENCHPOD"};

static void claim(struct ms_test_redis *redis, int batch, struct lent *lent)
{
    struct ms_claim_ask ask = {batch, 30000, ",noop.echo,"};
    struct ms_claim_answer answer;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_claim_build(&cmd, &who, &ask);
    CHECK_INT(ms_claim_parse(ms_test_run(redis, &cmd), &answer, on_claimed,
                             lent, NULL),
              ==, MS_OK);
    CHECK_INT(answer.n_jobs, ==, batch);
}

/* Finishes the first `batch` of those that are lent, claims `limit` anew. */
static void finish(struct ms_test_redis *redis, int batch, int limit,
                   struct lent *lent)
{
    struct ms_claim_ask ask = {limit, 30000, ",noop.echo,"};
    struct ms_finish jobs[MS_CLAIM_MAX];
    struct ms_claim_answer answer;
    struct ms_cmd cmd = MS_CMD_INIT;

    for (int i = 0; i < batch; i++)
        jobs[i] = (struct ms_finish){
            .id = lent->jobs[lent->from + (size_t)i].id,
            .fence = lent->jobs[lent->from + (size_t)i].fence,
            .kind = MS_FINISH_DONE,
            .text = "",
            .move = NO_MOVE,
        };
    ms_finish_build(&cmd, &who, jobs, (size_t)batch, &ask);
    CHECK_INT(ms_finish_parse(ms_test_run(redis, &cmd), (size_t)batch,
                              on_finished, &answer, on_claimed, lent, NULL),
              ==, MS_OK);
    CHECK_INT(answer.n_jobs, ==, limit);
}

static void measure_apart(struct ms_test_redis *redis, struct lent *lent, int n,
                          int batch)
{
    double start = cpu_ms(redis);

    fill(redis, n, batch);
    report("enqueue", batch, cpu_ms(redis) - start, n);
    lent->from = lent->to = 0;
    start = cpu_ms(redis);
    for (int i = 0; i < n / batch; i++)
        claim(redis, batch, lent);
    report("claim", batch, cpu_ms(redis) - start, n);
    start = cpu_ms(redis);
    for (int i = 0; i < n / batch; i++)
        finish(redis, batch, 0, lent);
    report("finish", batch, cpu_ms(redis) - start, n);
}

static void measure_together(struct ms_test_redis *redis, struct lent *lent,
                             int n, int batch)
{
    double start;

    fill(redis, n, batch);
    lent->from = lent->to = 0;
    start = cpu_ms(redis);
    claim(redis, batch, lent);
    for (int i = 1; i < n / batch; i++)
        finish(redis, batch, batch, lent);
    finish(redis, batch, 0, lent);
    report("finish + next claim", batch, cpu_ms(redis) - start, n);
}

/* ZADD and ZREM of as many ids a call. */
static void measure_bare(struct ms_test_redis *redis, int n, int batch)
{
    double start = cpu_ms(redis);

    for (int i = 0; i < n; i += batch) {
        struct ms_cmd lend = MS_CMD_INIT;
        struct ms_cmd ack = MS_CMD_INIT;

        ms_cmd_plain(&lend, "ZADD", "bare", NULL);
        ms_cmd_plain(&ack, "ZREM", "bare", NULL);
        for (int k = 0; k < batch; k++) {
            ms_cmd_argi(&lend, 1700000000000 + i);
            ms_cmd_argf(&lend, "01BENCHJOB%016d", i + k);
            ms_cmd_argf(&ack, "01BENCHJOB%016d", i + k);
        }
        ms_test_run(redis, &lend);
        ms_test_run(redis, &ack);
    }
    report("bare ZADD + ZREM", batch, cpu_ms(redis) - start, n);
}

static void measure_memory(struct ms_test_redis *redis, int n,
                           const char *listpack)
{
    int64_t before;

    ms_test_cmd(redis, "FLUSHALL");
    ms_test_cmd(redis, "CONFIG SET hash-max-listpack-value %s", listpack);
    before = ms_meter_memory(redis);
    fill(redis, n, 100);
    ms_test_cmd(redis, "EVAL %s 0",
                "for _, k in ipairs(redis.call('KEYS', '*token*')) do "
                "redis.call('DEL', k) end"); /* they go by themselves */
    printf("memory of a queued job, hash-max-listpack-value %4s: %lld bytes\n",
           listpack, (long long)(ms_meter_memory(redis) - before) / n);
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 20000;
    static const int batches[] = {1, 8, 64};
    struct ms_test_redis *redis = ms_test_redis_start(NULL);
    struct lent lent;

    n -= n % 256;
    lent.jobs = ms_xcalloc((size_t)n, sizeof(*lent.jobs));
    ms_test_cmd(redis, "CONFIG SET hash-max-listpack-value 1024");
    ms_test_cmd(redis, "HSET %s max_workers " CAP " retain_done_max 0",
                K("cfg"));
    for (size_t i = 0; i < MS_COUNT_OF(batches); i++) {
        if (argc > 2 && atoi(argv[2]) != batches[i])
            continue;
        measure_bare(redis, n, batches[i]);
        measure_apart(redis, &lent, n, batches[i]);
        measure_together(redis, &lent, n, batches[i]);
    }
    measure_memory(redis, n, "1024");
    measure_memory(redis, n, "64");
    ms_test_redis_stop(redis);
    free(lent.jobs);
    return 0;
}

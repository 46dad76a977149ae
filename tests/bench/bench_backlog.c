/*
 * bench_backlog: does anything feel the backlog?  The slowest call of every
 * script of a queue at its default batch, with few and with many jobs waiting,
 * and what a claimed and finished job costs Redis at both.
 *
 *     bench_backlog [jobs [few]]          1000000 and 10000
 *
 * Each call is measured inside Redis: its time by SLOWLOG, and the CPU time of
 * Redis's thread around it (schedstat; reading and answering included), which
 * other work on the machine does not lengthen.  A call is called slow (!) when
 * both are over 5 ms.  Half of the jobs are of no group, the others of 1,000.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/admin.h"
#include "common/enqueue.h"
#include "common/keys.h"
#include "common/lease.h"
#include "common/parent.h"
#include "common/tidy.h"
#include "common/ulid.h"
#include "tests/bench/meter.h"
#include "tests/support/core.h"

#define FLEET   "m"
#define QUEUE   "q"
#define POD     "01BENCHPOD"
#define KINDS   ",k,"
#define ROUNDS  50   /* calls of each sort */
#define SLOW_US 5000 /* no call of any script may take longer */
#define ROUND   64   /* jobs of a claim and finish, for the rate */
#define PODS    MS_CLAIM_BATCH
#define GROUPS  1000

/* ---- what was measured ---- */

struct sort {
    const char *what;
    struct ms_samples wall, cpu; /* us */
};

struct bench {
    struct ms_test_redis *redis;
    struct sort sorts[64];
    size_t n_sorts;
    int64_t n_enqueued; /* ids so far: "j0", "j1", ... */
    struct {
        char id[32];
        int64_t fence;
    } lent[MS_CLAIM_MAX];
    size_t n_lent;
    const char *queue;
    double cpu_us; /* of the last call */
    int n_slow;
};

static struct sort *sort_of(struct bench *b, const char *what)
{
    for (size_t i = 0; i < b->n_sorts; i++)
        if (strcmp(b->sorts[i].what, what) == 0)
            return &b->sorts[i];
    ms_assert(b->n_sorts < MS_COUNT_OF(b->sorts));
    b->sorts[b->n_sorts].what = what;
    return &b->sorts[b->n_sorts++];
}

static void die(const char *what, const char *answer)
{
    fprintf(stderr, "bench_backlog: %s: %s\n", what == NULL ? "?" : what,
            answer);
    abort(); /* its Redis dies with us */
}

/* Runs the script; note() behind it, when the answer was read. */
static const struct ms_reply *run(struct bench *b, struct ms_cmd *cmd)
{
    const struct ms_reply *reply;

    b->cpu_us = -ms_meter_thread_us(b->redis);
    reply = ms_test_run(b->redis, cmd);
    b->cpu_us += ms_meter_thread_us(b->redis);
    if (reply->type == MS_REPLY_ERROR)
        die("Redis", reply->str);
    return reply;
}

/* What the last call took; `what` NULL: nothing is noted. */
static void note(struct bench *b, const char *what)
{
    if (what == NULL)
        return;
    ms_samples_add(&sort_of(b, what)->cpu, b->cpu_us);
    ms_samples_add(&sort_of(b, what)->wall, ms_meter_last_us(b->redis));
}

static void run_any(struct bench *b, const char *what, struct ms_cmd *cmd)
{
    run(b, cmd);
    note(b, what);
}

/* The answer must begin with "ok". */
static void run_ok(struct bench *b, const char *what, struct ms_cmd *cmd)
{
    const struct ms_reply *reply = run(b, cmd);

    if (!ms_reply_is(ms_reply_at(reply, 0), "ok"))
        die(what, ms_reply_str(ms_reply_at(reply, 0), "?"));
    note(b, what);
}

static void print_sorts(struct bench *b, int64_t n)
{
    printf("\n%lld jobs waiting%-24s  calls  median us   most us  CPU of the "
           "dearest us\n",
           (long long)n, "");
    for (size_t i = 0; i < b->n_sorts; i++) {
        struct sort *s = &b->sorts[i];
        double wall = ms_samples_at(&s->wall, 1);
        double cpu = ms_samples_at(&s->cpu, 1);
        bool slow = wall > SLOW_US && cpu > SLOW_US;

        printf("  %-40s %5zu %10.0f %9.0f %9.0f%s\n", s->what, s->wall.n,
               ms_samples_at(&s->wall, 0.5), wall, cpu, slow ? "  !" : "");
        b->n_slow += slow;
        ms_samples_done(&s->wall);
        ms_samples_done(&s->cpu);
    }
    b->n_sorts = 0;
    fflush(stdout);
}

/* ---- jobs ---- */

struct shape {
    int64_t delay_ms;
    bool plain; /* of no group */
    bool unique;
    enum ms_unique_mode mode;
};

static void enqueue(struct bench *b, const char *what, size_t n,
                    const struct shape *shape)
{
    static char payload[100], ids[MS_ENQUEUE_MAX][32];
    static char groups[MS_ENQUEUE_MAX][16], keys[MS_ENQUEUE_MAX][16];
    struct ms_new_job jobs[MS_ENQUEUE_MAX];
    char token[MS_ULID_LEN + 1];
    struct ms_cmd cmd = MS_CMD_INIT;

    memset(payload, 'x', sizeof(payload));
    for (size_t i = 0; i < n; i++) {
        int64_t k = b->n_enqueued++;

        snprintf(ids[i], sizeof(ids[i]), "j%lld", (long long)k);
        snprintf(groups[i], sizeof(groups[i]), "g%lld",
                 (long long)(k / 2 % GROUPS));
        snprintf(keys[i], sizeof(keys[i]), "u%zu", i);
        jobs[i] =
            NEW_JOB(.id = ids[i], .payload = payload,
                    .payload_len = sizeof(payload),
                    .group = k % 2 == 0 || shape->plain ? NULL : groups[i],
                    .delay_ms = shape->delay_ms,
                    .unique = shape->unique ? keys[i] : NULL,
                    .unique_mode = shape->mode);
    }
    ms_ulid_new(token);
    ms_assert(ms_enqueue_build(&cmd, FLEET, b->queue, token, jobs, n, 1000,
                               NULL) == MS_OK);
    run_ok(b, what, &cmd);
    ms_test_cmd(b->redis, "UNLINK ms:{" FLEET "/%s}:token:%s", b->queue, token);
}

static const struct shape usual = {0};

/* An id of a job that was enqueued some time ago. */
static const char *old_id(struct bench *b)
{
    static char id[32];
    static int64_t step;

    step += 7919;
    snprintf(id, sizeof(id), "j%lld", (long long)(step % b->n_enqueued));
    return id;
}

static void set(struct bench *b, const char *field, const char *value)
{
    ms_test_cmd(b->redis, "HSET ms:{" FLEET "/%s}:cfg %s %s", b->queue, field,
                value);
}

/* ---- what pods do ---- */

static struct ms_tenant who(const struct bench *b)
{
    return (struct ms_tenant){FLEET, b->queue, POD};
}

static void on_claimed(const struct ms_claimed *job, void *arg)
{
    struct bench *b = arg;

    snprintf(b->lent[b->n_lent].id, sizeof(b->lent[0].id), "%.31s", job->id);
    b->lent[b->n_lent++].fence = job->fence;
}

static void on_finished(size_t i, enum ms_finish_status status, void *arg)
{
    ms_assert(status == MS_FINISH_OK);
}

static void claim(struct bench *b, const char *what, int limit,
                  const char *kinds)
{
    struct ms_tenant of = who(b);
    struct ms_claim_ask ask = {limit, TTL, kinds};
    struct ms_claim_answer answer;
    struct ms_cmd cmd = MS_CMD_INIT;

    b->n_lent = 0;
    ms_claim_build(&cmd, &of, &ask);
    ms_assert(ms_claim_parse(run(b, &cmd), &answer, on_claimed, b, NULL) ==
              MS_OK);
    note(b, what);
}

/* Finishes what is lent, and claims `limit`. */
static void finish(struct bench *b, const char *what, enum ms_finish_kind kind,
                   int limit)
{
    struct ms_tenant of = who(b);
    static char ids[MS_CLAIM_MAX][32];
    struct ms_claim_ask ask = {limit, TTL, KINDS};
    struct ms_finish jobs[MS_CLAIM_MAX];
    struct ms_claim_answer answer;
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t n = b->n_lent;

    for (size_t i = 0; i < n; i++) {
        memcpy(ids[i], b->lent[i].id, sizeof(ids[i]));
        jobs[i] = (struct ms_finish){
            .id = ids[i],
            .fence = b->lent[i].fence,
            .kind = kind,
            .text = kind == MS_FINISH_DONE ? "" : "it broke",
            .text_len = kind == MS_FINISH_DONE ? 0 : 8,
            .move = NO_MOVE,
        };
    }
    ms_finish_build(&cmd, &of, jobs, n, &ask);
    b->n_lent = 0;
    ms_assert(ms_finish_parse(run(b, &cmd), n, on_finished, &answer, on_claimed,
                              b, NULL) == MS_OK);
    note(b, what);
}

static void renew(struct bench *b)
{
    struct ms_tenant of = who(b);
    struct ms_renewal jobs[MS_CLAIM_MAX];
    struct ms_cmd cmd = MS_CMD_INIT;

    for (size_t i = 0; i < b->n_lent; i++)
        jobs[i] = (struct ms_renewal){b->lent[i].id, b->lent[i].fence, NO_MOVE};
    ms_renew_build(&cmd, &of, TTL, true, jobs, b->n_lent);
    run_ok(b, "renew 128", &cmd);
}

static void release(struct bench *b, const char *what)
{
    struct ms_tenant of = who(b);
    struct ms_release jobs[MS_CLAIM_MAX];
    struct ms_cmd cmd = MS_CMD_INIT;

    for (size_t i = 0; i < b->n_lent; i++)
        jobs[i] = (struct ms_release){b->lent[i].id, b->lent[i].fence, 0, "",
                                      NO_MOVE};
    ms_release_build(&cmd, &of, jobs, b->n_lent);
    run_ok(b, what, &cmd);
}

static void measure_pods(struct bench *b)
{
    for (int i = 0; i < ROUNDS; i++) {
        claim(b, "claim 8", 8, KINDS);
        finish(b, "finish 8 + claim 8", MS_FINISH_DONE, 8);
        finish(b, NULL, MS_FINISH_DONE, 0);
        claim(b, "claim 128", PODS, KINDS);
        renew(b);
        finish(b, "finish 128 + claim 128", MS_FINISH_DONE, PODS);
        finish(b, "finish 128 failed", MS_FINISH_FAILED, 0);
        claim(b, NULL, PODS, KINDS);
        finish(b, "finish 128 dead", MS_FINISH_DEAD, 0);
        claim(b, NULL, PODS, KINDS);
        finish(b, "finish 128 throttled", MS_FINISH_THROTTLED, 0);
        ms_test_cmd(b->redis, "HDEL %s throttled_until_ms", K("meta"));
        claim(b, NULL, PODS, KINDS);
        release(b, "release 128");
        for (int k = 0; k < 16; k++)
            enqueue(b, "enqueue 50", MS_ENQUEUE_BATCH, &usual);
    }
}

/* A pod dies with 128 jobs: by its leases, and by its name. */
static void measure_crashes(struct bench *b)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    set(b, "crash_limit", "1000000");
    for (int i = 0; i < ROUNDS; i++) {
        claim(b, NULL, PODS, KINDS);
        for (int k = 0; k < 10 && k < (int)b->n_lent; k++)
            ms_test_cmd(b->redis, "ZADD %s XX 5 %s", K("leases"),
                        b->lent[k].id);
        claim(b, "claim 128, 10 leases ended", PODS, KINDS);
        ms_test_cmd(b->redis, "ZUNIONSTORE %s 1 %s WEIGHTS 0", K("leases"),
                    K("leases"));
        ms_reap_build(&cmd, FLEET, QUEUE, 1, NULL);
        run_ok(b, "reap of 50 ended leases", &cmd);
        ms_reap_build(&cmd, FLEET, QUEUE, 1, POD);
        run_ok(b, "reap of 50 ended and 50 of a pod", &cmd);
        while (ms_test_num(b->redis, "ZCARD %s", K("leases")) > 0) {
            ms_reap_build(&cmd, FLEET, QUEUE, 1, POD);
            run_ok(b, NULL, &cmd);
        }
    }
}

/* ---- what producers ask for beside plain jobs ---- */

/* A full queue drops the oldest. */
static void measure_full(struct bench *b)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    set(b, "when_full", "drop_oldest");
    for (int i = 0; i < ROUNDS; i++) {
        struct ms_queue_info info;

        ms_queue_info_build(&cmd, FLEET, QUEUE);
        ms_assert(ms_queue_info_parse(run(b, &cmd), &info, NULL) == MS_OK);
        note(b, "queue_info");
        ms_test_cmd(b->redis, "HSET %s max_length %lld", K("cfg"),
                    (long long)(info.ready + info.scheduled));
        enqueue(b, "enqueue 50, dropping 50", MS_ENQUEUE_BATCH, &usual);
    }
    set(b, "max_length", "0");
}

static void measure_producers(struct bench *b)
{
    struct shape later = {.delay_ms = 3600000};
    struct shape soon = {.delay_ms = 1};
    struct shape replace = {.unique = true, .mode = MS_UNIQUE_REPLACE};
    struct shape debounce = {.unique = true,
                             .mode = MS_UNIQUE_DEBOUNCE,
                             .delay_ms = 3600000};
    struct ms_cmd cmd = MS_CMD_INIT;

    for (int i = 0; i < ROUNDS; i++) {
        enqueue(b, "enqueue 50, delayed", MS_ENQUEUE_BATCH, &later);
        enqueue(b, "enqueue 50, replacing 50", MS_ENQUEUE_BATCH, &replace);
        enqueue(b, "enqueue 50, debouncing 50", MS_ENQUEUE_BATCH, &debounce);
        enqueue(b, NULL, 200, &soon);
        ms_reap_build(&cmd, FLEET, QUEUE, 1, NULL);
        run_ok(b, "reap of 50 due jobs", &cmd);
        claim(b, "claim 128, 32 of many due", PODS, KINDS);
        release(b, NULL);
    }
}

/* ---- what operators and the leader ask for ---- */

static void measure_single(struct bench *b)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    for (int i = 0; i < ROUNDS; i++) {
        const char *id = old_id(b);

        ms_cancel_build(&cmd, FLEET, QUEUE, id, "bench");
        run_any(b, "cancel", &cmd);
        ms_retry_build(&cmd, FLEET, QUEUE, id, NULL, 0);
        run_any(b, "retry", &cmd);
        ms_run_now_build(&cmd, FLEET, QUEUE, old_id(b));
        run_any(b, "run_now", &cmd);
        ms_delete_build(&cmd, FLEET, QUEUE, id);
        run_any(b, "delete", &cmd);
        ms_pause_build(&cmd, FLEET, QUEUE, true);
        run_any(b, "pause", &cmd);
        ms_pause_build(&cmd, FLEET, QUEUE, false);
        run_any(b, "pause", &cmd);
    }
}

/* At most `rounds` slices of a bulk. */
static void bulk(struct bench *b, const char *what, const char *verb,
                 const char *state, int64_t rounds)
{
    char cursor[64] = "";
    int64_t n;

    do {
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_bulk_build(&cmd, FLEET, QUEUE, verb, state, NULL, cursor);
        ms_assert(ms_bulk_parse(run(b, &cmd), &n, cursor, NULL) == MS_OK);
        note(b, what);
    } while (--rounds > 0 && cursor[0] != '\0');
}

static void measure_bulk(struct bench *b, int64_t n)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t most = n / 64 / 8 < 400 ? n / 64 / 8 : 400;

    bulk(b, "bulk cancel of ready", "cancel", "ready", most);
    bulk(b, "bulk retry of dead", "retry", "dead", most / 4);
    bulk(b, "bulk delete of dead", "delete", "dead", most / 4);
    bulk(b, "bulk delete of ready", "delete", "ready", most / 4);
    bulk(b, "bulk delete of done", "delete", "done", 8);
    bulk(b, "bulk cancel of scheduled", "cancel", "scheduled", 8);
    bulk(b, "bulk delete of scheduled", "delete", "scheduled", 8);
    set(b, "retain_dead_ms", "1");
    set(b, "retain_done_max", "100");
    for (int64_t i = 0; i < most / 4 + 4; i++) {
        ms_retain_build(&cmd, FLEET, QUEUE, 1);
        run_ok(b, "retain", &cmd);
    }
}

static void measure_parking(struct bench *b)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    for (int i = 0; i < ROUNDS; i++)
        claim(b, "claim 128 that parks them", PODS, ",other,");
    for (int i = 0; i < ROUNDS / 2; i++) {
        ms_unpark_build(&cmd, FLEET, QUEUE, 1, KINDS);
        run_ok(b, "unpark", &cmd);
        claim(b, "claim 128 that moves parked ones back", PODS, KINDS);
        release(b, NULL);
    }
    bulk(b, "bulk delete of parked", "delete", "parked", 8);
}

static void spawn(struct bench *b, const char *parent, int64_t first)
{
    static char payload[100];
    struct ms_chunk_new chunks[MS_SPAWN_MAX];
    struct ms_spawn ask = {FLEET,        QUEUE, parent, 1,      first,
                           "dump.chunk", "",    0,      chunks, MS_SPAWN_MAX};
    struct ms_cmd cmd = MS_CMD_INIT;

    for (int i = 0; i < MS_SPAWN_MAX; i++)
        chunks[i] = (struct ms_chunk_new){payload, sizeof(payload)};
    ms_spawn_build(&cmd, &ask);
    run_ok(b, "spawn 200", &cmd);
}

/* All children of a parent, step by step. */
static void children(struct bench *b, const char *what, const char *parent,
                     bool revive)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t next = 0, n;

    while (next >= 0) {
        ms_children_build(&cmd, FLEET, QUEUE, parent, 1, revive, next);
        ms_assert(ms_children_parse(run(b, &cmd), &next, &n, NULL) == MS_OK);
        note(b, what);
    }
}

static void measure_parents(struct bench *b)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    for (int i = 0; i < ROUNDS / 4; i++) {
        struct ms_new_job job;
        char id[32], token[MS_ULID_LEN + 1];

        snprintf(id, sizeof(id), "parent%d", i);
        job = NEW_JOB(.id = id, .parent = true);
        ms_ulid_new(token);
        ms_assert(ms_enqueue_build(&cmd, FLEET, QUEUE, token, &job, 1, 10,
                                   NULL) == MS_OK);
        run_ok(b, NULL, &cmd);
        for (int64_t first = 0; first < 1000; first += MS_SPAWN_MAX)
            spawn(b, id, first);
        children(b, "children, a step stopped", id, false);
        children(b, "children, a step revived", id, true);
        children(b, NULL, id, false);
        ms_conclude_build(&cmd, FLEET, QUEUE, id, 1, false, "no", 2);
        run_ok(b, "conclude", &cmd);
        for (int k = 0; k < 3; k++) {
            ms_delete_build(&cmd, FLEET, QUEUE, id);
            run_any(b, "delete of a parent, 400 chunks a call", &cmd);
        }
    }
}

/* ---- pages of lists: no scripts, but they must not hold Redis up either ----
 */

static void page(struct bench *b, const char *what, const char *command)
{
    b->cpu_us = -ms_meter_thread_us(b->redis);
    ms_test_cmd(b->redis, command);
    b->cpu_us += ms_meter_thread_us(b->redis);
    note(b, what);
}

static void measure_pages(struct bench *b, int64_t n)
{
    char deep[128];

    snprintf(deep, sizeof(deep), "LRANGE %s %lld %lld", K("ready:5:-"),
             (long long)n / 4, (long long)n / 4 + 99);
    for (int i = 0; i < ROUNDS; i++) {
        page(b, "a page of ready, deep in the list", deep);
        page(b, "a page of scheduled",
             "ZRANGE " K("scheduled") " 5000 5099 WITHSCORES");
    }
}

/* ---- the rate ---- */

static const struct shape plain = {.plain = true};

static void begin(struct bench *b, const char *queue)
{
    b->queue = queue;
    b->n_enqueued = 0;
    b->n_lent = 0;
    set(b, "max_workers", "1000000");
    set(b, "backoff_base_ms", "1"); /* who failed waits with the others soon */
    set(b, "max_attempts", "1000000");
}

static void rate_begin(struct bench *b, const char *queue, int64_t n)
{
    begin(b, queue);
    set(b, "retain_done_max", "0");
    for (int64_t left = n; left > 0; left -= 500)
        enqueue(b, NULL, 500, &plain);
}

/* One round of claiming and finishing 64; as many come in again. */
static void rate_round(struct bench *b, const char *queue,
                       struct ms_samples *cpu)
{
    double us;

    b->queue = queue;
    claim(b, NULL, ROUND, KINDS);
    us = b->cpu_us;
    ms_assert(b->n_lent == ROUND);
    finish(b, NULL, MS_FINISH_DONE, 0);
    ms_samples_add(cpu, us + b->cpu_us);
    enqueue(b, NULL, ROUND, &plain);
}

/* Both queues in turn, in one Redis, so that what slows the machine down slows
 * both; of each the median. */
static void measure_rate(struct bench *b, int64_t few, int64_t many)
{
    struct ms_samples few_us = {0}, many_us = {0};
    double f, m;

    rate_begin(b, "few", few);
    rate_begin(b, "many", many);
    b->n_enqueued = few + many; /* ids that neither has */
    for (int i = 0; i < 3000; i++) {
        rate_round(b, "few", &few_us);
        rate_round(b, "many", &many_us);
    }
    f = ms_samples_at(&few_us, 0.5) / ROUND;
    m = ms_samples_at(&many_us, 0.5) / ROUND;
    printf("%8lld jobs waiting: %.2f us of Redis's CPU a job claimed and "
           "finished, %.0f/s\n%8lld jobs waiting: %.2f us, %.0f/s; %.3f of "
           "that rate\n",
           (long long)few, f, 1e6 / f, (long long)many, m, 1e6 / m, f / m);
    ms_samples_done(&few_us);
    ms_samples_done(&many_us);
    ms_test_cmd(b->redis, "FLUSHALL");
    fflush(stdout);
}

static void measure_calls(struct bench *b, int64_t n)
{
    ms_test_cmd(b->redis, "FLUSHALL");
    begin(b, QUEUE);
    for (int64_t left = n; left > 0; left -= 500)
        enqueue(b, NULL, 500, &usual);
    measure_pods(b);
    measure_crashes(b);
    measure_full(b);
    measure_producers(b);
    measure_pages(b, n);
    measure_single(b);
    measure_parking(b);
    measure_parents(b);
    measure_bulk(b, n);
    print_sorts(b, n);
}

int main(int argc, char **argv)
{
    int64_t many = argc > 1 ? atoll(argv[1]) : 1000000;
    int64_t few = argc > 2 ? atoll(argv[2]) : 10000;
    struct bench *b = ms_xcalloc(1, sizeof(*b));
    int n_slow;

    b->redis = ms_test_redis_start(NULL);
    ms_test_cmd(b->redis, "CONFIG SET hash-max-listpack-value 1024");
    ms_test_cmd(b->redis, "CONFIG SET slowlog-log-slower-than 0");
    measure_rate(b, few, many);
    measure_calls(b, few);
    measure_calls(b, many);
    n_slow = b->n_slow;
    printf("\n%d sorts of calls over %d ms\n", n_slow, SLOW_US / 1000);
    ms_test_redis_stop(b->redis);
    free(b);
    return n_slow == 0 ? 0 : 1;
}

/* Jobs through real children: placing, queueing, taking back, answers. */
#include "tests/worker/fixture_slots.h"

#include "worker/handlers.h"

#define CONF "fleet: t\n"

/* ---- handlers, run in the children ---- */

/* {"ms": n}: short or long, as the payload says; null: at once. */
static enum ms_outcome handle_vary(struct ms_ctx *ctx)
{
    ms_ctx_sleep(ctx, ms_val_int(ms_ctx_payload(ctx), "ms", 0));
    return MS_DONE;
}

/* Tells three checkpoints, at most `ahead` uncommitted. */
static enum ms_outcome handle_steps(struct ms_ctx *ctx)
{
    int ahead = (int)ms_val_int(ms_ctx_payload(ctx), "ahead", 0);
    char cursor[] = "\x00";

    for (int i = 1; i <= 3; i++) {
        struct ms_reject reject = {i * 10, "bad"};
        struct ms_checkpoint step = {.seq = ms_ctx_job(ctx)->seq + i,
                                     .cursor = {cursor, 1},
                                     .progress = i / 3.0,
                                     .sums = {{"docs", i * 100}},
                                     .n_sums = 1,
                                     .rejects = &reject,
                                     .n_rejects = i == 2};

        cursor[0] = (char)i;
        ms_ctx_checkpoint(ctx, &step, ahead);
    }
    return MS_DONE;
}

/* Rejects without end, and no waiting for anybody. */
static enum ms_outcome handle_flood(struct ms_ctx *ctx)
{
    static struct ms_reject rejects[100];
    struct ms_checkpoint step = {.rejects = rejects, .n_rejects = 100};

    while (ms_ctx_stop_wanted(ctx) == MS_STOP_NONE) {
        step.seq++;
        ms_ctx_checkpoint(ctx, &step, 0);
    }
    return MS_CANCELLED;
}

/* What this child can see of the world. */
static enum ms_outcome handle_inside(struct ms_ctx *ctx)
{
    const char *secret = getenv("SECRET_OF_TEST");
    char text[600] = "", link[300], path[64];
    ssize_t len;

    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        len = readlink(path, link, sizeof(link) - 1);
        if (len > 0)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d ",
                     fd);
    }
    ms_ctx_set_error(ctx, "fds=%ssid=%d secret=%s pod=%s fleet=%s attempt=%lld",
                     text, getsid(0) == getpid(),
                     secret == NULL ? "none" : secret, ms_ctx_pod(ctx),
                     ms_ctx_conf(ctx)->fleet,
                     (long long)ms_ctx_job(ctx)->attempt);
    return MS_FAILED;
}

static enum ms_outcome handle_fail(struct ms_ctx *ctx)
{
    ms_ctx_set_error(ctx, "no \xff luck");
    ms_ctx_set_delay(ctx, 1500);
    return MS_THROTTLED;
}

/* The id of this child's own connection. */
static enum ms_outcome handle_redis(struct ms_ctx *ctx)
{
    struct ms_redis *redis = ms_ctx_redis(ctx);
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply;
    struct ms_error error;

    if (redis == NULL)
        return MS_FAILED;
    ms_cmd_plain(&cmd, "CLIENT", "ID", NULL);
    if (ms_redis_call(redis, &cmd, 5000, &reply, &error) != MS_OK) {
        ms_ctx_set_error(ctx, "%s", error.text);
        return MS_FAILED;
    }
    ms_ctx_set_error(ctx, "%lld", (long long)reply->num);
    ms_reply_free(reply);
    return MS_DEAD;
}

/* Runs its loop instead of sleeping; sees a stop all the same. */
static void on_nap(struct ev_loop *loop, ev_timer *watcher, int revents)
{
}

static enum ms_outcome handle_loop(struct ms_ctx *ctx)
{
    struct ev_loop *loop = ms_ctx_loop(ctx);
    ev_timer nap;

    ev_timer_init(&nap, on_nap, 60, 60);
    ev_timer_start(loop, &nap);
    while (ms_ctx_stop_wanted(ctx) == MS_STOP_NONE)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &nap);
    return ms_stop_outcome(ms_ctx_stop_wanted(ctx));
}

const struct ms_handler ms_handlers[] = {
    {"noop.echo", ms_handle_noop_echo, false},
    {"noop.sleep", ms_handle_noop_sleep, false},
    {"t.vary", handle_vary, false},
    {"t.steps", handle_steps, false},
    {"t.flood", handle_flood, false},
    {"t.inside", handle_inside, false},
    {"t.redis", handle_redis, false},
    {"t.loop", handle_loop, true},
    {"t.fail", handle_fail, false},
    {"t.*", ms_handle_noop_echo, false},
    {NULL, NULL, false},
};

/* ---- one job ---- */

static TEST(test_a_job_s_result_comes_back)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "noop.echo", "{\"a\":[1,\"x\"]}");

    CHECK_STR(job->told, "se");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_STR(result_of(job), "{\"a\":[1,\"x\"]}");
    CHECK_INT(pool->settled, >, 0);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_job_without_payload_has_no_result)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "noop.echo", "");

    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK(job->ending.result.data == NULL);
    job_free(job);
    pool_free(pool);
}

/* Jobs of other clients may be JSON in Redis; a result is msgpack always. */
static TEST(test_a_json_payload_is_read_as_json)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("noop.echo", "");

    job->held.json = true;
    job->held.payload = (struct ms_bytes){ms_xstrdup("{\"ms\": 1}"), 9};
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_STR(result_of(job), "{\"ms\":1}");
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_payload_of_a_megabyte_goes_there_and_back)
{
    const size_t size = 1 << 20;
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("noop.echo", "");
    char *bytes = ms_xcalloc(1, size);

    memcpy(bytes, "\xc6\x00\x0f\xff\xfb", 5); /* a binary of the rest */
    job->held.payload = (struct ms_bytes){bytes, size};
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.result.len, ==, size);
    CHECK(memcmp(job->ending.result.data, bytes, size) == 0);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_payload_beyond_any_frame_is_dead)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("noop.echo", "");

    job->held.payload = (struct ms_bytes){ms_xcalloc(1, 65 << 20), 65 << 20};
    CHECK(ms_slots_run(pool->slots, &job->held));
    CHECK_STR(job->told, ""); /* never from inside the call */
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DEAD);
    CHECK_CONTAINS(job->ending.error, "payload");
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_payload_that_is_no_msgpack_is_dead)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("noop.echo", "");

    job->held.payload = (struct ms_bytes){ms_xstrdup("\xc1"), 1};
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DEAD);
    CHECK_CONTAINS(job->ending.error, "payload");
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_kind_without_a_handler_is_released)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "mail.send", "");

    CHECK_INT(job->ending.outcome, ==, MS_RELEASED);
    CHECK_CONTAINS(job->ending.error, "mail.send");
    job_free(job);
    pool_free(pool);
}

static TEST(test_the_outcome_comes_with_its_error_and_delay)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "t.fail", "");

    CHECK_INT(job->ending.outcome, ==, MS_THROTTLED);
    CHECK_STR(job->ending.error, "no ? luck");
    CHECK_INT(job->ending.delay_ms, ==, 1500);
    CHECK(!job->ending.crashed);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_prefix_finds_its_handler_after_exact_kinds)
{
    struct ms_routes *routes = ms_routes_new();

    CHECK_STR(ms_routes_find(routes, "t.vary")->pattern, "t.vary");
    CHECK_STR(ms_routes_find(routes, "t.other")->pattern, "t.*");
    CHECK(ms_routes_find(routes, "x.other") == NULL);
    ms_routes_free(routes);
}

/* Who would run it must not depend on the order of a file. */
static TEST(test_two_handlers_for_one_kind_are_refused)
{
    char a[] = "a", vary[] = "t.vary", b[] = "b.", star[] = "b.*";
    struct ms_pool_conf pool = {.kinds = (char *[]){a, vary, NULL}};
    struct ms_conf conf = {.pools = &pool, .n_pools = 1};
    struct ms_routes *routes = ms_routes_new();
    struct ms_error error;

    CHECK_INT(ms_routes_add_pools(routes, &conf, &error), ==, MS_EINVAL);
    CHECK_STR(error.text,
              "kind 't.vary' has two handlers: built in and pools[0]");
    pool.kinds = (char *[]){b, star, NULL};
    CHECK_INT(ms_routes_add_pools(routes, &conf, &error), ==, MS_EINVAL);
    CHECK_STR(error.text, "kind 'b.*' has two handlers: pools[0] and pools[0]");
    ms_routes_free(routes);
}

static TEST(test_the_kinds_are_listed_for_the_claim)
{
    struct pool *pool = pool_new(1, CONF);

    CHECK_STR(ms_slots_kinds(pool->slots),
              ",noop.echo,noop.sleep,t.vary,t.steps,t.flood,t.inside,t.redis,"
              "t.loop,t.fail,t.*,");
    pool_free(pool);
}

/* An exec'd child once kept a dead worker's connection open. */
static TEST(test_a_child_holds_nothing_of_its_parent)
{
    struct pool *pool;
    struct job *job;

    setenv("SECRET_OF_TEST", "leaked", 1);
    pool = pool_new(1, CONF);
    job = job_run(pool, "t.inside", "");
    CHECK_STR(job->ending.error,
              "fds=0 1 2 3 5 sid=1 secret=none pod=POD1 fleet=t attempt=2");
    job_free(job);
    pool_free(pool);
    unsetenv("SECRET_OF_TEST");
}

/* ---- children ---- */

static TEST(test_children_are_made_on_demand_and_stay_warm)
{
    struct pool *pool = pool_new(4, CONF);
    pid_t first;

    CHECK_INT(slot_pid(pool, 0), ==, 0);
    CHECK_INT(ms_slots_idle(pool->slots), ==, 4);
    job_free(job_run(pool, "noop.echo", "1"));
    first = slot_pid(pool, 0);
    CHECK(is_alive(first));
    for (int i = 0; i < 5; i++)
        job_free(job_run(pool, "noop.echo", "1"));
    CHECK_INT(slot_pid(pool, 0), ==, first);
    CHECK_INT(slot_pid(pool, 1), ==, 0);
    pool_free(pool);
    CHECK(!is_alive(first));
}

static TEST(test_jobs_run_side_by_side_up_to_the_concurrency)
{
    struct pool *pool = pool_new(2, CONF);
    struct job *jobs[3];

    for (int i = 0; i < 3; i++)
        jobs[i] = job_new("noop.sleep", "{\"ms\":60000}");
    CHECK(ms_slots_run(pool->slots, &jobs[0]->held));
    CHECK(ms_slots_run(pool->slots, &jobs[1]->held));
    CHECK(!ms_slots_run(pool->slots, &jobs[2]->held));
    CHECK_INT(ms_slots_idle(pool->slots), ==, 0);
    CHECK_INT(ms_slots_busy(pool->slots), ==, 2);
    RUN_UNTIL(pool, count_told(jobs, 3, 's') == 2);
    CHECK(!has(jobs[2], 's'));
    CHECK(slot_pid(pool, 0) != slot_pid(pool, 1));
    pool_free(pool);
    for (int i = 0; i < 3; i++)
        job_free(jobs[i]);
}

static TEST(test_the_pool_describes_its_children)
{
    struct pool *pool = pool_new(2, CONF);
    struct job *job = job_new("noop.sleep", "{\"ms\":60000}");
    struct ms_buf text = MS_BUF_INIT;

    ms_slots_describe(pool->slots, &text);
    CHECK_STR(ms_buf_str(&text), "[]");
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 's'));
    ms_buf_clear(&text);
    ms_slots_describe(pool->slots, &text);
    CHECK_CONTAINS(ms_buf_str(&text), "\"slot\":0,\"pid\":");
    CHECK_CONTAINS(ms_buf_str(&text), "\"state\":\"busy\"");
    CHECK_CONTAINS(ms_buf_str(&text),
                   "\"queue\":\"q\",\"kind\":\"noop.sleep\"");
    CHECK(strstr(ms_buf_str(&text), "\"started_ms\":null") == NULL);
    ms_buf_done(&text);
    pool_free(pool);
    job_free(job);
}

/* ---- checkpoints ---- */

static TEST(test_checkpoints_arrive_in_order_and_whole)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("t.steps", "");

    job->held.seq = 40; /* a former attempt came that far */
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->told, "sccce");
    CHECK_INT(job->checkpoint.seq, ==, 43);
    CHECK_INT(job->checkpoint.cursor.data[0], ==, 3);
    CHECK_INT(job->checkpoint.sums[0].value, ==, 300);
    CHECK_INT(job->checkpoint.n_rejects, ==, 1);
    CHECK_INT(job->checkpoint.rejects[0].offset, ==, 20);
    CHECK(job->checkpoint.progress > 0.9);
    job_free(job);
    pool_free(pool);
}

/* What a crash makes read again stays bounded only if the handler waits. */
static TEST(test_a_handler_waits_for_its_checkpoints_to_be_committed)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("t.steps", "{\"ahead\":1}");

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, job->checkpoints == 2);
    for (int i = 0; i < 10; i++) /* it would tell the third by now */
        ev_run(pool->loop, EVRUN_ONCE);
    CHECK_STR(job->told, "scc");
    ms_slots_committed(pool->slots, &job->held, 1);
    RUN_UNTIL(pool, job->checkpoints == 3);
    CHECK(!has(job, 'e'));
    ms_slots_committed(pool->slots, &job->held, 2);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
    pool_free(pool);
}

/* The worker's memory must not depend on a child's manners. */
static TEST(test_a_child_that_floods_is_not_read_until_a_commit)
{
    struct pool *pool = pool_new(2, CONF);
    struct job *job = job_new("t.flood", ""), *other;
    size_t rejects;

    CHECK(ms_slots_run(pool->slots, &job->held));
    do {
        rejects = job->checkpoint.n_rejects;
        for (int i = 0; i < 20; i++)
            ev_run(pool->loop, EVRUN_ONCE);
    } while (job->checkpoint.n_rejects > rejects || rejects == 0);
    CHECK_INT(rejects, <, 100000);
    other = job_run(pool, "noop.echo", "1"); /* others are served */
    CHECK_INT(job->checkpoint.n_rejects, ==, rejects);
    ms_slots_committed(pool->slots, &job->held, job->checkpoint.seq);
    RUN_UNTIL(pool, job->checkpoint.n_rejects > rejects);
    ms_slots_stop(pool->slots, &job->held, MS_STOP_CANCEL);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_CANCELLED);
    job_free(other);
    job_free(job);
    pool_free(pool);
}

/* ---- Redis and the loop in a child ---- */

/* Data handlers write over the child's own connection, made once. */
static TEST(test_a_child_has_a_warm_connection_of_its_own)
{
    struct ms_test_redis *server = ms_test_redis_start(NULL);
    struct pool *pool;
    struct job *first, *second;

    fixture_redis_url = ms_test_redis_url(server);
    pool = pool_new(1, CONF);
    first = job_run(pool, "t.redis", "");
    second = job_run(pool, "t.redis", "");
    CHECK_INT(first->ending.outcome, ==, MS_DEAD);
    CHECK_INT(atoi(first->ending.error), >, 0);
    CHECK_STR(second->ending.error, first->ending.error);
    ms_test_redis_down(server, SIGKILL); /* while the child is idle */
    ms_test_redis_up(server);
    job_free(second);
    second = job_run(pool, "t.redis", "");
    CHECK_INT(second->ending.outcome, ==, MS_DEAD);
    job_free(first);
    job_free(second);
    pool_free(pool);
    ms_test_redis_stop(server);
    fixture_redis_url = "redis://127.0.0.1:1";
}

static TEST(test_a_redis_out_of_reach_is_told)
{
    struct pool *pool = pool_new(1, CONF "redis: { connect_timeout: 1s }\n");
    struct job *job = job_run(pool, "t.redis", "");

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_CONTAINS(job->ending.error, "redis:");
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_handler_that_runs_its_loop_sees_a_stop)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("t.loop", "");
    pid_t pid;

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 's'));
    usleep(50000);
    pid = slot_pid(pool, 0);
    ms_slots_stop(pool->slots, &job->held, MS_STOP_DRAIN);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_RELEASED);
    CHECK_INT(slot_pid(pool, 0), ==, pid); /* nobody had to be killed */
    job_free(job);
    pool_free(pool);
}

/* ---- queueing ahead ---- */

/* Lets the pool learn that the kind is short. */
static void train(struct pool *pool, const char *kind)
{
    for (int i = 0; i < 6; i++)
        job_free(job_run(pool, kind, ""));
}

static TEST(test_room_ahead_is_for_kinds_known_to_be_short)
{
    struct pool *pool = pool_new(1, CONF);

    CHECK_INT(ms_slots_room_ahead(pool->slots), ==, 0);
    train(pool, "t.vary");
    CHECK_INT(ms_slots_room_ahead(pool->slots), >, 0);
    job_free(job_run(pool, "noop.sleep", "{\"ms\":30}"));
    CHECK_INT(ms_slots_room_ahead(pool->slots), ==, 0);
    pool_free(pool);
}

static TEST(test_short_jobs_stream_through_one_child)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *jobs[8];
    char payload[16];

    train(pool, "noop.echo");
    for (int i = 0; i < 8; i++) {
        snprintf(payload, sizeof(payload), "%d", i);
        jobs[i] = job_new("noop.echo", payload);
        CHECK(ms_slots_run(pool->slots, &jobs[i]->held));
    }
    RUN_UNTIL(pool, count_told(jobs, 8, 'e') == 8);
    for (int i = 0; i < 8; i++) {
        snprintf(payload, sizeof(payload), "%d", i);
        CHECK_STR(jobs[i]->told, "se");
        CHECK_STR(result_of(jobs[i]), payload);
        job_free(jobs[i]);
    }
    pool_free(pool);
}

static TEST(test_the_queue_of_a_child_has_an_end)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *jobs[100];
    int taken = 0;

    train(pool, "noop.echo");
    for (int i = 0; i < 100; i++) {
        jobs[i] = job_new("noop.echo", "1");
        taken += ms_slots_run(pool->slots, &jobs[i]->held);
    }
    CHECK_INT(taken, >, 1);
    CHECK_INT(taken, <=, 64);
    RUN_UNTIL(pool, count_told(jobs, 100, 'e') == taken);
    for (int i = 0; i < 100; i++)
        job_free(jobs[i]);
    pool_free(pool);
}

/* No-op jobs stream while a long job is never held back from an idle pod. */
static TEST(test_jobs_behind_one_that_turns_out_long_come_back)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *jobs[4];

    train(pool, "t.vary");
    for (int i = 0; i < 4; i++) {
        jobs[i] = job_new("t.vary", i == 0 ? "{\"ms\":60000}" : "");
        CHECK(ms_slots_run(pool->slots, &jobs[i]->held));
    }
    RUN_UNTIL(pool, count_told(jobs, 4, 'r') == 3);
    CHECK_STR(jobs[0]->told, "s");
    CHECK_STR(jobs[1]->told, "r");
    CHECK(!ms_slots_run(pool->slots, &jobs[1]->held));
    ms_slots_stop(pool->slots, &jobs[0]->held, MS_STOP_CANCEL);
    RUN_UNTIL(pool, has(jobs[0], 'e'));
    /* The kind is no longer taken for short; one goes where it is idle. */
    CHECK(ms_slots_run(pool->slots, &jobs[1]->held));
    RUN_UNTIL(pool, has(jobs[1], 'e'));
    for (int i = 0; i < 4; i++)
        job_free(jobs[i]);
    pool_free(pool);
}

static TEST(test_a_queued_job_that_is_stopped_comes_back)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *jobs[3];

    train(pool, "t.vary");
    for (int i = 0; i < 3; i++) {
        jobs[i] = job_new("t.vary", "{\"ms\":5}");
        CHECK(ms_slots_run(pool->slots, &jobs[i]->held));
    }
    ms_slots_stop(pool->slots, &jobs[1]->held, MS_STOP_CANCEL);
    CHECK_STR(jobs[1]->told, ""); /* never from inside the call */
    ms_slots_stop(pool->slots, &jobs[1]->held, MS_STOP_CANCEL);
    RUN_UNTIL(pool, has(jobs[2], 'e'));
    CHECK_STR(jobs[0]->told, "se");
    CHECK_STR(jobs[1]->told, "r");
    CHECK_STR(jobs[2]->told, "se");
    for (int i = 0; i < 3; i++)
        job_free(jobs[i]);
    pool_free(pool);
}

/* Stopped before the loop ran even once: the child never saw it. */
static TEST(test_a_job_stopped_at_once_never_runs)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("noop.sleep", "{\"ms\":60000}"), *after;

    CHECK(ms_slots_run(pool->slots, &job->held));
    ms_slots_stop(pool->slots, &job->held, MS_STOP_LOST);
    RUN_UNTIL(pool, has(job, 'r'));
    CHECK_STR(job->told, "r");
    after = job_run(pool, "noop.echo", "2");
    CHECK_STR(result_of(after), "2");
    job_free(after);
    job_free(job);
    pool_free(pool);
}

/* Thousands of jobs, each answered exactly once, in many small pools' worth
 * of orders. */
static TEST(test_every_job_of_a_stream_is_answered_once)
{
    enum { ALL = 3000 };
    struct pool *pool = pool_new(3, CONF);
    struct job **jobs = ms_xcalloc(ALL, sizeof(*jobs));
    int placed = 0;

    for (int i = 0; i < ALL; i++)
        jobs[i] = job_new("noop.echo", "1");
    while (placed < ALL) {
        while (placed < ALL && ms_slots_run(pool->slots, &jobs[placed]->held))
            placed++;
        ev_run(pool->loop, EVRUN_ONCE);
        for (int i = 0; i < placed; i++)
            if (has(jobs[i], 'r')) /* a hiccup of the machine */
                CHECK(jobs[i]->told[0] == 'r' || jobs[i]->told[1] == 'r');
    }
    RUN_UNTIL(pool,
              count_told(jobs, ALL, 'e') + count_told(jobs, ALL, 'r') == ALL);
    for (int i = 0; i < ALL; i++)
        job_free(jobs[i]);
    free(jobs);
    pool_free(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_job_s_result_comes_back),
        RUN(test_a_job_without_payload_has_no_result),
        RUN(test_a_json_payload_is_read_as_json),
        RUN(test_a_payload_of_a_megabyte_goes_there_and_back),
        RUN(test_a_payload_beyond_any_frame_is_dead),
        RUN(test_a_payload_that_is_no_msgpack_is_dead),
        RUN(test_a_kind_without_a_handler_is_released),
        RUN(test_the_outcome_comes_with_its_error_and_delay),
        RUN(test_a_prefix_finds_its_handler_after_exact_kinds),
        RUN(test_two_handlers_for_one_kind_are_refused),
        RUN(test_the_kinds_are_listed_for_the_claim),
        RUN(test_a_child_holds_nothing_of_its_parent),
        RUN(test_children_are_made_on_demand_and_stay_warm),
        RUN(test_jobs_run_side_by_side_up_to_the_concurrency),
        RUN(test_the_pool_describes_its_children),
        RUN(test_checkpoints_arrive_in_order_and_whole),
        RUN(test_a_handler_waits_for_its_checkpoints_to_be_committed),
        RUN(test_a_child_that_floods_is_not_read_until_a_commit),
        RUN(test_a_child_has_a_warm_connection_of_its_own),
        RUN(test_a_redis_out_of_reach_is_told),
        RUN(test_a_handler_that_runs_its_loop_sees_a_stop),
        RUN(test_room_ahead_is_for_kinds_known_to_be_short),
        RUN(test_short_jobs_stream_through_one_child),
        RUN(test_the_queue_of_a_child_has_an_end),
        RUN(test_jobs_behind_one_that_turns_out_long_come_back),
        RUN(test_a_queued_job_that_is_stopped_comes_back),
        RUN(test_a_job_stopped_at_once_never_runs),
        RUN(test_every_job_of_a_stream_is_answered_once),
    };

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

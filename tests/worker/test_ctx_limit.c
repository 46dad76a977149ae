/* Handlers that take tokens of a rate scope, in real children. */
#include "tests/worker/fixture_slots.h"

#include "common/limit.h"

#define S "ms:{t}:limit:s"

static struct ms_test_redis *server;
static struct pool *pool;

/* ---- handlers, run in the children ---- */

static enum ms_outcome outcome_of(struct ms_ctx *ctx, enum ms_err err)
{
    if (err == MS_OK)
        return MS_DONE;
    if (err != MS_ECANCELLED)
        return MS_FAILED;
    return ms_stop_outcome(ms_ctx_stop_wanted(ctx));
}

/* {"scope", "n", "then_ms"} */
static enum ms_outcome handle_take(struct ms_ctx *ctx)
{
    const msgpack_object *payload = ms_ctx_payload(ctx);
    char *scope = ms_val_strdup(payload, "scope");
    enum ms_err err = ms_ctx_acquire(ctx, scope == NULL ? "s" : scope,
                                     ms_val_int(payload, "n", 1));
    enum ms_stop stop;

    free(scope);
    if (err != MS_OK)
        return outcome_of(ctx, err);
    stop = ms_ctx_sleep(ctx, ms_val_int(payload, "then_ms", 0));
    return stop == MS_STOP_NONE ? MS_DONE : ms_stop_outcome(stop);
}

/* {"scope", "ms"} */
static enum ms_outcome handle_drain(struct ms_ctx *ctx)
{
    const msgpack_object *payload = ms_ctx_payload(ctx);
    char *scope = ms_val_strdup(payload, "scope");
    enum ms_err err = ms_ctx_drain(ctx, scope == NULL ? "s" : scope,
                                   ms_val_int(payload, "ms", 1000));

    free(scope);
    return outcome_of(ctx, err);
}

const struct ms_handler ms_handlers[] = {
    {"take", handle_take, false},
    {"resume", handle_take, true},
    {"drain", handle_drain, false},
    {NULL, NULL, false},
};

/* ---- the bench ---- */

static int setup(void **state)
{
    server = ms_test_redis_start(NULL);
    fixture_redis_url = ms_test_redis_url(server);
    pool = pool_new(2, "fleet: t\n");
    return 0;
}

static int teardown(void **state)
{
    pool_free(pool);
    ms_test_redis_stop(server);
    return 0;
}

#define BENCHED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void make(const char *capacity, const char *rate, const char *tokens)
{
    const char *const pairs[] = {"capacity", capacity, "refill_per_second",
                                 rate,       "tokens", tokens};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_set_build(&cmd, "t", "s", false, pairs, 3);
    CHECK_INT(ms_limit_status_parse(ms_test_run(server, &cmd), "s", NULL), ==,
              MS_OK);
}

static int64_t limit_count(const char *field)
{
    const char *text = ms_test_text(server, "HGET " S " %s", field);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

static struct job *give(const char *kind, const char *payload,
                        int64_t timeout_ms)
{
    struct job *job = job_new(kind, payload);

    job->held.timeout_ms = timeout_ms;
    CHECK(ms_slots_run(pool->slots, &job->held));
    return job;
}

static struct job *run(const char *kind, const char *payload)
{
    return job_run(pool, kind, payload);
}

/* ---- acquire ---- */

static TEST(test_a_token_that_is_there_is_taken_at_once)
{
    struct job *job;

    make("5", "0", "5");
    job = run("take", "{\"n\":3}");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_INT(limit_count("acquired"), ==, 3);
    CHECK_STR(ms_test_text(server, "HGET " S " tokens"), "2");
    job_free(job);
}

static TEST(test_one_to_come_is_waited_for)
{
    struct job *job;

    make("1", "5", "0");
    job = run("take", "{}");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_INT(limit_count("acquired"), ==, 1);
    CHECK_INT(limit_count("waited"), ==, 1);
    job_free(job);
}

/* A job that may run for a second and a half waits for longer. */
static TEST(test_waiting_does_not_count_towards_the_time_out)
{
    struct job *job;

    make("1", "0.4", "0"); /* two seconds and a half */
    job = give("take", "{}", 1500);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
}

/* What comes behind the wait counts as ever. */
static TEST(test_the_time_out_goes_on_behind_the_wait)
{
    struct job *job;

    make("1", "2", "0");
    job = give("take", "{\"then_ms\":600000}", 1500);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_STR(job->ending.error, "timed out after 1500 ms");
    CHECK_INT(limit_count("acquired"), ==, 1);
    job_free(job);
}

/* A limit that was raised is seen by who waits already. */
static TEST(test_a_raised_limit_ends_the_wait)
{
    struct job *job;

    make("1", "0", "0");
    job = give("take", "{}", 60000);
    RUN_UNTIL(pool, limit_count("refused") > 0);
    make("1", "0", "1");
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
}

/* ---- stops ---- */

static TEST(test_a_cancel_ends_a_wait_without_end)
{
    struct job *job;

    make("1", "0", "0");
    job = give("take", "{}", 60000);
    RUN_UNTIL(pool, limit_count("refused") > 0);
    ms_slots_stop(pool->slots, &job->held, MS_STOP_CANCEL);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_CANCELLED);
    CHECK_INT(limit_count("acquired"), ==, 0);
    job_free(job);
}

static TEST(test_what_a_cancelled_job_reserved_is_returned)
{
    struct job *job;

    make("1", "0.11", "0"); /* nine seconds */
    job = give("take", "{}", 60000);
    RUN_UNTIL(pool, limit_count("acquired") == 1);
    ms_slots_stop(pool->slots, &job->held, MS_STOP_CANCEL);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_CANCELLED);
    CHECK_INT(limit_count("returned"), ==, 1);
    job_free(job);
}

/* A handler that resumes is told of a drain; one that does not waits on, up to
 * the worker's grace. */
static TEST(test_a_drain_ends_the_wait_of_a_handler_that_resumes)
{
    struct job *resumes, *other;

    make("1", "0", "0");
    resumes = give("resume", "{}", 60000);
    other = give("take", "{}", 60000);
    RUN_UNTIL(pool, limit_count("refused") > 1);
    ms_slots_stop(pool->slots, &resumes->held, MS_STOP_DRAIN);
    ms_slots_stop(pool->slots, &other->held, MS_STOP_DRAIN);
    RUN_UNTIL(pool, has(resumes, 'e'));
    CHECK_INT(resumes->ending.outcome, ==, MS_RELEASED);
    CHECK(!has(other, 'e'));
    make("1", "0", "1");
    RUN_UNTIL(pool, has(other, 'e'));
    CHECK_INT(other->ending.outcome, ==, MS_DONE);
    job_free(resumes);
    job_free(other);
}

/* A drain of the scope: who waits must not begin into its block. */
static TEST(test_a_drained_scope_voids_what_a_handler_waits_for)
{
    struct job *first, *second;

    make("1", "0.2", "0");
    first = give("take", "{}", 60000);
    RUN_UNTIL(pool, limit_count("acquired") == 1);
    second = run("drain", "{\"ms\":3600000}");
    CHECK_INT(second->ending.outcome, ==, MS_DONE);
    RUN_UNTIL(pool, limit_count("refused") > 0);
    CHECK(!has(first, 'e'));
    ms_slots_stop(pool->slots, &first->held, MS_STOP_CANCEL);
    RUN_UNTIL(pool, has(first, 'e'));
    job_free(first);
    job_free(second);
}

/* ---- trouble ---- */

static TEST(test_what_can_never_be_is_told)
{
    static const struct {
        const char *kind, *payload, *error;
    } cases[] = {
        {"take", "{\"scope\":\"nope\"}", "there is no limit 'nope'"},
        {"take", "{\"n\":6}", "limit 's' holds 5 tokens"},
        {"take", "{\"n\":0}", "acquire: 0 tokens of 's'"},
        {"take", "{\"scope\":\"a b\"}", "scope 'a b'"},
        {"drain", "{\"scope\":\"nope\"}", "there is no limit 'nope'"},
        {"drain", "{\"scope\":\"{}\"}", "scope '{}'"},
    };

    make("5", "1", "5");
    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct job *job = run(cases[i].kind, cases[i].payload);

        CHECK_INT(job->ending.outcome, ==, MS_FAILED);
        CHECK_CONTAINS(job->ending.error, cases[i].error);
        job_free(job);
    }
    CHECK_INT(limit_count("acquired"), ==, 0);
}

static TEST(test_while_redis_is_away_the_handler_waits)
{
    struct job *job;

    make("5", "0", "5");
    job_free(run("take", "{}")); /* the child has its connection */
    ms_test_text(server, "SAVE");
    ms_test_redis_down(server, SIGKILL);
    job = give("take", "{}", 1000);
    for (int i = 0; i < 100; i++)
        ev_run(pool->loop, EVRUN_ONCE);
    CHECK_STR(job->ending.error, "");
    CHECK(!has(job, 'e'));
    ms_test_redis_up(server);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BENCHED(test_a_token_that_is_there_is_taken_at_once),
        BENCHED(test_one_to_come_is_waited_for),
        BENCHED(test_waiting_does_not_count_towards_the_time_out),
        BENCHED(test_the_time_out_goes_on_behind_the_wait),
        BENCHED(test_a_raised_limit_ends_the_wait),
        BENCHED(test_a_cancel_ends_a_wait_without_end),
        BENCHED(test_what_a_cancelled_job_reserved_is_returned),
        BENCHED(test_a_drain_ends_the_wait_of_a_handler_that_resumes),
        BENCHED(test_a_drained_scope_voids_what_a_handler_waits_for),
        BENCHED(test_what_can_never_be_is_told),
        BENCHED(test_while_redis_is_away_the_handler_waits),
    };

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

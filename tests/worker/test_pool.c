/* Pools: child programs of all manners, through real slots. */
#include "tests/worker/fixture_slots.h"

#include "worker/pool.h"

/* `pools` with the test's program; P takes argument and options. */
#define POOL(args, options)                                         \
    "{ kinds: [\"p.\"], argv: [" MS_TEST_BIN_DIR "/pool_child" args \
    "]" options " }"
#define CONF_OF(args, options) "fleet: t\npools: [" POOL(args, options) "]\n"
#define CONF                   CONF_OF("", "")

static int64_t int_result(const struct job *job)
{
    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    return atoll(result_of(job));
}

static struct job *run_once(const char *conf, const char *kind,
                            const char *payload)
{
    struct pool *pool = pool_new(1, conf);
    struct job *job = job_run(pool, kind, payload);

    pool_free(pool);
    return job;
}

static void check_done(const char *kind, const char *payload,
                       const char *result)
{
    struct job *job = run_once(CONF, kind, payload);

    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_STR(result_of(job), result);
    job_free(job);
}

static void check_ends(const char *conf, const char *kind, const char *payload,
                       enum ms_outcome outcome, const char *error)
{
    struct job *job = run_once(conf, kind, payload);

    CHECK_CONTAINS(job->ending.error, error);
    CHECK_INT(job->ending.outcome, ==, outcome);
    CHECK(!job->ending.crashed); /* the slot is as it was */
    job_free(job);
}

/* The pid of the pool's child that runs the next job. */
static pid_t ask_pid(struct pool *pool)
{
    struct job *job = job_run(pool, "p.pid", "");
    pid_t pid = (pid_t)int_result(job);

    job_free(job);
    return pid;
}

/* ---- a job's line and its answers ---- */

static TEST(test_the_line_of_a_job_says_all_of_it)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("p.job", "{\"a\":[1,null,\"x\\ny\"]}");
    char *want =
        ms_xasprintf("{\"id\":\"%s\",\"queue\":\"q\",\"kind\":\"p.job\","
                     "\"payload\":{\"a\":[1,null,\"x\\ny\"]},\"attempt\":2,"
                     "\"fence\":77,\"cursor\":null}",
                     job->held.id);

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->ending.error, "");
    CHECK_STR(result_of(job), want);
    free(want);
    job_free(job);
    pool_free(pool);
}

static TEST(test_the_program_answers_ok_with_or_without_a_result)
{
    check_done("p.echo", "{\"n\":18446744073709551615}",
               "{\"n\":18446744073709551615}");
    check_done("p.echo", "\"\\u00e4\"", "\"\xc3\xa4\"");
    check_done("p.echo", "", NULL);
    check_done("p.say", "{\"line\":\"\\\"status\\\":\\\"ok\\\"\"}", NULL);
}

static TEST(test_error_dead_and_throttled_are_outcomes)
{
    struct job *job;

    check_ends(CONF, "p.say",
               "{\"line\":\"\\\"status\\\":\\\"error\\\","
               "\\\"message\\\":\\\"no luck\\\"\"}",
               MS_FAILED, "no luck");
    check_ends(CONF, "p.say", "{\"line\":\"\\\"status\\\":\\\"dead\\\"\"}",
               MS_DEAD, "no message");
    job = run_once(CONF, "p.say",
                   "{\"line\":\"\\\"status\\\":\\\"throttled\\\","
                   "\\\"retry_after_s\\\":1.5,\\\"message\\\":\\\"429\\\"\"}");
    CHECK_INT(job->ending.outcome, ==, MS_THROTTLED);
    CHECK_INT(job->ending.delay_ms, ==, 1500);
    CHECK_STR(job->ending.error, "429");
    job_free(job);
}

/* What enqueuers in other languages store is JSON as they wrote it. */
static TEST(test_a_payload_in_json_goes_on_as_it_came)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("p.echo", "");

    job->held.json = true;
    job->held.payload.data = ms_xstrdup("{\n  \"a\" :\r\n 1.50 }");
    job->held.payload.len = strlen(job->held.payload.data);
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->ending.error, "");
    CHECK_STR(result_of(job), "{\"a\":1.5}");
    job_free(job);
    pool_free(pool);
}

/* More than any pipe holds, both ways. */
static TEST(test_big_payloads_and_results_pass)
{
    size_t len = 4 << 20;
    struct ms_buf text = MS_BUF_INIT;
    struct job *job;

    ms_buf_addc(&text, '"');
    memset(ms_buf_reserve(&text, len), 'x', len);
    text.len += len;
    ms_buf_addc(&text, '"');
    job = run_once(CONF, "p.echo", ms_buf_str(&text));
    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.result.len, ==, len + 5);
    ms_buf_done(&text);
    job_free(job);
}

static TEST(test_a_child_stays_warm_from_job_to_job)
{
    struct pool *pool = pool_new(1, CONF);
    pid_t first = ask_pid(pool);

    CHECK_INT(ask_pid(pool), ==, first);
    CHECK_INT(parent_of(first), ==, slot_pid(pool, 0));
    pool_free(pool);
    WAIT_FOR(10000, !is_alive(first)); /* and not beyond its slot */
}

/* Two pools in one slot have a child each; the longest start decides. */
static TEST(test_routing_takes_the_best_fit)
{
    struct pool *pool = pool_new(
        1,
        "fleet: t\npools:\n- " POOL(
            "",
            ", env: {WHO: one}") "\n"
                                 "- { kinds: ['p.e*'], argv: [" MS_TEST_BIN_DIR
                                 "/pool_child],"
                                 " env: {WHO: two} }\n");
    struct job *env = job_run(pool, "p.env", "{\"name\":\"WHO\"}");
    struct job *none = job_run(pool, "p.pid", "");

    CHECK_STR(result_of(env), "\"two\"");
    CHECK_INT(none->ending.outcome, ==, MS_DONE);
    CHECK_CONTAINS(ms_slots_kinds(pool->slots), ",p.*,p.e*,");
    CHECK_INT(count_procs(MS_TEST_BIN_DIR "/pool_child", NULL), ==, 2);
    job_free(env);
    job_free(none);
    pool_free(pool);
    WAIT_FOR(10000, count_procs(MS_TEST_BIN_DIR "/pool_child", NULL) == 0);
}

static TEST(test_the_child_sees_its_own_variables_and_folder)
{
    struct pool *pool;
    struct job *job;
    const char *const cases[][2] = {{"A", "\"1\""},
                                    {"HOME", "\"/elsewhere\""},
                                    {"MUSTER_REDIS_URL", "\"none\""},
                                    {"SECRET", "\"none\""},
                                    {"PWD", "\"/usr\""}};

    setenv("SECRET", "x", 1);
    setenv("MUSTER_REDIS_URL", "redis://127.0.0.1:1", 1);
    pool = pool_new(1, CONF_OF("", ", cwd: /usr, env: {A: 1,"
                                   " HOME: /elsewhere}"));
    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char *payload = ms_xasprintf("{\"name\":\"%s\"}", cases[i][0]);

        job = job_run(pool, "p.env", payload);
        CHECK_STR(result_of(job), cases[i][1]);
        job_free(job);
        free(payload);
    }
    pool_free(pool);
    unsetenv("SECRET");
    unsetenv("MUSTER_REDIS_URL");
}

/* ---- cursor and progress ---- */

static TEST(test_a_cursor_is_a_checkpoint_that_grows_by_itself)
{
    struct job *job = run_once(CONF, "p.steps", "");

    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_INT(job->checkpoints, ==, 10);
    CHECK_INT(job->checkpoint.seq, ==, 10);
    CHECK_INT(job->checkpoint.cursor.len, ==, 1);
    CHECK_INT(job->checkpoint.cursor.data[0], ==, 10);
    CHECK(job->checkpoint.progress == 1);
    job_free(job);
}

static TEST(test_the_next_attempt_begins_at_the_cursor)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("p.steps", "");

    job->held.cursor = (struct ms_bytes){ms_xstrdup("\x07"), 1};
    job->held.seq = 7;
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->checkpoints, ==, 3);
    CHECK_INT(job->checkpoint.seq, ==, 10);
    job_free(job);
    pool_free(pool);
}

/* Time counts from the last move: long jobs need no long time-out. */
static TEST(test_a_moving_cursor_puts_off_the_time_out)
{
    struct job *job =
        run_once(CONF_OF("", ", timeout: 500ms"), "p.slow_steps", "");

    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
}

/* ---- what goes wrong ---- */

/* The job fails with `error`, and the next one has another child. */
static void check_replaced(const char *kind, const char *payload,
                           const char *error)
{
    struct pool *pool = pool_new(1, CONF_OF("", ", timeout: 400ms"));
    pid_t before = ask_pid(pool), slot = slot_pid(pool, 0);
    struct job *job = job_run(pool, kind, payload);

    CHECK_CONTAINS(job->ending.error, error);
    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_INT(ask_pid(pool), !=, before);
    WAIT_FOR(10000, !is_alive(before));
    CHECK_INT(slot_pid(pool, 0), ==, slot);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_wrong_word_fails_the_job_and_replaces_the_child)
{
    const struct {
        const char *kind, *payload, *error;
    } cases[] = {
        {"p.wrong_id", "", "wrote a line of another job, 'other'"},
        {"p.line", "{\"line\":\"{}\"}", "wrote a line without an id"},
        {"p.line", "{\"line\":\"[1]\"}", "wrote a line that is no JSON object"},
        {"p.line", "{\"line\":\"Hello\"}", "wrote a line that is no JSON"},
        {"p.line", "{\"line\":\"\"}", "wrote a line that is no JSON"},
        {"p.say", "{\"line\":\"\\\"x\\\":1\"}", "neither status nor progress"},
        {"p.say", "{\"line\":\"\\\"progress\\\":\\\"half\\\"\"}",
         "a progress that is no number"},
        {"p.say", "{\"line\":\"\\\"status\\\":\\\"done\\\"\"}",
         "a status that is none of"},
        {"p.say",
         "{\"line\":\"\\\"status\\\":\\\"throttled\\\","
         "\\\"retry_after_s\\\":\\\"soon\\\"\"}",
         "a retry_after_s that is no number"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        check_replaced(cases[i].kind, cases[i].payload, cases[i].error);
}

static TEST(test_a_line_without_an_end_is_not_read_for_ever)
{
    check_ends(CONF, "p.long_line", "", MS_FAILED,
               "wrote a line of more than 16777216 bytes");
}

static TEST(test_an_exit_fails_the_job_with_its_last_words)
{
    check_replaced("p.exit", "",
                   "exited with status 3 before it answered: Traceback: no "
                   "such thing");
    check_replaced("p.crash", "", "was killed by signal 11");
    check_replaced("p.close_stdout", "", "closed its output");
}

static TEST(test_half_a_line_and_silence_time_out)
{
    check_replaced("p.half_line", "", "timed out after 400 ms");
    check_ends(CONF_OF(", deaf", ", timeout: 300ms"), "p.echo", "1", MS_FAILED,
               "timed out after 300 ms");
}

static TEST(test_a_program_that_cannot_start_fails_the_job)
{
    check_ends("fleet: t\npools: [{kinds: [a], argv: [no-such-program]}]\n",
               "a", "", MS_FAILED, "cannot start 'no-such-program': No such");
    check_ends(CONF_OF("", ", cwd: /nowhere"), "p.echo", "", MS_FAILED,
               "cannot enter '/nowhere': No such");
}

/* The job that was answered is done, whatever its program does then; and the
 * next one must not pay for it. */
static TEST(test_what_happens_between_jobs_harms_no_job)
{
    const char *const kinds[] = {"p.answer_and_exit", "p.twice", "p.late_word"};

    for (size_t i = 0; i < MS_COUNT_OF(kinds); i++) {
        struct pool *pool = pool_new(1, CONF);
        pid_t before = ask_pid(pool);
        struct job *job = job_run(pool, kinds[i], "");

        CHECK_STR(job->ending.error, "");
        CHECK_INT(job->ending.outcome, ==, MS_DONE);
        WAIT_FOR(10000, !is_alive(before)); /* its slot has seen it */
        CHECK_INT(ask_pid(pool), !=, before);
        job_free(job);
        pool_free(pool);
    }
}

static TEST(test_a_flood_on_standard_error_harms_nobody)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "p.flood", "");

    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_child_that_has_grown_is_replaced)
{
    struct pool *pool = pool_new(1, "fleet: t\nworker: { slot_memory: 16MiB }\n"
                                    "pools: [" POOL("", "") "]\n");
    pid_t first = ask_pid(pool), now = first;

    while (now == first) { /* it looks now and then */
        struct job *job = job_run(pool, "p.leak", "");

        now = (pid_t)int_result(job);
        job_free(job);
    }
    WAIT_FOR(10000, !is_alive(first));
    pool_free(pool);
}

/* An exit behind an answer, seen only when the next job is on its way. */
static TEST(test_a_job_that_its_child_never_saw_runs_in_the_next)
{
    struct pool *pool = pool_new(1, CONF);

    for (int i = 0; i < 20; i++) {
        struct job *first = job_new("p.answer_and_exit", "");
        struct job *second = job_new("p.echo", "1");

        CHECK(ms_slots_run(pool->slots, &first->held));
        RUN_UNTIL(pool, has(first, 'e'));
        CHECK(ms_slots_run(pool->slots, &second->held));
        RUN_UNTIL(pool, has(second, 'e'));
        CHECK_STR(second->ending.error, "");
        CHECK_INT(second->ending.outcome, ==, MS_DONE);
        job_free(first);
        job_free(second);
    }
    pool_free(pool);
}

/* ---- stopping ---- */

static struct job *stop_running(const char *conf, const char *kind,
                                enum ms_stop reason)
{
    struct pool *pool = pool_new(1, conf);
    struct job *job = job_new(kind, "");

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'c'));
    ms_slots_stop(pool->slots, &job->held, reason);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK(!job->ending.crashed);
    pool_free(pool);
    WAIT_FOR(10000, count_procs(MS_TEST_BIN_DIR "/pool_child", NULL) == 0);
    return job;
}

static TEST(test_a_cancel_is_a_term_for_the_child)
{
    struct job *job = stop_running(CONF, "p.sleep", MS_STOP_CANCEL);

    CHECK_INT(job->ending.outcome, ==, MS_CANCELLED);
    job_free(job);
}

static TEST(test_a_child_that_finishes_on_term_is_done)
{
    struct job *job = stop_running(CONF, "p.finish_on_term", MS_STOP_CANCEL);

    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
}

/* KILL comes five seconds later, or with the slot. */
static TEST(test_a_child_that_ignores_term_is_killed)
{
    struct job *job = stop_running(CONF, "p.stubborn", MS_STOP_CANCEL);

    CHECK_INT(job->ending.outcome, ==, MS_CANCELLED);
    job_free(job);
}

/* Only pools that say that they resume give a job back in the middle. */
static TEST(test_a_drain_stops_pools_that_resume)
{
    struct job *job =
        stop_running(CONF_OF("", ", resumes: true"), "p.sleep", MS_STOP_DRAIN);

    CHECK_INT(job->ending.outcome, ==, MS_RELEASED);
    CHECK_INT(job->checkpoint.seq, ==, 1);
    job_free(job);
}

static TEST(test_a_drain_lets_other_pools_run_on)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("p.slow_steps", "");

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'c'));
    ms_slots_stop(pool->slots, &job->held, MS_STOP_DRAIN);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_INT(job->checkpoint.seq, ==, 20);
    job_free(job);
    pool_free(pool);
}

/* ---- nothing outlives its slot ---- */

static TEST(test_what_a_child_forked_dies_with_it)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "p.fork", "");

    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    WAIT_FOR(10000,
             count_procs("86399", NULL) == 1); /* warm, and so is its own */
    job_free(job);
    job = job_run(pool, "p.exit", "");
    WAIT_FOR(10000, count_procs("86399", NULL) == 0);
    job_free(job);
    job = job_run(pool, "p.fork_and_exit", "");
    WAIT_FOR(10000, count_procs("86399", NULL) == 0);
    job_free(job);
    pool_free(pool);
}

/* A slot that is killed cannot clean up: its guard does. */
static TEST(test_a_killed_slot_takes_idle_children_along)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "p.fork", "");

    WAIT_FOR(10000, count_procs("86399", NULL) == 1);
    kill(slot_pid(pool, 0), SIGKILL);
    WAIT_FOR(10000, count_procs("86399", NULL) == 0);
    WAIT_FOR(10000, count_procs(MS_TEST_BIN_DIR "/pool_child", NULL) == 0);
    job_free(job);
    pool_free(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_the_line_of_a_job_says_all_of_it),
        RUN(test_the_program_answers_ok_with_or_without_a_result),
        RUN(test_error_dead_and_throttled_are_outcomes),
        RUN(test_a_payload_in_json_goes_on_as_it_came),
        RUN(test_big_payloads_and_results_pass),
        RUN(test_a_child_stays_warm_from_job_to_job),
        RUN(test_routing_takes_the_best_fit),
        RUN(test_the_child_sees_its_own_variables_and_folder),
        RUN(test_a_cursor_is_a_checkpoint_that_grows_by_itself),
        RUN(test_the_next_attempt_begins_at_the_cursor),
        RUN(test_a_moving_cursor_puts_off_the_time_out),
        RUN(test_a_wrong_word_fails_the_job_and_replaces_the_child),
        RUN(test_a_line_without_an_end_is_not_read_for_ever),
        RUN(test_an_exit_fails_the_job_with_its_last_words),
        RUN(test_half_a_line_and_silence_time_out),
        RUN(test_a_program_that_cannot_start_fails_the_job),
        RUN(test_what_happens_between_jobs_harms_no_job),
        RUN(test_a_job_that_its_child_never_saw_runs_in_the_next),
        RUN(test_a_flood_on_standard_error_harms_nobody),
        RUN(test_a_child_that_has_grown_is_replaced),
        RUN(test_a_cancel_is_a_term_for_the_child),
        RUN(test_a_child_that_finishes_on_term_is_done),
        RUN(test_a_child_that_ignores_term_is_killed),
        RUN(test_a_drain_stops_pools_that_resume),
        RUN(test_a_drain_lets_other_pools_run_on),
        RUN(test_what_a_child_forked_dies_with_it),
        RUN(test_a_killed_slot_takes_idle_children_along),
    };

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cmd.exec and noop.*: the built-in table, through real slots. */
#include "tests/worker/fixture_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/utf8.h"
#include "worker/program.h"

#define CONF                                                             \
    "fleet: t\n"                                                         \
    "exec: { allow: [sh, cat, env, pwd, ls, nosuchprogram, /bin/echo], " \
    "timeout: 10m }\n"

/* Runs `{"argv": ARGV, ...}` and returns the ended job. */
static struct job *exec_run(const char *conf, const char *payload)
{
    struct pool *pool = pool_new(1, conf);
    struct job *job = job_run(pool, "cmd.exec", payload);

    pool_free(pool);
    return job;
}

static void check_done(const char *payload, const char *output)
{
    struct job *job = exec_run(CONF, payload);
    char *want = ms_xasprintf("{\"exit\":0,\"output\":\"%s\"}", output);

    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_STR(result_of(job), want);
    free(want);
    job_free(job);
}

static void check_ends(const char *payload, enum ms_outcome outcome,
                       const char *error)
{
    struct job *job = exec_run(CONF, payload);

    CHECK_STR(job->ending.error, error);
    CHECK_INT(job->ending.outcome, ==, outcome);
    CHECK(!job->ending.crashed);
    job_free(job);
}

/* ---- outcomes ---- */

static TEST(test_exit_0_is_done_with_the_output_as_result)
{
    check_done("{\"argv\":[\"sh\",\"-c\",\"echo out; echo err >&2\"]}",
               "out\\nerr");
}

static TEST(test_exit_75_is_throttled)
{
    check_ends("{\"argv\":[\"sh\",\"-c\",\"echo slow down; exit 75\"]}",
               MS_THROTTLED, "exit status 75: slow down");
}

static TEST(test_exit_65_is_dead)
{
    check_ends("{\"argv\":[\"sh\",\"-c\",\"exit 65\"]}", MS_DEAD,
               "exit status 65");
}

static TEST(test_any_other_exit_is_failed_with_the_last_words)
{
    check_ends("{\"argv\":[\"sh\",\"-c\",\"echo no luck >&2; exit 3\"]}",
               MS_FAILED, "exit status 3: no luck");
}

static TEST(test_a_signal_is_failed)
{
    check_ends("{\"argv\":[\"sh\",\"-c\",\"kill -9 $$\"]}", MS_FAILED,
               "killed by signal 9");
}

static TEST(test_a_program_that_is_not_there_is_failed)
{
    check_ends("{\"argv\":[\"nosuchprogram\"]}", MS_FAILED,
               "cannot start 'nosuchprogram': No such file or directory");
}

/* ---- what the program is given ---- */

static TEST(test_stdin_reaches_the_program)
{
    check_done("{\"argv\":[\"cat\"],\"stdin\":\"hello\\nthere\"}",
               "hello\\nthere");
}

static TEST(test_without_stdin_it_reads_an_end)
{
    check_done("{\"argv\":[\"cat\"]}", "");
}

/* A write to it must not kill the slot, nor may it wait for ever. */
static TEST(test_a_program_need_not_read_its_stdin)
{
    struct ms_buf payload = MS_BUF_INIT;
    struct job *job;

    ms_buf_adds(&payload, "{\"argv\":[\"sh\",\"-c\",\"exit 0\"],\"stdin\":\"");
    for (int i = 0; i < 300000; i++)
        ms_buf_addc(&payload, 'x');
    ms_buf_adds(&payload, "\"}");
    job = exec_run(CONF, ms_buf_str(&payload));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
    ms_buf_done(&payload);
}

/* Both ways at once, far more than the pipes hold. */
static TEST(test_a_large_stdin_goes_through_while_output_is_drained)
{
    struct ms_buf payload = MS_BUF_INIT;
    struct job *job;

    ms_buf_adds(&payload, "{\"argv\":[\"cat\"],\"stdin\":\"");
    for (int i = 0; i < 500000; i++)
        ms_buf_addc(&payload, (char)('a' + i % 26));
    ms_buf_adds(&payload, "END\"}");
    job = exec_run(CONF, ms_buf_str(&payload));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_CONTAINS(result_of(job), "END\"");
    job_free(job);
    ms_buf_done(&payload);
}

static TEST(test_the_job_is_named_in_the_environment)
{
    struct job *job =
        exec_run(CONF,
                 "{\"argv\":[\"sh\",\"-c\",\"echo $MUSTER_JOB_ID $MUSTER_FENCE "
                 "$MUSTER_ATTEMPT $MUSTER_QUEUE\"]}");
    char *want =
        ms_xasprintf("{\"exit\":0,\"output\":\"%s 77 2 q\"}", job->held.id);

    CHECK_STR(result_of(job), want);
    free(want);
    job_free(job);
}

static TEST(test_env_is_added_and_replaces)
{
    check_done("{\"argv\":[\"sh\",\"-c\",\"echo $A-$HOME\"],"
               "\"env\":{\"A\":\"x y\",\"HOME\":\"/h\"}}",
               "x y-/h");
}

/* Jobs must not be able to pose as another. */
static TEST(test_env_cannot_fake_the_job)
{
    check_done("{\"argv\":[\"sh\",\"-c\",\"echo $MUSTER_FENCE\"],"
               "\"env\":{\"MUSTER_FENCE\":\"999\"}}",
               "77");
}

/* The worker's own settings hold a password. */
static TEST(test_the_worker_s_environment_stays_out)
{
    setenv("MUSTER_REDIS_URL", "redis://:secret@127.0.0.1:1", 1);
    setenv("SOME_TOKEN", "secret", 1);
    check_done("{\"argv\":[\"sh\",\"-c\","
               "\"env | grep -c -e secret -e REDIS || true\"]}",
               "0");
    unsetenv("MUSTER_REDIS_URL");
    unsetenv("SOME_TOKEN");
}

/* Whatever the slot has open, among it an authenticated connection. */
static TEST(test_the_program_holds_no_descriptor_of_ours)
{
    check_done(
        "{\"argv\":[\"sh\",\"-c\",\"cd /proc/self/fd; "
        "for f in *; do [ -e /proc/$$/fd/$f ] && echo -n $f; done; true\"]}",
        "012");
}

static TEST(test_the_program_leads_a_process_group_of_its_own)
{
    check_done("{\"argv\":[\"sh\",\"-c\","
               "\"read -r _ _ _ _ pgrp _ < /proc/$$/stat; "
               "[ $pgrp = $$ ] && echo own\"]}",
               "own");
}

/* ---- output ---- */

static TEST(test_a_flood_of_output_is_drained_and_its_end_kept)
{
    struct job *job = exec_run(
        CONF, "{\"argv\":[\"sh\",\"-c\","
              "\"head -c 20000000 /dev/zero | tr '\\\\0' x; echo the end\"]}");

    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_CONTAINS(result_of(job), "xthe end\"");
    CHECK_INT(strlen(result_of(job)), <, 256 + 32);
    job_free(job);
}

static TEST(test_output_that_is_no_text_is_made_text)
{
    struct job *job =
        exec_run(CONF, "{\"argv\":[\"sh\",\"-c\","
                       "\"head -c 3000 /dev/urandom; echo tail; exit 1\"]}");

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK(ms_utf8_is_valid(job->ending.error, strlen(job->ending.error)));
    CHECK_CONTAINS(job->ending.error, "tail");
    job_free(job);
}

/* ---- what is allowed ---- */

static TEST(test_a_program_that_is_not_allowed_is_dead)
{
    check_ends("{\"argv\":[\"rm\",\"x\"]}", MS_DEAD,
               "payload.argv[0]: 'rm' is not in exec.allow");
}

/* A name allows what is found in the PATH, not a path of the job's choice. */
static TEST(test_a_name_does_not_allow_a_path)
{
    check_ends("{\"argv\":[\"/tmp/sh\"]}", MS_DEAD,
               "payload.argv[0]: '/tmp/sh' is not in exec.allow");
}

static TEST(test_a_path_allows_that_path_alone)
{
    check_done("{\"argv\":[\"/bin/echo\",\"hi\"]}", "hi");
    check_ends("{\"argv\":[\"echo\",\"hi\"]}", MS_DEAD,
               "payload.argv[0]: 'echo' is not in exec.allow");
}

static TEST(test_an_empty_list_refuses_everything)
{
    struct job *job = exec_run("fleet: t\n", "{\"argv\":[\"sh\"]}");

    CHECK_INT(job->ending.outcome, ==, MS_DEAD);
    CHECK_CONTAINS(job->ending.error, "exec.allow");
    job_free(job);
}

/* ---- the payload ---- */

static TEST(test_a_wrong_payload_is_dead_and_names_its_field)
{
    static const struct {
        const char *payload, *error;
    } cases[] = {
        {"", "payload must be an object with argv"},
        {"[]", "payload must be an object with argv"},
        {"{}", "payload.argv is missing"},
        {"{\"argv\":\"sh\"}",
         "payload.argv must be a list of strings, the program first"},
        {"{\"argv\":[]}",
         "payload.argv must be a list of strings, the program first"},
        {"{\"argv\":[\"\"]}",
         "payload.argv[0] must be a string that names a program"},
        {"{\"argv\":[\"sh\",7]}",
         "payload.argv[1] must be a string without NUL"},
        {"{\"argv\":[\"sh\",\"a\\u0000b\"]}",
         "payload.argv[1] must be a string without NUL"},
        {"{\"argv\":[\"sh\"],\"env\":[]}",
         "payload.env must be an object of strings"},
        {"{\"argv\":[\"sh\"],\"env\":{\"A\":1}}",
         "payload.env.A must be a string"},
        {"{\"argv\":[\"sh\"],\"env\":{\"A=B\":\"1\"}}",
         "payload.env: 'A=B' is no name that may be set"},
        {"{\"argv\":[\"sh\"],\"env\":{\"LD_PRELOAD\":\"/x.so\"}}",
         "payload.env: 'LD_PRELOAD' is no name that may be set"},
        {"{\"argv\":[\"sh\"],\"cwd\":1}", "payload.cwd must be a string"},
        {"{\"argv\":[\"sh\"],\"stdin\":{}}", "payload.stdin must be a string"},
        {"{\"argv\":[\"sh\"],\"timeout_s\":0}",
         "payload.timeout_s must be a number above 0"},
        {"{\"argv\":[\"sh\"],\"timeout_s\":\"1\"}",
         "payload.timeout_s must be a number above 0"},
        {"{\"argv\":[\"sh\"],\"timeout\":1}",
         "payload.timeout is not known; there are argv, env, cwd, stdin and "
         "timeout_s"},
    };
    struct pool *pool = pool_new(1, CONF);

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct job *job = job_run(pool, "cmd.exec", cases[i].payload);

        CHECK_STR(job->ending.error, cases[i].error);
        CHECK_INT(job->ending.outcome, ==, MS_DEAD);
        job_free(job);
    }
    pool_free(pool);
}

static TEST(test_fields_may_be_null_and_cwd_empty)
{
    check_done("{\"argv\":[\"/bin/echo\",\"hi\"],\"env\":null,\"cwd\":\"\","
               "\"stdin\":\"\",\"timeout_s\":null}",
               "hi");
}

/* ---- the working directory ---- */

/* A root with a folder and a link that leads out of it. */
static char *jail_conf(void)
{
    char *root = ms_xasprintf("%s/root", ms_test_dir());
    char *path = ms_xasprintf("%s/sub", root), *conf;

    mkdir(root, 0700);
    mkdir(path, 0700);
    free(path);
    path = ms_xasprintf("%s/out", root);
    CHECK(symlink("/", path) == 0 || errno == EEXIST);
    free(path);
    conf = ms_xasprintf("exec: { allow: [pwd], cwd_root: %s }\n", root);
    free(root);
    return conf;
}

static struct job *pwd_in(const char *cwd)
{
    char *conf = jail_conf();
    char *payload = ms_xasprintf("{\"argv\":[\"pwd\"],\"cwd\":\"%s\"}", cwd);
    struct job *job = exec_run(conf, payload);

    free(payload);
    free(conf);
    return job;
}

static TEST(test_programs_run_under_the_root)
{
    struct job *job = pwd_in("");

    CHECK_CONTAINS(result_of(job), "/root\"");
    job_free(job);
    job = pwd_in("sub");
    CHECK_CONTAINS(result_of(job), "/root/sub\"");
    job_free(job);
}

static TEST(test_nothing_leads_out_of_the_root)
{
    static const char *const ways[] = {"/", "..", "sub/../..", "out/tmp",
                                       "/tmp"};

    for (size_t i = 0; i < MS_COUNT_OF(ways); i++) {
        struct job *job = pwd_in(ways[i]);

        CHECK_INT(job->ending.outcome, ==, MS_DEAD);
        CHECK_CONTAINS(job->ending.error, "is not under exec.cwd_root");
        job_free(job);
    }
}

static TEST(test_a_folder_that_is_not_there_is_failed)
{
    struct job *job = pwd_in("nowhere");

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_CONTAINS(job->ending.error, "payload.cwd: cannot enter 'nowhere'");
    job_free(job);
}

static TEST(test_without_a_root_any_folder_will_do)
{
    check_done("{\"argv\":[\"pwd\"],\"cwd\":\"/\"}", "/");
}

/* ---- time and stops ---- */

static TEST(test_its_own_time_out_ends_the_program)
{
    struct job *job =
        exec_run(CONF, "{\"argv\":[\"sh\",\"-c\",\"echo begun; sleep 1000\"],"
                       "\"timeout_s\":0.2}");

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_STR(job->ending.error, "timed out after 200 ms: begun");
    job_free(job);
}

static TEST(test_the_configuration_bounds_the_time_out)
{
    struct job *job = exec_run("exec: { allow: [sh], timeout: 200ms }\n",
                               "{\"argv\":[\"sh\",\"-c\",\"sleep 1000\"],"
                               "\"timeout_s\":600}");

    CHECK_STR(job->ending.error, "timed out after 200 ms");
    job_free(job);
}

static TEST(test_a_program_that_ignores_term_is_killed)
{
    int64_t begun_ms = ms_clock_mono_ms();
    struct job *job =
        exec_run(CONF, "{\"argv\":[\"sh\",\"-c\","
                       "\"trap '' TERM; while :; do sleep 1; done\"],"
                       "\"timeout_s\":0.1}");

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_STR(job->ending.error, "timed out after 100 ms");
    CHECK_INT(ms_clock_mono_ms() - begun_ms, >=, MS_PROGRAM_KILL_MS);
    job_free(job);
}

/* One that may clean up is given the time for it. */
static TEST(test_a_program_can_clean_up_at_term)
{
    struct job *job =
        exec_run(CONF, "{\"argv\":[\"sh\",\"-c\","
                       "\"trap 'echo cleaned; exit 0' TERM; "
                       "while :; do sleep 0.05; done\"],\"timeout_s\":0.3}");

    CHECK_CONTAINS(job->ending.error, "cleaned");
    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    job_free(job);
}

static void check_stop(enum ms_stop reason, enum ms_outcome outcome)
{
    struct pool *pool = pool_new(1, CONF);
    char mark[32], payload[200];
    struct job *job;
    pid_t slot;

    snprintf(mark, sizeof(mark), "9%d", (int)getpid());
    snprintf(payload, sizeof(payload),
             "{\"argv\":[\"sh\",\"-c\",\"sleep %s & sleep %s; exit 1\"]}", mark,
             mark);
    job = job_new("cmd.exec", payload);
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, count_procs(mark, NULL) == 3);
    slot = slot_pid(pool, 0);
    ms_slots_stop(pool->slots, &job->held, reason);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, outcome);
    WAIT_FOR(10000, count_procs(mark, NULL) == 0);
    CHECK_INT(slot_pid(pool, 0), ==, slot); /* the slot lives on */
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_cancel_ends_the_program_and_its_children)
{
    check_stop(MS_STOP_CANCEL, MS_CANCELLED);
}

/* A program cannot resume: it has the grace to end. */
static TEST(test_a_drain_lets_the_program_end)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job =
        job_new("cmd.exec",
                "{\"argv\":[\"sh\",\"-c\",\"sleep 0.3; echo ended\"]}");

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 's'));
    RUN_UNTIL(pool, proc_state(slot_pid(pool, 0)) == 'S');
    usleep(50000); /* begun, not only given */
    ms_slots_stop(pool->slots, &job->held, MS_STOP_DRAIN);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
    pool_free(pool);
}

/* A stopped (SIGSTOP) program hears TERM as well. */
static TEST(test_a_frozen_program_is_ended)
{
    struct job *job = exec_run(
        CONF, "{\"argv\":[\"sh\",\"-c\",\"kill -STOP $$\"],\"timeout_s\":0.2}");

    CHECK_STR(job->ending.error, "timed out after 200 ms");
    job_free(job);
}

/* ---- forks ---- */

/* The job is over when its program is, whoever still holds the pipe. */
static TEST(test_what_a_program_leaves_behind_is_killed)
{
    char mark[32], *payload;
    struct job *job;

    snprintf(mark, sizeof(mark), "5%d", (int)getpid());
    payload = ms_xasprintf(
        "{\"argv\":[\"sh\",\"-c\",\"sleep %s & sleep %s & echo gone\"]}", mark,
        mark);
    job = exec_run(CONF, payload);
    CHECK_STR(result_of(job), "{\"exit\":0,\"output\":\"gone\"}");
    WAIT_FOR(10000, count_procs(mark, NULL) == 0);
    job_free(job);
    free(payload);
}

static TEST(test_a_slot_runs_one_program_after_the_other)
{
    struct pool *pool = pool_new(1, CONF);
    char fds[64];
    pid_t pid = 0;
    int open_before = 0, open_after = 0;

    for (int i = 0; i < 20; i++) {
        struct job *job =
            job_run(pool, "cmd.exec", "{\"argv\":[\"sh\",\"-c\",\"exit 0\"]}");

        CHECK_INT(job->ending.outcome, ==, MS_DONE);
        job_free(job);
        pid = slot_pid(pool, 0);
        snprintf(fds, sizeof(fds), "/proc/%d/fd", (int)pid);
        open_after = 0;
        for (int fd = 0; fd < 64; fd++) {
            char *path = ms_xasprintf("%s/%d", fds, fd);

            open_after +=
                faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
            free(path);
        }
        if (i == 0)
            open_before = open_after;
    }
    CHECK_INT(open_after, ==, open_before);
    pool_free(pool);
}

/* ---- noop ---- */

static TEST(test_sleep_checks_its_payload)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, "noop.sleep", "{\"ms\":\"x\"}");

    CHECK_INT(job->ending.outcome, ==, MS_DEAD);
    CHECK_CONTAINS(job->ending.error, "payload.ms");
    job_free(job);
    job = job_run(pool, "noop.sleep", "{\"ms\":1}");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    job_free(job);
    pool_free(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_exit_0_is_done_with_the_output_as_result),
        RUN(test_exit_75_is_throttled),
        RUN(test_exit_65_is_dead),
        RUN(test_any_other_exit_is_failed_with_the_last_words),
        RUN(test_a_signal_is_failed),
        RUN(test_a_program_that_is_not_there_is_failed),
        RUN(test_stdin_reaches_the_program),
        RUN(test_without_stdin_it_reads_an_end),
        RUN(test_a_program_need_not_read_its_stdin),
        RUN(test_a_large_stdin_goes_through_while_output_is_drained),
        RUN(test_the_job_is_named_in_the_environment),
        RUN(test_env_is_added_and_replaces),
        RUN(test_env_cannot_fake_the_job),
        RUN(test_the_worker_s_environment_stays_out),
        RUN(test_the_program_holds_no_descriptor_of_ours),
        RUN(test_the_program_leads_a_process_group_of_its_own),
        RUN(test_a_flood_of_output_is_drained_and_its_end_kept),
        RUN(test_output_that_is_no_text_is_made_text),
        RUN(test_a_program_that_is_not_allowed_is_dead),
        RUN(test_a_name_does_not_allow_a_path),
        RUN(test_a_path_allows_that_path_alone),
        RUN(test_an_empty_list_refuses_everything),
        RUN(test_a_wrong_payload_is_dead_and_names_its_field),
        RUN(test_fields_may_be_null_and_cwd_empty),
        RUN(test_programs_run_under_the_root),
        RUN(test_nothing_leads_out_of_the_root),
        RUN(test_a_folder_that_is_not_there_is_failed),
        RUN(test_without_a_root_any_folder_will_do),
        RUN(test_its_own_time_out_ends_the_program),
        RUN(test_the_configuration_bounds_the_time_out),
        RUN(test_a_program_that_ignores_term_is_killed),
        RUN(test_a_program_can_clean_up_at_term),
        RUN(test_a_cancel_ends_the_program_and_its_children),
        RUN(test_a_drain_lets_the_program_end),
        RUN(test_a_frozen_program_is_ended),
        RUN(test_what_a_program_leaves_behind_is_killed),
        RUN(test_a_slot_runs_one_program_after_the_other),
        RUN(test_sleep_checks_its_payload),
    };

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * musterctl dev: what it starts, tells, survives and leaves behind.
 *
 * The daemons are played by small shell programs beside a copy of musterctl,
 * so that their failures can be chosen; test_dev_fleet.c has the real ones.
 */
#include "common/val.h"
#include "tests/support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char good_coordinator[] =
    "#!/bin/sh\n"
    "trap 'echo coordinator stops; exit 0' TERM\n"
    "redis-cli -u \"$4\" HSET \"ms:{$6}:leader\" id L pid $$ "
    "url http://127.0.0.1:1\n"
    "while :; do sleep 0.05; done\n";
static const char good_worker[] =
    "#!/bin/sh\n"
    "trap 'echo worker stops; exit 0' TERM\n"
    "echo queues $MUSTER_QUEUES http $MUSTER_WORKER__HTTP args $*\n"
    "now=$(redis-cli -u \"$4\" TIME | head -n 1)000\n"
    "redis-cli -u \"$4\" HSET \"ms:{$6}:pod:p$$\" pid $$\n"
    "redis-cli -u \"$4\" ZADD \"ms:{$6}:pods\" $now p$$\n"
    "while :; do sleep 0.05; done\n";
static const char broken_worker[] = "#!/bin/sh\necho no such luck\nexit 3\n";

/* One folder with the programs, one for the fleet's data. */
struct stage {
    char *bin, *data;
    struct ms_proc *proc;
    struct ms_val facts; /* dev.json */
};

static void program_write(const char *bin, const char *name, const char *text)
{
    char *path = ms_xasprintf("%s/%s", bin, name);
    FILE *file = fopen(path, "we");

    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
    chmod(path, 0755);
    free(path);
}

static void stage_init(struct stage *stage, const char *coordinator,
                       const char *worker)
{
    static int number;
    const char *copy[] = {"cp", MS_TEST_BIN_DIR "/musterctl", NULL, NULL};

    memset(stage, 0, sizeof(*stage));
    stage->bin = ms_xasprintf("%s/bin-%d", ms_test_dir(), ++number);
    stage->data = ms_xasprintf("%s/some/data-%d", ms_test_dir(), number);
    mkdir(stage->bin, 0755);
    copy[2] = stage->bin;
    CHECK_INT(ms_proc_run(copy, NULL, NULL, NULL), ==, 0);
    program_write(stage->bin, "muster-coordinator", coordinator);
    program_write(stage->bin, "muster-worker", worker);
}

static void stage_start(struct stage *stage, const char *option,
                        const char *value)
{
    char *program = ms_xasprintf("%s/musterctl", stage->bin);
    const char *argv[] = {program, "dev", "--dir", stage->data,
                          option,  value, NULL};

    stage->proc = ms_proc_start(argv, NULL);
    free(program);
}

static char *file_read(const char *dir, const char *name)
{
    char *path = ms_xasprintf("%s/%s", dir, name);
    FILE *file = fopen(path, "re");
    struct ms_buf text = MS_BUF_INIT;

    free(path);
    if (file == NULL)
        return ms_xstrdup("");
    for (int c = fgetc(file); c != EOF; c = fgetc(file))
        ms_buf_addc(&text, (char)c);
    fclose(file);
    ms_buf_str(&text);
    return text.data != NULL ? text.data : ms_xstrdup("");
}

static void stage_ready(struct stage *stage)
{
    char *json;

    WAIT_FOR(60000, strchr(ms_proc_stdout(stage->proc), '\n') != NULL ||
                        ms_proc_wait(stage->proc, 0) >= 0);
    if (strncmp(ms_proc_stdout(stage->proc), "ready ", 6) != 0)
        print_error("%s", ms_proc_stderr(stage->proc));
    CHECK(strncmp(ms_proc_stdout(stage->proc), "ready ", 6) == 0);
    json = file_read(stage->data, "dev.json");
    CHECK_INT(ms_val_from_json(json, strlen(json), &stage->facts, NULL), ==,
              MS_OK);
    free(json);
}

static char *fact(const struct stage *stage, const char *name)
{
    return ms_val_strdup(&stage->facts.root, name);
}

static pid_t pid_of(const struct stage *stage, const char *name)
{
    return (pid_t)ms_val_int(ms_val_get(&stage->facts.root, "pids"), name, -1);
}

static pid_t worker_pid(const struct stage *stage, uint32_t i)
{
    const msgpack_object *workers =
        ms_val_get(ms_val_get(&stage->facts.root, "pids"), "workers");

    return i < workers->via.array.size
               ? (pid_t)workers->via.array.ptr[i].via.u64
               : -1;
}

/* Not there any more, or a zombie that waits for its new parent. */
static bool is_gone(pid_t pid)
{
    char *folder = ms_xasprintf("/proc/%d", (int)pid);
    char *stat = file_read(folder, "stat");
    const char *state = strrchr(stat, ')');
    bool gone = state == NULL || strncmp(state, ") Z", 3) == 0;

    free(stat);
    free(folder);
    return gone;
}

static void stage_done(struct stage *stage)
{
    ms_proc_free(stage->proc);
    ms_val_done(&stage->facts);
    free(stage->bin);
    free(stage->data);
}

/* musterctl at the stage's Redis; returns its exit code. */
static int ctl(const struct stage *stage, const char *noun, const char *verb,
               const char *argument, char **out)
{
    char *url = fact(stage, "redis");
    const char *argv[] = {"musterctl", "--redis", url,      "--json",
                          noun,        verb,      argument, NULL};
    int code = ms_proc_run(argv, NULL, out, NULL);

    free(url);
    return code;
}

static TEST(test_ready_tells_where_the_fleet_is)
{
    struct stage stage;
    char *redis, *http, *line, *log;

    stage_init(&stage, good_coordinator, good_worker);
    stage_start(&stage, "--workers", "2");
    stage_ready(&stage);
    redis = fact(&stage, "redis");
    http = fact(&stage, "http");
    line = ms_xasprintf("ready redis=%s http=%s\n", redis, http);
    CHECK_STR(ms_proc_stdout(stage.proc), line);
    CHECK_STR(http, "http://127.0.0.1:1");
    CHECK(!is_gone(pid_of(&stage, "redis")));
    CHECK(!is_gone(pid_of(&stage, "coordinator")));
    CHECK(!is_gone(worker_pid(&stage, 0)) && !is_gone(worker_pid(&stage, 1)));
    CHECK_INT(worker_pid(&stage, 2), ==, -1);
    log = file_read(stage.data, "worker-2.log");
    CHECK_CONTAINS(log, "queues default,dump http 127.0.0.1:0");
    CHECK_CONTAINS(log, "--config ");
    free(log);
    free(line);
    free(http);
    free(redis);
    stage_done(&stage);
}

/* TERM takes down everything, in order, and exits with 0; the data stays and
 * the next start has it. */
static TEST(test_a_stop_leaves_the_data_and_nothing_else)
{
    struct stage stage;
    pid_t redis, coordinator, worker;
    char *json, *log, *out = NULL;

    stage_init(&stage, good_coordinator, good_worker);
    stage_start(&stage, "--workers", "1");
    stage_ready(&stage);
    redis = pid_of(&stage, "redis");
    coordinator = pid_of(&stage, "coordinator");
    worker = worker_pid(&stage, 0);
    CHECK_INT(ctl(&stage, "job", "enqueue", "noop.echo", NULL), ==, 0);
    ms_proc_signal(stage.proc, SIGTERM);
    CHECK_INT(ms_proc_wait(stage.proc, 60000), ==, 0);
    CHECK(is_gone(redis) && is_gone(coordinator) && is_gone(worker));
    json = file_read(stage.data, "dev.json");
    CHECK_STR(json, "");
    log = file_read(stage.data, "worker-1.log");
    CHECK_CONTAINS(log, "worker stops"); /* it was asked, not killed */
    ms_proc_free(stage.proc);
    ms_val_done(&stage.facts);
    stage_start(&stage, "--workers", "0");
    stage_ready(&stage);
    CHECK_INT(ctl(&stage, "queue", "show", "default", &out), ==, 0);
    CHECK_CONTAINS(out, "\"ready\":1");
    free(out);
    free(log);
    free(json);
    stage_done(&stage);
}

static TEST(test_redis_is_set_up_for_muster)
{
    struct stage stage;
    char *out = NULL;
    int n_warnings = 0;

    stage_init(&stage, good_coordinator, good_worker);
    stage_start(&stage, "--queues", "a, b");
    stage_ready(&stage);
    CHECK_INT(ctl(&stage, "doctor", NULL, NULL, &out), ==, 0);
    /* This coordinator is a stand-in: it neither leads nor loads functions. */
    for (const char *at = out; (at = strstr(at, "\"warn\"")) != NULL; at++)
        n_warnings++;
    CHECK_INT(n_warnings, <=, 2);
    CHECK_CONTAINS(out, "append-only file");
    free(out);
    out = file_read(stage.data, "muster.yaml");
    CHECK_CONTAINS(out, "queues: [\"a\", \"b\"]");
    free(out);
    stage_done(&stage);
}

/* What a fleet does without one of its workers is what people try here. */
static TEST(test_a_killed_worker_is_told_and_stays_dead)
{
    struct stage stage;
    pid_t worker;

    stage_init(&stage, good_coordinator, good_worker);
    stage_start(&stage, "--workers", "2");
    stage_ready(&stage);
    worker = worker_pid(&stage, 0);
    kill(worker, SIGKILL);
    WAIT_FOR(20000,
             strstr(ms_proc_stderr(stage.proc), "not started again") != NULL);
    CHECK_CONTAINS(ms_proc_stderr(stage.proc), "worker-1");
    CHECK_CONTAINS(ms_proc_stderr(stage.proc), "killed by signal 9");
    CHECK(!is_gone(worker_pid(&stage, 1)));
    ms_proc_signal(stage.proc, SIGINT);
    CHECK_INT(ms_proc_wait(stage.proc, 60000), ==, 0);
    stage_done(&stage);
}

static TEST(test_nothing_outlives_a_killed_dev)
{
    struct stage stage;

    stage_init(&stage, good_coordinator, good_worker);
    stage_start(&stage, "--workers", "1");
    stage_ready(&stage);
    kill(ms_proc_pid(stage.proc), SIGKILL);
    WAIT_FOR(20000, is_gone(worker_pid(&stage, 0)));
    WAIT_FOR(20000, is_gone(pid_of(&stage, "coordinator")));
    WAIT_FOR(20000, is_gone(pid_of(&stage, "redis")));
    stage_done(&stage);
}

/* ---- failing starts ---- */

static TEST(test_a_worker_that_cannot_start_fails_the_start)
{
    struct stage stage;

    stage_init(&stage, good_coordinator, broken_worker);
    stage_start(&stage, "--workers", "1");
    CHECK_INT(ms_proc_wait(stage.proc, 60000), ==, 1);
    CHECK_STR(ms_proc_stdout(stage.proc), "");
    CHECK_CONTAINS(ms_proc_stderr(stage.proc), "worker-1 exited with 3");
    CHECK_CONTAINS(ms_proc_stderr(stage.proc), "no such luck");
    stage_done(&stage);
}

static TEST(test_two_fleets_cannot_share_a_folder)
{
    struct stage first, second;
    char *other;

    stage_init(&first, good_coordinator, good_worker);
    stage_start(&first, "--workers", "0");
    stage_ready(&first);
    stage_init(&second, good_coordinator, good_worker);
    other = second.data;
    second.data = first.data;
    stage_start(&second, "--workers", "0");
    CHECK_INT(ms_proc_wait(second.proc, 60000), ==, 1);
    CHECK_CONTAINS(ms_proc_stderr(second.proc), "another musterctl dev");
    CHECK(!is_gone(pid_of(&first, "redis")));
    second.data = other;
    stage_done(&second);
    stage_done(&first);
}

static TEST(test_a_taken_port_is_an_error)
{
    struct stage first, second;
    char *url;

    stage_init(&first, good_coordinator, good_worker);
    stage_start(&first, "--workers", "0");
    stage_ready(&first);
    url = fact(&first, "redis");
    stage_init(&second, good_coordinator, good_worker);
    stage_start(&second, "--port", strrchr(url, ':') + 1);
    CHECK_INT(ms_proc_wait(second.proc, 60000), ==, 1);
    CHECK_CONTAINS(ms_proc_stderr(second.proc), "redis-server exited with 1");
    free(url);
    stage_done(&second);
    stage_done(&first);
}

static TEST(test_misuse_starts_nothing)
{
    static const char *const bad[][2] = {
        {"--workers", "x"},  {"--workers", "-1"}, {"--port", "0"},
        {"--port", "70000"}, {"--queues", ","},   {"--queues", "a,b/c"},
        {"--dir", ""},
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        const char *argv[] = {"musterctl", "dev", bad[i][0], bad[i][1], NULL};

        CHECK_INT(ms_proc_run(argv, NULL, NULL, NULL), ==, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_ready_tells_where_the_fleet_is),
        RUN(test_a_stop_leaves_the_data_and_nothing_else),
        RUN(test_redis_is_set_up_for_muster),
        RUN(test_a_killed_worker_is_told_and_stays_dead),
        RUN(test_nothing_outlives_a_killed_dev),
        RUN(test_a_worker_that_cannot_start_fails_the_start),
        RUN(test_two_fleets_cannot_share_a_folder),
        RUN(test_a_taken_port_is_an_error),
        RUN(test_misuse_starts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

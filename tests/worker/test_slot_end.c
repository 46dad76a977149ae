/* What goes wrong in a child: crashes, hangs, lies.  Each costs one job. */
#include "tests/worker/fixture_slots.h"

#include "worker/build.h"
#include "worker/handlers.h"
#include "worker/spawn.h"

#define CONF "fleet: t\nexec: { allow: [sh] }\n"

/* ---- handlers, run in the children ---- */

/* {"ms": n, "die": true}: short, unless it kills its own process. */
static enum ms_outcome handle_maybe(struct ms_ctx *ctx)
{
    ms_ctx_sleep(ctx, ms_val_int(ms_ctx_payload(ctx), "ms", 0));
    if (ms_val_bool(ms_ctx_payload(ctx), "die", false))
        kill(getpid(), SIGKILL);
    return MS_DONE;
}

static enum ms_outcome handle_exit(struct ms_ctx *ctx)
{
    _exit(3);
}

/* Never looks at its channel. */
static enum ms_outcome handle_hang(struct ms_ctx *ctx)
{
    while (pause() == -1)
        ;
    return MS_DONE;
}

static enum ms_outcome handle_stubborn(struct ms_ctx *ctx)
{
    signal(SIGTERM, SIG_IGN);
    return handle_hang(ctx);
}

/* Slow, but its cursor moves. */
static enum ms_outcome handle_moving(struct ms_ctx *ctx)
{
    struct ms_checkpoint step = {.cursor = {(char[]){"\x01"}, 1}};

    for (step.seq = 1; step.seq <= 15; step.seq++) {
        ms_ctx_sleep(ctx, 100);
        ms_ctx_checkpoint(ctx, &step, 0);
    }
    return MS_DONE;
}

/* Tells progress for ever, and gets nowhere. */
static enum ms_outcome handle_busy(struct ms_ctx *ctx)
{
    enum ms_stop stop;

    while ((stop = ms_ctx_sleep(ctx, 20)) == MS_STOP_NONE)
        ms_ctx_progress(ctx, 0.5);
    return ms_stop_outcome(stop);
}

/* Hears the order, and has finished all the same. */
static enum ms_outcome handle_finished(struct ms_ctx *ctx)
{
    ms_ctx_sleep(ctx, 60000);
    return MS_DONE;
}

static enum ms_outcome write_raw(const char *bytes, size_t len)
{
    if (write(MS_SLOT_CHANNEL_FD, bytes, len) < 0)
        _exit(9);
    return handle_hang(NULL);
}

static enum ms_outcome handle_garbage(struct ms_ctx *ctx)
{
    return write_raw("\0\0\0\5abcde", 9);
}

static enum ms_outcome handle_huge(struct ms_ctx *ctx)
{
    return write_raw("\xff\xff\xff\xff", 4);
}

static enum ms_outcome handle_half(struct ms_ctx *ctx)
{
    if (write(MS_SLOT_CHANNEL_FD, "\0\0\1\0ab", 6) == 6)
        _exit(0);
    return MS_DONE;
}

/* An END of another job. */
static enum ms_outcome handle_lie(struct ms_ctx *ctx)
{
    const struct ms_ending ending = {.outcome = MS_DONE};
    struct ms_buf wire = MS_BUF_INIT;

    ms_message_put_end(&wire, 4711, &ending, 0);
    return write_raw(wire.data, wire.len);
}

/* Closes its side and lives on. */
static enum ms_outcome handle_deaf(struct ms_ctx *ctx)
{
    close(MS_SLOT_CHANNEL_FD);
    return handle_hang(ctx);
}

const struct ms_handler ms_handlers[] = {
    {"noop.echo", ms_handle_noop_echo, false},
    {"noop.sleep", ms_handle_noop_sleep, false},
    {"cmd.exec", ms_handle_cmd_exec, false},
    {"t.resumes", ms_handle_noop_sleep, true},
    {"t.maybe", handle_maybe, false},
    {"t.exit", handle_exit, false},
    {"t.hang", handle_hang, false},
    {"t.stubborn", handle_stubborn, false},
    {"t.moving", handle_moving, false},
    {"t.busy", handle_busy, false},
    {"t.finished", handle_finished, false},
    {"t.garbage", handle_garbage, false},
    {"t.huge", handle_huge, false},
    {"t.half", handle_half, false},
    {"t.lie", handle_lie, false},
    {"t.deaf", handle_deaf, false},
    {NULL, NULL, false},
};

/* ---- crashes ---- */

/* The job failed because of its slot, and the slot was replaced. */
static void check_costs_one_job(const char *kind, const char *payload,
                                const char *error)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_run(pool, kind, payload), *next;

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK(job->ending.crashed);
    CHECK_STR(job->ending.error, error);
    CHECK_STR(job->told, "se");
    next = job_run(pool, "noop.echo", "1");
    CHECK_INT(next->ending.outcome, ==, MS_DONE);
    job_free(job);
    job_free(next);
    pool_free(pool);
}

static TEST(test_a_killed_slot_costs_its_job_alone)
{
    check_costs_one_job("t.maybe", "{\"die\":true}", "slot died: signal 9");
}

static TEST(test_a_slot_that_exits_costs_its_job_alone)
{
    check_costs_one_job("t.exit", "", "slot died: exit status 3");
}

static TEST(test_a_broken_frame_costs_its_job_alone)
{
    check_costs_one_job("t.garbage", "",
                        "slot killed: it sent a frame of no known type");
}

static TEST(test_an_impossible_frame_costs_its_job_alone)
{
    check_costs_one_job("t.huge", "",
                        "slot killed: it sent a frame of an impossible length");
}

static TEST(test_an_end_inside_a_frame_costs_its_job_alone)
{
    check_costs_one_job("t.half", "", "slot died: inside a frame");
}

static TEST(test_an_answer_for_another_job_costs_its_job_alone)
{
    check_costs_one_job(
        "t.lie", "",
        "slot killed: it sent a frame about a job that it does not run");
}

static TEST(test_a_slot_that_closes_its_channel_is_killed)
{
    check_costs_one_job("t.deaf", "", "slot died: signal 9");
}

/* What was queued behind never began and is nobody's fault; what ended before
 * keeps its outcome. */
static TEST(test_a_crash_blames_exactly_the_job_that_was_begun)
{
    enum { ALL = 12, BAD = 4 };
    struct pool *pool = pool_new(1, CONF);
    struct job *jobs[ALL];

    for (int i = 0; i < 6; i++)
        job_free(job_run(pool, "t.maybe", ""));
    for (int i = 0; i < ALL; i++) {
        jobs[i] = job_new("t.maybe", i == BAD ? "{\"die\":true}" : "");
        CHECK(ms_slots_run(pool->slots, &jobs[i]->held));
    }
    RUN_UNTIL(pool,
              count_told(jobs, ALL, 'e') + count_told(jobs, ALL, 'r') == ALL);
    for (int i = 0; i < ALL; i++) {
        CHECK_STR(jobs[i]->told, i <= BAD ? "se" : "r");
        CHECK_INT(jobs[i]->ending.outcome, ==, i == BAD ? MS_FAILED : MS_DONE);
        CHECK_INT(jobs[i]->ending.crashed, ==, i == BAD);
        job_free(jobs[i]);
    }
    pool_free(pool);
}

/* Nobody's job, nobody's failure. */
static TEST(test_an_idle_slot_that_dies_is_replaced_in_silence)
{
    struct pool *pool = pool_new(1, CONF);
    pid_t pid;

    job_free(job_run(pool, "noop.echo", "1"));
    pid = slot_pid(pool, 0);
    kill(pid, SIGKILL);
    RUN_UNTIL(pool, slot_pid(pool, 0) == 0);
    CHECK_INT(ms_slots_idle(pool->slots), ==, 1);
    job_free(job_run(pool, "noop.echo", "1"));
    CHECK(slot_pid(pool, 0) != pid);
    pool_free(pool);
}

/* Payloads must not end up in a file. */
static TEST(test_a_slot_leaves_no_core_file)
{
    struct pool *pool = pool_new(1, CONF);
    char limits[4096];
    const char *line;

    job_free(job_run(pool, "noop.echo", "1"));
    read_proc(slot_pid(pool, 0), "limits", limits, sizeof(limits));
    line = strstr(limits, "Max core file size");
    CHECK(line != NULL);
    CHECK(strncmp(line + 18 + strspn(line + 18, " "), "0 ", 2) == 0);
    pool_free(pool);
}

/* ---- time-outs ---- */

static struct job *run_with_timeout(struct pool *pool, const char *kind,
                                    const char *payload, int64_t timeout_ms)
{
    struct job *job = job_new(kind, payload);

    job->held.timeout_ms = timeout_ms;
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    return job;
}

static void check_times_out(const char *kind, const char *payload)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = run_with_timeout(pool, kind, payload, 150);

    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_STR(job->ending.error, "timed out after 150 ms");
    CHECK(!job->ending.crashed);
    job_free(job);
    job_free(job_run(pool, "noop.echo", "1"));
    pool_free(pool);
}

static TEST(test_a_handler_that_listens_is_stopped_at_its_time)
{
    struct pool *pool = pool_new(1, CONF);
    pid_t pid;
    struct job *job;

    job_free(job_run(pool, "noop.echo", "1"));
    pid = slot_pid(pool, 0);
    job = run_with_timeout(pool, "noop.sleep", "{\"ms\":60000}", 150);
    CHECK_STR(job->ending.error, "timed out after 150 ms");
    CHECK_INT(slot_pid(pool, 0), ==, pid); /* it did not have to die */
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_handler_that_hangs_is_terminated)
{
    check_times_out("t.hang", "");
}

static TEST(test_a_handler_that_ignores_term_is_killed)
{
    check_times_out("t.stubborn", "");
}

static TEST(test_progress_alone_does_not_put_off_the_time_out)
{
    check_times_out("t.busy", "");
}

/* A chunk may take hours as long as it gets on. */
static TEST(test_a_moving_cursor_puts_off_the_time_out)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = run_with_timeout(pool, "t.moving", "", 1000);

    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_INT(job->checkpoints, ==, 15);
    job_free(job);
    pool_free(pool);
}

/* ---- stops ---- */

static void check_stop(const char *kind, enum ms_stop reason,
                       enum ms_outcome outcome)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new(kind, "{\"ms\":60000}");

    CHECK(ms_slots_run(pool->slots, &job->held));
    /* Not told until the child is up; begun a moment later. */
    RUN_UNTIL(pool, has(job, 's'));
    RUN_UNTIL(pool, proc_state(slot_pid(pool, 0)) == 'S');
    usleep(50000);
    ms_slots_stop(pool->slots, &job->held, reason);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, outcome);
    CHECK(!job->ending.crashed);
    job_free(job);
    job_free(job_run(pool, "noop.echo", "1"));
    pool_free(pool);
}

static TEST(test_a_cancel_ends_a_handler_that_listens)
{
    check_stop("noop.sleep", MS_STOP_CANCEL, MS_CANCELLED);
}

static TEST(test_a_lost_job_is_stopped)
{
    check_stop("noop.sleep", MS_STOP_LOST, MS_CANCELLED);
}

static TEST(test_a_drain_releases_a_handler_that_resumes)
{
    check_stop("t.resumes", MS_STOP_DRAIN, MS_RELEASED);
}

static TEST(test_a_handler_that_had_finished_stays_done)
{
    check_stop("t.finished", MS_STOP_CANCEL, MS_DONE);
}

static TEST(test_a_cancel_ends_a_handler_that_does_not_listen)
{
    check_stop("t.hang", MS_STOP_CANCEL, MS_CANCELLED);
}

/* Only the end of the grace ends it, by taking its slot away. */
static TEST(test_a_drain_lets_others_run_on)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("noop.sleep", "{\"ms\":300}");

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

static TEST(test_a_cancel_ends_a_stubborn_handler)
{
    check_stop("t.stubborn", MS_STOP_CANCEL, MS_CANCELLED);
}

/* A drain only asks: what dies meanwhile has died of itself. */
static TEST(test_a_crash_after_a_drain_is_a_crash)
{
    struct pool *pool = pool_new(1, CONF);
    struct job *job = job_new("t.maybe", "{\"ms\":200,\"die\":true}");

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 's'));
    usleep(50000);
    ms_slots_stop(pool->slots, &job->held, MS_STOP_DRAIN);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_FAILED);
    CHECK_STR(job->ending.error, "slot died: signal 9");
    CHECK(job->ending.crashed);
    job_free(job);
    pool_free(pool);
}

/* ---- starts that fail ---- */

/* A child of another build, or one that cannot read its configuration, takes
 * no job with it. */
static void check_cannot_start(const char *fake, const char *conf_path)
{
    char *path;
    struct pool *pool = pool_new(1, CONF);
    struct ms_slots_options options = {.conf = pool->conf,
                                       .conf_path = conf_path,
                                       .pod_id = "POD1",
                                       .concurrency = 1,
                                       .events = &pool->events,
                                       .arg = pool};
    struct job *job = job_new("noop.echo", "1");

    setenv("MUSTER_TEST_FAKE", fake, 1);
    ms_slots_free(pool->slots);
    pool->slots = ms_slots_new(pool->loop, &options);
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'r'));
    CHECK_STR(job->told, "r");
    /* It is not tried again at once; later, it is. */
    CHECK_INT(ms_slots_idle(pool->slots), ==, 0);
    CHECK(!ms_slots_run(pool->slots, &job->held));
    unsetenv("MUSTER_TEST_FAKE");
    RUN_UNTIL(pool, ms_slots_idle(pool->slots) == 1);
    ms_slots_free(pool->slots);
    options.conf_path = path = ms_test_file("good.yaml", CONF, strlen(CONF));
    pool->slots = ms_slots_new(pool->loop, &options);
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    free(path);
    job_free(job);
    pool_free(pool);
}

static TEST(test_a_child_of_another_build_gets_no_job)
{
    check_cannot_start("build", NULL);
}

static TEST(test_a_child_that_dies_at_its_start_takes_no_job_with_it)
{
    check_cannot_start("dies", NULL);
}

static TEST(test_a_child_without_its_configuration_takes_no_job_with_it)
{
    check_cannot_start("", "/nonexistent/muster.yaml");
}

/* The other way round: this build under an old worker. */
static TEST(test_a_child_refuses_a_worker_of_another_build)
{
    const struct ms_hello hello = {"0.0.0+00", "POD", NULL,
                                   "redis://127.0.0.1:1", "t"};
    struct ms_spawned child;
    struct ms_reader reader;
    struct ms_message *message;
    const char *body;
    size_t len;

    ms_spawn_init(&child);
    CHECK_INT(ms_spawn_slot(0, &child, NULL), ==, MS_OK);
    ms_message_put_hello(&child.frames.out, &hello);
    CHECK_INT(ms_frames_flush(&child.frames), ==, MS_OK);
    while (ms_frames_next(&child.frames, &body, &len, NULL) == MS_EBUSY)
        CHECK_INT(ms_frames_fill(&child.frames, true), ==, MS_OK);
    ms_reader_init(&reader);
    CHECK_INT(ms_message_read(&reader, body, len, &message, NULL), ==, MS_OK);
    CHECK_INT(message->type, ==, MS_MSG_REFUSED);
    CHECK_CONTAINS(message->text, "0.0.0+00");
    CHECK_CONTAINS(message->text, ms_build_id());
    CHECK_CONTAINS(message->text, "restart the worker");
    WAIT_FOR(10000, !is_alive(child.pid)); /* by itself */
    ms_reader_done(&reader);
    ms_spawn_end(&child);
    ms_spawn_close(&child);
}

/* Two builds differ in more than their version. */
static TEST(test_the_build_id_holds_a_hash)
{
    const char *plus = strchr(ms_build_id(), '+');

    CHECK(plus != NULL);
    CHECK_INT(strlen(plus), >, 16);
}

static TEST(test_a_slot_started_by_hand_says_so)
{
    char self[4096] = "";
    char *errors;

    CHECK_INT(readlink("/proc/self/exe", self, sizeof(self) - 1), >, 0);
    CHECK_INT(ms_proc_run((const char *const[]){self, "--slot", NULL}, NULL,
                          NULL, &errors),
              ==, 2);
    CHECK_CONTAINS(errors, "--slot");
    free(errors);
}

/* ---- what is left behind ---- */

/* Nobody gets in the way of a kill -9: neither slots nor their programs nor
 * what those have started may stay. */
static TEST(test_a_killed_worker_leaves_no_slot_and_no_program_behind)
{
    char self[4096] = "", mark[32];
    struct ms_proc *pod;
    pid_t slot = 0;

    CHECK_INT(readlink("/proc/self/exe", self, sizeof(self) - 1), >, 0);
    snprintf(mark, sizeof(mark), "6%d", (int)getpid());
    pod = ms_proc_start((const char *const[]){self, "--pod", mark + 1, NULL},
                        NULL);
    /* In each slot a shell and two sleeps. */
    WAIT_FOR(30000, count_procs(mark, NULL) == 2 * 3);
    WAIT_FOR(30000, count_procs("--slot", &slot) >= 2);
    ms_proc_signal(pod, SIGKILL);
    WAIT_FOR(30000, count_procs(mark, NULL) == 0);
    WAIT_FOR(30000, !is_alive(slot));
    ms_proc_free(pod);
}

static struct job *exec_job_new(const char *mark)
{
    char payload[200];

    snprintf(payload, sizeof(payload),
             "{\"argv\":[\"sh\",\"-c\",\"sleep %s & sleep %s; exit 1\"]}", mark,
             mark);
    return job_new("cmd.exec", payload);
}

static int pod_main(const char *number)
{
    struct pool *pool = pool_new(2, CONF);
    char mark[32];

    snprintf(mark, sizeof(mark), "6%s", number);
    for (int i = 0; i < 2; i++)
        CHECK(ms_slots_run(pool->slots, &exec_job_new(mark)->held));
    ev_run(pool->loop, 0);
    return 0;
}

static TEST(test_a_killed_slot_leaves_no_program_behind)
{
    struct pool *pool = pool_new(1, CONF);
    char mark[32];
    struct job *job;

    snprintf(mark, sizeof(mark), "7%d", (int)getpid());
    job = exec_job_new(mark);
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, count_procs(mark, NULL) == 3);
    kill(slot_pid(pool, 0), SIGKILL);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_STR(job->ending.error, "slot died: signal 9");
    WAIT_FOR(30000, count_procs(mark, NULL) == 0);
    job_free(job);
    pool_free(pool);
}

/* Process 1 of a container is often no init. */
static TEST(test_no_zombie_stays_of_a_slot_s_orphans)
{
    struct pool *pool = pool_new(1, CONF);
    char line[512], path[64];
    FILE *children;
    size_t len;

    job_free(
        job_run(pool, "cmd.exec", "{\"argv\":[\"sh\",\"-c\",\"exit 0\"]}"));
    kill(slot_pid(pool, 0), SIGKILL); /* its guard is an orphan then */
    RUN_UNTIL(pool, slot_pid(pool, 0) == 0);
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    do {
        ev_run(pool->loop, EVRUN_ONCE);
        children = fopen(path, "re");
        CHECK(children != NULL);
        len = fread(line, 1, sizeof(line) - 1, children);
        fclose(children);
        line[len] = '\0';
    } while (strstr(line, " ") != strrchr(line, ' ')); /* the fixture's own */
    pool_free(pool);
}

static TEST(test_freeing_the_pool_leaves_no_program_behind)
{
    struct pool *pool = pool_new(1, CONF);
    char mark[32];
    struct job *job;
    pid_t slot;

    snprintf(mark, sizeof(mark), "8%d", (int)getpid());
    job = exec_job_new(mark);
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, count_procs(mark, NULL) == 3);
    slot = slot_pid(pool, 0);
    pool_free(pool);
    WAIT_FOR(30000, count_procs(mark, NULL) == 0);
    CHECK(!is_alive(slot));
    CHECK_STR(job->told, "s");
    CHECK(job->held.slot == NULL);
    job_free(job);
}

/* Children that are not ours to speak for. */
static int fake_slot(const char *what)
{
    struct ms_frames frames;

    if (strcmp(what, "dies") == 0)
        return 1;
    ms_frames_init(&frames, MS_SLOT_CHANNEL_FD);
    ms_message_put_ready(&frames.out, "9.9.9+beef");
    ms_frames_flush(&frames);
    for (;;)
        pause();
}

static int slot_main(int argc, char **argv)
{
    const char *fake = getenv("MUSTER_TEST_FAKE");

    if (fake != NULL && fake[0] != '\0')
        return fake_slot(fake);
    return ms_slot_main(argc, argv);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_killed_slot_costs_its_job_alone),
        RUN(test_a_slot_that_exits_costs_its_job_alone),
        RUN(test_a_broken_frame_costs_its_job_alone),
        RUN(test_an_impossible_frame_costs_its_job_alone),
        RUN(test_an_end_inside_a_frame_costs_its_job_alone),
        RUN(test_an_answer_for_another_job_costs_its_job_alone),
        RUN(test_a_slot_that_closes_its_channel_is_killed),
        RUN(test_a_crash_blames_exactly_the_job_that_was_begun),
        RUN(test_an_idle_slot_that_dies_is_replaced_in_silence),
        RUN(test_a_slot_leaves_no_core_file),
        RUN(test_a_handler_that_listens_is_stopped_at_its_time),
        RUN(test_a_handler_that_hangs_is_terminated),
        RUN(test_a_handler_that_ignores_term_is_killed),
        RUN(test_progress_alone_does_not_put_off_the_time_out),
        RUN(test_a_moving_cursor_puts_off_the_time_out),
        RUN(test_a_cancel_ends_a_handler_that_listens),
        RUN(test_a_lost_job_is_stopped),
        RUN(test_a_drain_releases_a_handler_that_resumes),
        RUN(test_a_handler_that_had_finished_stays_done),
        RUN(test_a_cancel_ends_a_handler_that_does_not_listen),
        RUN(test_a_drain_lets_others_run_on),
        RUN(test_a_cancel_ends_a_stubborn_handler),
        RUN(test_a_crash_after_a_drain_is_a_crash),
        RUN(test_a_child_of_another_build_gets_no_job),
        RUN(test_a_child_that_dies_at_its_start_takes_no_job_with_it),
        RUN(test_a_child_without_its_configuration_takes_no_job_with_it),
        RUN(test_a_child_refuses_a_worker_of_another_build),
        RUN(test_the_build_id_holds_a_hash),
        RUN(test_a_slot_started_by_hand_says_so),
        RUN(test_a_killed_worker_leaves_no_slot_and_no_program_behind),
        RUN(test_a_killed_slot_leaves_no_program_behind),
        RUN(test_no_zombie_stays_of_a_slot_s_orphans),
        RUN(test_freeing_the_pool_leaves_no_program_behind),
    };

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return slot_main(argc, argv);
    if (argc > 2 && strcmp(argv[1], "--pod") == 0)
        return pod_main(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Batches with real workers: they end, call back and stop with and without a
 * leader, whoever is killed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/fleet.h"

#define Q "ms:{t/q}:"
#define CONF                                                                \
    "worker: { queues: [q], concurrency: 4, claim_ttl: %s, heartbeat: 1s, " \
    "grace: 2s, http: \"off\" }\n"                                          \
    "coordinator: { http: \"off\", lease_ttl: 2s }\n"                       \
    "queues:\n  - { name: q, max_workers: 8 }\n"                            \
    "exec: { allow: [sh] }\n"

static struct ms_test_fleet *fleet;

static void begin(const char *claim_ttl)
{
    char *yaml = ms_xasprintf(CONF, claim_ttl);

    fleet = ms_test_fleet_new(NULL, yaml);
    free(yaml);
}

static void finish(void)
{
    ms_test_fleet_free(fleet);
    fleet = NULL;
}

static const char *field(const char *id, const char *name)
{
    return ms_test_text(fleet->redis, "HGET " Q "job:%s %s", id, name);
}

static bool is_state(const char *id, const char *state)
{
    return strcmp(field(id, "state"), state) == 0;
}

static int64_t tally(const char *name)
{
    const char *text = ms_test_text(fleet->redis, "HGET " Q "tally:B %s", name);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

/* `n` times the line. */
static void add_lines(struct ms_buf *text, int n, const char *line)
{
    for (int i = 0; i < n; i++)
        ms_buf_addf(text, "%s\n", line);
}

/* The batch "B" of these lines; takes them.  Its callback leaves a line in the
 * file that is returned, for free(). */
static char *batch(struct ms_buf *text, const char *callback,
                   const char *options)
{
    char *lines = ms_test_file("batch.ndjson", text->data, text->len);
    char *trace = ms_test_file("trace", "", 0);

    CHECK_INT(ms_test_ctl(fleet,
                          "job enqueue --batch %s --parent night --queue q "
                          "--id B --%s "
                          "cmd.exec={\"argv\":[\"sh\",\"-c\","
                          "\"echo\\t$MUSTER_JOB_ID>>%s\"]} %s",
                          lines, callback, trace, options),
              ==, 0);
    ms_buf_done(text);
    free(lines);
    return trace;
}

static int lines_of(const char *path)
{
    FILE *file = fopen(path, "re");
    int c, n = 0;

    while (file != NULL && (c = fgetc(file)) != EOF)
        n += c == '\n';
    if (file != NULL)
        fclose(file);
    return n;
}

static TEST(test_a_killed_worker_and_no_leader_end_a_batch_all_the_same)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_proc *first, *second;
    char *trace;

    begin("2s");
    add_lines(&text, 300, "{\"kind\":\"noop.sleep\",\"payload\":{\"ms\":20}}");
    first = ms_test_worker(fleet);
    second = ms_test_worker(fleet);
    trace = batch(&text, "on-complete", "");
    WAIT_FOR(60000, tally("done") >= 30);
    ms_proc_signal(first, SIGKILL);
    WAIT_FOR(120000, is_state("B", "done"));
    CHECK_INT(tally("done"), ==, 300);
    WAIT_FOR(60000, is_state("B:complete", "done"));
    CHECK_INT(lines_of(trace), ==, 1);
    CHECK_STR(ms_test_text(fleet->redis, "EXISTS " Q "job:B:complete:2"), "0");
    CHECK_STR(field("B.299", "state"), "done"); /* and can be read */
    free(trace);
    ms_proc_free(first);
    ms_proc_free(second);
    finish();
}

static bool all_cancelled(int n)
{
    char id[32];

    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "B.%d", i);
        if (strcmp(field(id, "error"), "cancelled with its parent") != 0)
            return false;
    }
    return true;
}

/* Renewals are minutes apart: it is the pods' inbox that tells them. */
static TEST(test_a_cancelled_batch_stops_running_ready_and_scheduled_children)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_proc *first, *second;
    char *trace;

    begin("10m");
    add_lines(&text, 12,
              "{\"kind\":\"noop.sleep\",\"payload\":{\"ms\":600000}}");
    add_lines(&text, 5, "{\"kind\":\"noop.echo\",\"delay\":\"1h\"}");
    first = ms_test_worker(fleet);
    second = ms_test_worker(fleet);
    trace = batch(&text, "on-failure", "");
    WAIT_FOR(60000, tally("running") >= 4);
    CHECK_INT(ms_test_ctl(fleet, "job cancel B --json"), ==, 0);
    CHECK_STR(ms_test_ctl_field("result"), "requested");
    WAIT_FOR(60000, is_state("B", "dead")); /* before any renewal */
    CHECK_STR(field("B", "error"), "cancelled by user");
    CHECK(all_cancelled(17));
    CHECK_INT(tally("dead"), ==, 17);
    WAIT_FOR(60000, is_state("B:failure", "done"));
    CHECK_INT(lines_of(trace), ==, 1);
    CHECK_INT(ms_test_ctl(fleet, "job cancel B --json"), ==, 0);
    CHECK_STR(ms_test_ctl_field("result"), "finished");
    free(trace);
    ms_proc_free(first);
    ms_proc_free(second);
    finish();
}

/* Nobody claims what is due in an hour; the leader ends it. */
static TEST(test_a_failed_child_ends_its_batch_fast)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_proc *worker, *leader;
    char *trace;

    begin("2s");
    add_lines(&text, 500, "{\"kind\":\"noop.echo\",\"delay\":\"1h\"}");
    add_lines(&text, 1,
              "{\"kind\":\"cmd.exec\",\"payload\":{\"argv\":[\"sh\",\"-c\","
              "\"exit 65\"]}}");
    worker = ms_test_worker(fleet);
    leader = ms_test_coordinator(fleet);
    trace = batch(&text, "on-failure", "--policy fail-fast");
    WAIT_FOR(60000, is_state("B", "dead"));
    CHECK_STR(field("B", "error"),
              "1 of 501 children failed, 500 were stopped");
    WAIT_FOR(60000, is_state("B:failure", "done"));
    CHECK_INT(lines_of(trace), ==, 1);
    free(trace);
    ms_proc_free(worker);
    ms_proc_free(leader);
    finish();
}

/* As an operator does it: look, mend, retry. */
static TEST(test_a_retried_batch_becomes_done)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_proc *worker;
    char *trace, *mended = ms_xasprintf("%s/mended", ms_test_dir());

    begin("2s");
    ms_buf_addf(&text,
                "{\"kind\":\"cmd.exec\",\"max_attempts\":1,\"payload\":{"
                "\"argv\":[\"sh\",\"-c\",\"test -e %s\"]}}\n",
                mended);
    add_lines(&text, 3, "{\"kind\":\"noop.echo\"}");
    worker = ms_test_worker(fleet);
    trace = batch(&text, "on-complete", "");
    WAIT_FOR(60000, is_state("B", "dead"));
    CHECK_STR(field("B", "error"), "1 of 4 children failed");
    WAIT_FOR(60000, is_state("B:complete", "done"));
    free(ms_test_file("mended", "", 0));
    CHECK_INT(ms_test_ctl(fleet, "job retry B"), ==, 0);
    WAIT_FOR(60000, is_state("B", "done"));
    WAIT_FOR(60000, is_state("B:complete:2", "done"));
    CHECK_INT(lines_of(trace), ==, 2);
    free(trace);
    free(mended);
    ms_proc_free(worker);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_killed_worker_and_no_leader_end_a_batch_all_the_same),
        RUN(test_a_cancelled_batch_stops_running_ready_and_scheduled_children),
        RUN(test_a_failed_child_ends_its_batch_fast),
        RUN(test_a_retried_batch_becomes_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The whole fleet as musterctl dev runs it, through musterctl alone: what a
 * newcomer does first must simply work.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/val.h"
#include "tests/support/support.h"

struct fleet {
    struct ms_proc *dev;
    char *url;
    struct ms_val facts;
};

static void fleet_start(struct fleet *fleet, const char *workers)
{
    static int number;
    char *dir = ms_xasprintf("%s/fleet-%d", ms_test_dir(), ++number);
    const char *argv[] = {"musterctl", "dev", "--workers", workers,
                          "--dir",     dir,   NULL};
    char *json = ms_xcalloc(1, 2000);
    char *path = ms_xasprintf("%s/dev.json", dir);
    FILE *file;

    fleet->dev = ms_proc_start(argv, NULL);
    WAIT_FOR(120000, strchr(ms_proc_stdout(fleet->dev), '\n') != NULL ||
                         ms_proc_wait(fleet->dev, 0) >= 0);
    CHECK_STR(ms_proc_stderr(fleet->dev), "");
    file = fopen(path, "re");
    CHECK(file != NULL);
    (void)!fread(json, 1, 1999, file);
    fclose(file);
    CHECK_INT(ms_val_from_json(json, strlen(json), &fleet->facts, NULL), ==,
              MS_OK);
    fleet->url = ms_val_strdup(&fleet->facts.root, "redis");
    free(path);
    free(json);
    free(dir);
}

static void fleet_stop(struct fleet *fleet)
{
    ms_proc_signal(fleet->dev, SIGTERM);
    CHECK_INT(ms_proc_wait(fleet->dev, 60000), ==, 0);
    ms_proc_free(fleet->dev);
    ms_val_done(&fleet->facts);
    free(fleet->url);
}

/* musterctl --json with words split at spaces ("%": `last`); the exit code
 * must be `code`.  Returns the document, for ms_val_done(). */
static struct ms_val ctl(struct fleet *fleet, int code, const char *words,
                         const char *last)
{
    const char *argv[40] = {"musterctl", "--redis", fleet->url, "--json"};
    char *text = ms_xstrdup(words), *rest = NULL, *out = NULL, *err = NULL;
    struct ms_val val = {0};
    size_t n = 4;
    int got;

    for (char *word = strtok_r(text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest))
        argv[n++] = strcmp(word, "%") == 0 ? last : word;
    got = ms_proc_run(argv, NULL, &out, &err);
    if (got != code)
        print_error("musterctl %s\n%s%s", words, out, err);
    CHECK_INT(got, ==, code);
    ms_val_from_json(out, strlen(out), &val, NULL);
    free(text);
    free(out);
    free(err);
    return val;
}

static char *enqueue(struct fleet *fleet, const char *words,
                     const char *payload)
{
    struct ms_val val = ctl(fleet, 0, words, payload);
    char *id = ms_val_strdup(&val.root, "id");

    ms_val_done(&val);
    CHECK(id != NULL);
    return id;
}

static TEST(test_a_job_runs_and_its_result_is_shown)
{
    struct fleet fleet;
    struct ms_val val;
    char *id;

    fleet_start(&fleet, "1");
    id = enqueue(&fleet, "job enqueue noop.echo %", "{\"hello\":\"world\"}");
    val = ctl(&fleet, 0, "job wait %", id);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "state"), "done"));
    CHECK(ms_val_is_str(ms_val_get(ms_val_get(&val.root, "result"), "hello"),
                        "world"));
    ms_val_done(&val);
    free(id);
    fleet_stop(&fleet);
}

static TEST(test_a_running_job_is_cancelled)
{
    struct fleet fleet;
    struct ms_val val;
    char *id;

    fleet_start(&fleet, "1");
    id = enqueue(&fleet, "job enqueue noop.sleep %", "{\"ms\":600000}");
    for (;;) {
        bool running;

        val = ctl(&fleet, 0, "job show %", id);
        running = ms_val_is_str(ms_val_get(&val.root, "state"), "running");
        ms_val_done(&val);
        if (running)
            break;
    }
    val = ctl(&fleet, 0, "job cancel %", id);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "result"), "requested"));
    ms_val_done(&val);
    val = ctl(&fleet, 4, "job wait %", id);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "error"), "cancelled by user"));
    ms_val_done(&val);
    free(id);
    fleet_stop(&fleet);
}

/* n documents, and their file. */
static char *dump_file(int n)
{
    struct ms_buf text = MS_BUF_INIT;
    char *path;

    for (int i = 0; i < n; i++)
        ms_buf_addf(&text, "{\"id\":%d,\"text\":\"%0100d\"}\n", i, i);
    path = ms_test_file("things.ndjson", text.data, text.len);
    ms_buf_done(&text);
    return path;
}

static void check_count(struct fleet *fleet, int64_t n)
{
    struct ms_val val = ctl(fleet, 0, "dataset count things", NULL);

    CHECK_INT(ms_val_int(&val.root, "count", -1), ==, n);
    ms_val_done(&val);
}

static TEST(test_a_dump_is_imported_and_can_be_looked_at)
{
    struct fleet fleet;
    char *path = dump_file(5000);
    struct ms_val val;
    const msgpack_object *result;
    char *id, *words;

    fleet_start(&fleet, "2");
    val = ctl(&fleet, 0, "dump import % --chunk-size 16KiB --wait", path);
    result = ms_val_get(&val.root, "result");
    CHECK_INT(ms_val_int(result, "docs", -1), ==, 5000);
    CHECK_INT(ms_val_int(result, "rejected", -1), ==, 0);
    id = ms_val_strdup(&val.root, "id");
    ms_val_done(&val);
    check_count(&fleet, 5000);
    words = ms_xasprintf("dump show %s", id);
    val = ctl(&fleet, 0, words, NULL);
    CHECK_INT(ms_val_int(&val.root, "bytes", -1), ==,
              ms_val_int(&val.root, "size", -2));
    CHECK_INT(ms_val_int(&val.root, "eta_s", -1), ==, 0);
    ms_val_done(&val);
    free(words);
    words = ms_xasprintf("dump chunks %s --limit 1000", id);
    val = ctl(&fleet, 0, words, NULL);
    CHECK_INT(ms_val_get(&val.root, "items")->via.array.size, >, 30);
    ms_val_done(&val);
    free(words);
    free(id);
    free(path);
    fleet_stop(&fleet);
}

/* The demonstration's promise: one of three workers dies by -9 in the middle
 * of an import, and the rest finishes it, every document in once. */
static TEST(test_an_import_survives_a_killed_worker)
{
    struct fleet fleet;
    char *path = dump_file(60000);
    const msgpack_object *workers;
    struct ms_val val;
    char *id, *words;
    int64_t docs = 0;

    fleet_start(&fleet, "3");
    workers = ms_val_get(ms_val_get(&fleet.facts.root, "pids"), "workers");
    id = enqueue(&fleet, "dump import % --chunk-size 64KiB", path);
    words = ms_xasprintf("dump show %s", id);
    while (docs == 0) {
        val = ctl(&fleet, 0, words, NULL);
        docs = ms_val_int(&val.root, "docs", 0);
        ms_val_done(&val);
    }
    kill((pid_t)workers->via.array.ptr[0].via.u64, SIGKILL);
    val = ctl(&fleet, 0, "job wait % --timeout 55s", id);
    CHECK_INT(ms_val_int(ms_val_get(&val.root, "result"), "docs", -1), ==,
              60000);
    ms_val_done(&val);
    check_count(&fleet, 60000);
    CHECK_CONTAINS(ms_proc_stderr(fleet.dev), "killed by signal 9");
    free(words);
    free(id);
    free(path);
    fleet_stop(&fleet);
}

static TEST(test_bad_lines_end_an_import_and_a_retry_forgives_them)
{
    static const char lines[] = "{\"id\":1}\nbad\n{\"id\":2}\n{\"no\":3}\n";
    char *path = ms_test_file("things.ndjson", lines, strlen(lines));
    struct fleet fleet;
    struct ms_val val;
    char *id, *words;

    fleet_start(&fleet, "1");
    val = ctl(&fleet, 4, "dump import % --wait", path);
    id = ms_val_strdup(&val.root, "id");
    CHECK(id != NULL);
    ms_val_done(&val);
    words = ms_xasprintf("dump rejects %s", id);
    val = ctl(&fleet, 0, words, NULL);
    CHECK_INT(val.root.via.array.size, ==, 2);
    CHECK_INT(ms_val_int(&val.root.via.array.ptr[0], "offset", -1), ==, 9);
    CHECK_INT(ms_val_int(&val.root.via.array.ptr[1], "offset", -1), ==, 22);
    ms_val_done(&val);
    free(words);
    words = ms_xasprintf("dump retry %s --max-errors 2", id);
    val = ctl(&fleet, 0, words, NULL);
    ms_val_done(&val);
    val = ctl(&fleet, 0, "job wait %", id);
    CHECK_INT(ms_val_int(ms_val_get(&val.root, "result"), "rejected", -1), ==,
              2);
    ms_val_done(&val);
    check_count(&fleet, 2);
    free(words);
    free(id);
    free(path);
    fleet_stop(&fleet);
}

static TEST(test_a_drained_pod_takes_no_more)
{
    struct fleet fleet;
    struct ms_val val;
    char *pod, *id;

    fleet_start(&fleet, "1");
    val = ctl(&fleet, 0, "pod list", NULL);
    CHECK_INT(val.root.via.array.size, ==, 1);
    pod = ms_val_strdup(&val.root.via.array.ptr[0], "id");
    ms_val_done(&val);
    val = ctl(&fleet, 0, "pod drain %", pod);
    ms_val_done(&val);
    for (;;) { /* it says so, or is gone altogether */
        bool draining;

        val = ctl(&fleet, 0, "pod list", NULL);
        draining = val.root.via.array.size == 0 ||
                   ms_val_bool(&val.root.via.array.ptr[0], "draining", false);
        ms_val_done(&val);
        if (draining)
            break;
    }
    id = enqueue(&fleet, "job enqueue noop.echo", NULL);
    val = ctl(&fleet, 5, "job wait % --timeout 500ms", id);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "state"), "ready"));
    ms_val_done(&val);
    free(id);
    free(pod);
    fleet_stop(&fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_job_runs_and_its_result_is_shown),
        RUN(test_a_running_job_is_cancelled),
        RUN(test_a_dump_is_imported_and_can_be_looked_at),
        RUN(test_an_import_survives_a_killed_worker),
        RUN(test_bad_lines_end_an_import_and_a_retry_forgives_them),
        RUN(test_a_drained_pod_takes_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

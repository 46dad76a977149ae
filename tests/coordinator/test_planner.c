/* This program is its own planner: it is executed again with --plan. */
#include "coordinator/planner.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/support.h"

static struct ev_loop *loop;

struct result {
    int calls;
    enum ms_err err;
    char why[512];
    struct ms_manifest manifest;
    int64_t ends[64];
    size_t n_ends;
    bool complete;
};

static void on_answer(enum ms_err err, const struct ms_planner_answer *answer,
                      const char *why, void *arg)
{
    struct result *r = arg;

    r->calls++;
    r->err = err;
    snprintf(r->why, sizeof(r->why), "%s", why);
    if (answer == NULL)
        return;
    r->n_ends = answer->n_ends;
    r->complete = answer->complete;
    if (answer->n_ends <= MS_COUNT_OF(r->ends) && answer->n_ends > 0)
        memcpy(r->ends, answer->ends, answer->n_ends * sizeof(int64_t));
    if (answer->manifest.path != NULL) {
        r->manifest = answer->manifest;
        r->manifest.path = ms_xstrdup(answer->manifest.path);
    }
}

/* Runs one request to its answer. */
static struct result ask(const struct ms_planner_request *request)
{
    struct result r = {.calls = 0};

    ms_planner_start(loop, request, on_answer, &r);
    CHECK_INT(r.calls, ==, 0); /* never from inside the start */
    while (r.calls == 0)
        ev_run(loop, EVRUN_ONCE);
    ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(r.calls, ==, 1);
    return r;
}

static struct result ask_manifest(const char *path, int64_t chunk_size)
{
    struct ms_planner_request request = {.op = MS_PLANNER_MANIFEST,
                                         .path = path,
                                         .chunk_size = chunk_size};

    return ask(&request);
}

static struct result ask_cut(const struct ms_manifest *m, int64_t from,
                             size_t count)
{
    struct ms_planner_request request = {.op = MS_PLANNER_CUT,
                                         .manifest = m,
                                         .from = from,
                                         .count = count};

    return ask(&request);
}

static struct result ask_check(const struct ms_manifest *m)
{
    struct ms_planner_request request = {.op = MS_PLANNER_CHECK, .manifest = m};

    return ask(&request);
}

static char *a_source(const char *text, int64_t chunk_size,
                      struct ms_manifest *out)
{
    char *path = ms_test_file("source", text, strlen(text));
    struct result r = ask_manifest(path, chunk_size);

    CHECK_INT(r.err, ==, MS_OK);
    *out = r.manifest;
    return path;
}

static TEST(test_manifest_of_a_file)
{
    struct ms_manifest m;
    char *path = a_source("aaa\nbbb\n", 4, &m);

    CHECK_STR(m.path, path);
    CHECK_INT(m.size, ==, 8);
    CHECK_INT(m.chunk_size, ==, 4);
    CHECK_INT(m.mtime_ns, >, 0);
    ms_manifest_done(&m);
    free(path);
}

static TEST(test_missing_file_is_named)
{
    struct result r = ask_manifest("/nowhere/x", 4);

    CHECK_INT(r.err, ==, MS_ENOENT);
    CHECK_STR(r.why, "cannot open '/nowhere/x': No such file or directory");
}

static TEST(test_folder_is_no_source)
{
    struct result r = ask_manifest("/", 4);

    CHECK_INT(r.err, ==, MS_EINVAL);
    CHECK_CONTAINS(r.why, "is not a regular file");
}

static TEST(test_cuts_go_on_from_an_end)
{
    struct ms_manifest m;
    char *path = a_source("aaa\nbbb\nccc\n", 4, &m);
    struct result r = ask_cut(&m, 0, 2);

    CHECK_INT(r.err, ==, MS_OK);
    CHECK_INT(r.n_ends, ==, 2);
    CHECK_INT(r.ends[1], ==, 8);
    CHECK(!r.complete);
    r = ask_cut(&m, 8, 2);
    CHECK_INT(r.n_ends, ==, 1);
    CHECK_INT(r.ends[0], ==, 12);
    CHECK(r.complete);
    ms_manifest_done(&m);
    free(path);
}

static TEST(test_empty_source_is_complete_at_once)
{
    struct ms_manifest m;
    char *path = a_source("", 4, &m);
    struct result r = ask_cut(&m, 0, 10);

    CHECK_INT(r.err, ==, MS_OK);
    CHECK_INT(r.n_ends, ==, 0);
    CHECK(r.complete);
    ms_manifest_done(&m);
    free(path);
}

/* The largest answer crosses the channel in many pieces. */
static TEST(test_many_cuts_come_in_one_answer)
{
    char *text = ms_xmalloc(20001);
    struct ms_manifest m;
    struct result r;
    char *path;
    int i;

    for (i = 0; i < 10000; i++)
        memcpy(text + 2 * i, "a\n", 3);
    path = a_source(text, 1, &m);
    r = ask_cut(&m, 0, MS_PLANNER_CUTS_MAX);
    CHECK_INT(r.err, ==, MS_OK);
    CHECK_INT(r.n_ends, ==, MS_PLANNER_CUTS_MAX);
    CHECK(!r.complete);
    ms_manifest_done(&m);
    free(path);
    free(text);
}

static TEST(test_check_sees_a_change)
{
    struct ms_manifest m;
    char *path = a_source("aaa\n", 4, &m);
    struct result r = ask_check(&m);

    CHECK_INT(r.err, ==, MS_OK);
    CHECK_INT(truncate(path, 2), ==, 0);
    r = ask_check(&m);
    CHECK_INT(r.err, ==, MS_ESTALE);
    CHECK_CONTAINS(r.why, "the source changed");
    r = ask_cut(&m, 0, 2);
    CHECK_INT(r.err, ==, MS_ESTALE);
    ms_manifest_done(&m);
    free(path);
}

static TEST(test_cut_out_of_bounds_is_refused)
{
    struct ms_manifest m;
    char *path = a_source("aaa\n", 4, &m);

    CHECK_INT(ask_cut(&m, 5, 1).err, ==, MS_EPROTO);
    CHECK_INT(ask_cut(&m, -1, 1).err, ==, MS_EPROTO);
    CHECK_INT(ask_cut(&m, 0, MS_PLANNER_CUTS_MAX + 1).err, ==, MS_EPROTO);
    ms_manifest_done(&m);
    free(path);
}

/* The paths of a planner that misbehaves; see main(). */
static TEST(test_planner_that_hangs_times_out)
{
    struct ms_planner_request request = {.op = MS_PLANNER_MANIFEST,
                                         .path = "hang",
                                         .chunk_size = 1,
                                         .timeout_ms = 50};
    struct result r;

    setenv("TEST_PLANNER", "hang", 1);
    r = ask(&request);
    unsetenv("TEST_PLANNER");
    CHECK_INT(r.err, ==, MS_ETIMEOUT);
}

static TEST(test_planner_that_dies_is_told)
{
    struct result r;

    setenv("TEST_PLANNER", "die", 1);
    r = ask_manifest("x", 1);
    CHECK_INT(r.err, ==, MS_ECRASHED);
    setenv("TEST_PLANNER", "half", 1);
    r = ask_manifest("x", 1);
    unsetenv("TEST_PLANNER");
    CHECK_INT(r.err, ==, MS_ECRASHED);
}

/* A cancelled planner leaves no process and calls nobody. */
static TEST(test_cancelled_planner_is_gone)
{
    struct ms_planner_request request = {.op = MS_PLANNER_MANIFEST,
                                         .path = "x",
                                         .chunk_size = 1};
    struct result r = {.calls = 0};
    struct ms_planner *planner;
    char *path = ms_xasprintf("%s/alive", ms_test_dir());
    int fd;

    CHECK_INT(mkfifo(path, 0600), ==, 0);
    setenv("TEST_PLANNER", path, 1);
    planner = ms_planner_start(loop, &request, on_answer, &r);
    unsetenv("TEST_PLANNER");
    fd = open(path, O_RDONLY | O_CLOEXEC); /* waits for the child */
    ms_planner_cancel(planner);
    {
        char c;

        CHECK_INT(read(fd, &c, 1), ==, 0); /* waits for its end */
    }
    ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(r.calls, ==, 0);
    close(fd);
    ms_planner_cancel(NULL);
    free(path);
}

/* A daemon's own loop reaps children by itself; other loops cannot. */
static TEST(test_planner_works_on_another_loop)
{
    struct ev_loop *own = ev_loop_new(EVFLAG_AUTO), *usual = loop;
    struct result r;

    loop = own;
    r = ask_manifest("/nowhere/x", 4);
    loop = usual;
    CHECK_INT(r.err, ==, MS_ENOENT);
    ev_loop_destroy(own);
}

static int misbehave(const char *how)
{
    if (strcmp(how, "hang") == 0)
        pause();
    if (strcmp(how, "half") == 0)
        return write(STDOUT_FILENO, "\x85", 1) == 1 ? 1 : 2;
    if (how[0] == '/' && open(how, O_WRONLY) >= 0)
        pause();
    return 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_manifest_of_a_file),
        RUN(test_missing_file_is_named),
        RUN(test_folder_is_no_source),
        RUN(test_cuts_go_on_from_an_end),
        RUN(test_empty_source_is_complete_at_once),
        RUN(test_many_cuts_come_in_one_answer),
        RUN(test_check_sees_a_change),
        RUN(test_cut_out_of_bounds_is_refused),
        RUN(test_planner_that_hangs_times_out),
        RUN(test_planner_that_dies_is_told),
        RUN(test_cancelled_planner_is_gone),
        RUN(test_planner_works_on_another_loop),
    };

    if (argc == 2 && strcmp(argv[1], "--plan") == 0) {
        const char *how = getenv("TEST_PLANNER");

        return how == NULL ? ms_planner_main() : misbehave(how);
    }
    loop = EV_DEFAULT;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

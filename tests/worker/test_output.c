/* What a slot writes becomes lines of the log, and not too many. */
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "tests/support/support.h"
#include "worker/output.h"

static struct ev_loop *loop;
static struct ms_output *output;
static int pipe_in, log_file;
static const char *job;

static const char *job_of(void *arg)
{
    return job;
}

static int setup(void **state)
{
    char *path = ms_test_file("log", "", 0);
    int ends[2];

    log_file = open(path, O_RDWR | O_APPEND | O_TRUNC);
    free(path);
    ms_log_to(log_file);
    loop = ev_loop_new(0);
    output = ms_output_new(loop, 3, job_of, NULL);
    CHECK_INT(pipe(ends), ==, 0);
    ms_output_open(output, ends[0]);
    pipe_in = ends[1];
    job = "J1";
    return 0;
}

static int teardown(void **state)
{
    ms_output_free(output);
    ev_loop_destroy(loop);
    close(pipe_in);
    close(log_file);
    ms_log_to(2);
    return 0;
}

static void put(const char *text)
{
    CHECK_INT(write(pipe_in, text, strlen(text)), ==, strlen(text));
}

/* All of the log so far. */
static const char *logged(void)
{
    static char text[1 << 20];
    ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static int lines(void)
{
    int n = 0;

    for (const char *at = logged(); (at = strchr(at, '\n')) != NULL; at++)
        n++;
    return n;
}

static TEST(test_a_line_has_slot_job_and_level)
{
    put("hello\n<3>bad\r\n<4>hm\n<6>\n\n<9>x\n");
    ms_output_drain(output);
    CHECK_CONTAINS(logged(), "level=info mod=slot event=output slot=3 job=J1 "
                             "text=hello\n");
    CHECK_CONTAINS(logged(), "level=error mod=slot event=output slot=3 job=J1 "
                             "text=bad\n");
    CHECK_CONTAINS(logged(), "level=warn mod=slot event=output slot=3 job=J1 "
                             "text=hm\n");
    CHECK_CONTAINS(logged(), "text=<9>x\n");
}

static TEST(test_what_comes_between_jobs_has_none)
{
    job = NULL;
    put("idle\n");
    ms_output_drain(output);
    CHECK_CONTAINS(logged(), "job=none text=idle\n");
}

static TEST(test_a_line_may_come_in_pieces_and_end_with_the_writer)
{
    put("on");
    ms_output_drain(output);
    put("e\ntw");
    ms_output_drain(output);
    CHECK_CONTAINS(logged(), "text=one\n");
    CHECK_INT(lines(), ==, 1);
    put("o\xff");
    ms_output_close(output);
    CHECK_CONTAINS(logged(), "text=two?\n");
}

static TEST(test_a_long_line_is_cut_once)
{
    char text[5001];

    memset(text, 'x', 5000);
    text[5000] = '\0';
    put(text);
    ms_output_drain(output);
    put(text);
    put("\nnext\n");
    ms_output_drain(output);
    CHECK_INT(lines(), ==, 2);
    CHECK_CONTAINS(logged(), "x cut=1\n");
    CHECK_CONTAINS(logged(), "text=next\n");
    CHECK_INT(strlen(logged()), <, 1300);
}

static TEST(test_a_flood_is_counted_and_not_told)
{
    for (int i = 0; i < 5000; i++)
        put("y\n");
    ms_output_drain(output);
    CHECK_INT(lines(), ==, 100);
    ms_output_close(output);
    CHECK_INT(lines(), ==, 101);
    CHECK_CONTAINS(logged(), "event=output_dropped slot=3 lines=4900\n");
}

static TEST(test_after_a_flood_lines_come_through_again)
{
    for (int i = 0; i < 150; i++)
        put("y\n");
    ms_output_drain(output);
    WAIT_FOR(10000, (ev_run(loop, EVRUN_NOWAIT),
                     strstr(logged(), "output_dropped") != NULL));
    CHECK_CONTAINS(logged(), "lines=50\n");
    put("back\n");
    ms_output_drain(output);
    CHECK_CONTAINS(logged(), "text=back\n");
}

#define FIXED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXED(test_a_line_has_slot_job_and_level),
        FIXED(test_what_comes_between_jobs_has_none),
        FIXED(test_a_line_may_come_in_pieces_and_end_with_the_writer),
        FIXED(test_a_long_line_is_cut_once),
        FIXED(test_a_flood_is_counted_and_not_told),
        FIXED(test_after_a_flood_lines_come_through_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Batches while the connection breaks, Redis goes and queues refuse. */
#include "ctl/batch.h"
#include "tests/ctl/client_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* A file of `n` lines, made while it is read; something may happen to Redis
 * before one of them. */
struct feed {
    struct ms_core *core;
    int n, next;
    int break_every;  /* 0: never; else the connections are cut */
    int restart_at;   /* -1: never */
    int bad_at;       /* -1: none; else this line is no JSON */
    const char *more; /* further members of each line, or "" */
};

static ssize_t feed_read(void *cookie, char *out, size_t size)
{
    struct feed *feed = cookie;

    if (feed->next == feed->n)
        return 0;
    if (feed->break_every > 0 && feed->next % feed->break_every == 0)
        ms_test_text(feed->core->redis, "CLIENT KILL TYPE normal SKIPME yes");
    if (feed->next == feed->restart_at) {
        ms_test_redis_down(feed->core->redis, SIGKILL);
        ms_test_redis_up(feed->core->redis);
    }
    if (feed->next == feed->bad_at)
        snprintf(out, size, "{\"kind\":\n");
    else
        snprintf(out, size, "{\"kind\":\"k\",\"id\":\"j%d\"%s}\n", feed->next,
                 feed->more);
    feed->next++;
    return (ssize_t)strlen(out);
}

static enum ms_err feed_run(struct ms_core *core, struct feed *feed,
                            struct ms_batch_result *result,
                            struct ms_error *error)
{
    cookie_io_functions_t io = {.read = feed_read};
    struct ms_conf conf = client_conf(core);
    struct ms_ctl ctl = {.conf = &conf, .client = client_open(&conf)};
    FILE *file;
    enum ms_err err;

    feed->core = core;
    file = fopencookie(feed, "r", io);
    setvbuf(file, NULL, _IOFBF, 256);
    err = ms_batch_run(&ctl, file, "q", result, error);
    fclose(file);
    ms_client_close(ctl.client);
    return err;
}

static TEST(test_a_broken_connection_loses_and_doubles_nothing)
{
    struct ms_core *core = *state;
    struct feed feed = {.n = 9000,
                        .break_every = 1500,
                        .restart_at = -1,
                        .bad_at = -1,
                        .more = ""};
    struct ms_batch_result result;

    CHECK_INT(feed_run(core, &feed, &result, NULL), ==, MS_OK);
    CHECK_INT(result.enqueued, ==, 9000);
    CHECK_INT(result.deduplicated, ==, 0); /* not even its own jobs */
    CHECK_INT(result.failed_line, ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 9000);
    ms_buf_done(&result.in_lines);
}

static TEST(test_a_restarted_redis_is_waited_for)
{
    struct ms_core *core = *state;
    struct feed feed = {.n = 6000,
                        .restart_at = 5000,
                        .bad_at = -1,
                        .more = ""};
    struct ms_batch_result result;

    CHECK_INT(feed_run(core, &feed, &result, NULL), ==, MS_OK);
    CHECK_INT(result.enqueued, ==, 6000);
    /* This Redis keeps nothing: what came after its restart is there. */
    CHECK_INT(ms_test_num(core->redis, "LLEN " K("ready:5:-")), ==, 2000);
    ms_buf_done(&result.in_lines);
    ms_test_text(core->redis, "FLUSHALL");
}

/* What was sent before somebody could know of it is in, and is told. */
static TEST(test_a_bad_line_far_down_a_pipe_keeps_the_windows_before_it)
{
    struct ms_core *core = *state;
    struct feed feed = {.n = 9000,
                        .restart_at = -1,
                        .bad_at = 4321,
                        .more = ""};
    struct ms_batch_result result;
    struct ms_error error = {""};

    CHECK_INT(feed_run(core, &feed, &result, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "line 4322: ");
    CHECK_INT(result.enqueued, ==, 4000);
    CHECK_INT(result.failed_line, ==, 4322);
    CHECK_STR(ms_buf_str(&result.in_lines), "1-4000");
    CHECK_INT(ms_core_depth(core, "-"), ==, 4000);
    ms_buf_done(&result.in_lines);
}

static enum ms_err file_run(struct ms_core *core, const struct ms_buf *text,
                            struct ms_batch_result *result,
                            struct ms_error *error)
{
    char *path = ms_test_file("batch", text->data, text->len);
    struct ms_conf conf = client_conf(core);
    struct ms_ctl ctl = {.conf = &conf, .client = client_open(&conf)};
    FILE *file = fopen(path, "re");
    enum ms_err err = ms_batch_run(&ctl, file, "q", result, error);

    fclose(file);
    ms_client_close(ctl.client);
    free(path);
    return err;
}

/* However far down it is: who mends the line sends the same file again. */
static TEST(test_a_bad_line_of_a_file_keeps_all_of_it_out)
{
    struct ms_core *core = *state;
    struct ms_buf text = MS_BUF_INIT;
    struct ms_batch_result result;
    struct ms_error error = {""};

    for (int i = 0; i < 9000; i++)
        ms_buf_adds(&text, "{\"kind\":\"k\"}\n");
    ms_buf_adds(&text, "{\"kind\":\"k\",\"delay\":\"-5s\"}\n");
    CHECK_INT(file_run(core, &text, &result, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "line 9001: delay: ");
    CHECK_INT(result.enqueued, ==, 0);
    CHECK_INT(result.failed_line, ==, 9001);
    CHECK_INT(result.in_lines.len, ==, 0);
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 0);
    ms_buf_done(&result.in_lines);
    ms_buf_done(&text);
}

static TEST(test_a_hundred_thousand_lines_are_one_command)
{
    struct ms_core *core = *state;
    struct ms_buf text = MS_BUF_INIT;
    struct ms_batch_result result;

    for (int i = 0; i < 100000; i++)
        ms_buf_addf(&text, "{\"kind\":\"k\",\"id\":\"j%d\"}\n", i);
    CHECK_INT(file_run(core, &text, &result, NULL), ==, MS_OK);
    CHECK_INT(result.enqueued, ==, 100000);
    CHECK_INT(ms_core_depth(core, "k"), ==, 100000);
    CHECK_STR(ms_test_text(core->redis, "LINDEX %s -1", K("ready:5:-")),
              "j99999");
    ms_test_text(core->redis, "FLUSHALL"); /* nothing to walk through */
    ms_buf_done(&result.in_lines);
    ms_buf_done(&text);
}

/* One queue of two is full: what went into the other is told line by line. */
static TEST(test_a_queue_that_is_full_stops_its_lines_alone)
{
    struct ms_core *core = *state;
    struct feed feed = {.n = 1200, .restart_at = -1, .bad_at = -1, .more = ""};
    struct ms_batch_result result;
    struct ms_error error = {""};

    ms_core_set(core, "max_length", 600);
    CHECK_INT(feed_run(core, &feed, &result, &error), ==, MS_EFULL);
    CHECK_CONTAINS(error.text, "queue 'q'");
    CHECK_INT(result.enqueued, ==, 600); /* calls are whole or not at all */
    CHECK_INT(result.failed_line, ==, 601);
    CHECK_CONTAINS(ms_buf_str(&result.in_lines), "1-600");
    ms_buf_done(&result.in_lines);
}

/* Payloads near the limit must not pile up into one giant request. */
static TEST(test_large_payloads_are_spread_over_calls)
{
    struct ms_core *core = *state;
    char *large = ms_xcalloc(1, 300000);
    struct ms_batch_result result;
    struct ms_buf text = MS_BUF_INIT;
    char *path;
    struct ms_conf conf = client_conf(core);
    struct ms_ctl ctl = {.conf = &conf, .client = client_open(&conf)};
    FILE *file;

    memset(large, 'x', 299999);
    for (int i = 0; i < 40; i++)
        ms_buf_addf(&text, "{\"kind\":\"k\",\"payload\":\"%s\"}\n", large);
    path = ms_test_file("large", text.data, text.len);
    file = fopen(path, "re");
    CHECK_INT(ms_batch_run(&ctl, file, "q", &result, NULL), ==, MS_OK);
    CHECK_INT(result.enqueued, ==, 40);
    CHECK_INT(ms_core_depth(core, "k"), ==, 40);
    /* 40 x 300 kB in calls of at most 1 MiB: three jobs each. */
    CHECK_INT(ms_test_num(core->redis, "EVAL %s 0",
                          "return#redis.call('KEYS','ms:{m/q}:token:*')"),
              ==, 14);
    fclose(file);
    ms_client_close(ctl.client);
    ms_buf_done(&result.in_lines);
    ms_buf_done(&text);
    free(path);
    free(large);
}

static TEST(test_an_empty_file_is_no_work)
{
    struct ms_core *core = *state;
    struct feed feed = {.n = 0, .restart_at = -1, .bad_at = -1, .more = ""};
    struct ms_batch_result result;

    CHECK_INT(feed_run(core, &feed, &result, NULL), ==, MS_OK);
    CHECK_INT(result.enqueued, ==, 0);
    CHECK_INT(result.failed_line, ==, 0);
    ms_buf_done(&result.in_lines);
}

/* Every options of a line, all of them at once, in every line. */
static TEST(test_lines_may_say_everything)
{
    struct ms_core *core = *state;
    struct feed feed = {.n = 600,
                        .restart_at = -1,
                        .bad_at = -1,
                        .more = ",\"group\":\"g\",\"priority\":1,"
                                "\"timeout\":\"2s\",\"max_attempts\":2,"
                                "\"payload\":[null]"};
    struct ms_batch_result result;

    CHECK_INT(feed_run(core, &feed, &result, NULL), ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "LLEN " K("ready:1:g")), ==, 600);
    CHECK_INT(ms_core_number(core, "j599", "timeout_ms"), ==, 2000);
    CHECK_INT(ms_core_number(core, "j0", "max_attempts"), ==, 2);
    ms_buf_done(&result.in_lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_broken_connection_loses_and_doubles_nothing),
        CORE(test_a_restarted_redis_is_waited_for),
        CORE(test_a_bad_line_far_down_a_pipe_keeps_the_windows_before_it),
        CORE(test_a_bad_line_of_a_file_keeps_all_of_it_out),
        CORE(test_a_hundred_thousand_lines_are_one_command),
        CORE(test_a_queue_that_is_full_stops_its_lines_alone),
        CORE(test_large_payloads_are_spread_over_calls),
        CORE(test_an_empty_file_is_no_work),
        CORE(test_lines_may_say_everything),
    };

    return RUN_CORE(tests);
}

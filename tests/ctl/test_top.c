/* How the fleet is drawn: rates, what fits, and what steers no terminal. */
#include "ctl/top.h"
#include "tests/support/support.h"

#include <stdio.h>

struct fix {
    struct ms_top top;
    struct ms_buf out;
};

static void take(struct fix *fix, const char *json)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_error error = {""};

    ms_buf_adds(&text, json);
    if (ms_top_take(&fix->top, &text, &error) != MS_OK)
        print_error("%s\n", error.text);
    CHECK(fix->top.doc.zone != NULL);
    ms_buf_done(&text);
}

static const char *draw(struct fix *fix, int width, int height,
                        const char *note)
{
    ms_buf_clear(&fix->out);
    ms_top_draw(&fix->top, width, height, note, &fix->out);
    return ms_buf_str(&fix->out);
}

static void done(struct fix *fix)
{
    ms_top_done(&fix->top);
    ms_buf_done(&fix->out);
}

static const char *queue_at(int64_t at_ms, int64_t done_total)
{
    static char json[512];

    snprintf(json, sizeof(json),
             "{\"fleet\":\"m\",\"at_ms\":%lld,\"queues\":[{\"name\":\"mail\","
             "\"ready\":7,\"oldest_ready_ms\":%lld,\"done_total\":%lld}],"
             "\"pods\":[],\"leader\":null,\"imports\":[]}",
             (long long)at_ms, (long long)at_ms - 61500, (long long)done_total);
    return json;
}

static double rate(struct fix *fix)
{
    return ms_top_rate(
        &fix->top, &ms_val_get(&fix->top.doc.root, "queues")->via.array.ptr[0],
        "done_total");
}

static bool near(double a, double b)
{
    return a > b - 0.001 && a < b + 0.001;
}

static TEST(test_rates_are_what_totals_grew_by)
{
    struct fix fix = {0};

    take(&fix, queue_at(100000, 10));
    CHECK(rate(&fix) < 0);
    take(&fix, queue_at(102000, 15));
    CHECK(near(rate(&fix), 2.5));
    CHECK_CONTAINS(draw(&fix, 0, 0, NULL), "2.5");
    take(&fix, queue_at(102500, 1015));
    CHECK(near(rate(&fix), 2000));
    CHECK_CONTAINS(draw(&fix, 0, 0, NULL), "2000");
    CHECK_CONTAINS(draw(&fix, 0, 0, NULL), "1m1s");
    done(&fix);
}

/* Redis lost data, its clock stood still, or the queue is new. */
static TEST(test_what_cannot_be_a_rate_is_none)
{
    struct fix fix = {0};

    take(&fix, queue_at(100000, 10));
    take(&fix, queue_at(101000, 5));
    CHECK(rate(&fix) < 0);
    take(&fix, queue_at(101000, 9));
    CHECK(rate(&fix) < 0);
    take(&fix, "{\"queues\":[{\"name\":\"other\",\"done_total\":9}]}");
    CHECK(rate(&fix) < 0);
    done(&fix);
}

static TEST(test_a_bad_document_leaves_the_last_one)
{
    struct fix fix = {0};
    struct ms_buf text = MS_BUF_INIT;
    struct ms_error error;

    CHECK_STR(draw(&fix, 0, 0, "away"), "away\n");
    take(&fix, queue_at(100000, 10));
    ms_buf_adds(&text, "{");
    CHECK_INT(ms_top_take(&fix.top, &text, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(draw(&fix, 0, 0, NULL), "mail");
    CHECK_CONTAINS(draw(&fix, 0, 0, NULL), "no leader");
    CHECK_CONTAINS(draw(&fix, 0, 0, "no connection"), "no connection");
    ms_buf_done(&text);
    done(&fix);
}

static TEST(test_pods_show_their_jobs_and_imports_how_far_they_are)
{
    struct fix fix = {0};

    take(&fix,
         "{\"fleet\":\"m\",\"at_ms\":1000,\"queues\":[{\"name\":\"q\","
         "\"paused\":true}],"
         "\"leader\":{\"id\":\"L1\",\"host\":\"h1\"},"
         "\"pods\":[{\"id\":\"P1\",\"label\":null,\"busy\":4,\"concurrency\":8,"
         "\"draining\":true,\"queues\":[\"a\",\"b\"],\"slots\":["
         "{\"job\":\"J1\",\"kind\":\"k\"},{\"job\":\"J2\",\"kind\":\"k\"},"
         "{\"job\":null},{\"job\":\"J3\",\"kind\":\"k\"},"
         "{\"job\":\"J4\",\"kind\":\"k\"}]}],"
         "\"imports\":[{\"id\":\"I1\",\"queue\":\"dump\",\"phase\":\"running\","
         "\"size\":2048,\"bytes\":1024,\"docs\":12,\"rate\":3,\"eta_s\":90,"
         "\"stalled\":false},{\"id\":\"I2\",\"size\":null,\"stalled\":true}]}");
    draw(&fix, 0, 0, NULL);
    CHECK_CONTAINS(ms_buf_str(&fix.out), "leader L1 on h1");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "paused");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "P1");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "drains");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "k J1, k J2, k J3, +1");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "50");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "1m30s");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "stalled");
    done(&fix);
}

static void many_queues(struct fix *fix, int n)
{
    struct ms_buf json = MS_BUF_INIT;

    ms_buf_adds(&json, "{\"fleet\":\"m\",\"at_ms\":1,\"queues\":[");
    for (int i = 0; i < n; i++)
        ms_buf_addf(&json, "%s{\"name\":\"queue%02d\",\"ready\":%d}",
                    i > 0 ? "," : "", i, i == 77 ? 5 : 0);
    ms_buf_adds(&json, "],\"pods\":[{\"id\":\"P1\"}],\"imports\":[]}");
    take(fix, ms_buf_str(&json));
    ms_buf_done(&json);
}

/* No line is wider, none is one too many: the terminal would scroll. */
static void check_fits(const char *text, int width, int height)
{
    int lines = 0;

    for (const char *at = text; *at != '\0'; lines++) {
        int columns = 0;

        for (; *at != '\n'; at++)
            columns += ((unsigned char)*at & 0xc0) != 0x80;
        CHECK_INT(columns, <=, width);
        at++;
    }
    CHECK_INT(lines, <=, height);
}

static TEST(test_what_does_not_fit_is_counted_and_the_busy_come_first)
{
    struct fix fix = {0};
    const char *text;

    many_queues(&fix, 90);
    text = draw(&fix, 80, 24, NULL);
    check_fits(text, 80, 24);
    CHECK_CONTAINS(text, "queue77");
    CHECK_CONTAINS(text, "queue00");
    CHECK(strstr(text, "queue50") == NULL);
    CHECK_CONTAINS(text, "more");
    CHECK_CONTAINS(text, "P1"); /* not pushed out by queues */
    CHECK_CONTAINS(draw(&fix, 0, 0, NULL), "queue50");
    for (int width = 1; width < 100; width += 7)
        for (int height = 1; height < 40; height++)
            check_fits(draw(&fix, width, height, NULL), width, height);
    done(&fix);
}

static TEST(test_names_of_others_steer_no_terminal)
{
    struct fix fix = {0};
    const char *text;

    take(&fix, "{\"fleet\":\"m\",\"at_ms\":1,\"queues\":[],\"pods\":[{"
               "\"id\":\"P\",\"label\":\"\\u001b[2J\\u009b\\u00e4\"}],"
               "\"imports\":[]}");
    text = draw(&fix, 80, 24, NULL);
    CHECK(strchr(text, 27) == NULL);
    CHECK(strstr(text, "\xc2\x9b") == NULL);
    CHECK_CONTAINS(text, "?[2J?\xc3\xa4");
    done(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_rates_are_what_totals_grew_by),
        RUN(test_what_cannot_be_a_rate_is_none),
        RUN(test_a_bad_document_leaves_the_last_one),
        RUN(test_pods_show_their_jobs_and_imports_how_far_they_are),
        RUN(test_what_does_not_fit_is_counted_and_the_busy_come_first),
        RUN(test_names_of_others_steer_no_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lines of minutes over a span of time: what is read, summed and written. */
#include "ctl/metrics.h"
#include "tests/ctl/client_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define HOUR 500000 /* since the epoch; the minute below begins it */
#define M    (HOUR * 60LL)

/* The hash of an hour, as roll makes it. */
static void line_put(struct ms_core *core, int64_t minute, const char *line)
{
    char key[64], field[32];

    snprintf(key, sizeof(key), K("roll:%lld"), (long long)(minute / 60));
    snprintf(field, sizeof(field), "%lld", (long long)minute);
    ms_test_cmd(core->redis, "HSET %s %s %b", key, field, line, strlen(line));
}

static struct ms_metrics read_span(struct ms_core *core, int64_t from,
                                   int64_t to)
{
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct ms_metrics metrics = {0};
    struct ms_error error = {""};

    if (ms_metrics_read(client, "q", from, to, &metrics, &error) != MS_OK)
        print_error("%s\n", error.text);
    ms_client_close(client);
    return metrics;
}

static void forget(struct ms_core *core)
{
    ms_test_text(core->redis, "FLUSHALL");
}

static TEST(test_lines_are_read_in_order_and_within_the_span)
{
    struct ms_core *core = *state;
    struct ms_metrics m;

    line_put(core, M - 1, "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    line_put(core, M + 1, "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    line_put(core, M, "2 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    line_put(core, M + 60, "4 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    m = read_span(core, M - 1, M + 60);
    CHECK_INT(m.n, ==, 4);
    for (size_t i = 0; i < m.n; i++)
        CHECK_INT(m.lines[i].done, ==, i + 1);
    CHECK_INT(m.sum.done, ==, 10);
    ms_metrics_done(&m);
    m = read_span(core, M, M + 59);
    CHECK_INT(m.n, ==, 2);
    CHECK_INT(m.sum.done, ==, 5);
    ms_metrics_done(&m);
    forget(core);
}

/* More hours than are asked for at once. */
static TEST(test_thirty_days_are_read_whole)
{
    struct ms_core *core = *state;
    struct ms_metrics m;

    for (int64_t hour = 0; hour <= 720; hour++)
        line_put(core, M + hour * 60, "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    m = read_span(core, M, M + 720 * 60LL);
    CHECK_INT(m.n, ==, 721);
    CHECK_INT(m.sum.done, ==, 721);
    ms_metrics_done(&m);
    forget(core);
}

static TEST(test_counts_are_summed_and_times_are_the_worst)
{
    struct ms_core *core = *state;
    struct ms_metrics m;

    line_put(core, M, "1 2 3 4 5 6 7 8 90 91 10 20 90 40 50 60");
    line_put(core, M + 1, "10 20 30 40 50 60 70 80 9 1 11 12 13 41 42 43");
    m = read_span(core, M, M + 1);
    CHECK_INT(m.sum.failed, ==, 22);
    CHECK_INT(m.sum.dead, ==, 33);
    CHECK_INT(m.sum.throttled, ==, 44);
    CHECK_INT(m.sum.cancelled, ==, 55);
    CHECK_INT(m.sum.released, ==, 66);
    CHECK_INT(m.sum.crashed, ==, 77);
    CHECK_INT(m.sum.enqueued, ==, 88);
    CHECK_INT(m.sum.ready, ==, 9);
    CHECK_INT(m.sum.running, ==, 1);
    CHECK_INT(m.sum.waited.p50_us, ==, 11);
    CHECK_INT(m.sum.waited.p99_us, ==, 90);
    CHECK_INT(m.sum.ran.p50_us, ==, 41);
    CHECK_INT(m.sum.ran.p99_us, ==, 60);
    ms_metrics_done(&m);
    forget(core);
}

/* Somebody's hand, or a later version. */
static TEST(test_what_is_no_line_is_left_out)
{
    struct ms_core *core = *state;
    struct ms_metrics m;

    line_put(core, M, "nonsense");
    line_put(core, M + 1, "");
    line_put(core, M + 2, "1 2 3");
    line_put(core, M + 3, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17");
    line_put(core, M + 4, "7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    m = read_span(core, M, M + 5);
    CHECK_INT(m.n, ==, 1);
    CHECK_INT(m.sum.done, ==, 7);
    ms_metrics_done(&m);
    m = read_span(core, M + 100, M + 200);
    CHECK_INT(m.n, ==, 0);
    ms_metrics_done(&m);
    forget(core);
}

static TEST(test_the_document_has_totals_and_minutes)
{
    const struct ms_reply stats[] = {
        {.type = MS_REPLY_STR, .str = "retained_done", .len = 13},
        {.type = MS_REPLY_STR, .str = "12", .len = 2}};
    const struct ms_reply pairs = {.type = MS_REPLY_ARRAY,
                                   .items = stats,
                                   .n_items = 2};
    const struct ms_minute_line line = {.minute = M,
                                        .done = 4,
                                        .waited.p99_us = 1500};
    struct ms_metrics metrics = {0};
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_val val;
    const msgpack_object *minute;

    ms_metrics_add(&metrics, &line);
    ms_metrics_close(&metrics);
    ms_metrics_to_json(&metrics, "q", &pairs, &json);
    CHECK_INT(ms_val_from_json(out.data, out.len, &val, NULL), ==, MS_OK);
    CHECK_INT(ms_val_int(&val.root, "done", 0), ==, 4);
    CHECK_INT(ms_val_int(ms_val_get(&val.root, "totals"), "retained_done", 0),
              ==, 12);
    CHECK_INT(ms_val_int(ms_val_get(&val.root, "totals"), "dead", -1), ==, 0);
    minute = &ms_val_get(&val.root, "minutes")->via.array.ptr[0];
    CHECK_INT(ms_val_int(minute, "at_ms", 0), ==, M * 60000);
    CHECK_INT(ms_val_int(minute, "pickup_p99_us", 0), ==, 1500);
    ms_val_done(&val);
    ms_metrics_done(&metrics);
    ms_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_lines_are_read_in_order_and_within_the_span),
        CORE(test_thirty_days_are_read_whole),
        CORE(test_counts_are_summed_and_times_are_the_worst),
        CORE(test_what_is_no_line_is_left_out),
        CORE(test_the_document_has_totals_and_minutes),
    };

    return RUN_CORE(tests);
}

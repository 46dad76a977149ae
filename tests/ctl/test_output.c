#include "ctl/output.h"
#include "tests/support/support.h"

#include <stdio.h>

static const struct ms_column columns[] = {
    {"id", "ID", MS_SHOW_PLAIN},   {"n", "COUNT", MS_SHOW_PLAIN},
    {"at_ms", "AT", MS_SHOW_TIME}, {"size", "SIZE", MS_SHOW_SIZE},
    {NULL, NULL, MS_SHOW_PLAIN},
};

static void table_of(const char *json, struct ms_buf *out)
{
    struct ms_val val;

    CHECK_INT(ms_val_from_json(json, strlen(json), &val, NULL), ==, MS_OK);
    ms_output_table(columns, &val.root, out);
    ms_val_done(&val);
}

static void pairs_of(const char *json, struct ms_buf *out)
{
    struct ms_val val;

    CHECK_INT(ms_val_from_json(json, strlen(json), &val, NULL), ==, MS_OK);
    ms_output_pairs(&val.root, out);
    ms_val_done(&val);
}

static TEST(test_columns_line_up_and_numbers_stand_to_the_right)
{
    struct ms_buf out = MS_BUF_INIT;

    table_of("[{\"id\":\"a\",\"n\":5,\"at_ms\":0,\"size\":1024},"
             "{\"id\":\"long-one\",\"n\":12345,\"at_ms\":1769862645000,"
             "\"size\":5}]",
             &out);
    CHECK_STR(ms_buf_str(&out),
              "ID        COUNT  AT                          SIZE\n"
              "a             5  1970-01-01 00:00:00 UTC  1.0 KiB\n"
              "long-one  12345  2026-01-31 12:30:45 UTC      5 B\n");
    ms_buf_done(&out);
}

static TEST(test_what_is_missing_or_null_is_a_dash)
{
    struct ms_buf out = MS_BUF_INIT;

    table_of("[{\"id\":\"a\",\"n\":null}]", &out);
    CHECK_CONTAINS(ms_buf_str(&out), "a       -  -");
    ms_buf_done(&out);
}

static TEST(test_an_empty_table_says_so)
{
    struct ms_buf out = MS_BUF_INIT;

    table_of("[]", &out);
    CHECK_STR(ms_buf_str(&out), "(none)\n");
    ms_buf_done(&out);
}

/* A job's error may hold what an attacker sent: it must not move the cursor
 * or retitle the terminal. */
static TEST(test_control_characters_do_not_reach_the_terminal)
{
    struct ms_buf out = MS_BUF_INIT;

    table_of("[{\"id\":\"a\\u001b[2Jb\\nc\\u007f\"}]", &out);
    CHECK_CONTAINS(ms_buf_str(&out), "a?[2Jb?c?");
    CHECK(strchr(ms_buf_str(&out), '\x1b') == NULL);
    ms_buf_clear(&out);
    table_of("[{\"id\":\"a\xc2\x9b"
             "2Jb\xc2\xa9\"}]",
             &out); /* C1; (c) */
    CHECK_CONTAINS(ms_buf_str(&out), "a?2Jb\xc2\xa9");
    ms_buf_clear(&out);
    pairs_of("{\"k\\u001b[2J\":1}", &out);
    CHECK_CONTAINS(ms_buf_str(&out), "k?[2J");
    ms_buf_done(&out);
}

static TEST(test_widths_count_characters_and_not_bytes)
{
    struct ms_buf out = MS_BUF_INIT;

    table_of("[{\"id\":\"\xc3\xa4\xc3\xb6\",\"n\":1},{\"id\":\"abc\",\"n\":2}]",
             &out);
    CHECK_CONTAINS(ms_buf_str(&out), "\n\xc3\xa4\xc3\xb6       1");
    CHECK_CONTAINS(ms_buf_str(&out), "\nabc      2");
    ms_buf_done(&out);
}

static TEST(test_words_lists_and_maps_are_cells_too)
{
    struct ms_buf out = MS_BUF_INIT;

    table_of("[{\"id\":[\"a\",\"b\"],\"n\":{\"x\":true}},"
             "{\"id\":[\"a\",1],\"n\":[]}]",
             &out);
    CHECK_CONTAINS(ms_buf_str(&out), "\na,b ");
    CHECK_CONTAINS(ms_buf_str(&out), "{\"x\":true}");
    CHECK_CONTAINS(ms_buf_str(&out), "[\"a\",1]  ");
    ms_buf_done(&out);
}

static const char *micros(int64_t us)
{
    static char text[32];
    struct ms_buf out = MS_BUF_INIT;
    const msgpack_object val = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER,
                                .via.i64 = us};

    ms_output_cell(&val, MS_SHOW_MICROS, &out);
    snprintf(text, sizeof(text), "%s", ms_buf_str(&out));
    ms_buf_done(&out);
    return text;
}

static TEST(test_microseconds_are_shown_in_the_unit_that_fits)
{
    CHECK_STR(micros(0), "0us");
    CHECK_STR(micros(999), "999us");
    CHECK_STR(micros(1000), "1.0ms");
    CHECK_STR(micros(12340), "12.3ms");
    CHECK_STR(micros(999949), "999.9ms");
    CHECK_STR(micros(999950), "1.0s");
    CHECK_STR(micros(4200000), "4.2s");
}

static TEST(test_pairs_skip_nulls_and_know_times_from_spans)
{
    struct ms_buf out = MS_BUF_INIT;

    pairs_of("{\"id\":\"x\",\"group\":null,\"created_ms\":1769862645000,"
             "\"timeout_ms\":90000,\"interval_ms\":5000,"
             "\"retain_done_ms\":604800000,\"finished_ms\":0,"
             "\"cancel_requested\":false}",
             &out);
    CHECK_STR(ms_buf_str(&out), "id                  x\n"
                                "created_ms          2026-01-31 12:30:45 UTC\n"
                                "timeout_ms          1m30s\n"
                                "interval_ms         5s\n"
                                "retain_done_ms      7d\n"
                                "finished_ms         1970-01-01 00:00:00 UTC\n"
                                "cancel_requested    false\n");
    ms_buf_done(&out);
}

static TEST(test_a_long_key_keeps_its_distance)
{
    struct ms_buf out = MS_BUF_INIT;

    pairs_of("{\"a_key_that_is_rather_long\":1}", &out);
    CHECK_STR(ms_buf_str(&out), "a_key_that_is_rather_long  1\n");
    ms_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_columns_line_up_and_numbers_stand_to_the_right),
        RUN(test_what_is_missing_or_null_is_a_dash),
        RUN(test_an_empty_table_says_so),
        RUN(test_control_characters_do_not_reach_the_terminal),
        RUN(test_widths_count_characters_and_not_bytes),
        RUN(test_words_lists_and_maps_are_cells_too),
        RUN(test_microseconds_are_shown_in_the_unit_that_fits),
        RUN(test_pairs_skip_nulls_and_know_times_from_spans),
        RUN(test_a_long_key_keeps_its_distance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

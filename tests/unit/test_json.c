#include <math.h>

#include "common/val.h"
#include "tests/support/support.h"

/* The writer under test and what it has written. */
struct page {
    struct ms_buf buf;
    struct ms_json json;
};

static void page_init(struct page *page)
{
    page->buf = (struct ms_buf)MS_BUF_INIT;
    page->json = ms_json_on(&page->buf);
}

static void check_page(struct page *page, const char *want)
{
    CHECK_STR(ms_buf_str(&page->buf), want);
    ms_buf_done(&page->buf);
}

static TEST(test_commas_stand_between_and_nowhere_else)
{
    struct page p;

    page_init(&p);
    ms_json_open(&p.json, '{');
    ms_json_key(&p.json, "a");
    ms_json_int(&p.json, 1);
    ms_json_key(&p.json, "b");
    ms_json_open(&p.json, '[');
    ms_json_null(&p.json);
    ms_json_open(&p.json, '{');
    ms_json_close(&p.json);
    ms_json_bool(&p.json, true);
    ms_json_bool(&p.json, false);
    ms_json_close(&p.json);
    ms_json_key(&p.json, "c");
    ms_json_open(&p.json, '[');
    ms_json_close(&p.json);
    ms_json_close(&p.json);
    check_page(&p, "{\"a\":1,\"b\":[null,{},true,false],\"c\":[]}");
}

/* Tables of values that were JSON already must not be escaped once more. */
static TEST(test_raw_and_trees_go_in_as_they_are)
{
    struct page p;
    struct ms_val val;

    CHECK_INT(ms_val_from_json("{\"x\":[1]}", 9, &val, NULL), ==, MS_OK);
    page_init(&p);
    ms_json_open(&p.json, '[');
    ms_json_raw(&p.json, "{\"r\":0}", 7);
    ms_json_val(&p.json, &val.root);
    ms_json_close(&p.json);
    ms_val_done(&val);
    check_page(&p, "[{\"r\":0},{\"x\":[1]}]");
}

static TEST(test_a_value_may_stand_alone)
{
    struct page p;

    page_init(&p);
    ms_json_str(&p.json, "alone");
    check_page(&p, "\"alone\"");
}

static TEST(test_strings_are_escaped)
{
    struct page p;

    page_init(&p);
    ms_json_open(&p.json, '[');
    ms_json_str(&p.json, "q\" b\\ n\n t\t r\r f\f b\b");
    ms_json_str(&p.json, "\x01\x1f\x7f");
    ms_json_strn(&p.json, "a\0b", 3);
    ms_json_str(&p.json, "");
    ms_json_close(&p.json);
    check_page(&p, "[\"q\\\" b\\\\ n\\n t\\t r\\r f\\f b\\b\","
                   "\"\\u0001\\u001f\\u007f\",\"a\\u0000b\",\"\"]");
}

static TEST(test_keys_are_escaped_too)
{
    struct page p;

    page_init(&p);
    ms_json_open(&p.json, '{');
    ms_json_key(&p.json, "a\"b");
    ms_json_int(&p.json, 0);
    ms_json_close(&p.json);
    check_page(&p, "{\"a\\\"b\":0}");
}

/* Output of a program, a file name: what we print is UTF-8 all the same. */
static TEST(test_bad_bytes_become_replacement_characters)
{
    struct page p;

    page_init(&p);
    ms_json_str(&p.json, "\xc3\xa4 \xff \xc3");
    check_page(&p, "\"\xc3\xa4 \xef\xbf\xbd \xef\xbf\xbd\"");
}

static TEST(test_a_missing_string_is_null)
{
    struct page p;

    page_init(&p);
    ms_json_str(&p.json, NULL);
    check_page(&p, "null");
}

static TEST(test_numbers_keep_their_ends)
{
    struct page p;

    page_init(&p);
    ms_json_open(&p.json, '[');
    ms_json_int(&p.json, INT64_MIN);
    ms_json_int(&p.json, INT64_MAX);
    ms_json_close(&p.json);
    check_page(&p, "[-9223372036854775808,9223372036854775807]");
}

static TEST(test_doubles_are_short_and_exact)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0.4, "0.4"},
        {1, "1.0"}, /* stays a double when read again */
        {-0.0, "-0.0"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e300, "1e+300"},
        {5e-324, "4.94065645841247e-324"},
        {9007199254740993.0, "9007199254740992.0"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct page p;

        page_init(&p);
        ms_json_double(&p.json, cases[i].value);
        check_page(&p, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_commas_stand_between_and_nowhere_else),
        RUN(test_raw_and_trees_go_in_as_they_are),
        RUN(test_a_value_may_stand_alone),
        RUN(test_strings_are_escaped),
        RUN(test_keys_are_escaped_too),
        RUN(test_bad_bytes_become_replacement_characters),
        RUN(test_a_missing_string_is_null),
        RUN(test_numbers_keep_their_ends),
        RUN(test_doubles_are_short_and_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdlib.h>

#include "common/val.h"
#include "tests/support/support.h"

/* ---- wrong JSON ---- */

static void check_refused(const char *text, size_t len, const char *place)
{
    struct ms_val val = {.zone = (msgpack_zone *)&val};
    struct ms_error error;
    enum ms_err err = ms_val_from_json(text, len, &val, &error);

    if (err != MS_EINVAL)
        print_error("'%.*s'\n", (int)len, text);
    CHECK_INT(err, ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, place);
    CHECK(val.zone == (msgpack_zone *)&val); /* written on success alone */
}

#define CHECK_REFUSED(text, place) check_refused(text, sizeof(text) - 1, place)

static TEST(test_from_json_refuses_what_is_not_one_document)
{
    static const char *const bad[] = {
        "",       " ",       "{",        "[1",      "[1,]",  "{\"a\":1,}",
        "{a:1}",  "'a'",     "01",       "+1",      "1.",    ".5",
        "nul",    "NaN",     "1e",       "-",       "{} {}", "1 2",
        "[1] x",  "{\"a\"}", "[1 2]",    "\"\\x\"", "\"a",   "\"\\u12\"",
        "/**/ 1", "// x",    "tru",      "[,1]",    "]",     "\"tab\there\"",
        "{1:2}",  "0x10",    "\"a\nb\"", "[}",      "--1",   "{\"a\":}",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++)
        check_refused(bad[i], strlen(bad[i]), "line ");
    CHECK_REFUSED("1\0", "line 1, column 2");
    CHECK_REFUSED("\xef\xbb\xbf{}", "line 1");
    check_refused(NULL, 0, "line 1, column 1");
}

static TEST(test_from_json_names_line_and_column)
{
    CHECK_REFUSED("{\n  \"a\": 1,\n  \"b\": x\n}", "line 3, column ");
    CHECK_REFUSED("{\"a\": 99999999999999999999}", "line 1, column 7: ");
    CHECK_REFUSED("[\n1,\n18446744073709551616 ]", "line 3, column 1: ");
    CHECK_REFUSED("[-9223372036854775809]", "line 1, column 2: ");
    CHECK_REFUSED("18446744073709551616", "line 1, column 1: ");
    CHECK_REFUSED("[1e999]", "line 1, column 2: ");
    CHECK_REFUSED("[\"ok\",\n\"\xff\"]", "line 2, column 2: not UTF-8");
    CHECK_REFUSED("[1", "line 1, column 3: ");
}

/* A number of a thousand digits must overflow no buffer. */
static TEST(test_from_json_refuses_a_very_long_integer)
{
    char digits[1001];

    memset(digits, '7', 1000);
    check_refused(digits, 1000, "an integer beyond 64 bits");
}

/* yajl itself lets all of these through. */
static TEST(test_from_json_refuses_what_is_no_unicode)
{
    static const char *const bad[] = {
        "\"\xc0\x80\"",       "\"\xed\xa0\x80\"",   "\"\xf5\x80\x80\x80\"",
        "\"\\ud800\"",        "\"\\udc00\"",        "\"\\ud800x\"",
        "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "{\"\\uDFFF\":1}",
        "\"\\uD83D\\n\"",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++)
        check_refused(bad[i], strlen(bad[i]), "line 1, column ");
}

static TEST(test_from_json_refuses_depth_beyond_64)
{
    char text[131];
    struct ms_val val;

    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    CHECK_INT(ms_val_from_json(text, 128, &val, NULL), ==, MS_OK);
    ms_val_done(&val);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    check_refused(text, 130, "line 1, column 65: nested more than 64");
}

/* ---- good JSON ---- */

static void check_round(const char *text, const char *want)
{
    struct ms_val val, again;
    struct ms_buf packed = MS_BUF_INIT;
    struct ms_buf out = MS_BUF_INIT;
    struct ms_error error = {""};
    enum ms_err err = ms_val_from_json(text, strlen(text), &val, &error);

    CHECK_STR(error.text, "");
    CHECK_INT(err, ==, MS_OK);
    ms_val_to_msgpack(&val.root, &packed);
    ms_val_done(&val);
    CHECK_INT(ms_val_from_msgpack(packed.data, packed.len, &again, NULL), ==,
              MS_OK);
    ms_buf_done(&packed); /* the tree keeps no pointer into it */
    ms_val_to_json(&again.root, &out);
    ms_val_done(&again);
    CHECK_STR(ms_buf_str(&out), want);
    ms_buf_done(&out);
}

static TEST(test_json_survives_the_way_through_msgpack)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"null", "null"},
        {" [ true , false ] ", "[true,false]"},
        {"{}", "{}"},
        {"[]", "[]"},
        {"\"\"", "\"\""},
        {"0", "0"},
        {"-0", "0"},
        {"-1", "-1"},
        {"-33", "-33"},
        {"127", "127"},
        {"128", "128"},
        {"255", "255"},
        {"256", "256"},
        {"65536", "65536"},
        {"-32769", "-32769"},
        {"4294967296", "4294967296"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"18446744073709551615", "18446744073709551615"},
        {"1.0", "1.0"},
        {"0.1", "0.1"},
        {"1E3", "1000.0"},
        {"-2.5e-3", "-0.0025"},
        {"\"Z\xc3\xbcrich\"", "\"Z\xc3\xbcrich\""},
        {"\"\\u00fc \\ud83d\\ude00 \\/\"", "\"\xc3\xbc \xf0\x9f\x98\x80 /\""},
        {"\"a\\u0000b\\\\ud800\"", "\"a\\u0000b\\\\ud800\""},
        {"{\"a\":{\"b\":[1,[2,[3,{\"c\":null}]]]}}",
         "{\"a\":{\"b\":[1,[2,[3,{\"c\":null}]]]}}"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        check_round(cases[i].text, cases[i].want);
}

/* As every other reader does it; two in a map would be told apart by none. */
static TEST(test_of_equal_keys_the_last_stands)
{
    check_round("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
    check_round("{\"a\":1,\"a\":2,\"a\":[3]}", "{\"a\":[3]}");
    check_round("{\"\":1,\"\":2,\"a\":0,\"aa\":0}",
                "{\"\":2,\"a\":0,\"aa\":0}");
}

/* Sizes at which msgpack changes the form of its headers. */
static TEST(test_long_strings_arrays_and_maps_survive)
{
    static const size_t sizes[] = {15, 16, 31, 32, 255, 256, 65535, 65536};

    for (size_t i = 0; i < MS_COUNT_OF(sizes); i++) {
        struct ms_buf json = MS_BUF_INIT;

        ms_buf_addc(&json, '[');
        for (size_t k = 0; k < sizes[i]; k++)
            ms_buf_adds(&json, k == 0 ? "7" : ",7");
        ms_buf_adds(&json, "]");
        check_round(ms_buf_str(&json), ms_buf_str(&json));
        ms_buf_clear(&json);
        ms_buf_addc(&json, '{');
        for (size_t k = 0; k < sizes[i]; k++)
            ms_buf_addf(&json, "%s\"%zu\":0", k == 0 ? "" : ",", k);
        ms_buf_adds(&json, "}");
        check_round(ms_buf_str(&json), ms_buf_str(&json));
        ms_buf_clear(&json);
        ms_buf_addc(&json, '"');
        for (size_t k = 0; k < sizes[i]; k++)
            ms_buf_addc(&json, 'x');
        ms_buf_addc(&json, '"');
        check_round(ms_buf_str(&json), ms_buf_str(&json));
        ms_buf_done(&json);
    }
}

static TEST(test_pretty_json_takes_a_line_a_value)
{
    static const char text[] = "{\"a\":[1,{}],\"b\":[],\"c\":{\"d\":null}}";
    struct ms_buf out = MS_BUF_INIT;
    struct ms_val val;

    CHECK_INT(ms_val_from_json(text, strlen(text), &val, NULL), ==, MS_OK);
    ms_val_to_json_pretty(&val.root, &out);
    CHECK_STR(ms_buf_str(&out), "{\n  \"a\": [\n    1,\n    {}\n  ],\n"
                                "  \"b\": [],\n  \"c\": {\n"
                                "    \"d\": null\n  }\n}");
    ms_buf_done(&out);
    ms_val_done(&val);
}

/* ---- wrong msgpack ---- */

#define REFUSE(bytes, place) refuse_msgpack(bytes, sizeof(bytes) - 1, place)

static void refuse_msgpack(const char *bytes, size_t len, const char *place)
{
    struct ms_val val = {.zone = (msgpack_zone *)&val};
    struct ms_error error = {""};
    /* On the heap to the byte, so that a sanitizer sees one read too many. */
    char *copy = ms_xmalloc(len);

    memcpy(copy, bytes, len);
    CHECK_INT(ms_val_from_msgpack(copy, len, &val, &error), ==, MS_EPROTO);
    CHECK_CONTAINS(error.text, place);
    CHECK(val.zone == (msgpack_zone *)&val);
    free(copy);
}

static TEST(test_from_msgpack_refuses_what_is_not_one_object)
{
    REFUSE("", "offset 0: the bytes end");
    REFUSE("\x01\x02", "offset 1: more than one value");
    REFUSE("\xc1", "offset 0: byte 0xc1");
    REFUSE("\x92\x01", "the bytes end");
    REFUSE("\x81\xa1k", "the bytes end");
    REFUSE("\xa5hell", "the bytes end");
    REFUSE("\xd9", "the bytes end");
    REFUSE("\xd9\x05hell", "the bytes end");
    REFUSE("\xcd\x01", "the bytes end");
    REFUSE("\xca\x01\x02\x03", "the bytes end");
    REFUSE("\xcb\x01", "the bytes end");
    REFUSE("\xd3\x01", "the bytes end");
    REFUSE("\xc4\x02x", "the bytes end");
    REFUSE("\xc7\x02\x01x", "the bytes end");
    REFUSE("\xd4", "the bytes end");
    REFUSE("\xd6\x01xyz", "the bytes end");
}

/* Five bytes that claim to hold 100 GB must not make us ask for them. */
static TEST(test_from_msgpack_believes_no_length_without_its_bytes)
{
    REFUSE("\xdd\xff\xff\xff\xff", "the bytes end");
    REFUSE("\xdf\xff\xff\xff\xff\xc0", "the bytes end");
    REFUSE("\xdb\xff\xff\xff\xff", "the bytes end");
    REFUSE("\xc6\xff\xff\xff\xff", "the bytes end");
    REFUSE("\xc9\xff\xff\xff\xff", "the bytes end");
    REFUSE("\xdc\xff\xff\xc0", "the bytes end");
}

static TEST(test_from_msgpack_refuses_depth_beyond_64)
{
    char bytes[66];
    struct ms_val val;

    memset(bytes, '\x91', 65);
    bytes[64] = '\xc0';
    CHECK_INT(ms_val_from_msgpack(bytes, 65, &val, NULL), ==, MS_OK);
    ms_val_done(&val);
    bytes[64] = '\x91';
    bytes[65] = '\xc0';
    refuse_msgpack(bytes, 66, "nested more than 64");
}

/* ---- msgpack that JSON has no word for ---- */

#define CHECK_SHOWN(bytes, want) check_shown(bytes, sizeof(bytes) - 1, want)

static void check_shown(const char *bytes, size_t len, const char *want)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_val val;

    CHECK_INT(ms_val_from_msgpack(bytes, len, &val, NULL), ==, MS_OK);
    ms_val_to_json(&val.root, &out);
    CHECK_STR(ms_buf_str(&out), want);
    ms_buf_done(&out);
    ms_val_done(&val);
}

static TEST(test_msgpack_is_shown_as_the_nearest_json)
{
    CHECK_SHOWN("\xc4\x03"
                "a\xff"
                "b",
                "\"a\xef\xbf\xbd"
                "b\"");
    CHECK_SHOWN("\xa1\xc3", "\"\xef\xbf\xbd\"");
    CHECK_SHOWN("\xd4\x05x", "null");
    CHECK_SHOWN("\xd8\xff"
                "0123456789abcdef",
                "null");
    CHECK_SHOWN("\xc7\x02\x01xy", "null");
    CHECK_SHOWN("\x82\x01\x02\xc3\xa1x", "{\"1\":2,\"true\":\"x\"}");
    CHECK_SHOWN("\x81\x92\x01\xa1\"\x00", "{\"[1,\\\"\\\\\\\"\\\"]\":0}");
    CHECK_SHOWN("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "null");
    CHECK_SHOWN("\xca\x3f\xc0\x00\x00", "1.5");
    CHECK_SHOWN("\xe0", "-32");
    CHECK_SHOWN("\xd0\x80", "-128");
    CHECK_SHOWN("\xd1\x80\x00", "-32768");
    CHECK_SHOWN("\xd2\x80\x00\x00\x00", "-2147483648");
    CHECK_SHOWN("\xd3\x00\x00\x00\x00\x00\x00\x00\x05", "5");
}

/* ---- reading a map ---- */

static TEST(test_reading_a_map_falls_back_where_the_type_is_another)
{
    static const char text[] =
        "{\"n\":-5,\"big\":18446744073709551615,\"d\":2.5,\"yes\":true,"
        "\"s\":\"text\",\"null\":null}";
    struct ms_val val;
    char *copy;

    CHECK_INT(ms_val_from_json(text, strlen(text), &val, NULL), ==, MS_OK);
    CHECK_INT(ms_val_int(&val.root, "n", 1), ==, -5);
    CHECK_INT(ms_val_int(&val.root, "big", 1), ==, 1);
    CHECK_INT(ms_val_int(&val.root, "d", 1), ==, 1);
    CHECK_INT(ms_val_int(&val.root, "none", 1), ==, 1);
    CHECK(ms_val_double(&val.root, "d", 0) == 2.5);
    CHECK(ms_val_double(&val.root, "n", 0) == -5);
    CHECK(ms_val_double(&val.root, "s", 7) == 7);
    CHECK(ms_val_bool(&val.root, "yes", false));
    CHECK(ms_val_bool(&val.root, "n", true));
    CHECK(!ms_val_bool(&val.root, "none", false));
    copy = ms_val_strdup(&val.root, "s");
    CHECK_STR(copy, "text");
    free(copy);
    CHECK(ms_val_strdup(&val.root, "n") == NULL);
    CHECK(ms_val_strdup(&val.root, "none") == NULL);
    CHECK(ms_val_get(&val.root, "null")->type == MSGPACK_OBJECT_NIL);
    CHECK(ms_val_get(&val.root, "nul") == NULL);
    CHECK(ms_val_get(ms_val_get(&val.root, "s"), "x") == NULL);
    CHECK(ms_val_get(NULL, "x") == NULL);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "s"), "text"));
    CHECK(!ms_val_is_str(ms_val_get(&val.root, "s"), "tex"));
    CHECK(!ms_val_is_str(ms_val_get(&val.root, "n"), "-5"));
    CHECK(!ms_val_is_str(NULL, ""));
    ms_val_done(&val);
}

/* What another client packed may hold a key twice. */
static TEST(test_get_takes_the_last_of_equal_keys)
{
    struct ms_val val;

    CHECK_INT(ms_val_from_msgpack("\x82\xa1k\x01\xa1k\x02", 7, &val, NULL), ==,
              MS_OK);
    CHECK_INT(ms_val_int(&val.root, "k", 0), ==, 2);
    ms_val_done(&val);
}

static TEST(test_a_zeroed_value_is_null)
{
    struct ms_val val = {0};
    struct ms_buf out = MS_BUF_INIT;

    ms_val_to_json(&val.root, &out);
    CHECK_STR(ms_buf_str(&out), "null");
    ms_buf_done(&out);
    ms_val_done(&val);
    ms_val_done(&val);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_from_json_refuses_what_is_not_one_document),
        RUN(test_from_json_names_line_and_column),
        RUN(test_from_json_refuses_a_very_long_integer),
        RUN(test_from_json_refuses_what_is_no_unicode),
        RUN(test_from_json_refuses_depth_beyond_64),
        RUN(test_json_survives_the_way_through_msgpack),
        RUN(test_of_equal_keys_the_last_stands),
        RUN(test_long_strings_arrays_and_maps_survive),
        RUN(test_pretty_json_takes_a_line_a_value),
        RUN(test_from_msgpack_refuses_what_is_not_one_object),
        RUN(test_from_msgpack_believes_no_length_without_its_bytes),
        RUN(test_from_msgpack_refuses_depth_beyond_64),
        RUN(test_msgpack_is_shown_as_the_nearest_json),
        RUN(test_reading_a_map_falls_back_where_the_type_is_another),
        RUN(test_get_takes_the_last_of_equal_keys),
        RUN(test_a_zeroed_value_is_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

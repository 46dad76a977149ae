#include "common/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "tests/support/support.h"

static struct ms_doc doc;
static char id_text[MS_DOC_ID_MAX + 1];

/* Judges one line by a fresh reader with id field "id". */
static enum ms_doc_kind judge(const char *line, size_t len)
{
    struct ms_doc_reader *reader = ms_doc_reader_new("id");
    enum ms_doc_kind kind = ms_doc_read(reader, line, len, &doc);

    if (kind == MS_DOC_OK) { /* the id may live in the reader */
        memcpy(id_text, doc.id, doc.id_len);
        id_text[doc.id_len] = '\0';
    }
    ms_doc_reader_free(reader);
    return kind;
}

static void check_id(const char *line, const char *id)
{
    CHECK_INT(judge(line, strlen(line)), ==, MS_DOC_OK);
    CHECK_STR(id_text, id);
}

static void check_reject(const char *line, const char *reason)
{
    CHECK_INT(judge(line, strlen(line)), ==, MS_DOC_REJECT);
    CHECK_CONTAINS(doc.reason, reason);
}

static TEST(test_line_end_is_no_part_of_the_document)
{
    const char *lines[] = {"{\"id\":1}", "{\"id\":1}\n", "{\"id\":1}\r\n"};
    size_t i;

    for (i = 0; i < MS_COUNT_OF(lines); i++) {
        CHECK_INT(judge(lines[i], strlen(lines[i])), ==, MS_DOC_OK);
        CHECK_INT(doc.len, ==, 8);
        CHECK(doc.hash == XXH3_64bits("{\"id\":1}", 8));
    }
}

/* Only CRLF is a line end; a lone CR is a blank inside the document. */
static TEST(test_lone_cr_stays_in_the_document)
{
    CHECK_INT(judge("{\"id\":1}\r", 9), ==, MS_DOC_OK);
    CHECK_INT(doc.len, ==, 9);
    CHECK_INT(judge("{\"id\":1}\r\r\n", 11), ==, MS_DOC_OK);
    CHECK_INT(doc.len, ==, 9);
}

static TEST(test_empty_lines_are_skipped)
{
    CHECK_INT(judge("", 0), ==, MS_DOC_EMPTY);
    CHECK_INT(judge("\n", 1), ==, MS_DOC_EMPTY);
    CHECK_INT(judge("\r\n", 2), ==, MS_DOC_EMPTY);
}

static TEST(test_id_is_a_string_or_an_integer)
{
    check_id("{\"id\":\"a b\"}", "a b");
    check_id("{\"id\":\"\"}", "");
    check_id("{ \"x\" : [1,{\"id\":2}] , \"id\" : 42 }", "42");
    check_id("{\"id\":-7}", "-7");
    check_id("{\"id\":-0}", "0");
    check_id("{\"id\":123456789012345678901234567890}",
             "123456789012345678901234567890");
}

/* The id is what the string means, not how it is written. */
static TEST(test_id_is_unescaped)
{
    check_id("{\"id\":\"a\\u0062\\n\\\"\"}", "ab\n\"");
    check_id("{\"\\u0069d\":\"x\"}", "x");
    check_id("{\"id\":\"\\ud83d\\ude00\"}", "\xF0\x9F\x98\x80");
    check_id("{\"id\":\"\\\\ud83d\"}", "\\ud83d");
}

static TEST(test_id_may_hold_a_nul)
{
    CHECK_INT(judge("{\"id\":\"a\\u0000b\"}", 17), ==, MS_DOC_OK);
    CHECK_INT(doc.id_len, ==, 3);
    CHECK(memcmp(id_text, "a\0b", 3) == 0);
}

/* yajl reads half a pair as '?': two documents would overwrite each other. */
static TEST(test_id_with_half_a_surrogate_pair_is_rejected)
{
    check_reject("{\"id\":\"\\ud83d\"}", "surrogate");
    check_reject("{\"id\":\"\\ude00\"}", "surrogate");
    check_reject("{\"id\":\"\\ud83dx\\ude00\"}", "surrogate");
    check_reject("{\"id\":\"\\ud83d\\u0041\"}", "surrogate");
    check_id("{\"id\":\"a\",\"other\":\"\\ud83d\"}", "a");
}

static TEST(test_last_of_two_ids_stands)
{
    check_id("{\"id\":\"first\",\"id\":\"second\"}", "second");
    check_id("{\"id\":{\"id\":3},\"id\":4}", "4");
    check_reject("{\"id\":\"first\",\"id\":1.5}", "id is no string or integer");
}

static TEST(test_missing_id_is_rejected)
{
    check_reject("{}", "no id");
    check_reject("{\"ID\":1,\"idx\":2,\"i\":3}", "no id");
    check_reject("{\"deep\":{\"id\":1}}", "no id");
    check_reject("{\"a\":[{\"id\":1}]}", "no id");
}

static TEST(test_id_of_another_type_is_rejected)
{
    const char *ids[] = {"1.0",  "1e3", "1E3", "true",          "false",
                         "null", "{}",  "[1]", "{\"id\":\"x\"}"};
    char line[64];
    size_t i;

    for (i = 0; i < MS_COUNT_OF(ids); i++) {
        snprintf(line, sizeof(line), "{\"id\":%s}", ids[i]);
        check_reject(line, "id is no string or integer");
    }
}

static TEST(test_id_of_512_bytes_is_the_longest)
{
    static const char *const around[][2] = {{"{\"id\":\"", "\"}"},
                                            {"{\"id\":", "}"},
                                            {"{\"id\":\"\\u0031", "\"}"}};
    char line[600], id[513];
    size_t i;

    memset(id, '1', sizeof(id));
    for (i = 0; i < MS_COUNT_OF(around); i++) {
        int most = i == 2 ? 511 : 512; /* one is escaped */

        snprintf(line, sizeof(line), "%s%.*s%s", around[i][0], most + 1, id,
                 around[i][1]);
        check_reject(line, "id longer than 512 bytes");
        snprintf(line, sizeof(line), "%s%.*s%s", around[i][0], most, id,
                 around[i][1]);
        CHECK_INT(judge(line, strlen(line)), ==, MS_DOC_OK);
        CHECK_INT(doc.id_len, ==, 512);
    }
}

static TEST(test_line_that_is_no_object_is_rejected)
{
    check_reject("[{\"id\":1}]", "not an object");
    check_reject("\"text\"", "not an object");
    check_reject("12", "not an object");
    check_reject("null", "not an object");
    check_reject("true", "not an object");
}

static TEST(test_invalid_json_is_rejected)
{
    const char *lines[] = {"{\"id\":1",
                           "{\"id\":1}}",
                           "{\"id\":1}{\"id\":2}",
                           "{\"id\":1} 2",
                           "{\"id\":01}",
                           "{\"id\":1,}",
                           "{'id':1}",
                           "{\"id\":1}x",
                           "{id:1}",
                           "{\"id\":\"a",
                           "{\"id\":\"a\tb\"}",
                           "{\"id\":\"\\x\"}",
                           "{\"id\":\"\\u12\"}",
                           "// {\"id\":1}",
                           "{\"id\":NaN}",
                           "{\"id\":1,\"a\":1.}",
                           "{\"id\":1,\"a\":[1,]}",
                           "   ",
                           "\r",
                           "{",
                           "tru",
                           "-",
                           "{\"id\":1}//c"};
    size_t i;

    for (i = 0; i < MS_COUNT_OF(lines); i++)
        check_reject(lines[i], "not JSON: ");
    CHECK_INT(judge("{\"id\":1}\0", 9), ==, MS_DOC_REJECT);
}

/* Somebody must find the place in a line of megabytes. */
static TEST(test_reason_tells_what_and_where)
{
    check_reject("{\"id\":1,\"a\":nope}", "invalid");
    check_reject("{\"id\":1,\"a\":nope}", "(byte 13)");
}

static TEST(test_invalid_utf8_is_rejected)
{
    static const char *const bad[] = {"\x80",
                                      "\xC3",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x80\x80",
                                      "\xE2\x82",
                                      "\xED\xA0\x80",
                                      "\xF0\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "\xF0\x9F\x98"};
    char line[64];
    size_t i;

    for (i = 0; i < MS_COUNT_OF(bad); i++) {
        snprintf(line, sizeof(line), "{\"id\":\"%s\"}", bad[i]);
        check_reject(line, "not UTF-8");
    }
    check_id("{\"id\":\"\xC3\xA4\xE2\x82\xAC\xED\x9F\xBF\xF0\x9F\x98\x80\"}",
             "\xC3\xA4\xE2\x82\xAC\xED\x9F\xBF\xF0\x9F\x98\x80");
}

/* The parser is kept between lines: nothing of one may show in the next. */
static TEST(test_reader_forgets_the_line_before)
{
    static const char *const before[] = {"{\"id\":\"old\"}",
                                         "{\"id\":",
                                         "{\"id\":\"o",
                                         "[[[[",
                                         "{\"id\":1}}",
                                         "12",
                                         "\"id\"",
                                         "{\"id\":\\",
                                         "tru",
                                         "\xFF",
                                         "{\"a\":{\"id\":",
                                         "{\"id\":7",
                                         "{} {}",
                                         " "};
    struct ms_doc_reader *reader = ms_doc_reader_new("id");
    size_t i;

    for (i = 0; i < MS_COUNT_OF(before); i++) {
        ms_doc_read(reader, before[i], strlen(before[i]), &doc);
        CHECK_INT(ms_doc_read(reader, "{\"a\":1}", 7, &doc), ==, MS_DOC_REJECT);
        CHECK_STR(doc.reason, "no id");
        ms_doc_read(reader, before[i], strlen(before[i]), &doc);
        CHECK_INT(ms_doc_read(reader, "{\"id\":\"x\"}", 10, &doc), ==,
                  MS_DOC_OK);
        CHECK_INT(doc.id_len, ==, 1);
        CHECK(doc.id[0] == 'x');
    }
    ms_doc_reader_free(reader);
}

static TEST(test_id_field_may_have_any_name)
{
    struct ms_doc_reader *reader = ms_doc_reader_new("_key");

    CHECK_INT(ms_doc_read(reader, "{\"id\":1,\"_key\":2}", 17, &doc), ==,
              MS_DOC_OK);
    CHECK(doc.id_len == 1 && doc.id[0] == '2');
    ms_doc_reader_free(reader);
}

static TEST(test_deep_nesting_is_read)
{
    enum { DEPTH = 100000 };
    char *line = ms_xmalloc(2 * DEPTH + 32);
    size_t len = (size_t)sprintf(line, "{\"id\":1,\"a\":");

    memset(line + len, '[', DEPTH);
    memset(line + len + DEPTH, ']', DEPTH);
    line[len + 2 * DEPTH] = '}';
    CHECK_INT(judge(line, len + 2 * DEPTH + 1), ==, MS_DOC_OK);
    CHECK_INT(judge(line, len + 2 * DEPTH), ==, MS_DOC_REJECT);
    free(line);
}

static TEST(test_checksum_is_the_sum_modulo_2_to_64)
{
    struct ms_checksum sum = {{0}};
    uint64_t want = 0, hash = 0x9E3779B97F4A7C15u;
    int i;

    for (i = 0; i < 1000; i++) {
        hash *= 0xD1342543DE82EF95u;
        want += hash;
        ms_checksum_add(&sum, hash);
    }
    CHECK(ms_checksum_value(&sum) == want);
    for (i = 0; i < 4; i++)
        CHECK_INT(sum.lanes[i], <=, 1000 * 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_line_end_is_no_part_of_the_document),
        RUN(test_lone_cr_stays_in_the_document),
        RUN(test_empty_lines_are_skipped),
        RUN(test_id_is_a_string_or_an_integer),
        RUN(test_id_is_unescaped),
        RUN(test_id_may_hold_a_nul),
        RUN(test_id_with_half_a_surrogate_pair_is_rejected),
        RUN(test_last_of_two_ids_stands),
        RUN(test_missing_id_is_rejected),
        RUN(test_id_of_another_type_is_rejected),
        RUN(test_id_of_512_bytes_is_the_longest),
        RUN(test_line_that_is_no_object_is_rejected),
        RUN(test_invalid_json_is_rejected),
        RUN(test_reason_tells_what_and_where),
        RUN(test_invalid_utf8_is_rejected),
        RUN(test_reader_forgets_the_line_before),
        RUN(test_id_field_may_have_any_name),
        RUN(test_deep_nesting_is_read),
        RUN(test_checksum_is_the_sum_modulo_2_to_64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

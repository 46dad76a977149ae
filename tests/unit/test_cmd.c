#include "tests/support/support.h"

#include <stdlib.h>

static const struct ms_script script = {
    "probe", "0123456789abcdef0123456789abcdef01234567", "return 1", 8};

/* Encodes and forgets `cmd`; good until the next call. */
static const char *encoded(struct ms_cmd *cmd)
{
    static char text[4096];
    struct ms_buf out = MS_BUF_INIT;

    ms_cmd_encode(cmd, &out);
    ms_assert(out.len < sizeof(text));
    strcpy(text, ms_buf_str(&out));
    ms_buf_done(&out);
    ms_cmd_done(cmd);
    return text;
}

static TEST(test_plain_command_is_an_array_of_bulk_strings)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "HGET", "key", "", NULL);
    CHECK_STR(encoded(&cmd), "*3\r\n$4\r\nHGET\r\n$3\r\nkey\r\n$0\r\n\r\n");
}

static TEST(test_plain_command_grows_by_further_arguments)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "SET", NULL);
    ms_cmd_key(&cmd, "k");
    ms_cmd_argi(&cmd, 7);
    CHECK_INT(cmd.n_keys, ==, 0);
    CHECK_STR(encoded(&cmd), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n7\r\n");
}

static TEST(test_script_call_names_hash_and_number_of_keys)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_script(&cmd, &script);
    ms_cmd_key(&cmd, "a");
    ms_cmd_keyf(&cmd, "ms:{%s/%s}:cfg", "main", "mail");
    ms_cmd_args(&cmd, "x");
    CHECK_INT(cmd.n_keys, ==, 2);
    CHECK_INT(cmd.n_args, ==, 3);
    CHECK_STR(encoded(&cmd),
              "*6\r\n$7\r\nEVALSHA\r\n$40\r\n"
              "0123456789abcdef0123456789abcdef01234567\r\n$1\r\n2\r\n"
              "$1\r\na\r\n$18\r\nms:{main/mail}:cfg\r\n$1\r\nx\r\n");
}

static TEST(test_script_call_without_arguments_is_complete)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_script(&cmd, &script);
    CHECK_CONTAINS(encoded(&cmd), "*3\r\n$7\r\nEVALSHA\r\n$40\r\n");
}

/* 64-bit fences and sizes must arrive to the last digit. */
static TEST(test_numbers_are_written_to_the_last_digit)
{
    static const struct {
        int64_t number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {9, "9"},
        {10, "10"},
        {-1, "-1"},
        {-10, "-10"},
        {1785000000123, "1785000000123"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_cmd cmd = MS_CMD_INIT;
        size_t len = 0;
        const char *at;

        ms_cmd_argi(&cmd, cases[i].number);
        at = ms_cmd_peek(&cmd, 0, &len);
        CHECK_INT(len, ==, strlen(cases[i].text));
        CHECK(memcmp(at, cases[i].text, len) == 0);
        ms_cmd_done(&cmd);
    }
}

static TEST(test_bytes_are_kept_whatever_they_are)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t len = 0;
    const char *at;

    ms_cmd_arg(&cmd, "a\0\r\n$", 5);
    ms_cmd_arg(&cmd, NULL, 0);
    ms_cmd_args(&cmd, "last");
    at = ms_cmd_peek(&cmd, 0, &len);
    CHECK_INT(len, ==, 5);
    CHECK(memcmp(at, "a\0\r\n$", 5) == 0);
    CHECK(ms_cmd_peek(&cmd, 1, &len) != NULL);
    CHECK_INT(len, ==, 0);
    at = ms_cmd_peek(&cmd, 2, &len);
    CHECK(len == 4 && memcmp(at, "last", 4) == 0);
    ms_cmd_done(&cmd);
}

static TEST(test_append_adds_the_arguments_of_another_command)
{
    struct ms_cmd cmd = MS_CMD_INIT, more = MS_CMD_INIT;
    size_t len;

    ms_cmd_plain(&cmd, "HSET", "key", NULL);
    ms_cmd_arg(&more, "i\0d", 3);
    ms_cmd_args(&more, "document");
    ms_cmd_append(&cmd, &more);
    CHECK_INT(cmd.n_args, ==, 4);
    CHECK(memcmp(ms_cmd_peek(&cmd, 2, &len), "i\0d", 3) == 0);
    CHECK_INT(len, ==, 3);
    CHECK_INT(more.n_args, ==, 2); /* and may be appended again */
    ms_cmd_done(&cmd);
    ms_cmd_done(&more);
}

static TEST(test_peek_past_the_end_is_null)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t len = 0;

    CHECK(ms_cmd_peek(&cmd, 0, &len) == NULL);
    ms_cmd_args(&cmd, "one");
    CHECK(ms_cmd_peek(&cmd, 1, &len) == NULL);
    ms_cmd_done(&cmd);
}

/* The formatter has a buffer of its own for short texts; around and beyond
 * its end nothing may be cut. */
static TEST(test_formatted_arguments_of_any_length)
{
    for (size_t n = 250; n < 262; n++) {
        struct ms_cmd cmd = MS_CMD_INIT;
        char *want = ms_xmalloc(n + 1);
        size_t len = 0;
        const char *at;

        memset(want, 'x', n);
        want[n] = '\0';
        ms_cmd_argf(&cmd, "%s", want);
        at = ms_cmd_peek(&cmd, 0, &len);
        CHECK_INT(len, ==, n);
        CHECK(memcmp(at, want, n) == 0);
        free(want);
        ms_cmd_done(&cmd);
    }
}

static TEST(test_done_leaves_an_empty_command)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_script(&cmd, &script);
    ms_cmd_key(&cmd, "k");
    ms_cmd_done(&cmd);
    CHECK(cmd.script == NULL && cmd.body.data == NULL);
    ms_cmd_plain(&cmd, "PING", NULL);
    CHECK_STR(encoded(&cmd), "*1\r\n$4\r\nPING\r\n");
}

static TEST(test_thousands_of_arguments_stay_in_order)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t len = 0;

    for (int i = 0; i < 10000; i++)
        ms_cmd_argi(&cmd, i);
    CHECK_INT(cmd.n_args, ==, 10000);
    CHECK_INT(strtol(ms_cmd_peek(&cmd, 9999, &len), NULL, 10), ==, 9999);
    CHECK_INT(strtol(ms_cmd_peek(&cmd, 5000, &len), NULL, 10), ==, 5000);
    ms_cmd_done(&cmd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_append_adds_the_arguments_of_another_command),
        RUN(test_plain_command_is_an_array_of_bulk_strings),
        RUN(test_plain_command_grows_by_further_arguments),
        RUN(test_script_call_names_hash_and_number_of_keys),
        RUN(test_script_call_without_arguments_is_complete),
        RUN(test_numbers_are_written_to_the_last_digit),
        RUN(test_bytes_are_kept_whatever_they_are),
        RUN(test_peek_past_the_end_is_null),
        RUN(test_formatted_arguments_of_any_length),
        RUN(test_done_leaves_an_empty_command),
        RUN(test_thousands_of_arguments_stay_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

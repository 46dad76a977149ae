#include "common/buf.h"

#include <stdlib.h>

#include "tests/support/support.h"

static TEST(test_empty_buffer_needs_no_memory)
{
    struct ms_buf buf = MS_BUF_INIT;

    ms_buf_add(&buf, NULL, 0);
    CHECK(buf.data == NULL && buf.len == 0);
    CHECK_STR(ms_buf_str(&buf), "");
    CHECK_INT(buf.len, ==, 0);
    ms_buf_done(&buf);
    CHECK(buf.data == NULL);
    ms_buf_done(&buf); /* twice is once */
}

static TEST(test_appends_in_order)
{
    struct ms_buf buf = MS_BUF_INIT;

    ms_buf_adds(&buf, "one ");
    ms_buf_add(&buf, "two\0x", 5);
    ms_buf_addc(&buf, '!');
    ms_buf_addf(&buf, "%d-%s", 42, "end");
    CHECK_INT(buf.len, ==, 16);
    CHECK(memcmp(buf.data, "one two\0x!42-end", 16) == 0);
    ms_buf_done(&buf);
}

static TEST(test_formatted_text_adds_no_nul_that_counts)
{
    struct ms_buf buf = MS_BUF_INIT;

    ms_buf_addf(&buf, "%s", "");
    CHECK_INT(buf.len, ==, 0);
    ms_buf_addf(&buf, "ab");
    ms_buf_addf(&buf, "cd");
    CHECK_STR(ms_buf_str(&buf), "abcd");
    ms_buf_done(&buf);
}

/* Around each doubling of its memory nothing may be lost. */
static TEST(test_grows_byte_by_byte)
{
    struct ms_buf buf = MS_BUF_INIT;

    for (int i = 0; i < 5000; i++)
        ms_buf_addc(&buf, (char)(i % 251));
    for (int i = 0; i < 5000; i++)
        CHECK_INT(buf.data[i], ==, (char)(i % 251));
    CHECK_INT(buf.cap, >=, buf.len);
    ms_buf_done(&buf);
}

static TEST(test_formats_more_than_it_had_room_for)
{
    struct ms_buf buf = MS_BUF_INIT;
    char *text = ms_xmalloc(10001);

    memset(text, 'x', 10000);
    text[10000] = '\0';
    ms_buf_addf(&buf, "<%s>", text);
    CHECK_INT(buf.len, ==, 10002);
    CHECK(buf.data[0] == '<' && buf.data[10001] == '>');
    free(text);
    ms_buf_done(&buf);
}

static TEST(test_reserve_gives_the_place_behind_the_end)
{
    struct ms_buf buf = MS_BUF_INIT;

    ms_buf_adds(&buf, "ab");
    memcpy(ms_buf_reserve(&buf, 1000), "cd", 2);
    CHECK_INT(buf.len, ==, 2);
    buf.len += 2;
    CHECK_STR(ms_buf_str(&buf), "abcd");
    ms_buf_done(&buf);
}

static TEST(test_consume_drops_the_front)
{
    struct ms_buf buf = MS_BUF_INIT;

    ms_buf_adds(&buf, "abcdef");
    ms_buf_consume(&buf, 0);
    ms_buf_consume(&buf, 2);
    CHECK_STR(ms_buf_str(&buf), "cdef");
    ms_buf_consume(&buf, 4);
    CHECK_INT(buf.len, ==, 0);
    CHECK_STR(ms_buf_str(&buf), "");
    ms_buf_done(&buf);
}

static TEST(test_clear_keeps_the_memory)
{
    struct ms_buf buf = MS_BUF_INIT;
    char *data;

    ms_buf_adds(&buf, "abcdef");
    data = buf.data;
    ms_buf_clear(&buf);
    CHECK_INT(buf.len, ==, 0);
    ms_buf_adds(&buf, "x");
    CHECK(buf.data == data);
    CHECK_STR(ms_buf_str(&buf), "x");
    ms_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_empty_buffer_needs_no_memory),
        RUN(test_appends_in_order),
        RUN(test_formatted_text_adds_no_nul_that_counts),
        RUN(test_grows_byte_by_byte),
        RUN(test_formats_more_than_it_had_room_for),
        RUN(test_reserve_gives_the_place_behind_the_end),
        RUN(test_consume_drops_the_front),
        RUN(test_clear_keeps_the_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

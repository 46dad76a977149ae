/* A program's last words, made fit for a record. */
#include "tests/support/support.h"

#include <stdio.h>

#include "common/utf8.h"
#include "worker/text.h"

static const char *tail_of(const char *bytes, size_t len)
{
    static struct ms_tail tail;

    tail = (struct ms_tail){.len = 0};
    ms_tail_add(&tail, bytes, len);
    return ms_tail_text(&tail);
}

static TEST(test_short_output_is_shown_whole_without_its_line_end)
{
    CHECK_STR(tail_of("hello\n", 6), "hello");
    CHECK_STR(tail_of("a\nb\r\n\n", 6), "a\nb");
    CHECK_STR(tail_of("", 0), "");
    CHECK_STR(tail_of("\n\n", 2), "");
}

static TEST(test_long_output_is_cut_at_its_front)
{
    char bytes[5000];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('a' + i % 26);
    CHECK_INT(strlen(tail_of(bytes, sizeof(bytes))), ==, MS_TAIL_SHOWN);
    CHECK_INT(tail_of(bytes, sizeof(bytes))[MS_TAIL_SHOWN - 1], ==,
              bytes[sizeof(bytes) - 1]);
}

/* Reads come in any sizes; the end is the same. */
static TEST(test_the_tail_does_not_depend_on_how_it_came)
{
    struct ms_tail whole = {.len = 0}, parts = {.len = 0};
    char bytes[3000];
    size_t at = 0;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('!' + i % 90);
    ms_tail_add(&whole, bytes, sizeof(bytes));
    for (size_t step = 1; at < sizeof(bytes); step = step * 2 + 1) {
        size_t n = step < sizeof(bytes) - at ? step : sizeof(bytes) - at;

        ms_tail_add(&parts, bytes + at, n);
        at += n;
    }
    CHECK_STR(ms_tail_text(&parts), ms_tail_text(&whole));
}

static TEST(test_no_character_is_cut_in_two)
{
    char bytes[2 * 400 + 1];

    for (size_t i = 0; i < sizeof(bytes) - 1; i += 2)
        memcpy(bytes + i, "\xc3\xa4", 2);
    bytes[sizeof(bytes) - 1] = 'x';
    CHECK_INT(strlen(tail_of(bytes, sizeof(bytes))), ==, MS_TAIL_SHOWN - 1);
    CHECK(strchr(tail_of(bytes, sizeof(bytes)), '?') == NULL);
}

/* Records are JSON one day: what is no UTF-8 must not get there. */
static TEST(test_bytes_that_are_no_text_become_question_marks)
{
    char bytes[256];
    const char *text;

    CHECK_STR(tail_of("a\xff\0b", 4), "a??b");
    CHECK_STR(tail_of("cut \xe2\x82", 6), "cut ??");
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    text = tail_of(bytes, sizeof(bytes));
    CHECK(ms_utf8_is_valid(text, strlen(text)));
}

static TEST(test_scrub_leaves_good_text_alone)
{
    char text[] = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d";

    CHECK_INT(ms_text_scrub(text, strlen(text)), ==, strlen(text));
    CHECK_STR(text, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_short_output_is_shown_whole_without_its_line_end),
        RUN(test_long_output_is_cut_at_its_front),
        RUN(test_the_tail_does_not_depend_on_how_it_came),
        RUN(test_no_character_is_cut_in_two),
        RUN(test_bytes_that_are_no_text_become_question_marks),
        RUN(test_scrub_leaves_good_text_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/utf8.h"
#include "tests/support/support.h"

/* Each of these has brought down somebody's reader. */
static TEST(test_char_refuses_what_only_looks_like_utf8)
{
    static const char *const bad[] = {
        "\x80",             /* a tail alone */
        "\xc0\x80",         /* overlong NUL */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* a surrogate */
        "\xed\xbf\xbf",     /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf5\x80\x80\x80", /* beyond U+10FFFF */
        "\xff",
        "\xc3(",     /* no tail */
        "\xe2\x82(", /* one tail of two */
        "\xf0\x9f\x98(",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++)
        CHECK_INT(ms_utf8_char(bad[i], strlen(bad[i])), ==, 0);
}

static TEST(test_char_measures_good_ones_at_the_edges_of_each_length)
{
    static const char *const good[] = {
        "\x7f",         "\xc2\x80",         "\xdf\xbf",
        "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
    };

    for (size_t i = 0; i < MS_COUNT_OF(good); i++)
        CHECK_INT(ms_utf8_char(good[i], strlen(good[i])), ==, strlen(good[i]));
    CHECK_INT(ms_utf8_char("\0", 1), ==, 1);
}

/* Nothing is read behind the bytes that are there. */
static TEST(test_char_refuses_one_that_is_cut)
{
    static const char whole[] = "\xf0\x9f\x98\x80";

    for (size_t left = 1; left < 4; left++)
        CHECK_INT(ms_utf8_char(whole, left), ==, 0);
    CHECK_INT(ms_utf8_char("\xc3\xa4", 1), ==, 0);
}

/* The fast path takes eight bytes a step: a bad byte must be seen at every
 * place in such a step. */
static TEST(test_span_ends_at_the_first_bad_byte_wherever_it_stands)
{
    char text[41];

    for (size_t at = 0; at < 40; at++) {
        memset(text, 'x', 40);
        text[at] = '\xff';
        CHECK_INT(ms_utf8_span(text, 40), ==, at);
        CHECK(!ms_utf8_is_valid(text, 40));
        text[at] = 'x';
        CHECK_INT(ms_utf8_span(text, 40), ==, 40);
    }
}

static TEST(test_span_walks_over_mixed_text)
{
    static const char text[] = "Z\xc3\xbcrich \xe2\x82\xac 5, \xf0\x9f\x98\x80"
                               " and a long tail of plain ASCII";

    CHECK(ms_utf8_is_valid(text, sizeof(text) - 1));
    CHECK(ms_utf8_is_valid("", 0));
    CHECK(ms_utf8_is_valid(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_char_refuses_what_only_looks_like_utf8),
        RUN(test_char_measures_good_ones_at_the_edges_of_each_length),
        RUN(test_char_refuses_one_that_is_cut),
        RUN(test_span_ends_at_the_first_bad_byte_wherever_it_stands),
        RUN(test_span_walks_over_mixed_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/lines.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buf.h"
#include "tests/support/support.h"

static int open_bytes(const void *bytes, size_t len)
{
    char *path = ms_test_file("lines", bytes, len);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    free(path);
    return fd;
}

/* Reads [start, end) of these bytes and tells it as "offset:line|...", "!" for
 * a line that is too long.  The whole range must have been passed over. */
static const char *told(const char *bytes, size_t len, int64_t start,
                        int64_t end, size_t max_line)
{
    static struct ms_buf out;
    int fd = open_bytes(bytes, len);
    struct ms_lines *lines = ms_lines_new(fd, start, end, max_line);
    struct ms_line line;
    bool found;

    ms_buf_clear(&out);
    CHECK_INT(ms_lines_offset(lines), ==, start);
    for (;;) {
        CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
        if (!found)
            break;
        ms_buf_addf(&out, "%lld:", (long long)line.offset);
        if (line.too_long)
            ms_buf_addc(&out, '!');
        else
            ms_buf_add(&out, line.bytes, line.len);
        ms_buf_addc(&out, '|');
    }
    CHECK_INT(ms_lines_offset(lines), ==, end);
    ms_lines_free(lines);
    close(fd);
    return ms_buf_str(&out);
}

static const char *told_all(const char *text, size_t max_line)
{
    return told(text, strlen(text), 0, (int64_t)strlen(text), max_line);
}

static TEST(test_empty_file_has_no_line)
{
    CHECK_STR(told_all("", 100), "");
}

static TEST(test_one_line)
{
    CHECK_STR(told_all("abc\n", 100), "0:abc|");
}

static TEST(test_last_line_may_lack_its_newline)
{
    CHECK_STR(told_all("abc\ndef", 100), "0:abc|4:def|");
    CHECK_STR(told_all("a", 100), "0:a|");
}

static TEST(test_crlf_is_a_line_end)
{
    CHECK_STR(told_all("abc\r\nde\r\n", 100), "0:abc|5:de|");
}

static TEST(test_cr_alone_is_no_line_end)
{
    CHECK_STR(told_all("a\rb\nc\r\r\nd\r", 100), "0:a\rb|4:c\r|8:d\r|");
}

static TEST(test_empty_lines_are_lines)
{
    CHECK_STR(told_all("\n\r\n\na\n\n", 100), "0:|1:|3:|4:a|6:|");
}

static TEST(test_byte_order_mark_is_passed_over)
{
    CHECK_STR(told_all("\xEF\xBB\xBF"
                       "abc\nd\n",
                       100),
              "3:abc|7:d|");
}

static TEST(test_file_of_a_byte_order_mark_has_no_line)
{
    CHECK_STR(told_all("\xEF\xBB\xBF", 100), "");
    CHECK_STR(told_all("\xEF\xBB", 100), "0:\xEF\xBB|");
}

/* Anywhere but at offset 0 these bytes are text. */
static TEST(test_byte_order_mark_elsewhere_is_text)
{
    CHECK_STR(told_all("a\n\xEF\xBB\xBF"
                       "b\n",
                       100),
              "0:a|2:\xEF\xBB\xBF"
              "b|");
    CHECK_STR(told("a\n\xEF\xBB\xBF\n", 6, 2, 6, 100), "2:\xEF\xBB\xBF|");
}

static TEST(test_range_ends_where_it_says)
{
    CHECK_STR(told("aa\nbb\ncc\ndd\n", 12, 3, 9, 100), "3:bb|6:cc|");
    CHECK_STR(told("aa\nbb\ncc\ndd\n", 12, 6, 6, 100), "");
}

static TEST(test_line_over_max_is_passed_over)
{
    CHECK_STR(told_all("ab\nabcdef\ncd\n", 5), "0:ab|3:!|10:cd|");
    CHECK_STR(told_all("abcdef", 5), "0:!|");
    CHECK_STR(told_all("abcdefg\r\nx", 5), "0:!|9:x|");
}

/* The limit is on the document: its line end does not count. */
static TEST(test_line_of_max_length_is_read)
{
    CHECK_STR(told_all("abcde\n", 5), "0:abcde|");
    CHECK_STR(told_all("abcde\r\n", 5), "0:abcde|");
    CHECK_STR(told_all("abcde", 5), "0:abcde|");
    CHECK_STR(told_all("abcdef\n", 5), "0:!|");
}

static TEST(test_line_longer_than_the_read_buffer)
{
    size_t len = 3 * 1024 * 1024 + 7, max = 4 * 1024 * 1024;
    char *text = ms_xmalloc(len + 3);
    int fd;
    struct ms_lines *lines;
    struct ms_line line;
    bool found;

    memset(text, 'x', len);
    memcpy(text + len, "\ny\n", 3);
    fd = open_bytes(text, len + 3);
    lines = ms_lines_new(fd, 0, (int64_t)len + 3, max);
    CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
    CHECK(found && line.len == len && memcmp(line.bytes, text, len) == 0);
    CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
    CHECK(found && line.len == 1 && line.bytes[0] == 'y');
    ms_lines_free(lines);

    /* And one too long for memory is passed over block by block. */
    lines = ms_lines_new(fd, 0, (int64_t)len + 3, 1000);
    CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
    CHECK(found && line.too_long && line.offset == 0);
    CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
    CHECK(found && line.len == 1 && line.offset == (int64_t)len + 1);
    ms_lines_free(lines);
    close(fd);
    free(text);
}

/* A source with no newline at all must not end up in memory. */
static TEST(test_memory_is_bounded_by_max_line)
{
    size_t len = 64 * 1024 * 1024;
    int fd = memfd_create("long", MFD_CLOEXEC);
    struct ms_lines *lines;
    struct ms_line line;
    size_t before;
    bool found;

    CHECK_INT(ftruncate(fd, (off_t)len), ==, 0);
    lines = ms_lines_new(fd, 0, (int64_t)len, 1000);
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
    CHECK(found && line.too_long);
    CHECK_INT(mallinfo2().uordblks + mallinfo2().hblkhd, <,
              before + 1024 * 1024);
    ms_lines_free(lines);
    close(fd);
}

/* Every length of line around the block's end: nothing may fall between. */
static TEST(test_line_ends_around_the_end_of_a_block)
{
    enum { BLOCK = 256 * 1024 };
    char *text = ms_xmalloc(2 * BLOCK);
    int delta;

    for (delta = -3; delta <= 3; delta++) {
        size_t first = (size_t)(BLOCK + delta), len = first + 6;
        struct ms_lines *lines;
        struct ms_line line;
        bool found;
        int fd;

        memset(text, 'x', first);
        memcpy(text + first, "\r\nab\r\n", 6);
        fd = open_bytes(text, len);
        lines = ms_lines_new(fd, 0, (int64_t)len, BLOCK * 2);
        CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
        CHECK_INT(line.len, ==, first);
        CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
        CHECK(line.len == 2 && memcmp(line.bytes, "ab", 2) == 0);
        CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
        CHECK(!found);
        ms_lines_free(lines);
        close(fd);
    }
    free(text);
}

static TEST(test_file_that_ends_early_is_stale)
{
    int fd = open_bytes("abc\nde", 6);
    struct ms_lines *lines = ms_lines_new(fd, 0, 10, 100);
    struct ms_error error = {""};
    struct ms_line line;
    bool found;

    CHECK_INT(ms_lines_next(lines, &line, &found, &error), ==, MS_OK);
    CHECK_INT(ms_lines_next(lines, &line, &found, &error), ==, MS_ESTALE);
    CHECK_CONTAINS(error.text, "byte 6");
    ms_lines_free(lines);
    close(fd);
}

static TEST(test_file_that_cannot_be_read_is_an_error)
{
    int fd = open("/", O_RDONLY | O_CLOEXEC);
    struct ms_lines *lines = ms_lines_new(fd, 0, 10, 100);
    struct ms_line line;
    bool found;

    CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_EIO);
    ms_lines_free(lines);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_empty_file_has_no_line),
        RUN(test_one_line),
        RUN(test_last_line_may_lack_its_newline),
        RUN(test_crlf_is_a_line_end),
        RUN(test_cr_alone_is_no_line_end),
        RUN(test_empty_lines_are_lines),
        RUN(test_byte_order_mark_is_passed_over),
        RUN(test_file_of_a_byte_order_mark_has_no_line),
        RUN(test_byte_order_mark_elsewhere_is_text),
        RUN(test_range_ends_where_it_says),
        RUN(test_line_over_max_is_passed_over),
        RUN(test_line_of_max_length_is_read),
        RUN(test_line_longer_than_the_read_buffer),
        RUN(test_memory_is_bounded_by_max_line),
        RUN(test_line_ends_around_the_end_of_a_block),
        RUN(test_file_that_ends_early_is_stale),
        RUN(test_file_that_cannot_be_read_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

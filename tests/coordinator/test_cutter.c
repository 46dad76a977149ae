#include "coordinator/cutter.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/doc.h"
#include "common/lines.h"
#include "tests/support/support.h"

static int open_bytes(const void *bytes, size_t len)
{
    char *path = ms_test_file("cut", bytes, len);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    free(path);
    return fd;
}

/* The ends of all chunks of these bytes as "4,9,". */
static const char *ends_of(const char *text, int64_t chunk_size)
{
    static struct ms_buf out;
    size_t len = strlen(text), n, i;
    int fd = open_bytes(text, len);
    int64_t ends[64];

    ms_buf_clear(&out);
    CHECK_INT(ms_cutter_cut(fd, (int64_t)len, chunk_size, 0, 64, ends, &n,
                            NULL),
              ==, MS_OK);
    for (i = 0; i < n; i++)
        ms_buf_addf(&out, "%lld,", (long long)ends[i]);
    close(fd);
    return ms_buf_str(&out);
}

static TEST(test_empty_file_has_no_chunk)
{
    CHECK_STR(ends_of("", 4), "");
}

static TEST(test_small_file_is_one_chunk)
{
    CHECK_STR(ends_of("ab\ncd\n", 100), "6,");
    CHECK_STR(ends_of("ab\ncd\n", 6), "6,");
    CHECK_STR(ends_of("ab", 100), "2,");
}

static TEST(test_chunks_end_at_the_next_line_start)
{
    /*                 0123 4567 89 */
    CHECK_STR(ends_of("aaa\nbbb\ncc\n", 5), "8,11,");
    CHECK_STR(ends_of("aaa\nbbb\ncc\n", 7), "8,11,");
}

/* A cut on the first byte of a line takes that line into the next chunk; one
 * on the newline itself leaves the line whole. */
static TEST(test_cut_exactly_on_a_newline)
{
    CHECK_STR(ends_of("aaa\nbbb\n", 4), "4,8,");
    CHECK_STR(ends_of("aaa\nbbb\n", 3), "4,8,");
}

static TEST(test_cut_inside_a_multi_byte_character)
{
    /* U+20AC is three bytes: the cut at 2 falls between them. */
    CHECK_STR(ends_of("a\xE2\x82\xAC\nb\n", 2), "5,7,");
    CHECK_STR(ends_of("a\xE2\x82\xAC\nb\n", 3), "5,7,");
}

static TEST(test_crlf_is_not_torn)
{
    CHECK_STR(ends_of("aa\r\nbb\r\n", 3), "4,8,");
}

/* One line over three nominal cuts makes one chunk, and no empty ones. */
static TEST(test_line_longer_than_a_chunk_makes_one_chunk)
{
    CHECK_STR(ends_of("aaaaaaaaaaaaaa\nb\nc\n", 4), "15,17,19,");
    CHECK_STR(ends_of("aaaaaaaaaaaaaa", 4), "14,");
}

static TEST(test_tiny_chunks_hold_a_line_each)
{
    CHECK_STR(ends_of("a\nb\n\nc", 1), "2,4,5,6,");
}

static TEST(test_huge_chunk_size_does_not_overflow)
{
    CHECK_STR(ends_of("a\nb\n", INT64_MAX), "4,");
}

static TEST(test_line_end_far_behind_the_cut_is_found)
{
    size_t len = 300000, n;
    char *text = ms_xmalloc(len);
    int64_t ends[4];
    int fd;

    memset(text, 'x', len);
    text[len - 2] = '\n';
    fd = open_bytes(text, len);
    CHECK_INT(ms_cutter_cut(fd, (int64_t)len, 10, 0, 4, ends, &n, NULL), ==,
              MS_OK);
    CHECK_INT(n, ==, 2);
    CHECK_INT(ends[0], ==, len - 1);
    close(fd);
    free(text);
}

static TEST(test_file_shorter_than_its_manifest_is_stale)
{
    int fd = open_bytes("aaaaaaaa", 8);
    struct ms_error error = {""};
    int64_t ends[4];
    size_t n;

    CHECK_INT(ms_cutter_cut(fd, 100, 10, 0, 4, ends, &n, &error), ==,
              MS_ESTALE);
    CHECK_CONTAINS(error.text, "the source changed");
    close(fd);
}

/* ---- whatever the file, whatever the chunks ---- */

struct totals {
    int64_t lines, docs, rejected, empty, bytes;
    struct ms_checksum sum;
};

static void add_range(int fd, int64_t start, int64_t end, struct totals *t)
{
    struct ms_lines *lines = ms_lines_new(fd, start, end, 5000);
    struct ms_doc_reader *reader = ms_doc_reader_new("id");
    struct ms_line line;
    struct ms_doc doc;
    bool found;

    for (;;) {
        enum ms_doc_kind kind = MS_DOC_REJECT;

        CHECK_INT(ms_lines_next(lines, &line, &found, NULL), ==, MS_OK);
        if (!found)
            break;
        if (!line.too_long)
            kind = ms_doc_read(reader, line.bytes, line.len, &doc);
        t->lines++;
        t->docs += kind == MS_DOC_OK;
        t->rejected += kind == MS_DOC_REJECT;
        t->empty += kind == MS_DOC_EMPTY;
        if (kind == MS_DOC_OK)
            ms_checksum_add(&t->sum, doc.hash);
    }
    CHECK_INT(ms_lines_offset(lines), ==, end);
    t->bytes += end - start;
    ms_doc_reader_free(reader);
    ms_lines_free(lines);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void add_random_line(struct ms_buf *out, uint64_t *rng)
{
    static const char *const ends[] = {"\n", "\r\n", "\n", "\n\n"};
    uint64_t filler = next_random(rng) % 4 == 0 ? 6000 : 60;

    switch (next_random(rng) % 8) {
    case 0:
        ms_buf_adds(out, "not json \xC3\xA4");
        break;
    case 1:
        break;
    default:
        ms_buf_addf(out, "{\"id\":%d,\"t\":\"", (int)next_random(rng) % 1000);
        for (filler = next_random(rng) % filler; filler > 0; filler--)
            ms_buf_adds(out, filler % 3 == 0 ? "\xE2\x82\xAC" : "x");
        ms_buf_adds(out, "\"}");
    }
    ms_buf_adds(out, ends[next_random(rng) % 4]);
}

static void make_random_file(struct ms_buf *out, uint64_t *rng)
{
    uint64_t n = next_random(rng) % 60;

    ms_buf_clear(out);
    if (next_random(rng) % 3 == 0)
        ms_buf_adds(out, "\xEF\xBB\xBF");
    while (n-- > 0)
        add_random_line(out, rng);
    if (out->len > 0 && next_random(rng) % 3 == 0)
        out->len--; /* no final newline, perhaps half a CRLF */
}

/* Chunks are asked for a few at a time, as the plan task does. */
static void add_chunks(int fd, int64_t size, int64_t chunk_size, size_t window,
                       struct totals *t)
{
    int64_t start = 0, ends[8];
    size_t n, i;

    while (start < size) {
        CHECK_INT(ms_cutter_cut(fd, size, chunk_size, start, window, ends, &n,
                                NULL),
                  ==, MS_OK);
        CHECK_INT(n, >, 0);
        for (i = 0; i < n; i++) {
            CHECK_INT(ends[i], >, start);
            add_range(fd, start, ends[i], t);
            start = ends[i];
        }
    }
    CHECK_INT(start, ==, size);
}

static TEST(test_chunks_together_are_the_file)
{
    static const int64_t sizes[] = {1, 2, 7, 64, 1000, 4096, 65536};
    uint64_t rng = ms_test_seed();
    struct ms_buf file = MS_BUF_INIT;
    int round;
    size_t i;

    for (round = 0; round < 40; round++) {
        struct totals whole = {0};
        int fd;

        make_random_file(&file, &rng);
        fd = open_bytes(file.data, file.len);
        add_range(fd, 0, (int64_t)file.len, &whole);
        CHECK_INT(whole.lines, ==, whole.docs + whole.rejected + whole.empty);
        for (i = 0; i < MS_COUNT_OF(sizes); i++) {
            struct totals parts = {0};

            add_chunks(fd, (int64_t)file.len, sizes[i],
                       1 + next_random(&rng) % 8, &parts);
            CHECK(memcmp(&parts, &whole, sizeof(whole)) == 0);
        }
        close(fd);
    }
    ms_buf_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_empty_file_has_no_chunk),
        RUN(test_small_file_is_one_chunk),
        RUN(test_chunks_end_at_the_next_line_start),
        RUN(test_cut_exactly_on_a_newline),
        RUN(test_cut_inside_a_multi_byte_character),
        RUN(test_crlf_is_not_torn),
        RUN(test_line_longer_than_a_chunk_makes_one_chunk),
        RUN(test_tiny_chunks_hold_a_line_each),
        RUN(test_huge_chunk_size_does_not_overflow),
        RUN(test_line_end_far_behind_the_cut_is_found),
        RUN(test_file_shorter_than_its_manifest_is_stale),
        RUN(test_chunks_together_are_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

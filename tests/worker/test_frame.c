/* Frames over a real socket pair: cut, joined, too long, broken off. */
#include "tests/support/support.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/frame.h"

/* Both ends in one process. */
struct pair {
    struct ms_frames a, b;
};

static void pair_open(struct pair *pair)
{
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    ms_frames_init(&pair->a, ends[0]);
    ms_frames_init(&pair->b, ends[1]);
}

static void pair_close(struct pair *pair)
{
    ms_frames_done(&pair->a);
    ms_frames_done(&pair->b);
}

static void put(struct ms_frames *frames, const void *body, size_t len)
{
    size_t at = ms_frame_open(&frames->out);

    ms_buf_add(&frames->out, body, len);
    ms_frame_close(&frames->out, at);
}

/* The next frame as a string, NULL: none whole. */
static const char *next(struct ms_frames *frames)
{
    static char text[64];
    const char *body;
    size_t len;

    if (ms_frames_next(frames, &body, &len, NULL) != MS_OK)
        return NULL;
    CHECK_INT(len, <, sizeof(text));
    memcpy(text, body, len);
    text[len] = '\0';
    return text;
}

static TEST(test_a_frame_arrives_as_it_was_sent)
{
    struct pair pair;

    pair_open(&pair);
    put(&pair.a, "hello", 5);
    CHECK_INT(ms_frames_flush(&pair.a), ==, MS_OK);
    CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_OK);
    CHECK_STR(next(&pair.b), "hello");
    CHECK(next(&pair.b) == NULL);
    CHECK(!ms_frames_is_partial(&pair.b));
    pair_close(&pair);
}

/* This is what makes a job cheap: one call for many of them. */
static TEST(test_many_frames_travel_in_one_read)
{
    struct pair pair;

    pair_open(&pair);
    put(&pair.a, "one", 3);
    put(&pair.a, "two", 3);
    put(&pair.a, "three", 5);
    CHECK_INT(ms_frames_flush(&pair.a), ==, MS_OK);
    CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_OK);
    CHECK_STR(next(&pair.b), "one");
    CHECK_STR(next(&pair.b), "two");
    CHECK_STR(next(&pair.b), "three");
    CHECK(next(&pair.b) == NULL);
    pair_close(&pair);
}

static TEST(test_a_frame_may_come_byte_by_byte)
{
    static const char wire[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    struct pair pair;

    pair_open(&pair);
    for (size_t i = 0; i < sizeof(wire); i++) {
        CHECK(next(&pair.b) == NULL);
        CHECK_INT(write(pair.a.fd, wire + i, 1), ==, 1);
        CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_OK);
        CHECK(i == sizeof(wire) - 1 || ms_frames_is_partial(&pair.b));
    }
    CHECK_STR(next(&pair.b), "abc");
    pair_close(&pair);
}

static TEST(test_an_empty_channel_is_busy_and_does_not_block)
{
    struct pair pair;

    pair_open(&pair);
    CHECK_INT(ms_frames_fill(&pair.b, false), ==, MS_EBUSY);
    CHECK(next(&pair.b) == NULL);
    pair_close(&pair);
}

/* Far more than a socket's buffer: both sides take turns. */
static TEST(test_a_megabyte_goes_through_in_parts)
{
    const size_t size = 3 << 20;
    char *big = ms_xmalloc(size);
    const char *body = NULL;
    size_t len = 0, flushes = 0;
    struct pair pair;

    for (size_t i = 0; i < size; i++)
        big[i] = (char)(i * 7);
    pair_open(&pair);
    put(&pair.a, big, size);
    put(&pair.a, "after", 5);
    while (ms_frames_next(&pair.b, &body, &len, NULL) == MS_EBUSY) {
        flushes += ms_frames_flush(&pair.a) == MS_EBUSY;
        CHECK_INT(ms_frames_fill(&pair.b, false), ==, MS_OK);
    }
    CHECK_INT(flushes, >, 0);
    CHECK_INT(len, ==, size);
    CHECK(memcmp(body, big, size) == 0);
    CHECK_INT(ms_frames_flush(&pair.a), ==, MS_OK);
    while (ms_frames_fill(&pair.b, false) == MS_OK)
        ;
    CHECK_STR(next(&pair.b), "after");
    free(big);
    pair_close(&pair);
}

/* A slot that once had a large payload must not keep that much for ever. */
static TEST(test_large_buffers_are_given_back)
{
    const size_t size = 1 << 20;
    char *big = ms_xcalloc(1, size);
    const char *body;
    size_t len;
    struct pair pair;

    pair_open(&pair);
    put(&pair.a, big, size);
    while (ms_frames_next(&pair.b, &body, &len, NULL) == MS_EBUSY) {
        ms_frames_flush(&pair.a);
        CHECK_INT(ms_frames_fill(&pair.b, false), ==, MS_OK);
    }
    CHECK_INT(pair.a.out.cap, ==, 0);
    CHECK_INT(ms_frames_fill(&pair.b, false), ==, MS_EBUSY);
    CHECK_INT(pair.b.in.cap, <=, 64 * 1024);
    free(big);
    pair_close(&pair);
}

static void check_refused(const char wire[4])
{
    struct pair pair;
    struct ms_error error;
    const char *body;
    size_t len;

    pair_open(&pair);
    CHECK_INT(write(pair.a.fd, wire, 4), ==, 4);
    CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_OK);
    CHECK_INT(ms_frames_next(&pair.b, &body, &len, &error), ==, MS_EPROTO);
    CHECK_CONTAINS(error.text, "bytes");
    pair_close(&pair);
}

/* A peer that lost its way must not make us allocate gigabytes. */
static TEST(test_an_impossible_length_is_refused)
{
    check_refused("\x7f\xff\xff\xff");
    check_refused("\x04\x00\x00\x01");
    check_refused("\0\0\0\0");
}

static TEST(test_the_end_of_the_peer_is_told_after_its_last_frame)
{
    struct pair pair;

    pair_open(&pair);
    put(&pair.a, "last", 4);
    CHECK_INT(ms_frames_flush(&pair.a), ==, MS_OK);
    ms_frames_done(&pair.a);
    CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_OK);
    CHECK_STR(next(&pair.b), "last");
    CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_EDOWN);
    CHECK(!ms_frames_is_partial(&pair.b));
    pair_close(&pair);
}

static TEST(test_an_end_inside_a_frame_shows)
{
    struct pair pair;

    pair_open(&pair);
    CHECK_INT(write(pair.a.fd, "\0\0\0\5ab", 6), ==, 6);
    ms_frames_done(&pair.a);
    CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_OK);
    CHECK(next(&pair.b) == NULL);
    CHECK_INT(ms_frames_fill(&pair.b, true), ==, MS_EDOWN);
    CHECK(ms_frames_is_partial(&pair.b));
    pair_close(&pair);
}

/* Writing to a child that has died must not kill the worker by SIGPIPE. */
static TEST(test_writing_to_a_gone_peer_is_an_error)
{
    struct pair pair;

    pair_open(&pair);
    ms_frames_done(&pair.b);
    put(&pair.a, "x", 1);
    CHECK_INT(ms_frames_flush(&pair.a), ==, MS_EDOWN);
    pair_close(&pair);
}

static TEST(test_the_backlog_is_what_waits_to_be_sent)
{
    struct pair pair;
    char *big = ms_xcalloc(1, 1 << 20);

    pair_open(&pair);
    CHECK_INT(ms_frames_backlog(&pair.a), ==, 0);
    put(&pair.a, big, 1 << 20);
    CHECK_INT(ms_frames_backlog(&pair.a), ==, (1 << 20) + 4);
    CHECK_INT(ms_frames_flush(&pair.a), ==, MS_EBUSY);
    CHECK_INT(ms_frames_backlog(&pair.a), >, 0);
    CHECK_INT(ms_frames_backlog(&pair.a), <, (1 << 20) + 4);
    free(big);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_frame_arrives_as_it_was_sent),
        RUN(test_many_frames_travel_in_one_read),
        RUN(test_a_frame_may_come_byte_by_byte),
        RUN(test_an_empty_channel_is_busy_and_does_not_block),
        RUN(test_a_megabyte_goes_through_in_parts),
        RUN(test_large_buffers_are_given_back),
        RUN(test_an_impossible_length_is_refused),
        RUN(test_the_end_of_the_peer_is_told_after_its_last_frame),
        RUN(test_an_end_inside_a_frame_shows),
        RUN(test_writing_to_a_gone_peer_is_an_error),
        RUN(test_the_backlog_is_what_waits_to_be_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

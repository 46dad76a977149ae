/* What is written is read back as it was; anything else is an error. */
#include "tests/support/support.h"

#include <msgpack.h>
#include <stdlib.h>

#include "worker/frame.h"
#include "worker/message.h"

/* The frame's body, without its length. */
#define BODY(buf) (buf).data + 4, (buf).len - 4

static struct ms_message *read_back(struct ms_reader *reader,
                                    const struct ms_buf *wire)
{
    struct ms_message *message = NULL;
    struct ms_error error = {""};

    ms_message_read(reader, wire->data + 4, wire->len - 4, &message, &error);
    CHECK_STR(error.text, "");
    CHECK(message != NULL);
    CHECK_INT(ms_message_peek(BODY(*wire)), ==, message->type);
    return message;
}

static TEST(test_hello_carries_what_a_child_needs_to_begin)
{
    const struct ms_hello hello = {"1+ab", "POD", NULL, "unix:///s", "main"};
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_message *message;
    struct ms_reader reader;

    ms_reader_init(&reader);
    ms_message_put_hello(&wire, &hello);
    message = read_back(&reader, &wire);
    CHECK_INT(message->type, ==, MS_MSG_HELLO);
    CHECK_STR(message->hello.build, "1+ab");
    CHECK_STR(message->hello.pod, "POD");
    CHECK(message->hello.conf_path == NULL);
    CHECK_STR(message->hello.redis_url, "unix:///s");
    CHECK_STR(message->hello.fleet, "main");
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static struct ms_held job_with_everything(void)
{
    return (struct ms_held){.id = (char *)"J.7",
                            .kind = (char *)"dump.chunk",
                            .queue = (char *)"dump",
                            .payload = {(char *)"\x81\xa1\0\x01", 4},
                            .json = true,
                            .attempt = 3,
                            .fence = INT64_MAX,
                            .timeout_ms = 600000,
                            .cursor = {(char *)"\xc0", 1},
                            .seq = 41,
                            .sums = {{"docs", 1000}, {"checksum", INT64_MIN}},
                            .n_sums = 2,
                            .parent = (char *)"J",
                            .chunk = 7};
}

static TEST(test_a_job_comes_over_whole)
{
    struct ms_held held = job_with_everything();
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_reader reader;
    const struct ms_held *job;

    ms_reader_init(&reader);
    ms_message_put_job(&wire, 99, &held);
    job = &read_back(&reader, &wire)->job;
    CHECK_INT(reader.message.number, ==, 99);
    CHECK_STR(job->id, "J.7");
    CHECK_STR(job->kind, "dump.chunk");
    CHECK_STR(job->queue, "dump");
    CHECK_INT(job->payload.len, ==, 4);
    CHECK(memcmp(job->payload.data, held.payload.data, 4) == 0);
    CHECK(job->json);
    CHECK_INT(job->attempt, ==, 3);
    CHECK_INT(job->fence, ==, INT64_MAX);
    CHECK_INT(job->timeout_ms, ==, 600000);
    CHECK_INT(job->cursor.len, ==, 1);
    CHECK_INT(job->seq, ==, 41);
    CHECK_INT(job->n_sums, ==, 2);
    CHECK_STR(job->sums[1].name, "checksum");
    CHECK_INT(job->sums[1].value, ==, INT64_MIN);
    CHECK_STR(job->parent, "J");
    CHECK_INT(job->chunk, ==, 7);
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static TEST(test_a_plain_job_has_no_cursor_and_no_parent)
{
    struct ms_held held = {.id = (char[]){"a"},
                           .kind = (char[]){"noop.echo"},
                           .queue = (char[]){"q"},
                           .chunk = -1};
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_reader reader;
    const struct ms_held *job;

    ms_reader_init(&reader);
    ms_message_put_job(&wire, 1, &held);
    job = &read_back(&reader, &wire)->job;
    CHECK(job->payload.data == NULL);
    CHECK(job->cursor.data == NULL);
    CHECK(job->parent == NULL);
    CHECK_INT(job->chunk, ==, -1);
    CHECK_INT(job->n_sums, ==, 0);
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static TEST(test_orders_name_the_job_that_they_mean)
{
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_message *message;
    struct ms_reader reader;

    ms_reader_init(&reader);
    ms_message_put_stop(&wire, 12, MS_STOP_LOST);
    message = read_back(&reader, &wire);
    CHECK_INT(message->type, ==, MS_MSG_STOP);
    CHECK_INT(message->number, ==, 12);
    CHECK_INT(message->stop, ==, MS_STOP_LOST);
    ms_buf_clear(&wire);
    ms_message_put_committed(&wire, 13, 77);
    message = read_back(&reader, &wire);
    CHECK_INT(message->type, ==, MS_MSG_COMMITTED);
    CHECK_INT(message->number, ==, 13);
    CHECK_INT(message->seq, ==, 77);
    ms_buf_clear(&wire);
    ms_message_put_clock(&wire, 14, true);
    message = read_back(&reader, &wire);
    CHECK_INT(message->type, ==, MS_MSG_CLOCK);
    CHECK_INT(message->number, ==, 14);
    CHECK(message->stopped);
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static TEST(test_ready_and_refused_carry_a_text)
{
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_message *message;
    struct ms_reader reader;

    ms_reader_init(&reader);
    ms_message_put_ready(&wire, "0.1.0+ff");
    message = read_back(&reader, &wire);
    CHECK_INT(message->type, ==, MS_MSG_READY);
    CHECK_STR(message->text, "0.1.0+ff");
    ms_buf_clear(&wire);
    ms_message_put_refused(&wire, "f:1: no");
    message = read_back(&reader, &wire);
    CHECK_INT(message->type, ==, MS_MSG_REFUSED);
    CHECK_STR(message->text, "f:1: no");
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static TEST(test_a_checkpoint_comes_over_whole_and_is_the_reader_s_caller_s)
{
    struct ms_reject rejects[] = {{17, "no id"}, {99, "not UTF-8"}};
    const struct ms_checkpoint sent = {.seq = 5,
                                       .cursor = {(char[]){"\x91\x05"}, 2},
                                       .progress = 0.25,
                                       .sums = {{"docs", 200}},
                                       .n_sums = 1,
                                       .rejects = rejects,
                                       .n_rejects = 2};
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_checkpoint *got;
    struct ms_reader reader;

    ms_reader_init(&reader);
    ms_message_put_checkpoint(&wire, 3, &sent);
    got = &read_back(&reader, &wire)->checkpoint;
    CHECK_INT(got->seq, ==, 5);
    CHECK_INT(got->cursor.len, ==, 2);
    CHECK(got->progress == 0.25);
    CHECK_INT(got->sums[0].value, ==, 200);
    CHECK_INT(got->n_rejects, ==, 2);
    CHECK_INT(got->rejects[1].offset, ==, 99);
    CHECK_STR(got->rejects[1].reason, "not UTF-8");
    ms_checkpoint_done(got);
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static TEST(test_an_end_carries_outcome_result_and_error)
{
    const struct ms_ending sent = {.outcome = MS_THROTTLED,
                                   .result = {(char[]){"\x01"}, 1},
                                   .error = "slow down",
                                   .delay_ms = 30000};
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_message *got;
    struct ms_reader reader;

    ms_reader_init(&reader);
    ms_message_put_end(&wire, 8, &sent, 1234);
    got = read_back(&reader, &wire);
    CHECK_INT(got->number, ==, 8);
    CHECK_INT(got->end.ending.outcome, ==, MS_THROTTLED);
    CHECK_INT(got->end.ending.result.len, ==, 1);
    CHECK_STR(got->end.ending.error, "slow down");
    CHECK_INT(got->end.ending.delay_ms, ==, 30000);
    CHECK_INT(got->end.run_us, ==, 1234);
    free(got->end.ending.result.data);
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

/* The fixed limits of the structs hold against any sender. */
static TEST(test_texts_that_are_too_long_are_cut)
{
    struct ms_reject reject = {1, ""};
    struct ms_checkpoint sent = {.seq = 1, .rejects = &reject, .n_rejects = 1};
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_checkpoint *got;
    struct ms_reader reader;

    memset(reject.reason, 'x', sizeof(reject.reason) - 1);
    ms_reader_init(&reader);
    ms_message_put_checkpoint(&wire, 1, &sent);
    got = &read_back(&reader, &wire)->checkpoint;
    CHECK_INT(strlen(got->rejects[0].reason), ==, sizeof(reject.reason) - 1);
    ms_checkpoint_done(got);
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static void check_broken(struct ms_reader *reader, const char *body, size_t len)
{
    struct ms_message *message = NULL;
    struct ms_error error = {""};

    CHECK_INT(ms_message_read(reader, body, len, &message, &error), ==,
              MS_EPROTO);
    CHECK(message == NULL);
    CHECK_CONTAINS(error.text, "frame");
}

#define BROKEN(reader, text) check_broken(reader, text, sizeof(text) - 1)

static TEST(test_what_is_no_message_is_an_error)
{
    struct ms_reader reader;

    ms_reader_init(&reader);
    BROKEN(&reader, "\x90");                 /* nothing in it */
    BROKEN(&reader, "\xc0");                 /* no array */
    BROKEN(&reader, "hello");                /* no msgpack of ours */
    BROKEN(&reader, "\x91\x2a");             /* no such type */
    BROKEN(&reader, "\x91\x01");             /* READY without a build */
    BROKEN(&reader, "\x92\x01\xc0");         /* READY of nil */
    BROKEN(&reader, "\x93\x04\x01\x09");     /* STOP for no known reason */
    BROKEN(&reader, "\x93\x04\x00\x01");     /* a job 0 */
    BROKEN(&reader, "\x94\x04\x01\x01\x01"); /* one item too many */
    BROKEN(&reader, "\x93\x04\x01\x01\x01"); /* bytes behind the message */
    BROKEN(&reader, "\x93\x04\x01");         /* cut off */
    BROKEN(&reader, "\x97\x07\x01\x09\xc0\xc4\0\0\0"); /* outcome 9 */
    ms_reader_done(&reader);
}

/* An array that claims four billion items in nine bytes. */
static TEST(test_a_lie_about_a_length_is_an_error)
{
    struct ms_reader reader;

    ms_reader_init(&reader);
    BROKEN(&reader, "\x97\x06\x01\x01\xc0\xcb\0\0\0\0\0\0\0\0"
                    "\xdd\xff\xff\xff\xff");
    BROKEN(&reader, "\x92\x01\xc6\xff\xff\xff\xff");
    ms_reader_done(&reader);
}

/* Every cut of a true message is an error, and none is read out of bounds
 * (the sanitizers look). */
static TEST(test_a_message_cut_anywhere_is_an_error)
{
    struct ms_held held = job_with_everything();
    struct ms_buf wire = MS_BUF_INIT;
    struct ms_message *message;
    struct ms_reader reader;

    ms_reader_init(&reader);
    ms_message_put_job(&wire, 1, &held);
    for (size_t len = 0; len < wire.len - 4; len++) {
        char *exact = ms_xmalloc(len);

        memcpy(exact, wire.data + 4, len);
        CHECK_INT(ms_message_read(&reader, exact, len, &message, NULL), ==,
                  MS_EPROTO);
        free(exact);
    }
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void drop(struct ms_message *message)
{
    if (message->type == MS_MSG_CHECKPOINT)
        ms_checkpoint_done(&message->checkpoint);
    if (message->type == MS_MSG_END)
        free(message->end.ending.result.data);
}

/* A child that scribbles over its own buffers must not harm the worker. */
static TEST(test_flipped_bits_do_no_harm)
{
    struct ms_reject reject = {17, "no id"};
    const struct ms_checkpoint sent = {.seq = 5,
                                       .cursor = {(char[]){"abc"}, 3},
                                       .sums = {{"docs", 200}},
                                       .n_sums = 1,
                                       .rejects = &reject,
                                       .n_rejects = 1};
    struct ms_buf wire = MS_BUF_INIT;
    uint64_t seed = ms_test_seed();
    struct ms_message *message;
    struct ms_reader reader;

    ms_reader_init(&reader);
    ms_message_put_checkpoint(&wire, 3, &sent);
    for (int i = 0; i < 20000; i++) {
        char *copy = ms_xmalloc(wire.len);

        memcpy(copy, wire.data, wire.len);
        for (int k = 0; k < 1 + i % 3; k++)
            copy[4 + next_random(&seed) % (wire.len - 4)] ^=
                (char)(1u << next_random(&seed) % 8);
        if (ms_message_read(&reader, copy + 4, wire.len - 4, &message, NULL) ==
            MS_OK)
            drop(message);
        free(copy);
    }
    ms_reader_done(&reader);
    ms_buf_done(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_hello_carries_what_a_child_needs_to_begin),
        RUN(test_a_job_comes_over_whole),
        RUN(test_a_plain_job_has_no_cursor_and_no_parent),
        RUN(test_orders_name_the_job_that_they_mean),
        RUN(test_ready_and_refused_carry_a_text),
        RUN(test_a_checkpoint_comes_over_whole_and_is_the_reader_s_caller_s),
        RUN(test_an_end_carries_outcome_result_and_error),
        RUN(test_texts_that_are_too_long_are_cut),
        RUN(test_what_is_no_message_is_an_error),
        RUN(test_a_lie_about_a_length_is_an_error),
        RUN(test_a_message_cut_anywhere_is_an_error),
        RUN(test_flipped_bits_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

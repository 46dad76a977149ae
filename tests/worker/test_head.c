/* What a running job's time brings, with a clock of the test's own. */
#include "tests/support/support.h"

#include "worker/head.h"
#include "worker/pace.h"

#define SECOND 1000000LL

static const struct ms_head_slot alone = {.grace_us = 5 * SECOND};
static const struct ms_head_slot crowded = {.others_wait = true,
                                            .grace_us = 5 * SECOND};

/* Begun at 100 s, with a time-out of 60 s. */
static struct ms_head begun(void)
{
    const struct ms_held held = {.timeout_ms = 60000, .seq = 7};
    struct ms_head head = {.stop = MS_STOP_NONE};

    ms_head_begin(&head, &held, 100 * SECOND);
    return head;
}

static TEST(test_nothing_is_due_before_the_job_began)
{
    const struct ms_head head = {.stop = MS_STOP_NONE};

    CHECK_INT(ms_head_due_us(&head, &crowded), ==, MS_HEAD_NEVER);
}

static TEST(test_a_job_times_out_at_its_time)
{
    struct ms_head head = begun();

    CHECK_INT(ms_head_due_us(&head, &alone), ==, 160 * SECOND);
    CHECK_INT(ms_head_next(&head, &alone, 160 * SECOND - 1), ==, MS_HEAD_WAIT);
    CHECK(!head.timed_out);
    CHECK_INT(ms_head_next(&head, &alone, 160 * SECOND), ==, MS_HEAD_TIME_OUT);
    CHECK(head.timed_out);
}

static TEST(test_no_time_out_never_ends)
{
    const struct ms_held held = {.timeout_ms = 0};
    struct ms_head head = {.stop = MS_STOP_NONE};

    ms_head_begin(&head, &held, 100 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, MS_HEAD_NEVER);
}

static TEST(test_a_cursor_that_moves_puts_off_the_time_out)
{
    struct ms_head head = begun();

    ms_head_move(&head, 8, 150 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 210 * SECOND);
}

/* Telling the same cursor again is no progress, nor is an older one. */
static TEST(test_a_cursor_that_stands_does_not)
{
    struct ms_head head = begun();

    ms_head_move(&head, 7, 150 * SECOND);
    ms_head_move(&head, 3, 151 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 160 * SECOND);
}

/* A child that waits for us to read must not be punished for it. */
static TEST(test_time_stands_still_while_we_do_not_read)
{
    const struct ms_head_slot paused = {.is_paused = true,
                                        .grace_us = 5 * SECOND};
    struct ms_head head = begun();

    CHECK_INT(ms_head_due_us(&head, &paused), ==, MS_HEAD_NEVER);
    CHECK_INT(ms_head_next(&head, &paused, 999 * SECOND), ==, MS_HEAD_WAIT);
}

static TEST(test_a_long_job_steps_aside_for_others_once)
{
    struct ms_head head = begun();
    int64_t due_us = 100 * SECOND + MS_PACE_LONG_US;

    CHECK_INT(ms_head_due_us(&head, &crowded), ==, due_us);
    CHECK_INT(ms_head_next(&head, &crowded, due_us), ==, MS_HEAD_STEP_ASIDE);
    CHECK(head.is_long);
    CHECK_INT(ms_head_due_us(&head, &crowded), ==, 160 * SECOND);
}

static TEST(test_stop_then_term_then_kill)
{
    struct ms_head head = begun();

    ms_head_tell(&head, 110 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 115 * SECOND);
    CHECK_INT(ms_head_next(&head, &alone, 114 * SECOND), ==, MS_HEAD_WAIT);
    CHECK_INT(ms_head_next(&head, &alone, 115 * SECOND), ==, MS_HEAD_SEND_TERM);
    CHECK_INT(ms_head_next(&head, &alone, 119 * SECOND), ==, MS_HEAD_WAIT);
    CHECK_INT(ms_head_next(&head, &alone, 120 * SECOND), ==, MS_HEAD_SEND_KILL);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, MS_HEAD_NEVER);
    CHECK_INT(ms_head_next(&head, &alone, 999 * SECOND), ==, MS_HEAD_WAIT);
}

/* A cancel, then a drain: the job does not live longer for it. */
static TEST(test_a_second_reason_does_not_put_off_term)
{
    struct ms_head head = begun();

    ms_head_tell(&head, 110 * SECOND);
    ms_head_tell(&head, 114 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 115 * SECOND);
}

/* The slot kills its program at 5 s and still has to say so. */
static TEST(test_a_slot_with_a_program_is_given_a_moment_more)
{
    const struct ms_head_slot with = {.has_program = true,
                                      .grace_us = 5 * SECOND};
    struct ms_head head = begun();

    ms_head_tell(&head, 110 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &with), >, 115 * SECOND);
}

/* Once told to stop, no time-out may turn a cancel into a failure. */
static TEST(test_a_stopped_job_does_not_time_out)
{
    struct ms_head head = begun();

    ms_head_tell(&head, 159 * SECOND);
    CHECK_INT(ms_head_next(&head, &alone, 161 * SECOND), ==, MS_HEAD_WAIT);
    CHECK(!head.timed_out);
}

/* Waiting for a token of a rate limit is not the job's fault. */
static TEST(test_a_stopped_clock_puts_the_time_out_off)
{
    struct ms_head head = begun();

    ms_head_clock(&head, true, 110 * SECOND);
    ms_head_clock(&head, true, 120 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, MS_HEAD_NEVER);
    CHECK_INT(ms_head_next(&head, &alone, 900 * SECOND), ==, MS_HEAD_WAIT);
    ms_head_clock(&head, false, 910 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 960 * SECOND);
    ms_head_clock(&head, false, 950 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 960 * SECOND);
}

static TEST(test_a_stopped_clock_never_makes_more_of_a_move)
{
    struct ms_head head = begun();

    ms_head_clock(&head, true, 110 * SECOND);
    ms_head_move(&head, 8, 119 * SECOND);
    ms_head_clock(&head, false, 120 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 180 * SECOND);
}

/* A cancel does not wait for tokens. */
static TEST(test_a_stopped_clock_does_not_put_off_term)
{
    struct ms_head head = begun();

    ms_head_clock(&head, true, 110 * SECOND);
    ms_head_tell(&head, 120 * SECOND);
    CHECK_INT(ms_head_due_us(&head, &alone), ==, 125 * SECOND);
    CHECK_INT(ms_head_next(&head, &alone, 125 * SECOND), ==, MS_HEAD_SEND_TERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_nothing_is_due_before_the_job_began),
        RUN(test_a_job_times_out_at_its_time),
        RUN(test_no_time_out_never_ends),
        RUN(test_a_cursor_that_moves_puts_off_the_time_out),
        RUN(test_a_cursor_that_stands_does_not),
        RUN(test_time_stands_still_while_we_do_not_read),
        RUN(test_a_long_job_steps_aside_for_others_once),
        RUN(test_stop_then_term_then_kill),
        RUN(test_a_second_reason_does_not_put_off_term),
        RUN(test_a_slot_with_a_program_is_given_a_moment_more),
        RUN(test_a_stopped_job_does_not_time_out),
        RUN(test_a_stopped_clock_puts_the_time_out_off),
        RUN(test_a_stopped_clock_never_makes_more_of_a_move),
        RUN(test_a_stopped_clock_does_not_put_off_term),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

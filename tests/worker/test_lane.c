/* The shared page: a job is begun or taken back, never both. */
#include "tests/support/support.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/lane.h"

static TEST(test_a_posted_job_can_be_begun_once)
{
    struct ms_lane lane;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    ms_lane_post(&lane, 1);
    CHECK(!ms_lane_has_begun(&lane, 1));
    CHECK(ms_lane_begin(&lane, 1));
    CHECK(ms_lane_has_begun(&lane, 1));
    CHECK(!ms_lane_begin(&lane, 1));
    ms_lane_done(&lane);
}

static TEST(test_a_begun_job_cannot_be_taken_back)
{
    struct ms_lane lane;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    ms_lane_post(&lane, 1);
    CHECK(ms_lane_begin(&lane, 1));
    CHECK(!ms_lane_revoke(&lane, 1));
    ms_lane_done(&lane);
}

static TEST(test_a_job_taken_back_cannot_be_begun)
{
    struct ms_lane lane;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    ms_lane_post(&lane, 1);
    ms_lane_post(&lane, 2);
    CHECK(ms_lane_revoke(&lane, 1));
    CHECK(!ms_lane_begin(&lane, 1));
    CHECK(!ms_lane_has_begun(&lane, 1));
    CHECK(ms_lane_begin(&lane, 2));
    ms_lane_done(&lane);
}

/* Frames of revoked jobs may lie in the child's queue for long: the cell is
 * somebody else's by then. */
static TEST(test_a_cell_in_other_hands_is_not_begun)
{
    struct ms_lane lane;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    ms_lane_post(&lane, 5);
    CHECK(ms_lane_revoke(&lane, 5));
    ms_lane_post(&lane, 5 + MS_LANE_CELLS);
    CHECK(!ms_lane_begin(&lane, 5));
    CHECK(!ms_lane_has_begun(&lane, 5));
    CHECK(ms_lane_begin(&lane, 5 + MS_LANE_CELLS));
    CHECK(!ms_lane_has_begun(&lane, 5));
    ms_lane_done(&lane);
}

/* A child of fork() shares the page as a slot does. */
static TEST(test_what_a_child_begins_its_parent_sees)
{
    struct ms_lane lane;
    pid_t pid;
    int status;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    ms_lane_post(&lane, 1);
    pid = fork();
    if (pid == 0) {
        struct ms_lane mine;
        bool ok = ms_lane_map(lane.fd, &mine, NULL) == MS_OK &&
                  ms_lane_begin(&mine, 1);

        ms_lane_set_program(&mine, 4711);
        _exit(ok ? 0 : 1);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    CHECK(ms_lane_has_begun(&lane, 1));
    CHECK_INT(ms_lane_program(&lane), ==, 4711);
    ms_lane_done(&lane);
}

enum { RACES = 20000 };

/* Begins what it can in order, as a slot would. */
static void race_as_child(struct ms_lane *lane, struct ms_lane *result)
{
    for (uint64_t n = 1; n <= RACES; n++) {
        /* Wait until it was posted; a revoked one is posted, too. */
        while (ms_lane_program(lane) < (pid_t)n)
            sched_yield();
        if (ms_lane_begin(lane, n))
            ms_lane_set_program(result, ms_lane_program(result) + 1);
    }
    _exit(0);
}

/* Parent and child go for the same job at once: exactly one must get it. */
static TEST(test_a_race_has_one_winner_each_time)
{
    struct ms_lane lane, result;
    int revoked = 0, status;
    pid_t pid;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    CHECK_INT(ms_lane_new(&result, NULL), ==, MS_OK);
    ms_lane_set_program(&lane, 0);
    pid = fork();
    if (pid == 0)
        race_as_child(&lane, &result);
    for (uint64_t n = 1; n <= RACES; n++) {
        ms_lane_post(&lane, n);
        ms_lane_set_program(&lane, (pid_t)n); /* "posted up to here" */
        if (n % 3 == 0)
            sched_yield();
        if (ms_lane_revoke(&lane, n))
            revoked++;
        else
            CHECK(ms_lane_has_begun(&lane, n));
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(revoked + ms_lane_program(&result), ==, RACES);
    ms_lane_done(&lane);
    ms_lane_done(&result);
}

/* What stands in the page comes from a child that may have gone wild: 1 and
 * -1 would mean everybody, 0 ourselves. */
static TEST(test_a_wild_program_number_kills_nobody)
{
    static const pid_t wild[] = {0, 1, -1, -4711};
    struct ms_lane lane;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    for (size_t i = 0; i < MS_COUNT_OF(wild); i++) {
        ms_lane_set_program(&lane, wild[i]);
        ms_lane_kill_program(&lane, SIGKILL);
    }
    ms_lane_done(&lane);
    ms_lane_kill_program(&lane, SIGKILL);
}

static TEST(test_the_program_s_whole_group_is_killed)
{
    struct ms_lane lane;
    pid_t pid;
    int status;

    CHECK_INT(ms_lane_new(&lane, NULL), ==, MS_OK);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        for (;;)
            pause();
    }
    setpgid(pid, pid);
    ms_lane_set_program(&lane, pid);
    ms_lane_kill_program(&lane, SIGKILL);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFSIGNALED(status));
    ms_lane_done(&lane);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_posted_job_can_be_begun_once),
        RUN(test_a_begun_job_cannot_be_taken_back),
        RUN(test_a_job_taken_back_cannot_be_begun),
        RUN(test_a_cell_in_other_hands_is_not_begun),
        RUN(test_what_a_child_begins_its_parent_sees),
        RUN(test_a_race_has_one_winner_each_time),
        RUN(test_a_wild_program_number_kills_nobody),
        RUN(test_the_program_s_whole_group_is_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/support/core.h"

static int64_t lent(struct ms_core *core)
{
    ENQUEUE(core, .id = "a");
    return ms_core_claim_one(core, "p1", "a");
}

static TEST(test_a_release_gives_the_attempt_back)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    CHECK_INT(ms_core_release(core, "p1", "a", fence, 0), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 0);
    CHECK_INT(ms_core_stat(core, "released"), ==, 1);
    CHECK_INT(ms_core_info(core).running, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
    CHECK_INT(ms_core_claim_one(core, "p2", "a"), >, fence);
    CHECK_INT(core->jobs[0].attempt, ==, 1);
}

static TEST(test_released_jobs_go_ahead_of_the_others_in_their_order)
{
    struct ms_core *core = *state;
    static const char *const want[] = {"j0", "j1", "j2", "j3"};
    struct ms_tenant who = {"m", "q", "p1"};
    struct ms_release jobs[2];
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_core_enqueue_many(core, "j", NULL, 4);
    ms_core_claim(core, "p1", 2);
    for (int i = 0; i < 2; i++)
        jobs[i] =
            (struct ms_release){want[i], core->jobs[i].fence, 0, "", NO_MOVE};
    ms_release_build(&cmd, &who, jobs, 2);
    CHECK(ms_reply_is(ms_reply_at(ms_test_run(core->redis, &cmd), 0), "ok"));
    CHECK_INT(ms_core_claim(core, "p2", 4), ==, 4);
    for (int i = 0; i < 4; i++)
        CHECK_STR(core->jobs[i].id, want[i]);
}

static TEST(test_a_release_with_a_delay_is_scheduled)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);
    int64_t now = ms_core_now(core);
    struct ms_release release = {"a", fence, 30000, "the file is not here",
                                 NO_MOVE};

    CHECK_INT(ms_core_release_with(core, "p1", &release), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_INT(ms_core_number(core, "a", "due_ms"), >=, now + 30000);
    CHECK_INT(ms_test_num(core->redis, "ZSCORE %s a", K("scheduled")), ==,
              ms_core_number(core, "a", "due_ms"));
    CHECK_STR(ms_core_field(core, "a", "error"), "the file is not here");
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
}

static TEST(test_a_release_keeps_the_cursor)
{
    struct ms_core *core = *state;
    struct ms_release release = {"a", lent(core), 0, "", NO_MOVE};

    release.move = (struct ms_lease_move){.seq = 4,
                                          .cursor = "here",
                                          .cursor_len = 4,
                                          .progress = -1};
    ms_core_release_with(core, "p1", &release);
    CHECK_STR(ms_core_field(core, "a", "cursor"), "here");
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
}

static TEST(test_a_repeated_release_changes_nothing)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_release(core, "p1", "a", fence, 0);
    CHECK_INT(ms_core_release(core, "p1", "a", fence, 0), ==, MS_FINISH_OK);
    CHECK_INT(ms_core_release(core, "p1", "a", fence, 9000), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_core_stat(core, "released"), ==, 1);
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
}

static TEST(test_an_old_fence_or_another_pod_releases_nothing)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    CHECK_INT(ms_core_release(core, "p1", "a", fence - 1, 0), ==,
              MS_FINISH_STALE);
    CHECK_INT(ms_core_release(core, "p2", "a", fence, 0), ==, MS_FINISH_STALE);
    CHECK_INT(ms_core_release(core, "p1", "nowhere", fence, 0), ==,
              MS_FINISH_GONE);
    CHECK_STR(ms_core_state(core, "a"), "running");
    CHECK_INT(ms_core_stat(core, "stale"), ==, 2);
    CHECK_INT(ms_core_stat(core, "released"), ==, 0);
}

/* The pod was slow to stop: its cursor must not be lost with the lease. */
static TEST(test_a_release_counts_after_the_lease_was_taken_back)
{
    struct ms_core *core = *state;
    struct ms_release release = {"a", lent(core), 30000, "", NO_MOVE};

    release.move = (struct ms_lease_move){.seq = 4,
                                          .cursor = "here",
                                          .cursor_len = 4,
                                          .progress = -1};
    ms_core_end_lease(core, "a", 1);
    ms_core_reap(core, NULL);
    CHECK_INT(ms_core_release_with(core, "p1", &release), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "scheduled");
    CHECK_STR(ms_core_field(core, "a", "cursor"), "here");
    CHECK_INT(ms_core_number(core, "a", "attempts"), ==, 0);
    CHECK_INT(ms_core_number(core, "a", "crashes"), ==, 0);
    CHECK_INT(ms_core_claim(core, "p2", 1), ==, 0);
}

static TEST(test_a_cancelled_job_is_dead_when_it_is_released)
{
    struct ms_core *core = *state;
    int64_t fence = lent(core);

    ms_core_cancel(core, "a");
    CHECK_INT(ms_core_release(core, "p1", "a", fence, 0), ==, MS_FINISH_OK);
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(ms_core_field(core, "a", "error"), "cancelled by user");
    CHECK_INT(ms_core_stat(core, "cancelled"), ==, 1);
    CHECK_INT(ms_core_release(core, "p1", "a", fence, 0), ==, MS_FINISH_OK);
}

static TEST(test_a_chunk_keeps_its_place_in_the_tally)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    ms_core_spawn(core, "p", 0, 2);
    ms_core_claim(core, "p1", 2);
    CHECK_INT(ms_core_tally(core, "p").running, ==, 2);
    ms_core_release(core, "p1", "p.0", core->jobs[0].fence, 0);
    ms_core_release(core, "p1", "p.1", core->jobs[1].fence, 5000);
    CHECK_INT(ms_core_tally(core, "p").running, ==, 0);
    CHECK_INT(ms_core_tally(core, "p").ready, ==, 2);
}

/* Only a reason makes the leader look at the source: a drain has none. */
static TEST(test_a_chunk_that_comes_back_with_a_reason_casts_a_doubt)
{
    struct ms_core *core = *state;
    struct ms_release release = {"P.0", 0, 0, "", NO_MOVE};
    static const char doubted[] = "HEXISTS " K("tally:P") " doubted_ms";

    ENQUEUE(core, .id = "P", .parent = true);
    ms_core_spawn(core, "P", 0, 1);
    release.fence = ms_core_claim_one(core, "p1", "P.0");
    ms_core_release_with(core, "p1", &release);
    CHECK_INT(ms_test_num(core->redis, doubted), ==, 0);
    release.fence = ms_core_claim_one(core, "p1", "P.0");
    release.why = "the source changed";
    ms_core_release_with(core, "p1", &release);
    CHECK_INT(ms_test_num(core->redis, doubted), ==, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_release_gives_the_attempt_back),
        CORE(test_released_jobs_go_ahead_of_the_others_in_their_order),
        CORE(test_a_release_with_a_delay_is_scheduled),
        CORE(test_a_release_keeps_the_cursor),
        CORE(test_a_repeated_release_changes_nothing),
        CORE(test_an_old_fence_or_another_pod_releases_nothing),
        CORE(test_a_release_counts_after_the_lease_was_taken_back),
        CORE(test_a_cancelled_job_is_dead_when_it_is_released),
        CORE(test_a_chunk_keeps_its_place_in_the_tally),
        CORE(test_a_chunk_that_comes_back_with_a_reason_casts_a_doubt),
    };

    return RUN_CORE(tests);
}

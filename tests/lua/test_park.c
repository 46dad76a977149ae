#include "tests/support/core.h"

#include <stdio.h>

/* Parks `n` jobs of kind "x": the claiming pod runs "k" alone. */
static void park(struct ms_core *core, size_t n)
{
    char id[32];

    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "x%zu", i);
        ENQUEUE(core, .id = id, .kind = "x");
    }
    core->kinds = ",k,";
    while (ms_core_info(core).parked < (int64_t)n)
        ms_core_claim(core, "p1", 10);
    core->kinds = EVERYTHING;
    ms_test_cmd(core->redis, "DEL %s", K("wake"));
}

/* As if it had been parked that long ago. */
static void age(struct ms_core *core, const char *id, int64_t ms)
{
    ms_test_cmd(core->redis, "ZADD %s %lld %s", K("parked"),
                (long long)ms_core_now(core) - ms, id);
}

/* A claim moves back what its pod has room for; others are not bothered with
 * what they would have to park again. */
static TEST(test_unpark_wakes_pods_for_what_somebody_can_run)
{
    struct ms_core *core = *state;

    park(core, 2);
    CHECK_INT(ms_core_unpark(core, ",k,x,"), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 1); /* kind */
    CHECK_INT(core->tidy.n_dead, ==, 0);
    CHECK_INT(ms_core_info(core).parked, ==, 2);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 16);
    core->kinds = ",k,";
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_INT(ms_core_info(core).parked, ==, 2);
    core->kinds = EVERYTHING;
    CHECK_INT(ms_core_claim(core, "p2", 10), ==, 2);
}

static TEST(test_unpark_leaves_what_nobody_can_run)
{
    struct ms_core *core = *state;

    park(core, 2);
    CHECK_INT(ms_core_unpark(core, ",k,xylo.*,"), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_INT(ms_core_info(core).parked, ==, 2);
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 0);
}

/* "x0" stands in its list twice, far apart, and is parked by the first: its
 * pod's failure came when it had been taken back already. */
static void park_with_a_copy(struct ms_core *core)
{
    int64_t fence;

    ms_core_set(core, "backoff_enabled", 0);
    ENQUEUE(core, .id = "x0", .kind = "x");
    fence = ms_core_claim_one(core, "p1", "x0");
    ms_core_end_lease(core, "x0", 1);
    CHECK_INT(ms_core_reap(core, NULL), ==, MS_OK);
    ms_core_enqueue_many(core, "k", NULL, 200);
    CHECK_INT(FAIL(core, "p1", "x0", fence), ==, MS_FINISH_OK);
    core->kinds = ",k,";
    CHECK_INT(ms_core_claim(core, "p2", 1), ==, 1);
    CHECK_INT(ms_core_info(core).parked, ==, 1);
}

static TEST(test_a_copy_of_a_parked_id_is_not_parked_again)
{
    struct ms_core *core = *state;

    park_with_a_copy(core);
    ms_core_enqueue_many(core, "l", NULL, 2);
    CHECK_INT(ms_core_claim(core, "p2", 200), ==, 200); /* past the copy */
    CHECK_INT(ms_core_info(core).parked, ==, 1);
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
    core->kinds = EVERYTHING;
    ms_core_claim_one(core, "p3", "x0");
}

/* A pod whose rate limit has no token takes other kinds meanwhile, and the
 * kinds of that limit when it has one again. */
static TEST(test_a_kind_that_is_left_out_waits_and_comes_back)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .kind = "mail.send");
    ENQUEUE(core, .id = "b", .kind = "mail.sender");
    ENQUEUE(core, .id = "c", .kind = "free");
    core->kinds = ",mail.*,free,!mail.send,";
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 2);
    CHECK_STR(core->jobs[0].id, "b");
    CHECK_STR(core->jobs[1].id, "c");
    CHECK_INT(ms_core_info(core).parked, ==, 1);
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    core->kinds = ",mail.*,free,";
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 1);
    CHECK_STR(core->jobs[0].id, "a");
}

/* A pod that comes to many jobs that waited for it must not get a few of them
 * at each of its polls. */
static TEST(test_a_claim_says_that_more_is_parked)
{
    struct ms_core *core = *state;

    park(core, 5);
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 2);
    CHECK(core->answer.more);
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 2);
    CHECK(core->answer.more);
    CHECK_INT(ms_core_claim(core, "p1", 2), ==, 1);
    CHECK(!core->answer.more);
}

static TEST(test_unpark_of_nothing_is_nothing)
{
    struct ms_core *core = *state;

    CHECK_INT(ms_core_unpark(core, EVERYTHING), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
}

static TEST(test_unpark_ends_jobs_in_steps)
{
    struct ms_core *core = *state;
    char id[16];

    park(core, 80);
    for (int i = 0; i < 80; i++) {
        snprintf(id, sizeof(id), "x%d", i);
        age(core, id, 700000);
    }
    ms_core_unpark(core, ",k,");
    CHECK_INT(core->tidy.n_dead, ==, 50);
    CHECK(core->tidy.more);
    ms_core_unpark(core, ",k,");
    CHECK_INT(core->tidy.n_dead, ==, 30);
    CHECK(!core->tidy.more);
}

static TEST(test_without_a_handler_for_ten_minutes_a_job_is_dead)
{
    struct ms_core *core = *state;

    park(core, 2);
    age(core, "x0", 600001);
    age(core, "x1", 590000);
    CHECK_INT(ms_core_unpark(core, ",k,"), ==, MS_OK);
    CHECK_INT(core->tidy.n_dead, ==, 1);
    CHECK_STR(ms_core_state(core, "x0"), "dead");
    CHECK_CONTAINS(ms_core_field(core, "x0", "error"), "no handler");
    CHECK_STR(ms_core_state(core, "x1"), "ready");
    CHECK_INT(ms_core_info(core).parked, ==, 1);
}

/* A pod that runs it has come just in time. */
static TEST(test_an_old_parked_job_with_a_handler_runs)
{
    struct ms_core *core = *state;

    park(core, 1);
    age(core, "x0", 9000000);
    ms_core_unpark(core, ",x,");
    CHECK_STR(ms_core_state(core, "x0"), "ready");
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 1);
}

/* In a rolling deployment the pod that could run it was full, then it was
 * replaced, and its successor starts. */
static TEST(test_a_handler_that_was_there_starts_the_ten_minutes_anew)
{
    struct ms_core *core = *state;

    park(core, 1);
    age(core, "x0", 700000);
    ms_core_unpark(core, ",k,x,");
    ms_core_unpark(core, ",k,");
    CHECK_STR(ms_core_state(core, "x0"), "ready");
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("handled:x")), >, 590000);
    ms_test_cmd(core->redis, "DEL %s", K("handled:x")); /* ten minutes later */
    ms_core_unpark(core, ",k,");
    CHECK_STR(ms_core_state(core, "x0"), "dead");
}

/* However many jobs of other kinds have waited longer. */
static TEST(test_each_kind_waits_for_itself)
{
    struct ms_core *core = *state;

    park(core, 80);
    for (int i = 0; i < 80; i++) {
        char id[16];

        snprintf(id, sizeof(id), "x%d", i);
        age(core, id, 900000);
    }
    ENQUEUE(core, .id = "y", .kind = "y");
    core->kinds = ",k,";
    ms_core_claim(core, "p1", 10);
    ms_test_cmd(core->redis, "ZADD %s 5 y", K("parked"));
    ms_core_unpark(core, ",x,");
    CHECK_INT(core->tidy.n_dead, ==, 1);
    CHECK_STR(ms_core_state(core, "y"), "dead");
    CHECK_INT(ms_core_info(core).parked, ==, 80);
}

static TEST(test_a_parked_id_without_a_record_goes)
{
    struct ms_core *core = *state;

    park(core, 1);
    ms_test_cmd(core->redis, "DEL %s", K("job:x0"));
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 0);
    CHECK_INT(ms_core_info(core).parked, ==, 0);
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
}

/* Nor does one that is in one of its two places alone stay there. */
static TEST(test_the_leader_drops_what_is_parked_in_one_place)
{
    struct ms_core *core = *state;

    park(core, 1);
    ms_test_cmd(core->redis, "ZADD %s 1 stray", K("parked"));
    ms_test_cmd(core->redis, "SADD %s none", K("parked_kinds"));
    ms_core_unpark(core, ",k,");
    CHECK_INT(ms_test_num(core->redis, "SCARD %s", K("parked_kinds")), ==, 1);
    CHECK_INT(ms_core_info(core).parked, ==, 1);
}

/* Its other place is gone already; it must not come back at every claim. */
static TEST(test_a_half_parked_id_goes)
{
    struct ms_core *core = *state;

    park(core, 1);
    ENQUEUE(core, .id = "r", .kind = "x");
    ms_test_cmd(core->redis, "ZADD %s 1 r 1 lost", K("parked:x"));
    CHECK_INT(ms_core_claim(core, "p1", 10), ==, 2);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", K("parked:x"),
                          K("parked_kinds")),
              ==, 0);
    ms_test_cmd(core->redis, "DEL %s", K("depth")); /* r was ready already */
}

static TEST(test_parked_jobs_can_be_deleted_and_bulk_cancelled)
{
    struct ms_core *core = *state;

    park(core, 5);
    CHECK_INT(ms_core_delete(core, "x0"), ==, MS_OK);
    CHECK_INT(ms_core_info(core).parked, ==, 4);
    CHECK_INT(ms_core_bulk(core, "cancel", "parked", "y"), ==, 0);
    CHECK_INT(ms_core_bulk(core, "cancel", "parked", "x"), ==, 4);
    CHECK_STR(ms_core_state(core, "x4"), "dead");
    CHECK_INT(ms_core_info(core).parked, ==, 0);
}

static TEST(test_parked_chunks_keep_their_place_in_the_tally)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    ms_core_spawn(core, "p", 0, 1);
    core->kinds = ",k,";
    ms_core_claim(core, "p1", 10);
    CHECK_INT(ms_core_info(core).parked, ==, 1);
    CHECK_INT(ms_core_tally(core, "p").ready, ==, 1);
    age(core, "p.0", 700000);
    ms_core_unpark(core, ",k,");
    CHECK_INT(ms_core_tally(core, "p").dead, ==, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_unpark_wakes_pods_for_what_somebody_can_run),
        CORE(test_unpark_leaves_what_nobody_can_run),
        CORE(test_a_copy_of_a_parked_id_is_not_parked_again),
        CORE(test_a_kind_that_is_left_out_waits_and_comes_back),
        CORE(test_a_claim_says_that_more_is_parked),
        CORE(test_unpark_of_nothing_is_nothing),
        CORE(test_unpark_ends_jobs_in_steps),
        CORE(test_without_a_handler_for_ten_minutes_a_job_is_dead),
        CORE(test_an_old_parked_job_with_a_handler_runs),
        CORE(test_a_handler_that_was_there_starts_the_ten_minutes_anew),
        CORE(test_each_kind_waits_for_itself),
        CORE(test_a_parked_id_without_a_record_goes),
        CORE(test_the_leader_drops_what_is_parked_in_one_place),
        CORE(test_a_half_parked_id_goes),
        CORE(test_parked_jobs_can_be_deleted_and_bulk_cancelled),
        CORE(test_parked_chunks_keep_their_place_in_the_tally),
    };

    return RUN_CORE(tests);
}

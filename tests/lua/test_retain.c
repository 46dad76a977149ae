#include "tests/support/core.h"

#include <stdio.h>

/* Ends `n` jobs as done (or dead), "<prefix>0" first. */
static void end_some(struct ms_core *core, const char *prefix, size_t n,
                     enum ms_finish_kind kind)
{
    ms_core_enqueue_many(core, prefix, NULL, n);
    for (size_t i = 0; i < n; i++) {
        while (ms_core_claim(core, "p1", 1) == 0)
            CHECK(core->answer.more); /* ids of cancelled jobs */
        ms_core_finish(core, "p1", core->jobs[0].id, core->jobs[0].fence, kind);
    }
}

static void age(struct ms_core *core, const char *set, const char *id,
                int64_t ms)
{
    ms_test_cmd(core->redis, "ZADD ms:{m/q}:%s %lld %s", set,
                (long long)ms_core_now(core) - ms, id);
}

static TEST(test_old_jobs_go_and_young_ones_stay)
{
    struct ms_core *core = *state;

    ms_core_set(core, "retain_done_ms", 60000);
    ms_core_set(core, "retain_dead_ms", 90000);
    end_some(core, "d", 3, MS_FINISH_DONE);
    end_some(core, "x", 2, MS_FINISH_DEAD);
    age(core, "done", "d0", 61000);
    age(core, "done", "d1", 59000);
    age(core, "dead", "x0", 91000);
    age(core, "dead", "x1", 89000);
    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 2);
    CHECK_INT(core->tidy.n_dead, ==, 1);
    CHECK(!core->tidy.more);
    CHECK_STR(ms_core_state(core, "d0"), "gone");
    CHECK_STR(ms_core_state(core, "x0"), "gone");
    CHECK_INT(ms_core_info(core).done, ==, 2);
    CHECK_INT(ms_core_info(core).dead, ==, 1);
    CHECK_INT(ms_core_stat(core, "retained_done"), ==, 1);
    CHECK_INT(ms_core_stat(core, "retained_dead"), ==, 1);
}

static TEST(test_the_defaults_keep_a_week)
{
    struct ms_core *core = *state;

    end_some(core, "d", 2, MS_FINISH_DONE);
    age(core, "done", "d0", 604801000);
    age(core, "done", "d1", 604700000);
    ms_core_retain(core);
    CHECK_INT(core->tidy.n, ==, 1);
    CHECK_STR(ms_core_state(core, "d1"), "done");
}

static TEST(test_too_many_go_the_oldest_first)
{
    struct ms_core *core = *state;

    ms_core_set(core, "retain_done_max", 2);
    end_some(core, "d", 5, MS_FINISH_DONE);
    for (int i = 0; i < 5; i++)
        ms_test_cmd(core->redis, "ZADD %s %lld d%d", K("done"),
                    (long long)ms_core_now(core) - 1000 + i, i);
    ms_core_retain(core);
    CHECK_INT(core->tidy.n, ==, 3);
    CHECK_STR(ms_core_state(core, "d2"), "gone");
    CHECK_STR(ms_core_state(core, "d3"), "done");
    CHECK_INT(core->tidy.n_dead, ==, 0);
}

static TEST(test_retain_goes_in_slices_of_200)
{
    struct ms_core *core = *state;

    end_some(core, "d", 120, MS_FINISH_DONE);
    end_some(core, "x", 120, MS_FINISH_DEAD);
    ms_core_set(core, "retain_done_max", 0);
    ms_core_set(core, "retain_dead_ms", 0);
    ms_core_retain(core);
    CHECK_INT(core->tidy.n, ==, 200);
    CHECK(core->tidy.more);
    ms_core_retain(core);
    CHECK_INT(core->tidy.n, ==, 40);
    CHECK_INT(core->tidy.n_dead, ==, 40);
    CHECK(!core->tidy.more);
}

static TEST(test_nothing_to_do_is_nothing_done)
{
    struct ms_core *core = *state;

    CHECK_INT(ms_core_retain(core), ==, MS_OK);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK(!core->tidy.more);
}

/* Its id was enqueued anew, and that job must live. */
static TEST(test_what_is_not_ended_any_more_is_left_alone)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a");
    ms_test_cmd(core->redis, "ZADD %s 1 a 1 lost", K("done"));
    ms_test_cmd(core->redis, "ZADD %s 1 a", K("dead"));
    ms_core_retain(core);
    CHECK_INT(core->tidy.n, ==, 0);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", K("done"), K("dead")),
              ==, 0);
}

static void dead_parent(struct ms_core *core, const char *id, size_t n)
{
    enum ms_err err;
    int64_t next = 0;

    ENQUEUE(core, .id = id, .parent = true);
    for (size_t i = 0; i < n; i += 200)
        CHECK_INT(ms_core_spawn(core, id, (int64_t)i, 200), ==, MS_OK);
    while (next >= 0)
        next = ms_core_children(core, id, false, next, &err);
}

/* They are the oldest, and there are more of them than a slice. */
static TEST(test_chunks_of_a_living_parent_hold_nothing_up)
{
    struct ms_core *core = *state;

    ms_core_set(core, "retain_dead_ms", 50);
    dead_parent(core, "p", 400);
    for (int i = 0; i < 400; i++)
        ms_test_cmd(core->redis, "ZADD %s 1 p.%d", K("dead"), i);
    end_some(core, "x", 1, MS_FINISH_DEAD);
    age(core, "dead", "x0", 100);
    for (int i = 0; i < 2; i++) {
        ms_core_retain(core);
        CHECK(core->tidy.more);
    }
    ms_core_retain(core);
    CHECK_STR(ms_core_state(core, "x0"), "gone");
    CHECK_STR(ms_core_state(core, "p.0"), "dead");
    CHECK_STR(ms_core_state(core, "p"), "waiting");
}

static TEST(test_an_old_parent_goes_with_its_chunks_in_steps)
{
    struct ms_core *core = *state;
    int calls = 0;

    ms_core_set(core, "retain_dead_ms", 90000);
    dead_parent(core, "p", 600);
    ms_core_conclude(core, "p", false, "no");
    age(core, "dead", "p", 100000);
    do {
        ms_core_retain(core);
        calls++;
    } while (core->tidy.n == 0 && calls < 10);
    CHECK_INT(calls, ==, 2);
    CHECK_STR(ms_core_state(core, "p"), "gone");
    CHECK_INT(ms_core_info(core).dead, ==, 0);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("tally:p")), ==, 0);
}

/* The parent comes first; its chunks must not come back as mere names. */
static TEST(test_a_parent_and_chunks_of_one_age_go_without_a_trace)
{
    struct ms_core *core = *state;

    ms_core_set(core, "retain_dead_ms", 90000);
    dead_parent(core, "p", 200);
    ms_core_conclude(core, "p", false, "no");
    age(core, "dead", "p", 100000);
    for (int i = 0; i < 200; i++)
        ms_test_cmd(core->redis, "ZADD %s 1 p.%d", K("dead"), i);
    ms_test_cmd(core->redis, "ZADD %s 1 p", K("dead"));
    ms_core_retain(core);
    CHECK_STR(ms_core_state(core, "p"), "gone");
    CHECK_INT(ms_core_info(core).dead, ==, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_old_jobs_go_and_young_ones_stay),
        CORE(test_the_defaults_keep_a_week),
        CORE(test_too_many_go_the_oldest_first),
        CORE(test_retain_goes_in_slices_of_200),
        CORE(test_nothing_to_do_is_nothing_done),
        CORE(test_what_is_not_ended_any_more_is_left_alone),
        CORE(test_chunks_of_a_living_parent_hold_nothing_up),
        CORE(test_an_old_parent_goes_with_its_chunks_in_steps),
        CORE(test_a_parent_and_chunks_of_one_age_go_without_a_trace),
    };

    return RUN_CORE(tests);
}

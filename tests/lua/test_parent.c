#include "tests/support/core.h"

#include <stdio.h>

static void new_parent(struct ms_core *core, size_t n_chunks)
{
    ENQUEUE(core, .id = "p", .parent = true, .priority = 4, .max_attempts = 9,
            .timeout_ms = 70000);
    CHECK_INT(ms_core_spawn(core, "p", 0, n_chunks), ==, MS_OK);
}

/* Where all chunks are: "ready running done dead". */
static const char *places(struct ms_core *core)
{
    static char text[64];
    struct ms_tally tally = ms_core_tally(core, "p");

    snprintf(text, sizeof(text), "%d %d %d %d", (int)tally.ready,
             (int)tally.running, (int)tally.done, (int)tally.dead);
    return text;
}

/* ---- spawn ---- */

static TEST(test_spawn_makes_chunks_that_take_after_their_parent)
{
    struct ms_core *core = *state;

    new_parent(core, 2);
    CHECK_INT(core->n_changed, ==, 2);
    CHECK_STR(ms_core_field(core, "p.1", "kind"), "chunk");
    CHECK_STR(ms_core_field(core, "p.1", "payload"), "piece");
    CHECK_STR(ms_core_field(core, "p.1", "parent"), "p");
    CHECK_STR(ms_core_field(core, "p.1", "chunk"), "1");
    CHECK_STR(ms_core_field(core, "p.1", "group"), "p");
    CHECK_STR(ms_core_field(core, "p.1", "priority"), "4");
    CHECK_STR(ms_core_field(core, "p.1", "max_attempts"), "9");
    CHECK_STR(ms_core_field(core, "p.1", "timeout_ms"), "70000");
    CHECK_STR(ms_core_field(core, "p", "plan"), "plan");
    CHECK_STR(places(core), "2 0 0 0");
    CHECK_INT(ms_core_tally(core, "p").planned, ==, 2);
    CHECK_INT(ms_core_depth(core, "chunk"), ==, 2);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 2);
    CHECK_STR(core->jobs[0].id, "p.0");
}

/* Two leaders at once plan the same chunks. */
static TEST(test_a_second_planner_adds_nothing_twice)
{
    struct ms_core *core = *state;

    new_parent(core, 2);
    CHECK_INT(ms_core_spawn(core, "p", 0, 2), ==, MS_ESTATE);
    CHECK_INT(ms_core_spawn(core, "p", 1, 2), ==, MS_ESTATE);
    CHECK_INT(ms_core_spawn(core, "p", 3, 2), ==, MS_ESTATE);
    CHECK_STR(places(core), "2 0 0 0");
    CHECK_INT(ms_core_spawn(core, "p", 2, 3), ==, MS_OK);
    CHECK_INT(core->n_changed, ==, 5);
    CHECK_STR(places(core), "5 0 0 0");
}

static TEST(test_a_plan_can_move_without_chunks)
{
    struct ms_core *core = *state;

    new_parent(core, 0);
    CHECK_INT(core->n_changed, ==, 0);
    CHECK_STR(ms_core_field(core, "p", "plan"), "plan");
    CHECK_INT(ms_core_spawn(core, "p", 0, MS_SPAWN_MAX), ==, MS_OK);
    CHECK_INT(core->n_changed, ==, MS_SPAWN_MAX);
}

static TEST(test_spawn_is_refused_where_it_does_not_belong)
{
    struct ms_core *core = *state;

    CHECK_INT(ms_core_spawn(core, "p", 0, 1), ==, MS_ENOENT);
    ENQUEUE(core, .id = "a");
    CHECK_INT(ms_core_spawn(core, "a", 0, 1), ==, MS_ESTATE);
    new_parent(core, 1);
    ms_core_cancel(core, "p");
    CHECK_INT(ms_core_spawn(core, "p", 1, 1), ==, MS_ESTATE);
    CHECK_STR(ms_core_state(core, "p.1"), "gone");
}

static TEST(test_an_older_leader_does_nothing_to_a_parent)
{
    struct ms_core *core = *state;
    enum ms_err err;

    core->epoch = 5;
    new_parent(core, 1);
    core->epoch = 4;
    CHECK_INT(ms_core_spawn(core, "p", 1, 1), ==, MS_ESTALE);
    CHECK_INT(ms_core_phase(core, "p", "checking", ""), ==, MS_ESTALE);
    CHECK_INT(ms_core_conclude(core, "p", true, ""), ==, MS_ESTALE);
    ms_core_children(core, "p", false, 0, &err);
    CHECK_INT(err, ==, MS_ESTALE);
    CHECK_STR(places(core), "1 0 0 0");
    CHECK_STR(ms_core_field(core, "p", "phase"), "");
}

static TEST(test_spawn_is_refused_at_maxmemory_and_the_rest_is_not)
{
    struct ms_core *core = *state;
    struct ms_spawn spawn = {.fleet = "m",
                             .queue = "q",
                             .parent = "p",
                             .epoch = 1,
                             .first = 1,
                             .kind = "chunk",
                             .plan = ""};
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *reply;
    enum ms_err err;

    new_parent(core, 1);
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 1");
    ms_spawn_build(&cmd, &spawn);
    reply = ms_test_run(core->redis, &cmd);
    CHECK_INT(reply->type, ==, MS_REPLY_ERROR);
    CHECK_INT(ms_reply_classify(reply->str), ==, MS_EFULL);
    CHECK_INT(ms_core_phase(core, "p", "cancelling", ""), ==, MS_OK);
    ms_core_children(core, "p", false, 0, &err);
    CHECK_INT(err, ==, MS_OK);
    CHECK_INT(ms_core_conclude(core, "p", false, "no"), ==, MS_OK);
}

/* ---- phase, conclude ---- */

static TEST(test_phase_moves_a_waiting_parent_alone)
{
    struct ms_core *core = *state;

    new_parent(core, 1);
    CHECK_INT(ms_core_phase(core, "p", "failing", "9 bad lines"), ==, MS_OK);
    CHECK_STR(ms_core_field(core, "p", "phase"), "failing");
    CHECK_STR(ms_core_field(core, "p", "error"), "9 bad lines");
    CHECK_INT(ms_core_phase(core, "p", "running", ""), ==, MS_OK);
    CHECK_STR(ms_core_field(core, "p", "error"), "");
    CHECK_INT(ms_core_phase(core, "p.0", "running", ""), ==, MS_ESTATE);
    CHECK_INT(ms_core_phase(core, "q", "running", ""), ==, MS_ENOENT);
}

static TEST(test_conclude_waits_for_the_chunks)
{
    struct ms_core *core = *state;
    int64_t fence;

    new_parent(core, 2);
    CHECK_INT(ms_core_conclude(core, "p", true, "r"), ==, MS_ESTATE);
    fence = ms_core_claim_one(core, "p1", "p.0");
    ms_core_cancel(core, "p.1");
    CHECK_INT(ms_core_conclude(core, "p", false, "r"), ==, MS_ESTATE);
    CHECK_STR(ms_core_state(core, "p"), "waiting");
    DONE(core, "p1", "p.0", fence);
    CHECK_INT(ms_core_conclude(core, "p", true, "r"), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "p"), "done");
    CHECK_STR(ms_core_field(core, "p", "result"), "r");
    CHECK_STR(ms_core_field(core, "p", "phase"), "done");
    CHECK_INT(ms_core_stat(core, "done"), ==, 2);
    CHECK_INT(ms_core_conclude(core, "p", true, "r"), ==, MS_ESTATE);
    CHECK_INT(ms_core_conclude(core, "z", true, "r"), ==, MS_ENOENT);
}

static TEST(test_a_dead_parent_releases_its_unique_key)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true, .unique = "u");
    ms_core_cancel(core, "p");
    CHECK_INT(ms_core_conclude(core, "p", false, "cancelled by user"), ==,
              MS_OK);
    CHECK_STR(ms_core_state(core, "p"), "dead");
    CHECK_STR(ms_core_field(core, "p", "error"), "cancelled by user");
    CHECK_INT(ms_core_stat(core, "cancelled"), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", K("unique:u")), ==, 0);
}

/* ---- the tally, through every path ---- */

static TEST(test_a_chunk_has_one_place_in_the_tally)
{
    struct ms_core *core = *state;
    int64_t fence;

    ms_core_set(core, "backoff_enabled", 0);
    new_parent(core, 1);
    fence = ms_core_claim_one(core, "p1", "p.0");
    CHECK_STR(places(core), "0 1 0 0");
    FAIL(core, "p1", "p.0", fence);
    FAIL(core, "p1", "p.0", fence); /* repeated */
    CHECK_STR(places(core), "1 0 0 0");
    ms_core_set(core, "backoff_enabled", 1);
    FAIL(core, "p1", "p.0", ms_core_claim_one(core, "p1", "p.0"));
    CHECK_STR(ms_core_state(core, "p.0"), "scheduled");
    CHECK_STR(places(core), "1 0 0 0");
    ms_core_run_now(core, "p.0");
    fence = ms_core_claim_one(core, "p1", "p.0");
    ms_core_finish(core, "p1", "p.0", fence, MS_FINISH_THROTTLED);
    CHECK_STR(places(core), "1 0 0 0");
    ms_core_run_now(core, "p.0");
    fence = ms_core_claim_one(core, "p1", "p.0");
    ms_core_release(core, "p1", "p.0", fence, 0);
    CHECK_STR(places(core), "1 0 0 0");
    fence = ms_core_claim_one(core, "p1", "p.0");
    ms_core_end_lease(core, "p.0", 1);
    ms_core_reap(core, NULL);
    CHECK_STR(places(core), "1 0 0 0");
    ms_core_renew(core, "p1", "p.0", fence);
    CHECK_STR(places(core), "0 1 0 0");
    ms_core_end_lease(core, "p.0", 1);
    ms_core_reap(core, NULL);
    DONE(core, "p1", "p.0", fence); /* late */
    CHECK_STR(places(core), "0 0 1 0");
    DONE(core, "p1", "p.0", fence);
    CHECK_STR(places(core), "0 0 1 0");
}

static TEST(test_every_death_of_a_chunk_is_counted_once)
{
    struct ms_core *core = *state;

    ms_core_set(core, "crash_limit", 1);
    new_parent(core, 7);
    ms_core_claim(core, "p1", 4);
    ms_core_finish(core, "p1", "p.0", core->jobs[0].fence, MS_FINISH_DEAD);
    ms_core_finish(core, "p1", "p.0", core->jobs[0].fence, MS_FINISH_DEAD);
    CHECK_STR(places(core), "3 3 0 1");
    ms_core_cancel(core, "p.1");
    ms_core_finish(core, "p1", "p.1", core->jobs[1].fence, MS_FINISH_CANCELLED);
    CHECK_STR(places(core), "3 2 0 2");
    ms_core_end_lease(core, "p.2", 1);
    ms_core_reap(core, NULL); /* poison */
    CHECK_STR(places(core), "3 1 0 3");
    ms_core_cancel(core, "p.3");
    ms_core_release(core, "p1", "p.3", core->jobs[3].fence, 0);
    CHECK_STR(places(core), "3 0 0 4");
    ms_core_cancel(core, "p.4");
    CHECK_STR(places(core), "2 0 0 5");
    CHECK_INT(ms_core_bulk(core, "cancel", "ready", "chunk"), ==, 2);
    CHECK_STR(places(core), "0 0 0 7");
}

static TEST(test_a_throttled_chunk_does_not_cool_the_queue)
{
    struct ms_core *core = *state;
    struct ms_finish finish = {"p.0",   0, MS_FINISH_THROTTLED, "429", 3, 45000,
                               NO_MOVE, 0};
    int64_t now = ms_core_now(core);

    new_parent(core, 2);
    finish.fence = ms_core_claim_one(core, "p1", "p.0");
    ms_core_finish_with(core, "p1", &finish);
    CHECK_INT(ms_core_info(core).throttled_until_ms, ==, 0);
    CHECK_INT(ms_core_number(core, "p.0", "due_ms"), >=, now + 45000);
    CHECK_INT(ms_core_number(core, "p.0", "attempts"), ==, 0);
    finish.id = "p.1";
    finish.delay_ms = 0;
    finish.fence = ms_core_claim_one(core, "p1", "p.1");
    ms_core_finish_with(core, "p1", &finish);
    CHECK_INT(ms_core_number(core, "p.1", "due_ms"), >=, now + 5000);
}

static TEST(test_a_done_chunk_leaves_a_bit)
{
    struct ms_core *core = *state;

    new_parent(core, 10);
    ms_core_claim(core, "p1", 10);
    DONE(core, "p1", "p.9", core->jobs[9].fence);
    CHECK_STR(ms_core_state(core, "p.9"), "gone");
    CHECK_INT(ms_test_num(core->redis, "GETBIT %s 9", K("bits:p")), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "BITCOUNT %s", K("bits:p")), ==, 1);
    CHECK_INT(ms_core_info(core).done, ==, 0);
}

static TEST(test_a_chunk_of_a_lost_parent_leaves_nothing)
{
    struct ms_core *core = *state;

    new_parent(core, 1);
    ms_core_claim(core, "p1", 1);
    ms_test_cmd(core->redis, "DEL %s %s", K("job:p"), K("tally:p"));
    ms_test_cmd(core->redis, "ZREM %s p", K("waiting"));
    CHECK_INT(DONE(core, "p1", "p.0", core->jobs[0].fence), ==, MS_FINISH_OK);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s %s", K("job:p.0"),
                          K("bits:p"), K("tally:p")),
              ==, 0);
}

/* ---- children ---- */

static TEST(test_stop_ends_what_is_ready_and_tells_what_runs)
{
    struct ms_core *core = *state;
    enum ms_err err;
    int64_t fence;

    new_parent(core, 4);
    fence = ms_core_claim_one(core, "p1", "p.0");
    FAIL(core, "p1", "p.0", fence); /* scheduled */
    fence = ms_core_claim_one(core, "p1", "p.1");
    CHECK_INT(ms_core_children(core, "p", false, 0, &err), ==, -1);
    CHECK_INT(err, ==, MS_OK);
    CHECK_INT(core->n_changed, ==, 4);
    CHECK_STR(places(core), "0 1 0 3");
    CHECK_STR(ms_core_state(core, "p.0"), "dead");
    CHECK_CONTAINS(ms_core_field(core, "p.0", "error"), "parent");
    CHECK_INT(ms_core_renew(core, "p1", "p.1", fence), ==, MS_RENEW_CANCEL);
    ms_core_finish(core, "p1", "p.1", fence, MS_FINISH_CANCELLED);
    CHECK_STR(places(core), "0 0 0 4");
}

static TEST(test_revive_makes_dead_chunks_ready)
{
    struct ms_core *core = *state;
    enum ms_err err;
    int64_t fence;

    new_parent(core, 3);
    ms_core_claim(core, "p1", 2);
    fence = core->jobs[0].fence;
    ms_core_finish(core, "p1", "p.0", fence, MS_FINISH_DEAD);
    DONE(core, "p1", "p.1", core->jobs[1].fence);
    CHECK_INT(ms_core_children(core, "p", true, 0, &err), ==, -1);
    CHECK_INT(core->n_changed, ==, 1);
    CHECK_STR(places(core), "2 0 1 0");
    CHECK_STR(ms_core_state(core, "p.0"), "ready");
    CHECK_INT(ms_core_number(core, "p.0", "attempts"), ==, 0);
    ms_core_finish(core, "p1", "p.0", fence, MS_FINISH_DEAD); /* repeated */
    CHECK_STR(places(core), "2 0 1 0");
}

static TEST(test_children_go_in_steps)
{
    struct ms_core *core = *state;
    enum ms_err err;
    int64_t next = 0;
    int64_t n = 0;

    new_parent(core, 200);
    for (int i = 1; i < 5; i++)
        ms_core_spawn(core, "p", 200 * i, 200);
    for (int steps = 0; next >= 0; steps++) {
        next = ms_core_children(core, "p", false, next, &err);
        CHECK_INT(err, ==, MS_OK);
        n += core->n_changed;
        CHECK_INT(steps, <, 21);
    }
    CHECK_INT(n, ==, 1000);
    CHECK_STR(places(core), "0 0 0 1000");
}

/* Before its leader has come to it. */
static TEST(test_a_cancelled_import_lends_no_chunk_and_stops_what_runs)
{
    struct ms_core *core = *state;
    int64_t fence;
    enum ms_err err;

    new_parent(core, 3);
    fence = ms_core_claim_one(core, "p1", "p.0");
    CHECK_INT(ms_core_cancel(core, "p"), ==, MS_CANCEL_REQUESTED);
    CHECK_INT(ms_core_claim(core, "p2", 5), ==, 0);
    CHECK_STR(ms_core_field(core, "p.1", "error"), "cancelled with its parent");
    CHECK_INT(ms_core_renew(core, "p1", "p.0", fence), ==, MS_RENEW_CANCEL);
    CHECK_STR(places(core), "0 1 0 2");
    DONE(core, "p1", "p.0", fence); /* it was faster */
    CHECK_STR(places(core), "0 0 1 2");
    CHECK_STR(ms_core_state(core, "p"), "waiting"); /* for its leader */
    CHECK_INT(ms_core_conclude(core, "p", false, "cancelled"), ==, MS_OK);
    CHECK_INT(ms_core_retry(core, "p"), ==, MS_OK);
    ms_core_children(core, "p", true, 0, &err);
    CHECK_INT(err, ==, MS_OK);
    CHECK_INT(ms_core_claim(core, "p2", 5), ==, 2);
}

static TEST(test_children_of_what_waits_not_are_refused)
{
    struct ms_core *core = *state;
    enum ms_err err;

    ms_core_children(core, "p", false, 0, &err);
    CHECK_INT(err, ==, MS_ENOENT);
    ENQUEUE(core, .id = "a");
    ms_core_children(core, "a", false, 0, &err);
    CHECK_INT(err, ==, MS_ESTATE);
}

static TEST(test_a_retried_parent_waits_for_its_revival)
{
    struct ms_core *core = *state;
    enum ms_err err;

    new_parent(core, 2);
    ms_core_children(core, "p", false, 0, &err);
    ms_core_conclude(core, "p", false, "no");
    CHECK_INT(ms_core_retry(core, "p"), ==, MS_OK);
    CHECK_STR(ms_core_state(core, "p"), "waiting");
    CHECK_STR(ms_core_field(core, "p", "phase"), "reviving");
    CHECK_INT(ms_core_info(core).waiting, ==, 1);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 0);
    ms_core_children(core, "p", true, 0, &err);
    CHECK_INT(ms_core_claim(core, "p1", 5), ==, 2);
}

static TEST(test_a_parent_that_had_no_plan_is_planned_again)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    ms_core_conclude(core, "p", false, "no such file");
    ms_core_retry(core, "p");
    CHECK_STR(ms_core_state(core, "p"), "waiting");
    CHECK_STR(ms_core_field(core, "p", "phase"), "");
    CHECK_INT(ms_core_spawn(core, "p", 0, 2), ==, MS_OK);
}

/* ---- pages of chunks ---- */

struct page {
    int64_t n[512];
    bool is_open[512];
    size_t len;
};

static void on_chunk(int64_t n, const struct ms_reply *fields, void *arg)
{
    struct page *page = arg;

    page->n[page->len] = n;
    page->is_open[page->len++] = fields != NULL;
    if (fields != NULL)
        CHECK_INT(ms_reply_int(ms_reply_field(fields, "chunk"), -1), ==, n);
}

static int64_t read_page(struct ms_core *core, int64_t from, int64_t limit,
                         struct page *page)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t next = 0;

    page->len = 0;
    ms_chunks_build(&cmd, "m", "q", "p", from, limit);
    CHECK_INT(ms_chunks_parse(ms_test_run(core->redis, &cmd), on_chunk, page,
                              &next, NULL),
              ==, MS_OK);
    return next;
}

static TEST(test_chunks_are_paged_done_ones_too)
{
    struct ms_core *core = *state;
    struct page page;

    new_parent(core, 20);
    ms_core_claim(core, "p1", 20);
    for (int i = 0; i < 20; i += 3)
        DONE(core, "p1", core->jobs[i].id, core->jobs[i].fence);
    CHECK_INT(read_page(core, 0, 7, &page), ==, 7);
    CHECK_INT(page.len, ==, 7);
    for (int64_t i = 0; i < 7; i++) {
        CHECK_INT(page.n[i], ==, i);
        CHECK_INT(page.is_open[i], ==, i % 3 != 0);
    }
    CHECK_INT(read_page(core, 13, 500, &page), ==, -1);
    CHECK_INT(page.len, ==, 7);
    for (int64_t i = 0; i < 7; i++) {
        CHECK_INT(page.n[i], ==, 13 + i);
        CHECK_INT(page.is_open[i], ==, (13 + i) % 3 != 0);
    }
    CHECK_INT(read_page(core, 20, 10, &page), ==, -1);
    CHECK_INT(page.len, ==, 0);
}

/* ---- deletion ---- */

static TEST(test_a_deleted_parent_takes_all_along)
{
    struct ms_core *core = *state;
    struct ms_lease_reject reject = {7, "bad"};
    struct ms_lease_move move = {.seq = 1,
                                 .progress = -1,
                                 .rejects = &reject,
                                 .n_rejects = 1};
    enum ms_err err;

    new_parent(core, 5);
    ms_core_claim(core, "p1", 2);
    ms_core_renew_move(core, "p1", "p.0", core->jobs[0].fence, &move);
    DONE(core, "p1", "p.0", core->jobs[0].fence);
    FAIL(core, "p1", "p.1", core->jobs[1].fence);
    ms_core_children(core, "p", false, 0, &err);
    ms_core_conclude(core, "p", false, "no");
    CHECK_INT(ms_core_delete(core, "p"), ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s %s %s %s %s", K("job:p"),
                          K("job:p.1"), K("tally:p"), K("bits:p"),
                          K("rejects:p"), K("dead")),
              ==, 0);
}

static TEST(test_a_parent_of_many_is_deleted_in_steps)
{
    struct ms_core *core = *state;
    enum ms_err err;
    int64_t next = 0;
    int calls = 1;

    new_parent(core, 200);
    for (int i = 1; i < 5; i++)
        ms_core_spawn(core, "p", 200 * i, 200);
    while (next >= 0)
        next = ms_core_children(core, "p", false, next, &err);
    ms_core_conclude(core, "p", false, "no");
    for (; (err = ms_core_delete(core, "p")) == MS_EBUSY; calls++)
        CHECK_STR(ms_core_state(core, "p"), "dead");
    CHECK_INT(err, ==, MS_OK);
    CHECK_INT(calls, ==, 3);
    CHECK_INT(ms_core_info(core).dead, ==, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_spawn_makes_chunks_that_take_after_their_parent),
        CORE(test_a_second_planner_adds_nothing_twice),
        CORE(test_a_plan_can_move_without_chunks),
        CORE(test_spawn_is_refused_where_it_does_not_belong),
        CORE(test_an_older_leader_does_nothing_to_a_parent),
        CORE(test_spawn_is_refused_at_maxmemory_and_the_rest_is_not),
        CORE(test_phase_moves_a_waiting_parent_alone),
        CORE(test_conclude_waits_for_the_chunks),
        CORE(test_a_dead_parent_releases_its_unique_key),
        CORE(test_a_chunk_has_one_place_in_the_tally),
        CORE(test_every_death_of_a_chunk_is_counted_once),
        CORE(test_a_throttled_chunk_does_not_cool_the_queue),
        CORE(test_a_done_chunk_leaves_a_bit),
        CORE(test_a_chunk_of_a_lost_parent_leaves_nothing),
        CORE(test_stop_ends_what_is_ready_and_tells_what_runs),
        CORE(test_revive_makes_dead_chunks_ready),
        CORE(test_children_go_in_steps),
        CORE(test_a_cancelled_import_lends_no_chunk_and_stops_what_runs),
        CORE(test_children_of_what_waits_not_are_refused),
        CORE(test_a_retried_parent_waits_for_its_revival),
        CORE(test_a_parent_that_had_no_plan_is_planned_again),
        CORE(test_chunks_are_paged_done_ones_too),
        CORE(test_a_deleted_parent_takes_all_along),
        CORE(test_a_parent_of_many_is_deleted_in_steps),
    };

    return RUN_CORE(tests);
}

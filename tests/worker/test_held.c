/* What a job owns, and how checkpoints of it join. */
#include "tests/support/support.h"

#include "worker/held.h"

static struct ms_bytes bytes_of(const char *text)
{
    return (struct ms_bytes){ms_xstrdup(text), strlen(text)};
}

static void add_reject(struct ms_checkpoint *checkpoint, int64_t offset)
{
    checkpoint->rejects =
        ms_xrealloc(checkpoint->rejects,
                    (checkpoint->n_rejects + 1) * sizeof(*checkpoint->rejects));
    checkpoint->rejects[checkpoint->n_rejects++] =
        (struct ms_reject){offset, "no id"};
}

/* The sanitizers say whether something was forgotten. */
static TEST(test_free_takes_null_half_built_and_whole_jobs)
{
    struct ms_held *half = ms_xcalloc(1, sizeof(*half));
    struct ms_held *whole = ms_xcalloc(1, sizeof(*whole));

    ms_held_free(NULL);
    half->id = ms_xstrdup("a");
    ms_held_free(half);
    whole->id = ms_xstrdup("b");
    whole->kind = ms_xstrdup("noop.echo");
    whole->queue = ms_xstrdup("q");
    whole->parent = ms_xstrdup("p");
    whole->payload = bytes_of("x");
    whole->cursor = bytes_of("y");
    whole->pending.cursor = bytes_of("z");
    whole->sending.cursor = bytes_of("s");
    whole->ending.result = bytes_of("r");
    add_reject(&whole->pending, 7);
    ms_held_free(whole);
}

static TEST(test_done_leaves_an_empty_checkpoint)
{
    struct ms_checkpoint checkpoint = {.seq = 4, .progress = 0.5};

    checkpoint.cursor = bytes_of("c");
    add_reject(&checkpoint, 1);
    ms_checkpoint_done(&checkpoint);
    CHECK_INT(checkpoint.seq, ==, 0);
    CHECK(checkpoint.cursor.data == NULL);
    CHECK(checkpoint.rejects == NULL);
    CHECK(checkpoint.progress < 0);
}

static TEST(test_merge_lets_the_newer_cursor_stand)
{
    struct ms_checkpoint into = {.seq = 1, .progress = 0.1};
    struct ms_checkpoint newer = {.seq = 2, .progress = 0.2};

    into.cursor = bytes_of("old");
    newer.cursor = bytes_of("new");
    ms_checkpoint_merge(&into, &newer);
    CHECK_INT(into.seq, ==, 2);
    CHECK_STR(into.cursor.data, "new");
    CHECK(into.progress > 0.15);
    CHECK(newer.cursor.data == NULL);
    ms_checkpoint_done(&into);
}

/* Progress alone has no cursor; the one that was told before still counts. */
static TEST(test_merge_of_progress_keeps_the_cursor)
{
    struct ms_checkpoint into = {.seq = 3, .progress = -1};
    struct ms_checkpoint newer = {.seq = 3, .progress = 0.7};

    into.cursor = bytes_of("c");
    ms_checkpoint_merge(&into, &newer);
    CHECK_STR(into.cursor.data, "c");
    CHECK_INT(into.seq, ==, 3);
    CHECK(into.progress > 0.6);
    ms_checkpoint_done(&into);
}

static TEST(test_merge_keeps_progress_that_the_newer_does_not_tell)
{
    struct ms_checkpoint into = {.seq = 1, .progress = 0.5};
    struct ms_checkpoint newer = {.seq = 2, .progress = -1};

    ms_checkpoint_merge(&into, &newer);
    CHECK(into.progress > 0.4);
    CHECK_INT(into.seq, ==, 2);
}

/* Sums are running totals: adding them up would count documents twice. */
static TEST(test_merge_replaces_sums_by_name)
{
    struct ms_checkpoint into = {.seq = 1,
                                 .sums = {{"docs", 10}, {"lines", 12}},
                                 .n_sums = 2};
    struct ms_checkpoint newer = {.seq = 2,
                                  .sums = {{"lines", 20}, {"bytes", 99}},
                                  .n_sums = 2};

    ms_checkpoint_merge(&into, &newer);
    CHECK_INT(into.n_sums, ==, 3);
    CHECK_INT(into.sums[0].value, ==, 10);
    CHECK_INT(into.sums[1].value, ==, 20);
    CHECK_STR(into.sums[2].name, "bytes");
    CHECK_INT(into.sums[2].value, ==, 99);
}

static TEST(test_merge_joins_rejects_in_order)
{
    struct ms_checkpoint into = {.seq = 1}, newer = {.seq = 2};

    add_reject(&into, 1);
    add_reject(&into, 2);
    add_reject(&newer, 3);
    ms_checkpoint_merge(&into, &newer);
    CHECK_INT(into.n_rejects, ==, 3);
    CHECK_INT(into.rejects[0].offset, ==, 1);
    CHECK_INT(into.rejects[2].offset, ==, 3);
    CHECK_STR(into.rejects[2].reason, "no id");
    CHECK(newer.rejects == NULL);
    ms_checkpoint_done(&into);
}

static TEST(test_a_drain_releases_and_other_stops_cancel)
{
    CHECK_INT(ms_stop_outcome(MS_STOP_DRAIN), ==, MS_RELEASED);
    CHECK_INT(ms_stop_outcome(MS_STOP_CANCEL), ==, MS_CANCELLED);
    CHECK_INT(ms_stop_outcome(MS_STOP_LOST), ==, MS_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_free_takes_null_half_built_and_whole_jobs),
        RUN(test_done_leaves_an_empty_checkpoint),
        RUN(test_merge_lets_the_newer_cursor_stand),
        RUN(test_merge_of_progress_keeps_the_cursor),
        RUN(test_merge_keeps_progress_that_the_newer_does_not_tell),
        RUN(test_merge_replaces_sums_by_name),
        RUN(test_merge_joins_rejects_in_order),
        RUN(test_a_drain_releases_and_other_stops_cancel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

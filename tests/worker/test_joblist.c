/* The list that a station keeps its jobs in. */
#include "tests/support/support.h"
#include "worker/joblist.h"

static struct ms_held *job(const char *id)
{
    struct ms_held *held = ms_xcalloc(1, sizeof(*held));

    held->id = ms_xstrdup(id);
    return held;
}

static TEST(test_pop_gives_jobs_in_their_order)
{
    struct ms_joblist list = {0};
    struct ms_held *first = job("a"), *second = job("b");

    ms_joblist_push(&list, first);
    ms_joblist_push(&list, second);
    CHECK(ms_joblist_pop(&list) == first);
    CHECK(ms_joblist_pop(&list) == second);
    CHECK(ms_joblist_pop(&list) == NULL);
    CHECK_INT(list.n, ==, 0);
    ms_held_free(first);
    ms_held_free(second);
}

/* A job whose finish did not arrive is sent again before younger ones. */
static TEST(test_push_front_goes_ahead)
{
    struct ms_joblist list = {0};

    ms_joblist_push(&list, job("a"));
    ms_joblist_push_front(&list, job("b"));
    CHECK_STR(list.first->id, "b");
    CHECK_STR(list.last->id, "a");
    ms_joblist_clear(&list);
    CHECK(list.first == NULL && list.last == NULL);
}

static TEST(test_remove_from_the_middle_keeps_both_ends)
{
    struct ms_joblist list = {0};
    struct ms_held *middle = job("b");

    ms_joblist_push(&list, job("a"));
    ms_joblist_push(&list, middle);
    ms_joblist_push(&list, job("c"));
    ms_joblist_remove(&list, middle);
    CHECK_STR(list.first->id, "a");
    CHECK_STR(list.first->next->id, "c");
    CHECK_STR(list.last->prev->id, "a");
    CHECK_INT(list.n, ==, 2);
    ms_held_free(middle);
    ms_joblist_clear(&list);
}

static TEST(test_find_looks_at_ids)
{
    struct ms_joblist list = {0};

    ms_joblist_push(&list, job("a"));
    ms_joblist_push(&list, job("b"));
    CHECK(ms_joblist_find(&list, "b") == list.last);
    CHECK(ms_joblist_find(&list, "c") == NULL);
    ms_joblist_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_pop_gives_jobs_in_their_order),
        RUN(test_push_front_goes_ahead),
        RUN(test_remove_from_the_middle_keeps_both_ends),
        RUN(test_find_looks_at_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

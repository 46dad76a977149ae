/* Requests and answers of rate limits, without a Redis. */
#include "common/limit.h"
#include "tests/support/support.h"
#include "tests/support/tree.h"

static enum ms_err acquire_of(const char *tree, struct ms_acquired *out,
                              struct ms_error *error)
{
    return ms_acquire_parse(ms_test_tree(tree), "s", out, error);
}

static TEST(test_an_acquire_tells_the_wait_of_each_unit)
{
    struct ms_acquired got;

    CHECK_INT(acquire_of("(ok 7 (0 0 150) 900)", &got, NULL), ==, MS_OK);
    CHECK_INT(got.n_units, ==, 3);
    CHECK_INT(got.waits_ms[1], ==, 0);
    CHECK_INT(got.waits_ms[2], ==, 150);
    CHECK_INT(got.drained, ==, 7);
    CHECK_INT(got.next_ms, ==, 900);
    CHECK_INT(acquire_of("(wait 8 () -1)", &got, NULL), ==, MS_OK);
    CHECK_INT(got.n_units, ==, 0);
    CHECK_INT(got.next_ms, ==, MS_LIMIT_NEVER);
}

static TEST(test_an_answer_of_another_shape_is_refused)
{
    static const char *const trees[] = {
        "nil",           "ok",           "()",          "(ok)",
        "(ok 1)",        "(ok 1 2 3)",   "(ok x () 0)", "(ok 1 (0) x)",
        "(ok 1 (0))",    "(wait 1 nil)", "5",           "((ok))",
        "(okay 1 () 1)",
    };

    for (size_t i = 0; i < MS_COUNT_OF(trees); i++) {
        struct ms_acquired got = {.next_ms = 42};

        if (acquire_of(trees[i], &got, NULL) != MS_EPROTO)
            fail_msg("'%s' is taken", trees[i]);
        CHECK_INT(got.next_ms, ==, 42); /* written on success alone */
    }
}

static TEST(test_refusals_name_the_limit)
{
    static const struct {
        const char *tree;
        enum ms_err err;
        const char *text;
    } cases[] = {
        {"(unknown)", MS_ENOENT, "there is no limit 's'"},
        {"(over 30)", MS_EINVAL, "limit 's' holds 30 tokens, fewer"},
        {"(broken capacity)", MS_EINVAL,
         "limit 's': its capacity is no such number"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_acquired got;
        struct ms_error error;

        CHECK_INT(acquire_of(cases[i].tree, &got, &error), ==, cases[i].err);
        CHECK_CONTAINS(error.text, cases[i].text);
    }
}

static TEST(test_the_status_of_the_others)
{
    static const struct {
        const char *tree;
        enum ms_err err;
        const char *text;
    } cases[] = {
        {"(unknown)", MS_ENOENT, "there is no limit 's'"},
        {"(stale)", MS_ESTALE, "limit"},
        {"(incomplete capacity)", MS_EINVAL, "needs capacity and"},
        {"(over 5)", MS_EINVAL, "limit 's' holds 5 tokens"},
        {"(hm)", MS_EPROTO, "unknown shape"},
    };

    CHECK_INT(ms_limit_status_parse(ms_test_tree("(ok)"), "s", NULL), ==,
              MS_OK);
    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_error error;

        CHECK_INT(ms_limit_status_parse(ms_test_tree(cases[i].tree), "s",
                                        &error),
                  ==, cases[i].err);
        CHECK_CONTAINS(error.text, cases[i].text);
    }
}

static TEST(test_a_reservation_holds_while_nobody_drained)
{
    CHECK(ms_limit_drained_is(ms_test_tree("(5 3)"), 3) == false);
    CHECK(ms_limit_drained_is(ms_test_tree("('5' '3')"), 3));
    CHECK(ms_limit_drained_is(ms_test_tree("('5' nil)"), 0));
    CHECK(!ms_limit_drained_is(ms_test_tree("('5' '4')"), 3));
    CHECK(!ms_limit_drained_is(ms_test_tree("(nil nil)"), 0)); /* removed */
    CHECK(!ms_limit_drained_is(ms_test_tree("nil"), 0));
}

static TEST(test_info_is_read_whole_or_not_at_all)
{
    struct ms_limit_info info = {.acquired = 42};
    struct ms_error error;

    CHECK_INT(ms_limit_info_parse(ms_test_tree("(ok a b c 0 1 2)"), "s", &info,
                                  &error),
              ==, MS_EPROTO);
    CHECK_INT(info.acquired, ==, 42);
    CHECK_INT(ms_limit_info_parse(ms_test_tree("(unknown)"), "s", &info,
                                  &error),
              ==, MS_ENOENT);
}

static TEST(test_a_number_of_tokens_is_written_short)
{
    static const struct {
        double tokens;
        const char *text;
    } cases[] = {
        {0, "0"},           {1, "1"},         {30, "30"},
        {0.5, "0.5"},       {1e6, "1000000"}, {1.0 / 3, "0.333333"},
        {1e-6, "0.000001"},
    };
    char out[64];

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        CHECK_STR(ms_limit_format(cases[i].tokens, out, sizeof(out)),
                  cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_an_acquire_tells_the_wait_of_each_unit),
        RUN(test_an_answer_of_another_shape_is_refused),
        RUN(test_refusals_name_the_limit),
        RUN(test_the_status_of_the_others),
        RUN(test_a_reservation_holds_while_nobody_drained),
        RUN(test_info_is_read_whole_or_not_at_all),
        RUN(test_a_number_of_tokens_is_written_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

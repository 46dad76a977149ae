#include "common/name.h"

#include "tests/support/support.h"

static char *repeat(char c, size_t n)
{
    static char text[300];

    memset(text, c, n);
    text[n] = '\0';
    return text;
}

static TEST(test_names_of_the_grammar)
{
    static const char *const good[] = {"a",    "Z",         "0",
                                       "main", "a.b_c~d-e", "mail.welcome",
                                       "A-"};
    static const char *const bad[] = {"",         ".a",  "-a",   "_a",  "~a",
                                      "a b",      "a/b", "a{",   "a:b", "a\n",
                                      "\xc3\xa9", "a*",  "a\x7f"};

    for (size_t i = 0; i < MS_COUNT_OF(good); i++)
        CHECK(ms_name_is_valid(good[i]));
    for (size_t i = 0; i < MS_COUNT_OF(bad); i++)
        CHECK(!ms_name_is_valid(bad[i]));
}

static TEST(test_name_has_at_most_64_characters)
{
    CHECK(ms_name_is_valid(repeat('x', 64)));
    CHECK(!ms_name_is_valid(repeat('x', 65)));
}

static TEST(test_job_ids_of_the_grammar)
{
    CHECK(ms_job_id_is_valid("order:1.2_x-y"));
    CHECK(ms_job_id_is_valid(repeat('x', 128)));
    CHECK(!ms_job_id_is_valid(repeat('x', 129)));
    CHECK(!ms_job_id_is_valid("a~b"));
    CHECK(!ms_job_id_is_valid(":a"));
    CHECK(!ms_job_id_is_valid("a}b"));
    CHECK(!ms_job_id_is_valid(""));
}

/* "parent.12" names a chunk; a user's job of that name would be taken for
 * one. */
static TEST(test_users_ids_do_not_look_like_chunks)
{
    CHECK(!ms_job_id_is_users("import.0"));
    CHECK(!ms_job_id_is_users("a.b.123"));
    CHECK(ms_job_id_is_users("import.0x"));
    CHECK(ms_job_id_is_users("import."));
    CHECK(ms_job_id_is_users("v1.2-beta"));
    CHECK(ms_job_id_is_users("import-0"));
    CHECK(!ms_job_id_is_users("bad id"));
}

static TEST(test_check_names_what_is_wrong)
{
    struct ms_error error = {"untouched"};

    CHECK_INT(ms_name_check("queue", "mail", &error), ==, MS_OK);
    CHECK_STR(error.text, "untouched");
    CHECK_INT(ms_name_check("queue", "my mail", &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "queue 'my mail' is not a name");
    CHECK_INT(ms_job_id_check_users("a.1", &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "job id 'a.1' is not allowed");
    CHECK_INT(ms_job_id_check_users("a", NULL), ==, MS_OK);
}

/* The text goes to terminals and logs. */
static TEST(test_check_shows_no_control_characters)
{
    struct ms_error error;

    ms_name_check("queue", "a\033[2J\n\xff", &error);
    CHECK_CONTAINS(error.text, "'a?[2J?\?'");
}

static TEST(test_check_cuts_what_is_too_long)
{
    struct ms_error error;

    CHECK_INT(ms_name_check("queue", repeat('x', 299), &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "1 to 64 of");
    CHECK_INT(ms_job_id_check_users(repeat('x', 299), &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "1 to 128 of");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_names_of_the_grammar),
        RUN(test_name_has_at_most_64_characters),
        RUN(test_job_ids_of_the_grammar),
        RUN(test_users_ids_do_not_look_like_chunks),
        RUN(test_check_names_what_is_wrong),
        RUN(test_check_shows_no_control_characters),
        RUN(test_check_cuts_what_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

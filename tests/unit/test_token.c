#include "common/token.h"

#include <stdlib.h>

#include "tests/support/support.h"

static enum ms_err read_text(const char *text, size_t len, char **out_token,
                             struct ms_error *error)
{
    char *path = ms_test_file("token", text, len);
    enum ms_err err = ms_token_read(path, out_token, error);

    free(path);
    return err;
}

static TEST(test_a_missing_file_is_named)
{
    struct ms_error error;
    char *token = NULL;

    CHECK_INT(ms_token_read("/nowhere/token", &token, &error), ==, MS_EIO);
    CHECK_CONTAINS(error.text, "'/nowhere/token': No such file");
    CHECK_INT(ms_token_read("/", &token, &error), ==, MS_EIO);
    CHECK(token == NULL);
}

/* An empty file, say of a secret not yet filled in, must open no door. */
static TEST(test_what_is_no_token_is_refused_and_not_repeated)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"", 0},          {"\n", 1},     {" \t\r\n ", 5},
        {"two words", 9}, {"a\nb\n", 4}, {"secret\0more", 11},
        {"\xc3\xa4", 2},
    };
    char *token = NULL;
    char large[1025];

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_error error;

        CHECK_INT(read_text(cases[i].text, cases[i].len, &token, &error), ==,
                  MS_EINVAL);
        CHECK_CONTAINS(error.text, "token' must hold 1 to 1024");
        CHECK(strstr(error.text, "secret") == NULL);
    }
    memset(large, 'x', sizeof(large));
    CHECK_INT(read_text(large, 1025, &token, NULL), ==, MS_EINVAL);
    CHECK(token == NULL);
    CHECK_INT(read_text(large, 1024, &token, NULL), ==, MS_OK);
    CHECK_INT(strlen(token), ==, 1024);
    free(token);
}

static TEST(test_white_space_at_the_ends_is_not_part_of_it)
{
    char *token;

    CHECK_INT(read_text(" s3cret\r\n", 9, &token, NULL), ==, MS_OK);
    CHECK_STR(token, "s3cret");
    free(token);
}

static TEST(test_only_the_whole_token_matches)
{
    static const char *const wrong[] = {
        NULL,
        "",
        "Bearer",
        "Bearer ",
        "Bearer s3cre",
        "Bearer s3crett",
        "Bearer s3crets3cret",
        "Bearer S3cret",
        "Bearer  s3cret",
        "Bearer s3cret ",
        "Basic s3cret",
        "s3cret",
    };

    for (size_t i = 0; i < MS_COUNT_OF(wrong); i++)
        CHECK(!ms_token_matches("s3cret", wrong[i]));
    CHECK(ms_token_matches("s3cret", "Bearer s3cret"));
    CHECK(ms_token_matches("s3cret", "bearer s3cret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_missing_file_is_named),
        RUN(test_what_is_no_token_is_refused_and_not_repeated),
        RUN(test_white_space_at_the_ends_is_not_part_of_it),
        RUN(test_only_the_whole_token_matches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/err.h"

#include "tests/support/support.h"

static TEST(test_every_class_has_a_word_of_its_own)
{
    for (int i = MS_OK; i <= MS_ENOTSUP; i++) {
        const char *name = ms_err_name((enum ms_err)i);

        CHECK(name != NULL && name[0] != '\0');
        CHECK(strcmp(name, "unknown") != 0);
        CHECK(strchr(name, ' ') == NULL); /* logs take it without quotes */
        for (int j = MS_OK; j < i; j++)
            CHECK(strcmp(name, ms_err_name((enum ms_err)j)) != 0);
    }
}

static TEST(test_number_of_no_class_is_unknown)
{
    CHECK_STR(ms_err_name((enum ms_err)(MS_ENOTSUP + 1)), "unknown");
    CHECK_STR(ms_err_name((enum ms_err) - 1), "unknown");
}

static TEST(test_set_writes_the_text_and_returns_the_class)
{
    struct ms_error error;

    CHECK_INT(ms_error_set(&error, MS_EBUSY, "%s is %d", "it", 5), ==,
              MS_EBUSY);
    CHECK_STR(error.text, "it is 5");
}

static TEST(test_set_without_a_reader_only_returns)
{
    CHECK_INT(ms_error_set(NULL, MS_EIO, "%s", "nobody"), ==, MS_EIO);
}

static TEST(test_long_text_is_cut)
{
    struct ms_error error;
    char text[2000];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    ms_error_set(&error, MS_EIO, "%s", text);
    CHECK_INT(strlen(error.text), ==, sizeof(error.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_every_class_has_a_word_of_its_own),
        RUN(test_number_of_no_class_is_unknown),
        RUN(test_set_writes_the_text_and_returns_the_class),
        RUN(test_set_without_a_reader_only_returns),
        RUN(test_long_text_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The demo's input must be such that a checksum of it means something. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/support.h"

/* What deb2ndjson makes of this index, as a new string. */
static char *convert(const char *index, const char *copies)
{
    char *path = ms_test_file("index", index, strlen(index));
    char *command = ms_xasprintf("'%s/deb2ndjson' %s < '%s'", MS_TEST_BIN_DIR,
                                 copies, path);
    const char *argv[] = {"sh", "-c", command, NULL};
    char *out = NULL;

    CHECK_INT(ms_proc_run(argv, NULL, &out, NULL), ==, 0);
    free(command);
    free(path);
    return out;
}

static TEST(test_paragraphs_become_one_object_each)
{
    char *out = convert("Package: a\nSize: 12\nDepends: b, c\n\n"
                        "Package: b\nVersion: 012\n",
                        "");

    CHECK_STR(out, "{\"id\":\"a\",\"package\":\"a\",\"size\":12,"
                   "\"depends\":\"b, c\"}\n"
                   "{\"id\":\"b\",\"package\":\"b\",\"version\":\"012\"}\n");
    free(out);
}

static TEST(test_a_folded_field_keeps_its_lines)
{
    char *out = convert("Package: a\nTag: x,\n y\n", "1");

    CHECK_STR(out, "{\"id\":\"a\",\"package\":\"a\",\"tag\":\"x,\\ny\"}\n");
    free(out);
}

/* A machine with several suites has most packages twice. */
static TEST(test_no_id_stands_twice)
{
    char *out = convert("Package: a\n\nPackage: a\n\nPackage: b\n", "2");

    CHECK_STR(out, "{\"id\":\"a\",\"package\":\"a\"}\n"
                   "{\"id\":\"a#2\",\"package\":\"a\"}\n"
                   "{\"id\":\"b\",\"package\":\"b\"}\n"
                   "{\"id\":\"2/a\",\"package\":\"a\"}\n"
                   "{\"id\":\"2/a#2\",\"package\":\"a\"}\n"
                   "{\"id\":\"2/b\",\"package\":\"b\"}\n");
    free(out);
}

static TEST(test_what_is_no_package_is_left_out)
{
    char *out = convert("\n\nOrigin: Debian\n\n no field\nnonsense\n", "");

    CHECK_STR(out, "");
    free(out);
}

/* An index with Latin-1 in it must not become a reject. */
static TEST(test_bad_utf8_is_replaced)
{
    char *out = convert("Package: a\nMaintainer: Ren\xe9\n", "");

    CHECK_CONTAINS(out, "\"maintainer\":\"Ren\xef\xbf\xbd\"");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_paragraphs_become_one_object_each),
        RUN(test_a_folded_field_keeps_its_lines),
        RUN(test_no_id_stands_twice),
        RUN(test_what_is_no_package_is_left_out),
        RUN(test_bad_utf8_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

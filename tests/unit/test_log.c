#include "common/log.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/support/support.h"

/* Standard error goes into a pipe while a test logs. */
static int kept_stderr;
static int ends[2];
static char caught[8192];

static void catch_start(void)
{
    CHECK(pipe(ends) == 0);
    kept_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

static const char *catch_end(void)
{
    size_t len = 0;
    ssize_t n;

    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    while ((n = read(ends[0], caught + len, sizeof(caught) - 1 - len)) > 0)
        len += (size_t)n;
    close(ends[0]);
    caught[len] = '\0';
    ms_log_configure(MS_INFO, false);
    return caught;
}

static TEST(test_line_is_logfmt_with_a_stamp)
{
    const char *line;

    catch_start();
    ms_log(MS_WARN, "lease", "renew_failed", "err=%s retry_ms=%d", "down", 500);
    line = catch_end();
    CHECK(strncmp(line, "ts=20", 5) == 0);
    CHECK_CONTAINS(line, "Z level=warn mod=lease event=renew_failed err=down "
                         "retry_ms=500\n");
    CHECK_INT(strcspn(line, " "), ==, strlen("ts=2026-01-02T03:04:05.678Z"));
}

static TEST(test_line_without_fields_ends_cleanly)
{
    catch_start();
    ms_log(MS_INFO, "main", "started", "%s", "");
    CHECK_CONTAINS(catch_end(), "event=started");
}

static TEST(test_lower_levels_are_silent)
{
    catch_start();
    ms_log_configure(MS_WARN, false);
    ms_log(MS_INFO, "a", "quiet", "n=%d", 1);
    ms_log(MS_ERROR, "a", "loud", "n=%d", 1);
    CHECK(!ms_log_is_on(MS_INFO));
    CHECK(ms_log_is_on(MS_WARN));
    CHECK(strstr(catch_end(), "quiet") == NULL);
    CHECK_CONTAINS(caught, "loud");
}

static TEST(test_json_lines_are_objects_of_strings)
{
    char quoted[64];

    catch_start();
    ms_log_configure(MS_INFO, true);
    ms_log(MS_INFO, "m", "e", "a=1 b=%s c=x\\y",
           ms_log_quote("two \"words\"\n", quoted, sizeof(quoted)));
    CHECK_CONTAINS(catch_end(),
                   "\",\"level\":\"info\",\"mod\":\"m\",\"event\":\"e\","
                   "\"a\":\"1\",\"b\":\"two \\\"words\\\"\\n\","
                   "\"c\":\"x\\\\y\"}\n");
    CHECK(strncmp(caught, "{\"ts\":\"20", 9) == 0);
}

static TEST(test_quote_only_where_needed)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"plain", "plain"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"line\nbreak", "\"line\\nbreak\""},
        {"tab\there", "\"tab\\u0009here\""},
        {"esc\033[2J", "\"esc\\u001b[2J\""}, /* or it would drive a terminal */
        {"caf\xc3\xa9", "caf\xc3\xa9"},
    };
    char out[64];

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        CHECK_STR(ms_log_quote(cases[i].text, out, sizeof(out)), cases[i].want);
}

static TEST(test_quote_cuts_between_escapes)
{
    char out[12];

    CHECK_STR(ms_log_quote("abcdefghijklmnop", out, sizeof(out)),
              "\"abcdefghi\"");
    CHECK_STR(ms_log_quote("abcdefgh\nxyz", out, sizeof(out)), "\"abcdefgh\"");
}

static TEST(test_levels_have_words)
{
    enum ms_log_level level = MS_ERROR;

    CHECK(ms_log_parse_level("debug", &level) && level == MS_DEBUG);
    CHECK(ms_log_parse_level("info", &level) && level == MS_INFO);
    CHECK(ms_log_parse_level("warn", &level) && level == MS_WARN);
    CHECK(ms_log_parse_level("error", &level) && level == MS_ERROR);
    CHECK(!ms_log_parse_level("INFO", &level));
    CHECK(!ms_log_parse_level("", &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_line_is_logfmt_with_a_stamp),
        RUN(test_line_without_fields_ends_cleanly),
        RUN(test_lower_levels_are_silent),
        RUN(test_json_lines_are_objects_of_strings),
        RUN(test_quote_only_where_needed),
        RUN(test_quote_cuts_between_escapes),
        RUN(test_levels_have_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdio.h>

#include "ctl/command.h"
#include "ctl/ctl.h"
#include "tests/support/support.h"

static enum ms_err run(struct ms_ctl *ctl, struct ms_error *error)
{
    return MS_OK;
}

static const struct ms_option show_options[] = {
    {"queue", "Q", "its queue"},   {"limit", "N", "how many"},
    {"timeout", "D", "how long"},  {"size", "SIZE", "how large"},
    {"wait", NULL, "wait for it"}, {NULL, NULL, NULL},
};
static const struct ms_command jobs[] = {
    {"job", "show", "ID [MORE]", 1, 2, "show a job", show_options, run},
    {"job", "set", "ID key=value ...", 2, -1, "set things", NULL, run},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct ms_command others[] = {
    {"status", NULL, "", 0, 0, "how it is", NULL, run},
    {"job", "drop", "", 0, 0, "in another table", NULL, run},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct ms_command *const table[] = {jobs, others, NULL};

/* Splits at spaces; "''" is an empty word. */
struct words {
    char text[512];
    char *argv[32];
};

static enum ms_err parse(struct words *words, const char *text,
                         struct ms_cli *cli, struct ms_error *error)
{
    size_t n = 0;

    snprintf(words->text, sizeof(words->text), "musterctl %s", text);
    for (char *word = strtok(words->text, " "); word != NULL;
         word = strtok(NULL, " "))
        words->argv[n++] = strcmp(word, "''") == 0 ? word + 2 : word;
    words->argv[n] = NULL;
    return ms_cli_parse(table, words->argv, cli, error);
}

static void check_misuse(const char *text, const char *why)
{
    struct words words;
    struct ms_cli cli;
    struct ms_error error = {""};

    CHECK_INT(parse(&words, text, &cli, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, why);
}

static void check_good(struct words *words, const char *text,
                       struct ms_cli *cli)
{
    struct ms_error error = {""};

    if (parse(words, text, cli, &error) != MS_OK)
        print_error("%s: %s\n", text, error.text);
    CHECK_INT(parse(words, text, cli, NULL), ==, MS_OK);
}

static TEST(test_wrong_use_is_refused_and_named)
{
    check_misuse("", "which command?");
    check_misuse("--json", "which command?");
    check_misuse("top", "unknown command 'top'");
    check_misuse("job", "job what?");
    check_misuse("job fly", "unknown command 'job fly'");
    check_misuse("job show", "missing argument: ID");
    check_misuse("job set x", "missing argument: ID key=value");
    check_misuse("job show a b c", "unexpected argument 'c'");
    check_misuse("status now", "unexpected argument 'now'");
}

static TEST(test_wrong_options_are_refused_and_named)
{
    check_misuse("job show x --quick", "unknown option '--quick'");
    check_misuse("job show x --queu q", "unknown option '--queu'");
    check_misuse("job show x --queue", "--queue needs a value (Q)");
    check_misuse("job show x --wait=1", "--wait takes no value");
    check_misuse("--json=yes status", "--json takes no value");
    check_misuse("job --queue q show x", "unknown option '--queue'");
    check_misuse("job set a b --queue q", "unknown option '--queue'");
    check_misuse("--redis", "--redis needs a value (URL)");
}

static TEST(test_options_stand_anywhere_behind_the_verb)
{
    struct words words;
    struct ms_cli cli;

    check_good(&words, "job show --queue q x --limit=7 --wait y", &cli);
    CHECK_STR(cli.command->verb, "show");
    CHECK_INT(cli.n_args, ==, 2);
    CHECK_STR(cli.args[0], "x");
    CHECK_STR(cli.args[1], "y");
    CHECK(cli.args[2] == NULL);
    CHECK_STR(ms_cli_get(&cli, "queue"), "q");
    CHECK_STR(ms_cli_get(&cli, "limit"), "7");
    CHECK(ms_cli_has(&cli, "wait"));
    CHECK(!ms_cli_has(&cli, "size"));
}

static TEST(test_global_flags_stand_before_and_after_the_noun)
{
    struct words words;
    struct ms_cli cli;

    check_good(&words,
               "--json --redis=unix:///a job --fleet f show --config c x",
               &cli);
    CHECK(cli.json);
    CHECK_STR(cli.redis, "unix:///a");
    CHECK_STR(cli.fleet, "f");
    CHECK_STR(cli.config, "c");
    CHECK_STR(cli.args[0], "x");
    check_good(&words, "status --json", &cli);
    CHECK(cli.json);
    check_good(&words, "job drop", &cli);
    CHECK_STR(cli.command->help, "in another table");
}

/* A payload may begin with a dash, and so may what stands behind "--". */
static TEST(test_dashes_that_are_arguments)
{
    struct words words;
    struct ms_cli cli;

    check_good(&words, "job show - -5", &cli);
    CHECK_STR(cli.args[0], "-");
    CHECK_STR(cli.args[1], "-5");
    check_good(&words, "job show --wait -- --queue --", &cli);
    CHECK_STR(cli.args[0], "--queue");
    CHECK_STR(cli.args[1], "--");
    CHECK(!ms_cli_has(&cli, "queue"));
}

static TEST(test_an_empty_value_is_a_value)
{
    struct words words;
    struct ms_cli cli;

    check_good(&words, "job show x --queue=", &cli);
    CHECK_STR(ms_cli_get(&cli, "queue"), "");
    check_good(&words, "job show x --queue ''", &cli);
    CHECK_STR(ms_cli_get(&cli, "queue"), "");
}

static TEST(test_numbers_durations_and_sizes_are_checked)
{
    struct words words;
    struct ms_cli cli;
    struct ms_error error;
    int64_t n = 42;

    check_good(&words, "job show x", &cli);
    CHECK_INT(ms_cli_int(&cli, "limit", 1, 9, &n, NULL), ==, MS_OK);
    CHECK_INT(n, ==, 42); /* not given: left alone */
    check_good(&words, "job show x --limit 9 --timeout 2m --size 4KiB", &cli);
    CHECK_INT(ms_cli_int(&cli, "limit", 1, 9, &n, NULL), ==, MS_OK);
    CHECK_INT(n, ==, 9);
    CHECK_INT(ms_cli_int(&cli, "limit", 1, 8, &n, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "--limit wants a number from 1 to 8, not '9'");
    CHECK_INT(ms_cli_duration(&cli, "timeout", &n, NULL), ==, MS_OK);
    CHECK_INT(n, ==, 120000);
    CHECK_INT(ms_cli_size(&cli, "size", &n, NULL), ==, MS_OK);
    CHECK_INT(n, ==, 4096);
    check_good(&words, "job show x --limit 9x --timeout 9 --size x", &cli);
    CHECK_INT(ms_cli_int(&cli, "limit", 1, 9, &n, NULL), ==, MS_EINVAL);
    CHECK_INT(ms_cli_duration(&cli, "timeout", &n, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "--timeout: ");
    CHECK_INT(ms_cli_size(&cli, "size", &n, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "--size: ");
    check_good(&words, "job show x --limit=", &cli);
    CHECK_INT(ms_cli_int(&cli, "limit", 0, 9, &n, NULL), ==, MS_EINVAL);
}

static const char *help_of(struct ms_buf *out, const char *text)
{
    struct words words;
    struct ms_cli cli;

    check_good(&words, text, &cli);
    CHECK(cli.help);
    ms_buf_clear(out);
    ms_cli_help(table, &cli, out);
    return ms_buf_str(out);
}

static TEST(test_help_is_there_at_every_level)
{
    struct ms_buf out = MS_BUF_INIT;

    CHECK_CONTAINS(help_of(&out, "--help"), "status");
    CHECK_CONTAINS(help_of(&out, "-h"), "job set ID key=value ...");
    CHECK_CONTAINS(help_of(&out, "job --help"), "show a job");
    CHECK(strstr(help_of(&out, "job --help"), "how it is") == NULL);
    CHECK_CONTAINS(help_of(&out, "job show --help"),
                   "usage: musterctl job show ID [MORE] [--queue Q]");
    CHECK_CONTAINS(help_of(&out, "job show --help"), "wait for it");
    CHECK_CONTAINS(help_of(&out, "job show --help"), "--redis URL");
    CHECK_CONTAINS(help_of(&out, "--help status"), "usage: musterctl status");
    ms_buf_done(&out);
}

static TEST(test_version_needs_no_command)
{
    struct words words;
    struct ms_cli cli;

    check_good(&words, "--version", &cli);
    CHECK(cli.version);
}

static TEST(test_usage_says_how_far_it_came)
{
    struct ms_buf out = MS_BUF_INIT;
    struct words words;
    struct ms_cli cli;

    CHECK_INT(parse(&words, "job", &cli, NULL), ==, MS_EINVAL);
    ms_cli_usage(&cli, &out);
    CHECK_CONTAINS(ms_buf_str(&out), "musterctl job --help");
    ms_buf_clear(&out);
    CHECK_INT(parse(&words, "job set", &cli, NULL), ==, MS_EINVAL);
    ms_cli_usage(&cli, &out);
    CHECK_STR(ms_buf_str(&out), "usage: musterctl job set ID key=value ...\n");
    ms_buf_done(&out);
}

/* The real table: what later issues bring is not there, and every entry is
 * fit to be shown and run. */
static TEST(test_every_command_of_musterctl_is_whole)
{
    for (const struct ms_command *const *t = ms_commands; *t != NULL; t++) {
        for (const struct ms_command *c = *t; c->noun != NULL; c++) {
            int n = 0;

            CHECK(c->run != NULL && c->help != NULL && c->args != NULL);
            CHECK(c->max_args < 0 || c->max_args >= c->min_args);
            for (const struct ms_option *o = c->options;
                 o != NULL && o->name != NULL; o++, n++)
                CHECK(o->help != NULL && strncmp(o->name, "--", 2) != 0);
            CHECK_INT(n, <=, MS_CLI_OPTIONS);
        }
    }
}

static TEST(test_commands_of_later_issues_are_unknown)
{
    static const char *const later[][3] = {
        {"upload", "put"},     {"location", "list"}, {"dataset", "reshard"},
        {"dataset", "verify"}, {"dump", "rate"},     {"dump", "export"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(later); i++) {
        char program[] = "musterctl";
        char *argv[] = {program, (char *)later[i][0], (char *)later[i][1],
                        NULL};
        struct ms_cli cli;
        struct ms_error error = {""};

        CHECK_INT(ms_cli_parse(ms_commands, argv, &cli, &error), ==, MS_EINVAL);
        CHECK_CONTAINS(error.text, "unknown command");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_wrong_use_is_refused_and_named),
        RUN(test_wrong_options_are_refused_and_named),
        RUN(test_options_stand_anywhere_behind_the_verb),
        RUN(test_global_flags_stand_before_and_after_the_noun),
        RUN(test_dashes_that_are_arguments),
        RUN(test_an_empty_value_is_a_value),
        RUN(test_numbers_durations_and_sizes_are_checked),
        RUN(test_help_is_there_at_every_level),
        RUN(test_version_needs_no_command),
        RUN(test_usage_says_how_far_it_came),
        RUN(test_every_command_of_musterctl_is_whole),
        RUN(test_commands_of_later_issues_are_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/support.h"

/* ---- what goes to standard output and error ---- */

struct capture {
    int saved[2];
    char *paths[2];
    char text[2][4096]; /* out, err */
};

static void capture_start(struct capture *capture)
{
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        int fd;

        capture->paths[i] = ms_test_file(i == 0 ? "out" : "err", "", 0);
        fd = open(capture->paths[i], O_WRONLY | O_TRUNC | O_CLOEXEC);
        capture->saved[i] = dup(i + 1);
        CHECK(fd >= 0 && capture->saved[i] >= 0);
        dup2(fd, i + 1);
        close(fd);
    }
}

static void capture_stop(struct capture *capture)
{
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(capture->paths[i], "re");
        size_t len;

        dup2(capture->saved[i], i + 1);
        close(capture->saved[i]);
        len = fread(capture->text[i], 1, sizeof(capture->text[i]) - 1, file);
        capture->text[i][len] = '\0';
        fclose(file);
        free(capture->paths[i]);
    }
}

/* Parses up to three words; what was printed is in *capture. */
static enum ms_options_result parse(const char *one, const char *two,
                                    const char *three,
                                    struct ms_options *options,
                                    struct capture *capture)
{
    char *argv[5] = {(char *)"/some/path/muster-x"};
    enum ms_options_result result;
    int argc = 1;

    for (int i = 0; i < 3; i++) {
        const char *word = i == 0 ? one : i == 1 ? two : three;

        if (word != NULL)
            argv[argc++] = (char *)word;
    }
    capture_start(capture);
    result = ms_options_parse("muster-x", "  --more    extra\n", argc, argv,
                              options);
    capture_stop(capture);
    return result;
}

/* ---- the command line ---- */

static TEST(test_misuse_is_one_line_that_names_the_word)
{
    static const char *const cases[][3] = {
        {"--bogus", NULL, "'--bogus'"},
        {"-x", NULL, "'-x'"},
        {"--config", NULL, "'--config'"},
        {"--fleet", NULL, "'--fleet'"},
        {"start", NULL, "'start'"},
        {"--check-config", "now", "'now'"},
        {"--help=me", NULL, "'--help=me'"},
        {"--c", "x", "'--c'"}, /* --config or --check-config? */
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_options options = {.check_config = true};
        struct capture capture;

        CHECK_INT(parse(cases[i][0], cases[i][1], NULL, &options, &capture), ==,
                  MS_OPTIONS_MISUSED);
        CHECK_STR(capture.text[0], "");
        CHECK_CONTAINS(capture.text[1], cases[i][2]);
        CHECK(strncmp(capture.text[1], "muster-x: ", 10) == 0);
        CHECK(strchr(capture.text[1], '\n') ==
              capture.text[1] + strlen(capture.text[1]) - 1);
        CHECK(options.check_config); /* untouched */
    }
}

static TEST(test_options_are_read_in_both_spellings)
{
    struct ms_options options;
    struct capture capture;

    CHECK_INT(parse("--config", "a.yaml", "--fleet=blue", &options, &capture),
              ==, MS_OPTIONS_RUN);
    CHECK_STR(options.flags.config, "a.yaml");
    CHECK_STR(options.flags.fleet, "blue");
    CHECK_STR(options.flags.redis, NULL);
    CHECK(!options.check_config);
    CHECK_INT(parse("--redis=unix:///r", "--check-config", NULL, &options,
                    &capture),
              ==, MS_OPTIONS_RUN);
    CHECK_STR(options.flags.redis, "unix:///r");
    CHECK_STR(options.flags.config, NULL);
    CHECK(options.check_config);
    CHECK_STR(capture.text[0], "");
    CHECK_STR(capture.text[1], "");
}

static TEST(test_help_and_version_go_to_standard_output)
{
    struct ms_options options;
    struct capture capture;

    CHECK_INT(parse("--help", NULL, NULL, &options, &capture), ==,
              MS_OPTIONS_DONE);
    CHECK_CONTAINS(capture.text[0], "Usage: muster-x");
    CHECK_CONTAINS(capture.text[0], "--check-config");
    CHECK_CONTAINS(capture.text[0], "  --more    extra\n");
    CHECK_STR(capture.text[1], "");
    CHECK_INT(parse("--version", "--bogus", NULL, &options, &capture), ==,
              MS_OPTIONS_DONE);
    CHECK_CONTAINS(capture.text[0], "muster-x 0.");
}

/* ---- loading ---- */

static enum ms_exit load(const char *yaml, bool check_config,
                         ms_options_check_fn *check, struct ms_conf **out_conf,
                         struct capture *capture)
{
    char *path = ms_test_file("o.yaml", yaml, strlen(yaml));
    struct ms_options options = {.flags.config = path,
                                 .check_config = check_config};
    enum ms_exit code;

    capture_start(capture);
    code = ms_options_load("muster-x", &options, check, NULL, out_conf);
    capture_stop(capture);
    free(path);
    return code;
}

static TEST(test_a_bad_configuration_is_misuse_with_file_and_line)
{
    struct ms_conf *conf = NULL;
    struct capture capture;

    CHECK_INT(load("\nflet: x\n", false, NULL, &conf, &capture), ==,
              MS_EXIT_MISUSED);
    CHECK(strncmp(capture.text[1], "muster-x: /", 11) == 0);
    CHECK_CONTAINS(capture.text[1], "o.yaml:2: unknown option 'flet'\n");
    CHECK_STR(capture.text[0], "");
    CHECK_INT(load("\nflet: x\n", true, NULL, &conf, &capture), ==,
              MS_EXIT_MISUSED);
    CHECK(conf == NULL);
}

static TEST(test_a_missing_file_is_misuse)
{
    struct ms_options options = {.flags.config = "/nowhere/o.yaml"};
    struct ms_conf *conf = NULL;
    struct capture capture;
    enum ms_exit code;

    capture_start(&capture);
    code = ms_options_load("muster-x", &options, NULL, NULL, &conf);
    capture_stop(&capture);
    CHECK_INT(code, ==, MS_EXIT_MISUSED);
    CHECK_CONTAINS(capture.text[1], "cannot open '/nowhere/o.yaml'");
}

static TEST(test_what_a_program_demands_besides_is_checked_when_it_runs)
{
    struct ms_conf *conf = NULL;
    struct capture capture;

    CHECK_INT(load("fleet: x\n", false, ms_conf_check_worker, &conf, &capture),
              ==, MS_EXIT_MISUSED);
    CHECK_CONTAINS(capture.text[1], "muster-x: no queue is declared");
    CHECK(conf == NULL);
    CHECK_INT(load("worker: {queues: [a]}\n", false, ms_conf_check_worker,
                   &conf, &capture),
              ==, MS_EXIT_NONE);
    CHECK_STR(conf->worker_queues[0], "a");
    ms_conf_free(conf);
}

/* The file in conf/ declares no queue, and is a good file. */
static TEST(test_check_config_judges_the_file_alone)
{
    struct ms_conf *conf = NULL;
    struct capture capture;

    CHECK_INT(load("fleet: x\n", true, ms_conf_check_worker, &conf, &capture),
              ==, MS_EXIT_OK);
    CHECK_STR(capture.text[0], "muster-x: the configuration is good\n");
    CHECK_STR(capture.text[1], "");
    CHECK(conf == NULL);
}

static TEST(test_loading_configures_the_log)
{
    struct ms_conf *conf = NULL;
    struct capture capture;

    CHECK_INT(load("log: {level: error}\n", false, NULL, &conf, &capture), ==,
              MS_EXIT_NONE);
    CHECK(!ms_log_is_on(MS_WARN));
    ms_conf_free(conf);
    CHECK_INT(load("log: {level: debug}\n", false, NULL, &conf, &capture), ==,
              MS_EXIT_NONE);
    CHECK(ms_log_is_on(MS_DEBUG));
    ms_conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_misuse_is_one_line_that_names_the_word),
        RUN(test_options_are_read_in_both_spellings),
        RUN(test_help_and_version_go_to_standard_output),
        RUN(test_a_bad_configuration_is_misuse_with_file_and_line),
        RUN(test_a_missing_file_is_misuse),
        RUN(test_what_a_program_demands_besides_is_checked_when_it_runs),
        RUN(test_check_config_judges_the_file_alone),
        RUN(test_loading_configures_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

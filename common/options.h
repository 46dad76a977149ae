/*
 * options: the command line that the two daemons share, and what a main() does
 * before there is anything to run: read it, load the configuration, set up the
 * log, say what is wrong.
 *
 *     switch (ms_options_parse("muster-worker", "", argc, argv, &options)) ...
 *     code = ms_options_load("muster-worker", &options, ms_conf_check_worker,
 *                            &conf);
 *     if (code != MS_EXIT_NONE)
 *         return code;
 *
 * Complaints are one line on standard error, "muster-worker: what is wrong".
 */
#pragma once

#include <stdbool.h>

#include "common/conf.h"

enum ms_exit {
    MS_EXIT_NONE = -1, /* go on */
    MS_EXIT_OK = 0,
    MS_EXIT_FAILED = 1,
    MS_EXIT_MISUSED = 2
};

struct ms_options {
    struct ms_conf_flags flags; /* point into argv */
    bool check_config;
};

enum ms_options_result {
    MS_OPTIONS_RUN,    /* `out` is set */
    MS_OPTIONS_DONE,   /* --help or --version was printed: MS_EXIT_OK */
    MS_OPTIONS_MISUSED /* and said so: MS_EXIT_MISUSED */
};

/* `usage_extra` are further lines for --help, may be "".  Reorders argv. */
enum ms_options_result ms_options_parse(const char *program,
                                        const char *usage_extra, int argc,
                                        char **argv, struct ms_options *out);

/* Loads the configuration by these flags and the environment, and configures
 * the log by it.  MS_EXIT_NONE, and the caller frees *out_conf; or the code to
 * exit with: MS_EXIT_MISUSED where something is wrong with it, MS_EXIT_OK for
 * --check-config.  `check` is what this program demands besides when it is to
 * run, `check_only` what --check-config looks at besides, which a start would
 * find by itself; NULL: nothing. */
typedef enum ms_err ms_options_check_fn(const struct ms_conf *conf,
                                        struct ms_error *error);
enum ms_exit ms_options_load(const char *program,
                             const struct ms_options *options,
                             ms_options_check_fn *check,
                             ms_options_check_fn *check_only,
                             struct ms_conf **out_conf);

/* "program: text" on standard error. */
void ms_complain(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

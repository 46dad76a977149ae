#include "common/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "muster_version.h"

enum { HELP = 'h', VERSION = 'V', CONFIG = 256, CHECK_CONFIG, REDIS, FLEET };

static const struct option longs[] = {
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {"config", required_argument, NULL, CONFIG},
    {"check-config", no_argument, NULL, CHECK_CONFIG},
    {"redis", required_argument, NULL, REDIS},
    {"fleet", required_argument, NULL, FLEET},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "  --config FILE    the configuration (MUSTER_CONFIG; none: the defaults)\n"
    "  --check-config   say whether the configuration is good, and exit\n"
    "  --redis URL      the Redis to use (MUSTER_REDIS_URL, redis.url)\n"
    "  --fleet NAME     the fleet to join (MUSTER_FLEET, fleet)\n"
    "  --help           show this, and exit\n"
    "  --version        show the version, and exit\n";

void ms_complain(const char *program, const char *format, ...)
{
    struct ms_buf line = MS_BUF_INIT;
    va_list args;

    ms_buf_addf(&line, "%s: ", program);
    va_start(args, format);
    ms_buf_addv(&line, format, args);
    va_end(args);
    ms_buf_addc(&line, '\n');
    fwrite(line.data, 1, line.len, stderr);
    ms_buf_done(&line);
}

static enum ms_options_result misuse(const char *program, const char *what,
                                     const char *word)
{
    ms_complain(program, "%s '%s' (--help shows what there is)", what, word);
    return MS_OPTIONS_MISUSED;
}

/* Takes one option.  MS_OPTIONS_RUN: go on with the next. */
static enum ms_options_result take(int option, const char *program,
                                   const char *usage_extra, char **argv,
                                   struct ms_options *options)
{
    switch (option) {
    case HELP:
        printf("Usage: %s [OPTION]...\n\n%s%s", program, usage, usage_extra);
        return MS_OPTIONS_DONE;
    case VERSION:
        printf("%s %s\n", program, MUSTER_VERSION);
        return MS_OPTIONS_DONE;
    case CONFIG:
        options->flags.config = optarg;
        return MS_OPTIONS_RUN;
    case CHECK_CONFIG:
        options->check_config = true;
        return MS_OPTIONS_RUN;
    case REDIS:
        options->flags.redis = optarg;
        return MS_OPTIONS_RUN;
    case FLEET:
        options->flags.fleet = optarg;
        return MS_OPTIONS_RUN;
    case ':':
        return misuse(program, "a value is missing behind", argv[optind - 1]);
    default:
        return misuse(program, "unknown option", argv[optind - 1]);
    }
}

enum ms_options_result ms_options_parse(const char *program,
                                        const char *usage_extra, int argc,
                                        char **argv, struct ms_options *out)
{
    struct ms_options options = {.check_config = false};
    enum ms_options_result result = MS_OPTIONS_RUN;
    int option;

    opterr = 0; /* we complain ourselves */
    optind = 0; /* glibc: begin anew */
    while (result == MS_OPTIONS_RUN &&
           (option = getopt_long(argc, argv, ":hV", longs, NULL)) != -1)
        result = take(option, program, usage_extra, argv, &options);
    if (result == MS_OPTIONS_RUN && optind < argc)
        return misuse(program, "unexpected argument", argv[optind]);
    if (result == MS_OPTIONS_RUN)
        *out = options;
    return result;
}

enum ms_exit ms_options_load(const char *program,
                             const struct ms_options *options,
                             ms_options_check_fn *check,
                             ms_options_check_fn *check_only,
                             struct ms_conf **out_conf)
{
    struct ms_conf *conf = NULL;
    struct ms_error error;
    enum ms_err err = ms_conf_load(&options->flags, environ, &conf, &error);

    if (options->check_config)
        check = check_only;
    if (err == MS_OK && check != NULL)
        err = check(conf, &error);
    if (err == MS_OK && options->check_config) {
        printf("%s: the configuration is good\n", program);
        ms_conf_free(conf);
        return MS_EXIT_OK;
    }
    if (err != MS_OK) {
        ms_complain(program, "%s", error.text);
        ms_conf_free(conf);
        return MS_EXIT_MISUSED;
    }
    ms_log_configure(conf->log_level, conf->log_json);
    *out_conf = conf;
    return MS_EXIT_NONE;
}

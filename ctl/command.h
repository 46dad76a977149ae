/*
 * command: the command line of musterctl, read against a table.
 *
 *     musterctl [GLOBAL ...] NOUN [VERB] [ARGUMENT ...] [--option VALUE ...]
 *
 * One table entry is one command; parsing, help and usage lines follow it.
 * Options are long, "--name value" or "--name=value", in any order behind
 * the verb; global flags may stand anywhere; "--" ends the options; a lone
 * "-" and numbers below zero are arguments.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct ms_ctl; /* ctl/ctl.h */

/* What musterctl exits with. */
enum {
    MS_EXIT_OK = 0,
    MS_EXIT_FAILED = 1,
    MS_EXIT_MISUSED = 2,
    MS_EXIT_DEAD = 4,    /* the job that was waited for ended dead */
    MS_EXIT_TIMEOUT = 5, /* it did not end in time */
    MS_EXIT_SIGINT = 130
};

/* One option of a command.  `value` NULL: a flag that takes none. */
struct ms_option {
    const char *name;  /* without the dashes */
    const char *value; /* what help calls its value: "NAME" */
    const char *help;
};

/* Does the work: prints to standard output, sets ctl->exit_code where it is
 * not 0.  An error is printed by the caller; MS_EINVAL exits with 2. */
typedef enum ms_err ms_command_fn(struct ms_ctl *ctl, struct ms_error *error);

struct ms_command {
    const char *noun;
    const char *verb; /* NULL: the noun alone is the command */
    const char *args; /* "ID", "QUEUE key=value ..."; "" for none */
    int min_args;
    int max_args; /* -1: any number */
    const char *help;
    const struct ms_option *options; /* name NULL behind the last; or NULL */
    ms_command_fn *run;
};

#define MS_CLI_OPTIONS 24

/* A command line that was read.  All texts point into argv. */
struct ms_cli {
    const struct ms_command *command; /* NULL: help or version alone */
    const char *noun;                 /* help of a noun; else NULL */
    bool json, help, version;
    const char *redis, *fleet, *config;
    const char **args; /* NULL-terminated; in argv's own memory */
    int n_args;
    const char *values[MS_CLI_OPTIONS]; /* in the order of the table */
};

/* `table` is an array of tables, NULL behind the last; each ends with a noun
 * of NULL.  Reorders argv.  MS_EINVAL with a text, then `out_line` still says
 * how far it came, for the usage line. */
enum ms_err ms_cli_parse(const struct ms_command *const *table, char **argv,
                         struct ms_cli *out_line, struct ms_error *error);

/* The value of an option; "" for a flag that was given; NULL: not given.  The
 * name must be in the command's table. */
const char *ms_cli_get(const struct ms_cli *line, const char *name);
bool ms_cli_has(const struct ms_cli *line, const char *name);

/* Each reads an option's value into *out and leaves it alone where the option
 * was not given.  MS_EINVAL names the option. */
enum ms_err ms_cli_int(const struct ms_cli *line, const char *name, int64_t min,
                       int64_t max, int64_t *out, struct ms_error *error);
enum ms_err ms_cli_duration(const struct ms_cli *line, const char *name,
                            int64_t *out_ms, struct ms_error *error);
enum ms_err ms_cli_size(const struct ms_cli *line, const char *name,
                        int64_t *out_bytes, struct ms_error *error);

/* Help for what the line names: everything, a noun, or one command. */
void ms_cli_help(const struct ms_command *const *table,
                 const struct ms_cli *line, struct ms_buf *out);

/* "usage: musterctl job show ID [--queue Q]" and a line end. */
void ms_cli_usage(const struct ms_cli *line, struct ms_buf *out);

/*
 * ctl: one run of musterctl: its command line, its configuration, its
 * connection, and how it prints.
 *
 * A command builds one JSON document.  With --json that is what is printed;
 * without, the same document is shown as tables for people, so that the two
 * can never say different things.
 */
#pragma once

#include "common/buf.h"
#include "common/conf.h"
#include "common/val.h"
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/output.h"

struct ms_ctl {
    const struct ms_cli *line;
    struct ms_conf *conf;
    struct ms_client *client; /* NULL until ms_ctl_connect() */
    int exit_code;
};

/* Every command, NULL behind the last table. */
extern const struct ms_command *const ms_commands[];

/* The whole program: parses, runs, prints, cleans up.  Returns the exit
 * code. */
int ms_ctl_main(char **argv, char *const *environment);

/* Connects, once.  `writes`: the command changes something, so the fleet's
 * layout is stamped where there is none; in any case it is checked. */
enum ms_err ms_ctl_connect(struct ms_ctl *ctl, bool writes,
                           struct ms_error *error);

/* Prints a document that is one object or an array of them.  For people: the
 * columns of an array (or of an object's "items"); `columns` NULL: pairs. */
void ms_ctl_print(const struct ms_ctl *ctl, struct ms_buf *json,
                  const struct ms_column *columns);

/* Prints {"<key>": id, "result": word}, for commands that only act. */
void ms_ctl_print_result(const struct ms_ctl *ctl, const char *key,
                         const char *id, const char *result);

/* A line on standard error, "musterctl: ...", for what is no failure. */
void ms_ctl_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --limit and --cursor of paged lists: 1 to 1,000, 50 by default. */
enum ms_err ms_ctl_limit(const struct ms_ctl *ctl, int64_t *out_limit,
                         struct ms_error *error);

/*
 * cmd: one Redis request under construction, and nothing of a connection.
 *
 * Arguments are kept in the protocol's own encoding, so that sending and
 * sending again (a script that was not loaded) copies nothing.  Building is
 * pure: tests look at a request without a Redis.
 *
 *     struct ms_cmd cmd = MS_CMD_INIT;
 *     ms_cmd_script(&cmd, &ms_script_claim);
 *     ms_cmd_key(&cmd, "ms:{main/mail}:cfg");
 *     ms_cmd_argi(&cmd, 64);
 *     ms_redis_send(redis, &cmd, 5000, on_claimed, fetch);   takes the cmd
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"
#include "common/script.h"

struct ms_cmd {
    const struct ms_script *script; /* NULL: a plain command */
    struct ms_buf body;             /* encoded arguments */
    size_t n_args;                  /* in `body`, keys included */
    size_t n_keys;
};

#define MS_CMD_INIT             \
    {                           \
        NULL, MS_BUF_INIT, 0, 0 \
    }

/* Frees what it holds and leaves an empty command. */
void ms_cmd_done(struct ms_cmd *cmd);

/* Starts a script call; keys first, then arguments. */
void ms_cmd_script(struct ms_cmd *cmd, const struct ms_script *script);
void ms_cmd_key(struct ms_cmd *cmd, const char *key);
void ms_cmd_keyf(struct ms_cmd *cmd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends one argument.  A plain command's first argument is its name. */
void ms_cmd_arg(struct ms_cmd *cmd, const void *bytes, size_t len);
void ms_cmd_args(struct ms_cmd *cmd, const char *text);
void ms_cmd_argi(struct ms_cmd *cmd, int64_t number);
void ms_cmd_argf(struct ms_cmd *cmd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends the arguments of another command, which keeps them. */
void ms_cmd_append(struct ms_cmd *cmd, const struct ms_cmd *from);

/* A plain command of C strings: ms_cmd_plain(&cmd, "HGET", key, field, NULL) */
void ms_cmd_plain(struct ms_cmd *cmd, const char *first, ...)
    __attribute__((sentinel));

/* Appends the whole request (header and body) as Redis reads it. */
void ms_cmd_encode(const struct ms_cmd *cmd, struct ms_buf *out);

/* Argument `i` (keys counted first) of the body, for tests; NULL past the
 * end.  The bytes belong to the command. */
const char *ms_cmd_peek(const struct ms_cmd *cmd, size_t i, size_t *out_len);

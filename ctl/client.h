/*
 * client: the connection of a program that runs one command and ends.
 *
 * Calls wait for their answers.  One that may be said twice is said again when
 * the connection breaks under it; one that may not is left to the user, who is
 * told that it may or may not have happened.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/redis.h"
#include "common/reply.h"

struct ms_client;

/* Connects to conf->redis_url, on the default loop.  MS_EDOWN with a text that
 * says which Redis and why it cannot be reached; MS_EINVAL for a bad URL.
 * Borrows the conf.  On success the caller closes. */
enum ms_err ms_client_open(const struct ms_conf *conf,
                           struct ms_client **out_client,
                           struct ms_error *error);
void ms_client_close(struct ms_client *client); /* takes NULL */

/* Checks the fleet's layout; `stamp` also writes it where there is none.
 * MS_ESCHEMA for one that this build does not know. */
enum ms_err ms_client_check_schema(struct ms_client *client, bool stamp,
                                   struct ms_error *error);

const char *ms_client_fleet(const struct ms_client *client);
struct ms_redis *ms_client_redis(const struct ms_client *client);
struct ev_loop *ms_client_loop(const struct ms_client *client);

/* One request, one new reply for ms_reply_free().  Takes the cmd.  An error
 * reply is an error here. */
enum ms_err ms_client_call(struct ms_client *client, struct ms_cmd *cmd,
                           struct ms_reply **out_reply, struct ms_error *error);

/* The same for what can be said twice: tried again while the connection is
 * lost or Redis loads its data, up to five times. */
enum ms_err ms_client_ask(struct ms_client *client, struct ms_cmd *cmd,
                          struct ms_reply **out_reply, struct ms_error *error);

/* `n` requests sent together, each as with ms_client_ask(); takes them all.
 * On success out_replies holds n new replies; on an error none. */
enum ms_err ms_client_ask_all(struct ms_client *client, struct ms_cmd *cmds,
                              size_t n, struct ms_reply **out_replies,
                              struct ms_error *error);

/* The same, telling of each how it went: out_errs[i], and a reply where that is
 * MS_OK (NULL elsewhere).  Returns and describes the first error. */
enum ms_err ms_client_try_all(struct ms_client *client, struct ms_cmd *cmds,
                              size_t n, struct ms_reply **out_replies,
                              enum ms_err *out_errs, struct ms_error *error);

/* Is this what waiting a little may mend: a lost connection, a Redis that
 * loads or is busy? */
bool ms_client_is_passing(enum ms_err err);

/* Frees n replies; NULLs are fine. */
void ms_client_free_all(struct ms_reply **replies, size_t n);

/* A pod that has not beaten for so long is gone. */
int64_t ms_client_gone_after_ms(const struct ms_client *client);

/* Redis's clock. */
enum ms_err ms_client_now(struct ms_client *client, int64_t *out_ms,
                          struct ms_error *error);

/* Runs the loop for so long, or until SIGINT or SIGTERM came (true: it did).
 * From the first call on those signals no longer end the program. */
bool ms_client_sleep(struct ms_client *client, int64_t ms);

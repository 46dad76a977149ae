/*
 * library: muster's operations as Redis Functions, for clients that are not
 * ours (lua/functions/, docs/producers.md).
 *
 * The text is put together at build time from the very scripts that our
 * programs send.  A Redis holds one library "muster" for all its fleets; the
 * leader loads it (coordinator/task_functions.c).
 *
 * A newer release must not be taken back by an older one that runs beside it,
 * so the library says its release (ms_library_is_wanted() decides).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/reply.h"

struct ms_library {
    int64_t version;   /* 1.2.3 is 1002003 */
    const char *build; /* SHA1 of the text: tells builds of a release apart */
    const char *text;
    size_t len;
};
extern const struct ms_library ms_library; /* this program's own */

/* What a Redis has; `version` 0 where it has none. */
struct ms_library_found {
    int64_t version;
    char build[41];
};

/* Asks which library is loaded.  Parsing takes the answer's class too, because
 * "there is none" is an error reply: MS_OK then, with version 0.  MS_ENOTSUP: a
 * Redis that knows no functions; MS_EAUTH: this user may not; else `err`. */
void ms_library_version_build(struct ms_cmd *cmd);
enum ms_err ms_library_version_parse(enum ms_err err,
                                     const struct ms_reply *reply,
                                     struct ms_library_found *out_found,
                                     struct ms_error *error);

/* The same where only the error's text is at hand. */
enum ms_err ms_library_error_parse(enum ms_err err, const char *text,
                                   struct ms_library_found *out_found,
                                   struct ms_error *error);

/* FUNCTION LOAD REPLACE of our text.  Answers the library's name. */
void ms_library_load_build(struct ms_cmd *cmd);

/* Should this program load its own in place of what was found?  Another build
 * of the same release is replaced only `at_start` of a term: two fleets of one
 * Redis would replace each other's for ever otherwise. */
bool ms_library_is_wanted(const struct ms_library_found *found, bool at_start);

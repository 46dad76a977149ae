/*
 * status: the word that every script's answer begins with, as an error class.
 */
#pragma once

#include "common/err.h"
#include "common/reply.h"

/* "ok" is MS_OK, "unknown" MS_ENOENT, "broken" and "incomplete" MS_EINVAL,
 * "epoch" and "stale" MS_ESTALE, "full" MS_EFULL, "again" and "changed"
 * MS_EBUSY, "state", "planned", "chunks", "alive" and "verb" MS_ESTATE; what is
 * no array with a known word is MS_EPROTO.  `what` goes in front of the text.
 */
enum ms_err ms_status_parse(const struct ms_reply *reply, const char *what,
                            struct ms_error *error);

/* The same for answers whose items 1 to n are numbers, which go to *numbers[0]
 * and on: MS_EPROTO where one is missing. */
enum ms_err ms_status_parse_numbers(const struct ms_reply *reply,
                                    const char *what, int64_t *const *numbers,
                                    size_t n, struct ms_error *error);

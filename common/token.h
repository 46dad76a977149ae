/*
 * token: a bearer token, as http.token_file keeps it.
 */
#pragma once

#include <stdbool.h>

#include "common/err.h"

/* Reads the file (once, before the loop runs) and returns a new string: what
 * it holds, without white space at its ends.  MS_EIO where it cannot be read,
 * MS_EINVAL unless that is 1 to 1,024 printable characters without a space. */
enum ms_err ms_token_read(const char *path, char **out_token,
                          struct ms_error *error);

/* Does the header "Authorization" (NULL: there was none) carry the token?
 * Takes the same time wherever they differ. */
bool ms_token_matches(const char *token, const char *authorization);

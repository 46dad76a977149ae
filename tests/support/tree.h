/*
 * tree: replies written as text, for tests of parsers without a Redis.
 *
 *     ms_test_tree("(ok 5 (a '7') nil)")
 *
 * Parentheses make an array, a decimal number an INT, nil a NIL, "!text" an
 * error, everything else a STR; quotes make a STR of anything between them.
 */
#pragma once

#include "common/reply.h"

/* Good until the next call. */
const struct ms_reply *ms_test_tree(const char *text);

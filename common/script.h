/*
 * script: one Lua script of lua/, embedded at build time.
 *
 * generated/scripts.h declares one `ms_script_NAME` for each file.  The SHA1
 * is that of `text`, as EVALSHA wants it; common/redis.c loads a script the
 * first time the server does not know it, and again after SCRIPT FLUSH.
 */
#pragma once

#include <stddef.h>

struct ms_script {
    const char *name;
    const char *sha1; /* 40 hex digits */
    const char *text;
    size_t len;
};

/* Every script, NULL behind the last. */
extern const struct ms_script *const ms_scripts[];

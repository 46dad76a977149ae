/*
 * ctl: musterctl run by a test, and what it printed looked at.
 */
#pragma once

#include "common/val.h"
#include "tests/support/support.h"

struct ms_ctl_run {
    int code;
    char *out, *err;    /* what it printed */
    struct ms_val json; /* null unless `out` is one JSON document */
};

/* Runs musterctl on that Redis and fleet "m", with words split at spaces; the
 * result lasts until the next call.  A word that is "%" stands for `last` (for
 * texts with spaces; may be NULL). */
const struct ms_ctl_run *ms_ctl_run(struct ms_test_redis *redis,
                                    const char *words, const char *last);

/* The same with --json; the exit code must be `code`, and where that is 0 one
 * JSON document must have been printed. */
const struct ms_ctl_run *ms_ctl_json(struct ms_test_redis *redis, int code,
                                     const char *words, const char *last);

/* What stands at a path of the document, "items.0.id", as JSON text; "absent"
 * where there is no such thing.  Good until the next call. */
const char *ms_ctl_at(const struct ms_ctl_run *run, const char *path);

/* Frees the last result; at the end of a test program. */
void ms_ctl_forget(void);

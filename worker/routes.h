/*
 * routes: which handler runs which kind of job.
 *
 * Handlers come from three sources: those built in (handlers.c), the pools of
 * the configuration, and C plug-ins.  The worker makes the table to know what
 * to claim, each of its children makes the same to run it.  The exact kind
 * goes first, then the longest start, whatever the source; the same kind from
 * two sources is a mistake of the configuration.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "worker/handler.h"

struct ms_routes;
struct muster_kind; /* include/muster/handler.h */

struct ms_route {
    char *pattern; /* a kind, or the start of kinds with a star: "py.*" */
    char *from;    /* "built in", "pools[0]", "mail.so" */
    ms_handler_fn *run;
    bool resumes;
    size_t pool;                      /* which of the configuration's, if run
                                         is ms_handle_pool */
    const struct muster_kind *plugin; /* run is ms_handle_plugin */
};

/* At most so many pools: each has a place in the lane. */
#define MS_POOLS_MAX 64

/* Returns a new table of what is built in.  ms_routes_free() takes NULL. */
struct ms_routes *ms_routes_new(void);
void ms_routes_free(struct ms_routes *routes);

/* Adds one; the pattern as the configuration has it ("py." is "py.*").
 * MS_EINVAL where the same pattern is there already. */
enum ms_err ms_routes_add(struct ms_routes *routes, const char *pattern,
                          const struct ms_route *route, struct ms_error *error);

/* Adds the pools of the configuration, which is borrowed. */
enum ms_err ms_routes_add_pools(struct ms_routes *routes,
                                const struct ms_conf *conf,
                                struct ms_error *error);

/* NULL: none. */
const struct ms_route *ms_routes_find(const struct ms_routes *routes,
                                      const char *kind);

/* All of them as the claim script wants them, ",noop.echo,cmd.exec,py.*,": a
 * star stands for the rest of a kind.  The table's. */
const char *ms_routes_kinds(const struct ms_routes *routes);

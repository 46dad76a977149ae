#include "worker/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/handlers.h"

struct ms_routes {
    struct ms_route *list;
    size_t n;
    struct ms_buf kinds;
};

struct ms_routes *ms_routes_new(void)
{
    struct ms_routes *routes = ms_xcalloc(1, sizeof(*routes));

    ms_buf_addc(&routes->kinds, ',');
    for (const struct ms_handler *h = ms_handlers; h->kind != NULL; h++) {
        const struct ms_route route = {.from = (char[]){"built in"},
                                       .run = h->run,
                                       .resumes = h->resumes};
        enum ms_err err = ms_routes_add(routes, h->kind, &route, NULL);

        ms_assert(err == MS_OK);
    }
    ms_buf_str(&routes->kinds);
    return routes;
}

void ms_routes_free(struct ms_routes *routes)
{
    if (routes == NULL)
        return;
    for (size_t i = 0; i < routes->n; i++) {
        free(routes->list[i].pattern);
        free(routes->list[i].from);
    }
    free(routes->list);
    ms_buf_done(&routes->kinds);
    free(routes);
}

enum ms_err ms_routes_add(struct ms_routes *routes, const char *pattern,
                          const struct ms_route *route, struct ms_error *error)
{
    size_t len = strlen(pattern);
    bool bare = len > 0 && pattern[len - 1] == '.';
    char *whole = ms_xasprintf("%s%s", pattern, bare ? "*" : "");
    struct ms_route *added;

    for (size_t i = 0; i < routes->n; i++) {
        if (strcmp(routes->list[i].pattern, whole) != 0)
            continue;
        free(whole);
        return ms_error_set(error, MS_EINVAL,
                            "kind '%s' has two handlers: %s and %s", pattern,
                            routes->list[i].from, route->from);
    }
    routes->list =
        ms_xrealloc(routes->list, (routes->n + 1) * sizeof(*routes->list));
    added = &routes->list[routes->n++];
    *added = *route;
    added->pattern = whole;
    added->from = ms_xstrdup(route->from);
    ms_buf_addf(&routes->kinds, "%s,", whole);
    ms_buf_str(&routes->kinds);
    return MS_OK;
}

enum ms_err ms_routes_add_pools(struct ms_routes *routes,
                                const struct ms_conf *conf,
                                struct ms_error *error)
{
    enum ms_err err = MS_OK;
    char from[32];

    if (conf->n_pools > MS_POOLS_MAX)
        return ms_error_set(error, MS_EINVAL, "pools: at most %d",
                            MS_POOLS_MAX);
    for (size_t i = 0; i < conf->n_pools; i++) {
        const struct ms_pool_conf *pool = &conf->pools[i];
        const struct ms_route route = {.from = from,
                                       .run = ms_handle_pool,
                                       .resumes = pool->resumes,
                                       .pool = i};

        snprintf(from, sizeof(from), "pools[%zu]", i);
        for (char **kind = pool->kinds; err == MS_OK && *kind != NULL; kind++)
            err = ms_routes_add(routes, *kind, &route, error);
    }
    return err;
}

const struct ms_route *ms_routes_find(const struct ms_routes *routes,
                                      const char *kind)
{
    const struct ms_route *best = NULL;
    size_t best_fit = 0;

    for (size_t i = 0; i < routes->n; i++) {
        size_t fit = ms_kind_fit(routes->list[i].pattern, kind);

        if (fit > best_fit) {
            best = &routes->list[i];
            best_fit = fit;
        }
    }
    return best;
}

const char *ms_routes_kinds(const struct ms_routes *routes)
{
    return routes->kinds.data;
}

/* What the configuration says of a job's kind. */
#include <string.h>

#include "common/conf.h"
#include "common/name.h"

bool ms_kind_is_prefix(const char *pattern)
{
    size_t len = strlen(pattern);

    return len > 0 && (pattern[len - 1] == '.' || pattern[len - 1] == '*');
}

enum ms_err ms_kind_check(const char *pattern, struct ms_error *error)
{
    size_t len = strlen(pattern);
    char start[MS_NAME_MAX + 2];

    if (len == 0 || pattern[len - 1] != '*' || len >= sizeof(start))
        return ms_name_check("the value", pattern, error);
    memcpy(start, pattern, len - 1);
    start[len - 1] = '\0';
    return len == 1 ? MS_OK : ms_name_check("the value", start, error);
}

size_t ms_kind_fit(const char *pattern, const char *kind)
{
    size_t len = strlen(pattern);

    if (strcmp(pattern, kind) == 0)
        return SIZE_MAX;
    if (!ms_kind_is_prefix(pattern))
        return 0;
    if (pattern[len - 1] == '*')
        len--;
    return strncmp(pattern, kind, len) == 0 ? len + 1 : 0;
}

const struct ms_kind_conf *ms_conf_kind(const struct ms_conf *conf,
                                        const char *kind)
{
    const struct ms_kind_conf *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < conf->n_kinds; i++) {
        const char *prefix = conf->kinds[i].prefix;
        size_t len = strlen(prefix);

        if (strncmp(kind, prefix, len) == 0 && len > best_len) {
            best = &conf->kinds[i];
            best_len = len;
        }
    }
    return best;
}

const struct ms_pool_conf *ms_conf_pool(const struct ms_conf *conf,
                                        const char *kind)
{
    const struct ms_pool_conf *best = NULL;
    size_t best_fit = 0;

    for (size_t i = 0; i < conf->n_pools; i++) {
        for (char **p = conf->pools[i].kinds; *p != NULL; p++) {
            size_t fit = ms_kind_fit(*p, kind);

            if (fit > best_fit) {
                best = &conf->pools[i];
                best_fit = fit;
            }
        }
    }
    return best;
}

const char *ms_conf_limit(const struct ms_conf *conf, const char *kind)
{
    const struct ms_kind_conf *rule = ms_conf_kind(conf, kind);
    const struct ms_pool_conf *pool;

    if (rule != NULL && rule->limit != NULL)
        return rule->limit;
    pool = ms_conf_pool(conf, kind);
    return pool == NULL ? NULL : pool->limit;
}

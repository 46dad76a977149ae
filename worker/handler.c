#include "worker/handler.h"

#include <string.h>

/* How well a handler's pattern fits: 0 not at all, more for a longer prefix,
 * most for the kind itself. */
static size_t fit(const char *pattern, const char *kind)
{
    size_t len = strlen(pattern);

    if (strcmp(pattern, kind) == 0)
        return SIZE_MAX;
    if (len > 0 && pattern[len - 1] == '*' &&
        strncmp(pattern, kind, len - 1) == 0)
        return len;
    return 0;
}

const struct ms_handler *ms_handler_find(const char *kind)
{
    const struct ms_handler *best = NULL;
    size_t best_fit = 0;

    for (const struct ms_handler *h = ms_handlers; h->kind != NULL; h++) {
        size_t this_fit = fit(h->kind, kind);

        if (this_fit > best_fit) {
            best = h;
            best_fit = this_fit;
        }
    }
    return best;
}

#include "ctl/kinds.h"

#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "ctl/ctl.h"
#include "ctl/view.h"

#define PAIRS_MAX 50
#define PODS_MAX  100 /* looked at */

void ms_kinds_done(struct ms_kinds *kinds)
{
    for (size_t i = 0; i < kinds->n; i++)
        free(kinds->seen[i]);
    free(kinds->seen);
    *kinds = (struct ms_kinds){0};
}

bool ms_kinds_match(const char *list, const char *kind)
{
    while (*list != '\0') {
        size_t len = strcspn(list, ",");

        if (len > 0 && list[len - 1] == '*') {
            if (strncmp(list, kind, len - 1) == 0)
                return true;
        } else if (len > 0 && len == strlen(kind) &&
                   strncmp(list, kind, len) == 0) {
            return true;
        }
        list += len + (list[len] == ',');
    }
    return false;
}

static bool seen_before(struct ms_kinds *kinds, const char *queue,
                        const char *kind)
{
    char *pair = ms_xasprintf("%s %s", queue, kind);

    for (size_t i = 0; i < kinds->n; i++) {
        if (strcmp(kinds->seen[i], pair) == 0) {
            free(pair);
            return true;
        }
    }
    if (kinds->n == PAIRS_MAX) {
        free(pair);
        return true;
    }
    kinds->seen =
        ms_xrealloc(kinds->seen, (kinds->n + 1) * sizeof(*kinds->seen));
    kinds->seen[kinds->n++] = pair;
    return false;
}

/* Counts the queue's live pods, and those that run the kind. */
static enum ms_err pods_ask(struct ms_client *client,
                            const struct ms_names *pods, const char *kind,
                            size_t *out_live, size_t *out_able)
{
    size_t n = pods->n < PODS_MAX ? pods->n : PODS_MAX;
    struct ms_cmd cmds[PODS_MAX] = {MS_CMD_INIT};
    struct ms_reply *replies[PODS_MAX];
    enum ms_err err;

    *out_live = *out_able = 0;
    for (size_t i = 0; i < n; i++) {
        char key[MS_KEY_MAX];

        ms_key_fleet(key, ms_client_fleet(client), "pod:%s", pods->items[i]);
        ms_cmd_plain(&cmds[i], "HGET", key, "kinds", NULL);
    }
    err = ms_client_ask_all(client, cmds, n, replies, NULL);
    if (err != MS_OK)
        return err;
    for (size_t i = 0; i < n; i++) {
        *out_live += replies[i]->type == MS_REPLY_STR;
        *out_able += ms_kinds_match(ms_reply_str(replies[i], ""), kind);
    }
    ms_client_free_all(replies, n);
    return MS_OK;
}

void ms_kinds_warn(struct ms_kinds *kinds, struct ms_client *client,
                   const char *queue, const char *kind)
{
    struct ms_names pods = {0};
    size_t live = 0, able = 0;
    char key[MS_KEY_MAX];

    if (seen_before(kinds, queue, kind))
        return;
    ms_key_fleet(key, ms_client_fleet(client), "members:%s", queue);
    if (ms_view_live(client, key, &pods, NULL) == MS_OK &&
        pods_ask(client, &pods, kind, &live, &able) == MS_OK && able == 0)
        ms_ctl_warn(live == 0 ? "warning: no live pod serves queue '%s' now; "
                                "'%s' waits for one"
                              : "warning: no live pod of queue '%s' handles "
                                "'%s' now; after 10 minutes it is dead",
                    queue, kind);
    ms_names_done(&pods);
}

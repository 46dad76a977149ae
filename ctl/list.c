#include "ctl/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"

/* Records looked at for one page, as a multiple of its size: bounds a list
 * whose filter matches nothing. */
#define LOOK_MAX 20
/* Groups whose lists are read together. */
#define GROUPS     8
#define PRIORITIES 10

/* Where jobs of a state are kept. */
struct source {
    const char *name, *state;
    const char *zset; /* NULL: the ready lists */
    bool newest_first;
};

static const struct source sources[] = {
    {"running", "running", "leases", false},
    {"ready", "ready", NULL, false},
    {"parked", "ready", "parked", false},
    {"scheduled", "scheduled", "scheduled", false},
    {"waiting", "waiting", "waiting", false},
    {"dead", "dead", "dead", true},
    {"done", "done", "done", true},
};

/* One id, and the position behind it in its source. */
struct entry {
    char *id, *after;
};

struct page {
    struct ms_client *client;
    const struct ms_list_ask *ask;
    size_t source;
    char *position; /* in the source; NULL: its start */
    struct entry *entries;
    size_t n_entries;
    int64_t room; /* jobs still to show */
    int64_t looks;
    ms_list_fn *fn;
    void *arg;
    struct ms_error *error;
};

static void entries_clear(struct page *page)
{
    for (size_t i = 0; i < page->n_entries; i++) {
        free(page->entries[i].id);
        free(page->entries[i].after);
    }
    free(page->entries);
    page->entries = NULL;
    page->n_entries = 0;
}

static void entry_add(struct page *page, const char *id, char *after)
{
    page->entries = ms_xrealloc(page->entries,
                                (page->n_entries + 1) * sizeof(*page->entries));
    page->entries[page->n_entries++] = (struct entry){ms_xstrdup(id), after};
}

static void position_set(struct page *page, char *position)
{
    free(page->position);
    page->position = position;
}

static bool source_matches(const struct page *page)
{
    return page->ask->state == NULL ||
           strcmp(page->ask->state, sources[page->source].state) == 0;
}

/* Moves to the next source that the caller wants, at its start. */
static void source_next(struct page *page)
{
    position_set(page, NULL);
    do
        page->source++;
    while (page->source < MS_COUNT_OF(sources) && !source_matches(page));
}

static enum ms_err bad_cursor(struct page *page)
{
    return ms_error_set(page->error, MS_EINVAL,
                        "'%.100s' is no cursor of this list",
                        page->ask->cursor);
}

/* ---- from a zset ---- */

/* The rank to go on at, behind the job that `position` ("score:id") names. */
static enum ms_err zset_rank(struct page *page, const char *key,
                             int64_t *out_rank)
{
    bool newest = sources[page->source].newest_first;
    struct ms_cmd cmds[2] = {MS_CMD_INIT, MS_CMD_INIT};
    struct ms_reply *replies[2];
    const char *id;
    char score[64];
    enum ms_err err;

    *out_rank = 0;
    if (page->position == NULL)
        return MS_OK;
    id = strchr(page->position, ':');
    if (id == NULL || (size_t)(id - page->position) > 30)
        return bad_cursor(page);
    snprintf(score, sizeof(score), "(%.*s", (int)(id - page->position),
             page->position);
    ms_cmd_plain(&cmds[0], newest ? "ZREVRANK" : "ZRANK", key, id + 1, NULL);
    ms_cmd_plain(&cmds[1], "ZCOUNT", key, newest ? score : "-inf",
                 newest ? "+inf" : score, NULL);
    err = ms_client_ask_all(page->client, cmds, 2, replies, page->error);
    if (err == MS_ESCRIPT)
        return bad_cursor(page);
    if (err != MS_OK)
        return err;
    *out_rank = replies[0]->type == MS_REPLY_INT ? replies[0]->num + 1
                                                 : ms_reply_int(replies[1], 0);
    ms_client_free_all(replies, 2);
    return MS_OK;
}

static enum ms_err zset_fetch(struct page *page, int64_t want)
{
    const struct source *source = &sources[page->source];
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    int64_t rank;
    enum ms_err err;

    ms_key_queue(key, ms_client_fleet(page->client), page->ask->queue, "%s",
                 source->zset);
    err = zset_rank(page, key, &rank);
    if (err != MS_OK)
        return err;
    ms_cmd_plain(&cmd, source->newest_first ? "ZREVRANGE" : "ZRANGE", key,
                 NULL);
    ms_cmd_argi(&cmd, rank);
    ms_cmd_argi(&cmd, rank + want - 1);
    ms_cmd_args(&cmd, "WITHSCORES");
    err = ms_client_ask(page->client, &cmd, &reply, page->error);
    if (err != MS_OK)
        return err;
    for (size_t i = 0; i + 1 < reply->n_items; i += 2) {
        const char *id = ms_reply_str(ms_reply_at(reply, i), "");
        const char *score = ms_reply_str(ms_reply_at(reply, i + 1), "0");

        entry_add(page, id, ms_xasprintf("%s:%s", score, id));
    }
    ms_reply_free(reply);
    return MS_OK;
}

/* ---- from the ready lists ---- */

/* "priority:group's index in the ring:index in the group's list" */
struct spot {
    int64_t priority, group, index;
};

static enum ms_err spot_read(struct page *page, struct spot *out_spot)
{
    char end;

    *out_spot = (struct spot){0};
    if (page->position != NULL &&
        (sscanf(page->position, "%" SCNd64 ":%" SCNd64 ":%" SCNd64 "%c",
                &out_spot->priority, &out_spot->group, &out_spot->index,
                &end) != 3 ||
         out_spot->priority < 0 || out_spot->group < 0 || out_spot->index < 0))
        return bad_cursor(page);
    return MS_OK;
}

/* Adds the ids of some groups' lists, from `spot` on; moves it behind them. */
static enum ms_err groups_fetch(struct page *page, struct spot *spot,
                                const struct ms_reply *groups, int64_t want)
{
    struct ms_cmd cmds[GROUPS] = {MS_CMD_INIT};
    struct ms_reply *replies[GROUPS];
    size_t n = groups->n_items;
    enum ms_err err;

    for (size_t g = 0; g < n; g++) {
        int64_t from = g == 0 ? spot->index : 0;
        char key[MS_KEY_MAX];

        ms_key_queue(key, ms_client_fleet(page->client), page->ask->queue,
                     "ready:%d:%s", (int)spot->priority,
                     ms_reply_str(ms_reply_at(groups, g), "-"));
        ms_cmd_plain(&cmds[g], "LRANGE", key, NULL);
        ms_cmd_argi(&cmds[g], from);
        ms_cmd_argi(&cmds[g], from + want - 1);
    }
    err = ms_client_ask_all(page->client, cmds, n, replies, page->error);
    if (err != MS_OK)
        return err;
    for (size_t g = 0; g < n && (int64_t)page->n_entries < want; g++) {
        for (size_t i = 0; i < replies[g]->n_items; i++) {
            if ((int64_t)page->n_entries == want)
                break;
            spot->index++;
            entry_add(page, ms_reply_str(ms_reply_at(replies[g], i), ""),
                      ms_xasprintf("%d:%" PRId64 ":%" PRId64,
                                   (int)spot->priority, spot->group,
                                   spot->index));
        }
        if ((int64_t)page->n_entries < want) {
            spot->group++;
            spot->index = 0;
        }
    }
    ms_client_free_all(replies, n);
    return MS_OK;
}

static enum ms_err ready_fetch(struct page *page, int64_t want)
{
    struct spot spot;
    enum ms_err err = spot_read(page, &spot);

    while (err == MS_OK && spot.priority < PRIORITIES &&
           (int64_t)page->n_entries < want) {
        struct ms_cmd cmd = MS_CMD_INIT;
        struct ms_reply *groups = NULL;
        char key[MS_KEY_MAX];

        ms_key_queue(key, ms_client_fleet(page->client), page->ask->queue,
                     "ring:%d", (int)spot.priority);
        ms_cmd_plain(&cmd, "LRANGE", key, NULL);
        ms_cmd_argi(&cmd, spot.group);
        ms_cmd_argi(&cmd, spot.group + GROUPS - 1);
        err = ms_client_ask(page->client, &cmd, &groups, page->error);
        if (err != MS_OK)
            break;
        if (groups->n_items == 0)
            spot = (struct spot){spot.priority + 1, 0, 0};
        else
            err = groups_fetch(page, &spot, groups, want);
        ms_reply_free(groups);
    }
    return err;
}

/* ---- the records ---- */

static void entry_show(struct page *page, const struct entry *entry,
                       const struct ms_reply *pairs)
{
    struct ms_job *job = NULL;

    if (ms_job_parse(page->ask->queue, entry->id, pairs, &job, NULL) != MS_OK)
        return; /* it went meanwhile */
    if (strcmp(job->state, sources[page->source].state) == 0 &&
        (page->ask->kind == NULL || strcmp(job->kind, page->ask->kind) == 0)) {
        page->fn(job, page->arg);
        page->room--;
    }
    ms_job_free(job);
}

static enum ms_err entries_show(struct page *page, size_t n)
{
    struct ms_cmd *cmds = ms_xcalloc(n + 1, sizeof(*cmds));
    struct ms_reply **replies = ms_xcalloc(n + 1, sizeof(*replies));
    enum ms_err err;

    for (size_t i = 0; i < n; i++) {
        char key[MS_KEY_MAX];

        ms_key_queue(key, ms_client_fleet(page->client), page->ask->queue,
                     "job:%s", page->entries[i].id);
        ms_cmd_plain(&cmds[i], "HGETALL", key, NULL);
    }
    err = ms_client_ask_all(page->client, cmds, n, replies, page->error);
    if (err == MS_OK) {
        for (size_t i = 0; i < n; i++)
            entry_show(page, &page->entries[i], replies[i]);
        ms_client_free_all(replies, n);
    }
    free(replies);
    free(cmds);
    return err;
}

/* One step: shows what fits, looks one id ahead to know whether the source
 * goes on.  *out_full: the page ends here, and more follows. */
static enum ms_err page_step(struct page *page, bool *out_full)
{
    int64_t want = page->room;
    size_t n;
    enum ms_err err = sources[page->source].zset != NULL
                          ? zset_fetch(page, want + 1)
                          : ready_fetch(page, want + 1);

    if (err != MS_OK)
        return err;
    n = page->n_entries;
    if ((int64_t)n > want)
        n = (size_t)want;
    err = entries_show(page, n);
    if (err != MS_OK)
        return err;
    page->looks += (int64_t)n;
    if (page->n_entries == n) {
        source_next(page);
    } else {
        if (n > 0)
            position_set(page, ms_xstrdup(page->entries[n - 1].after));
        *out_full =
            page->room == 0 || page->looks >= LOOK_MAX * page->ask->limit;
    }
    entries_clear(page);
    return MS_OK;
}

/* Reads "source" or "source:position". */
static enum ms_err cursor_read(struct page *page)
{
    const char *cursor = page->ask->cursor;
    size_t len;

    if (cursor == NULL) {
        if (!source_matches(page))
            source_next(page);
        return MS_OK;
    }
    len = strcspn(cursor, ":");
    for (; page->source < MS_COUNT_OF(sources); page->source++)
        if (strlen(sources[page->source].name) == len &&
            strncmp(sources[page->source].name, cursor, len) == 0)
            break;
    if (page->source == MS_COUNT_OF(sources) || !source_matches(page))
        return bad_cursor(page);
    if (cursor[len] == ':')
        position_set(page, ms_xstrdup(cursor + len + 1));
    return MS_OK;
}

static enum ms_err state_check(const char *state, struct ms_error *error)
{
    for (size_t i = 0; i < MS_COUNT_OF(sources); i++)
        if (state == NULL || strcmp(sources[i].state, state) == 0)
            return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "no state '%s': scheduled ready running waiting done "
                        "dead",
                        state);
}

enum ms_err ms_list_page(struct ms_client *client,
                         const struct ms_list_ask *ask, ms_list_fn *fn,
                         void *arg, char **out_next, struct ms_error *error)
{
    struct page page = {.client = client,
                        .ask = ask,
                        .room = ask->limit,
                        .fn = fn,
                        .arg = arg,
                        .error = error};
    bool full = false;
    enum ms_err err = ms_name_check("queue", ask->queue, error);

    if (err == MS_OK)
        err = state_check(ask->state, error);
    if (err == MS_OK)
        err = cursor_read(&page);
    while (err == MS_OK && !full && page.source < MS_COUNT_OF(sources))
        err = page_step(&page, &full);
    if (err == MS_OK) {
        const char *name = full ? sources[page.source].name : NULL;

        *out_next = !full ? NULL
                    : page.position == NULL
                        ? ms_xstrdup(name)
                        : ms_xasprintf("%s:%s", name, page.position);
    }
    entries_clear(&page);
    free(page.position);
    return err;
}

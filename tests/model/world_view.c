#include "tests/model/world_view.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ms_reply nothing = {.type = MS_REPLY_NIL};

static char *read_text(void)
{
    FILE *file = fopen(MS_TEST_SOURCE_DIR "/tests/model/dump.lua", "r");
    char *text = ms_xcalloc(1, 8192);

    ms_assert(file != NULL);
    ms_assert(fread(text, 1, 8191, file) > 0);
    fclose(file);
    return text;
}

static const struct ms_reply *dump(struct ms_core *core)
{
    static char sha[41];

    if (sha[0] == '\0') {
        char *text = read_text();

        snprintf(sha, sizeof(sha), "%s",
                 ms_reply_str(ms_test_cmd(core->redis, "SCRIPT LOAD %s", text),
                              "?"));
        free(text);
    }
    return ms_test_cmd(core->redis, "EVALSHA %s 1 %s", sha, K("cfg"));
}

static int index_of(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return NONE;
}

static int parent_of(const char *id)
{
    int job = model_job_of(id);

    return job == NONE ? NONE : model_parent_number(job);
}

/* "ready:<priority>:<group>" */
static const struct ms_reply **list_of(struct world_view *v, const char *tail)
{
    int group = index_of(model_groups, N_GROUPS, tail + 2);

    return &v->lists[tail[0] - '0'][group == NONE ? N_GROUPS : group];
}

/* Where a key with a name in its tail belongs; NULL for none. */
static const struct ms_reply **slot_of(struct world_view *v, const char *type,
                                       const char *tail)
{
    int at;

#define IN(word, table, index)                               \
    if (strcmp(type, (word)) == 0 && (at = (index)) != NONE) \
    return &(table)[at]
    IN("job", v->jobs, model_job_of(tail));
    IN("gone", v->gone, model_job_of(tail));
    IN("unique", v->locks, index_of(model_uniques, N_UNIQUES, tail));
    IN("held", v->held, index_of(model_pods, N_PODS, tail));
    IN("ring", v->rings, tail[0] - '0');
    IN("parked", v->by_kind, index_of(model_kinds, N_KINDS, tail));
    IN("tally", v->tally, parent_of(tail));
    IN("bits", v->bits, parent_of(tail));
    IN("rejects", v->rejects, parent_of(tail));
#undef IN
    return strcmp(type, "ready") == 0 ? list_of(v, tail) : NULL;
}

static void sort_key(struct world_view *v, const char *name,
                     const struct ms_reply *what)
{
    const struct {
        const char *name;
        const struct ms_reply **to;
    } plain[] = {
        {"cfg", &v->cfg},         {"stats", &v->stats},
        {"meta", &v->meta},       {"depth", &v->depth},
        {"leases", &v->leases},   {"scheduled", &v->scheduled},
        {"waiting", &v->waiting}, {"done", &v->done},
        {"dead", &v->dead},       {"parked", &v->parked},
        {"wake", &v->wake},       {"parked_kinds", &v->parked_kinds},
        {"running", &v->running},
    };
    const char *colon = strchr(name, ':');
    const struct ms_reply **to = NULL;
    char type[16];

    for (size_t i = 0; colon == NULL && i < MS_COUNT_OF(plain); i++)
        if (strcmp(plain[i].name, name) == 0)
            to = plain[i].to;
    if (colon != NULL) {
        snprintf(type, sizeof(type), "%.*s", (int)(colon - name), name);
        to = slot_of(v, type, colon + 1);
    }
    if (to != NULL)
        *to = what;
}

bool world_look(struct world *w, struct world_view *out)
{
    const struct ms_reply *reply = dump(w->core);
    const struct ms_reply **all = (const struct ms_reply **)out;

    for (size_t i = 0; i < sizeof(*out) / sizeof(*all); i++)
        all[i] = &nothing;
    if (reply->type != MS_REPLY_ARRAY) {
        model_wrong(&w->m, "dump.lua: %s", ms_reply_error(reply));
        return false;
    }
    for (size_t i = 0; i + 1 < reply->n_items; i += 2)
        sort_key(out, ms_reply_str(&reply->items[i], ""), &reply->items[i + 1]);
    w->n_tokens += out->wake->n_items;
    return true;
}

int64_t world_score(const struct ms_reply *zset, const char *member)
{
    for (size_t i = 0; i + 1 < zset->n_items; i += 2)
        if (ms_reply_is(&zset->items[i], member))
            return ms_reply_int(&zset->items[i + 1], -2);
    return -1;
}

int world_times(const struct ms_reply *list, const char *member)
{
    int n = 0;

    for (size_t i = 0; i < list->n_items; i++)
        n += ms_reply_is(&list->items[i], member);
    return n;
}

int64_t world_number(const struct ms_reply *pairs, const char *field,
                     int64_t fallback)
{
    return ms_reply_int(ms_reply_field(pairs, field), fallback);
}

const char *world_text(const struct ms_reply *pairs, const char *field)
{
    return ms_reply_str(ms_reply_field(pairs, field), "");
}

bool world_has(const struct ms_reply *reply)
{
    return reply->type != MS_REPLY_NIL;
}

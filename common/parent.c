#include "common/parent.h"

#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/status.h"
#include "scripts.h"

static void start(struct ms_cmd *cmd, const struct ms_script *script,
                  const char *fleet, const char *queue)
{
    ms_cmd_script(cmd, script);
    ms_keys_of_queue(cmd, fleet, queue);
}

static void add_key(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    const char *what, const char *parent)
{
    ms_cmd_keyf(cmd, "ms:{%s/%s}:%s:%s", fleet, queue, what, parent);
}

void ms_spawn_build(struct ms_cmd *cmd, const struct ms_spawn *spawn)
{
    ms_assert(spawn->n_chunks <= MS_SPAWN_MAX);
    start(cmd, &ms_script_spawn, spawn->fleet, spawn->queue);
    ms_keys_add_job(cmd, spawn->fleet, spawn->queue, spawn->parent);
    add_key(cmd, spawn->fleet, spawn->queue, "tally", spawn->parent);
    ms_cmd_argi(cmd, spawn->epoch);
    ms_cmd_argi(cmd, spawn->first);
    ms_cmd_args(cmd, spawn->kind);
    ms_cmd_arg(cmd, spawn->plan, spawn->plan_len);
    for (size_t i = 0; i < spawn->n_chunks; i++)
        ms_cmd_arg(cmd, spawn->chunks[i].payload, spawn->chunks[i].payload_len);
}

enum ms_err ms_spawn_parse(const struct ms_reply *reply, int64_t *out_planned,
                           struct ms_error *error)
{
    return ms_status_parse_numbers(reply, "spawn", &out_planned, 1, error);
}

void ms_phase_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    const char *parent, int64_t epoch, const char *phase,
                    const char *why)
{
    start(cmd, &ms_script_phase, fleet, queue);
    ms_keys_add_job(cmd, fleet, queue, parent);
    ms_cmd_argi(cmd, epoch);
    ms_cmd_args(cmd, phase);
    ms_cmd_args(cmd, why);
}

void ms_conclude_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                       const char *parent, int64_t epoch, bool done,
                       const void *text, size_t text_len)
{
    start(cmd, &ms_script_conclude, fleet, queue);
    ms_keys_add_job(cmd, fleet, queue, parent);
    add_key(cmd, fleet, queue, "tally", parent);
    ms_cmd_argi(cmd, epoch);
    ms_cmd_args(cmd, done ? "done" : "dead");
    ms_cmd_arg(cmd, text, text_len);
}

void ms_children_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                       const char *parent, int64_t epoch, bool revive,
                       int64_t from)
{
    start(cmd, &ms_script_children, fleet, queue);
    ms_keys_add_job(cmd, fleet, queue, parent);
    add_key(cmd, fleet, queue, "tally", parent);
    add_key(cmd, fleet, queue, "bits", parent);
    ms_cmd_argi(cmd, epoch);
    ms_cmd_args(cmd, revive ? "revive" : "stop");
    ms_cmd_argi(cmd, from);
}

enum ms_err ms_children_parse(const struct ms_reply *reply, int64_t *out_next,
                              int64_t *out_n, struct ms_error *error)
{
    int64_t *const numbers[] = {out_next, out_n};

    return ms_status_parse_numbers(reply, "children", numbers, 2, error);
}

enum ms_err ms_parent_status_parse(const struct ms_reply *reply,
                                   struct ms_error *error)
{
    return ms_status_parse(reply, "parent", error);
}

void ms_tally_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    const char *parent)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HGETALL",
                 ms_key_queue(key, fleet, queue, "tally:%s", parent), NULL);
}

enum ms_err ms_tally_parse(const struct ms_reply *reply,
                           struct ms_tally *out_tally, struct ms_error *error)
{
    const struct {
        const char *name;
        int64_t *number;
    } fields[] = {
        {"planned", &out_tally->planned},   {"ready", &out_tally->ready},
        {"running", &out_tally->running},   {"done", &out_tally->done},
        {"dead", &out_tally->dead},         {"docs", &out_tally->docs},
        {"bytes", &out_tally->bytes},       {"lines", &out_tally->lines},
        {"rejected", &out_tally->rejected}, {"empty", &out_tally->empty},
        {"read", &out_tally->read},         {"reread", &out_tally->reread},
        {"c0", &out_tally->c[0]},           {"c1", &out_tally->c[1]},
        {"c2", &out_tally->c[2]},           {"c3", &out_tally->c[3]},
    };

    if (reply->type != MS_REPLY_ARRAY)
        return ms_error_set(error, MS_EPROTO, "a tally of unknown shape");
    memset(out_tally, 0, sizeof(*out_tally));
    for (size_t i = 0; i < MS_COUNT_OF(fields); i++)
        *fields[i].number =
            ms_reply_int(ms_reply_field(reply, fields[i].name), 0);
    return MS_OK;
}

uint64_t ms_tally_checksum(const struct ms_tally *tally)
{
    uint64_t sum = 0;

    for (int i = 0; i < 4; i++)
        sum += (uint64_t)tally->c[i] << (16 * i);
    return sum;
}

void ms_chunks_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *parent, int64_t from, int64_t limit)
{
    start(cmd, &ms_script_chunks, fleet, queue);
    add_key(cmd, fleet, queue, "tally", parent);
    add_key(cmd, fleet, queue, "bits", parent);
    ms_cmd_args(cmd, parent);
    ms_cmd_argi(cmd, from);
    ms_cmd_argi(cmd, limit);
}

static bool is_page(const struct ms_reply *page)
{
    if (page->type != MS_REPLY_ARRAY || page->n_items % 2 != 0)
        return false;
    for (size_t i = 0; i < page->n_items; i += 2)
        if (page->items[i].type != MS_REPLY_INT ||
            page->items[i + 1].type != MS_REPLY_ARRAY)
            return false;
    return true;
}

enum ms_err ms_chunks_parse(const struct ms_reply *reply, ms_chunk_fn *fn,
                            void *arg, int64_t *out_next,
                            struct ms_error *error)
{
    const struct ms_reply *page = ms_reply_at(reply, 2);
    int64_t next;
    int64_t *const numbers[] = {&next};
    enum ms_err err =
        ms_status_parse_numbers(reply, "chunks", numbers, 1, error);

    if (err == MS_OK && !is_page(page))
        err = ms_error_set(error, MS_EPROTO, "chunks: a page of unknown shape");
    if (err != MS_OK)
        return err;
    for (size_t i = 0; i < page->n_items; i += 2) {
        const struct ms_reply *fields = &page->items[i + 1];

        fn(page->items[i].num, fields->n_items == 0 ? NULL : fields, arg);
    }
    *out_next = next;
    return MS_OK;
}

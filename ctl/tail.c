#include "ctl/tail.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/mem.h"

#define COUNT        500  /* events of one stream a round */
#define LOOK_MS      1000 /* between looks for new queues */
#define SLACK_MS     5000 /* for an answer, beyond the wait */
#define STREAMS_STEP 100  /* asked together where each one stands */

struct spot {
    char *queue;
    struct ms_stream_id id; /* read up to here */
};

struct ms_tail {
    struct ms_client *client;
    const char *queue;
    struct spot *spots;
    size_t n;
    int64_t looked_ms; /* monotonic: when queues were looked for */
};

void ms_tail_free(struct ms_tail *tail)
{
    if (tail == NULL)
        return;
    for (size_t i = 0; i < tail->n; i++)
        free(tail->spots[i].queue);
    free(tail->spots);
    free(tail);
}

static struct spot *spot_find(const struct ms_tail *tail, const char *queue)
{
    for (size_t i = 0; i < tail->n; i++)
        if (strcmp(tail->spots[i].queue, queue) == 0)
            return &tail->spots[i];
    return NULL;
}

/* Adds what it does not know yet, to be read from the start. */
static enum ms_err streams_look(struct ms_tail *tail, struct ms_error *error)
{
    struct ms_names streams = {0};
    enum ms_err err =
        ms_event_streams(tail->client, tail->queue, &streams, error);

    for (size_t i = 0; i < streams.n && err == MS_OK; i++) {
        if (spot_find(tail, streams.items[i]) != NULL)
            continue;
        tail->spots =
            ms_xrealloc(tail->spots, (tail->n + 1) * sizeof(*tail->spots));
        tail->spots[tail->n++] =
            (struct spot){.queue = ms_xstrdup(streams.items[i])};
    }
    ms_names_done(&streams);
    if (err == MS_OK)
        tail->looked_ms = ms_clock_mono_ms();
    return err;
}

/* ---- beginning ---- */

static void newest_read(struct spot *spot, const struct ms_reply *entries)
{
    struct ms_event_list list = {0};

    ms_event_list_add(&list, spot->queue, entries);
    if (list.n > 0)
        spot->id = list.rows[0].id;
    ms_event_list_done(&list);
}

static enum ms_err newest_ask(struct ms_tail *tail, size_t from, size_t n,
                              struct ms_error *error)
{
    struct ms_cmd cmds[STREAMS_STEP] = {MS_CMD_INIT};
    struct ms_reply *replies[STREAMS_STEP] = {NULL};
    char key[MS_KEY_MAX];
    enum ms_err err;

    for (size_t i = 0; i < n; i++) {
        ms_event_key(key, ms_client_fleet(tail->client),
                     tail->spots[from + i].queue);
        ms_cmd_plain(&cmds[i], "XREVRANGE", key, "+", "-", "COUNT", "1", NULL);
    }
    err = ms_client_ask_all(tail->client, cmds, n, replies, error);
    for (size_t i = 0; i < n && err == MS_OK; i++)
        newest_read(&tail->spots[from + i], replies[i]);
    ms_client_free_all(replies, n);
    return err;
}

enum ms_err ms_tail_new(struct ms_client *client, const char *queue,
                        struct ms_tail **out_tail, struct ms_error *error)
{
    struct ms_tail *tail = ms_xcalloc(1, sizeof(*tail));
    enum ms_err err;

    tail->client = client;
    tail->queue = queue;
    err = streams_look(tail, error);
    for (size_t at = 0; at < tail->n && err == MS_OK; at += STREAMS_STEP) {
        size_t left = tail->n - at;

        err = newest_ask(tail, at, left < STREAMS_STEP ? left : STREAMS_STEP,
                         error);
    }
    if (err == MS_OK)
        *out_tail = tail;
    else
        ms_tail_free(tail);
    return err;
}

bool ms_tail_is_past(const struct ms_tail *tail, const struct ms_event_row *row)
{
    const struct spot *spot = spot_find(tail, row->queue);

    return spot != NULL && ms_stream_id_compare(row->id, spot->id) <= 0;
}

/* ---- rounds ---- */

static void read_build(const struct ms_tail *tail, int wait_ms,
                       struct ms_cmd *cmd)
{
    char key[MS_KEY_MAX], id[MS_STREAM_ID_MAX];

    ms_cmd_plain(cmd, "XREAD", "COUNT", NULL);
    ms_cmd_argi(cmd, COUNT);
    ms_cmd_args(cmd, "BLOCK");
    ms_cmd_argi(cmd, wait_ms);
    ms_cmd_args(cmd, "STREAMS");
    for (size_t i = 0; i < tail->n; i++)
        ms_cmd_args(cmd, ms_event_key(key, ms_client_fleet(tail->client),
                                      tail->spots[i].queue));
    for (size_t i = 0; i < tail->n; i++)
        ms_cmd_args(cmd, ms_stream_id_format(tail->spots[i].id, id));
}

static struct spot *spot_of_key(const struct ms_tail *tail,
                                const struct ms_reply *key)
{
    char own[MS_KEY_MAX];

    for (size_t i = 0; i < tail->n; i++)
        if (ms_reply_is(key, ms_event_key(own, ms_client_fleet(tail->client),
                                          tail->spots[i].queue)))
            return &tail->spots[i];
    return NULL;
}

/* A stream that answered as many as a round takes may have more; what others
 * have behind its last one waits for them.  True: there is such a limit. */
static bool limit_find(const struct ms_reply *entries,
                       struct ms_stream_id *limit, bool has_limit)
{
    const struct ms_reply *last =
        ms_reply_at(ms_reply_at(entries, entries->n_items - 1), 0);
    struct ms_stream_id id;

    if (entries->n_items < COUNT || last->type != MS_REPLY_STR ||
        !ms_stream_id_parse(last->str, last->len, &id))
        return has_limit;
    if (!has_limit || ms_stream_id_compare(id, *limit) < 0)
        *limit = id;
    return true;
}

static void answer_tell(struct ms_tail *tail, const struct ms_reply *reply,
                        ms_event_fn *fn, void *arg)
{
    struct ms_event_list list = {0};
    struct ms_stream_id limit = {0};
    bool has_limit = false;

    for (size_t i = 0; i < reply->n_items; i++) {
        const struct ms_reply *stream = ms_reply_at(reply, i);
        struct spot *spot = spot_of_key(tail, ms_reply_at(stream, 0));
        const struct ms_reply *entries = ms_reply_at(stream, 1);

        if (spot == NULL || entries->n_items == 0)
            continue;
        ms_event_list_add(&list, spot->queue, entries);
        has_limit = limit_find(entries, &limit, has_limit);
    }
    ms_event_list_sort(&list);
    for (size_t i = 0; i < list.n; i++) {
        const struct ms_event_row *row = &list.rows[i];

        if (has_limit && ms_stream_id_compare(row->id, limit) > 0)
            break;
        spot_find(tail, row->queue)->id = row->id;
        fn(row, arg);
    }
    ms_event_list_done(&list);
}

enum ms_err ms_tail_read(struct ms_tail *tail, int wait_ms, ms_event_fn *fn,
                         void *arg, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err = MS_OK;

    if (ms_clock_mono_ms() - tail->looked_ms >= LOOK_MS)
        err = streams_look(tail, error);
    if (err != MS_OK)
        return err;
    read_build(tail, wait_ms, &cmd);
    err = ms_redis_call(ms_client_redis(tail->client), &cmd, wait_ms + SLACK_MS,
                        &reply, error);
    if (err == MS_OK)
        answer_tell(tail, reply, fn, arg);
    ms_reply_free(reply);
    return err;
}

#include "worker/dump_writer.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* A guard costs a few microseconds a shard: with more shards than this the
 * scripts are no dearer. */
#define GUARDED_SHARDS 64

/* Transactions take several small steps, but hold up others no longer than
 * one large script would. */
#define TRANSACTION_BYTES ((size_t)512 * 1024)

/* A first step larger than this is worth a round trip to raise the fence
 * before; a smaller one raises it by going through the script itself. */
#define RAISE_BYTES ((size_t)64 * 1024)

/* Each chunk that begins aborts others' transactions; who meets many of them
 * goes through the script, which nobody can abort. */
#define ABORTS_MAX 3

enum what { RAISE, SCRIPT, HSET, EXEC, WATCH, META, FENCE, MULTI };

/* One request of a flight. */
struct call {
    struct ms_dump_writer *writer;
    struct ms_request *request; /* NULL: answered */
    enum what what;
    int step; /* SCRIPT: of the flight's, from 0 */
    int64_t shard;
};

/* What Redis said of one shard. */
struct shard {
    bool fenced;           /* a script of ours has been here */
    bool allowed;          /* by the guard */
    struct ms_reply *meta; /* until its fence has come */
};

struct ms_dump_writer {
    struct ms_dump_writer_options options;
    struct shard *shards;

    struct ms_dump_step **steps; /* written, under way, waiting */
    int n_steps, n_written, n_flying, room;

    struct call *calls; /* of the flight */
    size_t n_calls, n_hsets, under_way, calls_room;
    int n_good;   /* steps of the flight before the first failure */
    bool guards;  /* the flight has a guard */
    bool aborted; /* by EXEC */
    bool watches; /* the guard's WATCH was accepted */
    bool opens;   /* and its MULTI */

    bool is_open;        /* a transaction, by that guard ... */
    uint64_t connection; /* ... on this one */
    bool only_scripts;
    int aborts; /* in a row */

    enum ms_err err;
    struct ms_error error;
};

struct ms_dump_writer *
ms_dump_writer_new(const struct ms_dump_writer_options *options)
{
    struct ms_dump_writer *w = ms_xcalloc(1, sizeof(*w));

    w->options = *options;
    w->shards = ms_xcalloc((size_t)options->map->shards, sizeof(*w->shards));
    w->only_scripts = options->map->shards > GUARDED_SHARDS;
    return w;
}

/* ---- the connection ---- */

static void on_ignored(enum ms_err err, const struct ms_reply *reply, void *arg)
{
}

static bool is_same_connection(const struct ms_dump_writer *w)
{
    return ms_redis_is_up(w->options.redis) &&
           ms_redis_reconnects(w->options.redis) == w->connection;
}

static void say(struct ms_dump_writer *w, const char *word)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, word, NULL);
    ms_redis_send(w->options.redis, &cmd, 0, on_ignored, NULL);
}

/* Ends a transaction that is open, or will be when the guard under way
 * arrives.  A connection that broke has forgotten it.  A WATCH that stays
 * (MULTI was refused) would only abort what comes later. */
static void discard(struct ms_dump_writer *w)
{
    bool is_ours = is_same_connection(w);

    if (is_ours && (w->is_open || w->guards))
        say(w, "DISCARD");
    else if (is_ours && w->watches)
        say(w, "UNWATCH");
    w->is_open = w->watches = false;
}

void ms_dump_writer_free(struct ms_dump_writer *w)
{
    size_t i;

    if (w == NULL)
        return;
    for (i = 0; i < w->n_calls; i++)
        if (w->calls[i].request != NULL)
            ms_redis_cancel(w->calls[i].request);
    discard(w);
    while (w->n_steps > 0)
        ms_dump_step_free(w->steps[--w->n_steps]);
    for (i = 0; i < (size_t)w->options.map->shards; i++)
        ms_reply_free(w->shards[i].meta);
    free(w->shards);
    free(w->steps);
    free(w->calls);
    free(w);
}

/* ---- flights: requests sent together, judged when all are answered ---- */

static void flight_done(struct ms_dump_writer *w);
static void take_answer(struct call *call, enum ms_err err,
                        const struct ms_reply *reply);

static void on_answered(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct call *call = arg;
    struct ms_dump_writer *w = call->writer;

    call->request = NULL;
    take_answer(call, err, reply);
    if (--w->under_way == 0)
        flight_done(w);
}

/* Makes room for all calls at once: what is under way must not move. */
static void flight_begin(struct ms_dump_writer *w, int n_steps, size_t n_calls)
{
    ms_assert(w->under_way == 0);
    if (n_calls > w->calls_room) {
        w->calls = ms_xrealloc(w->calls, n_calls * sizeof(*w->calls));
        w->calls_room = n_calls;
    }
    w->n_calls = w->n_hsets = 0;
    w->n_flying = w->n_good = n_steps;
    w->aborted = w->guards = w->watches = w->opens = false;
}

static void add_call(struct ms_dump_writer *w, struct ms_cmd *cmd,
                     enum what what, int64_t shard, int step)
{
    struct call *call = &w->calls[w->n_calls++];

    ms_assert(w->n_calls <= w->calls_room);
    *call =
        (struct call){.writer = w, .what = what, .shard = shard, .step = step};
    w->under_way++;
    call->request = ms_redis_send(w->options.redis, cmd, 0, on_answered, call);
}

static struct ms_dump_step *waiting(const struct ms_dump_writer *w, int i)
{
    int at = w->n_written + w->n_flying + i;

    return at < w->n_steps ? w->steps[at] : NULL;
}

/* ---- sending ---- */

/* All that waits, where nothing else ever goes: else the next may go natively
 * when this one has raised the fence. */
static void send_scripts(struct ms_dump_writer *w)
{
    const struct ms_dump_writer_options *o = &w->options;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_dump_step *step;
    size_t n_calls = 0;
    int64_t i;
    int n, s;

    discard(w);
    for (n = 0; (step = waiting(w, n)) != NULL; n++) {
        if (n > 0 && !w->only_scripts)
            break;
        n_calls += (size_t)step->n_used;
    }
    flight_begin(w, n, n_calls);
    for (s = 0; s < n; s++) {
        step = w->steps[w->n_written + s];
        for (i = 0; i < step->n_used; i++) {
            int64_t shard = step->used[i];

            ms_dataset_put_build(&cmd, o->fleet, o->map, shard, o->writer);
            ms_cmd_append(&cmd, &step->batches[shard].docs);
            add_call(w, &cmd, SCRIPT, shard, s);
        }
    }
}

/* An empty batch to each shard: whose steps follow without a script must pass
 * no document through it, or short chunks would gain little. */
static void send_raise(struct ms_dump_writer *w)
{
    const struct ms_dump_writer_options *o = &w->options;
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t shard;

    discard(w);
    flight_begin(w, 0, (size_t)o->map->shards);
    for (shard = 0; shard < o->map->shards; shard++) {
        if (w->shards[shard].fenced)
            continue;
        ms_dataset_put_build(&cmd, o->fleet, o->map, shard, o->writer);
        add_call(w, &cmd, RAISE, shard, 0);
    }
}

static size_t guard_calls(const struct ms_dump_writer *w)
{
    return 2 * (size_t)w->options.map->shards + 2;
}

static void add_guard(struct ms_dump_writer *w)
{
    const struct ms_dump_writer_options *o = &w->options;
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t shard;

    w->guards = true;
    w->connection = ms_redis_reconnects(o->redis);
    ms_dataset_watch_build(&cmd, o->fleet, o->map, o->writer->import);
    add_call(w, &cmd, WATCH, 0, 0);
    for (shard = 0; shard < o->map->shards; shard++) {
        ms_dataset_meta_build(&cmd, o->fleet, o->map, shard);
        add_call(w, &cmd, META, shard, 0);
        ms_dataset_fence_build(&cmd, o->fleet, o->map, shard, o->writer);
        add_call(w, &cmd, FENCE, shard, 0);
    }
    ms_cmd_plain(&cmd, "MULTI", NULL);
    add_call(w, &cmd, MULTI, 0, 0);
}

static void send_guard(struct ms_dump_writer *w)
{
    flight_begin(w, 0, guard_calls(w));
    add_guard(w);
}

static bool is_fenced(const struct ms_dump_writer *w,
                      const struct ms_dump_step *step)
{
    int64_t i;

    for (i = 0; i < step->n_used; i++)
        if (!w->shards[step->used[i]].fenced)
            return false;
    return true;
}

/* Did the guard forbid any of the step's shards? */
static bool is_forbidden(const struct ms_dump_writer *w,
                         const struct ms_dump_step *step)
{
    int64_t i;

    for (i = 0; i < step->n_used && w->is_open; i++)
        if (!w->shards[step->used[i]].allowed)
            return true;
    return false;
}

/* How many of those that wait share a transaction. */
static int count_transaction(const struct ms_dump_writer *w, size_t *out_hsets)
{
    const struct ms_dump_step *step;
    size_t bytes = 0;
    int n;

    *out_hsets = 0;
    for (n = 0; (step = waiting(w, n)) != NULL; n++) {
        bytes += step->bytes;
        if (n > 0 && (bytes > TRANSACTION_BYTES || !is_fenced(w, step) ||
                      is_forbidden(w, step)))
            break;
        *out_hsets += (size_t)step->n_used;
    }
    return n;
}

/* All of it at once, without running the loop: one connection has it all. */
static void send_transaction(struct ms_dump_writer *w)
{
    const struct ms_dump_writer_options *o = &w->options;
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t n_hsets;
    int64_t i;
    int s, n = count_transaction(w, &n_hsets);

    flight_begin(w, n, n_hsets + 1 + guard_calls(w));
    w->is_open = false;
    w->n_hsets = n_hsets;
    for (s = 0; s < n; s++) {
        const struct ms_dump_step *step = w->steps[w->n_written + s];

        for (i = 0; i < step->n_used; i++) {
            int64_t shard = step->used[i];

            ms_dataset_hset_build(&cmd, o->fleet, o->map, shard);
            ms_cmd_append(&cmd, &step->batches[shard].docs);
            add_call(w, &cmd, HSET, shard, s);
        }
    }
    ms_cmd_plain(&cmd, "EXEC", NULL);
    add_call(w, &cmd, EXEC, 0, 0);
    add_guard(w);
}

/* The one place that decides what is sent next. */
static void pump(struct ms_dump_writer *w)
{
    const struct ms_dump_step *step;

    if (w->under_way > 0 || w->err != MS_OK)
        return;
    while ((step = waiting(w, 0)) != NULL && step->n_used == 0)
        w->n_written++;
    if (step == NULL)
        return;
    if (w->is_open && !is_same_connection(w))
        w->is_open = false;
    if (w->only_scripts || w->aborts >= ABORTS_MAX)
        send_scripts(w);
    else if (!is_fenced(w, step))
        step->bytes > RAISE_BYTES ? send_raise(w) : send_scripts(w);
    else if (is_forbidden(w, step))
        send_scripts(w);
    else if (w->is_open)
        send_transaction(w);
    else
        send_guard(w);
}

/* ---- answers ---- */

/* The first failure counts: what comes after it only follows from it. */
static void fail(struct ms_dump_writer *w, int step, enum ms_err err,
                 const struct ms_error *why)
{
    if (step < w->n_good)
        w->n_good = step;
    if (w->err == MS_OK) {
        w->err = err;
        w->error = *why;
    }
}

/* A guard that cannot be asked for (commands that we may not use) is never
 * asked for again. */
static void take_guard(struct call *call, const struct ms_reply *reply)
{
    struct ms_dump_writer *w = call->writer;
    struct shard *shard = &w->shards[call->shard];

    if (reply->type == MS_REPLY_ERROR)
        w->only_scripts = true;
    switch (call->what) {
    case WATCH:
        w->watches = ms_reply_is(reply, "OK");
        break;
    case META:
        shard->meta = ms_reply_copy(reply);
        break;
    case FENCE:
        shard->allowed =
            w->watches &&
            ms_dataset_guard_allows(w->options.map, w->options.writer,
                                    shard->meta, reply);
        ms_reply_free(shard->meta);
        shard->meta = NULL;
        break;
    default:
        w->opens = ms_reply_is(reply, "OK");
    }
}

/* HSETs are queued or the transaction is as good as refused; anything else
 * would be a write without its guard. */
static enum ms_err take_write(struct call *call, const struct ms_reply *reply,
                              struct ms_error *why)
{
    struct ms_dump_writer *w = call->writer;
    int64_t n_new;
    bool written;
    enum ms_err err;

    switch (call->what) {
    case RAISE:
    case SCRIPT:
        err = ms_dataset_put_parse(reply, &n_new, why);
        w->shards[call->shard].fenced = err == MS_OK;
        return err;
    case EXEC:
        err = ms_dataset_exec_parse(reply, w->n_hsets, &written, why);
        w->aborted = err == MS_OK && !written;
        return err;
    default:
        if (ms_reply_is(reply, "QUEUED"))
            return MS_OK;
        return ms_error_set(why, MS_EPROTO, "HSET was not queued");
    }
}

static void take_answer(struct call *call, enum ms_err err,
                        const struct ms_reply *reply)
{
    struct ms_dump_writer *w = call->writer;
    struct ms_error why = {""};
    bool is_guard = call->what >= WATCH;

    if (is_guard)
        take_guard(call, reply);
    if (err != MS_OK && reply->type == MS_REPLY_ERROR) {
        if (is_guard) /* the script will say what it is */
            return;
        if (call->what == EXEC)
            err = ms_dataset_exec_parse(reply, w->n_hsets, &w->aborted, &why);
        else
            ms_error_set(&why, err, "%s", reply->str);
    } else if (err != MS_OK) {
        ms_error_set(&why, err, "%s", ms_err_name(err));
    } else if (!is_guard) {
        err = take_write(call, reply, &why);
    }
    if (err != MS_OK) /* a transaction goes as a whole */
        fail(w,
             is_guard               ? w->n_good
             : call->what == SCRIPT ? call->step
                                    : 0,
             err, &why);
}

static void flight_done(struct ms_dump_writer *w)
{
    if (w->aborted) {
        w->aborts++;
    } else if (w->n_flying > 0) {
        w->n_written += w->n_good;
        w->aborts = 0;
    }
    w->n_flying = 0;
    w->n_calls = 0;
    w->is_open = w->opens;
    w->guards = false;
    pump(w);
}

/* ---- steps ---- */

void ms_dump_writer_add(struct ms_dump_writer *w, struct ms_dump_step *step)
{
    if (w->n_steps == w->room) {
        w->room = w->room == 0 ? 16 : 2 * w->room;
        w->steps = ms_xrealloc(w->steps, (size_t)w->room * sizeof(w->steps[0]));
    }
    w->steps[w->n_steps++] = step;
    pump(w);
}

struct ms_dump_step *ms_dump_writer_pop(struct ms_dump_writer *w)
{
    struct ms_dump_step *step;

    if (w->n_written == 0)
        return NULL;
    step = w->steps[0];
    w->n_written--;
    w->n_steps--;
    memmove(w->steps, w->steps + 1, (size_t)w->n_steps * sizeof(w->steps[0]));
    return step;
}

int ms_dump_writer_count(const struct ms_dump_writer *w)
{
    return w->n_steps;
}

enum ms_err ms_dump_writer_failed(const struct ms_dump_writer *w,
                                  struct ms_error *out_why)
{
    if (w->err != MS_OK)
        *out_why = w->error;
    return w->err;
}

#include "ctl/batch.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/enqueue.h"
#include "common/mem.h"
#include "ctl/kinds.h"
#include "ctl/spec.h"
#include "ctl/view.h"

/* A window: what is read before anything is sent. */
#define WINDOW_JOBS  4000
#define WINDOW_BYTES (8 * 1024 * 1024)
#define CALL_BYTES   (1024 * 1024)
#define RANGES_SHOWN 10

struct item {
    struct ms_spec spec;
    int64_t line;
};

/* One enqueue: jobs of one queue. */
struct call {
    size_t items[MS_ENQUEUE_BATCH]; /* indices into the window */
    size_t n, bytes;
    char token[MS_ULID_LEN + 1];
};

struct batch {
    struct ms_ctl *ctl;
    const char *queue;
    struct item *items;
    size_t n_items, bytes;
    struct call **calls;
    size_t n_calls;
    struct ms_names known; /* queues whose names are registered */
    struct ms_kinds kinds;
    bool *in; /* a line: is it in?  Index 0 is line 1 */
    int64_t n_lines, in_cap;
    int64_t bad_line; /* 0: none */
    struct ms_batch_result *result;
    struct ms_error *error;
};

static void window_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n_items; i++)
        ms_spec_done(&b->items[i].spec);
    for (size_t i = 0; i < b->n_calls; i++)
        free(b->calls[i]);
    b->n_items = b->n_calls = b->bytes = 0;
}

static void batch_done(struct batch *b)
{
    window_clear(b);
    free(b->items);
    free(b->calls);
    free(b->in);
    ms_names_done(&b->known);
    ms_kinds_done(&b->kinds);
}

/* ---- gathering ---- */

/* The open call of the queue, or a new one. */
static struct call *call_for(struct batch *b, const char *queue, size_t bytes)
{
    struct call *call;

    for (size_t i = b->n_calls; i > 0; i--) {
        call = b->calls[i - 1];
        if (strcmp(b->items[call->items[0]].spec.queue, queue) != 0)
            continue;
        if (call->n < MS_ENQUEUE_BATCH && call->bytes + bytes <= CALL_BYTES)
            return call;
        break;
    }
    call = ms_xcalloc(1, sizeof(*call));
    ms_ulid_new(call->token);
    b->calls = ms_xrealloc(b->calls, (b->n_calls + 1) * sizeof(*b->calls));
    b->calls[b->n_calls++] = call;
    return call;
}

static void item_add(struct batch *b, const struct ms_spec *spec)
{
    size_t bytes = spec->payload.len;
    struct call *call = call_for(b, spec->queue, bytes);

    if (b->items == NULL)
        b->items = ms_xcalloc(WINDOW_JOBS, sizeof(*b->items));
    b->items[b->n_items].spec = *spec; /* it owns what job points to, except */
    b->items[b->n_items].spec.job.id = spec->own_id != NULL
                                           ? spec->own_id
                                           : b->items[b->n_items].spec.fresh_id;
    b->items[b->n_items].line = b->n_lines;
    call->items[call->n++] = b->n_items++;
    call->bytes += bytes;
    b->bytes += bytes;
}

/* ---- sending ---- */

static void lines_note(struct batch *b, int64_t line)
{
    if (line > b->in_cap) {
        int64_t cap = b->in_cap * 2 > line + 1023 ? b->in_cap * 2 : line + 1023;

        b->in = ms_xrealloc(b->in, (size_t)cap * sizeof(bool));
        memset(b->in + b->in_cap, 0, (size_t)(cap - b->in_cap));
        b->in_cap = cap;
    }
    b->in[line - 1] = true;
}

static enum ms_err queue_register(struct batch *b, const char *queue)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    if (ms_names_has(&b->known, queue))
        return MS_OK;
    ms_enqueue_register_build(&cmd, ms_client_fleet(b->ctl->client), queue);
    err = ms_client_ask(b->ctl->client, &cmd, &reply, b->error);
    ms_reply_free(reply);
    if (err != MS_OK)
        return err;
    b->known.items =
        ms_xrealloc(b->known.items, (b->known.n + 1) * sizeof(char *));
    b->known.items[b->known.n++] = ms_xstrdup(queue);
    return MS_OK;
}

static enum ms_err call_build(struct batch *b, const struct call *call,
                              struct ms_cmd *cmd)
{
    struct ms_new_job *jobs = ms_xcalloc(call->n, sizeof(*jobs));
    const char *queue = b->items[call->items[0]].spec.queue;
    enum ms_err err = queue_register(b, queue);

    for (size_t i = 0; i < call->n; i++)
        jobs[i] = b->items[call->items[i]].spec.job;
    if (err == MS_OK)
        err = ms_enqueue_build(cmd, ms_client_fleet(b->ctl->client), queue,
                               call->token, jobs, call->n,
                               b->ctl->conf->max_payload_bytes, b->error);
    free(jobs);
    return err;
}

static void on_enqueued(size_t i, enum ms_enqueue_status status, const char *id,
                        void *arg)
{
    struct ms_batch_result *result = arg;

    if (status == MS_ENQUEUED)
        result->enqueued++;
    else
        result->deduplicated++;
}

/* Reads one call's answer and notes its lines. */
static enum ms_err call_end(struct batch *b, const struct call *call,
                            const struct ms_reply *reply)
{
    struct ms_error why = {""};
    enum ms_err err =
        ms_enqueue_parse(reply, call->n, on_enqueued, b->result, &why);

    if (err != MS_OK)
        return ms_error_set(b->error, err, "queue '%s': %.400s",
                            b->items[call->items[0]].spec.queue, why.text);
    for (size_t i = 0; i < call->n; i++) {
        const struct item *item = &b->items[call->items[i]];

        lines_note(b, item->line);
        ms_kinds_warn(&b->kinds, b->ctl->client, item->spec.queue,
                      item->spec.kind);
    }
    return MS_OK;
}

/* Sends the window.  Every call is looked at, also after a failure, so that
 * what went in is known line by line. */
static enum ms_err window_send(struct batch *b)
{
    size_t n = b->n_calls;
    struct ms_cmd *cmds = ms_xcalloc(n + 1, sizeof(*cmds));
    struct ms_reply **replies = ms_xcalloc(n + 1, sizeof(*replies));
    enum ms_err *errs = ms_xcalloc(n + 1, sizeof(*errs));
    enum ms_err err = MS_OK;

    for (size_t i = 0; i < n && err == MS_OK; i++)
        err = call_build(b, b->calls[i], &cmds[i]);
    if (err == MS_OK)
        err =
            ms_client_try_all(b->ctl->client, cmds, n, replies, errs, b->error);
    for (size_t i = 0; i < n; i++) {
        enum ms_err one =
            replies[i] != NULL ? call_end(b, b->calls[i], replies[i]) : MS_OK;

        if (err == MS_OK)
            err = one;
        ms_cmd_done(&cmds[i]);
    }
    ms_client_free_all(replies, n);
    free(errs);
    free(replies);
    free(cmds);
    window_clear(b);
    return err;
}

/* ---- reading ---- */

/* `out_spec` stays empty for a blank line.  Free it with ms_spec_done(), also
 * after an error. */
static enum ms_err line_parse(struct batch *b, const char *text, size_t len,
                              struct ms_spec *out_spec)
{
    struct ms_error why = {""};
    enum ms_err err;

    memset(out_spec, 0, sizeof(*out_spec));
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    if (len == 0)
        return MS_OK;
    err = ms_spec_from_json(out_spec, text, len, &why);
    if (err == MS_OK)
        err = ms_spec_finish(out_spec, b->ctl->conf, b->queue, &why);
    if (err == MS_OK)
        return MS_OK;
    b->bad_line = b->n_lines;
    return ms_error_set(b->error, MS_EINVAL, "line %" PRId64 ": %.400s",
                        b->n_lines, why.text);
}

static enum ms_err line_check(struct batch *b, const char *text, size_t len)
{
    struct ms_spec spec;
    enum ms_err err = line_parse(b, text, len, &spec);

    ms_spec_done(&spec);
    return err;
}

static enum ms_err line_read(struct batch *b, const char *text, size_t len)
{
    struct ms_spec spec;
    enum ms_err err = line_parse(b, text, len, &spec);

    if (err != MS_OK) {
        ms_spec_done(&spec);
        return err;
    }
    if (spec.kind == NULL) {
        lines_note(b, b->n_lines); /* nothing to put in is in */
        return MS_OK;
    }
    item_add(b, &spec);
    return b->n_items == WINDOW_JOBS || b->bytes >= WINDOW_BYTES
               ? window_send(b)
               : MS_OK;
}

static enum ms_err file_read(struct batch *b, FILE *file,
                             enum ms_err (*line_fn)(struct batch *,
                                                    const char *, size_t))
{
    char *line = NULL;
    size_t cap = 0;
    enum ms_err err = MS_OK;
    ssize_t len;

    b->n_lines = 0;
    errno = 0;
    while (err == MS_OK && (len = getline(&line, &cap, file)) >= 0) {
        b->n_lines++;
        err = line_fn(b, line, (size_t)len);
    }
    if (err == MS_OK && ferror(file))
        err = ms_error_set(b->error, MS_EIO, "cannot read the batch: %s",
                           strerror(errno));
    free(line);
    return err;
}

/* Looks through what can be read twice, so that nothing of it goes in when a
 * line is bad. */
static enum ms_err file_check(struct batch *b, FILE *file)
{
    off_t start = ftello(file);
    enum ms_err err;

    if (start < 0)
        return MS_OK; /* a pipe */
    err = file_read(b, file, line_check);
    if (err == MS_OK && fseeko(file, start, SEEK_SET) != 0)
        err = ms_error_set(b->error, MS_EIO, "cannot read the batch again: %s",
                           strerror(errno));
    return err;
}

/* Which lines are in: "1-500 502", at most a few ranges. */
static void ranges_write(const struct batch *b, struct ms_buf *out)
{
    int ranges = 0;

    for (int64_t i = 0; i < b->in_cap; i++) {
        int64_t from = i + 1;

        if (!b->in[i])
            continue;
        while (i + 1 < b->in_cap && b->in[i + 1])
            i++;
        if (++ranges > RANGES_SHOWN) {
            ms_buf_adds(out, " ...");
            return;
        }
        ms_buf_addf(out, "%s%" PRId64, ranges > 1 ? " " : "", from);
        if (i + 1 > from)
            ms_buf_addf(out, "-%" PRId64, i + 1);
    }
}

static int64_t first_missing(const struct batch *b)
{
    int64_t i = 0;

    while (i < b->in_cap && b->in[i])
        i++;
    return i + 1;
}

enum ms_err ms_batch_run(struct ms_ctl *ctl, FILE *file, const char *queue,
                         struct ms_batch_result *out_result,
                         struct ms_error *error)
{
    struct batch b = {.ctl = ctl,
                      .queue = queue,
                      .result = out_result,
                      .error = error};
    enum ms_err err;

    memset(out_result, 0, sizeof(*out_result));
    err = file_check(&b, file);
    if (err == MS_OK)
        err = file_read(&b, file, line_read);
    if (err == MS_OK)
        err = window_send(&b);
    if (err != MS_OK) {
        out_result->failed_line =
            b.bad_line != 0 ? b.bad_line : first_missing(&b);
        ranges_write(&b, &out_result->in_lines);
    }
    batch_done(&b);
    return err;
}

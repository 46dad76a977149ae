#include "worker/dump_chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/backoff.h"
#include "common/lines.h"
#include "common/mem.h"
#include "worker/dump_job.h"
#include "worker/dump_step.h"
#include "worker/dump_writer.h"

#define STEPS          8 /* under way at a time */
#define AHEAD_BYTES    ((int64_t)4 * 1024 * 1024)
#define CHECK_BYTES    ((int64_t)4 * 1024 * 1024)
#define PUSH_BYTES     (32 * 1024) /* sockets hold little: keep Redis busy */
#define SOURCE_MS      5000        /* another pod may see the right source */
#define DRAIN_MS       3000
#define TICK_S         0.2
#define REJECTS_LISTED 1000 /* the parent keeps no more */

struct chunk {
    struct ms_ctx *ctx;
    struct ev_loop *loop;
    struct ms_redis *redis;
    struct ms_dump_job job;
    struct ms_doc_reader *reader;
    struct ms_lines *lines;
    int fd;
    ev_timer tick; /* so that a wait never sleeps through a stop */

    struct ms_dump_tally acked, read; /* in the dataset; handed to steps */
    int64_t reread, checked_at, seq;
    struct ms_line line; /* read, but in no step yet */
    struct ms_doc doc;
    enum ms_doc_kind kind;
    bool has_line, at_end;

    struct ms_dump_writer *writer; /* has the steps; NULL: none yet */
    struct ms_backoff retry;
    struct ms_buf cursor;
};

/* What a part of the work comes to.  KEEP_ON: nothing ends here. */
enum verdict { KEEP_ON, ENDED };

static enum verdict end_with(enum ms_outcome outcome, enum ms_outcome *out)
{
    *out = outcome;
    return ENDED;
}

/* ---- reading ---- */

static enum verdict source_changed(struct chunk *c, const struct ms_error *why,
                                   enum ms_outcome *out)
{
    ms_ctx_set_error(c->ctx, "%s", why->text);
    ms_ctx_set_delay(c->ctx, SOURCE_MS);
    return end_with(MS_RELEASED, out);
}

/* Reads and judges the next line into `c->line`, or sets at_end. */
static enum verdict next_line(struct chunk *c, enum ms_outcome *out)
{
    struct ms_error error;
    bool found;
    enum ms_err err = ms_lines_next(c->lines, &c->line, &found, &error);

    if (err == MS_ESTALE)
        return source_changed(c, &error, out);
    if (err != MS_OK) {
        ms_ctx_set_error(c->ctx, "'%s': %s", c->job.manifest.path, error.text);
        return end_with(MS_FAILED, out);
    }
    c->has_line = found;
    c->at_end = !found;
    if (!found)
        return KEEP_ON;
    c->kind = MS_DOC_REJECT;
    if (!c->line.too_long)
        c->kind = ms_doc_read(c->reader, c->line.bytes, c->line.len, &c->doc);
    else
        snprintf(c->doc.reason, sizeof(c->doc.reason),
                 "line longer than %zu bytes", c->job.max_line);
    return KEEP_ON;
}

static void count_line(struct chunk *c, struct ms_dump_step *step)
{
    struct ms_dump_tally *t = &c->read;

    t->offset = ms_lines_offset(c->lines);
    t->lines++;
    switch (c->kind) {
    case MS_DOC_OK:
        t->docs++;
        ms_checksum_add(&t->sum, c->doc.hash);
        break;
    case MS_DOC_EMPTY:
        t->empty++;
        break;
    case MS_DOC_REJECT:
        if (t->rejected++ < REJECTS_LISTED)
            ms_dump_step_add_reject(step, c->line.offset, c->doc.reason);
    }
    c->has_line = false;
}

/* Reads lines into the step until it is full.  What is already on its way
 * moves on meanwhile. */
static enum verdict fill_step(struct chunk *c, struct ms_dump_step *step,
                              enum ms_outcome *out)
{
    int64_t begin = c->read.offset, pushed = begin;

    for (;;) {
        if (!c->has_line && next_line(c, out) == ENDED)
            return ENDED;
        if (c->at_end)
            break;
        if (c->kind == MS_DOC_OK &&
            !ms_dump_step_add_doc(step, &c->doc)) /* it begins the next */
            return KEEP_ON;
        count_line(c, step);
        if (ms_dump_step_is_full(step, c->read.offset - begin))
            return KEEP_ON;
        if (c->read.offset - pushed < PUSH_BYTES)
            continue;
        pushed = c->read.offset;
        ev_run(c->loop, EVRUN_NOWAIT);
    }
    c->read.offset = ms_lines_offset(c->lines); /* a mark without a line */
    return KEEP_ON;
}

static enum verdict check_source(struct chunk *c, enum ms_outcome *out)
{
    struct ms_error error;

    c->checked_at = c->read.offset;
    if (ms_manifest_check(&c->job.manifest, c->fd, &error) != MS_OK)
        return source_changed(c, &error, out);
    return KEEP_ON;
}

static enum verdict read_step(struct chunk *c, enum ms_outcome *out)
{
    struct ms_dump_step *step =
        ms_dump_step_new(&c->job.map, c->job.batch_docs, c->job.batch_bytes);

    if (fill_step(c, step, out) == ENDED ||
        (c->read.offset - c->checked_at >= CHECK_BYTES &&
         check_source(c, out) == ENDED)) {
        ms_dump_step_free(step);
        return ENDED;
    }
    step->upto = c->read;
    ms_dump_writer_add(c->writer, step);
    ev_run(c->loop, EVRUN_NOWAIT);
    return KEEP_ON;
}

/* ---- acknowledging ---- */

/* So many checkpoints may wait for their commit as make AHEAD_BYTES. */
static int max_ahead(int64_t step_bytes)
{
    int64_t n = AHEAD_BYTES / (step_bytes < 4096 ? 4096 : step_bytes);

    return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

static void report(struct chunk *c, struct ms_dump_step *step)
{
    int64_t bytes = step->upto.offset - c->acked.offset;
    struct ms_checkpoint checkpoint;

    c->acked = step->upto;
    ms_dump_job_report(&c->job, ++c->seq, &c->acked, c->reread,
                       ms_lines_read_to(c->lines), &c->cursor, &checkpoint);
    checkpoint.rejects = step->rejects;
    checkpoint.n_rejects = step->n_rejects;
    ms_ctx_checkpoint(c->ctx, &checkpoint, max_ahead(bytes));
}

/* Reports the steps at the front that are in the dataset. */
static void report_acked(struct chunk *c)
{
    struct ms_dump_step *step;

    while ((step = ms_dump_writer_pop(c->writer)) != NULL) {
        report(c, step);
        ms_dump_step_free(step);
        ms_backoff_reset(&c->retry);
    }
}

/* ---- when it goes wrong ---- */

/* Forgets what was not acknowledged, to read it again from there. */
static void rewind_source(struct chunk *c)
{
    ms_dump_writer_free(c->writer);
    c->writer = NULL;
    c->reread += ms_lines_read_to(c->lines) - c->acked.offset;
    ms_lines_free(c->lines);
    c->lines =
        ms_lines_new(c->fd, c->acked.offset, c->job.end, c->job.max_line);
    c->read = c->acked;
    c->has_line = c->at_end = false;
}

/* CANCEL and LOST end at once; a drain is for the caller to see to. */
static enum verdict check_stop(struct chunk *c, enum ms_outcome *out)
{
    switch (ms_ctx_stop_wanted(c->ctx)) {
    case MS_STOP_NONE:
        return KEEP_ON;
    case MS_STOP_DRAIN:
        return end_with(MS_RELEASED, out);
    case MS_STOP_CANCEL:
        ms_ctx_set_error(c->ctx, "cancelled by user");
        break;
    case MS_STOP_LOST:
        ms_ctx_set_error(c->ctx, "lost the lease");
        break;
    }
    return end_with(MS_CANCELLED, out);
}

/* Waits a jittered while, and for the connection.  Waiting for Redis is no
 * time that the handler took. */
static enum verdict wait_a_while(struct chunk *c, enum ms_outcome *out)
{
    int64_t size = c->job.end - c->job.start;
    double part =
        size == 0 ? 1 : (double)(c->acked.offset - c->job.start) / (double)size;

    ms_ctx_progress(c->ctx, part);
    ms_ctx_sleep(c->ctx, ms_backoff_next_ms(&c->retry));
    if (!ms_redis_is_up(c->redis))
        ms_redis_wait_up(c->redis, 1000, NULL);
    return check_stop(c, out);
}

/* Loads the dataset's map again.  One that is still old is tried all the same
 * and answers `moved` again, after a while. */
static enum verdict reload_map(struct chunk *c, enum ms_outcome *out)
{
    struct ms_dataset *map = &c->job.map;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_dataset now;
    struct ms_error error;
    enum ms_err err;

    ms_dataset_load_build(&cmd, ms_ctx_conf(c->ctx)->fleet, map->name);
    err = ms_redis_call(c->redis, &cmd, 0, &reply, &error);
    if (err == MS_OK) {
        err = ms_dataset_load_parse(map->name, reply, &now, &error);
        ms_reply_free(reply);
        if (err == MS_ENOENT) {
            ms_ctx_set_error(c->ctx, "%s any more", error.text);
            return end_with(MS_DEAD, out);
        }
    }
    if (err == MS_OK) {
        memcpy(now.id_field, map->id_field, sizeof(now.id_field));
        *map = now;
    }
    return KEEP_ON;
}

/* Also once the map was loaded again, as it may have changed in any way. */
static void new_writer(struct chunk *c)
{
    const struct ms_dump_writer_options options = {
        .redis = c->redis,
        .fleet = ms_ctx_conf(c->ctx)->fleet,
        .map = &c->job.map,
        .writer = &c->job.writer,
    };

    c->writer = ms_dump_writer_new(&options);
}

static enum verdict recover(struct chunk *c, enum ms_err err, const char *why,
                            enum ms_outcome *out)
{
    switch (err) {
    case MS_ESTALE:
    case MS_ESTATE:
        ms_ctx_set_error(c->ctx, "lost the chunk to a newer fence: %s", why);
        return end_with(MS_CANCELLED, out);
    case MS_EMOVED:
    case MS_EFULL:
    case MS_EDOWN:
    case MS_ETIMEOUT:
    case MS_ELOADING:
    case MS_EREADONLY:
    case MS_EBUSY:
        break;
    default:
        ms_ctx_set_error(c->ctx, "dataset '%s': %s", c->job.map.name, why);
        return end_with(MS_FAILED, out);
    }
    rewind_source(c);
    if (wait_a_while(c, out) == ENDED)
        return ENDED;
    if (err == MS_EMOVED && reload_map(c, out) == ENDED)
        return ENDED;
    new_writer(c);
    return KEEP_ON;
}

static enum verdict look_at_steps(struct chunk *c, enum ms_outcome *out)
{
    struct ms_error why;
    enum ms_err err;

    report_acked(c);
    err = ms_dump_writer_failed(c->writer, &why);
    return err == MS_OK ? KEEP_ON : recover(c, err, why.text, out);
}

/* ---- the flow ---- */

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
}

/* The pod is leaving: what is under way may still be acknowledged. */
static void drain(struct chunk *c)
{
    double until = ev_time() + DRAIN_MS / 1000.0;
    struct ms_error why;

    while (ms_dump_writer_count(c->writer) > 0 && ev_time() < until &&
           ms_dump_writer_failed(c->writer, &why) == MS_OK) {
        ev_run(c->loop, EVRUN_ONCE);
        report_acked(c);
    }
}

static bool has_room(const struct chunk *c)
{
    int n = ms_dump_writer_count(c->writer);

    return !c->at_end && n < STEPS &&
           (n == 0 || c->read.offset - c->acked.offset < AHEAD_BYTES);
}

static enum ms_outcome run(struct chunk *c)
{
    enum ms_outcome outcome;

    for (;;) {
        if (check_stop(c, &outcome) == ENDED) {
            if (outcome == MS_RELEASED)
                drain(c);
            return outcome;
        }
        if (look_at_steps(c, &outcome) == ENDED)
            return outcome;
        if (has_room(c)) {
            if (read_step(c, &outcome) == ENDED)
                return outcome;
        } else if (ms_dump_writer_count(c->writer) > 0) {
            ev_run(c->loop, EVRUN_ONCE);
        } else {
            return check_source(c, &outcome) == ENDED ? outcome : MS_DONE;
        }
    }
}

static void begin(struct chunk *c)
{
    const struct ms_held *held = ms_ctx_job(c->ctx);

    ms_dump_job_resume(&c->job, held, &c->acked, &c->reread);
    c->read = c->acked;
    c->checked_at = c->acked.offset;
    c->seq = held->seq;
    new_writer(c);
    c->reader = ms_doc_reader_new(c->job.map.id_field);
    c->lines =
        ms_lines_new(c->fd, c->acked.offset, c->job.end, c->job.max_line);
    ev_timer_init(&c->tick, on_tick, TICK_S, TICK_S);
    ev_timer_start(c->loop, &c->tick);
}

static void chunk_done(struct chunk *c)
{
    ms_dump_writer_free(c->writer);
    if (c->loop != NULL)
        ev_timer_stop(c->loop, &c->tick);
    ms_lines_free(c->lines);
    ms_doc_reader_free(c->reader);
    if (c->fd >= 0)
        close(c->fd);
    ms_buf_done(&c->cursor);
    ms_dump_job_done(&c->job);
}

enum ms_outcome ms_handle_dump_chunk(struct ms_ctx *ctx)
{
    struct chunk c = {.ctx = ctx, .fd = -1};
    enum ms_outcome outcome = MS_DEAD;
    struct ms_error error;

    c.retry = (struct ms_backoff)MS_BACKOFF_INIT(200, 5000);
    if (ms_dump_job_read(ms_ctx_payload(ctx), ms_ctx_job(ctx), &c.job,
                         &error) != MS_OK) {
        ms_ctx_set_error(ctx, "%s", error.text);
        return MS_DEAD;
    }
    c.redis = ms_ctx_redis(ctx);
    if (c.redis == NULL) { /* the context has said why */
        ms_ctx_set_delay(ctx, 1000);
        outcome = MS_RELEASED;
        goto out;
    }
    if (ms_manifest_open(&c.job.manifest, &c.fd, &error) != MS_OK) {
        source_changed(&c, &error, &outcome);
        goto out;
    }
    c.loop = ms_ctx_loop(ctx);
    begin(&c);
    outcome = run(&c);
out:
    chunk_done(&c);
    return outcome;
}

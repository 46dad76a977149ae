#include "coordinator/import_run.h"

#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/import_run_parts.h"

#define PACE_MIN_MS  20   /* between two looks, where chunks end fast */
#define ROUNDS_MAX   64   /* steps a look, so that no run has the loop alone */
#define PROBE_GAP_MS 1000 /* between two looks at a source that pods doubt */

static const char *const state_names[] = {"idle",    "reading", "planning",
                                          "loading", "acting",  "asking"};

void ms_import_run_set_state(struct ms_import_run *run,
                             enum ms_import_run_state state)
{
    ms_assert(state == IDLE || state == READING || run->state != IDLE);
    if (run->state == state)
        return;
    ms_log(MS_DEBUG, "import", "state", "id=%s from=%s to=%s", run->id,
           state_names[run->state], state_names[state]);
    run->state = state;
}

static void reading_clear(struct ms_import_run *run)
{
    ms_job_free(run->job);
    run->job = NULL;
    if (run->has_order)
        ms_import_order_done(&run->order);
    if (run->has_plan)
        ms_import_plan_done(&run->plan);
    run->has_order = run->has_plan = false;
}

/* ---- the end of a look ---- */

void ms_import_run_look_end(struct ms_import_run *run, enum ms_err err,
                            const char *text)
{
    char quoted[256];

    ms_import_run_set_state(run, IDLE);
    if (err != MS_OK && err != MS_ENOENT)
        ms_log(MS_WARN, "import", "step_failed", "queue=%s id=%s err=%s why=%s",
               run->queue, run->id, ms_err_name(err),
               ms_log_quote(text, quoted, sizeof(quoted)));
    if (err == MS_OK && run->pace_ms > 0) {
        ev_timer_set(&run->again, (double)run->pace_ms / 1000, 0);
        ev_timer_start(run->duty.loop, &run->again);
    }
    run->fn(run, err, text, run->arg); /* may free the run */
}

static void reading_start(struct ms_import_run *run);

/* After a step: look what there is now.  A step that was refused because
 * somebody else did it says the same. */
void ms_import_run_step_end(struct ms_import_run *run, enum ms_err err,
                            const struct ms_error *error)
{
    if (err != MS_OK && err != MS_ESTATE)
        ms_import_run_look_end(run, err, error->text);
    else if (++run->rounds >= ROUNDS_MAX)
        ms_import_run_look_end(run, MS_OK, "");
    else
        reading_start(run);
}

void ms_import_run_note_failure(struct ms_import_run *run, enum ms_err err,
                                const struct ms_error *error)
{
    if (err == MS_OK || run->err != MS_OK)
        return;
    run->err = err;
    run->error = *error;
}

/* The text of a request that failed. */
enum ms_err ms_import_run_reply_error(enum ms_err err,
                                      const struct ms_reply *reply,
                                      struct ms_error *error)
{
    return ms_error_set(error, err, "%s",
                        reply != NULL && reply->type == MS_REPLY_ERROR
                            ? reply->str
                            : ms_err_name(err));
}

/* ---- scripts that end a step ---- */

static void on_status(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_parent_status_parse(reply, &error);
    else
        ms_import_run_reply_error(err, reply, &error);
    ms_import_run_step_end(run, err, &error);
}

void ms_import_run_move(struct ms_import_run *run, const char *phase,
                        const char *why)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_import_run_set_state(run, ACTING);
    ms_log(MS_INFO, "import", "phase", "queue=%s id=%s phase=%s", run->queue,
           run->id, phase);
    ms_phase_build(&cmd, run->duty.fleet, run->queue, run->id,
                   run->duty.term->epoch, phase, why);
    ms_gate_send(run->gate, &cmd, on_status, run);
}

void ms_import_run_conclude(struct ms_import_run *run, bool done,
                            const struct ms_buf *text)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_import_run_set_state(run, ACTING);
    ms_log(MS_INFO, "import", "ends",
           "queue=%s id=%s outcome=%s docs=%lld bytes=%lld rejected=%lld "
           "actor=system:plan",
           run->queue, run->id, done ? "done" : "dead",
           (long long)run->facts.tally.docs, (long long)run->facts.tally.bytes,
           (long long)run->facts.tally.rejected);
    ms_conclude_build(&cmd, run->duty.fleet, run->queue, run->id,
                      run->duty.term->epoch, done, text->data, text->len);
    ms_gate_send(run->gate, &cmd, on_status, run);
}

/* ---- reading, and what follows from it ---- */

static void act(struct ms_import_run *run)
{
    switch (run->decision.step) {
    case MS_IMPORT_WAIT:
        ms_import_run_look_end(run, MS_OK, "");
        break;
    case MS_IMPORT_MANIFEST:
        ms_import_run_manifest(run);
        break;
    case MS_IMPORT_SPAWN:
        ms_import_run_spawn(run);
        break;
    case MS_IMPORT_PHASE:
        ms_import_run_move(run, run->decision.phase, run->decision.why);
        break;
    case MS_IMPORT_STOP:
        run->children_from = run->to_tell = run->first_open;
        ms_import_run_move_chunks(run);
        break;
    case MS_IMPORT_REVIVE:
        run->told = false;
        ms_import_run_close(run, MS_CLOSE_REOPEN);
        break;
    case MS_IMPORT_PROBE:
        ms_import_run_probe(run);
        break;
    case MS_IMPORT_CHECK:
        ms_import_run_check(run);
        break;
    case MS_IMPORT_BURY:
        ms_import_run_bury(run, run->decision.why);
        break;
    }
}

/* A payload or plan that cannot be read will not get better. */
static enum ms_err read_record(struct ms_import_run *run,
                               struct ms_error *error)
{
    enum ms_err err = ms_import_order_parse(run->job, &run->order, error);

    run->has_order = err == MS_OK;
    if (err == MS_OK && run->job->plan.len > 0) {
        err = ms_import_plan_parse(&run->job->plan, &run->plan, error);
        run->has_plan = err == MS_OK;
    }
    return err;
}

static void facts_fill(struct ms_import_run *run)
{
    struct ms_import_facts *facts = &run->facts;

    facts->phase = run->job->phase != NULL ? run->job->phase : "";
    facts->cancel_requested = run->job->cancel_requested;
    facts->has_plan = run->has_plan;
    facts->complete = run->plan.complete;
    facts->size = run->plan.manifest.size;
    facts->max_errors = run->order.max_errors;
    facts->max_workers = run->max_workers;
    facts->told = run->told;
    facts->doubted = run->doubted_ms > run->probed_ms &&
                     run->now_ms - run->probed_ms >= PROBE_GAP_MS;
}

/* Small chunks may be gone before the next look: then look sooner, so that
 * the window is never empty while there is something to plan. */
static void pace_adapt(struct ms_import_run *run)
{
    const struct ms_tally *tally = &run->facts.tally;
    int64_t window = ms_import_window(run->max_workers);
    int64_t left = tally->ready + tally->running;

    if (!run->has_plan || run->plan.complete || left > window / 4 * 3)
        run->pace_ms *= 2;
    else if (left < window / 4)
        run->pace_ms /= 2;
    if (run->pace_ms < PACE_MIN_MS)
        run->pace_ms = PACE_MIN_MS;
    if (run->pace_ms > run->again_ms)
        run->pace_ms = run->again_ms;
}

static void on_all_read(struct ms_import_run *run)
{
    struct ms_error error = {""};

    if (run->err != MS_OK) {
        ms_import_run_look_end(run, run->err, run->error.text);
    } else if (strcmp(run->job->state, "waiting") != 0) {
        ms_import_run_look_end(run, MS_ENOENT, "");
    } else if (read_record(run, &error) != MS_OK) {
        ms_import_run_bury(run, error.text);
    } else {
        facts_fill(run);
        if (run->rounds == 0)
            pace_adapt(run);
        ms_import_decide(&run->facts, &run->decision);
        act(run);
    }
}

static void part_read(struct ms_import_run *run, enum ms_err err,
                      const struct ms_error *error)
{
    ms_import_run_note_failure(run, err, error);
    if (--run->out == 0)
        on_all_read(run);
}

static void on_job(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_job_parse(run->queue, run->id, reply, &run->job, &error);
    else
        ms_import_run_reply_error(err, reply, &error);
    part_read(run, err, &error);
}

static void on_tally(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK) {
        err = ms_tally_parse(reply, &run->facts.tally, &error);
        run->doubted_ms = ms_reply_int(ms_reply_field(reply, "doubted_ms"), 0);
    } else {
        ms_import_run_reply_error(err, reply, &error);
    }
    part_read(run, err, &error);
}

static void on_first_open(enum ms_err err, const struct ms_reply *reply,
                          void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        run->first_open = ms_reply_int(reply, 0);
    else
        ms_import_run_reply_error(err, reply, &error);
    if (run->first_open < 0)
        run->first_open = 0;
    part_read(run, err, &error);
}

static void on_time(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        run->now_ms = ms_reply_int(ms_reply_at(reply, 0), 0) * 1000 +
                      ms_reply_int(ms_reply_at(reply, 1), 0) / 1000;
    else
        ms_import_run_reply_error(err, reply, &error);
    part_read(run, err, &error);
}

static void reading_start(struct ms_import_run *run)
{
    const char *fleet = run->duty.fleet;
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_import_run_set_state(run, READING);
    reading_clear(run);
    run->err = MS_OK;
    run->out = 4;
    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_queue(key, fleet, run->queue, "job:%s", run->id), NULL);
    ms_gate_send(run->gate, &cmd, on_job, run);
    ms_tally_build(&cmd, fleet, run->queue, run->id);
    ms_gate_send(run->gate, &cmd, on_tally, run);
    ms_cmd_plain(&cmd, "BITPOS",
                 ms_key_queue(key, fleet, run->queue, "bits:%s", run->id), "0",
                 NULL);
    ms_gate_send(run->gate, &cmd, on_first_open, run);
    ms_cmd_plain(&cmd, "TIME", NULL);
    ms_gate_send(run->gate, &cmd, on_time, run);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_import_run *run = timer->data;

    if (run->state != IDLE)
        return;
    run->rounds = 0;
    reading_start(run);
}

struct ms_import_run *ms_import_run_new(const struct ms_duty *duty,
                                        const char *queue, const char *id,
                                        int *planners, ms_import_run_fn *fn,
                                        void *arg)
{
    struct ms_import_run *run = ms_xcalloc(1, sizeof(*run));

    run->duty = *duty;
    run->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    run->queue = ms_xstrdup(queue);
    run->id = ms_xstrdup(id);
    run->planners = planners;
    run->fn = fn;
    run->arg = arg;
    ev_timer_init(&run->again, on_again, 0, 0);
    run->again.data = run;
    return run;
}

void ms_import_run_free(struct ms_import_run *run)
{
    if (run == NULL)
        return;
    ev_timer_stop(run->duty.loop, &run->again);
    ms_import_run_planner_cancel(run);
    ms_gate_free(run->gate);
    reading_clear(run);
    ms_import_run_ends_clear(run);
    ms_buf_done(&run->why);
    free(run->queue);
    free(run->id);
    free(run);
}

void ms_import_run_look(struct ms_import_run *run, int64_t max_workers,
                        int64_t again_ms)
{
    run->max_workers = max_workers;
    run->again_ms = again_ms;
    if (run->pace_ms == 0)
        run->pace_ms = again_ms;
    if (run->state != IDLE)
        return;
    ev_timer_stop(run->duty.loop, &run->again);
    run->rounds = 0;
    reading_start(run);
}

const char *ms_import_run_queue(const struct ms_import_run *run)
{
    return run->queue;
}

const char *ms_import_run_id(const struct ms_import_run *run)
{
    return run->id;
}

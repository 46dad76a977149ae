#include "coordinator/import_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/gate.h"
#include "coordinator/import.h"
#include "coordinator/planner.h"

#define PACE_MIN_MS 20   /* between two looks, where chunks end fast */
#define ROUNDS_MAX  64   /* steps a look, so that no run has the loop alone */
#define CUTS        1024 /* line ends to ask a planner for */
#define TRIES_MAX   5    /* of a planner that dies or hangs */

enum state { IDLE, READING, PLANNING, LOADING, ACTING, ASKING };

static const char *const state_names[] = {"idle",    "reading", "planning",
                                          "loading", "acting",  "asking"};

struct ms_import_run {
    struct ms_duty duty;
    struct ms_gate *gate;
    char *queue, *id;
    ms_import_run_fn *fn;
    void *arg;
    int64_t max_workers, again_ms;
    int64_t pace_ms; /* between looks now, again_ms at most */
    ev_timer again;
    enum state state;
    int rounds; /* steps since the look began */

    /* What the last reading found. */
    struct ms_job *job;
    struct ms_import_order order;
    struct ms_import_plan plan;
    bool has_order, has_plan;
    struct ms_import_facts facts;
    int64_t now_ms, first_open;
    struct ms_import_decision decision;

    /* Requests that end a step together: so many are out, and how the first
     * of them failed. */
    int64_t out;
    enum ms_err err;
    struct ms_error error;

    /* What the planner found ahead of the plan. */
    struct ms_planner *planner;
    int *planners; /* of all runs */
    int64_t *ends, ends_from;
    size_t n_ends, ends_used;
    bool ends_complete;
    int tries;

    bool told;                 /* running chunks know that they must stop */
    struct ms_dataset dataset; /* as its record says now */
    enum ms_dataset_close how; /* why the shards are told */
    int64_t children_from;     /* next number of the chunks to move */
    int64_t to_tell, dead_chunk;
    struct ms_buf why; /* the error of an import that dies */
};

static void run_set_state(struct ms_import_run *run, enum state state)
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

static void ends_clear(struct ms_import_run *run)
{
    free(run->ends);
    run->ends = NULL;
    run->n_ends = run->ends_used = 0;
    run->ends_complete = false;
}

/* ---- the end of a look ---- */

static void look_end(struct ms_import_run *run, enum ms_err err,
                     const char *text)
{
    char quoted[256];

    run_set_state(run, IDLE);
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
static void step_end(struct ms_import_run *run, enum ms_err err,
                     const struct ms_error *error)
{
    if (err != MS_OK && err != MS_ESTATE)
        look_end(run, err, error->text);
    else if (++run->rounds >= ROUNDS_MAX)
        look_end(run, MS_OK, "");
    else
        reading_start(run);
}

static void note_failure(struct ms_import_run *run, enum ms_err err,
                         const struct ms_error *error)
{
    if (err == MS_OK || run->err != MS_OK)
        return;
    run->err = err;
    run->error = *error;
}

/* The text of a request that failed. */
static enum ms_err reply_error(enum ms_err err, const struct ms_reply *reply,
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
        reply_error(err, reply, &error);
    step_end(run, err, &error);
}

static void phase_start(struct ms_import_run *run, const char *phase,
                        const char *why)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    run_set_state(run, ACTING);
    ms_log(MS_INFO, "import", "phase", "queue=%s id=%s phase=%s", run->queue,
           run->id, phase);
    ms_phase_build(&cmd, run->duty.fleet, run->queue, run->id,
                   run->duty.term->epoch, phase, why);
    ms_gate_send(run->gate, &cmd, on_status, run);
}

static void conclude_start(struct ms_import_run *run, bool done,
                           const struct ms_buf *text)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    run_set_state(run, ACTING);
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

static void on_spawned(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};
    int64_t planned;

    if (err == MS_OK)
        err = ms_spawn_parse(reply, &planned, &error);
    else
        reply_error(err, reply, &error);
    if (err != MS_OK)
        ends_clear(run); /* somebody else may have planned on */
    step_end(run, err, &error);
}

static void spawn_start(struct ms_import_run *run,
                        const struct ms_import_plan *plan,
                        const struct ms_chunk_new *chunks, size_t n)
{
    struct ms_buf packed = MS_BUF_INIT;
    struct ms_spawn spawn = {.fleet = run->duty.fleet,
                             .queue = run->queue,
                             .parent = run->id,
                             .epoch = run->duty.term->epoch,
                             .first = run->facts.tally.planned,
                             .kind = MS_IMPORT_CHUNK_KIND,
                             .chunks = chunks,
                             .n_chunks = n};
    struct ms_cmd cmd = MS_CMD_INIT;

    run_set_state(run, ACTING);
    ms_import_plan_pack(plan, &packed);
    spawn.plan = packed.data;
    spawn.plan_len = packed.len;
    ms_spawn_build(&cmd, &spawn);
    ms_gate_send(run->gate, &cmd, on_spawned, run);
    ms_buf_done(&packed);
}

/* ---- telling the dataset's shards ---- */

static void bury_conclude(struct ms_import_run *run);
static void children_start(struct ms_import_run *run);

static void shards_told(struct ms_import_run *run)
{
    struct ms_buf result = MS_BUF_INIT;

    switch (run->how) {
    case MS_CLOSE_REOPEN:
        run->children_from = run->first_open;
        children_start(run);
        break;
    case MS_CLOSE_DEAD:
        bury_conclude(run);
        break;
    case MS_CLOSE_DONE:
        ms_import_result_pack(&run->facts.tally,
                              run->now_ms - run->job->created_ms, &result);
        conclude_start(run, true, &result);
        break;
    }
    ms_buf_done(&result);
}

static void on_shard_told(enum ms_err err, const struct ms_reply *reply,
                          void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_dataset_stamp_parse(reply, &error);
    else
        reply_error(err, reply, &error);
    note_failure(run, err, &error);
    if (--run->out > 0)
        return;
    if (run->err != MS_OK)
        step_end(run, run->err, &run->error);
    else
        shards_told(run);
}

static void shards_tell(struct ms_import_run *run)
{
    run_set_state(run, ACTING);
    run->err = MS_OK;
    run->out = run->dataset.shards;
    for (int64_t shard = 0; shard < run->dataset.shards; shard++) {
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_dataset_close_build(&cmd, run->duty.fleet, &run->dataset, shard,
                               run->id, run->how);
        ms_gate_send(run->gate, &cmd, on_shard_told, run);
    }
}

/* A dataset that was dropped meanwhile has no shards to tell. */
static void on_dataset(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_dataset_load_parse(run->order.dataset, reply, &run->dataset,
                                    &error);
    else
        reply_error(err, reply, &error);
    if (err == MS_ENOENT)
        shards_told(run);
    else if (err != MS_OK)
        step_end(run, err, &error);
    else
        shards_tell(run);
}

static void close_start(struct ms_import_run *run, enum ms_dataset_close how)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    run_set_state(run, LOADING);
    run->how = how;
    ms_dataset_load_build(&cmd, run->duty.fleet, run->order.dataset);
    ms_gate_send(run->gate, &cmd, on_dataset, run);
}

/* ---- moving the chunks ---- */

static void tell_pods(struct ms_import_run *run);

static void on_children(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};
    int64_t n;

    if (err == MS_OK)
        err = ms_children_parse(reply, &run->children_from, &n, &error);
    else
        reply_error(err, reply, &error);
    if (err != MS_OK)
        step_end(run, err, &error);
    else if (run->children_from >= 0)
        children_start(run);
    else if (run->decision.step == MS_IMPORT_REVIVE)
        phase_start(run, "running", "");
    else
        tell_pods(run);
}

static void children_start(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    run_set_state(run, ACTING);
    ms_children_build(&cmd, run->duty.fleet, run->queue, run->id,
                      run->duty.term->epoch,
                      run->decision.step == MS_IMPORT_REVIVE,
                      run->children_from);
    ms_gate_send(run->gate, &cmd, on_children, run);
}

/* A pod would learn at its next renewal that a chunk must stop; its inbox says
 * so at once. */
static void on_pod_told(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
}

static void tell_pod(int64_t n, const struct ms_reply *fields, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_cmd cmd = MS_CMD_INIT;
    char message[512];
    const char *pod;

    if (fields == NULL ||
        !ms_reply_is(ms_reply_field(fields, "state"), "running"))
        return;
    pod = ms_reply_str(ms_reply_field(fields, "pod"), "");
    if (pod[0] == '\0')
        return;
    snprintf(message, sizeof(message), "cancel %s %s.%lld", run->queue, run->id,
             (long long)n);
    ms_inbox_build(&cmd, run->duty.fleet, pod, message);
    ms_gate_send(run->gate, &cmd, on_pod_told, run);
}

static void on_chunks(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_chunks_parse(reply, tell_pod, run, &run->to_tell, &error);
    else
        reply_error(err, reply, &error);
    if (err == MS_OK && run->to_tell >= 0) {
        tell_pods(run);
        return;
    }
    run->told = err == MS_OK;
    step_end(run, err, &error);
}

static void tell_pods(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    run_set_state(run, ASKING);
    ms_chunks_build(&cmd, run->duty.fleet, run->queue, run->id, run->to_tell,
                    200);
    ms_gate_send(run->gate, &cmd, on_chunks, run);
}

/* ---- why it ends as dead ---- */

static void bury_conclude(struct ms_import_run *run)
{
    conclude_start(run, false, &run->why);
}

/* All is said: the shards first, so that no late batch comes after the end. */
static void bury_explained(struct ms_import_run *run)
{
    if (run->has_plan)
        close_start(run, MS_CLOSE_DEAD);
    else
        bury_conclude(run);
}

/* Members are "<offset> <chunk> <reason>". */
static void on_offences(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err != MS_OK) {
        reply_error(err, reply, &error);
        step_end(run, err, &error);
        return;
    }
    for (size_t i = 0; i < reply->n_items; i++) {
        const char *text = ms_reply_str(ms_reply_at(reply, i), "");
        int offset_len = (int)strcspn(text, " ");
        const char *reason = strchr(text + offset_len, ' ');

        reason = reason != NULL ? strchr(reason + 1, ' ') : NULL;
        ms_buf_addf(&run->why, "%s offset %.*s: %s", i == 0 ? ":" : ";",
                    offset_len, text, reason != NULL ? reason + 1 : "");
    }
    bury_explained(run);
}

static void offences_start(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    if (run->facts.tally.rejected == 0) {
        bury_explained(run);
        return;
    }
    ms_cmd_plain(&cmd, "ZRANGE",
                 ms_key_queue(key, run->duty.fleet, run->queue, "rejects:%s",
                              run->id),
                 "0", "2", NULL);
    ms_gate_send(run->gate, &cmd, on_offences, run);
}

static void on_dead_chunk(enum ms_err err, const struct ms_reply *reply,
                          void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err != MS_OK) {
        reply_error(err, reply, &error);
        step_end(run, err, &error);
        return;
    }
    ms_buf_addf(&run->why, "chunk %lld failed: %s", (long long)run->first_open,
                ms_reply_str(reply, "no error was kept"));
    if (run->facts.tally.dead > 1)
        ms_buf_addf(&run->why, " (%lld chunks are dead)",
                    (long long)run->facts.tally.dead);
    bury_explained(run);
}

/* All others are done, so the first without its bit is the first dead one. */
static void dead_chunk_start(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    ms_cmd_plain(&cmd, "HGET",
                 ms_key_queue(key, run->duty.fleet, run->queue, "job:%s.%lld",
                              run->id, (long long)run->first_open),
                 "error", NULL);
    ms_gate_send(run->gate, &cmd, on_dead_chunk, run);
}

static void bury_start(struct ms_import_run *run, const char *why)
{
    run_set_state(run, ASKING);
    ms_buf_clear(&run->why);
    if (why[0] != '\0') {
        ms_buf_adds(&run->why, why);
        bury_explained(run);
    } else if (strcmp(run->facts.phase, "failing") == 0) {
        ms_buf_adds(&run->why,
                    run->job->error != NULL ? run->job->error : "failed");
        offences_start(run);
    } else {
        dead_chunk_start(run);
    }
}

/* ---- the planner ---- */

static void planner_gone(struct ms_import_run *run)
{
    run->planner = NULL;
    --*run->planners;
}

/* A planner that died or hung may have met a bad moment of a network disk; one
 * that says no means it. */
static bool planner_may_try_again(struct ms_import_run *run, enum ms_err err)
{
    return (err == MS_ETIMEOUT || err == MS_ECRASHED) &&
           ++run->tries < TRIES_MAX;
}

static void on_manifest(enum ms_err err, const struct ms_planner_answer *answer,
                        const char *why, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_import_plan plan = {0};

    planner_gone(run);
    if (err == MS_OK) {
        run->tries = 0;
        plan.manifest = answer->manifest; /* lent for the packing */
        plan.chunks_total =
            (plan.manifest.size + plan.manifest.chunk_size - 1) /
            plan.manifest.chunk_size;
        plan.complete = plan.manifest.size == 0;
        spawn_start(run, &plan, NULL, 0);
    } else if (planner_may_try_again(run, err)) {
        look_end(run, err, why);
    } else {
        bury_start(run, why);
    }
}

static void on_checked(enum ms_err err, const struct ms_planner_answer *answer,
                       const char *why, void *arg)
{
    struct ms_import_run *run = arg;

    planner_gone(run);
    if (err == MS_OK)
        close_start(run, MS_CLOSE_DONE);
    else if (planner_may_try_again(run, err))
        look_end(run, err, why);
    else
        bury_start(run, why);
}

static void planner_start(struct ms_import_run *run, enum ms_planner_op op,
                          ms_planner_fn *fn)
{
    struct ms_planner_request request = {.op = op,
                                         .path = run->order.source,
                                         .chunk_size = run->order.chunk_size,
                                         .manifest = &run->plan.manifest,
                                         .from = run->plan.next,
                                         .count = CUTS};

    if (*run->planners >= MS_IMPORT_PLANNERS_MAX) {
        look_end(run, MS_OK, "");
        return;
    }
    if (op == MS_PLANNER_MANIFEST)
        request.manifest = NULL;
    ++*run->planners;
    run_set_state(run, PLANNING);
    run->planner = ms_planner_start(run->duty.loop, &request, fn, run);
}

/* ---- spawning ---- */

static bool has_ends(const struct ms_import_run *run)
{
    return run->ends_used < run->n_ends && run->ends_from == run->plan.next;
}

static void spawn_from_ends(struct ms_import_run *run)
{
    size_t left = run->n_ends - run->ends_used;
    size_t n = (size_t)run->decision.n < left ? (size_t)run->decision.n : left;
    struct ms_chunk_new chunks[MS_SPAWN_MAX] = {{0}};
    struct ms_buf payloads[MS_SPAWN_MAX];
    struct ms_import_plan plan = run->plan; /* its manifest is borrowed */

    memset(payloads, 0, sizeof(payloads));
    for (size_t i = 0; i < n; i++) {
        int64_t end = run->ends[run->ends_used++];

        ms_import_chunk_pack(&run->order, &plan, run->id, plan.next, end,
                             &payloads[i]);
        chunks[i] = (struct ms_chunk_new){payloads[i].data, payloads[i].len};
        plan.next = end;
    }
    run->ends_from = plan.next;
    plan.complete = run->ends_complete && run->ends_used == run->n_ends;
    if (plan.complete)
        plan.chunks_total = run->facts.tally.planned + (int64_t)n;
    spawn_start(run, &plan, chunks, n);
    for (size_t i = 0; i < n; i++)
        ms_buf_done(&payloads[i]);
}

static void on_cut(enum ms_err err, const struct ms_planner_answer *answer,
                   const char *why, void *arg)
{
    struct ms_import_run *run = arg;

    planner_gone(run);
    if (err != MS_OK) {
        if (planner_may_try_again(run, err))
            look_end(run, err, why);
        else
            phase_start(run, "failing", why);
        return;
    }
    run->tries = 0;
    ends_clear(run);
    run->n_ends = answer->n_ends;
    run->ends = ms_xcalloc(answer->n_ends, sizeof(*run->ends));
    memcpy(run->ends, answer->ends, answer->n_ends * sizeof(*run->ends));
    run->ends_from = run->plan.next;
    run->ends_complete = answer->complete;
    spawn_from_ends(run);
}

/* The dataset's record fills in what the order left out. */
static void on_generation(enum ms_err err, const struct ms_reply *reply,
                          void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_dataset_load_parse(run->order.dataset, reply, &run->dataset,
                                    &error);
    else
        reply_error(err, reply, &error);
    if (err == MS_ENOENT) {
        phase_start(run, "failing", error.text);
    } else if (err != MS_OK) {
        step_end(run, err, &error);
    } else {
        run->order.shards = run->dataset.shards;
        run->order.gen = run->dataset.gen;
        run->order.epoch = run->dataset.epoch;
        if (has_ends(run))
            spawn_from_ends(run);
        else
            planner_start(run, MS_PLANNER_CUT, on_cut);
    }
}

static void spawning_start(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    if (run->order.gen != 0 && has_ends(run)) {
        spawn_from_ends(run);
    } else if (run->order.gen != 0) {
        planner_start(run, MS_PLANNER_CUT, on_cut);
    } else {
        run_set_state(run, LOADING);
        ms_dataset_load_build(&cmd, run->duty.fleet, run->order.dataset);
        ms_gate_send(run->gate, &cmd, on_generation, run);
    }
}

/* ---- reading, and what follows from it ---- */

static void act(struct ms_import_run *run)
{
    switch (run->decision.step) {
    case MS_IMPORT_WAIT:
        look_end(run, MS_OK, "");
        break;
    case MS_IMPORT_MANIFEST:
        planner_start(run, MS_PLANNER_MANIFEST, on_manifest);
        break;
    case MS_IMPORT_SPAWN:
        spawning_start(run);
        break;
    case MS_IMPORT_PHASE:
        phase_start(run, run->decision.phase, run->decision.why);
        break;
    case MS_IMPORT_STOP:
        run->children_from = run->to_tell = run->first_open;
        children_start(run);
        break;
    case MS_IMPORT_REVIVE:
        run->told = false;
        close_start(run, MS_CLOSE_REOPEN);
        break;
    case MS_IMPORT_CHECK:
        planner_start(run, MS_PLANNER_CHECK, on_checked);
        break;
    case MS_IMPORT_BURY:
        bury_start(run, run->decision.why);
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
        look_end(run, run->err, run->error.text);
    } else if (strcmp(run->job->state, "waiting") != 0) {
        look_end(run, MS_ENOENT, "");
    } else if (read_record(run, &error) != MS_OK) {
        bury_start(run, error.text);
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
    note_failure(run, err, error);
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
        reply_error(err, reply, &error);
    part_read(run, err, &error);
}

static void on_tally(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};

    if (err == MS_OK)
        err = ms_tally_parse(reply, &run->facts.tally, &error);
    else
        reply_error(err, reply, &error);
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
        reply_error(err, reply, &error);
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
        reply_error(err, reply, &error);
    part_read(run, err, &error);
}

static void reading_start(struct ms_import_run *run)
{
    const char *fleet = run->duty.fleet;
    struct ms_cmd cmd = MS_CMD_INIT;
    char key[MS_KEY_MAX];

    run_set_state(run, READING);
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
    if (run->planner != NULL) {
        ms_planner_cancel(run->planner);
        planner_gone(run);
    }
    ms_gate_free(run->gate);
    reading_clear(run);
    ends_clear(run);
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

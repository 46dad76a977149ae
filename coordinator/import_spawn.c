/* What an import asks of planners, and the chunks it makes of the answers. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/import_run_parts.h"

#define CUTS      1024 /* line ends to ask a planner for */
#define TRIES_MAX 5    /* of a planner that dies or hangs */

void ms_import_run_ends_clear(struct ms_import_run *run)
{
    free(run->ends);
    run->ends = NULL;
    run->n_ends = run->ends_used = 0;
    run->ends_complete = false;
}

static void on_spawned(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_import_run *run = arg;
    struct ms_error error = {""};
    int64_t planned;

    if (err == MS_OK)
        err = ms_spawn_parse(reply, &planned, &error);
    else
        ms_import_run_reply_error(err, reply, &error);
    if (err != MS_OK)
        ms_import_run_ends_clear(run); /* somebody else may have planned on */
    ms_import_run_step_end(run, err, &error);
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

    ms_import_run_set_state(run, ACTING);
    ms_import_plan_pack(plan, &packed);
    spawn.plan = packed.data;
    spawn.plan_len = packed.len;
    ms_spawn_build(&cmd, &spawn);
    ms_gate_send(run->gate, &cmd, on_spawned, run);
    ms_buf_done(&packed);
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
        ms_import_run_look_end(run, err, why);
    } else {
        ms_import_run_bury(run, why);
    }
}

static void on_probed(enum ms_err err, const struct ms_planner_answer *answer,
                      const char *why, void *arg)
{
    struct ms_import_run *run = arg;

    planner_gone(run);
    if (err == MS_OK) {
        run->probed_ms = run->now_ms;
        ms_import_run_look_end(run, MS_OK, "");
    } else if (planner_may_try_again(run, err)) {
        ms_import_run_look_end(run, err, why);
    } else {
        ms_import_run_move(run, "failing", why);
    }
}

static void on_checked(enum ms_err err, const struct ms_planner_answer *answer,
                       const char *why, void *arg)
{
    struct ms_import_run *run = arg;

    planner_gone(run);
    if (err == MS_OK)
        ms_import_run_close(run, MS_CLOSE_DONE);
    else if (planner_may_try_again(run, err))
        ms_import_run_look_end(run, err, why);
    else
        ms_import_run_bury(run, why);
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
        ms_import_run_look_end(run, MS_OK, "");
        return;
    }
    if (op == MS_PLANNER_MANIFEST)
        request.manifest = NULL;
    ++*run->planners;
    ms_import_run_set_state(run, PLANNING);
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
            ms_import_run_look_end(run, err, why);
        else
            ms_import_run_move(run, "failing", why);
        return;
    }
    run->tries = 0;
    ms_import_run_ends_clear(run);
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
        ms_import_run_reply_error(err, reply, &error);
    if (err == MS_ENOENT) {
        ms_import_run_move(run, "failing", error.text);
    } else if (err != MS_OK) {
        ms_import_run_step_end(run, err, &error);
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

void ms_import_run_spawn(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    if (run->order.gen != 0 && has_ends(run)) {
        spawn_from_ends(run);
    } else if (run->order.gen != 0) {
        planner_start(run, MS_PLANNER_CUT, on_cut);
    } else {
        ms_import_run_set_state(run, LOADING);
        ms_dataset_load_build(&cmd, run->duty.fleet, run->order.dataset);
        ms_gate_send(run->gate, &cmd, on_generation, run);
    }
}

void ms_import_run_manifest(struct ms_import_run *run)
{
    planner_start(run, MS_PLANNER_MANIFEST, on_manifest);
}

void ms_import_run_probe(struct ms_import_run *run)
{
    planner_start(run, MS_PLANNER_CHECK, on_probed);
}

void ms_import_run_check(struct ms_import_run *run)
{
    planner_start(run, MS_PLANNER_CHECK, on_checked);
}

void ms_import_run_planner_cancel(struct ms_import_run *run)
{
    if (run->planner == NULL)
        return;
    ms_planner_cancel(run->planner);
    planner_gone(run);
}

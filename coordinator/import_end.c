/* How an import's chunks are stopped or revived, and how it ends. */
#include <stdio.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "coordinator/import_run_parts.h"

/* ---- telling the dataset's shards ---- */

static void bury_conclude(struct ms_import_run *run);

static void shards_told(struct ms_import_run *run)
{
    struct ms_buf result = MS_BUF_INIT;

    switch (run->how) {
    case MS_CLOSE_REOPEN:
        run->children_from = run->first_open;
        ms_import_run_move_chunks(run);
        break;
    case MS_CLOSE_DEAD:
        bury_conclude(run);
        break;
    case MS_CLOSE_DONE:
        ms_import_result_pack(&run->facts.tally,
                              run->now_ms - run->job->created_ms, &result);
        ms_import_run_conclude(run, true, &result);
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
        ms_import_run_reply_error(err, reply, &error);
    ms_import_run_note_failure(run, err, &error);
    if (--run->out > 0)
        return;
    if (run->err != MS_OK)
        ms_import_run_step_end(run, run->err, &run->error);
    else
        shards_told(run);
}

static void shards_tell(struct ms_import_run *run)
{
    ms_import_run_set_state(run, ACTING);
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
        ms_import_run_reply_error(err, reply, &error);
    if (err == MS_ENOENT)
        shards_told(run);
    else if (err != MS_OK)
        ms_import_run_step_end(run, err, &error);
    else
        shards_tell(run);
}

void ms_import_run_close(struct ms_import_run *run, enum ms_dataset_close how)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_import_run_set_state(run, LOADING);
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
        ms_import_run_reply_error(err, reply, &error);
    if (err != MS_OK)
        ms_import_run_step_end(run, err, &error);
    else if (run->children_from >= 0)
        ms_import_run_move_chunks(run);
    else if (run->decision.step == MS_IMPORT_REVIVE)
        ms_import_run_move(run, "running", "");
    else
        tell_pods(run);
}

void ms_import_run_move_chunks(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_import_run_set_state(run, ACTING);
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
        ms_import_run_reply_error(err, reply, &error);
    if (err == MS_OK && run->to_tell >= 0) {
        tell_pods(run);
        return;
    }
    run->told = err == MS_OK;
    ms_import_run_step_end(run, err, &error);
}

static void tell_pods(struct ms_import_run *run)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_import_run_set_state(run, ASKING);
    ms_chunks_build(&cmd, run->duty.fleet, run->queue, run->id, run->to_tell,
                    200);
    ms_gate_send(run->gate, &cmd, on_chunks, run);
}

/* ---- why it ends as dead ---- */

static void bury_conclude(struct ms_import_run *run)
{
    ms_import_run_conclude(run, false, &run->why);
}

/* All is said: the shards first, so that no late batch comes after the end. */
static void bury_explained(struct ms_import_run *run)
{
    if (run->has_plan)
        ms_import_run_close(run, MS_CLOSE_DEAD);
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
        ms_import_run_reply_error(err, reply, &error);
        ms_import_run_step_end(run, err, &error);
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
        ms_import_run_reply_error(err, reply, &error);
        ms_import_run_step_end(run, err, &error);
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

void ms_import_run_bury(struct ms_import_run *run, const char *why)
{
    ms_import_run_set_state(run, ASKING);
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

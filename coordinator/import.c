#include "coordinator/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/val.h"

/* ---- reading and writing maps ---- */

static void pack_text(msgpack_packer *to, const char *text)
{
    msgpack_pack_str(to, strlen(text));
    msgpack_pack_str_body(to, text, strlen(text));
}

static void pack_word(msgpack_packer *to, const char *key, const char *word)
{
    pack_text(to, key);
    pack_text(to, word);
}

static void pack_number(msgpack_packer *to, const char *key, int64_t number)
{
    pack_text(to, key);
    msgpack_pack_int64(to, number);
}

/* ---- the order ---- */

void ms_import_order_done(struct ms_import_order *order)
{
    free(order->source);
    free(order->dataset);
    free(order->id_field);
    memset(order, 0, sizeof(*order));
}

static void order_read(const msgpack_object *map, struct ms_import_order *order)
{
    order->source = ms_val_strdup(map, "source");
    order->dataset = ms_val_strdup(map, "dataset");
    order->id_field = ms_val_strdup(map, "id_field");
    if (order->id_field == NULL)
        order->id_field = ms_xstrdup("id");
    order->shards = ms_val_int(map, "shards", MS_DATASET_SHARDS);
    order->gen = ms_val_int(map, "gen", 0);
    order->epoch = ms_val_int(map, "epoch", 0);
    order->chunk_size = ms_val_int(map, "chunk_size", 268435456);
    order->max_line_bytes = ms_val_int(map, "max_line_bytes", 16777216);
    order->batch_docs = ms_val_int(map, "batch_docs", 200);
    order->batch_bytes = ms_val_int(map, "batch_bytes", 262144);
    order->max_errors = ms_val_int(map, "max_errors", 0);
    if (order->epoch == 0)
        order->gen = 0; /* one is nothing without the other */
}

static enum ms_err order_check(const struct ms_import_order *order,
                               struct ms_error *error)
{
    const struct {
        const char *name;
        int64_t value;
    } positive[] = {{"shards", order->shards},
                    {"chunk_size", order->chunk_size},
                    {"max_line_bytes", order->max_line_bytes},
                    {"batch_docs", order->batch_docs},
                    {"batch_bytes", order->batch_bytes}};

    if (order->source == NULL || order->source[0] == '\0')
        return ms_error_set(error, MS_EINVAL, "payload: no 'source'");
    if (order->dataset == NULL || !ms_name_is_valid(order->dataset))
        return ms_error_set(error, MS_EINVAL, "payload: no valid 'dataset'");
    for (size_t i = 0; i < MS_COUNT_OF(positive); i++)
        if (positive[i].value < 1)
            return ms_error_set(error, MS_EINVAL, "payload: '%s' is below 1",
                                positive[i].name);
    return MS_OK;
}

enum ms_err ms_import_order_parse(const struct ms_job *job,
                                  struct ms_import_order *out_order,
                                  struct ms_error *error)
{
    struct ms_import_order order = {0};
    struct ms_val val = {0};
    enum ms_err err;

    err = job->json ? ms_val_from_json(job->payload.data, job->payload.len,
                                       &val, error)
                    : ms_val_from_msgpack(job->payload.data, job->payload.len,
                                          &val, error);
    if (err != MS_OK)
        goto out;
    order_read(&val.root, &order);
    err = order_check(&order, error);
    if (err != MS_OK)
        goto out;
    *out_order = order;
    memset(&order, 0, sizeof(order)); /* it is the caller's now */
out:
    ms_import_order_done(&order);
    ms_val_done(&val);
    return err;
}

/* ---- the plan ---- */

void ms_import_plan_done(struct ms_import_plan *plan)
{
    ms_manifest_done(&plan->manifest);
    memset(plan, 0, sizeof(*plan));
}

enum ms_err ms_import_plan_parse(const struct ms_bytes *bytes,
                                 struct ms_import_plan *out_plan,
                                 struct ms_error *error)
{
    struct ms_import_plan plan = {0};
    struct ms_val val = {0};
    const msgpack_object *manifest;
    enum ms_err err = ms_val_from_msgpack(bytes->data, bytes->len, &val, error);

    if (err != MS_OK)
        goto out;
    err = MS_EPROTO;
    manifest = ms_val_get(&val.root, "manifest");
    if (manifest == NULL) {
        ms_error_set(error, err, "plan: no manifest");
        goto out;
    }
    err = ms_manifest_unpack(manifest, &plan.manifest, error);
    if (err != MS_OK)
        goto out;
    plan.next = ms_val_int(&val.root, "next", 0);
    plan.complete = ms_val_bool(&val.root, "complete", false);
    plan.chunks_total = ms_val_int(&val.root, "chunks_total", 0);
    *out_plan = plan;
out:
    ms_val_done(&val);
    return err;
}

void ms_import_plan_pack(const struct ms_import_plan *plan, struct ms_buf *out)
{
    msgpack_packer to;

    ms_val_packer_init(&to, out);
    msgpack_pack_map(&to, 4);
    pack_text(&to, "manifest");
    ms_manifest_pack(&plan->manifest, &to);
    pack_number(&to, "next", plan->next);
    pack_text(&to, "complete");
    if (plan->complete)
        msgpack_pack_true(&to);
    else
        msgpack_pack_false(&to);
    pack_number(&to, "chunks_total", plan->chunks_total);
}

void ms_import_chunk_pack(const struct ms_import_order *order,
                          const struct ms_import_plan *plan, const char *parent,
                          int64_t start, int64_t end, struct ms_buf *out)
{
    msgpack_packer to;

    ms_val_packer_init(&to, out);
    msgpack_pack_map(&to, 13);
    pack_word(&to, "source", order->source);
    pack_text(&to, "manifest");
    ms_manifest_pack(&plan->manifest, &to);
    pack_number(&to, "start", start);
    pack_number(&to, "end", end);
    pack_word(&to, "dataset", order->dataset);
    pack_number(&to, "shards", order->shards);
    pack_number(&to, "gen", order->gen);
    pack_number(&to, "epoch", order->epoch);
    pack_word(&to, "id_field", order->id_field);
    pack_word(&to, "import", parent);
    pack_number(&to, "max_line_bytes", order->max_line_bytes);
    pack_number(&to, "batch_docs", order->batch_docs);
    pack_number(&to, "batch_bytes", order->batch_bytes);
}

/* ---- decisions ---- */

int64_t ms_import_window(int64_t max_workers)
{
    return max_workers > 32 ? 2 * max_workers : 64;
}

static bool phase_is(const struct ms_import_facts *facts, const char *phase)
{
    return strcmp(facts->phase, phase) == 0;
}

static void decide_phase(struct ms_import_decision *decision, const char *phase)
{
    decision->step = MS_IMPORT_PHASE;
    decision->phase = phase;
}

/* Failing, cancelling: what is ready ends now, what runs is told once and
 * ends when its pod has heard. */
static void decide_stopping(const struct ms_import_facts *facts,
                            struct ms_import_decision *decision)
{
    if (facts->tally.ready > 0)
        decision->step = MS_IMPORT_STOP;
    else if (facts->tally.running > 0)
        decision->step = facts->told ? MS_IMPORT_WAIT : MS_IMPORT_STOP;
    else
        decision->step = MS_IMPORT_BURY;
    if (phase_is(facts, "cancelling"))
        snprintf(decision->why, sizeof(decision->why), "cancelled by user");
}

static bool too_many_errors(const struct ms_import_facts *facts)
{
    return facts->max_errors >= 0 && facts->tally.rejected > facts->max_errors;
}

static void decide_failing(const struct ms_import_facts *facts,
                           struct ms_import_decision *decision)
{
    decide_phase(decision, "failing");
    snprintf(decision->why, sizeof(decision->why),
             "%lld lines rejected, %lld allowed",
             (long long)facts->tally.rejected, (long long)facts->max_errors);
}

/* A refill comes in quarters of the window, not chunk by chunk. */
static void decide_spawning(const struct ms_import_facts *facts,
                            struct ms_import_decision *decision)
{
    int64_t window = ms_import_window(facts->max_workers);
    int64_t room = window - facts->tally.ready - facts->tally.running;

    if (room < window / 4)
        return;
    decision->step = MS_IMPORT_SPAWN;
    decision->n = room < MS_SPAWN_MAX ? room : MS_SPAWN_MAX;
}

/* Once a chunk is dead no more are made: the others end, and a retry goes on
 * from there.  A pod that does not see the source as it was planned hands its
 * chunk back at no cost, for another pod: but where the leader does not see it
 * either, that would go on for ever. */
static void decide_running(const struct ms_import_facts *facts,
                           struct ms_import_decision *decision)
{
    bool ended = facts->tally.ready + facts->tally.running == 0;

    if (too_many_errors(facts))
        decide_failing(facts, decision);
    else if (facts->doubted && !ended)
        decision->step = MS_IMPORT_PROBE;
    else if (facts->tally.dead > 0)
        decision->step = ended ? MS_IMPORT_BURY : MS_IMPORT_WAIT;
    else if (!facts->complete)
        decide_spawning(facts, decision);
    else if (ended)
        decide_phase(decision, "checking");
}

static void decide_checking(const struct ms_import_facts *facts,
                            struct ms_import_decision *decision)
{
    struct ms_error error = {""};

    decision->step = MS_IMPORT_CHECK;
    if (ms_import_coverage(&facts->tally, facts->size, &error) == MS_OK)
        return;
    decision->step = MS_IMPORT_BURY;
    snprintf(decision->why, sizeof(decision->why), "%.255s", error.text);
}

void ms_import_decide(const struct ms_import_facts *facts,
                      struct ms_import_decision *out_decision)
{
    *out_decision = (struct ms_import_decision){.step = MS_IMPORT_WAIT};
    if (phase_is(facts, "failing") || phase_is(facts, "cancelling"))
        decide_stopping(facts, out_decision);
    else if (facts->cancel_requested)
        decide_phase(out_decision, "cancelling");
    else if (!facts->has_plan)
        out_decision->step = MS_IMPORT_MANIFEST;
    else if (phase_is(facts, "reviving"))
        out_decision->step = MS_IMPORT_REVIVE;
    else if (phase_is(facts, "running"))
        decide_running(facts, out_decision);
    else if (phase_is(facts, "checking"))
        decide_checking(facts, out_decision);
    else /* the manifest was the last leader's last step */
        decide_phase(out_decision, "running");
}

/* ---- the end ---- */

enum ms_err ms_import_coverage(const struct ms_tally *tally, int64_t size,
                               struct ms_error *error)
{
    if (tally->done != tally->planned)
        return ms_error_set(error, MS_ESTATE,
                            "coverage: %lld of %lld chunks are done",
                            (long long)tally->done, (long long)tally->planned);
    if (tally->bytes != size)
        return ms_error_set(error, MS_ESTATE,
                            "coverage: chunks read %lld bytes, the source has "
                            "%lld",
                            (long long)tally->bytes, (long long)size);
    if (tally->lines != tally->docs + tally->rejected + tally->empty)
        return ms_error_set(
            error, MS_ESTATE,
            "coverage: %lld lines are not %lld documents, %lld rejected and "
            "%lld empty",
            (long long)tally->lines, (long long)tally->docs,
            (long long)tally->rejected, (long long)tally->empty);
    return MS_OK;
}

void ms_import_result_pack(const struct ms_tally *tally, int64_t took_ms,
                           struct ms_buf *out)
{
    char checksum[17];
    msgpack_packer to;

    snprintf(checksum, sizeof(checksum), "%016llx",
             (unsigned long long)ms_tally_checksum(tally));
    ms_val_packer_init(&to, out);
    msgpack_pack_map(&to, 8);
    pack_number(&to, "docs", tally->docs);
    pack_number(&to, "bytes", tally->bytes);
    pack_number(&to, "lines", tally->lines);
    pack_number(&to, "rejected", tally->rejected);
    pack_number(&to, "chunks", tally->planned);
    pack_word(&to, "checksum", checksum);
    pack_text(&to, "seconds");
    msgpack_pack_double(&to, (double)took_ms / 1000);
    pack_number(&to, "reread", tally->reread);
}

/* What an import does next, given what stands in Redis. */
#include <stdlib.h>

#include "common/val.h"
#include "coordinator/import.h"
#include "tests/support/support.h"

/* An import of 1,000 bytes in ten chunks, all planned, none begun. */
static struct ms_import_facts facts_planned(void)
{
    return (struct ms_import_facts){.phase = "running",
                                    .has_plan = true,
                                    .complete = true,
                                    .size = 1000,
                                    .max_workers = 4,
                                    .tally = {.planned = 10, .ready = 10}};
}

/* The same, all done. */
static struct ms_import_facts facts_done(void)
{
    struct ms_import_facts facts = facts_planned();

    facts.tally = (struct ms_tally){.planned = 10,
                                    .done = 10,
                                    .docs = 90,
                                    .lines = 100,
                                    .empty = 10,
                                    .bytes = 1000};
    return facts;
}

static struct ms_import_decision decide(const struct ms_import_facts *facts)
{
    struct ms_import_decision decision;

    ms_import_decide(facts, &decision);
    return decision;
}

static void check_phase(const struct ms_import_facts *facts, const char *phase)
{
    struct ms_import_decision decision = decide(facts);

    CHECK_INT(decision.step, ==, MS_IMPORT_PHASE);
    CHECK_STR(decision.phase, phase);
}

static TEST(test_a_fresh_import_looks_at_its_source)
{
    struct ms_import_facts facts = {.phase = "", .max_workers = 1};

    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_MANIFEST);
}

/* Killed between writing the plan and moving the phase. */
static TEST(test_a_plan_without_a_phase_goes_on_to_running)
{
    struct ms_import_facts facts = {.phase = "", .has_plan = true};

    check_phase(&facts, "running");
}

static TEST(test_the_first_window_is_filled_at_once)
{
    struct ms_import_facts facts = facts_planned();

    facts.complete = false;
    facts.tally = (struct ms_tally){0};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_SPAWN);
    CHECK_INT(decide(&facts).n, ==, 64);
    facts.max_workers = 90;
    CHECK_INT(decide(&facts).n, ==, 180);
    facts.max_workers = 500; /* more than one call may make */
    CHECK_INT(decide(&facts).n, ==, MS_SPAWN_MAX);
}

static TEST(test_a_full_window_waits_and_a_quarter_refills)
{
    struct ms_import_facts facts = facts_planned();

    facts.complete = false;
    facts.tally = (struct ms_tally){.planned = 64, .ready = 50, .running = 4};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_WAIT);
    facts.tally =
        (struct ms_tally){.planned = 64, .ready = 44, .running = 4, .done = 16};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_SPAWN);
    CHECK_INT(decide(&facts).n, ==, 16);
}

static TEST(test_an_import_waits_for_its_chunks)
{
    struct ms_import_facts facts = facts_planned();

    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_WAIT);
    facts.tally = (struct ms_tally){.planned = 10, .running = 1, .done = 9};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_WAIT);
}

/* Chunks that are handed back again and again would keep it waiting for
 * ever. */
static TEST(test_a_source_that_pods_doubt_is_looked_at)
{
    struct ms_import_facts facts = facts_planned();

    facts.doubted = true;
    facts.tally = (struct ms_tally){.planned = 10, .ready = 1, .done = 9};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_PROBE);
    facts.complete = false; /* rather than making more */
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_PROBE);
    facts = facts_done(); /* the last check sees to it */
    facts.doubted = true;
    check_phase(&facts, "checking");
}

static TEST(test_all_ended_is_checked_and_then_done)
{
    struct ms_import_facts facts = facts_done();

    check_phase(&facts, "checking");
    facts.phase = "checking";
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_CHECK);
}

static TEST(test_an_empty_source_has_no_chunks_and_is_done)
{
    struct ms_import_facts facts = {.phase = "running",
                                    .has_plan = true,
                                    .complete = true};

    check_phase(&facts, "checking");
    facts.phase = "checking";
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_CHECK);
}

/* Lines must not vanish without a word. */
static TEST(test_missing_coverage_ends_as_dead)
{
    struct ms_import_facts facts = facts_done();

    facts.phase = "checking";
    facts.tally.bytes = 999;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_BURY);
    CHECK_CONTAINS(decide(&facts).why, "999");
    facts.tally.bytes = 1000;
    facts.tally.docs = 89;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_BURY);
    CHECK_CONTAINS(decide(&facts).why, "100 lines");
    facts.tally.docs = 90;
    facts.tally.done = 9;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_BURY);
    CHECK_CONTAINS(decide(&facts).why, "9 of 10 chunks");
}

static TEST(test_one_reject_more_than_allowed_fails)
{
    struct ms_import_facts facts = facts_planned();

    facts.tally = (struct ms_tally){
        .planned = 10, .ready = 4, .running = 2, .done = 4, .rejected = 3};
    facts.max_errors = 3;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_WAIT);
    facts.max_errors = 2;
    check_phase(&facts, "failing");
    CHECK_STR(decide(&facts).why, "3 lines rejected, 2 allowed");
    facts.max_errors = -1;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_WAIT);
}

/* The last chunk may bring the reject that is one too many. */
static TEST(test_rejects_count_also_when_all_have_ended)
{
    struct ms_import_facts facts = facts_done();

    facts.tally.rejected = 1;
    facts.tally.docs = 89;
    check_phase(&facts, "failing");
}

static TEST(test_failing_stops_the_chunks_and_then_ends)
{
    struct ms_import_facts facts = facts_planned();

    facts.phase = "failing";
    facts.tally = (struct ms_tally){.planned = 10, .ready = 4, .running = 2};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_STOP);
    facts.tally.ready = 0;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_STOP); /* running untold */
    facts.told = true;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_WAIT);
    facts.tally.ready = 1; /* one came back from a pod that died */
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_STOP);
    facts.tally.ready = facts.tally.running = 0;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_BURY);
    CHECK_STR(decide(&facts).why, ""); /* the record knows */
}

static TEST(test_a_dead_chunk_lets_the_others_end)
{
    struct ms_import_facts facts = facts_planned();

    facts.complete = false; /* and no more are made */
    facts.tally = (struct ms_tally){
        .planned = 10, .ready = 2, .running = 1, .done = 6, .dead = 1};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_WAIT);
    facts.tally = (struct ms_tally){.planned = 10, .done = 9, .dead = 1};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_BURY);
}

static TEST(test_a_cancel_works_in_every_phase)
{
    const char *const phases[] = {"", "running", "checking", "reviving"};

    for (size_t i = 0; i < MS_COUNT_OF(phases); i++) {
        struct ms_import_facts facts = facts_planned();

        facts.phase = phases[i];
        facts.cancel_requested = true;
        check_phase(&facts, "cancelling");
        facts.has_plan = false;
        check_phase(&facts, "cancelling");
    }
}

static TEST(test_cancelling_ends_as_cancelled_by_user)
{
    struct ms_import_facts facts = {.phase = "cancelling",
                                    .cancel_requested = true};

    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_BURY);
    CHECK_STR(decide(&facts).why, "cancelled by user");
    facts.tally.running = 1;
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_STOP);
}

/* Failing came first: a cancel then changes nothing of it. */
static TEST(test_a_cancel_does_not_restart_failing)
{
    struct ms_import_facts facts = {.phase = "failing",
                                    .cancel_requested = true};

    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_BURY);
}

static TEST(test_a_retry_revives)
{
    struct ms_import_facts facts = facts_planned();

    facts.phase = "reviving";
    facts.tally = (struct ms_tally){.planned = 10, .done = 4, .dead = 6};
    CHECK_INT(decide(&facts).step, ==, MS_IMPORT_REVIVE);
}

/* ---- records ---- */

/* A job with this JSON as its payload; free with ms_job_free(). */
static struct ms_job *job_with(const char *json)
{
    struct ms_job *job = ms_xcalloc(1, sizeof(*job));
    struct ms_buf packed = MS_BUF_INIT;
    struct ms_val val;

    CHECK_INT(ms_val_from_json(json, strlen(json), &val, NULL), ==, MS_OK);
    ms_val_to_msgpack(&val.root, &packed);
    job->payload.data = packed.data;
    job->payload.len = packed.len;
    ms_val_done(&val);
    return job;
}

static void job_drop(struct ms_job *job)
{
    free(job->payload.data);
    free(job);
}

static TEST(test_an_order_has_defaults)
{
    struct ms_job *job =
        job_with("{\"source\":\"/d/x.ndjson\",\"dataset\":\"x\"}");
    struct ms_import_order order;

    CHECK_INT(ms_import_order_parse(job, &order, NULL), ==, MS_OK);
    CHECK_STR(order.source, "/d/x.ndjson");
    CHECK_STR(order.id_field, "id");
    CHECK_INT(order.chunk_size, ==, 268435456);
    CHECK_INT(order.max_errors, ==, 0);
    CHECK_INT(order.gen, ==, 0);
    ms_import_order_done(&order);
    job_drop(job);
}

static TEST(test_a_bad_order_names_the_field)
{
    static const char *const bad[][2] = {
        {"{\"dataset\":\"x\"}", "source"},
        {"{\"source\":\"/x\"}", "dataset"},
        {"{\"source\":\"/x\",\"dataset\":\"a b\"}", "dataset"},
        {"{\"source\":\"/x\",\"dataset\":\"x\",\"chunk_size\":0}",
         "chunk_size"},
        {"[]", "source"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        struct ms_job *job = job_with(bad[i][0]);
        struct ms_import_order order;
        struct ms_error error = {""};

        CHECK_INT(ms_import_order_parse(job, &order, &error), ==, MS_EINVAL);
        CHECK_CONTAINS(error.text, bad[i][1]);
        job_drop(job);
    }
}

static TEST(test_a_payload_that_is_no_msgpack_is_refused)
{
    struct ms_job job = {.payload = {(char *)"\xc1\xc1", 2}};
    struct ms_import_order order;

    CHECK_INT(ms_import_order_parse(&job, &order, NULL), !=, MS_OK);
}

static TEST(test_a_plan_reads_back_as_it_was_packed)
{
    struct ms_import_plan plan = {.manifest = {.path = (char *)"/d/x",
                                               .size = 1000,
                                               .mtime_ns = 7,
                                               .chunk_size = 100},
                                  .next = 300,
                                  .complete = true,
                                  .chunks_total = 10},
                          again;
    struct ms_buf packed = MS_BUF_INIT;
    struct ms_bytes bytes;

    ms_import_plan_pack(&plan, &packed);
    bytes = (struct ms_bytes){packed.data, packed.len};
    CHECK_INT(ms_import_plan_parse(&bytes, &again, NULL), ==, MS_OK);
    CHECK_INT(again.next, ==, 300);
    CHECK(again.complete);
    CHECK_INT(again.chunks_total, ==, 10);
    CHECK_STR(again.manifest.path, "/d/x");
    CHECK_INT(again.manifest.size, ==, 1000);
    ms_import_plan_done(&again);
    bytes.len--;
    CHECK_INT(ms_import_plan_parse(&bytes, &again, NULL), !=, MS_OK);
    ms_buf_done(&packed);
}

static TEST(test_a_chunk_knows_all_that_its_handler_needs)
{
    struct ms_import_order order = {.source = (char *)"/d/x",
                                    .dataset = (char *)"x",
                                    .id_field = (char *)"id",
                                    .shards = 4,
                                    .gen = 1,
                                    .epoch = 99};
    struct ms_import_plan plan = {.manifest = {.path = (char *)"/d/x"}};
    struct ms_buf packed = MS_BUF_INIT;
    struct ms_val val;

    ms_import_chunk_pack(&order, &plan, "p1", 100, 220, &packed);
    CHECK_INT(ms_val_from_msgpack(packed.data, packed.len, &val, NULL), ==,
              MS_OK);
    CHECK_INT(ms_val_int(&val.root, "start", -1), ==, 100);
    CHECK_INT(ms_val_int(&val.root, "end", -1), ==, 220);
    CHECK_INT(ms_val_int(&val.root, "epoch", -1), ==, 99);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "import"), "p1"));
    CHECK(ms_val_get(&val.root, "manifest") != NULL);
    ms_val_done(&val);
    ms_buf_done(&packed);
}

static TEST(test_a_result_names_the_sums_and_the_checksum)
{
    struct ms_tally tally = {.planned = 3,
                             .docs = 7,
                             .bytes = 70,
                             .lines = 8,
                             .rejected = 1,
                             .c = {0xbeef, 0xdead, 1, 0xffff}};
    struct ms_buf packed = MS_BUF_INIT;
    struct ms_val val;

    ms_import_result_pack(&tally, 1500, &packed);
    CHECK_INT(ms_val_from_msgpack(packed.data, packed.len, &val, NULL), ==,
              MS_OK);
    CHECK_INT(ms_val_int(&val.root, "docs", -1), ==, 7);
    CHECK_INT(ms_val_int(&val.root, "chunks", -1), ==, 3);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "checksum"), "ffff0001deadbeef"));
    CHECK(ms_val_double(&val.root, "seconds", 0) == 1.5);
    ms_val_done(&val);
    ms_buf_done(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_fresh_import_looks_at_its_source),
        RUN(test_a_plan_without_a_phase_goes_on_to_running),
        RUN(test_the_first_window_is_filled_at_once),
        RUN(test_a_full_window_waits_and_a_quarter_refills),
        RUN(test_an_import_waits_for_its_chunks),
        RUN(test_a_source_that_pods_doubt_is_looked_at),
        RUN(test_all_ended_is_checked_and_then_done),
        RUN(test_an_empty_source_has_no_chunks_and_is_done),
        RUN(test_missing_coverage_ends_as_dead),
        RUN(test_one_reject_more_than_allowed_fails),
        RUN(test_rejects_count_also_when_all_have_ended),
        RUN(test_failing_stops_the_chunks_and_then_ends),
        RUN(test_a_dead_chunk_lets_the_others_end),
        RUN(test_a_cancel_works_in_every_phase),
        RUN(test_cancelling_ends_as_cancelled_by_user),
        RUN(test_a_cancel_does_not_restart_failing),
        RUN(test_a_retry_revives),
        RUN(test_an_order_has_defaults),
        RUN(test_a_bad_order_names_the_field),
        RUN(test_a_payload_that_is_no_msgpack_is_refused),
        RUN(test_a_plan_reads_back_as_it_was_packed),
        RUN(test_a_chunk_knows_all_that_its_handler_needs),
        RUN(test_a_result_names_the_sums_and_the_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Imports from payload to end, on a real Redis with real files; the test plays
 * the worker that runs the chunks. */
#include <fcntl.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/dataset.h"
#include "common/val.h"
#include "coordinator/planner.h"
#include "coordinator/task_plan.h"
#include "tests/coordinator/world.h"

static struct ms_test_redis *server;

struct importing {
    struct world w;
    struct ms_plan *plan;
    char *path;
};

static void leader_start(struct importing *t)
{
    t->plan = ms_plan_new(&t->w.duty);
    ms_tasks_start(t->w.duty.tasks);
}

/* 100 lines of 21 bytes. */
static char *lines(void)
{
    struct ms_buf text = MS_BUF_INIT;
    char *path;

    for (int i = 0; i < 100; i++)
        ms_buf_addf(&text, "{\"id\":%d,\"xx\":\"%0*d\"}\n", 100 + i, 2, i);
    path = ms_test_file("dump.ndjson", text.data, text.len);
    ms_buf_done(&text);
    return path;
}

static void make_dataset(void)
{
    struct ms_dataset dataset = {.name = "books",
                                 .state = "open",
                                 .id_field = "id",
                                 .shards = 2,
                                 .gen = 1,
                                 .epoch = 1000};
    struct ms_cmd cmd = MS_CMD_INIT;

    for (int64_t shard = 0; shard < 2; shard++) {
        ms_dataset_stamp_build(&cmd, "main", &dataset, shard);
        ms_test_run(server, &cmd);
    }
    ms_dataset_describe_build(&cmd, "main", &dataset, true);
    ms_test_run(server, &cmd);
}

static void importing_init(struct importing *t)
{
    world_init(&t->w, server);
    add_queue(&t->w, "dump");
    ms_test_cmd(server, "HSET ms:{main/dump}:cfg max_workers 1000");
    make_dataset();
    t->path = lines();
    leader_start(t);
}

static void importing_done(struct importing *t)
{
    ms_tasks_free(t->w.duty.tasks);
    ms_plan_free(t->plan);
    world_done(&t->w);
    free(t->path);
}

/* Packs a payload with these extra JSON members; free with ms_buf_done(). */
static struct ms_buf payload(const char *path, const char *more)
{
    struct ms_buf json = MS_BUF_INIT, packed = MS_BUF_INIT;
    struct ms_val val;

    ms_buf_addf(&json, "{\"source\":\"%s\",\"dataset\":\"books\"%s}", path,
                more);
    CHECK_INT(ms_val_from_json(json.data, json.len, &val, NULL), ==, MS_OK);
    ms_val_to_msgpack(&val.root, &packed);
    ms_val_done(&val);
    ms_buf_done(&json);
    return packed;
}

static void import(struct importing *t, const char *path, const char *more)
{
    struct ms_buf packed = payload(path, more);

    enqueue(&t->w, "dump", "imp", "dump.import", packed.data, packed.len, true);
    ms_buf_done(&packed);
}

static const char *parent(const char *field)
{
    return ms_test_text(server, "HGET ms:{main/dump}:job:imp %s", field);
}

static int64_t tally(const char *field)
{
    const char *text =
        ms_test_text(server, "HGET ms:{main/dump}:tally:imp %s", field);

    return strcmp(text, "(nil)") == 0 ? 0 : strtoll(text, NULL, 10);
}

static bool is_in_state(const char *state)
{
    return strcmp(parent("state"), state) == 0;
}

static bool is_in_phase(const char *phase)
{
    return strcmp(parent("phase"), phase) == 0;
}

/* ---- the worker ---- */

/* What it makes of a chunk; the lines of each are all documents, but for
 * `rejects` of them. */
struct worker {
    const char *path;
    struct ms_finish jobs[256];
    char *ids[256];
    struct ms_lease_sum sums[256][5];
    struct ms_lease_reject reject[256];
    size_t n;
    enum ms_finish_kind kind;
    int64_t rejects, short_by;
};

static int64_t count_lines(const char *path, int64_t start, int64_t end)
{
    char *bytes = ms_xmalloc((size_t)(end - start));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t n = 0;

    CHECK_INT(pread(fd, bytes, (size_t)(end - start), start), ==, end - start);
    close(fd);
    CHECK_INT(bytes[end - start - 1], ==, '\n'); /* cut at a line's end */
    for (int64_t i = 0; i < end - start; i++)
        n += bytes[i] == '\n';
    free(bytes);
    return n;
}

static void work_on(const struct ms_claimed *job, void *arg)
{
    struct worker *worker = arg;
    const struct ms_reply *bytes = ms_reply_field(job->fields, "payload");
    struct ms_val val;
    int64_t start, end, n;
    size_t i = worker->n++;

    CHECK_INT(ms_val_from_msgpack(bytes->str, bytes->len, &val, NULL), ==,
              MS_OK);
    start = ms_val_int(&val.root, "start", -1);
    end = ms_val_int(&val.root, "end", -1);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "import"), "imp"));
    CHECK_INT(ms_val_int(&val.root, "gen", 0), ==, 1);
    CHECK_INT(ms_val_int(&val.root, "shards", 0), ==, 2);
    ms_val_done(&val);
    n = count_lines(worker->path, start, end);
    worker->ids[i] = ms_xstrdup(job->id);
    worker->reject[i] = (struct ms_lease_reject){start, "not JSON"};
    worker->sums[i][0] =
        (struct ms_lease_sum){"bytes", end - start - worker->short_by};
    worker->sums[i][1] = (struct ms_lease_sum){"lines", n};
    worker->sums[i][2] = (struct ms_lease_sum){"docs", n - worker->rejects};
    worker->sums[i][3] = (struct ms_lease_sum){"rejected", worker->rejects};
    worker->sums[i][4] = (struct ms_lease_sum){"c0", n};
    worker->jobs[i] = (struct ms_finish){
        .id = worker->ids[i],
        .fence = job->fence,
        .kind = worker->kind,
        .text = worker->kind == MS_FINISH_DONE ? "\xc0" : "boom",
        .text_len = worker->kind == MS_FINISH_DONE ? 1 : 4,
        .move = {.seq = 1,
                 .cursor = "\xc0",
                 .cursor_len = 1,
                 .progress = 1,
                 .sums = worker->sums[i],
                 .n_sums = 5,
                 .rejects = &worker->reject[i],
                 .n_rejects = worker->rejects > 0},
    };
}

static void on_finished(size_t i, enum ms_finish_status status, void *arg)
{
    CHECK_INT(status, ==, MS_FINISH_OK);
}

/* Claims up to `limit` chunks and ends them; how many there were. */
static int64_t work(struct importing *t, struct worker *worker, int limit)
{
    struct ms_tenant who = {"main", "dump", "P1"};
    struct ms_claim_ask none = {.limit = 0, .ttl_ms = 60000, .kinds = ",,"};
    struct ms_claim_answer answer;
    struct ms_cmd cmd = MS_CMD_INIT;

    worker->n = 0;
    worker->path = t->path;
    claim(&t->w, "dump", "P1", limit, 60000, work_on, worker);
    if (worker->n == 0)
        return 0;
    ms_finish_build(&cmd, &who, worker->jobs, worker->n, &none);
    CHECK_INT(ms_finish_parse(ms_test_run(server, &cmd), worker->n, on_finished,
                              &answer, ignore_job, NULL, NULL),
              ==, MS_OK);
    for (size_t i = 0; i < worker->n; i++)
        free(worker->ids[i]);
    return (int64_t)worker->n;
}

static const struct ms_val *result(struct ms_val *out_val)
{
    const struct ms_reply *reply =
        ms_test_cmd(server, "HGET ms:{main/dump}:job:imp result");

    CHECK_INT(ms_val_from_msgpack(reply->str, reply->len, out_val, NULL), ==,
              MS_OK);
    return out_val;
}

/* ---- ends ---- */

static TEST(test_an_import_is_cut_run_and_done)
{
    struct importing t;
    struct worker worker = {.kind = MS_FINISH_DONE};
    struct ms_val val;

    importing_init(&t);
    import(&t, t.path, ",\"chunk_size\":100");
    WAIT_FOR(20000,
             spin(&t.w) && work(&t, &worker, 64) >= 0 && is_in_state("done"));
    result(&val);
    CHECK_INT(ms_val_int(&val.root, "docs", -1), ==, 100);
    CHECK_INT(ms_val_int(&val.root, "bytes", -1), ==, 2100);
    CHECK_INT(ms_val_int(&val.root, "lines", -1), ==, 100);
    CHECK_INT(ms_val_int(&val.root, "chunks", -1), ==, tally("planned"));
    CHECK(ms_val_is_str(ms_val_get(&val.root, "checksum"), "0000000000000064"));
    ms_val_done(&val);
    CHECK_STR(parent("phase"), "done");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/dump}:waiting"), ==, 0);
    /* the shards know that it has ended */
    CHECK_STR(ms_test_text(server, "HGET ms:{main/ds/books/1.1}:fence:imp "
                                   "closed"),
              "done");
    importing_done(&t);
}

/* The window: no more than 64 chunks at a time, whatever the source's size. */
static TEST(test_chunks_are_made_a_window_ahead)
{
    struct importing t;
    struct worker worker = {.kind = MS_FINISH_DONE};

    importing_init(&t);
    ms_test_cmd(server, "HSET ms:{main/dump}:cfg max_workers 10");
    import(&t, t.path, ",\"chunk_size\":21");
    WAIT_FOR(20000, spin(&t.w) && tally("planned") > 0);
    run_once(&t.w, "plan");
    run_once(&t.w, "plan");
    CHECK_INT(tally("planned"), ==, 64);
    ms_test_cmd(server, "HSET ms:{main/dump}:cfg max_workers 1000");
    WAIT_FOR(20000,
             spin(&t.w) && work(&t, &worker, 20) >= 0 && is_in_state("done"));
    CHECK_INT(tally("planned"), ==, 100);
    CHECK_INT(tally("done"), ==, 100);
    importing_done(&t);
}

static TEST(test_an_empty_file_is_done_at_once)
{
    struct importing t;
    char *path = ms_test_file("empty.ndjson", "", 0);

    importing_init(&t);
    import(&t, path, "");
    WAIT_FOR(20000, spin(&t.w) && is_in_state("done"));
    CHECK_INT(tally("planned"), ==, 0);
    importing_done(&t);
    free(path);
}

static TEST(test_a_missing_file_is_named)
{
    struct importing t;

    importing_init(&t);
    import(&t, "/nowhere/x.ndjson", "");
    WAIT_FOR(20000, spin(&t.w) && is_in_state("dead"));
    CHECK_CONTAINS(parent("error"), "cannot open");
    CHECK_CONTAINS(parent("error"), "/nowhere/x.ndjson");
    importing_done(&t);
}

static TEST(test_a_payload_that_makes_no_sense_is_dead)
{
    struct importing t;

    importing_init(&t);
    enqueue(&t.w, "dump", "imp", "dump.import", "\xc0", 1, true);
    WAIT_FOR(20000, spin(&t.w) && is_in_state("dead"));
    CHECK_CONTAINS(parent("error"), "source");
    importing_done(&t);
}

static TEST(test_too_many_rejects_end_as_dead_and_name_the_first)
{
    struct importing t;
    struct worker worker = {.kind = MS_FINISH_DONE, .rejects = 1};

    importing_init(&t);
    import(&t, t.path, ",\"chunk_size\":210,\"max_errors\":2");
    WAIT_FOR(20000, spin(&t.w) && tally("planned") == 10);
    CHECK_INT(work(&t, &worker, 3), ==, 3);
    WAIT_FOR(20000, spin(&t.w) && is_in_state("dead"));
    CHECK_CONTAINS(parent("error"), "3 lines rejected, 2 allowed");
    CHECK_CONTAINS(parent("error"), "offset 0: not JSON; offset 210: not JSON");
    CHECK_INT(tally("dead"), ==, 7); /* never begun */
    CHECK_STR(ms_test_text(server, "HGET ms:{main/ds/books/1.0}:fence:imp "
                                   "closed"),
              "dead");
    importing_done(&t);
}

static TEST(test_a_dead_chunk_is_named_when_the_others_have_ended)
{
    struct importing t;
    struct worker good = {.kind = MS_FINISH_DONE};
    struct worker bad = {.kind = MS_FINISH_DEAD};

    importing_init(&t);
    import(&t, t.path, ",\"chunk_size\":210");
    WAIT_FOR(20000, spin(&t.w) && tally("planned") == 10);
    CHECK_INT(work(&t, &good, 4), ==, 4);
    CHECK_INT(work(&t, &bad, 1), ==, 1);
    run_once(&t.w, "plan");
    CHECK(is_in_state("waiting"));
    CHECK_INT(work(&t, &good, 10), ==, 5);
    WAIT_FOR(20000, spin(&t.w) && is_in_state("dead"));
    CHECK_CONTAINS(parent("error"), "chunk 4 failed: boom");
    importing_done(&t);
}

/* Bytes that nobody accounted for must not pass as done. */
static TEST(test_missing_coverage_is_dead)
{
    struct importing t;
    struct worker worker = {.kind = MS_FINISH_DONE, .short_by = 1};

    importing_init(&t);
    import(&t, t.path, "");
    WAIT_FOR(20000,
             spin(&t.w) && work(&t, &worker, 64) >= 0 && is_in_state("dead"));
    CHECK_CONTAINS(parent("error"), "2099");
    importing_done(&t);
}

static TEST(test_a_source_that_changed_is_dead)
{
    struct importing t;
    struct worker worker = {.kind = MS_FINISH_DONE};
    int fd;

    importing_init(&t);
    import(&t, t.path, "");
    WAIT_FOR(20000, spin(&t.w) && tally("planned") == 1);
    fd = open(t.path, O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK_INT(write(fd, "x", 1), ==, 1);
    close(fd);
    CHECK_INT(work(&t, &worker, 1), ==, 1);
    WAIT_FOR(20000, spin(&t.w) && is_in_state("dead"));
    CHECK_CONTAINS(parent("error"), "changed");
    importing_done(&t);
}

static TEST(test_cancel_stops_the_chunks)
{
    struct importing t;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_tenant who = {"main", "dump", "P1"};
    struct ms_claim_ask none = {.limit = 0, .ttl_ms = 60000, .kinds = ",,"};
    struct ms_claim_answer answer;
    struct worker worker = {.kind = MS_FINISH_CANCELLED};

    importing_init(&t);
    beat(&t.w, "P1", "dump");
    import(&t, t.path, ",\"chunk_size\":210");
    WAIT_FOR(20000, spin(&t.w) && tally("planned") == 10);
    worker.path = t.path;
    CHECK_INT(claim(&t.w, "dump", "P1", 1, 60000, work_on, &worker), ==, 1);
    ms_cancel_build(&cmd, "main", "dump", "imp", "user");
    ms_test_run(server, &cmd);
    WAIT_FOR(20000, spin(&t.w) && tally("dead") == 9);
    WAIT_FOR(20000, spin(&t.w) && is_in_phase("cancelling"));
    /* the pod that runs one is told */
    WAIT_FOR(20000, spin(&t.w) && ms_test_num(server, "LLEN ms:{main}:pod:P1:"
                                                      "inbox") > 0);
    CHECK_STR(ms_test_text(server, "LINDEX ms:{main}:pod:P1:inbox 0"),
              "cancel dump imp.0");
    CHECK(is_in_state("waiting")); /* for that one */
    ms_finish_build(&cmd, &who, worker.jobs, 1, &none);
    CHECK_INT(ms_finish_parse(ms_test_run(server, &cmd), 1, on_finished,
                              &answer, ignore_job, NULL, NULL),
              ==, MS_OK);
    free(worker.ids[0]);
    WAIT_FOR(20000, spin(&t.w) && is_in_state("dead"));
    CHECK_STR(parent("error"), "cancelled by user");
    importing_done(&t);
}

static TEST(test_a_retry_goes_on_with_what_is_unfinished)
{
    struct importing t;
    struct worker good = {.kind = MS_FINISH_DONE};
    struct worker bad = {.kind = MS_FINISH_DONE, .rejects = 1};
    struct ms_buf packed;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_val val;

    importing_init(&t);
    import(&t, t.path, ",\"chunk_size\":210");
    WAIT_FOR(20000, spin(&t.w) && tally("planned") == 10);
    CHECK_INT(work(&t, &bad, 2), ==, 2);
    WAIT_FOR(20000, spin(&t.w) && is_in_state("dead"));
    packed = payload(t.path, ",\"chunk_size\":210,\"max_errors\":5");
    ms_retry_build(&cmd, "main", "dump", "imp", packed.data, packed.len);
    CHECK(ms_reply_is(ms_reply_at(ms_test_run(server, &cmd), 0), "ok"));
    WAIT_FOR(20000, spin(&t.w) && tally("ready") == 8);
    CHECK_STR(ms_test_text(server, "HGET ms:{main/ds/books/1.0}:fence:imp "
                                   "closed"),
              "(nil)");
    WAIT_FOR(20000,
             spin(&t.w) && work(&t, &good, 64) >= 0 && is_in_state("done"));
    result(&val);
    CHECK_INT(ms_val_int(&val.root, "rejected", -1), ==, 2);
    CHECK_INT(ms_val_int(&val.root, "docs", -1), ==, 98);
    ms_val_done(&val);
    ms_buf_done(&packed);
    importing_done(&t);
}

/* ---- leaders come and go ---- */

/* The leader is thrown away after ever more turns of its loop, and another
 * goes on: whatever the state was, nothing is made twice or lost. */
static TEST(test_the_next_leader_goes_on_from_any_state)
{
    struct importing t;
    struct worker worker = {.kind = MS_FINISH_DONE};
    struct ms_val val;
    int turns = 0;

    importing_init(&t);
    import(&t, t.path, ",\"chunk_size\":30");
    while (!is_in_state("done")) {
        int64_t until = ms_clock_mono_ms() + 2 * turns;

        CHECK_INT(turns++, <, 3000);
        while (ms_clock_mono_ms() < until)
            spin(&t.w);
        if (turns % 3 == 0)
            work(&t, &worker, 7);
        ms_tasks_stop(t.w.duty.tasks);
        ms_plan_reset(t.plan);
        ms_view_reset(t.w.duty.view);
        t.w.term.epoch++;
        ms_tasks_start(t.w.duty.tasks);
    }
    result(&val);
    CHECK_INT(ms_val_int(&val.root, "docs", -1), ==, 100);
    CHECK_INT(ms_val_int(&val.root, "bytes", -1), ==, 2100);
    ms_val_done(&val);
    importing_done(&t);
}

/* Both believe that they lead: only the newer one changes anything. */
static TEST(test_an_older_leader_moves_no_import)
{
    struct importing t;

    importing_init(&t);
    run_once(&t.w, "plan");
    ms_test_cmd(server, "HSET ms:{main/dump}:meta epoch 5000");
    import(&t, t.path, "");
    run_once(&t.w, "plan");
    run_once(&t.w, "plan");
    WAIT_FOR(20000, spin(&t.w) && last_error(&t.w, "plan")[0] != '\0');
    CHECK_CONTAINS(last_error(&t.w, "plan"), "newer leader");
    CHECK_STR(parent("phase"), "(nil)");
    CHECK_INT(tally("planned"), ==, 0);
    importing_done(&t);
}

static TEST(test_parents_of_other_kinds_are_left_alone)
{
    struct importing t;

    importing_init(&t);
    enqueue(&t.w, "dump", "imp", "dataset.reshard", "\xc0", 1, true);
    run_once(&t.w, "plan");
    run_once(&t.w, "plan");
    CHECK(is_in_state("waiting"));
    CHECK_STR(parent("phase"), "(nil)");
    /* Nor asked about again: there may be many. */
    ms_test_cmd(server, "CONFIG RESETSTAT");
    run_once(&t.w, "plan");
    run_once(&t.w, "plan");
    CHECK(strstr(ms_test_cmd(server, "INFO commandstats")->str,
                 "cmdstat_hget:") == NULL);
    importing_done(&t);
}

/* One bad import must not hold up another. */
static TEST(test_many_imports_go_on_side_by_side)
{
    struct importing t;
    struct ms_buf packed;
    char *path = ms_test_file("none.ndjson", "", 0);

    importing_init(&t);
    packed = payload(path, "");
    for (int i = 0; i < 130; i++) { /* more than a page */
        char id[16];

        snprintf(id, sizeof(id), "many%d", i);
        enqueue(&t.w, "dump", id, i == 3 ? "dataset.reshard" : "dump.import",
                packed.data, packed.len, true);
    }
    WAIT_FOR(60000,
             spin(&t.w) &&
                 ms_test_num(server, "ZCARD ms:{main/dump}:done") == 129);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/dump}:waiting"), ==, 1);
    ms_buf_done(&packed);
    free(path);
    importing_done(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_an_import_is_cut_run_and_done),
        RUN(test_chunks_are_made_a_window_ahead),
        RUN(test_an_empty_file_is_done_at_once),
        RUN(test_a_missing_file_is_named),
        RUN(test_a_payload_that_makes_no_sense_is_dead),
        RUN(test_too_many_rejects_end_as_dead_and_name_the_first),
        RUN(test_a_dead_chunk_is_named_when_the_others_have_ended),
        RUN(test_missing_coverage_is_dead),
        RUN(test_a_source_that_changed_is_dead),
        RUN(test_cancel_stops_the_chunks),
        RUN(test_a_retry_goes_on_with_what_is_unfinished),
        RUN(test_the_next_leader_goes_on_from_any_state),
        RUN(test_an_older_leader_moves_no_import),
        RUN(test_parents_of_other_kinds_are_left_alone),
        RUN(test_many_imports_go_on_side_by_side),
    };
    int failed;

    if (argc == 2 && strcmp(argv[1], "--plan") == 0)
        return ms_planner_main();
    server = ms_test_redis_start(NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_test_redis_stop(server);
    return failed;
}

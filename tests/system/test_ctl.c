/* musterctl on a real Redis: what it prints, how it exits, what it refuses. */
#include "tests/support/core.h"
#include "tests/support/ctl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* Keys of an object, in the order given; what else there is does not hurt. */
static void check_has(const struct ms_ctl_run *run, const char *prefix,
                      const char *const *names)
{
    for (; *names != NULL; names++) {
        char path[200];

        snprintf(path, sizeof(path), "%s%s", prefix, *names);
        if (strcmp(ms_ctl_at(run, path), "absent") == 0)
            print_error("'%s' is missing in %s\n", path, run->out);
        CHECK(strcmp(ms_ctl_at(run, path), "absent") != 0);
    }
}

#define CHECK_AT(run, path, text) CHECK_STR(ms_ctl_at((run), (path)), (text))

static const char *const job_fields[] = {
    "id",         "queue",      "kind",        "state",
    "priority",   "payload",    "attempts",    "max_attempts",
    "crashes",    "fence",      "pod",         "created_ms",
    "ready_ms",   "started_ms", "finished_ms", "due_ms",
    "expires_ms", "progress",   "cursor",      "parent",
    "chunk",      "chunks",     "group",       "unique",
    "error",      "errors",     "result",      "cancel_requested",
    "timeout_ms", NULL};
static const char *const queue_fields[] = {"name",
                                           "paused",
                                           "max_workers",
                                           "ready",
                                           "running",
                                           "waiting",
                                           "done",
                                           "dead",
                                           "scheduled",
                                           "oldest_ready_ms",
                                           "throttled_until_ms",
                                           NULL};

static void pod_make(struct ms_core *core, const char *kinds)
{
    ms_test_text(core->redis, "ZADD " F("pods") " %lld p1",
                 (long long)ms_core_now(core));
    ms_test_text(core->redis, "ZADD " F("members:q") " %lld p1",
                 (long long)ms_core_now(core));
    ms_test_text(
        core->redis,
        "HSET " F(
            "pod:p1") " label blue host h pid 12 version 0.1.0 "
                      "queues q,r concurrency 8 slots [{\"pid\":5}] busy 1 "
                      "draining 0 started_ms 5 heartbeat_ms 6 http 127.0.0.1:1 "
                      "kinds %s",
        kinds);
}

static void pod_remove(struct ms_core *core)
{
    ms_test_text(core->redis, "DEL " F("pods") " " F("members:q") " " F(
                                  "pod:p1") " " F("pod:p1:inbox"));
}

/* ---- misuse ---- */

static TEST(test_misuse_exits_with_2)
{
    struct ms_core *core = *state;
    static const char *const misuses[] = {
        "",
        "top",
        "job",
        "job show",
        "job show x y",
        "job show x --fly",
        "job show bad/id",
        "job list",
        "job list --queue q --state lost",
        "job list --queue q --limit 0",
        "job list --queue q --cursor nonsense",
        "job list --queue bad/name",
        "job enqueue",
        "job enqueue k {",
        "job enqueue bad/kind",
        "job enqueue k --priority 10",
        "job enqueue k --id x.5",
        "job enqueue k --delay 5",
        "job enqueue k --queue q{}",
        "job wait x --timeout 5",
        "job cancel-all",
        "job retry-all --queue q --state ready",
        "queue set q",
        "queue set q max_workers",
        "queue set q bogus=1",
        "queue set q max_workers=-1",
        "queue show bad/name",
        "dump import /etc",
        "dump import /etc/passwd --chunk-size 100",
        "dump import /etc/passwd --shards 0",
        "dump import /etc/passwd --max-errors some",
        "dump import /etc/passwd --dataset bad/name",
        "dataset count bad/name",
        "status --redis ftp://x",
    };

    for (size_t i = 0; i < MS_COUNT_OF(misuses); i++) {
        const struct ms_ctl_run *run =
            ms_ctl_run(core->redis, misuses[i], NULL);

        if (run->code != 2)
            print_error("musterctl %s -> %d\n", misuses[i], run->code);
        CHECK_INT(run->code, ==, 2);
        CHECK_CONTAINS(run->err, "musterctl: ");
        CHECK_STR(run->out, "");
    }
}

static TEST(test_what_is_not_there_exits_with_1)
{
    struct ms_core *core = *state;
    static const char *const missing[] = {
        "job show nobody",           "job wait nobody",    "job retry nobody",
        "job delete nobody",         "job run-now nobody", "queue show nowhere",
        "queue purge nowhere",       "pod show nobody",    "pod drain nobody",
        "task show nothing",         "dump show nobody",   "dump cancel nobody",
        "dump import /no/such/file", "dataset count none", "dataset get none x",
        "dataset drop none",
    };

    for (size_t i = 0; i < MS_COUNT_OF(missing); i++) {
        const struct ms_ctl_run *run =
            ms_ctl_run(core->redis, missing[i], NULL);

        if (run->code != 1)
            print_error("musterctl %s -> %d\n%s", missing[i], run->code,
                        run->err);
        CHECK_INT(run->code, ==, 1);
    }
}

static TEST(test_a_redis_that_is_away_is_named)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run =
        ms_ctl_run(core->redis, "status --redis unix:///nowhere/redis.sock",
                   NULL);

    CHECK_INT(run->code, ==, 1);
    CHECK_CONTAINS(run->err, "unix:///nowhere/redis.sock");
    CHECK_STR(run->out, "");
}

/* A password never shows, not even where the connection fails. */
static TEST(test_a_password_is_not_shown)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run =
        ms_ctl_run(core->redis,
                   "status --redis redis://me:geheim@127.0.0.1:1/0", NULL);

    CHECK_INT(run->code, ==, 1);
    CHECK(strstr(run->err, "geheim") == NULL);
    CHECK_CONTAINS(run->err, "127.0.0.1:1");
}

static TEST(test_an_unknown_layout_is_refused)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_test_text(core->redis, "SET " F("schema") " 99");
    run = ms_ctl_run(core->redis, "job enqueue k", NULL);
    CHECK_INT(run->code, ==, 1);
    CHECK_CONTAINS(run->err, "99");
    run = ms_ctl_run(core->redis, "status", NULL);
    CHECK_INT(run->code, ==, 1);
    run = ms_ctl_run(core->redis, "doctor", NULL);
    CHECK_INT(run->code, ==, 1);
    CHECK_CONTAINS(run->out, "schema");
    ms_test_text(core->redis, "DEL " F("schema"));
}

/* ---- enqueue ---- */

static TEST(test_enqueue_prints_id_queue_and_deduplicated)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run =
        ms_ctl_json(core->redis, 0,
                    "job enqueue k [1,{\"a\":null}] --queue q "
                    "--id me --priority 2 --group g "
                    "--max-attempts 3 --timeout 90s",
                    NULL);

    CHECK_AT(run, "id", "\"me\"");
    CHECK_AT(run, "queue", "\"q\"");
    CHECK_AT(run, "deduplicated", "false");
    CHECK_CONTAINS(run->err, "no live pod serves queue 'q'");
    run = ms_ctl_json(core->redis, 0, "job show me", NULL);
    check_has(run, "", job_fields);
    CHECK_AT(run, "state", "\"ready\"");
    CHECK_AT(run, "priority", "2");
    CHECK_AT(run, "payload", "[1,{\"a\":null}]");
    CHECK_AT(run, "group", "\"g\"");
    CHECK_AT(run, "max_attempts", "3");
    CHECK_AT(run, "timeout_ms", "90000");
    CHECK_AT(run, "error", "null");
    run = ms_ctl_json(core->redis, 0, "job enqueue k --queue q --id me", NULL);
    CHECK_AT(run, "deduplicated", "true");
}

static TEST(test_enqueue_knows_default_queue_payload_and_kinds)
{
    struct ms_core *core = *state;
    static const char yaml[] =
        "kinds:\n  - { prefix: mail., queue: q, max_attempts: 9 }\n";
    char *path = ms_test_file("kinds.yaml", yaml, strlen(yaml));
    const struct ms_ctl_run *run =
        ms_ctl_json(core->redis, 0, "job enqueue k --id one", NULL);

    CHECK_AT(run, "queue", "\"default\"");
    run = ms_ctl_json(core->redis, 0, "job show one", NULL);
    CHECK_AT(run, "payload", "{}");
    run = ms_ctl_json(core->redis, 0,
                      "job enqueue mail.send --id two --config %", path);
    CHECK_AT(run, "queue", "\"q\"");
    CHECK_AT(ms_ctl_json(core->redis, 0, "job show two", NULL), "max_attempts",
             "9");
    free(path);
}

static TEST(test_a_payload_over_the_limit_is_refused)
{
    struct ms_core *core = *state;
    static const char yaml[] = "max_payload: 20\n";
    char *path = ms_test_file("small.yaml", yaml, strlen(yaml));
    const struct ms_ctl_run *run = ms_ctl_run(
        core->redis,
        "job enqueue k \"0123456789012345678901234\" --queue q --config %",
        path);

    CHECK_INT(run->code, ==, 2);
    CHECK_CONTAINS(run->err, "max_payload (20)");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    free(path);
}

/* An argument has at most 128 KiB, a payload more than that. */
static TEST(test_a_dash_reads_the_payload_from_standard_input)
{
    static const size_t size = 300000;
    struct ms_core *core = *state;
    char *text = ms_xmalloc(size), *path, *command;

    memset(text, 'x', size);
    text[0] = text[size - 2] = '"';
    text[size - 1] = '\n';
    path = ms_test_file("payload.json", text, size);
    command =
        ms_xasprintf("'%s/musterctl' --fleet m --redis '%s' job enqueue "
                     "k - --queue q --id one < '%s' > /dev/null 2>&1",
                     MS_TEST_BIN_DIR, ms_test_redis_url(core->redis), path);
    CHECK_INT(system(command), ==, 0);
    text[size - 1] = '\0';
    CHECK_AT(ms_ctl_json(core->redis, 0, "job show one", NULL), "payload",
             text);
    free(command);
    free(path);
    free(text);
}

static TEST(test_delayed_and_unique_jobs)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run =
        ms_ctl_json(core->redis, 0, "job enqueue k --queue q --id a --delay 1h",
                    NULL);

    run = ms_ctl_json(core->redis, 0, "job show a", NULL);
    CHECK_AT(run, "state", "\"scheduled\"");
    CHECK(strcmp(ms_ctl_at(run, "due_ms"), "null") != 0);
    ms_ctl_json(core->redis, 0,
                "job enqueue k --queue q --id b --at 2099-01-31T12:30:45Z",
                NULL);
    CHECK_AT(ms_ctl_json(core->redis, 0, "job show b", NULL), "due_ms",
             "4073545845000");
    ms_ctl_json(core->redis, 0,
                "job enqueue k --queue q --id c --unique key --unique-ttl 1m",
                NULL);
    run = ms_ctl_json(core->redis, 0, "job enqueue k --queue q --unique key",
                      NULL);
    CHECK_AT(run, "deduplicated", "true");
    CHECK_AT(run, "id", "\"c\"");
    ms_ctl_json(core->redis, 0, "job run-now a", NULL);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_ctl_run(core->redis, "job run-now a", NULL)->code, ==, 1);
}

/* ---- batches ---- */

static char *batch_file(const char *text)
{
    return ms_test_file("batch.ndjson", text, strlen(text));
}

static TEST(test_a_batch_goes_in_by_queue_and_counts)
{
    struct ms_core *core = *state;
    char *path = batch_file(
        "{\"kind\":\"k\",\"payload\":{\"n\":1},\"id\":\"a\"}\n"
        "\n"
        "{\"kind\":\"k\",\"queue\":\"other\",\"id\":\"b\",\"priority\":0}\r\n"
        "{\"kind\":\"k\",\"id\":\"a\"}\n"
        "{\"kind\":\"k\",\"id\":\"c\",\"delay\":\"1h\"}");
    const struct ms_ctl_run *run =
        ms_ctl_json(core->redis, 0, "job enqueue --queue q --batch %", path);

    CHECK_STR(run->out, "{\"enqueued\":3,\"deduplicated\":1}\n");
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_STR(ms_core_state(core, "c"), "scheduled");
    CHECK_AT(ms_ctl_json(core->redis, 0, "job show b", NULL), "queue",
             "\"other\"");
    ms_test_text(core->redis, "DEL ms:{m/other}:job:b");
    free(path);
}

/* Thousands of lines take many calls and several windows; every one is in,
 * in its order. */
static TEST(test_a_large_batch_is_complete_and_in_order)
{
    struct ms_core *core = *state;
    struct ms_buf text = MS_BUF_INIT;
    char *path;
    const struct ms_ctl_run *run;

    for (int i = 0; i < 9001; i++)
        ms_buf_addf(&text, "{\"kind\":\"k\",\"id\":\"j%d\"}\n", i);
    path = batch_file(ms_buf_str(&text));
    run = ms_ctl_json(core->redis, 0, "job enqueue --queue q --batch %", path);
    CHECK_STR(run->out, "{\"enqueued\":9001,\"deduplicated\":0}\n");
    CHECK_INT(ms_core_depth(core, "-"), ==, 9001);
    CHECK_STR(ms_test_text(core->redis, "LINDEX " K("ready:5:-") " 0"), "j0");
    CHECK_STR(ms_test_text(core->redis, "LINDEX " K("ready:5:-") " 5000"),
              "j5000");
    CHECK_STR(ms_test_text(core->redis, "LINDEX " K("ready:5:-") " -1"),
              "j9000");
    run = ms_ctl_json(core->redis, 0, "job enqueue --queue q --batch %", path);
    CHECK_STR(run->out, "{\"enqueued\":0,\"deduplicated\":9001}\n");
    ms_buf_done(&text);
    free(path);
}

static TEST(test_a_bad_line_of_a_batch_keeps_it_out)
{
    struct ms_core *core = *state;
    char *path = batch_file("{\"kind\":\"k\",\"id\":\"a\"}\n"
                            "\n"
                            "{\"kind\":\"k\",\"id\":\"b\"}\n"
                            "{\"kind\":\"k\",\"payload\":[1,}\n"
                            "{\"kind\":\"k\",\"id\":\"c\"}\n");
    const struct ms_ctl_run *run =
        ms_ctl_json(core->redis, 2, "job enqueue --queue q --batch %", path);

    CHECK_STR(run->out,
              "{\"enqueued\":0,\"deduplicated\":0,\"failed_line\":4}\n");
    CHECK_CONTAINS(run->err, "line 4: ");
    CHECK_CONTAINS(run->err, "no line is in\n");
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(ms_core_state(core, "c"), "gone");
    free(path);
}

static TEST(test_a_full_queue_refuses_a_batch)
{
    struct ms_core *core = *state;
    char *path = batch_file("{\"kind\":\"k\"}\n{\"kind\":\"k\"}\n");
    const struct ms_ctl_run *run;

    ms_core_set(core, "max_length", 1);
    run = ms_ctl_json(core->redis, 1, "job enqueue --queue q --batch %", path);
    CHECK_AT(run, "enqueued", "0");
    CHECK_CONTAINS(run->err, "queue 'q'");
    CHECK_CONTAINS(run->err, "no line is in");
    free(path);
}

static TEST(test_a_batch_says_each_jobs_options_itself)
{
    struct ms_core *core = *state;

    CHECK_INT(ms_ctl_run(core->redis, "job enqueue k --batch -", NULL)->code,
              ==, 2);
    CHECK_INT(
        ms_ctl_run(core->redis, "job enqueue --id x --batch -", NULL)->code, ==,
        2);
    CHECK_INT(
        ms_ctl_run(core->redis, "job enqueue --batch /no/file", NULL)->code, ==,
        1);
}

/* ---- job: find, wait ---- */

static TEST(test_an_id_in_two_queues_wants_a_queue)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_ctl_json(core->redis, 0, "job enqueue k --queue q --id twin", NULL);
    ms_ctl_json(core->redis, 0, "job enqueue k --queue r --id twin", NULL);
    run = ms_ctl_run(core->redis, "job show twin", NULL);
    CHECK_INT(run->code, ==, 2);
    CHECK_CONTAINS(run->err, "one of: q r");
    run = ms_ctl_json(core->redis, 0, "job show twin --queue r", NULL);
    CHECK_AT(run, "queue", "\"r\"");
    ms_ctl_json(core->redis, 0, "job delete twin --queue r", NULL);
}

static TEST(test_wait_exits_by_how_the_job_ended)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;
    int64_t fence;

    ENQUEUE(core, .id = "good", .own_id = true);
    ENQUEUE(core, .id = "bad", .own_id = true);
    run = ms_ctl_json(core->redis, 5, "job wait good --queue q --timeout 10ms",
                      NULL);
    CHECK_AT(run, "state", "\"ready\"");
    fence = ms_core_claim_one(core, "p", "good");
    DONE(core, "p", "good", fence);
    fence = ms_core_claim_one(core, "p", "bad");
    ms_core_finish(core, "p", "bad", fence, MS_FINISH_DEAD);
    run = ms_ctl_json(core->redis, 0, "job wait good --queue q", NULL);
    CHECK_AT(run, "state", "\"done\"");
    run = ms_ctl_json(core->redis, 4, "job wait bad --queue q", NULL);
    CHECK_AT(run, "state", "\"dead\"");
}

static TEST(test_wait_returns_when_the_job_ends)
{
    struct ms_core *core = *state;
    const char *argv[] = {
        "musterctl", "--redis",   ms_test_redis_url(core->redis),
        "--fleet",   "m",         "job",
        "wait",      "late",      "--queue",
        "q",         "--timeout", "none",
        NULL};
    struct ms_proc *proc;
    int64_t fence;

    ENQUEUE(core, .id = "late", .own_id = true);
    fence = ms_core_claim_one(core, "p", "late");
    proc = ms_proc_start(argv, NULL);
    CHECK_INT(ms_proc_wait(proc, 200), ==, -1);
    DONE(core, "p", "late", fence);
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 0);
    CHECK_CONTAINS(ms_proc_stdout(proc), "done");
    ms_proc_free(proc);
}

/* ---- job: list ---- */

static TEST(test_lists_go_page_by_page_over_all_states)
{
    struct ms_core *core = *state;
    char cursor[300] = "";
    int seen = 0, pages = 0;

    ms_core_enqueue_many(core, "a", NULL, 7);
    ms_core_enqueue_many(core, "b", "group", 5);
    ENQUEUE(core, .id = "later", .own_id = true, .delay_ms = 3600000);
    ENQUEUE(core, .id = "first", .own_id = true, .priority = 0);
    DONE(core, "p", "first", ms_core_claim_one(core, "p", "first"));
    CHECK_INT(ms_core_claim(core, "p", 2), ==, 2);
    do {
        char words[400];
        const struct ms_ctl_run *run;
        int on_page;

        snprintf(words, sizeof(words), "job list --queue q --limit 3 %s %s",
                 cursor[0] != '\0' ? "--cursor" : "", cursor);
        run = ms_ctl_json(core->redis, 0, words, NULL);
        check_has(run, "items.0.", job_fields);
        on_page = (int)ms_val_get(&run->json.root, "items")->via.array.size;
        CHECK_INT(on_page, <=, 3);
        seen += on_page;
        pages++;
        snprintf(cursor, sizeof(cursor), "%s", ms_ctl_at(run, "next"));
        if (strcmp(cursor, "null") != 0) { /* without its quotes */
            memmove(cursor, cursor + 1, strlen(cursor));
            cursor[strlen(cursor) - 1] = '\0';
        }
    } while (strcmp(cursor, "null") != 0);
    CHECK_INT(seen, ==, 14);
    CHECK_INT(pages, ==, 5); /* no empty page at the end */
}

static int count_listed(struct ms_core *core, const char *options)
{
    char words[300];
    const struct ms_ctl_run *run;

    snprintf(words, sizeof(words), "job list --queue q %s", options);
    run = ms_ctl_json(core->redis, 0, words, NULL);
    return (int)ms_val_get(&run->json.root, "items")->via.array.size;
}

static TEST(test_lists_are_filtered_by_state_and_kind)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_core_enqueue_many(core, "a", NULL, 3);
    ENQUEUE(core, .id = "x", .own_id = true, .kind = "other");
    ENQUEUE(core, .id = "d", .own_id = true, .delay_ms = 3600000);
    CHECK_INT(count_listed(core, "--state ready"), ==, 4);
    CHECK_INT(count_listed(core, "--state ready --kind other"), ==, 1);
    CHECK_INT(count_listed(core, "--kind k"), ==, 4);
    CHECK_INT(count_listed(core, "--state scheduled"), ==, 1);
    CHECK_INT(count_listed(core, "--state running"), ==, 0);
    CHECK_INT(count_listed(core, "--state done --kind none"), ==, 0);
    run = ms_ctl_json(core->redis, 0,
                      "job list --queue q --state ready --limit 4", NULL);
    CHECK_AT(run, "next", "null");
    /* A cursor of one list is none of another. */
    run = ms_ctl_json(core->redis, 2,
                      "job list --queue q --state done --cursor ready:5:0:1",
                      NULL);
    CHECK_CONTAINS(run->err, "no cursor of this list");
}

/* Newest first, and a job that ends meanwhile moves no page. */
static TEST(test_pages_of_ended_jobs_hold_still)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;
    char words[300], next[200];

    for (int i = 1; i <= 6; i++)
        ms_test_text(core->redis, "ZADD " K("done") " %d j%d", i * 1000, i);
    for (int i = 1; i <= 6; i++)
        ms_test_text(core->redis,
                     "HSET " K("job:j%d") " kind k state done created_ms 1 "
                                          "finished_ms %d000",
                     i, i);
    run = ms_ctl_json(core->redis, 0,
                      "job list --queue q --state done --limit 2", NULL);
    CHECK_AT(run, "items.0.id", "\"j6\"");
    CHECK_AT(run, "items.1.id", "\"j5\"");
    snprintf(next, sizeof(next), "%s", ms_ctl_at(run, "next") + 1);
    next[strlen(next) - 1] = '\0';
    ms_test_text(core->redis, "ZADD " K("done") " 9000 j1");
    ms_test_text(core->redis, "ZREM " K("done") " j5");
    snprintf(words, sizeof(words),
             "job list --queue q --state done --limit 2 --cursor %s", next);
    run = ms_ctl_json(core->redis, 0, words, NULL);
    CHECK_AT(run, "items.0.id", "\"j4\"");
    CHECK_AT(run, "items.1.id", "\"j3\"");
    ms_test_text(core->redis, "FLUSHALL");
}

/* ---- job: act ---- */

static TEST(test_cancel_tells_what_it_did)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    pod_make(core, ",k,");
    ENQUEUE(core, .id = "a", .own_id = true);
    ENQUEUE(core, .id = "b", .own_id = true);
    ms_ctl_json(core->redis, 0, "queue resume q", NULL); /* registers it */
    run = ms_ctl_json(core->redis, 0, "job cancel a", NULL);
    CHECK_STR(run->out, "{\"id\":\"a\",\"result\":\"cancelled\"}\n");
    run = ms_ctl_json(core->redis, 0, "job cancel a", NULL);
    CHECK_AT(run, "result", "\"finished\"");
    ms_core_claim_one(core, "p1", "b");
    run = ms_ctl_json(core->redis, 0, "job cancel b", NULL);
    CHECK_AT(run, "result", "\"requested\"");
    CHECK_STR(ms_test_text(core->redis, "LINDEX " F("pod:p1:inbox") " 0"),
              "cancel q b");
    run = ms_ctl_json(core->redis, 1, "job cancel nobody", NULL);
    CHECK_STR(run->out, "{\"id\":\"nobody\",\"result\":\"unknown\"}\n");
    pod_remove(core);
}

static TEST(test_retry_and_delete)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .own_id = true);
    ms_core_finish(core, "p", "a", ms_core_claim_one(core, "p", "a"),
                   MS_FINISH_DEAD);
    ms_ctl_json(core->redis, 0, "job retry a --queue q", NULL);
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_INT(ms_ctl_run(core->redis, "job retry a --queue q", NULL)->code, ==,
              1);
    ms_core_claim_one(core, "p", "a");
    CHECK_INT(ms_ctl_run(core->redis, "job delete a --queue q", NULL)->code, ==,
              1);
    DONE(core, "p", "a", ms_core_number(core, "a", "fence"));
    ms_ctl_json(core->redis, 0, "job delete a --queue q", NULL);
    CHECK_STR(ms_core_state(core, "a"), "gone");
}

static TEST(test_bulk_commands_count_what_they_did)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_core_enqueue_many(core, "a", NULL, 600);
    ENQUEUE(core, .id = "other", .own_id = true, .kind = "o");
    ENQUEUE(core, .id = "later", .own_id = true, .delay_ms = 3600000);
    CHECK_INT(ms_core_claim(core, "p", 3), ==, 3);
    run =
        ms_ctl_json(core->redis, 0, "job cancel-all --queue q --kind o", NULL);
    CHECK_AT(run, "cancelled", "1");
    run = ms_ctl_json(core->redis, 0, "job cancel-all --queue q", NULL);
    CHECK_AT(run, "cancelled", "601"); /* 597 ready, 3 running, 1 scheduled */
    CHECK_STR(ms_core_field(core, core->jobs[0].id, "cancel_requested"), "1");
    CHECK_INT(ms_core_info(core).dead, ==, 599);
    run = ms_ctl_json(core->redis, 0, "job retry-all --queue q --kind o", NULL);
    CHECK_AT(run, "retried", "1");
    run = ms_ctl_json(core->redis, 0, "job delete-all --queue q", NULL);
    CHECK_AT(run, "deleted", "598");
    CHECK_AT(run, "queue", "\"q\"");
    ms_test_text(core->redis, "DEL " F("pod:p:inbox"));
}

/* ---- queues ---- */

static TEST(test_queues_are_listed_shown_and_set)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    CHECK_STR(ms_ctl_json(core->redis, 0, "queue list", NULL)->out, "[]\n");
    pod_make(core, ",k,");
    run = ms_ctl_json(core->redis, 0, "queue set q max_workers=7 timeout=2m",
                      NULL);
    check_has(run, "", queue_fields);
    CHECK_AT(run, "max_workers", "7");
    CHECK_AT(run, "settings.timeout_ms", "120000");
    CHECK_AT(run, "settings.max_attempts", "5"); /* its default */
    CHECK_STR(ms_test_text(core->redis, "LINDEX " F("pod:p1:inbox") " 0"),
              "queue q");
    ENQUEUE(core, .id = "a", .own_id = true);
    run = ms_ctl_json(core->redis, 0, "queue list", NULL);
    check_has(run, "0.", queue_fields);
    CHECK_AT(run, "0.name", "\"q\"");
    CHECK_AT(run, "0.ready", "1");
    CHECK_AT(run, "0.paused", "false");
    CHECK_AT(run, "0.throttled_until_ms", "null");
    CHECK_AT(run, "1", "absent");
    pod_remove(core);
}

/* One bad pair and nothing is set. */
static TEST(test_a_bad_setting_changes_nothing)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run =
        ms_ctl_run(core->redis, "queue set q max_workers=7 max_attempts=x",
                   NULL);

    CHECK_INT(run->code, ==, 2);
    CHECK_STR(ms_test_text(core->redis, "HGET " K("cfg") " max_workers"),
              "1000");
}

static TEST(test_pause_and_resume)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "a", .own_id = true);
    CHECK_AT(ms_ctl_json(core->redis, 0, "queue pause q", NULL), "paused",
             "true");
    CHECK_INT(ms_core_claim(core, "p", 1), ==, 0);
    CHECK_AT(ms_ctl_json(core->redis, 0, "queue resume q", NULL), "paused",
             "false");
    CHECK_INT(ms_core_claim(core, "p", 1), ==, 1);
    DONE(core, "p", "a", core->jobs[0].fence);
}

static TEST(test_purge_takes_what_waits_and_leaves_what_runs)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_ctl_json(core->redis, 0, "queue set q max_workers=5", NULL);
    ms_core_enqueue_many(core, "a", NULL, 1203);
    ENQUEUE(core, .id = "later", .own_id = true, .delay_ms = 3600000);
    CHECK_INT(ms_core_claim(core, "p", 2), ==, 2);
    run = ms_ctl_json(core->redis, 0, "queue purge q", NULL);
    CHECK_AT(run, "deleted", "1202");
    CHECK_AT(run, "ready", "1201");
    CHECK_AT(run, "scheduled", "1");
    CHECK_INT(ms_core_info(core).running, ==, 2);
    CHECK_INT(ms_core_info(core).ready, ==, 0);
}

/* ---- pods, tasks, status, doctor ---- */

static TEST(test_pods_are_listed_shown_and_drained)
{
    struct ms_core *core = *state;
    static const char *const fields[] = {
        "id",         "label",        "host",        "pid",  "version",
        "queues",     "slots",        "busy",        "http", "draining",
        "started_ms", "heartbeat_ms", "concurrency", NULL};
    const struct ms_ctl_run *run;

    CHECK_STR(ms_ctl_json(core->redis, 0, "pod list", NULL)->out, "[]\n");
    pod_make(core, ",k,");
    run = ms_ctl_json(core->redis, 0, "pod list", NULL);
    check_has(run, "0.", fields);
    CHECK_AT(run, "0.queues", "[\"q\",\"r\"]");
    CHECK_AT(run, "0.slots.0.pid", "5");
    CHECK_AT(run, "0.draining", "false");
    run = ms_ctl_json(core->redis, 0, "pod show blue", NULL);
    CHECK_AT(run, "id", "\"p1\"");
    run = ms_ctl_json(core->redis, 0, "pod drain p1", NULL);
    CHECK_STR(run->out, "{\"id\":\"p1\",\"result\":\"draining\"}\n");
    CHECK_STR(ms_test_text(core->redis, "LINDEX " F("pod:p1:inbox") " 0"),
              "drain");
    /* One that has not beaten for long is not live, whatever is left of it. */
    ms_test_text(core->redis, "ZADD " F("pods") " 5 p1");
    CHECK_STR(ms_ctl_json(core->redis, 0, "pod list", NULL)->out, "[]\n");
    pod_remove(core);
}

static TEST(test_enqueue_warns_only_where_nobody_handles_the_kind)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    pod_make(core, ",noop.*,");
    run = ms_ctl_run(core->redis, "job enqueue noop.echo --queue q", NULL);
    CHECK_STR(run->err, "");
    run = ms_ctl_run(core->redis, "job enqueue nope --queue q", NULL);
    CHECK_INT(run->code, ==, 0);
    CHECK_CONTAINS(run->err, "no live pod of queue 'q' handles 'nope'");
    pod_remove(core);
}

static TEST(test_tasks_are_shown_and_overdue_ones_marked)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_test_text(core->redis,
                 "HSET " F("task:reap") " name reap interval_ms 2000 "
                                        "next_run_ms 5 running 0 last_run_ms 3 "
                                        "last_success_ms 3 "
                                        "run_count 7");
    ms_test_text(core->redis,
                 "HSET " F(
                     "task:plan") " interval_ms 1000 next_run_ms %lld "
                                  "running 1 run_count 9 last_error broken",
                 (long long)ms_core_now(core));
    run = ms_ctl_json(core->redis, 0, "task list", NULL);
    CHECK_AT(run, "0.name", "\"plan\"");
    CHECK_AT(run, "0.running", "true");
    CHECK_AT(run, "0.overdue", "false");
    CHECK_AT(run, "0.last_error", "\"broken\"");
    CHECK_AT(run, "0.last_success_ms", "null");
    CHECK_AT(run, "1.overdue", "true");
    CHECK_AT(run, "1.last_error", "null");
    CHECK_AT(run, "1.run_count", "7");
    run = ms_ctl_json(core->redis, 0, "task show reap", NULL);
    CHECK_AT(run, "interval_ms", "2000");
    CHECK_AT(run, "next_run_ms", "5");
    CHECK_AT(run, "last_run_ms", "3");
    ms_test_text(core->redis, "DEL " F("task:reap") " " F("task:plan"));
}

static TEST(test_status_shows_queues_pods_leader_and_drift)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run = ms_ctl_json(core->redis, 0, "status", NULL);

    CHECK_STR(run->out,
              "{\"queues\":[],\"pods\":[],\"leader\":null,\"drift\":[]}\n");
    pod_make(core, ",k,");
    ms_ctl_json(core->redis, 0, "queue set q max_workers=5", NULL);
    ENQUEUE(core, .id = "a", .own_id = true);
    ms_test_text(core->redis, "HSET " F("leader") " id L epoch 12 since_ms 5 "
                                                  "url http://x host h pid 7");
    run = ms_ctl_json(core->redis, 0, "status", NULL);
    CHECK_AT(run, "queues.0.ready", "1");
    CHECK_AT(run, "pods.0.id", "\"p1\"");
    CHECK_AT(run, "leader",
             "{\"id\":\"L\",\"epoch\":12,\"since_ms\":5,"
             "\"url\":\"http://x\",\"host\":\"h\",\"pid\":7}");
    run = ms_ctl_run(core->redis, "status", NULL);
    CHECK_CONTAINS(run->out, "leader   L on h, epoch 12");
    CHECK_CONTAINS(run->out, "backlog  1\n");
    ms_test_text(core->redis, "DEL " F("leader"));
    pod_remove(core);
}

static const char *check_status(const struct ms_ctl_run *run, const char *name)
{
    static char quoted[80];

    for (int i = 0; i < 20; i++) {
        char path[40];

        snprintf(path, sizeof(path), "%d.check", i);
        snprintf(quoted, sizeof(quoted), "\"%s\"", name);
        if (strcmp(ms_ctl_at(run, path), quoted) != 0)
            continue;
        snprintf(path, sizeof(path), "%d.status", i);
        return ms_ctl_at(run, path);
    }
    return "absent";
}

static TEST(test_doctor_finds_what_is_wrong_with_redis)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_test_text(core->redis, "CONFIG SET hash-max-listpack-value 1024");
    ms_test_text(core->redis, "CONFIG SET appendonly no");
    run = ms_ctl_json(core->redis, 0, "doctor", NULL);
    CHECK_STR(check_status(run, "version"), "\"ok\"");
    CHECK_STR(check_status(run, "maxmemory-policy"), "\"ok\"");
    CHECK_STR(check_status(run, "hash-max-listpack-value"), "\"ok\"");
    CHECK_STR(check_status(run, "scripts"), "\"ok\"");
    CHECK_STR(check_status(run, "permissions"), "\"ok\"");
    CHECK_STR(check_status(run, "persistence"), "\"warn\"");
    CHECK_STR(check_status(run, "pods"), "\"warn\"");
    CHECK_STR(check_status(run, "leader"), "\"warn\"");
    ms_test_text(core->redis, "CONFIG SET maxmemory-policy allkeys-lru");
    run = ms_ctl_json(core->redis, 1, "doctor", NULL);
    CHECK_STR(check_status(run, "maxmemory-policy"), "\"fail\"");
    CHECK_CONTAINS(run->out, "noeviction");
    ms_test_text(core->redis, "CONFIG SET maxmemory-policy noeviction");
}

/* What Redis forbids is named, key and command. */
static TEST(test_doctor_finds_missing_permissions)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_test_text(core->redis, "ACL SETUSER default resetkeys ~other:*");
    run = ms_ctl_json(core->redis, 1, "doctor", NULL);
    CHECK_STR(check_status(run, "permissions"), "\"fail\"");
    ms_test_text(core->redis, "ACL SETUSER default allkeys");
}

/* ---- help ---- */

static TEST(test_help_and_version)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run = ms_ctl_run(core->redis, "--help", NULL);

    CHECK_INT(run->code, ==, 0);
    CHECK_CONTAINS(run->out, "job enqueue KIND [PAYLOAD]");
    CHECK_INT(ms_ctl_run(core->redis, "dump --help", NULL)->code, ==, 0);
    run = ms_ctl_run(core->redis, "dump import --help", NULL);
    CHECK_CONTAINS(run->out, "--max-errors N");
    run = ms_ctl_run(core->redis, "--version", NULL);
    CHECK_INT(run->code, ==, 0);
    CHECK_CONTAINS(run->out, "musterctl ");
}

/* Output that cannot be written must not look like success. */
static TEST(test_a_full_disk_is_a_failure)
{
    struct ms_core *core = *state;
    const char *argv[] = {"sh",
                          "-c",
                          "exec \"$0\" --redis \"$1\" status > /dev/full",
                          MS_TEST_BIN_DIR "/musterctl",
                          ms_test_redis_url(core->redis),
                          NULL};
    char *err = NULL;

    CHECK_INT(ms_proc_run(argv, NULL, NULL, &err), ==, 1);
    CHECK_CONTAINS(err, "cannot write");
    free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_misuse_exits_with_2),
        CORE(test_what_is_not_there_exits_with_1),
        CORE(test_a_redis_that_is_away_is_named),
        CORE(test_a_password_is_not_shown),
        CORE(test_an_unknown_layout_is_refused),
        CORE(test_enqueue_prints_id_queue_and_deduplicated),
        CORE(test_enqueue_knows_default_queue_payload_and_kinds),
        CORE(test_a_payload_over_the_limit_is_refused),
        CORE(test_a_dash_reads_the_payload_from_standard_input),
        CORE(test_delayed_and_unique_jobs),
        CORE(test_a_batch_goes_in_by_queue_and_counts),
        CORE(test_a_large_batch_is_complete_and_in_order),
        CORE(test_a_bad_line_of_a_batch_keeps_it_out),
        CORE(test_a_full_queue_refuses_a_batch),
        CORE(test_a_batch_says_each_jobs_options_itself),
        CORE(test_an_id_in_two_queues_wants_a_queue),
        CORE(test_wait_exits_by_how_the_job_ended),
        CORE(test_wait_returns_when_the_job_ends),
        CORE(test_lists_go_page_by_page_over_all_states),
        CORE(test_lists_are_filtered_by_state_and_kind),
        CORE(test_pages_of_ended_jobs_hold_still),
        CORE(test_cancel_tells_what_it_did),
        CORE(test_retry_and_delete),
        CORE(test_bulk_commands_count_what_they_did),
        CORE(test_queues_are_listed_shown_and_set),
        CORE(test_a_bad_setting_changes_nothing),
        CORE(test_pause_and_resume),
        CORE(test_purge_takes_what_waits_and_leaves_what_runs),
        CORE(test_pods_are_listed_shown_and_drained),
        CORE(test_enqueue_warns_only_where_nobody_handles_the_kind),
        CORE(test_tasks_are_shown_and_overdue_ones_marked),
        CORE(test_status_shows_queues_pods_leader_and_drift),
        CORE(test_doctor_finds_what_is_wrong_with_redis),
        CORE(test_doctor_finds_missing_permissions),
        CORE(test_help_and_version),
        CORE(test_a_full_disk_is_a_failure),
    };
    int failed = RUN_CORE(tests);

    ms_ctl_forget();
    return failed;
}

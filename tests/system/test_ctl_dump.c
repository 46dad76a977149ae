/* musterctl's dumps and datasets on a real Redis.  The leader and the pods are
 * played by the test, through the same typed operations. */
#include "tests/support/core.h"
#include "tests/support/ctl.h"

#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_AT(run, path, text) CHECK_STR(ms_ctl_at((run), (path)), (text))

static char *source_file(void)
{
    static const char lines[] = "{\"id\":1}\n{\"id\":2}\nbad\n";

    return ms_test_file("users.ndjson", lines, strlen(lines));
}

/* Imports into queue "q" and returns the id, for free(). */
static char *import(struct ms_core *core, const char *options)
{
    char *source = source_file();
    char *words = ms_xasprintf("dump import %% --queue q %s", options);
    const struct ms_ctl_run *run = ms_ctl_json(core->redis, 0, words, source);
    char *id = ms_val_strdup(&run->json.root, "id");

    CHECK_AT(run, "queue", "\"q\"");
    CHECK(id != NULL);
    free(words);
    free(source);
    return id;
}

/* The words of a command with the id at its end. */
static const struct ms_ctl_run *dump(struct ms_core *core, int code,
                                     const char *verb, const char *id,
                                     const char *options)
{
    char *words = ms_xasprintf("dump %s %s %s", verb, id, options);
    const struct ms_ctl_run *run = ms_ctl_json(core->redis, code, words, NULL);

    free(words);
    return run;
}

/* Puts a plan with this source size on the record, as the leader does. */
static void plan_put(struct ms_core *core, const char *id, int64_t size)
{
    struct ms_buf plan = MS_BUF_INIT;
    struct ms_val val;
    char *json = ms_xasprintf("{\"manifest\":{\"path\":\"/x\",\"size\":%lld,"
                              "\"mtime_ns\":1,\"chunk_size\":4096}}",
                              (long long)size);
    char *key = ms_xasprintf(K("job:%s"), id);

    CHECK_INT(ms_val_from_json(json, strlen(json), &val, NULL), ==, MS_OK);
    ms_val_to_msgpack(&val.root, &plan);
    ms_test_cmd(core->redis, "HSET %b plan %b", key, strlen(key), plan.data,
                plan.len);
    free(key);
    ms_val_done(&val);
    ms_buf_done(&plan);
    free(json);
}

/* ---- import ---- */

static TEST(test_an_import_makes_its_dataset_and_waits_for_the_leader)
{
    struct ms_core *core = *state;
    char *id = import(core, "--shards 3 --chunk-size 4KiB --max-errors 7");
    const struct ms_ctl_run *run = dump(core, 0, "show", id, "");

    CHECK_AT(run, "kind", "\"dump.import\"");
    CHECK_AT(run, "state", "\"waiting\"");
    CHECK_AT(run, "payload.dataset", "\"users\"");
    CHECK_AT(run, "payload.shards", "3");
    CHECK_AT(run, "payload.id_field", "\"id\"");
    CHECK_AT(run, "payload.chunk_size", "4096");
    CHECK_AT(run, "payload.max_errors", "7");
    CHECK_AT(run, "payload.max_line_bytes", "16777216");
    CHECK_AT(run, "payload.batch_docs", "200");
    CHECK_AT(run, "payload.batch_bytes", "262144");
    CHECK_CONTAINS(ms_ctl_at(run, "source"), "/users.ndjson\"");
    CHECK_AT(run, "size", "null");
    CHECK_AT(run, "bytes", "0");
    CHECK_AT(run, "stalled", "false");
    CHECK_AT(run, "chunks.planned", "0");
    run = ms_ctl_json(core->redis, 0, "dataset show users", NULL);
    CHECK_AT(run, "shards", "3");
    CHECK_AT(run, "count", "0");
    run = ms_ctl_json(core->redis, 0, "dataset list", NULL);
    CHECK_AT(run, "0.name", "\"users\"");
    ms_test_text(core->redis, "FLUSHALL");
    free(id);
}

static TEST(test_an_import_warns_of_what_would_keep_it_waiting)
{
    struct ms_core *core = *state;
    char *source = source_file();
    const struct ms_ctl_run *run =
        ms_ctl_run(core->redis, "dump import % --queue slow", source);

    CHECK_INT(run->code, ==, 0);
    CHECK_CONTAINS(run->err, "no coordinator leads");
    CHECK_CONTAINS(run->err, "queue set slow max_workers=16");
    ms_test_text(core->redis, "FLUSHALL");
    free(source);
}

static TEST(test_a_dataset_of_another_shape_is_not_imported_into)
{
    struct ms_core *core = *state;
    char *id = import(core, "--shards 2");
    char *source = source_file();
    const struct ms_ctl_run *run;

    run = ms_ctl_run(core->redis, "dump import % --shards 3", source);
    CHECK_INT(run->code, ==, 1);
    CHECK_CONTAINS(run->err, "has 2 shards, not 3");
    run = ms_ctl_run(core->redis, "dump import % --id-field key", source);
    CHECK_INT(run->code, ==, 1);
    CHECK_CONTAINS(run->err, "'id', not 'key'");
    free(id);
    id = import(core, ""); /* as it is */
    ms_test_text(core->redis, "FLUSHALL");
    free(source);
    free(id);
}

/* ---- progress ---- */

static TEST(test_show_adds_up_what_chunks_reported)
{
    struct ms_core *core = *state;
    char *id = import(core, "");
    char *chunk = ms_xasprintf("%s.0", id);
    struct ms_lease_sum sums[] = {{"docs", 2},
                                  {"bytes", 18},
                                  {"lines", 3},
                                  {"rejected", 1}};
    struct ms_lease_reject rejects[] = {{18, "not JSON: line 1, column 1"}};
    const struct ms_ctl_run *run;
    int64_t fence;

    CHECK_INT(ms_core_spawn(core, id, 0, 3), ==, MS_OK);
    plan_put(core, id, 22);
    fence = ms_core_claim_one(core, "p", chunk);
    ms_core_renew_move(core, "p", chunk, fence,
                       &(struct ms_lease_move){.seq = 1,
                                               .cursor = "\x81\xa1o\x12",
                                               .cursor_len = 4,
                                               .progress = 0.5,
                                               .sums = sums,
                                               .n_sums = 4,
                                               .rejects = rejects,
                                               .n_rejects = 1});
    run = dump(core, 0, "show", id, "");
    CHECK_AT(run, "size", "22");
    CHECK_AT(run, "bytes", "18");
    CHECK_AT(run, "docs", "2");
    CHECK_AT(run, "lines", "3");
    CHECK_AT(run, "rejected", "1");
    CHECK_AT(run, "stalled", "false");
    CHECK_AT(run, "chunks.planned", "3");
    CHECK_AT(run, "chunks.running", "1");
    CHECK_AT(run, "chunks.ready", "2");
    CHECK_AT(run, "running.0.chunk", "0");
    CHECK_AT(run, "running.0.pod", "\"p\"");
    CHECK_AT(run, "running.0.cursor", "{\"o\":18}");
    CHECK_AT(run, "running.1", "absent");
    CHECK_STR(dump(core, 0, "rejects", id, "")->out,
              "[{\"chunk\":0,\"offset\":18,\"reason\":\"not JSON: line 1, "
              "column 1\"}]\n");
    CHECK_AT(ms_ctl_json(core->redis, 0, "job show %", id), "chunks.running",
             "1");
    ms_test_text(core->redis, "FLUSHALL");
    free(chunk);
    free(id);
}

/* An hour without a byte: said by the time of the last move, not by a guess. */
static TEST(test_an_import_that_does_not_move_is_stalled)
{
    struct ms_core *core = *state;
    char *id = import(core, "");

    CHECK_AT(dump(core, 0, "show", id, ""), "stalled", "false");
    ms_test_text(core->redis, "HSET " K("job:%s") " created_ms 5 started_ms 5",
                 id);
    CHECK_AT(dump(core, 0, "show", id, ""), "stalled", "true");
    ms_test_text(core->redis, "HSET " K("tally:%s") " moved_ms %lld", id,
                 (long long)ms_core_now(core));
    CHECK_AT(dump(core, 0, "show", id, ""), "stalled", "false");
    ms_test_text(core->redis, "FLUSHALL");
    free(id);
}

static TEST(test_chunks_come_page_by_page_done_ones_too)
{
    struct ms_core *core = *state;
    char *id = import(core, "");
    char *chunk = ms_xasprintf("%s.0", id);
    char *quoted = ms_xasprintf("\"%s\"", chunk);
    const struct ms_ctl_run *run;

    CHECK_INT(ms_core_spawn(core, id, 0, 5), ==, MS_OK);
    DONE(core, "p", chunk, ms_core_claim_one(core, "p", chunk));
    run = dump(core, 0, "chunks", id, "--limit 2");
    CHECK_AT(run, "items.0.id", quoted);
    CHECK_AT(run, "items.0.state", "\"done\"");
    CHECK_AT(run, "items.0.chunk", "0");
    CHECK_AT(run, "items.1.state", "\"ready\"");
    CHECK_AT(run, "items.2", "absent");
    CHECK_AT(run, "next", "\"2\"");
    run = dump(core, 0, "chunks", id, "--limit 2 --cursor 4");
    CHECK_AT(run, "items.0.chunk", "4");
    CHECK_AT(run, "items.1", "absent");
    CHECK_AT(run, "next", "null");
    ms_test_text(core->redis, "FLUSHALL");
    free(quoted);
    free(chunk);
    free(id);
}

/* ---- ends ---- */

static TEST(test_cancel_and_retry_with_more_errors)
{
    struct ms_core *core = *state;
    char *id = import(core, "");
    const struct ms_ctl_run *run = dump(core, 0, "cancel", id, "");

    CHECK_AT(run, "result", "\"requested\"");
    CHECK_INT(ms_core_conclude(core, id, false, "too many errors"), ==, MS_OK);
    run = dump(core, 0, "cancel", id, "");
    CHECK_AT(run, "result", "\"finished\"");
    dump(core, 0, "retry", id, "--max-errors unlimited");
    run = dump(core, 0, "show", id, "");
    CHECK_AT(run, "payload.max_errors", "-1");
    CHECK_AT(run, "payload.dataset", "\"users\"");
    CHECK_AT(run, "state", "\"waiting\"");
    dump(core, 1, "retry", id, ""); /* it has not ended */
    ms_test_text(core->redis, "FLUSHALL");
    free(id);
}

static TEST(test_other_jobs_are_no_imports)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ENQUEUE(core, .id = "a", .own_id = true);
    run = ms_ctl_run(core->redis, "dump show a --queue q", NULL);
    CHECK_INT(run->code, ==, 2);
    CHECK_CONTAINS(run->err, "no import but a 'k'");
}

static struct ms_proc *import_waiting(struct ms_core *core, const char *source)
{
    const char *argv[] = {
        "musterctl", "--redis", ms_test_redis_url(core->redis),
        "--fleet",   "m",       "--json",
        "dump",      "import",  source,
        "--queue",   "q",       "--wait",
        NULL};

    return ms_proc_start(argv, NULL);
}

/* The id of the one parent that waits; "" while there is none. */
static const char *parent_id(struct ms_core *core)
{
    static char id[160];
    const struct ms_reply *reply =
        ms_test_cmd(core->redis, "ZRANGE " K("waiting") " 0 0");

    snprintf(id, sizeof(id), "%s", ms_reply_str(ms_reply_at(reply, 0), ""));
    return id;
}

static TEST(test_waiting_shows_plain_lines_and_ends_with_the_job)
{
    struct ms_core *core = *state;
    char *source = source_file();
    struct ms_proc *proc = import_waiting(core, source);
    struct ms_val val;

    WAIT_FOR(20000, parent_id(core)[0] != '\0');
    CHECK_INT(ms_core_conclude(core, parent_id(core), true, "\x80"), ==, MS_OK);
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 0);
    CHECK_CONTAINS(ms_proc_stderr(proc), "docs=0 rejected=0");
    CHECK(strchr(ms_proc_stderr(proc), '\r') == NULL);
    CHECK_INT(ms_val_from_json(ms_proc_stdout(proc),
                               strlen(ms_proc_stdout(proc)), &val, NULL),
              ==, MS_OK);
    CHECK(ms_val_is_str(ms_val_get(&val.root, "state"), "done"));
    ms_val_done(&val);
    ms_proc_free(proc);
    ms_test_text(core->redis, "FLUSHALL");
    free(source);
}

/* Starts the import on a terminal of 100 columns; returns its pid. */
static pid_t import_on_terminal(struct ms_core *core, const char *source,
                                int *out_terminal)
{
    struct winsize size = {.ws_row = 25, .ws_col = 100};
    const char *program = MS_TEST_BIN_DIR "/musterctl";
    pid_t pid = forkpty(out_terminal, NULL, NULL, &size);

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("TERM", "xterm", 1);
        execl(program, program, "--redis", ms_test_redis_url(core->redis),
              "--fleet", "m", "dump", "import", source, "--queue", "q",
              "--wait", (char *)NULL);
        _exit(127);
    }
    CHECK(pid > 0);
    return pid;
}

/* Adds what comes next; false at the end. */
static bool terminal_read(int terminal, struct ms_buf *text)
{
    char *room = ms_buf_reserve(text, 4096);
    ssize_t got = read(terminal, room, 4096);

    if (got > 0)
        text->len += (size_t)got;
    return got > 0;
}

/* A bar is drawn over and over on one line, and what follows it begins on a
 * line of its own. */
static TEST(test_a_terminal_shows_a_bar)
{
    struct ms_core *core = *state;
    struct ms_buf text = MS_BUF_INIT;
    char *source = source_file();
    int terminal, status = -1;
    pid_t pid = import_on_terminal(core, source, &terminal);

    while (strstr(ms_buf_str(&text), "0 docs") == NULL)
        CHECK(terminal_read(terminal, &text));
    CHECK_INT(ms_core_conclude(core, parent_id(core), true, "\x80"), ==, MS_OK);
    while (terminal_read(terminal, &text))
        ;
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    CHECK_CONTAINS(ms_buf_str(&text), "\r[   ");
    CHECK_CONTAINS(ms_buf_str(&text), "pods\033[K\r\nid  ");
    CHECK(strstr(ms_buf_str(&text), "bytes=") == NULL);
    close(terminal);
    ms_test_text(core->redis, "FLUSHALL");
    ms_buf_done(&text);
    free(source);
}

static TEST(test_waiting_for_an_import_that_dies_exits_with_4)
{
    struct ms_core *core = *state;
    char *source = source_file();
    struct ms_proc *proc = import_waiting(core, source);

    WAIT_FOR(20000, parent_id(core)[0] != '\0');
    ms_core_conclude(core, parent_id(core), false, "1 bad line");
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 4);
    CHECK_CONTAINS(ms_proc_stdout(proc), "1 bad line");
    ms_proc_free(proc);
    ms_test_text(core->redis, "FLUSHALL");
    free(source);
}

/* Ctrl-C ends the looking, never the import. */
static TEST(test_an_interrupt_leaves_the_import_running)
{
    struct ms_core *core = *state;
    char *source = source_file();
    struct ms_proc *proc = import_waiting(core, source);

    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "docs=") != NULL);
    ms_proc_signal(proc, SIGINT);
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 130);
    CHECK_CONTAINS(ms_proc_stderr(proc), "musterctl dump show ");
    CHECK_STR(ms_core_field(core, parent_id(core), "cancel_requested"), "");
    CHECK_STR(ms_core_state(core, parent_id(core)), "waiting");
    ms_proc_free(proc);
    ms_test_text(core->redis, "FLUSHALL");
    free(source);
}

/* ---- datasets ---- */

static TEST(test_documents_are_put_read_counted_and_deleted)
{
    struct ms_core *core = *state;
    char *id = import(core, "");
    const struct ms_ctl_run *run;

    run = ms_ctl_json(core->redis, 0, "dataset put users 7 %",
                      "{ \"id\": 7, \"name\": \"b\" }");
    CHECK_STR(run->out, "{\"id\":\"7\",\"result\":\"created\"}\n");
    run = ms_ctl_json(core->redis, 0, "dataset put users 7 %",
                      "{ \"id\": 7, \"name\": \"c\" }\n");
    CHECK_AT(run, "result", "\"replaced\"");
    run = ms_ctl_run(core->redis, "dataset get users 7", NULL);
    CHECK_STR(run->out, "{ \"id\": 7, \"name\": \"c\" }\n"); /* as it came */
    run = ms_ctl_json(core->redis, 0, "dataset count users", NULL);
    CHECK_STR(run->out, "{\"name\":\"users\",\"count\":1}\n");
    run = ms_ctl_run(core->redis, "dataset get users 8", NULL);
    CHECK_INT(run->code, ==, 1);
    run = ms_ctl_json(core->redis, 0, "dataset delete users 7", NULL);
    CHECK_AT(run, "result", "\"deleted\"");
    run = ms_ctl_json(core->redis, 1, "dataset delete users 7", NULL);
    CHECK_AT(run, "result", "\"unknown\"");
    ms_test_text(core->redis, "FLUSHALL");
    free(id);
}

/* A wrong id would write over another document. */
static TEST(test_a_document_goes_where_its_own_id_says)
{
    struct ms_core *core = *state;
    char *id = import(core, "");
    const struct ms_ctl_run *run;
    static const char *const bad[] = {"{\"id\":8}",  "{\"id\":\"8\"}", "{}",
                                      "[7]",         "{\"id\":7",      "7",
                                      "{\"id\":7.0}"};

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        run = ms_ctl_run(core->redis, "dataset put users 7 %", bad[i]);
        CHECK_INT(run->code, ==, 2);
    }
    run = ms_ctl_json(core->redis, 0, "dataset count users", NULL);
    CHECK_AT(run, "count", "0");
    ms_test_text(core->redis, "FLUSHALL");
    free(id);
}

static TEST(test_an_export_writes_every_document_as_it_came)
{
    struct ms_core *core = *state;
    char *id = import(core, "");
    char *path = ms_xasprintf("%s/out.ndjson", ms_test_dir());
    char *words = ms_xasprintf("dataset export users --to %s", path);
    char *part = ms_xasprintf("%s.part", path);
    const struct ms_ctl_run *run;

    ms_ctl_json(core->redis, 0, "dataset put users 7 %", "{\"id\": 7}");
    ms_ctl_json(core->redis, 0, "dataset put users a %", "{\"id\":\"a\"}");
    run = ms_ctl_run(core->redis, "dataset export users", NULL);
    CHECK_INT(run->code, ==, 0);
    CHECK_CONTAINS(run->out, "{\"id\": 7}\n");
    CHECK_CONTAINS(run->out, "{\"id\":\"a\"}\n");
    CHECK_INT(strlen(run->out), ==, 21);
    run = ms_ctl_json(core->redis, 0, words, NULL);
    CHECK_AT(run, "docs", "2");
    CHECK_AT(run, "bytes", "21");
    CHECK(access(path, R_OK) == 0);
    CHECK(access(part, F_OK) != 0);
    ms_test_text(core->redis, "FLUSHALL");
    free(part);
    free(words);
    free(path);
    free(id);
}

static TEST(test_a_dropped_dataset_is_gone)
{
    struct ms_core *core = *state;
    char *id = import(core, "");

    ms_ctl_json(core->redis, 0, "dataset put users 7 %", "{\"id\":7}");
    ms_ctl_json(core->redis, 0, "dataset drop users", NULL);
    CHECK_STR(ms_ctl_json(core->redis, 0, "dataset list", NULL)->out, "[]\n");
    CHECK_INT(ms_ctl_run(core->redis, "dataset count users", NULL)->code, ==,
              1);
    ms_test_text(core->redis, "FLUSHALL");
    free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_an_import_makes_its_dataset_and_waits_for_the_leader),
        CORE(test_an_import_warns_of_what_would_keep_it_waiting),
        CORE(test_a_dataset_of_another_shape_is_not_imported_into),
        CORE(test_show_adds_up_what_chunks_reported),
        CORE(test_an_import_that_does_not_move_is_stalled),
        CORE(test_chunks_come_page_by_page_done_ones_too),
        CORE(test_cancel_and_retry_with_more_errors),
        CORE(test_other_jobs_are_no_imports),
        CORE(test_waiting_shows_plain_lines_and_ends_with_the_job),
        CORE(test_a_terminal_shows_a_bar),
        CORE(test_waiting_for_an_import_that_dies_exits_with_4),
        CORE(test_an_interrupt_leaves_the_import_running),
        CORE(test_documents_are_put_read_counted_and_deleted),
        CORE(test_a_document_goes_where_its_own_id_says),
        CORE(test_an_export_writes_every_document_as_it_came),
        CORE(test_a_dropped_dataset_is_gone),
    };
    int failed = RUN_CORE(tests);

    ms_ctl_forget();
    return failed;
}

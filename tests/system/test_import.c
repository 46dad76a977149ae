/*
 * Imports from one end to the other: musterctl, a coordinator, two workers, a
 * real Redis.  Every document is compared byte for byte.
 *
 * All share one fleet, because an import spends most of its time waiting for
 * the next look of the leader; each has a dataset of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/dump.h"

#define MAX_LINE 1048576 /* of CONF; longer than a read buffer */
#define CHUNK    4096
#define CONF                                                               \
    "worker: { queues: [dump], concurrency: 2, claim_ttl: 2s, heartbeat: " \
    "1s, grace: 20s, http: \"off\" }\n"                                    \
    "coordinator: { http: \"off\", lease_ttl: 2s }\n"                      \
    "queues:\n  - { name: dump, max_workers: 4 }\n"                        \
    "dump_import: { chunk_size_bytes: 4KiB, max_line_bytes: 1MiB }\n"

static struct ms_test_fleet *fleet;
static struct ms_proc *coordinator, *workers[2];

static int group_setup(void **state)
{
    fleet = ms_test_fleet_new(NULL, CONF);
    coordinator = ms_test_coordinator(fleet);
    for (size_t i = 0; i < MS_COUNT_OF(workers); i++)
        workers[i] = ms_test_worker(fleet);
    return 0;
}

static int group_teardown(void **state)
{
    for (size_t i = 0; i < MS_COUNT_OF(workers); i++)
        ms_proc_free(workers[i]);
    ms_proc_free(coordinator);
    ms_test_fleet_free(fleet);
    return 0;
}

/* Imports it and checks all that came of it. */
static void import_is_exact(struct ms_dump *dump, const char *words)
{
    ms_dump_import(dump, fleet, words);
    ms_dump_check_done(dump, fleet);
    ms_dump_done(dump);
}

/* The same of several at a time. */
static void imports_are_exact(struct ms_dump *dumps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ms_dump_import(&dumps[i], fleet, "");
    for (size_t i = 0; i < n; i++) {
        ms_dump_check_done(&dumps[i], fleet);
        ms_dump_done(&dumps[i]);
    }
}

/* A document of exactly `len` bytes, for free(). */
static char *doc_of(const char *id, size_t len)
{
    char *head = ms_xasprintf("{\"id\":\"%s\",\"x\":\"", id);
    char *doc = ms_xcalloc(1, len + 1);
    size_t n = strlen(head);

    ms_assert(n + 2 <= len);
    memcpy(doc, head, n);
    memset(doc + n, 'x', len - n - 2);
    memcpy(doc + len - 2, "\"}", 2);
    free(head);
    return doc;
}

static void add_doc_of(struct ms_dump *dump, const char *id, size_t len)
{
    char *doc = doc_of(id, len);

    ms_dump_doc(dump, doc, "\n");
    free(doc);
}

/* ---- lines and their ends ---- */

static TEST(test_lines_may_end_in_crlf)
{
    struct ms_dump dump;
    char doc[64];

    ms_dump_init(&dump, "crlf");
    for (int i = 0; i < 500; i++) {
        snprintf(doc, sizeof(doc), "{\"id\":%d, \"text\": \"\\r\\n\"}", i);
        ms_dump_doc(&dump, doc, i % 3 == 0 ? "\n" : "\r\n");
    }
    import_is_exact(&dump, "");
}

static TEST(test_a_byte_order_mark_is_passed_over)
{
    struct ms_dump dumps[2];

    ms_dump_init(&dumps[0], "mark");
    ms_dump_raw(&dumps[0], "\xEF\xBB\xBF", 3);
    ms_dump_many(&dumps[0], 100, 100);
    ms_dump_init(&dumps[1], "mark-alone");
    ms_dump_raw(&dumps[1], "\xEF\xBB\xBF", 3);
    imports_are_exact(dumps, 2);
}

static TEST(test_the_last_line_may_have_no_end)
{
    struct ms_dump dumps[2];

    ms_dump_init(&dumps[0], "no-end");
    ms_dump_many(&dumps[0], 60, 100);
    ms_dump_doc(&dumps[0], "{\"id\":\"last\"}", "");
    ms_dump_init(&dumps[1], "one-line");
    ms_dump_doc(&dumps[1], "{\"id\":1}", "");
    imports_are_exact(dumps, 2);
}

static TEST(test_empty_lines_are_counted_and_passed_over)
{
    struct ms_dump dump;

    ms_dump_init(&dump, "empty-lines");
    ms_dump_empty(&dump, "\n");
    ms_dump_many(&dump, 30, 100);
    for (int i = 0; i < 6000; i++) /* whole chunks of them */
        ms_dump_empty(&dump, i % 2 == 0 ? "\n" : "\r\n");
    ms_dump_many(&dump, 30, 100);
    ms_dump_empty(&dump, "\n");
    import_is_exact(&dump, "");
}

static TEST(test_an_empty_file_is_done)
{
    struct ms_dump dump;

    ms_dump_init(&dump, "empty");
    import_is_exact(&dump, "");
}

/* ---- long lines ---- */

static TEST(test_a_line_may_be_longer_than_a_chunk_and_a_read_buffer)
{
    struct ms_dump dump;

    ms_dump_init(&dump, "long");
    ms_dump_many(&dump, 20, 100);
    add_doc_of(&dump, "longer", 700000);
    ms_dump_many(&dump, 20, 100);
    add_doc_of(&dump, "longest", MAX_LINE);
    add_doc_of(&dump, "at the end", 20000);
    import_is_exact(&dump, "");
}

static TEST(test_a_line_over_the_limit_is_a_reject)
{
    struct ms_dump dump;
    char *line = doc_of("too long", MAX_LINE + 1);

    ms_dump_init(&dump, "too-long");
    ms_dump_many(&dump, 20, 100);
    ms_dump_bad(&dump, line, MAX_LINE + 1, "\r\n");
    ms_dump_many(&dump, 20, 100);
    import_is_exact(&dump, "--max-errors 1");
    free(line);
}

/* ---- cuts ---- */

static TEST(test_a_cut_inside_a_character)
{
    struct ms_dump dumps[5];
    char text[CHUNK + 64];

    /* The cut is in front of each of its bytes in turn, and behind it. */
    for (int shift = 0; shift <= 4; shift++) {
        struct ms_dump *dump = &dumps[shift];
        int n;

        snprintf(text, sizeof(text), "cut-%d", shift);
        ms_dump_init(dump, text);
        n = snprintf(text, sizeof(text), "{\"id\":1,\"x\":\"");
        memset(text + n, 'x', CHUNK);
        strcpy(text + CHUNK - shift, "\xF0\x9F\x90\x98\"}");
        ms_dump_doc(dump, text, "\n");
        ms_dump_many(dump, 100, 100);
    }
    imports_are_exact(dumps, MS_COUNT_OF(dumps));
}

static TEST(test_a_cut_on_a_line_end)
{
    /* The LF is the last byte before the cut, the first behind it; with CR and
     * LF on either side of it. */
    static const struct {
        const char *name, *end;
        size_t len;
    } cases[] = {{"lf-before", "\n", CHUNK - 1},
                 {"lf-behind", "\n", CHUNK},
                 {"crlf-before", "\r\n", CHUNK - 2},
                 {"crlf-across", "\r\n", CHUNK - 1},
                 {"crlf-behind", "\r\n", CHUNK}};

    struct ms_dump dumps[MS_COUNT_OF(cases)];

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char *doc = doc_of("first", cases[i].len);

        ms_dump_init(&dumps[i], cases[i].name);
        ms_dump_doc(&dumps[i], doc, cases[i].end);
        ms_dump_many(&dumps[i], 100, 100);
        free(doc);
    }
    imports_are_exact(dumps, MS_COUNT_OF(dumps));
}

/* ---- ids ---- */

static TEST(test_of_two_lines_with_one_id_the_later_stands)
{
    struct ms_dump dump;

    ms_dump_init(&dump, "twice");
    ms_dump_shadowed(&dump, "{\"id\":7,\"n\":1}", "\n");
    ms_dump_many(&dump, 5, 100);
    ms_dump_shadowed(&dump, "{\"id\":\"7\",\"n\":2}", "\n");
    ms_dump_doc(&dump, "{\"n\":3,\"id\":7}", "\n");
    import_is_exact(&dump, "");
}

static TEST(test_another_id_field)
{
    struct ms_dump dump;

    ms_dump_init(&dump, "other-id");
    ms_dump_doc(&dump, "{\"id\":null,\"key\":\"a\"}", "\n");
    ms_dump_doc(&dump, "{\"key\":-12}", "\n");
    ms_dump_doc(&dump, "{\"key\":\"\\u0000\\ud83d\\udc18\",\"id\":[]}", "\n");
    import_is_exact(&dump, "--id-field key --shards 1");
}

/* ---- bad lines ---- */

#define BAD(text, why)              \
    {                               \
        text, sizeof(text) - 1, why \
    }
static const struct bad {
    const char *text;
    size_t len;
    const char *why; /* what the reason says */
} bad_lines[] = {
    BAD("{\"id\":1", "not JSON"),
    BAD("{\"id\":2}}", "not JSON"),
    BAD("{'id':3}", "not JSON"),
    BAD("{\"id\":4}\0", "not JSON"),
    BAD("{\"id\":\"\xC3\x28\"}", "UTF-8"),
    BAD("{\"id\":5,\"x\":\"\xED\xA0\x80\"}", "UTF-8"),
    BAD("{\"id\":6,\"x\":\"\xF0\x9F\x90\"}", "UTF-8"),
    BAD("[{\"id\":7}]", "object"),
    BAD("8", "object"),
    BAD("\"id\"", "object"),
    BAD("null", "object"),
    BAD(" ", ""),
    BAD("{}", "id"),
    BAD("{\"ID\":9}", "id"),
    BAD("{\"x\":{\"id\":10}}", "id"),
    BAD("{\"id\":null}", "id"),
    BAD("{\"id\":1.5}", "id"),
    BAD("{\"id\":[\"a\"]}", "id"),
    BAD("{\"id\":true}", "id"),
};
#define N_BAD ((int64_t)MS_COUNT_OF(bad_lines))

/* Every kind of bad line among good ones; *offsets has N_BAD of them. */
static void dump_with_bad_lines(struct ms_dump *dump, const char *name,
                                int64_t *offsets)
{
    ms_dump_init(dump, name);
    for (size_t i = 0; i < MS_COUNT_OF(bad_lines); i++) {
        ms_dump_many(dump, 20, 200);
        offsets[i] = (int64_t)dump->bytes.len;
        ms_dump_bad(dump, bad_lines[i].text, bad_lines[i].len, "\n");
    }
    ms_dump_many(dump, 20, 200);
}

/* In the source's order, each once, in the chunk that holds its first byte or
 * an earlier one. */
static void check_rejects(const struct ms_dump *dump, const int64_t *offsets)
{
    struct ms_val val;
    const msgpack_object_array *list;

    CHECK_INT(ms_test_ctl(fleet, "--json dump rejects %s", dump->id), ==, 0);
    CHECK_INT(ms_val_from_json(ms_test_ctl_stdout(),
                               strlen(ms_test_ctl_stdout()), &val, NULL),
              ==, MS_OK);
    list = &val.root.via.array;
    CHECK_INT(list->size, ==, N_BAD);
    for (uint32_t i = 0; i < list->size; i++) {
        char *reason = ms_val_strdup(&list->ptr[i], "reason");

        CHECK_INT(ms_val_int(&list->ptr[i], "offset", -1), ==, offsets[i]);
        CHECK_INT(ms_val_int(&list->ptr[i], "chunk", -1), <=,
                  offsets[i] / CHUNK);
        CHECK_CONTAINS(reason, bad_lines[i].why);
        free(reason);
    }
    ms_val_done(&val);
}

static TEST(test_bad_lines_within_max_errors_are_listed)
{
    struct ms_dump dump;
    int64_t offsets[N_BAD];
    char words[64];

    dump_with_bad_lines(&dump, "bad-borne", offsets);
    snprintf(words, sizeof(words), "--max-errors %lld", (long long)N_BAD);
    ms_dump_import(&dump, fleet, words);
    ms_dump_check_done(&dump, fleet);
    check_rejects(&dump, offsets);
    ms_dump_done(&dump);
}

/* The job's error names where and what; --wait exits with 4. */
static TEST(test_one_bad_line_more_than_max_errors_ends_as_dead)
{
    struct ms_dump dump;
    char where[64];

    ms_dump_init(&dump, "bad-dead");
    ms_dump_many(&dump, 300, 200);
    snprintf(where, sizeof(where), "offset %zu: ", dump.bytes.len);
    ms_dump_bad(&dump, "no", 2, "\n");
    ms_dump_many(&dump, 300, 200);
    ms_dump_write(&dump);
    CHECK_INT(ms_test_ctl(fleet,
                          "--json dump import %s --dataset bad-dead "
                          "--wait",
                          dump.path),
              ==, 4);
    CHECK_STR(ms_test_ctl_field("state"), "dead");
    CHECK_CONTAINS(ms_test_ctl_stdout(), "1 lines rejected, 0 allowed");
    CHECK_CONTAINS(ms_test_ctl_stdout(), where);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "not JSON");
    ms_dump_check_keys(fleet);
    ms_dump_done(&dump);
}

static TEST(test_a_retry_with_more_errors_resumes_what_is_unfinished)
{
    struct ms_dump dump;
    int64_t offsets[N_BAD], done, finished;

    dump_with_bad_lines(&dump, "bad-retried", offsets);
    ms_dump_import(&dump, fleet, "--max-errors 3");
    WAIT_FOR(60000, ms_dump_is(&dump, fleet, "dead"));
    done = ms_dump_tally(&dump, fleet, "done");
    finished = ms_dump_stat(fleet, "done");
    CHECK_INT(ms_test_ctl(fleet, "dump retry %s --max-errors unlimited",
                          dump.id),
              ==, 0);
    ms_dump_check_done(&dump, fleet);
    check_rejects(&dump, offsets);
    /* The parent, and those chunks that had not been done before. */
    CHECK_INT(ms_dump_stat(fleet, "done") - finished, ==,
              ms_dump_tally(&dump, fleet, "planned") - done + 1);
    CHECK_INT(ms_dump_tally(&dump, fleet, "read"), ==,
              (int64_t)dump.bytes.len + ms_dump_tally(&dump, fleet, "reread"));
    ms_dump_done(&dump);
}

/* ---- sources that are not what they were ---- */

static TEST(test_a_source_that_is_not_there_is_refused_at_once)
{
    CHECK_INT(ms_test_ctl(fleet, "dump import %s/nothing.ndjson",
                          ms_test_dir()),
              ==, 1);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "nothing.ndjson");
    CHECK_CONTAINS(ms_test_ctl_stderr(), "No such file");
    CHECK_INT(ms_test_ctl(fleet, "dump import %s", ms_test_dir()), !=, 0);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "no regular file");
}

/* Begins an import of some thousand chunks and waits until a part is done. */
static void import_half(struct ms_dump *dump, const char *name)
{
    ms_dump_init(dump, name);
    ms_dump_many(dump, 40000, 150);
    ms_dump_import(dump, fleet, "");
    WAIT_FOR(60000, ms_dump_tally(dump, fleet, "done") > 20);
}

static void dies_because(struct ms_dump *dump, const char *why)
{
    WAIT_FOR(60000, !ms_dump_is(dump, fleet, "waiting"));
    CHECK(ms_dump_is(dump, fleet, "dead"));
    CHECK_CONTAINS(ms_dump_field(dump, fleet, "error"), why);
    CHECK_INT(ms_dump_tally(dump, fleet, "ready"), ==, 0);
    CHECK_INT(ms_dump_tally(dump, fleet, "running"), ==, 0);
    ms_dump_check_keys(fleet);
    ms_dump_done(dump);
}

static TEST(test_a_source_that_grows_meanwhile_ends_the_import)
{
    struct ms_dump dump;
    FILE *file;

    import_half(&dump, "grows");
    file = fopen(dump.path, "ae");
    fputs("{\"id\":\"late\"}\n", file);
    fclose(file);
    dies_because(&dump, "the source changed");
}

/* The same size, another content: the time tells. */
static TEST(test_a_source_that_is_rewritten_meanwhile_ends_the_import)
{
    struct ms_dump dump;

    import_half(&dump, "rewritten");
    ms_dump_write(&dump);
    dies_because(&dump, "the source changed");
}

static TEST(test_a_source_that_vanishes_ends_the_import)
{
    struct ms_dump dump;

    import_half(&dump, "vanishes");
    CHECK_INT(unlink(dump.path), ==, 0);
    dies_because(&dump, "vanishes.ndjson");
}

/* ---- imports and operators ---- */

static TEST(test_a_cancel_stops_this_import_and_no_other)
{
    struct ms_dump dump, other;

    ms_dump_init(&other, "kept");
    ms_dump_many(&other, 20000, 150);
    ms_dump_import(&other, fleet, "");
    import_half(&dump, "cancelled");
    CHECK_INT(ms_test_ctl(fleet, "--json dump cancel %s", dump.id), ==, 0);
    CHECK_STR(ms_test_ctl_field("result"), "requested");
    dies_because(&dump, "cancelled by user");
    ms_dump_check_done(&other, fleet);
    CHECK_INT(ms_dump_stat(fleet, "crashed"), ==, 0);
    ms_dump_done(&other);
}

/* Chunks of one import are one group, and groups take turns: whoever comes
 * second does not wait for the end of the first. */
static TEST(test_two_imports_take_turns)
{
    struct ms_dump first, second;

    ms_dump_init(&first, "first");
    ms_dump_many(&first, 20000, 150);
    ms_dump_init(&second, "second");
    ms_dump_many(&second, 20000, 150);
    CHECK_INT(ms_test_ctl(fleet, "queue pause dump"), ==, 0);
    ms_dump_import(&first, fleet, "");
    WAIT_FOR(60000, ms_dump_tally(&first, fleet, "ready") == 64);
    ms_dump_import(&second, fleet, "");
    WAIT_FOR(60000, ms_dump_tally(&second, fleet, "ready") == 64);
    CHECK_INT(ms_test_ctl(fleet, "queue resume dump"), ==, 0);
    WAIT_FOR(60000, ms_dump_tally(&second, fleet, "done") >= 300);
    CHECK(ms_dump_is(&first, fleet, "waiting"));
    CHECK_INT(ms_dump_tally(&first, fleet, "done"), >, 150);
    CHECK_INT(ms_dump_tally(&first, fleet, "done"), <, 600);
    ms_dump_check_done(&first, fleet);
    ms_dump_check_done(&second, fleet);
    ms_dump_done(&first);
    ms_dump_done(&second);
}

/* ---- memory ---- */

/* A parent of a million chunks must cost Redis no more than one of a
 * hundred. */
static TEST(test_an_import_of_many_chunks_keeps_few_records)
{
    struct ms_dump dump;
    int64_t most = 0, samples = 0;

    ms_dump_init(&dump, "many");
    ms_dump_many(&dump, 115000, 150);
    CHECK_INT(dump.bytes.len, >, 5000 * CHUNK);
    ms_dump_import(&dump, fleet, "");
    while (ms_dump_is(&dump, fleet, "waiting")) {
        const struct ms_reply *keys =
            ms_test_cmd(fleet->redis, "KEYS " MS_DUMP_Q("job:%s.*"), dump.id);

        most = (int64_t)keys->n_items > most ? (int64_t)keys->n_items : most;
        samples++;
    }
    CHECK_INT(samples, >, 20);
    CHECK_INT(most, >, 4);
    CHECK_INT(most, <=, 64); /* max(64, 2 * max_workers) */
    CHECK_INT(ms_dump_tally(&dump, fleet, "planned"), >, 4500);
    ms_dump_check_done(&dump, fleet);
    ms_dump_done(&dump);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_lines_may_end_in_crlf),
        RUN(test_a_byte_order_mark_is_passed_over),
        RUN(test_the_last_line_may_have_no_end),
        RUN(test_empty_lines_are_counted_and_passed_over),
        RUN(test_an_empty_file_is_done),
        RUN(test_a_line_may_be_longer_than_a_chunk_and_a_read_buffer),
        RUN(test_a_line_over_the_limit_is_a_reject),
        RUN(test_a_cut_inside_a_character),
        RUN(test_a_cut_on_a_line_end),
        RUN(test_of_two_lines_with_one_id_the_later_stands),
        RUN(test_another_id_field),
        RUN(test_bad_lines_within_max_errors_are_listed),
        RUN(test_one_bad_line_more_than_max_errors_ends_as_dead),
        RUN(test_a_retry_with_more_errors_resumes_what_is_unfinished),
        RUN(test_a_source_that_is_not_there_is_refused_at_once),
        RUN(test_a_source_that_grows_meanwhile_ends_the_import),
        RUN(test_a_source_that_is_rewritten_meanwhile_ends_the_import),
        RUN(test_a_source_that_vanishes_ends_the_import),
        RUN(test_a_cancel_stops_this_import_and_no_other),
        RUN(test_two_imports_take_turns),
        RUN(test_an_import_of_many_chunks_keeps_few_records),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/*
 * The handler of dump.chunk on a real file and a real Redis, in a context of
 * our own: it keeps what the handler tells, and does things to the file and
 * to Redis at chosen moments.
 */
#include "worker/dump_chunk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/dataset_client.h"
#include "common/val.h"
#include "tests/support/support.h"

static struct ms_test_redis *server;
static struct ev_loop *loop;
static struct ms_redis *redis;

struct ms_ctx {
    struct ms_held held;
    struct ms_val payload;
    struct ms_conf conf;
    enum ms_stop stop;
    int stop_after; /* checkpoints; -1: never */
    int n_checkpoints, n_sleeps, n_progress;
    int64_t delay_ms;
    char error[512];
    struct ms_checkpoint last; /* its rejects are not kept here */
    struct ms_bytes cursor;
    struct ms_reject rejects[2000];
    size_t n_rejects;
    void (*on_checkpoint)(struct ms_ctx *ctx);
    void (*on_sleep)(struct ms_ctx *ctx);
};

/* ---- what handler.h promises, faked ---- */

const struct ms_held *ms_ctx_job(const struct ms_ctx *ctx)
{
    return &ctx->held;
}

const msgpack_object *ms_ctx_payload(const struct ms_ctx *ctx)
{
    return &ctx->payload.root;
}

const struct ms_conf *ms_ctx_conf(const struct ms_ctx *ctx)
{
    return &ctx->conf;
}

void ms_ctx_checkpoint(struct ms_ctx *ctx, const struct ms_checkpoint *cp,
                       int max_ahead)
{
    size_t i;

    CHECK_INT(cp->seq, ==, ctx->last.seq + 1);
    CHECK_INT(max_ahead, >, 0);
    ctx->last = *cp;
    ctx->last.rejects = NULL;
    free(ctx->cursor.data);
    ctx->cursor.data = ms_xmalloc(cp->cursor.len);
    ctx->cursor.len = cp->cursor.len;
    memcpy(ctx->cursor.data, cp->cursor.data, cp->cursor.len);
    for (i = 0; i < cp->n_rejects; i++)
        ctx->rejects[ctx->n_rejects++] = cp->rejects[i];
    ctx->n_checkpoints++;
    if (ctx->on_checkpoint != NULL)
        ctx->on_checkpoint(ctx);
}

void ms_ctx_progress(struct ms_ctx *ctx, double part)
{
    CHECK(part >= 0 && part <= 1);
    ctx->n_progress++;
}

void ms_ctx_set_error(struct ms_ctx *ctx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(ctx->error, sizeof(ctx->error), format, args);
    va_end(args);
}

void ms_ctx_set_delay(struct ms_ctx *ctx, int64_t delay_ms)
{
    ctx->delay_ms = delay_ms;
}

enum ms_stop ms_ctx_stop_wanted(struct ms_ctx *ctx)
{
    return ctx->stop_after >= 0 && ctx->n_checkpoints >= ctx->stop_after
               ? ctx->stop
               : MS_STOP_NONE;
}

/* No test waits here: what it waits for is done instead. */
enum ms_stop ms_ctx_sleep(struct ms_ctx *ctx, int64_t ms)
{
    CHECK(ms >= 100 && ms <= 5000);
    ctx->n_sleeps++;
    if (ctx->on_sleep != NULL)
        ctx->on_sleep(ctx);
    return ms_ctx_stop_wanted(ctx);
}

struct ev_loop *ms_ctx_loop(struct ms_ctx *ctx)
{
    return loop;
}

struct ms_redis *ms_ctx_redis(struct ms_ctx *ctx)
{
    return redis;
}

/* ---- the stage ---- */

static char *source;       /* path of the dump */
static struct ms_buf dump; /* what is in it */

static struct ms_dataset a_map(int64_t epoch)
{
    struct ms_dataset map = {.name = "books",
                             .state = "open",
                             .id_field = "id",
                             .shards = 3,
                             .gen = 1,
                             .epoch = epoch};
    return map;
}

static void make_dataset(int64_t epoch)
{
    struct ms_dataset map = a_map(epoch);
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t shard;

    for (shard = 0; shard < map.shards; shard++) {
        ms_dataset_stamp_build(&cmd, "main", &map, shard);
        ms_test_run(server, &cmd);
    }
    ms_dataset_describe_build(&cmd, "main", &map, true);
    ms_test_run(server, &cmd);
}

static void write_source(void)
{
    free(source);
    source = ms_test_file("dump.ndjson", dump.data, dump.len);
}

static void set_source(const char *text)
{
    ms_buf_clear(&dump);
    ms_buf_adds(&dump, text);
    write_source();
}

/* n documents of about `size` bytes with ids 0 ... */
static void set_source_of(int n, int size)
{
    int i;

    ms_buf_clear(&dump);
    for (i = 0; i < n; i++)
        ms_buf_addf(&dump, "{\"id\":%d,\"t\":\"%0*d\"}\n", i, size, i);
    write_source();
}

/* A job over all of the source, at its start; batches of 10 documents. */
static struct ms_ctx *a_job(void)
{
    struct ms_ctx *ctx = ms_xcalloc(1, sizeof(*ctx));
    struct stat st;
    char *json;

    CHECK_INT(stat(source, &st), ==, 0);
    json = ms_xasprintf(
        "{\"source\":\"%s\",\"manifest\":{\"size\":%lld,\"mtime_ns\":%lld},"
        "\"start\":0,\"end\":%lld,\"dataset\":\"books\",\"shards\":3,\"gen\":1,"
        "\"epoch\":5,\"id_field\":\"id\",\"import\":\"imp1\","
        "\"max_line_bytes\":1000000,\"batch_docs\":10,\"batch_bytes\":100000}",
        source, (long long)st.st_size,
        (long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        (long long)st.st_size);
    CHECK_INT(ms_val_from_json(json, strlen(json), &ctx->payload, NULL), ==,
              MS_OK);
    free(json);
    ctx->conf.fleet = (char *)"main";
    ctx->held.chunk = 0;
    ctx->held.fence = 100;
    ctx->stop_after = -1;
    return ctx;
}

static void free_job(struct ms_ctx *ctx)
{
    ms_val_done(&ctx->payload);
    free(ctx->cursor.data);
    free(ctx->held.cursor.data);
    free(ctx);
}

/* The next attempt begins where the last checkpoint was committed. */
static void resume(struct ms_ctx *ctx)
{
    free(ctx->held.cursor.data);
    ctx->held.cursor = ctx->cursor;
    ctx->cursor = (struct ms_bytes){NULL, 0};
    ctx->held.seq = ctx->last.seq;
    ctx->held.n_sums = ctx->last.n_sums;
    memcpy(ctx->held.sums, ctx->last.sums, sizeof(ctx->last.sums));
    ctx->held.fence++;
    ctx->n_checkpoints = 0;
    ctx->stop_after = -1;
    ctx->on_checkpoint = NULL;
    ctx->error[0] = '\0';
}

static int64_t sum(const struct ms_ctx *ctx, const char *name)
{
    size_t i;

    for (i = 0; i < ctx->last.n_sums; i++)
        if (strcmp(ctx->last.sums[i].name, name) == 0)
            return ctx->last.sums[i].value;
    return -1;
}

static uint64_t checksum(const struct ms_ctx *ctx)
{
    return (uint64_t)sum(ctx, "c0") + ((uint64_t)sum(ctx, "c1") << 16) +
           ((uint64_t)sum(ctx, "c2") << 32) + ((uint64_t)sum(ctx, "c3") << 48);
}

/* The other opinion on the source: docs=N bytes=N checksum=HEX. */
static void check_against_linesum(const struct ms_ctx *ctx)
{
    char *shell = ms_xasprintf("%s/linesum < '%s'", MS_TEST_BIN_DIR, source);
    const char *const argv[] = {"/bin/sh", "-c", shell, NULL};
    char want[128], *out = NULL;

    snprintf(want, sizeof(want), "docs=%lld bytes=%lld checksum=%016llx\n",
             (long long)sum(ctx, "docs"), (long long)sum(ctx, "bytes"),
             (unsigned long long)checksum(ctx));
    CHECK_INT(ms_proc_run(argv, NULL, &out, NULL), ==, 0);
    CHECK_STR(want, out);
    free(out);
    free(shell);
}

static int64_t count_docs(void)
{
    struct ms_dataset_client client = {redis, "main", "books"};
    struct ms_error error;
    int64_t n = -1;

    if (ms_redis_wait_up(redis, 5000, NULL) != MS_OK ||
        ms_dataset_count(&client, &n, &error) != MS_OK)
        fail_msg("cannot count: %s", error.text);
    return n;
}

static void check_doc(const char *id, const char *want)
{
    struct ms_dataset_client client = {redis, "main", "books"};
    struct ms_bytes doc;

    CHECK_INT(ms_dataset_get(&client, id, strlen(id), &doc, NULL), ==, MS_OK);
    CHECK_STR(doc.data, want);
    free(doc.data);
}

/* Runs a whole job over the text: docs, lines, rejected, empty as expected. */
static struct ms_ctx *import_text(const char *text, int docs, int rejected,
                                  int empty)
{
    struct ms_ctx *ctx;

    set_source(text);
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(sum(ctx, "docs"), ==, docs);
    CHECK_INT(sum(ctx, "rejected"), ==, rejected);
    CHECK_INT(sum(ctx, "empty"), ==, empty);
    CHECK_INT(sum(ctx, "lines"), ==, docs + rejected + empty);
    CHECK_INT(sum(ctx, "bytes"), ==, strlen(text));
    CHECK_INT(ctx->n_rejects, ==, rejected);
    return ctx;
}

/* ---- lines ---- */

static TEST(test_one_line)
{
    free_job(import_text("{\"id\":\"a\"}\n", 1, 0, 0));
    check_doc("a", "{\"id\":\"a\"}");
}

static TEST(test_crlf)
{
    free_job(import_text("{\"id\":1}\r\n{\"id\":2}\r\n", 2, 0, 0));
    check_doc("2", "{\"id\":2}");
}

static TEST(test_byte_order_mark)
{
    free_job(import_text("\xEF\xBB\xBF{\"id\":1}\n", 1, 0, 0));
    check_doc("1", "{\"id\":1}");
    free_job(import_text("\xEF\xBB\xBF", 0, 0, 0));
}

static TEST(test_no_final_newline)
{
    free_job(import_text("{\"id\":1}\n{\"id\":2}", 2, 0, 0));
    check_doc("2", "{\"id\":2}");
}

static TEST(test_empty_lines)
{
    free_job(import_text("\n{\"id\":1}\n\r\n\n", 1, 0, 3));
}

static TEST(test_empty_file)
{
    free_job(import_text("", 0, 0, 0));
}

static TEST(test_duplicate_id)
{
    free_job(import_text("{\"id\":1,\"v\":1}\n{\"id\":1,\"v\":2}\n", 2, 0, 0));
    CHECK_INT(count_docs(), ==, 1);
    check_doc("1", "{\"id\":1,\"v\":2}");
}

/* Bad lines are told by their place in the source, and good ones go on. */
static TEST(test_rejects_are_told_by_offset)
{
    struct ms_ctx *ctx = import_text("{\"id\":1}\nnope\n[1]\n{\"x\":1}\n"
                                     "{\"id\":\"\xFF\"}\n{\"id\":2}\n",
                                     2, 4, 0);

    CHECK_INT(ctx->rejects[0].offset, ==, 9);
    CHECK_CONTAINS(ctx->rejects[0].reason, "not JSON");
    CHECK_INT(ctx->rejects[1].offset, ==, 14);
    CHECK_STR(ctx->rejects[1].reason, "not an object");
    CHECK_INT(ctx->rejects[2].offset, ==, 18);
    CHECK_STR(ctx->rejects[2].reason, "no id");
    CHECK_INT(ctx->rejects[3].offset, ==, 26);
    CHECK_STR(ctx->rejects[3].reason, "not UTF-8");
    CHECK_INT(count_docs(), ==, 2);
    free_job(ctx);
}

static TEST(test_line_over_max_line_bytes)
{
    struct ms_ctx *ctx;

    ms_buf_clear(&dump);
    ms_buf_addf(&dump, "{\"id\":1}\n{\"id\":2,\"t\":\"%02000000d\"}\n", 0);
    ms_buf_adds(&dump, "{\"id\":3}\n");
    write_source();
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(sum(ctx, "docs"), ==, 2);
    CHECK_INT(sum(ctx, "rejected"), ==, 1);
    CHECK_STR(ctx->rejects[0].reason, "line longer than 1000000 bytes");
    CHECK_INT(ctx->rejects[0].offset, ==, 9);
    CHECK_INT(sum(ctx, "bytes"), ==, dump.len);
    free_job(ctx);
}

/* Larger than a batch and than a read buffer: it goes alone. */
static TEST(test_documents_longer_than_a_batch)
{
    struct ms_ctx *ctx;

    set_source_of(5, 400000);
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(count_docs(), ==, 5);
    check_against_linesum(ctx);
    free_job(ctx);
}

/* The parent keeps 1,000; a file of nothing else must not fill memory. */
static TEST(test_rejects_beyond_a_thousand_are_only_counted)
{
    struct ms_ctx *ctx;
    int i;

    ms_buf_clear(&dump);
    for (i = 0; i < 5000; i++)
        ms_buf_adds(&dump, "x\n");
    write_source();
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(sum(ctx, "rejected"), ==, 5000);
    CHECK_INT(ctx->n_rejects, ==, 1000);
    free_job(ctx);
}

static TEST(test_sums_are_those_of_a_second_count)
{
    struct ms_ctx *ctx;

    set_source_of(3000, 300);
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    check_against_linesum(ctx);
    CHECK_INT(count_docs(), ==, 3000);
    CHECK_INT(ctx->n_checkpoints, >, 90);
    CHECK_INT(sum(ctx, "read"), ==, sum(ctx, "bytes"));
    CHECK_INT(sum(ctx, "reread"), ==, 0);
    CHECK(ctx->last.progress == 1);
    free_job(ctx);
}

/* ---- stops and resumes ---- */

/* Killed after any checkpoint, the next attempt ends with the same sums. */
static TEST(test_resumed_job_counts_nothing_twice)
{
    int stop_after;

    set_source_of(1500, 50);
    for (stop_after = 1; stop_after < 20; stop_after += 3) {
        struct ms_ctx *ctx = a_job();

        ctx->stop = MS_STOP_LOST;
        ctx->stop_after = stop_after;
        CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_CANCELLED);
        CHECK_INT(sum(ctx, "docs"), <, 1500);
        resume(ctx);
        CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
        check_against_linesum(ctx);
        CHECK_INT(sum(ctx, "lines"), ==, 1500);
        CHECK_INT(sum(ctx, "read"), ==, sum(ctx, "bytes") + sum(ctx, "reread"));
        free_job(ctx);
        make_dataset(5);
        ms_test_cmd(server, "DEL ms:{main/ds/books/1.0}:fence:imp1 ");
        ms_test_cmd(server, "DEL ms:{main/ds/books/1.1}:fence:imp1 ");
        ms_test_cmd(server, "DEL ms:{main/ds/books/1.2}:fence:imp1 ");
    }
}

/* What was read ahead of the cursor is read again: that must show. */
static TEST(test_reading_again_is_counted)
{
    struct ms_ctx *ctx;

    set_source_of(1500, 50);
    ctx = a_job();
    ctx->stop = MS_STOP_LOST;
    ctx->stop_after = 1;
    ms_handle_dump_chunk(ctx);
    resume(ctx);
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(sum(ctx, "reread"), >, 0);
    free_job(ctx);
}

static TEST(test_cursor_from_elsewhere_begins_anew)
{
    struct ms_ctx *ctx;

    set_source("{\"id\":1}\n{\"id\":2}\n");
    ctx = a_job();
    ctx->held.cursor.data = ms_xstrdup("junk");
    ctx->held.cursor.len = 4;
    ctx->held.seq = ctx->last.seq = 7;
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(sum(ctx, "docs"), ==, 2);
    CHECK_INT(ctx->last.seq, >, 7);
    free_job(ctx);
}

static TEST(test_drain_hands_back_at_the_cursor)
{
    struct ms_ctx *ctx;
    int64_t docs;

    set_source_of(1500, 50);
    ctx = a_job();
    ctx->stop = MS_STOP_DRAIN;
    ctx->stop_after = 2;
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_RELEASED);
    docs = sum(ctx, "docs");
    CHECK_INT(docs, >, 0);
    CHECK_INT(docs, <, 1500);
    CHECK_INT(count_docs(), ==, docs); /* what was under way is in the cursor */
    resume(ctx);
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(sum(ctx, "reread"), <, 1500 * 70);
    check_against_linesum(ctx);
    free_job(ctx);
}

static TEST(test_cancel_ends_at_once)
{
    struct ms_ctx *ctx;

    set_source_of(1500, 50);
    ctx = a_job();
    ctx->stop = MS_STOP_CANCEL;
    ctx->stop_after = 1;
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_CANCELLED);
    CHECK_INT(ctx->n_checkpoints, <, 20);
    free_job(ctx);
}

/* ---- the source ---- */

static TEST(test_missing_file_is_handed_back)
{
    struct ms_ctx *ctx;

    set_source("{\"id\":1}\n");
    ctx = a_job();
    CHECK_INT(unlink(source), ==, 0);
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_RELEASED);
    CHECK_INT(ctx->delay_ms, ==, 5000);
    CHECK_CONTAINS(ctx->error, "cannot open");
    free_job(ctx);
}

static TEST(test_changed_file_is_handed_back)
{
    struct ms_ctx *ctx;

    set_source("{\"id\":1}\n");
    ctx = a_job();
    CHECK_INT(truncate(source, 3), ==, 0);
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_RELEASED);
    CHECK_CONTAINS(ctx->error, "the source changed");
    CHECK_INT(ctx->n_checkpoints, ==, 0);
    free_job(ctx);
}

static void append_to_source(struct ms_ctx *ctx)
{
    int fd = open(source, O_WRONLY | O_APPEND | O_CLOEXEC);

    CHECK_INT(write(fd, "x", 1), ==, 1);
    close(fd);
    ctx->on_checkpoint = NULL;
}

static void cut_source(struct ms_ctx *ctx)
{
    CHECK_INT(truncate(source, 100000), ==, 0);
    ctx->on_checkpoint = NULL;
}

static void replace_source(struct ms_ctx *ctx)
{
    char *other = ms_test_file("other", dump.data, dump.len);

    CHECK_INT(rename(other, source), ==, 0);
    free(other);
    ctx->on_checkpoint = NULL;
}

/* Whatever happens to the file while it is read, the chunk is not done. */
static TEST(test_file_that_changes_while_it_is_read)
{
    void (*const changes[])(struct ms_ctx *) = {append_to_source, cut_source,
                                                replace_source};
    size_t i;

    for (i = 0; i < MS_COUNT_OF(changes); i++) {
        struct ms_ctx *ctx;

        set_source_of(2000, 300);
        ctx = a_job();
        ctx->on_checkpoint = changes[i];
        CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_RELEASED);
        CHECK_CONTAINS(ctx->error, i == 1 ? "" : "the source changed");
        CHECK_INT(ctx->delay_ms, ==, 5000);
        free_job(ctx);
    }
}

/* ---- the dataset ---- */

static TEST(test_newer_fence_takes_the_chunk_away)
{
    struct ms_ctx *ctx;

    set_source_of(100, 50);
    ms_test_cmd(server, "HSET ms:{main/ds/books/1.1}:fence:imp1 0 101");
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_CANCELLED);
    CHECK_CONTAINS(ctx->error, "lost the chunk to a newer fence");
    free_job(ctx);
}

static TEST(test_closed_import_takes_the_chunk_away)
{
    struct ms_ctx *ctx;

    set_source_of(100, 50);
    ms_test_cmd(server, "HSET ms:{main/ds/books/1.1}:fence:imp1 closed done");
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_CANCELLED);
    free_job(ctx);
}

/* A new leader stamps all shards while chunks run: they load the map again. */
static void stamp_anew(struct ms_ctx *ctx)
{
    if (ctx->n_checkpoints == 5)
        make_dataset(6);
}

static TEST(test_moved_map_is_loaded_again)
{
    struct ms_ctx *ctx;

    set_source_of(1500, 50);
    ctx = a_job();
    ctx->on_checkpoint = stamp_anew;
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(ctx->n_sleeps, >, 0);
    CHECK_INT(count_docs(), ==, 1500);
    check_against_linesum(ctx);
    free_job(ctx);
}

static TEST(test_dropped_dataset_is_the_end)
{
    struct ms_ctx *ctx;

    ms_test_cmd(server, "FLUSHALL");
    set_source_of(100, 50);
    ctx = a_job();
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DEAD);
    CHECK_CONTAINS(ctx->error, "books");
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
    free_job(ctx);
}

static void fill_redis(struct ms_ctx *ctx)
{
    if (ctx->n_checkpoints == 3)
        ms_test_cmd(server, "CONFIG SET maxmemory 1");
}

static void empty_redis(struct ms_ctx *ctx)
{
    if (ctx->n_sleeps == 3)
        ms_test_cmd(server, "CONFIG SET maxmemory 0");
}

static TEST(test_full_redis_is_waited_for)
{
    struct ms_ctx *ctx;

    set_source_of(1500, 50);
    ctx = a_job();
    ctx->on_checkpoint = fill_redis;
    ctx->on_sleep = empty_redis;
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(ctx->n_sleeps, ==, 3);
    CHECK_INT(ctx->n_progress, ==, 3); /* its time-out does not run */
    check_against_linesum(ctx);
    free_job(ctx);
}

static void want_stop(struct ms_ctx *ctx)
{
    if (ctx->n_sleeps == 2)
        ctx->stop_after = 0;
}

static TEST(test_stop_is_seen_while_redis_is_full)
{
    static const struct {
        enum ms_stop stop;
        enum ms_outcome outcome;
    } cases[] = {{MS_STOP_CANCEL, MS_CANCELLED}, {MS_STOP_DRAIN, MS_RELEASED}};
    size_t i;

    set_source_of(100, 50);
    for (i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_ctx *ctx = a_job();

        ms_test_cmd(server, "CONFIG SET maxmemory 1");
        ctx->stop = cases[i].stop;
        ctx->on_sleep = want_stop;
        CHECK_INT(ms_handle_dump_chunk(ctx), ==, cases[i].outcome);
        CHECK_INT(ctx->n_sleeps, ==, 2);
        CHECK_INT(ctx->n_checkpoints, ==, 0);
        free_job(ctx);
    }
}

static void kill_redis(struct ms_ctx *ctx)
{
    if (ctx->n_checkpoints == 4)
        ms_test_redis_down(server, SIGKILL);
}

static void start_redis(struct ms_ctx *ctx)
{
    if (ctx->n_sleeps == 2)
        ms_test_redis_up(server);
}

static TEST(test_lost_redis_is_waited_for)
{
    struct ms_ctx *ctx;

    set_source_of(1500, 50);
    ctx = a_job();
    ctx->on_checkpoint = kill_redis;
    ctx->on_sleep = start_redis;
    CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DONE);
    CHECK_INT(count_docs(), ==, 1500);
    check_against_linesum(ctx);
    free_job(ctx);
}

/* ---- the payload ---- */

static TEST(test_wrong_payload_is_dead)
{
    static const char *const texts[] = {
        "{}", "[]",
        "{\"source\":\"/x\",\"manifest\":{\"size\":10,\"mtime_ns\":1},"
        "\"start\":5,\"end\":11}",
        "{\"source\":\"/x\",\"manifest\":{\"size\":10,\"mtime_ns\":1},"
        "\"start\":0,\"end\":10,\"dataset\":\"a/b\",\"shards\":1,\"gen\":1,"
        "\"epoch\":1,\"id_field\":\"id\",\"import\":\"i\"}",
        "{\"source\":\"/x\",\"manifest\":{\"size\":10,\"mtime_ns\":1},"
        "\"start\":0,\"end\":10,\"dataset\":\"a\",\"shards\":1,\"gen\":1,"
        "\"epoch\":1,\"id_field\":\"id\",\"import\":\"{}\"}"};
    size_t i;

    set_source("");
    for (i = 0; i < MS_COUNT_OF(texts); i++) {
        struct ms_ctx *ctx = a_job();

        ms_val_done(&ctx->payload);
        CHECK_INT(ms_val_from_json(texts[i], strlen(texts[i]), &ctx->payload,
                                   NULL),
                  ==, MS_OK);
        CHECK_INT(ms_handle_dump_chunk(ctx), ==, MS_DEAD);
        CHECK_CONTAINS(ctx->error, "payload");
        free_job(ctx);
    }
}

/* ---- */

static int setup(void **state)
{
    ms_test_cmd(server, "CONFIG SET maxmemory 0");
    ms_test_cmd(server, "FLUSHALL");
    make_dataset(5);
    return ms_redis_wait_up(redis, 10000, NULL) == MS_OK ? 0 : -1;
}

static int setup_group(void **state)
{
    static const char *const durable[] = {"--appendonly", "yes",
                                          "--appendfsync", "always", NULL};
    struct ms_redis_options options = {.command_timeout_ms = 5000};

    server = ms_test_redis_start(durable);
    loop = ev_loop_new(EVFLAG_AUTO);
    options.url = ms_test_redis_url(server);
    if (ms_redis_new(loop, &options, &redis, NULL) != MS_OK)
        return -1;
    ms_redis_start(redis);
    return 0;
}

static int teardown_group(void **state)
{
    ms_redis_free(redis);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    ms_buf_done(&dump);
    free(source);
    return 0;
}

#define RUN_CLEAN(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_CLEAN(test_one_line),
        RUN_CLEAN(test_crlf),
        RUN_CLEAN(test_byte_order_mark),
        RUN_CLEAN(test_no_final_newline),
        RUN_CLEAN(test_empty_lines),
        RUN_CLEAN(test_empty_file),
        RUN_CLEAN(test_duplicate_id),
        RUN_CLEAN(test_rejects_are_told_by_offset),
        RUN_CLEAN(test_line_over_max_line_bytes),
        RUN_CLEAN(test_documents_longer_than_a_batch),
        RUN_CLEAN(test_rejects_beyond_a_thousand_are_only_counted),
        RUN_CLEAN(test_sums_are_those_of_a_second_count),
        RUN_CLEAN(test_resumed_job_counts_nothing_twice),
        RUN_CLEAN(test_reading_again_is_counted),
        RUN_CLEAN(test_cursor_from_elsewhere_begins_anew),
        RUN_CLEAN(test_drain_hands_back_at_the_cursor),
        RUN_CLEAN(test_cancel_ends_at_once),
        RUN_CLEAN(test_missing_file_is_handed_back),
        RUN_CLEAN(test_changed_file_is_handed_back),
        RUN_CLEAN(test_file_that_changes_while_it_is_read),
        RUN_CLEAN(test_newer_fence_takes_the_chunk_away),
        RUN_CLEAN(test_closed_import_takes_the_chunk_away),
        RUN_CLEAN(test_moved_map_is_loaded_again),
        RUN_CLEAN(test_dropped_dataset_is_the_end),
        RUN_CLEAN(test_full_redis_is_waited_for),
        RUN_CLEAN(test_stop_is_seen_while_redis_is_full),
        RUN_CLEAN(test_lost_redis_is_waited_for),
        RUN_CLEAN(test_wrong_payload_is_dead),
    };

    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

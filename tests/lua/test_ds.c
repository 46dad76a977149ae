/* The scripts of datasets, through the requests and parsers that callers use.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/dataset.h"
#include "tests/support/support.h"

static struct ms_test_redis *server;
static struct ms_error error;
static const struct ms_dataset_writer writer = {"imp1", 3, 100};

static int setup_group(void **state)
{
    server = ms_test_redis_start(NULL);
    return 0;
}

static int teardown_group(void **state)
{
    ms_test_redis_stop(server);
    return 0;
}

static int flush(void **state)
{
    ms_test_cmd(server, "CONFIG SET maxmemory 0");
    ms_test_cmd(server, "FLUSHALL");
    return 0;
}

static struct ms_dataset a_dataset(int64_t epoch)
{
    struct ms_dataset d = {.name = "books",
                           .state = "open",
                           .id_field = "id",
                           .shards = 2,
                           .gen = 1,
                           .epoch = epoch};
    return d;
}

static enum ms_err stamp(int64_t epoch)
{
    struct ms_dataset d = a_dataset(epoch);
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_stamp_build(&cmd, "main", &d, 0);
    return ms_dataset_stamp_parse(ms_test_run(server, &cmd), &error);
}

static enum ms_err describe(const struct ms_dataset *d, bool create,
                            bool *out_created)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_describe_build(&cmd, "main", d, create);
    return ms_dataset_describe_parse(ms_test_run(server, &cmd), out_created,
                                     &error);
}

/* Puts documents "<id>" = "<text>" of a NULL-terminated list into shard 0. */
static enum ms_err put(int64_t epoch, const struct ms_dataset_writer *who,
                       const char *const *pairs, int64_t *out_new)
{
    struct ms_dataset d = a_dataset(epoch);
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t n = -1;
    enum ms_err err;

    ms_dataset_put_build(&cmd, "main", &d, 0, who);
    for (; *pairs != NULL; pairs += 2)
        ms_dataset_put_add(&cmd, pairs[0], strlen(pairs[0]), pairs[1],
                           strlen(pairs[1]));
    err = ms_dataset_put_parse(ms_test_run(server, &cmd), &n, &error);
    if (out_new != NULL)
        *out_new = n;
    return err;
}

static enum ms_err put_one(int64_t epoch, const struct ms_dataset_writer *who)
{
    static const char *const pairs[] = {"a", "1", NULL};

    return put(epoch, who, pairs, NULL);
}

static enum ms_err close_import(int64_t epoch, enum ms_dataset_close how)
{
    struct ms_dataset d = a_dataset(epoch);
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_close_build(&cmd, "main", &d, 0, writer.import, how);
    return ms_dataset_stamp_parse(ms_test_run(server, &cmd), &error);
}

static int64_t n_docs(void)
{
    return ms_test_num(server, "HLEN ms:{main/ds/books/1.0}:docs");
}

/* ---- shards ---- */

static TEST(test_keys_of_a_shard_share_a_hash_tag)
{
    struct ms_dataset d = a_dataset(1);
    char key[MS_KEY_MAX];

    CHECK_STR(ms_dataset_key(key, "main", &d, 7, "docs"),
              "ms:{main/ds/books/1.7}:docs");
}

static TEST(test_open_makes_and_stamps_a_shard)
{
    CHECK_INT(stamp(5), ==, MS_OK);
    CHECK_STR(ms_test_text(server, "HGET ms:{main/ds/books/1.0}:meta state"),
              "open");
    CHECK_INT(stamp(5), ==, MS_OK);
    CHECK_INT(stamp(9), ==, MS_OK);
    CHECK_INT(ms_test_num(server, "HGET ms:{main/ds/books/1.0}:meta epoch"), ==,
              9);
}

/* Compared as texts, 10 would be less than 9. */
static TEST(test_open_refuses_an_older_leader)
{
    CHECK_INT(stamp(10), ==, MS_OK);
    CHECK_INT(stamp(9), ==, MS_ESTALE);
    CHECK_INT(ms_test_num(server, "HGET ms:{main/ds/books/1.0}:meta epoch"), ==,
              10);
}

static TEST(test_epochs_up_to_2_to_53_keep_their_last_digit)
{
    int64_t last = ((int64_t)1 << 53) - 1;

    CHECK_INT(stamp(last), ==, MS_OK);
    CHECK_INT(stamp(last - 1), ==, MS_ESTALE);
    CHECK_CONTAINS(error.text, "9007199254740991");
    CHECK_INT(put_one(last - 1, NULL), ==, MS_EMOVED);
    CHECK_INT(put_one(last, NULL), ==, MS_OK);
}

/* ---- put ---- */

static TEST(test_put_counts_new_documents)
{
    static const char *const two[] = {"a", "1", "b", "2", NULL};
    static const char *const more[] = {"b", "3", "c", "4", NULL};
    int64_t n;

    stamp(5);
    CHECK_INT(put(5, NULL, two, &n), ==, MS_OK);
    CHECK_INT(n, ==, 2);
    CHECK_INT(put(5, NULL, more, &n), ==, MS_OK);
    CHECK_INT(n, ==, 1);
    CHECK_STR(ms_test_text(server, "HGET ms:{main/ds/books/1.0}:docs b"), "3");
}

/* Of two lines with one id the later in a chunk stands. */
static TEST(test_later_of_one_id_in_a_batch_stands)
{
    static const char *const twice[] = {"a", "1", "a", "2", NULL};

    stamp(5);
    CHECK_INT(put(5, NULL, twice, NULL), ==, MS_OK);
    CHECK_STR(ms_test_text(server, "HGET ms:{main/ds/books/1.0}:docs a"), "2");
}

static TEST(test_put_refuses_an_old_epoch)
{
    stamp(6);
    CHECK_INT(put_one(5, NULL), ==, MS_EMOVED);
    CHECK_INT(n_docs(), ==, 0);
}

/* A dropped dataset must not come back by a late batch. */
static TEST(test_put_refuses_a_shard_that_is_not_there)
{
    CHECK_INT(put_one(5, &writer), ==, MS_EMOVED);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
}

static TEST(test_put_refuses_a_closed_shard)
{
    stamp(5);
    ms_test_cmd(server, "HSET ms:{main/ds/books/1.0}:meta state closed");
    CHECK_INT(put_one(5, NULL), ==, MS_EMOVED);
    CHECK_INT(n_docs(), ==, 0);
}

/* The descriptor is written last: a stamp that is older was lost. */
static TEST(test_put_accepts_a_newer_epoch_than_the_stamp)
{
    stamp(5);
    CHECK_INT(put_one(6, NULL), ==, MS_OK);
}

static TEST(test_put_refuses_a_stale_fence)
{
    struct ms_dataset_writer older = {"imp1", 3, 99};
    struct ms_dataset_writer newer = {"imp1", 3, 101};

    stamp(5);
    CHECK_INT(put_one(5, &writer), ==, MS_OK);
    CHECK_INT(put_one(5, &writer), ==, MS_OK); /* repeated */
    CHECK_INT(put_one(5, &older), ==, MS_ESTALE);
    CHECK_INT(put_one(5, &newer), ==, MS_OK);
    CHECK_INT(put_one(5, &writer), ==, MS_ESTALE);
}

static TEST(test_fences_of_other_chunks_and_imports_do_not_count)
{
    struct ms_dataset_writer chunk = {"imp1", 4, 1}, import = {"imp2", 3, 1};

    stamp(5);
    CHECK_INT(put_one(5, &writer), ==, MS_OK);
    CHECK_INT(put_one(5, &chunk), ==, MS_OK);
    CHECK_INT(put_one(5, &import), ==, MS_OK);
}

static TEST(test_stale_batch_changes_nothing)
{
    static const char *const pairs[] = {"a", "old", NULL};
    struct ms_dataset_writer older = {"imp1", 3, 99};

    stamp(5);
    put_one(5, &writer);
    CHECK_INT(put(5, &older, pairs, NULL), ==, MS_ESTALE);
    CHECK_STR(ms_test_text(server, "HGET ms:{main/ds/books/1.0}:docs a"), "1");
    CHECK_INT(ms_test_num(server, "HGET ms:{main/ds/books/1.0}:fence:imp1 3"),
              ==, 100);
}

/* Should nobody close the import, its fences must not stay for ever. */
static TEST(test_fences_expire)
{
    stamp(5);
    put_one(5, &writer);
    CHECK_INT(ms_test_num(server, "PTTL ms:{main/ds/books/1.0}:fence:imp1"), >,
              6 * 86400000);
}

static TEST(test_put_outside_imports_leaves_no_fence)
{
    stamp(5);
    put_one(5, NULL);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 2);
}

static TEST(test_documents_are_kept_byte_for_byte)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *docs;

    stamp(5);
    ms_dataset_put_build(&cmd, "main", &d, 0, NULL);
    ms_dataset_put_add(&cmd, "i\0d", 3, "\xFF\0\r\n", 4);
    ms_test_run(server, &cmd);
    ms_dataset_get_build(&cmd, "main", &d, 0);
    ms_cmd_arg(&cmd, "i\0d", 3);
    CHECK_INT(ms_dataset_get_parse(ms_test_run(server, &cmd), &docs, NULL), ==,
              MS_OK);
    CHECK_INT(ms_reply_at(docs, 0)->len, ==, 4);
    CHECK(memcmp(ms_reply_at(docs, 0)->str, "\xFF\0\r\n", 4) == 0);
}

static enum ms_err put_many(size_t n, size_t size)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;
    char *doc = ms_xcalloc(1, size);
    int64_t n_new;
    size_t i;

    ms_dataset_put_build(&cmd, "main", &d, 0, NULL);
    for (i = 0; i < n; i++) {
        char id[24];

        snprintf(id, sizeof(id), "%06zu", i);
        ms_dataset_put_add(&cmd, id, 6, doc, size);
    }
    free(doc);
    return ms_dataset_put_parse(ms_test_run(server, &cmd), &n_new, &error);
}

static TEST(test_put_takes_a_full_batch)
{
    stamp(5);
    CHECK_INT(put_many(MS_DATASET_BATCH_DOCS, 10), ==, MS_OK);
    CHECK_INT(n_docs(), ==, MS_DATASET_BATCH_DOCS);
}

static TEST(test_put_refuses_too_many_documents)
{
    stamp(5);
    CHECK_INT(put_many(MS_DATASET_BATCH_DOCS + 1, 10), ==, MS_EINVAL);
    CHECK_INT(n_docs(), ==, 0);
}

static TEST(test_put_refuses_too_many_bytes)
{
    stamp(5);
    CHECK_INT(put_many(2, MS_DATASET_BATCH_BYTES / 2), ==, MS_EINVAL);
    CHECK_INT(put_many(2, MS_DATASET_BATCH_BYTES / 2 - 6), ==, MS_OK);
}

/* A document may be as long as a line: 16 MiB. */
static TEST(test_put_takes_one_document_of_any_size)
{
    stamp(5);
    CHECK_INT(put_many(1, 16 * 1024 * 1024), ==, MS_OK);
}

static TEST(test_empty_batch_is_no_error)
{
    stamp(5);
    CHECK_INT(put_many(0, 0), ==, MS_OK);
}

/* ---- a full Redis ---- */

static const struct ms_reply *run_at_maxmemory(struct ms_cmd *cmd)
{
    ms_test_cmd(server, "CONFIG SET maxmemory-policy noeviction");
    ms_test_cmd(server, "CONFIG SET maxmemory 1");
    return ms_test_run(server, cmd);
}

static void check_is_oom(const struct ms_reply *reply)
{
    CHECK_INT(reply->type, ==, MS_REPLY_ERROR);
    CHECK_INT(ms_reply_classify(reply->str), ==, MS_EFULL);
}

static TEST(test_put_is_refused_at_maxmemory_before_anything_changes)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;

    stamp(5);
    ms_dataset_put_build(&cmd, "main", &d, 0, &writer);
    ms_dataset_put_add(&cmd, "a", 1, "1", 1);
    check_is_oom(run_at_maxmemory(&cmd));
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 1);
}

static TEST(test_open_is_refused_at_maxmemory)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_stamp_build(&cmd, "main", &d, 0);
    check_is_oom(run_at_maxmemory(&cmd));
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
}

/* What frees memory, reads, or ends an import must go on. */
static TEST(test_delete_and_close_pass_at_maxmemory)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t n = 0;

    stamp(5);
    put_one(5, NULL);
    ms_dataset_count_build(&cmd, "main", &d, 0);
    CHECK_INT(ms_dataset_number_parse(run_at_maxmemory(&cmd), &n, NULL), ==,
              MS_OK);
    CHECK_INT(n, ==, 1);
    CHECK_INT(close_import(5, MS_CLOSE_DONE), ==, MS_OK);
    ms_dataset_del_build(&cmd, "main", &d, 0);
    ms_cmd_args(&cmd, "a");
    CHECK_INT(ms_dataset_number_parse(run_at_maxmemory(&cmd), &n, NULL), ==,
              MS_OK);
    CHECK_INT(n, ==, 1);
}

/* ---- close ---- */

/* A worker that was frozen past the end wakes with any fence. */
static TEST(test_closed_import_is_refused_whatever_its_fence)
{
    struct ms_dataset_writer newer = {"imp1", 9, (int64_t)1 << 52};

    stamp(5);
    put_one(5, &writer);
    CHECK_INT(close_import(5, MS_CLOSE_DONE), ==, MS_OK);
    CHECK_INT(put_one(5, &writer), ==, MS_ESTATE);
    CHECK_INT(put_one(5, &newer), ==, MS_ESTATE);
    CHECK_INT(put_one(5, NULL), ==, MS_OK);
}

static TEST(test_close_drops_the_fences_and_leaves_a_mark_that_expires)
{
    stamp(5);
    put_one(5, &writer);
    close_import(5, MS_CLOSE_DONE);
    CHECK_INT(ms_test_num(server, "HLEN ms:{main/ds/books/1.0}:fence:imp1"), ==,
              1);
    CHECK_INT(ms_test_num(server, "PTTL ms:{main/ds/books/1.0}:fence:imp1"), >,
              6 * 86400000);
}

/* A dead import may be tried again; who was frozen stays out. */
static TEST(test_reopened_import_still_knows_its_fences)
{
    struct ms_dataset_writer older = {"imp1", 3, 99};

    stamp(5);
    put_one(5, &writer);
    CHECK_INT(close_import(5, MS_CLOSE_DEAD), ==, MS_OK);
    CHECK_INT(put_one(5, &writer), ==, MS_ESTATE);
    CHECK_INT(close_import(5, MS_CLOSE_REOPEN), ==, MS_OK);
    CHECK_INT(put_one(5, &older), ==, MS_ESTALE);
    CHECK_INT(put_one(5, &writer), ==, MS_OK);
}

static TEST(test_close_refuses_an_older_leader)
{
    stamp(6);
    CHECK_INT(close_import(5, MS_CLOSE_DONE), ==, MS_ESTALE);
    CHECK_INT(put_one(6, &writer), ==, MS_OK);
}

/* ---- get, delete, count, scan ---- */

static TEST(test_get_answers_in_the_order_of_the_ids)
{
    static const char *const pairs[] = {"a", "1", "b", "2", NULL};
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *docs;

    stamp(5);
    put(5, NULL, pairs, NULL);
    ms_dataset_get_build(&cmd, "main", &d, 0);
    ms_cmd_args(&cmd, "b");
    ms_cmd_args(&cmd, "none");
    ms_cmd_args(&cmd, "a");
    CHECK_INT(ms_dataset_get_parse(ms_test_run(server, &cmd), &docs, NULL), ==,
              MS_OK);
    CHECK_STR(ms_reply_str(ms_reply_at(docs, 0), NULL), "2");
    CHECK_INT(ms_reply_at(docs, 1)->type, ==, MS_REPLY_NIL);
    CHECK_STR(ms_reply_str(ms_reply_at(docs, 2), NULL), "1");
}

static TEST(test_delete_counts_what_was_there)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t n = 0;

    stamp(5);
    put_one(5, NULL);
    ms_dataset_del_build(&cmd, "main", &d, 0);
    ms_cmd_args(&cmd, "a");
    ms_cmd_args(&cmd, "none");
    CHECK_INT(ms_dataset_number_parse(ms_test_run(server, &cmd), &n, NULL), ==,
              MS_OK);
    CHECK_INT(n, ==, 1);
    CHECK_INT(n_docs(), ==, 0);
}

static TEST(test_get_and_delete_refuse_too_many_ids)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd get = MS_CMD_INIT, del = MS_CMD_INIT;
    const struct ms_reply *docs;
    int64_t n;
    int i;

    stamp(5);
    ms_dataset_get_build(&get, "main", &d, 0);
    ms_dataset_del_build(&del, "main", &d, 0);
    for (i = 0; i < 3001; i++) {
        ms_cmd_args(&get, "a");
        ms_cmd_args(&del, "a");
    }
    CHECK_INT(ms_dataset_get_parse(ms_test_run(server, &get), &docs, NULL), ==,
              MS_EINVAL);
    CHECK_INT(ms_dataset_number_parse(ms_test_run(server, &del), &n, NULL), ==,
              MS_EINVAL);
}

static TEST(test_readers_with_an_old_map_are_sent_to_reload)
{
    struct ms_dataset d = a_dataset(5);
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *docs;
    const char *cursor;
    int64_t n;

    stamp(6);
    ms_dataset_get_build(&cmd, "main", &d, 0);
    ms_cmd_args(&cmd, "a");
    CHECK_INT(ms_dataset_get_parse(ms_test_run(server, &cmd), &docs, NULL), ==,
              MS_EMOVED);
    ms_dataset_del_build(&cmd, "main", &d, 0);
    ms_cmd_args(&cmd, "a");
    CHECK_INT(ms_dataset_number_parse(ms_test_run(server, &cmd), &n, NULL), ==,
              MS_EMOVED);
    ms_dataset_count_build(&cmd, "main", &d, 0);
    CHECK_INT(ms_dataset_number_parse(ms_test_run(server, &cmd), &n, NULL), ==,
              MS_EMOVED);
    ms_dataset_scan_build(&cmd, "main", &d, 0, "0", 10);
    CHECK_INT(ms_dataset_scan_parse(ms_test_run(server, &cmd), &cursor, &docs,
                                    NULL),
              ==, MS_EMOVED);
}

static TEST(test_scan_walks_over_all_documents)
{
    struct ms_dataset d = a_dataset(5);
    char cursor[32] = "0";
    size_t seen = 0;

    stamp(5);
    CHECK_INT(put_many(2500, 100), ==, MS_OK);
    do {
        struct ms_cmd cmd = MS_CMD_INIT;
        const struct ms_reply *pairs;
        const char *next;

        ms_dataset_scan_build(&cmd, "main", &d, 0, cursor, 100);
        CHECK_INT(ms_dataset_scan_parse(ms_test_run(server, &cmd), &next,
                                        &pairs, NULL),
                  ==, MS_OK);
        CHECK_INT(pairs->n_items, <, 1000);
        seen += pairs->n_items / 2;
        snprintf(cursor, sizeof(cursor), "%s", next);
    } while (strcmp(cursor, "0") != 0);
    CHECK_INT(seen, ==, 2500);
}

/* ---- the descriptor ---- */

static TEST(test_descriptor_is_written_once_and_stamped_again)
{
    struct ms_dataset d = a_dataset(5), loaded;
    struct ms_cmd cmd = MS_CMD_INIT;
    bool created = false;

    CHECK_INT(describe(&d, true, &created), ==, MS_OK);
    CHECK(created);
    d.epoch = 7;
    CHECK_INT(describe(&d, false, &created), ==, MS_OK);
    CHECK(!created);
    ms_dataset_load_build(&cmd, "main", "books");
    CHECK_INT(ms_dataset_load_parse("books", ms_test_run(server, &cmd), &loaded,
                                    NULL),
              ==, MS_OK);
    CHECK_INT(loaded.epoch, ==, 7);
    CHECK_INT(loaded.shards, ==, 2);
    CHECK_INT(loaded.gen, ==, 1);
    CHECK_INT(loaded.created_ms, >, 0);
    CHECK_STR(loaded.id_field, "id");
    CHECK_STR(loaded.state, "open");
    CHECK_INT(ms_test_num(server, "SISMEMBER ms:{main}:datasets books"), ==, 1);
}

static TEST(test_descriptor_refuses_an_older_leader)
{
    struct ms_dataset d = a_dataset(7);
    bool created;

    describe(&d, true, &created);
    d.epoch = 6;
    CHECK_INT(describe(&d, true, &created), ==, MS_ESTALE);
    CHECK_INT(ms_test_num(server, "HGET ms:{main}:dataset:books epoch"), ==, 7);
}

static TEST(test_descriptor_of_another_shape_is_left_alone)
{
    struct ms_dataset d = a_dataset(7);
    bool created;

    describe(&d, true, &created);
    d.epoch = 8;
    d.shards = 4;
    CHECK_INT(describe(&d, true, &created), ==, MS_EEXIST);
    CHECK_CONTAINS(error.text, "2 shards");
    CHECK_INT(ms_test_num(server, "HGET ms:{main}:dataset:books epoch"), ==, 7);
}

/* Dropped while a leader was stamping it: it must not come back. */
static TEST(test_dropped_dataset_is_not_described_again)
{
    struct ms_dataset d = a_dataset(7);
    bool created;

    CHECK_INT(describe(&d, false, &created), ==, MS_ENOENT);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
}

static TEST(test_missing_or_broken_descriptor_is_an_error)
{
    struct ms_dataset loaded;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_load_build(&cmd, "main", "books");
    CHECK_INT(ms_dataset_load_parse("books", ms_test_run(server, &cmd), &loaded,
                                    &error),
              ==, MS_ENOENT);
    CHECK_CONTAINS(error.text, "books");
    ms_test_cmd(server, "HSET ms:{main}:dataset:books shards 0 gen 1 epoch 1");
    ms_dataset_load_build(&cmd, "main", "books");
    CHECK_INT(ms_dataset_load_parse("books", ms_test_run(server, &cmd), &loaded,
                                    &error),
              ==, MS_EPROTO);
}

/* ---- pure parts ---- */

static TEST(test_ids_spread_over_all_shards)
{
    struct ms_dataset d = a_dataset(1);
    int hits[8] = {0}, i;
    char id[16];

    d.shards = 8;
    for (i = 0; i < 8000; i++) {
        int64_t shard =
            ms_dataset_shard_of(&d, id,
                                (size_t)snprintf(id, sizeof(id), "%d", i));

        CHECK(shard >= 0 && shard < 8);
        hits[shard]++;
    }
    for (i = 0; i < 8; i++)
        CHECK_INT(hits[i], >, 800);
}

static TEST(test_shape_of_a_dataset_is_checked)
{
    char field[MS_DATASET_FIELD_MAX + 2];

    memset(field, 'x', sizeof(field));
    field[sizeof(field) - 1] = '\0';
    CHECK_INT(ms_dataset_check(1, "id", NULL), ==, MS_OK);
    CHECK_INT(ms_dataset_check(0, "id", NULL), ==, MS_EINVAL);
    CHECK_INT(ms_dataset_check(MS_DATASET_SHARDS_MAX + 1, "id", NULL), ==,
              MS_EINVAL);
    CHECK_INT(ms_dataset_check(1, "", NULL), ==, MS_EINVAL);
    CHECK_INT(ms_dataset_check(1, field, NULL), ==, MS_EINVAL);
}

static TEST(test_answer_of_an_unknown_shape_is_an_error)
{
    struct ms_reply reply = {.type = MS_REPLY_STR, .str = "ok", .len = 2};
    int64_t n;

    CHECK_INT(ms_dataset_put_parse(&reply, &n, &error), ==, MS_EPROTO);
}

#define RUN_CLEAN(name) cmocka_unit_test_setup(name, flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_CLEAN(test_keys_of_a_shard_share_a_hash_tag),
        RUN_CLEAN(test_open_makes_and_stamps_a_shard),
        RUN_CLEAN(test_open_refuses_an_older_leader),
        RUN_CLEAN(test_epochs_up_to_2_to_53_keep_their_last_digit),
        RUN_CLEAN(test_put_counts_new_documents),
        RUN_CLEAN(test_later_of_one_id_in_a_batch_stands),
        RUN_CLEAN(test_put_refuses_an_old_epoch),
        RUN_CLEAN(test_put_refuses_a_shard_that_is_not_there),
        RUN_CLEAN(test_put_refuses_a_closed_shard),
        RUN_CLEAN(test_put_accepts_a_newer_epoch_than_the_stamp),
        RUN_CLEAN(test_put_refuses_a_stale_fence),
        RUN_CLEAN(test_fences_of_other_chunks_and_imports_do_not_count),
        RUN_CLEAN(test_stale_batch_changes_nothing),
        RUN_CLEAN(test_fences_expire),
        RUN_CLEAN(test_put_outside_imports_leaves_no_fence),
        RUN_CLEAN(test_documents_are_kept_byte_for_byte),
        RUN_CLEAN(test_put_takes_a_full_batch),
        RUN_CLEAN(test_put_refuses_too_many_documents),
        RUN_CLEAN(test_put_refuses_too_many_bytes),
        RUN_CLEAN(test_put_takes_one_document_of_any_size),
        RUN_CLEAN(test_empty_batch_is_no_error),
        RUN_CLEAN(test_put_is_refused_at_maxmemory_before_anything_changes),
        RUN_CLEAN(test_open_is_refused_at_maxmemory),
        RUN_CLEAN(test_delete_and_close_pass_at_maxmemory),
        RUN_CLEAN(test_closed_import_is_refused_whatever_its_fence),
        RUN_CLEAN(test_close_drops_the_fences_and_leaves_a_mark_that_expires),
        RUN_CLEAN(test_reopened_import_still_knows_its_fences),
        RUN_CLEAN(test_close_refuses_an_older_leader),
        RUN_CLEAN(test_get_answers_in_the_order_of_the_ids),
        RUN_CLEAN(test_delete_counts_what_was_there),
        RUN_CLEAN(test_get_and_delete_refuse_too_many_ids),
        RUN_CLEAN(test_readers_with_an_old_map_are_sent_to_reload),
        RUN_CLEAN(test_scan_walks_over_all_documents),
        RUN_CLEAN(test_descriptor_is_written_once_and_stamped_again),
        RUN_CLEAN(test_descriptor_refuses_an_older_leader),
        RUN_CLEAN(test_descriptor_of_another_shape_is_left_alone),
        RUN_CLEAN(test_dropped_dataset_is_not_described_again),
        RUN_CLEAN(test_missing_or_broken_descriptor_is_an_error),
        RUN_CLEAN(test_ids_spread_over_all_shards),
        RUN_CLEAN(test_shape_of_a_dataset_is_checked),
        RUN_CLEAN(test_answer_of_an_unknown_shape_is_an_error),
    };

    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

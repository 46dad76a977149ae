#include "common/dataset_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/support.h"

static struct ms_test_redis *server;
static struct ev_loop *loop;
static struct ms_redis *redis;
static struct ms_dataset_client client;
static struct ms_error error;

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

static void stamp_shards(int64_t epoch)
{
    struct ms_dataset map = a_map(epoch);
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t shard;

    for (shard = 0; shard < map.shards; shard++) {
        ms_dataset_stamp_build(&cmd, "main", &map, shard);
        ms_test_run(server, &cmd);
    }
}

static void describe(int64_t epoch)
{
    struct ms_dataset map = a_map(epoch);
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_describe_build(&cmd, "main", &map, true);
    ms_test_run(server, &cmd);
}

static enum ms_err put(const char *doc)
{
    bool is_new;

    return ms_dataset_put(&client, doc, strlen(doc), &is_new, &error);
}

static void put_many(int n)
{
    char doc[64];
    int i;

    for (i = 0; i < n; i++) {
        snprintf(doc, sizeof(doc), "{\"id\":%d,\"v\":\"value %d\"}", i, i);
        CHECK_INT(put(doc), ==, MS_OK);
    }
}

static int64_t count(void)
{
    int64_t n = -1;

    CHECK_INT(ms_dataset_count(&client, &n, &error), ==, MS_OK);
    return n;
}

static TEST(test_put_get_and_delete_a_document)
{
    struct ms_bytes doc;
    bool flag = false;

    CHECK_INT(ms_dataset_put(&client, "{\"id\":\"a\"}\n", 11, &flag, &error),
              ==, MS_OK);
    CHECK(flag);
    CHECK_INT(ms_dataset_put(&client, "{\"id\":\"a\",\"b\":1}", 16, &flag,
                             &error),
              ==, MS_OK);
    CHECK(!flag);
    CHECK_INT(ms_dataset_get(&client, "a", 1, &doc, &error), ==, MS_OK);
    CHECK_STR(doc.data, "{\"id\":\"a\",\"b\":1}");
    free(doc.data);
    CHECK_INT(ms_dataset_delete(&client, "a", 1, &flag, &error), ==, MS_OK);
    CHECK(flag);
    CHECK_INT(ms_dataset_delete(&client, "a", 1, &flag, &error), ==, MS_OK);
    CHECK(!flag);
    CHECK_INT(ms_dataset_get(&client, "a", 1, &doc, &error), ==, MS_ENOENT);
    CHECK_CONTAINS(error.text, "no such document");
}

static TEST(test_put_refuses_what_is_no_document)
{
    CHECK_INT(put("nope"), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "not JSON");
    CHECK_INT(put(""), ==, MS_EINVAL);
    CHECK_INT(put("{\"x\":1}"), ==, MS_EINVAL);
    CHECK_STR(error.text, "no id");
    CHECK_INT(put("{\"id\":1,\n\"x\":1}"), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "one line");
    CHECK_INT(count(), ==, 0);
}

static TEST(test_count_adds_up_the_shards)
{
    CHECK_INT(count(), ==, 0);
    put_many(100);
    CHECK_INT(count(), ==, 100);
}

static TEST(test_missing_dataset_is_told_by_all)
{
    struct ms_dataset_client none = {redis, "main", "none"};
    struct ms_dataset map;
    struct ms_bytes doc;
    int64_t n;
    bool flag;

    CHECK_INT(ms_dataset_load(&none, &map, &error), ==, MS_ENOENT);
    CHECK_CONTAINS(error.text, "none");
    CHECK_INT(ms_dataset_count(&none, &n, &error), ==, MS_ENOENT);
    CHECK_INT(ms_dataset_get(&none, "a", 1, &doc, &error), ==, MS_ENOENT);
    CHECK_INT(ms_dataset_put(&none, "{\"id\":1}", 8, &flag, &error), ==,
              MS_ENOENT);
    CHECK_INT(ms_dataset_delete(&none, "a", 1, &flag, &error), ==, MS_ENOENT);
    CHECK_INT(ms_dataset_drop(&none, &error), ==, MS_ENOENT);
    none.name = "a b";
    CHECK_INT(ms_dataset_load(&none, &map, &error), ==, MS_EINVAL);
}

/* A leader has stamped the shards and writes the descriptor a moment later:
 * callers wait and do not fail. */
static void on_stamped_timer(struct ev_loop *l, ev_timer *timer, int events)
{
    describe(6);
}

static TEST(test_moved_map_is_loaded_again)
{
    ev_timer timer;

    put_many(10);
    stamp_shards(6);
    ev_timer_init(&timer, on_stamped_timer, 0.05, 0);
    ev_timer_start(loop, &timer);
    CHECK_INT(count(), ==, 10);
}

static void collect_name(const char *name, void *arg)
{
    ms_buf_addf(arg, "%s ", name);
}

static TEST(test_list_is_sorted)
{
    struct ms_buf names = MS_BUF_INIT;

    ms_test_cmd(server, "SADD ms:{main}:datasets b a c");
    CHECK_INT(ms_dataset_list(redis, "main", collect_name, &names, &error), ==,
              MS_OK);
    CHECK_STR(ms_buf_str(&names), "a b books c ");
    ms_buf_done(&names);
}

static TEST(test_drop_leaves_nothing)
{
    struct ms_dataset map;

    put_many(50);
    CHECK_INT(ms_dataset_drop(&client, &error), ==, MS_OK);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
    CHECK_INT(ms_dataset_load(&client, &map, &error), ==, MS_ENOENT);
}

/* ---- export ---- */

struct seen {
    bool ids[2000];
    int n;
    int stop_at;
    bool restart;
};

static enum ms_err see(const char *id, size_t id_len, const char *doc,
                       size_t len, void *arg)
{
    struct seen *seen = arg;
    int number = atoi(id);
    char want[64];

    snprintf(want, sizeof(want), "{\"id\":%d,\"v\":\"value %d\"}", number,
             number);
    CHECK_STR(doc, want);
    CHECK_INT(len, ==, strlen(want));
    CHECK(!seen->ids[number]);
    seen->ids[number] = true;
    seen->n++;
    if (seen->n == 1 && seen->restart) {
        ms_test_redis_down(server, SIGTERM);
        ms_test_redis_up(server);
    }
    return seen->n == seen->stop_at ? MS_EIO : MS_OK;
}

static TEST(test_export_writes_each_document_once)
{
    struct seen seen = {.n = 0};

    put_many(2000);
    CHECK_INT(ms_dataset_export(&client, see, &seen, &error), ==, MS_OK);
    CHECK_INT(seen.n, ==, 2000);
}

static TEST(test_export_ends_when_its_caller_cannot_write)
{
    struct seen seen = {.stop_at = 7};

    put_many(100);
    CHECK_INT(ms_dataset_export(&client, see, &seen, &error), ==, MS_EIO);
    CHECK_INT(seen.n, ==, 7);
}

/* A cursor that outlives its server misses documents without a word. */
static TEST(test_export_notices_a_restart)
{
    struct seen seen = {.restart = true};
    enum ms_err err;

    put_many(2000);
    ms_test_cmd(server, "SAVE");
    err = ms_dataset_export(&client, see, &seen, &error);
    /* Between the shards' calls the connection may also be seen to break. */
    CHECK(err == MS_ECANCELLED || err == MS_EDOWN);
    CHECK_INT(ms_redis_wait_up(redis, 10000, NULL), ==, MS_OK);
}

static int setup(void **state)
{
    ms_test_cmd(server, "FLUSHALL");
    stamp_shards(5);
    describe(5);
    return ms_redis_wait_up(redis, 10000, NULL) == MS_OK ? 0 : -1;
}

static int setup_group(void **state)
{
    struct ms_redis_options options = {.command_timeout_ms = 5000};

    server = ms_test_redis_start(NULL);
    loop = ev_loop_new(EVFLAG_AUTO);
    options.url = ms_test_redis_url(server);
    if (ms_redis_new(loop, &options, &redis, NULL) != MS_OK)
        return -1;
    client = (struct ms_dataset_client){redis, "main", "books"};
    return ms_redis_wait_up(redis, 10000, NULL) == MS_OK ? 0 : -1;
}

static int teardown_group(void **state)
{
    ms_redis_free(redis);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    return 0;
}

#define RUN_CLEAN(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_CLEAN(test_put_get_and_delete_a_document),
        RUN_CLEAN(test_put_refuses_what_is_no_document),
        RUN_CLEAN(test_count_adds_up_the_shards),
        RUN_CLEAN(test_missing_dataset_is_told_by_all),
        RUN_CLEAN(test_moved_map_is_loaded_again),
        RUN_CLEAN(test_list_is_sorted),
        RUN_CLEAN(test_drop_leaves_nothing),
        RUN_CLEAN(test_export_writes_each_document_once),
        RUN_CLEAN(test_export_ends_when_its_caller_cannot_write),
        RUN_CLEAN(test_export_notices_a_restart),
    };

    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

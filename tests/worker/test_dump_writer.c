/*
 * Steps into a real Redis, and what others do to its shards at the worst
 * moments.  What went how is read from Redis's own counts of commands.
 */
#include "worker/dump_writer.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/support.h"

#define FENCE0 "ms:{main/ds/books/1.0}:fence:imp"
#define META0  "ms:{main/ds/books/1.0}:meta"
#define DOCS0  "ms:{main/ds/books/1.0}:docs"

static struct ms_test_redis *server;
static struct ev_loop *loop;
static struct ms_redis *redis;
static struct ms_dataset map;
static const struct ms_dataset_writer writer = {"imp", 7, 100};
static struct ms_error why;
static struct ms_dump_writer *live; /* also freed when a test fails */

/* ---- the stage ---- */

static void free_writer(void)
{
    ms_dump_writer_free(live);
    live = NULL;
}

static struct ms_dump_writer *a_writer(void)
{
    const struct ms_dump_writer_options options = {.redis = redis,
                                                   .fleet = "main",
                                                   .map = &map,
                                                   .writer = &writer};

    free_writer();
    live = ms_dump_writer_new(&options);
    return live;
}

/* A step of n documents "<name><i>" of `size` bytes. */
static struct ms_dump_step *a_step(const char *name, int n, size_t size)
{
    struct ms_dump_step *step = ms_dump_step_new(&map, 10000, 1 << 24);
    char *bytes = ms_xmalloc(size);
    char id[64];
    int i;

    memset(bytes, 'x', size);
    for (i = 0; i < n; i++) {
        struct ms_doc doc = {.id = id, .bytes = bytes, .len = size};

        doc.id_len = (size_t)snprintf(id, sizeof(id), "%s%d", name, i);
        CHECK(ms_dump_step_add_doc(step, &doc));
    }
    free(bytes);
    return step;
}

static void add(struct ms_dump_writer *w, const char *name)
{
    ms_dump_writer_add(w, a_step(name, 10, 100));
}

static void on_tick(struct ev_loop *on, ev_timer *timer, int events)
{
}

static void turn(void)
{
    ev_timer tick;

    ev_timer_init(&tick, on_tick, 0.01, 0.);
    ev_timer_start(loop, &tick);
    ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &tick);
}

/* Runs the loop until all steps are written, or one has failed. */
static enum ms_err finish(struct ms_dump_writer *w)
{
    int64_t end = ms_wait_deadline(20000);
    enum ms_err err = MS_OK;

    while (ms_dump_writer_count(w) > 0 && err == MS_OK) {
        struct ms_dump_step *step = ms_dump_writer_pop(w);

        err = ms_dump_writer_failed(w, &why);
        if (step == NULL && err == MS_OK) {
            turn();
            ms_wait_tick(end, "steps are written", __FILE__, __LINE__);
        }
        ms_dump_step_free(step);
    }
    return err;
}

/* How often Redis ran a command by now. */
static int64_t calls_of(const char *command)
{
    char *name = ms_xasprintf("cmdstat_%s:calls=", command);
    const char *at = strstr(ms_test_text(server, "INFO commandstats"), name);
    int64_t n = at == NULL ? 0 : strtoll(at + strlen(name), NULL, 10);

    free(name);
    return n;
}

static int64_t n_docs(void)
{
    int64_t shard, n = 0;

    for (shard = 0; shard < map.shards; shard++)
        n += ms_test_num(server, "HLEN ms:{main/ds/books/1.%d}:docs",
                         (int)shard);
    return n;
}

/* A writer whose fence stands and whose next step finds an open transaction. */
static struct ms_dump_writer *a_guarded_writer(void)
{
    struct ms_dump_writer *w = a_writer();

    add(w, "first");
    CHECK_INT(finish(w), ==, MS_OK);
    add(w, "second");
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(calls_of("exec"), ==, 1);
    CHECK_INT(calls_of("multi"), ==, 2);
    CHECK_INT(n_docs(), ==, 20);
    return w;
}

/* ---- which way ---- */

/* A tiny chunk costs what it always did: one call a shard. */
static TEST(test_small_first_step_goes_through_the_script)
{
    struct ms_dump_writer *w = a_writer();

    add(w, "a");
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(calls_of("evalsha"), >=, 1);
    CHECK_INT(calls_of("watch"), ==, 0);
    CHECK_INT(n_docs(), ==, 10);
    CHECK_INT(ms_test_num(server, "HGET " FENCE0 " 7"), ==, 100);
    free_writer();
}

static TEST(test_large_first_step_raises_the_fence_alone)
{
    struct ms_dump_writer *w = a_writer();

    ms_dump_writer_add(w, a_step("a", 100, 1000));
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(n_docs(), ==, 100);
    CHECK_INT(calls_of("exec"), ==, 1);
    /* One for each fence, one for the documents. */
    CHECK_INT(calls_of("hset"), ==, 2 * map.shards);
    CHECK_INT(ms_test_num(server, "HGET " FENCE0 " 7"), ==, 100);
    free_writer();
}

static TEST(test_later_steps_go_in_transactions)
{
    struct ms_dump_writer *w = a_guarded_writer();
    int64_t scripts = calls_of("evalsha");
    char name[32];
    int i;

    for (i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "more%d-", i);
        add(w, name);
    }
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(n_docs(), ==, 220);
    CHECK_INT(calls_of("evalsha"), ==, scripts);
    CHECK_INT(calls_of("exec"), >, 1);
    CHECK_INT(calls_of("exec"), <, 20); /* small ones share one */
    free_writer();
}

static TEST(test_last_of_two_documents_with_one_id_stands)
{
    struct ms_dump_writer *w = a_guarded_writer();
    int i;

    map.shards = 1; /* steps of one shard are enough */
    for (i = 1; i <= 5; i++)
        ms_dump_writer_add(w, a_step("same", 1, (size_t)i));
    map.shards = 3;
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_STR(ms_test_text(server, "HGET " DOCS0 " same0"), "xxxxx");
    free_writer();
}

static TEST(test_step_without_documents_keeps_its_place)
{
    struct ms_dump_writer *w = a_writer();

    ms_dump_writer_add(w, a_step("", 0, 1));
    CHECK_INT(ms_dump_writer_count(w), ==, 1);
    add(w, "a");
    ms_dump_writer_add(w, a_step("", 0, 1));
    add(w, "b");
    CHECK_INT(ms_dump_writer_count(w), ==, 4);
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(n_docs(), ==, 20);
    free_writer();
    ms_dump_writer_free(NULL);
}

/* Looking at each shard would be dearer than the scripts. */
static TEST(test_many_shards_go_through_scripts)
{
    struct ms_dump_writer *w;
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t shard;

    map.shards = 65;
    for (shard = 0; shard < map.shards; shard++) {
        ms_dataset_stamp_build(&cmd, "main", &map, shard);
        ms_test_run(server, &cmd);
    }
    w = a_writer();
    add(w, "a");
    add(w, "b");
    add(w, "c");
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(n_docs(), ==, 30);
    CHECK_INT(calls_of("watch"), ==, 0);
    free_writer();
}

/* ---- refused ---- */

/* The worker was frozen between its look at the fence and its EXEC, and
 * somebody else has claimed the chunk: nothing may be written any more, not
 * even to the shards that the other has not come to yet. */
static TEST(test_fence_raised_after_the_look_refuses_the_transaction)
{
    struct ms_dump_writer *w = a_guarded_writer();
    int64_t scripts = calls_of("evalsha");

    ms_test_cmd(server, "HSET " FENCE0 " 7 101");
    ms_dump_writer_add(w, a_step("late", 100, 1000));
    WAIT_FOR(10000, (turn(), calls_of("exec") == 2));
    if (calls_of("evalsha") == scripts) /* it asks the script right then */
        CHECK_INT(n_docs(), ==, 20);
    CHECK_INT(finish(w), ==, MS_ESTALE);
    CHECK_INT(calls_of("exec"), ==, 2);
    CHECK_INT(ms_test_num(server, "HLEN " DOCS0), <, 20);
    free_writer();
}

/* What may happen between look and EXEC, and what the step then comes to. */
static TEST(test_anything_that_changes_after_the_look_refuses_it)
{
    static const struct {
        const char *change;
        enum ms_err err;
    } cases[] = {
        {"HSET " FENCE0 " 7 101", MS_ESTALE},
        {"HSET " FENCE0 " closed done", MS_ESTATE},
        {"HSET " META0 " epoch 6", MS_EMOVED},
        {"HSET " META0 " state moving", MS_EMOVED},
        {"UNLINK " META0, MS_EMOVED},
        {"FLUSHALL", MS_EMOVED},
    };
    size_t i;

    map.shards = 1;
    for (i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_dump_writer *w;
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_test_cmd(server, "FLUSHALL");
        ms_test_cmd(server, "CONFIG RESETSTAT");
        ms_dataset_stamp_build(&cmd, "main", &map, 0);
        ms_test_run(server, &cmd);
        w = a_guarded_writer();
        ms_test_cmd(server, cases[i].change);
        add(w, "late");
        CHECK_INT(finish(w), ==, cases[i].err);
        CHECK_INT(ms_test_num(server, "HEXISTS " DOCS0 " late0"), ==, 0);
        CHECK_INT(calls_of("exec"), ==, 2);
        free_writer();
    }
}

/* Another chunk of the same import begins: that is no reason to stop. */
static TEST(test_other_chunk_only_delays)
{
    struct ms_dump_writer *w = a_guarded_writer();
    int64_t scripts = calls_of("evalsha");

    ms_test_cmd(server, "HSET " FENCE0 " 8 55");
    add(w, "third");
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(n_docs(), ==, 30);
    CHECK_INT(calls_of("exec"), ==, 3);
    CHECK_INT(calls_of("evalsha"), ==, scripts);
    free_writer();
}

/* Somebody touches the shard each time: the script cannot be aborted. */
static TEST(test_step_that_is_always_aborted_goes_through_the_script)
{
    struct ms_dump_writer *w = a_guarded_writer();
    int64_t scripts = calls_of("evalsha"), end = ms_wait_deadline(20000);
    struct ms_dump_step *step;
    int i = 0;

    add(w, "third");
    while ((step = ms_dump_writer_pop(w)) == NULL) {
        CHECK_INT(ms_dump_writer_failed(w, &why), ==, MS_OK);
        ms_test_cmd(server, "HSET " FENCE0 " 8 %b", &"012345678"[i++ % 9],
                    (size_t)1);
        turn();
        ms_wait_tick(end, "the step is written", __FILE__, __LINE__);
    }
    ms_dump_step_free(step);
    CHECK_INT(n_docs(), ==, 30);
    CHECK_INT(calls_of("evalsha"), >, scripts);
    CHECK_INT(calls_of("exec"), ==, 1 + 3);
    free_writer();
}

/* A guard cannot refuse for ever what the script allows: a shard whose stamp
 * was lost is older than the map. */
static TEST(test_shard_that_lost_its_stamp_is_written_by_scripts)
{
    struct ms_dump_writer *w = a_guarded_writer();

    ms_test_cmd(server, "HSET " META0 " epoch 4");
    add(w, "third");
    add(w, "fourth");
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(n_docs(), ==, 40);
    free_writer();
}

/* ---- failures ---- */

/* MULTI is known to hold before any document leaves: else HSETs would run at
 * once, without a guard. */
static TEST(test_without_permission_for_multi_scripts_go_on)
{
    struct ms_dump_writer *w = a_writer();

    ms_test_cmd(server, "ACL SETUSER default -multi");
    add(w, "a");
    add(w, "b");
    add(w, "c");
    CHECK_INT(finish(w), ==, MS_OK);
    CHECK_INT(n_docs(), ==, 30);
    CHECK_INT(calls_of("exec"), ==, 0);
    free_writer();
}

/* Taken away while a transaction is open: refused as a whole. */
static TEST(test_without_permission_for_hset_nothing_is_written)
{
    struct ms_dump_writer *w = a_guarded_writer();

    ms_test_cmd(server, "ACL SETUSER default -hset");
    add(w, "late");
    CHECK_INT(finish(w), ==, MS_EAUTH);
    CHECK_INT(n_docs(), ==, 20);
    free_writer();
}

static TEST(test_full_redis_refuses_the_transaction)
{
    struct ms_dump_writer *w = a_guarded_writer();

    ms_test_cmd(server, "CONFIG SET maxmemory 1");
    add(w, "late");
    CHECK_INT(finish(w), ==, MS_EFULL);
    CHECK_CONTAINS(why.text, "OOM");
    ms_test_cmd(server, "CONFIG SET maxmemory 0");
    CHECK_INT(n_docs(), ==, 20);
    free_writer();
}

/* An error inside EXEC does not undo the rest, but is no acknowledgement. */
static TEST(test_error_inside_the_transaction_is_a_failure)
{
    struct ms_dump_writer *w = a_guarded_writer();

    ms_test_cmd(server, "UNLINK " DOCS0);
    ms_test_cmd(server, "SET " DOCS0 " text");
    add(w, "late");
    CHECK_INT(finish(w), ==, MS_ESCRIPT);
    CHECK_CONTAINS(why.text, "WRONGTYPE");
    CHECK_INT(ms_dump_writer_count(w), ==, 1);
    free_writer();
}

/* The guard belongs to a connection: behind a new one HSETs would be bare. */
static TEST(test_guard_of_a_lost_connection_is_worth_nothing)
{
    struct ms_dump_writer *w = a_guarded_writer();
    uint64_t before = ms_redis_reconnects(redis);

    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    ms_test_cmd(server, "HSET " FENCE0 " 7 101");
    WAIT_FOR(10000, (turn(), ms_redis_is_up(redis) &&
                                 ms_redis_reconnects(redis) > before));
    ms_test_cmd(server, "CONFIG RESETSTAT");
    add(w, "late");
    CHECK_INT(finish(w), ==, MS_ESTALE);
    CHECK_INT(calls_of("exec"), ==, 0);
    CHECK_INT(calls_of("watch"), ==, 1);
    free_writer();
}

static TEST(test_lost_connection_under_way_is_a_failure)
{
    struct ms_dump_writer *w = a_guarded_writer();

    ms_test_redis_down(server, SIGKILL);
    add(w, "late");
    CHECK_INT(finish(w), ==, MS_EDOWN);
    CHECK_INT(ms_dump_writer_count(w), ==, 1);
    free_writer();
    ms_test_redis_up(server);
}

/* The slot's connection serves the next job too: no transaction stays open,
 * whether its guard was answered or is under way. */
static TEST(test_freed_writer_leaves_the_connection_as_it_was)
{
    struct ms_reply *reply = NULL;
    struct ms_cmd cmd = MS_CMD_INIT;
    int under_way;

    for (under_way = 0; under_way < 2; under_way++) {
        struct ms_dump_writer *w = a_guarded_writer();

        if (under_way)
            add(w, "third");
        free_writer();
        ms_cmd_plain(&cmd, "ECHO", "hello", NULL);
        CHECK_INT(ms_redis_call(redis, &cmd, 0, &reply, NULL), ==, MS_OK);
        CHECK_STR(ms_reply_str(reply, "?"), "hello");
        ms_reply_free(reply);
        CHECK_INT(n_docs(), ==, under_way ? 30 : 20);
        ms_test_cmd(server, "CONFIG RESETSTAT");
    }
}

/* ---- */

static int setup(void **state)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t shard;

    free_writer();
    map = (struct ms_dataset){.name = "books",
                              .state = "open",
                              .id_field = "id",
                              .shards = 3,
                              .gen = 1,
                              .epoch = 5};
    ms_test_cmd(server, "ACL SETUSER default +@all");
    ms_test_cmd(server, "FLUSHALL");
    for (shard = 0; shard < map.shards; shard++) {
        ms_dataset_stamp_build(&cmd, "main", &map, shard);
        ms_test_run(server, &cmd);
    }
    if (ms_redis_wait_up(redis, 10000, NULL) != MS_OK)
        return -1;
    ms_test_cmd(server, "CONFIG RESETSTAT");
    return 0;
}

static int setup_group(void **state)
{
    struct ms_redis_options options = {.command_timeout_ms = 5000};

    server = ms_test_redis_start(NULL);
    loop = ev_loop_new(EVFLAG_AUTO);
    options.url = ms_test_redis_url(server);
    if (ms_redis_new(loop, &options, &redis, NULL) != MS_OK)
        return -1;
    ms_redis_start(redis);
    return 0;
}

static int teardown_group(void **state)
{
    free_writer();
    ms_redis_free(redis);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    return 0;
}

#define RUN_CLEAN(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_CLEAN(test_small_first_step_goes_through_the_script),
        RUN_CLEAN(test_large_first_step_raises_the_fence_alone),
        RUN_CLEAN(test_later_steps_go_in_transactions),
        RUN_CLEAN(test_last_of_two_documents_with_one_id_stands),
        RUN_CLEAN(test_step_without_documents_keeps_its_place),
        RUN_CLEAN(test_many_shards_go_through_scripts),
        RUN_CLEAN(test_fence_raised_after_the_look_refuses_the_transaction),
        RUN_CLEAN(test_anything_that_changes_after_the_look_refuses_it),
        RUN_CLEAN(test_other_chunk_only_delays),
        RUN_CLEAN(test_step_that_is_always_aborted_goes_through_the_script),
        RUN_CLEAN(test_shard_that_lost_its_stamp_is_written_by_scripts),
        RUN_CLEAN(test_without_permission_for_multi_scripts_go_on),
        RUN_CLEAN(test_without_permission_for_hset_nothing_is_written),
        RUN_CLEAN(test_full_redis_refuses_the_transaction),
        RUN_CLEAN(test_error_inside_the_transaction_is_a_failure),
        RUN_CLEAN(test_guard_of_a_lost_connection_is_worth_nothing),
        RUN_CLEAN(test_lost_connection_under_way_is_a_failure),
        RUN_CLEAN(test_freed_writer_leaves_the_connection_as_it_was),
    };

    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

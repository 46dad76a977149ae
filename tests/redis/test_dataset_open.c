#include "common/dataset_open.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/support.h"

static struct ms_test_redis *server;
static struct ev_loop *loop;
static struct ms_redis *redis;

struct result {
    int calls;
    enum ms_err err;
    struct ms_dataset map;
    char why[512];
};

static void on_opened(enum ms_err err, const struct ms_dataset *map,
                      const char *why, void *arg)
{
    struct result *r = arg;

    r->calls++;
    r->err = err;
    CHECK((map != NULL) == (err == MS_OK));
    if (map != NULL)
        r->map = *map;
    snprintf(r->why, sizeof(r->why), "%s", why);
}

static struct result run(const struct ms_dataset_spec *spec)
{
    struct result r = {.calls = 0};

    ms_dataset_open_start(redis, spec, on_opened, &r);
    CHECK_INT(r.calls, ==, 0);
    while (r.calls == 0)
        ev_run(loop, EVRUN_ONCE);
    ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(r.calls, ==, 1);
    return r;
}

static struct result open_books(int64_t epoch, int64_t shards,
                                const char *id_field)
{
    struct ms_dataset_spec spec = {.fleet = "main",
                                   .name = "books",
                                   .epoch = epoch,
                                   .shards = shards,
                                   .id_field = id_field};

    return run(&spec);
}

static TEST(test_new_dataset_is_stamped_and_described)
{
    struct result r = open_books(5, 100, "key");
    int shard;

    CHECK_INT(r.err, ==, MS_OK);
    CHECK_INT(r.map.shards, ==, 100);
    CHECK_INT(r.map.gen, ==, 1);
    CHECK_STR(r.map.id_field, "key");
    for (shard = 0; shard < 100; shard++)
        CHECK_INT(ms_test_num(server, "HGET ms:{main/ds/books/1.%d}:meta epoch",
                              shard),
                  ==, 5);
    CHECK_INT(ms_test_num(server, "HGET ms:{main}:dataset:books shards"), ==,
              100);
    CHECK_INT(ms_test_num(server, "SISMEMBER ms:{main}:datasets books"), ==, 1);
}

static TEST(test_new_dataset_has_defaults)
{
    struct result r = open_books(5, 0, NULL);

    CHECK_INT(r.map.shards, ==, MS_DATASET_SHARDS);
    CHECK_STR(r.map.id_field, "id");
}

/* A leader that broke off, and its successor, do it again. */
static TEST(test_opening_again_changes_only_the_epoch)
{
    struct result r;

    open_books(5, 8, "key");
    r = open_books(6, 0, NULL);
    CHECK_INT(r.err, ==, MS_OK);
    CHECK_INT(r.map.shards, ==, 8);
    CHECK_INT(r.map.epoch, ==, 6);
    CHECK_STR(r.map.id_field, "key");
    CHECK_INT(ms_test_num(server, "HGET ms:{main/ds/books/1.7}:meta epoch"), ==,
              6);
    CHECK_INT(ms_test_num(server, "HGET ms:{main}:dataset:books epoch"), ==, 6);
    r = open_books(6, 8, "key");
    CHECK_INT(r.err, ==, MS_OK);
}

static TEST(test_other_shape_is_refused_before_anything_changes)
{
    struct result r;

    open_books(5, 8, "key");
    r = open_books(6, 9, NULL);
    CHECK_INT(r.err, ==, MS_EEXIST);
    CHECK_CONTAINS(r.why, "8 shards, not 9");
    r = open_books(6, 0, "id");
    CHECK_INT(r.err, ==, MS_EEXIST);
    CHECK_CONTAINS(r.why, "'key', not 'id'");
    CHECK_INT(ms_test_num(server, "HGET ms:{main/ds/books/1.0}:meta epoch"), ==,
              5);
}

static TEST(test_older_leader_is_refused)
{
    open_books(6, 2, NULL);
    CHECK_INT(open_books(5, 2, NULL).err, ==, MS_ESTALE);
    /* Also where only one shard has seen the newer one. */
    ms_test_cmd(server, "HSET ms:{main/ds/books/1.1}:meta epoch 9");
    CHECK_INT(open_books(7, 2, NULL).err, ==, MS_ESTALE);
    CHECK_INT(ms_test_num(server, "HGET ms:{main}:dataset:books epoch"), ==, 6);
}

static TEST(test_existing_alone_makes_nothing)
{
    struct ms_dataset_spec spec = {.fleet = "main",
                                   .name = "books",
                                   .epoch = 5,
                                   .only_existing = true};

    CHECK_INT(run(&spec).err, ==, MS_ENOENT);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
    open_books(5, 2, NULL);
    spec.epoch = 6;
    CHECK_INT(run(&spec).err, ==, MS_OK);
}

static TEST(test_wrong_spec_is_an_error)
{
    struct ms_dataset_spec spec = {.fleet = "main", .name = "a b", .epoch = 5};

    CHECK_INT(run(&spec).err, ==, MS_EINVAL);
    CHECK_INT(open_books(5, -1, NULL).err, ==, MS_EINVAL);
    CHECK_INT(open_books(5, 100000, NULL).err, ==, MS_EINVAL);
    CHECK_INT(open_books(5, 1, "").err, ==, MS_EINVAL);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
}

static TEST(test_full_redis_is_told)
{
    struct result r;

    ms_test_cmd(server, "CONFIG SET maxmemory 1");
    r = open_books(5, 2, NULL);
    CHECK_INT(r.err, ==, MS_EFULL);
    CHECK_CONTAINS(r.why, "OOM");
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 0);
}

static TEST(test_cancelled_flow_calls_nobody)
{
    struct ms_dataset_spec spec = {.fleet = "main",
                                   .name = "books",
                                   .epoch = 5,
                                   .shards = 64};
    struct result r = {.calls = 0};
    struct ms_dataset_open *open;

    open = ms_dataset_open_start(redis, &spec, on_opened, &r);
    ev_run(loop, EVRUN_ONCE); /* some of it is on its way */
    ev_run(loop, EVRUN_ONCE);
    ms_dataset_open_cancel(open);
    ms_dataset_open_cancel(NULL);
    CHECK_INT(open_books(5, 64, NULL).err, ==, MS_OK); /* behind its answers */
    CHECK_INT(r.calls, ==, 0);
}

static int setup(void **state)
{
    ms_test_cmd(server, "CONFIG SET maxmemory 0");
    ms_test_cmd(server, "FLUSHALL");
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
        RUN_CLEAN(test_new_dataset_is_stamped_and_described),
        RUN_CLEAN(test_new_dataset_has_defaults),
        RUN_CLEAN(test_opening_again_changes_only_the_epoch),
        RUN_CLEAN(test_other_shape_is_refused_before_anything_changes),
        RUN_CLEAN(test_older_leader_is_refused),
        RUN_CLEAN(test_existing_alone_makes_nothing),
        RUN_CLEAN(test_wrong_spec_is_an_error),
        RUN_CLEAN(test_full_redis_is_told),
        RUN_CLEAN(test_cancelled_flow_calls_nobody),
    };

    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

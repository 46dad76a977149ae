/* dump.chunk in a real slot, whose checkpoints are committed by this test. */
#include "tests/worker/fixture_slots.h"

#include <sys/stat.h>

#include "common/dataset.h"
#include "worker/dump_chunk.h"

#define DOCS 40000 /* some 9 MB: more than may run ahead */

const struct ms_handler ms_handlers[] = {
    {"dump.chunk", ms_handle_dump_chunk, true},
    {NULL, NULL, false},
};

static struct ms_test_redis *server;
static char *source;

static struct pool *a_pool(void)
{
    struct pool *pool = pool_new(1, "fleet: main\n");

    free(pool->conf->redis_url); /* children are told when they start */
    pool->conf->redis_url = ms_xstrdup(ms_test_redis_url(server));
    return pool;
}

static struct job *a_chunk(void)
{
    struct stat st;
    struct job *job;
    char *json;

    CHECK_INT(stat(source, &st), ==, 0);
    json = ms_xasprintf(
        "{\"source\":\"%s\",\"manifest\":{\"size\":%lld,\"mtime_ns\":%lld},"
        "\"start\":0,\"end\":%lld,\"dataset\":\"books\",\"shards\":2,\"gen\":1,"
        "\"epoch\":5,\"id_field\":\"id\",\"import\":\"imp1\"}",
        source, (long long)st.st_size,
        (long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        (long long)st.st_size);
    job = job_new("dump.chunk", json);
    job->held.chunk = 0;
    free(json);
    return job;
}

static int64_t sum(const struct job *job, const char *name)
{
    for (size_t i = 0; i < job->checkpoint.n_sums; i++)
        if (strcmp(job->checkpoint.sums[i].name, name) == 0)
            return job->checkpoint.sums[i].value;
    return 0;
}

static int64_t count_docs(void)
{
    return ms_test_num(server, "HLEN ms:{main/ds/books/1.0}:docs") +
           ms_test_num(server, "HLEN ms:{main/ds/books/1.1}:docs");
}

/* Commits all that was told, as a worker does with each renewal. */
static bool commit_until_ended(struct pool *pool, struct job *job)
{
    ms_slots_committed(pool->slots, &job->held, job->checkpoint.seq);
    return has(job, 'e');
}

/* The next attempt, where the last checkpoint was committed. */
static struct job *next_attempt(struct job *job)
{
    struct job *next = a_chunk();

    next->held.fence = job->held.fence + 1;
    next->held.seq = job->checkpoint.seq;
    next->held.cursor = job->checkpoint.cursor;
    job->checkpoint.cursor = (struct ms_bytes){NULL, 0};
    next->held.n_sums = job->checkpoint.n_sums;
    memcpy(next->held.sums, job->checkpoint.sums, sizeof(next->held.sums));
    job_free(job);
    return next;
}

static void check_whole(struct pool *pool, struct job *job)
{
    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, commit_until_ended(pool, job));
    CHECK_STR(job->ending.error, "");
    CHECK_INT(job->ending.outcome, ==, MS_DONE);
    CHECK_INT(sum(job, "docs"), ==, DOCS);
    CHECK_INT(sum(job, "lines"), ==, DOCS + 1);
    CHECK_INT(sum(job, "rejected"), ==, 1);
    CHECK_INT(count_docs(), ==, DOCS);
}

static TEST(test_chunk_runs_in_a_slot)
{
    struct pool *pool = a_pool();
    struct job *job = a_chunk();

    check_whole(pool, job);
    CHECK_INT(job->checkpoint.n_rejects, ==, 1);
    CHECK_STR(job->checkpoint.rejects[0].reason, "not an object");
    CHECK_INT(sum(job, "reread"), ==, 0);
    job_free(job);
    pool_free(pool);
}

/* What a crash makes read again stays bounded: nothing was committed here. */
static TEST(test_chunk_does_not_run_far_ahead_of_its_commits)
{
    struct pool *pool = a_pool();
    struct job *job = a_chunk();
    int64_t bytes;

    CHECK(ms_slots_run(pool->slots, &job->held));
    do {
        bytes = sum(job, "bytes");
        for (int i = 0; i < 20; i++)
            ev_run(pool->loop, EVRUN_ONCE);
    } while (bytes == 0 || sum(job, "bytes") > bytes);
    CHECK_INT(bytes, <, 6 * 1024 * 1024);
    ms_slots_stop(pool->slots, &job->held, MS_STOP_DRAIN);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK_INT(job->ending.outcome, ==, MS_RELEASED);
    job = next_attempt(job);
    check_whole(pool, job);
    job_free(job);
    pool_free(pool);
}

/* A slot that is killed takes nothing with it that was told. */
static TEST(test_killed_slot_is_resumed_by_the_next)
{
    struct pool *pool = a_pool();
    struct job *job = a_chunk();

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, sum(job, "docs") > 0);
    CHECK_INT(kill(slot_pid(pool, 0), SIGKILL), ==, 0);
    RUN_UNTIL(pool, has(job, 'e'));
    CHECK(job->ending.crashed);
    CHECK_INT(sum(job, "docs"), <, DOCS);
    job = next_attempt(job);
    check_whole(pool, job);
    job_free(job);
    pool_free(pool);
}

/* The warm connection of a slot outlives a Redis that went away between. */
static TEST(test_slot_serves_again_after_redis_restarted)
{
    struct pool *pool = a_pool();
    struct job *job = a_chunk();

    check_whole(pool, job);
    ms_test_cmd(server, "SAVE");
    ms_test_redis_down(server, SIGTERM);
    ms_test_redis_up(server);
    job_free(job);
    job = a_chunk();
    check_whole(pool, job);
    job_free(job);
    pool_free(pool);
}

static void write_source(void)
{
    struct ms_buf dump = MS_BUF_INIT;

    for (int i = 0; i < DOCS; i++) {
        if (i == DOCS / 3)
            ms_buf_adds(&dump, "[1]\n");
        ms_buf_addf(&dump, "{\"id\":%d,\"text\":\"%0200d\"}\n", i, i);
    }
    source = ms_test_file("dump.ndjson", dump.data, dump.len);
    ms_buf_done(&dump);
}

static int setup(void **state UNUSED)
{
    struct ms_dataset map = {
        .name = "books", .id_field = "id", .shards = 2, .gen = 1, .epoch = 5};

    ms_test_cmd(server, "FLUSHALL");
    for (int64_t shard = 0; shard < map.shards; shard++) {
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_dataset_stamp_build(&cmd, "main", &map, shard);
        ms_test_run(server, &cmd);
    }
    return 0;
}

static int setup_group(void **state UNUSED)
{
    server = ms_test_redis_start(NULL);
    write_source();
    return 0;
}

static int teardown_group(void **state UNUSED)
{
    ms_test_redis_stop(server);
    free(source);
    return 0;
}

#define RUN_CLEAN(name) cmocka_unit_test_setup(name, setup)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN_CLEAN(test_chunk_runs_in_a_slot),
        RUN_CLEAN(test_chunk_does_not_run_far_ahead_of_its_commits),
        RUN_CLEAN(test_killed_slot_is_resumed_by_the_next),
        RUN_CLEAN(test_slot_serves_again_after_redis_restarted),
    };

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

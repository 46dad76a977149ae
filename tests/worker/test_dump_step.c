/* What fits into a step; sending it is test_dump_writer's. */
#include "worker/dump_step.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/support.h"

static struct ms_dataset map = {
    .name = "books", .id_field = "id", .shards = 1, .gen = 1, .epoch = 1};

static struct ms_dump_step *a_step(size_t max_docs, size_t max_bytes)
{
    return ms_dump_step_new(&map, max_docs, max_bytes);
}

static bool add(struct ms_dump_step *step, const char *id, size_t len)
{
    static char bytes[1000];
    struct ms_doc doc = {.id = id,
                         .id_len = strlen(id),
                         .bytes = bytes,
                         .len = len};

    return ms_dump_step_add_doc(step, &doc);
}

static TEST(test_step_is_full_by_documents)
{
    struct ms_dump_step *step = a_step(2, 1000);

    CHECK(add(step, "a", 10));
    CHECK(!ms_dump_step_is_full(step, 10));
    CHECK(add(step, "b", 10));
    CHECK(ms_dump_step_is_full(step, 20));
    ms_dump_step_free(step);
}

/* Ids travel too, and count. */
static TEST(test_document_that_does_not_fit_begins_the_next_step)
{
    struct ms_dump_step *step = a_step(10, 100);

    CHECK(add(step, "a", 60));
    CHECK(!add(step, "b", 39));
    CHECK(add(step, "b", 38));
    CHECK(ms_dump_step_is_full(step, 98));
    ms_dump_step_free(step);
}

static TEST(test_document_larger_than_a_batch_goes_alone)
{
    struct ms_dump_step *step = a_step(10, 100);

    CHECK(add(step, "a", 500));
    CHECK(ms_dump_step_is_full(step, 500));
    CHECK(!add(step, "b", 1));
    ms_dump_step_free(step);
}

/* With many shards a batch is still worth its call. */
static TEST(test_each_shard_has_a_batch_of_its_own)
{
    struct ms_dump_step *step;
    char id[16];
    int n = 0;

    map.shards = 8;
    step = a_step(20, 100000);
    do {
        snprintf(id, sizeof(id), "%d", n++);
        CHECK(add(step, id, 10));
    } while (!ms_dump_step_is_full(step, 10 * n));
    CHECK_INT(n, >, 60);
    CHECK_INT(step->n_used, ==, 8);
    ms_dump_step_free(step);
    map.shards = 1;
}

/* Else a run of empty lines would never move the cursor. */
static TEST(test_step_is_full_by_bytes_and_rejects)
{
    struct ms_dump_step *step = a_step(10, 100);
    int i;

    CHECK(!ms_dump_step_is_full(step, 1024 * 1024 - 1));
    CHECK(ms_dump_step_is_full(step, 1024 * 1024));
    for (i = 0; i < 200; i++) {
        CHECK(!ms_dump_step_is_full(step, 0));
        ms_dump_step_add_reject(step, i, "why");
    }
    CHECK(ms_dump_step_is_full(step, 0));
    CHECK_INT(step->rejects[199].offset, ==, 199);
    CHECK_STR(step->rejects[199].reason, "why");
    ms_dump_step_free(step);
}

/* What is sent is what was added, by shard. */
static TEST(test_batches_hold_ids_and_documents)
{
    struct ms_dump_step *step = a_step(10, 100);
    size_t len;

    CHECK(add(step, "a", 10));
    CHECK(add(step, "bc", 20));
    CHECK_INT(step->used[0], ==, 0);
    CHECK_INT(step->bytes, ==, 33);
    CHECK_INT(step->batches[0].docs.n_args, ==, 4);
    CHECK(memcmp(ms_cmd_peek(&step->batches[0].docs, 2, &len), "bc", 2) == 0);
    CHECK_INT(len, ==, 2);
    CHECK(ms_cmd_peek(&step->batches[0].docs, 3, &len) != NULL);
    CHECK_INT(len, ==, 20);
    ms_dump_step_free(step);
    ms_dump_step_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_step_is_full_by_documents),
        RUN(test_document_that_does_not_fit_begins_the_next_step),
        RUN(test_document_larger_than_a_batch_goes_alone),
        RUN(test_each_shard_has_a_batch_of_its_own),
        RUN(test_step_is_full_by_bytes_and_rejects),
        RUN(test_batches_hold_ids_and_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

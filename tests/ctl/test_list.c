/* Pages of jobs: complete, stable, bounded, whatever the queue looks like. */
#include "ctl/list.h"
#include "tests/ctl/client_fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* All ids of a walk, joined by spaces, and how it went. */
struct walk {
    struct ms_buf ids;
    int n, pages, on_page, largest_page;
    char *cursor;
};

static void on_job(const struct ms_job *job, void *arg)
{
    struct walk *walk = arg;

    ms_buf_addf(&walk->ids, "%s%s", walk->n > 0 ? " " : "", job->id);
    walk->n++;
    walk->on_page++;
}

static void walk_done(struct walk *walk)
{
    ms_buf_done(&walk->ids);
    free(walk->cursor);
    memset(walk, 0, sizeof(*walk));
}

/* One page more; false at the end. */
static bool walk_page(struct walk *walk, struct ms_client *client,
                      const char *state, const char *kind, int64_t limit)
{
    struct ms_list_ask ask = {"q", state, kind, walk->cursor, limit};
    char *next = NULL;
    struct ms_error error = {""};

    walk->on_page = 0;
    if (ms_list_page(client, &ask, on_job, walk, &next, &error) != MS_OK)
        print_error("%s\n", error.text);
    CHECK_STR(error.text, "");
    walk->pages++;
    if (walk->on_page > walk->largest_page)
        walk->largest_page = walk->on_page;
    free(walk->cursor);
    walk->cursor = next;
    return next != NULL;
}

static void walk_all(struct walk *walk, struct ms_client *client,
                     const char *state, const char *kind, int64_t limit)
{
    memset(walk, 0, sizeof(*walk));
    while (walk_page(walk, client, state, kind, limit))
        CHECK_INT(walk->pages, <, 10000);
    CHECK_INT(walk->largest_page, <=, limit);
}

static TEST(test_an_empty_queue_is_one_empty_page)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk;

    walk_all(&walk, client, NULL, NULL, 10);
    CHECK_INT(walk.n, ==, 0);
    CHECK_INT(walk.pages, ==, 1);
    walk_done(&walk);
    ms_client_close(client);
}

/* Priorities first, then groups in the order of their turn, then each group's
 * own order; the same whatever the size of the page. */
static TEST(test_ready_jobs_come_by_priority_group_and_place)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk;

    ms_core_enqueue_many(core, "a", NULL, 2);
    ms_core_enqueue_many(core, "g", "one", 3);
    ms_core_enqueue_many(core, "h", "two", 1);
    ENQUEUE(core, .id = "last", .own_id = true, .priority = 9);
    ENQUEUE(core, .id = "first", .own_id = true, .priority = 0);
    for (int limit = 1; limit <= 10; limit++) {
        walk_all(&walk, client, "ready", NULL, limit);
        CHECK_STR(ms_buf_str(&walk.ids), "first a0 a1 g0 g1 g2 h0 last");
        CHECK_INT(walk.pages, ==, (8 + limit - 1) / limit);
        walk_done(&walk);
    }
    ms_client_close(client);
}

/* A tenant a job: more groups than are read together. */
static TEST(test_many_groups_are_walked_completely)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk;

    for (int i = 0; i < 100; i++) {
        char id[16], group[16];

        snprintf(id, sizeof(id), "j%02d", i);
        snprintf(group, sizeof(group), "g%d", i);
        ENQUEUE(core, .id = id, .own_id = true, .group = group);
    }
    for (int limit = 1; limit <= 64; limit *= 4) {
        walk_all(&walk, client, "ready", NULL, limit);
        CHECK_INT(walk.n, ==, 100);
        CHECK_CONTAINS(ms_buf_str(&walk.ids), "j00 j01 j02");
        CHECK_CONTAINS(ms_buf_str(&walk.ids), "j98 j99");
        walk_done(&walk);
    }
    ms_client_close(client);
}

/* A cancelled job's id stays in its list until its turn: it is not ready. */
static TEST(test_ids_of_other_states_are_passed_over)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk;

    ms_core_enqueue_many(core, "a", NULL, 6);
    ms_core_cancel(core, "a1");
    ms_core_cancel(core, "a2");
    CHECK_INT(ms_core_delete(core, "a3"), ==, MS_OK);
    walk_all(&walk, client, "ready", NULL, 2);
    CHECK_STR(ms_buf_str(&walk.ids), "a0 a4 a5");
    walk_done(&walk);
    walk_all(&walk, client, "dead", NULL, 5);
    CHECK_INT(walk.n, ==, 2);
    walk_done(&walk);
    ms_client_close(client);
}

static TEST(test_parked_jobs_are_ready_ones)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk;

    ENQUEUE(core, .id = "strange", .own_id = true, .kind = "strange");
    ENQUEUE(core, .id = "known", .own_id = true);
    core->kinds = ",k,";
    CHECK_INT(ms_core_claim(core, "p", 5), ==, 1);
    walk_all(&walk, client, "ready", NULL, 5);
    CHECK_STR(ms_buf_str(&walk.ids), "strange");
    walk_done(&walk);
    walk_all(&walk, client, NULL, NULL, 1);
    CHECK_STR(ms_buf_str(&walk.ids), "known strange");
    CHECK_INT(walk.pages, ==, 2);
    walk_done(&walk);
    core->kinds = EVERYTHING;
    ms_client_close(client);
}

static TEST(test_every_state_has_its_order)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk;

    ENQUEUE(core, .id = "s2", .own_id = true, .delay_ms = 200000);
    ENQUEUE(core, .id = "s1", .own_id = true, .delay_ms = 100000);
    ENQUEUE(core, .id = "parent", .own_id = true, .parent = true);
    walk_all(&walk, client, "scheduled", NULL, 1);
    CHECK_STR(ms_buf_str(&walk.ids), "s1 s2"); /* the next due first */
    walk_done(&walk);
    walk_all(&walk, client, "waiting", NULL, 1);
    CHECK_STR(ms_buf_str(&walk.ids), "parent");
    walk_done(&walk);
    walk_all(&walk, client, NULL, NULL, 100);
    CHECK_STR(ms_buf_str(&walk.ids), "s1 s2 parent");
    walk_done(&walk);
    ms_client_close(client);
}

/* Ten thousand jobs may share one millisecond. */
static TEST(test_equal_times_lose_nothing)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk;

    for (int i = 0; i < 25; i++) {
        ms_test_text(core->redis, "ZADD " K("done") " 1000 j%02d", i);
        ms_test_text(core->redis,
                     "HSET " K("job:j%02d") " kind k state done created_ms 1",
                     i);
    }
    walk_all(&walk, client, "done", NULL, 4);
    CHECK_INT(walk.n, ==, 25);
    CHECK_CONTAINS(ms_buf_str(&walk.ids), "j24 j23 j22");
    walk_done(&walk);
    ms_test_text(core->redis, "FLUSHALL");
    ms_client_close(client);
}

/* The job that a cursor names may be deleted before the next page. */
static TEST(test_a_cursor_outlives_its_job)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk = {.n = 0};

    for (int i = 0; i < 6; i++) {
        char id[16];

        snprintf(id, sizeof(id), "s%d", i);
        ENQUEUE(core, .id = id, .own_id = true, .delay_ms = 100000 * (i + 1));
    }
    CHECK(walk_page(&walk, client, "scheduled", NULL, 2));
    CHECK_INT(ms_core_delete(core, "s1"), ==, MS_OK);
    CHECK_INT(ms_core_delete(core, "s0"), ==, MS_OK);
    CHECK(walk_page(&walk, client, "scheduled", NULL, 2));
    CHECK(!walk_page(&walk, client, "scheduled", NULL, 2));
    CHECK_STR(ms_buf_str(&walk.ids), "s0 s1 s2 s3 s4 s5");
    walk_done(&walk);
    ms_client_close(client);
}

/* A filter that matches little looks at a bounded number of records a page,
 * and says that more follow. */
static TEST(test_a_filter_never_reads_the_whole_queue_for_a_page)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    struct walk walk = {.n = 0};

    ms_core_enqueue_many(core, "a", NULL, 500);
    ENQUEUE(core, .id = "needle", .own_id = true, .kind = "needle");
    CHECK(walk_page(&walk, client, "ready", "needle", 5));
    CHECK_INT(walk.n, ==, 0);
    while (walk_page(&walk, client, "ready", "needle", 5))
        CHECK_INT(walk.pages, <, 20);
    CHECK_STR(ms_buf_str(&walk.ids), "needle");
    CHECK_INT(walk.pages, >, 3);
    walk_done(&walk);
    ms_client_close(client);
}

static TEST(test_strange_cursors_are_refused)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    static const char *const bad[] = {
        "",
        "x",
        ":",
        "done",
        "done:1:x",
        "ready:",
        "ready:1",
        "ready:1:2",
        "ready:-1:0:0",
        "ready:0:-1:0",
        "ready:0:0:-1",
        "ready:0:0:0x",
        "ready:a:b:c",
        "parked:",
        "parked:x",
        "parked:x:y",
        "parked:1111111111111111111111111111111111:x"};

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        struct ms_list_ask ask = {"q", "ready", NULL, bad[i], 5};
        struct walk walk = {.n = 0};
        char *next = NULL;

        if (ms_list_page(client, &ask, on_job, &walk, &next, NULL) == MS_OK)
            print_error("'%s'\n", bad[i]);
        CHECK_INT(ms_list_page(client, &ask, on_job, &walk, &next, NULL), ==,
                  MS_EINVAL);
        CHECK(next == NULL);
        walk_done(&walk);
    }
    ms_client_close(client);
}

/* Positions far beyond the end are an end, not an error. */
static TEST(test_a_cursor_beyond_the_end_is_the_end)
{
    struct ms_core *core = *state;
    struct ms_conf conf = client_conf(core);
    struct ms_client *client = client_open(&conf);
    static const char *const far[] = {"ready:5:99999:0", "ready:5:0:99999",
                                      "ready:9:0:0", "ready:99:0:0"};

    ms_core_enqueue_many(core, "a", NULL, 3);
    for (size_t i = 0; i < MS_COUNT_OF(far); i++) {
        struct walk walk = {.cursor = ms_xstrdup(far[i])};

        CHECK(!walk_page(&walk, client, "ready", NULL, 5));
        CHECK_INT(walk.n, ==, 0);
        walk_done(&walk);
    }
    ms_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_an_empty_queue_is_one_empty_page),
        CORE(test_ready_jobs_come_by_priority_group_and_place),
        CORE(test_many_groups_are_walked_completely),
        CORE(test_ids_of_other_states_are_passed_over),
        CORE(test_parked_jobs_are_ready_ones),
        CORE(test_every_state_has_its_order),
        CORE(test_equal_times_lose_nothing),
        CORE(test_a_cursor_outlives_its_job),
        CORE(test_a_filter_never_reads_the_whole_queue_for_a_page),
        CORE(test_strange_cursors_are_refused),
        CORE(test_a_cursor_beyond_the_end_is_the_end),
    };

    return RUN_CORE(tests);
}

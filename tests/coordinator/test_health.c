/* What the probes say, in states that a whole process is seldom in. */
#include "coordinator/health.h"
#include "tests/support/support.h"

struct world {
    struct ev_loop *loop;
    struct ms_redis *redis;
    struct ms_term term;
    struct ms_tasks *tasks;
    int64_t now_ms;
    struct ms_health health;
    struct ms_http_answer answer;
};

static int64_t now(void *arg)
{
    return ((struct world *)arg)->now_ms;
}

static void start_nothing(struct ms_task *task, void *arg)
{
    ms_task_finish(task, MS_OK, NULL);
}

static void stop_nothing(void *arg)
{
}

static void world_init(struct world *w, const char *url)
{
    struct ms_redis_options redis = {.url = url};
    struct ms_tasks_options tasks = {.mono_ms = now, .wall_ms = now, .arg = w};
    struct ms_task_def def = {.name = "reap",
                              .interval_ms = 1000,
                              .deadline_ms = 1000,
                              .start = start_nothing,
                              .stop = stop_nothing};

    memset(w, 0, sizeof(*w));
    w->loop = ev_loop_new(EVFLAG_AUTO);
    CHECK_INT(ms_redis_new(w->loop, &redis, &w->redis, NULL), ==, MS_OK);
    w->tasks = ms_tasks_new(&tasks);
    ms_tasks_add(w->tasks, &def);
    w->health = (struct ms_health){.redis = w->redis,
                                   .term = &w->term,
                                   .tasks = w->tasks,
                                   .schema_ok = true};
}

static void world_done(struct world *w)
{
    ms_buf_done(&w->answer.body);
    ms_tasks_free(w->tasks);
    ms_redis_free(w->redis);
    ev_loop_destroy(w->loop);
}

static int get(struct world *w, const char *path)
{
    ms_buf_clear(&w->answer.body);
    return ms_health_answer("GET", path, &w->answer, &w->health);
}

/* A restart would not bring Redis back. */
static TEST(test_without_redis_it_is_healthy_and_not_ready)
{
    struct world w;

    world_init(&w, "unix:///nowhere/redis.sock");
    CHECK_INT(get(&w, "/healthz"), ==, 200);
    CHECK_INT(get(&w, "/readyz"), ==, 503);
    CHECK_CONTAINS(ms_buf_str(&w.answer.body), "Redis");
    world_done(&w);
}

static TEST(test_ready_needs_the_layout_and_leads_or_stands_by)
{
    struct ms_test_redis *server = ms_test_redis_start(NULL);
    struct world w;

    world_init(&w, ms_test_redis_url(server));
    ms_redis_start(w.redis);
    CHECK_INT(ms_redis_wait_up(w.redis, 10000, NULL), ==, MS_OK);
    w.health.schema_ok = false;
    CHECK_INT(get(&w, "/readyz"), ==, 503);
    w.health.schema_ok = true;
    CHECK_INT(get(&w, "/readyz"), ==, 200);
    CHECK_STR(ms_buf_str(&w.answer.body), "ok standby\n");
    w.term.leads = true;
    CHECK_INT(get(&w, "/readyz"), ==, 200);
    CHECK_STR(ms_buf_str(&w.answer.body), "ok leader\n");
    world_done(&w);
    ms_test_redis_stop(server);
}

static TEST(test_an_overdue_task_is_named)
{
    struct world w;

    world_init(&w, "unix:///nowhere/redis.sock");
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    CHECK_INT(get(&w, "/healthz"), ==, 200);
    w.now_ms += 60000;
    CHECK_INT(get(&w, "/healthz"), ==, 503);
    CHECK_CONTAINS(ms_buf_str(&w.answer.body), "reap");
    ms_tasks_stop(w.tasks); /* a standby has no tasks to be late with */
    CHECK_INT(get(&w, "/healthz"), ==, 200);
    world_done(&w);
}

static TEST(test_other_paths_and_methods_are_refused)
{
    struct world w;

    world_init(&w, "unix:///nowhere/redis.sock");
    CHECK_INT(get(&w, "/"), ==, 404);
    CHECK_INT(get(&w, "/healthz/x"), ==, 404);
    CHECK_INT(ms_health_answer("POST", "/healthz", &w.answer, &w.health), ==,
              405);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_without_redis_it_is_healthy_and_not_ready),
        RUN(test_ready_needs_the_layout_and_leads_or_stands_by),
        RUN(test_an_overdue_task_is_named),
        RUN(test_other_paths_and_methods_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

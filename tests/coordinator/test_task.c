/* The registry of periodic tasks, with a clock that the tests move. */
#include <stdio.h>

#include "coordinator/task.h"
#include "tests/support/support.h"

struct job {
    struct ms_task *run; /* NULL while it does not run */
    int starts, stops;
    bool at_once; /* finishes inside its start */
    enum ms_err err;
};

struct world {
    int64_t now_ms;
    struct ms_tasks *tasks;
    struct job a, b;
    int notes;
    struct ms_task_record noted;
    char noted_error[256];
};

static int64_t mono(void *arg)
{
    return ((struct world *)arg)->now_ms;
}

static int64_t wall(void *arg)
{
    return ((struct world *)arg)->now_ms + 1000000;
}

static void on_note(const struct ms_task_record *record, void *arg)
{
    struct world *world = arg;

    if (strcmp(record->name, "a") != 0)
        return;
    world->notes++;
    world->noted = *record;
    snprintf(world->noted_error, sizeof(world->noted_error), "%s",
             record->last_error);
}

static void job_start(struct ms_task *run, void *arg)
{
    struct job *job = arg;

    job->starts++;
    job->run = run;
    if (job->at_once) {
        job->run = NULL;
        ms_task_finish(run, job->err, "as told");
    }
}

static void job_stop(void *arg)
{
    struct job *job = arg;

    job->stops++;
    job->run = NULL;
}

static void job_finish(struct job *job, enum ms_err err, const char *text)
{
    struct ms_task *run = job->run;

    job->run = NULL;
    ms_task_finish(run, err, text);
}

static void world_init(struct world *world)
{
    struct ms_tasks_options options = {.mono_ms = mono,
                                       .wall_ms = wall,
                                       .note = on_note,
                                       .arg = world,
                                       .seed = ms_test_seed()};
    struct ms_task_def def = {.interval_ms = 1000,
                              .deadline_ms = 5000,
                              .start = job_start,
                              .stop = job_stop};

    memset(world, 0, sizeof(*world));
    world->now_ms = 500000;
    world->tasks = ms_tasks_new(&options);
    def.name = "a";
    def.arg = &world->a;
    ms_tasks_add(world->tasks, &def);
    def.name = "b";
    def.arg = &world->b;
    ms_tasks_add(world->tasks, &def);
}

static void world_done(struct world *world)
{
    ms_tasks_free(world->tasks);
}

/* Moves the clock from wake-up to wake-up, as a loop would. */
static void pass(struct world *world, int64_t ms)
{
    int64_t end = world->now_ms + ms;

    for (;;) {
        int64_t wait = ms_tasks_step(world->tasks);

        if (world->now_ms + wait > end)
            break;
        world->now_ms += wait > 0 ? wait : 1;
    }
    world->now_ms = end;
    ms_tasks_step(world->tasks);
}

static TEST(test_every_task_runs_at_once_when_a_term_begins)
{
    struct world w;

    world_init(&w);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 0);
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 1);
    CHECK_INT(w.b.starts, ==, 1);
    world_done(&w);
}

static TEST(test_a_task_runs_again_after_about_its_interval)
{
    struct world w;

    world_init(&w);
    w.a.at_once = true;
    ms_tasks_start(w.tasks);
    pass(&w, 899);
    CHECK_INT(w.a.starts, ==, 1);
    pass(&w, 202);
    CHECK_INT(w.a.starts, ==, 2);
    pass(&w, 100000);
    CHECK_INT(w.a.starts, >, 85);
    CHECK_INT(w.a.starts, <, 115);
    world_done(&w);
}

/* Two tasks of one interval that began together must drift apart. */
static TEST(test_runs_are_jittered)
{
    struct world w;
    int together = 0;

    world_init(&w);
    w.a.at_once = w.b.at_once = true;
    ms_tasks_start(w.tasks);
    for (int i = 0; i < 50; i++) {
        int a = w.a.starts, b = w.b.starts;

        w.now_ms += ms_tasks_step(w.tasks);
        together += w.a.starts > a && w.b.starts > b;
    }
    CHECK_INT(together, <, 10);
    world_done(&w);
}

static TEST(test_a_run_under_way_is_not_started_again)
{
    struct world w;

    world_init(&w);
    ms_tasks_start(w.tasks);
    pass(&w, 4000);
    CHECK_INT(w.a.starts, ==, 1);
    job_finish(&w.a, MS_OK, NULL);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 2); /* it had been due for long */
    world_done(&w);
}

static TEST(test_a_task_that_hangs_is_stopped_at_its_deadline)
{
    struct world w;

    world_init(&w);
    w.b.at_once = true;
    ms_tasks_start(w.tasks);
    pass(&w, 4999);
    CHECK_INT(w.a.stops, ==, 0);
    pass(&w, 1);
    CHECK_INT(w.a.stops, ==, 1);
    CHECK_INT(w.a.starts, ==, 2);
    CHECK_CONTAINS(ms_tasks_find(w.tasks, "a")->last_error, "5000 ms");
    CHECK_INT(w.b.starts, >=, 5);
    world_done(&w);
}

static TEST(test_a_failing_task_does_not_stop_another)
{
    struct world w;

    world_init(&w);
    w.a.at_once = w.b.at_once = true;
    w.a.err = MS_EDOWN;
    ms_tasks_start(w.tasks);
    pass(&w, 10000);
    CHECK_INT(w.a.starts, >=, 9);
    CHECK_INT(w.b.starts, >=, 9);
    CHECK_STR(ms_tasks_find(w.tasks, "a")->last_error, "as told");
    CHECK_INT(ms_tasks_find(w.tasks, "a")->last_success_ms, ==, 0);
    CHECK_INT(ms_tasks_find(w.tasks, "b")->last_success_ms, >, 0);
    world_done(&w);
}

static TEST(test_success_clears_the_last_error)
{
    struct world w;

    world_init(&w);
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    job_finish(&w.a, MS_EDOWN, NULL);
    CHECK_STR(ms_tasks_find(w.tasks, "a")->last_error, "down");
    pass(&w, 1200);
    job_finish(&w.a, MS_OK, NULL);
    CHECK_STR(ms_tasks_find(w.tasks, "a")->last_error, "");
    CHECK_INT(ms_tasks_find(w.tasks, "a")->last_success_ms, ==,
              w.now_ms + 1000000);
    CHECK_INT(ms_tasks_find(w.tasks, "a")->run_count, ==, 2);
    world_done(&w);
}

static TEST(test_a_poke_runs_a_task_now)
{
    struct world w;

    world_init(&w);
    w.a.at_once = true;
    CHECK(!ms_tasks_poke(w.tasks, "a")); /* between terms */
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    CHECK(ms_tasks_poke(w.tasks, "a"));
    CHECK(ms_tasks_poke(w.tasks, "a"));
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 2);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 2);
    CHECK(!ms_tasks_poke(w.tasks, "nobody"));
    world_done(&w);
}

/* What came in while it ran may have been too late for that run. */
static TEST(test_pokes_during_a_run_are_one_more_run)
{
    struct world w;

    world_init(&w);
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    ms_tasks_poke(w.tasks, "a");
    ms_tasks_poke(w.tasks, "a");
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 1);
    job_finish(&w.a, MS_OK, NULL);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 2);
    job_finish(&w.a, MS_OK, NULL);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 2);
    world_done(&w);
}

static TEST(test_the_end_of_a_term_stops_what_runs)
{
    struct world w;

    world_init(&w);
    w.b.at_once = true;
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    ms_tasks_stop(w.tasks);
    CHECK_INT(w.a.stops, ==, 1);
    CHECK_INT(w.b.stops, ==, 0);
    pass(&w, 10000);
    CHECK_INT(w.a.starts, ==, 1);
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.a.starts, ==, 2);
    world_done(&w);
}

static TEST(test_records_are_noted_and_at_most_once_a_second)
{
    struct world w;

    world_init(&w);
    w.a.at_once = true;
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    CHECK_INT(w.notes, ==, 1);
    CHECK_INT(w.noted.run_count, ==, 1);
    CHECK_INT(w.noted.last_run_ms, ==, w.now_ms + 1000000);
    CHECK_INT(w.noted.next_run_ms, >=, w.now_ms + 1000000 + 900);
    CHECK(!w.noted.running);
    for (int i = 0; i < 50; i++) {
        ms_tasks_poke(w.tasks, "a");
        pass(&w, 10);
    }
    CHECK_INT(w.notes, ==, 1);
    pass(&w, 600);
    CHECK_INT(w.notes, ==, 2);
    CHECK_INT(w.noted.run_count, >=, 51);
    world_done(&w);
}

static TEST(test_a_long_run_is_noted_as_running)
{
    struct world w;

    world_init(&w);
    ms_tasks_start(w.tasks);
    pass(&w, 499);
    CHECK_INT(w.notes, ==, 0);
    pass(&w, 1);
    CHECK(w.noted.running);
    job_finish(&w.a, MS_OK, NULL);
    pass(&w, 1200);
    CHECK_INT(w.noted.run_count, ==, 2); /* and waits for the second to end */
    world_done(&w);
}

static TEST(test_a_new_leader_counts_on)
{
    struct world w;
    struct ms_task_record old = {.name = "a",
                                 .run_count = 41,
                                 .last_run_ms = 7,
                                 .last_success_ms = 6};

    world_init(&w);
    ms_tasks_adopt(w.tasks, &old);
    old.name = "unknown here";
    ms_tasks_adopt(w.tasks, &old);
    CHECK_INT(ms_tasks_find(w.tasks, "a")->last_success_ms, ==, 6);
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    CHECK_INT(ms_tasks_find(w.tasks, "a")->run_count, ==, 42);
    world_done(&w);
}

/* The answer comes when the first run is over already; and a leader that led
 * before must not count its own runs twice. */
static TEST(test_an_adopted_count_comes_late_and_counts_nothing_twice)
{
    struct world w;
    struct ms_task_record old = {.name = "a", .run_count = 41};

    world_init(&w);
    w.a.at_once = true;
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    ms_tasks_adopt(w.tasks, &old);
    CHECK_INT(ms_tasks_find(w.tasks, "a")->run_count, ==, 42);
    ms_tasks_stop(w.tasks);
    ms_tasks_start(w.tasks);
    old.run_count = 42;
    ms_tasks_adopt(w.tasks, &old);
    CHECK_INT(ms_tasks_find(w.tasks, "a")->run_count, ==, 42);
    world_done(&w);
}

/* The clock jumps and nobody steps: the loop stood still. */
static TEST(test_a_task_that_does_not_run_is_overdue)
{
    struct world w;

    world_init(&w);
    CHECK(ms_tasks_overdue(w.tasks) == NULL);
    w.a.at_once = w.b.at_once = true;
    ms_tasks_start(w.tasks);
    ms_tasks_step(w.tasks);
    w.now_ms += 5000;
    CHECK(ms_tasks_overdue(w.tasks) == NULL);
    w.now_ms += 10000;
    CHECK_STR(ms_tasks_overdue(w.tasks), "a");
    CHECK(ms_tasks_find(w.tasks, "a")->overdue);
    ms_tasks_step(w.tasks);
    CHECK(ms_tasks_overdue(w.tasks) == NULL);
    ms_tasks_stop(w.tasks);
    w.now_ms += 100000;
    CHECK(ms_tasks_overdue(w.tasks) == NULL); /* nobody leads */
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_every_task_runs_at_once_when_a_term_begins),
        RUN(test_a_task_runs_again_after_about_its_interval),
        RUN(test_runs_are_jittered),
        RUN(test_a_run_under_way_is_not_started_again),
        RUN(test_a_task_that_hangs_is_stopped_at_its_deadline),
        RUN(test_a_failing_task_does_not_stop_another),
        RUN(test_success_clears_the_last_error),
        RUN(test_a_poke_runs_a_task_now),
        RUN(test_pokes_during_a_run_are_one_more_run),
        RUN(test_the_end_of_a_term_stops_what_runs),
        RUN(test_records_are_noted_and_at_most_once_a_second),
        RUN(test_a_long_run_is_noted_as_running),
        RUN(test_a_new_leader_counts_on),
        RUN(test_an_adopted_count_comes_late_and_counts_nothing_twice),
        RUN(test_a_task_that_does_not_run_is_overdue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

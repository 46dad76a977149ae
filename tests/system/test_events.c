/* musterctl events: pages, and following as things happen. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "tests/support/fleet.h"

static struct ms_test_fleet *fleet;

static void begin(void)
{
    static const char *const args[] = {"--appendonly", "yes", "--appendfsync",
                                       "always", NULL};

    fleet = ms_test_fleet_new(args, "worker: { queues: [a], http: \"off\" }\n");
}

static void finish(void)
{
    ms_test_fleet_free(fleet);
}

/* A job that ends as dead at once, without any pod: its event is its own. */
static void dead_job(const char *queue, const char *id)
{
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue %s --id %s",
                          queue, id),
              ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "job cancel %s --queue %s", id, queue), ==, 0);
}

static struct ms_proc *follow(const char *option, const char *value)
{
    const char *argv[] = {"musterctl", "--config", fleet->conf,
                          "events",    "--follow", "--json",
                          option,      value,      NULL};

    return ms_proc_start(argv, NULL);
}

/* How many lines of its output contain the text. */
static int lines_with(struct ms_proc *proc, const char *text)
{
    const char *at = ms_proc_stdout(proc);
    int n = 0;

    while (*at != '\0') {
        size_t len = strcspn(at, "\n");

        n += memmem(at, len, text, strlen(text)) != NULL;
        at += len + (at[len] == '\n');
    }
    return n;
}

/* It stands once it tells of what happens now: until then, more happens. */
static void wait_following(struct ms_proc *proc, const char *queue)
{
    static int n;
    char id[32];

    do {
        snprintf(id, sizeof(id), "probe%d", n++);
        dead_job(queue, id);
    } while (lines_with(proc, "probe") == 0);
}

static void end(struct ms_proc *proc, int signal)
{
    ms_proc_signal(proc, signal);
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 0);
    CHECK_STR(ms_proc_stderr(proc), "");
    ms_proc_free(proc);
}

static TEST(test_a_page_shows_what_happened_newest_first)
{
    begin();
    dead_job("a", "A1");
    dead_job("b", "B1");
    CHECK_INT(ms_test_ctl(fleet, "events --json --type dead --limit 1"), ==, 0);
    CHECK_STR(ms_test_ctl_field("id"), "B1");
    CHECK_STR(ms_test_ctl_field("queue"), "b");
    CHECK_STR(ms_test_ctl_field("kind"), "noop.echo");
    CHECK_CONTAINS(ms_test_ctl_stdout(), "\"next\":\"");
    CHECK_INT(ms_test_ctl(fleet, "events --json --type dead --cursor %s",
                          ms_test_ctl_field("next")),
              ==, 0);
    CHECK_STR(ms_test_ctl_field("id"), "A1");
    CHECK_CONTAINS(ms_test_ctl_stdout(), "\"next\":null");
    CHECK_INT(ms_test_ctl(fleet, "events --queue a"), ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "TYPE");
    CHECK_CONTAINS(ms_test_ctl_stdout(), "A1");
    CHECK(strstr(ms_test_ctl_stdout(), "B1") == NULL);
    finish();
}

static TEST(test_misuse_is_told)
{
    begin();
    CHECK_INT(ms_test_ctl(fleet, "events --cursor nonsense"), ==, 2);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "nonsense");
    CHECK_INT(ms_test_ctl(fleet, "events --queue a/b"), ==, 2);
    CHECK_INT(ms_test_ctl(fleet, "events --limit 0"), ==, 2);
    CHECK_INT(ms_test_ctl(fleet, "events --follow --cursor 5-1@a"), ==, 2);
    finish();
}

static TEST(test_following_tells_two_queues_and_a_new_one)
{
    struct ms_proc *proc;

    begin();
    dead_job("a", "PAST");
    dead_job("b", "PAST2");
    proc = follow(NULL, NULL);
    wait_following(proc, "a");
    dead_job("a", "A1");
    dead_job("b", "B1");
    dead_job("new", "N1");
    WAIT_FOR(20000, lines_with(proc, "\"N1\"") == 2); /* cancelled, dead */
    CHECK_INT(lines_with(proc, "\"A1\""), ==, 2);
    CHECK_INT(lines_with(proc, "\"B1\""), ==, 2);
    CHECK_INT(lines_with(proc, "PAST"), ==, 0);
    end(proc, SIGTERM);
    finish();
}

static TEST(test_following_one_queue_begins_with_its_last_events)
{
    struct ms_proc *proc;

    begin();
    dead_job("a", "A1");
    dead_job("a", "A2");
    dead_job("b", "B1");
    proc = follow("--limit=2", "--queue=a");
    WAIT_FOR(20000, lines_with(proc, "\"A2\"") == 2);
    dead_job("b", "B2");
    dead_job("a", "A3");
    WAIT_FOR(20000, lines_with(proc, "\"A3\"") == 2);
    CHECK_INT(lines_with(proc, "\"at_ms\""), ==, 4);
    end(proc, SIGINT);
    finish();
}

/* Nothing twice, nothing left out, and it says what it waits for. */
static TEST(test_following_goes_on_after_a_restart_of_redis)
{
    struct ms_proc *proc;

    begin();
    proc = follow(NULL, NULL);
    wait_following(proc, "a");
    dead_job("a", "A1");
    WAIT_FOR(20000, lines_with(proc, "\"A1\"") == 2);
    ms_test_redis_down(fleet->redis, SIGKILL);
    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "waiting") != NULL);
    ms_test_redis_up(fleet->redis);
    dead_job("a", "A2");
    dead_job("b", "B2");
    WAIT_FOR(30000, lines_with(proc, "\"A2\"") == 2 &&
                        lines_with(proc, "\"B2\"") == 2);
    CHECK_INT(lines_with(proc, "\"A1\""), ==, 2);
    CHECK_CONTAINS(ms_proc_stderr(proc), "is back");
    ms_proc_signal(proc, SIGTERM);
    CHECK_INT(ms_proc_wait(proc, 20000), ==, 0);
    ms_proc_free(proc);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_page_shows_what_happened_newest_first),
        RUN(test_misuse_is_told),
        RUN(test_following_tells_two_queues_and_a_new_one),
        RUN(test_following_one_queue_begins_with_its_last_events),
        RUN(test_following_goes_on_after_a_restart_of_redis),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

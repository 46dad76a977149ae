/* Schedules with whole programs: commands, seeds, and leaders that die. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/ctl.h"
#include "tests/support/fleet.h"

static struct ms_test_redis *server;

static int setup(void **state)
{
    server = ms_test_redis_start(NULL);
    return 0;
}

static int teardown(void **state)
{
    ms_ctl_forget();
    ms_test_redis_stop(server);
    return 0;
}

/* ---- commands ---- */

static void check_refused(const char *words, const char *last, const char *why)
{
    const struct ms_ctl_run *run = ms_ctl_run(server, words, last);

    CHECK_INT(run->code, ==, 2);
    CHECK_CONTAINS(run->err, why);
    CHECK_STR(run->out, "");
    CHECK_INT(ms_test_num(server, "EXISTS ms:{m}:cron:x ms:{m}:crons"), ==, 0);
}

static TEST(test_what_is_refused_is_not_stored)
{
    check_refused("cron set x kind=k %", "cron=0 3 30 2 *", "never fires");
    check_refused("cron set x kind=k %", "cron=0 3 * *", "five fields");
    check_refused("cron set x kind=k cron=@daily tz=Mars", NULL,
                  "tz: time zone 'Mars'");
    check_refused("cron set x cron=@daily", NULL, "'kind' is missing");
    check_refused("cron set x kind=k", NULL, "'cron' is missing");
    check_refused("cron set x kind=k cron=@daily payload={\"a\":", NULL,
                  "payload: line 1");
    check_refused("cron set x kind=k cron=@daily nonsense", NULL,
                  "'nonsense' is not key=value");
    check_refused("cron set x kind=k cron=@daily color=red", NULL,
                  "no field 'color'");
    check_refused("cron set x kind=k cron=@daily misfire=often", NULL,
                  "misfire: ");
    check_refused("cron set {x} kind=k cron=@daily", NULL, "schedule '{x}'");
    check_refused("cron set x kind=k cron=@daily enabled=maybe", NULL,
                  "enabled: ");
    check_refused("cron set", NULL, "missing argument");
}

static TEST(test_what_does_not_exist_is_said_to)
{
    static const char *const verbs[] = {"show",    "rm",      "enable",
                                        "disable", "trigger", NULL};

    for (size_t i = 0; verbs[i] != NULL; i++) {
        char words[64];

        snprintf(words, sizeof(words), "cron %s nobody", verbs[i]);
        CHECK_INT(ms_ctl_run(server, words, NULL)->code, ==, 1);
        CHECK_CONTAINS(ms_ctl_run(server, words, NULL)->err,
                       "there is no schedule 'nobody'");
    }
    CHECK_INT(ms_test_num(server, "EXISTS ms:{m}:cron:nobody"), ==, 0);
}

static TEST(test_a_change_of_one_field_keeps_the_others)
{
    const struct ms_ctl_run *run =
        ms_ctl_json(server, 0, "cron set a kind=k queue=q tz=Europe/Berlin %",
                    "cron=30 2 * * mon-fri");
    char next[32];

    CHECK_STR(ms_ctl_at(run, "misfire"), "\"once\"");
    CHECK_STR(ms_ctl_at(run, "overlap"), "\"skip\"");
    CHECK_STR(ms_ctl_at(run, "enabled"), "true");
    CHECK_STR(ms_ctl_at(run, "payload"), "{}");
    CHECK_STR(ms_ctl_at(run, "pending"), "null");
    snprintf(next, sizeof(next), "%s", ms_ctl_at(run, "next_ms"));
    CHECK_STR(ms_ctl_at(run, "upcoming.0.at_ms"), next);
    run = ms_ctl_json(server, 0, "cron set a misfire=skip payload=[1]", NULL);
    CHECK_STR(ms_ctl_at(run, "misfire"), "\"skip\"");
    CHECK_STR(ms_ctl_at(run, "payload"), "[1]");
    CHECK_STR(ms_ctl_at(run, "tz"), "\"Europe/Berlin\"");
    CHECK_STR(ms_ctl_at(run, "cron"), "\"30 2 * * mon-fri\"");
    CHECK_STR(ms_ctl_at(run, "next_ms"), next);
    run = ms_ctl_json(server, 0, "cron set a --cron %", "@hourly"); /* or so */
    CHECK_STR(ms_ctl_at(run, "cron"), "\"@hourly\"");
    CHECK(strcmp(ms_ctl_at(run, "next_ms"), next) != 0);
    /* a bad field changes none */
    CHECK_INT(ms_ctl_run(server, "cron set a queue=z tz=Mars", NULL)->code, ==,
              2);
    run = ms_ctl_json(server, 0, "cron list", NULL);
    CHECK_STR(ms_ctl_at(run, "0.name"), "\"a\"");
    CHECK_STR(ms_ctl_at(run, "0.queue"), "\"q\"");
    CHECK_STR(ms_ctl_at(run, "1"), "absent");
}

/* What is due is not lost by a new payload. */
static TEST(test_a_new_payload_loses_no_slot)
{
    const struct ms_ctl_run *run;

    ms_ctl_json(server, 0, "cron set a kind=k cron=@hourly", NULL);
    ms_test_cmd(server, "HSET ms:{m}:cron:a next_ms 3600000");
    run = ms_ctl_json(server, 0, "cron set a payload=1", NULL);
    CHECK_STR(ms_ctl_at(run, "next_ms"), "3600000");
    run = ms_ctl_json(server, 0, "cron enable a", NULL); /* it was */
    CHECK_STR(ms_ctl_at(run, "next_ms"), "3600000");
    run = ms_ctl_json(server, 0, "cron disable a", NULL);
    CHECK_STR(ms_ctl_at(run, "enabled"), "false");
    CHECK_STR(ms_ctl_at(run, "next_ms"), "null");
    CHECK_STR(ms_ctl_at(run, "upcoming"), "[]");
    run = ms_ctl_json(server, 0, "cron enable a", NULL);
    CHECK_STR(ms_ctl_at(run, "enabled"), "true");
    CHECK(strcmp(ms_ctl_at(run, "next_ms"), "3600000") != 0);
    run = ms_ctl_json(server, 0, "cron rm a", NULL);
    CHECK_STR(ms_ctl_at(run, "result"), "\"removed\"");
    CHECK_STR(ms_ctl_json(server, 0, "cron list", NULL)->out, "[]\n");
}

static TEST(test_a_trigger_needs_no_coordinator)
{
    const struct ms_ctl_run *run;
    char id[160];

    ms_ctl_json(server, 0, "cron set a~b kind=noop.echo cron=@yearly", NULL);
    run = ms_ctl_json(server, 0, "cron disable a~b", NULL);
    run = ms_ctl_json(server, 0, "cron trigger a~b", NULL);
    snprintf(id, sizeof(id), "%s", ms_ctl_at(run, "id"));
    CHECK_CONTAINS(id, "cron:a:b:");
    CHECK_STR(ms_ctl_at(run, "queue"), "\"default\"");
    CHECK_INT(ms_test_num(server, "HGET ms:{m/default}:stats enqueued"), ==, 1);
    run = ms_ctl_json(server, 0, "cron show a~b", NULL);
    CHECK_STR(ms_ctl_at(run, "trigger_id"), id);
    CHECK_STR(ms_ctl_at(run, "fired"), "0");
    run = ms_ctl_json(server, 0, "cron trigger a~b", NULL);
    CHECK(strcmp(ms_ctl_at(run, "id"), id) != 0);
    ms_ctl_json(server, 0, "cron rm a~b", NULL);
}

/* One that cannot be understood hides none of the others. */
static TEST(test_a_broken_schedule_is_listed_with_its_mistake)
{
    const struct ms_ctl_run *run;

    ms_ctl_json(server, 0, "cron set a kind=k cron=@yearly", NULL);
    ms_ctl_json(server, 0, "cron set b kind=k cron=@yearly", NULL);
    ms_test_cmd(server, "HSET ms:{m}:cron:a cron nonsense");
    run = ms_ctl_json(server, 0, "cron list", NULL);
    CHECK_STR(ms_ctl_at(run, "0.name"), "\"a\"");
    CHECK_CONTAINS(ms_ctl_at(run, "0.last_error"), "cron: ");
    CHECK_STR(ms_ctl_at(run, "1.name"), "\"b\"");
    CHECK_CONTAINS(ms_ctl_run(server, "cron list", NULL)->out, "nonsense");
    ms_ctl_json(server, 0, "cron rm a", NULL);
    ms_ctl_json(server, 0, "cron rm b", NULL);
}

static TEST(test_next_tells_the_times_of_a_line)
{
    const struct ms_ctl_run *run = ms_ctl_json(
        server, 0,
        "cron next --tz Europe/Berlin --n 2 --after 2026-03-28T12:00:00Z %",
        "30 2 * * *");

    CHECK_STR(ms_ctl_at(run, "0.at_ms"), "1774746000000");
    CHECK_STR(ms_ctl_at(run, "0.local"), "\"Sun 2026-03-29 03:00:00 +02:00\"");
    CHECK_STR(ms_ctl_at(run, "1.local"), "\"Mon 2026-03-30 02:30:00 +02:00\"");
    CHECK_STR(ms_ctl_at(run, "2"), "absent");
    CHECK_INT(ms_ctl_run(server, "cron next %", "0 0 31 4 *")->code, ==, 2);
    CHECK_INT(ms_ctl_run(server, "cron next @daily --tz Mars", NULL)->code, ==,
              2);
}

/* ---- the configuration ---- */

static TEST(test_a_bad_schedule_is_found_by_check_config)
{
    static const char yaml[] = "schedules:\n"
                               "  - name: a\n"
                               "    kind: k\n"
                               "    cron: \"0 3 31 11 *\"\n";
    char *path = ms_test_file("bad.yaml", yaml, sizeof(yaml) - 1);
    const char *const argv[] = {"muster-coordinator", "--check-config",
                                "--config", path, NULL};
    char *out = NULL, *err = NULL;

    CHECK_INT(ms_proc_run(argv, NULL, &out, &err), ==, 2);
    CHECK_CONTAINS(err, "bad.yaml:4: schedules[0].cron: day-of-month '31'");
    free(out);
    free(err);
    free(path);
}

/* ---- whole fleets ---- */

#define TICK "ms:{t}:cron:tick"

static const char yaml[] =
    "worker: { queues: [mail], http: off }\n"
    "coordinator: { http: off, lease_ttl: 2s }\n"
    "queues: [{ name: mail, max_workers: 4 }]\n"
    "schedules:\n"
    "  - { name: tick, cron: '@every 1s', kind: noop.echo, queue: mail,\n"
    "      payload: { n: 1 }, overlap: allow, misfire: catch-up 1000 }\n";

static int64_t number(struct ms_test_fleet *fleet, const char *field)
{
    const char *text = ms_test_text(fleet->redis, "HGET " TICK " %s", field);

    return strcmp(text, "(nil)") == 0 ? 0 : strtoll(text, NULL, 10);
}

static int64_t enqueued(struct ms_test_fleet *fleet)
{
    const char *text =
        ms_test_text(fleet->redis, "HGET ms:{t/mail}:stats enqueued");

    return strcmp(text, "(nil)") == 0 ? 0 : strtoll(text, NULL, 10);
}

/* Stops the clock and compares: as many jobs as slots, and no slot left out. */
static void check_one_job_a_slot(struct ms_test_fleet *fleet, int64_t first_ms)
{
    CHECK_INT(ms_test_ctl(fleet, "cron disable tick"), ==, 0);
    WAIT_FOR(30000,
             ms_test_num(fleet->redis, "HEXISTS " TICK " pending_id") == 0);
    CHECK_INT(enqueued(fleet), ==, number(fleet, "fired"));
    CHECK_INT(number(fleet, "fired"), ==,
              (number(fleet, "last_slot_ms") - first_ms) / 1000 + 1);
    CHECK_INT(number(fleet, "missed"), ==, 0);
}

/* The first slot of all, once it is known; by one look, since more are fired
 * meanwhile. */
static int64_t first_slot(struct ms_test_fleet *fleet)
{
    const struct ms_reply *look;
    int64_t taken;

    WAIT_FOR(30000, number(fleet, "next_ms") != 0);
    look = ms_test_cmd(fleet->redis, "HMGET " TICK " next_ms fired pending_id");
    taken = ms_reply_int(ms_reply_at(look, 1), 0) +
            (ms_reply_at(look, 2)->type == MS_REPLY_STR);
    return ms_reply_int(ms_reply_at(look, 0), 0) - 1000 * taken;
}

static TEST(test_configured_schedules_fire_and_their_jobs_run)
{
    struct ms_test_fleet *fleet = ms_test_fleet_new(NULL, yaml);
    struct ms_proc *coordinator = ms_test_coordinator(fleet);
    struct ms_proc *worker = ms_test_worker(fleet);

    WAIT_FOR(60000, ms_test_num(fleet->redis, "ZCARD ms:{t/mail}:done") >= 2);
    CHECK_INT(ms_test_ctl(fleet, "--json job list --queue mail --state done"),
              ==, 0);
    CHECK_CONTAINS(ms_test_ctl_stdout(), "\"result\":{\"n\":1}");
    /* what an operator changes stays, also when a coordinator starts */
    CHECK_INT(ms_test_ctl(fleet, "cron disable tick"), ==, 0);
    ms_proc_free(coordinator);
    coordinator = ms_test_coordinator(fleet);
    WAIT_FOR(30000, strstr(ms_proc_stderr(coordinator), "term_began") != NULL);
    CHECK_INT(number(fleet, "enabled"), ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "task run cron"), ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "task run nonsense"), ==, 1);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "no task 'nonsense'");
    ms_proc_free(worker);
    ms_proc_free(coordinator);
    ms_test_fleet_free(fleet);
}

/* No leader is there to hear of it; whoever does not wait any more does not
 * want the run either. */
static TEST(test_an_interrupted_task_run_leaves_no_order)
{
    struct ms_test_fleet *fleet = ms_test_fleet_new(NULL, "");
    struct ms_proc *proc;

    ms_test_cmd(fleet->redis, "HSET ms:{t}:task:cron name cron run_count 1");
    proc = ms_proc_start((const char *const[]){"musterctl", "--config",
                                               fleet->conf, "task", "run",
                                               "cron", NULL},
                         NULL);
    WAIT_FOR(60000, ms_test_num(fleet->redis, "SCARD ms:{t}:pokes") == 1);
    ms_proc_signal(proc, SIGINT);
    CHECK_INT(ms_proc_wait(proc, 30000), ==, 130);
    CHECK_STR(ms_proc_stderr(proc), "");
    CHECK_INT(ms_test_num(fleet->redis, "SCARD ms:{t}:pokes"), ==, 0);
    ms_proc_free(proc);
    ms_test_fleet_free(fleet);
}

/* Killed while a slot is taken and its queue takes no job. */
static TEST(test_a_leader_killed_between_the_slot_and_its_job)
{
    struct ms_test_fleet *fleet = ms_test_fleet_new(NULL, yaml);
    struct ms_proc *leader, *standby;
    int64_t first;

    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo --queue mail"), ==, 0);
    ms_test_cmd(fleet->redis, "HDEL ms:{t/mail}:stats enqueued");
    ms_test_cmd(fleet->redis, "HSET ms:{t/mail}:cfg max_length 1");
    leader = ms_test_coordinator(fleet);
    first = first_slot(fleet);
    WAIT_FOR(30000,
             ms_test_num(fleet->redis, "HEXISTS " TICK " pending_id") == 1);
    standby = ms_test_coordinator(fleet);
    ms_proc_signal(leader, SIGKILL);
    CHECK_INT(enqueued(fleet), ==, 0);
    ms_test_cmd(fleet->redis, "HSET ms:{t/mail}:cfg max_length 0");
    WAIT_FOR(60000, number(fleet, "fired") >= 3);
    check_one_job_a_slot(fleet, first);
    ms_proc_free(leader);
    ms_proc_free(standby);
    ms_test_fleet_free(fleet);
}

/* A slot a second all the while; then both believe for a moment. */
static TEST(test_a_frozen_leader_fires_no_slot_again)
{
    struct ms_test_fleet *fleet = ms_test_fleet_new(NULL, yaml);
    struct ms_proc *old = ms_test_coordinator(fleet);
    struct ms_proc *new = ms_test_coordinator(fleet);
    int64_t first = first_slot(fleet), fired;

    WAIT_FOR(30000, number(fleet, "fired") >= 1);
    ms_proc_signal(old, SIGSTOP);
    fired = number(fleet, "fired");
    WAIT_FOR(60000, number(fleet, "fired") >= fired + 3);
    ms_proc_signal(old, SIGCONT);
    fired = number(fleet, "fired");
    WAIT_FOR(60000, number(fleet, "fired") >= fired + 2);
    check_one_job_a_slot(fleet, first);
    ms_proc_free(old);
    ms_proc_free(new);
    ms_test_fleet_free(fleet);
}

static int forget(void **state)
{
    ms_test_cmd(server, "FLUSHALL");
    return 0;
}
#define CTL(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CTL(test_what_is_refused_is_not_stored),
        CTL(test_what_does_not_exist_is_said_to),
        CTL(test_a_change_of_one_field_keeps_the_others),
        CTL(test_a_new_payload_loses_no_slot),
        CTL(test_a_trigger_needs_no_coordinator),
        CTL(test_a_broken_schedule_is_listed_with_its_mistake),
        CTL(test_next_tells_the_times_of_a_line),
        RUN(test_a_bad_schedule_is_found_by_check_config),
        RUN(test_configured_schedules_fire_and_their_jobs_run),
        RUN(test_an_interrupted_task_run_leaves_no_order),
        RUN(test_a_leader_killed_between_the_slot_and_its_job),
        RUN(test_a_frozen_leader_fires_no_slot_again),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

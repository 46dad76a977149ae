/* The leader fires schedules, on a real Redis, and whatever happens to it. */
#include "common/schedule.h"
#include "coordinator/task_cron.h"
#include "scripts.h"
#include "tests/coordinator/world.h"
#include "tests/support/proxy.h"

#define PERIOD (INT64_C(1000) * 3600000) /* long: no slot comes meanwhile */
#define A      "ms:{main}:cron:a"
#define JOBS   "ms:{main/mail}:"

static struct ms_test_redis *server;
static struct ms_conf conf = {.max_payload_bytes = 1000};

/* A leader with the one duty. */
struct firing {
    struct world w;
    struct ms_cron_task *cron;
};

static void firing_init(struct firing *f)
{
    world_init(&f->w, server);
    f->cron = ms_cron_task_new(&f->w.duty, &conf);
}

/* Another one, of a later term, on the same Redis. */
static void firing_join(struct firing *f, int64_t epoch)
{
    world_join(&f->w, server, ev_loop_new(EVFLAG_AUTO),
               ms_test_redis_url(server), epoch);
    f->cron = ms_cron_task_new(&f->w.duty, &conf);
}

static void firing_done(struct firing *f)
{
    ms_tasks_free(f->w.duty.tasks);
    ms_cron_task_free(f->cron);
    world_done(&f->w);
}

static void run(struct firing *f)
{
    ms_tasks_start(f->w.duty.tasks);
    run_once(&f->w, "cron");
}

/* ---- schedules and their jobs ---- */

static int64_t now_ms(void)
{
    const struct ms_reply *time = ms_test_cmd(server, "TIME");

    return ms_reply_int(ms_reply_at(time, 0), 0) * 1000;
}

/* The newest slot of "@every 1000h", `n` slots ago. */
static int64_t slot_ago(int64_t n)
{
    return (now_ms() / PERIOD - n) * PERIOD;
}

/* Writes the definition of a schedule of queue "mail"; `key` and `text` change
 * one field (NULL: none). */
static void set(const char *name, int64_t next_ms, const char *key,
                const char *text)
{
    struct ms_schedule_conf def;
    struct ms_cmd cmd = MS_CMD_INIT;
    const char *version =
        ms_test_text(server, "HGET ms:{main}:cron:%s version", name);
    int64_t read = strcmp(version, "(nil)") == 0 ? 0 : atoi(version);

    ms_schedule_conf_init(&def, name);
    ms_schedule_conf_set(&def, "cron", "@every 1000h", NULL);
    ms_schedule_conf_set(&def, "kind", "noop.echo", NULL);
    ms_schedule_conf_set(&def, "queue", "mail", NULL);
    if (key != NULL)
        CHECK_INT(ms_schedule_conf_set(&def, key, text, NULL), ==, MS_OK);
    ms_schedule_set_build(&cmd, "main", &def, read, next_ms);
    CHECK(ms_reply_is(ms_reply_at(ms_test_run(server, &cmd), 0), "ok"));
    ms_schedule_conf_done(&def);
}

/* As a leader that died behind its compare-and-set leaves it. */
static void take(const char *name, int64_t slot_ms)
{
    struct ms_schedule schedule;
    struct ms_schedule_due due = {.slot_ms = slot_ms,
                                  .next_ms = slot_ms + PERIOD};
    struct ms_cmd cmd = MS_CMD_INIT;
    char id[MS_JOB_ID_MAX + 1];

    CHECK_INT(ms_schedule_parse(name,
                                ms_test_cmd(server, "HGETALL ms:{main}:cron:%s",
                                            name),
                                &schedule, NULL),
              ==, MS_OK);
    ms_schedule_job_id(name, slot_ms, id);
    ms_schedule_fire_build(&cmd, "main", &schedule, &due, id, false, 900);
    CHECK(ms_reply_is(ms_reply_at(ms_test_run(server, &cmd), 0), "ok"));
    ms_schedule_done(&schedule);
}

static const char *field(const char *name)
{
    const char *text = ms_test_text(server, "HGET " A " %s", name);

    return strcmp(text, "(nil)") == 0 ? "" : text;
}

static int64_t enqueued(void)
{
    const char *text = ms_test_text(server, "HGET " JOBS "stats enqueued");

    return strcmp(text, "(nil)") == 0 ? 0 : atoi(text);
}

static bool has_job(const char *name, int64_t slot_ms)
{
    char id[MS_JOB_ID_MAX + 1];

    ms_schedule_job_id(name, slot_ms, id);
    return ms_test_num(server, "EXISTS " JOBS "job:%s", id) == 1;
}

static bool is_pending(void)
{
    return field("pending_id")[0] != '\0';
}

/* Ends a job, and forgets it: an hour and more have passed. */
static void forget_job(const char *name, int64_t slot_ms)
{
    char id[MS_JOB_ID_MAX + 1];

    ms_schedule_job_id(name, slot_ms, id);
    ms_test_cmd(server, "DEL " JOBS "job:%s", id);
    ms_test_cmd(server, "DEL " JOBS "gone:%s", id);
}

/* ---- firing ---- */

static TEST(test_a_due_slot_fires_once)
{
    struct firing f;
    int64_t slot;

    firing_init(&f);
    slot = slot_ago(0);
    set("a", slot, "payload", "{\"n\": 1}");
    run(&f);
    run_once(&f.w, "cron");
    CHECK_STR(last_error(&f.w, "cron"), "");
    CHECK_INT(enqueued(), ==, 1);
    CHECK(has_job("a", slot));
    CHECK_INT(ms_test_num(server, "HGET " A " last_slot_ms"), ==, slot);
    CHECK_INT(ms_test_num(server, "HGET " A " next_ms"), ==, slot + PERIOD);
    CHECK_INT(ms_test_num(server, "ZSCORE ms:{main}:crons a"), ==,
              slot + PERIOD);
    CHECK_STR(field("fired"), "1");
    CHECK(!is_pending());
    firing_done(&f);
}

/* Nobody had ever used it: the leader's other duties must find it. */
static TEST(test_a_new_queue_is_made_known_and_stamped)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(0), NULL, NULL);
    run(&f);
    CHECK_INT(ms_test_num(server, "SISMEMBER ms:{main}:queues mail"), ==, 1);
    CHECK_INT(ms_test_num(server, "HGET " JOBS "meta epoch"), ==, 1000);
    firing_done(&f);
}

static TEST(test_the_job_is_as_the_schedule_and_its_kind_say)
{
    char prefix[] = "mail.";
    struct ms_kind_conf rule = {.prefix = prefix,
                                .max_attempts = 7,
                                .timeout_ms = 9000};
    struct firing f;
    char id[MS_JOB_ID_MAX + 1];

    conf.kinds = &rule;
    conf.n_kinds = 1;
    firing_init(&f);
    set("a", slot_ago(0), "kind", "mail.send");
    run(&f);
    ms_schedule_job_id("a", slot_ago(0), id);
    CHECK_STR(ms_test_text(server, "HGET " JOBS "job:%s kind", id),
              "mail.send");
    CHECK_STR(ms_test_text(server, "HGET " JOBS "job:%s payload", id), "\x80");
    CHECK_INT(ms_test_num(server, "HGET " JOBS "job:%s max_attempts", id), ==,
              7);
    CHECK_INT(ms_test_num(server, "HGET " JOBS "job:%s timeout_ms", id), ==,
              9000);
    CHECK_INT(ms_test_num(server, "HGET " JOBS "job:%s own", id), ==, 1);
    firing_done(&f);
    conf.kinds = NULL;
    conf.n_kinds = 0;
}

static TEST(test_a_seed_gets_its_time_and_does_not_fire)
{
    struct firing f;

    firing_init(&f);
    set("a", 0, NULL, NULL);
    run(&f);
    CHECK_INT(ms_test_num(server, "HGET " A " next_ms"), >, slot_ago(0));
    CHECK_INT(enqueued(), ==, 0);
    CHECK_STR(field("missed"), "");
    firing_done(&f);
}

static TEST(test_what_is_disabled_does_not_fire)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(0), "enabled", "false");
    ms_test_cmd(server, "ZADD ms:{main}:crons 5 a"); /* somebody's mistake */
    run(&f);
    CHECK_INT(enqueued(), ==, 0);
    CHECK_STR(ms_test_text(server, "ZSCORE ms:{main}:crons a"), "inf");
    firing_done(&f);
}

/* Not after its interval: when the slot comes. */
static TEST(test_seconds_are_fired_as_they_come)
{
    struct firing f;

    firing_init(&f);
    set("a", 0, "cron", "@every 1s");
    ms_test_cmd(server, "HSET " A " overlap allow");
    ms_tasks_start(f.w.duty.tasks);
    WAIT_FOR(20000, spin(&f.w) && enqueued() >= 3);
    WAIT_FOR(20000, spin(&f.w) && !is_pending() && field("fired")[0] >= '3');
    CHECK_STR(last_error(&f.w, "cron"), "");
    firing_done(&f);
}

/* ---- overlap ---- */

static TEST(test_a_slot_is_skipped_while_the_last_job_has_not_ended)
{
    struct firing f;
    int64_t slot;

    firing_init(&f);
    slot = slot_ago(2);
    set("a", slot, "misfire", "catch-up 9");
    run(&f);
    WAIT_FOR(20000, spin(&f.w) &&
                        ms_test_num(server, "HGET " A " next_ms") > now_ms());
    CHECK_INT(enqueued(), ==, 1);
    CHECK(has_job("a", slot));
    CHECK_STR(field("skipped"), "2");
    CHECK_STR(field("fired"), "1");
    ms_test_cmd(server, "HSET " JOBS "job:%s state dead", field("last_id"));
    set("a", slot_ago(0), NULL, NULL);
    run_once(&f.w, "cron");
    CHECK_INT(enqueued(), ==, 2);
    firing_done(&f);
}

static TEST(test_a_job_triggered_by_hand_counts_as_well)
{
    struct firing f;

    firing_init(&f);
    enqueue(&f.w, "mail", "by-hand", "noop.echo", "\x80", 1, false);
    set("a", slot_ago(0), NULL, NULL);
    ms_test_cmd(server, "HSET " A " trigger_id by-hand trigger_queue mail");
    run(&f);
    CHECK_INT(enqueued(), ==, 1);
    CHECK_STR(field("skipped"), "1");
    firing_done(&f);
}

static TEST(test_overlap_may_be_allowed)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(0), "overlap", "allow");
    ms_test_cmd(server, "HSET " A " misfire %s last_id x last_queue mail",
                "once");
    ms_test_cmd(server, "HSET " JOBS "job:x kind k");
    run(&f);
    CHECK_INT(enqueued(), ==, 1);
    CHECK_STR(field("skipped"), "");
    firing_done(&f);
}

/* ---- misfires ---- */

/* One after another, without waiting for the next second. */
static TEST(test_missed_slots_are_caught_up)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(30), "misfire", "catch-up 20");
    ms_test_cmd(server, "HSET " A " overlap allow");
    ms_tasks_start(f.w.duty.tasks);
    WAIT_FOR(20000, spin(&f.w) && !is_pending() &&
                        ms_test_num(server, "HGET " A " next_ms") > now_ms());
    CHECK_INT(enqueued(), >=, 20); /* and one, had this period just begun */
    CHECK_INT(enqueued(), <=, 21);
    CHECK(has_job("a", slot_ago(0)));
    CHECK(has_job("a", slot_ago(19)));
    CHECK_INT(enqueued() + ms_test_num(server, "HGET " A " missed"), ==, 31);
    firing_done(&f);
}

static TEST(test_missed_slots_are_dropped_and_counted)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(30), "misfire", "skip");
    ms_test_cmd(server, "HSET " A " cron %s tz UTC", "@yearly");
    ms_test_cmd(server, "HSET " A " next_ms %s", "1577836800000"); /* 2020 */
    run(&f);
    CHECK_INT(enqueued(), ==, 0);
    CHECK_INT(ms_test_num(server, "HGET " A " missed"), >=, 6);
    CHECK_INT(ms_test_num(server, "HGET " A " next_ms"), >, now_ms());
    firing_done(&f);
}

/* ---- leaders that die ---- */

/* Killed between compare-and-set and enqueue. */
static TEST(test_the_next_leader_fires_what_is_pending)
{
    struct firing f;
    int64_t slot;

    firing_init(&f);
    slot = slot_ago(0);
    set("a", slot, NULL, NULL);
    take("a", slot);
    CHECK_INT(enqueued(), ==, 0);
    run(&f);
    CHECK_INT(enqueued(), ==, 1);
    CHECK(has_job("a", slot));
    CHECK(!is_pending());
    CHECK_STR(field("fired"), "1");
    run_once(&f.w, "cron");
    CHECK_INT(enqueued(), ==, 1);
    firing_done(&f);
}

/* Killed between enqueue and clear. */
static TEST(test_the_next_leader_does_not_fire_twice)
{
    struct firing f;
    int64_t slot;
    char id[MS_JOB_ID_MAX + 1];

    firing_init(&f);
    slot = slot_ago(0);
    ms_schedule_job_id("a", slot, id);
    set("a", slot, NULL, NULL);
    take("a", slot);
    enqueue(&f.w, "mail", id, "noop.echo", "\x80", 1, false);
    run(&f);
    CHECK_INT(enqueued(), ==, 1);
    CHECK(!is_pending());
    CHECK_STR(field("last_id"), id);
    CHECK_STR(field("fired"), "1");
    firing_done(&f);
}

/* The same, and nobody led until the job had ended, and all that is kept of
 * such a job and its id for some time was gone. */
static TEST(test_the_next_leader_may_come_however_late)
{
    struct firing f;
    int64_t slot;
    char id[MS_JOB_ID_MAX + 1];

    firing_init(&f);
    slot = slot_ago(0);
    ms_schedule_job_id("a", slot, id);
    set("a", slot, NULL, NULL);
    run(&f);
    CHECK_INT(enqueued(), ==, 1);
    ms_test_cmd(server,
                "HSET " A " pending_slot_ms %s pending_id %s pending_queue "
                "mail",
                field("last_slot_ms"), id); /* it did not clear */
    ms_test_cmd(server, "ZADD ms:{main}:crons 5 a");
    forget_job("a", slot);
    run_once(&f.w, "cron");
    CHECK_INT(enqueued(), ==, 1);
    CHECK(!has_job("a", slot));
    CHECK(!is_pending());
    /* the next slot is another one */
    ms_test_cmd(server, "HSET " A " next_ms %s cron %s", "5000", "@yearly");
    ms_test_cmd(server, "ZADD ms:{main}:crons 5 a");
    run_once(&f.w, "cron");
    CHECK_INT(enqueued(), ==, 2);
    firing_done(&f);
}

/* It may be there already: another queue would not know. */
static TEST(test_a_pending_slot_stays_with_its_queue)
{
    struct firing f;
    int64_t slot;

    firing_init(&f);
    slot = slot_ago(0);
    set("a", slot, NULL, NULL);
    take("a", slot);
    set("a", slot + PERIOD, "queue", "other");
    run(&f);
    CHECK(has_job("a", slot));
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main/other}:stats"), ==, 0);
    CHECK_STR(field("last_queue"), "mail");
    firing_done(&f);
}

static TEST(test_a_pending_slot_fires_though_it_was_disabled)
{
    struct firing f;
    int64_t slot;

    firing_init(&f);
    slot = slot_ago(0);
    set("a", slot, NULL, NULL);
    take("a", slot);
    set("a", 0, "enabled", "false");
    run(&f);
    CHECK(has_job("a", slot));
    CHECK_STR(ms_test_text(server, "ZSCORE ms:{main}:crons a"), "inf");
    firing_done(&f);
}

/* At any moment; each term begins where the last one ended. */
static TEST(test_stopped_anywhere_it_fires_each_slot_once)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(19), "misfire", "catch-up 20");
    ms_test_cmd(server, "HSET " A " overlap allow");
    for (int turns = 0; turns < 60; turns++) {
        ms_tasks_start(f.w.duty.tasks);
        for (int i = 0; i < turns % 13; i++)
            spin(&f.w);
        ms_tasks_stop(f.w.duty.tasks);
    }
    ms_tasks_start(f.w.duty.tasks);
    WAIT_FOR(20000, spin(&f.w) && !is_pending() &&
                        ms_test_num(server, "HGET " A " next_ms") > now_ms());
    CHECK_INT(enqueued(), ==, 20);
    CHECK_INT(ms_test_num(server, "HGET " A " fired"), ==, 20);
    firing_done(&f);
}

/* ---- two leaders ---- */

/* The old one does not know yet that it is one. */
static TEST(test_two_leaders_fire_each_slot_once)
{
    struct firing old, new;

    firing_init(&old);
    firing_join(&new, 2000);
    set("a", slot_ago(49), "misfire", "catch-up 50");
    ms_test_cmd(server, "HSET " A " overlap allow");
    ms_tasks_start(old.w.duty.tasks);
    ms_tasks_start(new.w.duty.tasks);
    WAIT_FOR(20000, spin(&old.w) && spin(&new.w) && !is_pending() &&
                        ms_test_num(server, "HGET " A " next_ms") > now_ms());
    CHECK_INT(enqueued(), ==, 50);
    CHECK_INT(ms_test_num(server, "HGET " A " fired"), ==, 50);
    firing_done(&new);
    firing_done(&old);
}

static TEST(test_an_older_leader_fires_nothing)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(0), NULL, NULL);
    ms_test_cmd(server, "SET ms:{main}:epoch 2000");
    run(&f);
    CHECK_INT(enqueued(), ==, 0);
    CHECK_INT(ms_test_num(server, "HGET " A " next_ms"), ==, slot_ago(0));
    CHECK_STR(field("last_error"), "");
    CHECK(last_error(&f.w, "cron")[0] != '\0');
    firing_done(&f);
}

static TEST(test_nothing_is_sent_without_trust)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(0), NULL, NULL);
    f.w.term.trusted_until_ms = 0;
    run(&f);
    CHECK_INT(enqueued(), ==, 0);
    firing_done(&f);
}

/* ---- leaders behind a wire that the test can hold or cut ---- */

struct wired {
    struct firing f;
    struct ev_loop *loop;
    struct ms_test_proxy *proxy;
};

static void wired_init(struct wired *w, int64_t slot)
{
    struct world loads;

    world_init(&loads, server);
    enqueue(&loads, "mail", "first", "noop.echo", "\x80", 1, false);
    ms_test_cmd(server, "DEL " JOBS "stats");
    ms_tasks_free(loads.duty.tasks);
    world_done(&loads);
    w->loop = ev_loop_new(EVFLAG_AUTO);
    w->proxy = ms_test_proxy_new(w->loop, server);
    world_join(&w->f.w, server, w->loop, ms_test_proxy_url(w->proxy), 1000);
    w->f.cron = ms_cron_task_new(&w->f.w.duty, &conf);
    set("a", slot, NULL, NULL);
}

static void wired_done(struct wired *w)
{
    ms_tasks_free(w->f.w.duty.tasks);
    ms_cron_task_free(w->f.cron);
    ms_view_free(w->f.w.duty.view);
    ms_redis_free(w->f.w.redis);
    ms_test_proxy_free(w->proxy);
    ev_loop_destroy(w->loop);
}

/* Frozen with its enqueue on the wire; the next leader fires the slot, the job
 * ends, record and memory of its id go; then the old enqueue arrives. */
static TEST(test_a_frozen_leader_that_wakes_an_hour_later_is_refused)
{
    struct wired old;
    struct firing new;
    int64_t slot = slot_ago(0);

    wired_init(&old, slot);
    ms_test_proxy_hold_request(old.proxy, ms_script_enqueue.sha1);
    ms_tasks_start(old.f.w.duty.tasks);
    WAIT_FOR(20000, spin(&old.f.w) && ms_test_proxy_cuts(old.proxy) == 1);
    CHECK(is_pending());
    CHECK_INT(enqueued(), ==, 0);

    firing_join(&new, 2000);
    run(&new);
    CHECK_INT(enqueued(), ==, 1);
    CHECK(has_job("a", slot));
    CHECK(!is_pending());
    forget_job("a", slot);

    ms_test_proxy_deliver(old.proxy);
    WAIT_FOR(20000, spin(&old.f.w) &&
                        !ms_tasks_find(old.f.w.duty.tasks, "cron")->running);
    CHECK_INT(enqueued(), ==, 1);
    CHECK(!has_job("a", slot));
    CHECK_STR(field("fired"), "1");
    firing_done(&new);
    wired_done(&old);
}

/* The same, but held before the compare-and-set arrives. */
static TEST(test_a_frozen_leader_takes_no_slot)
{
    struct wired old;
    struct firing new;
    int64_t slot = slot_ago(0);

    wired_init(&old, slot);
    take("a", slot); /* so that the script is there */
    set("b", slot, NULL, NULL);
    ms_test_cmd(server, "DEL " A);
    ms_test_proxy_hold_request(old.proxy, ms_script_cron_fire.sha1);
    ms_tasks_start(old.f.w.duty.tasks);
    WAIT_FOR(20000, spin(&old.f.w) && ms_test_proxy_cuts(old.proxy) == 1);
    firing_join(&new, 2000);
    ms_test_cmd(server, "SET ms:{main}:epoch 2000");
    run(&new);
    CHECK_INT(enqueued(), ==, 1);
    forget_job("b", slot);
    ms_test_proxy_deliver(old.proxy);
    WAIT_FOR(20000, spin(&old.f.w) &&
                        !ms_tasks_find(old.f.w.duty.tasks, "cron")->running);
    CHECK_INT(enqueued(), ==, 1);
    firing_done(&new);
    wired_done(&old);
}

static void check_lost_reply(const struct ms_script *script)
{
    struct wired w;
    int64_t slot = slot_ago(0);

    wired_init(&w, slot);
    ms_test_proxy_lose_reply(w.proxy, script->sha1);
    ms_tasks_start(w.f.w.duty.tasks);
    WAIT_FOR(20000, spin(&w.f.w) && ms_test_proxy_cuts(w.proxy) == 1);
    WAIT_FOR(20000, spin(&w.f.w) && !is_pending() && field("fired")[0] == '1');
    run_once(&w.f.w, "cron"); /* it goes on */
    CHECK_INT(enqueued(), ==, 1);
    CHECK(has_job("a", slot));
    wired_done(&w);
}

static TEST(test_a_lost_answer_fires_nothing_twice)
{
    check_lost_reply(&ms_script_cron_look);
    check_lost_reply(&ms_script_cron_fire);
    check_lost_reply(&ms_script_enqueue);
    check_lost_reply(&ms_script_cron_clear);
}

/* ---- what is broken ---- */

static TEST(test_broken_schedules_do_not_stop_the_others)
{
    struct firing f;
    int64_t slot;

    firing_init(&f);
    slot = slot_ago(0);
    set("a", slot, NULL, NULL);
    set("line", slot, NULL, NULL);
    ms_test_cmd(server, "HSET ms:{main}:cron:line cron nonsense");
    set("zone", slot, NULL, NULL);
    ms_test_cmd(server, "HSET ms:{main}:cron:zone tz Mars");
    set("payload", slot, NULL, NULL);
    ms_test_cmd(server, "HSET ms:{main}:cron:payload payload {");
    set("queue", slot, "queue", "broken");
    ms_test_cmd(server, "SET ms:{main/broken}:depth oops");
    ms_test_cmd(server, "SET ms:{main}:cron:type oops");
    ms_test_cmd(server, "ZADD ms:{main}:crons 1 type 2 nobody");
    run(&f);
    CHECK_INT(enqueued(), ==, 1);
    CHECK(has_job("a", slot));
    CHECK_STR(last_error(&f.w, "cron"), "");
    CHECK_CONTAINS(ms_test_text(server, "HGET ms:{main}:cron:line last_error"),
                   "cron: ");
    CHECK_CONTAINS(ms_test_text(server, "HGET ms:{main}:cron:zone last_error"),
                   "'Mars'");
    CHECK_CONTAINS(ms_test_text(server,
                                "HGET ms:{main}:cron:payload last_error"),
                   "payload: ");
    CHECK_CONTAINS(ms_test_text(server, "HGET ms:{main}:cron:queue last_error"),
                   "WRONGTYPE");
    CHECK_STR(ms_test_text(server, "ZSCORE ms:{main}:crons nobody"), "(nil)");
    CHECK_INT(ms_test_num(server, "ZCOUNT ms:{main}:crons 0 10"), ==, 0);
    firing_done(&f);
}

/* More than are looked at in one run, and all before the good one. */
static TEST(test_any_number_of_broken_ones_does_not_stop_the_others)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(0), NULL, NULL);
    for (int i = 0; i < 130; i++) {
        ms_test_cmd(server, "HSET ms:{main}:cron:bad%d cron nonsense version 1",
                    i);
        ms_test_cmd(server, "ZADD ms:{main}:crons %d bad%d", i, i);
    }
    ms_tasks_start(f.w.duty.tasks);
    WAIT_FOR(20000, spin(&f.w) && enqueued() == 1);
    firing_done(&f);
}

/* The slot is kept, and fires once there is room. */
static TEST(test_a_full_queue_is_waited_for)
{
    struct firing f;

    firing_init(&f);
    enqueue(&f.w, "mail", "other", "noop.echo", "\x80", 1, false);
    ms_test_cmd(server, "HSET " JOBS "cfg max_length 1");
    set("a", slot_ago(0), NULL, NULL);
    run(&f);
    CHECK(is_pending());
    CHECK_CONTAINS(field("last_error"), "max_length");
    CHECK_STR(last_error(&f.w, "cron"), ""); /* the schedule's, not its */
    ms_test_cmd(server, "HSET " JOBS "cfg max_length 2");
    ms_test_cmd(server, "ZADD ms:{main}:crons 5 a"); /* its three seconds */
    run_once(&f.w, "cron");
    CHECK_INT(enqueued(), ==, 2);
    CHECK(!is_pending());
    CHECK_STR(field("last_error"), "");
    CHECK_STR(last_error(&f.w, "cron"), "");
    firing_done(&f);
}

/* A payload that has become too large for this leader's configuration. */
static TEST(test_a_payload_over_the_limit_is_not_enqueued)
{
    struct firing f;

    firing_init(&f);
    set("a", slot_ago(0), "payload", "\"longer than this\"");
    conf.max_payload_bytes = 5;
    run(&f);
    conf.max_payload_bytes = 1000;
    CHECK_INT(enqueued(), ==, 0);
    CHECK_CONTAINS(field("last_error"), "max_payload");
    firing_done(&f);
}

/* ---- cost ---- */

static TEST(test_an_idle_fleet_costs_one_call_a_look)
{
    struct firing f;
    char *info;

    firing_init(&f);
    for (int i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%d", i);
        set(name, INT64_C(9000000000000), NULL, NULL);
    }
    run(&f);
    ms_test_cmd(server, "CONFIG RESETSTAT");
    run_once(&f.w, "cron");
    info = ms_xstrdup(ms_test_text(server, "INFO commandstats"));
    CHECK_CONTAINS(info, "cmdstat_evalsha:calls=1,");
    CHECK(strstr(info, "cmdstat_hgetall") == NULL);
    free(info);
    firing_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_due_slot_fires_once),
        RUN(test_a_new_queue_is_made_known_and_stamped),
        RUN(test_the_job_is_as_the_schedule_and_its_kind_say),
        RUN(test_a_seed_gets_its_time_and_does_not_fire),
        RUN(test_what_is_disabled_does_not_fire),
        RUN(test_seconds_are_fired_as_they_come),
        RUN(test_a_slot_is_skipped_while_the_last_job_has_not_ended),
        RUN(test_a_job_triggered_by_hand_counts_as_well),
        RUN(test_overlap_may_be_allowed),
        RUN(test_missed_slots_are_caught_up),
        RUN(test_missed_slots_are_dropped_and_counted),
        RUN(test_the_next_leader_fires_what_is_pending),
        RUN(test_the_next_leader_does_not_fire_twice),
        RUN(test_the_next_leader_may_come_however_late),
        RUN(test_a_pending_slot_stays_with_its_queue),
        RUN(test_a_pending_slot_fires_though_it_was_disabled),
        RUN(test_stopped_anywhere_it_fires_each_slot_once),
        RUN(test_two_leaders_fire_each_slot_once),
        RUN(test_an_older_leader_fires_nothing),
        RUN(test_nothing_is_sent_without_trust),
        RUN(test_a_frozen_leader_that_wakes_an_hour_later_is_refused),
        RUN(test_a_frozen_leader_takes_no_slot),
        RUN(test_a_lost_answer_fires_nothing_twice),
        RUN(test_broken_schedules_do_not_stop_the_others),
        RUN(test_any_number_of_broken_ones_does_not_stop_the_others),
        RUN(test_a_full_queue_is_waited_for),
        RUN(test_a_payload_over_the_limit_is_not_enqueued),
        RUN(test_an_idle_fleet_costs_one_call_a_look),
    };
    int failed;

    server = ms_test_redis_start(NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_test_redis_stop(server);
    return failed;
}

/* Reap, retain and rebalance, on a real Redis with the real scripts. */
#include "coordinator/chore.h"
#include "coordinator/task_reap.h"
#include "coordinator/task_rebalance.h"
#include "tests/coordinator/world.h"

static struct ms_test_redis *server;

/* ---- reap ---- */

struct reaping {
    struct world w;
    struct ms_reap *reap;
};

static void reaping_init(struct reaping *r)
{
    world_init(&r->w, server);
    r->reap = ms_reap_new(&r->w.duty);
    add_queue(&r->w, "mail");
}

static void reaping_done(struct reaping *r)
{
    ms_tasks_free(r->w.duty.tasks);
    ms_reap_free(r->reap);
    world_done(&r->w);
}

static TEST(test_an_ended_lease_is_taken_back)
{
    struct reaping r;

    reaping_init(&r);
    beat(&r.w, "P1", "mail");
    enqueue(&r.w, "mail", "j1", "noop.echo", "\x01", 1, false);
    CHECK_INT(claim(&r.w, "mail", "P1", 1, 1000, ignore_job, NULL), ==, 1);
    ms_tasks_start(r.w.duty.tasks);
    WAIT_FOR(20000,
             spin(&r.w) && ms_test_num(server, "ZCARD "
                                               "ms:{main/mail}:leases") == 0);
    CHECK_INT(ms_test_num(server, "HGET ms:{main/mail}:job:j1 crashes"), ==, 1);
    CHECK_STR(last_error(&r.w, "reap"), "");
    reaping_done(&r);
}

/* Its lease would have lasted for an hour. */
static TEST(test_a_gone_pods_jobs_come_back_and_it_is_buried)
{
    struct reaping r;

    reaping_init(&r);
    beat(&r.w, "P1", "mail");
    enqueue(&r.w, "mail", "j1", "noop.echo", "\x01", 1, false);
    CHECK_INT(claim(&r.w, "mail", "P1", 1, 3600000, ignore_job, NULL), ==, 1);
    ms_test_cmd(server, "ZADD ms:{main}:pods 5 P1");
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:leases"), ==, 0);
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main}:pod:P1"), ==, 0);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main}:pods"), ==, 0);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main}:members:mail"), ==, 0);
    CHECK_INT(claim(&r.w, "mail", "P2", 1, 60000, ignore_job, NULL), ==, 1);
    reaping_done(&r);
}

/* Its record had expired long before somebody led again. */
static TEST(test_a_gone_pod_without_a_record_is_looked_for_in_all_queues)
{
    struct reaping r;

    reaping_init(&r);
    enqueue(&r.w, "mail", "j1", "noop.echo", "\x01", 1, false);
    CHECK_INT(claim(&r.w, "mail", "P1", 1, 3600000, ignore_job, NULL), ==, 1);
    ms_test_cmd(server, "ZADD ms:{main}:pods 5 P1");
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:leases"), ==, 0);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main}:pods"), ==, 0);
    reaping_done(&r);
}

static TEST(test_a_pod_that_beats_keeps_its_jobs)
{
    struct reaping r;

    reaping_init(&r);
    beat(&r.w, "P1", "mail");
    enqueue(&r.w, "mail", "j1", "noop.echo", "\x01", 1, false);
    CHECK_INT(claim(&r.w, "mail", "P1", 1, 3600000, ignore_job, NULL), ==, 1);
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:leases"), ==, 1);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main}:pods"), ==, 1);
    reaping_done(&r);
}

/* More than one bounded step can take, of a kind that nobody knows. */
static TEST(test_reaping_is_type_blind_and_goes_on_until_no_more)
{
    struct reaping r;

    reaping_init(&r);
    ms_test_cmd(server, "HSET ms:{main/mail}:cfg max_workers 1000");
    for (int i = 0; i < 250; i++) {
        char id[16];

        snprintf(id, sizeof(id), "j%d", i);
        enqueue(&r.w, "mail", id, i % 2 ? "dump.chunk" : "noop.echo", "\x01", 1,
                false);
    }
    CHECK_INT(claim(&r.w, "mail", "P1", 250, 3600000, ignore_job, NULL), ==,
              250);
    ms_test_cmd(server, "ZADD ms:{main}:pods 5 P1");
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:leases"), ==, 0);
    CHECK_INT(ms_test_num(server, "HGET ms:{main/mail}:depth -"), ==, 250);
    reaping_done(&r);
}

static TEST(test_a_broken_queue_does_not_stop_the_others)
{
    struct reaping r;

    reaping_init(&r);
    add_queue(&r.w, "broken");
    ms_test_cmd(server, "SET ms:{main/broken}:leases oops");
    enqueue(&r.w, "mail", "j1", "noop.echo", "\x01", 1, false);
    CHECK_INT(claim(&r.w, "mail", "P1", 1, 3600000, ignore_job, NULL), ==, 1);
    ms_test_cmd(server, "ZADD ms:{main}:pods 5 P1");
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK_CONTAINS(last_error(&r.w, "reap"), "broken");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:leases"), ==, 0);
    /* something of it may be left in the queue that could not be read */
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main}:pods"), ==, 1);
    reaping_done(&r);
}

static TEST(test_an_older_leader_reaps_nothing)
{
    struct reaping r;

    reaping_init(&r);
    enqueue(&r.w, "mail", "j1", "noop.echo", "\x01", 1, false);
    CHECK_INT(claim(&r.w, "mail", "P1", 1, 3600000, ignore_job, NULL), ==, 1);
    ms_test_cmd(server, "ZADD ms:{main}:pods 5 P1");
    ms_test_cmd(server, "HSET ms:{main/mail}:meta epoch 2000");
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK(last_error(&r.w, "reap")[0] != '\0');
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:leases"), ==, 1);
    CHECK_INT(ms_test_num(server, "HGET ms:{main/mail}:meta epoch"), ==, 2000);
    reaping_done(&r);
}

static TEST(test_the_epoch_is_stamped_on_queues_that_appear_later)
{
    struct reaping r;

    reaping_init(&r);
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "HGET ms:{main/mail}:meta epoch"), ==, 1000);
    add_queue(&r.w, "late");
    run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "HGET ms:{main/late}:meta epoch"), ==, 1000);
    reaping_done(&r);
}

static TEST(test_nothing_is_sent_once_the_trust_has_run_out)
{
    struct reaping r;

    reaping_init(&r);
    r.w.term.trusted_until_ms = 0;
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK(last_error(&r.w, "reap")[0] != '\0');
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main/mail}:meta"), ==, 0);
    reaping_done(&r);
}

/* P1 cannot run it, so it was parked; then P2 comes. */
static TEST(test_pods_are_woken_when_one_can_run_a_parked_job)
{
    struct reaping r;

    reaping_init(&r);
    beat(&r.w, "P1", "mail");
    enqueue(&r.w, "mail", "j1", "py.mail", "\x01", 1, false);
    CHECK_INT(claim(&r.w, "mail", "P1", 1, 60000, ignore_job, NULL), ==, 0);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:parked"), ==, 1);
    ms_tasks_start(r.w.duty.tasks);
    run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:parked"), ==, 1);
    ms_test_cmd(server, "DEL ms:{main/mail}:wake");
    beat_with(&r.w, "P2", "mail", "8", "0", ",py.*,");
    for (int i = 0; i < 5; i++) /* every fifth run looks */
        run_once(&r.w, "reap");
    CHECK_INT(ms_test_num(server, "LLEN ms:{main/mail}:wake"), ==, 16);
    reaping_done(&r);
}

/* ---- retain ---- */

static TEST(test_ended_jobs_past_their_retention_are_deleted)
{
    struct world w;
    struct ms_chore *retain;

    world_init(&w, server);
    retain = ms_chore_new(&w.duty, &ms_chore_retain);
    add_queue(&w, "mail");
    for (int i = 0; i < 1200; i++) {
        ms_test_cmd(server,
                    "HSET ms:{main/mail}:job:d%d kind noop.echo state "
                    "done finished_ms 5",
                    i);
        ms_test_cmd(server, "ZADD ms:{main/mail}:done 5 d%d", i);
    }
    ms_test_cmd(server, "HSET ms:{main/mail}:job:x kind noop.echo state dead");
    ms_test_cmd(server, "ZADD ms:{main/mail}:dead %s x", "99999999999999");
    ms_tasks_start(w.duty.tasks);
    run_once(&w, "retain");
    CHECK_STR(last_error(&w, "retain"), "");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:done"), ==, 0);
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main/mail}:job:d7"), ==, 0);
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main/mail}:job:x"), ==, 1);
    ms_tasks_free(w.duty.tasks);
    ms_chore_free(retain);
    world_done(&w);
}

/* ---- roll ---- */

/* Within the two hours that counts are kept. */
static TEST(test_finished_minutes_become_lines)
{
    struct world w;
    struct ms_chore *roll;
    int64_t minute, lines = 0;

    world_init(&w, server);
    minute =
        atoll(ms_reply_str(ms_reply_at(ms_test_cmd(server, "TIME"), 0), "0")) /
            60 -
        60;
    roll = ms_chore_new(&w.duty, &ms_chore_roll);
    add_queue(&w, "mail");
    for (int i = 0; i < 45; i++) {
        ms_test_cmd(server, "SADD ms:{main/mail}:minutes %lld",
                    (long long)minute + i);
        ms_test_cmd(server, "HSET ms:{main/mail}:minute:%lld done 1",
                    (long long)minute + i);
    }
    ms_tasks_start(w.duty.tasks);
    run_once(&w, "roll");
    CHECK_STR(last_error(&w, "roll"), "");
    for (int64_t hour = minute / 60; hour <= (minute + 44) / 60; hour++)
        lines += ms_test_num(server, "HLEN ms:{main/mail}:roll:%lld",
                             (long long)hour);
    CHECK_INT(lines, ==, 45);
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main/mail}:minutes"), ==, 0);
    ms_tasks_free(w.duty.tasks);
    ms_chore_free(roll);
    world_done(&w);
}

/* ---- batches ---- */

/* As cancel leaves a batch of 1,000 children that are due next year. */
static TEST(test_a_stopped_batch_of_many_is_swept_to_its_end)
{
    struct world w;
    struct ms_chore *batches;

    world_init(&w, server);
    batches = ms_chore_new(&w.duty, &ms_chore_batches);
    add_queue(&w, "mail");
    ms_test_cmd(server, "HSET ms:{main/mail}:job:b kind night state waiting "
                        "batch continue phase sealed cancel_requested 1");
    ms_test_cmd(server, "ZADD ms:{main/mail}:waiting 5 b");
    ms_test_cmd(server, "HSET ms:{main/mail}:tally:b planned 1000 ready 1000 "
                        "batch continue sealed 1 stopping 1");
    ms_test_cmd(server, "SADD ms:{main/mail}:sweeps b");
    for (int i = 0; i < 1000; i++) {
        ms_test_cmd(server,
                    "HSET ms:{main/mail}:job:b.%d kind k parent b chunk %d "
                    "group b state scheduled",
                    i, i);
        ms_test_cmd(server, "ZADD ms:{main/mail}:scheduled %s b.%d",
                    "99999999999999", i);
    }
    ms_tasks_start(w.duty.tasks);
    run_once(&w, "batches");
    CHECK_STR(last_error(&w, "batches"), "");
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:scheduled"), ==, 0);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{main/mail}:waiting"), ==, 0);
    CHECK_STR(ms_test_text(server, "HGET ms:{main/mail}:job:b error"),
              "cancelled by user");
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main/mail}:sweeps"), ==, 0);
    ms_tasks_free(w.duty.tasks);
    ms_chore_free(batches);
    world_done(&w);
}

/* ---- rebalance ---- */

struct sharing {
    struct world w;
    struct ms_rebalancer *rebalancer;
};

static void sharing_init(struct sharing *s)
{
    world_init(&s->w, server);
    s->rebalancer = ms_rebalancer_new(&s->w.duty);
    add_queue(&s->w, "mail");
    ms_test_cmd(server, "HSET ms:{main/mail}:cfg max_workers 5");
}

static void sharing_done(struct sharing *s)
{
    ms_tasks_free(s->w.duty.tasks);
    ms_rebalancer_free(s->rebalancer);
    world_done(&s->w);
}

/* -1: no share is assigned. */
static int64_t share_of(const char *pod)
{
    const char *text =
        ms_test_text(server, "HGET ms:{main}:slots:mail %s", pod);

    return strcmp(text, "(nil)") == 0 ? -1 : strtoll(text, NULL, 10);
}

static TEST(test_shares_are_written_and_pods_told)
{
    struct sharing s;

    sharing_init(&s);
    beat(&s.w, "P1", "mail");
    beat(&s.w, "P2", "mail");
    ms_tasks_start(s.w.duty.tasks);
    run_once(&s.w, "rebalance");
    CHECK_STR(last_error(&s.w, "rebalance"), "");
    CHECK_INT(share_of("P1"), ==, 3);
    CHECK_INT(share_of("P2"), ==, 2);
    CHECK_STR(ms_test_text(server, "LINDEX ms:{main}:pod:P1:inbox 0"), "slots");
    CHECK_STR(ms_test_text(server, "LINDEX ms:{main}:pod:P2:inbox 0"), "slots");
    sharing_done(&s);
}

static TEST(test_nobody_is_told_when_nothing_changes)
{
    struct sharing s;

    sharing_init(&s);
    beat(&s.w, "P1", "mail");
    ms_tasks_start(s.w.duty.tasks);
    run_once(&s.w, "rebalance");
    ms_test_cmd(server, "DEL ms:{main}:pod:P1:inbox");
    run_once(&s.w, "rebalance");
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main}:pod:P1:inbox"), ==, 0);
    sharing_done(&s);
}

/* Nobody pokes: the watch sees it, long before the 5 s are over. */
static TEST(test_a_join_a_new_cap_and_a_drain_are_noticed)
{
    struct sharing s;

    sharing_init(&s);
    beat(&s.w, "P1", "mail");
    ms_tasks_start(s.w.duty.tasks);
    WAIT_FOR(10000, spin(&s.w) && share_of("P1") == 5);
    beat(&s.w, "P2", "mail");
    WAIT_FOR(10000, spin(&s.w) && share_of("P1") == 3 && share_of("P2") == 2);
    ms_test_cmd(server, "HSET ms:{main/mail}:cfg max_workers 8");
    WAIT_FOR(10000, spin(&s.w) && share_of("P1") == 4 && share_of("P2") == 4);
    beat_with(&s.w, "P1", "mail", "8", "1", ",noop.echo,");
    WAIT_FOR(10000, spin(&s.w) && share_of("P1") == -1 && share_of("P2") == 8);
    sharing_done(&s);
}

static TEST(test_a_gone_pods_share_goes_to_the_others)
{
    struct sharing s;

    sharing_init(&s);
    beat(&s.w, "P1", "mail");
    beat(&s.w, "P2", "mail");
    ms_tasks_start(s.w.duty.tasks);
    run_once(&s.w, "rebalance");
    ms_test_cmd(server, "ZADD ms:{main}:pods 5 P1");
    run_once(&s.w, "rebalance");
    CHECK_INT(share_of("P1"), ==, -1);
    CHECK_INT(share_of("P2"), ==, 5);
    sharing_done(&s);
}

static TEST(test_a_queue_without_pods_has_no_shares)
{
    struct sharing s;

    sharing_init(&s);
    ms_test_cmd(server, "HSET ms:{main}:slots:mail gone 4");
    ms_tasks_start(s.w.duty.tasks);
    run_once(&s.w, "rebalance");
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main}:slots:mail"), ==, 0);
    sharing_done(&s);
}

static TEST(test_an_older_leader_assigns_nothing)
{
    struct sharing s;

    sharing_init(&s);
    beat(&s.w, "P1", "mail");
    ms_test_cmd(server, "SET ms:{main}:epoch 2000");
    ms_tasks_start(s.w.duty.tasks);
    run_once(&s.w, "rebalance");
    CHECK_CONTAINS(last_error(&s.w, "rebalance"), "mail");
    CHECK_INT(share_of("P1"), ==, -1);
    sharing_done(&s);
}

/* A term may end at any moment of a run. */
static TEST(test_stopping_in_the_middle_leaves_nothing_behind)
{
    struct sharing s;

    sharing_init(&s);
    beat(&s.w, "P1", "mail");
    for (int turns = 0; turns < 12; turns++) {
        ms_tasks_start(s.w.duty.tasks);
        for (int i = 0; i < turns; i++)
            spin(&s.w);
        ms_tasks_stop(s.w.duty.tasks);
        ms_view_reset(s.w.duty.view);
    }
    ms_tasks_start(s.w.duty.tasks);
    run_once(&s.w, "rebalance");
    CHECK_INT(share_of("P1"), ==, 5);
    sharing_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_an_ended_lease_is_taken_back),
        RUN(test_a_gone_pods_jobs_come_back_and_it_is_buried),
        RUN(test_a_gone_pod_without_a_record_is_looked_for_in_all_queues),
        RUN(test_a_pod_that_beats_keeps_its_jobs),
        RUN(test_reaping_is_type_blind_and_goes_on_until_no_more),
        RUN(test_a_broken_queue_does_not_stop_the_others),
        RUN(test_an_older_leader_reaps_nothing),
        RUN(test_the_epoch_is_stamped_on_queues_that_appear_later),
        RUN(test_nothing_is_sent_once_the_trust_has_run_out),
        RUN(test_pods_are_woken_when_one_can_run_a_parked_job),
        RUN(test_ended_jobs_past_their_retention_are_deleted),
        RUN(test_a_stopped_batch_of_many_is_swept_to_its_end),
        RUN(test_finished_minutes_become_lines),
        RUN(test_shares_are_written_and_pods_told),
        RUN(test_nobody_is_told_when_nothing_changes),
        RUN(test_a_join_a_new_cap_and_a_drain_are_noticed),
        RUN(test_a_gone_pods_share_goes_to_the_others),
        RUN(test_a_queue_without_pods_has_no_shares),
        RUN(test_an_older_leader_assigns_nothing),
        RUN(test_stopping_in_the_middle_leaves_nothing_behind),
    };
    int failed;

    server = ms_test_redis_start(NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_test_redis_stop(server);
    return failed;
}

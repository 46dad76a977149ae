/*
 * The station on a real Redis, with slots that the test plays: it sees what
 * was given to them and says when and how a job ends.
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/admin.h"
#include "common/enqueue.h"
#include "common/ulid.h"
#include "tests/support/support.h"
#include "worker/station.h"

#define POD "01POD"
#define Q   "ms:{f/q}:"

/* ---- slots, played ---- */

static struct ms_held *given[600];
static int n_given, capacity, ahead;
static struct ms_held *stopped;
static enum ms_stop stop_reason;
static int64_t committed_seq;

int ms_slots_idle(const struct ms_slots *slots)
{
    return capacity > n_given ? capacity - n_given : 0;
}

int ms_slots_room_ahead(const struct ms_slots *slots)
{
    return ahead;
}

bool ms_slots_run(struct ms_slots *slots, struct ms_held *held)
{
    if (n_given >= capacity + ahead)
        return false;
    given[n_given++] = held;
    return true;
}

void ms_slots_stop(struct ms_slots *slots, struct ms_held *held,
                   enum ms_stop reason)
{
    stopped = held;
    stop_reason = reason;
}

void ms_slots_committed(struct ms_slots *slots, struct ms_held *held,
                        int64_t seq)
{
    committed_seq = seq;
}

static void ungive(struct ms_held *held)
{
    for (int i = 0; i < n_given; i++)
        if (given[i] == held)
            given[i] = given[--n_given];
}

/* ---- the bench ---- */

static struct ms_test_redis *server;
static struct ev_loop *loop;
static struct ms_station_env env;
static struct ms_station *station;

static void on_changed(void *arg)
{
}

static int connect_env(void)
{
    const struct ms_redis_options options = {.url = ms_test_redis_url(server)};

    CHECK_INT(ms_redis_new(loop, &options, &env.redis, NULL), ==, MS_OK);
    ms_redis_start(env.redis);
    return ms_redis_wait_up(env.redis, 10000, NULL);
}

static int setup(void **state)
{
    server = ms_test_redis_start(NULL);
    loop = ev_loop_new(0);
    env = (struct ms_station_env){
        .loop = loop,
        .fleet = "f",
        .pod = POD,
        .kinds = ",noop.echo,",
        .ttl_ms = 30000,
        .changed = on_changed,
    };
    CHECK_INT(connect_env(), ==, MS_OK);
    n_given = ahead = 0;
    capacity = 4;
    stopped = NULL;
    committed_seq = 0;
    ms_test_text(server, "HSET %scfg max_workers 100", Q);
    station = ms_station_new(&env, "q");
    ms_station_set_cap(station, 100);
    return 0;
}

static int teardown(void **state)
{
    ms_station_free(station);
    ms_redis_free(env.redis);
    ev_loop_destroy(loop);
    ms_test_redis_stop(server);
    return 0;
}

#define RUN_UNTIL(cond) WAIT_FOR(10000, (ev_run(loop, EVRUN_NOWAIT), (cond)))

static void enqueue(int n)
{
    for (int i = 0; i < n; i++) {
        struct ms_new_job job = {.kind = "noop.echo",
                                 .payload = "\xc0",
                                 .payload_len = 1,
                                 .priority = MS_PRIORITY_DEFAULT};
        struct ms_cmd cmd = MS_CMD_INIT;
        char id[MS_ULID_LEN + 1], token[MS_ULID_LEN + 1];

        ms_ulid_new(id);
        ms_ulid_new(token);
        job.id = id;
        CHECK_INT(ms_enqueue_build(&cmd, "f", "q", token, &job, 1, 1 << 20,
                                   NULL),
                  ==, MS_OK);
        ms_test_run(server, &cmd);
    }
}

static void end(struct ms_held *held, enum ms_outcome outcome)
{
    struct ms_ending ending = {.outcome = outcome};

    ungive(held);
    ms_station_on_ended(held, &ending);
    ms_station_step(station);
}

static int64_t running(void)
{
    return ms_test_num(server, "ZCARD %sleases", Q);
}

/* Somebody else claims whatever this pod holds. */
static void lose_all(void)
{
    const struct ms_reply *ids = ms_test_cmd(server, "SMEMBERS " Q "held:" POD);
    char id[8][MS_ULID_LEN + 1];
    size_t n = ids->n_items;

    CHECK_INT(n, <=, MS_COUNT_OF(id));
    for (size_t i = 0; i < n; i++)
        snprintf(id[i], sizeof(id[i]), "%s", ids->items[i].str);
    for (size_t i = 0; i < n; i++)
        ms_test_text(server, "HSET %sjob:%s pod other", Q, id[i]);
}

/* ---- tests ---- */

static TEST(test_claims_no_more_than_its_slots)
{
    enqueue(10);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 4);
    CHECK_INT(running(), ==, 4);
    CHECK_INT(ms_station_held(station), ==, 4);
}

static TEST(test_claims_no_more_than_its_share)
{
    ms_station_set_share(station, 2, 3);
    enqueue(10);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 2);
    CHECK_INT(running(), ==, 2);
}

/* Before the leader has spoken each pod takes an even part. */
static TEST(test_without_assignment_takes_an_even_part)
{
    ms_station_set_cap(station, 5);
    ms_test_text(server, "HSET %scfg max_workers 5", Q);
    ms_station_set_share(station, -1, 3);
    enqueue(10);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 2);
    CHECK_INT(running(), ==, 2);
}

static TEST(test_a_share_of_none_claims_nothing)
{
    ms_station_set_share(station, 0, 3);
    ahead = 10;
    enqueue(1);
    ms_station_wake(station);
    CHECK(!ms_station_is_waiting(station));
    CHECK_INT(running(), ==, 0);
}

/* One script for both, so that a busy pod needs one round trip a batch. */
static TEST(test_a_finish_brings_the_next_job)
{
    struct ms_held *first;

    enqueue(5);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 4);
    first = given[0];
    end(first, MS_DONE);
    RUN_UNTIL(n_given == 4);
    CHECK_INT(ms_test_num(server, "HGET %sstats done", Q), ==, 1);
    CHECK_INT(running(), ==, 4);
}

static TEST(test_runs_ahead_when_slots_allow)
{
    ahead = 20;
    enqueue(30);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 20 || n_given == 24);
    CHECK_INT(running(), >=, 20);
}

static TEST(test_a_released_job_is_ready_again_at_no_cost)
{
    char *id;

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    env.draining = true;
    end(given[0], MS_RELEASED);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s attempts", Q, id), "0");
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "(nil)");
    free(id);
}

static TEST(test_a_checkpoint_reaches_redis_and_is_confirmed)
{
    struct ms_checkpoint checkpoint = {
        .seq = 1,
        .cursor = {ms_xstrdup("\x01"), 1},
        .progress = 0.5,
    };

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_station_on_checkpoint(given[0], &checkpoint);
    RUN_UNTIL(committed_seq == 1);
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s seq", Q, given[0]->id), "1");
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s progress", Q, given[0]->id),
              "0.5000");
}

/* A producer that wrote JSON reads JSON. */
static TEST(test_a_result_is_kept_as_its_payload_is)
{
    struct ms_ending ending = {.outcome = MS_DONE};
    char *id;

    enqueue(1);
    id = ms_xstrdup(ms_test_text(server, "LINDEX %sready:5:- 0", Q));
    ms_test_text(server, "HSET %sjob:%s payload {} enc json", Q, id);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    CHECK(given[0]->json);
    ending.result = (struct ms_bytes){ms_xstrdup("\x81\xa1x\x01"), 4};
    ms_station_on_ended(given[--n_given], &ending);
    ms_station_step(station);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s result", Q, id), "{\"x\":1}");
    free(id);
}

/* What a handler said last is committed with its outcome. */
static TEST(test_a_finish_takes_the_last_checkpoint_along)
{
    struct ms_checkpoint checkpoint = {.seq = 7,
                                       .cursor = {ms_xstrdup("\x02"), 1},
                                       .progress = -1};
    char *id;

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_station_on_checkpoint(given[0], &checkpoint);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s seq", Q, id), "7");
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "done");
    free(id);
}

static TEST(test_a_lost_lease_stops_the_handler)
{
    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_test_text(server, "HSET %sjob:%s pod other fence 9999999999999", Q,
                 given[0]->id);
    ms_station_reconnected(station);
    RUN_UNTIL(stopped == given[0]);
    CHECK_INT(stop_reason, ==, MS_STOP_LOST);
    CHECK_INT(ms_test_num(server, "HGET %sstats stale", Q), ==, 1);
}

/* Its outcome is refused and counted, and changes nothing. */
static TEST(test_a_finish_with_an_old_fence_changes_nothing)
{
    char *id;

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_test_text(server, "HSET %sjob:%s pod other fence 9999999999999", Q, id);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "running");
    CHECK_INT(ms_test_num(server, "HGET %sstats stale", Q), ==, 1);
    CHECK_STR(ms_test_text(server, "HGET %sstats done", Q), "(nil)");
    free(id);
}

/* The lease had ended, the job is ready again, and the cap leaves no room to
 * take it back.  The stop that follows is ours, and nobody's wish. */
static TEST(test_a_lost_job_that_was_stopped_stays_in_the_queue)
{
    char *id;

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_test_text(server, "ZREM %sleases %s", Q, id);
    ms_test_text(server, "HDEL %sjob:%s state", Q, id);
    ms_test_text(server, "HSET %scfg max_workers 0", Q);
    ms_station_reconnected(station);
    RUN_UNTIL(stopped == given[0]);
    end(given[0], MS_CANCELLED);
    CHECK_INT(ms_station_held(station), ==, 0);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "(nil)");
    free(id);
}

/* If it was done all the same, and nobody else began, once is enough. */
static TEST(test_a_lost_job_that_was_done_is_committed_if_nobody_has_it)
{
    char *id;

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_test_text(server, "ZREM %sleases %s", Q, id);
    ms_test_text(server, "HDEL %sjob:%s state", Q, id);
    ms_test_text(server, "HSET %scfg max_workers 0", Q);
    ms_station_reconnected(station);
    RUN_UNTIL(stopped == given[0]);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "done");
    free(id);
}

/* The answer that it is lost finds it on its way back. */
static TEST(test_a_claimed_job_is_lost_while_it_is_handed_back)
{
    ahead = 2;
    enqueue(2);
    ms_station_wake(station);
    capacity = ahead = 0; /* no room any more when the answer comes */
    RUN_UNTIL(ms_station_held(station) == 2);
    lose_all();
    ms_station_reconnected(station);
    env.draining = true;
    ms_station_drain(station);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(ms_station_held(station), ==, 0);
}

/* Slots give back what had not begun instead of stopping it. */
static TEST(test_a_cancelled_job_that_had_not_begun_does_not_begin)
{
    char *id;

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_station_cancel(station, id);
    CHECK(stopped == given[0]);
    n_given = 0;
    ms_station_on_returned(stopped);
    ms_station_step(station);
    CHECK_INT(n_given, ==, 0);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "dead");
    free(id);
}

static TEST(test_a_cancel_is_heard_at_the_next_renewal)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_cancel_build(&cmd, "f", "q", given[0]->id, "test");
    ms_test_run(server, &cmd);
    ms_station_reconnected(station);
    RUN_UNTIL(stopped == given[0]);
    CHECK_INT(stop_reason, ==, MS_STOP_CANCEL);
}

/* A claim whose answer was lost leaves a lease that nobody works on. */
static TEST(test_leases_it_does_not_know_go_back)
{
    enqueue(2);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 2);
    ms_station_free(station); /* forgets, as if the answer had been lost */
    n_given = 0;
    enqueue(1);
    capacity = 1;
    station = ms_station_new(&env, "q");
    ms_station_set_cap(station, 3);
    ms_station_set_share(station, 1, 1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_station_reconnected(station);
    RUN_UNTIL(running() == 1);
    CHECK_INT(ms_test_num(server, "HGET %sstats released", Q), ==, 2);
}

/* Redis was away when the job ended: the outcome waits and is sent again. */
static TEST(test_a_finish_survives_a_restart_of_redis)
{
    static const char *const aof[] = {"--appendonly", "yes", NULL};
    char *id;

    teardown(NULL);
    setup(NULL);
    ms_station_free(station);
    ms_redis_free(env.redis);
    ms_test_redis_stop(server);
    server = ms_test_redis_start(aof);
    CHECK_INT(connect_env(), ==, MS_OK);
    ms_test_text(server, "HSET %scfg max_workers 100", Q);
    station = ms_station_new(&env, "q");
    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_test_redis_down(server, SIGTERM);
    RUN_UNTIL(!ms_redis_is_up(env.redis));
    end(given[0], MS_DONE);
    CHECK_INT(ms_station_held(station), ==, 1);
    ms_test_redis_up(server);
    RUN_UNTIL(ms_redis_is_up(env.redis));
    ms_station_reconnected(station);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "done");
    free(id);
}

static TEST(test_a_drain_hands_back_what_has_not_begun)
{
    enqueue(3);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 3);
    capacity = 0;
    for (int i = 2; i > 0; i--) {
        struct ms_held *held = given[i];

        ungive(held);
        ms_station_on_returned(held);
    }
    env.draining = true;
    ms_station_drain(station);
    RUN_UNTIL(running() == 1);
    CHECK(stopped == given[0]);
    CHECK_INT(stop_reason, ==, MS_STOP_DRAIN);
    CHECK_INT(ms_test_num(server, "HGET %sdepth -", Q), ==, 2);
}

static TEST(test_what_the_grace_did_not_end_goes_back)
{
    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    env.draining = true;
    n_given = 0;
    ms_station_give_up(station);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(running(), ==, 0);
    CHECK_INT(ms_test_num(server, "HGET %sdepth -", Q), ==, 1);
}

#define BENCHED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCHED(test_claims_no_more_than_its_slots),
        BENCHED(test_claims_no_more_than_its_share),
        BENCHED(test_without_assignment_takes_an_even_part),
        BENCHED(test_a_share_of_none_claims_nothing),
        BENCHED(test_a_finish_brings_the_next_job),
        BENCHED(test_runs_ahead_when_slots_allow),
        BENCHED(test_a_released_job_is_ready_again_at_no_cost),
        BENCHED(test_a_checkpoint_reaches_redis_and_is_confirmed),
        BENCHED(test_a_result_is_kept_as_its_payload_is),
        BENCHED(test_a_finish_takes_the_last_checkpoint_along),
        BENCHED(test_a_lost_lease_stops_the_handler),
        BENCHED(test_a_finish_with_an_old_fence_changes_nothing),
        BENCHED(test_a_lost_job_that_was_stopped_stays_in_the_queue),
        BENCHED(test_a_lost_job_that_was_done_is_committed_if_nobody_has_it),
        BENCHED(test_a_claimed_job_is_lost_while_it_is_handed_back),
        BENCHED(test_a_cancelled_job_that_had_not_begun_does_not_begin),
        BENCHED(test_a_cancel_is_heard_at_the_next_renewal),
        BENCHED(test_leases_it_does_not_know_go_back),
        BENCHED(test_a_finish_survives_a_restart_of_redis),
        BENCHED(test_a_drain_hands_back_what_has_not_begun),
        BENCHED(test_what_the_grace_did_not_end_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

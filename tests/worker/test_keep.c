/*
 * What a station keeps and hands back, and what becomes of answers that get
 * lost on the way: whether a request took effect is then unknown, and must not
 * matter.
 */
#include "tests/worker/fixture_station.h"

#include "scripts.h"

static const char *field(const char *id, const char *name)
{
    return ms_test_text(server, "HGET %sjob:%s %s", Q, id, name);
}

/* One job in a slot; returns its id, for free(). */
static char *run_one(void)
{
    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    return ms_xstrdup(given[0]->id);
}

static void checkpoint(struct ms_held *held, int64_t seq)
{
    struct ms_checkpoint at = {.seq = seq,
                               .cursor = {ms_xstrdup("\x01"), 1},
                               .progress = -1};

    ms_station_on_checkpoint(held, &at);
}

static int64_t lease_end(const char *id)
{
    return ms_test_num(server, "ZSCORE %sleases %s", Q, id);
}

/* ---- renew ---- */

/* Short leases, so that a third of one is soon over. */
static int setup_short(void **state)
{
    return setup_with(NULL, 1500);
}

static TEST(test_leases_are_renewed_while_jobs_run)
{
    char *id = run_one();
    int64_t before = lease_end(id);

    RUN_UNTIL(lease_end(id) > before);
    before = lease_end(id);
    RUN_UNTIL(lease_end(id) > before);
    CHECK_STR(field(id, "state"), "running");
    free(id);
}

static TEST(test_what_is_told_during_a_renewal_goes_with_the_next)
{
    char *id = run_one();

    checkpoint(given[0], 1); /* goes out at once */
    checkpoint(given[0], 2);
    checkpoint(given[0], 3);
    RUN_UNTIL(committed_seq == 1);
    CHECK_STR(field(id, "seq"), "1");
    RUN_UNTIL(committed_seq == 3);
    CHECK_STR(field(id, "seq"), "3");
    free(id);
}

static TEST(test_progress_alone_moves_no_cursor)
{
    struct ms_checkpoint at = {.progress = 0.25};
    char *id = run_one();

    ms_station_on_checkpoint(given[0], &at);
    RUN_UNTIL(strcmp(field(id, "progress"), "0.2500") == 0);
    CHECK_STR(field(id, "seq"), "(nil)");
    free(id);
}

/* Reported while Redis refused to hear it, said again when it does. */
static TEST(test_a_checkpoint_that_was_refused_is_sent_again)
{
    char *id = run_one();

    ms_test_text(server, "RENAME %sleases saved", Q);
    ms_test_text(server, "SET %sleases spoilt", Q);
    checkpoint(given[0], 5);
    for (int i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(committed_seq, ==, 0);
    ms_test_text(server, "RENAME saved %sleases", Q);
    RUN_UNTIL(committed_seq == 5);
    CHECK_STR(field(id, "seq"), "5");
    free(id);
}

/* ---- answers that get lost ---- */

/* Nobody runs those jobs; the pod must not wait for their leases to end. */
static TEST(test_a_claim_whose_answer_was_lost_is_released)
{
    enqueue(3);
    ms_test_proxy_lose_reply(proxy, ms_script_claim.sha1);
    ms_station_wake(station);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    CHECK_INT(running(), ==, 3);
    RUN_UNTIL(stat_of("released") == 3);
    ms_station_wake(station); /* the release has left a token */
    RUN_UNTIL(n_given == 3);
    CHECK_STR(field(given[0]->id, "attempts"), "1");
}

/* The renewal that would have told of them may be lost as well. */
static TEST(test_a_claim_is_released_though_the_renewal_was_lost_too)
{
    capacity = 2;
    enqueue(2);
    ms_test_proxy_lose_reply(proxy, ms_script_claim.sha1);
    ms_station_wake(station);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    ms_test_text(server, "HSET %scfg paused 1", Q); /* no claim in its stead */
    ms_test_proxy_lose_reply(proxy, ms_script_renew.sha1);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 2);
    CHECK_INT(running(), ==, 2);
    RUN_UNTIL(running() == 0);
    CHECK_INT(stat_of("released"), ==, 2);
}

/* Redis slept, the pod gave up and came back on a new connection, and Redis
 * woke to both: the old claim is carried out after the new renewal. */
static TEST(test_a_claim_that_arrives_after_the_renewal_is_released)
{
    enqueue(2);
    ms_test_proxy_hold_request(proxy, ms_script_claim.sha1);
    ms_station_wake(station);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    ms_test_text(server, "HSET %scfg paused 1", Q);
    RUN_UNTIL(ms_redis_reconnects(env.redis) == 1);
    RUN_UNTIL(strstr(ms_test_text(server, "INFO commandstats"),
                     "cmdstat_smembers") != NULL ||
              ms_test_num(server, "EXISTS %smeta", Q) == 1);
    ms_test_text(server, "HDEL %scfg paused", Q);
    capacity = 0; /* none is claimed again */
    ms_test_proxy_deliver(proxy);
    RUN_UNTIL(running() == 2);
    RUN_UNTIL(running() == 0);
    CHECK_INT(stat_of("released"), ==, 2);
    CHECK_INT(stat_of("crashed"), ==, 0);
}

/* A pod that leaves does not leave them behind. */
static TEST(test_a_drain_waits_for_a_claim_whose_answer_was_lost)
{
    enqueue(2);
    ms_test_proxy_lose_reply(proxy, ms_script_claim.sha1);
    ms_station_wake(station);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    RUN_UNTIL(!ms_redis_is_up(env.redis));
    env.draining = true;
    ms_station_drain(station);
    CHECK(!ms_station_is_empty(station));
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(running(), ==, 0);
    CHECK_INT(stat_of("released"), ==, 2);
}

static TEST(test_a_finish_whose_answer_was_lost_counts_once)
{
    char *id = run_one();

    ms_test_proxy_lose_reply(proxy, ms_script_finish.sha1);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    CHECK_STR(field(id, "state"), "done");
    CHECK_INT(ms_station_held(station), ==, 1);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(stat_of("done"), ==, 1);
    CHECK_INT(stat_of("stale"), ==, 0);
    free(id);
}

/* Its record is gone by then. */
static TEST(test_a_finish_of_a_job_that_is_not_kept_counts_once)
{
    char *id = run_one();

    ms_test_text(server, "HSET %scfg retain_done_max 0", Q);
    ms_test_proxy_lose_reply(proxy, ms_script_finish.sha1);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(ms_test_num(server, "EXISTS %sjob:%s", Q, id), ==, 0);
    CHECK_INT(stat_of("done"), ==, 1);
    CHECK_INT(stat_of("stale"), ==, 0);
    free(id);
}

static TEST(test_a_failure_whose_answer_was_lost_costs_one_attempt)
{
    char *id = run_one();

    ms_test_proxy_lose_reply(proxy, ms_script_finish.sha1);
    end(given[0], MS_FAILED);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(field(id, "attempts"), "1");
    CHECK_INT(stat_of("failed"), ==, 1);
    CHECK_INT(ms_test_num(server, "ZCARD %sscheduled", Q), ==, 1);
    free(id);
}

/* The claim in it was carried out as well. */
static TEST(test_a_finish_and_claim_whose_answer_was_lost)
{
    char *id;

    capacity = 1;
    enqueue(2);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_test_proxy_lose_reply(proxy, ms_script_finish.sha1);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    CHECK_INT(running(), ==, 1); /* the other one, and nobody knows */
    RUN_UNTIL(stat_of("released") == 1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    CHECK_STR(field(id, "state"), "done");
    CHECK_INT(stat_of("done"), ==, 1);
    CHECK_STR(field(given[0]->id, "attempts"), "1");
    free(id);
}

static TEST(test_a_release_whose_answer_was_lost_gives_back_once)
{
    char *id = run_one();

    env.draining = true;
    ms_test_proxy_lose_reply(proxy, ms_script_release.sha1);
    end(given[0], MS_RELEASED);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(stat_of("released"), ==, 1);
    CHECK_STR(field(id, "attempts"), "0");
    CHECK_INT(ms_test_num(server, "LLEN %sready:5:-", Q), ==, 1);
    free(id);
}

static TEST(test_a_checkpoint_whose_answer_was_lost_is_told_again)
{
    char *id = run_one();

    ms_test_proxy_lose_reply(proxy, ms_script_renew.sha1);
    checkpoint(given[0], 4);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    CHECK_STR(field(id, "seq"), "4");
    CHECK_INT(committed_seq, ==, 0);
    RUN_UNTIL(committed_seq == 4);
    CHECK_INT(stat_of("stale"), ==, 0);
    free(id);
}

/* Its job ended while the renewal was under way, which then failed. */
static TEST(test_a_lost_checkpoint_goes_with_the_finish)
{
    char *id = run_one();

    ms_test_proxy_hold_request(proxy, ms_script_renew.sha1);
    checkpoint(given[0], 4);
    RUN_UNTIL(ms_test_proxy_cuts(proxy) == 1);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(field(id, "seq"), "4");
    CHECK_STR(field(id, "state"), "done");
    ms_test_proxy_deliver(proxy); /* too late to matter */
    CHECK_INT(stat_of("done"), ==, 1);
    free(id);
}

#define SHORT(name) cmocka_unit_test_setup_teardown(name, setup_short, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHORT(test_leases_are_renewed_while_jobs_run),
        BENCHED(test_what_is_told_during_a_renewal_goes_with_the_next),
        BENCHED(test_progress_alone_moves_no_cursor),
        BENCHED(test_a_checkpoint_that_was_refused_is_sent_again),
        BENCHED(test_a_claim_whose_answer_was_lost_is_released),
        BENCHED(test_a_claim_is_released_though_the_renewal_was_lost_too),
        SHORT(test_a_claim_that_arrives_after_the_renewal_is_released),
        BENCHED(test_a_drain_waits_for_a_claim_whose_answer_was_lost),
        BENCHED(test_a_finish_whose_answer_was_lost_counts_once),
        BENCHED(test_a_finish_of_a_job_that_is_not_kept_counts_once),
        BENCHED(test_a_failure_whose_answer_was_lost_costs_one_attempt),
        BENCHED(test_a_finish_and_claim_whose_answer_was_lost),
        BENCHED(test_a_release_whose_answer_was_lost_gives_back_once),
        BENCHED(test_a_checkpoint_whose_answer_was_lost_is_told_again),
        BENCHED(test_a_lost_checkpoint_goes_with_the_finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

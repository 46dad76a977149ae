/* The station: what it claims, what it commits, what it hands back. */
#include "tests/worker/fixture_station.h"

#include <signal.h>

#include "common/family.h"

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
    is_short = true;
    enqueue(30);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 20 || n_given == 24);
    CHECK_INT(running(), >=, 20);
}

/* Claimed ahead for what ran last, and then it was something else: it must not
 * wait here while others idle. */
static TEST(test_what_finds_no_slot_goes_back)
{
    ahead = 3;
    enqueue(3);
    ms_station_wake(station);
    capacity = 1;
    ahead = 0;
    RUN_UNTIL(n_given == 1);
    RUN_UNTIL(running() == 1);
    CHECK_INT(stat_of("released"), ==, 2);
    CHECK_INT(ms_test_num(server, "HGET %sdepth -", Q), ==, 2);
}

/* The share bounds slots; only what is short may run beside it. */
static TEST(test_long_jobs_that_were_claimed_ahead_keep_to_the_share)
{
    ms_station_set_share(station, 2, 3);
    ahead = 4;
    enqueue(4);
    ms_station_wake(station);
    RUN_UNTIL(stat_of("released") == 2);
    CHECK_INT(n_given, ==, 2);
}

/* Both are full of each other's jobs otherwise. */
static TEST(test_a_full_station_hears_of_a_token_and_passes_it_on)
{
    capacity = 0;
    RUN_UNTIL(ms_station_is_waiting(station));
    CHECK(!ms_station_take_token(station));
    CHECK(!ms_station_is_waiting(station)); /* it knows already */
    enqueue(1);
    capacity = 1;
    ms_station_step(station);
    RUN_UNTIL(n_given == 1);
}

static TEST(test_a_raised_cap_is_heard_without_a_claim)
{
    capacity = 0;
    ms_station_set_share(station, -1, 2);
    ms_station_set_cap(station, 2);
    enqueue(3);
    capacity = 1;
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_test_text(server, "HSET %scfg max_workers 6", Q);
    capacity = 3;
    ms_station_set_cap(station, 2);
    CHECK_INT(ms_station_room(station), ==, 0);
    ms_station_configured(station);
    RUN_UNTIL(n_given == 3);
}

/* Nobody but its own claims would tell it that there is a cap again. */
static TEST(test_a_cap_of_none_is_left_by_itself)
{
    ms_station_set_share(station, -1, 1);
    ms_station_set_cap(station, 0);
    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
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

/* Producers that know no configuration leave it to the worker's. */
static TEST(test_a_kind_has_a_time_out_and_attempts_of_its_own)
{
    struct ms_kind_conf rule = {.prefix = (char[]){"noop."},
                                .max_attempts = 1,
                                .timeout_ms = 1234};
    struct ms_conf conf = {.kinds = &rule, .n_kinds = 1};
    char *own;

    env.conf = &conf;
    enqueue(2);
    own = ms_xstrdup(ms_test_text(server, "LINDEX %sready:5:- 0", Q));
    ms_test_text(server, "HSET %sjob:%s timeout_ms 77 max_attempts 5", Q, own);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 2);
    for (int i = 0; i < 2; i++)
        CHECK_INT(given[i]->timeout_ms, ==,
                  strcmp(given[i]->id, own) == 0 ? 77 : 1234);
    capacity = 0; /* none is taken again */
    while (n_given > 0)
        end(given[0], MS_FAILED);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(ms_test_num(server, "ZCARD %sdead", Q), ==, 1);
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, own), "scheduled");
    free(own);
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

static int64_t calls_of(const char *command)
{
    const char *at = strstr(ms_test_text(server, "INFO commandstats"), command);

    CHECK(at != NULL);
    return atoll(at + strlen(command));
}

/* Hundreds of MiB in one request would run into its time-out for ever. */
static TEST(test_large_results_travel_in_several_calls)
{
    int64_t calls;

    capacity = 12;
    enqueue(12);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 12 && ms_station_is_waiting(station));
    calls = calls_of("cmdstat_evalsha:calls=");
    while (n_given > 0) {
        struct ms_held *held = given[--n_given];
        struct ms_ending ending = {.outcome = MS_DONE};

        ending.result.len = 1 << 20;
        ending.result.data = ms_xcalloc(1, ending.result.len);
        ms_station_on_ended(held, &ending);
    }
    ms_station_step(station);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(stat_of("done"), ==, 12);
    CHECK_INT(calls_of("cmdstat_evalsha:calls="), >=, calls + 3);
}

static void spoil(const char *id)
{
    ms_test_text(server, "DEL %sjob:%s", Q, id);
    ms_test_text(server, "SET %sjob:%s spoilt", Q, id);
}

/* Whatever is wrong with it, the others have done nothing. */
static TEST(test_one_bad_job_does_not_hold_up_the_others_outcomes)
{
    enqueue(4);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 4);
    spoil(given[2]->id);
    while (n_given > 0) {
        struct ms_ending ending = {.outcome = MS_DONE};

        ms_station_on_ended(given[--n_given], &ending);
    }
    ms_station_step(station);
    RUN_UNTIL(stat_of("done") == 3);
    RUN_UNTIL(ms_station_held(station) == 0); /* it was given up */
}

static TEST(test_one_bad_job_does_not_hold_up_a_release)
{
    enqueue(4);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 4);
    spoil(given[2]->id);
    env.draining = true;
    while (n_given > 0)
        end(given[0], MS_RELEASED);
    RUN_UNTIL(stat_of("released") == 3);
    RUN_UNTIL(ms_station_is_empty(station));
}

/* Outcomes and a claim share a call; what is wrong with the queue's ready
 * lists must not keep outcomes from being committed. */
static TEST(test_a_claim_that_fails_does_not_hold_up_outcomes)
{
    capacity = 1;
    enqueue(2);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_test_text(server, "DEL %sring:5", Q);
    ms_test_text(server, "SET %sring:5 spoilt", Q);
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_station_held(station) == 0);
    CHECK_INT(stat_of("done"), ==, 1);
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

/* One message to each pod is enough for all that they run of a batch. */
static TEST(test_a_cancel_of_a_parent_stops_its_children)
{
    struct ms_family family = {.fleet = "f",
                               .queue = "q",
                               .id = "b",
                               .kind = "batch"};
    struct ms_new_job child = {.kind = "noop.echo", .priority = 5};
    struct ms_cmd cmd = MS_CMD_INIT;

    CHECK_INT(ms_family_build(&cmd, &family, 0, &child, 1, true, 100, NULL), ==,
              MS_OK);
    ms_test_run(server, &cmd);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_station_cancel(station, "b.");
    ms_station_cancel(station, "other");
    CHECK(stopped == NULL);
    ms_station_cancel(station, "b");
    CHECK(stopped == given[0]);
    CHECK_INT(stop_reason, ==, MS_STOP_CANCEL);
    end(given[0], MS_CANCELLED);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:b state", Q), "dead");
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
    setup_with(aof, 30000);
    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    id = ms_xstrdup(given[0]->id);
    ms_test_redis_down(server, SIGTERM);
    RUN_UNTIL(!ms_redis_is_up(env.redis));
    end(given[0], MS_DONE);
    CHECK_INT(ms_station_held(station), ==, 1);
    ms_test_redis_up(server);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s state", Q, id), "done");
    free(id);
}

/* One claimed chunk, whose cursor stands in Redis with number 1. */
static char *claim_chunk(void)
{
    static const char *const aof[] = {"--appendonly", "yes", NULL};
    struct ms_checkpoint checkpoint = {.seq = 1,
                                       .cursor = {ms_xstrdup("\x01"), 1},
                                       .progress = -1};
    char *id;

    teardown(NULL);
    setup_with(aof, 30000);
    enqueue(1);
    id = ms_xstrdup(ms_test_text(server, "LINDEX %sready:5:- 0", Q));
    ms_test_text(server, "HSET %sjob:%s parent P chunk 0", Q, id);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    ms_station_on_checkpoint(given[0], &checkpoint);
    RUN_UNTIL(committed_seq == 1);
    return id;
}

static void tell_cursor(struct ms_held *held, int64_t seq)
{
    struct ms_checkpoint checkpoint = {.seq = seq,
                                       .cursor = {ms_xstrdup("\x02"), 1},
                                       .progress = -1};

    ms_station_on_checkpoint(held, &checkpoint);
    ms_checkpoint_done(&checkpoint); /* as slots do */
}

static void restart_redis(void)
{
    ms_test_redis_down(server, SIGTERM);
    RUN_UNTIL(!ms_redis_is_up(env.redis));
    ms_test_redis_up(server);
    RUN_UNTIL(ms_redis_is_up(env.redis));
}

/* Redis may have lost what it had acknowledged: a cursor that was told by it
 * would lead past documents that are gone. */
static TEST(test_a_chunk_goes_back_as_it_stands_when_redis_returns)
{
    char *id = claim_chunk();
    struct ms_held *held = given[0];

    ms_test_redis_down(server, SIGTERM);
    RUN_UNTIL(!ms_redis_is_up(env.redis));
    tell_cursor(held, 2);
    ms_test_redis_up(server);
    RUN_UNTIL(stopped == held);
    CHECK_INT(stop_reason, ==, MS_STOP_DRAIN);
    tell_cursor(held, 3);
    end(held, MS_RELEASED);
    RUN_UNTIL(n_given == 1); /* claimed again, by this pod */
    CHECK_INT(given[0]->seq, ==, 1);
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s seq", Q, id), "1");
    CHECK_INT(ms_test_num(server, "HGET %sstats released", Q), ==, 1);
    free(id);
}

static TEST(test_a_chunk_that_was_done_meanwhile_is_not)
{
    char *id = claim_chunk();

    ms_test_redis_down(server, SIGTERM);
    RUN_UNTIL(!ms_redis_is_up(env.redis));
    tell_cursor(given[0], 2);
    end(given[0], MS_DONE);
    ms_test_redis_up(server);
    RUN_UNTIL(n_given == 1);
    CHECK_INT(given[0]->seq, ==, 1);
    CHECK_STR(ms_test_text(server, "HGET %sstats done", Q), "(nil)");
    free(id);
}

/* It ends before it has heard that it should stop. */
static TEST(test_a_chunk_that_is_done_after_the_return_is_not)
{
    char *id = claim_chunk();
    struct ms_held *held = given[0];

    restart_redis();
    RUN_UNTIL(stopped == held);
    end(held, MS_DONE);
    RUN_UNTIL(n_given == 1);
    CHECK_INT(given[0]->seq, ==, 1);
    CHECK_STR(ms_test_text(server, "HGET %sstats done", Q), "(nil)");
    free(id);
}

/* Other jobs keep nothing in Redis on the way: they run on. */
static TEST(test_other_jobs_run_on_when_redis_returns)
{
    static const char *const aof[] = {"--appendonly", "yes", NULL};

    teardown(NULL);
    setup_with(aof, 30000);
    enqueue(1);
    ms_station_wake(station);
    RUN_UNTIL(n_given == 1);
    restart_redis();
    end(given[0], MS_DONE);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK(stopped == NULL);
    CHECK_INT(ms_test_num(server, "HGET %sstats done", Q), ==, 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCHED(test_claims_no_more_than_its_slots),
        BENCHED(test_claims_no_more_than_its_share),
        BENCHED(test_without_assignment_takes_an_even_part),
        BENCHED(test_a_share_of_none_claims_nothing),
        BENCHED(test_a_finish_brings_the_next_job),
        BENCHED(test_runs_ahead_when_slots_allow),
        BENCHED(test_what_finds_no_slot_goes_back),
        BENCHED(test_long_jobs_that_were_claimed_ahead_keep_to_the_share),
        BENCHED(test_a_full_station_hears_of_a_token_and_passes_it_on),
        BENCHED(test_a_raised_cap_is_heard_without_a_claim),
        BENCHED(test_a_cap_of_none_is_left_by_itself),
        BENCHED(test_a_released_job_is_ready_again_at_no_cost),
        BENCHED(test_a_checkpoint_reaches_redis_and_is_confirmed),
        BENCHED(test_a_kind_has_a_time_out_and_attempts_of_its_own),
        BENCHED(test_a_result_is_kept_as_its_payload_is),
        BENCHED(test_a_finish_takes_the_last_checkpoint_along),
        BENCHED(test_large_results_travel_in_several_calls),
        BENCHED(test_one_bad_job_does_not_hold_up_the_others_outcomes),
        BENCHED(test_one_bad_job_does_not_hold_up_a_release),
        BENCHED(test_a_claim_that_fails_does_not_hold_up_outcomes),
        BENCHED(test_a_lost_lease_stops_the_handler),
        BENCHED(test_a_finish_with_an_old_fence_changes_nothing),
        BENCHED(test_a_lost_job_that_was_stopped_stays_in_the_queue),
        BENCHED(test_a_lost_job_that_was_done_is_committed_if_nobody_has_it),
        BENCHED(test_a_claimed_job_is_lost_while_it_is_handed_back),
        BENCHED(test_a_cancelled_job_that_had_not_begun_does_not_begin),
        BENCHED(test_a_cancel_of_a_parent_stops_its_children),
        BENCHED(test_a_cancel_is_heard_at_the_next_renewal),
        BENCHED(test_leases_it_does_not_know_go_back),
        BENCHED(test_a_finish_survives_a_restart_of_redis),
        BENCHED(test_a_chunk_goes_back_as_it_stands_when_redis_returns),
        BENCHED(test_a_chunk_that_was_done_meanwhile_is_not),
        BENCHED(test_a_chunk_that_is_done_after_the_return_is_not),
        BENCHED(test_other_jobs_run_on_when_redis_returns),
        BENCHED(test_a_drain_hands_back_what_has_not_begun),
        BENCHED(test_what_the_grace_did_not_end_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

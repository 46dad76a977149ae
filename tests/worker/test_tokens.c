/* Jobs that need a token of a rate scope, on a real Redis, with slots that the
 * test plays.  Rates are such that a test's own time brings no token that it
 * does not mean, or enough that it waits for. */
#include "tests/worker/fixture_station.h"

#include "common/limit.h"
#include "worker/station_internal.h"

#define S "ms:{f}:limit:s"

static char prefix[] = "noop.", scope[] = "s";
static struct ms_kind_conf kinds[] = {{.prefix = prefix, .limit = scope}};
static const struct ms_conf limited = {.kinds = kinds, .n_kinds = 1};

static int setup_limited(void **state)
{
    setup(state);
    env.conf = &limited;
    env.kinds = ",noop.echo,free,";
    return 0;
}

#define LIMITED(name) \
    cmocka_unit_test_setup_teardown(name, setup_limited, teardown)

static void make(const char *holds, const char *rate)
{
    const char *const pairs[] = {"capacity", holds, "refill_per_second", rate};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_set_build(&cmd, "f", "s", false, pairs, 2);
    CHECK_INT(ms_limit_status_parse(ms_test_run(server, &cmd), "s", NULL), ==,
              MS_OK);
}

static void drain_limit(int64_t for_ms)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_limit_drain_build(&cmd, "f", "s", for_ms);
    CHECK_INT(ms_limit_status_parse(ms_test_run(server, &cmd), "s", NULL), ==,
              MS_OK);
}

static int64_t limit_count(const char *field)
{
    const char *text = ms_test_text(server, "HGET " S " %s", field);

    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

/* Tokens that are out: each is a job that began, or will. */
static int64_t out(void)
{
    return limit_count("acquired") - limit_count("returned");
}

static void enqueue_kind(const char *kind)
{
    struct ms_new_job job = {.kind = kind,
                             .payload = "\xc0",
                             .payload_len = 1,
                             .priority = MS_PRIORITY_DEFAULT};
    struct ms_cmd cmd = MS_CMD_INIT;
    char id[MS_ULID_LEN + 1], token[MS_ULID_LEN + 1];

    ms_ulid_new(id);
    ms_ulid_new(token);
    job.id = id;
    CHECK_INT(ms_enqueue_build(&cmd, "f", "q", token, &job, 1, 1 << 20, NULL),
              ==, MS_OK);
    ms_test_run(server, &cmd);
}

static void start(void)
{
    ms_station_reconnected(station);
}

/* ---- as many as there are tokens ---- */

static TEST(test_no_more_jobs_start_than_there_are_tokens)
{
    make("2", "0.0001");
    enqueue(4);
    start();
    RUN_UNTIL(n_given == 2 && stat_of("released") == 2);
    CHECK_INT(out(), ==, 2);
    CHECK_INT(running(), ==, 2);
    CHECK_INT(env.reserved, ==, 0);
    /* What goes back cost no attempt, and is due when the scope gives again. */
    CHECK_INT(ms_test_num(server, "ZCARD %sscheduled", Q), ==, 2);
    CHECK_INT(n_given, ==, 2);
}

static TEST(test_a_job_that_went_back_has_its_attempt)
{
    const struct ms_reply *due;
    char id[64];

    make("1", "0.0001");
    enqueue(2);
    start();
    RUN_UNTIL(stat_of("released") == 1);
    due = ms_test_cmd(server, "ZRANGE " Q "scheduled 0 0");
    CHECK_INT(due->n_items, ==, 1);
    snprintf(id, sizeof(id), "%s", due->items[0].str);
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s attempts", Q, id), "0");
    CHECK_STR(ms_test_text(server, "HGET %sjob:%s error", Q, id), "(nil)");
}

static TEST(test_a_token_that_comes_soon_is_waited_for)
{
    make("1", "4");
    enqueue(3);
    start();
    RUN_UNTIL(n_given == 3);
    CHECK_INT(stat_of("released"), ==, 0);
    CHECK_INT(limit_count("waited"), ==, 2);
    CHECK_INT(out(), ==, 3);
    CHECK_INT(env.reserved, ==, 0);
}

/* A pod's place for them is kept: they are sure to start. */
static TEST(test_jobs_that_wait_hold_their_slots)
{
    make("1", "1.2");
    capacity = 2;
    enqueue(2);
    start();
    RUN_UNTIL(n_given == 1 && limit_count("acquired") == 2);
    enqueue_kind("free");
    ms_station_wake(station);
    RUN_UNTIL(n_given == 2);
    CHECK_STR(given[0]->kind, "noop.echo");
    CHECK_STR(given[1]->kind, "noop.echo");
}

/* Many claims see the limit; all in all it holds. */
static TEST(test_over_many_claims_each_start_has_its_token)
{
    int started = 0;

    make("3", "20");
    enqueue(30);
    start();
    while (started < 30) {
        RUN_UNTIL(n_given > 0);
        started += n_given;
        while (n_given > 0)
            end(given[0], MS_DONE);
    }
    RUN_UNTIL(running() == 0);
    CHECK_INT(out(), ==, 30);
    CHECK_INT(stat_of("done"), ==, 30);
}

/* ---- others go on ---- */

static TEST(test_jobs_behind_limited_ones_run_and_those_are_parked)
{
    make("1", "0.0001");
    enqueue(40);
    for (int i = 0; i < 3; i++)
        enqueue_kind("free");
    start();
    RUN_UNTIL(n_given == 4); /* one limited, three free */
    CHECK_INT(out(), ==, 1);
    RUN_UNTIL(ms_test_num(server, "ZCARD %sparked", Q) > 0);
    CHECK_INT(ms_test_num(server, "ZCARD %sdead", Q), ==, 0);
}

/* A backlog costs a few releases, not one a job. */
static TEST(test_a_backlog_is_not_churned)
{
    make("1", "0.0001");
    enqueue(500);
    start();
    RUN_UNTIL(ms_test_num(server, "ZCARD %sparked", Q) > 60);
    CHECK_INT(stat_of("released"), <=, 8);
}

/* The end of a dry time and another step may fall together: that the scope
 * gives again must not be forgotten until the next poll. */
static TEST(test_a_step_at_the_end_of_a_dry_time_forgets_nothing)
{
    make("1", "0.9");
    enqueue(20);
    start();
    RUN_UNTIL(ms_test_num(server, "ZCARD %sparked", Q) > 0 &&
              station->call == NULL);
    ev_timer_stop(loop, &station->poll);
    while (strchr(ms_station_kinds(station), '!') != NULL)
        usleep(1000); /* it is the clock that is waited for */
    ms_station_step(station);
    RUN_UNTIL(n_given >= 2);
}

static TEST(test_parked_jobs_come_back_with_the_tokens)
{
    int started = 0;

    make("1", "2");
    enqueue(20);
    start();
    RUN_UNTIL(ms_test_num(server, "ZCARD %sparked", Q) > 0);
    make("50", "50"); /* the limit was raised */
    while (started < 20) {
        RUN_UNTIL(n_given > 0);
        started += n_given;
        while (n_given > 0)
            end(given[0], MS_DONE);
    }
    RUN_UNTIL(stat_of("done") == 20);
    CHECK_INT(ms_test_num(server, "ZCARD %sparked", Q), ==, 0);
}

/* ---- stops while waiting ---- */

/* The acquire is under way when the word comes. */
static TEST(test_a_cancel_is_seen_while_the_token_is_asked_for)
{
    const char *id;
    char text[64];

    make("5", "0");
    ms_test_proxy_hold_request(proxy, "limit:s");
    enqueue(1);
    start();
    RUN_UNTIL(running() == 1 && ms_test_proxy_cuts(proxy) == 1);
    id = ms_test_cmd(server, "ZRANGE " Q "leases 0 0")->items[0].str;
    snprintf(text, sizeof(text), "%s", id);
    ms_station_cancel(station, text);
    ms_test_proxy_deliver(proxy);
    RUN_UNTIL(ms_test_num(server, "ZCARD %sdead", Q) == 1);
    RUN_UNTIL(out() == 0 && limit_count("returned") == 1);
    CHECK_INT(n_given, ==, 0);
    CHECK_INT(env.reserved, ==, 0);
}

/* Until one waits; where this machine was so slow that it began, another. */
static void wait_for_waiting(void)
{
    for (int tries = 0; tries < 10; tries++) {
        ms_test_text(server, "HSET " S " tokens 0");
        enqueue(1);
        ms_station_wake(station);
        RUN_UNTIL(n_given > 0 ||
                  (station->waiting.n == 1 &&
                   station->waiting.first->token == MS_TOKEN_RESERVED));
        if (n_given == 0)
            return;
        end(given[0], MS_DONE);
    }
    fail_msg("nothing ever waits");
}

static TEST(test_a_cancel_is_seen_while_waiting)
{
    const struct ms_reply *leased;
    char id[64];

    make("1", "1.1");
    start();
    wait_for_waiting();
    leased = ms_test_cmd(server, "ZRANGE " Q "leases 0 0");
    CHECK_INT(leased->n_items, ==, 1);
    snprintf(id, sizeof(id), "%s", leased->items[0].str);
    ms_station_cancel(station, id);
    RUN_UNTIL(ms_test_num(server, "ZCARD %sdead", Q) == 1);
    RUN_UNTIL(limit_count("returned") == 1);
    CHECK_INT(n_given, ==, 0);
}

static TEST(test_a_drain_hands_back_what_waits_and_its_tokens)
{
    int64_t released;

    make("1", "1.1");
    start();
    wait_for_waiting();
    released = stat_of("released");
    env.draining = true;
    ms_station_drain(station);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(limit_count("returned"), ==, 1);
    CHECK_INT(stat_of("released"), ==, released + 1);
    CHECK_INT(running(), ==, 0);
    CHECK_INT(env.reserved, ==, 0);
}

/* The wait is not over, and somebody else has the job. */
static TEST(test_a_lost_lease_gives_the_token_back)
{
    make("1", "1.1");
    start();
    wait_for_waiting();
    lose_all();
    ms_station_reconnected(station); /* renews all */
    RUN_UNTIL(ms_station_held(station) == 0);
    RUN_UNTIL(limit_count("returned") == 1);
    CHECK_INT(n_given, ==, 0);
}

/* ---- a drain of the scope ---- */

static TEST(test_who_waits_does_not_begin_into_a_block)
{
    make("1", "1.1");
    start();
    wait_for_waiting();
    drain_limit(3600000);
    RUN_UNTIL(stat_of("released") > 0 && env.reserved == 0);
    CHECK_INT(n_given, ==, 0);
    CHECK_INT(running(), ==, 0);
}

static TEST(test_a_throttled_job_drains_its_scope)
{
    struct ms_ending ending = {.outcome = MS_THROTTLED, .delay_ms = 3600000};
    struct ms_held *held;

    make("5", "5");
    enqueue(1);
    start();
    RUN_UNTIL(n_given == 1);
    held = given[0];
    ungive(held);
    ms_station_on_ended(held, &ending);
    ms_station_step(station);
    RUN_UNTIL(limit_count("drained") == 1);
    CHECK_STR(ms_test_text(server, "HGET " S " tokens"), "0");
    RUN_UNTIL(stat_of("throttled") == 1);
}

/* A target that does not say when to come back says nothing of the scope. */
static TEST(test_a_throttle_without_a_time_drains_nothing)
{
    make("5", "5");
    enqueue(1);
    start();
    RUN_UNTIL(n_given == 1);
    end(given[0], MS_THROTTLED);
    RUN_UNTIL(stat_of("throttled") == 1);
    RUN_UNTIL(ms_station_is_empty(station));
    CHECK_INT(limit_count("drained"), ==, 0);
}

/* ---- what does not begin after all ---- */

static TEST(test_a_token_without_a_slot_goes_back)
{
    make("5", "0");
    ms_test_proxy_hold_request(proxy, "limit:s");
    enqueue(1);
    start();
    RUN_UNTIL(running() == 1 && ms_test_proxy_cuts(proxy) == 1);
    capacity = 0; /* another queue was faster */
    ms_test_proxy_deliver(proxy);
    RUN_UNTIL(limit_count("returned") == 1);
    RUN_UNTIL(stat_of("released") == 1);
    CHECK_INT(out(), ==, 0);
}

static TEST(test_a_returned_job_keeps_its_token_for_the_next_slot)
{
    struct ms_held *held;

    make("1", "0");
    enqueue(1);
    start();
    RUN_UNTIL(n_given == 1);
    held = given[0];
    ungive(held);
    ms_station_on_returned(held); /* its slot died before it began */
    ms_station_step(station);
    RUN_UNTIL(n_given == 1);
    CHECK_INT(limit_count("acquired"), ==, 1);
    CHECK_INT(limit_count("returned"), ==, 0);
}

/* ---- trouble ---- */

/* Running them without the limit that somebody meant to be there could do harm
 * outside that nobody can undo; waiting can be undone. */
static TEST(test_without_the_limit_jobs_wait_at_no_cost)
{
    enqueue(2);
    enqueue_kind("free");
    start();
    RUN_UNTIL(stat_of("released") == 2 && n_given == 1);
    CHECK_STR(given[0]->kind, "free");
    CHECK_INT(ms_test_num(server, "EXISTS " S), ==, 0);
    make("5", "5"); /* somebody makes it */
    RUN_UNTIL(n_given == 3);
}

static TEST(test_a_lost_answer_is_asked_again)
{
    make("9", "0");
    ms_test_proxy_lose_reply(proxy, "limit:s");
    enqueue(1);
    start();
    RUN_UNTIL(n_given == 1);
    CHECK_INT(limit_count("acquired"), ==, 2); /* one is lost */
    CHECK_INT(running(), ==, 1);
}

static TEST(test_kinds_without_a_limit_ask_for_nothing)
{
    make("1", "0");
    enqueue_kind("free");
    enqueue_kind("free");
    start();
    RUN_UNTIL(n_given == 2);
    CHECK_INT(limit_count("acquired"), ==, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIMITED(test_no_more_jobs_start_than_there_are_tokens),
        LIMITED(test_a_job_that_went_back_has_its_attempt),
        LIMITED(test_a_token_that_comes_soon_is_waited_for),
        LIMITED(test_jobs_that_wait_hold_their_slots),
        LIMITED(test_over_many_claims_each_start_has_its_token),
        LIMITED(test_jobs_behind_limited_ones_run_and_those_are_parked),
        LIMITED(test_a_backlog_is_not_churned),
        LIMITED(test_a_step_at_the_end_of_a_dry_time_forgets_nothing),
        LIMITED(test_parked_jobs_come_back_with_the_tokens),
        LIMITED(test_a_cancel_is_seen_while_the_token_is_asked_for),
        LIMITED(test_a_cancel_is_seen_while_waiting),
        LIMITED(test_a_drain_hands_back_what_waits_and_its_tokens),
        LIMITED(test_a_lost_lease_gives_the_token_back),
        LIMITED(test_who_waits_does_not_begin_into_a_block),
        LIMITED(test_a_throttled_job_drains_its_scope),
        LIMITED(test_a_throttle_without_a_time_drains_nothing),
        LIMITED(test_a_token_without_a_slot_goes_back),
        LIMITED(test_a_returned_job_keeps_its_token_for_the_next_slot),
        LIMITED(test_without_the_limit_jobs_wait_at_no_cost),
        LIMITED(test_a_lost_answer_is_asked_again),
        LIMITED(test_kinds_without_a_limit_ask_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

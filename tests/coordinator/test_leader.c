/* The lease and its terms, on a real Redis: two leaders, each on a loop of its
 * own, so that one can be frozen by not running its loop. */
#include <stdio.h>

#include "common/clock.h"
#include "common/fleet.h"
#include "coordinator/gate.h"
#include "coordinator/leader.h"
#include "tests/support/support.h"

#define TTL_MS 900

static struct ms_test_redis *server;

struct side {
    struct ev_loop *loop;
    struct ms_redis *redis;
    struct ms_leader *leader;
    bool leads;
    int begun, ended;
    int64_t epoch;
    bool resigned;
};

static void on_change(bool leads, int64_t epoch, void *arg)
{
    struct side *side = arg;

    side->leads = leads;
    side->epoch = epoch;
    side->begun += leads;
    side->ended += !leads;
}

static void side_start(struct side *side)
{
    struct ms_redis_options redis = {.url = ms_test_redis_url(server)};
    struct ms_leader_options options = {.fleet = "main",
                                        .host = "h",
                                        .url = "http://h:1",
                                        .ttl_ms = TTL_MS,
                                        .on_change = on_change,
                                        .arg = side};

    memset(side, 0, sizeof(*side));
    side->loop = ev_loop_new(EVFLAG_AUTO);
    CHECK_INT(ms_redis_new(side->loop, &redis, &side->redis, NULL), ==, MS_OK);
    ms_redis_start(side->redis);
    CHECK_INT(ms_redis_wait_up(side->redis, 10000, NULL), ==, MS_OK);
    side->leader = ms_leader_new(side->loop, side->redis, &options);
    ms_leader_start(side->leader);
}

static void side_stop(struct side *side)
{
    ms_leader_free(side->leader);
    ms_redis_free(side->redis);
    ev_loop_destroy(side->loop);
}

static bool spin(struct side *a, struct side *b)
{
    ev_run(a->loop, EVRUN_NOWAIT);
    if (b != NULL)
        ev_run(b->loop, EVRUN_NOWAIT);
    return true;
}

static void on_resigned(void *arg)
{
    ((struct side *)arg)->resigned = true;
}

static int setup(void **state)
{
    ms_test_cmd(server, "FLUSHALL");
    return 0;
}

static TEST(test_one_of_two_leads)
{
    struct side a, b;
    int64_t end;

    side_start(&a);
    side_start(&b);
    WAIT_FOR(10000, spin(&a, &b) && (a.leads || b.leads));
    end = ms_clock_mono_ms() + 2 * TTL_MS;
    while (ms_clock_mono_ms() < end) {
        spin(&a, &b);
        CHECK(!(a.leads && b.leads));
    }
    CHECK_INT(a.begun + b.begun, ==, 1); /* renewed all the time */
    CHECK_INT(a.ended + b.ended, ==, 0);
    side_stop(&a);
    side_stop(&b);
}

static TEST(test_the_leader_can_be_seen)
{
    struct side a;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    CHECK_STR(ms_test_text(server, "HGET ms:{main}:leader id"),
              ms_leader_id(a.leader));
    CHECK_STR(ms_test_text(server, "HGET ms:{main}:leader url"), "http://h:1");
    CHECK_INT(ms_test_num(server, "HGET ms:{main}:leader epoch"), ==, a.epoch);
    side_stop(&a);
}

static TEST(test_a_standby_leads_at_once_after_a_resignation)
{
    struct side a, b;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    side_start(&b);
    WAIT_FOR(10000, spin(&b, NULL) && ms_leader_term(b.leader)->leads == false);
    ms_leader_resign(a.leader, on_resigned, &a);
    CHECK(!a.leads);
    CHECK(!a.resigned); /* never from inside */
    WAIT_FOR(10000, spin(&a, &b) && a.resigned && b.leads);
    CHECK_INT(b.epoch, >, a.epoch);
    side_stop(&a);
    side_stop(&b);
}

/* What a STOP does: its loop stands still until after the end of the lease. */
static TEST(test_a_frozen_leader_is_replaced_and_knows_it)
{
    struct side a, b;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    side_start(&b);
    WAIT_FOR(10000, spin(&b, NULL) && b.leads);
    CHECK(a.leads); /* it has not heard of anything */
    CHECK(!ms_term_is_trusted(ms_leader_term(a.leader)));
    CHECK_INT(b.epoch, >, a.epoch);
    WAIT_FOR(10000, spin(&a, &b) && !a.leads);
    CHECK(b.leads);
    CHECK_INT(a.ended, ==, 1);
    side_stop(&a);
    side_stop(&b);
}

struct answer {
    bool come;
    enum ms_err err;
};

static void on_reply(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct answer *answer = arg;

    answer->come = true;
    answer->err = err == MS_OK ? ms_fleet_status_parse(reply, NULL) : err;
}

static void build_note(struct ms_cmd *cmd, int64_t epoch)
{
    const char *const pairs[] = {"last_error", "late"};

    ms_task_note_build(cmd, "main", "reap", epoch, pairs, 1);
}

static TEST(test_the_gate_holds_back_what_a_frozen_leader_would_send)
{
    struct side a;
    struct ms_gate *gate;
    struct answer answer = {false, MS_OK};
    struct ms_cmd cmd = MS_CMD_INIT;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    gate = ms_gate_new(a.loop, a.redis, ms_leader_term(a.leader));
    WAIT_FOR(10000, !ms_term_is_trusted(ms_leader_term(a.leader)));
    build_note(&cmd, a.epoch);
    ms_gate_send(gate, &cmd, on_reply, &answer);
    CHECK(!answer.come); /* never from inside */
    CHECK_INT(ms_gate_pending(gate), ==, 1);
    WAIT_FOR(10000, spin(&a, NULL) && answer.come);
    CHECK_INT(answer.err, ==, MS_ESTALE);
    CHECK_INT(ms_test_num(server, "EXISTS ms:{main}:task:reap"), ==, 0);
    ms_gate_free(gate);
    side_stop(&a);
}

static TEST(test_the_gate_lets_a_leader_pass_and_cancels)
{
    struct side a;
    struct ms_gate *gate;
    struct answer answer = {false, MS_OK}, never = {false, MS_OK};
    struct ms_cmd cmd = MS_CMD_INIT;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    gate = ms_gate_new(a.loop, a.redis, ms_leader_term(a.leader));
    build_note(&cmd, a.epoch);
    ms_gate_send(gate, &cmd, on_reply, &never);
    ms_gate_cancel(gate);
    build_note(&cmd, a.epoch);
    ms_gate_send(gate, &cmd, on_reply, &answer);
    WAIT_FOR(10000, spin(&a, NULL) && answer.come);
    CHECK_INT(answer.err, ==, MS_OK);
    CHECK(!never.come);
    CHECK_INT(ms_gate_pending(gate), ==, 0);
    ms_gate_free(gate);
    side_stop(&a);
}

/* What was under way when it froze shows the old epoch. */
static TEST(test_scripts_refuse_the_old_epoch)
{
    struct side a, b;
    struct ms_cmd cmd = MS_CMD_INIT;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    side_start(&b);
    WAIT_FOR(10000, spin(&b, NULL) && b.leads);
    build_note(&cmd, a.epoch);
    CHECK_INT(ms_fleet_status_parse(ms_test_run(server, &cmd), NULL), ==,
              MS_ESTALE);
    build_note(&cmd, b.epoch);
    CHECK_INT(ms_fleet_status_parse(ms_test_run(server, &cmd), NULL), ==,
              MS_OK);
    side_stop(&a);
    side_stop(&b);
}

static TEST(test_a_leader_without_redis_steps_down_by_itself)
{
    struct side a;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    ms_test_redis_down(server, 9);
    WAIT_FOR(10000, spin(&a, NULL) && !a.leads);
    ms_test_redis_up(server);
    WAIT_FOR(30000, spin(&a, NULL) && a.leads);
    side_stop(&a);
}

/* The lease was lost and won again between two renewals: another term. */
static TEST(test_a_lease_won_again_is_a_new_term)
{
    struct side a;
    int64_t first;

    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    first = a.epoch;
    ms_test_cmd(server, "DEL ms:{main}:leader");
    WAIT_FOR(10000, spin(&a, NULL) && a.begun == 2);
    CHECK_INT(a.ended, ==, 1);
    CHECK_INT(a.epoch, >, first);
    side_stop(&a);
}

static TEST(test_a_leader_can_be_freed_in_any_state)
{
    struct side a;

    side_start(&a); /* has not asked yet */
    side_stop(&a);
    side_start(&a);
    ev_run(a.loop, EVRUN_NOWAIT); /* has asked */
    side_stop(&a);
    side_start(&a);
    WAIT_FOR(10000, spin(&a, NULL) && a.leads);
    ms_leader_resign(a.leader, on_resigned, &a);
    side_stop(&a);
    CHECK(!a.resigned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_of_two_leads, setup),
        cmocka_unit_test_setup(test_the_leader_can_be_seen, setup),
        cmocka_unit_test_setup(test_a_standby_leads_at_once_after_a_resignation,
                               setup),
        cmocka_unit_test_setup(test_a_frozen_leader_is_replaced_and_knows_it,
                               setup),
        cmocka_unit_test_setup(
            test_the_gate_holds_back_what_a_frozen_leader_would_send, setup),
        cmocka_unit_test_setup(test_the_gate_lets_a_leader_pass_and_cancels,
                               setup),
        cmocka_unit_test_setup(test_scripts_refuse_the_old_epoch, setup),
        cmocka_unit_test_setup(test_a_leader_without_redis_steps_down_by_itself,
                               setup),
        cmocka_unit_test_setup(test_a_lease_won_again_is_a_new_term, setup),
        cmocka_unit_test_setup(test_a_leader_can_be_freed_in_any_state, setup),
    };
    int failed;

    server = ms_test_redis_start(NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_test_redis_stop(server);
    return failed;
}

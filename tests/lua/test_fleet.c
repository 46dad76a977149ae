#include "tests/support/core.h"

#include <stdio.h>

/* ---- leader ---- */

static struct ms_lead_answer lead(struct ms_core *core, const char *id)
{
    struct ms_lead who = {.fleet = "m",
                          .id = id,
                          .host = "here",
                          .url = "http://here:1",
                          .pid = 42,
                          .ttl_ms = 15000};
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_lead_answer answer;

    ms_lead_build(&cmd, &who);
    CHECK_INT(ms_lead_parse(ms_test_run(core->redis, &cmd), &answer, NULL), ==,
              MS_OK);
    return answer;
}

static enum ms_err resign(struct ms_core *core, const char *id)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_resign_build(&cmd, "m", id);
    return ms_fleet_status_parse(ms_test_run(core->redis, &cmd), NULL);
}

static TEST(test_the_first_leads_and_the_second_stands_by)
{
    struct ms_core *core = *state;
    struct ms_lead_answer first = lead(core, "A");
    struct ms_lead_answer second = lead(core, "B");

    CHECK(first.leads);
    CHECK_STR(first.leader, "A");
    CHECK_INT(first.epoch, >, 1700000000000);
    CHECK(!second.leads);
    CHECK_STR(second.leader, "A");
    CHECK_INT(second.epoch, ==, first.epoch);
    CHECK_INT(second.left_ms, >, 14000);
    CHECK_INT(second.left_ms, <=, 15000);
    CHECK_STR(ms_test_text(core->redis, "HGET %s url", F("leader")),
              "http://here:1");
    CHECK_STR(ms_test_text(core->redis, "HGET %s pid", F("leader")), "42");
    CHECK_INT(ms_test_num(core->redis, "HGET %s epoch", F("leader")), ==,
              first.epoch);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", F("epoch")), ==, -1);
}

static TEST(test_a_renewal_keeps_the_epoch)
{
    struct ms_core *core = *state;
    struct ms_lead_answer first = lead(core, "A");
    struct ms_lead_answer again;

    ms_test_cmd(core->redis, "PEXPIRE %s 2000", F("leader"));
    again = lead(core, "A");
    CHECK(again.leads);
    CHECK_INT(again.epoch, ==, first.epoch);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", F("leader")), >, 14000);
}

static TEST(test_a_new_term_has_a_higher_epoch)
{
    struct ms_core *core = *state;
    int64_t epoch = lead(core, "A").epoch;

    CHECK_INT(resign(core, "B"), ==, MS_ESTALE);
    CHECK_INT(resign(core, "A"), ==, MS_OK);
    CHECK_INT(resign(core, "A"), ==, MS_ESTALE);
    CHECK_INT(lead(core, "B").epoch, >, epoch);
}

/* The clock was set back, or a failover lost the last term. */
static TEST(test_the_epoch_never_goes_back)
{
    struct ms_core *core = *state;
    int64_t last = ((int64_t)1 << 53) - 2;

    ms_test_cmd(core->redis, "SET %s %lld", F("epoch"), (long long)last);
    CHECK_INT(lead(core, "A").epoch, ==, last + 1);
    CHECK_INT(ms_test_num(core->redis, "GET %s", F("epoch")), ==, last + 1);
    CHECK_INT(lead(core, "A").epoch, ==, last + 1);
}

static TEST(test_whoever_was_followed_leads_no_more)
{
    struct ms_core *core = *state;
    int64_t epoch = lead(core, "A").epoch;
    struct ms_lead_answer answer;

    ms_test_cmd(core->redis, "SET %s %lld", F("epoch"), (long long)epoch + 5);
    answer = lead(core, "A");
    CHECK(!answer.leads);
    CHECK_INT(answer.epoch, ==, epoch + 5);
    ms_test_cmd(core->redis, "DEL %s", F("leader"));
    CHECK_INT(lead(core, "A").epoch, >, epoch + 5);
}

/* ---- pods ---- */

static const char *const queues[] = {"q", "r", NULL};

struct shares {
    int64_t assigned[2], pods[2];
};

static void on_share(size_t queue, int64_t assigned, int64_t pods, void *arg)
{
    struct shares *shares = arg;

    shares->assigned[queue] = assigned;
    shares->pods[queue] = pods;
}

static struct shares beat(struct ms_core *core, const char *pod, bool draining)
{
    const char *const fields[] = {"label", "a label with spaces", "draining",
                                  draining ? "1" : "0"};
    struct ms_beat b = {"m", pod, queues, fields, 2, 30000};
    struct ms_cmd cmd = MS_CMD_INIT;
    struct shares shares;
    int64_t now;

    ms_beat_build(&cmd, &b);
    CHECK_INT(ms_beat_parse(ms_test_run(core->redis, &cmd), 2, on_share,
                            &shares, &now, NULL),
              ==, MS_OK);
    CHECK_INT(now, >, 1700000000000);
    return shares;
}

static enum ms_err assign(struct ms_core *core, int64_t epoch, const char *pod,
                          int64_t n)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_assign_build(&cmd, "m", "q", epoch, &pod, &n, pod == NULL ? 0 : 1);
    return ms_fleet_status_parse(ms_test_run(core->redis, &cmd), NULL);
}

static enum ms_err bury(struct ms_core *core, const char *pod, int64_t epoch,
                        int64_t heartbeat_ms)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_bury_build(&cmd, "m", pod, queues, epoch, heartbeat_ms);
    return ms_fleet_status_parse(ms_test_run(core->redis, &cmd), &core->error);
}

static TEST(test_a_beat_tells_of_the_pod_and_learns_of_the_others)
{
    struct ms_core *core = *state;
    struct shares shares = beat(core, "p1", false);

    CHECK_INT(shares.assigned[0], ==, -1);
    CHECK_INT(shares.pods[0], ==, 1);
    shares = beat(core, "p2", false);
    CHECK_INT(shares.pods[0], ==, 2);
    CHECK_INT(shares.pods[1], ==, 2);
    CHECK_STR(ms_test_text(core->redis, "HGET %s label", F("pod:p1")),
              "a label with spaces");
    CHECK_INT(ms_test_num(core->redis, "HGET %s heartbeat_ms", F("pod:p1")), ==,
              ms_test_num(core->redis, "ZSCORE %s p1", F("pods")));
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", F("pod:p1")), >, 290000);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", F("pods")), ==, 2);
}

static TEST(test_a_draining_pod_is_no_member)
{
    struct ms_core *core = *state;

    beat(core, "p1", false);
    CHECK_INT(beat(core, "p2", true).pods[0], ==, 1);
    CHECK_INT(beat(core, "p1", true).pods[0], ==, 0);
    CHECK_INT(ms_test_num(core->redis, "ZCARD %s", F("pods")), ==, 2);
}

static TEST(test_silent_members_are_not_counted)
{
    struct ms_core *core = *state;

    beat(core, "p1", false);
    ms_test_cmd(core->redis, "ZADD %s %lld p1", F("members:q"),
                (long long)ms_core_now(core) - 30001);
    CHECK_INT(beat(core, "p2", false).pods[0], ==, 1);
    CHECK_INT(beat(core, "p1", false).pods[0], ==, 2);
}

static TEST(test_a_share_is_what_the_leader_assigned)
{
    struct ms_core *core = *state;
    int64_t epoch = lead(core, "A").epoch;
    struct shares shares;

    beat(core, "p1", false);
    CHECK_INT(assign(core, epoch, "p1", 0), ==, MS_OK);
    CHECK_INT(beat(core, "p1", false).assigned[0], ==, 0);
    CHECK_INT(assign(core, epoch, "p1", 7), ==, MS_OK);
    shares = beat(core, "p1", false);
    CHECK_INT(shares.assigned[0], ==, 7);
    CHECK_INT(shares.assigned[1], ==, -1);
    CHECK_INT(beat(core, "p2", false).assigned[0], ==, -1); /* not yet */
    CHECK_INT(assign(core, epoch, NULL, 0), ==, MS_OK);
    CHECK_INT(beat(core, "p1", false).assigned[0], ==, -1);
}

/* Or a fleet whose leader had given all to a pod that is gone stood still. */
static TEST(test_shares_of_a_leader_that_is_gone_do_not_count)
{
    struct ms_core *core = *state;
    int64_t epoch = lead(core, "A").epoch;

    beat(core, "p1", false);
    CHECK_INT(assign(core, epoch, "p1", 0), ==, MS_OK);
    ms_test_text(core->redis, "DEL %s", F("leader")); /* it has expired */
    CHECK_INT(beat(core, "p1", false).assigned[0], ==, -1);
}

static TEST(test_an_older_leader_writes_nothing)
{
    struct ms_core *core = *state;
    static const char *const pairs[] = {"run_count", "7"};
    int64_t epoch = lead(core, "A").epoch;
    struct ms_cmd cmd = MS_CMD_INIT;

    beat(core, "p1", false);
    CHECK_INT(assign(core, epoch - 1, "p1", 3), ==, MS_ESTALE);
    CHECK_INT(bury(core, "p1", epoch - 1, INT64_C(1) << 52), ==, MS_ESTALE);
    ms_task_note_build(&cmd, "m", "reap", epoch - 1, pairs, 1);
    CHECK_INT(ms_fleet_status_parse(ms_test_run(core->redis, &cmd), NULL), ==,
              MS_ESTALE);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", F("slots:q"),
                          F("task:reap")),
              ==, 0);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", F("pod:p1")), ==, 1);
    ms_task_note_build(&cmd, "m", "reap", epoch, pairs, 1);
    CHECK_INT(ms_fleet_status_parse(ms_test_run(core->redis, &cmd), NULL), ==,
              MS_OK);
    CHECK_STR(ms_test_text(core->redis, "HGET %s run_count", F("task:reap")),
              "7");
}

static int64_t keys_of(struct ms_core *core, const char *pod)
{
    return ms_test_num(core->redis, "EXISTS ms:{m}:pod:%s ms:{m}:pod:%s:inbox",
                       pod, pod) +
           ms_test_num(core->redis, "ZCOUNT %s -inf +inf", F("pods")) +
           ms_test_num(core->redis, "ZCOUNT %s -inf +inf", F("members:r")) +
           ms_test_num(core->redis, "HEXISTS %s %s", F("slots:q"), pod);
}

static enum ms_err tell(struct ms_core *core, const char *pod,
                        const char *message)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_inbox_build(&cmd, "m", pod, message);
    return ms_fleet_status_parse(ms_test_run(core->redis, &cmd), NULL);
}

static TEST(test_a_pod_that_leaves_takes_all_along)
{
    struct ms_core *core = *state;
    struct ms_cmd cmd = MS_CMD_INIT;

    beat(core, "p1", false);
    tell(core, "p1", "slots");
    assign(core, 5, "p1", 3);
    CHECK_INT(keys_of(core, "p1"), ==, 5);
    ms_leave_build(&cmd, "m", "p1", queues);
    CHECK_INT(ms_fleet_status_parse(ms_test_run(core->redis, &cmd), NULL), ==,
              MS_OK);
    CHECK_INT(keys_of(core, "p1"), ==, 0);
}

static TEST(test_a_pod_is_buried_unless_it_beats_again)
{
    struct ms_core *core = *state;
    int64_t epoch = lead(core, "A").epoch;
    int64_t heartbeat;

    beat(core, "p1", false);
    assign(core, epoch, "p1", 3);
    heartbeat = ms_test_num(core->redis, "ZSCORE %s p1", F("pods"));
    CHECK_INT(bury(core, "p1", epoch, heartbeat - 1), ==, MS_ESTATE);
    CHECK_CONTAINS(core->error.text, "lives");
    CHECK_INT(keys_of(core, "p1"), ==, 4);
    CHECK_INT(bury(core, "p1", epoch, heartbeat), ==, MS_OK);
    CHECK_INT(keys_of(core, "p1"), ==, 0);
    CHECK_INT(bury(core, "p1", epoch, heartbeat), ==, MS_OK); /* repeated */
}

static TEST(test_messages_wait_in_the_inbox_of_a_living_pod)
{
    struct ms_core *core = *state;

    CHECK_INT(tell(core, "p1", "slots"), ==, MS_ENOENT);
    beat(core, "p1", false);
    CHECK_INT(tell(core, "p1", "cancel q a"), ==, MS_OK);
    for (int i = 1; i < MS_POD_INBOX_MAX; i++)
        CHECK_INT(tell(core, "p1", "slots"), ==, MS_OK);
    CHECK_INT(tell(core, "p1", "one too many"), ==, MS_EFULL);
    CHECK_STR(ms_test_text(core->redis, "LPOP %s", F("pod:p1:inbox")),
              "cancel q a");
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", F("pod:p1:inbox")), >, 0);
}

/* A fleet on a full Redis must not lose its leader and its pods as well. */
static TEST(test_the_fleet_lives_on_at_maxmemory)
{
    struct ms_core *core = *state;
    int64_t epoch;

    ms_test_cmd(core->redis, "CONFIG SET maxmemory 1");
    epoch = lead(core, "A").epoch;
    CHECK_INT(lead(core, "A").epoch, ==, epoch);
    CHECK_INT(beat(core, "p1", false).pods[0], ==, 1);
    CHECK_INT(assign(core, epoch, "p1", 3), ==, MS_OK);
    CHECK_INT(tell(core, "p1", "slots"), ==, MS_OK);
    CHECK_INT(bury(core, "p1", epoch, INT64_C(1) << 52), ==, MS_OK);
    CHECK_INT(resign(core, "A"), ==, MS_OK);
}

/* ---- schema ---- */

static enum ms_err schema(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schema_build(&cmd, "m");
    return ms_schema_parse(ms_test_run(core->redis, &cmd), &core->error);
}

static TEST(test_the_schema_is_written_once)
{
    struct ms_core *core = *state;

    CHECK_INT(schema(core), ==, MS_OK);
    CHECK_INT(schema(core), ==, MS_OK);
    CHECK_STR(ms_test_text(core->redis, "GET %s", F("schema")), MS_SCHEMA);
}

static TEST(test_a_schema_that_is_not_known_is_refused)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "SET %s 99", F("schema"));
    CHECK_INT(schema(core), ==, MS_ESCHEMA);
    CHECK_CONTAINS(core->error.text, "'99'");
    CHECK_STR(ms_test_text(core->redis, "GET %s", F("schema")), "99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_the_first_leads_and_the_second_stands_by),
        CORE(test_a_renewal_keeps_the_epoch),
        CORE(test_a_new_term_has_a_higher_epoch),
        CORE(test_the_epoch_never_goes_back),
        CORE(test_whoever_was_followed_leads_no_more),
        CORE(test_a_beat_tells_of_the_pod_and_learns_of_the_others),
        CORE(test_a_draining_pod_is_no_member),
        CORE(test_silent_members_are_not_counted),
        CORE(test_a_share_is_what_the_leader_assigned),
        CORE(test_shares_of_a_leader_that_is_gone_do_not_count),
        CORE(test_an_older_leader_writes_nothing),
        CORE(test_a_pod_that_leaves_takes_all_along),
        CORE(test_a_pod_is_buried_unless_it_beats_again),
        CORE(test_messages_wait_in_the_inbox_of_a_living_pod),
        CORE(test_the_fleet_lives_on_at_maxmemory),
        CORE(test_the_schema_is_written_once),
        CORE(test_a_schema_that_is_not_known_is_refused),
    };

    return RUN_CORE(tests);
}

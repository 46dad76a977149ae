/* The scripts of schedules: what they change, and what they refuse. */
#include "common/schedule.h"
#include "tests/support/core.h"

#include <stdio.h>

#define S F("cron:a")

static struct ms_schedule_conf def_of(const char *name)
{
    struct ms_schedule_conf def;
    struct ms_conf conf = {.max_payload_bytes = 1000};

    ms_schedule_conf_init(&def, name);
    ms_schedule_conf_set(&def, "cron", "0 3 * * *", NULL);
    ms_schedule_conf_set(&def, "kind", "k", NULL);
    ms_schedule_conf_set(&def, "queue", "q", NULL);
    CHECK_INT(ms_schedule_conf_finish(&def, &conf, NULL), ==, MS_OK);
    return def;
}

static enum ms_err run(struct ms_core *core, struct ms_cmd *cmd)
{
    return ms_schedule_status_parse(ms_test_run(core->redis, cmd), "a",
                                    &core->error);
}

static enum ms_err set(struct ms_core *core, int64_t version, int64_t next_ms,
                       int64_t enabled)
{
    struct ms_schedule_conf def = def_of("a");
    struct ms_cmd cmd = MS_CMD_INIT;

    def.enabled = enabled;
    ms_schedule_set_build(&cmd, "m", &def, version, next_ms);
    ms_schedule_conf_done(&def);
    return run(core, &cmd);
}

static enum ms_err seed(struct ms_core *core)
{
    struct ms_schedule_conf def = def_of("a");
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_seed_build(&cmd, "m", &def);
    ms_schedule_conf_done(&def);
    return run(core, &cmd);
}

static enum ms_err fire(struct ms_core *core, int64_t version, int64_t next_ms,
                        struct ms_schedule_due due, bool skipped)
{
    struct ms_schedule schedule = {.def = def_of("a"),
                                   .version = version,
                                   .next_ms = next_ms};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_fire_build(&cmd, "m", &schedule, &due, "id1", skipped,
                           core->epoch);
    ms_schedule_done(&schedule);
    return run(core, &cmd);
}
#define DUE(slot, next, n) ((struct ms_schedule_due){(slot), (next), (n)})

static enum ms_err clear(struct ms_core *core, const char *id)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_clear_build(&cmd, "m", "a", id, core->epoch);
    return run(core, &cmd);
}

static enum ms_err note(struct ms_core *core, const char *text)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_note_build(&cmd, "m", "a", text, 5000, core->epoch);
    return run(core, &cmd);
}

static enum ms_err trigger(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_trigger_build(&cmd, "m", "a", "id2", "q");
    return run(core, &cmd);
}

static enum ms_err rm(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_rm_build(&cmd, "m", "a");
    return run(core, &cmd);
}

static const char *field(struct ms_core *core, const char *name)
{
    const char *text = ms_test_text(core->redis, "HGET %s %s", S, name);

    return strcmp(text, "(nil)") == 0 ? "" : text;
}

static const char *score(struct ms_core *core)
{
    return ms_test_text(core->redis, "ZSCORE %s a", F("crons"));
}

/* ---- definitions ---- */

static TEST(test_a_definition_is_written_whole)
{
    struct ms_core *core = *state;

    CHECK_INT(set(core, 0, 5000, 1), ==, MS_OK);
    CHECK_STR(field(core, "cron"), "0 3 * * *");
    CHECK_STR(field(core, "tz"), "UTC");
    CHECK_STR(field(core, "kind"), "k");
    CHECK_STR(field(core, "queue"), "q");
    CHECK_STR(field(core, "payload"), "{}");
    CHECK_STR(field(core, "misfire"), "once");
    CHECK_STR(field(core, "overlap"), "skip");
    CHECK_STR(field(core, "enabled"), "1");
    CHECK_STR(field(core, "version"), "1");
    CHECK_STR(field(core, "next_ms"), "5000");
    CHECK_STR(score(core), "5000");
    CHECK_INT(ms_test_num(core->redis, "HGET %s created_ms", S), >, 1000000);
}

/* Two operators at once: the second has to look again. */
static TEST(test_a_definition_that_has_changed_is_not_overwritten)
{
    struct ms_core *core = *state;

    CHECK_INT(set(core, 1, 5000, 1), ==, MS_EBUSY);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", S, F("crons")), ==, 0);
    CHECK_INT(set(core, 0, 5000, 1), ==, MS_OK);
    CHECK_INT(set(core, 0, 6000, 1), ==, MS_EBUSY);
    CHECK_STR(field(core, "next_ms"), "5000");
    CHECK_INT(set(core, 1, 6000, 1), ==, MS_OK);
    CHECK_STR(field(core, "version"), "2");
    CHECK_STR(score(core), "6000");
}

static TEST(test_what_is_disabled_waits_for_ever)
{
    struct ms_core *core = *state;

    CHECK_INT(set(core, 0, 0, 0), ==, MS_OK);
    CHECK_STR(score(core), "inf");
    CHECK_INT(set(core, 1, 7000, 1), ==, MS_OK);
    CHECK_STR(score(core), "7000");
}

static TEST(test_a_seed_writes_what_is_absent)
{
    struct ms_core *core = *state;

    CHECK_INT(seed(core), ==, MS_OK);
    CHECK_STR(field(core, "cron"), "0 3 * * *");
    CHECK_STR(field(core, "next_ms"), "0"); /* the leader works it out */
    CHECK_STR(score(core), "0");
    CHECK_INT(set(core, 1, 5000, 0), ==, MS_OK); /* an operator disables it */
    CHECK_INT(seed(core), ==, MS_OK);
    CHECK_STR(field(core, "enabled"), "0");
    CHECK_STR(field(core, "version"), "2");
    CHECK_STR(field(core, "next_ms"), "5000");
    CHECK_STR(score(core), "inf");
    ms_test_cmd(core->redis, "DEL %s", F("crons"));
    CHECK_INT(seed(core), ==, MS_OK);
    CHECK_STR(score(core), "0"); /* the leader looks where it belongs */
    ms_test_cmd(core->redis, "HDEL %s misfire", S);
    CHECK_INT(seed(core), ==, MS_OK);
    CHECK_STR(field(core, "misfire"), "once");
    CHECK_STR(field(core, "version"), "3");
    CHECK_STR(score(core), "inf");
}

static TEST(test_a_key_of_another_type_is_left_alone)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "SET %s x", S);
    CHECK_INT(set(core, 0, 5000, 1), !=, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", F("crons")), ==, 0);
    ms_test_cmd(core->redis, "DEL %s", S);
}

static TEST(test_removing)
{
    struct ms_core *core = *state;

    CHECK_INT(rm(core), ==, MS_ENOENT);
    CHECK_CONTAINS(core->error.text, "there is no schedule 'a'");
    set(core, 0, 5000, 1);
    CHECK_INT(rm(core), ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", S, F("crons")), ==, 0);
    ms_test_cmd(core->redis, "ZADD %s 5 a", F("crons")); /* half of one */
    CHECK_INT(rm(core), ==, MS_OK);
    CHECK_INT(rm(core), ==, MS_ENOENT);
}

static TEST(test_a_trigger_is_noted_if_there_is_a_schedule)
{
    struct ms_core *core = *state;

    CHECK_INT(trigger(core), ==, MS_ENOENT);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", S), ==, 0);
    set(core, 0, 5000, 1);
    CHECK_INT(trigger(core), ==, MS_OK);
    CHECK_STR(field(core, "trigger_id"), "id2");
    CHECK_STR(field(core, "trigger_queue"), "q");
    CHECK_STR(field(core, "next_ms"), "5000");
    CHECK_STR(field(core, "version"), "1");
}

/* ---- looking ---- */

static TEST(test_looking_answers_names_whose_time_has_come)
{
    struct ms_core *core = *state;
    const struct ms_reply *names;
    int64_t now, next;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_schedule_look_build(&cmd, "m", 2);
    CHECK_INT(ms_schedule_look_parse(ms_test_run(core->redis, &cmd), &now,
                                     &next, &names, NULL),
              ==, MS_OK);
    CHECK_INT(names->n_items, ==, 0);
    CHECK_INT(next, ==, 0);
    CHECK_INT(now, >, INT64_C(1600000000000));
    ms_test_cmd(core->redis, "ZADD %s 3 c 1 a 2 b 9000000000000 d inf e",
                F("crons"));
    ms_schedule_look_build(&cmd, "m", 2);
    CHECK_INT(ms_schedule_look_parse(ms_test_run(core->redis, &cmd), &now,
                                     &next, &names, NULL),
              ==, MS_OK);
    CHECK_INT(names->n_items, ==, 2);
    CHECK_STR(ms_reply_str(ms_reply_at(names, 0), ""), "a");
    CHECK_STR(ms_reply_str(ms_reply_at(names, 1), ""), "b");
    CHECK_INT(next, ==, INT64_C(9000000000000));
    ms_test_cmd(core->redis, "ZREM %s d", F("crons"));
    ms_schedule_look_build(&cmd, "m", 2);
    CHECK_INT(ms_schedule_look_parse(ms_test_run(core->redis, &cmd), &now,
                                     &next, &names, NULL),
              ==, MS_OK);
    CHECK_INT(next, ==, 0); /* what is disabled is no time */
}

/* ---- firing ---- */

static TEST(test_a_slot_is_taken_once)
{
    struct ms_core *core = *state;

    set(core, 0, 5000, 1);
    CHECK_INT(fire(core, 1, 5000, DUE(5000, 6000, 2), false), ==, MS_OK);
    CHECK_STR(field(core, "pending_slot_ms"), "5000");
    CHECK_STR(field(core, "pending_id"), "id1");
    CHECK_STR(field(core, "pending_queue"), "q");
    CHECK_STR(field(core, "next_ms"), "6000");
    CHECK_STR(field(core, "missed"), "2");
    CHECK_STR(score(core), "5000"); /* until it is enqueued */
    CHECK_INT(fire(core, 1, 5000, DUE(5000, 6000, 2), false), ==, MS_EBUSY);
    CHECK_INT(fire(core, 1, 6000, DUE(6000, 7000, 0), false), ==, MS_EBUSY);
    CHECK_STR(field(core, "next_ms"), "6000");
    CHECK_STR(field(core, "missed"), "2");
}

static TEST(test_clearing_ends_what_was_pending)
{
    struct ms_core *core = *state;

    set(core, 0, 5000, 1);
    fire(core, 1, 5000, DUE(5000, 6000, 0), false);
    note(core, "it was full");
    CHECK_INT(clear(core, "id0"), ==, MS_EBUSY);
    CHECK_STR(field(core, "pending_id"), "id1");
    CHECK_INT(clear(core, "id1"), ==, MS_OK);
    CHECK_STR(field(core, "pending_id"), "");
    CHECK_STR(field(core, "pending_slot_ms"), "");
    CHECK_STR(field(core, "pending_queue"), "");
    CHECK_STR(field(core, "last_id"), "id1");
    CHECK_STR(field(core, "last_queue"), "q");
    CHECK_STR(field(core, "last_slot_ms"), "5000");
    CHECK_STR(field(core, "fired"), "1");
    CHECK_STR(field(core, "last_error"), "");
    CHECK_INT(ms_test_num(core->redis, "HGET %s last_fired_ms", S), >, 1000000);
    CHECK_STR(score(core), "6000");
    CHECK_INT(clear(core, "id1"), ==, MS_EBUSY); /* once */
    CHECK_STR(field(core, "fired"), "1");
}

/* A leader that read an older definition must not act by it. */
static TEST(test_a_changed_definition_is_not_fired)
{
    struct ms_core *core = *state;

    set(core, 0, 5000, 1);
    set(core, 1, 5000, 1);
    CHECK_INT(fire(core, 1, 5000, DUE(5000, 6000, 0), false), ==, MS_EBUSY);
    CHECK_STR(field(core, "pending_id"), "");
    CHECK_STR(field(core, "next_ms"), "5000");
    CHECK_INT(fire(core, 2, 4000, DUE(4000, 6000, 0), false), ==, MS_EBUSY);
    CHECK_INT(fire(core, 2, 5000, DUE(5000, 6000, 0), false), ==, MS_OK);
}

static TEST(test_what_is_not_there_is_not_fired)
{
    struct ms_core *core = *state;

    CHECK_INT(fire(core, 1, 5000, DUE(5000, 6000, 0), false), ==, MS_ENOENT);
    CHECK_INT(clear(core, "id1"), ==, MS_ENOENT);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", S, F("crons")), ==, 0);
}

static TEST(test_an_older_leader_changes_nothing)
{
    struct ms_core *core = *state;

    set(core, 0, 5000, 1);
    ms_test_cmd(core->redis, "SET %s 10", F("epoch"));
    core->epoch = 9;
    CHECK_INT(fire(core, 1, 5000, DUE(5000, 6000, 3), false), ==, MS_ESTALE);
    CHECK_STR(field(core, "next_ms"), "5000");
    CHECK_STR(field(core, "missed"), "");
    core->epoch = 10;
    CHECK_INT(fire(core, 1, 5000, DUE(5000, 6000, 0), false), ==, MS_OK);
    core->epoch = 9;
    CHECK_INT(clear(core, "id1"), ==, MS_ESTALE);
    CHECK_INT(note(core, "late"), ==, MS_ESTALE);
    CHECK_STR(field(core, "pending_id"), "id1");
    CHECK_STR(field(core, "last_error"), "");
    CHECK_STR(score(core), "5000");
}

static TEST(test_a_slot_may_be_passed_over)
{
    struct ms_core *core = *state;

    set(core, 0, 5000, 1);
    note(core, "before");
    CHECK_INT(fire(core, 1, 5000, DUE(5000, 6000, 1), true), ==, MS_OK);
    CHECK_STR(field(core, "pending_id"), "");
    CHECK_STR(field(core, "skipped"), "1");
    CHECK_STR(field(core, "missed"), "1");
    CHECK_STR(field(core, "last_error"), "");
    CHECK_STR(score(core), "6000");
    CHECK_INT(fire(core, 1, 6000, DUE(0, 7000, 4), false), ==, MS_OK);
    CHECK_STR(field(core, "skipped"), "1");
    CHECK_STR(field(core, "missed"), "5");
    CHECK_STR(score(core), "7000");
}

/* It was taken: it fires, and then there is rest. */
static TEST(test_disabling_leaves_a_pending_slot_pending)
{
    struct ms_core *core = *state;

    set(core, 0, 5000, 1);
    fire(core, 1, 5000, DUE(5000, 6000, 0), false);
    CHECK_INT(set(core, 1, 0, 0), ==, MS_OK);
    CHECK_STR(score(core), "5000");
    CHECK_STR(field(core, "pending_id"), "id1");
    CHECK_INT(clear(core, "id1"), ==, MS_OK);
    CHECK_STR(score(core), "inf");
}

/* ---- noting failures ---- */

static TEST(test_a_failure_moves_it_behind_the_others)
{
    struct ms_core *core = *state;

    set(core, 0, 5000, 1);
    CHECK_INT(note(core, "the queue is full"), ==, MS_OK);
    CHECK_STR(field(core, "last_error"), "the queue is full");
    CHECK_STR(field(core, "next_ms"), "5000"); /* still to be fired */
    CHECK_INT(ms_test_num(core->redis, "ZCOUNT %s 1000000000000 +inf",
                          F("crons")),
              ==, 1);
}

static TEST(test_a_name_without_a_schedule_leaves_the_index)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "ZADD %s 5 a", F("crons"));
    CHECK_INT(note(core, "x"), ==, MS_ENOENT);
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s %s", S, F("crons")), ==, 0);
}

static TEST(test_a_key_that_is_no_hash_is_put_off)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "ZADD %s 5 a", F("crons"));
    ms_test_cmd(core->redis, "SET %s x", S);
    CHECK_INT(note(core, "wrong type"), ==, MS_OK);
    CHECK_INT(ms_test_num(core->redis, "ZCOUNT %s 0 1000", F("crons")), ==, 0);
    ms_test_cmd(core->redis, "DEL %s", S);
}

/* What was taken must be enqueued or noted, however full Redis is. */
static TEST(test_the_leaders_part_passes_at_maxmemory)
{
    struct ms_core *core = *state;

    CHECK_INT(seed(core), ==, MS_OK);
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 1");
    CHECK_INT(seed(core), ==, MS_OK);
    CHECK_INT(set(core, 1, 5000, 1), ==, MS_OK);
    CHECK_INT(fire(core, 2, 5000, DUE(5000, 6000, 0), false), ==, MS_OK);
    CHECK_INT(note(core, "full"), ==, MS_OK);
    CHECK_INT(clear(core, "id1"), ==, MS_OK);
    CHECK_INT(rm(core), ==, MS_OK);
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_definition_is_written_whole),
        CORE(test_a_definition_that_has_changed_is_not_overwritten),
        CORE(test_what_is_disabled_waits_for_ever),
        CORE(test_a_seed_writes_what_is_absent),
        CORE(test_a_key_of_another_type_is_left_alone),
        CORE(test_removing),
        CORE(test_a_trigger_is_noted_if_there_is_a_schedule),
        CORE(test_looking_answers_names_whose_time_has_come),
        CORE(test_a_slot_is_taken_once),
        CORE(test_clearing_ends_what_was_pending),
        CORE(test_a_changed_definition_is_not_fired),
        CORE(test_what_is_not_there_is_not_fired),
        CORE(test_an_older_leader_changes_nothing),
        CORE(test_a_slot_may_be_passed_over),
        CORE(test_disabling_leaves_a_pending_slot_pending),
        CORE(test_a_failure_moves_it_behind_the_others),
        CORE(test_a_name_without_a_schedule_leaves_the_index),
        CORE(test_a_key_that_is_no_hash_is_put_off),
        CORE(test_the_leaders_part_passes_at_maxmemory),
    };

    return RUN_CORE(tests);
}

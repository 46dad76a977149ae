/* Schedules: definitions, records, ids, and which slots are due. */
#include "common/schedule.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>

#define MINUTE 60000
#define NOON   INT64_C(1795262400000) /* 2026-11-21 12:00 UTC, a Saturday */

static struct ms_conf conf = {.max_payload_bytes = 64};

/* ---- definitions ---- */

static void check_refused(const char *key, const char *text, const char *why)
{
    struct ms_schedule_conf def;
    struct ms_error error = {""};

    ms_schedule_conf_init(&def, "nightly");
    CHECK_INT(ms_schedule_conf_set(&def, key, text, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, why);
    ms_schedule_conf_done(&def);
}

static TEST(test_a_bad_field_is_named)
{
    check_refused("cron", "0 3 30 2 *", "cron: day-of-month '30'");
    check_refused("cron", "", "cron: ");
    check_refused("tz", "Mars/Phobos", "tz: time zone 'Mars/Phobos'");
    check_refused("kind", "a b", "kind: ");
    check_refused("queue", "{x}", "queue: ");
    check_refused("payload", "{\"a\":", "payload: line 1");
    check_refused("payload", "{} {}", "payload: ");
    check_refused("misfire", "catch-up", "misfire: ");
    check_refused("misfire", "catch-up 1001", "1 to 1000");
    check_refused("misfire", "catch-up -1", "misfire: ");
    check_refused("overlap", "maybe", "overlap: 'maybe'");
    check_refused("enabled", "1", "enabled: ");
    check_refused("name", "other", "no field 'name'");
    check_refused("retries", "3", "no field 'retries'");
}

static struct ms_schedule_conf nightly(const char *name, const char *cron,
                                       const char *kind)
{
    struct ms_schedule_conf def;

    ms_schedule_conf_init(&def, name);
    if (cron != NULL)
        CHECK_INT(ms_schedule_conf_set(&def, "cron", cron, NULL), ==, MS_OK);
    if (kind != NULL)
        CHECK_INT(ms_schedule_conf_set(&def, "kind", kind, NULL), ==, MS_OK);
    return def;
}

static void check_unfinished(struct ms_schedule_conf def, const char *why)
{
    struct ms_error error = {""};

    CHECK_INT(ms_schedule_conf_finish(&def, &conf, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, why);
    ms_schedule_conf_done(&def);
}

static TEST(test_the_whole_is_checked_too)
{
    struct ms_schedule_conf def = nightly("a", "@daily", "k");
    char payload[100];

    check_unfinished(nightly("a", NULL, "k"), "'cron' is missing");
    check_unfinished(nightly("a", "@daily", NULL), "'kind' is missing");
    check_unfinished(nightly("a b", "@daily", "k"), "schedule 'a b'");
    check_unfinished(nightly("", "@daily", "k"), "schedule ''");
    memset(payload, '1', sizeof(payload));
    payload[0] = payload[sizeof(payload) - 2] = '"';
    payload[sizeof(payload) - 1] = '\0';
    CHECK_INT(ms_schedule_conf_set(&def, "payload", payload, NULL), ==, MS_OK);
    check_unfinished(def, "more than max_payload (64)");
}

static TEST(test_a_kind_s_rule_says_queue_and_attempts)
{
    char prefix[] = "mail.", queue[] = "mail";
    struct ms_kind_conf rule = {.prefix = prefix,
                                .queue = queue,
                                .max_attempts = 3,
                                .timeout_ms = 30000};
    struct ms_conf with = {.kinds = &rule,
                           .n_kinds = 1,
                           .max_payload_bytes = 64};
    struct ms_schedule_conf def = nightly("a", "@daily", "mail.send");
    struct ms_buf payload = MS_BUF_INIT;
    struct ms_new_job job;

    CHECK_INT(ms_schedule_conf_finish(&def, &with, NULL), ==, MS_OK);
    CHECK_STR(def.queue, "mail");
    CHECK_INT(ms_schedule_job(&def, &with, "id", &payload, &job, NULL), ==,
              MS_OK);
    CHECK_STR(job.kind, "mail.send");
    CHECK_INT(job.max_attempts, ==, 3);
    CHECK_INT(job.timeout_ms, ==, 30000);
    CHECK_INT(job.priority, ==, MS_PRIORITY_DEFAULT);
    CHECK(job.own_id);
    CHECK_INT(job.payload_len, ==, 1); /* {} in msgpack */
    ms_buf_done(&payload);
    ms_schedule_conf_done(&def);
    def = nightly("a", "@daily", "other");
    CHECK_INT(ms_schedule_conf_finish(&def, &with, NULL), ==, MS_OK);
    CHECK_STR(def.queue, "default");
    ms_schedule_conf_done(&def);
}

/* ---- ids ---- */

static TEST(test_a_slot_s_id_is_made_of_name_and_slot)
{
    char id[MS_JOB_ID_MAX + 1], name[MS_NAME_MAX + 1];

    ms_schedule_job_id("nightly", NOON, id);
    CHECK_STR(id, "cron:nightly:20261121T120000Z");
    ms_schedule_job_id("a~b.5", NOON + 1000, id);
    CHECK_STR(id, "cron:a:b.5:20261121T120001Z");
    memset(name, '~', MS_NAME_MAX);
    name[0] = 'a';
    name[MS_NAME_MAX] = '\0';
    ms_schedule_job_id(name, NOON, id);
    CHECK(ms_job_id_is_users(id));
    ms_schedule_trigger_id(name, id);
    CHECK(ms_job_id_is_users(id));
}

/* ---- records ---- */

#define STR(text)                                                    \
    {                                                                \
        .type = MS_REPLY_STR, .str = (text), .len = sizeof(text) - 1 \
    }

static enum ms_err parse(const struct ms_reply *items, size_t n,
                         struct ms_schedule *out, struct ms_error *error)
{
    struct ms_reply pairs = {.type = MS_REPLY_ARRAY,
                             .items = items,
                             .n_items = n};

    return ms_schedule_parse("a", &pairs, out, error);
}

static TEST(test_a_record_is_read)
{
    const struct ms_reply items[] = {
        STR("cron"),       STR("@daily"),    STR("tz"),      STR("UTC"),
        STR("kind"),       STR("k"),         STR("queue"),   STR("q"),
        STR("payload"),    STR("[1]"),       STR("misfire"), STR("skip"),
        STR("overlap"),    STR("allow"),     STR("enabled"), STR("1"),
        STR("version"),    STR("7"),         STR("next_ms"), STR("86400000"),
        STR("pending_id"), STR("x"),         STR("fired"),   STR("3"),
        STR("last_error"), STR("it is full")};
    struct ms_schedule schedule;

    CHECK_INT(parse(items, MS_COUNT_OF(items), &schedule, NULL), ==, MS_OK);
    CHECK_STR(schedule.def.name, "a");
    CHECK_STR(schedule.def.cron, "@daily");
    CHECK_STR(schedule.def.misfire, "skip");
    CHECK_INT(schedule.def.enabled, ==, 1);
    CHECK_INT(schedule.version, ==, 7);
    CHECK_INT(schedule.next_ms, ==, 86400000);
    CHECK_STR(schedule.pending_id, "x");
    CHECK_STR(schedule.last_id, NULL);
    CHECK_INT(schedule.fired, ==, 3);
    CHECK_STR(schedule.last_error, "it is full");
    ms_schedule_done(&schedule);
}

static TEST(test_what_is_no_record_is_refused)
{
    const struct ms_reply items[] = {STR("cron"),    STR("not a line"),
                                     STR("tz"),      STR("UTC"),
                                     STR("kind"),    STR("k"),
                                     STR("queue"),   STR("q"),
                                     STR("payload"), STR("{}"),
                                     STR("misfire"), STR("skip"),
                                     STR("overlap"), STR("allow")};
    const struct ms_reply nil = {.type = MS_REPLY_NIL};
    struct ms_schedule schedule;
    struct ms_error error = {""};

    CHECK_INT(parse(items, 0, &schedule, &error), ==, MS_ENOENT);
    CHECK_CONTAINS(error.text, "there is no schedule 'a'");
    CHECK_INT(parse(items, MS_COUNT_OF(items), &schedule, &error), ==,
              MS_EPROTO);
    CHECK_CONTAINS(error.text, "cron: ");
    CHECK_INT(parse(items + 2, MS_COUNT_OF(items) - 2, &schedule, &error), ==,
              MS_EPROTO);
    CHECK_CONTAINS(error.text, "'cron' is missing");
    CHECK_INT(ms_schedule_parse("a", &nil, &schedule, NULL), ==, MS_EPROTO);
}

/* ---- what is due ---- */

static struct ms_schedule_due due(const char *cron, const char *misfire,
                                  int64_t next_ms, int64_t now_ms)
{
    struct ms_schedule schedule = {.def = nightly("a", cron, "k"),
                                   .next_ms = next_ms};
    struct ms_schedule_due out;

    CHECK_INT(ms_schedule_conf_set(&schedule.def, "misfire", misfire, NULL), ==,
              MS_OK);
    CHECK_INT(ms_schedule_due(&schedule, now_ms, &out, NULL), ==, MS_OK);
    ms_schedule_done(&schedule);
    return out;
}

static void check_due(struct ms_schedule_due got, int64_t slot_ms,
                      int64_t next_ms, int64_t missed)
{
    CHECK_INT(got.slot_ms, ==, slot_ms);
    CHECK_INT(got.next_ms, ==, next_ms);
    CHECK_INT(got.missed, ==, missed);
}

static const char *const policies[] = {"skip", "once", "catch-up 1",
                                       "catch-up 100"};

static TEST(test_before_its_time_nothing_is_due)
{
    for (size_t i = 0; i < MS_COUNT_OF(policies); i++)
        check_due(due("* * * * *", policies[i], NOON, NOON - 1), 0, NOON, 0);
}

static TEST(test_in_time_every_policy_fires)
{
    for (size_t i = 0; i < MS_COUNT_OF(policies); i++) {
        check_due(due("0 * * * *", policies[i], NOON, NOON), NOON,
                  NOON + 60 * MINUTE, 0);
        check_due(due("0 * * * *", policies[i], NOON,
                      NOON + MS_SCHEDULE_LATE_MS),
                  NOON, NOON + 60 * MINUTE, 0);
    }
}

static TEST(test_a_late_slot_is_dropped_or_fired)
{
    int64_t late = NOON + MS_SCHEDULE_LATE_MS + 1, next = NOON + 60 * MINUTE;

    check_due(due("0 * * * *", "skip", NOON, late), 0, next, 1);
    check_due(due("0 * * * *", "once", NOON, late), NOON, next, 0);
    check_due(due("0 * * * *", "catch-up 1", NOON, late), NOON, next, 0);
}

/* 12:00 to 14:00, and it is 14:30. */
static TEST(test_several_late_slots)
{
    int64_t now = NOON + 150 * MINUTE, two = NOON + 120 * MINUTE;
    int64_t one = NOON + 60 * MINUTE, three = NOON + 180 * MINUTE;

    check_due(due("0 * * * *", "skip", NOON, now), 0, three, 3);
    check_due(due("0 * * * *", "once", NOON, now), two, three, 2);
    check_due(due("0 * * * *", "catch-up 1", NOON, now), two, three, 2);
    check_due(due("0 * * * *", "catch-up 2", NOON, now), one, two, 1);
    check_due(due("0 * * * *", "catch-up 2", two, now), two, three, 0);
    check_due(due("0 * * * *", "catch-up 9", NOON, now), NOON, one, 0);
}

/* 12:00 to 14:00, and it is 14:00:30: one of them is not late. */
static TEST(test_late_slots_and_one_in_time)
{
    int64_t now = NOON + 120 * MINUTE + 30000, two = NOON + 120 * MINUTE;
    int64_t one = NOON + 60 * MINUTE, three = NOON + 180 * MINUTE;

    check_due(due("0 * * * *", "skip", NOON, now), two, three, 2);
    check_due(due("0 * * * *", "once", NOON, now), two, three, 2);
    check_due(due("0 * * * *", "catch-up 1", NOON, now), one, two, 1);
}

/* Whoever was away for a year must not stand still for as long. */
static TEST(test_a_long_absence_is_worked_off_in_steps)
{
    int64_t now = NOON + INT64_C(365) * 1440 * MINUTE + 30000;
    int64_t next = NOON, missed = 0, steps = 0;
    struct ms_schedule_due got;

    do {
        got = due("* * * * *", "catch-up 10", next, now);
        CHECK_INT(got.next_ms, >, next);
        CHECK_INT(got.missed, <=, MS_SCHEDULE_STEP);
        missed += got.missed;
        next = got.next_ms;
        CHECK_INT(++steps, <, 100);
    } while (got.slot_ms == 0);
    CHECK_INT(got.slot_ms, ==, now - 30000 - 10 * MINUTE);
    CHECK_INT(missed, ==, 365 * 1440 - 10);
}

static TEST(test_periods_of_a_long_absence_take_one_step)
{
    int64_t now = NOON + INT64_C(365) * 1440 * MINUTE;
    int64_t n = INT64_C(365) * 86400 + 1; /* slots */

    check_due(due("@every 1s", "once", NOON, now), now, now + 1000, n - 1);
    check_due(due("@every 1s", "skip", NOON, now), now, now + 1000, n - 1);
    check_due(due("@every 1s", "catch-up 2", NOON, now), now - 2000, now - 1000,
              n - 3);
}

/* As seeds leave it. */
static TEST(test_a_schedule_without_a_time_gets_its_next)
{
    struct ms_schedule schedule = {.def = nightly("a", "0 * * * *", "k")};
    struct ms_schedule_due got;

    check_due(due("0 * * * *", "once", 0, NOON), 0, NOON + 60 * MINUTE, 0);
    /* a slot that was taken never comes again, whatever clocks do */
    schedule.last_slot_ms = NOON + 60 * MINUTE;
    CHECK_INT(ms_schedule_due(&schedule, NOON, &got, NULL), ==, MS_OK);
    check_due(got, 0, NOON + 120 * MINUTE, 0);
    ms_schedule_done(&schedule);
}

static TEST(test_what_is_disabled_is_not_due)
{
    struct ms_schedule schedule = {.def = nightly("a", "0 * * * *", "k"),
                                   .next_ms = NOON};
    struct ms_schedule_due got;

    schedule.def.enabled = 0;
    CHECK_INT(ms_schedule_due(&schedule, NOON + MINUTE, &got, NULL), ==, MS_OK);
    check_due(got, 0, NOON, 0);
    ms_schedule_done(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_bad_field_is_named),
        RUN(test_the_whole_is_checked_too),
        RUN(test_a_kind_s_rule_says_queue_and_attempts),
        RUN(test_a_slot_s_id_is_made_of_name_and_slot),
        RUN(test_a_record_is_read),
        RUN(test_what_is_no_record_is_refused),
        RUN(test_before_its_time_nothing_is_due),
        RUN(test_in_time_every_policy_fires),
        RUN(test_a_late_slot_is_dropped_or_fired),
        RUN(test_several_late_slots),
        RUN(test_late_slots_and_one_in_time),
        RUN(test_a_long_absence_is_worked_off_in_steps),
        RUN(test_periods_of_a_long_absence_take_one_step),
        RUN(test_a_schedule_without_a_time_gets_its_next),
        RUN(test_what_is_disabled_is_not_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

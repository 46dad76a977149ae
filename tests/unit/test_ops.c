/* Builders' checks and parsers of enqueue, admin, parent, tidy, fleet, keys
 * and status, without a Redis. */
#include <stdio.h>

#include "common/admin.h"
#include "common/enqueue.h"
#include "common/fleet.h"
#include "common/keys.h"
#include "common/parent.h"
#include "common/status.h"
#include "common/tidy.h"
#include "tests/support/support.h"
#include "tests/support/tree.h"

/* ---- status and keys ---- */

static TEST(test_every_status_word_has_its_class)
{
    static const struct {
        const char *text;
        enum ms_err want;
    } cases[] = {
        {"(ok)", MS_OK},
        {"(ok 5)", MS_OK},
        {"(unknown)", MS_ENOENT},
        {"(epoch 9)", MS_ESTALE},
        {"(stale)", MS_ESTALE},
        {"(full 3)", MS_EFULL},
        {"(again)", MS_EBUSY},
        {"(state running)", MS_ESTATE},
        {"(planned 7)", MS_ESTATE},
        {"(chunks 2)", MS_ESTATE},
        {"(alive 5)", MS_ESTATE},
        {"(verb)", MS_ESTATE},
        {"(broken capacity)", MS_EINVAL},
        {"(incomplete capacity)", MS_EINVAL},
        {"(okay)", MS_EPROTO},
        {"()", MS_EPROTO},
        {"ok", MS_EPROTO},
        {"nil", MS_EPROTO},
        {"5", MS_EPROTO},
        {"((ok))", MS_EPROTO},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_error error = {"untouched"};
        enum ms_err err =
            ms_status_parse(ms_test_tree(cases[i].text), "thing", &error);

        if (err != cases[i].want)
            fail_msg("%s is %s", cases[i].text, ms_err_name(err));
        if (err != MS_OK)
            CHECK_CONTAINS(error.text, "thing: ");
    }
}

static TEST(test_a_status_shows_what_it_says_more)
{
    struct ms_error error;

    ms_status_parse(ms_test_tree("(state running)"), "retry", &error);
    CHECK_STR(error.text, "retry: not in this state (running)");
}

static TEST(test_keys_carry_their_hash_tag)
{
    char key[MS_KEY_MAX];

    CHECK_STR(ms_key_fleet(key, "main", "pod:%s", "P1"), "ms:{main}:pod:P1");
    CHECK_STR(ms_key_queue(key, "main", "mail", "job:%s", "a.1"),
              "ms:{main/mail}:job:a.1");
}

/* ---- enqueue ---- */

static struct ms_new_job plain(void)
{
    return (struct ms_new_job){.id = "a",
                               .kind = "k",
                               .priority = MS_PRIORITY_DEFAULT};
}

static enum ms_err build(const struct ms_new_job *job, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    enum ms_err err = ms_enqueue_build(&cmd, "f", "q", "T", job, 1, 100, error);

    if (err != MS_OK)
        CHECK_INT(cmd.n_args, ==, 0); /* nothing was begun */
    ms_cmd_done(&cmd);
    return err;
}

static void check_refused(struct ms_new_job job, const char *why)
{
    struct ms_error error = {""};

    CHECK_INT(build(&job, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, why);
}

static TEST(test_enqueue_checks_ids_and_names)
{
    char long_key[258];
    struct ms_new_job job = plain();

    memset(long_key, 'u', 257);
    long_key[257] = '\0';
    CHECK_INT(build(&job, NULL), ==, MS_OK);
    job.id = "p.7"; /* a chunk's: for ourselves alone */
    CHECK_INT(build(&job, NULL), ==, MS_OK);
    job.own_id = true;
    check_refused(job, "p.7");
    job.own_id = false;
    job.id = "no spaces";
    check_refused(job, "no spaces");
    job.id = "";
    check_refused(job, "no job id");
    job = plain();
    job.kind = "k{x}";
    check_refused(job, "kind 'k{x}'");
    job = plain();
    job.group = "";
    check_refused(job, "group ''");
    job = plain();
    job.unique = "";
    check_refused(job, "unique key");
    job.unique = long_key;
    check_refused(job, "unique key");
    job.unique = long_key + 1;
    CHECK_INT(build(&job, NULL), ==, MS_OK);
}

static TEST(test_enqueue_checks_how_a_key_is_shared)
{
    static const char *const words[] = {"refuse", "replace", "debounce"};
    struct ms_new_job job = plain();
    struct ms_error error = {""};
    enum ms_unique_mode mode;

    job.unique_mode = MS_UNIQUE_REPLACE;
    check_refused(job, "job 1: unique_mode without a unique key");
    job.unique = "u";
    CHECK_INT(build(&job, NULL), ==, MS_OK);
    job.unique_mode = (enum ms_unique_mode)3;
    check_refused(job, "unique_mode 3");
    job.unique_mode = MS_UNIQUE_DEBOUNCE;
    job.parent = true;
    check_refused(job, "a parent cannot be debounced");
    for (int i = 0; i < 3; i++) {
        CHECK_INT(ms_unique_mode_parse(words[i], &mode, NULL), ==, MS_OK);
        CHECK_INT(mode, ==, i);
    }
    CHECK_INT(ms_unique_mode_parse("Replace", &mode, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "not 'Replace'");
}

static TEST(test_enqueue_checks_numbers)
{
    static const size_t offsets[] = {
        offsetof(struct ms_new_job, delay_ms),
        offsetof(struct ms_new_job, at_ms),
        offsetof(struct ms_new_job, expires_in_ms),
        offsetof(struct ms_new_job, expires_at_ms),
        offsetof(struct ms_new_job, unique_ttl_ms),
        offsetof(struct ms_new_job, max_attempts),
        offsetof(struct ms_new_job, timeout_ms),
    };

    for (size_t i = 0; i < MS_COUNT_OF(offsets); i++) {
        struct ms_new_job job = plain();
        int64_t *number = (int64_t *)((char *)&job + offsets[i]);

        *number = -1;
        check_refused(job, "out of range");
        *number = INT64_C(1) << 53;
        check_refused(job, "job 1: ");
        *number = (INT64_C(1) << 53) - 1;
        CHECK_INT(build(&job, NULL), ==, MS_OK);
    }
}

static TEST(test_enqueue_checks_priority_and_size)
{
    struct ms_new_job job = plain();

    job.priority = -1;
    check_refused(job, "priority -1");
    job.priority = 10;
    check_refused(job, "priority 10");
    job = plain();
    job.payload = "x";
    job.payload_len = 101;
    check_refused(job, "max_payload");
}

static TEST(test_enqueue_takes_500_jobs_of_a_valid_queue)
{
    static struct ms_new_job jobs[MS_ENQUEUE_MAX + 1];
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t len;

    for (size_t i = 0; i <= MS_ENQUEUE_MAX; i++)
        jobs[i] = plain();
    CHECK_INT(ms_enqueue_build(&cmd, "f", "q", "T", jobs, 501, 100, NULL), ==,
              MS_EINVAL);
    CHECK_INT(ms_enqueue_build(&cmd, "f", "q/r", "T", jobs, 1, 100, NULL), ==,
              MS_EINVAL);
    CHECK_INT(ms_enqueue_build(&cmd, "f", "q", "T", jobs, 500, 100, NULL), ==,
              MS_OK);
    CHECK_INT(cmd.n_keys, ==, 525);
    CHECK_INT(cmd.n_args, ==, 525 + 1500);
    ms_cmd_peek(&cmd, 527, &len);
    CHECK_INT(len, ==, 0); /* no options */
    ms_cmd_done(&cmd);
}

struct seen {
    char text[256];
};

static void add(struct seen *seen, const char *format, long long n,
                const char *word)
{
    size_t len = strlen(seen->text);

    snprintf(seen->text + len, sizeof(seen->text) - len, "%s%lld=%s ", format,
             n, word == NULL ? "NULL" : word);
}

static void on_enqueued(size_t i, enum ms_enqueue_status status, const char *id,
                        void *arg)
{
    add(arg, status == MS_ENQUEUED ? "new" : "old", (long long)i, id);
}

static enum ms_err parse_enqueue(const char *text, struct seen *seen,
                                 struct ms_error *error)
{
    seen->text[0] = '\0';
    return ms_enqueue_parse(ms_test_tree(text), 3, on_enqueued, seen, error);
}

static TEST(test_an_enqueue_is_read_or_refused)
{
    static const char *const broken[] = {
        "(ok)",         "(ok 3)",       "(ok 3 x)",         "(ok 3 (1))",
        "(ok 3 (4 a))", "(ok 3 (0 a))", "(ok 3 (2 a 2 a))", "(ok 3 (a 1))",
        "(ok 3 (1 5))", "(fine 3 ())",
    };
    struct ms_error error;
    struct seen seen;

    CHECK_INT(parse_enqueue("(ok 2 (2 other))", &seen, NULL), ==, MS_OK);
    CHECK_STR(seen.text, "new0=NULL old1=other new2=NULL ");
    CHECK_INT(parse_enqueue("(full 12)", &seen, &error), ==, MS_EFULL);
    CHECK_CONTAINS(error.text, "12 jobs");
    for (size_t i = 0; i < MS_COUNT_OF(broken); i++) {
        if (parse_enqueue(broken[i], &seen, NULL) != MS_EPROTO)
            fail_msg("taken for an enqueue: %s", broken[i]);
        CHECK_STR(seen.text, "");
    }
}

/* ---- admin ---- */

static TEST(test_a_cancel_is_read_or_refused)
{
    enum ms_cancel_result result = MS_CANCEL_UNKNOWN;
    char pod[MS_KEY_MAX] = "";

    CHECK_INT(ms_cancel_parse(ms_test_tree("(requested P1)"), &result, pod,
                              NULL),
              ==, MS_OK);
    CHECK_INT(result, ==, MS_CANCEL_REQUESTED);
    CHECK_STR(pod, "P1");
    CHECK_STR(ms_cancel_result_name(result), "requested");
    ms_cancel_parse(ms_test_tree("(finished)"), &result, pod, NULL);
    CHECK_INT(result, ==, MS_CANCEL_FINISHED);
    CHECK_STR(pod, "");
    CHECK_INT(ms_cancel_parse(ms_test_tree("(ok)"), &result, pod, NULL), ==,
              MS_EPROTO);
    CHECK_INT(ms_cancel_parse(ms_test_tree("nil"), &result, pod, NULL), ==,
              MS_EPROTO);
    CHECK_INT(result, ==, MS_CANCEL_FINISHED);
}

static TEST(test_job_statuses_speak_of_the_job)
{
    struct ms_error error;

    CHECK_INT(ms_job_status_parse(ms_test_tree("(unknown)"), "a", &error), ==,
              MS_ENOENT);
    CHECK_STR(error.text, "there is no job 'a'");
    CHECK_INT(ms_job_status_parse(ms_test_tree("(state running)"), "a", &error),
              ==, MS_ESTATE);
    CHECK_STR(error.text, "job 'a' is running");
    CHECK_INT(ms_job_status_parse(ms_test_tree("(state chunk)"), "a.1", &error),
              ==, MS_ESTATE);
    CHECK_CONTAINS(error.text, "parent");
    CHECK_INT(ms_job_status_parse(ms_test_tree("(again)"), "a", &error), ==,
              MS_EBUSY);
    CHECK_INT(ms_job_status_parse(ms_test_tree("7"), "a", &error), ==,
              MS_EPROTO);
}

static TEST(test_a_bulk_step_is_read_or_refused)
{
    static const char *const broken[] = {
        "(ok)",
        "(ok 5)",
        "(ok 5 nil)",
        "(ok x '')",
        "(ok 5 6)",
        "(ok 5 '0123456789012345678901234567890123456789012345678901234567890"
        "123')",
    };
    char next[64] = "before";
    int64_t n = 77;

    CHECK_INT(ms_bulk_parse(ms_test_tree("(ok 5 '5:0:500')"), &n, next, NULL),
              ==, MS_OK);
    CHECK_INT(n, ==, 5);
    CHECK_STR(next, "5:0:500");
    for (size_t i = 0; i < MS_COUNT_OF(broken); i++)
        if (ms_bulk_parse(ms_test_tree(broken[i]), &n, next, NULL) != MS_EPROTO)
            fail_msg("taken for a bulk step: %s", broken[i]);
    CHECK_INT(n, ==, 5);
    CHECK_STR(next, "5:0:500");
    CHECK_INT(ms_bulk_parse(ms_test_tree("(verb)"), &n, next, NULL), ==,
              MS_ESTATE);
}

static TEST(test_settings_are_read_or_refused)
{
    const struct ms_reply *pairs = NULL;

    CHECK_INT(ms_configure_parse(ms_test_tree("(ok (max_workers '5'))"), &pairs,
                                 NULL),
              ==, MS_OK);
    CHECK_INT(ms_reply_int(ms_reply_field(pairs, "max_workers"), 0), ==, 5);
    pairs = NULL;
    CHECK_INT(ms_configure_parse(ms_test_tree("(ok)"), &pairs, NULL), ==,
              MS_EPROTO);
    CHECK_INT(ms_configure_parse(ms_test_tree("(ok x)"), &pairs, NULL), ==,
              MS_EPROTO);
    CHECK(pairs == NULL);
}

static TEST(test_queue_info_needs_every_number)
{
    struct ms_queue_info info = {.ready = 77};

    CHECK_INT(ms_queue_info_parse(
                  ms_test_tree("(ok 1 2 3 4 5 6 7 8 9 10 11 12)"), &info, NULL),
              ==, MS_EPROTO);
    CHECK_INT(ms_queue_info_parse(ms_test_tree(
                                      "(ok 1 2 3 4 x 6 7 8 9 10 11 12 13)"),
                                  &info, NULL),
              ==, MS_EPROTO);
    CHECK_INT(info.ready, ==, 77);
    CHECK_INT(ms_queue_info_parse(ms_test_tree(
                                      "(ok 1 2 3 4 5 6 7 8 9 10 11 12 13)"),
                                  &info, NULL),
              ==, MS_OK);
    CHECK(info.paused);
    CHECK_INT(info.max_workers, ==, 2);
    CHECK_INT(info.dead, ==, 8);
    CHECK_INT(info.now_ms, ==, 13);
}

/* ---- parent ---- */

static TEST(test_spawn_and_children_need_their_numbers)
{
    int64_t a = 77;
    int64_t b = 77;

    CHECK_INT(ms_spawn_parse(ms_test_tree("(ok)"), &a, NULL), ==, MS_EPROTO);
    CHECK_INT(ms_spawn_parse(ms_test_tree("(planned 9)"), &a, NULL), ==,
              MS_ESTATE);
    CHECK_INT(a, ==, 77);
    CHECK_INT(ms_spawn_parse(ms_test_tree("(ok 9)"), &a, NULL), ==, MS_OK);
    CHECK_INT(a, ==, 9);
    CHECK_INT(ms_children_parse(ms_test_tree("(ok 5)"), &a, &b, NULL), ==,
              MS_EPROTO);
    CHECK_INT(a, ==, 9);
    CHECK_INT(ms_children_parse(ms_test_tree("(ok -1 3)"), &a, &b, NULL), ==,
              MS_OK);
    CHECK_INT(a, ==, -1);
    CHECK_INT(b, ==, 3);
}

static TEST(test_a_tally_reads_what_is_there)
{
    struct ms_tally tally;

    CHECK_INT(ms_tally_parse(ms_test_tree("(planned '9' docs '4503599627370496'"
                                          " c1 '1' c3 '65535' other 'x')"),
                             &tally, NULL),
              ==, MS_OK);
    CHECK_INT(tally.planned, ==, 9);
    CHECK_INT(tally.docs, ==, INT64_C(1) << 52);
    CHECK_INT(tally.bytes, ==, 0);
    CHECK(ms_tally_checksum(&tally) == 0xffff000000010000u);
    CHECK_INT(ms_tally_parse(ms_test_tree("nil"), &tally, NULL), ==, MS_EPROTO);
}

/* Lanes carry over into each other, and the last wraps. */
static TEST(test_the_checksum_is_a_sum_modulo_2_to_64)
{
    struct ms_tally tally = {.c = {0x1ffff, 0x10000, 0, 0x1ffff}};

    CHECK(ms_tally_checksum(&tally) == 0xffff00010001ffffu);
}

static void on_chunk(int64_t n, const struct ms_reply *fields, void *arg)
{
    add(arg, fields == NULL ? "done" : "open", n, NULL);
}

static TEST(test_a_page_of_chunks_is_read_or_refused)
{
    static const char *const broken[] = {
        "(ok)",           "(ok -1)",       "(ok -1 x)",     "(ok -1 (1))",
        "(ok -1 (x ()))", "(ok -1 (1 x))", "(ok x (1 ()))",
    };
    struct seen seen = {""};
    int64_t next = 77;

    for (size_t i = 0; i < MS_COUNT_OF(broken); i++)
        if (ms_chunks_parse(ms_test_tree(broken[i]), on_chunk, &seen, &next,
                            NULL) != MS_EPROTO)
            fail_msg("taken for a page: %s", broken[i]);
    CHECK_INT(next, ==, 77);
    CHECK_STR(seen.text, "");
    CHECK_INT(ms_chunks_parse(ms_test_tree("(ok 7 (5 () 6 (kind k)))"),
                              on_chunk, &seen, &next, NULL),
              ==, MS_OK);
    CHECK_STR(seen.text, "done5=NULL open6=NULL ");
    CHECK_INT(next, ==, 7);
}

/* ---- tidy, fleet ---- */

static TEST(test_a_tidy_step_needs_its_numbers)
{
    struct ms_tidy_answer answer = {.n = 77};

    CHECK_INT(ms_tidy_parse(ms_test_tree("(ok 1 2 3)"), &answer, NULL), ==,
              MS_EPROTO);
    CHECK_INT(ms_tidy_parse(ms_test_tree("(epoch 9)"), &answer, NULL), ==,
              MS_ESTALE);
    CHECK_INT(answer.n, ==, 77);
    CHECK_INT(ms_tidy_parse(ms_test_tree("(ok 1 2 3 4)"), &answer, NULL), ==,
              MS_OK);
    CHECK(answer.more);
    CHECK_INT(answer.n, ==, 2);
    CHECK_INT(answer.n_dead, ==, 3);
    CHECK_INT(answer.next_due_ms, ==, 4);
}

static void on_share(size_t queue, int64_t assigned, int64_t pods, void *arg)
{
    add(arg, assigned < 0 ? "none" : "share", (long long)queue, NULL);
}

static TEST(test_a_beat_answers_once_a_queue)
{
    struct seen seen = {""};
    int64_t now = 77;

    CHECK_INT(ms_beat_parse(ms_test_tree("(ok 9 (1 2))"), 2, on_share, &seen,
                            &now, NULL),
              ==, MS_EPROTO);
    CHECK_INT(ms_beat_parse(ms_test_tree("(ok 9)"), 0, on_share, &seen, &now,
                            NULL),
              ==, MS_EPROTO);
    CHECK_INT(now, ==, 77);
    CHECK_INT(ms_beat_parse(ms_test_tree("(ok 9 (1 2 -1 0))"), 2, on_share,
                            &seen, &now, NULL),
              ==, MS_OK);
    CHECK_STR(seen.text, "share0=NULL none1=NULL ");
    CHECK_INT(now, ==, 9);
}

static TEST(test_who_leads_is_read_or_refused)
{
    struct ms_lead_answer answer = {.epoch = 77};

    CHECK_INT(ms_lead_parse(ms_test_tree("(ok 5 A 9)"), &answer, NULL), ==,
              MS_EPROTO);
    CHECK_INT(ms_lead_parse(ms_test_tree("(leader x A 9)"), &answer, NULL), ==,
              MS_EPROTO);
    CHECK_INT(ms_lead_parse(ms_test_tree("(leader 0 A 9)"), &answer, NULL), ==,
              MS_EPROTO);
    CHECK_INT(answer.epoch, ==, 77);
    CHECK_INT(ms_lead_parse(ms_test_tree("(standby 5 A 9)"), &answer, NULL), ==,
              MS_OK);
    CHECK(!answer.leads);
    CHECK_STR(answer.leader, "A");
    CHECK_INT(answer.left_ms, ==, 9);
}

static TEST(test_a_schema_is_ours_or_refused)
{
    struct ms_error error;

    CHECK_INT(ms_schema_parse(ms_test_tree("nil"), NULL), ==, MS_OK);
    CHECK_INT(ms_schema_parse(ms_test_tree("'1'"), NULL), ==, MS_OK);
    CHECK_INT(ms_schema_parse(ms_test_tree("'2'"), &error), ==, MS_ESCHEMA);
    CHECK_CONTAINS(error.text, "'2'");
    CHECK_INT(ms_schema_parse(ms_test_tree("(1)"), &error), ==, MS_EPROTO);
    CHECK_INT(ms_schema_parse(ms_test_tree("!WRONGTYPE"), &error), ==,
              MS_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_every_status_word_has_its_class),
        RUN(test_a_status_shows_what_it_says_more),
        RUN(test_keys_carry_their_hash_tag),
        RUN(test_enqueue_checks_ids_and_names),
        RUN(test_enqueue_checks_how_a_key_is_shared),
        RUN(test_enqueue_checks_numbers),
        RUN(test_enqueue_checks_priority_and_size),
        RUN(test_enqueue_takes_500_jobs_of_a_valid_queue),
        RUN(test_an_enqueue_is_read_or_refused),
        RUN(test_a_cancel_is_read_or_refused),
        RUN(test_job_statuses_speak_of_the_job),
        RUN(test_a_bulk_step_is_read_or_refused),
        RUN(test_settings_are_read_or_refused),
        RUN(test_queue_info_needs_every_number),
        RUN(test_spawn_and_children_need_their_numbers),
        RUN(test_a_tally_reads_what_is_there),
        RUN(test_the_checksum_is_a_sum_modulo_2_to_64),
        RUN(test_a_page_of_chunks_is_read_or_refused),
        RUN(test_a_tidy_step_needs_its_numbers),
        RUN(test_a_beat_answers_once_a_queue),
        RUN(test_who_leads_is_read_or_refused),
        RUN(test_a_schema_is_ours_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/lease.h"

#include <stdio.h>

#include "tests/support/support.h"
#include "tests/support/tree.h"

static const struct ms_tenant who = {"f", "q", "pod1"};
static const struct ms_lease_move no_move = {.progress = -1};

/* Argument `i` behind the keys, as text; good until the next call. */
static const char *argument(const struct ms_cmd *cmd, size_t i)
{
    static char text[512];
    size_t len = 0;
    const char *bytes = ms_cmd_peek(cmd, cmd->n_keys + i, &len);

    if (bytes == NULL)
        return NULL;
    ms_assert(len < sizeof(text));
    memcpy(text, bytes, len);
    text[len] = '\0';
    return text;
}

static const char *key(const struct ms_cmd *cmd, size_t i)
{
    static char text[512];
    size_t len = 0;
    const char *bytes = ms_cmd_peek(cmd, i, &len);

    ms_assert(bytes != NULL && len < sizeof(text));
    memcpy(text, bytes, len);
    text[len] = '\0';
    return text;
}

/* ---- builders ---- */

static TEST(test_claim_names_the_standing_keys_and_what_is_held)
{
    struct ms_claim_ask ask = {64, 30000, ",a,b.*,"};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_claim_build(&cmd, &who, &ask);
    CHECK_INT(cmd.n_keys, ==, 25);
    CHECK_STR(key(&cmd, 0), "ms:{f/q}:cfg");
    CHECK_STR(key(&cmd, 13), "ms:{f/q}:ring:0");
    CHECK_STR(key(&cmd, 22), "ms:{f/q}:ring:9");
    CHECK_STR(key(&cmd, 23), "ms:{f/q}:running");
    CHECK_STR(key(&cmd, 24), "ms:{f/q}:held:pod1");
    CHECK_STR(argument(&cmd, 0), "pod1");
    CHECK_STR(argument(&cmd, 1), "64");
    CHECK_STR(argument(&cmd, 2), "30000");
    CHECK_STR(argument(&cmd, 3), ",a,b.*,");
    CHECK_STR(argument(&cmd, 4), NULL);
    ms_cmd_done(&cmd);
}

static TEST(test_a_renewal_without_a_move_is_two_arguments)
{
    struct ms_renewal jobs[] = {{"a", 1700000000000, no_move},
                                {"b", INT64_C(1) << 53, no_move}};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_renew_build(&cmd, &who, 30000, true, jobs, 2);
    CHECK_INT(cmd.n_keys, ==, 27);
    CHECK_STR(key(&cmd, 26), "ms:{f/q}:job:b");
    CHECK_STR(argument(&cmd, 2), "1");
    CHECK_STR(argument(&cmd, 3), "1700000000000");
    CHECK_STR(argument(&cmd, 4), "0");
    CHECK_STR(argument(&cmd, 5), "9007199254740992");
    CHECK_STR(argument(&cmd, 6), "0");
    CHECK_STR(argument(&cmd, 7), NULL);
    ms_cmd_done(&cmd);
}

static TEST(test_a_move_is_six_arguments)
{
    struct ms_lease_sum sums[] = {{"docs", 5}, {"c0", INT64_C(1) << 52}};
    struct ms_lease_reject rejects[] = {{7, "bad"}, {INT64_C(1) << 40, "x\ny"}};
    struct ms_renewal job = {"a",
                             1,
                             {.seq = 3,
                              .cursor = "c\0d",
                              .cursor_len = 3,
                              .progress = 0.123456,
                              .sums = sums,
                              .n_sums = 2,
                              .rejects = rejects,
                              .n_rejects = 2}};
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t len;

    ms_renew_build(&cmd, &who, 30000, false, &job, 1);
    CHECK_STR(argument(&cmd, 2), "0");
    CHECK_STR(argument(&cmd, 4), "1");
    CHECK_STR(argument(&cmd, 5), "3");
    CHECK(memcmp(ms_cmd_peek(&cmd, cmd.n_keys + 6, &len), "c\0d", 3) == 0);
    CHECK_INT(len, ==, 3);
    CHECK_STR(argument(&cmd, 7), "0.1235");
    CHECK_STR(argument(&cmd, 8), "docs=5 c0=4503599627370496 ");
    CHECK_STR(argument(&cmd, 9), "7 bad\n1099511627776 x y\n");
    CHECK_STR(argument(&cmd, 10), NULL);
    ms_cmd_done(&cmd);
}

static TEST(test_progress_alone_is_a_move_without_a_cursor)
{
    struct ms_renewal job = {"a", 1, {.progress = 0}};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_renew_build(&cmd, &who, 30000, false, &job, 1);
    CHECK_STR(argument(&cmd, 4), "1");
    CHECK_STR(argument(&cmd, 5), "0");
    CHECK_STR(argument(&cmd, 7), "0.0000");
    ms_cmd_done(&cmd);
}

static TEST(test_finish_names_each_outcome)
{
    static const char *const words[] = {"done", "failed", "dead", "cancelled",
                                        "throttled"};
    struct ms_claim_ask ask = {0, 30000, ",a,"};

    for (int i = 0; i < 5; i++) {
        struct ms_finish job = {.id = "a",
                                .fence = 9,
                                .kind = (enum ms_finish_kind)i,
                                .text = "te\0xt",
                                .text_len = 5,
                                .delay_ms = 60,
                                .max_attempts = 4,
                                .move = no_move};
        struct ms_cmd cmd = MS_CMD_INIT;

        ms_finish_build(&cmd, &who, &job, 1, &ask);
        CHECK_INT(cmd.n_keys, ==, 26);
        CHECK_STR(argument(&cmd, 1), "0");
        CHECK_STR(argument(&cmd, 4), "9");
        CHECK_STR(argument(&cmd, 5), words[i]);
        /* A failure has no delay of its own: it says the kind's attempts. */
        CHECK_STR(argument(&cmd, 7), i == MS_FINISH_FAILED ? "4" : "60");
        CHECK_STR(argument(&cmd, 8), "0");
        CHECK_STR(argument(&cmd, 9), NULL);
        ms_cmd_done(&cmd);
    }
}

static TEST(test_release_gives_delay_and_reason)
{
    struct ms_release job = {"a", 9, 1500, "no file", no_move};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_release_build(&cmd, &who, &job, 1);
    CHECK_STR(argument(&cmd, 1), "9");
    CHECK_STR(argument(&cmd, 2), "1500");
    CHECK_STR(argument(&cmd, 3), "no file");
    CHECK_STR(argument(&cmd, 4), "0");
    ms_cmd_done(&cmd);
}

/* ---- claim's answer ---- */

struct seen {
    char text[256];
    size_t len;
};

static void note(struct seen *seen, const char *what, long long number)
{
    seen->len +=
        (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
                         "%s:%lld ", what, number);
}

static void on_claimed(const struct ms_claimed *job, void *arg)
{
    note(arg, job->id, job->fence);
    note(arg, "attempt", job->attempt);
    note(arg, "timeout", job->timeout_ms);
    note(arg, ms_reply_str(ms_reply_field(job->fields, "kind"), "?"),
         (long long)job->fields->n_items);
}

static enum ms_err parse_claim(const char *text, struct seen *seen,
                               struct ms_claim_answer *answer)
{
    memset(seen, 0, sizeof(*seen));
    return ms_claim_parse(ms_test_tree(text), answer, on_claimed, seen, NULL);
}

static TEST(test_a_claim_is_read)
{
    struct ms_claim_answer answer;
    struct seen seen;

    CHECK_INT(parse_claim("(ok 1700 1 1800 4 ((a 1701 2 600 (kind k))))", &seen,
                          &answer),
              ==, MS_OK);
    CHECK_STR(seen.text, "a:1701 attempt:2 timeout:600 k:2 ");
    CHECK_INT(answer.status, ==, MS_CLAIM_OK);
    CHECK_INT(answer.now_ms, ==, 1700);
    CHECK_INT(answer.more, ==, 1);
    CHECK_INT(answer.next_due_ms, ==, 1800);
    CHECK_INT(answer.max_workers, ==, 4);
    CHECK_INT(answer.n_jobs, ==, 1);
}

static TEST(test_every_status_of_a_claim_is_known)
{
    static const char *const texts[] = {
        [MS_CLAIM_OK] = "(ok 1 0 0 1 ())",
        [MS_CLAIM_PAUSED] = "(paused 1 0 0 1 ())",
        [MS_CLAIM_COOLING] = "(cooling 1 0 0 1 ())",
        [MS_CLAIM_FULL] = "(full 1 0 0 1 ())",
    };
    struct ms_claim_answer answer;
    struct seen seen;

    for (size_t i = 0; i < MS_COUNT_OF(texts); i++) {
        CHECK_INT(parse_claim(texts[i], &seen, &answer), ==, MS_OK);
        CHECK_INT(answer.status, ==, i);
        CHECK_INT(answer.n_jobs, ==, 0);
    }
}

static TEST(test_a_malformed_claim_is_told_to_nobody)
{
    static const char *const texts[] = {
        "ok",
        "nil",
        "()",
        "(!ERR)",
        "(busy 1 0 0 1 ())",
        "(ok)",
        "(ok 1 0 0 1)",
        "(ok 1 0 0 1 jobs)",
        "(ok x 0 0 1 ())",
        "(ok 0 0 0 1 ())",
        "(ok 1 0 0 1 (a))",
        "(ok 1 0 0 1 ((a 1 1 1 (kind k)) (b)))",
        "(ok 1 0 0 1 ((a 1 1 1 (kind k)) (b 1 1 1 (kind))))",
        "(ok 1 0 0 1 ((a 0 1 1 (kind k))))",
        "(ok 1 0 0 1 ((a 1 0 1 (kind k))))",
        "(ok 1 0 0 1 ((a x 1 1 (kind k))))",
        "(ok 1 0 0 1 ((5 1 1 1 (kind k))))",
        "(ok 1 0 0 1 ((a 1 1 1 (payload k))))",
        "(ok 1 0 0 1 ((a 1 1 1 (kind k) 7)))",
        "(ok 1 0 0 1 ((a 1 1 1 kind)))",
    };
    struct ms_claim_answer answer = {.n_jobs = 77};
    struct seen seen;

    for (size_t i = 0; i < MS_COUNT_OF(texts); i++) {
        if (parse_claim(texts[i], &seen, &answer) != MS_EPROTO)
            fail_msg("taken for a claim: %s", texts[i]);
        CHECK_STR(seen.text, "");
        CHECK_INT(answer.n_jobs, ==, 77);
    }
}

/* ---- renew's answer ---- */

static void on_renewed(size_t i, enum ms_renew_status status, void *arg)
{
    static const char *const names[] = {"ok", "cancel", "lost"};

    note(arg, names[status], (long long)i);
}

static void on_unmentioned(const char *id, int64_t fence, void *arg)
{
    note(arg, id, fence);
}

static enum ms_err parse_renew(const char *text, struct seen *seen)
{
    memset(seen, 0, sizeof(*seen));
    return ms_renew_parse(ms_test_tree(text), 3, on_renewed, on_unmentioned,
                          seen, NULL);
}

static TEST(test_a_renewal_is_read)
{
    struct seen seen;

    CHECK_INT(parse_renew("(ok (2 cancel 3 lost) (x 7 y '9007199254740993'))",
                          &seen),
              ==, MS_OK);
    CHECK_STR(seen.text, "ok:0 cancel:1 lost:2 x:7 y:9007199254740993 ");
    CHECK_INT(parse_renew("(ok () ())", &seen), ==, MS_OK);
    CHECK_STR(seen.text, "ok:0 ok:1 ok:2 ");
}

/* What is not named is renewed, so a broken list must not pass for an empty
 * one: a lost job would run on. */
static TEST(test_a_malformed_renewal_is_told_to_nobody)
{
    static const char *const texts[] = {
        "(ok)",
        "(ok ())",
        "(ok nil ())",
        "(ok lost ())",
        "(ok (1) ())",
        "(ok (lost 1) ())",
        "(ok (1 found) ())",
        "(ok (0 lost) ())",
        "(ok (4 lost) ())",
        "(ok (2 lost 1 lost) ())",
        "(ok (1 lost 1 lost) ())",
        "(ok () (x))",
        "(ok () (7 x))",
        "(ok () (x 0))",
        "(ok () nil)",
        "(nonsense () ())",
    };
    struct seen seen;

    for (size_t i = 0; i < MS_COUNT_OF(texts); i++) {
        if (parse_renew(texts[i], &seen) != MS_EPROTO)
            fail_msg("taken for a renewal: %s", texts[i]);
        CHECK_STR(seen.text, "");
    }
}

/* ---- finish's and release's answers ---- */

static void on_finished(size_t i, enum ms_finish_status status, void *arg)
{
    static const char *const names[] = {"ok", "gone", "stale"};

    note(arg, names[status], (long long)i);
}

static enum ms_err parse_finish(const char *text, struct seen *seen,
                                struct ms_claim_answer *answer)
{
    memset(seen, 0, sizeof(*seen));
    return ms_finish_parse(ms_test_tree(text), 3, on_finished, answer,
                           on_claimed, seen, NULL);
}

static TEST(test_a_finish_is_read_with_its_claim)
{
    struct ms_claim_answer answer = {.n_jobs = 77};
    struct seen seen;

    CHECK_INT(parse_finish("(ok (1 gone 3 stale) ())", &seen, &answer), ==,
              MS_OK);
    CHECK_STR(seen.text, "gone:0 ok:1 stale:2 ");
    CHECK_INT(answer.n_jobs, ==, 0);
    CHECK_INT(answer.now_ms, ==, 0);
    CHECK_INT(parse_finish("(ok () (full 9 1 0 2 ((a 1 1 1 (kind k)))))", &seen,
                           &answer),
              ==, MS_OK);
    CHECK_STR(seen.text, "ok:0 ok:1 ok:2 a:1 attempt:1 timeout:1 k:2 ");
    CHECK_INT(answer.status, ==, MS_CLAIM_FULL);
}

static TEST(test_a_malformed_finish_is_told_to_nobody)
{
    static const char *const texts[] = {
        "(ok)",
        "(ok () nil)",
        "(ok nil ())",
        "(ok (1 lost) ())",
        "(ok (9 gone) ())",
        "(ok (1) ())",
        "(ok () (ok))",
        "(ok () (ok 1 0 0 1 (a)))",
        "!ERR",
    };
    struct ms_claim_answer answer = {.n_jobs = 77};
    struct seen seen;

    for (size_t i = 0; i < MS_COUNT_OF(texts); i++) {
        if (parse_finish(texts[i], &seen, &answer) != MS_EPROTO)
            fail_msg("taken for a finish: %s", texts[i]);
        CHECK_STR(seen.text, "");
        CHECK_INT(answer.n_jobs, ==, 77);
    }
}

static enum ms_err parse_release(const char *text, struct seen *seen)
{
    memset(seen, 0, sizeof(*seen));
    return ms_release_parse(ms_test_tree(text), 2, on_finished, seen, NULL);
}

static TEST(test_a_release_is_read_or_refused)
{
    struct seen seen;

    CHECK_INT(parse_release("(ok (2 stale))", &seen), ==, MS_OK);
    CHECK_STR(seen.text, "ok:0 stale:1 ");
    CHECK_INT(parse_release("(ok)", &seen), ==, MS_EPROTO);
    CHECK_INT(parse_release("(ok (3 stale))", &seen), ==, MS_EPROTO);
    CHECK_INT(parse_release("(stale)", &seen), ==, MS_ESTALE);
    CHECK_STR(seen.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_claim_names_the_standing_keys_and_what_is_held),
        RUN(test_a_renewal_without_a_move_is_two_arguments),
        RUN(test_a_move_is_six_arguments),
        RUN(test_progress_alone_is_a_move_without_a_cursor),
        RUN(test_finish_names_each_outcome),
        RUN(test_release_gives_delay_and_reason),
        RUN(test_a_claim_is_read),
        RUN(test_every_status_of_a_claim_is_known),
        RUN(test_a_malformed_claim_is_told_to_nobody),
        RUN(test_a_renewal_is_read),
        RUN(test_a_malformed_renewal_is_told_to_nobody),
        RUN(test_a_finish_is_read_with_its_claim),
        RUN(test_a_malformed_finish_is_told_to_nobody),
        RUN(test_a_release_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

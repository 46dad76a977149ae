/* What a batch is refused for before anything is sent, and its answers. */
#include <stdlib.h>

#include "common/family.h"
#include "tests/support/support.h"
#include "tests/support/tree.h"

static enum ms_err build(const struct ms_family *family,
                         const struct ms_new_job *child, size_t n,
                         struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    enum ms_err err =
        ms_family_build(&cmd, family, 0, child, n, true, 10, error);

    ms_cmd_done(&cmd);
    return err;
}

#define PLAIN            \
    ((struct ms_family){ \
        .fleet = "m", .queue = "q", .id = "b", .own_id = true, .kind = "k"})
#define JOB(...) ((struct ms_new_job){.kind = "k", .priority = 5, __VA_ARGS__})

static void refuse_child(struct ms_new_job child, const char *text)
{
    struct ms_new_job jobs[] = {JOB(.payload = ""), child};
    struct ms_family family = PLAIN;
    struct ms_error error = {""};

    CHECK_INT(build(&family, jobs, 2, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "job 2: ");
    CHECK_CONTAINS(error.text, text);
}

static TEST(test_children_that_cannot_be_are_named)
{
    refuse_child(JOB(.id = "x"), "has not an id");
    refuse_child(JOB(.own_id = true), "has not an id");
    refuse_child(JOB(.unique = "x"), "a unique key");
    refuse_child(JOB(.parent = true), "children of its own");
    refuse_child(JOB(.payload = "12345678901", .payload_len = 11),
                 "over max_payload");
    refuse_child(JOB(.delay_ms = -1), "delay -1");
}

static void refuse_callback(struct ms_new_job job, const char *text)
{
    struct ms_family family = PLAIN;
    struct ms_error error = {""};

    family.on_complete = &job;
    CHECK_INT(build(&family, NULL, 0, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "on_complete: ");
    CHECK_CONTAINS(error.text, text);
    family.on_complete = NULL;
    family.on_success = &job;
    CHECK_INT(build(&family, NULL, 0, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "on_success: ");
    family.on_success = NULL;
    family.on_failure = &job;
    CHECK_INT(build(&family, NULL, 0, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "on_failure: ");
}

static TEST(test_callbacks_that_cannot_be_are_named)
{
    refuse_callback(JOB(.unique = "x"), "a callback has no delay");
    refuse_callback((struct ms_new_job){.kind = "dump.import", .priority = 5},
                    "an import is no callback");
    refuse_callback(JOB(.delay_ms = 1), "a callback has no delay");
    refuse_callback(JOB(.at_ms = 1), "a callback has no delay");
    refuse_callback(JOB(.expires_in_ms = 1), "a callback has no delay");
    refuse_callback(JOB(.expires_at_ms = 1), "a callback has no delay");
    refuse_callback((struct ms_new_job){.kind = "k", .priority = 10},
                    "priority 10");
    refuse_callback(JOB(.payload = "12345678901", .payload_len = 11),
                    "over max_payload");
}

static void refuse(struct ms_family family, const char *text)
{
    struct ms_error error = {""};

    CHECK_INT(build(&family, NULL, 0, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, text);
}

static TEST(test_batches_that_cannot_be_are_refused)
{
    struct ms_family family = PLAIN;
    char long_id[102];

    memset(long_id, 'a', 101);
    long_id[101] = '\0';
    family.id = long_id;
    refuse(family, "at most 100 bytes");
    family = PLAIN;
    family.id = "b.5";
    refuse(family, "b.5");
    family = PLAIN;
    family.id = "b/5";
    family.own_id = false;
    refuse(family, "is no job id");
    family = PLAIN;
    family.queue = "a b";
    refuse(family, "queue");
    family = PLAIN;
    family.kind = "dump.import";
    refuse(family, "those are imports");
    family = PLAIN;
    family.kind = "";
    refuse(family, "kind");
    family = PLAIN;
    family.payload = "12345678901";
    family.payload_len = 11;
    refuse(family, "over max_payload");
}

static TEST(test_more_children_than_a_call_takes_are_refused)
{
    struct ms_new_job *jobs = ms_xcalloc(MS_FAMILY_MAX + 1, sizeof(*jobs));
    struct ms_family family = PLAIN;
    struct ms_error error = {""};

    CHECK_INT(build(&family, jobs, MS_FAMILY_MAX + 1, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "more than 500");
    free(jobs);
}

/* ---- answers ---- */

static TEST(test_an_answer_says_where_a_batch_stands)
{
    struct ms_family_answer answer;
    struct ms_error error = {""};

    CHECK_INT(ms_family_parse(ms_test_tree("(ok 7 5 waiting)"), &answer,
                              &error),
              ==, MS_OK);
    CHECK(!answer.ahead && !answer.sealed);
    CHECK_INT(answer.planned, ==, 7);
    CHECK_INT(answer.added, ==, 5);
    CHECK_STR(answer.state, "waiting");
    CHECK_INT(ms_family_parse(ms_test_tree("(planned 9 1 done)"), &answer,
                              &error),
              ==, MS_OK);
    CHECK(answer.ahead && answer.sealed);
    CHECK_INT(answer.planned, ==, 9);
    CHECK_INT(answer.added, ==, 0);
    CHECK_STR(answer.state, "done");
}

static TEST(test_a_refusal_is_an_error_and_writes_nothing)
{
    static const struct {
        const char *text;
        enum ms_err want;
        const char *part;
    } cases[] = {
        {"(unknown)", MS_ENOENT, "there is none"},
        {"(gone)", MS_EEXIST, "whose record has gone"},
        {"(taken)", MS_EEXIST, "no batch"},
        {"(state stopping)", MS_ESTATE, "(stopping)"},
        {"(full 12)", MS_EFULL, "holds 12 jobs"},
        {"(ok 7 5)", MS_EPROTO, "unknown shape"},
        {"(ok 7 x waiting)", MS_EPROTO, "unknown shape"},
        {"(planned 7)", MS_EPROTO, "unknown shape"},
        {"()", MS_EPROTO, "unknown shape"},
        {"5", MS_EPROTO, "unknown shape"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_family_answer answer = {.planned = 77};
        struct ms_error error = {""};

        CHECK_INT(ms_family_parse(ms_test_tree(cases[i].text), &answer, &error),
                  ==, cases[i].want);
        CHECK_CONTAINS(error.text, cases[i].part);
        CHECK_INT(answer.planned, ==, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_children_that_cannot_be_are_named),
        RUN(test_callbacks_that_cannot_be_are_named),
        RUN(test_batches_that_cannot_be_are_refused),
        RUN(test_more_children_than_a_call_takes_are_refused),
        RUN(test_an_answer_says_where_a_batch_stands),
        RUN(test_a_refusal_is_an_error_and_writes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

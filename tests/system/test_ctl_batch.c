/* job enqueue --batch FILE --parent KIND, job children, cancel of a parent. */
#include "tests/support/core.h"
#include "tests/support/ctl.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK_AT(run, path, text) CHECK_STR(ms_ctl_at((run), (path)), (text))

/* A file of `n` lines of kind "k" with `last` behind them; for free(). */
static char *lines(int n, const char *last)
{
    struct ms_buf text = MS_BUF_INIT;
    char *path;

    for (int i = 0; i < n; i++)
        ms_buf_addf(&text, "{\"kind\":\"k\",\"payload\":%d}\n", i);
    ms_buf_adds(&text, last);
    path = ms_test_file("lines", text.data, text.len);
    ms_buf_done(&text);
    return path;
}

static const struct ms_ctl_run *enqueue(struct ms_core *core, int code,
                                        const char *options, const char *path)
{
    char words[400];

    snprintf(words, sizeof(words), "job enqueue --queue q --batch %% %s",
             options);
    return ms_ctl_json(core->redis, code, words, path);
}

static void end_all(struct ms_core *core, enum ms_finish_kind kind)
{
    while (ms_core_claim(core, "p1", 1) == 1)
        CHECK_INT(ms_core_finish(core, "p1", core->jobs[0].id,
                                 core->jobs[0].fence, kind),
                  ==, MS_FINISH_OK);
}

static TEST(test_a_batch_goes_in_with_its_parent)
{
    struct ms_core *core = *state;
    char *path = lines(1200, "\n{\"kind\":\"z\",\"delay\":\"1h\",\"group\":"
                             "\"g\",\"priority\":1}");
    const struct ms_ctl_run *run =
        enqueue(core, 0, "--parent night --id b --on-complete after={\"x\":1}",
                path);

    CHECK_STR(run->out, "{\"id\":\"b\",\"queue\":\"q\",\"enqueued\":1201,"
                        "\"deduplicated\":0}\n");
    CHECK_STR(ms_core_field(core, "b", "kind"), "night");
    CHECK_STR(ms_core_field(core, "b", "phase"), "sealed");
    CHECK_STR(ms_core_field(core, "b.1200", "group"), "g");
    CHECK_STR(ms_core_state(core, "b.1200"), "scheduled");
    CHECK(strcmp(ms_core_field(core, "b", "on_complete"), "") != 0);
    run = ms_ctl_json(core->redis, 0, "job show b", NULL);
    CHECK_AT(run, "chunks.planned", "1201");
    CHECK_AT(run, "chunks.ready", "1201");
    CHECK_AT(run, "chunks.deleted", "0");
    CHECK_AT(run, "policy", "\"continue\"");
    CHECK_AT(run, "phase", "\"sealed\"");
    run = ms_ctl_json(core->redis, 0, "job show b.0", NULL);
    CHECK_AT(run, "parent", "\"b\"");
    CHECK_AT(run, "payload", "0");
    free(path);
}

/* Said once more, by somebody who does not know whether it worked. */
static TEST(test_the_same_command_adds_nothing_twice)
{
    struct ms_core *core = *state;
    char *path = lines(700, "");

    enqueue(core, 0, "--parent night --id b", path);
    CHECK_STR(enqueue(core, 0, "--parent night --id b", path)->out,
              "{\"id\":\"b\",\"queue\":\"q\",\"enqueued\":0,"
              "\"deduplicated\":700}\n");
    end_all(core, MS_FINISH_DONE);
    enqueue(core, 0, "--parent night --id b", path);
    CHECK_STR(ms_core_state(core, "b"), "done");
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 700);
    free(path);
    path = lines(600, "");
    CHECK_CONTAINS(enqueue(core, 1, "--parent night --id b", path)->err,
                   "has 700 children and is sealed, the file has 600");
    free(path);
}

/* A producer that was killed behind its first call. */
static TEST(test_a_batch_that_was_left_half_way_is_gone_on_with)
{
    struct ms_core *core = *state;
    struct ms_family family = FAMILY();
    struct ms_new_job jobs[3] = {NEW_JOB(), NEW_JOB(), NEW_JOB()};
    char *path = lines(1300, "");

    CHECK_INT(ms_core_family(core, &family, 0, jobs, 3, false), ==, MS_OK);
    CHECK_STR(enqueue(core, 0, "--parent night --id b", path)->out,
              "{\"id\":\"b\",\"queue\":\"q\",\"enqueued\":1297,"
              "\"deduplicated\":3}\n");
    CHECK_INT(ms_core_tally(core, "b").planned, ==, 1300);
    CHECK_STR(ms_ctl_at(ms_ctl_json(core->redis, 0, "job show b.3", NULL),
                        "payload"),
              "3");
    free(path);
}

static TEST(test_a_full_queue_leaves_an_open_batch_and_says_how_to_go_on)
{
    struct ms_core *core = *state;
    char *path = lines(900, "");
    const struct ms_ctl_run *run;

    ms_core_set(core, "max_length", 600);
    run = enqueue(core, 1, "--parent night --id b", path);
    CHECK_CONTAINS(run->err, "max_length");
    CHECK_CONTAINS(run->err, "run the same with --id b");
    CHECK_INT(ms_core_tally(core, "b").planned, ==, 500);
    CHECK_STR(ms_core_field(core, "b", "phase"), "open");
    ms_core_set(core, "max_length", 0);
    CHECK_STR(ms_ctl_at(enqueue(core, 0, "--parent night --id b", path),
                        "enqueued"),
              "400");
    CHECK_STR(ms_core_field(core, "b", "phase"), "sealed");
    free(path);
}

static TEST(test_a_bad_line_anywhere_keeps_all_of_it_out)
{
    static const struct {
        const char *line, *text;
    } bad[] = {
        {"{\"kind\":\"k\",\"payload\":[1,}", "line 601: "},
        {"{\"kind\":\"k\",\"id\":\"x\"}", "a child's follows from its batch's"},
        {"{\"kind\":\"k\",\"unique\":\"x\"}", "has no unique key"},
        {"{\"kind\":\"k\",\"queue\":\"other\"}", "in its queue, 'q'"},
        {"{\"kind\":\"dump.import\"}", "cannot be a child"},
        {"{\"kind\":\"k\",\"parent\":\"x\"}", "unknown field 'parent'"},
        {"[]", "no JSON object"},
    };
    struct ms_core *core = *state;

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        char *path = lines(600, bad[i].line);

        CHECK_CONTAINS(enqueue(core, 2, "--parent night --id b", path)->err,
                       bad[i].text);
        CHECK_CONTAINS(enqueue(core, 2, "--parent night --id b", path)->err,
                       "line 601: ");
        CHECK_STR(ms_core_state(core, "b"), "gone");
        CHECK_INT(ms_core_depth(core, "-"), ==, 0);
        free(path);
    }
}

static TEST(test_options_that_cannot_be_are_refused)
{
    static const struct {
        const char *options, *text;
    } bad[] = {
        {"--on-complete x", "--on-complete needs --batch FILE and --parent"},
        {"--wait", "--wait needs --batch FILE and --parent KIND"},
        {"--parent night --policy never", "continue or fail-fast"},
        {"--parent dump.import", "those are imports"},
        {"--parent a/b", "kind 'a/b'"},
        {"--parent night --id b.5", "b.5"},
        {"--parent night --on-failure =1", "--on-failure: kind ''"},
        {"--parent night --on-failure k={", "--on-failure: payload"},
        {"--parent night --unique u", "each line says its own unique"},
    };
    struct ms_core *core = *state;
    char *path = lines(1, "");

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++)
        CHECK_CONTAINS(enqueue(core, 2, bad[i].options, path)->err,
                       bad[i].text);
    CHECK_CONTAINS(
        ms_ctl_json(core->redis, 2, "job enqueue k --parent p", NULL)->err,
        "--parent needs --batch FILE");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
    free(path);
}

static TEST(test_an_id_that_is_taken_is_refused)
{
    struct ms_core *core = *state;
    char *path = lines(1, "");

    ENQUEUE(core, .id = "b", .own_id = true);
    CHECK_CONTAINS(enqueue(core, 1, "--parent night --id b", path)->err,
                   "its id is a job's that is no batch");
    free(path);
}

static TEST(test_an_empty_batch_has_ended_when_it_is_made)
{
    struct ms_core *core = *state;
    char *path = lines(0, "\n\n");
    const struct ms_ctl_run *run =
        enqueue(core, 0, "--parent night --id b --on-success k --wait", path);

    CHECK_AT(run, "state", "\"done\"");
    CHECK_AT(run, "result.children", "0");
    CHECK_STR(ms_core_state(core, "b:success"), "ready");
    free(path);
}

static TEST(test_children_come_page_by_page)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_core_batch(core, 5, false);
    DONE(core, "p1", "b.0", ms_core_claim_one(core, "p1", "b.0"));
    CHECK_INT(ms_core_delete(core, "b.1"), ==, MS_OK);
    run =
        ms_ctl_json(core->redis, 0, "job children b --queue q --limit 3", NULL);
    CHECK_AT(run, "items.0.id", "\"b.0\"");
    CHECK_AT(run, "items.0.state", "\"done\"");
    CHECK_AT(run, "items.1.id", "\"b.2\""); /* of b.1 nothing is left */
    CHECK_AT(run, "next", "\"3\"");
    run = ms_ctl_json(core->redis, 0, "job children b --queue q --cursor 3",
                      NULL);
    CHECK_AT(run, "items.1.id", "\"b.4\"");
    CHECK_AT(run, "next", "null");
    CHECK_CONTAINS(
        ms_ctl_json(core->redis, 1, "job children b.2 --queue q", NULL)->err,
        "has no children");
}

static TEST(test_cancel_of_a_parent_says_what_became_of_it)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_core_batch(core, 5, false);
    ms_test_text(core->redis, "ZADD " F("members:q") " %lld p1",
                 (long long)ms_core_now(core));
    ms_test_text(core->redis, "HSET %s label p1", F("pod:p1"));
    ms_core_claim_one(core, "p1", "b.0");
    run = ms_ctl_json(core->redis, 0, "job cancel b --queue q", NULL);
    CHECK_AT(run, "result", "\"requested\"");
    CHECK_STR(ms_test_text(core->redis, "LPOP %s", F("pod:p1:inbox")),
              "cancel q b");
    ms_core_finish(core, "p1", "b.0", core->jobs[0].fence, MS_FINISH_CANCELLED);
    run = ms_ctl_json(core->redis, 0, "job cancel b --queue q", NULL);
    CHECK_AT(run, "result", "\"finished\"");
    CHECK_INT(ms_core_retry(core, "b"), ==, MS_OK);
    run = ms_ctl_json(core->redis, 0, "job cancel b --queue q", NULL);
    CHECK_AT(run, "result", "\"cancelled\"");
}

static TEST(test_cancel_all_cancels_batches_too)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 900, false);
    ENQUEUE(core, .id = "plain");
    ms_ctl_json(core->redis, 0, "job cancel-all --queue q", NULL);
    CHECK_STR(ms_core_state(core, "b"), "dead");
    CHECK_STR(ms_core_state(core, "plain"), "dead");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
}

static TEST(test_delete_takes_a_batch_of_many_away)
{
    struct ms_core *core = *state;

    ms_core_batch(core, 900, false);
    end_all(core, MS_FINISH_DONE);
    ms_ctl_json(core->redis, 0, "job delete b --queue q", NULL);
    CHECK_STR(ms_core_state(core, "b"), "gone");
    CHECK_STR(ms_core_state(core, "b.899"), "gone");
}

static int end_ctl(void **state)
{
    ms_ctl_forget();
    return ms_core_group_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_a_batch_goes_in_with_its_parent),
        CORE(test_the_same_command_adds_nothing_twice),
        CORE(test_a_batch_that_was_left_half_way_is_gone_on_with),
        CORE(test_a_full_queue_leaves_an_open_batch_and_says_how_to_go_on),
        CORE(test_a_bad_line_anywhere_keeps_all_of_it_out),
        CORE(test_options_that_cannot_be_are_refused),
        CORE(test_an_id_that_is_taken_is_refused),
        CORE(test_an_empty_batch_has_ended_when_it_is_made),
        CORE(test_children_come_page_by_page),
        CORE(test_cancel_of_a_parent_says_what_became_of_it),
        CORE(test_cancel_all_cancels_batches_too),
        CORE(test_delete_takes_a_batch_of_many_away),
    };

    return cmocka_run_group_tests(tests, ms_core_group_setup, end_ctl);
}

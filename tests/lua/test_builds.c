/*
 * Two builds of muster on one Redis, as in a rolling deployment: the texts of
 * their scripts differ, so that each has its own in Redis's cache, and the
 * library of functions is a third.  One's job is the other's to finish.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/ulid.h"
#include "scripts.h"
#include "tests/support/core.h"
#include "tests/support/fcall.h"

#define N_JOBS 300

struct other {
    const struct ms_script *of;
    struct ms_script script;
    char sha1[41];
    char *text;
};
static struct other others[3];

static void other_init(struct ms_core *core, struct other *other,
                       const struct ms_script *of)
{
    other->of = of;
    other->text = ms_xasprintf("%s-- another build\n", of->text);
    snprintf(other->sha1, sizeof(other->sha1), "%s",
             ms_test_text(core->redis, "SCRIPT LOAD %s", other->text));
    CHECK(strcmp(other->sha1, of->sha1) != 0);
    other->script = (struct ms_script){of->name, other->sha1, other->text,
                                       strlen(other->text)};
}

/* Each call comes from one of the two builds. */
static const struct ms_reply *run(struct ms_core *core, struct ms_cmd *cmd)
{
    const struct ms_reply *reply;

    for (size_t i = 0; rand() % 2 && i < MS_COUNT_OF(others); i++)
        if (others[i].of == cmd->script)
            cmd->script = &others[i].script;
    reply = ms_test_run(core->redis, cmd);
    if (reply->type == MS_REPLY_ERROR)
        fail_msg("Redis: %s", reply->str);
    return reply;
}

static void enqueue(struct ms_core *core, const char *id)
{
    struct ms_new_job job = NEW_JOB(.id = id);
    struct ms_cmd cmd = MS_CMD_INIT;
    char token[MS_ULID_LEN + 1];

    if (rand() % 3 == 0) {
        FCALL(core->redis, "enqueue", K("cfg"), "k", "1", "id", id);
        return;
    }
    ms_ulid_new(token);
    CHECK_INT(ms_enqueue_build(&cmd, "m", "q", token, &job, 1, 100, NULL), ==,
              MS_OK);
    CHECK_INT(ms_enqueue_parse(run(core, &cmd), 1, NULL, NULL, NULL), ==,
              MS_OK);
}

struct lent {
    struct ms_core_job jobs[8];
    size_t n;
};

static void on_claimed(const struct ms_claimed *job, void *arg)
{
    struct lent *lent = arg;

    snprintf(lent->jobs[lent->n].id, sizeof(lent->jobs[0].id), "%s", job->id);
    lent->jobs[lent->n++].fence = job->fence;
}

static void on_finished(size_t i, enum ms_finish_status status, void *arg)
{
    CHECK_INT(status, ==, MS_FINISH_OK);
}

static void claim_and_finish(struct ms_core *core)
{
    struct ms_tenant who = {"m", "q", rand() % 2 ? "old" : "new"};
    struct ms_claim_ask ask = {8, TTL, EVERYTHING}, none = {0, TTL, EVERYTHING};
    struct ms_finish finishes[8];
    struct ms_claim_answer answer;
    struct lent lent = {.n = 0};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_claim_build(&cmd, &who, &ask);
    CHECK_INT(ms_claim_parse(run(core, &cmd), &answer, on_claimed, &lent, NULL),
              ==, MS_OK);
    if (lent.n == 0)
        return;
    for (size_t i = 0; i < lent.n; i++)
        finishes[i] = (struct ms_finish){.id = lent.jobs[i].id,
                                         .fence = lent.jobs[i].fence,
                                         .kind = MS_FINISH_DONE,
                                         .move = NO_MOVE};
    ms_finish_build(&cmd, &who, finishes, lent.n, &none);
    CHECK_INT(ms_finish_parse(run(core, &cmd), lent.n, on_finished, &answer,
                              on_claimed, &lent, NULL),
              ==, MS_OK);
}

static TEST(test_two_builds_and_the_library_share_a_queue)
{
    struct ms_core *core = *state;
    char id[16];

    srand((unsigned)ms_test_seed());
    ms_fcall_load(core->redis);
    other_init(core, &others[0], &ms_script_enqueue);
    other_init(core, &others[1], &ms_script_claim);
    other_init(core, &others[2], &ms_script_finish);
    for (int i = 0; i < N_JOBS; i++) {
        snprintf(id, sizeof(id), "j%d", i);
        enqueue(core, id);
        if (i % 4 == 0)
            claim_and_finish(core);
        if (i == N_JOBS / 2) /* each loads its own again */
            ms_test_cmd(core->redis, "SCRIPT FLUSH");
    }
    while (ms_core_depth(core, "-") > 0)
        claim_and_finish(core);
    CHECK_INT(ms_core_stat(core, "done"), ==, N_JOBS);
    CHECK_INT(ms_core_stat(core, "deduplicated"), ==, 0);
    for (size_t i = 0; i < MS_COUNT_OF(others); i++)
        free(others[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_two_builds_and_the_library_share_a_queue),
    };

    return RUN_CORE(tests);
}

/* How documents go in without a script: what is sent, and how what Redis says
 * of it is judged. */
#include "common/dataset.h"

#include "tests/support/support.h"

static const struct ms_dataset map = {
    .name = "books", .id_field = "id", .shards = 2, .gen = 1, .epoch = 5};
static const struct ms_dataset_writer writer = {"imp", 7, 100};
static struct ms_error error;

/* The whole request as words, and frees it. */
static void check_words(struct ms_cmd *cmd, const char *const *words)
{
    size_t i, len;

    for (i = 0; words[i] != NULL; i++) {
        const char *at = ms_cmd_peek(cmd, i, &len);

        CHECK(at != NULL);
        CHECK_INT(len, ==, strlen(words[i]));
        CHECK(memcmp(at, words[i], len) == 0);
    }
    CHECK_INT(cmd->n_args, ==, i);
    ms_cmd_done(cmd);
}

/* ---- requests ---- */

static TEST(test_watch_names_meta_and_fence_of_all_shards)
{
    const char *const words[] = {"WATCH",
                                 "ms:{main/ds/books/1.0}:meta",
                                 "ms:{main/ds/books/1.0}:fence:imp",
                                 "ms:{main/ds/books/1.1}:meta",
                                 "ms:{main/ds/books/1.1}:fence:imp",
                                 NULL};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_watch_build(&cmd, "main", &map, "imp");
    check_words(&cmd, words);
}

static TEST(test_guard_reads_what_is_watched)
{
    const char *const meta[] = {"HMGET", "ms:{main/ds/books/1.1}:meta", "epoch",
                                "state", NULL};
    const char *const fence[] = {"HMGET", "ms:{main/ds/books/1.1}:fence:imp",
                                 "closed", "7", NULL};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_meta_build(&cmd, "main", &map, 1);
    check_words(&cmd, meta);
    ms_dataset_fence_build(&cmd, "main", &map, 1, &writer);
    check_words(&cmd, fence);
}

static TEST(test_hset_takes_documents_like_a_batch)
{
    const char *const words[] = {"HSET", "ms:{main/ds/books/1.0}:docs",
                                 "a",    "1",
                                 "b",    "2",
                                 NULL};
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_dataset_hset_build(&cmd, "main", &map, 0);
    ms_dataset_put_add(&cmd, "a", 1, "1", 1);
    ms_dataset_put_add(&cmd, "b", 1, "2", 1);
    check_words(&cmd, words);
}

/* ---- the guard ---- */

static struct ms_reply str(const char *text)
{
    struct ms_reply reply = {.type = MS_REPLY_NIL};

    if (text != NULL)
        reply = (struct ms_reply){.type = MS_REPLY_STR,
                                  .str = text,
                                  .len = strlen(text)};
    return reply;
}

static bool allows(const char *epoch, const char *state, const char *closed,
                   const char *fence)
{
    const struct ms_reply metas[] = {str(epoch), str(state)};
    const struct ms_reply fences[] = {str(closed), str(fence)};
    const struct ms_reply meta = {.type = MS_REPLY_ARRAY,
                                  .items = metas,
                                  .n_items = 2};
    const struct ms_reply fenced = {.type = MS_REPLY_ARRAY,
                                    .items = fences,
                                    .n_items = 2};

    return ms_dataset_guard_allows(&map, &writer, &meta, &fenced);
}

static TEST(test_guard_allows_only_what_is_wholly_ours)
{
    CHECK(allows("5", "open", NULL, "100"));
    CHECK(!allows("6", "open", NULL, "100"));
    CHECK(!allows("4", "open", NULL, "100")); /* the script may know better */
    CHECK(!allows(NULL, NULL, NULL, "100"));
    CHECK(!allows("5", "splitting", NULL, "100"));
    CHECK(!allows("5", "open", "done", "100"));
    CHECK(!allows("5", "open", NULL, "101"));
    CHECK(!allows("5", "open", NULL, "99"));
    CHECK(!allows("5", "open", NULL, NULL));
}

static TEST(test_guard_forbids_where_the_answer_is_none)
{
    const struct ms_reply nil = {.type = MS_REPLY_NIL};
    const struct ms_reply wrong = {.type = MS_REPLY_ERROR,
                                   .str = "WRONGTYPE ..."};

    CHECK(!ms_dataset_guard_allows(&map, &writer, &nil, &nil));
    CHECK(!ms_dataset_guard_allows(&map, &writer, &wrong, &wrong));
}

/* ---- EXEC ---- */

static TEST(test_exec_counts_when_each_hset_did)
{
    const struct ms_reply items[] = {{.type = MS_REPLY_INT, .num = 3},
                                     {.type = MS_REPLY_INT, .num = 0}};
    const struct ms_reply reply = {.type = MS_REPLY_ARRAY,
                                   .items = items,
                                   .n_items = 2};
    bool written = false;

    CHECK_INT(ms_dataset_exec_parse(&reply, 2, &written, &error), ==, MS_OK);
    CHECK(written);
    CHECK_INT(ms_dataset_exec_parse(&reply, 3, &written, &error), ==,
              MS_EPROTO);
    CHECK_INT(ms_dataset_exec_parse(&reply, 1, &written, &error), ==,
              MS_EPROTO);
}

static TEST(test_exec_that_was_aborted_is_no_failure)
{
    const struct ms_reply nil = {.type = MS_REPLY_NIL};
    bool written = true;

    CHECK_INT(ms_dataset_exec_parse(&nil, 2, &written, &error), ==, MS_OK);
    CHECK(!written);
}

static TEST(test_error_inside_exec_is_a_failure)
{
    const struct ms_reply items[] = {{.type = MS_REPLY_INT, .num = 3},
                                     {.type = MS_REPLY_ERROR,
                                      .str =
                                          "WRONGTYPE Operation against a key"}};
    const struct ms_reply odd[] = {{.type = MS_REPLY_STR, .str = "QUEUED"}};
    const struct ms_reply reply = {.type = MS_REPLY_ARRAY,
                                   .items = items,
                                   .n_items = 2};
    const struct ms_reply other = {.type = MS_REPLY_ARRAY,
                                   .items = odd,
                                   .n_items = 1};
    bool written = false;

    CHECK_INT(ms_dataset_exec_parse(&reply, 2, &written, &error), ==,
              MS_ESCRIPT);
    CHECK_CONTAINS(error.text, "WRONGTYPE");
    CHECK_INT(ms_dataset_exec_parse(&other, 1, &written, &error), ==,
              MS_EPROTO);
    CHECK(!written);
}

/* EXECABORT alone says nothing; its reason does. */
static TEST(test_refused_exec_is_classed_by_its_reason)
{
    static const struct {
        const char *text;
        enum ms_err err;
    } cases[] = {
        {"EXECABORT Transaction discarded because of: OOM command not allowed "
         "when used memory > 'maxmemory'.",
         MS_EFULL},
        {"EXECABORT Transaction discarded because of: READONLY You can't "
         "write against a read only replica.",
         MS_EREADONLY},
        {"EXECABORT Transaction discarded because of previous errors.",
         MS_ESCRIPT},
        {"OOM command not allowed when used memory > 'maxmemory'.", MS_EFULL},
        {"LOADING Redis is loading the dataset in memory", MS_ELOADING},
    };
    bool written = false;
    size_t i;

    for (i = 0; i < MS_COUNT_OF(cases); i++) {
        const struct ms_reply reply = {.type = MS_REPLY_ERROR,
                                       .str = cases[i].text};

        CHECK_INT(ms_dataset_exec_parse(&reply, 1, &written, &error), ==,
                  cases[i].err);
        CHECK_STR(error.text, cases[i].text);
    }
    CHECK(!written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_watch_names_meta_and_fence_of_all_shards),
        RUN(test_guard_reads_what_is_watched),
        RUN(test_hset_takes_documents_like_a_batch),
        RUN(test_guard_allows_only_what_is_wholly_ours),
        RUN(test_guard_forbids_where_the_answer_is_none),
        RUN(test_exec_counts_when_each_hset_did),
        RUN(test_exec_that_was_aborted_is_no_failure),
        RUN(test_error_inside_exec_is_a_failure),
        RUN(test_refused_exec_is_classed_by_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/job.h"

#include <stdlib.h>

#include "tests/support/support.h"

/* ---- a reply of HGETALL, in one line ---- */

struct hash {
    struct ms_reply items[64];
    struct ms_reply pairs;
};

static void put(struct hash *hash, const char *field, const void *value,
                size_t len)
{
    struct ms_reply *item = &hash->items[hash->pairs.n_items];

    CHECK(hash->pairs.n_items + 2 <= MS_COUNT_OF(hash->items));
    item[0] = (struct ms_reply){.type = MS_REPLY_STR,
                                .str = field,
                                .len = strlen(field)};
    item[1] = (struct ms_reply){.type = MS_REPLY_STR, .str = value, .len = len};
    hash->pairs.type = MS_REPLY_ARRAY;
    hash->pairs.items = hash->items;
    hash->pairs.n_items += 2;
}

/* "kind=x state=done" in fields; ends at NULL. */
static void put_words(struct hash *hash, const char *const *words)
{
    *hash = (struct hash){.pairs.type = MS_REPLY_ARRAY};
    for (; *words != NULL; words += 2)
        put(hash, words[0], words[1], strlen(words[1]));
}

static struct ms_job *parse(const struct hash *hash)
{
    struct ms_job *job = NULL;
    struct ms_error error = {""};

    CHECK_INT(ms_job_parse("mail", "J1", &hash->pairs, &job, &error), ==,
              MS_OK);
    return job;
}

/* Takes the job. */
static void check_json(struct ms_job *job, const char *want)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_job_to_json(job, &json);
    CHECK_STR(ms_buf_str(&out), want);
    ms_buf_done(&out);
    ms_job_free(job);
}

static void check_member(const struct ms_job *job, const char *key,
                         const char *want)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_buf member = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_error error = {""};
    struct ms_val val;

    ms_job_to_json(job, &json);
    ms_val_from_json(out.data, out.len, &val, &error);
    CHECK_STR(error.text, ""); /* it is one document, whatever was kept */
    ms_val_to_json(ms_val_get(&val.root, key), &member);
    CHECK_STR(ms_buf_str(&member), want);
    ms_val_done(&val);
    ms_buf_done(&member);
    ms_buf_done(&out);
}

/* ---- what is no job ---- */

static TEST(test_an_empty_hash_is_no_such_job)
{
    const struct ms_reply none = {.type = MS_REPLY_ARRAY};
    struct ms_job *job = NULL;
    struct ms_error error;

    CHECK_INT(ms_job_parse("mail", "J1", &none, &job, &error), ==, MS_ENOENT);
    CHECK_CONTAINS(error.text, "'J1'");
    CHECK(job == NULL);
}

static TEST(test_what_is_no_job_is_refused)
{
    static const char *const no_kind[] = {"state", "done", NULL};
    const struct ms_reply nil = {.type = MS_REPLY_NIL};
    const struct ms_reply text = {.type = MS_REPLY_STR, .str = "x", .len = 1};
    struct ms_job *job = NULL;
    struct hash hash;

    CHECK_INT(ms_job_parse("mail", "J1", &nil, &job, NULL), ==, MS_EPROTO);
    CHECK_INT(ms_job_parse("mail", "J1", &text, &job, NULL), ==, MS_EPROTO);
    put_words(&hash, no_kind);
    CHECK_INT(ms_job_parse("mail", "J1", &hash.pairs, &job, NULL), ==,
              MS_EPROTO);
    hash.pairs.n_items = 1;
    CHECK_INT(ms_job_parse("mail", "J1", &hash.pairs, &job, NULL), ==,
              MS_EPROTO);
    CHECK(job == NULL);
    ms_job_free(NULL);
}

/* ---- what is kept ---- */

/* A fresh job has three fields: all the rest is put back here. */
static TEST(test_fields_that_are_not_stored_have_their_defaults)
{
    static const char *const fresh[] = {"kind",       "a.b", "payload", "\xc0",
                                        "created_ms", "17",  NULL};
    struct hash hash;

    put_words(&hash, fresh);
    check_json(
        parse(&hash),
        "{\"id\":\"J1\",\"kind\":\"a.b\",\"queue\":\"mail\","
        "\"state\":\"ready\",\"priority\":5,\"payload\":null,\"attempts\":0,"
        "\"max_attempts\":null,\"crashes\":0,\"throttles\":0,\"fence\":null,"
        "\"pod\":null,"
        "\"created_ms\":17,\"ready_ms\":17,\"started_ms\":null,"
        "\"finished_ms\":null,\"due_ms\":null,\"expires_ms\":null,"
        "\"progress\":null,\"cursor\":null,\"parent\":null,\"chunk\":null,"
        "\"chunks\":null,\"callback_of\":null,\"group\":null,\"unique\":null,"
        "\"error\":null,"
        "\"errors\":[],\"result\":null,\"cancel_requested\":false,"
        "\"timeout_ms\":null}");
}

static TEST(test_a_full_record_is_shown_whole)
{
    static const char *const full[] = {
        "kind",
        "dump.chunk",
        "enc",
        "json",
        "payload",
        " {\"a\": [1]} ",
        "state",
        "running",
        "priority",
        "0",
        "group",
        "g",
        "attempts",
        "2",
        "crashes",
        "1",
        "throttles",
        "2",
        "max_attempts",
        "3",
        "timeout_ms",
        "4",
        "fence",
        "1700000000000",
        "pod",
        "P",
        "created_ms",
        "1",
        "ready_ms",
        "2",
        "started_ms",
        "3",
        "finished_ms",
        "4",
        "due_ms",
        "5",
        "expires_ms",
        "6",
        "cursor",
        "\x81\xa1o\x07",
        "seq",
        "9",
        "progress",
        "0.25",
        "parent",
        "J",
        "chunk",
        "0",
        "unique",
        "u\n",
        "error",
        "no",
        "errors",
        "[{\"at_ms\":1,\"attempt\":1,\"error\":\"no\"}]",
        "result",
        "true",
        "cancel_requested",
        "1",
        NULL};
    struct hash hash;

    put_words(&hash, full);
    check_json(parse(&hash),
               "{\"id\":\"J1\",\"kind\":\"dump.chunk\",\"queue\":\"mail\","
               "\"state\":\"running\",\"priority\":0,\"payload\":{\"a\":[1]},"
               "\"attempts\":2,\"max_attempts\":3,\"crashes\":1,"
               "\"throttles\":2,"
               "\"fence\":1700000000000,\"pod\":\"P\",\"created_ms\":1,"
               "\"ready_ms\":2,\"started_ms\":3,\"finished_ms\":4,\"due_ms\":5,"
               "\"expires_ms\":6,\"progress\":0.25,\"cursor\":{\"o\":7},"
               "\"parent\":\"J\",\"chunk\":0,\"chunks\":null,\"callback_of\":"
               "null,\"group\":\"g\","
               "\"unique\":\"u\\n\",\"error\":\"no\","
               "\"errors\":[{\"at_ms\":1,\"attempt\":1,\"error\":\"no\"}],"
               "\"result\":true,\"cancel_requested\":true,\"timeout_ms\":4}");
}

static TEST(test_what_handlers_need_is_read_as_it_is)
{
    static const char *const words[] = {"kind",  "k",    "phase", "running",
                                        "plan",  "\xc3", "seq",   "12",
                                        "chunk", "3",    NULL};
    struct hash hash;
    struct ms_job *job;

    put_words(&hash, words);
    put(&hash, "payload", "\xa3\0\xff\n", 4); /* any bytes */
    job = parse(&hash);
    CHECK(!job->json);
    CHECK_INT(job->payload.len, ==, 4);
    CHECK(memcmp(job->payload.data, "\xa3\0\xff\n", 5) == 0);
    CHECK(job->result.data == NULL);
    CHECK_INT(job->seq, ==, 12);
    CHECK_INT(job->chunk, ==, 3);
    CHECK_STR(job->phase, "running");
    CHECK_INT(job->plan.len, ==, 1);
    ms_job_free(job);
}

static TEST(test_a_scheduled_job_is_not_ready_since_its_making)
{
    static const char *const words[] = {"kind",      "k",          "state",
                                        "scheduled", "created_ms", "17",
                                        "due_ms",    "99",         NULL};
    struct hash hash;
    struct ms_job *job;

    put_words(&hash, words);
    job = parse(&hash);
    check_member(job, "ready_ms", "null");
    check_member(job, "due_ms", "99");
    ms_job_free(job);
}

/* ---- records that somebody's hand has touched ---- */

/* `job list` shows many: one broken record must not spoil the document. */
static TEST(test_bytes_that_cannot_be_read_are_null)
{
    static const char *const words[] = {
        "kind",     "k",    "enc",    "json", "payload", "{broken",
        "result",   "1 2",  "cursor", "\xc1", "errors",  "{\"not\":\"a list\"}",
        "progress", "half", "fence",  "x",    "error",   "bad \xff byte",
        "priority", "",     NULL};
    struct hash hash;
    struct ms_job *job;

    put_words(&hash, words);
    job = parse(&hash);
    check_member(job, "payload", "null");
    check_member(job, "result", "null");
    check_member(job, "cursor", "null");
    check_member(job, "errors", "[]");
    check_member(job, "progress", "null");
    check_member(job, "fence", "null");
    check_member(job, "priority", "5");
    check_member(job, "error", "\"bad \xef\xbf\xbd byte\"");
    ms_job_free(job);
}

static TEST(test_errors_that_are_no_json_are_an_empty_list)
{
    static const char *const texts[] = {"[", "", "null", "[1] [2]"};

    for (size_t i = 0; i < MS_COUNT_OF(texts); i++) {
        const char *const words[] = {"kind", "k", "errors", texts[i], NULL};
        struct hash hash;
        struct ms_job *job;

        put_words(&hash, words);
        job = parse(&hash);
        check_member(job, "errors", "[]");
        ms_job_free(job);
    }
}

static TEST(test_progress_is_a_share_of_one)
{
    static const char *const cases[][2] = {
        {"0", "0.0"},   {"1", "1.0"},    {"0.5", "0.5"}, {"1.5", "null"},
        {"-1", "null"}, {"nan", "null"}, {"", "null"},   {"0.5x", "null"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        const char *const words[] = {"kind", "k", "progress", cases[i][0],
                                     NULL};
        struct hash hash;
        struct ms_job *job;

        put_words(&hash, words);
        job = parse(&hash);
        check_member(job, "progress", cases[i][1]);
        ms_job_free(job);
    }
}

static TEST(test_bytes_to_json_follows_how_they_are_kept)
{
    static const char *const words[] = {"kind", "k", "payload",
                                        "\x93\x01\x02\x03", NULL};
    static const char *const as_json[] = {"kind",    "k",      "enc", "json",
                                          "payload", "[1, 2]", NULL};
    struct ms_buf out = MS_BUF_INIT;
    struct hash hash;
    struct ms_job *job;

    put_words(&hash, words);
    job = parse(&hash);
    ms_job_bytes_to_json(job, &job->payload, &out);
    ms_buf_addc(&out, ' ');
    ms_job_bytes_to_json(job, &job->result, &out);
    ms_job_free(job);
    put_words(&hash, as_json);
    job = parse(&hash);
    ms_buf_addc(&out, ' ');
    ms_job_bytes_to_json(job, &job->payload, &out);
    ms_job_free(job);
    CHECK_STR(ms_buf_str(&out), "[1,2,3] null [1,2]");
    ms_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_an_empty_hash_is_no_such_job),
        RUN(test_what_is_no_job_is_refused),
        RUN(test_fields_that_are_not_stored_have_their_defaults),
        RUN(test_a_full_record_is_shown_whole),
        RUN(test_what_handlers_need_is_read_as_it_is),
        RUN(test_a_scheduled_job_is_not_ready_since_its_making),
        RUN(test_bytes_that_cannot_be_read_are_null),
        RUN(test_errors_that_are_no_json_are_an_empty_list),
        RUN(test_progress_is_a_share_of_one),
        RUN(test_bytes_to_json_follows_how_they_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

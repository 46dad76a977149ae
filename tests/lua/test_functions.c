/* The library of functions: what any client of Redis can do with it. */
#include <stdio.h>
#include <stdlib.h>

#include "common/library.h"
#include "common/ulid.h"
#include "common/val.h"
#include "tests/support/core.h"
#include "tests/support/fcall.h"

#define CFG       K("cfg")
#define CALL(...) FCALL(core->redis, __VA_ARGS__)
#define SHOW(name) \
    ms_fcall_texts(core->redis, name, CFG, (const char *const[]){NULL})

static int setup(void **state)
{
    int code = ms_core_setup(state);
    struct ms_core *core = *state;

    ms_fcall_load(core->redis);
    return code;
}
#define FUNCTIONS(name) \
    cmocka_unit_test_setup_teardown(name, setup, ms_core_teardown)

/* A member of a document, as text; good until the next call. */
static const char *member(const char *document, const char *name)
{
    static struct ms_buf text;
    struct ms_val val = {0};
    const msgpack_object *found;

    ms_buf_clear(&text);
    if (ms_val_from_json(document, strlen(document), &val, NULL) != MS_OK)
        fail_msg("no document: %s", document);
    found = ms_val_get(&val.root, name);
    if (found == NULL)
        ms_buf_adds(&text, "(none)");
    else if (found->type == MSGPACK_OBJECT_STR)
        ms_buf_add(&text, found->via.str.ptr, found->via.str.size);
    else
        ms_val_to_json(found, &text);
    ms_val_done(&val);
    ms_buf_addc(&text, '\0');
    return text.data;
}

static void refused(struct ms_core *core, const char *answer, const char *why)
{
    CHECK_CONTAINS(answer, why);
    CHECK(strncmp(answer, "INVALID ", 8) == 0);
    CHECK_INT(ms_test_num(core->redis, "DBSIZE"), ==, 1); /* cfg */
}

/* ---- enqueue ---- */

static TEST(test_a_job_is_enqueued_and_can_be_claimed)
{
    struct ms_core *core = *state;
    char id[MS_ULID_LEN + 1];
    const char *answer = CALL("enqueue", CFG, "mail.send", "{\"to\": 7}");

    CHECK_STR(member(answer, "queue"), "q");
    CHECK_STR(member(answer, "deduplicated"), "false");
    snprintf(id, sizeof(id), "%s", member(answer, "id"));
    CHECK_INT(strlen(id), ==, MS_ULID_LEN);
    CHECK_STR(ms_core_field(core, id, "kind"), "mail.send");
    CHECK_STR(ms_core_field(core, id, "payload"), "{\"to\": 7}");
    CHECK_STR(ms_core_field(core, id, "enc"), "json");
    CHECK_INT(ms_test_num(core->redis, "LLEN %s", K("wake")), ==, 1);
    ms_core_claim_one(core, "p1", id);
}

static TEST(test_every_option_is_kept_with_the_job)
{
    struct ms_core *core = *state;
    int64_t now = ms_core_now(core);

    CALL("enqueue", CFG, "k", "1", "id", "a:b", "priority", "0", "group", "g",
         "delay_ms", "60000", "expires_in_ms", "120000", "unique", "u u",
         "unique_ttl_ms", "5000", "max_attempts", "7", "timeout_ms", "9000");
    CHECK_STR(ms_core_field(core, "a:b", "own"), "1");
    CHECK_STR(ms_core_field(core, "a:b", "priority"), "0");
    CHECK_STR(ms_core_field(core, "a:b", "group"), "g");
    CHECK_STR(ms_core_field(core, "a:b", "unique"), "u u");
    CHECK_STR(ms_core_field(core, "a:b", "state"), "scheduled");
    CHECK_INT(ms_core_number(core, "a:b", "max_attempts"), ==, 7);
    CHECK_INT(ms_core_number(core, "a:b", "timeout_ms"), ==, 9000);
    CHECK_INT(ms_core_number(core, "a:b", "due_ms"), >=, now + 60000);
    CHECK_INT(ms_core_number(core, "a:b", "expires_ms"), >=, now + 120000);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("unique:u u")), >, 0);
}

static TEST(test_times_may_be_absolute)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1", "id", "a", "at_ms", "4000000000000",
         "expires_ms", "4000000000001");
    CHECK_INT(ms_core_number(core, "a", "due_ms"), ==, 4000000000000);
    CHECK_INT(ms_core_number(core, "a", "expires_ms"), ==, 4000000000001);
}

/* What the typed operations write, field for field. */
static TEST(test_a_plain_job_costs_no_more_memory_than_ours)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1", "id", "a");
    ENQUEUE(core, .id = "b", .payload = "1", .payload_len = 1, .own_id = true,
            .json = true);
    CHECK_INT(ms_test_num(core->redis, "HLEN %s", K("job:a")), ==,
              ms_test_num(core->redis, "HLEN %s", K("job:b")));
    CALL("enqueue", CFG, "k", "\x01", "enc", "msgpack");
    CHECK_INT(ms_test_num(core->redis, "HLEN %s", K("stats")), ==, 1);
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 3);
    CHECK_STR(ms_core_field(core, "a", "priority"), "");
}

/* Also within one microsecond, and in one call. */
static TEST(test_ids_differ)
{
    struct ms_core *core = *state;
    struct ms_bytes args[1 + 3 * 300];
    size_t n = 0;

    args[n++] = (struct ms_bytes){(char *)"", 0};
    for (int i = 0; i < 300; i++) {
        args[n++] = (struct ms_bytes){(char *)"k", 1};
        args[n++] = (struct ms_bytes){(char *)"1", 1};
        args[n++] = (struct ms_bytes){(char *)"0", 1};
    }
    for (int i = 0; i < 10; i++)
        ms_fcall_args(core->redis, "enqueue_many", CFG, args, n);
    for (int i = 0; i < 300; i++)
        CALL("enqueue", CFG, "k", "1");
    CHECK_INT(ms_core_depth(core, "k"), ==, 3300);
    CHECK_INT(ms_core_stat(core, "deduplicated"), ==, 0);
}

static TEST(test_a_unique_key_that_is_held_names_its_holder)
{
    struct ms_core *core = *state;
    const char *answer;

    CALL("enqueue", CFG, "k", "1", "id", "a", "unique", "u");
    answer = CALL("enqueue", CFG, "k", "1", "unique", "u");
    CHECK_STR(member(answer, "id"), "a");
    CHECK_STR(member(answer, "deduplicated"), "true");
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
}

static TEST(test_a_unique_key_may_replace_or_debounce)
{
    struct ms_core *core = *state;
    const char *answer;

    CALL("enqueue", CFG, "k", "1", "id", "a", "unique", "u");
    answer = CALL("enqueue", CFG, "k", "2", "id", "b", "unique", "u",
                  "unique_mode", "replace");
    CHECK_STR(member(answer, "deduplicated"), "false");
    CHECK_STR(ms_core_state(core, "a"), "gone");
    answer = CALL("enqueue", CFG, "k", "[3]", "id", "c", "unique", "u",
                  "unique_mode", "debounce", "delay_ms", "60000");
    CHECK_STR(member(answer, "id"), "b");
    CHECK_STR(ms_core_field(core, "b", "payload"), "[3]");
    CHECK_STR(ms_core_state(core, "b"), "scheduled");
}

static TEST(test_an_id_is_taken_once)
{
    struct ms_core *core = *state;
    int64_t fence;

    CALL("enqueue", CFG, "k", "1", "id", "a");
    CHECK_STR(member(CALL("enqueue", CFG, "k", "1", "id", "a"), "deduplicated"),
              "true");
    ms_core_set(core, "retain_done_max", 0);
    fence = ms_core_claim_one(core, "p1", "a");
    DONE(core, "p1", "a", fence);
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(member(CALL("enqueue", CFG, "k", "1", "id", "a"), "deduplicated"),
              "true");
    CHECK_INT(ms_core_depth(core, "-"), ==, 0);
}

/* A caller without an id of its own cannot know whether its call arrived. */
static TEST(test_a_call_with_a_token_can_be_repeated)
{
    struct ms_core *core = *state;
    char first[256];
    int64_t fence;

    snprintf(first, sizeof(first), "%s",
             CALL("enqueue", CFG, "k", "1", "token", "T"));
    CHECK_STR(CALL("enqueue", CFG, "k", "1", "token", "T"), first);
    fence = ms_core_claim_one(core, "p1", member(first, "id"));
    DONE(core, "p1", member(first, "id"), fence);
    CHECK_STR(CALL("enqueue", CFG, "k", "1", "token", "T"), first);
    CHECK_INT(ms_core_stat(core, "enqueued"), ==, 1);
    CHECK_INT(ms_test_num(core->redis, "PTTL %s", K("token:T")), >, 590000);
}

static TEST(test_a_token_of_another_call_is_refused)
{
    struct ms_core *core = *state;

    CALL("enqueue_many", CFG, "T", "k", "1", "0", "k", "2", "0");
    CHECK_CONTAINS(CALL("enqueue", CFG, "k", "1", "token", "T"),
                   "INVALID token");
    CHECK_INT(ms_core_depth(core, "-"), ==, 2);
}

static TEST(test_a_call_without_a_token_leaves_none)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1");
    CHECK_INT(ms_test_cmd(core->redis, "KEYS %s", K("token:*"))->n_items, ==,
              0);
}

static TEST(test_the_first_job_makes_its_queue_known)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1");
    CHECK_INT(ms_test_num(core->redis, "SISMEMBER %s q", F("queues")), ==, 1);
}

static TEST(test_many_jobs_travel_in_one_call)
{
    struct ms_core *core = *state;
    const char *answer =
        CALL("enqueue_many", CFG, "", "k", "1", "1", "id", "a", "k", "2", "2",
             "id", "b", "priority", "1", "x", "{}", "1", "id", "a");

    CHECK_STR(member(answer, "enqueued"), "2");
    CHECK_STR(member(answer, "deduplicated"), "1");
    CHECK_STR(member(answer, "ids"), "[\"a\",\"b\",\"a\"]");
    ms_core_claim_one(core, "p1", "b");
    ms_core_claim_one(core, "p1", "a");
    CHECK_STR(member(CALL("enqueue_many", CFG, "T", "k", "1", "1", "id", "c"),
                     "enqueued"),
              "1");
    CHECK_STR(member(CALL("enqueue_many", CFG, "T", "k", "1", "1", "id", "c"),
                     "enqueued"),
              "1");
}

/* ---- a parent and its children ---- */

static TEST(test_a_batch_ends_with_its_last_child)
{
    struct ms_core *core = *state;
    const char *answer = CALL("batch", CFG, "b", "report", "{}", "2",
                              "on_complete", "tell", "policy", "continue", "k",
                              "1", "0", "k", "2", "1", "priority", "1");
    int64_t fence;

    CHECK_STR(member(answer, "children"), "2");
    CHECK_STR(member(answer, "added"), "2");
    CHECK_STR(member(answer, "state"), "waiting");
    CHECK_STR(ms_core_field(core, "b.0", "enc"), "json");
    fence = ms_core_claim_one(core, "p1", "b.1");
    DONE(core, "p1", "b.1", fence);
    fence = ms_core_claim_one(core, "p1", "b.0");
    CHECK_STR(ms_core_state(core, "b"), "waiting");
    DONE(core, "p1", "b.0", fence);
    CHECK_STR(ms_core_state(core, "b"), "done");
    ms_core_claim_one(core, "p1", "b:complete");
    CHECK_STR(ms_core_field(core, "b:complete", "kind"), "tell");
}

static TEST(test_a_batch_of_several_calls_each_of_which_may_be_repeated)
{
    struct ms_core *core = *state;

    for (int i = 0; i < 2; i++)
        CHECK_STR(member(CALL("batch", CFG, "b", "report", "{}", "1", "open",
                              "1", "k", "1", "0", "k", "2", "0"),
                         "children"),
                  "2");
    CHECK_CONTAINS(CALL("batch", CFG, "b", "report", "{}", "1", "first", "7",
                        "k", "1", "0"),
                   "STATE batch 'b' has 2 children");
    for (int i = 0; i < 2; i++)
        CHECK_STR(member(CALL("batch", CFG, "b", "report", "{}", "1", "first",
                              "2", "k", "3", "0"),
                         "children"),
                  "3");
    CHECK_INT(ms_core_depth(core, "k"), ==, 3);
    CHECK_CONTAINS(CALL("batch", CFG, "b", "report", "{}", "1", "first", "3",
                        "k", "3", "0"),
                   "takes no more");
    CHECK_STR(member(CALL("cancel", CFG, "b"), "result"), "cancelled");
    CHECK_INT(ms_core_depth(core, "k"), ==, 0);
}

static TEST(test_bad_batches_are_refused)
{
    static const struct {
        const char *args[10];
        const char *why;
    } cases[] = {
        {{"b", "report", "{}"}, "arguments"},
        {{"b", "report", "{}", "1"}, "arguments"},
        {{"b.1", "report", "{}", "0"}, "id: 'b.1'"},
        {{"", "report", "{}", "0"}, "id: ''"},
        {{"b", "", "{}", "0"}, "kind: ''"},
        {{"b", "dump.import", "{}", "0"}, "is an import's"},
        {{"b", "report", "x", "0"}, "is no JSON"},
        {{"b", "report", "{}", "1", "policy", "sometimes"}, "policy"},
        {{"b", "report", "{}", "1", "on_complete", "a b"}, "on_complete"},
        {{"b", "report", "{}", "1", "on_success", "dump.import"}, "on_success"},
        {{"b", "report", "{}", "1", "first", "-1"}, "first"},
        {{"b", "report", "{}", "1", "open", "yes"}, "open"},
        {{"b", "report", "{}", "1", "priority", "3"}, "none of a batch"},
        {{"b", "report", "{}", "0", "k", "1", "1", "id", "x"},
         "id: a child of a batch has none (job 1)"},
        {{"b", "report", "{}", "0", "k", "1", "1", "unique", "x"},
         "unique: a child"},
        {{"b", "report", "{}", "0", "dump.import", "1", "0"}, "no child"},
    };
    struct ms_core *core = *state;

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        refused(core, ms_fcall_texts(core->redis, "batch", CFG, cases[i].args),
                cases[i].why);
    CALL("enqueue", CFG, "k", "1", "id", "b");
    CHECK_CONTAINS(CALL("batch", CFG, "b", "report", "{}", "0"), "STATE");
}

/* ---- what is refused ---- */

static TEST(test_bad_input_is_named_and_nothing_is_stored)
{
    static const struct {
        const char *args[8];
        const char *why;
    } cases[] = {
        {{"a b", "1"}, "kind: 'a b'"},
        {{"", "1"}, "kind: ''"},
        {{"k\n", "1"}, "kind: 'k?'"},
        {{"k"}, "arguments"},
        {{"k", ""}, "payload"},
        {{"k", "hello"}, "payload: 'hello' is no JSON"},
        {{"k", "{\"a\":1"}, "is no JSON"},
        {{"k", "  ["}, "is no JSON"},
        {{"k", "\v"}, "is no JSON"},
        {{"k", "1", "priority"}, "'priority' has no value"},
        {{"k", "1", "priority", "10"}, "priority: '10'"},
        {{"k", "1", "priority", "-1"}, "priority: '-1'"},
        {{"k", "1", "priority", "1.5"}, "priority: '1.5'"},
        {{"k", "1", "priority", "0x1"}, "priority: '0x1'"},
        {{"k", "1", "max_attempts", "0"}, "max_attempts: '0'"},
        {{"k", "1", "timeout_ms", "1e3"}, "timeout_ms: '1e3'"},
        {{"k", "1", "delay_ms", "99999999999999999999"}, "delay_ms"},
        {{"k", "1", "at_ms", ""}, "at_ms: ''"},
        {{"k", "1", "colour", "red"}, "'colour' is none"},
        {{"k", "1", "id", "a.7"}, "id: 'a.7'"},
        {{"k", "1", "id", "{x}"}, "id: '{x}'"},
        {{"k", "1", "group", "a:b"}, "group: 'a:b'"},
        {{"k", "1", "unique", ""}, "unique"},
        {{"k", "1", "unique_ttl_ms", "5"}, "needs unique"},
        {{"k", "1", "unique_mode", "replace"}, "needs unique"},
        {{"k", "1", "unique_mode", "first"}, "unique_mode: 'first'"},
        {{"k", "1", "token", "a b"}, "token: 'a b'"},
        {{"k", "1", "enc", "xml"}, "enc: 'xml'"},
        {{"k", "1", "id", "a", "id", "b"}, "id: it is said twice"},
        {{"k", "1", "at_ms", "5", "delay_ms", "5"}, "excludes delay_ms"},
        {{"k", "1", "expires_ms", "5", "expires_in_ms", "5"},
         "excludes expires_in_ms"},
    };
    struct ms_core *core = *state;

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        refused(core,
                ms_fcall_texts(core->redis, "enqueue", CFG, cases[i].args),
                cases[i].why);
}

static TEST(test_a_key_that_names_no_queue_is_refused)
{
    static const char *const keys[] = {
        NULL,         "x",           "ms:{m/q}",         "ms:{m}:cfg",
        "ms:{/}:cfg", "ms:{m/}:cfg", "ms:{m/a b}:cfg",   "ms:{m/q}:cfg:x",
        "",           "{m/q}:cfg",   "ms:{m/q}x}:y:cfg", "ms:{m/q/r}:cfg"};
    static const char *const args[] = {"k", "1", NULL};
    struct ms_core *core = *state;

    for (size_t i = 0; i < MS_COUNT_OF(keys); i++)
        refused(core, ms_fcall_texts(core->redis, "enqueue", keys[i], args),
                "key");
}

/* None of the others is stored either. */
static TEST(test_one_bad_job_of_many_is_named_by_its_place)
{
    struct ms_core *core = *state;

    refused(core,
            CALL("enqueue_many", CFG, "", "k", "1", "0", "k", "2", "1", "id",
                 "?"),
            "id: '?'");
    refused(core, CALL("enqueue_many", CFG, "", "k", "1", "0", "", "2", "0"),
            "(job 2)");
    refused(core, CALL("enqueue_many", CFG, "", "k", "1", "2", "id", "a"),
            "(job 1)");
    refused(core, CALL("enqueue_many", CFG, "", "k", "1", "x"), "(job 1)");
    refused(core, CALL("enqueue_many", CFG, "", "k", "1"), "arguments");
    refused(core, CALL("enqueue_many", CFG, "a b", "k", "1", "0"), "token");
}

static TEST(test_a_payload_over_max_payload_is_refused)
{
    struct ms_core *core = *state;
    struct ms_bytes args[] = {{(char *)"k", 1}, {NULL, 1048577}};

    args[1].data = ms_xcalloc(1, args[1].len);
    memset(args[1].data, '1', args[1].len);
    refused(core, ms_fcall_args(core->redis, "enqueue", CFG, args, 2)->str,
            "1048577 bytes, more than max_payload (1048576)");
    args[1].len--;
    CHECK(ms_fcall_args(core->redis, "enqueue", CFG, args, 2)->type ==
          MS_REPLY_STR);
    ms_core_set(core, "max_payload", 5);
    CHECK_CONTAINS(CALL("enqueue", CFG, "k", "123456"), "max_payload (5)");
    free(args[1].data);
}

/* Redis would do nothing else meanwhile. */
static TEST(test_a_call_of_too_many_bytes_is_refused)
{
    struct ms_core *core = *state;
    struct ms_bytes args[1 + 3 * 17] = {{(char *)"", 0}};
    struct ms_bytes payload = {ms_xcalloc(1, 1 << 20), 1 << 20};
    size_t n = 1;

    memset(payload.data, '1', payload.len);
    for (int i = 0; i < 17; i++) {
        args[n++] = (struct ms_bytes){(char *)"k", 1};
        args[n++] = payload;
        args[n++] = (struct ms_bytes){(char *)"0", 1};
    }
    refused(core, ms_fcall_args(core->redis, "enqueue_many", CFG, args, n)->str,
            "more than 16777216 bytes in a call (job 17)");
    CHECK(ms_fcall_args(core->redis, "enqueue_many", CFG, args, n - 3)->type ==
          MS_REPLY_STR);
    free(payload.data);
}

static TEST(test_a_full_queue_refuses)
{
    struct ms_core *core = *state;

    ms_core_set(core, "max_length", 1);
    CALL("enqueue", CFG, "k", "1");
    CHECK_CONTAINS(CALL("enqueue", CFG, "k", "1"),
                   "FULL queue 'q' is at its max_length (1 jobs)");
    CHECK_INT(ms_core_depth(core, "-"), ==, 1);
}

/* Whoever frees memory must be able to. */
static TEST(test_a_full_redis_refuses_jobs_and_lets_the_rest_pass)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1", "id", "a", "delay_ms", "60000");
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 1");
    CHECK_CONTAINS(CALL("enqueue", CFG, "k", "1"), "OOM");
    CHECK_STR(member(CALL("run_now", CFG, "a"), "result"), "ok");
    CHECK_STR(member(SHOW("pause"), "paused"), "true");
    CHECK_STR(member(CALL("cancel", CFG, "a"), "result"), "cancelled");
    CHECK_STR(member(CALL("delete", CFG, "a"), "result"), "ok");
    ms_test_cmd(core->redis, "CONFIG SET maxmemory 0");
}

/* Commands since CONFIG RESETSTAT, those from inside functions included. */
static int64_t commands(struct ms_core *core)
{
    const char *text = ms_test_cmd(core->redis, "INFO commandstats")->str;
    int64_t n = 0;

    for (const char *at = text; (at = strstr(at, "cmdstat_")) != NULL; at++)
        if (strncmp(at + 8, "config", 6) != 0)
            n += atoll(strstr(at, "calls=") + 6);
    return n;
}

static int64_t cost_of_an_enqueue(struct ms_core *core)
{
    ms_test_cmd(core->redis, "CONFIG RESETSTAT");
    CALL("enqueue", CFG, "k", "1");
    return commands(core);
}

/* Seven more than ours: to look at the keys, the totals, the clock and the
 * bound, and to forget the token that nobody knows. */
static TEST(test_an_enqueue_costs_the_same_at_any_backlog)
{
    struct ms_core *core = *state;
    int64_t cost;

    CALL("enqueue", CFG, "k", "1");
    cost = cost_of_an_enqueue(core);
    CHECK_INT(cost, <=, 22);
    ms_core_enqueue_many(core, "a", NULL, 20000);
    CHECK_INT(cost_of_an_enqueue(core), <=, cost);
    ms_test_cmd(core->redis, "FLUSHALL"); /* nothing to walk through */
}

/* ---- one job ---- */

static TEST(test_a_job_goes_through_its_life_by_functions)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1", "id", "a", "delay_ms", "60000");
    CHECK_STR(member(CALL("job", CFG, "a"), "state"), "scheduled");
    CHECK_STR(member(CALL("run_now", CFG, "a"), "result"), "ok");
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_CONTAINS(CALL("run_now", CFG, "a"), "STATE job 'a' is ready");
    CHECK_STR(member(CALL("cancel", CFG, "a"), "result"), "cancelled");
    CHECK_STR(member(CALL("cancel", CFG, "a"), "result"), "finished");
    CHECK_STR(ms_core_state(core, "a"), "dead");
    CHECK_STR(member(CALL("retry", CFG, "a"), "result"), "ok");
    CHECK_STR(ms_core_state(core, "a"), "ready");
    CHECK_STR(member(CALL("delete", CFG, "a"), "result"), "ok");
    CHECK_STR(ms_core_state(core, "a"), "gone");
    CHECK_STR(member(CALL("cancel", CFG, "a"), "result"), "unknown");
    CHECK_CONTAINS(CALL("delete", CFG, "a"), "UNKNOWN job 'a'");
    CHECK_CONTAINS(CALL("retry", CFG, "a"), "UNKNOWN");
    CHECK_CONTAINS(CALL("job", CFG, "a"), "UNKNOWN");
}

static TEST(test_a_cancel_tells_the_pod_at_once)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "HSET %s host h", F("pod:p1"));
    CALL("enqueue", CFG, "k", "1", "id", "a");
    ms_core_claim_one(core, "p1", "a");
    CHECK_STR(member(CALL("cancel", CFG, "a", "me"), "result"), "requested");
    CHECK_STR(ms_core_field(core, "a", "cancel_requested"), "1");
    CHECK_STR(ms_test_text(core->redis, "LPOP %s", F("pod:p1:inbox")),
              "cancel q a");
}

static TEST(test_a_cancel_of_a_parent_tells_all_pods)
{
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "HSET %s host h", F("pod:p1"));
    ms_test_cmd(core->redis, "ZADD %s 1 p1 2 gone", F("members:q"));
    CALL("batch", CFG, "b", "report", "{}", "0", "k", "1", "0");
    ms_core_claim_one(core, "p1", "b.0");
    CHECK_STR(member(CALL("cancel", CFG, "b"), "result"), "requested");
    CHECK_STR(ms_test_text(core->redis, "LPOP %s", F("pod:p1:inbox")),
              "cancel q b");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", F("pod:gone:inbox")), ==,
              0);
}

static TEST(test_a_cancel_of_a_pod_that_is_gone_leaves_no_inbox)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1", "id", "a");
    ms_core_claim_one(core, "p1", "a");
    CHECK_STR(member(CALL("cancel", CFG, "a"), "result"), "requested");
    CHECK_INT(ms_test_num(core->redis, "EXISTS %s", F("pod:p1:inbox")), ==, 0);
}

static TEST(test_a_chunk_is_left_to_its_parent)
{
    struct ms_core *core = *state;

    ENQUEUE(core, .id = "p", .parent = true);
    ms_core_spawn(core, "p", 0, 1);
    CHECK_CONTAINS(CALL("delete", CFG, "p.0"), "is a chunk");
    CHECK_CONTAINS(CALL("delete", CFG, "p"), "STATE job 'p' is waiting");
}

static TEST(test_a_job_is_shown_as_musterctl_shows_it)
{
    struct ms_core *core = *state;
    const char *shown;
    int64_t fence;

    CALL("enqueue", CFG, "k", "{\"a\": \"\\u00e4\\n\"}", "id", "a", "group",
         "g");
    fence = ms_core_claim_one(core, "p1", "a");
    shown = CALL("job", CFG, "a");
    CHECK_STR(member(shown, "payload"), "{\"a\": \"\\u00e4\\n\"}");
    CHECK_STR(member(shown, "queue"), "q");
    CHECK_STR(member(shown, "state"), "running");
    CHECK_STR(member(shown, "pod"), "p1");
    CHECK_INT(atoll(member(shown, "fence")), ==, fence);
    CHECK_STR(member(shown, "priority"), "5");
    CHECK_STR(member(shown, "due_ms"), "null");
    CHECK_STR(member(shown, "cancel_requested"), "false");
    CHECK_STR(member(shown, "progress"), "null");
    CHECK_STR(member(shown, "errors"), "[]");
    ms_test_cmd(core->redis, "HSET %s progress 0.25", K("job:a"));
    FAIL(core, "p1", "a", fence);
    CHECK_CONTAINS(member(CALL("job", CFG, "a"), "errors"), "\"attempt\":1");
    CHECK_STR(member(CALL("job", CFG, "a"), "progress"), "0.25");
    CHECK_STR(member(CALL("job", CFG, "a"), "state"), "scheduled");
    ENQUEUE(core, .id = "b", .payload = "\xff", .payload_len = 1);
    CHECK_STR(member(CALL("job", CFG, "b"), "enc"), "msgpack");
    CHECK_STR(member(CALL("job", CFG, "b"), "payload"), "null");
}

/* ---- a queue ---- */

static TEST(test_a_queue_is_paused_shown_and_resumed)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1");
    CHECK_STR(member(SHOW("pause"), "changed"), "true");
    CHECK_STR(member(SHOW("pause"), "changed"), "false");
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 0);
    CHECK_STR(member(SHOW("queue"), "paused"), "true");
    CHECK_STR(member(SHOW("queue"), "ready"), "1");
    CHECK_STR(member(SHOW("resume"), "changed"), "true");
    CHECK_INT(ms_core_claim(core, "p1", 1), ==, 1);
    CHECK_STR(member(SHOW("queue"), "running"), "1");
    CHECK_STR(member(SHOW("queue"), "oldest_ready_ms"), "null");
    CHECK_CONTAINS(CALL("resume", CFG, "x"), "INVALID arguments");
}

/* Its counts are not those of a queue that was refused. */
static TEST(test_readers_may_run_where_nothing_may_be_written)
{
    struct ms_core *core = *state;

    CALL("enqueue", CFG, "k", "1", "id", "a");
    CHECK(ms_test_cmd(core->redis, "FCALL_RO muster_queue 1 %s", CFG)->type ==
          MS_REPLY_STR);
    CHECK(ms_test_cmd(core->redis, "FCALL_RO muster_job 1 %s a", CFG)->type ==
          MS_REPLY_STR);
    CHECK(
        ms_test_cmd(core->redis, "FCALL_RO muster_delete 1 %s a", CFG)->type ==
        MS_REPLY_ERROR);
}

/* ---- who may ---- */

/* The rights that docs/producers.md names, and nothing else of the fleet. */
static TEST(test_a_producer_with_few_rights)
{
    struct ms_core *core = *state;
    const char *text;

    ms_test_cmd(core->redis,
                "ACL SETUSER shop on nopass resetkeys resetchannels "
                "-@all +@read +@write +@hash +fcall +time "
                "-@dangerous ~ms:{m/q}:*");
    ms_test_cmd(core->redis, "AUTH shop x");
    text = CALL("enqueue", CFG, "k", "1", "id", "a", "token", "T");
    CHECK_STR(member(text, "id"), "a");
    CHECK_STR(member(CALL("cancel", CFG, "a"), "result"), "cancelled");
    CHECK_CONTAINS(CALL("enqueue", "ms:{m/other}:cfg", "k", "1"), "NOPERM");
    ms_test_cmd(core->redis, "AUTH default x");
    ms_test_cmd(core->redis, "ACL DELUSER shop");
    CHECK_INT(ms_test_num(core->redis, "EXISTS ms:{m/other}:stats"), ==, 0);
}

/* ---- the library ---- */

static TEST(test_it_says_its_version)
{
    struct ms_core *core = *state;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_library_found found;

    ms_library_version_build(&cmd);
    CHECK_INT(ms_library_version_parse(MS_OK, ms_test_run(core->redis, &cmd),
                                       &found, NULL),
              ==, MS_OK);
    CHECK_INT(found.version, ==, ms_library.version);
    CHECK_STR(found.build, ms_library.build);
}

static TEST(test_a_redis_without_it_says_so)
{
    struct ms_core *core = *state;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_library_found found;

    ms_test_cmd(core->redis, "FUNCTION FLUSH");
    ms_library_version_build(&cmd);
    CHECK_INT(ms_library_version_parse(MS_ESCRIPT,
                                       ms_test_run(core->redis, &cmd), &found,
                                       NULL),
              ==, MS_OK);
    CHECK_INT(found.version, ==, 0);
}

/* ---- rate limits ---- */

#define LIMIT F("limit:s")

static void make_limit(struct ms_core *core)
{
    ms_test_text(core->redis, "HSET %s capacity 3 refill_per_second 0.001",
                 LIMIT);
}

static TEST(test_tokens_are_taken_returned_and_drained)
{
    struct ms_core *core = *state;
    const char *got;

    make_limit(core);
    got = CALL("limit_acquire", LIMIT, "2");
    CHECK_STR(got, "{\"scope\":\"s\",\"acquired\":true,\"wait_ms\":0,"
                   "\"drained\":0}");
    got = CALL("limit_acquire", LIMIT, "2");
    CHECK_STR(member(got, "acquired"), "false");
    CHECK_INT(atoll(member(got, "wait_ms")), >, 900000);
    got = CALL("limit_acquire", LIMIT, "2", "2000000");
    CHECK_STR(member(got, "acquired"), "true");
    CHECK_INT(atoll(member(got, "wait_ms")), >, 900000);
    got = CALL("limit_return", LIMIT, "2", "0");
    CHECK_STR(member(got, "result"), "ok");
    got = CALL("limit_drain", LIMIT, "60000");
    CHECK_INT(atoll(member(got, "blocked_until_ms")), >, ms_core_now(core));
    got = CALL("limit_return", LIMIT, "2", "0");
    CHECK_STR(member(got, "result"), "stale");
    got = ms_fcall_texts(core->redis, "limit", LIMIT,
                         (const char *const[]){NULL});
    CHECK_STR(member(got, "capacity"), "3");
    CHECK_STR(member(got, "tokens"), "0");
    CHECK_STR(member(got, "acquired"), "4");
    CHECK_STR(member(got, "drained"), "1");
    /* by hand: right as a setting, and no JSON */
    ms_test_cmd(core->redis, "HSET %s refill_per_second 05.", LIMIT);
    got = ms_fcall_texts(core->redis, "limit", LIMIT,
                         (const char *const[]){NULL});
    CHECK_STR(member(got, "refill_per_second"), "5");
}

static TEST(test_what_a_limit_cannot_do_is_named)
{
    static const struct {
        const char *name, *key, *args[4], *why;
    } cases[] = {
        {"limit_acquire", LIMIT, {"4"}, "INVALID n: limit 's' holds 3 tokens"},
        {"limit_acquire", LIMIT, {"0"}, "INVALID n: '0' is not a whole"},
        {"limit_acquire", LIMIT, {"1", "x"}, "INVALID max_wait_ms: 'x'"},
        {"limit_acquire", LIMIT, {"1", "1", "1"}, "INVALID arguments"},
        {"limit_return", LIMIT, {"1"}, "INVALID drained: ''"},
        {"limit_return", LIMIT, {NULL}, "INVALID n: ''"},
        {"limit_drain", LIMIT, {"soon"}, "INVALID for_ms: 'soon'"},
        {"limit_acquire", F("limit:x"), {NULL}, "UNKNOWN limit 'x'"},
        {"limit_drain", F("limit:x"), {"1"}, "UNKNOWN limit 'x'"},
        {"limit", F("limit:x"), {NULL}, "UNKNOWN limit 'x'"},
        {"limit", F("limit:a b"), {NULL}, "INVALID key: 'a b'"},
        {"limit", CFG, {NULL}, "INVALID key: one key is wanted"},
        {"limit_acquire", NULL, {NULL}, "INVALID key: one key is wanted"},
    };
    struct ms_core *core = *state;

    make_limit(core);
    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        CHECK_CONTAINS(ms_fcall_texts(core->redis, cases[i].name, cases[i].key,
                                      cases[i].args),
                       cases[i].why);
    CHECK_INT(ms_test_num(core->redis, "HLEN %s", LIMIT), ==, 2);
    ms_test_text(core->redis, "HSET %s capacity many", LIMIT);
    CHECK_CONTAINS(CALL("limit_acquire", LIMIT, "1"),
                   "STATE limit 's': its capacity is no such number");
}

/* ---- anything at all ---- */

static const char *const names[] = {
    "enqueue", "enqueue_many",  "batch",        "cancel",
    "retry",   "run_now",       "delete",       "pause",
    "resume",  "job",           "queue",        "version",
    "limit",   "limit_acquire", "limit_return", "limit_drain"};
static const char *const words[] = {"",
                                    "k",
                                    "a",
                                    "a.1",
                                    "b",
                                    "0",
                                    "1",
                                    "2",
                                    "5",
                                    "-1",
                                    "1e3",
                                    "{}",
                                    "[1]",
                                    "nil",
                                    "\xff\xfe",
                                    "id",
                                    "group",
                                    "priority",
                                    "delay_ms",
                                    "at_ms",
                                    "expires_ms",
                                    "unique",
                                    "enc",
                                    "token",
                                    "unique_ttl_ms",
                                    "max_attempts",
                                    "timeout_ms",
                                    "json",
                                    "msgpack",
                                    "%s%d%",
                                    "9007199254740993",
                                    "expires_in_ms",
                                    "\r\n",
                                    "00000000000000000001",
                                    "4503599627370496",
                                    "1795263617637"};
static const char *const keys[] = {CFG,          CFG,
                                   CFG,          CFG,
                                   CFG,          CFG,
                                   "ms:{m}:cfg", "",
                                   "x",          "ms:{m/q}:job",
                                   NULL,         "ms:{m/q}:stats",
                                   F("limit:s"), F("limit:t")};

static size_t random_args(struct ms_bytes *args, char *noise, size_t max)
{
    size_t n = (size_t)rand() % max;

    for (size_t i = 0; i < n; i++) {
        const char *word = words[(size_t)rand() % MS_COUNT_OF(words)];

        args[i] = (struct ms_bytes){(char *)(uintptr_t)word, strlen(word)};
        if (rand() % 8 == 0) {
            for (size_t k = 0; k < 8; k++)
                noise[8 * i + k] = (char)rand();
            args[i] = (struct ms_bytes){noise + 8 * i, (size_t)rand() % 9};
        }
    }
    if (n >= 4 && rand() % 2) { /* the beginning of a good call */
        args[0] = (struct ms_bytes){(char *)"k", 1};
        args[1] = (struct ms_bytes){(char *)"{}", 2};
    }
    return n;
}

static bool is_ours(const struct ms_reply *reply)
{
    static const char *const codes[] = {"INVALID ", "UNKNOWN ", "STATE ",
                                        "FULL "};

    if (reply->type == MS_REPLY_STR)
        return reply->str[0] == '{';
    for (size_t i = 0; i < MS_COUNT_OF(codes); i++)
        if (strncmp(reply->str, codes[i], strlen(codes[i])) == 0)
            return true;
    return false;
}

/* Whatever comes in: an answer, or a refusal of ours; never an error of Lua's,
 * and never a broken queue (the fixture looks at the end). */
static TEST(test_random_arguments_never_break_a_function)
{
    struct ms_core *core = *state;
    struct ms_bytes args[16];
    char noise[sizeof(args)];

    ms_test_text(core->redis, "HSET %s capacity 9 refill_per_second 2",
                 F("limit:s"));
    srand((unsigned)ms_test_seed());
    for (int i = 0; i < 6000; i++) {
        const char *name = names[(size_t)rand() % MS_COUNT_OF(names)];
        const char *key = keys[(size_t)rand() % MS_COUNT_OF(keys)];
        size_t n = random_args(args, noise, MS_COUNT_OF(args));
        const struct ms_reply *reply =
            ms_fcall_args(core->redis, name, key, args, n);

        if (!is_ours(reply))
            fail_msg("call %d, muster_%s: %s", i, name,
                     reply->str == NULL ? "?" : reply->str);
        if (i % 500 == 0)
            ms_core_claim(core, "p1", 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FUNCTIONS(test_a_job_is_enqueued_and_can_be_claimed),
        FUNCTIONS(test_every_option_is_kept_with_the_job),
        FUNCTIONS(test_times_may_be_absolute),
        FUNCTIONS(test_a_plain_job_costs_no_more_memory_than_ours),
        FUNCTIONS(test_ids_differ),
        FUNCTIONS(test_a_unique_key_that_is_held_names_its_holder),
        FUNCTIONS(test_a_unique_key_may_replace_or_debounce),
        FUNCTIONS(test_an_id_is_taken_once),
        FUNCTIONS(test_a_call_with_a_token_can_be_repeated),
        FUNCTIONS(test_a_token_of_another_call_is_refused),
        FUNCTIONS(test_a_call_without_a_token_leaves_none),
        FUNCTIONS(test_the_first_job_makes_its_queue_known),
        FUNCTIONS(test_many_jobs_travel_in_one_call),
        FUNCTIONS(test_a_batch_ends_with_its_last_child),
        FUNCTIONS(test_a_batch_of_several_calls_each_of_which_may_be_repeated),
        FUNCTIONS(test_bad_batches_are_refused),
        FUNCTIONS(test_bad_input_is_named_and_nothing_is_stored),
        FUNCTIONS(test_a_key_that_names_no_queue_is_refused),
        FUNCTIONS(test_one_bad_job_of_many_is_named_by_its_place),
        FUNCTIONS(test_a_payload_over_max_payload_is_refused),
        FUNCTIONS(test_a_call_of_too_many_bytes_is_refused),
        FUNCTIONS(test_a_full_queue_refuses),
        FUNCTIONS(test_a_full_redis_refuses_jobs_and_lets_the_rest_pass),
        FUNCTIONS(test_an_enqueue_costs_the_same_at_any_backlog),
        FUNCTIONS(test_a_job_goes_through_its_life_by_functions),
        FUNCTIONS(test_a_cancel_tells_the_pod_at_once),
        FUNCTIONS(test_a_cancel_of_a_parent_tells_all_pods),
        FUNCTIONS(test_a_cancel_of_a_pod_that_is_gone_leaves_no_inbox),
        FUNCTIONS(test_a_chunk_is_left_to_its_parent),
        FUNCTIONS(test_a_job_is_shown_as_musterctl_shows_it),
        FUNCTIONS(test_a_queue_is_paused_shown_and_resumed),
        FUNCTIONS(test_readers_may_run_where_nothing_may_be_written),
        FUNCTIONS(test_a_producer_with_few_rights),
        FUNCTIONS(test_it_says_its_version),
        FUNCTIONS(test_a_redis_without_it_says_so),
        FUNCTIONS(test_tokens_are_taken_returned_and_drained),
        FUNCTIONS(test_what_a_limit_cannot_do_is_named),
        FUNCTIONS(test_random_arguments_never_break_a_function),
    };

    return RUN_CORE(tests);
}

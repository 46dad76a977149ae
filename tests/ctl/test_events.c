/* Many streams of events read as one: pages backwards, a tail forwards. */
#include "ctl/events.h"
#include "ctl/tail.h"
#include "tests/ctl/client_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define EVENTS(queue) "ms:{m/" queue "}:events"

struct fix {
    struct ms_core *core;
    struct ms_conf conf;
    struct ms_client *client;
    struct ms_buf told; /* the ids of events, each with a space behind it */
    struct ms_error error;
};

static void fix_open(struct fix *fix, void **state)
{
    *fix = (struct fix){.core = *state};
    ms_test_text(fix->core->redis, "FLUSHALL");
    ms_test_text(fix->core->redis, "SADD " F("queues") " a b");
    fix->conf = client_conf(fix->core);
    fix->client = client_open(&fix->conf);
}

static void fix_close(struct fix *fix)
{
    ms_client_close(fix->client);
    ms_buf_done(&fix->told);
    ms_test_text(fix->core->redis, "FLUSHALL");
}

static void event_add(struct fix *fix, const char *key, const char *stream_id,
                      const char *type, const char *id)
{
    const char *text =
        ms_test_text(fix->core->redis, "XADD %s %s at_ms 5 type %s id %s", key,
                     stream_id, type, id);

    CHECK(strcmp(stream_id, "*") == 0 || strcmp(text, stream_id) == 0);
}

static void on_event(const struct ms_event_row *row, void *arg)
{
    struct fix *fix = arg;

    ms_buf_addf(&fix->told, "%s ",
                ms_reply_str(ms_reply_field(row->fields, "id"), "?"));
}

/* The ids of one page; *next is replaced by where the list goes on. */
static const char *page(struct fix *fix, const char *queue, const char *type,
                        int64_t limit, char **next)
{
    struct ms_events_ask ask = {queue, type, *next, limit};
    char *then = NULL;
    enum ms_err err;

    ms_buf_clear(&fix->told);
    err = ms_events_page(fix->client, &ask, on_event, fix, &then, &fix->error);
    if (err != MS_OK)
        print_error("%s\n", fix->error.text);
    CHECK_INT(err, ==, MS_OK);
    free(*next);
    *next = then;
    return ms_buf_str(&fix->told);
}

static TEST(test_an_id_is_read_exactly_or_not_at_all)
{
    static const char *const bad[] = {"",     "-",   "5",    "5-",  "-5",
                                      "5-6 ", "5-x", "+5-1", "5--1"};
    struct ms_stream_id id = {1, 2};
    char text[MS_STREAM_ID_MAX];

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++)
        CHECK(!ms_stream_id_parse(bad[i], strlen(bad[i]), &id));
    CHECK(!ms_stream_id_parse("18446744073709551616-0", 22, &id));
    CHECK_INT(id.ms, ==, 1);
    CHECK(ms_stream_id_parse("18446744073709551615-7", 22, &id));
    CHECK_STR(ms_stream_id_format(id, text), "18446744073709551615-7");
    CHECK(ms_stream_id_parse("12-34567", 4, &id)); /* no further than `len` */
    CHECK_STR(ms_stream_id_format(id, text), "12-3");
}

static TEST(test_ids_are_ordered_as_numbers)
{
    struct ms_stream_id a = {9, 9}, b = {10, 0}, c = {10, 1};

    CHECK_INT(ms_stream_id_compare(a, b), <, 0);
    CHECK_INT(ms_stream_id_compare(c, b), >, 0);
    CHECK_INT(ms_stream_id_compare(c, c), ==, 0);
}

/* Scripts write what they know of; the document has all names all the same. */
static TEST(test_a_document_has_every_field)
{
    static const char want[] =
        "{\"at_ms\":7,\"type\":null,\"queue\":null,\"id\":\"x\",\"kind\":null,"
        "\"pod\":null,\"actor\":null,\"detail\":\"a\\\"b\"}";
    const struct ms_reply fields[] = {
        {.type = MS_REPLY_STR, .str = "id", .len = 2},
        {.type = MS_REPLY_STR, .str = "x", .len = 1},
        {.type = MS_REPLY_STR, .str = "kind", .len = 4},
        {.type = MS_REPLY_STR, .str = "", .len = 0},
        {.type = MS_REPLY_STR, .str = "detail", .len = 6},
        {.type = MS_REPLY_STR, .str = "a\"b", .len = 3}};
    const struct ms_reply pairs = {.type = MS_REPLY_ARRAY,
                                   .items = fields,
                                   .n_items = 6};
    struct ms_event_row row = {{7, 0}, "", &pairs};
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_event_to_json(&row, &json);
    CHECK_STR(ms_buf_str(&out), want);
    ms_buf_done(&out);
}

static TEST(test_streams_are_merged_newest_first)
{
    struct fix fix;
    char *next = NULL;

    fix_open(&fix, state);
    CHECK_STR(page(&fix, NULL, NULL, 10, &next), "");
    CHECK(next == NULL);
    event_add(&fix, EVENTS("a"), "1-0", "dead", "a1");
    event_add(&fix, EVENTS("b"), "2-0", "dead", "b2");
    event_add(&fix, F("events"), "3-0", "leader", "f3");
    event_add(&fix, EVENTS("a"), "4-0", "dead", "a4");
    CHECK_STR(page(&fix, NULL, NULL, 10, &next), "a4 f3 b2 a1 ");
    CHECK(next == NULL);
    CHECK_STR(page(&fix, "a", NULL, 10, &next), "a4 a1 ");
    CHECK_STR(page(&fix, "nobody", NULL, 10, &next), "");
    CHECK(next == NULL);
    fix_close(&fix);
}

/* Streams are written side by side, so ids repeat among them. */
static TEST(test_pages_split_equal_ids_and_miss_nothing)
{
    struct fix fix;
    char *next = NULL;

    fix_open(&fix, state);
    event_add(&fix, F("events"), "5-1", "x", "f");
    event_add(&fix, EVENTS("a"), "5-1", "x", "a");
    event_add(&fix, EVENTS("b"), "5-1", "x", "b");
    event_add(&fix, EVENTS("b"), "5-2", "x", "b2");
    CHECK_STR(page(&fix, NULL, NULL, 1, &next), "b2 ");
    CHECK_STR(page(&fix, NULL, NULL, 1, &next), "b ");
    event_add(&fix, EVENTS("a"), "6-0", "x", "late"); /* moves no page */
    CHECK_STR(page(&fix, NULL, NULL, 1, &next), "a ");
    CHECK_STR(next, "5-1@a");
    CHECK_STR(page(&fix, NULL, NULL, 1, &next), "f ");
    CHECK(next == NULL);
    fix_close(&fix);
}

static TEST(test_a_type_is_looked_for_across_pages)
{
    struct fix fix;
    char *next = NULL;

    fix_open(&fix, state);
    event_add(&fix, EVENTS("a"), "1-0", "dead", "old");
    for (int i = 0; i < 15; i++)
        event_add(&fix, EVENTS("b"), "*", "done", "d");
    CHECK_STR(page(&fix, NULL, "dead", 1, &next), "old ");
    CHECK(next == NULL);
    for (int i = 0; i < 15; i++)
        event_add(&fix, EVENTS("b"), "*", "done", "d");
    CHECK_STR(page(&fix, NULL, "dead", 1, &next), ""); /* 20 looked at */
    CHECK(next != NULL);
    CHECK_STR(page(&fix, NULL, "dead", 1, &next), "old ");
    CHECK(next == NULL);
    fix_close(&fix);
}

static TEST(test_what_is_no_cursor_is_refused)
{
    static const char *const bad[] = {"",      "5",   "5-1",    "@a",
                                      "5-1@ ", "x@a", "5-1@a/b"};
    struct fix fix;
    char *next = NULL;

    fix_open(&fix, state);
    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        struct ms_events_ask ask = {NULL, NULL, bad[i], 5};

        CHECK_INT(ms_events_page(fix.client, &ask, on_event, &fix, &next,
                                 &fix.error),
                  ==, MS_EINVAL);
        CHECK_CONTAINS(fix.error.text, "no cursor");
    }
    fix_close(&fix);
}

/* ---- the tail ---- */

static const char *round_of(struct fix *fix, struct ms_tail *tail)
{
    ms_buf_clear(&fix->told);
    CHECK_INT(ms_tail_read(tail, 1, on_event, fix, &fix->error), ==, MS_OK);
    return ms_buf_str(&fix->told);
}

static TEST(test_a_tail_tells_only_what_is_new_and_once)
{
    struct fix fix;
    struct ms_tail *tail = NULL;

    fix_open(&fix, state);
    event_add(&fix, EVENTS("a"), "1-0", "x", "past");
    CHECK_INT(ms_tail_new(fix.client, NULL, &tail, &fix.error), ==, MS_OK);
    CHECK_STR(round_of(&fix, tail), "");
    event_add(&fix, EVENTS("b"), "3-0", "x", "b3");
    event_add(&fix, EVENTS("a"), "2-0", "x", "a2");
    event_add(&fix, F("events"), "4-0", "x", "f4");
    CHECK_STR(round_of(&fix, tail), "a2 b3 f4 ");
    CHECK_STR(round_of(&fix, tail), "");
    ms_tail_free(tail);
    fix_close(&fix);
}

static TEST(test_a_tail_of_one_queue_hears_no_other)
{
    struct fix fix;
    struct ms_tail *tail = NULL;

    fix_open(&fix, state);
    CHECK_INT(ms_tail_new(fix.client, "a", &tail, &fix.error), ==, MS_OK);
    event_add(&fix, EVENTS("b"), "3-0", "x", "b3");
    event_add(&fix, F("events"), "3-0", "x", "f3");
    event_add(&fix, EVENTS("a"), "4-0", "x", "a4");
    CHECK_STR(round_of(&fix, tail), "a4 ");
    ms_tail_free(tail);
    fix_close(&fix);
}

/* Its events were written before the tail knew of it. */
static TEST(test_a_new_queue_is_told_from_its_first_event)
{
    struct fix fix;
    struct ms_tail *tail = NULL;

    fix_open(&fix, state);
    CHECK_INT(ms_tail_new(fix.client, NULL, &tail, &fix.error), ==, MS_OK);
    event_add(&fix, EVENTS("new"), "1-0", "x", "first");
    event_add(&fix, EVENTS("new"), "2-0", "x", "second");
    ms_test_text(fix.core->redis, "SADD " F("queues") " new");
    WAIT_FOR(20000, strcmp(round_of(&fix, tail), "first second ") == 0);
    CHECK_STR(round_of(&fix, tail), "");
    ms_tail_free(tail);
    fix_close(&fix);
}

/* A flood in one queue must not push its own events, or another's, out. */
static TEST(test_a_flood_comes_whole_and_in_its_order)
{
    struct fix fix;
    struct ms_tail *tail = NULL;
    char id[32], want[32];
    size_t n = 0;

    fix_open(&fix, state);
    CHECK_INT(ms_tail_new(fix.client, NULL, &tail, &fix.error), ==, MS_OK);
    for (int i = 1; i <= 1200; i++) {
        snprintf(id, sizeof(id), "%d-0", i);
        event_add(&fix, EVENTS("a"), id, "x", id);
    }
    event_add(&fix, EVENTS("b"), "700-5", "x", "between");
    for (int round = 0; round < 4; round++) {
        char *text = ms_xstrdup(round_of(&fix, tail)), *rest = NULL;

        for (char *word = strtok_r(text, " ", &rest); word != NULL;
             word = strtok_r(NULL, " ", &rest)) {
            n++;
            snprintf(want, sizeof(want), "%d-0", (int)(n <= 700 ? n : n - 1));
            CHECK_STR(word, n == 701 ? "between" : want);
        }
        free(text);
    }
    CHECK_INT(n, ==, 1201);
    ms_tail_free(tail);
    fix_close(&fix);
}

static TEST(test_a_tail_goes_on_after_a_lost_connection)
{
    struct fix fix;
    struct ms_tail *tail = NULL;

    fix_open(&fix, state);
    CHECK_INT(ms_tail_new(fix.client, NULL, &tail, &fix.error), ==, MS_OK);
    event_add(&fix, EVENTS("a"), "1-0", "x", "one");
    CHECK_STR(round_of(&fix, tail), "one ");
    ms_test_text(fix.core->redis, "CLIENT KILL TYPE normal SKIPME yes");
    event_add(&fix, EVENTS("a"), "2-0", "x", "two");
    ms_buf_clear(&fix.told);
    WAIT_FOR(20000, ms_tail_read(tail, 1, on_event, &fix, &fix.error) == MS_OK);
    CHECK_STR(ms_buf_str(&fix.told), "two ");
    ms_tail_free(tail);
    fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_an_id_is_read_exactly_or_not_at_all),
        CORE(test_ids_are_ordered_as_numbers),
        CORE(test_a_document_has_every_field),
        CORE(test_streams_are_merged_newest_first),
        CORE(test_pages_split_equal_ids_and_miss_nothing),
        CORE(test_a_type_is_looked_for_across_pages),
        CORE(test_what_is_no_cursor_is_refused),
        CORE(test_a_tail_tells_only_what_is_new_and_once),
        CORE(test_a_tail_of_one_queue_hears_no_other),
        CORE(test_a_new_queue_is_told_from_its_first_event),
        CORE(test_a_flood_comes_whole_and_in_its_order),
        CORE(test_a_tail_goes_on_after_a_lost_connection),
    };

    return RUN_CORE(tests);
}

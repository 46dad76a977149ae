/* What follows from an import's facts. */
#include "ctl/dump.h"
#include "tests/support/support.h"

/* An import that began ten seconds ago and is a quarter through. */
static struct ms_dump_facts facts_running(void)
{
    return (struct ms_dump_facts){
        .state = "waiting",
        .size = 4000,
        .started_ms = 1000000,
        .now_ms = 1010000,
        .moved_ms = 1009000,
        .tally = {.planned = 4, .running = 1, .docs = 50, .bytes = 1000},
    };
}

static TEST(test_the_rate_counts_documents_since_the_start)
{
    struct ms_dump_facts facts = facts_running();

    CHECK_INT(ms_dump_rate(&facts) * 100, ==, 500);
    facts.now_ms = facts.started_ms;
    CHECK(ms_dump_rate(&facts) < 0);
    facts.started_ms = 0;
    CHECK(ms_dump_rate(&facts) < 0);
}

static TEST(test_an_ended_import_keeps_the_rate_it_had)
{
    struct ms_dump_facts facts = facts_running();

    facts.state = "done";
    facts.ended_ms = facts.started_ms + 5000;
    CHECK_INT(ms_dump_rate(&facts) * 100, ==, 1000);
    facts.now_ms += 1000000;
    CHECK_INT(ms_dump_rate(&facts) * 100, ==, 1000);
}

static TEST(test_the_eta_follows_from_bytes)
{
    struct ms_dump_facts facts = facts_running();

    CHECK_INT(ms_dump_eta_ms(&facts), ==, 30000);
    facts.tally.bytes = 4000;
    CHECK_INT(ms_dump_eta_ms(&facts), ==, 0);
    facts.tally.bytes = 4100; /* a chunk was begun anew */
    CHECK_INT(ms_dump_eta_ms(&facts), ==, 0);
}

static TEST(test_no_eta_is_guessed)
{
    struct ms_dump_facts facts = facts_running();

    facts.tally.bytes = 0;
    CHECK_INT(ms_dump_eta_ms(&facts), ==, -1);
    facts = facts_running();
    facts.size = -1;
    CHECK_INT(ms_dump_eta_ms(&facts), ==, -1);
    facts.state = "dead";
    CHECK_INT(ms_dump_eta_ms(&facts), ==, 0);
}

static TEST(test_a_minute_without_a_byte_is_stalled)
{
    struct ms_dump_facts facts = facts_running();

    CHECK(!ms_dump_is_stalled(&facts));
    facts.now_ms = facts.moved_ms + MS_DUMP_STALLED_MS;
    CHECK(!ms_dump_is_stalled(&facts));
    facts.now_ms++;
    CHECK(ms_dump_is_stalled(&facts));
    facts.state = "done";
    CHECK(!ms_dump_is_stalled(&facts));
}

/* Before the first byte the start counts: an import that nobody plans. */
static TEST(test_one_that_never_began_is_stalled_too)
{
    struct ms_dump_facts facts = facts_running();

    facts.moved_ms = 0;
    facts.now_ms = facts.started_ms + MS_DUMP_STALLED_MS + 1;
    CHECK(ms_dump_is_stalled(&facts));
    /* A retry starts anew, whenever its cursors moved before. */
    facts.moved_ms = facts.started_ms - 1000000;
    facts.now_ms = facts.started_ms + 1000;
    CHECK(!ms_dump_is_stalled(&facts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_the_rate_counts_documents_since_the_start),
        RUN(test_an_ended_import_keeps_the_rate_it_had),
        RUN(test_the_eta_follows_from_bytes),
        RUN(test_no_eta_is_guessed),
        RUN(test_a_minute_without_a_byte_is_stalled),
        RUN(test_one_that_never_began_is_stalled_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

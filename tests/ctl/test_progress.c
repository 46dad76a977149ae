#include "ctl/progress.h"
#include "tests/support/support.h"

#define MIB (1024 * 1024)

static void add(struct ms_progress *progress, int64_t at_ms, int64_t mib,
                int64_t docs)
{
    struct ms_progress_sample sample = {.at_ms = at_ms,
                                        .bytes = mib * MIB,
                                        .docs = docs,
                                        .size = 100 * (int64_t)MIB,
                                        .chunks_done = 1,
                                        .chunks_planned = 4,
                                        .chunks_running = 2,
                                        .pods = 3};

    ms_progress_add(progress, &sample);
}

static TEST(test_one_look_gives_no_rate)
{
    struct ms_progress progress = {0};

    add(&progress, 1000, 10, 100);
    CHECK(ms_progress_bytes_rate(&progress) < 0);
    CHECK(ms_progress_docs_rate(&progress) < 0);
    CHECK_INT(ms_progress_eta_s(&progress), ==, -1);
}

static TEST(test_rate_and_eta_follow_from_two_looks)
{
    struct ms_progress progress = {0};

    add(&progress, 1000, 10, 100);
    add(&progress, 3000, 30, 500);
    CHECK_INT(ms_progress_bytes_rate(&progress), ==, 10 * MIB);
    CHECK_INT(ms_progress_docs_rate(&progress), ==, 200);
    CHECK_INT(ms_progress_eta_s(&progress), ==, 8); /* 70 MiB at 10, up */
}

/* A source that has stopped must not look as if it still moved. */
static TEST(test_the_rate_forgets_what_is_longer_ago_than_the_window)
{
    struct ms_progress progress = {0};

    add(&progress, 0, 0, 0);
    add(&progress, 1000, 50, 5000);
    for (int i = 2; i <= 20; i++)
        add(&progress, i * 1000, 50, 5000);
    CHECK_INT(ms_progress_bytes_rate(&progress), ==, 0);
    CHECK_INT(ms_progress_eta_s(&progress), ==, -1);
}

static TEST(test_more_looks_than_the_ring_holds_keep_the_newest)
{
    struct ms_progress progress = {0};

    for (int i = 0; i <= 3 * MS_PROGRESS_SAMPLES; i++)
        add(&progress, i * 500, i, i * 10);
    CHECK_INT(ms_progress_bytes_rate(&progress), ==, 2 * MIB);
    CHECK_INT(progress.n, ==, MS_PROGRESS_SAMPLES);
}

/* Fast polling at the start must not push older samples out of the ring. */
static TEST(test_looks_close_together_share_a_sample)
{
    struct ms_progress progress = {0};

    add(&progress, 0, 0, 0);
    for (int i = 1; i <= 100; i++)
        add(&progress, i * 10, i, i);
    CHECK_INT(progress.n, <, 10);
    CHECK_INT(ms_progress_bytes_rate(&progress), ==, 100 * MIB);
}

static TEST(test_the_bar_fills_and_tells)
{
    struct ms_progress progress = {0};
    struct ms_buf out = MS_BUF_INIT;

    add(&progress, 1000, 10, 100);
    add(&progress, 3000, 50, 1200000);
    ms_progress_bar(&progress, 200, &out);
    CHECK_CONTAINS(ms_buf_str(&out), "[====================>");
    CHECK_CONTAINS(ms_buf_str(&out), " 50%  50.0 MiB/100.0 MiB  1.2M docs");
    CHECK_CONTAINS(ms_buf_str(&out), "20.0 MiB/s");
    CHECK_CONTAINS(ms_buf_str(&out), "ETA 3s");
    CHECK_CONTAINS(ms_buf_str(&out), "3 pods");
    CHECK(strstr(ms_buf_str(&out), "rejected") == NULL);
    ms_buf_done(&out);
}

static TEST(test_the_bar_never_exceeds_the_terminal)
{
    struct ms_progress progress = {0};
    struct ms_buf out = MS_BUF_INIT;

    add(&progress, 1000, 10, 100);
    add(&progress, 3000, 50, 1200000);
    for (int width = 0; width < 140; width++) {
        ms_buf_clear(&out);
        ms_progress_bar(&progress, width, &out);
        CHECK_INT(out.len, <=, width);
    }
    ms_buf_done(&out);
}

static TEST(test_an_unknown_size_shows_what_is_known)
{
    struct ms_progress progress = {0};
    struct ms_progress_sample sample = {.at_ms = 5, .size = -1};
    struct ms_buf out = MS_BUF_INIT;

    ms_progress_add(&progress, &sample);
    ms_progress_bar(&progress, 100, &out);
    CHECK_CONTAINS(ms_buf_str(&out), "  0%  0 B  0 docs  0 pods");
    ms_buf_clear(&out);
    ms_progress_plain(&progress, &out);
    CHECK_STR(ms_buf_str(&out),
              "bytes=0 docs=0 rejected=0 chunks=0/0 running=0 pods=0");
    ms_buf_done(&out);
}

static TEST(test_an_empty_source_is_complete)
{
    struct ms_progress progress = {0};
    struct ms_progress_sample sample = {.at_ms = 5, .size = 0};
    struct ms_buf out = MS_BUF_INIT;

    ms_progress_add(&progress, &sample);
    ms_progress_bar(&progress, 100, &out);
    CHECK_CONTAINS(ms_buf_str(&out), "100%");
    CHECK_INT(ms_progress_eta_s(&progress), ==, 0);
    ms_buf_done(&out);
}

static TEST(test_a_plain_line_is_for_logs)
{
    struct ms_progress progress = {0};
    struct ms_buf out = MS_BUF_INIT;

    add(&progress, 1000, 0, 0);
    add(&progress, 2000, 1, 50);
    ms_progress_plain(&progress, &out);
    CHECK_STR(ms_buf_str(&out),
              "bytes=1048576 size=104857600 docs=50 rejected=0 chunks=1/4 "
              "running=2 bytes_per_s=1048576 docs_per_s=50 eta_s=100 pods=3");
    ms_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_one_look_gives_no_rate),
        RUN(test_rate_and_eta_follow_from_two_looks),
        RUN(test_the_rate_forgets_what_is_longer_ago_than_the_window),
        RUN(test_more_looks_than_the_ring_holds_keep_the_newest),
        RUN(test_looks_close_together_share_a_sample),
        RUN(test_the_bar_fills_and_tells),
        RUN(test_the_bar_never_exceeds_the_terminal),
        RUN(test_an_unknown_size_shows_what_is_known),
        RUN(test_an_empty_source_is_complete),
        RUN(test_a_plain_line_is_for_logs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

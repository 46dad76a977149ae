#include "ctl/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"

#define SAMPLE_GAP_MS 300
#define BAR_MIN       10
#define BAR_MAX       40

static const struct ms_progress_sample *
sample_newest(const struct ms_progress *progress)
{
    return &progress->samples[progress->newest];
}

void ms_progress_add(struct ms_progress *progress,
                     const struct ms_progress_sample *sample)
{
    int before =
        (progress->newest + MS_PROGRESS_SAMPLES - 1) % MS_PROGRESS_SAMPLES;

    /* Replace the newest while it is close behind the one before it. */
    if (progress->n > 1 &&
        sample_newest(progress)->at_ms - progress->samples[before].at_ms <
            SAMPLE_GAP_MS) {
        progress->samples[progress->newest] = *sample;
        return;
    }
    if (progress->n > 0)
        progress->newest = (progress->newest + 1) % MS_PROGRESS_SAMPLES;
    if (progress->n < MS_PROGRESS_SAMPLES)
        progress->n++;
    progress->samples[progress->newest] = *sample;
}

/* The oldest sample within the window. */
static const struct ms_progress_sample *
sample_base(const struct ms_progress *progress)
{
    const struct ms_progress_sample *newest = sample_newest(progress);
    const struct ms_progress_sample *base = newest;

    for (int i = 1; i < progress->n; i++) {
        int at =
            (progress->newest + MS_PROGRESS_SAMPLES - i) % MS_PROGRESS_SAMPLES;

        if (newest->at_ms - progress->samples[at].at_ms > MS_PROGRESS_WINDOW_MS)
            break;
        base = &progress->samples[at];
    }
    return base;
}

static double rate_of(const struct ms_progress *progress, int64_t newest,
                      int64_t base)
{
    int64_t ms = sample_newest(progress)->at_ms - sample_base(progress)->at_ms;

    return ms <= 0 ? -1 : (double)(newest - base) * 1000.0 / (double)ms;
}

double ms_progress_bytes_rate(const struct ms_progress *progress)
{
    return rate_of(progress, sample_newest(progress)->bytes,
                   sample_base(progress)->bytes);
}

double ms_progress_docs_rate(const struct ms_progress *progress)
{
    return rate_of(progress, sample_newest(progress)->docs,
                   sample_base(progress)->docs);
}

int64_t ms_progress_eta_s(const struct ms_progress *progress)
{
    const struct ms_progress_sample *now = sample_newest(progress);
    double rate = ms_progress_bytes_rate(progress);

    if (now->size >= 0 && now->bytes >= now->size)
        return 0;
    if (now->size < 0 || rate <= 0)
        return -1;
    return (int64_t)((double)(now->size - now->bytes) / rate) + 1;
}

/* ---- drawing ---- */

/* 1234567 -> "1.2M", below 10,000 as it is. */
static const char *count_format(double count, char *out, size_t size)
{
    static const char units[] = " kMGT";
    int unit = 0;

    if (count < 10000) {
        snprintf(out, size, "%.0f", count);
        return out;
    }
    for (; count >= 1000 && units[unit + 1] != '\0'; unit++)
        count /= 1000;
    snprintf(out, size, "%.1f%c", count, units[unit]);
    return out;
}

static double part_done(const struct ms_progress_sample *now)
{
    double part;

    if (now->size <= 0)
        return now->size == 0 ? 1 : 0;
    part = (double)now->bytes / (double)now->size;
    return part > 1 ? 1 : part;
}

/* What stands behind the bar. */
static void facts_add(const struct ms_progress *progress, struct ms_buf *out)
{
    const struct ms_progress_sample *now = sample_newest(progress);
    double rate = ms_progress_bytes_rate(progress);
    int64_t eta = ms_progress_eta_s(progress);
    char a[32], b[32];

    ms_buf_addf(out, "%3d%%  %s", (int)(part_done(now) * 100),
                ms_size_format(now->bytes, a, sizeof(a)));
    if (now->size >= 0)
        ms_buf_addf(out, "/%s", ms_size_format(now->size, b, sizeof(b)));
    ms_buf_addf(out, "  %s docs",
                count_format((double)now->docs, a, sizeof(a)));
    if (now->rejected > 0)
        ms_buf_addf(out, "  %" PRId64 " rejected", now->rejected);
    if (rate >= 0)
        ms_buf_addf(out, "  %s/s  %s docs/s",
                    ms_size_format((int64_t)rate, a, sizeof(a)),
                    count_format(ms_progress_docs_rate(progress), b,
                                 sizeof(b)));
    if (eta >= 0)
        ms_buf_addf(out, "  ETA %s",
                    ms_duration_format(eta * 1000, a, sizeof(a)));
    ms_buf_addf(out, "  %" PRId64 " pod%s", now->pods,
                now->pods == 1 ? "" : "s");
}

static void bar_add(double part, int width, struct ms_buf *out)
{
    int filled = (int)(part * width);

    ms_buf_addc(out, '[');
    for (int i = 0; i < width; i++)
        ms_buf_addc(out, i < filled                ? '='
                         : i == filled && part > 0 ? '>'
                                                   : ' ');
    ms_buf_adds(out, "] ");
}

void ms_progress_bar(const struct ms_progress *progress, int width,
                     struct ms_buf *out)
{
    struct ms_buf facts = MS_BUF_INIT;
    int room;

    facts_add(progress, &facts);
    room = width - (int)facts.len - 3;
    if (room > BAR_MAX)
        room = BAR_MAX;
    if (room >= BAR_MIN)
        bar_add(part_done(sample_newest(progress)), room, out);
    ms_buf_add(out, facts.data,
               (int)facts.len > width ? (size_t)width : facts.len);
    ms_buf_done(&facts);
}

void ms_progress_plain(const struct ms_progress *progress, struct ms_buf *out)
{
    const struct ms_progress_sample *now = sample_newest(progress);
    double rate = ms_progress_bytes_rate(progress);
    int64_t eta = ms_progress_eta_s(progress);

    ms_buf_addf(out, "bytes=%" PRId64, now->bytes);
    if (now->size >= 0)
        ms_buf_addf(out, " size=%" PRId64, now->size);
    ms_buf_addf(out, " docs=%" PRId64 " rejected=%" PRId64, now->docs,
                now->rejected);
    ms_buf_addf(out, " chunks=%" PRId64 "/%" PRId64 " running=%" PRId64,
                now->chunks_done, now->chunks_planned, now->chunks_running);
    if (rate >= 0)
        ms_buf_addf(out, " bytes_per_s=%.0f docs_per_s=%.0f", rate,
                    ms_progress_docs_rate(progress));
    if (eta >= 0)
        ms_buf_addf(out, " eta_s=%" PRId64, eta);
    ms_buf_addf(out, " pods=%" PRId64, now->pods);
}

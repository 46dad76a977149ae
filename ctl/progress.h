/*
 * progress: how an import moves, drawn while it is waited for.
 *
 * Pure: samples in, one line of text out.  The rate is that of the last ten
 * seconds, so that a source that slows down shows at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define MS_PROGRESS_SAMPLES   32
#define MS_PROGRESS_WINDOW_MS 10000

struct ms_progress_sample {
    int64_t at_ms;
    int64_t bytes, docs, rejected;
    int64_t size; /* -1: not known yet */
    int64_t chunks_done, chunks_planned, chunks_running;
    int64_t pods; /* live ones of the queue */
};

/* A zeroed struct has seen nothing. */
struct ms_progress {
    struct ms_progress_sample samples[MS_PROGRESS_SAMPLES]; /* a ring */
    int n, newest;
};

/* Samples come in the order of their times; one that follows within 300 ms
 * replaces the one before. */
void ms_progress_add(struct ms_progress *progress,
                     const struct ms_progress_sample *sample);

/* Per second in the window; -1: too little is known. */
double ms_progress_bytes_rate(const struct ms_progress *progress);
double ms_progress_docs_rate(const struct ms_progress *progress);

/* Seconds left at that rate; -1: not to be told. */
int64_t ms_progress_eta_s(const struct ms_progress *progress);

/* Appends "[=====>    ]  52%  3.1 GiB/6.0 GiB  1.2M docs  ..." without a line
 * end, at most `width` columns (the bar takes what is left; below 40 columns
 * there is none), or, for logs, "bytes=... docs=..." as one plain line. */
void ms_progress_bar(const struct ms_progress *progress, int width,
                     struct ms_buf *out);
void ms_progress_plain(const struct ms_progress *progress, struct ms_buf *out);

#include "worker/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/histogram.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/observe.h"

#define INTERVAL_S 1.0
#define N_OUTCOMES (MS_RELEASED + 1)

static const char *const outcome_names[N_OUTCOMES] = {
    [MS_DONE] = "done",           [MS_FAILED] = "failed",
    [MS_DEAD] = "dead",           [MS_THROTTLED] = "throttled",
    [MS_CANCELLED] = "cancelled", [MS_RELEASED] = "released",
};

struct note {
    const char *type;
    char *id, *kind, *detail;
    int64_t at_us;
};

/* What is told together. */
struct page {
    struct note notes[MS_REPORT_PLAIN_MAX + MS_REPORT_TROUBLE_MAX];
    size_t n_notes, n_plain;
    int64_t started, ended[N_OUTCOMES];
    int64_t unnoted_started, unnoted[N_OUTCOMES]; /* beyond the notes */
    struct ms_histogram waited, ran;              /* microseconds */
};

struct ms_report {
    struct ev_loop *loop;
    struct ms_redis *redis;
    struct ms_tenant who;
    void (*changed)(void *arg);
    void *arg;
    struct page *open;    /* collects; NULL: nothing yet */
    struct page *sending; /* under way, or to be sent again as it is */
    int64_t number;       /* of the call for `sending` */
    struct ms_request *request;
    ev_timer timer;
};

static void page_free(struct page *page)
{
    if (page == NULL)
        return;
    for (size_t i = 0; i < page->n_notes; i++) {
        free(page->notes[i].id);
        free(page->notes[i].kind);
        free(page->notes[i].detail);
    }
    free(page);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    ms_report_flush(timer->data);
}

struct ms_report *ms_report_new(struct ev_loop *loop, struct ms_redis *redis,
                                const struct ms_tenant *who,
                                void (*changed)(void *arg), void *arg)
{
    struct ms_report *report = ms_xcalloc(1, sizeof(*report));

    report->loop = loop;
    report->redis = redis;
    report->who = *who;
    report->changed = changed;
    report->arg = arg;
    ev_timer_init(&report->timer, on_timer, INTERVAL_S, 0.);
    report->timer.data = report;
    return report;
}

void ms_report_free(struct ms_report *report)
{
    if (report == NULL)
        return;
    ev_timer_stop(report->loop, &report->timer);
    if (report->request != NULL)
        ms_redis_cancel(report->request);
    page_free(report->open);
    page_free(report->sending);
    free(report);
}

/* ---- collecting ---- */

static void wait_a_second(struct ms_report *report)
{
    if (ev_is_active(&report->timer))
        return;
    ev_timer_set(&report->timer, INTERVAL_S, 0.);
    ev_timer_start(report->loop, &report->timer);
}

static struct page *page_of(struct ms_report *report)
{
    if (report->open == NULL)
        report->open = ms_xcalloc(1, sizeof(*report->open));
    wait_a_second(report);
    return report->open;
}

/* Is there room for one more event of its sort? */
static bool has_room(const struct page *page, bool plain)
{
    size_t n = plain ? page->n_plain : page->n_notes - page->n_plain;

    return n < (size_t)(plain ? MS_REPORT_PLAIN_MAX : MS_REPORT_TROUBLE_MAX);
}

/* False where the page is full of its sort. */
static bool note(struct page *page, bool plain, const char *type,
                 const struct ms_held *held, const char *detail)
{
    if (!has_room(page, plain))
        return false;
    page->notes[page->n_notes++] = (struct note){
        .type = type,
        .id = ms_xstrdup(held->id),
        .kind = ms_xstrdup(held->kind == NULL ? "" : held->kind),
        .detail = ms_xstrdup(detail),
        .at_us = ms_clock_mono_us(),
    };
    page->n_plain += plain;
    return true;
}

void ms_report_started(struct ms_report *report, const struct ms_held *held)
{
    struct page *page = page_of(report);
    char detail[32];

    page->started++;
    ms_histogram_add(&page->waited, held->waited_ms * 1000 + held->started_us -
                                        held->claimed_us);
    snprintf(detail, sizeof(detail), "attempt %lld", (long long)held->attempt);
    if (!note(page, true, "started", held, detail))
        page->unnoted_started++;
}

void ms_report_ended(struct ms_report *report, const struct ms_held *held)
{
    struct page *page = page_of(report);
    enum ms_outcome outcome = held->ending.outcome;

    page->ended[outcome]++;
    if (held->ended_us > 0)
        ms_histogram_add(&page->ran, held->ended_us - held->started_us);
    if (outcome == MS_DEAD || outcome == MS_CANCELLED)
        return; /* the script that made it dead has told */
    if (!note(page, outcome == MS_DONE, outcome_names[outcome], held,
              outcome == MS_DONE ? "" : held->ending.error))
        page->unnoted[outcome]++;
}

/* ---- sending ---- */

/* "started=3 done=5", of what was not told one by one; "" for nothing. */
static void summarize(const struct page *page, struct ms_buf *out)
{
    if (page->unnoted_started > 0)
        ms_buf_addf(out, "started=%lld ", (long long)page->unnoted_started);
    for (int i = 0; i < N_OUTCOMES; i++)
        if (page->unnoted[i] > 0)
            ms_buf_addf(out, "%s=%lld ", outcome_names[i],
                        (long long)page->unnoted[i]);
    if (out->len > 0)
        out->len--; /* the last space */
    ms_buf_str(out);
}

static size_t list_events(const struct page *page, const char *summary,
                          struct ms_event *out)
{
    int64_t now_us = ms_clock_mono_us();
    size_t n = 0;

    for (; n < page->n_notes; n++)
        out[n] = (struct ms_event){
            .type = page->notes[n].type,
            .id = page->notes[n].id,
            .kind = page->notes[n].kind,
            .detail = page->notes[n].detail,
            .age_ms = (now_us - page->notes[n].at_us) / 1000,
        };
    if (summary[0] != '\0')
        out[n++] = (struct ms_event){"summary", "", "", summary, 0};
    return n;
}

static size_t list_histogram(const struct ms_histogram *histogram, char letter,
                             struct ms_minute_count *out)
{
    size_t n = 0;

    for (int i = 0; i < MS_HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] == 0)
            continue;
        snprintf(out[n].field, sizeof(out[n].field), "%c%d", letter, i);
        out[n++].n = histogram->counts[i];
    }
    return n;
}

static size_t list_counts(const struct page *page, struct ms_minute_count *out)
{
    size_t n = 0;

    for (int i = 0; i < N_OUTCOMES; i++) {
        if (page->ended[i] == 0)
            continue;
        snprintf(out[n].field, sizeof(out[n].field), "%s", outcome_names[i]);
        out[n++].n = page->ended[i];
    }
    n += list_histogram(&page->waited, 'p', out + n);
    return n + list_histogram(&page->ran, 'r', out + n);
}

static void on_told(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_report *report = arg;
    bool may_pass = err == MS_EDOWN || err == MS_ETIMEOUT || err == MS_EBUSY ||
                    err == MS_ELOADING || err == MS_EREADONLY;
    struct ms_error error = {""};
    char text[256];

    report->request = NULL;
    if (err == MS_OK)
        err = ms_observe_parse(reply, &error);
    else
        ms_error_set(&error, err, "%s", ms_reply_error(reply));
    if (may_pass) {
        wait_a_second(report); /* the same again, under the same number */
        return;
    }
    if (err != MS_OK)
        ms_log(MS_WARN, "report", "lost", "queue=%s err=%s why=%s",
               report->who.queue, ms_err_name(err),
               ms_log_quote(error.text, text, sizeof(text)));
    page_free(report->sending);
    report->sending = NULL;
    if (report->open != NULL)
        wait_a_second(report); /* its timer may have found us busy */
    else
        report->changed(report->arg);
}

static void send_page(struct ms_report *report)
{
    const struct page *page = report->sending;
    struct ms_event events[MS_OBSERVE_EVENTS_MAX];
    struct ms_minute_count counts[N_OUTCOMES + 2 * MS_HISTOGRAM_BUCKETS];
    struct ms_buf summary = MS_BUF_INIT;
    struct ms_cmd cmd = MS_CMD_INIT;
    size_t n_events, n_counts = list_counts(page, counts);

    summarize(page, &summary);
    n_events = list_events(page, ms_buf_str(&summary), events);
    ms_observe_build(&cmd, &report->who, report->number, events, n_events,
                     counts, n_counts);
    ms_buf_done(&summary);
    report->request = ms_redis_send(report->redis, &cmd, 0, on_told, report);
}

void ms_report_flush(struct ms_report *report)
{
    if (report->request != NULL || !ms_redis_is_up(report->redis))
        return;
    ev_timer_stop(report->loop, &report->timer);
    if (report->sending == NULL) {
        if (report->open == NULL)
            return;
        report->sending = report->open;
        report->open = NULL;
        report->number++;
    }
    send_page(report);
}

bool ms_report_is_empty(const struct ms_report *report)
{
    return report->open == NULL && report->sending == NULL;
}

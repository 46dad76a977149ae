#include "ctl/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/keys.h"
#include "common/mem.h"
#include "ctl/dump.h"
#include "ctl/progress.h"
#include "ctl/view.h"

#define PLAIN_EVERY_MS 5000

struct ms_watch {
    struct ms_ctl *ctl;
    const char *queue, *id;
    struct ms_progress progress;
    bool bar, drawn;
    bool told_stalled;
    int64_t plain_at_ms; /* when a plain line is due; 0: now */
};

struct ms_watch *ms_watch_new(struct ms_ctl *ctl, const char *queue,
                              const char *id)
{
    struct ms_watch *watch = ms_xcalloc(1, sizeof(*watch));
    const char *term = getenv("TERM");

    watch->ctl = ctl;
    watch->queue = queue;
    watch->id = id;
    watch->bar =
        isatty(STDERR_FILENO) && !(term != NULL && strcmp(term, "dumb") == 0);
    return watch;
}

/* What is printed next begins on a line of its own. */
static void bar_end(struct ms_watch *watch)
{
    if (watch->drawn)
        fputc('\n', stderr);
    watch->drawn = false;
}

void ms_watch_free(struct ms_watch *watch)
{
    if (watch == NULL)
        return;
    bar_end(watch);
    free(watch);
}

/* How many live pods serve the queue; for show alone. */
static int64_t pods_count(struct ms_watch *watch)
{
    struct ms_client *client = watch->ctl->client;
    struct ms_names pods = {0};
    char key[MS_KEY_MAX];
    int64_t n = 0;

    ms_key_fleet(key, ms_client_fleet(client), "members:%s", watch->queue);
    if (ms_view_live(client, key, &pods, NULL) == MS_OK)
        n = (int64_t)pods.n;
    ms_names_done(&pods);
    return n;
}

static void sample_make(struct ms_watch *watch,
                        const struct ms_dump_facts *facts,
                        struct ms_progress_sample *out)
{
    const struct ms_tally *tally = &facts->tally;

    *out = (struct ms_progress_sample){
        .at_ms = facts->now_ms,
        .bytes = tally->bytes,
        .docs = tally->docs,
        .rejected = tally->rejected,
        .size = facts->size,
        .chunks_done = tally->done,
        .chunks_planned = tally->planned,
        .chunks_running = tally->running,
        .pods = pods_count(watch),
    };
}

static int terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void bar_draw(struct ms_watch *watch)
{
    struct ms_buf text = MS_BUF_INIT;

    ms_progress_bar(&watch->progress, terminal_width() - 1, &text);
    fprintf(stderr, "\r%s\033[K", ms_buf_str(&text));
    fflush(stderr);
    watch->drawn = true;
    ms_buf_done(&text);
}

static void plain_print(struct ms_watch *watch, int64_t now_ms)
{
    struct ms_buf text = MS_BUF_INIT;

    if (now_ms < watch->plain_at_ms)
        return;
    watch->plain_at_ms = now_ms + PLAIN_EVERY_MS;
    ms_progress_plain(&watch->progress, &text);
    fprintf(stderr, "%s\n", ms_buf_str(&text));
    ms_buf_done(&text);
}

static void stalled_tell(struct ms_watch *watch,
                         const struct ms_dump_facts *facts)
{
    bool stalled = ms_dump_is_stalled(facts);

    if (stalled && !watch->told_stalled) {
        bar_end(watch);
        ms_ctl_warn("stalled: no byte in %d s; is queue '%s' paused, or "
                    "without pods? (musterctl status)",
                    MS_DUMP_STALLED_MS / 1000, watch->queue);
    }
    watch->told_stalled = stalled;
}

enum ms_err ms_watch_round(void *arg, bool last, struct ms_error *error)
{
    struct ms_watch *watch = arg;
    struct ms_dump_facts facts;
    struct ms_progress_sample sample;
    struct ms_job *job = NULL;
    enum ms_err err = ms_dump_read(watch->ctl->client, watch->queue, watch->id,
                                   &job, &facts, error);

    if (err != MS_OK)
        return err;
    sample_make(watch, &facts, &sample);
    ms_progress_add(&watch->progress, &sample);
    if (last)
        watch->plain_at_ms = 0; /* the last line is due in any case */
    if (watch->bar)
        bar_draw(watch);
    else
        plain_print(watch, facts.now_ms);
    stalled_tell(watch, &facts);
    if (last)
        bar_end(watch);
    ms_job_free(job);
    return MS_OK;
}

/* top: the fleet, live */
#include <stdio.h>

#include "common/clock.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/overview.h"
#include "ctl/screen.h"
#include "ctl/top.h"

#define INTERVAL_MS 1000

static enum ms_err doc_take(struct ms_ctl *ctl, struct ms_top *top,
                            struct ms_error *error)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&text);
    enum ms_err err = ms_overview_top(ctl->client, &json, error);

    if (err == MS_OK)
        err = ms_top_take(top, &text, error);
    ms_buf_done(&text);
    return err;
}

/* ---- one look ---- */

static enum ms_err look(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_top top = {0};
    struct ms_buf out = MS_BUF_INIT;
    enum ms_err err = doc_take(ctl, &top, error);

    if (err == MS_OK && ctl->line->json) {
        ms_val_to_json(&top.doc.root, &out);
        ms_ctl_print(ctl, &out, NULL);
    } else if (err == MS_OK) {
        ms_top_draw(&top, 0, 0, NULL, &out);
        fputs(ms_buf_str(&out), stdout);
    }
    ms_buf_done(&out);
    ms_top_done(&top);
    return err;
}

/* ---- live ---- */

static void draw(struct ms_screen *screen, const struct ms_top *top,
                 const char *note)
{
    struct ms_buf text = MS_BUF_INIT;
    int width, height;

    ms_screen_size(screen, &width, &height);
    ms_top_draw(top, width, height, note, &text);
    ms_screen_show(screen, &text);
    ms_buf_done(&text);
}

/* Until somebody quits.  While Redis is away the last look stays, and says so.
 */
static enum ms_err watch(struct ms_ctl *ctl, struct ms_screen *screen,
                         struct ms_top *top, int64_t interval_ms,
                         struct ms_error *error)
{
    for (;;) {
        int64_t next_ms = ms_clock_mono_ms() + interval_ms;
        enum ms_err err = doc_take(ctl, top, error);
        const char *note = err == MS_OK ? NULL : error->text;
        enum ms_screen_event event;

        if (err != MS_OK && !ms_client_is_passing(err))
            return err;
        do {
            draw(screen, top, note);
            event = ms_screen_wait(screen, next_ms - ms_clock_mono_ms());
        } while (event == MS_SCREEN_RESIZED);
        if (event == MS_SCREEN_QUIT)
            return MS_OK;
    }
}

static enum ms_err live(struct ms_ctl *ctl, int64_t interval_ms,
                        struct ms_error *error)
{
    struct ms_top top = {0};
    struct ms_screen *screen = NULL;
    enum ms_err err =
        ms_screen_open(ms_client_loop(ctl->client), &screen, error);

    if (err == MS_OK)
        err = watch(ctl, screen, &top, interval_ms, error);
    ms_screen_close(screen);
    ms_top_done(&top);
    return err;
}

static enum ms_err top(struct ms_ctl *ctl, struct ms_error *error)
{
    bool once = ctl->line->json || ms_cli_has(ctl->line, "once");
    int64_t interval_ms = INTERVAL_MS;
    enum ms_err err =
        ms_cli_duration(ctl->line, "interval", &interval_ms, error);

    if (err == MS_OK && interval_ms < 100)
        err = ms_error_set(error, MS_EINVAL, "--interval: at least 100ms");
    if (err == MS_OK)
        err = ms_ctl_connect(ctl, false, error);
    if (err != MS_OK)
        return err;
    return once ? look(ctl, error) : live(ctl, interval_ms, error);
}

static const struct ms_option top_options[] = {
    {"once", NULL, "print one look and end"},
    {"interval", "TIME", "between looks (1s)"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_top[] = {
    {"top", NULL, "", 0, 0, "queues, pods and imports, live; q quits",
     top_options, top},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

#include "ctl/screen.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static const int quit_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct ms_screen {
    struct ev_loop *loop;
    struct termios before;
    bool has_keys; /* standard input is a terminal */
    bool quit, resized;
    ev_signal quits[MS_COUNT_OF(quit_signals)], winch;
    ev_io keys;
    ev_timer timer;
};

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* the terminal has gone: its signal is on its way */
        bytes += n;
        len -= (size_t)n;
    }
}

/* ---- events ---- */

static void on_quit(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct ms_screen *screen = watcher->data;

    screen->quit = true;
    ev_break(loop, EVBREAK_ONE);
}

static void on_winch(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct ms_screen *screen = watcher->data;

    screen->resized = true;
    ev_break(loop, EVBREAK_ONE);
}

static void on_keys(struct ev_loop *loop, ev_io *watcher, int events)
{
    static const char quits[] = {'q', 'Q', 3, 4, 28};
    struct ms_screen *screen = watcher->data;
    char bytes[64];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        screen->quit = true;
    for (ssize_t i = 0; i < n; i++)
        if (memchr(quits, bytes[i], sizeof(quits)) != NULL)
            screen->quit = true;
    if (screen->quit) {
        ev_io_stop(loop, watcher); /* at its end it is ready for ever */
        ev_break(loop, EVBREAK_ONE);
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    ev_break(loop, EVBREAK_ONE);
}

/* ---- life ---- */

static void watch(struct ms_screen *screen)
{
    for (size_t i = 0; i < MS_COUNT_OF(quit_signals); i++) {
        ev_signal_init(&screen->quits[i], on_quit, quit_signals[i]);
        screen->quits[i].data = screen;
        ev_signal_start(screen->loop, &screen->quits[i]);
    }
    ev_signal_init(&screen->winch, on_winch, SIGWINCH);
    ev_io_init(&screen->keys, on_keys, STDIN_FILENO, EV_READ);
    ev_timer_init(&screen->timer, on_timer, 0., 0.);
    screen->winch.data = screen->keys.data = screen;
    ev_signal_start(screen->loop, &screen->winch);
    if (screen->has_keys)
        ev_io_start(screen->loop, &screen->keys);
}

/* No echo, each key at once; also Ctrl-C and Ctrl-Z are keys. */
static void keys_take(struct ms_screen *screen)
{
    struct termios raw;

    screen->has_keys = isatty(STDIN_FILENO) == 1 &&
                       tcgetattr(STDIN_FILENO, &screen->before) == 0;
    if (!screen->has_keys)
        return;
    raw = screen->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

enum ms_err ms_screen_open(struct ev_loop *loop, struct ms_screen **out_screen,
                           struct ms_error *error)
{
    const char *term = getenv("TERM");
    struct ms_screen *screen;

    if (isatty(STDOUT_FILENO) != 1)
        return ms_error_set(error, MS_EINVAL,
                            "standard output is no terminal: say --once or "
                            "--json for one look");
    if (term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0)
        return ms_error_set(error, MS_EINVAL,
                            "this terminal (TERM=%s) cannot show a full "
                            "screen: say --once or --json for one look",
                            term == NULL ? "" : term);
    screen = ms_xcalloc(1, sizeof(*screen));
    screen->loop = loop;
    keys_take(screen);
    watch(screen);
    write_all(ENTER, strlen(ENTER));
    *out_screen = screen;
    return MS_OK;
}

void ms_screen_close(struct ms_screen *screen)
{
    if (screen == NULL)
        return;
    write_all(LEAVE, strlen(LEAVE));
    if (screen->has_keys)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->before);
    for (size_t i = 0; i < MS_COUNT_OF(quit_signals); i++)
        ev_signal_stop(screen->loop, &screen->quits[i]);
    ev_signal_stop(screen->loop, &screen->winch);
    ev_io_stop(screen->loop, &screen->keys);
    ev_timer_stop(screen->loop, &screen->timer);
    free(screen);
}

void ms_screen_size(const struct ms_screen *screen, int *out_width,
                    int *out_height)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        size.ws_col = size.ws_row = 0;
    *out_width = size.ws_col > 0 ? size.ws_col : 80;
    *out_height = size.ws_row > 0 ? size.ws_row : 24;
}

void ms_screen_show(struct ms_screen *screen, const struct ms_buf *text)
{
    struct ms_buf out = MS_BUF_INIT;
    const char *at = text->data, *end = text->data + text->len;

    ms_buf_adds(&out, "\033[H");
    while (at < end) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((next == NULL ? end : next) - at);

        ms_buf_add(&out, at, len);
        ms_buf_adds(&out, "\033[K");
        at += len + 1;
        if (at < end) /* a line end in the last line would scroll */
            ms_buf_adds(&out, "\r\n");
    }
    ms_buf_adds(&out, "\033[J");
    write_all(out.data, out.len);
    ms_buf_done(&out);
}

enum ms_screen_event ms_screen_wait(struct ms_screen *screen, int64_t ms)
{
    int64_t end = ms_clock_mono_ms() + ms;

    while (!screen->quit && !screen->resized && ms_clock_mono_ms() < end) {
        ev_now_update(screen->loop);
        ev_timer_set(&screen->timer,
                     (double)(end - ms_clock_mono_ms()) / 1000. + 0.001, 0.);
        ev_timer_start(screen->loop, &screen->timer);
        ev_run(screen->loop, 0);
        ev_timer_stop(screen->loop, &screen->timer);
    }
    if (screen->quit)
        return MS_SCREEN_QUIT;
    if (screen->resized) {
        screen->resized = false;
        return MS_SCREEN_RESIZED;
    }
    return MS_SCREEN_TIME;
}

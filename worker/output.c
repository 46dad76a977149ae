#include "worker/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/text.h"

#define LINE_MAX_BYTES 1000
#define READ_SIZE      65536
#define TICK_S         0.1
#define TICK_BYTES     (1024 * 1024) /* read in one tick */
#define WINDOW_MS      1000
#define WINDOW_LINES   100

struct ms_output {
    struct ev_loop *loop;
    int slot, fd; /* fd -1: closed */
    ms_output_job_fn *job;
    void *arg;
    ev_io readable;
    ev_timer tick; /* runs while something was read */
    char line[LINE_MAX_BYTES + 1];
    size_t len;
    bool is_cut;
    size_t bytes;      /* read in this tick */
    int64_t window_ms; /* when it began */
    int lines;         /* told in this window */
    int64_t dropped;
};

/* ---- lines ---- */

static enum ms_log_level take_level(const char **text)
{
    static const struct {
        const char *mark;
        enum ms_log_level level;
    } marks[] = {{"<3>", MS_ERROR},
                 {"<4>", MS_WARN},
                 {"<6>", MS_INFO},
                 {"<7>", MS_DEBUG}};

    for (size_t i = 0; i < MS_COUNT_OF(marks); i++) {
        if (strncmp(*text, marks[i].mark, 3) != 0)
            continue;
        *text += 3;
        return marks[i].level;
    }
    return MS_INFO;
}

static void tell_dropped(struct ms_output *output)
{
    if (output->dropped > 0)
        ms_log(MS_WARN, "slot", "output_dropped", "slot=%d lines=%lld",
               output->slot, (long long)output->dropped);
    output->dropped = 0;
}

static void move_window(struct ms_output *output)
{
    int64_t now_ms = ms_clock_mono_ms();

    if (now_ms - output->window_ms < WINDOW_MS)
        return;
    tell_dropped(output);
    output->window_ms = now_ms;
    output->lines = 0;
}

static void end_line(struct ms_output *output)
{
    char quoted[2 * LINE_MAX_BYTES];
    const char *text = output->line, *job = output->job(output->arg);
    enum ms_log_level level;
    bool is_cut = output->is_cut;

    while (output->len > 0 && output->line[output->len - 1] == '\r')
        output->len--;
    ms_text_scrub(output->line, output->len);
    output->line[output->len] = '\0';
    level = take_level(&text);
    output->is_cut = false;
    if (output->len == 0)
        return;
    output->len = 0;
    if (++output->lines > WINDOW_LINES)
        output->dropped++;
    else
        ms_log(level, "slot", "output", "slot=%d job=%s text=%s%s",
               output->slot, job == NULL ? "none" : job,
               ms_log_quote(text, quoted, sizeof(quoted)),
               is_cut ? " cut=1" : "");
}

static void take_bytes(struct ms_output *output, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end == NULL ? len : (size_t)(end - bytes);
        size_t room = LINE_MAX_BYTES - output->len;

        memcpy(output->line + output->len, bytes, n < room ? n : room);
        output->len += n < room ? n : room;
        output->is_cut |= n > room;
        if (end == NULL)
            return;
        end_line(output);
        bytes += n + 1;
        len -= n + 1;
    }
}

/* ---- reading ---- */

/* False: nothing there. */
static bool read_once(struct ms_output *output)
{
    char bytes[READ_SIZE];
    ssize_t n = read(output->fd, bytes, sizeof(bytes));

    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            ev_io_stop(output->loop, &output->readable);
        return false;
    }
    move_window(output);
    output->bytes += (size_t)n;
    take_bytes(output, bytes, (size_t)n);
    if (!ev_is_active(&output->tick))
        ev_timer_again(output->loop, &output->tick);
    return true;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct ms_output *output = watcher->data;

    read_once(output); /* once: others want to be heard, too */
    if (output->bytes >= TICK_BYTES)
        ev_io_stop(loop, watcher);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct ms_output *output = timer->data;

    move_window(output);
    if (output->bytes == 0 && output->dropped == 0)
        ev_timer_stop(loop, timer);
    output->bytes = 0;
    if (output->fd >= 0)
        ev_io_start(loop, &output->readable);
}

void ms_output_drain(struct ms_output *output)
{
    for (int i = 0; i < 2 && output->fd >= 0 && read_once(output); i++)
        ;
}

/* ---- life ---- */

struct ms_output *ms_output_new(struct ev_loop *loop, int slot,
                                ms_output_job_fn *job, void *arg)
{
    struct ms_output *output = ms_xcalloc(1, sizeof(*output));

    output->loop = loop;
    output->slot = slot;
    output->fd = -1;
    output->job = job;
    output->arg = arg;
    ev_init(&output->readable, on_readable);
    ev_init(&output->tick, on_tick);
    output->tick.repeat = TICK_S;
    output->readable.data = output->tick.data = output;
    return output;
}

void ms_output_open(struct ms_output *output, int fd)
{
    ms_assert(output->fd < 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    output->fd = fd;
    output->bytes = 0;
    ev_io_set(&output->readable, fd, EV_READ);
    ev_io_start(output->loop, &output->readable);
}

void ms_output_close(struct ms_output *output)
{
    if (output->fd < 0)
        return;
    for (int i = 0; i < TICK_BYTES / READ_SIZE && read_once(output); i++)
        ;
    end_line(output);
    tell_dropped(output);
    ev_io_stop(output->loop, &output->readable);
    ev_timer_stop(output->loop, &output->tick);
    close(output->fd);
    output->fd = -1;
}

void ms_output_free(struct ms_output *output)
{
    if (output == NULL)
        return;
    ms_output_close(output);
    free(output);
}

#include "tests/bench/meter.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/reply.h"

/* ---- what Redis says of itself ---- */

static double info_number(struct ms_test_redis *server, const char *section,
                          const char *name)
{
    const char *text = ms_test_text(server, "INFO %s", section);
    const char *at = strstr(text, name);

    ms_assert(at != NULL);
    return strtod(at + strlen(name), NULL);
}

double ms_meter_cpu_us(struct ms_test_redis *server)
{
    return 1e6 * (info_number(server, "cpu", "used_cpu_user:") +
                  info_number(server, "cpu", "used_cpu_sys:"));
}

double ms_meter_thread_us(const struct ms_test_redis *server)
{
    char path[64];
    double ns = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/schedstat",
             (int)ms_test_redis_pid(server));
    file = fopen(path, "re");
    ms_assert(file != NULL && fscanf(file, "%lf", &ns) == 1);
    fclose(file);
    return ns / 1000;
}

double ms_meter_last_us(struct ms_test_redis *server)
{
    const struct ms_reply *log = ms_test_cmd(server, "SLOWLOG GET 1");

    return (double)ms_reply_int(ms_reply_at(ms_reply_at(log, 0), 2), 0);
}

int64_t ms_meter_memory(struct ms_test_redis *server)
{
    return (int64_t)info_number(server, "memory", "used_memory:");
}

/* "cmdstat_evalsha:calls=5,usec=..." of all commands or of `wanted` alone. */
static int64_t sum_calls(struct ms_test_redis *server, const char *wanted)
{
    const char *at = ms_test_text(server, "INFO commandstats");
    int64_t sum = 0;

    while ((at = strstr(at, "cmdstat_")) != NULL) {
        const char *name = at + strlen("cmdstat_");
        const char *calls = strstr(name, ":calls=");

        if (calls == NULL)
            break;
        if (wanted == NULL || ((size_t)(calls - name) == strlen(wanted) &&
                               strncmp(name, wanted, strlen(wanted)) == 0))
            sum += strtoll(calls + strlen(":calls="), NULL, 10);
        at = calls;
    }
    return sum;
}

int64_t ms_meter_calls(struct ms_test_redis *server)
{
    return sum_calls(server, NULL);
}

int64_t ms_meter_calls_of(struct ms_test_redis *server, const char *command)
{
    return sum_calls(server, command);
}

/* ---- a raw client ---- */

static void on_answer(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    int *pending = arg;

    ms_assert(err == MS_OK);
    (*pending)--;
}

void ms_meter_pipeline(struct ms_test_redis *server, int64_t n, int depth,
                       ms_meter_build_fn *build, void *arg)
{
    const struct ms_redis_options options = {.url = ms_test_redis_url(server)};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct ms_redis *redis = NULL;
    int pending = 0;

    ms_assert(ms_redis_new(loop, &options, &redis, NULL) == MS_OK);
    ms_assert(ms_redis_wait_up(redis, 10000, NULL) == MS_OK);
    for (int64_t i = 0; i < n;) {
        for (int k = 0; k < depth && i < n; k++, i++) {
            struct ms_cmd cmd = MS_CMD_INIT;

            build(&cmd, i, arg);
            ms_redis_send(redis, &cmd, 60000, on_answer, &pending);
            pending++;
        }
        while (pending > 0)
            ev_run(loop, EVRUN_ONCE);
    }
    ms_redis_free(redis);
    ev_loop_destroy(loop);
}

/* ---- MONITOR ---- */

/* A socket of its own: MONITOR answers without being asked, which is not what
 * ms_redis is for. */
struct ms_monitor {
    int fd;
    struct ms_buf in;
};

struct ms_monitor *ms_monitor_start(struct ms_test_redis *server)
{
    struct ms_monitor *monitor = ms_xcalloc(1, sizeof(*monitor));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = ms_test_redis_url(server) + strlen("unix://");

    ms_assert(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    monitor->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ms_assert(connect(monitor->fd, (struct sockaddr *)&address,
                      sizeof(address)) == 0);
    ms_assert(write(monitor->fd, "MONITOR\r\n", 9) == 9);
    while (strstr(ms_buf_str(&monitor->in), "+OK\r\n") == NULL) {
        ssize_t got = read(monitor->fd, ms_buf_reserve(&monitor->in, 64), 64);

        ms_assert(got > 0);
        monitor->in.len += (size_t)got;
    }
    ms_buf_clear(&monitor->in);
    return monitor;
}

void ms_monitor_stop(struct ms_monitor *monitor)
{
    if (monitor == NULL)
        return;
    close(monitor->fd);
    ms_buf_done(&monitor->in);
    free(monitor);
}

static bool read_more(struct ms_monitor *monitor, int timeout_ms)
{
    struct pollfd ready = {.fd = monitor->fd, .events = POLLIN};
    ssize_t got;

    if (poll(&ready, 1, timeout_ms) != 1)
        return false;
    got = read(monitor->fd, ms_buf_reserve(&monitor->in, 65536), 65536);
    ms_assert(got > 0);
    monitor->in.len += (size_t)got;
    return true;
}

/* `+1700000000.123456 [0 unix:...] "LPUSH" "q"` */
static int64_t line_us(const char *line)
{
    char *end;
    int64_t seconds = strtoll(line + 1, &end, 10);

    return seconds * 1000000 + strtoll(end + 1, NULL, 10);
}

int64_t ms_monitor_wait(struct ms_monitor *monitor, const char *part,
                        int timeout_ms)
{
    for (;;) {
        const char *text = ms_buf_str(&monitor->in);
        char *end = strstr(text, "\r\n");

        if (end == NULL) {
            if (!read_more(monitor, timeout_ms))
                return -1;
            continue;
        }
        *end = '\0';
        if (strstr(text, part) != NULL) {
            int64_t at_us = line_us(text);

            ms_buf_consume(&monitor->in, (size_t)(end - text) + 2);
            return at_us;
        }
        ms_buf_consume(&monitor->in, (size_t)(end - text) + 2);
    }
}

/* ---- results ---- */

void ms_samples_add(struct ms_samples *samples, double value)
{
    if (samples->n == samples->cap) {
        samples->cap = samples->cap == 0 ? 256 : samples->cap * 2;
        samples->values =
            ms_xrealloc(samples->values, samples->cap * sizeof(double));
    }
    samples->values[samples->n++] = value;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double ms_samples_at(struct ms_samples *samples, double part)
{
    ms_assert(samples->n > 0);
    qsort(samples->values, samples->n, sizeof(double), compare_doubles);
    return samples->values[(size_t)((double)(samples->n - 1) * part)];
}

void ms_samples_done(struct ms_samples *samples)
{
    free(samples->values);
    *samples = (struct ms_samples){0};
}

void ms_meter_head(const char *title)
{
    printf("\n%-38s %12s %12s %7s\n", title, "muster", "raw Redis", "ratio");
}

void ms_meter_line(const char *what, const char *unit, double muster,
                   double reference)
{
    char text[64];

    snprintf(text, sizeof(text), "%s, %s", what, unit);
    printf("%-38s %12.1f %12.1f %7.2f\n", text, muster, reference,
           muster / reference);
    fflush(stdout);
}

void ms_meter_alone(const char *what, const char *unit, double muster)
{
    char text[64];

    snprintf(text, sizeof(text), "%s, %s", what, unit);
    printf("%-38s %12.1f\n", text, muster);
    fflush(stdout);
}

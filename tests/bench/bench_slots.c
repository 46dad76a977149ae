/*
 * bench_slots: what a no-op job costs between "a job to run" and its ending.
 *
 *     bench_slots [JOBS]
 *
 * Prints jobs a second and CPU a job, both sides together, for 1, 4 and 8
 * slots; before them the same figures of bare messages over a socket pair,
 * one at a time and 64 at a time: what this machine's kernel takes for it.
 * With each goes the memory of pool and children.
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/slot_child.h"
#include "worker/slots.h"

#define MESSAGE 100 /* bytes, about those of a small job's frame */

static int64_t cpu_us_of(int who)
{
    struct rusage used;

    getrusage(who, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL +
           used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* Ours and that of children that were waited for. */
static int64_t cpu_us(void)
{
    return cpu_us_of(RUSAGE_SELF) + cpu_us_of(RUSAGE_CHILDREN);
}

static void print_row(const char *what, int n, int64_t wall_us, int64_t used_us)
{
    printf("%-28s %10.0f jobs/s %8.2f us CPU a job\n", what,
           n * 1e6 / (double)wall_us, (double)used_us / n);
    fflush(stdout);
}

/* ---- the reference ---- */

static void read_all(int fd, char *bytes, size_t len)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n = read(fd, bytes + have, len - have);

        if (n <= 0)
            _exit(0);
        have += (size_t)n;
    }
}

/* Answers each message with one write, as a slot does. */
static void echo_main(int fd, size_t batch)
{
    char bytes[64 * MESSAGE];

    for (;;) {
        read_all(fd, bytes, batch * MESSAGE);
        for (size_t i = 0; i < batch; i++)
            if (write(fd, bytes + i * MESSAGE, MESSAGE) != MESSAGE)
                _exit(0);
    }
}

static void bench_reference(int n, size_t batch)
{
    char bytes[64 * MESSAGE] = {0}, what[64];
    int64_t wall_us, used_us = cpu_us();
    int ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        exit(1);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        echo_main(ends[1], batch);
    }
    close(ends[1]);
    wall_us = ms_clock_mono_us();
    for (int i = 0; i < n; i += (int)batch) {
        if (write(ends[0], bytes, batch * MESSAGE) < 0)
            exit(1);
        read_all(ends[0], bytes, batch * MESSAGE);
    }
    wall_us = ms_clock_mono_us() - wall_us;
    close(ends[0]);
    waitpid(pid, NULL, 0);
    snprintf(what, sizeof(what), "socket pair, %zu at a time", batch);
    print_row(what, n, wall_us, cpu_us() - used_us);
}

/* ---- the slots ---- */

struct bench {
    struct ms_slots *slots;
    struct ms_held *held; /* all jobs that may be under way */
    struct ms_held **idle;
    int n_idle, left, done;
    struct ev_loop *loop;
};

static void on_started(struct ms_held *held, void *arg)
{
}

static void on_checkpoint(struct ms_held *held,
                          struct ms_checkpoint *checkpoint, void *arg)
{
    ms_checkpoint_done(checkpoint);
}

static void on_ended(struct ms_held *held, struct ms_ending *ending, void *arg)
{
    struct bench *bench = arg;

    if (ending->outcome != MS_DONE) {
        fprintf(stderr, "a job ended: %s\n", ending->error);
        exit(1);
    }
    free(ending->result.data);
    bench->done++;
    bench->idle[bench->n_idle++] = held;
}

static void on_returned(struct ms_held *held, void *arg)
{
    struct bench *bench = arg;

    bench->left++;
    bench->idle[bench->n_idle++] = held;
}

static void place(struct bench *bench)
{
    while (bench->left > 0 && bench->n_idle > 0 &&
           ms_slots_run(bench->slots, bench->idle[bench->n_idle - 1])) {
        bench->n_idle--;
        bench->left--;
    }
}

static void on_settled(void *arg)
{
    struct bench *bench = arg;

    place(bench);
    if (bench->left == 0 && bench->n_idle == 1024)
        ev_break(bench->loop, EVBREAK_ALL);
}

static char id[] = "01J0000000000000000000000A", kind[] = "noop.echo";
static char queue[] = "default", payload[] = "\xa4ping";

static void bench_init(struct bench *bench, int n)
{
    *bench = (struct bench){.left = n};
    bench->loop = ev_default_loop(EVFLAG_AUTO);
    bench->held = ms_xcalloc(1024, sizeof(*bench->held));
    bench->idle = ms_xcalloc(1024, sizeof(struct ms_held *));
    for (int i = 0; i < 1024; i++) {
        bench->held[i] = (struct ms_held){.id = id,
                                          .kind = kind,
                                          .queue = queue,
                                          .payload = {payload, 5},
                                          .fence = 1700000000000,
                                          .attempt = 1,
                                          .timeout_ms = 600000,
                                          .chunk = -1};
        bench->idle[bench->n_idle++] = &bench->held[i];
    }
}

/* Runs `n` jobs through the slots that there are. */
static int64_t run_jobs(struct bench *bench, int n)
{
    int64_t begun_us = ms_clock_mono_us();

    bench->left = n;
    place(bench);
    ev_run(bench->loop, 0);
    return ms_clock_mono_us() - begun_us;
}

/* The proportional share of memory of one process, in KiB. */
static long pss_kib(const char *pid)
{
    char path[64], line[128];
    long kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        sscanf(line, "Pss: %ld", &kib);
    fclose(file);
    return kib;
}

/* This process and its children. */
static void print_memory(void)
{
    char path[64], pid[32];
    long kib = pss_kib("self");
    int children = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fscanf(file, "%31s", pid) == 1) {
        kib += pss_kib(pid);
        children++;
    }
    fclose(file);
    printf("%-28s %10ld KiB PSS with %d children\n", "memory", kib, children);
}

static void bench_slots(const struct ms_conf *conf, int slots, int n)
{
    const struct ms_slots_events events = {on_started, on_checkpoint, on_ended,
                                           on_returned, on_settled};
    struct bench bench;
    const struct ms_slots_options options = {.conf = conf,
                                             .pod_id = "BENCH",
                                             .concurrency = slots,
                                             .events = &events,
                                             .arg = &bench};
    int64_t used_us = cpu_us(), wall_us;
    char what[64];

    bench_init(&bench, n);
    bench.slots = ms_slots_new(bench.loop, &options);
    run_jobs(&bench, 1000); /* children up, the kind known */
    wall_us = run_jobs(&bench, n);
    print_memory();
    ms_slots_free(bench.slots); /* waits for them, so that they count */
    snprintf(what, sizeof(what), "%d slot%s", slots, slots == 1 ? "" : "s");
    print_row(what, n, wall_us, cpu_us() - used_us);
    free(bench.held);
    free(bench.idle);
}

int main(int argc, char **argv)
{
    static const int slots[] = {1, 4, 8};
    const struct ms_conf_flags flags = {.config = NULL};
    struct ms_conf *conf = NULL;
    struct ms_error error;
    int n = argc > 1 ? atoi(argv[1]) : 200000;

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    if (ms_conf_load(&flags, (char *const[]){NULL}, &conf, &error) != MS_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    bench_reference(n, 1);
    bench_reference(n, 64);
    for (size_t i = 0; i < MS_COUNT_OF(slots); i++)
        bench_slots(conf, slots[i], n);
    ms_conf_free(conf);
    return 0;
}

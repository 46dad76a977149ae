/*
 * bench_import: a dump into a dataset, beside the fastest plain way.
 *
 *     bench_import [MIB [BYTES]]     200 MiB of documents of 600 bytes
 *
 * The reference is `redis-cli --pipe` fed with ready-made HSET commands of the
 * same documents: it parses nothing, checks nothing and knows no ids, and
 * cannot go on after a crash.  muster reads the lines, checks each, sends them
 * under a fence and keeps a cursor.  Both write into a Redis without an
 * append-only file.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "tests/bench/meter.h"

#define DOC_BYTES 600 /* of a document, about */
#define DOC_FRAME 80  /* of it are not text */
#define DOC_MAX   65536

struct input {
    char *ndjson, *resp; /* paths */
    int64_t docs, bytes;
};

/* Text that does not repeat too soon, and the same in every run. */
static void fill(char *out, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        out[i] = "abcdefghijklmnopqrstuvwxyz      "[seed >> 59];
    }
    out[len] = '\0';
}

static FILE *create(const char *name, char **out_path)
{
    FILE *file;

    *out_path = ms_xasprintf("%s/%s", ms_test_dir(), name);
    file = fopen(*out_path, "we");
    ms_assert(file != NULL);
    return file;
}

/* Sizes differ by a third up and down. */
static struct input make_input(int64_t mib, int64_t doc_bytes)
{
    static char text[2 * DOC_MAX], doc[2 * DOC_MAX + 200];
    struct input input = {0};
    FILE *ndjson = create("docs.ndjson", &input.ndjson);
    FILE *resp = create("docs.resp", &input.resp);
    int64_t most = (doc_bytes - DOC_FRAME) * 4 / 3;
    char id[24];

    while (input.bytes < mib << 20) {
        int64_t i = input.docs++;
        int id_len = snprintf(id, sizeof(id), "doc-%lld", (long long)i);
        int len;

        fill(text, (size_t)(most - i * 7 % (most / 2)), (uint64_t)i);
        len = snprintf(doc, sizeof(doc),
                       "{\"id\":\"%s\",\"number\":%lld,\"tags\":[\"a\",\"b\"],"
                       "\"nested\":{\"flag\":true},\"text\":\"%s\"}",
                       id, (long long)i, text);
        fprintf(ndjson, "%s\n", doc);
        fprintf(resp,
                "*4\r\n$4\r\nHSET\r\n$3\r\nraw\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
                id_len, id, len, doc);
        input.bytes += len + 1;
    }
    ms_assert(fclose(ndjson) == 0 && fclose(resp) == 0);
    return input;
}

/* What one way of loading took. */
struct load {
    double seconds, cpu_us; /* of Redis */
    double own_cpu_us;      /* of those that load */
    double start_s;         /* an import of one document takes so long */
    int64_t memory;
};

/* Of all processes that have ended: who loads ends before its Redis. */
static double children_cpu_us(void)
{
    struct rusage use;

    getrusage(RUSAGE_CHILDREN, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static struct load load_begin(struct ms_test_redis *server)
{
    return (struct load){.cpu_us = ms_meter_cpu_us(server),
                         .own_cpu_us = children_cpu_us(),
                         .memory = ms_meter_memory(server),
                         .seconds = (double)ms_clock_mono_us() / 1e6};
}

static struct load load_end(struct ms_test_redis *server,
                            const struct load *begin)
{
    double now = (double)ms_clock_mono_us() / 1e6;

    return (struct load){.cpu_us = ms_meter_cpu_us(server) - begin->cpu_us,
                         .memory = ms_meter_memory(server) - begin->memory,
                         .seconds = now - begin->seconds};
}

static void run(const char *const *argv, const char *const *env)
{
    struct ms_proc *proc = ms_proc_start(argv, env);
    int code = ms_proc_wait(proc, 900000);

    if (code != 0) {
        fprintf(stderr, "%s: exit %d\n%s%s", argv[0], code,
                ms_proc_stdout(proc), ms_proc_stderr(proc));
        exit(1);
    }
    ms_proc_free(proc);
}

static struct load load_raw(const struct input *input)
{
    struct ms_test_redis *server = ms_test_redis_start(NULL);
    char *command = ms_xasprintf("redis-cli -s '%s' --pipe < '%s'",
                                 ms_test_redis_url(server) + strlen("unix://"),
                                 input->resp);
    const char *argv[] = {"sh", "-c", command, NULL};
    struct load load = load_begin(server);
    double begin_us = load.own_cpu_us;

    run(argv, NULL);
    load = load_end(server, &load);
    load.own_cpu_us = children_cpu_us() - begin_us;
    ms_assert(ms_test_num(server, "HLEN raw") == input->docs);
    ms_test_redis_stop(server);
    free(command);
    return load;
}

static void stop(struct ms_proc *daemon)
{
    ms_proc_signal(daemon, SIGTERM);
    ms_proc_wait(daemon, 60000);
    ms_proc_free(daemon);
}

/* How long an import of one document takes: what every import pays. */
static double import_nothing(const char *const *env)
{
    static const char doc[] = "{\"id\":1}\n";
    char *path = ms_test_file("one.ndjson", doc, sizeof(doc) - 1);
    const char *argv[] = {"musterctl", "dump",  "import", path,
                          "--dataset", "small", "--wait", NULL};
    int64_t begin_us = ms_clock_mono_us();

    run(argv, env);
    free(path);
    return (double)(ms_clock_mono_us() - begin_us) / 1e6;
}

/* One coordinator and one worker with a slot for each chunk under way. */
static struct load load_ours(const struct input *input)
{
    struct ms_test_redis *server = ms_test_redis_start(NULL);
    char *url = ms_xasprintf("MUSTER_REDIS_URL=%s", ms_test_redis_url(server));
    const char *env[] = {url,
                         "MUSTER_QUEUES=dump",
                         "MUSTER_CONCURRENCY=4",
                         "MUSTER_WORKER__HTTP=off",
                         "MUSTER_COORDINATOR__HTTP=off",
                         NULL};
    const char *coordinator_argv[] = {"muster-coordinator", NULL};
    const char *worker_argv[] = {"muster-worker", NULL};
    const char *import_argv[] = {"musterctl",    "dump",
                                 "import",       input->ndjson,
                                 "--dataset",    "docs",
                                 "--chunk-size", "32MiB",
                                 "--wait",       NULL};
    struct ms_proc *coordinator = ms_proc_start(coordinator_argv, env);
    struct ms_proc *worker = ms_proc_start(worker_argv, env);
    struct load load;
    double begin_us, start_s;

    WAIT_FOR(30000, ms_test_num(server, "ZCARD ms:{main}:pods") == 1 &&
                        ms_test_num(server, "EXISTS ms:{main}:leader") == 1);
    start_s = import_nothing(env);
    load = load_begin(server);
    begin_us = load.own_cpu_us;
    run(import_argv, env);
    load = load_end(server, &load);
    stop(worker);
    stop(coordinator);
    load.own_cpu_us = children_cpu_us() - begin_us;
    load.start_s = start_s;
    ms_test_redis_stop(server);
    free(url);
    return load;
}

int main(int argc, char **argv)
{
    int64_t mib = argc > 1 ? strtoll(argv[1], NULL, 10) : 200;
    int64_t doc_bytes = argc > 2 ? strtoll(argv[2], NULL, 10) : DOC_BYTES;
    struct input input;
    struct load ours, raw;

    if (mib < 1 || doc_bytes < 2 * DOC_FRAME || doc_bytes > DOC_MAX) {
        fprintf(stderr, "usage: bench_import [MIB [BYTES]]\n");
        return 2;
    }
    input = make_input(mib, doc_bytes);
    printf("%lld documents of %lld bytes, %lld MiB\n", (long long)input.docs,
           (long long)(input.bytes / input.docs), (long long)mib);
    raw = load_raw(&input);
    ours = load_ours(&input);
    ms_meter_head("import");
    ms_meter_line("throughput", "MB/s",
                  (double)input.bytes / 1e6 / ours.seconds,
                  (double)input.bytes / 1e6 / raw.seconds);
    ms_meter_alone("of it to find, plan and close it", "s", ours.start_s);
    ms_meter_line("documents a second", "1/s",
                  (double)input.docs / ours.seconds,
                  (double)input.docs / raw.seconds);
    ms_meter_line("Redis CPU per 1,000 documents", "ms",
                  ours.cpu_us / (double)input.docs,
                  raw.cpu_us / (double)input.docs);
    ms_meter_line("own CPU per 1,000 documents", "ms",
                  ours.own_cpu_us / (double)input.docs,
                  raw.own_cpu_us / (double)input.docs);
    ms_meter_line("memory of a document", "bytes",
                  (double)ours.memory / (double)input.docs,
                  (double)raw.memory / (double)input.docs);
    free(input.ndjson);
    free(input.resp);
    return 0;
}

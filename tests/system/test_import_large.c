/*
 * A dump of 1 GiB in four chunks of 256 MiB, three pods, and one of them
 * killed: what small files cannot show, time-outs and bounds that only matter
 * at size.  Runs only with MUSTER_TEST_LARGE=1: it takes 4 GiB of memory and
 * 2 GiB of disk.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/clock.h"
#include "tests/support/dump.h"

#define CONF                                                               \
    "worker: { queues: [dump], concurrency: 2, claim_ttl: 2s, heartbeat: " \
    "1s, http: \"off\" }\n"                                                \
    "coordinator: { http: \"off\", lease_ttl: 2s }\n"                      \
    "queues:\n  - { name: dump, max_workers: 4 }\n"
#define MIB   ((int64_t)1024 * 1024)
#define SIZE  (1024 * MIB)
#define AHEAD (4 * MIB + 256 * 1024)
#define END_S 600

static struct ms_test_fleet *fleet;

/* Documents of about 1 KiB; only what they come to is kept. */
static void write_large(struct ms_dump *dump, int64_t *out_bytes)
{
    struct ms_buf doc = MS_BUF_INIT;
    FILE *file = fopen(dump->path, "we");
    int64_t bytes = 0;

    CHECK(file != NULL);
    while (bytes < SIZE - 2048) {
        uint64_t seed = (uint64_t)dump->n_docs * 6364136223846793005ULL;

        ms_buf_clear(&doc);
        ms_buf_addf(&doc, "{\"id\":\"doc-%" PRId64 "\",\"text\":\"",
                    dump->n_docs++);
        for (uint64_t i = 0; i < 40 + seed % 40; i++)
            ms_buf_addf(&doc, "%016" PRIx64, seed += 0x9E3779B97F4A7C15ULL);
        ms_buf_adds(&doc, "\"}\n");
        dump->checksum += XXH3_64bits(doc.data, doc.len - 1);
        CHECK_INT(fwrite(doc.data, 1, doc.len, file), ==, doc.len);
        bytes += (int64_t)doc.len;
    }
    CHECK_INT(fclose(file), ==, 0);
    ms_buf_done(&doc);
    *out_bytes = bytes;
}

static void import_start(struct ms_dump *dump)
{
    CHECK_INT(ms_test_ctl(fleet,
                          "--json dump import %s --dataset large "
                          "--chunk-size 256MiB",
                          dump->path),
              ==, 0);
    snprintf(dump->id, sizeof(dump->id), "%s", ms_test_ctl_field("id"));
}

/* A worker that has a chunk beyond its first 32 MiB. */
static struct ms_proc **busy_worker(struct ms_dump *dump,
                                    struct ms_proc **workers, size_t n)
{
    for (int64_t chunk = 0; chunk < 4; chunk++) {
        char *pod = ms_xstrdup(ms_dump_chunk_field(dump, fleet, chunk, "pod"));
        double progress =
            atof(ms_dump_chunk_field(dump, fleet, chunk, "progress"));

        for (size_t i = 0; i < n; i++) {
            if (progress < 0.125 || strcmp(pod, ms_test_pod_id(workers[i])))
                continue;
            free(pod);
            return &workers[i];
        }
        free(pod);
    }
    return NULL;
}

/* By a program that shares no code with muster. */
static void check_export(const struct ms_dump *dump)
{
    char *command = ms_xasprintf(
        "%s/musterctl --config %s dataset export large | %s/linesum",
        MS_TEST_BIN_DIR, fleet->conf, MS_TEST_BIN_DIR);
    const char *argv[] = {"sh", "-c", command, NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);
    char *want = ms_xasprintf("docs=%" PRId64 " ", dump->n_docs);
    char *sum = ms_xasprintf("checksum=%016" PRIx64, dump->checksum);

    CHECK_INT(ms_proc_wait(proc, END_S * 1000), ==, 0);
    CHECK_CONTAINS(ms_proc_stdout(proc), want);
    CHECK_CONTAINS(ms_proc_stdout(proc), sum);
    ms_proc_free(proc);
    free(sum);
    free(want);
    free(command);
}

static TEST(test_a_gibibyte_over_three_pods_with_one_killed)
{
    struct ms_proc *coordinator, *workers[3], **victim;
    struct ms_dump dump;
    int64_t bytes, begun, took, reread;
    char checksum[24];

    if (getenv("MUSTER_TEST_LARGE") == NULL)
        skip();
    fleet = ms_test_fleet_new(NULL, CONF);
    coordinator = ms_test_coordinator(fleet);
    for (size_t i = 0; i < MS_COUNT_OF(workers); i++)
        workers[i] = ms_test_worker(fleet);
    ms_dump_init(&dump, "large");
    write_large(&dump, &bytes);

    begun = ms_clock_mono_ms();
    import_start(&dump);
    WAIT_FOR(120000, (victim = busy_worker(&dump, workers, 3)) != NULL);
    ms_proc_signal(*victim, SIGKILL);
    CHECK(ms_dump_is(&dump, fleet, "waiting"));
    WAIT_FOR(END_S * 1000, !ms_dump_is(&dump, fleet, "waiting"));
    took = ms_clock_mono_ms() - begun;
    reread = ms_dump_tally(&dump, fleet, "reread");
    print_message("%.1f s, %.1f MB/s, %lld bytes read again, %lld chunks "
                  "taken over\n",
                  (double)took / 1000, (double)bytes / 1000 / (double)took,
                  (long long)reread,
                  (long long)ms_dump_stat(fleet, "reclaimed"));

    CHECK(ms_dump_is(&dump, fleet, "done"));
    snprintf(checksum, sizeof(checksum), "\"%016" PRIx64 "\"", dump.checksum);
    CHECK_STR(ms_dump_show(&dump, fleet, "result.checksum"), checksum);
    CHECK_INT(ms_dump_show_num(&dump, fleet, "result.docs"), ==, dump.n_docs);
    CHECK_INT(ms_dump_show_num(&dump, fleet, "result.bytes"), ==, bytes);
    CHECK_INT(ms_dump_show_num(&dump, fleet, "result.chunks"), ==, 4);
    CHECK_INT(ms_dump_stat(fleet, "reclaimed"), >, 0);
    CHECK_INT(reread, <=, AHEAD * ms_dump_stat(fleet, "reclaimed"));
    CHECK_INT(ms_dump_tally(&dump, fleet, "read"), ==, bytes + reread);
    check_export(&dump);
    ms_dump_check_keys(fleet);

    unlink(dump.path);
    ms_dump_done(&dump);
    for (size_t i = 0; i < MS_COUNT_OF(workers); i++)
        ms_proc_free(workers[i]);
    ms_proc_free(coordinator);
    ms_test_fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_gibibyte_over_three_pods_with_one_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

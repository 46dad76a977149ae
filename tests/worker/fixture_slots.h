/*
 * fixture_slots: a pool of real slots in a test program, and what happened to
 * each job.
 *
 * The children are this same program: main() hands over to ms_slot_main() when
 * argv[1] is "--slot".  The program's own `ms_handlers` is the
 * table of kinds that they can run.
 */
#pragma once

#include "tests/support/support.h"

#include <dirent.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/val.h"
#include "worker/plugin.h"
#include "worker/slot_child.h"
#include "worker/slots.h"

#define UNUSED __attribute__((unused))

/* What was told about a job, in order: s c e r for started, checkpoint,
 * ended, returned. */
struct job {
    struct ms_held held; /* first: events name the job by it */
    char told[64];
    struct ms_ending ending;
    struct ms_checkpoint checkpoint; /* merged */
    int checkpoints;
};

struct pool {
    struct ev_loop *loop;
    struct ms_conf *conf;
    struct ms_routes *routes;
    struct ms_slots *slots;
    struct ms_slots_events events;
    int settled, told;
    ev_timer tick;
};

static void tell(struct job *job, char what)
{
    size_t len = strlen(job->told);

    if (len + 1 < sizeof(job->told))
        job->told[len] = what;
}

static void on_started(struct ms_held *held, void *arg)
{
    ((struct pool *)arg)->told++;
    CHECK_INT(held->started_us, >, 0);
    tell((struct job *)held, 's');
}

static void on_checkpoint(struct ms_held *held,
                          struct ms_checkpoint *checkpoint, void *arg)
{
    struct job *job = (struct job *)held;

    ((struct pool *)arg)->told++;
    if (job->checkpoints++ < 8) /* a flood would leave no room */
        tell(job, 'c');
    ms_checkpoint_merge(&job->checkpoint, checkpoint);
}

static void on_ended(struct ms_held *held, struct ms_ending *ending, void *arg)
{
    struct job *job = (struct job *)held;

    ((struct pool *)arg)->told++;
    CHECK(held->slot == NULL);
    tell(job, 'e');
    job->ending = *ending;
}

static void on_returned(struct ms_held *held, void *arg)
{
    ((struct pool *)arg)->told++;
    CHECK(held->slot == NULL);
    tell((struct job *)held, 'r');
}

static void on_settled(void *arg)
{
    ((struct pool *)arg)->settled++;
}

static void on_tick(struct ev_loop *loop UNUSED, ev_timer *w UNUSED,
                    int revents UNUSED)
{
}

/* Where the children look for Redis. */
static const char *fixture_redis_url = "redis://127.0.0.1:1";

static UNUSED struct ms_conf *conf_of(const char *yaml, char **out_path)
{
    struct ms_conf_flags flags = {.redis = fixture_redis_url};
    struct ms_conf *conf = NULL;
    struct ms_error error = {""};

    flags.config = *out_path = ms_test_file("muster.yaml", yaml, strlen(yaml));
    ms_conf_load(&flags, (char *const[]){NULL}, &conf, &error);
    CHECK_STR(error.text, "");
    return conf;
}

/* `yaml` is the configuration of the pool and its children. */
static UNUSED struct pool *pool_new(int concurrency, const char *yaml)
{
    struct pool *pool = ms_xcalloc(1, sizeof(*pool));
    char *path;
    struct ms_slots_options options;

    pool->loop = ev_default_loop(EVFLAG_AUTO);
    pool->events = (struct ms_slots_events){on_started, on_checkpoint, on_ended,
                                            on_returned, on_settled};
    pool->conf = conf_of(yaml, &path);
    pool->routes = ms_routes_new();
    CHECK_INT(ms_routes_add_pools(pool->routes, pool->conf, NULL), ==, MS_OK);
    if (pool->conf->worker_handlers_dir != NULL)
        CHECK_INT(ms_plugins_probe(pool->conf->worker_handlers_dir,
                                   pool->routes, NULL),
                  ==, MS_OK);
    options = (struct ms_slots_options){.conf = pool->conf,
                                        .conf_path = path,
                                        .routes = pool->routes,
                                        .pod_id = "POD1",
                                        .concurrency = concurrency,
                                        .events = &pool->events,
                                        .arg = pool,
                                        .stop_grace_ms = 100};
    pool->slots = ms_slots_new(pool->loop, &options);
    free(path);
    ev_timer_init(&pool->tick, on_tick, 0.02, 0.02);
    ev_timer_start(pool->loop, &pool->tick);
    return pool;
}

static UNUSED void pool_free(struct pool *pool)
{
    ms_slots_free(pool->slots);
    ev_timer_stop(pool->loop, &pool->tick);
    ms_routes_free(pool->routes);
    ms_conf_free(pool->conf);
    free(pool);
}

/* Runs the loop until the condition holds. */
#define RUN_UNTIL(pool, cond)                                     \
    do {                                                          \
        int64_t run_end = ms_wait_deadline(60000);                \
        while (!(cond)) {                                         \
            if (ms_clock_mono_ms() > run_end)                     \
                ms_wait_tick(run_end, #cond, __FILE__, __LINE__); \
            ev_run((pool)->loop, EVRUN_ONCE);                     \
        }                                                         \
    } while (0)

/* A job whose payload is given as JSON; "" is no payload. */
static UNUSED struct job *job_new(const char *kind, const char *payload)
{
    static int count;
    struct job *job = ms_xcalloc(1, sizeof(*job));
    struct ms_buf bytes = MS_BUF_INIT;
    struct ms_val val;

    job->held.id = ms_xasprintf("J%d", ++count);
    job->held.kind = ms_xstrdup(kind);
    job->held.queue = ms_xstrdup("q");
    job->held.attempt = 2;
    job->held.fence = 77;
    job->held.timeout_ms = 60000;
    job->held.chunk = -1;
    job->checkpoint.progress = -1;
    if (payload[0] == '\0')
        return job;
    CHECK_INT(ms_val_from_json(payload, strlen(payload), &val, NULL), ==,
              MS_OK);
    ms_val_to_msgpack(&val.root, &bytes);
    ms_val_done(&val);
    job->held.payload = (struct ms_bytes){bytes.data, bytes.len};
    return job;
}

static UNUSED void job_free(struct job *job)
{
    ms_checkpoint_done(&job->checkpoint);
    free(job->ending.result.data);
    free(job->held.id);
    free(job->held.kind);
    free(job->held.queue);
    free(job->held.payload.data);
    free(job->held.cursor.data);
    free(job);
}

static UNUSED bool has(const struct job *job, char what)
{
    return strchr(job->told, what) != NULL;
}

static UNUSED int count_told(struct job *const *jobs, int n, char what)
{
    int count = 0;

    for (int i = 0; i < n; i++)
        count += has(jobs[i], what);
    return count;
}

/* Runs one job to its end. */
static UNUSED struct job *job_run(struct pool *pool, const char *kind,
                                  const char *payload)
{
    struct job *job = job_new(kind, payload);

    CHECK(ms_slots_run(pool->slots, &job->held));
    RUN_UNTIL(pool, has(job, 'e'));
    return job;
}

/* The result as JSON; good until the next call. */
static UNUSED const char *result_of(const struct job *job)
{
    static struct ms_buf text;
    struct ms_val val;

    ms_buf_clear(&text);
    if (job->ending.result.data == NULL)
        return NULL;
    CHECK_INT(ms_val_from_msgpack(job->ending.result.data,
                                  job->ending.result.len, &val, NULL),
              ==, MS_OK);
    ms_val_to_json(&val.root, &text);
    ms_val_done(&val);
    return ms_buf_str(&text);
}

/* ---- looking at processes ---- */

static UNUSED size_t read_proc(pid_t pid, const char *name, char *out,
                               size_t size)
{
    char path[64];
    FILE *file;
    size_t len = 0;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    file = fopen(path, "re");
    if (file != NULL) {
        len = fread(out, 1, size - 1, file);
        fclose(file);
    }
    out[len] = '\0';
    return len;
}

/* The state letter of /proc/PID/stat; 0: no such process. */
static UNUSED char proc_state(pid_t pid)
{
    char stat[1024];
    const char *paren;

    read_proc(pid, "stat", stat, sizeof(stat));
    paren = strrchr(stat, ')');
    return paren == NULL ? 0 : paren[2];
}

static UNUSED bool is_alive(pid_t pid)
{
    char state = proc_state(pid);

    return state != 0 && state != 'Z' && state != 'X';
}

static UNUSED pid_t parent_of(pid_t pid)
{
    char stat[1024];
    const char *paren;

    read_proc(pid, "stat", stat, sizeof(stat));
    paren = strrchr(stat, ')');
    return paren == NULL ? 0 : (pid_t)atoi(paren + 4);
}

/* Living processes one of whose arguments is or holds `mark` (not counting
 * ourselves); the pid of the last one goes to *out_pid. */
static UNUSED int count_procs(const char *mark, pid_t *out_pid)
{
    DIR *dir = opendir("/proc");
    char line[4096];
    int count = 0;

    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        size_t len;

        if (pid <= 0 || pid == getpid() || !is_alive(pid))
            continue;
        len = read_proc(pid, "cmdline", line, sizeof(line));
        if (memmem(line, len, mark, strlen(mark)) == NULL)
            continue;
        count++;
        if (out_pid != NULL)
            *out_pid = pid;
    }
    closedir(dir);
    return count;
}

/* The pid of slot `i` as the pool describes it; 0: it has none. */
static UNUSED pid_t slot_pid(struct pool *pool, int i)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_val val;
    pid_t pid = 0;

    ms_slots_describe(pool->slots, &text);
    CHECK_INT(ms_val_from_json(text.data, text.len, &val, NULL), ==, MS_OK);
    for (uint32_t k = 0; k < val.root.via.array.size; k++)
        if (ms_val_int(&val.root.via.array.ptr[k], "slot", -1) == i)
            pid = (pid_t)ms_val_int(&val.root.via.array.ptr[k], "pid", 0);
    ms_val_done(&val);
    ms_buf_done(&text);
    return pid;
}

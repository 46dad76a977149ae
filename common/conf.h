/*
 * conf: the configuration of all three programs, one file, one table.
 *
 * Flags beat environment, environment beats the file, the file beats defaults.
 * The table in conf_table.c holds each option's name, type, default and check;
 * parsing, --check-config, MUSTER_SECTION__KEY and conf/muster.yaml follow
 * it.  A mistake is reported as "file:line: ..." (or "MUSTER_X: ...").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/log.h"

/* A queue's settings.  -1 stands for "not said here": the seed leaves that
 * field alone, and the queue's default counts. */
struct ms_queue_conf {
    char *name;
    int64_t max_workers;                                      /* default 1 */
    int64_t max_attempts;                                     /* 5 */
    int64_t timeout_ms;                                       /* 10m */
    int64_t backoff_enabled, backoff_base_ms, backoff_max_ms; /* 1 5s 30m */
    int64_t retain_done_ms, retain_dead_ms, retain_done_max;  /* 7d 30d 10000 */
    int64_t max_length;                                       /* 0: unbounded */
    char *when_full;     /* "refuse" or "drop_oldest"; NULL: not said */
    int64_t group_max;   /* 0: no cap */
    int64_t crash_limit; /* 3 */
};

struct ms_kind_conf {
    char *prefix, *queue, *limit;     /* NULL: not said */
    int64_t max_attempts, timeout_ms; /* -1: not said */
};

struct ms_limit_conf {
    char *scope;
    int64_t capacity;         /* 1 to 1,000,000 */
    double refill_per_second; /* 0 to 1,000,000; 0: never */
};

struct ms_pool_conf {
    char **kinds, **argv, **env; /* NULL-terminated; env as "NAME=value" */
    char *cwd, *limit;           /* NULL: not said */
    int64_t timeout_ms;
    bool resumes; /* a drain stops it (TERM) and hands its job back */
};

/* A schedule's definition, as the file, `cron set` and Redis have it. */
struct ms_schedule_conf {
    char *name;
    char *cron, *tz;         /* cron.h, zone.h; both checked */
    char *kind, *queue;      /* of the kind, where none is said */
    char *payload;           /* JSON text */
    char *misfire, *overlap; /* "skip", "once", "catch-up 3"; "skip", "allow" */
    int64_t enabled;         /* 1 or 0 */
};

struct ms_conf {
    char *fleet;
    char *redis_url;
    int64_t redis_connect_timeout_ms;
    int64_t redis_command_timeout_ms; /* worked out when null in the file */
    enum ms_log_level log_level;
    bool log_json;

    char **worker_queues; /* NULL-terminated, trimmed, no repeats */
    int64_t worker_concurrency, worker_grace_ms, worker_claim_ttl_ms;
    int64_t worker_heartbeat_ms;
    char *worker_handlers_dir;        /* NULL: none */
    int64_t worker_slot_memory_bytes; /* 0: off */
    char *worker_http;                /* "host:port", or "off" */
    /* From MUSTER_WORKER_*; NULL: not set.  See ms_conf_worker_label(). */
    char *worker_prefix, *worker_version, *worker_id;

    char *coordinator_http;
    int64_t coordinator_lease_ttl_ms;
    char *coordinator_staging_dir;
    bool coordinator_enforce; /* reconcile: enforce */

    char *http_token_file, *http_readonly_token_file;

    struct ms_queue_conf *queues;
    size_t n_queues;
    struct ms_kind_conf *kinds;
    size_t n_kinds;
    struct ms_pool_conf *pools;
    size_t n_pools;
    struct ms_limit_conf *limits;
    size_t n_limits;

    struct ms_schedule_conf *schedules;
    size_t n_schedules;

    char **exec_allow; /* NULL-terminated; empty: refuse every program */
    char *exec_cwd_root;
    int64_t exec_timeout_ms;

    int64_t max_payload_bytes;
    int64_t dump_chunk_size_bytes, dump_batch_docs, dump_batch_bytes;
    int64_t dump_max_line_bytes;
    bool gc_enabled;
    int64_t gc_interval_ms;
    int64_t uploads_ttl_ms, uploads_ack_retention_ms, uploads_sweep_ms;
    int64_t health_interval_ms, certs_interval_ms, certs_renew_before_ms;
    /* locations, health.checks, certs.watch and bootstrap
     * are checked for shape here; the issue that builds each adds its
     * struct. */
};

/* What the command line says; NULL: not said. */
struct ms_conf_flags {
    const char *config; /* --config FILE */
    const char *redis;  /* --redis URL */
    const char *fleet;  /* --fleet NAME */
};

/* Reads flags, `environ` and the file (MUSTER_CONFIG where no flag names one;
 * no file at all is fine).  On success the caller frees the result.  MS_EIO
 * where the file cannot be read, else MS_EINVAL.  A variable that is empty
 * counts as not set; one with a double underscore that names no option is an
 * error, others are ignored (MUSTER_JOB_ID).  Does not demand worker.queues:
 * that is the worker's ms_conf_check_worker(). */
enum ms_err ms_conf_load(const struct ms_conf_flags *flags,
                         char *const *environment, struct ms_conf **out_conf,
                         struct ms_error *error);
void ms_conf_free(struct ms_conf *conf);

/* What only a worker needs: at least one queue. */
enum ms_err ms_conf_check_worker(const struct ms_conf *conf,
                                 struct ms_error *error);

/* Returns a new "{prefix}-worker-{version}-{id}", or NULL without a prefix:
 * then the pod's id is shown.  Without an id four hex digits are made of the
 * pod's id. */
char *ms_conf_worker_label(const struct ms_conf *conf, const char *pod_id);

/* ---- what is said of a job's kind ---- */

/* A handler's pattern is a kind, or the start of kinds: one that ends in '.'
 * ("py.") or in a star ("py*"; "*" stands for all). */
bool ms_kind_is_prefix(const char *pattern);
/* MS_EINVAL unless it is one: a name, maybe with a star behind. */
enum ms_err ms_kind_check(const char *pattern, struct ms_error *error);
/* How well it fits: 0 not at all, more for a longer start, SIZE_MAX for the
 * kind itself. */
size_t ms_kind_fit(const char *pattern, const char *kind);

/* The entry of `kinds:` with the longest prefix of the kind; of `pools:` with
 * the pattern that fits best.  NULL: none. */
const struct ms_kind_conf *ms_conf_kind(const struct ms_conf *conf,
                                        const char *kind);
const struct ms_pool_conf *ms_conf_pool(const struct ms_conf *conf,
                                        const char *kind);
/* The rate scope that a job of this kind needs a token of before it runs: what
 * `kinds:` says, else its pool.  NULL: none. */
const char *ms_conf_limit(const struct ms_conf *conf, const char *kind);

/* The settings of one queue as `field value` pairs for the configure script,
 * only what was said; `fn` is called for each.  Also used by `queue set`,
 * whose "key=value" it checks: MS_EINVAL for an unknown key or bad value.
 * Values are written as Redis keeps them: ms, counts, words. */
typedef void ms_queue_field_fn(const char *field, const char *value, void *arg);
void ms_queue_conf_each(const struct ms_queue_conf *queue,
                        ms_queue_field_fn *fn, void *arg);
enum ms_err ms_queue_conf_parse(const char *key, const char *text,
                                char *out_field, size_t field_size,
                                char *out_value, size_t value_size,
                                struct ms_error *error);

/* The same for a limit: "capacity", "refill_per_second" or "tokens" (what it
 * holds now), as `limit set` has them. */
enum ms_err ms_limit_conf_parse(const char *key, const char *text,
                                char *out_value, size_t size,
                                struct ms_error *error);

/* A number of tokens as Redis keeps it: a decimal fraction of at most six
 * digits.  Returns `out`. */
const char *ms_limit_format(double tokens, char *out, size_t size);

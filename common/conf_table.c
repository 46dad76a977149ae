#include "common/conf_table.h"

#include "common/conf.h"

#define AT(member)          .at = offsetof(struct ms_conf, member)
#define IN_QUEUE(member)    .at = offsetof(struct ms_queue_conf, member)
#define IN_KIND(member)     .at = offsetof(struct ms_kind_conf, member)
#define IN_POOL(member)     .at = offsetof(struct ms_pool_conf, member)
#define IN_LIMIT(member)    .at = offsetof(struct ms_limit_conf, member)
#define IN_SCHEDULE(member) .at = offsetof(struct ms_schedule_conf, member)
#define NOWHERE             .at = MS_FIELD_NOWHERE
#define END          \
    {                \
        .name = NULL \
    }

#define SECOND_MS 1000
#define HOUR_MS   3600000
#define KIB       1024
#define MIB       (1024 * 1024)

const char ms_conf_default_queues[] =
    "queues:\n"
    "  - { name: default, max_workers: 4 }\n"
    "  - { name: dump, max_workers: 16, max_attempts: 5, timeout: 10m,\n"
    "      backoff: { enabled: true, base: 5s, max: 30m }, retain_done: 7d,\n"
    "      retain_dead: 30d, retain_done_max: 10000, max_length: 0,\n"
    "      when_full: refuse, group_max: 0, crash_limit: 3 }\n";

static const struct ms_field redis_table[] = {
    {"url", MS_FIELD_URL, AT(redis_url), "redis://127.0.0.1:6379"},
    {"connect_timeout", MS_FIELD_DURATION, AT(redis_connect_timeout_ms), "2s",
     .min = 1, .max = HOUR_MS},
    {"command_timeout", MS_FIELD_DURATION, AT(redis_command_timeout_ms),
     .min = 1, .max = HOUR_MS},
    END};

static const struct ms_field log_table[] = {
    {"level", MS_FIELD_LEVEL, AT(log_level), "info",
     .words = "debug|info|warn|error"},
    {"format", MS_FIELD_SECOND, AT(log_json), "logfmt", .words = "logfmt|json"},
    END};

static const struct ms_field worker_table[] = {
    {"queues", MS_FIELD_NAMES, AT(worker_queues)},
    {"concurrency", MS_FIELD_COUNT, AT(worker_concurrency), "8", .min = 1,
     .max = 1024},
    {"grace", MS_FIELD_DURATION, AT(worker_grace_ms), "25s", .min = SECOND_MS},
    {"claim_ttl", MS_FIELD_DURATION, AT(worker_claim_ttl_ms), "30s",
     .min = SECOND_MS},
    {"heartbeat", MS_FIELD_DURATION, AT(worker_heartbeat_ms), "5s", .min = 100},
    {"handlers_dir", MS_FIELD_TEXT, AT(worker_handlers_dir)},
    {"slot_memory", MS_FIELD_SIZE, AT(worker_slot_memory_bytes), "256MiB"},
    {"http", MS_FIELD_ADDRESS, AT(worker_http), "127.0.0.1:7781"},
    END};

static const struct ms_field coordinator_table[] = {
    {"http", MS_FIELD_ADDRESS, AT(coordinator_http), "127.0.0.1:7780"},
    {"lease_ttl", MS_FIELD_DURATION, AT(coordinator_lease_ttl_ms), "15s",
     .min = SECOND_MS},
    {"staging_dir", MS_FIELD_TEXT, AT(coordinator_staging_dir),
     "./var/staging"},
    {"reconcile", MS_FIELD_SECOND, AT(coordinator_enforce), "observe",
     .words = "observe|enforce"},
    END};

static const struct ms_field http_table[] = {
    {"token_file", MS_FIELD_TEXT, AT(http_token_file)},
    {"readonly_token_file", MS_FIELD_TEXT, AT(http_readonly_token_file)},
    END};

static const struct ms_field backoff_table[] = {
    {"enabled", MS_FIELD_FLAG, IN_QUEUE(backoff_enabled),
     .stored = "backoff_enabled"},
    {"base", MS_FIELD_DURATION, IN_QUEUE(backoff_base_ms), .min = 1,
     .stored = "backoff_base_ms"},
    {"max", MS_FIELD_DURATION, IN_QUEUE(backoff_max_ms), .min = 1,
     .stored = "backoff_max_ms"},
    END};

const struct ms_field ms_queue_table[] = {
    {"name", MS_FIELD_NAME, IN_QUEUE(name), .required = true, .unique = true},
    {"max_workers", MS_FIELD_COUNT, IN_QUEUE(max_workers),
     .stored = "max_workers"},
    {"max_attempts", MS_FIELD_COUNT, IN_QUEUE(max_attempts), .min = 1,
     .stored = "max_attempts"},
    {"timeout", MS_FIELD_DURATION, IN_QUEUE(timeout_ms), .min = 1,
     .stored = "timeout_ms"},
    {"backoff", MS_FIELD_MAP, .fields = backoff_table},
    {"retain_done", MS_FIELD_DURATION, IN_QUEUE(retain_done_ms),
     .stored = "retain_done_ms"},
    {"retain_dead", MS_FIELD_DURATION, IN_QUEUE(retain_dead_ms),
     .stored = "retain_dead_ms"},
    {"retain_done_max", MS_FIELD_COUNT, IN_QUEUE(retain_done_max),
     .stored = "retain_done_max"},
    {"max_length", MS_FIELD_COUNT, IN_QUEUE(max_length),
     .stored = "max_length"},
    {"when_full", MS_FIELD_WORD, IN_QUEUE(when_full),
     .words = "refuse|drop_oldest", .stored = "when_full"},
    {"group_max", MS_FIELD_COUNT, IN_QUEUE(group_max), .stored = "group_max"},
    {"crash_limit", MS_FIELD_COUNT, IN_QUEUE(crash_limit), .min = 1,
     .stored = "crash_limit"},
    END};

static const struct ms_field kind_table[] = {
    {"prefix", MS_FIELD_NAME, IN_KIND(prefix), .required = true,
     .unique = true},
    {"queue", MS_FIELD_NAME, IN_KIND(queue)},
    {"max_attempts", MS_FIELD_COUNT, IN_KIND(max_attempts), .min = 1},
    {"timeout", MS_FIELD_DURATION, IN_KIND(timeout_ms), .min = 1},
    {"limit", MS_FIELD_NAME, IN_KIND(limit)},
    END};

static const struct ms_field exec_table[] = {
    {"allow", MS_FIELD_TEXTS, AT(exec_allow)},
    {"cwd_root", MS_FIELD_TEXT, AT(exec_cwd_root)},
    {"timeout", MS_FIELD_DURATION, AT(exec_timeout_ms), "10m", .min = 1},
    END};

static const struct ms_field pool_table[] = {
    {"kinds", MS_FIELD_KINDS, IN_POOL(kinds), .required = true},
    {"argv", MS_FIELD_TEXTS, IN_POOL(argv), .required = true},
    {"env", MS_FIELD_PAIRS, IN_POOL(env)},
    {"cwd", MS_FIELD_TEXT, IN_POOL(cwd)},
    {"timeout", MS_FIELD_DURATION, IN_POOL(timeout_ms), "10m", .min = 1},
    {"limit", MS_FIELD_NAME, IN_POOL(limit)},
    {"resumes", MS_FIELD_BOOL, IN_POOL(resumes), "false"},
    END};

#define TOKENS_MAX 1000000 /* as lua/_limit.lua has it */

static const struct ms_field limit_table[] = {
    {"scope", MS_FIELD_NAME, IN_LIMIT(scope), .required = true, .unique = true},
    {"capacity", MS_FIELD_COUNT, IN_LIMIT(capacity), .min = 1,
     .max = TOKENS_MAX, .required = true},
    {"refill_per_second", MS_FIELD_DOUBLE, IN_LIMIT(refill_per_second),
     .max = TOKENS_MAX, .required = true},
    END};

const struct ms_field ms_limit_settings[] = {
    {"capacity", MS_FIELD_COUNT, IN_LIMIT(capacity), .min = 1,
     .max = TOKENS_MAX, .required = true},
    {"refill_per_second", MS_FIELD_DOUBLE, IN_LIMIT(refill_per_second),
     .max = TOKENS_MAX, .required = true},
    {"tokens", MS_FIELD_DOUBLE, IN_LIMIT(refill_per_second), .max = TOKENS_MAX,
     .required = true},
    END};

const struct ms_field ms_schedule_table[] = {
    {"name", MS_FIELD_NAME, IN_SCHEDULE(name), .required = true,
     .unique = true},
    {"cron", MS_FIELD_CRON, IN_SCHEDULE(cron), .required = true},
    {"tz", MS_FIELD_ZONE, IN_SCHEDULE(tz), "UTC"},
    {"kind", MS_FIELD_NAME, IN_SCHEDULE(kind), .required = true},
    {"queue", MS_FIELD_NAME, IN_SCHEDULE(queue)},
    {"payload", MS_FIELD_JSON, IN_SCHEDULE(payload), "{}"},
    {"misfire", MS_FIELD_MISFIRE, IN_SCHEDULE(misfire), "once"},
    {"overlap", MS_FIELD_WORD, IN_SCHEDULE(overlap), "skip",
     .words = "skip|allow"},
    {"enabled", MS_FIELD_FLAG, IN_SCHEDULE(enabled), "true"},
    END};

static const struct ms_field dump_table[] = {
    {"chunk_size_bytes", MS_FIELD_SIZE, AT(dump_chunk_size_bytes), "268435456",
     .min = 4 * KIB},
    {"batch_docs", MS_FIELD_COUNT, AT(dump_batch_docs), "200", .min = 1,
     .max = 10000},
    {"batch_bytes", MS_FIELD_SIZE, AT(dump_batch_bytes), "256KiB", .min = 1,
     .max = 64 * MIB},
    {"max_line_bytes", MS_FIELD_SIZE, AT(dump_max_line_bytes), "16MiB",
     .min = 1, .max = 256 * MIB},
    END};

static const struct ms_field gc_table[] = {
    {"enabled", MS_FIELD_BOOL, AT(gc_enabled), "false"},
    {"interval", MS_FIELD_DURATION, AT(gc_interval_ms), "60s", .min = 1},
    END};

static const struct ms_field location_table[] = {
    {"name", MS_FIELD_NAME, NOWHERE, .required = true, .unique = true},
    {"path", MS_FIELD_TEXT, NOWHERE, .required = true},
    END};

static const struct ms_field uploads_table[] = {
    {"ttl", MS_FIELD_DURATION, AT(uploads_ttl_ms), "24h", .min = 1},
    {"ack_retention", MS_FIELD_DURATION, AT(uploads_ack_retention_ms), "1h"},
    {"sweep_interval", MS_FIELD_DURATION, AT(uploads_sweep_ms), "5m", .min = 1},
    END};

/* Checks, watches and boot jobs are read by what will run them. */
static const struct ms_field health_table[] = {
    {"interval", MS_FIELD_DURATION, AT(health_interval_ms), "30s", .min = 1},
    {"checks", MS_FIELD_ANYS, NOWHERE},
    END};

static const struct ms_field certs_table[] = {
    {"interval", MS_FIELD_DURATION, AT(certs_interval_ms), "1h", .min = 1},
    {"renew_before", MS_FIELD_DURATION, AT(certs_renew_before_ms), "30d"},
    {"watch", MS_FIELD_ANYS, NOWHERE},
    END};

const struct ms_field ms_conf_table[] = {
    {"fleet", MS_FIELD_NAME, AT(fleet), "main"},
    {"redis", MS_FIELD_MAP, .fields = redis_table},
    {"log", MS_FIELD_MAP, .fields = log_table},
    {"worker", MS_FIELD_MAP, .fields = worker_table},
    {"coordinator", MS_FIELD_MAP, .fields = coordinator_table},
    {"http", MS_FIELD_MAP, .fields = http_table},
    {"queues", MS_FIELD_MAPS, AT(queues), .fields = ms_queue_table,
     .n_at = offsetof(struct ms_conf, n_queues),
     .size = sizeof(struct ms_queue_conf)},
    {"kinds", MS_FIELD_MAPS, AT(kinds), .fields = kind_table,
     .n_at = offsetof(struct ms_conf, n_kinds),
     .size = sizeof(struct ms_kind_conf)},
    {"exec", MS_FIELD_MAP, .fields = exec_table},
    {"pools", MS_FIELD_MAPS, AT(pools), .fields = pool_table,
     .n_at = offsetof(struct ms_conf, n_pools),
     .size = sizeof(struct ms_pool_conf)},
    {"limits", MS_FIELD_MAPS, AT(limits), .fields = limit_table,
     .n_at = offsetof(struct ms_conf, n_limits),
     .size = sizeof(struct ms_limit_conf)},
    {"schedules", MS_FIELD_MAPS, AT(schedules), .fields = ms_schedule_table,
     .n_at = offsetof(struct ms_conf, n_schedules),
     .size = sizeof(struct ms_schedule_conf)},
    {"max_payload", MS_FIELD_SIZE, AT(max_payload_bytes), "1MiB", .min = 1,
     .max = 256 * MIB},
    {"dump_import", MS_FIELD_MAP, .fields = dump_table},
    {"gc_scheduling", MS_FIELD_MAP, .fields = gc_table},
    {"locations", MS_FIELD_MAPS, NOWHERE, .fields = location_table},
    {"uploads", MS_FIELD_MAP, .fields = uploads_table},
    {"health", MS_FIELD_MAP, .fields = health_table},
    {"certs", MS_FIELD_MAP, .fields = certs_table},
    {"bootstrap", MS_FIELD_ANYS, NOWHERE},
    END};

#include "ctl/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fleet.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/val.h"
#include "ctl/view.h"
#include "muster_version.h"
#include "scripts.h"

#define PINGS           21
#define LATENCY_WARN_US 5000
#define LATENCY_FAIL_US 200000
#define LISTPACK_WANTED 1024

struct doctor {
    struct ms_client *client;
    struct ms_json *json;
    bool healthy;
};

/* `status` "ok", "warn" or "fail"; advice NULL with "ok". */
static void finding(struct doctor *d, const char *check, const char *status,
                    const char *advice, const char *detail)
{
    ms_json_open(d->json, '{');
    ms_json_key(d->json, "check");
    ms_json_str(d->json, check);
    ms_json_key(d->json, "status");
    ms_json_str(d->json, status);
    ms_json_key(d->json, "detail");
    ms_json_str(d->json, detail);
    ms_json_key(d->json, "advice");
    ms_json_str(d->json, strcmp(status, "ok") == 0 ? NULL : advice);
    ms_json_close(d->json);
    if (strcmp(status, "fail") == 0)
        d->healthy = false;
}

/* The value of "name:value\r\n" in INFO's answer, a new string; NULL: none. */
static char *info_get(const char *info, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = info; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, len) == 0 && at[len] == ':')
            return ms_xstrndup(at + len + 1, strcspn(at + len + 1, "\r\n"));
        if (*at == '\0')
            break;
    }
    return NULL;
}

/* CONFIG may be forbidden (managed Redis): then the value is not known. */
static char *config_get(struct doctor *d, const char *name)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char *value = NULL;

    ms_cmd_plain(&cmd, "CONFIG", "GET", name, NULL);
    if (ms_client_ask(d->client, &cmd, &reply, NULL) == MS_OK &&
        reply->n_items >= 2)
        value = ms_xstrdup(ms_reply_str(ms_reply_at(reply, 1), ""));
    ms_reply_free(reply);
    return value;
}

int ms_doctor_version(const char *text, int *out_minor)
{
    int major = 0;

    *out_minor = 0;
    if (text == NULL || sscanf(text, "%d.%d", &major, out_minor) < 1)
        return 0;
    return major;
}

static void check_version(struct doctor *d, const char *info)
{
    char *redis = info_get(info, "redis_version");
    char *valkey = info_get(info, "valkey_version");
    char *detail;
    int minor;
    int major = ms_doctor_version(redis, &minor);

    detail = valkey != NULL
                 ? ms_xasprintf("Valkey %s", valkey)
                 : ms_xasprintf("Redis %s", redis != NULL ? redis : "?");
    finding(d, "version", major >= 7 || valkey != NULL ? "ok" : "fail",
            "use Redis 7.0 or newer, or Valkey", detail);
    free(detail);
    free(redis);
    free(valkey);
}

static void check_persistence(struct doctor *d, const char *info)
{
    char *aof = info_get(info, "aof_enabled");
    char *write = info_get(info, "aof_last_write_status");
    char *save = info_get(info, "rdb_last_bgsave_status");
    bool on = aof != NULL && strcmp(aof, "1") == 0;

    if (on && write != NULL && strcmp(write, "ok") != 0)
        finding(d, "persistence", "fail",
                "look into Redis's log; is its disk full?",
                "the append-only file cannot be written");
    else if (on)
        finding(d, "persistence", "ok", NULL, "append-only file");
    else
        finding(d, "persistence", "warn",
                "CONFIG SET appendonly yes (and in redis.conf): else jobs "
                "accepted since the last snapshot go with Redis",
                "no append-only file");
    if (save != NULL && strcmp(save, "ok") != 0)
        finding(d, "snapshot", "warn",
                "look into Redis's log; it refuses writes until a snapshot "
                "succeeds",
                "the last snapshot failed");
    free(aof);
    free(write);
    free(save);
}

static void check_policy(struct doctor *d, const char *info)
{
    char *policy = info_get(info, "maxmemory_policy");
    bool good = policy != NULL && strcmp(policy, "noeviction") == 0;

    finding(d, "maxmemory-policy", good ? "ok" : "fail",
            "CONFIG SET maxmemory-policy noeviction (and in redis.conf): any "
            "other policy lets Redis throw jobs away",
            policy != NULL ? policy : "not known");
    free(policy);
}

static void check_listpack(struct doctor *d)
{
    char *value = config_get(d, "hash-max-listpack-value");

    finding(d, "hash-max-listpack-value",
            value != NULL && atoi(value) >= LISTPACK_WANTED ? "ok" : "warn",
            "CONFIG SET hash-max-listpack-value 1024 (and in redis.conf): "
            "queued jobs then take a third less memory",
            value != NULL ? value : "not known (CONFIG is not permitted)");
    free(value);
}

static int compare_us(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void check_latency(struct doctor *d)
{
    int64_t us[PINGS];
    char detail[80];

    for (int i = 0; i < PINGS; i++) {
        struct ms_cmd cmd = MS_CMD_INIT;
        struct ms_reply *reply = NULL;
        int64_t start = ms_clock_mono_us();

        ms_cmd_plain(&cmd, "PING", NULL);
        if (ms_client_call(d->client, &cmd, &reply, NULL) != MS_OK) {
            finding(d, "latency", "fail", "look at Redis and the network",
                    "it stopped answering");
            return;
        }
        ms_reply_free(reply);
        us[i] = ms_clock_mono_us() - start;
    }
    qsort(us, PINGS, sizeof(us[0]), compare_us);
    snprintf(detail, sizeof(detail), "median %.2f ms of %d",
             (double)us[PINGS / 2] / 1000.0, PINGS);
    finding(d, "latency",
            us[PINGS / 2] < LATENCY_WARN_US   ? "ok"
            : us[PINGS / 2] < LATENCY_FAIL_US ? "warn"
                                              : "fail",
            "keep the pods close to Redis; look for slow commands (SLOWLOG "
            "GET)",
            detail);
}

/* A script that only reads the clock shows that scripts may run; what they may
 * touch is asked of ACL, where that is permitted. */
static void check_scripts(struct doctor *d)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_error why = {""};

    ms_cmd_script(&cmd, &ms_script_ping);
    if (ms_client_ask(d->client, &cmd, &reply, &why) == MS_OK)
        finding(d, "scripts", "ok", NULL, "may run");
    else
        finding(d, "scripts", "fail",
                "permit EVALSHA, EVAL and SCRIPT LOAD to this user", why.text);
    ms_reply_free(reply);
}

/* Calls as muster makes them; KEY is one of the fleet's. */
#define KEY "(key)"
static const char *const calls[][5] = {
    {"HSET", KEY, "f", "v", NULL}, {"ZADD", KEY, "1", "x", NULL},
    {"BLPOP", KEY, "1", NULL},     {"UNLINK", KEY, NULL},
    {"XADD", KEY, "*", "f", "v"},
};

/* Appends what the server would refuse to this user. */
static void call_check(struct doctor *d, const char *user,
                       const char *const *words, struct ms_buf *denied)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;

    ms_cmd_plain(&cmd, "ACL", "DRYRUN", user, NULL);
    for (size_t i = 0; i < MS_COUNT_OF(calls[0]) && words[i] != NULL; i++) {
        if (strcmp(words[i], KEY) == 0)
            ms_cmd_argf(&cmd, "ms:{%s}:doctor", ms_client_fleet(d->client));
        else
            ms_cmd_args(&cmd, words[i]);
    }
    if (ms_client_ask(d->client, &cmd, &reply, NULL) == MS_OK &&
        !ms_reply_is(reply, "OK"))
        ms_buf_addf(denied, "%s%s", denied->len > 0 ? "; " : "",
                    ms_reply_str(reply, words[0]));
    ms_reply_free(reply);
}

static void check_permissions(struct doctor *d)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *user = NULL;
    struct ms_buf denied = MS_BUF_INIT;
    char detail[120];

    ms_cmd_plain(&cmd, "ACL", "WHOAMI", NULL);
    if (ms_client_ask(d->client, &cmd, &user, NULL) != MS_OK) {
        finding(d, "permissions", "ok", NULL,
                "not known (ACL is not permitted)");
        return;
    }
    for (size_t i = 0; i < MS_COUNT_OF(calls); i++)
        call_check(d, ms_reply_str(user, "default"), calls[i], &denied);
    snprintf(detail, sizeof(detail), "user '%.60s' may use the fleet's keys",
             ms_reply_str(user, "default"));
    finding(d, "permissions", denied.len == 0 ? "ok" : "fail",
            "ACL SETUSER ... ~ms:* +@all -@dangerous +info +config|get",
            denied.len == 0 ? detail : ms_buf_str(&denied));
    ms_buf_done(&denied);
    ms_reply_free(user);
}

static void check_schema(struct doctor *d)
{
    struct ms_error why = {""};

    if (ms_client_check_schema(d->client, false, &why) == MS_OK)
        finding(d, "schema", "ok", NULL, "key layout " MS_SCHEMA);
    else
        finding(d, "schema", "fail", "use a musterctl of the fleet's version",
                why.text);
}

/* ---- the fleet ---- */

/* Reads the live pods; an empty array when that fails. */
static void pods_read(struct doctor *d, struct ms_val *out)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&text);
    struct ms_error why;

    ms_json_open(&json, '[');
    (void)ms_view_pods(d->client, NULL, &json, &why);
    ms_json_close(&json);
    if (ms_val_from_json(text.data, text.len, out, NULL) != MS_OK)
        *out = (struct ms_val){0};
    ms_buf_done(&text);
}

static void check_pods(struct doctor *d)
{
    struct ms_val pods = {0};
    struct ms_buf detail = MS_BUF_INIT;
    uint32_t n, others = 0;

    pods_read(d, &pods);
    n = pods.root.type == MSGPACK_OBJECT_ARRAY ? pods.root.via.array.size : 0;
    for (uint32_t i = 0; i < n; i++) {
        const msgpack_object *pod = &pods.root.via.array.ptr[i];

        others += !ms_val_is_str(ms_val_get(pod, "version"), MUSTER_VERSION);
    }
    ms_buf_addf(&detail, "%u live, %u of another version than %s", n, others,
                MUSTER_VERSION);
    finding(d, "pods", n > 0 && others == 0 ? "ok" : "warn",
            n == 0 ? "start workers: nothing runs now"
                   : "finish the upgrade, so that all pods know the same "
                     "kinds",
            ms_buf_str(&detail));
    ms_buf_done(&detail);
    ms_val_done(&pods);
}

static void check_leader(struct doctor *d)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&text);
    struct ms_error why = {""};
    bool there = ms_view_leader(d->client, &json, &why) == MS_OK &&
                 strcmp(ms_buf_str(&text), "null") != 0;

    finding(d, "leader", there ? "ok" : "warn",
            "start a coordinator: imports, schedules and retention wait for "
            "one",
            there ? "a coordinator leads" : "no coordinator leads");
    ms_buf_done(&text);
}

/* Only clients that are not ours need it. */
static void check_functions(struct doctor *d)
{
    struct ms_library_found found = {0};
    struct ms_error why = {""};
    char detail[600];
    enum ms_err err = ms_view_library(d->client, &found, &why);

    if (err != MS_OK)
        snprintf(detail, sizeof(detail), "%s", why.text);
    else if (found.version == 0)
        snprintf(detail, sizeof(detail), "not loaded");
    else
        snprintf(detail, sizeof(detail), "version %lld, ours is %lld",
                 (long long)found.version, (long long)ms_library.version);
    finding(d, "functions",
            err == MS_OK && found.version >= ms_library.version ? "ok" : "warn",
            "start a coordinator whose user may FUNCTION and FCALL_RO, or run "
            "`musterctl functions load`: FCALL muster_enqueue needs them",
            detail);
}

void ms_doctor_run(struct ms_client *client, struct ms_json *json,
                   bool *out_healthy)
{
    struct doctor d = {client, json, true};
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *info = NULL;
    struct ms_error why = {""};

    ms_cmd_plain(&cmd, "INFO", NULL);
    if (ms_client_ask(client, &cmd, &info, &why) == MS_OK) {
        check_version(&d, ms_reply_str(info, ""));
        check_persistence(&d, ms_reply_str(info, ""));
        check_policy(&d, ms_reply_str(info, ""));
    } else {
        finding(&d, "info", "fail", "permit INFO to this user", why.text);
    }
    ms_reply_free(info);
    check_listpack(&d);
    check_latency(&d);
    check_scripts(&d);
    check_permissions(&d);
    check_schema(&d);
    check_pods(&d);
    check_leader(&d);
    check_functions(&d);
    *out_healthy = d.healthy;
}

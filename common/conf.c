#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/address.h"
#include "common/buf.h"
#include "common/conf_table.h"
#include "common/conf_yaml.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/schedule.h"

/* Where an option got its value: "muster.yaml:7", "MUSTER_FLEET", "--fleet". */
struct origin {
    size_t at;
    char *where;
};

/* One load under way. */
struct load {
    struct ms_conf *conf;
    const char *path; /* of the file; NULL: none */
    struct origin *origins;
    size_t n_origins;
    struct ms_error *error;
};

/* Variables that have names of their own. */
static const struct {
    const char *variable, *section, *key;
} aliases[] = {
    {"MUSTER_REDIS_URL", "redis", "url"},
    {"MUSTER_FLEET", NULL, "fleet"},
    {"MUSTER_CONCURRENCY", "worker", "concurrency"},
    {"MUSTER_MAX_PAYLOAD", NULL, "max_payload"},
};

#define LABEL(name, member)                                          \
    {                                                                \
        name, MS_FIELD_LABEL, .at = offsetof(struct ms_conf, member) \
    }
static const struct ms_field labels[] = {LABEL("MUSTER_WORKER_PREFIX",
                                               worker_prefix),
                                         LABEL("MUSTER_WORKER_VERSION",
                                               worker_version),
                                         LABEL("MUSTER_WORKER_ID", worker_id),
                                         {.name = NULL}};

/* ---- origins ---- */

/* Takes `where`.  A later one stands. */
static void set_origin(struct load *load, size_t at, char *where)
{
    size_t n = load->n_origins++;

    load->origins =
        ms_xrealloc(load->origins, (n + 1) * sizeof(*load->origins));
    load->origins[n] = (struct origin){.at = at, .where = where};
}

/* NULL where the default stands. */
static const char *origin_of(const struct load *load, size_t at)
{
    for (size_t i = load->n_origins; i > 0; i--)
        if (load->origins[i - 1].at == at)
            return load->origins[i - 1].where;
    return NULL;
}

static void free_origins(struct load *load)
{
    for (size_t i = 0; i < load->n_origins; i++)
        free(load->origins[i].where);
    free(load->origins);
}

/* ---- the file ---- */

#define MAX_FILE ((size_t)4 * 1024 * 1024)

static enum ms_err read_file(const char *path, struct ms_buf *out,
                             struct ms_error *error)
{
    FILE *file = fopen(path, "re");
    enum ms_err err = MS_OK;
    size_t got;

    if (file == NULL)
        return ms_error_set(error, MS_EIO, "cannot open '%s': %s", path,
                            strerror(errno));
    do {
        got = fread(ms_buf_reserve(out, 4096), 1, 4096, file);
        out->len += got;
    } while (got > 0 && out->len <= MAX_FILE);
    if (ferror(file))
        err = ms_error_set(error, MS_EIO, "cannot read '%s': %s", path,
                           strerror(errno));
    else if (out->len > MAX_FILE)
        err = ms_error_set(error, MS_EINVAL, "'%s' is over 4 MiB", path);
    fclose(file);
    return err;
}

static void on_said(size_t at, size_t line, void *arg)
{
    struct load *load = arg;

    set_origin(load, at, ms_xasprintf("%s:%zu", load->path, line));
}

static enum ms_err load_file(struct load *load)
{
    struct ms_buf text = MS_BUF_INIT;
    enum ms_err err = read_file(load->path, &text, load->error);

    if (err == MS_OK)
        err = ms_conf_yaml_read(load->path, text.data, text.len, ms_conf_table,
                                load->conf, on_said, load, load->error);
    ms_buf_done(&text);
    return err;
}

static void load_default_queues(struct load *load)
{
    if (origin_of(load, offsetof(struct ms_conf, queues)) != NULL)
        return;
    ms_assert(ms_conf_yaml_read("defaults", ms_conf_default_queues,
                                strlen(ms_conf_default_queues), ms_conf_table,
                                load->conf, NULL, NULL, NULL) == MS_OK);
}

/* ---- environment and flags ---- */

static enum ms_err refuse_variable(struct load *load, const char *variable,
                                   const char *why)
{
    return ms_error_set(load->error, MS_EINVAL, "%s: %s", variable, why);
}

/* `variable` may be a flag as well. */
static enum ms_err set_field(struct load *load, const struct ms_field *field,
                             const char *variable, const char *text)
{
    struct ms_error why;
    enum ms_err err;

    if (field->fallback == NULL && strcmp(text, "null") == 0)
        text = NULL;
    err = ms_field_set(field, text, load->conf, &why);
    if (err != MS_OK)
        return refuse_variable(load, variable, why.text);
    set_origin(load, field->at, ms_xstrdup(variable));
    return MS_OK;
}

/* `section` NULL is the top of the file.  NULL: there is none. */
static const struct ms_field *find_option(const char *section, size_t len,
                                          const char *key)
{
    const struct ms_field *fields = ms_conf_table;

    if (section != NULL) {
        const struct ms_field *map = ms_field_find(fields, section, len);

        if (map == NULL || map->type != MS_FIELD_MAP)
            return NULL;
        fields = map->fields;
    }
    return ms_field_find(fields, key, strlen(key));
}

/* MUSTER_WORKER__HTTP: `tail` is "WORKER__HTTP". */
static enum ms_err set_by_path(struct load *load, const char *variable,
                               const char *tail, const char *text)
{
    char path[80];
    const struct ms_field *field;
    char *mark;
    size_t i;

    for (i = 0; tail[i] != '\0' && i + 1 < sizeof(path); i++)
        path[i] = (char)tolower((unsigned char)tail[i]);
    path[i] = '\0';
    mark = strstr(path, "__");
    if (mark == NULL || tail[i] != '\0')
        return refuse_variable(load, variable, "no option has this name");
    field = find_option(path, (size_t)(mark - path), mark + 2);
    if (field == NULL)
        return refuse_variable(load, variable, "no option has this name");
    if (!ms_field_is_scalar(field))
        return refuse_variable(load, variable,
                               "this option is a list: say it in the file");
    return set_field(load, field, variable, text);
}

/* In place; returns where the text begins. */
static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t\r\n");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

/* " a, b ,,a" is a and b. */
static enum ms_err set_queues(struct load *load, const char *variable,
                              const char *text)
{
    char **queues = ms_strings_new();
    char *copy = ms_xstrdup(text);
    char *rest = copy;
    struct ms_error why;
    enum ms_err err = MS_OK;
    char *word;

    while (err == MS_OK && (word = strsep(&rest, ",")) != NULL) {
        word = trim(word);
        if (word[0] == '\0' || ms_strings_have(queues, word))
            continue;
        err = ms_name_check("queue", word, &why);
        if (err == MS_OK)
            queues = ms_strings_add(queues, word);
    }
    free(copy);
    if (err != MS_OK) {
        ms_strings_free(queues);
        return refuse_variable(load, variable, why.text);
    }
    ms_strings_free(load->conf->worker_queues);
    load->conf->worker_queues = queues;
    return MS_OK;
}

static enum ms_err set_named(struct load *load, const char *variable,
                             const char *text)
{
    const struct ms_field *label =
        ms_field_find(labels, variable, strlen(variable));

    if (label != NULL)
        return set_field(load, label, variable, text);
    if (strcmp(variable, "MUSTER_QUEUES") == 0)
        return set_queues(load, variable, text);
    for (size_t i = 0; i < MS_COUNT_OF(aliases); i++) {
        const char *section = aliases[i].section;

        if (strcmp(aliases[i].variable, variable) == 0)
            return set_field(load,
                             find_option(section,
                                         section == NULL ? 0 : strlen(section),
                                         aliases[i].key),
                             variable, text);
    }
    return MS_OK; /* MUSTER_JOB_ID and other people's */
}

/* The value of NAME=value in `entry` when it is one of ours and not empty; its
 * name goes into `out_name`. */
static const char *split_variable(const char *entry, char *out_name,
                                  size_t size)
{
    const char *equals = strchr(entry, '=');

    if (strncmp(entry, "MUSTER_", 7) != 0 || equals == NULL ||
        equals[1] == '\0' || (size_t)(equals - entry) >= size)
        return NULL;
    memcpy(out_name, entry, (size_t)(equals - entry));
    out_name[equals - entry] = '\0';
    return equals + 1;
}

/* Variables with names of their own come second, and so stand. */
static enum ms_err load_environment(struct load *load, char *const *environment)
{
    enum ms_err err = MS_OK;
    char name[128];

    for (int by_path = 1; by_path >= 0; by_path--) {
        for (char *const *entry = environment;
             err == MS_OK && entry != NULL && *entry != NULL; entry++) {
            const char *text = split_variable(*entry, name, sizeof(name));

            if (text == NULL || (strstr(name, "__") != NULL) != by_path)
                continue;
            err = by_path ? set_by_path(load, name, name + 7, text)
                          : set_named(load, name, text);
        }
    }
    return err;
}

static enum ms_err load_flags(struct load *load,
                              const struct ms_conf_flags *flags)
{
    enum ms_err err = MS_OK;

    if (flags->redis != NULL)
        err = set_field(load, find_option("redis", 5, "url"), "--redis",
                        flags->redis);
    if (err == MS_OK && flags->fleet != NULL)
        err = set_field(load, find_option(NULL, 0, "fleet"), "--fleet",
                        flags->fleet);
    return err;
}

static const char *find_path(const struct ms_conf_flags *flags,
                             char *const *environment)
{
    char name[128];

    if (flags->config != NULL)
        return flags->config;
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *text = split_variable(*environment, name, sizeof(name));

        if (text != NULL && strcmp(name, "MUSTER_CONFIG") == 0)
            return text;
    }
    return NULL;
}

/* ---- what options mean to each other ---- */

static int64_t shortest_lease(const struct ms_conf *conf)
{
    return conf->worker_claim_ttl_ms < conf->coordinator_lease_ttl_ms
               ? conf->worker_claim_ttl_ms
               : conf->coordinator_lease_ttl_ms;
}

/* A renewal goes out every third of a lease: a command that may take as long
 * as that is waited for while the lease ends. */
static enum ms_err settle_command_timeout(struct load *load)
{
    struct ms_conf *conf = load->conf;
    int64_t lease = shortest_lease(conf);

    if (conf->redis_command_timeout_ms < 0) {
        conf->redis_command_timeout_ms = lease / 6 < 5000 ? lease / 6 : 5000;
        return MS_OK;
    }
    if (conf->redis_command_timeout_ms * 3 < lease)
        return MS_OK;
    return ms_error_set(
        load->error, MS_EINVAL,
        "%s: redis.command_timeout: must be less than a third of the shortest "
        "of worker.claim_ttl and coordinator.lease_ttl",
        origin_of(load, offsetof(struct ms_conf, redis_command_timeout_ms)));
}

static enum ms_err check_http(struct load *load, const char *option, size_t at)
{
    const struct ms_conf *conf = load->conf;
    const char *text = *(char *const *)((const char *)conf + at);
    struct ms_address address;

    if (strcmp(text, "off") == 0 || conf->http_token_file != NULL ||
        conf->http_readonly_token_file != NULL)
        return MS_OK;
    ms_assert(ms_address_parse(text, &address, NULL) == MS_OK);
    if (ms_address_is_loopback(&address))
        return MS_OK;
    return ms_error_set(load->error, MS_EINVAL,
                        "%s: %s: '%s' is open to other hosts, which needs "
                        "http.token_file",
                        origin_of(load, at), option, text);
}

static bool has_limit(const struct ms_conf *conf, const char *scope)
{
    for (size_t i = 0; i < conf->n_limits; i++)
        if (strcmp(conf->limits[i].scope, scope) == 0)
            return true;
    return false;
}

/* A file that declares no limits leaves them to `limit set`. */
static enum ms_err check_limit(struct load *load, size_t at, const char *what,
                               const char *scope)
{
    if (scope == NULL || load->conf->n_limits == 0 ||
        has_limit(load->conf, scope))
        return MS_OK;
    return ms_error_set(load->error, MS_EINVAL,
                        "%s: %s: limit '%s' is not among the limits of this "
                        "file",
                        origin_of(load, at), what, scope);
}

static enum ms_err check_limits(struct load *load)
{
    const struct ms_conf *conf = load->conf;
    enum ms_err err = MS_OK;

    for (size_t i = 0; i < conf->n_kinds && err == MS_OK; i++)
        err = check_limit(load, offsetof(struct ms_conf, kinds), "kinds",
                          conf->kinds[i].limit);
    for (size_t i = 0; i < conf->n_pools && err == MS_OK; i++)
        err = check_limit(load, offsetof(struct ms_conf, pools), "pools",
                          conf->pools[i].limit);
    return err;
}

static enum ms_err settle_schedules(struct load *load)
{
    struct ms_conf *conf = load->conf;
    struct ms_error why;

    for (size_t i = 0; i < conf->n_schedules; i++)
        if (ms_schedule_conf_finish(&conf->schedules[i], conf, &why) != MS_OK)
            return ms_error_set(load->error, MS_EINVAL,
                                "%s: schedules[%zu]: %.400s",
                                origin_of(load,
                                          offsetof(struct ms_conf, schedules)),
                                i, why.text);
    return MS_OK;
}

static enum ms_err settle(struct load *load)
{
    enum ms_err err = settle_command_timeout(load);

    if (err == MS_OK)
        err = check_limits(load);
    if (err == MS_OK)
        err = settle_schedules(load);

    if (err == MS_OK)
        err = check_http(load, "worker.http",
                         offsetof(struct ms_conf, worker_http));
    if (err == MS_OK)
        err = check_http(load, "coordinator.http",
                         offsetof(struct ms_conf, coordinator_http));
    return err;
}

/* ---- the whole ---- */

enum ms_err ms_conf_load(const struct ms_conf_flags *flags,
                         char *const *environment, struct ms_conf **out_conf,
                         struct ms_error *error)
{
    struct load load = {.conf = ms_xcalloc(1, sizeof(struct ms_conf)),
                        .path = find_path(flags, environment),
                        .error = error};
    enum ms_err err = MS_OK;

    ms_fields_init(ms_conf_table, load.conf);
    if (load.path != NULL)
        err = load_file(&load);
    if (err == MS_OK)
        err = load_environment(&load, environment);
    if (err == MS_OK)
        err = load_flags(&load, flags);
    if (err == MS_OK)
        err = settle(&load);
    if (err == MS_OK) {
        load_default_queues(&load);
        *out_conf = load.conf;
        load.conf = NULL;
    }
    ms_conf_free(load.conf);
    free_origins(&load);
    return err;
}

void ms_conf_free(struct ms_conf *conf)
{
    if (conf == NULL)
        return;
    ms_fields_done(ms_conf_table, conf);
    ms_fields_done(labels, conf);
    free(conf);
}

enum ms_err ms_conf_check_worker(const struct ms_conf *conf,
                                 struct ms_error *error)
{
    if (conf->worker_queues[0] != NULL)
        return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "no queue is declared: set worker.queues or "
                        "MUSTER_QUEUES");
}

char *ms_conf_worker_label(const struct ms_conf *conf, const char *pod_id)
{
    const char *version = conf->worker_version;
    const char *id = conf->worker_id;
    char digits[5];

    if (conf->worker_prefix == NULL)
        return NULL;
    if (id == NULL) {
        snprintf(digits, sizeof(digits), "%04x",
                 (unsigned)(XXH3_64bits(pod_id, strlen(pod_id)) & 0xffff));
        id = digits;
    }
    return ms_xasprintf("%s-worker-%s%s%s", conf->worker_prefix,
                        version == NULL ? "" : version,
                        version == NULL ? "" : "-", id);
}

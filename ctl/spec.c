#include "ctl/spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/units.h"
#include "common/val.h"
#include "ctl/when.h"

#define ATTEMPTS_MAX 1000000

void ms_spec_done(struct ms_spec *spec)
{
    free(spec->queue);
    free(spec->kind);
    free(spec->own_id);
    free(spec->group);
    free(spec->unique);
    ms_buf_done(&spec->payload);
    memset(spec, 0, sizeof(*spec));
}

/* ---- fields ---- */

enum field_type {
    FIELD_TEXT,
    FIELD_COUNT,
    FIELD_DURATION,
    FIELD_TIME,
    FIELD_EXPIRY,
    FIELD_MODE
};

static const struct field {
    const char *name;
    enum field_type type;
} fields[] = {
    {"queue", FIELD_TEXT},       {"id", FIELD_TEXT},
    {"group", FIELD_TEXT},       {"unique", FIELD_TEXT},
    {"priority", FIELD_COUNT},   {"max_attempts", FIELD_COUNT},
    {"delay", FIELD_DURATION},   {"unique_ttl", FIELD_DURATION},
    {"timeout", FIELD_DURATION}, {"at", FIELD_TIME},
    {"expires", FIELD_EXPIRY},   {"unique_mode", FIELD_MODE},
};

/* "unique-ttl" is "unique_ttl". */
static bool same_name(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++)
        if (*a != *b && !((*a == '-' || *a == '_') && *b == '_'))
            return false;
    return *a == *b;
}

static const struct field *field_find(const char *name)
{
    for (size_t i = 0; i < MS_COUNT_OF(fields); i++)
        if (same_name(name, fields[i].name))
            return &fields[i];
    return NULL;
}

static void text_set(struct ms_spec *spec, const char *name, const char *text)
{
    char **slot = strcmp(name, "queue") == 0   ? &spec->queue
                  : strcmp(name, "id") == 0    ? &spec->own_id
                  : strcmp(name, "group") == 0 ? &spec->group
                                               : &spec->unique;

    free(*slot);
    *slot = ms_xstrdup(text);
}

static enum ms_err count_set(struct ms_spec *spec, const char *name,
                             const char *text, struct ms_error *error)
{
    bool priority = strcmp(name, "priority") == 0;
    long long min = priority ? 0 : 1;
    long long max = priority ? 9 : ATTEMPTS_MAX;
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
        return ms_error_set(error, MS_EINVAL,
                            "%s is a number from %lld to %lld, not '%.60s'",
                            name, min, max, text);
    if (priority)
        spec->job.priority = (int)value;
    else
        spec->job.max_attempts = value;
    return MS_OK;
}

static enum ms_err duration_set(struct ms_spec *spec, const char *name,
                                const char *text, struct ms_error *error)
{
    struct ms_error why = {""};
    int64_t *slot = strcmp(name, "delay") == 0     ? &spec->job.delay_ms
                    : strcmp(name, "timeout") == 0 ? &spec->job.timeout_ms
                                                   : &spec->job.unique_ttl_ms;
    enum ms_err err = ms_duration_parse(text, slot, &why);

    if (err != MS_OK)
        return ms_error_set(error, err, "%s: %.300s", name, why.text);
    if (*slot == 0 && slot != &spec->job.delay_ms) /* 0 is "not said" */
        return ms_error_set(error, MS_EINVAL, "%s: must be longer than 0",
                            name);
    return MS_OK;
}

/* When a job that was not begun is worthless: from now on, or at a time. */
static enum ms_err expiry_set(struct ms_spec *spec, const char *text,
                              struct ms_error *error)
{
    struct ms_error why = {""};

    if (ms_duration_parse(text, &spec->job.expires_in_ms, NULL) == MS_OK) {
        if (spec->job.expires_in_ms > 0) /* 0 is "never" */
            return MS_OK;
        return ms_error_set(error, MS_EINVAL, "expires: must be longer than 0");
    }
    if (ms_when_parse(text, &spec->job.expires_at_ms, &why) == MS_OK)
        return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "expires is a duration (30m) or a time "
                        "(2026-01-31T12:30:00Z), not '%.60s'",
                        text);
}

enum ms_err ms_spec_set(struct ms_spec *spec, const char *field,
                        const char *text, struct ms_error *error)
{
    const struct field *known = field_find(field);
    struct ms_error why = {""};

    if (known == NULL)
        return ms_error_set(error, MS_EINVAL, "unknown field '%.60s'", field);
    switch (known->type) {
    case FIELD_TEXT:
        text_set(spec, known->name, text);
        return MS_OK;
    case FIELD_COUNT:
        return count_set(spec, known->name, text, error);
    case FIELD_DURATION:
        return duration_set(spec, known->name, text, error);
    case FIELD_EXPIRY:
        return expiry_set(spec, text, error);
    case FIELD_MODE:
        return ms_unique_mode_parse(text, &spec->job.unique_mode, error);
    default:
        if (ms_when_parse(text, &spec->job.at_ms, &why) == MS_OK)
            return MS_OK;
        return ms_error_set(error, MS_EINVAL, "at: %.300s", why.text);
    }
}

/* ---- making one ---- */

static void spec_start(struct ms_spec *spec)
{
    memset(spec, 0, sizeof(*spec));
    spec->job.priority = MS_PRIORITY_DEFAULT;
}

enum ms_err ms_spec_begin(struct ms_spec *spec, const char *kind,
                          const char *payload, size_t payload_len,
                          struct ms_error *error)
{
    struct ms_error why = {""};
    struct ms_val val = {0};
    enum ms_err err;

    spec_start(spec);
    spec->kind = ms_xstrdup(kind);
    err = ms_val_from_json(payload, payload_len, &val, &why);
    if (err != MS_OK)
        return ms_error_set(error, MS_EINVAL, "payload: %.400s", why.text);
    ms_val_to_msgpack(&val.root, &spec->payload);
    ms_val_done(&val);
    return MS_OK;
}

/* A member's value as the command line would say it. */
static enum ms_err member_text(const char *key, const msgpack_object *val,
                               char **out_text, struct ms_error *error)
{
    const struct field *field = field_find(key);
    bool ms = field != NULL && field->type != FIELD_COUNT &&
              field->type != FIELD_TIME;

    if (val->type == MSGPACK_OBJECT_STR) {
        *out_text = ms_xstrndup(val->via.str.ptr, val->via.str.size);
        if (strlen(*out_text) == val->via.str.size)
            return MS_OK;
        free(*out_text);
        *out_text = NULL;
        return ms_error_set(error, MS_EINVAL, "%.60s holds a zero byte", key);
    }
    if (val->type == MSGPACK_OBJECT_POSITIVE_INTEGER && field != NULL &&
        field->type != FIELD_TEXT && field->type != FIELD_MODE) {
        *out_text = ms_xasprintf("%" PRIu64 "%s", val->via.u64, ms ? "ms" : "");
        return MS_OK;
    }
    return ms_error_set(error, MS_EINVAL,
                        field == NULL ? "unknown field '%.60s'"
                                      : "%.60s has a value of the wrong type",
                        key);
}

static enum ms_err member_read(struct ms_spec *spec,
                               const msgpack_object_kv *pair,
                               struct ms_error *error)
{
    char *key = ms_xstrndup(pair->key.via.str.ptr, pair->key.via.str.size);
    char *text = NULL;
    enum ms_err err = MS_OK;

    if (strcmp(key, "payload") == 0) {
        ms_buf_clear(&spec->payload);
        ms_val_to_msgpack(&pair->val, &spec->payload);
    } else if (strcmp(key, "kind") == 0 &&
               pair->val.type != MSGPACK_OBJECT_STR) {
        err = ms_error_set(error, MS_EINVAL, "kind is no string");
    } else if (strcmp(key, "kind") == 0) {
        free(spec->kind);
        spec->kind = ms_xstrndup(pair->val.via.str.ptr, pair->val.via.str.size);
    } else if (pair->val.type != MSGPACK_OBJECT_NIL) {
        err = member_text(key, &pair->val, &text, error);
        if (err == MS_OK)
            err = ms_spec_set(spec, key, text, error);
    }
    free(text);
    free(key);
    return err;
}

enum ms_err ms_spec_from_json(struct ms_spec *spec, const char *text,
                              size_t len, struct ms_error *error)
{
    struct ms_val val = {0};
    enum ms_err err;

    spec_start(spec);
    err = ms_val_from_json(text, len, &val, error);
    if (err != MS_OK)
        return MS_EINVAL;
    if (val.root.type != MSGPACK_OBJECT_MAP)
        err = ms_error_set(error, MS_EINVAL, "this is no JSON object");
    else
        ms_buf_addc(&spec->payload, (char)0x80); /* {} */
    for (uint32_t i = 0; err == MS_OK && i < val.root.via.map.size; i++)
        err = member_read(spec, &val.root.via.map.ptr[i], error);
    if (err == MS_OK && spec->kind == NULL)
        err = ms_error_set(error, MS_EINVAL, "kind is missing");
    ms_val_done(&val);
    return err;
}

/* ---- finishing it ---- */

static void rule_apply(struct ms_spec *spec, const struct ms_kind_conf *rule,
                       const char *queue)
{
    if (spec->queue == NULL && queue != NULL)
        spec->queue = ms_xstrdup(queue);
    if (spec->queue == NULL)
        spec->queue = ms_xstrdup(
            rule != NULL && rule->queue != NULL ? rule->queue : "default");
    if (rule == NULL)
        return;
    if (spec->job.max_attempts == 0 && rule->max_attempts > 0)
        spec->job.max_attempts = rule->max_attempts;
    if (spec->job.timeout_ms == 0 && rule->timeout_ms > 0)
        spec->job.timeout_ms = rule->timeout_ms;
}

static enum ms_err spec_check(const struct ms_spec *spec, int64_t max_payload,
                              struct ms_error *error)
{
    enum ms_err err = ms_name_check("queue", spec->queue, error);

    if (err == MS_OK)
        err = ms_name_check("kind", spec->kind, error);
    if (err == MS_OK && spec->group != NULL)
        err = ms_name_check("group", spec->group, error);
    if (err == MS_OK && spec->own_id != NULL)
        err = ms_job_id_check_users(spec->own_id, error);
    if (err != MS_OK)
        return err;
    if (spec->unique != NULL &&
        (spec->unique[0] == '\0' || strlen(spec->unique) > MS_UNIQUE_MAX))
        return ms_error_set(error, MS_EINVAL, "a unique key has 1 to %d bytes",
                            MS_UNIQUE_MAX);
    if (spec->unique == NULL && spec->job.unique_ttl_ms != 0)
        return ms_error_set(error, MS_EINVAL,
                            "unique_ttl without a unique key");
    if (spec->unique == NULL && spec->job.unique_mode != MS_UNIQUE_REFUSE)
        return ms_error_set(error, MS_EINVAL,
                            "unique_mode without a unique key");
    if (spec->job.at_ms != 0 && spec->job.delay_ms != 0)
        return ms_error_set(error, MS_EINVAL, "at and delay exclude another");
    if ((int64_t)spec->payload.len > max_payload)
        return ms_error_set(error, MS_EINVAL,
                            "the payload has %zu bytes, more than max_payload "
                            "(%" PRId64 ")",
                            spec->payload.len, max_payload);
    return MS_OK;
}

enum ms_err ms_spec_finish(struct ms_spec *spec, const struct ms_conf *conf,
                           const char *queue, struct ms_error *error)
{
    enum ms_err err;

    rule_apply(spec, ms_conf_kind(conf, spec->kind), queue);
    err = spec_check(spec, conf->max_payload_bytes, error);
    if (err != MS_OK)
        return err;
    ms_ulid_new(spec->fresh_id);
    spec->job.id = spec->own_id != NULL ? spec->own_id : spec->fresh_id;
    spec->job.own_id = spec->own_id != NULL;
    spec->job.kind = spec->kind;
    spec->job.payload = spec->payload.data;
    spec->job.payload_len = spec->payload.len;
    spec->job.group = spec->group;
    spec->job.unique = spec->unique;
    return MS_OK;
}

#include "common/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/conf_table.h"
#include "common/cron.h"
#include "common/mem.h"
#include "common/ulid.h"
#include "common/val.h"

/* ---- definitions ---- */

void ms_schedule_conf_init(struct ms_schedule_conf *def, const char *name)
{
    memset(def, 0, sizeof(*def));
    ms_fields_init(ms_schedule_table, def);
    def->name = ms_xstrdup(name);
}

void ms_schedule_conf_done(struct ms_schedule_conf *def)
{
    ms_fields_done(ms_schedule_table, def);
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : ms_xstrdup(text);
}

void ms_schedule_conf_copy(struct ms_schedule_conf *to,
                           const struct ms_schedule_conf *from)
{
    *to = (struct ms_schedule_conf){
        .name = copy(from->name),
        .cron = copy(from->cron),
        .tz = copy(from->tz),
        .kind = copy(from->kind),
        .queue = copy(from->queue),
        .payload = copy(from->payload),
        .misfire = copy(from->misfire),
        .overlap = copy(from->overlap),
        .enabled = from->enabled,
    };
}

enum ms_err ms_schedule_conf_set(struct ms_schedule_conf *def, const char *key,
                                 const char *text, struct ms_error *error)
{
    const struct ms_field *field =
        ms_field_find(ms_schedule_table, key, strlen(key));
    struct ms_error why;

    if (field == NULL || strcmp(key, "name") == 0)
        return ms_error_set(error, MS_EINVAL,
                            "a schedule has no field '%.60s': cron tz kind "
                            "queue payload misfire overlap enabled",
                            key);
    if (ms_field_set(field, text, def, &why) != MS_OK)
        return ms_error_set(error, MS_EINVAL, "%s: %.400s", key, why.text);
    return MS_OK;
}

static enum ms_err payload_pack(const char *json, struct ms_buf *out,
                                struct ms_error *error)
{
    struct ms_val val = {0};
    struct ms_error why;

    if (ms_val_from_json(json, strlen(json), &val, &why) != MS_OK)
        return ms_error_set(error, MS_EINVAL, "payload: %.400s", why.text);
    ms_val_to_msgpack(&val.root, out);
    ms_val_done(&val);
    return MS_OK;
}

static enum ms_err check_payload(const char *payload, int64_t max,
                                 struct ms_error *error)
{
    struct ms_buf packed = MS_BUF_INIT;
    enum ms_err err = payload_pack(payload, &packed, error);

    if (err == MS_OK && (int64_t)packed.len > max)
        err = ms_error_set(error, MS_EINVAL,
                           "payload: it has %zu bytes, more than max_payload "
                           "(%lld)",
                           packed.len, (long long)max);
    ms_buf_done(&packed);
    return err;
}

enum ms_err ms_schedule_conf_finish(struct ms_schedule_conf *def,
                                    const struct ms_conf *conf,
                                    struct ms_error *error)
{
    const struct ms_kind_conf *rule;
    enum ms_err err = ms_name_check("schedule", def->name, error);

    if (err != MS_OK)
        return err;
    if (def->cron == NULL || def->kind == NULL)
        return ms_error_set(error, MS_EINVAL, "'%s' is missing",
                            def->cron == NULL ? "cron" : "kind");
    rule = ms_conf_kind(conf, def->kind);
    if (def->queue == NULL)
        def->queue = ms_xstrdup(
            rule != NULL && rule->queue != NULL ? rule->queue : "default");
    return check_payload(def->payload, conf->max_payload_bytes, error);
}

enum ms_err ms_schedule_next(const struct ms_schedule_conf *def,
                             int64_t after_ms, int64_t *out_ms,
                             struct ms_error *error)
{
    struct ms_cron cron;
    enum ms_err err = ms_cron_parse(def->cron, &cron, error);

    if (err != MS_OK)
        return err;
    return ms_cron_next(&cron, def->tz, after_ms, out_ms, error);
}

/* ---- records ---- */

static char *text_of(const struct ms_reply *pairs, const char *field)
{
    const char *text = ms_reply_str(ms_reply_field(pairs, field), "");

    return text[0] == '\0' ? NULL : ms_xstrdup(text);
}

static int64_t number_of(const struct ms_reply *pairs, const char *field)
{
    return ms_reply_int(ms_reply_field(pairs, field), 0);
}

static void read_state(const struct ms_reply *pairs, struct ms_schedule *out)
{
    out->version = number_of(pairs, "version");
    out->next_ms = number_of(pairs, "next_ms");
    out->pending_slot_ms = number_of(pairs, "pending_slot_ms");
    out->last_slot_ms = number_of(pairs, "last_slot_ms");
    out->last_fired_ms = number_of(pairs, "last_fired_ms");
    out->trigger_ms = number_of(pairs, "trigger_ms");
    out->fired = number_of(pairs, "fired");
    out->skipped = number_of(pairs, "skipped");
    out->missed = number_of(pairs, "missed");
    out->pending_id = text_of(pairs, "pending_id");
    out->pending_queue = text_of(pairs, "pending_queue");
    out->last_id = text_of(pairs, "last_id");
    out->last_queue = text_of(pairs, "last_queue");
    out->trigger_id = text_of(pairs, "trigger_id");
    out->trigger_queue = text_of(pairs, "trigger_queue");
    out->last_error = text_of(pairs, "last_error");
}

static enum ms_err read_def(const struct ms_reply *pairs,
                            struct ms_schedule_conf *def,
                            struct ms_error *error)
{
    for (const struct ms_field *field = ms_schedule_table; field->name != NULL;
         field++) {
        const struct ms_reply *value = ms_reply_field(pairs, field->name);
        struct ms_error why = {""};

        if (strcmp(field->name, "name") == 0 ||
            strcmp(field->name, "enabled") == 0)
            continue;
        if (value->type != MS_REPLY_STR)
            return ms_error_set(error, MS_EPROTO, "its '%s' is missing",
                                field->name);
        if (ms_field_set(field, value->str, def, &why) != MS_OK)
            return ms_error_set(error, MS_EPROTO, "%s: %.400s", field->name,
                                why.text);
    }
    def->enabled = number_of(pairs, "enabled") == 1;
    return MS_OK;
}

enum ms_err ms_schedule_parse(const char *name, const struct ms_reply *pairs,
                              struct ms_schedule *out_schedule,
                              struct ms_error *error)
{
    struct ms_schedule schedule = {.version = 0};
    enum ms_err err;

    if (pairs->type == MS_REPLY_ARRAY && pairs->n_items == 0)
        return ms_error_set(error, MS_ENOENT, "there is no schedule '%s'",
                            name);
    ms_schedule_conf_init(&schedule.def, name);
    err = read_def(pairs, &schedule.def, error);
    if (err != MS_OK) {
        ms_schedule_conf_done(&schedule.def);
        return err;
    }
    read_state(pairs, &schedule);
    *out_schedule = schedule;
    return MS_OK;
}

void ms_schedule_done(struct ms_schedule *schedule)
{
    char **const texts[] = {&schedule->pending_id, &schedule->pending_queue,
                            &schedule->last_id,    &schedule->last_queue,
                            &schedule->trigger_id, &schedule->trigger_queue,
                            &schedule->last_error};

    ms_schedule_conf_done(&schedule->def);
    for (size_t i = 0; i < MS_COUNT_OF(texts); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
}

/* ---- ids ---- */

static char *id_part(const char *name)
{
    char *part = ms_xstrdup(name);

    for (char *p = part; *p != '\0'; p++)
        if (*p == '~')
            *p = ':';
    return part;
}

void ms_schedule_job_id(const char *name, int64_t slot_ms,
                        char out_id[MS_JOB_ID_MAX + 1])
{
    char *part = id_part(name);
    time_t at = (time_t)(slot_ms / 1000);
    char text[32];
    struct tm tm;

    gmtime_r(&at, &tm);
    strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
    snprintf(out_id, MS_JOB_ID_MAX + 1, "cron:%s:%s", part, text);
    free(part);
}

void ms_schedule_trigger_id(const char *name, char out_id[MS_JOB_ID_MAX + 1])
{
    char *part = id_part(name);
    char ulid[MS_ULID_LEN + 1];

    ms_ulid_new(ulid);
    snprintf(out_id, MS_JOB_ID_MAX + 1, "cron:%s:%s", part, ulid);
    free(part);
}

/* ---- jobs ---- */

enum ms_err ms_schedule_job(const struct ms_schedule_conf *def,
                            const struct ms_conf *conf, const char *id,
                            struct ms_buf *payload, struct ms_new_job *out_job,
                            struct ms_error *error)
{
    const struct ms_kind_conf *rule = ms_conf_kind(conf, def->kind);
    enum ms_err err = payload_pack(def->payload, payload, error);

    if (err != MS_OK)
        return err;
    *out_job = (struct ms_new_job){.id = id,
                                   .own_id = true,
                                   .kind = def->kind,
                                   .payload = payload->data,
                                   .payload_len = payload->len,
                                   .priority = MS_PRIORITY_DEFAULT};
    if (rule != NULL && rule->max_attempts > 0)
        out_job->max_attempts = rule->max_attempts;
    if (rule != NULL && rule->timeout_ms > 0)
        out_job->timeout_ms = rule->timeout_ms;
    return MS_OK;
}

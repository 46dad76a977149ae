#include "common/conf_field.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/cron.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/redis_url.h"
#include "common/units.h"
#include "common/val.h"
#include "common/zone.h"

/* What a scalar was read as, before it goes to its place. */
struct value {
    int64_t num;
    double real;
};

static bool is_string(const struct ms_field *field)
{
    return field->type <= MS_FIELD_MISFIRE;
}

static bool is_int64(const struct ms_field *field)
{
    return field->type >= MS_FIELD_COUNT && field->type <= MS_FIELD_FLAG;
}

bool ms_field_is_scalar(const struct ms_field *field)
{
    return field->type <= MS_FIELD_DOUBLE;
}

const struct ms_field *ms_field_find(const struct ms_field *fields,
                                     const char *name, size_t len)
{
    for (; fields->name != NULL; fields++)
        if (strlen(fields->name) == len && memcmp(fields->name, name, len) == 0)
            return fields;
    return NULL;
}

/* ---- reading one value ---- */

static enum ms_err read_count(const char *text, int64_t *out_num,
                              struct ms_error *error)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t len = strspn(digits, "0123456789");

    errno = 0;
    *out_num = strtoll(text, NULL, 10);
    if (len == 0 || digits[len] != '\0' || errno != 0)
        return ms_error_set(error, MS_EINVAL, "'%.60s' is not a whole number",
                            text);
    return MS_OK;
}

static enum ms_err read_double(const char *text, double *out_real,
                               struct ms_error *error)
{
    size_t len = strspn(text, "0123456789.eE+-"); /* no "inf", no "0x1p3" */
    char *end;

    *out_real = strtod(text, &end);
    if (len == 0 || end != text + len || *end != '\0' || !isfinite(*out_real) ||
        *out_real < 0)
        return ms_error_set(error, MS_EINVAL,
                            "'%.60s' is not a number of 0 or more", text);
    return MS_OK;
}

static enum ms_err read_bool(const char *text, int64_t *out_num,
                             struct ms_error *error)
{
    *out_num = strcmp(text, "true") == 0;
    if (*out_num == 0 && strcmp(text, "false") != 0)
        return ms_error_set(error, MS_EINVAL, "'%.60s' is not true or false",
                            text);
    return MS_OK;
}

static enum ms_err read_word(const char *words, const char *text,
                             int64_t *out_num, struct ms_error *error)
{
    size_t len = strlen(text);
    const char *word = words;

    for (*out_num = 0;; ++*out_num) {
        size_t word_len = strcspn(word, "|");

        if (word_len == len && memcmp(word, text, len) == 0)
            return MS_OK;
        if (word[word_len] == '\0')
            break;
        word += word_len + 1;
    }
    return ms_error_set(error, MS_EINVAL, "'%.60s' is not one of %s", text,
                        words);
}

static enum ms_err check_misfire(const char *text, struct ms_error *error)
{
    static const char catch_up[] = "catch-up ";
    int64_t count;

    if (strcmp(text, "skip") == 0 || strcmp(text, "once") == 0)
        return MS_OK;
    if (strncmp(text, catch_up, strlen(catch_up)) == 0 &&
        read_count(text + strlen(catch_up), &count, NULL) == MS_OK &&
        count >= 1 && count <= MS_CATCH_UP_MAX)
        return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "'%.60s' is not skip, once or catch-up K (1 to %d)",
                        text, MS_CATCH_UP_MAX);
}

static enum ms_err check_cron(const char *text, struct ms_error *error)
{
    struct ms_cron cron;

    return ms_cron_parse(text, &cron, error);
}

static enum ms_err check_json(const char *text, struct ms_error *error)
{
    struct ms_val val = {0};
    enum ms_err err = ms_val_from_json(text, strlen(text), &val, error);

    ms_val_done(&val);
    return err;
}

static enum ms_err check_address(const char *text, struct ms_error *error)
{
    struct ms_address address;

    if (strcmp(text, "off") == 0)
        return MS_OK;
    return ms_address_parse(text, &address, error);
}

static enum ms_err check_url(const char *text, struct ms_error *error)
{
    struct ms_redis_url url;
    enum ms_err err = ms_redis_url_parse(text, &url, error);

    if (err == MS_OK)
        ms_redis_url_done(&url);
    return err;
}

/* Labels stand in logs, in tables and in Redis's CLIENT LIST. */
static enum ms_err check_label(const char *text, struct ms_error *error)
{
    size_t len = strlen(text);

    for (const char *p = text; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~')
            len = 0;
    if (len >= 1 && len <= MS_NAME_MAX)
        return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "must be 1 to 64 printable characters without spaces");
}

static enum ms_err check_text(const char *text, struct ms_error *error)
{
    if (text[0] == '\0')
        return ms_error_set(error, MS_EINVAL, "must not be empty");
    return MS_OK;
}

static enum ms_err read_value(const struct ms_field *field, const char *text,
                              struct value *out, struct ms_error *error)
{
    switch (field->type) {
    case MS_FIELD_TEXT:
        return check_text(text, error);
    case MS_FIELD_NAME:
        return ms_name_check("the value", text, error);
    case MS_FIELD_ADDRESS:
        return check_address(text, error);
    case MS_FIELD_URL:
        return check_url(text, error);
    case MS_FIELD_LABEL:
        return check_label(text, error);
    case MS_FIELD_CRON:
        return check_cron(text, error);
    case MS_FIELD_ZONE:
        return ms_zone_check(text, error);
    case MS_FIELD_JSON:
        return check_json(text, error);
    case MS_FIELD_MISFIRE:
        return check_misfire(text, error);
    case MS_FIELD_COUNT:
        return read_count(text, &out->num, error);
    case MS_FIELD_DURATION:
        return ms_duration_parse(text, &out->num, error);
    case MS_FIELD_SIZE:
        return ms_size_parse(text, &out->num, error);
    case MS_FIELD_FLAG:
    case MS_FIELD_BOOL:
        return read_bool(text, &out->num, error);
    case MS_FIELD_WORD:
    case MS_FIELD_SECOND:
    case MS_FIELD_LEVEL:
        return read_word(field->words, text, &out->num, error);
    case MS_FIELD_DOUBLE:
        return read_double(text, &out->real, error);
    default:
        ms_assert(!"a scalar");
        return MS_EINVAL;
    }
}

static const char *show_limit(const struct ms_field *field, int64_t limit,
                              char *out, size_t size)
{
    if (field->type == MS_FIELD_DURATION)
        return ms_duration_format(limit, out, size);
    snprintf(out, size, "%" PRId64, limit);
    return out;
}

/* The rates of limits are decimal fractions of six digits, which Redis counts
 * without rounding. */
static enum ms_err check_double(const struct ms_field *field, double real,
                                struct ms_error *error)
{
    if (field->max != 0 && real > (double)field->max)
        return ms_error_set(error, MS_EINVAL, "must be at most %" PRId64,
                            field->max);
    if (real > 0 && real < 1e-6)
        return ms_error_set(error, MS_EINVAL, "must be 0 or at least 0.000001");
    return MS_OK;
}

static enum ms_err check_range(const struct ms_field *field, int64_t num,
                               struct ms_error *error)
{
    char min[64], max[64];

    if (num >= field->min && (field->max == 0 || num <= field->max))
        return MS_OK;
    show_limit(field, field->min, min, sizeof(min));
    show_limit(field, field->max, max, sizeof(max));
    if (field->max == 0)
        return ms_error_set(error, MS_EINVAL, "must be at least %s", min);
    return ms_error_set(error, MS_EINVAL, "must be from %s to %s", min, max);
}

/* ---- storing it ---- */

static void store(const struct ms_field *field, const char *text,
                  const struct value *value, void *base)
{
    char *place = (char *)base + field->at;

    if (is_string(field)) {
        free(*(char **)place);
        *(char **)place = text == NULL ? NULL : ms_xstrdup(text);
    } else if (is_int64(field)) {
        *(int64_t *)place = text == NULL ? -1 : value->num;
    } else if (field->type == MS_FIELD_LEVEL) {
        *(unsigned *)place = (unsigned)value->num;
    } else if (field->type == MS_FIELD_DOUBLE) {
        *(double *)place = value->real;
    } else {
        *(bool *)place = value->num == 1;
    }
}

enum ms_err ms_field_set(const struct ms_field *field, const char *text,
                         void *base, struct ms_error *error)
{
    struct value value = {0};
    enum ms_err err = MS_OK;

    if (text == NULL && (field->fallback != NULL || field->required))
        return ms_error_set(error, MS_EINVAL, "must not be null");
    if (text != NULL)
        err = read_value(field, text, &value, error);
    if (err == MS_OK && text != NULL && is_int64(field))
        err = check_range(field, value.num, error);
    if (err == MS_OK && text != NULL && field->type == MS_FIELD_DOUBLE)
        err = check_double(field, value.real, error);
    if (err == MS_OK && base != NULL && field->at != MS_FIELD_NOWHERE)
        store(field, text, &value, base);
    return err;
}

int64_t ms_field_num(const struct ms_field *field, const void *base)
{
    ms_assert(is_int64(field));
    return *(const int64_t *)((const char *)base + field->at);
}

const char *ms_field_text(const struct ms_field *field, const void *base)
{
    ms_assert(is_string(field));
    return *(char *const *)((const char *)base + field->at);
}

/* ---- whole structs ---- */

static bool is_strings(const struct ms_field *field)
{
    return field->type >= MS_FIELD_NAMES && field->type <= MS_FIELD_PAIRS;
}

static void init_field(const struct ms_field *field, void *base)
{
    static const struct value none = {0};

    if (field->at == MS_FIELD_NOWHERE)
        return;
    if (is_strings(field))
        *(char ***)((char *)base + field->at) = ms_strings_new();
    else if (ms_field_is_scalar(field) && field->fallback == NULL)
        store(field, NULL, &none, base);
    else if (ms_field_is_scalar(field))
        ms_assert(ms_field_set(field, field->fallback, base, NULL) == MS_OK);
}

void ms_fields_init(const struct ms_field *fields, void *base)
{
    for (; fields->name != NULL; fields++) {
        if (fields->type == MS_FIELD_MAP)
            ms_fields_init(fields->fields, base);
        else
            init_field(fields, base);
    }
}

static void free_maps(const struct ms_field *field, void *base)
{
    char **elements = (char **)((char *)base + field->at);
    size_t *n = (size_t *)((char *)base + field->n_at);

    for (size_t i = 0; i < *n; i++)
        ms_fields_done(field->fields, *elements + i * field->size);
    free(*elements);
    *elements = NULL;
    *n = 0;
}

static void free_field(const struct ms_field *field, void *base)
{
    char *place = (char *)base + field->at;

    if (field->at == MS_FIELD_NOWHERE)
        return;
    if (is_string(field)) {
        free(*(char **)place);
        *(char **)place = NULL;
    } else if (field->type == MS_FIELD_MAPS) {
        free_maps(field, base);
    } else if (is_strings(field)) {
        ms_strings_free(*(char ***)place);
        *(char ***)place = NULL;
    }
}

void ms_fields_done(const struct ms_field *fields, void *base)
{
    for (; fields->name != NULL; fields++) {
        if (fields->type == MS_FIELD_MAP)
            ms_fields_done(fields->fields, base);
        else
            free_field(fields, base);
    }
}

/* ---- lists of strings ---- */

char **ms_strings_new(void)
{
    return ms_xcalloc(1, sizeof(char *));
}

char **ms_strings_add(char **list, const char *text)
{
    size_t n = 0;

    while (list[n] != NULL)
        n++;
    list = ms_xrealloc(list, (n + 2) * sizeof(*list));
    list[n] = ms_xstrdup(text);
    list[n + 1] = NULL;
    return list;
}

bool ms_strings_have(char *const *list, const char *text)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

void ms_strings_free(char **list)
{
    for (char **item = list; item != NULL && *item != NULL; item++)
        free(*item);
    free(list);
}

#include "common/cron.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/units.h"

/* What one field may say. */
static const struct field {
    const char *name;
    int min, max;
    const char *words; /* three letters each, the first is `min` */
} fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day-of-month", 1, 31, NULL},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day-of-week", 0, 7, "sunmontuewedthufrisat"},
};
#define N_FIELDS  MS_COUNT_OF(fields)
#define WORD_LEN  3
#define FIELD_MAX 200 /* bytes */

/* One field under way. */
struct reading {
    const struct field *field;
    const char *whole, *at;
    struct ms_error *error;
};

static enum ms_err refuse(const struct reading *r, const char *why)
{
    return ms_error_set(r->error, MS_EINVAL, "%s '%.60s': %s", r->field->name,
                        r->whole, why);
}

/* ---- one value ---- */

static int find_word(const struct field *field, const char *text, size_t len)
{
    size_t n = field->words == NULL || len != WORD_LEN
                   ? 0
                   : strlen(field->words) / WORD_LEN;

    for (size_t i = 0; i < n; i++)
        if (strncasecmp(field->words + i * WORD_LEN, text, WORD_LEN) == 0)
            return field->min + (int)i;
    return -1;
}

static enum ms_err read_value(struct reading *r, int *out_value)
{
    size_t digits = strspn(r->at, "0123456789");
    size_t letters = 0;
    char why[80];

    while (isalpha((unsigned char)r->at[letters]))
        letters++;
    if (digits > 0 && digits <= 4 && !isalpha((unsigned char)r->at[digits]))
        *out_value = atoi(r->at);
    else
        *out_value = find_word(r->field, r->at, letters);
    if (*out_value < r->field->min || *out_value > r->field->max) {
        snprintf(why, sizeof(why), "must be from %d to %d%s", r->field->min,
                 r->field->max,
                 r->field->words == NULL ? "" : ", or the name of one");
        return refuse(r, why);
    }
    r->at += digits + letters;
    return MS_OK;
}

static enum ms_err read_step(struct reading *r, int *out_step)
{
    size_t digits = strspn(r->at, "0123456789");

    *out_step = digits > 0 && digits <= 4 ? atoi(r->at) : 0;
    if (*out_step < 1)
        return refuse(r, "a step is a number of 1 or more");
    if (*out_step > r->field->max - r->field->min + 1)
        return refuse(r, "the step is longer than the field");
    r->at += digits;
    return MS_OK;
}

/* ---- one item of a list ---- */

/* "*", "5" or "mon-fri" into the ends; *out_open: a step goes on to the end. */
static enum ms_err read_range(struct reading *r, int *out_from, int *out_to,
                              bool *out_open)
{
    enum ms_err err;

    *out_open = false;
    if (*r->at == '*') {
        r->at++;
        *out_from = r->field->min;
        *out_to = r->field->max;
        return MS_OK;
    }
    err = read_value(r, out_from);
    *out_to = *out_from;
    *out_open = err == MS_OK && *r->at != '-';
    if (err != MS_OK || *out_open)
        return err;
    r->at++;
    err = read_value(r, out_to);
    if (err == MS_OK && *out_to == 0 && r->field->max == 7)
        *out_to = *out_from == 0 ? 0 : 7; /* "sat-sun" */
    if (err == MS_OK && *out_to < *out_from)
        return refuse(r, "a range runs backwards");
    return err;
}

static enum ms_err read_item(struct reading *r, uint64_t *bits)
{
    int from, to, step = 1;
    bool open;
    enum ms_err err = read_range(r, &from, &to, &open);

    if (err == MS_OK && *r->at == '/') {
        r->at++;
        err = read_step(r, &step);
        if (open)
            to = r->field->max;
    }
    if (err != MS_OK)
        return err;
    if (*r->at != ',' && *r->at != '\0')
        return refuse(r, "not understood: values, ranges (1-5), lists (1,15) "
                         "and steps (*/10) are");
    for (int value = from; value <= to; value += step)
        *bits |= UINT64_C(1) << value;
    return MS_OK;
}

static enum ms_err read_field(size_t i, const char *text, uint64_t *out_bits,
                              struct ms_error *error)
{
    struct reading r = {&fields[i], text, text, error};
    enum ms_err err;

    *out_bits = 0;
    do {
        err = read_item(&r, out_bits);
    } while (err == MS_OK && *r.at++ == ',');
    return err;
}

/* ---- five fields ---- */

static const int longest[] = {0,  31, 29, 31, 30, 31, 30,
                              31, 31, 30, 31, 30, 31};

/* Weekdays come to every date, 29 February included: only days of the month may
 * be such that there are none. */
static enum ms_err check_fires(const struct ms_cron *cron, const char *text,
                               struct ms_error *error)
{
    if (!cron->any_day && !cron->any_weekday)
        return MS_OK; /* either will do, and there is always a weekday */
    for (int month = 1; month <= 12; month++)
        for (int day = 1; day <= longest[month]; day++)
            if ((cron->months >> month & 1) && (cron->days >> day & 1))
                return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "day-of-month '%.60s': this line never fires, the "
                        "months it names have no such day",
                        text);
}

static enum ms_err read_fields(char *const *texts, struct ms_cron *out,
                               struct ms_error *error)
{
    uint64_t bits[N_FIELDS];

    for (size_t i = 0; i < N_FIELDS; i++) {
        enum ms_err err = read_field(i, texts[i], &bits[i], error);

        if (err != MS_OK)
            return err;
    }
    *out = (struct ms_cron){
        .minutes = bits[0],
        .hours = (uint32_t)bits[1],
        .days = (uint32_t)bits[2],
        .months = (uint16_t)bits[3],
        .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
        .any_day = texts[2][0] == '*',
        .any_weekday = texts[4][0] == '*',
    };
    return check_fires(out, texts[2], error);
}

/* Cuts `line` at white space; returns how many pieces there are, of which the
 * first N_FIELDS go to `texts`. */
static size_t split(char *line, char **texts)
{
    size_t n = 0;

    for (char *word = strtok(line, " \t"); word != NULL;
         word = strtok(NULL, " \t")) {
        if (n < N_FIELDS)
            texts[n] = word;
        n++;
    }
    return n;
}

/* ---- names ---- */

static const struct {
    const char *name, *line;
} names[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
    {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

/* The slots of a period go by whole seconds: they are part of jobs' ids. */
static enum ms_err read_every(const char *text, struct ms_cron *out,
                              struct ms_error *error)
{
    struct ms_error why;
    int64_t every_ms;

    if (ms_duration_parse(text, &every_ms, &why) != MS_OK)
        return ms_error_set(error, MS_EINVAL, "@every: %.300s", why.text);
    if (every_ms < 1000 || every_ms % 1000 != 0)
        return ms_error_set(error, MS_EINVAL,
                            "@every: '%.60s' is not one or more whole seconds",
                            text);
    *out = (struct ms_cron){.every_ms = every_ms};
    return MS_OK;
}

static enum ms_err read_name(char *const *texts, size_t n, struct ms_cron *out,
                             struct ms_error *error)
{
    if (n == 2 && strcasecmp(texts[0], "@every") == 0)
        return read_every(texts[1], out, error);
    for (size_t i = 0; n == 1 && i < MS_COUNT_OF(names); i++)
        if (strcasecmp(texts[0], names[i].name) == 0)
            return ms_cron_parse(names[i].line, out, error);
    return ms_error_set(error, MS_EINVAL,
                        "'%.60s%s' is not one of @hourly @daily @midnight "
                        "@weekly @monthly @yearly @annually, nor @every with a "
                        "duration",
                        texts[0], n > 1 ? " ..." : "");
}

enum ms_err ms_cron_parse(const char *line, struct ms_cron *out_cron,
                          struct ms_error *error)
{
    char copy[MS_CRON_LINE_MAX + 1];
    char *texts[N_FIELDS];
    size_t n;

    if (strlen(line) > MS_CRON_LINE_MAX)
        return ms_error_set(error, MS_EINVAL,
                            "a cron line has at most %d bytes",
                            MS_CRON_LINE_MAX);
    snprintf(copy, sizeof(copy), "%s", line);
    n = split(copy, texts);
    if (n > 0 && texts[0][0] == '@')
        return read_name(texts, n, out_cron, error);
    if (n != N_FIELDS)
        return ms_error_set(error, MS_EINVAL,
                            "a cron line has five fields (minute hour "
                            "day-of-month month day-of-week), '%.100s' has %zu",
                            line, n);
    return read_fields(texts, out_cron, error);
}

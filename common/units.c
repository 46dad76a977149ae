#include "common/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* From large to small: the order in which a joined duration names them. */
static const struct unit durations[] = {
    {"w", 604800000}, {"d", 86400000}, {"h", 3600000},
    {"m", 60000},     {"s", 1000},     {"ms", 1},
};

static const struct unit sizes[] = {
    {"B", 1},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", INT64_C(1000000000000)},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
};

#define MAX_DURATION_MS (INT64_C(36525) * 86400000) /* 100 years */
#define MAX_SIZE        (INT64_C(1) << 53)

/* The index of the unit whose name is all letters at `text`, else -1. */
static int find_unit(const struct unit *units, size_t n_units, const char *text)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz");

    for (size_t i = 0; i < n_units; i++)
        if (strlen(units[i].name) == len &&
            memcmp(units[i].name, text, len) == 0)
            return (int)i;
    return -1;
}

/* Digits, at least one and at most 18, which always fit. */
static const char *read_count(const char *text, int64_t *out_count)
{
    size_t len = strspn(text, "0123456789");
    int64_t count = 0;

    if (len == 0 || len > 18)
        return NULL;
    for (size_t i = 0; i < len; i++)
        count = count * 10 + (text[i] - '0');
    *out_count = count;
    return text + len;
}

/* Adds count * factor, unless that passes `max`. */
static bool add_times(int64_t *total, int64_t count, int64_t factor,
                      int64_t max)
{
    if (count > (max - *total) / factor)
        return false;
    *total += count * factor;
    return true;
}

static enum ms_err refuse(struct ms_error *error, const char *text,
                          const char *why)
{
    return ms_error_set(error, MS_EINVAL, "'%.60s' %s", text, why);
}

enum ms_err ms_duration_parse(const char *text, int64_t *out_ms,
                              struct ms_error *error)
{
    static const char shape[] =
        "is not a duration such as 500ms, 30s, 1h30m or 7d";
    const char *p = text;
    int64_t total = 0;
    int last = -1;

    do {
        int64_t count;
        int unit;

        p = read_count(p, &count);
        if (p == NULL)
            return refuse(error, text, shape);
        if (*p == '\0')
            return refuse(error, text, "needs a unit: ms s m h d w");
        unit = find_unit(durations, MS_COUNT_OF(durations), p);
        if (unit <= last) /* unknown, twice, or small before large */
            return refuse(error, text, shape);
        if (!add_times(&total, count, durations[unit].factor, MAX_DURATION_MS))
            return refuse(error, text, "is over 100 years");
        p += strlen(durations[unit].name);
        last = unit;
    } while (*p != '\0');
    *out_ms = total;
    return MS_OK;
}

enum ms_err ms_size_parse(const char *text, int64_t *out_bytes,
                          struct ms_error *error)
{
    static const char shape[] = "is not a size such as 4096, 256KiB or 1GB";
    int64_t total = 0;
    int64_t count;
    const char *p = read_count(text, &count);
    int unit = 0;

    if (p == NULL)
        return refuse(error, text, shape);
    if (*p != '\0')
        unit = find_unit(sizes, MS_COUNT_OF(sizes), p);
    if (unit < 0 || (*p != '\0' && p[strlen(sizes[unit].name)] != '\0'))
        return refuse(error, text, shape);
    if (!add_times(&total, count, sizes[unit].factor, MAX_SIZE))
        return refuse(error, text, "is over 8 PiB");
    *out_bytes = total;
    return MS_OK;
}

const char *ms_duration_format(int64_t ms, char *out, size_t size)
{
    struct ms_buf text = MS_BUF_INIT;

    /* Without weeks: "30d" says more than "4w2d". */
    for (size_t i = 1; i < MS_COUNT_OF(durations) && ms > 0; i++) {
        if (ms >= durations[i].factor)
            ms_buf_addf(&text, "%" PRId64 "%s", ms / durations[i].factor,
                        durations[i].name);
        ms %= durations[i].factor;
    }
    snprintf(out, size, "%s", text.len == 0 ? "0s" : ms_buf_str(&text));
    ms_buf_done(&text);
    return out;
}

const char *ms_size_format(int64_t bytes, char *out, size_t size)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 1024) {
        snprintf(out, size, "%" PRId64 " B", bytes);
        return out;
    }
    while (value >= 1023.95 && i + 1 < MS_COUNT_OF(names)) { /* "1024.0" */
        value /= 1024;
        i++;
    }
    snprintf(out, size, "%.1f %s", value, names[i]);
    return out;
}

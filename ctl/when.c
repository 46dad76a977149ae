#include "ctl/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Reads exactly `digits` digits and moves past them; -1: they are not there. */
static int number_read(const char **at, int digits)
{
    int value = 0;

    for (int i = 0; i < digits; i++) {
        if (!isdigit((unsigned char)**at))
            return -1;
        value = value * 10 + (*(*at)++ - '0');
    }
    return value;
}

static bool char_read(const char **at, const char *set)
{
    if (**at == '\0' || strchr(set, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

static bool date_read(const char **at, struct tm *tm)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = number_read(at, 4);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    if (year < 1970 || !char_read(at, "-"))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon = number_read(at, 2) - 1;
    if (tm->tm_mon < 0 || tm->tm_mon > 11 || !char_read(at, "-"))
        return false;
    tm->tm_mday = number_read(at, 2);
    if (tm->tm_mon == 1 && !leap && tm->tm_mday > 28)
        return false;
    return tm->tm_mday >= 1 && tm->tm_mday <= days[tm->tm_mon];
}

static bool time_read(const char **at, struct tm *tm)
{
    tm->tm_hour = number_read(at, 2);
    if (tm->tm_hour < 0 || tm->tm_hour > 23 || !char_read(at, ":"))
        return false;
    tm->tm_min = number_read(at, 2);
    if (tm->tm_min < 0 || tm->tm_min > 59 || !char_read(at, ":"))
        return false;
    tm->tm_sec = number_read(at, 2);
    return tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

/* ".25" -> 250; what is finer than a millisecond is dropped. */
static bool fraction_read(const char **at, int64_t *out_ms)
{
    int64_t unit = 100;

    *out_ms = 0;
    if (!char_read(at, "."))
        return true;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, unit /= 10)
        *out_ms += (**at - '0') * unit;
    return true;
}

static bool zone_read(const char **at, int64_t *out_minutes)
{
    int sign = **at == '-' ? -1 : 1;
    int hours, minutes;

    *out_minutes = 0;
    if (char_read(at, "Zz"))
        return true;
    if (!char_read(at, "+-"))
        return false;
    hours = number_read(at, 2);
    if (hours < 0 || hours > 23 || !char_read(at, ":"))
        return false;
    minutes = number_read(at, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *out_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool rfc3339_read(const char *at, int64_t *out_ms)
{
    struct tm tm = {0};
    int64_t fraction, zone;

    if (!date_read(&at, &tm) || !char_read(&at, "Tt ") ||
        !time_read(&at, &tm) || !fraction_read(&at, &fraction) ||
        !zone_read(&at, &zone) || *at != '\0')
        return false;
    *out_ms = ((int64_t)timegm(&tm) - zone * 60) * 1000 + fraction;
    return true;
}

enum ms_err ms_when_parse(const char *text, int64_t *out_ms,
                          struct ms_error *error)
{
    char *end;
    long long ms;

    if (rfc3339_read(text, out_ms))
        return MS_OK;
    errno = 0;
    ms = strtoll(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)*text) || *end != '\0' ||
        ms <= 0 || ms > (1LL << 53))
        return ms_error_set(error, MS_EINVAL,
                            "'%.100s' is no time: 2026-01-31T12:30:00Z, or "
                            "ms since the epoch",
                            text);
    *out_ms = ms;
    return MS_OK;
}

#include "common/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"

static const char *const utc_names[] = {"UTC", "Etc/UTC", "GMT", "Etc/GMT"};

static bool is_utc(const char *name)
{
    for (size_t i = 0; i < MS_COUNT_OF(utc_names); i++)
        if (strcmp(name, utc_names[i]) == 0)
            return true;
    return false;
}

/* "Europe/Berlin", "Etc/GMT+3"; nothing that leads out of the folder, that
 * counts leap seconds, or that is another zone on each host. */
static bool is_well_formed(const char *name)
{
    size_t len = strnlen(name, MS_ZONE_NAME_MAX + 1);
    size_t good = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789_+-/");

    return len > 0 && len <= MS_ZONE_NAME_MAX && good == len &&
           strncmp(name, "right/", 6) != 0 && strcmp(name, "localtime") != 0 &&
           name[0] != '/' && name[len - 1] != '/' && strstr(name, "//") == NULL;
}

/* The C library takes a name that it does not know for UTC, and says nothing:
 * look for the file first. */
static bool has_file(const char *name)
{
    const char *dir = getenv("TZDIR");
    char *path =
        ms_xasprintf("%s/%s", dir != NULL ? dir : "/usr/share/zoneinfo", name);
    FILE *file = fopen(path, "re");
    char magic[4] = "";
    bool found = file != NULL && fread(magic, 1, 4, file) == 4 &&
                 memcmp(magic, "TZif", 4) == 0;

    if (file != NULL)
        fclose(file);
    free(path);
    return found;
}

enum ms_err ms_zone_check(const char *name, struct ms_error *error)
{
    if (is_utc(name) || (is_well_formed(name) && has_file(name)))
        return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "time zone '%.64s' is not known here: a name such as "
                        "UTC or Europe/Berlin (Debian package tzdata)",
                        name);
}

enum ms_err ms_zone_enter(struct ms_zone *zone, const char *name,
                          struct ms_error *error)
{
    const char *before = getenv("TZ");
    char value[MS_ZONE_NAME_MAX + 2];
    enum ms_err err = ms_zone_check(name, error);

    if (err != MS_OK)
        return err;
    *zone = (struct ms_zone){.utc = is_utc(name)};
    if (zone->utc)
        return MS_OK;
    zone->before = before == NULL ? NULL : ms_xstrdup(before);
    snprintf(value, sizeof(value), ":%s", name);
    setenv("TZ", value, 1);
    tzset();
    return MS_OK;
}

void ms_zone_leave(struct ms_zone *zone)
{
    if (zone->utc)
        return;
    if (zone->before != NULL)
        setenv("TZ", zone->before, 1);
    else
        unsetenv("TZ");
    tzset();
    free(zone->before);
}

int64_t ms_zone_offset_s(const struct ms_zone *zone, int64_t at_s)
{
    time_t at = (time_t)at_s;
    struct tm tm;

    if (zone->utc || localtime_r(&at, &tm) == NULL)
        return 0;
    return tm.tm_gmtoff;
}

int64_t ms_zone_change_s(const struct ms_zone *zone, int64_t from_s,
                         int64_t to_s)
{
    int64_t offset = ms_zone_offset_s(zone, from_s);
    int64_t same = from_s, other = to_s;

    if (ms_zone_offset_s(zone, to_s) == offset)
        return to_s + 1;
    while (other - same > 1) {
        int64_t middle = same + (other - same) / 2;

        if (ms_zone_offset_s(zone, middle) == offset)
            same = middle;
        else
            other = middle;
    }
    return other;
}

bool ms_zone_instant_s(const struct ms_zone *zone, int64_t civil_s,
                       int64_t *out_s)
{
    int64_t before = civil_s - MS_ZONE_JUMP_MAX_S;
    int64_t after = civil_s + MS_ZONE_JUMP_MAX_S;
    int64_t first = civil_s - ms_zone_offset_s(zone, before);
    int64_t second = civil_s - ms_zone_offset_s(zone, after);
    int64_t early = first < second ? first : second;
    int64_t late = first < second ? second : first;

    if (early + ms_zone_offset_s(zone, early) == civil_s)
        *out_s = early;
    else if (late + ms_zone_offset_s(zone, late) == civil_s)
        *out_s = late;
    else
        *out_s = ms_zone_change_s(zone, before, after);
    return *out_s + ms_zone_offset_s(zone, *out_s) == civil_s;
}

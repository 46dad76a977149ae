#include "common/name.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

static bool matches(const char *text, const char *extra, size_t max)
{
    size_t len = strnlen(text, max + 1);

    if (len == 0 || len > max || !is_alnum(text[0]))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!is_alnum(text[i]) && strchr(extra, text[i]) == NULL)
            return false;
    return true;
}

bool ms_name_is_valid(const char *name)
{
    return matches(name, "._~-", MS_NAME_MAX);
}

bool ms_job_id_is_valid(const char *id)
{
    return matches(id, "._:-", MS_JOB_ID_MAX);
}

bool ms_job_id_is_users(const char *id)
{
    const char *dot = strrchr(id, '.');

    if (!ms_job_id_is_valid(id))
        return false;
    return dot == NULL || dot[1] == '\0' ||
           dot[1 + strspn(dot + 1, "0123456789")] != '\0';
}

static void printable(const char *text, char *out, size_t size)
{
    size_t i;

    for (i = 0; text[i] != '\0' && i + 1 < size; i++)
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    out[i] = '\0';
}

enum ms_err ms_name_check(const char *what, const char *name,
                          struct ms_error *error)
{
    char shown[MS_NAME_MAX + 2];

    if (ms_name_is_valid(name))
        return MS_OK;
    printable(name, shown, sizeof(shown));
    return ms_error_set(error, MS_EINVAL,
                        "%s '%s' is not a name: 1 to 64 of A-Z a-z 0-9 . _ ~ "
                        "-, starting with a letter or digit",
                        what, shown);
}

enum ms_err ms_job_id_check_users(const char *id, struct ms_error *error)
{
    char shown[MS_JOB_ID_MAX + 2];

    if (ms_job_id_is_users(id))
        return MS_OK;
    printable(id, shown, sizeof(shown));
    return ms_error_set(error, MS_EINVAL,
                        "job id '%s' is not allowed: 1 to 128 of A-Z a-z 0-9 "
                        ". _ : -, starting with a letter or digit, not ending "
                        "in a dot and digits",
                        shown);
}

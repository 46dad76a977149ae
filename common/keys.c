#include "common/keys.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"

static const char *format_key(char *out, const char *tag, const char *format,
                              va_list args)
{
    int used = snprintf(out, MS_KEY_MAX, "ms:{%s}:", tag);
    int more = vsnprintf(out + used, MS_KEY_MAX - (size_t)used, format, args);

    ms_assert(used + more < MS_KEY_MAX); /* names are at most 256 bytes */
    return out;
}

const char *ms_key_fleet(char *out, const char *fleet, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    format_key(out, fleet, format, args);
    va_end(args);
    return out;
}

const char *ms_key_queue(char *out, const char *fleet, const char *queue,
                         const char *format, ...)
{
    char tag[2 * 64 + 2];
    va_list args;

    snprintf(tag, sizeof(tag), "%s/%s", fleet, queue);
    va_start(args, format);
    format_key(out, tag, format, args);
    va_end(args);
    return out;
}

void ms_keys_of_queue(struct ms_cmd *cmd, const char *fleet, const char *queue)
{
    static const char *const names[] = {
        "cfg",     "stats",  "meta",   "depth",  "scheduled",    "leases",
        "waiting", "done",   "dead",   "parked", "parked_kinds", "wake",
        "events",  "ring:0", "ring:1", "ring:2", "ring:3",       "ring:4",
        "ring:5",  "ring:6", "ring:7", "ring:8", "ring:9",       "running"};

    for (size_t i = 0; i < MS_COUNT_OF(names); i++)
        ms_cmd_keyf(cmd, "ms:{%s/%s}:%s", fleet, queue, names[i]);
}

void ms_keys_add_job(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     const char *id)
{
    ms_cmd_keyf(cmd, "ms:{%s/%s}:job:%s", fleet, queue, id);
}

#include "common/observe.h"

#include <errno.h>
#include <stdlib.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/status.h"
#include "scripts.h"

void ms_observe_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                      int64_t number, const struct ms_event *events,
                      size_t n_events, const struct ms_minute_count *counts,
                      size_t n_counts)
{
    ms_assert(n_events <= MS_OBSERVE_EVENTS_MAX);
    ms_cmd_script(cmd, &ms_script_observe);
    ms_keys_of_queue(cmd, who->fleet, who->queue);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:reported:%s", who->fleet, who->queue,
                who->pod);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:minutes", who->fleet, who->queue);
    ms_cmd_argi(cmd, number);
    ms_cmd_args(cmd, who->pod);
    ms_cmd_argi(cmd, (int64_t)n_events);
    for (size_t i = 0; i < n_events; i++) {
        ms_cmd_args(cmd, events[i].type);
        ms_cmd_args(cmd, events[i].id);
        ms_cmd_args(cmd, events[i].kind);
        ms_cmd_args(cmd, events[i].detail);
        ms_cmd_argi(cmd, events[i].age_ms);
    }
    for (size_t i = 0; i < n_counts; i++) {
        ms_cmd_args(cmd, counts[i].field);
        ms_cmd_argi(cmd, counts[i].n);
    }
}

enum ms_err ms_observe_parse(const struct ms_reply *reply,
                             struct ms_error *error)
{
    return ms_status_parse(reply, "observe", error);
}

void ms_minute_lines_build(struct ms_cmd *cmd, const char *fleet,
                           const char *queue, int64_t hour)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HGETALL",
                 ms_key_queue(key, fleet, queue, "roll:%lld", (long long)hour),
                 NULL);
}

bool ms_minute_line_parse(const char *minute, const char *text,
                          struct ms_minute_line *out_line)
{
    struct ms_minute_line line;
    int64_t *const fields[] = {
        &line.done,          &line.failed,        &line.dead,
        &line.throttled,     &line.cancelled,     &line.released,
        &line.crashed,       &line.enqueued,      &line.ready,
        &line.running,       &line.waited.p50_us, &line.waited.p95_us,
        &line.waited.p99_us, &line.ran.p50_us,    &line.ran.p95_us,
        &line.ran.p99_us,
    };
    char *end;

    line.minute = strtoll(minute, &end, 10);
    if (end == minute || *end != '\0')
        return false;
    for (size_t i = 0; i < MS_COUNT_OF(fields); i++) {
        *fields[i] = strtoll(text, &end, 10);
        if (end == text)
            return false;
        text = end;
    }
    if (*text != '\0')
        return false;
    *out_line = line;
    return true;
}

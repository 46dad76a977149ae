#include "coordinator/health.h"

#include <string.h>

static int say(struct ms_http_answer *answer, int status, const char *text)
{
    ms_buf_addf(&answer->body, "%s\n", text);
    return status;
}

static int healthz(const struct ms_health *health,
                   struct ms_http_answer *answer)
{
    const char *task = ms_tasks_overdue(health->tasks);

    if (task == NULL)
        return say(answer, 200, "ok");
    ms_buf_addf(&answer->body, "task '%s' is overdue\n", task);
    return 503;
}

static int readyz(const struct ms_health *health, struct ms_http_answer *answer)
{
    if (!ms_redis_is_up(health->redis))
        return say(answer, 503, "no connection to Redis");
    if (!health->schema_ok)
        return say(answer, 503, "the key layout is not checked yet");
    return say(answer, 200, health->term->leads ? "ok leader" : "ok standby");
}

int ms_health_answer(const char *method, const char *path,
                     struct ms_http_answer *answer, void *arg)
{
    const struct ms_health *health = arg;
    bool healthy = strcmp(path, "/healthz") == 0;

    if (!healthy && strcmp(path, "/readyz") != 0)
        return say(answer, 404, "not found");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return say(answer, 405, "only GET and HEAD");
    return healthy ? healthz(health, answer) : readyz(health, answer);
}

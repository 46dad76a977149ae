/*
 * health: /healthz and /readyz of a coordinator.
 *
 * Healthy: the loop turns (it answers) and, on the leader, no task is overdue;
 * a supervisor that sees 503 had better restart us.  Ready: Redis is up and
 * its key layout is ours; 503 only means "not now".
 */
#pragma once

#include <stdbool.h>

#include "common/http.h"
#include "common/redis.h"
#include "coordinator/leader.h"
#include "coordinator/task.h"

/* All borrowed. */
struct ms_health {
    const struct ms_redis *redis;
    const struct ms_term *term;
    struct ms_tasks *tasks;
    bool schema_ok;
};

/* An ms_http_fn; `arg` is a struct ms_health.  404 for other paths. */
int ms_health_answer(const char *method, const char *path,
                     struct ms_http_answer *answer, void *arg);

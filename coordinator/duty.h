/*
 * duty: what every duty of the leader is made with.
 */
#pragma once

#include <ev.h>

#include "common/redis.h"
#include "coordinator/fleetview.h"
#include "coordinator/leader.h"
#include "coordinator/task.h"

/* All of it borrowed, and lives longer than the duty. */
struct ms_duty {
    struct ev_loop *loop;
    struct ms_redis *redis;
    const char *fleet;
    const struct ms_term *term;
    struct ms_view *view;
    struct ms_tasks *tasks;
};

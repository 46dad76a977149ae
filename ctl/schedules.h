/*
 * schedules: how schedules are read from Redis and shown.
 */
#pragma once

#include "common/json.h"
#include "common/schedule.h"
#include "ctl/client.h"

/* One schedule, for ms_schedule_done(); MS_ENOENT where there is none. */
enum ms_err ms_schedules_read(struct ms_client *client, const char *name,
                              struct ms_schedule *out_schedule,
                              struct ms_error *error);

/* Appends one object a schedule to an open array, by name; one that cannot be
 * understood has its name and `last_error` alone. */
enum ms_err ms_schedules_write_all(struct ms_client *client,
                                   struct ms_json *json,
                                   struct ms_error *error);

/* The fields of one, into an open object. */
void ms_schedules_write(const struct ms_schedule *schedule,
                        struct ms_json *json);

/* The next `n` times of a line, one object each into an open array: `at_ms`,
 * and the wall clock there as `local`. */
enum ms_err ms_schedules_write_times(const char *line, const char *zone,
                                     int64_t after_ms, int64_t n,
                                     struct ms_json *json,
                                     struct ms_error *error);

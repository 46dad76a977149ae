/*
 * name: the grammar of what users may call things.
 *
 * Names go into Redis keys, file names and metric labels, so the set of
 * characters is small and braces, spaces and slashes are not in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define MS_NAME_MAX   64
#define MS_JOB_ID_MAX 128
#define MS_UNIQUE_MAX 256

/* Fleets, queues, kinds, groups, datasets, scopes, schedules, locations,
 * uploads, tasks: [A-Za-z0-9][A-Za-z0-9._~-]{0,63} */
bool ms_name_is_valid(const char *name);

/* Any job id: [A-Za-z0-9][A-Za-z0-9._:-]{0,127} */
bool ms_job_id_is_valid(const char *id);

/* As above, and not ending in ".digits", which marks a chunk of a parent. */
bool ms_job_id_is_users(const char *id);

/* MS_EINVAL with "WHAT 'NAME' ..." unless the name is valid.  Bytes that are
 * not printable are shown as '?'. */
enum ms_err ms_name_check(const char *what, const char *name,
                          struct ms_error *error);
enum ms_err ms_job_id_check_users(const char *id, struct ms_error *error);

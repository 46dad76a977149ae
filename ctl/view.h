/*
 * view: reads of the fleet that several commands share, and how they look as
 * JSON (docs/jobs.md, "musterctl").
 */
#pragma once

#include "common/admin.h"
#include "common/job.h"
#include "common/library.h"
#include "ctl/client.h"

/* Names, sorted; a zeroed struct holds none. */
struct ms_names {
    char **items;
    size_t n;
};
void ms_names_done(struct ms_names *names);
bool ms_names_has(const struct ms_names *names, const char *name);

/* The members of a set. */
enum ms_err ms_view_set(struct ms_client *client, const char *key,
                        struct ms_names *out_names, struct ms_error *error);
/* The pods in a zset by heartbeat that have beaten lately. */
enum ms_err ms_view_live(struct ms_client *client, const char *key,
                         struct ms_names *out_names, struct ms_error *error);
/* Every queue that was ever used. */
enum ms_err ms_view_queue_names(struct ms_client *client,
                                struct ms_names *out_names,
                                struct ms_error *error);

/* Appends one object a queue to an open array. */
enum ms_err ms_view_queues(struct ms_client *client,
                           const struct ms_names *names, struct ms_json *json,
                           struct ms_error *error);
/* The fields of a queue, into an open object. */
void ms_view_queue_fields(const char *name, const struct ms_queue_info *info,
                          struct ms_json *json);
enum ms_err ms_view_queue_info(struct ms_client *client, const char *queue,
                               struct ms_queue_info *out_info,
                               struct ms_error *error);

/* Appends one object a live pod to an open array.  `only` NULL: all; else the
 * pod of that id (or label). */
enum ms_err ms_view_pods(struct ms_client *client, const char *only,
                         struct ms_json *json, struct ms_error *error);

/* The leader as an object, or null. */
enum ms_err ms_view_leader(struct ms_client *client, struct ms_json *json,
                           struct ms_error *error);

/* One job's record, for ms_job_free(). */
enum ms_err ms_view_job(struct ms_client *client, const char *queue,
                        const char *id, struct ms_job **out_job,
                        struct ms_error *error);

/* The queue that holds the job, a new string: `queue` itself if not NULL
 * (checked as a name), else every queue is asked.  MS_ENOENT: in none;
 * MS_EINVAL: in several, named. */
enum ms_err ms_view_find_job(struct ms_client *client, const char *queue,
                             const char *id, char **out_queue,
                             struct ms_error *error);

/* Which library of functions the Redis has; version 0: none. */
enum ms_err ms_view_library(struct ms_client *client,
                            struct ms_library_found *out_found,
                            struct ms_error *error);

/* Sends a message to the inbox of every pod that declared the queue. */
enum ms_err ms_view_tell_queue(struct ms_client *client, const char *queue,
                               const char *message, struct ms_error *error);

/*
 * enqueue_one: puts a single job into a queue, once, whatever the connection
 * does meanwhile.
 */
#pragma once

#include "common/enqueue.h"
#include "common/name.h"
#include "ctl/client.h"

struct ms_enqueued {
    char id[MS_JOB_ID_MAX + 1]; /* the job's, or of the one that was there */
    bool deduplicated;
};

/* Registers the queue's name and enqueues. */
enum ms_err ms_enqueue_one(struct ms_client *client, const char *queue,
                           const struct ms_new_job *job, int64_t max_payload,
                           struct ms_enqueued *out_done,
                           struct ms_error *error);

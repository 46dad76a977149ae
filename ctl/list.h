/*
 * list: the jobs of a queue, page by page.
 *
 * Costs O(page) however long the queue is.  A state's jobs come from its zset
 * (running: next end of a lease first, scheduled: next due first, waiting:
 * oldest first, done and dead: newest first) or from the ready lists in the
 * order of claims, less the turns that groups take.  A cursor names the last
 * job shown, so that jobs that come and go meanwhile move no page; only in the
 * ready lists, which claims rotate, a page may miss or repeat a job then.
 */
#pragma once

#include "common/job.h"
#include "ctl/client.h"

struct ms_list_ask {
    const char *queue;
    const char *state;  /* NULL: running ready scheduled waiting dead done */
    const char *kind;   /* NULL: any; then a page may hold fewer than `limit`
                         * although more follow */
    const char *cursor; /* NULL: from the start */
    int64_t limit;
};

/* Called once a job, in order; the job lasts for the call. */
typedef void ms_list_fn(const struct ms_job *job, void *arg);

/* *out_next is a new string, NULL where the list ends.  MS_EINVAL for a state
 * that there is not, or a cursor of another list. */
enum ms_err ms_list_page(struct ms_client *client,
                         const struct ms_list_ask *ask, ms_list_fn *fn,
                         void *arg, char **out_next, struct ms_error *error);

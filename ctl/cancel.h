/*
 * cancel: ends a job by an operator's word, wherever it is.
 */
#pragma once

#include "common/admin.h"
#include "ctl/client.h"

/* Runs the script, and tells the pods of a running job or of running children
 * at once. */
enum ms_err ms_cancel_job(struct ms_client *client, const char *queue,
                          const char *id, enum ms_cancel_result *out_result,
                          struct ms_error *error);

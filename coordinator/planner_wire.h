/*
 * planner_wire: what the two halves of the planner share, and nobody else.
 */
#pragma once

#include "common/buf.h"
#include "coordinator/planner.h"

#define MS_PLANNER_DOCUMENT_MAX ((size_t)1024 * 1024)

/* Appends the request as one msgpack document. */
void ms_planner_pack_request(const struct ms_planner_request *request,
                             struct ms_buf *out);

/* Reads an answer; its own error comes back as the result.  MS_ECRASHED for
 * half an answer.  On success free with ms_planner_answer_done(). */
enum ms_err ms_planner_unpack_answer(const struct ms_buf *in,
                                     struct ms_planner_answer *out_answer,
                                     struct ms_error *error);
void ms_planner_answer_done(struct ms_planner_answer *answer);

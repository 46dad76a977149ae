/*
 * pool_line: the lines that a slot and a pool's child write to each other, as
 * pure functions.
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "common/val.h"
#include "worker/held.h"

/* Appends the line of a job, its end included.  `payload` is the job's, read;
 * one that came as JSON goes on as it came, its line ends made spaces. */
void ms_pool_line_job(const struct ms_held *job, const msgpack_object *payload,
                      struct ms_buf *out);

/* What a child said. */
struct ms_pool_word {
    bool is_last;
    /* On the way. */
    double progress;              /* below 0: not told */
    const msgpack_object *cursor; /* NULL: not told */
    /* The last one. */
    enum ms_outcome outcome;
    const msgpack_object *result; /* NULL: none */
    char message[512];
    int64_t delay_ms;
    struct ms_val val; /* which owns the objects */
};

/* Reads one line (without its end).  MS_EPROTO says what is wrong with it, as
 * in "wrote ...".  Free with ms_pool_word_done(). */
enum ms_err ms_pool_line_read(const char *text, size_t len, const char *id,
                              struct ms_pool_word *out_word,
                              struct ms_error *error);
void ms_pool_word_done(struct ms_pool_word *word);

/*
 * dump_writer: brings the steps of one chunk into a dataset, in their order.
 *
 * A step goes through the script ds_put where it is the first that the chunk
 * writes to one of its shards, since that raises the fence there, and where
 * anything is not as it should be: the script says what.  All others go as
 * plain HSETs, which cost Redis half of that.  They are in a transaction on
 * this connection that WATCHes epoch, state and fence of all shards; it was
 * opened and looked at before (the guard), and EXEC writes nothing if anybody
 * has touched them since.  A worker that was frozen between the two is refused
 * by that.
 *
 *              .------------------ first of a shard, ---------------.
 *              |                   not allowed, aborted thrice      v
 *     (add) --IDLE--guard--> GUARDED --HSETs, EXEC, next guard--> SCRIPTS
 *              ^               ^   |                                |
 *              |               '---'                                |
 *              '------------------------ answered ------------------'
 *
 * The next guard travels right behind EXEC, so that a step takes one round
 * trip.  MULTI belongs to the guard: no HSET leaves before Redis has said that
 * it will be queued, and it goes out on the same connection, or not at all.
 *
 * Nobody else may send on the connection while a writer lives.
 */
#pragma once

#include <stdbool.h>

#include "common/redis.h"
#include "worker/dump_step.h"

/* All borrowed while the writer lives, and not changed. */
struct ms_dump_writer_options {
    struct ms_redis *redis;
    const char *fleet;
    const struct ms_dataset *map;
    const struct ms_dataset_writer *writer;
};

struct ms_dump_writer;

/* Free with ms_dump_writer_free(), which forgets the steps (what is under way
 * may take effect all the same), leaves the connection as it was, and takes
 * NULL. */
struct ms_dump_writer *
ms_dump_writer_new(const struct ms_dump_writer_options *options);
void ms_dump_writer_free(struct ms_dump_writer *writer);

/* Takes the step, and sends it when its turn has come. */
void ms_dump_writer_add(struct ms_dump_writer *writer,
                        struct ms_dump_step *step);

/* Returns a new step, the oldest, if it is in the dataset; else NULL. */
struct ms_dump_step *ms_dump_writer_pop(struct ms_dump_writer *writer);

/* The steps added and not popped. */
int ms_dump_writer_count(const struct ms_dump_writer *writer);

/* MS_OK unless an answer was a failure; see ms_dataset_put_parse().  Nothing
 * goes on from there: those steps that are not written must be added to a
 * new writer. */
enum ms_err ms_dump_writer_failed(const struct ms_dump_writer *writer,
                                  struct ms_error *out_why);

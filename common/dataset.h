/*
 * dataset: documents by id, spread over shards, kept in Redis.
 *
 * The hash ms:{F}:dataset:<name> describes one: how many shards, of which
 * generation, stamped with which epoch.  Shard S of generation G lives under
 * the hash tag {F/ds/<name>/G.S}: `meta`, `docs` (id -> bytes) and one
 * `fence:<import>` hash an import.  An id's shard is its XXH3-64 modulo the
 * number of shards.
 *
 * Every read and write shows the epoch of the caller's map; MS_EMOVED says
 * that the map is old: load it again and repeat.  Requests and replies here
 * are pure; who sends them is dataset_client.h, dataset_open.h and the
 * handlers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cmd.h"
#include "common/err.h"
#include "common/keys.h"
#include "common/name.h"
#include "common/reply.h"

#define MS_DATASET_SHARDS     4 /* of a new one, unless somebody says */
#define MS_DATASET_SHARDS_MAX 4096
#define MS_DATASET_FIELD_MAX  256

/* What a batch may hold: ds_put refuses more. */
#define MS_DATASET_BATCH_DOCS  3000
#define MS_DATASET_BATCH_BYTES ((size_t)4 * 1024 * 1024)

/* The map. */
struct ms_dataset {
    char name[MS_NAME_MAX + 1];
    char state[16]; /* "open" */
    char id_field[MS_DATASET_FIELD_MAX + 1];
    int64_t shards, gen, epoch, created_ms;
};

/* MS_EINVAL unless shards and id_field are such as a dataset may have. */
enum ms_err ms_dataset_check(int64_t shards, const char *id_field,
                             struct ms_error *error);

/* Which shard an id belongs to. */
int64_t ms_dataset_shard_of(const struct ms_dataset *dataset, const void *id,
                            size_t id_len);

/* "ms:{F/ds/<name>/G.S}:<tail>"; returns `out`, room for MS_KEY_MAX. */
const char *ms_dataset_key(char *out, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard,
                           const char *tail);

/* ---- the map ---- */

/* HGETALL of the descriptor.  MS_ENOENT: no such dataset; MS_EPROTO. */
void ms_dataset_load_build(struct ms_cmd *cmd, const char *fleet,
                           const char *name);
enum ms_err ms_dataset_load_parse(const char *name,
                                  const struct ms_reply *reply,
                                  struct ms_dataset *out_dataset,
                                  struct ms_error *error);

/* Stamps one shard with the dataset's epoch (makes it, if need be), and, when
 * all are stamped, writes the descriptor.  MS_ESTALE: a newer leader was here;
 * MS_EEXIST: there is another dataset of that name; MS_ENOENT: it is not there
 * and not to be created. */
void ms_dataset_stamp_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard);
void ms_dataset_describe_build(struct ms_cmd *cmd, const char *fleet,
                               const struct ms_dataset *dataset, bool create);
enum ms_err ms_dataset_stamp_parse(const struct ms_reply *reply,
                                   struct ms_error *error);
enum ms_err ms_dataset_describe_parse(const struct ms_reply *reply,
                                      bool *out_created,
                                      struct ms_error *error);

/* SMEMBERS of the names. */
void ms_dataset_names_build(struct ms_cmd *cmd, const char *fleet);

/* ---- documents ---- */

/* Who writes for an import; NULL where an import is asked for: nobody. */
struct ms_dataset_writer {
    const char *import; /* the parent's id */
    int64_t chunk;
    int64_t fence;
};

/* A batch for one shard: begin it, add documents, send it. */
void ms_dataset_put_build(struct ms_cmd *cmd, const char *fleet,
                          const struct ms_dataset *dataset, int64_t shard,
                          const struct ms_dataset_writer *writer);
void ms_dataset_put_add(struct ms_cmd *cmd, const void *id, size_t id_len,
                        const void *doc, size_t doc_len);

/* MS_EMOVED: the map is old; MS_ESTALE: a newer fence has the chunk;
 * MS_ESTATE: the import is closed; MS_EINVAL: the batch is too large. */
enum ms_err ms_dataset_put_parse(const struct ms_reply *reply, int64_t *out_new,
                                 struct ms_error *error);

/*
 * Documents without a script, which cost Redis half: plain HSETs in a
 * transaction that is executed only if nobody touched the shards since we
 * looked at them.  Sent on one connection, in this order:
 *
 *     WATCH meta fence ...    of all shards
 *     HMGET meta, HMGET fence     of each: what ms_dataset_guard_allows() reads
 *     MULTI
 *     HSET docs ..., EXEC     once all above was answered, and well
 *
 * The guard allows what ds_put would: the epoch is ours, the shard is open,
 * the import is not closed, the fence is ours already.  Where it does not, and
 * as long as the fence is not raised, ds_put is to be asked.
 */
void ms_dataset_watch_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset,
                            const char *import);
void ms_dataset_meta_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard);
void ms_dataset_fence_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard,
                            const struct ms_dataset_writer *writer);

/* Takes the replies of the two. */
bool ms_dataset_guard_allows(const struct ms_dataset *dataset,
                             const struct ms_dataset_writer *writer,
                             const struct ms_reply *meta,
                             const struct ms_reply *fence);

/* One shard's documents: begin, ms_dataset_put_add(), send. */
void ms_dataset_hset_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard);

/* Of EXEC behind n_sets HSETs.  MS_OK with *out_written false: somebody touched
 * a shard, nothing was written.  Other errors: nothing, or some of it, was
 * written; MS_EFULL is one of the former. */
enum ms_err ms_dataset_exec_parse(const struct ms_reply *reply, size_t n_sets,
                                  bool *out_written, struct ms_error *error);

/* Get and delete: begin, ms_cmd_arg() each id, send.  The documents of a get
 * are the items of *out_docs, in the order of the ids, NIL for none. */
void ms_dataset_get_build(struct ms_cmd *cmd, const char *fleet,
                          const struct ms_dataset *dataset, int64_t shard);
enum ms_err ms_dataset_get_parse(const struct ms_reply *reply,
                                 const struct ms_reply **out_docs,
                                 struct ms_error *error);
void ms_dataset_del_build(struct ms_cmd *cmd, const char *fleet,
                          const struct ms_dataset *dataset, int64_t shard);
void ms_dataset_count_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard);
/* Of delete (how many were there) and count. */
enum ms_err ms_dataset_number_parse(const struct ms_reply *reply,
                                    int64_t *out_n, struct ms_error *error);

/* One slice of a walk; the cursor is "0" at the beginning and at the end.  See
 * lua/ds_scan.lua for what it promises.  *out_pairs: id, document, ... */
void ms_dataset_scan_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_dataset *dataset, int64_t shard,
                           const char *cursor, int64_t count);
enum ms_err ms_dataset_scan_parse(const struct ms_reply *reply,
                                  const char **out_cursor,
                                  const struct ms_reply **out_pairs,
                                  struct ms_error *error);

/* ---- ends ---- */

/* An import's end, told to each shard: late batches are refused.  DEAD keeps
 * the fences for a retry, which begins with REOPEN.  MS_ESTALE as above, by
 * ms_dataset_stamp_parse(). */
enum ms_dataset_close { MS_CLOSE_DONE, MS_CLOSE_DEAD, MS_CLOSE_REOPEN };
void ms_dataset_close_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_dataset *dataset, int64_t shard,
                            const char *import, enum ms_dataset_close how);

/* Dropping: each shard's keys first (writers find no shard and wait for a
 * map), then the descriptor and the name, then the shards once more, should
 * one have been stamped in between.  Fences go by themselves. */
void ms_dataset_unlink_build(struct ms_cmd *cmd, const char *fleet,
                             const struct ms_dataset *dataset, int64_t shard);
void ms_dataset_forget_build(struct ms_cmd *cmd, const char *fleet,
                             const char *name); /* DEL */
void ms_dataset_forget_name_build(struct ms_cmd *cmd, const char *fleet,
                                  const char *name); /* SREM */

#include "common/family.h"

#include <stdio.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/status.h"
#include "common/val.h"
#include "scripts.h"

/* ---- checks ---- */

static enum ms_err check_child(size_t i, const struct ms_new_job *job,
                               int64_t max_payload, struct ms_error *error)
{
    const struct {
        bool is_wrong;
        const char *what;
    } refused[] = {
        {job->id != NULL || job->own_id, "an id"},
        {job->unique != NULL, "a unique key"},
        {job->parent || strcmp(job->kind, "dump.import") == 0,
         "children of its own"},
    };

    for (size_t k = 0; k < MS_COUNT_OF(refused); k++)
        if (refused[k].is_wrong)
            return ms_error_set(error, MS_EINVAL,
                                "job %zu: a child of a batch has not %s", i + 1,
                                refused[k].what);
    return ms_new_job_check(i, job, max_payload, error);
}

static enum ms_err check_callback(const char *name,
                                  const struct ms_new_job *job,
                                  int64_t max_payload, struct ms_error *error)
{
    struct ms_error why = {""};
    enum ms_err err;

    if (job == NULL)
        return MS_OK;
    if (strcmp(job->kind, "dump.import") == 0)
        return ms_error_set(error, MS_EINVAL, "%s: an import is no callback",
                            name);
    if (job->unique != NULL || job->parent || job->delay_ms != 0 ||
        job->at_ms != 0 || job->expires_in_ms != 0 || job->expires_at_ms != 0)
        return ms_error_set(error, MS_EINVAL,
                            "%s: a callback has no delay, time, expiry or "
                            "unique key",
                            name);
    err = ms_new_job_check(0, job, max_payload, &why);
    return err == MS_OK
               ? MS_OK
               : ms_error_set(error, err, "%s: %.400s", name, why.text);
}

static enum ms_err check_id(const struct ms_family *family,
                            struct ms_error *error)
{
    if (strlen(family->id) > MS_FAMILY_ID_MAX)
        return ms_error_set(error, MS_EINVAL,
                            "the id of a batch has at most %d bytes",
                            MS_FAMILY_ID_MAX);
    if (family->own_id)
        return ms_job_id_check_users(family->id, error);
    return ms_job_id_is_valid(family->id)
               ? MS_OK
               : ms_error_set(error, MS_EINVAL, "'%s' is no job id",
                              family->id);
}

static enum ms_err check_family(const struct ms_family *family,
                                int64_t max_payload, struct ms_error *error)
{
    enum ms_err err = ms_name_check("kind", family->kind, error);

    if (err == MS_OK && strncmp(family->kind, "dump.", 5) == 0)
        err = ms_error_set(error, MS_EINVAL,
                           "a batch cannot be of kind '%s': those are imports",
                           family->kind);
    if (err == MS_OK && (int64_t)family->payload_len > max_payload)
        err = ms_error_set(error, MS_EINVAL,
                           "the batch's payload of %zu bytes is over "
                           "max_payload (%lld)",
                           family->payload_len, (long long)max_payload);
    if (err == MS_OK)
        err = check_callback("on_complete", family->on_complete, max_payload,
                             error);
    if (err == MS_OK)
        err = check_callback("on_success", family->on_success, max_payload,
                             error);
    if (err == MS_OK)
        err = check_callback("on_failure", family->on_failure, max_payload,
                             error);
    return err;
}

/* ---- msgpack ---- */

/* A map whose fields are written before their number is known. */
struct map {
    struct ms_buf fields;
    msgpack_packer pk;
    size_t n;
};

static void map_begin(struct map *map)
{
    *map = (struct map){.fields = MS_BUF_INIT};
    ms_val_packer_init(&map->pk, &map->fields);
}

static void map_bytes(struct map *map, const char *name, const void *bytes,
                      size_t len)
{
    msgpack_pack_str_with_body(&map->pk, name, strlen(name));
    msgpack_pack_str_with_body(&map->pk, bytes, len);
    map->n++;
}

static void map_text(struct map *map, const char *name, const char *text)
{
    if (text != NULL)
        map_bytes(map, name, text, strlen(text));
}

static void map_int(struct map *map, const char *name, int64_t value)
{
    if (value == 0)
        return;
    msgpack_pack_str_with_body(&map->pk, name, strlen(name));
    msgpack_pack_int64(&map->pk, value);
    map->n++;
}

static void map_end(struct map *map, struct ms_buf *out)
{
    msgpack_packer pk;

    ms_val_packer_init(&pk, out);
    msgpack_pack_map(&pk, map->n);
    ms_buf_add(out, map->fields.data, map->fields.len);
    ms_buf_done(&map->fields);
}

static void map_callback(struct map *map, const char *name,
                         const struct ms_new_job *job)
{
    struct ms_buf packed = MS_BUF_INIT;
    struct map own;

    if (job == NULL)
        return;
    map_begin(&own);
    map_text(&own, "kind", job->kind);
    if (job->payload != NULL)
        map_bytes(&own, "payload", job->payload, job->payload_len);
    map_int(&own, "json", job->json && job->payload != NULL);
    if (job->priority != MS_PRIORITY_DEFAULT) {
        msgpack_pack_str_with_body(&own.pk, "p", 1);
        msgpack_pack_int(&own.pk, job->priority);
        own.n++;
    }
    map_text(&own, "g", job->group);
    map_int(&own, "ma", job->max_attempts);
    map_int(&own, "to", job->timeout_ms);
    map_end(&own, &packed);
    map_bytes(map, name, packed.data, packed.len);
    ms_buf_done(&packed);
}

static void pack_family(const struct ms_family *family, struct ms_buf *out)
{
    struct map map;

    map_begin(&map);
    map_text(&map, "kind", family->kind);
    map_bytes(&map, "payload", family->payload != NULL ? family->payload : "",
              family->payload_len);
    map_text(&map, "policy", family->fail_fast ? "fail_fast" : "continue");
    map_int(&map, "json", family->json);
    map_int(&map, "own", family->own_id);
    map_callback(&map, "on_complete", family->on_complete);
    map_callback(&map, "on_success", family->on_success);
    map_callback(&map, "on_failure", family->on_failure);
    map_end(&map, out);
}

/* ---- the request and its answer ---- */

static void add_keys(struct ms_cmd *cmd, const struct ms_family *family)
{
    ms_keys_of_queue(cmd, family->fleet, family->queue);
    ms_keys_add_job(cmd, family->fleet, family->queue, family->id);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:tally:%s", family->fleet, family->queue,
                family->id);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:gone:%s", family->fleet, family->queue,
                family->id);
}

enum ms_err ms_family_build(struct ms_cmd *cmd, const struct ms_family *family,
                            int64_t first, const struct ms_new_job *children,
                            size_t n_children, bool seal, int64_t max_payload,
                            struct ms_error *error)
{
    struct ms_buf packed = MS_BUF_INIT;
    enum ms_err err = ms_name_check("queue", family->queue, error);

    if (err == MS_OK)
        err = check_id(family, error);
    if (err == MS_OK && !family->exists)
        err = check_family(family, max_payload, error);
    if (err == MS_OK && n_children > MS_FAMILY_MAX)
        err = ms_error_set(error, MS_EINVAL, "more than %d children in a call",
                           MS_FAMILY_MAX);
    for (size_t i = 0; err == MS_OK && i < n_children; i++)
        err = check_child(i, &children[i], max_payload, error);
    if (err != MS_OK)
        return err;
    ms_cmd_script(cmd, &ms_script_add_children);
    add_keys(cmd, family);
    if (!family->exists)
        pack_family(family, &packed);
    ms_cmd_arg(cmd, packed.data, packed.len);
    ms_cmd_argi(cmd, first);
    ms_cmd_argi(cmd, seal);
    for (size_t i = 0; i < n_children; i++) {
        ms_buf_clear(&packed);
        ms_new_job_pack_options(&children[i], &packed);
        ms_cmd_args(cmd, children[i].kind);
        ms_cmd_arg(cmd, children[i].payload, children[i].payload_len);
        ms_cmd_arg(cmd, packed.data, packed.len);
    }
    ms_buf_done(&packed);
    return MS_OK;
}

enum ms_err ms_family_parse(const struct ms_reply *reply,
                            struct ms_family_answer *out_answer,
                            struct ms_error *error)
{
    bool ahead = ms_reply_is(ms_reply_at(reply, 0), "planned");
    enum ms_err err =
        ahead ? MS_OK : ms_status_parse(reply, "the batch", error);

    if (err == MS_EFULL)
        return ms_error_set(error, MS_EFULL,
                            "the queue has no room below its max_length (it "
                            "holds %lld jobs)",
                            (long long)ms_reply_int(ms_reply_at(reply, 1), 0));
    if (err != MS_OK)
        return err;
    if (ms_reply_at(reply, 1)->type != MS_REPLY_INT ||
        ms_reply_at(reply, 2)->type != MS_REPLY_INT ||
        ms_reply_at(reply, 3)->type != MS_REPLY_STR)
        return ms_error_set(error, MS_EPROTO,
                            "add_children: an answer of unknown shape");
    *out_answer = (struct ms_family_answer){
        .ahead = ahead,
        .planned = ms_reply_at(reply, 1)->num,
        .added = ahead ? 0 : ms_reply_at(reply, 2)->num,
        .sealed = ahead && ms_reply_at(reply, 2)->num != 0,
    };
    snprintf(out_answer->state, sizeof(out_answer->state), "%s",
             ms_reply_at(reply, 3)->str);
    return MS_OK;
}

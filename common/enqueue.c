#include "common/enqueue.h"

#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/status.h"
#include "common/val.h"
#include "scripts.h"

static enum ms_err check_number(size_t i, const char *what, int64_t value,
                                struct ms_error *error)
{
    if (value >= 0 && value < (int64_t)1 << 53)
        return MS_OK;
    return ms_error_set(error, MS_EINVAL, "job %zu: %s %lld is out of range",
                        i + 1, what, (long long)value);
}

static enum ms_err check_id(const struct ms_new_job *job,
                            struct ms_error *error)
{
    if (job->own_id)
        return ms_job_id_check_users(job->id, error);
    if (ms_job_id_is_valid(job->id))
        return MS_OK;
    return ms_error_set(error, MS_EINVAL, "'%s' is no job id", job->id);
}

static const char *const unique_modes[] = {"refuse", "replace", "debounce"};

enum ms_err ms_unique_mode_parse(const char *text,
                                 enum ms_unique_mode *out_mode,
                                 struct ms_error *error)
{
    for (size_t i = 0; i < MS_COUNT_OF(unique_modes); i++)
        if (strcmp(text, unique_modes[i]) == 0) {
            *out_mode = (enum ms_unique_mode)i;
            return MS_OK;
        }
    return ms_error_set(
        error, MS_EINVAL,
        "unique_mode is refuse, replace or debounce, not '%.60s'", text);
}

static enum ms_err check_unique(size_t i, const struct ms_new_job *job,
                                struct ms_error *error)
{
    size_t len = job->unique == NULL ? 1 : strlen(job->unique);

    if (len < 1 || len > MS_UNIQUE_MAX)
        return ms_error_set(error, MS_EINVAL, "a unique key has 1 to %d bytes",
                            MS_UNIQUE_MAX);
    if (job->unique == NULL && job->unique_mode != MS_UNIQUE_REFUSE)
        return ms_error_set(error, MS_EINVAL,
                            "job %zu: unique_mode without a unique key", i + 1);
    if ((unsigned)job->unique_mode >= MS_COUNT_OF(unique_modes))
        return ms_error_set(error, MS_EINVAL, "job %zu: unique_mode %d", i + 1,
                            (int)job->unique_mode);
    if (job->parent && job->unique_mode == MS_UNIQUE_DEBOUNCE)
        return ms_error_set(error, MS_EINVAL,
                            "job %zu: a parent cannot be debounced", i + 1);
    return MS_OK;
}

static enum ms_err check_numbers(size_t i, const struct ms_new_job *job,
                                 struct ms_error *error)
{
    const struct {
        const char *what;
        int64_t value;
    } numbers[] = {
        {"delay", job->delay_ms},           {"at", job->at_ms},
        {"expires", job->expires_in_ms},    {"expires", job->expires_at_ms},
        {"unique_ttl", job->unique_ttl_ms}, {"max_attempts", job->max_attempts},
        {"timeout", job->timeout_ms},
    };
    enum ms_err err = MS_OK;

    for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
        err = check_number(i, numbers[k].what, numbers[k].value, error);
        if (err != MS_OK)
            return err;
    }
    if (job->priority < 0 || job->priority > 9)
        err =
            ms_error_set(error, MS_EINVAL, "job %zu: priority %d is not 0 to 9",
                         i + 1, job->priority);
    return err;
}

enum ms_err ms_new_job_check(size_t i, const struct ms_new_job *job,
                             int64_t max_payload, struct ms_error *error)
{
    enum ms_err err = ms_name_check("kind", job->kind, error);

    if (err == MS_OK && job->group != NULL)
        err = ms_name_check("group", job->group, error);
    if (err == MS_OK)
        err = check_numbers(i, job, error);
    if (err == MS_OK)
        err = check_unique(i, job, error);
    if (err == MS_OK && (int64_t)job->payload_len > max_payload)
        err = ms_error_set(error, MS_EINVAL,
                           "job %zu: the payload of %zu bytes is over "
                           "max_payload (%lld)",
                           i + 1, job->payload_len, (long long)max_payload);
    return err;
}

static enum ms_err check_job(size_t i, const struct ms_new_job *job,
                             int64_t max_payload, struct ms_error *error)
{
    enum ms_err err = check_id(job, error);

    if (err == MS_OK)
        err = ms_new_job_check(i, job, max_payload, error);
    return err;
}

static void pack_int(msgpack_packer *pk, const char *name, int64_t value)
{
    msgpack_pack_str_with_body(pk, name, strlen(name));
    msgpack_pack_int64(pk, value);
}

static void pack_str(msgpack_packer *pk, const char *name, const char *value)
{
    msgpack_pack_str_with_body(pk, name, strlen(name));
    msgpack_pack_str_with_body(pk, value, strlen(value));
}

/* The options of enqueue.lua as a msgpack map; nothing when all are at their
 * default, which spares the script the work. */
void ms_new_job_pack_options(const struct ms_new_job *job, struct ms_buf *out)
{
    const struct {
        const char *name;
        int64_t value;
    } ints[] = {
        {"own", job->own_id},           {"json", job->json},
        {"delay", job->delay_ms},       {"at", job->at_ms},
        {"exp_in", job->expires_in_ms}, {"exp_at", job->expires_at_ms},
        {"ma", job->max_attempts},      {"to", job->timeout_ms},
        {"uttl", job->unique_ttl_ms},   {"parent", job->parent},
        {"st", job->slot_ms},
    };
    bool priority = job->priority != MS_PRIORITY_DEFAULT;
    bool mode = job->unique_mode != MS_UNIQUE_REFUSE;
    size_t n = (size_t)priority + (job->group != NULL) + (job->unique != NULL) +
               (size_t)mode + (job->schedule != NULL);
    msgpack_packer pk;

    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
        n += ints[i].value != 0;
    if (n == 0)
        return;
    ms_val_packer_init(&pk, out);
    msgpack_pack_map(&pk, n);
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
        if (ints[i].value != 0)
            pack_int(&pk, ints[i].name, ints[i].value);
    if (priority)
        pack_int(&pk, "p", job->priority);
    if (job->group != NULL)
        pack_str(&pk, "g", job->group);
    if (job->unique != NULL)
        pack_str(&pk, "u", job->unique);
    if (mode)
        pack_str(&pk, "um", unique_modes[job->unique_mode]);
    if (job->schedule != NULL)
        pack_str(&pk, "sn", job->schedule);
}

enum ms_err ms_enqueue_build(struct ms_cmd *cmd, const char *fleet,
                             const char *queue, const char *token,
                             const struct ms_new_job *jobs, size_t n_jobs,
                             int64_t max_payload, struct ms_error *error)
{
    struct ms_buf options = MS_BUF_INIT;
    enum ms_err err = ms_name_check("queue", queue, error);

    if (err == MS_OK && n_jobs > MS_ENQUEUE_MAX)
        err = ms_error_set(error, MS_EINVAL, "more than %d jobs in a call",
                           MS_ENQUEUE_MAX);
    for (size_t i = 0; err == MS_OK && i < n_jobs; i++)
        err = check_job(i, &jobs[i], max_payload, error);
    if (err != MS_OK)
        return err;
    ms_cmd_script(cmd, &ms_script_enqueue);
    ms_keys_of_queue(cmd, fleet, queue);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:token:%s", fleet, queue, token);
    for (size_t i = 0; i < n_jobs; i++)
        ms_keys_add_job(cmd, fleet, queue, jobs[i].id);
    for (size_t i = 0; i < n_jobs; i++) {
        ms_buf_clear(&options);
        ms_new_job_pack_options(&jobs[i], &options);
        ms_cmd_args(cmd, jobs[i].kind);
        ms_cmd_arg(cmd, jobs[i].payload, jobs[i].payload_len);
        ms_cmd_arg(cmd, options.data, options.len);
    }
    ms_buf_done(&options);
    return MS_OK;
}

void ms_enqueue_by_leader(struct ms_cmd *cmd, int64_t epoch)
{
    ms_cmd_argi(cmd, epoch);
}

/* (index from 1, id) of the deduplicated, in order. */
static bool is_dedup(const struct ms_reply *list, size_t n_jobs)
{
    int64_t last = 0;

    if (list->type != MS_REPLY_ARRAY || list->n_items % 2 != 0)
        return false;
    for (size_t i = 0; i < list->n_items; i += 2) {
        int64_t index = ms_reply_int(&list->items[i], 0);

        if (index <= last || index > (int64_t)n_jobs ||
            list->items[i + 1].type != MS_REPLY_STR)
            return false;
        last = index;
    }
    return true;
}

enum ms_err ms_enqueue_parse(const struct ms_reply *reply, size_t n_jobs,
                             ms_enqueued_fn *fn, void *arg,
                             struct ms_error *error)
{
    const struct ms_reply *dedup = ms_reply_at(reply, 2);
    enum ms_err err = ms_status_parse(reply, "enqueue", error);
    size_t next = 0;

    if (err == MS_EFULL)
        return ms_error_set(error, MS_EFULL,
                            "the queue is at its max_length (%lld jobs)",
                            (long long)ms_reply_int(ms_reply_at(reply, 1), 0));
    if (err != MS_OK)
        return err;
    if (!is_dedup(dedup, n_jobs))
        return ms_error_set(error, MS_EPROTO,
                            "enqueue: an answer of unknown shape");
    for (size_t i = 0; fn != NULL && i < n_jobs; i++) {
        bool named =
            next + 1 < dedup->n_items &&
            ms_reply_int(ms_reply_at(dedup, next), 0) == (int64_t)i + 1;

        fn(i, named ? MS_DEDUPLICATED : MS_ENQUEUED,
           named ? ms_reply_str(ms_reply_at(dedup, next + 1), "") : NULL, arg);
        next += named ? 2 : 0;
    }
    return MS_OK;
}

void ms_enqueue_register_build(struct ms_cmd *cmd, const char *fleet,
                               const char *queue)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "SADD", ms_key_fleet(key, fleet, "queues"), queue, NULL);
}

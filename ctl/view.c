#include "ctl/view.h"

#include <stdlib.h>
#include <string.h>

#include "common/fleet.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/name.h"

/* Requests that go out together; queues, pods and jobs come in slices. */
#define SLICE 100

void ms_names_done(struct ms_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct ms_names){0};
}

bool ms_names_has(const struct ms_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_read(const struct ms_reply *reply, struct ms_names *out)
{
    out->items = ms_xcalloc(reply->n_items + 1, sizeof(char *));
    for (size_t i = 0; i < reply->n_items; i++)
        out->items[out->n++] =
            ms_xstrdup(ms_reply_str(ms_reply_at(reply, i), ""));
    qsort(out->items, out->n, sizeof(char *), compare_names);
}

static enum ms_err names_ask(struct ms_client *client, struct ms_cmd *cmd,
                             struct ms_names *out_names, struct ms_error *error)
{
    struct ms_reply *reply = NULL;
    enum ms_err err = ms_client_ask(client, cmd, &reply, error);

    if (err == MS_OK)
        names_read(reply, out_names);
    ms_reply_free(reply);
    return err;
}

enum ms_err ms_view_set(struct ms_client *client, const char *key,
                        struct ms_names *out_names, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "SMEMBERS", key, NULL);
    return names_ask(client, &cmd, out_names, error);
}

enum ms_err ms_view_queue_names(struct ms_client *client,
                                struct ms_names *out_names,
                                struct ms_error *error)
{
    char key[MS_KEY_MAX];

    return ms_view_set(client,
                       ms_key_fleet(key, ms_client_fleet(client), "queues"),
                       out_names, error);
}

enum ms_err ms_view_live(struct ms_client *client, const char *key,
                         struct ms_names *out_names, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t now_ms;
    enum ms_err err = ms_client_now(client, &now_ms, error);

    if (err != MS_OK)
        return err;
    ms_cmd_plain(&cmd, "ZRANGEBYSCORE", key, NULL);
    ms_cmd_argi(&cmd, now_ms - ms_client_gone_after_ms(client));
    ms_cmd_args(&cmd, "+inf");
    return names_ask(client, &cmd, out_names, error);
}

/* ---- asking the same of many names ---- */

typedef void build_fn(struct ms_cmd *cmd, const char *fleet, const char *name,
                      void *arg);
typedef enum ms_err answer_fn(const char *name, const struct ms_reply *reply,
                              void *arg, struct ms_error *error);

/* One request a name, in slices; `answer` is called in the names' order. */
static enum ms_err ask_each(struct ms_client *client,
                            const struct ms_names *names, build_fn *build,
                            answer_fn *answer, void *arg,
                            struct ms_error *error)
{
    enum ms_err err = MS_OK;

    for (size_t at = 0; at < names->n && err == MS_OK; at += SLICE) {
        size_t n = names->n - at < SLICE ? names->n - at : SLICE;
        struct ms_cmd cmds[SLICE] = {MS_CMD_INIT};
        struct ms_reply *replies[SLICE] = {NULL};

        for (size_t i = 0; i < n; i++)
            build(&cmds[i], ms_client_fleet(client), names->items[at + i], arg);
        err = ms_client_ask_all(client, cmds, n, replies, error);
        for (size_t i = 0; i < n && err == MS_OK; i++)
            err = answer(names->items[at + i], replies[i], arg, error);
        ms_client_free_all(replies, n);
    }
    return err;
}

/* ---- queues ---- */

static void int_or_null(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    if (value != 0)
        ms_json_int(json, value);
    else
        ms_json_null(json);
}

static void int_field(struct ms_json *json, const char *key, int64_t value)
{
    ms_json_key(json, key);
    ms_json_int(json, value);
}

void ms_view_queue_fields(const char *name, const struct ms_queue_info *info,
                          struct ms_json *json)
{
    ms_json_key(json, "name");
    ms_json_str(json, name);
    ms_json_key(json, "paused");
    ms_json_bool(json, info->paused);
    int_field(json, "max_workers", info->max_workers);
    int_field(json, "ready", info->ready);
    int_field(json, "scheduled", info->scheduled);
    int_field(json, "running", info->running);
    int_field(json, "waiting", info->waiting);
    int_field(json, "done", info->done);
    int_field(json, "dead", info->dead);
    int_field(json, "parked", info->parked);
    int_field(json, "due", info->due);
    int_or_null(json, "oldest_ready_ms", info->oldest_ready_ms);
    int_or_null(json, "throttled_until_ms", info->throttled_until_ms);
}

static void queue_build(struct ms_cmd *cmd, const char *fleet, const char *name,
                        void *arg)
{
    ms_queue_info_build(cmd, fleet, name);
}

static enum ms_err queue_answer(const char *name, const struct ms_reply *reply,
                                void *arg, struct ms_error *error)
{
    struct ms_json *json = arg;
    struct ms_queue_info info;
    enum ms_err err = ms_queue_info_parse(reply, &info, error);

    if (err != MS_OK)
        return err;
    ms_json_open(json, '{');
    ms_view_queue_fields(name, &info, json);
    ms_json_close(json);
    return MS_OK;
}

enum ms_err ms_view_queues(struct ms_client *client,
                           const struct ms_names *names, struct ms_json *json,
                           struct ms_error *error)
{
    return ask_each(client, names, queue_build, queue_answer, json, error);
}

enum ms_err ms_view_queue_info(struct ms_client *client, const char *queue,
                               struct ms_queue_info *out_info,
                               struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_queue_info_build(&cmd, ms_client_fleet(client), queue);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_queue_info_parse(reply, out_info, error);
    ms_reply_free(reply);
    return err;
}

/* ---- pods ---- */

struct pods {
    const char *only;
    struct ms_json *json;
};

static void pod_build(struct ms_cmd *cmd, const char *fleet, const char *name,
                      void *arg)
{
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "HGETALL", ms_key_fleet(key, fleet, "pod:%s", name),
                 NULL);
}

static const char *field_text(const struct ms_reply *pairs, const char *field)
{
    return ms_reply_str(ms_reply_field(pairs, field), NULL);
}

static void str_from(struct ms_json *json, const struct ms_reply *pairs,
                     const char *field)
{
    const char *text = field_text(pairs, field);

    ms_json_key(json, field);
    ms_json_str(json, text != NULL && text[0] != '\0' ? text : NULL);
}

static void int_from(struct ms_json *json, const struct ms_reply *pairs,
                     const char *field)
{
    const struct ms_reply *value = ms_reply_field(pairs, field);

    ms_json_key(json, field);
    if (value->type == MS_REPLY_NIL)
        ms_json_null(json);
    else
        ms_json_int(json, ms_reply_int(value, 0));
}

static void words_from(struct ms_json *json, const struct ms_reply *pairs,
                       const char *field)
{
    const char *text = ms_reply_str(ms_reply_field(pairs, field), "");

    ms_json_key(json, field);
    ms_json_open(json, '[');
    while (*text != '\0') {
        size_t len = strcspn(text, ",");

        if (len > 0)
            ms_json_strn(json, text, len);
        text += len + (text[len] == ',');
    }
    ms_json_close(json);
}

/* A field that holds a JSON document: passed on if it is one. */
static void json_from(struct ms_json *json, const struct ms_reply *pairs,
                      const char *field)
{
    const struct ms_reply *text = ms_reply_field(pairs, field);
    struct ms_val val = {0};

    ms_json_key(json, field);
    if (text->type == MS_REPLY_STR &&
        ms_val_from_json(text->str, text->len, &val, NULL) == MS_OK)
        ms_json_val(json, &val.root);
    else
        ms_json_null(json);
    ms_val_done(&val);
}

static void pod_write(const char *id, const struct ms_reply *pairs,
                      struct ms_json *json)
{
    ms_json_open(json, '{');
    ms_json_key(json, "id");
    ms_json_str(json, id);
    str_from(json, pairs, "label");
    str_from(json, pairs, "host");
    int_from(json, pairs, "pid");
    str_from(json, pairs, "version");
    words_from(json, pairs, "queues");
    int_from(json, pairs, "concurrency");
    json_from(json, pairs, "slots");
    int_from(json, pairs, "busy");
    ms_json_key(json, "draining");
    ms_json_bool(json, ms_reply_is(ms_reply_field(pairs, "draining"), "1"));
    int_from(json, pairs, "started_ms");
    int_from(json, pairs, "heartbeat_ms");
    str_from(json, pairs, "http");
    words_from(json, pairs, "kinds");
    ms_json_close(json);
}

/* A pod whose record has expired is gone, listed or not. */
static enum ms_err pod_answer(const char *name, const struct ms_reply *reply,
                              void *arg, struct ms_error *error)
{
    struct pods *pods = arg;
    const char *label = field_text(reply, "label");

    if (reply->n_items == 0)
        return MS_OK;
    if (pods->only == NULL || strcmp(pods->only, name) == 0 ||
        (label != NULL && strcmp(pods->only, label) == 0))
        pod_write(name, reply, pods->json);
    return MS_OK;
}

enum ms_err ms_view_pods(struct ms_client *client, const char *only,
                         struct ms_json *json, struct ms_error *error)
{
    struct pods pods = {only, json};
    struct ms_names names = {0};
    char key[MS_KEY_MAX];
    enum ms_err err =
        ms_view_live(client, ms_key_fleet(key, ms_client_fleet(client), "pods"),
                     &names, error);

    if (err == MS_OK)
        err = ask_each(client, &names, pod_build, pod_answer, &pods, error);
    ms_names_done(&names);
    return err;
}

enum ms_err ms_view_leader(struct ms_client *client, struct ms_json *json,
                           struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err;

    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_fleet(key, ms_client_fleet(client), "leader"), NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    if (reply->n_items == 0) {
        ms_json_null(json);
    } else {
        ms_json_open(json, '{');
        str_from(json, reply, "id");
        int_from(json, reply, "epoch");
        int_from(json, reply, "since_ms");
        str_from(json, reply, "url");
        str_from(json, reply, "host");
        int_from(json, reply, "pid");
        ms_json_close(json);
    }
    ms_reply_free(reply);
    return MS_OK;
}

/* ---- jobs ---- */

enum ms_err ms_view_job(struct ms_client *client, const char *queue,
                        const char *id, struct ms_job **out_job,
                        struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    enum ms_err err;

    ms_cmd_plain(&cmd, "HGETALL",
                 ms_key_queue(key, ms_client_fleet(client), queue, "job:%s",
                              id),
                 NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err == MS_OK && reply->n_items == 0)
        err = ms_error_set(error, MS_ENOENT, "no job '%s' in queue '%s'", id,
                           queue);
    else if (err == MS_OK)
        err = ms_job_parse(queue, id, reply, out_job, error);
    ms_reply_free(reply);
    return err;
}

/* The queues that hold the id, joined for a message. */
struct found {
    const char *id;
    size_t n;
    struct ms_buf names;
};

static void exists_build(struct ms_cmd *cmd, const char *fleet,
                         const char *name, void *arg)
{
    const struct found *found = arg;
    char key[MS_KEY_MAX];

    ms_cmd_plain(cmd, "EXISTS",
                 ms_key_queue(key, fleet, name, "job:%s", found->id), NULL);
}

static enum ms_err exists_answer(const char *name, const struct ms_reply *reply,
                                 void *arg, struct ms_error *error)
{
    struct found *found = arg;

    if (ms_reply_int(reply, 0) > 0) {
        ms_buf_addf(&found->names, "%s%s", found->n > 0 ? " " : "", name);
        found->n++;
    }
    return MS_OK;
}

static enum ms_err find_everywhere(struct ms_client *client, const char *id,
                                   char **out_queue, struct ms_error *error)
{
    struct found found = {.id = id};
    struct ms_names names = {0};
    enum ms_err err = ms_view_queue_names(client, &names, error);

    if (err == MS_OK)
        err = ask_each(client, &names, exists_build, exists_answer, &found,
                       error);
    if (err == MS_OK && found.n == 0)
        err = ms_error_set(error, MS_ENOENT, "no job '%s' in any queue", id);
    else if (err == MS_OK && found.n > 1)
        err = ms_error_set(error, MS_EINVAL,
                           "several queues hold '%s': say --queue, one of: %s",
                           id, ms_buf_str(&found.names));
    else if (err == MS_OK)
        *out_queue = ms_xstrdup(ms_buf_str(&found.names));
    ms_buf_done(&found.names);
    ms_names_done(&names);
    return err;
}

enum ms_err ms_view_find_job(struct ms_client *client, const char *queue,
                             const char *id, char **out_queue,
                             struct ms_error *error)
{
    enum ms_err err;

    if (!ms_job_id_is_valid(id))
        return ms_error_set(error, MS_EINVAL, "'%s' is no job id", id);
    if (queue == NULL)
        return find_everywhere(client, id, out_queue, error);
    err = ms_name_check("queue", queue, error);
    if (err == MS_OK)
        *out_queue = ms_xstrdup(queue);
    return err;
}

/* ---- telling pods ---- */

static void inbox_build(struct ms_cmd *cmd, const char *fleet, const char *name,
                        void *arg)
{
    ms_inbox_build(cmd, fleet, name, arg);
}

static enum ms_err inbox_answer(const char *name, const struct ms_reply *reply,
                                void *arg, struct ms_error *error)
{
    return MS_OK;
}

enum ms_err ms_view_tell_queue(struct ms_client *client, const char *queue,
                               const char *message, struct ms_error *error)
{
    struct ms_names pods = {0};
    char key[MS_KEY_MAX];
    char *text = ms_xstrdup(message);
    enum ms_err err = ms_view_live(client,
                                   ms_key_fleet(key, ms_client_fleet(client),
                                                "members:%s", queue),
                                   &pods, error);

    if (err == MS_OK)
        err = ask_each(client, &pods, inbox_build, inbox_answer, text, error);
    ms_names_done(&pods);
    free(text);
    return err;
}

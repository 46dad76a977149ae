#include "ctl/children.h"

#include <stdio.h>

#include "common/name.h"
#include "common/parent.h"

struct chunks {
    const struct ms_job *parent;
    struct ms_json *json;
};

/* Of a done chunk there is only its bit. */
static void chunk_done_write(const struct chunks *chunks, int64_t n)
{
    char id[MS_JOB_ID_MAX + 32], kind[] = "dump.chunk", state[] = "done";
    struct ms_job job = {.id = id,
                         .queue = chunks->parent->queue,
                         .kind = kind,
                         .state = state,
                         .priority = chunks->parent->priority,
                         .parent = chunks->parent->id,
                         .group = chunks->parent->id,
                         .chunk = n,
                         .progress = 1};

    snprintf(id, sizeof(id), "%s.%lld", chunks->parent->id, (long long)n);
    ms_job_to_json(&job, chunks->json);
}

static void on_chunk(int64_t n, const struct ms_reply *fields, void *arg)
{
    struct chunks *chunks = arg;
    struct ms_job *job = NULL;
    char id[MS_JOB_ID_MAX + 32];

    if (fields == NULL) {
        if (chunks->parent->batch == NULL)
            chunk_done_write(chunks, n);
        return;
    }
    snprintf(id, sizeof(id), "%s.%lld", chunks->parent->id, (long long)n);
    if (ms_job_parse(chunks->parent->queue, id, fields, &job, NULL) == MS_OK)
        ms_job_to_json(job, chunks->json);
    ms_job_free(job);
}

enum ms_err ms_children_page(struct ms_client *client,
                             const struct ms_job *parent, int64_t from,
                             int64_t limit, struct ms_json *json,
                             struct ms_error *error)
{
    struct chunks chunks = {parent, json};
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    int64_t next = -1;
    char cursor[32];
    enum ms_err err;

    ms_chunks_build(&cmd, ms_client_fleet(client), parent->queue, parent->id,
                    from, limit);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    ms_json_open(json, '{');
    ms_json_key(json, "items");
    ms_json_open(json, '[');
    err = ms_chunks_parse(reply, on_chunk, &chunks, &next, error);
    ms_json_close(json);
    snprintf(cursor, sizeof(cursor), "%lld", (long long)next);
    ms_json_key(json, "next");
    ms_json_str(json, next < 0 ? NULL : cursor);
    ms_json_close(json);
    ms_reply_free(reply);
    return err;
}

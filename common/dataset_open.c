#include "common/dataset_open.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define WINDOW 32 /* stamps under way at a time */

enum open_state { OPEN_LOADING, OPEN_STAMPING, OPEN_DESCRIBING };

/* One request under way. */
struct call {
    struct ms_dataset_open *open;
    struct ms_request *request; /* NULL: free */
};

struct ms_dataset_open {
    struct ms_redis *redis;
    char *fleet, *id_field;
    struct ms_dataset map; /* as wanted; shards 0 and no field: as it is */
    bool only_existing;
    ms_dataset_open_fn *fn;
    void *arg;
    enum open_state state;
    int64_t next_shard;
    int under_way;
    struct call calls[WINDOW];
    enum ms_err err; /* the first failure */
    struct ms_error error;
};

static void step(struct ms_dataset_open *o);

void ms_dataset_open_cancel(struct ms_dataset_open *o)
{
    int i;

    if (o == NULL)
        return;
    for (i = 0; i < WINDOW; i++)
        if (o->calls[i].request != NULL)
            ms_redis_cancel(o->calls[i].request);
    free(o->fleet);
    free(o->id_field);
    free(o);
}

static void finish(struct ms_dataset_open *o)
{
    struct ms_dataset map = o->map;
    struct ms_error error = o->error;
    enum ms_err err = o->err;
    ms_dataset_open_fn *fn = o->fn;
    void *arg = o->arg;

    ms_dataset_open_cancel(o);
    fn(err, err == MS_OK ? &map : NULL, err == MS_OK ? "" : error.text, arg);
}

static void send_call(struct ms_dataset_open *o, struct ms_cmd *cmd,
                      ms_reply_fn *fn)
{
    int i = 0;

    while (o->calls[i].request != NULL)
        i++;
    ms_assert(i < WINDOW);
    o->calls[i].open = o;
    o->under_way++;
    o->calls[i].request = ms_redis_send(o->redis, cmd, 0, fn, &o->calls[i]);
}

/* Every callback begins with this: frees the call, tells whether there is a
 * reply to look at. */
static bool call_ended(struct call *call, enum ms_err err,
                       const struct ms_reply *reply)
{
    struct ms_dataset_open *o = call->open;

    call->request = NULL;
    o->under_way--;
    if (err != MS_OK && o->err == MS_OK)
        o->err = ms_error_set(&o->error, err, "dataset '%s': %s", o->map.name,
                              reply->type == MS_REPLY_ERROR ? reply->str
                                                            : ms_err_name(err));
    return err == MS_OK;
}

/* ---- LOADING ---- */

/* The map as Redis has it, against what is wanted. */
static enum ms_err adopt(struct ms_dataset_open *o,
                         const struct ms_dataset *there)
{
    int64_t epoch = o->map.epoch;

    if (epoch < there->epoch)
        return ms_error_set(&o->error, MS_ESTALE,
                            "dataset '%s' was stamped by a newer leader",
                            there->name);
    if (o->map.shards != 0 && o->map.shards != there->shards)
        return ms_error_set(&o->error, MS_EEXIST,
                            "dataset '%s' has %" PRId64 " shards, not %" PRId64,
                            there->name, there->shards, o->map.shards);
    if (o->id_field != NULL && strcmp(o->id_field, there->id_field) != 0)
        return ms_error_set(&o->error, MS_EEXIST,
                            "dataset '%s' has the id field '%s', not '%s'",
                            there->name, there->id_field, o->id_field);
    o->map = *there;
    o->map.epoch = epoch;
    return MS_OK;
}

static void plan_new(struct ms_dataset_open *o)
{
    struct ms_dataset *map = &o->map;

    if (map->shards == 0)
        map->shards = MS_DATASET_SHARDS;
    map->gen = 1;
    snprintf(map->state, sizeof(map->state), "open");
    snprintf(map->id_field, sizeof(map->id_field), "%s",
             o->id_field == NULL ? "id" : o->id_field);
}

static void on_loaded(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct call *call = arg;
    struct ms_dataset_open *o = call->open;
    struct ms_dataset there;

    if (call_ended(call, err, reply) && o->err == MS_OK) {
        err = ms_dataset_load_parse(o->map.name, reply, &there, &o->error);
        if (err == MS_OK)
            o->err = adopt(o, &there);
        else if (err == MS_ENOENT && !o->only_existing)
            plan_new(o);
        else
            o->err = err;
    }
    o->state = OPEN_STAMPING;
    step(o);
}

/* ---- STAMPING ---- */

static void on_stamped(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct call *call = arg;
    struct ms_dataset_open *o = call->open;
    struct ms_error error;

    if (call_ended(call, err, reply)) {
        err = ms_dataset_stamp_parse(reply, &error);
        if (err != MS_OK && o->err == MS_OK)
            o->err = ms_error_set(&o->error, err,
                                  "dataset '%s': a newer leader was here",
                                  o->map.name);
    }
    step(o);
}

static void stamp_more(struct ms_dataset_open *o)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    while (o->under_way < WINDOW && o->next_shard < o->map.shards) {
        ms_dataset_stamp_build(&cmd, o->fleet, &o->map, o->next_shard++);
        send_call(o, &cmd, on_stamped);
    }
}

/* ---- DESCRIBING ---- */

static void on_described(enum ms_err err, const struct ms_reply *reply,
                         void *arg)
{
    struct call *call = arg;
    struct ms_dataset_open *o = call->open;
    bool created;

    if (call_ended(call, err, reply))
        o->err = ms_dataset_describe_parse(reply, &created, &o->error);
    finish(o);
}

/* The one place that decides what comes next. */
static void step(struct ms_dataset_open *o)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_assert(o->state == OPEN_STAMPING);
    if (o->err == MS_OK)
        stamp_more(o);
    if (o->under_way > 0)
        return;
    if (o->err != MS_OK) {
        finish(o);
        return;
    }
    o->state = OPEN_DESCRIBING;
    ms_dataset_describe_build(&cmd, o->fleet, &o->map, !o->only_existing);
    send_call(o, &cmd, on_described);
}

struct ms_dataset_open *
ms_dataset_open_start(struct ms_redis *redis,
                      const struct ms_dataset_spec *spec,
                      ms_dataset_open_fn *fn, void *arg)
{
    struct ms_dataset_open *o = ms_xcalloc(1, sizeof(*o));
    struct ms_cmd cmd = MS_CMD_INIT;

    o->redis = redis;
    o->fleet = ms_xstrdup(spec->fleet);
    o->id_field = spec->id_field == NULL ? NULL : ms_xstrdup(spec->id_field);
    snprintf(o->map.name, sizeof(o->map.name), "%s", spec->name);
    o->map.epoch = spec->epoch;
    o->map.shards = spec->shards;
    o->only_existing = spec->only_existing;
    o->fn = fn;
    o->arg = arg;
    /* A wrong spec is told from the loop too: after the map was looked at. */
    o->err = ms_name_check("dataset", spec->name, &o->error);
    if (o->err == MS_OK)
        o->err =
            ms_dataset_check(spec->shards == 0 ? MS_DATASET_SHARDS
                                               : spec->shards,
                             spec->id_field == NULL ? "id" : spec->id_field,
                             &o->error);
    o->state = OPEN_LOADING;
    ms_dataset_load_build(&cmd, o->fleet, o->map.name);
    send_call(o, &cmd, on_loaded);
    return o;
}

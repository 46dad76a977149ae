/* What is asked of the scripts about schedules. */
#include "common/keys.h"
#include "common/mem.h"
#include "common/schedule.h"
#include "common/status.h"
#include "scripts.h"

static void add_schedule(struct ms_cmd *cmd, const char *fleet,
                         const char *name)
{
    ms_cmd_keyf(cmd, "ms:{%s}:cron:%s", fleet, name);
    ms_cmd_keyf(cmd, "ms:{%s}:crons", fleet);
}

static void start_by_leader(struct ms_cmd *cmd, const struct ms_script *script,
                            const char *fleet, const char *name, int64_t epoch)
{
    ms_cmd_script(cmd, script);
    ms_cmd_keyf(cmd, "ms:{%s}:epoch", fleet);
    add_schedule(cmd, fleet, name);
    ms_cmd_argi(cmd, epoch);
    ms_cmd_args(cmd, name);
}

/* ---- operators and seeds ---- */

static void add_pair(struct ms_cmd *cmd, const char *field, const char *value)
{
    ms_cmd_args(cmd, field);
    ms_cmd_args(cmd, value);
}

static void build_set(struct ms_cmd *cmd, const char *fleet,
                      const struct ms_schedule_conf *def, bool seed,
                      int64_t version, int64_t next_ms)
{
    ms_cmd_script(cmd, &ms_script_cron_set);
    add_schedule(cmd, fleet, def->name);
    ms_cmd_args(cmd, def->name);
    if (seed)
        ms_cmd_args(cmd, "seed");
    else
        ms_cmd_argi(cmd, version);
    ms_cmd_argi(cmd, next_ms);
    add_pair(cmd, "cron", def->cron);
    add_pair(cmd, "tz", def->tz);
    add_pair(cmd, "kind", def->kind);
    add_pair(cmd, "queue", def->queue);
    add_pair(cmd, "payload", def->payload);
    add_pair(cmd, "misfire", def->misfire);
    add_pair(cmd, "overlap", def->overlap);
    add_pair(cmd, "enabled", def->enabled == 1 ? "1" : "0");
}

void ms_schedule_set_build(struct ms_cmd *cmd, const char *fleet,
                           const struct ms_schedule_conf *def, int64_t version,
                           int64_t next_ms)
{
    build_set(cmd, fleet, def, false, version, next_ms);
}

void ms_schedule_seed_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_schedule_conf *def)
{
    build_set(cmd, fleet, def, true, 0, 0);
}

void ms_schedule_rm_build(struct ms_cmd *cmd, const char *fleet,
                          const char *name)
{
    ms_cmd_script(cmd, &ms_script_cron_rm);
    add_schedule(cmd, fleet, name);
    ms_cmd_args(cmd, name);
}

void ms_schedule_trigger_build(struct ms_cmd *cmd, const char *fleet,
                               const char *name, const char *id,
                               const char *queue)
{
    ms_cmd_script(cmd, &ms_script_cron_trigger);
    ms_cmd_keyf(cmd, "ms:{%s}:cron:%s", fleet, name);
    ms_cmd_args(cmd, id);
    ms_cmd_args(cmd, queue);
}

/* ---- the leader ---- */

void ms_schedule_look_build(struct ms_cmd *cmd, const char *fleet, int limit)
{
    ms_cmd_script(cmd, &ms_script_cron_look);
    ms_cmd_keyf(cmd, "ms:{%s}:crons", fleet);
    ms_cmd_argi(cmd, limit);
}

enum ms_err ms_schedule_look_parse(const struct ms_reply *reply,
                                   int64_t *out_now_ms, int64_t *out_next_ms,
                                   const struct ms_reply **out_names,
                                   struct ms_error *error)
{
    int64_t now, next;
    int64_t *const numbers[] = {&now, &next};
    const struct ms_reply *names = ms_reply_at(reply, 3);
    enum ms_err err = ms_status_parse_numbers(reply, "cron_look", numbers,
                                              MS_COUNT_OF(numbers), error);

    if (err != MS_OK)
        return err;
    if (names->type != MS_REPLY_ARRAY)
        return ms_error_set(error, MS_EPROTO, "cron_look: no list of names");
    *out_now_ms = now;
    *out_next_ms = next;
    *out_names = names;
    return MS_OK;
}

void ms_schedule_fire_build(struct ms_cmd *cmd, const char *fleet,
                            const struct ms_schedule *schedule,
                            const struct ms_schedule_due *due, const char *id,
                            bool skipped, int64_t epoch)
{
    const struct ms_schedule_conf *def = &schedule->def;
    bool fires = due->slot_ms != 0 && !skipped;

    start_by_leader(cmd, &ms_script_cron_fire, fleet, def->name, epoch);
    ms_cmd_argi(cmd, schedule->version);
    ms_cmd_argi(cmd, schedule->next_ms);
    ms_cmd_argi(cmd, due->next_ms);
    ms_cmd_argi(cmd, due->missed);
    ms_cmd_argi(cmd, skipped);
    ms_cmd_argi(cmd, fires ? due->slot_ms : 0);
    ms_cmd_args(cmd, fires ? id : "");
    ms_cmd_args(cmd, fires ? def->queue : "");
}

void ms_schedule_clear_build(struct ms_cmd *cmd, const char *fleet,
                             const char *name, const char *pending_id,
                             int64_t epoch)
{
    start_by_leader(cmd, &ms_script_cron_clear, fleet, name, epoch);
    ms_cmd_args(cmd, pending_id);
}

void ms_schedule_note_build(struct ms_cmd *cmd, const char *fleet,
                            const char *name, const char *text,
                            int64_t again_ms, int64_t epoch)
{
    start_by_leader(cmd, &ms_script_cron_note, fleet, name, epoch);
    ms_cmd_argi(cmd, again_ms);
    ms_cmd_args(cmd, text);
}

enum ms_err ms_schedule_status_parse(const struct ms_reply *reply,
                                     const char *name, struct ms_error *error)
{
    enum ms_err err = ms_status_parse(reply, name, error);

    if (err == MS_ENOENT)
        return ms_error_set(error, err, "there is no schedule '%s'", name);
    return err;
}

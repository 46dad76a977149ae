/* Which slots are due, and what a schedule's policy makes of them. */
#include <stdlib.h>
#include <string.h>

#include "common/cron.h"
#include "common/mem.h"
#include "common/schedule.h"

/* The slots from next_ms to now, oldest first, MS_SCHEDULE_STEP at most. */
struct slots {
    int64_t *at;
    size_t n;
    int64_t passed; /* older ones that were not even listed */
};

static bool slots_add(int64_t at_ms, void *arg)
{
    struct slots *slots = arg;

    slots->at[slots->n++] = at_ms;
    return true;
}

/* A period needs no search, whoever was away for however long. */
static int64_t skip_periods(const struct ms_cron *cron, int64_t from_ms,
                            int64_t now_ms, int64_t *out_passed)
{
    int64_t n = (now_ms - from_ms) / cron->every_ms + 1;

    *out_passed = n > MS_SCHEDULE_STEP ? n - MS_SCHEDULE_STEP : 0;
    return from_ms + *out_passed * cron->every_ms;
}

static enum ms_err slots_list(const struct ms_schedule *schedule,
                              const struct ms_cron *cron, int64_t now_ms,
                              struct slots *out, struct ms_error *error)
{
    int64_t first = schedule->next_ms, n;

    *out = (struct slots){.at = ms_xcalloc(MS_SCHEDULE_STEP, sizeof(int64_t))};
    if (cron->every_ms > 0)
        first = skip_periods(cron, first, now_ms, &out->passed);
    slots_add(first, out);
    return ms_cron_each(cron, schedule->def.tz, first, now_ms,
                        MS_SCHEDULE_STEP - 1, slots_add, out, &n, error);
}

/* How many of the newest are to be fired, of those that come late and of one
 * that does not. */
static size_t count_kept(const char *misfire, size_t n, bool on_time)
{
    size_t kept;

    if (strcmp(misfire, "skip") == 0)
        kept = on_time;
    else if (strcmp(misfire, "once") == 0)
        kept = 1;
    else
        kept = strtoul(misfire + strlen("catch-up "), NULL, 10) + on_time;
    return kept < n ? kept : n;
}

static enum ms_err decide(const struct ms_schedule *schedule,
                          const struct ms_cron *cron, int64_t now_ms,
                          const struct slots *slots,
                          struct ms_schedule_due *out, struct ms_error *error)
{
    int64_t newest = slots->at[slots->n - 1];
    bool whole = slots->n < MS_SCHEDULE_STEP || cron->every_ms > 0;
    bool on_time = whole && now_ms - newest <= MS_SCHEDULE_LATE_MS;
    size_t kept = count_kept(schedule->def.misfire, slots->n, on_time);
    size_t first;

    if (!whole && kept == 0)
        kept = 1; /* not to fire: to go on from */
    first = slots->n - kept;
    *out = (struct ms_schedule_due){.missed = slots->passed + (int64_t)first};
    if (!whole) {
        out->next_ms = slots->at[first];
        return MS_OK;
    }
    if (kept > 0)
        out->slot_ms = slots->at[first];
    if (kept > 1) {
        out->next_ms = slots->at[first + 1];
        return MS_OK;
    }
    return ms_cron_next(cron, schedule->def.tz, newest, &out->next_ms, error);
}

enum ms_err ms_schedule_due(const struct ms_schedule *schedule, int64_t now_ms,
                            struct ms_schedule_due *out_due,
                            struct ms_error *error)
{
    struct slots slots = {.n = 0};
    struct ms_schedule_due due = {.next_ms = schedule->next_ms};
    int64_t after =
        now_ms > schedule->last_slot_ms ? now_ms : schedule->last_slot_ms;
    struct ms_cron cron;
    enum ms_err err = ms_cron_parse(schedule->def.cron, &cron, error);

    if (err != MS_OK)
        return err;
    if (schedule->next_ms == 0) {
        err = ms_cron_next(&cron, schedule->def.tz, after, &due.next_ms, error);
    } else if (schedule->def.enabled == 1 && schedule->next_ms <= now_ms) {
        err = slots_list(schedule, &cron, now_ms, &slots, error);
        if (err == MS_OK)
            err = decide(schedule, &cron, now_ms, &slots, &due, error);
        free(slots.at);
    }
    if (err == MS_OK)
        *out_due = due;
    return err;
}

#include "worker/pace.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/lane.h"

enum {
    BUCKETS = 64,
    KINDS_MAX = 1024, /* a prefix handler may see any number of names */
    RUNS_MIN = 3      /* before anything is believed */
};

struct ms_pace_kind {
    struct ms_pace_kind *next; /* in its bucket */
    int64_t average_us;        /* of recent runs, weighted */
    int runs;                  /* up to RUNS_MIN */
    char name[];
};

struct ms_pace {
    struct ms_pace_kind *buckets[BUCKETS];
    int n;
};

struct ms_pace *ms_pace_new(void)
{
    return ms_xcalloc(1, sizeof(struct ms_pace));
}

void ms_pace_free(struct ms_pace *pace)
{
    if (pace == NULL)
        return;
    for (int i = 0; i < BUCKETS; i++) {
        while (pace->buckets[i] != NULL) {
            struct ms_pace_kind *kind = pace->buckets[i];

            pace->buckets[i] = kind->next;
            free(kind);
        }
    }
    free(pace);
}

/* FNV-1a */
static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261u;

    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

struct ms_pace_kind *ms_pace_find(struct ms_pace *pace, const char *kind)
{
    struct ms_pace_kind **bucket = &pace->buckets[hash(kind) % BUCKETS];
    struct ms_pace_kind *found;
    size_t size = strlen(kind) + 1;

    for (found = *bucket; found != NULL; found = found->next)
        if (strcmp(found->name, kind) == 0)
            return found;
    if (pace->n >= KINDS_MAX)
        return NULL;
    pace->n++;
    found = ms_xcalloc(1, sizeof(*found) + size);
    memcpy(found->name, kind, size);
    found->next = *bucket;
    *bucket = found;
    return found;
}

void ms_pace_ran(struct ms_pace_kind *kind, int64_t run_us)
{
    if (kind == NULL)
        return;
    /* A long run is believed at once, short ones bit by bit. */
    if (kind->runs == 0 || run_us > MS_PACE_LONG_US)
        kind->average_us = run_us;
    else
        kind->average_us += (run_us - kind->average_us) / 8;
    if (kind->runs < RUNS_MIN)
        kind->runs++;
}

int ms_pace_depth(const struct ms_pace_kind *kind)
{
    int64_t depth;

    if (kind == NULL || kind->runs < RUNS_MIN ||
        kind->average_us >= MS_PACE_SHORT_US)
        return 1;
    depth = MS_PACE_AHEAD_US / (kind->average_us + 1);
    return depth > MS_LANE_CELLS ? MS_LANE_CELLS : (int)depth;
}

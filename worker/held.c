#include "worker/held.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void ms_checkpoint_done(struct ms_checkpoint *checkpoint)
{
    free(checkpoint->cursor.data);
    free(checkpoint->rejects);
    *checkpoint = (struct ms_checkpoint){.progress = -1};
}

void ms_held_free(struct ms_held *held)
{
    if (held == NULL)
        return;
    ms_assert(held->prev == NULL && held->next == NULL);
    free(held->id);
    free(held->kind);
    free(held->queue);
    free(held->payload.data);
    free(held->cursor.data);
    free(held->parent);
    free(held->ending.result.data);
    ms_checkpoint_done(&held->pending);
    ms_checkpoint_done(&held->sending);
    free(held);
}

static struct ms_sum *sum_find(struct ms_checkpoint *in, const char *name)
{
    for (size_t i = 0; i < in->n_sums; i++)
        if (strcmp(in->sums[i].name, name) == 0)
            return &in->sums[i];
    return NULL;
}

/* A sum is told as a running total, so the newer one replaces the older. */
static void merge_sums(struct ms_checkpoint *into,
                       const struct ms_checkpoint *newer)
{
    for (size_t i = 0; i < newer->n_sums; i++) {
        struct ms_sum *sum = sum_find(into, newer->sums[i].name);

        if (sum == NULL) {
            ms_assert(into->n_sums < MS_SUMS_MAX);
            sum = &into->sums[into->n_sums++];
        }
        *sum = newer->sums[i];
    }
}

static void merge_rejects(struct ms_checkpoint *into,
                          struct ms_checkpoint *newer)
{
    size_t all = into->n_rejects + newer->n_rejects;

    if (newer->n_rejects == 0)
        return;
    into->rejects = ms_xrealloc(into->rejects, all * sizeof(*into->rejects));
    memcpy(into->rejects + into->n_rejects, newer->rejects,
           newer->n_rejects * sizeof(*newer->rejects));
    into->n_rejects = all;
}

void ms_checkpoint_merge(struct ms_checkpoint *into,
                         struct ms_checkpoint *newer)
{
    if (newer->seq > into->seq)
        into->seq = newer->seq;
    if (newer->cursor.data != NULL) {
        free(into->cursor.data);
        into->cursor = newer->cursor;
        newer->cursor = (struct ms_bytes){NULL, 0};
    }
    if (newer->progress >= 0)
        into->progress = newer->progress;
    merge_sums(into, newer);
    merge_rejects(into, newer);
    ms_checkpoint_done(newer);
}

size_t ms_checkpoint_size(const struct ms_checkpoint *checkpoint)
{
    return checkpoint->cursor.len +
           checkpoint->n_rejects * sizeof(*checkpoint->rejects);
}

size_t ms_held_size(const struct ms_held *held)
{
    return held->ending.result.len + ms_checkpoint_size(&held->pending) +
           ms_checkpoint_size(&held->sending);
}

enum ms_outcome ms_stop_outcome(enum ms_stop reason)
{
    return reason == MS_STOP_DRAIN ? MS_RELEASED : MS_CANCELLED;
}

/*
 * joblist: a list of held jobs, linked through the jobs themselves.
 */
#pragma once

#include "worker/held.h"

struct ms_joblist {
    struct ms_held *first, *last;
    int n;
};

/* A job is in one list at a time. */
void ms_joblist_push(struct ms_joblist *list, struct ms_held *held);
void ms_joblist_push_front(struct ms_joblist *list, struct ms_held *held);
void ms_joblist_remove(struct ms_joblist *list, struct ms_held *held);

/* Removes and returns the first, NULL for an empty list. */
struct ms_held *ms_joblist_pop(struct ms_joblist *list);

/* NULL: no such id. */
struct ms_held *ms_joblist_find(const struct ms_joblist *list, const char *id);

/* Frees every job of it. */
void ms_joblist_clear(struct ms_joblist *list);

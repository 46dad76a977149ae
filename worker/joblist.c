#include "worker/joblist.h"

#include <string.h>

void ms_joblist_push(struct ms_joblist *list, struct ms_held *held)
{
    held->next = NULL;
    held->prev = list->last;
    if (list->last != NULL)
        list->last->next = held;
    else
        list->first = held;
    list->last = held;
    list->n++;
}

void ms_joblist_push_front(struct ms_joblist *list, struct ms_held *held)
{
    held->prev = NULL;
    held->next = list->first;
    if (list->first != NULL)
        list->first->prev = held;
    else
        list->last = held;
    list->first = held;
    list->n++;
}

void ms_joblist_remove(struct ms_joblist *list, struct ms_held *held)
{
    if (held->prev != NULL)
        held->prev->next = held->next;
    else
        list->first = held->next;
    if (held->next != NULL)
        held->next->prev = held->prev;
    else
        list->last = held->prev;
    held->prev = held->next = NULL;
    list->n--;
}

struct ms_held *ms_joblist_pop(struct ms_joblist *list)
{
    struct ms_held *held = list->first;

    if (held != NULL)
        ms_joblist_remove(list, held);
    return held;
}

struct ms_held *ms_joblist_find(const struct ms_joblist *list, const char *id)
{
    for (struct ms_held *held = list->first; held != NULL; held = held->next)
        if (strcmp(held->id, id) == 0)
            return held;
    return NULL;
}

void ms_joblist_clear(struct ms_joblist *list)
{
    struct ms_held *held;

    while ((held = ms_joblist_pop(list)) != NULL)
        ms_held_free(held);
}

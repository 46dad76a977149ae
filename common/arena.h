/*
 * arena: memory for many small things that go away together.
 *
 * A reply of 10,000 strings is a few allocations instead of 20,000, and none
 * at all once the arena has been used before.
 */
#pragma once

#include <stddef.h>

struct ms_arena_block;

/* A zeroed struct is an empty arena. */
struct ms_arena {
    struct ms_arena_block *blocks; /* the one in use first */
};

/* Frees everything and leaves an empty arena. */
void ms_arena_done(struct ms_arena *arena);

/* Memory for any type, good until the next reset; never NULL. */
void *ms_arena_alloc(struct ms_arena *arena, size_t size)
    __attribute__((returns_nonnull));

/* Takes all memory back; keeps one block of ordinary size for the next use. */
void ms_arena_reset(struct ms_arena *arena);

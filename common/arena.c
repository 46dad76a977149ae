#include "common/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "common/mem.h"

#define BLOCK_SIZE ((size_t)64 * 1024)

struct ms_arena_block {
    struct ms_arena_block *next;
    size_t size; /* of `bytes` */
    size_t used;
    alignas(max_align_t) char bytes[];
};

static void free_from(struct ms_arena_block *block)
{
    while (block != NULL) {
        struct ms_arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void ms_arena_done(struct ms_arena *arena)
{
    free_from(arena->blocks);
    arena->blocks = NULL;
}

static struct ms_arena_block *add_block(struct ms_arena *arena, size_t size)
{
    struct ms_arena_block *block = ms_xmalloc(sizeof(*block) + size);

    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    return block;
}

void *ms_arena_alloc(struct ms_arena *arena, size_t size)
{
    struct ms_arena_block *block = arena->blocks;
    size_t whole =
        (size + alignof(max_align_t) - 1) & ~(size_t)(alignof(max_align_t) - 1);
    void *at;

    ms_assert(whole >= size);
    if (block == NULL || block->size - block->used < whole)
        block = add_block(arena, whole > BLOCK_SIZE ? whole : BLOCK_SIZE);
    at = block->bytes + block->used;
    block->used += whole;
    return at;
}

void ms_arena_reset(struct ms_arena *arena)
{
    struct ms_arena_block *block = arena->blocks;

    if (block == NULL)
        return;
    free_from(block->next);
    block->next = NULL;
    block->used = 0;
    if (block->size > BLOCK_SIZE)
        ms_arena_done(arena);
}

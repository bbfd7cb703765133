#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 512 << 10, ALIGN = alignof(max_align_t), HEADER = ALIGN };

/* The first chunk is kept; those that a large stanza needs hang on it until the reset. */
struct chunk {
    struct chunk *next;
    size_t room, used;
    alignas(max_align_t) char bytes[];
};

static struct chunk *first, *current;
static size_t total;

static size_t rounded(size_t size)
{
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

static struct chunk *new_chunk(size_t room)
{
    if (total > RS_ARENA_LIMIT || room > RS_ARENA_LIMIT - total)
        return NULL;
    struct chunk *chunk = malloc(sizeof *chunk + room);
    if (!chunk)
        return NULL;
    *chunk = (struct chunk){.room = room};
    total += room;
    return chunk;
}

static struct chunk *chunk_for(size_t need)
{
    if (current && need <= current->room - current->used)
        return current;
    struct chunk *chunk = new_chunk(need > CHUNK ? need : CHUNK);
    if (!chunk)
        return NULL;
    if (current)
        current->next = chunk;
    else
        first = chunk;
    return current = chunk;
}

static size_t *size_of(void *block)
{
    return (size_t *)((char *)block - HEADER);
}

void *rs_arena_allocate(size_t size)
{
    if (size > RS_ARENA_LIMIT)
        return NULL;
    size_t need = HEADER + rounded(size);
    struct chunk *chunk = chunk_for(need);
    if (!chunk)
        return NULL;
    void *block = chunk->bytes + chunk->used + HEADER;
    chunk->used += need;
    *size_of(block) = rounded(size);
    return block;
}

/* Whether `block`, if it is the newest, could grow where it is. */
static int grown(void *block, size_t size)
{
    size_t old = *size_of(block), more = rounded(size) - old;
    if ((char *)block + old != current->bytes + current->used ||
        more > current->room - current->used)
        return 0;
    current->used += more;
    *size_of(block) += more;
    return 1;
}

void *rs_arena_reallocate(void *block, size_t size)
{
    if (!block)
        return rs_arena_allocate(size);
    if (size <= *size_of(block))
        return block;
    if (size > RS_ARENA_LIMIT)
        return NULL;
    if (grown(block, size))
        return block;
    void *larger = rs_arena_allocate(size);
    if (larger)
        memcpy(larger, block, *size_of(block));
    return larger;
}

void rs_arena_release(void *block)
{
    (void)block; /* all go with the reset */
}

void rs_arena_reset(void)
{
    if (!first)
        return;
    for (struct chunk *chunk = first->next; chunk;) {
        struct chunk *next = chunk->next;
        total -= chunk->room;
        free(chunk);
        chunk = next;
    }
    if (first->room > CHUNK) {
        total -= first->room;
        free(first);
        first = NULL;
    } else {
        first->next = NULL;
        first->used = 0;
    }
    current = first;
}

/* Memory of the pairs: chunks that never move, numbers that are used again. */
#include <stdlib.h>
#include <string.h>

#include "table.h"

static uint32_t power_of_two(uint32_t least)
{
    uint32_t size = 1024;
    while (size < least && size < 1u << 30)
        size <<= 1;
    return size;
}

static bool allocate(struct pairs *pairs)
{
    const struct pairs_options *with = &pairs->with;
    uint32_t buckets = power_of_two(with->entries), slots = power_of_two(with->window * 4);
    pairs->chunk_room = (with->entries + CHUNK - 1) / CHUNK;
    pairs->bucket_mask = buckets - 1;
    pairs->request_mask = slots - 1;
    return (pairs->chunks = calloc(pairs->chunk_room, sizeof *pairs->chunks))
        && (pairs->bucket = calloc(buckets, sizeof *pairs->bucket))
        && (pairs->owner = calloc(with->entries, sizeof *pairs->owner))
        && (pairs->vifs = calloc(PAIRS_VIFS, sizeof *pairs->vifs))
        && (pairs->pool = calloc(QUEUED, sizeof *pairs->pool))
        && (pairs->touches = calloc(PENDING_TOUCHES, sizeof *pairs->touches))
        && (pairs->requests = calloc(slots, sizeof *pairs->requests))
        && (pairs->strays = calloc(STRAYS, sizeof *pairs->strays))
        && (pairs->partial = malloc(ANSWER_MOST))
        && (pairs->records = calloc(with->records, sizeof *pairs->records));
}

struct pairs *pairs_new(struct world *world, const struct pairs_options *with)
{
    struct pairs *pairs = calloc(1, sizeof *pairs);
    if (!pairs)
        return NULL;
    pairs->world = world;
    pairs->with = *with;
    pairs->free = FLOW_NONE;
    pairs->epoch = 1;
    for (int i = 0; i < WORK_LISTS; i++)
        pairs->work[i].first = pairs->work[i].last = FLOW_NONE;
    if (allocate(pairs))
        return pairs;
    pairs_free(pairs);
    return NULL;
}

void pairs_free(struct pairs *pairs)
{
    if (!pairs)
        return;
    for (uint32_t i = 0; i < pairs->chunk_count; i++)
        free(pairs->chunks[i]);
    free(pairs->chunks);
    free(pairs->bucket);
    free(pairs->owner);
    free(pairs->vifs);
    free(pairs->vms.slots);
    free(pairs->vms.changed);
    free(pairs->routes);
    free(pairs->pool);
    free(pairs->touches);
    free(pairs->requests);
    free(pairs->strays);
    free(pairs->partial);
    free(pairs->records);
    free(pairs);
}

size_t pairs_memory(const struct pairs *pairs)
{
    return pairs->chunk_count * (size_t)CHUNK * sizeof(struct flow_pair)
         + ((size_t)pairs->bucket_mask + 1 + pairs->with.entries) * sizeof(uint32_t)
         + pairs->chunk_room * sizeof *pairs->chunks + pairs->route_room * sizeof *pairs->routes;
}

struct flow_pair *pairs_at(const struct pairs *pairs, uint32_t number)
{
    return &pairs->chunks[number >> CHUNK_BITS][number & (CHUNK - 1)];
}

uint32_t pairs_top(const struct pairs *pairs)
{
    return pairs->top;
}

static bool grow(struct pairs *pairs)
{
    if (pairs->top < pairs->chunk_count * (uint32_t)CHUNK)
        return true;
    if (pairs->chunk_count == pairs->chunk_room)
        return false;
    struct flow_pair *chunk = calloc(CHUNK, sizeof *chunk);
    if (!chunk)
        return false;
    pairs->chunks[pairs->chunk_count++] = chunk;
    return true;
}

uint32_t arena_take(struct pairs *pairs)
{
    uint32_t number = pairs->free;
    if (number != FLOW_NONE)
        pairs->free = pairs_at(pairs, number)->next;
    else if (grow(pairs))
        number = pairs->top++;
    else
        return FLOW_NONE;
    struct flow_pair *pair = pairs_at(pairs, number);
    memset(pair, 0, sizeof *pair);
    for (int side = 0; side < FLOW_SIDES; side++) {
        pair->at[side].index = FLOW_NONE;
        pair->charged[side] = FLOW_NONE;
    }
    pair->next = pair->previous = FLOW_NONE;
    pairs->used++;
    return number;
}

void arena_give(struct pairs *pairs, uint32_t number)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    pair->state = PAIR_FREE;
    pair->next = pairs->free;
    pairs->free = number;
    pairs->used--;
}

#include "suspects.h"

#include <stdlib.h>

bool suspects_init(struct suspects *suspects, uint32_t entries, uint32_t room)
{
    suspects->ring = malloc((size_t)room * sizeof *suspects->ring);
    suspects->waiting = calloc((size_t)entries / 8 + 1, 1);
    suspects->room = room;
    suspects->first = suspects->count = 0;
    return suspects->ring && suspects->waiting;
}

void suspects_free(struct suspects *suspects)
{
    free(suspects->ring);
    free(suspects->waiting);
}

bool suspects_add(struct suspects *suspects, struct suspect one)
{
    uint8_t *byte = &suspects->waiting[one.index / 8], bit = (uint8_t)(1u << one.index % 8);
    if (*byte & bit)
        return true;
    if (suspects->count == suspects->room)
        return false;
    *byte |= bit;
    suspects->ring[(suspects->first + (uint64_t)suspects->count++) % suspects->room] = one;
    return true;
}

bool suspects_due(const struct suspects *suspects, uint32_t now, uint32_t delay)
{
    return suspects->count && now - suspects->ring[suspects->first].since >= delay;
}

struct suspect suspects_take(struct suspects *suspects)
{
    struct suspect one = suspects->ring[suspects->first];
    suspects->first = (suspects->first + 1) % suspects->room;
    suspects->count--;
    suspects->waiting[one.index / 8] &= (uint8_t)~(1u << one.index % 8);
    return one;
}

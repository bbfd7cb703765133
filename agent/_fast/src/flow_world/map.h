/* Numbers by number: open addressing, linear probing, deletion by shifting back. */
#ifndef VROUTER_FLOW_MAP_H
#define VROUTER_FLOW_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "flow.h"

struct map {
    uint64_t *keys;
    uint32_t *values; /* FLOW_NONE: the place is empty */
    uint32_t room, used;
};

void map_free(struct map *);
uint32_t map_get(const struct map *, uint64_t key); /* or FLOW_NONE */
/* Make room for one more key, so that map_put cannot fail: 0 or -1. */
int map_reserve(struct map *);
void map_put(struct map *, uint64_t key, uint32_t value);
void map_drop(struct map *, uint64_t key);
size_t map_memory(const struct map *);

#endif

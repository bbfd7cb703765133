#include "map.h"

#include <stdlib.h>

static uint32_t home(const struct map *map, uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(key >> 32) & (map->room - 1);
}

static uint32_t find(const struct map *map, uint64_t key)
{
    uint32_t at = home(map, key);
    while (map->values[at] != FLOW_NONE && map->keys[at] != key)
        at = (at + 1) & (map->room - 1);
    return at;
}

void map_free(struct map *map)
{
    free(map->keys);
    free(map->values);
    *map = (struct map){0};
}

uint32_t map_get(const struct map *map, uint64_t key)
{
    return map->room ? map->values[find(map, key)] : FLOW_NONE;
}

int map_reserve(struct map *map)
{
    if (map->room && map->used + 1 <= map->room / 4 * 3)
        return 0;
    struct map larger = {.room = map->room ? map->room * 2 : 16};
    if (larger.room < map->room)
        return -1;
    larger.keys = malloc(larger.room * sizeof *larger.keys);
    larger.values = malloc(larger.room * sizeof *larger.values);
    if (!larger.keys || !larger.values) {
        map_free(&larger);
        return -1;
    }
    for (uint32_t i = 0; i < larger.room; i++)
        larger.values[i] = FLOW_NONE;
    for (uint32_t i = 0; i < map->room; i++)
        if (map->values[i] != FLOW_NONE)
            map_put(&larger, map->keys[i], map->values[i]);
    map_free(map);
    *map = larger;
    return 0;
}

void map_put(struct map *map, uint64_t key, uint32_t value)
{
    uint32_t at = find(map, key);
    if (map->values[at] == FLOW_NONE)
        map->used++;
    map->keys[at] = key;
    map->values[at] = value;
}

void map_drop(struct map *map, uint64_t key)
{
    if (!map->room)
        return;
    uint32_t mask = map->room - 1, hole = find(map, key);
    if (map->values[hole] == FLOW_NONE)
        return;
    map->used--;
    for (uint32_t at = (hole + 1) & mask; map->values[at] != FLOW_NONE; at = (at + 1) & mask) {
        uint32_t wanted = home(map, map->keys[at]);
        if (((at - wanted) & mask) < ((at - hole) & mask))
            continue; /* it may not move before the place where its search begins */
        map->keys[hole] = map->keys[at];
        map->values[hole] = map->values[at];
        hole = at;
    }
    map->values[hole] = FLOW_NONE;
}

size_t map_memory(const struct map *map)
{
    return map->room * (sizeof *map->keys + sizeof *map->values);
}

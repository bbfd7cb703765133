/* VRFs and their routes. Route numbers are places of one array; each table has one route that
 * stands for "nothing", so that also a decision that found none can be touched. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

static uint32_t route_new(struct world *world)
{
    uint32_t number = world->route_free;
    if (number != FLOW_NONE) {
        world->route_free = world->routes[number].next;
        return number;
    }
    if (world->route_top == world->route_room) {
        uint32_t room = world->route_room ? world->route_room * 2 : 256;
        /* Numbers are values of the longest-prefix match. */
        struct route *larger = room < LPM_NONE
            ? realloc(world->routes, (size_t)room * sizeof *larger) : NULL;
        if (!larger)
            return FLOW_NONE;
        world->routes = larger;
        world->route_room = room;
    }
    return world->route_top++;
}

static void route_end(struct world *world, uint32_t number)
{
    world->routes[number].flags = 0;
    world->routes[number].next = world->route_free;
    world->route_free = number;
}

static void route_delete(struct world *world, uint32_t number)
{
    touch_route(world, number);
    nexthop_unlink(world, number);
    route_end(world, number);
    world->route_count--;
}

/* ---- VRFs ---- */

static bool take_nothings(struct world *world, uint32_t index, struct vrf *vrf)
{
    unsigned made = 0;
    for (; made < TABLES; made++) {
        uint32_t number = route_new(world);
        if (number == FLOW_NONE)
            break;
        world->routes[number] = (struct route){
            .nexthop = FLOW_NONE, .label = FLOW_NONE, .next = FLOW_NONE, .previous = FLOW_NONE,
            .vrf = (uint16_t)index, .flags = ROUTE_USED | ROUTE_NOTHING};
        vrf->nothing[made] = number;
    }
    if (made == TABLES)
        return true;
    while (made)
        route_end(world, vrf->nothing[--made]);
    return false;
}

int world_put_vrf(struct world *world, uint32_t index, const char *name, size_t length)
{
    if (index >= WORLD_VRFS || index == WORLD_NO_VRF)
        return -1;
    char *copy = malloc(length + 1);
    struct vrf *vrf = world->vrfs[index] ? world->vrfs[index] : calloc(1, sizeof *vrf);
    if (!copy || !vrf || (!world->vrfs[index] && !take_nothings(world, index, vrf))) {
        free(copy);
        if (!world->vrfs[index])
            free(vrf);
        return -1;
    }
    memcpy(copy, name, length);
    free(vrf->name);
    vrf->name = copy;
    vrf->name_size = length;
    if (!world->vrfs[index]) {
        world->vrfs[index] = vrf;
        world->vrf_count++;
        if (world->missed[index])
            touch_all(world);
        world->missed[index] = false;
    }
    return 0;
}

bool world_has_vrf(const struct world *world, uint32_t index)
{
    return world_vrf(world, index) != NULL;
}

static void vrf_free(struct vrf *vrf)
{
    for (unsigned i = 0; i < INET_TABLES; i++)
        if (vrf->has[i])
            lpm_free(&vrf->table[i]);
    free(vrf->name);
    free(vrf);
}

static void drop_bridges(struct world *world, uint32_t index)
{
    struct map *map = &world->bridge;
    for (uint32_t i = 0; i < map->room;) {
        if (map->values[i] == FLOW_NONE || map->keys[i] >> 48 != index) {
            i++;
            continue;
        }
        route_delete(world, map->values[i]);
        map_drop(map, map->keys[i]); /* another may move to this place */
    }
}

void world_drop_vrf(struct world *world, uint32_t index)
{
    struct vrf *vrf = world_vrf(world, index);
    if (!vrf)
        return;
    for (unsigned kind = 0; kind < INET_TABLES; kind++) {
        const struct lpm *table = &vrf->table[kind];
        if (!vrf->has[kind])
            continue;
        for (size_t at = lpm_next(table, 0); at < table->store.room; at = lpm_next(table, at + 1))
            route_delete(world, table->store.values[at]);
    }
    drop_bridges(world, index);
    touch_lookers(world, index);
    for (unsigned kind = 0; kind < TABLES; kind++) {
        touch_route(world, vrf->nothing[kind]);
        route_end(world, vrf->nothing[kind]);
    }
    vrf_free(vrf);
    world->vrfs[index] = NULL;
    world->vrf_count--;
}

void routes_free(struct world *world)
{
    for (uint32_t i = 0; world->vrfs && i < WORLD_VRFS; i++)
        if (world->vrfs[i])
            vrf_free(world->vrfs[i]);
    free(world->vrfs);
    free(world->routes);
    map_free(&world->bridge);
}

/* ---- routes ---- */

/* Change a route in place: what it says is touched only when it differs. */
static void route_change(struct world *world, uint32_t number, uint32_t nexthop, uint32_t label,
                         uint32_t meta)
{
    struct route *route = &world->routes[number];
    route->label = label;
    if (route->nexthop == nexthop && route->meta == meta)
        return;
    touch_route(world, number);
    if (route->nexthop != nexthop) {
        nexthop_unlink(world, number);
        route->nexthop = nexthop;
        nexthop_link(world, number);
    }
    route->meta = meta;
}

static uint32_t route_add(struct world *world, uint32_t vrf, unsigned length, uint32_t nexthop,
                          uint32_t label, uint32_t meta)
{
    uint32_t number = route_new(world);
    if (number == FLOW_NONE)
        return FLOW_NONE;
    world->routes[number] = (struct route){
        .nexthop = nexthop, .meta = meta, .label = label, .vrf = (uint16_t)vrf,
        .length = (uint8_t)length, .flags = ROUTE_USED};
    nexthop_link(world, number);
    world->route_count++;
    return number;
}

/* What was read where the new route is now. */
static void touch_covering(struct world *world, const struct vrf *vrf, unsigned kind,
                           const uint8_t *key, unsigned length)
{
    uint32_t covering;
    if (!vrf->read[kind])
        return;
    if (lpm_covering(&vrf->table[kind], key, length, &covering) < 0)
        covering = vrf->nothing[kind];
    touch_route(world, covering);
}

int world_put_route(struct world *world, uint32_t index, uint8_t family, const uint8_t *key,
                    unsigned length, uint32_t nexthop, uint32_t label, uint32_t meta)
{
    struct vrf *vrf = world_vrf(world, index);
    unsigned kind = family_table(family);
    size_t size = family_size(family);
    if (!vrf || length > 8 * size || nexthop_room(world, nexthop))
        return -1;
    if (!vrf->has[kind] && lpm_init(&vrf->table[kind], (unsigned)size))
        return -1;
    vrf->has[kind] = true;
    uint32_t number = lpm_exact(&vrf->table[kind], key, length);
    if (number != LPM_NONE) {
        route_change(world, number, nexthop, label, meta);
        return 0;
    }
    number = route_add(world, index, length, nexthop, label, meta);
    if (number == FLOW_NONE)
        return -1;
    if (lpm_insert(&vrf->table[kind], key, length, number)) {
        route_delete(world, number);
        return -1;
    }
    touch_covering(world, vrf, kind, key, length);
    return 0;
}

int world_drop_route(struct world *world, uint32_t index, uint8_t family, const uint8_t *key,
                     unsigned length)
{
    struct vrf *vrf = world_vrf(world, index);
    unsigned kind = family_table(family);
    if (!vrf || !vrf->has[kind] || length > 8 * family_size(family))
        return 0;
    uint32_t number = lpm_exact(&vrf->table[kind], key, length);
    if (number == LPM_NONE)
        return 0;
    if (lpm_remove(&vrf->table[kind], key, length) < 0)
        return -1;
    route_delete(world, number);
    return 0;
}

int world_put_bridge(struct world *world, uint32_t index, const uint8_t *mac, uint32_t nexthop,
                     uint32_t label, uint32_t meta)
{
    struct vrf *vrf = world_vrf(world, index);
    if (!vrf || nexthop_room(world, nexthop) || map_reserve(&world->bridge))
        return -1;
    uint64_t key = bridge_key(index, mac);
    uint32_t number = map_get(&world->bridge, key);
    if (number != FLOW_NONE) {
        route_change(world, number, nexthop, label, meta);
        return 0;
    }
    number = route_add(world, index, 48, nexthop, label, meta);
    if (number == FLOW_NONE)
        return -1;
    map_put(&world->bridge, key, number);
    if (vrf->read[TABLE_BRIDGE])
        touch_route(world, vrf->nothing[TABLE_BRIDGE]);
    return 0;
}

void world_drop_bridge(struct world *world, uint32_t index, const uint8_t *mac)
{
    if (!world_vrf(world, index))
        return;
    uint64_t key = bridge_key(index, mac);
    uint32_t number = map_get(&world->bridge, key);
    if (number == FLOW_NONE)
        return;
    map_drop(&world->bridge, key);
    route_delete(world, number);
}

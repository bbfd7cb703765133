/* A world as a whole, and what is known of addresses. */
#include "state.h"

#include <stdlib.h>

struct world *world_new(const struct classifier *classifier)
{
    enum { LINK_LOCAL_FLOWS = 16384 };
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        return NULL;
    world->classifier = classifier;
    world->route_free = world->vm_free = world->host_vif = FLOW_NONE;
    world->limits.link_local_flows = world->limits.vm_link_local_flows = LINK_LOCAL_FLOWS;
    world->ports = calloc(WORLD_VIFS, sizeof *world->ports);
    world->vrfs = calloc(WORLD_VRFS, sizeof *world->vrfs);
    world->missed = calloc(WORLD_VRFS, sizeof *world->missed);
    uint32_t number;
    if (!world->ports || !world->vrfs || !world->missed || world_meta(world, 0, 0, 0, &number)) {
        world_free(world);
        return NULL;
    }
    return world;
}

void world_free(struct world *world)
{
    if (!world)
        return;
    for (uint32_t i = 0; i < world->port_top; i++)
        free(world->ports[i]);
    free(world->ports);
    free(world->missed);
    routes_free(world);
    nexthops_free(world);
    services_free(world);
    pools_free(world);
    map_free(&world->meta_pairs);
    map_free(&world->meta_numbers);
    free(world->metas);
    free(world);
}

/* Pairs of networks and groups have numbers; a pair and tags is a meta. */
static uint32_t pair_number(struct world *world, uint32_t networks, uint32_t groups)
{
    uint64_t key = (uint64_t)networks << 32 | groups;
    uint32_t number = map_get(&world->meta_pairs, key);
    if (number == FLOW_NONE && map_reserve(&world->meta_pairs) == 0) {
        number = world->meta_pairs.used;
        map_put(&world->meta_pairs, key, number);
    }
    return number;
}

int world_meta(struct world *world, uint32_t networks, uint32_t groups, uint32_t tags,
               uint32_t *number)
{
    uint32_t pair = pair_number(world, networks, groups);
    uint64_t key = (uint64_t)pair << 32 | tags;
    if (pair == FLOW_NONE)
        return -1;
    *number = map_get(&world->meta_numbers, key);
    if (*number != FLOW_NONE)
        return 0;
    if (map_reserve(&world->meta_numbers))
        return -1;
    if (world->meta_count == world->meta_room) {
        uint32_t room = world->meta_room ? world->meta_room * 2 : 64;
        struct meta *larger = realloc(world->metas, room * sizeof *larger);
        if (!larger)
            return -1;
        world->metas = larger;
        world->meta_room = room;
    }
    *number = world->meta_count++;
    world->metas[*number] = (struct meta){networks, groups, tags};
    map_put(&world->meta_numbers, key, *number);
    return 0;
}

void world_set_limits(struct world *world, const struct world_limits *limits)
{
    world->limits = *limits; /* they bound new flows; those that exist stay */
}

static size_t vrf_memory(const struct vrf *vrf)
{
    size_t size = sizeof *vrf + vrf->name_size;
    for (unsigned i = 0; i < INET_TABLES; i++)
        size += vrf->has[i] ? lpm_memory(&vrf->table[i]) : 0;
    return size;
}

static size_t memory(const struct world *world)
{
    size_t size = sizeof *world + WORLD_VIFS * sizeof *world->ports
                + WORLD_VRFS * sizeof *world->vrfs;
    for (uint32_t i = 0; i < WORLD_VRFS; i++)
        size += world->vrfs[i] ? vrf_memory(world->vrfs[i]) : 0;
    for (uint32_t i = 0; i < world->nexthop_room; i++)
        size += world->nexthops[i].member_count * sizeof(struct member);
    return size + world->route_room * sizeof *world->routes + map_memory(&world->bridge)
         + world->nexthop_room * sizeof *world->nexthops + map_memory(&world->labels)
         + map_memory(&world->vnis) + world->meta_room * sizeof *world->metas
         + map_memory(&world->meta_pairs) + map_memory(&world->meta_numbers);
}

void world_sizes(const struct world *world, struct world_sizes *sizes)
{
    *sizes = (struct world_sizes){
        .ports = world->port_count, .vrfs = world->vrf_count,
        .routes = world->route_count - world->bridge.used, .bridges = world->bridge.used,
        .nexthops = world->nexthop_count, .labels = world->labels.used + world->vnis.used,
        .metas = world->meta_count, .memory = memory(world)};
}

/* Ports of the host that NAT to link-local services takes, and which VM has how many. */
#include "state.h"

#include <stdlib.h>

/* ---- virtual machines ---- */

static uint32_t vm_new(struct world *world)
{
    if (world->vm_free == FLOW_NONE) {
        uint32_t room = world->vm_room ? world->vm_room * 2 : 64;
        struct vm *larger = realloc(world->vms, room * sizeof *larger);
        if (!larger)
            return FLOW_NONE;
        for (uint32_t i = world->vm_room; i < room; i++) {
            larger[i] = (struct vm){.number = world->vm_free};
            world->vm_free = i;
        }
        world->vms = larger;
        world->vm_room = room;
    }
    uint32_t place = world->vm_free;
    world->vm_free = world->vms[place].number; /* free ones are chained by it */
    return place;
}

uint32_t vm_enter(struct world *world, uint32_t number)
{
    uint32_t place = map_get(&world->vm_numbers, number);
    if (place == FLOW_NONE) {
        if (map_reserve(&world->vm_numbers))
            return FLOW_NONE;
        place = vm_new(world);
        if (place == FLOW_NONE)
            return FLOW_NONE;
        world->vms[place] = (struct vm){.number = number};
        map_put(&world->vm_numbers, number, place);
    }
    world->vms[place].ports++;
    return place;
}

static void vm_end(struct world *world, uint32_t place)
{
    struct vm *vm = &world->vms[place];
    if (vm->ports || vm->bound)
        return;
    map_drop(&world->vm_numbers, vm->number);
    vm->number = world->vm_free;
    world->vm_free = place;
}

void vm_leave(struct world *world, uint32_t place)
{
    if (place == FLOW_NONE)
        return;
    world->vms[place].ports--;
    vm_end(world, place);
}

/* ---- ports of the host ---- */

static struct pool *pool_of(const struct world *world, uint8_t proto)
{
    if (proto != PROTO_TCP && proto != PROTO_UDP)
        return NULL;
    return (struct pool *)&world->pools[proto == PROTO_TCP ? POOL_TCP : POOL_UDP];
}

static bool pool_make(struct pool *pool)
{
    enum { PORTS = 65536 };
    if (pool->state)
        return true;
    pool->free = malloc(PORTS * sizeof *pool->free);
    pool->state = calloc(PORTS, sizeof *pool->state);
    pool->owner = malloc(PORTS * sizeof *pool->owner);
    if (pool->free && pool->state && pool->owner)
        return true;
    free(pool->free);
    free(pool->state);
    free(pool->owner);
    *pool = (struct pool){0};
    return false;
}

int world_give_port(struct world *world, uint8_t proto, uint16_t port)
{
    struct pool *pool = pool_of(world, proto);
    if (!pool || !port || !pool_make(pool))
        return -1;
    if (pool->state[port] == POOL_WITHDRAWN)
        pool->state[port] = POOL_TAKEN;
    if (pool->state[port] != POOL_UNKNOWN)
        return 0;
    pool->state[port] = POOL_FREE;
    pool->free[pool->free_count++] = port;
    pool->known++;
    return 0;
}

static void pool_forget(struct pool *pool, uint16_t port)
{
    pool->state[port] = POOL_UNKNOWN;
    pool->known--;
}

bool world_withdraw_port(struct world *world, uint8_t proto, uint16_t port)
{
    struct pool *pool = pool_of(world, proto);
    if (!pool || !pool->state || pool->state[port] == POOL_UNKNOWN)
        return true;
    if (pool->state[port] != POOL_FREE) {
        pool->state[port] = POOL_WITHDRAWN;
        return false;
    }
    for (uint32_t i = 0; i < pool->free_count; i++)
        if (pool->free[i] == port) {
            pool->free[i] = pool->free[--pool->free_count];
            break;
        }
    pool_forget(pool, port);
    return true;
}

uint32_t world_free_ports(const struct world *world, uint8_t proto)
{
    const struct pool *pool = pool_of(world, proto);
    return pool ? pool->free_count : 0;
}

uint16_t pool_take(struct world *world, uint8_t proto, uint32_t vm)
{
    struct pool *pool = pool_of(world, proto);
    if (!pool || !pool->free_count || world->bound >= world->limits.link_local_flows)
        return 0;
    if (vm != FLOW_NONE && world->vms[vm].bound >= world->limits.vm_link_local_flows)
        return 0;
    uint16_t port = pool->free[--pool->free_count];
    pool->state[port] = POOL_TAKEN;
    pool->owner[port] = vm;
    world->bound++;
    if (vm != FLOW_NONE)
        world->vms[vm].bound++;
    return port;
}

bool pool_has(const struct world *world, uint8_t proto, uint16_t port, uint32_t vm)
{
    const struct pool *pool = pool_of(world, proto);
    return pool && pool->state && pool->state[port] >= POOL_TAKEN && pool->owner[port] == vm;
}

void world_return_port(struct world *world, uint8_t proto, uint16_t port)
{
    struct pool *pool = pool_of(world, proto);
    if (!pool || !pool->state || pool->state[port] < POOL_TAKEN)
        return;
    uint32_t vm = pool->owner[port];
    world->bound--;
    if (vm != FLOW_NONE) {
        world->vms[vm].bound--;
        vm_end(world, vm);
    }
    if (pool->state[port] == POOL_WITHDRAWN) {
        pool_forget(pool, port);
        return;
    }
    pool->state[port] = POOL_FREE;
    pool->free[pool->free_count++] = port;
}

void pools_free(struct world *world)
{
    for (unsigned i = 0; i < POOLS; i++) {
        free(world->pools[i].free);
        free(world->pools[i].state);
        free(world->pools[i].owner);
    }
    free(world->vms);
    map_free(&world->vm_numbers);
}

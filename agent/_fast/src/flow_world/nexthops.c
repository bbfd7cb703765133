/* Nexthops, and the labels and VNIs that lead to them. Routes hang in a list at their nexthop,
 * so that a change of it touches just these. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

int nexthop_room(struct world *world, uint32_t number)
{
    if (number < world->nexthop_room)
        return 0;
    if (number >= WORLD_NEXTHOPS)
        return -1;
    uint32_t room = world->nexthop_room ? world->nexthop_room : 64;
    while (room <= number)
        room *= 2;
    struct nexthop *larger = realloc(world->nexthops, room * sizeof *larger);
    if (!larger)
        return -1;
    for (uint32_t i = world->nexthop_room; i < room; i++)
        larger[i] = (struct nexthop){.routes = FLOW_NONE};
    world->nexthops = larger;
    world->nexthop_room = room;
    return 0;
}

void nexthop_link(struct world *world, uint32_t number)
{
    struct route *route = &world->routes[number];
    struct nexthop *nh = &world->nexthops[route->nexthop];
    route->previous = FLOW_NONE;
    route->next = nh->routes;
    if (nh->routes != FLOW_NONE)
        world->routes[nh->routes].previous = number;
    nh->routes = number;
}

void nexthop_unlink(struct world *world, uint32_t number)
{
    struct route *route = &world->routes[number];
    if (route->next != FLOW_NONE)
        world->routes[route->next].previous = route->previous;
    if (route->previous != FLOW_NONE)
        world->routes[route->previous].next = route->next;
    else
        world->nexthops[route->nexthop].routes = route->next;
}

static void touch_routes_of(struct world *world, const struct nexthop *nh)
{
    for (uint32_t at = nh->routes; at != FLOW_NONE && !world->log.lost;
         at = world->routes[at].next)
        touch_route(world, at);
}

static bool has_member(const struct nexthop *nh, uint32_t number)
{
    for (uint32_t i = 0; i < nh->member_count; i++)
        if (nh->members[i].nexthop == (int32_t)number)
            return true;
    return false;
}

/* Decisions do not name labels: those that landed at a vif are touched by it, others all. */
static void touch_landed(struct world *world, struct nexthop *nh)
{
    bool by_vif = nh->known && nh->vif >= 0
               && (nh->type == NEXTHOP_ENCAP || nh->type == NEXTHOP_RECEIVE);
    if (nh->landed && by_vif)
        touch_vif(world, (uint32_t)nh->vif, TOUCH_VIF);
    else if (nh->landed)
        touch_all(world);
    nh->landed = false;
}

/* Before the nexthop changes. */
static void touch_nexthop(struct world *world, uint32_t number)
{
    struct nexthop *nh = &world->nexthops[number];
    touch_landed(world, nh);
    touch_routes_of(world, nh);
    for (uint32_t i = 0; nh->parents && i < world->composite_count; i++) {
        struct nexthop *parent = &world->nexthops[world->composites[i]];
        if (!has_member(parent, number))
            continue;
        touch_landed(world, parent);
        touch_routes_of(world, parent);
    }
}

/* Whether decisions see a difference: how a tunnel is written is none of theirs. */
static bool same(const struct nexthop *a, const struct nexthop_facts *b)
{
    enum { SEEN = NHF_VALID | NHF_POLICY | NHF_MCAST | NHF_ECMP | NHF_LU_ECMP | NHF_FLOOD };
    if (!a->known || a->type != b->type || a->family != b->family || a->vif != b->vif
        || ((a->flags ^ b->flags) & SEEN) || a->vrf != b->vrf
        || a->tunnel_destination != b->tunnel_destination || a->hash_fields != b->hash_fields
        || a->member_count != b->member_count)
        return false;
    for (uint32_t i = 0; i < a->member_count; i++)
        if (a->members[i].nexthop != b->members[i] || a->members[i].label != b->labels[i])
            return false;
    return true;
}

/* Counts how often each nexthop is a member, `by` 1 or -1. */
static void count_parents(struct world *world, const struct nexthop *nh, int by)
{
    for (uint32_t i = 0; i < nh->member_count; i++) {
        int32_t part = nh->members[i].nexthop;
        if (part >= 0 && (uint32_t)part < world->nexthop_room)
            world->nexthops[part].parents += (uint32_t)by;
    }
}

static int composite_enter(struct world *world, uint32_t number)
{
    if (world->composite_count == world->composite_room) {
        uint32_t room = world->composite_room ? world->composite_room * 2 : 16;
        uint32_t *larger = realloc(world->composites, room * sizeof *larger);
        if (!larger)
            return -1;
        world->composites = larger;
        world->composite_room = room;
    }
    world->nexthops[number].composite = world->composite_count;
    world->composites[world->composite_count++] = number;
    return 0;
}

static void composite_leave(struct world *world, struct nexthop *nh)
{
    uint32_t last = world->composites[--world->composite_count];
    world->composites[nh->composite] = last;
    world->nexthops[last].composite = nh->composite;
}

/* Room for the nexthop and all members that it names; its members, or NULL in `*members`. */
static int make_room(struct world *world, uint32_t number, const struct nexthop_facts *facts,
                     struct member **members)
{
    *members = NULL;
    if (nexthop_room(world, number))
        return -1;
    for (uint32_t i = 0; i < facts->member_count; i++)
        if (facts->members[i] >= WORLD_NEXTHOPS
            || (facts->members[i] >= 0 && nexthop_room(world, (uint32_t)facts->members[i])))
            return -1;
    if (!facts->member_count)
        return 0;
    *members = malloc(facts->member_count * sizeof **members);
    for (uint32_t i = 0; *members && i < facts->member_count; i++)
        (*members)[i] = (struct member){facts->members[i], facts->labels[i]};
    return *members ? 0 : -1;
}

static void forget(struct world *world, struct nexthop *nh)
{
    count_parents(world, nh, -1);
    free(nh->members);
    nh->members = NULL;
    nh->member_count = 0;
}

int world_put_nexthop(struct world *world, uint32_t number, const struct nexthop_facts *facts)
{
    struct member *members;
    if (facts->member_count > WORLD_MEMBERS)
        return -1;
    if (number < world->nexthop_room && same(&world->nexthops[number], facts))
        return 0;
    if (make_room(world, number, facts, &members))
        return -1;
    touch_nexthop(world, number);
    struct nexthop *nh = &world->nexthops[number];
    bool composite = facts->type == NEXTHOP_COMPOSITE;
    bool was_composite = nh->known && nh->type == NEXTHOP_COMPOSITE;
    if (composite && !was_composite && composite_enter(world, number)) {
        free(members);
        return -1;
    }
    if (was_composite && !composite)
        composite_leave(world, nh);
    forget(world, nh);
    world->nexthop_count += !nh->known;
    nh->known = true;
    nh->type = facts->type;
    nh->family = facts->family;
    nh->flags = facts->flags;
    nh->vif = facts->vif;
    nh->vrf = facts->vrf;
    nh->tunnel_destination = facts->tunnel_destination;
    nh->hash_fields = facts->hash_fields;
    nh->members = members;
    nh->member_count = facts->member_count;
    count_parents(world, nh, 1);
    return 0;
}

void world_drop_nexthop(struct world *world, uint32_t number)
{
    if (number >= world->nexthop_room || !world->nexthops[number].known)
        return;
    touch_nexthop(world, number);
    struct nexthop *nh = &world->nexthops[number];
    if (nh->type == NEXTHOP_COMPOSITE)
        composite_leave(world, nh);
    forget(world, nh);
    nh->known = false;
    world->nexthop_count--;
}

void nexthops_free(struct world *world)
{
    for (uint32_t i = 0; i < world->nexthop_room; i++)
        free(world->nexthops[i].members);
    free(world->nexthops);
    free(world->composites);
    map_free(&world->labels);
    map_free(&world->vnis);
}

/* Those that came in by a label or VNI, before it leads elsewhere. */
static void leave_old(struct world *world, const struct map *map, uint32_t number)
{
    uint32_t old = map_get(map, number);
    if (old != FLOW_NONE)
        touch_landed(world, &world->nexthops[old]);
}

static int put(struct world *world, struct map *map, uint32_t number, uint32_t nexthop)
{
    if (nexthop_room(world, nexthop) || map_reserve(map))
        return -1;
    if (map_get(map, number) != nexthop)
        leave_old(world, map, number);
    map_put(map, number, nexthop);
    return 0;
}

static void drop(struct world *world, struct map *map, uint32_t number)
{
    leave_old(world, map, number);
    map_drop(map, number);
}

int world_put_label(struct world *world, uint32_t label, uint32_t nexthop)
{
    return put(world, &world->labels, label, nexthop);
}

void world_drop_label(struct world *world, uint32_t label)
{
    drop(world, &world->labels, label);
}

int world_put_vni(struct world *world, uint32_t vni, uint32_t nexthop)
{
    return put(world, &world->vnis, vni, nexthop);
}

void world_drop_vni(struct world *world, uint32_t vni) { drop(world, &world->vnis, vni); }

/* Where a pair leads to: its ports, its routes and the other vrouter, for those who tell of it. */
#include "flow_world/state.h"
#include "table.h"

enum { HOP_GRE = 0x8, HOP_MPLS_UDP = 0x40, HOP_VXLAN = 0x80 };
enum { NO_TUNNEL, BY_MPLS_GRE, BY_MPLS_UDP, BY_VXLAN }; /* as enum tunnel of packet.h */

static const struct route *route_of_read(const struct pairs *pairs, const struct flow_pair *pair,
                                         enum flow_read which)
{
    const struct world *world = pairs->world;
    uint32_t number = pair->is.reads[which];
    if (number >= world->route_top || !(world->routes[number].flags & ROUTE_USED))
        return NULL;
    return &world->routes[number];
}

static uint8_t tunnel_of(uint32_t flags)
{
    if (flags & HOP_GRE)
        return BY_MPLS_GRE;
    if (flags & HOP_MPLS_UDP)
        return BY_MPLS_UDP;
    return flags & HOP_VXLAN ? BY_VXLAN : NO_TUNNEL;
}

/* The nexthop that packets take; of several with equal cost the chosen one. */
static const struct nexthop *hop_of(const struct world *world, uint32_t number, int member)
{
    const struct nexthop *hop = world_nexthop(world, number);
    if (!hop || hop->type != NEXTHOP_COMPOSITE)
        return hop;
    if (member < 0 || (uint32_t)member >= hop->member_count || hop->members[member].nexthop < 0)
        return NULL;
    return world_nexthop(world, (uint32_t)hop->members[member].nexthop);
}

static void leave_by(const struct pairs *pairs, const struct flow_pair *pair,
                     const struct route *route, struct flow_course *course)
{
    int member = pair->is.side[FLOW_FORWARD].ecmp;
    const struct nexthop *hop = route ? hop_of(pairs->world, route->nexthop, member) : NULL;
    if (!hop || hop->type != NEXTHOP_TUNNEL)
        return;
    course->peer = hop->tunnel_destination;
    course->tunnel = tunnel_of(hop->flags);
}

void course_read(const struct pairs *pairs, const struct flow_pair *pair,
                 struct flow_course *course)
{
    bool ingress = pair->is.flags & PAIR_INGRESS;
    const struct route *ends[FLOW_SIDES] = {
        route_of_read(pairs, pair, READ_SRC_ROUTE), route_of_read(pairs, pair, READ_DST_ROUTE),
    };
    *course = (struct flow_course){
        .from_vif = ingress ? pair->is.reads[READ_IN_VIF] : FLOW_NONE,
        .to_vif = pair->is.reads[READ_OUT_VIF],
        .peer = ingress ? 0 : pair->tunnel_source,
        .tunnel = ingress ? NO_TUNNEL : pair->tunnel,
        .length = {FLOW_NO_ROUTE, FLOW_NO_ROUTE},
    };
    for (int side = 0; side < FLOW_SIDES; side++)
        if (ends[side]) {
            course->meta[side] = ends[side]->meta;
            course->length[side] = ends[side]->length;
        }
    if (ingress)
        leave_by(pairs, pair, ends[FLOW_REVERSE], course);
}

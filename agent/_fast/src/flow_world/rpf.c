/* Which source the datapath accepts for each direction: a nexthop, or 0 for any. */
#include "work.h"

/* The nexthop of a route; members of a choice at a port send by the port's own one. */
static uint32_t by_route(const struct work *k, uint32_t number, const struct port *sender)
{
    const struct route *route = route_at(k, number);
    if (!route)
        return NEXTHOP_ALWAYS_INVALID;
    const struct nexthop *nh = hop_at(k, route->nexthop);
    if (sender && nh && nh->type == NEXTHOP_COMPOSITE)
        return sender->is.key_nexthop;
    return route->nexthop;
}

/* Addresses that no router forwards, and so no route is for (RFC 4291 2.5.6). */
static bool is_of_link(const struct flow_packet *p)
{
    return p->family == FLOW_INET6 && p->src[0] == 0xfe && (p->src[1] & 0xc0) == 0x80;
}

/* What a VM sends by MAC address is still checked by its IP address, where its network has
 * routes: so it cannot use that of another. */
static bool by_address(struct work *k, uint32_t *nexthop)
{
    const struct port *port = k->src.port;
    if (!k->bridged || !has(port, TRAIT_ROUTED) || is_of_link(k->packet))
        return false;
    k->reverse_route = look_up(k, k->packet->vrf, k->packet->src);
    const struct route *route = route_at(k, k->reverse_route);
    const struct nexthop *nh = route ? hop_at(k, route->nexthop) : NULL;
    if (!nh || nh->type == NEXTHOP_DISCARD)
        k->reason = REASON_NO_SRC_ROUTE_L2;
    *nexthop = by_route(k, k->reverse_route, port);
    return true;
}

static uint32_t of_port(struct work *k)
{
    uint32_t nexthop;
    if (!is_vm(k->src.port) || !has(k->src.port, TRAIT_RPF))
        return 0;
    if (by_address(k, &nexthop))
        return nexthop;
    return by_route(k, k->src.route, k->src.port);
}

static uint32_t of_fabric(const struct work *k)
{
    if (!is_vm(k->dst.port) || !has(k->dst.port, TRAIT_RPF) || !route_at(k, k->src.route))
        return 0;
    return by_route(k, k->src.route, NULL);
}

static uint32_t of_answers(const struct work *k)
{
    const struct port *answering = k->dst.port;
    if (is_vm(answering)) {
        uint32_t route = k->nat && k->reverse_route != NO_ROUTE ? k->reverse_route : k->dst.route;
        return has(answering, TRAIT_RPF) ? by_route(k, route, answering) : 0;
    }
    if (answering || !k->ingress || k->flooded || !has(k->src.port, TRAIT_RPF))
        return 0;
    const struct nexthop *nh = k->out_hop == FLOW_NONE ? NULL : hop_at(k, k->out_hop);
    if (k->multicast || (nh && nh->type == NEXTHOP_COMPOSITE))
        return 0;
    return by_route(k, k->dst.route, NULL);
}

void check_sources(struct work *k)
{
    struct flow_side *sides = k->decision->side;
    sides[FLOW_FORWARD].src_nexthop = k->ingress ? of_port(k) : of_fabric(k);
    sides[FLOW_REVERSE].src_nexthop = of_answers(k);
    TELL_SIDE(k, STEP_RPF, FLOW_FORWARD, sides[FLOW_FORWARD].src_nexthop, 0);
    TELL_SIDE(k, STEP_RPF, FLOW_REVERSE, sides[FLOW_REVERSE].src_nexthop, 0);
}

/* Which routes lead to both ends, and which port or tunnel the packet leaves by. */
#include "work.h"

enum { MOST_TURNS = 4 }; /* VRFs that a route may send a packet on to, one after the other */

/* ---- look-up ---- */

static uint32_t found(struct work *k, struct vrf *vrf, unsigned kind, uint32_t number)
{
    vrf->read[kind] = true;
    return number == FLOW_NONE || number == LPM_NONE ? vrf->nothing[kind] : number;
}

uint32_t look_up(struct work *k, uint32_t index, const uint8_t *address)
{
    struct vrf *vrf = vrf_at(k, index);
    unsigned kind = family_table(k->packet->family);
    if (!vrf)
        return NO_ROUTE;
    return found(k, vrf, kind, vrf->has[kind] ? lpm_lookup(&vrf->table[kind], address) : LPM_NONE);
}

uint32_t look_up_mac(struct work *k, uint32_t index, const uint8_t *mac)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct vrf *vrf = vrf_at(k, index);
    if (!vrf)
        return NO_ROUTE;
    uint32_t number = map_get(&k->world->bridge, bridge_key(index, mac));
    if (number == FLOW_NONE && (mac[0] & 1))
        number = map_get(&k->world->bridge, bridge_key(index, broadcast));
    return found(k, vrf, TABLE_BRIDGE, number);
}

void read_widely(struct work *k, uint32_t number)
{
    if (number != NO_ROUTE)
        k->world->routes[number].flags |= ROUTE_WIDE;
}

static uint32_t route_of(struct work *k, uint32_t vrf, const uint8_t *address, const uint8_t *mac)
{
    return k->bridged ? look_up_mac(k, vrf, mac) : look_up(k, vrf, address);
}

void find_source(struct work *k, uint32_t vrf)
{
    k->src.route = route_of(k, vrf, k->packet->src, k->packet->smac);
    TELL_ROUTE(k, STEP_SOURCE_ROUTE, k->src.route, k->bridged ? k->packet->smac : k->packet->src);
    for (int turn = 0; turn < MOST_TURNS && !k->bridged; turn++) {
        const struct route *route = route_at(k, k->src.route);
        const struct nexthop *nh = route ? hop_at(k, route->nexthop) : NULL;
        if (!nh || nh->type != NEXTHOP_VRF || nh->vrf < 0)
            return;
        read_widely(k, k->src.route);
        k->src.route = look_up(k, (uint32_t)nh->vrf, k->packet->src);
        TELL_ROUTE(k, STEP_SOURCE_ROUTE, k->src.route, k->packet->src);
    }
}

static void find_destination(struct work *k, uint32_t vrf)
{
    k->dst.route = route_of(k, vrf, k->packet->dst, k->packet->dmac);
    TELL_ROUTE(k, STEP_DESTINATION_ROUTE, k->dst.route,
               k->bridged ? k->packet->dmac : k->packet->dst);
}

void know_end(struct work *k, struct end *end)
{
    if (end->acts)
        return;
    const struct route *route = route_at(k, end->route);
    end->meta = is_vm(end->port) ? end->port->is.meta : route ? route->meta : WORLD_NO_META;
}

/* ---- the way out ---- */

/* A route into another VRF: the route there counts. The last nexthop. */
static const struct nexthop *follow(struct work *k, uint32_t *number)
{
    const struct nexthop *nh = hop_at(k, *number);
    for (int turn = 0; turn < MOST_TURNS && nh && nh->type == NEXTHOP_VRF && nh->vrf >= 0
         && !k->bridged; turn++) {
        read_widely(k, k->dst.route);
        find_destination(k, (uint32_t)nh->vrf);
        const struct route *route = route_at(k, k->dst.route);
        if (!route)
            return NULL;
        *number = route->nexthop;
        nh = hop_at(k, *number);
    }
    return nh;
}

static const struct nexthop *pick(struct work *k, const struct nexthop *nh, uint32_t *number)
{
    int wanted = k->before ? (k->before->ecmp[FLOW_FORWARD] < 0 ? 0 : k->before->ecmp[FLOW_FORWARD])
                           : -1;
    int member = choose_member(k, nh, !k->ingress, wanted);
    k->ecmp[FLOW_FORWARD] = member;
    if (member < 0)
        return NULL;
    *number = (uint32_t)nh->members[member].nexthop;
    TELL(k, STEP_ECMP, (uint32_t)member, *number);
    return hop_at(k, *number);
}

static void out_by_vif(struct work *k, uint32_t vif)
{
    k->dst.vif = vif;
    k->dst.port = world_port(k->world, vif);
    const struct port *port = k->dst.port;
    if (port && (port->is.kind == VIF_OF_VM || port->is.kind == VIF_OF_HOST))
        k->reverse_nexthop = port->is.key_nexthop;
    TELL(k, STEP_OUT_PORT, vif, port ? port->is.vrf : WORLD_NO_VRF);
}

static void leave(struct work *k, const struct nexthop *nh, uint32_t number)
{
    k->out_hop = number;
    switch (nh->type) {
    case NEXTHOP_ENCAP:
    case NEXTHOP_RECEIVE:
        if (nh->vif >= 0)
            out_by_vif(k, (uint32_t)nh->vif);
        return;
    case NEXTHOP_RESOLVE:
        out_by_vif(k, nh->vif >= 0 ? (uint32_t)nh->vif : k->world->host_vif);
        return;
    case NEXTHOP_TUNNEL:
        TELL(k, STEP_OUT_TUNNEL, number, nh->tunnel_destination);
        if (k->ingress && !k->bridged)
            k->reverse_nexthop = local_group(k, k->src.route);
        return;
    case NEXTHOP_COMPOSITE: /* to many, or a choice that leads nowhere now */
        k->reverse_nexthop = number;
        return;
    default:
        return;
    }
}

static void lead(struct work *k, uint32_t number)
{
    k->dst.port = NULL;
    k->dst.vif = FLOW_NONE;
    k->out_hop = FLOW_NONE;
    k->reverse_nexthop = k->packet->key_nexthop;
    k->ecmp[FLOW_FORWARD] = -1;
    const struct nexthop *nh = follow(k, &number);
    if (nh && is_ecmp(nh))
        nh = pick(k, nh, &number);
    if (nh && (nh->flags & NHF_VALID))
        leave(k, nh, number);
}

void lead_out(struct work *k, uint32_t number)
{
    const struct route *route = route_at(k, number);
    lead(k, route ? route->nexthop : FLOW_NONE);
}

/* Who takes it must be able to; nobody gets packets past a port that is not known yet. */
static void check_out_port(struct work *k)
{
    const struct port *port = k->dst.port;
    enum port_trait active = k->bridged ? TRAIT_L2_ACTIVE
        : k->packet->family == FLOW_INET ? TRAIT_IP4_ACTIVE : TRAIT_IP6_ACTIVE;
    if (k->dst.vif != FLOW_NONE && (!port || (is_vm(port) && !has(port, active))))
        k->reason = REASON_INTERFACE;
}

/* ---- from a port ---- */

static uint32_t own_vrf(struct work *k, const struct port *port)
{
    const struct port_alias *alias = k->bridged ? NULL : find_alias(k, port, k->packet->src);
    if (!alias)
        return k->packet->vrf;
    k->src.acts = true;
    k->src.meta = alias->meta;
    k->src.network = alias->network;
    k->to_vrf[FLOW_FORWARD] = alias->vrf;
    TELL_ADDRESS(k, STEP_ALIAS, alias->vrf, port->vif, k->packet->src);
    return alias->vrf;
}

/* Answers to an alias IP's peer go by the VRF of the alias IP. */
static void answer_by_alias(struct work *k)
{
    const struct port_alias *alias
        = k->bridged || !k->dst.port ? NULL : find_alias(k, k->dst.port, k->packet->dst);
    if (!alias)
        return;
    k->dst.acts = true;
    k->dst.meta = alias->meta;
    k->dst.network = alias->network;
    k->to_vrf[FLOW_REVERSE] = alias->vrf;
    TELL_ADDRESS(k, STEP_ALIAS, alias->vrf, k->dst.vif, k->packet->dst);
}

static void find_ends(struct work *k, uint32_t vrf)
{
    find_source(k, vrf);
    find_destination(k, vrf);
    know_end(k, &k->src);
    know_end(k, &k->dst);
}

void route_from_port(struct work *k)
{
    const struct port *port = k->src.port;
    TELL(k, STEP_IN_PORT, k->packet->vif, k->packet->vrf);
    if (link_local(k))
        return;
    uint32_t vrf = own_vrf(k, port);
    find_ends(k, vrf);
    k->vrf[FLOW_REVERSE] = k->to_vrf[FLOW_REVERSE] = k->packet->vrf;
    translate_by_port(k, &k->src);
    if (k->reason)
        return;
    lead_out(k, k->dst.route);
    if (!k->bridged && is_vm(port) && port->is.floating_count)
        translate_source(k);
    if (k->dst.port && k->dst.port->is.kind == VIF_OF_VM) {
        k->vrf[FLOW_REVERSE] = k->dst.port->is.vrf;
        if (!k->nat)
            k->to_vrf[FLOW_REVERSE] = k->dst.port->is.vrf;
        answer_by_alias(k);
        if (!k->bridged && k->dst.port->is.floating_count && !k->reason)
            translate_destination(k);
    }
    know_end(k, &k->dst);
    if (!k->reason && route_at(k, k->dst.route))
        check_out_port(k);
}

/* ---- from the fabric ---- */

/* The nexthop that the label or VNI leads to, or without a tunnel the route; NULL: nowhere. */
static const struct nexthop *land(struct work *k, uint32_t *number)
{
    const struct flow_packet *p = k->packet;
    if (p->tunnel) {
        *number = landing_nexthop(k->world, p->tunnel, p->label);
        if (*number == FLOW_NONE)
            return NULL;
        k->world->nexthops[*number].landed = true;
        TELL(k, STEP_LANDING, p->label, *number);
        return hop_at(k, *number);
    }
    k->dst.route = look_up(k, p->vrf, p->dst);
    const struct route *route = route_at(k, k->dst.route);
    *number = route ? route->nexthop : FLOW_NONE;
    return hop_at(k, *number);
}

/* Into a bridge domain or a VRF: the MAC address says where to, or that it is routed. */
static void enter_vrf(struct work *k, const struct nexthop *nh, uint32_t *number)
{
    uint32_t vrf = (uint32_t)nh->vrf;
    if (k->bridged) {
        find_destination(k, vrf);
        const struct route *route = route_at(k, k->dst.route);
        const struct nexthop *to = route ? hop_at(k, route->nexthop) : NULL;
        *number = route ? route->nexthop : FLOW_NONE;
        if (!to || to->type != NEXTHOP_L2_RECEIVE)
            return;
        read_widely(k, k->dst.route);
        k->bridged = false;
    }
    find_destination(k, vrf);
    const struct route *route = route_at(k, k->dst.route);
    *number = route ? route->nexthop : FLOW_NONE;
}

static uint32_t arrival_vrf(struct work *k, const struct nexthop *landed)
{
    const struct port *port = k->dst.port;
    if (port && port->is.kind == VIF_OF_VM)
        return port->is.vrf;
    return landed->vrf >= 0 && k->packet->tunnel ? (uint32_t)landed->vrf : k->packet->vrf;
}

void route_from_fabric(struct work *k)
{
    uint32_t number;
    TELL(k, STEP_IN_PORT, k->packet->vif, k->packet->vrf);
    const struct nexthop *nh = land(k, &number);
    if (!nh) {
        k->reason = REASON_NO_SRC_ROUTE;
        return;
    }
    const struct nexthop *landed = nh;
    k->landing_flags = nh->flags;
    if (nh->type == NEXTHOP_VRF && nh->vrf >= 0)
        enter_vrf(k, nh, &number);
    lead(k, number);
    const struct port *port = k->dst.port;
    uint32_t vrf = arrival_vrf(k, landed);
    k->reverse_route = k->dst.route; /* it led to the port, whose VRF may have another */
    read_widely(k, k->dst.route);
    k->vrf[FLOW_REVERSE] = k->to_vrf[FLOW_REVERSE] = vrf;
    if (is_vm(port) && find_floating(k, port, k->packet->dst))
        k->bridged = false; /* though its MAC address is a VM's, it will be routed */
    if (port)
        answer_by_alias(k);
    mask_ports(k, port);
    k->to = k->is;
    find_ends(k, k->to_vrf[FLOW_REVERSE]);
    if (!port && k->dst.vif == FLOW_NONE && !k->bridged)
        lead_out(k, k->dst.route);
    translate_by_port(k, &k->dst);
    port = k->dst.port;
    if (!k->reason && is_vm(port) && port->is.floating_count && !k->bridged)
        translate_destination(k);
    if (!k->reason)
        check_out_port(k);
}

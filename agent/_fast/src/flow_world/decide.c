/* A decision from beginning to end. */
#include "work.h"

/* ---- before and after ---- */

static uint16_t port_of(const uint8_t *bytes) { return (uint16_t)(bytes[0] << 8 | bytes[1]); }

/* By its IP address only: a MAC address for many must not open the way to one. */
static bool is_multicast(const struct flow_packet *p)
{
    static const uint8_t all[4] = {0xff, 0xff, 0xff, 0xff};
    if (p->family == FLOW_INET6)
        return p->dst[0] == 0xff;
    return (p->dst[0] & 0xf0) == 0xe0 || memcmp(p->dst, all, 4) == 0;
}

static void begin(struct work *k)
{
    const struct flow_packet *p = k->packet;
    memset(k->decision, 0, sizeof *k->decision);
    k->multicast = is_multicast(p);
    memcpy(k->is.src, p->src, 16);
    memcpy(k->is.dst, p->dst, 16);
    memcpy(k->key_src, p->src, 16);
    memcpy(k->key_dst, p->dst, 16);
    k->is.sport = port_of(p->sport);
    k->is.dport = port_of(p->dport);
    k->src.route = k->dst.route = k->reverse_route = NO_ROUTE;
    k->src.vif = k->dst.vif = FLOW_NONE;
    k->out_hop = FLOW_NONE;
    k->reverse_nexthop = p->key_nexthop;
    k->ecmp[FLOW_FORWARD] = k->ecmp[FLOW_REVERSE] = -1;
    for (int i = 0; i < FLOW_SIDES; i++)
        k->vrf[i] = k->to_vrf[i] = p->vrf;
}

static void read_route(struct work *k, enum flow_read place, uint32_t route)
{
    k->decision->reads[place] = route;
    if (route != NO_ROUTE)
        k->world->routes[route].flags |= ROUTE_READ;
}

static void tell_reads(struct work *k)
{
    k->decision->reads[READ_IN_VIF] = k->packet->vif;
    k->decision->reads[READ_OUT_VIF] = k->dst.vif;
    read_route(k, READ_SRC_ROUTE, k->src.route);
    read_route(k, READ_DST_ROUTE, k->dst.route);
    read_route(k, READ_REVERSE_ROUTE, k->reverse_route);
}

/* ---- routes ---- */

static bool may_flood(const struct work *k)
{
    bool from = route_at(k, k->src.route), to = route_at(k, k->dst.route);
    if (!k->bridged)
        return false;
    if (k->ingress)
        return from && !to && has(k->src.port, TRAIT_FLOOD);
    return !from && to && (k->landing_flags & NHF_FLOOD);
}

static enum flow_reason check_routes(struct work *k)
{
    if (may_flood(k)) {
        k->flooded = true;
        TELL(k, STEP_FLOOD, k->packet->vrf, 0);
        return REASON_NONE;
    }
    if (k->nat && k->hidden)
        return REASON_FAT_NAT;
    if (!route_at(k, k->src.route))
        return REASON_NO_SRC_ROUTE;
    return route_at(k, k->dst.route) ? REASON_NONE : REASON_NO_DST_ROUTE;
}

static void route_packet(struct work *k)
{
    find_bearing(k);
    if (k->ingress)
        mask_ports(k, k->src.port);
    k->to = k->is;
    k->reason = validate(k);
    if (k->reason)
        return;
    if (k->ingress)
        route_from_port(k);
    else
        route_from_fabric(k);
    if (!k->reason)
        k->reason = check_routes(k);
}

/* ---- what the datapath is told ---- */

static void flag_pair(struct work *k)
{
    uint16_t flags = 0;
    flags |= k->ingress ? PAIR_INGRESS : 0;
    flags |= k->ingress && is_vm(k->dst.port) ? PAIR_LOCAL : 0;
    flags |= k->nat ? PAIR_NAT : 0;
    flags |= k->bridged ? PAIR_L2 : 0;
    flags |= k->multicast ? PAIR_MULTICAST : 0;
    flags |= k->packet->tcp_ack && k->packet->proto == PROTO_TCP ? PAIR_TCP_ACK : 0;
    k->decision->flags |= flags;
}

static uint16_t nat_flags(const struct work *k, const uint8_t *is, const uint8_t *partner)
{
    size_t size = address_size(k);
    const uint8_t *src = is + 12, *dst = src + size;
    const uint8_t *partner_src = partner + 12, *partner_dst = partner_src + size;
    uint16_t flags = 0;
    flags |= memcmp(src, partner_dst, size) ? FLOW_SNAT : 0;
    flags |= memcmp(dst, partner_src, size) ? FLOW_DNAT : 0;
    if (!has_ports(k->packet->proto))
        return flags;
    flags |= memcmp(is + 4, partner + 6, 2) ? FLOW_SPAT : 0;
    flags |= memcmp(is + 6, partner + 4, 2) ? FLOW_DPAT : 0;
    return flags;
}

static void write_side(struct work *k, unsigned which)
{
    struct flow_side *side = &k->decision->side[which];
    side->vrf = (uint16_t)k->vrf[which];
    side->ecmp = (int8_t)k->ecmp[which];
    side->flags |= FLOW_ACTIVE;
    if (k->nat)
        side->flags |= nat_flags(k, side->key, k->decision->side[!which].key);
    if (k->nat || k->to_vrf[which] != k->vrf[which]) {
        side->flags |= FLOW_VRFT;
        side->dvrf = (uint16_t)k->to_vrf[which];
    }
    side->action = side->reason ? FLOW_DROP : k->nat ? FLOW_NAT : FLOW_PASS;
}

/* A short flow has no port of the host; what the pair had before is its keeper's to return. */
static void leave_port(struct work *k)
{
    struct flow_decision *d = k->decision;
    if ((d->flags & PAIR_BOUND_PORT) && (!k->before || k->before->bound_port != d->bound_port))
        world_return_port(k->world, k->packet->proto, d->bound_port);
    d->flags &= (uint16_t)~PAIR_BOUND_PORT;
    d->bound_port = 0;
}

static void write_short(struct work *k)
{
    leave_port(k);
    k->decision->flags |= PAIR_SHORT;
    TELL(k, STEP_SHORT, k->reason, 0);
    for (unsigned which = 0; which < FLOW_SIDES; which++) {
        struct flow_side *side = &k->decision->side[which];
        side->flags = FLOW_ACTIVE;
        side->src_nexthop = 0;
        side->vrf = (uint16_t)k->packet->vrf;
        side->reason = (uint8_t)k->reason;
        side->ecmp = -1;
    }
}

static void write_pair(struct work *k)
{
    k->ecmp[FLOW_REVERSE] = k->bridged ? -1 : member_of_source(k);
    if (k->ecmp[FLOW_FORWARD] >= 0 || k->ecmp[FLOW_REVERSE] >= 0)
        k->decision->flags |= PAIR_ECMP;
    apply_policy(k);
    for (unsigned which = 0; which < FLOW_SIDES; which++)
        write_side(k, which);
    if (k->bind)
        k->decision->side[FLOW_REVERSE].flags |= FLOW_LINK_LOCAL;
}

static void run(struct work *k)
{
    begin(k);
    route_packet(k);
    if (!k->reason && k->bind)
        bind_port(k);
    for (unsigned which = 0; which < FLOW_SIDES; which++) {
        k->decision->side[which].mirror = k->decision->side[which].sec_mirror = FLOW_NO_MIRROR;
        k->decision->side[which].qos = -1;
    }
    if (!k->reason)
        check_sources(k);
    if (k->reason)
        k->nat = false;
    write_keys(k);
    flag_pair(k);
    if (k->reason)
        write_short(k);
    else
        write_pair(k);
    tell_reads(k);
    for (unsigned which = 0; which < FLOW_SIDES; which++)
        TELL_SIDE(k, STEP_RESULT, which, k->decision->side[which].action,
                  k->decision->side[which].reason);
}

void flow_decide(struct world *world, const struct flow_packet *packet,
                 const struct flow_before *before, struct flow_decision *decision)
{
    struct work k = {.world = world, .packet = packet, .before = before, .decision = decision};
    run(&k);
}

void flow_explain(struct world *world, const struct flow_packet *packet,
                  const struct flow_before *before, struct flow_decision *decision,
                  struct flow_trail *trail)
{
    struct work k = {.world = world, .packet = packet, .before = before, .decision = decision,
                     .trail = trail};
    trail->count = 0;
    run(&k);
    if (decision->flags & PAIR_BOUND_PORT && (!before || before->bound_port != decision->bound_port))
        world_return_port(world, packet->proto, decision->bound_port);
}

/* Which way a packet goes, and whether its port may send or get packets at all. */
#include "work.h"

static bool is_zero(const uint8_t *mac)
{
    static const uint8_t zero[6];
    return memcmp(mac, zero, sizeof zero) == 0;
}

/* Packets to the router's own MAC addresses are routed; each VRF has bridge routes for these.
 * A packet without MAC addresses came in by IP address alone. */
static bool for_router(struct work *k, const struct port *port)
{
    const uint8_t *dmac = k->packet->dmac;
    if (!has(port, TRAIT_BRIDGED) || is_zero(dmac))
        return true;
    uint32_t number = look_up_mac(k, k->packet->vrf, dmac);
    const struct route *route = route_at(k, number);
    read_widely(k, number);
    const struct nexthop *nh = route ? hop_at(k, route->nexthop) : NULL;
    return nh && nh->type == NEXTHOP_L2_RECEIVE;
}

void find_bearing(struct work *k)
{
    const struct flow_packet *p = k->packet;
    const struct port *port = world_port(k->world, p->vif);
    k->ingress = p->tunnel == 0 && !(port && port->is.kind == VIF_OF_FABRIC);
    if (!k->ingress) {
        k->bridged = p->is_l2;
        return;
    }
    k->src.port = port;
    k->src.vif = p->vif;
    k->bridged = is_vm(port) && !for_router(k, port);
}

static enum flow_reason validate_port(const struct work *k, const struct port *port)
{
    enum port_trait active = k->bridged ? TRAIT_L2_ACTIVE
        : k->packet->family == FLOW_INET ? TRAIT_IP4_ACTIVE : TRAIT_IP6_ACTIVE;
    if (!port || !has(port, active))
        return REASON_INTERFACE;
    if (is_vm(port) && !has(port, k->bridged ? TRAIT_BRIDGED : TRAIT_ROUTED))
        return REASON_IPV4_OFF;
    return REASON_NONE;
}

enum flow_reason validate(const struct work *k)
{
    enum flow_reason reason = k->ingress ? validate_port(k, k->src.port) : REASON_NONE;
    if (reason)
        return reason;
    /* What came through a tunnel goes by its label's VRF, not by the one it is said to be in. */
    return k->packet->tunnel || vrf_at(k, k->packet->vrf) ? REASON_NONE : REASON_VRF;
}

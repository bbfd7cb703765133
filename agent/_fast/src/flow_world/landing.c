/* Where packets of the fabric land. */
#include "state.h"

enum { TUNNEL_BY_VNI = 3 };

/* A label is of layer 2 unless it leads to a routed interface, a choice among such, or the
 * routes of a VRF (facts pkt0-services.md 4). */
static bool is_l2(const struct nexthop *nh)
{
    switch (nh->type) {
    case NEXTHOP_ENCAP:
    case NEXTHOP_VRF:
        return nh->family == FAMILY_BRIDGE;
    case NEXTHOP_COMPOSITE:
        return !(nh->flags & NHF_ECMP) || nh->family == FAMILY_BRIDGE;
    default:
        return false;
    }
}

uint32_t landing_nexthop(const struct world *world, uint8_t tunnel, uint32_t label)
{
    return map_get(tunnel == TUNNEL_BY_VNI ? &world->vnis : &world->labels, label);
}

bool world_landing(const struct world *world, uint8_t tunnel, uint32_t label, struct landing *at)
{
    bool by_vni = tunnel == TUNNEL_BY_VNI;
    uint32_t number = landing_nexthop(world, tunnel, label);
    const struct nexthop *nh = number == FLOW_NONE ? NULL : world_nexthop(world, number);
    if (!nh)
        return false;
    *at = (struct landing){
        .nexthop = number, .vif = FLOW_NONE,
        .vrf = nh->vrf >= 0 && nh->vrf < WORLD_VRFS ? (uint32_t)nh->vrf : WORLD_NO_VRF,
        .is_l2 = by_vni || is_l2(nh), .control_word = nh->flags & NHF_CONTROL_WORD};
    if ((nh->type == NEXTHOP_ENCAP || nh->type == NEXTHOP_RECEIVE) && nh->vif >= 0) {
        const struct port *port = world_port(world, (uint32_t)nh->vif);
        at->vif = (uint32_t)nh->vif;
        at->vrf = port ? port->is.vrf : at->vrf;
    }
    return true;
}

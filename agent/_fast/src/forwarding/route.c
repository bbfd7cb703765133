/* IP packets: lookup, TTL, and the IPv6 messages that are the agent's. */
#include "dp.h"

const struct route *find_route4(struct datapath *dp, uint32_t vrf, const uint8_t *address)
{
    struct vrf *table = vrf < dp->max_vrfs ? dp->vrfs[vrf] : NULL;
    struct route_key key = {(uint64_t)get32(address) << 32, 0};
    return table ? route_find(&dp->arena, &table->inet, key) : NULL;
}

const struct route *find_route6(struct datapath *dp, uint32_t vrf, const uint8_t *address)
{
    struct vrf *table = vrf < dp->max_vrfs ? dp->vrfs[vrf] : NULL;
    struct route_key key = {get64(address), get64(address + 8)};
    return table ? route_find(&dp->arena, &table->inet6, key) : NULL;
}

bool is_gateway(struct datapath *dp, const struct nexthop *nh)
{
    const struct vif *vif = nh && nh->type == NH_ENCAP && nh->family != AF_BRIDGED && nh->oif >= 0
                          ? dp_vif(dp, (uint32_t)nh->oif) : NULL;
    return vif && vif->type == VIF_AGENT;
}

bool from_guest(const struct packet *p)
{
    return p->outer_src == 0 && p->in->type != VIF_PHYSICAL && p->in->type != VIF_HOST;
}

/* Router solicitations and unicast DHCPv6 of guests. */
static bool is_agents_ip6(const struct packet *p)
{
    if (p->l3_type != TYPE_IP6 || p->is_fragment || !from_guest(p))
        return false;
    const uint8_t *l4 = p->buf + p->l4;
    if (p->proto == PROTO_ICMP6)
        return has_bytes(p, p->l4, 4) && l4[0] == ND_RS;
    return p->proto == PROTO_UDP && has_bytes(p, p->l4, UDP_LEN)
        && get16(l4) == PORT_DHCP6_CLIENT && get16(l4 + 2) == PORT_DHCP6_SERVER;
}

/* One hop for each lookup that forwards. The host's own frames cross the wire between
 * vhost and fabric as they are. */
static bool takes_hop(struct datapath *dp, const struct packet *p, const struct nexthop *nh)
{
    if (nh->type == NH_RECEIVE || is_gateway(dp, nh)
        || (nh->type == NH_VRF_TRANSLATE && nh->family != AF_BRIDGED))
        return false;
    return p->in->type != VIF_HOST || p->outer_src != 0;
}

void route_input(struct datapath *dp, struct packet *p)
{
    int reason = packet_parse_ip(p);
    if (reason >= 0) {
        dp_drop(dp, p, reason);
        return;
    }
    packet_trim(p);
    p->is_l2 = 0;
    const uint8_t *ip = p->buf + p->l3;
    bool v4 = p->l3_type == TYPE_IP4;
    p->ttl = v4 ? ip[8] : ip[7];
    if (is_agents_ip6(p)) {
        trap(dp, p, p->vrf, TRAP_L3_PROTOCOLS, 0, 0);
        return;
    }
    if (from_guest(p))
        adjust_mss(dp, p, false);
    const struct route *route = v4 ? find_route4(dp, p->vrf, ip + 16)
                                   : find_route6(dp, p->vrf, ip + 24);
    struct nexthop *nh = dp_nexthop(dp, route ? route->nh : 0);
    p->label = route && (route->flags & RTF_LABEL) ? route->label : LABEL_NONE;
    if (nh && takes_hop(dp, p, nh))
        packet_decrement_ttl(p);
    enter_nexthop(dp, p, nh);
}

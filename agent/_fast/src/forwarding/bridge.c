/* Ethernet frames: learning, protocols that the agent answers, lookup by MAC. */
#include "dp.h"

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

enum protocol { P_OTHER, P_DHCP, P_DHCP6, P_IGMP, P_RS, P_NS, P_NA };

static enum protocol icmp6_protocol(const struct packet *p)
{
    if (p->is_fragment || !has_bytes(p, p->l4, 4))
        return P_OTHER;
    switch (p->buf[p->l4]) {
    case ND_RS: return P_RS;
    case ND_NS: return P_NS;
    case ND_NA: return P_NA;
    default: return P_OTHER;
    }
}

/* The service that a parsed IP packet asks for; needs l4. */
static enum protocol protocol_of(const struct packet *p)
{
    if (!p->l4)
        return P_OTHER;
    const uint8_t *l4 = p->buf + p->l4;
    bool udp = p->proto == PROTO_UDP && !p->is_fragment && has_bytes(p, p->l4, UDP_LEN);
    if (p->l3_type == TYPE_IP4) {
        if (p->proto == PROTO_IGMP)
            return P_IGMP;
        return udp && get16(l4) == PORT_DHCP_CLIENT ? P_DHCP : P_OTHER;
    }
    if (p->l3_type != TYPE_IP6)
        return P_OTHER;
    if (p->proto == PROTO_ICMP6)
        return icmp6_protocol(p);
    return udp && get16(l4) == PORT_DHCP6_CLIENT && get16(l4 + 2) == PORT_DHCP6_SERVER ? P_DHCP6
                                                                                       : P_OTHER;
}

bool wanted_by_agent(const struct packet *p)
{
    if (!p->is_mcast || p->source != FROM_LOCAL || p->vlan != 0xffff)
        return false;
    switch (protocol_of(p)) {
    case P_DHCP:
    case P_DHCP6:
        return p->in->flags & VIFF_DHCP;
    case P_IGMP:
        return p->in->flags & VIFF_IGMP;
    default:
        return false;
    }
}

/* Does the agent serve DHCP to the sender of this frame? */
static bool floods_dhcp(struct datapath *dp, const struct packet *p)
{
    struct bridge_entry entry;
    int64_t index = bridge_find(dp, p->vrf, p->buf + p->eth + 6);
    if (index < 0)
        return false;
    bridge_read(dp, (uint32_t)index, &entry);
    return entry.flags & BRF_FLOOD_DHCP;
}

/* In the L2 multicast nexthop: what guests and ToRs ask that is not to be flooded. */
bool trap_protocols(struct datapath *dp, struct packet *p)
{
    if (p->vlan != 0xffff || (p->source != FROM_LOCAL && p->source != FROM_TOR))
        return false;
    if (p->l3_type == TYPE_ARP)
        return arp_input(dp, p, false);
    switch (protocol_of(p)) {
    case P_DHCP:
    case P_DHCP6:
        if (floods_dhcp(dp, p))
            return false;
        break;
    case P_RS:
        break;
    case P_IGMP:
        if (p->source != FROM_TOR)
            return false;
        break;
    case P_NA:
        trap_copy(dp, p, p->vrf, TRAP_L3_PROTOCOLS, 0, 0);
        return false;
    case P_NS:
        return nd_input(dp, p, false);
    default:
        return false;
    }
    trap(dp, p, p->vrf, TRAP_L3_PROTOCOLS, 0, 0);
    return true;
}

static void take_entry(struct packet *p, const struct bridge_entry *entry)
{
    p->label = entry->flags & BRF_LABEL ? entry->label : LABEL_NONE;
    p->control_word = (entry->flags & BRF_CONTROL_WORD) != 0;
    p->is_l2 = 1;
}

struct nexthop *broadcast_tree(struct datapath *dp, uint32_t vrf)
{
    struct bridge_entry entry;
    int64_t index = bridge_find(dp, vrf, broadcast);
    if (index < 0)
        return NULL;
    bridge_read(dp, (uint32_t)index, &entry);
    return dp_nexthop(dp, entry.nh);
}

void flood(struct datapath *dp, struct packet *p)
{
    struct bridge_entry entry;
    const uint8_t *dst = p->buf + p->eth;
    int64_t index = -1;
    /* With IGMP on, groups have entries of their own. */
    if (p->is_mcast && (p->in->flags & VIFF_IGMP))
        index = bridge_find(dp, p->vrf, dst);
    if (index < 0)
        index = bridge_find(dp, p->vrf, broadcast);
    if (index < 0) {
        dp_drop(dp, p, DROP_L2_NO_ROUTE);
        return;
    }
    bridge_read(dp, (uint32_t)index, &entry);
    take_entry(p, &entry);
    enter_nexthop(dp, p, dp_nexthop(dp, entry.nh));
}

/* IP for the router itself; anything else has no business here. */
void to_router(struct datapath *dp, struct packet *p)
{
    dp_count_vrf(dp, p->vrf, VS_L2_RECEIVES);
    if (protocol_of(p) == P_NS && nd_input(dp, p, true))
        return;
    if (protocol_of(p) == P_NA)
        trap(dp, p, p->vrf, TRAP_L3_PROTOCOLS, 0, 0);
    else if (p->l3_type == TYPE_IP4 || p->l3_type == TYPE_IP6)
        route_input(dp, p);
    else
        dp_drop(dp, p, p->l3_type == TYPE_ARP ? DROP_INVALID_ARP : DROP_INVALID_PROTOCOL);
}

static void forward_unicast(struct datapath *dp, struct packet *p)
{
    struct bridge_entry entry = {0};
    int64_t index = bridge_find(dp, p->vrf, p->buf + p->eth);
    if (index >= 0)
        bridge_read(dp, (uint32_t)index, &entry);
    /* A MAC that the agent has not confirmed has no nexthop yet. */
    bool known = index >= 0 && !((entry.flags & BRF_NEW) && entry.nh == 0);
    struct nexthop *nh = known ? dp_nexthop(dp, entry.nh) : NULL;
    bool to_me = nh && nh->type == NH_L2_RECEIVE;
    if (p->vlan == 0xffff && p->l3_type == TYPE_ARP && arp_input(dp, p, to_me))
        return;
    if (p->vlan == 0xffff && !to_me && protocol_of(p) == P_NS && nd_input(dp, p, false))
        return;
    if (!known) {
        if (!p->uc_flood && !(p->in->flags & VIFF_UC_FLOOD)) {
            dp_drop(dp, p, DROP_L2_NO_ROUTE);
            return;
        }
        dp_count_vrf(dp, p->vrf, VS_UUC_FLOODS);
        flood(dp, p);
        return;
    }
    take_entry(p, &entry);
    if (!to_me && from_guest(p))
        adjust_mss(dp, p, true);
    enter_nexthop(dp, p, nh);
}

void bridge_input(struct datapath *dp, struct packet *p)
{
    if (p->in->flags & VIFF_MAC_LEARN)
        learn_mac(dp, p);
    if (wanted_by_agent(p)) {
        trap(dp, p, p->vrf, TRAP_L3_PROTOCOLS, 0, 0);
        return;
    }
    if (p->is_mcast)
        flood(dp, p);
    else
        forward_unicast(dp, p);
}

/* Addresses that guests show: traps for the agent, entries that wait for its word. */
#include "dp.h"

/* A source MAC without an entry, or at another place than its entry says. */
void learn_mac(struct datapath *dp, struct packet *p)
{
    const uint8_t *source = p->buf + p->eth + 6;
    struct bridge_entry entry;
    if (mac_is_group(source) || mac_is_zero(source) || p->vrf >= dp->max_vrfs)
        return;
    int64_t index = bridge_find(dp, p->vrf, source);
    if (index < 0) {
        index = bridge_learn(dp, p->vrf, source);
        if (index >= 0) {
            bridge_count(dp, (uint32_t)index);
            trap_copy(dp, p, p->vrf, TRAP_MAC_LEARN, (uint32_t)index, 0);
        }
        return;
    }
    bridge_count(dp, (uint32_t)index);
    bridge_read(dp, (uint32_t)index, &entry);
    const struct nexthop *nh = dp_nexthop(dp, entry.nh);
    bool here = p->outer_src == 0;
    bool placed = nh && !(entry.flags & BRF_NEW) && (nh->type == NH_ENCAP || nh->type == NH_TUNNEL);
    bool same = placed && (here ? nh->type == NH_ENCAP && nh->oif == (int32_t)p->in->idx
                                : nh->type == NH_TUNNEL && nh->tun_dip == p->outer_src);
    if (!placed || same || (entry.flags & BRF_MOVED))
        return;
    bridge_set_flags(dp, (uint32_t)index, entry.flags | BRF_MOVED);
    trap_copy(dp, p, p->vrf, TRAP_MAC_MOVE, (uint32_t)index, 0);
}

/* Does the agent know already that this MAC has this address? */
static bool is_learnt(const struct route *route, unsigned width, const uint8_t *mac)
{
    return route && route->stored == width * 8 && (route->flags & RTF_LEARNT)
        && mac_equal(route->mac, mac);
}

/* The sender's address in an ARP packet, or in a neighbour message or other IP. */
void learn_mac_ip(struct datapath *dp, struct packet *p)
{
    static const uint8_t unspecified[16];
    const uint8_t *mac = p->buf + p->eth + 6, *address;
    const struct route *route;
    if (p->vlan != 0xffff || p->vrf >= dp->max_vrfs)
        return;
    if (p->l3_type == TYPE_ARP && has_bytes(p, p->l3, ARP_LEN)) {
        address = p->buf + p->l3 + 14;
        route = find_route4(dp, p->vrf, address);
        if (memcmp(address, unspecified, 4) == 0 || is_learnt(route, 4, mac))
            return;
    } else if (p->l3_type == TYPE_IP6 && has_bytes(p, p->l3, IP6_LEN + 4)
               && p->buf[p->l3 + 6] == PROTO_ICMP6
               && (p->buf[p->l3 + IP6_LEN] == ND_NS || p->buf[p->l3 + IP6_LEN] == ND_NA)) {
        address = p->buf + p->l3 + 8;
        route = find_route6(dp, p->vrf, address);
        if (memcmp(address, unspecified, 16) == 0 || is_learnt(route, 16, mac))
            return;
    } else {
        return;
    }
    trap_copy(dp, p, p->vrf, TRAP_MAC_IP, 0, 0);
}

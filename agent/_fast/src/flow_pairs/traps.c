/* Flow traps out of pkt0 frames (facts pkt0-services.md 2 to 4 and 12, kernel-datapath.md). */
#include <string.h>

#include "packet/packet.h"
#include "places.h"
#include "table.h"

enum { COMMAND_AT = 18, IS_IPV6 = 6 };

static enum label_kind label_kind_of(void *world, uint32_t label)
{
    struct landing at;
    if (!world_landing(world, TUNNEL_MPLS_UDP, label, &at))
        return LABEL_UNKNOWN;
    if (!at.is_l2)
        return LABEL_L3;
    return at.control_word ? LABEL_L2_CONTROL_WORD : LABEL_L2;
}

/* A packet out of a tunnel to this host; a VM may send what only looks like one. The datapath
 * names the port that the label leads to, or its nexthop: one of them must be right. */
static bool is_plausible(const struct pairs *pairs, const struct packet *p)
{
    struct landing at;
    struct place place;
    if (!place_of_vif(pairs->world, p->ifindex, &place) || place.kind == VIF_OF_FABRIC)
        return true;
    return world_landing(pairs->world, p->tunnel, p->tunnel_label, &at)
        && (at.vif == p->ifindex || at.nexthop == p->param[1]);
}

static int parse(struct pairs *pairs, struct packet *p, const uint8_t *frame, size_t length)
{
    struct port port = {.flags = PORT_VMI | PORT_TUNNEL, .label = label_kind_of,
                        .labels = pairs->world};
    port.router_id = place_router_id(pairs->world);
    packet_open(p, frame, length);
    int verdict = packet_parse(p, frame, &port);
    if (!verdict && (!p->tunnel || is_plausible(pairs, p)))
        return verdict;
    port.flags = PORT_VMI;
    packet_open(p, frame, length);
    return packet_parse(p, frame, &port);
}

static void fill(const struct pairs *pairs, const struct packet *p, struct flow_packet *packet)
{
    struct landing at;
    memset(packet, 0, sizeof *packet);
    packet->vif = p->ifindex;
    packet->vrf = p->vrf;
    packet->index = p->param[0];
    packet->key_nexthop = p->param[1];
    packet->gen_id = p->param_5;
    packet->family = p->family == IS_IPV6 ? FLOW_INET6 : FLOW_INET;
    packet->proto = p->proto;
    packet->tcp_ack = p->tcp_ack;
    packet->sport[0] = (uint8_t)(p->sport >> 8);
    packet->sport[1] = (uint8_t)p->sport;
    packet->dport[0] = (uint8_t)(p->dport >> 8);
    packet->dport[1] = (uint8_t)p->dport;
    memcpy(packet->src, p->src, sizeof packet->src);
    memcpy(packet->dst, p->dst, sizeof packet->dst);
    memcpy(packet->smac, p->src_mac, 6);
    memcpy(packet->dmac, p->dst_mac, 6);
    packet->tunnel = p->tunnel;
    packet->label = p->tunnel_label;
    packet->tunnel_source = p->tunnel_src;
    if (p->tunnel && world_landing(pairs->world, p->tunnel, p->tunnel_label, &at))
        packet->is_l2 = at.is_l2;
}

static void count_verdict(struct pairs *pairs, int verdict)
{
    switch (verdict & 0xff) {
    case PKT_TRUNCATED:
        pairs_count(pairs, COUNT_TRUNCATED);
        return;
    case PKT_FLOW_TRAP_NON_IP:
        pairs_count(pairs, COUNT_NOT_IP);
        return;
    default:
        pairs_count(pairs, COUNT_MALFORMED);
    }
}

/* A miss tells the last counters of who had the entry before. */
static void tell_predecessor(struct pairs *pairs, const struct packet *p)
{
    uint64_t overflow = p->param[4];
    if (p->cmd != TRAP_FLOW_MISS)
        return;
    stats_of_predecessor(pairs, p->param[0], p->param_5, (overflow & 0xffff) << 32 | p->param[2],
                         (overflow >> 16 & 0xff) << 32 | p->param[3]);
}

/* Its entry is let go at once, so that a flood does not use up what may be held; the audit
 * finds those for which not even that is possible. */
static void refuse(struct pairs *pairs, const struct flow_packet *packet)
{
    uint8_t key[FLOW_KEY] = {packet->family, packet->proto};
    size_t length = packet->family == FLOW_INET6 ? 16 : 4;
    memcpy(key + 4, packet->sport, 2);
    memcpy(key + 6, packet->dport, 2);
    memcpy(key + 8, &packet->key_nexthop, 4);
    memcpy(key + 12, packet->src, length);
    memcpy(key + 12 + length, packet->dst, length);
    pairs_count(pairs, COUNT_QUEUE_FULL);
    strays_put(pairs, key, packet->index, packet->gen_id);
}

enum trap_use pairs_trap(struct pairs *pairs, const uint8_t *frame, size_t length)
{
    struct packet parsed;
    struct flow_packet packet;
    if (length <= PKT0_ENCAP)
        return TRAP_NOT_FLOW;
    unsigned command = (unsigned)frame[COMMAND_AT] << 8 | frame[COMMAND_AT + 1];
    if (command != TRAP_FLOW_MISS && command != TRAP_FLOW_ACTION_HOLD)
        return TRAP_NOT_FLOW;
    pairs_count(pairs, COUNT_TRAPS);
    int verdict = parse(pairs, &parsed, frame, length);
    if (verdict) {
        count_verdict(pairs, verdict);
        return TRAP_TAKEN;
    }
    if (parsed.param[0] >= pairs->with.entries) {
        pairs_count(pairs, COUNT_BAD_INDEX);
        return TRAP_TAKEN;
    }
    fill(pairs, &parsed, &packet);
    if (parsed.later_fragment && !parsed.icmp_error)
        glance_ports(pairs, &packet); /* the datapath knows them from the first fragment */
    tell_predecessor(pairs, &parsed);
    if (!queue_put(pairs, &packet))
        refuse(pairs, &packet);
    return TRAP_TAKEN;
}

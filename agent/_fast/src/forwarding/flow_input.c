/* The lookup: which packets have flows, which entry is theirs, what a packet without one makes
 * (facts datapath-behaviour.md 4 and 6). */
#include "fat_flow.h"
#include "flow_path.h"

static bool is_group(const struct packet *p)
{
    const uint8_t *ip = p->buf + p->l3;
    if (p->l3_type == TYPE_IP6)
        return ip[24] == 0xff;
    return ip[16] >> 4 == 0xe || get32(ip + 16) == UINT32_MAX;
}

static bool is_neighbour_message(const struct packet *p)
{
    if (p->proto != PROTO_ICMP6 || p->is_fragment || !has_bytes(p, p->l4, 1))
        return false;
    return p->buf[p->l4] == ND_NS || p->buf[p->l4] == ND_NA;
}

/* Does it end here, as packets of our own tunnels do, and errors about them? What a tunnel
 * carries has flows. */
static bool is_own_tunnel(struct datapath *dp, const struct packet *p, const struct nexthop *nh)
{
    if (!is_underlay(p) || p->l3_type != TYPE_IP4 || !(is_tunnelled(p) || is_tunnel_error(p)))
        return false;
    if (!nh) {
        const struct route *route = find_route4(dp, p->vrf, p->buf + p->l3 + 16);
        nh = route ? dp_nexthop(dp, route->nh) : NULL;
    }
    return nh && nh->type == NH_RECEIVE;
}

static bool has_no_flow(struct datapath *dp, const struct packet *p, const struct nexthop *nh)
{
    return p->is_mcast || is_group(p) || is_neighbour_message(p) || is_own_tunnel(dp, p, nh);
}

static const struct vif *vif_of(struct datapath *dp, const struct nexthop *nh)
{
    bool leads_to_vif = nh && (nh->type == NH_ENCAP || nh->type == NH_RECEIVE) && nh->oif >= 0;
    return leads_to_vif ? dp_vif(dp, (uint32_t)nh->oif) : NULL;
}

static bool is_from_fabric(const struct packet *p, const struct nexthop *nh)
{
    return p->in->type == VIF_PHYSICAL && nh;
}

/* Whose flow it is: the guest's that it comes from, or the one that its label leads to. */
static uint32_t key_nexthop(struct datapath *dp, const struct packet *p, const struct nexthop *nh)
{
    if (is_from_fabric(p, nh)) {
        const struct vif *vif = vif_of(dp, nh);
        return vif ? vif->nh : nh->id;
    }
    return p->tag_nh ? p->tag_nh - 1 : p->in->nh;
}

static void count(uint8_t *entry, uint32_t length)
{
    uint32_t bytes = shm_load32(entry + FE_BYTES), packets = shm_load32(entry + FE_PACKETS);
    store32(entry + FE_BYTES, bytes + length);
    if (bytes + length < bytes)
        store16(entry + FE_BYTES_OFLOW, (uint16_t)(shm_load16(entry + FE_BYTES_OFLOW) + 1));
    store32(entry + FE_PACKETS, packets + 1);
    if (packets + 1 == 0)
        entry[FE_PACKETS_OFLOW]++;
}

static bool refuses_new_flows(const struct vif *vif)
{
    return vif && (vif->flags & VIFF_DROP_NEW_FLOWS);
}

/* A new entry's index, or a negative drop reason. */
static int64_t make_flow(struct datapath *dp, const struct packet *p, const struct nexthop *nh,
                         const struct flow_key *key, struct flow_predecessor *before)
{
    if (!dp->agent)
        return -DROP_TRAP_NO_IF;
    if (refuses_new_flows(p->in) || (is_from_fabric(p, nh) && refuses_new_flows(vif_of(dp, nh))))
        return -DROP_NEW_FLOWS;
    return flow_hold(dp, key->bytes, key->length, p->vrf, before);
}

static bool forwards_without_flow(const struct nexthop *nh)
{
    return nh && (nh->flags & (NHF_RELAXED | NHF_FLOW_LOOKUP));
}

static bool enter_flow(struct datapath *dp, struct packet *p, const struct nexthop *nh,
                       const struct flow_key *key)
{
    struct flow_predecessor before = {0};
    int64_t index = flow_find(dp, key->bytes, key->length);
    if (index < 0) {
        if (forwards_without_flow(nh))
            return true;
        index = make_flow(dp, p, nh, key, &before);
    }
    if (index < 0) {
        dp_drop(dp, p, (int)-index);
        return false;
    }
    uint8_t *entry = hash_entry(&dp->flows, (uint32_t)index);
    count(entry, p->off + p->len - (p->eth ? p->eth : p->l3));
    flow_note_source(p, entry);
    if (shm_load16(entry + FE_ACTION) == ACTION_HOLD) {
        hold_packet(dp, p, (uint32_t)index, &before);
        return false;
    }
    return flow_act(dp, p, (uint32_t)index);
}

bool flow_input(struct datapath *dp, struct packet *p, const struct nexthop *nh)
{
    struct flow_key key;
    if (p->policy_done || (p->l3_type != TYPE_IP4 && p->l3_type != TYPE_IP6))
        return true;
    int reason = p->l4 ? -1 : packet_parse_ip(p);
    if (reason < 0 && has_no_flow(dp, p, nh))
        return true;
    if (reason < 0)
        reason = flow_key_of(dp, p, key_nexthop(dp, p, nh), &key);
    if (reason == KEY_TAKEN)
        return false;
    if (reason >= 0) {
        dp_drop(dp, p, reason);
        return false;
    }
    bool inward = is_from_fabric(p, nh);
    const struct vif *vif = inward ? vif_of(dp, nh) : p->in;
    if (vif)
        fat_flow_apply(vif, !inward, key.bytes);
    p->policy_done = 1;
    return enter_flow(dp, p, nh, &key);
}

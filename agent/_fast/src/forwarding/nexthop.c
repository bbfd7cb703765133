/* What each kind of nexthop does to a packet (datapath-behaviour.md 3). */
#include "flow_path.h"

enum { BFD_STATE = 0xc0 };

static bool is_bfd(const struct packet *p)
{
    return p->proto == PROTO_UDP && p->l4 && !p->is_fragment && has_bytes(p, p->l4, UDP_LEN + 2)
        && get16(p->buf + p->l4 + 2) == PORT_BFD;
}

static void trap_at_gateway(struct datapath *dp, struct packet *p, const struct vif *vif)
{
    if (p->is_diag) {
        dp_count_vrf(dp, p->vrf, VS_DIAGS);
        trap(dp, p, p->vrf, TRAP_DIAG, vif->idx, 0);
    } else if (is_bfd(p)) {
        trap(dp, p, p->vrf, TRAP_BFD, p->buf[p->l4 + UDP_LEN + 1] & BFD_STATE, 0);
    } else {
        trap(dp, p, p->vrf, TRAP_NEXTHOP, 0, 0);
    }
}

/* Ethernet header of an IP multicast group (RFC 1112, RFC 2464). */
static void group_mac(const struct packet *p, uint8_t *mac)
{
    const uint8_t *ip = p->buf + p->l3;
    if (p->l3_type == TYPE_IP6) {
        mac[0] = mac[1] = 0x33;
        memcpy(mac + 2, ip + 24 + 12, 4);
        return;
    }
    mac[0] = 0x01;
    mac[1] = 0;
    mac[2] = 0x5e;
    mac[3] = ip[17] & 0x7f;
    memcpy(mac + 4, ip + 18, 2);
}

static bool push_rewrite(struct packet *p, const struct nexthop *nh, const struct vif *vif)
{
    packet_move_to(p, p->l3);
    uint32_t length = nh->encap_len ? nh->encap_len : (uint32_t)ETH_LEN;
    uint8_t *eth = packet_push(p, length);
    if (!eth)
        return false;
    if (nh->encap_len) {
        memcpy(eth, nh->encap, length);
    } else {
        group_mac(p, eth);
        memcpy(eth + 6, vif->mac, 6);
    }
    put16(eth + length - 2, p->l3_type);
    return true;
}

static void encap_l3(struct datapath *dp, struct packet *p, struct nexthop *nh, struct vif *vif)
{
    dp_count_vrf(dp, p->vrf, VS_ENCAPS);
    if (vif->type == VIF_AGENT || p->is_diag) {
        trap_at_gateway(dp, p, vif);
        return;
    }
    if (p->in->type == VIF_HOST && vif->type == VIF_PHYSICAL && p->eth) {
        packet_move_to(p, p->frame);
        vif_send(dp, vif, p);
        return;
    }
    bool l3_group = nh->flags & NHF_MCAST;
    if ((nh->encap_len < ETH_LEN && !l3_group) || !push_rewrite(p, nh, vif)) {
        dp_drop(dp, p, DROP_REWRITE_FAIL);
        return;
    }
    vif_send(dp, vif, p);
}

static void encap(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    struct vif *vif = nh->oif >= 0 ? dp_vif(dp, (uint32_t)nh->oif) : NULL;
    if (!vif) {
        dp_drop(dp, p, DROP_INVALID_IF);
        return;
    }
    if (nh->family != AF_BRIDGED) {
        encap_l3(dp, p, nh, vif);
        return;
    }
    dp_count_vrf(dp, p->vrf, VS_L2_ENCAPS);
    if (!p->eth) {
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return;
    }
    packet_move_to(p, p->eth);
    if (vif->type == VIF_AGENT)
        trap_at_gateway(dp, p, vif);
    else
        vif_send(dp, vif, p);
}

static void receive_here(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    dp_count_vrf(dp, p->vrf, VS_RECEIVES);
    if (is_underlay(p) && p->l3_type == TYPE_IP4)
        decapsulate(dp, p, nh);
    else
        deliver_to_host(dp, p, nh->oif >= 0 ? dp_vif(dp, (uint32_t)nh->oif) : NULL);
}

/* The agent resolves the neighbour; the host's frames go their way meanwhile. */
static void resolve(struct datapath *dp, struct packet *p)
{
    dp_count_vrf(dp, p->vrf, VS_RESOLVES);
    if (p->in->type == VIF_HOST || is_underlay(p)) {
        trap_copy(dp, p, p->vrf, TRAP_RESOLVE, 0, 0);
        cross_connect(dp, p);
    } else {
        trap(dp, p, p->vrf, TRAP_RESOLVE, 0, 0);
    }
}

static void translate(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    dp_count_vrf(dp, p->vrf, VS_VRF_TRANSLATES);
    p->vrf = (uint16_t)nh->vrf;
    p->uc_flood |= (nh->flags & NHF_UC_FLOOD) != 0;
    if (nh->family != AF_BRIDGED || (nh->flags & NHF_ROUTE_LOOKUP)) {
        route_input(dp, p);
        return;
    }
    if (!p->eth) {
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return;
    }
    if (p->source == FROM_NOWHERE)
        find_source(dp, p, broadcast_tree(dp, p->vrf));
    bridge_input(dp, p);
}

static void composite(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    if (nh->flags & (NHF_ECMP | NHF_LU_ECMP))
        choose_ecmp(dp, p, nh);
    else
        replicate(dp, p, nh);
}

static void pass_nexthop(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    switch (nh->type) {
    case NH_RECEIVE: receive_here(dp, p, nh); break;
    case NH_ENCAP: encap(dp, p, nh); break;
    case NH_TUNNEL: tunnel_send(dp, p, nh); break;
    case NH_RESOLVE: resolve(dp, p); break;
    case NH_COMPOSITE: composite(dp, p, nh); break;
    case NH_VRF_TRANSLATE: translate(dp, p, nh); break;
    case NH_L2_RECEIVE: to_router(dp, p); break;
    case NH_DISCARD:
        dp_count_vrf(dp, p->vrf, VS_DISCARDS);
        dp_drop(dp, p, DROP_DISCARD);
        break;
    default: dp_drop(dp, p, DROP_INVALID_NH);
    }
}

void leave_policy(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    if (!nh || !(nh->flags & NHF_VALID))
        dp_drop(dp, p, DROP_INVALID_NH);
    else if (p->is_rerouted && nh->vrf != p->vrf)
        route_input(dp, p);
    else
        pass_nexthop(dp, p, nh);
}

void enter_nexthop(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    if (p->ttl == 0) {
        trap(dp, p, p->vrf, TRAP_ZERO_TTL, 0, 0);
        return;
    }
    if (!nh || !(nh->flags & NHF_VALID)) {
        dp_drop(dp, p, DROP_INVALID_NH);
        return;
    }
    if (++p->depth > DEPTH_LIMIT) {
        dp_drop(dp, p, DROP_PKT_LOOP);
        return;
    }
    if (!(nh->flags & (NHF_POLICY | NHF_RELAXED | NHF_FLOW_LOOKUP)) || p->policy_done) {
        pass_nexthop(dp, p, nh);
        return;
    }
    p->stage = AT_NEXTHOP;
    p->stage_nh = nh->id;
    if (flow_input(dp, p, nh))
        leave_policy(dp, p, nh);
}

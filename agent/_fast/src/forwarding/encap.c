/* Tunnels out: MPLS over UDP and GRE, VXLAN, mirror UDP; sizes and fragments. */
#include "flow_path.h"

enum { OUTER_TTL = 64, FIRST_PORT = 49152, PORTS = 16383, IP4_DF = 0x4000, LABEL_BOTTOM = 0x100 };

static bool is_vxlan(const struct nexthop *nh)
{
    return (nh->flags & NHF_VXLAN) && !(nh->flags & (NHF_MPLS_UDP | NHF_GRE));
}

static bool adds_control_word(const struct packet *p, const struct nexthop *nh)
{
    return p->is_l2 && !is_vxlan(nh) && !(nh->flags & NHF_UDP)
        && (p->control_word || (nh->flags & NHF_CONTROL_WORD));
}

/* Bytes from the outer IP header to the frame or IP packet that is carried. */
static uint32_t overhead_of(const struct packet *p, const struct nexthop *nh)
{
    if (nh->flags & NHF_UDP)
        return IP4_LEN + UDP_LEN;
    if (is_vxlan(nh))
        return IP4_LEN + UDP_LEN + VXLAN_LEN + (p->is_l2 ? 0 : ETH_LEN);
    uint32_t word = adds_control_word(p, nh) ? CONTROL_WORD_LEN : 0;
    return IP4_LEN + LABEL_LEN + word + (nh->flags & NHF_MPLS_UDP ? UDP_LEN : GRE_LEN);
}

static int counter_of(const struct nexthop *nh)
{
    return nh->flags & NHF_UDP ? VS_UDP_TUNNELS : nh->flags & NHF_MPLS_UDP ? VS_UDP_MPLS_TUNNELS
         : nh->flags & NHF_GRE ? VS_GRE_MPLS_TUNNELS : VS_VXLAN_TUNNELS;
}

static void put_ip4(uint8_t *ip, uint32_t length, uint16_t id, uint8_t proto, uint32_t sip,
                    uint32_t dip)
{
    memset(ip, 0, IP4_LEN);
    ip[0] = 0x45;
    put16(ip + 2, (uint16_t)length);
    put16(ip + 4, id);
    ip[8] = OUTER_TTL;
    ip[9] = proto;
    memcpy(ip + 12, &sip, 4);
    memcpy(ip + 16, &dip, 4);
    put16(ip + 10, checksum_of(ip, IP4_LEN, 0));
}

static void put_udp(uint8_t *udp, uint16_t sport, uint16_t dport, uint32_t length)
{
    put16(udp, sport);
    put16(udp + 2, dport);
    put16(udp + 4, (uint16_t)length);
    put16(udp + 6, 0);
}

bool push_tree_header(struct packet *p, const struct nexthop *nh)
{
    packet_move_to(p, p->eth);
    uint32_t frame = p->len, headers = CONTROL_WORD_LEN + IP4_LEN + UDP_LEN + VXLAN_LEN;
    uint8_t *at = packet_push(p, headers);
    if (!at)
        return false;
    uint32_t vni = p->label == LABEL_NONE ? 0 : p->label;
    put32(at, 0);
    at += CONTROL_WORD_LEN;
    put_ip4(at, frame + headers - CONTROL_WORD_LEN, 0, PROTO_UDP, nh->tun_sip, nh->tun_dip);
    at += IP4_LEN;
    put_udp(at, FIRST_PORT, PORT_VXLAN, frame + UDP_LEN + VXLAN_LEN);
    put32(at + UDP_LEN, 0x08000000);
    put32(at + UDP_LEN + 4, vni << 8);
    /* From here on the whole is the frame that the tunnel carries. */
    p->eth = p->off;
    p->control_word = 0;
    return true;
}

/* Header of the tunnel protocol between outer IP (and UDP) and payload. */
static bool push_shim(struct packet *p, const struct nexthop *nh)
{
    uint8_t *at;
    if (nh->flags & NHF_UDP)
        return true;
    if (is_vxlan(nh)) {
        if (!(at = packet_push(p, VXLAN_LEN)))
            return false;
        put32(at, 0x08000000);
        put32(at + 4, p->label << 8);
        return true;
    }
    if (adds_control_word(p, nh)) {
        if (!(at = packet_push(p, CONTROL_WORD_LEN)))
            return false;
        put32(at, 0);
    }
    if (!(at = packet_push(p, LABEL_LEN)))
        return false;
    put32(at, p->label << 12 | LABEL_BOTTOM | p->ttl);
    return true;
}

static uint16_t source_port(struct datapath *dp, struct packet *p, const struct nexthop *nh)
{
    if (nh->flags & NHF_UDP)
        return __builtin_bswap16(nh->tun_sport);
    uint8_t *entry = flow_of(dp, p);
    uint16_t kept = entry ? shm_load16(entry + FE_UDP_PORT) : 0;
    if (kept)
        return kept;
    uint64_t hash = packet_flow_hash(p, dp->seed, 0);
    uint16_t port = (uint16_t)(FIRST_PORT + (hash * PORTS >> 32));
    if (entry)
        store16(entry + FE_UDP_PORT, port);
    return port;
}

static uint16_t outer_id(struct datapath *dp, const struct packet *p, bool gre)
{
    if (gre && !p->is_l2 && p->l3_type == TYPE_IP4)
        return get16(p->buf + p->l3 + 4);
    return ++dp->ip_id;
}

static uint16_t destination_port(const struct nexthop *nh)
{
    return nh->flags & NHF_UDP ? __builtin_bswap16(nh->tun_dport)
         : is_vxlan(nh) ? PORT_VXLAN : PORT_MPLS;
}

static bool push_tunnel(struct datapath *dp, struct packet *p, const struct nexthop *nh)
{
    bool gre = !is_vxlan(nh) && !(nh->flags & (NHF_UDP | NHF_MPLS_UDP));
    uint16_t sport = gre ? 0 : source_port(dp, p, nh), id = outer_id(dp, p, gre);
    uint8_t *at;
    if (!push_shim(p, nh) || !(at = packet_push(p, gre ? GRE_LEN : UDP_LEN)))
        return false;
    if (gre)
        put32(at, TYPE_MPLS);
    else
        put_udp(at, sport, destination_port(nh), p->len);
    if (!(at = packet_push(p, IP4_LEN)))
        return false;
    put_ip4(at, p->len, id, gre ? PROTO_GRE : PROTO_UDP, nh->tun_sip, nh->tun_dip);
    if (!(at = packet_push(p, nh->encap_len)))
        return false;
    memcpy(at, nh->encap, nh->encap_len);
    put16(at + nh->encap_len - 2, TYPE_IP4);
    return true;
}

/* An Ethernet header before an IP packet that VXLAN carries between routers. */
static bool push_router_frame(struct packet *p, const struct nexthop *nh)
{
    static const uint8_t router_mac[6] = {0, 0, 0x5e, 0, 1, 0};
    uint8_t *eth = mac_is_zero(nh->rw_dst_mac) ? NULL : packet_push(p, ETH_LEN);
    if (!eth)
        return false;
    memcpy(eth, nh->rw_dst_mac, 6);
    memcpy(eth + 6, router_mac, 6);
    put16(eth + 12, p->l3_type);
    return true;
}

static void send_piece(struct datapath *dp, struct packet *p, void *context)
{
    struct nexthop *nh = context;
    struct vif *vif = dp_vif(dp, (uint32_t)nh->oif);
    bool routed_frame = !p->is_l2 && is_vxlan(nh);
    if (nh->encap_len < ETH_LEN || (routed_frame && !push_router_frame(p, nh))) {
        dp_drop(dp, p, DROP_REWRITE_FAIL);
        return;
    }
    if (!push_tunnel(dp, p, nh)) {
        dp_drop(dp, p, DROP_PUSH);
        return;
    }
    dp_count_vrf(dp, p->vrf, counter_of(nh));
    vif_send(dp, vif, p);
}

/* What does not fit the underlay: the agent tells the sender, or IPv4 is cut. */
static void send_oversize(struct datapath *dp, struct packet *p, struct nexthop *nh,
                          uint32_t room)
{
    bool ip = p->l4 && (p->l3_type == TYPE_IP4 || p->l3_type == TYPE_IP6);
    uint32_t before = p->l3 - p->off;
    if (!ip || room <= before) {
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return;
    }
    bool whole = p->l3_type == TYPE_IP6 || (get16(p->buf + p->l3 + 6) & IP4_DF);
    if (whole && p->is_mcast) {
        dp_drop(dp, p, DROP_MCAST_DF_BIT);
    } else if (whole) {
        trap(dp, p, p->vrf, TRAP_HANDLE_DF, room - before, p->flow - 1);
    } else {
        packet_trim(p);
        fragment_ip4(dp, p, room - before, send_piece, nh);
    }
}

static void send_segment(struct datapath *dp, struct packet *p, void *context)
{
    tunnel_send(dp, p, context);
}

/* A drop reason, or -1: the packet may go into this tunnel. */
static int refuse(struct datapath *dp, const struct packet *p, const struct nexthop *nh)
{
    if (nh->oif < 0 || !dp_vif(dp, (uint32_t)nh->oif))
        return DROP_INVALID_IF;
    if (p->outer_src && p->outer_src == nh->tun_dip)
        return DROP_PKT_LOOP;
    if (p->label >= LABEL_NONE && !(nh->flags & NHF_UDP))
        return is_vxlan(nh) ? DROP_INVALID_VNID : DROP_INVALID_LABEL;
    if (p->label >> 20 && !is_vxlan(nh) && !(nh->flags & NHF_UDP))
        return DROP_INVALID_LABEL;
    return p->is_l2 && !p->eth ? DROP_INVALID_PACKET : -1;
}

void tunnel_send(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    int reason = refuse(dp, p, nh);
    if (reason >= 0) {
        dp_drop(dp, p, reason);
        return;
    }
    packet_move_to(p, p->is_l2 ? p->eth : p->l3);
    if (segmentable(p)) {
        segment(dp, p, send_segment, nh);
        return;
    }
    checksum_complete(p);
    uint32_t mtu = vif_ip_mtu(dp_vif(dp, (uint32_t)nh->oif)), overhead = overhead_of(p, nh);
    if (p->len + overhead <= mtu)
        send_piece(dp, p, nh);
    else
        send_oversize(dp, p, nh, mtu > overhead ? mtu - overhead : 0);
}

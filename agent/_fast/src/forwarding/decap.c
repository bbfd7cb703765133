/* Frames that tunnels bring: MPLS over UDP and GRE, VXLAN, and errors about ours. */
#include "flow_path.h"

enum { VXLAN_VNI_VALID = 0x08, VXLAN_ROUTER_ALERT = 0x01, GRE_OPTIONS = 0xb000 };
enum { TREE_LABEL_MIN = 1024, ICMP_HEADER_LEN = 8 };

static bool is_mpls_port(uint16_t port) { return port == PORT_MPLS || port == PORT_MPLS_OLD; }

/* The VRF that the inner packet is looked up in. */
static void set_inner_vrf(struct packet *p, const struct nexthop *nh)
{
    if (nh->vrf >= 0)
        p->vrf = (uint16_t)nh->vrf;
}

static bool enter_frame(struct datapath *dp, struct packet *p, const struct nexthop *nh)
{
    if (packet_parse_ethernet(p)) {
        if ((p->l3_type == TYPE_IP4 || p->l3_type == TYPE_IP6) && packet_parse_ip(p) >= 0)
            p->l4 = 0;
        if (nh->flags & NHF_MAC_LEARN)
            learn_mac(dp, p);
        return true;
    }
    dp_drop(dp, p, DROP_PULL);
    return false;
}

static bool enter_ip(struct datapath *dp, struct packet *p)
{
    if (p->len == 0) {
        dp_drop(dp, p, DROP_PULL);
        return false;
    }
    p->eth = 0;
    p->is_l2 = p->is_mcast = 0;
    p->vlan = 0xffff;
    p->l3 = p->off;
    p->l3_type = data_of(p)[0] >> 4 == 6 ? TYPE_IP6 : TYPE_IP4;
    int reason = packet_parse_ip(p);
    if (reason < 0) {
        packet_trim(p);
        return true;
    }
    dp_drop(dp, p, reason);
    return false;
}

/* Zero word, IPv4, UDP and VXLAN before a frame of the fabric's multicast tree. */
static bool pull_tree_header(struct packet *p)
{
    enum { IP_AT = CONTROL_WORD_LEN, UDP_AT = IP_AT + IP4_LEN, VXLAN_AT = UDP_AT + UDP_LEN };
    const uint8_t *at = data_of(p);
    if (p->len < VXLAN_AT + VXLAN_LEN || get32(at) != 0 || at[IP_AT] != 0x45
        || at[IP_AT + 9] != PROTO_UDP || get16(at + UDP_AT + 2) != PORT_VXLAN)
        return false;
    p->label = get32(at + VXLAN_AT + 4) >> 8;
    return packet_pull(p, VXLAN_AT + VXLAN_LEN);
}

/* A composite that copies, and does not choose. */
static bool is_tree(const struct nexthop *nh)
{
    return nh->type == NH_COMPOSITE && !(nh->flags & (NHF_ECMP | NHF_LU_ECMP));
}

static bool carries_frames(const struct nexthop *nh)
{
    switch (nh->type) {
    case NH_COMPOSITE:
        return is_tree(nh) ? nh->family != AF_V4 : nh->family == AF_BRIDGED;
    case NH_L2_RECEIVE:
        return true;
    default:
        return nh->family == AF_BRIDGED;
    }
}

/* Behind the label: what the label's nexthop expects. */
static void labelled_input(struct datapath *dp, struct packet *p, uint32_t word)
{
    uint32_t label = word >> 12;
    struct nexthop *nh = label < dp->max_labels && dp->labels[label]
                       ? dp_nexthop(dp, dp->labels[label] - 1) : NULL;
    if (!nh) {
        dp_drop(dp, p, DROP_INVALID_LABEL);
        return;
    }
    /* A copy that goes on in another tunnel has one hop less: trees cannot turn for ever. */
    p->ttl = (uint8_t)((word & 0xff) - 1);
    set_inner_vrf(p, nh);
    if (!carries_frames(nh)) {
        if (enter_ip(dp, p))
            enter_nexthop(dp, p, nh);
        return;
    }
    p->source = FROM_NOWHERE;
    if (is_tree(nh) && label >= TREE_LABEL_MIN) {
        if (!pull_tree_header(p)) {
            dp_drop(dp, p, DROP_INVALID_PACKET);
            return;
        }
        p->source = FROM_FABRIC_TREE;
    } else {
        if (is_tree(nh))
            p->source = FROM_EVPN;
        if (p->len >= CONTROL_WORD_LEN && get32(data_of(p)) == 0)
            packet_pull(p, CONTROL_WORD_LEN);
    }
    if (enter_frame(dp, p, nh))
        enter_nexthop(dp, p, nh);
}

static void mpls_input(struct datapath *dp, struct packet *p)
{
    if (p->len < LABEL_LEN) {
        dp_drop(dp, p, DROP_PULL);
        return;
    }
    uint32_t word = get32(data_of(p));
    packet_pull(p, LABEL_LEN);
    if ((word & 0xff) <= 1)
        dp_drop(dp, p, DROP_TTL_EXCEEDED);
    else if (!(word & 0x100))
        dp_drop(dp, p, DROP_INVALID_LABEL);
    else
        labelled_input(dp, p, word);
}

static void vxlan_input(struct datapath *dp, struct packet *p)
{
    if (p->len < VXLAN_LEN) {
        dp_drop(dp, p, DROP_PULL);
        return;
    }
    const uint8_t *vxlan = data_of(p);
    uint32_t vni = get32(vxlan + 4) >> 8;
    if (vxlan[0] & VXLAN_ROUTER_ALERT) {
        p->eth = 0;
        trap(dp, p, p->vrf, TRAP_ROUTER_ALERT, 0, 0);
        return;
    }
    int64_t id = vxlan[0] & VXLAN_VNI_VALID ? vni_get(dp, vni) : -1;
    struct nexthop *nh = id >= 0 ? dp_nexthop(dp, (uint32_t)id) : NULL;
    if (!nh) {
        dp_drop(dp, p, DROP_INVALID_VNID);
        return;
    }
    packet_pull(p, VXLAN_LEN);
    set_inner_vrf(p, nh);
    p->source = FROM_NOWHERE;
    p->label = vni;
    if (enter_frame(dp, p, nh))
        enter_nexthop(dp, p, nh);
}

/* Length of a GRE header that carries MPLS, 0: not ours. */
static uint32_t gre_length(const struct packet *p)
{
    if (!has_bytes(p, p->l4, GRE_LEN))
        return 0;
    const uint8_t *gre = p->buf + p->l4;
    uint16_t flags = get16(gre);
    if ((flags & ~GRE_OPTIONS) || get16(gre + 2) != TYPE_MPLS)
        return 0;
    uint32_t length = GRE_LEN + 4u * (uint32_t)__builtin_popcount(flags & GRE_OPTIONS);
    return has_bytes(p, p->l4, length) ? length : 0;
}

bool is_tunnelled(const struct packet *p)
{
    if (p->l3_type != TYPE_IP4 || is_later_fragment(p))
        return false;
    if (p->proto == PROTO_GRE)
        return gre_length(p) != 0;
    if (p->proto != PROTO_UDP || !has_bytes(p, p->l4, UDP_LEN))
        return false;
    uint16_t port = get16(p->buf + p->l4 + 2);
    return is_mpls_port(port) || port == PORT_VXLAN;
}

static bool checksum_is_bad(struct packet *p)
{
    const uint8_t *udp = p->buf + p->l4, *ip = p->buf + p->l3;
    uint32_t length = get16(udp + 4);
    if (get16(udp + 6) == 0 || (p->vnet.flags & (VNET_NEEDS_CSUM | VNET_DATA_VALID)))
        return false;
    uint64_t pseudo = sum_bytes(ip + 12, 8, 0) + PROTO_UDP + length;
    return checksum_of(udp, length, pseudo) != 0;
}

/* Is this one of our tunnels' packets? Its inner part enters; else nothing happened. */
static bool tunnel_input(struct datapath *dp, struct packet *p)
{
    if (!is_tunnelled(p))
        return false;
    bool gre = p->proto == PROTO_GRE, udp = !gre;
    uint16_t port = udp ? get16(p->buf + p->l4 + 2) : 0;
    if (p->is_fragment) {
        dp_drop(dp, p, DROP_FRAGMENTS);
        return true;
    }
    uint32_t length = udp ? get16(p->buf + p->l4 + 4) : 0;
    if (udp && (length < UDP_LEN || length > p->l3_end - p->l4)) {
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return true;
    }
    if (udp && checksum_is_bad(p)) {
        dp_drop(dp, p, DROP_CKSUM_ERR);
        return true;
    }
    if (udp)
        p->l3_end = p->l4 + length;
    packet_trim(p);
    memcpy(&p->outer_src, p->buf + p->l3 + 12, 4);
    packet_move_to(p, p->l4 + (gre ? gre_length(p) : UDP_LEN));
    /* An offload request of the outer header ends here, one of the inner lives on. */
    if (p->vnet.csum_start < p->off)
        memset(&p->vnet, 0, sizeof p->vnet);
    if (port == PORT_VXLAN)
        vxlan_input(dp, p);
    else
        mpls_input(dp, p);
    return true;
}

/* An ICMP error that quotes a packet of our tunnels. */
bool is_tunnel_error(const struct packet *p)
{
    if (p->proto != PROTO_ICMP || p->is_fragment
        || !has_bytes(p, p->l4, ICMP_HEADER_LEN + IP4_LEN + UDP_LEN))
        return false;
    const uint8_t *icmp = p->buf + p->l4, *quoted = icmp + ICMP_HEADER_LEN;
    if ((icmp[0] != 3 && icmp[0] != 11 && icmp[0] != 12) || quoted[0] != 0x45
        || memcmp(quoted + 12, p->buf + p->l3 + 16, 4))
        return false;
    return quoted[9] == PROTO_GRE
        || (quoted[9] == PROTO_UDP && is_mpls_port(get16(quoted + IP4_LEN + 2)));
}

static void receive_piece(struct datapath *dp, struct packet *p, void *context)
{
    decapsulate(dp, p, context);
}

void decapsulate(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    uint16_t port = p->proto == PROTO_UDP && has_bytes(p, p->l4, UDP_LEN)
                  ? get16(p->buf + p->l4 + 2) : 0;
    if (segmentable(p) && (is_mpls_port(port) || port == PORT_VXLAN)) {
        segment(dp, p, receive_piece, nh);
        return;
    }
    if (tunnel_input(dp, p))
        return;
    if (is_tunnel_error(p))
        trap(dp, p, p->in->vrf, TRAP_ICMP_ERROR, 0, 0);
    else
        deliver_to_host(dp, p, nh->oif >= 0 ? dp_vif(dp, (uint32_t)nh->oif) : NULL);
}

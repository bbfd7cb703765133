#include "packet.h"

#include "bytes.h"

enum { ETH_ARP = 0x0806, ETH_IPV4 = 0x0800, ETH_IPV6 = 0x86dd, ETH_VLAN = 0x8100, ETH_QINQ = 0x88a8,
       ETH_PBB = 0x88e7, ETH_MPLS = 0x8847 };
enum { IP_ICMP = 1, IP_IGMP = 2, IP_TCP = 6, IP_UDP = 17, IP_FRAGMENT = 44, IP_GRE = 47,
       IP_ICMPV6 = 58, IP_SCTP = 132 };
enum { UDP_VXLAN = 4789, UDP_MPLS_OLD = 51234, UDP_MPLS = 6635 };
enum { INVALID_LABEL = 0xfffff };
enum { CAPTURE_MAX = 1 << 20 }; /* keeps offset arithmetic far from 32 bits */

struct parser {
    struct packet *packet;
    const uint8_t *frame;
    const struct port *port;
    bool inner; /* past a tunnel header */
};

static const char *const status_names[PKT_STATUS_COUNT] = {
    "ok", "truncated", "bad-ihl", "bad-ip-version", "fragment", "ip-proto-family-mismatch",
    "flow-trap-non-ip", "bad-tunnel-header", "unknown-label",
};

static const char *const layer_names[LAYER_COUNT] = {
    "none", "agent_hdr", "ethernet", "vlan", "pbb", "arp", "ipv4", "ipv6", "fragment", "udp",
    "tcp", "sctp", "icmp", "icmpv6", "igmp", "gre", "mpls", "vxlan", "control-word",
};

const char *packet_status_name(int status)
{
    return status >= 0 && status < PKT_STATUS_COUNT ? status_names[status] : "unknown";
}

const char *packet_layer_name(int layer)
{
    return layer >= 0 && layer < LAYER_COUNT ? layer_names[layer] : "unknown";
}

static inline bool fits(const struct parser *x, uint32_t offset, uint32_t size)
{
    return offset <= x->packet->captured && size <= x->packet->captured - offset;
}

static inline int fail(const struct parser *x, enum status status, enum layer layer)
{
    return VERDICT(status, layer, x->inner);
}

static inline bool flow_trap(const struct packet *p)
{
    return p->cmd == TRAP_FLOW_MISS || p->cmd == TRAP_FLOW_ACTION_HOLD;
}

/* With the size in sight a compiler writes `rep stos`: its start takes longer than this does. */
__attribute__((noipa)) static void clear(void *at, size_t size)
{
    memset(at, 0, size);
}

static inline void start(struct packet *p, size_t length)
{
    clear(p, sizeof *p);
    p->captured = length > CAPTURE_MAX ? CAPTURE_MAX : (uint32_t)length;
    p->cmd = TRAP_NONE;
}

void packet_open_bare(struct packet *p, size_t length)
{
    start(p, length);
}

int packet_open(struct packet *p, const uint8_t *frame, size_t length)
{
    start(p, length);
    if (length <= PKT0_ENCAP)
        return VERDICT(PKT_TRUNCATED, LAYER_AGENT_HDR, 0);
    const uint8_t *header = frame + 14;
    p->ifindex = get16(header);
    p->vrf = get16(header + 2);
    p->cmd = get16(header + 4);
    for (int i = 0; i < 5; i++)
        p->param[i] = get32(header + 6 + 4 * i);
    p->param_5 = header[26];
    p->inner = PKT0_ENCAP;
    return PKT_OK;
}

static int parse_arp(struct parser *x, uint32_t at)
{
    struct packet *p = x->packet;
    struct arp *arp = &p->arp;
    if (!fits(x, at, 28))
        return fail(x, PKT_TRUNCATED, LAYER_ARP);
    const uint8_t *b = x->frame + at;
    arp->hardware = get16(b);
    arp->protocol = get16(b + 2);
    arp->hardware_length = b[4];
    arp->protocol_length = b[5];
    arp->op = get16(b + 6);
    memcpy(arp->sender_mac, b + 8, 6);
    arp->sender = get32(b + 14);
    memcpy(arp->target_mac, b + 18, 6);
    arp->target = get32(b + 24);
    p->data = at;
    p->end = at + 28;
    if (arp->hardware != 1 || arp->protocol != ETH_IPV4 || arp->hardware_length != 6
        || arp->protocol_length != 4)
        arp->kind = ARP_INVALID;
    else if (arp->op != 1 && arp->op != 2)
        arp->kind = ARP_UNKNOWN_OP;
    else if (arp->target == arp->sender || arp->sender == 0)
        arp->kind = ARP_GRATUITOUS;
    else
        arp->kind = arp->op == 1 ? ARP_REQUEST : ARP_REPLY;
    return PKT_OK;
}

/* What the transport header adds; also used for the packet quoted by an ICMP error. */
struct transport {
    uint16_t sport, dport, checksum;
    uint8_t type, code;
    bool ack;
    uint32_t size;
};

struct transport_rule {
    enum layer layer;
    uint32_t size;
};

static struct transport_rule transport_rule(uint8_t proto)
{
    switch (proto) {
    case IP_UDP:
        return (struct transport_rule){LAYER_UDP, 8};
    case IP_TCP:
        return (struct transport_rule){LAYER_TCP, 20};
    case IP_SCTP:
        return (struct transport_rule){LAYER_SCTP, 12};
    case IP_ICMP:
        return (struct transport_rule){LAYER_ICMP, 8};
    case IP_ICMPV6:
        return (struct transport_rule){LAYER_ICMPV6, 8};
    case IP_IGMP:
        return (struct transport_rule){LAYER_IGMP, 8};
    default:
        return (struct transport_rule){LAYER_NONE, 0};
    }
}

static void read_icmp(struct transport *t, const uint8_t *b, bool v6)
{
    t->type = b[0];
    t->code = b[1];
    t->checksum = get16(b + 2);
    bool echo = v6 ? t->type == 128 || t->type == 129 : t->type == 0 || t->type == 8;
    t->sport = echo ? get16(b + 4) : 0;
    t->dport = echo ? (v6 ? 129 : 0) : (uint16_t)(t->type << 8);
}

/* `quoted`: RFC 792 promises 8 bytes of the original's transport header, not more. */
static int read_transport(const struct parser *x, struct transport *t, uint8_t proto, uint32_t at,
                          bool quoted)
{
    struct transport_rule rule = transport_rule(proto);
    memset(t, 0, sizeof *t);
    if (rule.layer == LAYER_NONE)
        return PKT_OK;
    if (!fits(x, at, quoted ? 8 : rule.size))
        return VERDICT(PKT_TRUNCATED, rule.layer, x->inner || quoted);
    const uint8_t *b = x->frame + at;
    t->size = rule.size;
    if (proto == IP_ICMP || proto == IP_ICMPV6) {
        read_icmp(t, b, proto == IP_ICMPV6);
    } else if (proto == IP_IGMP) {
        t->type = b[0];
    } else {
        t->sport = get16(b);
        t->dport = get16(b + 2);
        t->ack = proto == IP_TCP && !quoted && (b[13] & 0x10);
    }
    return PKT_OK;
}

struct ip_header {
    uint8_t family, proto, ttl, tos;
    uint8_t src[16], dst[16];
    bool fragment, later_fragment;
    uint32_t size, end; /* of the header; of the packet as its length field says */
};

static int read_ipv4(const struct parser *x, struct ip_header *ip, uint32_t at, bool inner)
{
    if (!fits(x, at, 20))
        return VERDICT(PKT_TRUNCATED, LAYER_IPV4, inner);
    const uint8_t *b = x->frame + at;
    uint32_t size = (uint32_t)(b[0] & 15) * 4;
    if (b[0] >> 4 != 4)
        return VERDICT(PKT_BAD_VERSION, LAYER_IPV4, inner);
    if (size < 20)
        return VERDICT(PKT_BAD_IHL, LAYER_IPV4, inner);
    if (!fits(x, at, size))
        return VERDICT(PKT_TRUNCATED, LAYER_IPV4, inner);
    uint16_t fragment = get16(b + 6), total = get16(b + 2);
    ip->family = 4;
    ip->tos = b[1];
    ip->ttl = b[8];
    ip->proto = b[9];
    memcpy(ip->src, b + 12, 4);
    memcpy(ip->dst, b + 16, 4);
    ip->later_fragment = fragment & 0x1fff;
    ip->fragment = fragment & 0x3fff;
    ip->size = size;
    ip->end = total >= size ? at + total : x->packet->captured;
    return PKT_OK;
}

static int read_ipv6(const struct parser *x, struct ip_header *ip, uint32_t at, bool inner)
{
    if (!fits(x, at, 40))
        return VERDICT(PKT_TRUNCATED, LAYER_IPV6, inner);
    const uint8_t *b = x->frame + at;
    if (b[0] >> 4 != 6)
        return VERDICT(PKT_BAD_VERSION, LAYER_IPV6, inner);
    uint16_t payload = get16(b + 4);
    ip->family = 6;
    ip->tos = (uint8_t)(get16(b) >> 4);
    ip->ttl = b[7];
    ip->proto = b[6];
    memcpy(ip->src, b + 8, 16);
    memcpy(ip->dst, b + 24, 16);
    ip->size = 40;
    ip->end = payload ? at + 40 + payload : x->packet->captured;
    if (ip->proto != IP_FRAGMENT)
        return PKT_OK;
    if (!fits(x, at + 40, 8))
        return VERDICT(PKT_TRUNCATED, LAYER_FRAGMENT, inner);
    ip->proto = b[40];
    ip->fragment = true;
    ip->later_fragment = get16(b + 42) & 0xfff8;
    ip->size = 48;
    return PKT_OK;
}

static int read_ip(const struct parser *x, struct ip_header *ip, uint32_t at, bool v6, bool inner)
{
    memset(ip, 0, sizeof *ip);
    return v6 ? read_ipv6(x, ip, at, inner) : read_ipv4(x, ip, at, inner);
}

/* Flow traps only: the key of an ICMP error is that of the quoted packet, reversed. */
static int parse_quoted(struct parser *x, uint32_t at)
{
    struct packet *p = x->packet;
    struct ip_header ip;
    struct transport t;
    int verdict = read_ip(x, &ip, at, p->family == 6, true);
    if (verdict)
        return verdict;
    if (ip.later_fragment)
        memset(&t, 0, sizeof t);
    else if ((verdict = read_transport(x, &t, ip.proto, at + ip.size, true)))
        return verdict;
    bool icmp = ip.proto == IP_ICMP || ip.proto == IP_ICMPV6;
    memcpy(p->src, ip.dst, 16);
    memcpy(p->dst, ip.src, 16);
    p->proto = ip.proto;
    p->sport = icmp ? t.sport : t.dport;
    p->dport = icmp ? t.dport : t.sport;
    p->icmp_error = true;
    return PKT_OK;
}

static bool is_icmp_error(const struct packet *p)
{
    if (p->proto == IP_ICMP)
        return p->icmp_type == 3 || p->icmp_type == 11;
    return p->proto == IP_ICMPV6 && p->icmp_type < 128;
}

static bool family_mismatch(const struct packet *p)
{
    return p->family == 6 ? p->proto == IP_ICMP || p->proto == IP_IGMP : p->proto == IP_ICMPV6;
}

static void set_payload(struct parser *x, const struct ip_header *ip, uint32_t header)
{
    struct packet *p = x->packet;
    p->data = p->l4 + header;
    p->end = ip->end < p->captured ? ip->end : p->captured;
    if (p->proto == IP_UDP && header) {
        uint16_t length = get16(x->frame + p->l4 + 4);
        uint32_t end = p->l4 + (length < 8 ? 8 : length);
        if (end < p->end)
            p->end = end;
    }
    if (p->end < p->data)
        p->end = p->data;
}

static int parse_ip(struct parser *x, uint32_t at, bool v6)
{
    struct packet *p = x->packet;
    struct ip_header ip;
    struct transport t = {0};
    int verdict = read_ip(x, &ip, at, v6, x->inner);
    if (verdict)
        return verdict;
    p->family = ip.family;
    p->proto = ip.proto;
    p->ttl = ip.ttl;
    p->tos = ip.tos;
    memcpy(p->src, ip.src, 16);
    memcpy(p->dst, ip.dst, 16);
    p->fragment = ip.fragment;
    p->later_fragment = ip.later_fragment;
    p->l3 = at;
    p->l4 = at + ip.size;
    enum layer layer = v6 ? LAYER_IPV6 : LAYER_IPV4;
    if (family_mismatch(p))
        return fail(x, PKT_FAMILY_MISMATCH, layer);
    if (!ip.later_fragment && (verdict = read_transport(x, &t, p->proto, p->l4, false)))
        return verdict;
    p->sport = t.sport;
    p->dport = t.dport;
    p->tcp_ack = t.ack;
    p->icmp_type = t.type;
    p->icmp_code = t.code;
    p->icmp_checksum = t.checksum;
    set_payload(x, &ip, t.size);
    if (ip.fragment && !flow_trap(p) && !(v6 && p->cmd == TRAP_HANDLE_DF))
        return fail(x, PKT_FRAGMENT, layer);
    if (flow_trap(p) && t.size && is_icmp_error(p))
        return parse_quoted(x, p->l4 + 8);
    return PKT_OK;
}

static int parse_ethernet(struct parser *x, uint32_t at)
{
    struct packet *p = x->packet;
    if (!fits(x, at, 14))
        return fail(x, PKT_TRUNCATED, LAYER_ETHERNET);
    memcpy(p->dst_mac, x->frame + at, 6);
    memcpy(p->src_mac, x->frame + at + 6, 6);
    uint16_t type = get16(x->frame + at + 12);
    p->vlan_tags = 0;
    at += 14;
    for (;;) {
        if (type == ETH_VLAN || type == ETH_QINQ) {
            if (!fits(x, at, 4))
                return fail(x, PKT_TRUNCATED, LAYER_VLAN);
            if (!p->vlan_tags)
                p->vlan_id = get16(x->frame + at) & 0xfff;
            p->vlan_tags += p->vlan_tags < UINT8_MAX;
            type = get16(x->frame + at + 2);
            at += 4;
        } else if (type == ETH_PBB && !p->pbb) {
            if (!fits(x, at, 18))
                return fail(x, PKT_TRUNCATED, LAYER_PBB);
            p->pbb = true;
            p->isid = get32(x->frame + at) & 0xffffff;
            memcpy(p->dst_mac, x->frame + at + 4, 6);
            memcpy(p->src_mac, x->frame + at + 10, 6);
            type = get16(x->frame + at + 16);
            at += 18;
        } else {
            break;
        }
    }
    p->ethertype = type;
    p->l3 = p->l4 = p->data = at;
    p->end = p->captured;
    if (type == ETH_ARP)
        return parse_arp(x, at);
    if (type != ETH_IPV4 && type != ETH_IPV6)
        return PKT_OK;
    /* The datapath's dummy header of an L3-only interface says IPv4 whatever follows. */
    bool v6 = type == ETH_IPV6 || (fits(x, at, 1) && x->frame[at] >> 4 == 6);
    return parse_ip(x, at, v6);
}

/* Nothing of the outer packet may be taken for the inner one's. */
static void forget_outer(struct packet *p, enum tunnel tunnel, uint32_t label)
{
    p->tunnel = tunnel;
    p->tunnel_label = label;
    p->tunnel_src = get32(p->src);
    p->tunnel_dst = get32(p->dst);
    p->family = p->proto = p->ttl = p->tos = 0;
    p->sport = p->dport = 0;
    p->fragment = p->later_fragment = p->tcp_ack = false;
    p->icmp_type = p->icmp_code = 0;
    p->icmp_checksum = 0;
}

static int parse_inner_ip(struct parser *x, uint32_t at)
{
    if (!fits(x, at, 1))
        return VERDICT(PKT_TRUNCATED, LAYER_IPV4, 1);
    bool v6 = x->frame[at] >> 4 == 6;
    x->packet->ethertype = v6 ? ETH_IPV6 : ETH_IPV4;
    return parse_ip(x, at, v6);
}

static int parse_labelled(struct parser *x, uint32_t at, uint32_t label, enum tunnel tunnel)
{
    enum label_kind kind = x->port->label ? x->port->label(x->port->labels, label) : LABEL_UNKNOWN;
    if (kind == LABEL_UNKNOWN)
        return fail(x, PKT_UNKNOWN_LABEL, LAYER_MPLS);
    if (kind == LABEL_L2_CONTROL_WORD) {
        if (!fits(x, at, 4))
            return fail(x, PKT_TRUNCATED, LAYER_CONTROL_WORD);
        if (get32(x->frame + at))
            return fail(x, PKT_BAD_TUNNEL, LAYER_CONTROL_WORD);
        at += 4;
    }
    forget_outer(x->packet, tunnel, label);
    x->inner = true;
    return kind == LABEL_L3 ? parse_inner_ip(x, at) : parse_ethernet(x, at);
}

static int parse_mpls(struct parser *x, uint32_t at, enum tunnel tunnel)
{
    if (!fits(x, at, 4))
        return fail(x, PKT_TRUNCATED, LAYER_MPLS);
    uint32_t entry = get32(x->frame + at);
    at += 4;
    if (!(entry & 0x100)) {
        if (entry >> 12 != INVALID_LABEL)
            return fail(x, PKT_BAD_TUNNEL, LAYER_MPLS);
        if (!fits(x, at, 4))
            return fail(x, PKT_TRUNCATED, LAYER_MPLS);
        entry = get32(x->frame + at);
        at += 4;
        if (!(entry & 0x100))
            return fail(x, PKT_BAD_TUNNEL, LAYER_MPLS);
    }
    return parse_labelled(x, at, entry >> 12, tunnel);
}

static int parse_gre(struct parser *x, uint32_t at)
{
    if (!fits(x, at, 4))
        return fail(x, PKT_TRUNCATED, LAYER_GRE);
    uint16_t flags = get16(x->frame + at);
    /* Checksum, key and sequence fields may follow; routing and other versions may not. */
    if ((flags & ~0xb000) || get16(x->frame + at + 2) != ETH_MPLS)
        return fail(x, PKT_BAD_TUNNEL, LAYER_GRE);
    uint32_t size = 4 + (flags & 0x8000 ? 4 : 0) + (flags & 0x2000 ? 4 : 0)
        + (flags & 0x1000 ? 4 : 0);
    if (!fits(x, at, size))
        return fail(x, PKT_TRUNCATED, LAYER_GRE);
    return parse_mpls(x, at + size, TUNNEL_MPLS_GRE);
}

static int parse_vxlan(struct parser *x, uint32_t at)
{
    if (!fits(x, at, 8))
        return fail(x, PKT_TRUNCATED, LAYER_VXLAN);
    if (!(x->frame[at] & 0x08))
        return fail(x, PKT_BAD_TUNNEL, LAYER_VXLAN);
    forget_outer(x->packet, TUNNEL_VXLAN, get32(x->frame + at + 4) >> 8);
    x->inner = true;
    return parse_ethernet(x, at + 8);
}

static bool tunnel_port(uint16_t port)
{
    return port == UDP_VXLAN || port == UDP_MPLS || port == UDP_MPLS_OLD;
}

static int parse_tunnel(struct parser *x)
{
    struct packet *p = x->packet;
    if (p->cmd == TRAP_ZERO_TTL || p->cmd == TRAP_ICMP_ERROR || !(x->port->flags & PORT_TUNNEL))
        return PKT_OK;
    if (p->family != 4 || p->later_fragment || p->icmp_error
        || get32(p->dst) != x->port->router_id)
        return PKT_OK;
    if (p->proto == IP_GRE)
        return parse_gre(x, p->l4);
    if (p->proto != IP_UDP || !tunnel_port(p->dport))
        return PKT_OK;
    return p->dport == UDP_VXLAN ? parse_vxlan(x, p->data)
                                 : parse_mpls(x, p->data, TUNNEL_MPLS_UDP);
}

static bool is_gateway(const struct port *port, uint32_t address)
{
    if (port->flags & PORT_ANY_GATEWAY)
        return true;
    for (size_t i = 0; i < port->gateway_count; i++)
        if (port->gateways[i] == address)
            return true;
    return false;
}

static bool is_diag_icmp(const struct packet *p, const uint8_t *frame)
{
    static const char signature[] = "diagshc"; /* of a segment health check */
    if (p->icmp_checksum == 0xffff)
        return true;
    return p->end - p->data >= sizeof signature - 1
        && !memcmp(frame + p->data, signature, sizeof signature - 1);
}

static enum module classify_udp(const struct packet *p, uint32_t flags)
{
    if (p->proto != IP_UDP || p->later_fragment)
        return MODULE_INVALID;
    if ((flags & PORT_DHCP) && p->family == 4 && (p->dport == 67 || p->sport == 68))
        return MODULE_DHCP;
    if ((flags & PORT_DHCPV6) && p->family == 6 && (p->dport == 547 || p->sport == 546))
        return MODULE_DHCPV6;
    if ((flags & PORT_DNS) && p->dport == 53)
        return MODULE_DNS;
    return MODULE_INVALID;
}

static bool is_bfd(const struct packet *p)
{
    return p->proto == IP_UDP && (p->dport == 3784 || p->dport == 4784 || p->dport == 3785);
}

static enum module classify_icmp(const struct packet *p, const uint8_t *frame,
                                 const struct port *port)
{
    if (p->proto != IP_ICMP || !p->family)
        return MODULE_INVALID;
    if ((port->flags & PORT_VMI) && is_diag_icmp(p, frame))
        return MODULE_DIAG;
    return is_gateway(port, get32(p->dst)) ? MODULE_ICMP : MODULE_INVALID;
}

/* The rows that look at protocols the agent answers itself, after the trap reasons. */
static enum module classify_protocol(const struct packet *p, const uint8_t *frame,
                                     const struct port *port)
{
    if ((port->flags & PORT_VMI) && is_bfd(p))
        return MODULE_BFD;
    enum module module = classify_icmp(p, frame, port);
    if (module != MODULE_INVALID)
        return module;
    if (p->family == 6 && p->cmd == TRAP_RESOLVE)
        return MODULE_ICMPV6;
    if (p->proto == IP_ICMPV6)
        return p->cmd == TRAP_HANDLE_DF ? MODULE_ICMPV6_ERROR : MODULE_ICMPV6;
    if (p->proto == IP_IGMP)
        return MODULE_IGMP;
    if (p->cmd == TRAP_HANDLE_DF && p->family)
        return p->family == 6 ? MODULE_ICMPV6_ERROR : MODULE_ICMP_ERROR;
    return p->cmd == TRAP_DIAG && p->family ? MODULE_DIAG : MODULE_INVALID;
}

/* The table of facts pkt0-services.md section 4: first match wins. */
static enum module classify(const struct packet *p, const uint8_t *frame, const struct port *port)
{
    if (p->cmd == TRAP_MAC_LEARN || p->cmd == TRAP_MAC_MOVE || p->cmd == TRAP_MAC_IP_LEARNING)
        return MODULE_MAC_LEARNING;
    if (p->ethertype == ETH_ARP)
        return MODULE_ARP;
    if (flow_trap(p))
        return p->family ? MODULE_FLOW : MODULE_INVALID;
    enum module module = classify_udp(p, port->flags);
    if (module != MODULE_INVALID)
        return module;
    if (p->family == 4 && p->cmd == TRAP_RESOLVE)
        return MODULE_ARP;
    if (p->cmd == TRAP_ZERO_TTL || p->cmd == TRAP_ICMP_ERROR || p->cmd == TRAP_ROUTER_ALERT)
        return MODULE_DIAG;
    return classify_protocol(p, frame, port);
}

static bool is_dhcp(const struct packet *p)
{
    return classify_udp(p, PORT_DHCP) == MODULE_DHCP && !tunnel_port(p->dport);
}

int packet_parse(struct packet *p, const uint8_t *frame, const struct port *port)
{
    struct parser x = {.packet = p, .frame = frame, .port = port};
    int verdict = parse_ethernet(&x, p->inner);
    if (!verdict && p->family && !is_dhcp(p))
        verdict = parse_tunnel(&x);
    if (verdict)
        return verdict;
    p->module = (uint8_t)classify(p, frame, port);
    if (p->module == MODULE_INVALID && flow_trap(p))
        return fail(&x, PKT_FLOW_TRAP_NON_IP, LAYER_ETHERNET);
    if (p->module == MODULE_DHCP)
        dhcp_parse(p, frame);
    return PKT_OK;
}

/*
 * Trapped packets in C: what the parser fills in and what the builders take.
 *
 * Layout, order of the steps and classification: facts pkt0-services.md, sections 2 and 4.
 * Addresses and ports are host-order integers unless they are byte arrays (wire order).
 * Offsets count from the first captured byte; nothing here keeps a pointer into the frame.
 */
#ifndef VROUTER_PACKET_H
#define VROUTER_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PKT0_ENCAP = 44, PKT0_MAX_FRAME = 9060, PKT0_MAX_DATAGRAM = 1514 };

enum trap {
    CMD_SWITCH = 0,
    CMD_ROUTE = 1,
    TRAP_RESOLVE = 5,
    TRAP_FLOW_MISS = 6,
    TRAP_DIAG = 8,
    TRAP_HANDLE_DF = 11,
    TRAP_ZERO_TTL = 12,
    TRAP_ICMP_ERROR = 13,
    TRAP_FLOW_ACTION_HOLD = 15,
    TRAP_ROUTER_ALERT = 16,
    TRAP_MAC_LEARN = 17,
    TRAP_MAC_MOVE = 18,
    TRAP_MAC_IP_LEARNING = 19,
    TRAP_NONE = 0xffff
};

/* Why a packet cannot be used; the words for people are in packet_status_name(). */
enum status {
    PKT_OK,
    PKT_TRUNCATED,
    PKT_BAD_IHL,
    PKT_BAD_VERSION,
    PKT_FRAGMENT,
    PKT_FAMILY_MISMATCH,
    PKT_FLOW_TRAP_NON_IP,
    PKT_BAD_TUNNEL,
    PKT_UNKNOWN_LABEL,
    PKT_STATUS_COUNT
};

enum layer {
    LAYER_NONE,
    LAYER_AGENT_HDR,
    LAYER_ETHERNET,
    LAYER_VLAN,
    LAYER_PBB,
    LAYER_ARP,
    LAYER_IPV4,
    LAYER_IPV6,
    LAYER_FRAGMENT,
    LAYER_UDP,
    LAYER_TCP,
    LAYER_SCTP,
    LAYER_ICMP,
    LAYER_ICMPV6,
    LAYER_IGMP,
    LAYER_GRE,
    LAYER_MPLS,
    LAYER_VXLAN,
    LAYER_CONTROL_WORD,
    LAYER_COUNT
};

/* A verdict packs status, layer, and whether the layer belongs to an inner packet. */
#define VERDICT(status, layer, inner) ((status) | (layer) << 8 | (inner) << 16)

enum module {
    MODULE_INVALID,
    MODULE_FLOW,
    MODULE_ARP,
    MODULE_DHCP,
    MODULE_DHCPV6,
    MODULE_DNS,
    MODULE_ICMP,
    MODULE_ICMPV6,
    MODULE_DIAG,
    MODULE_ICMP_ERROR,
    MODULE_ICMPV6_ERROR,
    MODULE_RX_PACKET,
    MODULE_MAC_LEARNING,
    MODULE_BFD,
    MODULE_IGMP,
    MODULE_MAC_IP_LEARNING
};

enum tunnel { TUNNEL_NONE, TUNNEL_MPLS_GRE, TUNNEL_MPLS_UDP, TUNNEL_VXLAN };

enum label_kind { LABEL_UNKNOWN, LABEL_L3, LABEL_L2, LABEL_L2_CONTROL_WORD };

enum arp_kind { ARP_INVALID, ARP_REQUEST, ARP_REPLY, ARP_GRATUITOUS, ARP_UNKNOWN_OP };

enum port_flag {
    PORT_VMI = 1,
    PORT_DHCP = 2,
    PORT_DHCPV6 = 4,
    PORT_DNS = 8,
    PORT_TUNNEL = 16,
    PORT_ANY_GATEWAY = 32 /* tools: no port is known, every address may be the gateway */
};

/* What classification needs to know of the interface that a packet came in on. */
struct port {
    uint32_t flags;
    uint32_t router_id;
    const uint32_t *gateways; /* gateway and DNS addresses of the VN's subnets */
    size_t gateway_count;
    enum label_kind (*label)(void *labels, uint32_t label);
    void *labels;
};

struct span {
    uint32_t offset;
    uint32_t length;
};

struct arp {
    uint16_t hardware, protocol, op;
    uint8_t hardware_length, protocol_length, kind;
    uint8_t sender_mac[6], target_mac[6];
    uint32_t sender, target;
};

enum dhcp_status { DHCP_OK, DHCP_SHORT_HEADER, DHCP_BAD_COOKIE };

struct dhcp {
    uint8_t status, msg_type, hops;
    bool wants_routes; /* the client asked for option 121 */
    uint16_t secs, flags, max_size;
    uint32_t xid, ciaddr, yiaddr, siaddr, giaddr, requested, server_id;
    uint8_t chaddr[6];
    struct span host_name, domain, parameters, relay_agent, client_id, vendor_class;
};

struct packet {
    uint16_t ifindex, vrf, cmd;
    uint32_t param[5];
    uint8_t param_5, module;

    uint8_t dst_mac[6], src_mac[6];
    uint16_t ethertype, vlan_id;
    uint8_t vlan_tags;
    bool pbb;
    uint32_t isid;

    uint8_t family; /* 4, 6, or 0 when not IP */
    uint8_t src[16], dst[16], proto, ttl, tos;
    bool fragment, later_fragment, icmp_error;
    uint16_t sport, dport, icmp_checksum;
    bool tcp_ack;
    uint8_t icmp_type, icmp_code;

    uint8_t tunnel;
    uint32_t tunnel_label, tunnel_src, tunnel_dst;

    uint32_t inner; /* where the inner frame starts: 44 behind a pkt0 header, else 0 */
    uint32_t l3, l4, data, end; /* payload is data..end, never past the captured bytes */
    uint32_t captured;

    struct arp arp;
    struct dhcp dhcp;
};

/* Read the 44 bytes of encapsulation; a verdict. */
int packet_open(struct packet *packet, const uint8_t *frame, size_t length);
/* Start without encapsulation: no trap reason, interface 0. */
void packet_open_bare(struct packet *packet, size_t length);
/* Parse and classify what packet_open() accepted; a verdict, the module in packet->module. */
int packet_parse(struct packet *packet, const uint8_t *frame, const struct port *port);
void dhcp_parse(struct packet *packet, const uint8_t *frame);

const char *packet_status_name(int status);
const char *packet_layer_name(int layer);

/* RFC 1071 sum of a block, added to `sum`, not yet folded into a checksum. */
uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t length);
uint16_t checksum_fold(uint32_t sum);

struct arp_frame {
    uint16_t ifindex, vrf, op;
    int vlan; /* TX VLAN id or -1 */
    uint8_t eth_dst[6], eth_src[6], sender_mac[6], target_mac[6];
    uint32_t sender, target;
};

enum { ARP_FRAME_MAX = PKT0_ENCAP + 14 + 4 + 28 };
/* Write an ARP frame for CMD_SWITCH, at most ARP_FRAME_MAX bytes; returns its length. */
size_t arp_build(uint8_t *out, const struct arp_frame *frame);

/* The parts of a port's DHCP answers that depend on configuration only. */
struct dhcp_answer {
    uint16_t ifindex, vrf;
    int vlan;
    uint8_t source_mac[6];
    uint32_t source, next_server, address;
    const uint8_t *head, *lease, *routes, *router, *tail;
    size_t head_length, lease_length, routes_length, router_length, tail_length;
};

enum {
    DHCP_FIXED = 240,
    DHCP_MIN = 300,       /* bytes of message */
    DHCP_MIN_LIMIT = 576, /* bytes of IP datagram that every client takes (RFC 2131 section 2) */
    DHCP_NO_OPTIONS = PKT0_ENCAP + 14 + 4 + 20 + 8 + DHCP_FIXED
};
/* Bytes that dhcp_build() may write at most. */
size_t dhcp_build_bound(const struct dhcp_answer *answer);
/* Write the answer of type `type` to `packet`; returns its length. */
size_t dhcp_build(uint8_t *out, const struct dhcp_answer *answer, const struct packet *packet,
                  uint8_t type);

/* What one batch of reads from a tap came to; `error` is an errno other than "try again". */
struct tap_reads {
    unsigned made, foreign;
    int error;
};
/* Fill slots of PKT0_MAX_FRAME bytes with trapped frames, in at most `capacity` reads; how many. */
unsigned tap_read(int fd, uint8_t *slots, uint32_t *lengths, unsigned capacity,
                  struct tap_reads *reads);

#endif

/* What the kernels of the flow path share: keys, decisions, pairs.
 *
 * A flow is one direction; a pair is both, made, changed and deleted as a unit. Side 0 is the
 * forward flow, whose first packet was trapped; side 1 the reverse one. Constants are the
 * datapath's: facts shared-memory.md 3 to 6, datapath-behaviour.md 6.
 */
#ifndef VROUTER_FLOW_H
#define VROUTER_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#define FLOW_NONE 0xffffffffu

enum { FLOW_KEY = 44, FLOW_KEY_INET = 20, FLOW_INET = 2, FLOW_INET6 = 10 };
enum { FLOW_FORWARD, FLOW_REVERSE, FLOW_SIDES };
enum flow_action { FLOW_DROP, FLOW_HOLD, FLOW_PASS, FLOW_NAT };
enum flow_flag {
    FLOW_ACTIVE = 1, FLOW_SNAT = 2, FLOW_SPAT = 4, FLOW_DNAT = 8, FLOW_DPAT = 0x10,
    FLOW_BGP_SERVICE = 0x80, FLOW_RFLOW = 0x1000, FLOW_MIRROR = 0x2000, FLOW_VRFT = 0x4000,
    FLOW_LINK_LOCAL = 0x8000
};
enum { FLOW_NO_MIRROR = 255 };

/* Why the agent dropped a flow; what of it the datapath is told: flow_datapath_reason(). */
enum flow_reason {
    REASON_NONE, REASON_INTERFACE, REASON_IPV4_OFF, REASON_VRF, REASON_NO_SRC_ROUTE,
    REASON_NO_DST_ROUTE, REASON_AUDIT, REASON_VRF_CHANGE, REASON_NO_REVERSE,
    REASON_REVERSE_CHANGE, REASON_NAT_CHANGE, REASON_LIMIT, REASON_LINK_LOCAL, REASON_INSTALL,
    REASON_L2, REASON_TSN, REASON_NO_MIRROR, REASON_SAME_KEYS, REASON_PORT_MAP,
    REASON_NO_SRC_ROUTE_L2, REASON_FAT_NAT, REASON_L3MH, REASON_SHORT_MAX = 22,
    REASON_POLICY = 22, REASON_OUT_POLICY, REASON_SG, REASON_OUT_SG, REASON_REVERSE_SG,
    REASON_REVERSE_OUT_SG, REASON_FIREWALL, REASON_OUT_FIREWALL, REASON_REVERSE_FIREWALL,
    REASON_REVERSE_OUT_FIREWALL, REASON_FWAAS, REASON_OUT_FWAAS, REASON_REVERSE_FWAAS,
    REASON_REVERSE_OUT_FWAAS, REASON_MAX
};

/* The drop reason of the table for an agent's reason (facts pkt0-services.md 12). */
static inline uint8_t flow_datapath_reason(enum flow_reason reason)
{
    if (reason == REASON_L3MH || (reason >= REASON_INSTALL && reason <= REASON_TSN)
        || reason >= REASON_MAX)
        return 0;
    return (uint8_t)(reason >= REASON_SHORT_MAX ? reason - 1 : reason);
}

/* Rules have numbers that the classifier gives; these are the ones that no ACL holds. */
enum flow_rule {
    RULE_NOT_EVALUATED, RULE_IMPLICIT_ALLOW, RULE_IMPLICIT_DENY, RULE_GATEWAY, RULE_LINK_LOCAL,
    RULE_MULTICAST, RULE_NON_IP, RULE_BGP_SERVICE, RULE_FIRST
};

/* A trapped packet as flow set-up sees it. Ports are as in the key (raw, two bytes each),
 * addresses in wire order, 4 or 16 bytes. */
struct flow_packet {
    uint32_t vif, vrf;        /* agent header: where it came in */
    uint32_t index;           /* held entry, or FLOW_NONE */
    uint32_t key_nexthop;
    uint8_t gen_id;
    uint8_t family;           /* FLOW_INET or FLOW_INET6 */
    uint8_t proto;
    uint8_t tcp_ack;
    uint8_t sport[2], dport[2];
    uint8_t src[16], dst[16];
    uint8_t smac[6], dmac[6];
    uint8_t tunnel;           /* enum tunnel of packet.h */
    uint8_t is_l2;            /* the label or VNI leads to a bridge domain */
    uint32_t label;           /* MPLS label or VNI, when tunnel */
    uint32_t tunnel_source;   /* outer source IPv4, host order */
};

/* One direction as it goes to the datapath. `key` is byte for byte the table's. */
struct flow_side {
    uint8_t key[FLOW_KEY];
    uint32_t src_nexthop;     /* fr_src_nh_index: RPF, 0 = no check */
    uint16_t flags;           /* enum flow_flag, without RFLOW */
    uint16_t vrf, dvrf;
    uint8_t action, reason;   /* enum flow_action, enum flow_reason */
    uint8_t ttl;
    int8_t ecmp;              /* member of a composite nexthop or -1 */
    uint8_t mirror, sec_mirror;
    int16_t qos;
    uint32_t policy_rule, sg_rule; /* which rule decided (network or firewall policy; group) */
};

/* What a decision read, so that exactly the flows that a change touches are decided anew.
 * A route is named by its number in the world, a vif by its index; FLOW_NONE: none. */
enum flow_read {
    READ_IN_VIF, READ_OUT_VIF, READ_SRC_ROUTE, READ_DST_ROUTE, READ_REVERSE_ROUTE, FLOW_READS
};

enum flow_pair_flag {
    PAIR_SHORT = 1, PAIR_INGRESS = 2, PAIR_LOCAL = 4, PAIR_NAT = 8, PAIR_ECMP = 0x10,
    PAIR_LINK_LOCAL = 0x20, PAIR_MULTICAST = 0x40, PAIR_BGP_SERVICE = 0x80, PAIR_L2 = 0x100,
    PAIR_FAT = 0x200, PAIR_TCP_ACK = 0x400, PAIR_TRAP = 0x800, PAIR_BOUND_PORT = 0x1000
};

struct flow_decision {
    struct flow_side side[FLOW_SIDES];
    uint32_t reads[FLOW_READS];
    uint16_t flags;           /* enum flow_pair_flag */
    uint16_t bound_port;      /* PAIR_BOUND_PORT: the host's port that link-local NAT took */
};

#endif

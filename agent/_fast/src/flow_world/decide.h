/* From a packet to what becomes of its flow (facts pkt0-services.md 12, oper-db.md 4).
 *
 * A decision takes no memory and no lock. It changes nothing in the world, except that NAT to
 * a link-local service takes one of the host's ports.
 */
#ifndef VROUTER_FLOW_DECIDE_H
#define VROUTER_FLOW_DECIDE_H

#include "flow.h"
#include "world.h"

/* What an earlier decision on the same pair chose, to be kept while it still holds. */
struct flow_before {
    int8_t ecmp[FLOW_SIDES]; /* -1: none */
    uint16_t bound_port;     /* 0: none; of the same protocol */
};

/* Decide on a packet; `before` NULL: the pair is new. Everything of the decision is written.
 *
 * Of the packet are read: vif, vrf, key_nexthop, family, proto, tcp_ack, ports, addresses,
 * MAC addresses (is_l2, or a packet of a port that is not for its router), tunnel, label,
 * tunnel_source. Those of an earlier decision's forward key give the same again.
 *
 * A pair that is PAIR_SHORT is dropped for side[].reason. Where no reverse flow can be named
 * its key is all zero (key[0], the family, too): there is only a forward side.
 * With PAIR_BOUND_PORT the decision holds a port of the host: `before->bound_port` when that
 * was given and a port is still needed, else a new one. world_return_port() when it ends. */
void flow_decide(struct world *, const struct flow_packet *, const struct flow_before *,
                 struct flow_decision *);

/* ---- which step decided what ---- */

enum step_kind {
    STEP_IN_PORT,        /* number: vif; other: VRF */
    STEP_LANDING,        /* number: label or VNI; other: nexthop */
    STEP_FAT,            /* the key was masked; number: which fat flow of the port */
    STEP_ALIAS,          /* address: the alias IP; number: its VRF */
    STEP_SOURCE_ROUTE, STEP_DESTINATION_ROUTE,
    STEP_REVERSE_ROUTE,  /* number: VRF; other: nexthop or FLOW_NONE; address/length: prefix */
    STEP_ECMP,           /* number: member; other: its nexthop */
    STEP_OUT_PORT,       /* number: vif; other: VRF */
    STEP_OUT_TUNNEL,     /* number: nexthop; other: far end, host order */
    STEP_VRF_TRANSLATE,  /* number: VRF; other: rule */
    STEP_SNAT, STEP_DNAT, /* address: the new one; number: port */
    STEP_LINK_LOCAL,     /* address: server; number: port */
    STEP_FLOOD,
    STEP_SHORT,          /* number: enum flow_reason */
    STEP_SKIPPED,        /* policy is not asked; number: enum flow_rule or 0; other: vif */
    STEP_LIST,           /* number: rule; other: list; port: vif; which: enum step_check */
    STEP_RPF,            /* number: nexthop; length: side */
    STEP_RESULT,         /* number: action; other: reason; length: side */
    STEP_KINDS
};
/* What a STEP_LIST was asked for: which lists, in which direction. */
enum step_check {
    CHECK_MIRROR, CHECK_OUT_MIRROR, CHECK_NETWORK, CHECK_OUT_NETWORK, CHECK_REVERSE_NETWORK,
    CHECK_REVERSE_OUT_NETWORK, CHECK_GROUPS, CHECK_OUT_GROUPS, CHECK_REVERSE_GROUPS,
    CHECK_REVERSE_OUT_GROUPS, CHECK_FWAAS, CHECK_OUT_FWAAS, CHECK_REVERSE_FWAAS,
    CHECK_REVERSE_OUT_FWAAS, CHECK_FIREWALL, CHECK_OUT_FIREWALL, CHECK_REVERSE_FIREWALL,
    CHECK_REVERSE_OUT_FIREWALL, STEP_CHECKS
};
struct flow_step {
    uint32_t kind, number, other, port;
    uint16_t actions; /* of a STEP_LIST: enum cls_action of its verdict */
    uint8_t which, family, length;
    uint8_t address[16];
};
enum { TRAIL_STEPS = 64 };
struct flow_trail {
    uint32_t count;
    struct flow_step steps[TRAIL_STEPS];
};
/* The same, with every step told; it holds no port of the host in the end. */
void flow_explain(struct world *, const struct flow_packet *, const struct flow_before *,
                  struct flow_decision *, struct flow_trail *);

#endif

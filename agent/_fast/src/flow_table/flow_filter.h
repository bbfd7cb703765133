/* Which entries of the flow table are wanted. */
#ifndef VROUTER_FLOW_FILTER_H
#define VROUTER_FLOW_FILTER_H

#include "flow_entry.h"

enum { FLOW_ANY = -1 };

/* One side of a flow. Addresses are compared under the mask, IPv4 ones in the first 4 bytes. */
struct flow_end {
    uint64_t address[2], mask[2];
    int32_t port;               /* as in the key read big endian, or FLOW_ANY */
    int32_t unused;
};

/* What of the key and VRF is wanted; FLOW_ANY: not looked at. The layout is also that of
 * FlowFilter.pack() in agent/shm. */
struct flow_match {
    struct flow_end ends[2];    /* source, destination */
    int64_t nexthop;            /* of the key */
    int32_t vrf, proto, family;
    int32_t either;             /* the ends may match the other way round as well */
};

struct flow_filter {
    uint16_t mask, value;       /* flag bits looked at, and what they must be */
    int32_t action;             /* or FLOW_ANY */
    bool narrow;                /* `match` is given */
    struct flow_match match;
};

struct flow_side_read {
    uint64_t address[2];
    int32_t port;
};

static inline struct flow_side_read flow_read_side(const unsigned char *entry, unsigned at,
                                                   unsigned size, unsigned port_at)
{
    struct flow_side_read side = {{0, 0}, 0};
    memcpy(side.address, entry + at, size);
    side.port = shm_load8(entry + port_at) << 8 | shm_load8(entry + port_at + 1);
    return side;
}

static inline bool flow_end_holds(const struct flow_end *end, const struct flow_side_read *side)
{
    return (end->port == FLOW_ANY || end->port == side->port)
        && ((side->address[0] ^ end->address[0]) & end->mask[0]) == 0
        && ((side->address[1] ^ end->address[1]) & end->mask[1]) == 0;
}

static inline bool flow_ends_hold(const struct flow_match *match, const unsigned char *entry)
{
    bool inet = shm_load8(entry + FLOW_AT_KEY) == FLOW_INET;
    unsigned size = inet ? 4 : 16;
    struct flow_side_read source = flow_read_side(entry, FLOW_AT_SOURCE, size, FLOW_AT_SPORT);
    struct flow_side_read target = flow_read_side(
        entry, inet ? FLOW_AT_INET_DESTINATION : FLOW_AT_INET6_DESTINATION, size, FLOW_AT_DPORT);
    if (flow_end_holds(&match->ends[0], &source) && flow_end_holds(&match->ends[1], &target))
        return true;
    return match->either && flow_end_holds(&match->ends[0], &target)
        && flow_end_holds(&match->ends[1], &source);
}

static inline bool flow_match_holds(const struct flow_match *match, const unsigned char *entry)
{
    return (match->vrf == FLOW_ANY || shm_load16(entry + FLOW_AT_VRF) == match->vrf)
        && (match->proto == FLOW_ANY || shm_load8(entry + FLOW_AT_PROTO) == match->proto)
        && (match->family == FLOW_ANY || shm_load8(entry + FLOW_AT_KEY) == match->family)
        && (match->nexthop == FLOW_ANY || shm_load32(entry + FLOW_AT_NEXTHOP) == match->nexthop)
        && flow_ends_hold(match, entry);
}

static inline bool flow_wanted(const struct flow_filter *filter, const unsigned char *entry)
{
    return (shm_load16(entry + FLOW_AT_FLAGS) & filter->mask) == filter->value
        && (filter->action == FLOW_ANY || shm_load16(entry + FLOW_AT_ACTION) == filter->action)
        && (!filter->narrow || flow_match_holds(&filter->match, entry));
}

#endif

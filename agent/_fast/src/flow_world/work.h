/* One decision while it is made: what the parts of it share. */
#ifndef VROUTER_FLOW_WORK_H
#define VROUTER_FLOW_WORK_H

#include <string.h>

#include "decide.h"
#include "state.h"

enum { NO_ROUTE = FLOW_NONE, NEXTHOP_ALWAYS_INVALID = 2 };

/* One end of the flow. */
struct end {
    const struct port *port; /* the local port, or NULL */
    uint32_t vif;            /* that it was looked for at, or FLOW_NONE */
    uint32_t route;          /* that leads to it, or NO_ROUTE */
    uint32_t meta;           /* what is known of its address */
    uint32_t network;        /* the list of another network that it acts for */
    bool acts;               /* `network` counts, not the port's own */
};

/* The five fields of a packet. */
struct tuple {
    uint8_t src[16], dst[16];
    uint16_t sport, dport;
};

struct work {
    struct world *world;
    const struct flow_packet *packet;
    const struct flow_before *before;
    struct flow_decision *decision;
    struct flow_trail *trail; /* or NULL */

    enum flow_reason reason;
    bool ingress;
    bool bridged;             /* by MAC address, not by IP address */
    bool flooded;             /* bridged to nobody in particular */
    bool multicast;
    bool nat, bind;           /* bind: a port of the host is needed */
    bool hidden;              /* the key tells less than the addresses */
    bool skip_acl;            /* a VRF-assign rule said so */
    struct tuple is;          /* as the packet has it, ports masked by fat flows */
    struct tuple to;          /* after translation */
    uint8_t key_src[16], key_dst[16];
    struct end src, dst;
    uint32_t reverse_route;   /* of the translated destination, or of a bridged source */
    uint32_t out_hop;         /* nexthop that the packet takes, a member already chosen */
    uint32_t reverse_nexthop; /* key of the reverse flow */
    uint32_t vrf[FLOW_SIDES], to_vrf[FLOW_SIDES]; /* of arrival; where the target is looked up */
    uint32_t landing_flags;   /* of the nexthop of the label */
    int ecmp[FLOW_SIDES];

    /* The network list was walked for the VRF already: not again for the same. */
    bool walked;
    uint32_t walked_list, walked_src, walked_dst;
    enum cls_outcome walked_outcome;
    struct cls_verdict walked_verdict;
};

static inline const struct route *route_at(const struct work *k, uint32_t number)
{
    const struct route *route = number == NO_ROUTE ? NULL : &k->world->routes[number];
    return route && !(route->flags & ROUTE_NOTHING) ? route : NULL;
}

static inline const struct nexthop *hop_at(const struct work *k, uint32_t number)
{
    return world_nexthop(k->world, number);
}

/* A VRF that the decision needs; that it is missing is remembered. */
static inline struct vrf *vrf_at(const struct work *k, uint32_t index)
{
    struct vrf *vrf = world_vrf(k->world, index);
    if (!vrf && index < WORLD_VRFS)
        k->world->missed[index] = true;
    return vrf;
}

static inline bool has(const struct port *port, enum port_trait trait)
{
    return port && (port->is.traits & trait);
}

static inline bool is_vm(const struct port *port) { return port && port->is.kind == VIF_OF_VM; }

static inline size_t address_size(const struct work *k) { return family_size(k->packet->family); }

static inline bool same_address(const struct work *k, const struct port_address *a,
                                const uint8_t *address)
{
    return a->family == k->packet->family && memcmp(a->bytes, address, address_size(k)) == 0;
}

static inline bool has_ports(uint8_t proto) { return proto == PROTO_TCP || proto == PROTO_UDP; }

static inline bool is_icmp(const struct flow_packet *packet)
{
    return packet->proto == (packet->family == FLOW_INET ? PROTO_ICMP : PROTO_ICMP6);
}

/* validate.c */
void find_bearing(struct work *);    /* direction, bridged or routed */
enum flow_reason validate(const struct work *);

/* fat.c */
void mask_ports(struct work *, const struct port *);

/* routing.c */
uint32_t look_up(struct work *, uint32_t vrf, const uint8_t *address);
uint32_t look_up_mac(struct work *, uint32_t vrf, const uint8_t *mac);
/* Find the route to the source, which may be in a VRF that the one in `vrf` leads on to. */
void find_source(struct work *, uint32_t vrf);
/* The route is read, but has no place in what the decision names. */
void read_widely(struct work *, uint32_t route);
void route_from_port(struct work *);
void route_from_fabric(struct work *);
/* Find the local port that the route to the destination leads to, if any. */
void lead_out(struct work *, uint32_t route);
/* What is known of the end's address: of its port, else of its route. */
void know_end(struct work *, struct end *);

/* translate.c: may the VRF change? */
void translate_vrf(struct work *, const uint32_t *lists, size_t count);
void translate_by_port(struct work *, const struct end *owner);

/* ecmp.c */
int choose_member(const struct work *, const struct nexthop *, bool local_only, int wanted);
int member_of_source(const struct work *);
uint32_t local_group(const struct work *, uint32_t route);
uint32_t flow_hash(const struct work *, uint8_t fields);

/* nat.c */
void translate_source(struct work *);
void translate_destination(struct work *);
const struct port_floating *find_floating(const struct work *, const struct port *,
                                          const uint8_t *address);
const struct port_alias *find_alias(const struct work *, const struct port *,
                                    const uint8_t *address);

/* link_local.c: false when it is none of its business */
bool link_local(struct work *);
void bind_port(struct work *);

/* keys.c */
void write_keys(struct work *);

/* rpf.c */
void check_sources(struct work *);

/* policy.c */
void apply_policy(struct work *);

/* trail.c */
void tell(struct work *, enum step_kind, uint32_t number, uint32_t other);
void tell_address(struct work *, enum step_kind, uint32_t number, uint32_t other,
                  const uint8_t *address);
void tell_route(struct work *, enum step_kind, uint32_t route, const uint8_t *address);
void tell_check(struct work *, enum step_check, uint32_t vif, const struct cls_verdict *);
void tell_side(struct work *, enum step_kind, unsigned side, uint32_t number, uint32_t other);
#define TELL(k, ...) do { if ((k)->trail) tell((k), __VA_ARGS__); } while (0)
#define TELL_ADDRESS(k, ...) do { if ((k)->trail) tell_address((k), __VA_ARGS__); } while (0)
#define TELL_ROUTE(k, ...) do { if ((k)->trail) tell_route((k), __VA_ARGS__); } while (0)
#define TELL_CHECK(k, ...) do { if ((k)->trail) tell_check((k), __VA_ARGS__); } while (0)
#define TELL_SIDE(k, ...) do { if ((k)->trail) tell_side((k), __VA_ARGS__); } while (0)

#endif

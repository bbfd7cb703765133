/* What decisions on flows read: ports, VRFs, routes, nexthops, labels, services.
 *
 * One thread owns a world; nothing changes it while a decision is made. All that can change a
 * decision leaves a touch (a vif or a route, by its number) that the keeper of the pairs drains.
 * Addresses are in wire order, 4 or 16 bytes; all other numbers in host order. Functions that
 * take memory give 0, or -1 when it ran out or a bound is reached, with nothing changed.
 */
#ifndef VROUTER_FLOW_WORLD_H
#define VROUTER_FLOW_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"

struct classifier;
struct world;

enum {
    WORLD_VIFS = 65536,
    WORLD_VRFS = 65536,
    WORLD_NEXTHOPS = 1 << 21,
    WORLD_MEMBERS = 1024, /* of one composite nexthop */
    WORLD_NO_VRF = 0xffff,
    WORLD_ANY_PLACE = -1
};
#define WORLD_NO_LIST 0xffffffffu
#define WORLD_NO_META 0u /* of an address of which nothing is known */

struct world *world_new(const struct classifier *); /* NULL when memory ran out */
void world_free(struct world *);

/* ---- ports: what a vif says of its packets ---- */

enum vif_kind { VIF_OF_VM, VIF_OF_HOST, VIF_OF_FABRIC, VIF_OF_AGENT };
/* Lists of numbers of access lists that a port has, in the order of a decision. */
enum port_list {
    LIST_MIRROR, LIST_NETWORK, LIST_EGRESS, LIST_INGRESS, LIST_FWAAS, LIST_FIREWALL,
    LIST_VRF_ASSIGN, PORT_LISTS
};
enum port_trait {
    TRAIT_POLICY = 1,      /* network policy, groups and firewall decide; else only NAT does */
    TRAIT_GROUPED = 2,     /* in security groups: what none of their rules allows is denied */
    TRAIT_RPF = 4,
    TRAIT_FLOOD = 8,       /* bridged packets to unknown MAC addresses are flooded */
    TRAIT_L2_ACTIVE = 0x10, TRAIT_IP4_ACTIVE = 0x20, TRAIT_IP6_ACTIVE = 0x40,
    TRAIT_BRIDGED = 0x80,  /* its network bridges */
    TRAIT_ROUTED = 0x100   /* its network forwards by IP address */
};
struct port_numbers {
    const uint32_t *items;
    uint32_t count;
};
struct port_address {
    uint8_t family; /* FLOW_INET, FLOW_INET6 or 0: none */
    uint8_t bytes[16];
};
struct port_mapping {
    uint16_t public_port, private_port;
    uint8_t proto;
};
/* `address` (of VRF `vrf`) stands for `fixed`; `meta` and `network` (a list's number or
 * WORLD_NO_LIST) are those of its network. */
struct port_floating {
    struct port_address address, fixed;
    bool inbound, outbound;
    bool mapped; /* only the ports of `mappings` */
    uint32_t vrf, meta, network, mapping_count;
    const struct port_mapping *mappings;
};
struct port_alias {
    struct port_address address;
    uint32_t vrf, meta, network;
};
enum fat_ignore { FAT_NOTHING, FAT_SOURCE, FAT_DESTINATION };
/* Facts of a fat flow; a length of 0 aggregates no addresses on that side. */
struct port_fat {
    uint16_t port; /* 0: all */
    uint8_t proto, ignore;
    struct port_address src, dst;
    uint8_t src_plen, src_length, dst_plen, dst_length;
};
struct port_facts {
    uint32_t kind;   /* enum vif_kind */
    uint32_t traits; /* enum port_trait */
    uint32_t vrf;    /* or WORLD_NO_VRF */
    uint32_t key_nexthop;
    uint32_t meta;   /* its own network, groups and tags */
    uint32_t vm;     /* a number that its VM's ports share; 0: none */
    uint32_t max_flows;
    uint8_t mac[6];
    struct port_address address, address6; /* its primary ones */
    struct port_address link_local;        /* the host's name for it */
    struct port_numbers lists[PORT_LISTS];
    const struct port_address *gateways; /* gateway and DNS addresses of its subnets */
    const struct port_floating *floating;
    const struct port_alias *aliases;
    const struct port_fat *fat;
    uint32_t gateway_count, floating_count, alias_count, fat_count;
};
/* Put a port or replace it; everything is copied. */
int world_put_port(struct world *, uint32_t vif, const struct port_facts *);
void world_drop_port(struct world *, uint32_t vif);
bool world_has_port(const struct world *, uint32_t vif);
/* Some rules of a list changed: touch the ports that have it. */
void world_touch_list(struct world *, uint32_t list);

/* ---- VRFs, routes, nexthops, labels ---- */

/* `name` orders VRFs where several floating IPs lead equally far. */
int world_put_vrf(struct world *, uint32_t vrf, const char *name, size_t length);
void world_drop_vrf(struct world *, uint32_t vrf);
bool world_has_vrf(const struct world *, uint32_t vrf);

/* What is known of remote addresses: sets of the classifier, interned. A meta lives as long
 * as the world; metas are few (combinations of networks, groups and tags). */
int world_meta(struct world *, uint32_t networks, uint32_t groups, uint32_t tags,
               uint32_t *number);

/* A route of an existing VRF; `label` 0xffffffff: none. `key` is 4 or 16 bytes and its bits
 * beyond `length` are clear. */
int world_put_route(struct world *, uint32_t vrf, uint8_t family, const uint8_t *key,
                    unsigned length, uint32_t nexthop, uint32_t label, uint32_t meta);
int world_drop_route(struct world *, uint32_t vrf, uint8_t family, const uint8_t *key,
                     unsigned length);
int world_put_bridge(struct world *, uint32_t vrf, const uint8_t *mac, uint32_t nexthop,
                     uint32_t label, uint32_t meta);
void world_drop_bridge(struct world *, uint32_t vrf, const uint8_t *mac);

/* As in vr_nexthop_req; members may be missing (< 0) and may not exist. */
struct nexthop_facts {
    uint8_t type, family;
    uint32_t flags;
    int32_t vif, vrf;
    uint32_t tunnel_destination; /* host order */
    uint8_t hash_fields;
    const int32_t *members, *labels;
    uint32_t member_count;
};
int world_put_nexthop(struct world *, uint32_t number, const struct nexthop_facts *);
void world_drop_nexthop(struct world *, uint32_t number);
int world_put_label(struct world *, uint32_t label, uint32_t nexthop);
void world_drop_label(struct world *, uint32_t label);
int world_put_vni(struct world *, uint32_t vni, uint32_t nexthop);
void world_drop_vni(struct world *, uint32_t vni);

/* Where a packet of the fabric lands by its label or VNI: for the parser of trapped packets.
 * `vif` FLOW_NONE: the routes of `vrf` say. False: nothing is known of it. */
struct landing {
    uint32_t nexthop, vif, vrf;
    bool is_l2, control_word;
};
bool world_landing(const struct world *, uint8_t tunnel, uint32_t label, struct landing *);

/* ---- the host ---- */

struct link_local_service {
    uint8_t address[4];
    uint16_t port, server_port;
    uint32_t server_count;
    const uint8_t (*servers)[4];
};
int world_set_services(struct world *, const struct link_local_service *, size_t count);
/* The host's own address, its vif and the VRF of the fabric. */
void world_set_host(struct world *, const uint8_t *router_id, uint32_t vif, uint32_t vrf);
struct world_limits {
    uint32_t vmi_flows, vm_flows;          /* 0: no limit */
    uint32_t link_local_flows, vm_link_local_flows;
};
void world_set_limits(struct world *, const struct world_limits *);
/* What bounds the flows of a port, the global limits taken in; 0: no limit. */
struct port_limits {
    uint32_t vm, vmi_flows, vm_flows;
};
bool world_port_limits(const struct world *, uint32_t vif, struct port_limits *);

/* Ports of the host that NAT to link-local services may take: sockets are bound to them. */
int world_give_port(struct world *, uint8_t proto, uint16_t port);
/* The socket goes: no flow takes it any more. False while a flow has it or when unknown. */
bool world_withdraw_port(struct world *, uint8_t proto, uint16_t port);
uint32_t world_free_ports(const struct world *, uint8_t proto);
/* A flow with PAIR_BOUND_PORT ended or is decided anew without it: `proto` is its protocol. */
void world_return_port(struct world *, uint8_t proto, uint16_t port);

/* ---- touches ---- */

enum touch_kind {
    TOUCH_VIF,      /* decide anew what reads vif `number` */
    TOUCH_VIF_GONE, /* and end it: the port is no more */
    TOUCH_ROUTE,    /* decide anew what reads route `number` */
    TOUCH_ALL       /* the log was too short, or everything changed */
};
struct touch {
    uint32_t kind, number;
};
/* Move up to `room` touches out of the log, oldest first; how many. Call until 0. */
size_t world_drain(struct world *, struct touch *touches, size_t room);

struct world_sizes {
    size_t ports, vrfs, routes, bridges, nexthops, labels, metas, memory;
};
void world_sizes(const struct world *, struct world_sizes *);

#endif

/* The inside of a world. */
#ifndef VROUTER_FLOW_STATE_H
#define VROUTER_FLOW_STATE_H

#include "classifier/classifier.h"
#include "lpm/lpm.h"
#include "map.h"
#include "world.h"

/* Values of the datapath (facts datapath-behaviour.md 3). */
enum {
    NEXTHOP_DEAD, NEXTHOP_RECEIVE, NEXTHOP_ENCAP, NEXTHOP_TUNNEL, NEXTHOP_RESOLVE,
    NEXTHOP_DISCARD, NEXTHOP_COMPOSITE, NEXTHOP_VRF, NEXTHOP_L2_RECEIVE
};
enum {
    NHF_VALID = 1, NHF_POLICY = 2, NHF_MCAST = 0x20, NHF_ECMP = 0x400, NHF_LU_ECMP = 0x800,
    NHF_FLOOD = 0x10000, NHF_CONTROL_WORD = 0x800000
};
enum { FAMILY_BRIDGE = 7, PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMP6 = 58 };

enum table_kind { TABLE_INET, TABLE_INET6, TABLE_BRIDGE, TABLES };
enum { INET_TABLES = TABLE_BRIDGE };

enum route_flag {
    ROUTE_USED = 1,
    ROUTE_READ = 2,   /* since the last touch a decision was told that it read this */
    ROUTE_WIDE = 4,   /* and one that cannot name it: its port is touched instead */
    ROUTE_NOTHING = 8 /* stands for all that the table has no route for */
};
struct route {
    uint32_t nexthop, meta, label;
    uint32_t next, previous; /* of those with the same nexthop; FLOW_NONE: the end */
    uint16_t vrf;
    uint8_t length, flags;
};

struct vrf {
    char *name;
    size_t name_size;
    struct lpm table[INET_TABLES];
    bool has[INET_TABLES];
    bool read[TABLES];            /* some decision ever looked here */
    uint32_t nothing[TABLES];     /* routes */
};

struct member {
    int32_t nexthop, label;
};
struct nexthop {
    uint8_t type, family, hash_fields;
    bool known;
    bool landed;                  /* since the last touch a decision came in by its label */
    uint32_t flags;
    int32_t vif, vrf;
    uint32_t tunnel_destination;
    uint32_t routes;              /* the first that leads here, or FLOW_NONE */
    uint32_t parents;             /* places in composites that name it */
    uint32_t composite;           /* its own place in world->composites */
    uint32_t member_count;
    struct member *members;
};

struct meta {
    uint32_t networks, groups, tags;
};

/* A port and all that it points to are one piece of memory. */
struct port {
    struct port_facts is;
    uint32_t vif;
    uint32_t vm; /* place in world->vms, or FLOW_NONE */
    bool aggregates; /* some fat flow hides addresses */
};

struct vm {
    uint32_t number, ports, bound; /* bound: ports of the host that its flows have */
};

enum pool_state { POOL_UNKNOWN, POOL_FREE, POOL_TAKEN, POOL_WITHDRAWN };
/* Ports of the host, by protocol. */
struct pool {
    uint16_t *free;   /* a stack; may hold ports withdrawn since */
    uint8_t *state;   /* of every port */
    uint32_t *owner;  /* place of the VM that has a taken one, or FLOW_NONE */
    uint32_t free_count, known, taken;
};
enum { POOL_TCP, POOL_UDP, POOLS };

enum { TOUCHES = 4096 };
struct touch_log {
    struct touch items[TOUCHES];
    uint32_t first, count;
    bool lost; /* one more than the log holds: everything is touched */
};

struct service_servers {
    struct link_local_service is;
    uint8_t (*servers)[4];
};

struct world {
    const struct classifier *classifier;
    struct port **ports; /* WORLD_VIFS */
    struct vrf **vrfs;   /* WORLD_VRFS */
    bool *missed;        /* WORLD_VRFS: decisions asked for one that was not there */
    uint32_t port_count, vrf_count, port_top;

    struct route *routes;
    uint32_t route_room, route_top, route_free, route_count;
    struct map bridge; /* VRF and MAC address to route */

    struct nexthop *nexthops;
    uint32_t nexthop_room, nexthop_count;
    uint32_t *composites; /* numbers of those that are ECMP composites */
    uint32_t composite_count, composite_room;
    struct map labels, vnis;

    struct meta *metas;
    uint32_t meta_count, meta_room;
    struct map meta_pairs, meta_numbers;

    struct vm *vms;
    uint32_t vm_room, vm_free;
    struct map vm_numbers;

    struct service_servers *services;
    uint32_t service_count;
    struct pool pools[POOLS];
    uint32_t bound; /* ports of the host that flows have */

    uint8_t router_id[4];
    uint32_t host_vif, fabric_vrf;
    struct world_limits limits;
    struct touch_log log;
};

static inline unsigned family_table(uint8_t family)
{
    return family == FLOW_INET6 ? TABLE_INET6 : TABLE_INET;
}

static inline size_t family_size(uint8_t family)
{
    return family == FLOW_INET6 ? 16 : 4;
}

static inline const struct port *world_port(const struct world *world, uint32_t vif)
{
    return vif < WORLD_VIFS ? world->ports[vif] : NULL;
}

static inline struct vrf *world_vrf(const struct world *world, uint32_t vrf)
{
    return vrf < WORLD_VRFS ? world->vrfs[vrf] : NULL;
}

/* A nexthop that is there, or NULL. */
static inline const struct nexthop *world_nexthop(const struct world *world, uint32_t number)
{
    return number < world->nexthop_room && world->nexthops[number].known
               ? &world->nexthops[number] : NULL;
}

static inline const struct meta *world_meta_at(const struct world *world, uint32_t number)
{
    return &world->metas[number < world->meta_count ? number : WORLD_NO_META];
}

static inline bool is_ecmp(const struct nexthop *nh)
{
    return nh->type == NEXTHOP_COMPOSITE && (nh->flags & NHF_ECMP);
}

static inline uint64_t bridge_key(uint32_t vrf, const uint8_t *mac)
{
    uint64_t key = vrf;
    for (int i = 0; i < 6; i++)
        key = key << 8 | mac[i];
    return key;
}

/* touch.c */
void touch_vif(struct world *, uint32_t vif, enum touch_kind);
/* Forgets who read the route: they will, once more, when they are decided anew. */
void touch_route(struct world *, uint32_t route);
void touch_lookers(struct world *, uint32_t vrf); /* the ports that look routes up there */
void touch_all(struct world *);

/* landing.c */
uint32_t landing_nexthop(const struct world *, uint8_t tunnel, uint32_t label); /* or FLOW_NONE */

/* nexthops.c */
int nexthop_room(struct world *, uint32_t number); /* so that links to it cannot fail */
void nexthops_free(struct world *);
void nexthop_link(struct world *, uint32_t route);
void nexthop_unlink(struct world *, uint32_t route);

/* routes.c */
void routes_free(struct world *);

/* pool.c */
uint32_t vm_enter(struct world *, uint32_t number); /* its place, or FLOW_NONE */
void vm_leave(struct world *, uint32_t place);
/* A free port for a VM's flow within the limits, or 0. */
uint16_t pool_take(struct world *, uint8_t proto, uint32_t vm);
/* Whether a flow of this VM has that port already. */
bool pool_has(const struct world *, uint8_t proto, uint16_t port, uint32_t vm);
void pools_free(struct world *);

/* services.c */
void services_free(struct world *);

#endif

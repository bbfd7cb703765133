/* The router: its tables and what the pipelines share. */
#ifndef FORWARDING_DP_H
#define FORWARDING_DP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "drop_log.h"
#include "flow_set.h"
#include "packet.h"
#include "parked.h"
#include "table_flow.h"
#include "table_hash.h"
#include "table_route.h"
#include "wire.h"

enum { FRAMING_NONE, FRAMING_PLAIN, FRAMING_VNET, FRAMING_PKT0 };
enum { SERVICE_VLANS = 1024, BATCH = 64, ENCAP_MAX = 64, DEPTH_LIMIT = 16, PEER_MAX = 108 };

enum {
    VC_IBYTES, VC_IPACKETS, VC_IERRORS, VC_OBYTES, VC_OPACKETS, VC_OERRORS, VC_DEV_IERRORS,
    VC_DEV_OERRORS, VC_RECONNECTS, VIF_COUNTERS,
};

struct service_vlan { uint16_t vrf; uint32_t nh; };

struct vif {
    uint32_t idx, type, flags;
    uint16_t vrf, mcast_vrf;
    uint32_t nh, mtu;
    int32_t parent, cross, os_idx;
    uint16_t vlan_id, ovlan_id;
    uint32_t ip;
    uint8_t mac[6];
    char name[64];
    struct vif **subs;              /* by received tag, 4096 slots, or NULL */
    struct service_vlan *vlans;     /* by tag, SERVICE_VLANS slots, or NULL */
    int fd;
    int framing;
    bool packet_socket;             /* VLAN tags arrive beside the frame */
    char peer[PEER_MAX];
    uint64_t next_connect;          /* monotonic ns */
    uint64_t counters[VIF_COUNTERS];
    uint64_t drops[DROP_REASONS];
    struct vif_extras *extras;      /* mirroring and fat flows, or NULL (vif_extras.h) */
};

struct nexthop {
    uint32_t id, type, family, flags;
    int32_t vrf;
    int32_t oif;
    uint32_t tun_sip, tun_dip;      /* little-endian image is the address */
    uint16_t tun_sport, tun_dport;
    uint32_t ecmp_hash, count;
    uint8_t encap_len, encap[ENCAP_MAX];
    uint8_t rw_dst_mac[6];
    struct component { int32_t nh, label; } *components;
};

struct vrf {
    struct route_table inet, inet6;
    uint64_t counters[VS_COUNTERS];
    bool counted;
};

/* Entries that wait for the agent, and how many more may (flow_hold). */
struct flow_holds {
    uint32_t entries, limit;
    uint32_t burst_limit, burst_left, burst_interval, burst_step;   /* interval in ms */
    uint64_t refilled;
};

/* Entries that are on their way out, oldest first. */
enum { FLOW_GRAVES = 16384 };
struct flow_graves {
    struct flow_grave { uint64_t until; uint32_t index; } ring[FLOW_GRAVES];
    uint32_t first, count;
};

/* Frames for the agent: of this turn, and those that its socket had no room for. */
enum { OUTBOX = 64, BACKLOG_MAX = 4096 };
struct outbox {
    struct packet *waiting[OUTBOX];
    uint32_t count;
    struct parked_list backlog;
    struct vif *vif;                /* whose they are */
    bool watched;                   /* the loop waits for room in the socket */
};

/* Traps of flows that were not sent this turn. */
enum { LOST_TRAPS = 2 * BACKLOG_MAX };
struct lost_traps {
    struct lost_trap { uint32_t index; uint8_t gen_id; } trap[LOST_TRAPS];
    uint32_t count;
};

struct captured { struct captured *next; uint32_t vif, len; uint8_t vnet[VNET_LEN], data[]; };

struct datapath {
    pthread_mutex_t turn, lock;     /* whoever holds `turn` gets `lock` next: no starving */
    uint32_t max_vifs, max_vrfs, max_nexthops, max_labels;
    struct vif **vifs;
    struct vif *agent;
    struct vrf **vrfs;
    struct nexthop **nexthops;
    uint32_t *labels;               /* nexthop id + 1, 0 none */
    struct vni_slot { uint32_t vni, nh; } *vnis;   /* open addressing, nh + 1 */
    uint32_t vni_room, vni_used;
    struct route_arena arena;
    struct hash_table flows, bridge;
    struct flow_stats {
        uint64_t processed, deleted, added, created, changed;
    } flow_stats;
    struct packet_pool pool;
    uint64_t drops[DROP_REASONS];
    struct drop_log drop_log;
    uint32_t seed;
    uint64_t now;                   /* monotonic ns at the last lock */
    bool manual_clock;              /* of a test: it moves when it is told to */
    struct flow_holds hold;
    struct flow_graves graves;
    struct outbox outbox;
    struct lost_traps lost;
    struct fragments *fragments;
    struct mirrors *mirrors;
    uint16_t ip_id;
    bool mss_adjust, capture;
    struct parked_list **held;      /* by flow: packets that wait for its action, or NULL */
    uint64_t held_bytes;
    struct captured *caught, **caught_end;
    int epoll, wake;
    atomic_bool running, stopping;
    bool idle;                      /* the loop sleeps until something arrives */
};

/* dp.c */
struct datapath *dp_new(uint32_t vifs, uint32_t vrfs, uint32_t nexthops, uint32_t labels,
                        struct hash_table flows, struct hash_table bridge);
void dp_free(struct datapath *dp);
void dp_lock(struct datapath *dp);
void dp_unlock(struct datapath *dp);
void dp_reset(struct datapath *dp);
struct vrf *dp_vrf(struct datapath *dp, uint32_t vrf);       /* made if needed */
static inline struct nexthop *dp_nexthop(struct datapath *dp, uint32_t id)
{
    return id < dp->max_nexthops ? dp->nexthops[id] : NULL;
}
static inline struct vif *dp_vif(struct datapath *dp, uint32_t idx)
{
    return idx < dp->max_vifs ? dp->vifs[idx] : NULL;
}
void dp_drop(struct datapath *dp, struct packet *p, int reason);   /* counts and frees */
void dp_count_drop(struct datapath *dp, struct vif *in, int reason);
void dp_count_vrf(struct datapath *dp, uint32_t vrf, int counter);
bool dp_run_begin(struct datapath *dp);                       /* false: already running */
void dp_run_end(struct datapath *dp);
void dp_stop(struct datapath *dp);
int vni_set(struct datapath *dp, uint32_t vni, uint32_t nh);
void vni_delete(struct datapath *dp, uint32_t vni);
int64_t vni_get(struct datapath *dp, uint32_t vni);

/* vif.c: configuration and transmission. */
struct vif_config {
    uint32_t idx, type, flags, nh, mtu, ip;
    int32_t vrf, mcast_vrf, parent, cross, os_idx;
    uint16_t vlan_id, ovlan_id;
    uint8_t mac[6];
    char name[64];
};
int vif_set(struct datapath *dp, const struct vif_config *config);
int vif_delete(struct datapath *dp, uint32_t idx);
int vif_attach(struct datapath *dp, uint32_t idx, int fd, int framing, const char *peer);
void vif_detach(struct datapath *dp, struct vif *vif);
int vif_vrf_assign(struct datapath *dp, uint32_t idx, uint32_t vlan, int32_t vrf, uint32_t nh);
struct vif *vif_cross(struct datapath *dp, struct vif *vif);
static inline uint32_t vif_ip_mtu(const struct vif *vif)
{
    return vif->mtu > ETH_LEN ? vif->mtu - ETH_LEN : 0;
}
/* Sends the L2 frame at the data's start; takes the packet. */
void vif_send(struct datapath *dp, struct vif *vif, struct packet *p);

/* device.c: descriptors. */
void device_send(struct datapath *dp, struct vif *vif, struct packet *p);
void device_read_clock(struct datapath *dp);
/* Sends the frames for the agent that this turn brought, and those that wait. */
void device_flush(struct datapath *dp);
/* The vif's descriptor goes: what waits for it is lost, and counted. */
void device_forget_outbox(struct datapath *dp, struct vif *vif);
/* Has the vif a descriptor of a device that still exists? Detaches it if not. */
bool device_is_attached(struct datapath *dp, struct vif *vif);
bool device_connect(struct vif *vif);
int device_greet(struct datapath *dp, uint32_t idx);
void loop_run(struct datapath *dp, int *error);

/* rx.c: where a received frame goes. Takes the packet. */
void receive(struct datapath *dp, struct vif *vif, struct packet *p);
void receive_underlay(struct datapath *dp, struct packet *p);
void cross_connect(struct datapath *dp, struct packet *p);
void deliver_to_host(struct datapath *dp, struct packet *p, struct vif *host);
/* decap.c */
void decapsulate(struct datapath *dp, struct packet *p, struct nexthop *nh);

/* bridge.c, route.c, nexthop.c */
void bridge_input(struct datapath *dp, struct packet *p);
void flood(struct datapath *dp, struct packet *p);
/* Multicast that the ingress vif's flags send to the agent before any lookup. */
bool wanted_by_agent(const struct packet *p);
bool trap_protocols(struct datapath *dp, struct packet *p);
void to_router(struct datapath *dp, struct packet *p);
void route_input(struct datapath *dp, struct packet *p);
const struct route *find_route4(struct datapath *dp, uint32_t vrf, const uint8_t *address);
const struct route *find_route6(struct datapath *dp, uint32_t vrf, const uint8_t *address);
void enter_nexthop(struct datapath *dp, struct packet *p, struct nexthop *nh);
/* Came in on a guest's (or the agent's) vif, not by a tunnel or the wire. */
bool from_guest(const struct packet *p);
bool is_gateway(struct datapath *dp, const struct nexthop *nh);

/* nexthop_set.c */
int nexthop_set(struct datapath *dp, const struct nexthop *config, const int32_t *nh_list,
                const int32_t *label_list, uint32_t nh_count, uint32_t label_count);
int nexthop_delete(struct datapath *dp, uint32_t id);
void nexthop_free(struct nexthop *nh);

/* replicate.c */
void replicate(struct datapath *dp, struct packet *p, struct nexthop *nh);
void choose_ecmp(struct datapath *dp, struct packet *p, struct nexthop *nh);
void find_source(struct datapath *dp, struct packet *p, const struct nexthop *tree);
struct nexthop *broadcast_tree(struct datapath *dp, uint32_t vrf);

/* encap.c */
void tunnel_send(struct datapath *dp, struct packet *p, struct nexthop *nh);
/* The inner IPv4/UDP/VXLAN of a copy for the fabric tree; false without room. */
bool push_tree_header(struct packet *p, const struct nexthop *nh);

/* offload.c */
bool checksum_complete(struct packet *p);
typedef void segment_sink(struct datapath *dp, struct packet *p, void *context);
/* Calls sink for each piece; frees the packet. */
void segment(struct datapath *dp, struct packet *p, segment_sink *sink, void *context);
void fragment_ip4(struct datapath *dp, struct packet *p, uint32_t max, segment_sink *sink,
                  void *context);
void adjust_mss(struct datapath *dp, struct packet *p, bool l2);
bool segmentable(const struct packet *p);

/* arp.c, nd.c: true when the packet was taken, false: bridge it on. */
bool arp_input(struct datapath *dp, struct packet *p, bool to_me);
bool nd_input(struct datapath *dp, struct packet *p, bool to_me);

enum verdict { V_FLOOD, V_DROP, V_CROSS, V_ANSWER };
struct question {
    struct packet *p;
    const struct route *route;      /* of the target, or NULL */
    struct nexthop *nh;             /* of the route, or NULL */
};
enum verdict proxy_verdict(struct datapath *dp, struct question *q, uint8_t mac[6]);
void send_answer(struct datapath *dp, struct packet *asked, struct packet *answer);
bool is_underlay(const struct packet *p);

/* trap.c */
void trap(struct datapath *dp, struct packet *p, uint16_t vrf, int reason, uint32_t param,
          uint32_t param1);
void trap_copy(struct datapath *dp, struct packet *p, uint16_t vrf, int reason, uint32_t param,
               uint32_t param1);

/* A frame for the agent could not be sent: a flow that waits for its answer is given up. */
void trap_lost(struct datapath *dp, const uint8_t *data, uint32_t length);
void trap_settle(struct datapath *dp);

/* learn.c */
void learn_mac(struct datapath *dp, struct packet *p);
void learn_mac_ip(struct datapath *dp, struct packet *p);

/* table_bridge.c */
struct bridge_entry {
    uint32_t index, label, nh;
    uint16_t vrf, flags;
    uint64_t packets;
    uint8_t mac[6];
};
int64_t bridge_find(struct datapath *dp, uint32_t vrf, const uint8_t *mac);
void bridge_read(struct datapath *dp, uint32_t index, struct bridge_entry *out);
int bridge_add(struct datapath *dp, uint32_t vrf, const uint8_t *mac, uint32_t nh, uint32_t label,
               uint16_t flags);
int bridge_delete(struct datapath *dp, uint32_t vrf, const uint8_t *mac);
int64_t bridge_learn(struct datapath *dp, uint32_t vrf, const uint8_t *mac);
void bridge_set_flags(struct datapath *dp, uint32_t index, uint16_t flags);
void bridge_count(struct datapath *dp, uint32_t index);
uint32_t bridge_dump(struct datapath *dp, uint32_t vrf, const uint8_t *marker,
                     struct bridge_entry *out, uint32_t max);

/* table_flow.c: the rest is in table_flow.h; here what only the messages use. */
uint8_t *flow_active(struct datapath *dp, int32_t index);   /* NULL: no such entry in use */
int64_t flow_take(struct datapath *dp, const uint8_t *key, uint32_t length,
                  struct flow_predecessor *before);
void flow_enter_hold(struct datapath *dp);
void flow_leave_hold(struct datapath *dp);
void flow_set_hold_limits(struct datapath *dp, uint32_t limit, uint32_t tokens,
                          uint32_t interval_ms, uint32_t step);
void flow_evict_now(struct datapath *dp, uint8_t *entry, uint32_t index);
bool flow_reclaim_oldest(struct datapath *dp);
/* Frees all entries; their generations go on. */
void flow_reset(struct datapath *dp);

#endif

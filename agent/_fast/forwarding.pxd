"""C declarations of the forwarder's data plane (agent/_fast/src/forwarding)."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "drop_log.h" nogil:
    enum:
        C_DROP_NOTES "DROP_NOTES"

    struct drop_note:
        pass

    struct c_drop_log "drop_log":
        uint64_t written
        uint64_t cleared
        uint8_t only
        bint brief

    uint32_t drop_log_read(const c_drop_log *, uint32_t, drop_note *, uint32_t)


cdef extern from "dp.h" nogil:
    enum:
        C_FRAMING_PLAIN "FRAMING_PLAIN"
        C_FRAMING_VNET "FRAMING_VNET"
        C_FRAMING_PKT0 "FRAMING_PKT0"
        DROP_REASON_COUNT "DROP_REASONS"
        VIF_COUNTER_COUNT "VIF_COUNTERS"
        VRF_COUNTER_COUNT "VS_COUNTERS"
        ENCAP_MAX
        PEER_MAX
        HEADROOM
        FRAME_MAX
        VNET_LEN
        AF_V4
        AF_V6
        DROP_NO_MEMORY

    struct hash_table:
        uint8_t *base
        uint32_t main
        uint32_t total
        uint32_t used
        uint32_t overflow_used
        uint32_t *free

    struct route_key:
        uint64_t hi
        uint64_t lo

    struct c_route "route":
        uint32_t nh
        uint32_t label
        uint8_t flags
        uint8_t stored
        uint8_t mac[6]

    struct route_table:
        uint32_t root
        uint32_t count
        bint exists

    struct route_leaf:
        route_key key
        uint8_t plen
        c_route route

    struct route_arena:
        uint32_t used

    struct c_vif_extras "vif_extras"

    struct c_vif "vif":
        uint32_t idx
        uint32_t type
        uint32_t flags
        uint16_t vrf
        uint16_t mcast_vrf
        uint32_t nh
        uint32_t mtu
        int32_t parent
        int32_t cross
        int32_t os_idx
        uint16_t vlan_id
        uint16_t ovlan_id
        uint32_t ip
        uint8_t mac[6]
        char *name
        int fd
        uint64_t *counters
        uint64_t *drops
        c_vif_extras *extras

    struct c_vrf "vrf":
        route_table inet
        route_table inet6
        uint64_t *counters
        bint counted

    struct nexthop:
        uint32_t id
        uint32_t type
        uint32_t family
        uint32_t flags
        int32_t vrf
        int32_t oif
        uint32_t tun_sip
        uint32_t tun_dip
        uint16_t tun_sport
        uint16_t tun_dport
        uint32_t ecmp_hash
        uint8_t encap_len
        uint8_t *encap
        uint8_t *rw_dst_mac

    struct vif_config:
        uint32_t idx
        uint32_t type
        uint32_t flags
        uint32_t nh
        uint32_t mtu
        uint32_t ip
        int32_t vrf
        int32_t mcast_vrf
        int32_t parent
        int32_t cross
        int32_t os_idx
        uint16_t vlan_id
        uint16_t ovlan_id
        uint8_t *mac
        char *name

    struct packet:
        uint32_t off
        uint32_t len
        uint8_t *buf

    struct packet_pool:
        uint32_t made

    struct captured:
        captured *next
        uint32_t vif
        uint32_t len
        uint8_t *vnet
        uint8_t *data

    struct flow_stats:
        uint64_t processed
        uint64_t deleted
        uint64_t added
        uint64_t created
        uint64_t changed

    struct bridge_entry:
        uint32_t index
        uint32_t label
        uint32_t nh
        uint16_t vrf
        uint16_t flags
        uint64_t packets
        uint8_t *mac

    struct flow_request:
        int32_t index
        int32_t rindex
        int32_t ecmp_nh
        int32_t underlay_ecmp
        uint32_t src_nh
        uint8_t gen_id
        uint8_t ttl
        uint8_t drop_reason
        uint8_t mirror
        uint8_t sec_mirror
        uint16_t flags
        uint16_t flags1
        uint16_t action
        uint16_t vrf
        uint16_t dvrf
        uint16_t extflags
        int16_t qos
        uint32_t mirror_wanted
        uint32_t sec_mirror_wanted
        uint8_t *key
        uint8_t *rkey
        uint32_t key_len
        const uint8_t *meta
        uint32_t meta_len

    struct flow_holds:
        uint32_t entries
        uint32_t burst_left

    struct flow_graves:
        uint32_t count

    struct flow_answer:
        int code
        int32_t index
        uint8_t gen_id
        uint32_t bytes
        uint32_t packets
        uint32_t oflow
        uint32_t flags

    struct datapath:
        uint32_t max_vifs
        uint32_t max_vrfs
        uint32_t max_nexthops
        uint32_t max_labels
        c_vif **vifs
        c_vrf **vrfs
        nexthop **nexthops
        uint32_t *labels
        route_arena arena
        hash_table flows
        hash_table bridge
        flow_stats flow_stats
        packet_pool pool
        uint64_t *drops
        c_drop_log drop_log
        uint32_t seed
        uint64_t now
        bint manual_clock
        flow_holds hold
        flow_graves graves
        bint mss_adjust
        bint capture
        captured *caught
        captured **caught_end
        int wake

    datapath *dp_new(uint32_t, uint32_t, uint32_t, uint32_t, hash_table, hash_table)
    void dp_free(datapath *)
    void dp_lock(datapath *)
    void dp_unlock(datapath *)
    void dp_reset(datapath *)
    c_vrf *dp_vrf(datapath *, uint32_t)
    nexthop *dp_nexthop(datapath *, uint32_t)
    c_vif *dp_vif(datapath *, uint32_t)
    void dp_count_drop(datapath *, c_vif *, int)
    bint dp_run_begin(datapath *)
    void dp_run_end(datapath *)
    void dp_stop(datapath *)

    int c_vif_set "vif_set"(datapath *, const vif_config *)
    int c_vif_delete "vif_delete"(datapath *, uint32_t)
    int c_vif_attach "vif_attach"(datapath *, uint32_t, int, int, const char *)
    int device_greet(datapath *, uint32_t)
    bint device_is_attached(datapath *, c_vif *)
    void c_vif_detach "vif_detach"(datapath *, c_vif *)
    int c_vif_vrf_assign "vif_vrf_assign"(datapath *, uint32_t, uint32_t, int32_t, uint32_t)
    int c_nexthop_set "nexthop_set"(
        datapath *, const nexthop *, const int32_t *, const int32_t *, uint32_t, uint32_t)
    int c_nexthop_delete "nexthop_delete"(datapath *, uint32_t)
    int vni_set(datapath *, uint32_t, uint32_t)
    void vni_delete(datapath *, uint32_t)
    int64_t vni_get(datapath *, uint32_t)

    bint route_insert(route_arena *, route_table *, route_key, unsigned, const c_route *)
    void route_remove(route_arena *, route_table *, route_key, unsigned, const c_route *)
    const c_route *route_find(const route_arena *, const route_table *, route_key)
    uint32_t route_leaves(
        const route_arena *, const route_table *, unsigned, route_key, route_leaf *, uint32_t)

    bint hash_init(hash_table *, uint8_t *, size_t, uint32_t, uint32_t)
    int64_t bridge_find(datapath *, uint32_t, const uint8_t *)
    void bridge_read(datapath *, uint32_t, bridge_entry *)
    int c_bridge_add "bridge_add"(
        datapath *, uint32_t, const uint8_t *, uint32_t, uint32_t, uint16_t)
    int c_bridge_delete "bridge_delete"(datapath *, uint32_t, const uint8_t *)
    uint32_t c_bridge_dump "bridge_dump"(
        datapath *, uint32_t, const uint8_t *, bridge_entry *, uint32_t)
    void c_flow_set "flow_set"(datapath *, const flow_request *, flow_answer *)
    uint32_t flow_put_key(
        uint8_t *, int32_t, uint8_t, uint16_t, uint16_t, uint32_t, const uint64_t *)
    void flow_set_hold_limits(datapath *, uint32_t, uint32_t, uint32_t, uint32_t)

    packet *packet_take(packet_pool *)
    void packet_load_vnet(packet *, const uint8_t *)
    void c_receive "receive"(datapath *, c_vif *, packet *)
    void loop_run(datapath *, int *)
    uint64_t get64(const uint8_t *)
    uint32_t get32(const uint8_t *)
    void put64(uint8_t *, uint64_t)
    void put32(uint8_t *, uint32_t)
    uint16_t checksum_of(const uint8_t *, size_t, uint64_t)


cdef extern from "flow_control.h" nogil:
    enum:
        FLOW_REPLY
        FLOW_PAYLOAD
    size_t c_flow_serve "flow_serve"(
        datapath *, const uint8_t *, size_t, size_t *, uint8_t *, size_t)
    bint c_flow_serve_one "flow_serve_one"(datapath *, const uint8_t *, size_t, uint8_t *)


cdef extern from "mirror.h" nogil:
    int c_mirror_set "mirror_set"(datapath *, uint32_t, uint32_t, uint32_t, uint32_t)
    int c_mirror_delete "mirror_delete"(datapath *, uint32_t)


cdef extern from "vif_extras.h" nogil:
    enum:
        META_MAX
        FAT_RULES_MAX
        FAT_EXCLUDES_MAX

    struct fat_prefix:
        uint8_t *address
        uint8_t bits
        uint8_t keep

    struct fat_rule:
        uint16_t port
        uint8_t proto
        uint8_t ignore
        uint8_t family
        bint by_source
        bint by_destination
        fat_prefix source
        fat_prefix destination

    struct fat_exclude:
        uint8_t family
        uint8_t bits
        uint8_t *address

    struct c_vif_extras "vif_extras":
        uint8_t mirror
        uint16_t in_length
        uint16_t out_length
        uint8_t *in_meta
        uint8_t *out_meta
        uint32_t rules
        uint32_t excludes
        fat_rule *rule
        fat_exclude *exclude

    c_vif_extras *vif_extras(datapath *, uint32_t)


cdef extern from "fat_flow.h" nogil:
    void fat_flow_apply(const c_vif *, bint, uint8_t *)

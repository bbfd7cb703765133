"""C declarations of the world that flows are decided in (agent/_fast/src/flow_world)."""

from libc.stdint cimport int8_t, int16_t, int32_t, uint8_t, uint16_t, uint32_t

from agent._fast.classifier cimport Classifier, classifier


cdef extern from "flow.h" nogil:
    enum:
        FLOW_NONE
        FLOW_KEY
        FLOW_KEY_INET
        FLOW_INET
        FLOW_INET6
        FLOW_FORWARD
        FLOW_REVERSE
        FLOW_SIDES
        FLOW_READS
        FLOW_NO_MIRROR
        PAIR_SHORT
        PAIR_BOUND_PORT
        REASON_MAX

    struct flow_packet:
        uint32_t vif
        uint32_t vrf
        uint32_t index
        uint32_t key_nexthop
        uint8_t gen_id
        uint8_t family
        uint8_t proto
        uint8_t tcp_ack
        uint8_t sport[2]
        uint8_t dport[2]
        uint8_t src[16]
        uint8_t dst[16]
        uint8_t smac[6]
        uint8_t dmac[6]
        uint8_t tunnel
        uint8_t is_l2
        uint32_t label
        uint32_t tunnel_source

    struct flow_side:
        uint8_t key[44]
        uint32_t src_nexthop
        uint16_t flags
        uint16_t vrf
        uint16_t dvrf
        uint8_t action
        uint8_t reason
        uint8_t ttl
        int8_t ecmp
        uint8_t mirror
        uint8_t sec_mirror
        int16_t qos
        uint32_t policy_rule
        uint32_t sg_rule

    struct flow_decision:
        flow_side side[2]
        uint32_t reads[5]
        uint16_t flags
        uint16_t bound_port


cdef extern from "world.h" nogil:
    enum:
        WORLD_VIFS
        WORLD_VRFS
        WORLD_NEXTHOPS
        WORLD_MEMBERS
        WORLD_NO_VRF
        WORLD_NO_LIST
        WORLD_NO_META
        VIF_OF_VM
        VIF_OF_HOST
        VIF_OF_FABRIC
        VIF_OF_AGENT
        TRAIT_POLICY
        TRAIT_GROUPED
        TRAIT_RPF
        TRAIT_FLOOD
        TRAIT_L2_ACTIVE
        TRAIT_IP4_ACTIVE
        TRAIT_IP6_ACTIVE
        TRAIT_BRIDGED
        TRAIT_ROUTED
        LIST_MIRROR
        LIST_NETWORK
        LIST_EGRESS
        LIST_INGRESS
        LIST_FWAAS
        LIST_FIREWALL
        LIST_VRF_ASSIGN
        PORT_LISTS

    enum touch_kind:
        TOUCH_VIF
        TOUCH_VIF_GONE
        TOUCH_ROUTE
        TOUCH_ALL

    struct world:
        pass

    struct port_numbers:
        const uint32_t *items
        uint32_t count

    struct port_address:
        uint8_t family
        uint8_t bytes[16]

    struct port_mapping:
        uint16_t public_port
        uint16_t private_port
        uint8_t proto

    struct port_floating:
        port_address address
        port_address fixed
        bint inbound
        bint outbound
        bint mapped
        uint32_t vrf
        uint32_t meta
        uint32_t network
        uint32_t mapping_count
        const port_mapping *mappings

    struct port_alias:
        port_address address
        uint32_t vrf
        uint32_t meta
        uint32_t network

    struct port_fat:
        uint16_t port
        uint8_t proto
        uint8_t ignore
        port_address src
        port_address dst
        uint8_t src_plen
        uint8_t src_length
        uint8_t dst_plen
        uint8_t dst_length

    struct port_facts:
        uint32_t kind
        uint32_t traits
        uint32_t vrf
        uint32_t key_nexthop
        uint32_t meta
        uint32_t vm
        uint32_t max_flows
        uint8_t mac[6]
        port_address address
        port_address address6
        port_address link_local
        port_numbers lists[7]
        const port_address *gateways
        const port_floating *floating
        const port_alias *aliases
        const port_fat *fat
        uint32_t gateway_count
        uint32_t floating_count
        uint32_t alias_count
        uint32_t fat_count

    struct nexthop_facts:
        uint8_t type
        uint8_t family
        uint32_t flags
        int32_t vif
        int32_t vrf
        uint32_t tunnel_destination
        uint8_t hash_fields
        const int32_t *members
        const int32_t *labels
        uint32_t member_count

    ctypedef struct c_landing "struct landing":
        uint32_t nexthop
        uint32_t vif
        uint32_t vrf
        bint is_l2
        bint control_word

    struct link_local_service:
        uint8_t address[4]
        uint16_t port
        uint16_t server_port
        uint32_t server_count
        const uint8_t (*servers)[4]

    struct world_limits:
        uint32_t vmi_flows
        uint32_t vm_flows
        uint32_t link_local_flows
        uint32_t vm_link_local_flows

    struct port_limits:
        uint32_t vm
        uint32_t vmi_flows
        uint32_t vm_flows

    struct touch:
        uint32_t kind
        uint32_t number

    ctypedef struct c_sizes "struct world_sizes":
        size_t ports
        size_t vrfs
        size_t routes
        size_t bridges
        size_t nexthops
        size_t labels
        size_t metas
        size_t memory

    world *world_new(const classifier *)
    void world_free(world *)
    int world_put_port(world *, uint32_t, const port_facts *)
    void world_drop_port(world *, uint32_t)
    bint world_has_port(const world *, uint32_t)
    void world_touch_list(world *, uint32_t)
    int world_put_vrf(world *, uint32_t, const char *, size_t)
    void world_drop_vrf(world *, uint32_t)
    bint world_has_vrf(const world *, uint32_t)
    int world_meta(world *, uint32_t, uint32_t, uint32_t, uint32_t *)
    int world_put_route(world *, uint32_t, uint8_t, const uint8_t *, unsigned, uint32_t,
                        uint32_t, uint32_t)
    int world_drop_route(world *, uint32_t, uint8_t, const uint8_t *, unsigned)
    int world_put_bridge(world *, uint32_t, const uint8_t *, uint32_t, uint32_t, uint32_t)
    void world_drop_bridge(world *, uint32_t, const uint8_t *)
    int world_put_nexthop(world *, uint32_t, const nexthop_facts *)
    void world_drop_nexthop(world *, uint32_t)
    int world_put_label(world *, uint32_t, uint32_t)
    void world_drop_label(world *, uint32_t)
    int world_put_vni(world *, uint32_t, uint32_t)
    void world_drop_vni(world *, uint32_t)
    bint world_landing(const world *, uint8_t, uint32_t, c_landing *)
    int world_set_services(world *, const link_local_service *, size_t)
    void world_set_host(world *, const uint8_t *, uint32_t, uint32_t)
    void world_set_limits(world *, const world_limits *)
    bint world_port_limits(const world *, uint32_t, port_limits *)
    int world_give_port(world *, uint8_t, uint16_t)
    bint world_withdraw_port(world *, uint8_t, uint16_t)
    uint32_t world_free_ports(const world *, uint8_t)
    void world_return_port(world *, uint8_t, uint16_t)
    size_t world_drain(world *, touch *, size_t)
    void c_world_sizes "world_sizes"(const world *, c_sizes *)


cdef extern from "decide.h" nogil:
    enum:
        STEP_LIST

    struct flow_before:
        int8_t ecmp[2]
        uint16_t bound_port

    struct flow_step:
        uint32_t kind
        uint32_t number
        uint32_t other
        uint32_t port
        uint16_t actions
        uint8_t which
        uint8_t family
        uint8_t length
        uint8_t address[16]

    struct flow_trail:
        uint32_t count
        flow_step steps[64]

    void flow_decide(world *, const flow_packet *, const flow_before *, flow_decision *)
    void flow_explain(world *, const flow_packet *, const flow_before *, flow_decision *,
                      flow_trail *)


cdef extern from "message.h" nogil:
    enum:
        FLOW_MESSAGE

    void flow_encode(uint8_t *, const flow_decision *, unsigned, uint32_t, uint8_t, uint32_t)
    void flow_encode_delete(uint8_t *, const uint8_t *, uint32_t, uint8_t)


cdef class World:
    cdef world *world                # for kernels that decide; never NULL
    cdef readonly Classifier classifier

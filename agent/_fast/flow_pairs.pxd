from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "flow.h" nogil:
    enum:
        FLOW_NONE
        FLOW_KEY
        FLOW_SIDES
        FLOW_READS

    cdef struct flow_side:
        uint8_t key[44]
        uint32_t src_nexthop
        uint16_t flags
        uint16_t vrf
        uint16_t dvrf
        uint8_t action
        uint8_t reason
        uint8_t ttl
        signed char ecmp
        uint8_t mirror
        uint8_t sec_mirror
        short qos
        uint32_t policy_rule
        uint32_t sg_rule

    cdef struct flow_decision:
        flow_side side[2]
        uint32_t reads[5]
        uint16_t flags
        uint16_t bound_port


cdef extern from "flow_pairs/pairs.h" nogil:
    enum:
        PAIR_FREE
        PAIR_SETTING_UP
        PAIR_INSTALLED
        PAIR_ENDING
        END_AGED
        END_EVICTED
        END_SHORT
        END_CLOSED
        END_ASKED

    ctypedef int pair_end "enum pair_end"

    cdef struct pair_side:
        uint64_t bytes
        uint64_t packets
        uint32_t index
        uint32_t last_seen
        uint16_t tcp_flags
        uint8_t gen_id
        uint8_t flags

    cdef struct flow_pair:
        pair_side at[2]
        flow_decision decided "is"
        uint64_t serial
        uint64_t created
        uint32_t vif
        uint16_t vrf
        uint8_t state
        uint8_t tries
        uint8_t asked
        uint8_t end

    cdef struct pairs:
        pass

    cdef struct flow_found:
        uint8_t key[44]
        uint32_t index
        uint32_t reverse
        uint32_t src_nexthop
        uint32_t src_info
        uint64_t bytes
        uint64_t packets
        uint16_t flags
        uint16_t vrf
        uint16_t dvrf
        uint16_t tcp_flags
        uint8_t gen_id
        uint8_t action

    flow_pair *pairs_at(const pairs *pairs, uint32_t number)
    uint32_t pairs_top(const pairs *pairs)
    uint32_t pairs_owner(const pairs *pairs, uint32_t index)
    uint32_t pairs_find(const pairs *pairs, const uint8_t *key, size_t length)
    bint pairs_stats(pairs *pairs, uint32_t pair, int side, uint64_t bytes, uint64_t packets,
                     uint16_t tcp_flags, uint32_t now)
    void pairs_aged(pairs *pairs, uint32_t pair, pair_end why, uint32_t now)
    void pairs_evicted(pairs *pairs, uint32_t pair, int side, uint64_t bytes, uint64_t packets,
                       uint32_t now)
    void pairs_watch(pairs *pairs, const unsigned char *table, uint32_t total)
    void pairs_missing(pairs *pairs, uint32_t pair, int side, uint32_t now)
    bint pairs_unknown(pairs *pairs, const flow_found *found, const flow_found *reverse,
                       uint32_t now)


cdef class FlowPairs:
    cdef pairs *raw
    cdef readonly object world
    cdef object _out
    cdef const uint8_t[::1] _watched
    cdef uint32_t moment(self, double now) except? 0
    cdef flow_pair *pair_at(self, Py_ssize_t pair) noexcept
    cdef dict describe_side(self, flow_pair *pair, int which)
    cdef dict describe_course(self, flow_pair *pair)

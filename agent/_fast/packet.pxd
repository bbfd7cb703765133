from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef extern from "packet.h" nogil:
    enum:
        PKT0_ENCAP
        PKT0_MAX_FRAME
        PKT0_MAX_DATAGRAM
        PKT_STATUS_COUNT
        LAYER_COUNT
        ARP_FRAME_MAX
        PORT_VMI
        PORT_DHCP
        PORT_DHCPV6
        PORT_DNS
        PORT_TUNNEL
        PORT_ANY_GATEWAY
        DHCP_SHORT_HEADER
        DHCP_BAD_COOKIE
        DHCP_MIN_LIMIT

    cdef struct tap_reads:
        unsigned made
        unsigned foreign
        int error

    unsigned tap_read(
        int fd, uint8_t *slots, uint32_t *lengths, unsigned capacity, tap_reads *reads
    )

    cdef enum label_kind:
        LABEL_UNKNOWN

    cdef struct port:
        uint32_t flags
        uint32_t router_id
        const uint32_t *gateways
        size_t gateway_count
        label_kind (*label)(void *labels, uint32_t label) noexcept
        void *labels

    cdef struct span:
        uint32_t offset
        uint32_t length

    cdef struct arp:
        uint16_t op
        uint8_t kind
        uint8_t sender_mac[6]
        uint8_t target_mac[6]
        uint32_t sender
        uint32_t target

    cdef struct dhcp:
        uint8_t status
        uint8_t msg_type
        bint wants_routes
        uint16_t flags
        uint16_t max_size
        uint32_t xid
        uint32_t ciaddr
        uint32_t giaddr
        uint32_t requested
        uint32_t server_id
        uint8_t chaddr[6]
        span host_name
        span domain
        span parameters
        span relay_agent
        span client_id
        span vendor_class

    cdef struct packet:
        uint16_t ifindex
        uint16_t vrf
        uint16_t cmd
        uint32_t param[5]
        uint8_t param_5
        uint8_t module
        uint8_t dst_mac[6]
        uint8_t src_mac[6]
        uint16_t ethertype
        uint16_t vlan_id
        uint8_t vlan_tags
        bint pbb
        uint32_t isid
        uint8_t family
        uint8_t src[16]
        uint8_t dst[16]
        uint8_t proto
        uint8_t ttl
        uint8_t tos
        bint fragment
        bint icmp_error
        uint16_t sport
        uint16_t dport
        bint tcp_ack
        uint8_t icmp_type
        uint8_t icmp_code
        uint8_t tunnel
        uint32_t tunnel_label
        uint32_t tunnel_src
        uint32_t tunnel_dst
        uint32_t l3
        uint32_t l4
        uint32_t data
        uint32_t end
        uint32_t captured
        arp arp
        dhcp dhcp

    int packet_open(packet *p, const uint8_t *frame, size_t length)
    void packet_open_bare(packet *p, size_t length)
    int packet_parse(packet *p, const uint8_t *frame, const port *port)
    const char *packet_status_name(int status)
    const char *packet_layer_name(int layer)
    uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t length)
    uint16_t checksum_fold(uint32_t sum)

    cdef struct arp_frame:
        uint16_t ifindex
        uint16_t vrf
        uint16_t op
        int vlan
        uint8_t eth_dst[6]
        uint8_t eth_src[6]
        uint8_t sender_mac[6]
        uint8_t target_mac[6]
        uint32_t sender
        uint32_t target

    size_t arp_build(uint8_t *out, const arp_frame *frame)

    cdef struct dhcp_answer:
        uint16_t ifindex
        uint16_t vrf
        int vlan
        uint8_t source_mac[6]
        uint32_t source
        uint32_t next_server
        uint32_t address
        const uint8_t *head
        const uint8_t *lease
        const uint8_t *routes
        const uint8_t *router
        const uint8_t *tail
        size_t head_length
        size_t lease_length
        size_t routes_length
        size_t router_length
        size_t tail_length

    size_t dhcp_build_bound(const dhcp_answer *answer)
    size_t dhcp_build(uint8_t *out, const dhcp_answer *answer, const packet *p, uint8_t type)


cdef class Port:
    cdef port raw
    cdef uint32_t *gateways
    cdef dict labels


cdef class FrameBatch:
    cdef uint8_t *arena
    cdef uint32_t *lengths
    cdef void *headers
    cdef void *vectors
    cdef readonly Py_ssize_t capacity
    cdef readonly Py_ssize_t count
    cdef const uint8_t *at(self, Py_ssize_t slot) noexcept


cdef class Packet:
    cdef packet raw
    cdef const uint8_t *frame
    cdef object owner
    cdef bytes span(self, span where)
    cpdef int open(self, frame, bint encapsulated=*) except -1
    cpdef int open_slot(self, FrameBatch batch, Py_ssize_t slot) except -1
    cpdef int parse(self, Port port) except -1
    cpdef bytes arp_reply(self, mac, int vlan=*)
    cpdef int dhcp_kind(self, bytes mac) except -100


cdef class DhcpAnswer:
    cdef dhcp_answer raw
    cdef size_t bound
    cdef tuple parts
    cpdef bytes build(self, Packet request, int type)

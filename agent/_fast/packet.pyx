# cython: language_level=3
"""Trapped packets: parse, classify and answer (facts pkt0-services.md, sections 2, 4, 5 and 6).

The work is done by the C files in src/packet; this module gives it to Python. Verdicts are
integers, 0 for a usable packet: status | layer << 8 | inner << 16.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset, strerror


cdef extern from "sys/uio.h" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len


cdef extern from "unistd.h" nogil:
    Py_ssize_t write(int fd, const void *data, size_t size)


cdef extern from "sys/un.h" nogil:
    cdef struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]


cdef extern from "sys/socket.h" nogil:
    cdef struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    enum:
        AF_UNIX
        AF_UNSPEC
        MSG_DONTWAIT
        MSG_NOSIGNAL
    int connect(int fd, void *address, unsigned int size)
    int recvmmsg(int fd, mmsghdr *messages, unsigned int count, int flags, void *timeout)
    int sendmmsg(int fd, mmsghdr *messages, unsigned int count, int flags)


ENCAPSULATION = PKT0_ENCAP
MAX_FRAME = PKT0_MAX_FRAME
MAX_DATAGRAM = PKT0_MAX_DATAGRAM
STATUS_NAMES = tuple([packet_status_name(i).decode() for i in range(PKT_STATUS_COUNT)])
LAYER_NAMES = tuple([packet_layer_name(i).decode() for i in range(LAYER_COUNT)])

cdef enum:
    SEND_BATCH = 64


cdef label_kind label_of(void *labels, uint32_t label) noexcept:
    """The kind of an MPLS label in the port's dict; called with the GIL held."""
    cdef PyObject *kind
    kind = PyDict_GetItemWithError(<dict>labels, label)
    return <label_kind><int><object>kind if kind is not NULL else LABEL_UNKNOWN


cdef int copy_mac(uint8_t *into, object mac) except -1:
    if not isinstance(mac, bytes) or PyBytes_GET_SIZE(mac) != 6:
        raise ValueError(f"a MAC address has 6 bytes: {mac!r}")
    memcpy(into, PyBytes_AS_STRING(mac), 6)
    return 0


cdef class Port:
    """What classification needs to know of the vif that a packet came in on."""

    def __cinit__(
        self, *, bint vmi=False, bint dhcp=False, bint dhcpv6=False, bint dns=False,
        bint tunnel=False, bint any_gateway=False, uint32_t router_id=0, gateways=(), labels=None,
    ):
        cdef Py_ssize_t at
        addresses = tuple(gateways)
        self.gateways = <uint32_t *>PyMem_Calloc(len(addresses) or 1, sizeof(uint32_t))
        if self.gateways is NULL:
            raise MemoryError()
        for at in range(len(addresses)):
            self.gateways[at] = addresses[at]
        self.labels = {}
        for label, kind in (labels or {}).items():
            if not 0 <= kind <= 3:
                raise ValueError(f"label {label}: unknown kind {kind}")
            self.labels[int(label)] = int(kind)
        memset(&self.raw, 0, sizeof(port))
        self.raw.flags = (
            (PORT_VMI if vmi else 0) | (PORT_DHCP if dhcp else 0)
            | (PORT_DHCPV6 if dhcpv6 else 0) | (PORT_DNS if dns else 0)
            | (PORT_TUNNEL if tunnel else 0) | (PORT_ANY_GATEWAY if any_gateway else 0)
        )
        self.raw.router_id = router_id
        self.raw.gateways = self.gateways
        self.raw.gateway_count = len(addresses)
        self.raw.label = label_of
        self.raw.labels = <void *>self.labels

    def __dealloc__(self):
        PyMem_Free(self.gateways)


cdef class FrameBatch:
    """A reused buffer for the frames of one wake-up."""

    def __cinit__(self, Py_ssize_t capacity=64):
        cdef Py_ssize_t i
        cdef iovec *vectors
        cdef mmsghdr *headers
        if not 0 < capacity <= 1024:
            raise ValueError(f"a batch holds 1 to 1024 frames, not {capacity}")
        self.arena = <uint8_t *>PyMem_Calloc(capacity, PKT0_MAX_FRAME)
        self.lengths = <uint32_t *>PyMem_Calloc(capacity, sizeof(uint32_t))
        self.headers = PyMem_Calloc(capacity, sizeof(mmsghdr))
        self.vectors = PyMem_Calloc(capacity, sizeof(iovec))
        if not (self.arena and self.lengths and self.headers and self.vectors):
            raise MemoryError()
        self.capacity = capacity
        self.count = 0
        vectors = <iovec *>self.vectors
        headers = <mmsghdr *>self.headers
        for i in range(capacity):
            vectors[i].iov_base = self.arena + i * PKT0_MAX_FRAME
            vectors[i].iov_len = PKT0_MAX_FRAME
            headers[i].msg_hdr.msg_iov = &vectors[i]
            headers[i].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        PyMem_Free(self.arena)
        PyMem_Free(self.lengths)
        PyMem_Free(self.headers)
        PyMem_Free(self.vectors)

    cdef const uint8_t *at(self, Py_ssize_t slot) noexcept:
        return self.arena + slot * PKT0_MAX_FRAME

    def __len__(self):
        return self.count

    def receive(self, int fd):
        """Fill the batch with what the socket holds; the number of frames, 0 when it is empty.

        OSError on any error but "try again".
        """
        cdef Py_ssize_t i
        cdef int got, error
        cdef mmsghdr *headers = <mmsghdr *>self.headers
        cdef unsigned int capacity = <unsigned int>self.capacity
        self.count = 0
        with nogil:
            got = recvmmsg(fd, headers, capacity, MSG_DONTWAIT, NULL)
            error = errno
        if got < 0:
            if error == EAGAIN or error == EINTR:
                return 0
            raise OSError(error, strerror(error).decode())
        for i in range(got):
            self.lengths[i] = headers[i].msg_len
        self.count = got
        return got

    def read(self, int fd):
        """Fill the batch from a tap: (reads, those that brought something else than a trap).

        At most as many reads as the batch has room; fewer: the tap is empty. OSError on any
        error but "try again".
        """
        cdef tap_reads reads
        cdef unsigned int capacity = <unsigned int>self.capacity
        self.count = 0
        with nogil:
            self.count = tap_read(fd, self.arena, self.lengths, capacity, &reads)
        if reads.error and not reads.made:
            raise OSError(reads.error, strerror(reads.error).decode())
        return reads.made, reads.foreign

    def fill(self, frames):
        """Replace the content by `frames`; ValueError when they do not fit."""
        cdef Py_ssize_t slot = 0
        cdef bytes raw
        self.count = 0
        for frame in frames:
            raw = bytes(frame)
            if slot == self.capacity or PyBytes_GET_SIZE(raw) > PKT0_MAX_FRAME:
                raise ValueError(f"frame {slot} does not fit into the batch")
            memcpy(self.arena + slot * PKT0_MAX_FRAME, PyBytes_AS_STRING(raw), len(raw))
            self.lengths[slot] = <uint32_t>len(raw)
            slot += 1
        self.count = slot

    def frame(self, Py_ssize_t slot):
        """A copy of one frame."""
        if not 0 <= slot < self.count:
            raise IndexError(f"no frame {slot} in a batch of {self.count}")
        return PyBytes_FromStringAndSize(<const char *>self.at(slot), self.lengths[slot])


def send_frames(int fd, bytes path not None, list frames not None):
    """Send the first frames (64 at most) as datagrams to the AF_UNIX socket at `path`.

    Returns how many left: fewer than offered when the receiver's queue is full. OSError with
    nothing sent on any other error, e.g. when nobody is there.
    """
    cdef mmsghdr headers[SEND_BATCH]
    cdef iovec vectors[SEND_BATCH]
    cdef sockaddr_un address
    cdef unsigned int i, count = <unsigned int>min(len(frames), SEND_BATCH)
    cdef int sent, error
    cdef bytes frame
    if len(path) >= sizeof(address.sun_path):
        raise ValueError(f"socket path of {len(path)} bytes is too long")
    memset(headers, 0, sizeof(headers))
    memset(&address, 0, sizeof(address))
    address.sun_family = AF_UNIX
    memcpy(address.sun_path, PyBytes_AS_STRING(path), len(path))
    for i in range(count):
        frame = frames[i]
        if frame is None:
            raise TypeError("a frame is bytes")
        vectors[i].iov_base = PyBytes_AS_STRING(frame)
        vectors[i].iov_len = PyBytes_GET_SIZE(frame)
        headers[i].msg_hdr.msg_iov = &vectors[i]
        headers[i].msg_hdr.msg_iovlen = 1
        headers[i].msg_hdr.msg_name = &address
        headers[i].msg_hdr.msg_namelen = sizeof(address)
    if not count:
        return 0
    with nogil:
        sent = sendmmsg(fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL)
        error = errno
    if sent < 0:
        if error == EAGAIN or error == EINTR:
            return 0
        raise OSError(error, strerror(error).decode())
    return sent


def write_frames(int fd, list frames not None):
    """Write the first frames (64 at most) to a tap, one after the other.

    Returns how many left: fewer than offered when it takes no more now. OSError with nothing
    written on any other error.
    """
    cdef unsigned int i, count = <unsigned int>min(len(frames), SEND_BATCH)
    cdef const char *data[SEND_BATCH]
    cdef size_t sizes[SEND_BATCH]
    cdef int error = 0
    cdef bytes frame
    for i in range(count):
        frame = frames[i]
        if frame is None:
            raise TypeError("a frame is bytes")
        data[i] = PyBytes_AS_STRING(frame)
        sizes[i] = PyBytes_GET_SIZE(frame)
    with nogil:
        i = 0
        while i < count:
            if write(fd, data[i], sizes[i]) < 0:
                error = errno
                break
            i += 1
    if error and not i and error != EAGAIN and error != EINTR:
        raise OSError(error, strerror(error).decode())
    return i


def disconnect(int fd):
    """Let a connected AF_UNIX datagram socket take datagrams from everyone again."""
    cdef sockaddr_un nobody
    memset(&nobody, 0, sizeof(nobody))
    nobody.sun_family = AF_UNSPEC
    connect(fd, &nobody, sizeof(nobody.sun_family))


cdef class Packet:
    """One parsed packet; reused, so valid until the next `open` or `open_slot`.

    Addresses are host-order integers (IPv4) or bytes in wire order; MACs are bytes.
    """

    cpdef int open(self, frame, bint encapsulated=True) except -1:
        """Take a frame as read from pkt0 (or a bare Ethernet frame); the verdict on its header."""
        cdef bytes raw = frame if type(frame) is bytes else bytes(frame)
        self.owner = raw
        self.frame = <const uint8_t *>PyBytes_AS_STRING(raw)
        if encapsulated:
            return packet_open(&self.raw, self.frame, PyBytes_GET_SIZE(raw))
        packet_open_bare(&self.raw, PyBytes_GET_SIZE(raw))
        return 0

    cpdef int open_slot(self, FrameBatch batch, Py_ssize_t slot) except -1:
        """Take a frame of a batch without copying it; the verdict on its header."""
        if not 0 <= slot < batch.count:
            raise IndexError(f"no frame {slot} in a batch of {batch.count}")
        self.owner = batch
        self.frame = batch.at(slot)
        return packet_open(&self.raw, self.frame, batch.lengths[slot])

    cpdef int parse(self, Port port) except -1:
        """Parse and classify the opened frame as one of `port`; the verdict."""
        if self.frame is NULL:
            raise ValueError("no frame was opened")
        return packet_parse(&self.raw, self.frame, &port.raw)

    cdef bytes span(self, span where):
        return PyBytes_FromStringAndSize(<const char *>self.frame + where.offset, where.length)

    cpdef bytes arp_reply(self, mac, int vlan=-1):
        """The answer to this ARP request: its target is at `mac`."""
        cdef arp_frame answer
        cdef bytes out = PyBytes_FromStringAndSize(NULL, ARP_FRAME_MAX - (4 if vlan < 0 else 0))
        copy_mac(answer.eth_src, mac)
        answer.ifindex = self.raw.ifindex
        answer.vrf = self.raw.vrf
        answer.op = 2
        answer.vlan = vlan
        memcpy(answer.eth_dst, self.raw.arp.sender_mac, 6)
        memcpy(answer.sender_mac, answer.eth_src, 6)
        memcpy(answer.target_mac, self.raw.arp.sender_mac, 6)
        answer.sender = self.raw.arp.target
        answer.target = self.raw.arp.sender
        arp_build(<uint8_t *>PyBytes_AS_STRING(out), &answer)
        return out

    # agent header
    @property
    def ifindex(self): return self.raw.ifindex
    @property
    def vrf(self): return self.raw.vrf
    @property
    def cmd(self): return self.raw.cmd
    @property
    def params(self):
        """cmd_param, cmd_param_1 ... cmd_param_5."""
        cdef uint32_t *p = self.raw.param
        return (p[0], p[1], p[2], p[3], p[4], self.raw.param_5)
    @property
    def module(self): return self.raw.module

    # Ethernet
    @property
    def dst_mac(self): return <bytes>self.raw.dst_mac[:6]
    @property
    def src_mac(self): return <bytes>self.raw.src_mac[:6]
    @property
    def ethertype(self): return self.raw.ethertype
    @property
    def vlan_tags(self): return self.raw.vlan_tags
    @property
    def vlan_id(self): return self.raw.vlan_id
    @property
    def isid(self):
        """The I-SID of a PBB frame, else None."""
        return self.raw.isid if self.raw.pbb else None

    # IP and above
    @property
    def family(self):
        """4, 6, or 0 when the packet is not IP."""
        return self.raw.family
    @property
    def src(self): return <bytes>self.raw.src[:16 if self.raw.family == 6 else 4]
    @property
    def dst(self): return <bytes>self.raw.dst[:16 if self.raw.family == 6 else 4]
    @property
    def dst4(self):
        """The destination of an IPv4 packet as an integer."""
        cdef uint8_t *d = self.raw.dst
        return <uint32_t>d[0] << 24 | <uint32_t>d[1] << 16 | <uint32_t>d[2] << 8 | d[3]
    @property
    def proto(self): return self.raw.proto
    @property
    def ttl(self): return self.raw.ttl
    @property
    def sport(self): return self.raw.sport
    @property
    def dport(self): return self.raw.dport
    @property
    def tcp_ack(self): return self.raw.tcp_ack
    @property
    def fragment(self): return self.raw.fragment
    @property
    def icmp_error(self):
        """Whether addresses and ports are those of a quoted packet, reversed."""
        return self.raw.icmp_error
    @property
    def icmp_type(self): return self.raw.icmp_type
    @property
    def icmp_code(self): return self.raw.icmp_code
    @property
    def tunnel(self):
        """(kind, label or VNI, outer source, outer destination), or None."""
        if not self.raw.tunnel:
            return None
        return (self.raw.tunnel, self.raw.tunnel_label, self.raw.tunnel_src, self.raw.tunnel_dst)

    @property
    def payload(self):
        """What follows the last parsed header, as far as it was captured."""
        return self.span(span(self.raw.data, self.raw.end - self.raw.data))

    @property
    def ip_packet(self):
        """The packet from its IP header on, as far as it was captured."""
        return self.span(span(self.raw.l3, self.raw.captured - self.raw.l3))

    # ARP
    @property
    def arp_op(self): return self.raw.arp.op
    @property
    def arp_kind(self): return self.raw.arp.kind
    @property
    def arp_sha(self): return <bytes>self.raw.arp.sender_mac[:6]
    @property
    def arp_spa(self): return self.raw.arp.sender
    @property
    def arp_tha(self): return <bytes>self.raw.arp.target_mac[:6]
    @property
    def arp_tpa(self): return self.raw.arp.target

    # DHCP
    cpdef int dhcp_kind(self, bytes mac) except -100:
        """The message type, 0 when it has none; negative when the client at `mac` cannot have sent it.

        -1 short header, -2 another hardware address, -3 bad cookie, checked in this order.
        """
        if self.raw.dhcp.status == DHCP_SHORT_HEADER:
            return -1
        if PyBytes_GET_SIZE(mac) != 6 or memcmp(self.raw.dhcp.chaddr, PyBytes_AS_STRING(mac), 6):
            return -2
        return -3 if self.raw.dhcp.status == DHCP_BAD_COOKIE else self.raw.dhcp.msg_type

    @property
    def dhcp_status(self): return self.raw.dhcp.status
    @property
    def dhcp_type(self): return self.raw.dhcp.msg_type
    @property
    def dhcp_xid(self): return self.raw.dhcp.xid
    @property
    def dhcp_chaddr(self): return <bytes>self.raw.dhcp.chaddr[:6]
    @property
    def dhcp_ciaddr(self): return self.raw.dhcp.ciaddr
    @property
    def dhcp_giaddr(self): return self.raw.dhcp.giaddr
    @property
    def dhcp_broadcast(self): return (self.raw.dhcp.flags & 0x8000) != 0
    @property
    def dhcp_requested(self): return self.raw.dhcp.requested
    @property
    def dhcp_server_id(self): return self.raw.dhcp.server_id
    @property
    def dhcp_max_size(self): return self.raw.dhcp.max_size
    @property
    def dhcp_wants_routes(self): return self.raw.dhcp.wants_routes
    @property
    def dhcp_host_name(self): return self.span(self.raw.dhcp.host_name)
    @property
    def dhcp_domain(self): return self.span(self.raw.dhcp.domain)
    @property
    def dhcp_parameters(self): return self.span(self.raw.dhcp.parameters)
    @property
    def dhcp_relay_agent(self): return self.span(self.raw.dhcp.relay_agent)
    @property
    def dhcp_client_id(self): return self.span(self.raw.dhcp.client_id)
    @property
    def dhcp_vendor_class(self): return self.span(self.raw.dhcp.vendor_class)


def arp_frame_bytes(
    *, uint16_t ifindex, uint16_t vrf, uint16_t op, eth_dst, eth_src, sender_mac, uint32_t sender,
    target_mac, uint32_t target, int vlan=-1,
):
    """An ARP frame for pkt0 that the datapath transmits on vif `ifindex`."""
    cdef arp_frame frame
    cdef uint8_t buffer[ARP_FRAME_MAX]
    frame.ifindex = ifindex
    frame.vrf = vrf
    frame.op = op
    frame.vlan = vlan
    copy_mac(frame.eth_dst, eth_dst)
    copy_mac(frame.eth_src, eth_src)
    copy_mac(frame.sender_mac, sender_mac)
    copy_mac(frame.target_mac, target_mac)
    frame.sender = sender
    frame.target = target
    return PyBytes_FromStringAndSize(<char *>buffer, arp_build(buffer, &frame))


cdef class DhcpAnswer:
    """The DHCP answers of one port: everything that only configuration changes, rendered once.

    The parts are encoded options in the order in which they leave: `head`, `lease` (not for
    INFORM), `routes` (option 121), `router` (not when the client asked for 121 and gets it), `tail`.
    """

    def __cinit__(
        self, *, uint16_t ifindex, uint16_t vrf, source_mac, uint32_t source, uint32_t next_server,
        uint32_t address, bytes head, bytes lease=b"", bytes routes=b"",
        bytes router=b"", bytes tail=b"", int vlan=-1,
    ):
        copy_mac(self.raw.source_mac, source_mac)
        self.parts = (head, lease, routes, router, tail)
        if None in self.parts:
            raise TypeError("the parts of an answer are bytes")
        self.raw.ifindex = ifindex
        self.raw.vrf = vrf
        self.raw.vlan = vlan
        self.raw.source = source
        self.raw.next_server = next_server
        self.raw.address = address
        self.raw.head = <const uint8_t *>PyBytes_AS_STRING(head)
        self.raw.head_length = PyBytes_GET_SIZE(head)
        self.raw.lease = <const uint8_t *>PyBytes_AS_STRING(lease)
        self.raw.lease_length = PyBytes_GET_SIZE(lease)
        self.raw.routes = <const uint8_t *>PyBytes_AS_STRING(routes)
        self.raw.routes_length = PyBytes_GET_SIZE(routes)
        self.raw.router = <const uint8_t *>PyBytes_AS_STRING(router)
        self.raw.router_length = PyBytes_GET_SIZE(router)
        self.raw.tail = <const uint8_t *>PyBytes_AS_STRING(tail)
        self.raw.tail_length = PyBytes_GET_SIZE(tail)
        self.bound = dhcp_build_bound(&self.raw)
        if self.bound > PKT0_MAX_FRAME:
            raise ValueError(f"an answer of {self.bound} bytes does not fit into a frame")

    cpdef bytes build(self, Packet request, int type):
        """The complete pkt0 frame of message type `type` that answers `request`.

        None when the client said that it takes no datagram of that size (option 57).
        """
        cdef uint8_t buffer[PKT0_MAX_FRAME]
        cdef size_t limit = request.raw.dhcp.max_size
        if limit and self.bound > PKT0_ENCAP + 18 + (limit if limit > DHCP_MIN_LIMIT else DHCP_MIN_LIMIT):
            return None
        return PyBytes_FromStringAndSize(
            <char *>buffer, dhcp_build(buffer, &self.raw, &request.raw, <uint8_t>type)
        )


def internet_checksum(bytes data not None, uint32_t start=0):
    """RFC 1071 checksum of `data`, with `start` added (e.g. the sum of a pseudo header)."""
    return checksum_fold(checksum_add(
        start, <const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
    ))

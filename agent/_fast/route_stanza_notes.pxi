# The notes of an entry, read into RouteAttributes.

cdef enum:
    MAX_NEXTHOPS = 128      # of one route; more are ignored (facts 14)
    MAX_LABEL = 0xFFFFFF    # the widest label is a VNI

cdef uint64_t MAX_NEW_TAG = (1 << 48) - 1

cdef tuple ENCAPSULATIONS = tuple(Encapsulation)
cdef dict ENCAPSULATION_OF = {item.value.encode(): i for i, item in enumerate(Encapsulation)}
cdef enum:
    GRE = 0
    UDP = 1
    VXLAN = 2
if ENCAPSULATIONS[:3] != (Encapsulation.GRE, Encapsulation.UDP, Encapsulation.VXLAN):
    raise ImportError("Encapsulation has another order than this was compiled for")
cdef dict BALANCE_FIELDS = {item.value.encode(): item for item in LoadBalanceField}

# The next-hop being read.
cdef struct hop:
    int which  # RS_NEXTHOP, RS_TREE_NEXTHOP or RS_LEAF_NEXTHOP
    bint is_open
    bint has_address  # of an IPv4 host
    bint foreign      # says that it is of another family
    bint new_tags
    bint has_mac
    uint8_t address[4]
    uint8_t mac[6]
    uint64_t label
    uint64_t l3_label
    uint64_t sequence
    uint32_t encapsulations  # their indexes + 1, 3 bits each, the first one highest
    uint32_t seen            # bitmap of them


# The numbers and marks of the entry being read.
cdef struct entry:
    uint64_t sequence
    uint64_t preference
    uint64_t med
    uint64_t source_label
    uint64_t route_type
    uint32_t first_label
    uint32_t last_label
    bint sticky
    bint etree_leaf
    bint edge
    bint assisted
    bint field_hash
    bint has_range


cdef class Notes:
    """Reads the notes of one entry after the other; `published` as for RouteReader."""

    cdef Shared _shared
    cdef bint _published
    cdef dict _encapsulations
    cdef hop _hop
    cdef entry _entry
    cdef object _hop_vn, _vn, _sub_protocol, _replicator, _source
    cdef list _hops, _tree, _leaves, _tags, _groups, _communities
    cdef set _balance

    def __cinit__(self, Shared shared, bint published):
        self._shared = shared
        self._published = published
        self._encapsulations = {0: ()}

    cdef int read(self, int family, const uint8_t *at, uint32_t size) except -1:
        """Read all notes, for `build`; RS_OK or the fault."""
        cdef const uint8_t *end = at + size
        cdef const char *text
        cdef uint32_t length
        cdef int field, fault
        self._clear()
        while at < end:
            field = at[0]
            at += 1
            if field <= RS_LEAF_NEXTHOP:
                self._close_hop()
                self._hop.is_open = True
                self._hop.which = field
                continue
            memcpy(&length, at, sizeof(length))
            text = <const char *>(at + sizeof(length))
            at += sizeof(length) + length
            if field < RS_ENTRY_VN:
                fault = self._hop_note(family, field, text, length)
            elif field < RS_EDGE_REPLICATION:
                fault = self._entry_note(field, text, length)
            else:
                fault = self._tree_note(field, text, length)
            if fault:
                return fault
        self._close_hop()
        return RS_OK

    cdef int _clear(self) except -1:
        memset(&self._hop, 0, sizeof(self._hop))
        self._hop_vn, self._tags = "", None
        memset(&self._entry, 0, sizeof(self._entry))
        self._vn, self._sub_protocol, self._replicator, self._source = "", "", None, None
        self._hops, self._tree, self._leaves = None, None, None
        self._groups, self._communities, self._balance = None, None, None
        return 0

    cdef int _hop_note(self, int family, int field, const char *text, uint32_t size) except -1:
        cdef uint64_t number
        if field == RS_AF:
            if not rs_number(text, size, 0xFFFF, &number):
                return RS_BAD_NUMBER
            self._hop.foreign = number > 1
        elif field == RS_ADDRESS:
            self._hop.has_address = rs_inet4(text, size, self._hop.address) and (
                self._published or self._leads_to_a_host()
            )
        elif field == RS_MAC:
            self._hop.has_mac = size > 0
            if size and not rs_mac(text, size, self._hop.mac):
                return RS_BAD_MAC
        elif field == RS_LABEL:
            return self._label(family, text, size)
        elif field == RS_L3_LABEL:
            return number_fault(text, size, MAX_LABEL, &self._hop.l3_label)
        elif field == RS_ENCAPSULATION:
            self._encapsulation(family, text[:size])
        elif field == RS_NEXTHOP_VN:
            self._hop_vn = self._shared.text(text, size)
        elif field == RS_TAG:
            return self._tag(text, size)
        elif field == RS_NEW_TAGS:
            self._hop.new_tags = rs_flag(text, size)
        else:
            return number_fault(text, size, 0xFFFFFFFF, &self._hop.sequence)
        return RS_OK

    cdef bint _leads_to_a_host(self):
        """Not unspecified, multicast or broadcast. Agents withdraw with an unspecified one."""
        cdef const uint8_t *address = self._hop.address
        return address[0] < 224 and (address[0] | address[1] | address[2] | address[3]) != 0

    cdef int _label(self, int family, const char *text, uint32_t size) except -1:
        if rs_number(text, size, MAX_LABEL, &self._hop.label):
            return RS_OK
        if family != RS_ERMVPN or not rs_range(
            text, size, MAX_LABEL, &self._entry.first_label, &self._entry.last_label
        ):
            return RS_BAD_NUMBER
        self._entry.has_range = self._entry.last_label > 0
        return RS_OK

    cdef int _encapsulation(self, int family, bytes name) except -1:
        """Take an encapsulation that has a meaning for this family (facts 5.2).

        An agent passes over VXLAN for addresses, and takes only MPLS over GRE or UDP for trees.
        """
        cdef int which = ENCAPSULATION_OF.get(name, -1)
        if which < 0 or self._hop.seen >> which & 1:
            return 0
        if not self._published:
            if family <= RS_INET_MPLS and which == VXLAN:
                return 0
            if family >= RS_ERMVPN and which > UDP:
                return 0
        self._hop.seen |= 1u << which
        self._hop.encapsulations = self._hop.encapsulations << 3 | (which + 1)
        return 0

    cdef int _tag(self, const char *text, uint32_t size) except -1:
        cdef uint64_t number
        if not rs_number(text, size, MAX_NEW_TAG, &number):
            return RS_BAD_NUMBER
        if self._tags is None:
            self._tags = []
        self._tags.append(number)
        return RS_OK

    cdef int _entry_note(self, int field, const char *text, uint32_t size) except -1:
        cdef uint64_t number
        if field == RS_ENTRY_VN:
            self._vn = self._shared.text(text, size)
        elif field == RS_STICKY:
            self._entry.sticky = rs_flag(text, size)
        elif field == RS_SEQUENCE:
            return number_fault(text, size, 0xFFFFFFFF, &self._entry.sequence)
        elif field == RS_SECURITY_GROUP:
            if not rs_number(text, size, 0xFFFFFFFF, &number):
                return RS_BAD_NUMBER
            self._groups = appended(self._groups, number)
        elif field == RS_COMMUNITY:
            self._communities = appended(self._communities, self._shared.text(text, size))
        elif field == RS_LOCAL_PREFERENCE:
            return number_fault(text, size, 0xFFFFFFFF, &self._entry.preference)
        elif field == RS_MED:
            return number_fault(text, size, 0xFFFFFFFF, &self._entry.med)
        elif field == RS_BALANCE_FIELD:
            self._balance_field(text[:size])
        elif field == RS_BALANCE_DECISION:
            self._entry.field_hash = size == 10 and memcmp(text, b"field-hash", 10) == 0
        else:
            self._sub_protocol = self._shared.text(text, size)
        return RS_OK

    cdef int _balance_field(self, bytes name) except -1:
        known = BALANCE_FIELDS.get(name)
        if known is not None:
            if self._balance is None:
                self._balance = set()
            self._balance.add(known)
        return 0

    cdef int _tree_note(self, int field, const char *text, uint32_t size) except -1:
        if field == RS_EDGE_REPLICATION:
            self._entry.edge = rs_flag(text, size)
        elif field == RS_ASSISTED_REPLICATION:
            self._entry.assisted = rs_flag(text, size)
        elif field == RS_ETREE_LEAF:
            self._entry.etree_leaf = rs_flag(text, size)
        elif field == RS_SOURCE_LABEL:
            return number_fault(text, size, MAX_LABEL, &self._entry.source_label)
        elif field == RS_ROUTE_TYPE:
            return number_fault(text, size, 7, &self._entry.route_type)
        elif field == RS_REPLICATOR:
            self._replicator = self._optional_address(text, size)
            return RS_OK if self._replicator is not None or not size else RS_BAD_ADDRESS
        else:
            self._source = self._optional_address(text, size)
            return RS_OK if self._source is not None or not size else RS_BAD_ADDRESS
        return RS_OK

    cdef object _optional_address(self, const char *text, uint32_t size):
        cdef uint8_t packed[4]
        return self._shared.address(packed, 4) if rs_inet4(text, size, packed) else None

    cdef int _close_hop(self) except -1:
        """File the next-hop that was read; one that is no IPv4 host is passed over (facts 14)."""
        if not self._hop.is_open:
            return 0
        if self._hop.has_address and not self._hop.foreign:
            if self._hop.which == RS_TREE_NEXTHOP:
                self._tree = appended(self._tree, self._neighbour())
            elif self._hop.which == RS_LEAF_NEXTHOP:
                self._leaves = appended(self._leaves, self._neighbour())
            elif self._hops is None or len(self._hops) < MAX_NEXTHOPS:
                self._hops = appended(self._hops, self._nexthop())
        memset(&self._hop, 0, sizeof(self._hop))
        self._hop_vn, self._tags = "", None
        return 0

    cdef object _neighbour(self):
        return filled(TreeNeighbour, &NEIGHBOUR_SLOTS, (
            self._shared.address(self._hop.address, 4), self._hop.label, self._encapsulation_list(),
        ))

    cdef object _nexthop(self):
        mac = None
        if self._hop.has_mac:
            mac = bytes.__new__(Mac, (<const char *>self._hop.mac)[:6])
        return filled(RouteNexthop, &NEXTHOP_SLOTS, (
            self._shared.address(self._hop.address, 4), self._hop.label, self._encapsulation_list(),
            self._hop_vn, mac, self._tag_list(), self._hop.l3_label, self._hop.sequence,
        ))

    cdef tuple _encapsulation_list(self):
        cdef uint32_t packed = self._hop.encapsulations
        known = self._encapsulations.get(packed)
        if known is None:
            known = ()
            while packed:
                known = (ENCAPSULATIONS[(packed & 7) - 1],) + known
                packed >>= 3
            self._encapsulations[self._hop.encapsulations] = known
        return known

    cdef tuple _tag_list(self):
        """Sorted, in the new format: 16 bits of type above 32 bits of value (facts 5.2)."""
        if self._tags is None:
            return ()
        if not self._hop.new_tags:
            self._tags = [(tag & 0xFFFF0000) << 16 | (tag & 0xFFFF) for tag in self._tags]
        return self._shared.values(tuple(sorted(self._tags)))

    cdef object build(self):
        """The attributes that were read."""
        balance = ALL_FIELDS
        if self._entry.field_hash and self._balance is not None:
            balance = frozenset(self._balance)
        label_range = None
        if self._entry.has_range:
            label_range = (self._entry.first_label, self._entry.last_label)
        return filled(RouteAttributes, &ATTRIBUTE_SLOTS, (
            as_tuple(self._hops), self._vn, self._entry.sequence, self._entry.sticky != 0,
            self._entry.preference, self._entry.med, self._shared.values(as_tuple(self._groups)),
            self._shared.values(as_tuple(self._communities)), balance, self._sub_protocol,
            self._entry.etree_leaf != 0, self._entry.edge != 0, self._entry.assisted != 0,
            self._replicator, as_tuple(self._tree), as_tuple(self._leaves),
            self._entry.source_label, self._source, <int>self._entry.route_type, label_range,
        ))


cdef inline int number_fault(const char *text, size_t size, uint64_t limit, uint64_t *into) noexcept:
    return RS_OK if rs_number(text, size, limit, into) else RS_BAD_NUMBER

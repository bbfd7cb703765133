# cython: language_level=3
"""Route stanzas to batches of routes (facts xmpp-ifmap.md sections 5 to 7, 12 and 14).

The C files in src/route_stanza read the bytes; here their records become the objects of
agent.routes. What an entry says beside its key is looked up by its text in a bounded table, so
that routes that say the same share one RouteAttributes, and only the key is built for each.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset, strcmp

from dataclasses import fields
from ipaddress import IPv4Address, IPv6Address
from types import MemberDescriptorType

import pyexpat

from agent.errors import StanzaError
from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    LoadBalanceField,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
    TreeNeighbour,
)
from agent.values import Mac


cdef extern from "expat_api.h":
    ctypedef struct ExpatApi "struct PyExpat_CAPI":
        char *magic
        int size
    char *PyExpat_CAPI_MAGIC


cdef extern from "stanza.h":
    enum:
        RS_MAX_SIZE
        RS_ITEMS, RS_PUBLISH, RS_COLLECTION, RS_END_OF_RIB
        RS_ADD, RS_RETRACT, RS_ASSOCIATE, RS_DISSOCIATE
        RS_INET, RS_INET6, RS_INET_MPLS, RS_EVPN, RS_ERMVPN, RS_MVPN, RS_FAMILIES
        RS_OK, RS_BAD_NUMBER, RS_BAD_ADDRESS, RS_BAD_MAC, RS_NO_NEXTHOP
        RS_MALFORMED
        RS_NEXTHOP, RS_TREE_NEXTHOP, RS_LEAF_NEXTHOP
        RS_AF, RS_ADDRESS, RS_MAC, RS_LABEL, RS_L3_LABEL, RS_ENCAPSULATION, RS_NEXTHOP_VN
        RS_TAG, RS_NEW_TAGS, RS_LOCAL_SEQUENCE
        RS_ENTRY_VN, RS_STICKY, RS_SEQUENCE, RS_SECURITY_GROUP, RS_COMMUNITY
        RS_LOCAL_PREFERENCE, RS_MED, RS_BALANCE_FIELD, RS_BALANCE_DECISION, RS_SUB_PROTOCOL
        RS_EDGE_REPLICATION, RS_ASSISTED_REPLICATION, RS_REPLICATOR, RS_ETREE_LEAF
        RS_SOURCE_LABEL, RS_SOURCE_ADDRESS, RS_ROUTE_TYPE
    struct rs_text:
        uint32_t at
        uint32_t size
    struct rs_key:
        uint8_t address[16]
        uint8_t address_size
        uint8_t length
        uint8_t mac[6]
        uint8_t source[4]
        uint32_t tag
    struct rs_item:
        uint8_t kind
        uint8_t fault
        uint32_t group
        rs_key key
        rs_text name
        rs_text notes
    struct rs_group:
        uint8_t kind
        uint8_t family
        bint retracts
        rs_text node
        uint32_t items
    struct rs_result:
        rs_group *groups
        rs_item *items
        uint8_t *pool
        uint32_t group_count
        uint32_t item_count
        const char *malformed
        size_t offset
    struct rs_family_numbers:
        uint16_t af
        uint16_t safi
    const rs_family_numbers RS_FAMILY_NUMBERS[6]
    int rs_parse(rs_result *, const ExpatApi *, const char *, size_t, unsigned long)
    void rs_free(rs_result *)
    const char *rs_fault_text(int)
    const char *rs_refusal_text(int)
    bint rs_number(const char *, size_t, uint64_t, uint64_t *)
    bint rs_range(const char *, size_t, uint32_t, uint32_t *, uint32_t *)
    bint rs_flag(const char *, size_t)
    bint rs_inet4(const char *, size_t, uint8_t *)
    bint rs_mac(const char *, size_t, uint8_t *)


cdef extern from "intern.h":
    struct rs_intern:
        pass
    bint rs_intern_open(rs_intern *, size_t, uint64_t)
    void rs_intern_close(rs_intern *)
    uint64_t rs_intern_hash(const rs_intern *, uint8_t, const uint8_t *, size_t)
    void *rs_intern_find(const rs_intern *, uint64_t, uint8_t, const uint8_t *, size_t)
    bint rs_intern_add(rs_intern *, uint64_t, uint8_t, const uint8_t *, size_t, void *, void **)
    size_t rs_intern_places(const rs_intern *)
    void *rs_intern_value(const rs_intern *, size_t)


cdef extern from "Python.h":
    object PyType_GenericAlloc(type, Py_ssize_t)
    unicode PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *)


cdef extern from *:
    """
    #include <structmember.h>

    /* The offset of a slot that a class declares in __slots__. */
    static Py_ssize_t rs_slot_offset(PyObject *descriptor)
    {
        return ((PyMemberDescrObject *)descriptor)->d_member->offset;
    }

    static unsigned long rs_salt(void)
    {
        return (unsigned long)_Py_HashSecret.expat.hashsalt;
    }
    """
    Py_ssize_t rs_slot_offset(PyObject *)
    unsigned long rs_salt()


MAX_STANZA = RS_MAX_SIZE

cdef enum:
    MAX_NEXTHOPS = 128      # of one route; more are ignored (facts 14)
    MAX_LABEL = 0xFFFFFF    # the widest label is a VNI
    MAX_SHARED = 1 << 15    # texts and addresses kept for use again
    MAX_TAG = 0xFFFFFFFF    # of the old format; the new one has 48 bits

cdef uint64_t MAX_NEW_TAG = (1 << 48) - 1
cdef const ExpatApi *EXPAT = <const ExpatApi *>PyCapsule_GetPointer(
    pyexpat.expat_CAPI, b"pyexpat.expat_CAPI"
)
if strcmp(EXPAT.magic, PyExpat_CAPI_MAGIC) != 0:
    raise ImportError("this Python lends another version of expat than this was compiled for")

cdef object FAMILY_OF = {family.value: family for family in RouteFamily}
cdef tuple FAMILIES = tuple(
    [FAMILY_OF[RS_FAMILY_NUMBERS[i].af, RS_FAMILY_NUMBERS[i].safi] for i in range(RS_FAMILIES)]
)
cdef tuple ENCAPSULATIONS = tuple(Encapsulation)
cdef dict ENCAPSULATION_OF = {item.value.encode(): i for i, item in enumerate(Encapsulation)}
cdef enum:
    GRE = 0
    UDP = 1
    VXLAN = 2
if ENCAPSULATIONS[:3] != (Encapsulation.GRE, Encapsulation.UDP, Encapsulation.VXLAN):
    raise ImportError("Encapsulation has another order than this was compiled for")
cdef dict BALANCE_FIELDS = {item.value.encode(): item for item in LoadBalanceField}


# ---- objects of agent.routes, built without a call into Python ----

cdef enum:
    MAX_SLOTS = 24

cdef struct slots:
    int count
    Py_ssize_t at[MAX_SLOTS]


cdef int load_slots(slots *into, type kind, tuple names) except -1:
    """Where the fields of a slotted dataclass lie; `names` is the order in which we fill them."""
    if names != tuple([field.name for field in fields(kind)]):
        raise ImportError(f"{kind.__name__} has other fields than this was compiled for")
    into.count = 0
    for name in names:
        descriptor = kind.__dict__[name]
        if type(descriptor) is not MemberDescriptorType:
            raise ImportError(f"{kind.__name__}.{name} is no slot")
        into.at[into.count] = rs_slot_offset(<PyObject *>descriptor)
        into.count += 1
    return 0


cdef inline void put(object target, Py_ssize_t offset, object value) noexcept:
    Py_INCREF(value)
    (<PyObject **>(<char *><PyObject *>target + offset))[0] = <PyObject *>value


cdef object filled(type kind, const slots *where, tuple values):
    """A frozen dataclass with these values of all its fields."""
    cdef object made = PyType_GenericAlloc(kind, 0)
    cdef int i
    for i in range(where.count):
        put(made, where.at[i], values[i])
    return made


cdef inline object pair(type kind, object first, object second):
    """A NamedTuple of two."""
    cdef object made = PyType_GenericAlloc(kind, 2)
    Py_INCREF(first)
    PyTuple_SET_ITEM(made, 0, first)
    Py_INCREF(second)
    PyTuple_SET_ITEM(made, 1, second)
    return made


cdef slots NEXTHOP_SLOTS, NEIGHBOUR_SLOTS, ATTRIBUTE_SLOTS
load_slots(&NEXTHOP_SLOTS, RouteNexthop, (
    "address", "label", "encapsulations", "virtual_network", "mac", "tags", "l3_label",
    "local_sequence",
))
load_slots(&NEIGHBOUR_SLOTS, TreeNeighbour, ("address", "label", "encapsulations"))
load_slots(&ATTRIBUTE_SLOTS, RouteAttributes, (
    "nexthops", "virtual_network", "sequence", "sticky", "local_preference", "med",
    "security_groups", "communities", "load_balance", "sub_protocol", "etree_leaf",
    "edge_replication_not_supported", "assisted_replication_supported", "replicator_address",
    "neighbours", "leaf_neighbours", "source_label", "source_address", "route_type",
    "label_range",
))


# ---- the notes of an entry ----

# The next-hop being read.
cdef struct hop:
    int which  # RS_NEXTHOP, RS_TREE_NEXTHOP or RS_LEAF_NEXTHOP
    bint is_open
    bint has_address  # of IPv4
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


cdef class RouteReader:
    """Reads route stanzas of one direction: a controller's, or with `published` an agent's.

    `capacity` bounds how many different attributes are remembered for sharing.
    """

    cdef rs_result _result
    cdef rs_intern _table
    cdef bint _published
    cdef readonly unsigned long long skipped
    """Items that were ignored as faulty."""
    cdef readonly str last_fault
    """The newest of them, for a log; empty if there was none."""
    cdef readonly unsigned long long shared
    """Entries whose attributes were known already."""
    cdef readonly unsigned long long built
    """Entries whose attributes had to be built."""
    cdef readonly size_t remembered
    """Attributes remembered now."""
    cdef dict _texts, _addresses, _tuples, _encapsulations
    cdef hop _hop
    cdef entry _entry
    cdef object _hop_vn, _vn, _sub_protocol, _replicator, _source
    cdef list _hops, _tree, _leaves, _tags, _groups, _communities
    cdef set _balance
    cdef tuple _pending  # (node, family, key, attributes) of the last publish

    def __cinit__(self, size_t capacity=8192, *, bint published=False):
        if not 0 < capacity <= 1 << 20:
            raise ValueError(f"a capacity of 1 to {1 << 20} is possible, not {capacity}")
        if not rs_intern_open(&self._table, capacity, rs_salt()):
            raise MemoryError()
        self._published = published
        self.last_fault = ""
        self._texts, self._addresses, self._tuples, self._encapsulations = {}, {}, {}, {0: ()}

    def __dealloc__(self):
        cdef size_t i
        rs_free(&self._result)
        for i in range(rs_intern_places(&self._table)):
            if rs_intern_value(&self._table, i) != NULL:
                Py_DECREF(<object>rs_intern_value(&self._table, i))
        rs_intern_close(&self._table)

    def read(self, bytes data not None):
        """The batches of a controller's route messages, in their order.

        `data` is one or more whole `message` stanzas. Faulty items are left out and counted. If
        a message retracts, only its retracts count (facts 7). StanzaError if the bytes are not
        well-formed or pass a bound.
        """
        cdef list batches = []
        cdef const rs_group *group
        cdef uint32_t i, first = 0
        self._parse(data)
        for i in range(self._result.group_count):
            group = &self._result.groups[i]
            if group.kind == RS_END_OF_RIB:
                self.skipped += group.items
                batches.append(RouteBatch(RouteFamily.INET, "", [], True))
            elif group.kind == RS_ITEMS:
                updates = self._updates(group, first)
                if updates:
                    vrf = self._text(group.node)
                    batches.append(RouteBatch(FAMILIES[group.family], vrf, updates, False))
            else:
                self.skipped += group.items
            first += group.items
        return batches

    def read_published(self, bytes data not None):
        """What an agent's stanzas publish, and whether they hold its end-of-RIB marker.

        A list of (VRF, node, family, key, attributes), attributes None for a withdrawal: one for
        each `publish` that its `collection` follows, in this call or a later one. Stanzas of
        other kinds are passed over. StanzaError as for `read`.
        """
        cdef list routes = []
        cdef const rs_group *group
        cdef uint32_t i, k, first = 0
        cdef bint end_of_rib = False
        self._parse(data)
        for i in range(self._result.group_count):
            group = &self._result.groups[i]
            for k in range(first, first + group.items):
                if group.kind == RS_PUBLISH:
                    self._pending = self._publish(group, &self._result.items[k])
                elif group.kind == RS_COLLECTION:
                    self._collect(group, &self._result.items[k], routes)
                else:
                    self.skipped += 1
            end_of_rib |= group.kind == RS_END_OF_RIB
            first += group.items
        return routes, end_of_rib

    cdef int _parse(self, bytes data) except -1:
        cdef int refusal = rs_parse(
            &self._result, EXPAT, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), rs_salt()
        )
        if refusal:
            text = rs_refusal_text(refusal).decode()
            if refusal == RS_MALFORMED:
                text = f"{text}: {self._result.malformed.decode()}"
            raise StanzaError(text, self._result.offset)
        return 0

    cdef list _updates(self, const rs_group *group, uint32_t first):
        cdef list updates = []
        cdef rs_item *item
        cdef uint32_t i
        cdef int wanted = RS_RETRACT if group.retracts else RS_ADD
        for i in range(first, first + group.items):
            item = &self._result.items[i]
            if item.kind != wanted:
                self._skip(group, item, "stands beside retracts")
                continue
            attributes = None
            if not item.fault and wanted == RS_ADD:
                attributes = self._attributes(group, item)
            if item.fault:
                self._skip(group, item, rs_fault_text(item.fault).decode())
            else:
                updates.append(pair(RouteUpdate, self._key(group.family, &item.key), attributes))
        return updates

    cdef tuple _publish(self, const rs_group *group, rs_item *item):
        attributes = None
        if not item.fault:
            attributes = self._attributes(group, item)
        if item.fault:
            self._skip(group, item, rs_fault_text(item.fault).decode())
            return None
        key = self._key(group.family, &item.key)
        return self._text(group.node), FAMILIES[group.family], key, attributes

    cdef int _collect(self, const rs_group *group, const rs_item *item, list into) except -1:
        pending, self._pending = self._pending, None
        if item.fault:
            self._skip(group, item, rs_fault_text(item.fault).decode())
        elif pending is None or pending[0] != self._text(item.name):
            self._skip(group, item, "follows no publish of this node")
        else:
            node, family, key, attributes = pending
            if item.kind == RS_DISSOCIATE:
                attributes = None
            into.append((self._text(group.node), node, family, key, attributes))
        return 0

    cdef int _skip(self, const rs_group *group, const rs_item *item, str why) except -1:
        self.skipped += 1
        name = self._text(item.name) or "an item"
        self.last_fault = f"{name[:80]} of {self._text(group.node)[:80] or '(no node)'}: {why}"
        return 0

    # ---- keys ----

    cdef object _key(self, int family, const rs_key *key):
        if family == RS_EVPN:
            mac = bytes.__new__(Mac, (<const char *>key.mac)[:6])
            return EvpnKey(key.tag, mac, self._address(key.address, key.address_size), key.length)
        if family == RS_ERMVPN or family == RS_MVPN:
            return pair(GroupKey, self._address(key.address, 4), self._address(key.source, 4))
        prefix = PyBytes_FromStringAndSize(<const char *>key.address, key.address_size)
        return pair(InetKey, prefix, <int>key.length)

    cdef object _address(self, const uint8_t *packed, int size):
        """An address object; the same one for a while."""
        raw = PyBytes_FromStringAndSize(<const char *>packed, size)
        address = self._addresses.get(raw)
        if address is None:
            if len(self._addresses) >= MAX_SHARED:
                self._addresses.clear()
            address = IPv4Address(raw) if size == 4 else IPv6Address(raw)
            self._addresses[raw] = address
        return address

    # ---- attributes ----

    cdef object _attributes(self, const rs_group *group, rs_item *item):
        """The attributes of an entry, shared or new; None with item.fault if it has a fault."""
        cdef const uint8_t *notes = self._result.pool + item.notes.at
        cdef uint8_t kind = group.family
        cdef uint64_t hash_ = rs_intern_hash(&self._table, kind, notes, item.notes.size)
        cdef void *known = rs_intern_find(&self._table, hash_, kind, notes, item.notes.size)
        cdef void *evicted
        if known != NULL:
            self.shared += 1
            attributes = <object>known
        else:
            item.fault = self._read_notes(group.family, notes, item.notes.size)
            if item.fault:
                return None
            self.built += 1
            attributes = self._build()
            if rs_intern_add(
                &self._table, hash_, kind, notes, item.notes.size, <void *>attributes, &evicted
            ):
                Py_INCREF(attributes)
                self.remembered += 1
                if evicted != NULL:
                    self.remembered -= 1
                    Py_DECREF(<object>evicted)
        if self._lacks_nexthop(group.family, item, attributes):
            item.fault = RS_NO_NEXTHOP
        return attributes

    cdef bint _lacks_nexthop(self, int family, const rs_item *item, object attributes) except -1:
        if family == RS_ERMVPN or family == RS_MVPN:
            return False
        if family == RS_EVPN and memcmp(item.key.mac, b"\xff\xff\xff\xff\xff\xff", 6) == 0:
            return False
        return not attributes.nexthops

    cdef int _read_notes(self, int family, const uint8_t *at, uint32_t size) except -1:
        """Read all notes into the members that _build takes; RS_OK or the fault."""
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
            self._hop.has_address = rs_inet4(text, size, self._hop.address)
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
            self._hop_vn = self._shared_text(text, size)
        elif field == RS_TAG:
            return self._tag(text, size)
        elif field == RS_NEW_TAGS:
            self._hop.new_tags = rs_flag(text, size)
        else:
            return number_fault(text, size, 0xFFFFFFFF, &self._hop.sequence)
        return RS_OK

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
            self._vn = self._shared_text(text, size)
        elif field == RS_STICKY:
            self._entry.sticky = rs_flag(text, size)
        elif field == RS_SEQUENCE:
            return number_fault(text, size, 0xFFFFFFFF, &self._entry.sequence)
        elif field == RS_SECURITY_GROUP:
            if not rs_number(text, size, 0xFFFFFFFF, &number):
                return RS_BAD_NUMBER
            self._groups = appended(self._groups, number)
        elif field == RS_COMMUNITY:
            self._communities = appended(self._communities, self._shared_text(text, size))
        elif field == RS_LOCAL_PREFERENCE:
            return number_fault(text, size, 0xFFFFFFFF, &self._entry.preference)
        elif field == RS_MED:
            return number_fault(text, size, 0xFFFFFFFF, &self._entry.med)
        elif field == RS_BALANCE_FIELD:
            self._balance_field(text[:size])
        elif field == RS_BALANCE_DECISION:
            self._entry.field_hash = size == 10 and memcmp(text, b"field-hash", 10) == 0
        else:
            self._sub_protocol = self._shared_text(text, size)
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
        return self._address(packed, 4) if rs_inet4(text, size, packed) else None

    cdef int _close_hop(self) except -1:
        """File the next-hop that was read; one that is not of IPv4 is passed over (facts 14)."""
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
            self._address(self._hop.address, 4), self._hop.label, self._encapsulation_list(),
        ))

    cdef object _nexthop(self):
        mac = None
        if self._hop.has_mac:
            mac = bytes.__new__(Mac, (<const char *>self._hop.mac)[:6])
        return filled(RouteNexthop, &NEXTHOP_SLOTS, (
            self._address(self._hop.address, 4), self._hop.label, self._encapsulation_list(),
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
        return self._shared_tuple(tuple(sorted(self._tags)))

    cdef object _build(self):
        balance = ALL_FIELDS
        if self._entry.field_hash and self._balance is not None:
            balance = frozenset(self._balance)
        label_range = None
        if self._entry.has_range:
            label_range = (self._entry.first_label, self._entry.last_label)
        return filled(RouteAttributes, &ATTRIBUTE_SLOTS, (
            as_tuple(self._hops), self._vn, self._entry.sequence, self._entry.sticky != 0,
            self._entry.preference, self._entry.med, self._shared_tuple(as_tuple(self._groups)),
            self._shared_tuple(as_tuple(self._communities)), balance, self._sub_protocol,
            self._entry.etree_leaf != 0, self._entry.edge != 0, self._entry.assisted != 0,
            self._replicator, as_tuple(self._tree), as_tuple(self._leaves),
            self._entry.source_label, self._source, <int>self._entry.route_type, label_range,
        ))

    # ---- values that many routes have in common ----

    cdef str _text(self, rs_text where):
        return self._shared_text(<const char *>self._result.pool + where.at, where.size)

    cdef str _shared_text(self, const char *text, uint32_t size):
        if not size:
            return ""
        return shared(self._texts, PyUnicode_DecodeUTF8(text, size, NULL))

    cdef tuple _shared_tuple(self, tuple values):
        return shared(self._tuples, values) if values else values


cdef object shared(dict known, object value):
    """The object equal to `value` that was met first."""
    if len(known) >= MAX_SHARED:
        known.clear()
    return known.setdefault(value, value)


cdef list appended(list items, object item):
    if items is None:
        return [item]
    items.append(item)
    return items


cdef tuple as_tuple(list items):
    return () if items is None else tuple(items)


cdef inline int number_fault(const char *text, size_t size, uint64_t limit, uint64_t *into) noexcept:
    return RS_OK if rs_number(text, size, limit, into) else RS_BAD_NUMBER

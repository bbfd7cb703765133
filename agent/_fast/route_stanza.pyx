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
    """
    Py_ssize_t rs_slot_offset(PyObject *)


MAX_STANZA = RS_MAX_SIZE

# Another one in each process, which peers do not know: texts of a table all in one place are not
# to be had by choosing them.
cdef unsigned long SALT = <unsigned long><Py_ssize_t>hash("route stanzas")

cdef const ExpatApi *EXPAT = <const ExpatApi *>PyCapsule_GetPointer(
    pyexpat.expat_CAPI, b"pyexpat.expat_CAPI"
)
if strcmp(EXPAT.magic, PyExpat_CAPI_MAGIC) != 0:
    raise ImportError("this Python lends another version of expat than this was compiled for")

cdef object FAMILY_OF = {family.value: family for family in RouteFamily}
cdef tuple FAMILIES = tuple(
    [FAMILY_OF[RS_FAMILY_NUMBERS[i].af, RS_FAMILY_NUMBERS[i].safi] for i in range(RS_FAMILIES)]
)

include "route_stanza_objects.pxi"
include "route_stanza_notes.pxi"


cdef class RouteReader:
    """Reads route stanzas of one direction: a controller's, or with `published` an agent's.

    `capacity` bounds how many different attributes are remembered for sharing.
    """

    cdef rs_result _result
    cdef rs_intern _table
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
    cdef Shared _shared
    cdef Notes _notes
    cdef tuple _pending  # (node, family, key, attributes) of the last publish

    def __cinit__(self, size_t capacity=8192, *, bint published=False):
        if not 0 < capacity <= 1 << 20:
            raise ValueError(f"a capacity of 1 to {1 << 20} is possible, not {capacity}")
        if not rs_intern_open(&self._table, capacity, SALT):
            raise MemoryError()
        self.last_fault = ""
        self._shared = Shared()
        self._notes = Notes(self._shared, published)

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
            &self._result, EXPAT, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), SALT
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
            return EvpnKey(key.tag, mac, self._shared.address(key.address, key.address_size), key.length)
        if family == RS_ERMVPN or family == RS_MVPN:
            return pair(GroupKey, self._shared.address(key.address, 4), self._shared.address(key.source, 4))
        prefix = PyBytes_FromStringAndSize(<const char *>key.address, key.address_size)
        return pair(InetKey, prefix, <int>key.length)

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
            item.fault = self._notes.read(group.family, notes, item.notes.size)
            if item.fault:
                return None
            self.built += 1
            attributes = self._notes.build()
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

    cdef str _text(self, rs_text where):
        return self._shared.text(<const char *>self._result.pool + where.at, where.size)

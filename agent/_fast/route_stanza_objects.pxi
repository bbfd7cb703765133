# Objects of agent.routes built without a call into Python, and values that many have in common.

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


# ---- values that many routes have in common ----

cdef enum:
    MAX_SHARED = 1 << 15    # of each kind, kept for use again


cdef class Shared:
    """Texts, addresses and tuples that were met before, so that each is held once."""

    cdef dict _texts, _addresses, _tuples

    def __cinit__(self):
        self._texts, self._addresses, self._tuples = {}, {}, {}

    cdef str text(self, const char *text, uint32_t size):
        if not size:
            return ""
        return known(self._texts, PyUnicode_DecodeUTF8(text, size, NULL))

    cdef tuple values(self, tuple values):
        return known(self._tuples, values) if values else values

    cdef object address(self, const uint8_t *packed, int size):
        raw = PyBytes_FromStringAndSize(<const char *>packed, size)
        address = self._addresses.get(raw)
        if address is None:
            if len(self._addresses) >= MAX_SHARED:
                self._addresses.clear()
            address = IPv4Address(raw) if size == 4 else IPv6Address(raw)
            self._addresses[raw] = address
        return address


cdef object known(dict table, object value):
    """The object equal to `value` that was met first."""
    if len(table) >= MAX_SHARED:
        table.clear()
    return table.setdefault(value, value)


cdef list appended(list items, object item):
    if items is None:
        return [item]
    items.append(item)
    return items


cdef tuple as_tuple(list items):
    return () if items is None else tuple(items)

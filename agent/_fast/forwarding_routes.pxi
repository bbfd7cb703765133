# Routes and bridge entries between messages and tables (included by forwarding.pyx).

cdef route_key key_of(const unsigned char[:] prefix):
    """A prefix of 4 or 16 bytes."""
    cdef route_key key
    if prefix.shape[0] == 4:
        key.hi = <uint64_t>get32(&prefix[0]) << 32
        key.lo = 0
    else:
        key.hi = get64(&prefix[0])
        key.lo = get64(&prefix[8])
    return key


cdef bytes prefix_of(route_key key, int width):
    cdef uint8_t at[16]
    put64(at, key.hi)
    put64(&at[8], key.lo)
    return PyBytes_FromStringAndSize(<char *>at, width)


cdef int width_of(int family):
    return 4 if family == AF_V4 else 16 if family == AF_V6 else 0


cdef void fill_route(c_route *route, nh, label, flags, const unsigned char[:] mac):
    memset(route, 0, sizeof(route[0]))
    route.nh = word(nh)
    route.flags = flags & 0xff
    route.label = <uint32_t>(label & 0xffffff) if flags & 1 else NO_LABEL
    if mac.shape[0] == 6:
        memcpy(route.mac, &mac[0], 6)


cdef bint has_mac(const c_route *route) noexcept:
    cdef uint8_t bits = 0
    for i in range(6):
        bits |= route.mac[i]
    return bits != 0


cdef bytes stitched(const c_route *route):
    return mac_bytes(route.mac) if has_mac(route) else b""


cdef int64_t position_of(datapath *dp, uint32_t vrf, const c_route *route) noexcept:
    return bridge_find(dp, vrf, route.mac) if has_mac(route) else -1


cdef int check_route(datapath *dp, uint32_t vrf, const c_route *route, bint adding) noexcept:
    cdef nexthop *nh = dp_nexthop(dp, route.nh)
    if nh == NULL:
        return -ENOENT
    if adding and nh.type == 3 and not route.flags & 1:
        return -EINVAL
    if has_mac(route) and bridge_find(dp, vrf, route.mac) < 0:
        return -ENOENT
    return 0


cdef bint insert(datapath *dp, uint32_t vrf, int family, route_key key, unsigned plen,
                 const c_route *route) noexcept:
    cdef c_vrf *table = dp_vrf(dp, vrf)
    if table == NULL:
        return False
    return route_insert(&dp.arena, &table.inet if family == AF_V4 else &table.inet6, key, plen,
                        route)


cdef bint step(route_key *key, int width) noexcept:
    """The next address; False behind the last one."""
    if width == 4:
        key.hi += <uint64_t>1 << 32
        return key.hi != 0
    key.lo += 1
    if key.lo == 0:
        key.hi += 1
    return key.hi != 0 or key.lo != 0


cdef object bridge_row(const bridge_entry *entry):
    return BridgeEntry(entry.index, entry.vrf, mac_bytes(entry.mac), entry.nh, entry.label,
                       entry.flags, entry.packets)

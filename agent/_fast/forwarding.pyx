"""The forwarder's data plane; the interface is described in forwarding.pyi.

Each method turns its arguments into C values first and then holds the router's lock
for one call, without the GIL where it may wait.
"""

import errno
import os
from collections import namedtuple

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

DROP_REASONS = tuple("""
    invalid discard pull invalid_if invalid_arp trap_no_if nowhere_to_go
    flow_queue_limit_exceeded flow_no_memory flow_invalid_protocol flow_nat_no_rflow
    flow_action_drop flow_action_invalid flow_unusable flow_table_full interface_tx_discard
    interface_drop duplicated push ttl_exceeded invalid_nh invalid_label invalid_protocol
    interface_rx_discard invalid_mcast_source head_alloc_fail pcow_fail mcast_df_bit
    mcast_clone_fail no_memory rewrite_fail misc invalid_packet cksum_err no_fmd cloned_original
    invalid_vnid fragments invalid_source l2_no_route fragment_queue_fail vlan_fwd_tx vlan_fwd_enq
    new_flows flow_evict trap_original leaf_to_leaf bmac_isid_mismatch pkt_loop no_crypt_path
    invalid_hbs_pkt no_frag_entry icmp_error clone_fail invalid_underlay_ecmp
""".split())
VRF_COUNTERS = tuple("""
    discards resolves receives ecmp_composites l2_mcast_composites fabric_composites udp_tunnels
    udp_mpls_tunnels gre_mpls_tunnels l2_encaps encaps gros diags encap_composites evpn_composites
    vrf_translates vxlan_tunnels arp_virtual_proxy arp_virtual_stitch arp_virtual_flood
    arp_physical_stitch arp_tor_proxy arp_physical_flood l2_receives uuc_floods pbb_tunnels
    udp_mpls_over_mpls_tunnels
""".split())
VIF_COUNTERS = tuple("""
    ibytes ipackets ierrors obytes opackets oerrors dev_ierrors dev_oerrors reconnects
""".split())


Vif = namedtuple("Vif", "idx type flags vrf mcast_vrf nh_id mac mtu vlan_id ovlan_id parent"
                        " cross_connect os_idx ip name attached")
Route = namedtuple("Route", "prefix plen nh label flags mac bridge_index replace_plen")
BridgeEntry = namedtuple("BridgeEntry", "position vrf mac nh label flags packets")
FlowAnswer = namedtuple("FlowAnswer", "code handle gen_id bytes packets oflow flags")
FlowTableStats = namedtuple("FlowTableStats", "used processed deleted added created changed"
                                              " oflow_entries hold_oflows hold_entries"
                                              " burst_free_tokens")
Usage = namedtuple("Usage", "bridge_entries bridge_overflow flow_entries route_nodes buffers")
FatPrefix = namedtuple("FatPrefix", "address bits keep")
FatRule = namedtuple("FatRule", "proto port ignore source destination")

FRAMING_PLAIN = C_FRAMING_PLAIN
FRAMING_VNET = C_FRAMING_VNET
FRAMING_PKT0 = C_FRAMING_PKT0

cdef int EINVAL = errno.EINVAL
cdef int ENOENT = errno.ENOENT
cdef int ENODEV = errno.ENODEV
cdef int ENOMEM = errno.ENOMEM
cdef uint32_t NO_LABEL = 0xffffff
cdef uint32_t NONE32 = 0xffffffff
cdef size_t FLOW_TURN = 128  # requests that are answered while the packets wait


cdef inline uint32_t word(value):
    """The low 32 bits, whatever the sign."""
    return <uint32_t>(value & 0xffffffff)


cdef tuple counters_of(const uint64_t *values, int count):
    return tuple([values[i] for i in range(count)])


cdef bytes mac_bytes(const uint8_t *mac):
    return PyBytes_FromStringAndSize(<const char *>mac, 6)


include "forwarding_routes.pxi"
include "forwarding_fat_flows.pxi"


cdef class Datapath:
    cdef datapath *dp
    cdef unsigned char[::1] flow_bytes, bridge_bytes

    def __cinit__(self, *, flow_table, uint32_t flow_entries, bridge_table,
                  uint32_t bridge_entries, uint32_t interfaces=4355, uint32_t vrfs=4096,
                  uint32_t nexthops=524288, uint32_t labels=5120, uint32_t hold_limit=8192,
                  seed=0, bint mss_adjust=True):
        cdef hash_table flows, bridge
        self.flow_bytes = flow_table
        self.bridge_bytes = bridge_table
        check_table("flow", self.flow_bytes.shape[0], 256, flow_entries)
        check_table("bridge", self.bridge_bytes.shape[0], 64, bridge_entries)
        for name, count, most in (("interfaces", interfaces, 1 << 20), ("vrfs", vrfs, 65535),
                                  ("nexthops", nexthops, 1 << 24), ("labels", labels, 1 << 20)):
            if not 0 < count <= most:
                raise ValueError(f"{name}: {count} is not between 1 and {most}")
        if not hash_init(&flows, &self.flow_bytes[0], self.flow_bytes.shape[0], 256, flow_entries):
            raise MemoryError
        if not hash_init(&bridge, &self.bridge_bytes[0], self.bridge_bytes.shape[0], 64,
                         bridge_entries):
            free(flows.free)
            raise MemoryError
        self.dp = dp_new(interfaces, vrfs, nexthops, labels, flows, bridge)
        if self.dp == NULL:
            raise MemoryError
        flow_set_hold_limits(self.dp, hold_limit, 0, 0, 0)
        self.dp.seed = word(seed)
        self.dp.mss_adjust = mss_adjust

    def __dealloc__(self):
        if self.dp != NULL:
            dp_free(self.dp)

    cdef datapath *locked(self) except NULL:
        if self.dp == NULL:
            raise ValueError("the datapath is closed")
        with nogil:
            dp_lock(self.dp)
        return self.dp

    def move_tables(self, *, flow_table, bridge_table):
        cdef unsigned char[::1] flows = flow_table, bridge = bridge_table
        if (flows.shape[0] != self.flow_bytes.shape[0]
                or bridge.shape[0] != self.bridge_bytes.shape[0]):
            raise ValueError("a table's new place is not as large as the old one")
        cdef datapath *dp = self.locked()
        memmove(&flows[0], &self.flow_bytes[0], flows.shape[0])
        memmove(&bridge[0], &self.bridge_bytes[0], bridge.shape[0])
        dp.flows.base = &flows[0]
        dp.bridge.base = &bridge[0]
        dp_unlock(dp)
        self.flow_bytes = flows
        self.bridge_bytes = bridge

    # --- interfaces

    def vif_set(self, idx, *, type, str name="", flags=0, vrf=-1, mcast_vrf=-1, nh_id=0,
                const unsigned char[:] mac=bytes(6), mtu=0, os_idx=-1, ip=0, vlan_id=0,
                ovlan_id=0, parent=-1, cross_connect=-1):
        cdef vif_config config
        cdef bytes encoded = name.encode("utf-8", "surrogateescape")[:63]
        if mac.shape[0] != 6 or not 0 <= type < 256:
            return -EINVAL
        if vrf > 65535 or mcast_vrf > 65535:
            return -EINVAL
        memset(&config, 0, sizeof(config))
        config.idx = word(idx)
        config.type = type
        config.flags = word(flags)
        config.nh = word(nh_id)
        config.mtu = word(mtu)
        config.ip = word(ip)
        config.vrf = max(vrf, -1)
        config.mcast_vrf = max(mcast_vrf, -1)
        config.parent = max(parent, -1)
        config.cross = max(cross_connect, -1)
        config.os_idx = <int32_t>word(os_idx)
        config.vlan_id = vlan_id & 0xffff
        config.ovlan_id = ovlan_id & 0xffff
        memcpy(config.mac, &mac[0], 6)
        memcpy(config.name, <const char *>encoded, len(encoded))
        cdef datapath *dp = self.locked()
        cdef int code = c_vif_set(dp, &config)
        dp_unlock(dp)
        return code

    def vif_attach(self, idx, int fd, int framing, str peer=""):
        cdef bytes path = os.fsencode(peer)
        if framing not in (FRAMING_PLAIN, FRAMING_VNET, FRAMING_PKT0):
            raise ValueError(f"framing {framing} is unknown")
        if len(path) >= PEER_MAX:
            raise ValueError(f"socket path is longer than {PEER_MAX - 1} bytes: {peer}")
        cdef uint32_t index = word(idx)
        cdef const char *peer_path = path
        cdef datapath *dp = self.locked()
        cdef int code
        with nogil:
            code = c_vif_attach(dp, index, fd, framing, peer_path)
            dp_unlock(dp)
        return code

    def vif_greet(self, idx):
        cdef datapath *dp = self.locked()
        cdef int code = device_greet(dp, word(idx))
        dp_unlock(dp)
        return code

    def vif_detach(self, idx):
        cdef datapath *dp = self.locked()
        cdef c_vif *vif = dp_vif(dp, word(idx))
        if vif != NULL:
            c_vif_detach(dp, vif)
        dp_unlock(dp)
        return 0 if vif != NULL else -ENODEV

    def vif_delete(self, idx):
        cdef datapath *dp = self.locked()
        cdef int code = c_vif_delete(dp, word(idx))
        dp_unlock(dp)
        return code

    def vif_get(self, idx):
        cdef datapath *dp = self.locked()
        cdef c_vif *vif = dp_vif(dp, word(idx))
        cdef c_vif copy
        cdef bint attached = False
        if vif != NULL:
            attached = device_is_attached(dp, vif)
            memcpy(&copy, vif, sizeof(copy))
        dp_unlock(dp)
        if vif == NULL:
            return None
        name = (<bytes>copy.name).decode("utf-8", "surrogateescape")
        return Vif(copy.idx, copy.type, copy.flags, copy.vrf, copy.mcast_vrf, copy.nh,
                   mac_bytes(copy.mac), copy.mtu, copy.vlan_id, copy.ovlan_id, copy.parent,
                   copy.cross, copy.os_idx, copy.ip, name, attached)

    def vif_indexes(self):
        cdef datapath *dp = self.locked()
        cdef list indexes = [i for i in range(dp.max_vifs) if dp.vifs[i] != NULL]
        dp_unlock(dp)
        return indexes

    def vif_stats(self, idx):
        cdef datapath *dp = self.locked()
        cdef c_vif *vif = dp_vif(dp, word(idx))
        cdef c_vif copy
        if vif != NULL:
            memcpy(&copy, vif, sizeof(copy))
        dp_unlock(dp)
        if vif == NULL:
            return None
        return (counters_of(copy.counters, VIF_COUNTER_COUNT),
                counters_of(copy.drops, DROP_REASON_COUNT))

    def vif_clear_stats(self, idx):
        cdef uint32_t index = word(idx), i
        cdef bint found = index == NONE32
        cdef datapath *dp = self.locked()
        for i in range(dp.max_vifs):
            if dp.vifs[i] != NULL and (index == NONE32 or index == i):
                memset(dp.vifs[i].counters, 0, VIF_COUNTER_COUNT * sizeof(uint64_t))
                memset(dp.vifs[i].drops, 0, DROP_REASON_COUNT * sizeof(uint64_t))
                found = True
        dp_unlock(dp)
        return 0 if found else -ENODEV

    def vif_vrf_assign(self, idx, vlan, vrf, nh_id):
        if vrf > 65535:
            return -EINVAL
        cdef int32_t into = max(vrf, -1)
        cdef datapath *dp = self.locked()
        cdef int code = c_vif_vrf_assign(dp, word(idx), word(vlan), into, word(nh_id))
        dp_unlock(dp)
        return code

    # --- nexthops, labels, VNIs

    def nexthop_set(self, id, *, type, family=2, flags=0, vrf=0, encap_oif_id=(),
                    const unsigned char[:] encap=b"", tun_sip=0, tun_dip=0, tun_sport=0,
                    tun_dport=0, nh_list=(), label_list=(), ecmp_config_hash=0, transport_label=0,
                    const unsigned char[:] pbb_mac=b"", const unsigned char[:] rw_dst_mac=b""):
        cdef nexthop config
        cdef Py_ssize_t i, parts = len(nh_list), labels = len(label_list)
        if encap.shape[0] > ENCAP_MAX or not 0 <= type < 256 or not 0 <= family < 256:
            return -EINVAL
        memset(&config, 0, sizeof(config))
        config.id = word(id)
        config.type = type
        config.family = family
        config.flags = word(flags)
        config.vrf = <int32_t>word(vrf)
        config.oif = <int32_t>word(encap_oif_id[0]) if len(encap_oif_id) else -1
        config.encap_len = <uint8_t>encap.shape[0]
        if encap.shape[0]:
            memcpy(config.encap, &encap[0], encap.shape[0])
        if rw_dst_mac.shape[0] == 6:
            memcpy(config.rw_dst_mac, &rw_dst_mac[0], 6)
        config.tun_sip = word(tun_sip)
        config.tun_dip = word(tun_dip)
        config.tun_sport = tun_sport & 0xffff
        config.tun_dport = tun_dport & 0xffff
        config.ecmp_hash = word(ecmp_config_hash)
        cdef int32_t *lists = <int32_t *>calloc(parts + labels + 1, sizeof(int32_t))
        if lists == NULL:
            return -ENOMEM
        cdef datapath *dp
        cdef int code
        try:
            for i in range(parts):
                lists[i] = <int32_t>word(nh_list[i])
            for i in range(labels):
                lists[parts + i] = <int32_t>word(label_list[i])
            dp = self.locked()
            code = c_nexthop_set(dp, &config, lists, lists + parts, <uint32_t>parts,
                                 <uint32_t>labels)
            dp_unlock(dp)
        finally:
            free(lists)
        return code

    def nexthop_delete(self, id):
        cdef datapath *dp = self.locked()
        cdef int code = c_nexthop_delete(dp, word(id))
        dp_unlock(dp)
        return code

    def nexthop_exists(self, id):
        cdef datapath *dp = self.locked()
        cdef bint found = dp_nexthop(dp, word(id)) != NULL
        dp_unlock(dp)
        return found

    def label_set(self, label, nh_id):
        cdef uint32_t index = word(label), nh = word(nh_id)
        cdef int code = -EINVAL
        cdef datapath *dp = self.locked()
        if index < dp.max_labels:
            dp.labels[index] = 0
            if dp_nexthop(dp, nh) != NULL:
                dp.labels[index] = nh + 1
                code = 0
        dp_unlock(dp)
        return code

    def label_delete(self, label):
        cdef uint32_t index = word(label)
        cdef datapath *dp = self.locked()
        cdef bint inside = index < dp.max_labels
        if inside:
            dp.labels[index] = 0
        dp_unlock(dp)
        return 0 if inside else -EINVAL

    def label_get(self, label):
        cdef uint32_t index = word(label)
        cdef datapath *dp = self.locked()
        cdef int64_t nh = <int64_t>dp.labels[index] - 1 if index < dp.max_labels else -1
        dp_unlock(dp)
        return nh

    def vxlan_set(self, vnid, nh_id):
        cdef datapath *dp = self.locked()
        cdef int code = vni_set(dp, word(vnid), word(nh_id))
        dp_unlock(dp)
        return code

    def vxlan_delete(self, vnid):
        cdef datapath *dp = self.locked()
        vni_delete(dp, word(vnid))
        dp_unlock(dp)
        return 0

    def vxlan_get(self, vnid):
        cdef datapath *dp = self.locked()
        cdef int64_t nh = vni_get(dp, word(vnid))
        dp_unlock(dp)
        return nh

    # --- routes

    def route_add(self, vrf, int family, const unsigned char[:] prefix, plen, *, nh, label=0,
                  flags=0, const unsigned char[:] mac=b""):
        cdef int width = width_of(family)
        if width == 0:
            return -ENOENT
        cdef c_route route
        fill_route(&route, nh, label, flags, mac)
        cdef uint32_t table = word(vrf)
        cdef unsigned length = word(plen)
        cdef int code = -EINVAL
        cdef datapath *dp = self.locked()
        if prefix.shape[0] == width and length <= <unsigned>width * 8 and table < dp.max_vrfs:
            code = check_route(dp, table, &route, True)
            if code == 0 and not insert(dp, table, family, key_of(prefix), length, &route):
                code = -ENOMEM
        dp_unlock(dp)
        return code

    def route_delete(self, vrf, int family, const unsigned char[:] prefix, plen, *, nh=0, label=0,
                     flags=0, const unsigned char[:] mac=b"", replace_plen=0):
        cdef int width = width_of(family)
        if width == 0:
            return -ENOENT
        cdef c_route route
        fill_route(&route, nh, label, flags, mac)
        route.stored = min(max(replace_plen, 0), width * 8)
        cdef uint32_t index = word(vrf)
        cdef unsigned length = word(plen)
        cdef int code = -EINVAL
        cdef route_table *table = NULL
        cdef bint exists
        cdef datapath *dp = self.locked()
        if prefix.shape[0] == width and length <= <unsigned>width * 8:
            if index < dp.max_vrfs and dp.vrfs[index] != NULL:
                table = &dp.vrfs[index].inet if family == AF_V4 else &dp.vrfs[index].inet6
            exists = table != NULL and table.exists
            code = check_route(dp, index, &route, False) if exists else -ENOENT
            if code == 0:
                route_remove(&dp.arena, table, key_of(prefix), length, &route)
        dp_unlock(dp)
        return code

    def route_get(self, vrf, int family, const unsigned char[:] prefix):
        cdef int width = width_of(family)
        cdef route_key key
        cdef c_route found
        cdef const c_route *match = NULL
        cdef uint32_t index = word(vrf)
        cdef int64_t position = -1
        if width and prefix.shape[0] != width:
            raise ValueError(f"address of {prefix.shape[0]} bytes, {width} expected")
        memset(&found, 0, sizeof(found))
        found.label = NO_LABEL
        if width:
            key = key_of(prefix)
        cdef datapath *dp = self.locked()
        if width and index < dp.max_vrfs and dp.vrfs[index] != NULL:
            match = route_find(&dp.arena, &dp.vrfs[index].inet if width == 4
                               else &dp.vrfs[index].inet6, key)
        if match != NULL:
            found = match[0]
            position = position_of(dp, index, &found)
        dp_unlock(dp)
        return Route(bytes(prefix), found.stored, found.nh, found.label, found.flags,
                     stitched(&found), position, 0)

    def route_dump(self, vrf, int family, const unsigned char[:] marker, marker_plen,
                   uint32_t max):
        cdef int width = width_of(family)
        cdef route_key start
        cdef uint32_t index = word(vrf), count = 0, i
        if width == 0 or marker.shape[0] not in (0, width):
            return []
        start.hi = start.lo = 0
        if marker.shape[0] and (any(marker) or marker_plen):
            start = key_of(marker)
            if not step(&start, width):
                return []
        cdef route_leaf *leaves = <route_leaf *>calloc(max + 1, sizeof(route_leaf))
        cdef int64_t *positions = <int64_t *>calloc(max + 1, sizeof(int64_t))
        if leaves == NULL or positions == NULL:
            free(leaves)
            free(positions)
            raise MemoryError
        cdef datapath *dp
        try:
            dp = self.locked()
            if index < dp.max_vrfs and dp.vrfs[index] != NULL:
                count = route_leaves(&dp.arena, &dp.vrfs[index].inet if width == 4
                                     else &dp.vrfs[index].inet6, width * 8, start, leaves, max)
                for i in range(count):
                    positions[i] = position_of(dp, index, &leaves[i].route)
            dp_unlock(dp)
            return [Route(prefix_of(leaves[i].key, width), leaves[i].plen, leaves[i].route.nh,
                          leaves[i].route.label, leaves[i].route.flags,
                          stitched(&leaves[i].route), positions[i], leaves[i].route.stored)
                    for i in range(count)]
        finally:
            free(leaves)
            free(positions)

    def route_count(self, vrf, int family):
        cdef uint32_t index = word(vrf)
        cdef uint32_t count = 0
        cdef datapath *dp = self.locked()
        if index < dp.max_vrfs and dp.vrfs[index] != NULL:
            count = dp.vrfs[index].inet.count if family == AF_V4 else dp.vrfs[index].inet6.count
        dp_unlock(dp)
        return count

    # --- bridge table

    def bridge_add(self, vrf, const unsigned char[:] mac, *, nh, label=0, flags=0):
        if mac.shape[0] != 6:
            return -EINVAL
        cdef uint16_t bits = flags & 0xffff
        cdef datapath *dp = self.locked()
        cdef int code = c_bridge_add(dp, word(vrf), &mac[0], word(nh), word(label), bits)
        dp_unlock(dp)
        return code

    def bridge_delete(self, vrf, const unsigned char[:] mac):
        if mac.shape[0] != 6:
            return -EINVAL
        cdef datapath *dp = self.locked()
        cdef int code = c_bridge_delete(dp, word(vrf), &mac[0])
        dp_unlock(dp)
        return code

    def bridge_get(self, vrf, const unsigned char[:] mac):
        cdef bridge_entry entry
        if mac.shape[0] != 6:
            return None
        cdef datapath *dp = self.locked()
        cdef int64_t index = bridge_find(dp, word(vrf), &mac[0])
        if index >= 0:
            bridge_read(dp, <uint32_t>index, &entry)
        dp_unlock(dp)
        return bridge_row(&entry) if index >= 0 else None

    def bridge_dump(self, vrf, const unsigned char[:] marker, uint32_t max):
        cdef uint32_t index = word(vrf), count, i
        cdef const uint8_t *after = &marker[0] if marker.shape[0] == 6 else NULL
        cdef bridge_entry *entries = <bridge_entry *>calloc(max + 1, sizeof(bridge_entry))
        if entries == NULL:
            raise MemoryError
        cdef datapath *dp
        try:
            dp = self.locked()
            count = c_bridge_dump(dp, index, after, entries, max)
            dp_unlock(dp)
            return [bridge_row(&entries[i]) for i in range(count)]
        finally:
            free(entries)

    # --- flow table

    def flow_set(self, *, index, gen_id, int family, int proto, sport, dport, nh_id, sip_u=0,
                 sip_l, dip_u=0, dip_l, flags, flags1=0, action=0, vrf=0, dvrf=0, rindex=-1,
                 rflow_sip_u=0, rflow_sip_l=0, rflow_dip_u=0, rflow_dip_l=0, rflow_nh_id=0,
                 rflow_sport=0, rflow_dport=0, mir_id=255, sec_mir_id=255, src_nh_index=0,
                 ecmp_nh_index=-1, underlay_ecmp_index=-1, qos_id=-1, ttl=0, drop_reason=0,
                 extflags=0, bytes meta=b""):
        cdef flow_request request
        cdef flow_answer answer
        cdef uint64_t words[4]
        cdef uint64_t rwords[4]
        memset(&request, 0, sizeof(request))
        for i, value in enumerate((sip_u, sip_l, dip_u, dip_l)):
            words[i] = value & 0xffffffffffffffff
        for i, value in enumerate((rflow_sip_u, rflow_sip_l, rflow_dip_u, rflow_dip_l)):
            rwords[i] = value & 0xffffffffffffffff
        request.key_len = flow_put_key(request.key, family, proto & 0xff, sport & 0xffff,
                                       dport & 0xffff, word(nh_id), words)
        flow_put_key(request.rkey, family, proto & 0xff, rflow_sport & 0xffff,
                     rflow_dport & 0xffff, word(rflow_nh_id), rwords)
        request.meta = meta
        request.meta_len = <uint32_t>len(meta)
        request.index = <int32_t>word(index)
        request.rindex = <int32_t>word(rindex)
        request.ecmp_nh = <int32_t>word(ecmp_nh_index)
        request.underlay_ecmp = <int32_t>word(underlay_ecmp_index)
        request.src_nh = word(src_nh_index)
        request.gen_id = gen_id & 0xff
        request.ttl = ttl & 0xff
        request.drop_reason = drop_reason & 0xff
        request.mirror = mir_id & 0xff
        request.sec_mirror = sec_mir_id & 0xff
        request.mirror_wanted = word(mir_id)
        request.sec_mirror_wanted = word(sec_mir_id)
        request.flags = flags & 0xffff
        request.flags1 = flags1 & 0xffff
        request.action = action & 0xffff
        request.vrf = vrf & 0xffff
        request.dvrf = dvrf & 0xffff
        request.extflags = extflags & 0xffff
        cdef uint16_t qos = qos_id & 0xffff
        request.qos = <int16_t>qos
        cdef datapath *dp = self.locked()
        c_flow_set(dp, &request, &answer)
        dp_unlock(dp)
        return FlowAnswer(answer.code, answer.index, answer.gen_id, answer.bytes, answer.packets,
                          answer.oflow, answer.flags)

    def flow_serve(self, const unsigned char[:] frames, size_t room):
        cdef const uint8_t *at = &frames[0] if frames.shape[0] else NULL
        cdef size_t size = frames.shape[0], used = 0, step = 1, written = 0
        room = min(room, size // 2 + FLOW_REPLY)
        cdef bytes replies = PyBytes_FromStringAndSize(NULL, room)
        cdef uint8_t *out = <uint8_t *><char *>replies
        cdef datapath *dp
        if self.dp == NULL:
            raise ValueError("the datapath is closed")
        dp = self.dp
        with nogil:
            while step:
                dp_lock(dp)
                written += c_flow_serve(dp, at + used, size - used, &step, out + written,
                                        min(room - written, FLOW_TURN * FLOW_REPLY))
                dp_unlock(dp)
                used += step
        return used, replies[:written]

    def flow_request(self, bytes message):
        cdef uint8_t out[FLOW_PAYLOAD]
        cdef const char *content = message
        cdef size_t size = len(message)
        cdef bint taken
        cdef datapath *dp = self.locked()
        taken = c_flow_serve_one(dp, <const uint8_t *>content, size, out)
        dp_unlock(dp)
        return PyBytes_FromStringAndSize(<char *>out, FLOW_PAYLOAD) if taken else None

    def flow_table_stats(self):
        cdef datapath *dp = self.locked()
        cdef flow_stats stats = dp.flow_stats
        cdef uint32_t used = dp.flows.used, overflow = dp.flows.overflow_used
        cdef uint32_t held = dp.hold.entries, tokens = dp.hold.burst_left
        dp_unlock(dp)
        return FlowTableStats(used, stats.processed, stats.deleted, stats.added, stats.created,
                              stats.changed, overflow, 0, held, tokens)

    def set_hold_limits(self, limit, tokens=0, interval=0, step=0):
        cdef uint32_t entries = word(limit), most = word(tokens)
        cdef uint32_t period = word(interval), back = word(step)
        cdef datapath *dp = self.locked()
        flow_set_hold_limits(dp, entries, most, period, back)
        dp_unlock(dp)

    # --- mirroring, fat flows

    def mirror_set(self, index, nh_id, flags=0, vni=0):
        cdef uint32_t slot = word(index), nh = word(nh_id), bits = word(flags), number = word(vni)
        cdef datapath *dp = self.locked()
        cdef int code = c_mirror_set(dp, slot, nh, bits, number)
        dp_unlock(dp)
        return code

    def mirror_delete(self, index):
        cdef uint32_t slot = word(index)
        cdef datapath *dp = self.locked()
        cdef int code = c_mirror_delete(dp, slot)
        dp_unlock(dp)
        return code

    def vif_mirror(self, idx, mirror, bytes in_meta=b"", bytes out_meta=b""):
        cdef uint32_t index = word(idx)
        cdef uint8_t number = mirror & 0xff
        if len(in_meta) > META_MAX or len(out_meta) > META_MAX:
            return -EINVAL
        cdef datapath *dp = self.locked()
        cdef c_vif_extras *extras = vif_extras(dp, index)
        if extras != NULL:
            extras.mirror = number
            extras.in_length = <uint16_t>len(in_meta)
            extras.out_length = <uint16_t>len(out_meta)
            memcpy(extras.in_meta, <const char *>in_meta, len(in_meta))
            memcpy(extras.out_meta, <const char *>out_meta, len(out_meta))
        dp_unlock(dp)
        return 0 if extras != NULL else -ENODEV

    def vif_fat_flows(self, idx, rules=(), excludes=()):
        cdef c_vif_extras *made
        cdef c_vif_extras *extras
        cdef uint32_t index = word(idx), i
        cdef datapath *dp
        if len(rules) > FAT_RULES_MAX or len(excludes) > FAT_EXCLUDES_MAX:
            return -EINVAL
        made = <c_vif_extras *>calloc(1, sizeof(c_vif_extras))
        if made == NULL:
            return -ENOMEM
        try:
            for i, rule in enumerate(rules):
                if not fill_fat_rule(&made.rule[i], rule):
                    return -EINVAL
            for i, prefix in enumerate(excludes):
                if not fill_exclude(&made.exclude[i], prefix):
                    return -EINVAL
            dp = self.locked()
            extras = vif_extras(dp, index)
            if extras != NULL:
                extras.rules = <uint32_t>len(rules)
                extras.excludes = <uint32_t>len(excludes)
                memcpy(extras.rule, made.rule, len(rules) * sizeof(fat_rule))
                memcpy(extras.exclude, made.exclude, len(excludes) * sizeof(fat_exclude))
            dp_unlock(dp)
            return 0 if extras != NULL else -ENODEV
        finally:
            free(made)

    def fat_flow_key(self, idx, bint from_guest, bytes key):
        cdef uint8_t changed[44]
        if len(key) not in (20, 44):
            raise ValueError(f"flow key of {len(key)} bytes, 20 or 44 expected")
        memcpy(changed, <const char *>key, len(key))
        cdef uint32_t index = word(idx)
        cdef datapath *dp = self.locked()
        cdef c_vif *vif = dp_vif(dp, index)
        if vif != NULL:
            fat_flow_apply(vif, from_guest, changed)
        dp_unlock(dp)
        return PyBytes_FromStringAndSize(<char *>changed, len(key))

    # --- statistics

    def drop_stats(self):
        cdef uint64_t drops[DROP_REASON_COUNT]
        cdef datapath *dp = self.locked()
        memcpy(drops, dp.drops, sizeof(drops))
        dp_unlock(dp)
        return counters_of(drops, DROP_REASON_COUNT)

    def drop_stats_clear(self):
        cdef datapath *dp = self.locked()
        memset(dp.drops, 0, DROP_REASON_COUNT * sizeof(uint64_t))
        dp_unlock(dp)

    def drop_log(self, skip=0):
        cdef drop_note *notes = <drop_note *>calloc(C_DROP_NOTES, sizeof(drop_note))
        if notes is NULL:
            raise MemoryError
        cdef uint32_t start = min(max(skip, 0), C_DROP_NOTES), count
        cdef datapath *dp = self.locked()
        count = drop_log_read(&dp.drop_log, start, notes, C_DROP_NOTES)
        dp_unlock(dp)
        try:
            return PyBytes_FromStringAndSize(<char *>notes, count * sizeof(drop_note))
        finally:
            free(notes)

    def drop_log_set(self, only=None, brief=None):
        cdef datapath *dp = self.locked()
        if only is not None:
            dp.drop_log.only = <uint8_t>(only & 0xff)
        if brief is not None:
            dp.drop_log.brief = bool(brief)
        dp_unlock(dp)

    def drop_log_clear(self):
        cdef datapath *dp = self.locked()
        dp.drop_log.cleared = dp.drop_log.written
        dp_unlock(dp)

    def usage(self):
        cdef datapath *dp = self.locked()
        cdef uint32_t bridge = dp.bridge.used, overflow = dp.bridge.overflow_used
        cdef uint32_t nodes = dp.arena.used, buffers = dp.pool.made
        cdef uint32_t flows = dp.flows.used
        dp_unlock(dp)
        return Usage(bridge, overflow, flows, nodes, buffers)

    def vrf_stats(self, vrf):
        cdef uint64_t counters[VRF_COUNTER_COUNT]
        cdef uint32_t index = word(vrf)
        cdef datapath *dp = self.locked()
        cdef bint found = (index < dp.max_vrfs and dp.vrfs[index] != NULL
                           and dp.vrfs[index].counted)
        if found:
            memcpy(counters, dp.vrfs[index].counters, sizeof(counters))
        dp_unlock(dp)
        return counters_of(counters, VRF_COUNTER_COUNT) if found else None

    def vrf_stats_indexes(self):
        cdef datapath *dp = self.locked()
        cdef list indexes = [i for i in range(dp.max_vrfs)
                             if dp.vrfs[i] != NULL and dp.vrfs[i].counted]
        dp_unlock(dp)
        return indexes

    # --- life

    def set_mss_adjust(self, bint on):
        cdef datapath *dp = self.locked()
        dp.mss_adjust = on
        dp_unlock(dp)

    def reset(self):
        cdef datapath *dp = self.locked()
        with nogil:
            dp_reset(dp)
            dp_unlock(dp)

    def run(self):
        cdef int error = 0
        if self.dp == NULL:
            raise ValueError("the datapath is closed")
        if not dp_run_begin(self.dp):
            raise RuntimeError("the datapath is already running")
        with nogil:
            loop_run(self.dp, &error)
            dp_run_end(self.dp)
        if error:
            raise OSError(error, os.strerror(error), "epoll")

    def stop(self):
        if self.dp != NULL:
            dp_stop(self.dp)

    def close(self):
        if self.dp == NULL:
            return
        if not dp_run_begin(self.dp):
            raise RuntimeError("the datapath is running: stop it and wait for run() first")
        dp_free(self.dp)
        self.dp = NULL
        self.flow_bytes = None
        self.bridge_bytes = None

    # --- test devices

    def advance(self, double seconds):
        cdef datapath *dp = self.locked()
        dp.manual_clock = True
        dp.now += <uint64_t>(seconds * 1e9)
        dp_unlock(dp)

    def set_capture(self, bint on):
        cdef datapath *dp = self.locked()
        dp.capture = on
        dp_unlock(dp)

    def captured(self):
        cdef list frames = []
        cdef captured *caught
        cdef captured *following
        cdef datapath *dp = self.locked()
        caught = dp.caught
        dp.caught = NULL
        dp.caught_end = &dp.caught
        dp_unlock(dp)
        while caught != NULL:
            following = caught.next
            frames.append((caught.vif,
                           PyBytes_FromStringAndSize(<char *>caught.data, caught.len),
                           PyBytes_FromStringAndSize(<char *>caught.vnet, VNET_LEN)))
            free(caught)
            caught = following
        return frames

    def inject(self, idx, const unsigned char[:] frame, const unsigned char[:] vnet=b""):
        cdef uint32_t index = word(idx)
        cdef Py_ssize_t length = frame.shape[0]
        if length > FRAME_MAX:
            raise ValueError(f"frame of {length} bytes, at most {FRAME_MAX} fit")
        if vnet.shape[0] not in (0, VNET_LEN):
            raise ValueError(f"virtio_net_hdr of {vnet.shape[0]} bytes, {VNET_LEN} expected")
        cdef bytes content = bytes(frame), header = bytes(vnet)
        cdef const char *at = content
        cdef const char *header_at = header
        cdef bint offloaded = len(header) > 0
        cdef packet *p
        cdef datapath *dp = self.locked()
        cdef c_vif *vif = dp_vif(dp, index)
        with nogil:
            p = packet_take(&dp.pool) if vif != NULL else NULL
            if p != NULL:
                memcpy(p.buf + p.off, at, length)
                p.len = <uint32_t>length
                if offloaded:
                    packet_load_vnet(p, <const uint8_t *>header_at)
                c_receive(dp, vif, p)
            elif vif != NULL:
                dp_count_drop(dp, vif, DROP_NO_MEMORY)
            dp_unlock(dp)
        return 0 if vif != NULL else -ENODEV


cdef check_table(str name, size_t size, size_t entry, uint32_t main):
    if main < 4 or main % 4:
        raise ValueError(f"{name} table: {main} main entries, a multiple of 4 is needed")
    if size % entry or size // entry < main or size // entry >= 1 << 31:
        raise ValueError(f"{name} table: a buffer of {size} bytes does not hold {main} entries"
                         f" of {entry} bytes and whole overflow entries")


def checksum(const unsigned char[:] data, uint64_t initial=0):
    cdef bytes content = bytes(data)
    return checksum_of(<const uint8_t *><const char *>content, len(content), initial)

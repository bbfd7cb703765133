"""The world that flows are decided in, fed from Python; decisions themselves are C."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from agent._fast.classifier cimport Classifier
from agent._fast.sandesh cimport VrMplsReq, VrNexthopReq, VrRouteReq, VrVxlanReq

from collections import namedtuple
from dataclasses import dataclass
from enum import IntEnum

NO_VRF = WORLD_NO_VRF
MESSAGE_SIZE = FLOW_MESSAGE

include "flow_world_rows.pxi"

cdef enum:
    BRIDGE_FAMILY = 7
    MOST_LABEL = 0xfffff
    MOST_VNI = 0xffffff
    COMPOSITE = 6


# ---- what comes in: numbers and addresses ----

cdef uint32_t number_in(object value, uint32_t most, str what) except? 0xffffffff:
    if not 0 <= value <= most:
        raise ValueError(f"{what} {value} is not in 0 to {most}")
    return value


cdef int read_address(object packed, port_address *address, str what) except -1:
    """Packed address of 4 or 16 bytes; empty: none."""
    if type(packed) is not bytes:
        raise ValueError(f"{what}: {packed!r} is not a packed address")
    cdef Py_ssize_t size = PyBytes_GET_SIZE(packed)
    if size not in (0, 4, 16):
        raise ValueError(f"{what}: an address has 4 or 16 bytes, not {size}")
    memset(address, 0, sizeof(port_address))
    address.family = 0 if size == 0 else FLOW_INET if size == 4 else FLOW_INET6
    memcpy(address.bytes, PyBytes_AS_STRING(packed), size)
    return 0


cdef int read_mac(object mac, uint8_t *out) except -1:
    if type(mac) is not bytes or PyBytes_GET_SIZE(mac) != 6:
        raise ValueError(f"{mac!r} is not a MAC address of 6 bytes")
    memcpy(out, PyBytes_AS_STRING(mac), 6)
    return 0


cdef class _Arena:
    """C arrays that live until the call that needs them is over."""

    cdef void **pieces
    cdef Py_ssize_t used, room

    def __cinit__(self, Py_ssize_t room):
        self.pieces = <void **>calloc(room, sizeof(void *))
        self.room = room
        if self.pieces is NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.used):
            free(self.pieces[i])
        free(self.pieces)

    cdef void *take(self, size_t count, size_t size) except NULL:
        cdef void *piece = calloc(count if count else 1, size)
        if piece is NULL or self.used == self.room:
            free(piece)
            raise MemoryError
        self.pieces[self.used] = piece
        self.used += 1
        return piece


cdef int read_numbers(_Arena arena, object values, port_numbers *out) except -1:
    cdef uint32_t *items = <uint32_t *>arena.take(len(values), sizeof(uint32_t))
    cdef Py_ssize_t i
    for i, value in enumerate(values):
        items[i] = number_in(value, 0xfffffffe, "access list")
    out.items = items
    out.count = <uint32_t>len(values)
    return 0


cdef uint32_t optional_list(object value) except? 0xffffffff:
    return WORLD_NO_LIST if value is None else number_in(value, 0xfffffffe, "access list")


cdef int read_floating(_Arena arena, object facts, port_floating *out) except -1:
    cdef port_mapping *mappings
    cdef Py_ssize_t i
    read_address(facts.address, &out.address, "floating IP")
    read_address(facts.fixed, &out.fixed, "fixed address of a floating IP")
    if not out.address.family or out.fixed.family not in (0, out.address.family):
        raise ValueError("a floating IP and its fixed address must be of one family")
    out.vrf = number_in(facts.vrf, 0xffff, "VRF")
    out.inbound = bool(facts.inbound)
    out.outbound = bool(facts.outbound)
    out.meta = number_in(facts.meta, 0xfffffffe, "meta")
    out.network = optional_list(facts.network_list)
    out.mapped = facts.mappings is not None
    wanted = facts.mappings or ()
    mappings = <port_mapping *>arena.take(len(wanted), sizeof(port_mapping))
    for i, (protocol, public, private) in enumerate(wanted):
        mappings[i].proto = number_in(protocol, 255, "protocol")
        mappings[i].public_port = number_in(public, 65535, "port")
        mappings[i].private_port = number_in(private, 65535, "port")
    out.mappings = mappings
    out.mapping_count = <uint32_t>len(wanted)
    return 0


cdef int read_alias(object facts, port_alias *out) except -1:
    read_address(facts.address, &out.address, "alias IP")
    out.vrf = number_in(facts.vrf, 0xffff, "VRF")
    out.meta = number_in(facts.meta, 0xfffffffe, "meta")
    out.network = optional_list(facts.network_list)
    return 0


cdef int read_aggregate(object facts, port_address *prefix, uint8_t *plen,
                        uint8_t *length) except -1:
    memset(prefix, 0, sizeof(port_address))
    if facts is None:
        return 0
    packed, prefix_length, keep = facts
    read_address(packed, prefix, "prefix of a fat flow")
    if not prefix.family:
        raise ValueError("a fat flow's prefix needs an address")
    plen[0] = number_in(prefix_length, 8 * len(packed), "prefix length")
    length[0] = number_in(keep, 8 * len(packed), "aggregate length")
    return 0


cdef int read_fat(object facts, port_fat *out) except -1:
    out.proto = number_in(facts.protocol, 255, "protocol")
    out.port = number_in(facts.port, 65535, "port")
    out.ignore = number_in(facts.ignore, 2, "what a fat flow ignores")
    read_aggregate(facts.source, &out.src, &out.src_plen, &out.src_length)
    read_aggregate(facts.destination, &out.dst, &out.dst_plen, &out.dst_length)
    return 0


cdef int read_packet(object facts, flow_packet *out) except -1:
    cdef port_address src, dst
    read_address(facts.source, &src, "source")
    read_address(facts.destination, &dst, "destination")
    if not src.family or src.family != dst.family:
        raise ValueError("a packet's addresses must be of one family")
    memset(out, 0, sizeof(flow_packet))
    out.vif = number_in(facts.vif, 0xfffffffe, "vif")
    out.vrf = number_in(facts.vrf, 0xffff, "VRF")
    out.index = FLOW_NONE
    out.key_nexthop = number_in(facts.key_nexthop, 0xffffffff, "nexthop")
    out.family = src.family
    out.proto = number_in(facts.protocol, 255, "protocol")
    out.tcp_ack = bool(facts.tcp_ack)
    put_port(out.sport, number_in(facts.source_port, 65535, "port"))
    put_port(out.dport, number_in(facts.destination_port, 65535, "port"))
    memcpy(out.src, src.bytes, 16)
    memcpy(out.dst, dst.bytes, 16)
    read_mac(facts.source_mac, out.smac)
    read_mac(facts.destination_mac, out.dmac)
    out.tunnel = number_in(facts.tunnel, 3, "tunnel")
    out.is_l2 = bool(facts.is_l2)
    out.label = number_in(facts.label, 0xffffffff, "label")
    out.tunnel_source = number_in(facts.tunnel_source, 0xffffffff, "tunnel source")
    return 0


cdef void put_port(uint8_t *at, uint32_t port) noexcept:
    at[0] = <uint8_t>(port >> 8)
    at[1] = <uint8_t>port


# ---- what goes out ----

cdef object direction_of(const flow_side *side):
    return Direction(
        PyBytes_FromStringAndSize(<const char *>side.key, FLOW_KEY), side.src_nexthop, side.flags,
        side.vrf, side.dvrf, side.action, side.reason, side.ttl, side.ecmp, side.mirror,
        side.sec_mirror, side.qos, side.policy_rule, side.sg_rule,
    )


cdef object decision_of(flow_decision *decision):
    return Decision(
        direction_of(&decision.side[0]),
        direction_of(&decision.side[1]),
        tuple([None if number == FLOW_NONE else number for number in decision.reads]),
        decision.flags,
        decision.bound_port,
    )


cdef int read_side(object facts, flow_side *out) except -1:
    if type(facts.key) is not bytes or PyBytes_GET_SIZE(facts.key) != FLOW_KEY:
        raise ValueError(f"the key of a direction has {FLOW_KEY} bytes")
    memcpy(out.key, PyBytes_AS_STRING(facts.key), FLOW_KEY)
    out.src_nexthop = facts.source_nexthop
    out.flags = facts.flags
    out.vrf = facts.vrf
    out.dvrf = facts.dvrf
    out.action = facts.action
    out.reason = facts.reason
    out.ttl = facts.ttl
    out.ecmp = facts.ecmp
    out.mirror = facts.mirror
    out.sec_mirror = facts.second_mirror
    out.qos = facts.qos
    return 0


cdef object step_of(const flow_step *step):
    size = {BRIDGE_FAMILY: 6, FLOW_INET: 4, FLOW_INET6: 16}.get(step.family, 0)
    return Step(
        STEPS[step.kind], step.number, step.other, step.port,
        CHECKS[step.which] if step.kind == STEP_LIST else "",
        step.actions, PyBytes_FromStringAndSize(<const char *>step.address, size), step.length,
    )


def encode_flow(object decision, int side, object index, int gen_id, object partner):
    cdef flow_decision facts
    cdef uint8_t out[FLOW_MESSAGE]
    memset(&facts, 0, sizeof(facts))
    read_side(decision.forward, &facts.side[0])
    read_side(decision.reverse, &facts.side[1])
    if side not in (0, 1):
        raise ValueError(f"side {side} is neither 0 nor 1")
    flow_encode(out, &facts, side, FLOW_NONE if index is None else index, gen_id,
                FLOW_NONE if partner is None else partner)
    return PyBytes_FromStringAndSize(<char *>out, FLOW_MESSAGE)


def encode_delete(bytes key, uint32_t index, int gen_id):
    cdef uint8_t out[FLOW_MESSAGE]
    cdef uint8_t whole[FLOW_KEY]
    if len(key) != FLOW_KEY and not (len(key) == FLOW_KEY_INET and key[0] == FLOW_INET):
        raise ValueError(f"a key has {FLOW_KEY} bytes, or {FLOW_KEY_INET} of IPv4")
    memset(whole, 0, FLOW_KEY)
    memcpy(whole, PyBytes_AS_STRING(key), len(key))
    flow_encode_delete(out, whole, index, gen_id)
    return PyBytes_FromStringAndSize(<char *>out, FLOW_MESSAGE)


# ---- messages of the datapath ----

cdef int add_nexthop(world *to, VrNexthopReq message) except -1:
    cdef nexthop_facts facts
    cdef _Arena arena
    cdef int32_t *members
    cdef int32_t *labels
    cdef Py_ssize_t i
    number_in(message.fields.nhr_id, WORLD_NEXTHOPS - 1, "nexthop")
    memset(&facts, 0, sizeof(facts))
    facts.type = <uint8_t>message.fields.nhr_type
    facts.family = <uint8_t>message.fields.nhr_family
    facts.flags = message.fields.nhr_flags
    facts.vrf = message.fields.nhr_vrf
    facts.hash_fields = <uint8_t>message.fields.nhr_ecmp_config_hash
    facts.tunnel_destination = swapped(message.fields.nhr_tun_dip)
    vifs = message.nhr_encap_oif_id
    facts.vif = vifs[0] if vifs else -1
    if facts.type == COMPOSITE:
        nexthops, of_labels = message.nhr_nh_list, message.nhr_label_list
        facts.member_count = min(len(nexthops), len(of_labels))
        number_in(facts.member_count, WORLD_MEMBERS, "members of a nexthop")
        arena = _Arena(2)
        members = <int32_t *>arena.take(facts.member_count, sizeof(int32_t))
        labels = <int32_t *>arena.take(facts.member_count, sizeof(int32_t))
        for i in range(facts.member_count):
            members[i] = nexthops[i]
            labels[i] = of_labels[i]
        facts.members = members
        facts.labels = labels
    if world_put_nexthop(to, <uint32_t>message.fields.nhr_id, &facts):
        raise MemoryError
    return 0


cdef int add_label(world *to, VrMplsReq message) except -1:
    number_in(message.fields.mr_label, MOST_LABEL, "label")
    number_in(message.fields.mr_nhid, WORLD_NEXTHOPS - 1, "nexthop")
    if world_put_label(to, <uint32_t>message.fields.mr_label,
                       <uint32_t>message.fields.mr_nhid):
        raise MemoryError
    return 0


cdef int add_vni(world *to, VrVxlanReq message) except -1:
    number_in(message.fields.vxlanr_vnid, MOST_VNI, "VNI")
    number_in(message.fields.vxlanr_nhid, WORLD_NEXTHOPS - 1, "nexthop")
    if world_put_vni(to, <uint32_t>message.fields.vxlanr_vnid,
                     <uint32_t>message.fields.vxlanr_nhid):
        raise MemoryError
    return 0


cdef int put_route(world *to, VrRouteReq message, uint32_t meta) except -1:
    cdef const uint8_t *blob = <const uint8_t *>PyBytes_AS_STRING(message.blob or b"")
    cdef uint32_t size = message.fields.lengths[0]
    cdef int length = message.fields.rtr_prefix_len
    cdef uint32_t vrf = number_in(message.fields.rtr_vrf_id, 0xffff, "VRF")
    cdef uint32_t nexthop = number_in(message.fields.rtr_nh_id, WORLD_NEXTHOPS - 1, "nexthop")
    cdef uint32_t label = <uint32_t>message.fields.rtr_label
    cdef uint8_t mac[6]
    cdef int failed
    if world_has_vrf(to, vrf) == 0:
        raise ValueError(f"a route of VRF {vrf}, which is not known")
    if message.fields.rtr_label_flags & 1 == 0 and message.fields.rtr_family != BRIDGE_FAMILY:
        label = FLOW_NONE
    if message.fields.rtr_family == BRIDGE_FAMILY:
        read_mac(message.rtr_mac, mac)
        failed = world_put_bridge(to, vrf, mac, nexthop, label, meta)
    else:
        if size not in (4, 16) or not 0 <= length <= 8 * <int>size:
            raise ValueError(f"a route of {size} bytes and prefix length {length}")
        if has_host_bits(blob, length, size):
            raise ValueError(f"route {message.rtr_prefix!r}/{length} has host bits set")
        failed = world_put_route(to, vrf, FLOW_INET if size == 4 else FLOW_INET6,
                                 blob, length, nexthop, label, meta)
    if failed:
        raise MemoryError
    return 0


# ---- the world ----

cdef class World:
    def __cinit__(self, Classifier classifier):
        self.classifier = classifier
        self.world = world_new(classifier.table)
        if self.world is NULL:
            raise MemoryError

    def __dealloc__(self):
        world_free(self.world)

    # ---- messages of the datapath ----

    def add(self, object message):
        kind = type(message)
        if kind is VrNexthopReq:
            add_nexthop(self.world, message)
        elif kind is VrMplsReq:
            add_label(self.world, message)
        elif kind is VrVxlanReq:
            add_vni(self.world, message)
        elif kind is VrRouteReq:
            put_route(self.world, message, 0)

    def remove(self, object message):
        kind = type(message)
        if kind is VrNexthopReq:
            world_drop_nexthop(self.world, <uint32_t>(<VrNexthopReq>message).fields.nhr_id)
        elif kind is VrMplsReq:
            world_drop_label(self.world, <uint32_t>(<VrMplsReq>message).fields.mr_label)
        elif kind is VrVxlanReq:
            world_drop_vni(self.world, <uint32_t>(<VrVxlanReq>message).fields.vxlanr_vnid)
        elif kind is VrRouteReq:
            if (<VrRouteReq>message).fields.rtr_family == BRIDGE_FAMILY:
                self.remove_bridge(message.rtr_vrf_id, message.rtr_mac)
            else:
                self.remove_route(message.rtr_vrf_id, message.rtr_prefix, message.rtr_prefix_len)

    # ---- routes ----

    def meta(self, networks=(), groups=(), tags=()):
        cdef uint32_t of_networks = self.classifier.networks(networks)
        cdef uint32_t of_groups = self.classifier.groups(groups)
        cdef uint32_t of_tags = self.classifier.tags(tags)
        cdef uint32_t number
        if world_meta(self.world, of_networks, of_groups, of_tags, &number):
            raise MemoryError
        return number

    def put_routes(self, routes):
        for message, meta in routes:
            put_route(self.world, message, meta)

    def remove_route(self, uint32_t vrf, bytes prefix, int length):
        cdef Py_ssize_t size = len(prefix)
        if size not in (4, 16) or not 0 <= length <= 8 * size:
            raise ValueError(f"a route of {size} bytes and prefix length {length}")
        if has_host_bits(<const uint8_t *>PyBytes_AS_STRING(prefix), length, <uint32_t>size):
            raise ValueError(f"route {prefix!r}/{length} has host bits set")
        if world_drop_route(self.world, vrf, FLOW_INET if size == 4 else FLOW_INET6,
                            <const uint8_t *>PyBytes_AS_STRING(prefix), length):
            raise MemoryError

    def remove_bridge(self, uint32_t vrf, bytes mac):
        cdef uint8_t address[6]
        read_mac(mac, address)
        world_drop_bridge(self.world, vrf, address)

    def put_vrf(self, index, str name):
        cdef bytes text = name.encode("utf-8", "surrogateescape")
        if world_put_vrf(self.world, number_in(index, 0xfffe, "VRF"), PyBytes_AS_STRING(text),
                         len(text)):
            raise MemoryError

    def drop_vrf(self, uint32_t index):
        world_drop_vrf(self.world, index)

    # ---- ports ----

    def put_port(
        self, vif, *, kind=VIF_OF_VM, mac=bytes(6), vrf=WORLD_NO_VRF, key_nexthop=0, meta=0, vm=0,
        max_flows=0, policy=True, grouped=False, rpf=True, flood=False, bridged=True, routed=True,
        l2_active=True, ip4_active=True, ip6_active=True, address=b"", address6=b"",
        link_local=b"", gateways=(), mirror_lists=(), network_lists=(), egress_lists=(),
        ingress_lists=(), fwaas_lists=(), firewall_lists=(), vrf_assign_lists=(), floating=(),
        aliases=(), fat_flows=(),
    ):
        cdef port_facts facts
        cdef _Arena arena = _Arena(16 + len(floating))
        cdef port_floating *of_floating
        cdef port_alias *of_aliases
        cdef port_fat *of_fat
        cdef port_address *of_gateways
        cdef Py_ssize_t i
        memset(&facts, 0, sizeof(facts))
        facts.kind = number_in(kind, VIF_OF_AGENT, "kind of vif")
        for flag, wanted in (
            (TRAIT_POLICY, policy), (TRAIT_GROUPED, grouped), (TRAIT_RPF, rpf),
            (TRAIT_FLOOD, flood), (TRAIT_BRIDGED, bridged), (TRAIT_ROUTED, routed),
            (TRAIT_L2_ACTIVE, l2_active), (TRAIT_IP4_ACTIVE, ip4_active),
            (TRAIT_IP6_ACTIVE, ip6_active),
        ):
            if wanted:
                facts.traits |= <uint32_t>flag
        facts.vrf = number_in(vrf, 0xffff, "VRF")
        facts.key_nexthop = number_in(key_nexthop, 0xffffffff, "nexthop")
        facts.meta = number_in(meta, 0xfffffffe, "meta")
        facts.vm = number_in(vm, 0xfffffffe, "VM")
        facts.max_flows = number_in(max_flows, 0xffffffff, "flow limit")
        read_mac(mac, facts.mac)
        read_address(address, &facts.address, "address")
        read_address(address6, &facts.address6, "IPv6 address")
        read_address(link_local, &facts.link_local, "link-local address")
        lists = (mirror_lists, network_lists, egress_lists, ingress_lists, fwaas_lists,
                 firewall_lists, vrf_assign_lists)
        for i in range(PORT_LISTS):
            read_numbers(arena, lists[i], &facts.lists[i])
        of_gateways = <port_address *>arena.take(len(gateways), sizeof(port_address))
        for i, one in enumerate(gateways):
            read_address(one, &of_gateways[i], "gateway")
        of_floating = <port_floating *>arena.take(len(floating), sizeof(port_floating))
        for i, one in enumerate(floating):
            read_floating(arena, one, &of_floating[i])
        of_aliases = <port_alias *>arena.take(len(aliases), sizeof(port_alias))
        for i, one in enumerate(aliases):
            read_alias(one, &of_aliases[i])
        of_fat = <port_fat *>arena.take(len(fat_flows), sizeof(port_fat))
        for i, one in enumerate(fat_flows):
            read_fat(one, &of_fat[i])
        facts.gateways, facts.gateway_count = of_gateways, len(gateways)
        facts.floating, facts.floating_count = of_floating, len(floating)
        facts.aliases, facts.alias_count = of_aliases, len(aliases)
        facts.fat, facts.fat_count = of_fat, len(fat_flows)
        if world_put_port(self.world, number_in(vif, WORLD_VIFS - 1, "vif"), &facts):
            raise MemoryError

    def drop_port(self, uint32_t vif):
        world_drop_port(self.world, vif)

    def touch_list(self, uint32_t number):
        world_touch_list(self.world, number)

    # ---- the host ----

    def set_services(self, services):
        cdef _Arena arena = _Arena(1 + len(services))
        cdef link_local_service *made
        cdef uint8_t (*servers)[4]
        cdef Py_ssize_t i, j
        made = <link_local_service *>arena.take(len(services), sizeof(link_local_service))
        for i, service in enumerate(services):
            read_inet(service.address, made[i].address)
            made[i].port = number_in(service.port, 65535, "port")
            made[i].server_port = number_in(service.server_port, 65535, "port")
            made[i].server_count = <uint32_t>len(service.servers)
            servers = <uint8_t (*)[4]>arena.take(made[i].server_count, 4)
            for j, server in enumerate(service.servers):
                read_inet(server, servers[j])
            made[i].servers = servers
        if world_set_services(self.world, made, len(services)):
            raise MemoryError

    def set_host(self, router_id, vif, vrf):
        cdef uint8_t address[4]
        read_inet(router_id, address)
        world_set_host(self.world, address, number_in(vif, WORLD_VIFS - 1, "vif"),
                       number_in(vrf, 0xffff, "VRF"))

    def set_limits(self, *, vmi_flows=0, vm_flows=0, link_local_flows=16384,
                   vm_link_local_flows=16384):
        cdef world_limits limits
        limits.vmi_flows = number_in(vmi_flows, 0xffffffff, "limit")
        limits.vm_flows = number_in(vm_flows, 0xffffffff, "limit")
        limits.link_local_flows = number_in(link_local_flows, 0xffffffff, "limit")
        limits.vm_link_local_flows = number_in(vm_link_local_flows, 0xffffffff, "limit")
        world_set_limits(self.world, &limits)

    def give_port(self, int protocol, int port):
        if protocol not in (6, 17) or not 0 < port < 65536:
            raise ValueError(f"protocol {protocol} port {port} cannot be taken by NAT")
        if world_give_port(self.world, protocol, port):
            raise MemoryError

    def withdraw_port(self, uint8_t protocol, uint16_t port):
        return bool(world_withdraw_port(self.world, protocol, port))

    def free_ports(self, uint8_t protocol):
        return world_free_ports(self.world, protocol)

    def return_port(self, uint8_t protocol, uint16_t port):
        world_return_port(self.world, protocol, port)

    def landing(self, uint8_t tunnel, uint32_t label):
        cdef c_landing at
        if not world_landing(self.world, tunnel, label, &at):
            return None
        return Landing(at.nexthop, None if at.vif == FLOW_NONE else at.vif, at.vrf,
                       bool(at.is_l2), bool(at.control_word))

    # ---- decisions ----

    def drain(self):
        cdef touch touches[64]
        cdef size_t count, i
        found = []
        while True:
            count = world_drain(self.world, touches, 64)
            if not count:
                return found
            for i in range(count):
                found.append((Touch(touches[i].kind), touches[i].number))

    def decide(self, packet, before=None):
        cdef flow_packet facts
        cdef flow_before chosen
        cdef flow_decision decision
        read_packet(packet, &facts)
        if before is not None:
            chosen.ecmp[0] = before.forward.ecmp
            chosen.ecmp[1] = before.reverse.ecmp
            chosen.bound_port = before.bound_port
        flow_decide(self.world, &facts, NULL if before is None else &chosen, &decision)
        return decision_of(&decision)

    def explain(self, packet):
        cdef flow_packet facts
        cdef flow_decision decision
        cdef flow_trail trail
        cdef uint32_t i
        read_packet(packet, &facts)
        flow_explain(self.world, &facts, NULL, &decision, &trail)
        steps = []
        for i in range(trail.count):
            steps.append(step_of(&trail.steps[i]))
        return decision_of(&decision), steps

    @property
    def sizes(self):
        cdef c_sizes found
        c_world_sizes(self.world, &found)
        return Sizes(found.ports, found.vrfs, found.routes, found.bridges, found.nexthops,
                     found.labels, found.metas, found.memory)


cdef class Rehearsal:
    cdef flow_packet *packets
    cdef size_t count
    cdef World world

    def __cinit__(self, World world, packets):
        cdef Py_ssize_t i
        self.world = world
        self.count = len(packets)
        self.packets = <flow_packet *>calloc(self.count + 1, sizeof(flow_packet))
        if self.packets is NULL:
            raise MemoryError
        for i, packet in enumerate(packets):
            read_packet(packet, &self.packets[i])

    def __dealloc__(self):
        free(self.packets)

    def run(self):
        cdef size_t i, passed = 0
        with nogil:
            for i in range(self.count):
                passed += rehearse(self.world.world, &self.packets[i])
        return passed


cdef bint rehearse(world *to, const flow_packet *packet) noexcept nogil:
    cdef flow_decision decision
    cdef uint8_t out[2][FLOW_MESSAGE]
    flow_decide(to, packet, NULL, &decision)
    flow_encode(out[1], &decision, 1, FLOW_NONE, 0, packet.index)
    flow_encode(out[0], &decision, 0, packet.index, packet.gen_id, 1)
    if decision.flags & PAIR_BOUND_PORT:
        world_return_port(to, packet.proto, decision.bound_port)
    return decision.side[0].action != 0


cdef int read_inet(object packed, uint8_t *out) except -1:
    cdef port_address address
    read_address(packed, &address, "address")
    if address.family != FLOW_INET:
        raise ValueError(f"{packed!r} is not a packed IPv4 address")
    memcpy(out, address.bytes, 4)
    return 0


cdef bint has_host_bits(const uint8_t *prefix, int length, uint32_t size) noexcept:
    cdef uint32_t at = <uint32_t>length // 8
    if at < size and length % 8:
        if prefix[at] & (0xff >> (length % 8)):
            return True
        at += 1
    while at < size:
        if prefix[at]:
            return True
        at += 1
    return False


cdef uint32_t swapped(uint32_t word) noexcept:
    return (word >> 24) | (word >> 8 & 0xff00) | (word << 8 & 0xff0000) | (word << 24)

"""The relations of facts worked-example.md, sections 1 to 3 and 6."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

import pytest

from agent.inputs import ArpResolved
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.values import BROADCAST_MAC, VRRP_MAC, Mac, ip4_as_loaded
from tests.graph.worlds import (
    NIC,
    REMOTE,
    START,
    config_of,
    forms,
    full,
    move,
    ports_of,
    put,
    run,
    seen,
    taps_of,
    worked,
)

FABRIC = "default-domain:default-project:ip-fabric:__default__"
POLICY = "default-domain:default-project:ip-fabric:ip-fabric"
NET1 = "default-domain:default-project:net1:net1"
TOPOLOGY = worked()
[VM] = TOPOLOGY.vms.values()
PORT = str(VM.port)


def nexthop(*name: Any) -> Key:
    return Key(Kind.NEXTHOP, name)


def vmi_nexthop(name: str) -> Key:
    return nexthop("interface", PORT, VM.tap, name)


def label(key: Key) -> Key:
    return Key(Kind.LABEL, key.name)


def inet(vrf: str, prefix: str) -> Key:
    return route_key(vrf, ip_network(prefix))


def bridge(vrf: str, mac: Mac) -> Key:
    return Key(Kind.BRIDGE_ROUTE, (vrf, mac))


@pytest.fixture
def start() -> dict[Key, Any]:
    return forms(run([START])[0])


@pytest.fixture
def active() -> dict[Key, Any]:
    return forms(run([START, full(TOPOLOGY)])[0])


def test_state_after_start(start: dict[Key, Any]) -> None:
    fabric, vhost, pkt0 = (start[Key(Kind.VIF, name)] for name in ("fabric", "vhost", "pkt0"))
    assert (fabric.vifr_idx, fabric.vifr_type, fabric.vifr_flags) == (0, 2, 0x2002C0)
    assert (fabric.vifr_vrf, fabric.vifr_os_idx, fabric.vifr_transport) == (0, 3, 1)
    assert (fabric.vifr_mac, fabric.vifr_qos_map_index) == (bytes(NIC), -1)
    assert (vhost.vifr_idx, vhost.vifr_type, vhost.vifr_flags) == (1, 0, 0x200140)
    assert (vhost.vifr_vrf, vhost.vifr_mcast_vrf) == (0, 65535)
    assert vhost.vifr_ip == ip4_as_loaded(IPv4Address("10.0.0.1")) == 0x0100000A
    assert (vhost.vifr_mac, vhost.vifr_cross_connect_idx) == (bytes(VRRP_MAC), (3,))
    assert (pkt0.vifr_idx, pkt0.vifr_type, pkt0.vifr_flags) == (2, 1, 0x200040)
    assert (pkt0.vifr_vrf, pkt0.vifr_transport, pkt0.vifr_name) == (65535, 3, "unix")
    vrfs = {key.name: message.vrf_idx for key, message in start.items() if key.kind is Kind.VRF}
    assert vrfs == {FABRIC: 0, POLICY: 1}


def test_nexthops_after_start(start: dict[Key, Any]) -> None:
    nexthops = {key.name: one for key, one in start.items() if key.kind is Kind.NEXTHOP}
    assert (nexthops["discard"].nhr_id, nexthops["discard"].nhr_type) == (1, 5)
    assert (nexthops["l2-receive"].nhr_id, nexthops["l2-receive"].nhr_type) == (3, 8)
    others = [one.nhr_id for one in nexthops.values() if one.nhr_id not in (1, 3)]
    assert sorted(others) == list(range(4, 4 + len(others))), "2 is a hole, then lowest free"
    assert start[Key(Kind.VIF, "fabric")].vifr_nh_id == nexthops["interface", "fabric"].nhr_id
    assert nexthops["interface", "fabric"].nhr_encap_oif_id == (0,)
    own = nexthops["interface", "vhost", "l3-policy"]
    assert start[Key(Kind.VIF, "vhost")].vifr_nh_id == own.nhr_id
    assert nexthops["receive", "relaxed"].nhr_flags == 0x200101
    assert nexthops["receive", "policy"].nhr_flags == 0x200003
    assert nexthops["interface", "pkt0", "plain"].nhr_flags == 0x200001
    assert nexthops["interface", "pkt0", "policy"].nhr_flags == 0x200003
    assert nexthops["interface", "pkt0", "plain"].nhr_encap.hex() == "00000000000100005e0001000800"
    labels = {key.name: one for key, one in start.items() if key.kind is Kind.LABEL}
    assert {one.mr_label for one in labels.values()} == set(range(16, 21))
    assert all(one.mr_nhid == nexthops[name].nhr_id for name, one in labels.items())


def test_routes_after_start(start: dict[Key, Any]) -> None:
    relaxed = start[nexthop("receive", "relaxed")].nhr_id
    expected = {
        "10.0.0.1/32": relaxed,
        "10.0.0.0/24": start[nexthop("resolve")].nhr_id,
        "10.0.0.255/32": relaxed,
        "224.0.0.0/8": relaxed,
        "ff00::/8": relaxed,
        "0.0.0.0/0": 1,
    }
    routes = {
        str(key.name[1]): one.rtr_nh_id for key, one in start.items() if key.kind is Kind.INET_ROUTE
    }
    assert routes == expected
    plain = start[nexthop("interface", "pkt0", "plain")].nhr_id
    for vrf in (FABRIC, POLICY):
        for mac, via in {
            VRRP_MAC: 3,
            NIC: 3,
            Mac.parse("02:00:00:00:00:01"): plain,
            Mac.parse("02:00:00:00:00:02"): plain,
        }.items():
            route = start[bridge(vrf, mac)]
            assert (route.rtr_nh_id, route.rtr_label_flags, route.rtr_family) == (via, 0x4, 7)


def test_a_resolved_gateway_carries_the_default_route() -> None:
    compiler, datapath = run([START])
    gateway = IPv4Address("10.0.0.254")
    assert compiler.wanted_arp() == {(0, gateway)}
    compiler.learned(ArpResolved(0, gateway, REMOTE, 0))
    datapath.apply(compiler.commit())
    made = forms(compiler)
    arp = made[nexthop("arp", gateway)]
    assert arp.nhr_encap.hex() == "0c00000000020c00000000010800"
    assert (arp.nhr_type, arp.nhr_flags, arp.nhr_encap_oif_id) == (2, 0x200001, (0,))
    assert made[inet(FABRIC, "0.0.0.0/0")].rtr_nh_id == arp.nhr_id
    assert made[inet(FABRIC, "10.0.0.254/32")].rtr_nh_id == arp.nhr_id


def test_a_port_without_configuration_is_a_vif_outside_of_all_vrfs() -> None:
    compiler, _ = run([START, START | ports_of(TOPOLOGY) | taps_of(TOPOLOGY)])
    made = forms(compiler)
    vif = made[Key(Kind.VIF, (PORT, VM.tap))]
    assert (vif.vifr_idx, vif.vifr_type, vif.vifr_os_idx) == (3, 3, 12)
    assert (vif.vifr_vrf, vif.vifr_mcast_vrf, vif.vifr_nh_id) == (65535, 65535, 0)
    assert vif.vifr_mac == bytes(VRRP_MAC)
    assert not vif.vifr_flags & 0x1
    assert vif.vifr_ip == ip4_as_loaded(VM.address)
    row = compiler.vmi(3)
    assert row is not None
    assert (row.active, row.reason) == (False, "no configuration for this port yet")
    assert not [key for key in made if key.kind is Kind.NEXTHOP and PORT in str(key.name)]


def test_nothing_is_sent_while_the_tap_is_missing() -> None:
    compiler, _ = run([START, START | config_of(TOPOLOGY) | ports_of(TOPOLOGY)])
    assert not [key for key in forms(compiler) if PORT in str(key.name)]
    row = compiler.vmi_by_uuid(VM.port)
    assert row is not None
    assert row.reason == f"interface {VM.tap} not found on this host"


def test_vrf_and_network(active: dict[Key, Any]) -> None:
    vrf = active[Key(Kind.VRF, NET1)]
    assert (vrf.vrf_idx, vrf.vrf_flags) == (2, 6)
    assert (vrf.vrf_hbfl_vif_idx, vrf.vrf_hbfr_vif_idx) == (-1, -1)
    translate = active[nexthop("vrf", NET1)]
    assert (translate.nhr_type, translate.nhr_family, translate.nhr_vrf) == (7, 7, 2)
    assert translate.nhr_flags == 0x200001
    assert active[label(nexthop("vrf", NET1))].mr_nhid == translate.nhr_id
    vxlan = active[Key(Kind.VXLAN, 5)]
    assert (vxlan.vxlanr_vnid, vxlan.vxlanr_nhid) == (5, translate.nhr_id)
    agent = active[nexthop("interface", "pkt0", "policy")].nhr_id
    for service in ("15.0.0.1/32", "15.0.0.2/32"):
        route = active[inet(NET1, service)]
        assert (route.rtr_nh_id, route.rtr_label_flags, route.rtr_mac) == (agent, 0x2, b"")
    subnet = active[inet(NET1, "15.0.0.0/24")]
    assert (subnet.rtr_nh_id, subnet.rtr_label_flags) == (1, 0x8)


def test_flooding_network() -> None:
    compiler, _ = run([full(worked(flood_unknown_unicast=True))])
    made = forms(compiler)
    assert made[nexthop("vrf", NET1)].nhr_flags == 0x210001
    assert made[Key(Kind.VIF, (PORT, VM.tap))].vifr_flags == 0x2101C1


def test_vmi(active: dict[Key, Any]) -> None:
    vif = active[Key(Kind.VIF, (PORT, VM.tap))]
    policy = active[vmi_nexthop("l3-policy")]
    assert (vif.vifr_vrf, vif.vifr_mcast_vrf, vif.vifr_flags) == (2, 2, 0x2001C1)
    assert vif.vifr_nh_id == policy.nhr_id
    expected = {
        "l3-policy": (2, 0x200003),
        "l3": (2, 0x200001),
        "l3-multicast": (2, 0x200021),
        "l2": (7, 0x200001),
        "l2-policy": (7, 0x200003),
    }
    for name, (family, flags) in expected.items():
        one = active[vmi_nexthop(name)]
        assert (one.nhr_type, one.nhr_family, one.nhr_flags) == (2, family, flags)
        assert (one.nhr_vrf, one.nhr_encap_oif_id, one.nhr_encap_family) == (2, (3,), 0x0806)
        assert one.nhr_encap == VM.mac + VRRP_MAC + b"\x08\x00"
        assert active[label(vmi_nexthop(name))].mr_nhid == one.nhr_id


def test_vmi_routes(active: dict[Key, Any]) -> None:
    policy = active[vmi_nexthop("l3-policy")]
    mac_route = active[bridge(NET1, VM.mac)]
    l2 = vmi_nexthop("l2-policy")
    assert (mac_route.rtr_nh_id, mac_route.rtr_label) == (
        active[l2].nhr_id,
        active[label(l2)].mr_label,
    )
    assert mac_route.rtr_label_flags == 0
    host = active[inet(NET1, "15.0.0.3/32")]
    assert (host.rtr_nh_id, host.rtr_mac, host.rtr_label) == (policy.nhr_id, bytes(VM.mac), 0)
    assert host.rtr_label_flags == 0x2 | 0x4
    metadata = active[inet(FABRIC, "169.254.0.3/32")]
    assert (metadata.rtr_nh_id, metadata.rtr_label_flags) == (policy.nhr_id, 0x2)


def test_broadcast(active: dict[Key, Any]) -> None:
    local, group = active[nexthop("members", NET1)], active[nexthop("broadcast", NET1)]
    assert (local.nhr_type, local.nhr_family, local.nhr_flags) == (6, 7, 0x202001)
    assert local.nhr_nh_list == (active[vmi_nexthop("l2")].nhr_id,)
    assert local.nhr_label_list == (0,)
    assert (group.nhr_type, group.nhr_family, group.nhr_flags) == (6, 7, 0x200021)
    assert group.nhr_nh_list == (local.nhr_id,)
    route = active[bridge(NET1, BROADCAST_MAC)]
    assert (route.rtr_nh_id, route.rtr_label, route.rtr_label_flags) == (group.nhr_id, 5, 0x6)
    assert active[label(nexthop("broadcast", NET1))].mr_nhid == group.nhr_id


def test_references(active: dict[Key, Any]) -> None:
    compiler, _ = run([full(TOPOLOGY)])
    wanted = compiler.desired()
    vif = Key(Kind.VIF, (PORT, VM.tap))
    assert vif in wanted[vmi_nexthop("l3-policy")].refs
    assert wanted[label(vmi_nexthop("l2"))].refs == (vmi_nexthop("l2"),)
    assert vmi_nexthop("l2") in wanted[nexthop("members", NET1)].refs
    host = wanted[inet(NET1, "15.0.0.3/32")]
    assert {vmi_nexthop("l3-policy"), bridge(NET1, VM.mac)} <= set(host.refs)
    assert wanted[Key(Kind.VIF, "vhost")].refs == (Key(Kind.VIF, "fabric"),)


def test_first_traffic_clears_the_trap() -> None:
    compiler, datapath = run([full(TOPOLOGY)])
    compiler.learned(replace(seen(compiler, VM.port), mac=REMOTE))
    assert compiler.commit().changed == (), "a stranger's MAC is not the VM"
    compiler.learned(seen(compiler, VM.port))
    delta = compiler.commit()
    assert [one.key for one in delta.changed] == [inet(NET1, "15.0.0.3/32")]
    datapath.apply(delta)
    assert forms(compiler)[inet(NET1, "15.0.0.3/32")].rtr_label_flags == 0x2


def test_unplugging_leaves_the_start_state_and_frees_all_numbers() -> None:
    compiler, datapath = run([START])
    before = forms(compiler)
    numbers = {kind: dict(compiler.numbers(kind)) for kind in (Kind.VIF, Kind.NEXTHOP, Kind.LABEL)}
    world = full(TOPOLOGY)
    move(compiler, START, world)
    datapath.apply(compiler.commit())
    compiler.learned(seen(compiler, VM.port))
    datapath.apply(compiler.commit())
    first = forms(compiler)
    compiler.remove_port(VM.port)
    datapath.apply(compiler.commit())
    assert forms(compiler) == before
    for kind, owners in numbers.items():
        assert compiler.numbers(kind) == owners
    assert compiler.numbers(Kind.VRF) == {}
    for port in ports_of(TOPOLOGY):
        put(compiler, port)
    datapath.apply(compiler.commit())
    again = forms(compiler)
    assert again[inet(NET1, "15.0.0.3/32")].rtr_label_flags == 0x6, "a new VM waits for traffic"
    host = inet(NET1, "15.0.0.3/32")
    assert {k: v for k, v in again.items() if k != host} == {
        k: v for k, v in first.items() if k != host
    }


def test_numbers_are_not_reused_before_the_delete_is_acknowledged() -> None:
    world = full(worked(vms=2))
    one, two = ports_of(worked(vms=2))
    compiler, datapath = run([world.without(two)])
    row = compiler.vmi_by_uuid(one.uuid)
    assert row is not None
    gone = dict(datapath.objects)
    compiler.remove_port(one.uuid)
    delta = compiler.commit()
    datapath.apply(delta, acked=False)
    put(compiler, two)
    datapath.apply(compiler.commit())
    other = compiler.vmi_by_uuid(two.uuid)
    assert other is not None
    assert other.vif_index == row.vif_index + 1
    for key in delta.removed:
        datapath.ack(gone[key])
    put(compiler, one)
    datapath.apply(compiler.commit())
    back = compiler.vmi_by_uuid(one.uuid)
    assert back is not None
    assert back.vif_index == row.vif_index


def test_both_families() -> None:
    parsed = worked(subnets=["15.0.0.0/24", "fd00:15::/64"], subnet=None)
    [vm] = parsed.vms.values()
    address6 = next(iter(ip_network("fd00:15::3/128").hosts()))
    parsed = replace(parsed, vms={vm.name: replace(vm, address6=address6)})
    compiler, _ = run([full(parsed)])
    made = forms(compiler)
    policy = made[vmi_nexthop("l3-policy")].nhr_id
    host = made[inet(NET1, "fd00:15::3/128")]
    assert (host.rtr_family, host.rtr_nh_id, host.rtr_mac) == (10, policy, bytes(vm.mac))
    agent = made[nexthop("interface", "pkt0", "policy")].nhr_id
    assert made[inet(NET1, "fd00:15::1/128")].rtr_nh_id == agent
    assert made[inet(NET1, "fd00:15::/64")].rtr_nh_id == 1
    row = compiler.vmi_by_uuid(vm.port)
    assert row is not None
    assert (row.ip6_active, row.ip6) == (True, address6)
    assert made[Key(Kind.VIF, (PORT, vm.tap))].vifr_ip6_u == int.from_bytes(
        address6.packed[:8], "little"
    )


@pytest.mark.parametrize(
    ("mode", "flags", "names"),
    [("l2", 0x200180, {"l2", "l2-policy"}), ("l3", 0x200141, {"l3", "l3-policy", "l3-multicast"})],
)
def test_forwarding_modes(mode: str, flags: int, names: set[str]) -> None:
    compiler, _ = run([full(worked(forwarding_mode=mode))])
    made = forms(compiler)
    assert made[Key(Kind.VIF, (PORT, VM.tap))].vifr_flags == flags
    assert {
        key.name[3] for key in made if key.kind is Kind.NEXTHOP and PORT in str(key.name)
    } == names
    assert (bridge(NET1, VM.mac) in made) is (mode == "l2")
    assert (inet(NET1, "15.0.0.3/32") in made) is (mode == "l3")
    assert (inet(NET1, "15.0.0.0/24") in made) is (mode == "l3")
    if mode == "l3":
        assert made[inet(NET1, "15.0.0.3/32")].rtr_mac == b""
        assert made[nexthop("broadcast", NET1)].nhr_nh_list == ()


def test_a_vm_that_has_the_gateway_address_wins_over_the_service() -> None:
    parsed = worked()
    parsed = replace(parsed, vms={VM.name: replace(VM, address=IPv4Address("15.0.0.1"))})
    compiler, datapath = run([full(parsed)])
    route = inet(NET1, "15.0.0.1/32")
    assert forms(compiler)[route].rtr_nh_id == forms(compiler)[vmi_nexthop("l3-policy")].nhr_id
    compiler.remove_link(VM.tap)
    compiler.remove_port(VM.port)
    datapath.apply(compiler.commit())
    assert route not in forms(compiler)


def test_why_names_the_reads() -> None:
    compiler, _ = run([full(TOPOLOGY)])
    reads = [str(read) for read in compiler.why(inet(NET1, "15.0.0.3/32"))]
    assert f"vmi.vmi({VM.port})" in reads
    assert any(read.startswith("preference.path_preference(") for read in reads)
    assert compiler.why(inet(NET1, "9.9.9.9/32")) == []


def test_the_networks_of_the_rows() -> None:
    compiler, _ = run([full(TOPOLOGY)])
    [network] = compiler.networks()
    assert [str(subnet.prefix) for subnet in network.subnets] == ["15.0.0.0/24"]
    assert [(vrf.name, vrf.index) for vrf in compiler.vrfs()] == [
        (FABRIC, 0),
        (POLICY, 1),
        (NET1, 2),
    ]
    host = compiler.fabric()
    assert host is not None
    assert host.prefix == IPv4Network("10.0.0.0/24")

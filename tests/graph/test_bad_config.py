"""Bad configuration gives an inactive row with its reason and spares everyone else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from agent.ifmap import NodeRef
from agent.inputs import GraphLink, GraphNode
from agent.objects import Key, Kind
from agent.oper import Compiler
from agent.oper.rows import Vmi
from tests.graph.worlds import (
    HOST_LINKS,
    NIC,
    START,
    World,
    config_of,
    forms,
    full,
    ports_of,
    put,
    run,
    taps_of,
    worked,
)

PAIR = worked(vms=1, networks=2)
BAD, GOOD = PAIR.vms["vm1x1"], PAIR.vms["vm2x1"]
NET1 = "default-domain:default-project:net1"
PORT_NAME = f"default-domain:default-project:{BAD.port}"
FULL = full(PAIR)


def node(kind: str, name: str) -> GraphNode:
    found = FULL.inputs["node", kind, name]
    assert isinstance(found, GraphNode)
    return found


def having(kind: str, name: str, **properties: Any) -> GraphNode:
    old = node(kind, name)
    return replace(old, properties={**old.properties, **properties})


def disabled(kind: str, name: str) -> GraphNode:
    perms = node(kind, name).properties["id-perms"]
    return having(kind, name, **{"id-perms": {**perms, "enable": False}})


def subnet(text: str, **more: Any) -> GraphNode:
    [name] = [key[2] for key in FULL.inputs if key[:2] == ("node", IPAM) and NET1 in key[2]]
    address, _, length = text.partition("/")
    entry = {"subnet": {"ip-prefix": address, "ip-prefix-len": length}} | more
    return GraphNode(IPAM, name, {"value": {"ipam-subnets": [entry]}})


IPAM = "virtual-network-network-ipam"
VMI, VN = "virtual-machine-interface", "virtual-network"
MACS = "virtual-machine-interface-mac-addresses"
[ADDRESS] = [
    row.left[1]
    for row in FULL.inputs.values()
    if isinstance(row, GraphLink)
    and row.metadata == "instance-ip-virtual-machine-interface"
    and row.right[1] == PORT_NAME
]
CASES: dict[str, Iterable[Any]] = {
    f"{MACS}: 'nonsense' is not a MAC address": [
        having(VMI, PORT_NAME, **{MACS: {"mac-address": ["nonsense"]}})
    ],
    "mac-address: expected a list, found 5": [having(VMI, PORT_NAME, **{MACS: {"mac-address": 5}})],
    "the port is administratively down": [disabled(VMI, PORT_NAME)],
    f"virtual network {NET1}: administratively down": [disabled(VN, NET1)],
    f"virtual network {NET1}: ipam-subnets: '15.0.0/24' is not a prefix": [subnet("15.0.0/24")],
    f"virtual network {NET1}: default-gateway: 'x' is not an address": [
        subnet("15.0.0.0/24", **{"default-gateway": "x"})
    ],
    f"virtual network {NET1}: virtual-network-network-id: 'five' is not a number": [
        having(VN, NET1, **{"virtual-network-network-id": "five"})
    ],
    f"virtual network {NET1}: virtual-network-network-id: 16777216 is not a VNI"
    " (1 to 16777215, 0 for none)": [having(VN, NET1, **{"virtual-network-network-id": 1 << 24})],
    "instance-ip-address: '15.0.0' is not an address": [
        having("instance-ip", ADDRESS, **{"instance-ip-address": "15.0.0"})
    ],
    f"MAC address {NIC} is the vRouter's own": [
        having(VMI, PORT_NAME, **{MACS: {"mac-address": [str(NIC)]}})
    ],
}


def bad_row(compiler: Compiler) -> Vmi:
    row = compiler.vmi_by_uuid(BAD.port)
    assert row is not None
    return row


def check_only_the_bad_one_suffers(compiler: Compiler, reason: str) -> None:
    row = bad_row(compiler)
    assert (row.active, row.reason) == (False, reason)
    assert (row.l2_active, row.ip4_active, row.ip6_active) == (False, False, False)
    good = compiler.vmi_by_uuid(GOOD.port)
    assert good is not None
    assert good.active
    made: dict[Key, Any] = forms(compiler)
    vif = made[Key(Kind.VIF, (str(BAD.port), BAD.tap))]
    assert (vif.vifr_vrf, vif.vifr_nh_id) == (65535, 0)
    mine = [key for key in made if str(BAD.port) in str(key.name)]
    assert [key.kind for key in mine] == [Kind.VIF], "fail closed: nothing forwards"


@pytest.mark.parametrize("reason", CASES)
def test_bad_nodes(reason: str) -> None:
    for states in ([FULL | CASES[reason]], [FULL, FULL | CASES[reason]]):
        compiler, _ = run(states)
        check_only_the_bad_one_suffers(compiler, reason)
    compiler, _ = run([FULL | CASES[reason], FULL])
    assert bad_row(compiler).active, "and it heals"


MISSING = {
    "no virtual network": (VN, NET1),
    "no routing instance": ("routing-instance", f"{NET1}:net1"),
    "no configuration for this port yet": (VMI, PORT_NAME),
}


@pytest.mark.parametrize("reason", MISSING)
def test_missing_nodes(reason: str) -> None:
    compiler, datapath = run([FULL])
    compiler.graph.delete_node(NodeRef(*MISSING[reason]))
    datapath.apply(compiler.commit())
    check_only_the_bad_one_suffers(compiler, reason)
    put(compiler, node(*MISSING[reason]))
    datapath.apply(compiler.commit())
    assert bad_row(compiler).active


def test_a_port_whose_device_is_down_or_whose_link_is_disabled() -> None:
    [tap] = [tap for tap in taps_of(PAIR) if tap.name == BAD.tap]
    compiler, _ = run([FULL, FULL | [replace(tap, up=False)]])
    check_only_the_bad_one_suffers(compiler, f"interface {BAD.tap} is down")
    [port] = [port for port in ports_of(PAIR) if port.uuid == BAD.port]
    compiler, _ = run([FULL, FULL | [replace(port, link_state=False)]])
    check_only_the_bad_one_suffers(compiler, "the port's link is disabled")


def test_an_l3_network_needs_an_address() -> None:
    parsed = worked(forwarding_mode="l3")
    [vm] = parsed.vms.values()
    world = full(parsed)
    kept = {key: row for key, row in world.inputs.items() if "instance-ip" not in key[:2]}
    compiler, _ = run([World(kept)])
    row = compiler.vmi_by_uuid(vm.port)
    assert row is not None
    assert row.reason == "no address in a network without bridging"


def test_of_two_networks_with_one_vni_the_first_has_it() -> None:
    parsed = worked(networks=2, vxlan_id=7)
    compiler, _ = run([full(parsed)])
    made: dict[Key, Any] = forms(compiler)
    first = Key(Kind.NEXTHOP, ("vrf", f"{NET1}:net1"))
    assert made[Key(Kind.VXLAN, 7)].vxlanr_nhid == made[first].nhr_id
    later = full(parsed).without(ports_of(parsed)[0])
    for states in ([later, full(parsed)], [full(parsed), later, full(parsed)]):
        made = forms(run(states)[0])
        assert made[Key(Kind.VXLAN, 7)].vxlanr_nhid == made[first].nhr_id
    compiler, _ = run([full(parsed), later])
    second = Key(Kind.NEXTHOP, ("vrf", "default-domain:default-project:net2:net2"))
    made = forms(compiler)
    assert made[Key(Kind.VXLAN, 7)].vxlanr_nhid == made[second].nhr_id


def test_a_routing_instance_of_two_networks_belongs_to_the_first() -> None:
    instance = f"{NET1}:net1"
    other = "default-domain:default-project:a:net1"  # sorts first, same last component
    extra = [
        replace(node(VN, NET1), name=other),
        GraphLink("virtual-network-routing-instance", (VN, other), ("routing-instance", instance)),
    ]
    compiler, _ = run([FULL | extra])
    assert compiler.failures() == {}
    assert Key(Kind.NEXTHOP, ("vrf", instance)) not in forms(compiler)


def test_no_fabric_interface_leaves_local_forwarding() -> None:
    compiler, _ = run([FULL.without(*HOST_LINKS)])
    assert compiler.fabric() is None
    assert compiler.wanted_arp() == frozenset()
    made: dict[Key, Any] = forms(compiler)
    vifs = {message.vifr_idx for key, message in made.items() if key.kind is Kind.VIF}
    assert vifs == {2, 3, 4}
    assert all(row.active for row in compiler.vmis())


def test_numbers_that_run_out_stop_only_who_came_last() -> None:
    compiler, datapath = run([START])
    compiler.limit(Kind.LABEL, 16 + 5 + 2 + 2 + 5)  # vhost0, two networks, one VMI
    for row in (config_of(PAIR) | taps_of(PAIR) | ports_of(PAIR)).inputs.values():
        put(compiler, row)
    datapath.apply(compiler.commit())
    rows = compiler.vmis()
    assert [row.active for row in rows].count(True) == 1
    reasons = [row.reason for row in rows if not row.active]
    assert reasons == ["all 30 label numbers are in use"]
    [served] = [row for row in rows if row.active]
    compiler.remove_port(served.uuid)
    datapath.apply(compiler.commit())
    datapath.apply(compiler.commit())
    assert [row.active for row in compiler.vmis()] == [True], "the other takes its turn"
    assert compiler.failures() == {}


def test_one_failing_vmi_does_not_take_its_network_along() -> None:
    parsed = worked(vms=3)
    compiler, datapath = run([START])
    compiler.limit(Kind.LABEL, 16 + 5 + 2 + 5 + 5)  # vhost0, the network, two of its three VMIs
    for row in full(parsed).inputs.values():
        put(compiler, row)
    datapath.apply(compiler.commit())
    made: dict[Key, Any] = forms(compiler)
    assert [row.active for row in compiler.vmis()] == [True, True, False]
    assert compiler.failures() == {}
    members = made[Key(Kind.NEXTHOP, ("members", f"{NET1}:net1"))]
    assert len(members.nhr_nh_list) == 2
    assert Key(Kind.VXLAN, 5) in made


def test_no_room_for_another_vif() -> None:
    compiler, datapath = run([START])
    compiler.limit(Kind.VIF, 4)
    for row in FULL.inputs.values():
        put(compiler, row)
    datapath.apply(compiler.commit())
    [lost] = [row for row in compiler.vmis() if not row.active]
    assert (lost.vif_index, lost.reason) == (-1, "all 4 vif numbers are in use")
    assert compiler.vmi(-1) is None
    assert compiler.failures() == {}


def test_properties_of_any_type_never_stop_the_batch() -> None:
    """Every property of every node replaced by every kind of nonsense."""
    nonsense: list[Any] = [None, 5, -1, "", "x" * 300, [], [None], {}, {"a": {}}, True, 1e300]
    compiler, datapath = run([FULL])
    nodes = [row for row in FULL.inputs.values() if isinstance(row, GraphNode)]
    for old in nodes:
        for name in old.properties:
            for value in nonsense:
                put(compiler, replace(old, properties={**old.properties, name: value}))
                datapath.apply(compiler.commit())
                assert compiler.failures() == {}
                put(compiler, old)
                datapath.apply(compiler.commit())
    assert compiler.failures() == {}
    assert forms(compiler).keys() == forms(run([FULL])[0]).keys()

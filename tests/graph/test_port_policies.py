"""Which lists decide on the flows of a port, and what changed of them is handed on."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ifmap import NodeRef
from agent.inputs import GraphLink
from agent.oper import Compiler
from agent.oper.flow_rows import UNNUMBERED, FlowPort, PortPolicy
from agent.oper.incremental import View
from tests.graph.policies import (
    PROJECT,
    access_list,
    firewall_policy,
    firewall_rule,
    node,
    policy_set,
    rule,
    tag,
    uuid,
)
from tests.graph.test_access_lists import FULL, LIST, NET1, ONE, PORT, VM
from tests.graph.test_orders import changed
from tests.graph.worlds import SETTINGS, START, World, config_of, full, move, put, run, worked

GROUP = f"{PROJECT}:default"
EGRESS, INGRESS = (f"{GROUP}:{side}-access-control-list" for side in ("egress", "ingress"))
PARSED = worked(vms=10, networks=3)
OF_PORTS = {"vmi", "flow_port", "port_policy", "port_limits", "translations", "export", "tag"}
OTHER = ("security-group", f"{PROJECT}:other")
DISABLED = changed(ONE, str(VM.port), **{"virtual-machine-interface-disable-policy": True})


def policy(*states: World) -> PortPolicy:
    compiler, _ = run(states)
    row = compiler.flow_ports()[VM.port].policy
    names = {row.network, row.vrf_assign, *row.egress, *row.ingress, *row.mirror} - {""}
    assert names == set(compiler.acls()), "exactly the lists of ports are in use"
    return row


def attach(group: tuple[str, str] = OTHER) -> GraphLink:
    return GraphLink("virtual-machine-interface-security-group", PORT, group)


def other(number: Any = 8000002) -> list[Any]:
    """A second group with lists."""
    lists = [
        part
        for side in ("egress", "ingress")
        for part in access_list(OTHER, f"{side}-access-control-list", [rule()])
    ]
    properties = {} if number is None else {"security_group_id": number}
    return [node(*OTHER, **properties), attach(), *lists]


def test_the_lists_of_the_default_group() -> None:
    assert policy(FULL) == PortPolicy(egress=(EGRESS,), ingress=(INGRESS,), groups=(8000001,))


def test_all_groups_decide_by_name() -> None:
    row = policy(FULL | other())
    assert row.groups == (8000001, 8000002)
    assert row.egress == (EGRESS, f"{OTHER[1]}:egress-access-control-list")
    assert row.ingress == (INGRESS, f"{OTHER[1]}:ingress-access-control-list")


def test_a_port_without_groups_has_neither_lists_nor_groups() -> None:
    row = policy(FULL.without(attach(("security-group", GROUP))))
    assert row == PortPolicy()


@pytest.mark.parametrize("number", [None, 0, -5, "x"])
def test_a_group_without_a_number_closes_a_port_that_has_no_other(number: Any) -> None:
    """It has a group, so that it is not one that may do everything."""
    world = FULL.without(attach(("security-group", GROUP))) | [
        node(*OTHER, **({} if number is None else {"security_group_id": number})),
        attach(),
    ]
    assert policy(world) == PortPolicy(groups=(UNNUMBERED,))


def test_the_networks_list_and_its_mirror_lists() -> None:
    decides = access_list(NET1, "net1", [rule()])
    mirrors = access_list(NET1, "dynamic", [rule()], dynamic=True)
    row = policy(FULL | decides | mirrors)
    assert (row.network, row.mirror) == (LIST, (f"{NET1[1]}:dynamic",))


def test_without_policy_nothing_decides() -> None:
    world = FULL | access_list(NET1, "net1", [rule()]) | DISABLED
    assert policy(world) == PortPolicy(enabled=False, groups=(8000001,))


def test_a_network_that_only_bridges_has_no_policy() -> None:
    bridged = changed(ONE, ":net1", **{"virtual-network-properties": {"forwarding-mode": "l2"}})
    assert policy(FULL | bridged).enabled is False


def test_tags_of_a_port_and_of_what_it_belongs_to() -> None:
    machine = ("virtual-machine", str(VM.uuid))
    project = ("project", PROJECT)
    world = FULL | [
        node(*project),
        GraphLink("project-virtual-machine-interface", project, PORT),
        *tag(PORT, "tier", "web", 2 << 32 | 1),
        *tag(machine, "tier", "db", 2 << 32 | 2),
        *tag(machine, "site", "east", 4 << 32 | 3),
        *tag(NET1, "site", "west", 4 << 32 | 4),
        *tag(NET1, "label", "a", 7),
        *tag(project, "label", "b", 8),
        *tag(project, "deployment", "prod", 3 << 32 | 5),
    ]
    assert policy(world).tags == (7, 8, 2 << 32 | 1, 3 << 32 | 5, 4 << 32 | 3)


def test_a_sub_interface_has_the_tags_of_its_parents_vm() -> None:
    machine, parent = ("virtual-machine", "vm0"), ("virtual-machine-interface", "parent")
    own = GraphLink(
        "virtual-machine-interface-virtual-machine", PORT, ("virtual-machine", str(VM.uuid))
    )
    world = FULL.without(own) | [
        node(*machine),
        node(*parent),
        GraphLink("virtual-machine-interface-virtual-machine", parent, machine),
        GraphLink("virtual-machine-interface-sub-interface", PORT, parent),
        *tag(machine, "tier", "web", 2 << 32 | 1),
    ]
    assert policy(world).tags == (2 << 32 | 1,)


def test_a_tag_without_a_good_number_is_none() -> None:
    bad = node("tag", "tier=x", tag_id="0xg", tag_type_name="tier")
    link = GraphLink("virtual-machine-interface-tag", PORT, ("tag", "tier=x"))
    inherited = tag(NET1, "tier", "web", 2 << 32 | 1)
    assert policy(FULL | [bad, link] | inherited).tags == (2 << 32 | 1,)


def test_a_port_that_is_not_configured_has_no_row() -> None:
    compiler, _ = run([FULL, FULL.without(*config_of(ONE).inputs.values())])
    assert compiler.flow_ports() == {}
    assert compiler.acls() == {}


def test_deltas_say_what_is_new_and_what_is_gone() -> None:
    compiler, _ = run([START | config_of(ONE)])
    move(compiler, START | config_of(ONE), FULL)
    delta = compiler.commit()
    assert set(delta.acls) == {EGRESS, INGRESS}
    [(port, row)] = delta.flow_ports.items()
    assert port == VM.port
    assert isinstance(row, FlowPort)
    compiler.remove_port(VM.port)
    delta = compiler.commit()
    assert delta.acls == {EGRESS: None, INGRESS: None}
    assert delta.flow_ports == {VM.port: None}
    assert compiler.commit().flow_ports == {}


def test_a_list_that_goes_and_one_that_comes() -> None:
    compiler, _ = run([FULL | access_list(NET1, "net1", [rule()])])
    compiler.graph.delete_node(NodeRef("access-control-list", LIST))
    for row in access_list(NET1, "other", [rule(action="deny")]):
        put(compiler, row)
    delta = compiler.commit()
    assert delta.acls[LIST] is None
    assert delta.acls[f"{NET1[1]}:other"] is not None
    changed_row = delta.flow_ports[VM.port]
    assert changed_row is not None
    assert changed_row.policy.network == f"{NET1[1]}:other"


def test_a_changed_list_recomputes_itself_and_nothing_of_its_ports() -> None:
    compiler, _ = run([full(PARSED) | access_list(NET1, "net1", [rule()])])
    before = Counter(compiler.recomputed)
    for row in access_list(NET1, "net1", [rule(), rule(action="deny", name="more")]):
        put(compiler, row)
    delta = compiler.commit()
    assert set(delta.acls) == {LIST}
    assert (delta.flow_ports, delta.changed, delta.vmis) == ({}, (), ())
    counts = Counter(compiler.recomputed) - before
    assert counts["acl.acl"] == 1
    # Besides, what else a list may ask for: that it decides, whom it mirrors to, and so on.
    assert sum(counts.values()) < len(PARSED.vms)
    assert not {name.partition(".")[0] for name in counts} & OF_PORTS


def test_a_group_attached_to_a_port_touches_that_port() -> None:
    vm = PARSED.vms["vm2x3"]
    port = ("virtual-machine-interface", f"{PROJECT}:{vm.port}")
    compiler, _ = run([full(PARSED) | [part for part in other() if part != attach()]])
    assert not [name for name in compiler.acls() if name.startswith(OTHER[1])]
    put(compiler, GraphLink("virtual-machine-interface-security-group", port, OTHER))
    delta = compiler.commit()
    assert list(delta.flow_ports) == [vm.port]
    assert {name.rpartition(":")[0] for name in delta.acls} == {OTHER[1]}


PARTS: list[Any] = [
    *other(),
    *access_list(NET1, "net1", [rule(), rule(protocol="quic")]),
    *access_list(NET1, "dynamic", [rule()], dynamic=True),
    *tag(PORT, "application", "hr", 1 << 32 | 1),
    *tag(NET1, "neutron_fwaas", "1", 5 << 32 | 1),
    *firewall_policy("a", ("1", firewall_rule("r1")), ("2", firewall_rule("r2", service={}))),
    *firewall_policy("b", ("1", firewall_rule("r3", endpoint_1={"address-group": "none"}))),
    *policy_set("s1", ("1", "a"), tags=["application=hr"]),
    *policy_set("s2", ("2", "b"), tags=["neutron_fwaas=1"]),
    *policy_set("s3", ("3", "b"), everywhere=True),
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, len(PARTS) - 1)), min_size=1, max_size=4), st.integers(0, 99)
)
def test_any_part_of_a_configuration_in_any_order_gives_the_same(
    steps: list[set[int]], seed: int
) -> None:
    states = [FULL | [PARTS[at] for at in sorted(step)] for step in steps]
    compiler, _ = run(states, random.Random(seed))
    alone, _ = run(states[-1:])
    assert compiler.acls() == alone.acls()
    assert compiler.flow_ports() == alone.flow_ports()
    assert {row.name for row in compiler.acls().values()} == set(compiler.acls())


def test_what_of_policies_cannot_be_used_is_told() -> None:
    bad = access_list(NET1, "net1", [rule(protocol="quic"), rule(protocol="zip")])
    compiler, _ = run([FULL | bad])
    [(name, reason)] = compiler.policy_problems().items()
    assert name == LIST
    assert reason.count("left out: protocol: ") == 2
    for part in access_list(NET1, "net1", [rule()]):
        put(compiler, part)
    compiler.commit()
    assert compiler.policy_problems() == {}
    for part in bad:
        put(compiler, part)
    compiler.commit()
    compiler.remove_port(VM.port)
    compiler.commit()
    assert compiler.policy_problems() == {}


def test_uuids_of_lists_are_those_of_their_nodes() -> None:
    compiler, _ = run([FULL | access_list(NET1, "net1", [rule()])])
    assert compiler.acls()[LIST].uuid == uuid(LIST)


def test_a_policy_that_cannot_be_computed_closes_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that no configuration is known to provoke."""

    def fault(view: View, uuid: UUID) -> PortPolicy:
        raise ZeroDivisionError(uuid)

    monkeypatch.setattr("agent.oper.flow_port.port_policy", fault)
    compiler = Compiler(SETTINGS)
    move(compiler, World(), FULL)
    delta = compiler.commit()
    row = delta.flow_ports[VM.port]
    assert row is not None
    assert row.policy == PortPolicy(groups=(UNNUMBERED,)), "in a group, and no list passes anything"
    assert [reason for reason in compiler.failures().values() if "ZeroDivisionError" in reason]


def test_a_list_that_cannot_be_computed_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that no configuration is known to provoke."""

    def fault(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("agent.oper.acl.condition", fault)
    compiler = Compiler(SETTINGS)
    move(compiler, World(), FULL | access_list(NET1, "net1", [rule()]))
    row = compiler.commit().acls[LIST]
    assert row is not None
    assert row.rules == ()
    assert "ZeroDivisionError" in row.problems[0]
    assert compiler.flow_ports()[VM.port].policy.network == LIST

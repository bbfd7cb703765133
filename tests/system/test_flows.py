"""Flows on one host: policy, groups and translation, with real clients."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.conftest import VrouterLab
from tests.system.flow_lab import (
    COMMON,
    FLOATING,
    RED1,
    RED2,
    FlowLab,
    brought_up,
    check_killed_agent,
    iperf,
    names_asked,
    sent,
    serving_names,
    streaming,
    vms,
)

pytestmark = pytest.mark.timeout(120)

BLUE1, OUT1 = "10.2.2.3", "203.0.113.3"
ALIAS, PAIR, SHARED = "203.0.113.12", "10.1.1.100", "10.2.2.100"
TOPOLOGY: dict[str, Any] = COMMON | {
    "name": "flows",
    "hosts": {"host1": {"fabric": "10.0.0.1/24"}},
    "vms": vms(
        blue1={"network": "blue", "address": BLUE1},
        blue2={"network": "blue", "address": "10.2.2.4"},
        blue3={"network": "blue", "address": "10.2.2.5"},
        out1={"network": "public", "address": OUT1},
    ),
    "alias_ips": {"more": {"network": "public", "address": ALIAS, "vm": "red2"}},
    "allowed_address_pairs": {
        "vip": {"vm": "red2", "prefix": f"{PAIR}/32"},
        "shared": {"vms": ["blue1", "blue2"], "prefix": f"{SHARED}/32", "mode": "active-active"},
    },
    "fat_flows": {"dns": {"networks": ["red"], "protocol": "udp", "port": 53}},
}


@pytest.fixture(scope="module")
def flows(vrouter_lab: VrouterLab) -> Iterator[FlowLab]:
    with brought_up(vrouter_lab, TOPOLOGY) as lab:
        yield lab


def closed(**groups: list[dict[str, str]]) -> dict[str, Any]:
    """The topology with other rules for what comes in; red2 is in the group `narrow`."""
    changed = copy.deepcopy(TOPOLOGY)
    changed["security_groups"] |= {name: {"ingress": rules} for name, rules in groups.items()}
    if groups:
        changed["vms"]["red2"]["security_groups"] = list(groups)
    return changed


def test_tcp_and_udp_within_a_network(flows: FlowLab) -> None:
    end = iperf(flows, "red1", "red2", RED2, "-n", "8M")
    assert end["sum_received"]["bytes"] >= 4 << 20
    end = iperf(flows, "red1", "red2", RED2, "-u", "-b", "20M", "-t", "1")
    assert end["sum"]["lost_percent"] < 5
    assert end["sum"]["packets"] > 100


def test_a_ping_is_a_pair_of_flows(flows: FlowLab) -> None:
    assert flows.loss("red1", RED2) == 0
    rows = flows.flows(f"{RED1},{RED2} & proto icmp")
    assert {row["action"] for row in rows} == {"forward"}
    assert all(row["packets"] >= 3 for row in rows)
    assert len(rows) >= 2


def test_policy_between_networks(flows: FlowLab) -> None:
    with streaming(flows, "red1", "blue1", BLUE1) as stream:
        assert stream.peer == RED1
    assert flows.loss("red1", BLUE1) == 3
    assert flows.explain(RED1, BLUE1, "tcp", "40000", "8080")["allowed"]
    assert flows.explain(RED1, BLUE1, "icmp")["verdict"] == "DROPPED: denied by network policy"


def test_a_floating_ip_leads_in_and_out(flows: FlowLab) -> None:
    assert flows.loss("out1", FLOATING) == 0
    with streaming(flows, "out1", "red1", FLOATING) as stream:
        assert stream.peer == OUT1
    with streaming(flows, "red1", "out1", OUT1, port=8081) as stream:
        assert stream.peer == FLOATING


def test_an_alias_ip_is_not_translated(flows: FlowLab) -> None:
    flows.run("red2", "ip", "address", "replace", f"{ALIAS}/32", "dev", "eth0")
    assert flows.loss("out1", ALIAS) == 0


def test_an_allowed_address_is_reached(flows: FlowLab) -> None:
    flows.run("red2", "ip", "address", "replace", f"{PAIR}/32", "dev", "eth0")
    flows.run("red2", "arping", "-U", "-c", "1", "-I", "eth0", PAIR, check=False)
    assert flows.loss("red1", PAIR) == 0


def test_flows_spread_over_ports_with_one_address(flows: FlowLab) -> None:
    for vm in ("blue1", "blue2"):
        flows.run(vm, "ip", "address", "replace", f"{SHARED}/32", "dev", "eth0")
    with serving_names(flows, "blue1", "blue2"):
        answers = names_asked(flows, "blue3", SHARED, 24)
    assert set(answers) == {"blue1", "blue2"}
    assert len(answers) == 24


@pytest.mark.parametrize(("vm", "address"), [("red1", RED2), ("out1", FLOATING)])
def test_fragments_follow_their_head(flows: FlowLab, vm: str, address: str) -> None:
    assert flows.loss(vm, address, "-s", "4000", "-M", "dont") == 0


def test_ipv6(flows: FlowLab) -> None:
    flows.give_address6()
    assert flows.loss("red1", "fd00:1::4") == 0
    with streaming(flows, "red1", "red2", "fd00:1::4", at="::") as stream:
        assert stream.peer == "fd00:1::3"


def test_clients_of_a_fat_flow_share_it(flows: FlowLab) -> None:
    sent(flows, "red1", RED2, 53, range(5001, 5011))
    rows = flows.flows(f"{RED1},{RED2} & proto udp")
    shared = [row for row in rows if 53 in (row["sport"], row["dport"])]
    assert len(shared) == 2, rows
    assert max(row["packets"] for row in shared) == 10


def test_a_group_changed_during_a_transfer(flows: FlowLab) -> None:
    """What is denied now is cut, what is allowed again goes on; the other direction never stops."""
    with (
        streaming(flows, "red1", "red2", RED2) as cut,
        streaming(flows, "red2", "red1", RED1, port=8082) as outward,
    ):
        flows.configure(closed(narrow=[{"from": "0.0.0.0/0", "service": "tcp/22"}]))
        cut.stops()
        outward.goes_on()
        flows.configure(TOPOLOGY)
        cut.goes_on()
        outward.goes_on()


def test_a_group_that_passes_still_changes_nothing(flows: FlowLab) -> None:
    with streaming(flows, "red1", "red2", RED2) as stream:
        flows.configure(closed(narrow=[{"from": f"{RED1}/32", "service": "tcp/8080"}]))
        stream.goes_on(20)
        flows.configure(TOPOLOGY)
        stream.goes_on()


def test_an_agent_that_is_killed_keeps_flows(flows: FlowLab) -> None:
    with streaming(flows, "red1", "red2", RED2) as stream:
        check_killed_agent(flows, stream)
        assert flows.loss("red1", RED2) == 0


def test_a_forwarder_that_restarts_gets_its_flows_anew(flows: FlowLab) -> None:
    with streaming(flows, "red1", "red2", RED2) as stream:
        flows.command("restart", "host1", "forwarder")
        stream.goes_on()

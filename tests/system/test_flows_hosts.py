"""Flows between two hosts, with configuration and routes from controllers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    serving_names,
    streaming,
    vms,
)

pytestmark = pytest.mark.timeout(120)

BLUE2, OUT2, SHARED = "10.2.2.4", "203.0.113.3", "10.1.1.100"
TOPOLOGY: dict[str, Any] = COMMON | {
    "name": "flows-between-hosts",
    "hosts": {name: {"fabric": f"10.0.0.{last}/24"} for last, name in ((1, "host1"), (2, "host2"))},
    "controllers": {"control1": {"address": "10.0.0.101"}},
    "graceful_restart": {"end_of_rib_time": 3},
    "vms": vms(
        red2={"host": "host2"},
        red3={"network": "red", "address": "10.1.1.5"},
        blue2={"host": "host2", "network": "blue", "address": BLUE2},
        out2={"host": "host2", "network": "public", "address": OUT2},
    ),
    "allowed_address_pairs": {
        "shared": {"vms": ["red2", "red3"], "prefix": f"{SHARED}/32", "mode": "active-active"},
    },
}


@pytest.fixture(scope="module")
def flows(vrouter_lab: VrouterLab) -> Iterator[FlowLab]:
    with brought_up(vrouter_lab, TOPOLOGY) as lab:
        yield lab


def reload(lab: FlowLab, file: Path, topology: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(topology, sort_keys=False))
    lab.command("controller", "control1", "reload", str(file))


def test_tcp_and_udp_between_hosts(flows: FlowLab) -> None:
    end = iperf(flows, "red1", "red2", RED2, "-n", "8M")
    assert end["sum_received"]["bytes"] >= 4 << 20
    end = iperf(flows, "red1", "red2", RED2, "-u", "-b", "20M", "-l", "1200", "-t", "1")
    assert end["sum"]["lost_percent"] < 5
    assert end["sum"]["packets"] > 100


def test_both_hosts_have_the_flow(flows: FlowLab) -> None:
    with streaming(flows, "red1", "red2", RED2):
        for host in ("host1", "host2"):
            rows = flows.flows(f"{RED1},{RED2}:8080 & proto tcp", host)
            assert len(rows) == 2
            assert {row["action"] for row in rows} == {"forward"}


def test_policy_between_networks(flows: FlowLab) -> None:
    with streaming(flows, "red1", "blue2", BLUE2) as stream:
        assert stream.peer == RED1
    assert flows.loss("red1", BLUE2) == 3
    for host in ("host1", "host2"):
        answer = flows.explain(RED1, BLUE2, "tcp", "40000", "8080", host=host)
        assert answer["allowed"], answer
        assert not flows.explain(RED1, BLUE2, "icmp", host=host)["allowed"]


def test_a_floating_ip_leads_in_and_out(flows: FlowLab) -> None:
    assert flows.loss("out2", FLOATING) == 0
    with streaming(flows, "out2", "red1", FLOATING) as stream:
        assert stream.peer == OUT2
    with streaming(flows, "red1", "out2", OUT2, port=8081) as stream:
        assert stream.peer == FLOATING


def test_fragments_and_ipv6(flows: FlowLab) -> None:
    """Two fragments, the first of which is cut again for the tunnel: a held flow keeps three."""
    assert flows.loss("red1", RED2, "-s", "1800", "-M", "dont") == 0
    flows.give_address6()
    assert flows.loss("red1", "fd00:1::4") == 0
    with streaming(flows, "red1", "red2", "fd00:1::4", at="::") as stream:
        assert stream.peer == "fd00:1::3"


def test_flows_spread_over_hosts_with_one_address(flows: FlowLab) -> None:
    for vm in ("red2", "red3"):
        flows.run(vm, "ip", "address", "replace", f"{SHARED}/32", "dev", "eth0")
    with serving_names(flows, "red2", "red3"):
        answers = names_asked(flows, "red1", SHARED, 24)
    assert set(answers) == {"red2", "red3"}
    assert len(answers) == 24


def test_a_group_changed_during_a_transfer(flows: FlowLab, tmp_path: Path) -> None:
    """What is denied now is cut at the host that gets it, and goes on when allowed again."""
    narrow = copy.deepcopy(TOPOLOGY)
    ingress = [{"from": "0.0.0.0/0", "service": "tcp/22"}]
    narrow["security_groups"]["narrow"] = {"ingress": ingress}
    narrow["vms"]["red2"]["security_groups"] = ["narrow"]
    with (
        streaming(flows, "red1", "red2", RED2) as cut,
        streaming(flows, "red2", "red1", RED1, port=8082) as outward,
    ):
        reload(flows, tmp_path / "narrow.yaml", narrow)
        cut.stops()
        outward.goes_on()
        reload(flows, tmp_path / "open.yaml", TOPOLOGY)
        cut.goes_on()
        outward.goes_on()


def test_an_agent_that_is_killed_keeps_flows(flows: FlowLab) -> None:
    with streaming(flows, "red1", "red2", RED2) as stream:
        check_killed_agent(flows, stream)


def test_a_forwarder_that_restarts_gets_its_flows_anew(flows: FlowLab) -> None:
    with streaming(flows, "red1", "red2", RED2) as stream:
        flows.command("restart", "host2", "forwarder")
        stream.goes_on()

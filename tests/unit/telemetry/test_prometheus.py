"""The text of /metrics: read back by another implementation, complete, and as documented."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.histogram import BOUNDS, Histogram
from agent.sandesh.vrouter import VrDropStatsReq, VrInterfaceReq, VrouterOps, VrVrfStatsReq
from agent.settings import Server
from agent.telemetry.gather import tables
from agent.telemetry.prometheus import FAMILIES, Kind, exposition
from agent.telemetry.prometheus.family import escaped, histogram, labelled
from agent.telemetry.sample import FlowSample, Process, Sample
from agent.telemetry.sessions.model import OutletCounters
from tests.unit.telemetry.node_world import NodeWorld

DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"
CONTROLLERS = [Server(IPv4Address(f"10.0.0.{last}"), 5269) for last in (250, 251)]


def parsed(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels. A sample that comes twice fails."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            samples = found.setdefault(sample.name, {})
            assert labels not in samples, sample
            samples[labels] = sample.value
    return found


def scraped(world: NodeWorld) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    return parsed(b"".join(exposition(world.node)).decode())


def vif(index: int, name: str, kind: int = 3, **counters: int) -> VrInterfaceReq:
    fields = {f"vifr_{key}": value for key, value in counters.items()}
    return VrInterfaceReq(vifr_idx=index, vifr_name=name, vifr_type=kind, **fields)


@pytest.fixture(scope="module")
def world() -> NodeWorld:
    """One plugged port, controllers that do not answer, one sample of counters."""
    world = NodeWorld()
    world.plug("red1")
    world.node.controllers.configure(CONTROLLERS, 0.0)
    world.now = 50.0
    vifs = [
        vif(0, "fabric0", 2, ibytes=10, obytes=20, speed=10_000),
        vif(1, "vhost0", 0),
        vif(2, "unix", 1),
        vif(3, tap(world), ibytes=1, ipackets=2, ierrors=3, obytes=4, opackets=5, oerrors=6),
    ]
    limits = VrouterOps(vo_interfaces=4352, vo_flow_entries=1024, vo_flow_used_entries=1000)
    world.node.statistics.sample(
        Sample(
            vifs,
            vif_drops={3: VrDropStatsReq(vds_ttl_exceeded=9)},
            vrfs=[VrVrfStatsReq(vsr_vrf=0, vsr_encaps=7)],
            drops=VrDropStatsReq(vds_discard=11),
            flows=FlowSample(by_vif={3: 8}),
            used=tables(world.node.compiler, limits),
            process=Process(12.5, 100, 200, 50, 3, 7, 1024),
        ),
        47.0,
    )
    world.node.meters.answered("introspect", 200, 0.003)
    return world


def tap(world: NodeWorld) -> str:
    return world.topology.vms["red1"].tap


def test_counters_of_ports_stand_under_the_ports_name(world: NodeWorld) -> None:
    found, label = scraped(world), (("port", tap(world)),)
    numbers = [
        found[f"vrouter_port_{name}_total"][label]
        for name in (
            "in_bytes",
            "in_packets",
            "in_errors",
            "out_bytes",
            "out_packets",
            "out_errors",
        )
    ]
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert found["vrouter_port_flows"][label] == 8
    assert found["vrouter_port_drops_total"] == {(*label, ("reason", "ttl_exceeded")): 9}
    assert set(found["vrouter_port_in_bytes_total"]) == {label}


def test_a_port_is_described_once(world: NodeWorld) -> None:
    ((labels, one),) = scraped(world)["vrouter_port_info"].items()
    vm = world.topology.vms["red1"]
    told = dict(labels)
    assert one == 1
    assert told["port"] == vm.tap
    assert told["uuid"] == str(vm.port)
    assert told["address"] == str(vm.address)
    assert told["network"].endswith(":red")
    assert told["vrf"].endswith(":red:red")


def test_the_hosts_own_interfaces_are_apart(world: NodeWorld) -> None:
    found = scraped(world)
    fabric = (("interface", "fabric0"), ("type", "physical"))
    assert found["vrouter_interface_in_bytes_total"][fabric] == 10
    assert found["vrouter_interface_speed_bits_per_second"] == {fabric: 1e10}
    types = {dict(labels)["type"] for labels in found["vrouter_interface_in_bytes_total"]}
    assert types == {"physical", "vhost", "agent"}


def test_drops_of_all_reasons_are_there_from_the_first_sample_on(world: NodeWorld) -> None:
    drops = scraped(world)["vrouter_datapath_drops_total"]
    assert drops[("reason", "discard"),] == 11
    assert len(drops) > 50
    assert sum(drops.values()) == 11


def test_without_a_sample_there_are_no_counters_of_the_datapath() -> None:
    found = scraped(NodeWorld())
    assert "vrouter_datapath_drops_total" not in found
    assert "vrouter_port_in_bytes_total" not in found
    assert found["vrouter_datapath_statistics_rounds_total"] == {(): 0}


def test_tables_ksync_controllers_and_the_process(world: NodeWorld) -> None:
    found = scraped(world)
    flow = (("table", "flow"),)
    assert found["vrouter_datapath_table_objects"][flow] == 1000
    assert found["vrouter_datapath_table_limit"][flow] == 1024
    assert found["vrouter_datapath_table_level"][flow] == 1
    assert found["vrouter_datapath_statistics_age_seconds"][()] == 3.0
    assert found["vrouter_vrf_packets_total"] == {
        (("kind", "encaps"), ("vrf", fabric_vrf(world))): 7
    }
    assert found["vrouter_ksync_connected"][()] == found["vrouter_ksync_in_sync"][()] == 1
    assert found["vrouter_ksync_answer_seconds_count"][()] > 0
    assert found["vrouter_xmpp_up"] == {(("controller", str(server)),): 0 for server in CONTROLLERS}
    assert found["process_cpu_seconds_total"][()] == 12.5
    assert found["vrouter_agent_http_requests_total"] == {
        (("status", "200"), ("surface", "introspect")): 1
    }


def test_what_others_are_told_is_counted(world: NodeWorld) -> None:
    node = world.node
    assert "vrouter_collector_up" not in scraped(world)
    node.uves.generator.configure([Server(IPv4Address("10.0.0.8"), 8086)], 0.0)
    node.uves.outbox.stats.total.sent.count(100)
    node.sessions.counters.exports = 5
    node.sessions.outlets["syslog"] = OutletCounters(records=4, lost=1, problem="refused")
    found = scraped(world)
    assert found["vrouter_collector_up"] == {(("collector", "10.0.0.8:8086"),): 0}
    assert found["vrouter_collector_bytes_total"][("direction", "sent"),] == 100
    assert found["vrouter_sessions_total"][("event", "exports"),] == 5
    exports = found["vrouter_session_exports_total"]
    assert exports == {
        (("destination", "syslog"), ("event", event)): count
        for event, count in (("records", 4), ("messages", 0), ("lost", 1))
    }
    assert found["vrouter_session_destination_up"] == {(("destination", "syslog"),): 0}


def fabric_vrf(world: NodeWorld) -> str:
    return next(vrf.name for vrf in world.node.compiler.vrfs() if vrf.index == 0)


def test_every_family_is_announced_in_order_and_none_twice(world: NodeWorld) -> None:
    text = b"".join(exposition(world.node)).decode()
    heads = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert heads == [(family.name, family.kind.value) for family in FAMILIES]
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_samples_have_the_labels_that_their_family_says(world: NodeWorld) -> None:
    labels = {family.name: set(family.labels) for family in FAMILIES}
    for name, samples in scraped(world).items():
        family = labels.get(name)
        if family is None:
            stem = re.sub("_(bucket|sum|count)$", "", name)
            family = labels[stem] | ({"le"} if name.endswith("_bucket") else set())
        for found in samples:
            assert {key for key, _ in found} == family, name


def test_names_follow_the_conventions() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"(vrouter|process)_[a-z0-9_]+", family.name)
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family.name
        assert "\n" not in family.text
        assert family.text[0].isupper() or family.text[0].isdigit()


def test_pieces_are_bounded_and_their_time_is_counted(world: NodeWorld) -> None:
    before = world.node.meters.scrape.count
    pieces = list(exposition(world.node))
    assert all(len(piece) < 120_000 for piece in pieces)
    assert world.node.meters.scrape.count == before + 1


def test_many_ports_come_in_many_pieces() -> None:
    world = NodeWorld()
    rows = [vif(index, f"tap{index}") for index in range(3000)]
    world.node.statistics.sample(Sample(rows), 1.0)
    pieces = list(exposition(world.node))
    assert len(pieces) > 20
    assert max(map(len, pieces)) < 100_000
    assert len(parsed(b"".join(pieces).decode())["vrouter_port_flows"]) == 3000


@settings(deadline=None)
@given(st.text())
def test_labels_come_back_as_they_were(value: str) -> None:
    line = f"m{labelled(('a', 'b'), (value, 'x'))} 1\n"
    data = line.encode("utf-8", "replace").decode()
    expected = value.encode("utf-8", "replace").decode()
    ((labels, _),) = parsed(data)["m"].items()
    assert dict(labels) == {"a": expected, "b": "x"}


def test_plain_labels_are_not_touched() -> None:
    assert escaped("tap1") == "tap1"
    assert escaped('a"\\\n') == r"a\"\\\n"


@settings(deadline=None)
@given(st.lists(st.floats(0, 50)))
def test_histograms_are_cumulative(durations: list[float]) -> None:
    found = Histogram()
    for seconds in durations:
        found.observe(seconds)
    node: Any = None
    text = "".join(histogram("h", "Text", lambda _: [(("x",), found)], ("l",)).pieces(node))
    samples = parsed(text)
    buckets = {dict(labels)["le"]: number for labels, number in samples["h_bucket"].items()}
    assert len(buckets) == len(BOUNDS) + 1
    assert buckets["+Inf"] == samples["h_count"][("l", "x"),] == len(durations)
    for bound in (1e-5, 0.05, 20.0):
        assert buckets[str(bound)] == sum(seconds <= bound for seconds in durations)
    assert samples["h_sum"][("l", "x"),] == pytest.approx(sum(durations))


ROW = re.compile(r"^\| `(\S+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)


def test_the_document_lists_what_is_exposed() -> None:
    rows = ROW.findall(DOCUMENT.read_text())
    told = [(name, kind, labels.strip(), text) for name, kind, labels, text in rows]
    assert told == [
        (
            family.name,
            family.kind.value,
            ", ".join(f"`{label}`" for label in family.labels),
            family.text,
        )
        for family in FAMILIES
    ]

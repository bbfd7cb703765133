"""/metrics and the K* requests of a real agent on a real datapath, while packets flow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.conftest import Sandbox
from tests.system.controlled import HOST, Site, until

GET = """
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
    sys.stdout.write(answer.read().decode())
"""
Metrics = dict[str, dict[tuple[tuple[str, str], ...], float]]


class Counted(Site):
    """A site whose agent is asked over HTTP."""

    def ask(self, path: str) -> str:
        argv = (sys.executable, "-c", GET, f"http://127.0.0.1:8085{path}")
        return self.box.run(*argv, netns=HOST).stdout

    def metrics(self) -> Metrics:
        found: Metrics = {}
        for family in text_string_to_metric_families(self.ask("/metrics")):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found


@pytest.fixture
def site(sandbox: Sandbox, tmp_path: Path) -> Iterator[Counted]:
    made = Counted(sandbox, tmp_path)
    try:
        made.up()
        yield made
    finally:
        made.close()


def test_counters_follow_the_datapath_and_outlive_it(site: Counted) -> None:
    site.ask("/Snh_SetAgentStatsInterval_InSeconds?interval=1")
    vms = [site.topology.vms[name] for name in ("red1", "red2")]
    ports = [(("port", vm.tap),) for vm in vms]
    before = until(
        lambda: (found := site.metrics()).get("vrouter_port_in_packets_total") and found,
        "counters of ports",
    )
    assert before["vrouter_ksync_connected"][()] == 1
    site.box.run("ping", "-c", "5", "-i", "0.2", str(vms[1].address), netns="red1")

    def counted(found: Metrics) -> bool:
        packets, flows = found["vrouter_port_in_packets_total"], found["vrouter_port_flows"]
        grown = (packets[port] - before["vrouter_port_in_packets_total"][port] for port in ports)
        return all(more >= 5 for more in grown) and all(flows[port] >= 2 for port in ports)

    after = until(lambda: counted(found := site.metrics()) and found, site.metrics)
    assert after["vrouter_flow_setup_seconds_count"][()] >= 1
    assert after["vrouter_ksync_answer_seconds_count"][()] > 10
    assert after["vrouter_agent_turn_seconds_count"][()] > 0
    assert sum(after["vrouter_xmpp_up"].values()) == len(site.controllers)
    assert after["vrouter_xmpp_received_messages_total"].keys() == after["vrouter_xmpp_up"].keys()

    rows = ElementTree.fromstring(site.ask("/Snh_KInterfaceReq")).iter("KInterfaceInfo")
    names = {row.findtext("name") for row in rows}
    assert {vm.tap for vm in vms} <= names
    flows = ElementTree.fromstring(site.ask("/Snh_KFlowReq"))
    pings = {(row.findtext("sip"), row.findtext("proto")) for row in flows.iter("KFlowInfo")}
    assert (str(vms[0].address), "1") in pings or (str(vms[1].address), "1") in pings

    site.forwarder.kill()
    failures = "vrouter_datapath_statistics_failures_total"
    gone = until(lambda: (found := site.metrics())[failures][()] > 0 and found, "a failure")
    assert gone["vrouter_port_in_packets_total"].keys() == set(ports)
    assert gone["vrouter_datapath_statistics_age_seconds"][()] > 0
    rounds = gone["vrouter_datapath_statistics_rounds_total"][()]
    site.forwarder.start()
    until(
        lambda: site.metrics()["vrouter_datapath_statistics_rounds_total"][()] > rounds,
        "another round",
    )

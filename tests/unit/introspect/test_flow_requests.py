"""What the flow requests of introspect tell of pairs, and what they do to them."""

from __future__ import annotations

import pytest
import yaml

from agent import topology
from agent.telemetry.sessions import flow_uuid, life
from agent.topology import Topology
from tests.unit.introspect.asking import Asker, texts
from tests.unit.telemetry.node_world import ONE_HOST, STARTED, NodeWorld
from tests.unit.telemetry.sessions.site import BLUE1, RED1, RED2, TCP, UDP, Flows

RED = "default-domain:default-project:red"
BLUE = "default-domain:default-project:blue"


class World(NodeWorld):
    """A node whose ports are plugged, and flows between them."""

    def __init__(self, parsed: Topology | None = None) -> None:
        super().__init__(parsed=parsed)
        self.plug()
        self.flows = Flows(self.core.compiler, self.core.flows, self.now)
        self.ask = Asker(self.node)

    def rows(self, request: str) -> list[dict[str, str]]:
        """The flows of an answer."""
        return [texts(row) for row in self.ask.rows(request, "SandeshFlowData")]

    def key(self, pair: int, side: str = "forward") -> str:
        """A flow's key as fields of a request."""
        row = next(
            each
            for each in self.rows("FetchAllFlowRecords")
            if each["uuid"] == uuid(self, pair, side)
        )
        names = ("nh", "sip", "dip", "src_port", "dst_port", "protocol")
        return "&".join(f"{name}={row[name]}" for name in names)


def uuid(world: World, pair: int, side: str) -> str:
    serial = world.flows.pairs.describe(pair)["serial"]
    assert isinstance(serial, int)
    run = life(world.node.host, world.node.pid, STARTED)
    return str(flow_uuid(run, serial, int(side == "reverse")))


@pytest.fixture
def world() -> World:
    return World()


def test_both_directions_of_a_pair_are_flows(world: World) -> None:
    pair = world.flows.connect(RED1, RED2, TCP, 40000, 80)
    world.flows.count(pair, 500, 9000, (5, 9))
    world.flows.wait(6)
    forward, reverse = world.rows("FetchAllFlowRecords")
    assert forward.items() >= {
        "sip": RED1, "dip": RED2, "src_port": "40000", "dst_port": "80", "protocol": "6",
        "direction": "ingress", "reverse_flow": "no", "local_flow": "yes", "short_flow": "no",
        "stats_bytes": "500", "stats_packets": "5", "nat": "disabled", "deleted": "false",
        "src_vn_match": RED, "dst_vn_match": RED, "uuid": uuid(world, pair, "forward"),
        "setup_time_utc": str(round(STARTED * 1_000_000)),
        "setup_time": "2023-Nov-14 22:13:20.000000",
    }.items()  # fmt: skip
    assert reverse.items() >= {
        "sip": RED2, "dip": RED1, "src_port": "80", "dst_port": "40000", "direction": "egress",
        "reverse_flow": "yes", "stats_bytes": "9000", "uuid": uuid(world, pair, "reverse"),
    }.items()  # fmt: skip
    assert "drop_reason" not in forward


def test_a_refused_flow_says_why(world: World) -> None:
    world.flows.connect(RED1, BLUE1, TCP, 1, 9999)
    [row] = [one for one in world.rows("FetchAllFlowRecords") if one["reverse_flow"] == "no"]
    assert (row["drop_reason"], row["action"]) == ("POLICY", "0")
    assert (row["src_vn_match"], row["dst_vn_match"]) == (RED, BLUE)


def test_a_flow_is_found_by_its_key(world: World) -> None:
    pair = world.flows.connect(RED1, RED2, UDP, 5000, 53)
    for side in ("forward", "reverse"):
        [row] = world.rows(f"FetchFlowRecord?{world.key(pair, side)}")
        assert row["uuid"] == uuid(world, pair, side)
    answer = world.ask.xml(f"FetchFlowRecord?nh=1&sip={RED1}&dip={RED2}&protocol=17")
    assert answer.findtext(".//resp") == "Flow not found"


@pytest.mark.parametrize(
    "query", ["", f"sip={RED1}&dip=fd00::1", f"sip={RED1}&dip={RED2}&src_port=70000", "sip=x&dip=y"]
)
def test_a_key_that_cannot_be_is_refused(world: World, query: str) -> None:
    assert world.ask.get(f"/Snh_FetchFlowRecord?{query}").status_code == 400


def test_tokens_lead_through_all_flows(world: World) -> None:
    for sport in range(120):
        world.flows.connect(RED1, RED2, UDP, 1000 + sport, 53)
    seen: list[str] = []
    request = "FetchAllFlowRecords"
    pages = 0
    while True:
        answer = world.ask.xml(request)
        pages += 1
        seen += [texts(row)["src_port"] for row in answer.iter("SandeshFlowData")][::2]
        token = answer.findtext("./flow_key") or answer.findtext(".//flow_key")
        if not token:
            break
        request = f"NextFlowRecordsSet?flow_key={token}"
    assert sorted(map(int, seen)) == list(range(1000, 1120))
    assert pages == 3
    assert world.ask.get("/Snh_NextFlowRecordsSet?flow_key=no").status_code == 400


def test_flows_of_a_service_have_tokens_of_their_own(world: World) -> None:
    for sport in range(70):
        world.flows.connect(RED1, RED2, UDP, 1000 + sport, 53)
        world.flows.connect(RED1, RED2, TCP, 1000 + sport, 80)
    answer = world.ask.xml("ShowFlowStatsCollector?protocol=17&port=53")
    token = answer.findtext(".//flow_key")
    more = world.rows(f"NextFlowStatsRecordsSet?flow_key={token}")
    found = [texts(row) for row in answer.iter("SandeshFlowData")] + more
    assert len(found) == 140
    assert {one["protocol"] for one in found} == {"17"}


def test_all_flows_are_deleted(world: World) -> None:
    for sport in range(10):
        world.flows.connect(RED1, RED2, UDP, 1000 + sport, 53)
    answer = world.ask.xml("DeleteAllFlowRecords")
    assert answer.findtext(".//resp") == "10 pairs of flows are deleted"
    world.flows.wait(0.5)
    assert len(world.flows.pairs) == 0
    assert world.rows("FetchAllFlowRecords") == []


def test_the_timeout_is_shown_and_set(world: World) -> None:
    for query, old, new in (
        ("", "180", "180"),
        ("?new_age_time=60", "180", "60"),
        ("", "60", "60"),
    ):
        answer = world.ask.xml(f"FlowAgeTimeReq{query}")
        assert answer.findtext(".//old_age_time") == old
        assert answer.findtext(".//new_age_time") == new
    [row] = world.ask.rows("ShowAgingConfig", "AgingConfig")
    assert texts(row) | {"stats_interval": ""} == {
        "protocol": "0", "port": "0", "stats_interval": "", "cache_timeout": "60",
    }  # fmt: skip


def test_what_was_counted_is_a_record_of_each_pair(world: World) -> None:
    pair = world.flows.connect(RED1, RED2)
    world.flows.count(pair, 500, 9000, (5, 9))
    world.flows.wait(6)
    [row] = world.ask.rows("FlowStatsRecordsReq", "SandeshFlowExportInfo")
    assert texts(row).items() >= {
        "uuid": uuid(world, pair, "forward"), "rev_flow_uuid": uuid(world, pair, "reverse"),
        "bytes": "500", "packets": "5", "source_vn": RED, "dest_vn": RED, "vm_cfg_name": "red1",
    }.items()  # fmt: skip


def test_no_flow_has_a_port_of_the_host(world: World) -> None:
    world.flows.connect(RED1, RED2)
    assert world.ask.rows("FetchLinkLocalFlowInfo", "LinkLocalFlowInfo") == []


def test_flows_of_an_access_list_are_found_and_counted(world: World) -> None:
    for sport in range(3):
        world.flows.connect(RED1, BLUE1, TCP, 1000 + sport, 8080)
    world.flows.connect(RED1, RED2, TCP, 1, 8080)
    [number, _] = world.flows.pairs.describe(0)["forward"]["rules"]  # type: ignore[index]
    rule = world.core.flows.world.classifier.rule_uuid(number)
    [acl] = [
        one
        for one in world.core.compiler.acls().values()
        if RED in one.name and any(each.uuid == rule for each in one.rules)
    ]
    found = [texts(one) for one in world.ask.rows(f"AclFlowReq?uuid={acl.uuid}", "FlowSandeshData")]
    ways = sorted((one["src_port"], one["dest_vn"]) for one in found)
    assert ways == [("1", RED), ("1000", BLUE), ("1001", BLUE), ("1002", BLUE)]
    counts = world.ask.rows(f"AclFlowCountReq?uuid={acl.uuid}", "AceIdFlowCnt")
    assert {"ace_id": str(rule), "flow_cnt": "3"} in [texts(one) for one in counts]
    token = f"{acl.uuid}:4"
    assert world.ask.rows(f"NextAclFlowReq?iteration_key={token}", "FlowSandeshData") == []
    assert world.ask.get("/Snh_AclFlowReq").status_code == 400


def test_without_a_table_there_are_no_flows() -> None:
    world = NodeWorld()
    ask = Asker(world.node)
    for request in (
        "FetchAllFlowRecords", "DeleteAllFlowRecords", "FetchLinkLocalFlowInfo",
        "FlowStatsRecordsReq",
        "ShowAgingConfig", "FlowAgeTimeReq",
    ):  # fmt: skip
        assert not ask.rows(request, "SandeshFlowData")


def test_a_flow_to_a_link_local_service_has_a_port_of_the_host() -> None:
    content = yaml.safe_load(ONE_HOST.read_text())
    service = {"address": "169.254.1.9", "port": 123, "servers": ["10.0.0.9"], "server_port": 1230}
    world = World(topology.parse(content | {"link_local_services": {"ntp": service}}))
    world.core.flows.world.give_port(UDP, 40123)
    world.flows.connect(RED1, "169.254.1.9", UDP, 5000, 123)
    [row] = world.ask.rows("FetchLinkLocalFlowInfo", "LinkLocalFlowInfo")
    assert texts(row).items() >= {
        "source_addr": RED1, "dest_addr": "169.254.1.9", "protocol": "17",
        "source_port": "40123", "dest_port": "123",
    }.items()  # fmt: skip
    forward, reverse = world.rows("FetchAllFlowRecords")
    assert (forward["nat"], reverse["nat"]) == ("enabled", "enabled")
    assert (reverse["sip"], reverse["dst_port"]) == ("10.0.0.9", "40123")

"""`flow`: what is chosen, what is printed of one flow, what is sent to change it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import flow, flow_match
from agent.errors import UsageError
from agent.sandesh.vrouter import (
    Message,
    VrDropStatsReq,
    VrFlowReq,
    VrFlowResponse,
    VrFlowTableData,
    VrInterfaceReq,
    VrNexthopReq,
    VrouterOps,
    VrResponse,
    VrRouteReq,
)
from agent.shm import FlowAction, FlowEnd, FlowFilter, FlowFlag, FlowKey
from tests.unit.cli.replay import Datapath, done

MAIN, TOTAL = 256, 1280


def entry(
    index: int, key: FlowKey, *, flags: int = 1, action: int = 2, vrf: int = 2, **other: int
) -> bytes:
    """The bytes of an entry; `other`: rflow, gen, counters, src_nh, sport, tcp, reason, dvrf."""
    raw, packed = bytearray(256), key.pack()
    struct.pack_into("<8xIIIBBh", raw, 0, index, 0, 0xFFFFFFFF, 1, 64, -1)
    raw[24 : 24 + len(packed)] = packed
    struct.pack_into("<BBH", raw, 68, len(packed), other.get("gen", 1), other.get("tcp", 0))
    struct.pack_into(
        "<iHHHHHBBI", raw, 84, other.get("rflow", -1), flags, 0, action, vrf,
        other.get("dvrf", 0), 255, 255, other.get("src_nh", 24),
    )  # fmt: skip
    struct.pack_into("<II", raw, 104, other.get("bytes", 0), other.get("packets", 0))
    struct.pack_into(
        "<bBBHI8xIb", raw, 115, -1, other.get("reason", 0), 2, other.get("sport", 50000), 0, 0, -1
    )
    return bytes(raw)


def key(source: str, destination: str, proto: int, sport: int, dport: int, nh: int = 24) -> FlowKey:
    return FlowKey(nh, ip_address(source), ip_address(destination), proto, sport, dport)


ROWS = {
    10: (key("1.1.1.3", "2.2.2.3", 1, 1418, 0), {"rflow": 20, "sport": 62712}),
    20: (key("2.2.2.3", "1.1.1.3", 1, 1418, 0, 22), {"rflow": 10}),
    30: (key("1.1.1.3", "9.9.9.9", 6, 40000, 22), {"action": 0, "reason": 23}),
    40: (key("fd00::3", "fd00::9", 17, 1500, 53), {"vrf": 3, "gen": 200}),
    50: (
        key("1.1.1.4", "9.9.9.9", 6, 40001, 22),
        {"flags": FlowFlag.ACTIVE | FlowFlag.EVICTED, "action": 0},
    ),
}


@dataclass
class Server:
    """The table's file, and answers to what the tool asks beside."""

    path: Path
    objects: dict[tuple[str, int], Message] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    """Index of a flow -> error code."""
    counters: list[dict[str, int]] = field(default_factory=list)

    def write(self) -> None:
        table = bytearray(TOTAL * 256)
        for index, (flow_key, other) in ROWS.items():
            table[index * 256 : (index + 1) * 256] = entry(index, flow_key, **other)
        self.path.write_bytes(table)

    def answer(self, request: Message) -> list[list[Message]]:
        if isinstance(request, VrFlowTableData):
            more = self.counters.pop(0) if self.counters else {}
            found = VrFlowTableData(
                ftable_op=2, ftable_size=TOTAL * 256, ftable_file_path=str(self.path),
                ftable_hold_stat=(0,), **more,
            )  # fmt: skip
            return done(found)
        if isinstance(request, VrouterOps):
            return done(VrouterOps(vo_flow_entries=MAIN))
        if isinstance(request, VrFlowReq):
            code = self.refused.get(request.fr_index, 0)
            return [[VrResponse(resp_code=code), VrFlowResponse(fresp_index=request.fr_index)]]
        if isinstance(request, VrDropStatsReq):
            return done(VrDropStatsReq(vds_flow_action_drop=3, vds_invalid_source=2, vds_misc=5))
        found_object = self.objects.get(_asked(request))
        return done(found_object) if found_object else [[VrResponse(resp_code=-2)]]


def _asked(request: Message) -> tuple[str, int]:
    if isinstance(request, VrNexthopReq):
        return "nh", request.nhr_id
    if isinstance(request, VrInterfaceReq):
        return "vif", request.vifr_idx
    assert isinstance(request, VrRouteReq)
    return "rt", int.from_bytes(request.rtr_prefix, "big")


@pytest.fixture
def datapath(tmp_path: Path) -> Iterator[Datapath]:
    listening = Datapath(tmp_path)
    yield listening
    listening.close()


@pytest.fixture
def server(datapath: Datapath, tmp_path: Path) -> Server:
    made = Server(tmp_path / "flow.shmem")
    made.write()
    datapath.answer(made.answer)
    return made


@pytest.fixture
def here(tmp_path: Path) -> list[str]:
    return ["--sock-dir", str(tmp_path)]


def listed(here: list[str], capsys: pytest.CaptureFixture[str], *options: str) -> list[int]:
    capsys.readouterr()
    assert flow.main([*here, "--json", *options]) == 0
    return [row["index"] for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-l"], [10, 20, 30, 40]),
        (["-l", "--show-evicted"], [10, 20, 30, 40, 50]),
        (["--match", "1.1.1.3:1418"], [10]),
        (["--match", "1.1.1.3"], [10, 20, 30]),
        (["--match", "1.1.1.3:40000,9.9.9.9:22"], [30]),
        (["--match", "9.9.9.9:22,1.1.1.3:*"], [30]),
        (["--match", "[fd00::9]:53"], [40]),
        (["--match", "fd00::9"], [40]),
        (["--match", "*:22 & proto tcp & vrf 2"], [30]),
        (["--match", "vrf 3"], [40]),
        (["--match", "proto icmp"], [10, 20]),
        (["--match", "proto icmp6"], []),
        (["--match", "1.1.1.0/24 & proto icmp"], [10, 20]),
        (["-l", "--address", "1.1.1.3", "--address", "9.9.9.9:22"], [30]),
        (["-l", "--port", "53"], [40]),
        (["-l", "--port", "1418", "--nexthop", "22"], [20]),
        (["-l", "--action", "drop"], [30]),
        (["-l", "--proto", "udp"], [40]),
        (["-l", "--vrf", "2", "--action", "forward"], [10, 20]),
        (["--match", "vrf 2", "--action", "drop", "--show-evicted"], [30, 50]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_what_is_listed(
    server: Server,
    here: list[str],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    expected: list[int],
) -> None:
    assert listed(here, capsys, *options) == expected


def test_the_flows_of_an_interface(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.objects["vif", 3] = VrInterfaceReq(vifr_idx=3, vifr_nh_id=22)
    assert listed(here, capsys, "-l", "--vif", "3") == [20]


@pytest.mark.parametrize("options", [["-l", "--vif", "4"], ["-d", "31"], ["--get", "31"]])
def test_what_is_not_there(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert flow.main([*here, *options]) == 0
    assert "No such file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--match", "1.1.1.300:1"], "1.1.1.300"),
        (["--match", "1.1.1.3:65536"], "port '65536'"),
        (["--match", "1.1.1.3:x"], "port 'x'"),
        (["--match", "1.1.1.3,2.2.2.2,3.3.3.3"], "two ends, not 3"),
        (["--match", "1.1.1.3 & proto ospf"], "proto 'ospf'"),
        (["--match", "vrf -1"], "vrf '-1'"),
        (["--match", ""], "expected ADDRESS:PORT"),
        (["--match", "1.1.1.3,fd00::1"], "never meet"),
        (["--match", "1.1.1.3", "--address", "2.2.2.2"], "two ends"),
        (["-l", "--address", "1.1.1.3:1", "--port", "2"], "names a port"),
    ],
)
def test_what_cannot_be_matched_is_said(
    server: Server,
    here: list[str],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    assert flow.main([*here, *options]) == 1
    assert says in capsys.readouterr().err


@given(st.text("0123456789.:/[]*,& abprotvcf", max_size=40))
def test_any_match_is_a_filter_or_an_error(text: str) -> None:
    try:
        where = flow_match.parse(text)
    except UsageError:
        return
    assert isinstance(where, FlowFilter)


def test_ends_of_a_match() -> None:
    expected = FlowFilter(
        FlowEnd(ip_network("10.0.0.0/8"), 80), FlowEnd(None, 22), either=True, vrf=4, proto=6
    )
    assert flow_match.parse(" 10.1.2.3/8:80 , *:22 & vrf 4 & proto TCP") == expected
    assert flow_match.end("fd00::1") == FlowEnd(ip_network("fd00::1"))
    assert flow_match.end("[fd00::/8]:*") == FlowEnd(ip_network("fd00::/8"))


FLOW_GET = """\
Flow Index:                   10
Flow Generation ID:           1
Reverse Flow Index:           20
VRF:                          2
Destination VRF:              2
Flow Source:                  [1.1.1.3]:1418
Flow Destination:             [2.2.2.3]:0
Flow Protocol:                ICMP
Flow Action:                  FORWARD
Expected Source:              NextHop(Index, VRF, Type): 24, 2, ENCAP
                              Ingress Interface(Index, VRF, OS): vif0/3, 2,
                              Interface Statistics(Out, In, Errors): 0, 0, 0
Source Information:           VRF: 2
                              Layer 3 Route Information
                              Matching Route: 0.0.0.0/0
                              Destination Information:      VRF: 2
                              Layer 3 Route Information
                              Matching Route: 2.2.2.3/32
                              NextHop(Index, VRF, Type): 22, 0, TUNNEL
                              Tunnel Source: 8.0.0.3
                              Egress Interface(Index, VRF, OS): vif0/0, 0,
                              Interface Statistics(Out, In, Errors): 0, 0, 0

Flow Flags:
UDP Source Port:              62712

Flow Statistics:              0/0
System Wide Packet Drops:     10
                              Reverse Path Failures: 2
                              Flow Block Drops: 3
"""


def test_one_flow_and_where_it_leads(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.objects = {
        ("nh", 24): VrNexthopReq(nhr_id=24, nhr_type=2, nhr_vrf=2, nhr_encap_oif_id=(3,)),
        ("nh", 22): VrNexthopReq(
            nhr_id=22, nhr_type=3, nhr_tun_sip=0x03000008, nhr_encap_oif_id=(0,)
        ),
        ("nh", 1): VrNexthopReq(nhr_id=1, nhr_type=5),
        ("vif", 3): VrInterfaceReq(vifr_idx=3, vifr_vrf=2),
        ("vif", 0): VrInterfaceReq(vifr_idx=0),
        ("rt", 0x01010103): VrRouteReq(rtr_nh_id=1, rtr_replace_plen=0),
        ("rt", 0x02020203): VrRouteReq(rtr_nh_id=22, rtr_replace_plen=32),
    }
    assert flow.main([*here, "--get", "10"]) == 0
    shown = "".join(line.rstrip() + "\n" for line in capsys.readouterr().out.splitlines())
    assert shown == FLOW_GET


def test_one_flow_that_leads_nowhere(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert flow.main([*here, "--get", "40"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in shown[9:13]] == [
        "Expected Source:",
        "Source Information:           VRF: 3",
        "Destination Information:      VRF: 3",
        "",
    ]


def test_one_flow_for_programs(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert flow.main([*here, "--get", "30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["drop_reason"] == "SG"


def sent(datapath: Datapath) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in request.to_dict().items() if value not in (0, [])}
        for request in datapath.requests
        if isinstance(request, VrFlowReq)
    ]


NAMED = {
    "fr_index": 30, "fr_rindex": -1, "fr_gen_id": 1, "fr_family": 2, "fr_flow_sip_l": 0x03010101,
    "fr_flow_dip_l": 0x09090909, "fr_flow_sport": 0x409C, "fr_flow_dport": 0x1600,
    "fr_flow_proto": 6, "fr_flow_nh_id": 24, "fr_flow_vrf": 2,
}  # fmt: skip
KEPT = {
    "fr_mir_id": 255, "fr_sec_mir_id": 255, "fr_ecmp_nh_index": 0xFFFFFFFF,
    "fr_underlay_ecmp_index": -1, "fr_src_nh_index": 24, "fr_qos_id": 0xFFFF, "fr_ttl": 64,
    "fr_drop_reason": 23,
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-f", "30"], NAMED | KEPT | {"fr_flags": 1, "fr_action": FlowAction.FORWARD}),
        (["-d", "30"], NAMED | KEPT | {"fr_flags": 1}),
        (
            ["-f", "30", "--mirror", "7"],
            NAMED | KEPT | {"fr_flags": 0x2001, "fr_action": 2, "fr_mir_id": 7},
        ),
        (["-i", "30"], NAMED),
        (["-e", "30"], NAMED | {"fr_flags": 1, "fr_extflags": 1}),
    ],
)
def test_changes(
    server: Server,
    datapath: Datapath,
    here: list[str],
    options: list[str],
    expected: dict[str, int],
) -> None:
    assert flow.main([*here, *options]) == 0
    assert sent(datapath) == [expected]


def test_a_change_that_the_datapath_refuses(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.refused[30] = -16
    assert flow.main([*here, "-d", "30"]) == 0
    assert "Device or resource busy (16)" in capsys.readouterr().out


def test_flush_deletes_every_flow(
    server: Server, datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.refused = {20: -2, 40: -16}
    assert flow.main([*here, "-F"]) == 0
    assert capsys.readouterr().out == "2 flows deleted, 1 refused\n"
    deleted = sent(datapath)
    assert [request["fr_index"] for request in deleted] == [10, 20, 30, 40]
    assert all("fr_flags" not in request for request in deleted)
    six = deleted[3]
    assert (six["fr_flow_sip_u"], six["fr_flow_sip_l"]) == (0xFD, 3 << 56)
    assert six["fr_gen_id"] == 200 - 256


STATISTICS = """\
Flow Statistics
---------------
    Total  Entries  --- Total =    5, new =    0
    Active Entries  --- Total =    5, new =    0
    Hold   Entries  --- Total =    0, new =    0
    Fwd flow Entries  - Total =    3
    drop flow Entries - Total =    2
    NAT flow Entries  - Total =    0

    Rate of change of Active Entries
    --------------------------------
        current rate      =    0
        Avg setup rate    =    0
        Avg teardown rate =    0
"""


def test_statistics(server: Server, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert flow.main([*here, "-s"]) == 0
    assert capsys.readouterr().out == STATISTICS


def test_rates(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clock = iter([100.0, 100.5, 101.0])
    monkeypatch.setattr("agent.cli.flow_watch.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("agent.cli.flow_watch.time.sleep", lambda _: None)
    server.counters = [
        {},
        {"ftable_created": 10, "ftable_processed": 8},
        {"ftable_created": 10, "ftable_processed": 8},
    ]
    assert flow.main([*here, "-r", "--count", "3"]) == 0
    assert capsys.readouterr().out == (
        "New =   10, Flow setup rate =   16 flows/sec, Flow rate =   20 flows/sec, "
        "for last  500 ms\n"
    )

"""`flow`: what is chosen, what is printed of one flow, what is sent to change it."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import flow, flow_match, flow_watch, render_flow
from agent.errors import UsageError
from agent.sandesh.vrouter import (
    Message,
    VrDropStatsReq,
    VrFlowReq,
    VrFlowResponse,
    VrFlowTableData,
    VrInterfaceReq,
    VrMirrorReq,
    VrNexthopReq,
    VrouterOps,
    VrResponse,
    VrRouteReq,
)
from agent.shm import (
    FLOW_DROP_REASONS,
    FlowAction,
    FlowEnd,
    FlowEntry,
    FlowFilter,
    FlowFlag,
    FlowKey,
)
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
        other.get("dvrf", 0), other.get("mirror", 255), 255, other.get("src_nh", 24),
    )  # fmt: skip
    struct.pack_into("<II", raw, 104, other.get("bytes", 0), other.get("packets", 0))
    struct.pack_into(
        "<bBBHI8xIb",
        raw,
        115,
        other.get("ecmp", -1),
        other.get("reason", 0),
        2,
        other.get("sport", 50000),
        0,
        0,
        -1,
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

    def add(self, index: int, flow_key: FlowKey, **other: int) -> None:
        table = bytearray(self.path.read_bytes())
        table[index * 256 : (index + 1) * 256] = entry(index, flow_key, **other)
        self.path.write_bytes(table)

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
    if isinstance(request, VrMirrorReq):
        return "mirror", request.mirr_index
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


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["-l", "--vif", "4"], 254, "response_process: No such file or directory\n"),
        (["-d", "31"], 0, "Flow index 31 is not active\n"),
        (["--get", "31"], 0, "Flow index 31 is not active\n"),
        (["-g", "1280"], 255, "Flow index 1280 is greater than available indices (1279)\n"),
        (["--get", "50"], 0, "Flow at index 50 is EVICTED. Use --show-evicted\n"),
        (["-i", "50"], 0, "Flow 50 is evicted!\n"),
    ],
)
def test_what_is_not_there(
    server: Server,
    here: list[str],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    status: int,
    says: str,
) -> None:
    assert flow.main([*here, *options]) == status
    assert capsys.readouterr().out == says


@pytest.mark.parametrize(
    ("options", "status"),
    [(["-l", "--vif", "4"], 254), (["-d", "31"], 1), (["-g", "1280"], 255), (["-i", "50"], 1)],
)
def test_what_is_not_there_for_programs(
    server: Server,
    here: list[str],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    status: int,
) -> None:
    assert flow.main([*here, "--json", *options]) == status
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "options", [[], ["-x"], ["-l", "-s"], ["--show-evicted", "-s"], ["-f", "x"], ["-p", "0"]]
)
def test_wrong_options_end_as_the_original_does(options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        flow.main(options)
    assert ended.value.code == 234


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
Flow Index:                   {index}
Flow Generation ID:           1
Reverse Flow Index:           {reverse}
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
System Wide Packet Drops:     {drops}
                              Reverse Path Failures: {paths}
                              Flow Block Drops: {blocks}
"""  # noqa: W291


def objects() -> dict[tuple[str, int], Message]:
    """Two guests' nexthops and the routes to them."""
    return {
        ("nh", 24): VrNexthopReq(nhr_id=24, nhr_type=2, nhr_vrf=2, nhr_encap_oif_id=(3,)),
        ("nh", 22): VrNexthopReq(
            nhr_id=22, nhr_type=3, nhr_tun_sip=0x02000008, nhr_tun_dip=0x03000008,
            nhr_encap_oif_id=(0,),
        ),
        ("nh", 1): VrNexthopReq(nhr_id=1, nhr_type=5),
        ("vif", 3): VrInterfaceReq(vifr_idx=3, vifr_vrf=2),
        ("vif", 0): VrInterfaceReq(vifr_idx=0),
        ("rt", 0x01010103): VrRouteReq(rtr_nh_id=1, rtr_prefix_len=0),
        ("rt", 0x02020203): VrRouteReq(rtr_nh_id=22, rtr_prefix_len=32),
    }  # fmt: skip


def test_one_flow_and_where_it_leads(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.objects = objects()
    assert flow.main([*here, "--get", "10"]) == 0
    shown = FLOW_GET.format(index=10, reverse=20, drops=10, paths=2, blocks=3)
    assert capsys.readouterr().out == shown


def test_one_flow_that_leads_nowhere(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert flow.main([*here, "--get", "40"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in shown[8:12]] == [
        "Flow Action:                  FORWARD",
        "",
        "Flow Flags:",
        "UDP Source Port:              50000",
    ]


def described(here: list[str], capsys: pytest.CaptureFixture[str], index: int) -> list[str]:
    assert flow.main([*here, "--get", str(index), "--show-evicted"]) == 0
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


PAD = " " * 30


def test_a_flow_with_translated_ends(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    nat = FlowFlag.ACTIVE | FlowFlag.SNAT | FlowFlag.SPAT | FlowFlag.DNAT | FlowFlag.VRFT
    server.add(60, key("1.1.1.3", "9.9.9.9", 6, 40000, 80), rflow=61, flags=nat, action=3, tcp=0x28)
    server.add(61, key("7.7.7.7", "8.8.8.8", 6, 80, 50000))
    server.objects = objects() | {("rt", 0x07070707): VrRouteReq(rtr_nh_id=22, rtr_prefix_len=8)}
    shown = described(here, capsys, 60)
    assert "Flow Action:                  NAT: SourceNAT, SourcePortNAT, DestinationNAT," in shown
    assert f"{PAD}NAT(Source, Destination): [8.8.8.8]:50000, [7.7.7.7]:80" in shown
    assert f"{PAD}Matching Route: 7.0.0.0/8" in shown
    assert "TCP FLAGS:                    SYN, ESTABLISHED," in shown


def test_a_flow_that_drops_and_is_mirrored(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = FlowFlag.ACTIVE | FlowFlag.MIRROR | FlowFlag.NEW_FLOW
    server.add(62, key("1.1.1.3", "9.9.9.9", 17, 1, 2), flags=flags, action=0, reason=21, mirror=1)
    server.objects = objects() | {("mirror", 1): VrMirrorReq(mirr_index=1, mirr_nhid=22)}
    shown = described(here, capsys, 62)
    assert f"Flow Action:                  DROP:{PAD}Policy" in shown
    assert "Flow Flags:                   NEW MIRROR" in shown
    at = shown.index("Mirror Index:                 1")
    assert shown[at + 1 : at + 4] == [
        "Primary Mirror:               NextHop 22",
        f"{PAD}To Destination 8.0.0.3 in VRF 0",
        f"{PAD}Tunnel Source IP 8.0.0.2",
    ]


def test_a_flow_over_several_ways(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.add(63, key("1.1.1.3", "9.9.9.9", 17, 1, 2), rflow=64, src_nh=40)
    server.add(64, key("9.9.9.9", "1.1.1.3", 17, 2, 1), ecmp=1)
    ecmp = VrNexthopReq(nhr_id=40, nhr_type=6, nhr_vrf=2, nhr_flags=0x401, nhr_nh_list=(24, 22))
    server.objects = objects() | {("nh", 40): ecmp}
    shown = described(here, capsys, 63)
    at = next(i for i, line in enumerate(shown) if line.startswith("Expected Source"))
    assert shown[at : at + 5] == [
        "Expected Source:              NextHop(Index, VRF, Type): 40, 2, COMPOSITE",
        f"{PAD}ECMP",
        f"{PAD}24, 22*,",
        f"{PAD}NextHop(Index, VRF, Type): 22, 0, TUNNEL",
        f"{PAD}Tunnel Source: 8.0.0.3",
    ]


def test_a_route_with_a_mac(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    mac = bytes.fromhex("0203eb4be8d8")
    server.objects = objects() | {
        ("rt", 0x02020203): VrRouteReq(rtr_nh_id=22, rtr_prefix_len=32, rtr_mac=mac),
        ("rt", 0): VrRouteReq(rtr_family=7, rtr_nh_id=24),
    }
    shown = described(here, capsys, 10)
    at = shown.index(f"{PAD}Layer 2 Route Information")
    assert shown[at - 1 : at + 3] == [
        "",
        f"{PAD}Layer 2 Route Information",
        f"{PAD}DestinationMAC: 2:3:eb:4b:e8:d8",
        f"{PAD}NextHop(Index, VRF, Type): 24, 2, ENCAP",
    ]


def test_one_flow_for_programs(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert flow.main([*here, "--get", "30", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["drop_reason"], shown["mirrors"], shown["qos"]) == ("SG", [], None)


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
    assert flow.main([*here, "-d", "30"]) == 254
    assert capsys.readouterr().out == "response_process: Device or resource busy\n"


def test_flush_deletes_every_flow(
    server: Server, datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.refused = {20: -2, 40: -16}
    assert flow.main([*here, "-F"]) == 0
    shown = re.sub(r"in \d+ msec", "in T msec", capsys.readouterr().out)
    assert shown == (
        "Scanning flow table\nFound 4 entries in T msec\nDeleting 4 entries in flow-table\n"
        "Deleted 2 entries in T msec\nRefused: 1 entries\n"
    )
    deleted = sent(datapath)
    assert [request["fr_index"] for request in deleted] == [10, 20, 30, 40]
    assert all("fr_flags" not in request for request in deleted)
    six = deleted[3]
    assert (six["fr_flow_sip_u"], six["fr_flow_sip_l"]) == (0xFD, 3 << 56)
    assert six["fr_gen_id"] == 200 - 256


STATISTICS = """\
Flow Statistics
---------------
    Total  Entries  --- Total =       4, new =       0 
    Active Entries  --- Total =       4, new =       0 
    Hold   Entries  --- Total =       3, new =       0 
    Fwd flow Entries  - Total =       3
    drop flow Entries - Total =       1
    NAT flow Entries  - Total =       0

    Rate of change of Active Entries
    --------------------------------
        current rate      =        0
        Avg setup rate    =        0
        Avg teardown rate =        0
    Rate of change of Flow Entries
    ------------------------------
        current rate      =        0
"""  # noqa: W291


def test_statistics(server: Server, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    server.counters = [{"ftable_hold_entries": 3}]
    assert flow.main([*here, "-s"]) == 0
    now, _, screen = capsys.readouterr().out.partition("\n")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", now)
    assert screen == STATISTICS


def test_rates(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clock = iter([100.0, 100.5, 101.0])
    monkeypatch.setattr("agent.cli.flow_watch.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("agent.cli.flow_watch.time.sleep", lambda _: None)
    server.counters = [
        {},
        {"ftable_added": 10, "ftable_processed": 8, "ftable_used_entries": 19},
        {"ftable_added": 10, "ftable_processed": 8, "ftable_used_entries": 19},
    ]
    assert flow.main([*here, "-r", "--count", "3"]) == 0
    when, line = capsys.readouterr().out.split(":  ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", when)
    assert line == (
        "Entries =       19 Rate =     36 (Fwd =        8 Rev =       10 Del =        0) "
        "Hold =        0 Free Burst Tokens =        0 Total Hold Entries        0\n"
    )


def test_average_rates_are_those_of_fast_changes() -> None:
    averages = flow_watch.Averages()
    for change, seconds in ((10_000, 1.0), (500, 1.0), (2_000, 1.0), (-4_000, 2.0), (-10, 1.0)):
        averages.add(change, seconds)
    assert (averages.rate(setup=True), averages.rate(setup=False)) == (6_000, 2_000)


def test_a_chain_of_entries_is_shown(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = bytearray(server.path.read_bytes())
    for index, following in ((10, 600), (600, 601), (601, 0xFFFFFFFF)):
        struct.pack_into("<I", table, index * 256 + 16, following)
    server.path.write_bytes(table)
    assert flow.main([*here, "--match", "1.1.1.3:1418"]) == 0
    assert capsys.readouterr().out.endswith(
        " SPort 62712,\n TTL 64, Sinfo 0.0.0.0)\n     Oflow entries:\n\t 600 601\n\n"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1.1.1.3:1418", "[1.1.1.3]:1418"),
        ("1.1.1.3,*:22 & proto tcp & vrf 2", "[1.1.1.3]:*, [*]:22, Protocol TCP, VRF 2"),
        ("10.0.0.0/8", "[10.0.0.0/8]:*"),
        ("proto icmp6", "Protocol ICMPv6"),
        ("[fd00::1]:53", "[fd00::1]:53"),
    ],
)
def test_what_is_listed_is_said(text: str, says: str) -> None:
    assert flow_match.described(flow_match.parse(text)) == says


def test_what_is_listed_is_said_above_the_columns(
    server: Server, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert flow.main([*here, "--match", "vrf 7"]) == 0
    assert capsys.readouterr().out.splitlines()[8:12] == [
        "TCP(r=reverse):S=SYN, F=FIN, R=RST, C=HalfClose, E=Established, D=Dead",
        "",
        "Listing flows matching (VRF 7)",
        "",
    ]


def rendered(**other: int) -> list[str]:
    """The third line and what follows of one flow over TCP."""
    raw = bytearray(entry(7, key("10.1.1.3", "10.1.1.4", 6, 1, 2), **other))
    struct.pack_into("<H", raw, 90, other.get("flags1", 0))
    struct.pack_into("<I12xb", raw, 120, other.get("source", 0), other.get("underlay", -1))
    return list(render_flow.lines(FlowEntry.decode(bytes(raw))))[2:-1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"src_nh": 5, "gen": 9, "action": 1},
            ["(Gen: 9, K(nh):24, Action:H, Flags:, TCP:, QOS:-1, S(nh):5,  Stats:0/0, ",
             " SPort 50000, TTL 64, Sinfo 0.0.0.0)"],
        ),
        (  # the last part does not count for the line that it is on
            {"src_nh": 5, "packets": 1, "bytes": 58, "action": 2, "gen": 1, "sport": 0},
            ["(Gen: 1, K(nh):24, Action:F, Flags:, TCP:, QOS:-1, S(nh):5,  Stats:1/58, ",
             " SPort 0, TTL 64, Sinfo 0.0.0.0)"],
        ),
        (
            {"flags": 0x2C41, "mirror": 9, "tcp": 0xFFFF, "action": 0, "reason": 200},
            ["(Gen: 1, K(nh):24, Action:D(200), Flags:EEcDm, TCP:SSrEErFFrRCD, QOS:-1, S(nh):24, ",
             " Stats:0/0,  Mirror Index : 9 SPort 50000, TTL 64, Sinfo 0.0.0.0)"],
        ),
        (
            {"flags1": 0x3000, "underlay": 2, "source": 0x04030201, "ecmp": 3, "sport": 1},
            ["(Gen: 1, K(nh):24, Action:F, Flags:, TCP:, E:3, QOS:-1, S(nh):24,  Stats:0/0, ",
             " SPort 1, TTL 64, UnderlayEcmpIdx:2, HbsLeft, Sinfo 1.2.3.4)"],
        ),
        (
            {"flags1": 0x2000, "flags": 0x301, "action": 3},
            ["(Gen: 1, K(nh):24, Action:N(), Flags:NM, TCP:, QOS:-1, S(nh):24,  Stats:0/0, ",
             " SPort 50000, TTL 64, HbsRight, Sinfo 0.0.0.0)"],
        ),
    ],
)  # fmt: skip
def test_rows(fields: dict[str, int], expected: list[str]) -> None:
    assert rendered(**fields) == expected


def test_every_reason_of_a_drop_is_a_word() -> None:
    words = [render_flow.drop_word(number) for number in range(len(FLOW_DROP_REASONS) + 1)]
    assert words[-1] == "35"
    assert all(not word.isdigit() for word in words[:-1])
    assert len(set(words)) == len(words)

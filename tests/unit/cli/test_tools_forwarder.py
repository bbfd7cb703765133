"""The tools against a real forwarder process that has what the original tools were shown.

Expected texts: facts vrouter-cli.md, byte for byte; blanks at line ends are those of its second
run, which kept them. What depends on the datapath that is asked is left out on both sides by
`live.comparable`: how many cores it has, how often an object is referred to, how often a flow's
entry was used before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cli import flow, mpls, nh, rt, vif, vxlan
from agent.sandesh.vrouter import VrInterfaceReq, VrMplsReq, VrNexthopReq, VrRouteReq, VrVxlanReq
from tests.unit.cli import live
from tests.unit.cli.test_cli_golden import (
    BRIDGE_LEGEND,
    INET_LEGEND,
    MPLS_HEADER,
    NH_40,
    NH_LIST,
    NOT_FOUND,
    VIF_4,
    VIF_HEADER,
    VIF_LIST,
)
from tests.unit.cli.test_flow_tool import FLOW_GET

Tool = Callable[[list[str]], int]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with live.forwarder(tmp_path_factory.mktemp("live") / "run") as serving:
        yield serving


@pytest.fixture
def first_run(run_dir: Path) -> Path:
    live.program(run_dir, *live.first_run())
    return run_dir


@pytest.fixture
def second_run(run_dir: Path) -> Path:
    live.program(run_dir, *live.second_run())
    return run_dir


class Shown:
    """Runs a tool on the forwarder of the test; its text without what is the datapath's own."""

    def __init__(self, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.run_dir = run_dir
        self.capsys = capsys

    def __call__(self, tool: Tool, *arguments: str, status: int = 0) -> str:
        self.capsys.readouterr()
        assert tool(["--sock-dir", str(self.run_dir), *arguments]) == status
        return live.comparable(self.capsys.readouterr().out)


@pytest.fixture
def shown(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> Shown:
    return Shown(run_dir, capsys)


GUEST = """\
vif0/3      PMD: tap03eb4be8-d8 NH: 24
            Type:Virtual HWaddr:00:00:5e:00:01:00 IPaddr:1.1.1.3
            Vrf:2 Mcast Vrf:2 Flags:PL3L2D QOS:0 Ref:8
            RX queue errors to lcore 0 0 0 0 0 0 0 0 0 0 0 0
            RX packets:0  bytes:0 errors:0
            TX packets:0  bytes:0 errors:0
            Drops:0

"""
ON_A_CORE = """\
vif0/3      PMD: tap03eb4be8-d8 NH: 24
            Type:Virtual HWaddr:00:00:5e:00:01:00 IPaddr:1.1.1.3
            IP6addr:2001:db8::3
            Vrf:2 Mcast Vrf:2 Flags:PL3L2DL QOS:-1 Ref:69
            RX queue errors to lcore 0 0 0 0 0 0 0 0 0 0 0 0
            Core 10 RX packets:0  bytes:0 errors:0
            Core 10 TX packets:0  bytes:0 errors:0
            Drops:0

"""


@pytest.mark.usefixtures("first_run")
def test_vif_of_the_first_run(shown: Shown) -> None:
    assert shown(vif.main, "--list") == live.comparable(VIF_HEADER + VIF_LIST + GUEST)
    assert shown(vif.main, "--get", "3") == live.comparable(VIF_HEADER + GUEST)
    assert shown(vif.main, "--get", "99") == VIF_HEADER + NOT_FOUND


@pytest.mark.usefixtures("second_run")
def test_vif_of_the_second_run(shown: Shown) -> None:
    assert shown(vif.main, "--get", "4") == live.comparable(VIF_4)
    on_a_core = shown(vif.main, "--get", "3", "--core", "10")
    assert on_a_core == live.comparable(VIF_HEADER + ON_A_CORE)
    with_drops = shown(vif.main, "--get", "3", "--get-drop-stats")
    assert with_drops == shown(vif.main, "--get", "3")


NH_22 = """\
Id:22         Type:Tunnel         Fmly: AF_INET  Rid:0  Ref_cnt:2          Vrf:0
              Flags:Valid, MPLSoUDP, 
              Oif:0 Len:14 Data:00 1b 21 bb f9 46 00 1b 21 bb f9 48 08 00 
              Sip:8.0.0.2 Dip:8.0.0.3

"""  # noqa: W291
NH_24 = """\
Id:24         Type:Encap          Fmly: AF_INET  Rid:0  Ref_cnt:3          Vrf:2
              Flags:Valid, Policy, 
              EncapFmly:0000 Oif:3 Len:14
              Encap Data: 02 03 eb 4b e8 d8 00 00 5e 00 01 00 08 00 

"""  # noqa: W291


@pytest.mark.usefixtures("first_run")
def test_nh_of_the_first_run(shown: Shown) -> None:
    assert shown(nh.main, "--list") == live.comparable(NH_LIST + NH_22 + NH_24)
    assert shown(nh.main, "--get", "22") == live.comparable(NH_22)
    assert shown(nh.main, "--get", "999") == NOT_FOUND


@pytest.mark.usefixtures("second_run")
def test_nh_of_the_second_run(shown: Shown) -> None:
    assert shown(nh.main, "--get", "40") == live.comparable(NH_40)


INET_GET = (
    "Match 2.2.2.3/32 in vRouter inet4 table 0/2/unicast\n\n"
    + INET_LEGEND
    + "2.2.2.3/32              0           LP         23             22        -\n"
)
FIRST_LEAVES = """\
0.0.0.0/8               0                       -              0        -
1.0.0.0/8               0                       -              0        -
2.0.0.0/16              0                       -              0        -
2.1.0.0/16              0                       -              0        -
2.2.0.0/24              0                       -              0        -
2.2.1.0/24              0                       -              0        -
2.2.2.0/32              0                       -              0        -
2.2.2.1/32              0                       -              0        -
"""
LEAF = "2.2.2.3/32             32           LP         23             22        -\n"
BRIDGE_ENTRY = (
    "48964       2:3:eb:4b:e8:d8                                   -           24               0\n"
)


@pytest.mark.usefixtures("first_run")
def test_rt(shown: Shown) -> None:
    assert shown(rt.main, "--get", "2.2.2.3/32", "--vrf", "2") == INET_GET
    dumped = shown(rt.main, "--dump", "2", "--family", "inet")
    assert dumped.startswith(INET_LEGEND + FIRST_LEAVES)
    assert LEAF in dumped
    assert shown(rt.main, "--dump", "2", "--routes") == INET_LEGEND + LEAF


@pytest.mark.usefixtures("first_run")
def test_rt_of_the_bridge_family(shown: Shown) -> None:
    bridge = ["--vrf", "2", "--family", "bridge"]
    match = "Match 2:3:eb:4b:e8:d8 in vRouter bridge table 0/2/unicast\n\n"
    expected = match + BRIDGE_LEGEND + BRIDGE_ENTRY
    assert shown(rt.main, "--get", "02:03:eb:4b:e8:d8", *bridge) == expected
    assert shown(rt.main, "--dump", "2", "--family", "bridge") == BRIDGE_LEGEND + BRIDGE_ENTRY
    unknown = shown(rt.main, "--get", "02:00:00:00:00:09", *bridge)
    assert unknown.endswith(BRIDGE_LEGEND + NOT_FOUND)


def test_rt_shows_the_prefix_that_matched(first_run: Path, shown: Shown) -> None:
    wide = VrRouteReq(rtr_vrf_id=2, rtr_family=2, rtr_prefix=bytes((9, 8, 0, 0)),
                      rtr_prefix_len=13, rtr_nh_id=24)  # fmt: skip
    live.program(first_run, wide, anew=False)
    expected = "9.8.0.0/13              0                       -             24        -\n"
    assert shown(rt.main, "--get", "9.15.1.2", "--vrf", "2").endswith(expected)


def test_rt_of_the_inet6_family(first_run: Path, shown: Shown) -> None:
    six = VrRouteReq(
        rtr_vrf_id=2, rtr_family=10, rtr_prefix=bytes.fromhex("20010db8" + "00" * 11 + "03"),
        rtr_prefix_len=128, rtr_nh_id=22, rtr_label=23, rtr_label_flags=0x11,
    )  # fmt: skip
    live.program(first_run, six, anew=False)
    header = INET_LEGEND.replace("inet4", "inet6")
    row = "2001:db8::3/128      {:4}          LMl         23             22        -\n"
    dumped = shown(rt.main, "--dump", "2", "--family", "inet6")
    assert dumped.startswith(header)
    assert row.format(128) in dumped
    got = shown(rt.main, "--get", "2001:db8::3/128", "--vrf", "2")
    assert got == "Match 2001:db8::3/128 in vRouter inet6 table 0/2/unicast\n\n" + header + (
        row.format(0)
    )


def test_rt_cannot_watch_a_socket(
    run_dir: Path, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rt.main(["--sock-dir", str(run_dir), "--monitor"]) == 1
    assert "on a socket announces no changes" in capsys.readouterr().err


@pytest.mark.usefixtures("first_run")
def test_mpls_of_the_first_run(shown: Shown) -> None:
    assert shown(mpls.main, "--dump") == MPLS_HEADER + "      48        24\n"
    assert shown(mpls.main, "--get", "77") == MPLS_HEADER + NOT_FOUND


VXLAN_HEADER = "VXLAN Table\n\n VNID    NextHop\n----------------\n"


@pytest.mark.usefixtures("second_run")
def test_labels_and_identifiers_of_the_second_run(shown: Shown) -> None:
    assert shown(mpls.main, "--dump") == MPLS_HEADER + (
        "      16        25\n      48        24\n      49        45\n"
    )
    assert shown(vxlan.main, "--dump") == VXLAN_HEADER + "      5    9\n    100    8\n"


def test_one_flow(first_run: Path, shown: Shown) -> None:
    assert live.add_pair(first_run, *live.ICMP_PAIR) == (241984, 321064)
    live.write_ports(first_run, {241984: 62712})
    text = FLOW_GET.format(index=241984, reverse=321064, drops=0, paths=0, blocks=0)
    assert shown(flow.main, "--get", "241984") == live.comparable(text)


def recorded_list() -> str:
    return (Path(__file__).parent / "flow-list.txt").read_text()


def test_all_flows(second_run: Path, shown: Shown) -> None:
    indices = [live.add_pair(second_run, *pair) for pair in live.PAIRS]
    recorded = recorded_list()
    rows = re.findall(r"^ *(\d+)<=>(\d+) .*?SPort (\d+)", recorded, re.MULTILINE | re.DOTALL)
    assert {(int(one), int(other)) for one, other, _ in rows} == {
        pair for one, other in indices for pair in ((one, other), (other, one))
    }
    live.write_ports(second_run, {int(index): int(port) for index, _, port in rows})
    assert shown(flow.main, "-l") == live.comparable(recorded)


def test_some_flows(second_run: Path, shown: Shown) -> None:
    for pair in live.PAIRS:
        live.add_pair(second_run, *pair)
    found = shown(flow.main, "--match", "9.9.9.9:22 & proto tcp & vrf 2", "--json")
    assert [(row["index"], row["drop_reason"]) for row in json.loads(found)] == [
        (299880, "SG"),
        (426848, "RevSG"),
    ]


def actions(shown: Shown) -> dict[int, str]:
    return {row["index"]: row["action"] for row in json.loads(shown(flow.main, "-l", "--json"))}


def test_flows_are_changed(second_run: Path, shown: Shown) -> None:
    one, other = live.add_pair(second_run, *live.ICMP_PAIR)
    assert shown(flow.main, "-d", str(one)) == ""
    assert actions(shown) == {one: "drop", other: "forward"}
    shown(flow.main, "-f", str(one), "--mirror", "1")
    assert actions(shown) == {one: "forward", other: "forward"}
    assert "Stats:0/0,  Mirror Index : 1" in shown(flow.main, "-l")
    shown(flow.main, "-i", str(one))
    text = shown(flow.main, "-F")
    assert re.sub(r"\d+ msec", "T msec", text) == (
        "Scanning flow table\nFound 1 entries in T msec\nDeleting 1 entries in flow-table\n"
        "Deleted 1 entries in T msec\n"
    )
    live.program(second_run)
    assert actions(shown) == {}


@pytest.mark.parametrize("bunch", ["1", "4", "99"])
def test_adding_and_deleting_flows_is_measured(second_run: Path, shown: Shown, bunch: str) -> None:
    text = shown(flow.main, "-p", "50", "-b", bunch)
    too_many = "Max NETLINK messages in a bunch cannot exceed 15.\n" if bunch == "99" else ""
    assert re.sub(r"\d+ msec", "T msec", text) == too_many + (
        "Created 50 HOLD entries in T msec\nCreated 50 HOLD and 50 FWD entries in T msec\n"
        "Deleted 100 entries in T msec\n"
    )
    measured = json.loads(shown(flow.main, "-p", "3", "--json"))
    assert sorted(measured["milliseconds"]) == ["delete", "forward", "hold"]
    left = json.loads(shown(flow.main, "-l", "--json"))
    assert all("Dm" in row["flags"] for row in left)


def test_more_flows_than_can_be(shown: Shown) -> None:
    with pytest.raises(SystemExit) as ended:
        shown(flow.main, "-p", "4000001")
    assert ended.value.code == 255


# --- changes by the other tools


@pytest.mark.usefixtures("first_run")
def test_labels_are_changed(run_dir: Path, shown: Shown) -> None:
    assert shown(mpls.main, "--create", "99", "--nh", "22") == ""
    assert live.get(run_dir, VrMplsReq(mr_label=99)).mr_nhid == 22
    assert shown(mpls.main, "--delete", "99") == ""
    assert shown(mpls.main, "--get", "99") == MPLS_HEADER + NOT_FOUND
    refused = shown(mpls.main, "--create", "99", "--nh", "4000")
    assert refused == "vRouter(Response): Invalid argument (22)\n"
    assert shown(mpls.main, "--create", "99", "--nh", "4000", "--json", status=1) == ""


@pytest.mark.usefixtures("first_run")
def test_identifiers_are_changed(run_dir: Path, shown: Shown) -> None:
    done = shown(vxlan.main, "--create", "7", "--nh", "14", "--json")
    assert json.loads(done) == {"created": 7, "nexthop": 14}
    assert live.get(run_dir, VrVxlanReq(vxlanr_vnid=7)).vxlanr_nhid == 14
    assert shown(vxlan.main, "--get", "7") == VXLAN_HEADER + "      7    14\n"
    shown(vxlan.main, "--delete", "7")
    assert shown(vxlan.main, "--dump") == VXLAN_HEADER


MACS = ["--smac", "00:1b:21:bb:f9:48", "--dmac", "00:1b:21:bb:f9:46"]
TUNNEL = ["--type", "3", "--vrf", "0", "--oif", "0", *MACS, "--sip", "8.0.0.2", "--dip", "8.0.0.3"]


def created(shown: Shown, *options: str) -> str:
    """What `nh --get` shows of a nexthop that `nh --create` made, from its flags on."""
    assert shown(nh.main, "--create", "200", *options) == ""
    text = shown(nh.main, "--get", "200")
    shown(nh.main, "--delete", "200")
    assert shown(nh.main, "--get", "200") == NOT_FOUND
    return text.partition("Flags:")[2]


DATA = "Data:00 1b 21 bb f9 46 00 1b 21 bb f9 48 08 00 \n"
PAD = " " * 14
ENDS = f"{PAD}Sip:8.0.0.2 Dip:8.0.0.3"


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--type", "1", "--vrf", "2", "--oif", "1"], f"Valid, \n{PAD}Oif:1\n\n"),
        (["--type", "4", "--vrf", "2"], "Valid, \n\n"),
        (["--type", "5", "--vrf", "2"], "Valid, \n\n"),
        (["--type", "7", "--vrf", "2", "--vxlan", "--uucf"],
         f"Valid, Vxlan, Unicast Flood, \n{PAD}Vrf:2\n\n"),
        (["--type", "8", "--vrf", "2", "--root"], "Valid, Etree Root, \n\n"),
        (["--type", "2", "--vrf", "2", "--oif", "3", "--pol", *MACS],
         f"Valid, Policy, \n{PAD}EncapFmly:0806 Oif:3 Len:14\n{PAD}Encap {DATA}\n"
         .replace("Data:", "Data: ")),
        (TUNNEL, f"Valid, MPLSoGRE, \n{PAD}Oif:0 Len:14 {DATA}{ENDS}\n\n"),
        ([*TUNNEL, "--udp"], f"Valid, MPLSoUDP, \n{PAD}Oif:0 Len:14 {DATA}{ENDS}\n\n"),
        ([*TUNNEL, "--vxlan", "--sport", "9", "--dport", "4789"],
         f"Valid, Vxlan, \n{PAD}Oif:0 Len:14 {DATA}{ENDS}\n\n"),
        ([*TUNNEL, "--udp", "--sport", "1234", "--dport", "51234"],
         f"Valid, Udp, \n{PAD}Oif:0 Len:14 {DATA}{ENDS}\n{PAD}Sport:1234 Dport:51234\n\n\n"),
        (["--type", "6", "--vrf", "2", "--ecmp", "--cni", "24", "--cni", "22", "--lbl", "16"],
         f"Valid, Ecmp, \n{PAD}Sub NH(label): 24(16) 22\n\n"),
    ],
    ids=["receive", "resolve", "discard", "translate", "l2 receive", "encap", "gre", "mpls udp",
         "vxlan", "udp", "composite"],
)  # fmt: skip
def test_nexthops_of_each_type(shown: Shown, options: list[str], expected: str) -> None:
    assert created(shown, *options).startswith(expected)


def test_a_nexthop_over_several_ways(first_run: Path, shown: Shown) -> None:
    another = live.vifs()[0].replace(vifr_idx=5, vifr_name="fabric1")
    live.program(first_run, another, anew=False)
    shown(nh.main, "--create", "200", *[*TUNNEL[:5], "0,5", *TUNNEL[6:]])
    found = live.get(first_run, VrNexthopReq(nhr_id=200))
    assert (found.nhr_encap_oif_id, found.nhr_encap_valid) == ((0, 5), (1, 1))
    assert (found.nhr_encap_len, len(found.nhr_encap)) == (14, 28)
    assert shown(nh.main, "--get", "200").endswith(
        f"Flags:Valid, MPLSoGRE, Underlay Ecmp, \n{PAD}Oif:0 EncapValid:1 Len:14 {DATA}"
        f"{PAD}Oif:5 EncapValid:1 Len:14 {DATA}{ENDS}\n\n"
    )


def guest(run_dir: Path) -> VrInterfaceReq:
    return live.get(run_dir, VrInterfaceReq(vifr_idx=3, vifr_os_idx=-1))


def test_a_tag_leads_to_a_vrf(first_run: Path, shown: Shown) -> None:
    before = guest(first_run)
    assert shown(vif.main, "--set", "3", "--vlan", "30", "--vrf", "5") == ""
    assert guest(first_run) == before.replace(vifr_flags=before.vifr_flags | 0x4)
    assert shown(vif.main, "--get", "3").endswith("VRF table(vlan:vrf):\n30:5, ")
    assert json.loads(shown(vif.main, "--get", "3", "--json"))["vlans"] == [{"vlan": 30, "vrf": 5}]
    refused = shown(vif.main, "--set", "3", "--vlan", "5000", "--vrf", "5")
    assert refused == "vRouter(Response): Invalid argument (22)\n"

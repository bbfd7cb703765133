"""mirror, vrftable, vrmemstats, vrinfo, qosmap, dropstats, vrfstats and vrouter.

They talk with the forwarder's own handlers; for mirror the text is the original tool's
(facts vrouter-cli.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cli import (
    dropstats,
    mirror,
    qosmap,
    vrfstats,
    vrftable,
    vrinfo,
    vrmemstats,
    vrouter,
)
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrDropStatsReq,
    VrInfoReq,
    VrInterfaceReq,
    VrMirrorReq,
    VrNexthopReq,
    VrouterOps,
    VrPktDropLogReq,
    VrResponse,
    VrVrfReq,
)
from tests.unit.cli.served import Served
from tests.unit.forwarder.stage import Stage
from tests.unit.forwarder.test_drop_log import udp

NOT_FOUND = "vRouter(Response): No such file or directory (2)\n"
ADD = SandeshOp.ADD
Main = Callable[[list[str]], int]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


@pytest.fixture
def served(tmp_path: Path, stage: Stage) -> Iterator[Served]:
    serving = Served(tmp_path, stage.ask)
    yield serving
    serving.close()


@pytest.fixture
def says(served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a tool prints when it succeeds."""

    def run(main: Main, *words: str) -> str:
        assert main([*words, "--sock-dir", str(tmp_path)]) == 0
        return capsys.readouterr().out

    return run


Says = Callable[..., str]


# --- mirror


def nexthop(number: int) -> VrNexthopReq:
    return VrNexthopReq(h_op=ADD, nhr_id=number, nhr_type=5, nhr_family=2, nhr_flags=1)


MIRRORS = """\
Mirror Table

Flags:D=Dynamic Mirroring, Hw=NIC Assisted Mirroring 

Index    NextHop    Flags       VNI    Vlan
------------------------------------------------
    1         15               0
    2         14       D         50       0
"""  # noqa: W291


def test_mirror_dump(stage: Stage, says: Says) -> None:
    for number in (14, 15):
        assert stage.code(nexthop(number)) == 0
    assert stage.code(VrMirrorReq(h_op=ADD, mirr_index=1, mirr_nhid=15, mirr_vni=-1)) == 0
    dynamic = VrMirrorReq(h_op=ADD, mirr_index=2, mirr_nhid=14, mirr_flags=1, mirr_vni=50)
    assert stage.code(dynamic) == 0
    assert says(mirror.main, "--dump") == MIRRORS
    assert says(mirror.main, "--get", "2").endswith(MIRRORS.splitlines()[-1] + "\n")
    shown = json.loads(says(mirror.main, "--dump", "--json"))
    assert shown[0] == {
        "index": 1, "nexthop": 15, "flags": [], "vni": None, "vlan": 0, "users": 1,
    }  # fmt: skip
    assert (shown[1]["flags"], shown[1]["vni"]) == (["D"], 50)


def test_mirror_get_of_none(says: Says) -> None:
    assert says(mirror.main, "--get", "9").endswith("----\n" + NOT_FOUND)


# --- vrftable, vrfstats


def test_vrftable(stage: Stage, says: Says) -> None:
    vif = VrInterfaceReq(
        h_op=ADD, vifr_idx=3, vifr_type=3, vifr_vrf=2, vifr_flags=0x40, vifr_mac=bytes(6),
        vifr_name="tap3", vifr_os_idx=-1, vifr_parent_vif_idx=-1,
    )  # fmt: skip
    assert stage.code(vif) == 0
    assert stage.code(VrVrfReq(h_op=ADD, vrf_idx=1)) == 0
    firewall = VrVrfReq(h_op=ADD, vrf_idx=12, vrf_flags=6, vrf_hbfl_vif_idx=3, vrf_hbfr_vif_idx=3)
    assert stage.code(firewall) == 0
    without = firewall.replace(vrf_idx=13, vrf_hbfl_vif_idx=-1, vrf_hbfr_vif_idx=-1)
    assert stage.code(without) == 0
    assert says(vrftable.main, "--dump") == (
        "Vrf Table\n"
        "\n"
        "Flags: V=Valid, Hl=HBF Left Valid, Hr=HBF Right Valid\n"
        "\n"
        "  Vrf    Flags    HBF-L Vif   HBF-R Vif\n"
        "-----------------------------------------\n"
        "    1    -                  -           -\n"
        "   12    HlHr               3           3\n"
        "   13    HlHr               -           -\n"
    )
    assert json.loads(says(vrftable.main, "--get", "12", "--json")) == {
        "vrf": 12, "flags": ["Hl", "Hr"], "hbf_left_vif": 3, "hbf_right_vif": 3,
    }  # fmt: skip
    assert says(vrftable.main, "--get", "14").endswith(NOT_FOUND)


VRF_STATISTICS = """\
Vrf: 2
Discards 1, Resolves 0, Receives 0, L2 Receives 1, Vrf Translates 0, Unknown Unicast Floods 0
Ecmp Composites 0, L2 Mcast Composites 0, Fabric Composites 0, Encap Composites 0, \
Evpn Composites 0
Udp Tunnels 0, Udp Mpls Tunnels 0, Gre Mpls Tunnels 0, Vxlan Tunnels 0, Pbb Tunnels 0, \
Udp Mpls over Mpls Tunnels 0
L2 Encaps 0, Encaps 0, GROs 0, Diags 0
Arp Virtual Proxys 0, Arp Virtual Stitches 0, Arp Virtual Floods 0, Arp Physical Stitches 0, \
Arp Tor Proxys 0, Arp Physical Floods 0

"""


def drop_one(stage: Stage, destination: str = "10.1.1.9") -> None:
    vif = VrInterfaceReq(
        h_op=ADD, vifr_idx=3, vifr_type=3, vifr_vrf=2, vifr_flags=0x40, vifr_mac=bytes(6),
        vifr_name="tap3", vifr_os_idx=-1, vifr_parent_vif_idx=-1,
    )  # fmt: skip
    assert stage.code(vif) == 0
    stage.datapath.inject(3, udp("10.1.1.3", destination))


def test_vrfstats(stage: Stage, says: Says) -> None:
    drop_one(stage)
    assert says(vrfstats.main, "--dump") == VRF_STATISTICS
    assert says(vrfstats.main, "--get", "2") == VRF_STATISTICS
    assert says(vrfstats.main, "--get", "3") == re.sub(
        r"\b1\b", "0", VRF_STATISTICS.replace("Vrf: 2", "Vrf: 3")
    )


# --- dropstats


def test_drops_of_all_and_of_a_core(stage: Stage, says: Says) -> None:
    drop_one(stage)
    text = "Discards                      1\n\n"
    assert says(dropstats.main) == text
    assert says(dropstats.main, "--core", "0") == text
    assert says(dropstats.main, "-c", "1") == ""
    assert says(dropstats.main, "--offload") == ""
    assert says(dropstats.main, "--debug") == "Cloned Original               0\n\n"
    assert "Invalid NH                    0\n" in says(dropstats.main, "--all")
    assert says(dropstats.main, "--clear") == ""
    assert says(dropstats.main) == ""


def test_every_counter_of_drops_has_a_title(says: Says) -> None:
    shown = json.loads(says(dropstats.main, "--json"))
    fields = {name.removeprefix("vds_") for name in VrDropStatsReq.FIELDS if name != "h_op"}
    assert fields - set(shown) == {"rid", "core", "pcpu_stats_failure_status"}


def test_the_log_of_drops(stage: Stage, says: Says) -> None:
    drop_one(stage)
    header, blank, columns, rule, row = says(dropstats.main, "--log", "0").splitlines()
    assert (header, blank) == ("Packet drop log of core 0", "")
    assert columns.split() == ["Time", "(UTC)", "Reason", "Vif", "Vrf", "Bytes", "Packet"]
    assert set(rule) == {"-"}
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}  Discards {20}     3      2     42  "
        r"UDP 10\.1\.1\.3:1000 > 10\.1\.1\.9:53",
        row,
    )
    (entry,) = json.loads(says(dropstats.main, "-l", "0", "--json"))
    assert entry["time"].endswith("Z")
    del entry["time"]
    assert entry == {
        "reason": "discard", "vif": 3, "vrf": 2, "length": 42, "ethertype": 0x0800, "proto": 17,
        "source": "10.1.1.3", "destination": "10.1.1.9", "sport": 1000, "dport": 53,
    }  # fmt: skip


@pytest.mark.parametrize(("only", "count"), [("discard", 1), ("Invalid NH", 0), ("1", 1)])
def test_one_reason_of_the_log(stage: Stage, says: Says, only: str, count: int) -> None:
    drop_one(stage)
    shown = json.loads(says(dropstats.main, "--log", "0", "--show", only, "--json"))
    assert len(shown) == count


def test_what_is_logged(stage: Stage, says: Says) -> None:
    says(dropstats.main, "--min-log", "1")
    drop_one(stage)
    (short,) = json.loads(says(dropstats.main, "--log", "0", "--json"))
    assert (short["reason"], short["source"]) == ("discard", None)
    says(dropstats.main, "--clear-drop-log")
    assert json.loads(says(dropstats.main, "--log", "0", "--json")) == []
    says(dropstats.main, "--drop-type", "invalid_nh")
    drop_one(stage)
    assert json.loads(says(dropstats.main, "--log", "0", "--json")) == []
    says(dropstats.main, "--drop-type", "all")
    drop_one(stage)
    assert len(json.loads(says(dropstats.main, "--log", "0", "--json"))) == 1


def test_a_log_of_many_pages(stage: Stage, says: Says) -> None:
    drop_one(stage)
    for _ in range(299):
        stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    assert len(json.loads(says(dropstats.main, "--log", "0", "--json"))) == 300


def test_the_log_of_another_datapath(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = VrPktDropLogReq(vdl_pkt_droplog_arr=bytes(200))
    served = Served(tmp_path, lambda _: [[VrResponse(h_op=4), foreign]])
    assert dropstats.main(["--sock-dir", str(tmp_path), "--log", "0"]) == 1
    served.close()
    assert "form of another datapath" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--show", "discard"], ["--log", "0", "--show", "nonsense"], ["--core", "0", "--offload"]],
)
def test_dropstats_wrongly_called(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        dropstats.main(words)
    assert ended.value.code == 2


# --- vrmemstats, vrinfo


def test_vrmemstats(stage: Stage, says: Says) -> None:
    assert stage.code(nexthop(14)) == 0
    assert stage.code(nexthop(14)) == 0
    assert says(vrmemstats.main) == (
        "Total allocations                     3\n"
        "Total frees                           1\n"
        "Total outstanding allocations         2\n"
        "\n"
        "Nexthop                               2\n"
    )
    shown = json.loads(says(vrmemstats.main, "--json"))
    assert shown["allocated"] - shown["freed"] == sum(shown["objects"].values())
    assert shown["objects"]["nexthop"] == 2


def test_vrinfo(says: Says) -> None:
    assert re.fullmatch(r"vrouter-forwarder \d+\.\d+\S*\n", says(vrinfo.main, "-v"))
    assert list(json.loads(says(vrinfo.main, "--version", "--json"))) == ["version"]


def test_vrinfo_in_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(request: Message) -> list[list[Message]]:
        assert isinstance(request, VrInfoReq)
        part = b"one, " if request.vdu_index == 0 else b"two\0\0"
        more = 0x40000001 if request.vdu_index == 0 else 1
        answer = VrInfoReq(vdu_index=request.vdu_index + 1, vdu_proc_info=part)
        return [[VrResponse(h_op=4, resp_code=more)], [answer]]

    served = Served(tmp_path, ask)
    assert vrinfo.main(["--sock-dir", str(tmp_path), "-v", "--buffsz", "4096"]) == 0
    served.close()
    assert capsys.readouterr().out == "one, two\n"
    assert [request.vdu_outbufsz for request in served.requests] == [4096, 4096]  # type: ignore[attr-defined]


def test_vrinfo_calls_itself_dpdkinfo(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        vrinfo.main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: dpdkinfo ")


# --- qosmap


def test_forwarding_classes(says: Says) -> None:
    says(qosmap.main, "--set-fc", "2", "--dscp", "46", "--mpls_qos", "5", "--queue", "7")
    says(qosmap.main, "--set-fc", "11", "--dotonep", "3", "--dscp", "1")
    says(qosmap.main, "--set-fc", "11", "--dscp", "0")
    table = (
        "Forwarding Class Map\n"
        "\n"
        "   FC    DSCP    EXP    .1p    Queue\n"
        "------------------------------------\n"
        "    2      46      5      0        7\n"
        "   11       0      0      3        0\n"
    )
    assert says(qosmap.main, "--dump-fc") == table
    assert says(qosmap.main, "--get-fc", "11") == "".join(
        table.splitlines(keepends=True)[index] for index in (0, 1, 2, 3, 5)
    )
    assert json.loads(says(qosmap.main, "--get-fc", "2", "--json")) == [
        {"fc": 2, "dscp": 46, "mpls_qos": 5, "dotonep": 0, "queue": 7}
    ]


def test_maps(says: Says) -> None:
    says(qosmap.main, "--set-qos", "4", "--dscp", "12", "--mpls_qos", "3", "--fc", "2")
    says(qosmap.main, "--set-qos", "4", "--dscp", "10", "--fc", "1")
    assert says(qosmap.main, "--get-qos", "4") == (
        "QoS Map\n"
        "\n"
        "Id: 4\n"
        "    DSCP    FC      EXP    FC      .1p    FC\n"
        "      10     1       3     2\n"
        "      12     2\n"
        "\n"
    )
    assert json.loads(says(qosmap.main, "--dump-qos", "--json")) == [
        {"id": 4, "dscp": {"10": 1, "12": 2}, "mpls_qos": {"3": 2}, "dotonep": {}}
    ]
    says(qosmap.main, "--delete-qos", "4")
    assert says(qosmap.main, "--get-qos", "4").endswith(NOT_FOUND)


def test_many_maps_are_all_listed(says: Says) -> None:
    for number in range(1, 61):
        says(qosmap.main, "--set-qos", str(number), "--dotonep", "7", "--fc", "9")
    shown = json.loads(says(qosmap.main, "--dump-qos", "--json"))
    assert [row["id"] for row in shown] == list(range(1, 61))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--dump-fc", "--dump-qos"],
        ["--set-fc", "1", "--dscp", "64"],
        ["--set-qos", "1", "--dscp", "1"],
        ["--set-qos", "1", "--fc", "1"],
        ["--set-queue", "eth0", "--pg", "0,1,2,3,4,5,6,7"],
        ["--set-queue", "eth0", "--pg", "0,1,2,3,4,5,6,8", "--bw", "100,0,0,0,0,0,0,0"],
        ["--set-queue", "eth0", "--pg", "0,1", "--bw", "100,0,0,0,0,0,0,0"],
        ["--set-queue", "eth0", "--pg", "0,1,2,3,4,5,6,7", "--bw", "10,0,0,0,0,0,0,0"],
        ["--get-queue", "eth0", "--strict", "11"],
    ],
)
def test_qosmap_wrongly_called(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        qosmap.main(words)
    assert ended.value.code == 22
    assert "qosmap: error: " in capsys.readouterr().err


def test_vrfstats_wrongly_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        vrfstats.main(["--bogus"])
    assert ended.value.code == 234


# --- vrouter


def test_limits_and_settings(stage: Stage, says: Says) -> None:
    lines = says(vrouter.main, "--info").splitlines()
    assert re.fullmatch(r"vRouter module version \d+\.\d+\S* \(vrouter-forwarder\)", lines[0])
    table = dict(re.split(r" {2,}", line) for line in lines[1:])
    assert table["Interfaces limit"] == "300"
    assert table["VRF tables limit"] == "64"
    assert table["NextHops limit"] == "4096"
    assert table["Flow Table limit"] == "1024"
    assert table["Flow hold limit"] == "8192"
    shown = json.loads(says(vrouter.main, "--info", "--json"))
    assert shown["limits"]["nexthops"] == 4096
    assert shown["build"]["build-name"] == "vrouter-forwarder"


def test_a_setting_leaves_the_others(stage: Stage, says: Says) -> None:
    before = json.loads(says(vrouter.main, "--info", "--json"))["settings"]
    assert says(vrouter.main, "--flow_hold_limit", "77", "--perfr", "0") == ""
    after = json.loads(says(vrouter.main, "--info", "--json"))["settings"]
    assert after == {**before, "flow_hold_limit": 77, "perfr": 0}
    says(vrouter.main, "--set-priority-tagging", "1")
    says(vrouter.main, "--packet-dump", "1")
    last = json.loads(says(vrouter.main, "--info", "--json"))["settings"]
    assert last == {**after, "priority_tagging": 1, "packet_dump": 1}


@pytest.mark.parametrize("name", sorted(vrouter.SETTINGS))
def test_each_setting(stage: Stage, says: Says, name: str) -> None:
    option = "--packet-dump" if name == "packet_dump" else f"--{name}"
    says(vrouter.main, option, "6")
    found = stage.get(VrouterOps(h_op=SandeshOp.GET))
    assert getattr(found, f"vo_{name}") == 6


@pytest.mark.parametrize("text", ["", "{", "[]", '{"build-info": []}', '{"build-info": [1]}'])
def test_a_build_that_is_not_described(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    served = Served(tmp_path, lambda _: [[VrResponse(h_op=4), VrouterOps(vo_build_info=text)]])
    assert vrouter.main(["--sock-dir", str(tmp_path), "--info"]) == 0
    served.close()
    assert capsys.readouterr().out.startswith("vRouter module version unknown (no build name)\n")


def test_tools_as_commands(stage: Stage, says: Says) -> None:
    assert stage.code(nexthop(14)) == 0
    assert says(vrouter.main, "nh", "--get", "14").startswith("Id:14 ")
    for name in vrouter.TOOLS:
        with pytest.raises(SystemExit) as ended:
            vrouter.main([name, "--help"])
        assert ended.value.code == 0


def test_the_usage_of_a_command_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        vrouter.main(["mirror"])
    assert "usage: vrouter mirror " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        mirror.main([])
    assert "usage: mirror " in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--perfr"], ["--perfr", "-1"], ["bogus"]])
def test_vrouter_wrongly_called(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        vrouter.main(words)
    assert ended.value.code == 2

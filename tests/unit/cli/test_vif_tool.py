"""`vif`: rules of its columns that no recorded output has, its misuse, its changes, its rates."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from agent.cli import vhost_link, vif, vif_rate
from agent.cli.render_vif import lines
from agent.cli.render_vif_counters import Look
from agent.cli.vif_json import as_json
from agent.errors import DatapathError, UsageError
from agent.sandesh.vrouter import VrInterfaceReq
from agent.values import Mac
from tests.netns import ip, own_network
from tests.unit.cli import live
from tests.unit.cli.test_cli_golden import NOT_FOUND, VIF_HEADER

MAC = "00:00:5e:00:01:00"
PAD = " " * 12


def row(**fields: Any) -> VrInterfaceReq:
    base: dict[str, Any] = {
        "vifr_idx": 7, "vifr_type": 3, "vifr_transport": 1, "vifr_name": "tap7", "vifr_flags": 0x40,
        "vifr_mac": bytes.fromhex("00005e000100"), "vifr_parent_vif_idx": -1, "vifr_speed": -1,
        "vifr_duplex": -1, "vifr_queue_ierrors_to_lcore": (0, 0),
    }  # fmt: skip
    return VrInterfaceReq(**{**base, **fields})


def printed(look: Look | None = None, **fields: Any) -> list[str]:
    return list(lines(row(**fields), look or Look()))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "vif0/7      Ethernet: tap7"),
        ({"vifr_transport": 9}, "vif0/7      Unknown: tap7"),
        ({"vifr_idx": 4354, "vifr_nh_id": 9}, "vif0/4354   Ethernet: tap7 NH: 9"),
        ({"vifr_flags": 0x2040, "vifr_os_idx": 3}, "vif0/7      PMD: 3"),
        ({"vifr_type": 2, "vifr_flags": 0x2040, "vifr_os_idx": 3}, "vif0/7      PMD: 3"),
        (
            {"vifr_type": 2, "vifr_transport": 2, "vifr_os_idx": 0x5E1D},
            "vif0/7      PCI: 0000:5e:03.5",
        ),
        (
            {"vifr_type": 2, "vifr_transport": 2, "vifr_speed": 10000, "vifr_duplex": 1},
            "vif0/7      PCI: 0000:00:00.0 (Speed 10000, Duplex 1)",
        ),
        (
            {"vifr_type": 2, "vifr_transport": 2, "vifr_speed": 0},
            "vif0/7      PCI: 0000:00:00.0 (Speed 0,)",
        ),
        ({"vifr_type": 2, "vifr_flags": 0x4000040, "vifr_speed": 5}, "vif0/7      PCI: Mock"),
        ({"vifr_type": 9, "vifr_os_idx": 3}, "vif0/7      Monitoring: tap7 for vif0/3"),
        (
            {"vifr_type": 6, "vifr_vlan_id": 5, "vifr_ovlan_id": 6, "vifr_parent_vif_idx": 3},
            "vif0/7      Ethernet: tap7 Vlan(o/i)(,S): 6/5 Parent:vif0/3",
        ),
        (
            {"vifr_type": 6, "vifr_src_mac": bytes(range(12)), "vifr_bridge_idx": (40,)},
            "vif0/7      Ethernet: tap7 Vlan(o/i)(,S): 0/0, 00:01:02:03:04:05 Bridge Index: 40, "
            "06:07:08:09:0a:0b Bridge Index: 0",
        ),
    ],
)
def test_the_first_line(fields: dict[str, Any], expected: str) -> None:
    fields.setdefault("vifr_parent_vif_idx", -1)
    assert printed(**fields)[0] == expected


def test_the_kernels_interfaces_are_the_hosts() -> None:
    kernel = Look(kernel=True)
    lo = socket.if_nametoindex("lo")
    assert printed(kernel, vifr_os_idx=lo)[0] == "vif0/7      OS: lo"
    assert printed(kernel, vifr_os_idx=0)[0] == "vif0/7          tap7"
    assert printed(kernel, vifr_os_idx=0x7FFFFFFF)[0] == "vif0/7      OS: tap7"
    counted = {"vifr_dev_ipackets": 1, "vifr_port_opackets": 2}
    assert not any("port" in line or "lcore" in line for line in printed(kernel, **counted))


def flags_of(flags: int) -> str:
    (line,) = (line for line in printed(vifr_flags=flags) if " Flags:" in line)
    return line.partition("Flags:")[2].partition(" ")[0]


def test_flags() -> None:
    assert flags_of(0) == "NULL"
    assert flags_of(0x400000) == ""  # a flag that has no letters
    everything = 0x7FFFFFFF & ~0x4000000
    letters = "PXSMrMtTcL3L2DVpPrVntMnpDpdkRflMonUufVofDfLProxyErMnHbsLHbsRIg"
    assert flags_of(everything) == letters  # with Ml it would be 64 of them
    assert flags_of(0x40000041) == "PL3Ml"


def test_counters_of_devices_are_shown_where_there_are_some() -> None:
    shown = printed(
        Look(core=3),
        vifr_dev_ipackets=1, vifr_dev_ibytes=2, vifr_dev_inombufs=4, vifr_port_ierrors=5,
        vifr_port_isyscalls=6, vifr_queue_ipackets=7, vifr_queue_ierrors_to_lcore=(0, 8),
        vifr_queue_oerrors=9, vifr_port_opackets=10, vifr_port_osyscalls=11, vifr_dev_obytes=12,
        vifr_isid=13, vifr_pbb_mac=bytes(range(6)), vifr_dpackets=14,
    )  # fmt: skip
    assert shown[3:] == [
        f"{PAD}Core 3 RX device packets:1  bytes:2 errors:0 no mbufs:4",
        f"{PAD}Core 3 RX port   packets:0 errors:5 syscalls:6",
        f"{PAD}Core 3 RX queue  packets:7 errors:0",
        f"{PAD}RX queue errors to lcore 0 8",
        f"{PAD}Core 3 RX packets:0  bytes:0 errors:0",
        f"{PAD}Core 3 TX packets:0  bytes:0 errors:0",
        f"{PAD}ISID: 13 Bmac: 00:01:02:03:04:05",
        f"{PAD}Drops:14",
        f"{PAD}Core 3 TX queue  packets:0 errors:9",
        f"{PAD}Core 3 TX port   packets:10 errors:0 syscalls:11",
        f"{PAD}Core 3 TX device packets:0  bytes:12 errors:0",
        "",
    ]


def test_rates_show_zeros_too() -> None:
    shown = printed(Look(rate=True))
    assert [line.split(" packets")[0].strip() for line in shown if " packets" in line] == [
        "RX device", "RX port", "RX queue", "RX", "TX", "TX queue", "TX port", "TX device",
    ]  # fmt: skip


def test_the_device_below_a_physical_interface() -> None:
    bond = {
        "vifr_type": 2, "vifr_fab_name": b"bond0\0", "vifr_fab_drv_name": b"net_bonding\0",
        "vifr_num_bond_slave": 2, "vifr_bond_slave_name": b"eth0\0eth1\0",
        "vifr_bond_slave_drv_name": b"net_ixgbe\0net_i40e\0", "vifr_intf_status": 0b011,
        "vifr_vlan_tag": 101, "vifr_vlan_name": b"bond0.101\0",
    }  # fmt: skip
    shown = printed(Look(fabric=True), **bond)
    assert shown[4:8] == [
        f"{PAD}Fabric Interface: bond0  Status: UP  Driver: net_bonding",
        f"{PAD}Slave Interface(0): eth0  Status: UP  Driver: net_ixgbe",
        f"{PAD}Slave Interface(1): eth1  Status: DOWN  Driver: net_i40e",
        f"{PAD}Vlan Id: 101 VLAN fwd Interface: bond0.101",
    ]
    plain = "".join(printed(**bond)) + "".join(
        printed(Look(fabric=True), **bond | {"vifr_type": 3})
    )
    assert "Fabric" not in plain
    assert "Vlan Id" not in "".join(printed(Look(fabric=True), **bond | {"vifr_vlan_tag": 4096}))


def loaded(text: str) -> tuple[int, int]:
    packed = ip_address(text).packed
    return int.from_bytes(packed[:8], "little"), int.from_bytes(packed[8:], "little")


def test_fat_flows_with_prefixes_and_excludes() -> None:
    high, low = loaded("2001:db8::")
    four = int.from_bytes(ip_address("10.0.0.0").packed, "little")
    shown = printed(
        vifr_fat_flow_protocol_port=(0x61110050, 0x22060000, 0x00000006, 0x50110035),
        vifr_fat_flow_src_prefix_h=(0, high, 0, 0), vifr_fat_flow_src_prefix_l=(four, low, 0, four),
        vifr_fat_flow_src_prefix_mask=(8, 32, 0, 16),
        vifr_fat_flow_src_aggregate_plen=(24, 64, 0, 32),
        vifr_fat_flow_dst_prefix_h=(0,) * 4, vifr_fat_flow_dst_prefix_l=(four, 0, 0, 0),
        vifr_fat_flow_dst_prefix_mask=(9, 0, 0, 0), vifr_fat_flow_dst_aggregate_plen=(25, 0, 0, 0),
        vifr_fat_flow_exclude_ip_list=(four,), vifr_fat_flow_exclude_ip6_u_list=(high,),
        vifr_fat_flow_exclude_ip6_l_list=(low,),
    )  # fmt: skip
    assert shown[shown.index(f"{PAD}FatFlow rules: ") :] == [
        f"{PAD}FatFlow rules: ",
        f"{PAD}\t17:80  - Sip AggrSrc 10.0.0.0/8 24 AggrDst 10.0.0.0/9 25",
        f"{PAD}\t6:* - Dip AggrSrc 2001:db8::/32 64",
        f"{PAD}\t6:*",
        f"{PAD}\t17:53  AggrSrc 10.0.0.0/16 32",
        "",
        f"{PAD}FatFlows IPv4 exclude prefix list:",
        f"{PAD}\t10.0.0.0",
        "",
        f"{PAD}FatFlows IPv6 exclude prefix list:",
        f"{PAD}\t2001:db8::",
        "",
    ]


def test_metadata_that_ends_with_its_line() -> None:
    shown = printed(vifr_in_mirror_md=bytes(17))
    assert shown[-3:-1] == [f"{PAD}Ingress Mirror Metadata: " + "0 " * 16, " " * 37 + "0 "]
    assert len(shown[-3]) == 69


# --- misuse


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--get", "x"], "vif --get"),
        (["--get", "-1"], "vif --get"),
        (["--set", "1.5"], "vif --set"),
        (["--set", "1", "--vlan", "x"], "vif set --vlan"),
        (["--set", "1", "--vrf", "x"], "vif set --vrf"),
        (["--clear", "--id", "x"], "vif add --id"),
        (["--add", "a", "--vif", "2147483648"], "vif add --vif"),
    ],
)
def test_what_is_no_number_is_said_as_the_original_does(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        vif.main(arguments)
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"Invalid arguments for {says} \n"
    with pytest.raises(SystemExit) as ended:
        vif.main([*arguments, "--json"])
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


ADD = ["--add", "tap9", "--id", "9"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "one of the arguments"),
        (["--bogus"], "one of the arguments"),
        (["--list", "--get", "1"], "not allowed with"),
        (["--list", "--get-drop-stats"], "--get-drop-stats goes with --get"),
        (["--clear", "--rate"], "--rate goes with"),
        (["--set", "1", "--vlan", "3"], "--set needs"),
        (["--create", "vhost0"], "--create needs --mac"),
        ([*ADD], "--add needs --type"),
        ([*ADD, "--type", "virtual"], "--add needs --mac and --vrf"),
        ([*ADD, "--type", "vhost", "--mac", MAC, "--vrf", "0"], "needs --xconnect"),
        ([*ADD, "--type", "monitoring"], "needs --vif"),
        ([*ADD, "--type", "virtual", "--mac", "zz", "--vrf", "0"], "not a MAC address"),
    ],
)
def test_wrong_options(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    for more, status in (([], 0), (["--json"], 2)):
        with pytest.raises(SystemExit) as ended:
            vif.main([*arguments, *more])
        assert ended.value.code == status
        assert says in capsys.readouterr().err


# --- changes, on a real forwarder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    small = ["--flow-entries", "1024", "--bridge-entries", "1024"]
    with live.forwarder(tmp_path_factory.mktemp("vif") / "run", *small) as serving:
        ip("link", "add", "va0", "type", "veth", "peer", "name", "va1")
        for name in ("va0", "va1"):
            ip("link", "set", name, "up")
        yield serving


@pytest.fixture
def here(run_dir: Path) -> list[str]:
    live.program(run_dir, *live.vifs()[:3])
    return ["--sock-dir", str(run_dir)]


def found(run_dir: Path, index: int) -> VrInterfaceReq:
    return live.get(run_dir, VrInterfaceReq(vifr_idx=index, vifr_os_idx=-1))


GUEST = ["--mac", "02:00:00:00:00:09", "--vrf", "5", "--type", "virtual", "--transport", "eth"]


def test_an_interface_comes_and_goes(
    run_dir: Path, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    index = socket.if_nametoindex("va0")
    assert vif.main([*here, "--add", "va0", *GUEST, "--policy", "--dhcp-enable"]) == 0
    assert capsys.readouterr().out == ""
    added = found(run_dir, index)
    assert (added.vifr_name, added.vifr_os_idx, added.vifr_vrf) == ("va0", index, 5)
    assert (added.vifr_type, added.vifr_transport, added.vifr_intf_status) == (3, 1, 1)
    assert added.vifr_flags & 0x101 == 0x101
    assert vif.main([*here, "--get", str(index), "--kernel", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "va0"
    assert vif.main([*here, "--delete", "va0"]) == 0
    assert vif.main([*here, "--get", str(index)]) == 0
    assert capsys.readouterr().out == VIF_HEADER + NOT_FOUND


def test_an_interface_that_is_there_is_changed(
    run_dir: Path, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert vif.main([*here, "--add", "va0", *GUEST, "--id", "60", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"added": 60}
    assert vif.main([*here, "--add", "va0", *GUEST[:3], "6", *GUEST[4:]]) == 0
    assert found(run_dir, 60).vifr_vrf == 6
    assert vif.main([*here, "--delete", "60", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 60}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--type", "monitoring", "--vif", "2"], {"vifr_type": 9, "vifr_vrf": 0}),
        (["--type", "agent", *GUEST[:4], "--transport", "virtual"], {"vifr_type": 1}),
        (
            ["--type", "vhost", *GUEST[:4], "--xconnect", "0", "--vhost-phys"],
            {"vifr_type": 0, "vifr_cross_connect_idx": (0,)},
        ),
    ],
)
def test_other_kinds_of_interfaces(
    run_dir: Path, here: list[str], options: list[str], expected: dict[str, Any]
) -> None:
    assert vif.main([*here, "--add", "other9", "--id", "61", *options]) == 0
    added = found(run_dir, 61)
    assert {name: getattr(added, name) for name in expected} == expected


def test_an_interface_of_a_dpdk_port(here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vif.main([*here, "--add", "3", "--id", "62", "--pmd", *GUEST]) == 0
    assert vif.main([*here, "--get", "62"]) == 0
    assert "\nvif0/62     PMD: 3\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--add", "nothing9", *GUEST], "no interface of that name: say --id as well"),
        (["--add", "eth9", "--pmd", *GUEST], "NAME is a number"),
        (
            ["--add", "v9", "--id", "9", "--type", "vhost", *GUEST[:4], "--xconnect", "no9"],
            "--xconnect no9: this host has no such interface",
        ),
        (["--delete", "9x"], "neither a number nor a name"),
    ],
)
def test_what_cannot_be_asked(
    here: list[str], options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vif.main([*here, *options]) == 1
    assert says in capsys.readouterr().err


def test_what_the_datapath_refuses(here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vif.main([*here, "--add", "va0", "--id", "100000", *GUEST]) == 0
    assert capsys.readouterr().out == "vRouter(Response): Invalid argument (22)\n"
    assert vif.main([*here, "--delete", "nothing9"]) == 0
    assert capsys.readouterr().out == "vRouter(Response): No such device (19)\n"
    assert vif.main([*here, "--delete", "nothing9", "--json"]) == 1
    assert capsys.readouterr().out == ""


def send(count: int) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("va1", 0))
        for _ in range(count):
            wire.send(b"\xff" * 6 + bytes.fromhex("020000000009") + b"\x88\xb5" + bytes(46))


def wait_for_packets(run_dir: Path, index: int, count: int) -> None:
    for _ in range(10_000):
        if found(run_dir, index).vifr_ipackets >= count:
            return
    raise AssertionError(f"vif {index} never counted {count} packets")


def test_counters_are_cleared(
    run_dir: Path, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert vif.main([*here, "--add", "va0", "--id", "60", *GUEST]) == 0
    send(3)
    wait_for_packets(run_dir, 60, 3)
    assert vif.main([*here, "--get", "60", "--get-drop-stats"]) == 0
    shown = capsys.readouterr().out
    assert f"{PAD}RX packets:3  bytes:180 errors:0\n" in shown
    assert "No L2 Route                   3\n" in shown
    assert vif.main([*here, "--get", "60", "--get-drop-stats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["drop_reasons"] == {"l2_no_route": 3}
    assert vif.main([*here, "--clear", "--id", "60"]) == 0
    assert capsys.readouterr().out == "\nVif stats cleared successfully for va0 on all cores \n\n"
    assert found(run_dir, 60).vifr_ipackets == 0
    send(2)
    wait_for_packets(run_dir, 60, 2)
    assert vif.main([*here, "--clear", "--core", "0"]) == 0
    assert (
        capsys.readouterr().out
        == "\nVif stats cleared successfully on core 0 for all interfaces \n\n"
    )
    assert found(run_dir, 60).vifr_ipackets == 0
    assert vif.main([*here, "--clear", "--core", "5"]) == 0
    assert "Invalid argument (22)" in capsys.readouterr().out


def test_rates_of_a_datapath(here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vif.main([*here, "--list", "--rate", "--count", "1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:6] == [
        "Interface rate statistics",
        "-------------------------",
        "",
        "Interface name                VIF ID                        RX                            "
        "TX                            ",
        " " * 54 + "Errors   Packets              Errors   Packets",
        "",
    ]
    assert shown[6] == (
        "Physical: fabric0             vif0/0                  0        0                    "
        "0        0               "
    )
    assert vif.main([*here, "--get", "0", "--rate", "--count", "1"]) == 0
    assert f"\n{PAD}RX device packets:0  bytes:0 errors:0\n" in capsys.readouterr().out


def read_until(terminal: int, wanted: str) -> str:
    """What a terminal shows, up to and with this text."""
    shown = b""
    while wanted.encode() not in shown:
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, f"{wanted!r} never came: {shown!r}"
        shown += os.read(terminal, 4096)
    return shown.decode()


def test_rates_on_a_terminal(here: list[str]) -> None:
    """Three interfaces, of which a page has room for two."""
    terminal, of_the_tool = pty.openpty()
    fcntl.ioctl(of_the_tool, termios.TIOCSWINSZ, struct.pack("HHHH", 15, 120, 0, 0))
    run = "import sys; from agent.cli.vif import main; sys.exit(main(sys.argv[1:]))"
    tool = subprocess.Popen(
        [sys.executable, "-c", run, *here, "--list", "--rate"],
        stdin=of_the_tool, stdout=of_the_tool, cwd=live.ROOT,
        env=dict(os.environ),  # without LINES, which readline sets where Python does not see it
    )  # fmt: skip
    os.close(of_the_tool)
    first = read_until(terminal, "next page.")
    assert first.startswith("\x1b[H\x1b[2J\x1b[3JInterface rate statistics")

    assert ("vif0/1" in first, "vif0/2" in first) == (True, False)
    os.write(terminal, b"j")
    second = read_until(terminal, "vif0/2")
    assert "vif0/1" not in second.rpartition("Interface name")[2]
    os.write(terminal, b"K")
    read_until(terminal, "vif0/0")
    os.write(terminal, b"q")
    assert tool.wait(20) == 0
    os.close(terminal)


def test_creating_is_for_the_kernel(here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vif.main([*here, "--create", "vhost0", "--mac", MAC]) == 0
    assert capsys.readouterr().out == "vhost_create: Operation not supported\n"
    assert vif.main([*here, "--create", "vhost0", "--mac", MAC, "--json"]) == 1
    assert capsys.readouterr().out == ""


def test_a_kernel_without_the_module_creates_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VROUTER_RUN_DIR", raising=False)
    monkeypatch.setattr("agent.cli.locate.DEFAULT_DIRECTORIES", ())
    with own_network():
        assert vif.main(["--create", "vhost0", "--mac", MAC]) == 0
        assert capsys.readouterr().out == "vhost_create: Operation not supported\n"
        assert vif.main(["--create", "x" * 16, "--mac", MAC]) == 1
        assert "has 1 to 15 bytes" in capsys.readouterr().err


# --- pieces


def test_rates_are_a_second() -> None:
    then = vif_rate.Sample(10.0, {7: row(vifr_ipackets=100, vifr_obytes=50)})
    new = row(vifr_ipackets=400, vifr_obytes=20, vifr_queue_ierrors_to_lcore=(6, 0))
    now = vif_rate.Sample(12.0, {7: new, 8: row(vifr_idx=8, vifr_ipackets=9)})
    one, two = now.since(then)
    assert (one.vifr_ipackets, one.vifr_obytes, one.vifr_queue_ierrors_to_lcore) == (150, 0, (3, 0))
    assert (two.vifr_idx, two.vifr_ipackets) == (8, 0)


def test_an_interface_for_programs() -> None:
    shown = as_json(row(vifr_ipackets=1, vifr_ibytes=2, vifr_ierrors=3, vifr_flags=0x81))
    assert shown["flags"] == ["P", "L2"]
    assert shown["rx"] == {"packets": 1, "bytes": 2, "errors": 3}
    assert (shown["mirror"], shown["qos_map"]) == (None, 0)
    assert not {"device", "port", "queue", "fat_flows"} & shown.keys()


def test_fat_flows_and_queues_for_programs() -> None:
    four = int.from_bytes(ip_address("10.0.0.0").packed, "little")
    shown = as_json(
        row(
            vifr_fat_flow_protocol_port=(0x51110050, 0x60000), vifr_queue_ipackets=4,
            vifr_fat_flow_src_prefix_l=(four,), vifr_fat_flow_src_prefix_mask=(8,),
            vifr_fat_flow_src_aggregate_plen=(24,), vifr_fat_flow_exclude_ip_list=(four,),
        )
    )  # fmt: skip
    none = {"ignored": None, "source": None, "destination": None}
    assert shown["fat_flows"] == [
        none | {
            "protocol": 17, "port": 80, "ignored": "sip",
            "source": {"prefix": "10.0.0.0/8", "bits": 24},
        },
        none | {"protocol": 6, "port": None},
    ]  # fmt: skip
    assert shown["fat_flows_excluded"] == ["10.0.0.0"]
    assert shown["queue"] == {"rx": {"packets": 4, "errors": 0}, "tx": {"packets": 0, "errors": 0}}


def test_the_hosts_interface_is_made() -> None:
    with own_network():
        mac = Mac.parse("02:00:00:00:00:07")
        vhost_link.create("made0", mac, kind="veth")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as made:
            made.bind(("made0", 0))
            assert made.getsockname()[4] == mac
        with pytest.raises(DatapathError) as refused:
            vhost_link.create("made1", mac, kind="nokind")
        assert refused.value.errno == 95


@pytest.mark.parametrize("name", ["", "sixteen-letters0"])
def test_names_that_no_interface_has(name: str) -> None:
    with pytest.raises(UsageError, match="has 1 to 15 bytes"):
        vhost_link.create(name, Mac(bytes(6)))
